"""Activation functions: one immutable class each, with its names, formula and hyper-parameters.

An object says *which* function is meant; the values are computed by the compiled kernel of the same
name (`csrc/activations.inc`). The order of an object's fields is the order of the kernel's parameters.
To add one: a class and its line in `ACTIVATIONS` here, a kernel and its row there, a function in
`reference/functions.py`.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from . import _core, arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Activation:
    """What all activations have: a name, hyper-parameters, values and derivatives.

    Calling the object gives f(z) elementwise, `derivative` gives f'(z), both computed by the compiled
    kernels, in float32 for a float32 array and in float64 for anything else.
    """

    name: ClassVar[str]
    output_only: ClassVar[bool] = False
    trainable: ClassVar[bool] = True

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields, in the kernel's order."""
        return astuple(self)

    def __call__(self, z: ArrayLike) -> NDArray[Any]:
        """f(z), elementwise; an array of the shape of z."""
        values: NDArray[Any] = _core.activation_values(self.name, self.hyper_parameters, z, False)
        return values

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """f'(z), elementwise; an array of the shape of z. At a corner the derivative is 0."""
        values: NDArray[Any] = _core.activation_values(self.name, self.hyper_parameters, z, True)
        return values


@dataclass(frozen=True)
class Identity(Activation):
    """f(z) = z.

    Examples
    --------
    >>> Identity()([-2.0, 3.0])
    array([-2.,  3.])
    """

    name: ClassVar[str] = "identity"


@dataclass(frozen=True)
class Sigmoid(Activation):
    """The logistic function f(z) = 1 / (1 + exp(-beta z)), with f' = beta f (1 - f).

    Parameters
    ----------
    beta : float, default 1.0
        Slope; finite and not 0.

    References
    ----------
    The essay's S(x) (beta = 1) and the paper's table of activation functions.

    Examples
    --------
    >>> Sigmoid()([0.0, 1.0]).round(4)
    array([0.5   , 0.7311])
    >>> Sigmoid(beta=2.0).derivative(0.0)
    np.float64(0.5)
    """

    name: ClassVar[str] = "sigmoid"
    beta: float = 1.0

    def __post_init__(self) -> None:
        beta = arguments.real("beta", self.beta)
        if beta == 0:
            raise ValueError("beta: expected a number that is finite and not 0, got 0.0")
        object.__setattr__(self, "beta", beta)


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent f(z) = tanh z, with f' = 1 - f^2.

    Examples
    --------
    >>> Tanh()([0.0, 1.0]).round(4)
    array([0.    , 0.7616])
    """

    name: ClassVar[str] = "tanh"


@dataclass(frozen=True)
class ReLU(Activation):
    """The rectified linear unit f(z) = max(0, z); f'(0) = 0.

    Examples
    --------
    >>> ReLU()([3.0, 3.0 - 5.0])
    array([3., 0.])
    """

    name: ClassVar[str] = "relu"


@dataclass(frozen=True)
class PiecewiseLinear(Activation):
    """The ramp f(z) = (z - x_min) / (x_max - x_min), cut to [0, 1]; f' is 0 at and outside both ends.

    Parameters
    ----------
    x_min, x_max : float, default -1.0 and 1.0
        Where the ramp begins and ends; x_min < x_max.

    References
    ----------
    The paper's table; its m x + b is continuous for m = 1 / (x_max - x_min) and b = -m x_min only.

    Examples
    --------
    >>> PiecewiseLinear(0.0, 4.0)([-1.0, 1.0, 5.0])
    array([0.  , 0.25, 1.  ])
    """

    name: ClassVar[str] = "piecewise_linear"
    x_min: float = -1.0
    x_max: float = 1.0

    def __post_init__(self) -> None:
        x_min = arguments.real("x_min", self.x_min)
        x_max = arguments.real("x_max", self.x_max)
        if not x_min < x_max:
            raise ValueError(f"x_min: expected a number below x_max = {x_max!r}, got {x_min!r}")
        arguments.real("x_max - x_min", x_max - x_min)
        object.__setattr__(self, "x_min", x_min)
        object.__setattr__(self, "x_max", x_max)


@dataclass(frozen=True)
class Gaussian(Activation):
    """The normal density f(z) = exp(-(z - mu)^2 / (2 sigma^2)) / (sqrt(2 pi) sigma).

    Parameters
    ----------
    mu : float, default 0.0
        Where the maximum lies.
    sigma : float, default 1.0
        Standard deviation; above 0.

    References
    ----------
    The paper's table, with the normaliser 1 / (sqrt(2 pi) sigma) in place of the printed
    1 / sqrt(2 pi sigma).

    Examples
    --------
    >>> Gaussian(mu=0.0, sigma=0.5)(0.0).round(4)
    np.float64(0.7979)
    """

    name: ClassVar[str] = "gaussian"
    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mu", arguments.real("mu", self.mu))
        object.__setattr__(self, "sigma", arguments.real("sigma", self.sigma, above=0.0))


@dataclass(frozen=True)
class Threshold(Activation):
    """The unit step f(z) = 1 where z >= 0, else 0; f(0) = 1. It cannot be trained: f' is 0.

    Examples
    --------
    >>> Threshold()([-0.5, 0.0])
    array([0., 1.])
    """

    name: ClassVar[str] = "threshold"
    trainable: ClassVar[bool] = False


@dataclass(frozen=True)
class Softmax(Activation):
    """f(z)_o = exp(z_o) / sum_p exp(z_p) over the outputs of a row; only for the last layer.

    Called on an array, it works along the last axis. It has no elementwise derivative.

    Examples
    --------
    >>> Softmax()([[0.0, 0.0]])
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "softmax"
    output_only: ClassVar[bool] = True

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """Softmax mixes the outputs of a row, so this raises `TypeError`."""
        raise TypeError("softmax: expected an elementwise activation, and softmax has a Jacobian in place of f'")


ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "linear": Identity,
    "sigmoid": Sigmoid,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
    "piecewise_linear": PiecewiseLinear,
    "gaussian": Gaussian,
    "threshold": Threshold,
    "softmax": Softmax,
}


def resolve(argument: str, value: object, *, output: bool) -> Activation:
    """The activation that a name or an object stands for; softmax only where `output` is true."""
    activation = arguments.by_name(argument, value, Activation, ACTIVATIONS)
    if type(activation) not in ACTIVATIONS.values():
        raise TypeError(f"{argument}: expected one of fastmlp's activations, got {value!r}")
    if activation.output_only and not output:
        raise ValueError(
            f"{argument}: expected an elementwise activation, got {activation.name!r}, "
            "which belongs to the output layer only (output_activation)"
        )
    return activation
