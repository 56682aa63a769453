"""Makes the layers of a network of a chain, in float64: `fold`.

What a layer can say goes into it: an `Affine` between layers becomes a part of the weights and biases beside it, in
float64; the network then rounds each parameter once. At the ends it does not. The steps before the first layer become
the input scaling, and those after the last the target scaling, because w / scale and b - w offset / scale cancel where
a column lies far from 0. A sign, or a factor of 0, goes into a layer in any case, because the scales of a `Scaling` are
above 0. Two `Linear` in succession stay two layers, so that a network that is written and read again has its layers.

`checking.network` is the only caller.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses
from ..activations import Activation, Identity, Sigmoid, Softmax
from ..architecture import Architecture, check_dtype
from ..errors import FormatError
from ..frozen import frozen
from ..losses import BinaryCrossEntropy, CrossEntropy, HalfSquaredError, Loss
from ..scaling import MIN_SCALE, Scaling
from .chain import Activate, Affine, Array, Chain, Complement, Linear, Step, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_IDENTITY = 4096  # columns of a layer that is made up; as many weights as such a one may all have together


@frozen(eq=False)
class Folded:
    """A network without its engine: an architecture and the weights (O, I) and biases (O,) of its layers in float64.

    `steps` are those of the chain whose rows are the outputs of the network: all, or all but a last `Complement`.
    """

    architecture: Architecture
    layers: tuple[tuple[Array, Array], ...]
    folded: tuple[str, ...]
    steps: tuple[Step, ...]


class _Layer:
    """A layer that is being made."""

    def __init__(self, weight: Array, bias: Array, *, is_made_up: bool = False) -> None:
        self.weight, self.bias, self.is_made_up = weight, bias, is_made_up
        self.activation: Activation | None = None
        self.place = ""  # of the activation


def fold(chain: Chain, dtype: Any = None) -> Folded:
    """Return the network of a chain.

    Parameters
    ----------
    chain : Chain
    dtype : str or dtype, optional
        That of the network; None is the chain's.

    Raises
    ------
    FormatError
        If the steps do not fit one another, or a network cannot say one of them; the message has its place.
    """
    steps = _checked_steps(chain)
    notes = list(chain.folded)
    is_two = bool(steps) and isinstance(steps[-1], Complement) and _is_one_sigmoid(chain, steps[:-1])
    if is_two:
        notes.append(f"{steps.pop().place}: the columns 1 - p and p are one output p")
    compared = tuple(steps)
    before, inner, after = _divided(steps)
    if not inner:
        raise FormatError(f"{chain.tool}: expected a model with a layer, got none")
    with np.errstate(all="ignore"):  # what is not finite is refused below
        layers = _layers(chain, inner, notes)
        is_classifier = is_two or (chain.class_names is not None and not after)
        loss = _loss(chain, layers[-1].activation, is_classifier)
        inputs = _input_scaling(layers[0], before, notes)
        targets = _target_scaling(layers, after, loss, notes)
    for number, layer in enumerate(layers):
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise FormatError(f"{chain.tool}: layer {number}: expected finite numbers, got others after folding")
    dtype = check_dtype(chain.dtype if dtype is None else dtype)
    try:
        architecture = Architecture(
            sizes=(chain.n_inputs, *(len(layer.bias) for layer in layers)),
            activation=tuple(layer.activation or Identity() for layer in layers[:-1]),
            output_activation=layers[-1].activation or Identity(),
            loss=loss,
            dtype=dtype,
            input_scaling=inputs,
            target_scaling=targets,
            feature_names=chain.feature_names,
            target_name=chain.target_name,
            class_names=chain.class_names,
        )
    except (ValueError, TypeError) as error:
        raise FormatError(f"{chain.tool}: {error}") from None
    return Folded(architecture, tuple((layer.weight, layer.bias) for layer in layers), tuple(notes), compared)


def _checked_steps(chain: Chain) -> list[Step]:
    """Return the steps, without those that change nothing, after a check that each fits the one before."""
    columns, steps = chain.n_inputs, list[Step]()
    for step in chain.steps:
        if isinstance(step, Linear):
            weight, bias = np.asarray(step.weight, np.float64), np.asarray(step.bias, np.float64)
            if weight.ndim != 2 or weight.shape[1] != columns or bias.shape != weight.shape[:1] or not len(bias):
                raise FormatError(
                    f"{step.place}: expected weights of shape (outputs, {columns}) and a bias for each output, got "
                    f"shapes {weight.shape} and {bias.shape}"
                )
            _refuse_not_finite(step.place, weight, bias)
            columns = len(bias)
            step = Linear(weight, bias, step.place)
        elif isinstance(step, Affine):
            step = _checked_affine(step, columns)
        elif isinstance(step, Complement):
            columns *= 2
        if not (isinstance(step, Activate) and isinstance(step.activation, Identity)):
            steps.append(step)
    return steps


def _divided(steps: Sequence[Step]) -> tuple[list[Affine], Sequence[Step], list[Affine]]:
    """Return the steps before the first that is no `Affine`, those from it to the last such one, and those after it."""
    before = list(itertools.takewhile(_is_affine, steps))
    after = list(itertools.takewhile(_is_affine, reversed(steps[len(before) :])))[::-1]
    return before, steps[len(before) : len(steps) - len(after)], after  # type: ignore[return-value]


def _is_affine(step: Step) -> bool:
    return isinstance(step, Affine)


def _checked_affine(step: Affine, columns: int) -> Affine:
    """Return the step with an offset and a scale for each column."""
    numbers = [np.asarray(each, np.float64) for each in (step.offset, step.scale)]
    if not all(each.shape in ((), (1,), (columns,)) for each in numbers):
        raise FormatError(
            f"{step.place}: expected a number for each of {columns} columns, got shapes "
            f"{' and '.join(str(each.shape) for each in numbers)}"
        )
    _refuse_not_finite(step.place, *numbers)
    offset, scale = (np.broadcast_to(each, (columns,)) for each in numbers)
    if not step.multiplies and not (scale != 0).all():
        raise FormatError(f"{step.place}: expected a scale that is not 0, got 0 in column {int(np.argmin(scale != 0))}")
    return Affine(offset, scale, step.place, step.multiplies)


def _refuse_not_finite(place: str, *arrays: Array) -> None:
    for array in arrays:
        if not np.isfinite(array).all():
            index = tuple(np.argwhere(~np.isfinite(array))[0].tolist())
            raise FormatError(f"{place}: expected finite numbers, got {array[index]} at {list(index)}")


def _is_one_sigmoid(chain: Chain, steps: Sequence[Step]) -> bool:
    """Return whether the steps end in a sigmoid of one column."""
    if not (steps and isinstance(steps[-1], Activate) and isinstance(steps[-1].activation, Sigmoid)):
        return False
    linear = [step for step in steps if isinstance(step, Linear)]
    return (len(linear[-1].bias) if linear else chain.n_inputs) == 1


# -------------------------------------------------------------------------------------------------------------- layers


def _layers(chain: Chain, steps: Sequence[Step], notes: list[str]) -> list[_Layer]:
    """Return the layers of steps whose first and last are no `Affine`; each `Affine` goes into a layer."""
    layers: list[_Layer] = []
    waiting: list[Affine] = []  # those between an activation and the next layer
    for step in steps:
        columns = len(layers[-1].bias) if layers else chain.n_inputs
        open_layer = layers[-1] if layers and layers[-1].activation is None else None
        if isinstance(step, Affine) and open_layer is None:
            waiting.append(step)
        elif isinstance(step, Affine):
            assert open_layer is not None
            factor, shift = _as_product([step])
            open_layer.weight, open_layer.bias = open_layer.weight * factor[:, None], open_layer.bias * factor + shift
            notes.append(f"{step.place} into layer {len(layers) - 1}")
        elif isinstance(step, Activate) and open_layer is not None and not waiting:
            _activate(open_layer, step)
        else:
            if isinstance(step, Linear):
                layer = _Layer(step.weight, step.bias)
            elif isinstance(step, Complement):
                one = _identity(step.place, columns, layers)
                bias = np.concatenate([np.ones(columns), np.zeros(columns)])
                layer = _Layer(np.vstack([-one, one]), bias, is_made_up=True)
            else:
                layer = _Layer(_identity(step.place, columns, layers), np.zeros(columns), is_made_up=True)
                notes.append(f"{step.place}: a layer of the identity before it")
            _into_weights(layer, waiting, len(layers), notes)
            waiting.clear()
            layers.append(layer)
            if isinstance(step, Activate):
                _activate(layer, step)
    for layer in layers[:-1]:
        if isinstance(layer.activation, Softmax):
            refuse(layer.place, "a softmax that is not the last layer", "only an output layer can have it")
    return layers


def _activate(layer: _Layer, step: Activate) -> None:
    if isinstance(step.activation, Softmax) and len(layer.bias) == 1:
        refuse(step.place, "a softmax of one column, which is always 1")
    layer.activation, layer.place = step.activation, step.place


def _identity(place: str, columns: int, layers: Sequence[_Layer]) -> Array:
    """Return the weights of a layer that is made up, if those of all such layers are not too many."""
    n_weights = columns**2 + sum(layer.weight.size for layer in layers if layer.is_made_up)
    if n_weights > MAX_IDENTITY**2:
        why = f"such steps may be on {MAX_IDENTITY:,} columns at most, or on fewer if there are more of them"
        refuse(place, f"a step on {columns:,} columns without a layer before it", why)
    return np.eye(columns)


def _into_weights(layer: _Layer, before: Sequence[Affine], number: int, notes: list[str]) -> None:
    """Fold the steps before a layer, x factor + shift, into its weights and biases."""
    if before:
        factor, shift = _as_product(before)
        layer.bias, layer.weight = layer.bias + layer.weight @ shift, layer.weight * factor
        notes.extend(f"{step.place} into layer {number}" for step in before)


def _as_product(steps: Sequence[Affine]) -> tuple[Array, Array]:
    """Return factor and shift of the steps together: y = x factor + shift."""
    factor, shift = np.ones(steps[0].offset.shape), np.zeros(steps[0].offset.shape)
    for step in steps:
        if step.multiplies:
            factor, shift = factor * step.scale, shift * step.scale + step.offset
        else:
            factor, shift = factor / step.scale, (shift - step.offset) / step.scale
    return factor, shift


def _as_quotient(steps: Sequence[Affine]) -> tuple[Array, Array]:
    """Return offset and scale of the steps together: y = (x - offset) / scale; a factor of 0 has no such numbers."""
    offset, scale = np.zeros(steps[0].offset.shape), np.ones(steps[0].offset.shape)
    for step in steps:
        if step.multiplies:
            offset, scale = offset - step.offset * scale / step.scale, scale / step.scale
        else:
            offset, scale = offset + step.offset * scale, scale * step.scale
    return offset, scale


# ------------------------------------------------------------------------------------------------------------ scalings


def _input_scaling(layer: _Layer, steps: Sequence[Affine], notes: list[str]) -> Scaling | None:
    """Return the scaling of the steps before the first layer; what it cannot say goes into the layer."""
    if not steps:
        return None
    offset, scale = _as_quotient(steps)
    can = np.isfinite(offset) & np.isfinite(scale) & (np.abs(scale) >= MIN_SCALE)
    if not can.all():
        factor, shift = _as_product(steps)
        layer.bias = layer.bias + layer.weight[:, ~can] @ shift[~can]
        layer.weight = np.where(can, layer.weight, layer.weight * factor)
        offset, scale = np.where(can, offset, 0.0), np.where(can, scale, 1.0)
    if (scale < 0).any():
        layer.weight = layer.weight * np.sign(scale)
    notes.extend(f"{step.place} into input_scaling" for step in steps)
    return Scaling(offset, np.abs(scale))


def _target_scaling(layers: list[_Layer], steps: Sequence[Affine], loss: Loss, notes: list[str]) -> Scaling | None:
    """Return the scaling of the steps after the last layer; what it cannot say goes into that layer, or a new one."""
    if not steps:
        return None
    factor, shift = _as_product(steps)
    is_linear = layers[-1].activation is None
    can = np.isfinite(factor) & np.isfinite(shift) & (np.abs(factor) >= MIN_SCALE) & _scales_targets(loss)
    places = ", ".join(step.place for step in steps)
    if not is_linear and not (can & (factor > 0)).all():
        if isinstance(layers[-1].activation, Softmax):
            refuse(places, "a step after a softmax")
        layers.append(_Layer(_identity(places, len(factor), layers), np.zeros(len(factor)), is_made_up=True))
        is_linear = True
    if is_linear:
        inner = np.where(can, np.sign(factor), factor)
        last = layers[-1]
        last.weight, last.bias = last.weight * inner[:, None], last.bias * inner + np.where(can, 0.0, shift)
    if not can.any():
        notes.extend(f"{step.place} into layer {len(layers) - 1}" for step in steps)
        return None
    notes.extend(f"{step.place} into target_scaling" for step in steps)
    return Scaling(np.where(can, shift, 0.0), np.where(can, np.abs(factor), 1.0))


def _scales_targets(loss: Loss) -> bool:
    """Return whether a network with this loss may have a target scaling, see `scaling.check_targets`."""
    return loss.targets == "real" and loss.n_heads == 1 and not loss.classifies


def _loss(chain: Chain, output: Activation | None, is_classifier: bool) -> Loss:
    """Return the loss that the chain names, or one that goes with the output activation."""
    if chain.loss is not None:
        try:
            return losses.resolve("loss", chain.loss)
        except (ValueError, TypeError) as error:
            raise FormatError(f"{chain.tool}: {error}") from None
    if isinstance(output, Softmax):
        return CrossEntropy()
    if isinstance(output, Sigmoid) and is_classifier:
        return BinaryCrossEntropy()
    return HalfSquaredError()
