"""Callers of a bound predictor: Numba, SciPy, Cython and cffi get the bits of `predict`; misuse is an error."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from processes import run_python

DTYPES = ("float32", "float64")


def case(dtype: str, **options: Any) -> tuple[fastmlp.BoundPredictor, Any, Any]:
    """Return a predictor, rows, and what it predicts for them."""
    bound = fastmlp.Network([5, 17, 33, 2], activation="tanh", dtype=dtype, seed=1, **options).bind()
    rows = np.random.default_rng(0).normal(size=(200, 5)).astype(dtype)
    return bound, rows, bound.predict(rows)


# -- Numba -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loops() -> Any:
    """Loops over rows that Numba has compiled: with the GIL released, and in parallel."""
    numba = pytest.importorskip("numba")

    def loop(f: Any, X: Any, Y: Any) -> None:
        for i in range(len(X)):
            f(X[i], Y[i])

    def parallel(f: Any, X: Any, Y: Any) -> None:
        for i in numba.prange(len(X)):
            f(X[i], Y[i])

    return numba.njit(nogil=True)(loop), numba.njit(parallel=True)(parallel)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numba_gets_the_bits_of_predict(loops: Any, dtype: str) -> None:
    scaling = fastmlp.Scaling([0.5, 1.0], [2.0, 0.1])
    for bound, X, expected in (case(dtype), case(dtype, target_scaling=scaling)):
        for loop in loops:
            Y = np.full_like(expected, np.nan)
            loop(bound.numba, X, Y)
            np.testing.assert_array_equal(Y, expected)


def test_numba_refuses_other_arrays(loops: Any) -> None:
    from numba.core.errors import TypingError

    loop, (bound, X, Y) = loops[0], case("float32")
    for x, y, message in ((X[:, :4].copy(), Y, "x: expected as many"), (X, Y[:, :1].copy(), "y: expected as many")):
        with pytest.raises(ValueError, match=message):
            loop(bound.numba, x, y)
    read_only = Y.copy()
    read_only.flags.writeable = False
    for x, y, message in (
        (X.astype(float), Y, "x: expected a contiguous vector of float32"),
        (X[:, ::-1], Y, "x: expected a contiguous vector of float32"),
        (X, Y.astype(float), "y: expected a contiguous vector of float32"),
        (X, read_only, "y: expected an array that can be written to"),
    ):
        with pytest.raises(TypingError, match=message):
            loop(bound.numba, x, y)


def test_a_constant_in_compiled_code_keeps_the_predictor(loops: Any) -> None:
    import numba

    bound, X, expected = case("float32")
    f, reference = bound.numba, weakref.ref(bound)

    @numba.njit
    def loop(X: Any, Y: Any) -> None:
        for i in range(len(X)):
            f(X[i], Y[i])

    Y = np.empty_like(expected)
    loop(X, Y)
    np.testing.assert_array_equal(Y, expected)
    f = None
    del bound
    gc.collect()
    assert reference() is not None


def test_an_argument_is_not_kept_longer_than_the_call(loops: Any) -> None:
    bound, X, Y = case("float32")
    reference = weakref.ref(bound)
    for loop in loops:
        loop(bound.numba, X, Y)
    del bound
    gc.collect()
    assert reference() is None


def test_a_list_of_numba_keeps_the_predictor() -> None:
    numba = pytest.importorskip("numba")

    @numba.njit
    def keep(f: Any, g: Any, x: Any) -> Any:
        kept, y = [f, g], np.empty(2, np.float32)
        kept[1](x, y)
        return y

    first, X, _ = case("float32")
    second = fastmlp.Network([5, 2], seed=3).bind()
    np.testing.assert_array_equal(keep(first.numba, second.numba, X[0]), second.predict(X[0]))


CACHED = """
    import sys
    import numba
    import numpy as np
    import fastmlp

    @numba.njit(cache=True)
    def loop(f, X):
        Y = np.empty((len(X), 2), np.float32)
        for i in range(len(X)):
            f(X[i], Y[i])
        return Y

    X = np.arange(15, dtype=np.float32).reshape(3, 5) / 10
    padding = [bytearray(n) for n in range(int(sys.argv[1]))]  # other addresses in the other process
    bound = fastmlp.load(sys.argv[2])
    print(np.array_equal(loop(bound.numba, X), bound.predict(X)))
    print(sum(loop.stats.cache_hits.values()))
"""


def test_compiled_functions_are_cached_in_files(tmp_path: Path) -> None:
    """The second process runs the code that the first has compiled, with another predictor at other addresses."""
    pytest.importorskip("numba")
    script = tmp_path / "cached.py"
    script.write_text(textwrap.dedent(CACHED))
    for hits, seed in ((0, 1), (1, 2)):
        fastmlp.Network([5, 9, 2], seed=seed).bind().save(tmp_path / "model")
        command = [sys.executable, script, str(1000 * hits), tmp_path / "model"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["True", str(hits)]


# -- SciPy -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_scipy_integrates_it(dtype: str) -> None:
    from scipy.integrate import nquad, quad

    one = fastmlp.Network([1, 9, 1], activation="tanh", dtype=dtype, seed=1)
    three = fastmlp.Network([3, 9, 1], activation="tanh", dtype=dtype, seed=1)
    precise = {"epsabs": 1e-5, "epsrel": 1e-5}
    found = quad(one.bind().scipy("quad"), -1, 2, **precise)
    assert found == quad(lambda x: float(one.predict([x])[0]), -1, 2, **precise)
    function = three.bind().scipy("quad")
    assert quad(function, 0, 1, args=(0.5, -2.0), **precise) == quad(
        lambda *x: float(three.predict(list(x))[0]), 0, 1, args=(0.5, -2.0), **precise
    )
    ranges, options = [[0, 1], [-1, 0], [0, 2]], {"opts": {"epsabs": 1e-3, "epsrel": 1e-3}}
    found = nquad(three.bind().scipy("nquad"), ranges, **options)
    assert found == nquad(lambda *x: float(three.predict(list(x))[0]), ranges, **options)


def test_another_number_of_arguments_is_nan_in_scipy() -> None:
    from scipy.integrate import IntegrationWarning, quad

    function = fastmlp.Network([3, 1], seed=1).bind().scipy("quad")
    with pytest.warns(IntegrationWarning):
        assert np.isnan(quad(function, 0, 1, args=(0.5,))[0])


def test_scipys_callable_keeps_the_predictor() -> None:
    bound = fastmlp.Network([1, 1], seed=0).bind()
    reference, function = weakref.ref(bound), bound.scipy("quad")
    del bound
    gc.collect()
    assert reference() is not None
    del function
    gc.collect()
    assert reference() is None


def test_networks_that_scipy_cannot_take_are_refused() -> None:
    for sizes, kind in (([3, 2], "quad"), ([65, 1], "nquad"), ([3, 1], "ode"), ([1, 2], "ode")):
        with pytest.raises(ValueError, match="scipy: expected"):
            fastmlp.Network(sizes).bind().scipy(kind)
    with pytest.raises(ValueError, match="kind: expected one of 'quad', 'nquad', 'ode', got 'dblquad'"):
        fastmlp.Network([1, 1]).bind().scipy("dblquad")


def test_ode_solvers_take_it() -> None:
    from scipy.integrate import solve_ivp

    autonomous = fastmlp.Network([2, 8, 2], activation="tanh", dtype="float64", seed=1)
    with_time = fastmlp.Network([3, 8, 2], activation="tanh", dtype="float64", seed=1)
    for net, f in ((autonomous, lambda t, y: autonomous(y)), (with_time, lambda t, y: with_time([t, *y]))):
        found, expected = (solve_ivp(g, (0, 3), [0.5, -1.0]) for g in (net.bind().scipy("ode"), f))
        np.testing.assert_array_equal(found.y, expected.y)


# -- Cython and cffi ---------------------------------------------------------------------------------------------------

MODULE = """
    # cython: language_level=3
    cimport fastmlp

    def loop32(bound, const float[:, ::1] X, float[:, ::1] Y):
        cdef fastmlp.Float32Function f = fastmlp.float32_function(bound)
        cdef Py_ssize_t i
        assert X.shape[1] == <Py_ssize_t>f.n_inputs and Y.shape[1] == <Py_ssize_t>f.n_outputs
        with nogil:
            for i in range(X.shape[0]):
                f.call(&X[i, 0], &Y[i, 0], f.context)

    def loop64(bound, const double[:, ::1] X, double[:, ::1] Y):
        cdef fastmlp.Float64Function f = fastmlp.float64_function(bound)
        cdef Py_ssize_t i
        with nogil:
            for i in range(X.shape[0]):
                f.call(&X[i, 0], &Y[i, 0], f.context)
"""
SETUP = """
    from Cython.Build import cythonize
    from setuptools import Extension, setup
    import fastmlp

    setup(ext_modules=cythonize(Extension("loops", ["loops.pyx"], include_dirs=[fastmlp.get_include()])))
"""
USE = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import loops
    import numpy as np
    import fastmlp

    for dtype, loop in (("float32", loops.loop32), ("float64", loops.loop64)):
        bound = fastmlp.Network([5, 9, 2], dtype=dtype, seed=0).bind()
        X, Y = np.random.default_rng(0).normal(size=(50, 5)).astype(dtype), np.empty((50, 2), dtype)
        loop(bound, X, Y)
        assert (Y == bound.predict(X)).all()
        other = loops.loop64 if dtype == "float32" else loops.loop32
        for wrong, error in ((bound, TypeError), (fastmlp.Network([5, 2]), TypeError), (None, TypeError)):
            arrays = [a.astype("float64" if dtype == "float32" else "float32") for a in (X, Y)]
            try:
                other(wrong, *arrays)
            except error as found:
                assert "expected" in str(found), found
            else:
                raise AssertionError("no error")
    print("done")
"""


@pytest.mark.slow
def test_cython_calls_it(tmp_path: Path) -> None:
    """A module that cimports fastmlp compiles against the shipped declarations and the header."""
    for name, text in (("loops.pyx", MODULE), ("setup.py", SETUP), ("use.py", USE)):
        (tmp_path / name).write_text(textwrap.dedent(text))
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "use.py", tmp_path], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert done.stdout == "done\n"


@pytest.mark.parametrize("dtype", DTYPES)
def test_cffi_calls_it(dtype: str) -> None:
    cffi = pytest.importorskip("cffi")
    ffi, real = cffi.FFI(), "float" if dtype == "float32" else "double"
    bound, X, expected = case(dtype)
    f = ffi.cast(f"void (*)(const {real} *, {real} *, void *)", bound.address)
    context, Y = ffi.cast("void *", bound.context), np.empty_like(expected)
    for x, y in zip(X, Y, strict=True):
        f(ffi.from_buffer(f"{real}[]", x), ffi.from_buffer(f"{real}[]", y, require_writable=True), context)
    np.testing.assert_array_equal(Y, expected)


def test_a_forked_child_calls_it() -> None:
    """A child that is forked while threads of its parent use all pieces of the memory does not wait for them."""
    code = """
        import os, threading
        import numpy as np
        import fastmlp

        bound = fastmlp.Network([3, 2200, 400, 2], activation="tanh", seed=0).bind()
        function, context = bound.ctypes
        x, expected = np.ones(3, np.float32), None

        def call():
            y = np.empty(2, np.float32)
            function(x.ctypes.data, y.ctypes.data, context)
            return y

        expected, stop = bound.predict(x), threading.Event()
        def work():
            while not stop.is_set():
                call()
        threads = [threading.Thread(target=work) for _ in range(40)]
        for thread in threads: thread.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(int(not np.array_equal(call(), expected)))
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for thread in threads: thread.join()
        print("done")
    """
    assert run_python(textwrap.dedent(code), timeout=120).endswith("done\n")


def test_numba_where_it_is_not_installed() -> None:
    code = """
        import sys
        sys.modules["numba"] = sys.modules["llvmlite"] = None
        import fastmlp
        bound = fastmlp.Network([2, 1]).bind()
        assert not hasattr(bound, "numba")
        try:
            bound.numba
        except AttributeError as error:
            print(error)
    """
    printed = run_python(textwrap.dedent(code))
    assert "is not installed: pip install 'fastmlp[numba]'" in printed
