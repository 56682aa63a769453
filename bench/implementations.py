"""The implementations of this project and the NumPy network, and the list of all implementations.

They are the pure-Python reference, each engine of this build on one thread, called as its users call it, and the NumPy
network that is written for the comparison. `names` lists them and the other libraries that are installed (`peers/`);
`make` makes any of them by its name. An implementation is timed only after `verification.py` has checked it.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

import numpy as np
import peers
from face import Array, Implementation, optimizer_of
from numpy_network import LAYOUTS, NumpyNetwork
from workloads import Workload, initial_parameters

import fastmlp
import fastmlp.reference


def _arguments(workload: Workload) -> dict[str, Any]:
    return {
        "activation": workload.activation,
        "output_activation": workload.output_activation,
        "loss": workload.loss,
    }


class Own(Implementation):
    """The base class of the reference and the engines, which have the same methods."""

    _network: Any

    def _start(self) -> None:
        """Set the workload's parameters; `predict` and `predict_row` are the network's own methods, not wrapped."""
        self._optimizer = optimizer_of(self.workload)
        self._network.parameters = initial_parameters(self.workload)
        self.predict_row = self.predict = self._network.predict

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        history = self._network.fit(x, y, epochs=1, batch_size=batch_size, optimizer=self._optimizer, shuffle=shuffle)
        return float(history["loss"][-1])

    @property
    def parameters(self) -> Any:
        return self._network.parameters


class Reference(Own):
    """`fastmlp.reference.Network`: pure Python, float64."""

    name = "reference"

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload, "float64")
        self._network = fastmlp.reference.Network(list(workload.sizes), **_arguments(workload), seed=0)
        self._start()

    def convert(self, rows: Array) -> Any:
        return rows.tolist()


class Engine(Own):
    """`fastmlp.Network` on one of its engines, by default on one thread, called as its users call it."""

    def __init__(self, workload: Workload, engine: str, dtype: str = "float32", n_threads: Any = 1) -> None:
        super().__init__(workload, dtype)
        self.name = f"fastmlp {engine}"
        self._network = fastmlp.Network(
            workload.sizes, **_arguments(workload), dtype=dtype, seed=0, engine=engine, n_threads=n_threads
        )
        if self._network.engine != engine:
            raise RuntimeError(f"engine: expected {engine!r}, got {self._network.engine!r}")
        self._start()


class Numpy(Implementation):
    """The fast NumPy network, with the layout of the weights that was found to train faster on this machine."""

    name = "NumPy"
    _faster_layouts: ClassVar[dict[tuple[str, str], str]] = {}

    def __init__(self, workload: Workload, dtype: str = "float32", layout: str | None = None) -> None:
        super().__init__(workload, dtype)
        self._optimizer = optimizer_of(workload)
        if layout is None:
            layout = self._faster_layout(workload, dtype) if workload.trains else LAYOUTS[0]
        self._network = NumpyNetwork(workload.sizes, **_arguments(workload), dtype=dtype, layout=layout)
        self._network.parameters = initial_parameters(workload)
        self.predict_row, self.predict = self._network.predict_row, self._network.predict

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        return self._network.fit(x, y, epochs=1, batch_size=batch_size, optimizer=self._optimizer, shuffle=shuffle)[-1]

    @property
    def parameters(self) -> Any:
        return self._network.parameters

    @classmethod
    def _faster_layout(cls, workload: Workload, dtype: str) -> str:
        """Train a little with each layout; return the faster one, which is remembered for workload and dtype."""
        key = (workload.name, dtype)
        if key not in cls._faster_layouts:
            n_rows = workload.batch_size * (5 if workload.n_parameters > 10**5 else 50)
            x = np.random.default_rng(0).random((n_rows, workload.sizes[0])).astype(dtype)
            y = np.zeros((n_rows, workload.sizes[-1]), dtype)
            trials = []
            for layout in LAYOUTS * 4:
                network = cls(workload, dtype, layout)
                start = time.perf_counter()
                network.fit(x, y, shuffle=True, batch_size=workload.batch_size)
                trials.append((time.perf_counter() - start, layout))
            cls._faster_layouts[key] = min(trials)[1]
        return cls._faster_layouts[key]


def names(workload: Workload | None = None) -> list[str]:
    """Return the names of the implementations that can be measured here, or that can run the workload."""
    found = ["reference", *(f"fastmlp {engine}" for engine in fastmlp.info()["engines"]), "NumPy", *peers.installed()]
    trains = workload is not None and workload.trains
    return [name for name in found if not trains or name not in peers.PEERS or peers.PEERS[name].trains]


def make(name: str, workload: Workload, dtype: str = "float32") -> Implementation:
    """Make the implementation of that name, with the workload's initial parameters."""
    if name == "reference":
        return Reference(workload)
    if name == "NumPy":
        return Numpy(workload, dtype)
    if name in peers.PEERS:
        return peers.make(name, workload, dtype)
    return Engine(workload, name.removeprefix("fastmlp "), dtype)
