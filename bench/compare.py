"""Measure all implementations side by side and print the tables of `RESULTS.md`.

    python bench/compare.py [--workloads A T1 ...] [--data random fashion-mnist] [--rounds N] [--cpu N] [--quick]

Every round runs each implementation once, in an order that rotates, so that a change of the machine's speed
meets all of them; ratios are taken within a round. Nothing is timed before `verify` has checked it. One thread.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import argparse
import os
import platform
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import scipy
from implementations import names
from timing import EPOCH, ROW, ROWS, Case, verified_cases
from verification import UnverifiedError
from workloads import FASHION_MNIST, RANDOM, WORKLOADS

import fastmlp

REFERENCE_SECONDS = 20.0  # pure Python stops taking part in the rounds of a case after so long
HEADER = """
| workload | what | data | implementation | lower quartile | median | upper quartile | NumPy's time over its |
|---|---|---|---|---:|---:|---:|---:|"""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--data", nargs="+", choices=(RANDOM, FASHION_MNIST), default=[RANDOM, FASHION_MNIST])
    parser.add_argument("--implementations", nargs="+", choices=names(), default=names(), metavar="NAME")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--rounds", type=int, default=15, help="measurements of each forward pass")
    parser.add_argument("--epoch-rounds", type=int, default=7, help="measurements of each training epoch")
    parser.add_argument("--cpu", type=int, help="pin the process to this core")
    parser.add_argument("--quick", action="store_true", help="verify everything, time it once on few rows: no figures")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.epoch_rounds = 1, 1
    return options


def interleaved(cases: list[Case], n_rounds: int) -> dict[str, list[float]]:
    """Name -> seconds per row of each round, one after another within a round, the first one rotating."""
    times: dict[str, list[float]] = {case.verified.implementation.name: [] for case in cases}
    spent = 0.0
    for i in range(n_rounds):
        for case in cases[i % len(cases) :] + cases[: i % len(cases)]:
            slow = case.verified.implementation.name == "reference"
            if slow and spent > REFERENCE_SECONDS:
                continue
            start = time.perf_counter()
            times[case.verified.implementation.name].append(case.once())
            spent += (time.perf_counter() - start) * slow
    return times


def duration(seconds: float) -> str:
    """Three digits, in the unit that fits."""
    factor, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    value = seconds * factor
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def calibrate(cases: list[Case]) -> None:
    """Let a measurement of single rows take about 20 ms."""
    for case in cases:
        if case.kind == ROW and case.verified.implementation.name != "reference":
            case.calls = max(1, round(0.02 / (case.once() * case.n_rows)))


def table(cases: list[Case], times: dict[str, list[float]], source: str) -> list[str]:
    """The lines of one workload, kind and data: quartiles, and the median of the ratios within each round."""
    workload, kind = cases[0].verified.workload, cases[0].kind
    n_rows = 1 if kind == ROW else max(case.n_rows for case in cases)
    what = {ROW: ROW, ROWS: f"{n_rows:,} rows", EPOCH: f"epoch of {n_rows:,} rows"}[kind]
    result = []
    for case, (name, per_row) in zip(cases, times.items(), strict=True):
        quartiles = " | ".join(duration(value * n_rows) for value in np.percentile(per_row, (25, 50, 75)))
        ratios = [numpy / own for numpy, own in zip(times.get("NumPy", []), per_row, strict=False)]
        ratio = f"{np.median(ratios):.3g}×" if ratios else ""
        extrapolated = f" (from {case.n_rows})" if kind != ROW and case.n_rows < n_rows else ""
        result.append(f"| {workload} | {what} | {source} | {name}{extrapolated} | {quartiles} | {ratio} |")
    return result


def gain_over_python(cases: list[Case], times: dict[str, list[float]], source: str) -> str:
    """Pure Python's own time per row, and beside it what the others gain over it."""
    own = float(np.median(times["reference"]))
    gains = ", ".join(
        f"{name} {own / float(np.median(values)):,.0f}×" for name, values in times.items() if name != "reference"
    )
    return f"- {cases[0].verified.workload}, {source}: {duration(own)} a row in pure Python; {gains}"


def machine(options: argparse.Namespace) -> str:
    """Machine, commit, versions and command, as Markdown."""
    info = fastmlp.info()
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            model = line.split(":")[1].strip()
    where = f", pinned to core {options.cpu}" if options.cpu is not None else ""
    return "\n".join(
        (
            f"- machine: {model}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}{where}",
            f"- commit: {commit()}",
            f"- versions: fastmlp {info['version']} (ISA {info['isa']}, BLAS {info['blas']}), Python "
            f"{platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}",
            f"- command: `python {shlex.join(sys.argv)}`, {options.dtype}, one thread",
        )
    )


def commit() -> str:
    """The commit of the working tree, marked where files differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(("git", *words), cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = " with changes" if git("status", "--porcelain") else ""
    return (git("rev-parse", "HEAD") or "none") + changed


def main() -> int:
    """Verify, time, print."""
    options = arguments()
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    print(machine(options))
    rows, gains, failed = [], [], []
    for workload in (WORKLOADS[name] for name in options.workloads):
        for source in (source for source in workload.sources if source in options.data):
            try:
                groups = verified_cases(
                    [n for n in names(workload) if n in options.implementations],
                    workload,
                    source,
                    options.dtype,
                    options.quick,
                )
            except UnverifiedError as error:
                failed.append(f"not timed: {error} ({source})")
                continue
            for kind, cases in groups.items():
                if not options.quick:
                    calibrate(cases)
                times = interleaved(cases, options.epoch_rounds if kind == EPOCH else options.rounds)
                rows += table(cases, times, source)
                if kind == EPOCH and "reference" in times:
                    gains.append(gain_over_python(cases, times, source))
                print(f"{workload}, {source}, {kind}: verified and timed", file=sys.stderr, flush=True)
    print(HEADER, *rows, sep="\n")
    print("", "Training, per row:" if gains else "", "", *gains, sep="\n")
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
