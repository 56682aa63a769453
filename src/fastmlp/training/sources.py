"""Row sources: where the rows of an epoch come from, and the steps that they make.

The loop works on a source and does not know what kind it is:

    source.begin_epoch()
    while source.has_more():            # fetches and checks what the next step needs
        source.advance(n_steps, seconds)
    source.end_epoch(epoch)

`ArrayRows` are rows in memory or in a mapped file, in the order that `shuffle` asks for; any number of their steps is
one compiled call. `BatchRows` are batches that come one after another. The place within an epoch (rows and steps done,
the sum of their losses) is the source's; a checkpoint takes it from there and puts it back.
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
    """Rows to train on, an epoch at a time.

    Parameters
    ----------
    network : Network
    validation : Rows or None
        What is evaluated after each epoch.

    Attributes
    ----------
    position, step : int
        Rows and steps of the epoch at hand that are done.
    loss : float
        The sum over those rows of their weighted losses.
    is_whole : bool
        Whether the epoch's rows are all done.
    """

    def __init__(self, network: Network, validation: _core.Rows | None) -> None:
        self.network, self.validation = network, validation
        self.position, self.loss = 0, 0.0

    @property
    @abstractmethod
    def step(self) -> int:
        """Steps of the epoch that are done."""

    @property
    @abstractmethod
    def is_whole(self) -> bool:
        """Whether the epoch's rows are all done."""

    @property
    @abstractmethod
    def mean_loss(self) -> float:
        """The weighted mean of the losses of the epoch's rows so far; 0 where they all weigh nothing."""

    @property
    @abstractmethod
    def share(self) -> float | None:
        """How much of the epoch is done, in [0, 1]; None where nobody knows."""

    @property
    def running_loss(self) -> float | None:
        """`mean_loss` for a display, or None where finding it takes time."""
        return self.mean_loss

    @abstractmethod
    def begin_epoch(self) -> None:
        """Draws the order of the rows, or goes on in the epoch that a checkpoint was written in."""

    @abstractmethod
    def has_more(self) -> bool:
        """Whether there are rows for a further step."""

    @abstractmethod
    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """Takes so many steps, or all that are left; False where the time was over before."""

    @abstractmethod
    def end_epoch(self, epoch: int) -> None:
        """After the last step of that epoch: its parameters become the network's, if they are not yet."""

    def next_epoch(self) -> None:
        """On to the first row."""
        self.position, self.loss = 0, 0.0


class ArrayRows(Source):
    """Rows of an array, a frame, a sparse matrix or a mapped file."""

    def __init__(
        self, network: Network, rows: _core.Rows, validation: _core.Rows | None, plan: FitPlan, optimizer: Optimizer
    ) -> None:
        super().__init__(network, validation)
        self.rows, self.n_rows = rows, rows.n_rows
        self.batch_size = rows_of_a_step(optimizer, plan.batch_size, self.n_rows)
        self.order: Any = None
        self._weighed = 0, 0.0  # so many rows of the epoch, and their weight
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
        """The shuffle that is used where True may stand for two."""
        return "blocks" if isinstance(self.order, _core.BlockOrder) else bool(self._shuffle)

    @property
    def steps_per_epoch(self) -> int:
        """The number of steps that an epoch takes."""
        return -(-self.n_rows // self.batch_size)

    @property
    def step(self) -> int:
        """Steps of the epoch that are done."""
        return -(-self.position // self.batch_size)

    @property
    def is_whole(self) -> bool:
        """Whether the epoch's rows are all done."""
        return self.position == self.n_rows

    @property
    def share(self) -> float:
        """How much of the epoch is done."""
        return self.position / self.n_rows

    @property
    def running_loss(self) -> float | None:
        """The mean loss so far; with weights it would need a pass over them."""
        return self.loss / max(self.position, 1) if self.rows.weights is None else None

    @property
    def mean_loss(self) -> float:
        """The weighted mean of the losses of the epoch's rows so far; 0 where they all weigh nothing."""
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
        """Draws the order of the rows; of an epoch that a checkpoint was written in, once more."""
        self.network._begin_epoch(self.rows, self.order)

    def has_more(self) -> bool:
        """Whether there are rows for a further step."""
        return self.position < self.n_rows

    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """Takes so many steps, or all that are left; False where the time was over before."""
        end = self.n_rows if n_steps is None else min(self.n_rows, self.position + n_steps * self.batch_size)
        self.position, self.loss = self.network._stretch(
            self.rows, self.batch_size, self.order, self.position, end, self.loss, seconds
        )
        return self.position == end

    def end_epoch(self, epoch: int) -> None:
        """Nothing: the last row's step has published the parameters."""

    def next_epoch(self) -> None:
        """On to the first row."""
        super().next_epoch()
        self._weighed = 0, 0.0


def rows_of_a_step(optimizer: Optimizer, batch_size: int | None, n_rows: int) -> int:
    """How many rows a step takes; all, where the optimiser needs them and nobody has asked for fewer."""
    if batch_size is None or (optimizer.full_batch and batch_size is DEFAULT_BATCH_SIZE):
        return n_rows
    if optimizer.full_batch and batch_size < n_rows:
        raise ValueError(
            f"batch_size: expected None, as {optimizer.name!r} takes all {n_rows} rows in each step, got {batch_size}"
        )
    return min(batch_size, n_rows)


class BatchRows(Source):
    """Batches of an iterable, each a step of the size that it has; the next is asked for when the last step is done.

    Parameters
    ----------
    network : Network
    open_batches : function
        Begins the batches of an epoch.
    validation : Rows or None
    plan : FitPlan
    validation_data : object
        What `validation` was made of: it is read again when the first batch has told the names of the columns.
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
        self._schema: Schema = network._columns[2]  # and what the first batch tells
        self._is_first = True
        self._batches: Iterator[Any] = iter(())
        self._next: _core.Rows | None = None
        self._step, self._weight, self._ended = 0, 0.0, False
        self._last_n_rows: int | None = None  # of the epoch before

    @property
    def step(self) -> int:
        """Batches of the epoch that are done."""
        return self._step

    @property
    def is_whole(self) -> bool:
        """Whether the batches of the epoch have come to their end."""
        return self._ended

    @property
    def share(self) -> float | None:
        """How much of the epoch is done, by the number of rows of the one before."""
        return None if self._last_n_rows is None else min(self.position / self._last_n_rows, 1.0)

    @property
    def mean_loss(self) -> float:
        """The weighted mean of the losses of the epoch's rows so far."""
        return self.loss / (self._weight or 1.0)

    def begin_epoch(self) -> None:
        """Asks for the batches anew."""
        self._batches = self._open()

    def has_more(self) -> bool:
        """Whether another batch has come; it is checked before it is used."""
        for batch in self._batches:
            self._next = self._rows_of(batch)
            if self._step == 0:
                self.network._begin_epoch(self._next, None)
            return True
        self._ended = True
        return False

    def advance(self, n_steps: int | None, seconds: float) -> bool:
        """A step on the batch that has come; False where the time is over."""
        rows = self._next
        assert rows is not None
        n = rows.n_rows
        done, self.loss = self.network._stretch(rows, n, None, 0, n, self.loss, seconds, True)
        if done < n:
            return False
        self._step, self.position, self._weight = self._step + 1, self.position + n, self._weight + rows.total_weight
        return True

    def end_epoch(self, epoch: int) -> None:
        """Its parameters become the network's; an epoch without batches is an error."""
        if self._step == 0:
            raise ValueError(f"X: expected batches, got none in epoch {epoch + 1}")
        self.network._publish_epoch_so_far()

    def next_epoch(self) -> None:
        """On to the first batch."""
        self._last_n_rows = self.position
        self._step, self._weight, self._ended = 0, 0.0, False
        super().next_epoch()

    def _rows_of(self, batch: Any) -> _core.Rows:
        """A batch, checked; an error says which."""
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
            if self._validation_data is not None:  # its columns are those of the first batch, by their names
                self.validation = check_validation(network, self._validation_data, self._schema)
        return rows


def opener(source: Any, epochs: int) -> Callable[[], Iterator[Any]]:
    """What begins an epoch's batches."""
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
    """The iterator of an iterable."""
    if not isinstance(source, Iterable):
        raise TypeError(f"X: expected an iterable of batches (X, y) where y is None, got {type(source).__name__}")
    return iter(source)
