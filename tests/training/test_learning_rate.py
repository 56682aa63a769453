"""Setting the learning rate between steps, and the optimisers that have scikit-learn's form of the formula.

The oracle of the steps are scikit-learn's own optimiser classes, with the network's gradients.
"""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

import fastmlp
from oracles import twin
from trainings import assert_same, classifier, data


class Halve:
    """A callback that halves the rate after each epoch."""

    def __init__(self) -> None:
        self.network: Any = None
        self.rates: list[float] = []

    def set_network(self, network: Any) -> None:
        self.network = network

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.rates.append(self.network.learning_rate)
        self.network.learning_rate = self.network.learning_rate / 2

    def state(self) -> dict[str, float]:
        return {}

    def restore(self, state: Any) -> None:
        """Nothing is kept but what the checkpoint keeps by itself."""


KINDS = [
    lambda rate: fastmlp.SGD(rate),
    lambda rate: fastmlp.SGD(rate, momentum=0.9),
    lambda rate: fastmlp.ClassicalMomentum(rate, nesterov=True),
    lambda rate: fastmlp.AdamHat(rate, epsilon=1e-4),
    lambda rate: fastmlp.Lion(rate),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_that_is_set_is_the_schedules(build: Any, kind: Any) -> None:
    """A rate set by a callback equals that of a schedule, in the reference, too; an epoch of 23 rows has 5 steps."""
    X, y = data()
    net, control = classifier(build), classifier(build)
    words = {"epochs": 4, "batch_size": 5}
    halve = Halve()
    net.fit(X, y, optimizer=kind(0.125), callbacks=[halve], **words)
    control.fit(X, y, optimizer=kind(fastmlp.StepDecay(0.125, step_size=5, gamma=0.5)), **words)
    assert halve.rates == [0.125, 0.0625, 0.03125, 0.015625]
    assert_same(net, control)
    oracle = twin(classifier(build))
    oracle.fit(X, y, optimizer=kind(0.125), callbacks=[Halve()], **words)
    build.assert_close(net.parameters, oracle.parameters, net.sizes, passes=3 * 20)


def test_it_stays_until_another_optimiser_begins(build: Any) -> None:
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, fastmlp.Adam(0.5))
    net.learning_rate = 0.25
    net.fit(X, y, epochs=1, optimizer=None)
    net.fit(X, y, epochs=1, optimizer=fastmlp.Adam(0.5))
    assert net.learning_rate == 0.25
    net.fit(X, y, epochs=1, optimizer=fastmlp.SGD(0.5))
    assert net.learning_rate == 0.5
    net.learning_rate = 0.25
    net.parameters = net.parameters
    net.train_on_batch(X, y)
    assert net.learning_rate == 0.5


def test_a_checkpoint_keeps_it(build: Any, tmp_path: pathlib.Path) -> None:
    X, y = data()
    words: dict[str, Any] = {"batch_size": 5, "optimizer": fastmlp.SGD(0.25, momentum=0.5)}
    net, control = classifier(build), classifier(build)
    net.fit(X, y, epochs=2, callbacks=[Halve(), fastmlp.Checkpoint(tmp_path / "c")], **words)
    net = classifier(build)
    net.fit(X, y, epochs=5, callbacks=[Halve()], resume=tmp_path / "c", **words)
    control.fit(X, y, epochs=5, callbacks=[Halve()], **words)
    assert net.learning_rate == control.learning_rate == 0.25 / 32
    assert_same(net, control)


@pytest.mark.parametrize(
    "optimizer",
    [
        fastmlp.Rprop(),
        fastmlp.LBFGS(),
        fastmlp.SGD(fastmlp.ExponentialDecay(0.1, 0.5)),
    ],
)
@pytest.mark.parametrize("reference", [False, True])
def test_what_has_no_number_refuses(build: Any, optimizer: Any, reference: bool) -> None:
    net = twin(classifier(build)) if reference else classifier(build)
    with pytest.raises(ValueError, match=r"^learning_rate: can only be set after training has begun"):
        net.learning_rate = 0.5
    net.train_on_batch(*data(), optimizer)
    with pytest.raises(ValueError, match=r"^learning_rate: can only be set after training has begun"):
        net.learning_rate = 0.5


@pytest.mark.parametrize(("rate", "error"), [(0.0, ValueError), (float("nan"), ValueError), ("1", TypeError)])
def test_bad_rates(build: Any, rate: Any, error: type[Exception]) -> None:
    net = classifier(build)
    net.train_on_batch(*data())
    with pytest.raises(error, match=r"^learning_rate: expected a "):
        net.learning_rate = rate
    assert net.learning_rate == 0.001


# -- scikit-learn's optimisers ---------------------------------------------------------------------------------------


@pytest.mark.oracle
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
def test_classical_momentum_against_scikit_learn(build64: Any, momentum: float, nesterov: bool) -> None:
    """With a rate that changes, for which the two forms of momentum differ."""
    theirs = pytest.importorskip("sklearn.neural_network._stochastic_optimizers").SGDOptimizer
    if nesterov and not momentum:
        nesterov = False
    net = classifier(build64)
    P = net.parameters
    oracle = theirs([P], 0.25, momentum=momentum, nesterov=nesterov)
    follow(net, P, oracle, fastmlp.ClassicalMomentum(0.25, momentum, nesterov), rates=[0.25, 0.125, 0.5, 0.03])


@pytest.mark.oracle
def test_adam_hat_against_scikit_learn(build64: Any) -> None:
    """With an epsilon that is large compared with the first second moments."""
    theirs = pytest.importorskip("sklearn.neural_network._stochastic_optimizers").AdamOptimizer
    net = classifier(build64)
    P = net.parameters
    follow(net, P, theirs([P], 0.125, 0.8, 0.99, 1e-3), fastmlp.AdamHat(0.125, 0.8, 0.99, 1e-3), rates=[None])


def follow(net: Any, P: Any, oracle: Any, optimizer: Any, rates: list[Any]) -> None:
    """Take 24 steps with both."""
    X, y = data()
    start = P.copy()
    for step in range(24):
        if step > 0 and step % 6 == 0 and rates[0] is not None:
            net.learning_rate = oracle.learning_rate = rates[step // 6]
        _, gradient = net.loss_and_grad(X, y)
        net.train_on_batch(X, y, optimizer)
        oracle.update_params([P], [gradient])
        np.testing.assert_allclose(net.parameters, P, rtol=0, atol=1e-11)
    assert np.abs(P - start).max() > 0.1
