"""The loop of `fit`: epochs, validation, callbacks, history. One epoch is one compiled call without the GIL.

Every argument is checked before the first step. An epoch publishes its parameters when it ends; whatever is raised
in between (a callback's error, a loss that is not finite, Ctrl-C) leaves the network usable and the loop closed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arguments, arrays
from .history import History

if TYPE_CHECKING:
    from .network import Network
    from .optimizers import Optimizer

HOOKS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")


class Default(int):
    """A default that can be told from the same number given by the caller."""


DEFAULT_BATCH_SIZE = Default(32)


class Token:
    """Stands for one fit: Ctrl-C at any point ends this one and no other, at the latest when its token is gone."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True)
class Plan:
    """The checked arguments of a fit that are not data."""

    epochs: int
    batch_size: int | None
    shuffle: bool
    callbacks: Sequence[Any]
    verbose: int
    sample_weight: object = None
    class_weight: object = None


def check_callbacks(callbacks: object) -> list[Any]:
    """The callbacks, each a function or an object with at least one of the hooks."""
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise TypeError(f"callbacks: expected a sequence of functions or objects with hooks, got {callbacks!r}")
    for i, callback in enumerate(callbacks):
        if not callable(callback) and not any(hasattr(callback, hook) for hook in HOOKS):
            raise TypeError(
                f"callbacks[{i}]: expected a function, or an object with one of {', '.join(HOOKS)}, got {callback!r}"
            )
    return list(callbacks)


def call_hooks(callbacks: Sequence[Any], hook: str, *args: Any) -> bool:
    """Calls one hook of all callbacks (a plain function has `on_epoch_end` alone); whether one returned True."""
    stop = False
    for callback in callbacks:
        function: Callable[..., Any] | None = getattr(callback, hook, None)
        if function is None and hook == "on_epoch_end" and not any(hasattr(callback, name) for name in HOOKS):
            function = callback
        if function is not None and isinstance(answer := function(*args), (bool, np.bool_)) and answer:
            stop = True
    return stop


def check_validation(network: Network, validation_data: object) -> _core.Rows | None:
    """The validation rows, finite; an error says that they are the validation's."""
    if validation_data is None:
        return None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
        raise TypeError(f"validation_data: expected a pair (X, y), got {type(validation_data).__name__}")
    try:
        rows = network._rows(*validation_data)
        if rows.x.ndim != 2:
            raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")
        if rows.x.dtype != np.uint8 and network._first_not_finite(rows.x) is not None:
            arrays.refuse_not_finite("X", rows.x)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None
    return rows


def check_batch_size(batch_size: object) -> int | None:
    """None, or an integer of at least 1."""
    if batch_size is None or batch_size is DEFAULT_BATCH_SIZE:
        return batch_size
    return arguments.integer("batch_size", batch_size, least=1)


def rows_of_a_step(optimizer: Optimizer, batch_size: int | None, n_rows: int) -> int:
    """How many rows a step takes; all, where the optimiser needs them and nobody has asked for fewer."""
    if batch_size is None or (optimizer.full_batch and batch_size is DEFAULT_BATCH_SIZE):
        return n_rows
    if optimizer.full_batch and batch_size < n_rows:
        raise ValueError(
            f"batch_size: expected None, as {optimizer.name!r} takes all {n_rows} rows in each step, got {batch_size}"
        )
    return min(batch_size, n_rows)


def check_monitor(optimizer: Optimizer, validation: _core.Rows | None) -> None:
    """Refuses a learning rate that follows the loss of validation data where there are none."""
    if validation is None and getattr(optimizer.schedule, "monitor", None) == "val_loss":
        raise ValueError("validation_data: expected a pair (X, y), as the learning rate follows val_loss, got None")


def describe(epoch: int, epochs: int, logs: dict[str, float], rows_per_second: float) -> str:
    """The line that `verbose=1` writes."""
    figures = "  ".join(f"{name} {value:.6g}" for name, value in logs.items())
    return f"epoch {epoch + 1}/{epochs}  {figures}  {rows_per_second:,.0f} rows/s"


def fit(network: Network, X: object, y: object, optimizer: object, validation_data: object, plan: Plan) -> History:
    """Checks the data, then trains for the plan's epochs or until a callback says stop."""
    token = Token()
    try:
        network._begin_fit(token)
        network._refuse_untrainable("fit")
        rows = network._rows(X, y, plan.sample_weight, plan.class_weight)
        if rows.x.ndim != 2:
            raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")
        validation = check_validation(network, validation_data)
        network._use_optimizer(network._resolve_optimizer(optimizer))
        used = network._optimizer
        assert used is not None
        batch_size = rows_of_a_step(used, plan.batch_size, rows.n_rows)
        check_monitor(used, validation)
        order = np.empty(rows.n_rows, dtype=np.uint32) if plan.shuffle and used.shuffles else None
        history = History()
        call_hooks(plan.callbacks, "on_train_begin", {})
        logs: dict[str, float] = {}
        for epoch in range(plan.epochs):
            call_hooks(plan.callbacks, "on_epoch_begin", epoch, {})
            logs = run_epoch(network, rows, batch_size, order, validation, epoch, plan)
            history._append(logs)
            if call_hooks(plan.callbacks, "on_epoch_end", epoch, logs) or network._converged:
                break
        call_hooks(plan.callbacks, "on_train_end", logs)
    finally:
        network._end_fit(token)
    return history


def run_epoch(
    network: Network,
    rows: _core.Rows,
    batch_size: int,
    order: Any,
    validation: _core.Rows | None,
    epoch: int,
    plan: Plan,
) -> dict[str, float]:
    """One epoch and its validation; what the history gets."""
    start = time.perf_counter()
    try:
        logs = {"loss": network._epoch(rows, batch_size, order)}
    except FloatingPointError as error:
        raise FloatingPointError(f"epoch {epoch + 1} of {plan.epochs}: {error}") from None
    seconds = time.perf_counter() - start
    if validation is not None:
        loss, accuracy = network._evaluate(validation)
        logs["val_loss"] = loss
        if network.loss.classifies:
            logs["val_accuracy"] = accuracy
    network._observe(logs)
    if plan.verbose:
        print(describe(epoch, plan.epochs, logs, rows.n_rows / max(seconds, 1e-9)), file=sys.stderr, flush=True)
    return logs
