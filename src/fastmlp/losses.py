"""Losses: one immutable class each. A loss is the mean over the batch's rows of a value per row.

An object says which loss is meant and which output activation is its partner; values and gradients come
from the compiled kernel of the same name (`csrc/losses.inc`). In the formulas y is the network's output,
t the target, O the number of outputs. To add one: a class and its line in `LOSSES` here, a kernel and
its row there, a function in `reference/functions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from . import arguments
from .activations import Activation, Identity, Sigmoid, Softmax


@dataclass(frozen=True)
class Loss:
    """What all losses have: a name, and the output activation that belongs to them."""

    name: ClassVar[str]
    partner: ClassVar[type[Activation]] = Identity
    exclusive: ClassVar[bool] = False  # only the partner will do
    classifies: ClassVar[bool] = False  # `evaluate` reports accuracy
    probabilities: ClassVar[bool] = False  # targets lie in [0, 1]


@dataclass(frozen=True)
class SquaredError(Loss):
    """sum_o (y - t)^2, the essay's cost.

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=SquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # 1 + 4 + 1
    {'loss': 6.0}
    """

    name: ClassVar[str] = "squared_error"


@dataclass(frozen=True)
class HalfSquaredError(Loss):
    """1/2 sum_o (y - t)^2, the paper's cost (printed there as "MSE").

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=HalfSquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # (1 + 4 + 1) / 2
    {'loss': 3.0}
    """

    name: ClassVar[str] = "half_squared_error"


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """1/O sum_o (y - t)^2, the field's MSE.

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=MeanSquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # (1 + 4 + 1) / 3
    {'loss': 2.0}
    """

    name: ClassVar[str] = "mse"


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """-sum_o [t ln y + (1 - t) ln(1 - y)] for sigmoid outputs, computed from z, never from a clipped y.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=BinaryCrossEntropy())
    >>> net.set_layer(0, [[1]], [0])
    >>> loss = net.evaluate([[0.0], [800.0]], [1, 0])["loss"]  # the mean of ln 2 and 800
    >>> round(loss, 4)
    400.3466
    """

    name: ClassVar[str] = "binary_cross_entropy"
    partner: ClassVar[type[Activation]] = Sigmoid
    exclusive: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    probabilities: ClassVar[bool] = True


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """-ln y_label for softmax outputs, -sum_o t ln y for a row of target probabilities; computed from z.

    Examples
    --------
    >>> net = fastmlp.Network([1, 4], loss=CrossEntropy())
    >>> net.set_layer(0, [[1], [1], [1], [1]], [0, 0, 0, 0])
    >>> loss = net.evaluate([1.0], 2)["loss"]  # four classes alike: ln 4
    >>> round(loss, 4)
    1.3863
    """

    name: ClassVar[str] = "cross_entropy"
    partner: ClassVar[type[Activation]] = Softmax
    exclusive: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    probabilities: ClassVar[bool] = True


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss for loss in (MeanSquaredError, SquaredError, HalfSquaredError, BinaryCrossEntropy, CrossEntropy)
}


def resolve(argument: str, value: object) -> Loss:
    """The loss that a name or an object stands for."""
    loss = arguments.by_name(argument, value, Loss, LOSSES)
    if type(loss) not in LOSSES.values():
        raise TypeError(f"{argument}: expected one of fastmlp's losses, got {value!r}")
    return loss


def match(loss: Loss, output_activation: Activation | None) -> Activation:
    """The output activation to use with the loss; refuses what does not belong together, naming the partner."""
    if output_activation is None:
        return loss.partner()
    if loss.exclusive and not isinstance(output_activation, loss.partner):
        raise ValueError(
            f"output_activation: expected {loss.partner.name!r}, the partner of loss {loss.name!r}, "
            f"got {output_activation.name!r}"
        )
    if isinstance(output_activation, Softmax) and not isinstance(loss, CrossEntropy):
        raise ValueError(
            f"output_activation: 'softmax' expects its partner, loss 'cross_entropy', got loss {loss.name!r}"
        )
    return output_activation
