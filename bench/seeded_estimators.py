"""Seeded trainings of the classes of `fastmlp.sklearn`, of which `same_bits.py` hashes the results.

The cases cover each solver, each kind of learning rate, early stopping, warm starts and `partial_fit`, for both
classes. A hash is of the curves, parameters, predictions or probabilities, and score. Only the public interface is
used, because the internals of the builds that are compared may differ.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import seeded_cases

OPTIONS: dict[str, dict[str, Any]] = {
    "adam": {},
    "adam, early stopping": {"early_stopping": True, "n_iter_no_change": 2},
    "sgd": {"solver": "sgd", "nesterovs_momentum": False},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 2},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "alpha": 0.1, "activation": "logistic"},
    "lbfgs": {"solver": "lbfgs", "activation": "tanh"},
    "warm start": {"warm_start": True, "hidden_layer_sizes": (17, 5)},
    "pieces": {"shuffle": False, "batch_size": 7},
}


def results(kind: Any, options: dict[str, Any], way: str) -> list[Any]:
    """Train an estimator of the class, and return its attributes, outputs and score."""
    rng = np.random.default_rng(0)
    X, regresses = rng.normal(size=(120, 6)), kind.__name__.endswith("Regressor")
    y = X @ rng.normal(size=6) if regresses else np.array(["a", "b", "c"])[rng.permutation(120) % 3]
    model = kind(**{"hidden_layer_sizes": (16,), "max_iter": 12, "random_state": 0, **options})
    if way == "pieces":
        for rows in (slice(0, 50), slice(50, 120)):
            model.partial_fit(X[rows], y[rows], **({} if regresses else {"classes": ["a", "b", "c"]}))
    else:
        for _ in range(2 if way == "warm start" else 1):
            model.fit(X, y)
    curves = {name: getattr(model, name, None) or [] for name in ("loss_curve_", "validation_scores_")}
    outputs = model.predict(X) if regresses else model.predict_proba(X)
    return [curves, model.loss_, model.n_iter_, *model.coefs_, *model.intercepts_, outputs, model.score(X, y)]


def hashes(step: int = 1) -> Iterator[tuple[str, str]]:
    """Yield the name and the hash of every `step`-th training; none if scikit-learn is not installed."""
    if importlib.util.find_spec("sklearn") is None:
        return
    estimators = importlib.import_module("fastmlp.sklearn")
    kinds = (estimators.MLPClassifier, estimators.MLPRegressor)
    for kind, (name, options) in list(itertools.product(kinds, OPTIONS.items()))[::step]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the training may not have converged
            yield f"estimators {kind.__name__}, {name}", seeded_cases.hashed(results(kind, options, name))
