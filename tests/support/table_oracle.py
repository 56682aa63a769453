"""The oracle of tables: a network's inputs by pandas and scikit-learn and its outputs by NumPy, from documented rules.

* Numbers: missing ones become the median of the training rows; an indicator is added if any is missing in training.
* Booleans: an input for false and one for true.
* Text: an input for each category that occurs at least `min_count` times in training; if there are more than
  `max_categories`, for the most frequent ones, of equally frequent ones the first in sorted order.
* Booleans and text: also an input for missing values if at least `min_count` are missing in training, and an input for
  all other values.
* Times: the day number since 1970 with its fraction, month, day, weekday (Monday is 0), and the hour if training has
  times of day; medians and an indicator as for numbers.

`outputs` also computes a bound of the difference to a network that computes in another dtype and order.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
import sklearn
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

from table_cases import Case, Drawn

Array = NDArray[np.float64]
Parts = tuple[list[str], Array, Array]  # names of inputs, training rows, new rows
SUBNORMAL = 1e-36  # a bound for sums of products that float32 may flush to 0
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52}


def inputs(case: Case) -> Parts:
    """Return the names of the inputs, and the inputs of the training rows and of the new rows."""
    with sklearn.config_context(skip_parameter_validation=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about unknown categories
        parts = [_PARTS[column.kind](column, case) for column in case.inputs]
        parts = _imputed(case, parts)
    names = [name for names, _, _ in parts for name in names]
    for i, name in enumerate(names):
        before = sum(other == name for other in names[:i])
        names[i] = f"{name} ({before + 1})" if before else name
    return names, *(np.hstack([part[i] for part in parts]) for i in (1, 2))


def _imputed(case: Case, parts: list[Parts]) -> list[Parts]:
    """Return the parts with missing numbers and times replaced by medians, and an indicator for each such column."""
    gaps = [i for i, column in enumerate(case.inputs) if column.kind in ("number", "time")]
    if not gaps:
        return parts
    imputer = SimpleImputer(strategy="median", add_indicator=True).fit(np.hstack([parts[i][1] for i in gaps]))
    rows = [imputer.transform(np.hstack([parts[i][k] for i in gaps])) for k in (1, 2)]
    indicated = imputer.indicator_.features_.tolist()
    parts, first = list(parts), 0
    for i in gaps:
        names, width = parts[i][0], len(parts[i][0])
        places = [*range(first, first + width)]
        if first in indicated:
            places.append(rows[0].shape[1] - len(indicated) + indicated.index(first))
            names = [*names, f"{case.inputs[i].name} is missing"]
        parts[i] = names, rows[0][:, places], rows[1][:, places]
        first += width
    return parts


def _number(column: Drawn, case: Case) -> Parts:
    train, new = (np.array(values, np.float64)[:, np.newaxis] for values in (column.values, column.new_values))
    return [column.name], train, new


def _calendar(times: pandas.Series) -> Array:
    day_number = (times - pandas.Timestamp("1970-01-01")) / pandas.Timedelta(days=1)
    parts = [day_number, times.dt.month, times.dt.day, times.dt.dayofweek, times.dt.hour]
    return np.column_stack([part.to_numpy(np.float64, na_value=np.nan) for part in parts])


def _time(column: Drawn, case: Case) -> Parts:
    series = [pandas.Series(values, dtype="datetime64[us]") for values in (column.values, column.new_values)]
    transformer = FunctionTransformer(_calendar)
    train, new = (transformer.transform(each) for each in series)
    names = [f"{column.name}.{part}" for part in ("day_number", "month", "day", "weekday", "hour")]
    if (series[0].dropna().dt.normalize() == series[0].dropna()).all():
        names, train, new = names[:-1], train[:, :-1], new[:, :-1]
    return names, train, new


def _text(column: Drawn, case: Case) -> Parts:
    present = sorted({value for value in column.values if isinstance(value, str)}, reverse=True)
    # Of equally frequent categories, scikit-learn keeps those that come last in its list; its limit counts "others".
    encoder = OneHotEncoder(
        categories=[present],
        min_frequency=case.options.min_count,
        max_categories=case.options.max_categories + 1,
        handle_unknown="infrequent_if_exist",
        sparse_output=False,
        dtype=np.float64,
    ).fit(np.array([value for value in column.values if value is not None], object)[:, np.newaxis])
    rare = encoder.infrequent_categories_[0]
    kept = [name for name in present if rare is None or name not in set(rare.tolist())]
    return _one_hot(column, case, encoder, kept)


def _boolean(column: Drawn, case: Case) -> Parts:
    encoder = OneHotEncoder(categories=[["True", "False"]], sparse_output=False).fit([["True"], ["False"]])
    return _one_hot(column, case, encoder, ["True", "False"])


def _one_hot(column: Drawn, case: Case, encoder: OneHotEncoder, kept: list[str]) -> Parts:
    """Return the encoder's inputs in sorted order of the categories, then missing values, then all other values."""
    has_missing = sum(value is None for value in column.values) >= case.options.min_count

    values = column.values + column.new_values
    rows = np.zeros((len(values), len(kept) + has_missing + 1))
    present = np.array([value is not None for value in values])
    texts = np.array([str(value) for value in values if value is not None], object)[:, np.newaxis]
    rows[present, : len(kept)] = encoder.transform(texts)[:, : len(kept)][:, ::-1]
    if has_missing:
        rows[~present, len(kept)] = 1.0
    rows[:, -1] = 1.0 - rows[:, :-1].sum(axis=1)
    names = [f"{column.name}={name}" for name in reversed(kept)]
    names += [f"{column.name} is missing"] * has_missing + [f"{column.name} is other"]
    return names, rows[: len(column.train)], rows[len(column.train) :]


_PARTS = {"number": _number, "boolean": _boolean, "text": _text, "time": _time}


# ------------------------------------------------------------------------------------------------------------- targets


def class_names(labels: Sequence[str]) -> tuple[Any, ...]:
    """Return the sorted class names: numbers if each label is the shortest spelling of its number, else text."""
    different = set(labels)
    for kind in (_exact_integer, float):
        try:
            numbers = {kind(label) for label in different}
        except ValueError:
            continue
        if {repr(number) for number in numbers} == different:
            return tuple(sorted(numbers))
    try:
        mixed: list[Any] = [_integer_or_float(label) for label in different]
    except ValueError:
        mixed = []
    exact = len(set(mixed)) == len(different) and all(abs(number) <= 2**53 for number in mixed)
    if exact and {repr(number) for number in mixed} == different:
        return tuple(sorted(mixed))
    return tuple(sorted(different))


def _exact_integer(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**64:
        raise ValueError
    return number


def _integer_or_float(text: str) -> float:
    try:
        return _exact_integer(text)
    except ValueError:
        return float(text)


# ------------------------------------------------------------------------------------------------------------- outputs


@dataclass(frozen=True)
class Scaled:
    """Rows scaled by scikit-learn, and the maximum difference to another implementation of the same scaling."""

    rows: Array
    error: Array
    offset: Array
    scale: Array


def scaled(kind: str, train: Array, rows: Array, epsilon: float) -> Scaled:
    """Return the rows scaled by a scaler that is fitted to the training rows."""
    width = train.shape[1]
    if kind == "none":
        return Scaled(rows, epsilon * np.abs(rows), np.zeros(width), np.ones(width))
    if kind == "standard":
        scaler = StandardScaler().fit(train)
        offset, scale = scaler.mean_, scaler.scale_
    else:
        minmax = MinMaxScaler().fit(train)
        offset, scale = (
            minmax.data_min_,
            np.where(minmax.data_range_ > 0, minmax.data_range_, 1.0),
        )  # not scale_, as scikit-learn replaces very small ranges there, too
    out = (rows - offset) / scale
    largest = np.abs(train).max(axis=0)  # rounding errors of means and differences are relative to it
    lost = EPSILON["float64"] * (8 + np.sqrt(len(train))) * largest / scale
    return Scaled(out, (1e-13 + epsilon + lost) * np.abs(out) + 4 * lost, offset, scale)


@functools.cache
def _activation(name: str) -> Any:
    """Return an activation. All have slopes of at most 1, so that errors do not grow."""
    return {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "identity": lambda z: z}[name]


def outputs(net: Any, x: Scaled) -> tuple[Array, Array]:
    """Return the last layer's z, computed in float64, and a bound of the difference to the network's."""
    epsilon = EPSILON[str(net.dtype)]
    h, error = x.rows, x.error
    layers = list(zip(net.weights, net.biases, strict=True))
    for i, (w, b) in enumerate(layers):
        w, b = w.astype(np.float64).T, b.astype(np.float64)
        error = error @ np.abs(w) + epsilon * (w.shape[0] + 4) * (np.abs(h) @ np.abs(w) + np.abs(b)) + SUBNORMAL
        h = h @ w + b
        if i < len(layers) - 1:
            h = _activation(net.activation[i].name)(h)
            error = error + 8 * epsilon * np.abs(h)
    return h, error


def probabilities(net: Any, z: Array, error: Array) -> tuple[Array, Array]:
    """Return the probability of each class, and a bound of its error."""
    if net.output_activation.name == "sigmoid":
        one = 1 / (1 + np.exp(-z))
        return np.hstack([1 - one, one]), np.hstack([error, error]) + 16 * EPSILON[str(net.dtype)]
    shifted = np.exp(z - z.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True), 2 * error.max(axis=1, keepdims=True) + 16 * EPSILON[
        str(net.dtype)
    ]


def numbers(z: Array, error: Array, train: Array | None, dtype: str) -> tuple[Array, Array]:
    """Return predictions in the unit of the target, and a bound of their error; train: the targets the scaler is
    fitted to, or None if targets are not scaled.
    """
    if train is None:
        return z, error
    scaler = StandardScaler().fit(train)
    y = z * scaler.scale_ + scaler.mean_
    lost = EPSILON["float64"] * (8 + np.sqrt(len(train))) * np.abs(train).max(axis=0)
    narrow = EPSILON[dtype] * np.abs(y)
    return y, error * scaler.scale_ + 4 * lost * (1 + np.abs(z) / scaler.scale_) + 1e-13 * np.abs(
        z * scaler.scale_
    ) + narrow
