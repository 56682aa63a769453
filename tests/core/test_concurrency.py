"""Threads and callbacks: which calls may run concurrently, and which state of the network each of them sees.

Readers must see a completely published state that is not older than the last one before they began. The layers are
small, so that BLAS uses one thread, and equal parameters give equal bits.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import fastmlp
from processes import run_python

SIZES = [8, 32, 32, 3]


def data(n_rows: int, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal((n_rows, SIZES[0])).astype(dtype), generator.random((n_rows, SIZES[-1]))


@contextlib.contextmanager
def threads(*loops: Callable[[], Any]) -> Iterator[list[BaseException]]:
    """Call each function repeatedly in its own thread until the block ends; yield the list of exceptions raised."""
    stop, errors = threading.Event(), []

    def repeat(function: Callable[[], Any]) -> None:
        try:
            while not stop.is_set():
                function()
        except BaseException as error:
            errors.append(error)

    running = [threading.Thread(target=repeat, args=(function,)) for function in loops]
    for thread in running:
        thread.start()
    try:
        yield errors
    finally:
        stop.set()
        for thread in running:
            thread.join()


def predictions_of(net: fastmlp.Network, states: list[np.ndarray], X: np.ndarray) -> list[bytes]:
    """Return the network's predictions for X with each of the states."""
    twin = net.copy()
    results = []
    for state in states:
        twin.parameters = state
        results.append(twin.predict(X).tobytes())
    return results


class Fitting:
    """A fit in another thread, which is in the middle of an epoch during a `with` block."""

    def __init__(self, net: fastmlp.Network) -> None:
        self.net, self.began, self.stop = net, threading.Event(), False
        self.errors: list[BaseException] = []
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        try:
            self.net.fit(*data(20_000), epochs=10**9, optimizer=fastmlp.SGD(1e-3), callbacks=[self])
        except BaseException as error:
            self.errors.append(error)

    def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
        self.began.set()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> bool:
        return self.stop

    def __enter__(self) -> Fitting:
        self.thread.start()
        assert self.began.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop = True
        self.thread.join()
        assert self.errors == []


# -- readers ---------------------------------------------------------------------------------------------------------


def test_predict_while_another_thread_fits(build: Callable[..., fastmlp.Network]) -> None:
    """Every prediction is by the parameters after an epoch; small ones keep the GIL, large ones release it."""
    net = build(SIZES, activation="tanh", seed=0)
    X, y = data(2_000, net.dtype.name)
    small, large = X[:5], X[:1_000]
    states, seen_small, seen_large = [net.parameters], set(), set()
    loops = [
        lambda: seen_small.add(net.predict(small).tobytes()),
        lambda: seen_small.add(net(small).tobytes()),
        lambda: seen_large.add(net.predict(large).tobytes()),
    ]

    def callback(epoch: int, logs: dict[str, float]) -> bool:
        states.append(net.parameters)
        time.sleep(0.002)  # releases the GIL for the readers
        return epoch >= 12 and len(seen_small) > 1

    with threads(*loops) as errors:
        net.fit(X, y, epochs=500, callbacks=[callback])
    assert errors == []
    assert seen_small <= set(predictions_of(net, states, small))
    assert seen_large <= set(predictions_of(net, states, large))
    assert len(seen_small) > 1


def test_each_reader_is_right_while_another_thread_fits() -> None:
    """The result of each method that reads parameters belongs to one epoch, while all run concurrently."""
    net = fastmlp.Network(SIZES, loss="cross_entropy", seed=0)
    X, y = data(2_000)
    labels, x = np.argmax(y, axis=1), X[:64]
    readers: dict[str, Callable[[fastmlp.Network], Any]] = {
        "activations": lambda network: network.activations(x),
        "pre_activations": lambda network: network.pre_activations(x),
        "classify": lambda network: network.classify(x),
        "evaluate": lambda network: network.evaluate(x, labels[:64]),
        "loss_and_grad": lambda network: network.loss_and_grad(x, labels[:64])[1],
        "input_gradient": lambda network: network.input_gradient(x, labels[:64]),
        "parameters": lambda network: network.parameters,
        "copy": lambda network: network.copy().parameters,
    }

    def bits(result: Any) -> bytes:
        return b"".join(np.asarray(part).tobytes() for part in (result if isinstance(result, list) else [result]))

    def look(name: str) -> None:
        result = readers[name](net)
        seen[name].add(repr(result).encode() if isinstance(result, dict) else bits(result))

    seen: dict[str, set[bytes]] = {name: set() for name in readers}
    states = [net.parameters]
    with threads(*(lambda name=name: look(name) for name in readers)) as errors:
        net.fit(X, labels, epochs=10, callbacks=[lambda *_: states.append(net.parameters)])
    assert errors == []
    found, twin = seen, net.copy()
    seen = {name: set() for name in readers}
    for state in states:
        twin.parameters = state
        for name, reader in readers.items():
            result = reader(twin)
            seen[name].add(repr(result).encode() if isinstance(result, dict) else bits(result))
    for name in readers:
        assert found[name] <= seen[name], name


def test_out_is_filled_from_one_state_while_another_thread_fits() -> None:
    net = fastmlp.Network(SIZES, seed=0)
    X, y = data(2_000)
    states, seen, buffer = [net.parameters], set(), np.empty((5, 3), np.float32)
    with threads(lambda: seen.add(net.predict(X[:5], out=buffer).tobytes())) as errors:
        net.fit(X, y, epochs=12, callbacks=[lambda *_: states.append(net.parameters)])
    assert errors == []
    assert seen <= set(predictions_of(net, states, X[:5]))


def test_predict_beside_train_on_batch_sees_every_step_that_was_done() -> None:
    """A prediction that begins after k steps shows at least k of them, also while step k + 1 runs without the GIL."""
    net = fastmlp.Network([16, 64, 64, 4], seed=0)
    generator = np.random.default_rng(0)
    X, y = generator.random((128, 16), np.float32), generator.random((128, 4), np.float32)
    twin, n_steps, n_done, seen = net.copy(), 400, 0, []

    def look() -> None:
        before = n_done
        seen.append((before, net.predict(X[:3]).tobytes()))

    with threads(look) as errors:
        for step in range(n_steps):
            net.train_on_batch(X, y, "adam")
            n_done = step + 1
        assert net.predict(X[:3]).tobytes()
    assert errors == []
    position = {twin.predict(X[:3]).tobytes(): 0}
    for step in range(n_steps):
        twin.train_on_batch(X, y, "adam")
        position[twin.predict(X[:3]).tobytes()] = step + 1
    assert {result for _, result in seen} <= set(position)
    late = [before - position[result] for before, result in seen if position[result] < before]
    assert not late, f"{len(late)} of {len(seen)} predictions were up to {max(late)} steps old"


# -- writers ---------------------------------------------------------------------------------------------------------


def writers(net: fastmlp.Network) -> dict[str, Callable[[], Any]]:
    X, y = data(20)
    return {
        "fit": lambda: net.fit(X, y),
        "train_on_batch": lambda: net.train_on_batch(X, y),
        "train_on_batch with another optimiser": lambda: net.train_on_batch(X, y, fastmlp.Adam(0.5)),
        "parameters": lambda: setattr(net, "parameters", net.parameters),
        "set_layer": lambda: net.set_layer(0, net.weights[0], net.biases[0]),
    }


@pytest.mark.parametrize("name", writers(fastmlp.Network(SIZES)))
def test_a_second_writer_is_refused(name: str) -> None:
    net = fastmlp.Network(SIZES, seed=0)
    with Fitting(net), pytest.raises(RuntimeError, match="fit"):
        writers(net)[name]()
    assert np.isfinite(net.parameters).all()
    writers(net)[name]()  # it works while no fit is running


@pytest.mark.parametrize("name", writers(fastmlp.Network(SIZES)))
def test_a_callback_cannot_write(name: str) -> None:
    """A write from a callback raises, which ends the fit; the parameters of the epochs before are kept."""
    net, states = fastmlp.Network(SIZES, seed=0), []

    def callback(epoch: int, logs: dict[str, float]) -> None:
        states.append(net.parameters)
        writers(net)[name]()

    with pytest.raises(RuntimeError, match="fit"):
        net.fit(*data(100), epochs=3, callbacks=[callback])
    assert len(states) == 1
    assert np.array_equal(net.parameters, states[0])
    net.fit(*data(100), epochs=1)


def test_a_refused_writer_does_not_disturb_the_fit() -> None:
    """A step that is refused because a fit is running does not change the optimiser of the fit."""
    run_python(
        """
        import threading
        import numpy as np
        import fastmlp

        generator = np.random.default_rng(0)
        X, y = generator.random((5_000, 8), np.float32), generator.random((5_000, 3), np.float32)
        net, twin = (fastmlp.Network([8, 64, 64, 3], seed=0) for _ in range(2))
        began = threading.Event()

        class Hook:
            def on_epoch_begin(self, epoch, logs):
                began.set()

        class Late:  # rows whose conversion begins a fit in another thread
            def __array__(self, dtype=None, copy=None):
                thread.start()
                assert began.wait(60)
                return X[:20]

        thread = threading.Thread(target=lambda: net.fit(X, y, epochs=20, callbacks=[Hook()]))
        try:
            net.train_on_batch(Late(), y[:20], fastmlp.SGD(0.1))
        except RuntimeError as error:
            assert "fit" in str(error)
        else:
            raise AssertionError("not refused")
        thread.join()
        twin.fit(X, y, epochs=20)
        assert np.array_equal(net.parameters, twin.parameters)
        """
    )


def test_steps_from_several_threads() -> None:
    """Steps with different optimisers from several threads are taken or refused; the network stays consistent."""
    run_python(
        """
        import threading, time
        import numpy as np
        import fastmlp

        generator = np.random.default_rng(0)
        net = fastmlp.Network([64, 128, 128, 2], seed=0)
        X, y = generator.random((64, 64), np.float32), generator.random((64, 2), np.float32)
        end = time.monotonic() + 1.5

        def work(rates):
            step = 0
            while time.monotonic() < end:
                try:
                    net.train_on_batch(X, y, fastmlp.SGD(rates[step % 2]))
                except RuntimeError:
                    pass
                step += 1

        workers = [threading.Thread(target=work, args=([1e-4 * (k + 1), 2e-4 * (k + 1)],)) for k in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert np.isfinite(net.parameters).all()
        assert net.evaluate(X, y)["loss"] < 10
        """
    )


def test_fit_in_a_thread_is_the_same_fit() -> None:
    net, twin = (fastmlp.Network(SIZES, seed=0) for _ in range(2))
    X, y = data(500)
    results: list[fastmlp.History] = []
    thread = threading.Thread(target=lambda: results.append(net.fit(X, y, epochs=5)))
    thread.start()
    thread.join()
    assert results[0]["loss"] == twin.fit(X, y, epochs=5)["loss"]
    assert np.array_equal(net.parameters, twin.parameters)


def test_networks_are_fitted_side_by_side() -> None:
    nets = [fastmlp.Network(SIZES, seed=seed) for seed in range(4)]
    twins = [net.copy() for net in nets]
    X, y = data(1_000)
    workers = [threading.Thread(target=net.fit, args=(X, y), kwargs={"epochs": 4}) for net in nets]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for net, twin in zip(nets, twins, strict=True):
        twin.fit(X, y, epochs=4)
        assert np.array_equal(net.parameters, twin.parameters)


# -- every writer and reader beside every other ------------------------------------------------------------------------

STRESS = """
import itertools, sys, tempfile, threading, time
import numpy as np
import fastmlp
from fastmlp import Regularization

sys.setswitchinterval(1e-6)  # switch threads as often as possible
generator = np.random.default_rng(0)
X, y = generator.random((24, 6), np.float32), generator.random((24, 3), np.float32)
ADAM, SGD = fastmlp.Adam(1e-3), fastmlp.SGD(1e-3)
MORE = [Regularization(l2=1e-4, dropout=0.1, average=0.9), Regularization(l2=1e-4, input_noise=0.01)]


class Label(np.int64):  # compared and converted by Python
    def __lt__(self, other): return int(self) < other
    def __le__(self, other): return int(self) <= other
    def __ge__(self, other): return int(self) >= other
    def __index__(self): return int(self)


def network(kind):
    if kind == "classes":
        return fastmlp.Network([6, 8, 3], loss="cross_entropy", seed=0)
    if kind == "custom":
        cube = fastmlp.CustomActivation(lambda z: z**3, lambda z: 3 * z**2)
        loss = fastmlp.CustomLoss(lambda y, t: (((y - t) ** 2).sum(axis=1), 2 * (y - t)))
        return fastmlp.Network([6, 8, 3], activation=cube, loss=loss, seed=0)
    if kind == "large":  # steps of a large network release the GIL
        return fastmlp.Network([6, 600, 600, 3], seed=0)
    return fastmlp.Network([6, 8, 3], seed=0)


def actions(net, kind, folder):
    t = [Label(1), 2, np.int64(0)] if kind == "classes" else [y[0], y[1], y[2]]
    T = np.arange(24) % 3 if kind == "classes" else y
    P, turn = net.parameters, itertools.count()
    path = folder + f"/{kind}.safetensors"
    return {
        "learn_one": lambda: net.learn_one(X[0], t[next(turn) % 3], regularization=MORE[0]),
        "learn_one plain": lambda: net.learn_one(X[1], t[next(turn) % 3], ADAM if next(turn) % 50 == 0 else None),
        "train_on_batch": lambda: net.train_on_batch(X, T, [None, ADAM, SGD][next(turn) % 3], regularization=MORE[0]),
        "train_on_batch anew": lambda: net.train_on_batch(X, T, SGD, regularization=MORE[next(turn) % 2]),
        "fit": lambda: net.fit(X, T, epochs=1, batch_size=8, optimizer=ADAM, regularization=MORE[1]),
        "lbfgs": lambda: net.fit(X, T, epochs=1, optimizer="lbfgs"),
        "parameters": lambda: setattr(net, "parameters", P),
        "set_layer": lambda: net.set_layer(0, net.weights[0], net.biases[0]),
        "learning_rate": lambda: setattr(net, "learning_rate", 1e-3),
        "predict": lambda: (net.predict(X[0]), net.predict(X), net(X[:1]), net.classify(X)),
        "evaluate": lambda: (net.evaluate(X, T), net.loss_and_grad(X, T), net.input_gradient(X, T)),
        "save": lambda: None if kind == "custom" else net.save(path),
        "copy": lambda: (net.copy(), net._optimizer, net.learning_rate, net._training_state()),
    }


def pair(kind, first, second, seconds, folder):
    net = network(kind)
    end = time.monotonic() + seconds

    def work(name):
        act = actions(net, kind, folder)[name]
        while time.monotonic() < end:
            try:
                act()
            except (RuntimeError, FloatingPointError):
                pass
            except ValueError as error:
                assert "learning_rate" in str(error) or "lbfgs" in str(error), (name, error)

    failed = []
    def watch(name):
        try:
            work(name)
        except BaseException as error:
            failed.append((name, repr(error)))

    threads = [threading.Thread(target=watch, args=(name,)) for name in (first, second, first)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert not failed, (kind, first, second, failed)
    assert np.isfinite(net.parameters).all()
    net.fit(X, np.arange(24) % 3 if kind == "classes" else y, epochs=1)
"""


@pytest.mark.parametrize("kind", ["plain", "classes", "custom", "large"])
def test_every_pair_of_actions_side_by_side(kind: str) -> None:
    """Calls from three threads work or are refused, and the network is consistent afterwards."""
    run_python(
        STRESS
        + textwrap.dedent(
            f"""
            with tempfile.TemporaryDirectory() as folder:
                names = list(actions(network({kind!r}), {kind!r}, folder))
                for first, second in itertools.combinations_with_replacement(names, 2):
                    pair({kind!r}, first, second, 0.03, folder)
            """
        ),
        timeout=300,
    )


def test_learn_one_with_a_regularization_beside_new_parameters() -> None:
    """Comparing regularisations runs Python code, during which another thread may replace the state."""
    run_python(
        STRESS
        + textwrap.dedent(
            """
            with tempfile.TemporaryDirectory() as folder:
                for second in ("parameters", "train_on_batch anew", "set_layer"):
                    pair("plain", "learn_one", second, 1.5, folder)
                    pair("classes", "learn_one", second, 1.0, folder)
            """
        ),
        timeout=300,
    )


# -- callbacks -------------------------------------------------------------------------------------------------------


def test_a_callback_can_read(tmp_path: Any) -> None:
    """predict, evaluate, save, copy and pickle use the state after the epoch, from which the copy can be trained on."""
    net, copies = fastmlp.Network(SIZES, seed=0), []
    X, y = data(300)

    def callback(epoch: int, logs: dict[str, float]) -> None:
        path = tmp_path / f"{epoch}.safetensors"
        net.save(path)
        copies.append((net.copy(), fastmlp.load(path), net.predict(X), net.evaluate(X, y)))

    net.fit(X, y, epochs=3, optimizer=fastmlp.SGD(0.1), callbacks=[callback])
    for copy, loaded, predicted, evaluated in copies:
        assert np.array_equal(copy.predict(X), predicted)
        assert np.array_equal(loaded.predict(X), predicted)
        assert copy.evaluate(X, y) == evaluated
    first = copies[0][0]
    first.fit(X, y, epochs=2, optimizer=fastmlp.SGD(0.1))
    assert np.array_equal(first.parameters, net.parameters)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin"])
def test_the_first_callbacks_see_the_steps_before_the_fit(hook: str) -> None:
    net, seen = fastmlp.Network(SIZES, seed=0), []
    X, y = data(100)
    twin = net.copy()
    for network in (net, twin):
        for _ in range(3):
            network.train_on_batch(X, y, "adam")
    callback = type("Callback", (), {hook: lambda *_: seen.append(net.parameters)})()
    net.fit(X, y, epochs=1, callbacks=[callback])
    assert np.array_equal(seen[0], twin.parameters)


def test_a_copy_from_the_middle_of_an_epoch_goes_on_like_the_network() -> None:
    """A copy has the parameters and the random state of the same epoch."""
    net, states = fastmlp.Network(SIZES, seed=0), []
    X, y = data(1_000_000)
    began = threading.Event()

    class Hook:
        def on_epoch_begin(self, epoch: int, logs: dict[str, float]) -> None:
            if epoch == 1:
                began.set()

        def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
            states.append(net.parameters)

    words: dict[str, Any] = {"optimizer": fastmlp.SGD(0.05)}
    thread = threading.Thread(target=lambda: net.fit(X, y, epochs=2, callbacks=[Hook()], **words))
    thread.start()
    assert began.wait(60)
    time.sleep(0.03)
    copy = net.copy()
    thread.join()
    assert np.array_equal(copy.parameters, states[0]), "the epoch was too short for this test"
    copy.fit(X, y, epochs=1, **words)
    assert np.array_equal(copy.parameters, states[1])


# -- the GIL ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_python_thread_keeps_its_speed_beside_a_fit() -> None:
    """At least 80 % of it; the best of several turns, taken one after the other.

    Its speed is what it has beside a process that computes: two cores may be one, and that is not the fit's doing.
    """
    count, stop = 0, False

    def work() -> None:
        nonlocal count
        while not stop:
            count += 1

    def rate(seconds: float) -> float:
        start, first = time.perf_counter(), count
        time.sleep(seconds)
        return (count - first) / (time.perf_counter() - start)

    X, y = data(50_000)
    done = threading.Event()
    net = fastmlp.Network(SIZES, seed=0)
    alone, beside = [], []
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for _ in range(7):
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as burner:
                time.sleep(0.1)
                alone.append(rate(0.3))
                burner.kill()
            done.clear()
            fit = threading.Thread(
                target=lambda: net.fit(X, y, epochs=10**9, callbacks=[lambda *_: done.is_set()], optimizer=None)
            )
            fit.start()
            time.sleep(0.05)
            beside.append(rate(0.3))
            done.set()
            fit.join()
    finally:
        stop = True
        worker.join()
    print(f"{max(beside) / max(alone):.0%} of its speed")
    assert max(beside) >= 0.8 * max(alone)
