"""What happens to data on their way in: the scaling of columns, batches one after another, the order of rows by blocks.

A scaling is a pair (offset, scale) of a number per column: x' = (x - offset) / scale. It comes as a name, to be learnt
by the first fit, or as an object with these two attributes, of which nothing else is asked.
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
    """None, a name, or offset and scale of n columns, the scale above 0."""
    if value is None or isinstance(value, str):
        return None if value is None else checks.known_name(argument, value, SCALINGS)
    if not (hasattr(value, "offset") and hasattr(value, "scale")):
        raise TypeError(f"{argument}: expected a name, or an object with offset and scale, got {value!r}")
    offset, scale = (checks.vector(argument, list(each), n) for each in (value.offset, value.scale))
    for row in (offset, scale):
        checks.require_finite(argument, row, "a scaling")
    return usable(argument, (offset, scale))


def usable(argument: str, pair: Scaling) -> Scaling:
    """The scaling, if no scale is so small that differences are below the smallest normal number, which may be 0."""
    if min(pair[1]) < MIN_SCALE:
        raise ValueError(f"{argument}: expected scales of at least 2**-970, got {min(pair[1])!r}")
    return pair


def learn(kind: str, rows: Matrix) -> Scaling:
    """Mean and standard deviation, or the least and the range, by column.

    A column that is constant but for rounding keeps scale 1: one whose deviation (range) is at most n eps times the
    magnitude of its mean (of its largest number), n the number of rows and eps = 2**-52.
    """
    offset, scale = [], []
    for column in zip(*rows):
        n, least, most = len(column), min(column), max(column)
        if kind == "minmax":
            begin, width, magnitude = least, most - least, max(abs(least), abs(most))
        else:
            begin, width = statistics.mean(column), statistics.pstdev(column)  # of exact sums
            magnitude = abs(begin)
        offset.append(float(begin))
        scale.append(width if width > n * EPSILON * magnitude else 1.0)
    return offset, scale


def known(value: str | Scaling | None) -> Scaling | None:
    """The scaling that is applied: none while it is only named."""
    return None if isinstance(value, str) else value


def apply(value: str | Scaling | None, rows: Matrix) -> Matrix:
    """(x - offset) / scale of each row, or the rows as they are."""
    if (pair := known(value)) is None:
        return rows
    return [[(x - a) / b for x, a, b in zip(row, *pair)] for row in rows]


def undo(value: str | Scaling | None, rows: Matrix) -> Matrix:
    """x scale + offset of each row, or the rows as they are."""
    if (pair := known(value)) is None:
        return rows
    return [[x * b + a for x, a, b in zip(row, *pair)] for row in rows]


def block_order(random: SplitMix64, n_rows: int, n_inputs: int) -> list[int]:
    """Blocks of about 65,536 numbers in random order; the rows of each 64 of them, a window, in random order.

    Each window has a generator of its own, whose seed is the first number of one that begins with the epoch's number
    plus the window's: so a place in the order can be found without what comes before.
    """
    n = max(1, BLOCK_NUMBERS // n_inputs)
    blocks = random.permutation(-(-n_rows // n))
    number = random.next()
    order: list[int] = []
    for window, first in enumerate(range(0, len(blocks), WINDOW_BLOCKS)):
        rows = [k for b in blocks[first : first + WINDOW_BLOCKS] for k in range(b * n, min(b * n + n, n_rows))]
        own = SplitMix64(SplitMix64((number + window) % 2**64).next())
        order += [rows[place] for place in own.permutation(len(rows))]
    return order


def opener(source: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """What begins the batches of an epoch: of an iterable, or of what a function returns."""
    if not callable(source) and not isinstance(source, Iterable):
        raise TypeError(f"X: expected an iterable of batches (X, y) where y is None, got {source!r}")
    if callable(source):
        return lambda: iter(source())
    once = iter(source)
    if once is source and epochs > 1:
        raise ValueError(
            f"X: expected batches that {epochs} epochs can go through, got an iterator, which ends after one"
        )
    return lambda: once if once is source else iter(source)
