"""Shapes of what a graph computes for rows: which dimension is the batch, and how the others make the columns.

A shape is a tuple with None for the batch; the other dimensions, in their order, are those of a row. Operators may move
the batch and split or join the columns, but not mix the two, and not reorder the columns.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import onnx_evaluate
from .onnx_graph import Operation

Shape = tuple[int | None, ...]
BATCH = -(2**40)  # what stands for the number of rows in an array of a shape


def columns(shape: Shape) -> int:
    """Return the number of columns of a row."""
    return math.prod(size for size in shape if size is not None)


def row(shape: Shape) -> tuple[int, ...]:
    """Return the shape of a row."""
    return tuple(size for size in shape if size is not None)


def as_array(shape: Shape) -> NDArray[np.int64]:
    """Return the shape as an array, as the operator Shape gives it."""
    return np.array([BATCH if size is None else size for size in shape], np.int64)


def reshaped(o: Operation, shape: Shape, target: list[int], batch: int | None) -> Shape | None:
    """Return the shape after Reshape; None if rows would be mixed. `batch` is the example's, if the file fixes it."""
    if len(target) > 8 or any(size < -1 and size != BATCH for size in target):
        o.refuse(f"the shape {target[:9]}")
    if not o.integer("allowzero", 0):
        kept = (shape[i] if i < len(shape) else 0 for i in range(len(target)))
        given: list[Any] = [old if size == 0 else size for size, old in zip(target, kept, strict=True)]
    else:
        given = list(target)
    given = [None if size == BATCH else size for size in given]
    n, fixed = columns(shape), [size for size in given if size is not None and size != -1]
    if None in given:
        if given.count(None) != 1:
            return None
        if -1 in given:
            given[given.index(-1)] = n // math.prod(fixed) if math.prod(fixed) else 0
        return tuple(given) if columns(tuple(given)) == n else None
    return _without_batch(given, fixed, n, batch)


def _without_batch(given: list[Any], fixed: list[int], n: int, batch: int | None) -> Shape | None:
    """Return a shape in which -1, or the first dimension of the example's batch, is the batch."""
    if -1 in given and math.prod(fixed) == n and (n > 1 or given[0] == -1 or batch is None):
        given[given.index(-1)] = None
        return tuple(given)
    if given and batch is not None and given[0] == batch:
        given[0], rest = None, [size for size in given[1:] if size != -1]
        if -1 in given and math.prod(rest):
            given[given.index(-1)] = n // math.prod(rest)
        return tuple(given) if columns(tuple(given)) == n and -1 not in given else None
    return None


def transposed(o: Operation, shape: Shape) -> Shape:
    """Return the shape after Transpose, which may move the batch and dimensions of 1 alone."""
    order = o.integers("perm") or list(range(len(shape)))[::-1]
    if sorted(order) != list(range(len(shape))):
        o.refuse(f"the order {order} of {len(shape)} dimensions")
    moved = [i for i in order if shape[i] is not None and shape[i] != 1]
    if moved != sorted(moved):
        o.refuse("a Transpose that reorders the columns of a row", "reorder the columns of the data")
    return tuple(shape[i] for i in order)


def squeezed(o: Operation, shape: Shape, axes: NDArray[Any] | None, batch: int | None) -> Shape:
    """Return the shape after Squeeze."""
    found = onnx_evaluate.axes_of(o, axes, len(shape))
    if found is None:
        if batch == 1:
            o.refuse("a Squeeze without axes of a batch of 1, whose batch it removes", "export it with a free batch")
        found = [i for i, size in enumerate(shape) if size == 1]
    if any(shape[i] != 1 for i in found):
        o.refuse(f"a Squeeze of the axes {found} of the shape {list(shape)}", "None is the batch, which must stay")
    return tuple(size for i, size in enumerate(shape) if i not in found)


def unsqueezed(o: Operation, shape: Shape, axes: NDArray[Any] | None) -> Shape:
    """Return the shape after Unsqueeze."""
    count = len((o.integers("axes") or []) if axes is None else axes.reshape(-1))
    found = onnx_evaluate.axes_of(o, axes, len(shape) + count) or []
    rest = iter(shape)
    return tuple(1 if i in found else next(rest) for i in range(len(shape) + count))


def flattened(o: Operation, shape: Shape) -> Shape | None:
    """Return the shape after Flatten; None if rows would be mixed."""
    axis = o.integer("axis", 1)
    axis += len(shape) if axis < 0 else 0
    before, after = shape[:axis], shape[axis:]
    if None in before and columns(before) == 1:
        return None, columns(after)
    if None in after and columns(after) == 1:
        return columns(before), None
    return None


def for_columns(o: Operation, shape: Shape, constant: NDArray[Any]) -> tuple[NDArray[np.float64] | float, Shape]:
    """Return the numbers of a constant for each column, or the only one, and the shape of what both make together."""
    rank = max(len(shape), constant.ndim)
    shape = (1,) * (rank - len(shape)) + shape
    sizes = (1,) * (rank - constant.ndim) + constant.shape
    for size, other in zip(shape, sizes, strict=True):
        if other != 1 and other != size:
            o.refuse(
                f"a constant of shape {list(constant.shape)} beside rows of shape {list(shape)} (None: the batch)",
                "constants with one number, or with one for each column, can be imported",
            )
    numbers = constant.astype(np.float64)
    if numbers.size == 1:
        return float(numbers.reshape(-1)[0]), shape
    numbers = numbers.reshape([other for size, other in zip(shape, sizes, strict=True) if size is not None])
    return np.ascontiguousarray(np.broadcast_to(numbers, row(shape)).reshape(-1)), shape
