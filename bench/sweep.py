"""Sweeps over numbers of rows, layer widths and batch sizes, to find sizes that are much slower than their neighbours.

    python bench/sweep.py [--what batch hidden inputs training] [--implementation NAME] [--cpu N] [--dtype float64]

- batch: the networks A-D on B rows at once; consecutive calls use different rows of the same data.
- hidden, inputs: 128-w-w-10 and w-128-10 relu, on one row and on 1,000 rows; w is around the edges of the tiles.
- training: T1-T4 in batches of B rows, an epoch of few rows.

All points of a sweep are verified, and then timed in interleaved rounds. A point is flagged as a cliff if a
multiply-add takes more than CLIFF times as long as at both neighbouring points.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import report
import rounds
from floors import multiply_adds
from rounds import interleaved, repeats, seconds
from timing import EPOCH, ROWS
from verification import verify
from workloads import RANDOM, WORKLOADS, Workload, data

import fastmlp
from implementations import names

BATCHES = (1, 2, 3, 4, 6, 7, 8, 16, 64, 1_000, 10_000)
WIDTHS = (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 96, 100, 127, 128, 129, 200, 256, 257)
TRAINING_BATCHES = (1, 2, 3, 7, 10, 32, 64, 100, 128, 129, 256)
TRAINING_ROWS = {"T1": 2000, "T2": 2000, "T3": 500, "T4": 2000}
FEW = {"batch": (1, 3, 16), "hidden": (1, 16, 17), "inputs": (1, 16, 17), "training": (1, 10, 129)}  # --quick
CLIFF = 1.25
_POOL_ROWS, _SECONDS = 1024, 5e-3


@dataclasses.dataclass
class Point:
    """One network with one number of rows; `run(n)` goes n times through `n_rows` rows."""

    run: Callable[[int], Any]
    n_rows: int
    multiply_adds: int  # of one row
    calls: int = 1

    def once(self) -> float:
        """Run once, and return the seconds per row."""
        return seconds(lambda: self.run(self.calls)) / (self.calls * self.n_rows)


def forward(name: str, workload: Workload, n_rows: int, dtype: str) -> Point:
    """Verify and return the point for predictions of n_rows rows at once."""
    x, y = data(workload, RANDOM, max(_POOL_ROWS, n_rows), dtype)
    checked = verify(name, workload, x, y, dtype).implementation
    starts = range(0, len(x) - n_rows + 1, n_rows)
    blocks = [checked.convert(x[start : start + n_rows]) for start in starts] if n_rows > 1 else checked.single_rows(x)
    predict = checked.predict_row if n_rows == 1 else checked.predict

    def run(calls: int) -> None:
        with checked.context():
            for _ in range(calls):
                for block in blocks:
                    predict(block)

    return Point(run, n_rows * len(blocks), multiply_adds(workload, ROWS))


def training(name: str, workload: Workload, n_rows: int, dtype: str) -> Point:
    """Verify and return the point for epochs in the workload's batches."""
    x, y = data(workload, RANDOM, n_rows, dtype)
    checked = verify(name, workload, x, y, dtype).implementation
    rows, wanted = checked.convert(x), checked.convert(y)

    def run(calls: int) -> None:
        for _ in range(calls):
            checked.fit(rows, wanted, shuffle=True, batch_size=workload.batch_size)

    return Point(run, n_rows, multiply_adds(workload, EPOCH))


def points(what: str, name: str, dtype: str, quick: bool) -> dict[str, dict[int, Point]]:
    """Return the points of a sweep: series -> abscissa -> point."""
    if what == "batch":
        wanted = [workload for workload in WORKLOADS.values() if not workload.trains]
        sizes = FEW[what] if quick else BATCHES
        return {str(workload): {B: forward(name, workload, B, dtype) for B in sizes} for workload in wanted}
    if what == "training":
        sizes = FEW[what] if quick else TRAINING_BATCHES
        return {
            str(WORKLOADS[each]): {
                B: training(name, dataclasses.replace(WORKLOADS[each], batch_size=B), n_rows, dtype) for B in sizes
            }
            for each, n_rows in TRAINING_ROWS.items()
        }
    shape = {"hidden": lambda w: (128, w, w, 10), "inputs": lambda w: (w, 128, 10)}[what]
    letters = {"hidden": "128-w-w-10", "inputs": "w-128-10"}[what]
    widths = FEW[what] if quick else WIDTHS
    return {
        f"{letters} relu, {B:,} row{'s' * (B > 1)}": {
            w: forward(name, Workload(f"w={w}", shape(w), "relu"), B, dtype) for w in widths
        }
        for B in ((1, 7) if quick else (1, 1_000))
    }


def cliffs(costs: Sequence[float]) -> list[int]:
    """Return the positions with more than CLIFF times the cost of both neighbours."""
    return [i for i in range(1, len(costs) - 1) if costs[i] > CLIFF * max(costs[i - 1], costs[i + 1])]


def measure(series: dict[str, dict[int, Point]], n_rounds: int) -> dict[str, dict[int, float]]:
    """Measure all points: series -> abscissa -> median seconds per row."""
    every = [point for each in series.values() for point in each.values()]
    for point in every:
        point.calls = repeats(point.run, _SECONDS) if n_rounds > 1 else 1
    times = interleaved([point.once for point in every], n_rounds)
    medians = iter([float(np.median(values)) for values in times])
    return {name: {value: next(medians) for value in each} for name, each in series.items()}


def tables(abscissa: str, series: dict[str, dict[int, Point]], times: dict[str, dict[int, float]]) -> str:
    """Format time per row and GFLOP/s of every point, a row for each abscissa; cliffs are bold, and listed below."""
    cells: dict[int, list[str]] = {value: [] for each in series.values() for value in each}
    flagged = []
    for name, each in times.items():
        costs = [time / series[name][value].multiply_adds for value, time in each.items()]
        rates = [f"{2e-9 / cost:.3g}" for cost in costs]
        bad = cliffs(costs)
        for i, (value, time) in enumerate(each.items()):
            text = f"{report.duration(time)}, {rates[i]}"
            cells[value].append(f"**{text}**" if i in bad else text)
        values = list(each)
        flagged += [
            f"- {name}, {abscissa} = {values[i]:,}: {rates[i]} GFLOP/s between {rates[i - 1]} and {rates[i + 1]}"
            for i in bad
        ]
    columns = (abscissa, *(f"{name}: time per row, GFLOP/s" for name in times))
    body = report.table(columns, [(f"{value:,}", *texts) for value, texts in cells.items()])
    title = f"Cliffs (a multiply-add takes more than {CLIFF}× as long as at both neighbours):"
    return "\n".join((body, "", title, "", *(flagged or ["- none"])))


ABSCISSAS = {"batch": "B", "hidden": "w", "inputs": "w", "training": "batch size"}


def main() -> int:
    """Verify, measure and print the tables."""
    parser = report.parser(__doc__, rounds=7)
    own = f"fastmlp {fastmlp.Network([1, 1]).engine}"
    parser.add_argument("--what", nargs="+", choices=ABSCISSAS, default=list(ABSCISSAS))
    parser.add_argument("--implementation", choices=names(), default=own)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    rounds.use(options.clock)
    report.pin(options.cpu)
    print(
        report.provenance(options.cpu, options.dtype, options.implementation, "random data", f"{options.clock} time"),
        flush=True,
    )
    for what in options.what:
        series = points(what, options.implementation, options.dtype, options.quick)
        share = rounds.Share()
        times = measure(series, 1 if options.quick else options.rounds)
        print("", f"### Sweep: {what}", "", tables(ABSCISSAS[what], series, times), "", share, sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
