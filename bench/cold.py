"""Times the first call of `predict`, in a fresh process and after the caches have been emptied.

    python bench/cold.py [--cpu N] [--rounds N] [--workloads A ...] [--quick]

Each round starts one interpreter per workload. It imports fastmlp, makes the network and a row, and times the first and
the second call; then some calls, before each of which a buffer larger than the caches is written; then, for comparison,
consecutive calls. The table has the medians over the rounds.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import report
from calibrate import buffer_sizes, cache_sizes
from workloads import RANDOM, WORKLOADS, data

import fastmlp
from implementations import Engine

KINDS = ("first call", "second call", "caches emptied", "warm")
_EMPTIED, _WARM = 9, 1000  # numbers of calls with emptied caches, and of consecutive calls


def child(name: str, dtype: str) -> None:
    """Run as the child process: time the calls and print the times."""
    workload, clock = WORKLOADS[name], time.perf_counter
    predict = Engine(workload, fastmlp.Network([1, 1]).engine, dtype).predict
    row = data(workload, RANDOM, 1, dtype)[0][0]

    def once() -> float:
        start = clock()
        predict(row)
        return clock() - start

    first, second = once(), once()
    buffer, emptied = np.zeros(buffer_sizes(cache_sizes())["memory"], "uint8"), []
    for _ in range(_EMPTIED):
        np.add(buffer, 1, out=buffer)
        emptied.append(once())
    warm = median(once() for _ in range(_WARM))
    print(json.dumps(dict(zip(KINDS, (first, second, median(emptied), warm), strict=True))))


def run(name: str, dtype: str) -> dict[str, float]:
    """Measure in a fresh process, which inherits this one's core and environment."""
    command = [sys.executable, str(Path(__file__)), "--child", name, "--dtype", dtype]
    result: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return result


def main() -> int:
    """Start the processes and print the table."""
    parser = report.parser(__doc__)
    forward = [name for name, workload in WORKLOADS.items() if not workload.trains]
    parser.add_argument("--workloads", nargs="+", choices=forward, default=forward, metavar="NAME")
    parser.add_argument("--child", choices=forward, help="run as a child process")
    options = parser.parse_args()
    if options.child:
        child(options.child, options.dtype)
        return 0
    report.pin(options.cpu)
    print(report.provenance(options.cpu, options.dtype, "one thread"), flush=True)
    n_rounds = 1 if options.quick else options.rounds
    times = [{name: run(name, options.dtype) for name in options.workloads} for _ in range(n_rounds)]
    rows = [
        (str(WORKLOADS[name]), *(report.duration(median(each[name][kind] for each in times)) for kind in KINDS))
        for name in options.workloads
    ]
    print("", report.table(("one row", *KINDS), rows), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
