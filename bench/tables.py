"""What `fastmlp train` needs for a table of 110 MB beside what Polars alone needs to read it.

    python bench/tables.py [--cpu 1] [--rounds 7] [--text] [--quick]

A table of floats (with `--text`, two of its twenty columns are text and one in a hundred numbers is missing) is written
to a temporary folder. A round starts two processes: one that reads the file with `polars.read_csv` alone, and
`fastmlp train` of one epoch, of whose time the epoch itself, which it reports, is taken off. Both include the start of
the interpreter and the import of Polars, which takes all cores unless `--cpu` pins both to one. Prints the medians of
both, and median and quartiles of their ratio.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import report

N_COLUMNS = 20
READ = "import polars, sys; frame = polars.read_csv(sys.argv[1]); assert frame.width == {}"


def write(path: Path, megabytes: float, text: bool) -> int:
    """Writes the table; its number of rows."""
    import polars

    generator = np.random.default_rng(0)
    n_rows = int(megabytes * 1e6 / (N_COLUMNS * 10.5))
    numbers = generator.normal(size=(n_rows, N_COLUMNS)).round(7)
    frame = polars.DataFrame({f"x{i}": numbers[:, i] for i in range(N_COLUMNS)})
    if text:
        gaps = polars.Series(generator.random(n_rows) < 0.01)
        frame = frame.with_columns(polars.when(~gaps).then(polars.col("x0")).alias("x0"))
        for i, words in ((1, ["red", "green", "blue"]), (2, [f"place {k}" for k in range(60)])):
            frame = frame.with_columns(polars.Series(f"x{i}", generator.choice(words, n_rows)))
    frame = frame.with_columns(polars.Series("y", (numbers[:, 3:6].sum(axis=1)).round(7)))
    frame.write_csv(path)
    return n_rows


def seconds(command: Sequence[str]) -> tuple[float, str]:
    """How long the command took, and what it printed."""
    start = time.perf_counter()
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.perf_counter() - start, run.stdout


def measure(text: bool, rounds: int, megabytes: float) -> list[str]:
    """A line of the table: a file with or without text."""
    with tempfile.TemporaryDirectory() as folder:
        data, model = Path(folder) / "table.csv", Path(folder) / "model"
        n_rows = write(data, megabytes, text)
        read = [sys.executable, "-c", READ.format(N_COLUMNS + 1), str(data)]
        train = [sys.executable, "-m", "fastmlp", "train", str(data), "--target", "y", "--epochs", "1"]
        train += ["--batch-size", "256", "-o", str(model), "--json", "--quiet", "--threads", "1"]
        times = []
        for _ in range(rounds):
            alone, _ = seconds(read)
            whole, told = seconds(train)
            record = json.loads(told)
            assert record["training_rows"] + record["test_rows"] == n_rows
            times.append((alone, whole, record["seconds"]))
        name = f"{data.stat().st_size / 1e6:.0f} MB, {n_rows:,} rows" + ", with text and gaps" * text
    ratios = np.quantile([(whole - epoch) / alone for alone, whole, epoch in times], [0.25, 0.5, 0.75])
    return [name, *map(report.duration, np.median(times, axis=0)), *(f"{ratio:.2f}" for ratio in ratios)]


def main() -> int:
    """Write, time, print."""
    parser = report.parser(__doc__, rounds=7)
    parser.add_argument("--text", action="store_true", help="a table with columns of text and missing numbers, too")
    options = parser.parse_args()
    report.pin(options.cpu)
    print(report.provenance(options.cpu, "whole processes"), flush=True)
    words = (1, 1.0) if options.quick else (options.rounds, 110.0)
    found = [measure(text, *words) for text in ((False, True) if options.text else (False,))]
    columns = (
        "table",
        "Polars alone",
        "fastmlp train",
        "its epoch",
        "lower quartile",
        "rest / Polars",
        "upper quartile",
    )
    print("", report.table(columns, found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
