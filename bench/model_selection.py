"""Compares the ways to search a grid with cross-validation: GridSearchCV in threads and processes, and fit_many.

    python bench/model_selection.py [--rounds 5] [--quick]

The grid has six candidates for an MLPClassifier on digits, on three folds each, and every fit runs all its epochs.
Before anything is timed, all scores are compared. Without shuffling, all ways must give the same ones: fit_many has the
first weights and the rows of the estimators. With it, those of the estimators of fastmlp must be the same, one after
another, in threads and in processes. Rounds are interleaved; a time is the median over the rounds, and a ratio the
median of the ratios within a round. The processes of loky have started before the first round.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import itertools
import sys
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import report
import rounds
from sklearn import neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, KFold

import fastmlp
import fastmlp.sklearn
from fastmlp.sklearn import parameters

FOLDS = KFold(3)
GRID = {"alpha": [1e-4, 1e-2], "learning_rate_init": [3e-4, 1e-3, 3e-3]}
CANDIDATES = list(itertools.product(*GRID.values()))
BATCH_SIZE = 200
ROUNDING = 1e-9  # by which scores, the logarithmic losses of the folds, may differ
OURS, THEIRS = fastmlp.sklearn.MLPClassifier, neural_network.MLPClassifier

Array = Any


def search(kind: type, n_jobs: int, backend: str, X: Array, y: Array, **words: Any) -> Array:
    """Search the grid by GridSearchCV; return the scores of candidates by folds."""
    model = kind(**{"hidden_layer_sizes": [100], "random_state": 0, "n_iter_no_change": np.inf, **words})
    with joblib.parallel_config(backend=backend), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = (
            GridSearchCV(model, GRID, cv=FOLDS, n_jobs=n_jobs, refit=False, scoring="neg_log_loss")
            .fit(X, y)
            .cv_results_
        )
    return np.stack([found[f"split{fold}_test_score"] for fold in range(FOLDS.n_splits)], axis=1)


def first_network(n_inputs: int, n_outputs: int) -> fastmlp.Network:
    """Return a network with the first weights of the estimators."""
    rng = np.random.RandomState(0)
    sizes = [n_inputs, 100, n_outputs]
    parts = zip(*parameters.first_parameters(sizes, "relu", np.float64, rng), strict=True)
    network = fastmlp.Network(sizes, loss="cross_entropy", dtype="float64", n_threads=1)
    network.parameters = np.concatenate([part.T.ravel() for pair in parts for part in pair])
    return network


def by_fit_many(n_threads: int, X: Array, y: Array, max_iter: int, shuffle: bool = True) -> Array:
    """Search the grid by fit_many; return the scores of candidates by folds."""
    cases = list(itertools.product(CANDIDATES, FOLDS.split(X)))
    networks = [first_network(X.shape[1], int(y.max()) + 1) for _ in cases]
    fastmlp.fit_many(
        networks,
        X,
        y,
        rows=[train for _, (train, _) in cases],
        n_threads=n_threads,
        epochs=max_iter,
        batch_size=BATCH_SIZE,
        shuffle=shuffle,
        optimizer=[fastmlp.AdamHat(rate) for (_, rate), _ in cases],
        regularization=[fastmlp.Regularization(l2=alpha, per_row=True) for (alpha, _), _ in cases],
    )
    of_tests = [(net, test) for net, (_, (_, test)) in zip(networks, cases, strict=True)]
    scores = [-net.evaluate(X[test], y[test])["loss"] for net, test in of_tests]
    return np.reshape(scores, (len(CANDIDATES), FOLDS.n_splits))


Way = Callable[..., Array]
WAYS: dict[str, Way] = {
    "scikit-learn, one after another": functools.partial(search, THEIRS, 1, "sequential"),
    "scikit-learn, 2 processes": functools.partial(search, THEIRS, 2, "loky"),
    "fastmlp.sklearn, one after another, 1 thread": functools.partial(search, OURS, 1, "sequential", n_threads=1),
    "fastmlp.sklearn, one after another": functools.partial(search, OURS, 1, "sequential"),
    "fastmlp.sklearn, 2 threads": functools.partial(search, OURS, 2, "threading"),
    "fastmlp.sklearn, 2 processes": functools.partial(search, OURS, 2, "loky"),
    "fit_many, 1 thread": functools.partial(by_fit_many, 1),
    "fit_many, 2 threads": functools.partial(by_fit_many, 2),
}
BASE = "fastmlp.sklearn, one after another, 1 thread"


def verify(X: Array, y: Array) -> None:
    """Raise AssertionError unless all ways give the same scores without shuffling, and our estimators with it."""
    for shuffle, names in ((False, list(WAYS)), (True, [name for name in WAYS if name.startswith("fastmlp")])):
        scores = {name: WAYS[name](X=X, y=y, max_iter=3, shuffle=shuffle) for name in names}
        assert len(np.unique(scores[BASE])) > FOLDS.n_splits
        for name, found in scores.items():
            np.testing.assert_allclose(found, scores[BASE], rtol=ROUNDING, err_msg=name)


def main() -> int:
    """Verify, measure and print the table."""
    parser = report.parser(__doc__, rounds=5)
    options = parser.parse_args()
    report.pin(options.cpu)
    (X, y), _ = fastmlp.datasets.load_digits()
    X, max_iter, n_rounds = X.astype(np.float64), 20, options.rounds
    if options.quick:
        X, y, max_iter, n_rounds = X[:600], y[:600], 2, 1
    print(report.provenance(options.cpu, f"{n_rounds} rounds"), "", flush=True)
    verify(X, y)
    share = rounds.Share()
    runs = [
        functools.partial(rounds.seconds, functools.partial(way, X=X, y=y, max_iter=max_iter)) for way in WAYS.values()
    ]
    times = dict(zip(WAYS, map(np.array, rounds.interleaved(runs, n_rounds)), strict=True))
    rows = [
        (name, report.duration(float(np.median(taken))), f"{np.median(times[BASE] / taken):.2f}×")
        for name, taken in times.items()
    ]
    print(report.table((f"{len(CANDIDATES)} candidates on 3 folds, {max_iter} epochs", "time", "speed"), rows))
    print("", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
