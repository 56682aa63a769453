"""L-BFGS against SciPy's L-BFGS-B on the same function: the loss of a network over all rows, and its gradient.

    python bench/lbfgs.py [--rounds N]

Both make the same number of iterations from the same start, in turn, one thread each; that they come to the same loss
is checked before anything is timed. SciPy is called in the cheapest way: the gradient comes from the compiled core too,
and nothing is recorded. Prints seconds per fit (the least of the rounds) and the ratio.
"""

import one_thread

one_thread.ensure()

import argparse  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
from scipy.optimize import minimize  # noqa: E402

import fastmlp  # noqa: E402

CASES = [
    # sizes, rows, activation, loss, iterations
    ([3, 2, 1], 60, "tanh", "mse", 30),
    ([10, 32, 32, 1], 500, "tanh", "half_squared_error", 50),
    ([64, 32, 10], 1500, "relu", "cross_entropy", 40),
    ([784, 128, 10], 2000, "relu", "cross_entropy", 15),
]


def problem(case: tuple[Any, ...]) -> tuple[fastmlp.Network, Any, Any]:
    """A network, rows and targets."""
    sizes, n_rows, activation, loss, _ = case
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, sizes[0]))
    y = rng.integers(sizes[-1], size=n_rows) if loss == "cross_entropy" else np.tanh(X @ rng.normal(size=(sizes[0], 1)))
    return fastmlp.Network(sizes, activation=activation, loss=loss, dtype="float64", seed=0, n_threads=1), X, y


def ours(net: fastmlp.Network, X: Any, y: Any, iterations: int) -> float:
    """The loss after the iterations."""
    net.fit(X, y, epochs=iterations, optimizer=fastmlp.LBFGS(gradient_tolerance=0.0, loss_tolerance=0.0))
    return net.evaluate(X, y)["loss"]


def scipys(net: fastmlp.Network, X: Any, y: Any, iterations: int) -> float:
    """The same by SciPy."""

    def f(P: Any) -> tuple[float, Any]:
        net.parameters = P
        return net.loss_and_grad(X, y)

    options = {"maxiter": iterations, "maxcor": 10, "gtol": 0.0, "ftol": 0.0}
    return float(minimize(f, net.parameters, jac=True, method="L-BFGS-B", options=options).fun)


def main() -> None:
    """Verifies, then times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"{'case':28}  {'fastmlp, ms':>11}  {'SciPy, ms':>10}  {'SciPy / fastmlp':>15}")
    for case in CASES:
        net, X, y = problem(case)
        least = {ours: np.inf, scipys: np.inf}
        for i in range(rounds + 1):
            found = {}
            for method in least:
                trial = net.copy()
                start = time.perf_counter()
                found[method] = method(trial, X, y, case[-1])
                least[method] = min(least[method], time.perf_counter() - start if i else np.inf)
            if not np.isclose(found[ours], found[scipys], rtol=1e-3):
                raise SystemExit(f"{case}: fastmlp comes to {found[ours]!r}, SciPy to {found[scipys]!r}")
        name = f"{'-'.join(map(str, case[0]))}, {case[1]} rows"
        ratio = least[scipys] / least[ours]
        print(f"{name:28}  {1e3 * least[ours]:11.2f}  {1e3 * least[scipys]:10.2f}  {ratio:15.2f}")


if __name__ == "__main__":
    main()
