"""Verifies and times every workload on every implementation: `pytest bench`, or `pytest bench --quick`.

A test times one call of `Case.run`; `--benchmark-json` also stores the seconds per row. To compare implementations, use
`compare.py`, which measures them in interleaved rounds.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from numpy_network import LAYOUTS
from timing import EPOCH, ROW, Case, kinds
from verification import UnverifiedError, Verified, check, verify
from workloads import RANDOM, WORKLOADS, Workload, data

from fastmlp.cli import benchmark as installed
from implementations import Numpy, make, names

CASES = [
    pytest.param(workload, source, name, kind, dtype, id="-".join((workload.name, source, name, kind, dtype)))
    for workload in WORKLOADS.values()
    for source in workload.sources
    for name in names(workload)
    for kind in kinds(workload)
    for dtype in (("float64",) if name == "reference" else ("float32", "float64"))
]

cached_data = functools.lru_cache(maxsize=2)(data)


@functools.lru_cache(maxsize=4)
def verified(name: str, workload: Workload, source: str, n_rows: int, dtype: str) -> Verified:
    return verify(name, workload, *cached_data(workload, source, n_rows, dtype), dtype)


@pytest.mark.parametrize(("workload", "source", "name", "kind", "dtype"), CASES)
def test_speed(benchmark: Any, quick: bool, workload: Workload, source: str, name: str, kind: str, dtype: str) -> None:
    n_rows = workload.check_rows if quick else workload.n_rows
    x, y = cached_data(workload, source, n_rows, dtype)
    case = Case.make(verified(name, workload, source, n_rows, dtype), kind, x, y, quick)
    if kind == ROW and name != "reference":
        case.calls = 10
    rounds = 1 if quick or name == "reference" else 5 if kind == EPOCH else 15
    benchmark.group = f"{workload}, {kind}, {source}, {dtype}, {case.n_units:,} rows a call"
    benchmark.pedantic(case.run, rounds=rounds, iterations=1)
    if benchmark.stats:
        benchmark.extra_info["seconds per row"] = benchmark.stats.stats.median / case.n_units


class Wrong(Numpy):
    """The NumPy network with a wrong first parameter, or with a wrong learning rate."""

    def __init__(self, workload: Workload, move: float = 0.0, rate: float = 1.0) -> None:
        super().__init__(workload, "float64", LAYOUTS[0])
        self._network.parameters = self.parameters + move * (np.arange(workload.n_parameters) == 0)
        self._optimizer = dataclasses.replace(self._optimizer, learning_rate=rate * self._optimizer.learning_rate)


@pytest.mark.parametrize("name", ["T1", "T4"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_wrong_numbers_are_refused(name: str, dtype: str) -> None:
    workload = WORKLOADS[name]
    x, y = data(workload, RANDOM, workload.check_rows, dtype)
    check(make("NumPy", workload, dtype), Wrong(workload), workload, x, y, workload.batch_size)
    with pytest.raises(UnverifiedError, match="outputs"):
        check(make("NumPy", workload, dtype), Wrong(workload, move=0.1), workload, x, y, workload.batch_size)
    with pytest.raises(UnverifiedError, match=r"loss|change of parameters"):
        check(make("NumPy", workload, dtype), Wrong(workload, rate=1.01), workload, x, y, workload.batch_size)


def test_only_what_is_verified_becomes_a_case() -> None:
    workload = WORKLOADS["C"]
    x, y = data(workload, RANDOM, 10)
    with pytest.raises(TypeError, match="not verified"):
        Case.make(make("NumPy", workload), ROW, x, y)  # type: ignore[arg-type]


def test_the_installed_benchmark_runs_the_same_workloads() -> None:
    for short in installed.FORWARD:
        workload = WORKLOADS[short.name]
        assert (short.sizes, short.activation) == (workload.sizes, workload.activation)
    workload = WORKLOADS["T1"]
    assert workload.sizes == installed.T1_SIZES
    assert workload.batch_size == installed.T1_BATCH
