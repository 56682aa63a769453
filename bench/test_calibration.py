"""Tests of the calibration and of the floors.

The C loops are checked by their results, which would differ if a loop did fewer multiply-adds or passed over less
memory. Floors are compared with values computed by hand, for an invented machine with round figures. No test asserts a
speed.
"""

from __future__ import annotations

import ctypes
import dataclasses

import calibrate
import numpy as np
import pytest
from calibrate import Bandwidth, Machine
from floors import floor, multiply_adds
from timing import EPOCH, ROW, ROWS
from workloads import WORKLOADS

MACHINE = Machine(
    peaks={("float32", 32): 1e9, ("float32", 16): 5e8, ("float64", 32): 5e8},
    divisions={("float32", 32): 1e8, ("float64", 32): 4e7},
    roots={("float32", 32): 2e8, ("float64", 32): 5e7},
    sizes={"L1": 1e4, "L2": 1e6, "L3": 3e7, "memory": float("inf")},
    buffers={"L1": 5000, "L2": 500_000, "L3": 8_000_000, "memory": 64_000_000},
    bandwidths={
        "L1": Bandwidth(8e9, 16e9),
        "L2": Bandwidth(4e9, 8e9),
        "L3": Bandwidth(2e9, 4e9),
        "memory": Bandwidth(1e9, 1e9),
    },
    call_seconds=1e-8,
    two_cores={"float32": 2.0, "float64": 1.9},
)
T1 = WORKLOADS["T1"].n_parameters  # of 4 bytes: in L2
T4 = WORKLOADS["T4"].n_parameters
C = WORKLOADS["C"].n_parameters


def test_the_machine_is_measured() -> None:
    machine = calibrate.measure(quick=True)
    assert {width for _, width in machine.peaks} == set(calibrate.widths())
    assert 16 in calibrate.widths()
    assert list(machine.sizes) == list(machine.buffers) == list(machine.bandwidths) == ["L1", "L2", "L3", "memory"]
    figures = [*machine.peaks.values(), *sum(machine.bandwidths.values(), ()), *machine.two_cores.values()]
    figures += [*machine.divisions.values(), *machine.roots.values()]
    assert all(np.isfinite(figure) and figure > 0 for figure in figures)
    assert 0 < machine.call_seconds < 1e-3
    text = machine.markdown()
    assert all(level in text for level in machine.buffers)
    assert f"{1e9 * machine.call_seconds:.1f} ns" in text


@pytest.mark.parametrize("dtype", calibrate.DTYPES)
def test_the_loop_does_the_multiply_adds(dtype: str) -> None:
    """n times s <- s / 2 + 1/2, from s = c in the chains c = 0, 1, ..., gives (c - 1) / 2^n + 1."""
    for width in calibrate.widths():
        for n in (0, 1, 5):
            expected = sum((c - 1) / 2**n + 1 for c in range(calibrate.CHAINS))
            assert calibrate.fma_loop(dtype, width)(n) == expected
        assert calibrate.multiply_adds(dtype, width) == 12 * width / np.dtype(dtype).itemsize


@pytest.mark.parametrize("dtype", calibrate.DTYPES)
def test_the_loops_divide_and_take_roots(dtype: str) -> None:
    """s <- 1 / (2 s) from s = 1, ..., 12 twice is s again, up to rounding; s <- sqrt s has the sum of the roots."""
    for width in calibrate.widths():
        divide, root = (
            calibrate._function(f"{name}_{dtype}_{width}", ctypes.c_double, ctypes.c_size_t)
            for name in ("divide", "root")
        )
        start = range(1, calibrate.CHAINS + 1)
        assert divide(1) == pytest.approx(sum(0.5 / c for c in start), rel=1e-6)
        assert divide(2) == pytest.approx(sum(start), rel=1e-6)
        assert root(1) == pytest.approx(sum(c**0.5 for c in start), rel=1e-6)
        assert root(2) == pytest.approx(sum(c**0.25 for c in start), rel=1e-6)


def test_passes_go_over_the_whole_buffer() -> None:
    for width in calibrate.widths():
        buffer = np.zeros(8192, "uint8")
        offset = -buffer.ctypes.data % 64
        numbers = buffer[offset : offset + 4096].view("int64")
        numbers[:] = np.arange(len(numbers))
        calibrate.passes("update", width)(numbers.ctypes.data, numbers.nbytes, 3)
        assert np.array_equal(numbers, np.arange(len(numbers)) + 3)
        total = calibrate.passes("sum", width)(numbers.ctypes.data, numbers.nbytes, 2)
        assert total == 2 * numbers[:: width // 8].sum()  # the first element of each vector


def test_buffers_lie_between_the_levels() -> None:
    for sizes in ({"L1": 32768, "L2": 1 << 20, "L3": 32 << 20}, {"L1": 65536, "L2": 2 << 20, "L3": 2 << 20}):
        buffers = calibrate.buffer_sizes(sizes)
        assert buffers["L1"] < sizes["L1"] < buffers["L2"] < sizes["L2"] < buffers["L3"] < buffers["memory"]
        assert buffers["memory"] > sizes["L3"]


def test_a_level_is_the_smallest_that_holds_the_bytes() -> None:
    assert [MACHINE.level(n) for n in (1, 1e4, 1e4 + 1, 1e6, 2e7, 1e12)] == ["L1", "L1", "L2", "L2", "L3", "memory"]
    assert MACHINE.peak("float32") == 1e9
    assert MACHINE.with_vectors_of(16).peak("float32") == 5e8


def test_multiply_adds() -> None:
    assert multiply_adds(WORKLOADS["C"], ROW) == 10 * 32 + 32 * 32 + 32
    assert multiply_adds(WORKLOADS["T1"], EPOCH) == 2 * 784 * 30 + 3 * 30 * 10


@pytest.mark.parametrize(
    ("name", "kind", "n_rows", "dtype", "expected"),
    [
        ("C", ROW, 1, "float32", (1376e-9, 640e-9, 64 / 1e8, 4 * C / 8e9, 0, 1e-8)),
        ("C", ROW, 1, "float64", (1376 / 5e8, 1024 / 5e8, 64 / 4e7, 8 * C / 4e9, 0, 1e-8)),
        ("C", ROWS, 1000, "float32", (1376e-6, 640e-6, 64e3 / 1e8, 40_000 / 4e9 + 4 * C / 8e9 + 4000 / 8e9, 0, 0)),
        (
            *("T1", EPOCH, 50_000, "float32"),
            (50_000 * 47_940e-9, 50_000 * 40 * 14e-9, 50_000 * 40 / 1e8, 156.8e6 / 1e9, 5000 * T1 / 1e9, 0),
        ),
        (
            *("T4", EPOCH, 10_000, "float32"),
            (10_000 * 3_808e-9, 10_000 * 64 * 12e-9, 640_000 / 1e8, 4e5 / 4e9, 313 * T4 * (1 / 1e8 + 1 / 2e8), 0),
        ),
    ],
)
def test_floors(name: str, kind: str, n_rows: int, dtype: str, expected: tuple[float, ...]) -> None:
    got = floor(WORKLOADS[name], kind, n_rows, dtype, MACHINE)
    assert got == pytest.approx(expected)
    assert got.seconds == pytest.approx(max(expected[0] + expected[1], *expected[2:4]) + expected[4] + expected[5])


def test_an_optimizer_may_wait_for_memory() -> None:
    """With a fast divider, Adam's pass takes as long as its bytes: g is read, p, m and v are updated."""
    fast = dataclasses.replace(
        MACHINE, divisions={("float32", 32): 1e15}, roots={("float32", 32): 1e15}, peaks={("float32", 32): 1e15}
    )
    got = floor(WORKLOADS["T4"], EPOCH, 10_000, "float32", fast)
    assert got.optimizer == pytest.approx(313 * (4 * T4 / 4e9 + 24 * T4 / 8e9))
