"""Rules for initial weights: the distribution that a layer of I inputs and O outputs is drawn from, by name.

A rule returns ("uniform", limit, biases) or ("normal", standard deviation, biases). `biases` says whether the biases
are drawn from that distribution too; otherwise they are 0. The compiled core draws the numbers, in the order that
docs/design.md states. To add a rule, write a function here and its line in `INITIALIZERS`, and add it to
`reference/model.py`.
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
    """U(-a, a) with a = sqrt(6 / ((1 + s^2) I)); s is the negative slope of a leaky ReLU, else 0 (He et al. 2015)."""
    slope = getattr(activation, "negative_slope", 0.0)
    return "uniform", math.sqrt(6 / ((1 + slope * slope) * n_inputs)), False


def lecun_normal(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """N(0, 1 / I) (LeCun et al. 1998)."""
    return "normal", math.sqrt(1 / n_inputs), False


def normal(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """N(0, 1) for weights and biases, as in M. Nielsen, "Neural Networks and Deep Learning", chapter 1."""
    return "normal", 1.0, True


def auto(n_inputs: int, n_outputs: int, activation: Activation) -> Distribution:
    """The activation's own rule: LeCun normal for SELU, He uniform for the ReLU family, else Glorot uniform."""
    return INITIALIZERS[activation.initializer](n_inputs, n_outputs, activation)


INITIALIZERS: dict[str, Rule] = {
    rule.__name__: rule for rule in (auto, glorot_uniform, he_uniform, lecun_normal, normal)
}
