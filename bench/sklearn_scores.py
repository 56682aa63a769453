"""Scores of fastmlp.sklearn beside scikit-learn's own classes, over seeds: the table of the docs.

    python bench/sklearn_scores.py [--cpu N] [--seeds 10] [--datasets NAME ...] [--fann FOLDER] [--quick]

Each seed is the split (a quarter of the rows is for the test, stratified by class, unless the set has its own), and
the random_state of both classes, which then begin with the same weights; the order of the rows is another. Inputs are
scaled to mean 0 and deviation 1 on the training rows, targets of regressions too; images are left as they are, in
[0, 1]. All parameters are defaults but those in the table `DATASETS`. The score is that of `score`: accuracy or R^2 on
the test rows.

FANN's sets are those of Debian's libfann-doc; sets whose files are missing are left out, and named.
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
MAX_IMAGES = 6000  # of Fashion-MNIST, the first of the training images; all test images
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}  # Student's, by seeds

Split = tuple[Any, Any, Any, Any]  # X, y to train on; X, y of the test


def of_scikit_learn(load: Callable[..., Any]) -> Callable[[int, Path], Split]:
    """A set of scikit-learn's, split by the seed."""

    def split(seed: int, fann: Path) -> Split:
        X, y = load(return_X_y=True)
        stratify = None if load is datasets.load_diabetes else y
        X, X_test, y, y_test = train_test_split(X, y, test_size=0.25, stratify=stratify, random_state=seed)
        return X, y, X_test, y_test

    return split


def digits(seed: int, fann: Path) -> Split:
    """The embedded digits with their own test rows."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_digits()
    return X, y, X_test, y_test


def fashion(seed: int, fann: Path) -> Split:
    """The first training images, and all test images."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_fashion_mnist()
    return X[:MAX_IMAGES], y[:MAX_IMAGES], X_test, y_test


def of_fann(name: str, classes: bool) -> Callable[[int, Path], Split]:
    """A set of FANN's with its own test rows; one-hot rows of targets become classes."""

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
    """How a set is split, whether it is one of classes, and what is not a default."""

    split: Callable[[int, Path], Split]
    classes: bool = True
    scaled: bool = True
    words: dict[str, Any] = field(default_factory=dict)


DATASETS = {
    "digits": Dataset(digits, scaled=False),
    "Fashion-MNIST": Dataset(fashion, scaled=False, words={"max_iter": 20}),
    "breast cancer": Dataset(of_scikit_learn(datasets.load_breast_cancer)),
    "wine": Dataset(of_scikit_learn(datasets.load_wine)),
    "diabetes": Dataset(of_scikit_learn(datasets.load_diabetes), classes=False),
    "mushroom": Dataset(of_fann("mushroom", classes=True), words={"max_iter": 30}),
    "thyroid": Dataset(of_fann("thyroid", classes=True)),
    "building": Dataset(of_fann("building", classes=False), classes=False),
}


def prepare(dataset: Dataset, seed: int, fann: Path) -> Split:
    """The split, scaled."""
    X, y, X_test, y_test = dataset.split(seed, fann)
    if dataset.scaled:
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    if not dataset.classes:
        mean, deviation = y.mean(axis=0), y.std(axis=0)
        y, y_test = (y - mean) / deviation, (y_test - mean) / deviation
    return X, y, X_test, y_test


def score(module: Any, dataset: Dataset, split: Split, seed: int, quick: bool) -> float:
    """The score on the test of one class of that module."""
    kind = module.MLPClassifier if dataset.classes else module.MLPRegressor
    model = kind(random_state=seed, **{**dataset.words, **({"max_iter": 2} if quick else {})})
    X, y, X_test, y_test = split
    return float(model.fit(X, y).score(X_test, y_test))


def line(name: str, theirs: Any, ours: Any) -> tuple[str, ...]:
    """Means and deviations over the seeds; their difference, and what it would be within by chance in 95 of 100."""
    difference = ours - theirs
    n = len(difference)
    bound = T_95[n] * difference.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    cells = [f"{each.mean():.4f} ± {each.std(ddof=1) if n > 1 else 0:.4f}" for each in (theirs, ours)]
    alike = report.verdict(abs(difference.mean()) <= bound)
    return name, *cells, f"{difference.mean():+.4f}", f"{bound:.4f}" if n > 1 else "", alike


def main() -> int:
    """Fit, score, print."""
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
