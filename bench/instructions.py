"""How many instructions the core runs for each workload, beside what is stored; more than 3 % more is a failure.

    python bench/instructions.py            # compares with instructions.json
    python bench/instructions.py --update   # stores

Counted by valgrind's callgrind in a program without Python (instructions.c), on one thread and the kernels for AVX2,
which is the most that callgrind knows: one row and 100 rows of A-D, and two batches of T1-T4, in both dtypes. Where in
memory, how fast and on which processor does not matter to a count; the compiler does, so the counts are stored with its
version. Another compiler's are printed and noted, not judged: store them together with a change of the compiler. A
count may go up only in a commit that gives the measured reason. Needs valgrind and a processor with AVX2.
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
from pathlib import Path

from workloads import WORKLOADS, Workload

import fastmlp

TOP = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TOP / "tests" / "core"))
import build  # noqa: E402

STORED = TOP / "bench" / "instructions.json"
ISA = "avx2"
BATCH_ROWS, BATCHES = 100, 2
MOST_GROWTH = 0.03
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


def cases() -> dict[str, list[str]]:
    """What is counted, by the name that it is stored under."""
    found = {}
    for workload in WORKLOADS.values():
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


def compare(stored: dict[str, int], counted: dict[str, int]) -> bool:
    """Prints the counts beside the stored ones; whether all are known and none has grown by more than MOST_GROWTH."""
    right = True
    for name in sorted(stored.keys() | counted.keys()):
        if name not in stored or name not in counted:
            right = False
            print(f"{name:24} {'not stored' if name not in stored else 'not counted any more'}: --update")
            continue
        growth = counted[name] / stored[name] - 1
        right &= growth <= MOST_GROWTH
        verdict = "  TOO MANY" if growth > MOST_GROWTH else ""
        print(f"{name:24} {counted[name]:>12,} instructions, {growth:+7.2%} of {stored[name]:,}{verdict}")
    return right


def main() -> int:
    """Counts, and compares or stores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="store the counts of this compiler")
    update = parser.parse_args().update
    folder = TOP / "build" / "core" / "instructions"
    build.build(build.TARGETS["native"], folder, {"instructions": [TOP / "bench" / "instructions.c"]})
    counted = {name: count(folder / "instructions", words) for name, words in cases().items()}
    if update:
        STORED.write_text(json.dumps({"compiler": compiler(), "isa": ISA, "counts": counted}, indent=2) + "\n")
        return 0
    stored = json.loads(STORED.read_text())
    right = compare(stored["counts"], counted)
    if stored["compiler"] != compiler():
        print(f"note: instructions: counted, not judged: stored for {stored['compiler']}, here is {compiler()}")
        return 0
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
