"""Online training: `partial_fit` with a part of the data, and `learn_one` with a row."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pytest

import fastmlp
from implementations import load_reference
from loss_cases import CASES, LossCase, draw_targets
from trainings import ADAM, assert_same, classifier, data

SGD = fastmlp.SGD(0.05, momentum=0.9)
REFERENCE = load_reference()


# -- partial_fit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_partial_fit_is_an_epoch_in_order(build: Any, batch_size: int | None) -> None:
    X, y = data(24)
    net, control = classifier(build), classifier(build)
    for part in (slice(0, 8), slice(8, 16), slice(16, 24)):
        assert net.partial_fit(X[part], y[part], batch_size=batch_size, optimizer=ADAM) is net
    control.fit(X, y, epochs=1, batch_size=batch_size or 8, shuffle=False, optimizer=ADAM)
    assert_same(net, control)


def test_partial_fit_continues_what_fit_began(build: Any) -> None:
    """partial_fit continues with the optimiser's state of the fit, and draws no random number."""
    X, y = data()
    net, control = classifier(build), classifier(build)
    for each in (net, control):
        each.fit(X, y, epochs=2, optimizer=SGD)
    net.partial_fit(X, y)
    control.fit(X, y, epochs=1, shuffle=False, optimizer=SGD)
    assert_same(net, control)


def test_partial_fit_in_the_reference() -> None:
    X, y = data()
    net = fastmlp.Network([3, 4, 2], loss="cross_entropy", dtype="float64", seed=3)
    other = REFERENCE.Network([3, 4, 2], loss="cross_entropy", seed=3)
    for each in (net, other):
        assert each.partial_fit(X.tolist(), y.tolist(), batch_size=5).partial_fit(X.tolist(), y.tolist()) is each
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-9)


# -- learn_one -------------------------------------------------------------------------------------------------------

KINDS = {
    "labels": ([3, 5, 2], "cross_entropy", lambda rng, n: rng.integers(2, size=n)),
    "shares": ([3, 5, 2], "cross_entropy", lambda rng, n: np.array([[0.25, 0.75], [1, 0]])[rng.integers(2, size=n)]),
    "numbers": ([3, 5, 1], "mse", lambda rng, n: rng.normal(size=n)),
    "bits": ([3, 1], "binary_cross_entropy", lambda rng, n: rng.integers(2, size=n)),
    "rows": ([3, 4, 4], "half_squared_error", lambda rng, n: rng.normal(size=(n, 4))),
}


@pytest.mark.parametrize("optimizer", [SGD, ADAM, None], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_learn_one_is_train_on_batch_with_one_row(build: Any, kind: str, optimizer: Any) -> None:
    """learn_one gives the bits of train_on_batch, with and without reads between, for more rows than its log holds."""
    sizes, loss, targets = KINDS[kind]
    rng = np.random.default_rng(0)
    X = rng.normal(size=(150, 3)).astype(build.dtype)
    y = targets(rng, 150)
    y = y.astype(build.dtype) if y.ndim == 2 else y
    net, control = (build(sizes, activation="tanh", loss=loss, seed=1) for _ in range(2))
    for i in range(150):
        first = optimizer if i == 0 else None
        assert net.learn_one(X[i], y[i], first) == control.train_on_batch(X[i : i + 1], y[i : i + 1], first)
        if i in (3, 4, 90):
            np.testing.assert_array_equal(net.predict(X), control.predict(X))
        if i == 60:
            for each in (net, control):
                each.train_on_batch(X[:5], y[:5])
        if i == 70:
            for each in (net, control):
                each.fit(X[:5], y[:5], epochs=1, optimizer=None)
        if i == 80:
            for each in (net, control):
                each.parameters = each.parameters
    assert_same(net, control)


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_learn_one_with_every_loss(build: Any, case: LossCase, n_targets: int) -> None:
    n_targets = case.least_targets(n_targets)
    rng = np.random.default_rng(3)
    X, t = rng.normal(size=(12, 3)).astype(build.dtype), draw_targets(rng, case.kind, 12, n_targets).astype(build.dtype)
    sizes = [3, 5, case.n_outputs(n_targets)]
    net, control = (build(sizes, loss=case.loss, output_activation=case.output, seed=1) for _ in range(2))
    for each in (net, control):
        each.train_on_batch(X, t, SGD)
    for i in range(12):
        assert net.learn_one(X[i], t[i]) == control.train_on_batch(X[i : i + 1], t[i : i + 1])
    assert_same(net, control)


@pytest.mark.parametrize(("loss", "y"), [("poisson", -1.0), ("gamma", 0.0), ("hinge", 0.5), ("binary_focal", 1.5)])
@pytest.mark.parametrize("n_targets", [1, 3])
def test_targets_that_a_loss_does_not_take(build: Any, loss: str, y: float, n_targets: int) -> None:
    net = build([3, n_targets], loss=loss, seed=1)
    x, good = np.ones(3, build.dtype), np.eye(1, n_targets)[0].astype(build.dtype) + (loss == "gamma")
    net.train_on_batch(x, good, SGD)
    before = net.parameters
    with pytest.raises(ValueError, match=r"^y: expected targets "):
        net.learn_one(x, np.full(n_targets, y, build.dtype))
    np.testing.assert_array_equal(net.parameters, before)
    net.learn_one(x, good)


def test_no_class_labels_where_targets_are_above_0(build: Any) -> None:
    net = build([3, 3], loss="gamma", seed=1)
    net.train_on_batch(np.ones(3, build.dtype), np.ones(3, build.dtype), SGD)
    with pytest.raises(ValueError, match=r"^y: expected "):
        net.learn_one(np.ones(3, build.dtype), 1)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ([1.0, 2.0, 3.0], 1),
        (np.array([1, 2, 3]), np.int8(1)),
        (np.array([1, 2, 3], np.uint8), np.array(1)),
        (np.array([[1, 9], [2, 9], [3, 9]], np.float32)[:, 0], 1.0),
        ((1, 2, 3), [0, 1]),
        (np.array([1.0, 2.0, 3.0], np.float16), True),
    ],
    ids=repr,
)
def test_whatever_train_on_batch_takes(build: Any, x: Any, y: Any) -> None:
    net, control = classifier(build), classifier(build)
    for each in (net, control):
        each.learn_one(np.zeros(3, build.dtype), 0, SGD)
    assert net.learn_one(x, y) == control.train_on_batch(x, y)
    assert_same(net, control)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), 1, np.int64(1), [0.5], np.array([0.5], "f4")])
def test_kinds_of_number(build: Any, value: Any) -> None:
    net, control = (build([3, 1], seed=0) for _ in range(2))
    x = np.ones(3, build.dtype)
    for each in (net, control):
        each.learn_one(x, 0.25, SGD)
    assert net.learn_one(x, value) == control.train_on_batch(x, value)
    assert_same(net, control)


def refusals(dtype: str) -> list[Any]:
    x = np.ones(3, dtype)
    infinite, nan = np.array([1, math.inf, 0], dtype), np.array([1, 0, math.nan], dtype)
    return [
        (infinite, 0, ValueError, "X: expected finite numbers, got inf at column 1"),
        (nan, 0, ValueError, "X: expected finite numbers, got nan at column 2"),
        (x, 2, ValueError, "y: expected class labels, whole numbers from 0 to 1, got 2"),
        (x, -1, ValueError, "y: expected class labels"),
        (x, 2**80, TypeError, "y: expected real numbers"),
        (x, np.array([0.5, 1.5], dtype), ValueError, r"y: expected targets in \[0, 1\]"),
        (x, np.array([0.5, math.nan], dtype), ValueError, "y: expected finite numbers"),
        (x, "1", TypeError, "y: expected real numbers"),
        (x, None, TypeError, "y: expected real numbers"),
        (x[:2], 0, ValueError, r"X: expected shape \(B, 3\)"),
        (np.ones((1, 3), dtype), [0], ValueError, r"X: expected one row of shape \(3,\), got shape \(1, 3\)"),
    ]


@pytest.mark.parametrize("case", range(len(refusals("float32"))))
def test_refused_rows_are_no_step(build: Any, case: int) -> None:
    x, y, error, message = refusals(build.dtype)[case]
    net, control = classifier(build), classifier(build)
    good = np.ones(3, build.dtype)
    for each in (net, control):
        each.learn_one(good, 1, ADAM)
        each.learn_one(good, 0)
    with pytest.raises(error, match=f"^{message}"):
        net.learn_one(x, y)
    for each in (net, control):
        each.learn_one(good, 1)
    assert_same(net, control)


@pytest.mark.parametrize("by", ["loss", "step"])
@pytest.mark.parametrize("n_before", [1, 2, 15, 40])
def test_a_row_that_overflows_takes_back_itself_alone(build: Any, n_before: int, by: str) -> None:
    """If loss or parameters overflow, the row is rolled back, but not the rows before it that are not yet published.

    Those are 0, so the weight stays 0 and the bias alone learns; then x is so large that the weight overflows.
    """
    zero, largest = np.zeros(1, build.dtype), np.array([np.finfo(build.dtype).max], build.dtype)
    t = np.random.default_rng(0).normal(size=n_before)
    net, control = (build([1, 1], seed=0) for _ in range(2))
    for each in (net, control):
        each.parameters = [0.0, 0.5]
        for i in range(n_before):
            each.learn_one(zero, t[i], fastmlp.SGD(0.4) if i == 0 else None)
    bad = (zero, float(largest[0]) / 2) if by == "loss" else (largest, -1e3)
    with pytest.raises(FloatingPointError, match=r"^loss: expected a finite number"):
        net.learn_one(*bad)
    assert_same(net, control)
    for each in (net, control):
        each.learn_one(zero, 2.0)
    assert_same(net, control)


def test_threshold_cannot_learn() -> None:
    net = fastmlp.Network([2, 2, 1], activation="threshold")
    with pytest.raises(ValueError, match=r"^learn_one: expected activations with a derivative"):
        net.learn_one([1.0, 2.0], 1.0)


def test_not_while_a_fit_runs() -> None:
    X, y = data()
    net = fastmlp.Network([3, 1], seed=0)
    row = np.zeros(3, np.float32)
    net.learn_one(row, 1.0)
    with pytest.raises(RuntimeError, match=r"^learn_one: expected a network at rest"):
        net.fit(X, y, callbacks=[lambda epoch, logs: net.learn_one(row, 1.0)])


def test_a_large_network_learns_alike(build: Any) -> None:
    """A large network gives the same bits while another thread reads it."""
    net, control = (build([3, 700, 700, 1], seed=0) for _ in range(2))
    x, over = np.ones(3, build.dtype), threading.Event()

    def read() -> None:
        while not over.is_set():
            assert np.isfinite(net.predict(x)).all()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for each, step in ((net, net.learn_one), (control, control.train_on_batch)):
        for _ in range(3):
            step(x, 2.0, fastmlp.SGD(1e-4, momentum=0.9))
            each.predict(x)
        for _ in range(5):
            step(x, 2.0)
    over.set()
    reader.join()
    assert_same(net, control)


@pytest.mark.parametrize(
    "optimizer",
    [
        fastmlp.SGD(3.0),
        fastmlp.SGD(3.0, momentum=0.9),
        fastmlp.SGD(3.0, momentum=0.9, nesterov=True),
        fastmlp.Adam(1e4),
        fastmlp.AdamW(1e4),
        fastmlp.NAdam(1e4),
        fastmlp.RMSprop(1e4),
        fastmlp.AdaGrad(1e4),
        fastmlp.Lion(1e4),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sizes", [[3, 1], [3, 17, 2], [5, 40, 33, 1]], ids=str)
def test_what_is_learnt_is_finite(build: Any, optimizer: Any, sizes: list[int]) -> None:
    """The row that causes a divergence raises, although the parameters are not checked after each row."""
    rng = np.random.default_rng(7)
    net = build(sizes, activation="relu", seed=1)
    net.learn_one(rng.normal(size=sizes[0]), rng.normal(size=sizes[-1]), optimizer)
    for _ in range(400):
        x, t = (rng.normal(scale=1e3, size=n).astype(build.dtype) for n in (sizes[0], sizes[-1]))
        before = net.parameters
        try:
            net.learn_one(x, t)
        except FloatingPointError:
            np.testing.assert_array_equal(net.parameters, before)
            break
        assert np.isfinite(net.parameters).all()


def test_the_reference_learns_the_same() -> None:
    X, y = data()
    net = fastmlp.Network([3, 4, 2], loss="cross_entropy", dtype="float64", seed=3)
    other = REFERENCE.Network([3, 4, 2], loss="cross_entropy", seed=3)
    for x, t in zip(X, y, strict=True):
        assert net.learn_one(x, t) == pytest.approx(other.learn_one(x, int(t)))
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-9)
    with pytest.raises(ValueError, match=r"^X: expected one row of shape \(3,\)"):
        other.learn_one(X[:1], y[:1])


def test_a_row_that_overflows_after_the_rate_was_set(build: Any) -> None:
    """After an overflow, the rows before it keep the rate with which they were learnt."""
    net, control = (build([2, 1], loss="mae") for _ in range(2))
    large = float(np.finfo(build.dtype).max) / 1e3
    for each in (net, control):
        each.set_layer(0, [[0.0, 0.0]], [0.0])
        for i in range(4):
            each.learn_one(np.ones(2, build.dtype), 100.0, fastmlp.SGD(0.01) if i == 0 else None)
        each.learning_rate = 1e4
    with pytest.raises(FloatingPointError):
        net.learn_one(np.array([large, -large], build.dtype), 1.0)
    np.testing.assert_array_equal(net.parameters, control.parameters)
