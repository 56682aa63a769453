"""How anything is timed here: one run, enough runs for the clock, and interleaved rounds.

Interleaved, because a machine's speed changes: every round runs each of what is compared once, in an order that
rotates, and ratios are taken within a round. Knows nothing of networks.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def repeats(run: Callable[[int], Any], wanted: float) -> int:
    """The n for which `run(n)` takes about so many seconds."""
    n, taken = 1, seconds(functools.partial(run, 1))
    while taken < wanted / 4:
        n *= 4
        taken = seconds(functools.partial(run, n))
    return max(1, round(n * wanted / taken))


def interleaved(measures: Sequence[Callable[[], float]], n_rounds: int) -> list[list[float]]:
    """The results of each in all rounds, one after another within a round, the first one rotating."""
    results: list[list[float]] = [[] for _ in measures]
    for first in range(n_rounds):
        for i in range(len(measures)):
            at = (first + i) % len(measures)
            results[at].append(measures[at]())
    return results
