"""Measures what a call of a bound predictor costs over the core's own time: Numba, Cython, cffi, SciPy, and Python.

    python bench/callers.py [--cpu N] [--rounds N] [--clock cpu] [--build FOLDER] [--quick]

The core's own time is that of a loop in C over `fastmlp_predict_row`, with the library that `make -C csrc` builds. The
other loops go over the same rows and must give the same bits before anything is timed. SciPy's is the time of an
evaluation in `quad`, less that of an integrand in C that does nearly nothing, so that QUADPACK's own work is left out.
Needs a compiler, make, cffi, Cython and Numba.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import report
import rounds
from scipy import LowLevelCallable
from scipy.integrate import quad

import fastmlp

CSRC = Path(__file__).parents[1] / "csrc"
NETWORKS = {"4-16-16-2": ([4, 16, 16, 2], "relu"), "10-32-32-1": ([10, 32, 32, 1], "tanh")}
INTEGRAND = [1, 32, 32, 1]
N_ROWS, N_BREAKS = 64, 2000
MAX_OVER = 25e-9  # the target: seconds over the core's own time

DECLARATIONS = """
void core_loop(void *model, const float *x, float *y, size_t I, size_t O, size_t rows, size_t n);
void core_loop64(void *model, const double *x, double *y, size_t I, size_t O, size_t rows, size_t n);
void call_loop(size_t address, size_t context, const float *x, float *y, size_t I, size_t O, size_t rows, size_t n);
void *load(const char *file, size_t size);
double cheap(double x, void *context);
size_t cheap_address(void);
"""
LOOP = """
void {name}({arguments}, const {real} *x, {real} *y, size_t I, size_t O, size_t rows, size_t n) {{
    for (size_t i = 0; i < n; i++) for (size_t k = 0; k < rows; k++) {call};
}}
"""
SOURCE = """
#include <fastmlp.h>
#include <stdlib.h>
void *load(const char *file, size_t size) { return fastmlp_load(file, size, NULL); }
double cheap(double x, void *context) { (void)context; return x * x; }
size_t cheap_address(void) { return (size_t)&cheap; }
static char workspace[1 << 20];
"""
for _real, _suffix in (("float", ""), ("double", "64")):
    SOURCE += LOOP.format(
        name=f"core_loop{_suffix}",
        arguments="void *model",
        real=_real,
        call="fastmlp_predict_row(model, x + k * I, y + k * O, workspace)",
    )
SOURCE += LOOP.format(
    name="call_loop",
    arguments="size_t address, size_t context",
    real="float",
    call="((fastmlp_function_f32)address)(x + k * I, y + k * O, (void *)context)",
)
CYTHON = """
# cython: language_level=3, boundscheck=False, wraparound=False
cimport fastmlp

def loop(bound, const float[:, ::1] X, float[:, ::1] Y, size_t n):
    cdef fastmlp.Float32Function f = fastmlp.float32_function(bound)
    cdef size_t i
    cdef Py_ssize_t k
    with nogil:
        for i in range(n):
            for k in range(X.shape[0]):
                f.call(&X[k, 0], &Y[k, 0], f.context)
"""


def build(folder: Path, quick: bool) -> tuple[Any, Any]:
    """Compile the loops in C and in Cython; return both modules."""
    import cffi

    folder = folder.resolve()
    folder.mkdir(exist_ok=True)
    optimization = ["CFLAGS=-O1"] if quick else []
    subprocess.run(["make", "-C", CSRC, "-j2", f"BUILD={folder}", *optimization], check=True, capture_output=True)
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    ffi.set_source(
        "c_loops",
        SOURCE,
        include_dirs=[fastmlp.get_include()],
        extra_objects=[str(folder / "libfastmlp.a")],
        extra_compile_args=["-O2"],
        libraries=["m", "pthread"],
    )
    ffi.compile(tmpdir=str(folder))
    (folder / "cython_loops.pyx").write_text(CYTHON)
    program = (
        "from Cython.Build import cythonize; from setuptools import Extension, setup; import fastmlp; "
        "setup(script_args=['-q', 'build_ext', '--inplace'], ext_modules=cythonize(Extension('cython_loops', "
        "['cython_loops.pyx'], include_dirs=[fastmlp.get_include()], extra_compile_args=['-O2'])))"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True, capture_output=True)
    return tuple(_import(folder, name) for name in ("c_loops", "cython_loops"))  # type: ignore[return-value]


def _import(folder: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, next(folder.glob(f"{name}.*.so")))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load(c: Any, net: Any) -> Any:
    """Return the network as a model of the C API."""
    with tempfile.NamedTemporaryFile() as file:
        net.save(file.name)
        content = Path(file.name).read_bytes()
    model = c.lib.load(content, len(content))
    assert model != c.ffi.NULL
    return model


def numba_loop() -> Callable[..., None]:
    """Return the loop that Numba compiles."""
    import numba

    def loop(f: Any, X: Any, Y: Any, n: int) -> None:
        for _ in range(n):
            for k in range(len(X)):
                f(X[k], Y[k])

    compiled: Callable[..., None] = numba.njit(nogil=True)(loop)
    return compiled


def python_loop(predict: Callable[..., Any], X: Any, Y: Any, n: int) -> None:
    """Predict each row from Python."""
    pairs = list(zip(X, Y, strict=True))
    for _ in range(n):
        for x, y in pairs:
            predict(x, out=y)


def loops(c: Any, cython: Any, net: Any, X: Any, Y: Any) -> dict[str, Callable[[int], None]]:
    """Return the loops over all rows by name; each takes the number of repetitions."""
    bound, compiled = net.bind(), numba_loop()
    numbers = (*X.shape[1:], *Y.shape[1:], len(X))
    x, y = c.ffi.from_buffer("float[]", X), c.ffi.from_buffer("float[]", Y)
    model, address, context, f = load(c, net), bound.address, bound.context, bound.numba
    return {
        "the core": lambda n: c.lib.core_loop(model, x, y, *numbers, n),
        "C, through the address (cffi)": lambda n: c.lib.call_loop(address, context, x, y, *numbers, n),
        "Cython": lambda n: cython.loop(bound, X, Y, n),
        "Numba": lambda n: compiled(f, X, Y, n),
        "Python, predict(row, out=)": functools.partial(python_loop, bound.predict, X, Y),
    }


def verify(loops: dict[str, Callable[[int], None]], Y: Any, expected: Any) -> None:
    """Stop unless all loops give the bits of `predict`."""
    for name, loop in loops.items():
        Y.fill(np.nan)
        loop(1)
        if not np.array_equal(Y, expected):
            raise SystemExit(f"{name}: other bits than predict")


def evaluation(function: Any) -> float:
    """Return the seconds of one evaluation of an integrand in `quad`, which makes many in one call."""
    breaks = np.linspace(-1, 1, N_BREAKS + 2)[1:-1]
    evaluations = 0

    def integrate() -> None:
        nonlocal evaluations
        evaluations = quad(function, -1, 1, points=breaks, limit=2 * N_BREAKS, epsrel=1e-3, full_output=1)[2]["neval"]

    return rounds.seconds(integrate) / evaluations


def integrands(c: Any) -> list[Callable[[], float]]:
    """Return measurements of one evaluation: the core, SciPy with the network, SciPy with an integrand in C."""
    import ctypes

    net = fastmlp.Network(INTEGRAND, activation="tanh", dtype="float64", seed=0)
    model, X, Y = load(c, net), np.linspace(-1, 1, N_ROWS)[:, None].copy(), np.empty((N_ROWS, 1))
    x, y = c.ffi.from_buffer("double[]", X), c.ffi.from_buffer("double[]", Y)
    c.lib.core_loop64(model, x, y, 1, 1, N_ROWS, 1)
    if not np.array_equal(Y, net.predict(X)):
        raise SystemExit("SciPy: other bits than predict")
    cheap = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double, ctypes.c_void_p)(c.lib.cheap_address())
    n = 20
    return [
        lambda: rounds.seconds(lambda: c.lib.core_loop64(model, x, y, 1, 1, N_ROWS, n)) / (n * N_ROWS),
        functools.partial(evaluation, net.bind().scipy("quad")),
        functools.partial(evaluation, LowLevelCallable(cheap)),
    ]


def nanoseconds(values: Any) -> tuple[str, ...]:
    """Format seconds as nanoseconds."""
    return tuple(f"{1e9 * value:.0f} ns" for value in values)


def lines(c: Any, cython: Any, name: str, n_rounds: int, wanted: float) -> list[tuple[str, ...]]:
    """Verify and measure the loops over a network; return rows of the table."""
    sizes, activation = NETWORKS[name]
    net = fastmlp.Network(sizes, activation=activation, seed=0, n_threads=1)
    X = np.random.default_rng(0).normal(size=(N_ROWS, sizes[0])).astype(np.float32)
    Y = np.empty((N_ROWS, sizes[-1]), np.float32)
    made = loops(c, cython, net, X, Y)
    verify(made, Y, net.predict(X))
    counts = [rounds.repeats(loop, wanted) for loop in made.values()]
    calls = [
        functools.partial(rounds.seconds, functools.partial(loop, n))
        for loop, n in zip(made.values(), counts, strict=True)
    ]
    times = np.array(rounds.interleaved(calls, n_rounds)) / (N_ROWS * np.array(counts)[:, None])
    return [row(f"{name}, {caller}", times[0], own) for caller, own in zip(made, times, strict=True)]


def row(what: str, core: Any, own: Any) -> tuple[str, ...]:
    """Return a row of the table: the median time, and the quartiles of what is over the core's in the same round."""
    over = np.percentile(own - core, (25, 50, 75))
    judged = "" if what.endswith(("the core", "out=)")) else report.verdict(over[1] <= MAX_OVER)
    return what, *nanoseconds([np.median(own), *over]), judged


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    parser.add_argument("--build", type=Path, help="a folder to compile in, which a later run can use again")
    options = parser.parse_args()
    report.pin(options.cpu)
    rounds.use(options.clock)
    print(report.provenance(options.cpu, "float32", "one thread", f"{options.clock} time"), flush=True)
    n_rounds, wanted = (1, 1e-4) if options.quick else (options.rounds, 0.01)
    share, found = rounds.Share(), []
    with tempfile.TemporaryDirectory() as folder:
        c, cython = build(options.build or Path(folder), options.quick)
        for name in NETWORKS:
            found += lines(c, cython, name, n_rounds, wanted)
        core, scipy, cheap = np.array(rounds.interleaved(integrands(c), n_rounds))
    found.append(row("1-32-32-1 float64, the core", core, core))
    found.append(row("1-32-32-1 float64, SciPy's quad", core, scipy - cheap))
    columns = ("one row", "median", "lower quartile", "over the core", "upper quartile", "≤ 25 ns")
    print("", report.table(columns, found), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
