"""A cell has the same meaning in every kind of file and frame: marks of missing values, categories, labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli

pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
polars = pytest.importorskip("polars", reason="needs polars: pip install polars")

KINDS = ["csv", "parquet", "pandas", "polars", "texts"]


def written(frame: Any, kind: str, folder: Path) -> Any:
    """Return the frame as a file of that kind, or as another kind of frame."""
    path = folder / f"d.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        polars.from_pandas(frame).write_parquet(path)
    elif kind == "polars":
        return polars.from_pandas(frame)
    elif kind == "texts":
        frame.to_csv(folder / "t.csv", index=False)
        return pandas.read_csv(folder / "t.csv", dtype=str)
    else:
        return frame
    return str(path)


def predictions(model: str, data: Any, capsys: pytest.CaptureFixture[str]) -> list[float]:
    """Return predictions, by the command line for a file, by Python for a frame."""
    if not isinstance(data, str):
        return [float(str(y)) for y in fastmlp.load(model).predict(data).ravel()]
    capsys.readouterr()
    assert cli.main(["predict", model, data]) == 0
    return [float(line) for line in capsys.readouterr().out.split()]


def train(data: str, model: str, *more: str) -> None:
    command = ["train", data, "--target", "y", "-o", model, "--epochs", "5", "--layers", "4", "--quiet"]
    assert cli.main([*command, "--test-fraction", "0", *more]) == 0


def with_column(name: str, values: Any) -> Any:
    a = np.random.default_rng(0).normal(size=len(values))
    return pandas.DataFrame({"a": a, name: values, "y": a + 0.5})


MARKED = {
    "False": (np.random.default_rng(1).random(60) < 0.5, 2),
    "true": (np.random.default_rng(1).random(60) < 0.5, 2),
    "1900-01-01": (
        pandas.to_datetime(np.where(np.arange(60) % 5, "2021-03-04", "1900-01-01")) + pandas.to_timedelta(0, "D"),
        4,
    ),
    "-999": (np.where(np.arange(60) % 5, np.arange(60.0), -999.0), 1),
    "inf": (np.where(np.arange(60) % 5, np.arange(60.0), np.inf), 1),
    "-inf": (np.where(np.arange(60) % 5, np.arange(60.0), -np.inf), 1),
}


@pytest.mark.parametrize("mark", MARKED)
@pytest.mark.parametrize("trained_on", ["csv", "parquet"])
def test_a_mark_is_missing_in_every_kind_of_data(
    mark: str, trained_on: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values, n_parts = MARKED[mark]
    frame, model = with_column("b", values), str(tmp_path / "m")
    train(written(frame, trained_on, tmp_path), model, f"--null={mark}")
    encoder = fastmlp.load(model).encoder
    assert encoder is not None
    assert any(name in ("b is missing", "b is other") for name in encoder.feature_names_out[n_parts:])
    expected = predictions(model, written(frame, trained_on, tmp_path), capsys)
    gone = frame.assign(b=frame.b.astype(object).where(frame.b.astype(str).str.lower() != mark.lower(), None))
    for kind in KINDS:
        if kind == "texts" and mark == "true":
            continue  # pandas writes True
        assert predictions(model, written(frame, kind, tmp_path), capsys) == pytest.approx(expected, rel=1e-6), kind
    if mark in ("False", "true"):
        assert predictions(model, gone, capsys) == pytest.approx(expected, rel=1e-6)
    fitted = fastmlp.Encoder.fit(frame.drop(columns="y"), missing=[mark])
    np.testing.assert_array_equal(fitted.transform(frame), encoder.transform(frame))


CATEGORIES = {
    "integers with gaps": pandas.Series([1, 2, None, 3] * 15).astype("category"),
    "objects": pandas.Series([1.0, 2.0, "x", "y", "z", 2.0] * 10, dtype=object),
    "zeros": pandas.Series([0.0, -0.0, 1.0, 0.0] * 15).astype("category"),
    "days": pandas.Series(pandas.to_datetime(["2020-01-01", "2020-02-01", "2021-01-05", "2020-01-01"] * 15)).astype(
        "category"
    ),
    "halves": pandas.Series([0.5, 1.5, 2.0, 0.5] * 15).astype("category"),
    "leading zeros": pandas.Series(["007", "08", "x", "y", "z", "08"] * 10),
}


@pytest.mark.parametrize("name", CATEGORIES)
@pytest.mark.parametrize("trained_on", ["csv", "pandas"])
def test_a_category_is_the_same_however_it_is_spelt(
    name: str, trained_on: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame, model = with_column("b", CATEGORIES[name]), str(tmp_path / "m")
    if trained_on == "csv" and name in ("integers with gaps", "zeros", "days", "halves"):
        return  # a file's columns of numbers or dates are not categories
    if trained_on == "csv":
        train(written(frame, "csv", tmp_path), model)
    else:
        encoder = fastmlp.Encoder.fit(frame[["a", "b"]])
        net = fastmlp.Network([encoder.n_outputs, 4, 1], encoder=encoder, seed=0)
        net.fit(frame[["a", "b"]], frame.y, epochs=3)
        net.save(model)
    expected = predictions(model, frame, capsys)
    for kind in KINDS:
        if kind in ("parquet", "polars") and name == "objects":
            continue  # Arrow does not have this type
        got = predictions(model, written(frame[["a", "b"]], kind, tmp_path), capsys)
        assert got == pytest.approx(expected, rel=1e-6), kind


def test_ids_with_leading_zeros_are_no_numbers() -> None:
    encoder = fastmlp.Encoder.fit(pandas.DataFrame({"b": ["007", "08", "x", "y"] * 5}))
    rows = encoder.transform(pandas.DataFrame({"b": ["007", "7", "7.0", "8", "08"]}))
    assert rows.argmax(axis=1).tolist() == [0, 4, 4, 4, 1]


def test_labels_with_blanks_are_looked_up_as_they_are_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    X = np.random.default_rng(0).normal(size=(200, 2))
    y = np.array([" a", "a"])[(X[:, 0] > 0).astype(int)]
    frame, model = pandas.DataFrame(X, columns=["u", "v"]), str(tmp_path / "m")
    net = fastmlp.Network([2, 8, 2], loss="cross_entropy", seed=0, target_name="y")
    net.fit(frame, y, epochs=100, optimizer=fastmlp.Adam(0.02))
    net.save(model)
    np.savez(tmp_path / "d.npz", X=X, y=y)
    files = [str(tmp_path / "d.npz"), *(written(frame.assign(y=y), kind, tmp_path) for kind in ("csv", "parquet"))]
    accuracy = net.evaluate(frame, y)["accuracy"]
    assert accuracy > 0.95
    for file in files:
        capsys.readouterr()
        assert cli.main(["evaluate", model, file]) == 0
        assert f"{100 * accuracy:.2f} %" in capsys.readouterr().out


@pytest.mark.parametrize("mark", ["-999,5", "-999.5"])
@pytest.mark.parametrize("of_target", [True, False])
def test_a_mark_with_a_decimal_comma(
    mark: str, of_target: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a = np.random.default_rng(0).normal(size=60).round(3)
    marked = np.where(np.arange(60) % 6, a, -999.5)
    data, model = tmp_path / "d.csv", str(tmp_path / "m")
    frame = pandas.DataFrame({"a": a if of_target else marked, "y": marked if of_target else a})
    frame.to_csv(data, sep=";", decimal=",", index=False)
    train(str(data), model, f"--null={mark}", "--drop-missing-target")
    net = fastmlp.load(model)
    assert net.encoder is not None
    assert net.encoder.feature_names_out == (("a",) if of_target else ("a", "a is missing"))
    if of_target:
        assert net.target_scaling == fastmlp.Scaling.fit(a[np.arange(60) % 6 > 0])


def test_marks_beside_an_npz(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For X, marks are refused, as NPZ has no imputation; for y they apply, with a note that they are not saved."""
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(np.arange(60) % 6, X[:, 0], -999.0)
    data, model = str(tmp_path / "d.npz"), str(tmp_path / "m")
    command = ["train", data, "--null=-999", "--drop-missing-target", "-o", model, "--quiet", "--epochs", "3"]
    np.savez(data, X=np.where(X > 2, -999.0, X), y=y)
    assert cli.main(command) == 1
    assert "-999.0 is a mark of --null, and the X of an .npz may have no missing numbers" in capsys.readouterr().err
    np.savez(data, X=X, y=y)
    assert cli.main(command) == 0
    assert "the model does not keep it: give it to evaluate, too" in capsys.readouterr().err
    assert cli.main(["evaluate", model, data, "--null=-999"]) == 1
    assert "row 1, y: expected a target, got a missing one (10 in all)" in capsys.readouterr().err


def test_a_header_of_numbers_is_doubted_where_the_models_names_are_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Z = np.random.default_rng(0).integers(0, 2, (100, 2)).astype(float)
    Z[0] = 1, 0
    data, new, model = (str(tmp_path / name) for name in ("d.csv", "new.csv", "m"))
    np.savetxt(data, np.c_[Z, 5 * Z[:, 0] + 0.1], delimiter=",", fmt="%.4g")
    np.savetxt(new, Z, delimiter=",", fmt="%d")
    command = ["train", data, "--no-header", "--target", "2", "-o", model, "--quiet", "--epochs", "2"]
    assert cli.main(command) == 0
    capsys.readouterr()
    assert cli.main(["predict", model, new]) == 0
    assert "the header has numbers ('1', '0'); --no-header if the first row is data" in capsys.readouterr().err
    assert cli.main(["predict", model, new, "--no-header"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 100


def test_columns_that_pandas_has_numbered_are_refused_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, model = str(tmp_path / "t.csv"), str(tmp_path / "m")
    X = np.random.default_rng(0).normal(size=(40, 3))
    pandas.DataFrame(X).to_csv(data, header=False, index=False)
    assert cli.main(["train", data, "--no-header", "--target=2", "-o", model, "--epochs=2", "--quiet"]) == 0
    net, frame = fastmlp.load(model), pandas.read_csv(data, header=None)
    with pytest.raises(
        ValueError, match=r"'0', '1', got labels that are not text: 0, 1, 2; .*astype\(str\) makes them"
    ):
        net.predict(frame)
    frame.columns = frame.columns.astype(str)
    capsys.readouterr()
    assert cli.main(["predict", model, data, "--no-header"]) == 0
    by_command = [float(line) for line in capsys.readouterr().out.split()]
    for columns in (["0", "1", "2"], ["1", "0"]):  # with or without the target, in any order
        assert net.predict(frame[columns]).ravel().tolist() == pytest.approx(by_command, rel=1e-6)


def test_rows_of_a_frame_in_a_list_are_found_by_name() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    frame = pandas.DataFrame(X, columns=["a", "b"])
    net = fastmlp.Network([2, 4, 1], seed=0)
    net.fit(frame, X[:, 0], epochs=2)
    moved = frame[["b", "a"]]
    for rows in ([moved.iloc[0], moved.iloc[1]], (frame.iloc[0], moved.iloc[1])):
        np.testing.assert_allclose(net.predict(rows), net.predict(X[:2]), rtol=1e-6)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "hinge"])
def test_outputs_that_are_nan_tell_no_class(loss: str) -> None:
    """For NaN outputs, a class name is refused, the index is 0, and the row does not count as correct."""
    net = fastmlp.Network([1, 1 if loss != "cross_entropy" else 3], loss=loss, seed=0)
    names = fastmlp.Network([1, 2], loss="cross_entropy", class_names=["a", "b"], seed=0)
    X = np.array([[0.0], [np.nan], [1.0]])
    assert net.classify(X)[1] == 0
    for label in (0, 1):
        y = np.full(3, -1.0 if loss == "hinge" and not label else label)
        right = net.classify(X[[0, 2]]) == label
        assert net.evaluate(X, y if loss != "cross_entropy" else np.full(3, label))["accuracy"] == right.sum() / 3
    with pytest.raises(ValueError, match="X: row 1 has no class, as its outputs are NaN; expected finite outputs"):
        names.classify(X, names=True)
    assert len(names.classify(X[[0, 2]], names=True)) == 2
    for name in ("accuracy", "recall", "balanced_accuracy"):
        assert names.evaluate(X, ["a", "a", "a"], metrics=[name])[name] <= 2 / 3
