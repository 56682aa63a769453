"""The scaling of columns, x' = (x - offset) / scale: computed from rows, applied by the core, saved with the model.

The class `Scaling` is used for inputs and for targets, by networks and by the command line. `Scaling.fit` computes one
in float64, from a few rows at a time. The functions below it check the arguments of `Network` and describe a scaling in
JSON; a scaling from a file is checked before it is used, because files are not trusted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .inputs import arrays, moments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .losses import Loss

SCALINGS = ("standard", "minmax")


class Scaling:
    """The affine map x' = (x - offset) / scale of each column.

    Parameters
    ----------
    offset : array_like, shape (n,)
        The number that is subtracted from each column; finite.
    scale : array_like, shape (n,)
        The number that each column is then divided by; finite and above 0.

    Raises
    ------
    ValueError, TypeError
        If a number or a shape is not valid.

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
        if hasattr(self, "_scale"):  # networks read the arrays without copying them, so the arrays must not change
            raise RuntimeError("Scaling: expected one call of __init__, got a second one; make a new Scaling")
        for name, value in (("offset", offset), ("scale", scale)):
            array = arrays.as_array(name, value)
            if array.dtype.kind not in "fiu":
                raise TypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
            if array.ndim != 1 or array.size == 0:
                raise ValueError(f"{name}: expected a number for each column, got shape {array.shape}")
            with np.errstate(over="ignore"):
                given, array = array, array.astype(np.float64)  # a copy
            if not np.isfinite(array).all():
                shown = arrays.number_text(given[~np.isfinite(array)][0], array.dtype)
                raise ValueError(f"{name}: expected finite numbers, got {shown}")
            array.flags.writeable = False
            object.__setattr__(self, f"_{name}", array)
        if self.offset.shape != self.scale.shape:
            raise ValueError(f"scale: expected shape {self.offset.shape} as of offset, got {self.scale.shape}")
        if not (self.scale > 0).all():
            raise ValueError(f"scale: expected numbers above 0, got {self.scale.min()}")

    @property
    def offset(self) -> NDArray[np.float64]:
        """The number that is subtracted from each column; a read-only float64 array, shape (n,)."""
        return self._offset

    @property
    def scale(self) -> NDArray[np.float64]:
        """The number that each column is then divided by; a read-only float64 array, shape (n,)."""
        return self._scale

    @property
    def needs_float64(self) -> bool:
        """Whether float32 is too imprecise, or its range too narrow, for the results of `undo`.

        Rounding y scale + offset to float32 has an error of up to |offset| / scale * 2**-24, in units of the scale. An
        error above 2**-14 would be noticeable beside the network's own error. The numbers within 2**10 scales of the
        offset must also lie in the range of float32.
        """
        offset, scale = np.abs(self.offset), self.scale
        limits = np.finfo(np.float32)
        with np.errstate(over="ignore"):
            largest = offset + FLOAT32_OFFSET * scale
        is_far = (offset > FLOAT32_OFFSET * scale).any() or (largest > limits.max).any()
        return bool(is_far or (scale < limits.tiny * 2.0**24).any())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: cannot be set, as a Scaling is immutable; make a new Scaling")

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
        """Compute the scaling of the columns of X, in float64, from a few rows at a time.

        Parameters
        ----------
        X : array_like, frame or sparse matrix, shape (B, n), or (B,) for one column
            The rows to compute it from.
        kind : {"standard", "minmax"}
            Offset and scale are the mean and the standard deviation of the column (with divisor B), or its minimum and
            its range. The scale of a column that is constant except for rounding is 1, because a division by rounding
            errors would make them look like a signal. Such a column has a standard deviation of at most B eps times the
            magnitude of its mean, or a range of at most B eps times its largest magnitude, with eps = 2**-52.

        Returns
        -------
        Scaling
            The scaling of n columns.

        Raises
        ------
        ValueError
            If a number is not finite (the message has its row and column), or if the range of a column is not.

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
                minimum, maximum = moments.min_and_max(rows)
                offset, scale, magnitude = minimum, maximum - minimum, np.maximum(np.abs(minimum), np.abs(maximum))
            else:
                offset, scale = moments.mean_and_deviation(rows)
                magnitude = offset
            constant = moments.is_rounding(scale, magnitude, rows.shape[0])
        _refuse_not_finite(rows, offset, scale)
        return cls(offset, np.where(constant, 1.0, scale))

    def apply(self, x: ArrayLike, dtype: Any = np.float64) -> NDArray[Any]:
        """Return (x - offset) / scale as a new array of `dtype`, computed in float64 from a few rows at a time."""
        rows = arrays.as_array("x", x)
        out = np.empty(rows.shape, dtype)
        if rows.ndim == 1:
            rows, target = rows[np.newaxis], out[np.newaxis]
        else:
            target = out
        with np.errstate(over="ignore"):
            for first, piece in arrays.pieces(rows):
                target[first : first + len(piece)] = (piece.astype(np.float64) - self.offset) / self.scale
        return out

    def undo(self, x: ArrayLike) -> NDArray[np.float64]:
        """Return x scale + offset in float64, the inverse of `apply`.

        Examples
        --------
        >>> fastmlp.Scaling([10.0], [2.0]).undo([[1.0], [-1.0]])
        array([[12.],
               [ 8.]])
        """
        numbers: NDArray[np.float64] = arrays.as_array("x", x).astype(np.float64) * self.scale + self.offset
        return numbers


def _rows(X: Any) -> Any:
    """Return X as rows (B, n) with B >= 1, an array, `arrays.SparseRows` or `arrays.RowSubset`."""
    float64 = np.dtype(np.float64)
    rows = arrays.sparse_rows(X, float64) if arrays.is_sparse(X) else X
    if not isinstance(rows, (arrays.SparseRows, arrays.RowSubset)):
        rows = arrays.as_array("X", X)
        rows = rows[:, np.newaxis] if rows.ndim == 1 else rows
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"X: expected real numbers, got dtype {rows.dtype}")
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"X: expected shape (B, n) with B >= 1, got shape {rows.shape}")
    return rows


def _refuse_not_finite(rows: Any, offset: NDArray[Any], scale: NDArray[Any]) -> None:
    """Raise `ValueError` if the offset or scale of a column is not finite; the message names the first such number."""
    finite = np.isfinite(offset) & np.isfinite(scale)
    if finite.all():
        return
    found = arrays.first_not_finite(rows, np.dtype(np.float64))
    if found is not None:
        shown = arrays.number_text(found[2], np.dtype(np.float64))
        raise ValueError(f"X: expected finite numbers, got {shown} at row {found[0]}, column {found[1]}")
    raise ValueError(f"X: expected columns whose range is finite, got a larger one in column {np.argmin(finite)}")


# ------------------------------------------------------------------------------------ arguments and files of networks


def check(argument: str, value: object, n_columns: int) -> str | Scaling | None:
    """Return the value if it is None, the name of a kind of scaling, or a `Scaling` of `n_columns` columns."""
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


def fitted(argument: str, rows: Any, value: str | Scaling | None) -> Scaling | None:
    """Return the value, or if it is the name of a kind of scaling, that scaling, computed from the rows."""
    if isinstance(value, str):
        try:
            found = Scaling.fit(rows, value)
        except ValueError as error:  # its message names X, the argument of Scaling.fit
            name = "y" if argument == "target_scaling" else "X"
            raise ValueError(name + str(error).removeprefix("X")) from None
        check(argument, found, len(found.offset))
        return found
    return value


def check_targets(value: object, loss: Loss, n_outputs: int) -> str | Scaling | None:
    """Return the scaling of the targets, after a check that the loss takes scaled targets.

    Such a loss takes any real number as a target and has one output for each.
    """
    checked = check("target_scaling", value, n_outputs)
    if checked is not None and (loss.targets != "real" or loss.n_heads != 1 or loss.classifies):
        raise ValueError(
            f"target_scaling: expected None for the loss {loss.name!r}, whose targets cannot be scaled: they are not "
            f"real numbers of any size, one for each output; got {value!r:.60}"
        )
    return checked


def describe(value: str | Scaling | None) -> object:
    """Return the scaling as an object that JSON can hold."""
    return {"offset": value.offset.tolist(), "scale": value.scale.tolist()} if isinstance(value, Scaling) else value


def from_description(argument: str, value: Any, n_columns: int) -> str | Scaling | None:
    """Return the scaling that `describe` has described; `ValueError` if the value is no such description."""
    if isinstance(value, dict):
        lists = [value.get(name) for name in ("offset", "scale")]
        are_lists = [type(each) is list and all(type(number) in (int, float) for number in each) for each in lists]
        if set(value) != {"offset", "scale"} or not all(are_lists):
            raise ValueError(f"{argument}: expected lists of numbers 'offset' and 'scale', got others")
        try:
            value = Scaling(*(np.array(each, np.float64) for each in lists))
        except OverflowError:
            raise ValueError(f"{argument}: expected numbers that float64 can hold, got a larger one") from None
        except ValueError as error:
            raise ValueError(f"{argument}: {error}") from None
    elif value is not None and not isinstance(value, str):
        raise ValueError(f"{argument}: expected null, a name or an object, got {value!r:.60}")
    return check(argument, value, n_columns)


MIN_SCALE = 2.0**-970  # with it, scaled differences keep 53 bits although numbers below 2**-1022 are flushed to 0
FLOAT32_OFFSET = 2.0**10  # an offset of this many scales costs float32 10 of its 24 bits
