"""The mathematics: activations, optimiser steps, the random number generator, and the tables that name them.

Every function computes the formula of its docstring, on scalars or on one row at a time. Together they specify what the
compiled kernels must compute. No function depends on a network or checks its arguments; NaN passes through. Only the
optimisers change their arguments: the row of parameters and its state. A new function needs its row in a table below.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Vector = list[float]
Matrix = list[list[float]]

if sys.version_info >= (3, 12):
    dot = math.sumprod
else:

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        """sum_i a_i b_i."""
        total: float = sum(map(operator.mul, a, b))
        return total


# --- activations: f(z) and f'(z) of one number; the derivative at a corner is 0 ---------------------------------


def identity(z: float) -> float:
    """f(z) = z."""
    return z


def identity_derivative(z: float) -> float:
    """f'(z) = 1."""
    return 1.0


def sigmoid(z: float, beta: float = 1.0) -> float:
    """f(z) = 1 / (1 + exp(-u)) = exp(u) / (exp(u) + 1) with u = beta z, by the form that does not overflow.

    Both forms, for beta = 1: "Mathematics of machine learning: How does mathematics enable neural networks to 'learn'
    to solve problems with real-world applications?", section 3.
    """
    z *= beta
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (e + 1.0)


def sigmoid_derivative(z: float, beta: float = 1.0) -> float:
    """f'(z) = beta f (1 - f) = beta e / (1 + e)^2 with e = exp(-|beta z|)."""
    e = math.exp(-abs(beta * z))
    return beta * e / ((1.0 + e) * (1.0 + e))


def tanh(z: float) -> float:
    """f(z) = tanh z = 2 sigmoid(2 z) - 1."""
    return math.tanh(z)


def tanh_derivative(z: float) -> float:
    """f'(z) = 1 - f^2, computed as 4 e / (1 + e)^2 with e = exp(-2 |z|), which is accurate where |f| is close to 1."""
    e = math.exp(-2.0 * abs(z))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def relu(z: float) -> float:
    """f(z) = max(0, z), and NaN for NaN."""
    return 0.0 if z <= 0.0 else z


def relu_derivative(z: float) -> float:
    """f'(z) = 1 above 0, else 0."""
    return 0.0 if z <= 0.0 else 1.0


def piecewise_linear(z: float, x_min: float = -1.0, x_max: float = 1.0) -> float:
    """f(z) = m z + b with m = 1 / (x_max - x_min) and b = -m x_min, clipped to [0, 1].

    m z + b: A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 3.
    """
    if z <= x_min:
        return 0.0
    return 1.0 if z >= x_max else (z / 2.0 - x_min / 2.0) / (x_max / 2.0 - x_min / 2.0)  # halves cannot overflow


def piecewise_linear_derivative(z: float, x_min: float = -1.0, x_max: float = 1.0) -> float:
    """f'(z) = m = 1 / (x_max - x_min) strictly between x_min and x_max, else 0."""
    return 0.5 / (x_max / 2.0 - x_min / 2.0) if x_min < z < x_max else 0.0


def gaussian(z: float, mu: float = 0.0, sigma: float = 1.0) -> float:
    """f(z) = exp(-u^2 / 2) / (sqrt(2 pi) sigma) with u = (z - mu) / sigma, the normal density."""
    u = (z - mu) / sigma
    return math.exp(-0.5 * u * u) / (math.sqrt(2.0 * math.pi) * sigma)


def gaussian_derivative(z: float, mu: float = 0.0, sigma: float = 1.0) -> float:
    """f'(z) = -(z - mu) / sigma^2 f(z)."""
    f = gaussian(z, mu, sigma)
    return -((z - mu) / sigma) / sigma * f if f else 0.0


def threshold(z: float) -> float:
    """f(z) = 1 where z >= 0, else 0, and NaN for NaN."""
    return 1.0 if z >= 0.0 else 0.0 if z < 0.0 else z


def threshold_derivative(z: float) -> float:
    """f'(z) = 0, which is why a threshold cannot be trained."""
    return 0.0


def leaky_relu(z: float, negative_slope: float = 0.01) -> float:
    """f(z) = z above 0, else negative_slope z."""
    return z if z > 0.0 else negative_slope * z


def leaky_relu_derivative(z: float, negative_slope: float = 0.01) -> float:
    """f'(z) = 1 above 0, else negative_slope, also at 0."""
    return 1.0 if z > 0.0 else negative_slope


def elu(z: float, alpha: float = 1.0) -> float:
    """f(z) = z above 0, else alpha (exp z - 1)."""
    return z if z > 0.0 else alpha * math.expm1(z)


def elu_derivative(z: float, alpha: float = 1.0) -> float:
    """f'(z) = 1 above 0, else alpha exp z, also at 0."""
    return 1.0 if z > 0.0 else alpha * math.exp(z)


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848  # of Klambauer et al. (2017)


def selu(z: float) -> float:
    """f(z) = SELU_SCALE elu(z, SELU_ALPHA)."""
    return SELU_SCALE * elu(z, SELU_ALPHA)


def selu_derivative(z: float) -> float:
    """f'(z) = SELU_SCALE elu'(z, SELU_ALPHA)."""
    return SELU_SCALE * elu_derivative(z, SELU_ALPHA)


def gelu(z: float, approximate: str = "none") -> float:
    """f(z) = z Phi(z) with Phi(z) = erfc(-z / sqrt(2)) / 2; the "tanh" form has sigmoid(2 v) in place of Phi(z).

    v = sqrt(2 / pi) (z + 0.044715 z^3).
    """
    gate = sigmoid(2.0 * _gelu_v(z)) if approximate == "tanh" else 0.5 * math.erfc(-z * math.sqrt(0.5))
    return z * gate if gate else 0.0


def gelu_derivative(z: float, approximate: str = "none") -> float:
    """f'(z) = Phi(z) + z exp(-z^2 / 2) / sqrt(2 pi), or sigmoid(2 v) + z sigmoid'(2 v) 2 v' for the "tanh" form."""
    if approximate == "tanh":
        slope = sigmoid_derivative(2.0 * _gelu_v(z))
        rise = 2.0 * math.sqrt(2.0 / math.pi) * (1.0 + 3.0 * 0.044715 * z * z) * z * slope if slope else 0.0
        return sigmoid(2.0 * _gelu_v(z)) + rise
    return 0.5 * math.erfc(-z * math.sqrt(0.5)) - gaussian_derivative(z)


def _gelu_v(z: float) -> float:
    """v = sqrt(2 / pi) (z + 0.044715 z^3)."""
    return math.sqrt(2.0 / math.pi) * z * (1.0 + 0.044715 * z * z)


def silu(z: float) -> float:
    """f(z) = z sigmoid(z)."""
    gate = sigmoid(z)
    return z * gate if gate else 0.0


def silu_derivative(z: float) -> float:
    """f'(z) = sigmoid(z) + z sigmoid'(z)."""
    slope = sigmoid_derivative(z)
    return sigmoid(z) + (z * slope if slope else 0.0)


def mish(z: float) -> float:
    """f(z) = z tanh(softplus(z))."""
    gate = math.tanh(softplus(z))
    return z * gate if gate else 0.0


def mish_derivative(z: float) -> float:
    """f'(z) = tanh(softplus(z)) + z tanh'(softplus(z)) sigmoid(z)."""
    slope = tanh_derivative(softplus(z)) * sigmoid(z)
    return math.tanh(softplus(z)) + (z * slope if slope else 0.0)


def softplus(z: float, beta: float = 1.0) -> float:
    """f(z) = ln(1 + exp u) / beta with u = beta z, computed as (max(0, u) + ln(1 + exp -|u|)) / beta."""
    u = beta * z
    return ((0.0 if u <= 0.0 else u) + math.log1p(math.exp(-abs(u)))) / beta


def softplus_derivative(z: float, beta: float = 1.0) -> float:
    """f'(z) = sigmoid(z, beta)."""
    return sigmoid(z, beta)


def softsign(z: float) -> float:
    """f(z) = z / (1 + |z|), and -1 and 1 at the infinities."""
    return math.copysign(1.0, z) if math.isinf(z) else z / (1.0 + abs(z))


def softsign_derivative(z: float) -> float:
    """f'(z) = 1 / (1 + |z|)^2."""
    root = 1.0 / (1.0 + abs(z))
    return root * root


def hard_sigmoid(z: float) -> float:
    """f(z) = (z + 3) / 6, clipped to [0, 1]."""
    return 0.0 if z <= -3.0 else 1.0 if z >= 3.0 else (z + 3.0) / 6.0


def hard_sigmoid_derivative(z: float) -> float:
    """f'(z) = 1 / 6 strictly between -3 and 3, else 0."""
    return 1.0 / 6.0 if -3.0 < z < 3.0 else 0.0


def hard_tanh(z: float, min_val: float = -1.0, max_val: float = 1.0) -> float:
    """f(z) = z, clipped to [min_val, max_val]."""
    return min_val if z <= min_val else max_val if z >= max_val else z


def hard_tanh_derivative(z: float, min_val: float = -1.0, max_val: float = 1.0) -> float:
    """f'(z) = 1 strictly between min_val and max_val, else 0."""
    return 1.0 if min_val < z < max_val else 0.0


STEPWISE_SIGMOID = (  # FANN's corners (x, y), with x twice FANN's, and FANN's own rounding
    (-5.293304920196533, 0.004999999888241291),
    (-2.944438934326172, 0.05000000074505806),
    (-1.0986123085021973, 0.25),
    (1.0986123085021973, 0.75),
    (2.9444386959075928, 0.949999988079071),
    (5.29330587387085, 0.9950000047683716),
)
STEPWISE_TANH = (
    (-2.6466529369354248, -0.9900000095367432),
    (-1.4722193479537964, -0.8999999761581421),
    (-0.5493061542510986, -0.5),
    (0.5493061542510986, 0.5),
    (1.4722193479537964, 0.8999999761581421),
    (2.6466529369354248, 0.9900000095367432),
)


def _line(corners: Sequence[tuple[float, float]], z: float) -> tuple[float, float, float]:
    """Return x and y where the line of z begins, and its slope; at a corner, the line on the left."""
    end = next((i for i, (x, _) in enumerate(corners) if i > 0 and z <= x), len(corners) - 1)
    (x, y), (x_next, y_next) = corners[end - 1], corners[end]
    return x, y, (y_next - y) / (x_next - x)


def _stepwise(corners: Sequence[tuple[float, float]], minimum: float, z: float) -> float:
    if not corners[0][0] <= z < corners[-1][0]:
        return z if math.isnan(z) else minimum if z < 0 else 1.0
    x, y, slope = _line(corners, z)
    return y + slope * (z - x)


def _stepwise_derivative(corners: Sequence[tuple[float, float]], z: float) -> float:
    if math.isnan(z):
        return z
    return _line(corners, z)[2] if corners[0][0] < z < corners[-1][0] else 0.0


def stepwise_sigmoid(z: float) -> float:
    """f(z) on lines between the corners of `STEPWISE_SIGMOID`; 0 below the first, 1 from the last on."""
    return _stepwise(STEPWISE_SIGMOID, 0.0, z)


def stepwise_sigmoid_derivative(z: float) -> float:
    """f'(z) is the slope of the line, at a corner that of the line on the left; 0 from the jumps on."""
    return _stepwise_derivative(STEPWISE_SIGMOID, z)


def stepwise_tanh(z: float) -> float:
    """f(z) on lines between the corners of `STEPWISE_TANH`; -1 below the first, 1 from the last on."""
    return _stepwise(STEPWISE_TANH, -1.0, z)


def stepwise_tanh_derivative(z: float) -> float:
    """f'(z) is the slope of the line, at a corner that of the line on the left; 0 from the jumps on."""
    return _stepwise_derivative(STEPWISE_TANH, z)


def sine(z: float, omega: float = 1.0) -> float:
    """f(z) = sin(omega z), and NaN where omega z is infinite."""
    return math.sin(omega * z) if math.isfinite(omega * z) else math.nan


def sine_derivative(z: float, omega: float = 1.0) -> float:
    """f'(z) = omega cos(omega z)."""
    return omega * math.cos(omega * z) if math.isfinite(omega * z) else math.nan


def custom(z: float, functions: Sequence[Callable[[float], Any]]) -> float:
    """f(z) of a custom activation; here its functions take one number at a time."""
    return float(functions[0](z))


def custom_derivative(z: float, functions: Sequence[Callable[[float], Any]]) -> float:
    """f'(z) of a custom activation."""
    return float(functions[1](z))


def softmax(z: Sequence[float]) -> Vector:
    """f(z)_o = exp(z_o) / sum_p exp(z_p) over the elements of a row."""
    largest = max(z)
    e = [math.exp(v - largest) for v in z]
    total = sum(e)
    return [v / total for v in e]


# --- optimisers: step t = 1, 2, ... updates in place one row p of P, with gradient g and state; o has the fields -----


def sgd(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r g; with momentum P <- P - r v and v <- mu v + g (Nesterov: g + mu v in place of v).

    P - r g: "Mathematics of machine learning: How does mathematics enable neural networks to 'learn' to solve problems
    with real-world applications?", section 4.
    """
    r, mu = o.learning_rate, o.momentum
    if mu:
        v = state[0]
        v[:] = [mu * a + d for a, d in zip(v, g)]
        g = [d + mu * a for a, d in zip(v, g)] if o.nesterov else v
    p[:] = [a - r * d for a, d in zip(p, g)]


def classical_momentum(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """v <- mu v + r g and P <- P - v (Nesterov: r g + mu v in place of v)."""
    r, mu, v = o.learning_rate, o.momentum, state[0]
    v[:] = [mu * a + r * d for a, d in zip(v, g)]
    p[:] = [a - (r * d + mu * b if o.nesterov else b) for a, d, b in zip(p, g, v)]


def adam(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r m' / (sqrt(v') + epsilon) with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t)."""
    r, b1, b2, epsilon, sqrt = o.learning_rate, o.beta_1, o.beta_2, o.epsilon, math.sqrt
    c1, c2 = 1.0 - b1**t, 1.0 - b2**t
    m, v = state
    m[:] = [b1 * a + (1.0 - b1) * d for a, d in zip(m, g)]
    v[:] = [b2 * a + (1.0 - b2) * d * d for a, d in zip(v, g)]
    p[:] = [a - r * (b / c1) / (sqrt(c / c2) + epsilon) for a, b, c in zip(p, m, v)]


def adam_hat(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r sqrt(1 - beta_2^t) / (1 - beta_1^t) m / (sqrt(v) + epsilon), m and v as in Adam."""
    r, b1, b2, epsilon, sqrt = o.learning_rate, o.beta_1, o.beta_2, o.epsilon, math.sqrt
    r *= sqrt(1.0 - b2**t) / (1.0 - b1**t)
    m, v = state
    m[:] = [b1 * a + (1.0 - b1) * d for a, d in zip(m, g)]
    v[:] = [b2 * a + (1.0 - b2) * d * d for a, d in zip(v, g)]
    p[:] = [a - r * b / (sqrt(c) + epsilon) for a, b, c in zip(p, m, v)]


def adamw(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P (1 - r weight_decay), then a step of Adam."""
    kept = 1.0 - o.learning_rate * o.weight_decay
    p[:] = [a * kept for a in p]
    adam(p, g, state, t, o)


def nadam(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r [(1 - mu_t) g / (1 - M) + mu_(t+1) m / (1 - M mu_(t+1))] / (sqrt(v') + epsilon), M = mu_1 ... mu_t.

    mu_i = beta_1 (1 - 0.96^(i momentum_decay) / 2); m and v' as in Adam.
    """
    b1, b2, epsilon, sqrt, c2 = o.beta_1, o.beta_2, o.epsilon, math.sqrt, 1.0 - o.beta_2**t
    mu = [b1 * (1.0 - 0.5 * 0.96 ** (i * o.momentum_decay)) for i in range(1, t + 2)]
    product = math.prod(mu[:t])
    of_g = o.learning_rate * (1.0 - mu[t - 1]) / (1.0 - product)
    of_m = o.learning_rate * mu[t] / (1.0 - product * mu[t])
    m, v = state
    m[:] = [b1 * a + (1.0 - b1) * d for a, d in zip(m, g)]
    v[:] = [b2 * a + (1.0 - b2) * d * d for a, d in zip(v, g)]
    p[:] = [a - (of_g * d + of_m * b) / (sqrt(c / c2) + epsilon) for a, d, b, c in zip(p, g, m, v)]


def rmsprop(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r u with u = g / (sqrt(v) + epsilon) and v <- alpha v + (1 - alpha) g^2.

    If centered, v - a^2 with a <- alpha a + (1 - alpha) g is in place of v. With momentum, b <- mu b + u is in place of
    u.
    """
    r, alpha, mu, epsilon = o.learning_rate, o.alpha, o.momentum, o.epsilon
    v, b, a = state
    v[:] = [alpha * c + (1.0 - alpha) * d * d for c, d in zip(v, g)]
    size = v
    if o.centered:
        a[:] = [alpha * c + (1.0 - alpha) * d for c, d in zip(a, g)]
        size = [max(0.0, c - e * e) for c, e in zip(v, a)]
    u = [d / (math.sqrt(c) + epsilon) for d, c in zip(g, size)]
    if mu:
        u = b[:] = [mu * c + d for c, d in zip(b, u)]
    p[:] = [c - r * d for c, d in zip(p, u)]


def adagrad(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r / (1 + (t - 1) learning_rate_decay) g / (sqrt(v) + epsilon) with v <- v + g^2.

    v is initial_accumulator before the first step.
    """
    r = o.learning_rate / (1.0 + (t - 1) * o.learning_rate_decay)
    start = o.initial_accumulator if t == 1 else 0.0
    v = state[0]
    v[:] = [a + start + d * d for a, d in zip(v, g)]
    p[:] = [a - r * d / (math.sqrt(b) + o.epsilon) for a, d, b in zip(p, g, v)]


def sign(a: float) -> float:
    """1 for a > 0, -1 for a < 0, else a itself, which is 0 or NaN."""
    return 1.0 if a > 0.0 else -1.0 if a < 0.0 else a


def lion(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P (1 - r weight_decay) - r sign(beta_1 m + (1 - beta_1) g), then m <- beta_2 m + (1 - beta_2) g."""
    r, b1, b2, kept = o.learning_rate, o.beta_1, o.beta_2, 1.0 - o.learning_rate * o.weight_decay
    m = state[0]
    p[:] = [kept * a - r * sign(b1 * b + (1.0 - b1) * d) for a, b, d in zip(p, m, g)]
    m[:] = [b2 * b + (1.0 - b2) * d for b, d in zip(m, g)]


def rprop(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - s sign(g) with a step size s for each parameter, initially r.

    s is multiplied by eta_plus where g has the sign of the step before, and by eta_minus where it has the other sign;
    there g is replaced by 0. s is clipped to [least_step, largest_step].
    """
    before, s = state
    factor = {1.0: o.eta_plus, -1.0: o.eta_minus}
    agree = [sign(a) * sign(d) for a, d in zip(before, g)]
    start = o.learning_rate if t == 1 else 0.0
    s[:] = [min(max((a + start) * factor.get(b, 1.0), o.least_step), o.largest_step) for a, b in zip(s, agree)]
    before[:] = [0.0 if b < 0.0 else d for d, b in zip(g, agree)]
    p[:] = [a - b * sign(d) for a, b, d in zip(p, s, before)]


# --- the random number generator ---------------------------------------------------------------------------------


class SplitMix64:
    """The random number generator of Steele, Lea and Flood (2014); it gives the same numbers as the compiled one.

    Examples
    --------
    >>> SplitMix64(1234567).next()
    6457827717110365317
    """

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        """64 random bits."""
        mask = 0xFFFFFFFFFFFFFFFF
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """A number in [0, 1) with 53 random bits."""
        return (self.next() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return (self.next() * n) >> 64

    def normal(self) -> float:
        """A number from N(0, 1), the cosine of the two numbers that the Box-Muller transform gives."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())

    def permutation(self, n: int) -> list[int]:
        """0 ... n - 1 in random order, by the Fisher-Yates shuffle from the last index down."""
        p = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            p[i], p[j] = p[j], p[i]
        return p


# --- the tables by name -------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A row of a table: a function, its derivative if it has one, and its hyper-parameters with their defaults."""

    value: Callable[..., Any]
    derivative: Callable[..., Any] | None = None
    fields: Mapping[str, Any] = {}
    n_states: int = 0  # of an optimiser: number of its state vectors for each row of P
    init: str = "glorot_uniform"  # of an activation: the rule that init="auto" uses in a layer with it


ACTIVATIONS = {
    "identity": Entry(identity, identity_derivative),
    "sigmoid": Entry(sigmoid, sigmoid_derivative, {"beta": 1.0}),
    "tanh": Entry(tanh, tanh_derivative),
    "relu": Entry(relu, relu_derivative, init="he_uniform"),
    "piecewise_linear": Entry(piecewise_linear, piecewise_linear_derivative, {"x_min": -1.0, "x_max": 1.0}),
    "gaussian": Entry(gaussian, gaussian_derivative, {"mu": 0.0, "sigma": 1.0}),
    "threshold": Entry(threshold, threshold_derivative),
    "leaky_relu": Entry(leaky_relu, leaky_relu_derivative, {"negative_slope": 0.01}, init="he_uniform"),
    "elu": Entry(elu, elu_derivative, {"alpha": 1.0}, init="he_uniform"),
    "selu": Entry(selu, selu_derivative, init="lecun_normal"),
    "gelu": Entry(gelu, gelu_derivative, {"approximate": "none"}, init="he_uniform"),
    "silu": Entry(silu, silu_derivative, init="he_uniform"),
    "mish": Entry(mish, mish_derivative, init="he_uniform"),
    "softplus": Entry(softplus, softplus_derivative, {"beta": 1.0}),
    "softsign": Entry(softsign, softsign_derivative),
    "hard_sigmoid": Entry(hard_sigmoid, hard_sigmoid_derivative),
    "hard_tanh": Entry(hard_tanh, hard_tanh_derivative, {"min_val": -1.0, "max_val": 1.0}),
    "sine": Entry(sine, sine_derivative, {"omega": 1.0}),
    "stepwise_sigmoid": Entry(stepwise_sigmoid, stepwise_sigmoid_derivative),
    "stepwise_tanh": Entry(stepwise_tanh, stepwise_tanh_derivative),
    "custom": Entry(custom, custom_derivative, {"functions": None}),
    "softmax": Entry(softmax),
}
ALIASES = {"linear": "identity", "logistic": "sigmoid", "swish": "silu"}
ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
RMSPROP = {"learning_rate": 0.01, "alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0, "centered": False}
ADAGRAD = {"learning_rate": 0.01, "learning_rate_decay": 0.0, "initial_accumulator": 0.0, "epsilon": 1e-10}
LION = {"learning_rate": 0.0001, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0}
RPROP = {"learning_rate": 0.01, "eta_minus": 0.5, "eta_plus": 1.2, "least_step": 1e-6, "largest_step": 50.0}
OPTIMIZERS = {
    "sgd": Entry(sgd, fields={"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}, n_states=1),
    "classical_momentum": Entry(
        classical_momentum, fields={"learning_rate": 0.01, "momentum": 0.9, "nesterov": False}, n_states=1
    ),
    "adam": Entry(adam, fields=ADAM, n_states=2),
    "adam_hat": Entry(adam_hat, fields=ADAM, n_states=2),
    "adamw": Entry(adamw, fields={**ADAM, "weight_decay": 0.01}, n_states=2),
    "nadam": Entry(nadam, fields={**ADAM, "learning_rate": 0.002, "momentum_decay": 0.004}, n_states=2),
    "rmsprop": Entry(rmsprop, fields=RMSPROP, n_states=3),
    "adagrad": Entry(adagrad, fields=ADAGRAD, n_states=1),
    "lion": Entry(lion, fields=LION, n_states=1),
    "rprop": Entry(rprop, fields=RPROP, n_states=2),
}
