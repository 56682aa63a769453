"""Models of tf-keras, which is Keras 2, and of tf2onnx, written by these and read by fastmlp.

Both need TensorFlow, which may be in an environment of its own: FASTMLP_TENSORFLOW names its interpreter. Without
TensorFlow these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.convert import checking, keras_models, onnx_model

pytest.importorskip("h5py")

N_MODELS = 40
ULP_A_LAYER = 4


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the models, and return their folder."""
    folder = tmp_path_factory.mktemp("tensorflow")
    program = Path(__file__).parents[1] / "support" / "tensorflow_models.py"
    python = os.environ.get("FASTMLP_TENSORFLOW", sys.executable)
    done = subprocess.run([python, program, folder, str(N_MODELS)], capture_output=True, text=True)
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("needs TensorFlow, here or where FASTMLP_TENSORFLOW says: pip install tf-keras tf2onnx")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".keras", ".weights.h5", ".onnx"])
@pytest.mark.parametrize("first", range(0, N_MODELS, 20))
def test_models_of_tensorflow(first: int, suffix: str, models: Path) -> None:
    """Outputs agree to 4 ULP a layer of the largest number in a model's steps, in float64 to 1e-13 of it."""
    for number in range(first, first + 20):
        path, options = models / f"{number}{suffix}", dict[str, Any]()
        if suffix == ".weights.h5":
            options = {"architecture": (models / f"{number}.json").read_text(), "keras_version": "2"}
        with np.load(models / f"{number}.npz") as arrays:
            X, outputs = arrays["rows"], arrays["outputs"]
        chain = (onnx_model if suffix == ".onnx" else keras_models).read(path, **options)
        net = checking.network(chain)
        assert net.dtype == outputs.dtype == ["float32", "float64"][number % 2]
        x, largest = np.asarray(X, np.float64), 0.0
        for step in chain.steps:
            x = step(x)
            largest = max(largest, np.abs(x).max())
        limit = ULP_A_LAYER * np.finfo(np.float32).eps * (len(net.sizes) - 1) if net.dtype == np.float32 else 1e-13
        np.testing.assert_allclose(net.predict(X), outputs, rtol=0, atol=limit * largest, err_msg=str(number))
