"""What a fit tells: its history, its callbacks, those who look into an epoch, a line per epoch.

A callback is a function of (epoch, logs), or an object with some of `checks.HOOKS`; one that returns True stops it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .checks import HOOKS


class History(dict[str, list[float]]):
    """What `fit` returns: a list per epoch under "loss", "val_loss", ..., also as attributes; `stopped` says why."""

    stopped: str | None = None

    def _append(self, logs: Mapping[str, float]) -> None:
        for name, value in logs.items():
            self.setdefault(name, []).append(value)

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
