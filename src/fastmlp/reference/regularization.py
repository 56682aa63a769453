"""Regularisation: the penalty, what happens to a gradient and to weights, the average, and what rows get at random.

r is what a user asks for, with the fields of `FIELDS` and in `dropout` a rate for each hidden layer. Penalties, decay
and norms concern weights, never biases. Random numbers are counted, not drawn one after another: that of a unit follows
from the key of the training, the step, the use, the row in its batch and the unit. Nothing here knows of networks, and
only `decay` and `limit_norms` write.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

from .functions import Matrix, SplitMix64, Vector, dot

FIELDS: dict[str, Any] = {
    "l1": 0.0,
    "l2": 0.0,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "input_dropout": 0.0,
    "input_noise": 0.0,
    "max_norm": None,
    "clip_norm": None,
    "clip_value": None,
    "average": None,
    "per_row": False,
}
LIMITS = ("max_norm", "clip_norm", "clip_value", "average")
NOT_WITH_LBFGS = ("l1", "weight_decay", "dropout", "input_dropout", "input_noise", *LIMITS)
NOISE_RADIUS, NOISE_ANGLE, INPUT_DROPOUT, FIRST_LAYER_DROPOUT = range(4)  # streams of a step
ALL_64, ALL_32 = 2**64 - 1, 2**32 - 1


# --- penalty, gradient, weights ---


def penalty(weights: Iterable[Vector], r: Any, weight: float) -> float:
    """l1 sum |w| + l2 / 2 sum w^2 over the rows of all weights; with per_row by the weight of the batch."""
    rows = list(weights)
    total: float = r.l1 * sum(abs(w) for row in rows for w in row) + r.l2 / 2.0 * sum(dot(row, row) for row in rows)
    return total / weight if r.per_row else total


def penalised(g: Vector, w: Vector, r: Any, weight: float) -> Vector:
    """g + l1 sign(w) + l2 w, with sign(0) = 0."""
    by = weight if r.per_row else 1.0
    l1, l2 = r.l1 / by, r.l2 / by
    return [slope + l2 * p + l1 * ((p > 0.0) - (p < 0.0)) for slope, p in zip(g, w)]


def clipped(gradient: Matrix, r: Any) -> Matrix:
    """Each element in [-clip_value, clip_value], then all of it times min(1, clip_norm / |g|)."""
    if r.clip_value is not None:
        gradient = [[max(-r.clip_value, min(r.clip_value, g)) for g in row] for row in gradient]
    if r.clip_norm is not None:
        norm = math.hypot(*chain.from_iterable(gradient))
        factor = r.clip_norm / norm if norm > r.clip_norm else 1.0
        gradient = [[factor * g for g in row] for row in gradient]
    return gradient


def decay(weights: Iterable[Vector], share: float) -> None:
    """w <- w - share w."""
    for row in weights:
        row[:] = [w - share * w for w in row]


def limit_norms(weights: Iterable[Vector], most: float) -> None:
    """Scales the weights into each unit to at most that Euclidean norm."""
    for row in weights:
        norm = math.hypot(*row)
        if norm > most:
            row[:] = [most / norm * w for w in row]


def average(a: Matrix, rows: Matrix, decay: float) -> Matrix:
    """d a + (1 - d) p; p itself at the first step, where there is no a."""
    if not a:
        return [row[:] for row in rows]
    return [[decay * x + (1.0 - decay) * p for x, p in zip(old, row)] for old, row in zip(a, rows)]


# --- what rows get at random ---


def number(seed: int, n: int) -> int:
    """The n-th number, from 0 on, of the generator that starts as the seed."""
    return SplitMix64((seed + n * 0x9E3779B97F4A7C15) & ALL_64).next()


def draws(seed: int, row: int, n: int) -> list[int]:
    """24 bits for each of n units: a hash of the unit and the row's key."""
    key = number(seed, row)
    low, high = key & ALL_32, key >> 32
    numbers = []
    for unit in range(n):
        h = (unit * 0x9E3779B1 + low) & ALL_32
        h = ((h ^ h >> 16) * 0x7FEB352D) & ALL_32
        h = (((h ^ h >> 15) + high) * 0x846CA68B) & ALL_32
        numbers.append((h ^ h >> 16) >> 8)
    return numbers


class Draws:
    """What one step draws; key: that of the training, n_steps: the steps before this one."""

    def __init__(self, r: Any, key: int, n_steps: int) -> None:
        self.r, self.seed = r, number(key, n_steps)

    def _mask(self, stream: int, row: int, n: int, rate: float) -> Vector:
        """1 / (1 - rate) for each of n units that are kept, else 0."""
        least = math.floor(rate * 2.0**24 + 0.5)
        return [1.0 / (1.0 - rate) if u >= least else 0.0 for u in draws(number(self.seed, stream), row, n)]

    def inputs(self, row: int, x: Sequence[float]) -> Vector:
        """x with noise, sqrt(-2 ln u) cos(2 pi v) by Box and Muller, and then dropout."""
        x = list(x)
        if self.r.input_noise:
            seeds = (number(self.seed, NOISE_RADIUS), number(self.seed, NOISE_ANGLE))
            pairs = zip(*(draws(seed, row, len(x)) for seed in seeds))
            noise = [
                math.sqrt(-2.0 * math.log((u | 1) * 2.0**-24)) * math.cos(2.0 * math.pi * v * 2.0**-24)
                for u, v in pairs
            ]
            x = [value + self.r.input_noise * z for value, z in zip(x, noise)]
        if self.r.input_dropout:
            mask = self._mask(INPUT_DROPOUT, row, len(x), self.r.input_dropout)
            x = [value * m for value, m in zip(x, mask)]
        return x

    def masks(self, row: int, sizes: Sequence[int]) -> list[Vector | None]:
        """The factors of the outputs of each hidden layer, of these sizes; None where nothing is dropped."""
        return [
            self._mask(FIRST_LAYER_DROPOUT + layer, row, n, rate) if rate else None
            for layer, (n, rate) in enumerate(zip(sizes, self.r.dropout))
        ]


def draws_anything(r: Any) -> bool:
    """Whether a training with r has a key."""
    return bool(r.input_noise or r.input_dropout or any(r.dropout))
