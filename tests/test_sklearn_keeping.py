"""An estimator that is pickled, copied or dumped goes on as the original: the same bits in whatever follows.

States (how it came to be) times ways to keep it times what is done next.
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
    if way == "copy":  # shares the object that draws numbers
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
    """Of an estimator whose weights were assigned: used before it trains on, or not, it learns the same."""
    first, second = (assigned(made(MLPRegressor)) for _ in range(2))
    second.predict(X)
    for model in (first, second):
        model.partial_fit(X, Y)
    np.testing.assert_array_equal(first.coefs_[0], second.coefs_[0])


def test_a_training_that_is_started_again_when_all_is_done(tmp_path: Path) -> None:
    """Its attributes are those of the first one; of L-BFGS, too."""
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
        for name in ["n_iter_", *([] if words else ["t_", "loss_", "best_loss_", "loss_curve_"])]:
            assert getattr(fitted[1], name) == getattr(fitted[0], name), name
        assert fitted[1].loss_ == pytest.approx(
            fitted[0].loss_, rel=0.5
        )  # L-BFGS has that of the last iteration's begin


def test_lbfgs_that_is_ended_early_has_a_loss() -> None:
    for words in ({"callbacks": [fastmlp.EarlyStopping("loss", patience=1, min_delta=1e6)]}, {"max_time": 1e-9}):
        model = MLPRegressor(hidden_layer_sizes=[4], solver="lbfgs", max_iter=20, random_state=0, **words)
        assert model.fit(X, X[:, 0]).loss_ > 0
