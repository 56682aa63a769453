"""Weights of rows: checks `sample_weight` and `class_weight`, and combines them into one vector.

The loss of a batch is sum(w_i l_i) / sum(w_i), so that in a full batch a weight of 2 is like the row given twice, and a
weight of 0 like the row left out. The vector is a new C-contiguous float64 array, so that a change of the arguments
during a fit has no effect. Very large or very small weights are scaled by a power of two (see `in_range`); after that,
weights below the smallest normal number become 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arguments
from . import targets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..losses import Loss


def combine(
    sample_weight: object,
    class_weight: object,
    values: NDArray[Any] | None,
    labels: NDArray[np.int64] | None,
    n_outputs: int,
    loss: Loss,
) -> NDArray[np.float64]:
    """Return the weight of each row: its `sample_weight` times the weight of its class, where these are given."""
    n_rows = len(labels) if values is None else len(values)  # type: ignore[arg-type]
    weights = np.ones(n_rows) if sample_weight is None else check_sample_weight(sample_weight, n_rows)
    if class_weight is not None:
        n_classes = 2 if n_outputs == 1 else n_outputs
        weights = in_range(weights) * in_range(class_weights(class_weight, classes(values, labels, loss), n_classes))
    weights = in_range(weights)
    weights[weights < np.finfo(np.float64).tiny] = 0
    name = "sample_weight" if class_weight is None else "class_weight"
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not 0 < total < np.inf:
        raise ValueError(f"{name}: expected weights with a sum that is above 0 and finite, got {total}")
    return weights


def in_range(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weights, scaled by a power of two if sums of weighted losses could leave the range of float64.

    The factor makes the largest weight about 1; a factor common to all weights does not change a weighted mean.
    """
    largest = float(weights.max())
    if largest == 0 or 2.0**-511 <= largest <= 2.0**511:
        return weights
    return np.ldexp(weights, -math.frexp(largest)[1])


def check_batch(sample_weight: object, class_weight: object) -> None:
    """Raise a ValueError for checked weights of a batch of an iterable that are extremely large or small.

    `in_range` would scale them, but with a different factor for each batch, and the mean loss of an epoch needs a
    common one.
    """
    parts = [sample_weight, list(class_weight.values()) if isinstance(class_weight, Mapping) else None]
    for part in parts:
        largest = 0.0 if part is None else float(targets.numbers("sample_weight", part).max())
        if largest != 0 and not 2.0**-255 <= largest <= 2.0**255:
            raise ValueError(
                f"sample_weight, class_weight: expected weights whose largest is from 1e-76 to 1e76 beside an iterable "
                f"of batches, which are weighed against one another, got {largest:.6g}"
            )


def check_sample_weight(sample_weight: object, n_rows: int) -> NDArray[np.float64]:
    """Return the argument `sample_weight` as a new array (B,), after a check; a single row can have a number."""
    array = targets.numbers("sample_weight", sample_weight)
    if array.ndim == 0 and n_rows == 1:
        array = array[np.newaxis]
    if array.shape != (n_rows,):
        raise ValueError(f"sample_weight: expected shape ({n_rows},), one for each row of X, got shape {array.shape}")
    weights = np.array(array, dtype=np.float64)
    wrong = ~((weights >= 0) & (weights < np.inf))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(f"sample_weight: expected finite numbers of at least 0, got {weights[row]} at row {row}")
    return weights


def classes(values: NDArray[Any] | None, labels: NDArray[np.int64] | None, loss: Loss) -> NDArray[np.int64]:
    """Return the class of each row: its label, the index of the 1 in its targets, or whether its only target is 1."""
    if labels is not None:
        return labels
    assert values is not None
    whole = np.isin(values, (-1, 0, 1) if loss.targets == "one class" else (0, 1)).all()
    one = values.shape[1] == 1 or ((values == 1).sum(axis=1) == 1).all()
    if not (loss.classifies and whole and one):
        raise ValueError(
            f"class_weight: expected targets that are one class in each row, got others (loss {loss.name!r})"
        )
    found: NDArray[np.int64] = (values[:, 0] == 1).astype(np.int64) if values.shape[1] == 1 else values.argmax(axis=1)
    return found


def class_weights(class_weight: object, classes: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Return the weight of each row's class; "balanced" is n_rows / (number of classes in y * rows of the class)."""
    table = np.ones(n_classes)
    if isinstance(class_weight, str):
        arguments.name("class_weight", class_weight, ["balanced"])
        counts = np.bincount(classes, minlength=n_classes)
        table = len(classes) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    elif isinstance(class_weight, Mapping):
        for label, weight in class_weight.items():
            label = arguments.integer("class_weight: label", label, minimum=0, maximum=n_classes - 1)
            table[label] = arguments.real(f"class_weight[{label}]", weight, minimum=0.0)
    else:
        raise TypeError(
            f"class_weight: expected 'balanced' or a dict of a weight for each class label, got {class_weight!r}"
        )
    chosen: NDArray[np.float64] = table[classes]
    return chosen
