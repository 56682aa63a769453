"""Measurement: the times of several implementations in interleaved rounds, and statistics of them.

A reported time is the median over the rounds, with its quartiles; a ratio is the median of the ratios within a round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from calibrate import Machine
from floors import Floor, floor, multiply_adds
from rounds import interleaved
from timing import EPOCH, ROW, ROWS, Case
from workloads import Workload

REFERENCE_SECONDS = 20.0  # after this time, pure Python takes no part in further rounds of a case


def _bounded(case: Case) -> Callable[[], float]:
    """Return what a round calls to measure a case; for pure Python it returns NaN after REFERENCE_SECONDS."""
    if case.verified.implementation.name != "reference":
        return case.once
    spent = 0.0

    def once() -> float:
        nonlocal spent
        if spent > REFERENCE_SECONDS:
            return float("nan")
        per_row = case.once()
        spent += per_row * case.n_units
        return per_row

    return once


@dataclass
class Measurement:
    """The times per row of all cases of one workload and kind, on data from one source."""

    workload: Workload
    kind: str
    source: str
    cases: dict[str, Case]
    times: dict[str, list[float]] = field(repr=False)

    @classmethod
    def take(cls, cases: Sequence[Case], source: str, n_rounds: int) -> Measurement:
        """Measure the cases, which must be of the same workload and kind."""
        for case in cases:
            case.settle()
        first = cases[0]
        by_label = {case.label: case for case in cases}
        times = interleaved([_bounded(case) for case in cases], n_rounds)
        return cls(first.verified.workload, first.kind, source, by_label, dict(zip(by_label, times, strict=True)))

    @property
    def n_rows(self) -> int:
        """The number of rows for which times are reported: 1 for the kind `ROW`, otherwise all."""
        return 1 if self.kind == ROW else max(case.n_rows for case in self.cases.values())

    @property
    def what(self) -> str:
        """The kind with its number of rows."""
        return {ROW: ROW, ROWS: f"{self.n_rows:,} rows", EPOCH: f"epoch of {self.n_rows:,} rows"}[self.kind]

    @property
    def peers(self) -> list[str]:
        """The labels of implementations that are not of fastmlp."""
        return [label for label in self.times if not label.startswith(("fastmlp", "reference"))]

    def quartiles(self, label: str) -> list[float]:
        """Return the lower quartile, median and upper quartile in seconds."""
        return [float(value) * self.n_rows for value in np.nanpercentile(self.times[label], (25, 50, 75))]

    def seconds(self, label: str) -> float:
        """Return the median in seconds."""
        return self.quartiles(label)[1]

    def ratio(self, label: str, base: str) -> float:
        """Return the median of the time over that of `base` in the same round."""
        return float(np.nanmedian(np.array(self.times[label]) / np.array(self.times[base])))

    def fastest_peer(self) -> str | None:
        """Return the label of the peer with the lowest median; None if there are no peers."""
        return min(self.peers, key=self.seconds, default=None)

    def rate(self, label: str) -> float:
        """Return the multiply-adds per second."""
        return self.n_rows * multiply_adds(self.workload, self.kind) / self.seconds(label)

    def floor(self, label: str, machine: Machine) -> Floor:
        """Return the floor (`floors.py`) in the dtype of the case."""
        dtype = self.cases[label].verified.implementation.dtype
        return floor(self.workload, self.kind, self.n_rows, dtype, machine)
