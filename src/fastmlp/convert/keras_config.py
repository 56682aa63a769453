"""Checked reads from a Keras configuration, the nested dicts of JSON that describe a model; the files are not trusted.

keras_layers.py, keras_activations.py and keras_models.py call these functions; `place` is the layer, for messages.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chain import refuse

MAX_SHAPE = 2**24  # the maximum number of elements of an input
NESTED = ("__numpy__", "__tensor__")  # the classes by which Keras 3 writes an array


def mapping(value: object, place: str, what: str) -> dict[str, Any]:
    """Return the value, which must be a JSON object."""
    if not isinstance(value, dict):
        refuse(place, f"{value!r:.60} as {what}", "expected an object of JSON")
    return value


def sequence(value: object, place: str, what: str) -> list[Any]:
    """Return the value, which must be a JSON array; Keras 3 may write a tuple as an object."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if not isinstance(value, list):
        refuse(place, f"{value!r:.60} as {what}", "expected a list")
    return value


def name_of(config: Mapping[str, Any], place: str) -> str:
    """Return the name of a layer."""
    name = config.get("name")
    if not isinstance(name, str):
        refuse(place, f"{name!r:.60} as the name of a layer", "expected text")
    return name


def flag(config: Mapping[str, Any], key: str, default: bool, place: str) -> bool:
    """Return a truth value."""
    value = config.get(key, default)
    if not isinstance(value, (bool, int)):
        refuse(place, f"{key} = {value!r:.60}", "expected true or false")
    return bool(value)


def number(config: Mapping[str, Any], key: str, default: float, place: str) -> float:
    """Return a finite number."""
    values = numbers(config.get(key, default), key, place)
    if values.size != 1:
        refuse(place, f"{values.size} numbers as {key}", "expected one")
    return float(values.ravel()[0])


def numbers(value: object, key: str, place: str) -> NDArray[np.float64]:
    """Return finite numbers: one, lists of lists, or an array that Keras has written as an object."""
    if isinstance(value, dict) and value.get("class_name") in NESTED:
        value = mapping(value.get("config"), place, key).get("value")
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        array = np.array(None)
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        refuse(place, f"{key} = {value!r:.60}", "expected finite numbers")
    return array.astype(np.float64)


def shape_without_batch(value: object, place: str) -> tuple[int, ...] | None:
    """Return the shape of one row from one with the number of rows at its beginning; None if there is none."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value.get("items")
    if not isinstance(value, list) or len(value) < 2:
        return None
    return lengths(value[1:], place)


def lengths(value: list[Any], place: str) -> tuple[int, ...]:
    """Return a shape whose lengths are all known."""
    if not all(isinstance(length, int) and not isinstance(length, bool) and length > 0 for length in value):
        refuse(
            place, f"the shape {value!r:.60} of a row", "expected known lengths; build the model for one shape of rows"
        )
    if math.prod(value) > MAX_SHAPE:
        refuse(place, f"the shape {value!r:.60} of a row", f"expected at most {MAX_SHAPE:,} elements")
    return tuple(value)


def along(values: NDArray[np.float64], axes: object, shape: tuple[int, ...], key: str, place: str) -> Any:
    """Return the values for each element of a row of that shape, flat; they lie along axes that count the rows' too."""
    listed = [axes] if isinstance(axes, int) else sequence(axes, place, "axis")
    n_axes = len(shape) + 1
    kept = sorted(axis + n_axes if axis < 0 else axis for axis in listed if isinstance(axis, int))
    if len(kept) != len(listed) or len(set(kept)) != len(kept) or any(not 0 < axis < n_axes for axis in kept):
        refuse(
            place, f"axis = {axes!r:.60} of rows of shape {shape}", "expected axes of the columns, without the rows'"
        )
    wide = [1] * (n_axes - 1)
    if values.ndim > len(kept):
        refuse(place, f"{key} of shape {values.shape} along {len(kept)} axes")
    for axis, length in zip(reversed(kept), reversed(values.shape), strict=False):
        wide[axis - 1] = length
    return spread(values.reshape(wide), shape, key, place)


def spread(values: NDArray[np.float64], shape: tuple[int, ...], key: str, place: str) -> NDArray[np.float64]:
    """Return the values for each element of a row of that shape, flat, by NumPy's rules of broadcasting."""
    if values.ndim > len(shape) or any(
        mine not in (1, length) for mine, length in zip(reversed(values.shape), reversed(shape), strict=False)
    ):
        refuse(place, f"{key} of shape {values.shape} for rows of shape {shape}")
    return np.broadcast_to(values, shape).reshape(-1)
