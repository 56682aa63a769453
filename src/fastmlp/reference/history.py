"""What a fit tells: its history, its callbacks, those who look into an epoch, a line per epoch.

A callback is a function of (epoch, logs), or an object with some of `checks.HOOKS`; one that returns True stops it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .checks import HOOKS


class History(dict[str, list[float]]):
    """What `fit` returns: a list per epoch under "loss", "val_loss", ..., also as attributes, NaN in epochs without a
    number; `stopped` says why the training ended.
    """

    stopped: str | None = None

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return len(next(iter(self.values()), ()))

    def to_dict(self) -> dict[str, list[float]]:
        """The curves as a plain dict of new lists."""
        return {name: list(values) for name, values in self.items()}

    def _append(self, logs: Mapping[str, float]) -> None:
        n = self.epochs
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * n).append(value)
        for values in self.values():
            values.extend([math.nan] * (n + 1 - len(values)))

    def _note(self, logs: Mapping[str, float]) -> None:
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * self.epochs)[-1] = value

    def _end_by(self, error: BaseException) -> None:
        self.stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        error.history = self  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> list[float]:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def notify(callbacks: Sequence[Any], hook: str, *arguments: Any) -> str | None:
    """Tell every callback; a plain callable hears of the end of an epoch only. Why the first that says stop does so."""
    stop: str | None = None
    for callback in callbacks:
        has_hooks = any(hasattr(callback, name) for name in HOOKS)
        function = getattr(callback, hook, None) if has_hooks else callback if hook == "on_epoch_end" else None
        answer = function(*arguments) if function is not None else None
        if type(answer).__name__ in ("bool", "bool_") and answer:
            stop = stop or getattr(callback, "stop_reason", "callback")
    return stop


def end_epoch(callbacks: Sequence[Any], epoch: int, logs: dict[str, float], history: History) -> str | None:
    """The end of an epoch for every callback; the history gets what they add to the logs."""
    stop: str | None = None
    for i, callback in enumerate(callbacks):
        before = dict(logs)
        try:
            reason = notify([callback], "on_epoch_end", epoch, logs)
        except BaseException:  # the epoch is in the history, and may be the best one
            for later in callbacks[i + 1 :]:
                if hasattr(later, "on_train_error"):
                    later.on_epoch_end(epoch, before)
            raise
        stop = stop or reason
        name = getattr(callback, "__name__", type(callback).__name__)
        for key, value in logs.items():
            logs[key] = number(f"callback {name}: logs[{key!r}]", value)
        if any(key not in logs or not same(logs[key], value) for key, value in before.items()):
            raise ValueError(f"callback {name}: expected {before} to stay in logs, got {logs}")
        history._note({key: value for key, value in logs.items() if key not in before})
    return stop


def same(a: float, b: float) -> bool:
    """Whether two figures are equal, NaN to itself."""
    return a == b or (math.isnan(a) and math.isnan(b))


def number(what: str, value: Any) -> float:
    """The figure as a float."""
    if getattr(value, "ndim", 0) != 0 or not hasattr(value, "__float__"):
        raise TypeError(f"{what}: expected a number, got {value!r:.60}")
    return float(value)


class Watch:
    """Who looks into an epoch: the hooks of batches, and the clock."""

    def __init__(self, callbacks: Sequence[Any], deadline: float) -> None:
        self.callbacks, self.deadline = callbacks, deadline

    def before(self, batch: int) -> None:
        """What is heard before each step."""
        notify(self.callbacks, "on_batch_begin", batch, {})

    def after(self, batch: int, loss: float) -> str | None:
        """A reason to stop after a step; loss is the epoch's so far."""
        reason = notify(self.callbacks, "on_batch_end", batch, {"loss": loss})
        return reason or ("max_time" if time.perf_counter() >= self.deadline else None)


def report(epoch: str, logs: Mapping[str, float], seconds: float) -> None:
    """A line on stderr."""
    words = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
    print(f"{epoch}: {words}, {seconds:.2f} s", file=sys.stderr)
