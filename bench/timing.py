"""Case: a verified implementation with one kind of benchmark, which `Case.once` times.

There are three kinds, KINDS: predictions of single rows, a prediction of many rows, and an epoch of training. A time is
in seconds per row. Inputs are converted, and everything runs once, before the first measurement.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from rounds import seconds
from verification import Verified, verify
from workloads import Workload, data

Array = np.ndarray[Any, Any]

ROW, ROWS, EPOCH = "one row", "rows", "epoch"
KINDS = (ROW, ROWS, EPOCH)
_DISTINCT_ROWS = 256  # number of different rows that calls with a single row use in turn


def kinds(workload: Workload) -> tuple[str, ...]:
    """Return the kinds of benchmark for the workload."""
    return (EPOCH,) if workload.trains else (ROW, ROWS)


@dataclass
class Case:
    """A verified implementation, a kind of measurement and its inputs, converted."""

    verified: Verified
    kind: str
    x: Any
    y: Any
    n_rows: int
    calls: int = 1
    label: str = ""

    def __post_init__(self) -> None:
        self.label = self.label or self.verified.implementation.name

    @classmethod
    def make(cls, verified: Verified, kind: str, x: Array, y: Array, quick: bool = False) -> Case:
        """Make a case on the rows x with targets y; pure Python uses only as many as give a stable time per row."""
        if not isinstance(verified, Verified):
            raise TypeError(f"verified: expected a Verified, got {verified!r}; nothing is timed that is not verified")
        implementation, workload = verified.implementation, verified.workload
        n_rows = _DISTINCT_ROWS if kind == ROW else len(x)
        if implementation.name == "reference":
            n_rows = min(
                n_rows, workload.batch_size * workload.reference_batches if workload.trains and not quick else 8
            )
        n_rows = min(n_rows, len(x))
        rows = (implementation.single_rows if kind == ROW else implementation.convert)(x[:n_rows])
        case = cls(verified, kind, rows, implementation.convert(y[:n_rows]), n_rows)
        if implementation.name != "reference":
            case.once()
        return case

    def run(self) -> None:
        """Do the work that is timed."""
        implementation = self.verified.implementation
        if self.kind == ROW:
            predict = implementation.predict_row
            for _ in range(self.calls):
                for row in self.x:
                    predict(row)
        elif self.kind == ROWS:
            for _ in range(self.calls):
                implementation.predict(self.x)
        else:
            for _ in range(self.calls):
                implementation.fit(self.x, self.y, shuffle=True, batch_size=self.verified.workload.batch_size)

    def settle(self, wanted: float = 0.02) -> None:
        """Set `calls` so that a measurement takes about `wanted` seconds; one of pure Python takes longer anyway."""
        if self.verified.implementation.name != "reference":
            self.calls = 1
            self.calls = max(1, round(wanted / (self.once() * self.n_rows)))

    @property
    def n_units(self) -> int:
        """The number of rows that `run` processes."""
        return self.n_rows * self.calls

    def once(self) -> float:
        """Run once, and return the seconds per row; single rows include the loop over them, about 0.02 µs per row."""
        with contextlib.nullcontext() if self.kind == EPOCH else self.verified.implementation.context():
            return seconds(self.run) / self.n_units


def verified_cases(
    names: list[str], workload: Workload, source: str, dtype: str, quick: bool = False
) -> dict[str, list[Case]]:
    """Verify the implementations on the data; return a case for each of them by kind. `quick` uses only a few rows."""
    n_rows = workload.check_rows if quick else workload.n_rows
    x, y = data(workload, source, n_rows, dtype)
    verified = [verify(name, workload, x, y, dtype) for name in names]
    return {kind: [Case.make(one, kind, x, y, quick) for one in verified] for kind in kinds(workload)}
