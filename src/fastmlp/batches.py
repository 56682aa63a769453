"""`fit` on batches that come one after another: a loader, a generator, rows that are made or read as they are wanted.

An epoch goes through the batches once, each a step of the size that it has; the next batch is asked for when the last
step is done. Everything else is the loop of `training.py`. What cannot hold without knowing all rows is refused: a
place to resume from, a share to validate on, scalings that are still to be learnt.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from . import _core, callbacks, inputs, row_weights, training

if TYPE_CHECKING:
    from .history import History
    from .network import Network
    from .optimizers import Optimizer


def fit(
    network: Network, source: object, validation_data: Any, plan: training.Plan, optimizer: Optimizer | None
) -> History:
    """Checks what is there, then trains as `training.fit`."""
    open_batches = opener(source, plan.epochs)
    check_plan(plan, optimizer or network._optimizer)
    network._refuse_unscaled("batches")
    known = network._columns[2]
    if isinstance(validation_data, (tuple, list)) and len(validation_data) > 1:
        known = network._learn_schema(validation_data[0], validation_data[1], None)
    validation = training.check_validation(network, validation_data, known)
    if plan.metrics and validation is None:
        raise ValueError("metrics: expected validation_data to go with them, got none")
    loop = BatchLoop(network, open_batches, validation, plan, optimizer)
    loop.validation_data = validation_data
    return loop.train()


def opener(source: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """What begins an epoch's batches."""
    if callable(source):
        return lambda: iterator(source())
    if hasattr(source, "__array__") or inputs.is_sparse(source) or isinstance(source, (str, bytes)):
        raise TypeError("y: expected targets beside X, got None; without them X is an iterable of batches (X, y)")
    once = iterator(source)
    if once is source and epochs > 1:
        raise ValueError(
            f"X: expected batches that {epochs} epochs can go through, a list, a loader or a function that returns an "
            f"iterator, got {type(source).__name__}, which ends after one"
        )
    return (lambda: once) if once is source else lambda: iterator(source)


def iterator(source: object) -> Iterator[Any]:
    """The iterator of an iterable."""
    if not isinstance(source, Iterable):
        raise TypeError(f"X: expected an iterable of batches (X, y) where y is None, got {type(source).__name__}")
    return iter(source)


def check_plan(plan: training.Plan, optimizer: Optimizer | None) -> None:
    """Refuses what goes with an array of rows alone."""
    refused = {
        "batch_size": plan.batch_size is not training.DEFAULT_BATCH_SIZE,
        "shuffle": isinstance(plan.shuffle, str),
        "validation_split": plan.validation_split is not None,
        "resume": plan.resume is not None,
        "sample_weight": plan.sample_weight is not None,
        "class_weight": isinstance(plan.class_weight, str),
    }
    for argument, wrong in refused.items():
        if wrong:
            raise ValueError(f"{argument}: expected its default beside batches, got {getattr(plan, argument)!r:.60}")
    if any(isinstance(each, callbacks.Checkpoint) for each in plan.callbacks):
        raise ValueError(
            "callbacks: expected no Checkpoint beside batches, whose data and place it cannot find again, got one"
        )
    if optimizer is not None and optimizer.full_batch:
        raise ValueError(f"optimizer: expected one that takes batches, got {optimizer.name!r}, which needs all rows")


class BatchLoop(training.Loop):
    """One fit on batches on its way.

    Parameters
    ----------
    network : Network
    open_batches : function
        Begins the batches of an epoch.
    validation : Rows or None
    plan : Plan
    optimizer : Optimizer or None
    """

    def __init__(
        self,
        network: Network,
        open_batches: Callable[[], Iterator[Any]],
        validation: _core.Rows | None,
        plan: training.Plan,
        optimizer: Optimizer | None,
    ) -> None:
        self.open_batches = open_batches
        self.weight = 0.0
        self.known = network._columns[2]  # and what the first batch tells
        self.validation_data: Any = None
        super().__init__(network, None, validation, plan, optimizer)

    def take_rows(self) -> None:
        """How many rows there are is known at the end of an epoch."""
        self.n_rows, self.batch_size, self.order = -1, 0, None
        self.last_n_rows = -1  # of the epoch before

    @property
    def mean_loss(self) -> float:
        """The weighted mean of the losses of the epoch's rows so far."""
        return self.loss / (self.weight or 1.0)

    def train_rows(self) -> None:
        """The epoch's batches, until they or the time are over or a callback says stop."""
        self.last_n_rows, self.n_rows, self.weight = self.n_rows, -1, 0.0
        try:
            for number, batch in enumerate(self.open_batches()):
                self.train_batch(number, self.rows_of(number, batch))
                if self.stopped is not None:
                    return
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {self.epoch + 1} of {self.plan.epochs}: {error}") from None
        except KeyboardInterrupt:
            self.network._end_epoch()
            raise
        if self.position == 0:
            raise ValueError(f"X: expected batches, got none in epoch {self.epoch + 1}")
        self.n_rows = self.position
        self.network._end_epoch()

    def rows_of(self, number: int, batch: Any) -> _core.Rows:
        """A batch, checked; an error says which."""
        network = self.network
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                f"X: expected batches (X, y) or (X, y, sample_weight), got {type(batch).__name__} as batch {number}"
            )
        try:
            weights = batch[2] if len(batch) == 3 else None
            if self.epoch == number == 0:
                self.known = network._learn_schema(batch[0], batch[1], None)
            rows = network._rows(batch[0], batch[1], weights, self.plan.class_weight, known=self.known)
            if rows.x.ndim != 2:
                raise ValueError(f"X: expected shape (B, {network.sizes[0]}), got shape {rows.x.shape}")
            row_weights.check_batch(weights, self.plan.class_weight)
        except (ValueError, TypeError) as error:
            raise type(error)(f"batch {number}: {error}") from None
        if self.epoch == number == 0:
            network._learn_columns(self.known, rows)
            if self.validation_data is not None:  # its columns are those of the first batch, by their names
                self.validation = training.check_validation(network, self.validation_data, self.known)
        return rows

    def train_batch(self, number: int, rows: _core.Rows) -> None:
        """A step on these rows, and whoever wants to look before and after it."""
        if number == 0:
            self.network._begin_epoch(rows, None)
        if self.every_batch:
            callbacks.call(self.callbacks, "on_batch_begin", number, {})
        n, seconds = rows.n_rows, self.deadline - time.perf_counter()
        done, self.loss = self.network._stretch(rows, n, None, 0, n, self.loss, seconds, True)
        if done < n:
            self.stopped = "max_time"
            return
        self.position += n
        self.weight += rows.total_weight
        if self.display.is_due():
            share = min(self.position / self.last_n_rows, 1.0) if self.last_n_rows > 0 else None
            self.display.move(self.epoch, share, self.position, {"loss": self.mean_loss})
        if self.every_batch:
            self.stopped = callbacks.call(self.callbacks, "on_batch_end", number, {"loss": self.mean_loss})
