"""FANN: text files of fann_save (`FANN_FLO_2.1` and `2.0`), read into a chain; fann_writer.py writes them.

A neuron computes f(z), where z = s * (sum of weights times sources), clipped to [-150 / s, 150 / s]; f has the neuron's
activation code, s is its steepness. Each neuron has both of its own, so a layer is said by one `Activation` whose
argument and value are moved and scaled by column, see `FORMS`: y = p f(k z + c) + q. A clip that cannot be seen is left
out: where the sources are known to be too small, or where f is flat beyond it. Where it can be seen, it is a layer of
its own, or, of linear neurons, the bounds of a `HardTanh`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .. import activations as a
from .chain import Activate, Affine, Array, Chain, Linear, Step, refuse
from .text_files import NUMBER, Matrices, Source, malformed, number, numbers, read_text, whole

TOOL = "FANN"
MAX_LAYERS = 1000
FAR = 2.0**54  # a clip beyond it is left out
CLIP = 150.0
NAMES = [
    "FANN_LINEAR",
    "FANN_THRESHOLD",
    "FANN_THRESHOLD_SYMMETRIC",
    "FANN_SIGMOID",
    "FANN_SIGMOID_STEPWISE",
    "FANN_SIGMOID_SYMMETRIC",
    "FANN_SIGMOID_SYMMETRIC_STEPWISE",
    "FANN_GAUSSIAN",
    "FANN_GAUSSIAN_SYMMETRIC",
    "FANN_GAUSSIAN_STEPWISE",
    "FANN_ELLIOT",
    "FANN_ELLIOT_SYMMETRIC",
    "FANN_LINEAR_PIECE",
    "FANN_LINEAR_PIECE_SYMMETRIC",
    "FANN_SIN_SYMMETRIC",
    "FANN_COS_SYMMETRIC",
    "FANN_SIN",
    "FANN_COS",
    "FANN_LINEAR_PIECE_RECT",
    "FANN_LINEAR_PIECE_RECT_LEAKY",
]
LINEAR, GAUSSIAN_STEPWISE, RECTIFIERS = 0, 9, (18, 19)


class Form(NamedTuple):
    """y = p f(k z + c) + q."""

    k: float = 1.0
    c: float = 0.0
    p: float = 1.0
    q: float = 0.0


BELL = a.Gaussian(0.0, 1 / math.sqrt(2 * math.pi))  # exp(-pi u^2)
RIGHT = math.pi / 2
# Activations and the codes that they stand for; the first that has all codes of a layer is taken.
FORMS: tuple[tuple[a.Activation, Mapping[int, Form]], ...] = (
    (a.Identity(), {0: Form()}),
    (a.Threshold(), {1: Form(), 2: Form(p=2, q=-1)}),
    (a.Sigmoid(), {3: Form(k=2)}),
    (a.Tanh(), {3: Form(p=0.5, q=0.5), 5: Form()}),
    (a.StepwiseSigmoid(), {4: Form(k=2)}),
    (a.StepwiseTanh(), {6: Form()}),
    (BELL, {7: Form(k=1 / math.sqrt(math.pi)), 8: Form(k=1 / math.sqrt(math.pi), p=2, q=-1)}),
    (a.Softsign(), {10: Form(p=0.5, q=0.5), 11: Form()}),
    (a.HardTanh(0.0, 1.0), {12: Form()}),
    (a.HardTanh(), {12: Form(k=2, c=-1, p=0.5, q=0.5), 13: Form(), 0: Form()}),
    (a.Sine(), {14: Form(), 15: Form(c=RIGHT), 16: Form(p=0.5, q=0.5), 17: Form(c=RIGHT, p=0.5, q=0.5)}),
    (a.ReLU(), {18: Form()}),
    (a.LeakyReLU(0.01), {19: Form()}),
)
# From which |z| on f changes by less than 2^-54: a clip there cannot be seen.
FLAT = {1: 0.0, 2: 0.0, 3: 20.0, 4: 2.7, 5: 20.0, 6: 2.7, 7: 6.2, 8: 6.2, 9: 0.0, 12: 1.0, 13: 1.0}


@dataclass(frozen=True)
class _Layer:
    """The neurons of a layer without its bias: weights (n, inputs + 1) with the bias last, codes, steepness.

    is_fed: whether a neuron has any connections; FANN's value of one that has none is 1.
    """

    weights: Array
    codes: np.ndarray
    steepness: Array
    is_fed: np.ndarray
    place: str


def read(source: Source, *, scaling: bool = False, clip: bool = True, rectifiers: bool = False) -> Chain:
    """Read a text file of FANN.

    Parameters
    ----------
    source : path or bytes
    scaling : bool, default False
        Whether the chain is fann_scale_input, fann_run and fann_descale_output, with the scaling parameters of the
        file; False is fann_run alone, which does not apply them.
    clip : bool, default True
        Whether z is clipped as FANN does, to 150 divided by the steepness. False leaves all clips out, and is right
        where no sum ever gets that large.
    rectifiers : bool, default False
        Whether codes 18 and 19 are ReLU and leaky ReLU, as in the newest source of FANN; release 2.2.0 accepts them,
        too, and computes something else, so by default they are refused.

    Raises
    ------
    FormatError
        If the file is malformed, or says something that no network of fastmlp says exactly.
    """
    text = read_text(source, TOOL)
    keys = _keys(text)
    layers, n_inputs = _layers(keys, len(text))
    steps: list[Step] = []
    before, after = _scaling(keys, n_inputs, len(layers[-1].codes), scaling)
    steps += before
    reach = np.full(n_inputs, np.inf)
    for layer in layers:
        more, reach = _steps(layer, reach, clip, rectifiers)
        steps += more
    steps += after
    is_float = all(np.array_equal(w, w.astype(np.float32)) for layer in layers for w in (layer.weights,))
    folded = () if scaling or "scale_mean_in" not in keys else ("scaling parameters are not applied, as in fann_run",)
    return Chain(tuple(steps), TOOL, "", "float32" if is_float else "float64", n_inputs, folded=folded)


# ------------------------------------------------------------------------------------------------------------ the file


def _keys(text: str) -> dict[str, str]:
    """Return the lines `key=value` of a file after its first line."""
    head, *lines = text.splitlines() or [""]
    if head.startswith("FANN_FIX"):
        refuse(TOOL, f"a network in fixed point ({head[:20]})", "save the network of floats, by fann_save")
    if head.strip() not in ("FANN_FLO_2.1", "FANN_FLO_2.0"):
        refuse(TOOL, f"a file that begins with {head[:40]!r}", "load it with FANN 2.2 and save it by fann_save")
    keys: dict[str, str] = {}
    for line in filter(str.strip, lines):
        key, equals, value = line.partition("=")
        key = key.partition(" (")[0].strip()
        if not equals or key in keys:
            malformed(TOOL, "lines `key=value`, each key once", line)
        keys[key] = value.strip()
    return keys


def _key(keys: Mapping[str, str], name: str) -> str:
    if name not in keys:
        malformed(TOOL, f"a line {name}=", "none; the file may be cut off")
    return keys[name]


def _rows(text: str, pattern: str, place: str) -> list[tuple[str, ...]]:
    """Return the parts of "(..., ...) (..., ...)"; pattern is one of them."""
    rest = re.sub(pattern, "", text)
    if rest.strip():
        malformed(place, "numbers in parentheses", rest.strip())
    return re.findall(pattern, text)


def _layers(keys: Mapping[str, str], n_bytes: int) -> tuple[list[_Layer], int]:
    """Return the layers after the inputs, and the number of inputs."""
    kind = whole(_key(keys, "network_type"), "network_type", 0, 1)
    is_full = number(_key(keys, "connection_rate"), "connection_rate") >= 1
    words = _key(keys, "layer_sizes").split()
    n_layers = whole(_key(keys, "num_layers"), "num_layers", 2, MAX_LAYERS)
    if len(words) != n_layers:
        malformed("layer_sizes", f"{n_layers} numbers", len(words))
    n = [whole(word, "layer_sizes", 1) for word in words]
    neurons = _rows(_key(keys, "neurons"), rf"\(\s*(\d{{1,10}})\s*,\s*(\d{{1,10}})\s*,\s*({NUMBER})\s*\)\s*", "neurons")
    pairs = _rows(_key(keys, "connections"), rf"\(\s*(\d{{1,10}})\s*,\s*({NUMBER})\s*\)\s*", "connections")
    if len(neurons) != sum(n):
        malformed("neurons", f"{sum(n)} neurons, as layer_sizes say", len(neurons))
    n_sources = [int(neuron[0]) for neuron in neurons]
    if len(pairs) != sum(n_sources):
        malformed("connections", f"{sum(n_sources)} connections, as the neurons say", len(pairs))
    if n[0] < 2 or (kind == 0 and min(n) < 2):
        malformed("layer_sizes", "a neuron beside the bias in each layer", _key(keys, "layer_sizes"))
    sources = np.array([int(pair[0]) for pair in pairs], np.int64)
    weights = numbers([pair[1] for pair in pairs], "connections")
    table = _Table(kind, is_full, n, n_sources, sources, weights, Matrices(n_bytes))
    return [_layer(table, index, neurons) for index in range(1, len(n))], n[0] - 1


class _Table(NamedTuple):
    kind: int  # 1 is a shortcut network
    is_full: bool  # fann_run then takes the sources in order, whatever the file lists
    n: list[int]
    n_sources: list[int]
    sources: np.ndarray
    weights: Array
    matrices: Matrices


def _layer(table: _Table, index: int, neurons: list[tuple[str, ...]]) -> _Layer:
    place = f"layer {index}"
    begin, previous = sum(table.n[:index]), sum(table.n[: index - 1])
    n_out = table.n[index] - (table.kind == 0)
    if table.kind == 0 and table.n_sources[begin + n_out]:
        refuse(place, "a bias neuron that has inputs", "load it with FANN 2.2 and save it by fann_save")
    # the neurons that may be sources: those of the layer before, and the bias, which comes last of them
    lowest = previous if table.kind == 0 else 0
    bias = begin - 1 if table.kind == 0 else table.n[0] - 1
    columns = [each for each in range(previous, begin) if each != bias] + [bias]
    weights = table.matrices.zeros(n_out, len(columns), place)
    column_of = {source: column for column, source in enumerate(columns)}
    at = sum(table.n_sources[:begin])
    for row in range(n_out):
        k = table.n_sources[begin + row]
        if table.is_full and k > begin - lowest:
            malformed(f"{place}, neuron {begin + row}", f"at most {begin - lowest} inputs", k)
        these = np.arange(lowest, lowest + k) if table.is_full else table.sources[at : at + k]
        for source, weight in zip(these.tolist(), table.weights[at : at + k].tolist(), strict=True):
            if source in column_of:
                weights[row, column_of[source]] += weight
            elif weight != 0 or source >= begin:
                refuse(
                    f"{place}, neuron {begin + row}",
                    f"a connection from neuron {source}, which is not in the layer before",
                    "train a network of fann_create_standard: shortcut and cascade networks skip layers",
                )
        at += k
    own = neurons[begin : begin + n_out]
    codes = np.array([whole(neuron[1], f"{place}: activation_function", 0, len(NAMES) - 1) for neuron in own])
    steepness = numbers([neuron[2] for neuron in own], f"{place}: activation_steepness")
    if (steepness < 0).any():
        refuse(
            place,
            f"a steepness below 0 ({steepness.min():g}), of which FANN makes a constant",
            "train with one above 0",
        )
    is_fed = np.array(table.n_sources[begin : begin + n_out]) > 0
    return _Layer(weights, codes, steepness, is_fed, place)


def _scaling(keys: Mapping[str, str], n_inputs: int, n_outputs: int, wanted: bool) -> tuple[list[Step], list[Step]]:
    """Return the steps of fann_scale_input and fann_descale_output; none if they are not wanted."""
    included = whole(keys.get("scale_included", "0"), "scale_included", 0, 1)
    if not included:
        if wanted:
            refuse(TOOL, "no scaling parameters (scale_included=0)", "leave out scaling=True")
        return [], []
    values: dict[str, Array] = {}
    for end, n in (("in", n_inputs), ("out", n_outputs)):
        for name in ("mean", "deviation", "new_min", "factor"):
            key = f"scale_{name}_{end}"
            values[f"{name}_{end}"] = numbers(_key(keys, key).split(), key)
            if len(values[f"{name}_{end}"]) != n:
                malformed(key, f"{n} numbers", len(values[f"{name}_{end}"]))
    if not wanted:
        return [], []
    for name in ("deviation_in", "factor_in", "deviation_out", "factor_out"):
        if not (values[name] != 0).all():
            refuse(f"scale_{name}", "a 0, as the file has 6 decimals only", "scale the data so that none is that small")
    ratio = values["deviation_in"] / values["factor_in"]
    offset = values["mean_in"] - values["deviation_in"] - values["new_min_in"] * ratio
    factor = values["deviation_out"] / values["factor_out"]
    shift = values["mean_out"] - values["deviation_out"] - values["new_min_out"] * factor
    return [Affine(offset, ratio, "scale_in")], [Affine.times(factor, shift, "scale_out")]


# ----------------------------------------------------------------------------------------------------------- the steps


def _steps(layer: _Layer, reach: Array, clip: bool, rectifiers: bool) -> tuple[list[Step], Array]:
    """Return the steps of a layer whose inputs are at most `reach` in size, and what its outputs are at most."""
    s, codes = layer.steepness, np.where(layer.is_fed, layer.codes, -1)
    limit = np.divide(CLIP, s, out=np.full(len(s), np.inf), where=s > 0)
    with np.errstate(invalid="ignore"):
        terms = np.where(layer.weights[:, :-1] == 0, 0.0, np.abs(layer.weights[:, :-1]) * reach)
    largest = s * (terms.sum(axis=1) + np.abs(layer.weights[:, -1]))  # |z| is at most this
    largest = np.where(s == 0, 0.0, largest)
    flat = np.array([FLAT.get(code, FAR) for code in codes.tolist()])
    is_clipped = (largest > 0.999 * limit) & (limit < flat) & (codes >= 0) & clip
    constant = (codes == GAUSSIAN_STEPWISE) | (codes < 0)
    linear = (codes == LINEAR) & is_clipped
    f, forms = _choose(layer, codes[~constant].tolist(), rectifiers, bool(linear.any()))
    k, c, p, q = (np.array([forms.get(code, Form())[i] for code in codes.tolist()]) for i in range(4))
    known = np.isfinite(largest) & (largest > 0) & ~is_clipped
    z_limit = np.where(np.isfinite(limit), limit, 1.0)
    size = np.where(known, np.minimum(1.01 * largest, z_limit), z_limit)  # |z| is at most this where it is not clipped
    outputs = np.where(codes == LINEAR, np.minimum(largest, z_limit if clip else np.inf), 1.0)
    outputs = np.where(np.isin(codes, RECTIFIERS), np.minimum(largest, z_limit if clip else np.inf), outputs)
    is_alike = len(set(zip(codes.tolist(), s.tolist(), strict=True))) == 1
    if isinstance(f, a.HardTanh) and (codes == LINEAR).any():
        if is_alike:
            f = a.HardTanh(-float(limit[0]), float(limit[0]))
        else:
            k, p = np.where(codes == LINEAR, 1 / size, k), np.where(codes == LINEAR, size, p)
        is_clipped &= codes != LINEAR
    elif is_alike and s[0] > 0 and not is_clipped.any() and _keeps_weights(int(codes[0]), float(s[0])):
        f = a.Sigmoid(2 * float(s[0])) if isinstance(f, a.Sigmoid) else a.Sine(float(s[0]))  # the weights stay as is
        s, k = np.ones(len(s)), np.ones(len(s))
    p, q = np.where(constant, 0.0, p), np.where(constant, np.where(codes < 0, 1.0, 0.0), q)
    s, c = np.where(constant, 0.0, s), np.where(constant, 0.0, c)
    steps: list[Step] = []
    if is_clipped.any():
        steps.append(_linear(layer, s / size, np.zeros(len(s))))
        steps.append(Activate(a.HardTanh(), f"{layer.place}: clip"))
        steps.append(Affine.times(k * size, c, f"{layer.place}: clip"))
    else:
        factor = np.where(np.abs(s * k - 1) < 4.5e-16, 1.0, s * k)  # sqrt(pi) times 1 / sqrt(pi)
        steps.append(_linear(layer, factor, c))
    if not isinstance(f, a.Identity):
        steps.append(Activate(f, layer.place))
    if (p != 1).any() or (q != 0).any():
        steps.append(Affine.times(p, q, layer.place))
    return steps, outputs


def _keeps_weights(code: int, s: float) -> bool:
    """Return whether the steepness becomes a hyper-parameter; sine's only where a product with it would be rounded."""
    return code == 3 or (code == 14 and math.frexp(s)[0] != 0.5)


def _linear(layer: _Layer, factor: Array, shift: Array) -> Linear:
    """Return the step of the sums times factor plus shift."""
    return Linear(layer.weights[:, :-1] * factor[:, None], layer.weights[:, -1] * factor + shift, layer.place)


def _choose(
    layer: _Layer, codes: list[int], rectifiers: bool, is_bounded: bool
) -> tuple[a.Activation, Mapping[int, Form]]:
    """Return the activation that stands for the codes, and its forms; not identity if a linear neuron has a clip."""
    if set(codes) & set(RECTIFIERS) and not rectifiers:
        refuse(
            layer.place,
            f"activation code {max(codes)}, which release 2.2.0 and the newest source of FANN understand differently",
            "rectifiers=True reads 18 and 19 as ReLU and leaky ReLU, as the newest source does",
        )
    known = ((f, forms) for f, forms in FORMS if not (is_bounded and isinstance(f, a.Identity)))
    found = next(((f, forms) for f, forms in known if set(codes) <= set(forms)), None)
    if found is None:
        names = ", ".join(NAMES[code] for code in sorted(set(codes)))
        refuse(
            layer.place,
            f"neurons of different activations ({names})",
            "a layer of a network has one activation: train with one, by fann_set_activation_function_layer",
        )
    return found
