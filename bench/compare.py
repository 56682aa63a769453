"""Measures all implementations side by side and prints the tables of `RESULTS.md`.

    python bench/compare.py [--workloads A T1 ...] [--data random fashion-mnist] [--rounds N] [--cpu N] [--quick]
    python bench/compare.py --table       # only what the targets need: one engine against its peers, dense data

First the machine is calibrated (`calibrate.py`) for the floors (`floors.py`). Every implementation is verified
(`verification.py`) before it is timed, in interleaved rounds (`measurement.py`) on one thread. `targets.py` judges the
results.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import calibrate
import report
import rounds
import targets
from measurement import Measurement
from timing import EPOCH, kinds, verified_cases
from verification import UnverifiedError
from workloads import FASHION_MNIST, RANDOM, WORKLOADS

import fastmlp
from implementations import names

VECTOR_BYTES = {
    "avx512": 64,
    "avx2": 32,
}  # of the kernels of an ISA, 16 of the others; floors are those with such vectors


def arguments() -> argparse.Namespace:
    """Parse the command line, and fill in the options that depend on one another."""
    parser = report.parser(__doc__)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    parser.add_argument("--data", nargs="+", choices=(RANDOM, FASHION_MNIST))
    parser.add_argument("--implementations", nargs="+", choices=names(), metavar="NAME")
    parser.add_argument("--epoch-rounds", type=int, default=7, help="measurements of each training epoch")
    parser.add_argument("--table", action="store_true", help="only the short tables, and what they need")
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    rounds.use(options.clock)
    if options.quick:
        options.rounds, options.epoch_rounds = 1, 1
    own = own_engine()
    if not options.implementations:
        needed = [name for name in names() if name == own or not name.startswith(("fastmlp", "reference"))]
        options.implementations = needed if options.table else names()
    options.data = options.data or ([RANDOM] if options.table else [RANDOM, FASHION_MNIST])
    options.own = own if own in options.implementations else options.implementations[0]
    return options


def own_engine() -> str:
    """Return the name of the engine that fastmlp chooses on this machine."""
    return f"fastmlp {fastmlp.Network([1, 1]).engine}"


def measured(options: argparse.Namespace) -> Iterator[Measurement | str]:
    """Yield a measurement of each workload, data and kind, or a message that says why there is none."""
    for workload, source in itertools.product((WORKLOADS[name] for name in options.workloads), options.data):
        if source not in workload.sources:
            continue
        wanted = [name for name in names(workload) if name in options.implementations]
        try:
            groups = verified_cases(wanted, workload, source, options.dtype, options.quick)
            if options.dtype == "float32" and options.own.startswith("fastmlp"):
                for kind, cases in verified_cases([options.own], workload, source, "float64", options.quick).items():
                    cases[0].label = targets.float64_label(options.own)
                    groups[kind] += cases
        except UnverifiedError as error:
            yield f"not timed: {error} ({source})"
            continue
        for kind in kinds(workload):
            yield Measurement.take(groups[kind], source, options.epoch_rounds if kind == EPOCH else options.rounds)
            print(f"{workload}, {source}, {kind}: verified and timed", file=sys.stderr, flush=True)


def lines(one: Measurement, machine: calibrate.Machine, own: str) -> Iterator[Sequence[str]]:
    """Yield a row of the long table for each case."""
    for label, case in one.cases.items():
        few = f" (from {case.n_rows})" if one.n_rows > case.n_rows else ""
        share = one.floor(label, machine).seconds / one.seconds(label)
        yield (
            *(str(one.workload), one.what, one.source, label + few),
            *map(report.duration, one.quartiles(label)),
            *(f"{2e-9 * one.rate(label):.3g}", f"{share:.2%}" if share < 0.01 else f"{share:.0%}"),
            f"{one.ratio(label, own):.3g}×",
        )


LONG = ("workload", "what", "data", "implementation", "lower quartile", "median", "upper quartile", "GFLOP/s")


def floors_table(measurements: Sequence[Measurement], machine: calibrate.Machine, own: str) -> str:
    """Format the parts of the floors, once for each workload, kind and number of rows."""
    columns = ("workload", "what", "multiply-adds", "activations", "divider", "bytes", "optimiser", "call", "floor")
    rows = []
    for one in measurements:
        floor = one.floor(own, machine)
        rows.append((str(one.workload), one.what, *map(report.duration, (*floor, floor.seconds))))
    return report.table(columns, dict.fromkeys(rows), left=2)


def gain_over_python(one: Measurement) -> str:
    """Format the time per row of pure Python, and how much faster the others are."""
    own = one.seconds("reference") / one.n_rows
    gains = ", ".join(f"{name} {one.ratio('reference', name):,.0f}×" for name in one.times if name != "reference")
    return f"- {one.workload}, {one.source}: {report.duration(own)} a row in pure Python; {gains}"


def main() -> int:
    """Calibrate, verify, measure and print the tables."""
    options = arguments()
    report.pin(options.cpu)
    print(report.provenance(options.cpu, options.dtype, "one thread", f"{options.clock} time"), flush=True)
    machine, own = calibrate.measure(options.quick), options.own
    print("", "### Calibration", "", machine.markdown(), sep="\n", flush=True)
    machine = machine.with_vectors_of(VECTOR_BYTES.get(fastmlp.info()["isa"], calibrate.WIDTHS[0]))
    share = rounds.Share()
    results = list(measured(options))
    print("", share, sep="\n")
    measurements = [one for one in results if isinstance(one, Measurement)]
    failed = [one for one in results if isinstance(one, str)]
    if not options.table:
        rows = [row for one in measurements for row in lines(one, machine, own)]
        columns = (*LONG, "share of its floor", f"its time over {own}'s")
        print("", "### Every implementation", "", report.table(columns, rows, left=4), sep="\n")
        gains = [gain_over_python(one) for one in measurements if one.kind == EPOCH and "reference" in one.times]
        print(*(["", "Training, per row:", "", *gains] if gains else []), sep="\n")
    print("", "### Floors", "", floors_table(measurements, machine, own), sep="\n")
    print("", "### Targets", "", targets.cells(measurements, machine, own), sep="\n")
    print("", targets.further(measurements, machine, own), sep="\n")
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
