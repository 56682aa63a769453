"""`fastmlp.Encoder`: the columns of a table as inputs of a network, independent of the library that read them."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import itertools
import json
import math
import pickle
import statistics
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.encoder import Encoder, learn, learn_and_transform
from fastmlp.tables import columns, parts
from fastmlp.tables.columns import PlainFrame
from fastmlp.tables.known_columns import median
from fastmlp.tables.parts import Part

polars = pytest.importorskip("polars", reason="needs polars")
pandas: Any = None
with contextlib.suppress(ImportError):
    import pandas  # type: ignore[no-redef]
needs_pandas = pytest.mark.skipif(pandas is None, reason="needs pandas")

Frame = Callable[[dict[str, Any]], Any]
FRAMES: dict[str, Frame] = {"polars": lambda data: polars.DataFrame(data, strict=False)}
if pandas is not None:
    FRAMES["pandas"] = pandas.DataFrame
NAN = float("nan")
MIXED: dict[str, Any] = {
    "number": [1.5, None, 3.0, 8.0],
    "text": ["x", "y", "x", None],
    "flag": [True, False, None, True],
    "date": ["2020-01-31", "2020-02-01", "", "2019-12-31"],
    "marked": ["1", "NA", "3", "?"],
}


@pytest.fixture(params=FRAMES)
def frame_of(request: pytest.FixtureRequest) -> Frame:
    return FRAMES[request.param]


def test_what_each_kind_becomes(frame_of: Frame) -> None:
    encoder = Encoder.fit(frame_of(MIXED))
    assert encoder.columns == tuple(MIXED)
    expected = {
        "number": [1.5, 3.0, 3.0, 8.0],
        "number is missing": [0, 1, 0, 0],
        "text=x": [1, 0, 1, 0],
        "text is other": [0, 1, 0, 1],
        "flag=False": [0, 1, 0, 0],
        "flag=True": [1, 0, 0, 1],
        "flag is other": [0, 0, 1, 0],
        "date.day_number": [18292, 18293, 18292, 18261],  # datetime.date(2020, 1, 31).toordinal() - 719163
        "date.month": [1, 2, 2, 12],
        "date.day": [31, 1, 31, 31],
        "date.weekday": [4, 5, 4, 1],  # a Friday, a Saturday, a Tuesday
        "date is missing": [0, 0, 1, 0],
        "marked": [1, 2, 3, 2],
        "marked is missing": [0, 1, 0, 1],
    }
    assert encoder.feature_names_out == tuple(expected)
    assert encoder.n_outputs == len(expected)
    rows = encoder.transform(frame_of(MIXED))
    assert rows.dtype == np.float64
    assert rows.flags.c_contiguous
    np.testing.assert_array_equal(rows, np.transpose(list(expected.values())))


def test_columns_are_found_by_name(frame_of: Frame) -> None:
    encoder = Encoder.fit(frame_of(MIXED), drop=["date"])
    rows = encoder.transform(frame_of(MIXED))
    mixed_up = frame_of({"more": [1, 2, 3, 4], **dict(reversed(MIXED.items()))})
    np.testing.assert_array_equal(encoder.transform(mixed_up), rows)
    assert "date" not in encoder.columns
    with pytest.raises(ValueError, match="a frame without 'number'"):
        encoder.transform(frame_of({name: MIXED[name] for name in MIXED if name != "number"}))


def test_drop_keep_and_target() -> None:
    frame = polars.DataFrame({"id": [7, 8, 9], "a": [1, 2, 3], "b": [1, 2, 3], "y": [1, 2, 3], "void": [None] * 3})
    encoder, notes = learn(frame, target="y", drop=["b"], keep=["id"])
    assert encoder.columns == ("a",)
    assert encoder.kept == ("id",)
    assert encoder.passed_over == {"id", "b", "y", "void"}
    assert [note.text for note in notes] == ["column 'void' has no values and is left out"]
    for wrong in ({"drop": ["c"]}, {"keep": ["c"]}, {"drop": ["a"], "keep": ["a"]}, {"drop": ["y"], "target": "y"}):
        with pytest.raises(ValueError, match="expected"):
            Encoder.fit(frame, **wrong)
    with pytest.raises(TypeError, match="drop: expected a sequence of text"):
        Encoder.fit(frame, drop="a")
    with pytest.raises(ValueError, match="at least one column"):
        Encoder.fit(frame, drop=["id", "a", "b", "y"])


@needs_pandas
def test_the_same_encoder_and_rows_whoever_has_read_the_table() -> None:
    """pandas, polars and NumPy infer different types for the same text: 1 beside a missing value is 1.0, ..."""
    texts = {
        "a": ["1", "", "3", "4"],
        "b": ["true", "FALSE", "True", "false"],
        "c": ["1", "x", "2", "1"],
        "d": ["2020-01-01 12:30", "2020-01-02", "", "2020-01-01T00:00:00Z"],
        "e": ["p", "q", "p", "None"],
    }
    as_text = [polars.DataFrame(texts), pandas.DataFrame(texts), PlainFrame({k: np.array(v) for k, v in texts.items()})]
    times = [datetime.datetime(2020, 1, 1, 12, 30), datetime.datetime(2020, 1, 2), None, datetime.datetime(2020, 1, 1)]
    typed = pandas.DataFrame(
        {
            "a": [1.0, NAN, 3.0, 4.0],
            "b": [True, False, True, False],
            "c": [1, "x", 2, 1],
            "d": pandas.to_datetime(texts["d"], format="ISO8601", utc=True),
            "e": pandas.Categorical(["p", "q", "p", None]),
        }
    )
    own = polars.DataFrame(
        {
            "a": polars.Series([1, None, 3, 4], dtype=polars.Int8),
            "b": [True, False, True, False],
            "c": polars.Series(["1", "x", "2", "1"], dtype=polars.Categorical),
            "d": polars.Series(times, dtype=polars.Datetime("ns")),
            "e": polars.Series(["p", "q", "p", None], dtype=polars.Enum(["q", "p"])),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # most of c looks like numbers
        encoders = [Encoder.fit(frame) for frame in (*as_text, typed, own)]
    assert len(set(encoders)) == 1
    rows = encoders[0].transform(as_text[0])
    for frame in (*as_text, typed, own):
        np.testing.assert_array_equal(encoders[0].transform(frame), rows)
    assert "d.hour" in encoders[0].feature_names_out
    assert rows[0, encoders[0].feature_names_out.index("d.day_number")] == 18262 + 12.5 / 24


@needs_pandas
def test_a_category_of_numbers_and_a_number() -> None:
    encoder = Encoder.fit(pandas.DataFrame({"c": pandas.Categorical(["1", "2", "1", "2"])}))
    assert encoder.feature_names_out == ("c=1", "c=2", "c is other")
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    for values in ([1, 2, 3], [1.0, 2.0, 3.5], ["1", "2", "01"], np.array([1, 2, 3], np.uint8)):
        np.testing.assert_array_equal(encoder.transform(pandas.DataFrame({"c": values})), expected)
        np.testing.assert_array_equal(encoder.transform(polars.DataFrame({"c": values})), expected)


@needs_pandas
def test_a_number_that_may_be_two_categories_is_refused() -> None:
    encoder = Encoder.fit(pandas.DataFrame({"zip": pandas.Categorical(["007", "7", "123", "0123"] * 2 + ["0501"] * 2)}))
    rows = encoder.transform(pandas.DataFrame({"zip": [501]}))
    assert encoder.feature_names_out[int(np.argmax(rows))] == "zip=0501"  # the reader has dropped the leading zero
    for number in (7, 123.0):
        with pytest.raises(ValueError, match=r"column 'zip', got \d+, which may be .*; read the column as text"):
            encoder.transform(pandas.DataFrame({"zip": [number]}))


def test_rare_and_unseen_categories(frame_of: Frame) -> None:
    values = ["a"] * 5 + ["b"] * 3 + ["c"] * 3 + ["d"] + [None] * 2
    frame = frame_of({"c": values})
    assert Encoder.fit(frame).feature_names_out == ("c=a", "c=b", "c=c", "c is missing", "c is other")
    assert Encoder.fit(frame, max_categories=2).feature_names_out == ("c=a", "c=b", "c is missing", "c is other")
    assert Encoder.fit(frame, min_count=4).feature_names_out == ("c=a", "c is other")
    encoder = Encoder.fit(frame, min_count=3)
    assert encoder.feature_names_out == ("c=a", "c=b", "c=c", "c is other")
    rows = encoder.transform(frame_of({"c": ["d", "never", None, "b"]}))
    np.testing.assert_array_equal(rows, [[0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 0, 0]])
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="min_count"):
            Encoder.fit(frame, min_count=wrong)


def test_infinite_numbers_are_refused_with_row_and_column(frame_of: Frame) -> None:
    for values in ([1.0, 2.0, float("inf")], ["1", "2", "-Infinity"], ["1", "2", "1e999"]):
        with pytest.raises(
            ValueError, match=r"numbers, got -?inf \(infinite, or too large for float64\) at row 2, column 'a'"
        ):
            Encoder.fit(frame_of({"b": [1, 2, 3], "a": values}))
    encoder = Encoder.fit(frame_of({"a": [1.0, 2.0]}))
    with pytest.raises(ValueError, match="at row 1, column 'a'"):
        encoder.transform(frame_of({"a": [1.0, float("-inf")]}))


@pytest.mark.parametrize(
    ("fitted", "given", "message"),
    [
        ([1, 2], ["1", "x"], "expected a number, got 'x' at row 1, column 'a'"),
        ([1, 2], [True, False], "expected a number, got a boolean at row 0"),
        ([1, 2], ["2020-01-01", "2020-01-02"], "expected a number, got a date at row 0"),
        (["2020-01-01"], ["2020-01-01", "2020-02-30"], r"expected a date .*, got '2020-02-30' at row 1"),
        (["2020-01-01"], [1, 2], "expected a date .*, got a number at row 0"),
        ([True, False], ["true", "maybe"], "expected true or false, got 'maybe' at row 1"),
        ([True, False], [0, 1], "expected true or false, got a number"),
    ],
)
def test_values_of_another_kind_are_refused(frame_of: Frame, fitted: Any, given: Any, message: str) -> None:
    encoder = Encoder.fit(frame_of({"a": fitted}))
    with pytest.raises(ValueError, match=message):
        encoder.transform(frame_of({"a": given}))


@pytest.mark.parametrize("fitted", [[1, 2], ["2020-01-01", "2020-01-03"], [True, True], ["u", "u"]])
def test_a_column_without_any_value_is_missing_throughout(frame_of: Frame, fitted: Any) -> None:
    encoder = Encoder.fit(frame_of({"a": fitted}))
    rows = encoder.transform(frame_of({"a": ["", "NA"]}))
    np.testing.assert_array_equal(encoder.transform(frame_of({"a": [None, None]})), rows)
    np.testing.assert_array_equal(encoder.transform(frame_of({"a": [NAN, NAN]})), rows)
    if fitted == [1, 2]:
        np.testing.assert_array_equal(rows, [[1.5], [1.5]])


def test_marks_of_the_user(frame_of: Frame) -> None:
    frame = frame_of({"a": [1, -999, 3], "b": ["1", "none given", "5"], "c": ["none given", "u", "u"]})
    encoder = Encoder.fit(frame, missing=["-999", "none given"], min_count=1)
    assert encoder.feature_names_out == ("a", "a is missing", "b", "b is missing", "c=u", "c is missing", "c is other")
    np.testing.assert_array_equal(encoder.transform(frame)[:, :4], [[1, 0, 1, 0], [2, 1, 3, 1], [3, 0, 5, 0]])


def test_text_that_is_mostly_numbers_is_said(frame_of: Frame) -> None:
    for values in (["1.5", "2", "n.d.", "3"], ["1,234", "5,678"]):
        with pytest.warns(UserWarning, match="column 'a' is taken for text, although most of its values look like"):
            Encoder.fit(frame_of({"a": values}))
    _, notes = learn(frame_of(MIXED))
    assert [note.text for note in notes] == [
        "column 'marked': numbers, with 1 of '?', 1 of 'NA' taken for missing values"
    ]


TYPES: dict[str, Any] = {
    "polars decimal": polars.Series([decimal.Decimal("1.0"), None]),
    "polars date": polars.Series([datetime.date(2020, 1, 1), None]),
    "polars time": polars.Series([datetime.datetime(2020, 1, 1), None], dtype=polars.Datetime("ms")),
    "polars zone": polars.Series([datetime.datetime(2020, 1, 1), None]).dt.replace_time_zone("UTC"),
    "polars category": polars.Series(["u", None], dtype=polars.Categorical),
    "polars enum": polars.Series(["u", None], dtype=polars.Enum(["u", "v"])),
    "polars int": polars.Series([1, None], dtype=polars.UInt16),
    "polars float32": polars.Series([1.0, None], dtype=polars.Float32),
}
if pandas is not None:
    TYPES |= {
        "Int64": pandas.Series([1, None], dtype="Int64"),
        "Float64": pandas.Series([1, None], dtype="Float64"),
        "boolean": pandas.Series([True, None], dtype="boolean"),
        "string": pandas.Series(["u", None], dtype="string"),
        "object": pandas.Series(["u", None], dtype=object),
        "arrow int": pandas.Series([1, None], dtype="int32[pyarrow]"),
        "arrow bool": pandas.Series([True, None], dtype="bool[pyarrow]"),
        "arrow text": pandas.Series(["u", None], dtype="string[pyarrow]"),
        "arrow date": pandas.Series([datetime.date(2020, 1, 1), None], dtype="date32[pyarrow]"),
        "arrow time": pandas.Series([datetime.datetime(2020, 1, 1), None], dtype="timestamp[ns][pyarrow]"),
        "datetime": pandas.Series([datetime.datetime(2020, 1, 1), None]),
        "datetime with a zone": pandas.Series([datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC), None]),
        "dates": pandas.Series([datetime.date(2020, 1, 1), None], dtype=object),
        "decimals": pandas.Series([decimal.Decimal("1"), None], dtype=object),
        "float16": pandas.Series([1, None], dtype=np.float16),
        "sparse": pandas.Series([1.0, None]).astype("Sparse[float64]"),
        "category": pandas.Series(["u", None], dtype="category"),
    }


@pytest.mark.parametrize("name", TYPES)
def test_types_of_pandas_and_polars(name: str) -> None:
    series = TYPES[name]
    frame = series.to_frame("a") if hasattr(series, "iloc") else series.alias("a").to_frame()
    encoder = Encoder.fit(frame, min_count=1)
    rows = encoder.transform(frame)
    if "date" in name or "zone" in name or "time" in name:
        np.testing.assert_array_equal(rows, [[18262, 1, 1, 2, 0], [18262, 1, 1, 2, 1]])
    elif "bool" in name:
        np.testing.assert_array_equal(rows, [[0, 1, 0, 0], [0, 0, 1, 0]])
    elif encoder.feature_names_out[0] == "a":
        np.testing.assert_array_equal(rows, [[1, 0], [1, 1]])
    else:
        assert encoder.feature_names_out == ("a=u", "a is missing", "a is other")
        np.testing.assert_array_equal(rows, [[1, 0, 0], [0, 1, 0]])


OTHER_TYPES: list[Any] = [
    polars.Series([datetime.timedelta(1)]),
    polars.Series([datetime.time(1)]),
    polars.Series([[1, 2]]),
    polars.Series([{"a": 1}]),
    polars.Series([b"x"]),
]
if pandas is not None:
    OTHER_TYPES += [
        pandas.Series([datetime.timedelta(1)]),
        pandas.Series([1j]),
        pandas.Series(pandas.period_range("2020", periods=1, freq="M")),
        pandas.Series([[1, 2]]),
        pandas.Series([b"x"]),
    ]


@pytest.mark.parametrize("series", OTHER_TYPES)
def test_other_types_are_refused_by_name(series: Any) -> None:
    frame = series.to_frame("odd") if hasattr(series, "iloc") else series.alias("odd").to_frame()
    with pytest.raises((TypeError, ValueError), match="column 'odd'"):
        Encoder.fit(frame)


@needs_pandas
def test_frames_that_are_refused() -> None:
    with pytest.raises(TypeError, match=r"X\.columns\.map\(str\)"):
        Encoder.fit(pandas.DataFrame([[1, 2]]))
    with pytest.raises(ValueError, match="different names, got 'a' twice"):
        Encoder.fit(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(TypeError, match=r"LazyFrame; X\.collect\(\)"):
        Encoder.fit(polars.LazyFrame({"a": [1]}))
    with pytest.raises(TypeError, match="expected a frame of pandas or polars, got list"):
        Encoder.fit([[1.0]])
    with pytest.raises(ValueError, match="at least one row"):
        Encoder.fit(pandas.DataFrame({"a": []}))


@needs_pandas
def test_booleans_in_a_column_of_objects_are_not_ones() -> None:
    encoder = Encoder.fit(pandas.DataFrame({"a": pandas.Series([True, "x", 1, True, "x", 1], dtype=object)}))
    assert encoder.feature_names_out == ("a=1", "a=True", "a=x", "a is other")


@needs_pandas
def test_numbers_keep_every_bit() -> None:
    numbers = np.random.default_rng(0).normal(size=1000) * 10.0 ** np.random.default_rng(1).integers(-300, 300, 1000)
    text = [repr(number) for number in numbers.tolist()]
    for frame in (polars.DataFrame({"a": text}), pandas.DataFrame({"a": text}), polars.DataFrame({"a": numbers})):
        np.testing.assert_array_equal(Encoder.fit(frame).transform(frame)[:, 0], numbers)


def test_the_hour_is_exact_on_every_hour() -> None:
    times = [datetime.datetime(2023, 3, 1) + datetime.timedelta(hours=hour) for hour in range(24 * 40)]
    frame = polars.DataFrame({"t": times})
    encoder = Encoder.fit(frame)
    rows = encoder.transform(frame)
    expected = [[time.month, time.day, time.weekday(), time.hour] for time in times]
    np.testing.assert_array_equal(rows[:, 1:], expected)


def of_many_types(n: int, seed: int) -> Any:
    """Return columns of every type in several chunks, some with missing values and with mixed values."""
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=n).round(3)
    gone = generator.random(n) < 0.1
    words = generator.choice(["a", "b", "c", "NA", ""], n)
    frame = polars.DataFrame({"float": numbers, "gaps": [None if g else v for v, g in zip(numbers, gone, strict=True)]})
    frame = frame.with_columns(
        polars.Series("nan", np.where(gone, np.nan, numbers)),
        polars.Series("float32", numbers.astype(np.float32)),
        polars.Series("int", generator.integers(-5, 50, n)),
        polars.Series("byte", generator.integers(0, 255, n).astype(np.uint8)),
        polars.Series("large", generator.integers(-(2**62), 2**62, n)),
        polars.Series("int gaps", [None if g else i for i, g in enumerate(gone)]),
        polars.Series("text", words),
        polars.Series("numbers as text", [f"{v}" if v > -1 else "?" for v in numbers]),
        polars.Series("first is text", ["x" if i == 0 else str(i % 3) for i in range(n)]),
        polars.Series("flag", generator.random(n) < 0.5),
        polars.Series("date", np.datetime64("2020-01-01") + generator.integers(0, 900, n)),
        polars.Series("declared", words, polars.Categorical),
        polars.Series("none", [None] * n),
    )
    sizes = [0, n // 7, n // 7 + 1, n // 2, n]
    return polars.concat([frame[a:b] for a, b in itertools.pairwise(sizes)], rechunk=False)


def outcome(encoder: Encoder, frame: Any) -> bytes | str:
    """Return the inputs, or the error message for the rows."""
    try:
        return encoder.transform(frame).tobytes()
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("chunk_rows", [1, 10**6])  # chunks are used as they are, or concatenated
@pytest.mark.parametrize("block_rows", [7, 4096])
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_rows_of_a_frame_are_as_a_frame_of_those_rows(
    seed: int, n_threads: int, block_rows: int, chunk_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastmlp.encoder, "threads_for", lambda n_numbers: n_threads)
    monkeypatch.setattr(fastmlp.encoder, "BLOCK_ROWS", block_rows)
    monkeypatch.setattr(parts, "CHUNK_ROWS", chunk_rows)
    frame = of_many_types(213, seed)
    frame = frame.with_columns(frame["float"].rechunk().alias("in one chunk"))
    assert frame["float"].n_chunks() > frame["in one chunk"].n_chunks() == 1
    which = np.random.default_rng(seed).random(len(frame)) < (0.8, 0.1, 0.5, 1.0)[seed]
    alone, notes = learn(polars.DataFrame(frame.filter(which).to_dict()))
    encoder, told, x = learn_and_transform(Part(frame, np.flatnonzero(which)), 1 + 30 * (seed % 2))
    assert encoder == alone
    assert told == notes
    assert x.tobytes() == alone.transform(frame.filter(which)).tobytes()
    others = np.flatnonzero(~which)
    assert outcome(encoder, Part(frame, others)) == outcome(alone, frame[others])


def test_a_bad_number_is_named_by_its_place_among_the_rows() -> None:
    frame = of_many_types(60, 0).with_columns(polars.Series("int", [*[1.0] * 50, math.inf, *[1.0] * 9]))
    with pytest.raises(columns.CellError, match=r"got inf \(.*\) at row 20, column 'int'"):
        learn_and_transform(Part(frame, np.arange(30, 60)), 1)


def test_the_first_of_several_bad_columns_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastmlp.encoder, "threads_for", lambda n_numbers: 4)
    frame = polars.DataFrame({f"x{i}": [1.0, math.inf if i > 2 else 2.0] for i in range(40)})
    for _ in range(20):
        with pytest.raises(columns.CellError, match="column 'x3'"):
            learn(frame)


@pytest.mark.parametrize("n", [1, 2, 7, 100, 60_001, 60_002])
@pytest.mark.parametrize("kind", ["normal", "sorted", "few", "periodic"])
def test_median(n: int, kind: str) -> None:
    random = np.random.default_rng(n)
    values = {
        "normal": random.normal(size=n),
        "sorted": np.arange(n, dtype=np.int64),
        "few": random.integers(0, 3, n).astype(float),
        "periodic": np.where(np.arange(n) % max(1, n // 5000) == 0, 1e9, random.normal(size=n)),
    }[kind]
    assert median(values) == np.median(values)


@pytest.mark.parametrize("scale", [5e-324, 1e-309, 1.0, 1.7e308])
def test_median_of_the_least_and_largest_numbers(scale: float) -> None:
    """The median is exact also if a half or a sum of numbers is out of range."""
    for shares in ([1.0], [1.0, 1.0], [0.3, 1.0, 0.9], [0.8, 0.9], [-1.0, 0.5], [-1.0, -0.7, 0.9, 1.0]):
        values = np.array(shares) * scale
        exact = statistics.median(map(Fraction, values.tolist()))
        assert median(values) == float(exact)


@needs_pandas
def test_the_same_as_pipelines_of_scikit_learn() -> None:
    compose = pytest.importorskip("sklearn.compose", reason="needs scikit-learn")
    impute, preprocessing = pytest.importorskip("sklearn.impute"), pytest.importorskip("sklearn.preprocessing")
    random = np.random.default_rng(3)
    n = 400
    frame = pandas.DataFrame(
        {
            "a": np.where(random.random(n) < 0.1, np.nan, random.normal(size=n)),
            "b": random.integers(0, 9, n),
            "c": random.choice(["red", "green", "blue", "rare"], n, p=[0.4, 0.3, 0.295, 0.005]),
        }
    )
    training, rest = frame[:300], frame[300:]
    peer = compose.make_column_transformer(
        (impute.SimpleImputer(strategy="median", add_indicator=True), ["a"]),
        ("passthrough", ["b"]),
        (
            preprocessing.OneHotEncoder(min_frequency=5, sparse_output=False, handle_unknown="infrequent_if_exist"),
            ["c"],
        ),
    ).fit(training)
    encoder = Encoder.fit(training, min_count=5)
    assert encoder.feature_names_out[3:] == ("c=blue", "c=green", "c=red", "c is other")
    for part in (training, rest):
        np.testing.assert_array_equal(encoder.transform(part), peer.transform(part))


# --------------------------------------------------------------------------------------------------------- in a file


def full() -> Encoder:
    frame = polars.DataFrame({**MIXED, "id": [1, 2, 3, 4], "t": ["2020-01-01 10:00"] * 4, "y": [0, 1, 0, 1]})
    return Encoder.fit(frame, keep=["id"], target="y", missing=["-1"])


def test_an_encoder_is_a_value() -> None:
    encoder = full()
    back = Encoder.from_description("encoder", json.loads(json.dumps(encoder.describe(), allow_nan=False)))
    copies = (back, pickle.loads(pickle.dumps(encoder)))
    for copy in copies:
        assert copy == encoder
        assert hash(copy) == hash(encoder)
        assert copy.passed_over == encoder.passed_over
    assert encoder != Encoder.fit(polars.DataFrame({"a": [1]}))
    assert encoder != "encoder"
    assert repr(encoder) == f"<Encoder of 6 columns to {encoder.n_outputs} inputs>"
    with pytest.raises(AttributeError, match="does not change"):
        encoder._kept = ()  # type: ignore[misc]
    with pytest.raises(TypeError, match=r"Encoder\.fit"):
        Encoder()


def mutations(value: Any) -> Any:
    """Yield the JSON value with each of its parts replaced by other values, or removed."""
    odd = [None, True, -1, 10**400, 1e308, NAN, "", "\ud800", [], [[]], {}, "number", ["a", "a"], [NAN]]
    yield from odd
    if isinstance(value, dict):
        for key in value:
            yield {each: value[each] for each in value if each != key}
            yield from ({**value, key: changed} for changed in mutations(value[key]))
        yield {**value, "more": 1}
    if isinstance(value, list):
        for i, entry in enumerate(value):
            yield [*value[:i], *value[i + 1 :]]
            yield [*value, entry]
            yield from ([*value[:i], changed, *value[i + 1 :]] for changed in mutations(entry))


def test_what_a_hostile_file_says_is_refused_or_an_encoder() -> None:
    refused = accepted = 0
    values = list(mutations(full().describe()))
    for value in values:
        try:
            encoder = Encoder.from_description("encoder", value)
        except ValueError as error:
            refused += str(error).startswith("encoder")
        else:
            assert encoder == Encoder.from_description("encoder", json.loads(json.dumps(encoder.describe())))
            assert len(encoder.feature_names_out) == encoder.n_outputs
            accepted += 1
    assert refused + accepted == len(values)
    assert refused > 500
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="encoder"):
        Encoder.from_description("encoder", {**full().describe(), "kept": deep})


def test_columns_knows_its_frames_without_importing_their_libraries() -> None:
    import subprocess
    import sys

    code = "import sys, fastmlp.encoder; print({'pandas', 'polars', 'pyarrow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    assert {"", "NA", "?"} <= columns.MISSING


# ------------------------------------------------------------------------------------------------ what values mean


@needs_pandas
def test_what_pandas_takes_for_missing_is_missing(frame_of: Frame) -> None:
    """Each of pandas' marks of missing values, and "?", is missing in a column of numbers."""
    from pandas._libs.parsers import STR_NA_VALUES

    marks = [*sorted(STR_NA_VALUES), "?"]
    encoder = Encoder.fit(frame_of({"a": ["1.5", "2.5", "4.5", *marks]}))
    assert encoder.feature_names_out == ("a", "a is missing")
    for mark in marks:
        np.testing.assert_array_equal(encoder.transform(frame_of({"a": [mark, "7"]})), [[2.5, 1.0], [7.0, 0.0]])


def test_times_with_an_offset_are_times_in_utc(frame_of: Frame) -> None:
    texts = ["2024-01-31T23:30:00-02:00", "2024-02-01T01:30:00Z", "2024-02-01 03:30:00+0200", "2024-02-01T01:30"]
    encoder = Encoder.fit(frame_of({"t": texts}))
    rows = encoder.transform(frame_of({"t": texts}))
    day = (datetime.date(2024, 2, 1) - datetime.date(1970, 1, 1)).days + 1.5 / 24
    np.testing.assert_allclose(rows, [[day, 2, 1, 3, 1]] * 4, rtol=1e-15)  # a Thursday


def test_dates_and_times_are_found_among_categories_as_iso_writes_them(frame_of: Frame) -> None:
    known = ["2024-01-31", "2024-01-31T12:30:00", "never"]
    with pytest.warns(UserWarning, match="look like dates, but for values such as .never."):
        encoder = Encoder.fit(frame_of({"t": known * 2}))
    assert encoder.feature_names_out == (*(f"t={each}" for each in known), "t is other")
    given = frame_of({"t": [datetime.datetime(2024, 1, 31), datetime.datetime(2024, 1, 31, 12, 30), None]})
    np.testing.assert_array_equal(encoder.transform(given).argmax(axis=1), [0, 1, 3])


def test_names_of_inputs_are_different(frame_of: Frame) -> None:
    """Names of inputs are unique, also if a column has the name of another column's input."""
    columns = {"a": [1.0, None, 2.0], "a is missing": [1.0, 2.0, 3.0], "s": ["x", "x", "y"], "s=x": [1, 2, 3]}
    names = Encoder.fit(frame_of(columns)).feature_names_out
    assert names == ("a", "a is missing", "a is missing (2)", "s=x", "s is other", "s=x (2)")
