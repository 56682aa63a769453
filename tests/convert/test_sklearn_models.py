"""Estimators of scikit-learn as networks, and networks as estimators of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import BernoulliRBM, MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

import fastmlp
import fastmlp.sklearn
from fastmlp.convert import sklearn_models

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 4)) * [1.0, 10.0, 0.1, 3.0] + [0.0, 5.0, -1.0, 2.0]
Y = X @ np.array([1.0, -0.2, 3.0, 0.5]) + 0.1 * RNG.standard_normal(60)
CLASSES = np.array(["a", "b", "c"])[np.digitize(Y, [-2, 1])]
NEW = RNG.standard_normal((30, 4)) * [1.0, 10.0, 0.1, 3.0] + [0.0, 5.0, -1.0, 2.0]


def regressor(**more: Any) -> MLPRegressor:
    return MLPRegressor(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **more})


def classifier(**more: Any) -> MLPClassifier:
    return MLPClassifier(**{"hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 0, **more})


def assert_predicts(net: fastmlp.Network, theirs: Any, X: Any = NEW) -> None:
    np.testing.assert_allclose(
        net.predict(X), np.asarray(theirs.predict(X)).reshape(len(X), -1), rtol=1e-12, atol=1e-12
    )


# -- estimators --------------------------------------------------------------------------------------------------------


def test_a_regressor() -> None:
    theirs = regressor(hidden_layer_sizes=(8, 5), activation="tanh").fit(X, Y)
    net = fastmlp.from_sklearn(theirs)
    assert (net.sizes, net.dtype, net.loss) == ((4, 8, 5, 1), np.float64, fastmlp.HalfSquaredError())
    for weight, coef in zip(net.weights, theirs.coefs_, strict=True):
        assert np.array_equal(weight, coef.T)
    for bias, intercept in zip(net.biases, theirs.intercepts_, strict=True):
        assert np.array_equal(bias, intercept)
    assert_predicts(net, theirs)
    assert (net.conversion.source, net.conversion.folded) == ("scikit-learn", ())
    assert net.conversion.version.startswith("1.")
    assert net.conversion.difference < 1e-13


def test_several_targets() -> None:
    theirs = regressor().fit(X, np.column_stack([Y, -2 * Y, X[:, 0]]))
    net = fastmlp.from_sklearn(theirs)
    assert net.sizes == (4, 8, 3)
    assert_predicts(net, theirs)


def test_two_classes_are_one_output() -> None:
    """predict_proba of two classes is [1 - p, p], while the network has the one output p."""
    theirs = classifier().fit(X, Y > 0)
    net = fastmlp.from_sklearn(classifier().fit(X, np.where(Y > 0, "yes", "no")))
    assert net.sizes == (4, 8, 1)
    assert (net.loss, net.class_names) == (fastmlp.BinaryCrossEntropy(), ("no", "yes"))
    np.testing.assert_allclose(net.predict(NEW)[:, 0], theirs.predict_proba(NEW)[:, 1], rtol=1e-12)
    np.testing.assert_allclose(1 - net.predict(NEW)[:, 0], theirs.predict_proba(NEW)[:, 0], rtol=1e-9)
    assert np.array_equal(net.classify(NEW, names=True), np.where(theirs.predict(NEW), "yes", "no"))


def test_three_classes() -> None:
    theirs = classifier(activation="logistic").fit(X, CLASSES)
    net = fastmlp.from_sklearn(theirs)
    assert (net.sizes, net.loss, net.class_names) == ((4, 8, 3), fastmlp.CrossEntropy(), ("a", "b", "c"))
    np.testing.assert_allclose(net.predict(NEW), theirs.predict_proba(NEW), rtol=1e-12)
    assert np.array_equal(net.classify(NEW, names=True), theirs.predict(NEW))


@pytest.mark.parametrize("classes", [[3, 7, 2**62 + 1], [-1.0, 0.0, 2.0]])
def test_classes_of_numbers(classes: list[Any]) -> None:
    y = np.array(classes)[np.digitize(Y, [-2, 1])]
    assert fastmlp.from_sklearn(classifier().fit(X, y)).class_names == tuple(classes)


def test_classes_that_no_network_has_as_names_are_indices() -> None:
    net = fastmlp.from_sklearn(classifier().fit(X, Y > 0))
    assert net.class_names is None
    assert net.loss == fastmlp.BinaryCrossEntropy()
    assert net.conversion.folded == ("classes_ of dtype bool: classes have indices only",)


@pytest.mark.parametrize("n_labels", [2, 3])
def test_multilabel(n_labels: int) -> None:
    y = (np.column_stack([Y, X[:, 0], X[:, 1]]) > 0)[:, :n_labels].astype(int)
    theirs = classifier().fit(X, y)
    net = fastmlp.from_sklearn(theirs)
    assert (net.sizes, net.loss, net.class_names) == ((4, 8, n_labels), fastmlp.BinaryCrossEntropy(), None)
    np.testing.assert_allclose(net.predict(NEW), theirs.predict_proba(NEW), rtol=1e-12)


def test_poisson_is_the_logarithm_of_the_rate() -> None:
    theirs = MLPRegressor("poisson", (8,), max_iter=20, random_state=0).fit(X, np.exp(Y / 3))
    net = fastmlp.from_sklearn(theirs)
    assert net.loss == fastmlp.Poisson()
    np.testing.assert_allclose(np.exp(net.predict(NEW)[:, 0]), theirs.predict(NEW), rtol=1e-12)


def test_float32_stays_float32() -> None:
    theirs = regressor().fit(X.astype(np.float32), Y.astype(np.float32))
    net = fastmlp.from_sklearn(theirs)
    assert net.dtype == np.float32
    assert np.array_equal(net.weights[0], theirs.coefs_[0].T)
    rows = NEW.astype(np.float32)
    np.testing.assert_allclose(net.predict(rows)[:, 0], theirs.predict(rows), rtol=1e-4, atol=1e-5)
    assert fastmlp.from_sklearn(theirs, dtype="float64").dtype == np.float64
    net = fastmlp.from_sklearn(regressor().fit(X, Y), dtype="float32", engine="blas", n_threads=1)
    assert (net.dtype, net.engine, net.n_threads) == (np.float32, "blas", 1)


def test_names_of_columns() -> None:
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    theirs = make_pipeline(StandardScaler(), regressor()).fit(frame, Y)
    net = fastmlp.from_sklearn(theirs)
    assert net.feature_names == ("a", "b", "c", "d")
    assert_predicts(net, theirs, frame)
    np.testing.assert_allclose(net.predict(frame[["d", "c", "b", "a"]]), net.predict(frame))
    theirs = TransformedTargetRegressor(theirs, transformer=StandardScaler()).fit(frame, Y)
    assert fastmlp.from_sklearn(theirs).feature_names == ("a", "b", "c", "d")


def test_equal_names_of_columns_are_left_out() -> None:
    theirs = regressor().fit(X, Y)
    theirs.feature_names_in_ = np.array(["a", "a", "b", "c"], object)  # older releases took such frames
    net = fastmlp.from_sklearn(theirs)
    assert net.feature_names is None
    assert net.conversion.folded == ("feature_names_in_ has equal names: columns have indices only",)


# -- scalers -----------------------------------------------------------------------------------------------------------

SCALERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    StandardScaler(with_mean=False, with_std=False),
    MinMaxScaler(),
    MinMaxScaler((-2, 5)),
    MaxAbsScaler(),
    RobustScaler(),
    RobustScaler(with_centering=False),
    RobustScaler(with_scaling=False),
    RobustScaler(unit_variance=True, quantile_range=(10, 90)),
]


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
def test_a_scaler_becomes_the_input_scaling(scaler: Any) -> None:
    theirs = make_pipeline(scaler, regressor(max_iter=5)).fit(X, Y)
    net = fastmlp.from_sklearn(theirs)
    assert_predicts(net, theirs)
    assert np.array_equal(net.weights[0], theirs[-1].coefs_[0].T)
    if isinstance(scaler, StandardScaler) and scaler.with_mean and scaler.with_std:
        assert net.input_scaling == fastmlp.Scaling(theirs[0].mean_, theirs[0].scale_)


@pytest.mark.parametrize("scaler", SCALERS, ids=repr)
@pytest.mark.parametrize("n_targets", [1, 2])
def test_a_scaler_of_targets_becomes_the_target_scaling(scaler: Any, n_targets: int) -> None:
    y = Y if n_targets == 1 else np.column_stack([Y * 100 + 1000, X[:, 0]])
    theirs = TransformedTargetRegressor(make_pipeline(RobustScaler(), regressor(max_iter=5)), transformer=scaler).fit(
        X, y
    )
    net = fastmlp.from_sklearn(theirs)
    assert_predicts(net, theirs)
    assert np.array_equal(net.weights[1], theirs.regressor_[-1].coefs_[1].T)
    assert isinstance(net.input_scaling, fastmlp.Scaling)
    if isinstance(scaler, StandardScaler) and scaler.with_mean and scaler.with_std:
        assert net.target_scaling == fastmlp.Scaling(theirs.transformer_.mean_, theirs.transformer_.scale_)


def test_scalers_in_many_places() -> None:
    inner = Pipeline([("minmax", MinMaxScaler()), ("nothing", "passthrough"), ("identity", FunctionTransformer())])
    theirs = make_pipeline(
        inner, None, MaxAbsScaler(), TransformedTargetRegressor(regressor(), transformer=MinMaxScaler())
    )
    theirs.fit(X, Y)
    net = fastmlp.from_sklearn(theirs)
    assert_predicts(net, theirs)
    assert net.sizes == (4, 8, 1)
    assert len(net.conversion.folded) == 6


def test_a_target_transformer_that_does_nothing() -> None:
    theirs = TransformedTargetRegressor(regressor()).fit(X, Y)
    assert_predicts(fastmlp.from_sklearn(theirs), theirs)


@pytest.mark.parametrize("scaler", [MinMaxScaler(clip=True), MaxAbsScaler(clip=True)], ids=repr)
def test_a_scaler_that_clips_gets_a_layer(scaler: Any) -> None:
    theirs = make_pipeline(scaler, regressor(max_iter=5)).fit(X, Y)
    net = fastmlp.from_sklearn(theirs)
    assert net.sizes == (4, 4, 8, 1)
    assert_predicts(net, theirs, NEW * 3)
    assert not np.allclose(
        net.predict(NEW * 3),
        fastmlp.from_sklearn(theirs[-1]).predict(theirs[0].set_params(clip=False).transform(NEW * 3)),
    )


def test_a_column_far_from_0_keeps_its_digits() -> None:
    """A column at 10**6 of deviation 1: scikit-learn itself loses them in float32, as does folding into the weights."""
    far = X + np.array([1e6, 0, 0, 0])
    theirs = make_pipeline(StandardScaler(), regressor(max_iter=100)).fit(far.astype(np.float32), Y.astype(np.float32))
    with pytest.warns(UserWarning, match="standardscaler.*column 0"):
        net = fastmlp.from_sklearn(theirs)
    assert net.dtype == np.float32
    rows = (NEW + np.array([1e6, 0, 0, 0])).astype(np.float32)
    scaler, mlp = theirs[0], theirs[-1]
    hidden = np.maximum(
        (rows.astype(np.float64) - scaler.mean_) / scaler.scale_ @ mlp.coefs_[0] + mlp.intercepts_[0], 0
    )
    exact = hidden @ mlp.coefs_[1] + mlp.intercepts_[1]
    assert np.abs(net.predict(rows) - exact).max() < 1e-5 * np.abs(exact).max()
    w = (mlp.coefs_[0] / scaler.scale_[:, np.newaxis]).astype(np.float32)
    b = (mlp.intercepts_[0] - (scaler.mean_ / scaler.scale_) @ mlp.coefs_[0]).astype(np.float32)
    folded = np.maximum(rows @ w + b, 0) @ mlp.coefs_[1] + mlp.intercepts_[1]
    assert np.abs(folded - exact).max() > 1e-3 * np.abs(exact).max()


@pytest.mark.parametrize("scaler", [StandardScaler(), MinMaxScaler(), RobustScaler(), MaxAbsScaler()], ids=str)
@pytest.mark.parametrize("far", [0.0, 1e4, 5e6])
def test_what_scikit_learn_loses_in_float32_is_said(scaler: Any, far: float) -> None:
    """A warning and a line of `folded` where the estimator's own outputs for rows of float32 are others."""
    rows = np.clip(NEW, -3, 3).astype(np.float32) + np.float32(far)
    theirs = make_pipeline(scaler, regressor(max_iter=100)).fit(rows, Y[:30].astype(np.float32))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = fastmlp.from_sklearn(theirs)
    exact = theirs.predict(rows.astype(np.float64))
    np.testing.assert_allclose(net.predict(rows)[:, 0], exact, atol=1e-5 * np.abs(exact).max(), rtol=0)
    assert net.conversion is not None
    said = [note for note in net.conversion.folded if "rounds its numbers to float32" in note]
    assert [str(each.message) for each in caught] == said
    if not said:
        np.testing.assert_allclose(theirs.predict(rows), exact, atol=2e-4 * np.abs(exact).max(), rtol=0)
    if isinstance(scaler, StandardScaler):
        assert len(said) == (far > 0)
    assert caught == [] or caught[0].filename == __file__


# -- our own estimators ------------------------------------------------------------------------------------------------


def test_our_own_estimators() -> None:
    ours = fastmlp.sklearn.MLPRegressor("huber", (8,), "gelu", max_iter=5, random_state=0)
    theirs = TransformedTargetRegressor(make_pipeline(StandardScaler(), ours), transformer=StandardScaler()).fit(X, Y)
    net = fastmlp.from_sklearn(theirs)
    assert (net.activation, net.loss) == ((fastmlp.GELU(),), fastmlp.Huber())
    assert_predicts(net, theirs)
    ours = fastmlp.sklearn.MLPClassifier((8,), max_iter=5, random_state=0).fit(X, CLASSES)
    net = fastmlp.from_sklearn(ours)
    assert net.class_names == ("a", "b", "c")
    np.testing.assert_allclose(net.predict(NEW), ours.predict_proba(NEW), rtol=1e-12)
    poisson = fastmlp.sklearn.MLPRegressor("poisson", (8,), max_iter=5, random_state=0).fit(X, np.exp(Y / 3))
    np.testing.assert_allclose(
        np.exp(fastmlp.from_sklearn(poisson).predict(NEW)[:, 0]), poisson.predict(NEW), rtol=1e-12
    )


@pytest.mark.parametrize("loss", ["hinge", "focal"])
def test_our_own_losses_of_classes(loss: str) -> None:
    ours = fastmlp.sklearn.MLPClassifier((8,), loss=loss, max_iter=5, random_state=0).fit(X, CLASSES)
    net = fastmlp.from_sklearn(ours)
    assert net.loss.name == loss
    assert np.array_equal(net.classify(NEW, names=True), ours.predict(NEW))


@pytest.mark.parametrize("loss", [fastmlp.Quantile([0.1, 0.5, 0.9]), fastmlp.GaussianNLL(), "gamma"], ids=repr)
def test_our_own_losses_whose_outputs_are_no_targets(loss: Any) -> None:
    ours = fastmlp.sklearn.MLPRegressor(loss, (8,), max_iter=5, random_state=0).fit(X, np.exp(Y / 3))
    net = fastmlp.from_sklearn(ours)
    np.testing.assert_allclose(net.loss.estimate(net.predict(NEW))[:, 0], ours.predict(NEW), rtol=1e-12)


# -- what is refused ---------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "rbm": (lambda: BernoulliRBM(2, n_iter=1).fit(X), r"BernoulliRBM: cannot be imported: .*; from_sklearn takes MLP"),
    "linear": (lambda: LinearRegression().fit(X, Y), "LinearRegression: cannot be imported"),
    "rbm in a pipeline": (
        lambda: make_pipeline(BernoulliRBM(2, n_iter=1), regressor(max_iter=2)).fit(X, Y),
        "Pipeline, step 'bernoullirbm': cannot be imported: a BernoulliRBM",
    ),
    "pca": (lambda: make_pipeline(PCA(2), regressor(max_iter=2)).fit(X, Y), "Pipeline, step 'pca': .* a PCA"),
    "columns": (
        lambda: make_pipeline(ColumnTransformer([("s", StandardScaler(), [0, 1])]), regressor(max_iter=2)).fit(X, Y),
        "step 'columntransformer': .* a ColumnTransformer",
    ),
    "function": (
        lambda: make_pipeline(FunctionTransformer(np.tanh), regressor(max_iter=2)).fit(X, Y),
        "step 'functiontransformer': .* a FunctionTransformer",
    ),
    "logarithm of targets": (
        lambda: TransformedTargetRegressor(regressor(max_iter=2), func=np.log, inverse_func=np.exp).fit(X, np.exp(Y)),
        "TransformedTargetRegressor, transformer_: .* a FunctionTransformer",
    ),
    "power of targets": (
        lambda: TransformedTargetRegressor(regressor(max_iter=2), transformer=PowerTransformer()).fit(X, Y),
        "TransformedTargetRegressor, transformer_: .* a PowerTransformer",
    ),
    "scaled poisson": (
        lambda: TransformedTargetRegressor(regressor(loss="poisson"), transformer=MaxAbsScaler()).fit(X, np.exp(Y)),
        "transformer_: .* a scaler of what the loss 'poisson' makes of outputs",
    ),
    "search": (
        lambda: GridSearchCV(regressor(max_iter=2), {"alpha": [0.1]}, cv=2).fit(X, Y),
        "GridSearchCV: .*; give its best_estimator_",
    ),
    "calibrated": (
        lambda: CalibratedClassifierCV(classifier(max_iter=2), cv=2).fit(X, Y > 0),
        "CalibratedClassifierCV: cannot be imported",
    ),
    "no estimator": (lambda: 3, "int: cannot be imported"),
}  # fmt: skip


def test_a_path_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"estimator: expected a fitted estimator, got a path; load it first, with joblib"
    ):
        fastmlp.from_sklearn("model.pkl")


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(kind: str) -> None:
    make, message = REFUSED[kind]
    estimator = make()
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.from_sklearn(estimator)


def test_an_estimator_must_be_fitted() -> None:
    for estimator in (
        regressor(),
        make_pipeline(StandardScaler(), regressor()),
        TransformedTargetRegressor(regressor()),
    ):
        with pytest.raises(NotFittedError):
            fastmlp.from_sklearn(estimator)


def test_functions_of_the_users_own_are_refused() -> None:
    square = fastmlp.CustomActivation(lambda z: z**2, lambda z: 2 * z)
    ours = fastmlp.sklearn.MLPRegressor("squared_error", (3,), square, max_iter=2).fit(X / 100, Y)
    with pytest.raises(fastmlp.FormatError, match=r"functions of your own; estimator\.to_network\(\) copies them"):
        fastmlp.from_sklearn(ours)


def test_weights_that_do_not_fit_are_refused() -> None:
    theirs = regressor(max_iter=2).fit(X, Y)
    theirs.coefs_[1] = np.ones((5, 1))
    with pytest.raises(fastmlp.FormatError, match=r"MLPRegressor, layer 1: expected weights of shape \(outputs, 8\)"):
        fastmlp.from_sklearn(theirs)
    theirs.coefs_[1] = np.full((8, 1), np.nan)
    with pytest.raises(fastmlp.FormatError, match="MLPRegressor, layer 1: expected finite numbers, got nan"):
        fastmlp.from_sklearn(theirs)


# -- back to scikit-learn ----------------------------------------------------------------------------------------------


def network(seed: int) -> fastmlp.Network:
    """Return a random network that scikit-learn has, with every part that it may have."""
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 30, rng.integers(2, 6))]
    kind = rng.choice(["regression", "poisson", "binary", "classes", "multilabel", "bounded"])
    loss = {"regression": "mse", "poisson": "poisson", "classes": "cross_entropy", "bounded": "mse"}.get(
        kind, "binary_cross_entropy"
    )
    sizes[-1] = 1 if kind == "binary" else max(2, sizes[-1]) if kind in ("classes", "multilabel") else sizes[-1]
    scale = lambda n: fastmlp.Scaling(rng.standard_normal(n) * 10, rng.uniform(0.1, 10, n))  # noqa: E731
    named = kind in ("classes", "binary") and rng.random() < 0.5
    net = fastmlp.Network(
        sizes,
        activation=str(rng.choice(["identity", "sigmoid", "tanh", "relu"])),
        output_activation=str(rng.choice(["sigmoid", "tanh", "relu"])) if kind == "bounded" else None,
        loss=loss,
        dtype=str(rng.choice(["float32", "float64"])),
        seed=seed,
        input_scaling=scale(sizes[0]) if rng.random() < 0.5 else None,
        target_scaling=scale(sizes[-1]) if kind in ("regression", "bounded") and rng.random() < 0.5 else None,
        feature_names=[f"x{i}" for i in range(sizes[0])] if rng.random() < 0.3 else None,
        class_names=[f"c{i}" for i in range(max(2, sizes[-1]))] if named else None,
    )
    size = 0.1 if kind == "poisson" else 1.0  # a rate is exp z
    net.parameters = size * rng.standard_normal(net.n_parameters)
    return net


def assert_same_parts(net: fastmlp.Network, again: fastmlp.Network) -> None:
    assert np.array_equal(again.parameters, net.parameters)
    assert again.parameters.dtype == net.parameters.dtype
    assert (again.sizes, again.output_activation) == (net.sizes, net.output_activation)
    assert again.activation == net.activation
    assert (again.input_scaling, again.target_scaling) == (net.input_scaling, net.target_scaling)
    assert again.feature_names == net.feature_names


@pytest.mark.parametrize("block", range(10))
def test_200_random_networks_there_and_back(block: int) -> None:
    """Every parameter comes back bit for bit, and scikit-learn's predictions are the network's."""
    for seed in range(block * 20, block * 20 + 20):
        net = network(seed)
        theirs = net.to_sklearn()
        again = fastmlp.from_sklearn(theirs)
        assert_same_parts(net, again)
        if net.class_names is not None:
            assert again.class_names == net.class_names
        if net.loss.classifies or net.loss.name == "poisson":
            assert again.loss == net.loss
        rows = np.random.default_rng(seed).standard_normal((10, net.sizes[0])) * 3
        ours, rows = net.predict(rows), pd.DataFrame(rows, columns=net.feature_names) if net.feature_names else rows
        if net.loss.classifies:
            y = theirs.predict_proba(rows)
            y = y[:, 1:] if net.sizes[-1] == 1 else y
        else:
            y = np.asarray(theirs.predict(rows)).reshape(10, -1)
        y = np.log(y) if net.loss.name == "poisson" else y
        x = np.asarray(rows, np.float64)
        largest = 0.0  # number of all steps: an output may be a sum of much larger ones that cancel
        for step in sklearn_models.read(theirs).steps:
            x = step(x)
            largest = max(largest, np.abs(x).max())
        limit = 1e-13 if net.dtype == np.float64 else 4 * np.finfo(np.float32).eps * (len(net.sizes) - 1)
        assert np.abs(ours - y).max() <= limit * largest, seed
        if net.class_names is not None:
            assert set(theirs.predict(rows)) <= set(net.class_names)


@pytest.mark.parametrize("block", range(10))
def test_200_random_architectures_of_scikit_learn(block: int) -> None:
    """Fitted estimators of all kinds: outputs agree to 1e-13 relative (float64) or 4 ULP a layer (float32)."""
    for seed in range(block * 20, block * 20 + 20):
        rng = np.random.default_rng(seed)
        n_inputs, rows = int(rng.integers(1, 12)), 30
        hidden = tuple(int(n) for n in rng.integers(1, 25, rng.integers(1, 4)))
        dtype = np.float32 if rng.random() < 0.3 else np.float64
        data = (rng.standard_normal((rows, n_inputs)) * rng.uniform(0.1, 100, n_inputs)).astype(dtype)
        common = {
            "hidden_layer_sizes": hidden,
            "activation": str(rng.choice(["identity", "logistic", "tanh", "relu"])),
            "max_iter": 3,
            "random_state": seed,
        }
        kind = seed % 5
        scaler = [StandardScaler(), MinMaxScaler(), MaxAbsScaler(), RobustScaler()][rng.integers(4)]
        if kind < 2:
            y = rng.standard_normal((rows, int(rng.integers(1, 4)))).astype(dtype)
            y = (np.abs(y) if kind else y).squeeze()
            theirs: Any = make_pipeline(scaler, MLPRegressor("poisson" if kind else "squared_error", **common)).fit(
                data, y
            )
        elif kind == 2:
            y = (rng.random((rows, 3)) < 0.5).astype(int)
            theirs = MLPClassifier(**common).fit(data, y)
        else:
            y = np.arange(rows) % (2 if kind == 3 else int(rng.integers(3, 7)))
            theirs = make_pipeline(scaler, MLPClassifier(**common)).fit(data, y)
        net = fastmlp.from_sklearn(theirs)
        assert net.dtype == dtype
        exact = data.astype(np.float64)  # in which scikit-learn adds no rounding of its own in float32
        if kind < 2:
            expected = np.asarray(theirs.predict(exact)).reshape(rows, -1)
            actual = np.exp(net.predict(data)) if kind else net.predict(data)
        else:
            expected = theirs.predict_proba(exact)
            actual = net.predict(data)
            actual = np.column_stack([1 - actual, actual]) if kind == 3 else actual
        tolerance = 1e-13 if dtype == np.float64 else 4 * 2.0**-23 * (len(hidden) + 1)
        assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max(), seed


def test_the_estimator_works_as_a_fitted_one(tmp_path: Any) -> None:
    import pickle

    net = network(3)
    theirs = pickle.loads(pickle.dumps(net.to_sklearn()))
    assert_same_parts(net, fastmlp.from_sklearn(theirs))
    net = fastmlp.Network([4, 5, 2], loss="cross_entropy", class_names=["b", "a"], seed=0)
    theirs = net.to_sklearn()
    assert np.array_equal(theirs.predict(NEW), net.classify(NEW, names=True))
    assert theirs.predict_proba(NEW).shape == (30, 2)
    assert list(theirs.classes_) == ["b", "a"]
    assert 0 <= theirs.score(NEW, ["a"] * 30) <= 1
    multilabel = fastmlp.Network([4, 5, 3], loss="binary_cross_entropy", seed=0)
    assert np.array_equal(multilabel.to_sklearn().predict(NEW), multilabel.predict(NEW) > 0.5)


def test_names_are_those_of_the_estimator() -> None:
    names = ["a", "b", "c", "d"]
    frame = pd.DataFrame(NEW, columns=names)
    for scalings in ({}, {"input_scaling": fastmlp.Scaling.fit(X), "target_scaling": fastmlp.Scaling([1.0], [2.0])}):
        theirs = fastmlp.Network([4, 5, 1], feature_names=names, seed=0, **scalings).to_sklearn()
        assert list(theirs.feature_names_in_) == names
        theirs.predict(frame)
        with pytest.raises(ValueError, match="The feature names should match"):
            theirs.predict(frame.rename(columns={"a": "e"}))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            fastmlp.Network([2, 3, 1], activation="gelu"),
            r"activation: expected one of .*, got GELU\(",
        ),
        (fastmlp.Network([2, 3, 3, 1], activation=["tanh", "relu"]), "activation: expected one for all hidden layers"),
        (fastmlp.Network([2, 3, 1], activation=fastmlp.Sigmoid(2.0)), r"got Sigmoid\(beta=2.0\)"),
        (fastmlp.Network([2, 3, 1], output_activation="softplus"), "activation: .* got Softplus"),
        (fastmlp.Network([2, 2], loss="gaussian_nll"), "loss: expected one that scikit-learn's predictions go with"),
        (fastmlp.Network([2, 2], loss="hinge"), "loss: expected one that scikit-learn's predictions go with"),
        (fastmlp.Network([2, 2], loss="gamma"), "loss: expected one that scikit-learn's predictions go with"),
        (fastmlp.Network([2, 1], input_scaling="standard"), "input_scaling: expected one that a fit has computed"),
    ],
)
def test_networks_that_scikit_learn_does_not_have(net: fastmlp.Network, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net.to_sklearn()


def test_a_subclass_that_predicts_in_its_own_way_is_refused() -> None:
    class Clipped(MLPRegressor):
        def predict(self, X: Any) -> Any:
            return np.minimum(super().predict(X), 2.0)

    X = np.random.default_rng(0).normal(size=(50, 3))
    model = Clipped(hidden_layer_sizes=(5,), solver="lbfgs", max_iter=20, tol=1.0, random_state=0).fit(X, X.sum(axis=1))
    with pytest.raises(fastmlp.FormatError, match="a Clipped, which predicts in a way of its own; give a MLPRegressor"):
        fastmlp.from_sklearn(model)


def test_several_sigmoids_with_names_are_no_labels_of_scikit_learn() -> None:
    net = fastmlp.Network([3, 3], loss="binary_cross_entropy", class_names=("a", "b", "c"), seed=0)
    with pytest.raises(ValueError, match="class_names: expected None for several outputs of sigmoids"):
        net.to_sklearn()


# -- methods of one's own ----------------------------------------------------------------------------------------------


class OwnFunction(FunctionTransformer):
    def transform(self, X: Any) -> Any:
        return np.clip(X, -1000, 1000)


class OwnPipeline(Pipeline):
    def transform(self, X: Any) -> Any:
        return np.clip(super().transform(X), -1000, 1000)


@pytest.mark.parametrize(
    "step", [OwnFunction(), OwnPipeline([("scaler", StandardScaler())])], ids=lambda step: type(step).__name__
)
def test_transformers_of_ones_own_are_refused(step: Any) -> None:
    with pytest.raises(fastmlp.FormatError, match=rf"Pipeline, step '\w+': .*a {type(step).__name__};"):
        fastmlp.from_sklearn(make_pipeline(step, regressor()).fit(X, Y))


REPLACED: dict[str, tuple[Any, Callable[[Any], Any]]] = {  # an estimator, and its object that gets another method
    "transform": (make_pipeline(StandardScaler(), regressor()), lambda made: made[0]),
    "inverse_transform": (
        TransformedTargetRegressor(regressor(), transformer=StandardScaler()),
        lambda made: made.transformer_,
    ),
    "predict": (regressor(), lambda made: made),
    "predict_proba": (make_pipeline(classifier()), lambda made: made[0]),
}
NESTED = {
    "a pipeline": make_pipeline(make_pipeline(StandardScaler()), regressor()),
    "nothing": make_pipeline(FunctionTransformer(), regressor()),
}
REPLACED |= {f"transform of {name}": (made, lambda made: made[0]) for name, made in NESTED.items()}


@pytest.mark.parametrize("name", REPLACED)
def test_objects_whose_method_has_been_replaced_are_refused(name: str) -> None:
    estimator, part = REPLACED[name]
    method = name.partition(" ")[0]
    made = estimator.fit(X, CLASSES if method == "predict_proba" else Y)
    fastmlp.from_sklearn(made)
    original = getattr(part(made), method)
    setattr(part(made), method, lambda rows: original(np.clip(rows, -1000, 1000)))
    with pytest.raises(fastmlp.FormatError, match=f"whose method {method} has been replaced"):
        fastmlp.from_sklearn(made)


def test_classes_are_those_of_predict() -> None:
    theirs = classifier().fit(X, CLASSES)
    theirs.classes_ = np.array(["x", "y", "z"])
    net = fastmlp.from_sklearn(theirs)
    np.testing.assert_array_equal(net.classify(NEW, names=True), theirs.predict(NEW))
