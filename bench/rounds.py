"""How anything is timed here: one run, enough runs for the clock, and interleaved rounds.

Interleaved, because a machine's speed changes: every round runs each of what is compared once, in an order that
rotates, and ratios are taken within a round. The clock is the wall's; where other work shares the core, `use("cpu")`
takes the processor time of this process instead, which is for one thread only. Knows nothing of networks.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
_clock = CLOCKS["wall"]


def use(name: str) -> None:
    """Choose the clock of all that follows."""
    global _clock
    _clock = CLOCKS[name]


def seconds(call: Callable[[], Any]) -> float:
    """The time of one call."""
    start = _clock()
    call()
    return _clock() - start


class Share:
    """How much of a core this process has had since it was made: less than 1 where others had it too."""

    def __init__(self) -> None:
        self._start = time.process_time(), time.perf_counter()

    def __str__(self) -> str:
        used, passed = time.process_time() - self._start[0], time.perf_counter() - self._start[1]
        return f"- this process had {used / passed:.0%} of a core while it measured"


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
