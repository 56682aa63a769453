"""Checks the rows of a fit, and divides them into rows to train on and rows to validate on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import _core
from ..inputs import arrays, targets

if TYPE_CHECKING:
    from ..inputs.schema import Schema
    from ..network import Network
    from .plan import FitPlan


def divide(
    network: Network, rows: _core.Rows, validation: _core.Rows | None, plan: FitPlan, schema: Schema
) -> tuple[_core.Rows, _core.Rows | None]:
    """Return the rows to train on, with their class weights, and the rows to validate on or None."""
    if plan.validation_split is not None and validation is not None:
        raise ValueError("validation_split: expected None beside validation_data, got both")
    if plan.validation_split is not None:
        whole, (rows, validation) = rows, split(rows, plan.validation_split)
        if arrays.first_not_finite(validation.x, network.dtype) is not None:
            refuse_not_finite(network, "X", whole)  # so that the message has the index of the row in X
    if plan.metrics and validation is None:
        raise ValueError("metrics: expected validation_data or validation_split to go with them, got neither")
    if plan.class_weight is not None:  # "balanced" counts the rows that are trained on
        rows = network._with_weights(rows, rows.weights, plan.class_weight, schema)
    return rows, validation


def split(rows: _core.Rows, share: float) -> tuple[_core.Rows, _core.Rows]:
    """Split off the share of rows at the end, rounded up to whole rows: return (the rows before it, that share)."""
    n = rows_to_train_on(rows.n_rows, share)
    if not 0 < n < rows.n_rows:
        raise ValueError(
            f"validation_split: expected a share that leaves rows on both sides, got {share} of {rows.n_rows}"
        )
    parts = []
    for part in (slice(None, n), slice(n, None)):
        y = rows.values if rows.values is not None else rows.labels
        assert y is not None
        values, labels = (y[part], None) if rows.values is not None else (None, y[part])
        weights = None if rows.weights is None else rows.weights[part]
        parts.append(_core.Rows(rows.x[part], values, labels, weights))
        if not parts[-1].total_weight > 0:
            raise ValueError(
                "sample_weight: expected weights above 0 on both sides of validation_split, got only zeros"
            )
    return parts[0], parts[1]


def rows_to_train_on(n_rows: int, share: float) -> int:
    """Return how many of n_rows are left if this share of them, rounded up to whole rows, is set apart."""
    return math.floor(n_rows * (1 - share) + 1e-9)  # 10 * (1 - 0.9) is 0.9999999999999998


def check_validation(network: Network, validation_data: object, schema: Schema | None) -> _core.Rows | None:
    """Check and convert the rows of `validation_data`; messages of errors begin with its name.

    `schema` is the schema of their columns; None is the network's.
    """
    if validation_data is None:
        return None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(validation_data).__name__}"
        )
    try:
        rows = network._rows(*validation_data, often=True, schema=schema)
        check_rank(network, rows)
        refuse_not_finite(network, "X", rows)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None
    return rows


def check_rank(network: Network, rows: _core.Rows) -> None:
    """Raise a ValueError if X is a single row, a vector, where a matrix of rows is expected."""
    if rows.x.ndim != 2:
        raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")


def refuse_not_finite(network: Network, argument: str, rows: _core.Rows) -> None:
    """Raise an error if a number in the inputs is NaN or infinite.

    Rows to train on need no such check in advance: the core checks them while it gathers a batch.
    """
    if arrays.first_not_finite(rows.x, network.dtype) is not None:
        targets.refuse_not_finite(argument, rows.x, network.dtype)
