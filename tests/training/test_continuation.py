"""What a network keeps between calls: the optimiser's state, the random state, the last valid epoch.

Training continues with an equal optimiser or none; a different optimiser or new parameters reset its state; a call that
fails changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastmlp
from trainings import ADAM, assert_same, classifier, data, resumed

# -- what continues and what starts anew -----------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["fit", "batch"])
@pytest.mark.parametrize("second", ["fit", "batch"])
@pytest.mark.parametrize("optimizer", [fastmlp.Adam(0.05), None], ids=["equal", "none"])
def test_an_equal_optimizer_or_none_continues(build: Any, optimizer: Any, first: str, second: str) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    resumed(net, X, y, ADAM, first)
    resumed(net, X, y, optimizer, second)
    for _ in range(2):
        control.train_on_batch(X, y, ADAM)
    assert_same(net, control)


@pytest.mark.parametrize("first", ["fit", "batch"])
@pytest.mark.parametrize("second", ["fit", "batch"])
@pytest.mark.parametrize("other", [fastmlp.Adam(0.04), fastmlp.SGD(0.1, momentum=0.9)], ids=repr)
def test_another_optimizer_starts_anew(build: Any, other: Any, first: str, second: str) -> None:
    """Another optimiser starts with new state from the present parameters; the old state is discarded."""
    X, y = data()
    net = classifier(build)
    resumed(net, X, y, ADAM, first)
    control = net.copy()
    fresh = classifier(build)
    resumed(fresh, X, y, ADAM, first)  # like net, but not read between the steps
    for each in (net, control, fresh):
        resumed(each, X, y, other, second)
        resumed(each, X, y, ADAM, second)
    assert_same(net, control)
    assert_same(net, fresh)


@pytest.mark.parametrize("how", ["parameters", "set_layer"])
@pytest.mark.parametrize("optimizer", [ADAM, fastmlp.SGD(0.1, momentum=0.9)], ids=repr)
@pytest.mark.parametrize("first", ["fit", "batch"])
def test_new_parameters_start_the_optimizer_anew(build: Any, optimizer: Any, how: str, first: str) -> None:
    X, y = data()
    net = classifier(build)
    resumed(net, X, y, optimizer, first)
    P = net.parameters
    if how == "parameters":
        net.parameters = P
    else:
        net.set_layer(0, net.weights[0], net.biases[0])
    control = classifier(build)
    control.parameters = P
    for each in (net, control):
        each.train_on_batch(X, y, optimizer)
    assert_same(net, control)


def test_none_begins_with_adam(build: Any) -> None:
    X, y = data()
    nets = [classifier(build) for _ in range(4)]
    nets[0].train_on_batch(X, y)
    nets[1].train_on_batch(X, y, fastmlp.Adam())
    nets[2].fit(X, y, epochs=1, batch_size=None, shuffle=False, optimizer=None)
    nets[3].fit(X, y, epochs=1, batch_size=None, shuffle=False)
    for net in nets[1:]:
        assert_same(nets[0], net)


def test_none_after_new_parameters_keeps_the_choice(build: Any) -> None:
    """Assigning `parameters` keeps the choice of the optimiser, but resets its state."""
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, fastmlp.SGD(0.5))
    net.parameters = net.parameters
    expected = net.copy()
    net.train_on_batch(X, y)
    expected.train_on_batch(X, y, fastmlp.SGD(0.5))
    assert_same(net, expected)


def test_reading_between_the_steps_changes_nothing(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    for _ in range(4):
        net.train_on_batch(X, y, ADAM)
        _ = net.parameters, net.weights, net.predict(X), net.evaluate(X, y), net.loss_and_grad(X, y), net.copy()
        control.train_on_batch(X, y, ADAM)
    assert_same(net, control)


def test_steps_are_seen_by_every_reader(build: Any) -> None:
    X, y = data()
    readers = [
        lambda net: net.parameters,
        lambda net: np.concatenate([w.ravel() for w in net.weights]),
        lambda net: np.concatenate(net.biases),
        lambda net: net.predict(X),
        lambda net: net.activations(X)[0],
        lambda net: net.evaluate(X, y)["loss"],
        lambda net: net.loss_and_grad(X, y)[1],
        lambda net: net.input_gradient(X, y),
        lambda net: net.copy().parameters,
        lambda net: net.fold_linear().parameters,
    ]
    for reader in readers:
        net, control = classifier(build), classifier(build)
        before = reader(net)
        net.train_on_batch(X, y, ADAM)
        control.train_on_batch(X, y, ADAM)
        _ = control.parameters
        assert np.any(reader(net) != before)
        np.testing.assert_array_equal(reader(net), reader(control))


def test_set_layer_after_a_step_keeps_the_other_layers(build: Any) -> None:
    X, y = data()
    net = classifier(build)
    net.train_on_batch(X, y, ADAM)
    control = net.copy()
    other = classifier(build)
    other.train_on_batch(X, y, ADAM)
    other.set_layer(1, np.zeros((2, 5)), np.zeros(2))
    np.testing.assert_array_equal(other.weights[0], control.weights[0])


# -- a fit that fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam(0.01)], ids=repr)
@pytest.mark.parametrize("before", ["fit", "steps", "nothing"])
@pytest.mark.parametrize("failing", [None, fastmlp.SGD(0.3, momentum=0.5)], ids=["the same", "another"])
@pytest.mark.parametrize("shuffle", [True, False])
def test_a_diverging_fit_leaves_the_network_as_it_was(
    build: Any, optimizer: Any, before: str, failing: Any, shuffle: bool
) -> None:
    """After a fit that diverges, parameters, optimiser state and random state are as before it.

    The last row is at fault, so that the epoch has made good steps when it fails.
    """
    X, y = data()
    targets_ = np.column_stack([y, 1 - y]).astype(float)
    bad = targets_.copy()
    bad[-1] = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        if before == "fit":
            each.fit(X, targets_, epochs=2, batch_size=5, optimizer=optimizer)
        for _ in range(3 * (before == "steps")):
            each.train_on_batch(X, targets_, optimizer)
    with pytest.raises(FloatingPointError, match=r"epoch 1 of 3.*(learning_rate|scale)"):
        net.fit(X, bad, epochs=3, batch_size=1, optimizer=failing or optimizer, shuffle=shuffle)
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, targets_, epochs=2, batch_size=5, optimizer=optimizer)
        each.train_on_batch(X, targets_, optimizer)
    assert_same(net, control)


def test_a_fit_that_diverges_later_keeps_the_last_good_epoch(build: Any) -> None:
    """With a rate that is too large, parameters grow for some epochs before they overflow."""
    X, y = data()
    optimizer = fastmlp.SGD(30.0, momentum=0.9)
    net, control = (build([3, 1], seed=1) for _ in range(2))
    good: list[Any] = []
    with pytest.raises(FloatingPointError) as error:
        net.fit(X, y, epochs=500, optimizer=optimizer, callbacks=[lambda epoch, logs: good.append(net.parameters)])
    assert f"epoch {len(good) + 1} of 500" in str(error.value)
    assert 1 < len(good) < 500
    np.testing.assert_array_equal(net.parameters, good[-1])
    assert np.isfinite(net.parameters).all()
    control.fit(X, y, epochs=len(good), optimizer=optimizer)
    assert_same(net, control)
    for each in (net, control):
        each.parameters = np.zeros(4)
        each.fit(X, y, epochs=2)
    assert_same(net, control)


@pytest.mark.parametrize("failing", [ADAM, fastmlp.SGD(0.3, momentum=0.5)], ids=["the same", "another"])
def test_a_step_that_fails_is_no_step(build: Any, failing: Any) -> None:
    X, y = data()
    huge = float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 1], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.train_on_batch(X, y, ADAM)
    with pytest.raises(FloatingPointError, match="loss: expected a finite number"):
        net.train_on_batch(X, y * huge, failing)
    assert_same(net, control)
    for each in (net, control):
        each.train_on_batch(X, y, ADAM)
    assert_same(net, control)


@pytest.mark.parametrize("before", [ADAM, None], ids=["another", "none"])
def test_a_step_that_overflows_the_parameters_is_no_step(build: Any, before: Any) -> None:
    """A step with a finite loss is not taken if the parameters after it would not be finite."""
    X, y = data()
    net, control = (build([3, 1], seed=1) for _ in range(2))
    for each in (net, control):
        if before is not None:
            each.train_on_batch(X, y, before)
    with pytest.raises(FloatingPointError, match="expected a finite number"):
        net.train_on_batch(X * 100, y, fastmlp.SGD(float(np.finfo(build.dtype).max) / 4))
    assert_same(net, control)
    for each in (net, control):
        each.train_on_batch(X, y)
    assert_same(net, control)


def test_a_step_that_overflows_takes_back_itself_alone(build: Any) -> None:
    """A step that overflows is rolled back, but not the steps before it, even if these are not yet published."""
    net, twin = (build([1, 1], loss="mse", seed=0) for _ in range(2))
    X, y = np.ones((4, 1)), np.zeros((4, 1))
    for each in (net, twin):
        for _ in range(5):
            each.train_on_batch(X, y, fastmlp.SGD(0.1))
    with pytest.raises(FloatingPointError):
        net.train_on_batch(X * 1e4, y - 1e4, fastmlp.SGD(float(np.finfo(build.dtype).max) / 4))
    np.testing.assert_array_equal(net.parameters, twin.parameters)
