"""Compares models of other tools, as people have them, with the networks that fastmlp makes of them, on one thread.

    python bench/convert.py [--cpu N] [--rounds 15] [--clock cpu] [--quick]

A model answers one row at a time, as in a control loop, and 1,000 rows in a call. "Before" is the tool's usual call for
it: `predict` of scikit-learn and stable-baselines3, a call of the module within `torch.inference_mode`, a call of the
Keras model; all begin and end with NumPy arrays. "After" is `Network.predict` or `Policy.action`. Both run in the same
process. Every import is verified by fastmlp itself, and once more here on the rows that are timed. Rounds are
interleaved; a time is the median over the rounds, and a ratio the median of the ratios within a round. A tool that is
not installed is left out. The last line is how long it takes to load an ONNX file of 784-128-10, once NumPy is there.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import importlib.util
import itertools
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import report
import rounds

import fastmlp

N_ROWS = 1000
ONE_ROW, MANY_ROWS = 10.0, 1.2  # the ratios that are wanted
LOADING = 5e-3  # seconds


class Pair(NamedTuple):
    """A model before and after: functions of rows (B, n) or of one row (n,), in the dtype of X."""

    before: Callable[[Any], Any]
    after: Callable[[Any], Any]
    X: Any
    one_row: float = ONE_ROW


def scikit_learn() -> Pair:
    """A regressor 30-100-1 of scikit-learn, in float64 as by default."""
    from sklearn.neural_network import MLPRegressor

    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_ROWS, 30))
    model = MLPRegressor(hidden_layer_sizes=(100,), max_iter=5, random_state=0).fit(X, X[:, 0] - X[:, 1])
    net = fastmlp.from_sklearn(model, n_threads=1)
    return Pair(lambda x: model.predict(np.atleast_2d(x)), net.predict, X)


def pytorch() -> Pair:
    """A classifier 784-128-10 of PyTorch."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    net = fastmlp.from_torch(module, n_threads=1)

    def before(x: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(x)).numpy()

    return Pair(before, net.predict, np.random.default_rng(0).random((N_ROWS, 784), dtype=np.float32))


def stable_baselines3() -> Pair:
    """A policy 64-64 of PPO, for a continuous action."""
    import gymnasium
    from stable_baselines3 import PPO

    model = PPO("MlpPolicy", gymnasium.make("Pendulum-v1"), seed=0, device="cpu")
    policy = fastmlp.from_stable_baselines3(model, n_threads=1)
    X = np.random.default_rng(0).uniform(-1, 1, (N_ROWS, 3)).astype(np.float32)
    return Pair(lambda x: model.predict(x, deterministic=True)[0], policy.action, X, 100.0)


def keras() -> Pair:
    """A classifier 20-64-64-1 of Keras."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras as tool

    tool.utils.set_random_seed(0)
    layers = tool.layers
    model = tool.Sequential(
        [
            layers.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    net = fastmlp.from_keras(model, n_threads=1)

    def before(x: Any) -> Any:
        return tool.ops.convert_to_numpy(model(np.atleast_2d(x), training=False))

    return Pair(before, net.predict, np.random.default_rng(0).standard_normal((N_ROWS, 20)).astype(np.float32))


MODELS = {  # the name of the tool's package: what the model is, and how it is made
    "sklearn": ("scikit-learn, regressor 30-100-1, float64", scikit_learn),
    "torch": ("PyTorch, 784-128-10", pytorch),
    "stable_baselines3": ("stable-baselines3, PPO 64-64", stable_baselines3),
    "keras": ("Keras, 20-64-64-1", keras),
}


def verify(pair: Pair) -> None:
    """Raise AssertionError unless both give the same for rows, and for a row alone."""
    for x in (pair.X, pair.X[0]):
        before, after = np.asarray(pair.before(x)), np.asarray(pair.after(x))
        np.testing.assert_allclose(after.reshape(before.shape), before, rtol=1e-4, atol=1e-5)


def measured(call: Callable[[Any], Any], inputs: list[Any], quick: bool) -> Callable[[], float]:
    """Return a function that measures the seconds of a call, as the mean over the inputs and repetitions."""

    def run(n: int) -> None:
        for x in itertools.islice(itertools.cycle(inputs), n):
            call(x)

    run(1 if quick else len(inputs))
    n = 1 if quick else rounds.repeats(run, 0.05)
    return lambda: rounds.seconds(functools.partial(run, n)) / n


def lines(what: str, pair: Pair, n_rounds: int, quick: bool) -> Iterator[tuple[str, ...]]:
    """Verify and measure a model; yield its rows of the table, with the verdict."""
    verify(pair)
    for name, inputs, target in (
        ("one row", list(pair.X[:256]), pair.one_row),
        (f"{N_ROWS:,} rows", [pair.X], MANY_ROWS),
    ):
        times = rounds.interleaved([measured(call, inputs, quick) for call in (pair.before, pair.after)], n_rounds)
        before, after = np.array(times)
        ratio = float(np.median(before / after))
        seconds = [report.duration(float(np.median(each))) for each in (before, after)]
        yield what, name, *seconds, f"{ratio:.1f}×", f"{target:g}×", report.verdict(ratio >= target)


def loading(n_rounds: int) -> tuple[str, ...]:
    """Measure `from_onnx` of a file; return its row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        fastmlp.Network([784, 128, 10], loss="cross_entropy", seed=0).to_onnx(path)
        fastmlp.from_onnx(path)
        seconds = float(np.median([rounds.seconds(lambda: fastmlp.from_onnx(path)) for _ in range(n_rounds)]))
    met = report.verdict(seconds < LOADING)
    return "ONNX, 784-128-10", "load a file", "", report.duration(seconds), "", f"< {report.duration(LOADING)}", met


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    rounds.use(options.clock)
    report.pin(options.cpu)
    warnings.simplefilter("ignore")
    n_rounds = 1 if options.quick else options.rounds
    print(report.provenance(options.cpu, f"{n_rounds} rounds"), flush=True)
    share = rounds.Share()
    rows = []
    for package, (what, make) in MODELS.items():
        if importlib.util.find_spec(package) is None:
            print(f"- left out: {what}, as {package} is not installed")
        else:
            rows += lines(what, make(), n_rounds, options.quick)
    rows.append(loading(n_rounds))
    print(
        "",
        report.table(("model", "what", "before", "after", "ratio", "target", "met"), rows, left=2),
        "",
        share,
        sep="\n",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
