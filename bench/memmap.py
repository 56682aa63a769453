"""Compares an epoch on rows in a memory-mapped file with one on the same rows in memory; and measures the memory used.

    python bench/memmap.py [--cpu N] [--rounds N] [--gigabytes N] [--folder PATH] [--quick]

For each workload, a file of random rows is written, into a folder that should be on a disk. A child process fits the
file and reports the maximum of its anonymous memory (RssAnon, read every few hundred batches). The file is then read
once, so that it is in the system's cache, and three fits are timed in interleaved rounds: on the file, on the array,
and on the array with shuffle="blocks". Before that, the engine is verified as in every benchmark, and a fit on the
first rows of the file must give the same parameters, bit for bit, as one on an array with shuffle="blocks".

Criterion: at least 0.8 of the array's rows per second, and less than 300 MB.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import argparse
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import report
import rounds
from verification import UnverifiedError, verify_new
from workloads import RANDOM, WORKLOADS, Workload, data

import fastmlp
from implementations import Engine, optimizer_of

NAMES = ("T1", "T2", "T4")
MIN_SHARE, MAX_MEGABYTES = 0.8, 300
MAX_ROWS = 20_000_000  # bounds the time for workloads with narrow rows
INTERVAL = 300  # batches between two readings of the memory


def write(workload: Workload, dtype: str, gigabytes: float, folder: Path) -> tuple[Path, Any]:
    """Write a file of this size, which repeats some random rows; return its path and the targets."""
    n_rows = int(gigabytes * 2**30 / workload.sizes[0] / np.dtype(dtype).itemsize)
    n_rows = max(workload.check_rows, min(n_rows, MAX_ROWS))
    x, y = data(workload, RANDOM, min(n_rows, 50_000), dtype)
    path = folder / f"{workload.name}.rows"
    with path.open("wb") as file:
        for first in range(0, n_rows, len(x)):
            file.write(x[: n_rows - first].tobytes())
    return path, np.resize(y, (n_rows, *y.shape[1:]))


def read(path: Path, workload: Workload, dtype: str) -> Any:
    """Map the rows of the file into memory."""
    return np.memmap(path, dtype, "r").reshape(-1, workload.sizes[0])


def epoch(engine: Engine, x: Any, y: Any, shuffle: bool | str, callbacks: Any = ()) -> None:
    """Train an epoch of the workload."""
    options = {"batch_size": engine.workload.batch_size, "optimizer": optimizer_of(engine.workload)}
    engine._network.fit(x, y, epochs=1, shuffle=shuffle, callbacks=callbacks, **options)


def verified(workload: Workload, dtype: str, x: Any, y: Any) -> Engine:
    """Return the engine that fastmlp chooses, after checking that a file and an array give equal parameters."""
    name, n_rows = fastmlp.Network([1, 1]).engine, workload.check_rows
    new = functools.partial(Engine, workload, name, dtype)
    few = np.array(x[:n_rows]), y[:n_rows]
    one = verify_new(new, workload, *few).implementation
    file, array = new(), new()
    epoch(file, x[:n_rows], few[1], True)
    epoch(array, *few, "blocks")
    if not np.array_equal(file.parameters, array.parameters):
        raise UnverifiedError(f"{workload.name}: a file and an array by blocks give different parameters")
    assert isinstance(one, Engine)
    return one


class MemoryWatch:
    """A callback that records the maximum of the process's anonymous memory, in megabytes."""

    maximum = 0.0

    def on_batch_end(self, batch: int, logs: Any) -> None:
        """Read the memory every INTERVAL batches."""
        if batch % INTERVAL == 0:
            lines = Path("/proc/self/status").read_text().splitlines()
            found = [int(line.split()[1]) for line in lines if line.startswith("RssAnon")]
            self.maximum = max(self.maximum, found[0] / 1024 if found else float("inf"))


def megabytes(workload: Workload, dtype: str, path: Path, targets: Path) -> float:
    """Measure the anonymous memory of a child process that fits the file, with targets that are in a file, too."""
    command = [sys.executable, __file__, "--child", workload.name, dtype, str(path), str(targets)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def child(name: str, dtype: str, path: str, targets: str) -> float:
    """Run as the child process: fit the file, and return the maximum of the anonymous memory."""
    workload, watch = WORKLOADS[name], MemoryWatch()
    x, y = read(Path(path), workload, dtype), np.load(targets, mmap_mode="r")
    epoch(Engine(workload, fastmlp.Network([1, 1]).engine, dtype), x, y, True, [watch])
    return watch.maximum


def line(workload: Workload, options: argparse.Namespace, folder: Path) -> tuple[str, ...]:
    """Verify and measure a workload; return its row of the table."""
    path, y = write(workload, options.dtype, options.gigabytes, folder)
    x = read(path, workload, options.dtype)
    engine = verified(workload, options.dtype, x, y)
    targets = folder / f"{workload.name}.npy"
    np.save(targets, y)
    memory = megabytes(workload, options.dtype, path, targets)
    array = np.array(x)  # reads the file into the cache
    runs = [(x, True), (array, True), (array, "blocks")]
    measures = [functools.partial(rounds.seconds, functools.partial(epoch, engine, z, y, how)) for z, how in runs]
    epoch(engine, x, y, True)
    times = np.array(rounds.interleaved(measures, 1 if options.quick else options.rounds))
    file, whole, blocks = len(x) / np.median(times, axis=1)
    low, share, high = np.percentile(times[1] / times[0], (25, 50, 75))
    path.unlink()
    met = report.verdict(bool(share >= MIN_SHARE and memory < MAX_MEGABYTES))
    return (
        f"{workload} {x.nbytes / 2**30:.2f} GB", f"{file:,.0f}", f"{whole:,.0f}", f"{blocks:,.0f}", f"{low:.2f}",
        f"{share:.2f}", f"{high:.2f}", f"{memory:.0f}", met,
    )  # fmt: skip


def main() -> int:
    """Verify, measure and print the table."""
    if sys.argv[1:2] == ["--child"]:
        print(child(*sys.argv[2:]))
        return 0
    parser = report.parser(__doc__, rounds=5)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="size of each file")
    parser.add_argument("--folder", help="folder for the files (default: that of temporary files)")
    options = parser.parse_args()
    if options.quick:
        options.gigabytes = 0.001
    report.pin(options.cpu)
    print(report.provenance(options.cpu, options.dtype, "random data"), flush=True)
    share = rounds.Share()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = [line(WORKLOADS[name], options, Path(folder)) for name in NAMES]
    columns = (
        "workload", "file, rows/s", "array, rows/s", "array by blocks, rows/s", "lower quartile", "file / array",
        "upper quartile", "anonymous MB", f"at least {MIN_SHARE}, less than {MAX_MEGABYTES} MB",
    )  # fmt: skip
    print("", report.table(columns, rows), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
