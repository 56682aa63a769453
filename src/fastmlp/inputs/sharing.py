"""Work on many rows that threads share: NumPy and polars let go of the interpreter while they go over numbers.

What comes out does not depend on the number of threads: each item is worked on as it would be alone, and results stand
in the order of the items. Little work stays in the thread that asks for it.
"""

from __future__ import annotations

import threading
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
    """The action's results, in order; of several errors, that of the first item. The calling thread works, too."""
    if n_threads < 2:
        return list(map(action, items))
    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    remaining = iter(list(enumerate(items)))  # each item goes to one thread, in order

    def work() -> None:
        while not errors:
            place, item = next(remaining, (-1, None))
            if place < 0:
                return
            try:
                results[place] = action(item)  # type: ignore[arg-type]
            except BaseException as error:
                errors[place] = error

    threads = [threading.Thread(target=work) for _ in range(n_threads - 1)]
    try:
        for thread in threads:
            thread.start()
        work()
        wait_for(threads)
    except BaseException as error:  # Ctrl-C, or a thread that could not begin: the others stop after their item
        errors[-1] = error
        wait_for(threads)
    if errors:
        raise errors[min(errors)]
    return [results[place] for place in range(len(results))]


def wait_for(threads: list[threading.Thread]) -> None:
    """Returns when those that have begun are done."""
    for thread in threads:
        if thread.ident is not None:
            thread.join()
