"""Training: trajectories against PyTorch and the reference, fit in its documented order, whole trainings."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import reference
from oracles import OUTPUTS, Torch, targets, twin
from trainings import ADAM, assert_same, classifier, data

OPTIMIZERS = [
    fastmlp.SGD(0.05),
    fastmlp.SGD(0.02, momentum=0.9),
    fastmlp.SGD(0.02, momentum=0.9, nesterov=True),
    fastmlp.Adam(0.01),
    fastmlp.Adam(0.02, beta_1=0.5, beta_2=0.9, epsilon=1e-3),
    fastmlp.AdamW(0.01, weight_decay=0.1),
    fastmlp.NAdam(0.01),
    fastmlp.NAdam(0.02, beta_1=0.8, beta_2=0.95, epsilon=1e-4, momentum_decay=0.05),
    fastmlp.RMSprop(0.005),
    fastmlp.RMSprop(0.005, alpha=0.9, epsilon=1e-4, momentum=0.8),
    fastmlp.RMSprop(0.005, momentum=0.5, centered=True),
    fastmlp.AdaGrad(0.05),
    fastmlp.AdaGrad(0.1, learning_rate_decay=0.1, initial_accumulator=0.2, epsilon=1e-6),
    fastmlp.Lion(0.005),
    fastmlp.Lion(0.01, beta_1=0.7, beta_2=0.8, weight_decay=0.5),
    fastmlp.Rprop(0.003),
    fastmlp.Rprop(0.01, eta_minus=0.3, eta_plus=1.5, least_step=1e-3, largest_step=0.02),
]


# -- trajectories ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_25_steps_against_pytorch(build64: Any, optimizer: Any, loss: str) -> None:
    net = build64([7, 17, 4], activation="tanh", loss=loss, seed=2)
    X, _ = data(16, 7)
    y = targets(np.random.default_rng(2), loss, 16, 4, "labels" if loss == "cross_entropy" else "values")
    start = net.parameters
    for expected_loss, expected in Torch(net).train(X, y, optimizer, 25):
        assert net.train_on_batch(X, y, optimizer) == pytest.approx(expected_loss, rel=1e-8)
        np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    assert np.abs(net.parameters - start).max() > 1e-2


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_25_steps_against_the_reference(build: Any, optimizer: Any, loss: str) -> None:
    net = build([3, 6, 2], activation="sigmoid", loss=loss, init="normal", seed=3)
    oracle = twin(net)
    X, y = data()
    for _ in range(25):
        build.assert_close(net.train_on_batch(X, y, optimizer), oracle.train_on_batch(X, y, optimizer), net.sizes, 25)
    build.assert_close(net.parameters, oracle.parameters, net.sizes, passes=3 * 25)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_fit_against_the_reference(build64: Any, optimizer: Any, shuffle: bool) -> None:
    net = classifier(build64)
    oracle = twin(net)
    X, y = data()
    size = None if optimizer.full_batch else 4
    words: dict[str, Any] = {"epochs": 3, "batch_size": size, "optimizer": optimizer, "shuffle": shuffle}
    history = net.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    expected = oracle.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    assert list(history) == list(expected) == ["loss", "val_loss", "val_accuracy"]
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-9)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-9)
    assert net._random_state == oracle._random.state


# -- fit is a loop of train_on_batch in the documented order ---------------------------------------------------------


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [1, 4, 23, 100, None])
def test_fit_is_a_loop_of_train_on_batch(build: Any, batch_size: int | None, shuffle: bool) -> None:
    """For a short last batch, a batch size above the number of rows, and full batches; the loss is the rows' mean."""
    fitted, stepped = classifier(build), classifier(build)
    stream = reference.SplitMix64(fitted._random_state)
    X, y = data()
    optimizer = fastmlp.SGD(0.1, momentum=0.5)
    history = fitted.fit(X, y, epochs=3, batch_size=batch_size, optimizer=optimizer, shuffle=shuffle)
    size = batch_size or len(X)
    losses = []
    for _ in range(3):
        order = stream.permutation(len(X)) if shuffle else list(range(len(X)))
        batches = [order[i : i + size] for i in range(0, len(X), size)]
        each = [stepped.train_on_batch(X[rows], y[rows], optimizer) * len(rows) for rows in batches]
        losses.append(sum(each) / len(X))
    np.testing.assert_array_equal(fitted.parameters, stepped.parameters)
    np.testing.assert_allclose(history.loss, losses, rtol=1e-12)
    assert fitted._random_state == stream.state


def test_the_first_draws_of_a_seed_are_the_references(build: Any) -> None:
    """A seed determines the initial parameters and then the order of the rows."""
    words: dict[str, Any] = {"activation": "tanh", "loss": "cross_entropy", "seed": 2**64 - 1}
    net, oracle = build([3, 5, 2], **words), reference.Network([3, 5, 2], **words)
    X, y = data()
    net.fit(X, y, epochs=2, batch_size=1, optimizer=fastmlp.SGD(0.1))
    oracle.fit(X, y, epochs=2, batch_size=1, optimizer=fastmlp.SGD(0.1))
    build.assert_close(net.parameters, oracle.parameters, net.sizes, passes=3 * 46)


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.1), fastmlp.SGD(0.1, momentum=0.9), fastmlp.Adam()], ids=repr)
@pytest.mark.parametrize("batch_size", [4, None])
def test_two_fits_of_five_epochs_are_one_of_ten(build: Any, optimizer: Any, batch_size: int | None) -> None:
    X, y = data()
    fit = functools.partial(fastmlp.Network.fit, X=X, y=y, batch_size=batch_size, optimizer=optimizer)
    once, twice = classifier(build), classifier(build)
    whole = fit(once, epochs=10)
    halves = [fit(twice, epochs=5), fit(twice, epochs=5)]
    assert whole.loss == halves[0].loss + halves[1].loss
    assert_same(once, twice)


@pytest.mark.parametrize("form", ["uint8", "int64", "float16", "columns", "lists"])
def test_forms_of_input_train_alike(build: Any, form: str) -> None:
    X = np.random.default_rng(4).integers(0, 5, size=(300, 3))
    y = np.random.default_rng(5).integers(2, size=300)
    forms = {
        "uint8": X.astype(np.uint8),
        "int64": X,
        "float16": X.astype(np.float16),
        "columns": np.asfortranarray(X.astype(build.dtype)),
        "lists": X.tolist(),
    }
    nets = [classifier(build) for _ in range(2)]
    histories = [
        net.fit(x, y, epochs=2, batch_size=7, validation_data=(x, y))
        for net, x in zip(nets, [X.astype(build.dtype), forms[form]], strict=True)
    ]
    assert dict(histories[0]) == dict(histories[1])
    assert_same(*nets)
    for net, x in zip(nets, [X.astype(build.dtype), forms[form]], strict=True):
        net.train_on_batch(x, y)
    assert_same(*nets)


def test_arguments_are_not_written(build: Any) -> None:
    net = classifier(build)
    X, y = data()
    X, kept = X.astype(build.dtype), X.astype(build.dtype)
    t = y.copy()
    for array in (X, y):
        array.setflags(write=False)
    net.fit(X, y, epochs=2)
    net.train_on_batch(X, y)
    np.testing.assert_array_equal(X, kept)
    np.testing.assert_array_equal(y, t)


# -- whole trainings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [fastmlp.SGD(0.5, momentum=0.9), fastmlp.Adam(0.03)], ids=repr)
def test_learns_two_circles(build: Any, optimizer: Any) -> None:
    """The classes are two concentric circles, which no line separates."""
    rng = np.random.default_rng(6)
    angle, y = rng.uniform(0, 2 * np.pi, size=300), np.arange(300) % 2
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * (0.5 + 0.5 * y)[:, np.newaxis]
    net = build([2, 8, 2], activation="tanh", loss="cross_entropy", seed=6)
    history = net.fit(X, y, epochs=60, batch_size=16, optimizer=optimizer)
    assert net.evaluate(X, y)["accuracy"] >= 0.99
    assert history.loss[-1] < 0.1 * history.loss[0]


def test_linear_regression_is_least_squares(build64: Any) -> None:
    X, _ = data(40, 3)
    y = X @ [[1.0, -2.0], [0.5, 0.0], [3.0, 1.0]] + [0.25, -1.0] + np.random.default_rng(7).normal(size=(40, 2))
    net = build64([3, 2], seed=7)
    net.fit(X, y, epochs=3000, batch_size=None, optimizer=fastmlp.SGD(0.2, momentum=0.5))
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), y, rcond=None)[0]
    np.testing.assert_allclose(net.weights[0], solution[:3].T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(net.biases[0], solution[3], rtol=0, atol=1e-9)


@pytest.mark.parametrize("where", ["hidden", "output"])
def test_a_threshold_is_refused_before_anything_is_written(build: Any, where: str) -> None:
    words = {"activation": "threshold"} if where == "hidden" else {"output_activation": "threshold"}
    net = build([3, 4, 1], seed=8, **words)
    P, state = net.parameters, net._random_state
    X, y = data()
    for method in (net.fit, net.train_on_batch, net.loss_and_grad, net.input_gradient):
        with pytest.raises(ValueError, match=rf"{method.__name__}: .*'threshold' in layer {int(where == 'output')}"):
            method(X, y)
    np.testing.assert_array_equal(net.parameters, P)
    assert net._random_state == state
    assert net.evaluate(X, y)["loss"] >= 0


def test_train_on_batch_takes_a_single_row(build: Any) -> None:
    X, y = data()
    nets = [classifier(build) for _ in range(3)]
    nets[0].train_on_batch(X[0], int(y[0]))
    nets[1].train_on_batch(X[:1], y[:1])
    nets[2].train_on_batch(X[0], np.eye(2)[y[0]])
    assert_same(nets[0], nets[1])
    assert_same(nets[0], nets[2])


def test_training_with_one_row_and_one_neuron(build: Any) -> None:
    net = build([1, 1], seed=9)
    net.fit([[2.0]], [3.0], epochs=200, optimizer=fastmlp.SGD(0.1))
    assert net.predict([2.0])[0] == pytest.approx(3.0, abs=1e-5)


def test_large_batches_release_the_lock_and_train_alike(build: Any) -> None:
    rng = np.random.default_rng(10)
    X, y = rng.uniform(size=(600, 784)).astype(np.float32), rng.integers(10, size=600)
    fitted, stepped = (build([784, 32, 10], loss="cross_entropy", seed=10) for _ in range(2))
    fitted.fit(X, y, epochs=1, batch_size=300, shuffle=False, optimizer=ADAM)
    for part in (slice(0, 300), slice(300, 600)):
        stepped.train_on_batch(X[part], y[part], ADAM)
    build.assert_close(fitted.parameters, stepped.parameters, fitted.sizes, passes=6)
