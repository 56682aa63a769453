"""Mean, standard deviation, minimum and maximum of the columns of a matrix, in one pass over pieces of rows.

The mean of a column is kept as a sum of two numbers, the second of which corrects the first: without it, the deviation
of a column far from 0 would be dominated by the rounding error of its mean. The moments of pieces are merged in pairs
of about equal size (pairwise summation), so that rounding errors do not grow with the number of rows. Results agree
with exact arithmetic to a few units in the last place (tests/inputs/test_learnt_scaling.py), for any offset and any
magnitude of the column. Numbers or ranges that are not finite give results that are not finite; nothing here raises.

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

AT_ONCE = 4  # the number of pieces for each thread before their moments are merged, as a file may have very many pieces
CACHE_NUMBERS = 2**16  # this many float64 numbers stay in the cache from one operation to the next
NARROW = 128  # rows with fewer columns are transposed: NumPy adds many short rows slowly and without pairwise summation
SMALL = 2.0**-930  # a smaller sum of squares may lack squares that are below the smallest normal number
EPSILON = float(np.finfo(np.float64).eps)


class Moments(NamedTuple):
    """The moments of n rows for each column: the mean, as mean + rest, and the sum of squared distances from it."""

    n: int
    mean: NDArray[np.float64]
    rest: NDArray[np.float64]
    squares: NDArray[np.float64]


def mean_and_deviation(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the standard deviation (with divisor B) of each column of the rows (B, n).

    The rows are an array or `arrays.SparseRows`. A second pass, scaled by a power of two, computes the columns whose
    squares leave the range of float64.
    """
    whole, varies = _moments(rows)
    mean, deviation = whole.mean + whole.rest, np.sqrt(whole.squares / whole.n)
    doubtful = (varies & (whole.squares < SMALL)) | ~np.isfinite(whole.squares)
    if doubtful.any():
        minimum, maximum = (each[doubtful] for each in min_and_max(rows))
        _, exponent = np.frexp(np.maximum(np.abs(minimum), np.abs(maximum)))
        part, _ = _moments(rows, lambda x: np.ldexp(x[:, doubtful], -exponent))
        mean[doubtful] = np.ldexp(part.mean + part.rest, exponent)
        wide = ~np.isfinite(maximum - minimum)
        deviation[doubtful] = np.where(wide, np.inf, np.ldexp(np.sqrt(part.squares / part.n), exponent))
    return mean, deviation


def min_and_max(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the minimum and the maximum of each column of the rows (B, n), an array or `arrays.SparseRows`."""
    minimum, maximum = np.full(rows.shape[1], np.inf), np.full(rows.shape[1], -np.inf)
    for x in (x for _, piece in arrays.pieces(rows) for x in _float64_parts(piece)):
        minimum, maximum = np.minimum(minimum, x.min(axis=0)), np.maximum(maximum, x.max(axis=0))
    return minimum, maximum


def is_rounding(spread: NDArray[np.float64], magnitude: NDArray[np.float64], n_rows: int) -> NDArray[np.bool_]:
    """Return for each column whether its spread can be the rounding error of a constant column.

    The bound is n_rows eps times the column's magnitude. It is scikit-learn's bound for a variance,
    var <= n eps var + (n eps mean)**2, without its first term, which is negligible below 10**12 rows. Because it is
    relative, a column of small numbers is not taken for a constant one.
    """
    rounding: NDArray[np.bool_] = spread <= n_rows * EPSILON * np.abs(magnitude)
    return rounding


def _float64_parts(piece: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Yield copies of a few rows at a time as float64, each in the memory of the previous one.

    Narrow rows are copied in Fortran order, so that each column is contiguous.
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
    """Return the moments of all rows, to each of which `change` is applied, and which columns certainly vary.

    The latter are columns whose squares are too small to be reliable, but whose numbers differ. Several threads work on
    the pieces of many rows; the moments are merged in the order of the rows.
    """
    _, piece = next(arrays.pieces(rows))
    first = change(piece[:1].astype(np.float64))[0]

    def moments_of_piece(piece: NDArray[Any]) -> list[tuple[Moments, NDArray[np.bool_]]]:
        with np.errstate(over="ignore", invalid="ignore"):  # a new thread does not inherit errstate
            return [_moments_and_variation(change(x), first) for x in _float64_parts(piece)]

    n_threads = 1 if isinstance(rows, arrays.SparseRows) else threads_for(rows.shape[0] * rows.shape[1])
    merged: list[Moments] = []
    varies = np.zeros(len(first), bool)
    pieces = (piece for _, piece in arrays.pieces(rows))
    while group := list(itertools.islice(pieces, AT_ONCE * n_threads)):
        for part, part_varies in itertools.chain.from_iterable(shared(n_threads, group, moments_of_piece)):
            merged.append(part)
            varies |= part_varies
            while len(merged) > 1 and merged[-2].n <= merged[-1].n:
                merged[-2:] = [_merge(*merged[-2:])]
    while len(merged) > 1:
        merged[-2:] = [_merge(*merged[-2:])]
    return merged[0], varies


def _moments_and_variation(x: NDArray[np.float64], first: NDArray[np.float64]) -> tuple[Moments, NDArray[np.bool_]]:
    """Return the moments of a few rows, and which columns have small squares but not only the number `first`."""
    moments = _piece_moments(x, np.empty_like(x))
    varies = moments.squares < SMALL
    if varies.any():
        varies[varies] = (x[:, varies] != first[varies]).any(axis=0)
    return moments, varies


def _piece_moments(x: NDArray[np.float64], spare: NDArray[np.float64]) -> Moments:
    """Return the moments of a few rows (r, n), from their distances from an approximate mean.

    The sum of r numbers can have an error of r roundings. If that is noticeable beside the spread, the distances are
    computed again, from the corrected mean. `spare` is memory of x's shape, which is overwritten.
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
    """Return the moments of the rows of both."""
    n = a.n + b.n
    distance = (b.mean - a.mean) + (b.rest - a.rest)
    squares = a.squares + b.squares + distance**2 * (a.n / n * b.n)
    rest = a.rest + distance * (b.n / n)
    mean = a.mean + rest
    return Moments(n, mean, (a.mean - mean) + rest, squares)
