"""L-BFGS against SciPy's L-BFGS-B and the reference. Tests of all such methods: test_whole_batch_methods.py.

SciPy minimises the same function, `loss_and_grad` of a twin network. As there are no bounds, both take the same path
until rounding errors separate them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import fastmlp
from fastmlp import reference
from minimization_problems import problems
from oracles import twin
from trainings import assert_threads_change_nothing, data

EXACT = fastmlp.LBFGS(gradient_tolerance=1e-9, loss_tolerance=0.0)


def by_scipy(net: Any, X: Any, y: Any, iterations: int, tolerance: float, memory: int = 10) -> tuple[list[float], Any]:
    """The loss after each iteration, and SciPy's result."""
    other, losses = net.copy(), []

    def f(P: Any) -> tuple[float, Any]:
        other.parameters = P
        loss, gradient = other.loss_and_grad(X, y)
        return loss, gradient.astype(np.float64)

    result = minimize(
        f, net.parameters.astype(np.float64), jac=True, method="L-BFGS-B", callback=lambda P: losses.append(f(P)[0]),
        options={"maxiter": iterations, "maxcor": memory, "gtol": tolerance, "ftol": 0.0},
    )  # fmt: skip
    return losses, result


@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem[0])
def test_the_minimum_is_scipys(build64: Any, problem: Any) -> None:
    _, sizes, words, X, y = problem
    net = build64(sizes, seed=5, **words)
    losses, result = by_scipy(net, X, y, 2000, 1e-9)
    history = net.fit(X, y, epochs=2000, optimizer=EXACT)
    assert history.epochs < 2000
    loss, gradient = net.loss_and_grad(X, y)
    assert loss == pytest.approx(result.fun, rel=1e-9, abs=1e-12)
    assert np.abs(gradient).max() < 1e-6
    assert loss < history.loss[0] - 1e-3
    n = min(8, history.epochs - 1)
    np.testing.assert_allclose(history.loss[1 : n + 1], losses[:n], rtol=1e-6)


@pytest.mark.parametrize(("activation", "scale", "memory"), [("tanh", 1, 10), ("sigmoid", 10, 10), ("sigmoid", 10, 2)])
def test_the_path_is_scipys(build64: Any, activation: str, scale: float, memory: int) -> None:
    """On steep data, where searches take up to five evaluations, bracketed and not."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(80, 6))
    y = 20 * X[:, :2] ** 3
    net = build64([6, 12, 2], activation=activation, loss="squared_error", init="normal", seed=4)
    net.parameters = net.parameters * scale
    losses, result = by_scipy(net, X, y, 20, 1e-9, memory)
    assert result.nfev >= result.nit + 3, "some searches must take more than one evaluation"
    history = net.fit(X, y, epochs=21, optimizer=fastmlp.LBFGS(memory, loss_tolerance=0.0))
    np.testing.assert_allclose(history.loss[1:], losses, rtol=1e-5)


def test_searches_on_rugged_losses_are_scipys(build64: Any) -> None:
    """The first iterations on 60 networks whose loss along a line has hills, flats and corners."""
    hidden = [fastmlp.Gaussian(0.0, 0.2), fastmlp.Sigmoid(15.0), fastmlp.PiecewiseLinear(-0.1, 0.1), fastmlp.ReLU()]
    most = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(4, 1)), 3 * rng.normal(size=(4, 1))
        net = build64([1, 3, 1], activation=hidden[seed % 4], output_activation="tanh", init="normal", seed=seed)
        losses, result = by_scipy(net, X, y, 3, 1e-9)
        most = max(most, result.nfev)
        history = net.fit(X, y, epochs=4, optimizer=fastmlp.LBFGS(loss_tolerance=0.0))
        n = min(len(losses), history.epochs - 1)
        np.testing.assert_allclose(history.loss[1 : n + 1], losses[:n], rtol=1e-5, err_msg=f"seed {seed}")
    assert most >= 10


def test_against_the_reference(build64: Any) -> None:
    X, y = data()
    for optimizer in (fastmlp.LBFGS(), fastmlp.LBFGS(memory=2, max_evaluations=3)):
        net = build64([3, 4, 2], activation="tanh", loss="cross_entropy", seed=1)
        oracle = twin(net)
        ours = net.fit(X, y, epochs=12, optimizer=optimizer, validation_data=(X[:9], y[:9]))
        theirs = oracle.fit(X, y, epochs=12, optimizer=optimizer, validation_data=(X[:9], y[:9]))
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-7)
        assert net.train_on_batch(X, y) == pytest.approx(oracle.train_on_batch(X, y), rel=1e-7)
        np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-6)
        assert net._random_state == oracle._random.state


def test_weights_and_an_own_loss_are_minimised_too(build64: Any) -> None:
    """The weighted mean, as by SciPy and the reference; a loss of one's own goes the way of the built-in one."""
    rng = np.random.default_rng(3)
    X, y, of_rows = rng.normal(size=(40, 3)), rng.integers(0, 3, 40), rng.uniform(0, 2e-4, 40)
    of_rows[:5], of_classes = 0, {0: 2.0, 1: 0.5, 2: 1.0}
    words = {"activation": "tanh", "loss": "cross_entropy", "seed": 1}
    weights: dict[str, Any] = {"sample_weight": of_rows, "class_weight": of_classes}
    rule: dict[str, Any] = {"epochs": 6, "optimizer": fastmlp.LBFGS(loss_tolerance=0.0)}
    net, plain, at = build64([3, 4, 3], **words), reference.Network([3, 4, 3], **words), build64([3, 4, 3], **words)
    all_of_it = of_rows * np.array([of_classes[label] for label in y])

    def weighted(P: Any) -> tuple[float, Any]:
        at.parameters = P
        loss, gradient = at.loss_and_grad(X, y, sample_weight=all_of_it)
        return float(loss), gradient

    losses: list[float] = []
    options = {"maxiter": 5, "ftol": 0.0, "gtol": 1e-9}
    minimize(
        weighted,
        net.parameters,
        jac=True,
        method="L-BFGS-B",
        options=options,
        callback=lambda intermediate_result: losses.append(float(intermediate_result.fun)),
    )
    history = net.fit(X, y, **rule, **weights)
    np.testing.assert_allclose(history.loss[1:], losses, rtol=1e-7)
    np.testing.assert_allclose(history.loss, plain.fit(X, y, **rule, **weights).loss, rtol=1e-7)

    targets = rng.normal(size=(40, 3))
    own = fastmlp.CustomLoss(lambda Y, T: (((Y - T) ** 2).sum(axis=1), 2 * (Y - T)))
    nets = [build64([3, 4, 3], activation="tanh", loss=loss, seed=1) for loss in (own, "squared_error")]
    for each in nets:
        each.fit(X, targets, **rule, sample_weight=of_rows)
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-7, atol=1e-9)


def test_float32_comes_as_close_as_it_can(build: Any) -> None:
    _, sizes, words, X, y = problems()[2]
    net = build(sizes, seed=5, **words)
    exact = fastmlp.Network(sizes, seed=5, dtype="float64", **words)
    exact.fit(X, y, epochs=200, optimizer=EXACT)
    history = net.fit(X, y, epochs=200, optimizer=EXACT)
    assert history.epochs < 200, "it must end, though float32 never reaches such a gradient"
    assert net.evaluate(X, y)["loss"] == pytest.approx(exact.evaluate(X, y)["loss"], rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_threads_gives_the_same_bits(dtype: str) -> None:
    assert_threads_change_nothing(700, [60, 64, 5], dtype, epochs=5, optimizer="lbfgs")


def test_it_ends_where_the_loss_stays(build64: Any) -> None:
    X, y = data()
    lengths = [
        build64([3, 5, 1], activation="tanh", seed=2)
        .fit(X, y, epochs=500, optimizer=fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=tolerance))
        .epochs
        for tolerance in (1e-1, 1e-3, 1e-9)
    ]
    assert lengths[0] < lengths[1] < lengths[2]


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e4])
def test_a_loss_stays_where_it_falls_by_little_of_its_size(build64: Any, factor: float) -> None:
    """As SciPy's ftol: by no more than tolerance max(|before|, |now|, 1), in the last iteration and in none before."""
    X, y = data()
    net, tolerance = build64([3, 5, 1], activation="tanh", seed=2, loss="squared_error"), 1e-2
    history = net.fit(
        X, y * factor, epochs=500, optimizer=fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=tolerance)
    )
    losses = np.array([*history.loss, net.evaluate(X, y * factor)["loss"]])
    stays = losses[:-1] - losses[1:] <= tolerance * np.maximum(np.maximum(losses[:-1], losses[1:]), 1)
    assert history.stopped == "converged"
    assert stays.tolist() == [False] * (len(stays) - 1) + [True]


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"memory": 0}, ValueError, "memory: expected an integer of at least 1"),
        ({"memory": 2.5}, TypeError, "memory: expected an integer"),
        ({"max_evaluations": 1}, ValueError, "max_evaluations: expected an integer of at least 2"),
        ({"gradient_tolerance": -1.0}, ValueError, "gradient_tolerance: expected .*at least 0"),
        ({"loss_tolerance": "small"}, TypeError, "loss_tolerance: expected a real number"),
    ],
)
def test_bad_arguments(words: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        fastmlp.LBFGS(**words)
