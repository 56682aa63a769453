"""The target column of a table: whether it holds classes or numbers, and which label is which class.

The rules are the same for every kind of file. Text is classes, named as it is written. Numbers are classes only if they
are whole, of at most 20 distinct values, each of which occurs twice on average; else the task is regression. As many
classes as rows are refused. The names of the classes are numbers if every label is the shortest spelling of its number
(integers of 64 bits exactly), else text, so that predictions write "007", "1.10" and "1e3" as the table does. A missing
target is refused, or its row left out. A label that may be meant as a missing value ("NA") is taken as a class, with a
note to the user.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..frozen import replace
from ..inputs.labels import Label, are_indices, are_spelt_numbers
from .columns import LIKE_NUMBER, MISSING, NUMBER, PEEK, PlainFrame, Texts, labels_of_polars, number_of, texts_of_array

MAX_NUMERIC_CLASSES = 20
MISSING_TARGETS = frozenset(["", "NaN", "NAN", "nan", "-NaN", "-nan"])
DOUBTFUL_LABELS = MISSING.union(
    ["-", "--", "---", ".", "..", "<na>", "<none>", "<null>", "missing", "n.a.", "n.d.", "na", "nat", "nil", "none"],
    ["not available", "undefined", "unknown", "unk", "void"],
)
INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Target(NamedTuple):
    """The target column as the file has it.

    `numbers` is float64 (n,) or (n, O), NaN where missing; None if some values are not numbers. `texts` returns the
    values as they are written, (n,); it is None for several columns.
    """

    name: str
    numbers: NDArray[Any] | None
    texts: Callable[[], Texts] | None
    n_rows: int


class Learnt(NamedTuple):
    """The task, the names of its classes (None for regression), and the targets of the rows that have one.

    `values` are class indices, int64 (n,), or numbers, float64 (n, O). `present` is a mask of the rows of the file that
    they belong to; None for all rows. `notes` are messages for the user.
    """

    task: str
    classes: tuple[Label, ...] | None
    values: NDArray[Any]
    present: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()


# ----------------------------------------------------------------------------------------------------------- the source


def of_frame(frame: Any, column: str, null: Sequence[str] = ()) -> Target:
    """Take the target from the columns of a polars frame or a `PlainFrame`; `null` lists marks of missing values."""
    name = f"column {column!r}"
    missing = MISSING_TARGETS.union(null)
    if isinstance(frame, PlainFrame):
        return of_array(frame[column], name, null)
    numbers, texts = labels_of_polars(frame[column], column, missing)
    return _mask_numbers(Target(name, numbers, texts, len(frame)), null)


def _mask_numbers(target: Target, null: Sequence[str]) -> Target:
    """Set to missing the numbers that the user has named as marks of a missing value, in any spelling."""
    marks = [number for number in map(number_of, null) if number is not None]
    if target.numbers is None or not marks:
        return target
    gaps = np.isin(target.numbers, marks)
    if not gaps.any():
        return target
    numbers, as_text = np.where(gaps, np.nan, target.numbers.astype(np.float64)), target.texts

    def texts() -> Texts:
        assert as_text is not None
        given = as_text()
        return Texts(np.where(gaps, -1, given.codes), given.names, given.kind, given.marks)

    return target._replace(numbers=numbers, texts=None if as_text is None else texts)


def of_array(y: NDArray[Any], name: str, null: Sequence[str] = ()) -> Target:
    """Take the target from an array of numbers, booleans or text, (n,) or (n, O)."""
    return _mask_numbers(_target_of_array(y, name, null), null)


def _target_of_array(y: NDArray[Any], name: str, null: Sequence[str]) -> Target:
    missing = MISSING_TARGETS.union(null)
    if y.dtype.kind in "UT":
        texts = texts_of_array(y, missing)
        found = [number_of(text.strip()) for text in texts.names]
        if None in found or not found:
            return Target(name, None, lambda: texts, len(y))
        table = np.array([*found, np.nan], np.float64)
        return Target(name, table[texts.codes], lambda: texts, len(y))
    if y.dtype.kind == "b":
        return Target(name, None, lambda: Texts(y.astype(np.int64), ["False", "True"]), len(y))
    return Target(name, y, (lambda: texts_of_array(y, missing)) if y.ndim == 1 else None, len(y))


# ---------------------------------------------------------------------------------------------------------- the meaning


def read(target: Target, task: str = "auto", *, drop_missing: bool = False) -> Learnt:
    """Determine the task, the classes and the values of the rows that have a target.

    Blanks around labels are removed. Rows without a target are left out if `drop_missing`, else refused.
    """
    target = _without_blanks(target)
    rows = present(target, drop_missing)
    kept = slice(None) if rows is None else rows
    if task == "auto":
        task = _choose_task(target)
    if task == "regression":
        numbers = as_numbers(target)[kept].astype(np.float64, copy=False)
        return Learnt(task, None, numbers.reshape(len(numbers), -1), rows)
    if target.texts is None or (target.numbers is not None and target.numbers.ndim != 1):
        shape = "" if target.numbers is None else f", got shape {target.numbers.shape}"
        raise ValueError(f"{target.name}: expected one class per row for a classification{shape}")
    if target.numbers is not None:
        _refuse_infinite(target, "; --null inf makes it a missing target")
    texts = _with_one_zero(target.texts())
    names, values = _classes(texts, target.name, None if rows is None else int(rows.sum()))
    return Learnt(task, names, values[kept], rows, _notes_on_marks(texts, names, target.name))


def _without_blanks(target: Target) -> Target:
    """Remove the blanks around the target's text."""
    if target.texts is None:
        return target
    as_text = target.texts

    @functools.cache
    def texts() -> Texts:
        given = as_text()
        table: dict[str, int] = {}
        codes = [table.setdefault(name.strip(), len(table)) for name in given.names]
        if len(table) == len(codes):
            return replace(given, names=list(table))
        return replace(given, codes=np.array([*codes, -1], np.int64)[given.codes], names=list(table))

    return target._replace(texts=texts)


def present(target: Target, drop: bool) -> NDArray[np.bool_] | None:
    """Return a mask of the rows that have a target, or None if all have one; refuse missing ones unless `drop`."""
    if target.numbers is not None:
        gaps = np.isnan(target.numbers) if target.numbers.dtype.kind == "f" else np.zeros(target.n_rows, bool)
    else:
        assert target.texts is not None
        gaps = target.texts().codes < 0
    lacking: NDArray[np.bool_] = gaps if gaps.ndim == 1 else np.any(gaps.reshape(target.n_rows, -1), axis=1)
    count = int(np.count_nonzero(lacking))
    if not count:
        return None
    if not drop:
        more = f" ({count} in all)" if count > 1 else ""
        raise ValueError(
            f"row {int(np.argmax(lacking)) + 1}, {target.name}: expected a target, got a missing one{more}; "
            "--drop-missing-target leaves such rows out"
        )
    if count == target.n_rows:
        raise ValueError(f"{target.name}: expected a target, got none in any row")
    return ~lacking


def are_surely_numbers(cells: Sequence[str]) -> bool:
    """Whether these first cells of a target are too many distinct numbers to be classes, unless the user says so.

    The spelling of such a target does not matter, so that it may be read as numbers.
    """
    present = {cell for cell in cells if cell not in MISSING}
    numbers = [number_of(cell) for cell in present]
    return None not in numbers and len(set(numbers)) > MAX_NUMERIC_CLASSES + 1


def _choose_task(target: Target) -> str:
    """Return "classification" or "regression"; refuse text that is partly or almost numbers."""
    if target.numbers is None:
        assert target.texts is not None
        texts = target.texts()
        odd = next((i for i, name in enumerate(texts.names) if number_of(name) is None), 0)
        if any(number_of(name) is not None for name in texts.names):
            row, cell = int(np.argmax(texts.codes == odd)) + 1, texts.names[odd]
            null = f"; --null {cell!r} makes it a missing one" if cell in MISSING else ""
            raise ValueError(
                f"row {row}, {target.name}: expected a number, got {cell!r}; --task classification takes any text as a "
                f"class{null}"
            )
        if texts.names and all(map(LIKE_NUMBER.fullmatch, texts.names)):
            raise ValueError(
                f"{target.name}: expected numbers or names of classes, got text such as {texts.names[0]!r}, which "
                "looks like a number with separators: --decimal says which, --task classification takes it as a class"
            )
        return "classification"
    if target.numbers.ndim != 1:
        return "regression"
    first = target.numbers[:PEEK].tolist()  # a set of these is faster than np.unique, which imports np.ma
    if len({number if number == number else None for number in first}) > MAX_NUMERIC_CLASSES + 1:
        return "regression"
    different = np.unique(target.numbers)
    different = different[np.isfinite(different)] if different.dtype.kind == "f" else different
    few = len(different) <= MAX_NUMERIC_CLASSES and 2 * len(different) <= len(target.numbers)
    return "classification" if few and bool((different == np.rint(different)).all()) else "regression"


def as_numbers(target: Target) -> NDArray[Any]:
    """Return the target as numbers; refuse the first value that is not a finite number."""
    if target.numbers is None:
        assert target.texts is not None
        texts = target.texts()
        odd = next(i for i, name in enumerate(texts.names) if number_of(name) is None)
        row = int(np.argmax(texts.codes == odd)) + 1
        raise ValueError(f"row {row}, {target.name}: expected a number, got {texts.names[odd]!r}")
    _refuse_infinite(target)
    return target.numbers


def _refuse_infinite(target: Target, advice: str = "") -> None:
    """Refuse the target if a number is infinite; the error names the row of the first one."""
    assert target.numbers is not None
    infinite = np.isinf(target.numbers) if target.numbers.dtype.kind == "f" else np.zeros(1, bool)
    if infinite.any():
        row, column = (int(each) for each in np.argwhere(infinite.reshape(len(infinite), -1))[0])
        got = target.numbers.reshape(len(infinite), -1)[row, column]
        raise ValueError(
            f"row {row + 1}, {target.name}: expected a finite number, got {got} (infinite, or too large for float64)"
            f"{advice}"
        )


def _classes(texts: Texts, name: str, n_rows: int | None) -> tuple[tuple[Label, ...], NDArray[np.int64]]:
    """Return the names of the classes in order, and for each row the index of its class."""
    n_rows = len(texts.codes) if n_rows is None else n_rows
    used = np.bincount(texts.codes + 1, minlength=len(texts.names) + 1)[1:] > 0
    written = [text for text, there in zip(texts.names, used.tolist(), strict=True) if there]
    if len(written) < 2:
        raise ValueError(f"{name}: expected at least two classes, got only {', '.join(map(repr, written)) or 'none'}")
    if len(written) == n_rows:
        raise ValueError(
            f"{name}: expected classes that occur more than once, got as many classes as rows ({n_rows}); "
            "a column of names or of numbers that count the rows cannot be learnt"
        )
    labels = numbers_as_written(written)
    order = sorted(range(len(written)), key=(written if labels is None else labels).__getitem__)
    index = {written[i]: position for position, i in enumerate(order)}
    table = np.array([*(index.get(text, -1) for text in texts.names), -1], np.int64)
    return tuple((written if labels is None else labels)[i] for i in order), table[texts.codes]


def _with_one_zero(texts: Texts) -> Texts:
    """Replace -0.0 by 0.0, an equal number, if all other labels are numbers in their shortest spelling."""
    names = texts.names
    if "-0.0" not in names or numbers_as_written([name for name in names if name != "-0.0"]) is None:
        return texts
    found = names.index("-0.0")
    if "0.0" not in names:
        return replace(texts, names=["0.0" if name == "-0.0" else name for name in names])
    return replace(texts, codes=np.where(texts.codes == found, names.index("0.0"), texts.codes))


def numbers_as_written(texts: Sequence[str]) -> list[Any] | None:
    """Return the texts as numbers if each is the shortest spelling of its number, else None."""
    numbers: list[int | float] = []
    for text in texts:
        if INTEGER.fullmatch(text) and str(int(text)) == text and -(2**63) <= int(text) < 2**64:
            numbers.append(int(text))
        elif NUMBER.fullmatch(text) and repr(float(text)) == text:
            numbers.append(float(text))
        else:
            return None
    kept = _as_array(numbers).tolist() == numbers  # integers beyond 2**53 beside floats are not kept
    return numbers if kept and len(set(numbers)) == len(numbers) else None


def _as_array(labels: Sequence[Label]) -> NDArray[Any]:
    """Return numbers as an array of one dtype: of 0 and 2**64 - 1, NumPy by itself would make floats."""
    large = bool(labels) and all(isinstance(label, int) and label >= 0 for label in labels) and max(labels) >= 2**63  # type: ignore[operator]
    return np.array(labels, np.uint64 if large else None)


def _notes_on_marks(texts: Texts, classes: Sequence[Label], name: str) -> tuple[str, ...]:
    """Return a message for each class whose name is a usual mark of a missing value, in any case.

    "-" is not such a mark if another class is "+".
    """
    notes = []
    for mark in classes:
        doubtful = isinstance(mark, str) and (mark in MISSING or mark.lower() in DOUBTFUL_LABELS)
        if isinstance(mark, str) and doubtful and not (mark == "-" and "+" in classes):
            count = int(np.count_nonzero(texts.codes == texts.names.index(mark)))
            notes.append(
                f"{name}: {mark!r} is taken for a class ({count} rows); --null {mark!r} makes it a missing target"
            )
    return tuple(notes)


# ------------------------------------------------------------------------------------------------ classes of a model


def indices(target: Target, classes: Sequence[Label]) -> NDArray[np.int64]:
    """Return the index of each row's label among the classes of a model; refuse other labels.

    A label is looked up as it is written and, if no class is called so, without blanks around it.
    """
    assert target.texts is not None
    texts = target.texts()
    table: dict[Label, int] = {label: i for i, label in enumerate(classes)}
    numeric = not any(isinstance(label, str) for label in classes)
    found = [
        table.get(_as_number(text.strip()), -1) if numeric else table.get(text, table.get(text.strip(), -1))
        for text in texts.names
    ]
    if -1 in found:
        wrong = found.index(-1)
        row = int(np.argmax(texts.codes == wrong)) + 1
        known = ", ".join(map(repr, classes[:8])) + (", ..." if len(classes) > 8 else "")
        raise ValueError(
            f"row {row}, {target.name}: expected a class of the model ({known}), got {texts.names[wrong]!r}"
        )
    return np.array([*found, -1], np.int64)[texts.codes]


def _as_number(text: str) -> Label:
    """Convert text to a number, exactly if it is an integer; return other text unchanged."""
    if INTEGER.fullmatch(text):
        return int(text)
    number = number_of(text)
    return text if number is None else number


def given(indices: NDArray[np.int64], classes: Sequence[Label] | None) -> NDArray[Any]:
    """Return labels in the form in which a network with these classes takes them: as names, or as indices if the
    classes are 0, 1, 2, ... (or None).
    """
    if classes is None or (are_indices(classes) and not are_spelt_numbers(classes)):
        return indices
    if isinstance(classes[0], str):
        return np.array(classes, dtype=object)[indices]
    labels: NDArray[Any] = _as_array(classes)[indices]
    return labels
