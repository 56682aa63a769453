"""Estimators whose epochs are short train several in one compiled call, with the results of one by one.

The oracle is the same fit with a callback that does nothing, for which each epoch has to be trained by itself.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]

from fastmlp.sklearn import MLPClassifier, MLPRegressor  # noqa: E402
from fastmlp.training import loop  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
CLASSES = (X[:, 0] > 0).astype(int)
NUMBERS = np.sin(X[:, 0])
ATTRIBUTES = ["loss_curve_", "loss_", "best_loss_", "n_iter_", "t_", "_no_improvement_count"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each call that trains several epochs adds their number."""
    epochs: list[int] = []
    train = loop.ArrayRows.train_epochs

    def counted(source: Any, n_epochs: int) -> Any:
        epochs.append(n_epochs)
        return train(source, n_epochs)

    monkeypatch.setattr(loop.ArrayRows, "train_epochs", counted)
    return epochs


def nothing(epoch: int, logs: Any) -> None:
    """Be called after each epoch."""


def same(a: Any, b: Any) -> None:
    for name in ATTRIBUTES:
        assert repr(getattr(a, name)) == repr(getattr(b, name)), name
    np.testing.assert_array_equal(a.to_network().parameters, b.to_network().parameters)
    assert a.history_ == b.history_
    assert a.history_.stopped == b.history_.stopped
    assert a._network.learning_rate == b._network.learning_rate


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize(
    "words",
    [
        {},
        {"n_iter_no_change": math.inf},
        {"n_iter_no_change": 2, "tol": 1e-3},
        {"n_iter_no_change": 3, "tol": 10.0},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "n_iter_no_change": 2, "tol": 1e-2},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "nadam", "alpha": 1.0},
        {"batch_size": 7, "shuffle": False},
        {"warm_start": True, "max_iter": 7},
    ],
    ids=repr,
)
def test_the_results_of_one_by_one(kind: type, words: dict[str, Any], calls: list[int]) -> None:
    y = CLASSES if kind is MLPClassifier else NUMBERS
    given = {"hidden_layer_sizes": [6], "random_state": 0, "max_iter": 60, **words}
    together, single = kind(**given), kind(**given, callbacks=[nothing])
    for _ in range(2):
        calls.clear()
        together.fit(X, y)
        assert max(calls) > 1
        calls.clear()
        single.fit(X, y)
        assert not calls
        same(together, single)


def test_a_fit_ends_at_the_epoch_at_which_nothing_has_improved(calls: list[int]) -> None:
    """The epochs of a call are no more than those that have to pass before the fit may end."""
    model = MLPClassifier([6], random_state=0, tol=10.0, n_iter_no_change=3).fit(X, CLASSES)
    assert (model.n_iter_, model.history_.stopped) == (5, "early_stopping")
    assert calls == [4]  # after which it may end with the next epoch
    assert model._network.training_state().n_steps == 5


@pytest.mark.parametrize(
    "words",
    [
        {"early_stopping": True},
        {"verbose": True},
        {"solver": "sgd", "learning_rate": "invscaling"},
        {"max_time": 100.0},
        {"solver": "lbfgs"},
    ],
    ids=repr,
)
def test_what_needs_each_epoch_by_itself(words: dict[str, Any], calls: list[int]) -> None:
    MLPClassifier([6], random_state=0, max_iter=5, **words).fit(X, CLASSES)
    assert not calls


def test_after_ctrl_c_the_curve_is_no_more_than_32_epochs_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption while the estimator is told of the epochs of a call keeps those that it was told of."""
    end_epoch = loop.callbacks.end_epoch

    def interrupted(callbacks: Any, epoch: int, *rest: Any) -> Any:
        if epoch == 70:
            raise KeyboardInterrupt
        return end_epoch(callbacks, epoch, *rest)

    monkeypatch.setattr(loop.callbacks, "end_epoch", interrupted)
    model = MLPClassifier([6], random_state=0, max_iter=1000, n_iter_no_change=math.inf)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, CLASSES)
    assert model.n_iter_ == len(model.loss_curve_) == 70
    assert model.history_.stopped == "interrupted"
    assert model._network.training_state().n_steps == 1 + 3 * 32  # the first epoch is trained by itself


def test_partial_fit_is_one_epoch(calls: list[int]) -> None:
    MLPClassifier([6], random_state=0).partial_fit(X, CLASSES, classes=[0, 1])
    assert not calls
