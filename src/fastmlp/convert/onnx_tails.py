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
from .onnx_expressions import RESIDUAL, Expression
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
    """The class of each row, as an index or by name, or the classes to which each row belongs.

    `of` are the rows whose largest column it is, or which are compared with 0.5; else `rule` is a condition.
    """

    of: Rows | Two | None
    names: tuple[Label, ...] | None = None
    rule: Expression | None = None


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
        if o.operator == "Gather" and o.integer("axis", 0) not in (1, -1):
            o.refuse("some of the rows", "give the network all rows")
        return _column(o, classes, int(labels.reshape(-1)[0]))
    if isinstance(labels, Rows) and labels.expression.kind in CONDITIONS:
        labels = Labels(None, rule=labels.expression)
    if not isinstance(classes, np.ndarray) or not isinstance(labels, Labels) or labels.names is not None:
        advice = "give the network the numbers that it chooses, and import what follows it"
        o.refuse("a choice of rows by their number (an embedding) or of columns (a ColumnTransformer)", advice)
    return Labels(labels.of, names_of(o, classes), labels.rule)


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
    if o.real("threshold", 0.0) != 0.5:
        o.refuse(f"labels of the threshold {o.real('threshold', 0.0)}", "fastmlp compares a probability with 0.5")
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
    return Labels(x.of, names_of(o, [table[name] for name in names]), x.rule)


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


def _rows_of(x: Rows | Two) -> Rows:
    return x.rows if isinstance(x, Two) else x


def _follow(labels: Labels | Zipped, rows: Rows) -> bool:
    """Return whether labels are those that a network with these rows as its outputs gives, see `Network.classify`."""
    y = rows.expression
    inner = y.args[0] if y.kind == "call" and y.value[0] in ("sigmoid", "softmax") else None
    if isinstance(labels, Labels) and labels.rule is not None:  # k core + c is above 0
        x, at = (
            (labels.rule.args[0], y)
            if inner is None or labels.rule.args[0].core is y.core
            else (labels.rule.args[0], inner)
        )
        limit = 0.5 if inner is not None and at is y else 0.0
        numbers = all(isinstance(each, float) for each in (x.k, x.c, at.k, at.c))
        return numbers and x.core is at.core and x.k * at.k > 0 and x.c * at.k == x.k * (at.c - limit)
    return labels.of is not None and _rows_of(labels.of).expression in (y, inner)


def _check_columns(name: str, columns: list[Column]) -> None:
    """Refuse outputs of single columns, unless they are all columns in order, or the p of 1 - p and p."""
    width, indices = _width(columns[0].of), [each.index for each in columns]
    is_p = isinstance(columns[0].of, Two) and indices == [1]
    if not is_p and indices != list(range(width)):
        raise FormatError(
            f"output {name}: expected all columns of the network's outputs, got {indices} of {width}; name "
            "an output that has all of them as output="
        )


def _sorted(names: list[str], values: list[Any]) -> tuple[dict[Any, Rows | Two], list[Labels | Zipped], list[Column]]:
    """Return the different rows among a graph's outputs, the labels, and the single columns."""
    found = dict[Any, Rows | Two]()
    labels, columns = list[Labels | Zipped](), list[Column]()
    for name, value in zip(names, values, strict=True):
        if isinstance(value, Labels):
            labels.append(value)
            continue
        if isinstance(value, Rows) and value.expression.kind in CONDITIONS:
            labels.append(Labels(None, rule=value.expression))
            continue
        if isinstance(value, Zipped):
            labels.append(value)
        if isinstance(value, Column):
            columns.append(value)
        data = value.of if isinstance(value, (Zipped, Column)) else value
        if not isinstance(data, (Rows, Two)):
            raise FormatError(f"output {name!r:.80}: expected the outputs of a network, got something else")
        found.setdefault((isinstance(data, Two), id(_rows_of(data).expression)), data)
    if not found:
        found = {id(each.of): each.of for each in labels if each.of is not None}
    return found, labels, columns


def find(names: list[str], values: list[Any]) -> Tail:
    """Return the tail of a graph, from its outputs' values.

    Raises
    ------
    FormatError
        If there is no output of numbers, or several that differ; if an output is a part of the columns; if labels
        follow another rule than `Network.classify`.
    """
    found, labels, columns = _sorted(names, values)
    shown = ", ".join(map(repr, names[:20]))
    if len(found) != 1:
        raise FormatError(f"ONNX file: expected one output of rows, got {shown}; name one of them as output=")
    (data,) = found.values()
    rows = _rows_of(data)
    if columns:
        _check_columns(shown, columns)
    if not all(_follow(each, rows) for each in labels):
        raise FormatError(
            "ONNX file: expected labels of the largest output, or of a probability above 0.5, got others; name the "
            "output of numbers as output= to import it without the labels"
        )
    class_names = next((each.names for each in labels if each.names is not None), None)
    if class_names is not None and len(class_names) != max(2, rows.columns):
        class_names = None
    return Tail(rows, data.place if isinstance(data, Two) else "", class_names, bool(labels))
