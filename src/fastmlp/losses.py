"""Losses: one immutable class each. A loss is the mean over the batch's rows of a value per row.

An object says which loss is meant, which output activation is its partner and which targets it takes. The compiled
kernel of the same name in `csrc/kernels/losses.inc` computes values and gradients. In the formulas y is the network's
output, z the pre-activation of the last layer, t the target and O the number of outputs. The fields of a class have the
order of the kernel's parameters. To add a loss, write a class here and its line in `LOSSES`, a kernel and its row in
`csrc/kernels/losses.inc`, and a function in `reference/losses.py`. docs/losses.md lists the values and gradients of all
losses.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import arguments
from .activations import Activation, Identity, Sigmoid, Softmax
from .frozen import astuple, frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray


@frozen
class Loss:
    """Base class of the losses, with what they have in common: a name, a partner, hyper-parameters and targets."""

    name: ClassVar[str]
    partner: ClassVar[type[Activation]] = Identity  # the default output activation
    exclusive: ClassVar[bool] = False  # whether the partner is the only output activation that is allowed
    classifies: ClassVar[bool] = False  # whether `evaluate` reports accuracy
    targets: ClassVar[str] = "real"  # the kind of targets: "real" or a key of arrays.TARGETS

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The values of the fields, in the order of the kernel's parameters."""
        return astuple(self)

    @property
    def n_heads(self) -> int:
        """Number of outputs for each number in a target. All outputs of the first head come before the second's."""
        return 1

    def estimate(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Estimate the targets, in their unit, from the outputs (..., O) of a network with this loss."""
        return outputs


@frozen
class SquaredError(Loss):
    """sum_o (y - t)^2.

    References
    ----------
    The cost in "Mathematics of machine learning: How does mathematics enable neural networks to 'learn' to solve
    problems with real-world applications?", section 4.

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=SquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # 1 + 4 + 1
    {'loss': 6.0}
    """

    name: ClassVar[str] = "squared_error"


@frozen
class HalfSquaredError(Loss):
    """1/2 sum_o (y - t)^2.

    References
    ----------
    A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 4, which calls it "MSE".

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=HalfSquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # (1 + 4 + 1) / 2
    {'loss': 3.0}
    """

    name: ClassVar[str] = "half_squared_error"


@frozen
class MeanSquaredError(Loss):
    """1/O sum_o (y - t)^2, the usual mean squared error (MSE).

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=MeanSquaredError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 1.0])  # (1 + 4 + 1) / 3
    {'loss': 2.0}
    """

    name: ClassVar[str] = "mse"


@frozen
class MeanAbsoluteError(Loss):
    """1/O sum_o |y - t|, the usual mean absolute error (MAE); the gradient is sign(y - t) / O, and 0 where y = t.

    References
    ----------
    torch.nn.L1Loss.

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=MeanAbsoluteError())
    >>> net.set_layer(0, [[1], [3], [2]], [0, 0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0, 2.0])  # (1 + 2 + 0) / 3
    {'loss': 1.0}
    """

    name: ClassVar[str] = "mae"


@frozen
class Huber(Loss):
    """1/O sum_o h(y - t) with h(e) = e^2 / 2 where |e| <= delta, else delta (|e| - delta / 2).

    Parameters
    ----------
    delta : float, default 1.0
        Where the parabola becomes a line; above 0.

    References
    ----------
    P. J. Huber, Robust estimation of a location parameter, 1964; torch.nn.HuberLoss.

    Examples
    --------
    >>> net = fastmlp.Network([1, 2], loss=Huber(delta=2.0))
    >>> net.set_layer(0, [[1], [5]], [0, 0])
    >>> net.evaluate([1.0], [0.0, 1.0])  # (1/2 + 2 (4 - 1)) / 2
    {'loss': 3.25}
    """

    name: ClassVar[str] = "huber"
    delta: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", arguments.real("delta", self.delta, above=0.0))


@frozen
class LogCosh(Loss):
    """1/O sum_o ln cosh(y - t), computed accurately near 0 and without overflow; the gradient is tanh(y - t) / O.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=LogCosh(), dtype="float64")
    >>> net.set_layer(0, [[1000.0]], [0.0])
    >>> round(net.evaluate([1.0], [0.0])["loss"], 4)  # 1000 - ln 2
    999.3069
    """

    name: ClassVar[str] = "log_cosh"


@frozen
class Quantile(Loss):
    """1/O sum_o max(q e, (q - 1) e) with e = t - y: the output estimates the target's q-quantile (pinball loss).

    With several levels, O is the number of targets times the number of levels, and all outputs of the first level come
    before those of the second: ``predict(X).reshape(B, n_levels, n_targets)``.

    Parameters
    ----------
    levels : float or sequence of float, default 0.5
        The values of q, strictly between 0 and 1, in ascending order.

    References
    ----------
    R. Koenker and G. Bassett, Regression quantiles, 1978; sklearn.metrics.mean_pinball_loss.

    Examples
    --------
    >>> net = fastmlp.Network([1, 3], loss=Quantile([0.1, 0.5, 0.9]), dtype="float64")
    >>> net.set_layer(0, [[1], [2], [3]], [0, 0, 0])
    >>> round(net.evaluate([1.0], [2.0])["loss"], 4)  # (0.1 * 1 + 0 + 0.1 * 1) / 3
    0.0667
    """

    name: ClassVar[str] = "quantile"
    levels: tuple[float, ...] = (0.5,)

    def __post_init__(self) -> None:
        given = self.levels
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            given = (given,)
        levels = tuple(arguments.real(f"levels[{i}]", q, above=0.0, below=1.0) for i, q in enumerate(given))
        if not levels or any(a >= b for a, b in itertools.pairwise(levels)):
            raise ValueError(f"levels: expected at least one, in ascending order, got {levels!r}")
        object.__setattr__(self, "levels", levels)

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The levels."""
        return self.levels

    @property
    def n_heads(self) -> int:
        """Number of levels."""
        return len(self.levels)

    def estimate(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The outputs of the level that is nearest to 0.5, the median."""
        nearest = min(range(self.n_heads), key=lambda k: abs(self.levels[k] - 0.5))
        return outputs.reshape(*outputs.shape[:-1], self.n_heads, -1)[..., nearest, :]


@frozen
class Poisson(Loss):
    """1/O sum_o (exp z - t z): the negative log-likelihood of counts t of rate exp z, without the term ln t!.

    The network's output is z, the logarithm of the rate; exp z is the expected count.

    References
    ----------
    torch.nn.PoissonNLLLoss(log_input=True); sklearn's HalfPoissonLoss.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=Poisson())
    >>> net.set_layer(0, [[0.0]], [0.0])
    >>> net.evaluate([1.0], [3.0])  # a rate of 1
    {'loss': 1.0}
    """

    name: ClassVar[str] = "poisson"
    exclusive: ClassVar[bool] = True
    targets: ClassVar[str] = "not negative"

    def estimate(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The rate exp z."""
        rate: NDArray[Any] = np.exp(outputs)
        return rate


@frozen
class Gamma(Loss):
    """1/O sum_o (z + t exp(-z)): half the deviance of gamma-distributed t of mean exp z, without -ln t - 1.

    The network's output is z, the logarithm of the mean. The term -ln t - 1, which does not depend on z, would make the
    loss 0 where exp z = t.

    References
    ----------
    sklearn's HalfGammaLoss (the loss of HistGradientBoostingRegressor(loss="gamma") and of GammaRegressor).

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=Gamma())
    >>> net.set_layer(0, [[0.0]], [0.0])
    >>> net.evaluate([1.0], [3.0])  # a mean of 1
    {'loss': 3.0}
    """

    name: ClassVar[str] = "gamma"
    exclusive: ClassVar[bool] = True
    targets: ClassVar[str] = "positive"

    def estimate(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The mean exp z."""
        mean: NDArray[Any] = np.exp(outputs)
        return mean


@frozen
class GaussianNLL(Loss):
    """1/n sum (s + (z - t)^2 exp(-s)) / 2 over the n targets: the negative log-likelihood of a normal distribution.

    O is 2 n: the first n outputs are the means z, the others the logarithms s of the variances. The variance exp s is
    therefore positive and needs no lower bound. The constant ln(2 pi) / 2 is left out.

    References
    ----------
    D. A. Nix and A. S. Weigend, Estimating the mean and variance of the target probability distribution, 1994;
    torch.nn.GaussianNLLLoss with var = exp s.

    Examples
    --------
    >>> net = fastmlp.Network([1, 2], loss=GaussianNLL())
    >>> net.set_layer(0, [[1.0], [0.0]], [0.0, 0.0])
    >>> net.evaluate([1.0], [4.0])  # mean 1, variance 1
    {'loss': 4.5}
    """

    name: ClassVar[str] = "gaussian_nll"
    exclusive: ClassVar[bool] = True

    @property
    def n_heads(self) -> int:
        """2: the mean and the logarithm of the variance."""
        return 2

    def estimate(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """The means."""
        return outputs[..., : outputs.shape[-1] // 2]


@frozen
class BinaryCrossEntropy(Loss):
    """-sum_o [t ln y + (1 - t) ln(1 - y)] for sigmoid outputs, computed from z, never from a clipped y.

    Parameters
    ----------
    label_smoothing : float, default 0.0
        e in [0, 1): every target t is replaced by (1 - e) t + e / 2.

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
    targets: ClassVar[str] = "probability"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        smoothing = arguments.real("label_smoothing", self.label_smoothing, minimum=0.0, below=1.0)
        object.__setattr__(self, "label_smoothing", smoothing)


@frozen
class CrossEntropy(Loss):
    """-sum_o t ln y for softmax outputs, which is -ln y_label where the target is a class label; computed from z.

    Parameters
    ----------
    label_smoothing : float, default 0.0
        e in [0, 1): every target t is replaced by (1 - e) t + e / O, as in torch.nn.CrossEntropyLoss.

    Examples
    --------
    >>> net = fastmlp.Network([1, 4], loss=CrossEntropy())
    >>> net.set_layer(0, [[1], [1], [1], [1]], [0, 0, 0, 0])
    >>> loss = net.evaluate([1.0], 2)["loss"]  # all four classes have probability 1/4: ln 4
    >>> round(loss, 4)
    1.3863
    """

    name: ClassVar[str] = "cross_entropy"
    partner: ClassVar[type[Activation]] = Softmax
    exclusive: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    targets: ClassVar[str] = "probability"
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        smoothing = arguments.real("label_smoothing", self.label_smoothing, minimum=0.0, below=1.0)
        object.__setattr__(self, "label_smoothing", smoothing)


@frozen
class Hinge(Loss):
    """max(0, margin - s y) for a single output, with s = -1 or 1 for the two classes.

    For several outputs and the class label c it is 1/O sum of max(0, margin - y_c + y_o) over the outputs o other than
    c. The targets of a single output are -1 and 1, or 0 and 1; the sign of the output predicts the class.

    Parameters
    ----------
    margin : float, default 1.0
        The score by which the right class should win; above 0.

    References
    ----------
    torch.nn.MultiMarginLoss (the sum over the classes of J. Weston and C. Watkins, 1999); sklearn.metrics.hinge_loss
    where O is 1.

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=Hinge())
    >>> net.set_layer(0, [[0.25]], [0.0])
    >>> net.evaluate([[1.0], [-2.0]], [1, -1])  # (0.75 + 0.5) / 2
    {'loss': 0.625, 'accuracy': 1.0}
    """

    name: ClassVar[str] = "hinge"
    classifies: ClassVar[bool] = True
    targets: ClassVar[str] = "one class"
    margin: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "margin", arguments.real("margin", self.margin, above=0.0))


@frozen
class BinaryFocal(Loss):
    """-sum_o [t (1 - y)^gamma ln y + (1 - t) y^gamma ln(1 - y)] for sigmoid outputs, computed from z.

    Rows that are classified well weigh less than in the binary cross entropy, which is this loss with gamma = 0. Lin et
    al. also have a weight alpha for each class: use `class_weight` for it.

    Parameters
    ----------
    gamma : float, default 2.0
        The larger gamma is, the less such rows weigh; at least 0.

    References
    ----------
    T.-Y. Lin et al., Focal loss for dense object detection, 2017; torchvision.ops.sigmoid_focal_loss(alpha=-1).

    Examples
    --------
    >>> net = fastmlp.Network([1, 1], loss=BinaryFocal(gamma=1.0), dtype="float64")
    >>> net.set_layer(0, [[0.0]], [0.0])
    >>> round(net.evaluate([1.0], [1])["loss"], 4)  # 1/2 ln 2
    0.3466
    """

    name: ClassVar[str] = "binary_focal"
    partner: ClassVar[type[Activation]] = Sigmoid
    exclusive: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    targets: ClassVar[str] = "probability"
    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", arguments.real("gamma", self.gamma, minimum=0.0))


@frozen
class Focal(Loss):
    """-sum_o t (1 - y)^gamma ln y for softmax outputs, computed from z; with gamma = 0 it is the cross entropy.

    Parameters
    ----------
    gamma : float, default 2.0
        The larger gamma is, the less rows weigh that are classified well; at least 0.

    References
    ----------
    The form for several classes of the loss in T.-Y. Lin et al., Focal loss for dense object detection, 2017.

    Examples
    --------
    >>> net = fastmlp.Network([1, 4], loss=Focal(gamma=1.0), dtype="float64")
    >>> net.set_layer(0, [[0.0]] * 4, [0.0] * 4)
    >>> round(net.evaluate([1.0], 2)["loss"], 4)  # 3/4 ln 4
    1.0397
    """

    name: ClassVar[str] = "focal"
    partner: ClassVar[type[Activation]] = Softmax
    exclusive: ClassVar[bool] = True
    classifies: ClassVar[bool] = True
    targets: ClassVar[str] = "probability"
    gamma: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "gamma", arguments.real("gamma", self.gamma, minimum=0.0))


@frozen
class CustomLoss(Loss):
    """A loss of the user's own: a Python function of outputs and targets, which is slower than a kernel.

    While the network computes, the function is called with the GIL held for each tile of rows. A network with this loss
    can be pickled if its function can be pickled. `save` refuses it, because a file that held code could not be
    trusted.

    Parameters
    ----------
    function : callable
        ``function(y, t)`` takes outputs y and targets t, new arrays of shape (B, O) in the network's dtype. It returns
        the loss of each row, (B,), and the gradient of each row's loss with respect to its y, (B, O). It is called with
        a part of a batch's rows at a time, so the loss of a row must not depend on other rows. `fit` raises the
        exception that the function raises, as it does after any error.

    Examples
    --------
    >>> def quartic(y, t):
    ...     return ((y - t) ** 4).sum(axis=1), 4 * (y - t) ** 3
    >>> net = fastmlp.Network([1, 1], loss=CustomLoss(quartic))
    >>> net.set_layer(0, [[3.0]], [0.0])
    >>> net.loss_and_grad([1.0], [1.0])
    (16.0, array([32., 32.], dtype=float32))
    """

    name: ClassVar[str] = "custom"
    function: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f"function: expected a function of outputs and targets, got {self.function!r}")

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The empty tuple: there is no kernel that takes hyper-parameters."""
        return ()


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        MeanSquaredError,
        SquaredError,
        HalfSquaredError,
        MeanAbsoluteError,
        Huber,
        LogCosh,
        Quantile,
        Poisson,
        Gamma,
        GaussianNLL,
        BinaryCrossEntropy,
        CrossEntropy,
        BinaryFocal,
        Focal,
        Hinge,
    )
}


def resolve(argument: str, value: object) -> Loss:
    """Return the loss that a name or an object stands for."""
    loss = arguments.by_name(argument, value, Loss, LOSSES)
    advice = "give a loss of your own as fastmlp.CustomLoss(function)"
    arguments.refuse_subclass(argument, loss, (*LOSSES.values(), CustomLoss), "losses", advice)
    return loss


def name_or_object(loss: Loss) -> Loss | str:
    """Return the loss's name if its hyper-parameters are the defaults, so that the name is enough, else the loss."""
    return loss.name if loss.name in LOSSES and loss == LOSSES[loss.name]() else loss


def match(loss: Loss, output_activation: Activation | None, n_outputs: int) -> Activation:
    """Return the output activation to use with the loss: by default its partner.

    Raises `ValueError` if the number of outputs or the given activation does not go with the loss.
    """
    if n_outputs % loss.n_heads:
        raise ValueError(
            f"sizes: expected a multiple of {loss.n_heads} outputs, one for each head of {loss!r}, got {n_outputs}"
        )
    if n_outputs == 1 and loss.partner is Softmax:
        raise ValueError(
            f"sizes: expected at least 2 outputs for loss {loss.name!r}, as a softmax of one output is always 1 "
            "(for two classes in one output take output_activation='sigmoid' with loss='binary_cross_entropy'), got 1"
        )
    if output_activation is None:
        return loss.partner()
    if loss.exclusive and not isinstance(output_activation, loss.partner):
        raise ValueError(
            f"output_activation: expected {loss.partner.name!r}, the partner of loss {loss.name!r}, "
            f"got {output_activation.name!r}"
        )
    if isinstance(output_activation, Softmax) and loss.partner is not Softmax:
        raise ValueError(
            f"output_activation: 'softmax' expects its partner, loss 'cross_entropy' or 'focal', got loss {loss.name!r}"
        )
    return output_activation
