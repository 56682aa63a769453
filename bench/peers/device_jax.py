"""JAX on a given device: the compiled functions of `jax_xla.py` with parameters, moments and data on that device.

Products of float32 are computed in float32 (no TF32), so that the results agree with the other implementations'. The
order of the rows and the learning rates of an epoch come from NumPy, as on the CPU; their transfer is timed. Memory of
the GPU is taken as it is needed, because PyTorch uses the same GPU.
"""

from __future__ import annotations

import os
from typing import Any

import jax
import numpy as np
from face import Array, Implementation
from workloads import Workload

from .jax_xla import Jax

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
jax.config.update("jax_platforms", None)  # `jax_xla` restricts it to the CPU
jax.config.update("jax_default_matmul_precision", "highest")


def gpu() -> str | None:
    """Return the name of the GPU that JAX finds; None if there is none."""
    try:
        return str(jax.devices("gpu")[0].device_kind)
    except RuntimeError:
        return None


class OnDevice(Jax):
    """Inputs and outputs stay on the device; the outputs are waited for."""

    name = "JAX, on the device"

    def __init__(self, workload: Workload, dtype: str = "float32", device: str = "gpu") -> None:
        super().__init__(workload, dtype)
        self._device = jax.devices(device)[0]
        self._parameters, self._moments = jax.device_put((self._parameters, self._moments), self._device)

    def convert(self, rows: Array) -> Any:
        return jax.device_put(super().convert(rows), self._device)


class FromHost(OnDevice):
    """NumPy arrays are moved to the device, and the outputs back."""

    name, trains = "JAX, from host memory", False
    convert = Implementation.convert

    def predict(self, x: Any) -> Any:
        return np.asarray(self._forward(self._parameters, x))

    predict_row = predict
