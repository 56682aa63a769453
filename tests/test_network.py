"""The public methods of a network: predictions, forms of input, `out`, parameters, folding, repr and summary."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastmlp
from fastmlp import _core, reference
from oracles import HIDDEN, OUTPUTS, twin


def data(n_rows: int, n_inputs: int, seed: int = 0) -> Any:
    """Return numbers that are exact in float16, and therefore in every dtype."""
    return np.random.default_rng(seed).integers(-32, 33, size=(n_rows, n_inputs)) / 16


def some_network(build: Any, **words: Any) -> Any:
    return build([5, 17, 3], activation="tanh", output_activation="sigmoid", seed=1, **words)


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("hidden", HIDDEN, ids=repr)
def test_every_layer_against_the_reference(build: Any, hidden: Any, loss: str) -> None:
    net = build([4, 17, 6, 3], activation=hidden, loss=loss, init="normal", seed=2)
    X = data(7, 4)
    oracle = twin(net)
    for actual, expected in [
        (net.activations(X), oracle.activations(X)),
        (net.pre_activations(X), oracle.pre_activations(X)),
    ]:
        assert [array.shape for array in actual] == [(7, 17), (7, 6), (7, 3)]
        for layer in range(3):
            assert actual[layer].dtype == net.dtype
            build.assert_close(actual[layer], expected[layer], net.sizes)
    build.assert_close(net.predict(X), oracle.predict(X), net.sizes)
    assert net.classify(X).tolist() == oracle.classify(X)
    np.testing.assert_array_equal(net.activations(X)[-1], net.predict(X))


@pytest.mark.parametrize("output", [*OUTPUTS["mse"], fastmlp.Threshold()], ids=repr)
def test_output_activations(build: Any, output: Any) -> None:
    net = build([4, 5], output_activation=output, init="normal", seed=3)
    z = net.pre_activations(data(6, 4))[0]
    expected = _core.activation_values(output.name, output.hyper_parameters, z, False, build.isa)
    np.testing.assert_array_equal(net.predict(data(6, 4)), expected)


def test_a_threshold_network_predicts(build: Any) -> None:
    net = build([2, 2, 1], activation="threshold", output_activation="threshold", seed=0)
    net.set_layer(0, [[1, 1], [-1, -1]], [-0.5, 1.5])
    net.set_layer(1, [[1, 1]], [-1.5])
    assert net.predict([[0, 0], [0, 1], [1, 0], [1, 1]]).tolist() == [[0], [1], [1], [0]]


def test_call_is_predict(build: Any) -> None:
    net = some_network(build)
    X, out = data(4, 5), np.empty((4, 3), dtype=net.dtype)
    np.testing.assert_array_equal(net(X), net.predict(X))
    assert net(X, out=out) is out
    np.testing.assert_array_equal(out, net.predict(X))


def test_a_single_row(build: Any) -> None:
    net = some_network(build)
    x = data(1, 5)[0]
    assert net.predict(x).shape == (3,)
    assert [array.shape for array in net.activations(x)] == [(17,), (3,)]
    assert [array.shape for array in net.pre_activations(x)] == [(17,), (3,)]
    assert net.predict(x[np.newaxis]).shape == (1, 3)
    assert isinstance(net.classify(x), np.int64)
    assert net.classify(x[np.newaxis]).shape == (1,)
    np.testing.assert_array_equal(net.predict(x), net.predict(x[np.newaxis])[0])


@pytest.mark.parametrize("n_rows", [2, 6, 17, 97, 300])
def test_rows_do_not_mix(build: Any, n_rows: int) -> None:
    net = build([5, 33, 16, 3], activation="tanh", loss="cross_entropy", seed=4)
    X = data(n_rows, 5)
    whole = net.predict(X)
    build.assert_close(whole, [net.predict(x) for x in X], net.sizes)
    X[n_rows // 2] = np.nan
    mixed = net.predict(X)
    assert np.isnan(mixed[n_rows // 2]).all()
    others = np.arange(n_rows) != n_rows // 2
    build.assert_close(mixed[others], whole[others], net.sizes)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_passes_through_every_activation(build: Any, value: float) -> None:
    for hidden in HIDDEN:
        net = build([2, 3, 2], activation=hidden, init="normal", seed=5)
        y = net.predict([[value, value], [0, 1]])
        assert np.isfinite(y[1]).all()
        if np.isnan(value):
            assert np.isnan(y[0]).all(), hidden


def test_large_enough_to_release_the_lock(build: Any) -> None:
    net = build([784, 32, 10], activation="tanh", loss="cross_entropy", seed=6)
    X = np.random.default_rng(6).uniform(size=(300, 784)).astype(np.float32)
    w, b = [w.astype(np.float64) for w in net.weights], [b.astype(np.float64) for b in net.biases]
    z = np.tanh(X @ w[0].T + b[0]) @ w[1].T + b[1]
    e = np.exp(z)
    build.assert_close(net.predict(X), e / e.sum(axis=1, keepdims=True), net.sizes)
    build.assert_close(net.pre_activations(X)[1], z, net.sizes)
    np.testing.assert_array_equal(net.classify(X), net.predict(X).argmax(axis=1))


@pytest.mark.parametrize("scale", [1, 1e-5, 1e-7, 1e-9, 1e-15, 0])
@pytest.mark.parametrize("n_outputs", [2, 8, 10, 17])
def test_classes_are_those_of_the_outputs_however_alike_they_are(build: Any, n_outputs: int, scale: float) -> None:
    net = build([5, 7, n_outputs], activation="tanh", loss="cross_entropy", init="normal", seed=7)
    X = np.random.default_rng(7).normal(size=(500, 5)) * scale
    X[3], X[4] = np.nan, 1e30
    y = net.predict(X)
    np.testing.assert_array_equal(net.classify(X), np.where(np.isnan(y).any(axis=1), 0, y.argmax(axis=1)))
    assert all(net.classify(x) == net.predict(x).argmax() for x in X[10:20])


def test_subnormal_numbers_work_afterwards(build: Any) -> None:
    """Subnormal numbers are not flushed to 0 after a call, although kernels flush them."""
    net = some_network(build)
    net.predict(data(4, 5))
    net.fit(data(4, 5), np.zeros((4, 3)), epochs=1)
    tiny = np.array([np.finfo(np.float32).tiny, np.finfo(np.float32).tiny], dtype=np.float32)
    assert (tiny / 2 > 0).all()
    assert float(np.finfo(np.float64).tiny) / 2 > 0


# -- classes -----------------------------------------------------------------------------------------------------------


def identity_network(build: Any, n: int) -> Any:
    net = build([n, n], output_activation="identity", seed=0)
    net.set_layer(0, np.eye(n), np.zeros(n))
    return net


def test_classify_takes_the_lowest_index_on_a_tie(build: Any) -> None:
    net = identity_network(build, 4)
    X = [[0, 1, 1, 0], [2, 2, 2, 2], [0, 0, 0, 1], [-3, -2, -1, -1]]
    classes = net.classify(X)
    assert classes.dtype == np.int64
    assert classes.tolist() == [1, 0, 3, 2]
    wide = identity_network(build, 97)
    X = data(50, 97)
    assert wide.classify(X).tolist() == X.argmax(axis=1).tolist()


def test_classify_of_one_output_cuts_at_a_half(build: Any) -> None:
    net = identity_network(build, 1)
    half = net.dtype.type(0.5)
    above = np.nextafter(half, net.dtype.type(1))
    assert net.classify([[0.0], [half], [above], [1.0]]).tolist() == [0, 0, 1, 1]
    assert net.classify([half]) == 0
    figures = net.evaluate([[half], [above]], [[0.0], [1.0]], metrics=["accuracy"])
    assert figures["accuracy"] == 1.0


def test_classes_of_outputs_that_softmax_makes_equal(build: Any) -> None:
    """If outputs have equal probabilities because of rounding, the class is the first maximum of `predict`."""
    net, one = build([1, 3], loss="cross_entropy"), np.ones((), build.dtype)
    n_equal = 0
    for size in (0.01, 0.3, 1.0, 5.0):
        z = np.array([size, size, size], build.dtype)
        for digits in range(1, 6):
            z[1] = np.nextafter(z[1], one * 100)
            net.set_layer(0, [[0.0]] * 3, z)
            y = net.predict([[1.0]])[0]
            n_equal += y[1] == y[0]
            assert net.classify([[1.0]])[0] == y.argmax(), (size, digits)
    assert n_equal > 0


# -- forms of input ----------------------------------------------------------------------------------------------------

FORMS = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "longdouble": lambda X: X.astype(np.longdouble),
    "swapped": lambda X: X.astype(X.dtype.newbyteorder()),
    "swapped float32": lambda X: X.astype(np.dtype(np.float32).newbyteorder()),
    "columns": np.asfortranarray,
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "steps": lambda X: np.repeat(X, 3, axis=1)[:, ::3],
    "other rows": lambda X: np.repeat(X, 2, axis=0)[::2],
    "reversed": lambda X: np.ascontiguousarray(X[::-1])[::-1],
    "part of a wider array": lambda X: np.hstack([X, X])[:, : X.shape[1]],
    "read-only": lambda X: np.frombuffer(X.tobytes(), dtype=X.dtype).reshape(X.shape),
    "matrix subclass": lambda X: X.view(type("Subclass", (np.ndarray,), {})),
    "unaligned": lambda X: np.frombuffer(b"." + X.tobytes(), dtype=np.uint8)[1:].view(X.dtype).reshape(X.shape),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_input(build: Any, form: str) -> None:
    net = some_network(build)
    for dtype in ("float64", net.dtype.name):  # the second dtype would take the fast path if it were contiguous
        X = data(6, 5).astype(dtype)
        given_ = FORMS[form](X.copy())
        before = copy.deepcopy(given_)
        expected = net.predict(np.ascontiguousarray(X, dtype=net.dtype))
        np.testing.assert_array_equal(net.predict(given_), expected)
        assert type(net.predict(given_)) is np.ndarray
        np.testing.assert_array_equal(net.classify(given_), expected.argmax(axis=1))
        np.testing.assert_array_equal(net.activations(given_)[-1], expected)
        np.testing.assert_array_equal(given_, before)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "int64", "uint64", "bool"])
def test_integers_at_face_value(build: Any, dtype: str) -> None:
    net = some_network(build)
    X = np.random.default_rng(7).integers(0, 2 if dtype == "bool" else 120, size=(6, 5)).astype(dtype)
    np.testing.assert_array_equal(net.predict(X), net.predict(X.astype(net.dtype)))
    np.testing.assert_array_equal(net.predict(X[0]), net.predict(X[0].astype(net.dtype)))
    assert net.predict(X).dtype == net.dtype


def test_uint8_from_0_to_255(build: Any) -> None:
    net = identity_network(build, 256)
    X = np.arange(256, dtype=np.uint8)
    assert net.predict(X).tolist() == list(range(256))
    assert net.predict(np.stack([X, X[::-1]])).tolist() == [list(range(256)), list(range(255, -1, -1))]


def test_too_large_for_float32_is_infinite(build: Any) -> None:
    net = identity_network(build, 2)
    y = net.predict(np.array([[1e300, 1.0]]))
    assert y[0, 0] == (np.inf if net.dtype == np.float32 else 1e300)


@st.composite
def inputs(draw: Any) -> Any:
    """Draw an array of up to 40 rows and 20 columns of any dtype, order, strides, direction and alignment."""
    n_rows, n_inputs = draw(st.integers(1, 40)), draw(st.integers(1, 20))
    dtype = draw(st.sampled_from(["f2", "<f4", ">f4", "<f8", ">f8", "i1", "u1", "i4", "<i8", ">i8", "?"]))
    row_step, column_step = draw(st.sampled_from([1, 2, 3, -1, -2])), draw(st.sampled_from([1, 2, -1]))
    order, shift = draw(st.sampled_from("CF")), draw(st.booleans())
    values = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).integers(0, 8, size=(n_rows, n_inputs))
    shape = (n_rows * abs(row_step), n_inputs * abs(column_step))
    memory = np.zeros(shape[0] * shape[1] * np.dtype(dtype).itemsize + 1, dtype=np.uint8)[int(shift) :]
    memory = memory[: memory.size - 1 + int(shift)]
    array = memory.view(dtype).reshape(shape, order=order)[::row_step, ::column_step]
    array[...] = values
    return array


@given(X=inputs(), n_outputs=st.integers(1, 20), seed=st.integers(0, 2**64 - 1))
def test_any_shape_dtype_order_and_stride(build: Any, X: Any, n_outputs: int, seed: int) -> None:
    net = build([X.shape[1], 4, n_outputs], activation="sigmoid", output_activation="sigmoid", seed=seed)
    expected = twin(net).predict(X.astype(np.float64))
    build.assert_close(net.predict(X), expected, net.sizes)
    np.testing.assert_array_equal(net.predict(X), net.predict(np.ascontiguousarray(X, dtype=net.dtype)))
    out = np.full((len(X), n_outputs), 7, dtype=net.dtype)
    np.testing.assert_array_equal(net.predict(X, out=out), net.predict(X))
    build.assert_close(net.predict(X[-1]), expected[-1], net.sizes)


# -- out ---------------------------------------------------------------------------------------------------------------


def test_out_is_written_and_returned(build: Any) -> None:
    net = some_network(build)
    X = data(4, 5)
    for form in (X, X.astype(net.dtype), X.tolist()):
        out = np.full((4, 3), np.nan, dtype=net.dtype)
        assert net.predict(form, out=out) is out
        np.testing.assert_array_equal(out, net.predict(X))
    row = np.empty(3, dtype=net.dtype)
    assert net.predict(X[0], out=row) is row
    np.testing.assert_array_equal(row, net.predict(X[0]))
    np.testing.assert_array_equal(net.predict(X, out=None), net.predict(X))


def test_out_may_be_a_part_of_a_larger_array(build: Any) -> None:
    net = some_network(build)
    larger = np.full((8, 3), 7, dtype=net.dtype)
    net.predict(data(4, 5), out=larger[2:6])
    np.testing.assert_array_equal(larger[2:6], net.predict(data(4, 5)))
    assert (larger[[0, 1, 6, 7]] == 7).all()


def test_results_are_new_arrays(build: Any) -> None:
    net = some_network(build)
    X = data(4, 5).astype(net.dtype)
    first = net.predict(X)
    kept = first.copy()
    second = net.predict(-X)
    assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(first, kept)
    assert first.flags.c_contiguous
    assert first.flags.writeable


# -- parameters --------------------------------------------------------------------------------------------------------


def test_the_order_of_parameters(build: Any) -> None:
    net = some_network(build)
    parts = [array.ravel() for pair in zip(net.weights, net.biases, strict=True) for array in pair]
    P = net.parameters
    assert P.shape == (net.n_parameters,) == (5 * 17 + 17 + 17 * 3 + 3,)
    assert P.dtype == net.dtype
    np.testing.assert_array_equal(P, np.concatenate(parts))
    assert [w.shape for w in net.weights] == [(17, 5), (3, 17)]
    assert [b.shape for b in net.biases] == [(17,), (3,)]


@pytest.mark.parametrize("sizes", [(1, 1), (1, 17, 1), (16, 33, 15, 2), (7, 1, 97)])
def test_parameters_come_back(build: Any, sizes: tuple[int, ...]) -> None:
    net = build(sizes, seed=8)
    P = np.random.default_rng(8).normal(size=net.n_parameters)
    net.parameters = P
    np.testing.assert_array_equal(net.parameters, P.astype(net.dtype))
    other = build(sizes, seed=9)
    for l, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        other.set_layer(l, w, b)
    np.testing.assert_array_equal(other.parameters, net.parameters)
    for form in (P.tolist(), P[::-1][::-1], P.astype(">f8"), P.astype(net.dtype)):
        net.parameters = form
        np.testing.assert_array_equal(net.parameters, P.astype(net.dtype))


def test_parameters_are_copies(build: Any) -> None:
    net = some_network(build)
    X, y = data(3, 5), net.predict(data(3, 5))
    P = net.parameters
    P[:] = 0
    for array in [*net.weights, *net.biases]:
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    np.testing.assert_array_equal(net.predict(X), y)
    net.parameters = P
    P[:] = 1
    assert not net.parameters.any()


@pytest.mark.parametrize("layer", [0, 1, 2, -1, -3, np.int64(1)])
def test_set_layer(build: Any, layer: Any) -> None:
    net = build([2, 3, 4, 2], seed=10)
    before = [*zip(net.weights, net.biases, strict=True)]
    w, b = np.full_like(net.weights[layer], 0.5), np.full_like(net.biases[layer], -0.25)
    net.set_layer(layer, w.tolist(), b.tolist())
    for l, (old_w, old_b) in enumerate(before):
        changed = l == layer % 3
        np.testing.assert_array_equal(net.weights[l], w if changed else old_w)
        np.testing.assert_array_equal(net.biases[l], b if changed else old_b)


def test_changing_a_weight_changes_its_output_alone(build: Any) -> None:
    net = build([3, 4], output_activation="identity", seed=11)
    y = net.predict([1.0, 1.0, 1.0])
    for o in range(4):
        w = net.weights[0].copy()
        w[o, 1] += 1
        moved = net.copy()
        moved.set_layer(0, w, net.biases[0])
        assert np.flatnonzero(moved.predict([1.0, 1.0, 1.0]) != y).tolist() == [o]


# -- initial parameters ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", ["auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal"])
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_initial_parameters_are_the_references(build: Any, init: str, seed: int) -> None:
    words = {"activation": ["relu", "tanh", "relu"], "loss": "cross_entropy", "init": init, "seed": seed}
    net = build([3, 17, 2, 5, 4], **words)
    oracle = reference.Network([3, 17, 2, 5, 4], **words)
    expected = np.array(oracle.parameters)
    if "normal" in init:  # cos and log may differ in the last bit from one mathematical library to another
        np.testing.assert_allclose(net.parameters, expected.astype(net.dtype), rtol=4 * np.finfo(net.dtype).eps)
    else:
        np.testing.assert_array_equal(net.parameters, expected.astype(net.dtype))
    assert net._random_state == oracle._random.state


def test_without_a_seed_networks_differ(build: Any) -> None:
    assert (build([3, 2]).parameters != build([3, 2]).parameters).any()
    assert build([3, 2]).seed is None


# -- folding -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "sizes"),
    [
        (["identity", "identity"], (4, 2)),
        (["identity", "tanh"], (4, 6, 2)),
        (["tanh", "identity"], (4, 5, 2)),
        (["tanh", "relu"], (4, 5, 6, 2)),
    ],
)
def test_fold_linear(build: Any, hidden: list[str], sizes: tuple[int, ...]) -> None:
    net = build([4, 5, 6, 2], activation=hidden, output_activation="sigmoid", init="normal", seed=12)
    P, X = net.parameters, data(9, 4)
    folded = net.fold_linear()
    assert folded.sizes == sizes
    assert [f.name for f in folded.activation] == [f for f in hidden if f != "identity"]
    assert (folded.output_activation, folded.loss, folded.dtype) == (net.output_activation, net.loss, net.dtype)
    build.assert_close(folded.predict(X), net.predict(X), net.sizes)
    build.assert_close(folded.parameters, twin(net).fold_linear().parameters, net.sizes)
    np.testing.assert_array_equal(net.parameters, P)
    folded.parameters = np.zeros(folded.n_parameters)
    np.testing.assert_array_equal(net.parameters, P)


# -- evaluate ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", OUTPUTS)
@pytest.mark.parametrize("n_outputs", [1, 4])
def test_evaluate_against_the_reference(build: Any, loss: str, n_outputs: int) -> None:
    n_outputs += n_outputs == 1 and loss == "cross_entropy"  # softmax needs two outputs
    net = build([3, 5, n_outputs], activation="tanh", loss=loss, init="normal", seed=13)
    oracle, X, rng = twin(net), data(40, 3), np.random.default_rng(13)
    kinds = [rng.integers(0, 2, size=(40, n_outputs)).astype(float), rng.integers(0, 9, size=(40, n_outputs)) / 8]
    for y in [*kinds, rng.integers(0, max(2, n_outputs), size=40)]:
        expected = oracle.evaluate(X, y)
        actual = net.evaluate(X, y)
        assert actual.keys() == expected.keys()
        assert ("accuracy" in actual) == loss.endswith("cross_entropy")
        assert all(type(value) is float for value in actual.values())
        build.assert_close(actual["loss"], expected["loss"], net.sizes)
        assert actual.get("accuracy") == expected.get("accuracy")


def test_evaluate_by_hand(build: Any) -> None:
    X, y = [[1.0, 2.0], [3.0, 5.0]], [[0.0, 0.0], [3.0, 4.0]]
    for loss, value in [("squared_error", (5 + 1) / 2), ("half_squared_error", 1.5), ("mse", 1.5)]:
        net = build([2, 2], loss=loss)
        net.set_layer(0, np.eye(2), np.zeros(2))
        assert net.evaluate(X, y) == {"loss": value}
    assert net.evaluate(X[1], y[1]) == {"loss": 0.5}


def test_evaluate_many_rows(build: Any) -> None:
    net = build([784, 30, 10], loss="cross_entropy", seed=14)
    X, y = data(600, 784), np.random.default_rng(14).integers(10, size=600)
    parts = [net.evaluate(X[i : i + 60], y[i : i + 60]) for i in range(0, 600, 60)]
    whole = net.evaluate(X, y)
    build.assert_close(whole["loss"], np.mean([part["loss"] for part in parts]), net.sizes)
    assert whole["accuracy"] == pytest.approx(np.mean(net.classify(X) == y), abs=1e-12)


# -- copies and words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate",
    [lambda net: net.copy(), copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))],
    ids=["copy", "copy.copy", "deepcopy", "pickle"],
)
def test_copies(build: Any, duplicate: Any) -> None:
    net = build([3, 4, 2], activation=fastmlp.Sigmoid(2.0), loss="cross_entropy", init="normal", seed=15, n_threads=1)
    X, y = data(8, 3), np.arange(8) % 2
    net.fit(X, y, epochs=1)
    other = duplicate(net)
    for name in ("sizes", "activation", "output_activation", "loss", "dtype", "init", "seed", "engine", "n_threads"):
        assert getattr(other, name) == getattr(net, name), name
    assert other._isa == net._isa
    np.testing.assert_array_equal(other.parameters, net.parameters)
    kept = net.parameters
    other.fit(X, y, epochs=1, optimizer=fastmlp.SGD(0.5))
    np.testing.assert_array_equal(net.parameters, kept)
    net.fit(X, y, epochs=1, optimizer=fastmlp.SGD(0.5))
    np.testing.assert_array_equal(net.parameters, other.parameters)


def test_properties(build: Any) -> None:
    net = build([np.int64(2), 3, 4, 1], activation=["logistic", fastmlp.Tanh()], loss="mse", seed=np.uint64(7))
    assert net.sizes == (2, 3, 4, 1)
    assert all(type(size) is int for size in net.sizes)
    assert net.activation == (fastmlp.Sigmoid(), fastmlp.Tanh())
    assert net.output_activation == fastmlp.Identity()
    assert net.loss == fastmlp.MeanSquaredError()
    assert net.dtype == np.dtype(build.dtype)
    assert (net.init, net.seed, net.engine, net.n_threads) == ("auto", 7, build.engine, "auto")
    assert build([2, 1], n_threads=3).n_threads == 3
    assert net.n_parameters == 9 + 16 + 5
    for name in ("sizes", "activation", "loss", "dtype", "n_parameters", "weights"):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


@pytest.mark.parametrize(
    ("loss", "partner"),
    [
        ("mse", fastmlp.Identity()),
        ("binary_cross_entropy", fastmlp.Sigmoid()),
        (fastmlp.CrossEntropy(), fastmlp.Softmax()),
    ],
)
def test_the_loss_chooses_its_partner(build: Any, loss: Any, partner: Any) -> None:
    assert build([2, 2], loss=loss).output_activation == partner


def test_dtypes() -> None:
    for dtype in ("float32", np.float32, np.dtype("float32"), "float64", np.float64, float):
        assert fastmlp.Network([2, 1], dtype=dtype).dtype == np.dtype(dtype)
    assert fastmlp.Network([2, 1]).dtype == np.float32


def test_summary(build: Any) -> None:
    net = build([784, 16, 16, 10], activation=fastmlp.Sigmoid(2.0), loss="cross_entropy")
    text = net.summary()
    for words in ("784", "12,560", "272", "170", "13,002", "Sigmoid(beta=2.0)", "Softmax", "cross_entropy",
                  build.dtype, build.engine, build.isa):  # fmt: skip
        assert words in text
    assert len(text.splitlines()) >= 4


def test_summary_has_the_rule_and_the_seed_of_the_first_parameters() -> None:
    assert "initial parameters normal, seed 5" in fastmlp.Network([2, 1], init="normal", seed=5).summary()


@pytest.mark.parametrize(
    ("sizes", "words", "text"),
    [
        ([2, 1], {}, "[2, 1], identity, mse, float32"),
        ([784, 30, 10], {"loss": "cross_entropy"}, "[784, 30, 10], relu -> softmax, cross_entropy, float32"),
        ([2, 3, 4, 1], {"activation": ["tanh", "relu"]}, "[2, 3, 4, 1], tanh+relu -> identity, mse, float32"),
        ([2, *[7] * 30, 1], {"dtype": "float64"}, "[2, <30 hidden>, 1], relu -> identity, mse, float64"),
        ([2, 1], {"input_scaling": "minmax"}, "[2, 1], identity, mse, float32, scaled inputs"),
        (
            [2, 1],
            {"input_scaling": "minmax", "target_scaling": "minmax"},
            "[2, 1], identity, mse, float32, scaled inputs+targets",
        ),
        ([2, 1], {"target_scaling": "standard"}, "[2, 1], identity, mse, float32, scaled targets"),
    ],
)
def test_repr(sizes: list[int], words: dict[str, Any], text: str) -> None:
    assert repr(fastmlp.Network(sizes, **words)) == f"Network({text})"


def test_repr_is_short_whatever_the_network() -> None:
    """A repr is at most a line of 120 characters; `summary` has the rest."""
    names = ["leaky_relu", "gaussian", "piecewise_linear", "hard_sigmoid"]
    many = fastmlp.Network([1_000_000, *[2] * 2000, 5], activation=names * 500, loss="half_squared_error")
    scaling = fastmlp.Scaling(np.full(20_000, 1 / 3), np.full(20_000, 2 / 3))
    output = fastmlp.PiecewiseLinear(0.1, 1e30 / 3)
    wide = fastmlp.Network(
        [20_000, 10, 10, 20_000],
        activation=["hard_sigmoid", "piecewise_linear"],
        output_activation=output,
        loss="half_squared_error",
        input_scaling=scaling,
        target_scaling=scaling,
    )
    for net in (many, wide):
        assert len(repr(net)) <= 120
        assert "\n" not in repr(net)
