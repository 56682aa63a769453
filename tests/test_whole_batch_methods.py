"""What holds for every whole-batch method: its minimum is SciPy's, and what it keeps of the contract of `fit`.

That threads change no bit, and that an error goes back, is tested in test_optimizers.py, checkpoints in
test_checkpoint.py. What a method computes on its way has a file of its own, test_lbfgs.py for L-BFGS.
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
from fastmlp.frozen import replace
from minimization_problems import problems
from oracles import twin
from trainings import ADAM, assert_same, data

METHODS = [
    fastmlp.LBFGS(gradient_tolerance=1e-9, loss_tolerance=0.0),
]
every_method = pytest.mark.parametrize("optimizer", METHODS, ids=lambda method: method.name)


def small(build: Any) -> Any:
    return build([3, 5, 2], activation="tanh", loss="cross_entropy", seed=1)


@every_method
@pytest.mark.parametrize("problem", problems()[:6], ids=lambda problem: problem[0])
def test_the_minimum_is_scipys(build64: Any, optimizer: Any, problem: Any) -> None:
    """Of models that have one minimum, where SciPy's L-BFGS-B ends on the same loss and gradient."""
    _, sizes, words, X, y = problem
    net, other = (build64(sizes, seed=5, **words) for _ in range(2))

    def f(P: Any) -> tuple[float, Any]:
        other.parameters = P
        return other.loss_and_grad(X, y)  # type: ignore[no-any-return]

    options = {"maxiter": 2000, "gtol": 1e-9, "ftol": 0.0}
    result = minimize(f, net.parameters, jac=True, method="L-BFGS-B", options=options)
    history = net.fit(X, y, epochs=20_000, optimizer=optimizer)
    assert history.stopped == "converged"
    loss, gradient = net.loss_and_grad(X, y)
    assert loss == pytest.approx(result.fun, rel=1e-9)
    assert np.abs(gradient).max() < 1e-6
    assert loss < history.loss[0] - 1e-3


@every_method
@pytest.mark.parametrize("problem", problems(), ids=lambda problem: problem[0])
def test_the_loss_falls_from_iteration_to_iteration(build: Any, optimizer: Any, problem: Any) -> None:
    """Until it has converged, where there is no tolerance, because rounding errors hide what is left."""
    _, sizes, words, X, y = problem
    net = build(sizes, seed=5, **words)
    history = net.fit(X, y, epochs=300, optimizer=replace(optimizer, gradient_tolerance=0.0))
    assert np.all(np.diff(history.loss) < 0)
    assert history.stopped == ("epochs" if history.epochs == 300 else "converged")
    assert net.evaluate(X, y)["loss"] <= history.loss[-1] * (1 + 1e-6)


@every_method
def test_the_first_iterations_are_the_references(build64: Any, optimizer: Any) -> None:
    X, y = data()
    net = small(build64)
    oracle = twin(net)
    ours, theirs = (
        each.fit(X, y, epochs=12, optimizer=optimizer, validation_data=(X[:9], y[:9])) for each in (net, oracle)
    )
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-7)
    assert net.train_on_batch(X, y) == pytest.approx(oracle.train_on_batch(X, y), rel=1e-7)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-6)
    assert net._random_state == oracle._random.state


# -- the contract of fit ---------------------------------------------------------------------------------------------


@every_method
def test_two_fits_are_one_and_the_losses_are_those_before_each_iteration(build: Any, optimizer: Any) -> None:
    X, y = data()
    once, twice, stepped = small(build), small(build), small(build)
    whole = once.fit(X, y, epochs=8, optimizer=optimizer)
    halves = [twice.fit(X, y, epochs=4, optimizer=chosen).loss for chosen in (optimizer, None)]
    steps = [stepped.train_on_batch(X, y, optimizer) for _ in range(8)]
    assert whole.loss == halves[0] + halves[1] == steps
    assert whole.loss[0] == pytest.approx(small(build).evaluate(X, y)["loss"], rel=1e-6)
    assert_same(once, twice)
    assert_same(once, stepped)
    assert once.learning_rate is None


@every_method
def test_other_rows_are_seen(build: Any, optimizer: Any) -> None:
    """The gradient that an iteration ends with is not taken for that of other rows."""
    X, y = data()
    net = small(build)
    net.fit(X, y, epochs=3, optimizer=optimizer)
    expected = net.evaluate(X[:7], 1 - y[:7])["loss"]
    assert net.train_on_batch(X[:7], 1 - y[:7]) == pytest.approx(expected, rel=1e-6)
    expected = net.evaluate(X, y)["loss"]
    assert net.fit(X, y, epochs=1, optimizer=None).loss[0] == pytest.approx(expected, rel=1e-6)


@every_method
def test_it_ends_where_the_gradient_is_small(build64: Any, optimizer: Any) -> None:
    X, y = data()
    net = build64([3, 1], loss="mse", seed=2)
    seen: list[int] = []
    history = net.fit(X, y, epochs=500, optimizer=optimizer, callbacks=[lambda epoch, logs: seen.append(epoch)])
    assert seen == list(range(history.epochs))
    assert 2 < history.epochs < 50
    P = net.parameters
    again = net.fit(X, y, epochs=500, optimizer=optimizer)
    assert again.epochs == 1
    np.testing.assert_array_equal(net.parameters, P)
    solution = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=None)[0]
    np.testing.assert_allclose(P, solution, atol=1e-8)


@every_method
def test_nothing_is_drawn_to_shuffle(build: Any, optimizer: Any) -> None:
    X, y = data()
    shuffled, not_shuffled = small(build), small(build)
    state = shuffled._random_state
    shuffled.fit(X, y, epochs=3, optimizer=optimizer, batch_size=None)
    not_shuffled.fit(X, y, epochs=3, optimizer=optimizer, shuffle=False, batch_size=1000)
    assert shuffled._random_state == state
    assert_same(shuffled, not_shuffled)


@every_method
def test_a_callback_stops_it(build: Any, optimizer: Any) -> None:
    X, y = data()
    net, control = small(build), small(build)
    net.fit(X, y, epochs=9, optimizer=optimizer, callbacks=[lambda epoch, logs: epoch == 2])
    control.fit(X, y, epochs=3, optimizer=optimizer)
    assert_same(net, control)


@every_method
def test_a_loss_that_is_not_finite_changes_nothing(build: Any, optimizer: Any) -> None:
    X, y = data()
    huge = np.column_stack([y, 1 - y]) * float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.fit(X, huge * 0 + 1, epochs=2, optimizer=optimizer)
    for call in (lambda: net.fit(X, huge, epochs=3, optimizer=optimizer), lambda: net.train_on_batch(X, huge, None)):
        with pytest.raises(FloatingPointError, match="loss: expected a finite number"):
            call()
    with pytest.raises(ValueError, match="X: expected finite"):
        net.fit(X * np.nan, huge * 0, optimizer=None)
    assert_same(net, control)
    for each in (net, control):
        each.fit(X, huge * 0 + 1, epochs=3, optimizer=None)
    assert_same(net, control)


@every_method
def test_a_gradient_whose_square_overflows_is_not_taken_for_a_minimum(build: Any, optimizer: Any) -> None:
    large = float(np.finfo(build.dtype).max) ** 0.5
    X, y = np.array([[large], [large / 2]]), np.array([1e4, 2e4])
    net = build([1, 1], loss="half_squared_error")
    net.parameters = np.zeros(2)
    for each in (net, twin(net)) if build.dtype == "float64" else (net,):
        with pytest.raises(FloatingPointError, match="loss: expected a finite"):
            each.fit(X, y, epochs=3, optimizer=optimizer)
    assert not net.parameters.any()


@every_method
def test_a_search_that_overflows_comes_back(build: Any, optimizer: Any) -> None:
    """A cliff: a row that a ReLU hides, but whose loss is not finite where the first step would go."""
    far = -(float(np.finfo(build.dtype).max) ** 0.7)
    X, y = [[1.0], [far]], [[0.0], [0.0]]
    net = build([1, 1, 1], loss="squared_error")
    net.set_layer(0, [[0.1]], [5.0])
    net.set_layer(1, [[1.0]], [0.0])
    oracle = twin(net)
    before = net.evaluate(X, y)["loss"]
    history = net.fit(X, y, epochs=20, optimizer=optimizer)
    assert 1 < history.epochs <= 20
    assert net.evaluate(X, y)["loss"] < 0.9 * before
    if build.dtype == "float64":
        theirs = oracle.fit(X, y, epochs=20, optimizer=optimizer)
        np.testing.assert_allclose(history.loss[:3], theirs.loss[:3], rtol=1e-9)


@every_method
def test_ctrl_c_keeps_the_last_iteration(build: Any, optimizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
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
            net.fit(X, y, epochs=100_000, optimizer=optimizer, callbacks=[interrupt])
    finally:
        signal.signal(signal.SIGINT, handler)
    kept = net.parameters
    possible: list[Any] = []
    words: dict[str, Any] = {"epochs": n_seen + 1, "optimizer": optimizer}
    control.fit(X, y, callbacks=[lambda epoch, logs: possible.append(control.parameters)], **words)
    assert any(np.array_equal(kept, P) for P in possible[-2:])
    expected = net.evaluate(X, y)["loss"]
    assert net.fit(X, y, epochs=1, optimizer=None).loss[0] == pytest.approx(expected, rel=1e-5)


@every_method
def test_another_optimiser_and_back(build: Any, optimizer: Any) -> None:
    X, y = data()
    net, control = small(build), small(build)
    for each in (net, control):
        each.fit(X, y, epochs=3, optimizer=optimizer)
        each.train_on_batch(X, y, ADAM)
        if each is control:
            each.parameters = each.parameters
        each.fit(X, y, epochs=3, optimizer=optimizer)
    assert_same(net, control)


@every_method
def test_at_what_cost(build64: Any, optimizer: Any) -> None:
    """The gradients of the reference, one by one."""
    X, y = data()
    net, oracle = small(build64), twin(small(build64))
    count, gradient = [], oracle._loss_and_gradient
    oracle._loss_and_gradient = lambda *rows: count.append(1) or gradient(*rows)
    words: dict[str, Any] = {"epochs": 6, "optimizer": replace(optimizer, gradient_tolerance=0.0)}
    assert net._n_evaluations is None
    history = net.fit(X, y, **words)
    oracle.fit(X, y, **words)
    assert net._n_evaluations == len(count) - (history.epochs - 1)  # it asks again where an iteration begins
    net.train_on_batch(X, y, ADAM)
    assert net._n_evaluations is None


@pytest.mark.parametrize("optimizer", [*METHODS, fastmlp.Rprop()], ids=lambda each: each.name)
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
