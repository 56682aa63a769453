"""Tables from files: text formats, what polars and NumPy read, arrays; and held-out rows."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp.cli.preparation import choose_scaling, split
from fastmlp.scaling import Scaling
from fastmlp.tables import dialect, table_reader
from fastmlp.tables.dialect import Options

polars = pytest.importorskip("polars", reason="needs polars")


def write(folder: Path, text: str | bytes, name: str = "table.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.fixture(params=["polars", "numpy"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(table_reader, "has_polars", lambda: request.param == "polars")
    return str(request.param)


def columns_of(frame: Any) -> dict[str, list[Any]]:
    """Return the columns as lists of text and floats, with None for missing values."""

    def cell(value: Any) -> Any:
        number = value if value is None or isinstance(value, str) else float(value)
        try:
            return None if number is None or number == "" else float(number)
        except ValueError:
            return number.strip()

    return {name: [cell(value) for value in list(frame[name])] for name in frame.columns}


# ---------------------------------------------------------------------------------------------- how text is written

AB = {"a": [1.0, 3.0], "b": [2.0, 4.5], "y": ["u", "v"]}
SPELLINGS = {
    "commas": "a,b,y\n1,2,u\n3,4.5,v\n",
    "no end of the last line": "a,b,y\n1,2,u\n3,4.5,v",
    "windows": "\ufeffa,b,y\r\n1,2,u\r\n3,4.5,v\r\n",
    "old macintosh": "a,b,y\r1,2,u\r3,4.5,v\r",
    "utf-16": b"\xff\xfe" + "a\tb\ty\n1\t2\tu\n3\t4.5\tv\n".encode("utf-16-le"),
    "semicolons": "a;b;y\n1;2;u\n3;4.5;v\n",
    "tabs": "a\tb\ty\n1\t2\tu\n3\t4.5\tv\n",
    "bars": "a|b|y\n1|2|u\n3|4.5|v\n",
    "blanks": "a b  y\n1 2 u\n3   4.5 v\n",
    "a blank line first": "\na;b;y\n1;2;u\n3;4.5;v\n",
    "blank lines": "a,b,y\n\n1,2,u\n\n3,4.5,v\n\n\n",
    "excel's line": "sep=;\na;b;y\n1;2;u\n3;4.5;v\n",
    "excel's line with a strange separator": "sep=^\na^b^y\n1^2^u\n3^4.5^v\n",
    "a comment": "# made today, by hand\na,b,y\n1,2,u\n3,4.5,v\n",
    "numpy's header": "# a,b,y\n1,2,u\n3,4.5,v\n",
    "decimal commas": "a;b;y\n1;2,0;u\n3;4,5;v\n",
    "decimal commas and tabs": "a\tb\ty\n1,0\t2,0\tu\n3,0\t4,5\tv\n",
    "blanks around cells": "a , b, y\n 1, 2 ,u\n3, 4.5, v\n",
    "quotation marks": '"a","b","y"\n"1",2,"u"\n3,"4.5","v"\n',
    "blanks around quotation marks": '"a", "b" ,"y"\n "1" ,2, "u"\n3, "4.5" ,"v"\n',
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_the_same_table_however_it_is_written(tmp_path: Path, spelling: str, reader: str) -> None:
    table = table_reader.open_table(write(tmp_path, SPELLINGS[spelling]))
    assert table.names == ("a", "b", "y")
    assert columns_of(table.read(["y"])) == AB
    packed = tmp_path / "table.csv.gz"
    packed.write_bytes(gzip.compress((tmp_path / "table.csv").read_bytes()))
    assert columns_of(table_reader.open_table(str(packed)).read(["y"])) == AB


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ('"length, mm";"width, mm";y', ("length, mm", "width, mm", "y")),
        ('"a\nb";c;y', ("a\nb", "c", "y")),
        ('"say ""a, b""";c;y', ('say "a, b"', "c", "y")),
        ("0;1;2", ("0", "1", "2")),
        (";a;y", ("0", "a", "y")),
    ],
)
def test_separators_are_counted_outside_quotation_marks(
    tmp_path: Path, header: str, names: tuple[str, ...], reader: str
) -> None:
    table = table_reader.open_table(write(tmp_path, header + "\n0.125;2;u\n1.5;3;v\n"))
    assert table.names == names
    assert table.guess is not None
    assert table.guess.startswith("separator ';', header ")
    assert columns_of(table.read([names[2]])) == {names[0]: [0.125, 1.5], names[1]: [2, 3], names[2]: ["u", "v"]}


def test_decimal_commas_without_a_header(tmp_path: Path, reader: str) -> None:
    path = write(tmp_path, "1,5;2,5;u\n2,25;3;v\n")
    table = table_reader.open_table(path, Options(header=False))
    assert table.guess == "separator ';', decimal comma, no header, 3 columns"
    assert columns_of(table.read(["2"])) == {"0": [1.5, 2.25], "1": [2.5, 3.0], "2": ["u", "v"]}


def test_what_the_user_says_goes_before_what_is_guessed(tmp_path: Path, reader: str) -> None:
    path = write(tmp_path, "1,5;2\n2,5;3\n")
    assert table_reader.open_table(path, Options(separator=",", header=False)).names == ("0", "1")
    table = table_reader.open_table(path, Options(separator=",", header=False))
    assert columns_of(table.read(["1"])) == {"0": [1.0, 2.0], "1": ["5;2", "5;3"]}
    with pytest.raises(ValueError, match="other than the decimal mark"):
        table_reader.open_table(path, Options(separator=",", decimal=","))


@pytest.mark.parametrize(
    ("header", "doubt"),
    [
        ("0,1,y", r"the header has numbers \('0', '1'\); --no-header if the first row is data"),
        ("2019,2020,y", "--no-header"),
        ("5.1,3.5,setosa", "--no-header"),
        ("a,b,y", None),
        ("a1,b,y", None),
    ],
)
def test_a_header_is_a_header_and_numbers_in_it_are_said(tmp_path: Path, header: str, doubt: str | None) -> None:
    path = write(tmp_path, header + "\n1,2,u\n3,4.5,v\n")
    table = table_reader.open_table(path)
    assert table.names == tuple(header.split(","))
    assert len(table.read()) == 2
    if doubt is None:
        assert table.doubt is None
    else:
        assert table.doubt is not None
        import re

        assert re.search(doubt, table.doubt)
    without = table_reader.open_table(path, Options(header=False))
    assert (without.names, without.doubt) == (("0", "1", "2"), None)
    assert len(without.read()) == 3 if doubt is not None else True


def test_a_column_without_a_name_that_counts_the_rows(tmp_path: Path, reader: str) -> None:
    for cells, counts in (("0,1", True), ("0,2", False), ("1,2", False), ("0.0,1.0", True)):
        first, second = cells.split(",")
        table = table_reader.open_table(write(tmp_path, f",a\n{first},5\n{second},6\n"))
        assert table.names == ("0", "a")
        assert table_reader.counts_rows(table, table.read()) is counts
    table = table_reader.open_table(write(tmp_path, "n,a\n0,5\n1,6\n"))
    assert not table_reader.counts_rows(table, table.read())


def test_columns_by_name_and_by_index(tmp_path: Path) -> None:
    table = table_reader.open_table(write(tmp_path, "a,2,0\n1,2,3\n"))
    assert [table.column(given) for given in ("a", "2", "0", "1", "-1", "-3")] == ["a", "2", "0", "2", "0", "a"]
    for wrong in ("b", "3", "-4", "1.0", ""):
        with pytest.raises(ValueError, match=r"expected a column of .* \('a', '2', '0'\) or an index below 3, got "):
            table.column(wrong)


# -------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a table, got an empty file"),
        ("\n\n", "expected a table, got an empty file"),
        ("a,y\n", "expected rows below the header, got none"),
        ("a,y\n1,x\n2\n", r"row 2 \(line 3\): expected 2 cells as in the header, got 1; read with separator ','"),
        ("a,y\n1,x\n\n2\n", r"row 2 \(line 4\): expected 2 cells"),
        ("a,y\n1,x\n2,z,3\n", r"row 2 \(line 3\): expected 2 cells as in the header, got 3"),
        ('a,y\n1,"x, z",3\n', r"row 1 \(line 2\): expected 2 cells as in the header, got 3"),
        ('a,b,y\n1,"x\nz"\n', r"row 1 \(line 2\): expected 3 cells as in the header, got 2"),
        ("a,a,y\n1,2,x\n", "expected a header of different names, got 'a' twice"),
        ('a,y\n1,"x\n2,z\n', "line 2: expected the end of a quotation, got the end of the file"),
        (b"a,y\n1,\xff\n", "line 2: expected text in UTF-8, got other bytes"),
        (b"a,y\n" + b"1,x\n" * 100_000 + b"1,\xe9\n", "line 100002: expected text in UTF-8"),
        (b"\x1f\x8bnothing", "expected a gzip file that is whole"),
    ],
)
def test_bad_text(tmp_path: Path, text: str | bytes, message: str, reader: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as raised:
        table_reader.open_table(path).read(["y"])
    assert str(raised.value).startswith(path)
    assert "\n" not in str(raised.value)


def test_a_quotation_mark_within_a_cell_is_itself(tmp_path: Path, reader: str) -> None:
    table = table_reader.open_table(write(tmp_path, 'a,y\n1,5" pipe\n2,6" pipe\n3,say "no"\n'))
    assert columns_of(table.read(["y"])) == {"a": [1, 2, 3], "y": ['5" pipe', '6" pipe', 'say "no"']}


def test_a_late_surprise_changes_the_type_and_no_value(tmp_path: Path) -> None:
    """A value after the rows from which polars infers types changes the type of a column, and no value."""
    from fastmlp.tables import columns

    cells = [*(str(i) for i in range(3000)), "0.5", "x y"]
    frame = table_reader.open_table(
        write(tmp_path, "a,b\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)))
    ).read()
    assert frame["a"].to_list() == cells
    numbers = columns.read(frame, "b")
    assert isinstance(numbers, columns.Numbers)
    np.testing.assert_array_equal(numbers.values, np.arange(3002))


def test_points_beside_decimal_commas_are_refused(tmp_path: Path) -> None:
    """With a decimal comma, 1.234 is ambiguous and refused."""
    path = write(tmp_path, "a;b\n1,5;1.234\n2,5;7\n")
    with pytest.raises(ValueError, match=r"column 'b': expected numbers with a decimal comma, got '1\.234'; --decimal"):
        table_reader.open_table(path, Options(decimal=",")).read()


def test_labels_keep_their_spelling(tmp_path: Path, reader: str) -> None:
    labels = ["007", "1.10", "1e3", "+1", "NA", "true", "", "2020-01-01"]
    path = write(tmp_path, "a,y,b\n" + "".join(f"{i},{label},2\n" for i, label in enumerate(labels)))
    assert [each or "" for each in list(table_reader.open_table(path).read(["y"])["y"])] == labels


@pytest.mark.parametrize("cell", ["", "n/a", "1_000", "0x10", "1 5", "٣", "x"])
def test_without_polars_a_cell_that_is_no_number_is_named(
    tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_reader, "has_polars", lambda: False)
    table = table_reader.open_table(write(tmp_path, f'a,b,y\n1,2,x\n3,"{cell}",z\n'))
    with pytest.raises(ValueError, match=r"row 2, column 'b': expected a number, got .*: pip install polars"):
        table.read(["y"])


# ------------------------------------------------------------------------------------------------- other kinds of file


@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather", "ipc", "jsonl", "ndjson", "tsv"])
def test_other_kinds(tmp_path: Path, kind: str) -> None:
    frame = polars.DataFrame(AB)
    path = str(tmp_path / f"table.{kind}")
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind.endswith("l") or kind == "ndjson":
        frame.write_ndjson(path)
    elif kind == "tsv":
        frame.write_csv(path, separator="\t")
    else:
        frame.write_ipc(path)
    table = table_reader.open_table(path)
    assert table.names == ("a", "b", "y")
    assert columns_of(table.read(["y"])) == AB
    (tmp_path / f"bad.{kind}").write_bytes(b"\x00\xff no such thing")
    with pytest.raises(ValueError, match=f"bad.{kind}: .*expected"):
        table_reader.open_table(str(tmp_path / f"bad.{kind}")).read()
    with pytest.raises(FileNotFoundError):
        table_reader.open_table(str(tmp_path / f"none.{kind}"))


def test_other_kinds_need_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    polars.DataFrame(AB).write_parquet(tmp_path / "table.parquet")
    monkeypatch.setattr(table_reader, "has_polars", lambda: False)
    with pytest.raises(ValueError, match=r"expected polars .*; pip install polars"):
        table_reader.open_table(str(tmp_path / "table.parquet"))
    with pytest.raises(ValueError, match=r"expected a file of kind \.csv, .*, got '\.xlsx'"):
        table_reader.open_table("table.xlsx")


# ----------------------------------------------------------------------------------------------- .npz


def save(folder: Path, **arrays: object) -> str:
    path = folder / "arrays.npz"
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return str(path)


def test_npz_with_its_own_split(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    path = save(tmp_path, x_train=images, y_train=[0, 1, 0], x_test=images[:1], y_test=[1])
    table = table_reader.read_arrays(path)
    assert table.x.shape == (3, 8)
    assert table.x.dtype == np.uint8
    assert table.test is not None
    assert table.test[0].shape == (1, 8)
    np.testing.assert_array_equal(table_reader.read_inputs(path).x, images[:1].reshape(1, 8))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": [[1.0]]}, "expected arrays X and y"),
        ({"X": [[1.0], [np.nan]], "y": [0, 1]}, "X: expected finite numbers, got nan at row 1, column 0"),
        ({"X": [1.0, 2.0], "y": [0, 1]}, r"expected an array of shape \(rows, columns\), got \(2,\)"),
        ({"X": [[1.0]], "y": [0, 1]}, "a target for each of the 1 rows"),
        ({"X": [["a"]], "y": [0]}, "expected an array of numbers, got dtype"),
        ({"X": [[1j]], "y": [0]}, "expected an array of numbers, got dtype"),
        ({"X": np.array([[None]]), "y": [0]}, "expected an .npz of plain arrays"),
        ({"x_train": [[1.0]], "y_train": [0], "x_test": [[1.0, 2.0]], "y_test": [0]}, "of one width"),
    ],
)
def test_bad_npz(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table_reader.read_arrays(save(tmp_path, **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY", b"text"])
def test_what_is_no_npz(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected an \.npz of plain arrays"):
        table_reader.read_arrays(write(tmp_path, content, "broken.npz"))


@pytest.mark.parametrize("order", [("X", "x"), ("x", "X")])
def test_the_documented_key_wins(tmp_path: Path, order: tuple[str, str]) -> None:
    arrays = {"X": np.ones((4, 3)), "x": np.ones((4, 2)), "y": [0, 1, 0, 1], "Y": [1.5] * 4}
    path = save(tmp_path, **{name: arrays[name] for name in (*order, "Y", "y")})
    assert table_reader.read_arrays(path).x.shape == (4, 3)
    assert table_reader.read_inputs(path).x.shape == (4, 3)
    np.testing.assert_array_equal(table_reader.read_arrays(path).y, [0, 1, 0, 1])


def test_keys_whose_case_differs(tmp_path: Path) -> None:
    train = {"X_train": [[1.0]], "Y_train": [0], "X_test": [[2.0]], "Y_test": [1]}
    assert table_reader.read_arrays(save(tmp_path, **train)).test is not None
    with pytest.raises(ValueError, match="expected an array x_train, got X_train and X_TRAIN, and cannot tell"):
        table_reader.read_arrays(save(tmp_path, **train, X_TRAIN=[[1.0]]))


@pytest.mark.parametrize("header", [b"{'descr': (", b'"""abc', b"\xff\xfe", b""])
def test_an_npz_with_a_damaged_member(tmp_path, header):
    """The error names the file, whatever exception NumPy raises for the member's header."""
    path = tmp_path / "damaged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ValueError, match=r"damaged\.npz: expected an \.npz"):
        table_reader._load_npz(str(path))


# ------------------------------------------------------------------------------------------------- rows set apart


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.2, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("n", [1, 5, 50, 157])
def test_split_is_stratified_disjoint_and_repeatable(n: int, fraction: float) -> None:
    y = np.random.default_rng(1).integers(0, 3, n)
    train, test = split(y, fraction, 4, stratified=True)
    assert sorted([*train, *test]) == list(range(n))
    assert len(test) == int(np.floor(n * fraction + 1e-9))
    for label in range(3):
        assert abs((y[test] == label).sum() - fraction * (y == label).sum()) < 1 + 1e-9
    again = split(y, fraction, 4, stratified=True)
    np.testing.assert_array_equal(again[1], test)
    if n > 40 and fraction:
        assert not np.array_equal(split(y, fraction, 5, stratified=True)[1], test)


# -------------------------------------------------------------------------------------------- scaling


def test_standard_scaling_and_back() -> None:
    x = np.random.default_rng(0).normal(1e6, 3.0, (5000, 2))
    scaling = Scaling.fit(x, "standard")
    scaled = scaling.apply(x, "float64")
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-9)
    np.testing.assert_allclose(scaling.undo(scaled), x, rtol=1e-12)
    assert scaling.apply(x, "float32").dtype == np.float32


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_constant_column_is_left_at_scale_one(kind: str) -> None:
    x = np.full((1000, 1), 0.1)
    np.testing.assert_allclose(Scaling.fit(x, kind).apply(x, "float64"), 0, atol=1e-12)
    assert Scaling.fit(x, kind).scale == 1


def test_scaling_is_chosen_by_the_kind_of_data() -> None:
    images = np.array([[0, 7], [255, 7]], np.uint8)
    assert choose_scaling("auto", images) == "minmax"
    assert choose_scaling("auto", images / 255) == "standard"
    assert choose_scaling("minmax", images / 255) == "minmax"
    assert choose_scaling("none", images) is None


@pytest.mark.parametrize(
    ("text", "complete", "separator", "decimal"),
    [
        ('a,"x;y"\n1,"p;q"\n2,"r;s"\n', True, ",", "."),  # separators between quotation marks do not count
        ("a;b\n1,5;x\n2.5;y\n", True, ";", "."),  # with a point in another number, the commas are not decimal
        ("a;b\n1,5;x\n2;y\n", True, ";", ","),
        ("a b\n1 2\n3", False, " ", "."),  # the last line is incomplete in the sample that is read
        ("a b\n1 2\n3", True, ",", "."),
    ],
)
def test_what_is_guessed_of_a_text(text: str, complete: bool, separator: str, decimal: str) -> None:
    looked = dialect.look(text, complete)
    assert (looked.separator, looked.decimal) == (separator, decimal)
