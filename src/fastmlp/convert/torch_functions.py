"""What torch's activations are in this package: one table of modules and one of functions, each with its arguments.

A row has the names of a function's arguments after the first, their defaults, and a function of their values that gives
the step, the steps, or none. Where a value has no equal here, it refuses. Importing this module needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import activations as a
from ..activations import Activation
from .chain import Activate, Affine, Step, refuse

Steps = tuple[Step, ...]
Maker = Callable[..., Activation | None]

_KEEP_NONE = "there is none in a multilayer perceptron here; ReLU, SiLU or GELU are near to it"


def _elu(alpha: float) -> Activation:
    if not alpha > 0:
        raise ValueError(f"ELU of alpha {alpha!r}, which is not above 0")
    return a.ELU(alpha)


def _leaky_relu(negative_slope: float) -> Activation:
    if not negative_slope >= 0:
        raise ValueError(f"LeakyReLU of the slope {negative_slope!r}, which is below 0")
    return a.LeakyReLU(negative_slope)


def _rrelu(lower: float, upper: float) -> Activation:
    return _leaky_relu((lower + upper) / 2)


def _softplus(beta: float, threshold: float) -> Activation:
    if not beta > 0:
        raise ValueError(f"Softplus of beta {beta!r}, which is not above 0")
    if not math.log1p(math.exp(-min(threshold, 700.0))) <= 2**-24 * threshold:
        raise ValueError(f"Softplus of the threshold {threshold!r}, above which torch returns z itself")
    return a.Softplus(beta)


def _threshold(threshold: float, value: float) -> Activation:
    if threshold != 0 or value != 0:
        raise ValueError(f"Threshold({threshold!r}, {value!r}), of which only Threshold(0, 0) is ReLU")
    return a.ReLU()


def _clamp(min: float | None, max: float | None) -> Activation:  # noqa: A002
    if max is None and min == 0:
        return a.ReLU()
    if min is None or max is None or not min < max:
        raise ValueError(f"a clamp to [{min!r}, {max!r}]")
    return a.HardTanh(min, max)


def _softmax(dim: int | None) -> Activation:
    if dim not in (1, -1, None):  # of rows, torch's default is 1
        raise ValueError(f"a softmax over dimension {dim!r}, of which only 1 and -1 are the columns")
    return a.Softmax()


def _log_softmax(dim: int | None) -> Activation:
    raise ValueError("LogSoftmax: use Softmax in its place, of whose outputs the logarithm is the same")


def _flatten(start_dim: int, end_dim: int) -> None:
    if start_dim != 1 or end_dim not in (-1, 1):
        raise ValueError(f"Flatten({start_dim!r}, {end_dim!r}), of which only Flatten(1, -1) keeps the rows")


def _refused(name: str) -> Maker:
    def refuse_it(**values: Any) -> Activation:
        raise ValueError(name)

    return refuse_it


# name of the torch.nn module: the names of its attributes, and what makes the activation of their values
MODULES: dict[str, tuple[tuple[str, ...], Maker]] = {
    "ReLU": ((), a.ReLU),
    "ReLU6": ((), lambda: a.HardTanh(0.0, 6.0)),
    "Tanh": ((), a.Tanh),
    "Sigmoid": ((), a.Sigmoid),
    "SiLU": ((), a.SiLU),
    "Mish": ((), a.Mish),
    "Softsign": ((), a.Softsign),
    "SELU": ((), a.SELU),
    "GELU": (("approximate",), a.GELU),
    "ELU": (("alpha",), _elu),
    "LeakyReLU": (("negative_slope",), _leaky_relu),
    "RReLU": (("lower", "upper"), _rrelu),
    "Softplus": (("beta", "threshold"), _softplus),
    "Hardsigmoid": ((), a.HardSigmoid),
    "Hardtanh": (("min_val", "max_val"), _clamp),
    "Threshold": (("threshold", "value"), _threshold),
    "Softmax": (("dim",), _softmax),
    "LogSoftmax": (("dim",), _log_softmax),
    "Flatten": (("start_dim", "end_dim"), _flatten),
}
_NOTHING = ("Identity", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d")

# name of the function: the defaults of its arguments after the first, and what makes the activation of their values
FUNCTIONS: dict[str, tuple[dict[str, Any], Maker]] = {
    "relu": ({"inplace": False}, lambda inplace: a.ReLU()),
    "relu6": ({"inplace": False}, lambda inplace: a.HardTanh(0.0, 6.0)),
    "tanh": ({}, a.Tanh),
    "sigmoid": ({}, a.Sigmoid),
    "silu": ({"inplace": False}, lambda inplace: a.SiLU()),
    "mish": ({"inplace": False}, lambda inplace: a.Mish()),
    "softsign": ({}, a.Softsign),
    "selu": ({"inplace": False}, lambda inplace: a.SELU()),
    "gelu": ({"approximate": "none"}, a.GELU),
    "elu": ({"alpha": 1.0, "inplace": False}, lambda alpha, inplace: _elu(alpha)),
    "leaky_relu": (
        {"negative_slope": 0.01, "inplace": False},
        lambda negative_slope, inplace: _leaky_relu(negative_slope),
    ),
    "softplus": ({"beta": 1.0, "threshold": 20.0}, _softplus),
    "hardsigmoid": ({"inplace": False}, lambda inplace: a.HardSigmoid()),
    "hardtanh": (
        {"min_val": -1.0, "max_val": 1.0, "inplace": False},
        lambda min_val, max_val, inplace: _clamp(min_val, max_val),
    ),
    "clamp": ({"min": None, "max": None}, _clamp),
    "clip": ({"min": None, "max": None}, _clamp),
    "softmax": ({"dim": None, "_stacklevel": 3, "dtype": None}, lambda dim, _stacklevel, dtype: _softmax(dim)),
    "log_softmax": ({"dim": None, "_stacklevel": 3, "dtype": None}, lambda dim, _stacklevel, dtype: _log_softmax(dim)),
    "flatten": ({"start_dim": 0, "end_dim": -1}, _flatten),
    "contiguous": ({}, lambda: None),
    "sin": ({}, a.Sine),
}


def of_module(module: Any, name: str, place: str, width: int) -> Steps | None:
    """Return the steps of a torch.nn module without parameters, by the name of its class; None if it is not known."""
    if name in _NOTHING:
        return ()
    if name == "CELU":
        return celu(float(module.alpha), place, width)
    if name == "LogSigmoid":
        return log_sigmoid(place, width)
    if name not in MODULES:
        return None
    attributes, make = MODULES[name]
    return _made(make, {each: getattr(module, each) for each in attributes}, place, positional=True)


def of_function(
    name: str, arguments: tuple[Any, ...], keywords: Mapping[str, Any], place: str, width: int
) -> Steps | None:
    """Return the steps of a function of torch with these arguments after the first; None if it is not known."""
    if name == "celu":
        alpha = arguments[0] if arguments else keywords.get("alpha", 1.0)
        return celu(float(alpha), place, width)
    if name in ("logsigmoid", "log_sigmoid"):
        return log_sigmoid(place, width)
    if name not in FUNCTIONS:
        return None
    defaults, make = FUNCTIONS[name]
    values = dict(zip(defaults, arguments, strict=False)) | dict(keywords)
    if len(arguments) > len(defaults) or not set(values) <= set(defaults):
        refuse(place, f"{name} with other arguments than {', '.join(defaults) or 'none'}")
    return _made(make, defaults | values, place)


def _made(make: Maker, values: dict[str, Any], place: str, *, positional: bool = False) -> Steps:
    try:
        made = make(*values.values()) if positional else make(**values)
    except (ValueError, TypeError) as error:
        refuse(place, str(error))
    return () if made is None else (Activate(made, place),)


def celu(alpha: float, place: str, width: int) -> Steps:
    """Return CELU: alpha times ELU of z / alpha, a factor on either side of an ELU."""
    if not 0 < alpha < math.inf:
        refuse(place, f"CELU of alpha {alpha!r}, which is not above 0")
    if alpha == 1:
        return (Activate(a.ELU(), place),)
    factor = np.full(width, alpha)
    return (
        Affine(np.zeros(width), factor, place),
        Activate(a.ELU(), place),
        Affine.times(factor, np.zeros(width), place),
    )


def log_sigmoid(place: str, width: int) -> Steps:
    """Return ln(1 / (1 + exp(-z))): the negative softplus of -z."""
    negative = Affine.times(np.full(width, -1.0), np.zeros(width), place)
    return negative, Activate(a.Softplus(), place), negative
