"""Checks and conversion of targets and parameters, and the errors about them, about numbers of X and about `out`.

The functions return C-contiguous arrays of the requested dtype; targets that are in a memory-mapped file, or that will
be scaled, keep a dtype that the core reads. An argument that is already in that form is returned itself. No function
writes into an argument. The conversion of input rows is in arrays.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from . import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..losses import Loss
    from ..scaling import Scaling


def numbers(argument: str, value: object) -> NDArray[Any]:
    """Return the value as an array of real numbers of any dtype."""
    array = arrays.as_array(argument, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
    return array


def cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the array in C order, aligned and with that dtype; too large values become infinite without a warning."""
    with np.errstate(over="ignore"):
        return np.require(array, dtype=dtype, requirements=["C", "A"])


def refuse_output(out: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NoReturn:
    """Raise an error that says why predictions of that shape and dtype cannot be written to `out`."""
    expected = f"out: expected a writeable C-contiguous array of shape {shape} and dtype {dtype}, got "
    if not isinstance(out, np.ndarray):
        raise TypeError(expected + repr(type(out).__name__))
    if out.shape != shape:
        raise ValueError(f"{expected}shape {out.shape}")
    if out.dtype != dtype:
        raise ValueError(f"{expected}dtype {out.dtype}")
    raise ValueError(
        expected + ("a read-only array" if not out.flags.writeable else "an array of another layout or class")
    )


def is_output(out: object, shape: tuple[int, ...], dtype: Any) -> bool:
    """Return whether predictions of that shape and dtype can be written to `out`."""
    return type(out) is np.ndarray and out.shape == shape and out.dtype == dtype and out.flags.carray


def refuse_not_finite(argument: str, x: Any, dtype: np.dtype[Any], scaling: Scaling | None = None) -> NoReturn:
    """Raise a ValueError with the row, column and value of the first number that is NaN or infinite in that dtype.

    x is an array of rows, a single row or `arrays.SparseRows`. If all its numbers are finite, the message is about the
    first one that is not finite after scaling.
    """
    expected, found = "finite numbers", arrays.first_not_finite(x, dtype)
    if found is None and scaling is not None:
        expected, found = f"numbers that are finite in {dtype} once scaled", arrays.first_not_finite(x, dtype, scaling)
    if found is None:
        raise ValueError(
            f"{argument}: its numbers changed while they were read; expected an array that no other thread writes to"
        )
    row, column, value = found
    where = f"row {row}, column {column}" if x.ndim == 2 else f"column {column}"
    got = arrays.number_text(value, dtype) if scaling is None else f"{value}"
    raise ValueError(f"{argument}: expected {expected}, got {got} at {where}")


def refuse_loss() -> NoReturn:
    """Raise the error for a loss, or a parameter or optimiser's state after a step, that is not finite."""
    raise FloatingPointError(
        "loss: expected a finite number, got one that is not, in the loss, the parameters or the optimizer's state "
        "(its squared gradients, say); the parameters of the last good epoch or step are kept "
        "(a smaller learning_rate, or inputs scaled to about [-1, 1], usually helps)"
    )


def _is_one_class(t: NDArray[Any]) -> Any:
    """Return for each element whether it is -1, 0 or 1 and, if rows have several elements, its row has a single 1."""
    return np.isin(t, (-1, 0, 1)) & ((t.shape[1] == 1) | ((t == 1).sum(axis=1, keepdims=True) == 1))


class Targets(NamedTuple):
    """The targets that a loss takes.

    `description` is for messages; `fit` returns which elements of an array (B, n_targets) the loss takes; all numbers
    within `bounds` are taken.
    """

    description: str
    fit: Callable[[NDArray[Any]], Any]
    bounds: tuple[float, float]


TARGETS = {
    "real": Targets("real targets", np.isfinite, (-np.inf, np.inf)),
    "probability": Targets("targets in [0, 1]", lambda t: (t >= 0) & (t <= 1), (0.0, 1.0)),
    "not negative": Targets("targets of at least 0", lambda t: t >= 0, (0.0, np.inf)),
    "positive": Targets("targets above 0", lambda t: t > 0, (float(np.finfo(np.float32).tiny), np.inf)),
    "one class": Targets("targets -1 and 1, or 0 and 1, or rows with one 1", _is_one_class, (1.0, 1.0)),
}


def targets(
    y: object, n_rows: int, n_outputs: int, dtype: np.dtype[Any], loss: Loss, *, single: bool, scaled: bool = False
) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None]:
    """Check y, and return (values, None) with target values (B, n_targets), or (None, labels) with class labels (B,).

    If `single`, y is the target of one row, without the axis of rows. Targets that will be scaled (`scaled`), or that
    are in a memory-mapped file, keep their dtype if the core can read it.
    """
    array = numbers("y", y)
    n_outputs //= loss.n_heads
    if single:
        array = array[np.newaxis]
    if array.ndim == 1 and n_outputs == 1:
        array = array[:, np.newaxis]
    if array.shape == (n_rows,) and n_outputs > 1:
        if loss.targets == "positive":
            raise ValueError(f"y: expected {TARGETS[loss.targets].description} for {loss.name}, got class labels")
        return None, labels(array, n_outputs)
    if array.shape != (n_rows, n_outputs):
        expected = f"({n_rows}, {n_outputs})" + (f" or class labels of shape ({n_rows},)" if n_outputs > 1 else "")
        if n_outputs == 1:
            expected += f" or ({n_rows},)"
        if single:
            expected = f"({n_outputs},) or a number" if n_outputs == 1 else f"({n_outputs},) or a class label"
        raise ValueError(
            f"y: expected shape {expected} to match X of {'one row' if single else f'{n_rows} rows'}, "
            f"got shape {array.shape[1:] if single else array.shape}"
        )
    kept = scaled or arrays.is_mapped(array)
    wide = np.dtype(np.float64) if scaled else dtype  # targets keep their precision until they are scaled
    with np.errstate(over="ignore"):
        values = arrays.readable(array, wide, row_gaps=False) if kept else cast(array, dtype)
    if arrays.first_not_finite(values, values.dtype if scaled else dtype) is not None:
        refuse_not_finite("y", array, values.dtype if scaled else dtype)
    if loss.targets != "real":
        check_values(values, loss)
    return values, None


def check_values(values: NDArray[Any], loss: Loss) -> None:
    """Raise a ValueError for the first of the targets (B, n_targets) that the loss does not take."""
    expected, fit, _ = TARGETS[loss.targets]
    for first, piece in arrays.pieces(values):
        right = fit(piece)
        if not right.all():
            row, column = np.argwhere(~right)[0].tolist()
            value, row = piece[row, column], first + row
            raise ValueError(f"y: expected {expected} for {loss.name}, got {value} at row {row}, column {column}")


def labels(array: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return class labels as int64, after a check that each is an integer from 0 to n_classes - 1.

    int64 labels in a memory-mapped file are not copied.
    """
    for first, piece in arrays.pieces(array[:, np.newaxis]):
        wrong = ~((piece >= 0) & (piece < n_classes))
        if array.dtype.kind == "f":
            wrong |= piece != np.floor(piece)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise ValueError(
                f"y: expected class labels, whole numbers from 0 to {n_classes - 1}, got {piece[row, 0]} at row "
                f"{first + row}"
            )
    in_place = array.dtype == np.int64 and array.flags.c_contiguous and array.flags.aligned
    if in_place and arrays.is_mapped(array):
        return array  # the core checks each label again
    return np.array(array, dtype=np.int64)  # a copy, as a change during a fit could make the core read out of bounds


def check_loss_result(answer: object, n_rows: int, n_outputs: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the losses (B,) and gradients (B, O) that a user's loss has returned, after a check."""
    wanted = f"(losses of shape ({n_rows},), gradients of shape ({n_rows}, {n_outputs}))"
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise TypeError(f"loss: expected the function to return {wanted}, got {type(answer).__name__}")
    loss, gradient = numbers("loss: its losses", answer[0]), numbers("loss: its gradients", answer[1])
    if loss.shape != (n_rows,) or gradient.shape != (n_rows, n_outputs):
        raise ValueError(f"loss: expected the function to return {wanted}, got shapes {loss.shape}, {gradient.shape}")
    return loss, gradient


def layer_parameters(
    w: object, b: object, layer: int, n_inputs: int, n_outputs: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weights (O, I) and biases (O,) of one layer, after a check that they are finite."""
    parts = []
    for argument, value, shape in (("w", w, (n_outputs, n_inputs)), ("b", b, (n_outputs,))):
        array = numbers(argument, value)
        if array.shape != shape:
            raise ValueError(f"{argument}: expected shape {shape} for layer {layer}, got shape {array.shape}")
        given, array = array, cast(array, dtype)
        if not np.isfinite(array).all():
            index = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
            shown = arrays.number_text(given[index], dtype)
            raise ValueError(f"{argument}: expected finite numbers, got {shown} in layer {layer} at {index}")
        parts.append(array)
    return parts[0], parts[1]


def population(P: object, n_parameters: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return P (K, n_parameters), the parameter vectors of K networks, in that dtype; refuse any that is not finite."""
    array = numbers("P", P)
    if array.ndim != 2 or array.shape[1] != n_parameters or not len(array):
        raise ValueError(f"P: expected shape (K, {n_parameters}) with K >= 1, got shape {array.shape}")
    given, array = array, cast(array, dtype)
    found = arrays.first_not_finite(array, dtype)
    if found is not None:
        network, index, _ = found
        shown = arrays.number_text(given[network, index], dtype)
        raise ValueError(f"P: expected finite numbers, got {shown} at index {index} of network {network}")
    return array


def parameter_vector(P: object, sizes: tuple[int, ...], n_parameters: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return P as a vector of n_parameters finite numbers, after a check; an error names the layer."""
    array = numbers("parameters", P)
    if array.shape != (n_parameters,):
        raise ValueError(f"parameters: expected shape ({n_parameters},), got shape {array.shape}")
    given, array = array, cast(array, dtype)
    if not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        ends = np.cumsum([(i + 1) * o for i, o in itertools.pairwise(sizes)])
        layer = int(np.searchsorted(ends, index, side="right"))
        shown = arrays.number_text(given[index], dtype)
        raise ValueError(f"parameters: expected finite numbers, got {shown} at index {index} (layer {layer})")
    return array
