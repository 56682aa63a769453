"""Activation functions: one immutable class each, with its name, formula and hyper-parameters.

An object says *which* function is meant; the compiled kernel of the same name in `csrc/kernels/activations.inc`
computes the values. The fields of a class have the order of the kernel's parameters. `CustomActivation` alone has no
kernel: it calls the two functions that the user gives. To add an activation, write a class here and its line in
`ACTIVATIONS`, a kernel and its row in `csrc/kernels/activations.inc`, and a function in `reference/functions.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from . import _core, _custom, arguments
from .frozen import astuple, frozen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

APPROXIMATIONS = ("none", "tanh")  # the forms of GELU; the kernel takes the index of one in this tuple


@frozen
class Activation:
    """Base class of the activations, with what they have in common: a name, hyper-parameters, values and derivatives.

    Calling the object gives f(z) elementwise, and `derivative` gives f'(z). The compiled kernels compute both, in
    float32 for a float32 array and in float64 for anything else.
    """

    name: ClassVar[str]
    output_only: ClassVar[bool] = False
    trainable: ClassVar[bool] = True
    initializer: ClassVar[str] = "glorot_uniform"  # the rule that init="auto" uses in a layer with this activation

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The values of the fields, in the order of the kernel's parameters."""
        return astuple(self)

    def __call__(self, z: ArrayLike) -> NDArray[Any]:
        """f(z), elementwise; an array of the shape of z."""
        values: NDArray[Any] = _core.activation_values(self.name, self.hyper_parameters, z, False)
        return values

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """f'(z), elementwise; an array of the shape of z. At a corner the derivative is 0."""
        values: NDArray[Any] = _core.activation_values(self.name, self.hyper_parameters, z, True)
        return values


@frozen
class Identity(Activation):
    """f(z) = z.

    Examples
    --------
    >>> Identity()([-2.0, 3.0])
    array([-2.,  3.])
    """

    name: ClassVar[str] = "identity"


@frozen
class Sigmoid(Activation):
    """The logistic function f(z) = 1 / (1 + exp(-beta z)), with f' = beta f (1 - f).

    Parameters
    ----------
    beta : float, default 1.0
        Slope; finite and not 0.

    References
    ----------
    With beta = 1, S(x) of "Mathematics of machine learning: How does mathematics enable neural networks to 'learn' to
    solve problems with real-world applications?", section 3. With beta, A. Lopez Davila, "Neural Networks: The
    Backpropagation Algorithm", section 3.

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


@frozen
class Tanh(Activation):
    """The hyperbolic tangent f(z) = tanh z, with f' = 1 - f^2.

    Examples
    --------
    >>> Tanh()([0.0, 1.0]).round(4)
    array([0.    , 0.7616])
    """

    name: ClassVar[str] = "tanh"


@frozen
class ReLU(Activation):
    """The rectified linear unit f(z) = max(0, z); f'(0) = 0.

    Examples
    --------
    >>> ReLU()([3.0, 3.0 - 5.0])
    array([3., 0.])
    """

    name: ClassVar[str] = "relu"
    initializer: ClassVar[str] = "he_uniform"


@frozen
class PiecewiseLinear(Activation):
    """The ramp f(z) = (z - x_min) / (x_max - x_min), clipped to [0, 1]; f' is 0 at both ends and outside of them.

    Parameters
    ----------
    x_min, x_max : float, default -1.0 and 1.0
        Where the ramp begins and ends; x_min < x_max.

    References
    ----------
    A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 3, has m x + b with free m and b. It is
    continuous only for m = 1 / (x_max - x_min) and b = -m x_min, which this class uses.

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


@frozen
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
    A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 3, where 1 / sqrt(2 pi sigma) is printed
    in place of the normaliser 1 / (sqrt(2 pi) sigma).

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


@frozen
class Threshold(Activation):
    """The unit step f(z) = 1 where z >= 0, else 0; f(0) = 1. It cannot be trained: f' is 0.

    Examples
    --------
    >>> Threshold()([-0.5, 0.0])
    array([0., 1.])
    """

    name: ClassVar[str] = "threshold"
    trainable: ClassVar[bool] = False


@frozen
class LeakyReLU(Activation):
    """The leaky rectifier f(z) = z where z > 0, else negative_slope z; f'(0) is negative_slope, as in PyTorch.

    Parameters
    ----------
    negative_slope : float, default 0.01
        The slope below 0; at least 0.

    References
    ----------
    Maas, Hannun and Ng (2013).

    Examples
    --------
    >>> LeakyReLU()([3.0, -2.0])
    array([ 3.  , -0.02])
    """

    name: ClassVar[str] = "leaky_relu"
    initializer: ClassVar[str] = "he_uniform"
    negative_slope: float = 0.01

    def __post_init__(self) -> None:
        object.__setattr__(self, "negative_slope", arguments.real("negative_slope", self.negative_slope, minimum=0.0))


@frozen
class ELU(Activation):
    """The exponential linear unit f(z) = z where z > 0, else alpha (exp z - 1); f'(0) is alpha, as in PyTorch.

    Parameters
    ----------
    alpha : float, default 1.0
        f(z) approaches -alpha as z goes to minus infinity; above 0.

    References
    ----------
    Clevert, Unterthiner and Hochreiter (2016).

    Examples
    --------
    >>> ELU()([3.0, -1.0]).round(4)
    array([ 3.    , -0.6321])
    """

    name: ClassVar[str] = "elu"
    initializer: ClassVar[str] = "he_uniform"
    alpha: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", arguments.real("alpha", self.alpha, above=0.0))


@frozen
class SELU(Activation):
    """The self-normalising f(z) = s z where z > 0, else s a (exp z - 1); f'(0) is s a, as in PyTorch.

    s = 1.0507009873554805 and a = 1.6732632423543772 make mean 0 and variance 1 a fixed point of a layer
    with I inputs whose weights are drawn from N(0, 1 / I). ``init="auto"`` draws them so for this activation.

    References
    ----------
    Klambauer, Unterthiner, Mayr and Hochreiter (2017).

    Examples
    --------
    >>> SELU()([1.0, -1.0]).round(4)
    array([ 1.0507, -1.1113])
    """

    name: ClassVar[str] = "selu"
    initializer: ClassVar[str] = "lecun_normal"


@frozen
class GELU(Activation):
    """The Gaussian error linear unit f(z) = z Phi(z), with Phi the distribution function of N(0, 1).

    Parameters
    ----------
    approximate : {"none", "tanh"}, default "none"
        "tanh" is f(z) = z (1 + tanh v) / 2 with v = sqrt(2 / pi) (z + 0.044715 z^3), which differs from the
        exact form by up to 5e-4.

    References
    ----------
    Hendrycks and Gimpel (2016); the argument is PyTorch's.

    Examples
    --------
    >>> GELU()([1.0, -1.0]).round(4)
    array([ 0.8413, -0.1587])
    >>> GELU(approximate="tanh")([1.0, -1.0]).round(4)
    array([ 0.8412, -0.1588])
    """

    name: ClassVar[str] = "gelu"
    initializer: ClassVar[str] = "he_uniform"
    approximate: str = "none"

    def __post_init__(self) -> None:
        arguments.name("approximate", self.approximate, APPROXIMATIONS)

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The number by which the kernel knows the form: the index of `approximate` in `APPROXIMATIONS`."""
        return (float(APPROXIMATIONS.index(self.approximate)),)


@frozen
class SiLU(Activation):
    """The sigmoid linear unit f(z) = z / (1 + exp(-z)), also called swish.

    References
    ----------
    Elfwing, Uchibe and Doya (2018).

    Examples
    --------
    >>> SiLU()([1.0, -1.0]).round(4)
    array([ 0.7311, -0.2689])
    """

    name: ClassVar[str] = "silu"
    initializer: ClassVar[str] = "he_uniform"


@frozen
class Mish(Activation):
    """f(z) = z tanh(ln(1 + exp z)).

    References
    ----------
    Misra (2020).

    Examples
    --------
    >>> Mish()([1.0, -1.0]).round(4)
    array([ 0.8651, -0.3034])
    """

    name: ClassVar[str] = "mish"
    initializer: ClassVar[str] = "he_uniform"


@frozen
class Softplus(Activation):
    """f(z) = ln(1 + exp(beta z)) / beta, computed without overflow.

    PyTorch returns z itself where beta z is above a threshold; fastmlp computes the formula everywhere.

    Parameters
    ----------
    beta : float, default 1.0
        The larger beta is, the closer f is to ReLU; above 0.

    References
    ----------
    Dugas et al. (2001); beta is PyTorch's.

    Examples
    --------
    >>> Softplus()([0.0, 1.0]).round(4)
    array([0.6931, 1.3133])
    """

    name: ClassVar[str] = "softplus"
    beta: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "beta", arguments.real("beta", self.beta, above=0.0))


@frozen
class Softsign(Activation):
    """f(z) = z / (1 + abs(z)), with f' = 1 / (1 + abs(z))^2.

    References
    ----------
    Bergstra et al. (2009).

    Examples
    --------
    >>> Softsign()([0.0, 1.0, -3.0])
    array([ 0.  ,  0.5 , -0.75])
    """

    name: ClassVar[str] = "softsign"


@frozen
class HardSigmoid(Activation):
    """The ramp f(z) = (z + 3) / 6, clipped to [0, 1]; f' is 0 at both ends and outside of them.

    References
    ----------
    Howard et al. (2019): relu6(z + 3) / 6, as in PyTorch. (Keras before version 3 had 0.2 z + 0.5.)

    Examples
    --------
    >>> HardSigmoid()([-4.0, 0.0, 1.5])
    array([0.  , 0.5 , 0.75])
    """

    name: ClassVar[str] = "hard_sigmoid"


@frozen
class HardTanh(Activation):
    """f(z) = z, clipped to [min_val, max_val]; f' is 0 at both ends and outside of them.

    Parameters
    ----------
    min_val, max_val : float, default -1.0 and 1.0
        The bounds of f(z); min_val < max_val.

    References
    ----------
    Collobert (2004); the arguments are PyTorch's.

    Examples
    --------
    >>> HardTanh()([-4.0, 0.25, 1.5])
    array([-1.  ,  0.25,  1.  ])
    """

    name: ClassVar[str] = "hard_tanh"
    min_val: float = -1.0
    max_val: float = 1.0

    def __post_init__(self) -> None:
        min_val = arguments.real("min_val", self.min_val)
        max_val = arguments.real("max_val", self.max_val)
        if not min_val < max_val:
            raise ValueError(f"min_val: expected a number below max_val = {max_val!r}, got {min_val!r}")
        object.__setattr__(self, "min_val", min_val)
        object.__setattr__(self, "max_val", max_val)


@frozen
class Sine(Activation):
    """f(z) = sin(omega z), with f' = omega cos(omega z); NaN where omega z is infinite.

    Parameters
    ----------
    omega : float, default 1.0
        Frequency; finite and not 0. Sitzmann et al. use 30, with weights from a distribution that fastmlp does not
        have as an initializer: set such weights with `Network.set_layer`.

    References
    ----------
    Sitzmann et al. (2020).

    Examples
    --------
    >>> Sine(omega=2.0)([0.0, 0.5]).round(4)
    array([0.    , 0.8415])
    """

    name: ClassVar[str] = "sine"
    omega: float = 1.0

    def __post_init__(self) -> None:
        omega = arguments.real("omega", self.omega)
        if omega == 0:
            raise ValueError("omega: expected a number that is finite and not 0, got 0.0")
        object.__setattr__(self, "omega", omega)


@frozen
class StepwiseSigmoid(Activation):
    """FANN's stepwise sigmoid: five lines near the logistic function, from 0.005 to 0.995, and 0 and 1 outside of them.

    f jumps from 0 to 0.005 at z = -5.2933049 and from 0.995 to 1 at z = 5.2933059. Between them it is continuous, with
    f(z) = 0.05 and 0.95 near z = -2.94444 and 2.94444, 0.25 and 0.75 at z = -1.0986123 and 1.0986123. A network that
    FANN has trained with its default activation is exact with this one alone; in a new network `Sigmoid` is the better
    choice, as fast as this and smooth.

    References
    ----------
    Nissen (2003): FANN_SIGMOID_STEPWISE of FANN 2.2.0, whose argument is z / 2.

    Examples
    --------
    >>> StepwiseSigmoid()([-6.0, 0.0, 1.0, 6.0]).round(4)
    array([0.    , 0.5   , 0.7276, 1.    ])
    """

    name: ClassVar[str] = "stepwise_sigmoid"


@frozen
class StepwiseTanh(Activation):
    """FANN's symmetric stepwise sigmoid: five lines near tanh z, from -0.99 to 0.99, and -1 and 1 outside of them.

    f jumps at z = -2.6466529 and 2.6466529. Between them it is continuous, with abs(f) = 0.9 at abs(z) = 1.4722193 and
    0.5 at abs(z) = 0.5493062. It is there for networks that FANN has trained; in a new network `Tanh` is the better
    choice, as fast as this and smooth.

    References
    ----------
    Nissen (2003): FANN_SIGMOID_SYMMETRIC_STEPWISE of FANN 2.2.0.

    Examples
    --------
    >>> StepwiseTanh()([-3.0, 0.0, 1.0]).round(4)
    array([-1.    ,  0.    ,  0.6953])
    """

    name: ClassVar[str] = "stepwise_tanh"


@frozen
class Softmax(Activation):
    """f(z)_o = exp(z_o) / sum_p exp(z_p) over the outputs of a row; only for the last layer.

    Calling the object on an array applies softmax along the last axis. Softmax has no elementwise derivative.

    Examples
    --------
    >>> Softmax()([[0.0, 0.0]])
    array([[0.5, 0.5]])
    """

    name: ClassVar[str] = "softmax"
    output_only: ClassVar[bool] = True

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """Raise `TypeError`: each output depends on all elements of its row, so there is no elementwise derivative."""
        raise TypeError("softmax: expected an elementwise activation, and softmax has a Jacobian in place of f'")


@frozen
class CustomActivation(Activation):
    """An activation f(z) of the user's own: a pair of Python functions on arrays, which is slower than a kernel.

    While the network computes, each function is called once for a tile of some dozens or hundreds of rows, with the
    GIL held: several threads share the matrix products, but run these functions one at a time. An exception that one
    of them raises comes out of `predict`, `fit` or whichever method called it; `fit` then keeps the parameters of the
    last epoch that it completed. A network with this activation can be copied, and pickled if its functions can be
    pickled. `save` refuses it, because a file that held code could not be trusted. ``init="auto"`` draws the weights
    of its layer as it does for tanh.

    Parameters
    ----------
    value : callable
        f. It takes an array z of shape (rows, O) in the network's dtype, which it may keep and change, and returns the
        array f(z) of the same shape. Each element of f(z) must depend on the same element of z alone.
    derivative : callable
        f'. It takes such an array z and returns the array f'(z) of the same shape.

    Raises
    ------
    TypeError
        If an argument is not callable. While the network computes, if a function returns something that is not
        numbers.
    ValueError
        While the network computes, if a function returns an array of another shape.

    Examples
    --------
    >>> f = CustomActivation(np.arctan, lambda z: 1 / (1 + z * z))
    >>> net = fastmlp.Network([2, 3, 1], activation=f, seed=0)
    >>> f([0.0, 1.0]).round(4)
    array([0.    , 0.7854])
    """

    name: ClassVar[str] = "custom"
    functions: tuple[Callable[[Any], Any], Callable[[Any], Any]]

    def __init__(self, value: Callable[[Any], Any], derivative: Callable[[Any], Any]) -> None:
        for argument, function in (("value", value), ("derivative", derivative)):
            if not callable(function):
                raise TypeError(f"{argument}: expected a function of an array, got {function!r}")
        object.__setattr__(self, "functions", (value, derivative))

    def __repr__(self) -> str:
        value, derivative = self.functions
        return f"CustomActivation({value!r}, {derivative!r})"

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The empty tuple: there is no kernel that takes hyper-parameters."""
        return ()

    def __call__(self, z: ArrayLike) -> NDArray[Any]:
        """f(z), elementwise; an array of the shape of z."""
        values: NDArray[Any] = _custom.custom_values("value", self.functions[0], z)
        return values

    def derivative(self, z: ArrayLike) -> NDArray[Any]:
        """f'(z), elementwise; an array of the shape of z."""
        values: NDArray[Any] = _custom.custom_values("derivative", self.functions[1], z)
        return values


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
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "selu": SELU,
    "gelu": GELU,
    "silu": SiLU,
    "swish": SiLU,
    "mish": Mish,
    "softplus": Softplus,
    "softsign": Softsign,
    "hard_sigmoid": HardSigmoid,
    "hard_tanh": HardTanh,
    "sine": Sine,
    "stepwise_sigmoid": StepwiseSigmoid,
    "stepwise_tanh": StepwiseTanh,
    "softmax": Softmax,
}


def resolve(argument: str, value: object, *, output: bool) -> Activation:
    """Return the activation that a name or an object stands for; softmax is accepted only if `output` is true."""
    activation = arguments.by_name(argument, value, Activation, ACTIVATIONS)
    advice = "give an activation of your own as fastmlp.CustomActivation(value, derivative)"
    classes = *ACTIVATIONS.values(), CustomActivation
    arguments.refuse_subclass(argument, activation, classes, "activations", advice)
    if activation.output_only and not output:
        raise ValueError(
            f"{argument}: expected an elementwise activation, got {activation.name!r}, "
            "which belongs to the output layer only (output_activation)"
        )
    return activation
