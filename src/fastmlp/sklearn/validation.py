"""scikit-learn's checks of data, with masked arrays as arrays in which what is masked is missing.

scikit-learn's own checks drop a mask without a word and go on with the numbers under it. Here they see NaN, and refuse
it as they refuse any other.
"""

from __future__ import annotations

from typing import Any

from sklearn.utils import validation

from ..inputs.arrays import unmasked


def validate_data(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Like scikit-learn's function of that name."""
    return validation.validate_data(estimator, unmasked(X), *map(unmasked, y), **options)


def check_sample_weight(sample_weight: Any, X: Any) -> Any:
    """Like scikit-learn's `_check_sample_weight`."""
    return validation._check_sample_weight(unmasked(sample_weight), X)
