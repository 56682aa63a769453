"""Metrics: each against scikit-learn, by name and as a function, in `fit` and in `evaluate`, and in the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.metrics import METRICS
from implementations import load_reference
from oracles import twin
from trainings import assert_same, classifier, data

REFERENCE = load_reference()


def rows(n_outputs: int, seed: int = 0, n_rows: int = 60) -> tuple[Any, Any]:
    """Return outputs with ties, and targets: 0 and 1, or one-hot rows."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 9, size=(n_rows, n_outputs)) / 8
    if n_outputs == 1:
        return rng.integers(2, size=(n_rows, 1)).astype(float), y
    return np.eye(n_outputs)[rng.integers(n_outputs, size=n_rows)], y


def oracle(name: str, t: Any, y: Any) -> float:
    """Return scikit-learn's result."""
    m = pytest.importorskip("sklearn.metrics")
    true, guess, many = t.argmax(1), y.argmax(1), t.shape[1] > 1
    if not many:
        true, guess = t[:, 0].astype(int), (y[:, 0] > 0.5).astype(int)
    average = {"average": "macro" if many else "binary", "zero_division": 0.0}
    by_name = {
        "accuracy": lambda: m.accuracy_score(true, guess),
        "balanced_accuracy": lambda: m.balanced_accuracy_score(true, guess),
        "precision": lambda: m.precision_score(true, guess, **average),
        "recall": lambda: m.recall_score(true, guess, **average),
        "f1": lambda: m.f1_score(true, guess, **average),
        "auc": lambda: m.roc_auc_score(t, y, average="macro"),
        "mae": lambda: m.mean_absolute_error(t, y),
        "mse": lambda: m.mean_squared_error(t, y),
        "rmse": lambda: math.sqrt(m.mean_squared_error(t, y)),
        "r2": lambda: m.r2_score(t, y),
    }
    return float(by_name[name]())


@pytest.mark.oracle
@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("n_outputs", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_metric_is_scikit_learns(name: str, n_outputs: int, seed: int) -> None:
    t, y = rows(n_outputs, seed)
    expected = oracle(name, t, y)
    assert METRICS[name](t, y) == pytest.approx(expected, rel=1e-12, abs=1e-14)
    assert REFERENCE.metrics.METRICS[name](t.tolist(), y.tolist()) == pytest.approx(expected, rel=1e-12, abs=1e-14)


EDGES = {
    "a class that nobody is taken for": ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[1, 0, 0], [1, 0, 0], [0, 0, 1]]),
    "a class that does not occur": ([[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 1, 0]]),
    "a class of no row that one is taken for": ([[1, 0, 0], [0, 1, 0]], [[1, 0, 0], [0, 0, 1]]),
    "only class 0": ([[0], [0]], [[0], [1]]),
    "only class 1": ([[1], [1]], [[0], [1]]),
    "one row": ([[1]], [[0.25]]),
}


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("name", set(METRICS) - {"auc", "r2"})
@pytest.mark.parametrize("edge", EDGES)
def test_edges_are_scikit_learns(name: str, edge: str) -> None:
    t, y = (np.array(each, float) for each in EDGES[edge])
    expected = oracle(name, t, y)
    assert METRICS[name](t, y) == pytest.approx(expected, rel=1e-12)
    assert REFERENCE.metrics.METRICS[name](t.tolist(), y.tolist()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("module", [METRICS, REFERENCE.metrics.METRICS], ids=["compiled", "reference"])
def test_edges_that_have_our_own_answer(module: Any) -> None:
    def of(name: str, t: Any, y: Any) -> float:
        t, y = np.array(t, float), np.array(y, float)
        return module[name](t, y) if module is METRICS else module[name](t.tolist(), y.tolist())

    assert math.isnan(of("auc", [[1], [1]], [[0.5], [0.25]]))
    assert math.isnan(of("auc", [[1], [0]], [[math.nan], [0.25]]))
    assert of("auc", [[1, 0, 0], [0, 1, 0], [0, 1, 0]], [[2, 0, 0], [0, 1, 5], [1, 0, 0]]) == pytest.approx(
        (1 + 0.75) / 2
    )  # the third class does not occur
    assert of("r2", [[1], [1]], [[1], [1]]) == 1
    assert of("r2", [[1], [1]], [[1], [2]]) == 0


def test_all_in_evaluate_and_in_fit(build: Any) -> None:
    X, y = data()
    Xv, yv = data(31, 3, seed=1)
    net, control = classifier(build), classifier(build)
    seen: list[Any] = []
    history = net.fit(
        X,
        y,
        epochs=3,
        validation_data=(Xv, yv),
        metrics=list(METRICS),
        callbacks=[lambda epoch, logs: seen.append(net.evaluate(Xv, yv, metrics=list(METRICS)))],
    )
    control.fit(X, y, epochs=3)
    assert_same(net, control)
    assert list(history) == ["loss", "val_loss", "val_accuracy", *(f"val_{m}" for m in METRICS if m != "accuracy")]
    assert {f"val_{name}": [each[name] for each in seen] for name in seen[0]} == {
        name: values for name, values in history.items() if name != "loss"
    }
    one_hot, outputs = np.eye(2)[yv], net.predict(Xv).astype(np.float64)
    for name, metric in METRICS.items():
        assert seen[-1][name] == metric(one_hot, outputs), name


def test_the_reference_has_the_same_figures() -> None:
    X, y = data()
    net = fastmlp.Network([3, 4, 2], loss="cross_entropy", dtype="float64", seed=3)
    other = REFERENCE.Network([3, 4, 2], loss="cross_entropy", seed=3)
    own: list[Any] = []

    def share(t: Any, p: Any) -> float:
        own.append((np.shape(t), np.shape(p)))
        return float(np.mean(np.argmax(p, 1) == t))

    words = {"epochs": 2, "validation_split": 0.3, "metrics": [*METRICS, share]}
    ours, theirs = net.fit(X, y, **words), other.fit(X.tolist(), y.tolist(), **words)
    assert list(ours) == list(theirs)
    for name in ours:
        assert ours[name] == pytest.approx(theirs[name], rel=1e-9), name
    assert own == [((7,), (7, 2))] * 4
    figures = net.evaluate(X, y, metrics=[share])
    assert figures == pytest.approx(other.evaluate(X.tolist(), y.tolist(), metrics=[share]))
    assert figures["share"] == figures["accuracy"]


def test_what_a_function_gets(build: Any) -> None:
    """A metric gets vectors for one output, labels for labels, and its own copy of rows for rows."""
    got: list[Any] = []

    def look(t: Any, p: Any) -> Any:
        got.append((t.shape, t.dtype.kind, p.shape, p.dtype))
        t[...] = 0
        return np.float32(1.5)

    X, y = data()
    assert build([3, 1]).evaluate(X, y, metrics=[look])["look"] == 1.5
    build([3, 2]).evaluate(X, y, metrics=(look,))
    values = np.ones((23, 2), build.dtype)
    build([3, 2]).evaluate(X, values, metrics=[look])
    build([3, 2]).evaluate(X[0], y[0], metrics=[look])
    dtype = np.dtype(build.dtype)
    assert got == [
        ((23,), "f", (23,), dtype),
        ((23,), "i", (23, 2), dtype),
        ((23, 2), "f", (23, 2), dtype),
        ((1,), "i", (1, 2), dtype),
    ]
    assert (values == 1).all()


ESTIMATES = {
    "poisson": (fastmlp.Poisson(), np.exp),
    "gaussian_nll": (fastmlp.GaussianNLL(), lambda y: y[:, :2]),
    "quantile": (fastmlp.Quantile([0.1, 0.4, 0.9]), lambda y: y[:, 2:4]),
}


@pytest.mark.parametrize("name", ESTIMATES)
def test_a_metric_is_of_what_the_outputs_say(build64: Any, name: str) -> None:
    loss, estimate = ESTIMATES[name]
    rng = np.random.default_rng(4)
    X, t = rng.normal(size=(20, 3)), rng.poisson(2.0, size=(20, 2)).astype(float)
    net = build64([3, 4, 2 * loss.n_heads], loss=loss, seed=1)
    seen: list[Any] = []

    def shapes(y_true: Any, y_pred: Any) -> float:
        seen.append((y_true.shape, y_pred.shape))
        return 0.0

    weights, wanted = rng.uniform(size=20), np.argmax(t, axis=1)
    found = np.argmax(estimate(net.predict(X)), axis=1)
    for each in (net, twin(net)):
        figures = each.evaluate(X.tolist(), t.tolist(), metrics=["accuracy"], sample_weight=weights.tolist())
        assert figures["accuracy"] == pytest.approx(np.average(found == wanted, weights=weights), rel=1e-12)
        assert each.evaluate(X.tolist(), t.tolist(), metrics=["accuracy"])["accuracy"] == np.mean(found == wanted)
    figures = net.evaluate(X, t, metrics=["mae", shapes])
    assert figures["mae"] == pytest.approx(np.abs(estimate(net.predict(X)) - t).mean(), rel=1e-12)
    assert seen == [((20, 2), (20, 2 * loss.n_heads))]
    other = REFERENCE.Network(net.sizes, loss=loss, seed=1)
    assert other.evaluate(X.tolist(), t.tolist(), metrics=["mae"])["mae"] == pytest.approx(figures["mae"], rel=1e-9)


@pytest.mark.oracle
def test_metrics_of_hinge_go_by_the_sign(build64: Any) -> None:
    m = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    X, t = rng.normal(size=(40, 3)), rng.choice([-1.0, 1.0], size=40)
    net = build64([3, 4, 1], loss="hinge", seed=1)
    figures = net.evaluate(X, t, metrics=["accuracy", "f1", "auc"])
    guess = np.where(net.predict(X)[:, 0] > 0, 1.0, -1.0)
    assert figures["accuracy"] == pytest.approx(m.accuracy_score(t, guess))
    assert figures["f1"] == pytest.approx(m.f1_score(t, guess))
    assert figures["auc"] == pytest.approx(m.roc_auc_score(t, net.predict(X)[:, 0]))


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ("mae", TypeError, r"^metrics: expected a sequence of names or functions, got 'mae'"),
        (None, TypeError, r"^metrics: expected a sequence"),
        (["f11"], ValueError, r"^metrics\[0\]: expected one of 'accuracy', .*, got 'f11'; did you mean 'f1'\?"),
        ([3], TypeError, r"^metrics\[0\]: expected one of"),
        (["mae", "mae"], ValueError, r"^metrics\[1\]: expected each name once"),
        ([lambda t, p: 0, lambda t, p: 1], ValueError, r"^metrics\[1\]: expected each name once"),
        ([lambda t, p: "good"], TypeError, r"^metrics: expected a real number from '<lambda>', got 'good'"),
    ],
    ids=str,
)
def test_wrong_metrics(metrics: Any, error: type[Exception], message: str) -> None:
    X, y = data()
    net = fastmlp.Network([3, 2])
    with pytest.raises(error, match=message):
        net.evaluate(X, y, metrics=metrics)
    with pytest.raises(error, match=message):
        net.fit(X, y, epochs=1, validation_data=(X, y), metrics=metrics)


def test_metrics_want_a_validation() -> None:
    X, y = data()
    for net in (fastmlp.Network([3, 2]), REFERENCE.Network([3, 2])):
        with pytest.raises(ValueError, match=r"^metrics: expected validation_data or validation_split"):
            net.fit(X, y, metrics=["mae"])


def test_an_error_in_a_metric_leaves_whole_epochs(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)

    def fail(t: Any, p: Any) -> float:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        net.fit(X, y, validation_data=(X, y), metrics=[fail])
    control.fit(X, y, epochs=1)
    assert_same(net, control)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-150, 1e-120, 1.0, 1e120, 1e150, 1e200, 1e300])
def test_r2_of_numbers_whose_squares_leave_the_range(size: float) -> None:
    """R2 does not change by a common factor of targets and predictions."""
    t, y = rows(2)
    expected = oracle("r2", t, y)
    for score in (METRICS["r2"], load_reference().metrics.r2):
        assert score(t * size, y * size) == pytest.approx(expected, rel=1e-12)
    assert METRICS["r2"](np.array([[1e-300], [2e-300]]), np.array([[1e300], [1e300]])) == -math.inf
