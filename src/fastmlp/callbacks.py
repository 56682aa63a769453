"""Callbacks, which `fit` calls while it trains; the package has EarlyStopping, Checkpoint and OptunaPruning.

A callback is a function `f(epoch, logs)`, which is called at the end of each epoch, or an object with any of the
methods in `HOOKS`. A callback that returns True stops the training. Numbers that it adds to the `logs` at the end of an
epoch become lists of the history. An object may also have:

- `set_network(network)`, which `fit` calls first;
- `state()` and `restore(state)`, with which a checkpoint saves and restores its state: numbers, and vectors in the
  network's dtype, by name;
- `stop_reason`, which becomes `History.stopped` if it stops the training.
"""

from __future__ import annotations

import math
import numbers
import os
import weakref
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
    """Return the callbacks as a list, after a check of each: a function, a Checkpoint or an object with a hook."""
    if not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise TypeError(f"callbacks: expected a sequence of functions or objects with hooks, got {callbacks!r}")
    for i, callback in enumerate(callbacks):
        is_class = isinstance(callback, type)  # a class has the hooks as attributes, but only its objects can be called
        if is_class or not (callable(callback) or isinstance(callback, Checkpoint) or has_hooks(callback)):
            raise TypeError(
                f"callbacks[{i}]: expected a function, or an object with one of {', '.join(HOOKS)}, got {callback!r}"
            )
    return list(callbacks)


def has_hooks(callback: object) -> bool:
    """Return whether the object has any of the hooks."""
    return any(hasattr(callback, hook) for hook in HOOKS)


def call(callbacks: Sequence[Any], hook: str, *args: Any) -> str | None:
    """Call one hook of all callbacks; a function counts as the hook `on_epoch_end`.

    Returns the `stop_reason` of the first callback that returned True, or None if none did.
    """
    reason = None
    for callback in callbacks:
        function: Callable[..., Any] | None = getattr(callback, hook, None)
        if function is None and hook == "on_epoch_end" and callable(callback) and not has_hooks(callback):
            function = callback
        if function is not None and isinstance(result := function(*args), (bool, np.bool_)) and result:
            reason = reason or str(getattr(callback, "stop_reason", "callback"))
    return reason


def end_epoch(
    callbacks: Sequence[Any], epoch: int, logs: MutableMapping[str, float], record: Callable[[dict[str, float]], None]
) -> str | None:
    """Call `on_epoch_end` of all callbacks, each of which may add numbers to `logs`.

    `record` is called with the numbers that a callback has added. Returns the `stop_reason` of the first callback that
    returned True, or None if none did.
    """
    reason = None
    for i, callback in enumerate(callbacks):
        before = dict(logs)
        try:
            stop = call([callback], "on_epoch_end", epoch, logs)
            if new := added(callback, before, logs):
                record(new)
        except BaseException:  # including Ctrl-C: the epoch is in the history, so EarlyStopping has to see it, too
            for later in callbacks[i + 1 :]:
                if isinstance(later, EarlyStopping):
                    later.on_epoch_end(epoch, before)
            raise
        reason = reason or stop
    return reason


def added(callback: object, before: Mapping[str, float], logs: MutableMapping[str, float]) -> dict[str, float]:
    """Return the numbers that a callback has added to `logs`, and convert them to floats there.

    Raises `ValueError` if the callback has changed or removed a number that was in `logs` before.
    """
    name = getattr(callback, "__name__", type(callback).__name__)
    new = {}
    for key, value in list(logs.items()):
        if key in before and value is before[key]:
            continue
        number = checked_number(name, key, value)
        if key not in before:
            new[key] = logs[key] = number
        elif number != before[key] and not (math.isnan(number) and math.isnan(before[key])):
            raise ValueError(
                f"callback {name}: cannot change logs[{key!r}] from {before[key]!r} to {number!r}, as the history has "
                "it; add the figure under a name of its own"
            )
    for key in before.keys() - logs.keys():
        raise ValueError(f"callback {name}: cannot remove logs[{key!r}], which the history has")
    return new


def checked_number(callback: str, key: object, value: Any) -> float:
    """Return the value that a callback has added to `logs` as a float, after a check of the key and the value."""
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


def better(monitor: str) -> str | None:
    """Return "min" or "max", whichever is better of that number in a history; None for a metric of the user's own."""
    name = monitor.removeprefix("val_")
    if name in metrics.HIGHER_IS_BETTER:
        return "max"
    return "min" if name == "loss" or name in metrics.METRICS else None


class Monitor:
    """What callbacks share that monitor a number in the history."""

    def __init__(self, monitor: str) -> None:
        if not isinstance(monitor, str):
            raise TypeError(f"monitor: expected the name of a figure in the history, got {monitor!r}")
        self.monitor = monitor

    def check_monitor(self, names: Sequence[str]) -> None:
        """Raise `ValueError` if the monitored name is not one that the training reports. `fit` calls this method."""
        if self.monitor not in names:
            raise ValueError(f"monitor: expected one of {', '.join(map(repr, names))}, got {self.monitor!r}")


class EarlyStopping(Monitor):
    """Stop training when a monitored number has not improved for some epochs, and restore the best parameters.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The name in the history of the number to monitor, such as "loss" or "val_accuracy".
    patience : int, default 10
        Number of epochs in a row without an improvement after which training stops; at least 1.
    min_delta : float, default 0.0
        Only a change by more than this is an improvement; at least 0.
    mode : {"auto", "min", "max"}, default "auto"
        Whether a lower ("min") or a higher ("max") number is better. "auto" chooses it for loss and the package's
        metrics.
    cumulative : bool, default True
        Whether small gains add up. If True, a number is compared with that of the last improvement. If False, it is
        compared with the best number of all epochs, and a change by exactly min_delta is an improvement, as in
        scikit-learn (tol, n_iter_no_change).
    restore_best_weights : bool, default True
        Whether the network gets the parameters of the best epoch when training ends, also by an error or Ctrl-C. Its
        optimiser then starts anew, as after an assignment to `parameters`.
    start_from_epoch : int, default 0
        The first epoch, counted from 0, that counts. Earlier epochs cannot be the best one and do not add to the epochs
        without improvement.

    Attributes
    ----------
    best : float or None
        The best number so far; None before there is one. NaN is never an improvement.
    best_epoch : int or None
        The epoch of the best number, counted from 0.

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
        super().__init__(monitor)
        self.patience = arguments.integer("patience", patience, minimum=1)
        self.min_delta = arguments.real("min_delta", min_delta, minimum=0.0)
        self.mode = arguments.name("mode", mode, MODES)
        self.cumulative = arguments.flag("cumulative", cumulative)
        self.restore_best_weights = arguments.flag("restore_best_weights", restore_best_weights)
        self.start_from_epoch = arguments.integer("start_from_epoch", start_from_epoch, minimum=0)
        chosen = better(monitor) if self.mode == "auto" else self.mode
        if chosen is None:
            raise ValueError(f"mode: expected 'min' or 'max' for a metric of your own, {monitor!r}, got 'auto'")
        self._sign = -1.0 if chosen == "max" else 1.0
        self._network: Any = None
        self._reset()

    def __repr__(self) -> str:
        return (
            f"EarlyStopping({self.monitor!r}, patience={self.patience}, min_delta={self.min_delta}, "
            f"mode={self.mode!r}, cumulative={self.cumulative}, restore_best_weights={self.restore_best_weights}, "
            f"start_from_epoch={self.start_from_epoch})"
        )

    def _reset(self) -> None:
        """Set the state that a training begins with."""
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._wait = 0
        self._weights: NDArray[Any] | None = None

    def set_network(self, network: Any) -> None:
        """Set the network whose parameters are to be restored. `fit` calls this method."""
        self._network = network

    def on_train_begin(self, logs: Mapping[str, float]) -> None:
        """Reset the state, so that nothing of an earlier training counts."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> bool:
        """Take the numbers of an epoch into account; return whether training should stop."""
        self.check_monitor(list(logs))
        if epoch < self.start_from_epoch:
            return False
        value = self._sign * logs[self.monitor]
        best = math.inf if self.best is None else self._sign * self.best
        threshold = best - self.min_delta
        improves = value < threshold if self.cumulative else value <= threshold
        self._wait = 0 if improves else self._wait + 1
        if improves if self.cumulative else value < best:
            self.best, self.best_epoch = logs[self.monitor], epoch
            if self.restore_best_weights:
                self._weights = np.array(self._network.parameters)
        return self._wait >= self.patience

    def on_train_error(self) -> None:
        """Restore the best parameters, as at a regular end. `fit` calls this method after an error or Ctrl-C."""
        self.on_train_end({})

    def on_train_end(self, logs: Mapping[str, float]) -> None:
        """Restore the best parameters, unless the network already has them."""
        if self._weights is not None and not np.array_equal(self._weights, self._network.parameters):
            self._network._publish_parameters(self._weights)
        self._weights = None

    def state(self) -> State:
        """Return the state for a checkpoint: numbers and the best parameters, by name."""
        optional = {"best": self.best, "best_epoch": self.best_epoch, "weights": self._weights}
        return {"wait": self._wait, **{name: value for name, value in optional.items() if value is not None}}

    def restore(self, state: State) -> None:
        """Restore a state that the method `state` returned; `ValueError` if it is no such state."""
        given = {name: value for name, value in state.items() if name != "weights"}
        weights, counts = state.get("weights"), [given.get(name, 0.0) for name in ("wait", "best_epoch")]
        valid = [{"wait"}, {"wait", "best", "best_epoch"}]
        fits = set(given) in valid and all(isinstance(each, (int, float)) for each in given.values())
        if not fits or not all(0 <= n < 2**53 and n == int(n) for n in counts) or isinstance(weights, (int, float)):
            raise ValueError(f"state: expected a state of {self!r}, got {dict(state)!r:.200}")
        numbers = {name: float(value) for name, value in given.items()}
        self._wait, self.best = int(numbers["wait"]), numbers.get("best")
        self.best_epoch = int(numbers["best_epoch"]) if "best" in numbers else None
        self._weights = None if weights is None else np.array(weights)


class Checkpoint:
    """Write checkpoints: files with the whole state of a training, from which ``fit(..., resume=path)`` continues.

    A training that is continued from a checkpoint gives the same results, to the bit, as one without interruption. The
    file has the model (`fastmlp.load` reads it), the optimiser's state, the random state, the epoch and the position in
    it, the history and the callbacks' states.

    The state is written to a temporary file in the same folder, which is synced and then renamed to the path; then the
    folder is synced. After a crash at any moment, a full disk or a failed sync, the previous file or the new one is
    there, complete. An error while writing ends the fit and is raised; its message says so if the new file is already
    in place. A state from which training cannot continue raises an error too, and is not written: numbers of an
    optimiser that have overflowed, or a callback's `state` with values other than numbers and vectors like the
    parameters.

    Parameters
    ----------
    path : path-like
        The file to write, usually ``*.safetensors``; an existing file is replaced.
    every : int, default 1
        Number of epochs or steps from one checkpoint to the next. Another one is written when the training ends.
    unit : {"epoch", "step"}, default "epoch"
        What `every` counts.

    Examples
    --------
    >>> X, y = np.linspace(-1, 1, 40).reshape(-1, 1), np.linspace(-1, 1, 40) ** 2
    >>> net, again = (fastmlp.Network([1, 8, 1], seed=0) for _ in range(2))
    >>> history = net.fit(X, y, epochs=3, callbacks=[fastmlp.Checkpoint("run.safetensors")])
    >>> history = net.fit(X, y, epochs=2)  # continues the training: five epochs in all
    >>> history = again.fit(X, y, epochs=5, resume="run.safetensors")  # continues after the third epoch
    >>> history.epochs, np.array_equal(net.parameters, again.parameters)
    (5, True)
    """

    def __init__(self, path: atomic.Path, *, every: SupportsIndex = 1, unit: str = "epoch") -> None:
        atomic.name_of(path)
        self.path = os.fspath(path)
        self.every = arguments.integer("every", every, minimum=1)
        self.unit = arguments.name("unit", unit, UNITS)

    def __repr__(self) -> str:
        return f"Checkpoint({self.path!r}, every={self.every}, unit={self.unit!r})"


_REPORTED: weakref.WeakValueDictionary[int, OptunaPruning] = weakref.WeakValueDictionary()  # by the id of its trial


class OptunaPruning(Monitor):
    """Report a monitored number of each epoch to a trial of Optuna, and end the training if Optuna prunes the trial.

    After each epoch the number is reported with ``trial.report(value, step=epoch)``; steps count from 0. If
    ``trial.should_prune()`` is then true, `optuna.TrialPruned` is raised, by which the study marks the trial as pruned.
    The network keeps what it has learnt, and `EarlyStopping` restores its best parameters.

    A trial has one value for each step, so it is given to one fit alone. A copy is the callback itself, so that
    an estimator that scikit-learn clones reports to the same trial. `fit_many` takes one callback with a trial of its
    own for each network.

    Parameters
    ----------
    trial : optuna.Trial
        A trial of a study with a single objective.
    monitor : str, default "val_loss"
        The name in the history of the number to report, such as "loss" or "val_accuracy".

    Raises
    ------
    TypeError
        If the trial has no methods `report` and `should_prune`.
    ValueError
        If the study maximises and a lower number is better, or the other way round, as its pruner would then prune the
        best trials; for metrics of your own this is not known. If the trial has a value or another callback already.
        `fit` raises it if it does not report the number, or if another fit has reported by this callback before.
    NotImplementedError
        If the study has several objectives, for which Optuna has no pruning.
    ModuleNotFoundError
        If Optuna is not installed (the extra `optuna`).

    Examples
    --------
    >>> import optuna
    >>> X, y = np.linspace(-1, 1, 40).reshape(-1, 1), np.linspace(-1, 1, 40) ** 2
    >>> def objective(trial):
    ...     rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    ...     net = fastmlp.Network([1, 8, 1], activation="tanh", seed=0)
    ...     pruning = fastmlp.callbacks.OptunaPruning(trial)
    ...     validation = X[1::2], y[1::2]
    ...     history = net.fit(
    ...         X[::2], y[::2], epochs=50, optimizer=fastmlp.Adam(rate), validation_data=validation, callbacks=[pruning]
    ...     )
    ...     return history.val_loss[-1]
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=optuna.samplers.RandomSampler(0), pruner=optuna.pruners.MedianPruner(3))
    >>> study.optimize(objective, n_trials=10)
    >>> {trial.state.name for trial in study.trials} == {"COMPLETE", "PRUNED"}
    True
    >>> all(len(trial.intermediate_values) < 50 for trial in study.get_trials(states=[optuna.trial.TrialState.PRUNED]))
    True
    """

    def __init__(self, trial: Any, monitor: str = "val_loss") -> None:
        super().__init__(monitor)
        has_methods = all(callable(getattr(trial, name, None)) for name in ("report", "should_prune"))
        if isinstance(trial, type) or not has_methods:
            raise TypeError(
                f"trial: expected a trial of Optuna, with methods report and should_prune, got {trial!r:.80}; Optuna "
                "passes one to the objective, and study.ask() returns one"
            )
        try:
            from optuna import TrialPruned
        except ModuleNotFoundError as error:
            if error.name != "optuna":
                raise
            raise ModuleNotFoundError("OptunaPruning needs Optuna: pip install optuna", name="optuna") from error
        self._check_directions([each.name for each in getattr(getattr(trial, "study", None), "directions", [])])
        self.trial = trial
        self._check_unused()
        self._pruned = TrialPruned
        self._n_reported = 0  # the number of epochs up to the last one reported

    def _check_unused(self) -> None:
        """Refuse a trial that has a value already, or another callback: it reports one training."""
        study: Any = getattr(self.trial, "study", None)
        reported = {}
        if hasattr(study, "get_trials"):
            reported = study.get_trials(deepcopy=False)[self.trial.number].intermediate_values
        if reported or id(self.trial) in _REPORTED:
            raise ValueError(
                "trial: expected one that no other fit reports to, got one that has a callback or values already; for "
                "folds, call trial.report(mean, step=fold) after each of them instead"
            )
        _REPORTED[id(self.trial)] = self  # it keeps the trial alive, so that no other object gets its id

    def _check_directions(self, directions: Sequence[str]) -> None:
        """Refuse a study of several objectives, or one that takes the worse of two monitored numbers for the better."""
        if len(directions) > 1:
            raise NotImplementedError(
                f"trial: expected one of a study with one objective, as Optuna prunes no others, got one with "
                f"{len(directions)} directions; leave the callback out"
            )
        mode = better(self.monitor)
        if directions and mode is not None and not directions[0].lower().startswith(mode):
            which, other, direction = (
                ("lower", "higher", "minimize") if mode == "min" else ("higher", "lower", "maximize")
            )
            raise ValueError(
                f"monitor: {self.monitor!r} is better the {which} it is, but the study of the trial has "
                f"direction={directions[0].lower()!r}; expected create_study(direction={direction!r}), or a number to "
                f"monitor that is better the {other} it is"
            )

    def __repr__(self) -> str:
        return f"OptunaPruning({self.trial!r:.60}, {self.monitor!r})"

    def __copy__(self) -> OptunaPruning:
        return self

    def __deepcopy__(self, memo: object) -> OptunaPruning:
        return self  # a copy of the trial would have a copy of its study, which nobody reads

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Report the number of the epoch; raise `optuna.TrialPruned` if the trial is to be pruned."""
        self.check_monitor(list(logs))
        if epoch < self._n_reported:
            raise ValueError(
                f"trial: expected one that no other fit has reported to, got one that has a value for epoch "
                f"{epoch} already; for folds, call trial.report(mean, step=fold) after each of them instead"
            )
        value = logs[self.monitor]
        self.trial.report(value, step=epoch)
        self._n_reported = epoch + 1
        if self.trial.should_prune():
            raise self._pruned(f"{self.monitor} was {value:.6g} after epoch {epoch + 1}.")
