"""The losses: functions for the value of one row and its derivative, and the table that names them.

A function with an argument y takes the outputs. A loss with an exponential or a logarithm takes z in its place, the
pre-activations of the last layer, so that nothing has to be clipped; where the partner is the sigmoid, z is passed as
beta z. t is the target, `loss` has the hyper-parameters as attributes, and O is the number of outputs. A derivative at
a corner is 0. No function depends on a network or checks its arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .functions import Vector, sigmoid, softmax

Row = Sequence[float]


def softplus(z: float) -> float:
    """ln(1 + exp z)."""
    return max(z, 0.0) + math.log1p(math.exp(-abs(z)))


def exp(z: float) -> float:
    """exp z, and infinity where exp z overflows."""
    return math.exp(z) if z < 709.0 else math.inf


# --- losses of the error y - t ---


def squared_error(y: Row, t: Row, loss: Any = None) -> float:
    """C = sum_o (y - t)^2.

    "Mathematics of machine learning: How does mathematics enable neural networks to 'learn' to solve problems with
    real-world applications?", section 4.
    """
    return sum([(a - b) * (a - b) for a, b in zip(y, t)])


def squared_error_derivative(y: Row, t: Row, loss: Any = None) -> Vector:
    """dC/dy = 2 (y - t)."""
    return [2.0 * (a - b) for a, b in zip(y, t)]


def half_squared_error(y: Row, t: Row, loss: Any = None) -> float:
    """C = 1/2 sum_o (y - t)^2.

    A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 4, where it is called "MSE".
    """
    return 0.5 * squared_error(y, t)


def half_squared_error_derivative(y: Row, t: Row, loss: Any = None) -> Vector:
    """dC/dy = y - t."""
    return [a - b for a, b in zip(y, t)]


def mse(y: Row, t: Row, loss: Any = None) -> float:
    """C = 1/O sum_o (y - t)^2."""
    return squared_error(y, t) / len(y)


def mse_derivative(y: Row, t: Row, loss: Any = None) -> Vector:
    """dC/dy = 2/O (y - t)."""
    factor = 2.0 / len(y)
    return [factor * (a - b) for a, b in zip(y, t)]


def mae(y: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o |y - t|."""
    return sum([abs(a - b) for a, b in zip(y, t)]) / len(y)


def mae_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy = sign(y - t) / O."""
    return [((a > b) - (a < b)) / len(y) for a, b in zip(y, t)]


def huber(y: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o h(y - t) with h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2)."""
    delta = loss.delta
    errors = [abs(a - b) for a, b in zip(y, t)]
    return sum([0.5 * e * e if e <= delta else delta * (e - 0.5 * delta) for e in errors]) / len(y)


def huber_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy = (y - t) / O, with y - t clipped to [-delta, delta]."""
    return [max(-loss.delta, min(loss.delta, a - b)) / len(y) for a, b in zip(y, t)]


def log_cosh(y: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o ln cosh e with e = y - t.

    ln cosh e is computed as ln(1 + 2 sinh^2(e / 2)) where |e| < 1, else as |e| - ln 2 + ln(1 + exp(-2 |e|)).
    """
    errors = [abs(a - b) for a, b in zip(y, t)]
    near = [math.log1p(2.0 * math.sinh(0.5 * e) ** 2) if e < 1.0 else 0.0 for e in errors]
    far = [e - math.log(2.0) + math.log1p(math.exp(-2.0 * e)) if e >= 1.0 else 0.0 for e in errors]
    return (sum(near) + sum(far)) / len(y)


def log_cosh_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy = tanh(y - t) / O."""
    return [math.tanh(a - b) / len(y) for a, b in zip(y, t)]


def _levels(y: Row, t: Row, loss: Any) -> list[tuple[float, float]]:
    """(q, t - y) of each output; the outputs of the first level come first, in the order of the targets."""
    return [(q, b - y[k * len(t) + i]) for k, q in enumerate(loss.levels) for i, b in enumerate(t)]


def quantile(y: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o max(q e, (q - 1) e) with e = t - y, for each level q and target t."""
    return sum([q * e if e > 0.0 else (q - 1.0) * e for q, e in _levels(y, t, loss)]) / len(y)


def quantile_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy = -q / O where e > 0, (1 - q) / O where e < 0."""
    return [(-q if e > 0.0 else 1.0 - q if e < 0.0 else 0.0) / len(y) for q, e in _levels(y, t, loss)]


def custom(y: Row, t: Row, loss: Any) -> float:
    """C of a custom loss, whose function takes and returns lists of rows."""
    return float(loss.function([list(y)], [list(t)])[0][0])


def custom_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy of a custom loss."""
    return list(map(float, loss.function([list(y)], [list(t)])[1][0]))


# --- negative log-likelihoods ---


def poisson(z: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o (exp z - t z)."""
    return sum([exp(a) - b * a for a, b in zip(z, t)]) / len(z)


def poisson_derivative(z: Row, t: Row, loss: Any) -> Vector:
    """dC/dz = (exp z - t) / O."""
    return [(exp(a) - b) / len(z) for a, b in zip(z, t)]


def gamma(z: Row, t: Row, loss: Any) -> float:
    """C = 1/O sum_o (z + t exp(-z))."""
    return sum([a + b * exp(-a / 2) * exp(-a / 2) for a, b in zip(z, t)]) / len(z)


def gamma_derivative(z: Row, t: Row, loss: Any) -> Vector:
    """dC/dz = (1 - t exp(-z)) / O."""
    return [(1.0 - b * exp(-a / 2) * exp(-a / 2)) / len(z) for a, b in zip(z, t)]


def _square(x: float) -> float:
    """x^2, and infinity where it overflows, where x ** 2 would raise `OverflowError`."""
    return x * x


def gaussian_nll(z: Row, t: Row, loss: Any) -> float:
    """C = 1/n sum_i (s + (z - t)^2 exp(-s)) / 2 for n targets; the first n outputs are the means z, the others s."""
    n = len(t)
    return sum([0.5 * (s + _square((a - b) * exp(-s / 2))) for a, s, b in zip(z[:n], z[n:], t)]) / n


def gaussian_nll_derivative(z: Row, t: Row, loss: Any) -> Vector:
    """dC/dz = (z - t) exp(-s) / n, followed by dC/ds = (1 - (z - t)^2 exp(-s)) / (2 n)."""
    n = len(t)
    heads = list(zip(z[:n], z[n:], t))
    means = [(a - b) * exp(-s / 2) * exp(-s / 2) / n for a, s, b in heads]
    return means + [0.5 * (1.0 - _square((a - b) * exp(-s / 2))) / n for a, s, b in heads]


# --- losses of classes ---


def smoothed(t: Row, smoothing: float, n_classes: int) -> Vector:
    """Label smoothing: (1 - e) t + e / n_classes, with e the smoothing."""
    return [(1.0 - smoothing) * b + smoothing / n_classes for b in t] if smoothing else list(t)


def _smoothing(loss: Any) -> float:
    return 0.0 if loss is None else float(loss.label_smoothing)


def binary_cross_entropy(z: Row, t: Row, loss: Any = None) -> float:
    """C = -sum_o [t ln y + (1 - t) ln(1 - y)] with y = sigmoid z, from -ln y = softplus(-z)."""
    total = 0.0
    for a, b in zip(z, smoothed(t, _smoothing(loss), 2)):
        wrong = (1.0 - b) * a if a >= 0.0 else -b * a
        total += wrong + math.log1p(math.exp(-abs(a)))
    return total


def binary_cross_entropy_derivative(z: Row, t: Row, loss: Any = None) -> Vector:
    """dC/dz = y - t."""
    return [sigmoid(a) - b for a, b in zip(z, smoothed(t, _smoothing(loss), 2))]


def _log_softmax(z: Row) -> Vector:
    """ln y with y = softmax z, from -ln y_o = ln(sum_p exp z_p) - z_o."""
    peak = max(range(len(z)), key=z.__getitem__)
    largest = z[peak]
    log_total = math.log1p(sum([math.exp(v - largest) for o, v in enumerate(z) if o != peak]))
    return [-((largest - a) + log_total) for a in z]


def cross_entropy(z: Row, t: Row, loss: Any = None) -> float:
    """C = -sum_o t ln y with y = softmax z."""
    return -sum([b * a for a, b in zip(_log_softmax(z), smoothed(t, _smoothing(loss), len(z)))])


def cross_entropy_derivative(z: Row, t: Row, loss: Any = None) -> Vector:
    """dC/dz = (sum_p t_p) y - t."""
    t = smoothed(t, _smoothing(loss), len(z))
    weight = sum(t)
    return [weight * a - b for a, b in zip(softmax(z), t)]


def binary_focal(z: Row, t: Row, loss: Any) -> float:
    """C = -sum_o [t (1 - y)^gamma ln y + (1 - t) y^gamma ln(1 - y)] with y = sigmoid z."""
    total = 0.0
    for a, b in zip(z, t):
        total += b * sigmoid(-a) ** loss.gamma * softplus(-a) + (1.0 - b) * sigmoid(a) ** loss.gamma * softplus(a)
    return total


def binary_focal_derivative(z: Row, t: Row, loss: Any) -> Vector:
    """dC/dz = t (1-y)^gamma (gamma y ln y - (1-y)) - (1-t) y^gamma (gamma (1-y) ln(1-y) - y)."""
    row = []
    for a, b in zip(z, t):
        y, other, power = sigmoid(a), sigmoid(-a), loss.gamma
        positive = other**power * (-power * y * softplus(-a) - other)
        row.append(b * positive - (1.0 - b) * y**power * (-power * other * softplus(a) - y))
    return row


def focal(z: Row, t: Row, loss: Any) -> float:
    """C = -sum_o t (1 - y)^gamma ln y with y = softmax z."""
    return float(-sum([b * (-math.expm1(a)) ** loss.gamma * a for a, b in zip(_log_softmax(z), t)]))


def focal_derivative(z: Row, t: Row, loss: Any) -> Vector:
    """dC/dz = g - y sum_p g_p with g = t (1 - y)^gamma (gamma y ln y / (1 - y) - 1)."""
    row = []
    for a, b in zip(_log_softmax(z), t):
        other = -math.expm1(a)
        ratio = a / other if other else -1.0  # the limit of ln y / (1 - y) at y = 1
        row.append(b * other**loss.gamma * (loss.gamma * math.exp(a) * ratio - 1.0))
    total = sum(row)
    return [g - a * total for g, a in zip(row, softmax(z))]


def hinge(y: Row, t: Row, loss: Any) -> float:
    """C = max(0, margin - s y) for one output, with s = 1 where t > 0, else -1.

    For several outputs C = 1/O sum_o max(0, margin - y_c + y_o) over the outputs o other than that of the class c.
    """
    return sum([violation for _, violation in _violations(y, t, loss)]) / len(y)


def hinge_derivative(y: Row, t: Row, loss: Any) -> Vector:
    """dC/dy = -s for one output where max(0, ...) is positive, else 0.

    For several outputs, each o whose term is positive adds 1/O to dC/dy_o and -1/O to dC/dy_c.
    """
    if len(y) == 1:
        return [-(1.0 if t[0] > 0.0 else -1.0) if violation > 0.0 else 0.0 for _, violation in _violations(y, t, loss)]
    row = [0.0] * len(y)
    for o, violation in _violations(y, t, loss):
        if violation > 0.0:
            row[o] += 1.0 / len(y)
            row[list(t).index(max(t))] -= 1.0 / len(y)
    return row


def _violations(y: Row, t: Row, loss: Any) -> list[tuple[int, float]]:
    """(o, max(0, ...)) of each term of the loss: of the only output, or of each output o other than the class's."""
    if len(y) == 1:
        return [(0, max(0.0, loss.margin - (y[0] if t[0] > 0.0 else -y[0])))]
    c = list(t).index(max(t))
    return [(o, max(0.0, loss.margin - y[c] + a)) for o, a in enumerate(y) if o != c]


class Entry(NamedTuple):
    """A row of the table: the loss and its derivative, and how a network uses it."""

    value: Callable[..., float]
    derivative: Callable[..., Vector]
    fields: Mapping[str, Any] = {}  # its hyper-parameters with their defaults
    partner: str | None = None  # the only output activation that it can be used with; None if it takes any
    from_z: bool = False  # whether its functions take z in place of y
    classifies: bool = False  # whether accuracy is reported
    targets: str = "real"  # a key of TARGETS
    threshold: float = 0.5  # a single output above it predicts class 1


LOSSES = {
    "mse": Entry(mse, mse_derivative),
    "squared_error": Entry(squared_error, squared_error_derivative),
    "half_squared_error": Entry(half_squared_error, half_squared_error_derivative),
    "mae": Entry(mae, mae_derivative),
    "huber": Entry(huber, huber_derivative, {"delta": 1.0}),
    "log_cosh": Entry(log_cosh, log_cosh_derivative),
    "quantile": Entry(quantile, quantile_derivative, {"levels": (0.5,)}),
    "poisson": Entry(poisson, poisson_derivative, {}, "identity", True, targets="not negative"),
    "gamma": Entry(gamma, gamma_derivative, {}, "identity", True, targets="positive"),
    "gaussian_nll": Entry(gaussian_nll, gaussian_nll_derivative, {}, "identity", True),
    "binary_cross_entropy": Entry(
        binary_cross_entropy,
        binary_cross_entropy_derivative,
        {"label_smoothing": 0.0},
        "sigmoid",
        True,
        True,
        "probability",
    ),
    "cross_entropy": Entry(
        cross_entropy, cross_entropy_derivative, {"label_smoothing": 0.0}, "softmax", True, True, "probability"
    ),
    "binary_focal": Entry(binary_focal, binary_focal_derivative, {"gamma": 2.0}, "sigmoid", True, True, "probability"),
    "focal": Entry(focal, focal_derivative, {"gamma": 2.0}, "softmax", True, True, "probability"),
    "hinge": Entry(hinge, hinge_derivative, {"margin": 1.0}, classifies=True, targets="one class", threshold=0.0),
    "custom": Entry(custom, custom_derivative, {"function": None}),
}
TARGETS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "real": ("targets", lambda t: True),
    "probability": ("targets in [0, 1]", lambda t: 0.0 <= t <= 1.0),
    "not negative": ("targets of at least 0", lambda t: t >= 0.0),
    "positive": ("targets above 0", lambda t: t > 0.0),
    "one class": ("targets -1 and 1, or 0 and 1, with one 1 in rows of several", lambda t: t in (-1.0, 0.0, 1.0)),
}


def estimate(y: Vector, loss: Any) -> Vector:
    """Estimate the targets from the outputs of a row.

    The estimate is the rate, the mean, the quantile nearest to the median, or the outputs themselves. The single score
    of a hinge loss is shifted so that its threshold is 0.5.
    """
    if loss.name in ("poisson", "gamma"):
        return [exp(z) for z in y]
    if loss.name == "hinge" and len(y) == 1:
        return [max(y[0] + 0.5, math.nextafter(0.5, 1.0)) if y[0] > 0.0 else y[0] + 0.5]
    n_targets = len(y) // n_heads(loss)
    levels = loss.levels if loss.name == "quantile" else (0.5,)
    nearest = min(range(len(levels)), key=lambda k: abs(levels[k] - 0.5))
    return y[nearest * n_targets : (nearest + 1) * n_targets]


def n_heads(loss: Any) -> int:
    """Number of outputs for each number in a target."""
    return len(loss.levels) if loss.name == "quantile" else 2 if loss.name == "gaussian_nll" else 1
