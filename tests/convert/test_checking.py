"""A network is compared with the model that it was made of: rounding passes, and other differences do not."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import special

import fastmlp
from chains import ACTIVATIONS
from fastmlp.convert import checking, functions
from fastmlp.convert.chain import Activate, Affine, Chain, Linear


def chain(sizes: tuple[int, ...], f: Any, dtype: str = "float32", seed: int = 0, **more: Any) -> Chain:
    rng = np.random.default_rng(seed)
    steps: list[Any] = []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        scale = np.sqrt(2 / n_inputs)
        steps += [Linear(rng.standard_normal((n_outputs, n_inputs)) * scale, rng.standard_normal(n_outputs) / 4, "l")]
        steps += [Activate(f, "f")]
    return Chain(tuple(steps[:-1]), "a tool", "1.0", dtype, sizes[0], **more)


JUMPING = [fastmlp.Threshold(), fastmlp.StepwiseSigmoid(), fastmlp.StepwiseTanh()]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", [*ACTIVATIONS, *JUMPING], ids=repr)
def test_rounding_passes(f: Any, dtype: str) -> None:
    for seed, sizes in enumerate([(3, 5, 2), (64, 64, 64, 3), (784, 128, 10), (10, *[40] * 12, 2), (1, 1, 1)]):
        assert checking.network(chain(sizes, f, dtype, seed)).sizes == sizes


def test_rounding_of_sums_without_cancellation_passes() -> None:
    given = Chain((Linear(np.ones((2, 5000)), np.ones(2), "l"),), "a tool", "1.0", "float32", 5000)
    net = checking.network(given)
    X = np.random.default_rng(0).random((5, 5000))
    np.testing.assert_allclose(net.predict(X), given.evaluate(X), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("real", "wrong"),
    [
        (fastmlp.GELU(), fastmlp.GELU("tanh")),
        (fastmlp.HardSigmoid(), fastmlp.PiecewiseLinear(-2.5, 2.5)),
        (fastmlp.LeakyReLU(0.3), fastmlp.LeakyReLU(0.2)),
        (fastmlp.Tanh(), fastmlp.Softsign()),
        (fastmlp.HardTanh(-7.5, 7.5), fastmlp.Identity()),
        (fastmlp.ReLU(), fastmlp.HardTanh(0.0, 6.0)),
        (fastmlp.Softplus(), fastmlp.Softplus(1.01)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sizes", [(4, 8, 2), (64, 64, 64, 4), (784, 128, 10), (10, *[40] * 6, 2)], ids=str)
def test_another_activation_does_not(sizes: tuple[int, ...], real: Any, wrong: Any, dtype: str) -> None:
    original = chain(sizes, real, dtype).evaluate
    with pytest.raises(fastmlp.FormatError, match=r"a tool 1\.0: expected a network with the outputs of the model"):
        checking.network(chain(sizes, wrong, dtype, original=original))


def test_another_weight_does_not() -> None:
    given = chain((20, 30, 3), fastmlp.Tanh())
    weight = given.steps[0].weight.copy()  # type: ignore[union-attr]
    weight[3, 4] += 0.01
    other = Chain((Linear(weight, given.steps[0].bias, "l"), *given.steps[1:]), "a tool", "", "float32", 20)  # type: ignore[union-attr]
    with pytest.raises(fastmlp.FormatError, match="a tool: expected a network with the outputs"):
        checking.network(Chain(given.steps, "a tool", "", "float32", 20, original=other.evaluate))


def test_only_rows_of_the_scaled_range_find_what_is_wrong_there() -> None:
    """A model that clips scaled inputs at 0.5 is another function only where inputs are not far out."""
    scaler = Affine(np.full(3, 1000.0), np.full(3, 0.001), "scaler")
    layer = Linear(np.eye(3), np.zeros(3), "l")
    given = Chain((scaler, layer, Activate(fastmlp.Sigmoid(), "s")), "a tool", "", "float64", 3)

    def original(X: Any) -> Any:
        z = (X - 1000) / 0.001
        return special.expit(np.where(np.abs(z) < 0.5, 0, z))

    with pytest.raises(fastmlp.FormatError, match="expected a network with the outputs of the model"):
        checking.network(Chain(given.steps, "a tool", "", "float64", 3, original=original))


def test_a_column_far_from_0_keeps_its_digits_in_float32() -> None:
    """Folded into the first layer, a column at 10**6 of deviation 1 would lose all digits of its float32 parameters."""
    rng = np.random.default_rng(0)
    weight, scaler = rng.standard_normal((4, 2)), Affine(np.array([1e6, 0.0]), np.array([1.0, 1.0]), "scaler")
    given = Chain((scaler, Linear(weight, np.zeros(4), "l")), "a tool", "", "float32", 2)
    X = rng.standard_normal((100, 2)) + np.array([1e6, 0])
    net = checking.network(given)
    exact = (X - [1e6, 0]) @ weight.T
    assert np.abs(net.predict(X) - exact).max() < 4e-6
    w, b = weight.astype(np.float32), (weight @ [-1e6, 0]).astype(np.float32)
    assert np.abs(X.astype(np.float32) @ w.T + b - exact).max() > 0.01


def test_the_tool_is_asked_with_rows_of_its_dtype() -> None:
    seen = []

    def original(X: Any) -> Any:
        seen.append(X)
        return (X - np.float32(70)) @ np.ones(3, np.float32)

    layer = Linear(np.ones((1, 3)), np.zeros(1), "l")
    scaler = Affine(np.full(3, 70.0), np.full(3, 1.0), "scaler")
    checking.network(Chain((scaler, layer), "a tool", "", "float32", 3, original=original))
    assert [(X.dtype, X.shape) for X in seen] == [(np.float32, (256, 3))] * 2
    assert [round(X.mean() / 10) for X in seen] == [0, 7]


def test_rows_of_very_many_columns_are_fewer() -> None:
    shapes = []

    def original(X: Any) -> Any:
        shapes.append(X.shape)
        return X[:, :1]

    n = 2**20
    layer = Linear(np.eye(1, n), np.zeros(1), "l")
    assert checking.network(Chain((layer,), "a tool", "", "float32", n, original=original)).sizes == (n, 1)
    assert shapes == [(8, n)]


def test_outputs_of_another_number() -> None:
    given = chain((3, 2), fastmlp.Tanh(), original=lambda X: np.zeros((len(X), 3)))
    with pytest.raises(
        fastmlp.FormatError, match=r"expected outputs of shape \(256, 2\), as its layers say, got \(256, 3\)"
    ):
        checking.network(given)


def test_the_dtype_may_be_another() -> None:
    given = chain((3, 8, 2), fastmlp.Tanh(), "float64")
    assert checking.network(given).dtype == np.float64
    net = checking.network(given, dtype="float32", engine="blas", n_threads=1)
    assert (net.dtype, net.engine, net.n_threads) == (np.float32, "blas", 1)
    with pytest.raises(ValueError, match="dtype: expected one of"):
        checking.network(given, dtype="float16")


def test_parameters_too_large_for_the_dtype() -> None:
    given = Chain((Linear(np.full((1, 2), 1e300), np.zeros(1), "l"),), "a tool", "", "float32", 2)
    with pytest.raises(fastmlp.FormatError, match="expected parameters that float32 can hold, got 1e\\+300"):
        checking.network(given)
    assert checking.network(given, dtype="float64").weights[0][0, 0] == 1e300


def test_rows_that_overflow_are_left_out() -> None:
    """A model in float32 may overflow on every row; then nothing is known, and the difference is NaN."""
    steps = (
        Linear(np.full((2, 2), 1e37), np.zeros(2), "l"),
        Activate(fastmlp.Tanh(), "f"),
        Linear(np.eye(2), np.ones(2), "m"),
    )
    assert np.isnan(checking.network(Chain(steps, "a tool", "", "float32", 2)).conversion.difference)


def test_the_conversion_is_immutable_and_no_part_of_files_and_copies() -> None:
    net = checking.network(chain((3, 8, 2), fastmlp.Tanh()))
    assert net.conversion.source == "a tool"
    assert net.conversion.version == "1.0"
    assert 0 < net.conversion.difference < 1e-5
    with pytest.raises(AttributeError):
        net.conversion.source = "another"
    assert net.copy().conversion is None
    assert fastmlp.Network([1, 1]).conversion is None


@pytest.mark.parametrize("f", ACTIVATIONS, ids=repr)
def test_slopes_bound_the_activations(f: Any) -> None:
    z = np.linspace(-20, 20, 400_001)[:, np.newaxis]
    measured = np.abs(np.diff(functions.evaluate(f, z), axis=0)).max() / (z[1, 0] - z[0, 0])
    assert measured <= functions.slope(f) * (1 + 1e-6)
    assert measured >= functions.slope(f) * 0.98


def test_activations_without_scipy_are_scipys() -> None:
    z = np.linspace(-40, 40, 1001)[:, np.newaxis]
    np.testing.assert_allclose(functions.evaluate(fastmlp.Sigmoid(), z), special.expit(z), rtol=1e-14)
    np.testing.assert_allclose(functions.evaluate(fastmlp.GELU(), z), z * special.ndtr(z), rtol=1e-12, atol=1e-300)
