"""`fastmlp bench`: times this installation against pure Python and against NumPy, in a few seconds.

`run` measures in a child process, because everything here uses one thread and BLAS reads the number of its threads
when it is loaded. The data are dense random numbers. Results are compared before anything is timed; rounds alternate
between the implementations, and the median of the rounds is reported.

The NumPy network is written as a NumPy user would write it. The project's published figures come from `bench/` in the
source tree, whose NumPy network allocates nothing.
"""

from __future__ import annotations

import importlib
import json as json_format
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastmlp

from ..console import say

Array = NDArray[Any]

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "BLIS_NUM_THREADS"), "1"
)
STEP_TOLERANCE = 1e-3  # relative to the change of the parameters, in the Euclidean norm


class Forward(NamedTuple):
    """A network whose forward pass is measured."""

    name: str
    sizes: tuple[int, ...]
    activation: str


FORWARD = (
    Forward("A", (784, 16, 16, 10), "sigmoid"),
    Forward("B", (784, 128, 10), "relu"),
    Forward("C", (10, 32, 32, 1), "tanh"),
    Forward("D", (784, 512, 512, 10), "relu"),
)
T1_SIZES, T1_BATCH, T1_RATE = (784, 30, 10), 10, 3.0


def run(*, quick: bool = False, json: bool = False) -> int:
    """Measure, and print a short table, or one JSON object with all times in seconds.

    Parameters
    ----------
    quick : bool, default False
        Use fewer repetitions: under 5 seconds instead of 20.
    json : bool, default False
        Print the JSON object instead of the table.

    Returns
    -------
    int
        The exit code: 0, or 1 if a result was wrong, in which case nothing was timed.
    """
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-m", "fastmlp.cli.benchmark", *(["--quick"] if quick else [])]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8", check=False)
    if done.returncode:
        return 1
    say(done.stdout.rstrip() if json else "\n".join(_table(json_format.loads(done.stdout))))
    return 0


def measure(quick: bool = False) -> dict[str, Any]:
    """Return the record that `run` prints; the process must have been started with BLAS limited to one thread."""
    network = fastmlp.Network([1, 1], n_threads=1)
    return {
        "fastmlp": fastmlp.__version__,
        "engine": network.engine,
        "isa": fastmlp.info()["isa"],
        "numpy": np.__version__,
        "n_threads": 1,
        "dtype": "float32",
        "training": _training(quick),
        "forward": [_forward(workload, quick) for workload in FORWARD],
    }


class PlainNumpy:
    """A network in NumPy for sigmoid, tanh and ReLU: contiguous weights (I, O), operations in place, no work twice."""

    def __init__(self, network: fastmlp.Network) -> None:
        self.weights = [np.ascontiguousarray(w.T) for w in network.weights]
        self.biases = [b.copy() for b in network.biases]
        activations = [*network.activation, network.output_activation]
        self.activations = [IN_PLACE[activation.name] for activation in activations]

    def predict(self, y: Array) -> Array:
        """Return the outputs for one row or a matrix of rows."""
        for w, b, activation in zip(self.weights, self.biases, self.activations, strict=True):
            y = y.dot(w)
            y += b
            activation(y)
        return y

    def train(self, x: Array, targets: Array, order: Array) -> None:
        """Train an epoch of gradient descent on half the squared error; all activations must be sigmoid."""
        for start in range(0, len(order), T1_BATCH):
            rows = order[start : start + T1_BATCH]
            ys = [x[rows]]
            for w, b, activation in zip(self.weights, self.biases, self.activations, strict=True):
                ys.append(ys[-1].dot(w))
                ys[-1] += b
                activation(ys[-1])
            delta = (ys[-1] - targets[rows]) * ys[-1] * (1 - ys[-1])
            rate = np.float32(T1_RATE / len(rows))
            for layer in reversed(range(len(self.weights))):
                dw, db, y = ys[layer].T.dot(delta), delta.sum(axis=0), ys[layer]
                if layer:
                    delta = delta.dot(self.weights[layer].T) * y * (1 - y)
                self.weights[layer] -= rate * dw
                self.biases[layer] -= rate * db

    @property
    def parameters(self) -> Array:
        """The parameters in the order of `Network.parameters`."""
        pairs = zip(self.weights, self.biases, strict=True)
        return np.concatenate([part for w, b in pairs for part in (w.T.ravel(), b)])


def _sigmoid(z: Array) -> None:
    np.negative(z, out=z)
    np.exp(z, out=z)
    z += np.float32(1)
    np.reciprocal(z, out=z)


IN_PLACE: dict[str, Callable[[Array], object]] = {
    "identity": lambda z: None,
    "sigmoid": _sigmoid,
    "tanh": lambda z: np.tanh(z, out=z),
    "relu": lambda z: np.maximum(z, np.float32(0), out=z),
}


def _training(quick: bool) -> dict[str, Any]:
    """Time the training of T1 per row: of the pure-Python reference on few rows, of the others on an epoch."""
    n_rows, n_reference, n_rounds = (2_000, 20, 5) if quick else (20_000, 200, 9)
    rng = np.random.default_rng(0)
    x = rng.random((n_rows, T1_SIZES[0]), dtype="float32")
    scores = x @ rng.standard_normal((T1_SIZES[0], T1_SIZES[-1]), dtype="float32")
    labels = np.argmax(scores - scores.mean(axis=0), axis=1)
    targets = np.eye(T1_SIZES[-1], dtype="float32")[labels]
    network, plain, reference = _verify_t1(x[:25], labels[:25], targets[:25])
    optimizer = fastmlp.SGD(T1_RATE)
    few = x[:n_reference].tolist(), labels[:n_reference].tolist()
    options: dict[str, Any] = {"epochs": 1, "batch_size": T1_BATCH, "optimizer": optimizer}
    seconds = {"reference": _alternate(3, {"reference": lambda: reference.fit(*few, **options)})["reference"]}
    seconds["reference"] /= n_reference
    calls: dict[str, Callable[[], object]] = {
        "numpy": lambda: plain.train(x, targets, rng.permutation(n_rows)),
        "fastmlp": lambda: network.fit(x, labels, **options),
    }
    seconds |= {name: each / n_rows for name, each in _alternate(n_rounds, calls).items()}
    return {
        "name": "T1",
        "sizes": T1_SIZES,
        "batch_size": T1_BATCH,
        "seconds_per_row": seconds,
        "gain_over_reference": seconds["reference"] / seconds["fastmlp"],
        "gain_over_numpy": seconds["numpy"] / seconds["fastmlp"],
    }


def _verify_t1(x: Array, labels: Array, targets: Array) -> tuple[fastmlp.Network, PlainNumpy, Any]:
    """Return the three networks of T1 after comparing them: three batches must change their parameters equally."""
    arguments: dict[str, Any] = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "half_squared_error"}
    network = fastmlp.Network(T1_SIZES, **arguments, seed=0, n_threads=1)
    start, plain = network.parameters, PlainNumpy(network)
    # Imported by name, so that it is not type-checked: the reference takes nested lists where Network takes arrays.
    reference: Any = importlib.import_module("fastmlp.reference").Network(T1_SIZES, **arguments)
    reference.parameters = start.tolist()
    options: dict[str, Any] = {"epochs": 1, "batch_size": T1_BATCH, "shuffle": False}
    optimizer = fastmlp.SGD(T1_RATE)
    reference.fit(x.tolist(), labels.tolist(), optimizer=optimizer, **options)
    network.fit(x, labels, optimizer=optimizer, **options)
    plain.train(x, targets, np.arange(len(x)))
    expected = np.array(reference.parameters) - start
    for who, parameters in (("fastmlp", network.parameters), ("NumPy", plain.parameters)):
        off = float(np.linalg.norm(parameters - start - expected) / np.linalg.norm(expected))
        if not off <= STEP_TOLERANCE:
            raise ArithmeticError(f"T1: {who} differs from the reference by {off:.1e}, allowed {STEP_TOLERANCE:.1e}")
    return network, plain, reference


def _forward(workload: Forward, quick: bool) -> dict[str, Any]:
    """Time the forward pass of one row and of many rows, after comparing the outputs."""
    n_rows, n_rounds = (2_000, 5) if quick else (10_000, 15)
    rng = np.random.default_rng(0)
    x = rng.random((n_rows, workload.sizes[0]), dtype="float32")
    network = fastmlp.Network(workload.sizes, activation=workload.activation, seed=0, n_threads=1)
    plain = PlainNumpy(network)
    expected, bound = plain.predict(x), _tolerance(workload)
    alone = np.array([network.predict(row) for row in x[:20]])
    for what, got, wanted in (("rows", network.predict(x), expected), ("one row", alone, expected[:20])):
        off = float(np.abs(got - wanted).max() / np.abs(wanted).max())
        if not off <= bound:
            raise ArithmeticError(
                f"{workload.name}, {what}: fastmlp and NumPy differ by {off:.1e}, allowed {bound:.1e}"
            )
    rows = list(x[:200])
    n_calls = max(1, round(5e-3 / _seconds(lambda: _predict_each(plain.predict, rows))))
    one = {
        "numpy": lambda: _predict_each(plain.predict, rows, n_calls),
        "fastmlp": lambda: _predict_each(network.predict, rows, n_calls),
    }
    many = {"numpy": lambda: plain.predict(x), "fastmlp": lambda: network.predict(x)}
    per_row = {name: each / (n_calls * len(rows)) for name, each in _alternate(n_rounds, one).items()}
    return {
        **workload._asdict(),
        "seconds_one_row": per_row,
        "n_rows": n_rows,
        "seconds_rows": _alternate(n_rounds, many),
    }


def _tolerance(workload: Forward) -> float:
    """Return the error allowed relative to the largest output: that of a sum of I terms grows like sqrt(I)."""
    return 16 * float(np.finfo("float32").eps) * sum(math.sqrt(n_inputs) for n_inputs, _ in pairwise(workload.sizes))


def _predict_each(predict: Callable[[Array], object], rows: list[Array], n_calls: int = 1) -> None:
    for _ in range(n_calls):
        for row in rows:
            predict(row)


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _alternate(n_rounds: int, calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each call in seconds; the calls alternate."""
    times = [{name: _seconds(call) for name, call in calls.items()} for _ in range(n_rounds)]
    return {name: median(each[name] for each in times) for name in calls}


def _table(record: dict[str, Any]) -> Iterator[str]:
    """Format the record as the lines of a table."""
    training = record["training"]
    per_row = {name: 1e6 * seconds for name, seconds in training["seconds_per_row"].items()}
    gain, over_numpy = training["gain_over_reference"], training["gain_over_numpy"]
    yield (
        f"fastmlp {record['fastmlp']}, engine {record['engine']}, ISA {record['isa']}, {record['dtype']}, one thread; "
        f"NumPy {record['numpy']}; random data"
    )
    yield ""
    yield f"training 784-30-10, sigmoid, batches of {training['batch_size']}: time for a row, and fastmlp's gain"
    yield f"  pure Python {per_row['reference']:10,.2f} µs {gain:10,.0f}×"
    yield f"  NumPy       {per_row['numpy']:10,.2f} µs {over_numpy:10,.2f}×"
    yield f"  fastmlp     {per_row['fastmlp']:10,.2f} µs"
    yield ""
    yield f"{'prediction':24}{'one row':>26}{record['forward'][0]['n_rows']:>20,} rows"
    yield f"{'':24}{'fastmlp':>10}{'NumPy':>10}{'gain':>6}{'fastmlp':>11}{'NumPy':>11}{'gain':>6}"
    for each in record["forward"]:
        title = f"{each['name']} {'-'.join(map(str, each['sizes']))} {each['activation']}"
        one, many = each["seconds_one_row"], each["seconds_rows"]
        yield (
            f"{title:24}{1e6 * one['fastmlp']:7.2f} µs{1e6 * one['numpy']:7.2f} µs{one['numpy'] / one['fastmlp']:5.1f}×"
            f"{1e3 * many['fastmlp']:8.2f} ms{1e3 * many['numpy']:8.2f} ms{many['numpy'] / many['fastmlp']:5.1f}×"
        )


def _main() -> int:
    """Measure in this process and print the record."""
    try:
        sys.stdout.write(json_format.dumps(measure("--quick" in sys.argv[1:])) + "\n")
    except ArithmeticError as error:
        say(f"fastmlp: error: not timed: {error}", sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_main())
