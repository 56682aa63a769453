"""Descriptions: architectures, activations, losses, optimisers and regularisations as JSON.

The description of an object has its name and only those fields that differ from their defaults. Therefore a field that
is added to a class later does not change files that do not use it, and is read from older files as its default. A
default must not change without a new version of the format: `upgrade.py` then writes the old default into older files.
Architectures, activations and losses are made again from their descriptions. Optimisers and regularisations are only
compared, field by field, when a training is resumed.
"""

from __future__ import annotations

import itertools
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from .. import activations, scaling
from ..activations import ACTIVATIONS, Activation, CustomActivation
from ..architecture import Architecture, check_sizes, n_classes
from ..errors import FormatError, UnknownFieldError, format_error
from ..frozen import defaults
from ..frozen import fields as names_of_fields
from ..initializers import INITIALIZERS
from ..inputs import schema
from ..losses import LOSSES, CustomLoss, Loss
from ..optimizers import OPTIMIZERS, Optimizer
from ..regularization import Regularization
from ..schedules import SCHEDULES, Schedule
from .safetensors import DTYPES, as_dict

T = TypeVar("T", Activation, Loss)

_ARCHITECTURE = "fastmlp.architecture"


def describe(value: Activation | Loss) -> dict[str, Any]:
    """Describe an activation or a loss: its name, then its fields; `activation_from` and `loss_from` reverse it.

    Raises
    ------
    ValueError
        For a `CustomActivation` or a `CustomLoss`.
    """
    if isinstance(value, (CustomActivation, CustomLoss)):
        what = "activation" if isinstance(value, CustomActivation) else "loss"
        raise ValueError(
            f"{what}: expected one with a name, which a model file can hold, got {value!r}: its functions are code, "
            "and a model file holds none; pickle can keep the network where it can keep the functions"
        )
    return {"name": value.name, **_changed_fields(value)}


def describe_optimizer(optimizer: Optimizer) -> dict[str, Any]:
    """Describe an optimiser; its learning rate is a number, a description of a schedule, or the name of a function."""
    return {"name": optimizer.name, **_changed_fields(optimizer)}


def describe_regularization(regularization: Regularization | None) -> dict[str, Any] | None:
    """Describe a regularisation; None if there is none."""
    return None if regularization is None else _changed_fields(regularization)


def name_of_function(function: object) -> str:
    """Return the `repr` of a function without the address in memory."""
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(function))


def _changed_fields(value: object) -> dict[str, Any]:
    by_default = defaults(value)
    values = {name: getattr(value, name) for name in names_of_fields(value)}
    return {name: _as_json(v) for name, v in values.items() if name not in by_default or v != by_default[name]}


def _as_json(value: Any) -> Any:
    if isinstance(value, Schedule):
        return {"name": value.name, **_changed_fields(value)}
    if callable(value):
        return {"function": name_of_function(value)}
    return list(value) if isinstance(value, tuple) else value


# ------------------------------------------------------------------------------------------------------------- reading


def activation_from(description: object, argument: str = "activation", *, output: bool = True) -> Activation:
    """Return the activation that `describe` has described; softmax is accepted only if `output` is true."""
    activation = _object_from(description, argument, ACTIVATIONS)
    try:
        return activations.resolve(argument, activation, output=output)
    except ValueError as error:
        raise FormatError(str(error)) from None


def loss_from(description: object, argument: str = "loss") -> Loss:
    """Return the loss that `describe` has described."""
    return _object_from(description, argument, LOSSES)


def _object_from(description: object, argument: str, table: Mapping[str, type[T]]) -> T:
    kinds = {kind.name: kind for kind in table.values()}
    given = as_dict(argument, description)
    name = given.pop("name", None)
    if not isinstance(name, str) or name not in kinds:
        raise format_error(f"{argument}: name", f"one of {', '.join(map(repr, kinds))}", name)
    by_default: dict[str, Any] = defaults(kinds[name])  # every field has one
    refuse_unknown(f"{argument} {name!r}", given, by_default)
    for field, value in given.items():
        _check_field(f"{argument}: {field}", value, by_default[field])
    try:
        return kinds[name](**given)
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{argument}: {error}") from None


def refuse_unknown(argument: str, given: Mapping[str, object], known: Mapping[str, object]) -> None:
    """Refuse a field that this version of fastmlp does not know."""
    for field in given:
        if field not in known:
            raise UnknownFieldError(f"{argument}: expected the fields {[*known]}, got {field!r:.60}")


def _check_field(name: str, value: object, default: object) -> None:
    """Refuse a value that is not of the type of the default: text, a list of numbers, or a number."""
    if isinstance(default, str):
        wanted, fits = "a word", type(value) is str
    elif isinstance(default, tuple):
        wanted, fits = "a list of numbers", type(value) is list and all(type(each) in (int, float) for each in value)
    else:
        wanted, fits = "a number", type(value) in (int, float)
    if not fits:
        raise format_error(name, wanted, value)


# -------------------------------------------------------------------------------------------------------- architectures

_FIELDS = {"sizes", "activation", "output_activation", "loss", "dtype", "init", "seed", "random_state"}
_OPTIONAL_FIELDS = {"input_scaling", "target_scaling", *schema.FIELDS}


def describe_architecture(architecture: Architecture, random_state: int) -> dict[str, Any]:
    """Describe an architecture and the random state; `architecture_from` reverses it."""
    hidden = [describe(f) for f in architecture.activation]
    fields = {
        "sizes": list(architecture.sizes),
        "activation": hidden,
        "output_activation": describe(architecture.output_activation),
        "loss": describe(architecture.loss),
        "dtype": architecture.dtype.name,
        "init": architecture.init,
        "seed": architecture.seed,
        "random_state": f"{random_state:016x}",
    }
    optional = {
        "input_scaling": scaling.describe(architecture.input_scaling),
        "target_scaling": scaling.describe(architecture.target_scaling),
        **schema.describe(architecture.schema),
    }
    return {**fields, **{key: value for key, value in optional.items() if value is not None}}


def architecture_from(description: object, room: int | None = None) -> tuple[Architecture, int]:
    """Return the architecture and the random state that `describe_architecture` has described.

    `room` is the number of bytes of the tensors in the file. The sizes of the layers are compared with it before
    anything of their length is allocated, because the sizes in a damaged file may be arbitrarily large.
    """
    fields = as_dict(_ARCHITECTURE, description)
    refuse_unknown(_ARCHITECTURE, fields, dict.fromkeys(sorted(_FIELDS | _OPTIONAL_FIELDS)))
    if set(fields) - _OPTIONAL_FIELDS != _FIELDS:
        raise format_error(_ARCHITECTURE, f"the fields {sorted(_FIELDS)}", sorted(fields))
    sizes = _check_sizes(fields["sizes"], room)
    _check_plain_fields(fields, len(sizes) - 2)
    loss = loss_from(fields["loss"])
    try:
        architecture = Architecture(
            sizes=sizes,
            activation=tuple(
                activation_from(each, f"activation[{i}]", output=False) for i, each in enumerate(fields["activation"])
            ),
            output_activation=activation_from(fields["output_activation"], "output_activation"),
            loss=loss,
            dtype=np.dtype(fields["dtype"]),
            init=fields["init"],
            seed=fields["seed"],
            input_scaling=scaling.from_description("input_scaling", fields.get("input_scaling"), sizes[0]),
            target_scaling=scaling.from_description("target_scaling", fields.get("target_scaling"), sizes[-1]),
            **schema.from_description(fields, sizes[0], n_classes(loss, sizes[-1]))._asdict(),
        )
    except FormatError:
        raise
    except (ValueError, TypeError) as error:
        raise FormatError(str(error)) from None
    return architecture, int(fields["random_state"], 16)


def _check_plain_fields(fields: Mapping[str, Any], n_hidden: int) -> None:
    """Refuse fields of the wrong JSON type, which a constructor might misinterpret."""
    hidden, seed, state = fields["activation"], fields["seed"], fields["random_state"]
    if not isinstance(hidden, list) or len(hidden) != n_hidden:
        raise format_error("activation", f"a list of {n_hidden}, one per hidden layer", hidden)
    if fields["dtype"] not in list(DTYPES):
        raise format_error("dtype", " or ".join(map(repr, DTYPES)), fields["dtype"])
    if fields["init"] not in list(INITIALIZERS):
        raise format_error("init", f"one of {', '.join(map(repr, INITIALIZERS))}", fields["init"])
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**64):
        raise format_error("seed", "null or an integer in [0, 2**64)", seed)
    if not isinstance(state, str) or not re.fullmatch("[0-9a-f]{16}", state):
        raise format_error("random_state", "16 hexadecimal digits", state)


def _check_sizes(sizes: object, room: int | None) -> tuple[int, ...]:
    if not isinstance(sizes, list) or any(type(size) is not int for size in sizes):
        raise format_error("sizes", "a list of integers", sizes)
    try:
        checked = check_sizes(sizes)
    except ValueError as error:
        raise FormatError(str(error)) from None
    n_bytes = 4 * sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in itertools.pairwise(checked))
    if room is not None and n_bytes > room:  # for float64 twice as many, checked with the tensors
        raise FormatError(
            f"data section: expected {n_bytes} bytes or more for the sizes {reprlib.repr(sizes)}, got {room}"
        )
    return checked


# ----------------------------------------------------------------------------------------------------------- comparing


def optimizer_fields(description: Any) -> dict[str, Any]:
    """Return the name and all fields, including defaults, of a described optimiser.

    The fields of its schedule have the keys `learning_rate.<field>`.
    """
    return dict(_all_fields("optimizer", description, OPTIMIZERS))


def regularization_fields(description: Any) -> dict[str, Any]:
    """Return all fields, including defaults, of a described regularisation; None stands for one without effect."""
    by_default: dict[str, Any] = defaults(Regularization)
    given = {} if description is None else as_dict("regularization", description)
    refuse_unknown("regularization", given, by_default)
    return {**by_default, **given}


def _all_fields(argument: str, description: Any, table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    given = as_dict(argument, description)
    name = given.pop("name", None)
    yield "name", name
    kind = table.get(name) if isinstance(name, str) else None
    if kind is None:  # unknown to this version; the name shows the difference
        return
    by_default = defaults(kind)
    refuse_unknown(f"{argument} {name!r}", given, dict.fromkeys(names_of_fields(kind)))
    for field in names_of_fields(kind):
        value = given.get(field, by_default.get(field))
        if isinstance(value, dict) and "name" in value:
            yield from ((f"{field}.{key}", each) for key, each in _all_fields(field, value, SCHEDULES))
        else:
            yield field, value
