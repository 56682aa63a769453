"""Random rows, and the results of all methods of a network on them, to compare forms in which users pass rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from conftest import Implementation

N, I, O = 203, 19, 3
GENERATOR = np.random.default_rng(5)
REAL = GENERATOR.normal(size=(N, I)) * 4
TARGETS = GENERATOR.normal(size=(N, O))
WEIGHTS = GENERATOR.random(N)


def batches(size: int = 40, weighted: bool = False) -> Iterator[tuple[Any, ...]]:
    for i in range(0, N, size):
        part = slice(i, i + size)
        yield (REAL[part], TARGETS[part], WEIGHTS[part]) if weighted else (REAL[part], TARGETS[part])


def everything(net: Any, X: Any, dense: Any) -> list[Any]:
    """Return the results of all methods that take rows, training included; `dense`: X as an array, for single rows."""
    figures = net.evaluate(X, TARGETS, sample_weight=WEIGHTS)
    history = net.fit(
        X,
        TARGETS,
        epochs=3,
        batch_size=17,
        sample_weight=WEIGHTS,
        validation_split=0.2,
        metrics=["mae"],
        optimizer="adam",
    )
    batch_loss = net.train_on_batch(X, TARGETS)
    net.fit(X, TARGETS, epochs=1, batch_size=None, shuffle=False, optimizer="sgd")
    return [
        *figures.values(),
        *(value for values in history.values() for value in values),
        batch_loss,
        net.parameters,
        net.predict(X),
        net.classify(X),
        *net.activations(X),
        *net.pre_activations(X),
        net.loss_and_grad(X, TARGETS)[1],
        net.input_gradient(X, TARGETS),
        net.predict(dense[3]),
    ]


def assert_same(build: Implementation, X: Any, dense: np.ndarray) -> None:
    """Check that X gives the same bits as `dense`, the same numbers, as an array of the network's dtype."""
    with np.errstate(over="ignore"):
        own = dense.astype(build.dtype)
    nets = [build([I, 24, O], activation="tanh", seed=3) for _ in range(2)]
    for got, expected in zip(everything(nets[0], X, dense), everything(nets[1], own, own), strict=True):
        np.testing.assert_array_equal(got, expected)
