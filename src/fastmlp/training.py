"""The loop of `fit`: epochs, validation, callbacks, checkpoints, history. An epoch is a compiled call without the GIL.

Every argument is checked before the first step. An epoch publishes its parameters when it ends; whatever is raised
in between (a callback's error, a loss that is not finite, Ctrl-C) leaves the network usable and the loop closed.
An epoch is run in stretches where somebody wants to look in between: a hook of batches, a checkpoint by steps, a bar
that moves. The bits are those of a whole one.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays, callbacks, checkpoint, durable, inputs, metrics
from .arguments import flag, integer, real
from .callbacks import Checkpoint, EarlyStopping
from .callbacks import check as check_callbacks
from .container import FormatError
from .durable import Path
from .frozen import frozen
from .history import History
from .metrics import resolve as resolve_metrics
from .progress import Display, Pace, Progress, open_display
from .regularization import Regularization
from .regularization import resolve as resolve_regularization

if TYPE_CHECKING:
    from .network import Network
    from .optimizers import Optimizer
    from .schema import Schema

AUTO = "auto"  # to resume from the file of the Checkpoint, if it is there


class Default(int):
    """A default that can be told from the same number given by the caller."""


DEFAULT_BATCH_SIZE = Default(32)


class Token:
    """Stands for one fit: Ctrl-C at any point ends this one and no other, at the latest when its token is gone."""

    __slots__ = ("__weakref__",)


@frozen
class Plan:
    """The checked arguments of a fit that are not data."""

    epochs: int
    batch_size: int | None
    shuffle: bool | str
    validation_split: float | None
    metrics: Sequence[metrics.Metric]
    callbacks: Sequence[Any]
    max_time: float | None
    resume: Path | None
    verbose: int
    sample_weight: object
    class_weight: object
    regularization: Regularization | None


def check_plan(
    *,
    epochs: object,
    batch_size: object,
    shuffle: object,
    validation_split: object,
    metrics: object,
    callbacks: object,
    max_time: object,
    resume: Any,
    verbose: object,
    sample_weight: object,
    class_weight: object,
    regularization: object,
) -> Plan:
    """The arguments of `fit` that are not data, checked; weights are checked beside the rows."""
    checked_callbacks = check_callbacks(callbacks)
    check_resume(resume, checked_callbacks)
    share = None if validation_split is None else real("validation_split", validation_split, above=0.0, below=1.0)
    return Plan(
        epochs=integer("epochs", epochs, least=1),
        batch_size=check_batch_size(batch_size),
        shuffle=shuffle if isinstance(shuffle, str) and shuffle in ("blocks", "rows") else flag("shuffle", shuffle),
        validation_split=share,
        metrics=resolve_metrics(metrics),
        callbacks=checked_callbacks,
        max_time=None if max_time is None else real("max_time", max_time, above=0.0),
        resume=resume,
        verbose=integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, least=0),
        sample_weight=sample_weight,
        class_weight=class_weight,
        regularization=resolve_regularization(regularization),
    )


def fit(network: Network, X: object, y: object, optimizer: object, validation_data: object, plan: Plan) -> History:
    """Checks the data, then trains for the plan's epochs or until something says stop."""
    token = Token()
    try:
        network._begin_fit(token)
        network._refuse_untrainable("fit")
        if y is None:
            from . import batches  # which builds on this module

            return batches.fit(network, X, validation_data, plan, network._resolve_optimizer(optimizer))
        known = network._learn_schema(X, y, plan.validation_split)
        rows = network._rows(X, y, plan.sample_weight, often=True, known=known)
        if rows.x.ndim != 2:
            raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")
        rows, validation = divide(network, rows, check_validation(network, validation_data, known), plan, known)
        network._learn_columns(known, rows)
        return Loop(network, rows, validation, plan, network._resolve_optimizer(optimizer)).train()
    finally:
        network._end_fit(token)


# ----------------------------------------------------------------------------------------------------------------- data


def divide(
    network: Network, rows: _core.Rows, validation: _core.Rows | None, plan: Plan, known: Schema
) -> tuple[_core.Rows, _core.Rows | None]:
    """The rows to train on, and those to validate on if there are any."""
    if plan.validation_split is not None and validation is not None:
        raise ValueError("validation_split: expected None beside validation_data, got both")
    if plan.validation_split is not None:
        whole, (rows, validation) = rows, split(rows, plan.validation_split)
        if inputs.first_not_finite(validation.x, network.dtype) is not None:
            refuse_not_finite(network, "X", whole)  # with the row that it is in
    if plan.metrics and validation is None:
        raise ValueError("metrics: expected validation_data or validation_split to go with them, got neither")
    if plan.class_weight is not None:  # of the rows that are trained on
        rows = network._weighted(rows, rows.weights, plan.class_weight, known)
    return rows, validation


def split(rows: _core.Rows, share: float) -> tuple[_core.Rows, _core.Rows]:
    """All rows but the last share of them, rounded up to whole rows, and those."""
    n = rows_to_train_on(rows.n_rows, share)
    if not 0 < n < rows.n_rows:
        raise ValueError(
            f"validation_split: expected a share that leaves rows on both sides, got {share} of {rows.n_rows}"
        )
    parts = []
    for part in (slice(None, n), slice(n, None)):
        y = rows.values if rows.values is not None else rows.labels
        assert y is not None
        values, labels = (y[part], None) if rows.values is not None else (None, y[part])
        weights = None if rows.weights is None else rows.weights[part]
        parts.append(_core.Rows(rows.x[part], values, labels, weights))
        if not parts[-1].total_weight > 0:
            raise ValueError(
                "sample_weight: expected weights above 0 on both sides of validation_split, got only zeros"
            )
    return parts[0], parts[1]


def rows_to_train_on(n_rows: int, share: float) -> int:
    """How many rows are left before the last share of them."""
    return math.floor(n_rows * (1 - share) + 1e-9)  # 10 * (1 - 0.9) is 0.9999999999999998


def check_validation(network: Network, validation_data: object, known: Schema | None) -> _core.Rows | None:
    """The validation rows, finite, of that schema (None: the network's); an error says that they are the
    validation's.
    """
    if validation_data is None:
        return None
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        raise TypeError(
            f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(validation_data).__name__}"
        )
    try:
        rows = network._rows(*validation_data, often=True, known=known)
        if rows.x.ndim != 2:
            raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")
        refuse_not_finite(network, "X", rows)
    except (ValueError, TypeError) as error:
        raise type(error)(f"validation_data: {error}") from None
    return rows


def check_batch_size(batch_size: object) -> int | None:
    """None, or an integer of at least 1."""
    if batch_size is None or batch_size is DEFAULT_BATCH_SIZE:
        return batch_size
    return integer("batch_size", batch_size, least=1)


def check_resume(resume: Any, callbacks: Sequence[Any]) -> None:
    """None, a path, or "auto" beside a file of checkpoints."""
    if resume is not None:
        durable.name_of(resume, "resume")
    files = {os.path.realpath(each.path) for each in callbacks if isinstance(each, Checkpoint)}
    if is_auto(resume) and len(files) != 1:
        got = "none" if not files else f"those of {len(files)} files"
        what = "add one" if not files else "give the path of one of them as resume"
        raise ValueError(
            f"resume: 'auto' goes on from the file of the Checkpoint, expected one in callbacks, got {got}; {what}"
        )


def is_auto(resume: object) -> bool:
    """Whether it is the word; a file of that name is './auto' or a path object."""
    return isinstance(resume, str) and resume == AUTO


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


def refuse_not_finite(network: Network, argument: str, rows: _core.Rows) -> None:
    """An error if a number in the inputs is NaN or infinite; training looks while it gathers, validation does not."""
    if inputs.first_not_finite(rows.x, network.dtype) is not None:
        arrays.refuse_not_finite(argument, rows.x, network.dtype)


# ------------------------------------------------------------------------------------------------------------- the loop


class Loop:
    """One fit on its way.

    Parameters
    ----------
    network : Network
    rows, validation : Rows
        To train on; to evaluate after each epoch, or None.
    plan : Plan
    optimizer : Optimizer or None
        None goes on with the last one.
    """

    def __init__(
        self,
        network: Network,
        rows: Any,
        validation: _core.Rows | None,
        plan: Plan,
        optimizer: Optimizer | None,
    ) -> None:
        self.network, self.rows, self.validation, self.plan = network, rows, validation, plan
        used = optimizer or network._optimizer
        assert used is not None
        network._check_regularization(plan.regularization, used)
        check_monitor(used, validation)
        self.optimizer, self.used = optimizer, used
        self.take_rows()
        self.checkpoints = [each for each in plan.callbacks if isinstance(each, Checkpoint)]
        self.callbacks = [each for each in plan.callbacks if not isinstance(each, Checkpoint)]
        self.stateful = [each for each in self.callbacks if hasattr(each, "state") and hasattr(each, "restore")]
        self.by_steps = [each for each in self.checkpoints if each.unit == "step"]
        self.every_batch = any(hasattr(each, hook) for each in self.callbacks for hook in callbacks.BATCH_HOOKS)
        self.deadline = math.inf if plan.max_time is None else time.perf_counter() + plan.max_time
        self.names = ["loss"]
        if validation is not None:
            self.names += [f"val_{name}" for name in metrics.names(network, plan.metrics)]
        self.settings: dict[str, Any] = {}
        self.history = History()
        self.stopped: str | None = None
        # Whole epochs; of the epoch at hand the rows that are done, their loss, and the random state before it.
        self.epoch, self.position, self.loss, self.random_state = 0, 0, 0.0, network._random_state
        self.weighed = 0, 0.0  # so many of those rows, and their weight
        self.display, self.pace = Display(plan.epochs), Pace()

    def take_rows(self) -> None:
        """How the rows make steps, and where epochs draw their order."""
        self.n_rows: int = self.rows.n_rows
        self.batch_size: int = rows_of_a_step(self.used, self.plan.batch_size, self.n_rows)
        mapped = inputs.is_mapped(self.rows.x)
        self.order: Any = None
        if not (self.plan.shuffle and self.used.shuffles):
            return
        if self.plan.shuffle == "blocks" or (mapped and self.plan.shuffle != "rows"):
            self.order = _core.BlockOrder(self.n_rows, self.network.sizes[0], self.batch_size, mapped)
        else:
            self.order = np.empty(self.n_rows, dtype=np.uint32)

    @property
    def shuffles(self) -> bool | str:
        """The shuffle that is used where True may stand for two."""
        return "blocks" if isinstance(self.order, _core.BlockOrder) else bool(self.plan.shuffle)

    def train(self) -> History:
        """`run`; an exception that ends it has the history of the epochs before."""
        try:
            return self.run()
        except BaseException as error:
            self.history._end_by(error)
            raise

    def run(self) -> History:
        """The training from its beginning, or from where it was, to its end."""
        for callback in self.callbacks:
            if isinstance(callback, EarlyStopping):
                callback.check_monitor(self.names)
            if hasattr(callback, "set_network"):
                callback.set_network(self.network)
        self.begin()
        logs = {name: values[-1] for name, values in self.history.items() if values}
        try:
            with self.open_display():
                while self.stopped is None:
                    logs = self.run_epoch() or logs
            callbacks.call(self.callbacks, "on_train_end", logs)
        except BaseException:  # Ctrl-C, too
            for callback in self.callbacks:
                if isinstance(callback, EarlyStopping):
                    callback.on_train_error()
            raise
        self.history._stopped = self.stopped
        return self.history

    def open_display(self) -> Display:
        """What shows this fit: that of a Progress among the callbacks, or what `verbose` asks for."""
        own = [each.display for each in self.callbacks if isinstance(each, Progress)]
        self.display = own[0] if own else open_display(self.plan.verbose, self.plan.epochs)
        self.display.begin(self.epoch)
        return self.display

    def begin(self) -> None:
        """The optimiser, callbacks and place to begin with; what a checkpoint says if there is one to go on from."""
        plan = self.plan
        for each in self.checkpoints:
            durable.check_place(each.path)
        if self.checkpoints or plan.resume is not None:
            self.settings = checkpoint.settings(
                self.used,
                plan.regularization,
                self.rows,
                self.validation,
                self.stateful,
                batch_size=self.batch_size,
                shuffle=self.shuffles,
                metrics=self.names,
            )
        resumed = self.read_checkpoint()
        if resumed is None:
            self.network._use_optimizer(self.optimizer, plan.regularization)
            self.random_state = self.network._random_state
        callbacks.call(self.callbacks, "on_train_begin", {})
        if resumed is not None:
            resumed.restart(self.network, self.stateful)
            at = resumed.at
            self.epoch, self.position, self.loss, self.stopped = at.epoch, at.position, at.loss, at.stopped
            self.history.update(at.history)
            self.random_state = self.network._random_state
        self.network._history = self.history

    def read_checkpoint(self) -> checkpoint.Resumable | None:
        """What there is to go on from; of "auto" the file of the checkpoint, or None where it is not there yet."""
        path, auto = self.plan.resume, is_auto(self.plan.resume)
        if auto:
            path = self.checkpoints[0].path
            try:
                os.stat(path)
            except FileNotFoundError:
                return None
        if path is None:
            return None
        try:
            how = self.settings, self.n_rows, self.used, self.plan.regularization
            return checkpoint.read(path, self.network, *how)
        except ValueError as error:
            if not auto:
                raise
            kind = FormatError if isinstance(error, FormatError) else ValueError
            advice = "to begin anew, remove it or have the Checkpoint write to another file"
            raise kind(f"{error}; resume='auto' has found {path}: {advice}") from None

    # -- an epoch -----------------------------------------------------------------------------------------------------

    def run_epoch(self) -> dict[str, float] | None:
        """One epoch, or what is left of it and of the time; what the history gets, or None where nothing was left."""
        if self.epoch >= self.plan.epochs or time.perf_counter() >= self.deadline:
            self.stopped = "epochs" if self.epoch >= self.plan.epochs else "max_time"
            self.write_checkpoints(self.checkpoints)
            return None
        callbacks.call(self.callbacks, "on_epoch_begin", self.epoch, {})
        start, first = time.perf_counter(), self.position
        self.train_rows()
        rows_per_second = (self.position - first) / max(time.perf_counter() - start, 1e-9)
        whole = self.position == self.n_rows
        if not whole:
            self.write_checkpoints(self.checkpoints)
            self.network._end_epoch()
        if self.position == 0:
            return None
        logs = {"loss": self.mean_loss}
        if self.validation is not None:
            figures = metrics.evaluate(self.network, self.validation, self.plan.metrics)
            logs.update({f"val_{name}": value for name, value in figures.items()})
        self.history._append(logs)
        self.network._observe(logs)
        try:
            stop = callbacks.end_epoch(self.callbacks, self.epoch, logs, self.history._note)
            self.stopped = stop or self.stopped
        finally:
            self.display.show(self.epoch, logs, rows_per_second)
        if self.stopped is None and self.network._converged:
            self.stopped = "converged"
        if whole:
            self.end_epoch()
        return logs

    @property
    def mean_loss(self) -> float:
        """The weighted mean of the losses of the epoch's rows so far; 0 where they all weigh nothing."""
        rows = self.rows
        if rows.weights is None or self.position == self.n_rows:
            return self.loss / (self.position if rows.weights is None else rows.total_weight)
        begin, weight = self.weighed
        more: Any = slice(begin, self.position)
        if self.order is not None:
            more = self.order[more]
        self.weighed = self.position, weight + float(rows.weights[more].sum())
        return self.loss / (self.weighed[1] or 1.0)

    def train_rows(self) -> None:
        """The epoch's rows from the position on, until they or the time are over or a callback says stop."""
        network, rows = self.network, self.rows
        self.random_state = network._random_state
        try:
            network._begin_epoch(rows, self.order)
            while self.stopped is None and self.position < self.n_rows:
                if self.every_batch:
                    callbacks.call(self.callbacks, "on_batch_begin", self.position // self.batch_size, {})
                first, end, start = self.position, self.next_stop(), time.perf_counter()
                self.position, self.loss = network._stretch(
                    rows, self.batch_size, self.order, first, end, self.loss, self.deadline - start
                )
                if self.display.moves:
                    self.move_display(first, start)
                if self.position < end:
                    self.stopped = "max_time"
                elif self.every_batch:
                    batch = -(-self.position // self.batch_size) - 1
                    logs = {"loss": self.mean_loss}
                    self.stopped = callbacks.call(self.callbacks, "on_batch_end", batch, logs)
                if self.position < self.n_rows and self.stopped is None:
                    self.write_checkpoints(self.due("step"))
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {self.epoch + 1} of {self.plan.epochs}: {error}") from None
        except KeyboardInterrupt:
            network._end_epoch()
            raise

    def move_display(self, first: int, start: float) -> None:
        """Shows how far the epoch is, where it is time for that, after a stretch from that row and moment on."""
        self.pace.took(-(-(self.position - first) // self.batch_size), time.perf_counter() - start)
        if self.position < self.n_rows and self.display.is_due():
            weighted = self.rows.weights is not None  # their mean needs a pass over the weights
            logs = {} if weighted else {"loss": self.loss / max(self.position, 1)}
            self.display.move(self.epoch, self.position / self.n_rows, self.position, logs)

    def end_epoch(self) -> None:
        """On to the next one; the checkpoints that are due, all of them where it was the last."""
        due = self.due("step") if self.by_steps else []
        self.epoch, self.position, self.loss, self.weighed = self.epoch + 1, 0, 0.0, (0, 0.0)
        if self.epoch == self.plan.epochs and self.stopped is None:
            self.stopped = "epochs"
        if self.checkpoints:
            self.random_state = self.network._random_state
            self.write_checkpoints(self.checkpoints if self.stopped else due + self.due("epoch"))

    # -- checkpoints --------------------------------------------------------------------------------------------------

    @property
    def steps_done(self) -> int:
        """Steps since the training began, the epoch at hand included."""
        steps_per_epoch = -(-self.n_rows // self.batch_size)
        return self.epoch * steps_per_epoch + -(-self.position // self.batch_size)

    def next_stop(self) -> int:
        """The row before which somebody wants to look."""
        if not (self.every_batch or self.by_steps or self.display.moves):
            return self.n_rows
        steps = [each.every - self.steps_done % each.every for each in self.by_steps]
        steps += [1] if self.every_batch else [self.pace.n_steps] if self.display.moves else []
        return min(self.n_rows, self.position + min(steps) * self.batch_size)

    def due(self, unit: str) -> list[Checkpoint]:
        """The checkpoints that are to be written now."""
        done = self.steps_done if unit == "step" else self.epoch
        return [each for each in self.checkpoints if each.unit == unit and done % each.every == 0]

    def write_checkpoints(self, due: Sequence[Checkpoint]) -> None:
        """The training as it is now, to the files of those checkpoints."""
        if not due:
            return
        stopped = self.stopped if self.stopped in checkpoint.BY_ITSELF else None
        states = [callback.state() for callback in self.stateful]
        at = checkpoint.Position(self.epoch, self.position, self.loss, stopped, self.history, states)
        data = checkpoint.to_bytes(self.network, self.random_state, at, self.settings)
        for each in due:
            durable.write(each.path, data)
