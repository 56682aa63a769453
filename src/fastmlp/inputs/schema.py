"""The class Schema: the names of columns, target and classes of a network's data, and its encoder.

A schema is part of the architecture, in memory and in model files. It is immutable: a fit that finds names makes a new
one, which is published together with the parameters. The functions here check a schema, convert it to JSON and back,
infer it from the data of the first fit, and use it to find the columns of a frame by name.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import arrays, labels
from .labels import Label

if TYPE_CHECKING:
    from ..encoder import Encoder

FIELDS = ("feature_names", "target_name", "class_names", "encoder")


class Schema(NamedTuple):
    """The names of columns, target and classes, and the encoder that turns columns into inputs; each may be None."""

    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    class_names: tuple[Label, ...] | None = None
    encoder: Encoder | None = None


EMPTY = Schema()


def check(
    feature_names: object, target_name: object, class_names: object, encoder: Any, n_inputs: int, n_classes: int
) -> Schema:
    """Return the schema that these arguments of `Network` describe, after a check."""
    if encoder is not None:
        _check_encoder(encoder, n_inputs)
        if feature_names is None:
            feature_names = encoder.columns
    names = None if feature_names is None else _check_feature_names(feature_names, encoder, n_inputs)
    if target_name is not None and not isinstance(target_name, str):
        raise TypeError(f"target_name: expected text or None, got {target_name!r:.60}")
    if target_name is not None:
        target_name = labels.plain_text("target_name", target_name)
    return Schema(names, target_name, labels.check_class_names(class_names, n_classes), encoder)


def _check_encoder(encoder: Any, n_inputs: int) -> None:
    """Raise an error unless the encoder is one, with n_inputs outputs."""
    from ..encoder import Encoder

    if not isinstance(encoder, Encoder):
        raise TypeError(f"encoder: expected a fastmlp.Encoder or None, got {type(encoder).__name__}")
    if encoder.n_outputs != n_inputs:
        raise ValueError(
            f"encoder: expected one that makes {n_inputs} inputs, as sizes[0] says, got one that makes "
            f"{encoder.n_outputs}; sizes=[encoder.n_outputs, ...] fits it"
        )


def _check_feature_names(names: Any, encoder: Encoder | None, n_inputs: int) -> tuple[str, ...]:
    """Return the names as a tuple of different texts, one for each column of the network's or the encoder's input."""
    if isinstance(names, (str, bytes)) or not hasattr(names, "__len__") or not hasattr(names, "__iter__"):
        raise TypeError(f"feature_names: expected a sequence of text, got {names!r:.60}")
    wanted = n_inputs if encoder is None else len(encoder.columns)
    if len(names) != wanted:
        raise ValueError(f"feature_names: expected {wanted} names, one for each column, got {len(names)}")
    checked = tuple(names)
    for i, name in enumerate(checked):
        if not isinstance(name, str):
            raise TypeError(f"feature_names[{i}]: expected text, got {name!r:.60}")
    checked = tuple(labels.plain_text(f"feature_names[{i}]", name) for i, name in enumerate(checked))
    if len(set(checked)) != len(checked):
        twice = next(name for i, name in enumerate(checked) if name in checked[:i])
        raise ValueError(f"feature_names: expected different names, got {twice!r} twice")
    if encoder is not None and checked != encoder.columns:
        raise ValueError("feature_names: expected the encoder's columns beside encoder, got other names")
    return checked


# ------------------------------------------------------------------------------------------------------ in a model file


def describe(schema: Schema) -> dict[str, Any]:
    """Return the fields that are not None, as objects that JSON can hold."""
    return {
        name: value.describe() if name == "encoder" else list(value) if isinstance(value, tuple) else value
        for name, value in schema._asdict().items()
        if value is not None
    }


def from_description(fields: Mapping[str, Any], n_inputs: int, n_classes: int) -> Schema:
    """Return the schema that `describe` has described; raise a ValueError or TypeError for other fields."""
    given = {name: fields.get(name) for name in FIELDS}
    for name in ("feature_names", "class_names"):
        if given[name] is not None and not isinstance(given[name], list):
            raise ValueError(f"{name}: expected a list, got {given[name]!r:.60}")
    encoder = None
    if given["encoder"] is not None:
        from ..encoder import Encoder

        encoder = Encoder.from_description("encoder", given["encoder"])
    return check(given["feature_names"], given["target_name"], given["class_names"], encoder, n_inputs, n_classes)


# ---------------------------------------------------------------------------------------- inferred from the first fit


def infer(schema: Schema, X: Any, y: Any, n_inputs: int, n_classes: int, *, n_rows: int, takes_text: bool) -> Schema:
    """Return the schema, with fields that are None completed from the data of a fit.

    The fit trains on the first n_rows rows; an encoder is fitted to these only. `takes_text` says whether the loss is
    one of classes, so that y may be text labels.
    """
    names, target, classes, encoder = schema
    if names is None and arrays.is_frame(X):
        names, encoder = _infer_columns(arrays.with_text_names(X), n_inputs, n_rows)
    name = _name_of(y)
    if target is None and name is not None:
        target = name
    if classes is None and takes_text:
        text = labels.text_labels(y)
        classes = None if text is None else labels.infer_class_names(text, n_classes)
    return Schema(names, target, classes, encoder)


def _infer_columns(X: Any, n_inputs: int, n_rows: int) -> tuple[tuple[str, ...] | None, Encoder | None]:
    """Return the names of a frame's columns, or None, and an encoder if some columns are not numeric, else None."""
    names = arrays.column_names(X)
    if names is not None:
        names = tuple(labels.plain_text("X", name) for name in names)
        _check_distinct(names)
    if arrays.is_numeric_frame(X):
        return names, None
    from ..encoder import Encoder

    encoder = Encoder.fit(X.head(n_rows))
    if encoder.n_outputs != n_inputs:
        raise ValueError(
            f"X: expected columns that become {n_inputs} inputs, as sizes[0] says; these become {encoder.n_outputs}: "
            f"{labels.few(encoder.feature_names_out)}. Make the network as encoder = fastmlp.Encoder.fit(X); "
            "Network([encoder.n_outputs, ...], encoder=encoder)"
        )
    return encoder.columns, encoder


def _check_distinct(names: Sequence[str]) -> None:
    """Raise a ValueError if a name occurs twice."""
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise ValueError(f"X: expected columns of different names, got {twice!r} twice")


def _name_of(y: Any) -> str | None:
    """Return the name of a series, or of the single column of a frame, that is the target; None if it has no text."""
    if arrays.is_frame(y):
        name = y.columns[0] if len(y.columns) == 1 else None
    else:
        name = getattr(y, "name", None) if arrays.is_series(y) else None
    return labels.plain_text("y", name) if isinstance(name, str) and name else None


# ----------------------------------------------------------------------------------------------- columns by their names


def select(schema: Schema, X: Any, names: Sequence[str]) -> Any:
    """Return the frame, or the row of a frame, with the columns of the schema only, in the order of the schema."""
    wanted = schema.feature_names
    assert wanted is not None
    if tuple(names) == wanted:
        return X
    check_names(schema, names)
    return X[list(wanted)]


def check_names(schema: Schema, names: Sequence[str]) -> None:
    """Raise a ValueError if the names lack one of the schema's, or have a name twice.

    Warn about columns that will be left out, unless they are the target or columns that the encoder passes over.
    """
    wanted = schema.feature_names
    assert wanted is not None
    _check_distinct(names)
    got = set(names)
    missing = [name for name in wanted if name not in got]
    if missing:
        raise ValueError(
            f"X: expected the columns {labels.few(wanted)}, got some without {labels.few(missing)}"
            f" (columns {labels.few(names)})"
        )
    silent = {schema.target_name} if schema.encoder is None else {schema.target_name, *schema.encoder.passed_over}
    unknown = [name for name in names if name not in set(wanted) and name not in silent]
    if unknown:
        warnings.warn(
            f"X: columns that the network was not trained on are left out: {labels.few(unknown)}", stacklevel=4
        )


def _named_row(schema: Schema, X: Any) -> tuple[Any, tuple[str, ...] | None]:
    """Return X and the names of its elements if X is a row of a frame; else X and None.

    Labels that are not text are converted to text, like in `arrays.with_text_names`, if some labels are text or the
    schema has these names. Otherwise they are just the indices of a vector's elements.
    """
    index = getattr(X, "index", None) if arrays.is_series(X) else None
    entries = () if index is None or callable(index) else tuple(index)
    names = tuple(map(str, entries))
    if not entries or all(isinstance(entry, str) for entry in entries):
        return X, names or None
    if any(isinstance(entry, str) for entry in entries) or set(schema.feature_names or ()) <= set(names):
        return X.set_axis(names), names
    return X, None


def _from_named_tuples(schema: Schema, X: Any, fields: Sequence[str]) -> Any:
    """Return the rows of a named tuple or of a list of them, with the columns of the schema in its order.

    `itertuples` of pandas adds a first field "Index", and replaces a column's name that is no identifier by its
    position, like "_1".
    """
    wanted = schema.feature_names
    assert wanted is not None
    single = hasattr(type(X), "_fields")
    rows = [X] if single else X
    of_pandas = type(rows[0]).__name__ == "Pandas"
    names = [name for name in fields if not (of_pandas and name == "Index" and name not in wanted)]
    lost = [name for name in wanted if of_pandas and name not in fields and not name.isidentifier()]
    if lost:
        raise ValueError(
            f"X: expected named tuples with the fields {labels.few(wanted)}, got some of itertuples, which has no "
            f"field for {labels.few(lost)}; give the frame, or rows of frame[list(net.feature_names)].to_numpy()"
        )
    check_names(schema, names)
    if schema.encoder is None:
        listed = [[getattr(row, name) for name in wanted] for row in rows]
        return listed[0] if single else listed
    from ..tables.columns import PlainFrame

    frame = PlainFrame({name: np.array([getattr(row, name) for row in rows], object) for name in wanted})
    encoded = schema.encoder.transform(frame)
    return encoded[0] if single else encoded


def to_inputs(schema: Schema, X: Any) -> Any:
    """Return X with the columns of the schema in its order, encoded if there is an encoder.

    X is a frame, a row of a frame, named tuples or a list of rows of a frame; other objects, which have no names, are
    returned unchanged.
    """
    if schema.feature_names is None:
        return X
    fields = arrays.field_names(X)
    if fields is not None:
        return _from_named_tuples(schema, X, fields)
    if isinstance(X, (list, tuple)) and X and _named_row(schema, X[0])[1] is not None:
        return np.stack([np.asarray(to_inputs(schema, row)) for row in X])
    if arrays.is_frame(X):
        X = arrays.with_text_names(X)
        names = arrays.column_names(X)
        if names is None and schema.encoder is not None:
            raise ValueError(
                f"X: expected columns with the names {labels.few(schema.feature_names)}, got labels that "
                f"are not text: {labels.few(list(X.columns))}; if they are the names, "
                "X.columns = X.columns.astype(str) makes them text"
            )
    else:
        X, names = _named_row(schema, X)
        if hasattr(X, "column_names") and hasattr(X, "to_pandas"):
            raise TypeError("X: expected a frame of pandas or polars, got a table of Arrow; X.to_pandas() makes it one")
    if names is None:
        return X
    X = select(schema, X, names)
    if schema.encoder is None:
        return X
    if arrays.is_frame(X):
        return schema.encoder.transform(X)
    return schema.encoder.transform(X.to_frame().T)[0]
