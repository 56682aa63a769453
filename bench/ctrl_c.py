"""How long `fit` of a large network takes to stop after Ctrl-C, beside the step that it is in the middle of.

    python bench/ctrl_c.py [--threads 1 2] [--rounds 8] [--sizes 4096 4096 4096] [--quick]

A process for each case fits the network to random rows. In each round a timer raises SIGINT at a random moment of the
second step or later; what is measured is the time from the signal to the KeyboardInterrupt that comes out of `fit`.
Prints, for each batch size, optimiser and number of threads, the time of one step, and the median and the most of those
times; above the table, how long one copy of the parameters takes, of which keeping what was learnt needs several.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

import numpy as np
import report

import fastmlp

BATCHES = (1, 32, 1000)
OPTIMIZERS = {
    "SGD": {"optimizer": fastmlp.SGD(1e-6)},
    "Adam": {"optimizer": fastmlp.Adam(1e-6)},
    "Adam, average, clip_norm": {
        "optimizer": fastmlp.Adam(1e-6),
        "regularization": fastmlp.Regularization(average=0.99, clip_norm=1.0),
    },
    "LBFGS": {"optimizer": fastmlp.LBFGS(memory=2)},
}


class Stopwatch:
    """Raises KeyboardInterrupt at the signal, and knows when it came."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, self.handle)
        self.due = 0.0

    def set(self, seconds: float) -> None:
        """The signal comes so many seconds from now."""
        self.due = time.perf_counter() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """As Python's own handler of SIGINT."""
        raise KeyboardInterrupt


def child(case: dict[str, Any]) -> dict[str, Any]:
    """The times of one case, in seconds."""
    sizes, batch, rounds = case["sizes"], case["batch"], case["rounds"]
    whole = case["optimizer"] == "LBFGS"
    rng = np.random.default_rng(0)
    n_rows = batch if whole else max(64, 4 * batch)
    X, y = rng.normal(size=(n_rows, sizes[0])).astype(case["dtype"]), rng.normal(size=(n_rows, sizes[-1]))
    net = fastmlp.Network(sizes, dtype=case["dtype"], seed=0, n_threads=case["threads"], engine=case["engine"])
    options = {"batch_size": None if whole else batch, "verbose": 0, **OPTIMIZERS[case["optimizer"]]}
    n_steps = max(1, n_rows // batch)
    net.fit(X, y, epochs=1, **options)
    start = time.perf_counter()
    net.fit(X, y, epochs=1, **options)
    step = (time.perf_counter() - start) / n_steps
    stopwatch, moments, times = Stopwatch(), random.Random(0), []
    for _ in range(rounds):
        stopwatch.set(moments.uniform(0.2, 0.2 + 2 * step + 0.3))
        try:
            while True:  # L-BFGS may come to an end
                net.fit(X, y, epochs=10**6, **options)
        except KeyboardInterrupt:
            times.append(time.perf_counter() - stopwatch.due)
    return {"step": step, "times": times}


def line(case: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table, from a process of its own."""
    told = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(case)], capture_output=True, text=True, check=True
    )
    result = json.loads(told.stdout)
    name = f"{case['engine']} {case['dtype']}, {case['threads']} threads, batch {case['batch']}, {case['optimizer']}"
    times = result["times"]
    return name, *map(report.duration, (result["step"], np.median(times), max(times)))


def main() -> int:
    """Measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 4096, 4096])
    parser.add_argument("--engines", nargs="+", default=["native", "blas"])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--child")
    parser.add_argument("--quick", action="store_true", help="a small network, one round: that it runs")
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(child(json.loads(arguments.child))))
        return 0
    if arguments.quick:
        arguments.sizes, arguments.rounds, arguments.batches = [64, 64, 64], 1, [32]
    P = np.zeros(sum((a + 1) * b for a, b in zip(arguments.sizes, arguments.sizes[1:], strict=False)), arguments.dtype)
    Q = P.copy()
    start = time.perf_counter()
    np.copyto(Q, P)
    copied = report.duration(time.perf_counter() - start)
    print(report.provenance(None, f"{'-'.join(map(str, arguments.sizes))}; a copy of the parameters takes {copied}"))
    rows = [
        line(
            {
                "sizes": arguments.sizes,
                "rounds": arguments.rounds,
                "dtype": arguments.dtype,
                "engine": engine,
                "threads": threads,
                "batch": batch,
                "optimizer": optimizer,
            }
        )
        for engine in arguments.engines
        for threads in arguments.threads
        for batch in arguments.batches
        for optimizer in arguments.optimizers
        if optimizer != "LBFGS" or batch == max(arguments.batches)
    ]
    print("\n" + report.table(("case", "one step", "Ctrl-C, median", "most"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
