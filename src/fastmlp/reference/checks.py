"""Checks and conversions of users' arguments: each function returns the value in one type or raises an error.

The errors are TypeError and ValueError. Their messages are "<argument>: expected ..., got ...", with the row and column
of a number that is refused. The functions return new objects: nested lists of floats, ints, or a `Choice` from a table.
They recognise arrays and NumPy scalars by their attributes, so NumPy is not needed. No function changes its argument.
"""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from . import losses
from .functions import ACTIVATIONS, ALIASES, Matrix, Vector
from .losses import LOSSES, TARGETS
from .metrics import METRICS
from .minimizers import FULL_BATCH, MINIMIZERS
from .regularization import FIELDS, LIMITS, NOT_SMOOTH
from .schedules import SCHEDULES

HOOKS = ("on_train_begin", "on_epoch_begin", "on_batch_begin", "on_batch_end", "on_epoch_end", "on_train_end")
Bounds = tuple[str, Callable[[float], bool]]
# The keys are names of fields, or "object.field" where objects have a field of the same name with other bounds.
BOUNDS: dict[str, Bounds] = {
    "beta": ("not 0", lambda v: v != 0),
    "softplus.beta": ("above 0", lambda v: v > 0),
    "sigma": ("above 0", lambda v: v > 0),
    "alpha": ("above 0", lambda v: v > 0),
    "negative_slope": ("of at least 0", lambda v: v >= 0),
    "omega": ("not 0", lambda v: v != 0),
    "learning_rate": ("above 0 (the step is P - learning_rate * gradient)", lambda v: v > 0),
    "momentum": ("in [0, 1)", lambda v: 0 <= v < 1),
    "beta_1": ("in [0, 1)", lambda v: 0 <= v < 1),
    "beta_2": ("in [0, 1)", lambda v: 0 <= v < 1),
    "epsilon": ("above 0", lambda v: v > 0),
    "rmsprop.alpha": ("in [0, 1)", lambda v: 0 <= v < 1),
    "delta": ("above 0", lambda v: v > 0),
    "margin": ("above 0", lambda v: v > 0),
    "label_smoothing": ("in [0, 1)", lambda v: 0 <= v < 1),
    "levels": ("in (0, 1)", lambda v: 0 < v < 1),
    "focal.gamma": ("of at least 0", lambda v: v >= 0),
    "binary_focal.gamma": ("of at least 0", lambda v: v >= 0),
    "eta_minus": ("in (0, 1)", lambda v: 0 < v < 1),
    "eta_plus": ("above 1", lambda v: v > 1),
    "gamma": ("above 0", lambda v: v > 0),
    "factor": ("in (0, 1)", lambda v: 0 < v < 1),
    "pct_start": ("in (0, 1)", lambda v: 0 < v < 1),
    "threshold": ("in [0, 1)", lambda v: 0 <= v < 1),
}
BOUNDS |= {
    field: ("of at least 0", lambda v: v >= 0)
    for field in (
        "weight_decay", "momentum_decay", "learning_rate_decay", "initial_accumulator", "power", "warmup_rate",
        "final_rate", "least_rate", "gradient_tolerance", "loss_tolerance",
    )
}  # fmt: skip
BOUNDS |= {
    field: ("above 0", lambda v: v > 0) for field in ("least_step", "largest_step", "div_factor", "final_div_factor")
}
MINIMUM = {"step_size": 1, "n_steps": 1, "memory": 1, "max_evaluations": 2}  # of integers; 0 for other fields
STRINGS = {"approximate": ("none", "tanh")}
BOUNDS |= {
    field: ("of at least 0 and below 1", lambda v: 0 <= v < 1) for field in ("dropout", "input_dropout", "average")
}
BOUNDS |= {field: ("above 0", lambda v: v > 0) for field in ("max_norm", "clip_norm", "clip_value")}
BOUNDS |= {field: ("of at least 0", lambda v: v >= 0) for field in ("l1", "l2", "input_noise")}
INTERVALS = {"piecewise_linear": ("x_min", "x_max"), "hard_tanh": ("min_val", "max_val")}  # the first is less


class Choice(SimpleNamespace):
    """A name from a table with its hyper-parameters as attributes: `Choice(name="sgd", learning_rate=3.0)`."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={value!r}" for field, value in vars(self).items() if field != "name")
        return f"{self.name}({fields})"


def one_of(argument: str, value: Any, names: Iterable[str]) -> str:
    """Return the value if it is one of the names; the error suggests the nearest name."""
    valid = list(names)
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected one of {', '.join(map(repr, valid))}, got {value!r}")
    if value not in valid:
        nearest = difflib.get_close_matches(value.lower(), valid, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"{argument}: expected one of {', '.join(map(repr, valid))}, got {value!r}{hint}")
    return value


def integer(argument: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return an integer within the bounds; bools and floats are refused."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument}: expected an integer, got {value!r}")
    number = operator.index(value)
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        bounds = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise ValueError(f"{argument}: expected an integer {bounds}, got {number}")
    return number


def positive(argument: str, value: Any, below: float = math.inf) -> float:
    """Return a number above 0 and below the bound as a float."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{argument}: expected a real number, got {value!r}")
    number = float(value)
    if not 0 < number < below:
        raise ValueError(f"{argument}: expected a number above 0 and below {below:g}, got {value!r}")
    return number


def split(argument: str, share: Any, n_rows: int) -> int:
    """Return the number of rows that remain for training when the last share of them, rounded up, is split off."""
    n = math.floor(n_rows * (1 - positive(argument, share, below=1.0)) + 1e-9)
    if not 0 < n < n_rows:
        raise ValueError(f"{argument}: expected a share that leaves both some rows, got {share} of {n_rows}")
    return n


def flag(argument: str, value: Any) -> bool:
    """Return the value as a bool, if it is one of Python's or of NumPy's."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def pair_of_functions(argument: str, value: Any) -> tuple[Callable[[float], Any], Callable[[float], Any]]:
    """Return a pair of functions of a number, an activation and its derivative."""
    if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(map(callable, value))):
        raise TypeError(f"{argument}: expected a pair of functions, f and its derivative, got {value!r}")
    return tuple(value)


def choose(argument: str, value: Any, table: Mapping[str, Any]) -> Choice:
    """Return the name and hyper-parameters that a name, or an object with a name and attributes, stands for."""
    valid = [*table, *(alias for alias, name in ALIASES.items() if name in table)]
    name = one_of(argument, getattr(value, "name", value), valid)
    choice = Choice(name=ALIASES.get(name, name))
    for field, default in table[choice.name].fields.items():
        given = default if isinstance(value, str) else getattr(value, field, default)
        setattr(choice, field, hyper_parameter(choice.name, field, given, default))
    if choice.name in INTERVALS:
        (low, minimum), (high, maximum) = ((end, getattr(choice, end)) for end in INTERVALS[choice.name])
        if not 0.0 < maximum - minimum < math.inf:
            raise ValueError(f"{low}: expected a number below {high} = {maximum!r}, got {minimum!r}")
    if choice.name in ("sgd", "classical_momentum") and choice.nesterov and not choice.momentum:
        raise ValueError("nesterov: expected a momentum above 0 to go with nesterov=True, got momentum=0.0")
    if choice.name == "rprop":
        if not isinstance(choice.learning_rate, float):
            raise TypeError(f"learning_rate: expected a real number, got {choice.learning_rate!r}")
        if choice.least_step > choice.largest_step:
            raise ValueError(f"least_step: expected at most {choice.largest_step!r}, got {choice.least_step!r}")
    return choice


def hyper_parameter(name: str, field: str, given: Any, default: Any) -> Any:
    """Return a hyper-parameter after a check that it is of the kind of its default.

    It is a real number or several of them, an integer, a bool, a string, a function or a pair of functions. A learning
    rate may also be a schedule or a function of the step.
    """
    if field == "learning_rate" and hasattr(given, "name"):
        return schedule(given)
    if field == "learning_rate" and callable(given) and not isinstance(given, type):
        return given
    if field == "monitor":
        return None if given is None else one_of(field, given, ("val_loss", "loss"))
    if field == "function":
        return function(field, given)
    if isinstance(default, tuple):
        return ascending(field, given)
    if isinstance(default, bool):
        return flag(field, given)
    if isinstance(default, int):
        return integer(field, given, MINIMUM.get(field, 0))
    if isinstance(default, str):
        return one_of(field, given, STRINGS[field])
    if default is None:
        return pair_of_functions(field, given)
    return real(field, given, name)


def function(field: str, given: Any) -> Callable[..., Any]:
    """Return the function of a custom loss, which takes outputs and targets."""
    if not callable(given):
        raise TypeError(f"{field}: expected a function of outputs and targets, got {given!r}")
    return given  # type: ignore[no-any-return]


def ascending(field: str, given: Any) -> tuple[float, ...]:
    """Return a tuple of at least one real number, in ascending order; a single number becomes a tuple of one."""
    each = tuple(real(field, v) for v in (given if isinstance(given, (tuple, list)) else (given,)))
    if not each or any(a >= b for a, b in pairwise(each)):
        raise ValueError(f"{field}: expected at least one, in ascending order, got {each!r}")
    return each


def real(field: str, given: Any, name: str = "") -> float:
    """Return a finite real number within the bounds of its field, or of that field of the object with this name."""
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise TypeError(f"{field}: expected a real number, got {given!r}")
    expected, inside = BOUNDS.get(f"{name}.{field}", BOUNDS.get(field, ("", math.isfinite)))
    if not (math.isfinite(given) and inside(float(given))):
        raise ValueError(f"{field}: expected a finite number {expected}, got {given!r}")
    return float(given)


def regularization(value: Any, optimizer: Choice, n_hidden: int) -> Choice | None:
    """Return the fields of a regularisation, checked; None if there is none or it has no effect."""
    if value is None:
        return None
    if not all(hasattr(value, field) for field in FIELDS):
        raise TypeError(f"regularization: expected a Regularization or None, got {value!r}")
    r = Choice(name="regularization", per_row=flag("per_row", value.per_row))
    for field in FIELDS.keys() - {"dropout", "per_row"}:
        given = getattr(value, field)
        setattr(r, field, None if given is None and FIELDS[field] is None else real(field, given))
    rates = value.dropout if isinstance(value.dropout, (tuple, list)) else (value.dropout,) * n_hidden
    if len(rates) != n_hidden:
        raise ValueError(f"dropout: expected one rate for each of the {n_hidden} hidden layers, got {len(rates)}")
    r.dropout = tuple(real("dropout", given) for given in rates)
    for field in NOT_SMOOTH if optimizer.name in MINIMIZERS else ():
        given = any(r.dropout) if field == "dropout" else getattr(r, field)
        if given or (given is not None and field in LIMITS):
            raise ValueError(
                f"{field}: expected l2 and per_row alone to go with the optimizer {optimizer.name!r}, got {given!r}"
            )
    changed = any(getattr(r, field) != FIELDS[field] for field in FIELDS.keys() - {"dropout", "per_row"})
    return r if changed or any(r.dropout) else None


def rate(t: int, function: Callable[[int], Any]) -> float:
    """Return the learning rate that a function of the step gives for step t, after a check that it is possible."""
    given = function(t)
    if isinstance(given, bool) or not isinstance(given, numbers.Real):
        raise TypeError(f"learning_rate({t}): expected a real number, got {given!r}")
    if not 0.0 <= float(given) < math.inf:
        raise ValueError(f"learning_rate({t}): expected a finite number of at least 0, got {given!r}")
    return float(given)


def schedule(value: Any) -> Choice:
    """Return a schedule of the learning rate, from an object with its name and hyper-parameters as attributes."""
    choice = choose("learning_rate", value, SCHEDULES)
    if choice.name == "cosine" and choice.warmup_steps >= choice.n_steps:
        raise ValueError(f"warmup_steps: expected fewer than {choice.n_steps}, got {choice.warmup_steps}")
    if choice.name == "one_cycle" and not choice.pct_start * choice.n_steps > 1.0:
        raise ValueError(f"pct_start: expected more than 1 of {choice.n_steps} steps, got {choice.pct_start!r}")
    if choice.name == "one_cycle" and choice.three_phase and choice.pct_start > 0.5:
        raise ValueError(f"pct_start: expected at most 0.5 with three_phase, got {choice.pct_start!r}")
    return choice


def layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the sizes as a tuple of at least two integers of at least 1, with at most 2^31 parameters in all."""
    sizes = plain(sizes)
    if not isinstance(sizes, (list, tuple)):
        raise TypeError(f"sizes: expected a sequence of integers, got {sizes!r}")
    if len(sizes) < 2:
        raise ValueError(f"sizes: expected at least 2 layer sizes, inputs and outputs, got {sizes!r}")
    checked = tuple(integer(f"sizes[{i}]", size, 1) for i, size in enumerate(sizes))
    if sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(checked)) > 2**31:
        raise ValueError(f"sizes: expected at most 2**31 parameters, got {list(checked)}")
    return checked


def hidden_activations(activation: Any, n_hidden: int) -> tuple[Choice, ...]:
    """Return the activation of each hidden layer, from a list of them or from one for all layers.

    One for all layers is checked even if there is no hidden layer.
    """
    if not isinstance(activation, (list, tuple)):
        return tuple(hidden_activation("activation", activation) for _ in range(max(n_hidden, 1)))[:n_hidden]
    if len(activation) != n_hidden:
        raise ValueError(f"activation: expected a list of {n_hidden}, one for each hidden layer, got {len(activation)}")
    return tuple(hidden_activation(f"activation[{i}]", value) for i, value in enumerate(activation))


def hidden_activation(argument: str, activation: Any) -> Choice:
    """Return an elementwise activation, which is any but softmax."""
    choice = choose(argument, activation, ACTIVATIONS)
    if choice.name == "softmax":
        raise ValueError(f"{argument}: expected an elementwise activation, got 'softmax' (output_activation only)")
    return choice


def output_activation(loss: Choice, activation: Any, n_outputs: int) -> Choice:
    """Return the output activation, by default the loss's partner; a loss that has a partner takes no other one."""
    n_heads = losses.n_heads(loss)
    if n_outputs % n_heads:
        raise ValueError(f"sizes: expected a multiple of {n_heads} outputs, as {loss!r} has heads, got {n_outputs}")
    partner = LOSSES[loss.name].partner
    if n_outputs == 1 and partner == "softmax":
        raise ValueError(
            f"sizes: expected at least 2 outputs for loss {loss.name!r}, as a softmax of one output is always 1, "
            "got 1; take output_activation='sigmoid' with loss='binary_cross_entropy'"
        )
    choice = choose("output_activation", (partner or "identity") if activation is None else activation, ACTIVATIONS)
    if partner and choice.name != partner:
        raise ValueError(
            f"output_activation: expected {partner!r}, the partner of loss {loss.name!r}, got {choice.name!r}"
        )
    if choice.name == "softmax" and partner != "softmax":
        raise ValueError(
            f"output_activation: 'softmax' expects its partner, loss 'cross_entropy' or 'focal', got {loss.name!r}"
        )
    return choice


def plain(value: Any) -> Any:
    """Return nested lists in place of an array, or of a list of arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (float, int)):
        return [plain(v) for v in value]
    return value


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the lengths of nested lists, each of them that of the first list of its level."""
    shape: list[int] = []
    while isinstance(value, (list, tuple)):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def vector(argument: str, row: Any, n: int) -> Vector:
    """Return a row of n real numbers as floats."""
    row = plain(row)
    if not isinstance(row, (list, tuple)) or len(row) != n:
        raise ValueError(f"{argument}: expected shape ({n},), got {shape_of(row)}")
    if not set(map(type, row)) <= {float, int}:
        for value in row:
            if isinstance(value, (list, tuple)):
                raise ValueError(f"{argument}: expected shape ({n},), got {shape_of(row)}")
            if not isinstance(value, numbers.Real):
                raise TypeError(f"{argument}: expected real numbers, got {value!r}")
    return list(map(float, row))


def matrix(argument: str, X: Any, n: int) -> tuple[Matrix, bool]:
    """Return X as rows of n floats, and whether X was a single row."""
    X = plain(X)
    shape = shape_of(X)
    if not shape and not isinstance(X, numbers.Real):
        raise TypeError(f"{argument}: expected nested lists of numbers, got {X!r}")
    if shape == (n,):
        return [vector(argument, X, n)], True
    if len(shape) != 2 or shape[1] != n:
        raise ValueError(f"{argument}: expected shape (B, {n}) with B at least 1, or ({n},), got {shape}")
    return [vector(f"{argument}[{i}]", row, n) for i, row in enumerate(X)], False


def require_finite(argument: str, row: Vector, place: str) -> None:
    """Raise `ValueError` if a number of the row is NaN or infinite; the message has the first one."""
    if not all(map(math.isfinite, row)):
        i, value = next((i, value) for i, value in enumerate(row) if not math.isfinite(value))
        raise ValueError(f"{argument}: expected finite numbers, got {value!r} in {place}, column {i}")


def targets(argument: str, y: Any, n_rows: int, n_outputs: int) -> Matrix:
    """Return target rows (B, O), from such rows, from numbers (B,) where O is 1, or from class labels (B,)."""
    shape = shape_of(y)
    if not shape and not isinstance(y, numbers.Real):
        raise TypeError(f"{argument}: expected nested lists of numbers, got {y!r}")
    if shape == (n_rows, n_outputs):
        return [vector(f"{argument}[{i}]", row, n_outputs) for i, row in enumerate(y)]
    if shape != (n_rows,):
        flat = f"({n_rows},)" if n_outputs == 1 else f"labels ({n_rows},)"
        raise ValueError(f"{argument}: expected shape ({n_rows}, {n_outputs}) or {flat} for X's rows, got {shape}")
    values = vector(argument, y, n_rows)
    if n_outputs == 1:
        return [[value] for value in values]
    for i, value in enumerate(values):
        if not (value.is_integer() and 0 <= value < n_outputs):
            raise ValueError(f"{argument}: expected class labels from 0 to {n_outputs - 1}, got {y[i]!r} in row {i}")
    return [[float(o == label) for o in range(n_outputs)] for label in map(int, values)]


def metric_table(metrics: Any) -> dict[str, tuple[Callable[..., Any], bool]]:
    """Return by name, in order, the function of each metric and whether it is the user's own."""
    if not isinstance(metrics, (list, tuple)):
        raise TypeError(f"metrics: expected a sequence of names or functions, got {metrics!r}")
    table: dict[str, tuple[Callable[..., Any], bool]] = {}
    for i, metric in enumerate(metrics):
        is_custom = callable(metric)
        name = getattr(metric, "__name__", type(metric).__name__) if is_custom else metric
        name = name if is_custom else one_of(f"metrics[{i}]", name, METRICS)
        if name == "loss" or name in table:
            raise ValueError(f"metrics[{i}]: expected each name once, and none that is 'loss', got {name!r}")
        table[name] = (metric if is_custom else METRICS[name], is_custom)
    return table


def check_targets(argument: str, T: Matrix, loss: Choice) -> None:
    """Raise `ValueError` if the loss does not accept a target row."""
    expected, fits = TARGETS[LOSSES[loss.name].targets]
    for i, t in enumerate(T):
        for o, value in enumerate(t):
            if not fits(value):
                raise ValueError(f"{argument}: expected {expected}, got {value!r} in row {i}, column {o}")
        if loss.name == "hinge" and len(t) > 1 and t.count(1.0) != 1:
            raise ValueError(f"{argument}: expected {expected}, got {t!r} in row {i}")


def row_weights(sample_weight: Any, class_weight: Any, T: Matrix, loss: Choice) -> Vector:
    """Return the weight of each row: its sample weight times the weight of its class; 1 for those not given."""
    weights = [1.0] * len(T)
    if sample_weight is not None:
        given = plain(sample_weight)
        weights = vector("sample_weight", [given] if not shape_of(given) and len(T) == 1 else given, len(T))
    for i, weight in enumerate(weights):
        if not 0.0 <= weight < math.inf:
            raise ValueError(f"sample_weight: expected finite numbers of at least 0, got {weight!r} in row {i}")
    if class_weight is not None:
        table = rescaled(_class_weights(class_weight, _classes(T, loss), max(2, len(T[0]))))
        weights = [weight * table[c] for weight, c in zip(rescaled(weights), _classes(T, loss))]
    weights = rescaled(weights)
    if not 0.0 < sum(weights) < math.inf:
        name = "sample_weight" if class_weight is None else "class_weight"
        raise ValueError(f"{name}: expected weights with a sum that is above 0 and finite, got {sum(weights)}")
    return weights


def rescaled(weights: Vector) -> Vector:
    """Return the weights, divided by a power of two if the largest is so far from 1 that sums could leave the range."""
    largest = max(weights)
    if largest == 0.0 or 2.0**-511 <= largest <= 2.0**511:
        return weights
    return [math.ldexp(weight, -math.frexp(largest)[1]) for weight in weights]


def _classes(T: Matrix, loss: Choice) -> list[int]:
    """Return the class of each target row: the index of its 1 or, for a single number, 1 if the number is 1, else 0."""
    allowed = (-1.0, 0.0, 1.0) if loss.name == "hinge" else (0.0, 1.0)
    for t in T:
        if not all(v in allowed for v in t) or (len(t) > 1 and t.count(1.0) != 1):
            raise ValueError(f"class_weight: expected targets that are one class in each row, got {t!r}")
    return [int(t[0] == 1.0) if len(t) == 1 else t.index(1.0) for t in T]


def _class_weights(class_weight: Any, classes: list[int], n_classes: int) -> Vector:
    """Return the weight of each class: that in the mapping, or 1 if it has none.

    With "balanced", a class has the weight n_rows / (number of classes that occur * number of rows of the class).
    """
    if isinstance(class_weight, str):
        one_of("class_weight", class_weight, ["balanced"])
        counts = [classes.count(c) for c in range(n_classes)]
        n_present = sum(1 for n in counts if n)
        return [len(classes) / (n_present * max(n, 1)) for n in counts]
    if not isinstance(class_weight, Mapping):
        raise TypeError(f"class_weight: expected 'balanced' or a dict of a weight for each class, got {class_weight!r}")
    table = [1.0] * n_classes
    for label, weight in class_weight.items():
        c = integer("class_weight: label", label, 0, n_classes - 1)
        table[c] = real(f"class_weight[{c}]", weight)
        if table[c] < 0.0:
            raise ValueError(f"class_weight[{c}]: expected a finite number of at least 0, got {weight!r}")
    return table


class Default(int):
    """A default that can be distinguished from an equal number that the caller passes."""


DEFAULT_BATCH_SIZE = Default(32)


def batch_size(value: Any, optimizer: Choice, n_rows: int) -> int:
    """Return the number of rows of a step: all rows for None, or for the default if the optimiser needs all rows."""
    full = optimizer.name in FULL_BATCH
    if value is None or (full and value is DEFAULT_BATCH_SIZE):
        return n_rows
    size = integer("batch_size", value, 1)
    if full and size < n_rows:
        raise ValueError(f"batch_size: expected None, as {optimizer.name!r} takes all {n_rows} rows, got {size}")
    return size


def refuse_with_batches(given: Mapping[str, bool]) -> None:
    """Raise `ValueError` if an argument is given that cannot be combined with an iterable of batches."""
    for argument, is_given in given.items():
        if is_given:
            raise ValueError(f"{argument}: cannot be combined with an iterable of batches")


def callback_list(callbacks: Any) -> list[Any]:
    """Return the callbacks as a list, after a check of each: a function or an object with at least one of the hooks."""
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a sequence, got {callbacks!r}")
    each = list(callbacks)
    for i, callback in enumerate(each):
        is_callback = callable(callback) or any(hasattr(callback, hook) for hook in HOOKS)
        if not is_callback or isinstance(callback, type):  # only the objects of a class with hooks can be called
            raise TypeError(f"callbacks[{i}]: expected a callable or an object with hooks, got {callback!r}")
    return each
