"""Measures fastmlp on all cores beside PyTorch and JAX on a GPU: one row, batches of rows, and epochs of training.

    python bench/gpu.py [--workloads A T1] [--rounds N] [--dtype float64]
    python bench/gpu.py --device cpu --quick    # everything once on the CPU, as a check of this program

A-D predict one row from host memory, and batches of 10 to 1,000,000 rows: from host memory into host memory, as a
program calls that has its data there, and on the device alone, with the outputs left there. T1-T4 train an epoch: JAX
scans over the steps in one compiled function, PyTorch replays CUDA graphs of a step, and both have all rows on the
device. fastmlp works in host memory, with as many threads as it chooses (`n_threads="auto"`), and is not pinned.

Everything is verified before it is timed (`verification.py`), so products are computed in float32 without TF32. Where
neither library finds a GPU, the program says so and ends with status 0. The extra `bench` installs both libraries for
the CPU; a GPU needs the builds of PyTorch and `jax[cuda12]` that match its driver.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import sys
from collections.abc import Callable, Iterator

import peers
import report
import rounds
from face import Implementation
from measurement import Measurement
from timing import EPOCH, ROW, ROWS, Case
from verification import UnverifiedError, Verified, verify_new
from workloads import RANDOM, WORKLOADS, Workload, data

import fastmlp
from implementations import Engine

BATCHES = (10, 100, 1000, 10_000, 100_000, 1_000_000)
FEW = (10, 100)  # --quick
ENGINE = fastmlp.Network([1, 1]).engine
OWN = f"fastmlp {ENGINE}, all cores"


def makers(workload: Workload, dtype: str, device: str) -> dict[str, Callable[[], Implementation]]:
    """Return what makes each implementation that can run the workload, by name; fastmlp comes first."""
    found = list(peers.GPU) if device == "cpu" else list(peers.gpus())
    classes = {name: peers.on_device(name) for name in found if peers.GPU[name].trains or not workload.trains}
    result: dict[str, Callable[[], Implementation]] = {OWN: lambda: Engine(workload, ENGINE, dtype, "auto")}
    return result | {name: lambda make=make: make(workload, dtype, device) for name, make in classes.items()}


def points(workload: Workload, quick: bool) -> list[tuple[str, int]]:
    """Return the kinds of measurements of a workload, each with its number of rows."""
    if workload.trains:
        return [(EPOCH, workload.check_rows if quick else workload.n_rows)]
    return [(ROW, workload.check_rows), *((ROWS, n_rows) for n_rows in (FEW if quick else BATCHES))]


def measured(workload: Workload, dtype: str, device: str, n_rounds: int, quick: bool) -> Iterator[Measurement | str]:
    """Yield the measurements of a workload, and a message for each implementation that is not verified."""
    wanted = points(workload, quick)
    x, y = data(workload, RANDOM, max(workload.check_rows, *(n_rows for _, n_rows in wanted)), dtype)
    verified: dict[str, Verified] = {}
    for name, make in makers(workload, dtype, device).items():
        try:
            verified[name] = verify_new(make, workload, x, y)
        except UnverifiedError as error:
            yield f"not timed: {error}"
    for kind, n_rows in wanted if verified else ():
        took_part = {name: one for name, one in verified.items() if kind != ROW or not _stays(name)}
        cases = [Case.make(one, kind, x[:n_rows], y[:n_rows], quick) for one in took_part.values()]
        for name, case in zip(took_part, cases, strict=True):
            case.label = name
        yield Measurement.take(cases, RANDOM, n_rounds)
        print(f"{workload}, {kind} ({n_rows:,} rows): verified and timed", file=sys.stderr, flush=True)


def _stays(name: str) -> bool:
    """Whether inputs and outputs stay on the device."""
    return name in peers.GPU and peers.GPU[name].trains


def lines(one: Measurement) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each implementation."""
    for label in one.times:
        ratio = f"{one.ratio(label, OWN):.3g}×" if OWN in one.times else ""
        yield (str(one.workload), one.what, label, *map(report.duration, one.quartiles(label)), ratio)


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__, rounds=7)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="cpu: a check without a GPU")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="NAME")
    options = parser.parse_args()
    if options.cpu is not None:
        parser.error("--cpu: gpu.py uses all cores, and is not pinned")
    names = set(peers.gpus().values()) if options.device == "gpu" else {"the CPU, without CUDA graphs"}
    if not names:
        print("neither PyTorch nor JAX finds a GPU here: nothing is measured (--device cpu --quick is a check)")
        return 0
    print(report.provenance(None, options.dtype, "random data"), flush=True)
    print(f"- device: {', '.join(sorted(names))}", flush=True)
    share, n_rounds = rounds.Share(), 1 if options.quick else options.rounds
    results = [
        one
        for name in options.workloads
        for one in measured(WORKLOADS[name], options.dtype, options.device, n_rounds, options.quick)
    ]
    failed = [one for one in results if isinstance(one, str)]
    found = [row for one in results if isinstance(one, Measurement) for row in lines(one)]
    columns = ("workload", "what", "implementation", "lower quartile", "median", "upper quartile")
    print("", report.table((*columns, "its time over fastmlp's"), found, left=3), "", share, sep="\n")
    print(*failed, sep="\n", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
