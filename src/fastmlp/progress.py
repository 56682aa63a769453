"""The progress of a training, on stderr: what `fit(verbose=...)` shows, and the command line's `Progress`.

`fit` shows a bar of tqdm's on a terminal where tqdm is installed, else a plain line per epoch. `Progress` is a callback
that scores every epoch: on a terminal it redraws one line, at most ten times a second; elsewhere it writes a plain line
for the first epoch, every tenth part of the training, the last epoch, and after five silent seconds. Rows per second
count the time inside the epochs alone, not that of the scoring. Its text is ASCII, so that any terminal shows it.
"""

from __future__ import annotations

import importlib
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TextIO

from .console import say

REDRAW_SECONDS = 0.1
SILENT_SECONDS = 5.0
BAR_WIDTH = 24


def describe(logs: Mapping[str, float], rows_per_second: float) -> str:
    """The figures of an epoch as text."""
    figures = "  ".join(f"{name} {value:.6g}" for name, value in logs.items())
    return f"{figures}  {rows_per_second:,.0f} rows/s"


class EpochLines:
    """A plain line per epoch, or nothing where `stream` is None."""

    def __init__(self, epochs: int, stream: TextIO | None) -> None:
        self.epochs, self.stream = epochs, stream

    def __enter__(self) -> EpochLines:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """End what is shown."""

    def show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        """Show an epoch, counted from 0."""
        if self.stream is not None:
            line = f"epoch {epoch + 1}/{self.epochs}  {describe(logs, rows_per_second)}"
            print(line, file=self.stream, flush=True)


class EpochBar(EpochLines):
    """A bar of tqdm's over the epochs."""

    def __init__(self, epochs: int, stream: TextIO, tqdm: Any) -> None:
        super().__init__(epochs, stream)
        self.bar = tqdm(total=epochs, unit="epoch", file=stream, dynamic_ncols=True)

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Leave the bar as it is, and go to the next line."""
        self.bar.close()

    def show(self, epoch: int, logs: Mapping[str, float], rows_per_second: float) -> None:
        """Move the bar to the end of that epoch."""
        self.bar.set_postfix_str(describe(logs, rows_per_second), refresh=False)
        self.bar.update(epoch + 1 - self.bar.n)


def epoch_display(verbose: int, epochs: int) -> EpochLines:
    """What `verbose` asks for: 0 nothing, 1 a bar where that is useful and else lines, 2 lines."""
    stream = sys.stderr
    if verbose == 1 and stream is not None and stream.isatty():
        try:
            return EpochBar(epochs, stream, importlib.import_module("tqdm").tqdm)
        except ImportError:
            pass
    return EpochLines(epochs, stream if verbose else None)


class Progress:
    """Scores and shows the epochs of one `fit`.

    Parameters
    ----------
    epochs, n_rows : int
        Length of the training, and rows of one epoch.
    score : callable, optional
        Gives the test's "loss" and, for a classification, "accuracy"; None where nothing is set apart.
    stream : TextIO or None
        Where to show; None shows nothing.
    """

    def __init__(
        self, epochs: int, n_rows: int, score: Callable[[], dict[str, float]] | None, stream: TextIO | None
    ) -> None:
        self.epochs = epochs
        self.n_rows = n_rows
        self.score = score
        self.stream = stream
        self.terminal = stream is not None and stream.isatty()
        self.history: dict[str, list[float]] = {}
        self.epochs_done = 0
        self.seconds = 0.0
        self._begun = 0.0
        self._shown = -REDRAW_SECONDS
        self._length = 0

    @property
    def rows_per_second(self) -> float:
        """Rows that a second of training took so far."""
        return self.epochs_done * self.n_rows / self.seconds if self.seconds > 0 else 0.0

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Draw the empty bar, since the first epoch can take long."""
        if self.terminal:
            self._redraw(self._bar() + f" epoch 0/{self.epochs}")

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Start the clock."""
        self._begun = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Stop the clock, score, show."""
        self.seconds += time.perf_counter() - self._begun
        self.epochs_done = epoch + 1
        scores = {} if self.score is None else {f"test_{name}": value for name, value in self.score().items()}
        for name, value in {"loss": logs["loss"], **scores}.items():
            self.history.setdefault(name, []).append(float(value))
        self._show()

    def close(self) -> None:
        """End the line that was being redrawn."""
        if self.stream is not None and self._length:
            say("", self.stream)
            self._length = 0

    def _show(self) -> None:
        if self.stream is None:
            return
        now = time.monotonic()
        last = self.epochs_done >= self.epochs
        if self.terminal:
            if last or now - self._shown >= REDRAW_SECONDS:
                self._redraw(f"{self._bar()} {self._status()}")
                self._shown = now
            return
        tenth = self.epochs_done % max(1, -(-self.epochs // 10)) == 0
        if self.epochs_done == 1 or tenth or last or now - self._shown >= SILENT_SECONDS:
            say(self._status(), self.stream)
            self._shown = now

    def _status(self) -> str:
        parts = [f"epoch {self.epochs_done}/{self.epochs}", f"loss {self.history['loss'][-1]:.4g}"]
        if "test_accuracy" in self.history:
            parts.append(f"test accuracy {100 * self.history['test_accuracy'][-1]:.2f} %")
        elif "test_loss" in self.history:
            parts.append(f"test loss {self.history['test_loss'][-1]:.4g}")
        parts.append(f"{self.rows_per_second:,.0f} rows/s")
        return "  ".join(parts)

    def _bar(self) -> str:
        full = BAR_WIDTH * self.epochs_done // self.epochs
        return f"[{'#' * full}{'.' * (BAR_WIDTH - full)}]"

    def _redraw(self, line: str) -> None:
        """Write over the line before; one that would wrap is cut, as a wrapped line cannot be written over."""
        line = line[: max(1, shutil.get_terminal_size().columns - 1)]
        padding = " " * max(0, self._length - len(line))
        say(f"\r{line}{padding}", self.stream, end="")
        self._length = len(line)
