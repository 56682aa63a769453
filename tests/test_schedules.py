"""Schedules of the learning rate, against torch.optim.lr_scheduler and scikit-learn: alone, and inside fits.

A schedule depends on the number of steps in the optimiser's state, so it continues over fits, and is rolled back with a
step that fails.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import fastmlp
from oracles import twin
from trainings import assert_same, classifier, data, resumed

SCHEDULES = [
    fastmlp.ConstantRate(0.1),
    fastmlp.StepDecay(0.1, step_size=7, gamma=0.5),
    fastmlp.ExponentialDecay(0.1, gamma=0.9),
    fastmlp.InverseScaling(0.1, power=0.7),
    fastmlp.CosineDecay(0.1, n_steps=40),
    fastmlp.CosineDecay(0.1, n_steps=40, warmup_steps=10, warmup_rate=0.02, final_rate=0.01),
    fastmlp.OneCycle(0.1, n_steps=40),
    fastmlp.OneCycle(0.1, n_steps=41, pct_start=0.25, div_factor=10, final_div_factor=100, linear=True),
    fastmlp.OneCycle(0.1, n_steps=40, pct_start=0.4, three_phase=True),
]


def by_pytorch(schedule: Any, n: int) -> list[float]:
    """Return the rates of the first n steps by torch.optim.lr_scheduler; after its end, its last rate."""
    torch = pytest.importorskip("torch")
    all_of = torch.optim.lr_scheduler
    stepper = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=schedule.learning_rate)
    match schedule:
        case fastmlp.ConstantRate():
            follower = all_of.ConstantLR(stepper, factor=1.0)
        case fastmlp.StepDecay():
            follower = all_of.StepLR(stepper, schedule.step_size, schedule.gamma)
        case fastmlp.ExponentialDecay():
            follower = all_of.ExponentialLR(stepper, schedule.gamma)
        case fastmlp.CosineDecay():
            rest = schedule.n_steps - schedule.warmup_steps
            cosine = all_of.CosineAnnealingLR(stepper, rest, eta_min=schedule.final_rate)
            if not schedule.warmup_steps:
                follower = cosine
            else:
                share = schedule.warmup_rate / schedule.learning_rate
                line = all_of.LinearLR(stepper, start_factor=share, total_iters=schedule.warmup_steps)
                follower = all_of.SequentialLR(stepper, [line, cosine], [schedule.warmup_steps])
        case fastmlp.OneCycle():
            follower = all_of.OneCycleLR(
                stepper, schedule.learning_rate, schedule.n_steps, pct_start=schedule.pct_start,
                anneal_strategy="linear" if schedule.linear else "cos", cycle_momentum=False,
                div_factor=schedule.div_factor, final_div_factor=schedule.final_div_factor,
                three_phase=schedule.three_phase,
            )  # fmt: skip
    rates = []
    last = schedule.n_steps if isinstance(schedule, fastmlp.CosineDecay) else getattr(schedule, "n_steps", n) - 1
    for t in range(n):
        rates.append(stepper.param_groups[0]["lr"])
        stepper.step()
        if t < last:
            follower.step()
    return rates


@pytest.mark.filterwarnings("ignore")  # SequentialLR's own use of a deprecated argument
@pytest.mark.parametrize("schedule", [s for s in SCHEDULES if not isinstance(s, fastmlp.InverseScaling)], ids=repr)
def test_rates_are_pytorchs(schedule: Any) -> None:
    np.testing.assert_allclose(schedule(np.arange(50)), by_pytorch(schedule, 50), rtol=1e-12, atol=1e-17)


def test_inverse_scaling_is_scikit_learns() -> None:
    optimizers = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")
    theirs = optimizers.SGDOptimizer([np.zeros(1)], 0.1, "invscaling", power_t=0.7)
    for t in range(50):
        theirs.iteration_ends(t)
        assert fastmlp.InverseScaling(0.1, power=0.7)(t) == pytest.approx(theirs.learning_rate, rel=1e-14)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_fit_takes_the_rate_of_every_step(build: Any, schedule: Any) -> None:
    """A fit with a schedule equals gradient descent steps with the rate of each step."""
    X, y = data()
    net, control = classifier(build), classifier(build)
    net.fit(X, y, epochs=4, batch_size=4, optimizer=fastmlp.SGD(schedule), shuffle=False)
    assert net.learning_rate == schedule(24)
    for t in range(24):
        rows = slice(t % 6 * 4, t % 6 * 4 + 4)
        if schedule(t):
            control.train_on_batch(X[rows], y[rows], fastmlp.SGD(schedule(t)))
    assert_same(net, control)


FOLLOWED = [
    fastmlp.SGD(fastmlp.OneCycle(0.1, n_steps=20), momentum=0.9),
    fastmlp.ClassicalMomentum(fastmlp.InverseScaling(0.2)),
    fastmlp.ClassicalMomentum(fastmlp.StepDecay(0.2, step_size=2), nesterov=True),
    fastmlp.AdamHat(fastmlp.InverseScaling(0.05), epsilon=1e-4),
    fastmlp.Adam(fastmlp.CosineDecay(0.05, n_steps=30, warmup_steps=5)),
    fastmlp.AdamW(fastmlp.InverseScaling(0.05)),
    fastmlp.NAdam(fastmlp.ExponentialDecay(0.05, gamma=0.9)),
    fastmlp.RMSprop(fastmlp.StepDecay(0.01, step_size=3)),
    fastmlp.Lion(lambda t: 0.01 / (1 + t)),
    fastmlp.SGD(fastmlp.ReduceOnPlateau(0.5, factor=0.5, patience=0, threshold=0.1)),
    fastmlp.Adam(fastmlp.ReduceOnPlateau(0.1, "loss", patience=1, cooldown=1, threshold=0.2, least_rate=0.02)),
]


@pytest.mark.parametrize("optimizer", FOLLOWED, ids=repr)
def test_fit_against_the_reference(build64: Any, optimizer: Any) -> None:
    net = classifier(build64)
    oracle = twin(net)
    X, y = data()
    for validation in (None, (X[:9], y[:9])):
        for each in (net, oracle):
            each.fit(X, y, epochs=6, batch_size=7, optimizer=optimizer, validation_data=validation)
        assert net.learning_rate == pytest.approx(oracle.learning_rate, rel=1e-12)
        np.testing.assert_allclose(net.parameters, oracle.parameters, rtol=0, atol=1e-9)


@pytest.mark.parametrize("optimizer", FOLLOWED, ids=repr)
def test_two_fits_are_one(build: Any, optimizer: Any) -> None:
    X, y = data()
    once, twice = classifier(build), classifier(build)
    once.fit(X, y, epochs=8, batch_size=5, optimizer=optimizer)
    for chosen in (optimizer, None):
        twice.fit(X, y, epochs=4, batch_size=5, optimizer=chosen)
    assert_same(once, twice)
    assert once.learning_rate == twice.learning_rate


@pytest.mark.parametrize("optimizer", FOLLOWED[:-2], ids=repr)
@pytest.mark.parametrize("how", ["fit", "batch"])
def test_a_step_that_fails_does_not_count(build: Any, optimizer: Any, how: str) -> None:
    X, y = data()
    targets = np.column_stack([y, 1 - y]).astype(float)
    huge = targets * float(np.finfo(build.dtype).max) / 8
    net, control = (build([3, 5, 2], activation="tanh", seed=1) for _ in range(2))
    for each in (net, control):
        each.fit(X, targets, epochs=2, batch_size=5, optimizer=optimizer)
    with pytest.raises(FloatingPointError):
        resumed(net, X, huge, optimizer, how)
    assert net.learning_rate == control.learning_rate
    for each in (net, control):
        each.fit(X, targets, epochs=2, batch_size=5, optimizer=optimizer)
    assert_same(net, control)


def test_another_schedule_is_another_optimiser(build: Any) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    schedule = fastmlp.StepDecay(0.1, step_size=2)
    for chosen in (schedule, fastmlp.StepDecay(0.1, step_size=2), fastmlp.StepDecay(0.1, step_size=3)):
        net.train_on_batch(X, y, fastmlp.Adam(chosen))
    for _ in range(2):
        control.train_on_batch(X, y, fastmlp.Adam(schedule))
    control.parameters = control.parameters
    control.train_on_batch(X, y, fastmlp.Adam(fastmlp.StepDecay(0.1, step_size=3)))
    assert_same(net, control)


# -- functions of the step -------------------------------------------------------------------------------------------


def test_a_function_is_asked_once_for_each_step(build: Any) -> None:
    X, y = data()
    asked: list[int] = []

    def rate(t: int) -> float:
        asked.append(t)
        return 0.1 * 0.9**t

    net, control = classifier(build), classifier(build)
    net.fit(X, y, epochs=2, batch_size=5, optimizer=fastmlp.SGD(rate))
    net.train_on_batch(X, y)
    assert asked == list(range(11))
    control.fit(X, y, epochs=2, batch_size=5, optimizer=fastmlp.SGD(fastmlp.ExponentialDecay(0.1, gamma=0.9)))
    control.train_on_batch(X, y)
    build.assert_close(net.parameters, control.parameters, net.sizes, 22)


@pytest.mark.parametrize(
    ("rate", "error"),
    [(lambda t: -0.1, ValueError), (lambda t: math.nan, ValueError), (lambda t: "much", TypeError),
     (lambda t: 1 / (7 - t), ZeroDivisionError)],
    ids=["negative", "nan", "text", "raises"],
)  # fmt: skip
def test_a_function_that_gives_no_rate_changes_nothing(build: Any, rate: Any, error: type[Exception]) -> None:
    X, y = data()
    net, control = classifier(build), classifier(build)
    for each in (net, control):
        each.train_on_batch(X, y, fastmlp.Adam(0.05))
    for call in (lambda: net.fit(X, y, epochs=2, batch_size=2, optimizer=fastmlp.SGD(rate)),):
        with pytest.raises(error):
            call()
    assert_same(net, control)
    for each in (net, control):
        each.train_on_batch(X, y)
    assert_same(net, control)


# -- rates that follow the loss --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schedule",
    [
        fastmlp.ReduceOnPlateau(0.5, factor=0.5, patience=0),
        fastmlp.ReduceOnPlateau(0.5, factor=0.3, patience=2, threshold=0.05, cooldown=3),
        fastmlp.ReduceOnPlateau(0.5, factor=0.3, patience=1, threshold=0.0, cooldown=1, least_rate=0.04),
    ],
    ids=repr,
)
def test_plateau_is_pytorchs(schedule: Any) -> None:
    torch = pytest.importorskip("torch")
    stepper = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=schedule.learning_rate)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        stepper, factor=schedule.factor, patience=schedule.patience, threshold=schedule.threshold,
        cooldown=schedule.cooldown, min_lr=schedule.least_rate, eps=0.0,
    )  # fmt: skip
    ours = fastmlp.schedules.Plateau(schedule)
    rng = np.random.default_rng(0)
    for epoch in range(60):
        loss = 1 / (1 + epoch) + 0.1 * rng.random()
        stepper.step()
        theirs.step(loss)
        ours.observe({"loss": loss})
        assert ours.rate == pytest.approx(stepper.param_groups[0]["lr"], rel=1e-14)
    assert ours.rate < schedule.learning_rate


def test_plateau_follows_what_it_is_told_to(build: Any) -> None:
    """ReduceOnPlateau monitors the validation loss if there is one, or the training loss if that is requested."""
    X, y = data()
    far = (X * 0, 1 - y)
    rates = {}
    for monitor in (None, "val_loss", "loss"):
        optimizer = fastmlp.SGD(fastmlp.ReduceOnPlateau(0.5, monitor, patience=0, threshold=0.0))
        net = classifier(build)
        history = net.fit(X, y, epochs=5, batch_size=None, optimizer=optimizer, validation_data=far)
        rates[monitor] = net.learning_rate
        watched = history[monitor or "val_loss"]
        n_bad = sum(loss >= min(watched[:epoch]) for epoch, loss in enumerate(watched) if epoch)
        assert net.learning_rate == pytest.approx(0.5 * 0.1**n_bad)
    assert rates[None] == rates["val_loss"] != rates["loss"]


def test_plateau_of_val_loss_needs_validation_data(build: Any) -> None:
    net, control = classifier(build), classifier(build)
    with pytest.raises(ValueError, match=r"^validation_data: expected .*val_loss"):
        net.fit(*data(), optimizer=fastmlp.SGD(fastmlp.ReduceOnPlateau(0.1, "val_loss")))
    assert_same(net, control)


# -- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda: fastmlp.SGD(fastmlp.OneCycle),
            TypeError,
            "learning_rate: expected a number, a schedule or a function",
        ),
        (lambda: fastmlp.SGD("fast"), TypeError, "learning_rate: expected a real number"),
        (lambda: fastmlp.Rprop(fastmlp.ConstantRate(0.1)), TypeError, "learning_rate: expected a real number"),
        (lambda: fastmlp.ConstantRate(0), ValueError, "learning_rate: expected .*above 0"),
        (lambda: fastmlp.StepDecay(0.1, step_size=0), ValueError, "step_size: expected .*at least 1"),
        (lambda: fastmlp.StepDecay(0.1, step_size=2.5), TypeError, "step_size: expected an integer"),
        (lambda: fastmlp.StepDecay(0.1, 3, gamma=0), ValueError, "gamma: expected .*above 0"),
        (lambda: fastmlp.ExponentialDecay(0.1, gamma=-1), ValueError, "gamma: expected .*above 0"),
        (lambda: fastmlp.InverseScaling(0.1, power=-1), ValueError, "power: expected .*at least 0"),
        (lambda: fastmlp.CosineDecay(0.1, 10, warmup_steps=10), ValueError, "warmup_steps: expected fewer than .*10"),
        (lambda: fastmlp.CosineDecay(0.1, 10, final_rate=-1), ValueError, "final_rate: expected .*at least 0"),
        (lambda: fastmlp.OneCycle(0.1, 10, pct_start=0.1), ValueError, "pct_start: expected .*10.*got 0.1"),
        (lambda: fastmlp.OneCycle(0.1, 10, pct_start=0.6, three_phase=True), ValueError, "pct_start: .*three_phase"),
        (lambda: fastmlp.OneCycle(0.1, 10, linear=1), TypeError, "linear: expected True or False"),
        (lambda: fastmlp.ReduceOnPlateau(0.1, "accuracy"), ValueError, "monitor: expected .*'val_loss'.*'accuracy'"),
        (lambda: fastmlp.ReduceOnPlateau(0.1, factor=1), ValueError, "factor: expected .*below 1"),
        (lambda: fastmlp.ReduceOnPlateau(0.1, patience=-1), ValueError, "patience: expected .*at least 0"),
        (lambda: fastmlp.ReduceOnPlateau(0.1)(3), TypeError, "ReduceOnPlateau: .*follows from losses"),
        (lambda: fastmlp.ConstantRate(0.1)(-1), ValueError, "t: expected .*at least 0"),
        (lambda: fastmlp.ConstantRate(0.1)(0.5), ValueError, "t: expected .*integers"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=f"^{words}"):
        make()
