"""Scaling of inputs and targets: how it is fitted, that the core applies it, and that it is saved with the model.

The oracles are scikit-learn's StandardScaler and MinMaxScaler for fitted scalings; for their application, a network
without scaling on rows scaled by NumPy, with the same bits; the reference; and central differences for the gradient.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from conftest import Implementation

import fastmlp
from fastmlp import Scaling, reference
from fastmlp.inputs import arrays

N, I, O = 150, 11, 2
GENERATOR = np.random.default_rng(8)
X = GENERATOR.normal(size=(N, I)) * np.logspace(-3, 4, I) + np.linspace(-50, 1000, I)
Y = GENERATOR.normal(size=(N, O)) * [3.0, 1e4] + [1e5, -7.0]
NEAR_0 = Y - [99e3, 0]  # near enough to 0 for predictions in the network's dtype
KINDS = ("standard", "minmax")
ORACLES = {"standard": "StandardScaler", "minmax": "MinMaxScaler"}


def by_numpy(scaling: Scaling, x: Any, dtype: str) -> np.ndarray:
    return ((np.asarray(x, np.float64) - scaling.offset) / scaling.scale).astype(dtype)


# -- the object --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_rows", [1, 2, N])
@pytest.mark.parametrize("form", ["float64", "float32", "float16", "uint8", "sparse", "pandas"])
def test_what_is_learnt_is_what_scikit_learn_learns(kind: str, n_rows: int, form: str) -> None:
    pandas, preprocessing = (pytest.importorskip(name) for name in ("pandas", "sklearn.preprocessing"))
    data = np.abs(X[:n_rows]) if form == "uint8" else X[:n_rows]
    data = data / 1e3 if form == "float16" else data
    data = np.minimum(data, 255).astype(form) if form in ("float32", "float16", "uint8") else data.copy()
    data[:, 4] = 7  # a constant column
    dense = data.astype(np.float64)
    given = {"sparse": scipy.sparse.csr_array, "pandas": pandas.DataFrame}.get(form, np.asarray)(data)
    scaling = Scaling.fit(given, kind)
    expected = getattr(preprocessing, ORACLES[kind])().fit(dense)
    np.testing.assert_allclose(scaling.apply(dense), expected.transform(dense), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(scaling.undo(scaling.apply(dense)), dense, rtol=1e-9, atol=1e-12)
    assert (scaling.offset[4], scaling.scale[4]) == (7.0, 1.0)


def test_it_is_learnt_a_few_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [Scaling.fit(X, kind) for kind in KINDS]
    monkeypatch.setattr(arrays, "PIECE_NUMBERS", 7 * I)
    for kind, expected in zip(KINDS, whole, strict=True):
        got = Scaling.fit(X, kind)
        np.testing.assert_allclose(got.offset, expected.offset, rtol=1e-11)
        np.testing.assert_allclose(got.scale, expected.scale, rtol=1e-11)


def test_values_far_from_0_keep_their_digits() -> None:
    x = 1e9 + np.arange(5.0)[:, np.newaxis]
    assert Scaling.fit(x) == Scaling([1e9 + 2], [np.sqrt(2)])


def test_an_object_is_a_value() -> None:
    scaling = Scaling([1.0, 2.0], (3, 4))
    assert (
        eval(repr(scaling), vars(fastmlp).copy())
        == scaling
        == pickle.loads(pickle.dumps(scaling))
        == copy.copy(scaling)
    )
    assert hash(scaling) == hash(Scaling([1, 2], [3, 4]))
    assert scaling != Scaling([1, 2], [3, 5])
    assert scaling != 3
    with pytest.raises(AttributeError, match="offset"):
        scaling.offset = np.zeros(2)
    with pytest.raises(ValueError, match="read-only"):
        scaling.offset[0] = 3


@pytest.mark.parametrize(
    ("offset", "scale", "error", "message"),
    [
        ([1.0], [0.0], ValueError, "scale: expected numbers above 0, got 0.0"),
        ([1.0], [-1.0], ValueError, "scale"),
        ([1.0], [np.inf], ValueError, "scale: expected finite numbers, got inf"),
        ([np.nan], [1.0], ValueError, "offset: expected finite numbers, got nan"),
        ([1.0, 2.0], [1.0], ValueError, r"scale: expected shape \(2,\)"),
        ([[1.0]], [1.0], ValueError, "offset: expected a number for each column"),
        (["a"], [1.0], TypeError, "offset: expected real numbers"),
        ([], [], ValueError, "offset"),
    ],
)
def test_bad_scalings(offset: Any, scale: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Scaling(offset, scale)


def test_rows_that_teach_nothing() -> None:
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at row 1, column 0"):
        Scaling.fit([[1.0, 2.0], [np.nan, 3.0]])
    with pytest.raises(ValueError, match=r"X: expected columns whose range is finite, .* column 1"):
        Scaling.fit([[1.0, 1e308], [0.0, -1e308]])
    with pytest.raises(ValueError, match="kind: expected one of 'standard', 'minmax', got 'robust'"):
        Scaling.fit([[1.0]], "robust")
    for rows, error in ((np.zeros((0, 3)), ValueError), ([["a"]], TypeError), (np.zeros((2, 2, 2)), ValueError)):
        with pytest.raises(error, match="X: expected"):
            Scaling.fit(rows)


# -- in a network ------------------------------------------------------------------------------------------------------

FORMS: dict[str, Callable[[np.ndarray, str], Any]] = {
    "own": lambda x, dtype: x.astype(dtype),
    "float64": lambda x, dtype: x,
    "float16": lambda x, dtype: x.astype(np.float16),
    "bytes": lambda x, dtype: np.abs(x).astype(np.uint8),
    "sparse": lambda x, dtype: scipy.sparse.csr_array(np.where(np.abs(x) > 3, x, 0).astype(dtype)),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_core_scales_as_numpy_does(build: Implementation, form: str) -> None:
    raw = np.clip(X, -250, 250)
    given = FORMS[form](raw, build.dtype)
    dense = given.toarray() if form == "sparse" else given
    inputs, targets = Scaling.fit(dense, "standard"), Scaling.fit(NEAR_0, "minmax")
    scaled = build([I, 20, O], seed=1, input_scaling=inputs, target_scaling=targets)
    plain = build([I, 20, O], seed=1)
    x, t = by_numpy(inputs, dense, build.dtype), by_numpy(targets, NEAR_0, build.dtype)
    words: dict[str, Any] = {"epochs": 3, "batch_size": 16}
    ours = scaled.fit(given, NEAR_0, validation_data=(given, NEAR_0), **words)
    theirs = plain.fit(x, t, validation_data=(x, t), **words)
    assert ours == theirs
    np.testing.assert_array_equal(scaled.parameters, plain.parameters)
    assert scaled.train_on_batch(given, NEAR_0) == plain.train_on_batch(x, t)
    assert scaled.evaluate(given, NEAR_0) == plain.evaluate(x, t)
    expected = targets.undo(plain.predict(x)).astype(build.dtype)
    np.testing.assert_array_equal(scaled.predict(given), expected)
    for i in range(3):
        np.testing.assert_array_equal(scaled.predict(dense[i]), scaled.predict(dense[i : i + 1])[0])
    for got, wanted in zip(scaled.activations(given), plain.activations(x), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(scaled.pre_activations(given)[-1], plain.pre_activations(x)[-1])
    loss, gradient = scaled.loss_and_grad(given, NEAR_0)
    wanted_loss, wanted_gradient = plain.loss_and_grad(x, t)
    assert loss == wanted_loss
    np.testing.assert_array_equal(gradient, wanted_gradient)
    wanted = (plain.input_gradient(x, t) / inputs.scale).astype(build.dtype)
    np.testing.assert_array_equal(scaled.input_gradient(given, NEAR_0), wanted)


def test_learn_one_and_lbfgs_scale_too(build: Implementation) -> None:
    inputs, targets = Scaling.fit(X), Scaling.fit(Y)
    scaled = build([I, 5, O], seed=1, input_scaling=inputs, target_scaling=targets)
    plain = build([I, 5, O], seed=1)
    given, values = X.astype(build.dtype), Y.astype(build.dtype)
    x, t = by_numpy(inputs, given, build.dtype), by_numpy(targets, values, build.dtype)
    for i in range(40):
        assert scaled.learn_one(given[i], values[i]) == plain.learn_one(x[i], t[i])
    np.testing.assert_array_equal(scaled.parameters, plain.parameters)
    assert scaled.fit(given, values, optimizer="lbfgs", epochs=3) == plain.fit(x, t, optimizer="lbfgs", epochs=3)


@pytest.mark.parametrize("target", ["array", "number"])
def test_learn_one_scales_targets_before_it_rounds_them(build: Implementation, target: str) -> None:
    scaling = Scaling([1e9], [2.0])
    one, batch = (build([3, 1], seed=1, target_scaling=scaling) for _ in range(2))
    x = X[:1, :3].astype(build.dtype)
    for i in range(5):
        t = np.array([1e9 + i])
        given = t.astype(build.dtype) if target == "array" else float(t[0])
        assert one.learn_one(x[0], given) == batch.train_on_batch(x, np.reshape(given, (1, 1)))
    np.testing.assert_array_equal(one.parameters, batch.parameters)


def test_learn_one_refuses_class_labels_that_would_be_scaled(build: Implementation) -> None:
    net = build([2, 3], target_scaling=Scaling([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]))
    x = np.ones(2, build.dtype)
    net.learn_one(x, np.ones(3, build.dtype))
    with pytest.raises(ValueError, match=r"^y: expected numbers, which target_scaling can scale, got class labels"):
        net.learn_one(x, 1)


FAR = 1_700_000_000 + np.array([[3, 0], [7, 0], [0, 5], [100, 0]])  # integers that are not distinct in float32
FAR_FORMS: dict[str, Callable[[Any], Any]] = {
    "integers": lambda data: data,
    "csr": lambda data: scipy.sparse.csr_array(data.astype(np.float64)),
    "csr of integers": scipy.sparse.csr_array,
    "frame of two types": lambda data: pytest.importorskip("pandas").DataFrame(
        {"a": data[:, 0], "b": data[:, 1] * 1.0}
    ),
}


@pytest.mark.parametrize("form", list(FAR_FORMS))
def test_what_will_be_scaled_keeps_its_digits(build: Implementation, form: str) -> None:
    scaling = Scaling.fit(FAR)
    scaled, plain = build([2, 2], seed=1, input_scaling=scaling), build([2, 2], seed=1)
    given, x = FAR_FORMS[form](FAR), by_numpy(scaling, FAR, build.dtype)
    np.testing.assert_array_equal(scaled.predict(given), plain.predict(x))
    words: dict[str, Any] = {"epochs": 2, "batch_size": 2, "optimizer": fastmlp.SGD(0.01)}
    assert scaled.fit(given, Y[:4, :1] + [1, 2], **words) == plain.fit(x, Y[:4, :1] + [1, 2], **words)
    learning = build([2, 2], seed=1, input_scaling="standard", target_scaling="standard")
    learning.fit(given, FAR, epochs=1)
    assert learning.input_scaling == learning.target_scaling == scaling


def test_scaled_sparse_rows_with_a_column_twice(build: Implementation) -> None:
    """Elements of the same column are added and then scaled, in any order, with empty rows and columns."""
    columns, begins = np.array([2, 0, 2, 1, 1, 0], np.int32), np.array([0, 3, 3, 5, 6])
    data = 1e9 + np.arange(6.0)
    matrix = scipy.sparse.csr_array((data, columns, begins), shape=(4, 4))
    kept = [part.copy() for part in (matrix.data, matrix.indices, matrix.indptr)]
    scaling = Scaling([1e9, 2e9, 2e9, 7.0], [1.0, 3.0, 5.0, 2.0])
    net = build([4, 2], seed=1, input_scaling=scaling)
    np.testing.assert_array_equal(net.predict(matrix), net.predict(matrix.toarray()))
    for part, before in zip((matrix.data, matrix.indices, matrix.indptr), kept, strict=True):
        np.testing.assert_array_equal(part, before)


def test_predict_with_out_and_views(build: Implementation) -> None:
    net = build([I, 5, O], seed=1, input_scaling="standard", target_scaling="standard")
    net.fit(X, NEAR_0, epochs=1)
    given = X.astype(build.dtype)
    expected = net.predict(given)
    out = np.empty_like(expected)
    assert net.predict(given, out=out) is out
    np.testing.assert_array_equal(out, expected)
    row = np.empty(O, build.dtype)
    net.predict(given[3], out=row)
    build.assert_close(row, expected[3], [I, 5, O])


# Targets that float32 cannot hold beside what they vary by: (offset, scale) of the variation sin x.
FAR_TARGETS = {"timestamps": (1.7e9, 50.0), "frequencies": (1e10, 10.0), "beyond": (0.0, 1e39), "near 0": (0.0, 1e-33)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("far", FAR_TARGETS)
def test_targets_far_from_0_are_predicted_as_they_were_learnt(build: Implementation, far: str, kind: str) -> None:
    """R2 agrees with the loss: every method of a float32 network predicts in float64 if float32 is too inaccurate."""
    offset, scale = FAR_TARGETS[far]
    x = np.linspace(0, 6, 200)[:, np.newaxis]
    y = offset + scale * np.sin(x)
    net = build([1, 16, 1], activation="tanh", seed=0, input_scaling="standard", target_scaling=kind)
    words: dict[str, Any] = {"validation_data": (x, y), "metrics": ["r2", "mae"], "optimizer": fastmlp.Adam(0.02)}
    history = net.fit(x, y, epochs=60, **words)
    spread = y.std() if kind == "standard" else np.ptp(y)
    r2 = 1 - history.val_loss[-1] * (spread / y.std()) ** 2
    assert r2 > 0.9
    assert history.val_r2[-1] == pytest.approx(r2, abs=1e-4)
    predicted = net.predict(x)
    assert predicted.dtype == np.float64
    assert 1 - np.var(predicted - y) / np.var(y) == pytest.approx(r2, abs=2e-3)
    assert history.val_mae[-1] == pytest.approx(np.abs(predicted - y).mean(), rel=1e-6)
    assert net.evaluate(x, y, metrics=["r2"])["r2"] == history.val_r2[-1]
    out = np.empty_like(predicted)
    assert net.predict(x, out=out) is out
    csr = scipy.sparse.csr_array(x)
    for other in (out, net(x), net.predict(x.tolist()), net.predict(csr), net.copy()(x)):
        np.testing.assert_array_equal(other, predicted)
    row = np.empty(1)
    assert net.predict(x[7], out=row) is row
    build.assert_close((row - offset) / spread, (predicted[7] - offset) / spread, [1, 16, 1])
    assert net.activations(x)[-1].dtype == build.dtype  # scaled, as the network is trained on them
    if build.dtype == "float32":
        with pytest.raises(ValueError, match=r"out: expected .* dtype float64, got dtype float32"):
            net.predict(x, out=np.empty((200, 1), np.float32))
        with pytest.raises(ValueError, match="out: expected memory of its own"):
            net.predict(out, out=out)


def test_where_float32_holds_the_targets_it_is_what_comes_back() -> None:
    for offset, scale, dtype in ((1000.0, 1.0, "float32"), (1025.0, 1.0, "float64"), (-2e3, 2.0, "float32")):
        targets = Scaling([0.0, offset], [1.0, scale])
        net = fastmlp.Network([I, 2], seed=0, target_scaling=targets)
        assert net.predict(X).dtype == net.predict(X[0]).dtype == dtype
        net = fastmlp.Network([I, 2], seed=0, dtype="float64", target_scaling=targets)
        assert net.predict(X).dtype == np.float64


@pytest.mark.parametrize("name", ["input_scaling", "target_scaling"])
def test_a_description_has_its_entries_and_no_others(name: str) -> None:
    """A model file with an unknown entry is refused, as a later version may have given it a meaning."""
    from fastmlp import scaling
    from fastmlp.formats import descriptions

    network = fastmlp.Network([I, O], input_scaling=Scaling.fit(X), target_scaling=Scaling.fit(Y))
    architecture = descriptions.describe_architecture(network._architecture(), 0)
    described = architecture[name]
    assert scaling.from_description(name, described, len(described["scale"])) == Scaling(**described)
    for wrong in ({**described, "clip": [1.0]}, {"offset": described["offset"]}, {**described, "scale": None}, {}):
        with pytest.raises(fastmlp.FormatError, match=f"{name}: expected lists of numbers 'offset' and 'scale'"):
            descriptions.architecture_from({**architecture, name: wrong})


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_scales_so(build64: Implementation, kind: str) -> None:
    words: dict[str, Any] = {"seed": 3, "input_scaling": kind, "target_scaling": kind, "activation": "tanh"}
    net, other = build64([I, 4, O], **words), reference.Network([I, 4, O], **words)
    fit: dict[str, Any] = {"epochs": 2, "validation_split": 0.25, "metrics": ["mae", "r2"], "optimizer": "sgd"}
    ours, theirs = net.fit(X, Y, **fit), other.fit(X.tolist(), Y.tolist(), **fit)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-8)
    # A mean of -50 has an error of some 1e-14, which a deviation of 1e-3 makes a thousand times larger.
    build64.assert_close(net.predict(X), other.predict(X.tolist()), [I, 4, O], passes=200)
    np.testing.assert_allclose(
        net.input_gradient(X[:2], Y[:2]), other.input_gradient(X[:2].tolist(), Y[:2].tolist()), rtol=1e-7
    )
    given: Any = {"input_scaling": Scaling.fit(X), "target_scaling": Scaling.fit(Y)}
    net, other = build64([I, O], seed=3, **given), reference.Network([I, O], seed=3, **given)
    np.testing.assert_allclose(net.predict(X[0]), other.predict(X[0].tolist()), rtol=1e-9)
    assert (net.classify(X) == other.classify(X.tolist())).all()
    folded, theirs_folded = net.fold_linear(), other.fold_linear()
    np.testing.assert_allclose(folded.predict(X[:3]), theirs_folded.predict(X[:3].tolist()), rtol=1e-9)


def test_metrics_are_in_the_unit_of_the_targets(build64: Implementation) -> None:
    net = build64([I, O], seed=0, input_scaling="standard", target_scaling="standard")
    net.fit(X, Y, epochs=2)
    figures = net.evaluate(X, Y, metrics=["mae", "mse"])
    error = net.predict(X) - Y
    np.testing.assert_allclose(figures["mae"], np.abs(error).mean(), rtol=1e-9)
    np.testing.assert_allclose(figures["mse"], (error**2).mean(), rtol=1e-9)
    np.testing.assert_allclose(figures["loss"], ((error / Scaling.fit(Y).scale) ** 2).mean(), rtol=1e-9)


def test_the_input_gradient_is_that_of_the_raw_inputs(build64: Implementation) -> None:
    net = build64([I, 5, O], activation="tanh", seed=0, input_scaling="standard", target_scaling="minmax")
    net.fit(X, Y, epochs=1)
    x, y = X[:1], Y[:1]
    gradient = net.input_gradient(x, y)[0]
    for i in range(I):
        step = 1e-5 * net.input_scaling.scale[i]  # type: ignore[union-attr]
        ahead, behind = x.copy(), x.copy()
        ahead[0, i] += step
        behind[0, i] -= step
        slope = (net.evaluate(ahead, y)["loss"] - net.evaluate(behind, y)["loss"]) / (ahead - behind)[0, i]
        np.testing.assert_allclose(gradient[i], slope, rtol=1e-5, atol=1e-10)


def test_digits_that_folding_would_lose() -> None:
    """Years are scaled accurately, in double; folded into float32 weights, w x + b would cancel."""
    years = np.linspace(2020.0, 2021.0, 64)[:, np.newaxis]
    scaling = Scaling.fit(years)
    net = fastmlp.Network([1, 1], seed=0, input_scaling=scaling)
    net.set_layer(0, [[1.0]], [0.0])
    np.testing.assert_allclose(net.predict(years)[:, 0], scaling.apply(years)[:, 0], rtol=2**-23)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_learnt_from_the_rows_that_are_trained_on(kind: str) -> None:
    net = fastmlp.Network([I, O], seed=0, input_scaling=kind, target_scaling=kind)
    assert (net.input_scaling, net.target_scaling) == (kind, kind)
    net.fit(X, Y, epochs=1, validation_split=0.5, sample_weight=np.arange(N) % 3)  # each row counts once
    assert net.input_scaling == Scaling.fit(X[: N // 2], kind)
    assert net.target_scaling == Scaling.fit(Y[: N // 2], kind)
    net.fit(X + 5, Y, epochs=1)
    assert net.input_scaling == Scaling.fit(X[: N // 2], kind)


def test_it_is_learnt_by_partial_fit_and_left_by_a_fit_that_fails() -> None:
    net = fastmlp.Network([I, O], seed=0, input_scaling="standard")
    with pytest.raises(ValueError, match="X: expected finite numbers, got inf at row 3, column 1"):
        net.fit(np.where((np.arange(N * I) == 3 * I + 1).reshape(N, I), np.inf, X), Y)
    assert net.input_scaling == "standard"
    with pytest.raises(FloatingPointError):
        net.fit(X, Y * 1e30, epochs=2, optimizer=fastmlp.SGD(1e30))
    assert net.input_scaling == "standard"
    net.partial_fit(X, Y)
    assert net.input_scaling == Scaling.fit(X)


@pytest.mark.parametrize("method", ["train_on_batch", "learn_one", "batches"])
def test_what_comes_before_a_fit_needs_a_scaling(method: str) -> None:
    for net in (fastmlp.Network([I, O], input_scaling="standard"), reference.Network([I, O], input_scaling="standard")):
        calls: dict[str, Callable[[], Any]] = {
            "train_on_batch": lambda net=net: net.train_on_batch(X.tolist(), Y.tolist()),
            "learn_one": lambda net=net: net.learn_one(X[0].tolist(), Y[0].tolist()),
            "batches": lambda net=net: net.fit([(X.tolist(), Y.tolist())], epochs=1),
        }
        with pytest.raises(ValueError, match="input_scaling: expected"):
            calls[method]()


def test_a_number_that_overflows_when_scaled_is_named() -> None:
    net = fastmlp.Network([2, 1], input_scaling=Scaling([0.0, 0.0], [1.0, 1e-30]))
    with pytest.raises(ValueError, match=r"finite in float32 once scaled, got 1000000000.0 at row 1, column 1"):
        net.fit(np.array([[0.0, 0.0], [0.0, 1e9]]), [0.0, 1.0])
    net = fastmlp.Network([2, 1], input_scaling=Scaling([0.0, 0.0], [1.0, 1e-37]))
    with pytest.raises(ValueError, match=r"finite in float32 once scaled, got 200 at row 1, column 1"):  # of bytes, too
        net.fit(np.array([[0, 0], [0, 200]], np.uint8), [0.0, 1.0])


@pytest.mark.parametrize("argument", ["input_scaling", "target_scaling"])
def test_bad_words(argument: str) -> None:
    for make in (fastmlp.Network, reference.Network):
        with pytest.raises(ValueError, match=argument):
            make([I, I], **{argument: "robust"})
        with pytest.raises(ValueError, match=argument):
            make([I, I], **{argument: Scaling([0.0], [1.0])})
        with pytest.raises(TypeError, match=argument):
            make([I, I], **{argument: 3})


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "poisson", "gamma", "hinge", "gaussian_nll"])
def test_targets_that_cannot_be_scaled(loss: str) -> None:
    for make in (fastmlp.Network, reference.Network):
        with pytest.raises(ValueError, match="target_scaling: expected None for the loss"):
            make([I, 2], loss=loss, target_scaling=Scaling([0.0, 0.0], [1.0, 1.0]))


def test_labels_cannot_be_scaled() -> None:
    with pytest.raises(ValueError, match="y: expected numbers, which target_scaling can scale, got class labels"):
        fastmlp.Network([I, O], target_scaling="standard").fit(X, np.arange(N) % O)


# -- with the model ----------------------------------------------------------------------------------------------------


def test_it_travels(build: Implementation, tmp_path: Path) -> None:
    net = build([I, 5, O], seed=1, input_scaling="standard", target_scaling="minmax")
    words = fastmlp.Network([I, 5, O], input_scaling="standard").copy()
    assert words.input_scaling == "standard"
    net.fit(X, Y, epochs=2)
    net.save(tmp_path / "model")
    again = [
        fastmlp.load(tmp_path / "model", engine=build.engine),
        net.copy(),
        copy.deepcopy(net),
        pickle.loads(pickle.dumps(net)),
        net.fold_linear(),
    ]
    for other in again:
        assert (other.input_scaling, other.target_scaling) == (net.input_scaling, net.target_scaling)
    for other in again[1:4]:
        np.testing.assert_array_equal(other.predict(X), net.predict(X))
    build.assert_close(again[0].predict(X), net.predict(X), [I, 5, O], passes=4)
    assert "inputs scaled, targets scaled" in net.summary()
    assert "inputs scaled (standard, to be learnt)" in words.summary()


def test_a_model_without_scaling_is_written_as_before(tmp_path: Path) -> None:
    fastmlp.Network([2, 1], seed=0).save(tmp_path / "model")
    data = (tmp_path / "model").read_bytes()
    assert not any(word in data for word in (b"scaling", b"feature_names"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_scaling", "robust"),
        ("input_scaling", 3),
        ("input_scaling", {"offset": [0.0, 0.0]}),
        ("input_scaling", {"offset": [0.0, 0.0], "scale": [1.0, 0.0]}),
        ("input_scaling", {"offset": [0.0, "a"], "scale": [1.0, 1.0]}),
        ("input_scaling", {"offset": [0.0], "scale": [1.0]}),
        ("input_scaling", {"offset": [True, 0.0], "scale": [1.0, 1.0]}),
        ("target_scaling", {"offset": [0.0, 0.0], "scale": [1.0, 1.0]}),
        ("feature_names", ["a"]),
        ("feature_names", ["a", 3]),
        ("feature_names", "ab"),
    ],
)
def test_what_a_file_says_of_columns_is_checked(field: str, value: Any) -> None:
    from fastmlp.formats import descriptions

    described = descriptions.describe_architecture(fastmlp.Network([2, 1], seed=0)._architecture(), 0)
    with pytest.raises(fastmlp.FormatError, match=field):
        descriptions.architecture_from({**described, field: value})


def test_a_fit_with_scaling_resumes(tmp_path: Path) -> None:
    words: dict[str, Any] = {"epochs": 4, "batch_size": 32}
    nets = [fastmlp.Network([I, 5, O], seed=1, input_scaling="standard", target_scaling="standard") for _ in range(3)]
    nets[0].fit(X, Y, **words)
    path = tmp_path / "checkpoint"

    class InterruptError(Exception):
        pass

    def stop(batch: int, logs: Any) -> None:
        if batch == 3:
            raise InterruptError

    class Stop:
        on_batch_end = staticmethod(stop)

    checkpoint = fastmlp.Checkpoint(path, every=2, unit="step")
    with pytest.raises(InterruptError):
        nets[1].fit(X, Y, callbacks=[checkpoint, Stop()], **words)
    assert nets[1].input_scaling == "standard"
    nets[2].fit(X, Y, callbacks=[checkpoint], resume=path, **words)
    np.testing.assert_array_equal(nets[2].parameters, nets[0].parameters)
    assert nets[2].input_scaling == nets[0].input_scaling
    with pytest.raises(ValueError, match=r"resume: expected a network with (input|target)_scaling"):
        fastmlp.Network([I, 5, O], seed=1).fit(X, Y, callbacks=[checkpoint], resume=path, **words)


# -- beside a fit that is learning the scaling -------------------------------------------------------------------------


def test_what_is_made_of_a_network_in_its_first_epoch_is_what_its_readers_see(tmp_path: Path) -> None:
    """While scalings are fitted, the published parameters belong to no scaling, and so does a copy of the network."""
    net = fastmlp.Network([I, 5, O], input_scaling="standard", target_scaling="standard", dtype="float64", seed=0)
    before = net.predict(X)
    seen: list[Any] = []

    def look() -> None:
        net.save(tmp_path / "m.safetensors")
        copies = (
            net.copy(),
            pickle.loads(pickle.dumps(net)),
            net.fold_linear(),
            fastmlp.load(tmp_path / "m.safetensors"),
        )
        seen.extend(each.predict(X) for each in (net, *copies))
        assert [each.input_scaling for each in (net, *copies)] == ["standard"] * 5
        assert "to be learnt" in net.summary()
        gradient, step = net.input_gradient(X[:1], Y[:1]), np.zeros((1, I))
        step[0, 3] = 1e-4
        losses = [net.loss_and_grad(X[:1] + sign * step, Y[:1])[0] for sign in (1, -1)]
        np.testing.assert_allclose(gradient[0, 3], (losses[0] - losses[1]) / 2e-4, rtol=1e-4)

    class Look:
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if not seen:
                look()

    net.fit(X, Y, epochs=2, callbacks=[Look()])
    for got in seen:
        np.testing.assert_array_equal(got, before)
    assert isinstance(net.copy().input_scaling, Scaling)
    np.testing.assert_array_equal(net.copy().predict(X), net.predict(X))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("which", ["input_scaling", "target_scaling"])
@pytest.mark.parametrize("kind", ["standard", "minmax"])
@pytest.mark.parametrize("network", [fastmlp.Network, reference.Network])
def test_spreads_that_networks_cannot_tell_from_0(network: Any, kind: str, which: str, dtype: str) -> None:
    """Scales below the smallest normal number, which the core takes as 0, are refused; larger ones are exact."""
    if network is reference.Network and dtype == "float32":
        return
    x = np.random.default_rng(0).normal(size=(40, 1))
    of_inputs = which == "input_scaling"
    options = {} if network is reference.Network else {"dtype": dtype}

    def fit(size: float) -> Any:
        net = network([1, 4, 1], seed=0, **{which: kind}, **options)
        X, y = (x * size, x) if of_inputs else (x, x * size)
        net.fit(X.tolist(), y.tolist(), epochs=5)
        return np.asarray(net.predict(X.tolist())) / (1 if of_inputs else size)

    expected = fit(1.0)
    for size in (1e-20, 2.0**-900, 1e-290):
        np.testing.assert_allclose(fit(size), expected, rtol=1e-4, atol=1e-5)
    for size in (1e-295, 1e-308, 1e-310, 5e-324):
        with pytest.raises(ValueError, match=rf"{which}: expected scales of at least 2\*\*-970"):
            fit(size)
    for given in (1e-310, 1e-295):
        with pytest.raises(ValueError, match=rf"{which}: expected scales of at least 2\*\*-970"):
            network([1, 4, 1], **{which: Scaling([0.0], [given])}, **options)


def test_rows_that_change_while_they_are_read_are_an_error_with_a_name() -> None:
    """Data may change before the error message is made, which then cannot show the invalid number."""
    from fastmlp.inputs import targets

    with pytest.raises(ValueError, match="X: its numbers changed while they were read"):
        targets.refuse_not_finite("X", np.zeros((2, 3)), np.dtype(np.float32))
