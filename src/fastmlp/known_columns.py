"""What is known of a column after training, a class for each kind, and the inputs that its values become.

An `Encoder` is made of these. `learn` makes them from the training rows, `describe` and `from_description` carry them
through a model file, whose word is checked before it is used. Columns come from `columns`, as NumPy arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import columns
from .columns import CellError, Numbers, Texts, Times
from .frozen import frozen

CALENDAR = ("day_number", "month", "day", "weekday", "hour")
SAMPLE = 5000  # values that bound the median of many
MARGIN = 0.03  # of the sample on both sides of its median: four of its standard deviations


@frozen
class NumberColumn:
    """Numbers: the median of the training rows stands for a missing one."""

    name: str
    median: float
    indicator: bool

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        return [self.name, *[f"{self.name} is missing"] * self.indicator]

    def parts(self, column: columns.Column) -> list[NDArray[Any]]:
        """The inputs that the column becomes, one array each."""
        if not isinstance(column, Numbers):
            if not _is_empty(column):
                raise _other_kind(column, self.name, "a number")
            column = Numbers(np.full(column.n_rows, np.nan))
        values = column.values
        _check_finite(values, self.name)
        gaps = _gaps(values)
        if gaps is None:
            return [values, *[np.zeros(len(values))] * self.indicator]
        return [np.where(gaps, self.median, values), *[gaps] * self.indicator]


@frozen
class TimeColumn:
    """Dates, with the hour where the training rows had times of day."""

    name: str
    medians: tuple[float, ...]  # of day number, month, day, weekday and hour
    indicator: bool

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        parts = [f"{self.name}.{part}" for part in CALENDAR[: len(self.medians)]]
        return [*parts, *[f"{self.name} is missing"] * self.indicator]

    def parts(self, column: columns.Column) -> list[NDArray[Any]]:
        """The inputs that the column becomes, one array each."""
        if not isinstance(column, Times):
            if not _is_empty(column):
                raise _other_kind(column, self.name, "a date such as 2024-01-31")
            column = Times(np.full(column.n_rows, np.datetime64("NaT", "us"), "datetime64[us]"))
        gaps = np.isnat(column.values)
        parts = _calendar(column.values)[: len(self.medians)]
        filled = [np.where(gaps, median, part) for part, median in zip(parts, self.medians, strict=True)]
        return [*filled, *[gaps] * self.indicator]


@frozen
class CategoryColumn:
    """Text, categories or booleans: an input for each category, one for missing values if they are frequent enough in
    the training rows, and one for all others.
    """

    name: str
    categories: tuple[str, ...]
    missing: bool
    boolean: bool
    spelled: bool = False  # some values of the training rows were no text

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        named = [f"{self.name}={category}" for category in self.categories]
        return [*named, *[f"{self.name} is missing"] * self.missing, f"{self.name} is other"]

    def chosen(self, column: columns.Column) -> NDArray[np.int64]:
        """Which of the column's inputs is 1 in each row; the others are 0."""
        if isinstance(column, Times):
            column = _times_as_text(column)
        if not isinstance(column, Texts) or (self.boolean and column.kind == "number" and column.names):
            raise _other_kind(column, self.name, "true or false")
        other = len(self.categories) + self.missing
        table = np.full(len(column.names) + 1, other, np.int64)
        table[:-1] = self._indices(column, other)
        table[-1] = len(self.categories)  # that of missing values, or of others where those have none
        return table[column.codes]

    def _indices(self, column: Texts, other: int) -> list[int]:
        """Of each of the column's names the index of its input."""
        table = {category: i for i, category in enumerate(self.categories)}
        if self.boolean:
            table |= {name.lower(): i for name, i in table.items()}
            wrong = next((i for i, name in enumerate(column.names) if name.lower() not in table), None)
            if wrong is not None:
                raise _first_code(column, wrong, self.name, "true or false")
            return [table[name.lower()] for name in column.names]
        if column.kind == "boolean":  # a reader's own type, which has lost how the file spells it
            same = [[i for name, i in table.items() if name.lower() == each.lower()] for each in column.names]
        elif column.kind == "number":
            numbers = [(columns.number_of(name), i) for name, i in table.items()]
            same = [[i for number, i in numbers if number == float(each)] for each in column.names]
        else:
            return self._of_text(column, table, other)
        for each, found in zip(column.names, same, strict=True):
            if len(found) > 1:
                both = " or ".join(repr(self.categories[i]) for i in found[:2])
                raise ValueError(
                    f"X: expected text in column {self.name!r}, got {each}, which may be {both}; "
                    "read the column as text"
                )
        return [found[0] if found else other for found in same]

    def _of_text(self, column: Texts, table: dict[str, int], other: int) -> list[int]:
        """Text is looked up as it is written. Where either side has spelt values that were no text, 1.0 and 1 are one
        number, and a day is its midnight.
        """
        if not (self.spelled or column.spelled) or all(name in table for name in column.names):
            return [table.get(name, other) for name in column.names]
        meanings: dict[str, list[int]] = {}
        for category, i in table.items():
            meanings.setdefault(columns.canonical(category), []).append(i)
        same = [[table[name]] if name in table else meanings.get(columns.canonical(name), []) for name in column.names]
        return [found[0] if len(found) == 1 else other for found in same]


Known = NumberColumn | TimeColumn | CategoryColumn


# ---------------------------------------------------------------------------------------------------------- learning


def learn(column: columns.Column, name: str, min_count: int, max_categories: int) -> Known | None:
    """What is known of the column from now on; None where it has no values."""
    if isinstance(column, Numbers):
        _check_finite(column.values, name)
        gaps = _gaps(column.values)
        present = column.values if gaps is None else column.values[~gaps]
        return NumberColumn(name, median(present), gaps is not None) if len(present) else None
    if isinstance(column, Times):
        gaps = np.isnat(column.values)
        parts = _calendar(column.values[~gaps])
        if not len(parts[0]):
            return None
        n_parts = len(CALENDAR) if (parts[0] != np.floor(parts[0])).any() else len(CALENDAR) - 1
        return TimeColumn(name, tuple(median(part) for part in parts[:n_parts]), bool(gaps.any()))
    counts = np.bincount(column.codes + 1, minlength=len(column.names) + 1)
    if not counts[1:].any():
        return None
    if column.kind == "boolean":
        return CategoryColumn(name, ("False", "True"), bool(counts[0] >= min_count), True)
    frequent = [(-count, each) for each, count in zip(column.names, counts[1:].tolist(), strict=True)]
    chosen = [each for count, each in sorted(frequent)[:max_categories] if -count >= min_count]
    return CategoryColumn(name, tuple(sorted(chosen)), bool(counts[0] >= min_count), False, column.spelled)


def median(values: NDArray[Any]) -> float:
    """The median, in a few passes over many values: a sample bounds it, and what lies between is put in order."""
    lower, upper = (len(values) - 1) // 2, len(values) // 2
    if len(values) > 10 * SAMPLE:
        sample = np.sort(values[:: len(values) // SAMPLE])
        least, most = sample[int((0.5 - MARGIN) * len(sample))], sample[int((0.5 + MARGIN) * len(sample))]
        n_below = int(np.count_nonzero(values < least))
        middle = values[np.flatnonzero((values >= least) & (values <= most))]  # sooner done than by the mask itself
        if n_below <= lower and upper < n_below + len(middle):
            values, lower, upper = middle, lower - n_below, upper - n_below
    ordered = np.partition(values, [lower, upper])
    below, above = float(ordered[lower]), float(ordered[upper])
    mean = (below + above) / 2  # half of a subnormal number may be rounded, and the sum of two large ones infinite
    return mean if math.isfinite(mean) else below / 2 + above / 2


# ------------------------------------------------------------------------------------------------------------ using


def _gaps(values: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Where numbers are missing; None where none is."""
    if values.dtype.kind != "f":
        return None
    gaps: NDArray[np.bool_] = np.isnan(values)
    return gaps if gaps.any() else None


def _check_finite(values: NDArray[Any], name: str) -> None:
    if values.dtype.kind == "f":
        infinite = np.isinf(values)
        if infinite.any():
            row = int(np.argmax(infinite))
            told = f"{float(values[row])} (infinite, or too large for float64)"
            raise CellError(row, name, f"expected finite numbers, got {told}")


def _calendar(times: NDArray[np.datetime64]) -> list[NDArray[np.float64]]:
    """Day number since 1970-01-01 with its fraction, month 1-12, day of the month, weekday (Monday is 0), hour."""
    micros = np.where(np.isnat(times), 0, times.astype(np.int64))
    day_number = micros // columns.DAY
    days = day_number.astype("datetime64[D]")
    months = days.astype("datetime64[M]")
    parts = (
        micros / columns.DAY,
        months.astype(np.int64) % 12 + 1,
        (days - months).astype(np.int64) + 1,
        (day_number + 3) % 7,
        micros % columns.DAY // (columns.DAY // 24),
    )
    return [part.astype(np.float64) for part in parts]


def _times_as_text(column: Times) -> Texts:
    """Dates that are to be looked up among categories, as ISO text."""
    different, codes = np.unique(column.values, return_inverse=True)
    present = different[~np.isnat(different)]
    whole = [
        str(each.astype("datetime64[D]" if each.astype(np.int64) % columns.DAY == 0 else "datetime64[s]"))
        for each in present
    ]
    codes = codes.reshape(-1).astype(np.int64)  # NaT sorts last
    return Texts(np.where(codes >= len(present), -1, codes), whole, "text")


def _is_empty(column: columns.Column) -> bool:
    """Whether no value is there, whatever type the column has."""
    if isinstance(column, Texts):
        return not column.names
    gone = np.isnan(column.values) if isinstance(column, Numbers) else np.isnat(column.values)
    return bool(gone.all())


def _other_kind(column: columns.Column, name: str, expected: str) -> ValueError:
    """The error for a column whose values are not what they were in training."""
    if isinstance(column, Texts):
        if column.kind in ("boolean", "number"):
            return CellError(int(np.argmax(column.codes >= 0)), name, f"expected {expected}, got a {column.kind}")
        check = columns.number_of if expected == "a number" else columns._time_of
        index = next((i for i, text in enumerate(column.names) if check(text) is None), 0)
        return _first_code(column, index, name, expected)
    got = "a number" if isinstance(column, Numbers) else "a date"
    present = ~np.isnan(column.values) if isinstance(column, Numbers) else ~np.isnat(column.values)
    return CellError(int(np.argmax(present)), name, f"expected {expected}, got {got}")


def _first_code(column: Texts, index: int, name: str, expected: str) -> CellError:
    row = int(np.argmax(column.codes == index))
    return CellError(row, name, f"expected {expected}, got {column.names[index]!r:.60}")


def in_words(known: Known) -> str:
    """What the column becomes, in words."""
    if isinstance(known, NumberColumn):
        return "number, and whether it is missing" if known.indicator else "number"
    if isinstance(known, TimeColumn):
        words = ", ".join(part.replace("_", " ") for part in CALENDAR[: len(known.medians)])
        return f"{words}, and whether it is missing" if known.indicator else words
    kind = "boolean" if known.boolean else "categories"
    more = ["missing"] * known.missing + ["other"]
    return f"{kind} {', '.join([*known.categories[:8], *['...'] * (len(known.categories) > 8), *more])}"


# --------------------------------------------------------------------------------------------------------- in a file


def describe(known: Known) -> dict[str, Any]:
    """The column as JSON can hold it."""
    if isinstance(known, NumberColumn):
        return {"name": known.name, "kind": "number", "median": known.median, "indicator": known.indicator}
    if isinstance(known, TimeColumn):
        return {"name": known.name, "kind": "time", "medians": list(known.medians), "indicator": known.indicator}
    kind = "boolean" if known.boolean else "category"
    entry = {"name": known.name, "kind": kind, "categories": list(known.categories), "missing": known.missing}
    return {**entry, "spelled": True} if known.spelled else entry


ENTRIES = {
    "number": ("name", "kind", "median", "indicator"),
    "time": ("name", "kind", "medians", "indicator"),
    "boolean": ("name", "kind", "categories", "missing"),
    "category": ("name", "kind", "categories", "missing"),
}


def from_description(argument: str, value: Any) -> Known:
    """What `describe` has described; a ValueError that names the argument says what it is otherwise."""
    kind = value.get("kind") if type(value) is dict else None
    if type(kind) is not str or kind not in ENTRIES:
        raise ValueError(f"{argument}: expected a column of kind {', '.join(ENTRIES)}, got {value!r:.60}")
    is_spelled = kind == "category" and value.get("spelled") is True
    entry = entries(argument, value, ENTRIES[kind] + ("spelled",) * is_spelled)
    name = text_of(f"{argument}: name", entry["name"])
    flag = entry[ENTRIES[kind][-1]]
    if type(flag) is not bool:
        raise ValueError(f"{argument}: {ENTRIES[kind][-1]}: expected true or false, got {flag!r:.60}")
    if kind == "number":
        return NumberColumn(name, _finite(f"{argument}: median", entry["median"]), flag)
    if kind == "time":
        medians = entry["medians"]
        if type(medians) is not list or len(medians) not in (len(CALENDAR) - 1, len(CALENDAR)):
            raise ValueError(f"{argument}: medians: expected 4 or 5 numbers, got {medians!r:.60}")
        return TimeColumn(name, tuple(_finite(f"{argument}: medians", each) for each in medians), flag)
    categories = texts_of(f"{argument}: categories", entry["categories"])
    if len(set(categories)) != len(categories) or (kind == "boolean" and categories != ["False", "True"]):
        raise ValueError(f"{argument}: categories: expected different texts, got {categories!r:.60}")
    return CategoryColumn(name, tuple(categories), flag, kind == "boolean", is_spelled)


def entries(argument: str, value: Any, names: Sequence[str]) -> dict[str, Any]:
    """The value, if it is an object with just these entries."""
    if type(value) is not dict or set(value) != set(names):
        raise ValueError(f"{argument}: expected an object of {', '.join(names)}, got {value!r:.60}")
    return value


def text_of(argument: str, value: Any) -> str:
    """The value, if it is text."""
    if type(value) is not str:
        raise ValueError(f"{argument}: expected text, got {value!r:.60}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: expected text that UTF-8 can hold, got {value!r:.60}") from None
    return value


def texts_of(argument: str, value: Any) -> list[str]:
    """The value, if it is a list of text."""
    if type(value) is not list:
        raise ValueError(f"{argument}: expected a list of text, got {value!r:.60}")
    return [text_of(argument, each) for each in value]


def _finite(argument: str, value: Any) -> float:
    try:
        number = float(value) if type(value) in (int, float) else math.nan
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{argument}: expected a finite number, got {type(value).__name__}")
    return number
