"""A network whose working memory is freed after a training, as `fit_many` does, trains on as if it had not been."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp

OPTIMIZERS: dict[str, Any] = {
    "SGD": fastmlp.SGD(0.01),
    "momentum": fastmlp.SGD(0.01, momentum=0.9),
    "Adam": fastmlp.Adam(0.01),
    "plateau": fastmlp.Adam(fastmlp.ReduceOnPlateau(0.01, patience=1)),
    "LBFGS": fastmlp.LBFGS(),
}
X = np.random.default_rng(0).normal(size=(300, 5))
Y = np.sin(X[:, :2])


def trained(optimizer: Any, regularization: Any = None) -> fastmlp.Network:
    net = fastmlp.Network([5, 7, 2], activation="tanh", dtype="float64", seed=0)
    net.fit(X, Y, epochs=3, batch_size=None if optimizer.full_batch else 50, **words(optimizer, regularization))
    return net


def words(optimizer: Any, regularization: Any) -> dict[str, Any]:
    return {"optimizer": optimizer, "regularization": regularization}


def fit_again(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    batch_size = None if optimizer.full_batch else 40
    return net.fit(X, Y, epochs=2, batch_size=batch_size, optimizer=None, regularization=r).loss


def step(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    return net.train_on_batch(X[:30], Y[:30], optimizer=None, regularization=r)


def rows(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    return [net.learn_one(X[i], Y[i], optimizer=None, regularization=r) for i in range(5)]


def state(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    kept = net.training_state()
    return sorted(kept.numbers.items()), {name: vector.tobytes() for name, vector in kept.vectors.items()}


def failed_step(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    with pytest.raises(FloatingPointError):
        net.train_on_batch(X[:3], np.full((3, 2), 1e300), optimizer=None, regularization=r)


def other_optimizer(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    return net.fit(X, Y, epochs=1, optimizer=fastmlp.RMSprop(1e-3)).loss


def new_parameters(net: fastmlp.Network, optimizer: Any, r: Any) -> Any:
    net.parameters = net.parameters + 1
    return fit_again(net, optimizer, r)


ANY = [fit_again, state, other_optimizer, new_parameters]
CASES = [
    (name, average, action)
    for name, optimizer in OPTIMIZERS.items()
    for average in ((None,) if optimizer.full_batch else (None, 0.9))
    for action in (ANY if optimizer.full_batch else [*ANY, step, rows, failed_step])
]


@pytest.mark.parametrize(("name", "average", "action"), CASES)
def test_training_goes_on_as_before(name: str, average: float | None, action: Callable[..., Any]) -> None:
    optimizer = OPTIMIZERS[name]
    r = None if average is None else fastmlp.Regularization(average=average, l2=1e-3)
    net, twin = trained(optimizer, r), trained(optimizer, r)
    for _ in range(2):
        net._release_memory()
        net._release_memory()  # a second time, with nothing left to free
        assert np.array_equal(net.predict(X), twin.predict(X))
        assert action(net, optimizer, r) == action(twin, optimizer, r)
        assert np.array_equal(net.parameters, twin.parameters)
        assert net.learning_rate == twin.learning_rate


def test_nothing_is_freed_that_is_still_needed() -> None:
    """Steps that are not published yet, and a fit that is running."""
    net, twin = trained(OPTIMIZERS["Adam"]), trained(OPTIMIZERS["Adam"])
    for each in (net, twin):
        each.learn_one(X[0], Y[0])
    net._release_memory()
    for each in (net, twin):
        each.learn_one(X[1], Y[1])
    assert np.array_equal(net.parameters, twin.parameters)
    losses = [
        net.fit(X, Y, epochs=3, optimizer=None, callbacks=[lambda epoch, logs: net._release_memory()]).loss,
        twin.fit(X, Y, epochs=3, optimizer=None, callbacks=[lambda epoch, logs: None]).loss,
    ]
    assert losses[0] == losses[1]
