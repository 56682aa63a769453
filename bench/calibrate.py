"""Measures the limits of this machine, relative to which `bench/` reports shares of the peak and of the floor.

    python bench/calibrate.py [--cpu N]

- peak: fused multiply-adds in registers (`calibrate.c`), in float32 and float64, for each vector width of the
  processor; the best of several runs. One multiply-add counts as 2 operations.
- divider: divisions and square roots in registers, each in float32 and float64, with the fastest vector width.
- bandwidth of each cache level and of memory: reading a buffer that fits into the level but not into the next smaller
  one, and adding to every element in place (update: bytes read plus bytes written); with the widest vectors, the best
  of several runs.
- the empty call: a function of Python in C with one argument, called from the loop that times one row.
- two cores: the rate of the loop of multiply-adds on two cores at once over that on one core; the median of alternating
  rounds.

The C file is compiled at run time by the system's compiler. Other programs in `bench/` call `measure` in each run.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import ctypes
import functools
import os
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import report
from rounds import interleaved, repeats, seconds

DTYPES = ("float32", "float64")
WIDTHS = (16, 32, 64)  # bytes of a vector
CHAINS = 12  # independent chains of multiply-adds in calibrate.c
KIBI, MEBI = 1 << 10, 1 << 20
ALIGNMENT = 4096
AVAILABLE = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]  # before any pinning
_RUN_SECONDS, _ROUNDS = 1e-3, 60  # many short runs, so that other processes do not disturb all of them


class Bandwidth(NamedTuple):
    """Bytes per second of a level: for reading, and for updating in place (bytes read plus bytes written)."""

    read: float
    update: float


def _fastest(rates: dict[tuple[str, int], float], dtype: str) -> float:
    return max(rate for (name, _), rate in rates.items() if name == dtype)


@dataclass(frozen=True)
class Machine:
    """The result of a calibration."""

    peaks: dict[tuple[str, int], float]  # (dtype, bytes of a vector) -> multiply-adds per second on one core
    divisions: dict[tuple[str, int], float]  # the same of divisions
    roots: dict[tuple[str, int], float]  # the same of square roots
    sizes: dict[str, float]  # level -> its size in bytes, smallest first
    buffers: dict[str, int]  # level -> size in bytes of the buffer that was measured
    bandwidths: dict[str, Bandwidth]
    call_seconds: float
    two_cores: dict[str, float]  # dtype -> rate on two cores over rate on one; empty if there is one core

    def peak(self, dtype: str) -> float:
        """Return the multiply-adds per second of one core, with the fastest vector width."""
        return _fastest(self.peaks, dtype)

    def division_rate(self, dtype: str) -> float:
        """Return the divisions per second of one core, with the fastest vector width."""
        return _fastest(self.divisions, dtype)

    def root_rate(self, dtype: str) -> float:
        """Return the square roots per second of one core, with the fastest vector width."""
        return _fastest(self.roots, dtype)

    def with_vectors_of(self, n_bytes: int) -> Machine:
        """Return this machine for a program whose vectors have at most n_bytes."""
        peaks, divisions, roots = (
            {key: rate for key, rate in rates.items() if key[1] <= n_bytes}
            for rates in (self.peaks, self.divisions, self.roots)
        )
        return replace(self, peaks=peaks, divisions=divisions, roots=roots)

    def level(self, n_bytes: float) -> str:
        """Return the smallest level that holds n_bytes."""
        return next(level for level, size in self.sizes.items() if n_bytes <= size)

    def bandwidth(self, n_bytes: float) -> Bandwidth:
        """Return the bandwidth of the smallest level that holds n_bytes."""
        return self.bandwidths[self.level(n_bytes)]

    def markdown(self) -> str:
        """Format the calibration as Markdown: two tables and two lines."""
        widths = sorted({width for _, width in self.peaks})
        lines = [
            f"| FMA peak of one core, GFLOP/s | {' | '.join(f'{width}-byte vectors' for width in widths)} |",
            f"|---|{'---:|' * len(widths)}",
        ]
        for dtype in DTYPES:
            lines.append(f"| {dtype} | {' | '.join(f'{2e-9 * self.peaks[dtype, width]:.1f}' for width in widths)} |")
        lines += ["", "| one core, 10⁹ a second | divisions | square roots |", "|---|---:|---:|"]
        lines += [f"| {d} | {1e-9 * self.division_rate(d):.2f} | {1e-9 * self.root_rate(d):.2f} |" for d in DTYPES]
        lines += ["", "| level | buffer | read, GB/s | update, GB/s |", "|---|---:|---:|---:|"]
        for level, (read, update) in self.bandwidths.items():
            lines.append(
                f"| {level} | {self.buffers[level] / KIBI:,.0f} KiB | {1e-9 * read:.1f} | {1e-9 * update:.1f} |"
            )
        gains = ", ".join(f"{gain:.2f}× in {dtype}" for dtype, gain in self.two_cores.items())
        lines += ["", f"- the empty call: {1e9 * self.call_seconds:.1f} ns"]
        lines += [f"- the FMA loop on two cores at once: {gains or 'not measured, there is one core'}"]
        return "\n".join(lines)


@functools.cache
def library() -> ctypes.CDLL:
    """Compile and load calibrate.c."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    source = Path(__file__).with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "calibrate.so"
        flags = ["-O2", "-std=gnu11", "-ffp-contract=fast", "-Wno-psabi", "-shared", "-fPIC"]
        subprocess.run([*compiler, *flags, str(source), "-o", str(target)], check=True)
        return ctypes.CDLL(str(target))


def widths() -> list[int]:
    """Return the vector widths of this processor, in bytes."""
    return [width for width in WIDTHS if library().supported(width)]


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    function = library()[name]
    function.restype, function.argtypes = result, arguments
    return function


def fma_loop(dtype: str, width: int) -> Callable[[int], Any]:
    """Return the loop of multiply-adds; n iterations do n * multiply_adds(dtype, width)."""
    return _function(f"fma_{dtype}_{width}", ctypes.c_double, ctypes.c_size_t)


def multiply_adds(dtype: str, width: int) -> int:
    """Return the number of multiply-adds in one iteration of the loop."""
    return CHAINS * width // np.dtype(dtype).itemsize


@dataclass(frozen=True)
class Probe:
    """A loop to measure the rate of: a function of the number of iterations, the work of one, and their number."""

    run: Callable[[int], Any]
    work: float
    n: int

    @classmethod
    def make(cls, run: Callable[[int], Any], work: float) -> Probe:
        """Make a probe that takes about _RUN_SECONDS."""
        return cls(run, work, repeats(run, _RUN_SECONDS))

    def rate(self) -> float:
        """Run the loop once and return its work per second."""
        return self.work * self.n / seconds(lambda: self.run(self.n))


def best_rates(probes: dict[Any, Probe], n_rounds: int) -> dict[Any, float]:
    """Return the best rate of each probe; rounds are interleaved, so that a disturbance affects all probes alike."""
    return dict(zip(probes, map(max, interleaved([probe.rate for probe in probes.values()], n_rounds)), strict=True))


def peak_probes() -> dict[tuple[str, int], Probe]:
    """Return a probe of the multiply-adds in registers for each dtype and vector width."""
    pairs = [(dtype, width) for dtype in DTYPES for width in widths()]
    return {pair: Probe.make(fma_loop(*pair), multiply_adds(*pair)) for pair in pairs}


def divider_probes() -> dict[tuple[str, str, int], Probe]:
    """Return a probe of the divisions ("divide") and of the square roots ("root") for each dtype and vector width."""
    return {
        (name, dtype, width): Probe.make(
            _function(f"{name}_{dtype}_{width}", ctypes.c_double, ctypes.c_size_t), multiply_adds(dtype, width)
        )
        for name in ("divide", "root")
        for dtype in DTYPES
        for width in widths()
    }


def passes(name: str, width: int) -> Callable[[int, int, int], Any]:
    """Return the loop `sum` or `update`, a function of an address, a number of bytes, and a number of passes."""
    result = {"sum": ctypes.c_int64, "update": None}[name]
    return _function(f"{name}_{width}", result, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t)


def bandwidth_probes(n_bytes: int) -> dict[str, Probe]:
    """Return the probes "read" and "update" of a buffer of n_bytes; an update moves each byte twice."""
    n_bytes -= n_bytes % ALIGNMENT
    memory = np.ones(n_bytes + ALIGNMENT, "uint8")
    address = memory.ctypes.data + -memory.ctypes.data % ALIGNMENT

    def run(name: str) -> Callable[[int], Any]:
        loop = passes(name, widths()[-1])
        return lambda n: (loop(address, n_bytes, n), memory)  # `memory` must live as long as the probe

    return {"read": Probe.make(run("sum"), n_bytes), "update": Probe.make(run("update"), 2 * n_bytes)}


def empty_call_probe() -> Probe:
    """Return a probe of a call without effect, including the loop around it, which is that of timing.py."""
    rows, function = list(np.zeros((256, 4), "float32")), callable

    def run(calls: int) -> None:
        for _ in range(calls):
            for row in rows:
                function(row)

    return Probe.make(run, len(rows))


class Loops:
    """Compares the loop of multiply-adds on one core and on several at once; `gain` runs one round."""

    def __init__(self, n_cores: int = 2, dtype: str = "float32", wanted: float = 0.05) -> None:
        self._cpus = AVAILABLE[:n_cores]
        if len(self._cpus) < n_cores:
            raise ValueError(f"n_cores: expected at most {len(AVAILABLE)}, got {n_cores}")
        self._loop = fma_loop(dtype, widths()[-1])
        self._n = repeats(self._loop, wanted)

    def _at_once(self, cpus: list[int]) -> float:
        """Run a loop on each of the cores; return the seconds from the first start to the last end."""
        barrier, times = threading.Barrier(len(cpus)), []

        def work(cpu: int) -> None:
            os.sched_setaffinity(0, {cpu})  # of this thread only
            barrier.wait()
            start = time.perf_counter()
            self._loop(self._n)
            times.append((start, time.perf_counter()))

        threads = [threading.Thread(target=work, args=(cpu,)) for cpu in cpus]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return max(end for _, end in times) - min(start for start, _ in times)

    def gain(self) -> float:
        """Return the rate of the loops at once over that of one loop, whose time is the mean over the cores."""
        return sum(self._at_once([cpu]) for cpu in self._cpus) / self._at_once(self._cpus)


def cache_sizes() -> dict[str, int]:
    """Return the sizes of the data caches of a core, in bytes by level; 32 KiB, 1 MiB and 16 MiB if unknown."""
    sizes = {"L1": 32 * KIBI, "L2": MEBI, "L3": 16 * MEBI}
    for index in Path(f"/sys/devices/system/cpu/cpu{AVAILABLE[0]}/cache").glob("index*"):
        kind, size = (index / "type").read_text().strip(), (index / "size").read_text().strip()
        level = f"L{(index / 'level').read_text().strip()}"
        if kind != "Instruction" and level in sizes:
            sizes[level] = int(size[:-1]) * {"K": KIBI, "M": MEBI}[size[-1]]
    return sizes


def buffer_sizes(sizes: dict[str, int]) -> dict[str, int]:
    """Return the size of the buffer to measure for each level, in bytes.

    It is half of L1 and of L2, about four times L2 for L3, and four times L3, within bounds, for memory.
    """
    l3 = max(2 * sizes["L2"], min(4 * sizes["L2"], sizes["L3"] // 4))
    memory = min(max(4 * sizes["L3"], 64 * MEBI), 256 * MEBI)
    return {"L1": sizes["L1"] // 2, "L2": sizes["L2"] // 2, "L3": l3, "memory": memory}


def measure(quick: bool = False) -> Machine:
    """Calibrate, which takes a few seconds; `quick` only checks that it works."""
    n_rounds = 1 if quick else _ROUNDS
    sizes = cache_sizes()
    buffers = dict.fromkeys((*sizes, "memory"), sizes["L1"] // 2) if quick else buffer_sizes(sizes)
    peaks = peak_probes()
    moves = {
        (level, way): probe for level, n_bytes in buffers.items() for way, probe in bandwidth_probes(n_bytes).items()
    }
    divider = divider_probes()
    rates = best_rates({**peaks, **divider, **moves, "call": empty_call_probe()}, n_rounds)
    divisions, roots = ({key[1:]: rates[key] for key in divider if key[0] == name} for name in ("divide", "root"))
    two_cores = {}
    if len(AVAILABLE) > 1:
        loops = {dtype: Loops(2, dtype, 1e-3 if quick else 0.02) for dtype in DTYPES}
        two_cores = {dtype: median(loop.gain() for _ in range(min(n_rounds, 15))) for dtype, loop in loops.items()}
    return Machine(
        peaks={pair: rates[pair] for pair in peaks},
        divisions=divisions,
        roots=roots,
        sizes={**sizes, "memory": float("inf")},
        buffers=buffers,
        bandwidths={level: Bandwidth(rates[level, "read"], rates[level, "update"]) for level in buffers},
        call_seconds=1 / rates["call"],
        two_cores=two_cores,
    )


def main() -> int:
    """Calibrate and print the result."""
    options = report.parser(__doc__).parse_args()
    report.pin(options.cpu)
    print(report.provenance(options.cpu), measure(options.quick).markdown(), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
