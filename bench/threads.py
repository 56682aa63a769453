"""Measures the gain by two threads, compared with that of a loop of multiply-adds; and the gain by n_threads="auto".

    python bench/threads.py [--rounds N] [--dtype float64] [--quick]

The process is not pinned, and needs two free cores. Each round times the loop of multiply-adds (`calibrate.TwoLoops`)
and every workload, on one thread and on the other number of threads; a gain is the median of the ratios within a round.
The gain by two threads is judged only if the loop gains enough (`targets.py`), because two logical cores may be one
physical core.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import sys
from typing import Any

import numpy as np
import report
import rounds
import targets
from calibrate import AVAILABLE, TwoLoops
from timing import EPOCH, ROWS, Case, kinds
from verification import verify_new
from workloads import RANDOM, WORKLOADS, Workload, data

import fastmlp
from implementations import Engine

JUDGED = (("T3", EPOCH), ("D", ROWS))  # on two threads
SLOWED = 1.05  # "auto" may take up to this multiple of one thread's time; smaller losses are within the noise


def case(workload: Workload, kind: str, dtype: str, n_threads: Any, quick: bool) -> Case:
    """Verify the engine that fastmlp chooses with n_threads, and return its case."""
    x, y = data(workload, RANDOM, workload.check_rows if quick else workload.n_rows, dtype)
    engine = fastmlp.Network([1, 1]).engine
    result = Case.make(
        verify_new(lambda: Engine(workload, engine, dtype, n_threads), workload, x, y), kind, x, y, quick
    )
    result.settle()
    return result


def pairs(dtype: str, quick: bool) -> dict[tuple[str, str, Any], tuple[Case, Case]]:
    """Return (workload, kind, threads) -> (the case on one thread, the case on these threads)."""
    wanted = [(name, kind, 2) for name, kind in JUDGED]
    wanted += [(name, kind, "auto") for name, workload in WORKLOADS.items() for kind in kinds(workload)]
    return {
        (name, kind, n): (case(WORKLOADS[name], kind, dtype, 1, quick), case(WORKLOADS[name], kind, dtype, n, quick))
        for name, kind, n in wanted
    }


def gains(compared: dict[Any, tuple[Case, Case]], loop: TwoLoops, n_rounds: int) -> dict[Any, list[float]]:
    """Measure the gain in each round, one thread's time over the other's, for each key and for "FMA loop"."""
    measures = [loop.gain, *(case.once for pair in compared.values() for case in pair)]
    loops, *times = rounds.interleaved(measures, n_rounds)
    pairs = zip(times[::2], times[1::2], strict=True)
    ratios = ([one / other for one, other in zip(*pair, strict=True)] for pair in pairs)
    return {"FMA loop": loops, **dict(zip(compared, ratios, strict=True))}


def judged(share: float, loop: float) -> str:
    """Return the verdict on the gain by two threads as a share of the loop's gain."""
    return report.verdict(share >= targets.THREADS_SHARE) if loop >= targets.JUDGED_FROM else "not judged"


def lines(result: dict[Any, list[float]]) -> list[tuple[str, ...]]:
    """Return the rows of the table: one for the loop, and one for each workload."""
    loop = float(np.median(result["FMA loop"]))
    rows = []
    for key, values in result.items():
        lower, gain, upper = np.percentile(values, (25, 50, 75))
        name, kind, n = ("FMA loop", "float32", 2) if key == "FMA loop" else key
        if n == "auto":
            last = ("", report.verdict(gain >= 1 / SLOWED))
        else:
            last = ("", "") if key == "FMA loop" else (f"{gain / loop:.2f}", judged(gain / loop, loop))
        rows.append(
            (str(WORKLOADS.get(name, name)), kind, str(n), f"{lower:.2f}×", f"{gain:.2f}×", f"{upper:.2f}×", *last)
        )
    return rows


def main() -> int:
    """Verify, measure and print the table."""
    options = report.parser(__doc__, rounds=7).parse_args()
    if len(AVAILABLE) < 2 or options.cpu is not None:
        print("threads.py needs two cores, and is not pinned", file=sys.stderr)
        return 1
    print(report.provenance(None, options.dtype, "random data"), flush=True)
    loop = TwoLoops(wanted=1e-3 if options.quick else 0.05)
    compared = pairs(options.dtype, options.quick)
    share = rounds.Share()
    result = gains(compared, loop, 1 if options.quick else options.rounds)
    columns = ("workload", "what", "threads", "lower quartile", "gain over one thread", "upper quartile")
    judged_by = f"share of the loop's (≥ {targets.THREADS_SHARE}, where that is ≥ {targets.JUDGED_FROM}×)"
    text = report.table((*columns, judged_by, "met, or nothing lost"), lines(result), left=3)
    print("", text, "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
