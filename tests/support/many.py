"""Data for `fit_many`, and the comparison of networks that it trains with those that `fit` trains alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastmlp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 6))
Y = np.sin(X[:, 0]) * X[:, 1]
LABELS = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
FOLDS = [np.flatnonzero(np.arange(150) % 3 != k) for k in range(3)]
BOOTSTRAPS = [RNG.integers(0, 150, size=n) for n in (150, 90, 200)]
THREADS = (1, 2, 3, 5)


def networks(n: int = 3, sizes: tuple[int, ...] = (6, 16, 1), **words: Any) -> list[fastmlp.Network]:
    return [fastmlp.Network(sizes, seed=seed, **words) for seed in range(n)]


def state_of(network: fastmlp.Network) -> fastmlp.TrainingState | None:
    """Return the training state; None after EarlyStopping has restored parameters: the optimiser starts anew."""
    try:
        return network.training_state()
    except RuntimeError:
        return None


def same(a: fastmlp.Network, b: fastmlp.Network) -> None:
    """Check that two networks have the same parameters and random states, and optimisers in the same state."""
    np.testing.assert_array_equal(a.parameters, b.parameters)
    assert a._random_state == b._random_state
    one, other = state_of(a), state_of(b)
    assert (one is None) == (other is None)
    if one is None or other is None:
        return
    assert (one.numbers, one.n_steps, one.random_state) == (other.numbers, other.n_steps, other.random_state)
    assert one.vectors.keys() == other.vectors.keys()
    for name, vector in one.vectors.items():
        np.testing.assert_array_equal(vector, other.vectors[name])


def compare(
    make: Any, x: Any, y: Any, *, rows: Any = None, n_threads: int = 2, of: Any = lambda words, k: words, **words: Any
) -> list[fastmlp.History]:
    """Train networks together and alone, compare them, and return the histories; `of` gives the words of network k."""
    together, alone = make(), make()
    histories = fastmlp.fit_many(together, x, y, rows=rows, n_threads=n_threads, **words)
    assert len(histories) == len(together)
    for k, (network, other) in enumerate(zip(together, alone, strict=True)):
        own = dict(of(words, k))
        if rows is not None:
            own["sample_weight"] = None if own.get("sample_weight") is None else own["sample_weight"][rows[k]]
        history = other.fit(*((x, y) if rows is None else (x[rows[k]], y[rows[k]])), **own)
        same(network, other)
        np.testing.assert_equal(dict(histories[k]), dict(history))
        assert (histories[k].stopped, histories[k].error) == (history.stopped, None)
        assert network.history is histories[k]
    return histories
