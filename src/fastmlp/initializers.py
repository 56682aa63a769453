"""Rules for initial weights: for each name, which distribution a layer of I inputs and O outputs draws from.

A rule gives ("uniform", limit) or ("normal", standard deviation), and whether biases are drawn as well; otherwise
they are 0. The drawing itself is compiled, and its order is stated in docs/design.md. To add one: a rule and its
line in `INITIALIZERS`, and the same in `reference/model.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .activations import Activation

Distribution = tuple[str, float, bool]
Rule = Callable[[int, int, Activation], Distribution]


def glorot_uniform(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """U(-a, a) with a = sqrt(6 / (I + O)) (Glorot and Bengio 2010)."""
    return "uniform", math.sqrt(6 / (n_inputs + n_outputs)), False


def he_uniform(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """U(-a, a) with a = sqrt(6 / ((1 + s^2) I)), s the negative slope of a leaky ReLU, else 0 (He et al. 2015)."""
    slope = getattr(activation, "negative_slope", 0.0)
    return "uniform", math.sqrt(6 / ((1 + slope * slope) * n_inputs)), False


def lecun_normal(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """N(0, 1 / I) (LeCun et al. 1998)."""
    return "normal", math.sqrt(1 / n_inputs), False


def normal(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """N(0, 1), biases too, as in the sources' networks."""
    return "normal", 1.0, True


def auto(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """What goes with the activation: He uniform before the ReLU family, LeCun normal before SELU, or Glorot uniform."""
    return INITIALIZERS[activation.initializer](n_inputs, n_outputs, activation)


INITIALIZERS: dict[str, Rule] = {
    rule.__name__: rule for rule in (auto, glorot_uniform, he_uniform, lecun_normal, normal)
}
