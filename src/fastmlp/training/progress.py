"""The progress of a training: one display, which `fit(verbose=...)` and the command line share.

A bar of `tqdm.auto` over the epochs on a terminal and in a notebook, where tqdm is installed (extra `progress`); it
moves within long epochs. Else plain lines on stderr, each with the time that has gone and the time that is left. A
display never ends a training: where stderr is missing or closed, or cannot be written to, it falls silent.
`Progress` is the callback of the command line, which scores every epoch and has the fit use its display. Lines are
ASCII, so that any terminal shows them.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ..console import silence

MOVE_SECONDS = 0.25  # from one move of a bar to the next, within an epoch
SILENT_SECONDS = 5.0
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"

Describe = Callable[[Mapping[str, float]], str]


def figures(logs: Mapping[str, float]) -> str:
    """The figures of an epoch as text."""
    return "  ".join(f"{name} {value:.6g}" for name, value in logs.items())


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Quiet:
    """A stream whose failures nobody hears of: after a write that raises, tqdm (4.70) keeps its lock, and the bars of
    other threads wait for it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write the text, if that is possible."""
        self._try(self._stream.write, text)

    def flush(self) -> None:
        """Pass on what has been written."""
        self._try(self._stream.flush)

    def _try(self, call: Callable[..., object], *args: str) -> None:
        with contextlib.suppress(Exception):
            try:
                call(*args)
            except BrokenPipeError:
                silence(self._stream)  # or the interpreter would fail on what is left in its buffer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Display:
    """What shows the epochs of one fit; this one shows nothing.

    Parameters
    ----------
    epochs : int
        Length of the training.
    describe : function
        Makes text of an epoch's figures.
    """

    moves = False  # whether it wants to hear of an epoch that is on its way

    def __init__(self, epochs: int, describe: Describe = figures) -> None:
        self.epochs, self.describe = epochs, describe
        self.first, self.begun, self.shown = 0, 0.0, 0.0
        self.broken = False

    def begin(self, epoch: int) -> None:
        """Start the clock; so many epochs were done before."""
        self.first, self.begun = epoch, time.perf_counter()
        self._try(self._begin)

    def show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        """Show the end of an epoch, counted from 0."""
        self._try(self._show, epoch, logs, rows_per_second)

    def move(self, epoch: int, share: float | None, rows: int, logs: Mapping[str, float]) -> None:
        """Show that so many rows of an epoch are done, this share of them if it is known."""
        self._try(self._move, epoch, share, rows, logs)

    def is_due(self) -> bool:
        """Whether it is time for `move`."""
        return self.moves and not self.broken and time.perf_counter() - self.shown >= MOVE_SECONDS

    def close(self) -> None:
        """End what is shown."""
        self._try(self._end)

    def _try(self, call: Callable[..., None], *args: Any) -> None:
        """A display that fails is silent from then on. One that shows nothing calls nothing: what a handler of a signal
        raises at that moment is none of its failures.
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
    """Plain lines: of each epoch whose number is a multiple of `every`, and of the last that there is.

    With every None, those of the first epoch, of every tenth part of the training, and after five silent seconds.
    """

    def __init__(self, epochs: int, describe: Describe, stream: Quiet, every: int | None) -> None:
        super().__init__(epochs, describe)
        self.stream, self.every = stream, every
        self.waiting: str | None = None  # the line of an epoch that was left out
        self.written = 0.0

    def _show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        done, now = epoch + 1, time.perf_counter()
        elapsed = now - self.begun
        left = elapsed / (done - self.first) * (self.epochs - done)
        self.waiting = (
            f"epoch {done}/{self.epochs}  {self.describe(logs)}  {rows_per_second:,.0f} rows/s  "
            f"{clock(elapsed)}, {clock(left)} left"
        )
        every = self.every or max(1, -(-self.epochs // 10))
        soon = self.every is None and (done == 1 or now - self.written >= SILENT_SECONDS)
        if done % every == 0 or done == self.epochs or soon:
            self._end()

    def _end(self) -> None:
        """Write the line that waits; it is the last if none comes after it."""
        if self.waiting is None:
            return
        line, self.waiting, self.written = self.waiting, None, time.perf_counter()
        self.stream.write(f"{line}\n")
        self.stream.flush()


class Bar(Display):
    """A bar of tqdm's over the epochs."""

    moves = True

    def __init__(self, epochs: int, describe: Describe, stream: Any, tqdm: Any) -> None:
        super().__init__(epochs, describe)
        self.stream, self.tqdm = stream, tqdm
        self.bar: Any = None

    def _begin(self) -> None:
        options = {"total": self.epochs, "initial": self.first, "desc": self._place(self.first), "bar_format": BAR}
        self.bar = self.tqdm(**options, **width(self.stream), file=self.stream, unit="epoch", miniters=0)

    def _place(self, epoch: int) -> str:
        return f"epoch {epoch}/{self.epochs}"

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
        """Leave the bar as it is, and go to the next line."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def width(stream: Any) -> dict[str, Any]:
    """How wide tqdm is to draw: as the terminal is at each moment, but for one that says it has 0 columns, where tqdm
    (4.70) would draw nothing.
    """
    try:
        if os.get_terminal_size(stream.fileno()).columns == 0:
            import shutil  # only such a terminal needs it, and it brings all kinds of archives with it

            return {"ncols": shutil.get_terminal_size().columns - 1}
    except (OSError, ValueError, AttributeError):  # a stream without a descriptor, or no terminal
        pass
    return {"dynamic_ncols": True}


def in_notebook() -> bool:
    """Whether the process is the kernel of a notebook, as tqdm.auto asks."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def open_display(verbose: int | None, epochs: int, describe: Describe = figures) -> Display:
    """What `verbose` asks for: 0 nothing, 1 a bar where that is useful and else a line per epoch, a larger number a
    line every so many epochs; None, of the command line, is 1 with fewer lines.
    """
    stream = sys.stderr
    if verbose == 0 or stream is None or getattr(stream, "closed", False):
        return Display(epochs)
    notebook = in_notebook()
    if verbose in (None, 1) and (notebook or getattr(stream, "isatty", bool)()):
        try:
            tqdm = importlib.import_module("tqdm.auto").tqdm
            return Bar(epochs, describe, stream if notebook else Quiet(stream), tqdm)
        except ImportError:
            pass
    return Lines(epochs, describe, Quiet(stream), verbose)


class Pace:
    """How many steps an epoch takes at a stretch so that a bar moves: as many as fill `MOVE_SECONDS`, by what the last
    ones took. An epoch that is shorter becomes one stretch.
    """

    def __init__(self) -> None:
        self.n_steps = 1

    def took(self, n_steps: int, seconds: float) -> None:
        """So many steps took so long."""
        wanted = int(n_steps * MOVE_SECONDS / max(seconds, 1e-9))
        self.n_steps = max(1, min(wanted, 8 * max(n_steps, self.n_steps)))  # what one step took says little


class Progress:
    """Scores the epochs of one `fit`, and has it shown by a display with the scores in it.

    Parameters
    ----------
    epochs, n_rows : int
        Length of the training, and rows of one epoch.
    score : callable, optional
        Gives the test's "loss" and, for a classification, "accuracy" after an epoch, counted from 0; None where nothing
        is set apart.
    stream : TextIO or None
        None shows nothing; else it is stderr.
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
        """Rows that a second of training took so far, the scoring not counted."""
        return self._epochs_here * self.n_rows / self.seconds if self.seconds > 0 else 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Stop the clock, score."""
        self.seconds += time.perf_counter() - self._begun
        self.epochs_done, self._epochs_here = epoch + 1, self._epochs_here + 1
        if self.score is not None:
            logs.update({f"test_{name}": float(value) for name, value in self.score(epoch).items()})
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def close(self) -> None:
        """End what is shown."""
        self.display.close()

    @staticmethod
    def _describe(logs: Mapping[str, float]) -> str:
        parts = [f"loss {logs['loss']:.4g}"] if "loss" in logs else []
        if "test_accuracy" in logs:
            parts.append(f"test accuracy {100 * logs['test_accuracy']:.2f} %")
        elif "test_loss" in logs:
            parts.append(f"test loss {logs['test_loss']:.4g}")
        return "  ".join(parts)
