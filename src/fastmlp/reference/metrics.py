"""Metrics: figures of how good predictions are, each a function of target rows T and output rows Y.

Classes of rows are as `classify` says: argmax, the lowest index on a tie, or y > 0.5 where there is one output. Class
metrics are those of class 1 where there is one output, else the mean over the classes. Nothing here changes a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain

from .functions import Matrix, Vector


def class_of(y: Vector, threshold: float = 0.5) -> int:
    """The class of a row; -1, which is no class's, where a number is NaN."""
    if any(v != v for v in y):
        return -1
    return int(y[0] > threshold) if len(y) == 1 else y.index(max(y))


def mean(values: Sequence[float]) -> float:
    """Their mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def _errors(T: Matrix, Y: Matrix) -> Vector:
    return [y - t for y, t in zip(chain.from_iterable(Y), chain.from_iterable(T))]


def mae(T: Matrix, Y: Matrix) -> float:
    """Mean |y - t| over rows and outputs."""
    return mean([abs(e) for e in _errors(T, Y)])


def mse(T: Matrix, Y: Matrix) -> float:
    """Mean (y - t)^2 over rows and outputs."""
    return mean([e * e for e in _errors(T, Y)])


def rmse(T: Matrix, Y: Matrix) -> float:
    """The root of mse."""
    return math.sqrt(mse(T, Y))


def r2(T: Matrix, Y: Matrix) -> float:
    """Mean over outputs of 1 - sum (y - t)^2 / sum (t - mean t)^2; 1 or 0, for right or wrong, where t is constant."""
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
    """The share of rows whose class is right."""
    return mean([class_of(t) == class_of(y) for t, y in zip(T, Y)])


def balanced_accuracy(T: Matrix, Y: Matrix) -> float:
    """The mean over the classes that occur of the share of their rows that is right."""
    true = [class_of(t) for t in T]
    guess = [class_of(y) for y in Y]
    return mean([mean([g == c for g, t in zip(guess, true) if t == c]) for c in sorted(set(true))])


def _over_classes(T: Matrix, Y: Matrix, share: Callable[[int, int, int], float]) -> float:
    """The mean of share(hits, rows of the class, rows taken for it) over the classes with such rows."""
    true = [class_of(t) for t in T]
    guess = [class_of(y) for y in Y]
    known = [1] if len(T[0]) == 1 else sorted({*true, *guess} - {-1})
    hits = {c: sum(t == g == c for t, g in zip(true, guess)) for c in known}
    return mean([share(hits[c], true.count(c), guess.count(c)) for c in known])


def precision(T: Matrix, Y: Matrix) -> float:
    """Of the rows taken for a class, the share that is of it; 0 where there are none."""
    return _over_classes(T, Y, lambda hits, true, taken: hits / taken if taken else 0.0)


def recall(T: Matrix, Y: Matrix) -> float:
    """Of the rows of a class, the share that is taken for it; 0 where there are none."""
    return _over_classes(T, Y, lambda hits, true, taken: hits / true if true else 0.0)


def f1(T: Matrix, Y: Matrix) -> float:
    """2 hits / (rows of the class + rows taken for it), the harmonic mean of precision and recall."""
    return _over_classes(T, Y, lambda hits, true, taken: 2 * hits / (true + taken) if true + taken else 0.0)


def auc(T: Matrix, Y: Matrix) -> float:
    """How often a row of a class has a larger output for it than a row of another class; equal ones count half."""
    true = [class_of(t) for t in T]
    areas = []
    for c in [1] if len(T[0]) == 1 else range(len(T[0])):
        of_class = [y[c - (len(y) == 1)] for y, t in zip(Y, true) if t == c]
        others = [y[c - (len(y) == 1)] for y, t in zip(Y, true) if t != c]
        if of_class and others:
            known = all(value == value for value in (*of_class, *others))
            areas.append(mean([(a > b) + (a == b) / 2 for a in of_class for b in others]) if known else math.nan)
    return mean(areas)


METRICS: dict[str, Callable[[Matrix, Matrix], float]] = {
    f.__name__: f for f in (accuracy, balanced_accuracy, precision, recall, f1, auc, mae, mse, rmse, r2)
}
