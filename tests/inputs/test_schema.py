"""Names of columns, target and classes: given, learnt from data, saved with the model, and used for labels."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import descriptions, files, model_file
from fastmlp.inputs import labels
from file_mutations import of_version_1

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(60, 2)).astype(np.float32)
THREE = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.3)  # 0, 1 and 2
TEXT = np.array(["pear", "apple", "fig"])  # not in order
BIG = [2**63, -(2**63), 2**53 + 1, 2**53]  # not distinct as float64


def network(n_classes: int = 3, **words: Any) -> fastmlp.Network:
    return fastmlp.Network([2, 6, n_classes], **{"loss": "cross_entropy", "seed": 0, **words})


# -- given at construction and kept ------------------------------------------------------------------------------------


def travelled(net: fastmlp.Network, tmp_path: Path) -> list[fastmlp.Network]:
    net.save(tmp_path / "model")
    again = fastmlp.load(tmp_path / "model")
    again.save(tmp_path / "again")
    others = [fastmlp.load(tmp_path / "again"), pickle.loads(pickle.dumps(net)), net.copy(), copy.deepcopy(net)]
    return [again, *others, net.fold_linear()]


@pytest.mark.parametrize("class_names", [("b", "a", ""), (7, -3, 2**63), (0.5, 1, 2.25), None])
def test_what_is_given_travels(tmp_path: Path, class_names: Any) -> None:
    words = {"feature_names": ("u", "v"), "target_name": "t", "class_names": class_names}
    net = network(**words)
    for each in [net, *travelled(net, tmp_path)]:
        assert {name: getattr(each, name) for name in words} == words
        assert list(map(type, each.class_names or ())) == list(map(type, class_names or ()))
        assert each.encoder is None
    plain = network()
    assert (plain.feature_names, plain.target_name, plain.class_names) == (None, None, None)
    plain.save(tmp_path / "plain")
    assert not any(name.encode() in (tmp_path / "plain").read_bytes() for name in words)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        ({"feature_names": ["a"]}, ValueError, "feature_names: expected 2 names, one for each column, got 1"),
        ({"feature_names": ["a", "a"]}, ValueError, "feature_names: expected different names, got 'a' twice"),
        ({"feature_names": ["a", 1]}, TypeError, r"feature_names\[1\]: expected text, got 1"),
        ({"feature_names": "ab"}, TypeError, "feature_names: expected a sequence"),
        ({"feature_names": 3}, TypeError, "feature_names: expected a sequence"),
        ({"target_name": 3}, TypeError, "target_name: expected text or None, got 3"),
        ({"class_names": ["a", "b"]}, ValueError, "class_names: expected 3 names, one for each class, got 2"),
        ({"class_names": ["a", "b", "a"]}, ValueError, "class_names: expected different names, got 'a' twice"),
        ({"class_names": [1, 2, 1.0]}, ValueError, "class_names: expected different names, got 1.0 twice"),
        ({"class_names": ["a", "b", 1]}, TypeError, "class_names: expected either text or numbers, got both"),
        ({"class_names": "abc"}, TypeError, "class_names: expected a sequence"),
        ({"class_names": [1, 2, None]}, TypeError, r"class_names\[2\]: expected text, an integer"),
        ({"class_names": [1, 2, True]}, TypeError, r"class_names\[2\]"),
        ({"class_names": [1, 2, np.nan]}, TypeError, r"class_names\[2\]"),
        ({"class_names": [1, 2, 2**64]}, TypeError, r"class_names\[2\]"),
        ({"encoder": "onehot"}, TypeError, "encoder: expected a fastmlp.Encoder or None, got str"),
    ],
)
def test_bad_names(words: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}"):
        network(**words)
    if "encoder" not in words:  # entries of a file are checked in the same way
        architecture = {**descriptions.describe_architecture(network()._architecture(), 0), **words}
        with pytest.raises(fastmlp.FormatError, match=next(iter(words))):
            descriptions.architecture_from(architecture)


def test_one_output_has_two_classes() -> None:
    net = network(1, loss="binary_cross_entropy", class_names=["no", "yes"])
    assert net.classify(X[:5], names=True).tolist() == [("no", "yes")[i] for i in net.classify(X[:5])]
    with pytest.raises(ValueError, match="class_names: expected 2 names"):
        network(1, loss="binary_cross_entropy", class_names=["a", "b", "c"])


# -- labels ------------------------------------------------------------------------------------------------------------

pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
polars = pytest.importorskip("polars", reason="needs polars: pip install polars")

FORMS: dict[str, Callable[[np.ndarray], Any]] = {
    "list": lambda y: y.tolist(),
    "tuple": lambda y: tuple(y.tolist()),
    "array": lambda y: y,
    "objects": lambda y: y.astype(object),
    "column": lambda y: y[:, np.newaxis],
    "StringDType": lambda y: y.astype(np.dtypes.StringDType()),
    "pandas": lambda y: pandas.Series(y, name="t"),
    "pandas category": lambda y: pandas.Series(y, name="t", dtype="category"),
    "pandas frame": lambda y: pandas.DataFrame({"t": y}),
    "polars": lambda y: polars.Series("t", y.tolist()),
    "polars category": lambda y: polars.Series("t", y.tolist(), dtype=polars.Categorical),
    "polars frame": lambda y: polars.DataFrame({"t": y.tolist()}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_text_labels_are_their_indices(form: str, loss: str) -> None:
    order = np.argsort(TEXT)  # apple, fig, pear
    y, indices = FORMS[form](TEXT[THREE]), np.argsort(order)[THREE]
    nets = [network(loss=loss) for _ in range(2)]
    words: dict[str, Any] = {"epochs": 3, "validation_split": 0.25}
    assert nets[0].fit(X, y, class_weight={"apple": 2, "fig": 1.0}, **words) == nets[1].fit(
        X, indices, class_weight={0: 2, 1: 1.0}, **words
    )
    assert nets[0].class_names == ("apple", "fig", "pear")
    assert nets[1].class_names is None
    if "pandas" in form or "polars" in form:
        assert nets[0].target_name == "t"
    for act in (
        lambda net, t: net.evaluate(X, t, metrics=["f1"]),
        lambda net, t: net.loss_and_grad(X, t, class_weight="balanced"),
        lambda net, t: net.input_gradient(X, t),
        lambda net, t: net.train_on_batch(X, t),
        lambda net, t: net.partial_fit(X, t).parameters,
    ):
        np.testing.assert_equal(act(nets[0], y), act(nets[1], indices))
    for label, i in zip(TEXT[THREE[:5]], indices[:5], strict=True):
        assert nets[0].learn_one(X[0], str(label)) == nets[1].learn_one(X[0], i)
        assert nets[0].evaluate(X[0], str(label)) == nets[1].evaluate(X[0], i)
    np.testing.assert_array_equal(nets[0].classify(X), nets[1].classify(X))
    assert nets[0].classify(X, names=True).tolist() == [nets[0].class_names[i] for i in nets[1].classify(X)]
    assert nets[0].classify(X[0], names=True) == nets[0].class_names[nets[1].classify(X[0])]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "binary_focal", "hinge"])
def test_two_text_labels_on_one_output(loss: str) -> None:
    right = THREE > 0
    nets = [network(1, loss=loss) for _ in range(2)]
    assert nets[0].fit(X, np.where(right, "yes", "no")) == nets[1].fit(X, right)
    assert nets[0].class_names == ("no", "yes")
    assert nets[0].evaluate(X, np.where(right, "yes", "no").tolist()) == nets[1].evaluate(X, right)


@pytest.mark.parametrize("names", [tuple(BIG[:3]), (3, 1, 2), (1, 2, 3), (0.5, 2, 1)])
def test_numbers_as_class_names_are_labels(names: tuple[Any, ...]) -> None:
    """Numbers as class names are exact labels in every method, also beyond float64, and never indices."""
    y = [names[i] for i in THREE]
    nets = [network(class_names=names), network()]
    assert nets[0].fit(X, y, class_weight={names[0]: 2.0}) == nets[1].fit(X, THREE, class_weight={0: 2.0})
    assert nets[0].learn_one(X[0], names[1]) == nets[1].learn_one(X[0], 1)
    assert nets[0].evaluate(X, y) == nets[1].evaluate(X, THREE)
    assert nets[0].classify(X, names=True).tolist() == [names[i] for i in nets[1].classify(X)]
    with pytest.raises(ValueError, match=r"y: expected one of the classes .* got -1 at row 1"):
        nets[0].evaluate(X[:2], [names[0], -1])
    with pytest.raises(ValueError, match="y: expected one of the classes"):
        nets[0].learn_one(X[0], 0)
    one_hot = np.eye(3)[THREE]
    assert nets[0].evaluate(X, one_hot)["loss"] == pytest.approx(nets[1].evaluate(X, THREE)["loss"], rel=1e-6)


def test_names_0_1_2_leave_targets_as_they_are() -> None:
    net, plain = (network(1, loss="binary_cross_entropy", class_names=names) for names in ((0, 1), None))
    soft = GENERATOR.random(len(X))
    assert net.fit(X, soft) == plain.fit(X, soft)
    assert [labels.are_indices(names) for names in ((0, 1), (1, 0), ("1", "0"))] == [True, False, True]


@pytest.mark.parametrize("names", [["2", "0", "1"], ["0", "1", "2"]])
def test_numbers_beside_names_that_are_spelt_numbers(names: list[str]) -> None:
    """If a class name is the text of a number, a number is ambiguous and refused; the text is the name."""
    net = network(class_names=names)
    for y in (THREE, THREE.tolist(), THREE.astype(float)):
        with pytest.raises(ValueError, match=r"y: expected text labels, as the classes are text .*might be names or"):
            net.fit(X, y, epochs=1)
    written = THREE.astype(str)
    with pytest.raises(ValueError, match=r"class_weight: expected labels among the classes .*, got 0"):
        net.fit(X, written, epochs=1, class_weight={0: 2.0})
    history = net.fit(X, written, epochs=1, class_weight={"0": 2.0, "1": 3.0})
    indices = np.array([names.index(label) for label in written])
    assert history == network().fit(X, indices, epochs=1, class_weight={names.index("0"): 2.0, names.index("1"): 3.0})


def test_text_names_leave_indices_as_they_are() -> None:
    net, plain = network(class_names=["a", "b", "c"]), network()
    assert net.fit(X, THREE) == plain.fit(X, THREE)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (["a", "b"] * 30, ValueError, "y: expected 3 different labels, .* got 2: 'a', 'b'; class_names="),
        (["a", "b", "c", "d"] * 15, ValueError, "y: expected 3 different labels, .* got 4"),
        (["a", "b", None] * 20, ValueError, r"y: expected a label in each row, got a missing one \(None\) at row 2"),
        (["a", float("nan"), "c"] * 20, ValueError, "missing one .* at row 1"),
        (["a", 1, "c"] * 20, TypeError, "y: expected labels that are all text or all numbers, got 1 at row 1"),
        (np.array([b"a", b"b", b"c"] * 20), TypeError, "y: expected real numbers, got dtype"),
        (["a", "b", "c"] * 19, ValueError, "y: expected shape"),
    ],
)
def test_labels_that_teach_nothing(y: Any, error: type[Exception], message: str) -> None:
    net = network()
    before = net.parameters
    with pytest.raises(error, match=message):
        net.fit(X, y)
    assert net.class_names is None
    np.testing.assert_array_equal(net.parameters, before)


def test_text_without_classes_is_refused() -> None:
    with pytest.raises(TypeError, match=r"y: expected real numbers, .* got text such as 'apple'; a loss of classes"):
        fastmlp.Network([2, 3], seed=0).fit(X, TEXT[THREE])
    with pytest.raises(TypeError, match="fit learns class_names from text labels"):
        network().train_on_batch(X, TEXT[THREE])
    with pytest.raises(ValueError, match="y: expected one of the classes 'a', 'b', 'c', got 'z' at row 1"):
        network(class_names=["a", "b", "c"]).fit(X[:2], ["a", "z"])
    with pytest.raises(ValueError, match="class_weight: expected labels among the classes 'a', 'b', 'c', got 'z'"):
        network(class_names=["a", "b", "c"]).fit(X[:2], ["a", "b"], class_weight={"z": 1})
    with pytest.raises(ValueError, match="names: expected a network with class_names"):
        network().classify(X, names=True)


def test_an_error_takes_back_what_was_learnt() -> None:
    net = network()
    frame = pandas.DataFrame(X, columns=["u", "v"])

    def fail(epoch: int, logs: Any) -> None:
        raise ArithmeticError

    with pytest.raises(FloatingPointError):
        net.fit(frame, pandas.Series(TEXT[THREE], name="t"), optimizer=fastmlp.SGD(1e38), epochs=2)
    assert (net.feature_names, net.target_name, net.class_names) == (None, None, None)
    with pytest.raises(ArithmeticError):  # after an epoch, which is kept
        net.fit(frame, pandas.Series(TEXT[THREE], name="t"), callbacks=[fail])
    assert (net.feature_names, net.target_name) == (("u", "v"), "t")


def test_batches_of_text_labels() -> None:
    y = TEXT[THREE]
    nets = [network(), network()]
    frame = pandas.DataFrame(X, columns=["u", "v"])
    first = nets[0].fit([(frame, y), (frame, y)], validation_data=(frame[["v", "u"]], y), epochs=2)
    second = nets[1].fit([(X, np.argsort(np.argsort(TEXT))[THREE])] * 2, epochs=2)
    assert first.loss == second.loss
    assert nets[0].class_names == ("apple", "fig", "pear")
    assert first.val_loss[-1] == pytest.approx(nets[1].evaluate(X, np.argsort(np.argsort(TEXT))[THREE])["loss"])


# -- files of version 0.1.0 --------------------------------------------------------------------------------------------

OLD = Path(__file__).parents[1] / "formats" / "written_by_0_1_0"


def test_a_model_of_the_old_command_line_has_its_scaling(tmp_path: Path) -> None:
    """Through Python, such a model gives the predictions that the command line of its version printed."""
    classes, numbers, pairs = (fastmlp.load(OLD / f"{name}.model") for name in ("classes", "numbers", "pairs"))
    assert (classes.feature_names, classes.target_name) == (("a", "b"), "kind")
    assert classes.class_names == ("uv", "w", "x y")
    assert pairs.class_names == (2, 5)
    classes.save(tmp_path / "again")
    for net in (classes, fastmlp.load(tmp_path / "again")):
        frame = pandas.read_csv(OLD / "classes.csv")
        said = (OLD / "classes.txt").read_text().splitlines()
        assert net.classify(frame, names=True).tolist() == said
        assert net.evaluate(frame, frame["kind"])["accuracy"] > 0.9
    said = np.loadtxt(OLD / "numbers.txt")
    np.testing.assert_allclose(numbers.predict(pandas.read_csv(OLD / "numbers.csv"))[:, 0], said, rtol=1e-6)
    data = np.load(OLD / "pairs.npz")
    assert pairs.classify(data["X"], names=True).tolist() == np.loadtxt(OLD / "pairs.txt").tolist()
    assert pairs.evaluate(data["X"], data["y"])["accuracy"] > 0.9


def test_a_model_and_a_pickle_of_old_python_answer_as_they_did() -> None:
    frame = pandas.read_csv(OLD / "numbers.csv")[["a", "b"]]
    for net in (fastmlp.load(OLD / "python.model"), pickle.loads((OLD / "python.pickle").read_bytes())):
        assert net.feature_names == ("a", "b")
        np.testing.assert_allclose(net.predict(frame), np.load(OLD / "python.npy"), rtol=1e-6)


def changed(**entries: str) -> bytes:
    """Return the old model of classes with changed entries in `extra`."""
    model = files.read(OLD / "classes.model")
    network = fastmlp.Network([2, 3], loss="cross_entropy", seed=0)
    assert model.extra == {}
    old = {"task": '"classification"', "columns": '["a", "b"]', "classes": '["u", "v", "w"]'}
    return of_version_1(model_file.to_bytes(network, {**old, **entries}))


def test_old_entries_are_checked() -> None:
    assert model_file.parse(changed(note="kept")).extra == {"note": "kept"}
    for entries, message in (
        ({"columns": '["a"]'}, "feature_names"),
        ({"columns": "["}, "columns: expected JSON, as the command line of 0.1.0 wrote it"),
        ({"classes": '["u", "v"]'}, "class_names"),
        ({"scaling": '{"offset": [0, 0], "scale": [0, 1]}'}, "input_scaling"),
        ({"target_scaling": '{"offset": [0, 0, 0], "scale": [1, 1, 1]}'}, "target_scaling"),
        ({"target": "3"}, "target_name"),
    ):
        with pytest.raises(fastmlp.FormatError, match=message):
            model_file.parse(changed(**entries))
    net = fastmlp.Network([2, 3], input_scaling=fastmlp.Scaling([0, 0], [1, 1]), seed=0)
    both = {"task": '"regression"', "scaling": '{"offset": [1, 1], "scale": [1, 1]}'}
    with pytest.raises(fastmlp.FormatError, match=r"input_scaling: expected it once.*train the model again"):
        model_file.parse(of_version_1(model_file.to_bytes(net, both)))
    assert model_file.parse(model_file.to_bytes(net, both)).extra == both  # today they are the caller's own


# -- tables whose columns are not all numbers --------------------------------------------------------------------------


def table() -> tuple[Any, np.ndarray]:
    """Return a table of numbers with missing values, text, dates and booleans, and a target derived from the text."""
    generator = np.random.default_rng(3)
    text = generator.choice(["x", "y", "z"], 120)
    columns = {
        "number": np.where(generator.random(120) < 0.1, np.nan, generator.normal(size=120)),
        "text": text,
        "date": np.datetime64("2024-01-01") + generator.integers(0, 900, 120).astype("timedelta64[D]"),
        "truth": generator.random(120) < 0.5,
    }
    return pandas.DataFrame(columns), np.where(text == "x", "yes", "no")


def test_an_encoder_is_the_networks_own(tmp_path: Path) -> None:
    """In every method, a network with an encoder equals the network without one on the encoded matrix."""
    frame, y = table()
    encoder = fastmlp.Encoder.fit(frame)
    matrix = encoder.transform(frame)
    assert matrix.shape == (120, encoder.n_outputs)
    words: dict[str, Any] = {"loss": "cross_entropy", "seed": 0, "input_scaling": "standard"}
    given = fastmlp.Network([encoder.n_outputs, 6, 2], encoder=encoder, **words)
    plain = fastmlp.Network([encoder.n_outputs, 6, 2], **words)
    fit: dict[str, Any] = {"epochs": 5}
    assert given.fit(frame, y, validation_data=(frame, y), **fit) == plain.fit(
        matrix, y, validation_data=(matrix, y), **fit
    )
    assert given.train_on_batch(frame, y) == plain.train_on_batch(matrix, y)
    assert given.learn_one(frame.iloc[4], "no") == plain.learn_one(matrix[4], "no")
    assert given.evaluate(frame, y) == plain.evaluate(matrix, y)
    expected = plain.predict(matrix)
    for net in [given, *travelled(given, tmp_path)]:
        assert (net.encoder, net.feature_names) == (encoder, tuple(frame.columns))
        for form in (frame, polars.from_pandas(frame), frame[frame.columns[::-1]], matrix):
            np.testing.assert_array_equal(net.predict(form), expected)
        np.testing.assert_array_equal(net.predict(frame.iloc[3]), expected[3])
        with pytest.raises(ValueError, match="got some without 'text'"):
            net.predict(frame.drop(columns="text"))
        with pytest.warns(UserWarning, match="left out: 'id'"):
            np.testing.assert_array_equal(net.predict(frame.assign(id=1)), expected)
    with pytest.raises(ValueError, match="expected columns with the names 'number'"):
        given.predict(frame.rename(columns=dict(zip(frame.columns, range(4), strict=True))))
    assert "columns number, text, date, truth, which an encoder makes inputs of, classes no, yes" in given.summary()


def test_fit_learns_an_encoder_from_the_rows_that_it_trains_on() -> None:
    frame, y = table()
    y = pandas.Series(y, name="t")
    learnt = fastmlp.Encoder.fit(frame.head(90))
    net = fastmlp.Network([learnt.n_outputs, 6, 2], loss="cross_entropy", input_scaling="standard", seed=0)
    net.fit(frame, y, epochs=1, validation_split=0.25)
    assert net.encoder is not None
    np.testing.assert_array_equal(net.encoder.transform(frame), learnt.transform(frame))
    assert (net.feature_names, net.target_name) == (tuple(frame.columns), "t")
    other = fastmlp.Network([4, 6, 2], loss="cross_entropy", seed=0)
    with pytest.raises(ValueError, match=r"these become \d+: 'number', .*fastmlp.Encoder.fit\(X\)"):
        other.fit(frame, y)
    assert (other.encoder, other.feature_names, other.class_names) == (None, None, None)
    with pytest.raises(ValueError, match=r"encoder: expected one that makes 4 inputs, as sizes\[0\] says"):
        fastmlp.Network([4, 2], encoder=learnt)
    with pytest.raises(ValueError, match="feature_names: expected the encoder's columns"):
        fastmlp.Network([learnt.n_outputs, 2], encoder=learnt, feature_names=["a", "b", "c", "d"])
