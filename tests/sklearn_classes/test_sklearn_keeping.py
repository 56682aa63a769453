"""An estimator that is pickled, copied or dumped continues with the same bits as the original.

The tests combine ways to train an estimator, ways to keep it, and what is done next.
"""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

import joblib  # noqa: E402
from sklearn import neural_network  # noqa: E402
from sklearn.base import clone  # noqa: E402

import fastmlp  # noqa: E402
from fastmlp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 5))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
WORDS: dict[str, Any] = {"hidden_layer_sizes": 4, "max_iter": 3, "random_state": 0, "batch_size": 7}


def made(ours: Any, **words: Any) -> Any:
    return ours(**{**WORDS, **words})


def by_parts(model: Any, n: int = 2) -> Any:
    for _ in range(n):
        words = {"classes": [0, 1]} if isinstance(model, MLPClassifier) else {}
        model.partial_fit(X, Y, **words)
    return model


def assigned(model: Any) -> Any:
    by_parts(model).coefs_[0] = np.full((5, 4), 0.25)
    return model


def changed(model: Any) -> Any:
    return by_parts(model).set_params(activation="tanh", alpha=0.1)


def predicted(model: Any) -> Any:
    assigned(model).predict(X)
    return model


STATES: dict[str, Callable[[Any], Any]] = {
    "fit": lambda ours: made(ours).fit(X, Y),
    "partial_fit": lambda ours: by_parts(made(ours)),
    "fit, partial_fit": lambda ours: by_parts(made(ours).fit(X, Y)),
    "in order": lambda ours: by_parts(made(ours, shuffle=False)),
    "adaptive": lambda ours: by_parts(
        made(ours, solver="sgd", learning_rate="adaptive", tol=10.0, n_iter_no_change=1), 4
    ),
    "invscaling": lambda ours: by_parts(made(ours, solver="sgd", learning_rate="invscaling")),
    "schedule": lambda ours: by_parts(made(ours, schedule=fastmlp.ExponentialDecay(0.01, gamma=0.9))),
    "dropout": lambda ours: by_parts(made(ours, regularization=fastmlp.Regularization(dropout=[0.3]))),
    "average": lambda ours: by_parts(made(ours, regularization=fastmlp.Regularization(average=0.9))),
    "rprop": lambda ours: made(ours, solver="rprop", warm_start=True, batch_size="auto").fit(X, Y),
    "early stopping": lambda ours: made(ours, early_stopping=True).fit(X, Y).set_params(early_stopping=False),
    "weights assigned": lambda ours: assigned(made(ours)),
    "weights assigned and used": lambda ours: predicted(made(ours)),
    "parameters set after": lambda ours: changed(made(ours)),
    "float32": lambda ours: made(ours, dtype="float32").fit(X, Y),
    "warm start": lambda ours: made(ours, warm_start=True).fit(X, Y),
    "random state of its own": lambda ours: by_parts(made(ours, random_state=np.random.RandomState(4))),
}


def dumped(model: Any) -> Any:
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


def by_cloudpickle(model: Any) -> Any:
    cloudpickle = pytest.importorskip("cloudpickle")

    return pickle.loads(cloudpickle.dumps(model))


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "twice": lambda model: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model)))),
    "used between": lambda model: pickle.loads(pickle.dumps(used(pickle.loads(pickle.dumps(model))))),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "joblib": dumped,
    "cloudpickle": by_cloudpickle,
}


def used(model: Any) -> Any:
    model.predict(X)
    return model


def trained(model: Any, n: int) -> Any:
    if getattr(model.solver, "full_batch", model.solver in ("rprop", "lbfgs")):
        return model.fit(X, Y)
    return by_parts(model, n)


OPERATIONS: dict[str, Callable[[Any], Any]] = {
    "predict": lambda model: model.predict(X),
    "partial_fit": lambda model: trained(model, 1),
    "predict, partial_fit": lambda model: trained(used(model), 2),
    "partial_fit, predict, partial_fit": lambda model: trained(used(trained(model, 1)), 1),
    "to_network, partial_fit": lambda model: model.to_network() and trained(model, 1),
    "fit": lambda model: model.fit(X, Y),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("ours", "way"), [(MLPClassifier, "pickle"), (MLPClassifier, "deepcopy"), *((MLPRegressor, way) for way in WAYS)]
)
@pytest.mark.parametrize("state", STATES)
def test_what_was_kept_goes_on_as_the_original(ours: Any, state: str, way: str, operation: str) -> None:
    original = STATES[state](ours)
    again = WAYS[way](original)
    if way == "copy":  # a shallow copy shares the random generator
        again.random_state = copy.deepcopy(original.random_state)
    for model in (original, again):
        OPERATIONS[operation](model)
    for name in ("coefs_", "intercepts_"):
        for p, q in zip(getattr(original, name), getattr(again, name), strict=True):
            np.testing.assert_array_equal(p, q)
    np.testing.assert_array_equal(original.predict(X), again.predict(X))
    assert original.loss_curve_ == again.loss_curve_


@pytest.mark.parametrize("state", STATES)
def test_a_clone_begins_as_a_new_one(state: str) -> None:
    model = STATES[state](MLPRegressor)
    first, second = (clone(model).fit(X, Y) for _ in range(2))
    for p, q in zip(first.coefs_, second.coefs_, strict=True):
        np.testing.assert_array_equal(p, q)


def test_a_prediction_does_not_change_the_order_of_rows_to_come() -> None:
    """A prediction does not change what an estimator with assigned weights learns afterwards."""
    first, second = (assigned(made(MLPRegressor)) for _ in range(2))
    second.predict(X)
    for model in (first, second):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


def test_a_training_that_is_started_again_when_all_is_done(tmp_path: Path) -> None:
    """A completed training that is started again has the attributes of the first one, also with L-BFGS."""
    for words in ({}, {"solver": "lbfgs"}):
        fitted = []
        for _ in range(2):
            model = MLPRegressor(
                hidden_layer_sizes=[4],
                max_iter=4,
                random_state=0,
                callbacks=[fastmlp.Checkpoint(tmp_path / f"{len(words)}")],
                resume="auto",
                **words,
            )
            fitted.append(model.fit(X, X[:, 0]))
        for name in ["n_iter_", "loss_", *([] if words else ["t_", "best_loss_", "loss_curve_"])]:
            assert getattr(fitted[1], name) == getattr(fitted[0], name), name


# ------------------------------------------------------------------------------------------------- the loss of L-BFGS

WEIGHTS = np.linspace(0.0, 3.0, len(X))
EARLY = fastmlp.EarlyStopping("loss", patience=3, min_delta=1e6)
ENDS: dict[str, dict[str, Any]] = {
    "converged": {"tol": 0.1},
    "all iterations": {"max_iter": 7},
    "max_fun": {"max_fun": 9},
    "best weights put back": {"callbacks": [EARLY]},
    "no time for an iteration": {"max_time": 1e-9},
}


def peers_loss(model: Any, y: Any, weights: Any) -> float:
    """Return scikit-learn's loss for the weights of an estimator of ours, which must be its `loss_`."""
    peer: Any
    if isinstance(model, MLPClassifier):
        y = y[:, np.newaxis] == model.classes_[[1] if len(model.classes_) == 2 else slice(None)]
        peer = neural_network.MLPClassifier(alpha=model.alpha)
        peer.loss = "log_loss"
    else:
        y, peer = y[:, np.newaxis], neural_network.MLPRegressor(model.loss, alpha=model.alpha)
    peer.coefs_, peer.intercepts_ = model.coefs_, model.intercepts_
    peer.n_layers_, peer.out_activation_, peer.activation = model.n_layers_, model.out_activation_, model.activation
    sizes = [X.shape[1], *(w.shape[1] for w in model.coefs_)]
    work = [X, *(np.empty((len(X), size)) for size in sizes[1:])]
    gradients = [np.empty_like(w) for w in model.coefs_], [np.empty_like(b) for b in model.intercepts_]
    return float(peer._backprop(X, y.astype(float), weights, work, [np.empty(0)] * (len(sizes) - 1), *gradients)[0])


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["", "weighted"])
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["two classes", "three classes", "numbers", "counts"])
def test_the_loss_of_lbfgs_is_that_of_its_weights(kind: str, end: str, weights: Any) -> None:
    """`loss_` is the loss with the penalty at the final weights, however the fit has ended."""
    words = {"alpha": 3.0, "hidden_layer_sizes": 4, "activation": "tanh", "solver": "lbfgs", "random_state": 0}
    targets = {"two classes": Y, "three classes": Y + (X[:, 2] > 1), "numbers": X[:, 0] ** 2}
    y = targets.get(kind, np.arange(len(X)) % 5.0)
    ours = MLPClassifier if kind in ("two classes", "three classes") else MLPRegressor
    loss = {"loss": "poisson"} if kind == "counts" else {}
    model = ours(**words, **loss, **ENDS[end]).fit(X, y, weights)
    assert model.loss_ == pytest.approx(peers_loss(model, y, weights), rel=1e-12)


@pytest.mark.parametrize("n_before", [2, 7, 50])
def test_the_loss_of_lbfgs_that_goes_on_is_that_of_one_that_was_not_cut(n_before: int, tmp_path: Path) -> None:
    """For checkpoints within the training, at its last iteration, and of a completed training."""
    words: dict[str, Any] = {"hidden_layer_sizes": 4, "solver": "lbfgs", "random_state": 0, "alpha": 1.0}
    whole = MLPRegressor(**words, max_iter=7).fit(X, X[:, 0] ** 2)
    words["callbacks"] = [fastmlp.Checkpoint(tmp_path / "c")]
    MLPRegressor(**words, max_iter=min(n_before, 7)).fit(X, X[:, 0] ** 2)
    again = MLPRegressor(**words, max_iter=7, resume="auto").fit(X, X[:, 0] ** 2)
    assert (again.n_iter_, again.history_.loss) == (whole.n_iter_, whole.history_.loss)
    assert again.loss_ == pytest.approx(whole.loss_, rel=1e-13)
    assert again.loss_ == pytest.approx(peers_loss(again, X[:, 0] ** 2, None), rel=1e-12)


def test_a_factor_of_all_weights_leaves_the_loss_of_lbfgs_as_it_is() -> None:
    """Weights whose sums are out of float64's range are scaled before use."""
    words: dict[str, Any] = {"hidden_layer_sizes": 4, "solver": "lbfgs", "random_state": 0, "alpha": 0.0, "max_iter": 9}
    models = [MLPRegressor(**words).fit(X, X[:, 0], sample_weight=WEIGHTS * factor) for factor in (1.0, 2.0**1000)]
    assert models[1].loss_ == pytest.approx(models[0].loss_, rel=1e-9)


class Evaluations:
    """A callback that records the total number of L-BFGS's loss evaluations after each iteration."""

    def set_network(self, network: Any) -> None:
        self.network: Any = network
        self.counts: list[int] = []

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.counts.append(self.network._n_evaluations)


def test_max_fun_ends_after_the_iteration_that_takes_more() -> None:
    """Like SciPy's maxfun, max_fun evaluations are allowed, and one more ends the fit."""
    words: dict[str, Any] = {"hidden_layer_sizes": 4, "solver": "lbfgs", "random_state": 0}
    seen = Evaluations()
    MLPRegressor(**words, max_iter=9, callbacks=[seen]).fit(X, X[:, 0] ** 2)
    for done in (2, 5):
        for max_fun, n_iter in ((seen.counts[done - 1], done + 1), (seen.counts[done - 1] - 1, done)):
            model = MLPRegressor(**words, max_fun=max_fun, max_iter=9).fit(X, X[:, 0] ** 2)
            assert (model.n_iter_, model.history_.stopped) == (n_iter, "max_fun")
