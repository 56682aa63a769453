"""What `import fastmlp`, and the command line's own imports, cost beside `import numpy`: whole processes.

    python bench/import_time.py [--cpu N] [--rounds N] [--quick] [SOURCE ...]

Each round starts one interpreter for each program, one after another: a bare one, one that imports NumPy, one that
imports NumPy and fastmlp, and so on. A share is what a program takes beyond NumPy's, over what NumPy's takes beyond the
bare one's, of one round; medians, and the quartiles of the share. Compiled files of Python are written before the first
round, to a folder that is deleted. With SOURCE, folders that hold a built `fastmlp`, the same is measured of each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

import report

import fastmlp

BARE, NUMPY, IMPORT = "bare interpreter", "NumPy", "NumPy and fastmlp"
PROGRAMS = {
    BARE: "pass",
    NUMPY: "import numpy",
    IMPORT: "import numpy, fastmlp",
    "NumPy and the command line": "import numpy, fastmlp.cli",
    "NumPy and SciPy's BLAS": "import numpy, scipy.linalg.cython_blas",
}
TARGET = 0.2  # the share of fastmlp


def seconds(code: str, environment: dict[str, str]) -> float:
    """How long a process takes that runs the code."""
    start = time.perf_counter()
    subprocess.run((sys.executable, "-c", code), env=environment, check=True)
    return time.perf_counter() - start


def measure(sources: Sequence[str], n_rounds: int, cache: str) -> dict[tuple[str, str], list[float]]:
    """The times of each program with each source."""
    plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environments = {source: plain | {"PYTHONPATH": source, "PYTHONPYCACHEPREFIX": cache} for source in sources}
    times: dict[tuple[str, str], list[float]] = {}
    for i in range(n_rounds + 1):
        for source, environment in environments.items():
            for name, code in PROGRAMS.items():
                taken = seconds(code, environment)
                if i:  # the first round writes compiled files
                    times.setdefault((source, name), []).append(taken)
    return times


def rows(source: str, times: dict[tuple[str, str], list[float]]) -> list[tuple[str, ...]]:
    """The lines of one source."""
    bare, numpy = times[source, BARE], times[source, NUMPY]
    listed = []
    for name in PROGRAMS:
        own = times[source, name]
        shown = ["", ""]
        if name not in (BARE, NUMPY):
            shares = [(a - n) / (n - b) for a, n, b in zip(own, numpy, bare, strict=True)]
            lower, middle, upper = quantiles(shares, n=4) if len(shares) > 1 else 3 * shares
            shown = [f"{middle:.2f} ({lower:.2f}, {upper:.2f})", report.verdict(middle <= TARGET) * (name == IMPORT)]
        listed.append((name, report.duration(median(own)), *shown))
    return listed


def main() -> int:
    """Start the processes, print."""
    parser = report.parser(__doc__, rounds=21)
    own = str(Path(fastmlp.__file__).parents[1])
    parser.add_argument("sources", nargs="*", default=[own], metavar="SOURCE", help="folders that hold a fastmlp")
    options = parser.parse_args()
    report.pin(options.cpu)
    print(report.provenance(options.cpu), flush=True)
    with tempfile.TemporaryDirectory() as cache:
        times = measure(options.sources, 1 if options.quick else options.rounds, cache)
    for source in options.sources:
        title = "a process that imports" + (f" (from {source})" if len(options.sources) > 1 else "")
        columns = (title, "time", "beyond NumPy, share of NumPy's", f"at most {TARGET:g}")
        print("\n" + report.table(columns, rows(source, times)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
