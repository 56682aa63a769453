"""The floor of a workload: a lower bound, from a simple model, of the time that it takes on a machine.

    floor = max(multiply pipes, divider, bytes / their bandwidth) + the optimiser's pass + the empty call

The multiply pipes do the multiply-adds of the layers and the multiplications of the activations, at the FMA peak of the
dtype; the divider does the activations' divisions, beside them. OPERATIONS counts both for a number, with the formulas
of csrc/kernels/math.inc, which are the shortest that we know with errors below 2 ULP. Additions, comparisons, loads and
stores have pipes of their own and are not counted.

In the model every array is moved once, at the bandwidth of the smallest level of the memory hierarchy that holds all of
it (`calibrate.Machine`):

- one row: the parameters are read, and the empty call is added. The row itself is not counted.
- many rows: the input and the parameters are read and the output is written. Hidden activations stay in the cache.
- an epoch: each row has a forward pass, a weight gradient and, in all layers but the first, an input gradient, of I * O
  multiply-adds each; the rows of X are read. The optimiser's pass is added once per batch, because it cannot begin
  before the gradient is complete: SGD updates p; Adam reads g and updates p, m and v, at the bandwidth of the level
  that holds all four. A pass takes the longest of its multiplications, its divisions and square roots, and its bytes.

The model leaves out, which makes the floor lower: losses, latency (one row goes from layer to layer), partial tiles and
vectors, reading the weights again for every tile of rows, shuffling, and the Python code around a call of many rows. It
lets divisions overlap with everything else, although a core sees only some hundred instructions ahead. Two
simplifications can make it too high: a level holds a part of an array that is a little larger than the level; and
Adam's reading of g is counted, although the engine `native` keeps the gradient of a batch of one piece in the cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from calibrate import Machine
from timing import EPOCH, ROW
from workloads import Workload


class Operations(NamedTuple):
    """The operations on the multiply pipes, the divisions and the square roots for one number."""

    multiplications: int
    divisions: int = 0
    roots: int = 0


# Of an activation: f(z), by dtype. exp takes 3 to reduce z, 1 for r^2, 5 (float32) or 11 (float64) for the polynomial,
# and 1 to scale it.
OPERATIONS = {
    ("identity", "float32"): Operations(0),
    ("identity", "float64"): Operations(0),
    ("relu", "float32"): Operations(0),
    ("relu", "float64"): Operations(0),
    ("sigmoid", "float32"): Operations(1 + 10, 1),
    ("sigmoid", "float64"): Operations(1 + 16, 1),
    ("tanh", "float32"): Operations(1 + 4 + 1 + 4, 1),
    ("tanh", "float64"): Operations(16, 1),
    ("softmax", "float32"): Operations(10, 1),
    ("softmax", "float64"): Operations(16, 1),
}
DERIVATIVES = {"identity": 0, "relu": 1, "sigmoid": 3, "tanh": 2, "softmax": 0}  # multiplications of dy f'(z)
OPTIMIZERS = {"sgd": Operations(1), "adam": Operations(6, 1, 1)}  # for a parameter


class Floor(NamedTuple):
    """The parts of a floor in seconds, for one row, all rows, or an epoch."""

    multiply_adds: float
    activations: float
    divider: float
    bytes: float
    optimizer: float
    call: float

    @property
    def seconds(self) -> float:
        """The floor: the longest of arithmetic, divider and memory, plus the optimiser's pass and the call."""
        return max(self.multiply_adds + self.activations, self.divider, self.bytes) + self.optimizer + self.call


def multiply_adds(workload: Workload, kind: str) -> int:
    """Return the multiply-adds of one row: of the forward pass or, for an epoch, of both passes."""
    layers = [n_inputs * n_outputs for n_inputs, n_outputs in workload.layers]
    return 3 * sum(layers) - layers[0] if kind == EPOCH else sum(layers)


def activations(workload: Workload, kind: str, dtype: str) -> Operations:
    """Return the operations of all activations of one row: forward and, for an epoch, backward."""
    names = [workload.activation] * (len(workload.layers) - 1) + [workload.output_activation]
    multiplications = divisions = 0
    for name, n_outputs in zip(names, workload.sizes[1:], strict=True):
        one = OPERATIONS[name, dtype]
        multiplications += n_outputs * (one.multiplications + (DERIVATIVES[name] if kind == EPOCH else 0))
        divisions += n_outputs * one.divisions
    return Operations(multiplications, divisions)


def floor(workload: Workload, kind: str, n_rows: int, dtype: str, machine: Machine) -> Floor:
    """Return the floor of a measurement of n_rows, which is 1 for the kind `ROW`."""
    size = np.dtype(dtype).itemsize
    parameters, rows = size * workload.n_parameters, size * n_rows * workload.sizes[0]
    outputs = size * n_rows * workload.sizes[-1]
    compute = n_rows * multiply_adds(workload, kind) / machine.peak(dtype)
    functions = activations(workload, kind, dtype)
    reads = {ROW: (parameters,), EPOCH: (rows,)}.get(kind, (rows, parameters, outputs))
    moves = sum(n_bytes / machine.bandwidth(n_bytes).read for n_bytes in reads)
    steps = math.ceil(n_rows / workload.batch_size) if kind == EPOCH else 0
    return Floor(
        multiply_adds=compute,
        activations=n_rows * functions.multiplications / machine.peak(dtype),
        divider=n_rows * functions.divisions / machine.division_rate(dtype),
        bytes=moves,
        optimizer=steps * _optimizer_pass(workload, dtype, machine) if steps else 0.0,
        call=machine.call_seconds if kind == ROW else 0.0,
    )


def _optimizer_pass(workload: Workload, dtype: str, machine: Machine) -> float:
    """Return the seconds of the optimiser's pass over the parameters in one step."""
    vector, n = np.dtype(dtype).itemsize * workload.n_parameters, workload.n_parameters
    name = workload.optimizer[0] if workload.optimizer else "sgd"
    one = OPTIMIZERS[name]
    arithmetic = n * one.multiplications / machine.peak(dtype)
    divider = n * (one.divisions / machine.division_rate(dtype) + one.roots / machine.root_rate(dtype))
    moves = 2 * vector / machine.bandwidth(vector).update
    if name == "adam":
        read, update = machine.bandwidth(4 * vector)
        moves = vector / read + 3 * 2 * vector / update
    return max(arithmetic, divider, moves)
