"""The command line on tables: headers, labels, columns, numbers as they are printed, and Python on the same file.

Each test has a table that was once misread, or could be, and the correct result.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.tables import table_reader

polars = pytest.importorskip("polars", reason="needs polars")

MODEL = "m.safetensors"
Out = tuple[str, str]
Call = Callable[..., Out]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run the command line in an empty folder; return what it writes to stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, code: int = 0) -> Out:
        got = cli.main(arguments)
        captured = capfd.readouterr()
        assert got == code, captured
        return captured.out, captured.err

    return run


def train(call: Call, data: str, *arguments: str, epochs: int = 3) -> Out:
    return call("train", data, "-o", MODEL, "--epochs", str(epochs), *arguments)


def info() -> dict[str, Any]:
    from fastmlp.cli import predict

    return predict.model_record(MODEL)


def write(name: str, header: list[str] | None, rows: Any) -> None:
    with open(name, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        if header is not None:
            writer.writerow(header)
        writer.writerows([cell if isinstance(cell, str) else repr(cell) for cell in row] for row in rows)


def numbers(text: str) -> np.ndarray:
    return np.array([line.split(",") for line in text.split()], float)


def normal(n: int, width: int, seed: int = 0) -> list[list[float]]:
    rows: list[list[float]] = np.random.default_rng(seed).normal(size=(n, width)).tolist()
    return rows


# ------------------------------------------------------------------------------------------------------------ headers


def test_a_header_of_numbers(call: Call) -> None:
    rows = normal(50, 3)
    write("d.csv", ["0", "1", "2", "3"], [[*row, str(int(row[0] > 0))] for row in rows])
    _, err = train(call, "d.csv", "--target", "3", "--quiet")
    assert "the header has numbers ('0', '1', '2'); --no-header if the first row is data" in err
    assert info()["classes"] == [0, 1]
    write("new.csv", ["0", "1", "2"], rows[:5])
    assert len(call("predict", MODEL, "new.csv")[0].split()) == 5
    write("new.csv", ["2", "1", "0"], [row[::-1] for row in rows[:5]])
    assert call("predict", MODEL, "new.csv")[0].split() == call("predict", MODEL, "d.csv")[0].split()[:5]


def test_years_as_names(call: Call) -> None:
    x = np.array(normal(200, 4))
    write("d.csv", ["2019", "2020", "2021", "2022"], np.c_[x[:, :3], x[:, 0] - x[:, 2]].tolist())
    out, _ = train(call, "d.csv", "--target", "2022", "--json", epochs=300)
    record = json.loads(out)
    assert record["training_rows"] + record["test_rows"] == 200
    assert record["test_r2"] > 0.95
    by_index = json.loads(train(call, "d.csv", "--target", "-1", "--json", epochs=300)[0])
    assert by_index["history"] == record["history"]


def test_an_index_beside_years(call: Call) -> None:
    write("d.csv", ["", "2019", "y"], [[str(i), row[0], "uv"[i % 2]] for i, row in enumerate(normal(30, 1))])
    _, err = train(call, "d.csv", "--target", "y")
    assert info()["classes"] == ["u", "v"]
    assert "the column without a name is 0, 1, 2, ... and is an input; --drop 0 leaves it out" in err
    _, err = train(call, "d.csv", "--target", "y", "--drop", "0")
    assert "without a name" not in err
    assert info()["columns"] == ["2019"]


def test_a_first_row_without_numbers_is_data_if_it_is_said(call: Call) -> None:
    rows = [["?", "yes"], *([row[0], "yes" if row[0] > 0 else "no"] for row in normal(40, 1))]
    write("d.csv", None, rows)
    out, err = train(call, "d.csv", "--target", "1", "--no-header", "--json")
    record = json.loads(out)
    assert record["training_rows"] + record["test_rows"] == 41
    assert "separator ',', no header, 2 columns" in err
    assert len(call("predict", MODEL, "d.csv", "--no-header")[0].split()) == 41
    _, err = call("predict", MODEL, "d.csv", code=1)
    assert "expected the model's columns, got no '0'" in err


def test_columns_by_position(call: Call) -> None:
    """If the target was in the middle, files with it and without it give the same predictions."""
    rows = normal(60, 2)
    write("d.csv", None, [[a, "up" if a > b else "down", b] for a, b in rows])
    train(call, "d.csv", "--target", "1", "--no-header", epochs=60)
    write("new.csv", None, rows)
    expected = call("predict", MODEL, "d.csv", "--no-header")[0]
    assert call("predict", MODEL, "new.csv", "--no-header")[0] == expected
    assert np.mean([(a > b) == (word == "up") for (a, b), word in zip(rows, expected.split(), strict=True)]) > 0.9
    write("new.csv", None, [row * 2 for row in rows])
    assert "expected 2 columns" in call("predict", MODEL, "new.csv", "--no-header", code=1)[1]


def test_a_model_without_names_and_a_header_of_numbers(call: Call) -> None:
    x = np.array(normal(60, 3))
    np.savez("d.npz", X=x, y=(x[:, 0] > 0).astype(int))
    train(call, "d.npz")
    write("new.csv", ["0", "1", "2"], x[:5].tolist())
    expected = call("predict", MODEL, "d.npz")[0].split()[:5]
    assert call("predict", MODEL, "new.csv")[0].split() == expected
    write("new.csv", None, x[:5].tolist())
    assert call("predict", MODEL, "new.csv", "--no-header")[0].split() == expected


def test_what_was_guessed_is_said(call: Call) -> None:
    head = '"length, mm";"width, mm";"depth, mm";kind'
    lines = [";".join(f"{random.random():.3f}" for _ in range(3)) + ";" + "uv"[i % 2] for i in range(40)]
    for text in (head, "\na;b;c;kind", "sep=;\na;b;c;kind"):
        Path("d.csv").write_text("\n".join([text, *lines]))
        _, err = train(call, "d.csv", "--target", "kind")
        assert "d.csv: separator ';', header " in err
        assert train(call, "d.csv", "--target", "kind", "--quiet")[1] == ""
    _, err = call("train", "d.csv", "--target", "sort", code=1)
    assert re.search(r"--target: expected a column of d\.csv .*; read with separator ';'", err)


# ------------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
@pytest.mark.parametrize("values", [[2**62 + 1, 2**62 + 2, 2**61], [2**64 - 1, 2**64 - 2, 0], [-5, 7, 12]])
def test_integers_as_labels_stay_exact(call: Call, kind: str, values: list[int]) -> None:
    a = np.array(normal(90, 2))
    y = np.array(values, np.uint64 if max(values) >= 2**63 else np.int64)[(a > 0).sum(axis=1)]
    if kind == "npz":
        np.savez("d.npz", X=a, y=y)
    else:
        frame = polars.DataFrame({"a": a[:, 0], "b": a[:, 1], "y": y})
        frame.write_csv("d.csv") if kind == "csv" else frame.write_parquet("d.parquet")
    train(call, f"d.{kind}", *(["--target", "y"] if kind != "npz" else []), epochs=100)
    assert info()["classes"] == sorted(values)
    said = call("predict", MODEL, f"d.{kind}")[0].split()
    assert np.mean([int(word) == label for word, label in zip(said, y.tolist(), strict=True)]) > 0.9
    assert json.loads(call("predict", MODEL, f"d.{kind}", "--json")[0])["predictions"] == list(map(int, said))
    assert float(json.loads(call("evaluate", MODEL, f"d.{kind}", "--json")[0])["accuracy"]) > 0.9


@pytest.mark.parametrize("codes", [["1.1", "1.10", "020"], ["00501", "02134", "7"], ["+1", "1e3", "1000"]])
def test_labels_keep_their_spelling(call: Call, codes: list[str]) -> None:
    write("d.csv", ["a", "code"], [[row[0], codes[i % 3]] for i, row in enumerate(normal(90, 1))])
    train(call, "d.csv", "--target", "code", "--task", "classification")
    assert info()["classes"] == sorted(codes)
    assert set(call("predict", MODEL, "d.csv")[0].split()) <= set(codes)
    assert call("predict", MODEL, "d.csv", "--proba")[0].splitlines()[0] == ",".join(sorted(codes))


@pytest.mark.parametrize("cell", [" {}", "{} ", "   {}  "])
def test_numbers_with_blanks_beside_them_are_numbers(call: Call, cell: str) -> None:
    """A target of numbers with blanks in every row, or in a single late row, is the same as without blanks."""
    rows = [[f"{x:.2f}", f"{2 * x + 1:.1f}"] for [x] in normal(300, 1)]
    write("plain.csv", ["a", "y"], rows)
    write("padded.csv", ["a", "y"], [[x, cell.format(y)] for x, y in rows])
    write("late.csv", ["a", "y"], [[x, cell.format(y) if i == 250 else y] for i, (x, y) in enumerate(rows)])
    models = []
    for name in ("plain", "padded", "late"):
        train(call, f"{name}.csv", "--target", "y")
        assert info()["task"] == "regression"
        models.append(fastmlp.load(MODEL).parameters)
    assert np.array_equal(models[1], models[0])
    assert np.array_equal(models[2], models[0])


def test_a_missing_target_is_no_class(call: Call) -> None:
    answer = ["yes", "no", "NaN", "no", "yes"]
    write("d.csv", ["a", "bought"], [[row[0], answer[i % 5]] for i, row in enumerate(normal(90, 1))])
    _, err = call("train", "d.csv", "--target", "bought", "--quiet", code=1)
    assert "d.csv: row 3, column 'bought': expected a target, got a missing one (18 in all)" in err
    _, err = train(call, "d.csv", "--target", "bought", "--drop-missing-target")
    assert info()["classes"] == ["no", "yes"]
    assert "18 rows without a target are left out" in err
    assert "--drop-missing-target" in call("evaluate", MODEL, "d.csv", code=1)[1]
    assert json.loads(call("evaluate", MODEL, "d.csv", "--drop-missing-target", "--json")[0])["rows"] == 72


def test_a_mark_among_labels_is_announced(call: Call) -> None:
    answer = ["yes", "no", "NA", "no", "yes"]
    write("d.csv", ["a", "bought"], [[row[0], answer[i % 5]] for i, row in enumerate(normal(90, 1))])
    _, err = train(call, "d.csv", "--target", "bought", "--quiet")
    assert "column 'bought': 'NA' is taken for a class (18 rows)" in err
    assert info()["classes"] == ["NA", "no", "yes"]
    train(call, "d.csv", "--target", "bought", "--null", "NA", "--drop-missing-target")
    assert info()["classes"] == ["no", "yes"]


def test_one_decision_for_one_column(call: Call) -> None:
    x = np.array(normal(60, 3))
    y = (1000 * x[:, 0]).astype(int)
    np.savez("d.npz", X=x, y=y)
    write("d.csv", ["a", "b", "c", "v"], [[*row, int(value)] for row, value in zip(x.tolist(), y, strict=True)])
    for arguments in (["d.npz"], ["d.csv", "--target", "v"]):
        record = json.loads(train(call, *arguments, "--json", epochs=200)[0])
        assert record["task"] == "regression"
        assert record["test_r2"] > 0.9
        assert "as many classes as rows" in call("train", *arguments, "--task", "classification", code=1)[1]


# ------------------------------------------------------------------------------------------------ numbers as printed


def test_printed_numbers_read_back(call: Call) -> None:
    a = np.random.default_rng(0).normal(size=300)
    y = 1e10 + 10 * a
    write("d.csv", ["a", "v"], np.c_[a, y].tolist())
    train(call, "d.csv", "--target", "v", epochs=60)
    expected = fastmlp.load(MODEL).predict(polars.read_csv("d.csv"))[:, 0]
    said = np.array(call("predict", MODEL, "d.csv")[0].split(), expected.dtype)
    np.testing.assert_array_equal(said, expected)
    np.testing.assert_array_equal(json.loads(call("predict", MODEL, "d.csv", "--json")[0])["predictions"], expected)
    assert len(set(said)) == 300
    assert 1 - np.var(said - y) / np.var(y) > 0.99
    call("predict", MODEL, "d.csv", "--output", "said.txt")
    np.testing.assert_array_equal(np.loadtxt("said.txt"), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_number_is_its_shortest_spelling(call: Call, dtype: str) -> None:
    write("d.csv", ["a", "y"], [[row[0], "uv"[row[0] > 0]] for row in normal(40, 1)])
    train(call, "d.csv", "--target", "y", "--dtype", dtype)
    expected = fastmlp.load(MODEL).predict(polars.read_csv("d.csv"))
    assert expected.dtype == dtype
    header, *lines = call("predict", MODEL, "d.csv", "--proba")[0].splitlines()
    assert header == "u,v"
    assert lines == [",".join(map(str, row)) for row in expected]
    np.testing.assert_array_equal(numbers("\n".join(lines)).astype(dtype), expected)
    said = json.loads(call("predict", MODEL, "d.csv", "--proba", "--json")[0])["probabilities"]
    assert [[str(np.dtype(dtype).type(value)) for value in row] for row in said] == [line.split(",") for line in lines]


# ------------------------------------------------------------------------------------------------------------ columns


def mixed(n: int = 200) -> polars.DataFrame:
    """Return a table with columns of all kinds, and a target that is a function of them."""
    rng = np.random.default_rng(5)
    color = rng.choice(["red", "green", "blue"], n)
    width = rng.normal(size=n)
    frame = polars.DataFrame(
        {
            "id": [f"{i:05d}" for i in range(n)],
            "width": [None if hole else value for hole, value in zip(rng.random(n) < 0.1, width, strict=True)],
            "color": color,
            "sold": rng.random(n) < 0.5,
            "day": np.datetime64("2024-01-01") + rng.integers(0, 300, n).astype("timedelta64[D]"),
            "price": 10 * (color == "red") + 5 * (color == "blue") + width,
        }
    )
    assert isinstance(frame, polars.DataFrame)
    return frame


@pytest.mark.parametrize("kind", ["csv", "parquet", "tsv", "jsonl"])
def test_a_table_of_everything_and_python_on_the_same(call: Call, kind: str) -> None:
    frame = mixed()
    writer = {"csv": "write_csv", "parquet": "write_parquet", "tsv": "write_csv", "jsonl": "write_ndjson"}[kind]
    getattr(frame, writer)(f"d.{kind}", **({"separator": "\t"} if kind == "tsv" else {}))
    record = json.loads(train(call, f"d.{kind}", "--target", "price", "--keep", "id", "--json", epochs=150)[0])
    assert record["test_r2"] > 0.9
    encoded = info()["encoded"]
    assert encoded["color"] == "categories blue, green, red, other"
    assert encoded["sold"] == "boolean False, True, other"
    assert encoded["width"] == "number, and whether it is missing"
    assert encoded["day"] == "day number, month, day, weekday"
    assert (info()["target"], info()["kept"]) == ("price", ["id"])
    shown = call("info", MODEL)[0]
    assert re.search(
        r"\nencoded +width: number, and whether it is missing\n +color: categories blue, green, red, other\n", shown
    )
    header, *rows = csv.reader(io.StringIO(call("predict", MODEL, f"d.{kind}")[0]))
    assert header == ["id", "price"]
    assert [row[0] for row in rows] == frame["id"].to_list()
    net = fastmlp.load(MODEL)
    expected = net.predict(frame)
    assert [row[1] for row in rows] == [str(value) for value in expected[:, 0]]
    shuffled = frame.select("sold", "day", "id", "width", "color")
    np.testing.assert_array_equal(net.predict(shuffled), expected)
    scores = json.loads(call("evaluate", MODEL, f"d.{kind}", "--json", "--metrics", "r2,mse")[0])
    assert scores["r2"] == pytest.approx(
        1 - np.mean((frame["price"].to_numpy() - expected[:, 0]) ** 2) / np.var(frame["price"].to_numpy()), rel=1e-6
    )
    net.save("again.safetensors")
    assert call("predict", "again.safetensors", f"d.{kind}") == call("predict", MODEL, f"d.{kind}")


def test_the_same_as_pandas_and_scikit_learn_make_of_the_file(call: Call) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas")
    frame = mixed().drop("id")
    frame.write_csv("d.csv")
    train(call, "d.csv", "--target", "price")
    net = fastmlp.load(MODEL)
    said = [str(value) for value in net.predict(pandas.read_csv("d.csv"))[:, 0]]
    assert call("predict", MODEL, "d.csv")[0].split() == said


def test_extra_columns_and_missing_ones(call: Call) -> None:
    rows = normal(60, 2)
    write("d.csv", ["a", "b", "y"], [[a, b, "up" if a > b else "down"] for a, b in rows])
    train(call, "d.csv", "--target", "y", epochs=60)
    expected = call("predict", MODEL, "d.csv")
    assert expected[1] == ""
    write("new.csv", ["note", "b", "a"], [["x", b, a] for a, b in rows])
    out, err = call("predict", MODEL, "new.csv")
    assert out == expected[0]
    assert err == "fastmlp: new.csv: columns that the model was not trained on are ignored: 'note'\n"
    assert call("predict", MODEL, "new.csv", "--quiet")[1] == ""
    out, err = call("predict", MODEL, "new.csv", "--keep", "note")
    assert (out.splitlines()[:1], err) == (["note,y"], "")
    write("new.csv", ["b", "c"], rows)
    assert (
        "expected the model's columns, got no 'a' but the unknown 'c'" in call("predict", MODEL, "new.csv", code=1)[1]
    )


def test_a_network_of_python_is_given_its_columns_by_name(call: Call) -> None:
    x = np.array(normal(200, 2))
    frame = polars.DataFrame({"a": x[:, 0], "b": 100 * x[:, 1]})
    net = fastmlp.Network([2, 16, 1], input_scaling="standard", target_scaling="standard", seed=0)
    net.fit(frame, polars.Series("sum", x[:, 0] - x[:, 1]), epochs=100)
    net.save(MODEL)
    frame.select("b", "a").write_csv("new.csv")
    expected = net.predict(frame)[:, 0]
    np.testing.assert_array_equal(np.array(call("predict", MODEL, "new.csv")[0].split(), expected.dtype), expected)
    record = info()
    assert (record["columns"], record["target"]) == (["a", "b"], "sum")
    assert (record["scaled_inputs"], record["scaled_targets"]) == (True, True)
    np.testing.assert_allclose(record["input_scaling"]["offset"], [frame["a"].mean(), frame["b"].mean()])
    frame.with_columns(sum=x[:, 0] - x[:, 1]).write_csv("known.csv")
    assert json.loads(call("evaluate", MODEL, "known.csv", "--json")[0])["r2"] > 0.9
    polars.DataFrame({"a": [1.0, None], "b": [1.0, 2.0]}).write_csv("new.csv")
    assert (
        "row 2, column 'a': expected a finite number, got an empty cell" in call("predict", MODEL, "new.csv", code=1)[1]
    )


def test_category_columns_are_read_as_they_are_written(call: Call) -> None:
    """In a column of codes, a file with only 007 is read as text; polars would read 7."""
    codes = ["007", "A1", "42"]
    write("d.csv", ["code", "y"], [[codes[i % 3], ["u", "v", "w"][i % 3]] for i in range(60)])
    train(call, "d.csv", "--target", "y", epochs=100)
    write("new.csv", ["code"], [["007"]] * 2)
    assert call("predict", MODEL, "new.csv")[0] == "u\nu\n"


def test_marks_of_missing_values_in_columns_are_said(call: Call) -> None:
    cells = ["1", "NA", "2.5", "?", "NA", "4"]
    write("d.csv", ["a", "y"], [[cells[i % 6], "uv"[i % 2]] for i in range(60)])
    _, err = train(call, "d.csv", "--target", "y", "--test-fraction", "0")
    assert "d.csv: column 'a': numbers, with 10 of '?', 20 of 'NA' taken for missing values" in err
    cells[3] = "n.d."
    write("d.csv", ["a", "y"], [[cells[i % 6], "uv"[i % 2]] for i in range(60)])
    _, err = train(call, "d.csv", "--target", "y", "--quiet")
    assert "column 'a' is taken for text, although most of its values look like numbers" in err
    train(call, "d.csv", "--target", "y", "--null", "n.d.")
    assert info()["encoded"] == {"a": "number, and whether it is missing"}
    expected = call("predict", MODEL, "d.csv", "--proba")[0]
    write("other.csv", ["a"], [[cells[i % 6].replace("n.d.", "-")] for i in range(60)])
    assert "row 4, column 'a': expected a number, got '-'" in call("predict", MODEL, "other.csv", code=1)[1]
    assert call("predict", MODEL, "other.csv", "--proba", "--null", "-")[0] == expected


def test_a_mark_of_the_training_is_one_ever_after(call: Call) -> None:
    rows = [["-999" if i % 7 == 0 else row[0], ["u", "v", "none"][i % 3]] for i, row in enumerate(normal(60, 1))]
    write("d.csv", ["a", "y"], rows)
    nulls = ["--null", "-999", "--null", "none"]
    train(call, "d.csv", "--target", "y", "--drop-missing-target", *nulls, "--dtype", "float64")
    gaps = [["" if cell == "-999" else cell, label] for cell, label in rows]
    write("gaps.csv", ["a", "y"], gaps)
    assert call("predict", MODEL, "d.csv", "--proba") == call("predict", MODEL, "gaps.csv", "--proba")
    assert json.loads(call("evaluate", MODEL, "d.csv", "--drop-missing-target", "--json")[0])["rows"] == 40


@pytest.mark.parametrize("name", ["classes", "numbers", "pairs"])
def test_models_that_the_command_line_of_0_1_0_wrote(call: Call, name: str) -> None:
    old = Path(__file__).parents[1] / "formats" / "written_by_0_1_0"
    data = old / (f"{name}.npz" if name == "pairs" else f"{name}.csv")
    said = call("predict", str(old / f"{name}.model"), str(data))[0].split()
    expected = (old / f"{name}.txt").read_text().split()
    if name == "numbers":
        np.testing.assert_allclose(np.array(said, float), np.array(expected, float), rtol=2e-7)
    else:
        assert said == expected


def test_a_bad_cell_is_named_with_its_row_in_the_file(call: Call) -> None:
    rows = [[row[0], "uv"[i % 2]] for i, row in enumerate(normal(60, 1))]
    write("d.csv", ["a", "y"], rows)
    train(call, "d.csv", "--target", "y")
    for cell, told in (("x", "expected a number, got 'x'"), ("inf", "expected finite numbers, got inf")):
        rows[41][0] = cell
        write("bad.csv", ["a", "y"], rows)
        assert f"bad.csv: row 42, column 'a': {told}" in call("predict", MODEL, "bad.csv", code=1)[1]
    assert (
        "bad.csv: row 42, column 'a': expected finite numbers" in call("train", "bad.csv", "--target", "y", code=1)[1]
    )


def test_the_target_s_name_and_index(call: Call) -> None:
    write("d.csv", ["a", "y", "k"], [[row[0], "uv"[i % 2], i] for i, row in enumerate(normal(40, 1))])
    for option in ("--drop", "--keep"):
        assert "another column than the target" in call("train", "d.csv", "--target", "y", option, "1", code=1)[1]
        assert (
            f"{option}: expected a column of d.csv" in call("train", "d.csv", "--target", "1", option, "z", code=1)[1]
        )
    train(call, "d.csv", "--target", "1", "--drop", "-1")
    assert (info()["target"], info()["columns"]) == ("y", ["a"])


def test_evaluate(call: Call) -> None:
    rows = normal(100, 2)
    write("d.csv", ["a", "b", "y"], [[a, b, "up" if a > b else "down"] for a, b in rows])
    train(call, "d.csv", "--target", "y", epochs=30)
    said = call("predict", MODEL, "d.csv")[0].split()
    right = np.mean([word == ("up" if a > b else "down") for word, (a, b) in zip(said, rows, strict=True)])
    scores = json.loads(call("evaluate", MODEL, "d.csv", "--json", "--metrics", "f1,auc")[0])
    assert scores["accuracy"] == pytest.approx(right)
    assert set(scores) == {"model", "input", "rows", "loss", "accuracy", "f1", "auc"}
    out, _ = call("evaluate", MODEL, "d.csv")
    assert re.fullmatch(rf"rows      100\nloss      [\d.]+\naccuracy  {100 * right:.2f} %\n", out)
    write("new.csv", ["a", "b", "z"], [[a, b, "sideways"] for a, b in rows])
    assert "expected the column 'y', the target, got none" in call("evaluate", MODEL, "new.csv", code=1)[1]
    _, err = call("evaluate", MODEL, "new.csv", "--target", "z", code=1)
    assert "row 1, column 'z': expected a class of the model ('down', 'up'), got 'sideways'" in err


# ------------------------------------------------------------------------------------------------------ without polars


def test_the_readme_s_table_without_polars(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:

    rows = normal(60, 2)
    write("d.csv", ["a", "b", "y"], [[a, b, "up" if a > b else "down"] for a, b in rows])
    train(call, "d.csv", "--target", "y", epochs=30)
    expected = call("predict", MODEL, "d.csv")[0]
    trained = fastmlp.load(MODEL)
    monkeypatch.setattr(table_reader, "has_polars", lambda: False)
    assert call("predict", MODEL, "d.csv")[0] == expected
    train(call, "d.csv", "--target", "y", epochs=30)
    np.testing.assert_array_equal(fastmlp.load(MODEL).parameters, trained.parameters)
    assert call("predict", MODEL, "d.csv", "--keep", "y")[0].splitlines()[0] == "y,prediction"
    rows[7][1] = "red"  # type: ignore[call-overload]
    write("text.csv", ["a", "b", "y"], [[a, b, "up"] for a, b in rows])
    _, err = call("train", "text.csv", "--target", "y", code=1)
    assert "row 8, column 'b': expected a number, got 'red'" in err
    assert "pip install polars" in err
    assert "fastmlp[" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "d.npz", "--target", "y"],
        ["train", "d.npz", "--separator", ";"],
        ["train", "d.parquet", "--target", "y", "--no-header"],
        ["train", "d.csv", "--target", "y", "--separator", "::"],
        ["train", "d.csv", "--target", "y", "--decimal", ";"],
        ["train", "digits", "--drop", "a"],
        ["train", "digits", "--null", "x"],
        ["train", "d.xlsx", "--target", "y"],
        ["evaluate", "m.safetensors"],
        ["evaluate", "m.safetensors", "d.csv", "--metrics", "speed"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    assert capsys.readouterr().out == ""
