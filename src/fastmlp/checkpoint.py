"""Checkpoints: a training as a file, from which it continues as if it had never stopped.

A checkpoint is a model file (persistence.py) with a training in it: words that JSON can hold, and tensors
`optimizer.<k>`, `history.<name>` and `callbacks.<i>.<name>`. The random state of the model is that from before the
order of the epoch at hand was drawn. Data are known by the SHA-256 of what core takes. Nothing in a file is trusted;
what does not check out is a `FormatError`; a file of another training is a `ValueError` that says in what it differs.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import durable, inputs, persistence
from .durable import Path
from .frozen import frozen
from .persistence import FormatError
from .schedules import ReduceOnPlateau

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ._core import Rows
    from .callbacks import State
    from .network import Network
    from .optimizers import Optimizer
    from .regularization import Regularization

VERSION = 1
_FIELDS = {"version", "epoch", "position", "loss", "n_steps", "numbers", "stopped", "settings", "states", "history"}
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
    """A network's words and P as training has them now: what `persistence` writes."""

    network: Network
    parameters: NDArray[Any]
    random_state: int

    def _architecture(self) -> dict[str, Any]:
        return {**self.network._architecture(), "random_state": f"{self.random_state:016x}"}


def settings(
    optimizer: Optimizer, rows: Rows, validation: Rows | None, callbacks: Sequence[object], **words: Any
) -> dict[str, Any]:
    """What must be the same for a training to continue: data, optimiser, callbacks with a state, and the words."""
    return {
        **words,
        "optimizer": re.sub(" at 0x[0-9a-fA-F]+", "", repr(optimizer)),
        "data": fingerprint(rows),
        "validation": None if validation is None else fingerprint(validation),
        "callbacks": [type(callback).__name__ for callback in callbacks],
    }


def fingerprint(rows: Rows) -> str:
    """Shapes and dtypes of rows and targets, and the SHA-256 of their bytes and those of the weights."""
    targets = rows.labels if rows.values is None else rows.values
    assert targets is not None
    parts = [*inputs.memory(rows.x), targets, *([] if rows.weights is None else [rows.weights])]
    pieces = (piece for part in parts for _, piece in inputs.pieces(part if part.ndim > 1 else part[:, np.newaxis]))
    digest = persistence.sha256_of(np.ascontiguousarray(piece).reshape(-1).view(np.uint8) for piece in pieces)
    weighted = "" if rows.weights is None else ", weighted"
    return f"X {rows.x.shape} {rows.x.dtype}, y {targets.shape} {targets.dtype}{weighted}, SHA-256 {digest}"


# -------------------------------------------------------------------------------------------------------------- writing


def to_bytes(network: Network, random_state: int, at: Position, words: Mapping[str, Any]) -> bytes:
    """The training of the network, whose order of rows began at that random state, under those settings."""
    P, vectors, numbers, n_steps = network._training_state()
    waiting = isinstance(
        getattr(network._optimizer, "learning_rate", None), ReduceOnPlateau
    )  # its best may be infinite
    _refuse_unreadable([*vectors, np.array(at.loss)], numbers, n_infinite=int(waiting))
    tensors: dict[str, NDArray[Any]] = {f"optimizer.{k}": vector for k, vector in enumerate(vectors)}
    tensors.update({f"history.{name}": np.array(values, np.float64) for name, values in at.history.items()})
    for i, (state, owner) in enumerate(zip(at.states, words["callbacks"], strict=True)):
        tensors.update({f"callbacks.{i}.{name}": _tensor(owner, name, value, P) for name, value in state.items()})
    fields = {
        "version": VERSION,
        "epoch": at.epoch,
        "position": at.position,
        "loss": at.loss.hex(),
        "n_steps": n_steps,
        "numbers": [number.hex() for number in numbers],
        "stopped": at.stopped,
        "settings": dict(words),
        "states": [list(state) for state in at.states],
        "history": list(at.history),
    }
    training = persistence.Training(fields, tensors)
    return persistence.to_bytes(Snapshot(network, P, random_state), training=training)


def _refuse_unreadable(vectors: Sequence[NDArray[Any]], numbers: Sequence[float], *, n_infinite: int) -> None:
    """Refuses a state that `read` would not take, so that no such file replaces a good one."""
    known = not any(map(math.isnan, numbers)) and sum(map(math.isinf, numbers)) <= n_infinite
    if not (known and all(np.isfinite(vector).all() for vector in vectors)):
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
    model: persistence.Model
    vectors: list[NDArray[Any]]
    numbers: list[float]
    n_steps: int

    def restart(
        self,
        network: Network,
        optimizer: Optimizer,
        regularization: Regularization | None,
        callbacks: Sequence[Any],
    ) -> None:
        """The callbacks first, as they may refuse their states; the network is as before if something is refused."""
        random_state = int(self.model.architecture["random_state"], 16)
        try:
            for callback, state in zip(callbacks, self.at.states, strict=True):
                callback.restore(state)
        except (ValueError, TypeError, LookupError, ArithmeticError) as error:
            raise FormatError(
                f"{self.name}: states: expected those of the training's callbacks, got {error!r}"
            ) from None
        P, training = self.model.parameters, (self.vectors, self.numbers, self.n_steps)
        try:
            network._resume_training(optimizer, regularization, P, *training, random_state)
        except ValueError as error:
            raise FormatError(f"{self.name}: {error}") from None


def read(path: Path, network: Network, words: Mapping[str, Any], n_rows: int) -> Resumable:
    """The file, checked against the network, the settings and the number of rows."""
    name = durable.name_of(path)
    model = persistence.read(name)
    if model.training is None:
        raise FormatError(f"{name}: expected a checkpoint, got a model without a training")
    theirs, ours = model.architecture, network._architecture()
    for key in (theirs.keys() | ours.keys()) - {"random_state", "seed"}:
        wanted, got = theirs.get(key), ours.get(key)
        if wanted != got:
            raise ValueError(f"resume: expected a network with {key} {wanted!r:.200}, got one with {got!r:.200}")
    try:
        fields = _check(model.training.words)
        _compare(fields["settings"], words)
        n_vectors = sum(key.startswith("optimizer.") for key in model.training.tensors)
        vectors = [_vector(model.training, f"optimizer.{k}", model.parameters) for k in range(n_vectors)]
        numbers = [_number("numbers", text) for text in _list(fields["numbers"])]
        at = _position(fields, model)
        whole = at.position % words["batch_size"] == 0 and at.position < n_rows
        if len(at.states) != len(words["callbacks"]) or not whole:
            raise FormatError("training: expected a state for each callback and whole batches, got others")
        curves = words["metrics"] if at.epoch else []  # callbacks may have added more
        if not set(curves) <= set(at.history) or (at.history and not at.epoch):
            raise FormatError(f"history: expected the curves {curves}, got {reprlib.repr(list(at.history))}")
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    return Resumable(name, at, model, vectors, numbers, fields["n_steps"])


def _check(words: object) -> dict[str, Any]:
    """The words of a training, each of its kind."""
    version = words.get("version") if isinstance(words, dict) and set(words) == _FIELDS else None
    if not isinstance(words, dict) or type(version) is not int or version != VERSION:
        raise FormatError(f"training: expected the fields {sorted(_FIELDS)} of version {VERSION}, got others")
    for key in ("epoch", "position", "n_steps"):
        if type(words[key]) is not int or not 0 <= words[key] < 2**53:
            raise FormatError(f"{key}: expected a whole number below 2**53, got {words[key]!r:.80}")
    if words["stopped"] not in [*BY_ITSELF, None] or not isinstance(words["settings"], dict):
        raise FormatError(f"training: expected settings, and to have stopped by one of {BY_ITSELF} or not, got others")
    for names in [words["history"], *_list(words["states"])]:
        if not all(isinstance(name, str) for name in _list(names)) or len(set(names)) != len(names):
            raise FormatError(f"training: expected lists of names, each once, got {reprlib.repr(names)}")
    return words


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise FormatError(f"training: expected a list, got {type(value).__name__}")
    return value


def _compare(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    if theirs.keys() != ours.keys():
        raise FormatError(f"settings: expected {sorted(ours)}, got {sorted(theirs)}")
    for key, value in ours.items():
        if value != theirs[key]:
            argument = _SETTINGS.get(key, key)
            raise ValueError(f"{argument}: expected that of the checkpoint, {theirs[key]!r:.1000}, got {value!r}")


def _number(name: str, text: Any) -> float:
    """What `float.hex` has written."""
    try:
        return float.fromhex(text)
    except (TypeError, ValueError, OverflowError):
        raise FormatError(f"{name}: expected a hexadecimal number, got {reprlib.repr(text)}") from None


def _vector(training: persistence.Training, name: str, like: NDArray[Any]) -> NDArray[Any]:
    """The tensor of that name, of the shape and dtype of P, and finite."""
    tensor = training.tensors.get(name)
    if tensor is None or tensor.shape != like.shape or tensor.dtype != like.dtype or not np.isfinite(tensor).all():
        raise FormatError(f"{name}: expected {len(like)} finite numbers of {like.dtype}, got others")
    return tensor


def _position(fields: Mapping[str, Any], model: persistence.Model) -> Position:
    assert model.training is not None
    tensors = model.training.tensors
    n_names = len(fields["history"]) + sum(map(len, fields["states"]))
    others = len(tensors) - sum(key.startswith("optimizer.") for key in tensors)
    history = {name: tensors.get(f"history.{name}") for name in fields["history"]}
    if n_names != others or any(values is None or values.shape != (fields["epoch"],) for values in history.values()):
        raise FormatError(f"history: expected curves of {fields['epoch']} epochs, got others")
    states = [
        {name: _value(model, f"callbacks.{i}.{name}") for name in names} for i, names in enumerate(fields["states"])
    ]
    loss = _number("loss", fields["loss"])
    curves = {name: values.tolist() for name, values in history.items() if values is not None}
    if not math.isfinite(loss):
        raise FormatError(f"loss: expected a finite number, got {loss!r}")
    return Position(fields["epoch"], fields["position"], loss, fields["stopped"], curves, states)


def _value(model: persistence.Model, name: str) -> float | NDArray[Any]:
    """What a callback keeps: a number, or finite numbers as many as P has."""
    assert model.training is not None
    tensor = model.training.tensors.get(name)
    if tensor is not None and tensor.ndim == 0:
        return float(tensor)
    return _vector(model.training, name, model.parameters)
