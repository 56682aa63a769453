"""Networks, rows and regularisations for the tests of regularisation, with each field alone and with all fields."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastmlp
from fastmlp import Regularization
from trainings import data

CERTAIN = [
    Regularization(l1=0.01),
    Regularization(l2=0.1),
    Regularization(l1=0.3, l2=0.5, per_row=True),
    Regularization(weight_decay=0.5),
    Regularization(clip_value=0.02),
    Regularization(clip_norm=0.05),
    Regularization(l2=0.1, clip_value=0.03, clip_norm=0.05),
    Regularization(max_norm=0.8),
    Regularization(average=0.9),
    Regularization(
        l1=0.01, l2=0.1, weight_decay=0.5, clip_value=0.1, clip_norm=0.2, max_norm=1.0, average=0.8, per_row=True
    ),
]
DRAWN = [
    Regularization(dropout=0.4),
    Regularization(dropout=(0.0, 0.7)),
    Regularization(input_dropout=0.3),
    Regularization(input_noise=0.5),
    Regularization(input_noise=0.2, input_dropout=0.2, dropout=(0.5, 0.1)),
]
EVERYTHING = Regularization(
    l1=0.01, l2=0.1, weight_decay=0.1, dropout=0.3, input_dropout=0.2, input_noise=0.1, max_norm=1.5, clip_norm=0.5,
    clip_value=0.2, average=0.8, per_row=True,
)  # fmt: skip
REGULARIZATIONS = [*CERTAIN, *DRAWN, EVERYTHING]
ROWS = [9, 300]  # batches of one piece and of two; a piece has 144 to 240 rows
OPTIMIZERS = [
    (fastmlp.SGD(0.05), 9),
    (fastmlp.SGD(0.05, momentum=0.9, nesterov=True), 300),
    (fastmlp.Adam(0.01), 9),
    (fastmlp.Adam(0.01), 300),
]


def network(build: Any, **kwargs: Any) -> Any:
    return build([5, 17, 20, 3], **{"activation": "tanh", "seed": 2, **kwargs})


def rows(n_rows: int, n_inputs: int = 5, n_outputs: int = 3) -> tuple[Any, Any]:
    X, _ = data(n_rows, n_inputs)
    return X, np.random.default_rng(1).integers(-32, 33, size=(n_rows, n_outputs)) / 16


def check(build: Any, net: Any, oracle: Any, n_steps: int) -> None:
    build.assert_close(net.parameters, oracle, net.sizes, passes=3 * n_steps)
