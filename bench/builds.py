"""Times the workloads on two builds of fastmlp, to measure the cost of a change.

    python bench/builds.py OLD NEW [--cpu N] [--rounds N] [--pairs N] [--clock cpu] [--workloads C T4 ...] [--quick]

OLD and NEW are folders to import fastmlp from, such as `src` of two checkouts that are built in place. Each build runs
in one process per pair (two pairs by default), started in the order old, new, new, old: the placement of its memory
makes one process up to 3 % faster than another of the same build, and this affects both builds alike. In a round, every
process takes one measurement, one after another; every build is verified before it is timed.

The table has the median times, and the median and quartiles of the ratios within a round. A ratio is judged by its
median. It is unsettled if a bound lies between its quartiles; more rounds or pairs are then needed.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

if "--worker" in sys.argv:
    sys.path.insert(0, sys.argv[sys.argv.index("--worker") + 1])

import numpy as np
import report
import rounds
from timing import ROW, Array, Case, kinds, verified_cases
from workloads import RANDOM, WORKLOADS

import fastmlp

OLD_FIRST, NEW_FIRST = (0, 1), (1, 0)
MAX_CHANGE = 0.015  # relative change of a time, up or down


def order(n_pairs: int) -> list[int]:
    """Return the build of each process, 0 for old and 1 for new: old, new, new, old, ..."""
    return [which for pair in range(n_pairs) for which in (NEW_FIRST if pair % 2 else OLD_FIRST)]


def verdict(low: float, ratio: float, high: float) -> str:
    """Judge a ratio by its median; it is unsettled if a bound lies between its quartiles `low` and `high`."""
    bounds = 1 - MAX_CHANGE, 1 + MAX_CHANGE
    is_within = bounds[0] <= ratio <= bounds[1]
    is_settled = not any(low < bound < high for bound in bounds)
    return report.verdict(is_within) + ("" if is_settled else ", unsettled")


def work(dtype: str, quick: bool) -> None:
    """Run as a worker: read a workload and a kind from each line of stdin, and print the seconds per row."""
    engine, cases, current = fastmlp.Network([1, 1]).engine, dict[str, Case](), ""
    for line in sys.stdin:
        name, kind = line.rstrip().split(",")
        if name != current:  # only the data of one workload are kept in memory
            cases, current = {}, name
        if line not in cases:
            cases[line] = verified_cases([f"fastmlp {engine}"], WORKLOADS[name], RANDOM, dtype, quick)[kind][0]
            if not quick:
                cases[line].settle()
        print(cases[line].once(), flush=True)


class Worker:
    """A process that measures one build."""

    def __init__(self, folder: str, options: list[str]) -> None:
        command = [sys.executable, __file__, "--worker", folder, *options]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, name: str, kind: str) -> float:
        """Take a measurement, in seconds per row."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(f"{name},{kind}", file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"{name}, {kind}: a process ended without an answer, see above")
        return float(answer)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def ratios(times: Array, builds: list[int]) -> Array:
    """Return new over old time in each round, the geometric mean over all pairs; `times` is (processes, rounds)."""
    old, new = (np.log(times[np.array(builds) == which]) for which in (0, 1))
    return np.exp(new.mean(axis=0) - old.mean(axis=0))


def lines(workers: list[Worker], builds: list[int], names: list[str], n_rounds: int) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each workload and kind: medians, the ratio within a round, and the verdict."""
    for name in names:
        for kind in kinds(WORKLOADS[name]):
            measures = [functools.partial(worker.ask, name, kind) for worker in workers]
            n_rows = 1 if kind == ROW else WORKLOADS[name].n_rows
            times = np.array(rounds.interleaved(measures, n_rounds))
            old, new = (times[np.array(builds) == which] for which in (0, 1))
            low, ratio, high = np.percentile(ratios(times, builds), (25, 50, 75))
            yield (
                f"{WORKLOADS[name]}, {kind}",
                *(report.duration(float(np.median(each)) * n_rows) for each in (old, new)),
                *(f"{value:.3f}" for value in (low, ratio, high)),
                verdict(low, ratio, high),
            )


def main() -> int:
    """Start the workers, measure in interleaved rounds, print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("folders", nargs=2, metavar="FOLDER", help="folder of the old build, and of the new one")
    parser.add_argument("--pairs", type=int, default=2, help="processes of each build")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    report.pin(options.cpu)
    worker_options = ["--dtype", options.dtype, "--clock", options.clock, *["--quick"] * options.quick]
    folders = [str(Path(folder).resolve()) for folder in options.folders]
    print(report.provenance(options.cpu, f"{options.dtype}, {options.clock} time"))
    builds = order(options.pairs)
    workers = [Worker(folders[which], worker_options) for which in builds]
    rows = list(lines(workers, builds, options.workloads, 1 if options.quick else options.rounds))
    for worker in workers:
        worker.close()
    columns = ("workload", "old", "new", "lower quartile", "new / old", "upper quartile", f"within ±{MAX_CHANGE:.1%}")
    print("", report.table(columns, rows), "", sep="\n")
    beyond = [row[0] for row in rows if not row[-1].startswith(report.verdict(True))]
    print(f"beyond ±{MAX_CHANGE:.1%}: {'; '.join(beyond) or 'none'}")
    return 0


if __name__ == "__main__":
    if "--worker" in sys.argv:
        if Path(fastmlp.__file__).parents[1] != Path(sys.path[0]):
            raise SystemExit(f"expected a build of fastmlp in {sys.path[0]}, got {fastmlp.__file__}")
        rounds.use(sys.argv[sys.argv.index("--clock") + 1])
        work(sys.argv[sys.argv.index("--dtype") + 1], "--quick" in sys.argv)
    else:
        sys.exit(main())
