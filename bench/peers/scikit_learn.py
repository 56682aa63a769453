"""scikit-learn's MLPRegressor and MLPClassifier, with the workload's parameters as their fitted attributes.

An epoch is one call of `partial_fit`. Where the estimators cannot compute the workload exactly,
`Implementation.workload` is changed accordingly, and results are compared with those of the changed workload.
MLPRegressor has linear outputs only, so that a workload with squared errors and another output activation is computed
with linear outputs (the same products, a cheaper last step) and a smaller learning rate; its loss is also a mean over
the outputs, which `fit` corrects. Adam adds its epsilon before the bias correction, so that it gets an epsilon too
small to matter.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from face import Array, Implementation, flat, layer_arrays, optimizer_of, targets
from sklearn.neural_network import MLPClassifier, MLPRegressor
from workloads import Workload, initial_parameters

_ACTIVATIONS = {"sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
_EPSILON, _SMALL_RATE = 1e-20, 0.01


class ScikitLearn(Implementation):
    """The estimator for the workload's loss."""

    name = "scikit-learn"

    def __init__(self, workload: Workload, dtype: str = "float32") -> None:
        self._classifies = workload.loss == "cross_entropy"
        workload = dataclasses.replace(workload, epsilon=_EPSILON)
        if not self._classifies and workload.output_activation != "identity":
            sgd = ("sgd", _SMALL_RATE)
            workload = dataclasses.replace(workload, output_activation="identity", optimizer=workload.optimizer and sgd)
        super().__init__(workload, dtype)
        optimizer = optimizer_of(workload)
        self.estimator: Any = (MLPClassifier if self._classifies else MLPRegressor)(
            hidden_layer_sizes=workload.sizes[1:-1],
            activation=_ACTIVATIONS[workload.activation],
            solver=optimizer.name,
            learning_rate_init=optimizer.learning_rate,
            alpha=0.0,
            batch_size=1,
            momentum=0.0,
            epsilon=workload.epsilon,
            random_state=0,
        )
        self.set_parameters(initial_parameters(workload))
        self.predict_row = self.predict = self.estimator.predict
        if self._classifies:
            self.predict_row = self.predict = self.estimator.predict_proba

    def set_parameters(self, vector: Array) -> None:
        """Fit on a few rows, so that the attributes exist; then set the parameters and delete the optimiser's state."""
        n_outputs = self.workload.sizes[-1]
        x = np.zeros((n_outputs, self.workload.sizes[0]), self.dtype)
        if self._classifies:
            self.estimator.partial_fit(x, np.arange(n_outputs), classes=np.arange(n_outputs))
        else:
            self.estimator.partial_fit(x, self.convert(np.zeros((n_outputs, n_outputs))))
        del self.estimator._optimizer
        layers = layer_arrays(vector, self.workload, self.dtype)
        self.estimator.coefs_ = [np.ascontiguousarray(w.T) for w, _ in layers]
        self.estimator.intercepts_ = [b for _, b in layers]

    def convert(self, rows: Array) -> Any:
        if rows.dtype.kind == "i":
            return rows if self._classifies else targets(rows, self.workload, self.dtype)
        rows = np.ascontiguousarray(rows, self.dtype)
        return rows.ravel() if rows.shape[1] == 1 else rows

    def single_rows(self, rows: Array) -> list[Any]:
        return list(self.convert(rows)[:, None])

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        self.estimator.set_params(shuffle=shuffle, batch_size=batch_size)
        self.estimator.partial_fit(x, y)
        return float(self.estimator.loss_) * (1 if self._classifies else self.workload.sizes[-1])

    @property
    def parameters(self) -> Array:
        coefficients, intercepts = self.estimator.coefs_, self.estimator.intercepts_
        return flat([(w.T, b) for w, b in zip(coefficients, intercepts, strict=True)])
