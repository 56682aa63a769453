"""Searches and cross-validations over the estimators: the same in threads, one after another, and by `fit_many`."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

import joblib  # noqa: E402
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_validate  # noqa: E402

import fastmlp  # noqa: E402
from fastmlp.sklearn import MLPClassifier, MLPRegressor, parameters  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(180, 5))
CLASSES = (X[:, 0] > 0).astype(int) + (X[:, 1] * X[:, 2] > 0)
NUMBERS = np.sin(X[:, 0]) + X[:, 1] * X[:, 2]
GRID = {"alpha": [1e-4, 1.0], "learning_rate_init": [1e-3, 1e-2]}
ESTIMATORS = {"classifier": (MLPClassifier, CLASSES), "regressor": (MLPRegressor, NUMBERS)}
FOLDS = KFold(3)


def of_time(name: str) -> bool:
    """Return whether this is one of the results that are different each time."""
    return "time" in name


@pytest.fixture(params=ESTIMATORS)
def targets(request: pytest.FixtureRequest) -> tuple[type, Any]:
    """Return a class of estimators and its targets."""
    return ESTIMATORS[request.param]


@pytest.mark.parametrize("words", [{"early_stopping": True}, {"tol": 1e-3, "n_iter_no_change": 3}, {"max_iter": 15}])
@pytest.mark.parametrize("n_threads", [None, 2])
def test_a_search_in_threads(targets: tuple[type, Any], words: dict[str, Any], n_threads: int | None) -> None:
    """Scores, fitted parameters and predictions have the bits of those of one fit after another."""
    kind, y = targets
    model = kind(**{"hidden_layer_sizes": [12], "random_state": 0, "max_iter": 40, **words}, n_threads=n_threads)
    searches = []
    for n_jobs in (1, 2):
        with joblib.parallel_config(backend="threading"):
            searches.append(GridSearchCV(model, GRID, cv=FOLDS, n_jobs=n_jobs, error_score="raise").fit(X, y))
    alone, threads = searches
    assert threads.best_params_ == alone.best_params_
    assert alone.cv_results_.keys() == threads.cv_results_.keys()
    for name in itertools.filterfalse(of_time, alone.cv_results_):
        np.testing.assert_array_equal(threads.cv_results_[name], alone.cv_results_[name])
    assert len(set(alone.cv_results_["mean_test_score"])) > 1
    np.testing.assert_array_equal(threads.predict(X), alone.predict(X))
    for name in ("coefs_", "intercepts_", "loss_curve_", "n_iter_"):
        ours, theirs = (getattr(each.best_estimator_, name) for each in (threads, alone))
        assert str(ours) == str(theirs)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_cross_validation_in_threads(targets: tuple[type, Any], early_stopping: bool) -> None:
    kind, y = targets
    model = kind(hidden_layer_sizes=[12], random_state=0, max_iter=20, early_stopping=early_stopping)
    found = []
    for n_jobs in (1, 2):
        with joblib.parallel_config(backend="threading"):
            done = cross_validate(model, X, y, cv=FOLDS, n_jobs=n_jobs, return_estimator=True)
            found.append((done, cross_val_predict(model, X, y, cv=FOLDS, n_jobs=n_jobs)))
    (alone, predicted), (threads, predicted_in_threads) = found
    np.testing.assert_array_equal(threads["test_score"], alone["test_score"])
    np.testing.assert_array_equal(predicted_in_threads, predicted)
    for a, b in zip(alone["estimator"], threads["estimator"], strict=True):
        np.testing.assert_array_equal(a.to_network().parameters, b.to_network().parameters)


def test_the_same_grid_and_folds_by_fit_many(targets: tuple[type, Any]) -> None:
    """`fit_many` with the settings that the estimator stands for gives the parameters of each fit, to the bit."""
    kind, y = targets
    words = {"hidden_layer_sizes": [12], "shuffle": False, "max_iter": 15, "n_iter_no_change": np.inf, "batch_size": 32}
    model = kind(**words, random_state=0)
    with joblib.parallel_config(backend="threading"):
        search = GridSearchCV(model, GRID, cv=FOLDS, n_jobs=2).fit(X, y)
        folds = cross_validate(model, X, y, cv=FOLDS, n_jobs=2, return_estimator=True)["estimator"]
    n_outputs, loss = (3, "cross_entropy") if kind is MLPClassifier else (1, "half_squared_error")
    begin = parameters.first_parameters([5, 12, n_outputs], "relu", np.float64, np.random.RandomState(0))
    first = np.concatenate([part.T.ravel() for pair in zip(*begin, strict=True) for part in pair])
    cases = list(itertools.product(GRID["alpha"], GRID["learning_rate_init"], FOLDS.split(X)))
    networks = [fastmlp.Network([5, 12, n_outputs], loss=loss, dtype="float64") for _ in cases]
    for network in networks:
        network.parameters = first
    fastmlp.fit_many(
        networks,
        X,
        y,
        rows=[train for _, _, (train, _) in cases],
        epochs=15,
        batch_size=32,
        shuffle=False,
        optimizer=[fastmlp.AdamHat(rate) for _, rate, _ in cases],
        regularization=[fastmlp.Regularization(l2=alpha, per_row=True) for alpha, _, _ in cases],
    )
    metric = "accuracy" if kind is MLPClassifier else "r2"
    scores = [
        network.evaluate(X[test], y[test], metrics=[metric])[metric]
        for network, (_, _, (_, test)) in zip(networks, cases, strict=True)
    ]
    theirs = [search.cv_results_[f"split{fold}_test_score"][case] for case in range(4) for fold in range(3)]
    np.testing.assert_allclose(scores, theirs, rtol=1e-12)
    for network, estimator in zip(networks[:3], folds, strict=True):
        np.testing.assert_array_equal(network.parameters, estimator.to_network().parameters)
