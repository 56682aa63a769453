"""The columns of a frame as NumPy arrays: numbers, times, or texts by code.

Frames are those of pandas, of polars and `PlainFrame`; a `Part` is some of the rows of one of polars.

What a column holds is decided from its values and not from the type that a reader gave it: text of nothing but numbers
is numbers, "true" and "false" are booleans, ISO dates are times, and the marks in `MISSING` are missing values, so that
a table means the same whether pandas, polars or NumPy has read it. A type that declares categories (Categorical, Enum)
is text whatever its values are. Neither pandas nor polars is imported before a frame of
theirs is there. No loop here goes over rows in Python; loops over the different values of a column do.
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

from .frozen import frozen, replace
from .inputs import plain_number

NUMBER_TEXT = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
NUMBER = re.compile(NUMBER_TEXT)
INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
LIKE_NUMBER = re.compile(r"[+-]?[0-9][0-9.,'’\u00a0\u202f ]*(?:[eE][+-]?[0-9]+)?")  # with separators of thousands
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
PLAIN_NUMBERS = frozenset(  # polars' types that are NumPy's, too
    ["Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))]
)
PEEK = 1000  # present values that say whether it is worth to look whether all are numbers


class CellError(ValueError):
    """A value that cannot be taken, with its row, counted from 0, and its column."""

    def __init__(self, row: int, column: str, told: str) -> None:
        super().__init__(row, column, told)
        self.row, self.column, self.told = row, column, told

    def __str__(self) -> str:
        return f"X: {self.told} at row {self.row}, column {self.column!r}"


@frozen
class Numbers:
    """A column of numbers; NaN is missing. `marks` counts the texts among them that stand for missing values."""

    values: NDArray[Any]
    marks: Mapping[str, int] | None = None

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
    """A column of text: of each row the index of its value in `names`, -1 where it is missing.

    `kind` is "text" where the values are to be looked at, "category" where a type has declared them to be categories,
    "boolean" where they are "False" and "True", and "number" where they are numbers that were asked for as text.
    `spelled` says that some values were floats or dates, which others may write in another way than `_spell`.
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
    """A table of NumPy arrays, one a column, where neither pandas nor polars is at hand."""

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
        """The columns beside one another."""
        return np.column_stack(list(self._columns.values()))


class Part:
    """Some rows of a frame of polars, by their ascending indices; each column gives them when it is read.

    A filtered frame would be as much new memory as these rows are, and NumPy's view of its columns as much once more:
    polars keeps a column of a text file in many short chunks.
    """

    def __init__(self, frame: Any, rows: NDArray[np.int64]) -> None:
        self.frame, self.rows = frame, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Any:
        """The rows of a column, a series of polars."""
        return self.frame[name].gather(self.rows)

    def numbers(self, name: str) -> NDArray[Any] | None:
        """The rows of a column of numbers, NaN where they are missing; None for one of another type."""
        series = self.frame[name]
        if str(series.dtype) not in PLAIN_NUMBERS:
            return None
        chunks = [chunk.to_numpy() for chunk in series.get_chunks()]
        values: NDArray[Any] = (chunks[0] if len(chunks) == 1 else np.concatenate(chunks))[self.rows]
        return values


def names_of(frame: Any) -> tuple[str, ...]:
    """The names of a frame's columns, all text and all different."""
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
    """The column of that name; `as_text` for one whose values are to be looked up among known categories."""
    numbers = frame.numbers(name) if isinstance(frame, Part) else None
    native = frame[name] if numbers is None else numbers
    if numbers is not None or isinstance(frame, PlainFrame):
        column = _of_array(native, name, missing)
    elif hasattr(frame, "iloc"):
        column = _of_pandas(native, name, missing)
    elif hasattr(native, "to_physical"):
        column = _of_polars(native, name, missing, as_text=as_text)
    else:
        raise TypeError(f"X: expected a frame of pandas or polars, got {type(frame).__name__}")
    if isinstance(column, Texts) and not as_text and column.kind == "text":
        column = _interpreted(column, name)
    if isinstance(column, Numbers):
        column = _without(column, missing)
        return _spelled(column.values) if as_text else column
    if isinstance(column, Times):
        return _without_times(column, missing)
    return _without_booleans(column, missing) if isinstance(column, Texts) and column.kind == "boolean" else column


# ---------------------------------------------------------------------------------------------- what values mean


def number_of(text: str) -> float | None:
    """The number that a text is, possibly infinite; None where it is none."""
    return float(text) if NUMBER.fullmatch(text) or INFINITE.fullmatch(text) else None


def _interpreted(column: Texts, name: str) -> Column:
    """Text that is numbers, booleans or times throughout, as such; other text as it is."""
    if not column.names:
        return column
    numbers = _all(map(number_of, column.names))
    if numbers is not None:
        return Numbers(_by_code(np.array(numbers), column.codes, math.nan), column.marks)
    booleans = _all(BOOLEANS.get(text.lower()) for text in column.names)
    if booleans is not None:
        codes = np.array([booleans_index(text) for text in booleans], np.int64)
        return Texts(_by_code(codes, column.codes, -1), list(BOOLEANS.values()), "boolean", column.marks)
    times = _all(map(_time_of, column.names))
    if times is not None:
        table = np.array(times, "datetime64[us]")
        return Times(_by_code(table, column.codes, np.datetime64("NaT", "us")), column.marks)
    return column


def booleans_index(text: str) -> int:
    """0 for false, 1 for true."""
    return int(text.lower() == "true")


def _all(values: Iterable[Any]) -> list[Any] | None:
    """The values, if none of them is None."""
    found = []
    for value in values:
        if value is None:
            return None
        found.append(value)
    return found


def _by_code(table: NDArray[Any], codes: NDArray[np.int64], missing: Any) -> NDArray[Any]:
    """table[codes], with `missing` where the code is -1, the last entry."""
    extended: NDArray[Any] = np.append(table, np.array([missing], table.dtype))[codes]
    return extended


def _time_of(text: str) -> datetime.datetime | None:
    """The date, with its time of day if it has one, in UTC; None where the text is none in ISO's notation."""
    if not TIME.fullmatch(text):
        return None
    try:
        return _in_utc(datetime.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _in_utc(time: datetime.datetime) -> datetime.datetime:
    return time if time.tzinfo is None else time.astimezone(datetime.UTC).replace(tzinfo=None)


def canonical(text: str) -> str:
    """One spelling for what is one category: "1" for "1.0", as whole numbers beside gaps are written, the day alone for
    its midnight. Text that no number or date is printed as ("007", "1.50") is itself.
    """
    number = number_of(text)
    if number is not None and math.isfinite(number):
        short = spelling(number)
        return short if text in (short, repr(number)) else text
    time = _time_of(text)
    if time is None:
        return text
    return time.date().isoformat() if time.time() == datetime.time() else time.isoformat()


def spelling(number: float) -> str:
    """How a number is written as a category: whole ones without a point, as pandas turns 1 into 1.0 beside a gap."""
    return str(int(number)) if number == int(number) else repr(float(number))


def _spelled(values: NDArray[Any]) -> Texts:
    """Numbers as text."""
    different, codes = np.unique(values, return_inverse=True, equal_nan=True)
    gap = np.isnan(different) if different.dtype.kind == "f" else np.zeros(len(different), bool)
    names = [spelling(each) if math.isfinite(each) else str(each) for each in different[~gap].tolist()]
    codes = codes.reshape(-1).astype(np.int64)  # NaN sorts last
    return Texts(np.where(codes >= len(names), -1, codes), names, "number")


def _without(column: Numbers, missing: frozenset[str]) -> Numbers:
    """The numbers with NaN in the place of those that the caller's own marks stand for."""
    marks = [number for number in map(number_of, missing - MISSING) if number is not None]
    if not marks:
        return column
    values = column.values.astype(np.float64)
    values[np.isin(values, marks)] = np.nan
    return Numbers(values, column.marks)


def _without_times(column: Times, missing: frozenset[str]) -> Times:
    """The times with NaT in the place of those that the caller's own marks stand for, however they are spelt."""
    marks = [time for time in map(_time_of, missing - MISSING) if time is not None]
    gaps = np.isin(column.values, np.array(marks, "datetime64[us]")) if marks else np.zeros(1, bool)
    if not gaps.any():
        return column
    return Times(np.where(gaps, np.datetime64("NaT", "us"), column.values), column.marks)


def _without_booleans(column: Texts, missing: frozenset[str]) -> Texts:
    """Booleans without those that the caller's own marks stand for, in capitals or not, which a type has lost."""
    marks = {mark.lower() for mark in missing - MISSING}
    gone = [i for i, name in enumerate(column.names) if name.lower() in marks]
    return replace(column, codes=np.where(np.isin(column.codes, gone), -1, column.codes)) if gone else column


def _factorised(texts: Sequence[str | None], missing: frozenset[str], kind: str = "text") -> Texts:
    """Texts given one a row, None where one is missing."""
    table: dict[str | None, int] = {}
    codes = np.fromiter((table.setdefault(text, len(table)) for text in texts), np.int64, len(texts))
    return _cleaned(codes, list(table), missing, kind)


def _cleaned(
    codes: NDArray[np.int64], names: Sequence[str | None], missing: frozenset[str], kind: str, *, strip: bool = True
) -> Texts:
    """Texts, without blanks around them where `strip` says so, the marks of missing values taken out and counted."""
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


def _spell(value: Any, name: str, row: int) -> str | None:
    """A Python object of a column as text; None where it is missing."""
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
        return _in_utc(value).isoformat(" ")
    if isinstance(value, datetime.date):
        return value.isoformat()
    raise CellError(row, name, f"expected a number, text, a boolean or a date, got {type(value).__name__}")


def _refused(name: str, dtype: object) -> TypeError:
    return TypeError(
        f"X: expected numbers, text, booleans, categories or dates, got {dtype} in column {name!r}; leave it out (drop)"
    )


# ------------------------------------------------------------------------------------------------ where they come from


def _of_array(values: NDArray[Any], name: str, missing: frozenset[str]) -> Column:
    kind = values.dtype.kind
    if kind in "iuf":
        return Numbers(values)
    if kind == "b":
        return Texts(values.astype(np.int64), list(BOOLEANS.values()), "boolean")
    if kind in "UT":
        different, codes = np.unique(values, return_inverse=True)
        return _cleaned(codes.reshape(-1).astype(np.int64), different.tolist(), missing, "text")
    if kind == "O":
        return _of_objects(values.tolist(), name, missing)
    raise _refused(name, values.dtype)


def _of_objects(values: Sequence[Any], name: str, missing: frozenset[str]) -> Texts:
    texts = [_spell(value, name, row) for row, value in enumerate(values)]
    present = [value for value, text in zip(values, texts, strict=True) if text is not None]
    if present and all(isinstance(value, (bool, np.bool_)) for value in present):  # as pandas has them beside a gap
        table: dict[str | None, int] = {None: -1, "False": 0, "True": 1}
        return Texts(np.array([table[text] for text in texts], np.int64), list(BOOLEANS.values()), "boolean")
    return replace(_factorised(texts, missing), spelled=not all(isinstance(value, (str, int)) for value in present))


def _of_pandas(series: Any, name: str, missing: frozenset[str]) -> Column:
    dtype = series.dtype
    kind = getattr(dtype, "kind", "O")
    if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):
        codes = series.cat.codes.to_numpy().astype(np.int64)
        names = [_spell(value, name, 0) for value in series.cat.categories.tolist()]
        spelled = not all(isinstance(value, (str, int)) for value in series.cat.categories)
        return replace(_cleaned(codes, names, missing, "category"), spelled=spelled)
    if kind in "iuf":
        values: NDArray[Any] = series.to_numpy() if isinstance(dtype, np.dtype) else _masked(series)
        return Numbers(values)
    if kind == "b":
        codes = _masked(series) if not isinstance(dtype, np.dtype) else series.to_numpy().astype(np.float64)
        known = np.where(np.isnan(codes), -1, codes).astype(np.int64)
        return Texts(known, list(BOOLEANS.values()), "boolean")
    if kind == "M":
        if getattr(dtype, "tz", None) is not None or getattr(getattr(dtype, "pyarrow_dtype", None), "tz", None):
            series = series.dt.tz_convert("UTC").dt.tz_localize(None)
        return Times(series.astype("datetime64[us]").to_numpy())
    if kind in "mc" or str(dtype).startswith(("period[", "interval[")):
        raise _refused(name, dtype)
    try:
        codes, different = series.factorize()
    except TypeError:  # a list, say, has no hash
        return _of_objects(series.tolist(), name, missing)
    names = list(different)
    if not all(isinstance(each, str) for each in names):  # 1, 1.0 and True are one to factorize
        return _of_objects(series.tolist(), name, missing)
    return _cleaned(codes.astype(np.int64), names, missing, "text")


def _masked(series: Any) -> NDArray[Any]:
    """Numbers or booleans of a type that knows missing values, as float64 with NaN."""
    values: NDArray[Any] = series.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _of_polars(series: Any, name: str, missing: frozenset[str], *, as_text: bool) -> Column:
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
            else _nat(instants.to_physical())
        )
    if dtype == pl.Null:
        return Texts(np.full(len(series), -1, np.int64), [])
    if dtype == pl.Object:
        return _of_objects(series.to_list(), name, missing)
    declared = dtype == pl.Categorical or dtype == pl.Enum
    if not (declared or dtype == pl.String):
        raise _refused(name, dtype)
    texts = series.cast(pl.String)
    if not declared and not as_text:
        numbers = _numbers_of_polars(texts, missing)
        if numbers is not None:
            return numbers
    codes, names = _factorise_polars(texts)
    return _cleaned(codes, names, missing, "category" if declared else "text")


def _nat(physical: Any) -> NDArray[np.datetime64]:
    """Microseconds with gaps as datetime64[us]."""
    values: NDArray[np.datetime64] = physical.fill_null(0).to_numpy().astype("datetime64[us]")
    values[physical.is_null().to_numpy()] = np.datetime64("NaT", "us")
    return values


def _factorise_polars(texts: Any) -> tuple[NDArray[np.int64], list[str]]:
    """The index of each text among the different ones, -1 where it is null; as no version of polars gives it itself."""
    import polars as pl

    different = texts.unique(maintain_order=True).drop_nulls()
    if not len(different):
        return np.full(len(texts), -1, np.int64), []
    index = pl.Series(np.arange(len(different)))
    codes = texts.replace_strict(different, index, default=None, return_dtype=pl.Int64).fill_null(-1)
    return codes.to_numpy(), different.to_list()


def _numbers_of_polars(texts: Any, missing: frozenset[str]) -> Numbers | None:
    """The texts as numbers, if all are, but for marks of missing values; the same answer as `_interpreted`, fast."""
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
    """An array (n,) of text or numbers as text: text as it is written, numbers by their shortest spelling.

    -0.0 and 0.0 are one number.
    """
    values = values + values.dtype.type(0) if values.dtype.kind == "f" else values
    different, codes = np.unique(values, return_inverse=True, equal_nan=True)
    names = [
        each if isinstance(each, str) else "" if each != each else repr(each)
        for each in (different.tolist() if different.dtype.kind != "f" else map(plain_number, different))
    ]
    return _cleaned(codes.reshape(-1).astype(np.int64), names, missing, "text", strip=False)


def labels_of_polars(
    series: Any, name: str, missing: frozenset[str]
) -> tuple[NDArray[Any] | None, Callable[[], Texts]]:
    """A column of labels as numbers, None where it is not numbers alone, and the function that gives it as text."""
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
        return _cleaned(codes, names, missing, "text", strip=False)

    if texts.head(PEEK).n_unique() < PEEK // 10:  # few different ones are read one by one
        found = _all(number_of(name.strip()) for name in as_text().names)
        return (_by_code(np.array(found), as_text().codes, math.nan) if found else None), as_text
    numbers = _numbers_of_polars(texts, missing)
    return None if numbers is None else numbers.values, as_text
