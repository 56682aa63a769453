"""Measures from which width and number of rows a second thread pays: the numbers behind `docs/speed.md`.

    python bench/thread_sweep.py [--rounds N] [--dtype float64] [--write bench/thread_sweep.json] [--quick]

The networks are w-w-w-10, relu, with w between 8 and 512. Each predicts B rows at once, and trains an epoch by Adam in
batches of B rows, on one thread and on two. The gain is the median over the interleaved rounds of one thread's time
over that of two. `n_threads=2` allows two threads: where the engine expects no gain it uses one, and the gain is 1.
Nothing is timed before `threads.verified` has compared its results with the oracle's, and those on two threads with
those on one. The process is not pinned, and needs two free cores. `--write` stores the figures for `speed_plots.py`,
unless the loop of multiply-adds gained less than `targets.JUDGED_FROM`, because the cores were not free then.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import report
import rounds
import targets
from calibrate import AVAILABLE, Loops
from floors import multiply_adds
from threads import LOOP, gains, verified
from timing import EPOCH, ROWS, Case
from workloads import RANDOM, Workload, data

WIDTHS = (8, 16, 32, 64, 128, 256, 512)
NUMBERS = {ROWS: (1, 10, 100, 1000, 10_000), EPOCH: (8, 32, 128, 512, 2048)}  # rows at once, by kind
FEW_WIDTHS, FEW_NUMBERS = (8, 33), {ROWS: (1, 20), EPOCH: (8, 20)}  # --quick
EPOCH_ROWS = 4096


class Gain(NamedTuple):
    """The gain by a second thread: `n_rows` rows of a network of this width at once, in multiply-adds, quartiles."""

    kind: str
    width: int
    n_rows: int
    work: int
    seconds: float  # of one call on one thread: a prediction of n_rows rows, or a step of training
    lower: float
    median: float
    upper: float


def workload(kind: str, width: int, n_rows: int) -> Workload:
    """Return the workload of a point."""
    sizes = (width, width, width, 10)
    name = f"{kind}, w={width}, B={n_rows}"
    if kind == ROWS:
        return Workload(name, sizes, "relu")
    return Workload(name, sizes, "relu", "softmax", "cross_entropy", ("adam", 1e-3), n_rows)


def case(point: Workload, kind: str, n_rows: int, n_threads: int, dtype: str, quick: bool) -> Case:
    """Return the verified case of a point on these threads."""
    needed = max(n_rows, point.check_rows)
    x, y = data(point, RANDOM, needed if quick or kind == ROWS else max(needed, EPOCH_ROWS), dtype)
    one = verified(point, dtype, n_threads, x, y)
    result = Case.make(one, kind, x[:n_rows] if kind == ROWS else x, y[:n_rows] if kind == ROWS else y, quick)
    if not quick:
        result.settle()
    return result


def measured(dtype: str, n_rounds: int, quick: bool) -> tuple[list[Gain], float]:
    """Verify and measure all points; return their gains, and the gain of the loop of multiply-adds."""
    widths, numbers = (FEW_WIDTHS, FEW_NUMBERS) if quick else (WIDTHS, NUMBERS)
    points = {
        (kind, width, n_rows): workload(kind, width, n_rows)
        for kind, counts in numbers.items()
        for width in widths
        for n_rows in counts
    }
    compared = {
        (point.name, kind): {n: case(point, kind, n_rows, n, dtype, quick) for n in (1, 2)}
        for (kind, _, n_rows), point in points.items()
    }
    found, times = gains(compared, {2: Loops(2, wanted=1e-3 if quick else 0.05)}, n_rounds)
    result = []
    for (kind, width, n_rows), point in points.items():
        key = (point.name, kind)
        seconds = float(np.median(times[key, 1])) * n_rows
        quartiles = (float(each) for each in np.percentile(found[key, 2], (25, 50, 75)))
        result.append(Gain(kind, width, n_rows, n_rows * multiply_adds(point, kind), seconds, *quartiles))
    return result, float(np.median(found[LOOP, 2]))


def table(found: Iterable[Gain], kind: str) -> str:
    """Format the gains of a kind, a row for each width."""
    mine = [one for one in found if one.kind == kind]
    numbers = sorted({one.n_rows for one in mine})
    cells = {(one.width, one.n_rows): f"{one.median:.2f}" for one in mine}
    columns = ("w-w-w-10", *(f"{n:,} row{'s' * (n > 1)}" if kind == ROWS else f"batch {n:,}" for n in numbers))
    widths = sorted({one.width for one in mine})
    return report.table(columns, [(f"w = {w}", *(cells[w, n] for n in numbers)) for w in widths])


def stored(path: Path) -> tuple[dict[str, Any], list[Gain]]:
    """Return what `--write` has written: where the figures come from, and the gains."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return content, [Gain(**one) for one in content.pop("gains")]


def main() -> int:
    """Verify, measure, print the tables and write the figures."""
    parser = report.parser(__doc__, rounds=7)
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the figures into this file")
    options = parser.parse_args()
    if len(AVAILABLE) < 2 or options.cpu is not None:
        print("thread_sweep.py needs two cores, and is not pinned", file=sys.stderr)
        return 1
    source = report.provenance(None, options.dtype, "random data")
    print(source, flush=True)
    share = rounds.Share()
    found, loop = measured(options.dtype, 1 if options.quick else options.rounds, options.quick)
    print("", f"- the FMA loop on two cores at once: {loop:.2f}×", share, sep="\n")
    for kind, title in ((ROWS, "rows predicted at once"), (EPOCH, "an epoch by Adam")):
        print("", f"### Gain by a second thread: {title}", "", table(found, kind), sep="\n")
    if options.write and loop < targets.JUDGED_FROM and not options.quick:
        print(f"{options.write} is not written: the loop gained less than {targets.JUDGED_FROM}×", file=sys.stderr)
        return 1
    if options.write:
        content = {"source": source.splitlines(), "loop": loop, "gains": [one._asdict() for one in found]}
        options.write.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
