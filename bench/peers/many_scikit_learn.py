"""scikit-learn for many networks: an MLPRegressor for each, trained in parallel by joblib, in threads or in processes.

An epoch of a network is one call of `partial_fit`. Processes (loky) return the trained estimators, as a user needs
them; they are started before anything is timed. Adam's epsilon is as in `scikit_learn.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from face import Array, flat
from joblib import Parallel, delayed
from many_networks import Many
from workloads import Workload

from .scikit_learn import ScikitLearn


def _trained(estimator: Any, x: Array, y: Array) -> Any:
    """Train the estimator for an epoch and return it."""
    return estimator.partial_fit(x, y)


class _Joblib(Many):
    """The estimators, and the backend of joblib."""

    predicts = False
    backend: ClassVar[str]

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        made = [ScikitLearn(workload, dtype) for _ in P]
        super().__init__(made[0].workload, P, dtype, n_threads)
        for one, parameters in zip(made, P, strict=True):
            one.set_parameters(parameters)
        self._estimators = [one.estimator for one in made]

    def epoch(self, x: Array, y: Array, orders: Array | None) -> Callable[[], Array]:
        x, y = np.ascontiguousarray(x, self.dtype), np.ascontiguousarray(y, self.dtype).ravel()
        own = [(x, y)] * len(self.P) if orders is None else [(x[order], y[order]) for order in orders]
        for estimator in self._estimators:
            estimator.set_params(shuffle=orders is None, batch_size=self.workload.batch_size)

        def run() -> Array:
            work = (delayed(_trained)(each, *rows) for each, rows in zip(self._estimators, own, strict=True))
            self._estimators = Parallel(n_jobs=self.n_threads, backend=self.backend)(work)
            return np.array([estimator.loss_ for estimator in self._estimators])

        return run

    @property
    def parameters(self) -> Array:
        layers = (zip(each.coefs_, each.intercepts_, strict=True) for each in self._estimators)
        return np.array([flat([(w.T, b) for w, b in each]) for each in layers])


class Threading(_Joblib):
    """Estimators that are trained in threads of one process."""

    backend = "threading"


class Loky(_Joblib):
    """Estimators that are trained in processes."""

    backend = "loky"
