"""Regularisation: one immutable object that says what keeps a network from learning its data by heart.

The class holds and checks hyper-parameters and knows no arithmetic: that is in `csrc/regularization.c`, its kernels in
`csrc/kernels/regularization.inc`, and in `reference/regularization.py`, the specification. To add a part: a field here,
and what it does in those three. Whether a field goes with an optimiser, the layers and a dtype is known where they
meet, and checked there by `_check_use`.
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
_WITH_LBFGS = {"l2", "per_row"}  # what is smooth, and the same at every evaluation
MOST_LAYERS = 10_000


@frozen(kw_only=True)
class Regularization:
    """What training does beside following the gradient of the loss; each field by itself, and none by default.

    With weights w (biases are never penalised, shrunk or limited), the gradient g of the batch's mean loss and the
    step's learning rate r, in the order in which a step takes them:

    Parameters
    ----------
    input_noise : float, default 0.0
        Standard deviation of Gaussian noise that is added to the inputs of each step (Bishop 1995).
    input_dropout : float, default 0.0
        Dropout of the inputs, after the noise; in [0, 1).
    dropout : float or sequence of float, default 0.0
        Probability that an output of a hidden layer is 0 in a step, in [0, 1); what is kept is divided by 1 - dropout
        (Srivastava et al. 2014). One for all hidden layers, or a sequence with one for each.
    l1, l2 : float, default 0.0
        The training minimises loss + l1 sum |w| + l2 / 2 sum w^2, and reports it: g <- g + l1 sign(w) + l2 w, with
        sign(0) = 0. At least 0. `evaluate` and the validation report the loss alone.
    per_row : bool, default False
        Divides that penalty by the batch's weight, its number of rows where rows have no weights: l2 is then
        scikit-learn's alpha.
    clip_value : float, optional
        Each element of g, penalties included, is cut to [-clip_value, clip_value]; above 0.
    clip_norm : float, optional
        g, all of it, is scaled to at most this Euclidean norm, after clip_value: g <- g min(1, clip_norm / |g|)
        (Pascanu et al. 2013; PyTorch's clip_grad_norm_). Above 0.
    weight_decay : float, default 0.0
        Decoupled: w <- w - r weight_decay w before the step, whatever the optimiser makes of g (Loshchilov and Hutter
        2019; PyTorch's AdamW). At least 0. r is the learning rate, a schedule's included; Rprop's is that of its start.
    max_norm : float, optional
        After the step the weights into each unit are scaled to at most this Euclidean norm (Srivastava et al. 2014).
        Above 0.
    average : float, optional
        Decay d in [0, 1) of a moving average a <- d a + (1 - d) p of all parameters, which begins with those after the
        first step (PyTorch's AveragedModel with get_ema_multi_avg_fn). The average is what an epoch publishes: what
        `predict`, `evaluate`, the validation and `parameters` see. Training goes on from p, which belongs to the
        optimiser's state.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its bounds, or none.

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
            self._set(name, arguments.real(name, getattr(self, name), least=0.0))
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
        """Refuses what does not go with the optimiser, the hidden layers or the dtype."""
        if not isinstance(self.dropout, float) and len(self.dropout) != n_hidden:
            raise ValueError(
                f"dropout: expected one rate for each of the {n_hidden} hidden layers, got {len(self.dropout)}"
            )
        smallest, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
        for name, value in self._given().items():
            if isinstance(value, float) and not (value == 0 or smallest <= value <= largest):
                raise ValueError(f"{name}: expected a number that {dtype.name} can hold, got {value!r} in {self!r}")
        if optimizer.name == "lbfgs":
            for name, value in self._given().items():
                if name not in _WITH_LBFGS:
                    raise ValueError(
                        f"{name}: expected l2 and per_row alone to go with the optimizer 'lbfgs', got {name}={value!r}"
                    )

    def _rates(self, n_hidden: int) -> tuple[float, ...]:
        """The rate of dropout of each hidden layer; none where all are 0."""
        dropout = self.dropout
        rates = (dropout,) * n_hidden if isinstance(dropout, float) else tuple(dropout)
        return rates if any(rates) else ()

    def _limit(self, name: str) -> float:
        """A limit, infinite where there is none."""
        value: float | None = getattr(self, name)
        return math.inf if value is None else value

    @property
    def _draws(self) -> bool:
        """Whether masks or noise are drawn."""
        return bool(self.input_noise or self.input_dropout or np.any(self.dropout))


def _rate(name: str, value: object) -> float:
    return arguments.real(name, value, least=0.0, below=1.0)


def _rates(value: object) -> float | tuple[float, ...]:
    """A rate, or a tuple of them."""
    if (
        isinstance(value, (str, bytes))
        or not isinstance(value, (Sequence, np.ndarray))
        or getattr(value, "ndim", 1) == 0
    ):
        return _rate("dropout", value)
    listed = list(itertools.islice(iter(value), MOST_LAYERS))
    return tuple(_rate(f"dropout[{i}]", rate) for i, rate in enumerate(listed))


def resolve(value: object) -> Regularization | None:
    """A regularisation; None where there is none, or one that does nothing."""
    if value is None:
        return None
    if not isinstance(value, Regularization):
        raise TypeError(f"regularization: expected a fastmlp Regularization or None, got {value!r}")
    return value if value._given().keys() - {"per_row"} else None
