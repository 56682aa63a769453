"""The history of a fit, which `Network.fit` returns: a list with one number per epoch for each recorded name.

A `History` is a dict, so pandas, polars and JSON accept it without conversion. Its lists are read by key
(`history["loss"]`) or by attribute (`history.loss`). Only `fit` adds to it, one epoch at a time, so all lists have the
same length; a name without a number in an epoch has NaN there. A history holds plain lists of floats and no reference
to the network, so it can be pickled and kept without the network.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

REPR_LENGTH = 100  # a repr shows curves up to this number of characters, and counts the others


class History(dict[str, list[float]]):
    """The numbers of each epoch, in a list for each name.

    `loss` is always there. With validation data there are `val_loss`, `val_accuracy` for losses of classes, and
    `val_<name>` for each metric. Callbacks add further names through `logs`.

    Parameters
    ----------
    records : mapping of str to list of float, optional
        The initial lists, which must have equal lengths.

    Examples
    --------
    >>> history = History({"loss": [0.5, 0.25], "val_loss": [0.75, 0.5]})
    >>> history
    History(2 epochs: loss 0.5 -> 0.25, val_loss 0.75 -> 0.5)
    >>> history.val_loss
    [0.75, 0.5]
    >>> list(history), history.epochs
    (['loss', 'val_loss'], 2)
    >>> history.to_dict()  # of lists, for pandas.DataFrame, polars.DataFrame, json.dumps
    {'loss': [0.5, 0.25], 'val_loss': [0.75, 0.5]}
    """

    __slots__ = ("_error", "_stopped")

    def __init__(self, records: Mapping[str, list[float]] | None = None) -> None:
        super().__init__({name: list(values) for name, values in (records or {}).items()})
        self._stopped: str | None = None
        self._error: BaseException | None = None
        lengths = {name: len(values) for name, values in self.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"records: expected lists of equal length, got {lengths}")

    @property
    def epochs(self) -> int:
        """Number of recorded epochs."""
        return len(next(iter(self.values()), ()))

    @property
    def stopped(self) -> str | None:
        """Why the training ended; None while it runs.

        The reason is "epochs" (all of them were run), "callback" (a callback returned True), "early_stopping",
        "max_time", "converged" (a whole-batch method such as L-BFGS has found a minimum), the `stop_reason` of a
        callback, "interrupted" (Ctrl-C) or "error" (another exception).
        """
        return self._stopped

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the training of this network in `fastmlp.fit_many`; None if there was none.

        `fit` raises its exception instead. Pickles and copies of a history do not contain it.
        """
        return self._error

    def to_dict(self) -> dict[str, list[float]]:
        """Return the lists as a plain dict of new lists of floats, without `stopped`."""
        return {name: list(values) for name, values in self.items()}

    # -- methods that `fit` calls -------------------------------------------------------------------------------------

    def _append(self, logs: Mapping[str, float]) -> None:
        """Add an epoch with these numbers.

        Names that are not in `logs` get NaN for this epoch, and new names get NaN for all earlier epochs.
        """
        n = self.epochs
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * n).append(float(value))
        for values in self.values():
            if len(values) == n:
                values.append(math.nan)

    def _note(self, logs: Mapping[str, float]) -> None:
        """Set these numbers of the last epoch, besides those that it has."""
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * self.epochs)[-1] = float(value)

    def _end_by(self, error: BaseException) -> None:
        """Record that the exception ended the training, and make this history the exception's attribute `history`.

        An epoch that only some of the lists have is removed.
        """
        n = min(map(len, self.values()), default=0)
        for values in self.values():
            del values[n:]  # Ctrl-C may have come after an epoch was added to one list and before the next list
        self._stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        with contextlib.suppress(Exception):  # a class of exceptions may have no writable attributes
            error.history = self  # type: ignore[attr-defined]

    # -- access by attribute, pickle, repr ----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> list[float]:
        # copy and pickle look up special names before the object has its attributes
        if not name.startswith("_") and name in self:
            return self[name]
        raise AttributeError(f"History has no record {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, {"_stopped": self._stopped}

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Restore a pickled history. Version 0.1.0 stored the lists in an attribute `_records`."""
        self._stopped, self._error = state[1]["_stopped"], None
        self.update(state[1].get("_records", {}))

    def __repr__(self) -> str:
        parts: list[str] = []
        for name, values in self.items():
            ends = values if len(values) < 2 else [values[0], values[-1]]
            parts.append(" ".join([name, " -> ".join(f"{value:.4g}" for value in ends)]).strip())
            if len(parts) > 1 and len(", ".join(parts)) > REPR_LENGTH:
                parts[-1:] = [f"and {len(self) - len(parts) + 1} more"]
                break
        count = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return f"History({count}{': ' if parts else ''}{', '.join(parts)})"
