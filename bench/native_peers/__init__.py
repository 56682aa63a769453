"""The peers of native.py: functions that predict one row, called without Python where there is such a way.

PEERS is the table. A peer is made for a workload, and raises `Missing` where something that it needs is not there.
Peers in C and C++ are files of this folder, compiled for each workload; what they have in common is in peer.h. A
compiler flag for the processor is given to the peers alone: fastmlp's core is compiled as in its wheels.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from face import Array, layer_arrays
from workloads import Workload, initial_parameters

import fastmlp

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
FOLDER = TOP / "build" / "native"
sys.path.insert(0, str(TOP / "tests" / "core"))
import build  # noqa: E402

DTYPE = "float32"


class Missing(Exception):  # noqa: N818
    """The reason why a peer cannot be measured here."""


class Options(NamedTuple):
    """What the command line says: the ISA of the core, and where RTNeural's source is."""

    isa: str
    rtneural: Path | None
    eigen: Path | None

    @property
    def processor(self) -> list[str]:
        """The compiler's flags that allow a peer the same instructions."""
        return ["-march=native"] if self.isa == "avx512" else ["-march=x86-64-v3"] if self.isa == "avx2" else []


class Peer:
    """A network that predicts one row: `row` writes the outputs of x to y, `seconds` times calls for rows in turn."""

    def row(self, x: Array, y: Array) -> None:
        """Write the outputs of x (I,) to y (O,)."""
        raise NotImplementedError

    def seconds(self, rows: Array, n: int) -> float:
        """Return the time of n calls for each of the rows."""
        raise NotImplementedError


# -- compiled peers ----------------------------------------------------------------------------------------------------


def compile_once(command: list[str], target: Path, sources: list[Path]) -> Path:
    """Run a compiler's command for `target`, unless that is newer than the sources and was made by the same command."""
    target.parent.mkdir(parents=True, exist_ok=True)
    note, said = target.with_suffix(target.suffix + ".command"), shlex.join(command)
    made = target.exists() and note.exists() and note.read_text() == said
    if not made or any(source.stat().st_mtime > target.stat().st_mtime for source in sources):
        subprocess.run(command, check=True)
        note.write_text(said)
    return target


def core_objects() -> list[str]:
    """Compile the core as the wheels have it; return its object files."""
    sources = [path for pattern in ("*.[ch]", "kernels/*") for path in build.CSRC.glob(pattern)]
    objects = []
    for source, flags in build.core_files(build.Target()):
        target = FOLDER / f"core_{source.parent.name}_{source.stem}.o"
        command = [*shlex.split(os.environ.get("CC", "cc")), *flags, "-fPIC", "-pthread", f"-I{build.CSRC}"]
        objects.append(str(compile_once([*command, "-c", str(source), "-o", str(target)], target, sources)))
    return objects


def clock() -> Any:
    """Return the compiled function that times the rows of a compiled peer."""
    source, target = HERE / "clock.c", FOLDER / "clock.so"
    command = [*shlex.split(os.environ.get("CC", "cc")), "-std=c11", "-O2", "-shared", "-fPIC", str(source)]
    function = ctypes.CDLL(str(compile_once([*command, "-o", str(target)], target, [source]))).clock_rows
    function.restype = ctypes.c_double
    return function


class Compiled(Peer):
    """A peer that is compiled for the workload, from one file of this folder with `peer_open` and `peer_row`."""

    def __init__(self, workload: Workload, source: str, option: str, flags: list[str], objects: list[str]) -> None:
        path = HERE / source
        sizes = "-".join(map(str, workload.sizes))
        target = FOLDER / f"{path.stem}_{option}_{sizes}_{workload.activation}.so"
        compiler = os.environ.get("CXX", "c++") if path.suffix == ".cpp" else os.environ.get("CC", "cc")
        macros = [
            f"-DLAYERS={len(workload.layers)}",
            f"-DSIZES={','.join(map(str, workload.sizes))}",
            f'-DHIDDEN="{workload.activation}"',
            f'-DOUTPUT="{workload.output_activation}"',
        ]
        command = [*shlex.split(compiler), "-O3", "-shared", "-fPIC", "-pthread", *flags, *macros, str(path), *objects]
        needed = [path, HERE / "peer.h", *map(Path, objects)]
        library = ctypes.CDLL(str(compile_once([*command, "-lm", "-o", str(target)], target, needed)))
        library.peer_open.restype = ctypes.c_void_p
        self._P = initial_parameters(workload).astype(DTYPE)
        self._row, self._clock, self._y = library.peer_row, clock(), aligned((workload.sizes[-1],))
        self._context = ctypes.c_void_p(library.peer_open(address(self._P), option.encode()))
        if not self._context.value:
            raise Missing(f"this processor lacks {option}")

    def row(self, x: Array, y: Array) -> None:
        self._row(address(x), address(y), self._context)

    def seconds(self, rows: Array, n: int) -> float:
        stride = ctypes.c_size_t(rows.strides[0] // rows.itemsize)
        arguments = (address(rows), stride, ctypes.c_size_t(len(rows)), address(self._y), ctypes.c_size_t(n))
        return float(self._clock(self._row, self._context, *arguments))


def address(array: Array) -> ctypes.c_void_p:
    """Return the address of an array's data."""
    return ctypes.c_void_p(array.ctypes.data)


def aligned(shape: tuple[int, ...]) -> Array:
    """Return zeros of that shape, each row of which begins at a multiple of 64 bytes."""
    padded = (*shape[:-1], -(-shape[-1] // 16) * 16)
    memory = np.zeros(int(np.prod(padded)) + 16, DTYPE)
    begin = -memory.ctypes.data % 64 // memory.itemsize
    return memory[begin : begin + int(np.prod(padded))].reshape(padded)[..., : shape[-1]]


def core(workload: Workload, options: Options) -> Peer:
    """fastmlp's C core, called directly."""
    flags = ["-std=c11", f"-I{build.CSRC}"]
    return Compiled(workload, "core.c", options.isa, flags, core_objects())


def network(workload: Workload) -> fastmlp.Network:
    """Return the workload's network."""
    made = fastmlp.Network(
        workload.sizes,
        activation=workload.activation,
        output_activation=workload.output_activation,
        loss=workload.loss,
        dtype=DTYPE,
    )
    made.parameters = initial_parameters(workload).astype(DTYPE)
    return made


class Bound(Peer):
    """fastmlp's C API, `fastmlp_call`, through the address of a bound predictor."""

    def __init__(self, workload: Workload, options: Options) -> None:
        os.environ["FASTMLP_ISA"] = options.isa
        self._bound = network(workload).bind()
        self._row, self._context = ctypes.c_void_p(self._bound.address), ctypes.c_void_p(self._bound.context)
        self._clock, self._y = clock(), aligned((workload.sizes[-1],))

    def row(self, x: Array, y: Array) -> None:
        y[:] = self._bound.predict(x)

    def seconds(self, rows: Array, n: int) -> float:
        stride = ctypes.c_size_t(rows.strides[0] // rows.itemsize)
        arguments = (address(rows), stride, ctypes.c_size_t(len(rows)), address(self._y), ctypes.c_size_t(n))
        return float(self._clock(self._row, self._context, *arguments))


def to_c(workload: Workload, options: Options) -> Peer:
    """The file that `Network.to_c` writes, compiled for the processor."""
    path = FOLDER / f"model_{'-'.join(map(str, workload.sizes))}.c"
    path.parent.mkdir(parents=True, exist_ok=True)
    network(workload).to_c(path)
    return Compiled(workload, "to_c.c", options.isa, [*options.processor, "-std=c99"], [str(path)])


def emlearn(workload: Workload, options: Options) -> Peer:
    """emlearn's C network."""
    if importlib.util.find_spec("emlearn") is None:
        raise Missing("emlearn is not installed")
    import emlearn as tool

    flags = [*options.processor, "-std=gnu11", "-ffast-math", "-w", f"-I{tool.includedir}"]
    return Compiled(workload, "emlearn.c", options.isa, flags, [])


RTNEURAL_LAYERS = {"tanh": "TanhActivationT", "relu": "ReLuActivationT", "sigmoid": "SigmoidActivationT"}


def rtneural(workload: Workload, options: Options) -> Peer:
    """RTNeural's static network with Eigen."""
    if options.rtneural is None:
        raise Missing("its source is not given: --rtneural FOLDER")
    layers = []
    for (n_inputs, n_outputs), name in zip(
        workload.layers, [workload.activation] * (len(workload.layers) - 1) + [workload.output_activation], strict=True
    ):
        layers.append(f"RTNeural::DenseT<float,{n_inputs},{n_outputs}>")
        if name != "identity":
            layers.append(f"RTNeural::{RTNEURAL_LAYERS[name]}<float,{n_outputs}>")
    eigen = options.eigen or options.rtneural / "modules" / "Eigen"
    flags = [
        *options.processor,
        "-std=c++17",
        "-w",
        "-DNDEBUG",
        "-DRTNEURAL_USE_EIGEN=1",
        "-DRTNEURAL_DEFAULT_ALIGNMENT=32",
        "-DEIGEN_STACK_ALLOCATION_LIMIT=0",
        f"-DMODEL_LAYERS={','.join(layers)}",
        f"-DN_MODEL_LAYERS={len(layers)}",
        f"-I{options.rtneural}",
        f"-I{eigen}",
    ]
    return Compiled(workload, "rtneural.cpp", options.isa, flags, [])


# -- peers in Python ---------------------------------------------------------------------------------------------------

NUMBA_FUNCTIONS = {
    "tanh": "np.tanh({z})",
    "sigmoid": "np.float32(1) / (np.float32(1) + np.exp(-{z}))",
    "relu": "max({z}, np.float32(0))",
    "identity": "{z}",
}


def numba_source(workload: Workload) -> str:
    """Return the source of a network as one writes it for Numba: loops, with the weights (I, O) of each layer."""
    names = [workload.activation] * (len(workload.layers) - 1) + [workload.output_activation]
    arrays = ", ".join(f"w{l}, b{l}" for l in range(len(names)))
    lines = [f"def row(x, y, {arrays}):"]
    for l, ((n_inputs, n_outputs), name) in enumerate(zip(workload.layers, names, strict=True)):
        source, to = ("x" if l == 0 else f"y{l - 1}"), ("y" if l + 1 == len(names) else f"y{l}")
        if to != "y":
            lines.append(f"    {to} = np.empty({n_outputs}, np.float32)")
        value = NUMBA_FUNCTIONS[name].format(z=f"{to}[o]")
        lines += [
            f"    for o in range({n_outputs}):",
            f"        {to}[o] = b{l}[o]",
            f"    for i in range({n_inputs}):",
            f"        for o in range({n_outputs}):",
            f"            {to}[o] += {source}[i] * w{l}[i, o]",
            f"    for o in range({n_outputs}):",
            f"        {to}[o] = {value}",
        ]
    lines += [
        f"def loop(rows, y, n, {arrays}):",
        "    for k in range(n):",
        "        for i in range(len(rows)):",
        f"            row(rows[i], y, {arrays})",
    ]
    return "\n".join(lines)


class Numba(Peer):
    """A network written by hand for Numba, called in a compiled loop."""

    def __init__(self, workload: Workload, options: Options) -> None:
        if importlib.util.find_spec("numba") is None:
            raise Missing("Numba is not installed")
        import numba

        names: dict[str, Any] = {"np": np}
        exec(numba_source(workload), names)
        names["row"] = numba.njit(fastmath=True)(names["row"])
        self._loop: Callable[..., None] = numba.njit(names["loop"])
        layers = layer_arrays(initial_parameters(workload), workload, DTYPE)
        self._arrays = [np.ascontiguousarray(part) for w, b in layers for part in (w.T, b)]
        self._y = np.zeros(workload.sizes[-1], DTYPE)

    def row(self, x: Array, y: Array) -> None:
        self._loop(x[None], y, 1, *self._arrays)

    def seconds(self, rows: Array, n: int) -> float:
        start = time.perf_counter()
        self._loop(rows, self._y, n, *self._arrays)
        return time.perf_counter() - start


class FromPython(Peer):
    """A function of Python that is called for one row at a time: (x, y) -> y, or a result of its own."""

    def __init__(self, convert: Callable[[Array], list[Any]], call: Callable[[Any], Any]) -> None:
        self._convert, self._call = convert, call
        self._rows: list[Any] = []

    def row(self, x: Array, y: Array) -> None:
        y[:] = np.asarray(self._call(self._convert(x[None])[0])).reshape(-1)

    def seconds(self, rows: Array, n: int) -> float:
        if not self._rows:
            self._rows = self._convert(rows)
        call, converted = self._call, self._rows
        start = time.perf_counter()
        for _ in range(n):
            for x in converted:
                call(x)
        return time.perf_counter() - start


def onnx_runtime(workload: Workload, options: Options) -> Peer:
    """ONNX Runtime with bound buffers, called from Python."""
    if importlib.util.find_spec("onnxruntime") is None or importlib.util.find_spec("onnx") is None:
        raise Missing("ONNX Runtime is not installed")
    from peers.onnx_runtime import OnnxRuntime

    session = OnnxRuntime(workload, DTYPE)
    return FromPython(session.single_rows, session.predict_row)


def python(workload: Workload, options: Options) -> Peer:
    """`Network.predict`, called from Python."""
    os.environ["FASTMLP_ISA"] = options.isa
    from implementations import Engine

    network = Engine(workload, "native", DTYPE)
    return FromPython(network.single_rows, network.predict_row)


PEERS: dict[str, Callable[[Workload, Options], Peer]] = {
    "fastmlp, C core": core,
    "fastmlp, C API": Bound,
    "fastmlp, to_c": to_c,
    "fastmlp, Python": python,
    "RTNeural, Eigen": rtneural,
    "emlearn, C": emlearn,
    "Numba": Numba,
    "ONNX Runtime, Python": onnx_runtime,
}
OWN = "fastmlp, C core"
