"""Ten small problems for a minimiser: test_lbfgs.py compares its minima with SciPy's, bench/lbfgs.py its time."""

from __future__ import annotations

from typing import Any

import numpy as np


def problems() -> list[tuple[str, list[int], dict[str, Any], Any, Any]]:
    """Return ten problems: name, sizes, keyword arguments of the network, X, y.

    Linear models have one minimum, networks with hidden layers several.
    """
    rng = np.random.default_rng(11)
    X = rng.normal(size=(60, 3))
    numbers = X @ [[1.0], [-2.0], [0.5]] + 0.3 * rng.normal(size=(60, 1))
    labels = (numbers[:, 0] + rng.normal(size=60) > 0).astype(int)
    three = np.digitize(numbers[:, 0] + 2 * rng.normal(size=60), [-1, 1])
    badly_scaled = X * [1.0, 30.0, 0.1]
    wave = np.sin(2 * X[:, :1]) + X[:, 1:2] ** 2
    shares = rng.dirichlet([1.0, 2.0, 3.0], size=60)
    bits = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    tanh = {"activation": "tanh"}
    return [
        ("linear", [3, 1], {}, X, numbers),
        ("linear, badly scaled", [3, 1], {"loss": "half_squared_error"}, badly_scaled, numbers),
        ("logistic", [3, 1], {"loss": "binary_cross_entropy"}, X, labels.astype(float)),
        ("logistic, badly scaled", [3, 1], {"loss": "binary_cross_entropy"}, badly_scaled, labels.astype(float)),
        ("softmax", [3, 3], {"loss": "cross_entropy"}, X, three),
        ("softmax of shares", [3, 3], {"loss": "cross_entropy"}, X, shares),
        ("sigmoid by squares", [3, 1], {"output_activation": "sigmoid"}, X, labels.astype(float)),
        ("one hidden unit", [3, 1, 1], tanh, X, np.tanh(numbers) + 0.2 * wave),
        ("two hidden units", [3, 2, 1], {**tanh, "loss": "squared_error"}, X, wave),
        ("exclusive or", [2, 2, 1], {**tanh, "loss": "half_squared_error"}, bits, [0.0, 1.0, 1.0, 0.0]),
    ]
