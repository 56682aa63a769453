"""Weights assigned to `coefs_` and `intercepts_`: of any dtype, to an estimator without a fit, of wrong shapes.

The oracle are scikit-learn's classes with the same arrays.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

from sklearn import neural_network  # noqa: E402
from sklearn.preprocessing import LabelBinarizer  # noqa: E402

import fastmlp.sklearn  # noqa: E402
from fastmlp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

CORNERS = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
XOR = [np.array([[1, 1], [1, 1]]), np.array([[1], [-2]])], [np.array([0, -1]), np.array([0])]
DTYPES = [
    "bool",
    "int8",
    "uint8",
    "int64",
    "uint64",
    "float16",
    "float32",
    "float64",
    "longdouble",
    ">f4",
    ">f8",
    ">i4",
]


def pair(name: str, **words: Any) -> list[Any]:
    """Return the estimators of both libraries."""
    return [getattr(module, name)(**words) for module in (neural_network, fastmlp.sklearn)]


def fitted(ours: Any = MLPRegressor, hidden: Any = (2,), n_inputs: int = 2, y: Any = None) -> Any:
    X = np.random.default_rng(0).normal(size=(6, n_inputs))
    return ours(hidden_layer_sizes=hidden, max_iter=1, random_state=0).fit(X, X[:, 0] if y is None else y)


# -- dtypes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fit_dtype", ["float32", "float64"])
def test_weights_of_any_dtype(dtype: str, fit_dtype: str) -> None:
    """Weights of XOR in any dtype; booleans, which cannot hold its -2, give scikit-learn's result."""
    answers = []
    for model in pair("MLPRegressor", hidden_layer_sizes=[2], max_iter=1, random_state=0):
        model.fit(CORNERS.astype(fit_dtype), [0, 1, 1, 0])
        signed = dtype == "bool" or np.dtype(dtype).kind == "u"
        part = (lambda a: np.abs(a).astype(dtype)) if signed else (lambda a: a.astype(dtype))
        model.coefs_, model.intercepts_ = [part(w) for w in XOR[0]], [part(b) for b in XOR[1]]
        answers.append(model.predict(CORNERS))
        assert signed or answers[-1].tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(*answers)


@pytest.mark.parametrize("first", DTYPES[1:])
@pytest.mark.parametrize("last", DTYPES[1:])
def test_no_part_narrows_another(first: str, last: str) -> None:
    """The dtype can hold all arrays, and is at least float32; integers and long doubles count as float64."""
    model = fitted()
    model.coefs_ = [np.ones((2, 2), first), np.ones((2, 1), last)]
    model.intercepts_ = [np.zeros(2, first), np.zeros(1, last)]
    small = {np.dtype(each).kind == "f" and np.dtype(each).itemsize <= 4 for each in (first, last)}
    assert model.to_network().dtype == ("float32" if small == {True} else "float64")


def test_digits_of_a_later_layer_are_kept() -> None:
    model = fitted()
    model.coefs_ = [np.zeros((2, 2), np.float32), np.zeros((2, 1))]
    model.intercepts_ = [np.zeros(2, np.float32), np.array([100000000.617])]
    assert model.predict(CORNERS)[0] == 100000000.617


def test_lists_are_taken() -> None:
    model = fitted()
    model.coefs_, model.intercepts_ = ([part.tolist() for part in parts] for parts in XOR)
    assert model.predict(CORNERS).tolist() == [0, 1, 1, 0]


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is float64 here")
def test_a_long_double_that_float64_cannot_hold() -> None:
    model = fitted()
    model.intercepts_[1] = np.array([np.longdouble("1e400")])
    with pytest.raises(
        ValueError, match=r"intercepts_\[1\]: expected finite numbers, got 1e\+400, more than float64 can"
    ):
        model.predict(CORNERS)


@pytest.mark.parametrize("value", [np.full((2, 1), "a"), np.full((2, 1), 1j), np.full((2, 1), None)])
def test_what_is_no_number(value: Any) -> None:
    model = fitted()
    model.coefs_[1] = value
    with pytest.raises(TypeError, match=r"coefs_\[1\]: expected real numbers, got dtype"):
        model.predict(CORNERS)


# -- without a fit -----------------------------------------------------------------------------------------------------

FORMS = {
    "array": lambda x: x,
    "float32": lambda x: x.astype(np.float32),
    "list": lambda x: x.tolist(),
    "columns first": np.asfortranarray,
    "integers": lambda x: x.astype(int),
}


def give_weights(model: Any, n_outputs: int, out: str, dtype: str) -> Any:
    rng = np.random.default_rng(3)
    model.coefs_ = [rng.normal(size=(2, 3)).astype(dtype), rng.normal(size=(3, n_outputs)).astype(dtype)]
    model.intercepts_ = [rng.normal(size=3).astype(dtype), rng.normal(size=n_outputs).astype(dtype)]
    model.n_layers_, model.n_outputs_, model.out_activation_ = 3, n_outputs, out
    return model


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_regressor_without_a_fit(form: str, dtype: str, n_outputs: int) -> None:
    theirs, ours = (give_weights(m, n_outputs, "identity", dtype) for m in pair("MLPRegressor", hidden_layer_sizes=[3]))
    X = FORMS[form](CORNERS)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("labels", "n_outputs", "out"),
    [
        (["no", "yes"], 1, "logistic"),
        ([3, 5, 9], 3, "softmax"),
        (np.array([[0, 1], [1, 0], [1, 1]]), 2, "logistic"),
    ],
)
def test_a_classifier_without_a_fit(form: str, dtype: str, labels: Any, n_outputs: int, out: str) -> None:
    theirs, ours = (give_weights(m, n_outputs, out, dtype) for m in pair("MLPClassifier", hidden_layer_sizes=[3]))
    X, tolerance = FORMS[form](CORNERS), 1e-5 if dtype == "float32" else 1e-12
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=tolerance)
    for model in (theirs, ours):
        model._label_binarizer = LabelBinarizer().fit(labels)
        model.classes_ = model._label_binarizer.classes_
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
    del ours._label_binarizer  # a private attribute, which users do not set
    np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))


def test_the_width_is_that_of_the_first_weights() -> None:
    ours = give_weights(MLPRegressor(hidden_layer_sizes=[3]), 1, "identity", "float64")
    for X in (np.ones((2, 5)), np.ones((2, 5)).tolist()):
        with pytest.raises(ValueError, match="2"):
            ours.predict(X)


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_two_wrong_shapes_that_add_up() -> None:
    model = fitted(hidden=(3,))
    model.intercepts_[0], model.coefs_[1] = np.ones(2), np.ones((4, 1))
    for call in (lambda: model.predict(CORNERS), model.to_network):
        with pytest.raises(ValueError, match=r"intercepts_\[0\]: expected shape \(3,\).*got shape \(2,\)"):
            call()


WRONG = [(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, -1), (-1, 1)]


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("by", WRONG[1:])
def test_one_wrong_matrix(layer: int, by: tuple[int, int]) -> None:
    """The first layer must have the inputs of the fit, and the last layer its outputs."""
    model = fitted(hidden=(3, 4))
    shape = model.coefs_[layer].shape
    wrong = max(shape[0] + by[0], 0), max(shape[1] + by[1], 0)
    model.coefs_[layer] = np.ones(wrong)
    with pytest.raises(ValueError, match=r"^(coefs_|intercepts_)\[\d\]: expected shape \(.*\).*, got shape \("):
        model.predict(CORNERS)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_a_transposed_matrix(layer: int) -> None:
    model = fitted(hidden=(3, 4), n_inputs=5)
    turned = model.coefs_[layer].T
    shape = model.coefs_[layer].shape
    model.coefs_[layer] = turned
    with pytest.raises(ValueError, match=r"coefs_\[\d\]") as error:
        model.to_network()
    assert f"coefs_[{layer}]: expected shape {shape}" in str(error.value)
    assert f"got shape {turned.shape}; its transpose, w.T, has that shape" in str(error.value)


@pytest.mark.parametrize("layer", [0, 1, 2])
@pytest.mark.parametrize("shape", [(), (1, 1), (2,), (7,), (0,), (3, 1)])
def test_one_wrong_vector(layer: int, shape: tuple[int, ...]) -> None:
    model = fitted(hidden=(3, 4))
    model.intercepts_[layer] = np.ones(shape)
    with pytest.raises(ValueError, match=rf"intercepts_\[{layer}\]: expected shape \(.*\).*, got shape \("):
        model.predict(CORNERS)


@pytest.mark.parametrize(("n_coefs", "n_intercepts"), [(1, 1), (1, 2), (2, 1), (3, 2), (2, 3), (0, 0), (3, 3)])
def test_wrong_counts(n_coefs: int, n_intercepts: int) -> None:
    model = fitted()
    w, b = [*model.coefs_, np.ones((1, 1))], [*model.intercepts_, np.ones(1)]
    model.coefs_, model.intercepts_ = w[:n_coefs], b[:n_intercepts]
    with pytest.raises(ValueError, match=r"(coefs_|intercepts_): expected 2 arrays, .* got \d"):
        model.predict(CORNERS)


@pytest.mark.parametrize("value", [np.ones((2, 2, 2)), 3.0, "weights", None])
def test_no_list(value: Any) -> None:
    model = fitted()
    model.coefs_ = value
    with pytest.raises(TypeError, match="coefs_: expected a list with an array for each layer, got"):
        model.predict(CORNERS)


def test_outputs_are_those_of_the_classes() -> None:
    """Two output columns for two classes, which have one output, are refused."""
    model = fitted(MLPClassifier, y=[0, 1] * 3)
    model.coefs_[1], model.intercepts_[1] = np.ones((2, 2)), np.ones(2)
    with pytest.raises(ValueError, match=r"coefs_\[1\]: expected shape \(2, 1\) .*n_outputs_, got shape \(2, 2\)"):
        model.predict(CORNERS)


def test_another_hidden_size_that_fits_is_taken_as_by_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    parts = [rng.normal(size=(2, 5)), rng.normal(size=(5, 1))], [rng.normal(size=5), rng.normal(size=1)]
    answers = []
    for model in pair("MLPRegressor", hidden_layer_sizes=[2], max_iter=1, random_state=0):
        model.fit(CORNERS, [0, 1, 1, 0])
        model.coefs_, model.intercepts_ = (list(part) for part in parts)
        answers.append(model.predict(CORNERS))
    np.testing.assert_allclose(*answers, rtol=1e-13)


def test_training_on_weights_of_wrong_shape_is_refused() -> None:
    model = fitted(hidden=(3,))
    model.intercepts_[0], model.coefs_[1] = np.ones(2), np.ones((4, 1))
    with pytest.raises(ValueError, match=r"intercepts_\[0\]: expected shape \(3,\)"):
        model.partial_fit(CORNERS, [0, 1, 1, 0])


@pytest.mark.parametrize("kind", [neural_network.MLPRegressor, MLPRegressor])
def test_a_list_that_was_held_is_still_the_estimators(kind: Any) -> None:
    """As in scikit-learn, arrays assigned in an old reference to the list count."""
    model = kind(hidden_layer_sizes=[3], max_iter=1, random_state=0).fit(CORNERS, CORNERS[:, 0])
    held = model.intercepts_
    for use in ("nothing", "predict", "partial_fit"):
        if use != "nothing":
            getattr(model, use)(CORNERS, *([CORNERS[:, 0]] if use == "partial_fit" else []))
        for value in (1.0, 2.0):
            model.coefs_ = [np.zeros((2, 3)), np.zeros((3, 1))]
            held[1] = np.array([value])
            assert model.predict(CORNERS).tolist() == [value] * 4


def test_a_shallow_copy_has_lists_of_its_own() -> None:
    model = MLPRegressor(hidden_layer_sizes=[3], max_iter=1, random_state=0).fit(CORNERS, CORNERS[:, 0])
    before, other = model.predict(CORNERS), copy.copy(model)
    other.partial_fit(CORNERS, CORNERS[:, 0])
    np.testing.assert_array_equal(model.predict(CORNERS), before)
    assert not np.array_equal(other.predict(CORNERS), before)


@pytest.mark.parametrize("name", ["coefs_", "intercepts_"])
def test_weights_that_are_deleted_are_missing(name: str) -> None:
    model = fitted()
    delattr(model, name)
    with pytest.raises((AttributeError, ValueError), match=name):  # NotFittedError is both
        model.predict(CORNERS)


# -- what else a network of assigned weights is made of ----------------------------------------------------------------


@pytest.mark.parametrize("weights", ["float16", "float32", "float64"])
@pytest.mark.parametrize("rows", ["float32", "float64", "int64", "uint8"])
def test_rows_and_weights_are_multiplied_in_the_wider_of_their_types(weights: str, rows: str) -> None:
    shift = 1e9 if weights != "float16" else 1e3
    X = (np.array([[shift + 1], [shift + 2], [shift + 3]]) if rows != "uint8" else np.array([[1], [2], [3]])).astype(
        rows
    )
    answers = []
    for model in pair("MLPRegressor", hidden_layer_sizes=[1], max_iter=1, random_state=0):
        model.fit(np.zeros((3, 1)), [0.0, 1.0, 2.0])
        model.coefs_ = [np.ones((1, 1), weights)] * 2
        model.intercepts_ = [np.array([-shift], weights if weights != "float16" else "float32"), np.zeros(1, weights)]
        answers.append(model.predict(X))
    np.testing.assert_array_equal(*answers)
    assert answers[1].dtype == (np.float64 if weights == "float64" else np.float32)  # rounded once, to the weights' own


def test_float64_rows_of_an_estimator_that_was_fitted_in_float32() -> None:
    rng = np.random.default_rng(0)
    X = 1e6 + rng.normal(size=(50, 2))
    for name, y in (("MLPRegressor", X[:, 0] - 1e6), ("MLPClassifier", (X[:, 0] > 1e6).astype(int))):
        theirs, ours = pair(name, hidden_layer_sizes=[3], max_iter=2, random_state=0)
        for model in (theirs, ours):
            with np.errstate(all="ignore"):
                model.fit((X - 1e6).astype(np.float32), y)
        ours.coefs_, ours.intercepts_ = [w.copy() for w in theirs.coefs_], [b.copy() for b in theirs.intercepts_]
        np.testing.assert_allclose(ours.predict(X - 1e6), theirs.predict(X - 1e6), rtol=1e-7)
        copied = copy.deepcopy(ours)
        np.testing.assert_array_equal(copied.predict(X), ours.predict(X))
    chosen = MLPRegressor(hidden_layer_sizes=[3], max_iter=2, random_state=0, dtype="float32").fit(X - 1e6, X[:, 0])
    assert chosen.predict(X).dtype == np.float32  # the requested dtype


@pytest.mark.parametrize("name", ["identity", "logistic", "tanh", "relu"])
def test_an_output_activation_that_is_assigned_acts(name: str) -> None:
    answers = []
    for model in pair("MLPRegressor", hidden_layer_sizes=[2]):
        model.coefs_, model.intercepts_ = ([np.array(part, float) for part in parts] for parts in XOR)
        model.n_layers_, model.n_outputs_, model.out_activation_ = 3, 1, name
        answers.append(model.predict(CORNERS))
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-12)
    model.out_activation_ = "bogus"
    with pytest.raises(ValueError, match=r"out_activation_: expected one of 'identity', .*, got 'bogus'"):
        model.predict(CORNERS)


@pytest.mark.parametrize("before", [False, True])
def test_an_activation_that_is_set_acts_whether_or_not_there_was_a_prediction(before: bool) -> None:
    answers = []
    for model in pair("MLPRegressor", hidden_layer_sizes=[2]):
        model.coefs_, model.intercepts_ = ([np.array(part, float) for part in parts] for parts in XOR)
        model.n_layers_, model.n_outputs_, model.out_activation_ = 3, 1, "identity"
        if before:
            model.predict(CORNERS)
        answers.append(model.set_params(activation="tanh").predict(CORNERS))
    np.testing.assert_allclose(answers[1], answers[0], rtol=1e-12)
