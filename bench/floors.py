"""The floor of a workload: a lower bound, from a simple model, of the time that it takes on a machine.

    floor = max(multiply-adds / FMA peak of the dtype, bytes / their bandwidth) + the optimiser's pass + the empty call

In the model every array is moved once, at the bandwidth of the smallest level of the memory hierarchy that holds all of
it (`calibrate.Machine`):

- one row: the parameters are read, and the empty call is added. The row itself is not counted.
- many rows: the input and the parameters are read and the output is written. Hidden activations stay in the cache.
- an epoch: each row has a forward pass, a weight gradient and, in all layers but the first, an input gradient, of I * O
  multiply-adds each; the rows of X are read. The optimiser's pass is added once per batch, because it cannot begin
  before the gradient is complete: SGD updates p; Adam reads g and updates p, m and v, at the bandwidth of the level
  that holds all four.

The model leaves out, which makes the floor lower: activations and losses, Adam's square roots and divisions, partial
tiles, reading the weights again for every tile of rows, shuffling, and the Python code around a call of many rows. Two
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


class Floor(NamedTuple):
    """The parts of a floor in seconds, for one row, all rows, or an epoch."""

    multiply_adds: float
    bytes: float
    optimizer: float
    call: float

    @property
    def seconds(self) -> float:
        """The floor: the larger of arithmetic and memory, plus the optimiser's pass and the call."""
        return max(self.multiply_adds, self.bytes) + self.optimizer + self.call


def multiply_adds(workload: Workload, kind: str) -> int:
    """Return the multiply-adds of one row: of the forward pass or, for an epoch, of both passes."""
    layers = [n_inputs * n_outputs for n_inputs, n_outputs in workload.layers]
    return 3 * sum(layers) - layers[0] if kind == EPOCH else sum(layers)


def floor(workload: Workload, kind: str, n_rows: int, dtype: str, machine: Machine) -> Floor:
    """Return the floor of a measurement of n_rows, which is 1 for the kind `ROW`."""
    size = np.dtype(dtype).itemsize
    parameters, rows = size * workload.n_parameters, size * n_rows * workload.sizes[0]
    outputs = size * n_rows * workload.sizes[-1]
    compute = n_rows * multiply_adds(workload, kind) / machine.peak(dtype)
    reads = {ROW: (parameters,), EPOCH: (rows,)}.get(kind, (rows, parameters, outputs))
    moves = sum(n_bytes / machine.bandwidth(n_bytes).read for n_bytes in reads)
    optimizer = (
        math.ceil(n_rows / workload.batch_size) * _optimizer_pass(workload, size, machine) if kind == EPOCH else 0
    )
    return Floor(compute, moves, optimizer, machine.call_seconds if kind == ROW else 0.0)


def _optimizer_pass(workload: Workload, size: int, machine: Machine) -> float:
    """Return the seconds of the optimiser's pass over the parameters in one step."""
    vector = size * workload.n_parameters
    if workload.optimizer and workload.optimizer[0] == "adam":
        read, update = machine.bandwidth(4 * vector)
        return vector / read + 3 * 2 * vector / update
    return 2 * vector / machine.bandwidth(vector).update
