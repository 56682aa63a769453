"""Compares the scores of fastmlp.sklearn with those of scikit-learn's own classes, over several seeds.

    python bench/sklearn_scores.py [--cpu N] [--seeds 10] [--datasets NAME ...] [--fann FOLDER] [--quick]

The table is in docs/coming_from_scikit_learn.md. A seed determines the split (a quarter of the rows for the test,
stratified by class, unless the data set has its own test rows) and is the random_state of both estimators, which
therefore begin with the same weights; their orders of the rows differ. Inputs, and the targets of regressions, are
scaled to mean 0 and standard deviation 1 of the training rows; images stay in [0, 1]. All parameters but those in
`DATASETS` have their defaults. The score is that of the method `score`: accuracy or R^2 of the test rows.

FANN's data sets are in Debian's package libfann-doc; the program reports data sets of which the files are missing.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import report
from sklearn import datasets, neural_network
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import fastmlp
import fastmlp.sklearn

FANN = Path("/usr/share/doc/libfann-dev/examples/datasets")
MAX_IMAGES = 6000  # training images of Fashion-MNIST; all test images are used
# The 0.975 quantile of Student's t distribution, by the number of seeds.
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}

Split = tuple[Any, Any, Any, Any]  # X, y to train on; X, y to test on


def of_scikit_learn(load: Callable[..., Any]) -> Callable[[int, Path], Split]:
    """Return a function that splits a data set of scikit-learn by the seed."""

    def split(seed: int, fann: Path) -> Split:
        X, y = load(return_X_y=True)
        stratify = None if load is datasets.load_diabetes else y
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=stratify, random_state=seed)
        return X, y, X_test, y_test

    return split


def digits(seed: int, fann: Path) -> Split:
    """Return the digits of `fastmlp.datasets`, with their own test rows."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_digits()
    return X, y, X_test, y_test


def fashion(seed: int, fann: Path) -> Split:
    """Return the first training images of Fashion-MNIST, and all test images."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_fashion_mnist()
    return X[:MAX_IMAGES], y[:MAX_IMAGES], X_test, y_test


def of_fann(name: str, classes: bool) -> Callable[[int, Path], Split]:
    """Return a function that reads a data set of FANN, with its own test rows; `classes` converts one-hot targets."""

    def read(path: Path) -> tuple[Any, Any]:
        numbers = np.array(path.read_text().split(), dtype=np.float64)
        n_rows, n_inputs, n_outputs = numbers[:3].astype(int)
        rows = numbers[3:].reshape(n_rows, n_inputs + n_outputs)
        y = rows[:, n_inputs:]
        return rows[:, :n_inputs], y.argmax(axis=1) if classes else y

    def split(seed: int, fann: Path) -> Split:
        return (*read(fann / f"{name}.train"), *read(fann / f"{name}.test"))

    return split


@dataclass(frozen=True)
class Dataset:
    """How a data set is split, whether it has classes, whether it is scaled, and parameters that are not defaults."""

    split: Callable[[int, Path], Split]
    classes: bool = True
    scaled: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)


DATASETS = {
    "digits": Dataset(digits, scaled=False),
    "Fashion-MNIST": Dataset(fashion, scaled=False, parameters={"max_iter": 20}),
    "breast cancer": Dataset(of_scikit_learn(datasets.load_breast_cancer)),
    "wine": Dataset(of_scikit_learn(datasets.load_wine)),
    "diabetes": Dataset(of_scikit_learn(datasets.load_diabetes), classes=False),
    "mushroom": Dataset(of_fann("mushroom", classes=True), parameters={"max_iter": 30}),
    "thyroid": Dataset(of_fann("thyroid", classes=True)),
    "building": Dataset(of_fann("building", classes=False), classes=False),
}


def prepare(dataset: Dataset, seed: int, fann: Path) -> Split:
    """Split the data set, and scale it."""
    X, y, X_test, y_test = dataset.split(seed, fann)
    if dataset.scaled:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    if not dataset.classes:
        mean, deviation = y.mean(axis=0), y.std(axis=0)
        y, y_test = (y - mean) / deviation, (y_test - mean) / deviation
    return X, y, X_test, y_test


def score(module: Any, dataset: Dataset, split: Split, seed: int, quick: bool) -> float:
    """Fit the estimator of a module, and return its score on the test rows."""
    kind = module.MLPClassifier if dataset.classes else module.MLPRegressor
    model = kind(random_state=seed, **{**dataset.parameters, **({"max_iter": 2} if quick else {})})
    X, y, X_test, y_test = split
    return float(model.fit(X, y).score(X_test, y_test))


def line(name: str, theirs: Any, ours: Any) -> tuple[str, ...]:
    """Return a row of the table: means and deviations over the seeds, their difference, and its 95 % bound."""
    difference = ours - theirs
    n = len(difference)
    bound = T_95[n] * difference.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    cells = [f"{each.mean():.4f} ± {each.std(ddof=1) if n > 1 else 0:.4f}" for each in (theirs, ours)]
    alike = report.verdict(abs(difference.mean()) <= bound)
    return name, *cells, f"{difference.mean():+.4f}", f"{bound:.4f}" if n > 1 else "", alike


def main() -> int:
    """Fit, score and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10, choices=range(1, 11), metavar="N")
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS), metavar="NAME")
    parser.add_argument("--fann", type=Path, default=FANN, help="folder of FANN's data sets")
    options = parser.parse_args()
    report.pin(options.cpu)
    warnings.simplefilter("ignore", ConvergenceWarning)
    seeds = range(1 if options.quick else options.seeds)
    print(report.provenance(options.cpu, f"{len(seeds)} seeds"), "", flush=True)
    rows, missing = [], []
    for name in options.datasets:
        scores: list[list[float]] = []
        try:
            for seed in seeds:
                split = prepare(DATASETS[name], seed, options.fann)
                scores.append(
                    [
                        score(module, DATASETS[name], split, seed, options.quick)
                        for module in (neural_network, fastmlp.sklearn)
                    ]
                )
        except FileNotFoundError as error:
            missing.append(f"- {name}: left out, {error.filename or error} is not there")
            continue
        rows.append(line(name, *np.array(scores).T))
    columns = ("data", "scikit-learn", "fastmlp.sklearn", "difference", "noise", "within noise")
    print(report.table(columns, rows), *missing, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
