"""What `fastmlp train` does with rows before the training: names of tasks and scalings, rows set apart for tests.

What no scaling can be learnt from is named by its file and column, once a training has refused it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TASKS = ("auto", "classification", "regression")
SCALINGS = ("auto", "standard", "minmax", "none")


def choose_scaling(kind: str, x: NDArray[Any]) -> str | None:
    """The scaling of inputs that a network is to learn; "auto" is "minmax" for bytes (images), else "standard"."""
    if kind == "auto":
        kind = "minmax" if x.dtype == np.uint8 else "standard"
    return None if kind == "none" else kind


def refuse_wide(path: str, values: NDArray[Any], names: Sequence[str]) -> None:
    """Refuse the first column whose largest and smallest number are further apart than float64 can hold."""
    least, most = values.min(axis=0).astype(np.float64), values.max(axis=0).astype(np.float64)
    with np.errstate(over="ignore"):
        wide = np.flatnonzero(np.isinf(most - least))
    if len(wide):
        i = int(wide[0])
        raise ValueError(
            f"{path}: {names[i]}: expected numbers whose range float64 can hold, got {least[i]} to {most[i]}; divide "
            "them by 1e300, say, or leave such rows out"
        )


def split(y: NDArray[Any], fraction: float, seed: int, stratified: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Indices of the rows to train on and to test on, both in the file's order.

    Rows are put in random order, sorted by class where stratified, and every 1/fraction-th goes to the
    test: floor(n * fraction) rows, and of every class its share to within one row.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(y))
    if stratified:
        classes = y.astype(np.int16) if y.max() < 2**15 else y  # which NumPy sorts in linear time
        order = order[np.argsort(classes[order], kind="stable")]
    reached = np.floor(np.arange(len(y) + 1) * fraction + 1e-9)
    tested = np.zeros(len(y), bool)
    tested[order[reached[1:] > reached[:-1]]] = True
    return np.flatnonzero(~tested), np.flatnonzero(tested)
