"""The accuracy of `Scaling.fit` for columns far from 0, constant up to rounding, or of small numbers.

The oracles are exact rational arithmetic (`fractions`) and, for which columns count as constant, StandardScaler.
"""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import fastmlp
from fastmlp import Scaling, reference
from fastmlp.inputs import arrays

EPSILON = 2.0**-52
ULPS = 4  # ULP of the deviation; for the mean, of the column's largest number


def exact(column: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation, each rounded once (except for the square root)."""
    numbers = [Fraction(float(x)) for x in column]
    mean = sum(numbers) / Fraction(len(numbers))
    variance = sum((x - mean) ** 2 for x in numbers) / Fraction(len(numbers))
    root = math.isqrt((variance.numerator << 2400) // variance.denominator)  # times 2**1200
    return float(mean), float(Fraction(root, 1 << 1200))


def is_exact(scaling: Any, x: np.ndarray) -> None:
    for column, offset, scale in zip(x.T, scaling.offset, scaling.scale, strict=True):
        mean, deviation = exact(column)
        assert abs(offset - mean) <= ULPS * math.ulp(float(np.abs(column).max()))
        if deviation <= len(x) * EPSILON * abs(mean) * (1 - 1e-9):
            assert scale == 1
        elif deviation > len(x) * EPSILON * abs(mean) * (1 + 1e-9):
            assert abs(scale - deviation) <= ULPS * math.ulp(deviation)


@pytest.mark.parametrize("offset", [0.0, 0.1, -1e3, 1e8, 1.7e9, 1e15, 1e-20])
@pytest.mark.parametrize("n_columns", [1, 3, 60])
@pytest.mark.parametrize("n_rows", [2, 7, 300, 2_000])
def test_a_deviation_is_exact_whatever_the_offset(n_rows: int, n_columns: int, offset: float) -> None:
    generator = np.random.default_rng(n_rows)
    spreads = 10.0 ** generator.integers(-17, 3, n_columns)
    x = offset + (offset or 1.0) * spreads * generator.standard_normal((n_rows, n_columns))
    few = x[:, :3]
    learnt = Scaling.fit(x)
    is_exact(Scaling(learnt.offset[:3], learnt.scale[:3]), few)


@pytest.mark.parametrize("piece_numbers", [2, 30, 64, 1_000])
@pytest.mark.parametrize("cache_numbers", [1, 40, 2**16])
def test_pieces_of_a_column_are_merged_without_loss(
    monkeypatch: pytest.MonkeyPatch, piece_numbers: int, cache_numbers: int
) -> None:
    monkeypatch.setattr(arrays, "PIECE_NUMBERS", piece_numbers)
    monkeypatch.setattr(fastmlp.inputs.moments, "CACHE_NUMBERS", cache_numbers)
    generator = np.random.default_rng(3)
    for offset in (0.0, 1e8, -1e12):
        x = offset + generator.standard_normal((701, 2)) * [1.0, 40.0]
        is_exact(Scaling.fit(x), x)
        is_exact(Scaling.fit(np.sort(x, axis=0)), x)  # the parts have different ranges


@pytest.mark.parametrize("n_columns", [2, 20, 200])
def test_threads_change_no_bit(n_columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "PIECE_NUMBERS", 3_000)
    monkeypatch.setattr(fastmlp.inputs.moments, "CACHE_NUMBERS", 1_000)
    x = np.random.default_rng(6).standard_normal((4_001, n_columns))
    x[:5, 0] = x[30:, 0] = 0.0  # a column that varies in the first piece alone, and whose squares are gone there
    x[5:30, 0] *= 1e-200
    x[:, -1] = 7.0
    learnt = []
    for n_threads in (1, 2, 5):
        monkeypatch.setattr(fastmlp.inputs.moments, "threads_for", lambda n_numbers, n=n_threads: n)
        learnt.append(Scaling.fit(x))
    assert learnt[0] == learnt[1] == learnt[2]
    is_exact(Scaling(learnt[0].offset[:1], learnt[0].scale[:1]), x[:, :1])
    with np.errstate(all="raise"):  # error handling that threads do not inherit
        huge = np.where(np.arange(4_001) % 2, 1e200, -1e200)[:, np.newaxis]
        assert Scaling.fit(huge).scale[0] > 0.9e200


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "PIECE_NUMBERS", 10_000)
    monkeypatch.setattr(fastmlp.inputs.moments, "CACHE_NUMBERS", 1_000)
    monkeypatch.setattr(fastmlp.inputs.moments, "threads_for", lambda n_numbers: 2)
    peaks = []
    for n_rows in (10_000, 100_000):
        x = np.broadcast_to(np.arange(50, dtype=np.uint8), (n_rows, 50))
        tracemalloc.start()
        Scaling.fit(x)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_a_spread_of_one_rounding_far_from_0() -> None:
    x = np.full((40, 1), 1e8)
    x[::2] += math.ulp(1e8)
    x = np.concatenate([x, [[1e8 + 1e-5]]])
    is_exact(Scaling.fit(x), x)
    is_exact(Scaling.fit(x.astype(np.longdouble)), x)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-200, 1e-140, 1e150, 1e200, 1e307])
def test_squares_need_not_be_in_the_range_of_float64(size: float) -> None:
    x = np.random.default_rng(4).integers(-8, 9, (300, 2)) * size
    x[:, 1] = np.arange(300) == 7  # next to a column that is not constant
    for given in (x, scipy.sparse.csr_array(x)):
        is_exact(Scaling.fit(given), x)


def test_a_million_rows_add_up_as_exactly_as_a_few() -> None:
    x = np.tile(1e9 + np.arange(5.0)[:, np.newaxis], (200_000, 3))
    scaling = Scaling.fit(x)
    np.testing.assert_array_equal(scaling.offset, 1e9 + 2)
    np.testing.assert_allclose(scaling.scale, math.sqrt(2), rtol=ULPS * EPSILON)


def constants(n_rows: int) -> dict[str, np.ndarray]:
    """Return columns that are constant up to rounding."""
    generator = np.random.default_rng(5)
    parts = generator.normal(size=11) + 3
    return {
        "0.3 beside 0.1 + 0.2": np.where(np.arange(n_rows) % 2, 0.3, 0.1 + 0.2),
        "1e8 +- 1e-6": 1e8 + np.where(np.arange(n_rows) % 2, 1e-6, -1e-6),
        "sums in another order": np.array([sum(generator.permutation(parts)) for _ in range(n_rows)]),
        "a share of its parts": np.array([k / 7 + (1 - k / 7) for k in generator.normal(size=n_rows)]),
        "the same to the bit": np.full(n_rows, 0.1),
        "far from 0": np.full(n_rows, -1.7e300),
        "small": np.where(np.arange(n_rows) % 2, 3e-21, 3e-21 * (1 + EPSILON)),
        "0": np.zeros(n_rows),
    }


def real_columns(n_rows: int) -> dict[str, np.ndarray]:
    """Return columns of small numbers, or far from 0, that are not constant."""
    rows = np.arange(n_rows)
    normal = np.random.default_rng(6).normal(size=n_rows)
    return {
        "1e-20": 1e-20 * normal,
        "one of 1e-20": np.where(rows == 3, 1e-20, 0.0),
        "1e-200": 1e-200 * (rows % 5),
        "1e-20 apart": 1e-20 * (5 + normal),
        "1e9 + 0 ... 4": 1e9 + rows % 5,
        "1.7e9 + 50 sin": 1.7e9 + 50 * np.sin(rows),
        "identifiers": 1e15 + 1_000.0 * (rows % 7),
        "rounding about 0": EPSILON * normal,
    }


FORMS: dict[str, Callable[[np.ndarray, Path], Any]] = {
    "array": lambda x, path: x,
    "other order": lambda x, path: np.asfortranarray(x),
    "sparse": lambda x, path: scipy.sparse.csr_array(x),
    "csc": lambda x, path: scipy.sparse.csc_array(x),
    "frame": lambda x, path: pytest.importorskip("pandas").DataFrame(x),
    "polars": lambda x, path: pytest.importorskip("polars").DataFrame(x),
    "file": lambda x, path: mapped(x, path),
}


def mapped(x: np.ndarray, path: Path) -> np.ndarray:
    np.save(path / "x.npy", x)
    return np.load(path / "x.npy", mmap_mode="r")


@pytest.mark.parametrize("kind", fastmlp.scaling.SCALINGS)
@pytest.mark.parametrize("form", FORMS)
def test_a_column_that_is_constant_but_for_rounding_keeps_scale_1(
    kind: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    still, real = constants(150), real_columns(150)
    x = np.column_stack([*still.values(), *real.values()])
    if kind == "standard":
        x = np.delete(x, list(still).index("far from 0"), axis=1)  # its square is not finite
        del still["far from 0"]
    for piece_numbers in (2**20, 300):
        monkeypatch.setattr(arrays, "PIECE_NUMBERS", piece_numbers)
        scale = dict(zip([*still, *real], Scaling.fit(FORMS[form](x, tmp_path), kind).scale, strict=True))
        assert {name for name in scale if scale[name] == 1} == set(still)
        for name, column in real.items():
            expected = exact(column)[1] if kind == "standard" else column.max() - column.min()
            assert scale[name] == pytest.approx(expected, rel=ULPS * EPSILON), name


def test_scikit_learn_finds_the_same_columns_constant() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    columns = {**constants(150), **real_columns(150)}
    del columns["far from 0"], columns["1e-200"]  # their squares leave the range of its numbers
    x = np.column_stack(list(columns.values()))
    theirs = preprocessing.StandardScaler().fit(x)
    np.testing.assert_array_equal(Scaling.fit(x).scale == 1, theirs.scale_ == 1)
    generator = np.random.default_rng(1)
    for n_rows in (2, 5, 50, 1_000):
        spreads = 10.0 ** generator.uniform(-17, -11, 300)
        x = generator.choice([1.0, 0.3, 1e8, 1e-20], 300) * (1 + spreads * generator.standard_normal((n_rows, 300)))
        scale = preprocessing.StandardScaler().fit(x).scale_
        deviation = np.array([exact(column)[1] for column in x.T])
        clear = np.abs(deviation / (n_rows * EPSILON * np.abs(x.mean(axis=0))) - 1) > 0.01
        np.testing.assert_array_equal((Scaling.fit(x).scale == 1)[clear], (scale == 1)[clear])


@pytest.mark.parametrize("kind", fastmlp.scaling.SCALINGS)
@pytest.mark.parametrize("core", [True, False], ids=["core", "reference"])
def test_a_fit_learns_the_same(core: bool, kind: str) -> None:
    still, real = constants(60), real_columns(60)
    del still["far from 0"]
    x = np.column_stack([*still.values(), *real.values()])
    y = np.column_stack([still["1e8 +- 1e-6"], real["1e9 + 0 ... 4"]])
    make = fastmlp.Network if core else reference.Network
    net = make([x.shape[1], 2], seed=1, input_scaling=kind, target_scaling=kind)
    net.fit(*((x, y) if core else (x.tolist(), y.tolist())), epochs=1)
    for scaling, rows in ((net.input_scaling, x), (net.target_scaling, y)):
        offset, scale = (scaling.offset, scaling.scale) if hasattr(scaling, "offset") else scaling
        expected = Scaling.fit(rows, kind)
        assert (np.abs(offset - expected.offset) <= ULPS * EPSILON * np.abs(rows).max(axis=0)).all()
        np.testing.assert_array_equal(np.equal(scale, 1), expected.scale == 1)
        np.testing.assert_allclose(scale, expected.scale, rtol=2 * ULPS * EPSILON)


def test_a_constant_but_for_rounding_does_not_disturb_predictions() -> None:
    a = np.random.default_rng(0).normal(size=90)
    x = np.column_stack([a, np.where(np.arange(90) % 2, 0.3, 0.1 + 0.2)])
    for kind in fastmlp.scaling.SCALINGS:
        net = fastmlp.Network([2, 16, 1], input_scaling=kind, seed=0)
        net.fit(x, a, epochs=50)
        near, moved = net.predict([[a[0], 0.3], [a[0], 0.31]]).ravel()
        assert abs(near - moved) < 0.1
