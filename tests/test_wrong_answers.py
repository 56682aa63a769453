"""Inputs that once silently gave a wrong result, each with similar inputs, and the correct results.

They are, for example, headers of numbers, labels, numbers with many digits, constants, and rows in another order. The
correct results follow from how the data are made, or are those of scikit-learn and pandas.
"""

from __future__ import annotations

import json
import random
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.reference import columns as reference_columns

pandas = pytest.importorskip("pandas", reason="needs pandas")
pytest.importorskip("polars", reason="needs polars")
pytest.importorskip("sklearn", reason="needs scikit-learn")

from sklearn.preprocessing import StandardScaler  # noqa: E402

Command = Callable[..., str]
ENGINES = ("native", "blas")
RNG = np.random.default_rng


class Ended(Exception):  # noqa: N818
    """A command that has failed, with its message."""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run the command line in an empty folder, and return its output, or with `told=True` its messages on stderr."""
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def call(*arguments: str, told: bool = False) -> str:
        code = cli.main(list(arguments))
        out, err = capsys.readouterr()
        if code:
            raise Ended(err)
        return err if told else out

    return call


def train(command: Command, data: str, *arguments: str, told: bool = False) -> str:
    """Train briefly on the file, without output, and save to m.safetensors."""
    return command("train", data, "-o", "m.safetensors", "--quiet", "--epochs", "3", *arguments, told=told)


def classes() -> tuple[Any, ...] | None:
    """Return the names of the classes of the model in m.safetensors."""
    return fastmlp.load("m.safetensors").class_names


def write(name: str, *lines: str) -> str:
    """Write a file of these lines, and return its path."""
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return name


def r2(said: Any, y: Any) -> float:
    """Return R2, the explained share of the variance."""
    return 1 - float(np.var(np.asarray(said, float).ravel() - y) / np.var(y))


# --------------------------------------------------------------------------------------------------- headers of numbers


def test_a_header_of_numbers_is_a_header(command: Command) -> None:
    x = RNG(0).normal(size=(50, 3))
    pandas.DataFrame(np.c_[x, x[:, 0] > 0]).to_csv("d.csv", index=False)
    pandas.DataFrame(x[:5]).to_csv("new.csv", index=False)
    train(command, "d.csv", "--target", "3", "--test-fraction", "0")
    assert classes() in ((0, 1), (0.0, 1.0))
    assert re.search(r"classes +0(\.0)?, 1(\.0)?$", command("info", "m.safetensors"), re.MULTILINE)
    assert len(command("predict", "m.safetensors", "new.csv").split()) == 5
    frame = pandas.DataFrame(x[:5], columns=list("012"))
    assert len(fastmlp.load("m.safetensors").predict(frame)) == 5


def years(n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return three columns and the target."""
    x = RNG(1).normal(size=(n, 3))
    return x, 2 * x[:, 0] - x[:, 1] + 0.5 * x[:, 2]


def test_a_header_of_years_is_not_learnt_from(command: Command) -> None:
    x, y = years()
    pandas.DataFrame(np.c_[x, y], columns=["2019", "2020", "2021", "2022"]).to_csv("d.csv", index=False)
    for target in ("3", "2022"):
        command("train", "d.csv", "--target", target, "-o", "m.safetensors", "--quiet", "--epochs", "60")
        net = fastmlp.load("m.safetensors")
        assert (net.feature_names, net.target_name) == (("2019", "2020", "2021"), "2022")
        said = np.array(command("predict", "m.safetensors", "d.csv", "--quiet").split(), float)
        assert len(said) == len(y)
        assert r2(said, y) > 0.97


def test_text_labels_below_a_header_of_numbers(command: Command) -> None:
    x, y = years(60)
    labels = np.where(y > 0, "yes", "no")
    pandas.DataFrame({"0": x[:, 0], "1": x[:, 1], "2": x[:, 2], "3": labels}).to_csv("d.csv", index=False)
    for task in ("auto", "classification"):
        train(command, "d.csv", "--target", "3", "--task", task)
        assert classes() == ("no", "yes")


def test_a_row_number_beside_years(command: Command) -> None:
    x, y = years(60)
    frame = pandas.DataFrame({"2019": x[:, 0], "2020": x[:, 1], "kind": np.where(y > 0, "u", "v")})
    frame.to_csv("d.csv")
    train(command, "d.csv", "--target", "kind", "--drop", "0")
    assert classes() == ("u", "v")
    assert fastmlp.load("m.safetensors").feature_names == ("2019", "2020")


def test_a_model_without_names_and_a_header_of_numbers(command: Command) -> None:
    x = RNG(0).normal(size=(50, 3))
    np.savez("d.npz", X=x, y=(x[:, 0] > 0).astype(int))
    pandas.DataFrame(x[:5]).to_csv("new.csv", index=False)
    train(command, "d.npz")
    assert len(command("predict", "m.safetensors", "new.csv").split()) == 5


def test_a_first_row_without_a_number_is_data_where_there_is_no_header(command: Command) -> None:
    rows = [f"{value},{'yes' if value > 0 else 'no'}" for value in RNG(0).normal(size=40).round(3)]
    write("d.csv", "?,yes", *rows)
    told = train(command, "d.csv", "--target", "1", "--no-header", "--test-fraction", "0", "--json")
    assert json.loads(told)["training_rows"] == 41
    assert classes() == ("no", "yes")
    assert len(command("predict", "m.safetensors", "d.csv", "--no-header", "--quiet").split()) == 41


# --------------------------------------------------------------------------------------------------------------- digits


@pytest.mark.parametrize("mean", [1e9, 1e10, 1e12])
def test_predictions_are_printed_with_all_their_digits(command: Command, mean: float) -> None:
    a = RNG(0).normal(size=300)
    y = mean + 10 * a
    np.savetxt("d.csv", np.c_[a, y], delimiter=",", header="a,v", comments="", fmt="%.4f")
    told = command("train", "d.csv", "--target", "v", "-o", "m.safetensors", "--quiet", "--json", "--epochs", "60")
    assert json.loads(told)["test_r2"] > 0.99
    lines = command("predict", "m.safetensors", "d.csv").split()
    command("predict", "m.safetensors", "d.csv", "-o", "out.txt")
    said = np.array(lines, float)
    assert len(set(lines)) > 290
    assert r2(said, y) > 0.99
    expected = fastmlp.load("m.safetensors").predict(pandas.read_csv("d.csv"))
    np.testing.assert_array_equal(said, expected[:, 0])
    assert Path("out.txt").read_text().split() == lines
    assert json.loads(command("predict", "m.safetensors", "d.csv", "--json"))["predictions"] == said.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_are_printed_with_all_their_digits(command: Command, dtype: str) -> None:
    a = RNG(0).normal(size=(90, 2))
    pandas.DataFrame({"a": a[:, 0], "b": a[:, 1], "y": np.where(a[:, 0] > 0, "u", "v")}).to_csv("d.csv", index=False)
    train(command, "d.csv", "--target", "y", "--dtype", dtype)
    lines = command("predict", "m.safetensors", "d.csv", "--proba").splitlines()
    assert lines[0] == "u,v"
    said = np.array([line.split(",") for line in lines[1:]]).astype(dtype)
    np.testing.assert_array_equal(said, fastmlp.load("m.safetensors").predict(pandas.read_csv("d.csv")))


# --------------------------------------------------------------------------------------------------------------- labels

LARGE = [
    [2**62 + 1, 2**62 + 2, 2**61],
    [1234567890123456789, 1234567890123456790],
    [2**53, 2**53 + 1],
    [-(2**63), 2**63 - 1],
    [2**64 - 1, 2**64 - 2],
]


@pytest.mark.parametrize("labels", LARGE)
@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_integers_of_64_bits_are_classes_as_they_are(command: Command, labels: list[int], kind: str) -> None:
    a = RNG(0).normal(size=(90, 2))
    y = np.array(labels, np.uint64 if max(labels) >= 2**63 else np.int64)[np.arange(90) % len(labels)]
    frame = pandas.DataFrame({"a": a[:, 0], "b": a[:, 1], "y": y})
    target = [] if kind == "npz" else ["--target", "y"]
    if kind == "npz":
        np.savez("d.npz", X=a, y=y)
    elif kind == "csv":
        frame.to_csv("d.csv", index=False)
    else:
        frame.to_parquet("d.parquet")
    train(command, f"d.{kind}", *target)
    assert classes() == tuple(sorted(labels))
    said = set(command("predict", "m.safetensors", f"d.{kind}").split())
    assert said <= set(map(str, labels))
    header = command("predict", "m.safetensors", f"d.{kind}", "--proba").splitlines()[0]
    assert header == ",".join(map(str, sorted(labels)))
    assert ", ".join(map(str, sorted(labels))) in command("info", "m.safetensors")
    if kind != "npz":
        named = fastmlp.load("m.safetensors").classify(frame, names=True)
        assert set(named.tolist()) <= set(labels)


@pytest.mark.parametrize(
    "codes",
    [
        ["1.1", "1.10", "020"],
        ["00501", "02134", "10001"],
        ["007", "7"],
        ["1.0", "1.00"],
        ["+1", "-1"],
        ["1e3", "1000"],
        ["E11", "011"],
    ],
)
def test_labels_that_look_like_numbers_keep_their_spelling(command: Command, codes: list[str]) -> None:
    random.seed(0)
    write("d.csv", "a,code", *(f"{random.random():.3f},{codes[i % len(codes)]}" for i in range(90)))
    train(command, "d.csv", "--target", "code", "--task", "classification")
    assert classes() == tuple(sorted(codes))
    assert set(command("predict", "m.safetensors", "d.csv").split()) <= set(codes)


# -------------------------------------------------------------------------------- targets large beside their variation


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_targets_that_are_large_beside_their_variation(dtype: str, engine: str) -> None:
    x = np.linspace(0, 6, 400)[:, None]
    y = 1.7e9 + 50 * np.sin(x[:, 0])
    words: dict[str, Any] = {"activation": "tanh", "dtype": dtype, "seed": 0, "engine": engine}
    net = fastmlp.Network([1, 32, 1], input_scaling="standard", target_scaling="standard", **words)
    history = net.fit(x, y, epochs=100, optimizer=fastmlp.Adam(0.01), validation_data=(x, y), metrics=["r2", "mae"])
    predicted = net.predict(x)
    assert history.loss[-1] < 0.01
    assert history.val_r2[-1] > 0.99
    assert history.val_mae[-1] < 10
    assert net.evaluate(x, y, metrics=["r2"])["r2"] > 0.99
    assert r2(predicted, y) > 0.99
    assert len(np.unique(predicted)) > 390
    rows = np.concatenate([net.predict(row) for row in x])
    np.testing.assert_allclose(rows, predicted[:, 0], rtol=0, atol=1e-3)


def test_targets_beyond_float32_come_back() -> None:
    x = np.linspace(-1, 1, 100)[:, None]
    y = 1e39 * x[:, 0]
    net = fastmlp.Network([1, 8, 1], target_scaling="standard", seed=0)
    net.fit(x, y, epochs=60, optimizer=fastmlp.Adam(0.01))
    assert r2(net.predict(x) / 1e39, y / 1e39) > 0.9


# ------------------------------------------------------------------------------------- constant but for their rounding

ALMOST = {
    "last bit": np.where(np.arange(90) % 2, 0.3, 0.1 + 0.2),
    "a hundred million": 1e8 + 1e-6 * RNG(1).choice([-1.0, 1.0], 90),
    "sums in another order": np.array([sum(RNG(i).permutation([0.1, 0.7, 1e-3, 2.5])) for i in range(90)]),
    "constant": np.full(90, 0.1),
}
REAL = {
    "tiny": 1e-20 * RNG(2).normal(size=90),
    "year": 2000.0 + np.arange(90) % 30,
    "timestamp": 1.7e9 + RNG(3).normal(size=90),
    "mostly zero": np.where(np.arange(90) == 7, 1e-30, 0.0),
}


@pytest.mark.parametrize("kind", ["standard", "minmax"])
@pytest.mark.parametrize("name", [*ALMOST, *REAL])
def test_scale_of_columns_that_are_constant_but_for_rounding(name: str, kind: str) -> None:
    column = {**ALMOST, **REAL}[name]
    scale = fastmlp.Scaling.fit(column[:, None], kind).scale
    _, by_reference = reference_columns.learn(kind, [[each] for each in column.tolist()])
    if name in ALMOST:
        assert (scale[0], by_reference[0]) == (1.0, 1.0)
        assert kind == "minmax" or StandardScaler().fit(column[:, None]).scale_ == [1.0]
        return
    expected = np.ptp(column) if kind == "minmax" else column.std()
    np.testing.assert_allclose([scale[0], by_reference[0]], expected, rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_constant_but_for_rounding_does_not_disturb_a_network(engine: str, kind: str) -> None:
    a = RNG(0).normal(size=90)
    said = []
    for constant in (ALMOST["last bit"], np.full(90, 0.3)):
        net = fastmlp.Network([2, 16, 1], activation="tanh", input_scaling=kind, seed=0, engine=engine)
        net.fit(np.c_[a, constant], a, epochs=100, optimizer=fastmlp.Adam(0.01))
        said.append(net.predict([[a[0], 0.3], [a[0], 0.31]])[:, 0])
    np.testing.assert_allclose(said[0], said[1], rtol=0, atol=1e-3)
    assert abs(said[0][0] - a[0]) < 0.1
    assert abs(said[0][1] - said[0][0]) < 0.1


def test_a_constant_but_for_rounding_by_the_command_line(command: Command) -> None:
    a = RNG(0).normal(size=90)
    rows = [f"{u!r},{v!r},{10 * u!r}" for u, v in zip(a.tolist(), ALMOST["last bit"].tolist(), strict=True)]
    write("d.csv", "a,b,y", *rows)
    train(command, "d.csv", "--target", "y", "--test-fraction", "0")
    write("new.csv", "a,b", "0.5,0.3", "0.5,0.31")
    first, second = map(float, command("predict", "m.safetensors", "new.csv").split())
    assert abs(second - first) < 1


# ----------------------------------------------------------------------------------------------------- missing targets


def answers(mark: str, others: tuple[str, str] = ("yes", "no")) -> list[str]:
    """Return lines of a table whose target is a mark in every fifth row, from the third on."""
    random.seed(0)
    answer = [others[0], others[1], mark, others[1], others[0]]
    return [f"{random.random():.3f},{answer[i % 5]}" for i in range(90)]


@pytest.mark.parametrize("mark", ["NaN", "nan", "", " "])
@pytest.mark.parametrize("others", [("yes", "no"), ("0", "1"), ("1.5", "2.5")])
def test_a_missing_target_is_refused_with_its_row(command: Command, mark: str, others: tuple[str, str]) -> None:
    write("d.csv", "a,bought", *answers(mark, others))
    with pytest.raises(Ended, match=r"row 3, .*bought.*expected a target, got a missing one \(18 in all\)"):
        train(command, "d.csv", "--target", "bought")
    assert not Path("m.safetensors").exists()
    told = train(command, "d.csv", "--target", "bought", "--drop-missing-target", "--test-fraction", "0", "--json")
    assert json.loads(told)["training_rows"] == 72


@pytest.mark.parametrize("mark", ["NA", "N/A", "null", "None", "?", "NULL", "n/a"])
def test_a_mark_among_labels_of_text_is_said(command: Command, mark: str) -> None:
    write("d.csv", "a,bought", *answers(mark))
    told = train(command, "d.csv", "--target", "bought", told=True)
    assert repr(mark) in told
    assert "18" in told
    assert classes() == tuple(sorted(["yes", "no", mark]))
    train(command, "d.csv", "--target", "bought", "--null", mark, "--drop-missing-target")
    assert classes() == ("no", "yes")


@pytest.mark.parametrize("mark", ["NA", "N/A", "null", "None", "?"])
def test_a_mark_among_labels_of_numbers_is_refused(command: Command, mark: str) -> None:
    write("d.csv", "a,bought", *answers(mark, ("1.5", "2.5")))
    with pytest.raises(Ended, match=r"row 3, .*bought"):
        train(command, "d.csv", "--target", "bought")
    train(command, "d.csv", "--target", "bought", "--null", mark, "--drop-missing-target")
    assert classes() is None


# ------------------------------------------------------------------------------------------- numbers that are integers


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "uint16", "uint64"])
def test_integers_to_learn_are_numbers_in_every_file(command: Command, dtype: str) -> None:
    x = RNG(0).normal(size=(300, 3))
    y = (1000 * x[:, 0] + 5000).astype(dtype)
    np.savez("d.npz", X=x, y=y)
    pandas.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2], "v": y}).to_csv("d.csv", index=False)
    scores = []
    for data, target in (("d.npz", []), ("d.csv", ["--target", "v"])):
        told = command("train", data, "-o", "m.safetensors", "--quiet", "--json", "--epochs", "60", *target)
        record = json.loads(told)
        assert record["task"] == "regression"
        scores.append(record["test_r2"])
        assert classes() is None
    assert min(scores) > 0.9
    assert abs(scores[0] - scores[1]) < 1e-3


def test_as_many_classes_as_rows_are_never_taken(command: Command) -> None:
    x = RNG(0).normal(size=(60, 3))
    np.savez("d.npz", X=x, y=np.arange(60))
    train(command, "d.npz")
    assert classes() is None
    with pytest.raises(Ended, match="as many classes as rows"):
        train(command, "d.npz", "--task", "classification")


# ------------------------------------------------------------------------------------------------------- rows of frames


def test_a_row_of_a_frame_is_put_in_order() -> None:
    frame = pandas.DataFrame(RNG(0).normal(size=(50, 3)), columns=list("abc"))
    net = fastmlp.Network([3, 8, 1], seed=0)
    net.fit(frame, frame.a, epochs=5)
    other = frame[["c", "b", "a"]]
    expected = net.predict(frame)
    np.testing.assert_array_equal(net.predict(other), expected)
    for (_, row), (_, turned), value in zip(frame.iterrows(), other.iterrows(), expected, strict=True):
        np.testing.assert_array_equal(net.predict(row), value)
        np.testing.assert_array_equal(net.predict(turned), value)
        np.testing.assert_array_equal(net(turned), value)
    row, turned = frame.iloc[3], other.iloc[3]
    assert net.evaluate(turned, [1.0]) == net.evaluate(row, [1.0])
    np.testing.assert_array_equal(net.input_gradient(turned, [1.0]), net.input_gradient(row, [1.0]))
    for step in ("learn_one", "train_on_batch"):
        ends = []
        for each in (row, turned):
            copy = net.copy()
            y: Any = 1.0 if step == "learn_one" else [1.0]
            getattr(copy, step)(each, y)
            ends.append(copy.parameters)
        np.testing.assert_array_equal(ends[0], ends[1])


def test_classes_of_a_row_in_another_order() -> None:
    frame = pandas.DataFrame(RNG(0).normal(size=(50, 3)), columns=list("abc"))
    net = fastmlp.Network([3, 8, 2], loss="cross_entropy", seed=0)
    net.fit(frame, (frame.a > frame.c).astype(int), epochs=20)
    expected = net.classify(frame)
    assert [net.classify(row) for _, row in frame[["c", "a", "b"]].iterrows()] == expected.tolist()


def test_a_row_of_a_frame_with_truths_is_numbers() -> None:
    frame = pandas.DataFrame({"a": [0.5, 1.5, 2.5], "b": [True, False, True]})
    net = fastmlp.Network([2, 4, 1], seed=0)
    net.fit(frame, [1.0, 2.0, 3.0], epochs=2)
    expected = net.predict(frame)
    for i in range(3):
        np.testing.assert_array_equal(net.predict(frame.iloc[i]), expected[i])
        np.testing.assert_array_equal(net.predict(frame.iloc[i][["b", "a"]]), expected[i])


# ----------------------------------------------------------------------------------------------- separators of cells

HALVES = [f"{u:.3f};{v:.3f};{w:.3f};" + "uv"[i % 2] for i, (u, v, w) in enumerate(RNG(0).random((40, 3)))]


@pytest.mark.parametrize(
    ("above", "names"),
    [
        (['"length, mm";"width, mm";"depth, mm";kind'], ("length, mm", "width, mm", "depth, mm")),
        (['"a, b, c, d";"e,f,g";"h,,,";kind'], ("a, b, c, d", "e,f,g", "h,,,")),
        (["", "a;b;c;kind"], ("a", "b", "c")),
        (["sep=;", "a;b;c;kind"], ("a", "b", "c")),
        (["# taken in 2020, by hand", "a;b;c;kind"], ("a", "b", "c")),
        (['"length', 'in mm";b;c;kind'], ("length\nin mm", "b", "c")),
    ],
)
def test_the_separator_is_what_stands_outside_quotes(command: Command, above: list[str], names: Any) -> None:
    write("d.csv", *above, *HALVES)
    told = train(command, "d.csv", "--target", "kind", "--test-fraction", "0", "--json")
    net = fastmlp.load("m.safetensors")
    assert (net.feature_names, net.class_names) == (names, ("u", "v"))
    assert json.loads(told)["training_rows"] == 40


@pytest.mark.parametrize("separator", ["|", " ", "\t", ","])
def test_other_separators(command: Command, separator: str) -> None:
    write("d.csv", *(line.replace(";", separator) for line in ["a;b;c;kind", *HALVES]))
    train(command, "d.csv", "--target", "kind")
    net = fastmlp.load("m.safetensors")
    assert (net.feature_names, net.class_names) == (("a", "b", "c"), ("u", "v"))
    assert len(command("predict", "m.safetensors", "d.csv").split()) == 40


def test_blanks_between_quotes_and_separator(command: Command) -> None:
    rows = ['"' + '" ,"'.join(line.split(";")) + '"' for line in HALVES]
    write("d.csv", '"a" ,"b" ,"c" ,"kind"', *rows)
    train(command, "d.csv", "--target", "kind", "--test-fraction", "0")
    net = fastmlp.load("m.safetensors")
    assert (net.feature_names, net.class_names) == (("a", "b", "c"), ("u", "v"))
    assert not net.encoder.feature_names_out[3:]


def test_decimal_commas_without_a_header(command: Command) -> None:
    write("d.csv", *(line.replace(".", ",") for line in HALVES))
    train(command, "d.csv", "--target", "3", "--no-header", "--test-fraction", "0")
    net = fastmlp.load("m.safetensors")
    assert net.class_names == ("u", "v")
    assert net.encoder.feature_names_out == ("0", "1", "2")
    expected = np.mean([[float(cell) for cell in line.split(";")[:3]] for line in HALVES], axis=0)
    np.testing.assert_allclose(net.input_scaling.offset, expected)


def test_a_wrong_guess_is_named(command: Command) -> None:
    write("d.csv", "a;b;c;kind", *HALVES)
    with pytest.raises(Ended, match="separator ';'"):
        train(command, "d.csv", "--target", "colour")


# ------------------------------------------------------------------------------------------------------------ messages


def test_numbers_beyond_float32_are_shown_as_given() -> None:
    net = fastmlp.Network([2, 4, 1], seed=0)
    x = np.ones((4, 2))
    y = [1.0] * 4
    beyond = r"1e\+39, more than float32 can hold"
    with pytest.raises(ValueError, match=f"y: .*{beyond}"):
        net.fit(x, [1e39] * 4)
    with pytest.raises(ValueError, match=f"X: .*{beyond}"):
        net.fit(x * 1e39, y)
    with pytest.raises(ValueError, match=beyond):
        net.train_on_batch(x, [1e39] * 4)
    with pytest.raises(ValueError, match=beyond):
        net.parameters = np.full(net.n_parameters, 1e39)
    with pytest.raises(ValueError, match=beyond):
        net.set_layer(0, np.full((4, 2), 1e39), np.zeros(4))
    for _ in range(2):
        net.fit(x, y)
    assert np.isfinite(net.parameters).all()


def test_weights_of_rows_below_the_normal_numbers_are_weights() -> None:
    nets = [fastmlp.Network([2, 4, 1], seed=0) for _ in range(2)]
    tiny = nets[0].fit(np.ones((4, 2)), [1.0] * 4, sample_weight=[2.0**-1030] * 4)
    assert tiny.loss == nets[1].fit(np.ones((4, 2)), [1.0] * 4).loss


def test_an_idx_file_of_other_elements_is_named(tmp_path: Path) -> None:
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(struct.pack(">4B3I", 0, 0, 0x0C, 3, 1, 1, 1) + bytes(4))
    labels.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 1) + bytes(1))
    with pytest.raises(ValueError, match="unsigned bytes"):
        fastmlp.datasets.load_idx(images, labels)


# ------------------------------------------------------------------------------------------------- arrays in an .npz


@pytest.mark.parametrize("first", ["X", "x"])
def test_arrays_whose_names_differ_in_case(command: Command, first: str) -> None:
    x = RNG(0).normal(size=(60, 3))
    y = (x[:, 2] > 0).astype(int)
    arrays = {"X": x, "x": x[:, :2], "y": y, "Y": 1 - y}
    np.savez("d.npz", **{name: arrays[name] for name in sorted(arrays, reverse=first == "x")})
    train(command, "d.npz")
    assert fastmlp.load("m.safetensors").sizes[0] == 3
    np.savez("pair.npz", x_train=x, X_train=x[:, :2], y_train=y, x_test=x, y_test=y)
    train(command, "pair.npz")
    assert fastmlp.load("m.safetensors").sizes[0] == 3
    np.savez("odd.npz", X_TRAIN=x, X_train=x[:, :2], y_train=y, x_test=x, y_test=y)
    with pytest.raises(Ended, match="X_TRAIN"):
        train(command, "odd.npz")


# ------------------------------------------------------------------------------------------------------- row numbers


def test_a_column_without_a_name_that_counts_the_rows_is_said(command: Command) -> None:
    frame = pandas.DataFrame({"a": RNG(0).normal(size=200), "y": ["no"] * 100 + ["yes"] * 100})
    frame.to_csv("d.csv")
    told = train(command, "d.csv", "--target", "y", told=True)
    assert re.search(r"column without a name is 0, 1, 2", told)
    told = train(command, "d.csv", "--target", "y", "--drop", "0", told=True)
    assert "without a name" not in told
    assert fastmlp.load("m.safetensors").feature_names == ("a",)
    frame.to_csv("plain.csv", index=False)
    assert "without a name" not in train(command, "plain.csv", "--target", "y", told=True)
