"""Several short epochs that one compiled call trains: bits, histories and errors of epochs trained one by one.

A callback that does nothing makes a fit train its epochs one by one; it is the oracle.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core
from fastmlp.training import loop
from processes import run_python

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = X[:, 0] * X[:, 1]


class Calls:
    """Counts the calls that train several epochs, and their epochs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.epochs: list[int] = []
        train = loop.ArrayRows.train_epochs

        def counted(source: Any, n_epochs: int) -> Any:
            self.epochs.append(n_epochs)
            return train(source, n_epochs)

        monkeypatch.setattr(loop.ArrayRows, "train_epochs", counted)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


def nothing(epoch: int, logs: Any) -> None:
    """Be called after each epoch."""


def network(**words: Any) -> fastmlp.Network:
    return fastmlp.Network([4, 8, 1], seed=0, **words)


def compare(calls: Calls, words: dict[str, Any], **architecture: Any) -> None:
    """Check that two fits in a row are the same with several epochs in a call and with one."""
    together, single = network(**architecture), network(**architecture)
    for epochs in (40, 7):
        calls.epochs.clear()
        ours = together.fit(X, Y, epochs=epochs, **words)
        assert sum(calls.epochs) >= epochs - 1
        calls.epochs.clear()
        theirs = single.fit(X, Y, epochs=epochs, callbacks=[nothing], **words)
        assert not calls.epochs
        assert (ours, ours.stopped) == (theirs, theirs.stopped)
        a, b = together.training_state(), single.training_state()
        np.testing.assert_array_equal(a.parameters, b.parameters)
        assert (a.numbers, a.n_steps, a.random_state) == (b.numbers, b.n_steps, b.random_state)
        for name, vector in a.vectors.items():
            np.testing.assert_array_equal(vector, b.vectors[name])


@pytest.mark.parametrize("optimizer", sorted(fastmlp.optimizers.OPTIMIZERS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("engine", ["native", "blas"])
def test_optimizers(calls: Calls, optimizer: str, dtype: str, engine: str) -> None:
    compare(calls, {"optimizer": optimizer}, dtype=dtype, engine=engine)


@pytest.mark.parametrize(
    "words",
    [
        {"shuffle": False},
        {"batch_size": None},
        {"batch_size": 7},
        {"sample_weight": np.arange(50.0)},
        {"optimizer": fastmlp.SGD(fastmlp.CosineDecay(0.1, 100))},
        {"regularization": fastmlp.Regularization(l2=0.1, dropout=0.3, input_noise=0.1, average=0.9, clip_norm=1.0)},
    ],
    ids=["order", "whole batch", "batches", "weights", "schedule", "regularisation"],
)
def test_arguments(calls: Calls, words: dict[str, Any]) -> None:
    compare(calls, words, input_scaling="standard")


@pytest.mark.parametrize(
    "words",
    [
        {"validation_split": 0.2},
        {"max_time": 100.0},
        {"optimizer": fastmlp.SGD(fastmlp.ReduceOnPlateau(0.1, monitor="loss"))},
        {"optimizer": fastmlp.SGD(lambda step: 0.1 / (step + 1))},
        {"shuffle": "blocks"},
        {"verbose": 1},
    ],
    ids=["validation", "time", "plateau", "function of the step", "blocks", "lines"],
)
def test_what_has_to_happen_between_epochs(calls: Calls, words: dict[str, Any]) -> None:
    network().fit(X, Y, epochs=5, **words)
    assert not calls.epochs


def test_long_epochs_are_trained_one_by_one(calls: Calls) -> None:
    fastmlp.Network([4, 512, 64, 1]).fit(np.tile(X, (12, 1)), np.tile(Y, 12), epochs=3)
    assert not calls.epochs


def test_a_whole_batch_method_that_converges(calls: Calls) -> None:
    """The call ends with the iteration that converges, as one by one."""
    together, single = (fastmlp.Network([4, 1], seed=0) for _ in range(2))
    options = {"epochs": 1000, "optimizer": fastmlp.LBFGS(loss_tolerance=1e-3)}
    ours, theirs = together.fit(X, Y, **options), single.fit(X, Y, callbacks=[nothing], **options)
    assert len(calls.epochs) == 1
    assert (ours, ours.stopped) == (theirs, "converged")
    np.testing.assert_array_equal(together.parameters, single.parameters)
    assert together._n_evaluations == single._n_evaluations


def test_an_iteration_that_fails_within_a_call(calls: Calls) -> None:
    """The error has the history of the iterations before it, and leaves their parameters and state."""
    y = (Y * 10**17.5).astype(np.float32)  # so large that g . g overflows in the second iteration
    seen = []
    for callbacks in ([], [nothing]):
        net = fastmlp.Network([4, 8, 1], loss="half_squared_error", seed=0)
        net.parameters = 0.01 * net.parameters
        net.fit(X, net.predict(X), optimizer="lbfgs", epochs=1)  # at a minimum: the iteration changes nothing
        with pytest.raises(FloatingPointError) as caught:
            net.fit(X, y, optimizer="lbfgs", epochs=5, callbacks=callbacks)
        history = caught.value.history  # type: ignore[attr-defined]
        seen.append((str(caught.value), history, net.training_state()))
    assert calls.epochs == [5, 4]
    assert history.epochs == 1
    assert seen[0][:2] == seen[1][:2]
    ours, theirs = seen[0][2], seen[1][2]
    np.testing.assert_array_equal(ours.parameters, theirs.parameters)
    assert (ours.n_steps, ours.numbers, list(ours.vectors)) == (theirs.n_steps, theirs.numbers, list(theirs.vectors))


def test_junk() -> None:
    net = network()
    rows = _core.Rows(X, Y[:, np.newaxis])
    with pytest.raises(RuntimeError):
        net._epochs(rows, 3, None, 2)
    net.fit(X, Y, epochs=1)
    for batch_size, order, n_epochs in ((0, None, 1), (1, None, 0), (1, None, 2**40), (1, np.zeros(3, np.uint32), 1)):
        with pytest.raises(ValueError, match="expected"):
            net._epochs(rows, batch_size, order, n_epochs)
    with pytest.raises(ValueError, match="n_epochs"):
        net._epochs(rows, 1, _core.BlockOrder(50, 4, 1, False), 1)


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_ctrl_c() -> None:
    """After Ctrl-C the network has its complete steps, as many as the state says."""
    code = """
    import os, signal, threading, time
    import numpy as np
    import fastmlp

    signal.signal(signal.SIGINT, signal.default_int_handler)
    X = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    y = X[:, 0]
    net, again = (fastmlp.Network([4, 8, 1], seed=0) for _ in range(2))

    def send():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=send, daemon=True).start()
    try:
        net.fit(X, y, epochs=10**7, batch_size=None)
    except KeyboardInterrupt as error:
        history = error.history
    steps = net.training_state().n_steps
    assert history.stopped == "interrupted" and 0 < history.epochs <= steps, (history, steps)
    again.fit(X, y, epochs=steps, batch_size=None)
    print(np.array_equal(net.parameters, again.parameters))
    """
    assert run_python(code) == "True\n"
