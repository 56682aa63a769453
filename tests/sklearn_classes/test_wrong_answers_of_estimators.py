"""Cases in which estimators once gave a wrong result, or none, and scikit-learn the correct one, with similar cases.

They are: assigned weights, of any dtype and without a fit; large targets; numbers out of float32's range; negative row
weights; ties. The correct results are those of scikit-learn, or follow from how the weights are made.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier as PeerClassifier
from sklearn.neural_network import MLPRegressor as PeerRegressor
from sklearn.preprocessing import StandardScaler

from fastmlp.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # one epoch is enough here

RNG = np.random.default_rng


def r2(said: Any, y: Any) -> float:
    """Return R2, the explained share of the variance."""
    return 1 - float(np.var(np.asarray(said, float).ravel() - y) / np.var(y))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_large_targets_of_an_estimator_on_float32_rows_as_of_scikit_learn(solver: str) -> None:
    x = np.linspace(0, 6, 400, dtype=np.float32)[:, None]
    y = 1.7e9 + 50 * np.sin(x[:, 0].astype(np.float64))
    words: dict[str, Any] = {"hidden_layer_sizes": [32], "activation": "tanh", "solver": solver, "random_state": 0}
    scores = []
    for kind in (PeerRegressor, MLPRegressor):
        model = TransformedTargetRegressor(kind(max_iter=400, tol=1e-7, **words), transformer=StandardScaler())
        scores.append(r2(model.fit(x, y).predict(x), y))
    assert scores[1] > min(scores[0], 0.99) - 0.01


def test_targets_beyond_float32_of_an_estimator_are_shown_as_given() -> None:
    model = MLPRegressor(hidden_layer_sizes=[2], max_iter=1, random_state=0)
    with pytest.raises(ValueError, match=r"1e\+39, more than float32 can hold"):
        model.fit(np.ones((4, 2), np.float32), np.full(4, 1e39))


# --------------------------------------------------------------------------------------------- weights put in by hand

SQUARE = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = [[[1, 1], [1, 1]], [[1], [-2]]], [[0, -1], [0]]


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint8", "float16", "float32", "float64", "longdouble"])
def test_weights_by_hand_of_any_dtype(dtype: str) -> None:
    model = MLPRegressor(hidden_layer_sizes=[2], max_iter=1, random_state=0).fit(SQUARE, [0, 1, 1, 0])
    weights = [[[1, 1], [1, 1]], [[1], [-2 if dtype != "uint8" else 0]]]
    model.coefs_ = [np.array(each, dtype) for each in weights]
    model.intercepts_ = [np.array(each).astype(dtype if dtype != "uint8" else "int64") for each in XOR[1]]
    peer = PeerRegressor(hidden_layer_sizes=[2], max_iter=1, random_state=0).fit(SQUARE, [0, 1, 1, 0])
    peer.coefs_, peer.intercepts_ = model.coefs_, model.intercepts_
    np.testing.assert_array_equal(model.predict(SQUARE), peer.predict(SQUARE))
    assert dtype == "uint8" or model.predict(SQUARE).tolist() == [0, 1, 1, 0]


def test_weights_by_hand_that_are_masks() -> None:
    model = MLPRegressor(hidden_layer_sizes=[2], max_iter=1, random_state=0).fit(SQUARE, [0, 1, 1, 0])
    model.coefs_ = [np.array([[True, True], [True, True]]), np.array([[1], [-2]])]
    model.intercepts_ = [np.array([0, -1]), np.array([0])]
    assert model.predict(SQUARE).tolist() == [0, 1, 1, 0]


def test_the_widest_layer_decides_the_dtype() -> None:
    model = MLPRegressor(hidden_layer_sizes=[2], max_iter=1, random_state=0).fit(SQUARE, [0, 1, 1, 0])
    model.coefs_ = [np.ones((2, 2), np.float32), np.zeros((2, 1))]
    model.intercepts_ = [np.zeros(2, np.float32), np.array([100000000.617])]
    assert model.predict(SQUARE).tolist() == [100000000.617] * 4


@pytest.mark.parametrize("given", [SQUARE, SQUARE.tolist(), SQUARE.astype(np.float32), np.asfortranarray(SQUARE)])
def test_an_estimator_with_weights_but_without_a_fit(given: Any) -> None:
    regressor = MLPRegressor(hidden_layer_sizes=[2])
    regressor.coefs_ = [np.ones((2, 2)), np.array([[1.0], [-2.0]])]
    regressor.intercepts_ = [np.array([0.0, -1.0]), np.zeros(1)]
    regressor.n_layers_, regressor.n_outputs_, regressor.out_activation_ = 3, 1, "identity"
    assert regressor.predict(given).tolist() == [0, 1, 1, 0]
    fitted = PeerClassifier(hidden_layer_sizes=[2], max_iter=1, random_state=0).fit(SQUARE, [0, 1, 1, 0])
    ours, peer = MLPClassifier(hidden_layer_sizes=[2]), PeerClassifier(hidden_layer_sizes=[2])
    for model in (ours, peer):
        model.coefs_, model.intercepts_ = regressor.coefs_, [np.array([0.0, -1.0]), np.array([-0.5])]
        model.n_layers_, model.n_outputs_, model.out_activation_ = 3, 1, "logistic"
        model.classes_, model._label_binarizer = fitted.classes_, fitted._label_binarizer
    assert ours.predict(given).tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(ours.predict_proba(given), peer.predict_proba(given), rtol=1e-6)


def test_shapes_of_weights_that_only_add_up_are_refused() -> None:
    x = RNG(0).normal(size=(9, 2))
    model = MLPRegressor(hidden_layer_sizes=[3], max_iter=1, random_state=0).fit(x, x[:, 0])
    model.intercepts_[0], model.coefs_[1] = np.ones(2), np.ones((4, 1))
    with pytest.raises(ValueError, match=r"coefs_|intercepts_"):
        model.predict(x[:2])


def test_transposed_weights_are_named() -> None:
    x = RNG(0).normal(size=(9, 2))
    model = MLPRegressor(hidden_layer_sizes=[3], max_iter=1, random_state=0).fit(x, x[:, 0])
    model.coefs_[1] = np.ones((1, 3))
    with pytest.raises(ValueError, match=r"coefs_\[1\]") as caught:
        model.predict(x[:2])
    assert "(3, 1)" in str(caught.value)
    assert "(1, 3)" in str(caught.value)


# --------------------------------------------------------------------------------------------------- weights of rows


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_negative_weights_of_rows_as_scikit_learn_or_documented(kind: str, method: str) -> None:
    peers = {"classifier": (PeerClassifier, MLPClassifier), "regressor": (PeerRegressor, MLPRegressor)}[kind]
    words = {"classes": [0, 1]} if (kind, method) == ("classifier", "partial_fit") else {}
    words["sample_weight"] = [1.0, -0.5, 2.0, 0.3]
    peer, model = (each(max_iter=1, random_state=0, activation="identity") for each in peers)
    getattr(peer, method)(np.eye(4), [0, 1, 0, 1], **words)
    try:
        getattr(model, method)(np.eye(4), [0, 1, 0, 1], **words)
    except ValueError:
        page = (Path(__file__).parents[2] / "docs" / "coming_from_scikit_learn.md").read_text(encoding="utf-8")
        differs = page[page.index("What differs") :]
        said = re.search(r"negative[^.]*weight|weight[^.]*negative", differs, re.IGNORECASE)
        assert said, "negative weights are refused, and no word of it in the documentation"
        return
    assert model.loss_ == pytest.approx(peer.loss_, rel=0.5)


# --------------------------------------------------------------------------------------------------------------- ties


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_tie_is_one_class_for_the_estimator_and_its_network(n_classes: int, dtype: str) -> None:
    x = np.eye(6, dtype=dtype)
    y = np.arange(6) % n_classes
    model, peer = (kind([4], max_iter=1, random_state=0) for kind in (MLPClassifier, PeerClassifier))
    for each in (model, peer):
        each.fit(x, y)
        each.coefs_ = [w * 0 for w in each.coefs_]
        each.intercepts_ = [b * 0 for b in each.intercepts_]
    said = model.predict(x)
    np.testing.assert_array_equal(said, peer.predict(x))
    network = model.to_network()
    np.testing.assert_array_equal(network.classify(x), said)
    assert model.score(x, y) == pytest.approx(network.evaluate(x, y, metrics=["accuracy"])["accuracy"])
