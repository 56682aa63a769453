"""Tables drawn at random: the command line, Python on frames, a bare network and an encoding by hand must agree.

A table is drawn as values; how it is written (separator, decimal mark, marks of missing values, order of columns, ends
of lines) is drawn as well. From the values, not from the file, the inputs of each row are worked out here with plain
Python and pandas' calendar. `fastmlp train` learns from the file for an epoch; then

- `fastmlp predict`, `fastmlp.load(...).predict` on frames that polars and pandas have read, and a network without an
  encoder on the inputs worked out here must give the same predictions, by the same names,
- with the columns in another order and others among them, too.

On failure the message has the seed that draws the table again: `check(seed)`.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.preparation import split

polars = pytest.importorskip("polars", reason="needs polars")
pandas = pytest.importorskip("pandas", reason="needs pandas")

QUICK, MANY = 60, 20_000
SECONDS = 1500.0
NUMERIC_MARKS = ("", "NA", "?", "NaN", "null", "n/a")
WORDS = (
    "red",
    "green",
    "blue",
    "dark blue",
    "it's",
    "ümlaut",
    "a;b",
    "a,b",
    'say "x"',
    "x\ty",
    "-",
    "12 kg",
    "1-2",
    "T",
)


class Drawn(NamedTuple):
    """A column: its cells as text, and its values with None where they are missing."""

    kind: str
    cells: list[str]
    values: list[Any]


def spell(value: float, decimal: str) -> str:
    return repr(value).replace(".", decimal)


def gaps(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.random(n) < rng.choice([0.0, 0.0, 0.1, 0.4])


def draw_number(rng: np.random.Generator, n: int, decimal: str) -> Drawn:
    scale = 10.0 ** rng.integers(-6, 9)
    values = (rng.normal(size=n) * scale).tolist() if rng.random() < 0.5 else rng.integers(-20, 2000, n).tolist()
    holes = gaps(rng, n)
    marks = rng.choice(NUMERIC_MARKS, n) if rng.random() < 0.5 else [""] * n
    cells = [str(mark) if hole else spell(v, decimal) for v, hole, mark in zip(values, holes, marks, strict=True)]
    return Drawn("number", cells, [None if hole else float(v) for v, hole in zip(values, holes, strict=True)])


def draw_text(rng: np.random.Generator, n: int, decimal: str) -> Drawn:
    words = rng.choice(WORDS, rng.integers(2, len(WORDS)), replace=False)
    chosen = rng.choice(words, n, p=rng.dirichlet(np.full(len(words), 0.7)))
    holes = gaps(rng, n)
    marks = rng.choice(["", "NA", "None"], n)
    cells = [str(mark if hole else word) for word, hole, mark in zip(chosen, holes, marks, strict=True)]
    return Drawn("text", cells, [None if hole else str(word) for word, hole in zip(chosen, holes, strict=True)])


def draw_boolean(rng: np.random.Generator, n: int, decimal: str) -> Drawn:
    no, yes = [("false", "true"), ("False", "True"), ("FALSE", "TRUE")][rng.integers(3)]
    values, holes = rng.random(n) < 0.5, gaps(rng, n)
    cells = ["" if hole else yes if value else no for value, hole in zip(values, holes, strict=True)]
    return Drawn("boolean", cells, [None if hole else bool(v) for v, hole in zip(values, holes, strict=True)])


def draw_time(rng: np.random.Generator, n: int, decimal: str) -> Drawn:
    with_time = rng.random() < 0.5
    start = datetime.datetime(1960, 1, 1)
    values = [
        start + datetime.timedelta(days=int(day), minutes=int(minute) if with_time else 0)
        for day, minute in zip(rng.integers(0, 30_000, n), rng.integers(0, 1440, n), strict=True)
    ]
    holes = gaps(rng, n)
    written = [v.isoformat(" ", "minutes") if with_time else v.date().isoformat() for v in values]
    cells = ["" if hole else text for text, hole in zip(written, holes, strict=True)]
    return Drawn("time", cells, [None if hole else v for v, hole in zip(values, holes, strict=True)])


DRAW: list[Callable[[np.random.Generator, int, str], Drawn]] = [
    draw_number,
    draw_number,
    draw_text,
    draw_boolean,
    draw_time,
]


def draw_target(rng: np.random.Generator, n: int, decimal: str) -> tuple[Drawn, list[str]]:
    """The target, as values that the network is to name, and arguments that go with it."""
    kind = rng.choice(["text", "integers", "codes", "large", "numbers"])
    if kind == "numbers":
        values = (rng.normal(size=n) * 10.0 ** rng.integers(-3, 6)).tolist()
        return Drawn("regression", [spell(value, decimal) for value in values], values), []
    few = {
        "text": ["yes", "no", "may be", "NA"],
        "integers": [0, 1, 7, -3],
        "codes": ["007", "7", "1e3", "+1"],
        "large": [2**62 + 1, 2**62 + 2, 1],
    }[kind]
    names = [few[i % 3] for i in rng.permutation(n)]
    return Drawn("classes", [str(name) for name in names], names), []


# -------------------------------------------------------------------------------------------------- inputs by hand


def by_hand(column: Drawn, train: np.ndarray) -> list[list[float]]:
    """The inputs that the column's values become, by the rule of docs/tables.md, one list for each."""
    known = [column.values[i] for i in train]
    present = [value for value in known if value is not None]
    missing = [float(value is None) for value in column.values]
    indicator = [missing] if len(present) < len(known) else []
    if not present:
        return []
    if column.kind == "number":
        middle = float(np.median(present))
        return [[middle if value is None else value for value in column.values], *indicator]
    if column.kind == "time":
        stamps = pandas.Series([pandas.Timestamp(value) for value in column.values])
        parts = [(stamps - pandas.Timestamp(0)) / pandas.Timedelta(days=1)]
        parts += [getattr(stamps.dt, part) for part in ("month", "day", "weekday")]
        if any((value.hour, value.minute) != (0, 0) for value in present):
            parts.append(stamps.dt.hour)
        return [part.fillna(part.iloc[train].median()).tolist() for part in map(pandas.Series, parts)] + indicator
    counts = pandas.Series(present).value_counts()
    names = [False, True] if column.kind == "boolean" else sorted(counts.index[counts >= 2])
    hot = [[float(value is not None and value == name) for value in column.values] for name in names]
    hot += [missing] if len(known) - len(present) >= 2 else []
    other = [1.0 - sum(row) for row in zip(*hot, strict=True)] if hot else [1.0] * len(column.values)
    return [*hot, other]


# ------------------------------------------------------------------------------------------------------- one table


def write(path: str, names: list[str], columns: list[Drawn], separator: str, rng: np.random.Generator) -> None:
    text = io.StringIO()
    quoting = csv.QUOTE_ALL if rng.random() < 0.2 else csv.QUOTE_MINIMAL
    writer = csv.writer(text, delimiter=separator, lineterminator=str(rng.choice(["\n", "\r\n"])), quoting=quoting)
    writer.writerow(names)
    writer.writerows(zip(*(column.cells for column in columns), strict=True))
    Path(path).write_bytes((b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + text.getvalue().encode())


def said(*arguments: str) -> Any:
    """What the command line prints, as JSON."""
    import contextlib

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = cli.main(arguments)
    assert code == 0, err.getvalue()
    return json.loads(out.getvalue())


def check(seed: int) -> None:
    """Draw the table of that seed, in the folder that one is in, and compare."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 70))
    separator = str(rng.choice([",", ";", "\t", "|"]))
    decimal = "," if separator != "," and rng.random() < 0.3 else "."
    columns = [DRAW[rng.integers(len(DRAW))](rng, n, decimal) for _ in range(rng.integers(1, 6))]
    names = [f"column {i}" if rng.random() < 0.8 else str(1990 + i) for i in range(len(columns))]
    target, more = draw_target(rng, n, decimal)
    place = int(rng.integers(0, len(columns) + 1))
    written = [*columns[:place], target, *columns[place:]]
    header = [*names[:place], "target, y", *names[place:]]
    write("d.csv", header, written, separator, rng)
    decimal_arguments = ["--decimal", decimal]  # what no cell shows cannot be guessed
    task = ["--task", "regression" if target.kind == "regression" else "classification"]
    loss = [] if target.kind == "regression" else task
    arguments = ["d.csv", "--target", "target, y", "-o", "m.safetensors", "--epochs", "1", "--layers", "4", "--quiet"]
    dtype = str(rng.choice(["float32", "float64"]))
    record = said("train", *arguments, "--dtype", dtype, "--json", *decimal_arguments, *(loss or task), *more)
    assert record["training_rows"] + record["test_rows"] == n
    net = fastmlp.load("m.safetensors")

    classes = None if target.kind == "regression" else sorted(set(target.values))
    assert net.class_names == (None if classes is None else tuple(classes))
    y = np.array(target.values) if classes is None else np.array([classes.index(value) for value in target.values])
    train, _ = split(y, 0.2, 0, classes is not None)
    inputs = np.transpose([part for column in columns for part in by_hand(column, train)])
    bare = fastmlp.Network(
        net.sizes, activation=net.activation, output_activation=net.output_activation, loss=net.loss, dtype=dtype,
        input_scaling=net.input_scaling, target_scaling=net.target_scaling,
    )  # fmt: skip
    bare.parameters = net.parameters
    expected = bare.predict(inputs)
    labels = bare.classify(inputs) if classes is not None else None

    frames = [pandas.read_csv("d.csv", sep=separator, decimal=decimal, na_values=["?"], float_precision="round_trip")]
    if decimal == ".":
        frames += [polars.read_csv("d.csv", separator=separator, infer_schema_length=length) for length in (None, 0)]
    for frame in frames:
        np.testing.assert_array_equal(net.encoder.transform(frame), inputs)
        np.testing.assert_array_equal(net.predict(frame), expected)

    order = rng.permutation(len(columns))
    note = Drawn("text", ["x"] * n, ["x"] * n)
    write("new.csv", [*(names[i] for i in order), "note"], [*(columns[i] for i in order), note], separator, rng)
    for path in ("d.csv", "new.csv"):
        printed = said("predict", "m.safetensors", path, "--json", *decimal_arguments)["predictions"]
        if labels is not None and classes is not None:
            assert printed == [classes[label] for label in labels]
        else:
            np.testing.assert_array_equal(np.array(printed, expected.dtype), expected[:, 0])
    score = said("evaluate", "m.safetensors", "d.csv", "--json", *decimal_arguments)
    if labels is not None:
        assert score["accuracy"] == pytest.approx(np.mean(labels == y))
    else:
        assert score["rmse"] == pytest.approx(np.sqrt(np.mean((expected[:, 0].astype(float) - y) ** 2)), rel=1e-5)


def check_many(count: int, first: int, seconds: float) -> int:
    begun = time.monotonic()
    for seed in range(first, first + count):
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"check({seed}): {error}") from error
        if time.monotonic() - begun > seconds:
            return seed + 1 - first
    return count


@pytest.mark.filterwarnings("ignore")
def test_some_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_many(QUICK, 0, np.inf)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_many_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The seeds go on from a number that the environment may give, FASTMLP_SEED, which is printed."""
    monkeypatch.chdir(tmp_path)
    first = int(os.environ.get("FASTMLP_SEED", "1000"))
    done = check_many(MANY, first, SECONDS)
    print(f"{done} tables from seed {first} on")
    assert done >= 100
