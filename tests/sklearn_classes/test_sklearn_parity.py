"""Loss curves and weights of both classes against scikit-learn's, from the same initial weights and without shuffling.

All is in float64, where the two differ by rounding errors, as sums have another order. docs/coming_from_scikit_learn.md
lists what scikit-learn reports differently.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

from sklearn import neural_network  # noqa: E402

import fastmlp  # noqa: E402
from fastmlp import sklearn as ours  # noqa: E402

(X, Y), _ = fastmlp.datasets.load_digits()
X, Y = X[:300].astype(np.float64), Y[:300]
RNG = np.random.default_rng(0)
LABELS = {
    "several classes": Y,
    "two classes": Y % 2,
    "words": np.array(["none", "few", "many"])[Y // 4],
    "several labels": Y[:, np.newaxis] % [2, 3, 5] == 0,
}
NUMBERS = {
    "one": Y / 4 + RNG.normal(size=300) / 8,
    "three": np.column_stack([Y / 4, X[:, 20], RNG.normal(size=300)]),
}
TRAININGS: dict[str, dict[str, Any]] = {
    "sgd": {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "nesterovs_momentum": False, "learning_rate_init": 0.05, "batch_size": 37},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "power_t": 0.25},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.05,
        "tol": 0.02,
        "n_iter_no_change": 2,
        "batch_size": 50,
    },
    "adam": {"batch_size": 37},
    "adam, other words": {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "learning_rate_init": 0.01},
    "logistic": {"activation": "logistic", "learning_rate_init": 0.01},
    "two hidden layers": {"hidden_layer_sizes": (20, 10), "activation": "tanh"},
    "identity": {"activation": "identity", "hidden_layer_sizes": 5},
    "stops": {"tol": 0.1, "n_iter_no_change": 3, "learning_rate_init": 0.01},
    "early stopping": {"early_stopping": True, "n_iter_no_change": 4, "learning_rate_init": 0.01, "batch_size": 20},
    "no penalty": {"alpha": 0.0},
    "much penalty": {"alpha": 1.0, "batch_size": 37},
}
FITTED = ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "_no_improvement_count", "n_features_in_")
CURVES = ("loss_curve_", "loss_", "best_loss_", "validation_scores_", "best_validation_score_")


def both(name: str, X: Any, y: Any, words: dict[str, Any], **fit: Any) -> list[Any]:
    words = {"hidden_layer_sizes": 16, "max_iter": 25, "shuffle": False, "random_state": 5, **words}
    return [getattr(module, name)(**words).fit(X, y, **fit) for module in (ours, neural_network)]


def assert_alike(actual: Any, expected: Any, curves: tuple[str, ...] = CURVES) -> None:
    for name in FITTED:
        assert getattr(actual, name) == getattr(expected, name), name
    for name in curves:
        ours, theirs = getattr(actual, name), getattr(expected, name)
        assert (ours is None, isinstance(ours, list)) == (theirs is None, isinstance(theirs, list))
        if theirs is not None:
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-8)
    for name in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(actual, name), getattr(expected, name), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)


@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("labels", LABELS)
def test_classifier(labels: str, training: str) -> None:
    y = LABELS[labels]
    actual, expected = both("MLPClassifier", X, y, TRAININGS[training])
    assert_alike(actual, expected)
    np.testing.assert_array_equal(actual.classes_, expected.classes_)
    np.testing.assert_array_equal(actual.predict(X), expected.predict(X))
    np.testing.assert_allclose(actual.predict_proba(X), expected.predict_proba(X), rtol=0, atol=1e-8)
    assert actual.score(X, y) == expected.score(X, y)


@pytest.mark.parametrize("training", TRAININGS)
def test_regressor(training: str) -> None:
    actual, expected = both("MLPRegressor", X, NUMBERS["one"], TRAININGS[training])
    assert_alike(actual, expected)
    np.testing.assert_allclose(actual.predict(X), expected.predict(X), rtol=0, atol=1e-8)


@pytest.mark.parametrize("training", ["nesterov", "adam", "early stopping", "no penalty"])
def test_several_outputs(training: str) -> None:
    """Without a penalty, whose part of the reported loss differs."""
    actual, expected = both("MLPRegressor", X, NUMBERS["three"], {**TRAININGS[training], "alpha": 0.0})
    assert_alike(actual, expected)
    np.testing.assert_allclose(actual.predict(X), expected.predict(X), rtol=0, atol=1e-8)


@pytest.mark.parametrize("training", ["nesterov", "adam", "early stopping", "much penalty"])
def test_poisson(training: str) -> None:
    y = np.random.default_rng(1).poisson(NUMBERS["one"] ** 2)
    actual, expected = both("MLPRegressor", X, y, {**TRAININGS[training], "loss": "poisson"})
    assert_alike(actual, expected)
    np.testing.assert_allclose(actual.predict(X), expected.predict(X), rtol=1e-8)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_weights_in_one_batch(name: str) -> None:
    weights = np.random.default_rng(2).uniform(0, 3, size=300)
    actual, expected = both(name, X, Y, {"batch_size": 300}, sample_weight=weights)
    assert_alike(actual, expected)


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("training", ["nesterov", "adam", "early stopping", "much penalty"])
def test_weights_in_batches(name: str, training: str) -> None:
    """The steps are scikit-learn's; the loss of an epoch is the weighted mean over rows, not over batches."""
    weights = np.random.default_rng(2).uniform(0, 3, size=300)
    words = {**TRAININGS[training], "n_iter_no_change": np.inf, "max_iter": 8}
    actual, expected = both(name, X, Y, words, sample_weight=weights)
    assert_alike(actual, expected, curves=("validation_scores_", "best_validation_score_"))


def test_the_first_weights_are_scikit_learns() -> None:
    """The initial weights are scikit-learn's for a random_state, with any activation, shuffling and dtype."""
    for words in ({}, {"activation": "logistic", "hidden_layer_sizes": (7, 3)}):
        words = {**words, "learning_rate_init": 1e-30, "solver": "sgd", "max_iter": 1, "shuffle": True, "alpha": 0.0}
        actual, expected = both("MLPClassifier", X.astype(np.float32), Y, words)
        for a, b in zip(actual.coefs_ + actual.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
            assert a.dtype == np.float32
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("words", [{}, {"learning_rate": "invscaling"}, {"learning_rate": "adaptive", "tol": 0.5}])
def test_partial_fits_and_warm_starts(solver: str, words: dict[str, Any]) -> None:
    """partial_fit on parts of the rows, and then a warm-started fit, agree with scikit-learn."""
    words = {"solver": solver, "n_iter_no_change": 1, "warm_start": True, "max_iter": 3, "shuffle": False, **words}
    pair = [module.MLPClassifier(20, random_state=1, **words) for module in (ours, neural_network)]
    for epoch in range(8):
        part = slice(0, None, 1 + epoch % 2)
        for each in pair:
            each.partial_fit(X[part], Y[part], classes=np.arange(10))
        assert_alike(*pair)
    for each in pair:
        each.fit(X, Y)
    assert_alike(*pair)


def test_lbfgs_ends_as_well() -> None:
    """L-BFGS has a different line search, but ends with as small a loss."""
    for name, y in (("MLPClassifier", Y), ("MLPRegressor", NUMBERS["one"])):
        words = {"solver": "lbfgs", "max_iter": 2000, "tol": 1e-5, "activation": "tanh", "alpha": 0.01}
        actual, expected = both(name, X, y, words)
        assert actual.loss_ < 1.05 * expected.loss_ + 1e-4
        assert not hasattr(actual, "loss_curve_")
