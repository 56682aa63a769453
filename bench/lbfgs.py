"""Compares L-BFGS with SciPy's L-BFGS-B on the same function: the loss of a network over all rows, in float64.

    python bench/lbfgs.py [--cpu N] [--rounds N] [--clock cpu] [--quick]

First the ten problems of the tests are solved to their minima, then larger problems run for a fixed number of
iterations. Both methods start at the same point; before anything is timed, they must reach the same loss. SciPy is
called in the cheapest way: loss and gradient come from the compiled core, and nothing is recorded.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import report
import rounds
from scipy.optimize import minimize

import fastmlp

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from minimization_problems import problems

TOLERANCE = 1e-9  # for the largest element of the gradient, at the minimum
MAX_ITERATIONS = 2000
LARGER = [
    # sizes, rows, activation, loss, iterations
    ([10, 32, 32, 1], 500, "tanh", "half_squared_error", 50),
    ([64, 32, 10], 1500, "relu", "cross_entropy", 40),
    ([784, 128, 10], 2000, "relu", "cross_entropy", 15),
]


def cases() -> list[tuple[str, Any, Any, Any, int, float]]:
    """Return for each case a name, a network, rows, targets, the maximum number of iterations and the tolerance."""
    shared = {"dtype": "float64", "seed": 5, "n_threads": 1}
    found: list[Any] = [
        (name, fastmlp.Network(sizes, **own, **shared), X, y, MAX_ITERATIONS, TOLERANCE)
        for name, sizes, own, X, y in problems()
    ]
    rng = np.random.default_rng(0)
    for sizes, n_rows, activation, loss, iterations in LARGER:
        X = rng.normal(size=(n_rows, sizes[0]))
        labels = loss == "cross_entropy"
        y = rng.integers(sizes[-1], size=n_rows) if labels else np.tanh(X @ rng.normal(size=(sizes[0], 1)))
        name = f"{'-'.join(map(str, sizes))}, {n_rows:,} rows, {iterations} iterations"
        found.append((name, fastmlp.Network(sizes, activation=activation, loss=loss, **shared), X, y, iterations, 0.0))
    return found


def ours(net: fastmlp.Network, X: Any, y: Any, iterations: int, tolerance: float) -> float:
    """Minimise with fastmlp, and return the loss."""
    net.fit(X, y, epochs=iterations, optimizer=fastmlp.LBFGS(gradient_tolerance=tolerance, loss_tolerance=0.0))
    return net.evaluate(X, y)["loss"]


def scipys(net: fastmlp.Network, X: Any, y: Any, iterations: int, tolerance: float) -> float:
    """Minimise with SciPy, and return the loss."""

    def f(P: Any) -> tuple[float, Any]:
        net.parameters = P
        return net.loss_and_grad(X, y)

    options = {"maxiter": iterations, "maxcor": 10, "gtol": tolerance, "ftol": 0.0}
    return float(minimize(f, net.parameters, jac=True, method="L-BFGS-B", options=options).fun)


def line(case: tuple[Any, ...], n_rounds: int) -> tuple[str, ...]:
    """Verify that both methods reach the same loss, measure them, and return a row of the table."""
    name, net, *arguments = case
    found = {method: method(net.copy(), *arguments) for method in (ours, scipys)}
    if not np.isclose(found[ours], found[scipys], rtol=1e-3, atol=1e-9):
        raise SystemExit(f"{name}: fastmlp comes to {found[ours]!r}, SciPy to {found[scipys]!r}")

    def measure(method: Any) -> float:
        trial = net.copy()
        return rounds.seconds(functools.partial(method, trial, *arguments))

    times = np.array(rounds.interleaved([functools.partial(measure, method) for method in found], n_rounds))
    low, ratio, high = np.percentile(times[1] / times[0], (25, 50, 75))
    medians = map(report.duration, np.median(times, axis=1))
    return name, *medians, f"{low:.2f}×", f"{ratio:.2f}×", f"{high:.2f}×", report.verdict(bool(ratio >= 1))


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    report.pin(options.cpu)
    rounds.use(options.clock)
    print(report.provenance(options.cpu, "float64", f"{options.clock} time"), flush=True)
    share = rounds.Share()
    rows = [line(case, 1 if options.quick else options.rounds) for case in cases()]
    columns = ("problem", "fastmlp", "SciPy", "lower quartile", "SciPy / fastmlp", "upper quartile", "no slower")
    print("", report.table(columns, rows), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
