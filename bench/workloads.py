"""The workloads of every benchmark as one table, and the data they run on.

A-D are forward passes (one row, and many rows at once), T1-T4 training epochs. Sizes, activations, losses,
optimisers, batch sizes and numbers of rows stand here and nowhere else in `bench/`.
"""

from __future__ import annotations

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
    """One line of the table. `optimizer` is a name with a learning rate; other hyper-parameters are the defaults."""

    name: str
    sizes: tuple[int, ...]
    activation: str
    output_activation: str = "identity"
    loss: str = "half_squared_error"
    optimizer: tuple[str, float] | None = None  # None: the workload is a forward pass
    batch_size: int = 0
    n_rows: int = 10_000
    reference_batches: int = 1  # so many batches of an epoch are enough to time pure Python
    epsilon: float = 1e-8  # of Adam

    @property
    def trains(self) -> bool:
        """Whether it is an epoch of training, not a forward pass."""
        return self.optimizer is not None

    @property
    def images(self) -> bool:
        """Whether its input is an image of 28 x 28 pixels with one of ten labels."""
        return self.sizes[0] == 784

    @property
    def sources(self) -> tuple[str, ...]:
        """What it can run on: dense random input, and real images where it takes images."""
        return (RANDOM, FASHION_MNIST) if self.images else (RANDOM,)

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(I, O) of each layer."""
        return list(itertools.pairwise(self.sizes))

    @property
    def n_parameters(self) -> int:
        """Weights and biases."""
        return sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in self.layers)

    @property
    def check_rows(self) -> int:
        """Rows that the implementations are compared on: two batches and a half, or some tiles of a forward pass."""
        return self.batch_size * 5 // 2 if self.trains else 1000

    def __str__(self) -> str:
        """Short enough for a table: T1 784-30-10 sigmoid b10."""
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


def initial_parameters(workload: Workload, seed: int = 0) -> Array:
    """Glorot-uniform weights and small biases as one float64 vector; every implementation starts from it."""
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
    """n_rows inputs of the dtype with their targets: labels of images, or a column of values.

    Random images are dense, uniform in [0, 1), and their labels follow from them, so that they can be learnt.
    """
    if source == FASHION_MNIST:
        x, labels = _fashion_mnist()
        if n_rows > len(x):
            raise ValueError(f"n_rows: expected at most {len(x)} images, got {n_rows}")
        return np.ascontiguousarray(x[:n_rows], dtype), labels[:n_rows]
    generator = np.random.default_rng(seed)
    if workload.images:
        x = generator.random((n_rows, workload.sizes[0]), dtype="float32").astype(dtype, copy=False)
        scores = x @ generator.standard_normal((workload.sizes[0], 10)).astype(dtype)
        return x, np.argmax(scores - scores.mean(axis=0), axis=1)
    x = generator.standard_normal((n_rows, workload.sizes[0]), dtype="float32").astype(dtype, copy=False)
    return x, np.sin(x @ generator.standard_normal((workload.sizes[0], 1))).astype(dtype)
