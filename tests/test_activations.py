"""Activations other than those of the cited sources: against PyTorch and the reference, saving, initialisation.

The kernels are tested in test_kernels.py, custom activations in test_custom_activation.py.
"""

from __future__ import annotations

import math
import pickle
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core, reference
from oracles import IN_TORCH, MORE, Torch, twin

SIZES = (5, 17, 128, 3)  # 128 outputs: rows that are kept in training are padded
HARD = (fastmlp.HardSigmoid,)  # PyTorch has 1 / 6 in float32 there


def network(build: Any, f: Any) -> tuple[Any, Any, Any]:
    """Return a network with f in each layer, and rows for which z of each layer has both signs and large values."""
    rng = np.random.default_rng(3)
    net = build(SIZES, activation=f, output_activation=f, seed=3)
    P = net.parameters.astype(np.float64) + rng.normal(size=net.n_parameters) / 8
    net.parameters = P.astype(np.float32)
    X = (rng.normal(size=(37, 5)) * 2).astype(np.float32)
    return net, X, rng.normal(size=(37, 3)).astype(np.float32)


@pytest.mark.parametrize("f", MORE, ids=repr)
def test_gradients_against_pytorch(build64: Any, f: Any) -> None:
    net, X, y = network(build64, f)
    loss, gradient, dx = Torch(net).gradients(X, y)
    tolerance = 1e-7 if isinstance(f, HARD) else 1e-12
    actual_loss, actual = net.loss_and_grad(X, y)
    assert actual_loss == pytest.approx(loss, rel=tolerance)
    np.testing.assert_allclose(actual, gradient, rtol=0, atol=tolerance * np.abs(gradient).max())
    np.testing.assert_allclose(net.input_gradient(X, y), dx, rtol=0, atol=tolerance * np.abs(dx).max())


@pytest.mark.parametrize("f", MORE, ids=repr)
def test_against_the_reference(build: Any, f: Any) -> None:
    net, X, y = network(build, f)
    other = twin(net)
    build.assert_close(net.predict(X), other.predict(X.tolist()), SIZES)
    loss, gradient = net.loss_and_grad(X, y)
    expected_loss, expected = other.loss_and_grad(X.tolist(), y.tolist())
    build.assert_close(loss, expected_loss, SIZES)
    build.assert_close(gradient, expected, SIZES, passes=3)


@pytest.mark.parametrize("f", MORE, ids=repr)
def test_the_reference_number_by_number(f: Any) -> None:
    """Values and derivatives agree with the reference up to infinity, at corners, and for NaN."""
    corners = [0.0, -0.0, 3.0, -3.0, -1.25, 0.75]
    z = [*np.linspace(-40, 40, 997), *corners, 1e300, -1e300, math.inf, -math.inf]
    choice = reference.checks.choose("activation", f, reference.functions.ACTIVATIONS)
    entry = reference.functions.ACTIVATIONS[choice.name]
    fields = {name: getattr(choice, name) for name in entry.fields}
    np.testing.assert_allclose(f(z), [entry.value(v, **fields) for v in z], rtol=1e-13, atol=1e-15)
    assert entry.derivative is not None
    np.testing.assert_allclose(f.derivative(z), [entry.derivative(v, **fields) for v in z], rtol=1e-13, atol=2e-15)
    assert np.isnan([entry.value(math.nan, **fields), f(math.nan), f.derivative(math.nan)]).all()


@pytest.mark.parametrize("f", MORE, ids=repr)
def test_slopes_at_corners_are_those_of_pytorch(f: Any) -> None:
    torch = pytest.importorskip("torch")
    z = np.array([0.0, 3.0, -3.0, -1.25, 0.75])
    leaf = torch.tensor(z, requires_grad=True)
    IN_TORCH[type(f)](torch, torch.nn.functional, leaf, f).sum().backward()
    np.testing.assert_allclose(f.derivative(z), leaf.grad.numpy(), rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("f", MORE, ids=repr)
def test_trained_saved_and_pickled(build: Any, f: Any, tmp_path: Any) -> None:
    net, X, y = network(build, f)
    before = net.evaluate(X, y)["loss"]
    net.fit(X, y, epochs=5, batch_size=10, optimizer=fastmlp.Adam(0.003))
    assert net.evaluate(X, y)["loss"] < before
    path = tmp_path / "model.safetensors"
    net.save(path)
    for again in (fastmlp.load(path), pickle.loads(pickle.dumps(net)), net.copy()):
        assert again.activation == (f, f)
        assert again.output_activation == f
        np.testing.assert_array_equal(again.parameters, net.parameters)


HE = [fastmlp.ReLU(), fastmlp.ELU(), fastmlp.GELU(), fastmlp.SiLU(), fastmlp.Mish(), fastmlp.LeakyReLU(0.0)]
GLOROT = [fastmlp.Tanh(), fastmlp.Softplus(), fastmlp.Softsign(), fastmlp.HardSigmoid(), fastmlp.HardTanh()]
GLOROT += [fastmlp.Sine(), fastmlp.CustomActivation(np.tanh, np.cos)]


@pytest.mark.parametrize(
    ("activations", "limit"),
    [(HE, math.sqrt(6 / 300)), (GLOROT, math.sqrt(6 / 500)), ([fastmlp.LeakyReLU(0.5)], math.sqrt(6 / 1.25 / 300))],
    ids=["He", "Glorot", "leaky"],
)
def test_init_auto_is_uniform(activations: Any, limit: float) -> None:
    for f in activations:
        w = fastmlp.Network([300, 200, 1], activation=f, seed=1).weights[0]
        assert 0.999 * limit < np.abs(w).max() <= limit * (1 + 1e-6), f
        assert w.std() == pytest.approx(limit / math.sqrt(3), rel=0.01)


def test_init_auto_before_selu_is_normal() -> None:
    w = fastmlp.Network([300, 200, 1], activation="selu", seed=1).weights[0]
    assert w.std() == pytest.approx(math.sqrt(1 / 300), rel=0.02)
    assert np.abs(w).max() > 3 * w.std()


@pytest.mark.parametrize("f", [*MORE, fastmlp.LeakyReLU(0.5)], ids=repr)
def test_the_reference_draws_the_same_weights(f: Any) -> None:
    net = fastmlp.Network([7, 5, 2], activation=f, dtype="float64", seed=9)
    np.testing.assert_array_equal(net.parameters, reference.Network([7, 5, 2], activation=f, seed=9).parameters)


@pytest.mark.parametrize(
    "f", [fastmlp.LeakyReLU(), fastmlp.ELU(), fastmlp.Softplus(), fastmlp.HardTanh(), fastmlp.Sine()], ids=repr
)
def test_the_reference_refuses_the_same_numbers(f: Any) -> None:
    name = next(iter(vars(f)))
    for bad in (
        -1.0 if f.name in ("leaky_relu", "elu", "softplus") else 1.0 if f.name == "hard_tanh" else 0.0,
        math.nan,
    ):
        words = {"name": f.name, name: bad}
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            type(f)(bad)
        with pytest.raises(ValueError, match=f"^{name}: expected"):
            reference.Network([2, 2, 1], activation=type("Words", (), words)())


@pytest.mark.parametrize("share", [0.25, 0.5, 0.999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", fastmlp.info()["isas"])
def test_a_piecewise_linear_whose_range_leaves_that_of_the_dtype(isa: str, dtype: str, share: float) -> None:
    """x_min and x_max may be any numbers, also if the dtype cannot hold their difference or the slope."""
    most, least = (share * float(np.finfo(dtype).max), float(np.finfo(dtype).tiny) / share)
    ends = [(-most, most), (0.0, most), (-most, 0.0), (most / 4, most), (-most, 1.0), (-least, least), (0.0, least)]
    ends += [(least, 1.125 * least), (-1.0, least), (-2.0, 3.0)]
    for x_min, x_max in ends:
        a, b = (Fraction(float(np.dtype(dtype).type(end))) for end in (x_min, x_max))
        z = np.array([x_min / 2 + x_max / 2, x_min, x_max, x_max / 3 + x_min / 1.5, 0.0, most, -most], dtype)
        y = _core.activation_values("piecewise_linear", (x_min, x_max), z, False, isa)
        expected = [float(min(Fraction(1), max(Fraction(0), (Fraction(float(v)) - a) / (b - a)))) for v in z]
        if min(abs(x_min), abs(x_max)) > 0 and x_max / x_min < 1.2:
            continue  # what lies between the ends is subnormal, which is 0
        np.testing.assert_allclose(y, expected, rtol=0, atol=4 * float(np.finfo(dtype).eps))
        for v, of_reference in zip(z.tolist(), expected, strict=True):
            assert reference.functions.piecewise_linear(v, float(a), float(b)) == pytest.approx(of_reference, abs=1e-15)
        slope = float(min(1 / (b - a), Fraction(float(np.finfo(dtype).max))))
        slope = slope if slope >= float(np.finfo(dtype).tiny) else 0.0
        f = _core.activation_values("piecewise_linear", (x_min, x_max), z, True, isa)
        inside = (z > np.dtype(dtype).type(x_min)) & (z < np.dtype(dtype).type(x_max))
        np.testing.assert_allclose(f, np.where(inside, slope, 0.0), rtol=1e-6, atol=float(np.finfo(dtype).tiny))
