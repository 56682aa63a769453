"""fastmlp.callbacks.OptunaPruning: what it reports, when Optuna prunes, and what it refuses, with real studies."""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.oracle

from optuna.trial import TrialState  # noqa: E402

import fastmlp  # noqa: E402
from fastmlp.callbacks import OptunaPruning  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 3))
Y = np.sin(X[:, 0]) * X[:, 1]
LABELS = (X[:, 0] > 0).astype(int)
DATA = {"X": X[:60], "y": Y[:60], "validation_data": (X[60:], Y[60:])}
RATES = (1e-2, 1e-6, 3e-3, 1e-5, 2e-2)
EPOCHS = 6


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Keep Optuna from writing a line for each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


def network(**words: Any) -> fastmlp.Network:
    return fastmlp.Network([3, 8, 1], activation="tanh", dtype="float64", seed=0, **words)


def study_of(pruner: Any = None, direction: Any = "minimize", **words: Any) -> Any:
    return optuna.create_study(
        sampler=optuna.samplers.RandomSampler(0),
        pruner=pruner or optuna.pruners.NopPruner(),
        direction=direction,
        **words,
    )


def fit(trial: Any, rate: float = 1e-2, **words: Any) -> fastmlp.History:
    callbacks = words.pop("callbacks", None) or [OptunaPruning(trial)]
    return network().fit(**{**DATA, "epochs": EPOCHS, **words}, optimizer=fastmlp.Adam(rate), callbacks=callbacks)


# -- studies ----------------------------------------------------------------------------------------------------------


def test_a_study_prunes_the_trials_that_are_worse_than_the_median() -> None:
    """After two complete trials, the median pruner ends those that are worse; the rule is written out here."""
    alone = [fit(optuna.trial.FixedTrial({}), rate).val_loss for rate in RATES]
    histories: list[fastmlp.History] = []

    def objective(trial: Any) -> float:
        net = network()
        pruning = OptunaPruning(trial)
        rate = RATES[trial.number]
        try:
            net.fit(**DATA, epochs=EPOCHS, optimizer=fastmlp.Adam(rate), callbacks=[pruning])
        finally:
            assert net.history is not None
            histories.append(net.history)
        return net.history.val_loss[-1]

    study = study_of(optuna.pruners.MedianPruner(n_startup_trials=2))
    study.optimize(objective, n_trials=len(RATES))
    complete: list[list[float]] = []
    for trial, history, curve in zip(study.trials, histories, alone, strict=True):
        n = EPOCHS
        if len(complete) >= 2:
            best_so_far = np.minimum.accumulate(curve)
            worse = [epoch for epoch in range(EPOCHS) if best_so_far[epoch] > np.median([c[epoch] for c in complete])]
            n = worse[0] + 1 if worse else EPOCHS
        assert history.val_loss == curve[:n]
        assert trial.intermediate_values == dict(enumerate(history.val_loss))
        pruned = len(complete) >= 2 and bool(worse)
        assert trial.state == (TrialState.PRUNED if pruned else TrialState.COMPLETE)
        assert history.stopped == ("error" if pruned else "epochs")
        if not pruned:
            complete.append(curve)
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED, TrialState.COMPLETE}


def test_a_pruned_training_keeps_its_epochs_and_restores_the_best_weights() -> None:
    curve = fit(optuna.trial.FixedTrial({})).val_loss
    trial = study_of(optuna.pruners.ThresholdPruner(upper=1e9, n_warmup_steps=2, lower=1e8)).ask()
    net, stop = network(), fastmlp.EarlyStopping(patience=100)
    with pytest.raises(optuna.TrialPruned, match=rf"^val_loss was {curve[2]:.6g} after epoch 3\.$") as raised:
        net.fit(**DATA, epochs=EPOCHS, optimizer=fastmlp.Adam(1e-2), callbacks=[OptunaPruning(trial), stop])
    assert raised.value.history.val_loss == curve[:3]
    assert net.history is raised.value.history
    assert net.evaluate(*DATA["validation_data"])["loss"] == stop.best == min(curve[:3])


def test_a_metric_of_a_study_that_maximises() -> None:
    study = study_of(direction="maximize")
    trial = study.ask()
    net = fastmlp.Network([3, 4, 2], loss="cross_entropy", seed=0)
    history = net.fit(X, LABELS, epochs=3, validation_split=0.3, callbacks=[OptunaPruning(trial, "val_accuracy")])
    study.tell(trial, history.val_accuracy[-1])
    assert study.trials[0].intermediate_values == dict(enumerate(history.val_accuracy))
    assert study.best_value == history.val_accuracy[-1]


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_direction_of_a_metric_of_ones_own_is_not_known(direction: str) -> None:
    def largest_error(y: Any, z: Any) -> float:
        return float(np.max(np.abs(y - z)))

    trial = study_of(direction=direction).ask()
    monitor = OptunaPruning(trial, "val_largest_error")
    history = fit(trial, metrics=[largest_error], callbacks=[monitor])
    assert trial.study.trials[0].intermediate_values == dict(enumerate(history.val_largest_error))


def test_each_network_of_many_has_its_trial() -> None:
    alone = [fit(optuna.trial.FixedTrial({}), rate).val_loss for rate in RATES]
    bound = sorted(curve[2] for curve in alone)[2]
    study = study_of(optuna.pruners.ThresholdPruner(upper=bound, n_warmup_steps=2))
    trials = [study.ask() for _ in RATES]
    histories = fastmlp.fit_many(
        [network() for _ in RATES],
        **DATA,
        epochs=EPOCHS,
        optimizer=[fastmlp.Adam(rate) for rate in RATES],
        callbacks=[[OptunaPruning(trial)] for trial in trials],
        errors="record",
        n_threads=2,
    )
    for trial, history, curve in zip(trials, histories, alone, strict=True):
        pruned = curve[2] > bound
        assert isinstance(history.error, optuna.TrialPruned) == pruned
        assert history.val_loss == curve[: 3 if pruned else EPOCHS]
        assert study.trials[trial.number].intermediate_values == dict(enumerate(history.val_loss))
    assert sum(history.error is not None for history in histories) == 2


def test_an_estimator_and_its_clones_report_to_the_trial() -> None:
    """A deep copy of a trial would report to a copy of its study."""
    base = pytest.importorskip("sklearn.base")
    from fastmlp.sklearn import MLPRegressor

    trial = study_of(optuna.pruners.ThresholdPruner(upper=-1.0, n_warmup_steps=1)).ask()
    model = base.clone(MLPRegressor(hidden_layer_sizes=[8], random_state=0, callbacks=[OptunaPruning(trial)]))
    with pytest.raises(optuna.TrialPruned):
        model.fit(X[:60], Y[:60], X_val=X[60:], y_val=Y[60:])
    assert len(model.history_.val_loss) == 2
    assert trial.study.trials[0].intermediate_values == dict(enumerate(model.history_.val_loss))


def test_copies_are_the_callback_itself() -> None:
    pruning = OptunaPruning(study_of().ask())
    assert copy.copy(pruning) is copy.deepcopy([pruning])[0] is pruning
    assert "'val_loss'" in repr(pruning)


def test_a_fit_that_resumes_goes_on_reporting(tmp_path: Any) -> None:
    curve, trial = fit(optuna.trial.FixedTrial({})).val_loss, study_of().ask()
    pruning, path = OptunaPruning(trial), tmp_path / "run.safetensors"
    fit(trial, epochs=2, callbacks=[pruning, fastmlp.Checkpoint(path)])
    fit(trial, epochs=4, callbacks=[pruning], resume=path)
    assert trial.study.trials[0].intermediate_values == dict(enumerate(curve[:4]))


def test_a_number_that_is_nan_is_reported_as_it_is() -> None:
    trial = study_of(optuna.pruners.MedianPruner(n_startup_trials=0)).ask()
    pruning = OptunaPruning(trial)
    pruning.on_epoch_end(0, {"val_loss": math.nan})
    assert math.isnan(trial.study.trials[0].intermediate_values[0])


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trial", [None, 3, "trial", object(), optuna.trial.Trial], ids=lambda trial: repr(trial)[:12])
def test_what_is_no_trial(trial: Any) -> None:
    with pytest.raises(TypeError, match=r"^trial: expected a trial of Optuna, with methods report and should_prune"):
        OptunaPruning(trial)


@pytest.mark.parametrize("monitor", [None, 3, b"loss"])
def test_what_is_no_name(monitor: Any) -> None:
    with pytest.raises(TypeError, match=r"^monitor: expected the name of a figure"):
        OptunaPruning(study_of().ask(), monitor)


@pytest.mark.parametrize(
    ("monitor", "direction"),
    [("val_loss", "maximize"), ("loss", "maximize"), ("val_mae", "maximize"), ("val_accuracy", "minimize")],
)
def test_a_study_that_takes_the_worse_for_the_better(monitor: str, direction: str) -> None:
    other = {"maximize": "minimize", "minimize": "maximize"}[direction]
    match = rf"^monitor: '{monitor}' is better .* direction='{direction}'; expected create_study\(direction='{other}'\)"
    with pytest.raises(ValueError, match=match):
        OptunaPruning(study_of(direction=direction).ask(), monitor)
    OptunaPruning(study_of(direction=other).ask(), monitor)


def test_several_objectives_are_refused_as_by_optuna() -> None:
    trial = optuna.create_study(directions=["minimize", "minimize"]).ask()
    with pytest.raises(NotImplementedError, match="multi-objective"):
        trial.report(0.0, step=0)
    with pytest.raises(NotImplementedError, match=r"^trial: expected one of a study with one objective"):
        OptunaPruning(trial)


@pytest.mark.parametrize("many", [False, True])
def test_a_number_that_the_fit_does_not_report(many: bool) -> None:
    net, trial = network(), study_of().ask()
    before = net.parameters.copy()
    begin: Any = partial(fastmlp.fit_many, [net]) if many else net.fit
    with pytest.raises(ValueError, match=r"monitor: expected one of 'loss', got 'val_loss'$"):
        begin(X, Y, callbacks=[OptunaPruning(trial)])
    np.testing.assert_array_equal(net.parameters, before)
    assert trial.study.trials[0].intermediate_values == {}


def test_a_second_fit_with_the_same_trial() -> None:
    trial = study_of().ask()
    pruning = OptunaPruning(trial)
    history = fit(trial, callbacks=[pruning])
    with pytest.raises(ValueError, match=r"^trial: expected one that no other fit has reported to.*step=fold"):
        fit(trial, callbacks=[pruning])
    assert trial.study.trials[0].intermediate_values == dict(enumerate(history.val_loss))


def test_without_optuna(monkeypatch: pytest.MonkeyPatch) -> None:
    trial = study_of().ask()
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ModuleNotFoundError, match=r"^OptunaPruning needs Optuna: pip install optuna$"):
        OptunaPruning(trial)


def test_the_default_is_that_of_early_stopping() -> None:
    defaults = {
        inspect.signature(each).parameters["monitor"].default for each in (OptunaPruning, fastmlp.EarlyStopping)
    }
    assert defaults == {"val_loss"}


def test_a_trial_reports_one_training_only() -> None:
    trial = study_of().ask()
    first = OptunaPruning(trial, "loss")
    with pytest.raises(ValueError, match="no other fit reports to"):
        OptunaPruning(trial, "loss")
    fastmlp.Network([2, 1]).fit(np.ones((5, 2)), np.ones(5), epochs=2, callbacks=[first])
    del first
    with pytest.raises(ValueError, match=r"trial.report\(mean, step=fold\)"):
        OptunaPruning(trial, "loss")
