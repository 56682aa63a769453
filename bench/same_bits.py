"""Checks that two builds of fastmlp give the same results, bit for bit, by hashes of 200 seeded trainings on each ISA.

    python bench/same_bits.py --build OLD/src --write /tmp/old.json
    python bench/same_bits.py --build NEW/src --compare /tmp/old.json

`seeded_cases.py` defines the cases; the hash of a case is of its history, its parameters, its predictions of many rows
and of one, and its gradients. `seeded_estimators.py` adds the classes of `fastmlp.sklearn`, if scikit-learn is
installed. `--build` is a folder to import fastmlp from, such as `src` of a checkout that is built in place; by default
the installed package is used. Each instruction set of the processor runs in a child process, with one thread of BLAS.
`--compare` lists the cases that differ, with the parts in which they do, and exits with 1 if there are any.

Hashes are valid for one machine and one set of libraries only (BLAS, and NumPy in a custom loss); therefore the
repository contains no file of them.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

if "--build" in sys.argv[:-1]:
    sys.path.insert(0, str(Path(sys.argv[sys.argv.index("--build") + 1]).resolve()))

import numpy as np
import report
import scipy
import seeded_cases
import seeded_estimators

import fastmlp

QUICK = 12  # --quick runs every twelfth case
Hashes = dict[str, str]  # name of a case -> hash


def work(quick: bool) -> None:
    """Run as a worker: print the hash of each case by its name, as JSON."""
    step = QUICK if quick else 1
    found = {name: seeded_cases.hash_of(case) for name, case in list(seeded_cases.cases())[::step]}
    print(json.dumps(found | dict(seeded_estimators.hashes(step))))


def hashes_on(isa: str, options: argparse.Namespace) -> Hashes:
    """Return the hashes of a child process on this ISA."""
    command = [sys.executable, __file__, "--worker", *["--quick"] * options.quick]
    command += ["--build", options.build] if options.build else []
    environment = os.environ | {"FASTMLP_ISA": isa}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{isa}: a case failed, see above")
    found: Hashes = json.loads(done.stdout)
    return found


def together(hashes: Hashes, group: str = "") -> str:
    """Return one hash of all cases whose names begin with that of the group."""
    lines = [f"{name} {value}\n" for name, value in hashes.items() if name.startswith(group)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def table(found: dict[str, Hashes]) -> str:
    """Format a table with one hash for each group and ISA, and one for all groups."""
    names = [name for hashes in found.values() for name in hashes]
    groups = list(dict.fromkeys(name.partition(" ")[0] for name in names))
    rows = [(group, *(together(hashes, group) for hashes in found.values())) for group in groups]
    return report.table(("group", *found), [*rows, ("all", *map(together, found.values()))])


def libraries() -> dict[str, Any]:
    """Return the processor and the versions of the libraries on which the hashes depend."""
    return {
        "processor": report.processor(), "python": sys.version.split()[0], "numpy": np.__version__,
        "scipy": scipy.__version__, "blas": fastmlp.info()["blas"],
    }  # fmt: skip


def differences(stored: Hashes, found: Hashes) -> list[str]:
    """Return a line for each case that differs, with the parts in which it does, or that only one side has."""
    lines = []
    cases = dict(seeded_cases.cases())
    for name in dict.fromkeys([*stored, *found]):
        if name not in stored or name not in found:
            lines.append(f"{name}: only in the {'file' if name in stored else 'build'}")
        elif stored[name] != found[name] and name not in cases:
            lines.append(name)
        elif stored[name] != found[name]:
            size = len(found[name]) // len(seeded_cases.PARTS)
            slices = [slice(i * size, (i + 1) * size) for i in range(len(seeded_cases.PARTS))]
            parts = zip(seeded_cases.PARTS, slices, strict=True)
            differing = [part for part, digits in parts if stored[name][digits] != found[name][digits]]
            lines.append(f"{name}: {', '.join(differing) or 'length'} of {cases[name]}")
    return lines


def compare(stored: dict[str, Any], found: dict[str, Hashes]) -> bool:
    """Print the differences between a stored file and this build; return whether there are none."""
    for name, value in libraries().items():
        if stored["libraries"].get(name) != value:
            print(f"note: {name} was {stored['libraries'].get(name)} when the file was written and is {value} now")
    same = True
    for isa, hashes in found.items():
        if isa not in stored["hashes"]:
            print(f"{isa}: not in the file")
            same = False
            continue
        lines = differences(stored["hashes"][isa], hashes)
        same &= not lines
        print(f"{isa}: {len(lines)} of {len(hashes)} cases differ", *lines, sep="\n  ")
    return same


def main() -> int:
    """Hash the cases on each ISA; print the table; store or compare the hashes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", metavar="FOLDER", help="folder to import fastmlp from")
    parser.add_argument("--isa", nargs="+", metavar="ISA", help="only these instruction sets")
    parser.add_argument("--write", metavar="FILE", type=Path, help="store the hashes")
    parser.add_argument("--compare", metavar="FILE", type=Path, help="compare with a file of --write")
    parser.add_argument("--quick", action="store_true", help=f"one case in {QUICK}")
    options = parser.parse_args()
    place = Path(fastmlp.__file__).parents[1]
    if options.build and place != Path(options.build).resolve():
        raise SystemExit(f"--build: expected a folder with a build of fastmlp, got {options.build}: imported {place}")
    print(report.provenance(None, f"fastmlp of {place}"), flush=True)
    found = {isa: hashes_on(isa, options) for isa in options.isa or fastmlp.info()["isas"]}
    print("", table(found), "", sep="\n")
    if options.write:
        options.write.write_text(json.dumps({"libraries": libraries(), "hashes": found}, indent=1) + "\n")
    if options.compare:
        return 0 if compare(json.loads(options.compare.read_text()), found) else 1
    return 0


if __name__ == "__main__":
    if "--worker" in sys.argv:
        work("--quick" in sys.argv)
    else:
        sys.exit(main())
