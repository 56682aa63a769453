"""Measures the peak memory of `fit_many`, compared with the parameters and states of all networks and the workspaces.

    python bench/population_memory.py [--networks K] [--quick]

Each measurement is a new process, which makes the data, trains a single network once so that all code is loaded, and
sets its peak resident memory (VmHWM) back. The growth is the peak after that, when K networks have been made and
trained, over the memory before they were made. A workspace, the order of the rows, and all else that a thread needs,
are what as many networks as threads need beyond their parameters and Adam's two moments; their sum with the parameters
and moments of K networks is what K networks should need. Only Linux can set a peak back.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import report
from workloads import RANDOM, WORKLOADS, data

import fastmlp

WORKLOAD = WORKLOADS["T4"]
ARRAYS = 3  # of the size of the parameters: these and Adam's moments
COLUMNS = ("fit_many", "threads", "grows by", "parameters", "moments", "for the threads", "sum", "growth / sum")


def memory(name: str) -> int:
    """Return a figure of this process from /proc/self/status, in bytes: VmRSS, or its peak VmHWM."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def child(n_networks: int, n_threads: int, n_rows: int, dtype: str) -> int:
    """Train networks in this process, and return the growth of its peak in bytes."""
    x, y = data(WORKLOAD, RANDOM, n_rows, dtype)
    options = {"epochs": 1, "batch_size": WORKLOAD.batch_size, "optimizer": fastmlp.Adam()}

    def network(seed: int) -> fastmlp.Network:
        return fastmlp.Network(WORKLOAD.sizes, activation=WORKLOAD.activation, dtype=dtype, seed=seed, n_threads=1)

    network(0).fit(x, y, **options)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    networks = [network(seed) for seed in range(n_networks)]
    fastmlp.fit_many(networks, x, y, n_threads=n_threads, **options)
    return memory("VmHWM") - before


def growth(n_networks: int, n_threads: int, n_rows: int, dtype: str) -> int:
    """Return the growth of the peak of a new process that trains networks, in bytes."""
    arguments = json.dumps((n_networks, n_threads, n_rows, dtype))
    command = [sys.executable, __file__, "--child", arguments]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def megabytes(n_bytes: float) -> str:
    """Format a number of bytes."""
    return f"{1e-6 * n_bytes:,.1f} MB"


def lines(n_networks: int, threads: Sequence[int], n_rows: int, dtype: str) -> Iterator[tuple[str, ...]]:
    """Measure; yield a row of the table for each number of threads."""
    one = WORKLOAD.n_parameters * (4 if dtype == "float32" else 8)
    for n in threads:
        for_threads = max(0, growth(n, n, n_rows, dtype) - n * ARRAYS * one)
        found, total = growth(n_networks, n, n_rows, dtype), n_networks * ARRAYS * one + for_threads
        parts = (found, n_networks * one, n_networks * (ARRAYS - 1) * one, for_threads, total)
        yield (f"{n_networks:,} networks", str(n), *map(megabytes, parts), f"{found / total:.2f}")


def main() -> int:
    """Measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--networks", type=int, default=1000)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(child(*json.loads(options.child)))
        return 0
    n_networks, n_rows = (20, 1000) if options.quick else (options.networks, WORKLOAD.n_rows)
    print(report.provenance(options.cpu, options.dtype, str(WORKLOAD)), flush=True)
    threads = sorted({1, fastmlp.info()["threads"]})
    print("", report.table(COLUMNS, lines(n_networks, threads, n_rows, options.dtype)), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
