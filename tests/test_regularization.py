"""Regularisation: deterministic terms against PyTorch and scikit-learn, random ones against reference and statistics.

`REGULARIZATIONS` has each field alone and all fields together; several steps with each are tested on both engines, all
ISAs and dtypes. Central differences show that a gradient with dropout is that of the loss with the same masks.
"""

from __future__ import annotations

import copy
import itertools
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Regularization, reference
from fastmlp.reference.regularization import Draws, draws, number
from oracles import Torch, central_differences, twin
from regularization_cases import CERTAIN, DRAWN, EVERYTHING, OPTIMIZERS, REGULARIZATIONS, ROWS, check, network, rows
from trainings import classifier, data

# -- PyTorch ---------------------------------------------------------------------------------------------------------


class RegularizedTorch(Torch):
    """Training with what PyTorch has for each field."""

    def steps(self, X: Any, y: Any, optimizer: Any, r: Regularization, n_steps: int) -> Iterator[tuple[float, Any]]:
        """Each yields the loss before the step, and what is published after it."""
        torch, weights = self.torch, self.layers[::2]
        x, t = torch.tensor(np.asarray(X, dtype=np.float64)), self.target(y)
        utils, swa = torch.nn.utils, torch.optim.swa_utils
        shown = model = torch.nn.ParameterList(self.layers)
        if r.average is not None:
            shown = swa.AveragedModel(model, multi_avg_fn=swa.get_ema_multi_avg_fn(r.average))
        for _ in range(n_steps):
            stepper = self._stepper(optimizer)
            stepper.zero_grad()
            penalty = sum(r.l1 * w.abs().sum() + r.l2 / 2 * (w * w).sum() for w in weights)
            loss = self._loss(x, t) + penalty / (len(x) if r.per_row else 1)
            loss.backward()
            if r.clip_value is not None:
                utils.clip_grad_value_(self.layers, r.clip_value)
            if r.clip_norm is not None:  # clip_grad_norm_ adds 1e-6 to the norm
                norm = utils.get_total_norm([leaf.grad for leaf in self.layers])
                for leaf in self.layers:
                    leaf.grad *= min(1.0, r.clip_norm / norm)
            for w in weights:
                w.data.mul_(1 - optimizer.learning_rate * r.weight_decay)
            stepper.step()
            if r.max_norm is not None:  # renorm_ adds 1e-7 to the norm
                for w in weights:
                    w.data.mul_((r.max_norm / w.data.norm(dim=1, keepdim=True)).clamp(max=1))
            if r.average is not None:
                shown.update_parameters(model)
            yield loss.item(), np.concatenate([p.detach().numpy().ravel() for p in shown.parameters()])


@pytest.mark.parametrize(("optimizer", "n_rows"), OPTIMIZERS)
@pytest.mark.parametrize("r", CERTAIN, ids=repr)
def test_25_steps_against_pytorch(build: Any, r: Regularization, optimizer: Any, n_rows: int) -> None:
    net, plain = network(build), network(build)
    X, y = rows(n_rows)
    for expected, P in RegularizedTorch(net).steps(X, y, optimizer, r, 25):  # noqa: B007
        loss = net.train_on_batch(X, y, optimizer, regularization=r)
        build.assert_close(loss, expected, net.sizes, passes=25)
        plain.train_on_batch(X, y, optimizer)
    check(build, net, P, 25)
    with pytest.raises(AssertionError):  # the effect is larger than rounding errors
        check(build, plain, P, 25)


def test_decay_of_weights_is_adamws(build64: Any) -> None:
    """PyTorch's AdamW with the biases in a group of their own, which does not decay."""
    net = network(build64)
    X, y = rows(9)
    oracle = RegularizedTorch(net)
    groups = [{"params": oracle.layers[::2], "weight_decay": 0.3}, {"params": oracle.layers[1::2], "weight_decay": 0.0}]
    oracle._optimizer = oracle.torch.optim.AdamW(groups, lr=0.01)
    for _, expected in oracle.train(X, y, None, 25):
        net.train_on_batch(X, y, fastmlp.Adam(0.01), regularization=Regularization(weight_decay=0.3))
        np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-12)


def test_pytorchs_own_limits_but_for_their_epsilons(build64: Any) -> None:
    X, y = rows(9)
    net = network(build64)
    oracle = RegularizedTorch(net)
    torch, stepper = oracle.torch, oracle._stepper(fastmlp.SGD(0.5))
    for _ in range(10):
        net.train_on_batch(X, y, fastmlp.SGD(0.5), regularization=Regularization(clip_norm=0.2, max_norm=0.9))
        stepper.zero_grad()
        oracle._loss(torch.tensor(X), oracle.target(y)).backward()
        torch.nn.utils.clip_grad_norm_(oracle.layers, 0.2)
        stepper.step()
        for w in oracle.layers[::2]:
            w.data.renorm_(2, 0, 0.9)
        P = np.concatenate([leaf.detach().numpy().ravel() for leaf in oracle.layers])
        np.testing.assert_allclose(net.parameters, P, rtol=0, atol=1e-5)
    assert max(np.linalg.norm(w, axis=1).max() for w in net.weights) <= 0.9 * (1 + 1e-15)


def test_decay_follows_the_schedule(build64: Any) -> None:
    net, X = build64([3, 2], seed=0), np.zeros((4, 3))
    w = net.weights[0]
    rates = [0.5, 0.25, 0.125]
    optimizer = fastmlp.SGD(lambda t: rates[t])
    net.fit(X, X[:, :2], epochs=3, batch_size=4, optimizer=optimizer, regularization=Regularization(weight_decay=0.2))
    np.testing.assert_allclose(net.weights[0], w * np.prod([1 - 0.2 * rate for rate in rates]), rtol=1e-14)


@pytest.mark.parametrize("n_rows", ROWS)
def test_a_gradient_that_explodes_is_clipped(build: Any, n_rows: int) -> None:
    """Its squares are beyond float32; its direction is kept."""
    net = build([4, 3], loss="mae", seed=0)
    net.parameters = np.zeros(net.n_parameters)  # so that the loss is finite
    X, y = rows(n_rows, 4, 3)
    X = X * (1e25 if build.dtype == "float32" else 1e180)
    gradient = net.loss_and_grad(X, y)[1] / np.abs(X).max()
    net.train_on_batch(X, y, fastmlp.SGD(1.0), regularization=Regularization(clip_norm=0.5))
    expected = -0.5 * gradient / np.linalg.norm(gradient)
    np.testing.assert_allclose(net.parameters, expected, rtol=0, atol=1e-6 if build.dtype == "float32" else 1e-14)


@pytest.mark.parametrize("size", [1.0, 0.5, 1e-10])
def test_the_largest_gradients_are_clipped_along_their_direction(build: Any, size: float) -> None:
    """Up to the largest number, whose reciprocal is subnormal."""
    net = build([3, 2], loss="mae")
    net.set_layer(0, np.zeros((2, 3)), [0.0, 0.0])
    largest = float(np.finfo(build.dtype).max) * size
    x = np.array([[largest, -largest / 2, 0.0]], build.dtype)
    net.train_on_batch(x, [[1.0, -1.0]], fastmlp.SGD(1.0), regularization=Regularization(clip_norm=1.0))
    expected = np.array([[1.0, -0.5, 0.0], [-1.0, 0.5, 0.0]])
    np.testing.assert_allclose(net.weights[0], expected / np.linalg.norm(expected), rtol=1e-6)


@pytest.mark.parametrize("way", ["train_on_batch", "learn_one", "fit"])
@pytest.mark.parametrize("average", [None, 0.5])
def test_after_a_step_that_overflows_the_next_ones_are_as_if_it_had_not_been(
    build: Any, way: str, average: float | None
) -> None:
    r = Regularization(clip_norm=0.1, average=average)
    good, bad = np.zeros((1, 3), build.dtype), np.full((1, 3), np.finfo(build.dtype).max)
    net, control = (build([3, 5, 2], loss="mae", activation="identity") for _ in range(2))
    t = np.ones((1, 2), build.dtype)
    for each in (net, control):  # the loss is finite, as these weights stay 0; the gradient is not
        each.set_layer(0, np.zeros((5, 3)), np.zeros(5))
        each.set_layer(1, np.full((2, 5), 100.0), [0.0, 0.0])

    def step(each: Any, x: Any, optimizer: Any = None) -> None:
        if way == "fit":
            each.fit(x, t, epochs=1, optimizer=optimizer, regularization=r)
        elif way == "learn_one":
            each.learn_one(x[0], t[0], optimizer, regularization=r)
        else:
            each.train_on_batch(x, t, optimizer, regularization=r)

    for each in (net, control):
        step(each, good, fastmlp.SGD(0.01, momentum=0.9))
        step(each, good)
    for _ in range(2):
        with pytest.raises(FloatingPointError):
            step(net, bad)
        for each in (net, control):
            step(each, good)
    np.testing.assert_array_equal(net.parameters, control.parameters)


def test_weights_whose_square_overflows_are_limited(build: Any) -> None:
    net = build([3, 2], loss="mae", seed=0)
    x = np.full((1, 3), np.sqrt(np.finfo(build.dtype).max) * 4, build.dtype)
    net.train_on_batch(x, [[0.0, 0.0]], fastmlp.SGD(1.0), regularization=Regularization(max_norm=1.0))
    norms = np.linalg.norm(net.weights[0].astype(np.float64), axis=1)
    np.testing.assert_allclose(norms, 1.0, rtol=8 * np.finfo(build.dtype).eps)


# -- scikit-learn ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "optimizer", "given"),
    [
        ("sgd", fastmlp.SGD(0.01, momentum=0.9, nesterov=True), {"learning_rate_init": 0.01, "batch_size": 50}),
        ("lbfgs", fastmlp.LBFGS(gradient_tolerance=1e-10, loss_tolerance=0.0), {"max_fun": 10**6}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_alpha(build64: Any, solver: str, optimizer: Any, given: dict[str, Any]) -> None:
    """l2 by row is its alpha: the loss curve, the coefficients, and what L-BFGS minimises."""
    sklearn = pytest.importorskip("sklearn.neural_network")
    net = build64([7, 9, 1], activation="tanh", loss="half_squared_error", seed=1)
    start = list(zip(net.weights, net.biases, strict=True))

    class Started(sklearn.MLPRegressor):
        def _init_coef(self, n_inputs: int, n_outputs: int, *_: Any) -> tuple[Any, Any]:
            w, b = next((w, b) for w, b in start if w.shape == (n_outputs, n_inputs))
            return w.T.copy(), b.copy()

    X, y = rows(203, 7, 1)
    y = np.sin(X[:, 0]) + y[:, 0] / 8
    words = {"activation": "tanh", "alpha": 3.0, "shuffle": False, "tol": 0.0, "n_iter_no_change": 10**6}
    epochs = 40 if solver == "sgd" else 2000
    model = Started(hidden_layer_sizes=(9,), solver=solver, max_iter=epochs, **words, **given).fit(X, y)
    history = net.fit(
        X, y, epochs=epochs, batch_size=given.get("batch_size"), optimizer=optimizer, shuffle=False,
        regularization=Regularization(l2=3.0, per_row=True),
    )  # fmt: skip
    if solver == "sgd":
        np.testing.assert_allclose(history.loss, model.loss_curve_, rtol=0, atol=1e-12)
        for w, coefficients in zip(net.weights, model.coefs_, strict=True):
            np.testing.assert_allclose(w, coefficients.T, rtol=0, atol=1e-12)
    else:
        assert history.loss[-1] == pytest.approx(model.loss_, rel=1e-4)


# -- the reference: the same masks and noise -------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("r", [*DRAWN, EVERYTHING], ids=repr)
def test_steps_against_the_reference(build: Any, r: Regularization, n_rows: int) -> None:
    net, plain = network(build), network(build)
    oracle = twin(net)
    X, y = rows(n_rows)
    n_steps = 6 if n_rows < 100 else 2
    for _ in range(n_steps):
        expected = oracle.train_on_batch(X, y, fastmlp.SGD(0.1), regularization=r)
        loss = net.train_on_batch(X, y, fastmlp.SGD(0.1), regularization=r)
        build.assert_close(loss, expected, net.sizes, passes=10)
        plain.train_on_batch(X, y, fastmlp.SGD(0.1))
    if build.dtype == "float64":
        np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-10)
    check(build, net, oracle.parameters, 10)
    assert net._random_state == oracle._random.state
    with pytest.raises(AssertionError):
        check(build, plain, oracle.parameters, 10)


@pytest.mark.parametrize("r", REGULARIZATIONS, ids=repr)
def test_fit_against_the_reference(build64: Any, r: Regularization) -> None:
    """Shuffled, with a short last batch, validated on what is published."""
    net = network(build64)
    oracle = twin(net)
    X, y = rows(23)
    words: dict[str, Any] = {"epochs": 3, "batch_size": 5, "optimizer": fastmlp.Adam(0.02), "regularization": r}
    history = net.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    expected = oracle.fit(X, y, validation_data=(X[:9], y[:9]), **words)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-10)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-10)
    assert net._random_state == oracle._random.state


EVERY_OPTIMIZER = [
    fastmlp.AdamW(0.01, weight_decay=0.1),
    fastmlp.NAdam(0.01),
    fastmlp.RMSprop(0.01, momentum=0.5, centered=True),
    fastmlp.AdaGrad(0.05, learning_rate_decay=0.1),
    fastmlp.Lion(0.01),
    fastmlp.Rprop(0.01),
]


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("optimizer", EVERY_OPTIMIZER, ids=repr)
def test_every_optimizer_takes_it(build64: Any, optimizer: Any, n_rows: int) -> None:
    net = network(build64)
    oracle = twin(net)
    X, y = rows(n_rows)
    words: dict[str, Any] = {"epochs": 3, "batch_size": None, "optimizer": optimizer, "regularization": EVERYTHING}
    np.testing.assert_allclose(net.fit(X, y, **words).loss, oracle.fit(X, y, **words).loss, rtol=1e-10)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-10)


WHOLE_BATCH_METHODS = [
    fastmlp.LBFGS(gradient_tolerance=1e-7, loss_tolerance=0.0),
]


@pytest.mark.parametrize("optimizer", WHOLE_BATCH_METHODS, ids=repr)
@pytest.mark.parametrize("r", [Regularization(l2=0.1), Regularization(l2=5.0, per_row=True)], ids=repr)
def test_a_whole_batch_method_minimises_the_penalised_loss(build64: Any, optimizer: Any, r: Regularization) -> None:
    """Iteration by iteration as the reference, and to where the gradient of both together is 0."""
    net = network(build64)
    oracle = twin(net)
    X, y = rows(30)
    words: dict[str, Any] = {"optimizer": optimizer, "regularization": r}
    weights = np.arange(1, 31) / 8
    np.testing.assert_allclose(
        net.fit(X, y, epochs=6, sample_weight=weights, **words).loss,
        oracle.fit(X, y, epochs=6, sample_weight=weights, **words).loss,
        rtol=1e-10,
    )
    assert net.fit(X, y, epochs=2000, sample_weight=weights, **words).stopped == "converged"
    l2 = r.l2 / (weights.sum() if r.per_row else 1)
    _, gradient = net.loss_and_grad(X, y, sample_weight=weights)
    of_penalty = [part for w in net.weights for part in (l2 * w.ravel(), np.zeros(len(w)))]
    np.testing.assert_allclose(gradient + np.concatenate(of_penalty), 0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gaussian", "gelu"])
def test_weighted_rows_are_dropped_alike(build64: Any, activation: str) -> None:
    net = network(build64, activation=activation)
    oracle = twin(net)
    X, y = rows(12)
    words: dict[str, Any] = {
        "sample_weight": [0.0, 1.0, 2.0, 0.5] * 3,
        "regularization": Regularization(dropout=0.5, l2=0.1, per_row=True),
    }
    for _ in range(4):
        loss = net.train_on_batch(X, y, fastmlp.SGD(0.1), **words)
        assert loss == pytest.approx(oracle.train_on_batch(X, y, fastmlp.SGD(0.1), **words), rel=1e-12)
    np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sigmoid"])
@pytest.mark.parametrize("r", [*DRAWN, EVERYTHING], ids=repr)
def test_the_step_is_along_the_gradient_of_what_is_reported(build64: Any, r: Regularization, activation: str) -> None:
    """The first step of equal networks has equal masks, so the loss as a function of P can be asked at any P."""
    net = network(build64, activation=activation)
    r = Regularization(l1=r.l1, l2=r.l2, dropout=r.dropout, input_dropout=r.input_dropout, input_noise=r.input_noise)
    X, y = rows(7)
    P = net.parameters

    def loss(at: Any) -> float:
        other = network(build64, activation=activation)
        other.parameters = at
        return other.train_on_batch(X, y, fastmlp.SGD(1.0), regularization=r)

    net.train_on_batch(X, y, fastmlp.SGD(1.0), regularization=r)
    some = np.random.default_rng(0).permutation(len(P))[:40]  # of a few hundred parameters

    def along(values: Any) -> float:
        at = P.copy()
        at[some] = values
        return loss(at)

    np.testing.assert_allclose((P - net.parameters)[some], central_differences(along, P[some]), rtol=0, atol=1e-9)


# -- what is drawn ---------------------------------------------------------------------------------------------------


def test_masks_have_their_rate_and_know_nothing_of_one_another() -> None:
    """Means, variances and correlations of masks of 200 rows of 500 units, within 4.5 standard errors."""
    n_rows, n = 200, 500
    for rate in (0.1, 0.5, 0.8):
        r = reference.Choice(input_noise=0.0, input_dropout=rate, dropout=(rate, rate))
        masks = {}
        for step, key in itertools.product(range(2), (1, 2)):
            drawn = Draws(r, key, step)
            layers = zip(*(drawn.masks(row, (n, n)) for row in range(n_rows)), strict=True)
            masks[key, step, "inputs"] = np.array([drawn.inputs(row, [1.0] * n) for row in range(n_rows)])
            masks.update({(key, step, layer): np.array(mask) for layer, mask in enumerate(layers)})
        kept = {where: (mask > 0) - (1 - rate) for where, mask in masks.items()}
        error = np.sqrt(rate * (1 - rate) / (n_rows * n))
        for where, mask in masks.items():
            assert set(np.unique(mask)) == {0.0, 1 / (1 - rate)}
            assert abs(kept[where].mean()) < 4.5 * error, where
            for axis, count in ((0, n_rows), (1, n)):  # a unit over the rows, a row over its units
                spread = kept[where].mean(axis=axis).var() / (rate * (1 - rate) / count)
                assert abs(spread - 1) < 4.5 * np.sqrt(2 / (n_rows * n / count)), (where, axis)
            for shift, axis in itertools.product((1, 2, 8), (0, 1)):
                product = kept[where] * np.roll(kept[where], shift, axis)
                assert abs(product.mean()) < 4.5 * rate * (1 - rate) / np.sqrt(n_rows * n), (where, shift, axis)
        for one, other in itertools.combinations(kept, 2):
            product = kept[one] * kept[other]
            assert abs(product.mean()) < 4.5 * rate * (1 - rate) / np.sqrt(n_rows * n), (one, other)


def test_noise_is_normal_and_independent() -> None:
    scipy_stats = pytest.importorskip("scipy.stats")
    r = reference.Choice(input_noise=2.0, input_dropout=0.0, dropout=())
    blocks = [
        np.array([Draws(r, key, step).inputs(row, [1.0] * 300) for row in range(200)]) - 1
        for key, step in ((5, 0), (5, 1), (6, 0))
    ]
    for noise in blocks:
        n = noise.size
        assert abs(noise.mean()) < 4.5 * 2 / np.sqrt(n)
        assert abs(noise.var() / 4 - 1) < 4.5 * np.sqrt(2 / n)
        assert scipy_stats.kstest(noise.ravel() / 2, "norm").pvalue > 1e-4
        for shift, axis in itertools.product((1, 2, 8), (0, 1)):
            assert abs((noise * np.roll(noise, shift, axis)).mean() / 4) < 4.5 / np.sqrt(n)
    for one, other in itertools.combinations(blocks, 2):
        assert abs((one * other).mean() / 4) < 4.5 / np.sqrt(one.size)


def test_numbers_of_a_row_do_not_depend_on_its_batch(build64: Any) -> None:
    """Each row of a batch of 170, which is processed in tiles and pieces, has the noise of the reference."""
    n_rows, n = 170, 70  # more units than are drawn together
    net = build64([n, 1], loss="half_squared_error", seed=0)
    key = number(net._random_state, 0) >> 11
    net.parameters = np.zeros(n + 1)
    X = np.random.default_rng(0).normal(size=(n_rows, n))
    t = np.random.default_rng(1).normal(size=n_rows)
    r = Regularization(input_noise=0.5, input_dropout=0.25)
    net.train_on_batch(X, t, fastmlp.SGD(1.0), regularization=r)  # w = sum_k t_k x_k / B
    drawn = Draws(reference.Choice(input_noise=0.5, input_dropout=0.25, dropout=()), key, 0)
    noisy = np.array([drawn.inputs(k, x) for k, x in enumerate(X.tolist())])
    np.testing.assert_allclose(net.weights[0][0], t @ noisy / n_rows, rtol=0, atol=1e-12)


def test_the_generator_is_as_documented() -> None:
    """So that a change of it is not overlooked: a change of a trained network's bits."""
    assert draws(number(number(123, 0), 3), 0, 4) == draws(number(number(123, 0), 3), 0, 9)[:4]
    assert draws(1, 2, 4) == [3796082, 6343243, 13621822, 2629989]


# -- the object ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("r", [Regularization(), *REGULARIZATIONS], ids=repr)
def test_the_object(r: Regularization) -> None:
    again = eval(repr(r), {"Regularization": Regularization})
    for other in (again, copy.deepcopy(r), pickle.loads(pickle.dumps(r))):
        assert other == r
        assert (hash(other), repr(other)) == (hash(r), repr(r))
    with pytest.raises(AttributeError):
        r.l2 = 1.0  # type: ignore[misc]


def test_the_repr_has_what_differs_from_the_defaults() -> None:
    assert repr(Regularization(l2=0.0, dropout=[0.5, 0.25], max_norm=3)) == (
        "Regularization(dropout=(0.5, 0.25), max_norm=3.0)"
    )
    assert Regularization(dropout=0.5) != Regularization(dropout=0.25)


BAD = [
    ({"l1": -0.1}, ValueError, "l1: expected .*at least 0"),
    ({"l2": "x"}, TypeError, "l2: expected a real number"),
    ({"l2": float("nan")}, ValueError, "l2: expected .*finite"),
    ({"weight_decay": -1}, ValueError, "weight_decay: expected .*at least 0"),
    ({"dropout": 1.0}, ValueError, "dropout: expected .*below 1"),
    ({"dropout": [0.5, -0.1]}, ValueError, r"dropout\[1\]: expected .*at least 0"),
    ({"dropout": "half"}, TypeError, "dropout: expected a real number"),
    ({"input_dropout": 1}, ValueError, "input_dropout: expected .*below 1"),
    ({"input_noise": -1}, ValueError, "input_noise: expected .*at least 0"),
    ({"max_norm": 0}, ValueError, "max_norm: expected .*above 0"),
    ({"clip_norm": -1}, ValueError, "clip_norm: expected .*above 0"),
    ({"clip_value": float("inf")}, ValueError, "clip_value: expected .*finite"),
    ({"average": 1.0}, ValueError, "average: expected .*below 1"),
    ({"per_row": 1}, TypeError, "per_row: expected True or False"),
]


@pytest.mark.parametrize(("fields", "error", "words"), BAD)
def test_bad_fields(fields: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{words}"):
        Regularization(**fields)
    every = {field: getattr(Regularization(), field) for field in Regularization.__dataclass_fields__}
    oracle = reference.Network([3, 2, 1], seed=0)
    with pytest.raises(error, match=words.split(":")[0].split(r"\[")[0]):
        oracle.train_on_batch([[0.0] * 3], [[0.0]], regularization=reference.Choice(**{**every, **fields}))


METHODS = {
    "fit": lambda net, X, y, **words: net.fit(X, y, **words),
    "partial_fit": lambda net, X, y, **words: net.partial_fit(X, y, **words),
    "train_on_batch": lambda net, X, y, **words: net.train_on_batch(X, y, **words),
    "learn_one": lambda net, X, y, **words: net.learn_one(X[0], int(y[0]), **words),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "reference"])
def test_what_does_not_go_together(method: str, dtype: str) -> None:
    make = reference.Network if dtype == "reference" else fastmlp.Network
    net = make([3, 4, 2], loss="cross_entropy", seed=0)
    X, y = data()
    before = net.parameters
    cases: list[tuple[Any, Any, type[Exception], str]] = [
        (0.1, None, TypeError, "regularization: expected a .*Regularization"),
        (Regularization(dropout=(0.5, 0.5)), None, ValueError, "dropout: expected one rate for each of the 1 hidden"),
        *(
            (Regularization(**{name: value}), method, ValueError, f"{name}: expected l2 and per_row .*{method.name!r}")
            for method in WHOLE_BATCH_METHODS
            for name, value in {
                "l1": 0.1, "weight_decay": 0.1, "dropout": 0.1, "input_dropout": 0.1, "input_noise": 0.1,
                "max_norm": 1.0, "clip_norm": 1.0, "clip_value": 1.0, "average": 0.5,
            }.items()
        ),
    ]  # fmt: skip
    for r, optimizer, error, words in cases:
        with pytest.raises(error, match=f"^{words}"):
            METHODS[method](net, X, y, optimizer=optimizer, regularization=r)
    np.testing.assert_array_equal(net.parameters, before)


def test_float32_refuses_what_it_cannot_hold() -> None:
    X, y = data()
    with pytest.raises(ValueError, match=r"^l2: expected a number that float32 can hold, got 1e-40"):
        classifier(fastmlp.Network).fit(X, y, regularization=Regularization(l2=1e-40))


# -- norms of any size -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exponent", [-0.66, -0.5, -0.2, 0.0, 0.2, 0.5, 0.66])
@pytest.mark.parametrize("share", [0.1, 3.0])
@pytest.mark.parametrize("n_outputs", [1, 3, 40])
def test_max_norm_of_weights_whose_squares_leave_the_range(
    build: Any, n_outputs: int, share: float, exponent: float
) -> None:
    """Weights of 1e-25 or 1e25 are limited as those of 1 are; no other weight changes."""
    size = float(np.finfo(build.dtype).max) ** exponent
    net = build([5, n_outputs], loss="half_squared_error")
    w = size * np.random.default_rng(0).uniform(0.5, 1.0, (n_outputs, 5)).astype(build.dtype)
    net.set_layer(0, w, np.zeros(n_outputs))
    limit = share * float(np.linalg.norm(w[0].astype(np.longdouble)))
    r = fastmlp.Regularization(max_norm=limit)
    net.train_on_batch(np.zeros((2, 5)), np.zeros((2, n_outputs)), fastmlp.SGD(0.1), regularization=r)
    wide = w.astype(np.longdouble)
    norms = np.sqrt((wide**2).sum(axis=1, keepdims=True))
    expected = wide * np.minimum(1.0, limit / norms)
    np.testing.assert_allclose(net.weights[0] / expected, 1.0, rtol=16 * np.finfo(build.dtype).eps)


@pytest.mark.parametrize(("size", "limit"), [(-0.66, -0.67), (-0.66, -0.6), (0.6, 0.5), (0.6, -0.6), (0.3, -0.9)])
def test_clip_norm_of_gradients_whose_squares_leave_the_range(build: Any, size: float, limit: float) -> None:
    most = float(np.finfo(build.dtype).max)
    s, clip = most**size, most**limit
    net = build([4, 3], loss="half_squared_error")
    net.parameters = np.zeros(net.n_parameters)
    x, t = np.array([[1.0, 0.5, 0.25, 2.0]]), np.array([[1.0, -0.5, 3.0]])
    x, t = (x * s, t) if size > 0 else (x, t * s)
    x, t = x.astype(build.dtype), t.astype(build.dtype)
    g = -np.concatenate([(t.T.astype(np.longdouble) @ x.astype(np.longdouble)).ravel(), t[0]])
    expected = -g * min(1.0, clip / np.sqrt((g * g).sum()))
    r = fastmlp.Regularization(clip_norm=clip)
    net.train_on_batch(x, t, fastmlp.SGD(1.0), regularization=r)
    least = np.finfo(build.dtype).tiny  # smaller results are flushed to 0
    tolerance = 16 * float(np.finfo(build.dtype).eps)
    np.testing.assert_allclose(net.parameters.astype(np.longdouble), expected, rtol=tolerance, atol=least)


@pytest.mark.parametrize("sizes", [[2, 1], [2, 3, 1], [2, 3, 4, 2]])
@pytest.mark.parametrize(
    "words",
    [
        {"dropout": 0.25},
        {"input_dropout": 0.25},
        {"input_noise": 0.1},
        {"dropout": 0.5, "l2": 0.01},
        {"dropout": 0.5, "input_noise": 0.1, "average": 0.5},
    ],
    ids=str,
)
def test_a_key_is_drawn_where_something_is_drawn(build64: Any, sizes: list[int], words: dict[str, float]) -> None:
    """Without hidden layers dropout draws nothing, so the rows come in the order that they have without it."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(23, 2)), rng.normal(size=(23, sizes[-1]))
    net, oracle = build64(sizes, activation="tanh", seed=5), reference.Network(sizes, activation="tanh", seed=5)
    r = fastmlp.Regularization(**words)
    for each, data_ in ((net, (X, y)), (oracle, (X.tolist(), y.tolist()))):
        each.fit(*data_, epochs=3, batch_size=4, optimizer=fastmlp.SGD(0.1), regularization=r)
    build64.assert_close(net.parameters, oracle.parameters, sizes, passes=3 * 6 * 3)
