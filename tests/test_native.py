"""The native engine: which one runs, and the same bits however rows are batched."""

import itertools

import numpy as np
import pytest

import fastmlp
from fastmlp import _core

# Around the widths of panels and tiles, with and without the parts that narrow layers cut their inputs into.
SHAPES = [
    [1, 1],
    [3, 5, 2],
    [10, 32, 32, 1],
    [127, 16, 10],
    [128, 17, 33, 1],
    [131, 48, 49, 3],
    [200, 64, 65, 130, 7],
    [784, 30, 10],
    [257, 1, 40],
]
BATCHES = [1, 2, 3, 5, 6, 7, 8, 9, 15, 16, 17, 47, 48, 49, 97, 131]


@pytest.fixture(params=list(itertools.product(_core.isas(), ("float32", "float64"))), ids="-".join)
def words(request):
    isa, dtype = request.param
    return {"engine": "native", "_isa": isa, "dtype": dtype}


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_a_row_has_the_same_bits_in_any_batch(words, sizes):
    net = fastmlp.Network(sizes, activation="tanh", seed=1, **words)
    X = np.random.default_rng(0).standard_normal((max(BATCHES), sizes[0])).astype(words["dtype"])
    alone = np.array([net.predict(x) for x in X])
    for n_rows in BATCHES:
        for first in (0, len(X) - n_rows):
            np.testing.assert_array_equal(net.predict(X[first : first + n_rows]), alone[first : first + n_rows])


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_gradient_descent_taken_as_it_goes_has_the_bits_of_a_step(words, sizes):
    """SGD is applied while the weight gradient is formed; the numbers are those of P - r g."""
    X, y = np.random.default_rng(0).random((2, 40, 1))
    X, y = np.tile(X, sizes[0]).astype(words["dtype"]), np.tile(y, sizes[-1]).astype(words["dtype"])
    net = fastmlp.Network(sizes, activation="tanh", seed=1, **words)
    P, gradient = net.parameters, net.loss_and_grad(X, y)[1]
    net.train_on_batch(X, y, fastmlp.SGD(0.125))  # a rate that makes the product exact
    np.testing.assert_array_equal(net.parameters, P - gradient * gradient.dtype.type(0.125))


def test_the_engine_that_was_asked_for_runs():
    for isa in _core.isas():
        assert fastmlp.Network([3, 2], engine="native", _isa=isa).engine == "native"
        assert fastmlp.Network([3, 2], engine="blas", _isa=isa).engine == "blas"


def test_auto_is_native_where_there_is_fused_multiply_add():
    for isa in _core.isas():
        net = fastmlp.Network([3, 2], _isa=isa)
        assert net.engine == ("blas" if isa == "base" else "native")
        assert f"engine {net.engine}" in net.summary()
        assert isa in net.summary()


def test_parameters_pass_between_the_engines_unchanged():
    for sizes in SHAPES:
        native, blas = (fastmlp.Network(sizes, engine=engine, seed=3) for engine in ("native", "blas"))
        np.testing.assert_array_equal(native.parameters, blas.parameters)
        for w, v in zip(native.weights, blas.weights, strict=True):
            np.testing.assert_array_equal(w, v)


@pytest.mark.parametrize("n_inputs", [1, 16, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fewer_lines_of_inputs_than_threads(n_inputs: int, dtype: str) -> None:
    """A share without inputs has no biases either: each is updated once, whatever the number of threads."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(140, n_inputs)).astype(dtype), rng.normal(size=(140, 4)).astype(dtype)
    sizes, parameters = [n_inputs, 128, 128, 4], []
    for n_threads in (1, 2, 7):
        net = fastmlp.Network(sizes, dtype=dtype, engine="native", n_threads=n_threads, seed=0)
        losses = [net.train_on_batch(X, y, "adam") for _ in range(3)]
        parameters.append([*net.parameters, *losses])
    assert parameters[0] == parameters[1] == parameters[2]
