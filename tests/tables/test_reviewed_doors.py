"""Inputs in which a number, a mark or a name could silently be confused with another one."""

from __future__ import annotations

import csv
import enum
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.tables import dialect, table_reader, target_column

pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
polars = pytest.importorskip("polars", reason="needs polars: pip install polars")


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Return the message of a command that ends with an error."""
    assert cli.main(list(args)) == 1
    return capsys.readouterr().err


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
@pytest.mark.parametrize("drop", [True, False])
def test_a_mark_of_the_user_is_a_missing_target_however_it_is_spelt(
    kind: str, drop: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = np.random.default_rng(0).normal(size=200)
    y = np.where(np.arange(200) % 10 == 0, -999.0, 100 + 10 * a)
    data, model = str(tmp_path / f"d.{kind}"), str(tmp_path / "m")
    frame = polars.DataFrame({"a": a, "y": y})
    if kind == "npz":
        np.savez(data, X=a[:, np.newaxis], y=y)
    else:
        frame.write_csv(data) if kind == "csv" else frame.write_parquet(data)
    words = ["train", data, *([] if kind == "npz" else ["--target", "y"]), "--null", "-999", "-o", model, "--quiet"]
    if not drop:
        assert "row 1" in failure(capsys, *words)
        return
    assert cli.main([*words, "--drop-missing-target", "--test-fraction", "0"]) == 0
    assert fastmlp.load(model).target_scaling == fastmlp.Scaling.fit(y[y > -999])


def test_a_kept_column_is_passed_through_without_a_header(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    rows = np.c_[rng.normal(size=60), 1000 + np.arange(60), rng.normal(size=60)]
    data, new, model = (str(tmp_path / name) for name in ("d.csv", "n.csv", "m"))
    np.savetxt(data, rows, delimiter=",")
    np.savetxt(new, rows[:, 1:], delimiter=",")
    assert cli.main(["train", data, "--no-header", "--target", "0", "--keep", "1", "-o", model, "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["predict", model, new, "--no-header"]) == 0
    said = capsys.readouterr().out.splitlines()[1:]
    assert [float(line.split(",")[0]) for line in said] == rows[:, 1].tolist()


def test_numbers_are_neither_names_nor_indices_of_classes_spelt_as_numbers() -> None:
    X = np.random.default_rng(0).normal(size=(60, 1))
    net = fastmlp.Network([1, 4, 3], loss="cross_entropy", seed=0)
    net.fit(X, ["01", "02", "03"] * 20)
    for act in (
        lambda: net.evaluate(X[:2], [1, 2]),
        lambda: net.fit(X, [1, 2, 3] * 20),
        lambda: net.learn_one(X[0], 1),
    ):
        with pytest.raises(ValueError, match="y: expected text labels, as the classes are text"):
            act()
    with pytest.raises(ValueError, match="class_weight: expected labels among the classes '01'"):
        net.fit(X, ["01", "02", "03"] * 20, class_weight={1: 2.0})
    assert net.evaluate(X, np.eye(3)[[0, 1, 2] * 20])["loss"] > 0
    assert net.evaluate(X, net.classify(X, names=True))["accuracy"] == 1


def test_numbers_with_separators_are_no_classes() -> None:
    target = target_column.of_array(np.array([f"{i}.{i:03},1" for i in range(1, 300)] + ["1.001,1"]), "y")
    with pytest.raises(ValueError, match="looks like a number with separators"):
        target_column.read(target)
    assert len(target_column.read(target, "classification").classes or ()) == 299


def test_a_late_column_of_json_lines_is_a_column(tmp_path: Path) -> None:
    lines = [
        f'{{"a": {i}, "y": {i % 2}{f", {chr(34)}late{chr(34)}: {i / 4}" if i >= 200 else ""}}}' for i in range(400)
    ]
    (tmp_path / "d.jsonl").write_text("\n".join(lines))
    model = str(tmp_path / "m")
    assert cli.main(["train", str(tmp_path / "d.jsonl"), "--target", "y", "-o", model, "--quiet", "--epochs", "1"]) == 0
    assert fastmlp.load(model).feature_names == ("a", "late")


@pytest.mark.parametrize("name", ["d.csv.gz", "d.parquet.gz"])
@pytest.mark.parametrize("damage", ["cut", "other bytes"])
def test_damaged_gzip_is_an_error_in_a_line(
    name: str, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytearray(gzip.compress(np.random.default_rng(0).bytes(3000)))
    if damage == "cut":
        del data[-100:]
    else:
        data[200:260] = bytes(60)
    (tmp_path / name).write_bytes(data)
    message = failure(capsys, "train", str(tmp_path / name), "--target", "y", "-o", str(tmp_path / "m"))
    assert "expected a gzip file that is whole" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("form", ["values", "array", "categorical"])
def test_text_labels_in_the_arrays_of_pandas(form: str) -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    series = pandas.Series(["b", "a", "c"] * 20)
    y: Any = {"values": series.values, "array": series.array, "categorical": pandas.Categorical(series)}[form]
    X = np.random.default_rng(0).normal(size=(60, 1))
    net = fastmlp.Network([1, 4, 3], loss="cross_entropy", seed=0)
    net.fit(X, y, epochs=1)
    assert net.class_names == ("a", "b", "c")
    assert fastmlp.Network([1, 3], loss="cross_entropy", class_names=series.unique()).class_names == ("b", "a", "c")
    assert fastmlp.Network([1, 3], class_names=pandas.Index(["x", "y", "z"])).class_names == ("x", "y", "z")


def test_a_scaling_is_made_once() -> None:
    scaling = fastmlp.Scaling([0.0], [1.0])
    with pytest.raises(RuntimeError, match="Scaling: expected one call of __init__, got a second one"):
        scaling.__init__([1.0], [2.0])  # type: ignore[misc]
    assert scaling == fastmlp.Scaling([0.0], [1.0])


def test_batches_are_weighed_against_one_another() -> None:
    X, y = np.ones((4, 1)), np.ones(4)
    net = fastmlp.Network([1, 1], seed=0)
    with pytest.raises(
        ValueError, match="batch 0: sample_weight, class_weight: expected weights whose largest is from"
    ):
        net.fit([(X, y, [1e200] * 4), (X, 100 * y, [1e190] * 4)], epochs=1)


def test_class_names_come_out_as_they_went_in() -> None:
    for names in (["a\0", "b"], ["a", "a\0"], [1.0, 2], [2**64 - 1, 0], [-1, 2**63], [True and 1, 2.5], ["", " "]):
        net = fastmlp.Network([1, 2], loss="cross_entropy", class_names=names, seed=0)
        net.set_layer(0, [[-1.0], [1.0]], [0.0, 0.0])
        out = net.classify([[-1.0], [1.0]], names=True).tolist()
        assert [(type(each), each) for each in out] == [(type(each), each) for each in names]
        assert net.classify([1.0], names=True) == names[1]


def test_labels_of_other_types_of_text_become_plain_text() -> None:
    class Color(str, enum.Enum):  # noqa: UP042 - whose str() is not its text
        RED = "red"
        BLUE = "blue"

    for labels in ([np.str_("red"), np.str_("blue")] * 3, [Color.RED, Color.BLUE] * 3):
        net = fastmlp.Network([1, 2], loss="cross_entropy", seed=0)
        net.fit(np.arange(6.0)[:, np.newaxis], labels, epochs=1)
        assert net.class_names == ("blue", "red")
        assert [type(name) for name in net.class_names or ()] == [str, str]
        given = fastmlp.Network([1, 2], loss="cross_entropy", class_names=labels[:2])
        assert [type(name) for name in given.class_names or ()] == [str, str]


def test_names_that_no_file_can_hold_are_refused_before_training() -> None:
    lone = "a\ud800"
    with pytest.raises(ValueError, match=r"class_names\[1\]: expected text that UTF-8 can hold"):
        fastmlp.Network([1, 2], loss="cross_entropy", class_names=["a", lone])
    with pytest.raises(ValueError, match=r"feature_names\[0\]: expected text that UTF-8 can hold"):
        fastmlp.Network([1, 2], feature_names=[lone])
    with pytest.raises(ValueError, match="target_name: expected text that UTF-8 can hold"):
        fastmlp.Network([1, 2], target_name=lone)
    net = fastmlp.Network([1, 2], loss="cross_entropy", seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match="y: expected text that UTF-8 can hold"):
        net.fit([[1.0], [2.0]], ["b", lone], epochs=1)
    frame = pandas.DataFrame([[1.0], [2.0]], columns=pandas.Index([lone], dtype=object))
    with pytest.raises(ValueError, match="X: expected text that UTF-8 can hold"):
        net.fit(frame, [0, 1], epochs=1)
    with pytest.raises(ValueError, match="y: expected text that UTF-8 can hold"):
        fastmlp.Network([1, 1]).fit([[1.0], [2.0]], pandas.Series([0.0, 1.0], name=lone), epochs=1)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64, float("inf"), float("nan"), True])
def test_numbers_that_are_no_names_of_classes(number: Any) -> None:
    with pytest.raises(TypeError, match=r"class_names\[0\]: expected text, an integer of 64 bits or a finite float"):
        fastmlp.Network([1, 2], loss="cross_entropy", class_names=[number, 0])


def test_labels_of_float32_are_found_among_the_names_that_they_print() -> None:
    X = np.random.default_rng(0).normal(size=(30, 1))
    y = np.array([0.1, 0.7] * 15, np.float32)
    for names in ([0.1, 0.7], np.array([0.1, 0.7], np.float32), list(np.array([0.1, 0.7], np.float32))):
        net = fastmlp.Network([1, 2], loss="cross_entropy", class_names=names, seed=0)
        assert net.class_names == (0.1, 0.7)
        for labels in (y, list(y), y.astype(np.float64).round(1)):
            net.fit(X, labels, epochs=1)
    whole = fastmlp.Network([1, 2], loss="cross_entropy", class_names=[2**60, 2**61], seed=0)
    whole.fit(X, np.array([2**60, 2**61] * 15, np.float32), epochs=1)


def test_a_class_with_an_end_of_line_stays_one_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = str(tmp_path / "d.csv"), str(tmp_path / "m")
    rows = [["a", "y"], *([str(i), ["x\ny", "u, v"][i % 2]] for i in range(40))]
    with open(data, "w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert cli.main(["train", data, "--target", "y", "-o", model, "--quiet", "--test-fraction", "0"]) == 0
    capsys.readouterr()
    assert cli.main(["predict", model, data]) == 0
    said = [row[0] for row in csv.reader(io.StringIO(capsys.readouterr().out, newline=""))]
    assert len(said) == 40
    assert set(said) <= {"x\ny", "u, v"}


# ---------------------------------------------------------------------------------------------- long cells of a table


def marked(n: int) -> str:
    return "".join(f"{i},x{i % 3},{i % 2}\n" for i in range(n))


@pytest.mark.parametrize("extra", [True, False])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a,b,y\n" + marked(60) + '1,"x,0\n' + marked(30_000),
            "row that begins in line 62: expected the end of a quot",
        ),
        ('a,b,y\n1,"x,0\n' + marked(30_000), "row that begins in line 2: expected the end of a quotation"),
        ('a,"b,y\n' + marked(30_000), "expected the end of a quotation that begins in the first row, got none"),
        ('a,"b,y\n' + marked(30), "expected the end of a quotation that begins in the first row, got none"),
        ('a,"b', "expected the end of a quotation that begins in the first row, got none"),
    ],
)
def test_a_quotation_without_end_is_told_however_long(
    text: str, message: str, extra: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "d.csv"
    path.write_text(text)
    if not extra:
        monkeypatch.setitem(sys.modules, "polars", None)
    limit = csv.field_size_limit()
    with pytest.raises(ValueError, match=message):
        table_reader.open_table(str(path)).read(["y", "b"])
    assert csv.field_size_limit() == limit


@pytest.mark.parametrize("extra", [True, False])
@pytest.mark.parametrize("quoted", [False, True])
def test_a_long_cell_is_a_cell(quoted: bool, extra: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell may be longer than 131,072 characters, the default limit of Python's csv."""
    if not extra:
        monkeypatch.setitem(sys.modules, "polars", None)
    cells = ["x", "q" * 300_000, "r" * 140_000, *"xyxy"]
    mark = '"' if quoted else ""
    path = tmp_path / "d.csv"
    path.write_text("a,b\n" + "".join(f"{i}, {mark}{cell}{mark}\n" for i, cell in enumerate(cells)))
    table = table_reader.open_table(str(path))
    assert list(map(len, table.first_cells("b")))[:1] == [1]
    read = table.read(["b"])["b"]
    assert [cell.strip() for cell in (read.to_list() if extra else read.tolist())] == cells


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize(
    ("first", "cells"),
    [
        ('#1,"two\nlines"', ("#1", "two\nlines")),
        ('#1,x,"two\r\nlines"', ("#1", "x", "two\r\nlines")),
        ('#1;"a ""word"", and\na line"', ("#1", 'a "word", and\na line')),
        ('# 5" pipes\na,"b\nc"', ("a", "b\nc")),
        ('# the "b", and, c\na,"b"', ("a", "b")),
        ('# "quoted",,\na,b', ("a", "b")),
    ],
)
def test_a_row_that_begins_with_a_hash_and_spans_lines_is_no_comment(
    first: str, cells: tuple[str, ...], header: bool
) -> None:
    """The row may be the only one, or the header: a comment is one line."""
    separator = ";" if ";" in first else ","
    rest = "" if not header else "\n" + separator.join("1" * len(cells)) + "\n"
    found = dialect.look(first + rest, True, dialect.Options(header=header))
    assert found.names == (cells if header else tuple(map(str, range(len(cells)))))
    assert tuple(dialect.cells(found.header_text, found.separator)) == cells


@pytest.mark.parametrize("name", ["a ", " a", "# a", "#a", "", "Unnamed: 0", "1"])
@pytest.mark.parametrize("column", [0, 1])
def test_names_that_a_header_changes_are_those_of_the_model(
    name: str, column: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [name, "b"] if column == 0 else ["b", name]
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=names)
    net = fastmlp.Network([2, 1], seed=0)
    net.fit(frame, frame.sum(axis=1), epochs=1)
    model, data = str(tmp_path / "m"), str(tmp_path / "d.csv")
    net.save(model)
    frame[frame.columns[::-1]].to_csv(data, index=False)
    if name == "" or (name.startswith("#") and column == 0):  # by its index, or only as the first one
        frame.to_csv(data, index=False)
    assert cli.main(["predict", model, data]) == 0
    got = np.array([float(line) for line in capsys.readouterr().out.splitlines()], dtype=np.float32)
    assert np.array_equal(got, net.predict(frame)[:, 0])


def test_two_names_that_a_header_makes_alike_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 2)), columns=["a ", " a"])
    net = fastmlp.Network([2, 1], seed=0)
    net.fit(frame, frame.sum(axis=1), epochs=1)
    net.save(str(tmp_path / "m"))
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    assert "expected the model's columns" in failure(capsys, "predict", str(tmp_path / "m"), str(tmp_path / "d.csv"))


def test_dates_are_labels_in_python_as_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import datetime

    days = [datetime.date(2020, 1, 1 + i % 2) for i in range(60)]
    times = [datetime.datetime(2020, 1, 1 + i % 2, 12, 30) for i in range(60)]
    for labels in (polars.Series("y", days), polars.Series("y", times)):
        frame = polars.DataFrame({"a": np.arange(60) % 2.0, "y": labels})
        data, model = str(tmp_path / "d.parquet"), str(tmp_path / "m")
        frame.write_parquet(data)
        train = ["train", data, "--target", "y", "--test-fraction", "0", "--epochs", "20", "-o", model, "--quiet"]
        assert cli.main(train) == 0
        net = fastmlp.load(model)
        assert net.class_names == tuple(sorted(set(labels.cast(polars.String))))
        capsys.readouterr()
        assert cli.main(["evaluate", model, data, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["accuracy"] == net.evaluate(frame[["a"]], labels)["accuracy"] == 1
        fresh = fastmlp.Network([1, 2], loss="cross_entropy")
        fresh.fit(frame[["a"]], labels, epochs=1)
        assert fresh.class_names == net.class_names


@pytest.mark.parametrize("name", ["", "nan", "NaN", "None", "<NA>", "NaT"])
def test_a_class_that_is_the_text_of_a_missing_label_is_announced(name: str) -> None:
    x, labels = np.zeros((6, 1)), np.array(["u", name] * 3)
    with pytest.warns(UserWarning, match=rf"y: {name!r} is taken for a class \(3 rows\)") as caught:
        fastmlp.Network([1, 2], loss="cross_entropy").fit(x, labels, epochs=1)
    assert caught[0].filename == __file__
    fastmlp.Network([1, 2], loss="cross_entropy", class_names=["u", name]).fit(x, labels, epochs=1)  # no warning


def test_a_kept_column_that_a_file_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, new, model = (str(tmp_path / name) for name in ("d.csv", "n.csv", "m"))
    Path(data).write_text("id,a,y\n" + "".join(f"k{i},{i % 7},{i % 5}.5\n" for i in range(40)))
    Path(new).write_text("a\n1\n2\n")
    assert cli.main(["train", data, "--target", "y", "--keep", "id", "--epochs", "1", "-o", model, "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["predict", model, new]) == 0
    said = capsys.readouterr()
    assert "no 'id', which the model keeps beside its predictions" in said.err
    assert len(said.out.splitlines()) == 2


def test_numbers_are_no_targets_of_a_loss_of_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(tmp_path / "d.csv")
    Path(data).write_text("a,y\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    told = failure(capsys, "train", data, "--target", "y", "--loss", "hinge", "-o", str(tmp_path / "m"))
    assert "--loss hinge: expected a target of classes, and 'y' is numbers to predict" in told
    assert not (tmp_path / "m").exists()
