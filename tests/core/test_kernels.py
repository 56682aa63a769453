"""The elementwise kernels of every ISA and dtype: accuracy against mpmath, and bits that do not depend on the layout.

The maximum errors that are tested, in ULP of the exact value, where u = (z - mu) / sigma. (Over all float32 with 2^-11
<= |z| < 2^7, the measured maximum is 2.41 for the sigmoid and 5.42 for tanh, or 6.12 on the baseline, which has no
fused multiply-add.)

    sigmoid            2.5 + |beta z| ULP, and 2.5 ULP where beta is a power of two (beta z is then exact)
    tanh               6.5 ULP in float32 (a rational function), 2.5 ULP in float64
    Gaussian           3 + 2.5 u^2 ULP (u and u^2 are rounded before the exponential); its derivative 2 ULP more
    piecewise linear   1 ULP of 1
    softmax            4 + (largest z - z) ULP (the difference is rounded before the exponential)
    sigmoid', tanh'    3 beta / 4 epsilon, and as many epsilon as tanh has ULP, absolute: they are computed from f,
                       which is 1 to the last bit far out
    softsign           2 ULP; its derivative 4 ULP
    hard sigmoid       1.5 ULP
    ELU, SELU          3 ULP, SELU 4; their derivatives 2.5 epsilon times alpha (they are computed from f)
    softplus           6 + |beta z| ULP, and 4 ULP where beta is a power of two; its derivative 3 epsilon, absolute
    SiLU, mish         4 ULP, mish 5
    GELU               5 + 1.5 z^2 ULP (z^2 is rounded before the exponential); in its tanh form 4 + 6 |v| ULP, v the
                       argument of its tanh, which is rounded before the exponential
    their derivatives  6 epsilon, absolute: sums of two terms of either sign
    stepwise sigmoid   3 ULP, tanh the same; their derivatives 1 ULP
    sine               2 ULP, and |omega z| epsilon where omega is not a power of two (omega z is then rounded), and
                       1e-12 (float32) or 1e-24 (float64), which counts only next to multiples of pi / 2; its derivative
                       3 ULP and omega times that
    leaky ReLU         1 ULP
    relu, identity, threshold, hard tanh   exact

Hyper-parameters are rounded to the dtype first. A result may be 0 if it, or an intermediate number, is below the
smallest normal number.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import scipy.special

import fastmlp
from fastmlp import _core
from fastmlp.reference.functions import STEPWISE_SIGMOID, STEPWISE_TANH

ISAS = _core.isas()
DTYPES = ("float32", "float64")
LENGTHS = (0, 1, 2, 5, 6, 7, 15, 16, 17, 97)
MIDDLE = 0.5 / 0.5493061542510986  # the slope of stepwise tanh at 0

mpmath.mp.dps = 40
EXACT = SimpleNamespace(
    exp=mpmath.exp,
    expm1=mpmath.expm1,
    log1p=mpmath.log1p,
    erfc=mpmath.erfc,
    sin=mpmath.sin,
    cos=mpmath.cos,
    cosh=mpmath.cosh,
    tanh=mpmath.tanh,
    sqrt=mpmath.sqrt,
    pi=mpmath.pi,
    where=lambda condition, a, b: mpmath.mpf(a if condition else b),
)
WIDE = SimpleNamespace(**{name: getattr(np, name) for name in vars(EXACT) if name != "erfc"}, erfc=scipy.special.erfc)


TANH_ULP = {True: 6.5, False: 2.5}  # key: whether the dtype is float32


class Oracle(NamedTuple):
    """Formulas over a namespace m of functions, the bounds of the kernel's error, and hyper-parameters to try.

    The bounds: functions of (z, exact value, epsilon, *hyper-parameters), absolute.
    """

    value: Callable[..., Any]
    derivative: Callable[..., Any]
    bound: Callable[..., Any]
    derivative_bound: Callable[..., Any]
    hyper_parameters: tuple[tuple[float, ...], ...] = ((),)


def ulp(exact: Any, epsilon: float) -> Any:
    """Return the distance between adjacent floats at |exact|."""
    return np.exp2(np.floor(np.log2(np.maximum(np.abs(exact), np.finfo(np.float64).tiny)))) * epsilon


def sigmoid_bound(z: Any, exact: Any, epsilon: float, beta: float) -> Any:
    exponent_exact = np.frexp(abs(beta))[0] == 0.5
    return ulp(exact, epsilon) * (2.5 + (0 if exponent_exact else np.abs(beta * z)))


def gaussian(m: Any, z: Any, mu: Any, sigma: Any) -> Any:
    u = (z - mu) / sigma
    return m.exp(-u * u / 2) / (m.sqrt(2 * m.pi) * sigma)


def exact_result(z: Any, exact: Any, epsilon: float, *_: float) -> Any:
    return np.zeros_like(exact)


def exponential_linear(m: Any, z: Any, scale: Any, alpha: Any) -> Any:
    return scale * m.where(z > 0, z, alpha * m.expm1(m.where(z > 0, 0, z)))


def exponential_linear_derivative(m: Any, z: Any, scale: Any, alpha: Any) -> Any:
    return scale * m.where(z > 0, 1, alpha * m.exp(m.where(z > 0, 0, z)))


SELU = (1.0507009873554804934, 1.6732632423543772848)


def logistic_slope(m: Any, z: Any) -> Any:
    return 1 / (4 * m.cosh(z / 2) ** 2)


def gelu_v(m: Any, z: Any) -> Any:
    return m.sqrt(2 / m.pi) * (z + 0.044715 * z**3)


def gelu(m: Any, z: Any, form: Any) -> Any:
    return z * m.erfc(-z / m.sqrt(2)) / 2 if form == 0 else z / (1 + m.exp(-2 * gelu_v(m, z)))


def gelu_derivative(m: Any, z: Any, form: Any) -> Any:
    if form == 0:
        return m.erfc(-z / m.sqrt(2)) / 2 + z * m.exp(-z * z / 2) / m.sqrt(2 * m.pi)
    v = gelu_v(m, z)
    rise = z * logistic_slope(m, 2 * v) * 2 * m.sqrt(2 / m.pi) * (1 + 3 * 0.044715 * z * z)
    return 1 / (1 + m.exp(-2 * v)) + rise


def gelu_bound(z: Any, exact: Any, epsilon: float, form: float) -> Any:
    return ulp(exact, epsilon) * (5 + 1.5 * z * z if form == 0 else 4 + 6 * np.abs(gelu_v(np, z)))


def softplus(m: Any, z: Any, beta: Any) -> Any:
    u = beta * z
    return (m.where(u > 0, u, 0) + m.log1p(m.exp(-abs(u)))) / beta


def softplus_bound(z: Any, exact: Any, epsilon: float, beta: float) -> Any:
    return ulp(exact, epsilon) * (4 if np.frexp(beta)[0] == 0.5 else 6 + np.abs(beta * z))


def mish_derivative(m: Any, z: Any) -> Any:
    s = softplus(m, z, 1)
    return m.tanh(s) + z / (m.cosh(s) ** 2 * (1 + m.exp(-z)))


def stepwise_value(m: Any, z: Any, corners: Any, minimum: float) -> Any:
    """Return f(z) by lines between FANN's corners (x, y), `minimum` below the first, 1 from the last on."""
    value = m.where(z < corners[-1][0], m.sqrt(0), 1)
    for (x, y), (x_next, y_next) in itertools.pairwise(corners):
        x_0, y_0 = (x, y) if abs(y) < abs(y_next) else (x_next, y_next)  # without cancellation
        line = y_0 + (z - x_0) * (m.sqrt(0) + y_next - y) / (m.sqrt(0) + x_next - x)
        value = m.where((x <= z) & (z < x_next), line, value)
    return m.where(z < corners[0][0], minimum, value)


def stepwise_slope(m: Any, z: Any, corners: Any) -> Any:
    """Return f'(z); at a corner that on the left, at the ends 0."""
    slope = m.sqrt(0)
    for (x, y), (x_next, y_next) in itertools.pairwise(corners):
        slope = m.where((x < z) & (z <= x_next), (m.sqrt(0) + y_next - y) / (m.sqrt(0) + x_next - x), slope)
    return m.where(z < corners[-1][0], slope, 0)


def sine_error(z: Any, epsilon: float, omega: float) -> Any:
    """Return the absolute error due to rounding omega z and to range reduction."""
    product_exact = np.frexp(abs(omega))[0] == 0.5
    return (0 if product_exact else np.abs(omega * z) * epsilon) + (1e-12 if epsilon > 1e-10 else 1e-24)


def six_epsilon(z: Any, exact: Any, epsilon: float, *_: float) -> Any:
    return np.full_like(exact, 6 * epsilon)


ORACLES = {
    "identity": Oracle(lambda m, z: z, lambda m, z: z * 0 + 1, exact_result, exact_result),
    "relu": Oracle(lambda m, z: m.where(z > 0, z, 0), lambda m, z: m.where(z > 0, 1, 0), exact_result, exact_result),
    "threshold": Oracle(
        lambda m, z: m.where(z >= 0, 1, 0), lambda m, z: m.where(z >= 0, 0, 0), exact_result, exact_result
    ),
    "sigmoid": Oracle(
        lambda m, z, beta: 1 / (1 + m.exp(-beta * z)),
        lambda m, z, beta: beta / (4 * m.cosh(beta * z / 2) ** 2),
        sigmoid_bound,
        lambda z, exact, epsilon, beta: 3 * epsilon * abs(beta) / 4,
        ((1.0,), (2.0,), (-0.5,), (0.7,), (1e-3,), (30.0,)),
    ),
    "tanh": Oracle(
        lambda m, z: m.tanh(z),
        lambda m, z: 1 / m.cosh(z) ** 2,
        lambda z, exact, epsilon: TANH_ULP[epsilon > 1e-10] * ulp(exact, epsilon),
        lambda z, exact, epsilon: TANH_ULP[epsilon > 1e-10] * epsilon,
    ),
    "piecewise_linear": Oracle(
        lambda m, z, a, b: m.where(z <= a, 0, m.where(z >= b, 1, (z - a) / (b - a))),
        lambda m, z, a, b: m.where((a < z) & (z < b), 1 / (b - a), 0),
        lambda z, exact, epsilon, a, b: epsilon,
        lambda z, exact, epsilon, a, b: ulp(exact, epsilon),
        ((-1.0, 1.0), (0.0, 4.0), (0.1, 0.3)),
    ),
    "gaussian": Oracle(
        gaussian,
        lambda m, z, mu, sigma: -(z - mu) / sigma**2 * gaussian(m, z, mu, sigma),
        lambda z, exact, epsilon, mu, sigma: ulp(exact, epsilon) * (3 + 2.5 * ((z - mu) / sigma) ** 2),
        lambda z, exact, epsilon, mu, sigma: ulp(exact, epsilon) * (5 + 2.5 * ((z - mu) / sigma) ** 2),
        ((0.0, 1.0), (0.3, 0.5), (-2.0, 3.0), (5.0, 0.125)),
    ),
}
ORACLES |= {
    "leaky_relu": Oracle(
        lambda m, z, slope: m.where(z > 0, z, slope * z),
        lambda m, z, slope: m.where(z > 0, 1, slope),
        lambda z, exact, epsilon, slope: ulp(exact, epsilon),
        exact_result,
        ((0.01,), (0.0,), (0.25,)),
    ),
    "elu": Oracle(
        lambda m, z, alpha: exponential_linear(m, z, 1, alpha),
        lambda m, z, alpha: exponential_linear_derivative(m, z, 1, alpha),
        lambda z, exact, epsilon, alpha: 3 * ulp(exact, epsilon),
        lambda z, exact, epsilon, alpha: 2.5 * epsilon * alpha,
        ((1.0,), (0.3,), (2.0,)),
    ),
    "selu": Oracle(
        lambda m, z: exponential_linear(m, z, *SELU),
        lambda m, z: exponential_linear_derivative(m, z, *SELU),
        lambda z, exact, epsilon: 4 * ulp(exact, epsilon),
        lambda z, exact, epsilon: np.full_like(exact, 2.5 * epsilon * SELU[0] * SELU[1]),
    ),
    "gelu": Oracle(gelu, gelu_derivative, gelu_bound, six_epsilon, ((0.0,), (1.0,))),
    "silu": Oracle(
        lambda m, z: z / (1 + m.exp(-z)),
        lambda m, z: 1 / (1 + m.exp(-z)) + z * logistic_slope(m, z),
        lambda z, exact, epsilon: 4 * ulp(exact, epsilon),
        six_epsilon,
    ),
    "mish": Oracle(
        lambda m, z: z * m.tanh(softplus(m, z, 1)),
        mish_derivative,
        lambda z, exact, epsilon: 5 * ulp(exact, epsilon),
        six_epsilon,
    ),
    "softplus": Oracle(
        softplus,
        lambda m, z, beta: 1 / (1 + m.exp(-beta * z)),
        softplus_bound,
        lambda z, exact, epsilon, beta: np.full_like(exact, 3 * epsilon),
        ((1.0,), (0.7,), (2.0,), (30.0,)),
    ),
    "softsign": Oracle(
        lambda m, z: z / (1 + abs(z)),
        lambda m, z: 1 / (1 + abs(z)) ** 2,
        lambda z, exact, epsilon: 2 * ulp(exact, epsilon),
        lambda z, exact, epsilon: 4 * ulp(exact, epsilon),
    ),
    "hard_sigmoid": Oracle(
        lambda m, z: m.where(z <= -3, 0, m.where(z >= 3, 1, (z + 3) / 6)),
        lambda m, z: m.where(abs(z) < 3, 1 / (6 + 0 * z), 0),
        lambda z, exact, epsilon: 1.5 * ulp(exact, epsilon),
        lambda z, exact, epsilon: ulp(exact, epsilon),
    ),
    "hard_tanh": Oracle(
        lambda m, z, a, b: m.where(z <= a, a, m.where(z >= b, b, z)),
        lambda m, z, a, b: m.where((a < z) & (z < b), 1, 0),
        exact_result,
        exact_result,
        ((-1.0, 1.0), (0.5, 4.0), (-6.0, -0.1)),
    ),
    "stepwise_sigmoid": Oracle(
        lambda m, z: stepwise_value(m, z, STEPWISE_SIGMOID, 0),
        lambda m, z: stepwise_slope(m, z, STEPWISE_SIGMOID),
        lambda z, exact, epsilon: 3 * ulp(exact, epsilon),
        lambda z, exact, epsilon: ulp(exact, epsilon),
    ),
    "stepwise_tanh": Oracle(
        lambda m, z: stepwise_value(m, z, [*STEPWISE_TANH[:3], (0.0, 0.0), *STEPWISE_TANH[3:]], -1),
        lambda m, z: stepwise_slope(m, z, STEPWISE_TANH),
        lambda z, exact, epsilon: 3 * ulp(exact, epsilon),
        lambda z, exact, epsilon: ulp(exact, epsilon),
    ),
    "sine": Oracle(
        lambda m, z, omega: m.sin(omega * z),
        lambda m, z, omega: omega * m.cos(omega * z),
        lambda z, exact, epsilon, omega: 2 * ulp(exact, epsilon) + sine_error(z, epsilon, omega),
        lambda z, exact, epsilon, omega: 3 * ulp(exact, epsilon) + abs(omega) * sine_error(z, epsilon, omega),
        ((1.0,), (30.0,), (-0.7,)),
    ),
}
CASES = [(name, h) for name, oracle in ORACLES.items() for h in oracle.hyper_parameters]


def rounded(hyper_parameters: tuple[float, ...], dtype: str) -> tuple[float, ...]:
    return tuple(float(np.dtype(dtype).type(h)) for h in hyper_parameters)


def sweep(dtype: str) -> Any:
    """Return points of both signs: dense around 0 and over the range of exp, and in every binade."""
    limits = {"float32": 105.0, "float64": 750.0}[dtype]
    binades = 2.0 ** np.arange(-40, 11) * 1.37
    random = np.random.default_rng(0).normal(size=300) * 3
    z = np.concatenate([np.linspace(-limits, limits, 301), np.linspace(-6, 6, 401), binades, -binades, random])
    return z.astype(dtype)


def exact_values(function: Callable[..., Any], z: Any, hyper_parameters: tuple[float, ...]) -> list[Any]:
    arguments = [mpmath.mpf(h) for h in hyper_parameters]
    return [function(EXACT, mpmath.mpf(float(value)), *arguments) for value in z]


def underflow(name: str, z: Any, h: tuple[float, ...], derivative: bool) -> Any:
    """Return the maximum factor by which an intermediate number that is flushed to 0 is still multiplied."""
    if name in ("silu", "mish", "gelu"):  # z times a gate
        return np.maximum(1.0, np.abs(z))
    if name in ("softplus", "elu"):
        return max(h[0], 1 / h[0])
    if name != "gaussian":
        return 1.0
    factor = max(1.0, 1 / (np.sqrt(2 * np.pi) * h[1]))
    return factor * np.maximum(1.0, np.abs(z - h[0]) / h[1] ** 2) if derivative else factor


def assert_within(actual: Any, error: Any, exact: Any, bound: Any, z: Any, factor: Any = 1.0) -> None:
    """Check |actual - exact| <= bound; if |exact| < factor * the smallest normal number, 0 is also correct."""
    tiny = np.finfo(actual.dtype).tiny * factor
    wrong = ~((error <= bound) | ((np.abs(exact) <= tiny) & (np.abs(actual) <= tiny)))
    assert not wrong.any(), f"at z = {z[wrong][:3]}: {actual[wrong][:3]} for {np.asarray(exact)[wrong][:3]}"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
@pytest.mark.parametrize(("name", "hyper_parameters"), CASES)
def test_against_mpmath(name: str, hyper_parameters: tuple[float, ...], derivative: bool, dtype: str) -> None:
    oracle, z, h = ORACLES[name], sweep(dtype), rounded(hyper_parameters, dtype)
    exact = exact_values(oracle.derivative if derivative else oracle.value, z, h)
    approximate = np.array([float(value) for value in exact])
    bound = (oracle.derivative_bound if derivative else oracle.bound)(
        z.astype(np.float64), approximate, float(np.finfo(dtype).eps), *h
    )
    for isa in ISAS:
        actual = _core.activation_values(name, hyper_parameters, z, derivative, isa)
        assert actual.dtype == dtype
        error = np.array([float(abs(mpmath.mpf(float(a)) - e)) for a, e in zip(actual, exact, strict=True)])
        assert_within(actual, error, approximate, bound, z, underflow(name, z, h, derivative))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
@pytest.mark.parametrize(("name", "hyper_parameters"), CASES)
def test_float32_of_every_exponent(name: str, hyper_parameters: tuple[float, ...], derivative: bool, isa: str) -> None:
    """Half a million float32 of all exponents, against float64, whose error is 2^-28 ULP of float32."""
    oracle, h = ORACLES[name], rounded(hyper_parameters, "float32")
    patterns = np.arange(0, 2**32, 8191, dtype=np.uint64).astype(np.uint32)
    z = patterns.view(np.float32)
    z = z[np.isfinite(z)]
    wide = z.astype(np.float64)
    with np.errstate(all="ignore"):
        exact = (oracle.derivative if derivative else oracle.value)(WIDE, wide, *h)
        exact = np.where(np.isnan(exact), 0.0, exact)  # inf * 0 of the formula for large arguments
        bound = (oracle.derivative_bound if derivative else oracle.bound)(wide, exact, 2.0**-23, *h)
    actual = _core.activation_values(name, hyper_parameters, z, derivative, isa)
    factor = underflow(name, wide, h, derivative)
    inside = np.abs(exact) <= np.finfo(np.float32).max
    if name == "sine":
        inside &= np.abs(h[0] * wide) <= np.finfo(np.float32).max
    bound, factor = (np.broadcast_to(each, z.shape)[inside] for each in (bound + np.abs(exact) * 1e-12, factor))
    actual, exact, z = actual[inside], exact[inside], z[inside]
    assert_within(actual, np.abs(actual - exact), exact, bound, z, factor)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_edges(dtype: str, isa: str) -> None:
    inf, nan, huge = np.inf, np.nan, float(np.finfo(dtype).max)
    z = np.array([-inf, -huge, -0.0, 0.0, huge, inf, nan], dtype=dtype)
    root, (s, a) = 1 / np.sqrt(2 * np.pi), SELU
    expected = {
        "identity": ([-inf, -huge, 0, 0, huge, inf, nan], [1, 1, 1, 1, 1, 1]),
        "relu": ([0, 0, 0, 0, huge, inf, nan], [0, 0, 0, 0, 1, 1]),
        "threshold": ([0, 0, 1, 1, 1, 1, nan], [0, 0, 0, 0, 0, 0]),
        "sigmoid": ([0, 0, 0.5, 0.5, 1, 1, nan], [0, 0, 0.25, 0.25, 0, 0]),
        "tanh": ([-1, -1, 0, 0, 1, 1, nan], [0, 0, 1, 1, 0, 0]),
        "piecewise_linear": ([0, 0, 0.5, 0.5, 1, 1, nan], [0, 0, 0.5, 0.5, 0, 0]),
        "gaussian": ([0, 0, root, root, 0, 0, nan], [0, 0, 0, 0, 0, 0]),
        "leaky_relu": ([-inf, -0.01 * huge, 0, 0, huge, inf, nan], [0.01, 0.01, 0.01, 0.01, 1, 1]),
        "elu": ([-1, -1, 0, 0, huge, inf, nan], [0, 0, 1, 1, 1, 1]),
        "selu": ([-s * a, -s * a, 0, 0, inf, inf, nan], [0, 0, s * a, s * a, s, s]),
        "gelu": ([0, 0, 0, 0, huge, inf, nan], [0, 0, 0.5, 0.5, 1, 1]),
        "silu": ([0, 0, 0, 0, huge, inf, nan], [0, 0, 0.5, 0.5, 1, 1]),
        "mish": ([0, 0, 0, 0, huge, inf, nan], [0, 0, 0.6, 0.6, 1, 1]),
        "softplus": ([0, 0, np.log(2), np.log(2), huge, inf, nan], [0, 0, 0.5, 0.5, 1, 1]),
        "softsign": ([-1, -1, 0, 0, 1, 1, nan], [0, 0, 1, 1, 0, 0]),
        "hard_sigmoid": ([0, 0, 0.5, 0.5, 1, 1, nan], [0, 0, 1 / 6, 1 / 6, 0, 0]),
        "hard_tanh": ([-1, -1, 0, 0, 1, 1, nan], [0, 0, 1, 1, 0, 0]),
        "stepwise_sigmoid": ([0, 0, 0.5, 0.5, 1, 1, nan], [0, 0, MIDDLE / 4, MIDDLE / 4, 0, 0]),
        "stepwise_tanh": ([-1, -1, 0, 0, 1, 1, nan], [0, 0, MIDDLE, MIDDLE, 0, 0]),
        "sine": ([nan, -np.sin(huge), 0, 0, np.sin(huge), nan, nan], [nan, np.cos(huge), 1, 1, np.cos(huge), nan]),
    }
    assert expected.keys() == ORACLES.keys()
    for name, (values, slopes) in expected.items():
        h = ORACLES[name].hyper_parameters[0]
        actual = _core.activation_values(name, h, z, False, isa)
        np.testing.assert_allclose(actual, np.array(values, dtype), rtol=4 * np.finfo(dtype).eps, atol=0, err_msg=name)
        actual = _core.activation_values(name, h, z[:-1], True, isa)
        np.testing.assert_allclose(actual, slopes, rtol=4 * np.finfo(dtype).eps, atol=0, err_msg=name)
        assert name == "threshold" or np.isnan(_core.activation_values(name, h, z[-1:], True, isa)).all(), name


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_subnormals(dtype: str, isa: str) -> None:
    """A subnormal input counts as it is or as 0; results are not above the smallest normal number."""
    finfo = np.finfo(dtype)
    z = np.array([finfo.smallest_subnormal, finfo.tiny / 2, -finfo.tiny / 2], dtype=dtype)
    for name in ("identity", "relu", "tanh"):
        actual = _core.activation_values(name, (), z, False, isa)
        exact = np.maximum(z, 0) if name == "relu" else z
        assert np.all((actual == exact) | (actual == 0)), name
    np.testing.assert_array_equal(_core.activation_values("sigmoid", (1.0,), z, False, isa), [0.5] * 3)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "hyper_parameters", "corners"),
    [
        ("relu", (), (0.0,)),
        ("hard_sigmoid", (), (-3.0, 3.0)),
        *((name, h, h) for name in ("piecewise_linear", "hard_tanh") for h in ORACLES[name].hyper_parameters),
    ],
)
def test_corners(name: str, hyper_parameters: tuple[float, ...], corners: Any, dtype: str, isa: str) -> None:
    """At a corner the derivative is 0 and the value exact; at adjacent normal floats, the derivative of their side."""
    for corner in rounded(corners, dtype):
        at, tiny = np.dtype(dtype).type(corner), np.finfo(dtype).tiny
        below, above = (np.nextafter(at, end, dtype=dtype) for end in (-np.inf, np.inf))
        z = np.array([min(below, at - tiny), at, max(above, at + tiny)])
        slopes = _core.activation_values(name, hyper_parameters, z, True, isa)
        exact = ORACLES[name].derivative(WIDE, z.astype(np.float64), *rounded(hyper_parameters, dtype))
        assert slopes[1] == 0
        value = ORACLES[name].value(WIDE, np.float64(at), *rounded(hyper_parameters, dtype))
        assert _core.activation_values(name, hyper_parameters, z, False, isa)[1] == value
        assert np.count_nonzero(slopes) == 1
        np.testing.assert_allclose(slopes, exact, rtol=2 * np.finfo(dtype).eps)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "h", "left"),
    [("leaky_relu", (0.25,), 0.25), ("elu", (0.5,), 0.5), ("selu", (), SELU[0] * SELU[1])],
)
def test_corners_between_two_slopes(name: str, h: tuple[float, ...], left: float, dtype: str, isa: str) -> None:
    """If neither side is constant, the derivative at the corner is that of the left side, as in PyTorch."""
    z = np.array([-0.0, 0.0], dtype=dtype)
    np.testing.assert_allclose(_core.activation_values(name, h, z, True, isa), left, rtol=np.finfo(dtype).eps)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("omega", [1.0, 0.5])
def test_sine_far_out(omega: float, dtype: str, isa: str) -> None:
    """Arguments around the limit of the range reduction, near multiples of pi / 2, and up to the largest numbers."""
    end = {"float32": 8192.0, "float64": 2.0**20}[dtype] / omega
    multiples = np.arange(1, int(end * omega), int(end * omega) // 997 + 1) * (np.pi / 2 / omega)
    huge = np.geomspace(end * 1.01, float(np.finfo(dtype).max) / 4, 60)
    z = np.concatenate([np.nextafter(end, [0, np.inf]), [end], multiples, huge, -huge]).astype(dtype)
    for derivative, function in ((False, mpmath.sin), (True, mpmath.cos)):
        with mpmath.workdps(400):
            exact = [function(mpmath.mpf(float(value)) * omega) * (omega if derivative else 1) for value in z]
        actual = _core.activation_values("sine", (omega,), z, derivative, isa)
        error = np.array([float(abs(mpmath.mpf(float(a)) - e)) for a, e in zip(actual, exact, strict=True)])
        approximate = np.array([float(e) for e in exact])
        epsilon = float(np.finfo(dtype).eps)
        assert_within(actual, error, approximate, 2 * ulp(approximate, epsilon) + sine_error(z, epsilon, 1.0), z)


# -- softmax ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", [1, 2, 3, 7, 8, 10, 17, 97])
def test_softmax_against_mpmath(n_outputs: int, dtype: str, isa: str) -> None:
    scales = np.array([[0.01], [1], [3], [10], [50], [1e4]])
    z = (np.random.default_rng(n_outputs).normal(size=(6, n_outputs)) * scales).astype(dtype)
    actual = _core.activation_values("softmax", (), z, False, isa)
    for row, z_row in zip(actual, z, strict=True):
        terms = [mpmath.exp(mpmath.mpf(float(v))) for v in z_row]
        exact = [term / mpmath.fsum(terms) for term in terms]
        error = np.array([float(abs(mpmath.mpf(float(a)) - e)) for a, e in zip(row, exact, strict=True)])
        approximate = np.array([float(e) for e in exact])
        bound = ulp(approximate, float(np.finfo(dtype).eps)) * (4 + (z_row.max() - z_row.astype(np.float64)))
        assert_within(row, error, approximate, bound, z_row)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_edges(dtype: str, isa: str) -> None:
    huge = float(np.finfo(dtype).max)
    z = np.array([[huge, huge, -huge], [-huge, -huge, -huge], [0, -np.inf, 0], [0, np.nan, 1]], dtype=dtype)
    y = _core.activation_values("softmax", (), z, False, isa)
    third = np.dtype(dtype).type(1) / 3
    np.testing.assert_allclose(y[:3], [[0.5, 0.5, 0], [third] * 3, [0.5, 0, 0.5]], rtol=2 * np.finfo(dtype).eps)
    assert np.isnan(y[3]).all()


# -- bits: the result for an element does not depend on where it stands -----------------------------------------------


def same_bits(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("derivative", [False, True], ids=["value", "derivative"])
@pytest.mark.parametrize("name", ORACLES)
def test_an_element_alone_has_the_same_bits(name: str, derivative: bool, dtype: str, isa: str) -> None:
    h = ORACLES[name].hyper_parameters[-1]
    z = (np.random.default_rng(1).normal(size=3 * 97) * 4).astype(dtype)
    z[[0, 50, 96, 290]] = [np.nan, np.inf, -0.0, -np.inf]
    whole = _core.activation_values(name, h, z, derivative, isa)
    for length, start in itertools.product(LENGTHS, (0, 1, 3, 50)):
        part = _core.activation_values(name, h, z[start : start + length], derivative, isa)
        assert same_bits(part, whole[start : start + length]), (length, start)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_outputs", LENGTHS[1:])
def test_a_row_of_softmax_alone_has_the_same_bits(n_outputs: int, dtype: str, isa: str) -> None:
    z = (np.random.default_rng(2).normal(size=(23, n_outputs)) * 4).astype(dtype)
    whole = _core.activation_values("softmax", (), z, False, isa)
    for i, row in enumerate(z):
        assert same_bits(_core.activation_values("softmax", (), row, False, isa), whole[i])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*ORACLES, "softmax"])
def test_layouts(name: str, dtype: str, isa: str) -> None:
    """Strided, reversed, unaligned and byte-swapped arrays give the results of a contiguous copy, and are unchanged."""
    h = ORACLES[name].hyper_parameters[0] if name in ORACLES else ()
    z = np.random.default_rng(3).normal(size=(12, 17)).astype(dtype)
    bytes_ = np.zeros(z.nbytes + 1, dtype=np.uint8)
    bytes_[1:] = np.frombuffer(z.tobytes(), dtype=np.uint8)
    layouts = {
        "columns": np.asfortranarray(z),
        "transposed": z.T,
        "steps": z[::2, ::3],
        "reversed": z[::-1, ::-1],
        "unaligned": bytes_[1:].view(dtype).reshape(z.shape),
        "swapped": z.astype(z.dtype.newbyteorder()),
        "empty": z[:0],
    }
    for layout, array in layouts.items():
        before = array.copy()
        expected = _core.activation_values(name, h, np.ascontiguousarray(array, dtype=dtype), False, isa)
        actual = _core.activation_values(name, h, array, False, isa)
        assert actual.dtype == dtype, layout
        assert same_bits(np.ascontiguousarray(actual), expected), layout
        np.testing.assert_array_equal(array, before)


# -- the objects in front of the kernels -------------------------------------------------------------------------------


def test_activation_objects_call_the_kernels() -> None:
    z = np.linspace(-3, 3, 13)
    for f, name, h in [
        (fastmlp.Identity(), "identity", ()),
        (fastmlp.ReLU(), "relu", ()),
        (fastmlp.Tanh(), "tanh", ()),
        (fastmlp.Sigmoid(2.5), "sigmoid", (2.5,)),
        (fastmlp.PiecewiseLinear(-0.5, 2.0), "piecewise_linear", (-0.5, 2.0)),
        (fastmlp.Gaussian(0.5, 2.0), "gaussian", (0.5, 2.0)),
        (fastmlp.Threshold(), "threshold", ()),
        (fastmlp.LeakyReLU(0.25), "leaky_relu", (0.25,)),
        (fastmlp.ELU(0.5), "elu", (0.5,)),
        (fastmlp.SELU(), "selu", ()),
        (fastmlp.GELU(), "gelu", (0,)),
        (fastmlp.GELU(approximate="tanh"), "gelu", (1,)),
        (fastmlp.SiLU(), "silu", ()),
        (fastmlp.Mish(), "mish", ()),
        (fastmlp.Softplus(2.5), "softplus", (2.5,)),
        (fastmlp.Softsign(), "softsign", ()),
        (fastmlp.HardSigmoid(), "hard_sigmoid", ()),
        (fastmlp.HardTanh(-0.5, 2.0), "hard_tanh", (-0.5, 2.0)),
        (fastmlp.Sine(3.0), "sine", (3.0,)),
    ]:
        with np.errstate(all="ignore"):
            values, slopes = ORACLES[name].value(WIDE, z, *h), ORACLES[name].derivative(WIDE, z, *h)
        np.testing.assert_allclose(f(z), values, rtol=1e-14, atol=1e-15)
        np.testing.assert_allclose(f.derivative(z), slopes, rtol=1e-14, atol=1e-15)


def test_activation_objects_keep_float32_and_shape() -> None:
    f = fastmlp.Tanh()
    assert f(np.zeros((2, 3, 4), dtype=np.float32)).dtype == np.float32
    assert f(np.zeros((2, 3, 4), dtype=np.float32)).shape == (2, 3, 4)
    for z in (np.zeros(3, dtype=np.float16), np.zeros(3, dtype=int), np.zeros(3, dtype=np.uint8), [0, 0, 0]):
        assert f(z).dtype == np.float64
        assert f.derivative(z).tolist() == [1, 1, 1]
    assert f(0.0).shape == ()
    assert isinstance(f(0.0), np.float64)
    assert f([]).shape == (0,)


@pytest.mark.parametrize("z", [1j, "1", [None], np.array([object()])])
def test_activation_objects_refuse_what_is_no_number(z: Any) -> None:
    with pytest.raises(TypeError, match=r"^z: expected real numbers, got dtype"):
        fastmlp.Tanh()(z)
    with pytest.raises(TypeError, match=r"^z: expected real numbers, got dtype"):
        fastmlp.Sigmoid().derivative(z)


def test_softmax_has_no_elementwise_derivative() -> None:
    with pytest.raises(TypeError, match="softmax"):
        fastmlp.Softmax().derivative([0.0, 1.0])


def test_an_isa_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"isa: expected one of .*'base'.*, got 'avx9000'"):
        _core.activation_values("tanh", (), [0.0], False, "avx9000")
