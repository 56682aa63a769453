"""The scaling of columns, x' = (x - offset) / scale: learnt from rows, applied by the core, kept with the model.

One class for inputs and targets, for networks and for the command line. It is computed in float64, from a few rows at
a time; what a file says of one is checked before it is used, since files come from anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import inputs, moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .losses import Loss

SCALINGS = ("standard", "minmax")


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
        if hasattr(self, "_scale"):  # networks read its arrays where they lie
            raise RuntimeError("Scaling: expected one call of __init__, got a second one; make a new Scaling")
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

    @property
    def needs_float64(self) -> bool:
        """Whether float32 is too narrow for numbers that this scaling has been undone for.

        Rounding y scale + offset to float32 is off by up to offset / scale * 2**-24 of a scale: what is beyond 2**-14
        would be seen beside the network's own error. Numbers of 2**10 scales about the offset must also lie in its
        range.
        """
        offset, scale = np.abs(self.offset), self.scale
        limits = np.finfo(np.float32)
        with np.errstate(over="ignore"):
            largest = offset + FLOAT32_OFFSET * scale
        is_far = (offset > FLOAT32_OFFSET * scale).any() or (largest > limits.max).any()
        return bool(is_far or (scale < limits.tiny * 2.0**24).any())

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
            dividing by the noise would make a signal of it: one whose deviation is at most B eps times its mean, or
            whose range is at most B eps times its largest magnitude, with eps = 2**-52.

        Raises
        ------
        ValueError
            If a number is not finite (the message has its row and column), or the range of a column is not.

        References
        ----------
        Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979.

        Examples
        --------
        >>> fastmlp.Scaling.fit([[1.0], [3.0]], "minmax")
        Scaling([1.0], [2.0])
        """
        if kind not in SCALINGS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, SCALINGS))}, got {kind!r}")
        rows = _rows(X)
        with np.errstate(over="ignore", invalid="ignore"):
            if kind == "minmax":
                least, most = moments.least_and_most(rows)
                offset, scale, magnitude = least, most - least, np.maximum(np.abs(least), np.abs(most))
            else:
                offset, scale = moments.mean_and_deviation(rows)
                magnitude = offset
            constant = moments.is_rounding(scale, magnitude, rows.shape[0])
        _refuse_not_finite(rows, offset, scale)
        return cls(offset, np.where(constant, 1.0, scale))

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


def _refuse_not_finite(rows: Any, offset: NDArray[Any], scale: NDArray[Any]) -> None:
    finite = np.isfinite(offset) & np.isfinite(scale)
    if finite.all():
        return
    found = inputs.first_not_finite(rows, np.dtype(np.float64))
    if found is not None:
        told = inputs.told(found[2], np.dtype(np.float64))
        raise ValueError(f"X: expected finite numbers, got {told} at row {found[0]}, column {found[1]}")
    raise ValueError(f"X: expected columns whose range is finite, got a larger one in column {np.argmin(finite)}")


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
    if not (value.scale >= MIN_SCALE).all():
        column = int(np.argmin(value.scale))
        raise ValueError(
            f"{argument}: expected scales of at least 2**-970 ({MIN_SCALE:.3g}), as networks take numbers below the "
            f"smallest normal one for 0, got {value.scale[column]} in column {column}; multiply it by 1e300, say"
        )
    return value


def learn(argument: str, rows: Any, value: str | Scaling | None) -> Scaling | None:
    """The scaling that a network is to use from now on: of a name, the one that these rows ask for."""
    if isinstance(value, str):
        try:
            found = Scaling.fit(rows, value)
        except ValueError as error:  # which speaks of X, as the argument of Scaling.fit is called
            whose = "y" if argument == "target_scaling" else "X"
            raise ValueError(whose + str(error).removeprefix("X")) from None
        check(argument, found, len(found.offset))
        return found
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


MIN_SCALE = 2.0**-970  # of a column whose differences keep their 53 bits where what is below 2**-1022 is flushed to 0
FLOAT32_OFFSET = 2.0**10  # an offset of so many times the scale costs float32 10 of its 24 bits
