"""What `fit` reports during training: history, validation, callbacks, the lines of `verbose`."""

from __future__ import annotations

import contextlib
import decimal
import fractions
import math
import pickle
import re
from typing import Any

import numpy as np
import pytest

import fastmlp
from implementations import load_reference
from trainings import assert_same, classifier, data

# -- validation, history, callbacks, words ---------------------------------------------------------------------------


def test_validation_is_what_evaluate_says_after_each_epoch(build: Any) -> None:
    X, y = data()
    Xv, yv = data(11, 3, seed=1)
    net = classifier(build)
    seen = []
    history = net.fit(
        X, y, epochs=4, validation_data=(Xv, yv), callbacks=[lambda epoch, logs: seen.append(net.evaluate(Xv, yv))]
    )
    assert history.val_loss == [each["loss"] for each in seen]
    assert history.val_accuracy == [each["accuracy"] for each in seen]
    assert len(set(history.val_loss)) == 4


def test_validation_does_not_change_the_training(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    net.fit(X, y, epochs=3, validation_data=[X[:5], y[:5]])
    control.fit(X, y, epochs=3)
    assert_same(net, control)


@pytest.mark.parametrize(("loss", "names"), [("mse", ["loss", "val_loss"]), ("binary_cross_entropy", None)])
def test_the_names_in_a_history(build: Any, loss: str, names: list[str] | None) -> None:
    X, y = data()
    history = build([3, 1], loss=loss, seed=0).fit(X, y, epochs=2, validation_data=(X, y))
    assert isinstance(history, fastmlp.History)
    assert list(history) == (names or ["loss", "val_loss", "val_accuracy"])
    assert all(len(values) == 2 and all(type(v) is float for v in values) for values in history.values())
    assert list(build([3, 1], loss=loss, seed=0).fit(X, y)) == ["loss"]
    assert len(build([3, 1], seed=0).fit(X, y).loss) == 10


class Recorder:
    """A callback that records the arguments of its hooks."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[Any] = []
        self.stop_at = stop_at

    def on_train_begin(self, logs: Any) -> None:
        self.calls.append(("train begin", dict(logs)))

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.calls.append(("begin", epoch))

    def on_epoch_end(self, epoch: int, logs: Any) -> bool:
        self.calls.append(("end", epoch, dict(logs)))
        return epoch == self.stop_at

    def on_train_end(self, logs: Any) -> None:
        self.calls.append(("train end", dict(logs)))


def test_hooks_and_functions_are_called_in_order(build: Any) -> None:
    X, y = data()
    net, recorder, seen = classifier(build), Recorder(), []
    history = net.fit(X, y, epochs=2, callbacks=[recorder, lambda epoch, logs: seen.append((epoch, dict(logs)))])
    logs = [{"loss": loss} for loss in history.loss]
    assert seen == [(0, logs[0]), (1, logs[1])]
    assert recorder.calls == [
        ("train begin", {}),
        ("begin", 0),
        ("end", 0, logs[0]),
        ("begin", 1),
        ("end", 1, logs[1]),
        ("train end", logs[1]),
    ]


class OneHook:
    """A callback with only one hook, which is allowed."""

    def __init__(self) -> None:
        self.n_calls = 0

    def on_train_end(self, logs: Any) -> None:
        self.n_calls += 1


def test_one_hook_is_enough(build: Any) -> None:
    callback = OneHook()
    classifier(build).fit(*data(), epochs=3, callbacks=(callback,))
    assert callback.n_calls == 1


@pytest.mark.parametrize("how", ["function", "hook"])
def test_a_callback_stops_the_training(build: Any, how: str) -> None:
    """Training stops after the epoch and all callbacks, with the same result as a fit of fewer epochs."""
    X, y = data()
    net, control, last = classifier(build), classifier(build), Recorder()
    stopper = Recorder(stop_at=2) if how == "hook" else (lambda epoch, logs: epoch == 2)
    history = net.fit(X, y, epochs=50, callbacks=[stopper, last])
    assert history.epochs == 3
    assert [call[:2] for call in last.calls[-2:]] == [("end", 2), ("train end", {"loss": history.loss[2]})]
    control.fit(X, y, epochs=3)
    assert_same(net, control)


@pytest.mark.parametrize("answer", [None, False, 0, 1, "yes"])
def test_only_true_stops(build: Any, answer: Any) -> None:
    assert classifier(build).fit(*data(), epochs=3, callbacks=[lambda epoch, logs: answer]).epochs == 3


def test_numpys_true_stops(build: Any) -> None:
    """numpy.bool stops a training, too: it is the result of `logs["loss"] < np.float64(...)`."""
    assert classifier(build).fit(*data(), epochs=3, callbacks=[lambda epoch, logs: np.True_]).epochs == 1


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_epoch_end"])
def test_an_error_in_a_callback_leaves_whole_epochs(build: Any, hook: str) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)

    def fail(*arguments: Any) -> None:
        if hook == "on_train_begin" or arguments[0] == 1:
            raise KeyError(hook)

    callback = type("Callback", (), {hook: staticmethod(fail)})()
    with pytest.raises(KeyError, match=hook):
        net.fit(X, y, epochs=5, callbacks=[callback])
    n_epochs = {"on_train_begin": 0, "on_epoch_begin": 1, "on_epoch_end": 2}[hook]
    if n_epochs:
        control.fit(X, y, epochs=n_epochs)
    assert_same(net, control)
    net.fit(X, y, epochs=2)
    control.fit(X, y, epochs=2)
    assert_same(net, control)


def test_callbacks_may_read_the_network(build: Any) -> None:
    X, y = data()
    net, control, seen = classifier(build), classifier(build), []
    net.fit(X, y, epochs=3, callbacks=[lambda epoch, logs: seen.append((net.parameters, net.predict(X)))])
    for P, outputs in seen:
        control.fit(X, y, epochs=1)
        np.testing.assert_array_equal(P, control.parameters)
        np.testing.assert_array_equal(outputs, control.predict(X))


# -- what a callback adds ----------------------------------------------------------------------------------------------

MODULES = [fastmlp, load_reference()]


@pytest.fixture(params=MODULES, ids=["fastmlp", "reference"])
def make(request: pytest.FixtureRequest) -> Any:
    """Return a small classifier of the package or of the reference."""
    return lambda: request.param.Network([3, 5, 2], activation="tanh", loss="cross_entropy", seed=1)


def rows() -> Any:
    X, y = data()
    return X.tolist(), y.tolist()


def test_what_a_callback_adds_to_logs_is_a_curve(make: Any) -> None:
    """It is NaN in epochs without a value; later callbacks find the value in `logs` as a float."""
    seen: list[Any] = []

    class Adds:
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            if epoch in (1, 3):
                logs["lr"] = np.float32(0.1) * epoch
            logs["epoch"] = epoch

        def on_train_end(self, logs: Any) -> None:
            seen.append(dict(logs))

    history = make().fit(*rows(), epochs=4, callbacks=[Adds(), lambda epoch, logs: seen.append(dict(logs))])
    assert list(history) == ["loss", "epoch", "lr"]
    assert history.epoch == [0.0, 1.0, 2.0, 3.0]
    once, thrice = float(np.float32(0.1)), float(np.float32(0.1) * 3)
    assert repr(history.lr) == repr([math.nan, once, math.nan, thrice])
    assert [type(value) for value in seen[1].values()] == [float] * 3
    assert seen[1] == {"loss": history.loss[1], "lr": once, "epoch": 1.0}
    assert seen[4] == {"loss": history.loss[3], "lr": thrice, "epoch": 3.0}
    assert make().fit(*rows(), epochs=4).loss == history.loss


NUMBERS = [3, 2.5, True, np.True_, np.float16(0.5), np.array(7.0), np.int8(-3), fractions.Fraction(1, 4), math.inf]


@pytest.mark.parametrize("value", [*NUMBERS, decimal.Decimal("0.5"), math.nan], ids=repr)
def test_numbers_that_a_callback_adds(make: Any, value: Any) -> None:
    history = make().fit(*rows(), epochs=1, callbacks=[lambda epoch, logs: logs.update(it=value)])
    assert type(history.it[0]) is float
    assert repr(history.it) == repr([float(value)])


@pytest.mark.parametrize("value", ["high", None, [1.0], np.ones(1), np.ones(2), 1j, b"1", {}], ids=repr)
def test_what_is_no_number_is_refused_by_the_name_of_the_callback(make: Any, value: Any) -> None:
    """The error is raised after the epoch, which is recorded and whose parameters are kept."""

    class Logger:
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            if epoch == 1:
                logs["lr"] = value

    net, control = make(), make()
    with pytest.raises(TypeError, match=r"^callback Logger: .*'lr'") as raised:
        net.fit(*rows(), epochs=4, callbacks=[Logger()])
    assert raised.value.history == control.fit(*rows(), epochs=2)
    np.testing.assert_array_equal(net.parameters, control.parameters)


@pytest.mark.parametrize("name", [3, "", None, "a\nb", "\ud800"], ids=ascii)
def test_names_that_no_curve_can_have(name: Any) -> None:
    def name_it(epoch: int, logs: Any) -> None:
        logs[name] = 1.0

    with pytest.raises(TypeError, match=r"^callback name_it: expected names of figures in logs, got "):
        fastmlp.Network([3, 2]).fit(*rows(), epochs=1, callbacks=[name_it])


@pytest.mark.parametrize("change", ["set", "remove", "clear"])
@pytest.mark.parametrize("name", ["loss", "val_loss", "lr"])
def test_what_is_in_logs_stays(make: Any, change: str, name: str) -> None:
    """A callback cannot replace the fit's own figures or those that another callback has added."""

    def other(epoch: int, logs: Any) -> None:
        if change == "set":
            logs[name] = 9.0
        elif change == "remove":
            del logs[name]
        else:
            logs.clear()

    adds = lambda epoch, logs: logs.update(lr=0.5)  # noqa: E731
    with pytest.raises(ValueError, match=r"^callback other: .*(in|to stay in|the history has)"):
        make().fit(*rows(), epochs=2, validation_data=rows(), callbacks=[adds, other])


def test_setting_what_is_there_to_what_it_is(make: Any) -> None:
    def same(epoch: int, logs: Any) -> None:
        logs.update({name: np.float64(value) for name, value in logs.items()})

    nan = lambda epoch, logs: logs.update(none=math.nan)  # noqa: E731
    history = make().fit(*rows(), epochs=2, callbacks=[nan, same])
    assert list(history) == ["loss", "none"]


def test_what_is_added_elsewhere_is_no_curve(make: Any) -> None:
    """What is added to the logs of a batch, or of the training's begin or end, does not get into the history."""
    hooks = ("on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_train_end")
    callback = type("Callback", (), {hook: staticmethod(lambda *a: a[-1].update(x="no number")) for hook in hooks})()
    assert list(make().fit(*rows(), epochs=2, callbacks=[callback])) == ["loss"]


# -- the history of a network, and of what ends its training -----------------------------------------------------------


def test_the_history_of_the_last_fit(make: Any) -> None:
    net, seen = make(), []
    assert net.history is None
    history = net.fit(*rows(), epochs=2, callbacks=[lambda epoch, logs: seen.append((net.history, dict(net.history)))])
    assert net.history is history
    assert seen[1][0] is history  # also while it runs
    net.train_on_batch(*rows())
    assert net.history is history
    with pytest.raises(ValueError, match=r"^epochs"):
        net.fit(*rows(), epochs=0)
    assert net.history is history  # the refused fit has not begun
    assert net.copy().history is None
    assert pickle.loads(pickle.dumps(net)).history is None
    net.partial_fit(*rows())
    assert net.history.epochs == 1


@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_epoch_end", "on_batch_end", "on_train_end"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_what_ends_a_training_has_its_history(make: Any, hook: str, kind: type[BaseException]) -> None:
    """The history of the completed epochs is on the exception and on the network."""
    calls: list[Any] = []

    def end(*args: Any) -> None:
        calls.append(args)
        if len(calls) == (1 if hook == "on_train_end" else 3):
            raise kind

    net, control = make(), make()
    n_epochs = {"on_epoch_begin": 2, "on_epoch_end": 3, "on_batch_end": 2, "on_train_end": 4}[hook]
    with pytest.raises(kind) as raised:
        net.fit(*rows(), epochs=4, batch_size=99, callbacks=[type("End", (), {hook: staticmethod(end)})()])
    history = raised.value.history  # type: ignore[attr-defined]
    assert history is net.history
    assert history == control.fit(*rows(), epochs=n_epochs, batch_size=99)
    assert history.stopped == ("interrupted" if kind is KeyboardInterrupt else "error")


@pytest.mark.parametrize("source", ["rows", "batches"])
@pytest.mark.parametrize("module", MODULES, ids=["fastmlp", "reference"])
def test_a_loss_that_is_not_finite_keeps_the_history(module: Any, source: str) -> None:
    net = module.Network([1, 1], seed=0)
    X, y = [[1e3]] * 4, [0.0] * 4
    args = (X, y) if source == "rows" else ([(X, y)],)
    with pytest.raises(FloatingPointError) as raised:
        net.fit(*args, epochs=1000, optimizer=fastmlp.SGD(1.0))
    assert raised.value.history is net.history  # type: ignore[attr-defined]
    assert 1 <= net.history.epochs < 1000
    assert all(map(math.isfinite, net.history.loss))
    assert net.history.stopped == "error"


def test_an_exception_that_takes_no_history_is_raised_as_it_is() -> None:
    class Closed(Exception):  # noqa: N818
        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(name)

    def fail(epoch: int, logs: Any) -> None:
        raise Closed

    net = fastmlp.Network([3, 2])
    with pytest.raises(Closed):
        net.fit(*rows(), callbacks=[fail])
    assert net.history is not None
    assert net.history.epochs == 1


# -- the lines of verbose ----------------------------------------------------------------------------------------------


def test_verbose(build: Any, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = data()
    classifier(build).fit(X, y, epochs=3)
    assert capsys.readouterr() == ("", "")
    history = classifier(build).fit(X, y, epochs=3, verbose=1, validation_data=(X, y))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines):
        assert f"{epoch + 1}/3" in line
        for name, values in history.items():
            assert f"{name} {values[epoch]:.6g}" in line
        assert re.search(r"  [\d,]+ rows/s  0:00, 0:0\d left$", line)


@pytest.mark.parametrize(
    ("verbose", "epochs", "shown"),
    [
        (0, 4, []),
        (False, 4, []),
        (True, 3, [1, 2, 3]),
        (2, 5, [2, 4, 5]),
        (10, 35, [10, 20, 30, 35]),
        (np.int64(10), 30, [10, 20, 30]),
        (10, 3, [3]),
        (10**30, 2, [2]),
    ],
)
def test_every_so_many_epochs_and_the_last(
    make: Any, verbose: Any, epochs: int, shown: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    make().fit(*rows(), epochs=epochs, verbose=verbose)
    found = re.findall(rf"^epoch (\d+)/{epochs}\b", capsys.readouterr().err, re.MULTILINE)
    assert list(map(int, found)) == shown


@pytest.mark.parametrize("how", ["stops", "fails", "is interrupted"])
def test_the_last_epoch_that_there_is_is_shown(how: str, capsys: pytest.CaptureFixture[str]) -> None:
    def end(epoch: int, logs: Any) -> bool:
        if epoch == 12 and how != "stops":
            raise KeyboardInterrupt if how == "is interrupted" else ZeroDivisionError
        return epoch == 12

    with contextlib.suppress(ZeroDivisionError, KeyboardInterrupt):
        fastmlp.Network([3, 2]).fit(*rows(), epochs=100, verbose=10, callbacks=[end])
    assert re.findall(r"^epoch (\d+)/100 ", capsys.readouterr().err, re.MULTILINE) == ["10", "13"]


def test_lines_have_what_callbacks_add(capsys: pytest.CaptureFixture[str]) -> None:
    fastmlp.Network([3, 2]).fit(*rows(), epochs=2, verbose=1, callbacks=[lambda epoch, logs: logs.update(lr=0.125)])
    assert capsys.readouterr().err.count("  lr 0.125  ") == 2
