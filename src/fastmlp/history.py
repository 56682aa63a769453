"""The history of a fit: what `Network.fit` returns, one list of numbers per recorded name.

A `History` is read like a dict (`history["loss"]`) or by attribute (`history.loss`). Only `fit` adds to it,
one epoch at a time and always the same names, so all lists have the same length. It holds plain lists of
floats and nothing of the network, so it can be pickled and outlives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class History(Mapping[str, list[float]]):
    """The numbers of each epoch by name: `loss`, and with validation data `val_loss` and, for the cross
    entropies, `val_accuracy`, and for each metric `val_<name>`.

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
    """

    __slots__ = ("_records", "_stopped")

    def __init__(self, records: Mapping[str, list[float]] | None = None) -> None:
        self._stopped: str | None = None
        self._records = {name: list(values) for name, values in (records or {}).items()}
        lengths = {name: len(values) for name, values in self._records.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"records: expected lists of equal length, got {lengths}")

    @property
    def epochs(self) -> int:
        """How many epochs are recorded."""
        return len(next(iter(self._records.values()), ()))

    @property
    def stopped(self) -> str | None:
        """Why the training ended: "epochs" (all were run), "callback" (one said so), "early_stopping", "max_time",
        "converged" (the optimiser, L-BFGS, has found a minimum), or a callback's own `stop_reason`; None before it has.
        """
        return self._stopped

    def _append(self, logs: Mapping[str, float]) -> None:
        """Add an epoch; the names are the same in each."""
        if self._records and set(logs) != set(self._records):
            raise ValueError(f"logs: expected the names {list(self._records)}, got {list(logs)}")
        for name, value in logs.items():
            self._records.setdefault(name, []).append(float(value))

    def __getitem__(self, name: str) -> list[float]:
        return self._records[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def __getattr__(self, name: str) -> list[float]:
        # copy and pickle look up special names before _records exists
        if not name.startswith("_") and name in self._records:
            return self._records[name]
        raise AttributeError(f"History has no record {name!r}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._records]

    def __repr__(self) -> str:
        parts = []
        for name, values in self._records.items():
            ends = values if len(values) < 2 else [values[0], values[-1]]
            parts.append(" ".join([name, " -> ".join(f"{value:.4g}" for value in ends)]).strip())
        count = f"{self.epochs} epoch{'' if self.epochs == 1 else 's'}"
        return f"History({count}{': ' if parts else ''}{', '.join(parts)})"
