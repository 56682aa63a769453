"""Memory: arrays that a network returns stay valid and share no memory with it, and memory does not grow."""

from __future__ import annotations

import gc
import pickle
import sys
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

import fastmlp
from fastmlp import _core
from processes import run_python


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (3, 7), (5, 0), (300_000, 20)])
def test_a_new_matrix_is_an_ordinary_array_of_zeros(shape: tuple[int, int]) -> None:
    matrix = _core.new_matrix(*shape)
    assert (matrix.shape, matrix.dtype) == (shape, np.float64)
    assert matrix.flags.c_contiguous and matrix.flags.writeable and matrix.flags.aligned  # noqa: PT018
    assert not matrix.any()
    part = matrix[1:]
    part[...] = 2.0
    del matrix
    gc.collect()
    assert (part == 2.0).all()


@pytest.mark.parametrize("shape", [(2**62, 2**62), (2**61, 1), (2**50, 20), (1, 2**63)])
def test_a_new_matrix_that_is_too_large_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(MemoryError, match="matrix of shape"):
        _core.new_matrix(*shape)


def data() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.random((40, 5), np.float32), generator.random((40, 2), np.float32)


def everything(net: fastmlp.Network, X: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Return all arrays that a network returns."""
    return [
        net.parameters,
        *net.weights,
        *net.biases,
        net.predict(X),
        net(X[0]),
        net.classify(X),
        *net.activations(X),
        *net.pre_activations(X),
        net.loss_and_grad(X, y)[1],
        net.input_gradient(X, y),
    ]


def change(net: fastmlp.Network, X: np.ndarray, y: np.ndarray) -> None:
    """Call every method that writes parameters."""
    net.fit(X, y, epochs=3)
    net.train_on_batch(X, y, "sgd")
    net.set_layer(0, net.weights[0] + 1, net.biases[0])
    net.parameters = net.parameters * 2


def test_arrays_outlive_training_and_the_network(build: Callable[..., fastmlp.Network]) -> None:
    net = build([5, 7, 2], seed=0)
    X, y = (array.astype(net.dtype) for array in data())
    arrays = everything(net, X, y)
    before = [array.tobytes() for array in arrays]
    change(net, X, y)
    assert [array.tobytes() for array in arrays] == before
    assert not np.array_equal(arrays[0], net.parameters)
    del net
    gc.collect()
    others = [fastmlp.Network([5, 7, 2], seed=seed).parameters for seed in range(50)]  # what was freed is used again
    assert [array.tobytes() for array in arrays] == before
    assert len(others) == 50


def test_weights_are_read_only_copies() -> None:
    net = fastmlp.Network([5, 7, 2], seed=0)
    P = net.parameters
    for array in [*net.weights, *net.biases]:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
        array.flags.writeable = True  # the array belongs to the caller
        array[...] = np.nan
    P[...] = np.nan
    assert np.isfinite(net.parameters).all()
    assert np.isfinite(net.predict(np.ones(5))).all()


def test_what_goes_in_is_copied() -> None:
    """Writing to an array after it was passed to the network does not change the network."""
    net = fastmlp.Network([5, 7, 2], seed=0)
    w, b, P = np.ones((7, 5), np.float32), np.ones(7, np.float32), np.ones(net.n_parameters, np.float32)
    net.parameters = P
    net.set_layer(0, w, b)
    before = net.parameters
    w[...], b[...], P[...] = np.nan, np.nan, np.nan
    assert np.array_equal(net.parameters, before)


def test_results_do_not_share_memory() -> None:
    net = fastmlp.Network([5, 7, 2], seed=0)
    X, y = data()
    arrays = everything(net, X, y) + everything(net, X, y)
    for i, first in enumerate(arrays):
        assert not any(np.may_share_memory(first, second) for second in arrays[i + 1 :])


@pytest.mark.parametrize("shape", [(5,), (1, 5), (40, 5)])
def test_predict_with_out_allocates_nothing(build: Callable[..., fastmlp.Network], shape: tuple[int, ...]) -> None:
    net = build([5, 16, 2], activation="tanh", seed=0)
    x, out = np.ones(shape, net.dtype), np.empty((*shape[:-1], 2), net.dtype)
    net.predict(x, out=out)

    def call() -> None:
        for _ in range(100):
            net.predict(x, out=out)
            net(x, out=out)

    call()
    blocks = sys.getallocatedblocks()
    call()
    assert sys.getallocatedblocks() - blocks <= 2  # the result of the count
    tracemalloc.start()  # includes NumPy's memory
    try:
        net.predict(x, out=out)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        net.predict(x, out=out)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= 64  # the integer `before`
    assert peak - before <= 256  # frames and integers of this test


def test_epochs_use_the_memory_of_those_before() -> None:
    """Published parameters reuse the memory of those of the epoch before, unless these are being read."""
    resource = pytest.importorskip("resource", reason="needs POSIX")
    net = fastmlp.Network([2000, 2000, 1], seed=0, n_threads=1)
    X = np.zeros((1, 2000), np.float32)
    faults: list[int] = []

    def count(epoch: int, logs: dict[str, float]) -> None:
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)

    net.fit(X, [1.0], epochs=12, batch_size=1, callbacks=[count])
    pages = net.n_parameters * 4 // resource.getpagesize()
    assert faults[-1] - faults[1] < 2 * pages  # over ten epochs


def test_a_network_in_a_cycle_is_collected() -> None:
    class Owner:
        pass

    gone: list[int] = []

    class Watched(fastmlp.Network):
        def __del__(self) -> None:
            gone.append(int(np.isfinite(self.predict(np.ones(5))).all()))  # still whole

    X, y = data()
    for _ in range(3):
        net, owner = Watched([5, 7, 2], seed=0), Owner()
        net.owner, owner.net = owner, net
        net.fit(X, y, epochs=1, callbacks=[lambda *_, net=net: None])
        del net, owner
    gc.collect()
    assert gone == [1, 1, 1]


GROWTH = """
    import pickle, resource, sys
    import numpy as np
    import fastmlp

    X, y = np.random.default_rng(0).random((40, 20), np.float32), np.zeros((40, 3), np.float32)
    big = np.zeros((3_000, 20), np.float32)
    out = np.empty((40, 3), np.float32)
    net = fastmlp.Network([20, 30, 3], seed=0)

    def fails(function):
        try:
            function()
        except (ValueError, TypeError, RuntimeError, KeyboardInterrupt, FloatingPointError):
            return
        raise AssertionError("it did not fail")

    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    def work():
        {work}

    def resident():
        # In KiB. If possible, not the peak, which a new process inherits.
        try:
            with open("/proc/self/statm") as stream:
                return int(stream.read().split()[1]) * resource.getpagesize() >> 10
        except FileNotFoundError:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (10 if sys.platform == "darwin" else 0)

    for _ in range({n} // 5):
        work()
    before = resident()
    for _ in range({n}):
        work()
    print(resident() - before)
"""

WORK = {
    "predict": ("net.predict(X)", 100_000),
    "predict with out": ("net.predict(X, out=out)", 100_000),
    "predict one row": ("net.predict(X[0])", 100_000),
    "predict a list": ("net.predict([0.5] * 20)", 100_000),
    "small and large in turn": ("net.predict(X); net.predict(big)", 1_000),
    "a refused predict": ("fails(lambda: net.predict(X[:, :3])); fails(lambda: net.predict(X, out=out[:3]))", 20_000),
    "classify": ("net.classify(X)", 100_000),
    "activations": ("net.activations(X); net.pre_activations(X)", 20_000),
    "train_on_batch": ("net.train_on_batch(X, y)", 30_000),
    "train_on_batch with optimisers in turn": (
        "net.train_on_batch(X, y, 'sgd'); net.train_on_batch(X, y, 'adam'); net.parameters",
        10_000,
    ),
    "fit": ("net.fit(X, y, epochs=2)", 5_000),
    "an interrupted fit": ("fails(lambda: net.fit(X, y, callbacks=[interrupt]))", 5_000),
    "a fit with bad data": ("fails(lambda: net.fit(X * np.nan, y))", 5_000),
    "a fit that diverges": ("fails(lambda: net.fit(X, y + 1e30, optimizer=fastmlp.SGD(1e9)))", 3_000),
    "gradients": ("net.loss_and_grad(X, y); net.input_gradient(X, y); net.evaluate(X, y)", 10_000),
    "parameters": ("net.parameters = net.parameters; net.set_layer(0, net.weights[0], net.biases[0])", 5_000),
    "networks": ("fastmlp.Network([20, 30, 3], seed=1).train_on_batch(X, y)", 3_000),
    "copies": ("net.copy(); pickle.loads(pickle.dumps(net))", 1_000),
    "refused networks": ("fails(lambda: fastmlp.Network([20, 30, 3], activation=['tanh', 'tanh']))", 20_000),
}


@pytest.mark.slow  # also because a sanitizer does not release freed memory
@pytest.mark.parametrize("name", WORK)
def test_memory_does_not_grow(name: str) -> None:
    """The process grows by less than 16 bytes for each call, or by less than 1 MiB."""
    work, n = WORK[name]
    grown = int(run_python(GROWTH.format(work=work, n=n)))
    print(f"{name}: {grown} KiB over {n} calls")
    assert grown <= max(1024, 16 * n >> 10)


def test_pickles_are_small() -> None:
    """A pickle has only the parameters and a header, but no workspace and no optimiser."""
    net = fastmlp.Network([100, 100, 1], seed=0)
    net.fit(np.ones((500, 100)), np.ones(500), epochs=1)
    assert len(pickle.dumps(net)) < 4 * net.n_parameters + 3_000


def test_callers_arrays_are_not_written() -> None:
    X, y = data()
    X.flags.writeable = y.flags.writeable = False
    net = fastmlp.Network([5, 7, 2], seed=0)
    kept = X.tobytes(), y.tobytes()
    net.fit(X, y, epochs=2, validation_data=(X, y))
    everything(net, X, y)
    assert (X.tobytes(), y.tobytes()) == kept
