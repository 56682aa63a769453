"""A crew of threads that work through a list of turns, the longest first; `fastmlp.fit_many` trains with it.

Each thread takes the turn with the most work that is left. While there are fewer turns than threads, the threads that
have none are lent to the others: a turn that calls `Crew.share` now and then limits the passes of its thread to its
share of the threads.

The thread that calls `run` only waits, so that it hears signals. Ctrl-C, or another exception there, sets the flag that
the trainings in all threads follow (`_core.StopFlag`): each raises KeyboardInterrupt within a step, and no other turn
begins. `run` then raises the exception after all threads have ended; a second exception while it waits is raised at
once, and the threads end by themselves. Nothing but `run` waits for a thread, and the end of a thread is known by an
attribute and not by `Thread.join`, which Ctrl-C can make take a running thread for ended (CPython 3.11).
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable, Sequence

from .. import _core

WAIT_SECONDS = 0.1  # how often a waiting thread looks whether it has to stop, on platforms whose locks hear no signals

Turn = Callable[["Crew"], None]


class Worker:
    """One thread of a crew."""

    def __init__(self, work: Callable[[], None]) -> None:
        self.has_ended = False
        self._work, self._ending = work, threading.Lock()
        self._ending.acquire()
        context = contextvars.copy_context()  # so that settings like np.errstate hold in callbacks, as in `fit`
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="fastmlp.fit_many", daemon=True)

    def start(self) -> None:
        """Start the thread; a RuntimeError if the system allows no more threads."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self.has_ended = True
            self._ending.release()

    def wait(self) -> None:
        """Wait until the thread has ended."""
        while not self.has_ended:
            self._ending.acquire(timeout=WAIT_SECONDS)
            _core.check_stop_flag()  # of a crew in one of whose turns this crew works
            if self._thread.ident is None:  # an exception came before the thread was started
                return
        self._thread.join()


class Crew:
    """Threads that work through turns, in the given order.

    Parameters
    ----------
    turns : sequence of functions
        Each is called with the crew, in one of the threads. An exception from a turn stops the crew.
    n_threads : int
        The number of threads, and of the threads that their passes may have together.
    """

    def __init__(self, turns: Sequence[Turn], n_threads: int) -> None:
        self.n_threads, self.flag = n_threads, _core.StopFlag()
        self._waiting, self._active = deque(turns), list[Turn]()
        self.n_changes = 0  # how often a turn has begun or ended, that is, the shares may have changed
        self._starting = threading.Lock()  # held until all threads have been started
        self._error: BaseException | None = None

    def run(self) -> None:
        """Work through all turns; raise the exception that has stopped the crew, if one has."""
        workers: list[Worker] = []
        try:
            self._start(workers)
            self._wait(workers)
        except BaseException as error:
            self.stop(error)
            self._wait(workers)
        if self._error is not None:
            raise self._error

    def stop(self, error: BaseException) -> None:
        """Have the threads stop, and `run` raise the first error for which this was called."""
        self._error = self._error or error
        self.flag.set()

    def share(self, turn: Turn) -> None:
        """Limit the passes of the calling thread, which does that turn, to its share of the threads."""
        active = list(self._active)
        n = self.n_threads // max(len(active), 1)
        if turn in active[: self.n_threads % max(len(active), 1)]:
            n += 1
        _core.limit_threads(max(n, 1))

    def _start(self, workers: list[Worker]) -> None:
        """Start the threads, one for each turn if there are fewer turns; work here if the system allows none.

        No turn begins before all have started: a start waits for the new thread to answer, and the answer may wait for
        milliseconds behind a turn, on the core of that turn, while another core is idle.
        """
        with self._starting:
            for _ in range(min(self.n_threads, len(self._waiting))):
                workers.append(Worker(self._work))
                try:
                    workers[-1].start()
                except RuntimeError:
                    workers.pop()
                    break
        if not workers:
            self._work()

    def _wait(self, workers: Sequence[Worker]) -> None:
        for worker in workers:
            worker.wait()

    def _work(self) -> None:
        """Do one turn after the other, until none is left or the crew is stopped."""
        self.flag.enter()
        try:
            with self._starting:
                pass
            while self._waiting and not self.flag.is_set:
                try:
                    turn = self._waiting.popleft()
                except IndexError:  # another thread was faster
                    break
                self._active.append(turn)
                self.n_changes += 1
                try:
                    self.share(turn)
                    turn(self)
                finally:
                    self._active.remove(turn)
                    self.n_changes += 1
        except BaseException as error:
            self.stop(error)
        finally:
            _core.limit_threads(0)
            self.flag.leave()
