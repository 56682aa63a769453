"""Measures the cost of each kind of regularisation: the time of an epoch with it over that of one without any.

    python bench/regularization.py [--rounds N]

The fits of one epoch run in interleaved rounds, on one thread, in float32, on dense random data. The Markdown table has
the medians of the ratios within a round. `instructions.py` counts that a training without regularisation costs nothing
extra.
"""

import one_thread

one_thread.ensure()

import argparse  # noqa: E402
import functools  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import rounds  # noqa: E402

import fastmlp  # noqa: E402

PARTS: dict[str, dict[str, Any]] = {
    "none": {},
    "l1": {"l1": 1e-5},
    "l2": {"l2": 1e-4},
    "weight_decay": {"weight_decay": 1e-4},
    "clip_value": {"clip_value": 1.0},
    "clip_norm": {"clip_norm": 1.0},
    "max_norm": {"max_norm": 3.0},
    "average": {"average": 0.99},
    "dropout": {"dropout": 0.5},
    "input_dropout": {"input_dropout": 0.2},
    "input_noise": {"input_noise": 0.1},
}
CASES = [  # sizes, batch size, rows, optimiser
    ([784, 128, 10], 64, 6000, fastmlp.Adam()),
    ([64, 100, 10], 200, 6000, fastmlp.Adam()),
    ([784, 30, 10], 10, 3000, fastmlp.SGD(0.1)),
]


def ratios(sizes: list[int], batch_size: int, n_rows: int, optimizer: Any, n_rounds: int) -> list[float]:
    """Return for each kind of regularisation the median of its time over that without any."""
    rng = np.random.default_rng(0)
    X, y = rng.random((n_rows, sizes[0]), dtype=np.float32), rng.integers(sizes[-1], size=n_rows)
    options = {"epochs": 1, "batch_size": batch_size, "optimizer": optimizer}
    calls = []
    for fields in PARTS.values():
        net = fastmlp.Network(sizes, loss="cross_entropy", seed=0, n_threads=1)
        r = fastmlp.Regularization(**fields)
        calls.append(functools.partial(net.fit, X, y, regularization=r, **options))
        calls[-1]()
    times = np.array(rounds.interleaved([functools.partial(rounds.seconds, call) for call in calls], n_rounds))
    return np.median(times / times[0], axis=1).tolist()


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    n_rounds = parser.parse_args().rounds
    print("| network, batch size, optimiser | " + " | ".join(PARTS) + " |")
    print("|---" * (len(PARTS) + 1) + "|")
    for sizes, batch_size, n_rows, optimizer in CASES:
        found = ratios(sizes, batch_size, n_rows, optimizer, n_rounds)
        name = f"{'-'.join(map(str, sizes))}, {batch_size}, {optimizer.name}"
        print(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in found) + " |")


if __name__ == "__main__":
    main()
