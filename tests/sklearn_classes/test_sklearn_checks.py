"""scikit-learn's estimator checks on both classes; none is expected to fail."""

from __future__ import annotations

import unittest
from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = pytest.mark.oracle

from sklearn.utils.estimator_checks import parametrize_with_checks  # noqa: E402

from fastmlp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

# Checks that say themselves that they have nothing to look at: neither class has a decision_function, and Array API
# inputs other than NumPy's are looked at where an environment variable says so.
NOTHING_TO_CHECK = (
    "check_array_api_input",
    "check_classifiers_multilabel_output_format_decision_function",
    "check_decision_proba_consistency",
)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)])
def test_check(estimator: Any, check: Any) -> None:
    try:
        check(estimator)
    except unittest.SkipTest:
        if check.func.__name__ not in NOTHING_TO_CHECK:
            raise
