"""Small trainings that the tests of training share: data, a network, and what makes two networks the same."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastmlp

ADAM = fastmlp.Adam(0.05)


def data(n_rows: int = 23, n_inputs: int = 3, seed: int = 0) -> tuple[Any, Any]:
    """Rows that float16 holds exactly, and labels 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.integers(-32, 33, size=(n_rows, n_inputs)) / 16, rng.integers(2, size=n_rows)


def classifier(build: Any, **words: Any) -> Any:
    return build([3, 5, 2], **{"activation": "tanh", "loss": "cross_entropy", "seed": 1, **words})


def assert_threads_change_nothing(n_rows: int, sizes: list[int], dtype: str, **words: Any) -> None:
    """A fit of two epochs, of random rows and labels, has the same bits on 1, 2 and 3 threads."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, sizes[0])), rng.integers(sizes[-1], size=n_rows)
    how: dict[str, Any] = {"loss": "cross_entropy", "dtype": dtype, "seed": 0, "engine": "native"}
    nets = [fastmlp.Network(sizes, n_threads=n_threads, **how) for n_threads in (1, 2, 3)]
    losses = [net.fit(X, y, **{"epochs": 2, **words}).loss for net in nets]
    for net in nets[1:]:
        assert_same(net, nets[0])
    assert losses[1:] == losses[:1] * 2


def assert_same(net: Any, other: Any) -> None:
    """The same bits in P and the same place in the random stream."""
    np.testing.assert_array_equal(net.parameters, other.parameters)
    assert net._random_state == other._random_state


def resumed(net: Any, X: Any, y: Any, optimizer: Any, how: str) -> None:
    """One full-batch step, by `fit` or by `train_on_batch`."""
    if how == "fit":
        net.fit(X, y, epochs=1, batch_size=None, optimizer=optimizer, shuffle=False)
    else:
        net.train_on_batch(X, y, optimizer)
