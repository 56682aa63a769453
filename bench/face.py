"""The one face of everything that is measured, whatever computes it.

An implementation is made from a workload and a dtype, holds the workload's initial parameters, predicts one row or
many and, where it `trains`, trains an epoch. Conversions and the context of a measurement are kept apart from the
work, so that each is timed on the input that it likes best. Subclasses: `implementations.py` (the reference, the
engines, NumPy) and `peers/` (other libraries). Only `verification.py` makes them ready to be timed.
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
        self.workload, self.dtype = workload, dtype  # the workload as it is computed, which the checks go by

    def convert(self, rows: Array) -> Any:
        """The rows or targets as this implementation likes them best; not part of any timing."""
        return rows if rows.dtype.kind == "i" else np.ascontiguousarray(rows, self.dtype)

    def single_rows(self, rows: Array) -> list[Any]:
        """The rows one by one, as `predict_row` likes them best; not part of any timing."""
        return list(self.convert(rows))

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """What a user enters once around many predictions; entering it is not part of any timing."""
        return contextlib.nullcontext()

    def predict_row(self, x: Any) -> Any:
        """The outputs of one converted row."""
        raise NotImplementedError

    def predict(self, x: Any) -> Any:
        """The outputs of many converted rows."""
        raise NotImplementedError

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        """Train for an epoch and return its loss."""
        raise NotImplementedError

    @property
    def parameters(self) -> Any:
        """The vector P."""
        raise NotImplementedError


def optimizer_of(workload: Workload) -> Any:
    """The workload's optimiser, with its hyper-parameters."""
    name, rate = workload.optimizer or ("sgd", 0.01)
    return fastmlp.Adam(rate, epsilon=workload.epsilon) if name == "adam" else fastmlp.SGD(rate)


def targets(y: Array, workload: Workload, dtype: str) -> Array:
    """The targets as rows (N, O): labels one-hot."""
    n_outputs = workload.sizes[-1]
    return np.eye(n_outputs, dtype=dtype)[y] if y.dtype.kind == "i" else np.ascontiguousarray(y, dtype)


def layer_arrays(vector: Array, workload: Workload, dtype: str) -> list[tuple[Array, Array]]:
    """The vector P as (w (O, I), b (O,)) of each layer, arrays of their own."""
    result, at = [], 0
    for n_inputs, n_outputs in workload.layers:
        w = vector[at : at + n_inputs * n_outputs].reshape(n_outputs, n_inputs)
        at += w.size
        result.append((w.astype(dtype), vector[at : at + n_outputs].astype(dtype)))
        at += n_outputs
    return result


def flat(layers: list[tuple[Any, Any]]) -> Array:
    """The vector P of (w (O, I), b (O,)) of each layer."""
    return np.concatenate([np.asarray(part).ravel() for layer in layers for part in layer])
