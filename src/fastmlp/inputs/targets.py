"""From what users pass to what kernels read: targets, parameters; and the errors about them and about `out`.

Nothing here writes into an argument. What comes back is C-contiguous and of the dtype asked for (targets in a file, or
to be scaled, keep a type that the core reads), and is the argument itself where that fits already. Input rows are
what `arrays.py` is for.
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
    """The value as an array of real numbers of whatever dtype."""
    array = arrays.as_array(argument, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{argument}: expected real numbers, got dtype {array.dtype}")
    return array


def cast(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in C order, aligned and of that dtype; too large values become infinite, quietly."""
    with np.errstate(over="ignore"):
        return np.require(array, dtype=dtype, requirements=["C", "A"])


def refuse_output(out: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NoReturn:
    """Says why `out` cannot take predictions of that shape."""
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
    """Whether predictions of that shape and dtype can be written to `out`."""
    return type(out) is np.ndarray and out.shape == shape and out.dtype == dtype and out.flags.carray


def refuse_not_finite(argument: str, x: Any, dtype: np.dtype[Any], scaling: Scaling | None = None) -> NoReturn:
    """Names the first row and column (of a single row: the column) that is NaN or infinite in that dtype, or becomes so
    when it is scaled; x: an array, a row or `arrays.SparseRows`.
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
    got = arrays.told(value, dtype) if scaling is None else f"{value}"
    raise ValueError(f"{argument}: expected {expected}, got {got} at {where}")


def refuse_loss() -> NoReturn:
    """The loss, or what the step made of the parameters or of the optimiser's state, is not finite."""
    raise FloatingPointError(
        "loss: expected a finite number, got one that is not, in the loss, the parameters or the optimizer's state "
        "(its squared gradients, say); the parameters of the last good epoch or step are kept "
        "(a smaller learning_rate, or inputs scaled to about [-1, 1], usually helps)"
    )


def _is_one_class(t: NDArray[Any]) -> Any:
    """By element, whether it is -1, 0 or 1 and, in rows of several, there is one 1."""
    return np.isin(t, (-1, 0, 1)) & ((t.shape[1] == 1) | ((t == 1).sum(axis=1, keepdims=True) == 1))


class Targets(NamedTuple):
    """What targets a loss takes: in words; which elements of (B, n_targets) fit; numbers between which all do."""

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
    """y as target values (B, n_targets) or as class labels (B,), whichever it is; the other one is None.

    A single row's target comes without the first axis. What will be scaled, or lies in a file, is left of the type that
    it has, if the core can read that.
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
    wide = np.dtype(np.float64) if scaled else dtype  # what will be scaled keeps its digits until then
    with np.errstate(over="ignore"):
        values = arrays.readable(array, wide, apart=False) if kept else cast(array, dtype)
    if arrays.first_not_finite(values, values.dtype if scaled else dtype) is not None:
        refuse_not_finite("y", array, values.dtype if scaled else dtype)
    if loss.targets != "real":
        check_values(values, loss)
    return values, None


def check_values(values: NDArray[Any], loss: Loss) -> None:
    """Names the first target (B, n_targets) that the loss does not take."""
    expected, fit, _ = TARGETS[loss.targets]
    for first, piece in arrays.pieces(values):
        right = fit(piece)
        if not right.all():
            row, column = np.argwhere(~right)[0].tolist()
            value, row = piece[row, column], first + row
            raise ValueError(f"y: expected {expected} for {loss.name}, got {value} at row {row}, column {column}")


def labels(array: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Class labels as int64, each a whole number in 0 ... n_classes - 1; a file's are left where they are."""
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
        return array  # the core looks at each again
    return np.array(array, dtype=np.int64)  # a copy: who changes theirs during a fit must not lead it out of bounds


def own_loss(answer: object, n_rows: int, n_outputs: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """What a user's loss has returned: the losses (B,) and gradients (B, O), real numbers."""
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
    """The weights (O, I) and biases (O,) of one layer, finite."""
    parts = []
    for argument, value, shape in (("w", w, (n_outputs, n_inputs)), ("b", b, (n_outputs,))):
        array = numbers(argument, value)
        if array.shape != shape:
            raise ValueError(f"{argument}: expected shape {shape} for layer {layer}, got shape {array.shape}")
        given, array = array, cast(array, dtype)
        if not np.isfinite(array).all():
            index = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
            told = arrays.told(given[index], dtype)
            raise ValueError(f"{argument}: expected finite numbers, got {told} in layer {layer} at {index}")
        parts.append(array)
    return parts[0], parts[1]


def population(P: object, n_parameters: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """P as one finite parameter vector (n_parameters,) of each network, an array (K, n_parameters)."""
    array = numbers("P", P)
    if array.ndim != 2 or array.shape[1] != n_parameters or not len(array):
        raise ValueError(f"P: expected shape (K, {n_parameters}) with K >= 1, got shape {array.shape}")
    given, array = array, cast(array, dtype)
    found = arrays.first_not_finite(array, dtype)
    if found is not None:
        network, index, _ = found
        told = arrays.told(given[network, index], dtype)
        raise ValueError(f"P: expected finite numbers, got {told} at index {index} of network {network}")
    return array


def parameter_vector(P: object, sizes: tuple[int, ...], n_parameters: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """P as a vector of n_parameters finite numbers; an error says in which layer."""
    array = numbers("parameters", P)
    if array.shape != (n_parameters,):
        raise ValueError(f"parameters: expected shape ({n_parameters},), got shape {array.shape}")
    given, array = array, cast(array, dtype)
    if not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        ends = np.cumsum([(i + 1) * o for i, o in itertools.pairwise(sizes)])
        layer = int(np.searchsorted(ends, index, side="right"))
        told = arrays.told(given[index], dtype)
        raise ValueError(f"parameters: expected finite numbers, got {told} at index {index} (layer {layer})")
    return array
