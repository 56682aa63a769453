"""The target column: classes or numbers, class names, missing targets; by one rule for all kinds of files."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from fastmlp.tables import target_column
from fastmlp.tables.columns import PlainFrame
from fastmlp.tables.target_column import Learnt, Target

polars = pytest.importorskip("polars", reason="needs polars")

Make = Callable[[Sequence[str]], Target]
SOURCES: dict[str, Make] = {
    "polars": lambda texts: target_column.of_frame(polars.DataFrame({"y": list(texts)}), "y"),
    "numpy": lambda texts: target_column.of_frame(PlainFrame({"y": np.array(texts)}), "y"),
}


@pytest.fixture(params=SOURCES)
def of_texts(request: pytest.FixtureRequest) -> Make:
    return SOURCES[request.param]


def named(learnt: Learnt) -> list[Any]:
    """Return the label of each row."""
    assert learnt.classes is not None
    return [learnt.classes[label] for label in learnt.values]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["b", "a", "b"], ("a", "b")),
        (["1", "0", "1", "0"], (0, 1)),
        (["10", "9", "10", "9"], (9, 10)),  # in numerical order
        (["1.0", "2.0"] * 2, (1.0, 2.0)),
        (["2", "1.0", "1", "2", "1", "2"], ("1", "1.0", "2")),  # two spellings of a number are two classes
        (["00501", "02134", "00501", "02134"], ("00501", "02134")),
        (["+1", "-1"] * 2, ("+1", "-1")),
        (["007", "7"] * 2, ("007", "7")),
        (["-0", "1"] * 2, ("-0", "1")),
        (["True", "False"] * 2, ("False", "True")),
        (["1234567890123456789", "1234567890123456790"] * 2, (1234567890123456789, 1234567890123456790)),
        (["18446744073709551615", "0"] * 2, (0, 18446744073709551615)),
        (["18446744073709551615", "-1"] * 2, ("-1", "18446744073709551615")),  # more than 64 bits for both
        (["18446744073709551616", "0"] * 2, ("0", "18446744073709551616")),
    ],
)
def test_names_of_classes_are_as_written(of_texts: Make, labels: list[str], classes: tuple[Any, ...]) -> None:
    learnt = target_column.read(of_texts(labels))
    assert learnt.task == "classification"
    assert learnt.classes == classes
    assert [type(each) for each in learnt.classes] == [type(each) for each in classes]
    assert [str(name) for name in named(learnt)] == labels
    np.testing.assert_array_equal(target_column.indices(of_texts(labels), learnt.classes), learnt.values)


def test_codes_with_points(of_texts: Make) -> None:
    random.seed(0)
    labels = [["1.1", "1.10", "020"][i % 3] for i in range(90)]
    assert target_column.read(of_texts(labels)).task == "regression"
    assert target_column.read(of_texts(labels), "classification").classes == ("020", "1.1", "1.10")


@pytest.mark.parametrize(
    ("numbers", "task"),
    [
        (["0", "1", "1", "0"], "classification"),
        (["3", "7", "9"], "regression"),  # as many classes as rows
        (["3", "7", "9", "3", "7"], "regression"),  # fewer than two rows for each class
        (["0.5", "1", "1", "0.5"], "regression"),
        ([str(i % 20) for i in range(40)], "classification"),
        ([str(i % 21) for i in range(99)], "regression"),
    ],
)
def test_one_rule_for_text_and_for_arrays(of_texts: Make, numbers: list[str], task: str) -> None:
    assert target_column.read(of_texts(numbers)).task == task
    values = [float(number) for number in numbers]
    assert target_column.read(target_column.of_array(np.array(values), "y")).task == task
    assert target_column.read(target_column.of_frame(polars.DataFrame({"y": values}), "y")).task == task
    if "." not in "".join(numbers):
        for kind in (np.int8, np.uint64, np.int64):
            learnt = target_column.read(target_column.of_array(np.array(numbers, kind), "y"))
            assert learnt.task == task
            assert learnt.classes == target_column.read(of_texts(numbers)).classes
    if task == "regression":
        np.testing.assert_array_equal(target_column.read(of_texts(numbers)).values[:, 0], values)


def test_integers_of_arrays_stay_exact() -> None:
    y = np.array([2**62 + 1, 2**62 + 2, 2**61] * 2)
    for target in (target_column.of_array(y, "y"), target_column.of_frame(polars.DataFrame({"y": y}), "y")):
        learnt = target_column.read(target)
        assert named(learnt) == y.tolist()
        np.testing.assert_array_equal(target_column.given(learnt.values, learnt.classes), y)
    gap = polars.DataFrame({"y": [*y.tolist(), None]})
    assert named(target_column.read(target_column.of_frame(gap, "y"), drop_missing=True)) == y.tolist()
    big = np.array([2**64 - 1, 2**64 - 2] * 2, np.uint64)
    assert named(target_column.read(target_column.of_array(big, "y"))) == big.tolist()


def test_booleans_are_text() -> None:
    y = np.array([True, False, True])
    for target in (target_column.of_array(y, "y"), target_column.of_frame(polars.DataFrame({"y": y}), "y")):
        assert named(target_column.read(target)) == ["True", "False", "True"]


def test_several_columns_of_numbers() -> None:
    learnt = target_column.read(target_column.of_array(np.ones((3, 2), np.int64), "y"))
    assert (learnt.task, learnt.values.shape) == ("regression", (3, 2))
    with pytest.raises(ValueError, match=r"one class per row for a classification, got shape \(3, 2\)"):
        target_column.read(target_column.of_array(np.ones((3, 2)), "y"), "classification")


@pytest.mark.parametrize("gap", ["", "NaN", "nan", " ", "-nan"])
@pytest.mark.parametrize("others", [["yes", "no"], ["1.5", "2.5"], ["0", "1"]])
def test_a_missing_target_is_refused_or_dropped(of_texts: Make, gap: str, others: list[str]) -> None:
    labels = [*others * 3, gap, *others, gap]
    with pytest.raises(
        ValueError, match=r"row 7, column 'y': expected a target, got a missing one \(2 in all\); --drop"
    ):
        target_column.read(of_texts(labels))
    learnt = target_column.read(of_texts(labels), drop_missing=True)
    assert learnt.present is not None
    np.testing.assert_array_equal(np.flatnonzero(~learnt.present), [6, 9])
    whole = target_column.read(of_texts(others * 4))
    assert learnt.classes == whole.classes
    np.testing.assert_array_equal(learnt.values, whole.values)


def test_a_missing_target_of_an_array() -> None:
    y = np.array([1.0, np.nan, 2.5])
    with pytest.raises(ValueError, match="row 2, y: expected a target, got a missing one; --drop-missing-target"):
        target_column.read(target_column.of_array(y, "y"))
    np.testing.assert_array_equal(
        target_column.read(target_column.of_array(y, "y"), drop_missing=True).values, [[1.0], [2.5]]
    )
    several = np.array([[1.0, 2.0], [np.nan, 1.0], [0.0, 0.0]])
    assert target_column.read(target_column.of_array(several, "y"), drop_missing=True).values.shape == (2, 2)
    with pytest.raises(ValueError, match="row 1, y: expected a finite number"):
        target_column.read(target_column.of_array(np.array([np.inf, 1.5]), "y"))
    nulls = polars.DataFrame({"y": ["a", None, "b"]})
    with pytest.raises(ValueError, match="row 2, column 'y': expected a target"):
        target_column.read(target_column.of_frame(nulls, "y"))


def test_as_many_classes_as_rows_with_a_target(of_texts: Make) -> None:
    """Rows without a target do not count."""
    with pytest.raises(ValueError, match=r"as many classes as rows \(3\)"):
        target_column.read(of_texts(["a", "", "b", "c", ""]), "classification", drop_missing=True)


@pytest.mark.parametrize("kind", ["polars", "numpy"])
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_mark_that_is_a_number_is_missing_however_it_is_spelt(kind: str, task: str) -> None:
    """The mark -999 also matches -999.0, in columns of text and of numbers."""
    for given in (["1.5", "-999.0", "2.5", "-999", "1.5"], [1.5, -999.0, 2.5, -999.0, 1.5]):
        array = np.array(given)
        frame = polars.DataFrame({"y": given}) if kind == "polars" else PlainFrame({"y": array})
        with pytest.raises(ValueError, match=r"row 2, column 'y': expected a target, got a missing one \(2 in all\)"):
            target_column.read(target_column.of_frame(frame, "y", ["-999"]), task)
        learnt = target_column.read(target_column.of_frame(frame, "y", ["-999"]), task, drop_missing=True)
        assert learnt.present is not None
        assert learnt.present.tolist() == [True, False, True, False, True]
        assert (named(learnt) if learnt.classes else learnt.values.ravel().tolist()) == [1.5, 2.5, 1.5]


@pytest.mark.parametrize("mark", ["NA", "N/A", "None", "null", "?", "NULL", "n/a"])
def test_a_mark_among_text_is_a_class_and_said(of_texts: Make, mark: str) -> None:
    learnt = target_column.read(of_texts(["yes", "no", mark, "no", mark]))
    assert learnt.classes == tuple(sorted(["yes", "no", mark]))
    (note,) = learnt.notes
    assert note.startswith(f"column 'y': {mark!r} is taken for a class (2 rows); --null")
    frame = polars.DataFrame({"y": ["yes", "no", mark, "no", "yes"]})
    learnt = target_column.read(target_column.of_frame(frame, "y", [mark]), drop_missing=True)
    assert (learnt.classes, learnt.notes) == (("no", "yes"), ())


@pytest.mark.parametrize(
    ("labels", "task", "message"),
    [
        (["1", "2.5", "N/A"], "auto", "row 3, column 'y': expected a number, got 'N/A'; --task .*; --null 'N/A'"),
        (["1", "x", "2"], "auto", "row 2, column 'y': expected a number, got 'x'; --task classification takes any"),
        (["1", "x"], "regression", "row 2, column 'y': expected a number, got 'x'"),
        (["1e999", "2"], "regression", "row 1, column 'y': expected a finite number"),
        (["a", "a"], "auto", "column 'y': expected at least two classes, got only 'a'"),
        (["a", "b"], "auto", r"as many classes as rows \(2\)"),
        (["1", "2", "3"], "classification", r"as many classes as rows \(3\)"),
        (["", ""], "auto", "expected a target"),
    ],
)
def test_bad_targets(of_texts: Make, labels: list[str], task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        target_column.read(of_texts(labels), task)


def test_labels_that_a_model_does_not_know() -> None:
    target = target_column.of_array(np.array(["a", "x"]), "column 'y'")
    with pytest.raises(ValueError, match=r"row 2, column 'y': expected a class of the model \('a', 'b'\), got 'x'"):
        target_column.indices(target, ("a", "b"))
    np.testing.assert_array_equal(
        target_column.indices(target_column.of_array(np.array(["1.0", "2"]), "y"), (1, 2)), [0, 1]
    )
    np.testing.assert_array_equal(target_column.indices(target_column.of_array(np.array([2, 1]), "y"), (1, 2)), [1, 0])


def test_a_long_column_of_numbers_is_the_same_as_cell_by_cell() -> None:
    """Columns of many rows, which polars converts, have the values of a conversion cell by cell."""
    numbers = np.random.default_rng(0).normal(size=5000) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 5000)
    texts = [repr(number) for number in numbers.tolist()]
    learnt = target_column.read(target_column.of_frame(polars.DataFrame({"y": texts}), "y"))
    np.testing.assert_array_equal(learnt.values[:, 0], numbers)
    with pytest.raises(ValueError, match="row 5001, column 'y': expected a number, got 'no'"):
        target_column.read(target_column.of_frame(polars.DataFrame({"y": [*texts, "no"]}), "y"))


@pytest.mark.parametrize("task", ["auto", "classification", "regression"])
@pytest.mark.parametrize("infinite", ["inf", "-inf", "Infinity", "1e999"])
def test_infinity_is_no_class(of_texts: Make, infinite: str, task: str) -> None:
    labels = ["0", "2", infinite] * 10
    number = float(infinite)
    for target in (of_texts(labels), target_column.of_array(np.array([0.0, 2.0, number] * 10), "column 'y'")):
        with pytest.raises(ValueError, match=rf"row 3, column 'y': expected a finite number, got {number}"):
            target_column.read(target, task)
    learnt = target_column.read(
        target_column.of_frame(polars.DataFrame({"y": labels}), "y", [infinite]), task, drop_missing=True
    )
    assert len(learnt.values) == 20
    among_text = target_column.read(of_texts(["a", infinite, "b"] * 2), "classification")
    assert among_text.classes == tuple(sorted(["a", infinite, "b"]))


@pytest.mark.parametrize("labels", [["a ", "b", " a", "b "], [" 1.50", "2.25 ", "3.5"], ["yes", "no "] * 3])
def test_blanks_around_labels_are_none_of_their_own(labels: list[str]) -> None:
    """Blanks around labels are removed in NPZ and Parquet as in CSV."""
    bare = [label.strip() for label in labels]
    wanted = target_column.read(target_column.of_array(np.array(bare), "y"))
    for target in (
        target_column.of_array(np.array(labels), "y"),
        target_column.of_frame(polars.DataFrame({"y": labels}), "y"),
    ):
        learnt = target_column.read(target)
        assert (learnt.task, learnt.classes) == (wanted.task, wanted.classes)
        np.testing.assert_array_equal(learnt.values, wanted.values)


def test_both_zeros_are_one_class(of_texts: Make) -> None:
    numbers = [0.0, -0.0, 1.0, -0.0] * 3
    for target in (of_texts(list(map(str, numbers))), target_column.of_array(np.array(numbers), "y")):
        learnt = target_column.read(target)
        assert [str(each) for each in learnt.classes or ()] == ["0.0", "1.0"]
        assert learnt.values.tolist() == [0, 0, 1, 0] * 3
    for target in (of_texts(["-0.0", "1.0"] * 3), target_column.of_array(np.array([-0.0, 1.0] * 3), "y")):
        assert [str(each) for each in target_column.read(target).classes or ()] == ["0.0", "1.0"]
    assert target_column.read(of_texts(["-0.0", "0.0", "007"] * 3), "classification").classes == ("-0.0", "0.0", "007")


def test_narrow_floats_are_the_numbers_that_they_print() -> None:
    """The float32 nearest to 0.1 counts as the label 0.1, as in a text file."""
    for kind in (np.float16, np.float32, np.float64):
        y = np.array([0.1, 2.5, 0.1, 2.5], kind)
        for target in (target_column.of_array(y, "y"), target_column.of_frame(PlainFrame({"y": y}), "y")):
            assert target_column.read(target, "classification").classes == (0.1, 2.5)


@pytest.mark.parametrize("mark", ["-", "--", ".", "none", "na", "Na", "Nan", "missing", "unknown", "Unknown", "nil"])
def test_a_doubtful_mark_among_text_is_said(of_texts: Make, mark: str) -> None:
    learnt = target_column.read(of_texts(["yes", "no", mark, "no", mark]))
    assert learnt.classes == tuple(sorted(["yes", "no", mark]))
    (note,) = learnt.notes
    assert note.startswith(f"column 'y': {mark!r} is taken for a class (2 rows); --null")
    assert target_column.read(of_texts(["+", "-", "+", "-"])).notes == ()
