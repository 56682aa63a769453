"""The history of a fit: what `Network.fit` returns, one list of numbers per recorded name.

A `History` is a dict, so pandas, polars and JSON take it as it stands, and is read by key (`history["loss"]`) or by
attribute (`history.loss`). Only `fit` adds to it, an epoch at a time, so all lists have the same length; an epoch in
which a name has no number has NaN. It holds plain lists of floats and nothing of the network, so it can be pickled and
outlives it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from typing import Any

REPR_LENGTH = 100  # characters of curves that a repr shows; the others are counted


class History(dict[str, list[float]]):
    """The numbers of each epoch by name: `loss`, and with validation data `val_loss` and, for the cross
    entropies, `val_accuracy`, for each metric `val_<name>`, and what callbacks have put into `logs`.

    Parameters
    ----------
    records : mapping of str to list of float, optional
        What to begin with; lists of equal length.

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

    __slots__ = ("_stopped",)

    def __init__(self, records: Mapping[str, list[float]] | None = None) -> None:
        super().__init__({name: list(values) for name, values in (records or {}).items()})
        self._stopped: str | None = None
        lengths = {name: len(values) for name, values in self.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"records: expected lists of equal length, got {lengths}")

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return len(next(iter(self.values()), ()))

    @property
    def stopped(self) -> str | None:
        """Why the training ended: "epochs" (all were run), "callback" (one said so), "early_stopping", "max_time",
        "converged" (the optimiser, L-BFGS, has found a minimum), a callback's own `stop_reason`, "interrupted" (Ctrl-C)
        or "error" (another exception); None before it has.
        """
        return self._stopped

    def to_dict(self) -> dict[str, list[float]]:
        """The curves as a plain dict of new lists of floats; `stopped` is not part of it."""
        return {name: list(values) for name, values in self.items()}

    # -- what fit writes ----------------------------------------------------------------------------------------------

    def _append(self, logs: Mapping[str, float]) -> None:
        """Add an epoch with these numbers; NaN under the other names, and before under new ones."""
        n = self.epochs
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * n).append(float(value))
        for values in self.values():
            if len(values) == n:
                values.append(math.nan)

    def _note(self, logs: Mapping[str, float]) -> None:
        """Set more numbers of the last epoch."""
        for name, value in logs.items():
            self.setdefault(name, [math.nan] * self.epochs)[-1] = float(value)

    def _end_by(self, error: BaseException) -> None:
        """Takes the whole epochs as all that there is, and goes with the exception that has ended the training."""
        n = min(map(len, self.values()), default=0)
        for values in self.values():
            del values[n:]  # a Ctrl-C may have come between two curves
        self._stopped = "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        with contextlib.suppress(Exception):  # a class of the user's own may refuse
            error.history = self  # type: ignore[attr-defined]

    # -- how it is read -----------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> list[float]:
        # copy and pickle look up special names of an object that is still empty
        if not name.startswith("_") and name in self:
            return self[name]
        raise AttributeError(f"History has no record {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """What pickle calls; version 0.1.0 kept the curves in a dict of its own."""
        self._stopped = state[1]["_stopped"]
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
