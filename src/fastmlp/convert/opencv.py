"""OpenCV's ANN_MLP in format 3: files of `save` in YAML, XML or JSON.

z = W^T x + b in each layer, the bias as the last row of W; the activation is in all layers, the last included. The
formulas are those of OpenCV's source, which its documentation states otherwise: the symmetric sigmoid is
p2 tanh(p1 z / 2), the Gaussian p2 exp(-(p1 z)^2).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..activations import Activation, Identity, LeakyReLU, ReLU, Tanh
from .chain import Activate, Affine, Array, Chain, Linear, Step, refuse
from .fann import BELL
from .opencv_storage import parse
from .text_files import Source, array, malformed, read_text, whole

TOOL = "OpenCV"
ROOT = "opencv_ml_ann_mlp"
SMALL = 2.0**-23  # a parameter below FLT_EPSILON stands for the default
MAX_LAYERS = 1000


def _tanh(p: tuple[float, float]) -> tuple[float, Activation, float]:
    return p[0] / 2, Tanh(), p[1]


def _bell(p: tuple[float, float]) -> tuple[float, Activation, float]:
    return p[0] / math.sqrt(math.pi), BELL, p[1]


def _leaky(p: tuple[float, float]) -> tuple[float, Activation, float]:
    if p[0] < 0:
        refuse("f_param1", f"a slope below 0 ({p[0]:g})")
    return 1.0, LeakyReLU(p[0]), 1.0


# Name: default parameters, and f(z) = q g(k z) as (k, g, q) of the parameters.
FUNCTIONS: dict[str, tuple[tuple[float, float], Callable[[tuple[float, float]], tuple[float, Activation, float]]]] = {
    "SIGMOID_SYM": ((2 / 3, 1.7159), _tanh),
    "GAUSSIAN": ((1.0, 1.0), _bell),
    "IDENTITY": ((0.0, 0.0), lambda p: (1.0, Identity(), 1.0)),
    "RELU": ((0.0, 0.0), lambda p: (1.0, ReLU(), 1.0)),
    "LEAKYRELU": ((0.01, 0.0), _leaky),
}


def read(source: Source) -> Chain:
    """Read a file of OpenCV's ANN_MLP.

    Parameters
    ----------
    source : path or bytes
        YAML, XML or JSON, recognised by its content.

    Raises
    ------
    FormatError
        If the file is malformed, has another model, or one that is not trained.
    """
    storage = parse(read_text(source, TOOL))
    if ROOT not in storage:
        refuse(TOOL, f"a file of {', '.join(map(repr, list(storage)[:3])) or 'nothing'}", f"expected {ROOT!r}")
    model = storage[ROOT]
    if not isinstance(model, dict):
        malformed(ROOT, "the values of a model", model)
    if whole(model.get("format"), "format", 0, 99) != 3:
        refuse("format", repr(model["format"]), "save the model with OpenCV 3 or 4")
    sizes = [whole(n, "layer_sizes", 1) for n in _numbers(model, "layer_sizes", -1).tolist()]
    if not 2 <= len(sizes) <= MAX_LAYERS:
        malformed("layer_sizes", f"2 to {MAX_LAYERS} numbers", sizes)
    return Chain(tuple(_steps(model, sizes)), TOOL, "", "float64", sizes[0])


def _steps(model: dict[str, Any], sizes: list[int]) -> list[Step]:
    weights = model.get("weights")
    if not isinstance(weights, list) or len(weights) != len(sizes) - 1:
        if not weights:
            refuse("weights", "none", "the model has not been trained")
        malformed("weights", f"{len(sizes) - 1} layers", f"{len(weights) if isinstance(weights, list) else weights}")
    k, f, q = _function(model)
    scale = _numbers(model, "input_scale", 2 * sizes[0])
    steps: list[Step] = [_affine(scale, "input_scale")]
    for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes)):
        place = f"weights[{number}]"
        table = _array(weights[number], place, (n_inputs + 1) * n_outputs).reshape(n_inputs + 1, n_outputs)
        steps.append(Linear(table[:-1].T, table[-1], place))
        if k != 1:
            steps.append(Affine.times(np.full(n_outputs, k), np.zeros(n_outputs), "f_param1"))
        steps.append(Activate(f, place))
        if q != 1:
            steps.append(Affine.times(np.full(n_outputs, q), np.zeros(n_outputs), "f_param2"))
    steps.append(_affine(_numbers(model, "output_scale", 2 * sizes[-1]), "output_scale"))
    return [step for step in steps if not _changes_nothing(step)]


def _function(model: dict[str, Any]) -> tuple[float, Activation, float]:
    """Return k, g and q of the activation q g(k z)."""
    name = model.get("activation_function")
    if not isinstance(name, str) or name not in FUNCTIONS:
        refuse("activation_function", f"{name!r:.80}", f"known are {', '.join(FUNCTIONS)}")
    defaults, make = FUNCTIONS[name]
    given = [float(_array([model.get(key, 0.0)], key, 1)[0]) for key in ("f_param1", "f_param2")]
    first, second = (d if abs(p) < SMALL else p for p, d in zip(given, defaults, strict=True))
    return make((first, second))


def _affine(pairs: Array, place: str) -> Affine:
    """Make x scale + shift of (scale, shift) of each column."""
    return Affine.times(pairs[::2], pairs[1::2], place)


def _changes_nothing(step: Step) -> bool:
    if isinstance(step, Affine):
        return bool((step.scale == 1).all() and (step.offset == 0).all())
    return isinstance(step, Activate) and isinstance(step.activation, Identity)


def _numbers(model: dict[str, Any], key: str, n: int) -> Array:
    return _array(model.get(key), key, n)


def _array(value: object, place: str, n: int) -> Array:
    """Return a list of numbers; one of NaN is what a rectifier with output scaling becomes in training."""
    if isinstance(value, list) and any(isinstance(each, str) and each.lower() == ".nan" for each in value):
        refuse(place, "NaN", "train a model of RELU or LEAKYRELU with NO_OUTPUT_SCALE")
    return array(value, place, n)
