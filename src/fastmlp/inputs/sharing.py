"""A map over items that runs in several threads, for NumPy and polars code that releases the GIL.

Results do not depend on the number of threads: each item is processed by itself, and the results are in the order of
the items. Small work runs in the calling thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from .. import _core

if TYPE_CHECKING:
    import threading

THREAD_NUMBERS = 1 << 19  # with fewer numbers for each thread, starting threads takes longer than it saves

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads_for(n_numbers: int) -> int:
    """Return how many threads should process that many numbers, at least 1."""
    return max(1, min(_core.usable_threads(), n_numbers // THREAD_NUMBERS))


def shared(n_threads: int, items: Iterable[Item], action: Callable[[Item], Result]) -> list[Result]:
    """Return the results of `action` for all items, in order, using n_threads threads including the calling one.

    If several calls raise, the error of the first of these items is raised.
    """
    if n_threads < 2:
        return list(map(action, items))
    import threading  # here, as its import would take a tenth of the time of fastmlp's

    results: dict[int, Result] = {}
    errors: dict[int, BaseException] = {}
    remaining = iter(list(enumerate(items)))  # its `next` is atomic, so each item goes to one thread

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
    except BaseException as error:  # Ctrl-C, or a thread could not be started: the others stop after their item
        errors[-1] = error
        wait_for(threads)
    if errors:
        raise errors[min(errors)]
    return [results[place] for place in range(len(results))]


def wait_for(threads: list[threading.Thread]) -> None:
    """Wait until those of the threads that were started have ended."""
    for thread in threads:
        if thread.ident is not None:
            thread.join()
