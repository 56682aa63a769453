"""Forks: what a child process can do with the networks of its parent, whatever other threads were doing."""

from __future__ import annotations

import textwrap

import pytest

from processes import run_python


def test_fork_after_predict() -> None:
    """A forked child predicts and trains with the same bits, and does not change the parent's network."""
    run_python(
        """
        import os, signal
        import numpy as np
        import fastmlp

        X, y = np.random.default_rng(0).random((200, 20), np.float32), np.zeros((200, 2))
        net = fastmlp.Network([20, 64, 64, 2], seed=0)
        net.train_on_batch(X, y)
        expected, before = net.predict(X), net.parameters
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(60)  # a child that hangs dies
                assert np.array_equal(net.predict(X), expected)
                history = net.fit(X, y, epochs=20)
                assert history["loss"][-1] < history["loss"][0]
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.array_equal(net.parameters, before)
        net.fit(X, y, epochs=2)
        """
    )


def test_fork_from_a_callback_and_while_a_thread_fits() -> None:
    """A forked child can read and copy the network, and train the copy."""
    run_python(
        """
        import os, signal, threading
        import numpy as np
        import fastmlp

        X, y = np.random.default_rng(0).random((5_000, 8), np.float32), np.zeros((5_000, 2))
        net = fastmlp.Network([8, 16, 2], seed=0)

        def fork():
            expected = net.predict(X[:4])
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    signal.alarm(60)
                    copy = net.copy()
                    assert np.isfinite(net.predict(X)).all()
                    copy.fit(X, y, epochs=1)
                    code = 0
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        net.fit(X, y, epochs=2, callbacks=[lambda *_: fork()])
        done = threading.Event()
        thread = threading.Thread(target=lambda: net.fit(X, y, epochs=10**9, callbacks=[lambda *_: done.is_set()]))
        thread.start()
        fork()
        fork()
        done.set()
        thread.join()
        """
    )


# logging comes first, because SciPy imports it: if a thread is importing it when another one forks, the function that
# it has registered for forks takes the lock that the import still needs, and Python itself waits for ever.
CHILD = """
import logging, os, signal, sys, threading, time, traceback
import numpy as np
import fastmlp

def in_child(act):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(20)  # a child that hangs dies
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

X = np.random.default_rng(0).random((20_000, 8), np.float32)
y = X[:, :2] ** 2
"""


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("words", ["", "regularization=fastmlp.Regularization(average=0.9)"])
def test_a_child_can_fit_what_a_thread_of_its_parent_fits(optimizer: str, words: str) -> None:
    """In the child the fit of the parent's thread is over, and training continues from what it had published."""
    if words and optimizer == "lbfgs":
        words = "regularization=fastmlp.Regularization(l2=1e-3)"
    run_python(
        CHILD
        + textwrap.dedent(
            f"""
            net, done, epochs = fastmlp.Network([8, 256, 2], seed=0), threading.Event(), []
            published, n_epochs = os.memfd_create("published"), []

            def callback(epoch, logs):
                epochs.append(net.parameters)
                return done.is_set()

            def fit(**more):
                return net.fit(X, y, **{{"optimizer": {optimizer!r}, **more}}, {words})

            def act():
                before = net.parameters
                os.write(published, before.tobytes())
                twin = net.copy()
                net.train_on_batch(X[:50], y[:50], {optimizer!r}, {words})  # from what was published
                assert np.isfinite(net.parameters).all()
                net.parameters = before
                for each in (net, twin):
                    each.fit(X[:200], y[:200], epochs=2, optimizer="sgd", shuffle=False)
                assert np.array_equal(net.parameters, twin.parameters)
                assert fit(epochs=2).epochs == 2

            thread = threading.Thread(target=lambda: fit(epochs=10**9, callbacks=[callback]))
            thread.start()
            while not epochs:
                time.sleep(0.01)
            codes = []
            for _ in range(4):
                time.sleep(0.03)
                codes.append(in_child(act))
                n_epochs.append(len(epochs))
            done.set()
            thread.join()
            assert codes == [0] * 4, codes
            os.lseek(published, 0, os.SEEK_SET)
            for n in n_epochs:  # each child had what an epoch had published that its callback may not yet have seen
                before = os.read(published, net.parameters.nbytes)
                assert any(before == P.tobytes() for P in epochs[:n + 1])
            """
        )
    )


def test_a_child_forked_within_its_own_fit_goes_on_with_it() -> None:
    """In the child of a thread that is fitting, the fit is still running, and another writer is refused."""
    run_python(
        CHILD
        + textwrap.dedent(
            """
            net, twin = (fastmlp.Network([8, 16, 2], seed=0) for _ in range(2))
            children = []

            def callback(epoch, logs):
                if epoch == 0:
                    children.append(os.fork())
                    if children[0] == 0:
                        signal.alarm(60)
                try:
                    net.train_on_batch(X[:5], y[:5])
                except RuntimeError:
                    return
                os._exit(3)

            net.fit(X, y, epochs=3, callbacks=[callback])
            twin.fit(X, y, epochs=3)
            same = np.array_equal(net.parameters, twin.parameters)
            if children[0] == 0:
                os._exit(0 if same else 2)
            assert same
            assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
            """
        )
    )


def test_a_child_can_train_what_a_thread_of_its_parent_takes_steps_on() -> None:
    """A fork may happen in the middle of a step of a large network, which releases the GIL."""
    run_python(
        CHILD
        + textwrap.dedent(
            """
            for step in ("learn_one", "train_on_batch"):
                net, done = fastmlp.Network([8, 1500, 1500, 2], seed=0), threading.Event()

                def work():
                    net.train_on_batch(X[:9], y[:9], "adam")
                    while not done.is_set():
                        if step == "learn_one":
                            net.learn_one(X[0], y[0])
                        else:
                            net.train_on_batch(X[:9], y[:9])

                def act():
                    net.train_on_batch(X[:9], y[:9])
                    net.learn_one(X[0], y[0])
                    net.parameters = net.parameters
                    net.fit(X[:20], y[:20], epochs=1)
                    assert np.isfinite(net.parameters).all()

                thread = threading.Thread(target=work)
                thread.start()
                codes = []
                for k in range(4):
                    time.sleep(0.05 + 0.003 * k)
                    codes.append(in_child(act))
                done.set()
                thread.join()
                assert codes == [0] * 4, (step, codes)
            """
        )
    )


@pytest.mark.parametrize(
    "first",
    [
        "fastmlp.Network([8, 2]).predict([[0.0] * 8])",
        "fastmlp.Network([8, 2]).fit(X[:9].tolist(), y[:9].tolist(), epochs=1)",
        "fastmlp.Network([8, 2]).fit([(X[:9], y[:9])], epochs=1)",
        "fastmlp.Network([8, 2]).copy()",
        "fastmlp.Network([8, 2], engine='blas').predict(X[:9])",
    ],
)
@pytest.mark.parametrize("delay", [0.0, 0.0005, 0.001, 0.002, 0.004])
def test_a_fork_while_something_is_used_for_the_first_time(first: str, delay: float) -> None:
    """Modules that a thread imports on first use are not left half imported, or locked, in the child."""
    run_python(
        CHILD
        + textwrap.dedent(
            f"""
            def act():
                {first}

            sys.setswitchinterval(1e-5)
            thread = threading.Thread(target=act)
            thread.start()
            time.sleep({delay})
            code = in_child(act)
            thread.join()
            assert code == 0, code
            """
        )
    )


def test_what_a_fork_imports_registers_nothing_to_be_called_at_forks() -> None:
    """Such a function would be called after this fork, but not before it, and might release a lock that is not held."""
    run_python(
        CHILD
        + textwrap.dedent(
            """
            registered, done = [], threading.Event()
            os.register_at_fork = lambda **functions: registered.append(functions)
            thread = threading.Thread(target=done.wait)
            thread.start()
            late = set(sys.modules)
            assert in_child(lambda: None) == 0
            done.set()
            assert {"fastmlp.encoder", "fastmlp.training.fit"} <= set(sys.modules) - late
            assert not registered, registered
            """
        )
    )
