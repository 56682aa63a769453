"""Encoder: what was learnt about the columns of a table, and the inputs of a network that it makes of them.

A number stays a number; where it is missing it is the median of the training rows, with one more input that says so if
any was missing there. Text, categories and booleans become an input for each category and one for all others. Dates
become their day number and the parts of the calendar. `columns` decides what a column is, from its values, and
`known_columns` has the kinds. An encoder never changes; it is described as JSON in the model file.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import arguments
from .frozen import frozen
from .inputs.sharing import Item, Result, shared, threads_for
from .tables import known_columns
from .tables.columns import BOOLEANS, LIKE_NUMBER, MISSING, TIME, Column, PlainFrame, Texts, names_of, read
from .tables.known_columns import CategoryColumn, Known, NumberColumn, TimeColumn
from .tables.parts import Chunks, Part

VERSION = 1
MIN_COUNT = 2
MAX_CATEGORIES = 100
LIKE_DATE = re.compile(r"(?:\d{4}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2\d{4})(?:[T ]\d\d?:\d\d.*)?", re.ASCII)
BLOCK_ROWS = 4096  # rows that are put together at a time, so that they stay in the cache


class Encoder:
    """What was learnt about the columns of a table: how each of them becomes inputs of a network.

    `Encoder.fit` makes one; it never changes. A network that has one (`Network(..., encoder=encoder)`) takes frames as
    they are, in `fit`, `predict` and everywhere else.

    Examples
    --------
    >>> frame = PlainFrame({"age": np.array([30, 41, 50]), "kind": np.array(["a", "b", "a"])})  # or pandas, or polars
    >>> encoder = fastmlp.Encoder.fit(frame)
    >>> encoder.feature_names_out
    ('age', 'kind=a', 'kind is other')
    >>> encoder.transform(frame)
    array([[30.,  1.,  0.],
           [41.,  0.,  1.],
           [50.,  1.,  0.]])
    """

    __slots__ = ("_dropped", "_kept", "_known", "_marks", "_target")
    _known: tuple[Known, ...]
    _dropped: tuple[str, ...]
    _kept: tuple[str, ...]
    _target: str | None
    _marks: tuple[str, ...]

    def __init__(self) -> None:
        raise TypeError("Encoder: expected to be made by Encoder.fit(frame), which learns the columns of a frame")

    @classmethod
    def _make(
        cls,
        known: Iterable[Known],
        dropped: Iterable[str] = (),
        kept: Iterable[str] = (),
        target: str | None = None,
        marks: Iterable[str] = (),
    ) -> Encoder:
        self = object.__new__(cls)
        fields = {
            "_known": tuple(known),
            "_dropped": tuple(dropped),
            "_kept": tuple(kept),
            "_target": target,
            "_marks": tuple(marks),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name}: expected to be left as it is, as an Encoder does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name}: expected to be left as it is, as an Encoder does not change")

    @property
    def _parts(self) -> tuple[Any, ...]:
        return self._known, self._dropped, self._kept, self._target, self._marks

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.describe(),)

    def __eq__(self, other: object) -> bool:
        return self._parts == other._parts if isinstance(other, Encoder) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._parts)

    def __repr__(self) -> str:
        return f"<Encoder of {len(self._known)} columns to {self.n_outputs} inputs>"

    # ------------------------------------------------------------------------------------------------ learning

    @classmethod
    def fit(
        cls,
        frame: Any,
        *,
        target: str | None = None,
        drop: Sequence[str] = (),
        keep: Sequence[str] = (),
        missing: Sequence[str] = (),
        min_count: int = MIN_COUNT,
        max_categories: int = MAX_CATEGORIES,
    ) -> Encoder:
        """The encoder that the columns of these rows ask for.

        Parameters
        ----------
        frame : frame of pandas or polars, or PlainFrame
            The rows to train on. What a column holds is decided from its values: text that is all numbers is numbers,
            text that is all true and false is booleans, text that is all ISO dates is dates.
        target : str, optional
            The column to learn, if the frame has it; it is no input.
        drop, keep : sequence of str
            Columns that are no inputs; the command line passes those of `keep` through to its predictions.
        missing : sequence of str
            Texts, and numbers as text, that stand for a missing value, beside an empty cell, "NA", "?" and the like.
        min_count : int
            A category occurs so often in the frame; rarer values are "other".
        max_categories : int
            So many categories of a column at most: the most frequent, of equally frequent ones the first in order.

        Warns
        -----
        UserWarning
            If most values of a column of text look like numbers or dates or are booleans, but not all, or if they are
            dates in another notation than ISO's.

        Raises
        ------
        ValueError, TypeError
            If a number is infinite, a column is of a type that is not known, or no column is left.
        """
        encoder, notes = learn(
            frame,
            target=target,
            drop=drop,
            keep=keep,
            missing=missing,
            min_count=min_count,
            max_categories=max_categories,
        )
        for note in notes:
            if note.warning:
                warnings.warn(note.text, stacklevel=2)
        return encoder

    # ------------------------------------------------------------------------------------------------ what it is

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a frame that it reads."""
        return tuple(known.name for known in self._known)

    @property
    def passed_over(self) -> frozenset[str]:
        """The columns that a frame may have beside: dropped and kept ones, the target, those without any value."""
        return frozenset([*self._dropped, *self._kept, *([] if self._target is None else [self._target])])

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that the command line passes through to its predictions."""
        return self._kept

    @property
    def missing(self) -> tuple[str, ...]:
        """The marks of missing values beside the usual ones."""
        return self._marks

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns whose spelling matters, so that a file is best read as text there: all but numbers."""
        return tuple(known.name for known in self._known if not isinstance(known, NumberColumn))

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """A name for each input that it makes; where two would be the same, as with columns "a" and "a is missing", the
        later ones have a number.
        """
        counts: dict[str, int] = {}
        names: dict[str, None] = {}
        for name in (name for known in self._known for name in known.names_out):
            unique = name
            while unique in names:
                counts[name] = counts.get(name, 1) + 1
                unique = f"{name} ({counts[name]})"
            names[unique] = None
        return tuple(names)

    @property
    def n_outputs(self) -> int:
        """The number of inputs of a network that it makes."""
        return sum(len(known.names_out) for known in self._known)

    def summary(self) -> list[tuple[str, str]]:
        """Of each column, in words, what it becomes."""
        return [(known.name, known_columns.in_words(known)) for known in self._known]

    # ---------------------------------------------------------------------------------------------------- using

    def transform(self, frame: Any | PlainFrame) -> NDArray[np.float64]:
        """The rows of a frame as inputs of a network, float64 (B, n_outputs) in C order.

        Columns are found by their names, in any order; others are ignored.

        Raises
        ------
        ValueError
            If a column is missing, or a value cannot be taken for what the column was at `fit`.
        """
        have = set(names_of(frame))
        absent = [known.name for known in self._known if known.name not in have]
        if absent:
            raise ValueError(f"X: expected the columns of the training, got a frame without {few(absent)}")
        inputs = _of_each(frame, self._known, lambda known: _inputs(known, self._read(frame, known)))
        return _assembled(frame, self._known, inputs)

    def _read(self, frame: Any, known: Known) -> Column:
        """A column as it was read at `fit`; marks that are booleans count in capitals or not, as a type loses that."""
        marks = MISSING.union(self._marks)
        if isinstance(known, CategoryColumn) and known.boolean:
            marks |= {change(mark) for mark in self._marks for change in (str.lower, str.upper, str.capitalize)}
        return read(frame, known.name, marks, as_text=isinstance(known, CategoryColumn))

    def with_missing(self, marks: Sequence[str]) -> Encoder:
        """The encoder with more marks of missing values."""
        more = dict.fromkeys([*self._marks, *_given("marks", marks)])
        return Encoder._make(self._known, self._dropped, self._kept, self._target, more)

    # ------------------------------------------------------------------------------------------------ in a file

    def describe(self) -> dict[str, Any]:
        """The encoder as JSON can hold it."""
        return {
            "version": VERSION,
            "columns": [known_columns.describe(known) for known in self._known],
            "dropped": list(self._dropped),
            "kept": list(self._kept),
            "target": self._target,
            "missing": list(self._marks),
        }

    @classmethod
    def from_description(cls, argument: str, value: Any) -> Encoder:
        """What `describe` has described; a ValueError that names the argument says what it is otherwise."""
        try:
            return cls._from_fields(argument, value)
        except RecursionError:
            raise ValueError(f"{argument}: expected columns of a table, got lists in lists without end") from None

    @classmethod
    def _from_fields(cls, argument: str, value: Any) -> Encoder:
        fields = known_columns.entries(argument, value, ("version", "columns", "dropped", "kept", "target", "missing"))
        if type(fields["version"]) is not int or fields["version"] != VERSION:
            raise ValueError(f"{argument}: expected version {VERSION}, got {fields['version']!r:.60}")
        if type(fields["columns"]) is not list or not fields["columns"]:
            raise ValueError(f"{argument}: expected a list of columns, got {fields['columns']!r:.60}")
        known = [
            known_columns.from_description(f"{argument}: columns[{i}]", entry)
            for i, entry in enumerate(fields["columns"])
        ]
        lists = {
            name: known_columns.texts_of(f"{argument}: {name}", fields[name]) for name in ("dropped", "kept", "missing")
        }
        target = fields["target"]
        if target is not None:
            known_columns.text_of(f"{argument}: target", target)
        names = [one.name for one in known] + lists["dropped"] + lists["kept"] + ([] if target is None else [target])
        if len(set(names)) != len(names):
            raise ValueError(f"{argument}: expected columns of different names, got one twice")
        return cls._make(known, lists["dropped"], lists["kept"], target, lists["missing"])


def _unpickled(description: Any) -> Encoder:
    return Encoder.from_description("Encoder", description)


def few(names: Sequence[str], count: int = 8) -> str:
    """The first names, for a message."""
    shown = ", ".join(map(repr, names[:count]))
    return shown if len(names) <= count else f"{shown} and {len(names) - count} more"


# ---------------------------------------------------------------------------------------------------------- learning


@frozen
class Note:
    """What a user should know of a column; `warning` where it is likely to be a mistake."""

    text: str
    warning: bool = False


def learn(frame: Any, **options: Any) -> tuple[Encoder, list[Note]]:
    """`Encoder.fit`, with what there is to say about the columns."""
    encoder, notes, _ = _learnt(frame, **options, transform=False)
    return encoder, notes


def learn_and_transform(frame: Any, **options: Any) -> tuple[Encoder, list[Note], NDArray[np.float64]]:
    """`learn`, and the rows of the frame as `transform` gives them, from one reading of the columns."""
    encoder, notes, inputs = _learnt(frame, **options, transform=True)
    return encoder, notes, _assembled(frame, encoder._known, inputs)


def _learnt(
    frame: Any,
    *,
    target: str | None = None,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    missing: Sequence[str] = (),
    min_count: int = MIN_COUNT,
    max_categories: int = MAX_CATEGORIES,
    transform: bool,
) -> tuple[Encoder, list[Note], list[Inputs]]:
    """The encoder, what there is to say, and the inputs that each column becomes, if they are to be made."""
    min_count = arguments.integer("min_count", min_count, minimum=1)
    max_categories = arguments.integer("max_categories", max_categories, minimum=1)
    names = names_of(frame)
    lists = {"drop": _given("drop", drop), "keep": _given("keep", keep), "missing": _given("missing", missing)}
    _check_apart(names, lists["drop"], lists["keep"], target)
    apart = {*lists["drop"], *lists["keep"], target}
    if not len(frame):
        raise ValueError("X: expected at least one row, got none")
    marks = MISSING.union(lists["missing"])

    def look(name: str) -> tuple[Known | None, list[Note], Inputs]:
        column = read(frame, name, marks)
        known = known_columns.learn(column, name, min_count, max_categories)
        if known is None:
            return None, [Note(f"column {name!r} has no values and is left out")], []
        return known, _notes(column, known), _inputs(known, column) if transform else []

    wanted = [name for name in names if name not in apart]
    found = _of_each(frame, wanted, look)
    notes = [note for _, told, _ in found for note in told]
    known = [one for one, _, _ in found if one is not None]
    if not known:
        raise ValueError("X: expected at least one column with values beside the target, got none")
    dropped = [*lists["drop"], *(name for name, (one, _, _) in zip(wanted, found, strict=True) if one is None)]
    encoder = Encoder._make(known, dropped, lists["keep"], target, lists["missing"])
    return encoder, notes, [inputs for one, _, inputs in found if one is not None]


def _check_apart(names: Sequence[str], drop: list[str], keep: list[str], target: object) -> None:
    """Refuse columns to leave out that are not there, or that are asked for twice."""
    if target is not None and not isinstance(target, str):
        raise TypeError(f"target: expected text or None, got {target!r:.60}")
    for argument, given in (("drop", drop), ("keep", keep)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(f"{argument}: expected columns of the frame ({few(names)}), got {unknown[0]!r}")
    if len({*drop, *keep, target}) <= len(drop) + len(keep):
        raise ValueError("drop, keep, target: expected different columns, got one twice")


def _given(argument: str, value: Any) -> list[str]:
    """A sequence of different texts, as given."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{argument}: expected a sequence of text, got {value!r:.60}")
    for each in value:
        if not isinstance(each, str):
            raise TypeError(f"{argument}: expected text, got {each!r:.60}")
    return list(dict.fromkeys(value))


def _notes(column: Column, known: Known) -> list[Note]:
    """What there is to say about a column."""
    notes = []
    if isinstance(known, (NumberColumn, TimeColumn)) and column.marks:
        marks = ", ".join(f"{count} of {mark!r}" for mark, count in sorted(column.marks.items()))
        kind = "numbers" if isinstance(known, NumberColumn) else "dates"
        notes.append(Note(f"column {known.name!r}: {kind}, with {marks} taken for missing values"))
    if isinstance(column, Texts) and column.kind == "text":
        notes += [Note(f"column {known.name!r} is taken for text, although {doubt}", True) for doubt in _doubts(column)]
    return notes


def _doubts(column: Texts) -> Iterator[str]:
    """What speaks against text: most of the different values, or most rows, look like something else."""
    mark = "name what stands for a missing one (missing, --null)"
    dates = [name for name in column.names if _is_date(name)]
    booleans = [name for name in column.names if name.lower() in BOOLEANS]
    written = [name for name in column.names if LIKE_DATE.fullmatch(name) and name not in dates]
    other = [name for name in column.names if not LIKE_NUMBER.fullmatch(name)]
    if _are_most(dates, column):
        odd = few([name for name in column.names if name not in dates], 3)
        yield f"most of its values look like dates, but for values such as {odd}; if they are dates, {mark}"
    elif _are_most(booleans, column):
        odd = few([name for name in column.names if name not in booleans], 3)
        yield f"most of its values are true or false, but for values such as {odd}; if they are booleans, {mark}"
    elif _are_most(written, column):
        yield f"most of its values look like dates, {few(written, 3)}, say; those of ISO's form are taken: 2024-01-31"
    elif 2 * len(other) < len(column.names):
        odd = f", but for values such as {few(other, 3)}" if other else ", but with separators"
        yield f"most of its values look like numbers{odd}; if they are numbers, {mark} or the decimal mark"


def _are_most(names: Sequence[str], column: Texts) -> bool:
    """Whether these are most of the different values of the column, or of its rows that have one."""
    if 2 * len(names) > len(column.names):
        return True
    counts = np.bincount(column.codes + 1, minlength=len(column.names) + 1)[1:]
    chosen = set(names)
    n_rows = sum(count for name, count in zip(column.names, counts.tolist(), strict=True) if name in chosen)
    return bool(names) and 2 * n_rows > int(counts.sum())


def _is_date(text: str) -> bool:
    """Whether the text is a date as ISO writes it, and one that there is."""
    try:
        return TIME.fullmatch(text) is not None and bool(datetime.datetime.fromisoformat(text))
    except ValueError:
        return False


# ------------------------------------------------------------------------------------------------------------ the work

Inputs = list[known_columns.Input] | NDArray[np.int64]  # each of the inputs, or which of a category's inputs is 1


def _inputs(known: Known, column: Column) -> Inputs:
    """What the column becomes."""
    return known.chosen(column) if isinstance(known, CategoryColumn) else known.parts(column)


def _of_each(frame: Any, items: Sequence[Item], action: Callable[[Item], Result]) -> list[Result]:
    """The action's result for each of the items, which stand for columns; threads share them where rows are many.

    Not those of a frame of pandas, which does not promise that several threads may read it.
    """
    n_threads = 1 if hasattr(frame, "iloc") else threads_for(len(frame) * len(items))
    return shared(n_threads, items, action)


def _assembled(frame: Any, known: Sequence[Known], inputs: Sequence[Inputs]) -> NDArray[np.float64]:
    """The columns' inputs beside one another, a block of rows at a time.

    What takes time is new memory, which threads share: each makes a part of the rows.
    """
    ends = np.cumsum([len(one.names_out) for one in known])
    n_rows, width = len(frame), int(ends[-1])
    out = np.empty((n_rows, width))
    plain: list[tuple[int, known_columns.Input]] = []
    chosen: list[NDArray[np.int64]] = []
    for one, part, end in zip(known, inputs, ends.tolist(), strict=True):
        position = end - len(one.names_out)
        if isinstance(part, list):
            plain += [(position + i, each) for i, each in enumerate(part)]
        else:
            chosen.append(part + position)

    def fill(begin: int) -> None:
        for index, rows in _blocks(frame, begin, min(begin + share, n_rows)):
            block = out[rows]
            if chosen:
                block[...] = 0.0
            for position, each in plain:
                block[:, position] = frame.taken(each, index, rows) if isinstance(each, Chunks) else each[rows]
            for positions in chosen:
                block[np.arange(len(block)), positions[rows]] = 1.0

    n_threads = threads_for(n_rows * width)
    share = max(1, -(-n_rows // n_threads))
    shared(n_threads, range(0, n_rows, share), fill)
    return out


def _blocks(frame: Any, begin: int, end: int) -> Iterator[tuple[int, slice]]:
    """The rows from begin up to end, a few at a time, each with the index of their chunk where a `Part` has them."""
    if isinstance(frame, Part):
        return frame.blocks(begin, end, BLOCK_ROWS)
    return ((0, slice(first, min(first + BLOCK_ROWS, end))) for first in range(begin, end, BLOCK_ROWS))
