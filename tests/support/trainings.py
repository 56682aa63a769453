"""Helpers for the tests of training: data, a network, and comparisons of networks."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastmlp

ADAM = fastmlp.Adam(0.05)


def data(n_rows: int = 23, n_inputs: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Return random rows that are exact in float16, and labels 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.integers(-32, 33, size=(n_rows, n_inputs)) / 16, rng.integers(2, size=n_rows)


def classifier(build: Any, **kwargs: Any) -> Any:
    return build([3, 5, 2], **{"activation": "tanh", "loss": "cross_entropy", "seed": 1, **kwargs})


def assert_threads_change_nothing(n_rows: int, sizes: list[int], dtype: str, **kwargs: Any) -> None:
    """Check that a fit of two epochs on random rows and labels has the same bits on 1, 2 and 3 threads."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, sizes[0])), rng.integers(sizes[-1], size=n_rows)
    how: dict[str, Any] = {"loss": "cross_entropy", "dtype": dtype, "seed": 0, "engine": "native"}
    nets = [fastmlp.Network(sizes, n_threads=n_threads, **how) for n_threads in (1, 2, 3)]
    losses = [net.fit(X, y, **{"epochs": 2, **kwargs}).loss for net in nets]
    for net in nets[1:]:
        assert_same(net, nets[0])
    assert losses[1:] == losses[:1] * 2


def assert_same(net: Any, other: Any) -> None:
    """Check that two networks have bitwise equal parameters and equal random states."""
    np.testing.assert_array_equal(net.parameters, other.parameters)
    assert net._random_state == other._random_state


def resumed(net: Any, X: Any, y: Any, optimizer: Any, how: str) -> None:
    """Take one full-batch step, by `fit` or by `train_on_batch`."""
    if how == "fit":
        net.fit(X, y, epochs=1, batch_size=None, optimizer=optimizer, shuffle=False)
    else:
        net.train_on_batch(X, y, optimizer)
