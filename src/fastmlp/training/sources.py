"""Row sources: they provide the rows of an epoch, and train on them step by step.

The loop of `fit` uses every source in the same way:

    source.begin_epoch()
    while source.has_more():            # gets and checks the rows of the next step
        source.advance(n_steps, seconds)
    source.end_epoch(epoch)
    source.next_epoch()

`ArrayRows` has rows in memory or in a memory-mapped file, in the order that `shuffle` determines; one compiled call
takes any number of its steps. `BatchRows` has batches of an iterable, one for each step. A source keeps the position
within the epoch (rows and steps done, sum of their losses); a checkpoint saves and restores this position.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..inputs import arrays, row_weights
from .data import check_rank, check_validation
from .plan import DEFAULT_BATCH_SIZE, FitPlan

if TYPE_CHECKING:
    from ..inputs.schema import Schema
    from ..network import Network
    from ..optimizers import Optimizer


class Source(ABC):
    """The rows of each epoch, and the position within the current epoch.

    Parameters
    ----------
    network : Network
    validation : Rows or None
        The rows that the loop evaluates after each epoch.

    Attributes
    ----------
    position, step : int
        The number of rows and of steps of the current epoch that are done.
    loss : float
        The sum of the weighted losses of these rows.
    is_whole : bool
        Whether all rows of the epoch are done.
    """

    def __init__(self, network: Network, validation: _core.Rows | None) -> None:
        self.network, self.validation = network, validation
        self.position, self.loss = 0, 0.0

    @property
    @abstractmethod
    def step(self) -> int:
        """The number of steps of the epoch that are done."""

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether all rows of the epoch are done."""

    @property
    @abstractmethod
    def mean_loss(self) -> float:
        """The weighted mean loss of the rows of the epoch so far; 0 if their weights are all 0."""

    @property
    @abstractmethod
    def share(self) -> float | None:
        """The share of the epoch that is done, in [0, 1]; None if the number of its rows is unknown."""

    @property
    def running_loss(self) -> float | None:
        """`mean_loss` for a display, or None if computing it would take long."""
        return self.mean_loss

    @abstractmethod
    def begin_epoch(self) -> None:
        """Prepare the rows of an epoch, or of the rest of an epoch within which a checkpoint was written."""

    @abstractmethod
    def has_more(self) -> bool:
        """Return whether the epoch has rows for another step."""

    @abstractmethod
    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """Take that many steps, or all that are left if n_steps is None; return False if the time ended before."""

    @abstractmethod
    def end_epoch(self, epoch: int) -> None:
        """Publish the parameters after the last step of that epoch, unless they are published already."""

    def next_epoch(self) -> None:
        """Set the position to the first row of the next epoch."""
        self.position, self.loss = 0, 0.0


EPOCHS_WORK = 1 << 22  # the multiply-adds of a forward pass over the rows of epochs that are trained in one call, 1 ms


class ArrayRows(Source):
    """Rows of an array, a frame, a sparse matrix or a memory-mapped file."""

    def __init__(
        self, network: Network, rows: _core.Rows, validation: _core.Rows | None, plan: FitPlan, optimizer: Optimizer
    ) -> None:
        super().__init__(network, validation)
        self.rows, self.n_rows = rows, rows.n_rows
        self.batch_size = rows_of_a_step(optimizer, plan.batch_size, self.n_rows)
        self.order: Any = None
        self._weighed = 0, 0.0  # a number of rows from the epoch's first one on, and the sum of their weights
        self._shuffle = plan.shuffle
        if plan.shuffle and optimizer.shuffles:
            mapped = arrays.is_mapped(rows.x)
            by_blocks = plan.shuffle == "blocks" or (mapped and plan.shuffle != "rows")
            self.order = (
                _core.BlockOrder(self.n_rows, network.sizes[0], self.batch_size, mapped)
                if by_blocks
                else np.empty(self.n_rows, dtype=np.uint32)
            )

    @property
    def shuffles(self) -> bool | str:
        """The kind of shuffling that is used: "blocks", True or False; the argument True can stand for "blocks"."""
        return "blocks" if isinstance(self.order, _core.BlockOrder) else bool(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that an epoch takes."""
        return -(-self.n_rows // self.batch_size)

    @property
    def step(self) -> int:
        """The number of steps of the epoch that are done."""
        return -(-self.position // self.batch_size)

    @property
    def is_whole(self) -> bool:
        """Whether all rows of the epoch are done."""
        return self.position == self.n_rows

    @property
    def share(self) -> float:
        """The share of the epoch that is done."""
        return self.position / self.n_rows

    @property
    def running_loss(self) -> float | None:
        """The mean loss so far; None for weighted rows, as their weights would have to be summed."""
        return self.loss / max(self.position, 1) if self.rows.weights is None else None

    @property
    def mean_loss(self) -> float:
        """The weighted mean loss of the rows of the epoch so far; 0 if their weights are all 0."""
        weights = self.rows.weights
        if weights is None or self.is_whole:
            return self.loss / (self.position if weights is None else self.rows.total_weight)
        begin, weight = self._weighed
        more: Any = slice(begin, self.position)
        if self.order is not None:
            more = self.order[more]
        self._weighed = self.position, weight + float(weights[more].sum())
        return self.loss / (self._weighed[1] or 1.0)

    def begin_epoch(self) -> None:
        """Have the order of the rows drawn; for the rest of an epoch from a checkpoint, it is that of before."""
        self.network._begin_epoch(self.rows, self.order)

    def has_more(self) -> bool:
        """Return whether the epoch has rows for another step."""
        return self.position < self.n_rows

    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """Take that many steps, or all that are left if n_steps is None; return False if the time ended before."""
        end = self.n_rows if n_steps is None else min(self.n_rows, self.position + n_steps * self.batch_size)
        self.position, self.loss = self.network._stretch(
            self.rows, self.batch_size, self.order, self.position, end, self.loss, seconds
        )
        return self.position == end

    def epochs_at_once(self) -> int:
        """Return how many epochs are so short that one call should train them; 1 also where it cannot train several."""
        if self.position > 0 or isinstance(self.order, _core.BlockOrder) or not self.network._repeats_epochs:
            return 1
        return max(1, EPOCHS_WORK // (self.n_rows * self.network.n_parameters))

    def train_epochs(self, n_epochs: int) -> tuple[list[float], BaseException | None]:
        """Train that many epochs; return the mean loss of each, and an exception or None, see `Trainer._epochs`."""
        losses, error = self.network._epochs(self.rows, self.batch_size, self.order, n_epochs)
        return [loss / self.rows.total_weight for loss in losses], error

    def end_epoch(self, epoch: int) -> None:
        """Do nothing: the step on the last row has published the parameters."""

    def next_epoch(self) -> None:
        """Set the position to the first row of the next epoch."""
        super().next_epoch()
        self._weighed = 0, 0.0


def rows_of_a_step(optimizer: Optimizer, batch_size: int | None, n_rows: int) -> int:
    """Return the number of rows of a step: all for None, and by default for an optimiser that needs all rows."""
    if batch_size is None or (optimizer.full_batch and batch_size is DEFAULT_BATCH_SIZE):
        return n_rows
    if optimizer.full_batch and batch_size < n_rows:
        raise ValueError(
            f"batch_size: expected None, as {optimizer.name!r} takes all {n_rows} rows in each step, got {batch_size}"
        )
    return min(batch_size, n_rows)


class BatchRows(Source):
    """Batches of an iterable. Each batch is one step; the next batch is requested after the step is done.

    Parameters
    ----------
    network : Network
    open_batches : function
        Returns an iterator of the batches of an epoch.
    validation : Rows or None
        The rows to validate on.
    plan : FitPlan
    validation_data : object
        The argument of `fit` from which `validation` was made. It is converted again after the first batch, which
        determines the names of the columns.
    """

    def __init__(
        self,
        network: Network,
        open_batches: Callable[[], Iterator[Any]],
        validation: _core.Rows | None,
        plan: FitPlan,
        validation_data: Any,
    ) -> None:
        super().__init__(network, validation)
        self._open, self._validation_data, self._class_weight = open_batches, validation_data, plan.class_weight
        self._schema: Schema = network._columns[2]  # completed by the first batch
        self._is_first = True
        self._batches: Iterator[Any] = iter(())
        self._next: _core.Rows | None = None
        self._step, self._weight, self._ended = 0, 0.0, False
        self._last_n_rows: int | None = None  # the number of rows of the previous epoch

    @property
    def step(self) -> int:
        """The number of batches of the epoch that are done."""
        return self._step

    @property
    def is_whole(self) -> bool:
        """Whether the iterator of the epoch's batches has ended."""
        return self._ended

    @property
    def share(self) -> float | None:
        """The share of the epoch that is done, if it has as many rows as the previous epoch; None in the first one."""
        return None if self._last_n_rows is None else min(self.position / self._last_n_rows, 1.0)

    @property
    def mean_loss(self) -> float:
        """The weighted mean loss of the rows of the epoch so far."""
        return self.loss / (self._weight or 1.0)

    def begin_epoch(self) -> None:
        """Get a new iterator of batches."""
        self._batches = self._open()

    def has_more(self) -> bool:
        """Get and check the next batch; return whether there is one."""
        for batch in self._batches:
            self._next = self._rows_of(batch)
            if self._step == 0:
                self.network._begin_epoch(self._next, None)
            return True
        self._ended = True
        return False

    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """Take one step on the batch that `has_more` got; return False if the time has ended."""
        rows = self._next
        assert rows is not None
        n = rows.n_rows
        done, self.loss = self.network._stretch(rows, n, None, 0, n, self.loss, seconds, True)
        if done < n:
            return False
        self._step, self.position, self._weight = self._step + 1, self.position + n, self._weight + rows.total_weight
        return True

    def end_epoch(self, epoch: int) -> None:
        """Publish the parameters after the epoch; raise a ValueError if the epoch had no batches."""
        if self._step == 0:
            raise ValueError(f"X: expected batches, got none in epoch {epoch + 1}")
        self.network._publish_epoch_so_far()

    def next_epoch(self) -> None:
        """Set the position to the first batch of the next epoch."""
        self._last_n_rows = self.position
        self._step, self._weight, self._ended = 0, 0.0, False
        super().next_epoch()

    def _rows_of(self, batch: Any) -> _core.Rows:
        """Check a batch, and return its rows; messages of errors have its index. The first one completes the schema."""
        network = self.network
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise TypeError(
                f"X: expected batches (X, y) or (X, y, sample_weight), got {type(batch).__name__} as batch {self._step}"
            )
        try:
            weights = batch[2] if len(batch) == 3 else None
            if self._is_first:
                self._schema = network._infer_schema(batch[0], batch[1], None)
            rows = network._rows(batch[0], batch[1], weights, self._class_weight, schema=self._schema)
            check_rank(network, rows)
            row_weights.check_batch(weights, self._class_weight)
        except (ValueError, TypeError) as error:
            raise type(error)(f"batch {self._step}: {error}") from None
        if self._is_first:
            self._is_first = False
            network._fit_columns(self._schema, rows)
            if self._validation_data is not None:  # its columns are found by the names of those of the first batch
                self.validation = check_validation(network, self._validation_data, self._schema)
        return rows


def batch_opener(source: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """Return a function that gives an iterator of an epoch's batches; the source is an iterable, or makes one."""
    if callable(source):
        return lambda: iterator(source())
    if hasattr(source, "__array__") or arrays.is_sparse(source) or isinstance(source, (str, bytes)):
        raise TypeError("y: expected targets beside X, got None; without them X is an iterable of batches (X, y)")
    once = iterator(source)
    if once is source and epochs > 1:
        raise ValueError(
            f"X: expected batches that {epochs} epochs can go through, a list, a loader or a function that returns an "
            f"iterator, got {type(source).__name__}, which ends after one"
        )
    return (lambda: once) if once is source else lambda: iterator(source)


def iterator(source: object) -> Iterator[Any]:
    """Return the iterator of an iterable; raise a TypeError for any other object."""
    if not isinstance(source, Iterable):
        raise TypeError(f"X: expected an iterable of batches (X, y) where y is None, got {type(source).__name__}")
    return iter(source)
