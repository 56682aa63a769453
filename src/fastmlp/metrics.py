"""Metrics: numbers that say how good predictions are, given by name or as functions of the user.

A metric is `metric(y_true, y_pred) -> float`; `METRICS` has those with a name. `fit` computes metrics on the validation
data after each epoch, and `evaluate` on its rows. Loss and accuracy come from the compiled pass, the other metrics from
another prediction of all rows. In this file t (targets) and y (outputs) are arrays of shape (n, O). Metrics of classes
determine the class of a row as `classify` does: it is the index of the largest output or, where O is 1, whether the
output is above 0.5. To add a metric, write a function and its line in `HIGHER_IS_BETTER` or `LOWER_IS_BETTER`; the
table in CONTRIBUTING.md has the other places.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import arguments
from .inputs.arrays import RowSubset
from .losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._core import Rows
    from .network import Network

    Values = NDArray[np.float64]
    Functions = dict[str, Callable[[Values, Values], float]]


class Metric(NamedTuple):
    """A metric with its name; `is_custom` says whether it is a function of the user."""

    name: str
    function: Callable[[Any, Any], Any]
    is_custom: bool


# -------------------------------------------------------------------------------------------------- metrics of numbers


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
    """Root mean squared error, the square root of `mse`.

    Examples
    --------
    >>> rmse(np.array([[0.0], [0.0]]), np.array([[3.0], [3.0]]))
    3.0
    """
    return math.sqrt(mse(t, y))


def r2(t: Values, y: Values) -> float:
    """Coefficient of determination, 1 - sum (y - t)^2 / sum (t - mean t)^2, averaged over the outputs.

    For an output whose targets are all equal, it is 1 if all predictions are right, else 0.

    Examples
    --------
    >>> r2(np.array([[0.0], [2.0]]), np.array([[0.0], [1.0]]))
    0.5
    """
    t, y = _rescaled(t, y)
    residual, total = np.sum((y - t) ** 2, axis=0), np.sum((t - np.mean(t, axis=0)) ** 2, axis=0)
    shares = np.divide(residual, total, out=(residual > 0).astype(np.float64), where=total > 0)
    return float(np.mean(1.0 - shares))


def _rescaled(t: Values, y: Values) -> tuple[Values, Values]:
    """Divide an output in both arrays by a power of two if the squares of its targets could leave float64's range."""
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(np.max(np.abs(t), axis=0))
    exponent = np.where(np.abs(exponent) > 400, exponent, 0)
    if not exponent.any():
        return t, y
    with np.errstate(over="ignore"):
        return np.ldexp(t, -exponent), np.ldexp(y, -exponent)


# -------------------------------------------------------------------------------------------------- metrics of classes


def classes(y: Values) -> NDArray[np.int64]:
    """Return the class of each row; -1, which is no class, for a row with NaN."""
    predicted = y[:, 0] > 0.5 if y.shape[1] == 1 else np.argmax(y, axis=1)
    return np.where(np.isnan(y).any(axis=1), -1, predicted.astype(np.int64))


def counts(t: Values, y: Values) -> tuple[Values, Values, Values]:
    """Count, for each class, its true positives, the rows that are of the class and the rows predicted as the class."""
    n_classes = max(2, t.shape[1])
    true, predicted = classes(t), classes(y)
    arrays = (
        np.bincount(true[true == predicted], minlength=n_classes),
        np.bincount(true, minlength=n_classes),
        np.bincount(predicted[predicted >= 0], minlength=n_classes),
    )
    return tuple(array.astype(np.float64) for array in arrays)  # type: ignore[return-value]


def average_over_classes(numerator: Values, denominator: Values, t: Values, occurs: Values) -> float:
    """Average numerator / denominator over the classes for which `occurs` is above 0; a quotient 0 / 0 counts as 0.

    The arrays have a number for each class. Where O is 1, the result is the quotient of class 1 alone.
    """
    quotients = np.divide(numerator, denominator, out=np.zeros_like(numerator), where=denominator > 0)
    return float(quotients[1]) if t.shape[1] == 1 else float(np.mean(quotients[occurs > 0]))


def accuracy(t: Values, y: Values) -> float:
    """Share of the rows whose predicted class is right.

    Examples
    --------
    >>> accuracy(np.array([[1.0], [0.0]]), np.array([[0.75], [0.625]]))
    0.5
    """
    return float(np.mean(classes(t) == classes(y)))


def balanced_accuracy(t: Values, y: Values) -> float:
    """The mean of the recall of each class that occurs in the targets.

    Examples
    --------
    >>> balanced_accuracy(np.array([[1.0], [0.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.75
    """
    true_positives, true, _ = counts(t, y)
    return float(np.mean(true_positives[true > 0] / true[true > 0]))


def precision(t: Values, y: Values) -> float:
    """Of the rows that are predicted as a class, the share that is of the class; 0 if no row is predicted as it.

    Where O is 1, this is the precision of class 1. Else it is the mean over the classes that occur in the targets or in
    the predictions.

    Examples
    --------
    >>> precision(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    true_positives, true, predicted = counts(t, y)
    return average_over_classes(true_positives, predicted, t, true + predicted)


def recall(t: Values, y: Values) -> float:
    """Of the rows of a class, the share that is predicted as the class; averaged over the classes as in `precision`.

    Examples
    --------
    >>> recall(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    true_positives, true, predicted = counts(t, y)
    return average_over_classes(true_positives, true, t, true + predicted)


def f1(t: Values, y: Values) -> float:
    """The harmonic mean of a class's precision and recall; averaged over the classes as in `precision`.

    It is computed as 2 true positives / (rows of the class + rows predicted as the class).

    Examples
    --------
    >>> f1(np.array([[1.0], [1.0], [0.0]]), np.array([[1.0], [0.0], [1.0]]))
    0.5
    """
    true_positives, true, predicted = counts(t, y)
    return average_over_classes(2 * true_positives, true + predicted, t, true + predicted)


def auc(t: Values, y: Values) -> float:
    """Area under the ROC curve: how often a row of a class has a larger output for it than a row of another class.

    Equal outputs count half (the Mann-Whitney statistic). Where O is 1, this is the area for class 1. Else it is the
    mean over the classes, each against the rest. A class that all rows or no rows are of is left out; the result is NaN
    if no class remains.

    References
    ----------
    Hand and Till, "A simple generalisation of the area under the ROC curve", 2001, section 2, equation 3.

    Examples
    --------
    >>> auc(np.array([[1.0], [0.0], [0.0]]), np.array([[0.5], [0.25], [0.75]]))
    0.5
    """
    true = classes(t)
    areas = [_area(true == c, y[:, c - (t.shape[1] == 1)]) for c in ([1] if t.shape[1] == 1 else range(t.shape[1]))]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else math.nan


def _area(positive: NDArray[np.bool_], scores: Values) -> float | None:
    """Return the area for one class, from the ranks of its rows' scores; None if all or none of the rows are of it."""
    n = int(np.count_nonzero(positive))
    if n in (0, len(scores)) or np.isnan(scores).any():
        return None if n in (0, len(scores)) else math.nan
    _, which, ties = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(ties) - (ties - 1) / 2.0)[which]  # ranks begin at 1; equal scores have the mean of their ranks
    return float((np.sum(ranks[positive]) - n * (n + 1) / 2) / (n * (len(scores) - n)))


# EarlyStopping maximises the metrics of the first table, and minimises those of the second.
HIGHER_IS_BETTER: Functions = {f.__name__: f for f in (accuracy, balanced_accuracy, precision, recall, f1, auc, r2)}
LOWER_IS_BETTER: Functions = {f.__name__: f for f in (mae, mse, rmse)}
METRICS: Functions = HIGHER_IS_BETTER | LOWER_IS_BETTER


# --------------------------------------------------------------------------------------------------- use by the network


def resolve(metrics: object) -> list[Metric]:
    """Return the metrics that the user's names and functions stand for, after a check that no name occurs twice."""
    if not isinstance(metrics, Sequence) or isinstance(metrics, str):
        raise TypeError(f"metrics: expected a sequence of names or functions, got {metrics!r}")
    found: dict[str, Metric] = {}
    for i, metric in enumerate(metrics):
        is_custom = callable(metric)
        name = getattr(metric, "__name__", type(metric).__name__) if is_custom else metric
        name = name if is_custom else arguments.name(f"metrics[{i}]", name, METRICS)
        if name == "loss" or name in found:
            raise ValueError(f"metrics[{i}]: expected each name once, and none that is 'loss', got {name!r}")
        found[name] = Metric(name, metric if is_custom else METRICS[name], is_custom)
    return list(found.values())


def names(network: Network, metrics: Sequence[Metric]) -> list[str]:
    """Return the names of the numbers that `evaluate` returns, in its order."""
    return list(dict.fromkeys(["loss", *["accuracy"] * network.loss.classifies, *(metric.name for metric in metrics)]))


def evaluate(network: Network, rows: Rows, metrics: Sequence[Metric]) -> dict[str, float]:
    """Return by name the mean loss over the rows, the accuracy if the loss is one of classes, and the metrics."""
    loss, core_accuracy = network._evaluate(rows)
    results = {"loss": loss, **({"accuracy": core_accuracy} if network.loss.classifies else {})}
    results.update({metric.name: core_accuracy for metric in metrics})  # sets the order; the loop below sets the values
    # The core's accuracy compares outputs with targets, which is right only if outputs are themselves estimates.
    from_core = accuracy if type(network.loss).estimate is Loss.estimate else None
    others = [metric for metric in metrics if metric.function is not from_core]
    if not others:
        return results
    x = rows.x.copied() if isinstance(rows.x, RowSubset) else rows.x
    y = network.predict(x).reshape(rows.n_rows, -1)
    pair: tuple[Any, ...] = ()  # targets and estimates for the metrics of this file
    if not all(metric.is_custom for metric in others):
        pair = _targets(rows, network), _estimates(y, network)
    for metric in others:
        if metric.function is accuracy:
            results[metric.name] = float(np.average(classes(pair[0]) == classes(pair[1]), weights=rows.weights))
        else:
            results[metric.name] = _custom(metric, rows, y) if metric.is_custom else metric.function(*pair)
    return results


def _targets(rows: Rows, network: Network) -> Values:
    """Return the targets as a float64 array (n, n_targets); class labels become one-hot rows."""
    if rows.values is not None:
        values = rows.values.reshape(rows.n_rows, -1).astype(np.float64)
        return (values == 1).astype(np.float64) if network.loss.targets == "one class" else values
    return np.asarray(np.arange(network.sizes[-1]) == rows.labels[:, np.newaxis], np.float64)  # type: ignore[index]


def _estimates(y: NDArray[Any], network: Network) -> Values:
    """Return the estimates of the targets that the outputs give, a float64 array (n, n_targets).

    The single score of a hinge loss, which decides the class by its sign, is shifted so that its threshold is 0.5.
    """
    estimates: Values = network.loss.estimate(y).astype(np.float64)
    is_single_score = network.loss.targets == "one class" and y.shape[1] == 1
    if not is_single_score:
        return estimates
    shifted = estimates + 0.5
    # A positive score so small that adding it to 0.5 gives 0.5 must still end above 0.5.
    return np.where(estimates > 0, np.maximum(shifted, np.nextafter(0.5, 1.0)), shifted)


def _custom(metric: Metric, rows: Rows, y: NDArray[Any]) -> float:
    """Call the user's function with y_true and y_pred, and return its result as a float.

    y_true are the labels (n,) or the targets (n, n_targets), y_pred are the outputs (n, O). An array with one column is
    passed as (n,).
    """
    t = rows.labels if rows.labels is not None else rows.values
    assert t is not None
    t = t.copy() if t is rows.labels else t.reshape(rows.n_rows, -1).astype(y.dtype)  # copies, so a user may write
    result = metric.function(*(each.ravel() if each.ndim == 2 and each.shape[1] == 1 else each for each in (t, y)))
    if isinstance(result, numbers.Real) or (isinstance(result, np.ndarray) and result.ndim == 0):
        return float(result)
    raise TypeError(f"metrics: expected a real number from {metric.name!r}, got {result!r}")
