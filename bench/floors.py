"""The least time that a workload can take on a machine: the model behind every "share of its floor".

    floor = max(multiply-adds / FMA peak of the dtype, bytes / their bandwidth) + the optimiser's pass + the empty call

Every array is moved once, at the bandwidth of the smallest level that holds it whole (`calibrate.Machine`):

- one row: the parameters are read; then the empty call is added. The row is not counted.
- many rows: the input and the parameters are read and the output written. Hidden activations stay in the cache.
- an epoch: every row's forward pass, weight gradient and, in all layers but the first, input gradient, I * O
  multiply-adds each; the rows of X are read. The optimiser's pass, once a batch, cannot begin before the gradient is
  there and is added: SGD updates p; Adam reads g and updates p, m and v, from the level that holds the four together.

What is left out makes the floor lower: activations and losses, Adam's square roots and divisions, partial tiles,
re-reading the weights for every tile of rows, shuffling, the Python around a call of many rows. Two things can make it
too high: of an array that is a little larger than a level, that level holds a part; and Adam's reading of g counts,
though on the engine `native` the gradient of a batch of one piece stays in the cache.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from calibrate import Machine
from timing import EPOCH, ROW
from workloads import Workload


class Floor(NamedTuple):
    """Seconds of one row, of all the rows, or of an epoch."""

    multiply_adds: float
    bytes: float
    optimizer: float
    call: float

    @property
    def seconds(self) -> float:
        """The floor."""
        return max(self.multiply_adds, self.bytes) + self.optimizer + self.call


def multiply_adds(workload: Workload, kind: str) -> int:
    """Multiply-adds of one row: forward, or forward and backward."""
    layers = [n_inputs * n_outputs for n_inputs, n_outputs in workload.layers]
    return 3 * sum(layers) - layers[0] if kind == EPOCH else sum(layers)


def floor(workload: Workload, kind: str, n_rows: int, dtype: str, machine: Machine) -> Floor:
    """The floor of a measurement of so many rows (1 for one row)."""
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
    """Seconds of one step over the parameters."""
    vector = size * workload.n_parameters
    if workload.optimizer and workload.optimizer[0] == "adam":
        read, update = machine.bandwidth(4 * vector)
        return vector / read + 3 * 2 * vector / update
    return 2 * vector / machine.bandwidth(vector).update
