"""Doors where a number, a mark or a name could be taken for another one without a word."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli, targets

polars = pytest.importorskip("polars", reason="needs polars: pip install polars")


def failure(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The message of a command that ends with an error."""
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
    target = targets.of_array(np.array([f"{i}.{i:03},1" for i in range(1, 300)] + ["1.001,1"]), "y")
    with pytest.raises(ValueError, match="looks like a number with separators"):
        targets.read(target)
    assert len(targets.read(target, "classification").classes or ()) == 299


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
