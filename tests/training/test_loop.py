"""The loop of `fit`: rows set apart, hooks within an epoch, early stopping, the time, why it stopped."""

from __future__ import annotations

import math
import threading
import time
import types
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import EarlyStopping
from implementations import load_reference
from trainings import ADAM, assert_same, classifier, data

REFERENCE = load_reference()
X, Y = data(41)


# -- validation_split ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "n"), [(0.25, 30), (0.9, 4), (0.01, 40), (np.float32(0.5), 20)])
@pytest.mark.parametrize("as_rows", [False, True])
def test_the_last_share_is_validated_on(build: Any, share: float, n: int, as_rows: bool) -> None:
    y = np.eye(2)[Y] if as_rows else Y
    net, control = classifier(build), classifier(build)
    history = net.fit(X, y, epochs=3, validation_split=share)
    assert history == control.fit(X[:n], y[:n], epochs=3, validation_data=(X[n:], y[n:]))
    assert_same(net, control)


def test_no_share_is_lost_to_rounding() -> None:
    """A share of 10 * (1 - 0.9) = 0.9999999999999998 rows is one row."""
    seen: list[int] = []
    for module in (fastmlp, REFERENCE):
        net = module.Network([1, 1], seed=0)
        rows, metric = np.arange(10.0)[:, np.newaxis], lambda t, p: seen.append(len(t)) or 0.0
        net.fit(rows, rows[:, 0], epochs=1, validation_split=0.9, metrics=[metric])
    assert seen == [9, 9]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, math.nan, "0.1", True, 0.99])
def test_shares_that_are_none(share: Any) -> None:
    for net in (fastmlp.Network([3, 2]), REFERENCE.Network([3, 2])):
        with pytest.raises((ValueError, TypeError), match=r"^validation_split: expected"):
            net.fit(X, Y, validation_split=share)


def test_not_both_kinds_of_validation() -> None:
    for net in (fastmlp.Network([3, 2]), REFERENCE.Network([3, 2])):
        with pytest.raises(ValueError, match=r"^validation_split: expected None beside validation_data"):
            net.fit(X, Y, validation_split=0.5, validation_data=(X, Y))


def test_rows_set_apart_are_looked_at() -> None:
    bad = X.copy()
    bad[-1, 1] = math.nan
    with pytest.raises(ValueError, match=r"^X: expected finite numbers, got nan"):
        fastmlp.Network([3, 2]).fit(bad, Y, validation_split=0.2)


# -- within an epoch -------------------------------------------------------------------------------------------------


class Batches:
    """A callback that records the arguments of `on_batch_end`, and stops at the given call."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[Any] = []
        self.stop_at = stop_at

    def on_batch_end(self, batch: int, logs: Any) -> bool:
        self.calls.append((batch, logs["loss"]))
        return len(self.calls) == self.stop_at


@pytest.mark.parametrize("shuffle", [True, False])
def test_looking_at_each_batch_changes_nothing(build: Any, shuffle: bool) -> None:
    net, control, batches = classifier(build), classifier(build), Batches()
    words = {"epochs": 2, "batch_size": 8, "optimizer": ADAM, "shuffle": shuffle}
    history = net.fit(X, Y, callbacks=[batches], **words)
    assert history == control.fit(X, Y, **words)
    assert_same(net, control)
    assert [batch for batch, _ in batches.calls] == [*range(6), *range(6)]
    assert [batches.calls[5][1], batches.calls[11][1]] == history.loss


@pytest.mark.parametrize(
    "source", ["rows", "batches", "lbfgs", "reference", "reference's batches", "reference's lbfgs"]
)
def test_batches_begin_before_their_step_and_end_after_it(source: str) -> None:
    """on_batch_begin is called before a step, with empty logs, and on_batch_end after it, with the loss."""
    module = REFERENCE if "reference" in source else fastmlp
    net = module.Network([3, 2], seed=0, loss="cross_entropy")
    calls: list[Any] = []

    def begin(batch: int, logs: Any) -> None:
        calls.append(("begin", batch, dict(logs)))

    def end(batch: int, logs: Any) -> bool:
        calls.append(("end", batch, sorted(logs)))
        return len(calls) == 8

    rows: Any = [(X[i : i + 16].tolist(), Y[i : i + 16].tolist()) for i in (0, 16, 32)]
    data: Any = {"X": rows} if "batches" in source else {"X": X.tolist(), "y": Y.tolist(), "batch_size": 16}
    if "lbfgs" in source:
        data |= {"batch_size": None, "optimizer": fastmlp.LBFGS(gradient_tolerance=1e-12)}
    history = net.fit(**data, epochs=9, callbacks=[types.SimpleNamespace(on_batch_begin=begin, on_batch_end=end)])
    numbers = [0] * 4 if "lbfgs" in source else [0, 1, 2, 0]
    assert calls == [call for i in numbers for call in (("begin", i, {}), ("end", i, ["loss"]))]
    assert history.stopped == "callback"


@pytest.mark.parametrize("fails_at", [6, 8])
def test_what_begins_a_batch_alone_is_heard_and_changes_nothing(build: Any, fails_at: int) -> None:
    """An error in on_batch_begin rolls the epoch back; a result of True does not stop the training."""
    net, control, seen = classifier(build), classifier(build), []
    words = {"batch_size": 8, "shuffle": False, "optimizer": ADAM}

    def begin(batch: int, logs: Any) -> bool:
        seen.append(batch)
        if len(seen) == fails_at:
            raise ZeroDivisionError
        return True

    callback = types.SimpleNamespace(on_batch_begin=begin)
    with pytest.raises(ZeroDivisionError):
        net.fit(X, Y, epochs=3, callbacks=[callback], **words)
    assert seen == [0, 1, 2, 3, 4, 5, 0, 1][:fails_at]
    if fails_at > 6:
        control.fit(X, Y, epochs=1, **words)
    assert_same(net, control)


def test_batches_in_the_reference() -> None:
    ours, theirs = Batches(), Batches(9)
    net = fastmlp.Network([3, 2], dtype="float64", seed=0, loss="cross_entropy")
    other = REFERENCE.Network([3, 2], seed=0, loss="cross_entropy")
    net.fit(X, Y, epochs=2, callbacks=[ours])
    history = other.fit(X.tolist(), Y.tolist(), epochs=9, batch_size=8, callbacks=[theirs])
    assert history.stopped == "callback"
    ours = Batches(9)
    net = fastmlp.Network([3, 2], dtype="float64", seed=0, loss="cross_entropy")
    assert net.fit(X, Y, epochs=9, batch_size=8, callbacks=[ours]).loss == pytest.approx(history.loss)
    assert [batch for batch, _ in ours.calls] == [batch for batch, _ in theirs.calls]
    assert [loss for _, loss in ours.calls] == pytest.approx([loss for _, loss in theirs.calls])
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-9)


@pytest.mark.parametrize("stop_at", [1, 4, 6, 9])
def test_a_batch_stops_the_training(build: Any, stop_at: int) -> None:
    """on_batch_end stops the training after its step; the epoch is recorded with the steps taken."""
    net, control = classifier(build), classifier(build)
    words = {"batch_size": 8, "shuffle": False, "optimizer": ADAM}
    history = net.fit(X, Y, epochs=5, callbacks=[Batches(stop_at)], **words)
    whole, rest = divmod(stop_at, 6)
    for _ in range(whole):
        control.fit(X, Y, epochs=1, **words)
    partial = [control.fit(X[: 8 * rest], Y[: 8 * rest], epochs=1, **words).loss[0]] if rest else []
    assert_same(net, control)
    assert (history.epochs, history.stopped) == (whole + bool(rest), "callback")
    assert history.loss[whole:] == partial


def test_an_error_within_an_epoch_takes_it_back(build: Any) -> None:
    net, control = classifier(build), classifier(build)

    class Fail:
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if self.epoch == 1 and batch == 3:
                raise ZeroDivisionError

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            self.epoch = epoch

    with pytest.raises(ZeroDivisionError):
        net.fit(X, Y, batch_size=8, optimizer=ADAM, callbacks=[Fail()])
    control.fit(X, Y, epochs=1, batch_size=8, optimizer=ADAM)
    for _ in range(2):
        assert_same(net, control)
        for each in (net, control):
            each.fit(X, Y, epochs=1, optimizer=None)


def test_an_interrupt_within_an_epoch_keeps_its_steps(build: Any) -> None:
    net, control = classifier(build), classifier(build)

    def interrupt(batch: int, logs: Any) -> None:
        if batch == 3:
            raise KeyboardInterrupt

    callback = types.SimpleNamespace(on_batch_end=interrupt)
    words = {"batch_size": 8, "shuffle": False, "optimizer": ADAM}
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, Y, callbacks=[callback], **words)
    control.fit(X[:32], Y[:32], epochs=1, **words)
    assert_same(net, control)


# -- early stopping --------------------------------------------------------------------------------------------------


def curve(values: list[float], **words: Any) -> tuple[int, EarlyStopping]:
    """Return the number of epochs that are trained with the curve, and the callback."""
    stop = EarlyStopping("loss", **words)
    net = fastmlp.Network([1, 1], seed=0)
    stop.set_network(net)
    stop.on_train_begin({})
    for epoch, value in enumerate(values):
        if stop.on_epoch_end(epoch, {"loss": value}):
            return epoch + 1, stop
    return len(values), stop


@pytest.mark.parametrize(
    ("values", "words", "n_epochs", "best_epoch"),
    [
        ([3, 2, 1, 1, 1, 1], {"patience": 2}, 5, 2),
        ([3, 2, 1, 1.5, 0.5, 1, 1, 1], {"patience": 2}, 7, 4),
        ([3, 2.5, 2.75, 1], {"patience": 2, "min_delta": 0.5}, 3, 0),
        ([3, 2.4, 2.3, 1.8, 2, 2], {"patience": 2, "min_delta": 0.5}, 6, 3),
        ([1, 2, 3, 2, 2], {"patience": 2, "mode": "max"}, 5, 2),
        ([math.nan, math.nan], {"patience": 2}, 2, None),
        ([math.inf, 1, math.nan, math.nan], {"patience": 2}, 4, 1),
        ([3, 2, 1], {"patience": 1}, 3, 2),
        ([1, 5, 4, 5, 5], {"patience": 2, "start_from_epoch": 1}, 5, 2),
        ([1, 5, 5, 4], {"patience": 1, "start_from_epoch": 2}, 4, 3),
        ([1, 2, 3], {"patience": 1, "start_from_epoch": 9}, 3, None),
        ([3, 2.75, 2.5, 2], {"patience": 2, "min_delta": 0.5, "cumulative": False}, 3, 2),
        ([3, 2.5, 2.25, 1.75, 1.5], {"patience": 2, "min_delta": 0.5, "cumulative": False}, 5, 4),
        ([1, 1, 1, 1], {"patience": 1, "cumulative": False}, 4, 0),
        ([1, 2, 2.25, 2.5], {"patience": 2, "min_delta": 0.5, "cumulative": False, "mode": "max"}, 4, 3),
        ([math.nan, 1, math.nan], {"patience": 2, "cumulative": False}, 3, 1),
    ],
)
def test_when_it_stops(values: list[float], words: Any, n_epochs: int, best_epoch: int | None) -> None:
    n, stop = curve(values, **words)
    assert (n, stop.best_epoch) == (n_epochs, best_epoch)
    assert stop.best == (None if best_epoch is None else values[best_epoch])


@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("ends", ["early_stopping", "epochs"])
def test_the_best_weights_come_back(build: Any, restore: bool, ends: str) -> None:
    states: list[Any] = []
    net = classifier(build)
    stop = EarlyStopping(patience=2 if ends == "early_stopping" else 10**6, restore_best_weights=restore)
    words = {"optimizer": fastmlp.SGD(2.0, momentum=0.9), "epochs": 400 if ends == "early_stopping" else 30}
    history = net.fit(X, Y, validation_split=0.3, callbacks=[stop, lambda *_: states.append(net.parameters)], **words)
    best = int(np.argmin(history.val_loss))
    assert (history.stopped, stop.best_epoch, stop.best) == (ends, best, history.val_loss[best])
    assert best < history.epochs - 1
    np.testing.assert_array_equal(net.parameters, states[best if restore else -1])
    if restore:
        control = net.copy()
        for each in (net, control):  # the state of the optimiser is reset
            each.train_on_batch(X, Y, words["optimizer"])
        assert_same(net, control)


def test_an_early_stopping_can_be_used_again(build: Any) -> None:
    stop, seen = EarlyStopping(patience=1), []
    for _ in range(2):
        net = classifier(build)
        history = net.fit(X, Y, epochs=400, optimizer=ADAM, validation_split=0.3, callbacks=[stop])
        seen.append((history, net.parameters.tolist()))
    assert seen[0] == seen[1]


def test_the_reference_stops_at_the_same_epoch() -> None:
    net = fastmlp.Network([3, 4, 2], dtype="float64", seed=0, loss="cross_entropy")
    other = REFERENCE.Network([3, 4, 2], seed=0, loss="cross_entropy")
    words = {"epochs": 60, "optimizer": fastmlp.SGD(1.0, momentum=0.9), "validation_split": 0.3}
    ours = net.fit(X, Y, callbacks=[EarlyStopping(patience=2)], **words)
    theirs = other.fit(X.tolist(), Y.tolist(), callbacks=[EarlyStopping(patience=2)], **words)
    assert ours.stopped == theirs.stopped == "early_stopping"
    assert ours.epochs == len(theirs.loss) < 60
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=1e-8)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"monitor": 3}, TypeError, "monitor: expected the name"),
        ({"patience": 0}, ValueError, "patience: expected an integer of at least 1, got 0"),
        ({"min_delta": -1}, ValueError, "min_delta: expected a number"),
        ({"mode": "mx"}, ValueError, "mode: expected one of 'auto', 'min', 'max', got 'mx'"),
        ({"monitor": "val_mine"}, ValueError, "mode: expected 'min' or 'max' for a metric of your own"),
        ({"start_from_epoch": -1}, ValueError, "start_from_epoch: expected an integer of at least 0, got -1"),
        ({"restore_best_weights": 1}, TypeError, "restore_best_weights: expected True or False"),
    ],
    ids=str,
)
def test_wrong_early_stopping(words: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        EarlyStopping(**words)


def test_what_is_not_recorded_cannot_be_monitored() -> None:
    """A monitored name that is not recorded is refused before the first epoch."""
    net = fastmlp.Network([3, 2], seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match=r"^monitor: expected one of 'loss', got 'val_loss'"):
        net.fit(X, Y, callbacks=[EarlyStopping()])
    np.testing.assert_array_equal(net.parameters, before)
    again = eval(repr(EarlyStopping("loss", patience=3, start_from_epoch=2)), vars(fastmlp).copy())
    assert (again.patience, again.start_from_epoch) == (3, 2)


# -- the time --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["main", "thread"])
def test_max_time_ends_a_long_epoch(where: str) -> None:
    """max_time ends an epoch after a whole step."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(200_000, 20)).astype(np.float32), rng.normal(size=200_000).astype(np.float32)
    net = fastmlp.Network([20, 128, 128, 1], seed=0)
    histories: list[Any] = []

    def fit() -> None:
        histories.append(net.fit(X, y, epochs=10**6, batch_size=50, shuffle=False, max_time=0.2, optimizer="sgd"))

    start = time.perf_counter()
    if where == "main":
        fit()
    else:
        thread = threading.Thread(target=fit)
        thread.start()
        thread.join()
    assert histories[0].stopped == "max_time"
    assert time.perf_counter() - start < 60  # 10**6 epochs would take days
    assert histories[0].epochs >= 1
    if histories[0].epochs == 1:
        control = fastmlp.Network([20, 128, 128, 1], seed=0)
        P, n = net.parameters, 0
        while not np.array_equal(P, control.parameters) and n < 4000:
            control.train_on_batch(X[50 * n : 50 * n + 50], y[50 * n : 50 * n + 50], "sgd")
            n += 1
        assert 0 < n < 4000


def test_max_time_between_epochs_and_for_the_reference() -> None:
    for net in (fastmlp.Network([3, 2], seed=0), REFERENCE.Network([3, 2], seed=0)):
        history = net.fit(X, Y, epochs=10**9, max_time=0.05)
        assert history.stopped == "max_time"
        assert len(history["loss"]) >= 1
        assert net.fit(X, Y, epochs=1, max_time=10**6).stopped == "epochs"
        with pytest.raises(ValueError, match=r"^max_time: expected a number"):
            net.fit(X, Y, max_time=0)


def test_no_time_at_all(build: Any) -> None:
    net, control = classifier(build), classifier(build)
    history = net.fit(X, Y, max_time=1e-300)
    assert (dict(history), history.stopped) == ({}, "max_time")
    assert_same(net, control)


# -- why it stopped --------------------------------------------------------------------------------------------------


def test_reasons(build: Any) -> None:
    class Own:
        stop_reason = "good enough"

        def on_epoch_end(self, epoch: int, logs: Any) -> bool:
            return epoch == 1

    def fit(**words: Any) -> tuple[int, str | None]:
        history = classifier(build).fit(X, Y, epochs=3, **words)
        return history.epochs, history.stopped

    assert fit() == (3, "epochs")
    assert fit(callbacks=[lambda epoch, logs: epoch == 1]) == (2, "callback")
    assert fit(callbacks=[lambda epoch, logs: epoch == 2]) == (3, "callback")
    assert fit(callbacks=[Own()]) == (2, "good enough")
    assert fit(callbacks=[EarlyStopping("loss", patience=1, min_delta=9.0)]) == (2, "early_stopping")
    assert fastmlp.History().stopped is None


def test_a_callback_is_told_whose_it_is(build: Any) -> None:
    told: list[Any] = []
    callback = types.SimpleNamespace(set_network=told.append, on_train_end=lambda logs: told.append(logs))
    for net in (classifier(build), REFERENCE.Network([3, 2])):
        net.fit(X, Y, epochs=1, callbacks=[callback])
        assert told.pop(0) is net
        assert list(told.pop(0)) == ["loss"]


def test_a_row_to_validate_on_is_named_as_it_was_given() -> None:
    X = np.ones((50, 3))
    X[45, 1] = np.nan
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at row 45, column 1"):
        fastmlp.Network([3, 1], seed=0).fit(X, np.ones(50), validation_split=0.2)
