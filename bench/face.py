"""Implementation: the interface of everything that is measured.

An implementation is made from a workload and a dtype, holds the workload's initial parameters, predicts one row or many
rows and, if it `trains`, trains an epoch. Converting the input and entering the context of a measurement are separate
methods, so that each implementation is timed on the kind of input that suits it best. Its subclasses are in
`implementations.py` (the reference, the engines, NumPy) and `peers/` (other libraries). An implementation is timed
only after `verification.py` has checked it.
"""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import numpy as np
from workloads import Workload

import fastmlp

Array = np.ndarray[Any, Any]


class Implementation:
    """A network of the workload's shape that can be verified and timed."""

    name: str
    trains: ClassVar[bool] = True

    def __init__(self, workload: Workload, dtype: str = "float32") -> None:
        self.workload, self.dtype = workload, dtype  # the workload that is computed, with which results are compared

    def convert(self, rows: Array) -> Any:
        """Convert rows or targets to the fastest kind of input of this implementation; this is not timed."""
        return rows if rows.dtype.kind == "i" else np.ascontiguousarray(rows, self.dtype)

    def single_rows(self, rows: Array) -> list[Any]:
        """Convert the rows one by one to the fastest kind of input of `predict_row`; this is not timed."""
        return list(self.convert(rows))

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context that a user enters once around many predictions; entering it is not timed."""
        return contextlib.nullcontext()

    def predict_row(self, x: Any) -> Any:
        """Return the outputs of one converted row."""
        raise NotImplementedError

    def predict(self, x: Any) -> Any:
        """Return the outputs of many converted rows."""
        raise NotImplementedError

    def values(self, outputs: Any) -> Any:
        """Return outputs as an array in host memory, for verification; this is not timed."""
        return outputs

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        """Train for an epoch and return its loss."""
        raise NotImplementedError

    @property
    def parameters(self) -> Any:
        """The parameters in the order of `fastmlp.Network.parameters`."""
        raise NotImplementedError


def optimizer_of(workload: Workload) -> Any:
    """Return the workload's optimiser, with its hyper-parameters."""
    name, rate = workload.optimizer or ("sgd", 0.01)
    if name == "lbfgs":
        return fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=0.0)  # so that no fit ends early
    return fastmlp.Adam(rate, epsilon=workload.epsilon) if name == "adam" else fastmlp.SGD(rate)


def targets(y: Array, workload: Workload, dtype: str) -> Array:
    """Return the targets as rows (N, O), class labels one-hot."""
    n_outputs = workload.sizes[-1]
    return np.eye(n_outputs, dtype=dtype)[y] if y.dtype.kind == "i" else np.ascontiguousarray(y, dtype)


def layer_arrays(vector: Array, workload: Workload, dtype: str) -> list[tuple[Array, Array]]:
    """Split the parameter vector into (w (O, I), b (O,)) of each layer, as new arrays."""
    result, offset = [], 0
    for n_inputs, n_outputs in workload.layers:
        w = vector[offset : offset + n_inputs * n_outputs].reshape(n_outputs, n_inputs)
        offset += w.size
        result.append((w.astype(dtype), vector[offset : offset + n_outputs].astype(dtype)))
        offset += n_outputs
    return result


def flat(layers: list[tuple[Any, Any]]) -> Array:
    """Return (w (O, I), b (O,)) of all layers as one parameter vector."""
    return np.concatenate([np.asarray(part).ravel() for layer in layers for part in layer])
