"""Timing: of one call, of as many calls as the clock needs, and of several measurements in interleaved rounds.

Rounds are interleaved because the speed of a machine changes: every round runs each measurement once, in an order that
rotates, and ratios are taken within a round. The default clock is wall-clock time. If other processes share the core,
`use("cpu")` selects the CPU time of this process, which is right for one thread only.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_clock = CLOCKS["wall"]


def use(name: str) -> None:
    """Select the clock for all measurements that follow."""
    global _clock
    _clock = CLOCKS[name]


def seconds(call: Callable[[], Any]) -> float:
    """Return the time of one call."""
    start = _clock()
    call()
    return _clock() - start


class Share:
    """The share of a core that this process has had since the object was made; below 1 if others shared the core."""

    def __init__(self) -> None:
        self._start = time.process_time(), time.perf_counter()

    def __str__(self) -> str:
        used, passed = time.process_time() - self._start[0], time.perf_counter() - self._start[1]
        return f"- this process had {used / passed:.0%} of a core while it measured"


def repeats(run: Callable[[int], Any], wanted: float) -> int:
    """Return the n for which `run(n)` takes about `wanted` seconds."""
    n, taken = 1, seconds(functools.partial(run, 1))
    while taken < wanted / 4:
        n *= 4
        taken = seconds(functools.partial(run, n))
    return max(1, round(n * wanted / taken))


def interleaved(measures: Sequence[Callable[[], float]], n_rounds: int) -> list[list[float]]:
    """Call every measure once in each round, beginning with another one in each; return the results by measure."""
    results: list[list[float]] = [[] for _ in measures]
    for first in range(n_rounds):
        for i in range(len(measures)):
            which = (first + i) % len(measures)
            results[which].append(measures[which]())
    return results
