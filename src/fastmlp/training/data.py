"""The data of a fit: which rows are trained on and which are validated on, all checked before anything is written."""

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
    network: Network, rows: _core.Rows, validation: _core.Rows | None, plan: FitPlan, known: Schema
) -> tuple[_core.Rows, _core.Rows | None]:
    """The rows to train on, and those to validate on if there are any."""
    if plan.validation_split is not None and validation is not None:
        raise ValueError("validation_split: expected None beside validation_data, got both")
    if plan.validation_split is not None:
        whole, (rows, validation) = rows, split(rows, plan.validation_split)
        if arrays.first_not_finite(validation.x, network.dtype) is not None:
            refuse_not_finite(network, "X", whole)  # with the row that it is in
    if plan.metrics and validation is None:
        raise ValueError("metrics: expected validation_data or validation_split to go with them, got neither")
    if plan.class_weight is not None:  # of the rows that are trained on
        rows = network._weighted(rows, rows.weights, plan.class_weight, known)
    return rows, validation


def split(rows: _core.Rows, share: float) -> tuple[_core.Rows, _core.Rows]:
    """All rows but the last share of them, rounded up to whole rows, and those."""
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
    """How many rows are left before the last share of them."""
    return math.floor(n_rows * (1 - share) + 1e-9)  # 10 * (1 - 0.9) is 0.9999999999999998


def check_validation(network: Network, validation_data: object, known: Schema | None) -> _core.Rows | None:
    """The validation rows, finite, of that schema (None: the network's); an error says that they are the
    validation's.
    """
    if validation_data is None:
        return None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(validation_data).__name__}"
        )
    try:
        rows = network._rows(*validation_data, often=True, known=known)
        check_rank(network, rows)
        refuse_not_finite(network, "X", rows)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None
    return rows


def check_rank(network: Network, rows: _core.Rows) -> None:
    """Refuses a single row where many are expected."""
    if rows.x.ndim != 2:
        raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")


def refuse_not_finite(network: Network, argument: str, rows: _core.Rows) -> None:
    """An error if a number in the inputs is NaN or infinite; training looks while it gathers, validation does not."""
    if arrays.first_not_finite(rows.x, network.dtype) is not None:
        targets.refuse_not_finite(argument, rows.x, network.dtype)
