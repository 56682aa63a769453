"""Checks and converts `coefs_` and `intercepts_`, which users may assign, to the parameters of a network.

The shape of each array is checked against its neighbours and against the estimator's numbers of inputs, outputs and
layers. Errors name the array as scikit-learn's users know it. The dtype of the network is the smallest of float32 and
float64 that holds all arrays without loss. Only `base.py` uses this module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..inputs import arrays, targets


class Layers(NamedTuple):
    """The sizes of a network, its dtype, and its parameters as one vector in the order of `Network.parameters`."""

    sizes: list[int]
    dtype: np.dtype[Any]
    parameters: Any


def check(estimator: Any, n_heads: int = 1) -> Layers:
    """Check the estimator's coefs_ and intercepts_ and return them as the layers of a network.

    Parameters
    ----------
    estimator : BaseMLP
        Its n_features_in_, n_outputs_ and n_layers_ are checked against, if it has them.
    n_heads : int
        The number of network outputs for each of n_outputs_.
    """
    coefs = _as_list("coefs_", estimator.coefs_)
    intercepts = _as_list("intercepts_", estimator.intercepts_)
    n_layers = getattr(estimator, "n_layers_", None)
    if n_layers is not None and len(coefs) != n_layers - 1:
        raise ValueError(f"coefs_: expected {n_layers - 1} arrays, as n_layers_ is {n_layers}, got {len(coefs)}")
    if not coefs:
        raise ValueError("coefs_: expected an array of weights for each layer, got none")
    if len(intercepts) != len(coefs):
        raise ValueError(f"intercepts_: expected {len(coefs)} arrays, one for each of coefs_, got {len(intercepts)}")
    weights = [_check_array(f"coefs_[{i}]", w, 2) for i, w in enumerate(coefs)]
    biases = [_check_array(f"intercepts_[{i}]", b, 1) for i, b in enumerate(intercepts)]
    n_outputs = getattr(estimator, "n_outputs_", None)
    sizes = _sizes(
        weights, biases, getattr(estimator, "n_features_in_", None), None if n_outputs is None else n_outputs * n_heads
    )
    dtype = np.result_type(np.float32, *weights, *biases)
    parts = [np.ravel(part) for pair in zip(weights, biases, strict=True) for part in (pair[0].T, pair[1])]
    return Layers(sizes, dtype, np.concatenate(parts, dtype=dtype))


def _as_list(name: str, value: Any) -> list[Any]:
    if isinstance(value, np.ndarray) and value.dtype != object:
        raise TypeError(f"{name}: expected a list with an array for each layer, got one array of shape {value.shape}")
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        raise TypeError(f"{name}: expected a list with an array for each layer, got {type(value).__name__}")
    return list(value)


def _check_array(name: str, value: Any, ndim: int) -> Any:
    """Check that one array is finite, and return it as float32 (from half precision, too) or float64 (all others)."""
    array = targets.numbers(name, value)
    if array.ndim != ndim or 0 in array.shape:
        expected = "(n_inputs, n_outputs)" if ndim == 2 else "(n_outputs,)"
        raise ValueError(f"{name}: expected shape {expected}, got shape {array.shape}")
    dtype = np.dtype(np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64)
    with np.errstate(over="ignore"):
        converted = array.astype(dtype, copy=False)
    if not np.isfinite(converted).all():
        place = tuple(np.argwhere(~np.isfinite(converted))[0].tolist())
        raise ValueError(f"{name}: expected finite numbers, got {arrays.number_text(array[place], dtype)} at {place}")
    return converted


def _sizes(weights: Sequence[Any], biases: Sequence[Any], n_features: int | None, n_outputs: int | None) -> list[int]:
    """Return the sizes of the layers; refuse the first array with a shape that does not fit its neighbours."""
    sizes = [len(weights[0]) if n_features is None else n_features]
    for i, (w, b) in enumerate(zip(weights, biases, strict=True)):
        last = i == len(weights) - 1
        n = n_outputs if last and n_outputs is not None else w.shape[1]
        if w.shape != (sizes[-1], n):
            turned = w.shape[::-1] in ((sizes[-1], n), (sizes[-1], len(b)))
            expected = (sizes[-1], len(b) if turned and not last else n)
            why = "n_features_in_" if i == 0 else f"coefs_[{i - 1}]"
            if last and n_outputs is not None:
                why += " and n_outputs_"
            hint = "; its transpose, w.T, has that shape" if w.shape[::-1] == expected else ""
            raise ValueError(f"coefs_[{i}]: expected shape {expected} to fit {why}, got shape {w.shape}{hint}")
        if b.shape != (n,):
            raise ValueError(f"intercepts_[{i}]: expected shape ({n},) to fit coefs_[{i}], got shape {b.shape}")
        sizes.append(n)
    return sizes
