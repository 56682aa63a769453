"""Many: the interface of everything that trains many small networks at once, and the ways of fastmlp to do it.

A Many is made from a workload and from the parameters of K networks of its shape. It converts the data, which is not
timed, and returns functions that are: one trains all networks for an epoch, the other predicts with all of them. Peers
are in `peers/many_*.py`. `populations.py` verifies and times them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
from face import Array, optimizer_of
from workloads import Workload

import fastmlp


class Many:
    """K networks of the workload's shape.

    Parameters
    ----------
    workload : Workload
    P : ndarray, shape (K, n_parameters)
        The parameters with which the networks begin, each row in the order of `fastmlp.Network.parameters`.
    dtype : str
    n_threads : int
        The number of threads to use in all.
    """

    shuffles: ClassVar[bool] = True  # by itself; otherwise the order of the rows is always given
    predicts: ClassVar[bool] = True

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        self.workload, self.dtype, self.n_threads = workload, dtype, n_threads  # the workload that is computed
        self.P = np.ascontiguousarray(P, dtype)

    def epoch(self, x: Array, y: Array, orders: Array | None) -> Callable[[], Array]:
        """Convert the data; return the function that trains all networks for an epoch and returns their losses (K,).

        `orders` (K, B) has the order of the rows for each network. None: each network shuffles by itself.
        """
        raise NotImplementedError

    def predictor(self, x: Array) -> Callable[[], Array]:
        """Convert the rows; return the function that predicts with P, in which packing P is included: (K, B, O)."""
        raise NotImplementedError

    @property
    def parameters(self) -> Array:
        """The parameters of the networks as they are now, shape (K, n_parameters)."""
        raise NotImplementedError


class _Own(Many):
    """The networks of fastmlp; network k shuffles by the seed k. A call trains for `n_epochs` epochs."""

    n_epochs = 1

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        super().__init__(workload, P, dtype, n_threads)
        self.networks = [self._network(seed, 1) for seed in range(len(P))]
        for network, parameters in zip(self.networks, self.P, strict=True):
            network.parameters = parameters
        self._given = {"batch_size": workload.batch_size, "optimizer": optimizer_of(workload)}

    def _network(self, seed: int, n_threads: int) -> fastmlp.Network:
        functions = {name: getattr(self.workload, name) for name in ("activation", "output_activation", "loss")}
        return fastmlp.Network(self.workload.sizes, **functions, dtype=self.dtype, seed=seed, n_threads=n_threads)

    @property
    def _options(self) -> dict[str, Any]:
        return {"epochs": self.n_epochs, **self._given}

    def _fit(self, k: int, x: Array, y: Array, orders: Array | None) -> fastmlp.History:
        if orders is None:
            return self.networks[k].fit(x, y, **self._options)
        return self.networks[k].fit(x[orders[k]], y[orders[k]], shuffle=False, **self._options)

    def epoch(self, x: Array, y: Array, orders: Array | None) -> Callable[[], Array]:
        x, y = np.ascontiguousarray(x, self.dtype), np.ascontiguousarray(y, self.dtype)
        return lambda: np.array([history["loss"][-1] for history in self._train(x, y, orders)])

    def _train(self, x: Array, y: Array, orders: Array | None) -> Any:
        """Train all networks for an epoch, and return their histories."""
        raise NotImplementedError

    @property
    def parameters(self) -> Array:
        return np.array([network.parameters for network in self.networks])


class FitMany(_Own):
    """`fastmlp.fit_many`, and `predict_population`."""

    def _train(self, x: Array, y: Array, orders: Array | None) -> Any:
        rows = {} if orders is None else {"rows": orders, "shuffle": False}
        return fastmlp.fit_many(self.networks, x, y, n_threads=self.n_threads, **rows, **self._options)

    def predictor(self, x: Array) -> Callable[[], Array]:
        network, x = self._network(0, self.n_threads), np.ascontiguousarray(x, self.dtype)
        return lambda: network.predict_population(self.P, x)


class Alone(_Own):
    """`fit`, one network after the other; one network predicts with the parameters of all, one after the other."""

    def _train(self, x: Array, y: Array, orders: Array | None) -> Any:
        return [self._fit(k, x, y, orders) for k in range(len(self.networks))]

    def predictor(self, x: Array) -> Callable[[], Array]:
        network, x = self._network(0, 1), np.ascontiguousarray(x, self.dtype)

        def predict(parameters: Array) -> Array:
            network.parameters = parameters
            return network.predict(x)

        return lambda: np.array([predict(parameters) for parameters in self.P])


class Pool(_Own):
    """`fit`, called by a pool of Python threads."""

    predicts = False

    def _train(self, x: Array, y: Array, orders: Array | None) -> Any:
        with ThreadPoolExecutor(self.n_threads) as pool:
            return list(pool.map(lambda k: self._fit(k, x, y, orders), range(len(self.networks))))
