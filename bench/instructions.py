"""Counts the instructions that the core runs for each workload, and compares them with stored counts.

    python bench/instructions.py            # compares with instructions.json: growth by more than 3 % is a failure
    python bench/instructions.py --update   # stores the counts
    python bench/instructions.py --against OLD   # compares with another checkout: a change by over 1 % is a failure

The counts are of one row and of 100 rows of A-D, and of two batches of T1-T4, in both dtypes. Valgrind's callgrind
counts in a program without Python (instructions.c), on one thread with the kernels for AVX2, the widest vectors that
callgrind supports. A count does not depend on memory placement, clock rate or processor, but on the compiler; it is
therefore stored with the compiler's version. Counts with another compiler are printed but not judged; when the compiler
is changed, store them anew. A count may grow only in a commit that gives the measured reason.

Another checkout is counted by its own instructions.py and instructions.c, because its C interface may differ. Needs
valgrind and a processor with AVX2.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from workloads import WORKLOADS, Workload

import fastmlp

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "core"))
import build  # noqa: E402

STORED = TOP / "bench" / "instructions.json"
ISA = "avx2"
BATCH_ROWS, BATCHES = 100, 2
MAX_GROWTH = 0.03
MAX_CHANGE = 0.01  # between two checkouts, up or down
# Runs in another checkout, so that `cases`, `count`, `build` and TOP must keep their names and meanings.
COUNT_ELSEWHERE = """
import json, pathlib, sys
import instructions as own
folder = pathlib.Path(sys.argv[1])
own.build.build(own.build.TARGETS["native"], folder, {"instructions": [own.TOP / "bench" / "instructions.c"]})
wanted = {name: arguments for name, arguments in own.cases().items() if name in sys.argv[2:]}
print(json.dumps({name: own.count(folder / "instructions", arguments) for name, arguments in wanted.items()}))
"""
OPTIMIZERS = {"sgd": fastmlp.SGD, "adam": fastmlp.Adam}


def compiler() -> str:
    """Return the compiler's name and version, such as "gcc 12.2.0"."""
    command = [os.environ.get("CC", build.Target.compiler), "--version"]
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{'clang' if 'clang' in line else 'gcc'} {re.findall(r'[0-9]+[.][0-9]+[.][0-9]+', line)[-1]}"


def program_arguments(workload: Workload, dtype: str, n_rows: int) -> list[str]:
    """Return the command-line arguments of instructions.c for a workload."""
    network = [",".join(map(str, workload.sizes)), workload.activation, workload.output_activation, workload.loss]
    arguments = [ISA, dtype, *network, str(n_rows)]
    if workload.optimizer is not None:
        name, rate = workload.optimizer
        values = dataclasses.astuple(OPTIMIZERS[name](rate))
        arguments += [str(workload.batch_size), name, *(repr(float(value)) for value in values)]
    return arguments


def cases(names: Iterable[str] = WORKLOADS) -> dict[str, list[str]]:
    """Return the program's arguments for each case of these workloads, by the name under which it is stored."""
    found = {}
    for workload in (WORKLOADS[name] for name in names):
        batch = BATCHES * workload.batch_size
        for n_rows in (batch,) if workload.trains else (1, BATCH_ROWS):
            for dtype in ("float32", "float64"):
                name = f"{workload.name}, {n_rows} row{'s' * (n_rows > 1)}, {dtype}"
                found[name] = program_arguments(workload, dtype, n_rows)
    return found


def count(program: Path, arguments: list[str]) -> int:
    """Count the instructions of the program's function `counted` and of all that it calls."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = ["--tool=callgrind", "--toggle-collect=counted", f"--callgrind-out-file={out}"]
        environment = {**os.environ, "LD_BIND_NOW": "1"}  # so that the dynamic linker's work is not counted
        done = subprocess.run(
            ["valgrind", *options, str(program), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 2:
            print(f"note: instructions: {ISA} cannot run here, so nothing was counted")
            raise SystemExit(0)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}")
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
        if found is None or int(found[1]) == 0:
            raise SystemExit(f"{' '.join(arguments)}: nothing was counted")
        return int(found[1])


def counts(wanted: dict[str, list[str]]) -> dict[str, int]:
    """Build this checkout's core, and count the instructions of each case."""
    folder = TOP / "build" / "core" / "instructions"
    build.build(build.TARGETS["native"], folder, {"instructions": [TOP / "bench" / "instructions.c"]})
    return {name: count(folder / "instructions", arguments) for name, arguments in wanted.items()}


def counts_of(top: Path, names: Iterable[str]) -> dict[str, int]:
    """Count the instructions of another checkout's core by its own program, without writing into its folders."""
    if not (top / "bench" / "instructions.py").is_file():
        raise SystemExit(f"--against: expected a checkout of fastmlp, with bench/instructions.py, got {top}")
    environment = {**os.environ, "PYTHONPATH": str(top / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", COUNT_ELSEWHERE, folder, *names]
        done = subprocess.run(
            command, cwd=top / "bench", env=environment, stdout=subprocess.PIPE, text=True, check=False
        )
    if done.returncode != 0:
        raise SystemExit(f"--against: {top} could not be counted, see above")
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(stored: dict[str, int], counted: dict[str, int], low: float = -1.0, high: float = MAX_GROWTH) -> bool:
    """Print the counts beside the stored ones; return whether all are known and their growth is in [low, high]."""
    right = True
    for name in sorted(stored.keys() | counted.keys()):
        if name not in stored or name not in counted:
            right = False
            print(f"{name:24} {'only counted here' if name not in stored else 'not counted here'}")
            continue
        growth = counted[name] / stored[name] - 1
        is_right = low <= growth <= high
        right &= is_right
        verdict = "" if is_right else "  TOO MANY" if growth > high else "  TOO FEW"
        print(f"{name:24} {counted[name]:>12,} instructions, {growth:+7.2%} of {stored[name]:,}{verdict}")
    return right


def main() -> int:
    """Count, and compare or store the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="store the counts of this compiler")
    parser.add_argument("--against", metavar="OLD", type=Path, help="another checkout to compare with")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    options = parser.parse_args()
    wanted = cases(options.workloads)
    if options.update and wanted != cases():
        parser.error("--update stores the counts of all workloads")
    counted = counts(wanted)
    if options.against:
        old = counts_of(options.against.resolve(), wanted)
        return 0 if compare(old, counted, -MAX_CHANGE, MAX_CHANGE) else 1
    if options.update:
        STORED.write_text(json.dumps({"compiler": compiler(), "isa": ISA, "counts": counted}, indent=2) + "\n")
        return 0
    stored = json.loads(STORED.read_text())
    known = {name: value for name, value in stored["counts"].items() if name in wanted or wanted == cases()}
    right = compare(known, counted)
    if stored["compiler"] != compiler():
        print(f"note: instructions: counted, not judged: stored for {stored['compiler']}, here is {compiler()}")
        return 0
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
