"""Everything that is measured, behind one face, and the check that must come before a measurement.

An implementation takes a workload's parameters, predicts one row or many and trains an epoch. `verify`
compares it with the float64 NumPy network, which is itself compared with the pure-Python reference, and
returns a `Verified`; only a `Verified` can be timed (`timing.py`). Bounds:

- outputs: FACTOR * eps * sum over layers of sqrt(I), relative to the largest output, eps the dtype's spacing
  at 1: the error of a dot product of I terms of either sign grows like sqrt(I);
- training (two full batches and a short one, in fixed order): the change of all parameters, relative in the
  Euclidean norm, within STEP. Adam's first steps have the size of the learning rate whatever the gradient, so
  that where a gradient is nothing but rounding their signs differ: hence a norm, and 1e-3 for float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy_network import LAYOUTS, NumpyNetwork
from workloads import Workload, initial_parameters

import fastmlp
import fastmlp.reference

Array = np.ndarray[Any, Any]

FACTOR = 16
STEP = {"float32": 1e-3, "float64": 1e-9}


class Implementation(Protocol):
    """What the checks and the timings need of a network, whatever computes it."""

    name: str
    dtype: str

    def convert(self, rows: Array) -> Any:
        """The rows, labels or targets as this implementation likes them best; not part of any timing."""

    def predict_row(self, x: Any) -> Any:
        """The outputs of one converted row."""

    def predict(self, x: Any) -> Any:
        """The outputs of many converted rows."""

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        """Train for an epoch and return its loss."""

    @property
    def parameters(self) -> Any:
        """The vector P."""


def _optimizer(workload: Workload) -> Any:
    name, rate = workload.optimizer or ("sgd", 0.01)
    return {"sgd": fastmlp.SGD, "adam": fastmlp.Adam}[name](rate)


def _arguments(workload: Workload) -> dict[str, Any]:
    return {
        "activation": workload.activation,
        "output_activation": workload.output_activation,
        "loss": workload.loss,
    }


class Reference:
    """`fastmlp.reference.Network`: pure Python, float64."""

    name, dtype = "reference", "float64"

    def __init__(self, workload: Workload) -> None:
        self._optimizer = _optimizer(workload)
        self._network = fastmlp.reference.Network(list(workload.sizes), **_arguments(workload), seed=0)
        self._network.parameters = initial_parameters(workload).tolist()
        self.predict_row = self.predict = self._network.predict

    def convert(self, rows: Array) -> Any:
        return rows.tolist()

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        history = self._network.fit(x, y, epochs=1, batch_size=batch_size, optimizer=self._optimizer, shuffle=shuffle)
        return float(history["loss"][-1])

    @property
    def parameters(self) -> Any:
        return self._network.parameters


class Engine:
    """`fastmlp.Network` on one of its engines, on one thread, called as its users call it."""

    def __init__(self, workload: Workload, engine: str, dtype: str = "float32") -> None:
        self.name, self.dtype = f"fastmlp {engine}", dtype
        self._optimizer = _optimizer(workload)
        self._network = fastmlp.Network(
            workload.sizes, **_arguments(workload), dtype=dtype, seed=0, engine=engine, n_threads=1
        )
        if self._network.engine != engine:
            raise RuntimeError(f"engine: expected {engine!r}, got {self._network.engine!r}")
        self._network.parameters = initial_parameters(workload)
        self.predict_row = self.predict = self._network.predict

    def convert(self, rows: Array) -> Any:
        return rows if rows.dtype.kind == "i" else np.ascontiguousarray(rows, self.dtype)

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        history = self._network.fit(x, y, epochs=1, batch_size=batch_size, optimizer=self._optimizer, shuffle=shuffle)
        return float(history["loss"][-1])

    @property
    def parameters(self) -> Any:
        return self._network.parameters


class Numpy:
    """The fast NumPy network, in the memory order that trains faster on this machine, tried beforehand."""

    _orders: ClassVar[dict[tuple[str, str], str]] = {}

    def __init__(self, workload: Workload, dtype: str = "float32", layout: str | None = None) -> None:
        self.name, self.dtype = "NumPy", dtype
        self._optimizer = _optimizer(workload)
        if layout is None:
            layout = self._faster_layout(workload, dtype) if workload.trains else LAYOUTS[0]
        self._network = NumpyNetwork(workload.sizes, **_arguments(workload), dtype=dtype, layout=layout)
        self._network.parameters = initial_parameters(workload)
        self.predict_row, self.predict = self._network.predict_row, self._network.predict

    def convert(self, rows: Array) -> Any:
        return rows if rows.dtype.kind == "i" else np.ascontiguousarray(rows, self.dtype)

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        return self._network.fit(x, y, epochs=1, batch_size=batch_size, optimizer=self._optimizer, shuffle=shuffle)[-1]

    @property
    def parameters(self) -> Any:
        return self._network.parameters

    @classmethod
    def _faster_layout(cls, workload: Workload, dtype: str) -> str:
        key = (workload.name, dtype)
        if key not in cls._orders:
            n_rows = workload.batch_size * (5 if workload.n_parameters > 10**5 else 50)
            x = np.random.default_rng(0).random((n_rows, workload.sizes[0])).astype(dtype)
            y = np.zeros((n_rows, workload.sizes[-1]), dtype)
            trials = []
            for layout in LAYOUTS * 4:
                network = cls(workload, dtype, layout)
                start = time.perf_counter()
                network.fit(x, y, shuffle=True, batch_size=workload.batch_size)
                trials.append((time.perf_counter() - start, layout))
            cls._orders[key] = min(trials)[1]
        return cls._orders[key]


def names() -> list[str]:
    """What can be measured here: the reference, every engine of this build, NumPy."""
    return ["reference", *(f"fastmlp {engine}" for engine in fastmlp.info()["engines"]), "NumPy"]


def make(name: str, workload: Workload, dtype: str = "float32") -> Implementation:
    """The implementation of that name, with the workload's initial parameters."""
    if name == "reference":
        return Reference(workload)
    if name == "NumPy":
        return Numpy(workload, dtype)
    return Engine(workload, name.removeprefix("fastmlp "), dtype)


class UnverifiedError(AssertionError):
    """An implementation computes something else than the reference: there is nothing to time."""


@dataclass(frozen=True)
class Verified:
    """An implementation whose numbers have been checked on this workload and this kind of data."""

    implementation: Implementation
    workload: Workload


def output_tolerance(workload: Workload, dtype: str) -> float:
    """Bound on the difference of outputs, relative to the largest."""
    return FACTOR * float(np.finfo(dtype).eps) * sum(n_inputs**0.5 for n_inputs, _ in workload.layers)


def _close(what: str, got: Any, expected: Any, tolerance: float, norm: Callable[[Array], Any]) -> None:
    difference = np.asarray(got, "float64") - np.asarray(expected, "float64")
    size = float(norm(np.asarray(expected, "float64")))
    if not size > 0 or not float(norm(difference)) <= tolerance * size:  # a NaN fails, and so does all zeros
        raise UnverifiedError(f"{what}: off by {norm(difference):.3g} of {size:.3g}, allowed {tolerance:.1e} of it")


def _largest(values: Array) -> float:
    return float(np.abs(values).max())


def check(one: Implementation, other: Implementation, workload: Workload, x: Array, y: Array, batch_size: int) -> None:
    """Compare the outputs and, where the workload trains, one epoch in fixed order; both must be new."""
    dtype = max(one.dtype, other.dtype, key=lambda name: float(np.finfo(name).eps))
    who, tolerance = f"{workload.name}, {one.name}", output_tolerance(workload, dtype)
    rows, expected = one.convert(x), np.asarray(other.predict(other.convert(x)))
    _close(f"{who}, outputs", one.predict(rows), expected, tolerance, _largest)
    for i in range(min(len(x), 5)):
        _close(f"{who}, outputs of row {i}", one.predict_row(rows[i]), expected[i], tolerance, _largest)
    if not workload.trains:
        return
    start = initial_parameters(workload)
    loss = one.fit(rows, one.convert(y), shuffle=False, batch_size=batch_size)
    expected_loss = other.fit(other.convert(x), other.convert(y), shuffle=False, batch_size=batch_size)
    _close(f"{who}, loss", loss, expected_loss, STEP[dtype], _largest)
    change = np.asarray(other.parameters) - start
    _close(f"{who}, change of parameters", np.asarray(one.parameters) - start, change, STEP[dtype], np.linalg.norm)


_checked_oracles: set[tuple[str, bytes, bytes]] = set()  # pure Python is slow: once for all that it stands behind


def _oracle(workload: Workload) -> Implementation:
    return Numpy(workload, "float64", LAYOUTS[0])


def verify(name: str, workload: Workload, x: Array, y: Array, dtype: str = "float32") -> Verified:
    """Check the implementation against the oracles and return it, fresh, ready to be timed."""
    few = (workload.name, x[:3].tobytes(), y[:3].tobytes())
    if few not in _checked_oracles:
        check(_oracle(workload), Reference(workload), workload, x[:3], y[:3], 2)
        _checked_oracles.add(few)
    if name != "reference":
        n_rows = workload.check_rows
        check(make(name, workload, dtype), _oracle(workload), workload, x[:n_rows], y[:n_rows], workload.batch_size)
    return Verified(make(name, workload, dtype), workload)
