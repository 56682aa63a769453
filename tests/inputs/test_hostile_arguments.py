"""Hostile arguments: arrays, numbers and sizes of every kind are used correctly or refused by the argument's name.

A refusal does not change the network. Code that could crash runs in a separate process.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp
from hostile import ONES, Raises, assert_whole, crash_test, small

# -- array arguments --------------------------------------------------------------------------------------------------


class Subclass(np.ndarray):
    pass


FINE = {
    "subclass": ONES.view(Subclass),
    "Fortran order": np.asfortranarray(ONES),
    "transposed": np.ones((3, 4), np.float32).T,
    "negative strides": np.ones((8, 6))[::-2, ::-2],
    "zero strides": np.broadcast_to(np.float32(1), (4, 3)),
    "other byte order": ONES.astype(">f4"),
    "misaligned": np.frombuffer(b"\0" + ONES.tobytes(), np.float32, offset=1).reshape(4, 3),
    "half": ONES.astype(np.float16),
    "long double": ONES.astype(np.longdouble),
    "bool": ONES.astype(bool),
    "uint8": ONES.astype(np.uint8),
    "uint64": ONES.astype(np.uint64),
    "list": ONES.tolist(),
    "tuples": tuple(map(tuple, ONES.tolist())),
    "list of rows": list(ONES),
    "memoryview": memoryview(ONES),
}
BAD = {
    "None": (None, TypeError),
    "empty": ([], ValueError),
    "empty rows": ([[]], ValueError),
    "number": (3.0, ValueError),
    "no rows": (np.zeros((0, 3)), ValueError),
    "no columns": (np.zeros((4, 0)), ValueError),
    "0-d": (np.array(1.0), ValueError),
    "3-d": (np.zeros((4, 3, 1)), ValueError),
    "ragged": ([[1, 2, 3], [1, 2]], ValueError),
    "text": ("abc", TypeError),
    "bytes": (b"abc", TypeError),
    "texts": ([["1", "2", "3"]], TypeError),
    "complex": (ONES.astype(complex), TypeError),
    "object": (ONES.astype(object), TypeError),
    "datetime64": (np.zeros((4, 3), "M8[s]"), TypeError),
    "timedelta64": (np.zeros((4, 3), "m8[s]"), TypeError),
    "structured": (np.zeros(4, [("a", "f4"), ("b", "f4"), ("c", "f4")]), TypeError),
    "void": (np.zeros((4, 3), "V4"), TypeError),
    "dict": ({1: 2}, TypeError),
    "set": ({1, 2, 3}, TypeError),
    "generator": ((x for x in [1, 2, 3]), TypeError),
    "too large integers": ([[10**400] * 3], TypeError),
    "type": (float, TypeError),
}


@pytest.mark.parametrize("kind", FINE)
def test_unusual_inputs(build: Callable[..., fastmlp.Network], kind: str) -> None:
    """Inputs of unusual forms with the same numbers give the same results."""
    net, twin = (build([3, 4, 2], seed=0) for _ in range(2))
    X, ones, y = FINE[kind], ONES.astype(net.dtype), np.zeros((4, 2))
    assert np.array_equal(net.predict(X), net.predict(ones))
    assert np.array_equal(net.classify(X), net.classify(ones))
    assert net.evaluate(X, y) == net.evaluate(ones, y)
    assert np.array_equal(net.input_gradient(X, y), net.input_gradient(ones, y))
    assert net.fit(X, y, epochs=2)["loss"] == twin.fit(ones, y, epochs=2)["loss"]
    assert np.array_equal(net.parameters, twin.parameters)


@pytest.mark.parametrize("kind", BAD)
def test_impossible_inputs(kind: str) -> None:
    X, error = BAD[kind]
    net, before = small(), small().parameters
    for function in (net.predict, net.classify, net.activations, lambda X: net.fit(X, np.ones((4, 2)))):
        with pytest.raises(error, match="X: expected"):
            function(X)
    with pytest.raises((TypeError, ValueError), match="y: expected"):
        net.fit(ONES, X)
    assert np.array_equal(net.parameters, before)
    assert_whole(net)


def test_an_array_like_that_raises() -> None:
    class Raises:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            raise ZeroDivisionError("as it pleases")

    net = small()
    for function in (net.predict, lambda X: net.fit(X, X), lambda X: setattr(net, "parameters", X)):
        with pytest.raises(ZeroDivisionError, match="as it pleases"):
            function(Raises())
    assert_whole(net)


def test_a_memory_map_is_an_input(tmp_path: Any) -> None:
    net = small()
    for mode in ("w+", "r", "c"):
        X = np.memmap(tmp_path / "x", np.float32, mode=mode, shape=(4, 3))
        assert np.array_equal(net.predict(X), net.predict(np.zeros((4, 3))))
        net.fit(X, np.zeros((4, 2)), epochs=1)


MEMORY = np.zeros(100, np.float32)
OUTPUTS = {
    "dtype": np.empty((4, 2)),
    "byte order": np.empty((4, 2), ">f4"),
    "integers": np.empty((4, 2), np.int32),
    "Fortran order": np.empty((2, 4), np.float32).T,
    "columns of another": np.empty((4, 5), np.float32)[:, :2],
    "negative strides": np.empty((4, 2), np.float32)[::-1],
    "zero strides": np.broadcast_to(np.empty(2, np.float32), (4, 2)),
    "rank": np.empty(8, np.float32),
    "another rank": np.empty((4, 2, 1), np.float32),
    "rows": np.empty((5, 2), np.float32),
    "0-d": np.empty((), np.float32),
    "misaligned": np.frombuffer(bytearray(33), np.float32, offset=1).reshape(4, 2),
    "read-only": np.frombuffer(bytes(32), np.float32).reshape(4, 2),
    "masked": np.ma.masked_array(np.ones((4, 2), np.float32)),
    "overlap": MEMORY[10:18].reshape(4, 2),
    "overlap by one byte": MEMORY.view(np.uint8)[44:76].view(np.float32).reshape(4, 2),
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_impossible_outputs(kind: str) -> None:
    net, X, out = small(), MEMORY[:12].reshape(4, 3), OUTPUTS[kind]
    before = np.array(out).tobytes()
    with pytest.raises(ValueError, match="out: expected"):
        net.predict(X, out=out)
    assert np.array(out).tobytes() == before


@pytest.mark.parametrize("out", [3, [1.0], "out", np.float32(1), np.ndarray], ids=repr)
def test_outputs_that_are_no_arrays(out: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="out: expected"):
        small().predict(ONES, out=out)


def test_out_beside_the_input_in_one_memory() -> None:
    net = small()
    X, out = MEMORY[:12].reshape(4, 3), MEMORY[12:20].reshape(4, 2)
    assert np.array_equal(net.predict(X, out=out), net.predict(X.copy()))
    with pytest.raises(ValueError, match="out"):
        net.predict(memoryview(X), out=MEMORY[10:18].reshape(4, 2))


@pytest.mark.parametrize("rubbish", [np.nan, np.inf, -0.0])
def test_what_was_in_out_does_not_matter(build: Callable[..., fastmlp.Network], rubbish: float) -> None:
    for sizes, n_rows in itertools.product(([3, 4, 2], [1, 1], [1, 5, 1], [7, 1, 7], [40, 40, 40, 10]), (1, 2, 5, 300)):
        net = build(sizes, seed=1)
        X = np.random.default_rng(0).random((n_rows, sizes[0])).astype(net.dtype)
        for rows in (X, X[0]):
            expected = net.predict(rows)
            assert np.array_equal(net.predict(rows, out=np.full_like(expected, rubbish)), expected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_numbers_that_are_not_finite_in_float32(value: float) -> None:
    """predict passes such numbers through; methods that train or set parameters refuse them and change nothing."""
    net, before = small(), small().parameters
    X, y, P = np.ones((4, 3)), np.ones((4, 2)), before.astype(np.float64)
    X[2, 1] = y[2, 1] = P[5] = value
    assert not np.isfinite(net.predict(X)[2]).all()
    assert np.isfinite(net.predict(X)[[0, 1, 3]]).all()
    assert net.classify(X).shape == (4,)
    assert all(array.shape[0] == 4 for array in net.activations(X))
    assert not np.isfinite(net.evaluate(X, np.ones((4, 2)))["loss"])
    refused: list[Callable[[], Any]] = [
        lambda: net.fit(X, np.ones((4, 2))),
        lambda: net.fit(ONES, y),
        lambda: net.fit(ONES, np.ones((4, 2)), validation_data=(X, np.ones((4, 2)))),
        lambda: net.fit(ONES, np.ones((4, 2)), validation_data=(ONES, y)),
        lambda: net.train_on_batch(X, np.ones((4, 2))),
        lambda: net.train_on_batch(ONES, y),
        lambda: net.loss_and_grad(X, np.ones((4, 2))),
        lambda: setattr(net, "parameters", P),
        lambda: net.set_layer(0, np.full((4, 3), value), np.zeros(4)),
        lambda: net.set_layer(0, np.zeros((4, 3)), np.full(4, value)),
    ]
    for function in refused:
        with pytest.raises(ValueError, match="finite"):
            function()
    assert np.array_equal(net.parameters, before)
    assert_whole(net)


# -- numbers and names ------------------------------------------------------------------------------------------------


INTEGERS: dict[str, Callable[[Any], Any]] = {
    "sizes[1]": lambda value: fastmlp.Network([3, value]),
    "seed": lambda value: fastmlp.Network([3, 2], seed=value),
    "n_threads": lambda value: fastmlp.Network([3, 2], n_threads=value),
    "epochs": lambda value: small().fit(ONES, np.ones((4, 2)), epochs=value),
    "batch_size": lambda value: small().fit(ONES, np.ones((4, 2)), batch_size=value),
    "verbose": lambda value: small().fit(ONES, np.ones((4, 2)), verbose=value),
    "l": lambda value: small().set_layer(value, np.ones((4, 3)), np.ones(4)),
}
NOT_INTEGERS = [
    1.0,
    "1",
    b"1",
    True,
    np.True_,
    1j,
    np.array(1.0),
    np.array([1]),
    np.array([1, 2]),
    int,
    [1],
    (),
    object(),
]


@pytest.mark.parametrize("value", NOT_INTEGERS, ids=repr)
@pytest.mark.parametrize("argument", INTEGERS)
def test_what_is_no_integer(argument: str, value: Any) -> None:
    """What is no integer raises a TypeError that names the argument, or a ValueError if names are allowed."""
    if argument == "verbose" and value is True:
        return  # verbose=True means 1
    error = ValueError if argument == "n_threads" and isinstance(value, str) else TypeError
    with pytest.raises((TypeError, error), match=rf"^{re.escape(argument)}: expected"):
        INTEGERS[argument](value)


@pytest.mark.parametrize("argument", INTEGERS)
def test_what_an_index_raises_comes_out(argument: str) -> None:
    with pytest.raises(ZeroDivisionError, match="as it pleases"):
        INTEGERS[argument](Raises())


@pytest.mark.parametrize(
    "value", [2**31, 2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**400], ids=lambda value: f"{value.bit_length()} bits"
)
def test_huge_integers(value: int) -> None:
    net, twin = small(), small()
    X, y = np.random.default_rng(0).random((40, 3)), np.ones((40, 2))
    assert net.fit(X, y, batch_size=value)["loss"] == twin.fit(X, y, batch_size=None)["loss"]  # equal to a full batch
    with pytest.raises(IndexError):
        net.set_layer(value, np.ones((4, 3)), np.ones(4))
    with pytest.raises(ValueError, match="sizes"):
        fastmlp.Network([3, value])
    stop = net.fit(X, y, epochs=value, callbacks=[lambda epoch, logs: epoch == 1])
    assert len(stop["loss"]) == 2


REALS: dict[str, Callable[[Any], Any]] = {
    "learning_rate": fastmlp.SGD,
    "momentum": lambda value: fastmlp.SGD(0.1, momentum=value),
    "beta_1": lambda value: fastmlp.Adam(beta_1=value),
    "epsilon": lambda value: fastmlp.Adam(epsilon=value),
    "beta": fastmlp.Sigmoid,
    "mu": fastmlp.Gaussian,
    "sigma": lambda value: fastmlp.Gaussian(0.0, value),
    "x_min": lambda value: fastmlp.PiecewiseLinear(value, 1.0),
    "negative_slope": fastmlp.LeakyReLU,
    "alpha": fastmlp.ELU,
    "omega": fastmlp.Sine,
    "min_val": lambda value: fastmlp.HardTanh(value, 1.0),
}


@pytest.mark.parametrize("argument", REALS)
def test_what_is_no_real_number(argument: str) -> None:
    """What is no real number raises a TypeError, what is too large or not finite a ValueError."""
    for value in ("1", b"1", None, True, 1j, np.complex128(1), np.array([0.1, 0.2]), [0.1], object(), float):
        with pytest.raises(TypeError, match=f"^{argument}: expected"):
            REALS[argument](value)
    for value in (np.nan, np.inf, -np.inf, 10**400, -(10**400)):
        with pytest.raises(ValueError, match=f"^{argument}: expected"):
            REALS[argument](value)
    with pytest.raises(ZeroDivisionError, match="as it pleases"):
        REALS[argument](Raises())


@pytest.mark.slow  # a sanitizer takes more memory than the limit
@pytest.mark.parametrize("sizes", ["itertools.count(1)", "range(1, 10**9)"])
def test_sizes_without_end(sizes: str) -> None:
    """An endless iterator of sizes is refused before memory runs out."""
    crash_test(
        f"""
        import itertools, resource
        net()
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        limit = used + (100 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        refused(lambda: Network({sizes}), ValueError, TypeError)
        """
    )


@pytest.mark.slow  # a sanitizer takes more memory than the limit
def test_no_memory() -> None:
    """If there is not enough memory for a network or its training, a MemoryError is raised and nothing is lost."""
    crash_test(
        """
        import resource
        small, large = net(), net(3000, 3000)
        X = np.ones((2, 3000), np.float32)
        expected = large.predict(X)
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        limit = used + (60 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        refused(lambda: net(10_000, 10_000), MemoryError)
        refused(lambda: large.fit(X, X), MemoryError)
        refused(lambda: large.train_on_batch(X, X, "sgd"), MemoryError)
        refused(lambda: large.copy(), MemoryError)
        assert np.array_equal(large.predict(X), expected)
        small.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1)
        """
    )
