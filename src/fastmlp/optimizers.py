"""Optimisers: one immutable class each, with its update rule and hyper-parameters.

The update of the whole parameter vector P by the gradient g of the batch's mean loss is one compiled
pass (`csrc/optimizers.inc`); its state (velocity, moments, number of steps) belongs to the network.
The order of an object's fields is the order of the kernel's parameters. To add one: a class and its line
in `OPTIMIZERS` here, a kernel and its row there, a branch-free update in `reference/functions.py`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import ClassVar

from . import arguments


def _learning_rate(value: object) -> float:
    hint = "; the step is P - learning_rate * gradient, so a positive rate descends"
    return arguments.real("learning_rate", value, above=0.0, hint=hint)


@dataclass(frozen=True)
class Optimizer:
    """What all optimisers have: a name and hyper-parameters."""

    name: ClassVar[str]

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields as floats, in the kernel's order."""
        return tuple(float(value) for value in astuple(self))


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, P <- P - r v with v <- mu v + g (Nesterov: with g + mu v in place of v).

    Parameters
    ----------
    learning_rate : float, default 0.01
        r; above 0.
    momentum : float, default 0.0
        mu; in [0, 1).
    nesterov : bool, default False
        Look ahead along the velocity; needs a momentum above 0.

    References
    ----------
    The essay's P - r grad C; momentum and Nesterov as in PyTorch.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    name: ClassVar[str] = "sgd"
    learning_rate: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", _learning_rate(self.learning_rate))
        object.__setattr__(self, "momentum", arguments.real("momentum", self.momentum, least=0.0, below=1.0))
        object.__setattr__(self, "nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov: expected a momentum above 0 to go with it, got momentum=0.0")


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam, P <- P - r m' / (sqrt(v') + epsilon), with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t).

    Parameters
    ----------
    learning_rate : float, default 0.001
        r; above 0.
    beta_1, beta_2 : float, default 0.9 and 0.999
        Decay of the first and second moment; in [0, 1).
    epsilon : float, default 1e-8
        Added after the bias correction, as in PyTorch; above 0.

    References
    ----------
    Kingma and Ba, "Adam: a method for stochastic optimization", 2015, algorithm 1.

    Examples
    --------
    >>> Adam(0.002).beta_2
    0.999
    """

    name: ClassVar[str] = "adam"
    learning_rate: float = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", _learning_rate(self.learning_rate))
        for field in ("beta_1", "beta_2"):
            object.__setattr__(self, field, arguments.real(field, getattr(self, field), least=0.0, below=1.0))
        object.__setattr__(self, "epsilon", arguments.real("epsilon", self.epsilon, above=0.0))


OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.name: optimizer for optimizer in (SGD, Adam)}


def resolve(argument: str, value: object) -> Optimizer:
    """The optimiser that a name or an object stands for."""
    optimizer = arguments.by_name(argument, value, Optimizer, OPTIMIZERS)
    if type(optimizer) not in OPTIMIZERS.values():
        raise TypeError(f"{argument}: expected one of fastmlp's optimisers, got {value!r}")
    return optimizer
