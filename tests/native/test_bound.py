"""The bound predictor: it predicts as the network it was made of, never changes, and keeps its file and its pickle."""

from __future__ import annotations

import copy
import gc
import itertools
import json
import pickle
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import _core
from fastmlp.formats import model_file

WEIGHTS = ("float32", "bfloat16", "int8")
SCALED = {
    "input_scaling": fastmlp.Scaling([0.1, -1.0, 3.0], [0.3, 2.0, 1e-3]),
    "target_scaling": fastmlp.Scaling([10.0, 0.0], [0.1, 7.0]),
}
X = np.random.default_rng(0).normal(size=(97, 3))


def call(bound: fastmlp.BoundPredictor, rows: Any) -> Any:
    """Return the outputs for rows of the predictor's dtype, each by a call of its C function."""
    function, context = bound.ctypes
    y = np.full((len(rows), bound.sizes[-1]), np.nan, bound.dtype)
    for row, out in zip(rows, y, strict=True):
        function(row.ctypes.data, out.ctypes.data, context)
    return y


@pytest.mark.parametrize(
    ("dtype", "isa", "options"), list(itertools.product(("float32", "float64"), _core.isas(), ({}, SCALED)))
)
@pytest.mark.parametrize("sizes", [[3, 2], [3, 17, 33, 2], [3, 2200, 2]], ids=str)
def test_the_c_function_has_the_bits_of_predict(sizes: list[int], dtype: str, isa: str, options: Any) -> None:
    net = fastmlp.Network(sizes, activation="tanh", dtype=dtype, seed=1, engine="native", _isa=isa, **options)
    bound, rows = net.bind(), X.astype(dtype)
    expected = net.predict(rows)
    assert bound._isa == isa
    np.testing.assert_array_equal(call(bound, rows), expected)
    np.testing.assert_array_equal(bound(rows), expected)
    np.testing.assert_array_equal(bound.predict(rows[0]), expected[0])
    np.testing.assert_array_equal(bound.parameters, net.parameters)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_narrow_weights_have_one_set_of_bits(weights: str) -> None:
    net, rows = fastmlp.Network([3, 250, 300, 2], seed=1, **SCALED), X.astype(np.float32)
    bound = net.bind(weights)
    assert bound.weight_dtype == weights
    assert np.array_equal(bound.predict(rows), net.predict(rows)) == (weights == "float32")
    np.testing.assert_array_equal(call(bound, rows), bound.predict(rows))


def test_training_does_not_change_it() -> None:
    net = fastmlp.Network([3, 8, 2], seed=0)
    bound = net.bind()
    rows = X.astype(np.float32)
    before = net.predict(rows)
    net.fit(X, X[:, :2], epochs=2)
    assert not np.array_equal(net.predict(rows), before)
    np.testing.assert_array_equal(bound.predict(rows), before)
    np.testing.assert_array_equal(call(bound, rows), before)
    with pytest.raises(AttributeError):
        bound.parameters = net.parameters  # type: ignore[misc]
    assert not {"fit", "set_layer", "train_on_batch", "learn_one", "partial_fit"} & set(dir(bound))


def test_in_a_fit_it_is_the_last_published_network() -> None:
    net, found = fastmlp.Network([3, 8, 2], seed=0), []
    net.fit(
        X, X[:, :2], epochs=2, callbacks=[lambda epoch, logs: found.append((net.bind()(X), net.predict(X))) and None]
    )
    assert len(found) == 2
    for bound, own in found:
        np.testing.assert_array_equal(bound, own)


def test_classes_names_and_frames() -> None:
    pl = pytest.importorskip("polars")
    net = fastmlp.Network(
        [2, 5, 3], loss="cross_entropy", class_names=["a", "b", "c"], feature_names=["u", "v"], seed=0
    )
    bound, frame = net.bind(), pl.DataFrame({"v": [1.0, 2.0], "u": [0.5, -3.0]})
    np.testing.assert_array_equal(bound(frame), net(frame))
    np.testing.assert_array_equal(bound.classify(frame, names=True), net.classify(frame, names=True))
    assert (bound.class_names, bound.feature_names, bound.sizes, bound.loss) == (
        net.class_names,
        net.feature_names,
        net.sizes,
        net.loss,
    )
    for ours, theirs in zip(bound.activations(frame), net.activations(frame), strict=True):
        np.testing.assert_array_equal(ours, theirs)


# -- files, pickles, copies --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_file_and_a_pickle_keep_the_bits(weights: str, tmp_path: Path) -> None:
    bound = fastmlp.Network([3, 250, 300, 2], activation="silu", seed=1, n_threads=1, **SCALED).bind(weights)
    bound.save(tmp_path / "model")
    loaded = fastmlp.load(tmp_path / "model")
    rows = X.astype(np.float32)
    for again in (loaded, pickle.loads(pickle.dumps(bound))):
        assert type(again) is fastmlp.BoundPredictor
        assert (again.weight_dtype, repr(again), again.summary()) == (weights, repr(bound), bound.summary())
        np.testing.assert_array_equal(again.predict(rows), bound.predict(rows))
        np.testing.assert_array_equal(call(again, rows), bound.predict(rows))
        np.testing.assert_array_equal(again.parameters, bound.parameters)
    assert (copy.copy(bound), copy.deepcopy(bound), bound.copy()) == (bound,) * 3


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    data = model_file.to_bytes(fastmlp.Network([3, 2], seed=0).bind(), weights="float32")
    path = tmp_path / "model"
    for damaged in (data[:-1], data[:-2] + bytes([data[-2] ^ 1]) + data[-1:], data.replace(b"identity", b"softsign")):
        path.write_bytes(damaged)
        with pytest.raises(fastmlp.FormatError):
            fastmlp.load(path)


@pytest.mark.parametrize(("dtype", "weights"), [("float32", "float64"), ("float64", "int8"), ("float32", 1)])
def test_weights_of_a_file_that_no_network_has_are_refused(dtype: str, weights: Any, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(model_file.to_bytes(fastmlp.Network([3, 2], dtype=dtype, seed=0), weights=weights))
    with pytest.raises(fastmlp.FormatError, match="weights: expected one of"):
        fastmlp.load(tmp_path / "model")


def test_the_file_of_a_network_is_as_it_was() -> None:
    data = model_file.to_bytes(fastmlp.Network([3, 2], seed=0))
    assert (
        "weights"
        not in json.loads(model_file.parse(data) and data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"][
            "fastmlp.architecture"
        ]
    )


def test_an_ensemble_refuses_bound_predictors(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="expected a Network, got BoundPredictor"):
        fastmlp.Ensemble([fastmlp.Network([3, 2]).bind()])  # type: ignore[list-item]


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_what_needs_python_is_refused_by_name() -> None:
    f = fastmlp.CustomActivation(np.arctan, lambda z: 1 / (1 + z * z))
    loss = fastmlp.CustomLoss(
        lambda y, t: ((y - t) ** 2).sum(),
    )
    for options, message in (
        ({"activation": f}, "bind: expected activations with a kernel, got Python functions in layer 0"),
        ({"loss": loss}, "bind: expected a loss with a kernel"),
        ({"input_scaling": "standard"}, "input_scaling: expected a Scaling before bind"),
    ):
        with pytest.raises(ValueError, match=message):
            fastmlp.Network([3, 4, 2], **options).bind()


@pytest.mark.parametrize(
    ("dtype", "weights", "error"), [("float32", "float64", ValueError), ("float64", "int8", ValueError),
                                    ("float32", "int4", ValueError), ("float32", 8, TypeError)],
)  # fmt: skip
def test_weights_that_the_network_cannot_have_are_refused(dtype: str, weights: Any, error: Any) -> None:
    with pytest.raises(error, match="weights: expected"):
        fastmlp.Network([3, 2], dtype=dtype).bind(weights)


def test_outputs_that_need_float64_have_no_c_function() -> None:
    net = fastmlp.Network([3, 1], target_scaling=fastmlp.Scaling([1e6], [1.0]), seed=0)
    bound = net.bind()
    assert bound.predict(X).dtype == np.float64
    np.testing.assert_array_equal(bound.predict(X), net.predict(X))
    for get in (lambda: bound.address, lambda: bound.context, lambda: bound.ctypes, lambda: bound.scipy("quad")):
        with pytest.raises(AttributeError, match="target_scaling: expected outputs that float32 can hold"):
            get()


def test_it_cannot_be_constructed() -> None:
    for make in (fastmlp.BoundPredictor, lambda: fastmlp.BoundPredictor([3, 2])):
        with pytest.raises(TypeError, match=r"Network\.bind makes one"):
            make()
    empty = fastmlp.BoundPredictor.__new__(fastmlp.BoundPredictor)
    for get in (lambda: empty.address, lambda: empty.predict(X), lambda: empty.ctypes):
        with pytest.raises(RuntimeError):
            get()


# -- lifetime ----------------------------------------------------------------------------------------------------------


def test_ctypes_objects_keep_it_alive() -> None:
    bound = fastmlp.Network([3, 2], seed=0).bind()
    reference, (function, context) = weakref.ref(bound), bound.ctypes
    del bound
    del function
    gc.collect()
    assert reference() is not None
    del context
    gc.collect()
    assert reference() is None


def test_threads_of_python_call_it_at_once() -> None:
    bound = fastmlp.Network([3, 2200, 2], activation="tanh", seed=0).bind()  # too wide for the stack
    rows, found = X.astype(np.float32), []
    threads = [threading.Thread(target=lambda: found.append(call(bound, rows))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    for each in found:
        np.testing.assert_array_equal(each, bound.predict(rows))
