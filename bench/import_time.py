"""Times `import fastmlp` and the imports of the command line, relative to `import numpy`, as whole processes.

    python bench/import_time.py [--cpu N] [--rounds N] [--quick] [SOURCE ...]

Each round starts one interpreter for each program, one after another: one that imports nothing, one that imports NumPy,
one that imports NumPy and fastmlp, and so on. In each round, a program's share is its time beyond that of NumPy, over
NumPy's time beyond that of the interpreter alone. The table has the medians, and the quartiles of the share. Python's
compiled files are written before the first round, to a temporary folder. Each SOURCE is a folder with a built
`fastmlp`, and is measured in the same way.
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
TARGET = 0.2  # the maximum of the share of `import fastmlp`


def seconds(code: str, environment: dict[str, str]) -> float:
    """Return the time of a process that runs the code."""
    start = time.perf_counter()
    subprocess.run((sys.executable, "-c", code), env=environment, check=True)
    return time.perf_counter() - start


def measure(sources: Sequence[str], n_rounds: int, cache: str) -> dict[tuple[str, str], list[float]]:
    """Measure each program with each source, in interleaved rounds."""
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
    """Return the rows of the table of one source."""
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
    """Start the processes and print the tables."""
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
