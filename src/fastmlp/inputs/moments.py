"""Mean, deviation, least and most of the columns of a matrix, found a few rows at a time in one pass.

The mean of a column is kept as a sum of two numbers, the second a correction of the first, since the deviation of a
column that lies far from 0 is otherwise that of the mean's own rounding. Pieces are merged in pairs of about the same
size, so that no sum is a chain of all rows. What comes out agrees with exact arithmetic to a few units in the last
place (tests/inputs/test_learnt_scaling.py), wherever the column lies and however small its numbers are. Numbers, or
ranges, that are not finite give results that are not finite; nothing here raises.

Reference: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from . import arrays
from .sharing import shared, threads_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

AT_ONCE = 4  # pieces of rows for each thread, until what they give is merged: a file may have any number of them
CACHE_NUMBERS = 2**16  # so many numbers of float64 stay in the cache from one operation to the next
NARROW = 128  # narrower rows are turned: NumPy adds up many short rows slowly, and one by one instead of in pairs
SMALL = 2.0**-930  # a sum of squares that is less may have lost some that are below the smallest normal number
EPSILON = float(np.finfo(np.float64).eps)


class Moments(NamedTuple):
    """Of n rows: the mean, as mean + rest, and the sum of squared distances from it, of each column."""

    n: int
    mean: NDArray[np.float64]
    rest: NDArray[np.float64]
    squares: NDArray[np.float64]


def mean_and_deviation(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each column of the rows (B, n), an array or `arrays.SparseRows`; the deviation is that of all B rows.

    Columns whose squares leave the range of float64 are gone through once more, scaled by a power of two.
    """
    whole, varies = _moments(rows)
    mean, deviation = whole.mean + whole.rest, np.sqrt(whole.squares / whole.n)
    doubtful = (varies & (whole.squares < SMALL)) | ~np.isfinite(whole.squares)
    if doubtful.any():
        least, most = (each[doubtful] for each in least_and_most(rows))
        _, exponent = np.frexp(np.maximum(np.abs(least), np.abs(most)))
        part, _ = _moments(rows, lambda x: np.ldexp(x[:, doubtful], -exponent))
        mean[doubtful] = np.ldexp(part.mean + part.rest, exponent)
        wide = ~np.isfinite(most - least)
        deviation[doubtful] = np.where(wide, np.inf, np.ldexp(np.sqrt(part.squares / part.n), exponent))
    return mean, deviation


def least_and_most(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each column of the rows (B, n), an array or `arrays.SparseRows`."""
    least, most = np.full(rows.shape[1], np.inf), np.full(rows.shape[1], -np.inf)
    for x in (x for _, piece in arrays.pieces(rows) for x in _parts(piece)):
        least, most = np.minimum(least, x.min(axis=0)), np.maximum(most, x.max(axis=0))
    return least, most


def is_rounding(spread: NDArray[np.float64], magnitude: NDArray[np.float64], n_rows: int) -> NDArray[np.bool_]:
    """Whether a spread is no more than rounding makes of a constant: n_rows eps times the column's magnitude.

    It is scikit-learn's bound for a variance, var <= n eps var + (n eps mean)**2, less its first term, which matters
    nowhere below 10**12 rows. Being relative, it leaves columns of small numbers alone.
    """
    rounding: NDArray[np.bool_] = spread <= n_rows * EPSILON * np.abs(magnitude)
    return rounding


def _parts(piece: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Copies of the rows as float64, a few at a time, each in the memory of the one before; narrow rows with each
    column's numbers side by side.
    """
    n_columns = piece.shape[1]
    order: Literal["C", "F"] = "F" if n_columns < NARROW else "C"
    n = max(1, CACHE_NUMBERS // n_columns)
    memory = np.empty(min(n, len(piece)) * n_columns)
    for first in range(0, len(piece), n):
        part = piece[first : first + n]
        x = memory[: part.size].reshape(part.shape, order=order)
        np.copyto(x, part)
        yield x


def _moments(
    rows: Any, change: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda x: x
) -> tuple[Moments, NDArray[np.bool_]]:
    """The moments of all rows, changed, and whether a column varies where its squares are too small to tell.

    Threads share the pieces of many rows; they are merged in the rows' order.
    """
    _, piece = next(arrays.pieces(rows))
    first = change(piece[:1].astype(np.float64))[0]

    def of(piece: NDArray[Any]) -> list[tuple[Moments, NDArray[np.bool_]]]:
        with np.errstate(over="ignore", invalid="ignore"):  # a thread has not its caller's
            return [_and_variation(change(x), first) for x in _parts(piece)]

    n_threads = 1 if isinstance(rows, arrays.SparseRows) else threads_for(rows.shape[0] * rows.shape[1])
    merged: list[Moments] = []
    varies = np.zeros(len(first), bool)
    pieces = (piece for _, piece in arrays.pieces(rows))
    while some := list(itertools.islice(pieces, AT_ONCE * n_threads)):
        for part, there in itertools.chain.from_iterable(shared(n_threads, some, of)):
            merged.append(part)
            varies |= there
            while len(merged) > 1 and merged[-2].n <= merged[-1].n:
                merged[-2:] = [_merge(*merged[-2:])]
    while len(merged) > 1:
        merged[-2:] = [_merge(*merged[-2:])]
    return merged[0], varies


def _and_variation(x: NDArray[np.float64], first: NDArray[np.float64]) -> tuple[Moments, NDArray[np.bool_]]:
    """The moments of a few rows, and which columns of small squares are not all the first row's number."""
    moments = _of_piece(x, np.empty_like(x))
    varies = moments.squares < SMALL
    if varies.any():
        varies[varies] = (x[:, varies] != first[varies]).any(axis=0)
    return moments, varies


def _of_piece(x: NDArray[np.float64], spare: NDArray[np.float64]) -> Moments:
    """The moments of a few rows (r, n), from their distances from about the mean.

    A sum of r rounded numbers may be off by r roundings. Where that is seen beside the spread, the distances are taken
    once more, now from the number nearest to the mean. What is in `spare`, of x's shape, is lost.
    """
    if len(x) == 1:
        return Moments(1, x[0].copy(), np.zeros(x.shape[1]), np.zeros(x.shape[1]))
    mean = x.sum(axis=0) / len(x)
    for _ in range(2):
        distances = np.subtract(x, mean, out=spare)
        rest = distances.sum(axis=0) / len(x)
        squares = np.square(distances, out=spare).sum(axis=0)
        excess = len(x) * rest**2
        if not (excess > squares / 4).any():
            break
        mean = mean + rest
    return Moments(len(x), mean, rest, np.maximum(squares - excess, 0))


def _merge(a: Moments, b: Moments) -> Moments:
    """The moments of both."""
    n = a.n + b.n
    distance = (b.mean - a.mean) + (b.rest - a.rest)
    squares = a.squares + b.squares + distance**2 * (a.n / n * b.n)
    rest = a.rest + distance * (b.n / n)
    mean = a.mean + rest
    return Moments(n, mean, (a.mean - mean) + rest, squares)
