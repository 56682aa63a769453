"""Regularisation: penalties, clipping, weight decay, limits of norms, averaging, noise and dropout.

r has the user's fields as attributes, those of `FIELDS`; `r.dropout` has a rate for each hidden layer. Penalties, decay
and limits concern weights, never biases. Random numbers are counter-based: a unit's number is a function of the key of
the training, the step, the stream (what the number is for), the row's index in its batch and the unit's index. No
function depends on a network, and only `decay` and `limit_norms` change their arguments.
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
NOT_SMOOTH = ("l1", "weight_decay", "dropout", "input_dropout", "input_noise", *LIMITS)
NOISE_RADIUS, NOISE_ANGLE, INPUT_DROPOUT, FIRST_LAYER_DROPOUT = range(4)  # of a step
ALL_64, ALL_32 = 2**64 - 1, 2**32 - 1


# --- penalties, gradients, weights ---


def penalty(weights: Iterable[Vector], r: Any, weight: float) -> float:
    """l1 sum |w| + l2 / 2 sum w^2 over the rows of all weights, divided by the weight of the batch if r.per_row."""
    rows = list(weights)
    total: float = r.l1 * sum(abs(w) for row in rows for w in row) + r.l2 / 2.0 * sum(dot(row, row) for row in rows)
    return total / weight if r.per_row else total


def penalised(g: Vector, w: Vector, r: Any, weight: float) -> Vector:
    """The gradient with the penalty's: g + l1 sign(w) + l2 w, with sign(0) = 0."""
    divisor = weight if r.per_row else 1.0
    l1, l2 = r.l1 / divisor, r.l2 / divisor
    return [slope + l2 * p + l1 * ((p > 0.0) - (p < 0.0)) for slope, p in zip(g, w)]


def clipped(gradient: Matrix, r: Any) -> Matrix:
    """The gradient with each element clipped to [-clip_value, clip_value], then times min(1, clip_norm / |g|)."""
    if r.clip_value is not None:
        gradient = [[max(-r.clip_value, min(r.clip_value, g)) for g in row] for row in gradient]
    if r.clip_norm is not None:
        norm = math.hypot(*chain.from_iterable(gradient))
        factor = r.clip_norm / norm if norm > r.clip_norm else 1.0
        gradient = [[factor * g for g in row] for row in gradient]
    return gradient


def decay(weights: Iterable[Vector], share: float) -> None:
    """w <- w - share w, in place."""
    for row in weights:
        row[:] = [w - share * w for w in row]


def limit_norms(weights: Iterable[Vector], max_norm: float) -> None:
    """Scale the weights into each unit to at most this Euclidean norm, in place."""
    for row in weights:
        norm = math.hypot(*row)
        if norm > max_norm:
            row[:] = [max_norm / norm * w for w in row]


def average(a: Matrix, rows: Matrix, decay: float) -> Matrix:
    """The moving average d a + (1 - d) p, with d the decay; p itself at the first step, when a is empty."""
    if not a:
        return [row[:] for row in rows]
    return [[decay * x + (1.0 - decay) * p for x, p in zip(old, row)] for old, row in zip(a, rows)]


# --- noise and dropout ---


def number(seed: int, n: int) -> int:
    """The n-th number, counted from 0, of the generator with this seed."""
    return SplitMix64((seed + n * 0x9E3779B97F4A7C15) & ALL_64).next()


def draws(seed: int, row: int, n: int) -> list[int]:
    """24 random bits for each of n units: a hash of the unit's index and the row's key."""
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
    """The random numbers of one step, from the key of the training and the number of steps before this one."""

    def __init__(self, r: Any, key: int, n_steps: int) -> None:
        self.r, self.seed = r, number(key, n_steps)

    def _mask(self, stream: int, row: int, n: int, rate: float) -> Vector:
        """The dropout factors of n units: 1 / (1 - rate) for those that are kept, else 0."""
        threshold = math.floor(rate * 2.0**24 + 0.5)
        return [1.0 / (1.0 - rate) if u >= threshold else 0.0 for u in draws(number(self.seed, stream), row, n)]

    def inputs(self, row: int, x: Sequence[float]) -> Vector:
        """x with noise, then dropout; the noise is sqrt(-2 ln u) cos(2 pi v), by the Box-Muller transform."""
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
        """The dropout factors of the outputs of each hidden layer of these sizes; None for a layer without dropout."""
        return [
            self._mask(FIRST_LAYER_DROPOUT + layer, row, n, rate) if rate else None
            for layer, (n, rate) in enumerate(zip(sizes, self.r.dropout))
        ]


def draws_anything(r: Any) -> bool:
    """Whether a training with r draws random numbers, for which it needs a key."""
    return bool(r.input_noise or r.input_dropout or any(r.dropout))
