"""Measures the overhead of a call of `learn_one`, compared with the same steps in `fit`, which run in compiled code.

    python bench/online.py [--cpu N] [--rounds N] [--clock cpu] [--quick]

Both train on the same rows in the same order, one row per step; before anything is timed, their parameters must be
equal, bit for bit. The overhead is the call from Python, the conversion of its arguments, and the undo log with which a
step can be rolled back.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import sys
from typing import Any

import numpy as np
import report
import rounds

import fastmlp

CASES = [([4, 8, 1], "tanh"), ([10, 32, 32, 1], "tanh"), ([64, 32, 1], "relu"), ([784, 30, 1], "relu")]
OPTIMIZERS = [fastmlp.SGD(0.001), fastmlp.Adam(0.0001)]
N_ROWS = 5000


def one_by_one(net: fastmlp.Network, rows: list[Any], targets: list[float]) -> None:
    """Train one row at a time, in the loop that a user would write."""
    learn_one = net.learn_one
    for x, t in zip(rows, targets, strict=True):
        learn_one(x, t)


def line(sizes: list[int], activation: str, optimizer: Any, dtype: str, n_rounds: int, n_rows: int) -> tuple[str, ...]:
    """Verify and measure `learn_one` and `fit` on the same rows; return a row of the table."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n_rows, sizes[0])).astype(dtype), rng.normal(size=n_rows).astype(dtype)
    rows, targets = list(X), y.tolist()
    nets = [fastmlp.Network(sizes, activation=activation, dtype=dtype, seed=0, n_threads=1) for _ in range(2)]
    options = {"epochs": 1, "batch_size": 1, "shuffle": False, "optimizer": optimizer}
    nets[0].learn_one(rows[0], targets[0], optimizer)
    nets[1].fit(X[:1], y[:1], **options)
    calls = [functools.partial(one_by_one, nets[0], rows, targets), functools.partial(nets[1].fit, X, y, **options)]
    for call in calls:
        call()
    if not np.array_equal(nets[0].parameters, nets[1].parameters):
        raise SystemExit(f"{sizes}: learn_one and fit come to different parameters")
    times = np.array(rounds.interleaved([functools.partial(rounds.seconds, call) for call in calls], n_rounds)) / n_rows
    overhead = np.percentile(times[0] - times[1], (25, 50, 75))
    name = f"{'-'.join(map(str, sizes))} {activation}, {type(optimizer).__name__}"
    return name, *map(report.duration, (*np.median(times, axis=1), *overhead))


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    report.pin(options.cpu)
    rounds.use(options.clock)
    print(report.provenance(options.cpu, options.dtype, "one thread", f"{options.clock} time"), flush=True)
    share, arguments = rounds.Share(), (options.dtype, options.rounds, N_ROWS)
    if options.quick:
        arguments = (options.dtype, 1, 50)
    found = [line(*case, optimizer, *arguments) for case in CASES for optimizer in OPTIMIZERS]
    columns = ("a row at a time", "learn_one", "in fit", "lower quartile", "a call adds", "upper quartile")
    print("", report.table(columns, found), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
