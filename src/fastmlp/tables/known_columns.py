"""How one column of a table becomes inputs of a network: a class for each kind of column.

An `Encoder` consists of such objects, one per column. `learn` makes them from the training rows; `describe` and
`from_description` convert them to JSON for the model file and back, the latter with every value checked. A column of
data is a `Numbers`, `Times` or `Texts` of `columns.py`; these hold NumPy arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen
from . import columns
from .columns import CellError, Numbers, Texts, Times
from .parts import Chunks

# The values of one input; or, for a plain number column of a `Part`, the chunks of the whole frame, from which the rows
# are gathered later.
Input = NDArray[Any] | Chunks
CALENDAR = ("day_number", "month", "day", "weekday", "hour")
SAMPLE = 5000  # values from which bounds of the median are estimated
MARGIN = 0.03  # of the sample, on both sides of its median: four standard deviations of the estimate


@frozen
class NumberColumn:
    """A column of numbers; a missing one is replaced by the median of the training rows.

    `indicator` adds an input that is 1 where the number is missing.
    """

    name: str
    median: float
    indicator: bool

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        return [self.name, *[f"{self.name} is missing"] * self.indicator]

    def inputs(self, column: columns.Column) -> list[Input]:
        """The inputs that the column becomes, one each."""
        if not isinstance(column, Numbers):
            if not _is_empty(column):
                raise _wrong_kind_error(column, self.name, "a number")
            column = Numbers(np.full(column.n_rows, np.nan))
        values = column.values
        gaps = _missing_mask(values, self.name)
        if gaps is None:
            return self.inputs_without_gaps(column.chunks or values, len(values))
        return [np.where(gaps, self.median, values), *[gaps] * self.indicator]

    def inputs_without_gaps(self, numbers: Input, n_rows: int) -> list[Input]:
        """The inputs that a column of that many rows becomes in which no number is missing."""
        return [numbers, *[np.zeros(n_rows)] * self.indicator]


@frozen
class TimeColumn:
    """A column of dates, which become the inputs of `CALENDAR`, the hour only if training rows had times of day.

    A missing date is replaced by the medians; `indicator` adds an input that is 1 where the date is missing.
    """

    name: str
    medians: tuple[float, ...]  # of day number, month, day, weekday and hour
    indicator: bool

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        parts = [f"{self.name}.{part}" for part in CALENDAR[: len(self.medians)]]
        return [*parts, *[f"{self.name} is missing"] * self.indicator]

    def inputs(self, column: columns.Column) -> list[Input]:
        """The inputs that the column becomes, one each."""
        if not isinstance(column, Times):
            if not _is_empty(column):
                raise _wrong_kind_error(column, self.name, "a date such as 2024-01-31")
            column = Times(np.full(column.n_rows, np.datetime64("NaT", "us"), "datetime64[us]"))
        gaps = np.isnat(column.values)
        parts = _calendar(column.values)[: len(self.medians)]
        filled = [np.where(gaps, median, part) for part, median in zip(parts, self.medians, strict=True)]
        return [*filled, *[gaps] * self.indicator]


@frozen
class CategoryColumn:
    """A column of text, categories or booleans: one input for each category and one for all other values.

    `missing` adds an input for missing values, which otherwise count as other values. `boolean` says that the
    categories are "False" and "True".
    """

    name: str
    categories: tuple[str, ...]
    missing: bool
    boolean: bool
    spelled: bool = False  # some values of the training rows were not text, see `columns.Texts`

    @property
    def names_out(self) -> list[str]:
        """The names of the inputs that the column becomes."""
        named = [f"{self.name}={category}" for category in self.categories]
        return [*named, *[f"{self.name} is missing"] * self.missing, f"{self.name} is other"]

    def active_inputs(self, column: columns.Column) -> NDArray[np.int64]:
        """Return the index of the input that is 1 in each row; the column's other inputs are 0."""
        if isinstance(column, Times):
            column = _times_as_text(column)
        if not isinstance(column, Texts) or (self.boolean and column.kind == "number" and column.names):
            raise _wrong_kind_error(column, self.name, "true or false")
        other = len(self.categories) + self.missing
        table = np.full(len(column.names) + 1, other, np.int64)
        table[:-1] = self._indices(column, other)
        table[-1] = len(self.categories)  # the input for missing values if there is one, else that for other values
        return table[column.codes]

    def _indices(self, column: Texts, other: int) -> list[int]:
        """Return for each of the column's names the index of its input."""
        table = {category: i for i, category in enumerate(self.categories)}
        if self.boolean:
            table |= {name.lower(): i for name, i in table.items()}
            wrong = next((i for i, name in enumerate(column.names) if name.lower() not in table), None)
            if wrong is not None:
                raise _cell_error(column, wrong, self.name, "true or false")
            return [table[name.lower()] for name in column.names]
        if column.kind == "boolean":  # a boolean dtype does not keep how the file spells its values
            same = [[i for name, i in table.items() if name.lower() == each.lower()] for each in column.names]
        elif column.kind == "number":
            numbers = [(columns.number_of(name), i) for name, i in table.items()]
            same = [[i for number, i in numbers if number == float(each)] for each in column.names]
        else:
            return self._indices_of_text(column, table, other)
        for each, found in zip(column.names, same, strict=True):
            if len(found) > 1:
                both = " or ".join(repr(self.categories[i]) for i in found[:2])
                raise ValueError(
                    f"X: expected text in column {self.name!r}, got {each}, which may be {both}; "
                    "read the column as text"
                )
        return [found[0] if found else other for found in same]

    def _indices_of_text(self, column: Texts, table: dict[str, int], other: int) -> list[int]:
        """Look up text, exactly as it is written.

        Where the values of either side were floats or dates, for which a reader has chosen a spelling, "1.0" is looked
        up as "1", too, and a date at midnight as the date alone.
        """
        if not (self.spelled or column.spelled) or all(name in table for name in column.names):
            return [table.get(name, other) for name in column.names]
        meanings: dict[str, list[int]] = {}
        for category, i in table.items():
            meanings.setdefault(columns.canonical(category), []).append(i)
        same = [[table[name]] if name in table else meanings.get(columns.canonical(name), []) for name in column.names]
        return [found[0] if len(found) == 1 else other for found in same]


Known = NumberColumn | TimeColumn | CategoryColumn


# --------------------------------------------------------------------------------------------- from the training rows


def learn(column: columns.Column, name: str, min_count: int, max_categories: int) -> Known | None:
    """Decide from the training rows how the column becomes inputs; None if it has no values."""
    if isinstance(column, Numbers):
        gaps = _missing_mask(column.values, name)
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
    """Compute the median in a few passes: a sample gives bounds for it, and only the values between are partitioned."""
    lower, upper = (len(values) - 1) // 2, len(values) // 2
    if len(values) > 10 * SAMPLE:
        sample = np.sort(values[:: len(values) // SAMPLE])
        low, high = sample[int((0.5 - MARGIN) * len(sample))], sample[int((0.5 + MARGIN) * len(sample))]
        are_below = values < low
        n_below = int(np.count_nonzero(are_below))
        middle = values[np.flatnonzero((values <= high) ^ are_below)]  # faster than indexing by the mask
        if n_below <= lower and upper < n_below + len(middle):
            values, lower, upper = middle, lower - n_below, upper - n_below
    ordered = np.partition(values, [lower, upper])
    below, above = float(ordered[lower]), float(ordered[upper])
    mean = (below + above) / 2  # halving each first would round subnormal numbers; the sum of large ones overflows
    return mean if math.isfinite(mean) else below / 2 + above / 2


# ------------------------------------------------------------------------------------------------ values of any rows


def _missing_mask(values: NDArray[Any], name: str) -> NDArray[np.bool_] | None:
    """Return a mask of the missing numbers, or None if none is missing; refuse infinite ones."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return None
    infinite = np.isinf(values)
    if infinite.any():
        row = int(np.argmax(infinite))
        got = f"{float(values[row])} (infinite, or too large for float64)"
        raise CellError(row, name, f"expected finite numbers, got {got}")
    gaps: NDArray[np.bool_] = np.isnan(values)
    return gaps


def _calendar(times: NDArray[np.datetime64]) -> list[NDArray[np.float64]]:
    """Split times into the parts of `CALENDAR`.

    They are the day number since 1970-01-01 with its fraction, the month 1-12, the day of the month, the weekday
    (Monday is 0) and the hour.
    """
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
    """Convert dates to ISO 8601 text, to be looked up among categories."""
    different, codes = np.unique(column.values, return_inverse=True)
    present = different[~np.isnat(different)]
    whole = [
        str(each.astype("datetime64[D]" if each.astype(np.int64) % columns.DAY == 0 else "datetime64[s]"))
        for each in present
    ]
    codes = codes.reshape(-1).astype(np.int64)  # NaT sorts last
    return Texts(np.where(codes >= len(present), -1, codes), whole, "text")


def _is_empty(column: columns.Column) -> bool:
    """Whether all values of the column are missing."""
    if isinstance(column, Texts):
        return not column.names
    gone = np.isnan(column.values) if isinstance(column, Numbers) else np.isnat(column.values)
    return bool(gone.all())


def _wrong_kind_error(column: columns.Column, name: str, expected: str) -> ValueError:
    """Return the error for a column whose values are not of the kind that they were in training."""
    if isinstance(column, Texts):
        if column.kind in ("boolean", "number"):
            return CellError(int(np.argmax(column.codes >= 0)), name, f"expected {expected}, got a {column.kind}")
        check = columns.number_of if expected == "a number" else columns._parse_time
        index = next((i for i, text in enumerate(column.names) if check(text) is None), 0)
        return _cell_error(column, index, name, expected)
    got = "a number" if isinstance(column, Numbers) else "a date"
    present = ~np.isnan(column.values) if isinstance(column, Numbers) else ~np.isnat(column.values)
    return CellError(int(np.argmax(present)), name, f"expected {expected}, got {got}")


def _cell_error(column: Texts, index: int, name: str, expected: str) -> CellError:
    row = int(np.argmax(column.codes == index))
    return CellError(row, name, f"expected {expected}, got {column.names[index]!r:.60}")


def in_words(known: Known) -> str:
    """Describe in words what the column becomes."""
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
    """Return the column as an object that JSON can hold."""
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
    """Return the column that `describe` has described; a ValueError naming `argument` if the value is not valid."""
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
    """Return the value after checking that it is a JSON object with exactly these entries."""
    if type(value) is not dict or set(value) != set(names):
        raise ValueError(f"{argument}: expected an object of {', '.join(names)}, got {value!r:.60}")
    return value


def text_of(argument: str, value: Any) -> str:
    """Return the value after checking that it is text that UTF-8 can encode."""
    if type(value) is not str:
        raise ValueError(f"{argument}: expected text, got {value!r:.60}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: expected text that UTF-8 can hold, got {value!r:.60}") from None
    return value


def texts_of(argument: str, value: Any) -> list[str]:
    """Return the value after checking that it is a list of text."""
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
