"""Preparation of data before training: the scaling of columns, iterators of batches, and the order of rows by blocks.

A scaling is a pair (offset, scale) with a number for each column: x' = (x - offset) / scale. A user gives the name of a
kind of scaling, which the first fit learns, or any object with the attributes `offset` and `scale`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from . import checks
from .functions import Matrix, SplitMix64, Vector

Scaling = tuple[Vector, Vector]

SCALINGS = ("standard", "minmax")
EPSILON = 2.0**-52  # of float64
MIN_SCALE = 2.0**-970
BLOCK_NUMBERS, WINDOW_BLOCKS = 2**16, 64


def scaling(argument: str, value: Any, n: int) -> str | Scaling | None:
    """Return None, the name of a kind of scaling, or offset and scale of n columns, after a check of the value."""
    if value is None or isinstance(value, str):
        return None if value is None else checks.one_of(argument, value, SCALINGS)
    if not (hasattr(value, "offset") and hasattr(value, "scale")):
        raise TypeError(f"{argument}: expected a name, or an object with offset and scale, got {value!r}")
    offset, scale = (checks.vector(argument, list(each), n) for each in (value.offset, value.scale))
    for row in (offset, scale):
        checks.require_finite(argument, row, "a scaling")
    return check_scale(argument, (offset, scale))


def check_scale(argument: str, pair: Scaling) -> Scaling:
    """Return the scaling, after a check that every scale is at least MIN_SCALE.

    With a smaller scale, differences could be below the smallest normal number, which a processor may flush to 0.
    """
    if min(pair[1]) < MIN_SCALE:
        raise ValueError(f"{argument}: expected scales of at least 2**-970, got {min(pair[1])!r}")
    return pair


def learn(kind: str, rows: Matrix) -> Scaling:
    """Learn offset and scale of each column: the mean and standard deviation, or the minimum and range.

    The scale of a column that is constant except for rounding is 1. The standard deviation of such a column is at most
    n eps times the magnitude of its mean, or its range at most n eps times its largest magnitude, where n is the number
    of rows and eps = 2**-52.
    """
    offset, scale = [], []
    for column in zip(*rows):
        n, minimum, maximum = len(column), min(column), max(column)
        if kind == "minmax":
            begin, width, magnitude = minimum, maximum - minimum, max(abs(minimum), abs(maximum))
        else:
            begin, width = statistics.mean(column), statistics.pstdev(column)  # both from exact sums
            magnitude = abs(begin)
        offset.append(float(begin))
        scale.append(width if width > n * EPSILON * magnitude else 1.0)
    return offset, scale


def learnt(value: str | Scaling | None) -> Scaling | None:
    """Return the scaling, or None if there is none or only the name of a kind that is not learnt yet."""
    return None if isinstance(value, str) else value


def apply(value: str | Scaling | None, rows: Matrix) -> Matrix:
    """Return (x - offset) / scale of each row, or the rows themselves if there is no learnt scaling."""
    if (pair := learnt(value)) is None:
        return rows
    return [[(x - a) / b for x, a, b in zip(row, *pair)] for row in rows]


def undo(value: str | Scaling | None, rows: Matrix) -> Matrix:
    """Return x scale + offset of each row, or the rows themselves if there is no learnt scaling."""
    if (pair := learnt(value)) is None:
        return rows
    return [[x * b + a for x, a, b in zip(row, *pair)] for row in rows]


def block_order(random: SplitMix64, n_rows: int, n_inputs: int) -> list[int]:
    """Return the order of the rows of an epoch for shuffle="blocks".

    The rows are divided into blocks of about 65,536 numbers, and the blocks are put in random order. Every 64 blocks
    are a window, and the rows within a window are put in random order. Each window has a random generator of its own.
    Its seed is the first number of a generator that starts from a number drawn for the epoch plus the window's index,
    so the order within a window can be computed without the windows before it.
    """
    n = max(1, BLOCK_NUMBERS // n_inputs)
    blocks = random.permutation(-(-n_rows // n))
    number = random.next()
    order: list[int] = []
    for window, first in enumerate(range(0, len(blocks), WINDOW_BLOCKS)):
        rows = [k for b in blocks[first : first + WINDOW_BLOCKS] for k in range(b * n, min(b * n + n, n_rows))]
        window_random = SplitMix64(SplitMix64((number + window) % 2**64).next())
        order += [rows[i] for i in window_random.permutation(len(rows))]
    return order


def epoch_iterators(source: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """Return a function that returns a new iterator of an epoch's batches.

    The source is an iterable of batches, or a function that returns one.
    """
    if not callable(source) and not isinstance(source, Iterable):
        raise TypeError(f"X: expected an iterable of batches (X, y) where y is None, got {source!r}")
    if callable(source):
        return lambda: iter(source())
    once = iter(source)
    if once is source and epochs > 1:
        raise ValueError(
            f"X: expected batches that can be iterated over in {epochs} epochs, got an iterator, which ends after one"
        )
    return lambda: once if once is source else iter(source)
