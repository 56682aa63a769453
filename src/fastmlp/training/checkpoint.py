"""Checkpoints: files from which a training continues with the same results as without an interruption.

A checkpoint is a model file (formats/model_file.py) that also has a training: fields in JSON, and tensors
`optimizer.<name>`, `history.<name>` and `callbacks.<i>.<name>`. The optimiser's state is a `TrainingState` without the
entries that have their initial value. The random state in the file is that before the order of the current epoch was
drawn, so that a resumed training draws the same order again. The data are identified by the SHA-256 of the arrays that
the core takes.

Files are not trusted: anything invalid in one is a `FormatError`. A valid checkpoint of a different training is a
`ValueError` whose message has the first difference and both values.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FormatError, UnknownFieldError
from ..formats import atomic, descriptions, files, model_file
from ..formats.atomic import Path
from ..frozen import frozen
from ..inputs import arrays
from .state import TrainingState

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Rows
    from ..architecture import Architecture
    from ..callbacks import State
    from ..network import Network
    from ..optimizers import Optimizer
    from ..regularization import Regularization

_FIELDS = {"epoch", "position", "loss", "n_steps", "numbers", "stopped", "settings", "callbacks", "history"}
_OPTIMIZER = "optimizer."  # how the names of the tensors of the optimiser's state begin
_SCALINGS = ("input_scaling", "target_scaling")
FINAL_REASONS = ("early_stopping", "converged")  # if a training stopped for one of these, resuming does not continue it
_ARGUMENT_NAMES = {"data": "X", "validation": "validation_data"}  # of settings whose name is not that of the argument


@frozen(eq=False)
class Position:
    """The position of a training, its history, and the states of its callbacks.

    `epoch` is the number of complete epochs, `position` the number of rows of the current epoch that are done, and
    `loss` the sum of their losses. `stopped` is the reason if the training has stopped for one of FINAL_REASONS.
    """

    epoch: int
    position: int
    loss: float
    stopped: str | None
    history: Mapping[str, list[float]]
    states: Sequence[State]


@frozen(eq=False)
class Snapshot:
    """The current architecture and parameters of a training, in the form in which `model_file` writes them."""

    network: Network
    parameters: NDArray[Any]
    _random_state: int

    def _architecture(self) -> Architecture:
        return self.network._architecture()


def settings(
    optimizer: Optimizer,
    regularization: Regularization | None,
    rows: Rows,
    validation: Rows | None,
    callbacks: Sequence[object],
    **arguments: Any,
) -> dict[str, Any]:
    """Return what a resumed training must have in common with the checkpoint.

    It is the optimiser, the data, the class names of the callbacks that have a state, and other arguments of `fit`.
    """
    return {
        **arguments,
        "optimizer": descriptions.describe_optimizer(optimizer),
        "regularization": descriptions.describe_regularization(regularization),
        "data": fingerprint(rows),
        "validation": None if validation is None else fingerprint(validation),
        "callbacks": [type(callback).__name__ for callback in callbacks],
    }


def fingerprint(rows: Rows) -> str:
    """Return as text the shapes and dtypes of X and y, and the SHA-256 of their bytes and those of the weights."""
    targets = rows.labels if rows.values is None else rows.values
    assert targets is not None
    parts = [*arrays.memory(rows.x), targets, *([] if rows.weights is None else [rows.weights])]
    pieces = (piece for part in parts for _, piece in arrays.pieces(part if part.ndim > 1 else part[:, np.newaxis]))
    digest = model_file.sha256_of(np.ascontiguousarray(piece).reshape(-1).view(np.uint8) for piece in pieces)
    weighted = "" if rows.weights is None else ", weighted"
    return f"X {rows.x.shape} {rows.x.dtype}, y {targets.shape} {targets.dtype}{weighted}, SHA-256 {digest}"


# -------------------------------------------------------------------------------------------------------------- writing


def to_bytes(network: Network, random_state: int, at: Position, settings: Mapping[str, Any]) -> bytes:
    """Return the content of a checkpoint file with the training of the network.

    `random_state` is that before the order of the current epoch was drawn; `settings` is what `settings` returned.
    """
    state = network.training_state()
    vectors, numbers, P = state.essential_vectors(), state.essential_numbers(), state.parameters
    assert P is not None
    _refuse_unreadable([*vectors.values(), np.array([*numbers.values(), at.loss])])
    tensors: dict[str, NDArray[Any]] = {f"{_OPTIMIZER}{name}": vector for name, vector in vectors.items()}
    tensors.update({f"history.{name}": np.array(values, np.float64) for name, values in at.history.items()})
    for i, (kept, owner) in enumerate(zip(at.states, settings["callbacks"], strict=True)):
        tensors.update({f"callbacks.{i}.{name}": _tensor(owner, name, value, P) for name, value in kept.items()})
    fields = {
        "epoch": at.epoch,
        "position": at.position,
        "loss": at.loss.hex(),
        "n_steps": state.n_steps,
        "numbers": {name: number.hex() for name, number in numbers.items()},
        "stopped": at.stopped,
        "settings": dict(settings),
        "callbacks": [list(kept) for kept in at.states],
        "history": list(at.history),
    }
    training = model_file.SavedTraining(fields, tensors)
    return model_file.to_bytes(Snapshot(network, P, random_state), training=training)


def _refuse_unreadable(arrays: Sequence[NDArray[Any]]) -> None:
    """Raise an error for a state that `read` would refuse, so that such a file never replaces a valid one."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise FloatingPointError(
            "checkpoint: expected finite numbers, got NaN or infinity in the state of the optimizer: no training can "
            "go on from it, so nothing was written, and the previous file is kept. A smaller learning rate, clip_norm "
            "or dtype='float64' may help"
        )


def _tensor(owner: str, name: object, value: object, P: NDArray[Any]) -> NDArray[Any]:
    """Return an entry of a callback's state as the tensor that `_value` reads; `owner` is the callback's class name."""
    array = np.asarray(value)
    is_number = array.ndim == 0 and array.dtype.kind in "fiub"
    is_vector = array.shape == P.shape and array.dtype == P.dtype
    if not (isinstance(name, str) and (is_number or is_vector)):
        raise TypeError(
            f"callbacks: expected {owner}.state() to give numbers and vectors of {P.size} {P.dtype} by name, "
            f"got {name!r}: {value!r:.80}"
        )
    if is_vector and not np.isfinite(array).all():
        raise ValueError(f"callbacks: expected {owner}.state() to give finite vectors, got others in {name!r}")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


# -------------------------------------------------------------------------------------------------------------- reading


@frozen(eq=False)
class Resumable:
    """A checkpoint that was read and checked: the position of the training, and the state that `restart` restores."""

    name: str
    at: Position
    architecture: Architecture
    state: TrainingState

    def restart(self, network: Network, callbacks: Sequence[Any]) -> None:
        """Restore the states of the callbacks and of the network; after an error the network is unchanged.

        The callbacks come first, because they may refuse their states.
        """
        try:
            for callback, state in zip(callbacks, self.at.states, strict=True):
                callback.restore(state)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise FormatError(
                f"{self.name}: states: expected those of the training's callbacks, got {error!r}"
            ) from None
        names = network._columns[2]
        network._set_columns(*self.architecture.scalings, names, False)  # the scalings of the file, bit for bit
        try:
            network._set_training_state(self.state)
        except ValueError as error:
            raise FormatError(f"{self.name}: {error}") from None


def read(
    path: Path,
    network: Network,
    settings: Mapping[str, Any],
    n_rows: int,
    optimizer: Optimizer,
    regularization: Regularization | None,
) -> Resumable:
    """Read a checkpoint, and check it against the network, the settings and the number of rows."""
    name = atomic.name_of(path)
    model = files.read(name)
    if model.training is None:
        raise FormatError(f"{name}: expected a checkpoint, got a model without a training")
    saved, current = (
        descriptions.describe_architecture(each, 0) for each in (model.architecture, network._architecture())
    )
    computed = {key for key in _SCALINGS if isinstance(getattr(network._given_architecture, key), str)}
    for key in (saved.keys() | current.keys()) - {"seed"}:
        wanted, got = saved.get(key), current.get(key)
        if wanted != got and not (key in computed and _differ_by_rounding(wanted, got, n_rows)):
            raise ValueError(f"resume: expected a network with {key} {wanted!r:.200}, got one with {got!r:.200}")
    try:
        fields = _check(model.training.fields)
        _compare(fields["settings"], settings)
        at = _position(fields, model)
        whole = at.position % settings["batch_size"] == 0 and at.position < n_rows
        if len(at.states) != len(settings["callbacks"]) or not whole:
            raise FormatError("training: expected a state for each callback and whole batches, got others")
        curves = settings["metrics"] if at.epoch else []  # the history may have more, which callbacks have added
        if not set(curves) <= set(at.history) or (at.history and not at.epoch):
            raise FormatError(f"history: expected the curves {curves}, got {reprlib.repr(list(at.history))}")
        state = _state(fields, model, optimizer, regularization)
    except UnknownFieldError as error:
        raise FormatError(f"{name}: {error}; {model.writer}") from None
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    return Resumable(name, at, model.architecture, state)


def _differ_by_rounding(one: Any, other: Any, n_rows: int) -> bool:
    """Return whether two described scalings can come from the same n_rows rows, summed in different orders.

    A mean has an error of at most n eps times the largest number, which is at most |offset| + sqrt(n) scale.
    """
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    offset, scale = (np.array([each[name] for each in (one, other)]) for name in ("offset", "scale"))
    bound = n_rows * 2.0**-52 * (np.abs(offset[0]) + math.sqrt(n_rows) * scale[0])
    return bool((np.abs([offset[0] - offset[1], scale[0] - scale[1]]) <= bound).all())


def _state(
    fields: Mapping[str, Any], model: model_file.ModelFile, optimizer: Optimizer, regularization: Regularization | None
) -> TrainingState:
    """Return the state of the training; the network that restores it checks its names and lengths."""
    assert model.training is not None
    names = [key for key in model.training.tensors if key.startswith(_OPTIMIZER)]
    return TrainingState(
        optimizer=optimizer,
        regularization=regularization,
        parameters=model.parameters,
        vectors={key.removeprefix(_OPTIMIZER): _vector(model.training, key, model.parameters) for key in names},
        numbers={key: _number(key, text) for key, text in fields["numbers"].items()},
        n_steps=fields["n_steps"],
        random_state=model.random_state,
    )


def _check(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a training, after a check of their names and types."""
    descriptions.refuse_unknown("training", fields, dict.fromkeys(sorted(_FIELDS)))
    if set(fields) != _FIELDS:
        raise FormatError(f"training: expected the fields {sorted(_FIELDS)}, got {sorted(fields)}")
    for key in ("epoch", "position", "n_steps"):
        if type(fields[key]) is not int or not 0 <= fields[key] < 2**53:
            raise FormatError(f"{key}: expected a whole number below 2**53, got {fields[key]!r:.80}")
    if fields["stopped"] not in [*FINAL_REASONS, None] or not isinstance(fields["settings"], dict):
        raise FormatError(
            f"training: expected settings, and to have stopped by one of {FINAL_REASONS} or not, got others"
        )
    if not isinstance(fields["numbers"], dict):
        raise FormatError(f"numbers: expected an object, got {type(fields['numbers']).__name__}")
    for names in [fields["history"], *_list(fields["callbacks"])]:
        if not all(isinstance(name, str) for name in _list(names)) or len(set(names)) != len(names):
            raise FormatError(f"training: expected lists of names, each once, got {reprlib.repr(names)}")
    return fields


def _list(value: object) -> list[Any]:
    """Return the value if it is a list, else raise a FormatError."""
    if not isinstance(value, list):
        raise FormatError(f"training: expected a list, got {type(value).__name__}")
    return value


def _compare(saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Raise a ValueError for the first setting that differs between a checkpoint and the current training."""
    if saved.keys() != current.keys():
        raise FormatError(f"settings: expected {sorted(current)}, got {sorted(saved)}")
    for key, value in current.items():
        wanted, got, template = saved[key], value, "{!r:.1000}"
        if key in _BY_FIELD:
            wanted, got, template = *_first_difference(_BY_FIELD[key](wanted), _BY_FIELD[key](got)), "{}"
        if wanted != got:
            argument = _ARGUMENT_NAMES.get(key, key)
            raise ValueError(
                f"{argument}: expected that of the checkpoint, {template.format(wanted)}, got {template.format(got)}"
            )


_BY_FIELD = {"optimizer": descriptions.optimizer_fields, "regularization": descriptions.regularization_fields}


def _first_difference(saved: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[str, str]:
    """Return the first field that differs, as text with either value; two empty texts if none differs."""
    for key in {**saved, **current}:
        wanted, got = saved.get(key), current.get(key)
        if wanted != got:
            return f"{key}={wanted!r:.200}", f"{key}={got!r:.200}"
    return "", ""


def _number(name: str, text: Any) -> float:
    """Return the number that `float.hex` has written as text."""
    try:
        return float.fromhex(text)
    except (TypeError, ValueError, OverflowError):
        raise FormatError(f"{name}: expected a hexadecimal number, got {reprlib.repr(text)}") from None


def _vector(training: model_file.SavedTraining, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """Return the tensor of that name, after a check that it is finite and has the shape and dtype of P."""
    tensor = training.tensors.get(name)
    if tensor is None or tensor.shape != like.shape or tensor.dtype != like.dtype or not np.isfinite(tensor).all():
        raise FormatError(f"{name}: expected {len(like)} finite numbers of {like.dtype}, got others")
    return tensor


def _position(fields: Mapping[str, Any], model: model_file.ModelFile) -> Position:
    """Return the position, the history and the callbacks' states in a checkpoint, after a check."""
    assert model.training is not None
    tensors = model.training.tensors
    n_names = len(fields["history"]) + sum(map(len, fields["callbacks"]))
    others = len(tensors) - sum(key.startswith(_OPTIMIZER) for key in tensors)
    history = {name: tensors.get(f"history.{name}") for name in fields["history"]}
    if n_names != others or any(values is None or values.shape != (fields["epoch"],) for values in history.values()):
        raise FormatError(f"history: expected curves of {fields['epoch']} epochs, got others")
    states = [
        {name: _value(model, f"callbacks.{i}.{name}") for name in names} for i, names in enumerate(fields["callbacks"])
    ]
    loss = _number("loss", fields["loss"])
    curves = {name: values.tolist() for name, values in history.items() if values is not None}
    if not math.isfinite(loss):
        raise FormatError(f"loss: expected a finite number, got {loss!r}")
    return Position(fields["epoch"], fields["position"], loss, fields["stopped"], curves, states)


def _value(model: model_file.ModelFile, name: str) -> float | NDArray[Any]:
    """Return an entry of a callback's state: a number, or a finite vector like P."""
    assert model.training is not None
    tensor = model.training.tensors.get(name)
    if tensor is not None and tensor.ndim == 0:
        return float(tensor)
    return _vector(model.training, name, model.parameters)
