"""What `fastmlp train` does with rows before the training: it names the scaling, and sets rows apart for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALINGS = ("auto", "standard", "minmax", "none")


def choose_scaling(kind: str, x: NDArray[Any]) -> str | None:
    """The scaling of inputs that a network is to learn; "auto" is "minmax" for bytes (images), else "standard"."""
    if kind == "auto":
        kind = "minmax" if x.dtype == np.uint8 else "standard"
    return None if kind == "none" else kind


def split(y: NDArray[Any], fraction: float, seed: int, stratified: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices of the rows to train on and to test on, both in the file's order.

    Rows are put in random order, sorted by class where stratified, and every 1/fraction-th goes to the
    test: floor(n * fraction) rows, and of every class its share to within one row.
    """
    order = np.argsort(np.random.Generator(np.random.PCG64(seed)).random(len(y)), kind="stable")
    if stratified:
        order = order[np.argsort(y[order], kind="stable")]
    reached = np.floor(np.arange(len(y) + 1) * fraction + 1e-9)
    tested = reached[1:] > reached[:-1]
    return np.sort(order[~tested]), np.sort(order[tested])
