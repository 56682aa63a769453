"""Tables of numbers from .csv and .npz files, every cell checked.

A .csv is UTF-8 text with commas, semicolons or tabs between the cells. Its first row is a header unless one
of its cells is a number; a row that names the target, or all columns that a model wants, is a header in any
case. Columns other than the target hold finite numbers. Rows are counted from 1 and do not count the header;
an error names the row, the line in the file and the column. Cells of the target are kept as text here: whether
they are classes or numbers is not this module's question. An .npz is read without pickle.
"""

from __future__ import annotations

import csv
import os
import re
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Table:
    """Rows of numbers, with the names of their columns and the target where the file has them.

    `x` is (n, I). `y` is (n,) or (n, O), an array of str where it came from a .csv. `test` holds the pair
    of arrays that the file sets apart for testing, if it does.
    """

    x: NDArray[Any]
    columns: tuple[str, ...] | None = None
    y: NDArray[Any] | None = None
    target: str | None = None
    test: tuple[NDArray[Any], NDArray[Any]] | None = None


def is_number(cell: str) -> bool:
    """Whether the cell is a plain decimal number; "nan", "inf" and "1_000" are not."""
    return NUMBER.fullmatch(cell) is not None


def suffix(path: str) -> str:
    """The file's kind, ".csv" or ".npz" (or whatever else its name ends with), in lower case."""
    return os.path.splitext(path)[1].lower()


def read_training(path: str, target: str | None) -> Table:
    """The table to learn from: inputs and target; `target` names the column of a .csv."""
    if suffix(path) == ".npz":
        return _training_npz(path)
    with open(path, newline="", encoding="utf-8-sig") as file:
        return _training_csv(_Sheet(path, file), target or "")


def read_inputs(path: str, columns: Sequence[str] | None, target: str | None, n_inputs: int) -> Table:
    """The table to predict from, its columns in the model's order.

    A model with column names finds its columns by name, in any order; the target may be there and is
    ignored. A model without names takes as many columns as it has inputs, or one more where `target`
    is the index of the column it was trained on.
    """
    if suffix(path) == ".npz":
        table = _inputs_npz(path)
        if table.x.shape[1] != n_inputs:
            raise ValueError(f"{path}: expected X of shape (rows, {n_inputs}), got {table.x.shape}")
        return table
    if suffix(path) != ".csv":
        raise ValueError(f"INPUT: expected a .csv or .npz file, got {path!r}")
    with open(path, newline="", encoding="utf-8-sig") as file:
        sheet = _Sheet(path, file)
        if columns is not None:
            indices = _find_columns(sheet, columns, target)
        else:
            indices = _count_columns(sheet, n_inputs, target)
        x, _ = _numbers(sheet, indices, None)
    return Table(x, columns=None if columns is None else tuple(columns))


class _Sheet:
    """The cells of a .csv file: the first row, and the rows one after another with their numbers."""

    def __init__(self, path: str, file: TextIO) -> None:
        self.path = path
        try:
            line = file.readline()
        except UnicodeDecodeError:
            raise ValueError(f"{path}: expected text in UTF-8, got other bytes") from None
        file.seek(0)
        delimiter = max(",;\t", key=line.count)
        self._reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True, strict=True)
        self._cells = self._read()
        self.first = next(self._cells, [])
        if not self.first:
            raise ValueError(f"{path}: expected a table, got an empty file")
        self.names = [str(index) for index in range(len(self.first))]
        self.has_header = False

    def take_header(self) -> None:
        """Declare the first row the header; an empty name becomes the column's index."""
        self.has_header = True
        self.names = [name or str(index) for index, name in enumerate(self.first)]
        double = next((name for name in self.names if self.names.count(name) > 1), None)
        if double is not None:
            raise ValueError(f"{self.path}: expected a header of different names, got {double!r} twice")

    def looks_like_header(self) -> bool:
        """Whether no cell of the first row is a number."""
        return not any(map(is_number, self.first))

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The number of each row, counted from 1 below the header, and its cells."""
        row = 0
        if not self.has_header:
            row = 1
            yield row, self.first
        for cells in self._cells:
            row += 1
            if len(cells) != len(self.names):
                where = self.where(row)
                raise ValueError(f"{where}: expected {len(self.names)} cells as in the first row, got {len(cells)}")
            yield row, cells

    def where(self, row: int, index: int | None = None) -> str:
        """The words that lead to a cell, or to a row, of the row that was read last."""
        line = 1 if row == 1 and not self.has_header else self._reader.line_num
        column = "" if index is None else f", column {self.names[index]!r}"
        return f"{self.path}: row {row} (line {line}){column}"

    def _read(self) -> Iterator[list[str]]:
        try:
            for cells in self._reader:
                stripped = [cell.strip() for cell in cells]
                if stripped and stripped != [""]:
                    yield stripped
        except csv.Error as error:
            raise ValueError(f"{self.path}: line {self._reader.line_num}: {error}") from None
        except UnicodeDecodeError:
            line = self._reader.line_num + 1
            raise ValueError(f"{self.path}: line {line}: expected text in UTF-8, got other bytes") from None


def _training_csv(sheet: _Sheet, target: str) -> Table:
    if sheet.looks_like_header() or (target in sheet.first and not is_number(target)):
        sheet.take_header()
    target_index = _column_index(sheet, target)
    indices = [index for index in range(len(sheet.names)) if index != target_index]
    if not indices:
        raise ValueError(f"{sheet.path}: expected columns beside the target, got {target!r} alone")
    x, y = _numbers(sheet, indices, target_index)
    columns = tuple(sheet.names[index] for index in indices) if sheet.has_header else None
    return Table(x, columns=columns, y=y, target=sheet.names[target_index])


def _column_index(sheet: _Sheet, target: str) -> int:
    """The column that --target names, or counts from 0 (from the end where negative)."""
    width = len(sheet.names)
    if sheet.has_header and target in sheet.names:
        return sheet.names.index(target)
    if re.fullmatch(r"-?\d+", target, re.ASCII) and -width <= int(target) < width:
        return int(target) % width
    known = ", ".join(map(repr, sheet.names)) if sheet.has_header else "no names, for want of a header"
    raise ValueError(f"--target: expected a column of {sheet.path} ({known}) or an index below {width}, got {target!r}")


def _find_columns(sheet: _Sheet, columns: Sequence[str], target: str | None) -> list[int]:
    if sheet.looks_like_header() or set(columns) <= set(sheet.first):
        sheet.take_header()
    else:
        raise ValueError(f"{sheet.path}: expected a header with the columns {_names(columns)}, got none")
    missing = [name for name in columns if name not in sheet.names]
    extra = [name for name in sheet.names if name not in columns and name != target]
    if missing:
        beside = f" but the unknown {_names(extra)}" if extra else ""
        raise ValueError(f"{sheet.path}: expected the model's columns, got no {_names(missing)}{beside}")
    if extra:
        raise ValueError(f"{sheet.path}: expected the model's columns {_names(columns)}, got also {_names(extra)}")
    return [sheet.names.index(name) for name in columns]


def _count_columns(sheet: _Sheet, n_inputs: int, target: str | None) -> list[int]:
    if sheet.looks_like_header():
        sheet.take_header()
    width = len(sheet.names)
    if width == n_inputs:
        return list(range(width))
    if width == n_inputs + 1 and target is not None and target.isdecimal():
        return [index for index in range(width) if index != int(target)]
    raise ValueError(f"{sheet.path}: expected {n_inputs} columns, the model's inputs, got {width}")


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:8]))
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _numbers(
    sheet: _Sheet, indices: list[int], target_index: int | None
) -> tuple[NDArray[np.float64], NDArray[Any] | None]:
    """The columns of the indices as numbers, and the target's as text."""
    values = array("d")
    labels = []
    n_rows = 0
    for n_rows, cells in sheet.rows():
        for index in indices:
            cell = cells[index]
            if not is_number(cell):
                got = repr(cell) if cell else "an empty cell"
                raise ValueError(f"{sheet.where(n_rows, index)}: expected a finite number, got {got}")
            values.append(float(cell))
        if target_index is not None:
            if not cells[target_index]:
                raise ValueError(f"{sheet.where(n_rows, target_index)}: expected a target, got an empty cell")
            labels.append(cells[target_index])
    if not n_rows:
        raise ValueError(f"{sheet.path}: expected rows below the header, got none")
    x = np.frombuffer(values, np.float64).reshape(n_rows, len(indices))
    _check_finite(sheet.path, x, [sheet.names[index] for index in indices])
    return x, None if target_index is None else np.array(labels)


def _check_finite(name: str, x: NDArray[Any], columns: Sequence[str] | None = None) -> None:
    """Refuse a NaN or an infinity ("1e999" reads as one), naming the first one's row and column."""
    if x.dtype.kind != "f" or np.isfinite(x).all():
        return
    row, column = (int(index) for index in np.argwhere(~np.isfinite(x.reshape(len(x), -1)))[0])
    if columns is not None:
        raise ValueError(f"{name}: row {row + 1}, column {columns[column]!r}: expected a finite number, got a huge one")
    value = float(x.reshape(len(x), -1)[row, column])
    raise ValueError(f"{name}: expected finite numbers, got {value} at row {row}, column {column}")


def _load_npz(path: str) -> dict[str, NDArray[Any]]:
    try:
        with open(path, "rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("no zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as file:
                arrays = {name.lower(): file[name] for name in file.files}
    except OSError:
        raise
    except Exception as error:  # NumPy parses a member's header as Python: there is no end to what it may raise
        raise ValueError(f"{path}: expected an .npz of plain arrays, got {error}") from None
    # A member that is no array comes as its bytes.
    return {name: array for name, array in arrays.items() if isinstance(array, np.ndarray)}


def _rows_of_numbers(path: str, name: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    """The array of that name as (n, I): images become rows."""
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
        y = np.char.decode(y, "utf-8")
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{path}: {name}: expected an array of numbers or text, got dtype {y.dtype}")
    if y.ndim not in (1, 2) or len(y) != n_rows or not y.size:
        raise ValueError(f"{path}: {name}: expected a target for each of the {n_rows} rows, got shape {y.shape}")
    _check_finite(f"{path}: {name}", y)
    return y


def _training_npz(path: str) -> Table:
    arrays = _load_npz(path)
    if {"x", "y"} <= arrays.keys():
        x = _rows_of_numbers(path, "x", arrays)
        return Table(x, y=_targets(path, "y", arrays, len(x)))
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        x, x_test = (_rows_of_numbers(path, name, arrays) for name in ("x_train", "x_test"))
        if x.shape[1] != x_test.shape[1]:
            raise ValueError(f"{path}: expected x_train and x_test of one width, got {x.shape} and {x_test.shape}")
        y, y_test = _targets(path, "y_train", arrays, len(x)), _targets(path, "y_test", arrays, len(x_test))
        if y.shape[1:] != y_test.shape[1:] or (y.dtype.kind == "U") != (y_test.dtype.kind == "U"):
            raise ValueError(f"{path}: expected y_train and y_test of one kind, got {y.dtype} and {y_test.dtype}")
        return Table(x, y=y, test=(x_test, y_test))
    expected = "arrays X and y, or x_train, y_train, x_test and y_test"
    raise ValueError(f"{path}: expected {expected}, got {', '.join(arrays) or 'no arrays'}")


def _inputs_npz(path: str) -> Table:
    arrays = _load_npz(path)
    for name in ("x", "x_test"):
        if name in arrays:
            return Table(_rows_of_numbers(path, name, arrays))
    raise ValueError(f"{path}: expected an array X (or x_test), got {', '.join(arrays) or 'no arrays'}")
