"""A user's own loss: the built-in's numbers, what it is given, and errors that leave the network as it was."""

from __future__ import annotations

import copy
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from oracles import twin
from trainings import assert_same

rng = np.random.default_rng(0)
X, T, W = rng.normal(size=(300, 4)), rng.normal(size=(300, 3)), rng.uniform(size=300)
W[:7] = 0


def squares(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).mean(axis=1), 2 * (y - t) / y.shape[1]


def squares_of_lists(y: Any, t: Any) -> Any:
    """The loss for nested lists, with which the reference calls it."""
    n = len(y[0])
    loss = [sum((a - b) ** 2 for a, b in zip(*rows, strict=True)) / n for rows in zip(y, t, strict=True)]
    return loss, [[2 * (a - b) / n for a, b in zip(*rows, strict=True)] for rows in zip(y, t, strict=True)]


def network(build: Any, function: Any = squares, **words: Any) -> Any:
    return build([4, 16, 3], activation="tanh", loss=fastmlp.CustomLoss(function), seed=1, **words)


@pytest.mark.parametrize("output", ["identity", "sigmoid", "tanh"])
@pytest.mark.parametrize("w", [None, W], ids=["", "weighted"])
def test_the_numbers_of_the_built_in(build: Any, w: Any, output: str) -> None:
    own = network(build, output_activation=output)
    built_in = build([4, 16, 3], activation="tanh", loss="mse", seed=1, output_activation=output)
    loss, gradient = own.loss_and_grad(X, T, sample_weight=w)
    expected_loss, expected = built_in.loss_and_grad(X, T, sample_weight=w)
    build.assert_close(loss, expected_loss, own.sizes)
    build.assert_close(gradient, expected, own.sizes, passes=3)
    dx = built_in.input_gradient(X, T, sample_weight=w)
    build.assert_close(own.input_gradient(X, T, sample_weight=w), dx, own.sizes, passes=3)
    build.assert_close(own.evaluate(X, T, sample_weight=w)["loss"], expected_loss, own.sizes)
    histories = [net.fit(X, T, epochs=3, sample_weight=w).loss for net in (own, built_in)]
    assert histories[0] == pytest.approx(histories[1], rel=1e-3 if build.dtype == "float32" else 1e-10)


def test_the_reference_has_it() -> None:
    net = fastmlp.Network([4, 16, 3], loss=fastmlp.CustomLoss(squares), dtype="float64", seed=1)
    other = twin(fastmlp.Network([4, 16, 3], loss="mse", dtype="float64", seed=1))
    own = fastmlp.reference.Network([4, 16, 3], loss=fastmlp.CustomLoss(squares_of_lists), seed=1)
    expected = other.fit(X.tolist(), T.tolist(), epochs=2).loss
    assert own.fit(X.tolist(), T.tolist(), epochs=2).loss == pytest.approx(expected, rel=1e-10)
    assert net.fit(X, T, epochs=2).loss == pytest.approx(expected, rel=1e-10)


def test_what_the_function_is_given(build: Any) -> None:
    """The function gets new arrays of the network's dtype, with each row once, in order, and its target."""
    given: list[tuple[Any, Any]] = []

    def keep(y: Any, t: Any) -> Any:
        given.append((y, t))
        return squares(y, t)

    net = network(build, keep)
    net.evaluate(X, T)
    y, t = (np.concatenate(part) for part in zip(*given, strict=True))
    np.testing.assert_array_equal(t, T.astype(build.dtype))
    build.assert_close(y, net.predict(X), net.sizes)
    assert all(a.dtype == build.dtype and a.flags.owndata and a.flags.writeable for pair in given for a in pair)


def test_the_function_may_change_what_it_is_given(build: Any) -> None:
    def spoil(y: Any, t: Any) -> Any:
        answer = squares(y, t)
        y[:], t[:] = np.nan, np.nan
        return answer

    assert network(build, spoil).fit(X, T, epochs=2).loss == network(build).fit(X, T, epochs=2).loss


class BrokenError(Exception):
    """The exception that a user's function raises."""


def failing_at(call: int, error: Any) -> Any:
    calls = iter(range(10**9))

    def function(y: Any, t: Any) -> Any:
        if next(calls) >= call:
            raise error
        return squares(y, t)

    return function


@pytest.mark.parametrize("error", [BrokenError("no"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("method", ["evaluate", "loss_and_grad", "input_gradient", "train_on_batch", "fit"])
def test_an_exception_surfaces_and_nothing_has_changed(build: Any, method: str, error: BaseException) -> None:
    net, other = network(build, failing_at(0, error)), network(build)
    with pytest.raises(type(error)) as caught:
        getattr(net, method)(X, T)
    assert caught.value is error
    np.testing.assert_array_equal(net.parameters, other.parameters)
    assert net.predict(X).shape == (300, 3)


def test_an_exception_in_a_later_epoch_leaves_the_last_good_one(build: Any) -> None:
    net, other = network(build, failing_at(2 * 10 + 3, BrokenError())), network(build)  # 10 batches an epoch
    words = {"batch_size": 30, "optimizer": fastmlp.Adam(0.01)}
    with pytest.raises(BrokenError):
        net.fit(X, T, epochs=5, **words)
    other.fit(X, T, epochs=2, **words)
    assert_same(net, other)


def test_an_error_of_one_thread_is_not_anothers(build: Any) -> None:
    def function(y: Any, t: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            raise BrokenError
        return squares(y, t)

    net, raised = network(build, function), []

    def evaluate() -> None:
        for _ in range(20):
            try:
                net.evaluate(X, T)
            except BrokenError:
                raised.append(1)

    thread = threading.Thread(target=evaluate)
    thread.start()
    values = {net.evaluate(X, T)["loss"] for _ in range(20)}
    thread.join()
    assert len(values) == 1
    assert len(raised) == 20


def test_the_function_may_use_the_network(build: Any) -> None:
    """The function may read the network; training it is refused, as during any fit."""
    seen: list[Any] = []

    def function(y: Any, t: Any) -> Any:
        seen.append(net.predict(X[:2]))
        if len(seen) == 4:
            net.fit(X, T)
        return squares(y, t)

    net = network(build, function)
    with pytest.raises(RuntimeError, match="fit is running"):
        net.fit(X, T)
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (lambda y, t: None, TypeError, "expected the function to return .*got NoneType"),
        (lambda y, t: 1.0, TypeError, "expected the function to return .*got float"),
        (lambda y, t: (np.zeros(len(y)),), TypeError, "expected the function to return"),
        (lambda y, t: (0.0, y), ValueError, r"got shapes \(\), "),
        (lambda y, t: ((y - t) ** 2, y - t), ValueError, r"got shapes \(\d+, 3\), \(\d+, 3\)"),
        (lambda y, t: (y[:, 0], y[:, :2]), ValueError, r"gradients of shape \(\d+, 3\)"),
        (lambda y, t: (y[:, 0] * 1j, y), TypeError, "its losses: expected real numbers, got dtype complex"),
        (lambda y, t: (y[:, 0], y.astype(object)), TypeError, "its gradients: expected real numbers"),
    ],
)
def test_answers_that_are_refused(build: Any, answer: Any, error: type[Exception], says: str) -> None:
    net = network(build, answer)
    before = net.parameters
    with pytest.raises(error, match=f"^loss: .*{says}"):
        net.fit(X, T)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("which", [0, 1])
def test_what_is_not_finite(build: Any, which: int) -> None:
    def function(y: Any, t: Any) -> Any:
        answer = list(squares(y, t))
        answer[which] = answer[which] * np.nan
        return answer

    net, other = network(build, function), network(build)
    with pytest.raises(FloatingPointError):
        net.fit(X, T)
    assert_same(net, other)
    assert np.isnan(net.loss_and_grad(X, T)[which]).any()


def test_arithmetic_of_the_function_is_the_callers(build: Any) -> None:
    """Subnormal numbers are not flushed to 0 within the function."""
    seen = []

    def function(y: Any, t: Any) -> Any:
        seen.append(float(np.float64(1e-300) * np.float64(1e-10)) > 0)
        return squares(y, t)

    net = network(build, function)
    net.fit(X, T, epochs=1)
    net.evaluate(X, T)
    assert seen
    assert all(seen)


def test_kept_and_not_kept(tmp_path: Path) -> None:
    net = fastmlp.Network([4, 16, 3], loss=fastmlp.CustomLoss(squares), output_activation="sigmoid", seed=1)
    for again in (net.copy(), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert again.loss == net.loss
        assert_same(again, net)
        assert again.fit(X, T, epochs=2).loss == net.copy().fit(X, T, epochs=2).loss
    with pytest.raises(
        ValueError, match=r"^loss: expected one with a name, which a model file can hold, got CustomLoss"
    ):
        net.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_object() -> None:
    assert fastmlp.CustomLoss(squares) == fastmlp.CustomLoss(squares)
    assert fastmlp.CustomLoss(squares) != fastmlp.CustomLoss(squares_of_lists)
    assert hash(fastmlp.CustomLoss(squares)) == hash(fastmlp.CustomLoss(squares))
    with pytest.raises(ValueError, match=r"^output_activation: 'softmax'"):
        fastmlp.Network([2, 2], loss=fastmlp.CustomLoss(squares), output_activation="softmax")
    with pytest.raises(ValueError, match=r"^loss: expected one of"):
        fastmlp.Network([2, 2], loss="custom")
    assert "one thread" in fastmlp.Network([2, 2], loss=fastmlp.CustomLoss(squares), engine="native").summary()
