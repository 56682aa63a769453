"""A training that Ctrl-C or an error ends keeps the best epoch's weights, where `EarlyStopping` was asked for them."""

from __future__ import annotations

import os
import signal
import warnings
from typing import Any

import numpy as np
import pytest

import fastmlp
from implementations import load_reference

RNG = np.random.default_rng(0)
X = RNG.normal(size=(64, 3))
Y = X[:, 0] - X[:, 1]
N_EPOCHS = 6


class Raiser:
    """A callback that raises an error or a signal in one hook of one epoch, and records the epochs before."""

    def __init__(self, hook: str, epoch: int, how: Any) -> None:
        self.epoch, self.how, self.at = epoch, how, 0
        self.seen: list[tuple[float, np.ndarray]] = []
        setattr(self, hook, self.strike)

    def set_network(self, network: Any) -> None:
        self.network = network

    def on_epoch_begin(self, epoch: int, logs: Any) -> None:
        self.at = epoch

    def strike(self, number: int, logs: Any) -> None:
        if self.at == self.epoch:
            if self.how is signal.SIGINT:
                os.kill(os.getpid(), signal.SIGINT)
                signal.sigtimedwait([], 0.01) if hasattr(signal, "sigtimedwait") else None
                return
            raise self.how


class Watcher:
    def __init__(self) -> None:
        self.seen: list[tuple[float, np.ndarray]] = []

    def set_network(self, network: Any) -> None:
        self.network = network

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.seen.append((logs["val_loss"], self.network.parameters))


ERRORS = {"interrupt": KeyboardInterrupt(), "error": RuntimeError("mine"), "exit": SystemExit(1)}


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("restore", [True, False])
@pytest.mark.parametrize("hook", ["on_epoch_end", "on_batch_begin", "on_batch_end"])
@pytest.mark.parametrize("how", ERRORS)
@pytest.mark.parametrize("epoch", range(1, N_EPOCHS))
def test_the_best_weights_stay(epoch: int, how: str, hook: str, restore: bool, batches: bool) -> None:
    """With a rate that makes each epoch worse, the best weights are restored."""
    net = fastmlp.Network([3, 8, 1], activation="tanh", seed=0)
    watcher, stop = Watcher(), fastmlp.EarlyStopping(patience=100, restore_best_weights=restore)
    words: dict[str, Any] = {
        "epochs": N_EPOCHS,
        "optimizer": fastmlp.SGD(1.2),
        "validation_data": (X, Y),
        "callbacks": [stop, watcher, Raiser(hook, epoch, ERRORS[how])],
    }
    with pytest.raises(type(ERRORS[how])):
        net.fit([(X, Y)], **words) if batches else net.fit(X, Y, **words)
    best = min(watcher.seen, key=lambda seen: seen[0])
    if restore:
        assert stop.best == best[0]
        np.testing.assert_array_equal(net.parameters, best[1])
        assert net.evaluate(X, Y)["loss"] == best[0]
    net.fit(X, Y, epochs=1)  # the network can be trained again


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_a_real_signal() -> None:
    net = fastmlp.Network([3, 8, 1], activation="tanh", seed=0)
    watcher, stop = Watcher(), fastmlp.EarlyStopping(patience=100)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell may ignore SIGINT
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(
                X,
                Y,
                epochs=1000,
                optimizer=fastmlp.SGD(1.2),
                validation_data=(X, Y),
                callbacks=[stop, watcher, Raiser("on_batch_begin", 4, signal.SIGINT)],
            )
    finally:
        signal.signal(signal.SIGINT, before)
    best = min(watcher.seen, key=lambda seen: seen[0])
    np.testing.assert_array_equal(net.parameters, best[1])


def test_a_loss_that_is_not_finite() -> None:
    net = fastmlp.Network([3, 8, 1], seed=0)
    watcher, stop = Watcher(), fastmlp.EarlyStopping(patience=100)
    with pytest.raises(FloatingPointError):
        net.fit(X, Y, epochs=300, optimizer=fastmlp.SGD(3.0), validation_data=(X, Y), callbacks=[stop, watcher])
    if watcher.seen:
        best = min(watcher.seen, key=lambda seen: seen[0])
        np.testing.assert_array_equal(net.parameters, best[1])


def test_time_that_is_over_within_an_epoch() -> None:
    net = fastmlp.Network([3, 8, 1], seed=0)
    watcher, stop = Watcher(), fastmlp.EarlyStopping(patience=10**6)
    history = net.fit(
        X, Y, epochs=10**9, max_time=0.2, optimizer=fastmlp.SGD(0.3), validation_data=(X, Y), callbacks=[stop, watcher]
    )
    assert history.stopped == "max_time"
    np.testing.assert_array_equal(net.parameters, min(watcher.seen, key=lambda seen: seen[0])[1])


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
@pytest.mark.parametrize("epoch", range(1, N_EPOCHS))
def test_an_estimator_with_early_stopping(name: str, epoch: int) -> None:
    pytest.importorskip("sklearn", minversion="1.9")
    import fastmlp.sklearn

    y = (Y > 0).astype(int) if name == "MLPClassifier" else Y
    words: dict[str, Any] = {"hidden_layer_sizes": 8, "early_stopping": True, "solver": "sgd", "random_state": 0}
    words["learning_rate_init"], words["max_iter"], words["n_iter_no_change"] = 0.5, N_EPOCHS, 100
    kept: list[Any] = []

    def keep(at: int, logs: Any) -> None:
        kept.append(model._callback_network.parameters)
        if at == epoch:
            raise KeyboardInterrupt

    class Keep:
        def set_network(self, network: Any) -> None:
            model._callback_network = network

        on_epoch_end = staticmethod(keep)

    model = getattr(fastmlp.sklearn, name)(callbacks=[Keep()], **words)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    best = int(np.argmax(model.validation_scores_))
    np.testing.assert_array_equal(model.to_network().parameters, kept[best])
    assert model.best_validation_score_ == model.validation_scores_[best]


@pytest.mark.parametrize("how", ERRORS)
@pytest.mark.parametrize("module", [fastmlp, load_reference()], ids=["fastmlp", "reference"])
@pytest.mark.parametrize("epoch", range(N_EPOCHS))
def test_an_epoch_that_is_in_the_history_counts(module: Any, epoch: int, how: str) -> None:
    """An epoch counts if a callback before EarlyStopping ends the training in it, as it may be the best one."""
    seen: list[Any] = []

    def end(at: int, logs: Any) -> None:
        seen.append(np.array(net.parameters))
        if at == epoch:
            raise ERRORS[how]

    for rate in (0.02, 1.2):  # the loss improves in each epoch, or gets worse
        seen.clear()
        net = module.Network([3, 4, 1], activation="tanh", seed=0)
        stop = fastmlp.EarlyStopping(patience=100)
        words = {"epochs": N_EPOCHS, "optimizer": fastmlp.SGD(rate), "validation_data": (X.tolist(), Y.tolist())}
        with pytest.raises(type(ERRORS[how])):
            net.fit(X.tolist(), Y.tolist(), **words, callbacks=[end, stop])
        losses = net.history.val_loss
        assert len(losses) == epoch + 1
        assert (stop.best, stop.best_epoch) == (min(losses), int(np.argmin(losses)))
        np.testing.assert_array_equal(net.parameters, seen[stop.best_epoch])
        if rate == 0.02:
            assert stop.best_epoch == epoch


@pytest.mark.oracle
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_coefs_are_those_of_the_network_after_an_error(method: str) -> None:
    pytest.importorskip("sklearn", minversion="1.9")
    import fastmlp.sklearn

    def fail(epoch: int, logs: Any) -> None:
        raise ZeroDivisionError

    model = fastmlp.sklearn.MLPRegressor(hidden_layer_sizes=4, random_state=0)
    model.partial_fit(X, Y).partial_fit(X, Y).set_params(callbacks=[fail])
    before = model.coefs_[0]
    with pytest.raises(ZeroDivisionError):
        getattr(model, method)(X, Y)
    assert not np.array_equal(model.coefs_[0], before)
    network = fastmlp.Network([3, 4, 1], dtype="float64")
    for l, (w, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        network.set_layer(l, w.T, b)
    np.testing.assert_array_equal(model.predict(X), network.predict(X)[:, 0])
