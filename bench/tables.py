"""Compares the time of `fastmlp train` on a table of 110 MB with the time that polars alone takes to read the table.

    python bench/tables.py [--cpu 1] [--rounds 7] [--text] [--quick]

A table of floats (with `--text`, two of its twenty columns are text and some numbers are missing) is written to a
temporary folder. A round starts three processes. The first reads the file with `polars.read_csv`. The second also makes
a float32 matrix (text one-hot) and splits it into rows to train and to test on, which is the minimum that a training
needs. The third is `fastmlp train` of one epoch, from which the training itself is subtracted: the time of the calls of
`Network.fit` and `Network.evaluate`, which is the same for arrays from anywhere. Polars uses all cores unless `--cpu`
pins the processes to one.

The processes import compiled files of Python, like an installed package, even if PYTHONDONTWRITEBYTECODE is set: a
first round writes the files, and its times are dropped.

Each table has two rows: "whole" are the times of whole processes, including the start of the interpreter and imports;
"inside" are those after all imports. The columns are medians, and the median and quartiles of the ratio of fastmlp's
time without the training to that of polars alone.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
import report
from numpy.typing import NDArray

N_COLUMNS = 20
INSIDE = "seconds inside: "
AROUND = """
import sys, time, {imports}
start = time.perf_counter()
{body}
print("seconds inside: ", time.perf_counter() - start, sep="")
"""
READ = AROUND.format(imports="polars", body="frame = polars.read_csv(sys.argv[1]); assert frame.width == 21")
MATRIX = AROUND.format(
    imports="numpy, polars",
    body="""
frame = polars.read_csv(sys.argv[1])
y = frame["y"].to_numpy()
frame = frame.drop("y").to_dummies(polars.selectors.string())
x = frame.cast(polars.Float32).to_numpy(order="c")
tested = numpy.random.default_rng(0).random(len(x)) < 0.2
parts = [(x[rows], y[rows]) for rows in (~tested, tested)]
""",
)
TRAIN = AROUND.format(
    imports="polars, fastmlp.cli",
    body="""
training, depth = 0.0, 0
def timed(method):
    def call(*arguments, **options):
        global training, depth
        start, depth = time.perf_counter(), depth + 1
        try:
            return method(*arguments, **options)
        finally:
            depth -= 1
            if depth == 0:  # a callback of `fit` calls `evaluate`
                training += time.perf_counter() - start
    return call
fastmlp.Network.fit, fastmlp.Network.evaluate = timed(fastmlp.Network.fit), timed(fastmlp.Network.evaluate)
assert fastmlp.cli.main(sys.argv[1:]) == 0
print(training)
""",
)


def write(path: Path, megabytes: float, text: bool) -> int:
    """Write the table, and return its number of rows."""
    import polars

    generator = np.random.default_rng(0)
    n_rows = int(megabytes * 1e6 / (N_COLUMNS * 10.5))
    numbers = generator.normal(size=(n_rows, N_COLUMNS)).round(7)
    frame = polars.DataFrame({f"x{i}": numbers[:, i] for i in range(N_COLUMNS)})
    if text:
        gaps = polars.Series(generator.random(n_rows) < 0.01)
        frame = frame.with_columns(polars.when(~gaps).then(polars.col("x0")).alias("x0"))
        for i, categories in ((1, ["red", "green", "blue"]), (2, [f"place {k}" for k in range(60)])):
            frame = frame.with_columns(polars.Series(f"x{i}", generator.choice(categories, n_rows)))
    frame = frame.with_columns(polars.Series("y", (numbers[:, 3:6].sum(axis=1)).round(7)))
    frame.write_csv(path)
    return n_rows


def seconds(program: str, *arguments: str, environment: dict[str, str]) -> tuple[NDArray[np.float64], str]:
    """Run the program; return its time as a whole process and inside, and what else it printed."""
    command = [sys.executable, "-c", program, *arguments]
    start = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    whole = time.perf_counter() - start
    printed, _, inside = run.stdout.rpartition(INSIDE)
    return np.array([whole, float(inside)]), printed


def measure(text: bool, rounds: int, megabytes: float) -> list[list[str]]:
    """Return two rows of the table, "whole" and "inside", for a file with or without text."""
    with tempfile.TemporaryDirectory() as folder:
        data, model = str(Path(folder) / "table.csv"), str(Path(folder) / "model")
        n_rows = write(Path(data), megabytes, text)
        train = ["train", data, "--target", "y", "--epochs", "1", "--batch-size", "256", "-o", model, "--json"]
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        timed = functools.partial(seconds, environment=plain | {"PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled")})
        times = []
        for _ in range(1 + rounds):
            alone, _ = timed(READ, data)
            matrix, _ = timed(MATRIX, data)
            ours, printed = timed(TRAIN, *train, "--quiet", "--threads", "1")
            record, training = map(json.loads, printed.splitlines())
            assert record["training_rows"] + record["test_rows"] == n_rows
            times.append((alone, matrix, ours, np.full(2, training)))
        name = f"{Path(data).stat().st_size / 1e6:.0f} MB, {n_rows:,} rows" + ", with text and gaps" * text
    lines = []
    for kind, rows in zip(("whole", "inside"), np.moveaxis(np.array(times[1:]), -1, 0), strict=True):
        alone, _, ours, training = rows.T
        ratios = np.quantile((ours - training) / alone, [0.25, 0.5, 0.75])
        shown = [*map(report.duration, np.median(rows, axis=0)), *(f"{ratio:.2f}" for ratio in ratios)]
        lines.append([name, kind, *shown])
    return lines


def main() -> int:
    """Write the tables, measure and print."""
    parser = report.parser(__doc__, rounds=7)
    parser.add_argument("--text", action="store_true", help="also a table with columns of text and missing numbers")
    options = parser.parse_args()
    report.pin(options.cpu)
    print(report.provenance(options.cpu, f"polars {metadata.version('polars')}, processes"), flush=True)
    arguments = (1, 1.0) if options.quick else (options.rounds, 110.0)
    found = [line for text in ((False, True) if options.text else (False,)) for line in measure(text, *arguments)]
    columns = (
        "table",
        "processes",
        "Polars alone",
        "Polars, NumPy and a matrix",
        "fastmlp train",
        "its training",
        "lower quartile",
        "rest / Polars",
        "upper quartile",
    )
    print("", report.table(columns, found, left=2), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
