"""RTNeural's JSON, as its exporter from Keras (model_utils.save_model) writes.

A dense layer has its weights as (inputs, outputs). The exporter writes "" in place of every activation that it does not
know, GELU, softplus and LeakyReLU among them, as it does for none: which one a hidden layer had is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..activations import ELU, Activation, Identity, ReLU, Sigmoid, Softmax, Tanh, resolve
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .text_files import Source, array, malformed, read_json, whole

TOOL = "RTNeural"
ACTIVATIONS: dict[str, Activation] = {
    "tanh": Tanh(), "relu": ReLU(), "sigmoid": Sigmoid(), "softmax": Softmax(), "elu": ELU(),
}  # fmt: skip
DENSE = ("dense", "time-distributed-dense")


def read(source: Source, *, unnamed: str | Activation | Sequence[str | Activation] | None = None) -> Chain:
    """Read a network of dense layers of RTNeural.

    Parameters
    ----------
    source : path or bytes
    unnamed : str, Activation or a sequence of them, optional
        The activation of the layers for which the file says "", which is what RTNeural's exporter writes for all that
        it does not know: one for all, or one for each. By default, the last layer's is identity, and a file with such
        a hidden layer is refused.

    Raises
    ------
    FormatError
        If the file is malformed, has a layer that is not dense, or says "" for a hidden layer and `unnamed` is missing.
    """
    file = read_json(source, TOOL)
    if not isinstance(file, dict):
        malformed(TOOL, "an object of JSON", file)
    layers = file.get("layers")
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, dict) for layer in layers):
        malformed("layers", "a list of layers", layers)
    shape = file.get("in_shape")
    if not isinstance(shape, list) or not shape:
        malformed("in_shape", "a list that ends in the number of inputs", shape)
    columns = n_inputs = whole(shape[-1], "in_shape", 1)
    given = _given(unnamed)
    steps: list[Step] = []
    folded: list[str] = []
    for number, layer in enumerate(layers):
        more, columns = _layer(layer, f"layers[{number}]", columns, number == len(layers) - 1, given, folded)
        steps += more
    return Chain(tuple(steps), TOOL, "", "float32", n_inputs, folded=tuple(folded))


def _given(unnamed: Any) -> Iterator[Activation | None]:
    """Yield the activation of each layer that has none in the file, None where it was not said."""
    if unnamed is None or isinstance(unnamed, (str, Activation)):
        one = None if unnamed is None else resolve("unnamed", unnamed, output=True)
        while True:
            yield one
    for each in unnamed:
        yield resolve("unnamed", each, output=True)
    raise ValueError("unnamed: expected an activation for each layer that the file has none for, got fewer")


def _layer(
    layer: dict[str, Any],
    place: str,
    columns: int,
    is_last: bool,
    given: Iterator[Activation | None],
    folded: list[str],
) -> tuple[list[Step], int]:
    """Return the steps of a layer, and the number of its outputs."""
    kind, weights = layer.get("type"), layer.get("weights", [])
    if not isinstance(weights, list):
        malformed(f"{place}: weights", "a list", weights)
    if kind == "batchnorm":
        return _batch_norm(layer, weights, place, columns), columns
    if kind in DENSE:
        steps, columns = _dense(weights, place, columns)
    elif kind == "activation":
        steps = []
    else:
        refuse(place, f"a layer of type {kind!r:.60}", "dense layers, activations and batchnorm can be read")
    name = layer.get("activation")
    if name == "":
        f = _unnamed(next(given), place, is_last, folded)
    elif isinstance(name, str) and name in ACTIVATIONS:
        f = ACTIVATIONS[name]
    else:
        refuse(place, f"the activation {name!r:.60}", f"known are {', '.join(ACTIVATIONS)}")
    return [*steps, Activate(f, place)], columns


def _unnamed(given: Activation | None, place: str, is_last: bool, folded: list[str]) -> Activation:
    """Return the activation of a layer for which the file says nothing."""
    if given is None and not is_last:
        refuse(
            place,
            'activation "", which RTNeural\'s exporter writes for none and for all that it does not know, such as GELU',
            "say which it was: unnamed='identity', or a list with one for each such layer, the last included",
        )
    if given is None:
        folded.append(f"{place}: no activation is named, and none is taken")
    return given or Identity()


def _dense(weights: list[Any], place: str, columns: int) -> tuple[list[Step], int]:
    if len(weights) not in (1, 2) or not isinstance(weights[0], list) or not weights[0]:
        malformed(f"{place}: weights", "weights and biases", f"{len(weights)} elements")
    first = weights[0][0]
    n = len(first) if isinstance(first, list) else 0
    if not n:
        malformed(f"{place}: weights[0]", "a list of weights for each input", first)
    w = array(weights[0], f"{place}: weights[0]", columns, n)
    bias = array(weights[1], f"{place}: weights[1]", n) if weights[1:] else np.zeros(n)
    return [Linear(w.T, bias, place)], n


def _batch_norm(layer: dict[str, Any], weights: list[Any], place: str, columns: int) -> list[Step]:
    """Return gamma (x - mean) / sqrt(variance + epsilon) + beta; two arrays of weights are mean and variance."""
    if len(weights) not in (2, 4) or "epsilon" not in layer:
        malformed(f"{place}: weights", "gamma, beta, mean and variance, and epsilon", f"{len(weights)} elements")
    arrays = [array(each, f"{place}: weights", columns) for each in weights]
    variance = arrays[-1] + array([layer["epsilon"]], f"{place}: epsilon", 1)
    if not (variance > 0).all():
        malformed(f"{place}: weights", "a variance above 0", float(variance.min()))
    steps: list[Step] = [Affine(arrays[-2], np.sqrt(variance), place)]
    return [*steps, Affine.times(arrays[0], arrays[1], place)] if len(arrays) == 4 else steps
