"""lwtnn's JSON of sequential networks, as its converters (keras2json.py, sklearn2json.py) write.

Inputs are (x + offset) * scale; a dense layer has its weights (outputs, inputs) row by row in one list. A layer without
weights is an activation alone. The functions are those of lwtnn's C++ code, where hard_sigmoid is 0.2 x + 0.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..activations import ELU, Activation, Identity, LeakyReLU, PiecewiseLinear, ReLU, Sigmoid, SiLU, Softmax, Tanh
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .text_files import Source, array, malformed, read_json

TOOL = "lwtnn"
PLAIN: dict[str, Activation] = {
    "linear": Identity(),
    "rectified": ReLU(),
    "relu": ReLU(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
    "softmax": Softmax(),
    "hard_sigmoid": PiecewiseLinear(-2.5, 2.5),
}
WITH_ALPHA: dict[str, Callable[[float], Activation]] = {
    "elu": ELU,
    "leakyrelu": LeakyReLU,
    "swish": lambda alpha: SiLU(),  # of alpha x, and divided by alpha
}


def read(source: Source) -> Chain:
    """Read a sequential network of lwtnn.

    Parameters
    ----------
    source : path or bytes

    Raises
    ------
    FormatError
        If the file is malformed, or has a layer that is not dense, an activation or a normalization.
    """
    file = read_json(source, TOOL)
    if not isinstance(file, dict):
        malformed(TOOL, "an object of JSON", file)
    if "nodes" in file:
        refuse("nodes", "a graph", "only sequential networks can be read (keras2json.py or sklearn2json.py)")
    names, step = _inputs(file.get("inputs"))
    steps: list[Step] = [step]
    columns = len(names)
    layers = file.get("layers")
    if not isinstance(layers, list) or not layers:
        malformed("layers", "a list of layers", layers)
    for number, layer in enumerate(layers):
        place = f"layers[{number}]"
        if not isinstance(layer, dict):
            malformed(place, "an object of JSON", layer)
        more, columns = _layer(layer, place, columns)
        steps += more
    outputs = file.get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(name, str) for name in outputs) or len(outputs) != columns:
        malformed("outputs", f"the names of {columns} outputs", outputs)
    classifies = isinstance(steps[-1], Activate) and isinstance(steps[-1].activation, Softmax)
    return Chain(
        tuple(steps),
        TOOL,
        "",
        "float64",
        len(names),
        feature_names=names,
        class_names=tuple(outputs) if classifies else None,
        target_name=outputs[0] if len(outputs) == 1 else None,
    )


def _inputs(inputs: object) -> tuple[tuple[str, ...], Affine]:
    if not isinstance(inputs, list) or not inputs or not all(isinstance(each, dict) for each in inputs):
        malformed("inputs", "a list of inputs with name, offset and scale", inputs)
    names = [each.get("name") for each in inputs]
    if not all(isinstance(name, str) for name in names):
        malformed("inputs", "a name of each", names)
    offset = array([each.get("offset") for each in inputs], "inputs: offset", len(inputs))
    scale = array([each.get("scale") for each in inputs], "inputs: scale", len(inputs))
    with np.errstate(over="ignore", divide="ignore"):
        quotient = 1 / scale
    if np.isfinite(quotient).all():
        return tuple(names), Affine(-offset, quotient, "inputs")
    return tuple(names), Affine.times(scale, offset * scale, "inputs")


def _layer(layer: dict[str, Any], place: str, columns: int) -> tuple[list[Step], int]:
    """Return the steps of a layer, and the number of its outputs."""
    kind = layer.get("architecture")
    weights = array(layer.get("weights", []), f"{place}: weights", -1)
    bias = array(layer.get("bias", []), f"{place}: bias", -1)
    if kind == "normalization":
        if weights.shape != (columns,) or bias.shape != (columns,):
            malformed(place, f"{columns} weights and as many biases", f"{len(weights)} and {len(bias)}")
        return [Affine.times(weights, bias * weights, place)], columns
    if kind != "dense":
        refuse(place, f"the architecture {kind!r:.60}", "dense and normalization can be read")
    steps: list[Step] = []
    if len(weights):
        n = len(bias) or len(weights) // columns
        if len(weights) != n * columns:
            malformed(f"{place}: weights", f"{n} times {columns} weights", len(weights))
        steps.append(Linear(weights.reshape(n, columns), bias if len(bias) else np.zeros(n), place))
        columns = n
    elif len(bias):
        malformed(place, "weights", f"{len(bias)} biases alone")
    return steps + _activation(layer.get("activation"), place, columns), columns


def _activation(given: object, place: str, columns: int) -> list[Step]:
    name, alpha = (given.get("function"), given.get("alpha")) if isinstance(given, dict) else (given, None)
    if isinstance(name, str) and name in PLAIN:
        return [] if name == "linear" else [Activate(PLAIN[name], place)]
    if not isinstance(name, str) or name not in WITH_ALPHA:
        refuse(place, f"the activation {name!r:.60}", f"known are {', '.join([*PLAIN, *WITH_ALPHA])}")
    if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or alpha <= 0:
        refuse(place, f"the activation {name!r} with alpha {alpha!r:.40}", "the file must say an alpha above 0")
    steps: list[Step] = [Activate(WITH_ALPHA[name](float(alpha)), place)]
    if name == "swish" and alpha != 1:
        factor, zeros = np.full(columns, float(alpha)), np.zeros(columns)
        steps = [Affine.times(factor, zeros, place), *steps, Affine(zeros, factor, place)]
    return steps
