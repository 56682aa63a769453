"""Compares the speed of fastmlp.sklearn with that of scikit-learn's own classes, on one thread, with equal parameters.

    python bench/sklearn_speed.py [--cpu N] [--rounds 15] [--clock cpu] [--quick]

Every case is verified before it is timed: two epochs over 2,000 rows without shuffling, from the same weights, must
give the same losses, and both estimators the same probabilities with the same weights. The tolerance is 1e-8 in float64
and, if the case is timed in float32, 1e-3 there. Rounds are interleaved; a time is the median over the rounds, and a
ratio the median of the ratios within a round. A fit is timed as a whole, and ends after a fixed number of epochs.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import report
import rounds
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning

import fastmlp
import fastmlp.sklearn

MODULES = {"scikit-learn": (neural_network, {}), "fastmlp": (fastmlp.sklearn, {"n_threads": 1})}
TOLERANCE = {"float64": 1e-8, "float32": 1e-3}
MAX_ROWS = 2000  # used for the verification


@dataclass(frozen=True)
class Case:
    """A fit or a prediction: rows of a data set in a dtype, and the parameters of the estimators."""

    name: str
    source: str  # "digits" or "Fashion-MNIST"
    dtype: str
    n_rows: int
    target: float
    predicts: str = ""  # the method that is timed on n_rows rows; "" times a fit
    parameters: dict[str, Any] = field(default_factory=dict)

    def data(self, quick: bool) -> tuple[Any, Any]:
        """Return rows and labels; rows are repeated if the data set has too few."""
        load = {"digits": fastmlp.datasets.load_digits, "Fashion-MNIST": fastmlp.datasets.load_fashion_mnist}
        (X, y), _ = load[self.source]()
        rows = np.resize(np.arange(len(X)), min(self.n_rows, 500) if quick else self.n_rows)
        return X[rows].astype(self.dtype), y[rows]


SMALL = {"hidden_layer_sizes": 30, "activation": "logistic", "solver": "sgd", "batch_size": 10, "max_iter": 3}
CASES = [
    Case("fit, default network, 2 epochs", "Fashion-MNIST", "float32", 20_000, 2.3, parameters={"max_iter": 2}),
    Case("fit, default network, 20 epochs", "digits", "float64", 1438, 4.0, parameters={"max_iter": 20}),
    Case("fit, default network, 20 epochs", "digits", "float32", 1438, 4.0, parameters={"max_iter": 20}),
    Case("fit, 784-30-10, batches of 10, 3 epochs", "Fashion-MNIST", "float32", 10_000, 15.0, parameters=SMALL),
    Case(
        "fit, the same, alpha=0, momentum=0",
        "Fashion-MNIST",
        "float32",
        10_000,
        15.0,
        parameters={**SMALL, "alpha": 0.0, "momentum": 0.0},
    ),
    Case("predict, one row", "digits", "float64", 1, 20.0, "predict"),
    Case("predict_proba, one row", "digits", "float64", 1, 20.0, "predict_proba"),
    Case("predict", "digits", "float64", 10_000, 2.0, "predict"),
    Case("predict", "digits", "float32", 10_000, 2.0, "predict"),
]


def make(name: str, **parameters: Any) -> Any:
    """Make a classifier of that module."""
    module, own = MODULES[name]
    return module.MLPClassifier(**{"random_state": 0, **parameters, **own})


def verify(case: Case, X: Any, y: Any) -> None:
    """Raise AssertionError unless both estimators give the same losses and probabilities from the same weights."""
    parameters = {**case.parameters, "max_iter": 2, "shuffle": False}
    for dtype in {"float64", case.dtype}:
        x, tolerance = X[:MAX_ROWS].astype(dtype), TOLERANCE[dtype]
        theirs, ours = (make(name, **parameters).fit(x, y[:MAX_ROWS]) for name in MODULES)
        np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=tolerance)
        ours.coefs_, ours.intercepts_ = list(theirs.coefs_), list(theirs.intercepts_)
        np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=0, atol=tolerance)


def work(case: Case, name: str, X: Any, y: Any) -> Callable[[], Any]:
    """Return the call that is timed."""
    if case.predicts:
        (X_fit, y_fit), _ = fastmlp.datasets.load_digits()
        model = make(name, max_iter=3).fit(X_fit.astype(case.dtype), y_fit)
        return functools.partial(getattr(model, case.predicts), X)
    return lambda: make(name, **case.parameters).fit(X, y)


def measured(run: Callable[[], Any], n: int) -> Callable[[], float]:
    """Return a function that measures the seconds of one run, as the mean of n."""

    def many() -> None:
        for _ in range(n):
            run()

    return lambda: rounds.seconds(many) / n


def line(case: Case, n_rounds: int, quick: bool) -> tuple[str, ...]:
    """Verify and measure a case; return its row of the table, with the verdict."""
    X, y = case.data(quick)
    verify(case, *rows_to_verify(case, X, y))
    runs = [work(case, name, X, y) for name in MODULES]
    for run in runs:
        run()
    repeats = [1 if quick else rounds.repeats(lambda n, run=run: [run() for _ in range(n)], 0.02) for run in runs]
    times = np.array(rounds.interleaved([measured(*each) for each in zip(runs, repeats, strict=True)], n_rounds))
    ratio = float(np.median(times[0] / times[1]))
    seconds = [report.duration(float(each)) for each in np.median(times, axis=1)]
    what = f"{case.source}, {len(X):,} row{'s' * (len(X) > 1)}, {case.dtype}"
    return case.name, what, *seconds, f"{ratio:.2f}×", f"{case.target:g}×", report.verdict(ratio >= case.target)


def rows_to_verify(case: Case, X: Any, y: Any) -> tuple[Any, Any]:
    """Return the rows to verify with: those of the fit, or the digits if the case predicts."""
    if not case.predicts:
        return X, y
    (X, y), _ = fastmlp.datasets.load_digits()
    return X.astype(case.dtype), y


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--clock", choices=rounds.CLOCKS, default="wall", help="cpu: where other work shares the core")
    options = parser.parse_args()
    rounds.use(options.clock)
    report.pin(options.cpu)
    warnings.simplefilter("ignore", ConvergenceWarning)
    n_rounds = 1 if options.quick else options.rounds
    print(report.provenance(options.cpu, f"{n_rounds} rounds"), "", flush=True)
    share = rounds.Share()
    rows = [line(case, n_rounds, options.quick) for case in CASES]
    columns = ("what", "data", "scikit-learn", "fastmlp.sklearn", "ratio", "target", "met")
    print(report.table(columns, rows, left=2), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
