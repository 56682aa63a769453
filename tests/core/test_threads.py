"""How a batch is divided among threads: the same bits for any number of them, and the right gradient.

Batches of less than 216 rows are one piece; longer ones are divided into parts where the network is small, and into
pieces where it is not (csrc/gradient.c). Within a piece, threads divide the rows or, in wide layers with few rows for
each thread, the outputs (csrc/backward.c).
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Regularization

THREADS = (1, 2, 3, 5, 8, 16)  # more than there are processors, too
OPTIMIZERS = {
    "SGD": fastmlp.SGD(0.01),
    "momentum": fastmlp.SGD(0.01, momentum=0.9),
    "Adam": fastmlp.Adam(1e-3),
    "LBFGS": fastmlp.LBFGS(),
}
REGULARIZATIONS = {
    "none": None,
    "penalties": Regularization(l1=1e-3, l2=1e-3, clip_value=0.1),
    "norm": Regularization(clip_norm=0.5, max_norm=2.0, weight_decay=1e-3),
    "random": Regularization(dropout=0.2, input_noise=0.1, input_dropout=0.1),
}
DTYPES = ["float32", "float64"]
SMALL, LARGE = [10, 32, 32, 1], [100, 300, 300, 2]  # either side of 2**16 multiply-adds


def data(n_rows: int, sizes: list[int], dtype: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs, targets and weights of rows."""
    generator = np.random.default_rng(seed)
    X = generator.normal(size=(n_rows, sizes[0])).astype(dtype)
    y = generator.normal(size=(n_rows, sizes[-1])).astype(dtype)
    return X, y, generator.integers(0, 3, n_rows).astype(float)


def bits_of(n_threads: int, seed: int) -> dict[str, bytes]:
    """Return the results of a training that the seed determines, and of gradients afterwards."""
    generator = np.random.default_rng(seed)
    depth = int(generator.integers(1, 4))
    sizes = [int(n) for n in generator.integers(1, 70, depth + 1)]
    if seed % 5 == 0:
        sizes[1:1] = [[300, 300], [530, 515], [600]][seed // 5 % 3]  # wide, also for 8 and 16 threads
    n_rows = int(generator.choice([generator.integers(1, 300), generator.integers(300, 5000)]))
    dtype = DTYPES[seed % 2]
    name = generator.choice(list(OPTIMIZERS))
    regularization = REGULARIZATIONS[generator.choice(list(REGULARIZATIONS))]
    whole = name == "LBFGS"
    if whole and regularization is not None:
        regularization = Regularization(l2=1e-3)
    batch_size = None if whole else int(generator.integers(1, n_rows + 1))
    X, y, weights = data(n_rows, sizes, dtype, seed)
    net = fastmlp.Network(sizes, activation="tanh", dtype=dtype, seed=seed, n_threads=n_threads, engine="native")
    history = net.fit(
        X,
        y,
        epochs=2,
        batch_size=batch_size,
        optimizer=OPTIMIZERS[name],
        regularization=regularization,
        sample_weight=weights + 1e-3 if generator.random() < 0.5 else None,
    )
    loss, gradient = net.loss_and_grad(X, y)
    return {
        "parameters": net.parameters.tobytes(),
        "losses": np.array([*history.loss, loss]).tobytes(),
        "gradient": gradient.tobytes(),
        "gradient of inputs": net.input_gradient(X, y).tobytes(),
    }


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("n_rows", [1, 5, 6, 9, 20, 47, 48, 49, 97, 100, 401])
def test_predictions_are_divided_evenly(n_rows: int, loss: str, dtype: str) -> None:
    """Few rows of a wide network go to several threads: outputs and classes are those of each row alone."""
    X = np.random.default_rng(n_rows).normal(size=(n_rows, 300)).astype(dtype)
    common: Any = {"activation": "relu", "loss": loss, "dtype": dtype, "seed": 1, "engine": "native"}
    nets = [fastmlp.Network([300, 520, 7], n_threads=n, **common) for n in THREADS]
    rows = np.stack([nets[0].predict(row) for row in X])
    classes = nets[0].classify(X)
    assert [nets[0].classify(row) for row in X] == classes.tolist()
    for net in nets:
        assert np.array_equal(net.predict(X), rows)
        assert np.array_equal(net.classify(X), classes)


@pytest.mark.parametrize("seed", range(40))
def test_any_number_of_threads_gives_the_same_bits(seed: int) -> None:
    expected = bits_of(1, seed)
    for n_threads in THREADS[1:]:
        assert bits_of(n_threads, seed) == expected, n_threads


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("sizes", [SMALL, LARGE], ids=["parts", "pieces"])
@pytest.mark.parametrize("n_rows", [215, 216, 217, 384, 575, 576, 1000, 3100, 20_000])
def test_the_gradient_is_the_sum_over_short_stretches_of_rows(n_rows: int, sizes: list[int], n_threads: int) -> None:
    X, y, weights = data(n_rows, sizes, "float64")
    net = fastmlp.Network(sizes, activation="tanh", dtype="float64", seed=0, n_threads=n_threads, engine="native")
    loss, gradient = net.loss_and_grad(X, y, sample_weight=weights)
    of_inputs = net.input_gradient(X, y)
    total, expected, expected_loss = weights.sum(), np.zeros_like(gradient), 0.0
    for first in range(0, n_rows, 50):
        rows = slice(first, first + 50)
        share = weights[rows].sum() / total
        part_loss, part = net.loss_and_grad(X[rows], y[rows], sample_weight=weights[rows])
        expected += share * part
        expected_loss += share * part_loss
        few = net.input_gradient(X[rows], y[rows]) * len(X[rows]) / n_rows
        np.testing.assert_allclose(of_inputs[rows], few, rtol=1e-12, atol=1e-18)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-12)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


@pytest.mark.parametrize("n_threads", [2, 3, 16])
@pytest.mark.parametrize("sizes", [[1, 1], SMALL, [64, 64, 10], [784, 128, 10], LARGE, [784, 512, 512, 10]])
def test_the_division_of_a_batch(sizes: list[int], n_threads: int) -> None:
    """The parts do not depend on the number of threads, and more rows that are divided alike get no fewer threads."""
    net = fastmlp.Network(sizes, seed=0, n_threads=n_threads, engine="native")
    alone = fastmlp.Network(sizes, seed=0, n_threads=1, engine="native")
    is_small = sum(a * b for a, b in itertools.pairwise(sizes)) <= 2**16
    before = {True: 1, False: 1}
    for n_rows in (1, 32, 100, 215, 216, 400, 1000, 5000, 10_000, 20_000):
        threads, parts = net._division(n_rows)
        assert before[parts > 1] <= threads <= n_threads
        assert threads <= parts or parts == 1
        assert alone._division(n_rows) == (1, parts)
        assert (parts > 1) == (is_small and n_rows > 215)
        assert n_rows / parts >= 96 or parts == 1
        before[parts > 1] = threads


@pytest.mark.parametrize(
    ("sizes", "n_threads", "expected"),
    [
        ([10, 32, 32, 1], 1, None),
        ([10, 32, 32, 1], 16, "1 with 32 rows, 1 with 256 rows in 2 parts, 10 with 2,048 rows in 16 parts, 16 with"),
        ([784, 512, 512, 10], 4, "4 with 32 rows, 4 with 256 rows, 4 with 2,048 rows, 4 with 16,384 rows"),
    ],
)
def test_the_summary_tells_the_threads(sizes: list[int], n_threads: int, expected: str | None) -> None:
    text = fastmlp.Network(sizes, n_threads=n_threads, engine="native").summary()
    assert ("threads of a step" in text) == (expected is not None)
    assert f"threads of a step: {expected}" in text or expected is None


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("row", [0, 700, 1999])
@pytest.mark.parametrize("sizes", [SMALL, LARGE], ids=["parts", "outputs"])
def test_a_bad_row_in_any_part_is_refused(sizes: list[int], row: int, n_threads: int) -> None:
    X, y, _ = data(2000, sizes, "float64")
    net = fastmlp.Network(sizes, dtype="float64", seed=0, n_threads=n_threads, engine="native")
    before = net.parameters
    X[row, 3] = np.nan
    with pytest.raises(ValueError, match=f"row {row}"):
        net.fit(X, y, epochs=1, batch_size=None)
    X[row, 3] = 0.0
    y[row] = 1e200  # its square is infinite
    with pytest.raises(FloatingPointError):
        net.fit(X, y, epochs=1, batch_size=None)
    assert np.array_equal(net.parameters, before)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_a_long_last_batch_needs_no_more_memory_than_the_others(n_threads: int) -> None:
    """A single piece of 215 rows needs more memory than a thread's share of 216 rows."""
    X, y, _ = data(216 + 215, SMALL, "float32")
    results: list[Any] = []
    for threads in (1, n_threads):
        net = fastmlp.Network(SMALL, seed=0, n_threads=threads, engine="native")
        net.fit(X, y, epochs=3, batch_size=216, shuffle=False)
        results.append(net.parameters)
    assert np.array_equal(*results)
