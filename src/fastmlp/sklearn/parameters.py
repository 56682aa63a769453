"""Converts the parameters of an estimator to the objects that `Network` and `Network.fit` take.

The functions do not change the estimator. `CONSTRAINTS` is the table for scikit-learn's own validation of parameters,
which therefore has scikit-learn's error messages.
"""

from __future__ import annotations

import itertools
import multiprocessing
import threading
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from .. import activations, losses, optimizers
from ..activations import Activation
from ..frozen import replace
from ..inputs import labels
from ..losses import Loss
from ..optimizers import LBFGS, SGD, AdamHat, ClassicalMomentum, Optimizer
from ..regularization import Regularization
from ..schedules import Schedule

SKLEARN_SOLVERS = {"adam": AdamHat, "sgd": ClassicalMomentum, "lbfgs": LBFGS}  # the same algorithms as in scikit-learn
OUT_ACTIVATIONS = {"sigmoid": "logistic"}  # scikit-learn's names of output activations, where they differ
NETWORK_ACTIVATIONS = {
    "identity": "identity",
    "logistic": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "softmax": "softmax",
}
MAX_EPOCHS = 2**62  # stands for an infinite patience

CONSTRAINTS: dict[str, Any] = {
    "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
    "activation": [StrOptions({*activations.ACTIVATIONS, "logistic"}), Activation, list, tuple],
    "solver": [StrOptions(set(optimizers.OPTIMIZERS)), Optimizer],
    "alpha": [Interval(Real, 0, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
    "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
    "power_t": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "shuffle": ["boolean"],
    "random_state": ["random_state"],
    "tol": [Interval(Real, 0, None, closed="left")],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "momentum": [Interval(Real, 0, 1, closed="both")],
    "nesterovs_momentum": ["boolean"],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "beta_1": [Interval(Real, 0, 1, closed="left")],
    "beta_2": [Interval(Real, 0, 1, closed="left")],
    "epsilon": [Interval(Real, 0, None, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {np.inf})],
    "max_fun": [Interval(Integral, 1, None, closed="left")],
    "output_activation": [str, Activation, None],
    "regularization": [Regularization, None],
    "schedule": [Schedule, callable, None],
    "callbacks": [list, tuple],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "dtype": [StrOptions({"float32", "float64"}), None],
    "engine": [StrOptions({"auto", "blas", "native"})],
    "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
}


def optimizer(estimator: Any) -> Optimizer:
    """Make the optimiser of `solver` and the parameters that belong to it."""
    solver = estimator.solver
    if isinstance(solver, Optimizer):
        return solver
    kind: Any = SKLEARN_SOLVERS.get(solver, optimizers.OPTIMIZERS[solver])
    rate = estimator.learning_rate_init if estimator.schedule is None else estimator.schedule
    if kind.whole_batch_method:
        return kind(gradient_tolerance=estimator.tol)  # type: ignore[no-any-return]
    if kind is ClassicalMomentum:
        if estimator.momentum == 0:
            return SGD(rate)
        return ClassicalMomentum(rate, estimator.momentum, estimator.nesterovs_momentum)
    if kind is AdamHat:
        return AdamHat(rate, estimator.beta_1, estimator.beta_2, estimator.epsilon)
    chosen: Optimizer = kind(rate)
    return chosen


def full_batch(solver: Any) -> bool:
    """Whether the solver uses all rows in each step, instead of mini-batches."""
    kind: Any = SKLEARN_SOLVERS.get(solver, optimizers.OPTIMIZERS[solver]) if isinstance(solver, str) else solver
    return bool(kind.full_batch)


def loss(value: str | Loss, meanings: dict[str, Loss]) -> Loss:
    """Return the loss object: `meanings` has scikit-learn's names; others are those of fastmlp."""
    return meanings[value] if isinstance(value, str) and value in meanings else losses.resolve("loss", value)


def threads(n_threads: int | str | None) -> int | str:
    """Return the `n_threads` of the network. None is 1 in a child process and in any thread but the main one, because
    several fits may run there at once; otherwise it is "auto".
    """
    if n_threads is not None:
        return n_threads
    alone = multiprocessing.current_process().name == "MainProcess"
    return "auto" if alone and threading.current_thread() is threading.main_thread() else 1


def hidden_layers(hidden_layer_sizes: Any) -> list[int]:
    """Return the sizes of the hidden layers as a list; a number stands for one layer."""
    listed = list(hidden_layer_sizes) if hasattr(hidden_layer_sizes, "__iter__") else [hidden_layer_sizes]
    if np.any(np.array(listed) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {listed}.")
    return listed


def first_parameters(sizes: list[int], activation: Any, dtype: Any, rng: Any) -> tuple[list[Any], list[Any]]:
    """Draw the initial coefs_ and intercepts_ exactly like scikit-learn, layer by layer.

    Weights and biases are from U(-a, a) with a = sqrt(6 / (I + O)), or sqrt(2 / (I + O)) for the logistic function.
    """
    coefs, intercepts = [], []
    for n_inputs, n_outputs in itertools.pairwise(sizes):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (n_inputs + n_outputs))
        coefs.append(rng.uniform(-bound, bound, (n_inputs, n_outputs)).astype(dtype, copy=False))
        intercepts.append(rng.uniform(-bound, bound, n_outputs).astype(dtype, copy=False))
    return coefs, intercepts


def output_activation(name: Any) -> str:
    """Return the network's name for an `out_activation_` that a user has assigned."""
    if not isinstance(name, str) or name not in NETWORK_ACTIVATIONS:
        raise ValueError(
            f"out_activation_: expected one of {', '.join(map(repr, NETWORK_ACTIVATIONS))}, got {name!r:.60}"
        )
    return NETWORK_ACTIVATIONS[name]


def refuse_negative(name: str, weights: Any) -> None:
    """Refuse negative weights of rows."""
    if weights is not None and (wrong := np.asarray(weights) < 0).any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{name}: expected finite numbers of at least 0, got {weights[row]} at row {row}; scikit-learn takes "
            "negative weights, this class does not"
        )


def feature_names(names: Any) -> list[str] | None:
    """Convert `feature_names_in_` for a network; None if names are equal or a model file cannot store one of them."""
    listed = [] if names is None else [str(name) for name in names]
    return listed if listed and len(set(listed)) == len(listed) and all(map(_is_name, listed)) else None


def _is_name(label: Any) -> bool:
    """Whether a network can have the label as a name."""
    try:
        labels.check_class_names([label], 1)
    except (TypeError, ValueError):
        return False
    return True


def class_names(classes: Any) -> list[Any] | None:
    """Convert `classes_` to text, integers of 64 bits or finite floats; None if they are of other or mixed types."""
    listed = [label.item() if isinstance(label, np.generic) else label for label in classes]
    for kind in (str, int, float):
        if all(type(label) is kind for label in listed):
            return listed if all(map(_is_name, listed)) else None
    return None


def regularization(estimator: Any) -> Regularization:
    """Return the estimator's `regularization`, with `alpha` as its l2 penalty unless it has an l1 or l2 itself."""
    given = Regularization() if estimator.regularization is None else estimator.regularization
    if not (given.l1 or given.l2) and estimator.alpha:
        given = replace(given, l2=estimator.alpha, per_row=True)
    return given
