"""Regularised training goes on and goes back: any number of threads, two fits, checkpoints, errors, rows one by one."""

from __future__ import annotations

import copy
import pathlib
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Checkpoint, Regularization
from regularization_cases import EVERYTHING, REGULARIZATIONS, network, rows
from trainings import assert_same, assert_threads_change_nothing, classifier, data

# -- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("r", REGULARIZATIONS, ids=repr)
def test_any_number_of_threads_gives_the_same_bits(r: Regularization, dtype: str) -> None:
    for size in (140, 420):
        assert_threads_change_nothing(420, [90, 64, 33, 5], dtype, batch_size=size, regularization=r)


@pytest.mark.parametrize("r", REGULARIZATIONS, ids=repr)
def test_two_fits_of_five_epochs_are_one_of_ten(build: Any, r: Regularization) -> None:
    X, y = rows(23)
    once, twice = network(build), network(build)
    words: dict[str, Any] = {"batch_size": 5, "optimizer": fastmlp.Adam(0.02)}
    whole = once.fit(X, y, epochs=10, regularization=r, **words)
    halves = [twice.fit(X, y, epochs=5, regularization=copy.deepcopy(r), **words) for _ in range(2)]
    assert whole.loss == halves[0].loss + halves[1].loss
    assert_same(once, twice)


@pytest.mark.parametrize(("unit", "r"), [("epoch", EVERYTHING), *(("step", r) for r in REGULARIZATIONS)], ids=repr)
def test_a_checkpoint_goes_on_bit_for_bit(build: Any, r: Regularization, unit: str, tmp_path: pathlib.Path) -> None:
    class Cut(Exception):  # noqa: N818
        pass

    def cut(epoch: int, logs: Any) -> None:
        if epoch == 2:
            raise Cut

    X, y = rows(23)
    path = tmp_path / "c"
    words: dict[str, Any] = {"epochs": 5, "batch_size": 5, "optimizer": fastmlp.SGD(0.05, momentum=0.9)}
    whole, first = network(build), network(build)
    words |= {"regularization": r, "validation_data": (X[:5], y[:5])}
    expected = whole.fit(X, y, **words)
    keep = Checkpoint(path, every=3 if unit == "step" else 1, unit=unit)
    with pytest.raises(Cut):
        first.fit(X, y, callbacks=[keep, cut], **words)
    other = network(build, seed=77)
    history = other.fit(X, y, callbacks=[keep], resume=path, **words)
    assert (history, history.stopped) == (expected, expected.stopped)
    assert_same(other, whole)
    for net in (whole, other):
        net.fit(X, y, **words)
    assert_same(other, whole)


def test_the_file_of_a_checkpoint_is_the_model_that_readers_see(tmp_path: pathlib.Path) -> None:
    X, y = rows(23)
    net = network(fastmlp.Network)
    net.fit(X, y, epochs=2, callbacks=[Checkpoint(tmp_path / "c")], regularization=Regularization(average=0.9))
    np.testing.assert_array_equal(fastmlp.load(tmp_path / "c").parameters, net.parameters)


def test_another_regularization_is_not_resumed(tmp_path: pathlib.Path) -> None:
    X, y = data()
    path = tmp_path / "c"
    words: dict[str, Any] = {"epochs": 2, "callbacks": [Checkpoint(path)]}
    classifier(fastmlp.Network).fit(X, y, regularization=Regularization(l2=0.1), **words)
    for other, got in ((None, "0.0"), (Regularization(l2=0.2), "0.2")):
        message = f"^regularization: expected that of the checkpoint, l2=0.1, got l2={got}$"
        with pytest.raises(ValueError, match=message):
            classifier(fastmlp.Network).fit(X, y, regularization=other, resume=path, **words)


# -- what continues and what goes back -------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [None, Regularization(l2=0.2), Regularization(l2=0.1, dropout=0.5)], ids=repr)
def test_another_regularization_starts_the_optimizer_anew(build: Any, other: Regularization | None) -> None:
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, fastmlp.Adam(0.05), regularization=Regularization(l2=0.1))
    control = net.copy()
    net.train_on_batch(X, y, regularization=other)
    control.train_on_batch(X, y, fastmlp.Adam(0.05), regularization=other)
    assert_same(net, control)


def test_one_that_does_nothing_is_none(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    for r in (None, Regularization(), Regularization(per_row=True), None):
        net.fit(X, y, epochs=2, regularization=r)
        control.fit(X, y, epochs=2)
    assert_same(net, control)


@pytest.mark.parametrize("how", ["fit", "step", "row"])
@pytest.mark.parametrize("before", [None, Regularization(dropout=0.5, average=0.5)], ids=repr)
@pytest.mark.parametrize("r", [EVERYTHING, Regularization(dropout=0.5, average=0.5)], ids=repr)
def test_an_error_goes_back(build: Any, r: Regularization, before: Any, how: str) -> None:
    """An error rolls back the parameters, the average, the next masks and the random state."""
    X, y = data()
    targets = np.column_stack([y, 1 - y]).astype(float)
    bad = targets.copy()
    bad[-1] = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.fit(X, targets, epochs=2, optimizer=fastmlp.SGD(0.1), batch_size=5, regularization=before)
    optimizer = fastmlp.SGD(0.1)
    r = Regularization(**{**r._given(), "clip_value": None, "clip_norm": None, "max_norm": None})
    ways = {
        "fit": lambda: net.fit(X, bad, epochs=2, batch_size=1, optimizer=optimizer, regularization=r),
        "step": lambda: net.train_on_batch(X, bad, optimizer, regularization=r),
        "row": lambda: net.learn_one(X[-1], bad[-1], optimizer, regularization=r),
    }
    with pytest.raises(FloatingPointError):
        ways[how]()
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, targets, epochs=2, batch_size=5, optimizer=None, regularization=before)
    assert_same(net, control)


@pytest.mark.parametrize("r", REGULARIZATIONS, ids=repr)
def test_rows_one_by_one_are_steps_on_single_rows(build: Any, r: Regularization) -> None:
    X, y = (each.astype(build.dtype) for each in rows(120))
    net, control = network(build), network(build)
    for x, t in zip(X, y, strict=True):
        loss = net.learn_one(x, t, regularization=r)
        assert loss == pytest.approx(control.train_on_batch([x], [t], regularization=r), rel=1e-6)
    assert_same(net, control)


@pytest.mark.parametrize("n_before", [1, 2, 15, 40])
def test_a_row_that_overflows_takes_back_itself_alone(build: Any, n_before: int) -> None:
    """The rows before it are learnt again: with their masks, and on their parameters and average.

    Their inputs are 0, so the first layer's weights stay 0; then x is so large that they overflow.
    """
    zero, largest = np.zeros(1, build.dtype), np.array([np.finfo(build.dtype).max], build.dtype)
    words: dict[str, Any] = {
        "regularization": Regularization(l1=0.01, l2=0.1, weight_decay=0.1, dropout=0.3, average=0.9)
    }
    t = np.random.default_rng(0).normal(size=n_before)
    net, control = (build([1, 9, 1], activation="identity", seed=0) for _ in range(2))
    for each in (net, control):
        each.set_layer(0, np.zeros((9, 1)), np.linspace(0.1, 0.9, 9))
        for i in range(n_before):
            each.learn_one(zero, t[i], fastmlp.SGD(0.1) if i == 0 else None, **words)
    with pytest.raises(FloatingPointError, match=r"^loss: expected a finite number"):
        net.learn_one(largest, -1e3, **words)
    for each in (net, control):
        each.learn_one(zero, 2.0, **words)
    assert_same(net, control)
    for each in (net, control):
        each.learn_one(zero, 2.0, **words)
    assert_same(net, control)


def test_the_average_is_what_readers_see_and_training_goes_on_beside_it(build64: Any) -> None:
    X, y = rows(12)
    net, raw = network(build64), network(build64)
    average = None
    for _ in range(5):
        net.fit(
            X, y, epochs=1, batch_size=4, shuffle=False, optimizer="adam", regularization=Regularization(average=0.9)
        )
        for first in range(0, 12, 4):
            raw.train_on_batch(X[first : first + 4], y[first : first + 4], "adam")
            average = raw.parameters if average is None else 0.9 * average + 0.1 * raw.parameters
        np.testing.assert_allclose(net.parameters, average, rtol=0, atol=1e-13)
    assert net.evaluate(X, y) == network_of(build64, net).evaluate(X, y)


def network_of(build: Any, net: Any) -> Any:
    other = network(build)
    other.parameters = net.parameters
    return other


def test_without_a_step_the_average_is_the_beginning(build: Any) -> None:
    X, y = rows(12)
    net = network(build)
    P = net.parameters
    net.fit(
        X, y, epochs=1, sample_weight=[1.0] + [0.0] * 11, max_time=1e-12, regularization=Regularization(average=0.9)
    )
    np.testing.assert_array_equal(net.parameters, P)


def test_evaluation_and_gradients_know_nothing_of_it(build: Any) -> None:
    X, y = rows(12)
    net = network(build)
    net.fit(X, y, epochs=2, regularization=EVERYTHING)
    plain = network_of(build, net)
    assert net.evaluate(X, y) == plain.evaluate(X, y)
    np.testing.assert_array_equal(net.predict(X), plain.predict(X))
    np.testing.assert_array_equal(net.loss_and_grad(X, y)[1], plain.loss_and_grad(X, y)[1])
