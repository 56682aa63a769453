"""What `import fastmlp` costs over `import numpy`, in fresh interpreters.

    python bench/import_time.py [rounds]

Each round starts one interpreter that imports NumPy, then fastmlp, and times the second alone; and one that imports
SciPy's linear algebra instead, for comparison. Prints median and quartiles.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = "import time, numpy; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def milliseconds(module: str) -> float:
    """The time of the module's import in a new interpreter that has NumPy already."""
    run = subprocess.run([sys.executable, "-c", CODE.format(module)], capture_output=True, text=True, check=True)
    return 1000 * float(run.stdout)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    modules = ("fastmlp", "scipy.linalg.cython_blas")
    times: dict[str, list[float]] = {module: [] for module in modules}
    for _ in range(rounds):
        for module in modules:
            times[module].append(milliseconds(module))
    for module in modules:
        lower, median, upper = statistics.quantiles(times[module], n=4)
        print(f"import {module}: {median:.1f} ms over NumPy (quartiles {lower:.1f}, {upper:.1f})")


if __name__ == "__main__":
    main()
