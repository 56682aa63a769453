"""The network that `to_network` makes of an estimator, and its saved file: they give the estimator's results, with its
names of columns and classes.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pandas = pytest.importorskip("pandas")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

import fastmlp  # noqa: E402
from fastmlp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
NUMBER = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.5)  # 0, 1, 2
WORDS: dict[str, Any] = {"hidden_layer_sizes": [4], "max_iter": 30, "random_state": 0, "learning_rate_init": 0.05}


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["a", "b", "c"], ("a", "b", "c")),
        (np.array(["a", "b", "c"], object), ("a", "b", "c")),
        (np.array(["x", "y", "zz"], "U5"), ("x", "y", "zz")),
        ([3, 5, 2**60], (3, 5, 2**60)),
        (np.array([-1, 0, 7], "i1"), (-1, 0, 7)),
        (np.array([0, 1, 2**64 - 1], "u8"), (0, 1, 2**64 - 1)),
        ([-1.0, 0.0, 2.0], (-1.0, 0.0, 2.0)),  # scikit-learn accepts only whole floats as labels
        (np.array([-1, 0, 2], "f4"), (-1.0, 0.0, 2.0)),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes_are_the_networks(labels: Any, names: Any, n_classes: int, tmp_path: pathlib.Path) -> None:
    y = np.asarray(labels)[np.minimum(NUMBER, n_classes - 1)]
    model = MLPClassifier(**WORDS).fit(X, y)
    network = model.to_network()
    assert network.class_names == names[:n_classes]
    assert [type(name) for name in network.class_names] == [type(name) for name in names[:n_classes]]
    network.save(tmp_path / "m.safetensors")
    for each in (network, fastmlp.load(tmp_path / "m.safetensors")):
        assert list(each.classify(X, names=True)) == model.predict(X).tolist()
        assert each.evaluate(X, y)["accuracy"] == pytest.approx(model.score(X, y), rel=1e-12)


@pytest.mark.parametrize(
    "y",
    [
        NUMBER > 0,
        np.array([False, "b", 3], object)[NUMBER] == "b",
        np.eye(3, dtype=int)[NUMBER],
        np.zeros(60, int),
    ],
    ids=["bool", "a comparison", "several labels", "one class"],
)
def test_classes_that_no_network_can_name(y: Any) -> None:
    model = MLPClassifier(**WORDS).fit(X, y)
    network = model.to_network()
    assert network.class_names is None
    assert network.classify(X).shape == (60,)


def test_a_mixture_of_kinds_has_no_names() -> None:
    """scikit-learn's `fit` accepts no names of mixed types; assigned ones are used unchanged."""
    model = MLPClassifier(**WORDS).fit(X, NUMBER)
    for classes in (["a", 1, 2.0], [0, 1.5, 3], [True, 2, 3], [0.0, 1.0, np.nan], [1, 2, 2**70], [None, "a", "b"]):
        model.classes_ = np.array(classes, object)
        assert model.to_network().class_names is None


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_columns_are_found_by_their_names(kind: Any, tmp_path: pathlib.Path) -> None:
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = kind(**WORDS).fit(frame, NUMBER)
    network = model.to_network()
    assert network.feature_names == ("a", "b", "c")
    expected = model.predict_proba(frame) if kind is MLPClassifier else model.predict(frame)[:, np.newaxis]
    network.save(tmp_path / "m.safetensors")
    for each in (network, fastmlp.load(tmp_path / "m.safetensors")):
        np.testing.assert_array_equal(each.predict(frame), expected)
        np.testing.assert_array_equal(each.predict(frame[["c", "a", "b"]]), expected)
        np.testing.assert_array_equal(each.predict(X), expected)
        with pytest.raises(ValueError, match="X: expected the columns 'a', 'b', 'c'"):
            each.predict(frame.rename(columns={"b": "other"}))


def test_without_names_there_are_none() -> None:
    network = MLPRegressor(**WORDS).fit(X, NUMBER).to_network()
    assert (network.feature_names, network.class_names) == (None, None)
    model = MLPRegressor(**WORDS).fit(X, NUMBER)
    model.feature_names_in_ = np.array(["a", "b", "a"], object)  # as of a frame with two columns of the same name
    assert model.to_network().feature_names is None


def test_names_are_of_the_network_alone() -> None:
    """Renaming the network's columns or classes does not change the estimator."""
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    model = MLPClassifier(**WORDS).fit(frame, NUMBER)
    before = model.predict_proba(frame)
    model.to_network().fit(frame, NUMBER, epochs=2)
    np.testing.assert_array_equal(model.predict_proba(frame), before)
    assert model._current_network().class_names is None


def test_labels_that_no_file_can_hold_stay_the_estimators_own() -> None:
    """Labels that no file can hold stay those of the estimator; its network has no class names."""
    X = np.random.default_rng(0).normal(size=(20, 2))
    y = np.array(["a\ud800", "b"] * 10, dtype=object)
    model = MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    assert set(model.predict(X)) <= {"a\ud800", "b"}
    assert model.to_network().class_names is None
