"""Metrics: figures of how good predictions are, by name or as functions of the user.

A metric is `metric(y_true, y_pred) -> float`; those with a name are in `METRICS`. They are evaluated on validation data
after each epoch, and by `evaluate`; loss and accuracy come from the compiled pass, the others from one more prediction
of all rows. Arrays here are (n, O); class metrics take the class of a row as `classify` does: the largest output, or
whether it is above 0.5 where O is 1. To add one: a function and its line in `METRICS` here, and in
`reference/metrics.py`.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import arguments
from .losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._core import Rows
    from .network import Network

    Values = NDArray[np.float64]


class Metric(NamedTuple):
    """A metric under its name; whether it is the user's own function."""

    name: str
    function: Callable[[Any, Any], Any]
    own: bool


UP = ("accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "r2")  # more is better


# ---------------------------------------------------------------------------------------------------------- of numbers


def mae(t: Values, y: Values) -> float:
    """Mean absolute error, the mean of |y - t| over rows and outputs.

    Examples
    --------
    >>> mae(np.array([[0.0, 2.0]]), np.array([[1.0, 4.0]]))
    1.5
    """
    return float(np.mean(np.abs(y - t)))


def mse(t: Values, y: Values) -> float:
    """Mean squared error, the mean of (y - t)^2 over rows and outputs.

    Examples
    --------
    >>> mse(np.array([[0.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.5
    """
    return float(np.mean((y - t) ** 2))


def rmse(t: Values, y: Values) -> float:
    """The root of `mse`.

    Examples
    --------
    >>> rmse(np.array([[0.0], [0.0]]), np.array([[3.0], [3.0]]))
    3.0
    """
    return math.sqrt(mse(t, y))


def r2(t: Values, y: Values) -> float:
    """Coefficient of determination, 1 - sum (y - t)^2 / sum (t - mean t)^2, the mean over outputs.

    Where an output's targets are all alike it counts as 1 if the predictions are right, else as 0.

    Examples
    --------
    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]))
    0.5
    """
    t, y = _near_1(t, y)
    residual, total = np.sum((y - t) ** 2, axis=0), np.sum((t - np.mean(t, axis=0)) ** 2, axis=0)
    shares = np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
    return float(np.mean(1.0 - shares))


def _near_1(t: Values, y: Values) -> tuple[Values, Values]:
    """Both, each output divided by a power of two where the squares of its targets would leave the range of float64."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.max(np.abs(t), axis=0))
    exponent = np.where(np.abs(exponent) > 400, exponent, 0)
    if not exponent.any():
        return t, y
    with np.errstate(over="ignore"):
        return np.ldexp(t, -exponent), np.ldexp(y, -exponent)


# ---------------------------------------------------------------------------------------------------------- of classes


def classes(y: Values) -> NDArray[np.int64]:
    """The class of each row; -1 where a number is NaN, which is no class's."""
    chosen = y[:, 0] > 0.5 if y.shape[1] == 1 else np.argmax(y, axis=1)
    return np.where(np.isnan(y).any(axis=1), -1, chosen.astype(np.int64))


def counts(t: Values, y: Values) -> tuple[Values, Values, Values]:
    """By class: the rows that are of it and taken for it, that are of it, and that are taken for it."""
    n_classes = max(2, t.shape[1])
    right, guess = classes(t), classes(y)
    both = np.bincount(right[right == guess], minlength=n_classes)
    tallies = (both, np.bincount(right, minlength=n_classes), np.bincount(guess[guess >= 0], minlength=n_classes))
    return tuple(tally.astype(np.float64) for tally in tallies)  # type: ignore[return-value]


def over_classes(hits: Values, of: Values, t: Values, occurs: Values) -> float:
    """hits / of, 0 where that is 0 / 0: of class 1 where O is 1, else the mean over the classes that occur."""
    shares = np.divide(hits, of, out=np.zeros_like(hits), where=of > 0)
    return float(shares[1]) if t.shape[1] == 1 else float(np.mean(shares[occurs > 0]))


def accuracy(t: Values, y: Values) -> float:
    """The share of rows whose class is right.

    Examples
    --------
    >>> accuracy(np.array([[1.0], [0.0]]), np.array([[0.75], [0.625]]))
    0.5
    """
    return float(np.mean(classes(t) == classes(y)))


def balanced_accuracy(t: Values, y: Values) -> float:
    """The mean over the classes that occur of the share of its rows whose class is right.

    Examples
    --------
    >>> balanced_accuracy(np.array([[1.0], [0.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.75
    """
    hits, true, _ = counts(t, y)
    return float(np.mean(hits[true > 0] / true[true > 0]))


def precision(t: Values, y: Values) -> float:
    """Of the rows taken for a class, the share that is of it: class 1 where O is 1, else the mean over the classes.

    Classes count that rows are of or are taken for; 0 where no row is taken for the class.

    Examples
    --------
    >>> precision(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    hits, true, taken = counts(t, y)
    return over_classes(hits, taken, t, true + taken)


def recall(t: Values, y: Values) -> float:
    """Of the rows of a class, the share that is taken for it; over the classes as `precision`.

    Examples
    --------
    >>> recall(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    hits, true, taken = counts(t, y)
    return over_classes(hits, true, t, true + taken)


def f1(t: Values, y: Values) -> float:
    """The harmonic mean of precision and recall of a class, 2 hits / (true + taken); over the classes as `precision`.

    Examples
    --------
    >>> f1(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    hits, true, taken = counts(t, y)
    return over_classes(2 * hits, true + taken, t, true + taken)


def auc(t: Values, y: Values) -> float:
    """Area under the ROC curve: how often a row of a class has a larger output for it than a row of another class.

    Equal outputs count half (the Mann-Whitney statistic). Of class 1 where O is 1, else the mean over the classes, each
    against the rest, that some rows are of and some are not; NaN where there is none.

    References
    ----------
    Hand and Till, "A simple generalisation of the area under the ROC curve", 2001, section 2, equation 3.

    Examples
    --------
    >>> auc(np.array([[1.0], [0.0], [0.0]]), np.array([[0.5], [0.25], [0.75]]))
    0.5
    """
    right = classes(t)
    areas = [_area(right == c, y[:, c - (t.shape[1] == 1)]) for c in ([1] if t.shape[1] == 1 else range(t.shape[1]))]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else math.nan


def _area(positive: NDArray[np.bool_], scores: Values) -> float | None:
    """The area for one class, from the ranks of its rows; None where all rows or none are of it."""
    n = int(np.count_nonzero(positive))
    if n in (0, len(scores)) or np.isnan(scores).any():
        return None if n in (0, len(scores)) else math.nan
    _, which, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2.0)[which]  # from 1, equal scores share theirs
    return float((np.sum(ranks[positive]) - n * (n + 1) / 2) / (n * (len(scores) - n)))


METRICS: dict[str, Callable[[Values, Values], float]] = {
    f.__name__: f for f in (accuracy, balanced_accuracy, precision, recall, f1, auc, mae, mse, rmse, r2)
}


# --------------------------------------------------------------------------------------------------------- as arguments


def resolve(metrics: object) -> list[Metric]:
    """The names and functions that `metrics` stands for; each name once."""
    if not isinstance(metrics, Sequence) or isinstance(metrics, str):
        raise TypeError(f"metrics: expected a sequence of names or functions, got {metrics!r}")
    found: dict[str, Metric] = {}
    for i, metric in enumerate(metrics):
        own = callable(metric)
        name = getattr(metric, "__name__", type(metric).__name__) if own else metric
        name = name if own else arguments.name(f"metrics[{i}]", name, METRICS)
        if name == "loss" or name in found:
            raise ValueError(f"metrics[{i}]: expected each name once, and none that is 'loss', got {name!r}")
        found[name] = Metric(name, metric if own else METRICS[name], own)
    return list(found.values())


def names(network: Network, metrics: Sequence[Metric]) -> list[str]:
    """What `evaluate` will report, in its order."""
    return list(dict.fromkeys(["loss", *["accuracy"] * network.loss.classifies, *(metric.name for metric in metrics)]))


def evaluate(network: Network, rows: Rows, metrics: Sequence[Metric]) -> dict[str, float]:
    """The mean loss over the rows, for the cross entropies the accuracy, and the metrics."""
    loss, right = network._evaluate(rows)
    figures = {"loss": loss, **({"accuracy": right} if network.loss.classifies else {})}
    figures.update({metric.name: right for metric in metrics})  # in their order; all but the core's accuracy follow
    by_core = accuracy if type(network.loss).estimate is Loss.estimate else None  # which compares outputs with targets
    others = [metric for metric in metrics if metric.function is not by_core]
    if not others:
        return figures
    y = network.predict(rows.x).reshape(rows.n_rows, -1)
    named: tuple[Any, ...] = ()
    if not all(metric.own for metric in others):
        named = _targets(rows, network), _estimates(y, network)
    for metric in others:
        if metric.function is accuracy:
            figures[metric.name] = float(np.average(classes(named[0]) == classes(named[1]), weights=rows.weights))
        else:
            figures[metric.name] = _own(metric, rows, y) if metric.own else metric.function(*named)
    return figures


def _targets(rows: Rows, network: Network) -> Values:
    """The targets as (n, n_targets) of float64; of classes, 1 for the right one and 0 elsewhere."""
    if rows.values is not None:
        values = rows.values.reshape(rows.n_rows, -1).astype(np.float64)
        return (values == 1).astype(np.float64) if network.loss.targets == "one class" else values
    return np.asarray(np.arange(network.sizes[-1]) == rows.labels[:, np.newaxis], np.float64)  # type: ignore[index]


def _estimates(y: NDArray[Any], network: Network) -> Values:
    """What the outputs say of the targets, (n, n_targets) of float64; a single score with its border at 0.5."""
    estimates: Values = network.loss.estimate(y).astype(np.float64)
    one_score = network.loss.targets == "one class" and y.shape[1] == 1
    if not one_score:
        return estimates
    shifted = estimates + 0.5  # a score that is lost beside 0.5 keeps its side of the border
    return np.where(estimates > 0, np.maximum(shifted, np.nextafter(0.5, 1.0)), shifted)


def _own(metric: Metric, rows: Rows, y: NDArray[Any]) -> float:
    """What the user's function says: y_true is labels (n,) or targets (n, n_targets), y_pred (n, O); (n,) if O is 1."""
    t = rows.labels if rows.labels is not None else rows.values
    assert t is not None
    t = t.copy() if t is rows.labels else t.reshape(rows.n_rows, -1).astype(y.dtype)  # training goes on with its own
    answer = metric.function(*(each.ravel() if each.ndim == 2 and each.shape[1] == 1 else each for each in (t, y)))
    if isinstance(answer, numbers.Real) or (isinstance(answer, np.ndarray) and answer.ndim == 0):
        return float(answer)
    raise TypeError(f"metrics: expected a real number from {metric.name!r}, got {answer!r}")
