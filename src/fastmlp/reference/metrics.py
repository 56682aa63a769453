"""Metrics: numbers that say how good predictions are, each a function of target rows T and output rows Y.

The class of a row is determined as by `classify`: it is the index of the largest output, the lowest one on a tie, or
where there is one output, whether y > 0.5. Metrics of classes are those of class 1 where there is one output, else the
mean over the classes. No function changes a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain

from .functions import Matrix, Vector


def class_of(y: Vector, threshold: float = 0.5) -> int:
    """The class of a row; -1, which is no class, for a row with NaN."""
    if any(v != v for v in y):
        return -1
    return int(y[0] > threshold) if len(y) == 1 else y.index(max(y))


def mean(values: Sequence[float]) -> float:
    """The mean of the values; NaN if there are none."""
    return math.fsum(values) / len(values) if values else math.nan


def _errors(T: Matrix, Y: Matrix) -> Vector:
    return [y - t for y, t in zip(chain.from_iterable(Y), chain.from_iterable(T))]


def mae(T: Matrix, Y: Matrix) -> float:
    """The mean of |y - t| over rows and outputs."""
    return mean([abs(e) for e in _errors(T, Y)])


def mse(T: Matrix, Y: Matrix) -> float:
    """The mean of (y - t)^2 over rows and outputs."""
    return mean([e * e for e in _errors(T, Y)])


def rmse(T: Matrix, Y: Matrix) -> float:
    """The square root of mse."""
    return math.sqrt(mse(T, Y))


def r2(T: Matrix, Y: Matrix) -> float:
    """The mean over outputs of 1 - sum (y - t)^2 / sum (t - mean t)^2.

    For an output whose targets are all equal, it is 1 if all predictions are right, else 0.
    """
    scores = []
    for targets, outputs in zip(zip(*T), zip(*Y)):
        t, y = list(targets), list(outputs)
        _, exponent = math.frexp(max(map(abs, t)))
        if abs(exponent) > 400:  # squares would leave the range of float64
            half, rest = 2.0 ** (-exponent // 2), 2.0 ** (-exponent - -exponent // 2)
            t, y = ([v * half * rest for v in row] for row in (t, y))
        residual = math.fsum((a - b) ** 2 for a, b in zip(y, t))
        total = math.fsum((b - mean(t)) ** 2 for b in t)
        scores.append(1 - residual / total if total > 0 else float(residual == 0))
    return mean(scores)


def accuracy(T: Matrix, Y: Matrix) -> float:
    """The share of the rows whose predicted class is right."""
    return mean([class_of(t) == class_of(y) for t, y in zip(T, Y)])


def balanced_accuracy(T: Matrix, Y: Matrix) -> float:
    """The mean of the recall of each class that occurs in the targets."""
    true = [class_of(t) for t in T]
    predicted = [class_of(y) for y in Y]
    return mean([mean([g == c for g, t in zip(predicted, true) if t == c]) for c in sorted(set(true))])


def _average_over_classes(T: Matrix, Y: Matrix, metric: Callable[[int, int, int], float]) -> float:
    """The mean of the metric over the classes that occur in the targets or the predictions.

    The metric is a function of the class's true positives, its rows, and the rows predicted as the class.
    """
    true = [class_of(t) for t in T]
    predicted = [class_of(y) for y in Y]
    classes = [1] if len(T[0]) == 1 else sorted({*true, *predicted} - {-1})
    true_positives = {c: sum(t == p == c for t, p in zip(true, predicted)) for c in classes}
    return mean([metric(true_positives[c], true.count(c), predicted.count(c)) for c in classes])


def precision(T: Matrix, Y: Matrix) -> float:
    """Of the rows that are predicted as a class, the share that is of the class; 0 if there are no such rows."""
    return _average_over_classes(T, Y, lambda hits, true, predicted: hits / predicted if predicted else 0.0)


def recall(T: Matrix, Y: Matrix) -> float:
    """Of the rows of a class, the share that is predicted as the class; 0 if there are no such rows."""
    return _average_over_classes(T, Y, lambda hits, true, predicted: hits / true if true else 0.0)


def f1(T: Matrix, Y: Matrix) -> float:
    """The harmonic mean of precision and recall: 2 true positives / (rows of the class + rows predicted as it)."""
    return _average_over_classes(
        T, Y, lambda hits, true, predicted: 2 * hits / (true + predicted) if true + predicted else 0.0
    )


def auc(T: Matrix, Y: Matrix) -> float:
    """Area under the ROC curve: how often a row of a class has a larger output for it than a row of another class.

    Equal outputs count half.
    """
    true = [class_of(t) for t in T]
    areas = []
    for c in [1] if len(T[0]) == 1 else range(len(T[0])):
        of_class = [y[c - (len(y) == 1)] for y, t in zip(Y, true) if t == c]
        others = [y[c - (len(y) == 1)] for y, t in zip(Y, true) if t != c]
        if of_class and others:
            has_nan = any(value != value for value in (*of_class, *others))
            areas.append(math.nan if has_nan else mean([(a > b) + (a == b) / 2 for a in of_class for b in others]))
    return mean(areas)


METRICS: dict[str, Callable[[Matrix, Matrix], float]] = {
    f.__name__: f for f in (accuracy, balanced_accuracy, precision, recall, f1, auc, mae, mse, rmse, r2)
}
