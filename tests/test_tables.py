"""Tables from .csv and .npz files, and what is made of them: classes, splits, scaling, the words in a model file."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fastmlp import FormatError, tables
from fastmlp.preparation import Preparation, Scaling, choose_scaling, read_targets, split


def write(folder: Path, text: str | bytes, name: str = "table.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


# ----------------------------------------------------------------------------------------------- .csv


def test_header_is_found_and_the_target_taken_by_name(tmp_path: Path) -> None:
    table = tables.read_training(write(tmp_path, "a,kind,b\n1,x,2\n3,y,4.5e1\n"), "kind")
    assert table.columns == ("a", "b")
    assert table.target == "kind"
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 45]])
    np.testing.assert_array_equal(table.y, ["x", "y"])


@pytest.mark.parametrize(("target", "expected"), [("0", ["1", "3"]), ("2", ["x", "y"]), ("-1", ["x", "y"])])
def test_no_header_and_the_target_taken_by_index(tmp_path: Path, target: str, expected: list[str]) -> None:
    path = write(tmp_path, "1,2,x\n3,4,y\n" if target != "0" else "1,2,3\n3,4,5\n")
    table = tables.read_training(path, target)
    assert table.columns is None
    assert table.target == str(int(target) % 3)
    np.testing.assert_array_equal(table.y, expected)
    assert table.x.shape == (2, 2)


def test_a_row_with_the_target_s_name_is_a_header_beside_numbers(tmp_path: Path) -> None:
    table = tables.read_training(write(tmp_path, "2019,2020,kind\n1,2,x\n3,4,y\n"), "kind")
    assert table.columns == ("2019", "2020")


def test_a_name_goes_before_an_index(tmp_path: Path) -> None:
    table = tables.read_training(write(tmp_path, "a,b,\n1,2,3\n"), "2")
    assert (table.columns, table.target) == (("a", "b"), "2")


@pytest.mark.parametrize(
    "text",
    [
        "a;b;y\n1;2;x\n3;4;z\n",
        "a\tb\ty\n1\t2\tx\n3\t4\tz\n",
        "\ufeffa,b,y\r\n1,2,x\r\n\r\n3,4,z\r\n\r\n",
        '"a", "b","y"\n 1 ,"2", x\n3,4,z',
    ],
)
def test_delimiters_marks_spaces_and_blank_lines(tmp_path: Path, text: str) -> None:
    table = tables.read_training(write(tmp_path, text), "y")
    assert table.columns == ("a", "b")
    np.testing.assert_array_equal(table.x, [[1, 2], [3, 4]])
    np.testing.assert_array_equal(table.y, ["x", "z"])


@pytest.mark.parametrize("cell", ["", "nan", "inf", "-Infinity", "n/a", "1_000", "0x10", "1,5", "٣"])
def test_a_cell_that_is_no_number_is_named(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path, f'a,b,y\n1,2,x\n\n3,"{cell}",z\n')
    with pytest.raises(ValueError, match=r"row 2 \(line 4\), column 'b': expected a finite number, got "):
        tables.read_training(path, "y")


def test_a_number_beyond_float64_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="row 1, column 'a': expected a finite number"):
        tables.read_training(write(tmp_path, "a,y\n1e999,x\n"), "y")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "y", "empty file"),
        ("a,y\n", "y", "expected rows below the header"),
        ("a,y\n1,x\n2\n", "y", r"row 2 \(line 3\): expected 2 cells as in the first row, got 1"),
        ("a,y\n1,\n", "y", r"row 1 \(line 2\), column 'y': expected a target, got an empty cell"),
        ("a,y\n1,x\n", "z", r"--target: expected a column of .* \('a', 'y'\) or an index below 2, got 'z'"),
        ("a,y\n1,x\n", "2", "an index below 2, got '2'"),
        ("1,x\n", "y", "for want of a header"),
        ("a,a,y\n1,2,x\n", "y", "different names, got 'a' twice"),
        ("y\nx\n", "y", "columns beside the target"),
        ('a,y\n1,"x\n', "y", "line 2"),
        (b"a,y\n1,\xff\n", "y", "UTF-8"),
        (b"\xff\xfea,y\n", "y", "UTF-8"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str | bytes, target: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tables.read_training(write(tmp_path, text), target)


@pytest.mark.parametrize("text", ["b,a\n2,1\n", "a,b\n1,2\n", "b,y,a\n2,x,1\n", "y;a;b\n;1;2\n"])
def test_columns_to_predict_from_are_found_by_name(tmp_path: Path, text: str) -> None:
    table = tables.read_inputs(write(tmp_path, text), ["a", "b"], "y", 2)
    np.testing.assert_array_equal(table.x, [[1, 2]])


def test_names_that_are_numbers_are_a_header_for_the_model_that_wants_them(tmp_path: Path) -> None:
    table = tables.read_inputs(write(tmp_path, "2020,2019\n1,2\n"), ["2019", "2020"], "y", 2)
    np.testing.assert_array_equal(table.x, [[2, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,c\n1,2\n", "expected the model's columns, got no 'b' but the unknown 'c'"),
        ("a\n1\n", "got no 'b'"),
        ("a,b,c\n1,2,3\n", "got also 'c'"),
        ("1,2\n", "expected a header with the columns 'a', 'b', got none"),
    ],
)
def test_missing_and_extra_columns(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tables.read_inputs(write(tmp_path, text), ["a", "b"], "y", 2)


@pytest.mark.parametrize("text", ["1,2\n", "9,1,2\n", "p,q\n1,2\n"])
def test_columns_without_names_are_counted(tmp_path: Path, text: str) -> None:
    table = tables.read_inputs(write(tmp_path, text), None, "0", 2)
    np.testing.assert_array_equal(table.x, [[1, 2]])
    with pytest.raises(ValueError, match="expected 5 columns"):
        tables.read_inputs(write(tmp_path, text), None, "0", 5)


# ----------------------------------------------------------------------------------------------- .npz


def save(folder: Path, **arrays: object) -> str:
    path = folder / "arrays.npz"
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return str(path)


def test_npz_with_its_own_split(tmp_path: Path) -> None:
    images = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)
    path = save(tmp_path, x_train=images, y_train=[0, 1, 0], x_test=images[:1], y_test=[1])
    table = tables.read_training(path, None)
    assert table.x.shape == (3, 8)
    assert table.x.dtype == np.uint8
    assert table.test is not None
    assert table.test[0].shape == (1, 8)
    np.testing.assert_array_equal(tables.read_inputs(path, None, None, 8).x, images[:1].reshape(1, 8))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": [[1.0]]}, "expected arrays X and y"),
        ({"X": [[1.0], [np.nan]], "y": [0, 1]}, "expected finite numbers, got nan at row 1, column 0"),
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
        tables.read_training(save(tmp_path, **arrays), None)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", b"\x93NUMPY", b"text"])
def test_what_is_no_npz(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected an \.npz of plain arrays"):
        tables.read_training(write(tmp_path, content, "broken.npz"), None)


# -------------------------------------------------------------------------------------------- targets


@pytest.mark.parametrize(
    ("y", "task", "classes"),
    [
        (["b", "a", "b"], "classification", ("a", "b")),
        (["2", "1.0", "1", "2"], "classification", (1, 2)),
        (["0.5", "1", "1", "2"], "regression", None),
        (["1", "2", "3", "4"], "regression", None),
        (np.array([3, 7, 9]), "classification", (3, 7, 9)),
        (np.array([True, False]), "classification", (0, 1)),
        (np.array([1.0, 0.0, 1.0, 0.0]), "classification", (0, 1)),
        (np.array([1.25, 0.0, 1.0, 0.0]), "regression", None),
        (np.ones((3, 2)), "regression", None),
    ],
)
def test_task_is_chosen(y: object, task: str, classes: tuple[object, ...] | None) -> None:
    targets = np.asarray(y)
    chosen, named, values = read_targets(targets, "auto")
    assert (chosen, named) == (task, classes)
    if classes is None:
        assert values.dtype == np.float64
        assert values.shape == (len(targets), targets.size // len(targets))
    else:
        assert values.dtype == np.int64
        given = targets.astype(np.float64) if not isinstance(classes[0], str) else targets
        assert [classes[label] for label in values] == list(given)


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["1", "2.5", "N/A"], "auto", "row 3, column 'price': expected a number, got 'N/A'; --task"),
        (["1", "x"], "regression", "row 2, column 'price': expected a number, got 'x'"),
        (["1e999", "2"], "regression", "row 1, column 'price': expected a finite number"),
        (["a", "a"], "auto", "column 'price': expected at least two classes, got only 'a'"),
        (np.ones((2, 2)), "classification", r"expected one class per row for a classification, got shape \(2, 2\)"),
    ],
)
def test_bad_targets(y: object, task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_targets(np.asarray(y), task, "price")


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
    scaling = choose_scaling("auto", images)
    assert scaling is not None
    np.testing.assert_array_equal(scaling.apply(images, "float32"), [[0, 0], [1, 0]])
    assert choose_scaling("none", images) is None
    with pytest.raises(ValueError, match="column 1"):
        choose_scaling("auto", np.array([[1.0, 1e300], [2.0, -1e300]]))


# ---------------------------------------------------------------------------- the words in a model file


def test_preparation_survives_a_model_file() -> None:
    scaling = Scaling(np.array([0.1, 1e-300]), np.array([1 / 3, 7e200]))
    given = Preparation("classification", ("a", "é,\n"), "y", ("x", "z"), scaling)
    back = Preparation.from_extra(given.to_extra(), 2, 2, True)
    assert (back.task, back.columns, back.target, back.classes) == ("classification", ("a", "é,\n"), "y", ("x", "z"))
    assert back.scaling is not None
    np.testing.assert_array_equal(back.scaling.offset, scaling.offset)
    np.testing.assert_array_equal(back.scaling.scale, scaling.scale)
    assert Preparation.from_extra(given.to_extra(), 2, 1, True).classes == ("x", "z")


def test_a_model_file_without_words() -> None:
    assert Preparation.from_extra({}, 2, 3, True) == Preparation("classification")
    assert Preparation.from_extra({}, 2, 3, False) == Preparation("regression")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", "clustering"),
        ("task", 3),
        ("columns", ["a"]),
        ("columns", ["a", 2]),
        ("columns", "ab"),
        ("target", ["y"]),
        ("classes", ["x"]),
        ("classes", ["x", None]),
        ("classes", [True, False]),
        ("scaling", []),
        ("scaling", {}),
        ("scaling", {"offset": [0, 0], "scale": [1, 0]}),
        ("scaling", {"offset": [0, 0], "scale": [1, -1]}),
        ("scaling", {"offset": [0, 0], "scale": [1]}),
        ("scaling", {"offset": [0, "0"], "scale": [1, 1]}),
        ("scaling", {"offset": [0, float("nan")], "scale": [1, 1]}),
        ("scaling", {"offset": [0, 10**400], "scale": [1, 1]}),
        ("target_scaling", {"offset": [0], "scale": [1]}),
    ],
)
def test_a_model_file_s_words_are_checked(key: str, value: object) -> None:
    with pytest.raises(FormatError, match=f"{key}.*: expected"):
        Preparation.from_extra({key: json.dumps(value)}, 2, 2, True)


def test_a_model_file_s_words_are_json() -> None:
    for text in ("{", "", "[" * 100_000):
        with pytest.raises(FormatError, match="scaling: expected JSON"):
            Preparation.from_extra({"scaling": text}, 2, 2, True)


@pytest.mark.parametrize("header", [b"{'descr': (", b'"""abc', b"\xff\xfe", b""])
def test_an_npz_with_a_damaged_member(tmp_path, header):
    """One error that names the file, whatever NumPy's parser of headers raises."""
    path = tmp_path / "damaged.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(ValueError, match=r"damaged\.npz: expected an \.npz"):
        tables._load_npz(str(path))
