"""The files that `fastmlp train`, `predict` and `evaluate` read.

Text (.csv, .tsv, .txt, also with .gz), Parquet, Arrow IPC and JSON lines become a polars frame; without polars, text
becomes a `PlainFrame`, read by NumPy, whose features must be numbers. `open_table` returns a `Table`, which knows the
names of the columns; `Table.read` reads them, some of them as text so that labels keep their spelling. Rows that polars
accepts silently (with too few cells) and columns of equal names are refused. In messages, rows are counted from 1,
without the header.

`read_arrays` and `read_inputs` read the arrays of an .npz, without pickle.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
import zlib
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen
from . import csv_reader
from .columns import names_of
from .dialect import Options

TEXT = (".csv", ".tsv", ".txt")
BINARY = {
    ".parquet": "read_parquet",
    ".pq": "read_parquet",
    ".arrow": "read_ipc",
    ".ipc": "read_ipc",
    ".feather": "read_ipc",
    ".jsonl": "read_ndjson",
    ".ndjson": "read_ndjson",
}
KINDS = (*TEXT, *BINARY)
# The dtypes of polars whose values can be written as text, beside those of numbers.
AS_TEXT = ("Boolean", "Categorical", "Date", "Datetime", "Decimal", "Enum", "Null", "String", "Time")
WITHOUT_POLARS = "pip install polars"
BAD_GZIP = (OSError, EOFError, ValueError, zlib.error)


def suffix(path: str) -> str:
    """Return the file name extension in lower case (".csv", ".npz"), without a final ".gz"."""
    root, end = os.path.splitext(path)
    return os.path.splitext(root)[1].lower() if end.lower() == ".gz" else end.lower()


def has_polars() -> bool:
    """Whether polars can be imported."""
    return importlib.util.find_spec("polars") is not None


@frozen
class Table:
    """A file of which the names of the columns have been read, but not yet the rows.

    `guess` describes in words how the text is written (None for a binary file); `doubt` says why the first row may not
    be a header, if anything suggests it. `first_cells` returns some cells from the beginning of a column, as text.
    `reader` reads the rows; its argument names the columns to read as text.
    """

    path: str
    names: tuple[str, ...]
    has_header: bool
    guess: str | None
    doubt: str | None
    first_is_nameless: bool
    decimal: str
    first_cells: Callable[[str], list[str]]
    reader: Callable[[Collection[str]], Any]

    def read(self, as_text: Collection[str] = ()) -> Any:
        """Read all columns, those in `as_text` as text, exactly as they are written."""
        frame = self.reader(as_text)
        if not len(frame):
            raise ValueError(f"{self.path}: expected rows below the header, got none")
        return frame

    def column(self, given: str) -> str:
        """Return the name of the column that is given by its name or its index (from the end if negative)."""
        if given in self.names:
            return given
        width = len(self.names)
        if given.lstrip("-").isdecimal() and -width <= int(given) < width:
            return self.names[int(given)]
        known = ", ".join(map(repr, self.names[:20])) + (", ..." if width > 20 else "")
        how = f"; read with {self.guess}" if self.guess else ""
        raise ValueError(f"expected a column of {self.path} ({known}) or an index below {width}, got {given!r}{how}")


def open_table(path: str, options: Options = Options()) -> Table:  # noqa: B008 - immutable
    """Open the table in a file and read the names of its columns."""
    kind = suffix(path)
    if kind in TEXT:
        return _open_text(path, options)
    if kind not in BINARY:
        raise ValueError(f"{path}: expected a file of kind {', '.join(KINDS)} or .npz, got {kind or 'no ending'!r}")
    frame = _read_binary(path, kind)
    names = _with_path(path, lambda: names_of(frame))
    return Table(path, names, True, None, None, False, ".", lambda name: [], lambda as_text: frame)


def _open_text(path: str, options: Options) -> Table:
    if options.separator is None and suffix(path) == ".tsv":
        options = options._replace(separator="\t")
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    data = None
    if compressed:
        try:
            with gzip.open(path) as stream:
                data = stream.read()
        except BAD_GZIP as error:
            raise ValueError(f"{path}: expected a gzip file that is whole, got one with an error: {error}") from None
    sheet = _with_path(path, lambda: csv_reader.Sheet(path, data, options))
    dialect = sheet.dialect
    reader = sheet.read_polars if has_polars() else sheet.read_numpy
    guess = dialect.in_words()
    fields = (dialect.names, dialect.has_header, guess, dialect.doubt(), dialect.first_is_nameless, dialect.decimal)
    return Table(path, *fields, sheet.first_cells, reader)


def _with_path(path: str, action: Callable[[], Any]) -> Any:
    """Call the action, and put the path before the message of its ValueError or TypeError."""
    try:
        return action()
    except (ValueError, TypeError) as error:
        text = str(error)
        raise ValueError(text if text.startswith(path) else f"{path}: {text}") from None


def _read_binary(path: str, kind: str) -> Any:
    if not has_polars():
        raise ValueError(f"{path}: expected polars to read a file of kind {kind}, got none; {WITHOUT_POLARS}")
    import polars as pl

    options = {"infer_schema_length": None} if BINARY[kind] == "read_ndjson" else {}  # of all rows
    try:
        with open(path, "rb") as file:  # so that a missing file raises OSError
            source = gzip.decompress(file.read()) if path.lower().endswith(".gz") else path
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: expected a gzip file that is whole, got one with an error: {error}") from None
    try:
        frame = getattr(pl, BINARY[kind])(source, **options)
    except Exception as error:  # polars raises many types of errors for a damaged file
        raise ValueError(f"{path}: expected a file of kind {kind}, got {str(error).splitlines()[0]}") from None
    return frame


def counts_rows(table: Table, frame: Any) -> bool:
    """Whether the first column has no name and holds 0, 1, 2, ..., as pandas writes the index of a frame."""
    if not table.first_is_nameless:
        return False
    first = frame[table.names[0]]
    values = first.to_numpy() if hasattr(first, "to_numpy") else first
    return bool(values.dtype.kind in "iuf" and np.array_equal(values, np.arange(len(values))))


def refuse_columns_without_text(path: str, frame: Any, kept: Iterable[str]) -> None:
    """Refuse columns in `kept` whose values cannot be written as text: lists, durations, bytes and the like."""
    if not hasattr(frame, "schema"):
        return
    for name in kept:
        dtype = frame.schema[name]
        if not (dtype.is_numeric() or str(dtype).split("(")[0] in AS_TEXT):
            raise ValueError(
                f"{path}: --keep: expected a column of numbers, text, booleans, categories or dates, got {dtype} in "
                f"column {name!r}"
            )


# ------------------------------------------------------------------------------------------------------------- arrays


class Arrays(NamedTuple):
    """Rows (n, I), targets, and the file's own rows and targets for testing; None for what it does not have."""

    x: NDArray[Any]
    y: NDArray[Any] | None
    test: tuple[NDArray[Any], NDArray[Any]] | None = None


def _load_npz(path: str) -> dict[str, NDArray[Any]]:
    try:
        with open(path, "rb") as stream:
            import zipfile  # here, because its import takes longer than that of this whole package

            if not zipfile.is_zipfile(stream):
                raise ValueError("no zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
    except OSError:
        raise
    except Exception as error:  # NumPy parses a member's header as Python, which may raise anything
        raise ValueError(f"{path}: expected an .npz of plain arrays, got {error}") from None
    # A member that is not an array is returned by NumPy as bytes.
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _key_of(path: str, arrays: dict[str, NDArray[Any]], name: str) -> str | None:
    """Return the key of the array of that name, or of the only one that differs in case; None if there is none."""
    if name in arrays:
        return name
    others = [each for each in arrays if each.lower() == name.lower()]
    if len(others) > 1:
        raise ValueError(
            f"{path}: expected an array {name}, got {' and '.join(others)}, and cannot tell which is meant"
        )
    return others[0] if others else None


def _check_finite(name: str, x: NDArray[Any]) -> None:
    if x.dtype.kind != "f" or np.isfinite(x).all():
        return
    row, column = (int(index) for index in np.argwhere(~np.isfinite(x.reshape(len(x), -1)))[0])
    value = float(x.reshape(len(x), -1)[row, column])
    raise ValueError(f"{name}: expected finite numbers, got {value} at row {row}, column {column}")


def _rows(path: str, name: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """Return the array of that name as (n, I), finite numbers; an image becomes a row."""
    x = arrays[name]
    if x.dtype.kind not in "biuf":
        raise ValueError(f"{path}: {name}: expected an array of numbers, got dtype {x.dtype}")
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{path}: {name}: expected an array of shape (rows, columns), got {x.shape}")
    x = x.reshape(len(x), -1)
    _check_finite(f"{path}: {name}", x)
    return x


def _targets(path: str, name: str, arrays: dict[str, NDArray[Any]], n_rows: int) -> NDArray[Any]:
    y = arrays[name]
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "S":
        try:
            y = np.char.decode(y, "utf-8")
        except UnicodeDecodeError:
            raise ValueError(f"{path}: {name}: expected text in UTF-8, got other bytes") from None
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{path}: {name}: expected an array of numbers or text, got dtype {y.dtype}")
    if y.ndim not in (1, 2) or len(y) != n_rows or not y.size:
        raise ValueError(f"{path}: {name}: expected a target for each of the {n_rows} rows, got shape {y.shape}")
    if y.ndim == 2 and y.dtype.kind in "bU":
        what, more = ("text", "") if y.dtype.kind == "U" else ("booleans", "; y.astype(float) makes numbers of them")
        raise ValueError(f"{path}: {name}: expected one label per row, got {what} of shape {y.shape}{more}")
    return y


def read_arrays(path: str) -> Arrays:
    """Read the rows and targets to train on from an .npz."""
    arrays = _load_npz(path)
    x, y = _key_of(path, arrays, "X"), _key_of(path, arrays, "y")
    if x is not None and y is not None:
        rows = _rows(path, x, arrays)
        return Arrays(rows, _targets(path, y, arrays, len(rows)))
    names = [_key_of(path, arrays, name) for name in ("x_train", "y_train", "x_test", "y_test")]
    if None in names:
        expected = "arrays X and y, or x_train, y_train, x_test and y_test"
        raise ValueError(f"{path}: expected {expected}, got {', '.join(arrays) or 'no arrays'}")
    x_train, y_train, x_test, y_test = map(str, names)
    train, test = (_rows(path, name, arrays) for name in (x_train, x_test))
    if train.shape[1] != test.shape[1]:
        raise ValueError(f"{path}: expected x_train and x_test of one width, got {train.shape} and {test.shape}")
    learnt = _targets(path, y_train, arrays, len(train)), _targets(path, y_test, arrays, len(test))
    if learnt[0].shape[1:] != learnt[1].shape[1:] or len({each.dtype.kind for each in learnt} - {"i", "u"}) > 1:
        raise ValueError(
            f"{path}: expected y_train and y_test of one kind, got {learnt[0].dtype} and {learnt[1].dtype}"
        )
    return Arrays(train, learnt[0], (test, learnt[1]))


def read_inputs(path: str) -> Arrays:
    """Read the rows to predict or to test on from an .npz, with the targets if it has them."""
    arrays = _load_npz(path)
    for x_name, y_name in (("X", "y"), ("x_test", "y_test")):
        x = _key_of(path, arrays, x_name)
        if x is not None:
            rows = _rows(path, x, arrays)
            y = _key_of(path, arrays, y_name)
            return Arrays(rows, None if y is None else _targets(path, y, arrays, len(rows)))
    raise ValueError(f"{path}: expected an array X (or x_test), got {', '.join(arrays) or 'no arrays'}")
