"""scikit-learn's checks of data, with the masked elements of masked arrays as NaN.

scikit-learn's own checks silently drop the mask and use the numbers under it. Here they see NaN instead, which they
refuse.
"""

from __future__ import annotations

from typing import Any

from sklearn.utils import validation

from ..inputs.arrays import unmasked


def validate_data(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:
    """Validate data like scikit-learn's function of this name."""
    return validation.validate_data(estimator, unmasked(X), *map(unmasked, y), **options)


def check_sample_weight(sample_weight: Any, X: Any) -> Any:
    """Check the weights like scikit-learn's `_check_sample_weight`."""
    return validation._check_sample_weight(unmasked(sample_weight), X)
