"""Random tables whose cells have known values, and options of how they are written and read.

`draw(seed)` makes a `Case`: columns of numbers, booleans, text and times, with missing values; a target column; and
options such as the format of the files, separators, the decimal mark, the order of the columns and the library that
reads. Each cell has a text, as it is written, and a value (a float, a boolean, text, a time in UTC, or None if it is
missing), so that an oracle needs no reader. `smaller` makes simpler cases; `minimal` searches for a simple failing one.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import itertools
import math
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Value = float | bool | str | datetime.datetime | None
Cell = tuple[str, Value]
Row = random.Random

MARKS = ("", "", "", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "None", "?", "#N/A", "<NA>", "#NA", "-nan")
OWN_MARKS = ("-999", "n.d.", "none given", "*")
WORDS = ("red", "green", "blue", "Zoë", "日本語", 'he said "no"', "a,b", "a;b", "a\tb", "a|b", "two\nlines", "E\u0301")
WORDS += ("É", "ß", "x y", "it's", "😀", "no", "yes", "Red", "=1+1", "NAN", "missing", "-", "#1", "1,5", "12 km")
LOOK_LIKE = ("1", "1.0", "007", "7", "1e3", "true", "False", "2020-01-01", "+1", "0", "1.10", "1.1")
ANCHORS = frozenset(WORDS[:12])  # words that are not parsed as numbers, booleans or times
NAMES = ("a", "b", "c", "width", "length, mm", "größe", 'the "x"', "x y", "0", "2019", "3.5", "a;b", "日付", "p|q")
NAMES += ("tab\there", "a=b", "a is missing", "A", "y2", "id", "two\nlines", "b.month", "'q'", "nan", "true")
TARGETS = ("y", "y", "target, t", "3", "Ziel ü", "class")
LABELS = ("yes", "no", "maybe", "rosa", "tulipán", "iris, blue", "ja;nein", 'the "other"', "x y", "日本", "Yes")
CODES = (
    ("1.1", "1.10", "020"),
    ("007", "7"),
    ("+1", "-1"),
    ("00501", "02134", "10001"),
    ("1e3", "1000"),
    ("1.0", "1"),
    ("-0", "0"),
    ("1.50", "2.5"),
)
INTEGERS = (
    ("0", "1"),
    ("-1", "1"),
    ("1", "2", "3"),
    ("9", "10", "100"),
    (str(2**62 + 1), str(2**62 + 2), str(2**61)),
    ("1234567890123456789", "1234567890123456790"),
    (str(2**63), str(2**64 - 1)),
    (str(-(2**63)), str(2**63 - 1)),
    (str(2**53 + 1), str(2**53)),
)
FLOATS = (("1.0", "2.0"), ("0.5", "1.5", "2.5"), ("1e+300", "-2.5"), ("0.1", "0.30000000000000004"))
FORMATS = ("csv", "csv", "csv", "csv.gz", "parquet", "arrow", "jsonl")


@dataclass(frozen=True)
class Drawn:
    """A column: its kind, and its cells in the training table and in the new table."""

    name: str
    kind: str  # "number", "boolean", "text" or "time"; for a target also "classes"
    train: tuple[Cell, ...]
    new: tuple[Cell, ...]

    @functools.cached_property
    def values(self) -> list[Value]:
        """The values of the training cells."""
        return [value for _, value in self.train]

    @functools.cached_property
    def new_values(self) -> list[Value]:
        """The values of the new cells."""
        return [value for _, value in self.new]


@dataclass(frozen=True)
class Options:
    """How tables are written, read and trained on; the defaults are the simplest options."""

    separator: str = ","
    decimal: str = "."
    train_format: str = "csv"
    new_format: str = "csv"
    line_end: str = "\n"
    final_line_end: bool = True
    byte_order_mark: bool = False
    row_numbers: bool = False  # the first column counts the rows; its name is "0", and empty in files
    header: bool = True  # without a header, columns are named by their numbers, the target last
    other_types: bool = False  # typed columns are categories, dates, times with a time zone, or nullable
    quote_all: bool = False
    shuffle_columns: int = 0  # the seed of a different order of columns in the new table; 0: the same order
    extra: bool = False  # the new table has an additional column
    with_target: bool = False  # the new table has the target
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()  # the user's own marks of missing values
    task: str = "auto"
    library: str = "pandas"
    typed: bool = False  # whether frames have typed columns and are not read from files
    by_command: bool = True  # whether training is by the command line
    dtype: str = "float32"
    scaling: str = "standard"
    min_count: int = 2
    max_categories: int = 100


@dataclass(frozen=True)
class Case:
    """A table to train on and a new table to predict for."""

    seed: int
    columns: tuple[Drawn, ...]
    target: Drawn
    options: Options

    @functools.cached_property
    def inputs(self) -> tuple[Drawn, ...]:
        """The input columns: neither dropped nor kept aside, with at least one value in training."""
        apart = {*self.options.drop, *self.options.keep}
        return tuple(
            column for column in self.columns if column.name not in apart and any(v is not None for v in column.values)
        )

    @property
    def extreme(self) -> bool:
        """Whether the square of a number is out of range of float64; then nothing is trained."""
        return max(self._sizes, default=0.0) > 1e140 or min((v for v in self._sizes if v), default=1.0) < 1e-140

    @property
    def wide(self) -> bool:
        """Whether a number, or the differences of a column's numbers, may be out of range of float32."""
        return max(self._sizes, default=0.0) > 1e30 or min((v for v in self._sizes if v), default=1.0) < 1e-30

    @property
    def untrainable(self) -> bool:
        """Whether training with the case's scaling, or any training, would overflow or diverge."""
        if self.extreme:
            return True
        targets = [abs(v) for v in self.target.values if isinstance(v, float)]
        return self.options.scaling == "none" and (
            max(self._sizes, default=0.0) > 1e3 or max(targets, default=0.0) > 1e3
        )

    @functools.cached_property
    def _sizes(self) -> list[float]:
        return [abs(v) for column in self.inputs for v in column.values + column.new_values if isinstance(v, float)]

    @functools.cached_property
    def has_target(self) -> list[bool]:
        """For each training row, whether it has a target."""
        return [value is not None for value in self.target.values]

    @functools.cached_property
    def learnt(self) -> Case:
        """The case without the training rows that have no target."""
        if all(self.has_target):
            return self

        def cut(column: Drawn) -> Drawn:
            return dataclasses.replace(column, train=tuple(itertools.compress(column.train, self.has_target)))

        return dataclasses.replace(self, columns=tuple(map(cut, self.columns)), target=cut(self.target))

    def new_columns(self) -> list[Drawn]:
        """Return the columns of the new table in their order."""
        columns = list(self.columns)
        if self.options.with_target:
            columns.append(self.target)
        if self.options.extra:
            n = len(self.target.new)
            columns.append(
                Drawn("more, unknown", "text", (), tuple([("some", "some"), ("1", "1")][i % 2] for i in range(n)))
            )
        if self.options.shuffle_columns:
            first = columns[: self.options.row_numbers]
            rest = columns[self.options.row_numbers :]
            random.Random(self.options.shuffle_columns).shuffle(rest)
            columns = [*first, *rest]
        return columns


# ----------------------------------------------------------------------------------------------------------- drawing


def draw(seed: int) -> Case:
    """Return the case of a seed."""
    r = random.Random(seed)
    n_train = round(math.exp(r.uniform(math.log(3), math.log(300))))
    n_new = r.randint(1, 12)
    own = tuple(r.sample(OWN_MARKS, r.randint(1, 2))) if r.random() < 0.15 else ()
    decimal = "," if r.random() < 0.12 else "."
    marks = (*MARKS, *own, *own)
    count = r.randint(1, 8)
    names = [str(i) for i in range(count)] if r.random() < 0.08 else r.sample(NAMES, count)
    columns = tuple(_column(r, name, n_train, n_new, marks, plain=decimal == ",") for name in names)
    if not any(value is not None for column in columns for value in column.values):
        columns = (
            *columns[1:],
            Drawn("sure", "number", *_halves([(str(i), float(i)) for i in range(n_train + n_new)], n_train)),
        )
    target_name = r.choice([name for name in TARGETS if name not in names])
    target, task = _target(r, target_name, n_train, n_new)
    case = Case(seed, columns, target, _options(r, own, decimal, task))
    return _with_columns_aside(r, _with_header(r, _with_missing_targets(r, case)))


def _with_missing_targets(r: Row, case: Case) -> Case:
    """Return the case, sometimes without some targets in the training table; the first rows keep theirs."""
    if r.random() > 0.08 or len(case.target.train) < 8:
        return case
    cells = [
        cell if i < 6 or r.random() < 0.8 else (r.choice(["", "nan", "NaN"]), None)
        for i, cell in enumerate(case.target.train)
    ]
    changed = dataclasses.replace(case, target=dataclasses.replace(case.target, train=tuple(cells)))
    return changed if valid(changed) else case


def _with_header(r: Row, case: Case) -> Case:
    """Return the case, sometimes with a nameless column of row numbers, or without a header."""
    options, names = case.options, [column.name for column in case.columns]
    if not (options.train_format.startswith("csv") and options.new_format.startswith("csv")):
        return case
    if r.random() < 0.1 and "0" not in [*names, case.target.name]:
        cells = [tuple((str(i), float(i)) for i in range(len(each))) for each in (case.target.train, case.target.new)]
        columns = (Drawn("0", "number", *cells), *case.columns)
        return dataclasses.replace(case, columns=columns, options=dataclasses.replace(options, row_numbers=True))
    if r.random() < 0.1:
        options = dataclasses.replace(options, header=False, shuffle_columns=0, extra=False)
        return _counted(dataclasses.replace(case, options=options))
    return case


def _counted(case: Case) -> Case:
    """Return the case with columns named 0, 1, 2, ..., the target last."""
    columns = tuple(dataclasses.replace(column, name=str(i)) for i, column in enumerate(case.columns))
    target = dataclasses.replace(case.target, name=str(len(columns)))
    return dataclasses.replace(case, columns=columns, target=target)


def _options(r: Row, own: tuple[str, ...], decimal: str, task: str) -> Options:
    separators = ";\t|" if decimal == "," else ",,,;\t|"
    train_format, new_format = (r.choice(FORMATS), r.choice(FORMATS)) if decimal == "." else ("csv", "csv")
    plain = r.random() < 0.5  # with the default options of the encoder
    return Options(
        separator=r.choice(separators),
        decimal=decimal,
        train_format=train_format,
        new_format=new_format,
        line_end=r.choice(["\n", "\n", "\r\n"]),
        final_line_end=r.random() < 0.8,
        byte_order_mark=r.random() < 0.05,
        quote_all=r.random() < 0.1,
        shuffle_columns=r.choice([0, r.randint(1, 10**6)]),
        extra=r.random() < 0.2,
        with_target=r.random() < 0.4,
        marks=own,
        task=task,
        library=r.choice(["pandas", "polars"]),
        typed=r.random() < 0.3,
        other_types=r.random() < 0.3,
        by_command=plain and r.random() < 0.9,
        dtype=r.choice(["float32", "float64"]),
        scaling=r.choice(["standard", "standard", "minmax", "none"]),
        min_count=2 if plain else r.randint(1, 4),
        max_categories=100 if plain else r.choice([1, 2, 5, 100]),
    )


def _with_columns_aside(r: Row, case: Case) -> Case:
    """Return the case, sometimes with a column dropped or kept aside, if an input column is left."""
    for option, chance in (("drop", 0.1), ("keep", 0.1)):
        if r.random() < chance:
            taken = {*case.options.drop, *case.options.keep}
            name = r.choice([column.name for column in case.columns])
            changed = dataclasses.replace(case, options=dataclasses.replace(case.options, **{option: (name,)}))
            if name not in taken and changed.inputs:
                case = changed
    if case.options.by_command and case.untrainable:
        case = dataclasses.replace(case, options=dataclasses.replace(case.options, scaling="standard"))
    if case.wide:
        case = dataclasses.replace(case, options=dataclasses.replace(case.options, dtype="float64"))
    if case.extreme:
        options = dataclasses.replace(case.options, by_command=False, dtype="float64", scaling="none")
        case = dataclasses.replace(case, options=options)
    return case


def _halves(cells: list[Cell], n_train: int) -> tuple[tuple[Cell, ...], tuple[Cell, ...]]:
    return tuple(cells[:n_train]), tuple(cells[n_train:])


def _column(r: Row, name: str, n_train: int, n_new: int, marks: tuple[str, ...], *, plain: bool) -> Drawn:
    kind = r.choice(["number", "number", "number", "boolean", "text", "text", "time"])
    drawn: dict[str, Callable[[], Callable[[], Cell]]] = {
        "number": lambda: _number(r, plain),
        "boolean": lambda: _boolean(r),
        "text": lambda: _text(r),
        "time": lambda: _time(r),
    }
    new_cell = drawn[kind]()
    cells = [new_cell() for _ in range(n_train + n_new)]
    own_marks = r.sample(marks, r.randint(1, 3))
    rate = r.choice([0.03, 0.1, 0.3, 0.7])
    place = r.random()
    first, last = (0, len(cells)) if place < 0.35 else (n_train, len(cells)) if place < 0.5 else (0, 0)
    for i in range(first, last):
        if r.random() < rate:
            cells[i] = _missing(r, own_marks, plain)
    if r.random() < 0.03:
        cells[:n_train] = [_missing(r, own_marks, plain) for _ in range(n_train)]
    if kind == "text" and r.random() < 0.3:
        cells[-1] = ("never seen", "never seen")
    if kind == "text" and not ANCHORS.intersection(value for _, value in cells[:n_train] if isinstance(value, str)):
        cells[0] = ("red", "red")
    cells = [(text, None if text.strip() in marks else value) for text, value in cells]
    return Drawn(name, kind, *_halves(cells, n_train))


def _missing(r: Row, marks: list[str], plain: bool) -> Cell:
    mark = r.choice(marks)
    return (f" {mark}" if not plain and r.random() < 0.03 else mark), None


def _number(r: Row, plain: bool) -> Callable[[], Cell]:
    """Return a function that draws cells of a column of numbers in one style."""
    styles: dict[str, Callable[[], str]] = {
        "small": lambda: str(r.randint(-9, 9)),
        "count": lambda: str(r.randint(0, 2000)),
        "year": lambda: str(r.randint(1950, 2030)),
        "flag": lambda: r.choice("01"),
        "float": lambda: repr(r.gauss(0, 1)),
        "fixed": lambda: f"{r.gauss(10, 5):.2f}",
        "large": lambda: repr(1e9 + 50 * r.gauss(0, 1)),
        "constant": lambda: "0.1",
        "constant but for rounding": lambda: r.choice(["0.3", "0.30000000000000004"]),
        "negative zero": lambda: r.choice(["-0.0", "0.0", "1.5"]),
    }
    if not plain:
        styles |= {
            "64 bits": lambda: str(r.randint(-(2**63), 2**63 - 1)),
            "unsigned": lambda: str(r.randint(0, 2**64 - 1)),
            "wide": lambda: repr(r.gauss(0, 1) * 10.0 ** r.randint(-100, 100)),
            "extreme": lambda: _any_float(r),
            "spelt": lambda: r.choice(["+3", ".5", "5.", "1e3", "1E+05", "-0", "0.10", "1.0", "1e-3", "+.25e1", "-7"]),
            "padded": lambda: r.choice(["007", "010", "0", "99"]),
            "blanks": lambda: r.choice([" 1", "2 ", " 3.5 ", "4"]),
        }
    style = styles[r.choice(list(styles)) if r.random() < 0.97 else "float"]

    def cell() -> Cell:
        text = style()
        return text, float(text)

    return cell


def _any_float(r: Row) -> str:
    """Return a float64 of random bits, finite and below 1e290."""
    while True:
        number: float = struct.unpack("<d", r.randbytes(8))[0]
        if abs(number) < 1e290:
            return repr(number)


def _boolean(r: Row) -> Callable[[], Cell]:
    spelt = r.choice([("false", "true"), ("False", "True"), ("FALSE", "TRUE"), ("false", "True"), ("fAlse", "TRUE")])
    share = r.choice([0.5, 0.5, 0.0, 1.0])

    def cell() -> Cell:
        truth = r.random() < share
        return spelt[truth], truth

    return cell


def _text(r: Row) -> Callable[[], Cell]:
    if r.random() < 0.06:
        words = tuple(f"k{i}" for i in range(130)) + WORDS[:2]
    else:
        words = (*r.sample(WORDS, r.randint(1, 6)), *r.sample(LOOK_LIKE, r.choice([0, 0, 1, 3])))
    weights = [r.choice([1, 1, 5, 20]) for _ in words]
    padding = r.choice([0.0, 0.0, 0.3])

    def cell() -> Cell:
        word = r.choices(words, weights)[0] if r.random() < 0.98 else f"rare {r.randint(0, 9)}"
        before, after = (r.choice(["", " ", "  "]) if r.random() < padding else "" for _ in range(2))
        return before + word + after, word

    return cell


def _time(r: Row) -> Callable[[], Cell]:
    style = r.choice(["date", "date", "minute", "second", "micro", "zone", "mixed", "far"])

    def cell() -> Cell:
        first, last = (1, 3_652_058) if style == "far" else (700_000, 740_000)
        day = datetime.datetime.combine(datetime.date.fromordinal(r.randint(first, last)), datetime.time())
        clock = day + datetime.timedelta(seconds=r.randint(0, 86399))
        one = r.choice(["date", "minute", "second", "zone"]) if style == "mixed" else style
        if one in ("date", "far"):
            return day.date().isoformat(), day
        if one == "minute":
            return f"{clock:%Y-%m-%d %H:%M}", clock.replace(second=0)
        if one == "second":
            return f"{clock:%Y-%m-%dT%H:%M:%S}", clock
        if one == "micro":
            clock = clock.replace(microsecond=r.randint(0, 999_999))
            return f"{clock:%Y-%m-%d %H:%M:%S.%f}", clock
        hours = r.choice([0, 0, 2, -5])
        zone = "Z" if hours == 0 else f"{hours:+03d}:00"
        return f"{clock:%Y-%m-%dT%H:%M:%S}{zone}", clock - datetime.timedelta(hours=hours)

    return cell


def _target(r: Row, name: str, n_train: int, n_new: int) -> tuple[Drawn, str]:
    """Return the target column, and the option `task`, which must be given if values do not determine it."""
    n = n_train + n_new
    kind = r.choice(["text", "text", "codes", "integers", "floats", "boolean", "number", "number", "number"])
    if kind == "number" or n_train < 4:
        style = _target_number(r)
        cells: list[Cell] = [(text, float(text)) for text in (style() for _ in range(n))]
        values = {value for _, value in cells[:n_train] if isinstance(value, float)}
        is_plain = len(values) > 20 or not all(value.is_integer() for value in values)
        return Drawn(name, "number", *_halves(cells, n_train)), r.choice(
            ["auto", "regression"]
        ) if is_plain else "regression"
    labels = {
        "text": lambda: tuple(r.sample(LABELS, r.randint(2, min(4, n_train - 1)))),
        "codes": lambda: r.choice(CODES),
        "integers": lambda: r.choice(INTEGERS),
        "floats": lambda: r.choice(FLOATS),
        "boolean": lambda: r.choice([("true", "false"), ("True", "False")]),
    }[kind]()
    start = [*labels, labels[0]]
    texts = [start[i] if i < len(start) else r.choice(labels) for i in range(n)]
    task = "classification"
    if kind in ("text", "boolean") or (kind == "integers" and n_train >= 2 * len(labels)):
        task = r.choice(["auto", "classification"])
    return Drawn(name, "classes", *_halves([(text, text) for text in texts], n_train)), task


def _target_number(r: Row) -> Callable[[], str]:
    styles: list[Callable[[], str]] = [
        lambda: repr(r.gauss(0, 1)),
        lambda: repr(1e-12 * r.gauss(0, 1)),
        lambda: repr(1e12 + 10 * r.gauss(0, 1)),
        lambda: repr(1.7e9 + 50 * r.gauss(0, 1)),
        lambda: repr(1e40 * r.gauss(0, 1)),
        lambda: str(r.randint(1900, 2100)),
        lambda: f"{r.gauss(100, 15):.1f}",
        lambda: "2.5",
    ]
    return r.choice(styles)


# ------------------------------------------------------------------------------------------------------ minimal cases


def valid(case: Case) -> bool:
    """Return whether the case can be written and trained on, and its cells still have the values that it states."""
    return _is_written(case) and _is_table(case.learnt) and _is_target(case)


def _is_written(case: Case) -> bool:
    """Return whether the options are compatible with one another and with the names of the columns."""
    options, names = case.options, [column.name for column in case.columns]
    if options.by_command and (case.untrainable or (options.min_count, options.max_categories) != (2, 100)):
        return False
    if options.row_numbers or not options.header:
        if not (options.train_format.startswith("csv") and options.new_format.startswith("csv")):
            return False
        if options.row_numbers and (not options.header or names[:1] != ["0"] or case.columns[0].kind != "number"):
            return False
        counted = [*names, case.target.name] == [str(i) for i in range(len(names) + 1)]
        return options.header or (counted and not options.extra and not options.shuffle_columns)
    return True


def _is_table(case: Case) -> bool:
    """Return whether there are inputs, and the training rows of each column determine its kind."""
    if not case.inputs or (case.wide and case.options.dtype == "float32") or not case.target.new:
        return False
    for column in case.columns:
        words = [value for value in column.values if isinstance(value, str)]
        if column.kind == "text" and words and not ANCHORS.intersection(words):
            return False
    return True


def _is_target(case: Case) -> bool:
    """Return whether the target can be trained on, and its values determine the task if that is "auto"."""
    labels, auto = case.learnt.target.values, case.options.task == "auto"
    different = len(set(labels))
    few = 2 * different <= len(labels) and different <= 20
    if case.target.kind == "number":
        whole = all(isinstance(value, float) and value.is_integer() for value in labels)
        return bool(labels) and not (auto and whole and 2 * different <= len(case.target.train) and different <= 20)
    if different < 2 or different == len(labels) or not set(case.target.new_values) <= set(labels):
        return False
    return not auto or few or labels[0] in LABELS or str(labels[0]).lower() in ("true", "false")


def smaller(case: Case) -> Iterator[Case]:
    """Yield simpler cases, the simplest first: fewer columns, fewer rows, default options, simpler names."""
    for i, column in enumerate(case.columns):
        apart = {
            option: tuple(name for name in getattr(case.options, option) if name != column.name)
            for option in ("drop", "keep")
        }
        columns = case.columns[:i] + case.columns[i + 1 :]
        changed = dataclasses.replace(case, columns=columns, options=dataclasses.replace(case.options, **apart))
        if case.options.row_numbers and i == 0:
            changed = dataclasses.replace(changed, options=dataclasses.replace(changed.options, row_numbers=False))
        yield changed if case.options.header else _counted(changed)
    for part in ("train", "new"):
        n = len(getattr(case.target, part))
        size = n // 2
        while size:
            for first in range(0, n, size):
                yield _without_rows(case, part, first, first + size)
            size //= 2
    plain = Options()
    for field in dataclasses.fields(Options):
        value = getattr(plain, field.name)
        if getattr(case.options, field.name) != value and field.name not in ("task", "decimal", "marks"):
            yield dataclasses.replace(case, options=dataclasses.replace(case.options, **{field.name: value}))
    for i, column in enumerate(case.columns):
        if column.name != f"c{i}" and not {*case.options.drop, *case.options.keep}.intersection([column.name]):
            renamed = dataclasses.replace(column, name=f"c{i}")
            yield dataclasses.replace(case, columns=(*case.columns[:i], renamed, *case.columns[i + 1 :]))


def _without_rows(case: Case, part: str, first: int, last: int) -> Case:
    def cut(column: Drawn) -> Drawn:
        cells = getattr(column, part)
        return dataclasses.replace(column, **{part: cells[:first] + cells[last:]})

    return dataclasses.replace(case, columns=tuple(map(cut, case.columns)), target=cut(case.target))


def minimal(case: Case, fails: Callable[[Case], bool], tries: int = 400) -> Case:
    """Return the simplest failing case that is found by at most `tries` calls of `fails`."""
    found = True
    while found and tries > 0:
        found = False
        for candidate in smaller(case):
            if not valid(candidate):
                continue
            tries -= 1
            if fails(candidate):
                case, found = candidate, True
                break
            if tries <= 0:
                break
    return case


def described(case: Case) -> str:
    """Return a description of the case: the options that differ from the defaults, and its cells."""
    plain = Options()
    options = [
        f"{field.name}={getattr(case.options, field.name)!r}"
        for field in dataclasses.fields(Options)
        if getattr(case.options, field.name) != getattr(plain, field.name)
    ]
    lines = [f"seed {case.seed}; {', '.join(options) or 'plain options'}"]
    for role, column in [*(("column", column) for column in case.columns), ("target", case.target)]:
        train, new = ([text for text, _ in cells] for cells in (column.train, column.new))
        shown = repr(train) if len(train) <= 40 else f"{train[:40]!r} and {len(train) - 40} more"
        lines.append(f"  {role} {column.name!r} ({column.kind}): {shown}; new {new!r}")
    return "\n".join(lines)
