"""L-BFGS against SciPy's L-BFGS-B and the reference, and the arguments and results of `fit` with it.

SciPy minimises the same function, `loss_and_grad` of a twin network. As there are no bounds, both take the same path
until rounding errors separate them.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import fastmlp
from fastmlp import reference
from minimization_problems import problems
from oracles import twin
from trainings import ADAM, assert_same, assert_threads_change_nothing, data

EXACT = fastmlp.LBFGS(gradient_tolerance=1e-9, loss_tolerance=0.0)


def by_scipy(net: Any, X: Any, y: Any, iterations: int, tolerance: float, memory: int = 10) -> tuple[list[float], Any]:
    """Return the loss after each iteration, and SciPy's result."""
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
    """The iterations equal SciPy's, on data for which line searches take up to five evaluations."""
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
    """The first iterations equal SciPy's, for 60 networks whose loss is not smooth or convex along a line."""
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
    """A weighted mean is minimised as by SciPy and the reference, and a custom loss as the built-in one."""
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


# -- the contract of fit ---------------------------------------------------------------------------------------------


def small(build: Any) -> Any:
    return build([3, 5, 2], activation="tanh", loss="cross_entropy", seed=1)


def test_two_fits_are_one_and_the_losses_are_those_before_each_iteration(build: Any) -> None:
    X, y = data()
    once, twice, stepped = small(build), small(build), small(build)
    whole = once.fit(X, y, epochs=8, optimizer="lbfgs")
    halves = [twice.fit(X, y, epochs=4, optimizer=chosen).loss for chosen in ("lbfgs", None)]
    steps = [stepped.train_on_batch(X, y, "lbfgs") for _ in range(8)]
    assert whole.loss == halves[0] + halves[1] == steps
    assert whole.loss[0] == pytest.approx(small(build).evaluate(X, y)["loss"], rel=1e-6)
    assert_same(once, twice)
    assert_same(once, stepped)
    assert once.learning_rate is None


def test_other_rows_are_seen(build: Any) -> None:
    """An iteration on other rows does not reuse the gradient of the rows before."""
    X, y = data()
    net = small(build)
    net.fit(X, y, epochs=3, optimizer="lbfgs")
    expected = net.evaluate(X[:7], 1 - y[:7])["loss"]
    assert net.train_on_batch(X[:7], 1 - y[:7]) == pytest.approx(expected, rel=1e-6)
    expected = net.evaluate(X, y)["loss"]
    assert net.fit(X, y, epochs=1, optimizer=None).loss[0] == pytest.approx(expected, rel=1e-6)


def test_it_ends_where_the_gradient_is_small(build64: Any) -> None:
    X, y = data()
    net = build64([3, 1], loss="mse", seed=2)
    seen: list[int] = []
    history = net.fit(X, y, epochs=500, optimizer=EXACT, callbacks=[lambda epoch, logs: seen.append(epoch)])
    assert seen == list(range(history.epochs))
    assert 2 < history.epochs < 50
    P = net.parameters
    again = net.fit(X, y, epochs=500, optimizer=EXACT)
    assert again.epochs == 1
    np.testing.assert_array_equal(net.parameters, P)
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]
    np.testing.assert_allclose(P, solution, atol=1e-8)


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
    """Like SciPy's ftol: only the last iteration decreases the loss by at most tolerance max(|before|, |now|, 1)."""
    X, y = data()
    net, tolerance = build64([3, 5, 1], activation="tanh", seed=2, loss="squared_error"), 1e-2
    history = net.fit(
        X, y * factor, epochs=500, optimizer=fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=tolerance)
    )
    losses = np.array([*history.loss, net.evaluate(X, y * factor)["loss"]])
    stays = losses[:-1] - losses[1:] <= tolerance * np.maximum(np.maximum(losses[:-1], losses[1:]), 1)
    assert history.stopped == "converged"
    assert stays.tolist() == [False] * (len(stays) - 1) + [True]


def test_nothing_is_drawn_to_shuffle(build: Any) -> None:
    X, y = data()
    shuffled, not_shuffled = small(build), small(build)
    state = shuffled._random_state
    shuffled.fit(X, y, epochs=3, optimizer="lbfgs", batch_size=None)
    not_shuffled.fit(X, y, epochs=3, optimizer="lbfgs", shuffle=False, batch_size=1000)
    assert shuffled._random_state == state
    assert_same(shuffled, not_shuffled)


def test_a_callback_stops_it(build: Any) -> None:
    X, y = data()
    net, control = small(build), small(build)
    net.fit(X, y, epochs=9, optimizer="lbfgs", callbacks=[lambda epoch, logs: epoch == 2])
    control.fit(X, y, epochs=3, optimizer="lbfgs")
    assert_same(net, control)


def test_a_loss_that_is_not_finite_changes_nothing(build: Any) -> None:
    X, y = data()
    huge = np.column_stack([y, 1 - y]) * float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.fit(X, huge * 0 + 1, epochs=2, optimizer="lbfgs")
    for call in (lambda: net.fit(X, huge, epochs=3, optimizer="lbfgs"), lambda: net.train_on_batch(X, huge, None)):
        with pytest.raises(FloatingPointError, match="loss: expected a finite number"):
            call()
    with pytest.raises(ValueError, match="X: expected finite"):
        net.fit(X * np.nan, huge * 0, optimizer=None)
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, huge * 0 + 1, epochs=3, optimizer=None)
    assert_same(net, control)


def test_a_search_that_overflows_comes_back(build: Any) -> None:
    """A search recovers if the loss is not finite at its first step, because of a row that a ReLU masks before."""
    far = -(float(np.finfo(build.dtype).max) ** 0.7)
    X, y = [[1.0], [far]], [[0.0], [0.0]]
    net = build([1, 1, 1], loss="squared_error")
    net.set_layer(0, [[0.1]], [5.0])
    net.set_layer(1, [[1.0]], [0.0])
    oracle = twin(net)
    before = net.evaluate(X, y)["loss"]
    history = net.fit(X, y, epochs=20, optimizer="lbfgs")
    assert 1 < history.epochs <= 20
    assert net.evaluate(X, y)["loss"] < 0.9 * before
    if build.dtype == "float64":
        theirs = oracle.fit(X, y, epochs=20, optimizer="lbfgs")
        np.testing.assert_allclose(history.loss[:3], theirs.loss[:3], rtol=1e-9)


def test_ctrl_c_keeps_the_last_iteration(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(8_000, 40)), rng.normal(size=(8_000, 3))
    net, control = (build([40, 60, 3], activation="tanh", seed=0) for _ in range(2))
    n_seen = 0

    def interrupt(epoch: int, logs: Any) -> None:
        nonlocal n_seen
        n_seen += 1
        if epoch == 0:
            threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            net.fit(X, y, epochs=100_000, optimizer="lbfgs", callbacks=[interrupt])
    finally:
        signal.signal(signal.SIGINT, handler)
    kept = net.parameters
    possible: list[Any] = []
    words: dict[str, Any] = {"epochs": n_seen + 1, "optimizer": "lbfgs"}
    control.fit(X, y, callbacks=[lambda epoch, logs: possible.append(control.parameters)], **words)
    assert any(np.array_equal(kept, P) for P in possible[-2:])
    expected = net.evaluate(X, y)["loss"]
    assert net.fit(X, y, epochs=1, optimizer=None).loss[0] == pytest.approx(expected, rel=1e-5)


def test_another_optimiser_and_back(build: Any) -> None:
    X, y = data()
    net, control = small(build), small(build)
    for each in (net, control):
        each.fit(X, y, epochs=3, optimizer="lbfgs")
        each.train_on_batch(X, y, ADAM)
        if each is control:
            each.parameters = each.parameters
        each.fit(X, y, epochs=3, optimizer="lbfgs")
    assert_same(net, control)


def test_at_what_cost(build64: Any) -> None:
    """L-BFGS evaluates as many gradients as the reference."""
    X, y = data()
    net, oracle = small(build64), twin(small(build64))
    count, gradient = [], oracle._loss_and_gradient
    oracle._loss_and_gradient = lambda *rows: count.append(1) or gradient(*rows)
    words: dict[str, Any] = {"epochs": 6, "optimizer": fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=0.0)}
    assert net._n_evaluations is None
    history = net.fit(X, y, **words)
    oracle.fit(X, y, **words)
    assert net._n_evaluations == len(count) - (history.epochs - 1)  # it asks again where an iteration begins
    net.train_on_batch(X, y, ADAM)
    assert net._n_evaluations is None


@pytest.mark.parametrize("optimizer", [fastmlp.LBFGS(), fastmlp.Rprop()], ids=repr)
def test_fewer_rows_than_all_are_refused(build: Any, optimizer: Any) -> None:
    X, y = data()
    net, control, oracle = small(build), small(build), twin(small(build))
    for each in (net, oracle):
        for size in (1, 22, 32 - 10):
            with pytest.raises(ValueError, match=f"^batch_size: expected None, .*'{optimizer.name}'.*23.* got {size}"):
                each.fit(X, y, batch_size=size, optimizer=optimizer)
    many, labels = np.tile(X, (3, 1)), np.tile(y, 3)
    with pytest.raises(ValueError, match=r"^batch_size: expected None, .* got 32"):
        net.fit(many, labels, batch_size=int("32"), optimizer=optimizer)
    assert_same(net, control)
    net.fit(many, labels, epochs=2, optimizer=optimizer)
    control.fit(many, labels, epochs=2, optimizer=optimizer, batch_size=None)
    assert_same(net, control)


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
