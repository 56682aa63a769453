"""What stands between a table and a network: scaling, class names, columns; kept in the model file.

`read_targets` tells classes from numbers, `split` sets test rows apart, `choose_scaling` looks at the training rows;
a `Preparation` holds the result, turns rows into what the network takes, and its outputs back into classes or
numbers in the target's own unit. `to_extra` and
`from_extra` carry it through a model file as strings of JSON; what a file says is checked before it is used,
since files come from anywhere.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import scaling as scalings
from .persistence import FormatError
from .scaling import Scaling
from .tables import is_number

SCALINGS = ("auto", "standard", "minmax", "none")
TASKS = ("auto", "classification", "regression")
MOST_NUMERIC_CLASSES = 20

Label = str | int | float


def refuse_overflow(x: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """`out`, made from the finite numbers x, if it is finite as well."""
    if not np.isfinite(out).all():
        row, column = np.argwhere(~np.isfinite(out))[0].tolist()
        raise ValueError(
            f"row {row + 1}, column {column}: expected a number that {out.dtype} can hold, got {x[row, column]}"
        )
    return out


@dataclass(frozen=True)
class Preparation:
    """How rows become inputs, and outputs become answers.

    Parameters
    ----------
    task : str
        "classification" or "regression".
    columns : tuple of str, optional
        Names of the inputs, where the data had names.
    target : str, optional
        Name, or index where there are no names, of the column that was learnt.
    classes : tuple of str or number, optional
        What each label stands for.
    scaling, target_scaling : Scaling, optional
        Of the inputs, and of the numbers that a regression learns.
    """

    task: str
    columns: tuple[str, ...] | None = None
    target: str | None = None
    classes: tuple[Label, ...] | None = None
    scaling: Scaling | None = None
    target_scaling: Scaling | None = None

    def inputs(self, x: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Rows as the network takes them."""
        if self.scaling is not None:
            return refuse_overflow(x, self.scaling.apply(x, dtype))
        with np.errstate(over="ignore"):
            return refuse_overflow(x, np.ascontiguousarray(x, dtype))

    def targets(self, y: NDArray[Any], dtype: str) -> NDArray[Any]:
        """Labels as they are, numbers (n, O) scaled, in the network's dtype."""
        if self.classes is not None:
            return y
        if self.target_scaling is None:
            return np.ascontiguousarray(y, dtype)
        return refuse_overflow(y, self.target_scaling.apply(y, dtype))

    def names(self, labels: NDArray[Any]) -> list[Label]:
        """The class that each label stands for."""
        if self.classes is None:
            return [int(label) for label in labels]
        return [self.classes[label] for label in labels]

    def numbers(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """A regression's outputs (n, O) in the target's own unit."""
        return outputs if self.target_scaling is None else self.target_scaling.undo(outputs)

    def to_extra(self) -> dict[str, str]:
        """The strings that a model file carries."""
        scaling, target_scaling = (scalings.describe(one) for one in (self.scaling, self.target_scaling))
        values = {
            "task": self.task,
            "columns": self.columns,
            "target": self.target,
            "classes": self.classes,
            "scaling": scaling,
            "target_scaling": target_scaling,
        }
        return {key: json.dumps(value) for key, value in values.items() if value is not None}

    @classmethod
    def from_extra(cls, extra: Mapping[str, str], n_inputs: int, n_outputs: int, classifies: bool) -> Preparation:
        """What a model file says; a file that says nothing gives the network's own inputs and outputs."""
        task = _entry(extra, "task", str) or ("classification" if classifies else "regression")
        if task not in TASKS[1:]:
            raise FormatError(f"task: expected 'classification' or 'regression', got {task!r}")
        columns = _entry(extra, "columns", list)
        if columns is not None and not (len(columns) == n_inputs and all(isinstance(name, str) for name in columns)):
            raise FormatError(f"columns: expected {n_inputs} names, got {_short(columns)}")
        classes = _entry(extra, "classes", list)
        n_classes = 2 if n_outputs == 1 else n_outputs
        if classes is not None and not (
            task == "classification" and len(classes) == n_classes and all(map(_is_label, classes))
        ):
            raise FormatError(f"classes: expected {n_classes} names of classes, got {_short(classes)}")
        return cls(
            task,
            None if columns is None else tuple(columns),
            _entry(extra, "target", str),
            None if classes is None else tuple(classes),
            _scaling(extra, "scaling", n_inputs),
            _scaling(extra, "target_scaling", n_outputs),
        )


def read_targets(
    y: NDArray[Any], task: str, column: str | None = None
) -> tuple[str, tuple[Label, ...] | None, NDArray[Any]]:
    """The task, its classes if it has any, and the targets: labels int64 (n,), or numbers float64 (n, O).

    "auto" is a classification for text, for an integer array, and for at most 20 different whole numbers that
    occur twice on average; else a regression. Text where only some cells are numbers is refused: a table with
    "N/A" among its numbers must not turn into classes by itself.
    """
    name = "target" if column is None else f"column {column!r}"
    if task == "auto":
        task = _choose_task(y, name)
    if task == "regression":
        return task, None, _as_numbers(y, name).reshape(len(y), -1)
    classes, values = _classes(y, name)
    return task, classes, np.searchsorted(classes_array(classes), values).astype(np.int64)


def classes_array(classes: tuple[Label, ...]) -> NDArray[Any]:
    """The classes as an array of text or of numbers, in ascending order."""
    return np.array(classes) if isinstance(classes[0], str) else np.array(classes, np.float64)


def _choose_task(y: NDArray[Any], name: str) -> str:
    if y.ndim == 2:
        return "regression"
    if y.dtype.kind in "iub":
        return "classification"
    if y.dtype.kind == "U" and not any(map(is_number, y)):
        return "classification"
    numbers = _as_numbers(y, name, "; --task classification takes any text as a class")
    different = np.unique(numbers)
    whole = bool((different == np.rint(different)).all())
    few = len(different) <= MOST_NUMERIC_CLASSES and 2 * len(different) <= len(numbers)
    return "classification" if whole and few else "regression"


def choose_scaling(kind: str, x: NDArray[Any]) -> Scaling | None:
    """The scaling of that name for the rows; "auto" is "minmax" for bytes (images), else "standard"."""
    if kind == "auto":
        kind = "minmax" if x.dtype == np.uint8 else "standard"
    return None if kind == "none" else Scaling.fit(x, kind)


def split(y: NDArray[Any], fraction: float, seed: int, stratified: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices of the rows to train on and to test on, both in the file's order.

    Rows are put in random order, sorted by class where stratified, and every 1/fraction-th goes to the
    test: floor(n * fraction) rows, and of every class its share to within one row.
    """
    order = np.argsort(np.random.Generator(np.random.PCG64(seed)).random(len(y)), kind="stable")
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    reached = np.floor(np.arange(len(y) + 1) * fraction + 1e-9)
    tested = reached[1:] > reached[:-1]
    return np.sort(order[~tested]), np.sort(order[tested])


def _as_numbers(y: NDArray[Any], name: str, hint: str = "") -> NDArray[np.float64]:
    """The target as numbers; text that is none is refused with its row."""
    if y.dtype.kind == "U":
        for row, cell in enumerate(y, start=1):
            if not is_number(cell):
                raise ValueError(f"row {row}, {name}: expected a number, got {str(cell)!r}{hint}")
    numbers = y.astype(np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers))[0, 0]) + 1
        raise ValueError(f"row {row}, {name}: expected a finite number, got one too large for float64")
    return numbers


def _classes(y: NDArray[Any], name: str) -> tuple[tuple[Label, ...], NDArray[Any]]:
    """The classes, and what tells them apart: numbers where all are numbers ("1" and "1.0" are one), else text."""
    if y.ndim != 1:
        raise ValueError(f"{name}: expected one class per row for a classification, got shape {y.shape}")
    values = y if y.dtype.kind == "U" and not all(map(is_number, y)) else _as_numbers(y, name)
    classes: list[Label] = np.unique(values).tolist()
    if len(classes) < 2:
        raise ValueError(f"{name}: expected at least two classes, got only {classes[0]!r}")
    if all(not isinstance(value, str) and value == int(value) for value in classes):
        classes = [int(value) for value in classes]
    return tuple(classes), values


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _is_label(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    )


def _entry(extra: Mapping[str, str], key: str, kind: type[Any]) -> Any:
    """The JSON value of a key of a model file, of the kind it must have; None where it is absent."""
    if key not in extra:
        return None
    try:
        value = json.loads(extra[key])
    except (ValueError, RecursionError):
        raise FormatError(f"{key}: expected JSON, got {_short(extra[key])}") from None
    if not isinstance(value, kind):
        raise FormatError(f"{key}: expected a {kind.__name__}, got {_short(value)}")
    return value


def _scaling(extra: Mapping[str, str], key: str, width: int) -> Scaling | None:
    value = _entry(extra, key, dict)
    try:
        scaling = scalings.from_description(key, value, width)
    except ValueError as error:
        raise FormatError(str(error)) from None
    assert not isinstance(scaling, str)
    return scaling
