"""Callbacks: what a fit calls on its way, and the two that come with the package.

A callback is a function `f(epoch, logs)`, called at the end of each epoch, or an object with any of `HOOKS`. One that
returns True stops the training. What one adds to the `logs` of an epoch's end becomes a curve of the history. An
object may also have `set_network(network)`, called first; `state()` and `restore(state)`, by which a checkpoint keeps
what it has learnt: numbers, and vectors in the network's dtype, by name; and `stop_reason`, what `History.stopped`
says where it stops the training.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from . import arguments, metrics
from .formats import atomic

if TYPE_CHECKING:
    from numpy.typing import NDArray

    State = Mapping[str, float | NDArray[Any]]

BATCH_HOOKS = ("on_batch_begin", "on_batch_end")
HOOKS = ("on_train_begin", "on_epoch_begin", *BATCH_HOOKS, "on_epoch_end", "on_train_end")
MODES = ("auto", "min", "max")
UNITS = ("epoch", "step")


def check(callbacks: object) -> list[Any]:
    """The callbacks, each a function, a Checkpoint or an object with at least one of the hooks."""
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise TypeError(f"callbacks: expected a sequence of functions or objects with hooks, got {callbacks!r}")
    for i, callback in enumerate(callbacks):
        is_class = isinstance(callback, type)  # whose hooks want an object
        if is_class or not (callable(callback) or isinstance(callback, Checkpoint) or has_hooks(callback)):
            raise TypeError(
                f"callbacks[{i}]: expected a function, or an object with one of {', '.join(HOOKS)}, got {callback!r}"
            )
    return list(callbacks)


def has_hooks(callback: object) -> bool:
    """Whether it is an object with hooks."""
    return any(hasattr(callback, hook) for hook in HOOKS)


def call(callbacks: Sequence[Any], hook: str, *args: Any) -> str | None:
    """Calls one hook of all callbacks (a plain function has `on_epoch_end` alone); the reason of the first that said
    True, or None.
    """
    reason = None
    for callback in callbacks:
        function: Callable[..., Any] | None = getattr(callback, hook, None)
        if function is None and hook == "on_epoch_end" and callable(callback) and not has_hooks(callback):
            function = callback
        if function is not None and isinstance(answer := function(*args), (bool, np.bool_)) and answer:
            reason = reason or str(getattr(callback, "stop_reason", "callback"))
    return reason


def end_epoch(
    callbacks: Sequence[Any], epoch: int, logs: MutableMapping[str, float], note: Callable[[dict[str, float]], None]
) -> str | None:
    """Calls `on_epoch_end` of all callbacks, each of which may add figures to `logs`; `note` gets what one has added.
    The reason of the first that said True, or None.
    """
    reason = None
    for i, callback in enumerate(callbacks):
        before = dict(logs)
        try:
            stop = call([callback], "on_epoch_end", epoch, logs)
            if more := added(callback, before, logs):
                note(more)
        except BaseException:  # Ctrl-C, too: the epoch is in the history, and may be the best one
            for later in callbacks[i + 1 :]:
                if isinstance(later, EarlyStopping):
                    later.on_epoch_end(epoch, before)
            raise
        reason = reason or stop
    return reason


def added(callback: object, before: Mapping[str, float], logs: MutableMapping[str, float]) -> dict[str, float]:
    """The figures that a callback has added to `logs`, as floats there, too; refuses other changes."""
    name = getattr(callback, "__name__", type(callback).__name__)
    more = {}
    for key, value in list(logs.items()):
        if key in before and value is before[key]:
            continue
        number = figure(name, key, value)
        if key not in before:
            more[key] = logs[key] = number
        elif number != before[key] and not (math.isnan(number) and math.isnan(before[key])):
            raise ValueError(
                f"callback {name}: cannot change logs[{key!r}] from {before[key]!r} to {number!r}, as the history has "
                "it; add the figure under a name of its own"
            )
    for key in before.keys() - logs.keys():
        raise ValueError(f"callback {name}: cannot remove logs[{key!r}], which the history has")
    return more


def figure(callback: str, key: object, value: Any) -> float:
    """What a callback has put into `logs`, checked: a number under a name."""
    if not isinstance(key, str) or not key or not key.isprintable():
        raise TypeError(f"callback {callback}: expected names of figures in logs, got {key!r}")
    is_complex = isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real)
    is_complex = is_complex or getattr(getattr(value, "dtype", None), "kind", "f") == "c"
    is_number = hasattr(value, "__float__") and getattr(value, "ndim", 0) == 0 and not is_complex
    try:
        if is_number:
            return float(value)
    except (TypeError, ValueError):
        pass
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    raise TypeError(f"callback {callback}: expected a number in logs[{key!r}], got {value!r:.60}")


class EarlyStopping:
    """Stops a training when a figure has not improved for some epochs, and goes back to the best weights.

    Parameters
    ----------
    monitor : str, default "val_loss"
        A name in the history: loss, or a validation's figure.
    patience : int, default 10
        The training stops after so many epochs in a row without an improvement.
    min_delta : float, default 0.0
        Only a change by more than this is an improvement.
    mode : {"auto", "min", "max"}, default "auto"
        Whether less or more is better; "auto" knows it of loss and the package's metrics.
    cumulative : bool, default True
        Whether small gains add up: the best figure to improve on is then the last improvement's. If False it is the
        best of all, and a change by min_delta itself is an improvement, as in scikit-learn (tol, n_iter_no_change).
    restore_best_weights : bool, default True
        Whether the network has the parameters of the best epoch when the training ends, for whatever reason it does,
        an error or Ctrl-C included; its optimiser then starts anew, as after an assignment to `parameters`.
    start_from_epoch : int, default 0
        The first epoch, counted from 0, that is looked at; those before are neither the best nor waited for.

    Attributes
    ----------
    best, best_epoch
        The best figure, and its epoch, counted from 0; None before there is one. NaN is never an improvement.

    Examples
    --------
    >>> X, y = np.linspace(-1, 1, 40).reshape(-1, 1), np.linspace(-1, 1, 40) ** 2
    >>> net = fastmlp.Network([1, 8, 1], activation="tanh", seed=0)
    >>> stop = fastmlp.EarlyStopping(patience=3)
    >>> history = net.fit(X[::2], y[::2], epochs=1000, validation_data=(X[1::2], y[1::2]), callbacks=[stop])
    >>> net.evaluate(X[1::2], y[1::2])["loss"] == min(history.val_loss) == stop.best
    True
    """

    stop_reason = "early_stopping"

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        patience: SupportsIndex = 10,
        min_delta: SupportsFloat = 0.0,
        mode: str = "auto",
        cumulative: bool = True,
        restore_best_weights: bool = True,
        start_from_epoch: SupportsIndex = 0,
    ) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected the name of a figure in the history, got {monitor!r}")
        self.monitor = monitor
        self.patience = arguments.integer("patience", patience, least=1)
        self.min_delta = arguments.real("min_delta", min_delta, least=0.0)
        self.mode = arguments.name("mode", mode, MODES)
        self.cumulative = arguments.flag("cumulative", cumulative)
        self.restore_best_weights = arguments.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = arguments.integer("start_from_epoch", start_from_epoch, least=0)
        name = monitor.removeprefix("val_")
        if self.mode == "auto" and name != "loss" and name not in metrics.METRICS:
            raise ValueError(f"mode: expected 'min' or 'max' for a metric of your own, {monitor!r}, got 'auto'")
        self._sign = -1.0 if self.mode == "max" or (self.mode == "auto" and name in metrics.UP) else 1.0
        self._network: Any = None
        self._begin()

    def __repr__(self) -> str:
        return (
            f"EarlyStopping({self.monitor!r}, patience={self.patience}, min_delta={self.min_delta}, "
            f"mode={self.mode!r}, cumulative={self.cumulative}, restore_best_weights={self.restore_best_weights}, "
            f"start_from_epoch={self.start_from_epoch})"
        )

    def _begin(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._wait = 0
        self._weights: NDArray[Any] | None = None

    def set_network(self, network: Any) -> None:
        """Whose weights are kept; called by `fit`."""
        self._network = network

    def check_monitor(self, names: Sequence[str]) -> None:
        """Refuses to monitor what the training will not report; called by `fit`."""
        if self.monitor not in names:
            raise ValueError(f"monitor: expected one of {', '.join(map(repr, names))}, got {self.monitor!r}")

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Forget the training before."""
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Whether it is time to stop."""
        self.check_monitor(list(logs))
        if epoch < self.start_from_epoch:
            return False
        value = self._sign * logs[self.monitor]
        best = math.inf if self.best is None else self._sign * self.best
        wanted = best - self.min_delta
        improves = value < wanted if self.cumulative else value <= wanted
        self._wait = 0 if improves else self._wait + 1
        if improves if self.cumulative else value < best:
            self.best, self.best_epoch = logs[self.monitor], epoch
            if self.restore_best_weights:
                self._weights = np.array(self._network.parameters)
        return self._wait >= self.patience

    def on_train_error(self) -> None:
        """The same as at the end, where the training ends by an error or Ctrl-C; called by `fit`."""
        self.on_train_end({})

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Go back to the best weights, unless the network has them."""
        if self._weights is not None and not np.array_equal(self._weights, self._network.parameters):
            self._network._put_parameters(self._weights)
        self._weights = None

    def state(self) -> State:
        """What a checkpoint keeps."""
        known = {"best": self.best, "best_epoch": self.best_epoch, "weights": self._weights}
        return {"wait": self._wait, **{name: value for name, value in known.items() if value is not None}}

    def restore(self, state: State) -> None:
        """Goes on from what `state` gave; a ValueError where nothing can."""
        given = {name: value for name, value in state.items() if name != "weights"}
        weights, counts = state.get("weights"), [given.get(name, 0.0) for name in ("wait", "best_epoch")]
        known = [{"wait"}, {"wait", "best", "best_epoch"}]
        fits = set(given) in known and all(isinstance(each, (int, float)) for each in given.values())
        if not fits or not all(0 <= n < 2**53 and n == int(n) for n in counts) or isinstance(weights, (int, float)):
            raise ValueError(f"state: expected that of {self!r}, got {dict(state)!r:.200}")
        numbers = {name: float(value) for name, value in given.items()}
        self._wait, self.best = int(numbers["wait"]), numbers.get("best")
        self.best_epoch = int(numbers["best_epoch"]) if "best" in numbers else None
        self._weights = None if weights is None else np.array(weights)


class Checkpoint:
    """Writes a file with all that a training is made of, from which ``fit(..., resume=path)`` continues bit for bit.

    The file has the model (`fastmlp.load` reads it), the optimiser's state, the random state, the epoch and the place
    in it, the history and the callbacks' states. It is written to a temporary file in the same folder, synced, and
    renamed over the path, and the folder synced: a crash at any moment, a full disk or a sync that fails leaves the
    previous file, or the new one, whole. An error while writing ends the fit and is raised; it says so where the new
    file is already in place. A state from which no training can go on (an optimiser's that has overflowed, or what a
    callback's `state` gives beside numbers and vectors like the parameters) is an error, too, and is not written.

    Parameters
    ----------
    path : path-like
        Usually ``*.safetensors``; an existing file is replaced.
    every : int, default 1
        Epochs or steps from one file to the next. When the training ends, one more is written.
    unit : {"epoch", "step"}, default "epoch"

    Examples
    --------
    >>> X, y = np.linspace(-1, 1, 40).reshape(-1, 1), np.linspace(-1, 1, 40) ** 2
    >>> net, again = (fastmlp.Network([1, 8, 1], seed=0) for _ in range(2))
    >>> history = net.fit(X, y, epochs=3, callbacks=[fastmlp.Checkpoint("run.safetensors")])
    >>> history = net.fit(X, y, epochs=2)  # goes on: five epochs in all
    >>> history = again.fit(X, y, epochs=5, resume="run.safetensors")  # from the third
    >>> history.epochs, np.array_equal(net.parameters, again.parameters)
    (5, True)
    """

    def __init__(self, path: atomic.Path, *, every: SupportsIndex = 1, unit: str = "epoch") -> None:
        atomic.name_of(path)
        self.path = os.fspath(path)
        self.every = arguments.integer("every", every, least=1)
        self.unit = arguments.name("unit", unit, UNITS)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, every={self.every}, unit={self.unit!r})"
