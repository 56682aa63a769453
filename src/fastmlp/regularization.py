"""Regularisation: one immutable object that says how a training is kept from overfitting.

The class stores and checks hyper-parameters and computes nothing. The arithmetic is in `csrc/regularization.c`, with
kernels in `csrc/kernels/regularization.inc`, and in `reference/regularization.py`, which is the specification. To add a
kind of regularisation, add a field here and its computation in those three files. Some fields cannot be used with every
optimiser, number of layers or dtype; `_check_use` checks that when a training begins.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import arguments
from .frozen import defaults, frozen
from .optimizers import Optimizer

_LIMITS = ("max_norm", "clip_norm", "clip_value")
_SMOOTH = {"l2", "per_row"}  # a whole-batch method needs a loss that is smooth and has no random part
MAX_LAYERS = 10_000


@frozen(kw_only=True)
class Regularization:
    """Penalties, dropout, noise, clipping, weight decay and averaging in training; all are off by default.

    w are the weights (biases are never penalised, shrunk or limited), g is the gradient of the batch's mean loss, and r
    is the learning rate of the step. The parameters are listed in the order in which a step uses them; per_row, which
    belongs to l1 and l2, follows them.

    Parameters
    ----------
    input_noise : float, default 0.0
        Standard deviation of Gaussian noise that is added to the inputs in each step (Bishop 1995); at least 0.
    input_dropout : float, default 0.0
        Dropout rate of the inputs, applied after the noise; in [0, 1).
    dropout : float or sequence of float, default 0.0
        Probability that an output of a hidden layer is set to 0 in a step; in [0, 1). The other outputs are divided by
        1 - dropout (Srivastava et al. 2014). One number for all hidden layers, or a sequence with one for each.
    l1, l2 : float, default 0.0
        Training minimises and reports loss + l1 sum |w| + l2 / 2 sum w^2: g <- g + l1 sign(w) + l2 w, with
        sign(0) = 0. At least 0. `evaluate` and the validation report the loss without the penalty.
    per_row : bool, default False
        Whether the penalty is divided by the sum of the batch's row weights, which is its number of rows where rows
        have no weights. l2 is then scikit-learn's alpha.
    clip_value : float, optional
        Each element of g, penalties included, is clipped to [-clip_value, clip_value]; above 0.
    clip_norm : float, optional
        After clip_value, the whole of g is scaled to at most this Euclidean norm: g <- g min(1, clip_norm / |g|)
        (Pascanu et al. 2013; PyTorch's clip_grad_norm_). Above 0.
    weight_decay : float, default 0.0
        Decoupled weight decay: w <- w - r weight_decay w before the optimiser's update, which does not see it
        (Loshchilov and Hutter 2019; PyTorch's AdamW). At least 0. r is the rate that a schedule gives, if there is one;
        for Rprop it is the initial step size.
    max_norm : float, optional
        After the update, the weights into each unit are scaled to at most this Euclidean norm (Srivastava et al. 2014).
        Above 0.
    average : float, optional
        Decay d in [0, 1) of a moving average a <- d a + (1 - d) p of all parameters p, which begins with the parameters
        after the first step (PyTorch's AveragedModel with get_ema_multi_avg_fn). At the end of an epoch the network's
        parameters become the average, so `predict`, `evaluate`, the validation and `parameters` use it. Training
        continues from p, which is part of the optimiser's state.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of its bounds or of a wrong type.

    References
    ----------
    Bishop, "Training with noise is equivalent to Tikhonov regularization", 1995; Pascanu, Mikolov and Bengio, "On the
    difficulty of training recurrent neural networks", 2013; Srivastava et al., "Dropout: a simple way to prevent neural
    networks from overfitting", 2014; Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Examples
    --------
    >>> fastmlp.Regularization(l2=1e-4, dropout=[0.5, 0.2])
    Regularization(l2=0.0001, dropout=(0.5, 0.2))
    >>> net = fastmlp.Network([1, 1], dtype="float64")
    >>> net.set_layer(0, [[2.0]], [0.0])
    >>> net.train_on_batch([[0.0]], [0.0], fastmlp.SGD(0.1), regularization=fastmlp.Regularization(l2=0.5))
    1.0
    >>> net.weights[0]  # 2 - 0.1 * 0.5 * 2
    array([[1.9]])
    """

    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    dropout: float | Sequence[float] = 0.0
    input_dropout: float = 0.0
    input_noise: float = 0.0
    max_norm: float | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    average: float | None = None
    per_row: bool = False

    def __post_init__(self) -> None:
        for name in ("l1", "l2", "weight_decay", "input_noise"):
            self._set(name, arguments.real(name, getattr(self, name), minimum=0.0))
        self._set("input_dropout", _rate("input_dropout", self.input_dropout))
        self._set("dropout", _rates(self.dropout))
        for name in _LIMITS:
            if getattr(self, name) is not None:
                self._set(name, arguments.real(name, getattr(self, name), above=0.0))
        if self.average is not None:
            self._set("average", _rate("average", self.average))
        self._set("per_row", arguments.flag("per_row", self.per_row))

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _given(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        by_default = defaults(self).items()
        return {name: getattr(self, name) for name, default in by_default if getattr(self, name) != default}

    def __repr__(self) -> str:
        return f"Regularization({', '.join(f'{name}={value!r}' for name, value in self._given().items())})"

    def _check_use(self, optimizer: Optimizer, n_hidden: int, dtype: np.dtype[Any]) -> None:
        """Raise `ValueError` if a field cannot be used with the optimiser, the number of hidden layers or the dtype."""
        if not isinstance(self.dropout, float) and len(self.dropout) != n_hidden:
            raise ValueError(
                f"dropout: expected one rate for each of the {n_hidden} hidden layers, got {len(self.dropout)}"
            )
        smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
        for name, value in self._given().items():
            if isinstance(value, float) and not (value == 0 or smallest <= value <= largest):
                raise ValueError(f"{name}: expected a number that {dtype.name} can hold, got {value!r} in {self!r}")
        if optimizer.whole_batch_method:
            for name, value in self._given().items():
                if name not in _SMOOTH:
                    raise ValueError(
                        f"{name}: expected l2 and per_row alone to go with the optimizer {optimizer.name!r}, got "
                        f"{name}={value!r}"
                    )

    def _rates(self, n_hidden: int) -> tuple[float, ...]:
        """The dropout rate of each hidden layer; the empty tuple if all are 0."""
        dropout = self.dropout
        rates = (dropout,) * n_hidden if isinstance(dropout, float) else tuple(dropout)
        return rates if any(rates) else ()

    def _limit(self, name: str) -> float:
        """The value of one of the fields in `_LIMITS`; infinity if it is None."""
        value: float | None = getattr(self, name)
        return math.inf if value is None else value

    @property
    def _draws(self) -> bool:
        """Whether training draws random numbers for dropout or noise."""
        return bool(self.input_noise or self.input_dropout or np.any(self.dropout))


def _rate(name: str, value: object) -> float:
    return arguments.real(name, value, minimum=0.0, below=1.0)


def _rates(value: object) -> float | tuple[float, ...]:
    """Return a dropout rate, or a tuple of them if a sequence is given."""
    if (
        isinstance(value, (str, bytes))
        or not isinstance(value, (Sequence, np.ndarray))
        or getattr(value, "ndim", 1) == 0
    ):
        return _rate("dropout", value)
    given = list(itertools.islice(iter(value), MAX_LAYERS))
    return tuple(_rate(f"dropout[{i}]", rate) for i, rate in enumerate(given))


def resolve(value: object) -> Regularization | None:
    """Return the regularisation, or None if it is None or has no effect."""
    if value is None:
        return None
    if not isinstance(value, Regularization):
        raise TypeError(f"regularization: expected a fastmlp Regularization or None, got {value!r}")
    return value if value._given().keys() - {"per_row"} else None
