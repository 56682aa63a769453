"""A user's own activation: the same numbers as a kernel's, and errors in its functions that leave nothing behind."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from processes import run_python


def tanh_slope(z: Any) -> Any:
    return 1 - np.tanh(z) ** 2


TANH = fastmlp.CustomActivation(np.tanh, tanh_slope)


class Fails:
    """tanh or its derivative, which raises from a given call on and records its arguments."""

    def __init__(self, function: Callable[[Any], Any], after: int, error: BaseException) -> None:
        self.function, self.after, self.error = function, after, error
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, z: Any) -> Any:
        self.shapes.append(z.shape)
        if len(self.shapes) > self.after:
            raise self.error
        return self.function(z)


def data(n_rows: int, n_inputs: int = 5, n_outputs: int = 2) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n_rows, n_inputs)).astype(np.float32)
    return X, rng.normal(size=(n_rows, n_outputs)).astype(np.float32)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch_size", [7, 100, 300])  # less than a tile; an update during the pass; an update after it
def test_as_the_kernel_of_the_same_function(build: Any, n_threads: int, batch_size: int) -> None:
    """128 hidden units, so that rows of training are padded, and that there is enough work for two threads."""
    sizes = [64, 128, 128, 2]
    X, y = data(300, 64)
    nets = [build(sizes, activation=[f, "relu"], seed=2, n_threads=n_threads) for f in (TANH, "tanh")]
    assert nets[0].activation[0] == TANH
    own, kernel = (net.loss_and_grad(X, y) for net in nets)
    build.assert_close(own[0], kernel[0], sizes)
    build.assert_close(own[1], kernel[1], sizes, passes=3)
    for method in ("predict", "classify"):
        build.assert_close(getattr(nets[0], method)(X), getattr(nets[1], method)(X), sizes)
    build.assert_close(nets[0].predict(X[0]), nets[1].predict(X[0]), sizes)
    build.assert_close(nets[0].input_gradient(X, y), nets[1].input_gradient(X, y), sizes, passes=3)
    for own, kernel in zip(nets[0].activations(X), nets[1].activations(X), strict=True):
        build.assert_close(own, kernel, sizes)
    histories = [
        net.fit(X, y, epochs=2, batch_size=batch_size, optimizer=fastmlp.SGD(0.02), validation_data=(X, y))
        for net in nets
    ]
    for name in ("loss", "val_loss"):
        build.assert_close(histories[0][name], histories[1][name], sizes, passes=50)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    X, y = data(2000, 64)
    results = []
    for n_threads in (1, 2):
        net = fastmlp.Network([64, 128, 2], activation=TANH, seed=2, engine="native", n_threads=n_threads)
        net.fit(X, y, epochs=2, batch_size=128)
        results.append((net.parameters, net.predict(X)))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_as_output_activation(build: Any) -> None:
    X, y = data(20)
    own, kernel = (build([5, 3, 2], output_activation=f, seed=4) for f in (TANH, "tanh"))
    build.assert_close(own.loss_and_grad(X, y)[1], kernel.loss_and_grad(X, y)[1], [5, 3, 2], passes=3)
    losses = [net.train_on_batch(X, y, "adam") for net in (own, kernel)] + [
        net.evaluate(X, y)["loss"] for net in (own, kernel)
    ]
    build.assert_close(losses[::2], losses[1::2], [5, 3, 2], passes=3)


def test_the_reference_takes_it(build64: Any) -> None:
    X, y = data(6)
    net = build64([5, 4, 2], activation=TANH, seed=5)
    other = reference.Network([5, 4, 2], activation=TANH, seed=5)
    np.testing.assert_allclose(net.loss_and_grad(X, y)[1], other.loss_and_grad(X.tolist(), y.tolist())[1], rtol=1e-12)


def test_the_functions_see_rows_of_their_layer_alone(build: Any) -> None:
    """The functions get arrays of the network's dtype without padding, which they may keep and change."""
    seen: list[Any] = []

    def value(z: Any) -> Any:
        seen.append(z)
        result = np.tanh(z)
        z[:] = 7
        return result

    X, y = data(50)
    net, other = (build([5, 128, 2], activation=f, seed=6) for f in (fastmlp.CustomActivation(value, tanh_slope), TANH))
    np.testing.assert_array_equal(net.loss_and_grad(X, y)[1], other.loss_and_grad(X, y)[1])
    np.testing.assert_array_equal(net.predict(X), other.predict(X))
    assert {z.shape[1] for z in seen} == {128}
    assert {z.dtype for z in seen} == {net.dtype}
    assert all(z.flags.owndata and (z == 7).all() for z in seen)


def test_a_function_is_called_once_for_a_tile(build: Any) -> None:
    value, slope = (Fails(function, sys.maxsize, KeyError()) for function in (np.tanh, tanh_slope))
    net = build([5, 4, 2], activation=fastmlp.CustomActivation(value, slope), n_threads=1)
    X, y = data(40)
    net.loss_and_grad(X, y)
    net.predict(X)
    assert value.shapes == [(40, 4)] * 2
    assert slope.shapes == [(40, 4)]


# -- errors ------------------------------------------------------------------------------------------------------------

WAYS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "predict": lambda net, X, y: net.predict(X),
    "predict a row": lambda net, X, y: net.predict(X[0]),
    "classify": lambda net, X, y: net.classify(X),
    "activations": lambda net, X, y: net.activations(X),
    "evaluate": lambda net, X, y: net.evaluate(X, y),
    "loss_and_grad": lambda net, X, y: net.loss_and_grad(X, y),
    "input_gradient": lambda net, X, y: net.input_gradient(X, y),
    "train_on_batch": lambda net, X, y: net.train_on_batch(X, y),
    "train on all": lambda net, X, y: net.fit(X, y, batch_size=None),
    "fit": lambda net, X, y: net.fit(X, y, batch_size=20),
}
FORWARD = ("predict", "predict a row", "classify", "activations", "evaluate")  # methods that call no derivative
FAILURES = [(way, False) for way in WAYS] + [(way, True) for way in WAYS if way not in FORWARD]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize(("way", "derivative"), FAILURES)
def test_an_error_comes_out_and_the_network_is_as_before(
    build: Any, way: str, derivative: bool, n_threads: int
) -> None:
    error = KeyError("mine")
    functions: list[Any] = [np.tanh, tanh_slope]
    functions[derivative] = Fails(functions[derivative], 0, error)
    X, y = data(700, 64)
    net = build([64, 128, 2], activation=fastmlp.CustomActivation(*functions), seed=7, n_threads=n_threads)
    before, state = net.parameters, net._random_state
    with pytest.raises(KeyError) as caught:
        WAYS[way](net, X, y)
    assert caught.value is error
    np.testing.assert_array_equal(net.parameters, before)
    assert net._random_state == state
    functions[derivative].after = sys.maxsize
    twin = build([64, 128, 2], activation=TANH, seed=7, n_threads=n_threads)
    np.testing.assert_array_equal(net.predict(X), twin.predict(X))
    assert net.fit(X, y, epochs=1) == twin.fit(X, y, epochs=1)
    np.testing.assert_array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
def test_an_error_in_a_later_epoch_keeps_the_epochs_before(build: Any, derivative: bool) -> None:
    functions: list[Any] = [np.tanh, tanh_slope]
    functions[derivative] = Fails(functions[derivative], sys.maxsize, ZeroDivisionError("late"))
    X, y = data(60)
    net, twin = (build([5, 8, 2], activation=f, seed=8) for f in (fastmlp.CustomActivation(*functions), TANH))
    twin.fit(X, y, epochs=2, batch_size=20)

    def arm(epoch: int, logs: Any) -> None:
        if epoch == 1:
            functions[derivative].after = len(functions[derivative].shapes) + 2  # in the third batch of the next

    with pytest.raises(ZeroDivisionError, match="late"):
        net.fit(X, y, epochs=5, batch_size=20, callbacks=[arm])
    np.testing.assert_array_equal(net.parameters, twin.parameters)
    functions[derivative].after = sys.maxsize
    assert net.fit(X, y, epochs=2, batch_size=20) == twin.fit(X, y, epochs=2, batch_size=20)


def test_ctrl_c_within_a_function_keeps_what_was_learnt(build: Any) -> None:
    value = Fails(np.tanh, 4, KeyboardInterrupt())
    X, y = data(60)
    net = build([5, 8, 2], activation=fastmlp.CustomActivation(value, tanh_slope), seed=8)
    before = net.parameters
    with pytest.raises(KeyboardInterrupt):
        net.fit(X, y, epochs=1, batch_size=10)
    assert np.isfinite(net.parameters).all()
    assert (net.parameters != before).any()


def test_after_an_error_the_functions_are_not_called_again() -> None:
    value = Fails(np.tanh, 0, ValueError("once"))
    X, y = data(1000)
    net = fastmlp.Network([5, 8, 8, 2], activation=fastmlp.CustomActivation(value, tanh_slope), n_threads=1)
    for call in (lambda: net.predict(X), lambda: net.loss_and_grad(X, y), lambda: net.fit(X, y)):
        value.shapes.clear()
        with pytest.raises(ValueError, match="once"):
            call()
        assert len(value.shapes) == 1


RESULTS = {
    "another shape": (lambda z: z[:1], ValueError, r"^value: expected a function that returns an array of z's shape"),
    "one number": (lambda z: 1.0, ValueError, r"^value: .*got shape \(\)"),
    "complex": (
        lambda z: z * 1j,
        TypeError,
        r"^value: expected a function that returns real numbers, got dtype complex",
    ),
    "text": (lambda z: np.full(z.shape, "a"), TypeError, "^value: expected a function that returns real numbers"),
    "None": (lambda z: None, TypeError, "^value: expected a function that returns real numbers, got dtype object"),
}


@pytest.mark.parametrize("case", RESULTS)
def test_what_a_function_must_not_return(build: Any, case: str) -> None:
    function, error, match = RESULTS[case]
    f = fastmlp.CustomActivation(function, tanh_slope)
    with pytest.raises(error, match=match):
        build([5, 8, 2], activation=f).predict(np.ones((3, 5)))
    with pytest.raises(error, match=match):
        f([1.0, 2.0])
    swapped = build([5, 8, 2], activation=fastmlp.CustomActivation(np.tanh, function))
    with pytest.raises(error, match=match.replace("value", "derivative")):
        swapped.loss_and_grad(np.ones((3, 5)), np.ones((3, 2)))


def test_what_a_function_may_return(build: Any) -> None:
    """A function may return any real dtype and layout. NaN passes through predict, and ends a fit with an error."""
    X, y = data(9)
    for slope in (lambda z: z > 0, lambda z: (z > 0).astype(int), lambda z: np.asfortranarray(z > 0, dtype=np.float64)):
        own = build([5, 4, 2], activation=fastmlp.CustomActivation(lambda z: np.maximum(z, 0), slope), seed=1)
        relu = build([5, 4, 2], activation="relu", seed=1)
        own.parameters = relu.parameters
        np.testing.assert_array_equal(own.loss_and_grad(X, y)[1], relu.loss_and_grad(X, y)[1])
    nan = build([5, 4, 2], activation=fastmlp.CustomActivation(lambda z: z * np.nan, tanh_slope))
    assert np.isnan(nan.predict(X)).all()
    with pytest.raises(FloatingPointError, match="epoch 1"):
        nan.fit(X, y)


# -- threads -----------------------------------------------------------------------------------------------------------


def test_errors_of_overlapping_calls_stay_apart() -> None:
    """In four threads, calls with rows of 1 fail and calls with rows of 0 work; each caller gets its own result."""

    def value(z: Any) -> Any:
        if z[0, 0] > 0:
            raise LookupError(threading.current_thread().name)
        return z

    net = fastmlp.Network([1, 1, 1], activation=fastmlp.CustomActivation(value, np.ones_like))
    net.parameters = [1.0, 0.0, 1.0, 0.5]
    wrong: list[Any] = []

    def call(fails: bool) -> None:
        for _ in range(300):
            try:
                result = net.predict([[float(fails)]])
                if fails or result != 0.5:
                    wrong.append(result)
            except LookupError as error:
                if not fails or error.args != (threading.current_thread().name,):
                    wrong.append(error)

    threads = [threading.Thread(target=call, args=(i % 2 == 0,), name=f"caller {i}") for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_small_work_on_two_threads_does_not_wait_for_itself() -> None:
    """A short call, which would keep the GIL, must not deadlock when it uses two threads that need the GIL."""
    code = """
        import numpy as np, fastmlp
        def slow(z):
            sum(range(5000))  # so that the other thread works before this one is done
            return np.tanh(z)
        f = fastmlp.CustomActivation(slow, np.cos)
        net = fastmlp.Network([64, 128, 2], activation=f, engine="native", n_threads=2, seed=0)
        X = np.ones((100, 64), np.float32)
        for _ in range(300):
            net.predict(X)
        net.evaluate(X, np.ones((100, 2)))
    """
    run_python(code, timeout=60)


def test_a_function_may_use_networks(build: Any) -> None:
    """A function may use other networks and its own while that predicts; it cannot fit a network being fitted."""
    inner = fastmlp.Network([1, 1], dtype="float64")
    inner.parameters = [2.0, 1.0]
    depth: list[int] = []

    def value(z: Any) -> Any:
        if not depth:
            depth.append(1)
            net.predict(np.ones((3, 5)))
            depth.pop()
        return inner.predict(z.reshape(-1, 1)).reshape(z.shape)

    X, y = data(5)
    net = build(
        [5, 4, 2], activation=fastmlp.CustomActivation(value, lambda z: np.full_like(z, 2)), seed=3, n_threads=2
    )
    twin = build([5, 4, 2], activation=fastmlp.CustomActivation(lambda z: 2 * z + 1, lambda z: z * 0 + 2), seed=3)
    build.assert_close(net.predict(X), twin.predict(X), net.sizes)
    assert net.fit(X, y, epochs=1).loss == pytest.approx(twin.fit(X, y, epochs=1).loss, rel=1e-5)
    again = build([5, 4, 2], activation=fastmlp.CustomActivation(lambda z: again.fit(X, y), tanh_slope))
    with pytest.raises(RuntimeError, match="fit: expected a network at rest"):
        again.fit(X, y)


def test_denormals_are_kept_in_the_functions() -> None:
    """The core flushes denormals to 0 in its own computations, but not in the user's functions."""
    kept: list[float] = []

    def value(z: Any) -> Any:
        kept.append(float(np.float64(1e-300) * np.float64(1e-15)))
        return z

    fastmlp.Network([1, 1, 1], activation=fastmlp.CustomActivation(value, np.ones_like)).predict([1.0])
    assert kept == [1e-315]


# -- keeping -----------------------------------------------------------------------------------------------------------


def test_pickled_and_copied_but_not_saved(tmp_path: Any) -> None:
    X, _ = data(4)
    net = fastmlp.Network([5, 4, 3, 2], activation=["relu", TANH], output_activation=TANH, seed=1)
    for again in (pickle.loads(pickle.dumps(net)), net.copy(), copy.deepcopy(net)):
        assert again.activation == net.activation
        assert again.output_activation == TANH
        np.testing.assert_array_equal(again.predict(X), net.predict(X))
    with pytest.raises(ValueError, match=r"got CustomActivation\(.*a model file holds none"):
        net.save(tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_functions_that_cannot_be_pickled() -> None:
    net = fastmlp.Network([2, 2, 1], activation=fastmlp.CustomActivation(lambda z: z, np.ones_like))
    with pytest.raises((pickle.PicklingError, AttributeError), match="lambda"):
        pickle.dumps(net)
    assert net.copy().activation == net.activation


def test_as_an_object() -> None:
    assert fastmlp.CustomActivation(np.tanh, tanh_slope) == TANH
    assert hash(fastmlp.CustomActivation(np.tanh, tanh_slope)) == hash(TANH)
    assert fastmlp.CustomActivation(np.sin, tanh_slope) != TANH
    assert pickle.loads(pickle.dumps(TANH)) == TANH
    assert repr(TANH).startswith("CustomActivation(<ufunc 'tanh'>, <function tanh_slope at")
    with pytest.raises(AttributeError):
        TANH.functions = (np.sin, np.cos)  # type: ignore[misc]
    assert TANH(np.zeros(3, np.float32)).dtype == np.float32
    assert TANH([0, 1]).dtype == np.float64
    assert TANH.derivative(0.0) == 1.0
    with pytest.raises(TypeError, match="z: expected real numbers"):
        TANH([None])
