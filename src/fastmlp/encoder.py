"""Encoder: converts the columns of a table to the inputs of a network, as determined from the training rows.

A number stays a number; a missing one becomes the median of the training rows, and the column has a second input that
says whether it is missing if any was missing there. Text, categories and booleans become one input per category and one
for all other values. Dates become their day number and calendar parts. `tables/columns.py` decides from the values what
a column holds; `tables/known_columns.py` has a class for each kind. An encoder is immutable; the model file stores it
as JSON.
"""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _core, arguments
from .frozen import frozen
from .inputs.sharing import Item, Result, shared, threads_for
from .tables import columns, known_columns
from .tables.columns import BOOLEANS, LIKE_NUMBER, MISSING, TIME, Column, PlainFrame, Texts, names_of, read
from .tables.known_columns import CategoryColumn, Known, NumberColumn, TimeColumn
from .tables.parts import Chunks, Part

VERSION = 1
MIN_COUNT = 2
MAX_CATEGORIES = 100
LIKE_DATE = re.compile(r"(?:\d{4}([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2\d{4})(?:[T ]\d\d?:\d\d.*)?", re.ASCII)
MANY_READS = float("inf")  # of a matrix
FEW_READS = 20  # up to which usual pages take less time in all than huge ones (bench/RESULTS.md)
BLOCK_ROWS = 4096  # rows that `_assemble` fills at a time, so that they stay in the cache


class Encoder:
    """Converts the columns of a table to the inputs of a network, as determined from the training rows.

    `Encoder.fit` makes an encoder, which is immutable. A network that has one (`Network(..., encoder=encoder)`) accepts
    frames instead of arrays in `fit`, `predict` and every other method.

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
    def _state(self) -> tuple[Any, ...]:
        return self._known, self._dropped, self._kept, self._target, self._marks

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.describe(),)

    def __eq__(self, other: object) -> bool:
        return self._state == other._state if isinstance(other, Encoder) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._state)

    def __repr__(self) -> str:
        return f"<Encoder of {len(self._known)} columns to {self.n_outputs} inputs>"

    # ---------------------------------------------------------------------------------- from the training rows

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
        """Make the encoder for tables with the columns of this frame.

        Parameters
        ----------
        frame : frame of pandas or polars, or PlainFrame
            The rows to train on. What a column holds is decided from its values: a column of text is numbers, booleans
            or dates if all its values are numbers, true and false, or dates in ISO 8601 notation.
        target : str, optional
            The column to predict, if the frame has it; it does not become an input.
        drop, keep : sequence of str
            Columns that do not become inputs; the command line copies those in `keep` to its predictions.
        missing : sequence of str
            Texts, and numbers as text, that mark a missing value, in addition to an empty cell, "NA", "?" and the like.
        min_count : int
            The number of times that a value must occur in the frame to be a category; rarer values are "other".
        max_categories : int
            The maximum number of categories of a column: the most frequent values, ties in alphabetical order.

        Warns
        -----
        UserWarning
            If most, but not all, values of a column of text look like numbers or dates or are booleans, or if they are
            dates in a notation other than ISO 8601.

        Raises
        ------
        ValueError, TypeError
            If a number is infinite, the dtype of a column is not supported, or no column is left.
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

    # ---------------------------------------------------------------------------------------------- properties

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a frame that become inputs."""
        return tuple(known.name for known in self._known)

    @property
    def passed_over(self) -> frozenset[str]:
        """The columns that a frame may have in addition: dropped and kept ones, the target, those without any value."""
        return frozenset([*self._dropped, *self._kept, *([] if self._target is None else [self._target])])

    @property
    def kept(self) -> tuple[str, ...]:
        """The columns that the command line copies to its predictions."""
        return self._kept

    @property
    def missing(self) -> tuple[str, ...]:
        """The marks of missing values in addition to the usual ones."""
        return self._marks

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns that a file reader should read as text, because spelling matters there: all but numbers."""
        return tuple(known.name for known in self._known if not isinstance(known, NumberColumn))

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """A unique name for each input; where two would be equal, as for columns "a" and "a is missing", a number is
        appended to the later one.
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
        """The number of inputs that the columns become."""
        return sum(len(known.names_out) for known in self._known)

    def summary(self) -> list[tuple[str, str]]:
        """Return the name of each column and a description of what it becomes."""
        return [(known.name, known_columns.in_words(known)) for known in self._known]

    # ---------------------------------------------------------------------------------------------- conversion

    def transform(self, frame: Any | PlainFrame) -> NDArray[np.float64]:
        """Convert the rows of a frame to inputs of a network, float64 (B, n_outputs) in C order.

        Columns are found by their names, in any order; others are ignored.

        Raises
        ------
        ValueError
            If a column is missing, or a value is not of the kind that its column had in `Encoder.fit`.
        """
        return self._transform(frame, MANY_READS)

    def _transform(self, frame: Any, n_reads: float) -> NDArray[np.float64]:
        """Convert the rows like `transform`, to a matrix that will be read about n_reads times."""
        have = set(names_of(frame))
        absent = [known.name for known in self._known if known.name not in have]
        if absent:
            raise ValueError(f"X: expected the columns of the training, got a frame without {few(absent)}")
        inputs = _for_each_column(frame, self._known, lambda known: self._inputs_of(frame, known))
        return _assemble(frame, self._known, inputs, n_reads)

    def _inputs_of(self, frame: Any, known: Known) -> Inputs:
        """Return the inputs that a column of the frame becomes.

        A column of a `Part` that has nothing but finite numbers needs no look at the part's own rows.
        """
        if isinstance(frame, Part) and isinstance(known, NumberColumn) and not columns.number_marks(self._marks):
            chunks = frame.finite_numbers(known.name)
            if chunks is not None:
                return known.inputs_without_gaps(chunks, len(frame))
        return _inputs(known, self._read(frame, known))

    def _read(self, frame: Any, known: Known) -> Column:
        """Read a column in the way that `Encoder.fit` has read it.

        Marks of missing values that are booleans also count in other case, which a boolean dtype does not keep.
        """
        marks = MISSING.union(self._marks)
        if isinstance(known, CategoryColumn) and known.boolean:
            marks |= {change(mark) for mark in self._marks for change in (str.lower, str.upper, str.capitalize)}
        return read(frame, known.name, marks, as_text=isinstance(known, CategoryColumn))

    def with_missing(self, marks: Sequence[str]) -> Encoder:
        """Return an encoder with further marks of missing values."""
        more = dict.fromkeys([*self._marks, *_distinct_texts("marks", marks)])
        return Encoder._make(self._known, self._dropped, self._kept, self._target, more)

    # ------------------------------------------------------------------------------------------------ in a file

    def describe(self) -> dict[str, Any]:
        """Return the encoder as an object that JSON can hold."""
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
        """Return the encoder that `describe` has described; a ValueError that names `argument` if it is not valid."""
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
    """Return the first names and the number of the others, for a message."""
    shown = ", ".join(map(repr, names[:count]))
    return shown if len(names) <= count else f"{shown} and {len(names) - count} more"


# --------------------------------------------------------------------------------------------- from the training rows


@frozen
class Note:
    """What a user should know about a column; `warning` if the column is likely to be a mistake."""

    text: str
    warning: bool = False


def learn(frame: Any, **options: Any) -> tuple[Encoder, list[Note]]:
    """Make an encoder like `Encoder.fit`, and return it with the notes about the columns."""
    encoder, notes, _ = _learn(frame, **options, transform=False)
    return encoder, notes


def learn_and_transform(frame: Any, n_reads: float, **options: Any) -> tuple[Encoder, list[Note], NDArray[np.float64]]:
    """Make an encoder, notes, and the rows as `transform` does, reading each column only once.

    The matrix of the rows will be read about n_reads times.
    """
    encoder, notes, inputs = _learn(frame, **options, transform=True)
    return encoder, notes, _assemble(frame, encoder._known, inputs, n_reads)


def transform(encoder: Encoder, frame: Any, n_reads: float) -> NDArray[np.float64]:
    """Return what `encoder.transform(frame)` returns, as a matrix that will be read about n_reads times."""
    return encoder._transform(frame, n_reads)


def _learn(
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
    """Return the encoder, the notes about the columns and, if `transform`, the inputs that each column becomes."""
    min_count = arguments.integer("min_count", min_count, minimum=1)
    max_categories = arguments.integer("max_categories", max_categories, minimum=1)
    names = names_of(frame)
    lists = {"drop": _distinct_texts("drop", drop), "keep": _distinct_texts("keep", keep)}
    lists["missing"] = _distinct_texts("missing", missing)
    _check_left_out(names, lists["drop"], lists["keep"], target)
    apart = {*lists["drop"], *lists["keep"], target}
    if not len(frame):
        raise ValueError("X: expected at least one row, got none")
    marks = MISSING.union(lists["missing"])

    def learn_column(name: str) -> tuple[Known | None, list[Note], Inputs]:
        column = read(frame, name, marks)
        known = known_columns.learn(column, name, min_count, max_categories)
        if known is None:
            return None, [Note(f"column {name!r} has no values and is left out")], []
        return known, _notes(column, known), _inputs(known, column) if transform else []

    wanted = [name for name in names if name not in apart]
    found = _for_each_column(frame, wanted, learn_column)
    notes = [note for _, own_notes, _ in found for note in own_notes]
    known = [one for one, _, _ in found if one is not None]
    if not known:
        raise ValueError("X: expected at least one column with values beside the target, got none")
    dropped = [*lists["drop"], *(name for name, (one, _, _) in zip(wanted, found, strict=True) if one is None)]
    encoder = Encoder._make(known, dropped, lists["keep"], target, lists["missing"])
    return encoder, notes, [inputs for one, _, inputs in found if one is not None]


def _check_left_out(names: Sequence[str], drop: list[str], keep: list[str], target: object) -> None:
    """Refuse columns in drop, keep and target that do not exist or that occur twice."""
    if target is not None and not isinstance(target, str):
        raise TypeError(f"target: expected text or None, got {target!r:.60}")
    for argument, given in (("drop", drop), ("keep", keep)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ValueError(f"{argument}: expected columns of the frame ({few(names)}), got {unknown[0]!r}")
    if len({*drop, *keep, target}) <= len(drop) + len(keep):
        raise ValueError("drop, keep, target: expected different columns, got one twice")


def _distinct_texts(argument: str, value: Any) -> list[str]:
    """Check that the value is a sequence of text; return the distinct ones in order."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{argument}: expected a sequence of text, got {value!r:.60}")
    for each in value:
        if not isinstance(each, str):
            raise TypeError(f"{argument}: expected text, got {each!r:.60}")
    return list(dict.fromkeys(value))


def _notes(column: Column, known: Known) -> list[Note]:
    """Return what a user should know about a column."""
    notes = []
    if isinstance(known, (NumberColumn, TimeColumn)) and column.marks:
        marks = ", ".join(f"{count} of {mark!r}" for mark, count in sorted(column.marks.items()))
        kind = "numbers" if isinstance(known, NumberColumn) else "dates"
        notes.append(Note(f"column {known.name!r}: {kind}, with {marks} taken for missing values"))
    if isinstance(column, Texts) and column.kind == "text":
        notes += [Note(f"column {known.name!r} is taken for text, although {doubt}", True) for doubt in _doubts(column)]
    return notes


def _doubts(column: Texts) -> Iterator[str]:
    """Yield reasons why a column of text may not be meant as text: most of its values look like something else."""
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
    """Whether these are most of the column's distinct values, or the values of most of its rows."""
    if 2 * len(names) > len(column.names):
        return True
    counts = np.bincount(column.codes + 1, minlength=len(column.names) + 1)[1:]
    chosen = set(names)
    n_rows = sum(count for name, count in zip(column.names, counts.tolist(), strict=True) if name in chosen)
    return bool(names) and 2 * n_rows > int(counts.sum())


def _is_date(text: str) -> bool:
    """Whether the text is a date in ISO 8601 notation that exists in the calendar."""
    try:
        return TIME.fullmatch(text) is not None and bool(datetime.datetime.fromisoformat(text))
    except ValueError:
        return False


# --------------------------------------------------------------------------------------------------- inputs of columns

Inputs = list[known_columns.Input] | NDArray[np.int64]  # the inputs, or the index of a category's input that is 1


def _inputs(known: Known, column: Column) -> Inputs:
    """Return the inputs that the column becomes."""
    return known.active_inputs(column) if isinstance(known, CategoryColumn) else known.inputs(column)


def _for_each_column(frame: Any, items: Sequence[Item], action: Callable[[Item], Result]) -> list[Result]:
    """Return the action's result for each item, one item per column; with many rows, threads share the items.

    A pandas frame is read by one thread, because pandas does not promise that several threads may read it.
    """
    n_threads = 1 if hasattr(frame, "iloc") else threads_for(len(frame) * len(items))
    return shared(n_threads, items, action)


def _assemble(frame: Any, known: Sequence[Known], inputs: Sequence[Inputs], n_reads: float) -> NDArray[np.float64]:
    """Write the inputs of all columns into one array (rows, inputs), a block of rows at a time.

    Most of the time goes into the first access to new memory; threads share it, each with its part of the rows. Pages
    of the usual size are there sooner than huge ones, for which NumPy asks, but take longer to read in another order.
    """
    ends = np.cumsum([len(one.names_out) for one in known])
    n_rows, width = len(frame), int(ends[-1])
    out = _core.new_matrix(n_rows, width) if n_reads <= FEW_READS else np.zeros((n_rows, width))
    plain: list[tuple[int, known_columns.Input]] = []
    active: list[NDArray[np.int64]] = []  # for each column of categories, the position of the input that is 1
    for one, part, end in zip(known, inputs, ends.tolist(), strict=True):
        position = end - len(one.names_out)
        if isinstance(part, list):
            plain += [(position + i, each) for i, each in enumerate(part)]
        else:
            active.append(part + position)

    def fill(begin: int) -> None:
        for index, rows in _blocks(frame, begin, min(begin + share, n_rows)):
            block = out[rows]
            for position, each in plain:
                block[:, position] = frame.gather(each, index, rows) if isinstance(each, Chunks) else each[rows]
            for positions in active:
                block[np.arange(len(block)), positions[rows]] = 1.0

    n_threads = threads_for(n_rows * width)
    share = max(1, -(-n_rows // n_threads))
    shared(n_threads, range(0, n_rows, share), fill)
    return out


def _blocks(frame: Any, begin: int, end: int) -> Iterator[tuple[int, slice]]:
    """Split the rows [begin, end) into blocks; yield the index of a `Part`'s chunk (else 0) and the slice of rows."""
    if isinstance(frame, Part):
        return frame.blocks(begin, end, BLOCK_ROWS)
    return ((0, slice(first, min(first + BLOCK_ROWS, end))) for first in range(begin, end, BLOCK_ROWS))
