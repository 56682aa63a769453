"""What a fit reports: its history, the calls of its callbacks, and a line for each epoch.

A callback is a function of (epoch, logs), or an object with some of the methods in `checks.HOOKS`. A callback that
returns True stops the fit.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .checks import HOOKS


class History(dict[str, list[float]]):
    """The numbers of each epoch, which `fit` returns: a list under each name, such as "loss" and "val_loss".

    The lists are attributes, too. A name without a number in an epoch has NaN there. `stopped` says why the training
    ended.
    """

    stopped: str | None = None

    @property
    def epochs(self) -> int:
        """Number of recorded epochs."""
        return len(next(iter(self.values()), ()))

    def to_dict(self) -> dict[str, list[float]]:
        """Return the lists as a plain dict of new lists."""
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
    """Call a hook of every callback; a plain function counts as the hook `on_epoch_end`.

    Returns the reason of the first callback that returned True, or None if none did.
    """
    stop: str | None = None
    for callback in callbacks:
        has_hooks = any(hasattr(callback, name) for name in HOOKS)
        function = getattr(callback, hook, None) if has_hooks else callback if hook == "on_epoch_end" else None
        result = function(*arguments) if function is not None else None
        if type(result).__name__ in ("bool", "bool_") and result:
            stop = stop or getattr(callback, "stop_reason", "callback")
    return stop


def end_epoch(callbacks: Sequence[Any], epoch: int, logs: dict[str, float], history: History) -> str | None:
    """Call `on_epoch_end` of every callback, and record in the history the numbers that they add to the logs.

    Returns the reason of the first callback that returned True, or None if none did.
    """
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
    """Whether two numbers are equal; NaN is equal to NaN."""
    return a == b or (math.isnan(a) and math.isnan(b))


def number(what: str, value: Any) -> float:
    """Return the value as a float, after a check that it is a number."""
    if getattr(value, "ndim", 0) != 0 or not hasattr(value, "__float__"):
        raise TypeError(f"{what}: expected a number, got {value!r:.60}")
    return float(value)


class Watch:
    """What runs before and after each step: the hooks of batches and the check of the deadline."""

    def __init__(self, callbacks: Sequence[Any], deadline: float) -> None:
        self.callbacks, self.deadline = callbacks, deadline

    def before(self, batch: int) -> None:
        """Call `on_batch_begin` of all callbacks."""
        notify(self.callbacks, "on_batch_begin", batch, {})

    def after(self, batch: int, loss: float) -> str | None:
        """Call `on_batch_end` with the mean loss of the epoch so far; return a reason to stop, or None."""
        reason = notify(self.callbacks, "on_batch_end", batch, {"loss": loss})
        return reason or ("max_time" if time.perf_counter() >= self.deadline else None)


def report(epoch: str, logs: Mapping[str, float], seconds: float) -> None:
    """Print the numbers of an epoch as a line on stderr."""
    figures = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
    print(f"{epoch}: {figures}, {seconds:.2f} s", file=sys.stderr)
