#!/usr/bin/env bash
# Keras 3.15.1, PyTorch backend: a Dense layer of float64 multiplies its float64 arrays in float32.
#
# ops.matmul of this backend casts both operands to dtypes.result_type of their dtypes. That function replaces float64 by
# float32 at its end, for all backends but TensorFlow (BIT64_TO_BIT32_DTYPE in keras/src/backend/common/dtypes.py, "to be
# aligned with JAX's default behavior"), even though PyTorch has float64 and even with keras.config.set_floatx("float64").
# The bias is then added in float64, so that the output says float64 and is right to 7 digits; without a bias it says
# float32. A comparison of a converted network in double with such a model measures Keras's rounding.
#
# Seen (Python 3.11, torch 2.13.0): 32 rows, Dense(8, dtype="float64") of 16 inputs; largest error over largest output
#     Dense, with a bias                  float64  9.6e-08
#     Dense, no bias                      float32  9.6e-08
#     Dense, set_floatx("float64")        float64  9.6e-08
#     torch.matmul of the same tensors    float64  1.7e-16
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q keras==3.15.1 torch==2.13.0
export KERAS_BACKEND=torch KERAS_HOME="$folder"
"$folder/env/bin/python" - <<'PYTHON'
import keras
import numpy as np
import torch

rng = np.random.default_rng(0)
x, weights = rng.normal(size=(32, 16)), rng.normal(size=(16, 8))
right = x @ weights


def check(what, y, dtype, low, high):
    assert y.dtype == dtype, f"{what} is {y.dtype} now"
    error = abs(y.detach().cpu().numpy() - right).max() / abs(right).max()
    print(f"{what:35} {str(dtype)[6:]}  {error:.1e}")
    assert low < error < high, f"{what} has another precision now"


def dense(use_bias):
    layer = keras.layers.Dense(8, use_bias=use_bias, dtype="float64")
    layer.build((None, 16))
    layer.kernel.assign(weights)
    assert np.array_equal(layer.get_weights()[0], weights) and layer.compute_dtype == "float64"
    return layer(torch.tensor(x))


check("Dense, with a bias", dense(True), torch.float64, 1e-9, 1e-6)
check("Dense, no bias", dense(False), torch.float32, 1e-9, 1e-6)
assert keras.backend.result_type("float64", "float64") == "float32"
keras.config.set_floatx("float64")
check('Dense, set_floatx("float64")', dense(True), torch.float64, 1e-9, 1e-6)
assert keras.backend.result_type("float64", "float64") == "float32"
check("torch.matmul of the same tensors", torch.matmul(torch.tensor(x), torch.tensor(weights)), torch.float64, -1, 1e-14)
PYTHON
