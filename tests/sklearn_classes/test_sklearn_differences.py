"""The statements of docs/coming_from_scikit_learn.md on weights and ties, tested with both libraries."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

from sklearn import neural_network  # noqa: E402

import fastmlp.sklearn  # noqa: E402
from fastmlp.sklearn import MLPClassifier  # noqa: E402

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "coming_from_scikit_learn.md"
X, Y = np.eye(4), [0, 1, 0, 1]


def differences() -> str:
    return " ".join(PAGE.read_text(encoding="utf-8").partition("## What differs")[2].split())


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_negative_sample_weights_are_refused(name: str, method: str, solver: str) -> None:
    assert (
        "**Negative sample weights** are refused, in `fit` and `partial_fit`; scikit-learn takes them." in differences()
    )
    if solver == "lbfgs" and method == "partial_fit":
        return  # neither class has it
    weights = [1.0, -0.5, 2.0, 0.3]
    words: dict[str, Any] = {"classes": [0, 1]} if name == "MLPClassifier" and method == "partial_fit" else {}
    theirs, ours = (getattr(module, name)(max_iter=1, solver=solver) for module in (neural_network, fastmlp.sklearn))
    getattr(theirs, method)(X, Y, sample_weight=weights, **words)
    with pytest.raises(ValueError, match=r"sample_weight: expected finite numbers of at least 0, got -0.5 at row 1"):
        getattr(ours, method)(X, Y, sample_weight=weights, **words)
    assert not hasattr(ours, "coefs_")


@pytest.mark.parametrize("loss", ["log_loss", "hinge"])
def test_outputs_about_a_tie(loss: str) -> None:
    """For outputs z from -1e-16 to 1e-16, classes follow scikit-learn's rule, and so do the network's metrics."""
    assert "**Ties**: where the probability is exactly 0.5, `predict`, `score`, early stopping and" in PAGE.read_text()
    z = np.array([-1e-16, -1e-300, -0.0, 0.0, 1e-300, 1e-17, 1e-16, 1e-15])
    model = MLPClassifier(hidden_layer_sizes=[1], activation="identity", loss=loss)
    model.coefs_, model.intercepts_ = [np.ones((1, 1)), np.ones((1, 1))], [np.zeros(1), np.zeros(1)]
    model.classes_ = np.array([0, 1])
    y = (z > 0).astype(int) if loss == "hinge" else (1 / (1 + np.exp(-z)) > 0.5).astype(int)
    rows, network = z[:, np.newaxis], model.to_network()
    np.testing.assert_array_equal(model.predict(rows), y)
    np.testing.assert_array_equal(network.classify(rows), y)
    figures = network.evaluate(rows, y, metrics=["accuracy", "f1", "precision"])
    assert (figures["accuracy"], figures["f1"], figures["precision"]) == (1.0, 1.0, 1.0)


def test_early_stopping_counts_as_score_does() -> None:
    """If all outputs are ties (weights of 0, a tiny rate), held-out rows are scored as by `score`."""
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(60, 3)), (np.arange(60) % 3 == 0).astype(int)
    words: dict[str, Any] = {"hidden_layer_sizes": 2, "learning_rate_init": 1e-300, "solver": "sgd", "alpha": 0.0}
    model = MLPClassifier(early_stopping=True, warm_start=True, max_iter=2, random_state=0, **words).fit(rows, y)
    model.coefs_, model.intercepts_ = [w * 0 for w in model.coefs_], [b * 0 for b in model.intercepts_]
    model.fit(rows, y, X_val=rows, y_val=y)
    assert model.validation_scores_[-1] == model.score(rows, y) == 2 / 3
