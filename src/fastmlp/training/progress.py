"""The progress display of a training, for `fit(verbose=...)` and for the command line.

On a terminal and in a notebook, where tqdm is installed (extra `progress`), the display is a bar of `tqdm.auto` over
the epochs, which moves within long epochs, too. Elsewhere it consists of lines on stderr, each with the elapsed and the
remaining time; they are ASCII, so that any terminal shows them. An error of a display never ends a training: if stderr
is missing, closed or cannot be written to, nothing is shown any more.

`Progress` is the callback of the command line: it evaluates the test rows after every epoch, and its display replaces
that of the fit.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ..console import silence

MOVE_SECONDS = 0.25  # the time from one move of a bar to the next, within an epoch
SILENT_SECONDS = 5.0  # the time without a line after which the command line shows the next epoch
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"

Describe = Callable[[Mapping[str, float]], str]


def figures(logs: Mapping[str, float]) -> str:
    """Return the figures of an epoch as text."""
    return "  ".join(f"{name} {value:.6g}" for name, value in logs.items())


def clock(seconds: float) -> str:
    """Return a time in seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class FailSafeStream:
    """A stream that ignores errors of `write` and `flush`.

    tqdm (4.70) does not release its lock after a write that raises, so that the bars of other threads would wait for
    ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write the text; ignore an error."""
        self._try(self._stream.write, text)

    def flush(self) -> None:
        """Flush the stream; ignore an error."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[..., object], *args: str) -> None:
        with contextlib.suppress(Exception):
            try:
                call(*args)
            except BrokenPipeError:
                silence(self._stream)  # else the interpreter would fail at exit when it flushes the buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Display:
    """The base class of displays of one fit, which itself shows nothing.

    Subclasses override `_begin`, `_show`, `_move` and `_end`. A display whose method raises shows nothing any more.

    Parameters
    ----------
    epochs : int
        The number of epochs of the training.
    describe : function
        Returns the figures of an epoch as text.
    """

    moves = False  # whether the display uses `move`, the progress within an epoch
    wants_all = False  # whether it has to be called for each epoch, however short
    unit = "epoch"  # what is counted, and is called an epoch here; see `open_display`

    def __init__(self, epochs: int, describe: Describe = figures) -> None:
        self.epochs, self.describe = epochs, describe
        self.first, self.begun, self.shown = 0, 0.0, 0.0
        self.broken = False

    def begin(self, epoch: int) -> None:
        """Start the clock; `epoch` is the number of epochs that a resumed training has done before."""
        self.first, self.begun = epoch, time.perf_counter()
        self._try(self._begin)

    def show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        """Show the end of an epoch, counted from 0."""
        self._try(self._show, epoch, logs, rows_per_second)

    def move(self, epoch: int, share: float | None, rows: int, logs: Mapping[str, float]) -> None:
        """Show that `rows` rows of an epoch are done, which is `share` of all its rows, or None if that is unknown."""
        self._try(self._move, epoch, share, rows, logs)

    def is_due(self) -> bool:
        """Return whether it is time for a call of `move`."""
        return self.moves and not self.broken and time.perf_counter() - self.shown >= MOVE_SECONDS

    def close(self) -> None:
        """End the display."""
        self._try(self._end)

    def _try(self, call: Callable[..., None], *args: Any) -> None:
        """Call a method of a subclass, unless one has failed before.

        The base class calls nothing, so that an exception of a signal handler is not taken for an error of a display.
        """
        if self.broken or type(self) is Display:
            return
        try:
            call(*args)
        except Exception:
            self.broken = True
        self.shown = time.perf_counter()

    def _begin(self) -> None:
        pass

    def _show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        pass

    def _move(self, epoch: int, share: float | None, rows: int, logs: Mapping[str, float]) -> None:
        pass

    def _end(self) -> None:
        pass


class Lines(Display):
    """A display that writes a line for each epoch whose number is a multiple of `every`, and for the last epoch.

    If `every` is None, it writes a line for the first epoch, at each tenth of the training, and for an epoch that ends
    five seconds or more after the last line.
    """

    wants_all = True

    def __init__(self, epochs: int, describe: Describe, stream: FailSafeStream, every: int | None) -> None:
        super().__init__(epochs, describe)
        self.stream, self.every = stream, every
        self.waiting: str | None = None  # the line of the last epoch, if it is not written yet
        self.written = 0.0  # the time of the last line

    def _show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        done, now = epoch + 1, time.perf_counter()
        elapsed = now - self.begun
        left = elapsed / (done - self.first) * (self.epochs - done)
        self.waiting = (
            f"{self.unit} {done}/{self.epochs}  {self.describe(logs)}  {rows_per_second:,.0f} rows/s  "
            f"{clock(elapsed)}, {clock(left)} left"
        )
        every = self.every or max(1, -(-self.epochs // 10))
        soon = self.every is None and (done == 1 or now - self.written >= SILENT_SECONDS)
        if done % every == 0 or done == self.epochs or soon:
            self._end()

    def _end(self) -> None:
        """Write the line of the last epoch, unless it is written already."""
        if self.waiting is None:
            return
        line, self.waiting, self.written = self.waiting, None, time.perf_counter()
        self.stream.write(f"{line}\n")
        self.stream.flush()


class Bar(Display):
    """A display that is a bar of tqdm over the epochs."""

    moves = True
    wants_all = True

    def __init__(self, epochs: int, describe: Describe, stream: Any, tqdm: Any) -> None:
        super().__init__(epochs, describe)
        self.stream, self.tqdm = stream, tqdm
        self.bar: Any = None

    def _begin(self) -> None:
        options = {"total": self.epochs, "initial": self.first, "desc": self._place(self.first), "bar_format": BAR}
        self.bar = self.tqdm(**options, **width(self.stream), file=self.stream, unit=self.unit, miniters=0)

    def _place(self, epoch: int) -> str:
        return f"{self.unit} {epoch}/{self.epochs}"

    def _show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        self._set(epoch + 1, f"{self.describe(logs)}  {rows_per_second:,.0f} rows/s", epoch + 1)

    def _move(self, epoch: int, share: float | None, rows: int, logs: Mapping[str, float]) -> None:
        seen = "" if share is not None else f"  {rows:,} rows"
        self._set(epoch + 1, f"{self.describe(logs)}{seen}".strip(), epoch + (share or 0.0))

    def _set(self, epoch: int, text: str, position: float) -> None:
        self.bar.set_description_str(self._place(epoch), refresh=False)
        self.bar.set_postfix_str(text, refresh=False)
        self.bar.n = position
        self.bar.update(0)

    def _end(self) -> None:
        """Leave the bar on the screen, and go to the next line."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def width(stream: Any) -> dict[str, Any]:
    """Return the arguments of tqdm for the width of a bar.

    The bar follows the width of the terminal. A terminal that reports 0 columns gets a fixed width, because tqdm (4.70)
    would draw nothing there.
    """
    try:
        if os.get_terminal_size(stream.fileno()).columns == 0:
            import shutil  # imported here, as it imports many modules and only such a terminal needs it

            return {"ncols": shutil.get_terminal_size().columns - 1}
    except (OSError, ValueError, AttributeError):  # the stream has no descriptor, or is no terminal
        pass
    return {"dynamic_ncols": True}


def in_notebook() -> bool:
    """Return whether the process is the kernel of a notebook, by the test that tqdm.auto uses."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def open_display(verbose: int | None, epochs: int, describe: Describe = figures, unit: str = "epoch") -> Display:
    """Return the display for an argument `verbose`, which counts to `epochs` in that unit.

    0 shows nothing; 1 shows a bar on a terminal or in a notebook, elsewhere a line per epoch; a larger number N shows a
    line every N epochs. None, which the command line uses, is like 1 with fewer lines.
    """
    display = _chosen_display(verbose, epochs, describe)
    display.unit = unit
    return display


def _chosen_display(verbose: int | None, epochs: int, describe: Describe) -> Display:
    """Return the display that `open_display` describes."""
    stream = sys.stderr
    if verbose == 0 or stream is None or getattr(stream, "closed", False):
        return Display(epochs)
    notebook = in_notebook()
    if verbose in (None, 1) and (notebook or getattr(stream, "isatty", bool)()):
        try:
            tqdm = importlib.import_module("tqdm.auto").tqdm
            return Bar(epochs, describe, stream if notebook else FailSafeStream(stream), tqdm)
        except ImportError:
            pass
    return Lines(epochs, describe, FailSafeStream(stream), verbose)


class Pace:
    """The number of steps between two moves of a bar: as many as take `MOVE_SECONDS`, at the speed of the last ones."""

    def __init__(self) -> None:
        self.n_steps = 1

    def took(self, n_steps: int, seconds: float) -> None:
        """Update the number after that many steps in that time."""
        wanted = int(n_steps * MOVE_SECONDS / max(seconds, 1e-9))
        self.n_steps = max(1, min(wanted, 8 * max(n_steps, self.n_steps)))  # the time of a few steps is not reliable


class Progress:
    """A callback that evaluates the test rows after each epoch of a `fit`, and a display that shows the results.

    Parameters
    ----------
    epochs, n_rows : int
        The number of epochs, and of rows of one epoch.
    score : callable, optional
        Called with the number of an epoch, from 0; returns the "loss" of the test rows and, for a classification, their
        "accuracy". None if there are no test rows.
    stream : TextIO or None
        None shows nothing; any other value shows the progress on stderr.
    verbose : int, optional
        As for `open_display`.
    """

    def __init__(
        self,
        epochs: int,
        n_rows: int,
        score: Callable[[int], dict[str, float]] | None,
        stream: TextIO | None,
        verbose: int | None = None,
    ) -> None:
        self.epochs, self.n_rows, self.score = epochs, n_rows, score
        self.display = open_display(0 if stream is None else verbose, epochs, self._describe)
        self.history: dict[str, list[float]] = {}
        self.epochs_done, self._epochs_here = 0, 0
        self.seconds = 0.0
        self._begun = 0.0

    @property
    def rows_per_second(self) -> float:
        """The number of rows per second of training so far, without the time of the evaluations."""
        return self._epochs_here * self.n_rows / self.seconds if self.seconds > 0 else 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Stop the clock, and evaluate the test rows."""
        self.seconds += time.perf_counter() - self._begun
        self.epochs_done, self._epochs_here = epoch + 1, self._epochs_here + 1
        if self.score is not None:
            logs.update({f"test_{name}": float(value) for name, value in self.score(epoch).items()})
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def close(self) -> None:
        """End the display."""
        self.display.close()

    @staticmethod
    def _describe(logs: Mapping[str, float]) -> str:
        parts = [f"loss {logs['loss']:.4g}"] if "loss" in logs else []
        if "test_accuracy" in logs:
            parts.append(f"test accuracy {100 * logs['test_accuracy']:.2f} %")
        elif "test_loss" in logs:
            parts.append(f"test loss {logs['test_loss']:.4g}")
        return "  ".join(parts)


class Overview:
    """The display of several networks that train at the same time: it counts the networks that have ended.

    Any thread may call its methods.

    Parameters
    ----------
    verbose : int
        As for `open_display`, with networks in place of epochs.
    n_networks : int
    """

    def __init__(self, verbose: int, n_networks: int) -> None:
        self.display = open_display(verbose, n_networks, unit="network")
        self.moves = self.display.moves
        self._lock = threading.Lock()
        self._shares: dict[int, float] = {}  # of the networks that are being trained: the share that is done
        self._n_ended, self._n_rows = 0, 0

    def begin(self) -> None:
        """Start the clock."""
        self.display.begin(0)

    def move(self, network: int, share: float) -> None:
        """Note that this share of the training of a network is done."""
        if not self.moves:  # so that threads whose epochs are short do not wait for one another
            return
        with self._lock:
            self._shares[network] = share
            if self.display.is_due():
                self.display.move(self._n_ended, sum(self._shares.values()), self._n_rows, {})

    def end(self, network: int, logs: Mapping[str, float], n_rows: int) -> None:
        """Note that the training of a network has ended, with these figures of its last epoch, after n_rows rows."""
        with self._lock:
            self._shares.pop(network, None)
            self._n_ended, self._n_rows = self._n_ended + 1, self._n_rows + n_rows
            seconds = time.perf_counter() - self.display.begun
            self.display.show(self._n_ended - 1, logs, self._n_rows / max(seconds, 1e-9))

    def close(self) -> None:
        """End the display."""
        with self._lock:
            self.display.close()
