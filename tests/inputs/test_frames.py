"""Frames of pandas and polars, their columns' names, and tensors of PyTorch.

Each is compared with an array of the same numbers, on every engine, instruction set and dtype if the core converts it.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Implementation

import fastmlp
from input_rows import REAL, TARGETS, WEIGHTS, I, O, assert_same, batches

pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")
torch = pytest.importorskip("torch")

NAMES = [f"column {i}" for i in range(I)]
FRAMES: dict[str, Callable[[np.ndarray], Any]] = {
    "pandas": lambda X: pandas.DataFrame(X, columns=NAMES),
    "pandas by columns": lambda X: pandas.DataFrame({name: X[:, i] for i, name in enumerate(NAMES)}),
    "pandas nullable": lambda X: pandas.DataFrame(X, columns=NAMES).astype("Float64"),
    "polars": lambda X: polars.DataFrame(X, schema=NAMES, orient="row"),
}


@pytest.fixture(params=FRAMES)
def frame_of(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    return FRAMES[request.param]


def test_frames_are_their_numbers(build: Implementation, frame_of: Callable[[np.ndarray], Any]) -> None:
    assert_same(build, frame_of(REAL), REAL)


def test_columns_of_different_types() -> None:
    columns = {"a": np.arange(4), "b": np.array([0.5, 1, 2, 3], np.float32), "c": [True, False, True, True]}
    dense = np.array([[0, 0.5, 1], [1, 1, 0], [2, 2, 1], [3, 3, 1]], np.float32)
    net = fastmlp.Network([3, 2], seed=0)
    for frame in (pandas.DataFrame(columns), polars.DataFrame(columns)):
        np.testing.assert_array_equal(net.predict(frame), net.predict(dense))
    net.fit(pandas.DataFrame(columns), pandas.DataFrame({"s": [1.0, 2, 3, 4], "t": [0, 1, 0, 1]}), epochs=1)
    assert net.feature_names == ("a", "b", "c")


def test_numbers_of_types_that_numpy_lacks() -> None:
    """Numbers of types that NumPy lacks become the nearest float64."""
    decimal = polars.Series("a", ["1.5", "-2.25", "0.1"]).cast(polars.Decimal(10, 2))
    large = polars.Series("b", [2**63 + 1024, -5, 7], dtype=polars.Int128)
    frame = polars.DataFrame([decimal, large])
    net = fastmlp.Network([2, 1], dtype="float64", seed=0)
    expected = np.array([[1.5, 2.0**63 + 1024], [-2.25, -5], [0.1, 7]])
    np.testing.assert_array_equal(net.predict(frame), net.predict(expected))
    np.testing.assert_array_equal(
        net.evaluate(expected, decimal)["loss"], net.evaluate(expected, expected[:, 0])["loss"]
    )


def test_series_as_targets_and_weights() -> None:
    y, w = TARGETS[:, 0], WEIGHTS
    nets = [fastmlp.Network([I, 1], seed=0) for _ in range(3)]
    nets[0].fit(REAL, y, sample_weight=w, epochs=2)
    nets[1].fit(REAL, pandas.Series(y), sample_weight=pandas.Series(w), epochs=2)
    nets[2].fit(REAL, polars.Series(y), sample_weight=polars.Series(w), epochs=2)
    for net in nets[1:]:
        np.testing.assert_array_equal(net.parameters, nets[0].parameters)


def test_what_is_missing_is_nan(frame_of: Callable[[np.ndarray], Any]) -> None:
    X = REAL.copy()
    X[5, 3] = np.nan
    frame = frame_of(X)
    if hasattr(frame, "to_series"):
        frame = frame.with_columns(polars.col(NAMES[3]).fill_nan(None))
    net = fastmlp.Network([I, O], seed=0)
    assert np.isnan(net.predict(frame)).all(axis=1).nonzero()[0].tolist() == [5]
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at row 5, column 3"):
        net.fit(frame, TARGETS)
    assert net.feature_names is None


def test_missing_whole_numbers_and_truths() -> None:
    net = fastmlp.Network([2, 1], seed=0)
    columns = {"a": [1, None, 3], "b": [True, False, None]}
    frames = [pandas.DataFrame(columns).astype({"a": "Int64", "b": "boolean"}), polars.DataFrame(columns)]
    expected = net.predict([[1, 1], [np.nan, 0], [3, np.nan]])
    for frame in frames:
        np.testing.assert_array_equal(net.predict(frame), expected)
        with pytest.raises(ValueError, match="row 1, column 0"):
            net.fit(frame, [1.0, 2.0, 3.0])


def test_columns_without_numbers_are_named() -> None:
    net = fastmlp.Network([2, 1], seed=0)
    for kind, values in (("text", ["x", "y"] * 2), ("category", pandas.Categorical(["x", "y"] * 2))):
        with pytest.raises(ValueError, match="X: expected columns that become 2 inputs"):
            net.fit(pandas.DataFrame({"a": [1.0, 2.0] * 2, kind: values}), [1.0, 2.0] * 2)
        with pytest.raises(TypeError, match=f"X: expected numbers, got .* in column '{kind}'; fastmlp.Encoder.fit"):
            net.predict(pandas.DataFrame({"a": [1.0, 2.0] * 2, kind: values}))
    with pytest.raises(TypeError, match="X: expected numbers, got String in column 'text'"):
        net.predict(polars.DataFrame({"a": [1.0, 2.0], "text": ["x", "y"]}))
    with pytest.raises(TypeError, match="X: expected real numbers, got dtype complex"):
        net.predict(np.zeros((1, 2), complex))


def fitted(frame_of: Callable[[np.ndarray], Any], **words: Any) -> fastmlp.Network:
    net = fastmlp.Network([I, 4, O], seed=0, **words)
    net.fit(frame_of(REAL), TARGETS, epochs=1)
    return net


def test_names_are_kept_and_travel(frame_of: Callable[[np.ndarray], Any], tmp_path: Path) -> None:
    net = fitted(frame_of)
    assert net.feature_names == tuple(NAMES)
    net.save(tmp_path / "model")
    others = [fastmlp.load(tmp_path / "model"), pickle.loads(pickle.dumps(net)), net.copy(), copy.deepcopy(net)]
    for other in others:
        assert other.feature_names == tuple(NAMES)
        with pytest.raises(ValueError, match="without 'column 0'"):
            other.predict(polars.DataFrame(REAL, schema=["other", *NAMES[1:]], orient="row"))
    assert "inputs named column 0, column 1" in net.summary()
    net.fit(frame_of(REAL), TARGETS, epochs=1)
    net.predict(REAL)  # an array has no names of columns


METHODS: dict[str, Callable[[fastmlp.Network, Any], Any]] = {
    "predict": lambda net, X: net.predict(X),
    "call": lambda net, X: net(X),
    "classify": lambda net, X: net.classify(X),
    "activations": lambda net, X: net.activations(X),
    "evaluate": lambda net, X: net.evaluate(X, TARGETS),
    "fit": lambda net, X: net.fit(X, TARGETS),
    "partial_fit": lambda net, X: net.partial_fit(X, TARGETS),
    "train_on_batch": lambda net, X: net.train_on_batch(X, TARGETS),
    "loss_and_grad": lambda net, X: net.loss_and_grad(X, TARGETS),
    "input_gradient": lambda net, X: net.input_gradient(X, TARGETS),
    "validation_data": lambda net, X: net.fit(REAL, TARGETS, validation_data=(X, TARGETS)),
}


@pytest.mark.parametrize("method", METHODS)
def test_columns_are_found_by_name(frame_of: Callable[[np.ndarray], Any], method: str) -> None:
    """Columns are found by name in any order; others are ignored with a warning; a missing one is an error."""
    right, act = frame_of(REAL), METHODS[method]
    nets = [fastmlp.Network([I, 4, O], seed=0, target_name="t") for _ in range(3)]
    for net in nets:
        net.fit(FRAMES["polars"](REAL), TARGETS, epochs=1)
    pick = right.select if hasattr(right, "select") else right.__getitem__
    mixed = pandas.DataFrame({"t": 1.0, **{name: REAL[:, i] for i, name in reversed(list(enumerate(NAMES)))}})
    expected, others = act(nets[0], right), [act(nets[1], pick(NAMES[::-1])), act(nets[2], mixed)]
    for net, got in zip(nets[1:], others, strict=True):
        if isinstance(got, (np.ndarray, list, tuple, float)):
            np.testing.assert_equal(got, expected)
        np.testing.assert_array_equal(net.parameters, nets[0].parameters)
    with pytest.raises(ValueError, match=r"X: expected the columns .*, got some without 'column 3'"):
        act(nets[0], mixed.rename(columns={"column 3": "z"}))
    with pytest.raises(ValueError, match="without 'column 18'"):
        act(nets[0], pick(NAMES[:-1]))
    with pytest.raises(ValueError, match="X: expected columns of different names, got 'column 0' twice"):
        act(nets[0], pandas.concat([mixed, mixed[["column 0"]]], axis=1))
    with pytest.warns(UserWarning, match="not trained on are left out: 'more'"):
        again = act(nets[1], mixed.assign(more=1.0))
    if isinstance(again, (np.ndarray, list, tuple, float)):
        np.testing.assert_equal(again, act(nets[2], right))


ROW_METHODS: dict[str, Callable[[fastmlp.Network, Any], Any]] = {
    "predict": lambda net, x: net.predict(x),
    "call": lambda net, x: net(x),
    "classify": lambda net, x: net.classify(x),
    "activations": lambda net, x: net.activations(x),
    "evaluate": lambda net, x: net.evaluate(x, TARGETS[0]),
    "learn_one": lambda net, x: net.learn_one(x, TARGETS[0]),
    "train_on_batch": lambda net, x: net.train_on_batch(x, TARGETS[0]),
    "loss_and_grad": lambda net, x: net.loss_and_grad(x, TARGETS[0]),
    "input_gradient": lambda net, x: net.input_gradient(x, TARGETS[0]),
}


@pytest.mark.parametrize("method", ROW_METHODS)
def test_entries_of_a_row_are_found_by_name(method: str) -> None:
    frame = FRAMES["pandas"](REAL)
    nets = [fastmlp.Network([I, 4, O], seed=0) for _ in range(4)]
    for net in nets:
        net.fit(frame, TARGETS, epochs=1)
    row, act = frame.iloc[5], ROW_METHODS[method]
    rows = [REAL[5], row, row[NAMES[::-1]], next(frame[NAMES[::-1]].iloc[5:].iterrows())[1]]
    results = [act(net, x) for net, x in zip(nets, rows, strict=True)]
    for net, result in zip(nets, results, strict=True):
        np.testing.assert_equal(result, results[0])
        np.testing.assert_array_equal(net.parameters, nets[0].parameters)
    with pytest.raises(ValueError, match="without 'column 2'"):
        act(nets[0], row.drop("column 2"))


def test_a_row_of_numbers_and_truths_is_a_row_of_its_frame() -> None:
    frame = pandas.DataFrame({"a": [0.5, 2.0], "b": [True, False], "c": [3, 4]})
    assert frame.iloc[0].dtype == object
    net = fastmlp.Network([3, 2], seed=0)
    net.fit(frame, [[0.0, 1.0], [1.0, 0.0]], epochs=1)
    np.testing.assert_array_equal(net.predict(frame.iloc[0]), net.predict(frame)[0])
    np.testing.assert_array_equal(net.predict(frame.astype(object)), net.predict(frame))


def test_the_validation_finds_its_columns_by_name() -> None:
    frame = FRAMES["pandas"](REAL)
    nets = [fastmlp.Network([I, O], seed=0) for _ in range(3)]
    batches_of = [(frame, TARGETS)]
    figures = [
        nets[0].fit(frame, TARGETS, validation_data=(frame, TARGETS)).val_loss,
        nets[1].fit(frame, TARGETS, validation_data=(frame[NAMES[::-1]], TARGETS)).val_loss,
    ]
    assert figures[0] == figures[1]
    batched = nets[2].fit(batches_of, validation_data=(frame[NAMES[::-1]], TARGETS)).val_loss
    whole = fastmlp.Network([I, O], seed=0).fit(
        frame, TARGETS, batch_size=None, shuffle=False, validation_data=(frame, TARGETS)
    )
    assert batched == whole.val_loss
    net = fastmlp.Network([I, O], seed=0)
    with pytest.raises(ValueError, match="validation_data: X: expected the columns"):
        net.fit(frame, TARGETS, validation_data=(frame.rename(columns=str.upper), TARGETS))
    assert net.feature_names is None


def test_a_frame_without_words_as_names_has_none() -> None:
    net = fastmlp.Network([I, O], seed=0)
    net.fit(pandas.DataFrame(REAL), TARGETS, epochs=1)
    assert net.feature_names is None


# -- tensors -----------------------------------------------------------------------------------------------------------


def test_tensors(build: Implementation) -> None:
    assert_same(build, torch.from_numpy(REAL), REAL)
    assert_same(build, torch.from_numpy(REAL.astype(np.float16)), REAL.astype(np.float16))


def test_a_tensor_that_numpy_cannot_read_is_refused() -> None:
    net = fastmlp.Network([I, O], seed=0)
    with pytest.raises(TypeError, match="X: expected"):
        net.predict(torch.zeros(I, dtype=torch.bfloat16))


def test_a_loader_of_torch_and_frames() -> None:
    data = torch.utils.data.TensorDataset(torch.from_numpy(REAL), torch.from_numpy(TARGETS))
    nets = [fastmlp.Network([I, O], seed=0) for _ in range(3)]
    nets[0].fit(torch.utils.data.DataLoader(data, batch_size=40), epochs=2)
    nets[1].fit(list(batches()), epochs=2)
    nets[2].fit([(FRAMES["pandas"](X), y) for X, y in batches()], epochs=2)
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    np.testing.assert_array_equal(nets[2].parameters, nets[1].parameters)
    assert nets[2].feature_names == tuple(NAMES)
    with pytest.raises(ValueError, match="batch 0: X: expected the columns"):
        nets[2].fit([(FRAMES["pandas"](REAL).rename(columns=str.upper), TARGETS)])


# ------------------------------------------------------------------------------------- columns by names of other kinds


def trained_on(frame: Any, y: Any, **options: Any) -> fastmlp.Network:
    net = fastmlp.Network([options.pop("n_inputs", frame.shape[1]), 4, 1], seed=0, **options)
    net.fit(frame, y, epochs=2)
    return net


@pytest.mark.parametrize(
    "labels",
    [["a", 1, ("x", 2)], [3, 1, 2], [0, 2, 1], [0.5, 1.5, 2.5], [("a", "x"), ("a", "y"), ("b", "x")], [True, "b", "c"]],
)
def test_labels_that_are_not_text_are_names_too(labels: list[Any]) -> None:
    """Labels of columns that are not text count as their text; columns and row entries are found in any order."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    index = pandas.MultiIndex.from_tuples(labels) if all(isinstance(each, tuple) for each in labels) else labels
    frame = pandas.DataFrame(X, columns=index)
    net = trained_on(frame, X[:, 0])
    assert net.feature_names == tuple(map(str, labels))
    expected = trained_on(X, X[:, 0]).predict(X)
    moved = frame.iloc[:, [2, 0, 1]]
    for given in (frame, moved):
        np.testing.assert_array_equal(net.predict(given), expected)
        np.testing.assert_allclose(net.predict(given.iloc[3]), expected[3], rtol=1e-6)


def test_a_frame_that_counts_its_columns_has_no_names() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    frame = pandas.DataFrame(X)
    net = trained_on(frame, X[:, 0])
    assert net.feature_names is None
    np.testing.assert_array_equal(net.predict(frame), net.predict(X))
    np.testing.assert_array_equal(net.predict(pandas.DataFrame(X, columns=list("xyz"))), net.predict(X))
    for use in (net.predict, net.classify, lambda X: net.evaluate(X, X.to_numpy()[:, 0])):
        with pytest.raises(ValueError, match=r"columns 0, 1, 2, ... in this order, as .* got \[2, 0, 1\]"):
            use(frame.iloc[:, [2, 0, 1]])


def test_named_tuples_are_rows_with_names() -> None:
    """Named tuples, as of itertuples, are rows with names: in any order, with the index, one or several."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    frame = pandas.DataFrame(X, columns=list("abc"))
    net = trained_on(frame, X[:, 0])
    expected = net.predict(frame)
    moved = frame[["c", "a", "b"]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in (False, True):
            np.testing.assert_array_equal(net.predict(list(moved.itertuples(index=index))), expected)
            np.testing.assert_allclose(net.predict(next(moved.itertuples(index=index))), expected[0], rtol=1e-6)
    with pytest.warns(UserWarning, match="left out: 'd'"):
        net.predict(list(moved.assign(d=0.0).itertuples(index=False)))
    with pytest.raises(ValueError, match="got some without 'b'"):
        net.predict(list(moved[["c", "a"]].itertuples()))
    with pytest.raises(TypeError, match="throughout, got another at row 1"):
        net.predict([next(moved.itertuples()), next(frame.itertuples())])
    plain = fastmlp.Network([3, 4, 1], seed=0)
    np.testing.assert_array_equal(plain.predict(list(frame.itertuples(index=False))), plain.predict(X))


def test_named_tuples_cannot_carry_every_name() -> None:
    X = np.random.default_rng(0).normal(size=(30, 2))
    frame = pandas.DataFrame(X, columns=["my a", "b"])
    net = trained_on(frame, X[:, 0])
    with pytest.raises(ValueError, match="itertuples, which has no field for 'my a'; give the frame"):
        net.predict(list(frame.itertuples(index=False)))


def test_named_tuples_for_an_encoder() -> None:
    times = pandas.Timestamp("2020-01-01") + pandas.to_timedelta(np.arange(30), "D")
    frame = pandas.DataFrame({"a": np.arange(30.0), "kind": ["u", "v", "w"] * 10, "day": times})
    encoder = fastmlp.Encoder.fit(frame)
    net = trained_on(frame, np.arange(30.0), n_inputs=encoder.n_outputs, encoder=encoder)
    moved = frame[["day", "kind", "a"]]
    np.testing.assert_array_equal(net.predict(list(moved.itertuples())), net.predict(frame))
    np.testing.assert_array_equal(net.predict(next(moved.itertuples())), net.predict(frame.iloc[:1])[0])
