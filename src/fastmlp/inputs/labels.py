"""Class names, and the conversion of class labels to the indices 0, 1, ... that a loss of classes uses.

A network may have class names: text, integers or floats, one for each class. Labels are then looked up among them; an
unknown label is an error that names its row. If a network has no class names and a fit gets text labels, the names are
the different labels in ascending order. Text and integers are never converted to floats, so they stay exact.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

Label = str | int | float
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1  # the smallest int64 and the largest uint64
SHOWN = 8  # the number of labels that a message shows
TEXT_OF_MISSING = ("", "nan", "NaN", "None", "<NA>", "NaT")  # what missing labels become in an array of text


def check_class_names(names: object, n_classes: int) -> tuple[Label, ...] | None:
    """Return the class names as a tuple, after a check that they are different, and one for each class; or None."""
    if names is None:
        return None
    listed = names
    for method in ("tolist", "to_list"):  # the methods of NumPy and pandas, and of polars
        listed = getattr(names, method)() if hasattr(names, method) else listed
    if isinstance(names, np.ndarray) and names.ndim == 1 and names.dtype.kind == "f":
        listed = arrays.plain_numbers(names)
    if isinstance(listed, (str, bytes)) or not isinstance(listed, Sequence):
        raise TypeError(f"class_names: expected a sequence of class names, got {names!r:.60}")
    if len(listed) != n_classes:
        raise ValueError(f"class_names: expected {n_classes} names, one for each class, got {len(listed)}")
    checked = tuple(_check_name(i, name) for i, name in enumerate(listed))
    if len(set(checked)) != len(checked):
        twice = next(name for i, name in enumerate(checked) if name in checked[:i])
        raise ValueError(f"class_names: expected different names, got {twice!r} twice")
    if any(isinstance(name, str) for name in checked) and not all(isinstance(name, str) for name in checked):
        raise TypeError(f"class_names: expected either text or numbers, got both: {few(checked)}")
    return checked


def _check_name(i: int, name: Any) -> Label:
    """Return class name i as a str, an int or a float, after a check."""
    plain = arrays.plain_number(name) if isinstance(name, np.number) else name
    if isinstance(plain, str):
        return plain_text(f"class_names[{i}]", plain)
    if isinstance(plain, int) and not isinstance(plain, bool) and MIN_INTEGER <= plain <= MAX_INTEGER:
        return int(plain)
    if isinstance(plain, float) and math.isfinite(plain):
        return float(plain)
    raise TypeError(f"class_names[{i}]: expected text, an integer of 64 bits or a finite float, got {name!r:.60}")


def plain_text(argument: str, text: str) -> str:
    """Return the text as a str, not a subclass (of NumPy or an enumeration); a ValueError if UTF-8 cannot encode it."""
    plain = str.__str__(text)
    try:
        plain.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{argument}: expected text that UTF-8 can hold, got {plain!r:.60} (half of a pair)") from None
    return plain


def few(labels: Sequence[object]) -> str:
    """Return the first labels as text for a message, and the number of the others."""
    return ", ".join(map(repr, labels[:SHOWN])) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")


def are_indices(names: Sequence[Label] | None) -> bool:
    """Return whether a number as a label is the index of its class: the names are text, or 0, 1, ..., or None."""
    return names is None or isinstance(names[0], str) or tuple(names) == tuple(range(len(names)))


def are_spelt_numbers(names: Sequence[Label] | None) -> bool:
    """Return whether all class names are text that spells a number, so that a number as a label is ambiguous."""
    if names is None or not all(isinstance(name, str) for name in names):
        return False
    from ..tables.columns import number_of  # imported here, as only text needs it

    return all(number_of(str(name)) is not None for name in names)


def text_labels(y: Any) -> list[Any] | None:
    """Return the text labels of the rows as a list, with None or NaN for missing ones; None if y has no text labels."""
    if isinstance(y, str):
        return [y]
    if arrays.is_frame(y):
        if len(y.columns) != 1:
            return None
        y = y.to_series() if hasattr(y, "to_series") else y.iloc[:, 0]
    if arrays.is_series(y):
        y = _dates_as_text(y)
        y = y.to_list()
    elif getattr(getattr(y, "dtype", None), "kind", "") == "O" and not isinstance(y, np.ndarray) and y.ndim == 1:
        y = list(y)  # an extension array of pandas
    elif isinstance(y, np.ndarray) and y.dtype.kind in "OUT" and (y.ndim == 1 or y.shape[1:] == (1,)):
        y = y.ravel().tolist()
    if not isinstance(y, (list, tuple)) or not any(isinstance(label, str) for label in y):
        return None
    for row, label in enumerate(y):
        if not isinstance(label, str) and not _is_missing(label):
            raise TypeError(f"y: expected labels that are all text or all numbers, got {label!r:.60} at row {row}")
    return [plain_text("y", label) if isinstance(label, str) else label for label in y]


def _dates_as_text(series: Any) -> Any:
    """Return a column of dates or times of polars as text, as the command line reads it; any other column as it is."""
    if str(series.dtype).startswith(("Date", "Datetime(")) and hasattr(series, "cast"):
        import polars as pl

        return series.cast(pl.String)
    return series


def _is_missing(label: Any) -> bool:
    """Return whether a label is None, NaN or NA of pandas."""
    return label is None or type(label).__name__ == "NAType" or (isinstance(label, float) and label != label)


def infer_class_names(labels: Sequence[Any], n_classes: int) -> tuple[str, ...]:
    """Return the different text labels in ascending order, after a check that there is one for each class."""
    _refuse_missing(labels)
    names = tuple(sorted(set(labels)))
    if len(names) != n_classes:
        raise ValueError(
            f"y: expected {n_classes} different labels, as the network has so many classes, got {len(names)}: "
            f"{few(names)}; class_names=[...] of Network names classes that these rows lack"
        )
    for name in names:
        if name in TEXT_OF_MISSING:
            warnings.warn(
                f"y: {name!r} is taken for a class ({labels.count(name)} rows); a missing label is None or NaN, which "
                "an array of text spells out; class_names=[...] of Network says that it is a class",
                stacklevel=7,
            )
    return names


def _refuse_missing(labels: Sequence[Any]) -> None:
    """Raise a ValueError if a label is missing."""
    for row, label in enumerate(labels):
        if _is_missing(label):
            raise ValueError(f"y: expected a label in each row, got a missing one ({label!r}) at row {row}")


def indices(labels: Sequence[Any], names: Sequence[Label]) -> NDArray[np.int64]:
    """Return the index of each label among the class names; a ValueError for an unknown or missing label."""
    _refuse_missing(labels)
    table = {name: i for i, name in enumerate(names)}
    found = [table.get(label, -1) for label in labels]
    if -1 in found:
        row = found.index(-1)
        raise ValueError(f"y: expected one of the classes {few(names)}, got {labels[row]!r} at row {row}")
    return np.array(found, dtype=np.int64)


def to_targets(y: Any, names: Sequence[Label] | None, n_outputs: int, *, takes_text: bool) -> Any:
    """Return y with labels that are names of classes converted to indices; other targets are returned unchanged."""
    text = text_labels(y)
    if text is not None:
        if names is None:
            hint = "fit learns class_names from text labels" if takes_text else "a loss of classes takes text labels"
            raise TypeError(
                f"y: expected real numbers, as the network has no class_names, got text such as {text[0]!r:.60}; {hint}"
            )
        found = indices(text, names)
        return found[0] if isinstance(y, str) else found
    if are_indices(names):
        if are_spelt_numbers(names) and np.ndim(y) <= 1 and (n_outputs > 1 or takes_text):
            assert names is not None
            raise ValueError(
                f"y: expected text labels, as the classes are text ({few(names)}): numbers might be names or indices; "
                "classify(X, names=True) gives names"
            )
        return y
    assert names is not None
    if isinstance(y, (list, tuple)) and all(isinstance(label, Real) for label in y):
        return indices([arrays.plain_number(label) if isinstance(label, np.number) else label for label in y], names)
    array = arrays.as_array("y", y)
    one_a_row = array.ndim <= 1 or (array.shape[1:] == (1,) and n_outputs == 1)
    if array.dtype.kind not in "fiub" or not one_a_row:
        return y
    found = indices(arrays.plain_numbers(array.ravel()), names)
    return found[0] if array.ndim == 0 else found


def named(names: Sequence[Label] | None, classes: NDArray[np.int64], single: bool) -> Any:
    """Return the names of the classes with these indices: an array, or if `single`, the name of the first."""
    if names is None:
        raise ValueError("names: expected a network with class_names, got one that has none")
    table = np.array(names)
    kept = [(type(name), name) for name in names] == [(type(name), name) for name in table.tolist()]
    if not kept:  # NumPy has changed names: mixed integers and floats, int64 and uint64, or text that ends in NUL
        table = np.array(names, dtype=object)
    return table[classes[0]] if single else table[classes]


def to_class_weight(class_weight: Any, names: Sequence[Label] | None) -> Any:
    """Return a dict of class weights with indices instead of names as keys; other arguments are returned unchanged."""
    if names is None or not isinstance(class_weight, Mapping):
        return class_weight
    if are_indices(names) and not are_spelt_numbers(names) and not any(isinstance(each, str) for each in class_weight):
        return class_weight
    table = {name: i for i, name in enumerate(names)}
    unknown = [label for label in class_weight if label not in table]
    if unknown:
        raise ValueError(f"class_weight: expected labels among the classes {few(names)}, got {unknown[0]!r}")
    return {table[label]: weight for label, weight in class_weight.items()}
