"""Checkpoints: a training as a file, from which it continues as if it had never stopped.

A checkpoint is a model file (formats/model_file.py) with a training in it: fields that JSON can hold, and tensors
`optimizer.<name>`, `history.<name>` and `callbacks.<i>.<name>`. The optimiser's state is a `TrainingState` without
what has its default: vectors of 0, numbers that an optimiser begins with. The random state of the model is that from
before the order of the epoch at hand was drawn. Data are known by the SHA-256 of what core takes. Nothing in a file is
trusted; what does not check out is a `FormatError`; a file of another training is a `ValueError` that names the field
in which they differ and the value of each.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formats import atomic, descriptions, files, model_file
from ..formats.atomic import Path
from ..formats.model_file import FormatError
from ..formats.safetensors import UnknownFieldError
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
_OPTIMIZER = "optimizer."  # of the names of tensors
_SCALINGS = ("input_scaling", "target_scaling")
BY_ITSELF = ("early_stopping", "converged")  # a training that has stopped so does not go on when it is resumed
_SETTINGS = {"data": "X", "validation": "validation_data"}  # arguments by another name


@frozen(eq=False)
class Position:
    """Where a training is, and what it has told so far.

    epoch and position count whole epochs and, in the epoch at hand, rows; loss is the sum over those rows; stopped is
    the reason if the training has come to its end by itself.
    """

    epoch: int
    position: int
    loss: float
    stopped: str | None
    history: Mapping[str, list[float]]
    states: Sequence[State]


@frozen(eq=False)
class Snapshot:
    """A network's architecture and P as training has them now: what `model_file` writes."""

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
    """What must be the same for a training to continue: data, optimiser, callbacks with a state, other arguments."""
    return {
        **arguments,
        "optimizer": descriptions.describe_optimizer(optimizer),
        "regularization": descriptions.describe_regularization(regularization),
        "data": fingerprint(rows),
        "validation": None if validation is None else fingerprint(validation),
        "callbacks": [type(callback).__name__ for callback in callbacks],
    }


def fingerprint(rows: Rows) -> str:
    """Shapes and dtypes of rows and targets, and the SHA-256 of their bytes and those of the weights."""
    targets = rows.labels if rows.values is None else rows.values
    assert targets is not None
    parts = [*arrays.memory(rows.x), targets, *([] if rows.weights is None else [rows.weights])]
    pieces = (piece for part in parts for _, piece in arrays.pieces(part if part.ndim > 1 else part[:, np.newaxis]))
    digest = model_file.sha256_of(np.ascontiguousarray(piece).reshape(-1).view(np.uint8) for piece in pieces)
    weighted = "" if rows.weights is None else ", weighted"
    return f"X {rows.x.shape} {rows.x.dtype}, y {targets.shape} {targets.dtype}{weighted}, SHA-256 {digest}"


# -------------------------------------------------------------------------------------------------------------- writing


def to_bytes(network: Network, random_state: int, at: Position, settings: Mapping[str, Any]) -> bytes:
    """The training of the network, whose order of rows began at that random state, under those settings."""
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
    """Refuses a state that `read` would not take, so that no such file replaces a good one."""
    if not all(np.isfinite(array).all() for array in arrays):
        raise FloatingPointError(
            "checkpoint: expected finite numbers, got NaN or infinity in the state of the optimizer: no training can "
            "go on from it, so nothing was written, and the previous file is kept. A smaller learning rate, clip_norm "
            "or dtype='float64' may help"
        )


def _tensor(owner: str, name: object, value: object, P: NDArray[Any]) -> NDArray[Any]:
    """What a callback keeps, as `_value` reads it."""
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
    """A checkpoint that was read and checked: where the training was, and what `restart` puts into the network."""

    name: str
    at: Position
    architecture: Architecture
    state: TrainingState

    def restart(self, network: Network, callbacks: Sequence[Any]) -> None:
        """The callbacks first, as they may refuse their states; the network is as before if something is refused."""
        try:
            for callback, state in zip(callbacks, self.at.states, strict=True):
                callback.restore(state)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise FormatError(
                f"{self.name}: states: expected those of the training's callbacks, got {error!r}"
            ) from None
        names = network._columns[2]
        network._set_columns(*self.architecture.scalings, names, False)  # to the last bit, as the training had them
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
    """The file, checked against the network, the settings and the number of rows."""
    name = atomic.name_of(path)
    model = files.read(name)
    if model.training is None:
        raise FormatError(f"{name}: expected a checkpoint, got a model without a training")
    theirs, ours = (
        descriptions.describe_architecture(each, 0) for each in (model.architecture, network._architecture())
    )
    learnt = {key for key in _SCALINGS if isinstance(getattr(network._given_architecture, key), str)}
    for key in (theirs.keys() | ours.keys()) - {"seed"}:
        wanted, got = theirs.get(key), ours.get(key)
        if wanted != got and not (key in learnt and _differ_by_rounding(wanted, got, n_rows)):
            raise ValueError(f"resume: expected a network with {key} {wanted!r:.200}, got one with {got!r:.200}")
    try:
        fields = _check(model.training.fields)
        _compare(fields["settings"], settings)
        at = _position(fields, model)
        whole = at.position % settings["batch_size"] == 0 and at.position < n_rows
        if len(at.states) != len(settings["callbacks"]) or not whole:
            raise FormatError("training: expected a state for each callback and whole batches, got others")
        curves = settings["metrics"] if at.epoch else []  # callbacks may have added more
        if not set(curves) <= set(at.history) or (at.history and not at.epoch):
            raise FormatError(f"history: expected the curves {curves}, got {reprlib.repr(list(at.history))}")
        state = _state(fields, model, optimizer, regularization)
    except UnknownFieldError as error:
        raise FormatError(f"{name}: {error}; {model.writer}") from None
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    return Resumable(name, at, model.architecture, state)


def _differ_by_rounding(one: Any, other: Any, n_rows: int) -> bool:
    """Whether two described scalings are the same but for the order in which so many rows were added up.

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
    """The optimiser's state; what it should have is known to who takes it."""
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
    """The fields of a training, each of its kind."""
    descriptions.refuse_unknown("training", fields, dict.fromkeys(sorted(_FIELDS)))
    if set(fields) != _FIELDS:
        raise FormatError(f"training: expected the fields {sorted(_FIELDS)}, got {sorted(fields)}")
    for key in ("epoch", "position", "n_steps"):
        if type(fields[key]) is not int or not 0 <= fields[key] < 2**53:
            raise FormatError(f"{key}: expected a whole number below 2**53, got {fields[key]!r:.80}")
    if fields["stopped"] not in [*BY_ITSELF, None] or not isinstance(fields["settings"], dict):
        raise FormatError(f"training: expected settings, and to have stopped by one of {BY_ITSELF} or not, got others")
    if not isinstance(fields["numbers"], dict):
        raise FormatError(f"numbers: expected an object, got {type(fields['numbers']).__name__}")
    for names in [fields["history"], *_list(fields["callbacks"])]:
        if not all(isinstance(name, str) for name in _list(names)) or len(set(names)) != len(names):
            raise FormatError(f"training: expected lists of names, each once, got {reprlib.repr(names)}")
    return fields


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"training: expected a list, got {type(value).__name__}")
    return value


def _compare(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Refuses a training under other settings, with the first that differs."""
    if theirs.keys() != ours.keys():
        raise FormatError(f"settings: expected {sorted(ours)}, got {sorted(theirs)}")
    for key, value in ours.items():
        wanted, got, said = theirs[key], value, "{!r:.1000}"
        if key in _BY_FIELD:
            wanted, got, said = *_first_difference(_BY_FIELD[key](wanted), _BY_FIELD[key](got)), "{}"
        if wanted != got:
            argument = _SETTINGS.get(key, key)
            raise ValueError(
                f"{argument}: expected that of the checkpoint, {said.format(wanted)}, got {said.format(got)}"
            )


_BY_FIELD = {"optimizer": descriptions.optimizer_fields, "regularization": descriptions.regularization_fields}


def _first_difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> tuple[str, str]:
    """The first field that differs, with the value of each; nothing where none does."""
    for key in {**theirs, **ours}:
        wanted, got = theirs.get(key), ours.get(key)
        if wanted != got:
            return f"{key}={wanted!r:.200}", f"{key}={got!r:.200}"
    return "", ""


def _number(name: str, text: Any) -> float:
    """What `float.hex` has written."""
    try:
        return float.fromhex(text)
    except (TypeError, ValueError, OverflowError):
        raise FormatError(f"{name}: expected a hexadecimal number, got {reprlib.repr(text)}") from None


def _vector(training: model_file.SavedTraining, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """The tensor of that name, of the shape and dtype of P, and finite."""
    tensor = training.tensors.get(name)
    if tensor is None or tensor.shape != like.shape or tensor.dtype != like.dtype or not np.isfinite(tensor).all():
        raise FormatError(f"{name}: expected {len(like)} finite numbers of {like.dtype}, got others")
    return tensor


def _position(fields: Mapping[str, Any], model: model_file.ModelFile) -> Position:
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
    """What a callback keeps: a number, or finite numbers as many as P has."""
    assert model.training is not None
    tensor = model.training.tensors.get(name)
    if tensor is not None and tensor.ndim == 0:
        return float(tensor)
    return _vector(model.training, name, model.parameters)
