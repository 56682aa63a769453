"""The scalings that `Scaling.fit` and the reference learn from columns, against exact rational arithmetic.

A column counts as constant, up to rounding, if its standard deviation is at most n eps |mean| (scikit-learn's bound),
or its range at most n eps times its largest absolute value.
"""

from __future__ import annotations

import math
import pathlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import fastmlp
from fastmlp import Scaling
from fastmlp.inputs import arrays
from fastmlp.reference import columns as reference

EPSILON = Fraction(1, 2**52)


def exact(column: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation, each rounded once."""
    ratios = [float(x).as_integer_ratio() for x in column]
    n, most = len(ratios), max(denominator for _, denominator in ratios)
    numbers = [numerator * (most // denominator) for numerator, denominator in ratios]
    total = sum(numbers)
    squares = n * sum(x * x for x in numbers) - total * total  # n^2 variance, in units of 1 / most^2
    root = Fraction(math.isqrt(squares << 400), 1 << 200)
    return float(Fraction(total, n * most)), float(root / (n * most))


@pytest.mark.parametrize("n", [2, 3, 90, 301])
@pytest.mark.parametrize("offset", [0.0, 1.0, -3e5, 1e8, 1e15, 1e100, 1e200, 1e-300])
@pytest.mark.parametrize("spread", [1e-15, 1e-12, 1e-6, 1.0, 1e3])
def test_a_deviation_is_right_to_its_last_digits(n: int, offset: float, spread: float) -> None:
    """A deviation is accurate at any offset, also if it is below the rounding error of the mean."""
    rng = np.random.default_rng(n)
    column = offset + abs(offset or 1.0) * spread * rng.normal(size=n)
    mean, deviation = exact(column)
    noise = n * float(EPSILON) * abs(mean)
    got = Scaling.fit(column)
    assert abs(got.offset[0] - mean) <= np.spacing(max(abs(mean), deviation))  # rows are seen in units of the deviation
    if deviation > 1.001 * noise:
        assert abs(got.scale[0] - deviation) <= 2 * np.spacing(deviation)
        assert abs(reference.learn("standard", column[:, None].tolist())[1][0] - deviation) <= np.spacing(deviation)
    elif deviation < 0.999 * noise:
        assert got.scale[0] == 1.0
        assert reference.learn("standard", column[:, None].tolist())[1] == [1.0]


@pytest.mark.parametrize(("n", "n_columns"), [(20_000, 1), (9_001, 3)])
def test_many_blocks_of_rows(n: int, n_columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more rows than one block of the summation, in parts that do not end at blocks."""
    monkeypatch.setattr(arrays, "PIECE_NUMBERS", 12_345)
    x = 1e8 + np.random.default_rng(n).normal(size=(n, n_columns))
    got = Scaling.fit(x)
    for i in range(n_columns):
        mean, deviation = exact(x[:, i])
        assert abs(got.offset[i] - mean) <= np.spacing(mean)
        assert abs(got.scale[i] - deviation) <= 2 * np.spacing(deviation)


def test_steps_of_one_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deviation of a column of two adjacent floats around 1e8 is exact."""
    monkeypatch.setattr("fastmlp.inputs.moments.EPSILON", 0.0)
    for high in range(1, 50):
        column = np.where(np.arange(50) < high, 1e8, np.nextafter(1e8, np.inf))
        assert Scaling.fit(column).scale[0] == pytest.approx(exact(column)[1], rel=1e-15)


NOISE = {
    "a sum in another order": np.where(np.arange(90) % 2, 0.3, 0.1 + 0.2),
    "large": 1e8 + 1e-6 * (np.arange(90) % 2),
    "negative": np.where(np.arange(90) % 3, -0.7, -(0.1 + 0.6)),
    "tiny": np.where(np.arange(90) % 2, 3e-21, np.nextafter(3e-21, 1)),
    "constant": np.full(90, 0.1),
    "zero": np.zeros(90),
}
SIGNAL = {
    "tiny": 1e-20 * np.arange(90),
    "squares that underflow": 1e-200 * np.arange(90),
    "subnormal": 5e-324 * np.arange(90),
    "beside 1": 1 + 1e-9 * np.arange(90),
    "one other": 3.0 * (np.arange(90) == 7),
    "timestamps": 1.7e9 + np.arange(90),
}
FORMS: dict[str, Any] = {
    "array": lambda x, path: x,
    "list": lambda x, path: x.tolist(),
    "sparse": lambda x, path: scipy.sparse.csr_matrix(x),
    "file": lambda x, path: _mapped(x, path),
    "columns first": lambda x, path: np.asfortranarray(x),
}


def _mapped(x: np.ndarray, path: pathlib.Path) -> np.ndarray:
    np.save(path / "x.npy", x)
    mapped: np.ndarray = np.load(path / "x.npy", mmap_mode="r")
    return mapped


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_columns_that_are_constant_but_for_rounding(form: str, kind: str, tmp_path: pathlib.Path) -> None:
    """Constant columns keep the scale 1, others do not, in every form, whole and in parts, and in the reference."""
    x = np.column_stack([*NOISE.values(), *SIGNAL.values()])
    expected = reference.learn(kind, x.tolist())[1]
    assert [scale == 1.0 for scale in expected] == [True] * len(NOISE) + [False] * len(SIGNAL)
    for numbers in (arrays.PIECE_NUMBERS, 100):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(arrays, "PIECE_NUMBERS", numbers)
            got = Scaling.fit(FORMS[form](x, tmp_path), kind).scale
        np.testing.assert_allclose(got, expected, rtol=1e-15, atol=5e-324)


@pytest.mark.oracle
def test_what_is_constant_is_what_scikit_learn_takes_for_constant() -> None:
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    x = np.column_stack([*NOISE.values(), *SIGNAL.values()])
    x = x[:, np.abs(x).max(axis=0) > 1e-150]  # the squares of smaller numbers are 0 there
    np.testing.assert_allclose(Scaling.fit(x).scale, preprocessing.StandardScaler().fit(x).scale_, rtol=1e-7)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_is_not_disturbed_by_rounding(kind: str, dtype: str) -> None:
    """The prediction for 0.31 is near that for 0.3, as the column was constant up to rounding."""
    a = np.random.default_rng(0).normal(size=90)
    x = np.c_[a, NOISE["a sum in another order"]]
    net = fastmlp.Network([2, 16, 1], input_scaling=kind, seed=0, dtype=dtype)
    net.fit(x, a, epochs=50)
    y = net.predict([[a[0], 0.3], [a[0], 0.31]]).ravel()
    assert abs(y[1] - y[0]) < 0.1
