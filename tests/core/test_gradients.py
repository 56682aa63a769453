"""Gradients against central differences, the reference and PyTorch; short batches, tiles of rows, single rows.

The error of central differences in float64 is about 1e-10 of the loss; a wrong formula differs by more than 1e-7.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import fastmlp
from oracles import HIDDEN, OUTPUTS, Case, Torch, architecture, central_differences, targets, twin

SEEDS = range(20)


def loss_at(net: Any, P: Any, X: Any, y: Any) -> float:
    net.parameters = P
    return net.evaluate(X, y)["loss"]


def kinds(n_outputs: int) -> list[str]:
    return ["values", "soft", "labels"] if n_outputs > 1 else ["values", "soft"]


LOSSES_AND_OUTPUTS = [
    pytest.param(loss, output, id=f"{loss}-{output!r}") for loss, outputs in OUTPUTS.items() for output in outputs
]


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(("loss", "output"), LOSSES_AND_OUTPUTS)
def test_central_differences_of_the_output_layer(build64: Any, loss: str, output: Any, n_outputs: int) -> None:
    n_outputs += n_outputs == 1 and isinstance(output, fastmlp.Softmax)  # softmax needs two outputs
    rng = np.random.default_rng(4)
    net = build64([2, 3, n_outputs], activation="tanh", output_activation=output, loss=loss, init="normal", seed=4)
    X, P = rng.normal(size=(5, 2)), net.parameters
    for kind in kinds(n_outputs):
        y = targets(rng, loss, 5, n_outputs, kind)
        value, gradient = net.loss_and_grad(X, y)
        dx = net.input_gradient(X, y)
        assert value == pytest.approx(net.evaluate(X, y)["loss"], rel=1e-14)
        numeric = central_differences(lambda p, y=y: loss_at(net, p, X, y), P)
        net.parameters = P
        np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())
        numeric = central_differences(lambda x, y=y: net.evaluate(x, y)["loss"], X)
        np.testing.assert_allclose(dx, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
def test_central_differences_of_hidden_layers(build64: Any, hidden: Any, loss: str) -> None:
    rng = np.random.default_rng(5)
    net = build64([3, 4, 3, 2], activation=[hidden, hidden], loss=loss, init="normal", seed=5)
    X, y, P = rng.normal(size=(4, 3)), rng.integers(2, size=4), net.parameters
    _, gradient = net.loss_and_grad(X, y)
    dx = net.input_gradient(X, y)
    numeric = central_differences(lambda p: loss_at(net, p, X, y), P)
    net.parameters = P
    assert np.abs(numeric).max() > 1e-3
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())
    numeric = central_differences(lambda x: net.evaluate(x, y)["loss"], X)
    np.testing.assert_allclose(dx, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max())


# -- random architectures --------------------------------------------------------------------------------------------


@functools.cache
def case(seed: int) -> Case:
    return architecture(seed)


def network(build: Any, c: Case) -> Any:
    net = build(c.sizes, seed=0, **c.words)
    net.parameters = c.P
    return net


@functools.cache
def by_torch(seed: int) -> tuple[float, Any, Any]:
    c = case(seed)
    return Torch(network(functools.partial(fastmlp.Network, dtype="float64"), c)).gradients(c.X, c.y)


@functools.cache
def by_reference(seed: int) -> tuple[float, Any, Any]:
    c = case(seed)
    net = twin(network(functools.partial(fastmlp.Network, dtype="float64"), c))
    y = c.y.tolist()
    return *net.loss_and_grad(c.X.tolist(), y), net.input_gradient(c.X.tolist(), y)


def test_the_random_architectures_are_varied() -> None:
    cases = [case(seed) for seed in SEEDS]
    assert {len(c.sizes) - 1 for c in cases} == {1, 2, 3, 4}
    assert {len(c.X) for c in cases} >= {1, 97}
    assert {size for c in cases for size in c.sizes} >= {1, 15, 16, 17, 31, 32, 33, 130}
    assert {f for c in cases for f in c.words["activation"]} == set(HIDDEN)


@pytest.mark.parametrize("seed", SEEDS)
def test_against_pytorch(build64: Any, seed: int) -> None:
    c = case(seed)
    net = network(build64, c)
    loss, gradient, dx = by_torch(seed)
    actual_loss, actual = net.loss_and_grad(c.X, c.y)
    assert actual_loss == pytest.approx(loss, rel=1e-10)
    np.testing.assert_allclose(actual, gradient, rtol=0, atol=1e-10 * np.abs(gradient).max())
    np.testing.assert_allclose(net.input_gradient(c.X, c.y), dx, rtol=0, atol=1e-10 * np.abs(dx).max())


@pytest.mark.parametrize("seed", SEEDS)
def test_against_the_reference(build: Any, seed: int) -> None:
    c = case(seed)
    net = network(build, c)
    loss, gradient, dx = by_reference(seed)
    actual_loss, actual = net.loss_and_grad(c.X, c.y)
    assert actual.dtype == net.dtype
    build.assert_close(actual_loss, loss, c.sizes)
    build.assert_close(actual, gradient, c.sizes, passes=3)
    build.assert_close(net.input_gradient(c.X, c.y), dx, c.sizes, passes=3)


# -- what is averaged ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("n_rows", [1, 2, 7, 97])
def test_the_mean_of_the_gradients_of_the_rows(build: Any, loss: str, n_rows: int) -> None:
    rng = np.random.default_rng(n_rows)
    net = build([5, 17, 3], activation="tanh", loss=loss, seed=6)
    X, y = rng.normal(size=(n_rows, 5)), rng.integers(3, size=n_rows)
    each = [net.loss_and_grad(x, t) for x, t in zip(X, y, strict=True)]
    loss_, gradient = net.loss_and_grad(X, y)
    build.assert_close(loss_, np.mean([value for value, _ in each]), net.sizes)
    build.assert_close(gradient, np.mean([g.astype(np.float64) for _, g in each], axis=0), net.sizes, passes=3)
    dx = net.input_gradient(X, y)
    rows = [net.input_gradient(x, t) / n_rows for x, t in zip(X, y, strict=True)]
    build.assert_close(dx, rows, net.sizes, passes=3)


@pytest.mark.parametrize("n_rows", [255, 256, 257, 600])
def test_tiles_of_rows(build: Any, n_rows: int) -> None:
    """Batches of about a multiple of 256 rows are processed in pieces, whose gradients are added."""
    rng = np.random.default_rng(n_rows)
    net = build([2, 3, 2], activation="tanh", loss="cross_entropy", seed=7)
    X, y = rng.normal(size=(n_rows, 2)).astype(np.float32), rng.integers(2, size=n_rows)
    loss, gradient = net.loss_and_grad(X, y)
    dx = net.input_gradient(X, y)
    oracle = twin(net)
    expected_loss, expected = oracle.loss_and_grad(X.tolist(), y.tolist())
    build.assert_close(loss, expected_loss, net.sizes)
    build.assert_close(gradient, expected, net.sizes, passes=3)
    build.assert_close(dx, oracle.input_gradient(X.tolist(), y.tolist()), net.sizes, passes=3)
    for i in range(len(y)):
        build.assert_close(dx[i] * n_rows, net.input_gradient(X[i], y[i]), net.sizes, passes=3)


def test_large_enough_to_release_the_lock(build: Any) -> None:
    rng = np.random.default_rng(8)
    net = build([784, 33, 10], activation="tanh", loss="cross_entropy", seed=8)
    X, y = rng.uniform(size=(300, 784)).astype(np.float32), rng.integers(10, size=300)
    loss, gradient, dx = Torch(net).gradients(X, y)
    actual_loss, actual = net.loss_and_grad(X, y)
    build.assert_close(actual_loss, loss, net.sizes)
    build.assert_close(actual, gradient, net.sizes, passes=3)
    build.assert_close(net.input_gradient(X, y), dx, net.sizes, passes=3)


# -- forms of arguments and results ----------------------------------------------------------------------------------


def test_single_rows(build: Any) -> None:
    net = build([3, 4, 2], activation="tanh", loss="cross_entropy", seed=9)
    x = np.array([0.5, -1.0, 2.0], dtype=net.dtype)
    loss, gradient = net.loss_and_grad(x, 1)
    batch_loss, batch_gradient = net.loss_and_grad(x[np.newaxis], [1])
    assert loss == batch_loss
    np.testing.assert_array_equal(gradient, batch_gradient)
    np.testing.assert_array_equal(net.loss_and_grad(x, [0.0, 1.0])[1], gradient)
    assert net.input_gradient(x, 1).shape == (3,)
    np.testing.assert_array_equal(net.input_gradient(x, 1), net.input_gradient(x[np.newaxis], [1])[0])


def test_one_output_takes_a_vector_of_targets(build: Any) -> None:
    net = build([2, 3, 1], activation="tanh", seed=10)
    X, y = np.random.default_rng(10).normal(size=(4, 2)), np.array([0.0, 1.0, 2.0, 3.0])
    loss, gradient = net.loss_and_grad(X, y)
    other_loss, other = net.loss_and_grad(X, y[:, np.newaxis])
    assert loss == other_loss
    np.testing.assert_array_equal(gradient, other)
    np.testing.assert_array_equal(net.loss_and_grad(X[0], 0.0)[1], net.loss_and_grad(X[0], [0.0])[1])


@pytest.mark.parametrize("loss", OUTPUTS)
def test_labels_are_one_hot_rows(build: Any, loss: str) -> None:
    net = build([2, 4], loss=loss, seed=11)
    X, y = np.random.default_rng(11).normal(size=(6, 2)), np.array([0, 3, 1, 1, 2, 0])
    for labels in (y, y.astype(np.uint8), y.astype(np.float64), y.tolist()):
        loss_, gradient = net.loss_and_grad(X, labels)
        expected_loss, expected = net.loss_and_grad(X, np.eye(4)[y])
        assert loss_ == expected_loss
        np.testing.assert_array_equal(gradient, expected)


def test_results_are_new_and_the_network_stays(build: Any) -> None:
    net = build([3, 5, 2], seed=12)
    X, y = np.ones((2, 3), dtype=net.dtype), np.zeros((2, 2), dtype=net.dtype)
    P = net.parameters
    loss, gradient = net.loss_and_grad(X, y)
    assert isinstance(loss, float)
    assert gradient.shape == (net.n_parameters,)
    assert gradient.flags.owndata
    assert gradient.flags.writeable
    gradient[:] = 7
    dx = net.input_gradient(X, y)
    dx[:] = 7
    np.testing.assert_array_equal(net.parameters, P)
    np.testing.assert_array_equal(X, 1)
    assert net.loss_and_grad(X, y)[1].max() < 7


def test_gradients_of_uint8_and_of_converted_inputs(build: Any) -> None:
    net = build([3, 4, 2], activation="tanh", seed=13)
    X = np.random.default_rng(13).integers(0, 4, size=(5, 3))
    y = np.zeros((5, 2))
    _, expected = net.loss_and_grad(X.astype(net.dtype), y)
    dx = net.input_gradient(X.astype(net.dtype), y)
    for form in (X.astype(np.uint8), X, X.tolist(), np.asfortranarray(X.astype(net.dtype)), X.astype(">f8")):
        np.testing.assert_array_equal(net.loss_and_grad(form, y)[1], expected)
        np.testing.assert_array_equal(net.input_gradient(form, y), dx)
        assert net.input_gradient(form, y).dtype == net.dtype


@pytest.mark.parametrize("far", [10.0, 20.0, 60.0])
@pytest.mark.parametrize(("loss", "w"), [("binary_cross_entropy", [[1.0]]), ("cross_entropy", [[1.0], [0.0]])])
def test_confident_losses_keep_their_digits(build: Any, loss: str, w: list[list[float]], far: float) -> None:
    """If y rounds to 1 or 0, the loss has its exact value and is neither 0 nor infinite."""
    net = build([1, len(w)], loss=loss, seed=0)
    net.set_layer(0, w, [0.0] * len(w))
    right, wrong = (1, 0) if loss == "binary_cross_entropy" else (0, 1)
    relative = {"float32": 1e-5, "float64": 1e-12}[build.dtype]
    assert net.evaluate([[far]], [wrong])["loss"] == pytest.approx(far + np.log1p(np.exp(-far)), rel=relative)
    assert net.loss_and_grad([[far]], [wrong])[1][0] == pytest.approx(far / (1 + np.exp(-far)), rel=relative)
    assert net.evaluate([[far]], [right])["loss"] == pytest.approx(np.log1p(np.exp(-far)), rel=relative, abs=0)
