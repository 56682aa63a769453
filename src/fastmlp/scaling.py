"""The scaling of columns, x' = (x - offset) / scale: learnt from rows, applied by the core, kept with the model.

One class for inputs and targets, for networks and for the command line. It is computed in float64, from a few rows at
a time; what a file says of one is checked before it is used, since files come from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import inputs

if TYPE_CHECKING:
    from .losses import Loss

SCALINGS = ("standard", "minmax")
EPSILON = float(np.finfo(np.float64).eps)
BLOCK_NUMBERS = 2**13  # numbers that are added up at a time, in the cache


class Scaling:
    """The affine map x' = (x - offset) / scale of each column.

    Parameters
    ----------
    offset : array_like, shape (n,)
        Finite.
    scale : array_like, shape (n,)
        Finite and above 0.

    Raises
    ------
    ValueError, TypeError
        If the numbers or shapes do not fit.

    Examples
    --------
    >>> scaling = fastmlp.Scaling.fit([[0.0, 5.0], [4.0, 5.0]])
    >>> scaling
    Scaling([2.0, 5.0], [2.0, 1.0])
    >>> scaling.apply([[6.0, 6.0]])
    array([[2., 1.]])
    """

    __slots__ = ("_offset", "_scale")
    _offset: NDArray[np.float64]
    _scale: NDArray[np.float64]

    def __init__(self, offset: ArrayLike, scale: ArrayLike) -> None:
        for name, value in (("offset", offset), ("scale", scale)):
            array = inputs.as_array(name, value)
            if array.dtype.kind not in "fiu":
                raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name}: expected a number for each column, got shape {array.shape}")
            with np.errstate(over="ignore"):
                given, array = array, array.astype(np.float64)  # a copy
            if not np.isfinite(array).all():
                told = inputs.told(given[~np.isfinite(array)][0], array.dtype)
                raise ValueError(f"{name}: expected finite numbers, got {told}")
            array.flags.writeable = False
            object.__setattr__(self, f"_{name}", array)
        if self.offset.shape != self.scale.shape:
            raise ValueError(f"scale: expected shape {self.offset.shape} as of offset, got {self.scale.shape}")
        if not (self.scale > 0).all():
            raise ValueError(f"scale: expected numbers above 0, got {self.scale.min()}")

    @property
    def offset(self) -> NDArray[np.float64]:
        """What is subtracted from each column; a read-only array (n,)."""
        return self._offset

    @property
    def scale(self) -> NDArray[np.float64]:
        """What each column is then divided by; a read-only array (n,)."""
        return self._scale

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: expected to be left as it is, as a Scaling does not change")

    def __reduce__(self) -> tuple[Any, ...]:
        return Scaling, (self.offset.tolist(), self.scale.tolist())

    def __repr__(self) -> str:
        return f"Scaling({self.offset.tolist()}, {self.scale.tolist()})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scaling):
            return NotImplemented
        return np.array_equal(self.offset, other.offset) and np.array_equal(self.scale, other.scale)

    def __hash__(self) -> int:
        return hash((self.offset.tobytes(), self.scale.tobytes()))

    @classmethod
    def fit(cls, X: Any, kind: str = "standard") -> Scaling:
        """The scaling that these rows ask for, found in float64, a few rows at a time.

        Parameters
        ----------
        X : array_like, frame or sparse matrix, shape (B, n), or (B,) for one column
        kind : {"standard", "minmax"}
            Mean and standard deviation (the mean over all rows of the squared distance from it, its root), or the
            least and the distance of the largest from it. A column that is constant but for rounding keeps scale 1, as
            dividing by that noise would make a signal of it: one whose deviation is at most n eps times its mean, as
            scikit-learn's StandardScaler has it (n rows; eps = 2**-52), or whose range is at most n eps times its
            largest absolute value.

        Raises
        ------
        ValueError
            If a number is not finite (the message has its row and column), or a column's sum or range is too large for
            float64.

        References
        ----------
        Chan, Golub, LeVeque, "Algorithms for computing the sample variance: analysis and recommendations", 1983: the
        corrected two-pass algorithm, here with the compensated sums of Ogita, Rump, Oishi, "Accurate sum and dot
        product", 2005. The deviation is right to a few units in the last place at any offset.

        Examples
        --------
        >>> fastmlp.Scaling.fit([[1.0], [3.0]], "minmax")
        Scaling([1.0], [2.0])
        """
        if kind not in SCALINGS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, SCALINGS))}, got {kind!r}")
        rows = _rows(X)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            least, most, mean = _ranges_and_means(rows)
            width = most - least
            if kind == "minmax":
                offset, scale = least, width
                noise = rows.shape[0] * EPSILON * np.maximum(np.abs(least), np.abs(most))
            else:
                offset, scale = mean, _deviations(rows, mean, width)
                noise = rows.shape[0] * EPSILON * np.abs(offset) / np.sqrt(1 - min(rows.shape[0] * EPSILON, 0.5))
        _refuse_not_finite(rows, offset, scale)
        return cls(offset, np.where(scale > noise, scale, 1.0))

    def apply(self, x: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
        """The scaled rows, (x - offset) / scale, in that dtype; computed in float64, a few rows at a time."""
        rows = inputs.as_array("x", x)
        out = np.empty(rows.shape, dtype)
        if rows.ndim == 1:
            rows, target = rows[np.newaxis], out[np.newaxis]
        else:
            target = out
        with np.errstate(over="ignore"):
            for first, piece in inputs.pieces(rows):
                target[first : first + len(piece)] = (piece.astype(np.float64) - self.offset) / self.scale
        return out

    def undo(self, x: ArrayLike) -> NDArray[np.float64]:
        """The rows before scaling, x scale + offset, in float64.

        Examples
        --------
        >>> fastmlp.Scaling([10.0], [2.0]).undo([[1.0], [-1.0]])
        array([[12.],
               [ 8.]])
        """
        numbers: NDArray[np.float64] = inputs.as_array("x", x).astype(np.float64) * self.scale + self.offset
        return numbers


def _rows(X: Any) -> Any:
    """X as rows (B, n) with B >= 1: an array or `inputs.Sparse`."""
    float64 = np.dtype(np.float64)
    rows = inputs.sparse_rows(X, float64) if inputs.is_sparse(X) else X
    if not isinstance(rows, inputs.Sparse):
        rows = inputs.as_array("X", X)
        rows = rows[:, np.newaxis] if rows.ndim == 1 else rows
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"X: expected real numbers, got dtype {rows.dtype}")
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"X: expected shape (B, n) with B >= 1, got shape {rows.shape}")
    return rows


class _Sum:
    """The sum of many rows by column, each rounding error kept: as if in twice the digits."""

    def __init__(self, n_columns: int) -> None:
        shape = max(1, BLOCK_NUMBERS // n_columns), n_columns
        self.high, self.low = np.zeros(shape), np.zeros(shape)

    def add(self, x: NDArray[np.float64]) -> None:
        """Adds a block of rows, each to another of the sums."""
        n = len(x)
        self.high[:n], error = _two_sum(self.high[:n], x)
        self.low[:n] += error

    def total(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The sum by column, and what it is off by."""
        total, low = self.high[0], self.low.sum(axis=0)
        for row in self.high[1:]:
            total, error = _two_sum(total, row)
            low += error
        return total, low


def _two_sum(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """a + b and its rounding error, exactly (Knuth)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def _blocks(rows: Any) -> Iterator[NDArray[np.float64]]:
    """The rows in float64, about BLOCK_NUMBERS numbers at a time."""
    n = max(1, BLOCK_NUMBERS // rows.shape[1])
    for _, piece in inputs.pieces(rows):
        for first in range(0, len(piece), n):
            yield piece[first : first + n].astype(np.float64)


def _ranges_and_means(rows: Any) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """By column the least, the largest and the mean, which is right but for its last digit."""
    least, most = np.full(rows.shape[1], np.inf), np.full(rows.shape[1], -np.inf)
    sums = _Sum(rows.shape[1])
    for x in _blocks(rows):
        least, most = np.minimum(least, x.min(axis=0)), np.maximum(most, x.max(axis=0))
        sums.add(x)
    high, low = sums.total()
    return least, most, (high + low) / rows.shape[0]


def _deviations(rows: Any, mean: NDArray[np.float64], width: NDArray[np.float64]) -> NDArray[np.float64]:
    """By column the standard deviation.

    Distances from the mean are divided by a power of two near the column's width, so that no square is lost below the
    smallest number. The sum of the distances says how far the mean is off by its own rounding.
    """
    n, (_, exponent) = rows.shape[0], np.frexp(width)
    squares, distances = _Sum(rows.shape[1]), _Sum(rows.shape[1])
    for x in _blocks(rows):
        x -= mean
        np.ldexp(x, -exponent, out=x)
        distances.add(x)
        squares.add(np.square(x, out=x))
    high, low = distances.total()
    off = (high + low) / n
    high, low = squares.total()
    variance = ((high - n * off**2) + low) / n
    deviation: NDArray[np.float64] = np.ldexp(np.sqrt(np.maximum(variance, 0.0)), exponent)
    return deviation


def _refuse_not_finite(rows: Any, offset: NDArray[Any], scale: NDArray[Any]) -> None:
    finite = np.isfinite(offset) & np.isfinite(scale)
    if finite.all():
        return
    found = inputs.first_not_finite(rows, np.dtype(np.float64))
    if found is not None:
        told = inputs.told(found[2], np.dtype(np.float64))
        raise ValueError(f"X: expected finite numbers, got {told} at row {found[0]}, column {found[1]}")
    raise ValueError(
        f"X: expected columns whose sum and range are finite, got larger ones in column {np.argmin(finite)}"
    )


# -------------------------------------------------------------------------------------------------- words and models


def check(argument: str, value: object, n_columns: int) -> str | Scaling | None:
    """None, the name of a scaling, or one for so many columns."""
    if value is None or (isinstance(value, str) and value in SCALINGS):
        return value
    if isinstance(value, str):
        raise ValueError(f"{argument}: expected one of {', '.join(map(repr, SCALINGS))} or a Scaling, got {value!r}")
    if not isinstance(value, Scaling):
        raise TypeError(f"{argument}: expected a name, a Scaling or None, got {type(value).__name__}")
    if len(value.offset) != n_columns:
        raise ValueError(f"{argument}: expected a Scaling of {n_columns} columns, got one of {len(value.offset)}")
    return value


def check_targets(value: object, loss: Loss, n_outputs: int) -> str | Scaling | None:
    """The scaling of the targets, if the loss takes scaled ones: all real numbers, and an output for each."""
    checked = check("target_scaling", value, n_outputs)
    if checked is not None and (loss.targets != "real" or loss.n_heads != 1 or loss.classifies):
        raise ValueError(
            f"target_scaling: expected None for the loss {loss.name!r}, which does not take any real number for each "
            f"output, got {value!r:.60}"
        )
    return checked


def describe(value: str | Scaling | None) -> object:
    """The scaling as JSON can hold it."""
    return {"offset": value.offset.tolist(), "scale": value.scale.tolist()} if isinstance(value, Scaling) else value


def from_description(argument: str, value: Any, n_columns: int) -> str | Scaling | None:
    """What `describe` has described; a ValueError says what it is otherwise."""
    if isinstance(value, dict):
        numbers = [value.get(name) for name in ("offset", "scale")]
        kinds = [type(each) is list and all(type(number) in (int, float) for number in each) for each in numbers]
        if set(value) != {"offset", "scale"} or not all(kinds):
            raise ValueError(f"{argument}: expected lists of numbers 'offset' and 'scale', got others")
        try:
            value = Scaling(*(np.array(each, np.float64) for each in numbers))
        except OverflowError:
            raise ValueError(f"{argument}: expected numbers that float64 can hold, got a larger one") from None
        except ValueError as error:
            raise ValueError(f"{argument}: {error}") from None
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{argument}: expected null, a name or an object, got {value!r:.60}")
    return check(argument, value, n_columns)


FLOAT32_OFFSET = 2.0**10  # an offset of so many times the scale costs float32 10 of its 24 bits


def needs_float64(targets: Scaling) -> bool:
    """Whether float32 is too narrow for numbers that this scaling has been undone for.

    Rounding y scale + offset to float32 is off by up to offset / scale * 2**-24 of a scale: what is beyond 2**-14 would
    be seen beside the network's own error. Numbers of 2**10 scales about the offset must also lie in its range.
    """
    offset, scale = np.abs(targets.offset), targets.scale
    limits = np.finfo(np.float32)
    with np.errstate(over="ignore"):
        largest = offset + FLOAT32_OFFSET * scale
    return bool(
        (offset > FLOAT32_OFFSET * scale).any() or (largest > limits.max).any() or (scale < limits.tiny * 2.0**24).any()
    )
