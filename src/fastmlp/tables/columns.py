"""The columns of a data frame as NumPy arrays: numbers, times, or text as integer codes.

A frame is one of pandas or polars, or a `PlainFrame`; a `parts.Part` is a selection of the rows of a polars frame.

What a column holds is decided from its values and not from the dtype that a reader gave it, so that a table means the
same whether pandas, polars or NumPy has read it: text of nothing but numbers is numbers, "true" and "false" are
booleans, ISO dates are times, and the marks in `MISSING` are missing values. A dtype that declares categories
(Categorical, Enum) is text whatever its values are.

This module never imports pandas, and imports polars only when it is given a frame of polars. Python loops go over the
distinct values of a column and not over its rows, except for columns of Python objects.
"""

from __future__ import annotations

import datetime
import decimal
import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen, replace
from ..inputs.arrays import plain_number
from .parts import Chunks, Part

NUMBER_TEXT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NUMBER = re.compile(NUMBER_TEXT)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
LIKE_NUMBER = re.compile(r"[+-]?[0-9][0-9.,'’\u00a0\u202f ]*(?:[eE][+-]?[0-9]+)?")  # possibly with thousands separators
TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
MISSING = frozenset(
    [
        "",
        "?",
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "-NaN",
        "nan",
        "-nan",
        "None",
        "n/a",
        "null",
    ]
)
BOOLEANS = {"false": "False", "true": "True"}
DAY = 86_400_000_000  # microseconds
PEEK = 1000  # values that are tested first: only if all of them are numbers is the whole column tested


class CellError(ValueError):
    """A value that cannot be used. `row` counts from 0; `problem` says what was expected and what the value is."""

    def __init__(self, row: int, column: str, problem: str) -> None:
        super().__init__(row, column, problem)
        self.row, self.column, self.problem = row, column, problem

    def __str__(self) -> str:
        return f"X: {self.problem} at row {self.row}, column {self.column!r}"


@frozen
class Numbers:
    """A column of numbers; NaN is missing. `marks` counts, by text, the cells that were marks of a missing value.

    Where `values` are the rows of a `Part`, `chunks` holds all rows of its frame, from which `values` can be gathered
    again, so that a caller need not keep them.
    """

    values: NDArray[Any]
    marks: Mapping[str, int] | None = None
    chunks: Chunks | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.values)


@frozen
class Times:
    """A column of dates and times of day, datetime64[us] in UTC; NaT is missing."""

    values: NDArray[np.datetime64]
    marks: Mapping[str, int] | None = None

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.values)


@frozen
class Texts:
    """A column of text: for each row the index of its value in `names`, -1 where it is missing.

    `kind` is "text" where the values decide what the column is, "category" where its dtype declares categories,
    "boolean" where the names are "False" and "True", and "number" where numbers were requested as text. `spelled` says
    that some values were floats or dates, for which `_object_as_text` chose one of several possible spellings.
    """

    codes: NDArray[np.int64]
    names: list[str]
    kind: str = "text"
    marks: Mapping[str, int] | None = None
    spelled: bool = False

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(self.codes)


Column = Numbers | Times | Texts


class PlainFrame:
    """A table of NumPy arrays, one per column, for use without pandas and polars."""

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = dict(columns)
        self.columns = list(self._columns)
        self.dtypes = [column.dtype for column in self._columns.values()]

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self), len(self.columns)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._columns[key]
        if isinstance(key, list):
            return PlainFrame({name: self._columns[name] for name in key})
        return PlainFrame({name: column[key] for name, column in self._columns.items()})

    def head(self, n: int) -> PlainFrame:
        """The first n rows."""
        return PlainFrame({name: column[:n] for name, column in self._columns.items()})

    def to_numpy(self) -> NDArray[Any]:
        """The columns as one array (rows, columns)."""
        return np.column_stack(list(self._columns.values()))


def names_of(frame: Any) -> tuple[str, ...]:
    """Return the names of a frame's columns; refuse names that are not text, or not distinct."""
    if isinstance(frame, Part):
        frame = frame.frame
    if hasattr(frame, "collect_schema") and not hasattr(frame, "to_numpy"):
        raise TypeError("X: expected a frame with its rows, got a polars LazyFrame; X.collect() has them")
    if not (hasattr(frame, "columns") and hasattr(frame, "dtypes") and callable(getattr(frame, "to_numpy", None))):
        raise TypeError(f"X: expected a frame of pandas or polars, got {type(frame).__name__}")
    names = tuple(frame.columns)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"X: expected text as names of columns, got {name!r:.60}; X.columns.map(str) makes it text")
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"X: expected columns of different names, got {twice!r} twice")
    return tuple(map(str, names))


def read(frame: Any, name: str, missing: frozenset[str] = MISSING, *, as_text: bool = False) -> Column:
    """Read the column of that name. `as_text` gives its values as text, to be looked up among known categories."""
    numbers = frame.numbers(name) if isinstance(frame, Part) else None
    native: Any = frame[name] if numbers is None else None
    column: Column
    if numbers is not None:
        column = Numbers(numbers[0], chunks=numbers[1])
    elif isinstance(frame, PlainFrame):
        column = _from_array(native, name, missing)
    elif hasattr(frame, "iloc"):
        column = _from_pandas(native, name, missing)
    elif hasattr(native, "to_physical"):
        column = _from_polars(native, name, missing, as_text=as_text)
    else:
        raise TypeError(f"X: expected a frame of pandas or polars, got {type(frame).__name__}")
    if isinstance(column, Texts) and not as_text and column.kind == "text":
        column = _infer_kind(column, name)
    if isinstance(column, Numbers):
        column = _mask_numbers(column, missing)
        return _numbers_as_texts(column.values) if as_text else column
    if isinstance(column, Times):
        return _mask_times(column, missing)
    return _mask_booleans(column, missing) if isinstance(column, Texts) and column.kind == "boolean" else column


# ----------------------------------------------------------------------------------------- the meaning of the values


def number_of(text: str) -> float | None:
    """Parse a text as a number, possibly infinite; None if it is not one."""
    return float(text) if NUMBER.fullmatch(text) or INFINITE.fullmatch(text) else None


def _infer_kind(column: Texts, name: str) -> Column:
    """Convert text to numbers, booleans or times, if all of it is of that kind; return other text unchanged."""
    if not column.names:
        return column
    numbers = _all_or_none(map(number_of, column.names))
    if numbers is not None:
        return Numbers(_by_code(np.array(numbers), column.codes, math.nan), column.marks)
    booleans = _all_or_none(BOOLEANS.get(text.lower()) for text in column.names)
    if booleans is not None:
        codes = np.array([booleans_index(text) for text in booleans], np.int64)
        return Texts(_by_code(codes, column.codes, -1), list(BOOLEANS.values()), "boolean", column.marks)
    times = _all_or_none(map(_parse_time, column.names))
    if times is not None:
        table = np.array(times, "datetime64[us]")
        return Times(_by_code(table, column.codes, np.datetime64("NaT", "us")), column.marks)
    return column


def booleans_index(text: str) -> int:
    """Return 0 for "false" and 1 for "true", in upper or lower case."""
    return int(text.lower() == "true")


def _all_or_none(values: Iterable[Any]) -> list[Any] | None:
    """Return the values as a list, or None as soon as one of them is None."""
    found = []
    for value in values:
        if value is None:
            return None
        found.append(value)
    return found


def _by_code(table: NDArray[Any], codes: NDArray[np.int64], missing: Any) -> NDArray[Any]:
    """Return table[codes], with `missing` where the code is -1 (the index of the entry appended here)."""
    extended: NDArray[Any] = np.append(table, np.array([missing], table.dtype))[codes]
    return extended


def _parse_time(text: str) -> datetime.datetime | None:
    """Parse a date, with or without a time of day, in ISO 8601 notation, as UTC; None if the text is not one."""
    if not TIME.fullmatch(text):
        return None
    try:
        return _as_naive_utc(datetime.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _as_naive_utc(time: datetime.datetime) -> datetime.datetime:
    return time if time.tzinfo is None else time.astimezone(datetime.UTC).replace(tzinfo=None)


def canonical(text: str) -> str:
    """Return the one spelling of a category that can be written in several ways.

    It is "1" for "1.0" (pandas makes floats of whole numbers in a column with missing values) and the date alone for a
    date at midnight. Text that is no number's or date's own spelling ("007", "1.50") is returned unchanged.
    """
    number = number_of(text)
    if number is not None and math.isfinite(number):
        short = spelling(number)
        return short if text in (short, repr(number)) else text
    time = _parse_time(text)
    if time is None:
        return text
    return time.date().isoformat() if time.time() == datetime.time() else time.isoformat()


def spelling(number: float) -> str:
    """Spell a number as a category: whole ones without a point, as pandas turns 1 into 1.0 beside a missing value."""
    return str(int(number)) if number == int(number) else repr(float(number))


def _numbers_as_texts(values: NDArray[Any]) -> Texts:
    """Convert numbers to text."""
    different, codes = np.unique(values, return_inverse=True, equal_nan=True)
    gap = np.isnan(different) if different.dtype.kind == "f" else np.zeros(len(different), bool)
    names = [spelling(each) if math.isfinite(each) else str(each) for each in different[~gap].tolist()]
    codes = codes.reshape(-1).astype(np.int64)  # NaN sorts last
    return Texts(np.where(codes >= len(names), -1, codes), names, "number")


def number_marks(missing: Iterable[str]) -> list[float]:
    """Return the numbers that the caller has named as marks of a missing value."""
    return [number for number in map(number_of, set(missing) - MISSING) if number is not None]


def _mask_numbers(column: Numbers, missing: frozenset[str]) -> Numbers:
    """Replace by NaN the numbers that the caller has named as marks of a missing value."""
    marks = number_marks(missing)
    if not marks:
        return column
    values = column.values.astype(np.float64)
    values[np.isin(values, marks)] = np.nan
    return Numbers(values, column.marks)


def _mask_times(column: Times, missing: frozenset[str]) -> Times:
    """Replace by NaT the times that the caller has named as marks of a missing value, in any spelling of the time."""
    marks = [time for time in map(_parse_time, missing - MISSING) if time is not None]
    gaps = np.isin(column.values, np.array(marks, "datetime64[us]")) if marks else np.zeros(1, bool)
    if not gaps.any():
        return column
    return Times(np.where(gaps, np.datetime64("NaT", "us"), column.values), column.marks)


def _mask_booleans(column: Texts, missing: frozenset[str]) -> Texts:
    """Replace by -1 the booleans that the caller has named as marks of a missing value.

    Case is ignored, because a boolean dtype does not keep whether the file had "true", "True" or "TRUE".
    """
    marks = {mark.lower() for mark in missing - MISSING}
    gone = [i for i, name in enumerate(column.names) if name.lower() in marks]
    return replace(column, codes=np.where(np.isin(column.codes, gone), -1, column.codes)) if gone else column


def _factorise(texts: Sequence[str | None], missing: frozenset[str], kind: str = "text") -> Texts:
    """Make a column of one text per row, None where it is missing."""
    table: dict[str | None, int] = {}
    codes = np.fromiter((table.setdefault(text, len(table)) for text in texts), np.int64, len(texts))
    return _make_texts(codes, list(table), missing, kind)


def _make_texts(
    codes: NDArray[np.int64], names: Sequence[str | None], missing: frozenset[str], kind: str, *, strip: bool = True
) -> Texts:
    """Make a column of codes and names: blanks around names are removed if `strip`, marks of missing values counted
    and their codes set to -1.
    """
    table: dict[str, int] = {}
    marks: dict[int, str] = {}
    moved = np.empty(len(names) + 1, np.int64)
    moved[-1] = -1
    for i, name in enumerate(names):
        stripped = "" if name is None else name.strip()
        if stripped in missing:
            moved[i] = -1
            if stripped:
                marks[i] = stripped
        else:
            moved[i] = table.setdefault(stripped if strip or name is None else name, len(table))
    counts: dict[str, int] = {}
    for i, mark in marks.items():
        counts[mark] = counts.get(mark, 0) + int(np.count_nonzero(codes == i))
    counts = {mark: count for mark, count in counts.items() if count}
    return Texts(moved[codes], list(table), kind, counts)


def _object_as_text(value: Any, name: str, row: int) -> str | None:
    """Convert a Python object in a column to text; None where it is a missing value."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, (float, decimal.Decimal)):
        if value != value:
            return None
        return spelling(float(value)) if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime):
        return _as_naive_utc(value).isoformat(" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise CellError(row, name, f"expected a number, text, a boolean or a date, got {type(value).__name__}")


def _unsupported_dtype(name: str, dtype: object) -> TypeError:
    return TypeError(
        f"X: expected numbers, text, booleans, categories or dates, got {dtype} in column {name!r}; leave it out (drop)"
    )


# --------------------------------------------------------------------------------------- columns of each kind of frame


def _from_array(values: NDArray[Any], name: str, missing: frozenset[str]) -> Column:
    kind = values.dtype.kind
    if kind in "iuf":
        return Numbers(values)
    if kind == "b":
        return Texts(values.astype(np.int64), list(BOOLEANS.values()), "boolean")
    if kind in "UT":
        different, codes = np.unique(values, return_inverse=True)
        return _make_texts(codes.reshape(-1).astype(np.int64), different.tolist(), missing, "text")
    if kind == "O":
        return _from_objects(values.tolist(), name, missing)
    raise _unsupported_dtype(name, values.dtype)


def _from_objects(values: Sequence[Any], name: str, missing: frozenset[str]) -> Texts:
    texts = [_object_as_text(value, name, row) for row, value in enumerate(values)]
    present = [value for value, text in zip(values, texts, strict=True) if text is not None]
    if present and all(isinstance(value, (bool, np.bool_)) for value in present):  # as pandas has them beside a gap
        table: dict[str | None, int] = {None: -1, "False": 0, "True": 1}
        return Texts(np.array([table[text] for text in texts], np.int64), list(BOOLEANS.values()), "boolean")
    return replace(_factorise(texts, missing), spelled=not all(isinstance(value, (str, int)) for value in present))


def _from_pandas(series: Any, name: str, missing: frozenset[str]) -> Column:
    dtype = series.dtype
    kind = getattr(dtype, "kind", "O")
    if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        names = [_object_as_text(value, name, 0) for value in series.cat.categories.tolist()]
        spelled = not all(isinstance(value, (str, int)) for value in series.cat.categories)
        return replace(_make_texts(codes, names, missing, "category"), spelled=spelled)
    if kind in "iuf":
        values: NDArray[Any] = series.to_numpy() if isinstance(dtype, np.dtype) else _with_nan(series)
        return Numbers(values)
    if kind == "b":
        codes = _with_nan(series) if not isinstance(dtype, np.dtype) else series.to_numpy().astype(np.float64)
        known = np.where(np.isnan(codes), -1, codes).astype(np.int64)
        return Texts(known, list(BOOLEANS.values()), "boolean")
    if kind == "M":
        if getattr(dtype, "tz", None) is not None or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None):
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return Times(series.astype("datetime64[us]").to_numpy())
    if kind in "mc" or str(dtype).startswith(("period[", "interval[")):
        raise _unsupported_dtype(name, dtype)
    try:
        codes, different = series.factorize()
    except TypeError:  # a value is not hashable: a list, for example
        return _from_objects(series.tolist(), name, missing)
    names = list(different)
    if not all(isinstance(each, str) for each in names):  # to factorize, 1, 1.0 and True are equal
        return _from_objects(series.tolist(), name, missing)
    return _make_texts(codes.astype(np.int64), names, missing, "text")


def _with_nan(series: Any) -> NDArray[Any]:
    """Convert numbers or booleans of a nullable extension dtype to float64, with NaN where they are missing."""
    values: NDArray[Any] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _from_polars(series: Any, name: str, missing: frozenset[str], *, as_text: bool) -> Column:
    import polars as pl

    dtype = series.dtype
    if dtype.is_numeric():
        if dtype.is_decimal() or str(dtype) in ("Int128", "UInt128", "Float16"):
            series = series.cast(pl.Float64)
        return Numbers(series.to_numpy())
    if dtype == pl.Boolean:
        codes = series.cast(pl.Int64).fill_null(-1).to_numpy()
        return Texts(codes, list(BOOLEANS.values()), "boolean")
    if dtype == pl.Date or dtype == pl.Datetime:
        instants = series.cast(pl.Datetime("us")) if dtype == pl.Date else series.dt.cast_time_unit("us")
        return Times(
            instants.to_physical().to_numpy().astype("datetime64[us]")
            if not series.null_count()
            else _times_with_nat(instants.to_physical())
        )
    if dtype == pl.Null:
        return Texts(np.full(len(series), -1, np.int64), [])
    if dtype == pl.Object:
        return _from_objects(series.to_list(), name, missing)
    declared = dtype == pl.Categorical or dtype == pl.Enum
    if not (declared or dtype == pl.String):
        raise _unsupported_dtype(name, dtype)
    texts = series.cast(pl.String)
    if not declared and not as_text:
        numbers = _numbers_from_polars(texts, missing)
        if numbers is not None:
            return numbers
    codes, names = _factorise_polars(texts)
    return _make_texts(codes, names, missing, "category" if declared else "text")


def _times_with_nat(physical: Any) -> NDArray[np.datetime64]:
    """Convert microseconds, a polars series with nulls, to datetime64[us] with NaT."""
    values: NDArray[np.datetime64] = physical.fill_null(0).to_numpy().astype("datetime64[us]")
    values[physical.is_null().to_numpy()] = np.datetime64("NaT", "us")
    return values


def _factorise_polars(texts: Any) -> tuple[NDArray[np.int64], list[str]]:
    """Return the index of each text among the distinct ones, -1 where it is null, and the distinct ones.

    No version of polars has a function for it.
    """
    import polars as pl

    different = texts.unique(maintain_order=True).drop_nulls()
    if not len(different):
        return np.full(len(texts), -1, np.int64), []
    index = pl.Series(np.arange(len(different)))
    codes = texts.replace_strict(different, index, default=None, return_dtype=pl.Int64).fill_null(-1)
    return codes.to_numpy(), different.to_list()


def _numbers_from_polars(texts: Any, missing: frozenset[str]) -> Numbers | None:
    """Convert the texts to numbers if all but marks of missing values are numbers, else return None.

    The result is that of `_infer_kind`, which is slower, as it parses in Python.
    """
    import polars as pl

    def bare(some: Any) -> Any:
        stripped = some.str.strip_chars()
        return stripped, stripped.is_in(sorted(missing)).fill_null(True)

    peek, gaps = bare(texts.drop_nulls().head(PEEK))
    pattern = f"^(?:{NUMBER_TEXT})$"
    if not peek.filter(~gaps).str.contains(pattern).all():
        return None
    stripped, gaps = bare(texts)
    present = stripped.set(gaps, None)
    if present.null_count() == len(present) or not present.str.contains(pattern).all():
        return None
    counts = stripped.filter(gaps).drop_nulls().value_counts()
    marks = {mark: count for mark, count in counts.rows() if mark}
    return Numbers(present.cast(pl.Float64).to_numpy(), marks)


# ---------------------------------------------------------------------------------------------------- columns of labels


def texts_of_array(values: NDArray[Any], missing: frozenset[str]) -> Texts:
    """Convert an array (n,) of text or numbers to text: text as it is written, numbers in their shortest spelling.

    -0.0 is spelt as 0.0.
    """
    values = values + values.dtype.type(0) if values.dtype.kind == "f" else values
    different, codes = np.unique(values, return_inverse=True, equal_nan=True)
    names = [
        each if isinstance(each, str) else "" if each != each else repr(each)
        for each in (different.tolist() if different.dtype.kind != "f" else map(plain_number, different))
    ]
    return _make_texts(codes.reshape(-1).astype(np.int64), names, missing, "text", strip=False)


def labels_of_polars(
    series: Any, name: str, missing: frozenset[str]
) -> tuple[NDArray[Any] | None, Callable[[], Texts]]:
    """Return a column of labels as numbers (None unless all are numbers), and a function that returns it as text."""
    import polars as pl

    dtype = series.dtype
    if dtype.is_float():
        values = series.to_numpy()
        return values, lambda: texts_of_array(values, missing)
    if dtype == pl.Boolean:
        series = series.cast(pl.Int8).replace_strict([0, 1], ["False", "True"], default=None, return_dtype=pl.String)
    elif not (dtype.is_numeric() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Date, pl.Datetime, pl.Null)):
        raise TypeError(f"column {name!r}: expected numbers or text to learn, got {dtype}")
    texts = series.cast(pl.String)

    @functools.cache
    def as_text() -> Texts:
        codes, names = _factorise_polars(texts)
        return _make_texts(codes, names, missing, "text", strip=False)

    if texts.head(PEEK).n_unique() < PEEK // 10:  # few distinct ones: parse each of them once
        found = _all_or_none(number_of(name.strip()) for name in as_text().names)
        return (_by_code(np.array(found), as_text().codes, math.nan) if found else None), as_text
    numbers = _numbers_from_polars(texts, missing)
    return None if numbers is None else numbers.values, as_text
