"""What the package promises on real data: the embedded digits, and Fashion-MNIST."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastmlp

FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


@pytest.fixture(scope="module")
def fashion_mnist():
    if not FASHION_MNIST.is_dir():
        pytest.skip("needs Fashion-MNIST: apt-get install dataset-fashion-mnist")
    return fastmlp.datasets.load_fashion_mnist()


@pytest.mark.slow
def test_digits_over_20_seeds(tmp_path):
    """`fastmlp train` without options: a median of at least 97 %, and no seed below 95.5 %."""
    accuracies = []
    for seed in range(20):
        command = [sys.executable, "-m", "fastmlp", "train", "--seed", str(seed), "--json", "--quiet"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, text=True)
        accuracies.append(100 * json.loads(run.stdout)["test_accuracy"])
    assert statistics.median(accuracies) >= 97.0
    assert min(accuracies) >= 95.5


@pytest.mark.slow
def test_fashion_mnist_cross_entropy(fashion_mnist):
    (X, y), (X_test, y_test) = fashion_mnist
    net = fastmlp.Network([784, 128, 10], activation="relu", loss="cross_entropy", seed=0)
    net.fit(X, y, epochs=8, batch_size=64, optimizer=fastmlp.Adam(1e-3))
    assert net.evaluate(X_test, y_test)["accuracy"] >= 0.86


@pytest.mark.slow
def test_fashion_mnist_sigmoid_throughout(fashion_mnist):
    (X, y), (X_test, y_test) = fashion_mnist
    net = fastmlp.Network(
        [784, 30, 10], activation="sigmoid", output_activation="sigmoid", loss="half_squared_error", seed=0
    )
    net.fit(X[:50_000], y[:50_000], epochs=5, batch_size=10, optimizer=fastmlp.SGD(3.0))
    assert np.mean(net.classify(X_test) == y_test) >= 0.83
