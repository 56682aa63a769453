"""`predict_population`: each network has the bits of its own `predict`, for any kind of rows and number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import fastmlp
from oracles import twin


def population(net: fastmlp.Network, n: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(n, net.n_parameters)).astype(net.dtype)


def alone(net: fastmlp.Network, P: Any, X: Any, *, own: bool = False) -> Any:
    """The predictions one after another; X: the rows of all, or where they are their own, those of each network."""
    other, found = net.copy(), []
    for k, vector in enumerate(P):
        other.parameters = vector
        found.append(other.predict(X[k] if own else X))
    return np.stack(found)


@pytest.mark.parametrize("n_threads", [1, 2, 3, 5, 8, 16])
@pytest.mark.parametrize("sizes", [[3, 1], [10, 32, 32, 1], [17, 65, 3], [5, 200, 2]], ids=str)
def test_the_bits_of_each_network_alone(build: Any, sizes: list[int], n_threads: int) -> None:
    net = build(sizes, activation="tanh", seed=1, n_threads=n_threads)
    rng = np.random.default_rng(2)
    for n_networks, n_rows in ((1, 1), (2, 49), (33, 5), (40, 100)):
        P = population(net, n_networks)
        shared, own = rng.normal(size=(n_rows, sizes[0])), rng.normal(size=(n_networks, n_rows, sizes[0]))
        before = net.parameters
        assert np.array_equal(net.predict_population(P, shared), alone(net, P, shared))
        assert np.array_equal(net.predict_population(P, own), alone(net, P, own, own=True))
        assert np.array_equal(net.parameters, before)


def test_against_the_reference(build: Any) -> None:
    net = build([3, 5, 4, 2], activation="gelu", output_activation="sigmoid", seed=1)
    rng = np.random.default_rng(2)
    P, shared, own = population(net, 4) / 3, rng.normal(size=(7, 3)), rng.normal(size=(4, 6, 3))
    for X in (shared, own):
        build.assert_close(net.predict_population(P, X), twin(net).predict_population(P, X), net.sizes)


def test_work_that_threads_share(build: Any) -> None:
    net = build([64, 128, 10], seed=0, n_threads=4)
    P, X = population(net, 5), np.random.default_rng(0).normal(size=(500, 64))
    assert np.array_equal(net.predict_population(P, X), alone(net, P, X))


@pytest.mark.parametrize("offset", [0.0, 5.0, 1e7])
def test_scaled_inputs_and_targets(build: Any, offset: float) -> None:
    scalings = {
        "input_scaling": fastmlp.Scaling([1.0, 2.0], [3.0, 4.0]),
        "target_scaling": fastmlp.Scaling([offset], [2.0]),
    }
    net = build([2, 4, 1], seed=0, **scalings)
    P, X = population(net, 6), np.random.default_rng(0).normal(size=(9, 2))
    got = net.predict_population(P, X)
    assert got.dtype == net.predict(X).dtype
    assert np.array_equal(got, alone(net, P, X))


@pytest.mark.parametrize(
    "kind", [np.float16, np.float32, np.float64, np.uint8, "sparse", "strided", "list", "reversed"]
)
def test_kinds_of_rows(build: Any, kind: Any) -> None:
    net = build([6, 5, 2], seed=0)
    P, X = population(net, 3), np.random.default_rng(0).integers(0, 9, size=(12, 6))
    rows: Any = {
        "sparse": lambda: sparse.csr_array(X.astype(float)),
        "strided": lambda: np.asfortranarray(X.astype(float)),
        "list": X.tolist,
        "reversed": lambda: X[::-1].astype(float),
    }.get(kind, lambda: X.astype(kind))()
    assert np.array_equal(net.predict_population(P, rows), alone(net, P, rows))


def test_a_frame_is_read_by_its_names() -> None:
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install pandas")
    net = fastmlp.Network([2, 3, 1], feature_names=["a", "b"], seed=0)
    P, frame = population(net, 3), pandas.DataFrame({"b": [1.0, 2.0], "a": [3.0, 5.0]})
    assert np.array_equal(net.predict_population(P, frame), alone(net, P, frame))


def test_activations_of_the_user() -> None:
    own = fastmlp.CustomActivation(np.tanh, lambda z, y: 1 - y * y)
    net = fastmlp.Network([3, 4, 1], activation=own, seed=0, n_threads=2)
    P, X = population(net, 9), np.random.default_rng(0).normal(size=(60, 3))
    assert np.array_equal(net.predict_population(P, X), alone(net, P, X))


def test_an_error_of_the_user_comes_out() -> None:
    def fail(z: Any) -> Any:
        raise ZeroDivisionError("mine")

    net = fastmlp.Network([3, 4, 1], activation=fastmlp.CustomActivation(fail, lambda z, y: y), seed=0)
    with pytest.raises(ZeroDivisionError, match="mine"):
        net.predict_population(population(net, 3), np.ones((2, 3)))


@pytest.mark.parametrize(
    ("P", "X", "message"),
    [
        (np.ones(13), np.ones((1, 2)), r"P: expected shape \(K, 13\) with K >= 1, got shape \(13,\)"),
        (np.ones((2, 12)), np.ones((1, 2)), r"P: expected shape \(K, 13\) with K >= 1, got shape \(2, 12\)"),
        (np.ones((0, 13)), np.ones((1, 2)), r"P: expected shape \(K, 13\) with K >= 1, got shape \(0, 13\)"),
        (np.ones((2, 13)), np.ones(2), r"X: expected shape \(B, 2\) or \(2, B, 2\) with B >= 1, got shape \(2,\)"),
        (np.ones((2, 13)), np.ones((3, 4, 2)), r"X: expected .* got shape \(3, 4, 2\)"),
        (np.ones((2, 13)), np.ones((2, 4, 3)), r"X: expected .* got shape \(2, 4, 3\)"),
        (np.ones((2, 13)), np.ones((0, 2)), r"X: expected .* got shape \(0, 2\)"),
        (np.where(np.arange(26) == 20, np.nan, 1.0).reshape(2, 13), np.ones((1, 2)), "got nan at index 7 of network 1"),
        (np.full((2, 13), 1e300), np.ones((1, 2)), "P: expected finite numbers, got 1e.300"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(P: Any, X: Any, message: str) -> None:
    net = fastmlp.Network([2, 3, 1])
    assert net.n_parameters == 13
    with pytest.raises(ValueError, match=message):
        net.predict_population(P, X)
    with pytest.raises(TypeError, match="P: expected real numbers"):
        net.predict_population([["a"] * 13], [[1.0, 2.0]])
