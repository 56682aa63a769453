"""Verification of results, which precedes every measurement.

`verify` compares an implementation with the NumPy network in float64, which is itself compared with the pure-Python
reference, and returns a `Verified`; only a `Verified` can be timed (`timing.py`). The tolerances are:

- outputs: FACTOR * eps * (sum over layers of sqrt(I)), relative to the largest output, where eps is the dtype's spacing
  at 1: the error of a dot product of I terms of either sign grows like sqrt(I).
- training (two full batches and a short one, in fixed order): STEP, for the change of all parameters relative to the
  expected change, in the Euclidean norm. It is a norm, and 1e-3 in float32, because Adam's first steps have the size of
  the learning rate whatever the gradient is, so that their signs differ where a gradient is only rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from face import Array, Implementation
from numpy_network import LAYOUTS
from workloads import Workload, initial_parameters

from implementations import Numpy, Reference, make

FACTOR = 16
STEP = {"float32": 1e-3, "float64": 1e-9}


class UnverifiedError(AssertionError):
    """An implementation computes other results than the reference and must not be timed."""


@dataclass(frozen=True)
class Verified:
    """An implementation whose results have been checked on this workload and this kind of data."""

    implementation: Implementation
    workload: Workload


def output_tolerance(workload: Workload, dtype: str) -> float:
    """Return the tolerance for outputs, relative to the largest one."""
    return FACTOR * float(np.finfo(dtype).eps) * sum(n_inputs**0.5 for n_inputs, _ in workload.layers)


def _close(what: str, got: Any, expected: Any, tolerance: float, norm: Callable[[Array], Any]) -> None:
    wanted = np.asarray(expected, "float64")
    difference = np.asarray(got, "float64").reshape(wanted.shape) - wanted
    size = float(norm(wanted))
    if not size > 0 or not float(norm(difference)) <= tolerance * size:  # NaN and all zeros fail, too
        raise UnverifiedError(f"{what}: off by {norm(difference):.3g} of {size:.3g}, allowed {tolerance:.1e} of it")


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def check(one: Implementation, other: Implementation, workload: Workload, x: Array, y: Array, batch_size: int) -> None:
    """Compare the outputs and, if the workload trains, one epoch in fixed order; both must be untrained."""
    dtype = max(one.dtype, other.dtype, key=lambda name: float(np.finfo(name).eps))
    who, tolerance = f"{workload.name}, {one.name}", output_tolerance(workload, dtype)
    rows, expected = one.convert(x), np.asarray(other.predict(other.convert(x)))
    with one.context():
        _close(f"{who}, outputs", one.values(one.predict(rows)), expected, tolerance, _largest)
        for i, row in enumerate(one.single_rows(x[:5])):
            _close(f"{who}, outputs of row {i}", one.values(one.predict_row(row)), expected[i], tolerance, _largest)
    if not workload.trains:
        return
    start = initial_parameters(workload)
    loss = one.fit(rows, one.convert(y), shuffle=False, batch_size=batch_size)
    expected_loss = other.fit(other.convert(x), other.convert(y), shuffle=False, batch_size=batch_size)
    _close(f"{who}, loss", loss, expected_loss, STEP[dtype], _largest)
    change = np.asarray(other.parameters) - start
    _close(f"{who}, change of parameters", np.asarray(one.parameters) - start, change, STEP[dtype], np.linalg.norm)


_checked_oracles: set[tuple[str, str, bytes, bytes]] = set()  # compared with pure Python, which is slow, only once


def _oracle(workload: Workload) -> Implementation:
    return Numpy(workload, "float64", LAYOUTS[0])


def verify(name: str, workload: Workload, x: Array, y: Array, dtype: str = "float32") -> Verified:
    """Check the implementation of that name, and return a new one, ready to be timed."""
    return verify_new(lambda: make(name, workload, dtype), workload, x, y)


def verify_new(new: Callable[[], Implementation], workload: Workload, x: Array, y: Array) -> Verified:
    """Check an implementation that `new` makes, and return another one that it makes, ready to be timed."""
    implementation = new()
    computed = implementation.workload  # may differ from the workload where a library lacks an activation
    key = (str(computed), computed.output_activation, x[:3].tobytes(), y[:3].tobytes())
    if key not in _checked_oracles:
        check(_oracle(computed), Reference(computed), computed, x[:3], y[:3], 2)
        _checked_oracles.add(key)
    if not isinstance(implementation, Reference):
        n_rows = workload.check_rows
        check(implementation, _oracle(computed), computed, x[:n_rows], y[:n_rows], workload.batch_size)
    return Verified(new(), workload)
