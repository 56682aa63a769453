"""WORKLOADS: the table of the workloads of all benchmarks, and the data they run on.

A-D are forward passes (of one row, and of many rows at once), T1-T4 are training epochs. LARGE_BATCHES has further
ones, which only `threads.py` measures: T2 and T3 with larger batches, and F1-F4 with all rows in each step. Sizes,
activations, losses, optimisers, batch sizes and numbers of rows are defined only here.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmlp import datasets

Array = np.ndarray[Any, Any]

RANDOM, FASHION_MNIST = "random", "fashion-mnist"


@dataclass(frozen=True)
class Workload:
    """A workload. `optimizer` is a name and a learning rate; its other hyper-parameters have their defaults."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    output_activation: str = "identity"
    loss: str = "half_squared_error"
    optimizer: tuple[str, float] | None = None  # None: the workload is a forward pass; L-BFGS has no rate
    batch_size: int = 0
    n_rows: int = 10_000
    reference_batches: int = 1  # number of batches on which pure Python is timed
    epsilon: float = 1e-8  # Adam's

    @property
    def trains(self) -> bool:
        """Whether the workload is an epoch of training, not a forward pass."""
        return self.optimizer is not None

    @property
    def images(self) -> bool:
        """Whether a row is an image of 28 x 28 pixels with one of ten labels."""
        return self.sizes[0] == 784

    @property
    def labelled(self) -> bool:
        """Whether a target is a label, not a row of values."""
        return self.images or self.loss == "cross_entropy"

    @property
    def sources(self) -> tuple[str, ...]:
        """The kinds of data that it can run on: dense random data, and for images also real ones."""
        return (RANDOM, FASHION_MNIST) if self.images else (RANDOM,)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(I, O) of each layer."""
        return list(itertools.pairwise(self.sizes))

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases."""
        return sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in self.layers)

    @property
    def check_rows(self) -> int:
        """The number of rows for verification: two and a half batches, or some tiles of a forward pass."""
        return self.batch_size * 5 // 2 if self.trains else 1000

    def __str__(self) -> str:
        """A short description for tables, such as "T1 784-30-10 sigmoid b10"."""
        batch = f" b{self.batch_size}" if self.trains else ""
        return f"{self.name} {'-'.join(map(str, self.sizes))} {self.activation}{batch}"


_CLASSIFIER = {"output_activation": "softmax", "loss": "cross_entropy", "optimizer": ("adam", 1e-3)}

WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("A", (784, 16, 16, 10), "sigmoid"),
        Workload("B", (784, 128, 10), "relu"),
        Workload("C", (10, 32, 32, 1), "tanh"),
        Workload("D", (784, 512, 512, 10), "relu"),
        Workload(
            "T1", (784, 30, 10), "sigmoid", "sigmoid", "half_squared_error", ("sgd", 3.0), 10, 50_000,
            reference_batches=10,
        ),
        Workload("T2", (784, 128, 10), "relu", batch_size=64, n_rows=60_000, **_CLASSIFIER),
        Workload("T3", (784, 512, 512, 10), "relu", batch_size=128, n_rows=60_000, **_CLASSIFIER),
        Workload(
            "T4", (10, 32, 32, 1), "tanh", "identity", "half_squared_error", ("adam", 1e-3), 32, 10_000,
            reference_batches=10,
        ),
    )
}  # fmt: skip

_ALL_ROWS = {"optimizer": ("adam", 1e-3), "batch_size": 10_000}
_DIGITS = {**_CLASSIFIER, "batch_size": 1500, "n_rows": 1500}

LARGE_BATCHES = {
    workload.name: workload
    for workload in (
        dataclasses.replace(WORKLOADS["T2"], name="T2 large", batch_size=512),
        dataclasses.replace(WORKLOADS["T3"], name="T3 large", batch_size=1024),
        Workload("F1", (10, 32, 32, 1), "tanh", **_ALL_ROWS),
        Workload("F2", (4, 32, 16, 4), "tanh", **_ALL_ROWS),
        Workload("F3", (64, 64, 10), "relu", **_DIGITS),
        Workload("F4", (64, 64, 10), "relu", **{**_DIGITS, "optimizer": ("lbfgs", 1.0)}),
    )
}


def initial_parameters(workload: Workload, seed: int = 0) -> Array:
    """Return Glorot-uniform weights and small biases as one float64 vector, from which every implementation starts."""
    generator = np.random.default_rng(seed)
    parts = []
    for n_inputs, n_outputs in workload.layers:
        limit = (6 / (n_inputs + n_outputs)) ** 0.5
        parts += [generator.uniform(-limit, limit, n_inputs * n_outputs), generator.uniform(-0.1, 0.1, n_outputs)]
    return np.concatenate(parts)


@functools.cache
def _fashion_mnist() -> tuple[Array, Array]:
    return datasets.load_fashion_mnist()[0]


def data(workload: Workload, source: str, n_rows: int, dtype: str = "float32", seed: int = 0) -> tuple[Array, Array]:
    """Return n_rows inputs of the dtype, and their targets: labels, or rows of values.

    Random inputs with labels are dense, uniform in [0, 1), and the labels are a function of them, so that they can be
    learnt.
    """
    if source == FASHION_MNIST:
        x, labels = _fashion_mnist()
        if n_rows > len(x):
            raise ValueError(f"n_rows: expected at most {len(x)} images, got {n_rows}")
        return np.ascontiguousarray(x[:n_rows], dtype), labels[:n_rows]
    generator = np.random.default_rng(seed)
    if workload.labelled:
        x = generator.random((n_rows, workload.sizes[0]), dtype="float32").astype(dtype, copy=False)
        scores = x @ generator.standard_normal((workload.sizes[0], 10)).astype(dtype)
        return x, np.argmax(scores - scores.mean(axis=0), axis=1)
    x = generator.standard_normal((n_rows, workload.sizes[0]), dtype="float32").astype(dtype, copy=False)
    return x, np.sin(x @ generator.standard_normal((workload.sizes[0], workload.sizes[-1]))).astype(dtype)
