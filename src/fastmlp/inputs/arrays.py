"""Conversion of arrays of any library, frames, sparse matrices and memory-mapped files to rows that the core can read.

Objects of other libraries are recognised by their attributes; the libraries are never imported. A conversion returns
an array with contiguous rows, of a dtype that the core converts batch by batch (READ_AS_THEY_ARE), or `SparseRows`. It
never writes into an argument, and copies a whole matrix only if the core cannot read it in place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..scaling import Scaling

CPU = 1  # kDLCPU of DLPack
PIECE_NUMBERS = 2**20  # the number of elements of a piece of rows, see `pieces`
NOT_IN_NUMPY = ("Int128", "UInt128")  # integer types of polars that NumPy lacks
READ_AS_THEY_ARE = tuple(np.dtype(kind) for kind in (np.uint8, np.float16, np.float32, np.float64))


class SparseRows:
    """Rows of a compressed sparse row (CSR) matrix.

    Row i has the elements from `begins[i]` to `begins[i + 1]`; `columns` has the column of each element.
    """

    ndim = 2

    def __init__(
        self, elements: NDArray[Any], columns: NDArray[np.int32], begins: NDArray[np.int64], n_columns: int
    ) -> None:
        self.elements, self.columns, self.begins = elements, columns, begins
        self.shape = (len(begins) - 1, n_columns)
        self.dtype = elements.dtype

    def __getitem__(self, part: slice) -> SparseRows:
        """Return the rows of a slice with the step 1."""
        begin, end, _ = part.indices(self.shape[0])
        return SparseRows(self.elements, self.columns, self.begins[begin : max(begin, end) + 1], self.shape[1])

    def toarray(self, dtype: Any = None) -> NDArray[Any]:
        """Return the rows as a dense array of a float dtype; elements of the same column are summed, in that dtype."""
        first, last = self.begins[0], self.begins[-1]
        dense = np.zeros(self.shape, dtype or (np.float64 if self.dtype == np.float64 else np.float32))
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.begins))
        np.add.at(dense, (rows, self.columns[first:last]), self.elements[first:last].astype(dense.dtype))
        return dense


class RowSubset:
    """Rows of a matrix (B, I), an array or `SparseRows`, that is not copied.

    Row i is row `indices[i]` of `whole`; a row may occur several times.

    Parameters
    ----------
    whole : ndarray or SparseRows
    indices : ndarray of uint32
        Integers below B. Nobody may change them, as the core reads them.
    """

    ndim = 2

    def __init__(self, whole: NDArray[Any] | SparseRows, indices: NDArray[np.uint32]) -> None:
        self.whole, self.indices = whole, indices
        self.shape = (len(indices), whole.shape[1])
        self.dtype = whole.dtype

    def __getitem__(self, part: slice) -> RowSubset:
        """Return the rows of a slice with the step 1."""
        return RowSubset(self.whole, self.indices[part])

    def copied(self) -> NDArray[Any] | SparseRows:
        """Return a copy of the rows as a matrix of the kind of `whole`."""
        whole = self.whole
        if not isinstance(whole, SparseRows):
            return np.ascontiguousarray(whole[self.indices])
        lengths = np.diff(whole.begins)[self.indices]
        begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        elements = np.repeat(whole.begins[self.indices] - begins[:-1], lengths) + np.arange(begins[-1])
        return SparseRows(whole.elements[elements], whole.columns[elements], begins, whole.shape[1])

    def toarray(self, dtype: Any = None) -> NDArray[Any]:
        """Return a copy of the rows as a dense array; sparse rows get a float dtype, see `SparseRows.toarray`."""
        copied = self.copied()
        return copied.toarray(dtype) if isinstance(copied, SparseRows) else copied


# ------------------------------------------------------------------------------------------------------------ arrays


def as_array(argument: str, value: Any) -> NDArray[Any]:
    """Return the value as an array, without a copy if it exposes its memory (buffer, `__array__`, DLPack)."""
    value = unmasked(value)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    value = plain_tensor(argument, value)
    device = device_of(argument, value)
    if device not in (None, CPU):
        raise TypeError(f"{argument}: expected numbers in the memory of the CPU, got those of another device: {device}")
    if is_frame(value):
        with np.errstate(over="ignore"):
            return frame_array(argument, value, np.dtype(np.float64))
    if is_series(value):
        return series_array(argument, value)
    try:
        return np.from_dlpack(value) if device is not None and not hasattr(value, "__array__") else np.asarray(value)
    except (ValueError, RuntimeError, BufferError, TypeError) as error:
        raise array_error(argument, value, error) from error


def plain_tensor(argument: str, value: Any) -> Any:
    """Return a PyTorch tensor detached from its computation graph, and other objects unchanged."""
    if getattr(value, "requires_grad", False) is True and callable(getattr(value, "detach", None)):
        value = value.detach()
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        raise TypeError(f"{argument}: expected an array of numbers that NumPy has, got torch.bfloat16; give x.float()")
    return value


def array_error(argument: str, value: Any, error: Exception) -> Exception:
    """Return the exception to raise for an error in the conversion of a value to an array."""
    expected = f"{argument}: expected an array of numbers, got "
    if isinstance(error, ValueError):
        got = "rows of unequal length" if isinstance(value, (list, tuple)) else f"{type(value).__name__}: {error}"
        return ValueError(expected + got)
    return TypeError(f"{expected}{type(value).__name__}: {error}") if hasattr(value, "__dlpack_device__") else error


def device_of(argument: str, value: Any) -> int | None:
    """Return the type of device of an object that supports DLPack; None for other objects."""
    ask = getattr(value, "__dlpack_device__", None)
    if ask is None:
        return None
    device = ask()
    try:
        return int(device[0])
    except (TypeError, ValueError, IndexError):
        raise TypeError(f"{argument}: expected (kind, number) from __dlpack_device__, got {device!r:.60}") from None


def unmasked(value: Any) -> Any:
    """Return a masked array as one with NaN for masked elements, and convert the masked arrays in a list likewise.

    NumPy silently drops the masks of arrays in a list. (A masked element in a list of numbers becomes NaN in NumPy.)
    """
    if not isinstance(value, (np.ndarray, list, tuple)):
        return value
    masked = sys.modules.get("numpy.ma")  # NumPy imports it on first use, so it is there if a masked array exists
    masked_array: Any = getattr(masked, "MaskedArray", ())
    if isinstance(value, masked_array):
        if not np.ma.is_masked(value):
            return np.asarray(value.data)
        kind = value.dtype.kind
        wide: Any = value if kind in "fc" else value.astype(np.float64 if kind in "iub" else object)
        return np.asarray(wide.filled(np.nan))
    if not isinstance(value, np.ndarray) and value and type(value[0]) not in (float, int):
        kinds = set(map(type, value))
        return [*map(unmasked, value)] if any(issubclass(each, masked_array) for each in kinds) else value
    return value


def number_text(value: Any, dtype: np.dtype[Any]) -> str:
    """Return as text, for a message, a number that is not finite in that dtype: NaN, infinite, or too large for it."""
    number = float(value) if np.isfinite(np.float64(value)) else value  # shows a long double with fewer digits
    return f"{number!s}, more than {dtype} can hold" if np.isfinite(value) else f"{number!s}"


def plain_number(number: Any) -> Any:
    """Return a NumPy number as a Python number.

    For a float32 or float16 that is not an integer it is the number with the shortest decimal form: 0.1 for
    float32(0.1), as NumPy prints it.
    """
    plain = number.item()
    narrow = isinstance(number, np.floating) and number.dtype.itemsize < np.dtype(np.float64).itemsize
    return float(str(number)) if narrow and not plain.is_integer() else plain


def plain_numbers(array: NDArray[Any]) -> list[Any]:
    """Return a list with `plain_number` of each element of a vector."""
    if array.dtype.kind != "f" or array.dtype.itemsize == np.dtype(np.float64).itemsize:
        return list(array.tolist())
    different, codes = np.unique(array, return_inverse=True)
    table = [plain_number(each) for each in different]
    return [table[code] for code in codes.reshape(-1).tolist()]


def memory(x: Any) -> list[NDArray[Any]]:
    """Return the arrays that rows consist of: three for `SparseRows`, else one; a `RowSubset` counts as one array.

    Sparse rows of a `RowSubset` are copied.
    """
    if isinstance(x, RowSubset) and isinstance(x.whole, SparseRows):
        x = x.copied()
    return [x.elements, x.columns, x.begins] if isinstance(x, SparseRows) else [x]


def is_mapped(array: Any) -> bool:
    """Return whether the array's memory is a memory-mapped file."""
    import mmap  # imported here to keep `import fastmlp` fast

    while array is not None:
        if isinstance(array, (np.memmap, mmap.mmap)):
            return True
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return False


def pieces(x: Any, dtype: Any = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """Yield pieces of the rows with the index of the first row of each, as arrays; sparse rows get that dtype."""
    n_rows = max(1, PIECE_NUMBERS // max(1, x.shape[1]))
    for first in range(0, x.shape[0], n_rows):
        piece = x[first : first + n_rows]
        yield first, piece if isinstance(piece, np.ndarray) else piece.toarray(dtype)


def first_not_finite(x: Any, dtype: np.dtype[Any], scaling: Scaling | None = None) -> tuple[int, int, float] | None:
    """Return row, column and value of the first number that is NaN or infinite in that dtype, or None.

    If a scaling is given, the test is of the scaled numbers. The row of a `RowSubset` is counted in the whole matrix.
    """
    if x.dtype.kind != "f" and scaling is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        for first, piece in pieces(x if x.ndim == 2 else x[np.newaxis], dtype if scaling is None else None):
            finite = np.isfinite(piece.astype(dtype, copy=False) if scaling is None else scaling.apply(piece, dtype))
            if not finite.all():
                row, column = divmod(int(np.argmin(finite)), finite.shape[1])
                value = piece[row, column]
                if not isinstance(x, np.ndarray) and np.isinf(value):  # a sum of several elements may have overflowed
                    wide = x[first + row : first + row + 1].toarray(np.float64)[0, column]
                    value = wide if abs(wide) > np.finfo(dtype).max else value
                row += first
                return int(x.indices[row]) if isinstance(x, RowSubset) else row, column, value
    return None


# ------------------------------------------------------------------------------------------------------------ frames


def is_frame(value: Any) -> bool:
    """Return whether the value is a frame: a table with columns, like those of pandas and polars."""
    return hasattr(value, "columns") and hasattr(value, "dtypes") and callable(getattr(value, "to_numpy", None))


def is_series(value: Any) -> bool:
    """Return whether the value is a series: one column of a frame."""
    return hasattr(value, "name") and hasattr(value, "dtype") and callable(getattr(value, "to_numpy", None))


def column_names(value: Any) -> tuple[str, ...] | None:
    """Return the names of a frame's columns; None if they are not all text, or for another object."""
    names = tuple(value.columns) if is_frame(value) else ()
    return names if names and all(isinstance(name, str) for name in names) else None


def with_text_names(frame: Any) -> Any:
    """Return the frame with each label that is not text (a number, a tuple) converted to text.

    The frame is returned unchanged if all labels are text, and if they are just the indices 0, 1, 2, ...
    """
    labels = list(frame.columns)
    if all(isinstance(label, str) for label in labels) or not hasattr(frame, "set_axis") or _are_indices(labels):
        return frame
    return frame.set_axis([str(label) for label in labels], axis=1)


def _are_indices(labels: list[Any]) -> bool:
    """Return whether the labels are the integers 0, 1, 2, ... in this order."""
    return all(isinstance(label, Integral) for label in labels) and labels == list(range(len(labels)))


def _refuse_other_order(frame: Any) -> None:
    """Raise a ValueError for a frame without names whose labels are 0, 1, 2, ... in another order."""
    labels = list(frame.columns)
    are_integers = all(isinstance(label, Integral) for label in labels)
    if are_integers and not _are_indices(labels) and _are_indices(sorted(labels)):
        raise ValueError(
            f"X: expected the columns 0, 1, 2, ... in this order, as the network has no feature_names to find them by, "
            f"got {labels!r:.60}; X.sort_index(axis=1) sorts them, X.to_numpy() takes them as they stand"
        )


def field_names(value: Any) -> tuple[str, ...] | None:
    """Return the names of the fields of a named tuple or of a list of them (like pandas' `itertuples`), else None."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    fields: tuple[str, ...] | None = getattr(type(value), "_fields", None) or getattr(type(value[0]), "_fields", None)
    if fields is None or hasattr(type(value), "_fields"):
        return fields
    for row, each in enumerate(value):
        if getattr(type(each), "_fields", None) != fields:
            raise TypeError(
                f"X: expected named tuples of the fields {fields!r:.60} throughout, got another at row {row}"
            )
    return fields


def columns(frame: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the name and the series of each column of a frame."""
    pick: Callable[[int], Any] = frame.to_series if hasattr(frame, "to_series") else lambda i: frame.iloc[:, i]
    for i, name in enumerate(frame.columns):
        yield name, pick(i)


def is_numeric_frame(frame: Any) -> bool:
    """Return whether all columns of the frame are numeric or Boolean, so that no encoder is needed."""
    return all(is_numeric_column(column) for _, column in columns(frame))


def is_numeric_column(column: Any) -> bool:
    """Return whether a column is numeric or Boolean, by its dtype or, for the dtype object, by its elements."""
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    kind = getattr(dtype, "kind", "")
    return kind in "fiub" or (isinstance(dtype, np.dtype) and kind == "O" and _numbers_or_none(column) is not None)


def _numbers_or_none(column: Any) -> NDArray[np.float64] | None:
    """Return a column of Python numbers and Booleans as floats, with NaN for None; None if it has other objects."""
    elements = column.to_numpy()
    if not all(isinstance(each, (Real, np.bool_)) or each is None for each in elements):
        return None
    return np.array([np.nan if each is None else each for each in elements], np.float64)


def frame_array(argument: str, frame: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the numbers of a frame as an array.

    If all columns have one dtype that the core reads, the frame makes the array itself; else it is filled column by
    column.
    """
    dtypes = list(frame.dtypes)
    if dtypes and all(each == dtypes[0] for each in dtypes) and dtypes[0] in READ_AS_THEY_ARE:
        array: NDArray[Any] = frame.to_numpy()
        return array
    array = np.empty(frame.shape, dtype)
    for i, (name, column) in enumerate(columns(frame)):
        array[:, i] = series_array(argument, column, f" in column {name!r}")
    return array


def series_array(argument: str, series: Any, where: str = "") -> NDArray[Any]:
    """Return the numbers of a column as an array, with NaN for missing values; `where` is for messages of errors."""
    kind = getattr(series.dtype, "kind", None)  # of pandas; None for polars
    if kind is None and (series.dtype.is_decimal() or str(series.dtype) in NOT_IN_NUMPY):
        series = series.cast(float)
    if kind is not None and kind in "fiub" and not isinstance(series.dtype, np.dtype):
        missing = bool(series.isna().any())
        array = series.to_numpy(dtype=np.float64, na_value=np.nan) if missing else np.asarray(series.to_numpy())
        array = array if array.dtype.kind in "fiub" else array.astype(np.float64)
    else:
        array = np.asarray(series.to_numpy())
        if array.dtype.kind == "O" and str(series.dtype) == "Boolean":  # polars, some missing
            array = np.array([np.nan if value is None else value for value in array], np.float64)
        elif array.dtype.kind == "O" and isinstance(series.dtype, np.dtype):
            numbers = _numbers_or_none(series)
            array = array if numbers is None else numbers
    if array.dtype.kind not in "fiub":
        hint = "; fastmlp.Encoder.fit(frame) turns columns of text, categories and dates into numbers" if where else ""
        raise TypeError(f"{argument}: expected numbers, got {series.dtype}{where}{hint}")
    return array


# ------------------------------------------------------------------------------------------------------ sparse rows


def is_sparse(value: Any) -> bool:
    """Return whether the value is a sparse matrix or array like those of SciPy."""
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def sparse_rows(matrix: Any, dtype: np.dtype[Any], *, distinct: bool = False) -> SparseRows:
    """Return a sparse matrix as `SparseRows`. A CSR matrix is not copied, apart from its indptr (8 bytes a row).

    If `distinct`, elements of a row in the same column are summed, so that there is one for each column, as scaling
    requires.
    """
    rows = matrix.tocsr()
    if getattr(rows, "ndim", 2) != 2:
        raise ValueError(f"X: expected a sparse matrix of two dimensions, got shape {rows.shape}")
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"X: expected real numbers, got dtype {rows.dtype}")
    kinds = [(part.ndim, part.dtype.kind) for part in (rows.indptr, rows.indices)]
    if kinds not in ([(1, "i")] * 2, [(1, "u")] * 2) or rows.data.ndim != 1 or len(rows.indptr) != rows.shape[0] + 1:
        raise ValueError("X: expected a sparse matrix of vectors, its indptr with an integer for each row and one more")
    begins = np.array(rows.indptr, np.int64)
    n = len(rows.indices)
    if len(rows.data) < n or begins[0] != 0 or begins[-1] > n or (np.diff(begins) < 0).any():
        raise ValueError("X: expected a sparse matrix whose indptr grows from 0 to the number of elements, got another")
    min_column, max_column = (rows.indices.min(), rows.indices.max()) if n else (0, -1)
    if min_column < 0 or max_column >= rows.shape[1]:
        wrong = min_column if min_column < 0 else max_column
        raise ValueError(f"X: expected column indices from 0 to {rows.shape[1] - 1}, got {wrong}")
    elements = rows.data if rows.data.dtype in READ_AS_THEY_ARE else rows.data.astype(dtype)
    columns = np.require(rows.indices, np.int32, ["C", "A"])
    compressed = SparseRows(np.require(elements, None, ["C", "A"]), columns, begins, rows.shape[1])
    return distinct_columns(compressed) if distinct else compressed


def distinct_columns(x: SparseRows) -> SparseRows:
    """Return the rows with elements of the same column summed, in float64; the same rows if all columns ascend."""
    first, last = int(x.begins[0]), int(x.begins[-1])
    columns, begins = x.columns[first:last], x.begins - first
    ascends = columns[1:] > columns[:-1]
    ascends[begins[(begins > 0) & (begins < last - first)] - 1] = True  # from the last column of a row to the next row
    if ascends.all():
        return x
    rows = np.repeat(np.arange(x.shape[0]), np.diff(begins))
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    new = np.concatenate([[True], (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])])
    sums = np.add.reduceat(x.elements[first:last].astype(np.float64)[order], np.flatnonzero(new))
    counts = np.bincount(rows[new], minlength=x.shape[0])
    return SparseRows(sums, columns[new], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), x.shape[1])


# ------------------------------------------------------------------------------------------------- rows of any kind


def convert(
    X: Any,
    n_inputs: int,
    dtype: np.dtype[Any],
    *,
    often: bool = False,
    scaled: bool = False,
) -> Any:
    """Return X, of shape (B, I) or (I,) with B >= 1, as an array that the core reads, or as `SparseRows`.

    Numbers that are not finite are allowed. If a number is too large for the network's dtype, all stay in float64, so
    that an error can show them. `often` says that the rows are read in several epochs: if they are in memory and have
    the other float dtype, they are converted to the network's dtype now, which is faster than in each epoch. `scaled`
    says that the core will scale the rows: then they keep their precision until it does.
    """
    if scaled:
        often, dtype = False, np.dtype(np.float64)
    try:
        with np.errstate(over="raise"):
            rows = _checked(X, n_inputs, dtype, scaled)
            return rows if isinstance(rows, SparseRows) else readable(rows, dtype, often=often)
    except FloatingPointError:  # a number is too large for the dtype; keep it, so that an error can show it
        with np.errstate(over="ignore"):
            rows = _checked(X, n_inputs, np.dtype(np.float64), scaled)
            return rows if isinstance(rows, SparseRows) else readable(rows, np.dtype(np.float64))


def _checked(X: Any, n_inputs: int, dtype: np.dtype[Any], scaled: bool) -> Any:
    """Return X as an array or `SparseRows` with n_inputs columns, after a check; a conversion makes that dtype."""
    if isinstance(X, SparseRows) or is_sparse(X):
        rows: Any = X if isinstance(X, SparseRows) else sparse_rows(X, dtype, distinct=scaled)
    else:
        if is_frame(X):
            _refuse_other_order(X)
        rows = frame_array("X", X, dtype) if is_frame(X) else as_array("X", X)
    if rows.dtype.kind not in "fiub":
        raise TypeError(f"X: expected real numbers, got dtype {rows.dtype}")
    if rows.ndim not in (1, 2) or rows.shape[-1] != n_inputs or 0 in rows.shape:
        raise ValueError(
            f"X: expected shape (B, {n_inputs}) with B >= 1, or ({n_inputs},) for one row, got shape {rows.shape}"
        )
    return rows


def has_contiguous_rows(array: NDArray[Any]) -> bool:
    """Return whether each row of a matrix is contiguous, and rows follow one another, possibly with gaps between."""
    if array.ndim != 2:
        return False
    row, size = array.strides[0], array.itemsize
    return bool(array.strides[1] == size and row >= size * array.shape[1] and row % size == 0)


def readable(array: NDArray[Any], dtype: np.dtype[Any], *, often: bool = False, row_gaps: bool = True) -> NDArray[Any]:
    """Return the array with a dtype that the core reads, in C order; `row_gaps` allows gaps between contiguous rows.

    Numbers that are too large for `dtype` become infinite, or raise, as `np.errstate` says.
    """
    native = array.dtype.newbyteorder("=")
    keep = native in READ_AS_THEY_ARE
    mapped = is_mapped(array)
    if (
        keep
        and native == array.dtype
        and array.flags.aligned
        and row_gaps
        and has_contiguous_rows(array)
        and (mapped or not often)
    ):
        return array
    if often and native.itemsize > 2 and not mapped:
        keep = False
    return np.require(array, dtype=native if keep else dtype, requirements=["C", "A"])
