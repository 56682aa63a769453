"""Masked arrays: masked elements are missing in every method; they are refused, or give NaN in predictions.

The numbers under the masks are valid, so an ignored mask would raise no error, but change results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Network, Scaling

X = np.arange(8.0).reshape(4, 2)
Y = np.arange(4.0)
AT = 2, 1  # the masked element
MASK = np.zeros((4, 2), bool)
MASK[AT] = True
FORMS: dict[str, Callable[[np.ndarray, Any], Any]] = {
    "float64": lambda x, mask: np.ma.array(x, mask=mask),
    "float32": lambda x, mask: np.ma.array(x, np.float32, mask=mask),
    "float16": lambda x, mask: np.ma.array(x, np.float16, mask=mask),
    "long double": lambda x, mask: np.ma.array(x, np.longdouble, mask=mask),
    "big endian": lambda x, mask: np.ma.array(x, ">f8", mask=mask),
    "int64": lambda x, mask: np.ma.array(x, np.int64, mask=mask),
    "uint8": lambda x, mask: np.ma.array(x, np.uint8, mask=mask),
    "bool": lambda x, mask: np.ma.array(x > 1, mask=mask),
    "columns first": lambda x, mask: np.ma.array(np.asfortranarray(x), mask=mask),
    "list of rows": lambda x, mask: list(np.ma.array(x, mask=mask)),
    "tuple of rows of integers": lambda x, mask: tuple(np.ma.array(x, np.int64, mask=mask)),
    "lists and masked rows": lambda x, mask: [x[0].tolist(), *list(np.ma.array(x, mask=mask))[1:]],
}


@pytest.fixture(params=FORMS)
def x(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param](X, MASK)


@pytest.fixture(params=[form for form in FORMS if form != "lists and masked rows"])
def y(request: pytest.FixtureRequest) -> Any:
    return FORMS[request.param](Y, MASK[:, 1])


def network(**options: Any) -> Network:
    return Network([2, 1], seed=0, **options)


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_inputs_are_refused_with_their_place(x: Any, scaling: str | None) -> None:
    uses: list[Callable[[Network], Any]] = [
        lambda net: net.fit(x, Y),
        lambda net: net.fit(X, Y, validation_data=(x, Y)),
        lambda net: net.fit(x, Y, optimizer="lbfgs"),
    ]
    if scaling is None:
        uses += [
            lambda net: net.fit([(x, Y)]),
            lambda net: net.train_on_batch(x, Y),
            lambda net: net.loss_and_grad(x, Y),
        ]
    for use in uses:
        net = network(input_scaling=scaling)
        before = net.parameters
        with pytest.raises(ValueError, match=r"X: expected finite numbers, got nan at row 2, column 1"):
            use(net)
        np.testing.assert_array_equal(net.parameters, before)
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at column 1"):
        network().learn_one(x[2], 1.0)


@pytest.mark.parametrize("scaling", [None, "minmax"])
def test_targets_and_weights_are_refused_with_their_row(y: Any, scaling: str | None) -> None:
    uses: list[Callable[[Network], Any]] = [
        lambda net: net.fit(X, y),
        lambda net: net.fit(X, Y, validation_data=(X, y)),
        lambda net: net.fit(X, Y, sample_weight=y),
    ]
    if scaling is None:
        uses += [
            lambda net: net.fit([(X, y)]),
            lambda net: net.fit([(X, Y, y)]),
            lambda net: net.train_on_batch(X, y),
            lambda net: net.train_on_batch(X, Y, sample_weight=y),
            lambda net: net.evaluate(X, y),
            lambda net: net.input_gradient(X, y),
        ]
    for use in uses:
        with pytest.raises(ValueError, match=r"(y|sample_weight): expected finite numbers.*, got nan at row 2"):
            use(network(target_scaling=scaling))
    for one in (y[2], y[2:3]):
        with pytest.raises(ValueError, match="y: expected finite numbers, got nan at row 0"):
            network().learn_one(X[2], one)


def test_predictions_of_masked_rows_are_nan(x: Any) -> None:
    net = network()
    plain = net.predict(np.where(MASK, np.nan, X > 1 if getattr(x, "dtype", None) == "bool" else X))
    assert np.isnan(plain).ravel().tolist() == [False, False, True, False]
    np.testing.assert_array_equal(net.predict(x), plain)
    np.testing.assert_array_equal(net(x), plain)
    np.testing.assert_array_equal(net.predict(x, out=np.empty((4, 1), net.dtype)), plain)
    assert np.isnan(net.predict(x[2])).all()
    assert np.isnan(net.activations(x)[-1][2]).all()
    assert np.isnan(net.evaluate(x, Y)["loss"])


def test_scalings(x: Any, y: Any) -> None:
    with pytest.raises(ValueError, match="X: expected finite numbers, got nan at row 2, column 1"):
        Scaling.fit(x)
    with pytest.raises(ValueError, match="offset: expected finite numbers, got nan"):
        Scaling(y, np.ones(4))
    for convert in (Scaling([0, 0], [1, 1]).apply, Scaling([0, 0], [1, 1]).undo):
        np.testing.assert_array_equal(np.isnan(convert(x)), MASK)


def test_scaling_of_python_objects() -> None:
    given = np.ma.array(X, object, mask=MASK)
    np.testing.assert_array_equal(np.isnan(Scaling([0, 0], [1, 1]).undo(given)), MASK)


def test_parameters(y: Any) -> None:
    net = Network([3, 1], seed=0)
    before = net.parameters
    with pytest.raises(ValueError, match=r"parameters: expected finite numbers, got nan at index 2 \(layer 0\)"):
        net.parameters = y
    with pytest.raises(ValueError, match=r"w: expected finite numbers, got nan in layer 0 at \(0, 2\)"):
        net.set_layer(0, [np.ma.array(Y[:3], mask=MASK[:3, 1])], [0.0])
    with pytest.raises(ValueError, match=r"b: expected finite numbers, got nan in layer 0 at \(2,\)"):
        Network([1, 4]).set_layer(0, np.ones((4, 1)), y)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize("labels", [np.array([0, 1, 0, 1]), np.array(["a", "b", "a", "b"])], ids=["integers", "text"])
def test_labels(labels: np.ndarray) -> None:
    net = Network([2, 2], loss="cross_entropy", seed=0)
    with pytest.raises(ValueError, match=r"^y: expected .* at row 2"):
        net.fit(X, np.ma.array(labels, mask=MASK[:, 1]))


def test_functions_of_the_users_own() -> None:
    masked = fastmlp.CustomActivation(lambda z: np.ma.array(z, mask=z > 0), lambda z: np.ones_like(z))
    z = np.array([-1.0, 1.0])
    np.testing.assert_array_equal(masked(z), [-1.0, np.nan])
    net = Network([1, 1, 1], activation=masked, seed=0)
    net.set_layer(0, [[1.0]], [0.0])
    assert np.isnan(net.predict([[-1.0], [1.0]])).ravel().tolist() == [False, True]


def test_what_nothing_is_masked_in_is_read_as_it_stands() -> None:
    net = network()
    whole = np.ma.array(X.astype(np.float32), mask=np.zeros((4, 2), bool))
    np.testing.assert_array_equal(net.predict(whole), net.predict(X))
    np.testing.assert_array_equal(net.predict(list(whole)), net.predict(X))
    assert np.shares_memory(fastmlp.inputs.arrays.as_array("X", whole), whole.data)
    assert fastmlp.inputs.arrays.as_array("y", np.ma.array([2**62 + 1])).tolist() == [2**62 + 1]


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
class TestEstimators:
    """Estimators refuse masked arrays, of which scikit-learn's own ignore the masks."""

    def make(self, kind: str) -> Any:
        estimators = pytest.importorskip("fastmlp.sklearn")
        return getattr(estimators, kind)(hidden_layer_sizes=[2], max_iter=1, random_state=0)

    def test_inputs(self, method: str, x: Any) -> None:
        for kind, y in (("MLPRegressor", Y), ("MLPClassifier", [0, 1, 0, 1])):
            classes = {"classes": [0, 1]} if (kind, method) == ("MLPClassifier", "partial_fit") else {}
            with pytest.raises(ValueError, match="Input X contains NaN"):
                getattr(self.make(kind), method)(x, y, **classes)
            with pytest.raises(ValueError, match="Input X contains NaN"):
                getattr(self.make(kind), method)(X, y, **classes).predict(x)

    def test_targets_and_weights(self, method: str, y: Any) -> None:
        with pytest.raises(ValueError, match="Input y contains NaN"):
            getattr(self.make("MLPRegressor"), method)(X, y)
        with pytest.raises(ValueError, match="Input sample_weight contains NaN"):
            getattr(self.make("MLPRegressor"), method)(X, Y, y)

    @pytest.mark.parametrize("labels", [["a", "b", "a", "b"], [0, 1, 0, 1]], ids=["text", "integers"])
    def test_labels(self, method: str, labels: list[Any]) -> None:
        classes = {} if method == "fit" else {"classes": np.unique(labels)}
        with pytest.raises(ValueError, match=r"Input (y )?contains NaN"):
            getattr(self.make("MLPClassifier"), method)(X, np.ma.array(labels, mask=MASK[:, 1]), **classes)
