"""Write the cases of `table_cases` as files, make frames of them, and read files with pandas or polars.

Text files have the texts of the cells; typed files and frames have their values. `read_frame` reads a file by the
library's own reader, with the types that it infers, and works around its limits:

* pandas before 3.1 needs float_precision="round_trip" to read numbers exactly;
* polars leaves quotation marks doubled in the names of a header, so the names are passed to it;
* a text column that a reader has converted to numbers has lost its spelling: it is read again as text if two of its
  texts are the same number, or if "1,5" may be a number;
* with a decimal comma, marks of missing values must be passed, as otherwise both readers infer text for a column with
  marks, and polars also for a column whose cells are quoted.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas
import polars

from table_cases import MARKS, Case, Cell, Drawn, Options

Columns = Sequence[tuple[Drawn, Sequence[Cell]]]
EXACT = {"float_precision": "round_trip"} if tuple(map(int, pandas.__version__.split(".")[:2])) < (3, 1) else {}


def training(case: Case) -> Columns:
    """Return the columns of the training table with their cells."""
    return [(column, column.train) for column in (*case.columns, case.target)]


def new(case: Case) -> Columns:
    """Return the columns of the new table with their cells."""
    return [(column, column.new) for column in case.new_columns()]


# --------------------------------------------------------------------------------------------------------------- files


def write(columns: Columns, format_name: str, options: Options, stem: Path) -> Path:
    """Write the columns to a file of the format, and return its path."""
    path = stem.with_name(f"{stem.name}.{format_name}")
    if format_name.startswith("csv"):
        data = _text(columns, options).encode("utf-8-sig" if options.byte_order_mark else "utf-8")
        path.write_bytes(gzip.compress(data, 1) if format_name.endswith("gz") else data)
        return path
    if format_name == "jsonl":
        with open(path, "w", encoding="utf-8") as file:
            for i in range(len(columns[0][1])):
                row = {column.name: _plain(column, cells[i], options) for column, cells in columns}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        return path
    frame = polars_frame(columns, options)
    frame.write_parquet(path) if format_name == "parquet" else frame.write_ipc(path)
    return path


def _text(columns: Columns, options: Options) -> str:
    def quoted(text: str, always: bool) -> str:
        if always or any(each in text for each in (options.separator, '"', "\n", "\r")):
            return '"' + text.replace('"', '""') + '"'
        return text

    def cell(column: Drawn, text: str) -> str:
        if options.decimal == "," and column.kind == "number":
            text = text.replace(".", ",") if text not in MARKS and text not in options.marks else text
        return quoted(text, options.quote_all or (not text.strip() and len(columns) == 1))

    written = [column.name for column, _ in columns]
    if options.row_numbers:
        written[0] = ""
    names = options.separator.join(quoted(name, options.quote_all) for name in written)
    rows = zip(*([cell(column, text) for text, _ in cells] for column, cells in columns), strict=True)
    lines = [*[names] * options.header, *(options.separator.join(row) for row in rows)]
    return options.line_end.join(lines) + (options.line_end if options.final_line_end else "")


def _is_whole(cells: Sequence[Cell]) -> bool:
    """Return whether all cells are canonical integers within int64, or all within uint64."""
    present = [text.strip() for text, value in cells if value is not None]
    if not all(re.fullmatch("-?[1-9][0-9]*|0", text) for text in present):
        return False
    numbers = [int(text) for text in present]
    low, high = min(numbers, default=0), max(numbers, default=0)
    return low >= -(2**63) and high < (2**64 if low >= 0 else 2**63)


def _is_unsigned(cells: Sequence[Cell]) -> bool:
    return max((int(text) for text, value in cells if value is not None), default=0) >= 2**63


def _plain(column: Drawn, cell: Cell, options: Options) -> Any:
    """Return a cell's value for JSON: numbers and booleans as such, times as text."""
    text, value = cell
    if column.kind in ("number", "classes") and value is not None and _is_whole([cell]) and abs(int(text)) < 2**63:
        return int(text)
    return text if column.kind == "time" and value is not None else value


# -------------------------------------------------------------------------------------------------------------- frames


def polars_frame(columns: Columns, options: Options) -> polars.DataFrame:
    """Return a frame of polars with the types of the columns' kinds."""
    series = []
    for column, cells in columns:
        values: list[Any] = [value for _, value in cells]
        kind = POLARS_TYPES[column.kind]
        if column.kind in ("number", "classes") and _is_whole(cells):
            values = [None if value is None else int(text) for text, value in cells]
            present = [value for value in values if value is not None]
            unsigned = min(present, default=0) >= 0 and (options.other_types or max(present, default=0) >= 2**63)
            kind = polars.UInt64 if unsigned else polars.Int64
        elif column.kind == "classes" and _are_floats(cells):
            values, kind = [None if value is None else float(text) for text, value in cells], polars.Float64
        elif column.kind == "time" and options.other_types and _are_days(values):
            values, kind = [None if value is None else value.date() for value in values], polars.Date
        elif options.other_types and column.kind in POLARS_OTHERS:
            kind = POLARS_OTHERS[column.kind]
        series.append(polars.Series(column.name, values, kind))
    return polars.DataFrame(series)


POLARS_TYPES: dict[str, Any] = {
    "number": polars.Float64,
    "boolean": polars.Boolean,
    "text": polars.String,
    "classes": polars.String,
    "time": polars.Datetime("us"),
}
POLARS_OTHERS: dict[str, Any] = {"text": polars.Categorical, "time": polars.Datetime("us", "UTC")}
PANDAS_TYPES = {
    "number": "float64",
    "boolean": "boolean",
    "text": "str",
    "classes": "str",
    "time": "datetime64[us]",
}
PANDAS_OTHERS = {"number": "Float64", "boolean": "bool[pyarrow]", "text": "category", "time": "datetime64[us, UTC]"}


def _are_floats(cells: Sequence[Cell]) -> bool:
    """Return whether labels are the shortest representations of floats."""
    try:
        return all(repr(float(text)) == text for text, value in cells if value is not None)
    except ValueError:
        return False


def _are_days(values: Sequence[Any]) -> bool:
    return all(
        value is None or (value.hour, value.minute, value.second, value.microsecond) == (0,) * 4 for value in values
    )


def pandas_frame(columns: Columns, options: Options) -> pandas.DataFrame:
    """Return a frame of pandas with the types of the columns' kinds."""
    found: dict[str, Any] = {}
    types = {**PANDAS_TYPES, **(PANDAS_OTHERS if options.other_types else {})}
    for column, cells in columns:
        values = [value for _, value in cells]
        if column.kind == "number" and _is_whole(cells) and not _is_unsigned(cells):
            found[column.name] = pandas.array([None if value is None else int(text) for text, value in cells], "Int64")
        elif types[column.kind] == "category":
            found[column.name] = pandas.Categorical(values)
        else:
            found[column.name] = pandas.array(values, types[column.kind])
    return pandas.DataFrame(found)


def typed_frame(columns: Columns, options: Options) -> Any:
    """Return a frame of the case's library with typed columns."""
    return (pandas_frame if options.library == "pandas" else polars_frame)(columns, options)


def read_frame(path: Path, columns: Columns, format_name: str, options: Options) -> Any:
    """Read a file with the case's library, and return its frame."""
    kinds = ("text", "classes") if options.decimal == "," else ("classes",)
    of_text = [column.name for column, _ in columns if column.kind in kinds or _is_ambiguous(column)]
    if options.library == "pandas":
        return _read_pandas(path, format_name, options, of_text, [column.name for column, _ in columns])
    return _read_polars(path, format_name, options, of_text, columns)


def _is_ambiguous(column: Drawn) -> bool:
    """Return whether two different texts of a column are the same number, so that the number loses the text."""
    texts = {text for text in (*column.values, *column.new_values) if isinstance(text, str)}
    numbers = [float(text) for text in texts if re.fullmatch(r"[+-]?[0-9.]+(e[0-9]+)?", text)]
    return column.kind == "text" and len(set(numbers)) < len(numbers)


def _read_pandas(
    path: Path, format_name: str, options: Options, of_text: list[str], names: list[str]
) -> pandas.DataFrame:
    if format_name == "parquet":
        return pandas.read_parquet(path)
    if format_name == "arrow":
        return pandas.read_feather(path)
    if format_name == "jsonl":
        with open(path, encoding="utf-8") as file:
            return pandas.DataFrame([json.loads(line) for line in file])
    kwargs: dict[str, Any] = {"sep": options.separator, "decimal": options.decimal, **EXACT}
    kwargs["encoding"] = "utf-8"
    if options.decimal == ",":
        kwargs["na_values"] = ["?", *options.marks]
    if not options.header:
        kwargs |= {"header": None, "names": names}
    frame = pandas.read_csv(path, **kwargs)
    if options.row_numbers:
        kwargs |= {"header": 0, "names": names}
        frame.columns = names
    lost = {name: "str" for name in of_text if frame[name].dtype.kind in "iuf" and frame[name].notna().any()}
    return pandas.read_csv(path, dtype=lost, **kwargs) if lost else frame


def _read_polars(
    path: Path, format_name: str, options: Options, of_text: list[str], columns: Columns
) -> polars.DataFrame:
    if format_name == "parquet":
        return polars.read_parquet(path)
    if format_name == "arrow":
        return polars.read_ipc(path)
    if format_name == "jsonl":
        return polars.read_ndjson(path, infer_schema_length=None)
    kwargs: dict[str, Any] = {"separator": options.separator, "infer_schema_length": None}
    kwargs |= {"new_columns": [column.name for column, _ in columns], "has_header": options.header}
    if options.decimal == ",":
        kwargs |= {"decimal_comma": True, "null_values": sorted({*MARKS, *options.marks} - {""})}
    frame = polars.read_csv(path, **kwargs)
    lost: dict[str, Any] = {name: polars.String for name in of_text if frame[name].dtype.is_numeric()}
    frame = polars.read_csv(path, schema_overrides=lost, **kwargs) if lost else frame
    if options.decimal == ",":
        quoted = [
            column.name
            for column, _ in columns
            if column.kind == "number" and frame[column.name].dtype == polars.String
        ]
        frame = frame.with_columns(polars.col(name).str.replace(",", ".", literal=True) for name in quoted)
    return frame
