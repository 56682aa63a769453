"""Writes random models of Keras 2 by tf-keras and tf2onnx: a program, for an environment that has TensorFlow.

The arguments are a folder and a number of models. Of each model there are NUMBER.h5, NUMBER.keras, NUMBER.weights.h5,
NUMBER.json (its architecture), NUMBER.onnx, and NUMBER.npz with rows and their outputs. Odd numbers are of float64.
"""

from __future__ import annotations

import os
import pathlib
import sys
import warnings

os.environ |= {"TF_USE_LEGACY_KERAS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}

import numpy as np
import tf2onnx
import tf_keras

from keras_models import assembled

NAMES = ["linear", "relu", "elu", "selu", "gelu", "swish", "softplus", "softsign", "sigmoid", "tanh", "hard_sigmoid"]


def hidden(layers, rng, is_float32):
    """Return a Dense layer and what may follow it."""
    name = str(rng.choice(NAMES if is_float32 else [each for each in NAMES if each != "gelu"]))
    in_layer = rng.random() < 0.6
    made = [layers.Dense(int(rng.integers(1, 17)), name if in_layer else None, bool(rng.random() < 0.8))]
    if rng.random() < 0.3:
        made.append(layers.BatchNormalization(epsilon=float(rng.choice([1e-3, 1e-5]))))
    if in_layer:
        return [*made, layers.Dropout(0.3)]
    kinds = [
        lambda: layers.Activation(name),
        lambda: layers.ELU(alpha=float(rng.uniform(0.1, 2))),
        lambda: layers.ReLU(max_value=3.0),
        lambda: layers.PReLU(shared_axes=[1]),
        lambda: layers.LeakyReLU(),
        lambda: layers.LeakyReLU(alpha=float(rng.uniform(0, 1))),
    ]
    return [*made, kinds[rng.integers(6 if is_float32 else 4)]()]


def random_model(layers, rng, is_float32):
    """Return a random model, Sequential or Functional, with random weights.

    TensorFlow has some numbers in float32 also in models of float64, which do without them here: slopes of LeakyReLU,
    means and variances that are given to Normalization, and the constant of GELU.
    """
    n_inputs = int(rng.integers(1, 13))
    made = []
    if is_float32 and rng.random() < 0.3:
        made.append(layers.Normalization(mean=rng.normal(size=n_inputs), variance=rng.uniform(0.2, 4, n_inputs)))
    if rng.random() < 0.2:
        made.append(layers.Rescaling(2.0, -0.5))
    for _ in range(rng.integers(1, 4)):
        made += hidden(layers, rng, is_float32)
    made.append(layers.Dense(int(rng.integers(2, 5)), rng.choice([None, "softmax", "sigmoid"])))
    model = assembled(tf_keras, tf_keras.Input((n_inputs,)), made, rng)
    for layer in model.layers:
        if not isinstance(layer, layers.Normalization):
            layer.set_weights([w + rng.uniform(0.05, 0.3, w.shape) for w in layer.get_weights()])
    return model


def main(folder, n_models):
    warnings.simplefilter("ignore")
    for number in range(n_models):
        dtype = ["float32", "float64"][number % 2]
        tf_keras.backend.set_floatx(dtype)
        rng = np.random.default_rng(number)
        model = random_model(tf_keras.layers, rng, dtype == "float32")
        rows = rng.normal(size=(40, *model.input_shape[1:])).astype(dtype)
        stem = str(pathlib.Path(folder, str(number)))
        model.save(f"{stem}.h5")
        model.save(f"{stem}.keras")
        model.save_weights(f"{stem}.weights.h5")
        pathlib.Path(f"{stem}.json").write_text(model.to_json())
        np.savez(f"{stem}.npz", rows=rows, outputs=model(rows).numpy())
        tf2onnx.convert.from_keras(model, opset=15, output_path=f"{stem}.onnx")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
