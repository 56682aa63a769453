"""Writes a network as a text file of FANN 2.2 (`FANN_FLO_2.1`), for fann.py's reader, libfann and libdoublefann.

The steepness of a layer is a power of two, or what an activation needs, so that the weights in the file, which are ours
divided by it, lose nothing, and is small where FANN's clip at 150 / steepness could otherwise be seen.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import activations as a
from ..formats import atomic
from .chain import Array
from .fann import BELL, CLIP, FAR, FLAT
from .scalings import learnt

if TYPE_CHECKING:
    from ..network import Network
    from ..scaling import Scaling

HEAD = """FANN_FLO_2.1
num_layers={n_layers}
learning_rate=0.700000
connection_rate=1.000000
network_type=0
learning_momentum=0.000000
training_algorithm=2
train_error_function=1
train_stop_function=0
cascade_output_change_fraction=0.010000
quickprop_decay=-0.000100
quickprop_mu=1.750000
rprop_increase_factor=1.200000
rprop_decrease_factor=0.500000
rprop_delta_min=0.000000
rprop_delta_max=50.000000
rprop_delta_zero=0.100000
cascade_output_stagnation_epochs=12
cascade_candidate_change_fraction=0.010000
cascade_candidate_stagnation_epochs=12
cascade_max_out_epochs=150
cascade_min_out_epochs=50
cascade_max_cand_epochs=150
cascade_min_cand_epochs=50
cascade_num_candidate_groups=2
bit_fail_limit=3.49999994039535522461e-01
cascade_candidate_limit=1.00000000000000000000e+03
cascade_weight_multiplier=4.00000005960464477539e-01
cascade_activation_functions_count=10
cascade_activation_functions=3 5 7 8 10 11 14 15 16 17{space}
cascade_activation_steepnesses_count=4
cascade_activation_steepnesses=2.50000000000000000000e-01 5.00000000000000000000e-01 {seven_and_one}{space}
layer_sizes={sizes}{space}
scale_included=0
neurons (num_inputs, activation_function, activation_steepness)={neurons}
connections (connected_to_neuron, weight)={connections}
"""
SEVEN_AND_ONE = "7.50000000000000000000e-01 1.00000000000000000000e+00"

# Each activation: the code, and the factor k by which f(z) is FANN's function of k z; None where FANN has no such one.
CODES: dict[type[a.Activation], Callable[[Any], tuple[int, float] | None]] = {
    a.Identity: lambda f: (0, 1.0),
    a.Threshold: lambda f: (1, 1.0),
    a.Sigmoid: lambda f: (3, f.beta / 2),
    a.StepwiseSigmoid: lambda f: (4, 0.5),
    a.Tanh: lambda f: (5, 1.0),
    a.StepwiseTanh: lambda f: (6, 1.0),
    a.Gaussian: lambda f: (7, math.sqrt(math.pi)) if f == BELL else None,
    a.Softsign: lambda f: (11, 1.0),
    a.HardTanh: lambda f: _hard_tanh(f),
    a.PiecewiseLinear: lambda f: (12, 1.0) if (f.x_min, f.x_max) == (0, 1) else None,
    a.Sine: lambda f: (14, f.omega),
}
KEEPS_WEIGHTS = (a.Sigmoid, a.Sine, a.Gaussian)  # the steepness is |k|, and the reader finds the same again


def _hard_tanh(f: a.HardTanh) -> tuple[int, float] | None:
    codes = {(-1.0, 1.0): 13, (0.0, 1.0): 12}
    code = codes.get((f.min_val, f.max_val), 0 if f.min_val == -f.max_val else None)
    return None if code is None else (code, 1.0)


def write(net: Network, path: str | os.PathLike[str] | None = None) -> str:
    """Write a network as a text file of FANN, and return the text.

    The network's input and target scaling become part of the first and the last layer, because fann_run applies no
    scaling of its own: a column far from 0 then has more digits than libfann's floats, and needs libdoublefann.

    Parameters
    ----------
    net : Network
    path : path, optional
        Where the file is written; None writes none.

    Raises
    ------
    ValueError
        If FANN does not have an activation of the network, such as ReLU or softmax, or the network has an encoder.
    """
    scalings = learnt(net, "FANN")
    layers = [
        (np.asarray(w, np.float64), np.asarray(b, np.float64)) for w, b in zip(net.weights, net.biases, strict=True)
    ]
    functions = [*net.activation, net.output_activation]
    _fold_scalings(scalings, layers, functions)
    sizes = [layers[0][0].shape[1], *(len(b) for _, b in layers)]
    neurons = [(0, 0, 0.0)] * (sizes[0] + 1)
    connections: list[str] = []
    reach: Array = np.full(sizes[0], np.inf)
    begin = 0
    for number, ((w, b), f) in enumerate(zip(layers, functions, strict=True)):
        code, k = _code(f, number)
        s, reach = _steepness(f, code, k, w, b, reach)
        table = np.column_stack([w, b]) * (k / s)
        neurons += [(table.shape[1], code, s)] * len(b) + [(0, 0, 0.0)]
        connections += [f"({begin + i}, {x:.20e}) " for row in table.tolist() for i, x in enumerate(row)]
        begin += table.shape[1]
    text = HEAD.format(
        n_layers=len(sizes), space=" ", seven_and_one=SEVEN_AND_ONE, sizes=" ".join(str(n + 1) for n in sizes),
        neurons="".join(f"({n}, {code}, {s:.20e}) " for n, code, s in neurons), connections="".join(connections),
    )  # fmt: skip
    if path is not None:
        atomic.write(path, text.encode("ascii"))
    return text


def _code(f: a.Activation, number: int) -> tuple[int, float]:
    """Return the code of an activation, and the factor of its argument."""
    found = CODES.get(type(f), lambda f: None)(f)
    if found is None:
        raise ValueError(
            f"layer {number}: expected an activation that FANN 2.2 has (identity, threshold, sigmoid, tanh, their "
            f"stepwise forms, softsign, sine, HardTanh of (-b, b) or (0, 1)), got {f!r}"
        )
    return found


def _steepness(f: a.Activation, code: int, k: float, w: Array, b: Array, reach: Array) -> tuple[float, Array]:
    """Return a steepness at which no clip can be seen, and what the outputs are at most, see fann.py."""
    if code == 0 and isinstance(f, a.HardTanh):
        return CLIP / f.max_val, np.full(len(b), f.max_val)
    with np.errstate(invalid="ignore"):
        terms = np.where(w == 0, 0.0, np.abs(w) * reach)
    largest = np.abs(k) * (terms.sum(axis=1) + np.abs(b))
    outputs = largest if code == 0 else np.ones(len(b))
    needed = min(float(largest.max()) * 1.01, FLAT.get(code, FAR))
    s = abs(k) if isinstance(f, KEEPS_WEIGHTS) else 1.0
    if isinstance(f, a.StepwiseSigmoid):
        s = 0.5
    while CLIP / s < needed:
        s /= 2
    return s, outputs


def _fold_scalings(
    scalings: tuple[Scaling | None, Scaling | None], layers: list[tuple[Array, Array]], functions: list[a.Activation]
) -> None:
    """Make the scalings of the network a part of its first and last layer, in float64."""
    inputs, targets = scalings
    if inputs is not None:
        w, b = layers[0]
        layers[0] = (w / inputs.scale, b - (w / inputs.scale) @ inputs.offset)
    if targets is not None:
        if not isinstance(functions[-1], a.Identity):
            raise ValueError(f"target_scaling: expected none after the activation {functions[-1]!r}, got one")
        w, b = layers[-1]
        layers[-1] = (w * np.reshape(targets.scale, (-1, 1)), b * targets.scale + targets.offset)
