"""The loop of `fit`: epochs, with validation, callbacks, checkpoints and the history.

`Loop.train` runs a whole fit. It consists of `begin`, of `advance` for each epoch while `stopped` is None, and of
`finish`, or `fail` after an exception; whoever calls these can drive several fits side by side. The rows come from a
source (sources.py), which trains on them in compiled code without the GIL.

The parameters become visible in the network at the end of each epoch. An exception within an epoch ends the fit and
leaves the network usable: after Ctrl-C it has all steps that were complete, and EarlyStopping restores its best
weights; after any other exception (raised by a callback, or because the loss is not finite) it has the last complete
epoch. The history has complete epochs only, so that after Ctrl-C the parameters may be ahead of it. Steps that made a
parameter or the optimiser's state overflow are taken back in any case.

One compiled call trains a whole epoch, unless batch hooks, checkpoints by steps or a progress bar have to run within
it: then the epoch is split into several calls. Where nothing has to happen between epochs that are short, one call
trains several. This includes callbacks that need no more than the loss of each epoch for some time: such a callback has
a method `_soonest_stop`, which returns after how many further epochs it may stop the fit, read the network or change it
at the soonest, and `on_epoch_end` as its one hook. It is called afterwards, once for each epoch. The result is the same
to the last bit.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import callbacks, metrics
from ..callbacks import Checkpoint, EarlyStopping, Monitor
from ..errors import FormatError
from ..formats import atomic
from ..history import History
from . import checkpoint
from .plan import FitPlan, is_auto
from .progress import Display, Pace, Progress, open_display
from .sources import ArrayRows, Source

if TYPE_CHECKING:
    from ..network import Network
    from ..optimizers import Optimizer


def reported_names(network: Network, validates: bool, plan: FitPlan) -> list[str]:
    """Return the names of the numbers that a fit reports of each epoch, but for those that callbacks add."""
    return ["loss", *([f"val_{name}" for name in metrics.names(network, plan.metrics)] if validates else [])]


MAX_EPOCHS = 1 << 10  # of one call
MAX_WAITING = 32  # of one call where callbacks are called after it, which Ctrl-C may keep from hearing of all of them


class Loop:
    """A fit that is running: where it is, and what is called at which point.

    Parameters
    ----------
    network : Network
    source : Source
        The rows to train on, and the validation set.
    plan : FitPlan
    optimizer : Optimizer or None
        None continues with the optimiser of the last fit, and its state.
    display : Display, optional
        What shows the progress; None is what `plan.verbose` stands for.
    """

    def __init__(
        self,
        network: Network,
        source: Source,
        plan: FitPlan,
        optimizer: Optimizer | None,
        display: Display | None = None,
    ) -> None:
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
        self.names = reported_names(network, source.validation is not None, plan)
        self.short_source: ArrayRows | None = None  # the source, where nothing has to happen between its epochs
        can_wait = plan.max_time is None and all(hasattr(each, "_soonest_stop") for each in plan.callbacks)
        if isinstance(source, ArrayRows) and source.validation is None and can_wait:
            self.short_source = source
        self.settings: dict[str, Any] = {}
        self.history = History()
        self.logs: dict[str, float] = {}  # the figures of the last epoch
        self.stopped: str | None = None
        self.began = False
        self.epoch = 0  # the number of complete epochs
        self.random_state = network._random_state  # at the beginning of the current epoch, before its order was drawn
        self.display, self.pace = Display(plan.epochs), Pace()
        self.given_display = display

    # -- the whole fit ------------------------------------------------------------------------------------------------

    def train(self) -> History:
        """Run the fit to its end, and return its history."""
        try:
            self.begin()
            while self.stopped is None:
                self.advance()
            return self.finish()
        except BaseException as error:
            self.fail(error)
            raise

    def begin(self) -> None:
        """Prepare optimiser, callbacks and display; restore all of them from the checkpoint to resume from, if any."""
        for callback in self.callbacks:
            if isinstance(callback, Monitor):
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
        self.display = own[0] if own else self.given_display or open_display(plan.verbose, plan.epochs)
        self.display.begin(self.epoch)

    def finish(self) -> History:
        """End a fit that stopped without an exception."""
        self.close_display()
        callbacks.call(self.callbacks, "on_train_end", self.logs)
        self.history._stopped = self.stopped
        return self.history

    def fail(self, error: BaseException) -> None:
        """End a fit after an exception, and attach the history of the complete epochs to it."""
        self.close_display()
        if self.began:
            for callback in self.callbacks:
                if isinstance(callback, EarlyStopping):
                    callback.on_train_error()
        self.history._end_by(error)

    def close_display(self) -> None:
        """Close the display; a second call does nothing."""
        display, self.display = self.display, Display(self.plan.epochs)
        display.close()

    # -- an epoch -----------------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """Run the next epoch or, after a resume, the rest of the epoch in which the checkpoint was written.

        Stop if no epoch or no time is left.
        """
        if self.epoch >= self.plan.epochs or time.perf_counter() >= self.deadline:
            self.stopped = "epochs" if self.epoch >= self.plan.epochs else "max_time"
            self.write_checkpoints(self.checkpoints)
            return
        if self.train_short_epochs():
            return
        callbacks.call(self.callbacks, "on_epoch_begin", self.epoch, {})
        source, start, first = self.source, time.perf_counter(), self.source.position
        self.train_rows()
        rows_per_second = (source.position - first) / max(time.perf_counter() - start, 1e-9)
        if not source.is_whole:
            self.write_checkpoints(self.checkpoints)
            self.network._publish_epoch_so_far()
        if source.position == 0:  # it stopped before the first step: there is nothing to evaluate or record
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

    def train_short_epochs(self) -> bool:
        """Train several epochs in one call if they are short; return False if they are not, or the first has an error.

        The error belongs to one of these epochs: trained one by one, it is raised where it belongs.
        """
        source = self.short_source
        if source is None or self.display.wants_all:
            return False
        limits = [MAX_WAITING, *[each._soonest_stop() for each in self.callbacks]] if self.callbacks else [MAX_EPOCHS]
        n_epochs = min(source.epochs_at_once(), self.plan.epochs - self.epoch, *limits)
        if n_epochs < 2:
            return False
        start = time.perf_counter()
        losses, error = source.train_epochs(n_epochs)
        for loss in losses:
            self.logs = {"loss": loss}
            self.history._append(self.logs)
            self.stopped = callbacks.end_epoch(self.callbacks, self.epoch, self.logs, self.history._note)
            self.epoch += 1
        if error is not None:
            raise error
        if not losses:
            self.short_source = None
            return False
        rows_per_second = len(losses) * source.n_rows / max(time.perf_counter() - start, 1e-9)
        self.display.show(self.epoch - 1, self.logs, rows_per_second)
        if self.stopped is None and self.network._converged:
            self.stopped = "converged"
        if self.epoch == self.plan.epochs and self.stopped is None:
            self.stopped = "epochs"
        return True

    def measured(self) -> dict[str, float]:
        """Evaluate the epoch that has just ended: its loss, and the metrics of the validation set."""
        logs = {"loss": self.source.mean_loss}
        if self.source.validation is not None:
            found = metrics.evaluate(self.network, self.source.validation, self.plan.metrics)
            logs.update({f"val_{name}": value for name, value in found.items()})
        return logs

    def train_rows(self) -> None:
        """Train on the rest of the epoch's rows, until the time is over or a callback stops the fit."""
        network, source = self.network, self.source
        self.random_state = network._random_state
        try:
            source.begin_epoch()
            while self.stopped is None and source.has_more():
                if self.every_batch:
                    callbacks.call(self.callbacks, "on_batch_begin", source.step, {})
                first, start = source.step, time.perf_counter()
                if not source.advance(self.steps_to_next_event(), self.deadline - start):
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
            network._publish_epoch_so_far()
            raise

    def steps_to_next_event(self) -> int | None:
        """The number of steps until a batch hook, a checkpoint or the display is due; None: not within the epoch."""
        if self.every_batch:
            return 1
        steps = [each.every - self.steps_done % each.every for each in self.by_steps]
        steps += [self.pace.n_steps] if self.display.moves else []
        return min(steps, default=None)

    def move_display(self, n_steps: int, seconds: float) -> None:
        """Tell the pace of the last steps, and show the progress within the epoch if the display is due."""
        source = self.source
        self.pace.took(n_steps, seconds)
        if not source.is_whole and self.display.is_due():
            loss = source.running_loss
            self.display.move(self.epoch, source.share, source.position, {} if loss is None else {"loss": loss})

    def end_epoch(self) -> None:
        """Count the epoch and write the checkpoints that are due; all of them after the last epoch."""
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
        """Read the checkpoint that `resume` names; None if there is nothing to resume from.

        `resume="auto"` names the file of the fit's own Checkpoint, which need not exist yet.
        """
        path, auto, source = self.plan.resume, is_auto(self.plan.resume), self.source
        if not (self.checkpoints or path is not None):
            return None
        assert isinstance(source, ArrayRows)  # a plan refuses iterators of batches beside a Checkpoint and `resume`
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
        """The number of steps since the training began, with those of the current epoch."""
        assert isinstance(self.source, ArrayRows)
        return self.epoch * self.source.steps_per_epoch + self.source.step

    def due(self, unit: str) -> list[Checkpoint]:
        """The checkpoints whose interval, counted in that unit, ends here."""
        done = self.steps_done if unit == "step" else self.epoch
        return [each for each in self.checkpoints if each.unit == unit and done % each.every == 0]

    def write_checkpoints(self, due: Sequence[Checkpoint]) -> None:
        """Write the current state of the training to the file of each of those checkpoints."""
        if not due:
            return
        stopped = self.stopped if self.stopped in checkpoint.FINAL_REASONS else None
        states = [callback.state() for callback in self.stateful]
        place = self.epoch, self.source.position, self.source.loss
        at = checkpoint.Position(*place, stopped, self.history, states)
        data = checkpoint.to_bytes(self.network, self.random_state, at, self.settings)
        for each in due:
            atomic.write(each.path, data)
