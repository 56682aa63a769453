"""Preparation of the rows for `fastmlp train`: the choice of a scaling, and the split into training and test rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TASKS = ("auto", "classification", "regression")
SCALINGS = ("auto", "standard", "minmax", "none")
BLOCK_ROWS = 2**14  # rows that `split` handles at a time, so that their numbers stay in the cache


def choose_scaling(kind: str, x: NDArray[Any]) -> str | None:
    """Return the name of the scaling of the inputs; "auto" is "minmax" for bytes (images), else "standard"."""
    if kind == "auto":
        kind = "minmax" if x.dtype == np.uint8 else "standard"
    return None if kind == "none" else kind


def refuse_wide(path: str, values: NDArray[Any], names: Sequence[str]) -> None:
    """Refuse the first column with a range (maximum minus minimum) that float64 cannot represent.

    It is called after a training has failed, to name the file and the column.
    """
    low, high = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore"):
        wide = np.flatnonzero(np.isinf(high - low))
    if len(wide):
        i = int(wide[0])
        raise ValueError(
            f"{path}: {names[i]}: expected numbers whose range float64 can hold, got {low[i]} to {high[i]}; divide "
            "them by 1e300, say, or leave such rows out"
        )


def split(y: NDArray[Any], fraction: float, seed: int, stratified: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the indices of the rows to train on and of those to test on, both in ascending order.

    The rows are shuffled, then sorted by class if `stratified`, and every 1/fraction-th one becomes a test row. These
    are floor(n * fraction) rows, and of each class this fraction to within one row.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(y))
    if stratified:
        classes = y.astype(np.int16) if y.max() < 2**15 else y  # NumPy sorts int16 in linear time
        order = order[np.argsort(classes[order], kind="stable")]
    tested = np.zeros(len(y), bool)
    for first in range(0, len(y), BLOCK_ROWS):
        some = order[first : first + BLOCK_ROWS]
        reached = np.floor(np.arange(first, first + len(some) + 1) * fraction + 1e-9)
        tested[some[reached[1:] > reached[:-1]]] = True
    return np.flatnonzero(~tested), np.flatnonzero(tested)
