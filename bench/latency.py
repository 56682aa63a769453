"""Measures the latency of `predict` for one row: p50, p99 and p99.9, with and without another busy thread.

    python bench/latency.py [--cpu N] [--workloads A ...] [--implementations NAME ...] [--calls N] [--quick]

Each call is timed by itself, between two readings of the clock. The first row of the table is an empty call, timed in
the same way. The busy thread runs pure Python, so that the two threads compete for the GIL.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import report
import rounds
import targets
from timing import ROW, Case
from verification import verify
from workloads import RANDOM, WORKLOADS, data

import fastmlp
from implementations import names

PERCENTILES = (50, 99, 99.9)


@contextlib.contextmanager
def busy_thread() -> Iterator[None]:
    """Run pure Python in another thread until the `with` block ends."""
    stop = threading.Event()

    def work() -> None:
        count = 0
        while not stop.is_set():
            for _ in range(1000):
                count += 1

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def latencies(predict: Callable[[Any], Any], rows: Sequence[Any], n_calls: int) -> np.ndarray[Any, Any]:
    """Return the seconds of each call; the calls take the rows in turn."""
    times, clock, n_rows = np.zeros(n_calls), time.perf_counter_ns, len(rows)
    for i in range(n_calls):
        row = rows[i % n_rows]
        start = clock()
        predict(row)
        times[i] = clock() - start
    return 1e-9 * times


def line(what: str, predict: Callable[[Any], Any], rows: Sequence[Any], n_calls: int) -> tuple[str, ...]:
    """Return a row of the table: the percentiles without and with the busy thread, and the ratio that is judged."""
    latencies(predict, rows, min(n_calls, 1000))  # warm-up
    quiet = np.percentile(latencies(predict, rows, n_calls), PERCENTILES)
    with busy_thread():
        busy = np.percentile(latencies(predict, rows, n_calls), PERCENTILES)
    ratio = busy[1] / busy[0]
    judged = report.verdict(ratio <= targets.TAIL) if predict is not callable else ""
    return what, *map(report.duration, (*quiet, *busy)), f"{ratio:.2f}", judged


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    forward = [name for name, workload in WORKLOADS.items() if not workload.trains]
    own = f"fastmlp {fastmlp.Network([1, 1]).engine}"
    parser.add_argument("--workloads", nargs="+", choices=forward, default=forward, metavar="NAME")
    parser.add_argument("--implementations", nargs="+", choices=names(), default=[own], metavar="NAME")
    parser.add_argument("--calls", type=int, default=100_000, help="number of calls, without and with the busy thread")
    options = parser.parse_args()
    report.pin(options.cpu)
    n_calls = 100 if options.quick else options.calls
    print(report.provenance(options.cpu, options.dtype, f"{n_calls:,} calls of each"), flush=True)
    share = rounds.Share()
    rows = [line("an empty call", callable, [0.0], n_calls)]
    for workload in (WORKLOADS[name] for name in options.workloads):
        x, y = data(workload, RANDOM, workload.check_rows, options.dtype)
        for name in options.implementations:
            case = Case.make(verify(name, workload, x, y, options.dtype), ROW, x, y)
            with case.verified.implementation.context():
                what = f"{workload}, {name}"
                rows.append(line(what, case.verified.implementation.predict_row, case.x, n_calls))
    columns = [f"p{each:g}{beside}" for beside in ("", ", busy") for each in PERCENTILES]
    print(
        "", report.table(("one row", *columns, f"p99/p50, busy (≤ {targets.TAIL:g})", "met"), rows), "", share, sep="\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
