"""Ctrl-C and other signals during `fit`: it stops soon and keeps what was learnt, and the network can still be used.

Each signal comes from a thread that waits for an epoch to begin. The limits are generous, as the machine may be busy;
the measured times are printed (`pytest -s`).
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np
import pytest

import fastmlp

LIMIT = 2.0  # in seconds; it takes about 0.1 s on an idle machine


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, and restore handlers afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGALRM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


class Interrupt:
    """A callback, and the thread that sends a signal `delay` seconds after the given epoch has begun."""

    def __init__(self, epoch: int = 0, delay: float = 0.1, number: int = signal.SIGINT) -> None:
        self.epoch, self.delay, self.number = epoch, delay, number
        self.began, self.sent = threading.Event(), 0.0
        self.states: list[np.ndarray] = []
        self.network: fastmlp.Network | None = None
        self.thread = threading.Thread(target=self.wait_and_send, daemon=True)
        self.thread.start()

    def wait_and_send(self) -> None:
        if self.began.wait(60):
            time.sleep(self.delay)
            self.sent = time.perf_counter()
            os.kill(os.getpid(), self.number)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        if epoch == self.epoch:
            self.began.set()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.network is not None:
            self.states.append(self.network.parameters)

    def seconds(self, what: str) -> float:
        """Return, and print, the seconds since the signal was sent."""
        seconds = time.perf_counter() - self.sent
        assert self.sent > 0
        self.thread.join()
        print(f"{what}: stopped after {1e3 * seconds:.0f} ms")
        return seconds


def assert_usable(net: fastmlp.Network, X: np.ndarray, y: np.ndarray) -> None:
    """Check that the network predicts, and that a later fit works."""
    assert np.isfinite(net.predict(X[:3])).all()
    before = net.parameters
    history = net.fit(X[:50], y[:50], epochs=2)
    assert len(history["loss"]) == 2
    assert not np.array_equal(net.parameters, before)


@pytest.mark.parametrize("batch_size", [64, None])
def test_ctrl_c_in_a_long_epoch(batch_size: int | None) -> None:
    X, y = np.zeros((60_000, 784), np.uint8), np.arange(60_000) % 10
    net = fastmlp.Network([784, 512, 512, 10], loss="cross_entropy", seed=0)
    start = net.parameters
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1000, batch_size=batch_size, callbacks=[interrupt])
    assert interrupt.seconds(f"784-512-512-10, batch_size={batch_size}") < LIMIT
    assert np.array_equal(net.parameters, start) == (batch_size is None)  # no step of a full batch was complete
    assert_usable(net, X, y)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("engine", ["native", "blas"])
def test_ctrl_c_in_a_step_of_millions_of_weights(engine: str, n_threads: int) -> None:
    """A long step is abandoned, and the parameters kept are those after whole steps."""
    X = np.random.default_rng(0).random((700, 2800), np.float32)
    net, twin = (fastmlp.Network([2800, 2800, 1], seed=0, engine=engine, n_threads=n_threads) for _ in range(2))
    options: dict[str, Any] = {"batch_size": None, "shuffle": False, "optimizer": fastmlp.SGD(1e-6)}
    interrupt = Interrupt(delay=0.03)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, X[:, 0], epochs=1000, callbacks=[interrupt], **options)
    assert interrupt.seconds(f"2800-2800-1, {engine}, {n_threads} threads") < LIMIT
    assert net.history is not None
    n_steps = net.history.epochs
    if n_steps > 0:
        twin.fit(X, X[:, 0], epochs=n_steps, **options)
    assert np.array_equal(net.parameters, twin.parameters)
    assert_usable(net, X, X[:, 0])


def test_ctrl_c_in_a_long_validation() -> None:
    X, y = np.zeros((80_000, 784), np.uint8), np.arange(80_000) % 10
    net = fastmlp.Network([784, 512, 512, 10], loss="cross_entropy", seed=0)
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt):
        net.fit(X[:10], y[:10], epochs=1000, validation_data=(X, y), callbacks=[interrupt])
    assert interrupt.seconds("validation of 80,000 rows") < 1.0
    assert_usable(net, X, y)


def test_ctrl_c_between_short_epochs() -> None:
    net, twin = (fastmlp.Network([4, 8, 1], seed=0) for _ in range(2))
    X, y = np.random.default_rng(0).random((50, 4)), np.zeros(50)
    interrupt = Interrupt(delay=0.05)
    interrupt.network = net
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=10**9, callbacks=[interrupt])
    assert interrupt.seconds("short epochs") < LIMIT
    states: list[bytes] = []
    twin.fit(X, y, epochs=len(interrupt.states) + 1, callbacks=[lambda *_: states.append(twin.parameters.tobytes())])
    assert net.parameters.tobytes() in states[-2:]  # the last epoch that a callback has seen, or one more
    assert_usable(net, X, y)


def test_a_full_batch_epoch_is_whole_or_not_there() -> None:
    """A full-batch fit that is interrupted in its second epoch keeps the parameters of the first."""
    X = np.random.default_rng(0).integers(0, 256, (30_000, 784), np.uint8)  # an epoch takes over 0.1 s
    net = fastmlp.Network([784, 512, 512, 10], loss="cross_entropy", seed=0)
    interrupt = Interrupt(epoch=1, delay=0.02)
    interrupt.network = net
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, np.arange(len(X)) % 10, epochs=1000, batch_size=None, callbacks=[interrupt])
    assert interrupt.seconds("second epoch, full batch") < LIMIT
    assert np.array_equal(net.parameters, interrupt.states[-1])


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(1e-4, momentum=0.9), fastmlp.Adam(1e-4)], ids=["SGD", "Adam"])
def test_what_is_kept_is_whole_steps(optimizer: Any) -> None:
    """After Ctrl-C the parameters are those after some number of steps, and the optimiser goes on from there."""
    generator = np.random.default_rng(0)
    X, y = generator.integers(0, 4, (3_000_000, 4), np.uint8), np.zeros((3_000_000, 1), np.float32)
    net, twin = (fastmlp.Network([4, 32, 32, 1], activation="tanh", seed=3) for _ in range(2))
    interrupt = Interrupt(delay=0.02)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1000, batch_size=200, shuffle=False, optimizer=optimizer, callbacks=[interrupt])
    kept = net.parameters
    for first in range(0, len(X), 200):
        rows = slice(first, first + 200)
        twin.train_on_batch(X[rows], y[rows], optimizer)
        if np.array_equal(twin.parameters, kept):
            break
    else:
        pytest.fail("the parameters are not those after any number of whole steps")
    for network in (net, twin):
        network.train_on_batch(X[:200], y[:200], optimizer)
    assert np.array_equal(net.parameters, twin.parameters)


def test_a_handler_that_does_not_raise_does_not_stop() -> None:
    X = np.random.default_rng(0).random((2_000, 64), np.float32)
    net, twin = (fastmlp.Network([64, 64, 1], seed=1) for _ in range(2))
    calls: list[np.ndarray] = []

    def handler(number: int, frame: FrameType | None) -> None:
        calls.append(net.predict(X[0]))  # the network answers inside a handler too

    signal.signal(signal.SIGINT, handler)
    interrupt = Interrupt(delay=0.05)
    history = net.fit(X, X[:, 0], epochs=100, callbacks=[interrupt])
    interrupt.thread.join()
    assert len(calls) == 1
    assert len(history["loss"]) == 100
    assert twin.fit(X, X[:, 0], epochs=100)["loss"] == history["loss"]
    assert np.array_equal(net.parameters, twin.parameters)


def test_what_a_handler_raises_comes_out_of_fit() -> None:
    def handler(number: int, frame: FrameType | None) -> None:
        raise TimeoutError("time is up")

    signal.signal(signal.SIGALRM, handler)
    X, y = np.zeros((60_000, 784), np.uint8), np.arange(60_000) % 10
    net = fastmlp.Network([784, 128, 10], loss="cross_entropy", seed=0)
    interrupt = Interrupt(number=signal.SIGALRM)
    with pytest.raises(TimeoutError, match="time is up"):
        net.fit(X, y, epochs=1000, callbacks=[interrupt])
    assert interrupt.seconds("SIGALRM") < LIMIT
    assert_usable(net, X, y)


def test_a_handler_that_trains_the_network_is_refused() -> None:
    X, y = np.zeros((60_000, 784), np.uint8), np.arange(60_000) % 10
    net = fastmlp.Network([784, 128, 10], loss="cross_entropy", seed=0)

    def handler(number: int, frame: FrameType | None) -> None:
        net.fit(X[:10], y[:10])

    signal.signal(signal.SIGINT, handler)
    with pytest.raises(RuntimeError, match="fit"):
        net.fit(X, y, epochs=1000, callbacks=[Interrupt()])
    assert_usable(net, X, y)


def test_keyboard_interrupt_in_a_callback() -> None:
    def callback(epoch: int, logs: dict[str, float]) -> None:
        states.append(net.parameters)
        raise KeyboardInterrupt

    states: list[np.ndarray] = []
    X, y = np.random.default_rng(0).random((50, 4)), np.zeros(50)
    net = fastmlp.Network([4, 8, 1], seed=0)
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, callbacks=[callback])
    assert np.array_equal(net.parameters, states[0])
    assert_usable(net, X, y)


class Alarm(Exception):  # noqa: N818
    """The exception that the handler of the next test raises."""


def test_a_signal_at_any_moment() -> None:
    """After each of 300 signals at random moments of short fits and steps, the network can be trained."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise Alarm

    signal.signal(signal.SIGALRM, handler)
    moments = random.Random(0)
    X, y = np.random.default_rng(0).random((40, 4)), np.zeros(40)
    net = fastmlp.Network([4, 8, 1], seed=0)
    n_caught = 0
    for _ in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, moments.uniform(1e-5, 2e-3))
            for _ in range(10_000):
                net.fit(X, y, epochs=2, validation_data=(X, y), optimizer=None)
                net.train_on_batch(X, y)
        except Alarm:
            n_caught += 1
        net.fit(X, y, epochs=1, optimizer=None)
        net.train_on_batch(X, y)
    assert n_caught == 300
    assert np.isfinite(net.parameters).all()
