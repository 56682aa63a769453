"""Tables, marks and arguments that the command line once misinterpreted, or refused with an unhelpful message."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.tables import table_reader
from fastmlp.tables.columns import PlainFrame
from fastmlp.tables.dialect import Options

polars = pytest.importorskip("polars", reason="needs polars: pip install polars")


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Return the message of a command that ends with an error."""
    assert cli.main(list(args)) == 1
    return capsys.readouterr().err


@pytest.fixture(params=["polars", "numpy"])
def read(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Write the text to a file and read it as a table of text, a list for each column."""
    monkeypatch.setattr(table_reader, "has_polars", lambda: request.param == "polars")

    def action(text: str, **options: Any) -> dict[str, list[str]]:
        path = tmp_path / "d.csv"
        path.write_text(text, newline="", encoding="utf-8")
        table = table_reader.open_table(str(path), Options(**options))
        frame = table.read(table.names)
        return {name: [str(cell) for cell in frame[name]] for name in table.names}

    return action


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,note\n1, "u"\n2,"v\n3,w\n', 3),  # a blank before a quotation mark
        ('a,note\n1,"u" \n2,"v\n3,w\n', 3),
        ('a,note\n "1","u"\n2,"v\n3,w', 3),
        ('a note\n1 "u"\n2 "v\n3 w\n', 3),
        ('a,note\n1, "u\n1"\n2,"v\n3,w\n', 4),
        ('a,note\n1,"u"\n2,"v\n3,w\n', 3),
        ('a,note\n1,"say ""u"\n2, "v\n', 3),
        ('a,note\n1, "u"\n2,"v ""x"" y\n3,w\n', 3),
    ],
)
def test_a_quotation_without_end_is_refused_wherever_there_are_blanks(
    text: str, line: int, read: Callable[..., Any]
) -> None:
    expected = f"row that begins in line {line}: expected the end of a quotation, got the end of the file"
    with pytest.raises(ValueError, match=expected):
        read(text)


@pytest.mark.parametrize("first", ['1,"u"', '1, "u"', '1,"u" '])
def test_two_quotations_without_end_do_not_make_one_of_the_rows_between(first: str, read: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="quotation that begins in line 3: expected the next cell after it, got 'x'"):
        read(f'a,note\n{first}\n2,"v\n3,w\n4,"x\n5,y\n')


def test_quotations_of_several_lines_are_cells(read: Callable[..., Any]) -> None:
    said = read('a,note\n1, "u,\n""w"""\n2,"v\n"\n3,"5"" x"\n')
    assert said == {"a": ["1", "2", "3"], "note": ['u,\n"w"', "v", '5" x']}
    assert read('note a\n"u\nv" 1\n"w" 2\n') == {"note": ["u\nv", "w"], "a": ["1", "2"]}
    assert read('note,a\n"u\nv" ,1\n"w" ,2\n') == {"note": ["u\nv", "w"], "a": ["1", "2"]}


@pytest.mark.parametrize("head", ["kind,x\n", "kind, x\n", "\ufeffkind,x\n", '"kind",x\r\n'])
@pytest.mark.parametrize("rows", [' "v",0.5\n', ' "v",0.5', '  "v" ,0.5\n', ' "v", 0.5\n "v", 0.5\n'])
def test_a_blank_before_the_quotation_of_the_first_cell(head: str, rows: str, read: Callable[..., Any]) -> None:
    assert read(head + rows)["kind"] == ["v"] * (2 if rows.count("v") == 2 else 1)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_blank_before_the_quotation_of_the_first_cell_without_header(mark: str, read: Callable[..., Any]) -> None:
    assert read(f'{mark} "v, w",0.5\n', header=False) == {"0": ["v, w"], "1": ["0.5"]}


DATES = [f"2020-01-{day:02}" for day in range(1, 29)]


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ([*DATES, "-"], r"look like dates, but for values such as '-'; if they are dates, name what stands"),
        ([*DATES, "0000-00-00"], "look like dates, but for values such as '0000-00-00'"),
        ([*[f"{day}T12:00:00Z" for day in DATES], "none"], "look like dates, but for values such as 'none'"),
        (["2020-01-01"] * 20 + ["-"], "look like dates, but for values such as '-'"),
        (["True", "False"] * 10 + ["-"], "are true or false, but for values such as '-'; if they are booleans, name"),
        (["true"] * 19 + ["-", "none"], "are true or false, but for values such as '-', 'none'"),
        ([f"{month}/24/2024" for month in range(1, 13)] * 2, "look like dates, '1/24/2024', .*, say; those of ISO's"),
        ([f"{day}.12.2024" for day in range(1, 29)] + ["-"], "look like dates, '1.12.2024'"),
        ([*map(str, range(20)), "-"], "look like numbers, but for values such as '-'"),
    ],
)
def test_columns_that_one_mark_makes_text_are_told(cells: list[str], told: str) -> None:
    for frame in (polars.DataFrame({"t": cells}), PlainFrame({"t": np.array(cells)})):
        with pytest.warns(UserWarning, match=f"column 't' is taken for text, although most of its values {told}"):
            fastmlp.Encoder.fit(frame)


@pytest.mark.parametrize(
    "cells",
    [
        DATES,
        ["True", "False"] * 5,
        ["a", "b"] * 9 + ["2020-01-01"],
        ["true", "a", "b"] * 5,
        ["1.2.3", "a1", "b"] * 5,
    ],
)
@pytest.mark.filterwarnings("error")
def test_columns_that_are_what_they_seem_are_not_told(cells: list[str]) -> None:
    fastmlp.Encoder.fit(polars.DataFrame({"t": cells}))


def test_a_mark_among_dates_is_said_and_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{i % 7},{'-' if i % 20 == 3 else DATES[i % 28]},{i}" for i in range(80)]
    data, model = tmp_path / "d.csv", str(tmp_path / "m")
    data.write_text("\n".join(["a,t,y", *rows]))
    words = ["train", str(data), "--target", "y", "--epochs", "1", "-o", model, "--quiet"]
    assert cli.main(words) == 0
    assert "column 't' is taken for text, although most of its values look like dates" in capsys.readouterr().err
    assert cli.main([*words, "--null", "-"]) == 0
    assert "taken for text" not in capsys.readouterr().err
    encoder = fastmlp.load(model).encoder
    assert encoder is not None
    assert "t.day_number" in encoder.feature_names_out


@pytest.mark.parametrize(
    ("X", "y", "told"),
    [
        (np.zeros((9, 2)), np.full((9, 2), "u"), r"y: expected one label per row, got text of shape \(9, 2\)"),
        (np.zeros((9, 2)), np.full((9, 2), b"u"), r"y: expected one label per row, got text of shape \(9, 2\)"),
        (np.zeros((9, 2)), np.eye(9, 2) > 0, r"y: expected one label per row, got booleans of shape \(9, 2\); y.as"),
        (np.zeros((9, 2)), np.full(9, b"\xff"), "y: expected text in UTF-8, got other bytes"),
        (np.zeros((9, 2)), np.zeros((9, 2, 2)), r"y: expected a target for each of the 9 rows, got shape \(9, 2, 2\)"),
        (np.zeros((9, 2)), np.zeros(()), r"y: expected a target for each of the 9 rows, got shape \(\)"),
        (np.zeros((9, 2)), np.zeros(8), r"y: expected a target for each of the 9 rows, got shape \(8,\)"),
        (np.zeros((9, 2)), np.zeros(9, complex), "y: expected an array of numbers or text, got dtype complex128"),
        (np.zeros((9, 2)), np.zeros(9, "M8[s]"), "y: expected an array of numbers or text, got dtype datetime64"),
        (np.zeros((9, 2)), np.array([None] * 9), "expected an .npz of plain arrays"),
        (np.zeros(9), np.zeros(9), r"X: expected an array of shape \(rows, columns\), got \(9,\)"),
        (np.zeros(()), np.zeros(9), r"X: expected an array of shape \(rows, columns\), got \(\)"),
        (np.zeros((9, 0)), np.zeros(9), r"X: expected an array of shape \(rows, columns\), got \(9, 0\)"),
        (np.full((9, 2), "u"), np.zeros(9), "X: expected an array of numbers, got dtype <U1"),
        (np.zeros((9, 2), complex), np.zeros(9), "X: expected an array of numbers, got dtype complex128"),
        (np.zeros(9, "f8,f8"), np.zeros(9), "X: expected an array of numbers, got dtype"),
        (np.full((9, 2), None), np.zeros(9), "expected an .npz of plain arrays"),
    ],
)
def test_arrays_that_are_no_rows_and_labels(
    X: Any, y: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(tmp_path / "d.npz")
    np.savez(data, X=X, y=y)
    message = failure(capsys, "train", data, "-o", str(tmp_path / "m"))
    assert message.startswith(f"fastmlp: error: {data}: ")
    with pytest.raises(ValueError, match=told):
        table_reader.read_arrays(data)


KEPT: dict[str, Any] = {
    "List": [[1, 2]],
    "Struct": [{"a": 1}],
    "Duration": [timedelta(1)],
    "Binary": [b"\xff"],
    "Array": polars.Series([[1, 2]], dtype=polars.Array(polars.Int64, 2)),
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_column_without_text_is_not_kept(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, plain, model = (str(tmp_path / name) for name in ("d.parquet", "p.parquet", "m"))
    frame = polars.DataFrame({"a": range(60), "y": range(60)})
    odd = polars.Series("id", KEPT[kind])
    frame.with_columns(odd.gather([0] * 60)).write_parquet(data)
    frame.with_columns(id=frame["a"]).write_parquet(plain)
    told = f"{data}: --keep: expected a column of numbers, text, booleans, categories or dates, got {kind}"
    words = ["--target", "y", "--keep", "id", "-o", model, "--epochs", "1", "--quiet"]
    assert told in failure(capsys, "train", data, *words)
    assert not Path(model).exists()
    assert cli.main(["train", plain, *words]) == 0
    capsys.readouterr()
    assert told in failure(capsys, "predict", model, data)


@pytest.mark.parametrize("classes", [False, True])
def test_predictions_that_overflow_are_null_in_json_and_told(
    classes: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = np.random.default_rng(0).normal(size=60)
    data, new, model = (str(tmp_path / name) for name in ("d.csv", "n.csv", "m"))
    y = np.where(a > 0, "p", "q") if classes else a
    polars.DataFrame({"a": a, "y": y}).write_csv(data)
    Path(new).write_text("a\n3\n1e39\n-3\n1e39\n")
    assert cli.main(["train", data, "--target", "y", "-o", model, "--epochs", "3", "--quiet"]) == 0
    capsys.readouterr()
    told = f"fastmlp: {new}: 2 of 4 rows have a prediction that is not finite, row 2 first"
    assert cli.main(["predict", model, new]) == 0
    text = capsys.readouterr()
    assert [line == "nan" for line in text.out.splitlines()] == [False, True, False, True]
    assert told in text.err
    assert cli.main(["predict", model, new, "--json"]) == 0
    said = capsys.readouterr()
    assert [each is None for each in json.loads(said.out)["predictions"]] == [False, True, False, True]
    assert told in said.err
    if classes:
        assert cli.main(["predict", model, new, "--json", "--proba"]) == 0
        assert json.loads(capsys.readouterr().out)["probabilities"][1] == [None, None]


@pytest.mark.parametrize("words", [["--null", "{}"], ["--null={}"]])
@pytest.mark.parametrize("mark", ["--", "-", "-999,0", "-999.0", "-9e9", "-nan.", "-99", "-n/a-", "-1=2"])
def test_marks_that_begin_with_a_dash(mark: str, words: list[str], tmp_path: Path) -> None:
    data, model = tmp_path / "d.csv", str(tmp_path / "m")
    rows = [f"{i};{mark if i % 10 == 0 else f'{i},5'};{mark if i == 7 else i}" for i in range(60)]
    data.write_text("\n".join(["a;b;y", *rows]))
    given = [word.format(mark) for word in words]
    fixed = ["--target", "y", "-o", model, "--epochs", "1", "--quiet", "--drop-missing-target"]
    assert cli.main(["train", str(data), *given, *fixed, "--decimal", ","]) == 0
    network = fastmlp.load(model)
    assert network.encoder is not None
    assert network.encoder.missing[0] == mark
    assert dict(network.encoder.summary())["b"] == "number, and whether it is missing"
    assert network.class_names is None


@pytest.mark.parametrize("mark", ["-999,0", "-999.0", "-999"])
def test_a_mark_is_written_as_in_the_file_or_as_numbers_are(
    mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, new, model = tmp_path / "d.csv", tmp_path / "n.csv", str(tmp_path / "m")
    values = [-999.0 if i % 10 == 0 else i / 4 for i in range(60)]
    data.write_text("a;b;y\n" + "".join(f"{i},5;{b:.2f};{i},25\n".replace(".", ",") for i, b in enumerate(values)))
    new.write_text("a;b\n1,5;-999,00\n1,5;\n1,5;NA\n")
    words = ["train", str(data), "--target", "y", f"--null={mark}", "-o", model, "--epochs", "1", "--quiet"]
    assert cli.main([*words, "--test-fraction", "0"]) == 0
    network = fastmlp.load(model)
    assert network.encoder is not None
    known = {each["name"]: each for each in network.encoder.describe()["columns"]}
    assert known["b"]["median"] == np.median([value for value in values if value != -999])
    capsys.readouterr()
    assert cli.main(["predict", model, str(new), "--quiet"]) == 0
    assert len(set(capsys.readouterr().out.split())) == 1


def test_columns_whose_names_begin_with_a_dash(tmp_path: Path) -> None:
    data, model = str(tmp_path / "d.csv"), str(tmp_path / "m")
    polars.DataFrame({"a": range(60), "-k": range(60), "--": range(60), "-y": range(60)}).write_csv(data)
    words = ["train", data, "--target", "-y", "--keep", "-k", "--drop", "--", "-o", model, "--epochs", "1", "--quiet"]
    assert cli.main(words) == 0
    network = fastmlp.load(model)
    assert (network.target_name, network.feature_names) == ("-y", ("a",))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--null"], "argument --null: expected one argument; --null=TEXT if it begins with -"),
        (["--null", "--quiet"], "argument --null: expected one argument; --null=TEXT if it begins with -"),
        (["--separator=--"], "argument --separator: expected another value, got '--'"),
        (["--output=--"], "argument --output: expected another value, got '--'"),
    ],
)
def test_options_without_a_value(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", "d.csv", "--target", "y", *words])
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("1.0,2.0,1.0", "got '1.0' twice; --no-header if the first row is data"),
        ("a,b,a", "got 'a' twice$"),
        ("2,b,", "got '2' and a column without a name that has this index, .*; --no-header if the first row is data"),
        (",b,0", "got '0' and a column without a name that has this index, which would be its name; --no-header"),
    ],
)
def test_names_that_are_the_same_are_told_as_they_stand(header: str, told: str, read: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=f"expected a header of different names, {told}"):
        read(f"{header}\n1,2,3\n")


def test_numbers_too_large_for_float64_are_told_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, new, model = (str(tmp_path / name) for name in ("d.csv", "n.csv", "m"))
    Path(data).write_text("a,y\n" + "".join(f"{i},{i}\n" for i in range(60)))
    Path(new).write_text("a,y\n1,2\n1e400,3\n")
    words = ["--target", "y", "-o", model, "--epochs", "1", "--quiet"]
    told = "row 2, column 'a': expected finite numbers, got inf (infinite, or too large for float64)"
    assert told in failure(capsys, "train", new, *words, "--test-fraction", "0")
    assert cli.main(["train", data, *words]) == 0
    capsys.readouterr()
    assert told in failure(capsys, "predict", model, new)


def test_the_target_of_an_evaluation_is_counted_as_that_of_a_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = np.random.default_rng(0).normal(size=60)
    data, other, model = (str(tmp_path / name) for name in ("d.csv", "o.csv", "m"))
    polars.DataFrame({"a": a, "y": 3 * a}).write_csv(data)
    polars.DataFrame({"id": a, "right": 3 * a, "a": a}).write_csv(other)
    assert cli.main(["train", data, "--target", "1", "-o", model, "--epochs", "2", "--quiet"]) == 0
    capsys.readouterr()
    said = []
    for path, target in ((data, "y"), (data, "1"), (data, "-1"), (other, "right"), (other, "1")):
        assert cli.main(["evaluate", model, path, "--target", target, "--json", "--quiet"]) == 0
        said.append({**json.loads(capsys.readouterr().out), "input": ""})
    assert said == said[:1] * 5
    assert "--target: expected a column of" in failure(capsys, "evaluate", model, data, "--target", "7")


@pytest.mark.parametrize("kind", ["csv", "npz"])
@pytest.mark.parametrize("wide", ["b", "y"])
def test_a_column_with_too_wide_a_range_is_named(
    wide: str, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = str(tmp_path / f"d.{kind}"), str(tmp_path / "m")
    columns = {name: np.arange(60) + 0.5 for name in ("a", "b", "y")}
    columns[wide] = np.where(np.arange(60) % 2, 1.7e308, -1.7e308) / (1 + np.arange(60) // 2 / 100)
    name = f"column {wide!r}"
    if kind == "csv":
        polars.DataFrame(columns).write_csv(data)
    else:
        np.savez(data, X=np.c_[columns["a"], columns["b"]], y=columns["y"])
        name = "X, column 1" if wide == "b" else "y"
    words = ["train", data, *(["--target", "y"] if kind == "csv" else []), "-o", model, "--quiet"]
    told = f"fastmlp: error: {data}: {name}: expected numbers whose range float64 can hold, got -1.7e+308 to 1.7e+308"
    assert told in failure(capsys, *words, "--test-fraction", "0")
    assert not Path(model).exists()


def test_a_target_with_too_wide_a_range_is_called_y() -> None:
    X = np.arange(6.0)[:, np.newaxis]
    net = fastmlp.Network([1, 1], dtype="float64", target_scaling="standard")
    with pytest.raises(ValueError, match=r"^y: expected columns whose range is finite, got a larger one in column 0"):
        net.fit(X, np.where(X[:, 0] < 3, 1.7e308, -1.7e308))
