"""Measures how long `fit` of a large network takes to stop after Ctrl-C, compared with the time of a step.

    python bench/ctrl_c.py [--threads 1 2] [--rounds 8] [--sizes 4096 4096 4096] [--quick]

Each case has a process that fits the network to random rows. In each round a timer raises KeyboardInterrupt at a random
moment of the second step or later, and the time from its signal until `fit` raises the exception is measured. The
table has for each batch size, optimiser and number of threads the time of one step, and the median and maximum of the
times to stop. The line above it says how long a copy of the parameters takes; stopping needs several such copies.
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
    """Raises KeyboardInterrupt after a given time; `due` is the moment."""

    def __init__(self) -> None:
        signal.signal(signal.SIGALRM, self.handle)
        self.due = 0.0

    def set(self, seconds: float) -> None:
        """Send the signal after so many seconds."""
        self.due = time.perf_counter() + seconds
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt, like Python's handler of SIGINT."""
        raise KeyboardInterrupt


def child(case: dict[str, Any]) -> dict[str, Any]:
    """Run as the child process: measure the times of one case, in seconds."""
    sizes, batch, rounds = case["sizes"], case["batch"], case["rounds"]
    full_batch = case["optimizer"] == "LBFGS"
    rng = np.random.default_rng(0)
    n_rows = batch if full_batch else max(64, 4 * batch)
    X, y = rng.normal(size=(n_rows, sizes[0])).astype(case["dtype"]), rng.normal(size=(n_rows, sizes[-1]))
    net = fastmlp.Network(sizes, dtype=case["dtype"], seed=0, n_threads=case["threads"], engine=case["engine"])
    options = {"batch_size": None if full_batch else batch, "verbose": 0, **OPTIMIZERS[case["optimizer"]]}
    n_steps = max(1, n_rows // batch)
    net.fit(X, y, epochs=1, **options)
    start = time.perf_counter()
    net.fit(X, y, epochs=1, **options)
    step = (time.perf_counter() - start) / n_steps
    stopwatch, moments, times = Stopwatch(), random.Random(0), []
    for _ in range(rounds):
        stopwatch.set(moments.uniform(0.2, 0.2 + 2 * step + 0.3))
        try:
            while True:  # L-BFGS may converge before the signal
                net.fit(X, y, epochs=10**6, **options)
        except KeyboardInterrupt:
            times.append(time.perf_counter() - stopwatch.due)
    return {"step": step, "times": times}


def line(case: dict[str, Any]) -> tuple[str, ...]:
    """Measure a case in a child process; return its row of the table."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", json.dumps(case)], capture_output=True, text=True, check=True
    )
    result = json.loads(done.stdout)
    name = f"{case['engine']} {case['dtype']}, {case['threads']} threads, batch {case['batch']}, {case['optimizer']}"
    times = result["times"]
    return name, *map(report.duration, (result["step"], np.median(times), max(times)))


def main() -> int:
    """Measure all cases and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 4096, 4096])
    parser.add_argument("--engines", nargs="+", default=["native", "blas"])
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--optimizers", nargs="+", default=list(OPTIMIZERS))
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--child")
    parser.add_argument("--quick", action="store_true", help="a small network and one round, to check that it runs")
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
    print("\n" + report.table(("case", "one step", "Ctrl-C, median", "maximum"), rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
