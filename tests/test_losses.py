"""The losses: values and gradients against PyTorch, the reference, scikit-learn, mpmath and central differences.

`loss_cases` has the losses and their oracles. Weights of rows are in test_weights.py, a user's own loss in
test_own_loss.py.
"""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import fastmlp
from fastmlp.losses import LOSSES
from loss_cases import CASES, LossCase, draw_targets
from oracles import Torch, central_differences, twin

ULP = {"float32": 2.0**-23, "float64": 2.0**-52}


def network(build: Any, case: LossCase, n_targets: int, seed: int = 0) -> Any:
    sizes = [4, 7, case.n_outputs(n_targets)]
    net = build(sizes, activation="tanh", loss=case.loss, output_activation=case.output, init="normal", seed=seed)
    net.parameters = net.parameters.astype(np.float32)
    return net


def data(case: LossCase, n_rows: int, n_targets: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, 4)).astype(np.float32).astype(np.float64)
    return X, draw_targets(rng, case.kind, n_rows, n_targets)


def by_torch(net: Any, case: LossCase, X: Any, t: Any) -> tuple[float, Any, Any]:
    """Return PyTorch's mean loss, and its gradients with respect to P and X."""
    model = Torch(net)
    torch = model.torch
    x = leaf = model._leaf(X)
    for w, b, f in zip(model.layers[::2], model.layers[1::2], model.functions, strict=True):
        z = torch.nn.functional.linear(x, w, b)
        x = torch.softmax(z, dim=1) if isinstance(f, fastmlp.Softmax) else model._apply(f, z)
    loss = case.value(torch, x, z, torch.tensor(t)).mean()
    loss.backward()
    gradient = np.concatenate([layer.grad.numpy().ravel() for layer in model.layers])
    return loss.item(), gradient, leaf.grad.numpy()


def n_targets_of(case: LossCase) -> list[int]:
    return [2, 17] if case.kind == "class" and isinstance(case.output, fastmlp.Softmax) else [1, 3, 17]


@pytest.mark.parametrize("n_targets", [1, 3, 17])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_pytorch(build: Any, case: LossCase, n_targets: int) -> None:
    n_targets = case.least_targets(n_targets)
    net = network(build, case, n_targets)
    X, t = data(case, 23, n_targets)
    loss, gradient, dx = by_torch(net, case, X, t)
    actual_loss, actual = net.loss_and_grad(X, t)
    build.assert_close(actual_loss, loss, net.sizes)
    if np.abs(gradient).max() > 1e-12:  # a softmax of one output has none
        build.assert_close(actual, gradient, net.sizes, passes=3)
        build.assert_close(net.input_gradient(X, t), dx, net.sizes, passes=3)
    build.assert_close(net.evaluate(X, t)["loss"], loss, net.sizes)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_reference(build: Any, case: LossCase) -> None:
    net = network(build, case, 2, seed=1)
    X, t = data(case, 9, 2, seed=1)
    other = twin(net)
    loss, gradient = other.loss_and_grad(X.tolist(), t.tolist())
    actual_loss, actual = net.loss_and_grad(X, t)
    build.assert_close(actual_loss, loss, net.sizes)
    build.assert_close(actual, gradient, net.sizes, passes=3)
    build.assert_close(net.input_gradient(X, t), other.input_gradient(X.tolist(), t.tolist()), net.sizes, passes=3)
    assert net.evaluate(X, t).keys() == other.evaluate(X.tolist(), t.tolist()).keys()
    assert net.classify(X).tolist() == other.classify(X.tolist())


@pytest.mark.parametrize("n_targets", [1, 3])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_central_differences(build64: Any, case: LossCase, n_targets: int) -> None:
    n_targets = case.least_targets(n_targets)
    net = network(build64, case, n_targets, seed=2)
    X, t = data(case, 5, n_targets, seed=2)
    P = net.parameters
    value, gradient = net.loss_and_grad(X, t)
    dx = net.input_gradient(X, t)
    assert value == pytest.approx(net.evaluate(X, t)["loss"], rel=1e-14)

    def loss_at(p: Any) -> float:
        net.parameters = p
        return net.evaluate(X, t)["loss"]

    numeric = central_differences(loss_at, P)
    net.parameters = P
    np.testing.assert_allclose(gradient, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max() + 1e-12)
    numeric = central_differences(lambda x: net.evaluate(x, t)["loss"], X)
    np.testing.assert_allclose(dx, numeric, rtol=0, atol=1e-7 * np.abs(numeric).max() + 1e-12)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_training_lowers_the_loss_as_the_reference_does(build64: Any, case: LossCase) -> None:
    net = network(build64, case, 2, seed=3)
    X, t = data(case, 13, 2, seed=3)
    other, words = twin(net), {"epochs": 4, "batch_size": 5, "optimizer": fastmlp.Adam(0.01)}
    history = net.fit(X, t, **words)
    expected = other.fit(X.tolist(), t.tolist(), **words)
    assert history["loss"] == pytest.approx(expected["loss"], rel=1e-9)
    assert history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(net.parameters, other.parameters, rtol=0, atol=1e-9)


# -- digits ----------------------------------------------------------------------------------------------------------

mpmath.mp.dps = 50


def softplus(z: Any) -> Any:
    return mpmath.log1p(mpmath.exp(z))


def y_of(z: Any) -> Any:
    return 1 / (1 + mpmath.exp(-z))


def other_of(z: Any) -> Any:
    return 1 / (1 + mpmath.exp(z))


# The loss of one output z for a target, its derivative, and the bound of the value's error in ULP of the sum of the
# sizes of its terms (of their exponents, where a rounded product is in one).
EXACT: dict[str, tuple[Any, float, Any, Any, Any]] = {
    "log_cosh": (fastmlp.LogCosh(), 0.0, lambda z: mpmath.log(mpmath.cosh(z)), mpmath.tanh, lambda z: 4),
    "poisson": (fastmlp.Poisson(), 0.0, mpmath.exp, mpmath.exp, lambda z: 3),
    "gamma": (
        fastmlp.Gamma(),
        0.5,
        lambda z: z + mpmath.exp(-z) / 2,
        lambda z: 1 - mpmath.exp(-z) / 2,
        lambda z: 3 * (1 + (z < 0) * 2 * abs(z)),
    ),
    "binary_cross_entropy of 1": (
        fastmlp.BinaryCrossEntropy(),
        1.0,
        lambda z: softplus(-z),
        lambda z: -other_of(z),
        lambda z: 4,
    ),
    "binary_cross_entropy of 0": (fastmlp.BinaryCrossEntropy(), 0.0, softplus, y_of, lambda z: 4),
    "binary_focal of 1": (
        fastmlp.BinaryFocal(2.0),
        1.0,
        lambda z: other_of(z) ** 2 * softplus(-z),
        lambda z: -(other_of(z) ** 2) * (2 * y_of(z) * softplus(-z) + other_of(z)),
        lambda z: 8 + 4 * abs(z) * (z > 0),
    ),
    "binary_focal of 0": (
        fastmlp.BinaryFocal(2.0),
        0.0,
        lambda z: y_of(z) ** 2 * softplus(z),
        lambda z: y_of(z) ** 2 * (2 * other_of(z) * softplus(z) + y_of(z)),
        lambda z: 8 + 4 * abs(z) * (z < 0),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_digits_against_mpmath(build: Any, name: str) -> None:
    """Large values and values near 0 are relatively accurate; gradients that are differences are so absolutely."""
    loss, t, value, derivative, bound = EXACT[name]
    net = build([1, 1], loss=loss)
    net.set_layer(0, [[1.0]], [0.0])
    for z in [*np.linspace(-30, 30, 61), *(2.0 ** np.arange(-20, 5)), *(-(2.0 ** np.arange(-20, 5)))]:
        z = float(np.float32(z))
        exact, slope = float(value(mpmath.mpf(z))), float(derivative(mpmath.mpf(z)))
        actual, gradient = net.loss_and_grad([z], [t])
        size = max(abs(exact), abs(z) if name == "gamma" else 0)
        allowed = max(bound(z) * ULP[build.dtype] * size, float(np.finfo(build.dtype).tiny))
        assert abs(actual - exact) <= allowed, f"{z}: {actual} for {exact}"
        allowed = max(bound(z), 7) * ULP[build.dtype] * max(abs(slope), name != "poisson", exact * (name == "gamma"))
        assert abs(gradient[1] - slope) <= allowed, f"{z}: {gradient[1]} for {slope}"


@pytest.mark.parametrize("loss", ["log_cosh", "huber", "mae", "binary_focal", "focal", "hinge", "cross_entropy"])
def test_far_out_nothing_overflows(build: Any, loss: str) -> None:
    net = build([1, 2], loss=loss)
    net.set_layer(0, [[1.0], [-1.0]], [0.0, 0.0])
    for far in (100.0, 1000.0, 1e5):
        for t in ([1.0, 0.0], [0.0, 1.0]):
            value, gradient = net.loss_and_grad([far], t)
            assert np.isfinite(value)
            assert np.isfinite(gradient).all()
            assert value >= 0


@pytest.mark.parametrize(
    ("loss", "n_outputs"), [("mae", 1), (fastmlp.Quantile(0.2), 1), (fastmlp.Quantile([0.2, 0.9]), 2)], ids=repr
)
def test_a_target_that_is_met_has_no_slope(build: Any, loss: Any, n_outputs: int) -> None:
    """If an output equals its target, and the slopes on both sides differ, the derivative is 0."""
    net = build([1, n_outputs], loss=loss)
    net.set_layer(0, [[1.5]] * n_outputs, [0.0] * n_outputs)
    for each in (net, twin(net)):
        value, gradient = each.loss_and_grad([2.0], [3.0])
        assert value == 0
        assert list(gradient) == [0.0] * (2 * n_outputs)


def test_exponentials_end_in_infinity_and_zero(build: Any) -> None:
    net = build([1, 1], loss="poisson")
    net.set_layer(0, [[1.0]], [0.0])
    largest = float(np.log(np.finfo(build.dtype).max)) * (1 - 1e-6)
    assert net.loss_and_grad([largest], [0.0])[0] == pytest.approx(np.exp(np.array(largest, build.dtype)), rel=1e-4)
    assert net.loss_and_grad([2 * largest], [0.0])[0] == np.inf
    assert net.loss_and_grad([-2 * largest], [0.0])[0] == 0


def test_an_exact_mean_of_a_tiny_variance(build: Any) -> None:
    """The loss is finite if exp(-s) overflows but is multiplied by an error of 0."""
    net, s = build([1, 2], loss="gaussian_nll"), -100.0 if build.dtype == "float32" else -800.0
    net.set_layer(0, [[1.0], [s]], [0.0, 0.0])
    for each in (net, twin(net)):
        value, gradient = each.loss_and_grad([1.0], [1.0])
        assert value == s / 2
        assert list(gradient) == [0.0, 0.5, 0.0, 0.5]


def test_a_product_with_an_exponential_that_overflows(build: Any) -> None:
    z, t = (-100.0, 1e-30) if build.dtype == "float32" else (-800.0, 1e-300)
    net = build([1, 1], loss="gamma")
    net.set_layer(0, [[1.0]], [0.0])
    for each in (net, twin(net)):
        value, gradient = each.loss_and_grad([z], [t])
        exact = float(mpmath.mpf(t) * mpmath.exp(mpmath.mpf(-z)))
        assert value == pytest.approx(z + exact, rel=1e-5)
        assert gradient[1] == pytest.approx(1 - exact, rel=1e-5)


def test_an_infinite_loss_has_no_gradient(build: Any) -> None:
    net = build([1, 1], loss="poisson")
    net.set_layer(0, [[1.0]], [0.0])
    value, gradient = net.loss_and_grad([[1.0], [1e4]], [1.0, 1.0])
    assert value == np.inf
    assert np.isnan(gradient).all()
    assert np.isnan(net.input_gradient([[1.0], [1e4]], [1.0, 1.0])).all()


@pytest.mark.parametrize("loss", [case.loss for case in CASES], ids=repr)
def test_nan_passes(build: Any, loss: Any) -> None:
    net = build([1, 2 * loss.n_heads], loss=loss)
    t = [[0.5, 0.5]] if loss.targets != "one class" else [[1.0, 0.0]]
    assert np.isnan(net.evaluate([[np.nan]], t)["loss"])


# -- against scikit-learn ---------------------------------------------------------------------------------------------


def test_against_scikit_learn(build64: Any) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    from sklearn._loss import HalfGammaLoss, HalfPoissonLoss

    rng = np.random.default_rng(5)
    X, w = rng.normal(size=(40, 3)), rng.uniform(size=40)
    t, positive, classes = rng.normal(size=40), rng.gamma(2.0, size=40), rng.integers(2, size=40)

    def loss_of(y: Any, **words: Any) -> tuple[float, Any]:
        net = build64([3, 1], init="normal", seed=5, **words)
        return net.evaluate(X, y, sample_weight=w)["loss"], net.predict(X)[:, 0]

    value, y = loss_of(t, loss=fastmlp.Quantile(0.2))
    assert value == pytest.approx(metrics.mean_pinball_loss(t, y, alpha=0.2, sample_weight=w), rel=1e-12)
    value, y = loss_of(t, loss="mae")
    assert value == pytest.approx(metrics.mean_absolute_error(t, y, sample_weight=w), rel=1e-12)
    value, y = loss_of(2 * classes - 1, loss="hinge")
    assert value == pytest.approx(metrics.hinge_loss(2 * classes - 1, y, sample_weight=w), rel=1e-12)
    assert loss_of(classes, loss="hinge")[0] == pytest.approx(value, rel=1e-15)
    for name, theirs, target in (
        ("poisson", HalfPoissonLoss(), rng.poisson(2.0, size=40) * 1.0),
        ("gamma", HalfGammaLoss(), positive),
    ):
        value, y = loss_of(target, loss=name)
        assert value == pytest.approx(np.average(theirs.loss(target, y), weights=w), rel=1e-12)
    value, y = loss_of(positive, loss="gamma")
    half_deviance = value + np.average(-np.log(positive) - 1, weights=w)
    assert half_deviance == pytest.approx(
        metrics.mean_gamma_deviance(positive, np.exp(y), sample_weight=w) / 2, rel=1e-12
    )


def test_gaussian_nll_is_that_of_scipy(build64: Any) -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(6)
    net = build64([3, 6], loss="gaussian_nll", init="normal", seed=6)
    X, t = rng.normal(size=(11, 3)), rng.normal(size=(11, 3))
    mean, log_variance = np.split(net.predict(X), 2, axis=1)
    expected = -norm.logpdf(t, mean, np.exp(log_variance / 2)).mean() - np.log(2 * np.pi) / 2
    assert net.evaluate(X, t)["loss"] == pytest.approx(expected, rel=1e-13)
    np.testing.assert_array_equal(net.loss.estimate(net.predict(X)), mean)


# -- targets, heads, classes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forms_of_targets(build: Any, case: LossCase) -> None:
    """(B,) equals (B, 1) for one target; labels equal one-hot rows; a single row equals a batch of one."""
    X, t = data(case, 6, 1)
    if case.least_targets(1) == 1:
        net = network(build, case, 1)
        assert net.loss_and_grad(X, t[:, 0])[0] == net.loss_and_grad(X, t)[0]
        assert net.loss_and_grad(X[0], t[0, 0])[0] == net.loss_and_grad(X[:1], t[:1])[0]
    if case.kind == "positive":
        with pytest.raises(ValueError, match=r"^y: expected targets above 0 for gamma, got class labels"):
            network(build, case, 3).evaluate(X, [0, 1, 2, 2, 1, 0])
        return
    net, labels = network(build, case, 3), np.array([0, 1, 2, 2, 1, 0])
    value, gradient = net.loss_and_grad(X, labels)
    assert value == net.loss_and_grad(X, np.eye(3)[labels])[0]
    np.testing.assert_array_equal(gradient, net.loss_and_grad(X, np.eye(3)[labels])[1])


def test_heads_stand_together(build: Any) -> None:
    """The n_targets outputs of a quantile level are contiguous, which the fitted values show."""
    rng = np.random.default_rng(8)
    t = np.stack([rng.uniform(0, 1, 4000), rng.uniform(10, 30, 4000)], axis=1)
    X = np.zeros((4000, 1))
    net = build([1, 4], loss=fastmlp.Quantile([0.1, 0.9]), seed=0)
    net.fit(X, t, epochs=400, batch_size=None, optimizer=fastmlp.Adam(0.3))
    net.fit(X, t, epochs=100, batch_size=None, optimizer=fastmlp.Adam(0.01))
    np.testing.assert_allclose(net.predict([0.0]), [0.1, 12, 0.9, 28], atol=0.5)
    net = build([1, 4], loss="gaussian_nll", seed=0)
    net.fit(X, t / [1, 10], epochs=500, batch_size=None, optimizer=fastmlp.Adam(0.05))
    mean, variance = np.split(net.predict([0.0]), 2)
    np.testing.assert_allclose([*mean, *np.exp(variance)], [0.5, 2, 1 / 12, 4 / 12], rtol=0.1)


@pytest.mark.parametrize(
    ("n_outputs", "loss", "says"),
    [(3, fastmlp.GaussianNLL(), "multiple of 2"), (4, fastmlp.Quantile([0.1, 0.5, 0.9]), "multiple of 3")],
    ids=str,
)
def test_outputs_that_the_heads_do_not_divide(n_outputs: int, loss: Any, says: str) -> None:
    for module in (fastmlp, fastmlp.reference):
        with pytest.raises(ValueError, match=rf"^sizes: expected a {says} outputs.*got {n_outputs}"):
            module.Network([2, n_outputs], loss=loss)


@pytest.mark.parametrize(
    ("loss", "output", "says"),
    [
        ("poisson", "sigmoid", "'identity', the partner of loss 'poisson'"),
        ("gamma", "relu", "'identity'"),
        ("gaussian_nll", "tanh", "'identity'"),
        ("focal", "sigmoid", "'softmax'"),
        ("binary_focal", "softmax", "'sigmoid'"),
        ("huber", "softmax", "'cross_entropy' or 'focal'"),
        ("hinge", "softmax", "'cross_entropy' or 'focal'"),
    ],
)
def test_what_does_not_belong_together(loss: str, output: str, says: str) -> None:
    for module in (fastmlp, fastmlp.reference):
        with pytest.raises(ValueError, match=rf"^output_activation: .*{says}"):
            module.Network([2, 2], loss=loss, output_activation=output)


@pytest.mark.parametrize(
    ("loss", "y", "says"),
    [
        ("poisson", [[1.0, 0.0], [2.0, -1.0]], r"at least 0.*-1\.0"),
        ("gamma", [[1.0, 0.5], [0.0, 1.0]], r"above 0.*0\.0"),
        ("binary_focal", [[1.0, 0.5], [0.0, 1.5]], r"in \[0, 1\].*1\.5"),
        ("focal", [[1.0, 0.5], [0.0, 1.5]], r"in \[0, 1\].*1\.5"),
        ("hinge", [[1.0, 0.0], [0.5, 1.0]], r"one 1.*0\.5"),
        ("hinge", [[1.0, 0.0], [1.0, 1.0]], "one 1"),
        ("hinge", [[1.0, 0.0], [0.0, 0.0]], "one 1"),
    ],
)
def test_targets_that_a_loss_does_not_take(loss: str, y: Any, says: str) -> None:
    for module in (fastmlp, fastmlp.reference):
        with pytest.raises(ValueError, match=f"^y: expected targets .*{says}.*row"):
            module.Network([1, 2], loss=loss).fit([[0.0], [1.0]], y)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: fastmlp.Huber(0.0), ValueError, "delta: expected .* above 0, got 0.0"),
        (lambda: fastmlp.Huber("1"), TypeError, "delta: expected a real number"),
        (lambda: fastmlp.Hinge(-1), ValueError, "margin: expected .* above 0"),
        (lambda: fastmlp.Focal(-0.5), ValueError, "gamma: expected .* at least 0"),
        (lambda: fastmlp.BinaryFocal(np.inf), ValueError, "gamma: expected .*finite"),
        (lambda: fastmlp.CrossEntropy(1.0), ValueError, "label_smoothing: expected .* below 1, got 1.0"),
        (lambda: fastmlp.BinaryCrossEntropy(-0.1), ValueError, "label_smoothing: expected .* at least 0"),
        (lambda: fastmlp.Quantile([]), ValueError, "levels: expected at least one"),
        (lambda: fastmlp.Quantile([0.5, 0.5]), ValueError, "levels: expected .* ascending order"),
        (lambda: fastmlp.Quantile([0.5, 1.0]), ValueError, r"levels\[1\]: expected .* below 1, got 1.0"),
        (lambda: fastmlp.Quantile("0.5"), TypeError, r"levels\[0\]: expected a real number"),
        (lambda: fastmlp.Quantile([0.1, None]), TypeError, r"levels\[1\]: expected a real number"),
        (lambda: fastmlp.CustomLoss("mse"), TypeError, "function: expected a function"),
    ],
)
def test_hyper_parameters_that_are_refused(make: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=f"^{says}"):
        make()


def test_hinge_tells_classes_apart_by_the_sign(build: Any) -> None:
    net = build([1, 1], loss="hinge")
    net.set_layer(0, [[1.0]], [0.0])
    X = [[-0.25], [0.0], [0.25], [0.75]]
    assert net.classify(X).tolist() == [0, 0, 1, 1]
    assert net.evaluate(X, [-1, 1, 1, 1])["accuracy"] == 0.75
    assert net.evaluate(X, [0, 1, 1, 1])["accuracy"] == 0.75


# -- kept -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=str)
def test_saved_pickled_and_copied(build: Any, case: LossCase, tmp_path: Path) -> None:
    net = network(build, case, 3)
    X, t = data(case, 5, 3)
    net.save(tmp_path / "m.safetensors")
    for again in (fastmlp.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert again.loss == case.loss
        assert again.output_activation == net.output_activation
    assert net.copy().loss_and_grad(X, t)[0] == net.loss_and_grad(X, t)[0]


def test_every_loss_has_a_case() -> None:
    here = {case.loss.name for case in CASES}
    assert here | {"mse", "squared_error", "half_squared_error"} == set(LOSSES)


def test_repr_has_what_is_not_the_default() -> None:
    assert ", huber, " in repr(fastmlp.Network([2, 1], loss=fastmlp.Huber()))
    assert "loss Huber(delta=2.0)" in fastmlp.Network([2, 1], loss=fastmlp.Huber(2.0)).summary()
