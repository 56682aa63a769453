"""How many instructions the core runs for each workload, beside what is stored; more than 3 % more is a failure.

    python bench/instructions.py            # compares with instructions.json
    python bench/instructions.py --update   # stores
    python bench/instructions.py --against OLD   # compares with another checkout: more than 1 % either way is a failure

Counted by valgrind's callgrind in a program without Python (instructions.c), on one thread and the kernels for AVX2,
which is the most that callgrind knows: one row and 100 rows of A-D, and two batches of T1-T4, in both dtypes. Where in
memory, how fast and on which processor does not matter to a count; the compiler does, so the counts are stored with its
version. Another compiler's are printed and noted, not judged: store them together with a change of the compiler. A
count may go up only in a commit that gives the measured reason. Another checkout counts by its own program, as the C
interface that it is written for may differ. Needs valgrind and a processor with AVX2.
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
MAX_CHANGE = 0.01  # between two checkouts, either way
COUNT_ELSEWHERE = """
import json, pathlib, sys
import instructions as own
folder = pathlib.Path(sys.argv[1])
own.build.build(own.build.TARGETS["native"], folder, {"instructions": [own.TOP / "bench" / "instructions.c"]})
wanted = {name: words for name, words in own.cases().items() if name in sys.argv[2:]}
print(json.dumps({name: own.count(folder / "instructions", words) for name, words in wanted.items()}))
"""
OPTIMIZERS = {"sgd": fastmlp.SGD, "adam": fastmlp.Adam}


def compiler() -> str:
    """The compiler's kind and version: gcc 12.2.0."""
    words = [os.environ.get("CC", build.Target.compiler), "--version"]
    line = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    return f"{'clang' if 'clang' in line else 'gcc'} {re.findall(r'[0-9]+[.][0-9]+[.][0-9]+', line)[-1]}"


def words_of(workload: Workload, dtype: str, n_rows: int) -> list[str]:
    """The arguments of instructions.c."""
    network = [",".join(map(str, workload.sizes)), workload.activation, workload.output_activation, workload.loss]
    words = [ISA, dtype, *network, str(n_rows)]
    if workload.optimizer is not None:
        name, rate = workload.optimizer
        values = dataclasses.astuple(OPTIMIZERS[name](rate))
        words += [str(workload.batch_size), name, *(repr(float(value)) for value in values)]
    return words


def cases(names: Iterable[str] = WORKLOADS) -> dict[str, list[str]]:
    """What is counted of these workloads, by the name that it is stored under."""
    found = {}
    for workload in (WORKLOADS[name] for name in names):
        batch = BATCHES * workload.batch_size
        for n_rows in (batch,) if workload.trains else (1, BATCH_ROWS):
            for dtype in ("float32", "float64"):
                found[f"{workload.name}, {n_rows} row{'s' * (n_rows > 1)}, {dtype}"] = words_of(workload, dtype, n_rows)
    return found


def count(program: Path, words: list[str]) -> int:
    """The instructions of `counted` and of all that it calls."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = ["--tool=callgrind", "--toggle-collect=counted", f"--callgrind-out-file={out}"]
        environment = {**os.environ, "LD_BIND_NOW": "1"}  # the linker's work is not the core's
        done = subprocess.run(
            ["valgrind", *options, str(program), *words], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode == 2:
            print(f"note: instructions: {ISA} cannot run here, so nothing was counted")
            raise SystemExit(0)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(words)}: exit status {done.returncode}\n{done.stderr}")
        found = re.search(r"^(?:summary|totals): (\d+)", out.read_text(), re.MULTILINE)
        if found is None or int(found[1]) == 0:
            raise SystemExit(f"{' '.join(words)}: nothing was counted")
        return int(found[1])


def counts(wanted: dict[str, list[str]]) -> dict[str, int]:
    """The instructions of this checkout's core."""
    folder = TOP / "build" / "core" / "instructions"
    build.build(build.TARGETS["native"], folder, {"instructions": [TOP / "bench" / "instructions.c"]})
    return {name: count(folder / "instructions", words) for name, words in wanted.items()}


def counts_of(top: Path, names: Iterable[str]) -> dict[str, int]:
    """The instructions of another checkout's core, counted by its own program; nothing is left in its folders."""
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


def compare(stored: dict[str, int], counted: dict[str, int], least: float = -1.0, most: float = MAX_GROWTH) -> bool:
    """Prints the counts beside the stored ones; whether all are known and their growth is in [least, most]."""
    right = True
    for name in sorted(stored.keys() | counted.keys()):
        if name not in stored or name not in counted:
            right = False
            print(f"{name:24} {'only counted here' if name not in stored else 'not counted here'}")
            continue
        growth = counted[name] / stored[name] - 1
        is_right = least <= growth <= most
        right &= is_right
        verdict = "" if is_right else "  TOO MANY" if growth > most else "  TOO FEW"
        print(f"{name:24} {counted[name]:>12,} instructions, {growth:+7.2%} of {stored[name]:,}{verdict}")
    return right


def main() -> int:
    """Counts, and compares or stores."""
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
