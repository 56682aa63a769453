"""Measurements side by side: interleaved rounds, and what is read from them.

A time is the median of its rounds, between the quartiles; a ratio is the median of the ratios within each round.
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

REFERENCE_SECONDS = 20.0  # pure Python stops taking part in the rounds of a case after so long


def _bounded(case: Case) -> Callable[[], float]:
    """What a round measures; pure Python stops taking part in time, which is a NaN in its place."""
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
    """One workload and kind on one kind of data, and the times per row of all cases."""

    workload: Workload
    kind: str
    source: str
    cases: dict[str, Case]
    times: dict[str, list[float]] = field(repr=False)

    @classmethod
    def take(cls, cases: Sequence[Case], source: str, n_rounds: int) -> Measurement:
        """Time the cases, which are of the same workload and kind."""
        for case in cases:
            case.settle()
        first = cases[0]
        by_label = {case.label: case for case in cases}
        times = interleaved([_bounded(case) for case in cases], n_rounds)
        return cls(first.verified.workload, first.kind, source, by_label, dict(zip(by_label, times, strict=True)))

    @property
    def n_rows(self) -> int:
        """Rows of what is reported: one, all, or those of an epoch."""
        return 1 if self.kind == ROW else max(case.n_rows for case in self.cases.values())

    @property
    def what(self) -> str:
        """The kind with its number of rows."""
        return {ROW: ROW, ROWS: f"{self.n_rows:,} rows", EPOCH: f"epoch of {self.n_rows:,} rows"}[self.kind]

    @property
    def peers(self) -> list[str]:
        """What fastmlp is measured against: not itself, and not its reference."""
        return [label for label in self.times if not label.startswith(("fastmlp", "reference"))]

    def quartiles(self, label: str) -> list[float]:
        """Lower quartile, median and upper quartile in seconds."""
        return [float(value) * self.n_rows for value in np.nanpercentile(self.times[label], (25, 50, 75))]

    def seconds(self, label: str) -> float:
        """The median."""
        return self.quartiles(label)[1]

    def ratio(self, label: str, base: str) -> float:
        """By how much the base is faster."""
        return float(np.nanmedian(np.array(self.times[label]) / np.array(self.times[base])))

    def fastest_peer(self) -> str | None:
        """The peer with the least median."""
        return min(self.peers, key=self.seconds, default=None)

    def rate(self, label: str) -> float:
        """Multiply-adds per second."""
        return self.n_rows * multiply_adds(self.workload, self.kind) / self.seconds(label)

    def floor(self, label: str, machine: Machine) -> Floor:
        """The floor in the dtype of that case."""
        dtype = self.cases[label].verified.implementation.dtype
        return floor(self.workload, self.kind, self.n_rows, dtype, machine)
