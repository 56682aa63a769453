"""The loop of `fit`: epochs, validation, callbacks, checkpoints, history. An epoch is a compiled call without the GIL.

`begin`, then `advance` by an epoch while `stopped` is None, then `finish`, or `fail` after an exception; `train` does
all of it. So several trainings can be driven side by side. The rows come from a source (sources.py). An epoch publishes
its parameters when it ends. Whatever is raised in between leaves the network usable and ends the fit: Ctrl-C keeps all
complete steps, another error (of a callback, or a loss that is not finite) the last complete epoch. An epoch is split
into several calls where batch hooks, checkpoints by steps or a progress bar need it; the result is the same to the bit.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import callbacks, metrics
from ..callbacks import Checkpoint, EarlyStopping
from ..formats import atomic
from ..formats.safetensors import FormatError
from ..history import History
from . import checkpoint
from .plan import FitPlan, is_auto
from .progress import Display, Pace, Progress, open_display
from .sources import ArrayRows, Source

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer


class Loop:
    """One fit on its way.

    Parameters
    ----------
    network : Network
    source : Source
        The rows to train on, and what is evaluated after each epoch.
    plan : FitPlan
    optimizer : Optimizer or None
        None goes on with the last one.
    """

    def __init__(self, network: Network, source: Source, plan: FitPlan, optimizer: Optimizer | None) -> None:
        self.network, self.source, self.plan = network, source, plan
        used = optimizer or network._optimizer
        assert used is not None
        self.optimizer, self.used = optimizer, used
        self.checkpoints = [each for each in plan.callbacks if isinstance(each, Checkpoint)]
        self.callbacks = [each for each in plan.callbacks if not isinstance(each, Checkpoint)]
        self.stateful = [each for each in self.callbacks if hasattr(each, "state") and hasattr(each, "restore")]
        self.by_steps = [each for each in self.checkpoints if each.unit == "step"]
        self.every_batch = any(hasattr(each, hook) for each in self.callbacks for hook in callbacks.BATCH_HOOKS)
        self.deadline = math.inf if plan.max_time is None else time.perf_counter() + plan.max_time
        self.names = ["loss"]
        if source.validation is not None:
            self.names += [f"val_{name}" for name in metrics.names(network, plan.metrics)]
        self.settings: dict[str, Any] = {}
        self.history = History()
        self.logs: dict[str, float] = {}  # of the last epoch
        self.stopped: str | None = None
        self.began = False
        self.epoch = 0  # whole epochs
        self.random_state = network._random_state  # before the order of the epoch at hand was drawn
        self.display, self.pace = Display(plan.epochs), Pace()

    # -- from the beginning to the end --------------------------------------------------------------------------------

    def train(self) -> History:
        """The training from its beginning, or from where it was, to its end."""
        try:
            self.begin()
            while self.stopped is None:
                self.advance()
            return self.finish()
        except BaseException as error:
            self.fail(error)
            raise

    def begin(self) -> None:
        """The optimiser, callbacks and place to begin with; what a checkpoint says if there is one to go on from."""
        for callback in self.callbacks:
            if isinstance(callback, EarlyStopping):
                callback.check_monitor(self.names)
            if hasattr(callback, "set_network"):
                callback.set_network(self.network)
        plan = self.plan
        for each in self.checkpoints:
            atomic.check_place(each.path)
        resumed = self.read_checkpoint()
        if resumed is None:
            self.network._use_optimizer(self.optimizer, plan.regularization)
            self.random_state = self.network._random_state
        callbacks.call(self.callbacks, "on_train_begin", {})
        if resumed is not None:
            resumed.restart(self.network, self.stateful)
            at = resumed.at
            self.epoch, self.stopped = at.epoch, at.stopped
            self.source.position, self.source.loss = at.position, at.loss
            self.history.update(at.history)
            self.random_state = self.network._random_state
        self.network._history = self.history
        self.logs = {name: values[-1] for name, values in self.history.items() if values}
        self.began = True
        own = [each.display for each in self.callbacks if isinstance(each, Progress)]
        self.display = own[0] if own else open_display(plan.verbose, plan.epochs)
        self.display.begin(self.epoch)

    def finish(self) -> History:
        """The end of a training that nothing has broken off."""
        self.close_display()
        callbacks.call(self.callbacks, "on_train_end", self.logs)
        self.history._stopped = self.stopped
        return self.history

    def fail(self, error: BaseException) -> None:
        """The end of a training by an exception, Ctrl-C too: it has the history of the epochs before."""
        self.close_display()
        if self.began:
            for callback in self.callbacks:
                if isinstance(callback, EarlyStopping):
                    callback.on_train_error()
        self.history._end_by(error)

    def close_display(self) -> None:
        """Ends what is shown, once."""
        display, self.display = self.display, Display(self.plan.epochs)
        display.close()

    # -- an epoch -----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One epoch, or what is left of it and of the time."""
        if self.epoch >= self.plan.epochs or time.perf_counter() >= self.deadline:
            self.stopped = "epochs" if self.epoch >= self.plan.epochs else "max_time"
            self.write_checkpoints(self.checkpoints)
            return
        callbacks.call(self.callbacks, "on_epoch_begin", self.epoch, {})
        source, start, first = self.source, time.perf_counter(), self.source.position
        self.train_rows()
        rows_per_second = (source.position - first) / max(time.perf_counter() - start, 1e-9)
        if not source.is_whole:
            self.write_checkpoints(self.checkpoints)
            self.network._end_epoch()
        if source.position == 0:
            return
        self.logs = self.measured()
        self.history._append(self.logs)
        self.network._observe(self.logs)
        try:
            stop = callbacks.end_epoch(self.callbacks, self.epoch, self.logs, self.history._note)
            self.stopped = stop or self.stopped
        finally:
            self.display.show(self.epoch, self.logs, rows_per_second)
        if self.stopped is None and self.network._converged:
            self.stopped = "converged"
        if source.is_whole:
            self.end_epoch()

    def measured(self) -> dict[str, float]:
        """The figures of the epoch at hand."""
        logs = {"loss": self.source.mean_loss}
        if self.source.validation is not None:
            found = metrics.evaluate(self.network, self.source.validation, self.plan.metrics)
            logs.update({f"val_{name}": value for name, value in found.items()})
        return logs

    def train_rows(self) -> None:
        """The epoch's rows from the source's place on, until they or the time are over or a callback says stop."""
        network, source = self.network, self.source
        self.random_state = network._random_state
        try:
            source.begin_epoch()
            while self.stopped is None and source.has_more():
                if self.every_batch:
                    callbacks.call(self.callbacks, "on_batch_begin", source.step, {})
                first, start = source.step, time.perf_counter()
                if not source.advance(self.steps_to_next_look(), self.deadline - start):
                    self.stopped = "max_time"
                if self.display.moves:
                    self.move_display(source.step - first, time.perf_counter() - start)
                if self.stopped is None and self.every_batch:
                    logs = {"loss": source.mean_loss}
                    self.stopped = callbacks.call(self.callbacks, "on_batch_end", source.step - 1, logs)
                if self.by_steps and self.stopped is None and not source.is_whole:
                    self.write_checkpoints(self.due("step"))
            if self.stopped is None:
                source.end_epoch(self.epoch)
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {self.epoch + 1} of {self.plan.epochs}: {error}") from None
        except KeyboardInterrupt:
            network._end_epoch()
            raise

    def steps_to_next_look(self) -> int | None:
        """The steps after which somebody wants to look; None is the end of the epoch."""
        if self.every_batch:
            return 1
        steps = [each.every - self.steps_done % each.every for each in self.by_steps]
        steps += [self.pace.n_steps] if self.display.moves else []
        return min(steps, default=None)

    def move_display(self, n_steps: int, seconds: float) -> None:
        """Shows how far the epoch is, where it is time for that, after so many steps in so many seconds."""
        source = self.source
        self.pace.took(n_steps, seconds)
        if not source.is_whole and self.display.is_due():
            loss = source.running_loss
            self.display.move(self.epoch, source.share, source.position, {} if loss is None else {"loss": loss})

    def end_epoch(self) -> None:
        """On to the next one; the checkpoints that are due, all of them where it was the last."""
        due = self.due("step") if self.by_steps else []
        self.epoch += 1
        self.source.next_epoch()
        if self.epoch == self.plan.epochs and self.stopped is None:
            self.stopped = "epochs"
        if self.checkpoints:
            self.random_state = self.network._random_state
            self.write_checkpoints(self.checkpoints if self.stopped else due + self.due("epoch"))

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def read_checkpoint(self) -> checkpoint.Resumable | None:
        """What there is to go on from; of "auto" the file of the checkpoint, or None where it is not there yet."""
        path, auto, source = self.plan.resume, is_auto(self.plan.resume), self.source
        if not (self.checkpoints or path is not None):
            return None
        assert isinstance(source, ArrayRows)  # batches are refused beside both
        self.settings = checkpoint.settings(
            self.used,
            self.plan.regularization,
            source.rows,
            source.validation,
            self.stateful,
            batch_size=source.batch_size,
            shuffle=source.shuffles,
            metrics=self.names,
        )
        if auto:
            path = self.checkpoints[0].path
            try:
                os.stat(path)
            except FileNotFoundError:
                return None
        if path is None:
            return None
        try:
            how = self.settings, source.n_rows, self.used, self.plan.regularization
            return checkpoint.read(path, self.network, *how)
        except ValueError as error:
            if not auto:
                raise
            kind = FormatError if isinstance(error, FormatError) else ValueError
            advice = "to begin anew, remove it or have the Checkpoint write to another file"
            raise kind(f"{error}; resume='auto' has found {path}: {advice}") from None

    @property
    def steps_done(self) -> int:
        """Steps since the training began, the epoch at hand included."""
        assert isinstance(self.source, ArrayRows)
        return self.epoch * self.source.steps_per_epoch + self.source.step

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
        place = self.epoch, self.source.position, self.source.loss
        at = checkpoint.Position(*place, stopped, self.history, states)
        data = checkpoint.to_bytes(self.network, self.random_state, at, self.settings)
        for each in due:
            atomic.write(each.path, data)
