"""Properties of all optimisers: results on any number of threads, fits in parts, rollback of errors, bad arguments.

Their formulas are tested against PyTorch and the reference in test_training.py, whole-batch methods in
test_whole_batch_methods.py and test_lbfgs.py.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from trainings import assert_same, assert_threads_change_nothing, classifier, data

# Optimisers whose results show a lost state, or one not rolled back: momenta, means, steps, NAdam's product.
OPTIMIZERS = [
    fastmlp.SGD(0.05, momentum=0.9),
    fastmlp.ClassicalMomentum(0.05, nesterov=True),
    fastmlp.Adam(0.02),
    fastmlp.AdamHat(0.02, epsilon=1e-3),
    fastmlp.AdamW(0.02, weight_decay=0.1),
    fastmlp.NAdam(0.02, momentum_decay=0.1),
    fastmlp.RMSprop(0.005, momentum=0.5, centered=True),
    fastmlp.AdaGrad(0.05, initial_accumulator=0.1, learning_rate_decay=0.1),
    fastmlp.Lion(0.005, weight_decay=0.1),
    fastmlp.Rprop(0.01),
    fastmlp.LBFGS(),
]


def size_for(optimizer: Any, size: int) -> int | None:
    return None if optimizer.full_batch else size


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_any_number_of_threads_gives_the_same_bits(optimizer: Any, dtype: str) -> None:
    """For batches whose step is applied while the gradient is computed, and for one whose step is applied after."""
    for size in (140, 420):
        words = {"batch_size": size_for(optimizer, size), "optimizer": optimizer}
        assert_threads_change_nothing(420, [90, 64, 5], dtype, **words)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_two_fits_are_one(build: Any, optimizer: Any) -> None:
    X, y = data()
    once, twice = classifier(build), classifier(build)
    size = size_for(optimizer, 5)
    whole = once.fit(X, y, epochs=6, batch_size=size, optimizer=optimizer)
    halves = [twice.fit(X, y, epochs=3, batch_size=size, optimizer=copy.deepcopy(optimizer)) for _ in range(2)]
    assert whole.loss == halves[0].loss + halves[1].loss
    assert_same(once, twice)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("how", ["fit", "step"])
def test_an_error_goes_back_to_the_last_epoch(build: Any, optimizer: Any, how: str) -> None:
    """The last row is invalid, so an epoch of single rows fails after valid steps, which are rolled back."""
    X, y = data()
    targets = np.column_stack([y, 1 - y]).astype(float)
    bad = targets.copy()
    bad[-1] = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.fit(X, targets, epochs=2, batch_size=size_for(optimizer, 5), optimizer=optimizer)
    words = {"epochs": 3, "batch_size": size_for(optimizer, 1), "optimizer": None}
    with pytest.raises(FloatingPointError):
        net.fit(X, bad, **words) if how == "fit" else net.train_on_batch(X, bad)
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, targets, epochs=2, batch_size=size_for(optimizer, 5), optimizer=None)
    assert_same(net, control)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_copy_starts_anew(build: Any, optimizer: Any) -> None:
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, optimizer)
    fresh = classifier(build)
    fresh.parameters = net.parameters
    other = net.copy()
    for each in (other, fresh):
        each.train_on_batch(X, y, optimizer)
    np.testing.assert_array_equal(other.parameters, fresh.parameters)


def test_centered_rmsprop_of_a_constant_gradient(build: Any) -> None:
    """The variance v - m^2 becomes 0 up to rounding errors, which may be negative, but must not give NaN."""
    x = np.random.default_rng(3).uniform(0.5, 1.5, size=40).astype(np.float32)
    net = build([40, 1], loss="mae", seed=0)
    w, slope, alpha, epsilon = net.weights[0][0].astype(np.float64), -x.astype(np.float64), 0.25, 0.1
    history = net.fit(
        x[np.newaxis], [1e4], epochs=40, optimizer=fastmlp.RMSprop(0.01, alpha=alpha, epsilon=epsilon, centered=True)
    )
    assert np.isfinite(history.loss).all()
    for t in range(1, 41):
        share = alpha**t * (1 - alpha**t)  # (v - m^2) / gradient^2
        w -= 0.01 * slope / (np.abs(slope) * np.sqrt(share) + epsilon)
    rounding = np.finfo(build.dtype).eps ** 0.5 * 1.5 / epsilon  # of the root, as the gradient is up to 1.5
    np.testing.assert_allclose(net.weights[0][0], w, rtol=rounding)


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_a_gradient_of_zero_moves_no_weight_but_by_decay(build: Any, optimizer: Any) -> None:
    """A parameter whose gradient is 0 changes by weight decay only; the padding of a block stays 0."""
    net = build([3, 5, 2], activation="relu", seed=0)
    net.parameters = np.zeros(net.n_parameters)
    net.fit(np.zeros((4, 3)), np.zeros((4, 2)), epochs=3, optimizer=optimizer)
    np.testing.assert_array_equal(net.parameters, np.zeros(net.n_parameters))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: fastmlp.AdamW(weight_decay=-0.1), ValueError, "weight_decay: expected .*at least 0"),
        (lambda: fastmlp.AdamW(beta_1=1.0), ValueError, "beta_1: expected .*below 1"),
        (lambda: fastmlp.NAdam(momentum_decay=-1), ValueError, "momentum_decay: expected .*at least 0"),
        (lambda: fastmlp.RMSprop(alpha=1), ValueError, "alpha: expected .*below 1"),
        (lambda: fastmlp.RMSprop(centered=1), TypeError, "centered: expected True or False"),
        (lambda: fastmlp.RMSprop(momentum=1), ValueError, "momentum: expected .*below 1"),
        (lambda: fastmlp.AdaGrad(epsilon=0), ValueError, "epsilon: expected .*above 0"),
        (lambda: fastmlp.AdaGrad(initial_accumulator=-1), ValueError, "initial_accumulator: expected .*at least 0"),
        (lambda: fastmlp.AdaGrad(learning_rate_decay="x"), TypeError, "learning_rate_decay: expected a real number"),
        (lambda: fastmlp.Lion(beta_2=-0.1), ValueError, "beta_2: expected .*at least 0"),
        (lambda: fastmlp.Lion(0.0), ValueError, "learning_rate: expected .*above 0"),
        (lambda: fastmlp.Rprop(eta_minus=1), ValueError, "eta_minus: expected .*below 1"),
        (lambda: fastmlp.Rprop(eta_plus=1), ValueError, "eta_plus: expected .*above 1"),
        (lambda: fastmlp.Rprop(least_step=2, largest_step=1), ValueError, "least_step: expected at most .*1.0"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{words}"):
        make()


# -- squares that overflow ---------------------------------------------------------------------------------------------

WITH_SQUARES = [
    fastmlp.Adam(0.1),
    fastmlp.AdamW(0.1),
    fastmlp.NAdam(0.1),
    fastmlp.AdamHat(0.1),
    fastmlp.RMSprop(0.1),
    fastmlp.RMSprop(0.1, centered=True, momentum=0.5),
    fastmlp.AdaGrad(0.1),
]


@pytest.mark.parametrize("optimizer", WITH_SQUARES, ids=repr)
def test_squared_gradients_that_overflow_are_an_error(build: Any, optimizer: Any, tmp_path: Any) -> None:
    """An infinite second moment raises, as its parameter would never change again."""
    size = float(np.finfo(build.dtype).max) ** 0.57
    net = build([1, 1], loss="half_squared_error")
    x, y = np.array([[1.0], [1.0]], build.dtype), np.array([[0.5], [0.25]], build.dtype)
    steps: list[Callable[[], object]] = [
        lambda: net.fit(x * size, y, epochs=1, optimizer=optimizer),
        lambda: net.train_on_batch(x * size, y),
        lambda: net.learn_one((x[0] * size).astype(build.dtype), y[0]),
    ]
    for step in steps:
        net.set_layer(0, [[0.0]], [0.0])
        net.train_on_batch(x, y, optimizer)
        before = net.parameters
        with pytest.raises(FloatingPointError, match="optimizer's state"):
            step()
        assert np.array_equal(net.parameters, before)
        assert all(np.isfinite(state).all() for state in net.training_state().vectors.values())
    path = tmp_path / "checkpoint.safetensors"
    net.fit(x, y, epochs=2, optimizer=optimizer, callbacks=[fastmlp.Checkpoint(path)])
    net.fit(x, y, epochs=3, optimizer=optimizer, resume=path)
    oracle = reference.Network([1, 1], loss="half_squared_error")
    oracle.set_layer(0, [[0.0]], [0.0])
    with pytest.raises(FloatingPointError):
        oracle.train_on_batch([[1e180]], [[1.0]], optimizer)
    assert oracle.parameters == [0.0, 0.0]
    with pytest.raises(FloatingPointError):
        oracle.fit([[1e180]], [[1.0]], optimizer=optimizer)
