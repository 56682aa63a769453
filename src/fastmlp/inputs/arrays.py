"""What users have, as rows that the core can read: arrays of any library, frames, sparse matrices, files in memory.

Other libraries are recognised by what their objects can do and are never imported. What comes back has numbers alone:
an array in C order of one of the types that the core converts batch by batch, or `SparseRows`. Nothing here writes into
an argument, and a matrix is copied whole only where the core cannot read it as it stands.
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
PIECE_NUMBERS = 2**20  # numbers of a piece of rows that Python looks at
NOT_IN_NUMPY = ("Int128", "UInt128")  # types of polars
READ_AS_THEY_ARE = tuple(np.dtype(kind) for kind in (np.uint8, np.float16, np.float32, np.float64))


class SparseRows:
    """Rows of a compressed sparse row matrix: of each element its column, of each row where its elements begin."""

    ndim = 2

    def __init__(
        self, elements: NDArray[Any], columns: NDArray[np.int32], begins: NDArray[np.int64], n_columns: int
    ) -> None:
        self.elements, self.columns, self.begins = elements, columns, begins
        self.shape = (len(begins) - 1, n_columns)
        self.dtype = elements.dtype

    def __getitem__(self, part: slice) -> SparseRows:
        """Rows one after another."""
        begin, end, _ = part.indices(self.shape[0])
        return SparseRows(self.elements, self.columns, self.begins[begin : max(begin, end) + 1], self.shape[1])

    def toarray(self, dtype: Any = None) -> NDArray[Any]:
        """The rows as an array of a float dtype; numbers of the same column are added up, in that dtype."""
        first, last = self.begins[0], self.begins[-1]
        dense = np.zeros(self.shape, dtype or (np.float64 if self.dtype == np.float64 else np.float32))
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.begins))
        np.add.at(dense, (rows, self.columns[first:last]), self.elements[first:last].astype(dense.dtype))
        return dense


# ------------------------------------------------------------------------------------------------------------ arrays


def as_array(argument: str, value: Any) -> NDArray[Any]:
    """The value as an array, without a copy where it gives its memory (buffer, `__array__`, DLPack)."""
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
        raise no_array(argument, value, error) from error


def plain_tensor(argument: str, value: Any) -> Any:
    """A PyTorch tensor without the record of its gradients, which its numbers alone do not need; others as they are."""
    if getattr(value, "requires_grad", False) is True and callable(getattr(value, "detach", None)):
        value = value.detach()
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        raise TypeError(f"{argument}: expected an array of numbers that NumPy has, got torch.bfloat16; give x.float()")
    return value


def no_array(argument: str, value: Any, error: Exception) -> Exception:
    """What is to be raised for that error of NumPy's or of the object's own."""
    expected = f"{argument}: expected an array of numbers, got "
    if isinstance(error, ValueError):
        told = "rows of unequal length" if isinstance(value, (list, tuple)) else f"{type(value).__name__}: {error}"
        return ValueError(expected + told)
    return TypeError(f"{expected}{type(value).__name__}: {error}") if hasattr(value, "__dlpack_device__") else error


def device_of(argument: str, value: Any) -> int | None:
    """The kind of device that an object of DLPack says that it is on; None where it is no such object."""
    ask = getattr(value, "__dlpack_device__", None)
    if ask is None:
        return None
    device = ask()
    try:
        return int(device[0])
    except (TypeError, ValueError, IndexError):
        raise TypeError(f"{argument}: expected (kind, number) from __dlpack_device__, got {device!r:.60}") from None


def unmasked(value: Any) -> Any:
    """A masked array's elements, what is masked as NaN; a list of such arrays likewise; others as they are.

    NumPy drops the masks of arrays in a list without a word. (Of a masked element in a list of numbers it makes NaN.)
    """
    if not isinstance(value, (np.ndarray, list, tuple)):
        return value
    masked = sys.modules.get("numpy.ma")  # NumPy imports it when it is asked for; who has such an array has done so
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


def told(value: Any, dtype: np.dtype[Any]) -> str:
    """A number that is not finite in that dtype, in words: a finite one is too large for it."""
    number = float(value) if np.isfinite(np.float64(value)) else value  # a long double of fewer digits
    return f"{number!s}, more than {dtype} can hold" if np.isfinite(value) else f"{number!s}"


def plain_number(number: Any) -> Any:
    """A number of NumPy as one of Python.

    Of a narrow float that is not whole it is the one of the shortest spelling: 0.1 for float32(0.1), as it is printed.
    """
    plain = number.item()
    narrow = isinstance(number, np.floating) and number.dtype.itemsize < np.dtype(np.float64).itemsize
    return float(str(number)) if narrow and not plain.is_integer() else plain


def plain_numbers(array: NDArray[Any]) -> list[Any]:
    """`plain_number` of each element of a vector."""
    if array.dtype.kind != "f" or array.dtype.itemsize == np.dtype(np.float64).itemsize:
        return list(array.tolist())
    different, codes = np.unique(array, return_inverse=True)
    table = [plain_number(each) for each in different]
    return [table[code] for code in codes.reshape(-1).tolist()]


def memory(x: Any) -> list[NDArray[Any]]:
    """The arrays that rows are made of."""
    return [x.elements, x.columns, x.begins] if isinstance(x, SparseRows) else [x]


def is_mapped(array: Any) -> bool:
    """Whether the array's memory is a file."""
    import mmap  # only what comes in large arrays asks

    while array is not None:
        if isinstance(array, (np.memmap, mmap.mmap)):
            return True
        array = array.obj if isinstance(array, memoryview) else getattr(array, "base", None)
    return False


def pieces(x: Any, dtype: Any = None) -> Iterator[tuple[int, NDArray[Any]]]:
    """The rows a few at a time, each time with the number of the first, as arrays; sparse ones of that dtype."""
    n_rows = max(1, PIECE_NUMBERS // max(1, x.shape[1]))
    for first in range(0, x.shape[0], n_rows):
        piece = x[first : first + n_rows]
        yield first, piece.toarray(dtype) if isinstance(piece, SparseRows) else piece


def first_not_finite(x: Any, dtype: np.dtype[Any], scaling: Scaling | None = None) -> tuple[int, int, float] | None:
    """Row, column and value of the first number of the rows that is NaN or infinite in that dtype, scaled or not."""
    if x.dtype.kind != "f" and scaling is None:
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        for first, piece in pieces(x if x.ndim == 2 else x[np.newaxis], dtype if scaling is None else None):
            finite = np.isfinite(piece.astype(dtype, copy=False) if scaling is None else scaling.apply(piece, dtype))
            if not finite.all():
                row, column = divmod(int(np.argmin(finite)), finite.shape[1])
                value = piece[row, column]
                if isinstance(x, SparseRows) and np.isinf(value):  # its own, or of numbers that cancel
                    wide = x[first + row : first + row + 1].toarray(np.float64)[0, column]
                    value = wide if abs(wide) > np.finfo(dtype).max else value
                return first + row, column, value
    return None


# ------------------------------------------------------------------------------------------------------------ frames


def is_frame(value: Any) -> bool:
    """Whether it is a table with columns, as those of pandas and polars."""
    return hasattr(value, "columns") and hasattr(value, "dtypes") and callable(getattr(value, "to_numpy", None))


def is_series(value: Any) -> bool:
    """Whether it is one column of such a table."""
    return hasattr(value, "name") and hasattr(value, "dtype") and callable(getattr(value, "to_numpy", None))


def column_names(value: Any) -> tuple[str, ...] | None:
    """The names of a frame's columns; None where they are not all text, or it is no frame."""
    names = tuple(value.columns) if is_frame(value) else ()
    return names if names and all(isinstance(name, str) for name in names) else None


def with_text_names(frame: Any) -> Any:
    """The frame with the spelling of each label that is not text (a number, a tuple) as the name of its column.

    Itself where all are text, and where the labels only count the columns: 0, 1, 2, ...
    """
    labels = list(frame.columns)
    if all(isinstance(label, str) for label in labels) or not hasattr(frame, "set_axis") or _count(labels):
        return frame
    return frame.set_axis([str(label) for label in labels], axis=1)


def _count(labels: list[Any]) -> bool:
    return all(isinstance(label, Integral) for label in labels) and labels == list(range(len(labels)))


def _refuse_other_order(frame: Any) -> None:
    """Refuse a frame without names whose columns are numbered 0, 1, 2, ... but stand in another order."""
    labels = list(frame.columns)
    if all(isinstance(label, Integral) for label in labels) and not _count(labels) and _count(sorted(labels)):
        raise ValueError(
            f"X: expected the columns 0, 1, 2, ... in this order, as the network has no feature_names to find them by, "
            f"got {labels!r:.60}; X.sort_index(axis=1) sorts them, X.to_numpy() takes them as they stand"
        )


def field_names(value: Any) -> tuple[str, ...] | None:
    """The names of the fields where the value is a named tuple or a list of them, as itertuples of pandas gives."""
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
    """Name and column of each column of a frame."""
    pick: Callable[[int], Any] = frame.to_series if hasattr(frame, "to_series") else lambda i: frame.iloc[:, i]
    for i, name in enumerate(frame.columns):
        yield name, pick(i)


def is_numeric_frame(frame: Any) -> bool:
    """Whether every column of the frame is numbers or truths, which the core takes as they are."""
    return all(is_numeric_column(column) for _, column in columns(frame))


def is_numeric_column(column: Any) -> bool:
    """Whether a column is numbers or truths, by its type or, where that says nothing, by its elements."""
    dtype = column.dtype
    if hasattr(dtype, "is_numeric"):  # polars
        return bool(dtype.is_numeric()) or str(dtype) == "Boolean"
    kind = getattr(dtype, "kind", "")
    return kind in "fiub" or (isinstance(dtype, np.dtype) and kind == "O" and _numbers_or_none(column) is not None)


def _numbers_or_none(column: Any) -> NDArray[np.float64] | None:
    """The numbers and truths in a column of Python objects, what is missing as NaN; None where there are others."""
    elements = column.to_numpy()
    if not all(isinstance(each, (Real, np.bool_)) or each is None for each in elements):
        return None
    return np.array([np.nan if each is None else each for each in elements], np.float64)


def frame_array(argument: str, frame: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The frame's numbers: as they stand where that is one block that can be read, else column by column."""
    dtypes = list(frame.dtypes)
    if dtypes and all(each == dtypes[0] for each in dtypes) and dtypes[0] in READ_AS_THEY_ARE:
        array: NDArray[Any] = frame.to_numpy()
        return array
    array = np.empty(frame.shape, dtype)
    for i, (name, column) in enumerate(columns(frame)):
        array[:, i] = series_array(argument, column, f" in column {name!r}")
    return array


def series_array(argument: str, series: Any, where: str = "") -> NDArray[Any]:
    """The numbers of a column; what is missing is NaN."""
    kind = getattr(series.dtype, "kind", None)  # pandas; polars has none
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
    """Whether it is a sparse matrix or array as those of SciPy."""
    return hasattr(value, "tocsr") and hasattr(value, "nnz")


def sparse_rows(matrix: Any, dtype: np.dtype[Any], *, distinct: bool = False) -> SparseRows:
    """A sparse matrix as compressed rows; what is in that form is not copied, but for places of 8 bytes a row.

    `distinct`: as scaling needs them, no two elements of a row in the same column.
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
    least, most = (rows.indices.min(), rows.indices.max()) if n else (0, -1)
    if least < 0 or most >= rows.shape[1]:
        wrong = least if least < 0 else most
        raise ValueError(f"X: expected column indices from 0 to {rows.shape[1] - 1}, got {wrong}")
    elements = rows.data if rows.data.dtype in READ_AS_THEY_ARE else rows.data.astype(dtype)
    columns = np.require(rows.indices, np.int32, ["C", "A"])
    compressed = SparseRows(np.require(elements, None, ["C", "A"]), columns, begins, rows.shape[1])
    return distinct_columns(compressed) if distinct else compressed


def distinct_columns(x: SparseRows) -> SparseRows:
    """The rows with numbers of the same column added up, in float64; themselves where each row's columns ascend."""
    first, last = int(x.begins[0]), int(x.begins[-1])
    columns, begins = x.columns[first:last], x.begins - first
    ascends = columns[1:] > columns[:-1]
    ascends[begins[(begins > 0) & (begins < last - first)] - 1] = True  # from row to row
    if ascends.all():
        return x
    rows = np.repeat(np.arange(x.shape[0]), np.diff(begins))
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    new = np.concatenate([[True], (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])])
    sums = np.add.reduceat(x.elements[first:last].astype(np.float64)[order], np.flatnonzero(new))
    counts = np.bincount(rows[new], minlength=x.shape[0])
    return SparseRows(sums, columns[new], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), x.shape[1])


# ------------------------------------------------------------------------------------------------------- all of them


def convert(
    X: Any,
    n_inputs: int,
    dtype: np.dtype[Any],
    *,
    reused: bool = False,
    scaled: bool = False,
) -> Any:
    """X as (B, I) or (I,) with B >= 1, finite or not: an array of a type that the core reads, or `SparseRows`. Where
    a number is too large for the network's own type, all stay in float64.

    Rows that are read often become the network's own type at once, if they are of the other float type and lie in
    memory: that is quicker than to convert them in each epoch. What will be scaled keeps its digits until then.
    """
    if scaled:
        reused, dtype = False, np.dtype(np.float64)
    try:
        with np.errstate(over="raise"):
            rows = _checked(X, n_inputs, dtype, scaled)
            return rows if isinstance(rows, SparseRows) else readable(rows, dtype, reused=reused)
    except FloatingPointError:  # some number is too large for the dtype: an error about it shows it as it came
        with np.errstate(over="ignore"):
            rows = _checked(X, n_inputs, np.dtype(np.float64), scaled)
            return rows if isinstance(rows, SparseRows) else readable(rows, np.dtype(np.float64))


def _checked(X: Any, n_inputs: int, dtype: np.dtype[Any], scaled: bool) -> Any:
    """X as rows of n_inputs numbers: an array, or `SparseRows`; of that dtype where it has to be converted at all."""
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


def has_rows(array: NDArray[Any]) -> bool:
    """Whether the numbers of each row lie side by side, and rows behind one another with anything between them."""
    if array.ndim != 2:
        return False
    row, size = array.strides[0], array.itemsize
    return bool(array.strides[1] == size and row >= size * array.shape[1] and row % size == 0)


def readable(array: NDArray[Any], dtype: np.dtype[Any], *, reused: bool = False, apart: bool = True) -> NDArray[Any]:
    """The array of a type that the core reads, in C order, or with rows `apart` where that may be; too large numbers
    become infinite, as `np.errstate` has it.
    """
    native = array.dtype.newbyteorder("=")
    keep = native in READ_AS_THEY_ARE
    mapped = is_mapped(array)
    if keep and native == array.dtype and array.flags.aligned and apart and has_rows(array) and (mapped or not reused):
        return array
    if reused and native.itemsize > 2 and not mapped:
        keep = False
    return np.require(array, dtype=native if keep else dtype, requirements=["C", "A"])
