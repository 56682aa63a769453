"""Work on many rows that threads share: NumPy and polars let go of the interpreter while they go over numbers.

What comes out does not depend on the number of threads: each item is worked on as it would be alone, and results stand
in the order of the items. Little work stays in the thread that asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from .. import _core

THREAD_NUMBERS = 1 << 20  # fewer numbers for each thread are sooner done than shared out

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads_for(n_numbers: int) -> int:
    """How many threads so many numbers are worth, at least 1."""
    return max(1, min(_core.usable_threads(), n_numbers // THREAD_NUMBERS))


def shared(n_threads: int, items: Iterable[Item], action: Callable[[Item], Result]) -> list[Result]:
    """The action's results, in order; of several errors, that of the first item."""
    if n_threads < 2:
        return list(map(action, items))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(action, items))
