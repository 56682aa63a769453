"""Every workload on every implementation, checked and then timed: `pytest bench` (or `pytest bench --quick`).

pytest-benchmark's times are of one call on many rows; the time per row is in the column of extra information
(`--benchmark-json`). For a comparison of implementations use `compare.py`, which interleaves them.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from implementations import Reference, UnverifiedError, _check, make, names, verify
from numpy_network import LAYOUTS, NumpyNetwork
from timing import EPOCH, ROW, Case, kinds
from workloads import RANDOM, WORKLOADS, Workload, data, initial_parameters

import fastmlp
from fastmlp import benchmark as installed

CASES = [
    pytest.param(workload, source, name, kind, id=f"{workload.name}-{kind}-{source}-{name}".replace(" ", "_"))
    for workload in WORKLOADS.values()
    for source in workload.sources
    for name in names()
    for kind in kinds(workload)
]


@functools.lru_cache(maxsize=2)
def _data(name: str, source: str, n_rows: int, dtype: str) -> Any:
    return data(WORKLOADS[name], source, n_rows, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("workload", "source", "name", "kind"), CASES)
def test_speed(benchmark: Any, quick: bool, workload: Workload, source: str, name: str, kind: str, dtype: str) -> None:
    if name == "reference" and dtype == "float32":
        pytest.skip("the reference computes in float64")
