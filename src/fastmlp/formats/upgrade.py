"""Conversion of files of earlier versions: for each version of the format, a reader that converts it to the next one.

`READERS` has the readers by version. A reader takes the parsed but unchecked JSON of a file, and returns what the next
version would have written, which is then checked like any file. A new version needs a new number in
`model_file.VERSION` and a reader of the version before; readers of older versions must not change.

Version 1 was written by fastmlp 0.1.0. Its command line stored scaling, column names and classes as JSON in the file's
`extra`, which `fastmlp.load` did not use. Its checkpoints had the `repr` of the optimiser and of the regularisation,
and the optimiser's state by position instead of by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from . import strict_json

Described = tuple[dict[str, Any], dict[str, str]]  # the description of an architecture, and the file's `extra`
TrainingParts = tuple[dict[str, Any], dict[str, Any]]  # the fields and the tensors of a training, by name


class Reader(NamedTuple):
    """Functions that convert the two parts of a file to the next version, or raise ValueError."""

    architecture: Callable[[dict[str, Any], dict[str, str]], Described]
    training: Callable[[dict[str, Any], dict[str, Any]], TrainingParts]


# ------------------------------------------------------------------------------------------ version 1: the command line

_FIELDS = {  # key in `extra`: field of the architecture since version 2
    "columns": "feature_names",
    "target": "target_name",
    "classes": "class_names",
    "scaling": "input_scaling",
    "target_scaling": "target_scaling",
}
_TASKS = ("classification", "regression")


def from_command_line(architecture: dict[str, Any], extra: dict[str, str]) -> Described:
    """Move what the command line of 0.1.0 stored in `extra` into the architecture; return both.

    Raises
    ------
    ValueError
        If an entry is not valid JSON, or the architecture already has the field.
    """
    if _parsed(extra, "task") not in _TASKS:
        return architecture, extra
    found = {ours: _parsed(extra, theirs) for theirs, ours in _FIELDS.items() if theirs in extra}
    twice = sorted(found.keys() & architecture.keys())
    if twice:
        raise ValueError(
            f"{twice[0]}: expected it once, got it in the architecture and in what the command line of 0.1.0 kept "
            "beside the network; train the model again"
        )
    rest = {key: value for key, value in extra.items() if key != "task" and key not in _FIELDS}
    return {**architecture, **found}, rest


def _parsed(extra: Mapping[str, str], key: str) -> Any:
    if key not in extra:
        return None
    try:
        return strict_json.parse(extra[key])
    except ValueError:
        if key == "task":  # not written by the command line
            return None
        raise ValueError(
            f"{key}: expected JSON, as the command line of 0.1.0 wrote it, got {extra[key]!r:.60}"
        ) from None


# --------------------------------------------------------------------------------------------- version 1: an optimiser

_ADAM = {"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
_OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {  # class: name, and defaults in the order of the fields
    "SGD": ("sgd", {"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}),
    "ClassicalMomentum": ("classical_momentum", {"learning_rate": 0.01, "momentum": 0.9, "nesterov": False}),
    "Adam": ("adam", _ADAM),
    "AdamHat": ("adam_hat", _ADAM),
    "AdamW": ("adamw", {**_ADAM, "weight_decay": 0.01}),
    "NAdam": ("nadam", {**_ADAM, "learning_rate": 0.002, "momentum_decay": 0.004}),
    "RMSprop": (
        "rmsprop",
        {"learning_rate": 0.01, "alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0, "centered": False},
    ),
    "AdaGrad": (
        "adagrad",
        {"learning_rate": 0.01, "learning_rate_decay": 0.0, "initial_accumulator": 0.0, "epsilon": 1e-10},
    ),
    "Lion": ("lion", {"learning_rate": 0.0001, "beta_1": 0.9, "beta_2": 0.99, "weight_decay": 0.0}),
    "Rprop": (
        "rprop",
        {"learning_rate": 0.01, "eta_minus": 0.5, "eta_plus": 1.2, "least_step": 1e-6, "largest_step": 50.0},
    ),
    "LBFGS": (
        "lbfgs",
        {"memory": 10, "gradient_tolerance": 1e-5, "loss_tolerance": 2.22e-9, "max_evaluations": 20},
    ),
}
_SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {  # like _OPTIMIZERS; None for a field without a default
    "ConstantRate": ("constant", {"learning_rate": None}),
    "StepDecay": ("step", {"learning_rate": None, "step_size": None, "gamma": 0.1}),
    "ExponentialDecay": ("exponential", {"learning_rate": None, "gamma": None}),
    "InverseScaling": ("inverse_scaling", {"learning_rate": None, "power": 0.5}),
    "CosineDecay": (
        "cosine",
        {"learning_rate": None, "n_steps": None, "warmup_steps": 0, "warmup_rate": 0.0, "final_rate": 0.0},
    ),
    "OneCycle": (
        "one_cycle",
        {
            "learning_rate": None,
            "n_steps": None,
            "pct_start": 0.3,
            "div_factor": 25.0,
            "final_div_factor": 1e4,
            "linear": False,
            "three_phase": False,
        },
    ),
    "ReduceOnPlateau": (
        "reduce_on_plateau",
        {
            "learning_rate": None,
            "monitor": None,
            "factor": 0.1,
            "patience": 10,
            "threshold": 1e-4,
            "cooldown": 0,
            "least_rate": 0.0,
        },
    ),
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_MAX_NUMBER_LENGTH = 40
_N_SCALARS = 8  # the number of scalars in the state of every optimiser of 0.1.0
_STATE_VECTORS = {
    "sgd": ("momentum_buffer",),
    "classical_momentum": ("momentum_buffer",),
    **dict.fromkeys(("adam", "adam_hat", "adamw", "nadam"), ("exp_avg", "exp_avg_sq")),
    "rmsprop": ("square_avg", "momentum_buffer", "grad_avg"),
    "adagrad": ("sum",),
    "lion": ("exp_avg",),
    "rprop": ("prev", "step_size"),
}
_MU_PRODUCT = 5  # index of NAdam's product among the scalars; all others are computed in each step
_PLATEAU = ("plateau.rate", "plateau.best", "plateau.n_bad", "plateau.n_cooling")


def from_repr(text: object, table: Mapping[str, tuple[str, dict[str, Any]]] = _OPTIMIZERS) -> dict[str, Any]:
    """Parse the `repr` of an optimiser or a schedule of 0.1.0; return its description in version 2."""
    kind, _, rest = text.partition("(") if isinstance(text, str) else ("", "", "")
    if kind not in table or not rest.endswith(")"):
        raise ValueError(f"optimizer: expected one of fastmlp 0.1.0, got {text!r:.100}")
    name, by_default = table[kind]
    (first, *others), rest, values = by_default, rest[:-1], {}
    for field in reversed(others):  # the text of the first field may contain commas, the others do not
        rest, _, values[field] = rest.rpartition(f", {field}=")
    values[first] = rest.removeprefix(f"{first}=")
    read = {field: _value(field, values[field], table is _OPTIMIZERS) for field in by_default}
    return {
        "name": name,
        **{field: v for field, v in read.items() if by_default[field] is None or v != by_default[field]},
    }


def _value(field: str, text: str, may_be_schedule: bool = False) -> Any:
    """Parse a number, a boolean, None or a quoted name.

    With `may_be_schedule`, a learning rate may also be a schedule, or the name of a function.
    """
    if text in ("True", "False", "None"):
        return {"True": True, "False": False, "None": None}[text]
    if len(text) <= _MAX_NUMBER_LENGTH and _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".e") else int(text)
    if field == "monitor" and text in ("'loss'", "'val_loss'"):
        return text.strip("'")
    if field != "learning_rate" or not (text and may_be_schedule):
        raise ValueError(f"optimizer: expected a number for {field}, got {text!r:.60}")
    return from_repr(text, _SCHEDULES) if text.partition("(")[0] in _SCHEDULES else {"function": text}


def regularization_from_repr(text: object) -> dict[str, Any] | None:
    """Parse the `repr` of a regularisation of 0.1.0; return its description in version 2."""
    if text == "None":
        return None
    inner = text[len("Regularization(") : -1] if isinstance(text, str) else ""
    if not inner or text != f"Regularization({inner})":
        raise ValueError(f"regularization: expected one of fastmlp 0.1.0, got {text!r:.100}")
    found: dict[str, Any] = {}
    for field, value in re.findall(r"(\w+)=(\([^()]*\)|[^,()]*)", inner):
        is_tuple = value.startswith("(")
        numbers = [_value(field, each) for each in value.strip("(),").split(", ")] if value != "()" else []
        found[field] = numbers if is_tuple else numbers[0]
    return found


def state_by_name(
    optimizer: Mapping[str, Any],
    regularization: Mapping[str, Any] | None,
    vectors: Sequence[Any],
    numbers: Sequence[float],
) -> tuple[dict[str, Any], dict[str, float]]:
    """Name the vectors and numbers of an optimiser's state, which version 1 and pickles of 0.1.0 had by position.

    `optimizer` and `regularization` are descriptions of version 2.
    """
    terms = regularization or {}
    dropout = terms.get("dropout", 0.0)
    draws = bool(terms.get("input_noise") or terms.get("input_dropout"))
    draws = draws or any(dropout if isinstance(dropout, (list, tuple)) else [dropout])
    if optimizer["name"] == "lbfgs":
        n = len(vectors) // 2
        names = [f"{which}.{k}" for k in range(n) for which in ("s", "y")]
        keys: list[str | None] = ["gamma" if n else None, *(f"rho.{k}" for k in range(n))]
    else:
        names = [*_STATE_VECTORS[optimizer["name"]], *(["unaveraged_parameters"] if "average" in terms else [])]
        rate = optimizer.get("learning_rate", 0.0)
        scheduled = isinstance(rate, dict)
        keys = [None] * _N_SCALARS
        if optimizer["name"] == "nadam":
            keys[_MU_PRODUCT] = "mu_product"
        keys += _PLATEAU if scheduled and rate.get("name") == "reduce_on_plateau" else []
        keys += [] if scheduled else ["learning_rate"]
        keys += ["random_key"] if draws else []
    if (len(vectors), len(numbers)) != (len(names), len(keys)):
        raise ValueError(
            f"numbers: expected {len(keys)} of the state of {optimizer['name']!r}, with {len(names)} vectors, got "
            f"{len(numbers)} with {len(vectors)}"
        )
    named = {key: number for key, number in zip(keys, numbers, strict=True) if key is not None}
    return dict(zip(names, vectors, strict=True)), named


def _training_of_version_1(fields: dict[str, Any], tensors: dict[str, Any]) -> TrainingParts:
    """Convert a training of version 1: descriptions replace the text of `repr`, and names replace positions."""
    fields = dict(fields)
    version, numbers, settings = fields.pop("version", None), fields.get("numbers"), fields.get("settings")
    if type(version) is not int or version != 1:
        raise ValueError(f"training: expected version 1, that of the model, got {version!r:.60}")
    if not isinstance(settings, dict) or not isinstance(numbers, list) or "states" not in fields:
        raise ValueError("training: expected settings, a list of numbers and states, got others")
    optimizer = from_repr(settings.get("optimizer"))
    regularization = regularization_from_repr(settings.get("regularization"))
    prefix = "optimizer."
    n_vectors = sum(name.startswith(prefix) for name in tensors)
    places = [f"{prefix}{k}" for k in range(n_vectors)]
    if not tensors.keys() >= set(places):
        raise ValueError(f"tensors: expected those of the optimizer from {prefix}0 on, got others")
    vectors, named = state_by_name(optimizer, regularization, [tensors[place] for place in places], numbers)
    rest = {name: tensor for name, tensor in tensors.items() if name not in places}
    fields["settings"] = {**settings, "optimizer": optimizer, "regularization": regularization}
    fields["numbers"], fields["callbacks"] = named, fields.pop("states")
    return fields, {**{f"{prefix}{name}": vector for name, vector in vectors.items()}, **rest}


READERS: dict[int, Reader] = {1: Reader(from_command_line, _training_of_version_1)}
