"""The tails of classifiers: what follows the probabilities in a graph, as skl2onnx and onnxmltools write it.

Two columns 1 - p and p, the index of the largest probability, labels, and maps from labels to probabilities are no
layers. They become `Complement` and the names of the classes. `find` says which of a graph's outputs is the network's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import FormatError
from ..inputs.labels import Label
from . import onnx_quantised
from .onnx_expressions import RESIDUAL, Base
from .onnx_graph import Operation
from .onnx_operators import CONDITIONS
from .onnx_operators import OPERATORS as PLAIN
from .onnx_walk import Rows, Walk


@dataclass(frozen=True, eq=False)
class Two:
    """The columns 1 - p and p of one column p."""

    rows: Rows
    place: str


@dataclass(frozen=True, eq=False)
class Labels:
    """The class of each row, as an index or by name, or the classes to which each row belongs."""

    of: Rows | Two | None
    names: tuple[Label, ...] | None = None


@dataclass(frozen=True, eq=False)
class Zipped:
    """Maps from labels to probabilities."""

    of: Rows | Two
    names: tuple[Label, ...] | None


@dataclass(frozen=True, eq=False)
class Column:
    """One of several columns."""

    of: Rows | Two
    index: int


@dataclass(frozen=True)
class Tail:
    """The rows that are the network's outputs, and what the labels say.

    complement: the place of a node that makes 1 - p and p of them, or "".
    """

    rows: Rows
    complement: str
    class_names: tuple[Label, ...] | None
    classifies: bool


TAILS = (Two, Labels, Zipped, Column)


def _width(x: Rows | Two) -> int:
    return 2 if isinstance(x, Two) else x.columns


def _concat(walk: Walk, o: Operation, *given: Any) -> Any:
    if len(given) == 1:
        return given[0]
    if len(given) == 2 and all(isinstance(each, Rows) for each in given):
        first, second = given
        x, p = first.expression, second.expression
        opposite = x.core is p.core and x.k == -p.k and x.c == 1 - p.c
        last = len(second.shape) - 1
        if opposite and o.integer("axis", 0) in (-1, last) and second.shape[-1] == second.columns:
            if second.columns == 1:
                return Two(second, o.place)
            if second.columns == 2 and walk.graph.producer_name == "skl2onnx":
                walk.folded.append(f"{o.place}: skl2onnx gives two labels, each yes or no, the form of two classes")
                return second
    return o.refuse(RESIDUAL, "columns that are put together can be imported as 1 - p and p of one column p alone")


def names_of(o: Operation, names: Any) -> tuple[Label, ...]:
    """Return labels as text, integers or floats."""
    if isinstance(names, np.ndarray) and names.dtype.kind == "O":
        names = [str(each) for each in names.reshape(-1)]
    elif isinstance(names, np.ndarray):
        names = [int(each) if names.dtype.kind in "iub" else float(each) for each in names.reshape(-1)]
    if len(set(names)) != len(names):
        o.refuse(f"labels of which two are equal: {names[:9]}")
    return tuple(names)


def _arg_max(walk: Walk, o: Operation, x: Any) -> Labels:
    if not isinstance(x, (Rows, Two)):
        o.refuse("the largest of something that is no probability")
    shape = (None, 2) if isinstance(x, Two) else x.shape
    axis = o.integer("axis", 0)
    if shape[axis] != _width(x):
        o.refuse(f"an ArgMax over axis {axis} of the shape {list(shape)} (None: the batch)")
    return Labels(x)


def _named(walk: Walk, o: Operation, classes: Any, labels: Any) -> Any:
    """Return labels by name: the array of names at the index of a class. Of rows, the other way round: a column."""
    if isinstance(classes, (Rows, Two)) and isinstance(labels, np.ndarray) and labels.size == 1:
        return _column(o, classes, int(labels.reshape(-1)[0]))
    if isinstance(labels, Rows) and labels.expression.kind in CONDITIONS:
        labels = Labels(None)
    if not isinstance(classes, np.ndarray) or not isinstance(labels, Labels) or labels.names is not None:
        o.refuse("a choice among values that are no labels")
    return Labels(labels.of, names_of(o, classes))


def _column(o: Operation, x: Rows | Two, index: int) -> Column:
    if not -_width(x) <= index < _width(x):
        o.refuse(f"the column {index} of {_width(x)}")
    return Column(x, index % _width(x))


def _slice(walk: Walk, o: Operation, x: Any, *given: Any) -> Column:
    lists = [None if each is None else [int(i) for i in np.asarray(each).reshape(-1)] for each in given]
    lists += [o.integers(name) for name in ("starts", "ends", "axes", "steps")[len(lists) :]]
    starts, ends, axes, steps = lists
    is_column = (
        isinstance(x, (Rows, Two)) and len(starts or ()) == 1 and (axes or [0])[0] in (1, -1) and steps in (None, [1])
    )
    if not is_column or not starts or not ends or ends[0] != starts[0] + 1:
        o.refuse("some of the columns", "give the network its own columns")
    assert starts is not None
    return _column(o, x, starts[0])


def _binarizer(walk: Walk, o: Operation, x: Any) -> Labels:
    if not isinstance(x, Rows):
        o.refuse("a comparison of something that is no probability")
    return Labels(x)


def _zip_map(walk: Walk, o: Operation, x: Any) -> Zipped:
    if not isinstance(x, (Rows, Two)):
        o.refuse("a map of something that is no probability")
    names: Any = o.texts("classlabels_strings") or o.integers("classlabels_int64s")
    return Zipped(x, None if names is None else names_of(o, names))


def _label_encoder(walk: Walk, o: Operation, x: Any) -> Labels:
    if not isinstance(x, Labels):
        o.refuse("a map of something that is no label", "encode columns before `predict`")
    keys: Any = o.integers("keys_int64s") or o.texts("keys_strings") or o.reals("keys_floats") or []
    values: Any = o.texts("values_strings") or o.integers("values_int64s") or o.reals("values_floats") or []
    if len(keys) != len(values):
        o.refuse(f"{len(keys)} keys for {len(values)} values")
    table = dict(zip(keys, values, strict=True))
    names = x.names if x.names is not None else range(len(keys))
    if any(name not in table for name in names):
        o.refuse("a label without a value")
    return Labels(x.of, names_of(o, [table[name] for name in names]))


def _passing(name: str) -> Callable[..., Any]:
    """Make an operator that leaves tails as they are, and does with rows what the others' tables say."""

    def operator(walk: Walk, o: Operation, x: Any, *others: Any) -> Any:
        if isinstance(x, TAILS):
            return x
        if isinstance(x, Rows) and x.expression.kind in CONDITIONS and name != "Cast":
            return x
        plain = onnx_quantised.OPERATORS.get(name, PLAIN.get(name))
        assert plain is not None
        return plain(walk, o, x, *others)

    return operator


OPERATORS: dict[str, Callable[..., Any]] = {
    "Concat": _concat,
    "ArgMax": _arg_max,
    "ai.onnx.ml.ArrayFeatureExtractor": _named,
    "Gather": _named,
    "Slice": _slice,
    "ai.onnx.ml.Binarizer": _binarizer,
    "ai.onnx.ml.ZipMap": _zip_map,
    "ai.onnx.ml.LabelEncoder": _label_encoder,
    **{name: _passing(name) for name in ("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze")},
}


def _base(x: Rows | Two) -> Base:
    """Return the layer that probabilities are of."""
    return (x.rows if isinstance(x, Two) else x).expression.base


def find(names: list[str], values: list[Any]) -> Tail:
    """Return the tail of a graph, from its outputs' values.

    Raises
    ------
    FormatError
        If there is no output of numbers, or several that differ.
    """
    found: dict[Any, tuple[str, Rows | Two]] = {}
    labels = list[Labels | Zipped]()
    for name, value in zip(names, values, strict=True):
        if isinstance(value, Labels) or (isinstance(value, Rows) and value.expression.kind in CONDITIONS):
            labels.append(value if isinstance(value, Labels) else Labels(None))
            continue
        if isinstance(value, Zipped):
            labels.append(value)
        data = value.of if isinstance(value, (Zipped, Column)) else value
        if not isinstance(data, (Rows, Two)):
            raise FormatError(f"output {name!r:.80}: expected the outputs of a network, got something else")
        inner = data.rows if isinstance(data, Two) else data
        found.setdefault((isinstance(data, Two), id(inner.expression)), (name, data))
    if not found:
        found = {id(each.of): ("", each.of) for each in labels if each.of is not None}
    if len(found) != 1:
        shown = [name for name, _ in found.values()][:20]
        raise FormatError(f"ONNX file: expected one output of rows, got {shown}; name one of them as output=")
    ((_, data),) = found.values()
    rows = data.rows if isinstance(data, Two) else data
    labels = [each for each in labels if each.of is None or _base(each.of) is rows.expression.base]
    class_names = next((each.names for each in labels if each.names is not None), None)
    if class_names is not None and len(class_names) != max(2, rows.columns):
        class_names = None
    return Tail(rows, data.place if isinstance(data, Two) else "", class_names, bool(labels))
