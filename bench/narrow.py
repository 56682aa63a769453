"""Compares weights in bfloat16 and int8 with those in float32: one row, 1,000 rows, and accuracy on Fashion-MNIST.

    python bench/narrow.py [--cpu N] [--parts row rows accuracy] [--rounds N] [--clock cpu] [--quick]

FASTMLP_ISA chooses the instruction set. One row is a call of a compiled predictor with `out`, the rows being taken in
turn from 256; the calls include Python's, about 0.07 µs. Before anything is timed, the bits of bfloat16 are compared
with those of the float32 engine with rounded weights, and all variants of int8 with one another. A ratio is the median
of the ratios within a round.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import sys
from typing import Any

import numpy as np
import report
import rounds

import fastmlp
from fastmlp import quantization

Array = np.ndarray[Any, Any]

# The last three: float32 weights that just do not fit an L2 cache of 1 MB, and networks that are small anyway.
SHAPES = ((784, 128, 10), (784, 512, 512, 10), (784, 500, 10), (64, 64, 10), (10, 32, 32, 1))
DENSE, IMAGES = "dense", "Fashion-MNIST"
FORMATS = {  # label: the format, and the variant of its engine
    "float32": ("float32", "native"),
    "bfloat16": ("bfloat16", "native-bfloat16"),
    "int8": ("int8", "native-int8"),
    "int8 without VNNI": ("int8", "native-int8-plain"),
}
TRAININGS = (((784, 128, 10), 10, 64), ((784, 512, 512, 10), 5, 128))  # sizes, epochs, batch size


def rows_of(source: str, n_rows: int, n_inputs: int) -> Array:
    """Return rows of uniform random numbers, or images."""
    if source == IMAGES:
        return np.ascontiguousarray(fastmlp.datasets.load_fashion_mnist()[1][0][:n_rows])
    return np.random.default_rng(0).random((n_rows, n_inputs), dtype="float32")


def verified(net: fastmlp.Network, x: Array) -> dict[str, Any]:
    """Return a predictor for each format that the processor has, after a check of their outputs."""
    made = {}
    for label, (weights, engine) in FORMATS.items():
        try:
            made[label] = quantization.predictor(net, weights, engine=engine)
        except ValueError as error:
            if "on this processor" not in str(error):
                raise
    rounded = net.copy()
    rounded.parameters = made["bfloat16"]._unpack()
    exact = quantization.predictor(rounded, "float32").predict(x)
    if made["bfloat16"].predict(x).tobytes() != exact.tobytes():
        raise SystemExit(f"{net!r}: bfloat16 has other bits than float32 with rounded weights")
    if len({each.predict(x).tobytes() for label, each in made.items() if label.startswith("int8")}) != 1:
        raise SystemExit(f"{net!r}: the variants of int8 have different bits")
    return made


def seconds_per_row(each: Any, x: Array, out: Array, n: int, *, single: bool) -> float:
    """Return the time of a row: n calls for each row, or for all rows at once."""
    predict, rows = each.predict, list(x) if single else [x]

    def run() -> None:
        for _ in range(n):
            for row in rows:
                predict(row, out=out)

    return rounds.seconds(run) / n / len(x)


def line(sizes: tuple[int, ...], source: str, n_rows: int, options: Any) -> tuple[str, ...]:
    """Measure all formats on one shape; return a row of the table."""
    net = fastmlp.Network(sizes, seed=0, n_threads=1, engine="native")
    single = n_rows == 1
    x = rows_of(source, 256 if single else n_rows, sizes[0])
    out = np.empty(sizes[-1] if single else (n_rows, sizes[-1]), np.float32)
    made = verified(net, x)
    wanted = 1e-4 if options.quick else 0.02
    n = max(1, round(wanted / seconds_per_row(made["float32"], x, out, 1, single=single) / len(x)))
    measures = [functools.partial(seconds_per_row, each, x, out, n, single=single) for each in made.values()]
    times = dict(zip(made, np.array(rounds.interleaved(measures, 1 if options.quick else options.rounds)), strict=True))
    total = 1 if single else n_rows
    cells = ["-".join(map(str, sizes)), source, report.duration(total * float(np.median(times["float32"])))]
    for label in list(FORMATS)[1:]:
        if label not in times:
            cells += ["", ""]
            continue
        ratio = float(np.median(times["float32"] / times[label]))
        cells += [report.duration(total * float(np.median(times[label]))), f"{ratio:.2f}×"]
    return tuple(cells)


def table(n_rows: int, options: Any) -> str:
    """Measure all shapes with that number of rows; return the table."""
    cases = [(sizes, source) for sizes in SHAPES for source in (DENSE, IMAGES) if source == DENSE or sizes[0] == 784]
    if options.quick:
        cases = [((20, 40, 3), DENSE)]
    columns = ["one row" if n_rows == 1 else f"{n_rows:,} rows", "inputs", "float32"]
    for label in list(FORMATS)[1:]:
        columns += [label, "faster"]
    return report.table(columns, [line(*case, n_rows, options) for case in cases], left=2)


def accuracies(options: Any) -> str:
    """Train on Fashion-MNIST, or if quick on the digits; return a table of the accuracy of each format."""
    quick = options.quick
    (X, y), (X_test, y_test) = fastmlp.datasets.load_digits() if quick else fastmlp.datasets.load_fashion_mnist()
    lines = []
    for sizes, epochs, batch_size in [((64, 32, 10), 1, 64)] if quick else TRAININGS:
        for seed in range(1 if quick else 3):
            net = fastmlp.Network(sizes, loss="cross_entropy", seed=seed)
            net.fit(X, y, epochs=epochs, batch_size=batch_size)
            found = fastmlp.quantization_report(net, X_test, y_test)
            cells = ["-".join(map(str, sizes)), f"{seed}", f"{found['float32'].score:.2%}"]
            for weights in ("bfloat16", "int8"):
                each = found[weights]
                change = 100 * (float(each.score or 0) - float(found["float32"].score or 0))
                cells += [f"{change:+.2f}", f"{each.worst_difference:.2g}", f"{each.mean_difference:.1g}"]
            lines.append(tuple(cells))
    columns = ["network", "seed", "float32"]
    for weights in ("bfloat16", "int8"):
        columns += [f"{weights}: points", "worst difference", "mean difference"]
    return report.table(columns, lines)


def main() -> int:
    """Measure, and print the tables."""
    parts = {
        "row": functools.partial(table, 1),
        "rows": functools.partial(table, 1000),
        "accuracy": accuracies,
    }
    parser = report.parser(__doc__)
    parser.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    report.pin(options.cpu)
    rounds.use(options.clock)
    print(report.provenance(options.cpu, "float32", f"{options.clock} time"), flush=True)
    share = rounds.Share()
    for part in options.parts:
        print("", parts[part](options), sep="\n", flush=True)
    print("", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
