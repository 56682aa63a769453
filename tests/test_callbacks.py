"""What `fit` tells on the way: history, validation, callbacks, the lines of `verbose`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from trainings import assert_same, classifier, data

import fastmlp

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
    """Hooks that write down what they are called with."""

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
    """One of the hooks alone is enough."""

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
    """After its epoch, when all callbacks have heard of it; the rest is as if fewer epochs had been asked for."""
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
    """What `logs["loss"] < np.float64(...)` gives is a NumPy bool."""
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
