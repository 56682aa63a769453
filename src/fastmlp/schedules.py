"""Schedules of the learning rate: one immutable class each, given to an optimiser in place of a number.

A schedule computes the rate of a step from t, the number of steps that the optimiser has taken before it. Its first
hyper-parameter is the rate r that the others are relative to. A schedule is the optimiser's `learning_rate`, so
optimisers with different schedules are not equal, and t is the step count of the optimiser's state, which continues
from one fit to the next. The compiled step computes the rate itself (`csrc/schedules.c`); the fields of a class have
the order of the parameters there. To add a schedule, write a class here and its line in `SCHEDULES`, a function and a
row in `csrc/schedules.c`, and a function and a row in `reference/schedules.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from . import _core, arguments
from .frozen import astuple, frozen

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def check_rate(value: object, argument: str = "learning_rate") -> float:
    """Return a learning rate as a float, after a check that it is above 0."""
    hint = "; the step is P - learning_rate * gradient, so a positive rate descends"
    return arguments.real(argument, value, above=0.0, hint=hint)


@frozen
class Schedule:
    """Base class of the schedules: a name, a learning rate and hyper-parameters; calling it with t gives the rate."""

    name: ClassVar[str]
    learning_rate: float

    def __post_init__(self) -> None:
        self._set("learning_rate", check_rate(self.learning_rate))

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _check_steps(self, field: str, minimum: int = 1) -> None:
        self._set(field, arguments.integer(field, getattr(self, field), minimum=minimum, maximum=2**53))

    def _check_real(self, *fields: str, **bounds: float) -> None:
        for field in fields:
            self._set(
                field,
                arguments.real(
                    field,
                    getattr(self, field),
                    above=bounds.get("above"),
                    minimum=bounds.get("minimum"),
                    below=bounds.get("below"),
                ),
            )

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields as floats, in the order of the kernel's parameters."""
        return tuple(map(float, astuple(self)))

    def __call__(self, t: ArrayLike) -> Any:
        """The rate of the step before which t steps were taken; for an array t, an array of the rates."""
        return _core.schedule_rates(self.name, self.hyper_parameters, t)


@frozen
class ConstantRate(Schedule):
    """r at every step, which is what a number as the learning rate means.

    Examples
    --------
    >>> ConstantRate(0.1)([0, 1000])
    array([0.1, 0.1])
    """

    name: ClassVar[str] = "constant"


@frozen
class StepDecay(Schedule):
    """r gamma^floor(t / step_size): the rate is multiplied by gamma after every `step_size` steps.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    step_size : int
        Number of optimiser steps between two changes of the rate; at least 1.
    gamma : float, default 0.1
        Factor of each change; above 0.

    References
    ----------
    PyTorch's StepLR.

    Examples
    --------
    >>> StepDecay(0.8, step_size=2, gamma=0.5)([0, 1, 2, 3, 4])
    array([0.8, 0.8, 0.4, 0.4, 0.2])
    """

    name: ClassVar[str] = "step"
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_steps("step_size")
        self._check_real("gamma", above=0.0)


@frozen
class ExponentialDecay(Schedule):
    """r gamma^t: the rate is multiplied by gamma after every step.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    gamma : float
        Factor of each step; above 0.

    References
    ----------
    PyTorch's ExponentialLR.

    Examples
    --------
    >>> ExponentialDecay(0.8, gamma=0.5)([0, 1, 2])
    array([0.8, 0.4, 0.2])
    """

    name: ClassVar[str] = "exponential"
    gamma: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_real("gamma", above=0.0)


@frozen
class InverseScaling(Schedule):
    """r / (t + 1)^power.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    power : float, default 0.5
        At least 0.

    References
    ----------
    scikit-learn's "invscaling". scikit-learn's MLP changes the rate once an epoch and counts rows; here t counts steps.

    Examples
    --------
    >>> InverseScaling(0.6)([0, 3, 8])
    array([0.6, 0.3, 0.2])
    """

    name: ClassVar[str] = "inverse_scaling"
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_real("power", minimum=0.0)


@frozen
class CosineDecay(Schedule):
    """Linear warm-up from warmup_rate to r, then half a cosine from r to final_rate, which is reached at t = n_steps.

    After a warm-up of W steps, the rate is final_rate + (r - final_rate) (1 + cos(pi (t - W) / (N - W))) / 2. From
    step N on it is final_rate.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    n_steps : int
        N, which includes the warm-up; at least 1.
    warmup_steps : int, default 0
        W; below N.
    warmup_rate, final_rate : float, default 0.0
        The rate at t = 0, if there is a warm-up, and the rate from t = N on; at least 0.

    References
    ----------
    Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017, equation 5; PyTorch's
    CosineAnnealingLR, after LinearLR.

    Examples
    --------
    >>> CosineDecay(0.8, n_steps=8, warmup_steps=4)([0, 1, 4, 6, 8, 9]).round(3)
    array([0. , 0.2, 0.8, 0.4, 0. , 0. ])
    """

    name: ClassVar[str] = "cosine"
    n_steps: int
    warmup_steps: int = 0
    warmup_rate: float = 0.0
    final_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_steps("n_steps")
        self._check_steps("warmup_steps", minimum=0)
        if self.warmup_steps >= self.n_steps:
            raise ValueError(f"warmup_steps: expected fewer than n_steps = {self.n_steps}, got {self.warmup_steps}")
        self._check_real("warmup_rate", "final_rate", minimum=0.0)


@frozen
class OneCycle(Schedule):
    """A rise from r / div_factor to r, then a fall to r / div_factor / final_div_factor at the last of n_steps steps.

    With `three_phase` the fall has two parts: first to r / div_factor in as many steps as the rise took, then to the
    last rate. The momentum does not change (PyTorch's OneCycleLR changes it in the opposite direction by default).

    Parameters
    ----------
    learning_rate : float
        r, the largest rate; above 0.
    n_steps : int
        Number of steps of the cycle. Later steps have the last rate.
    pct_start : float, default 0.3
        Share of the steps in which the rate rises; below 1 (with `three_phase` at most 1/2). pct_start * n_steps must
        be above 1.
    div_factor, final_div_factor : float, default 25 and 10000
        The first rate is r / div_factor, the last r / div_factor / final_div_factor; above 0.
    linear : bool, default False
        Whether the rate changes along straight lines in place of half cosines.
    three_phase : bool, default False
        Whether the fall has two parts.

    References
    ----------
    Smith and Topin, "Super-convergence", 2018; PyTorch's OneCycleLR.

    Examples
    --------
    >>> OneCycle(1.0, n_steps=11, pct_start=6 / 11, div_factor=10)([0, 5, 10]).round(6)
    array([1.e-01, 1.e+00, 1.e-05])
    """

    name: ClassVar[str] = "one_cycle"
    n_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4
    linear: bool = False
    three_phase: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_steps("n_steps", minimum=2)
        self._check_real("pct_start", above=0.0, below=1.0)
        self._check_real("div_factor", "final_div_factor", above=0.0)
        self._set("linear", arguments.flag("linear", self.linear))
        self._set("three_phase", arguments.flag("three_phase", self.three_phase))
        if self.pct_start * self.n_steps <= 1:
            raise ValueError(
                f"pct_start: expected a share of n_steps = {self.n_steps} that is above 1 step, got {self.pct_start!r}"
            )
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError(f"pct_start: expected at most 0.5 with three_phase, got {self.pct_start!r}")


@frozen
class ReduceOnPlateau(Schedule):
    """r, multiplied by `factor` whenever the loss has not improved for more than `patience` epochs of a fit.

    An epoch is an improvement if its loss is below (1 - threshold) times the best loss so far. `train_on_batch` uses
    the rate and never changes it.

    Parameters
    ----------
    learning_rate : float
        r, the initial rate; above 0.
    monitor : {"val_loss", "loss"} or None, default None
        The loss to monitor. None is val_loss if `fit` has validation data, else loss.
    factor : float, default 0.1
        Factor of each reduction; in (0, 1).
    patience, cooldown : int, default 10 and 0
        `patience` is the number of epochs without improvement that cause no reduction. In the `cooldown` epochs after a
        reduction, epochs without improvement are not counted.
    threshold : float, default 1e-4
        Relative improvement of the loss that counts as one; in [0, 1).
    least_rate : float, default 0.0
        Lower bound of the rate; at least 0.

    References
    ----------
    PyTorch's ReduceLROnPlateau in mode "min" with a relative threshold.

    Examples
    --------
    >>> plateau = ReduceOnPlateau(0.5, factor=0.1, patience=0)
    >>> net = fastmlp.Network([1, 1], seed=0)
    >>> history = net.fit([[0.0]], [0.0], epochs=3, optimizer=fastmlp.SGD(plateau))  # the loss is 0 from the start
    >>> round(net.learning_rate, 6)
    0.005
    """

    name: ClassVar[str] = "reduce_on_plateau"
    monitor: str | None = None
    factor: float = 0.1
    patience: int = 10
    threshold: float = 1e-4
    cooldown: int = 0
    least_rate: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.monitor is not None:
            arguments.name("monitor", self.monitor, ("val_loss", "loss"))
        self._check_real("factor", above=0.0, below=1.0)
        self._check_steps("patience", minimum=0)
        self._check_real("threshold", minimum=0.0, below=1.0)
        self._check_steps("cooldown", minimum=0)
        self._check_real("least_rate", minimum=0.0)

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The initial rate, as the kernel has no other parameter: `Plateau` computes the rate from the other fields."""
        return (self.learning_rate,)

    def __call__(self, t: ArrayLike) -> Any:
        """Raise `TypeError`: the rate follows from losses, not from the number of steps."""
        raise TypeError("ReduceOnPlateau: its rate follows from losses, not from the number of steps")


SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (
        ConstantRate,
        StepDecay,
        ExponentialDecay,
        InverseScaling,
        CosineDecay,
        OneCycle,
        ReduceOnPlateau,
    )
}

LearningRate = float | Schedule | Callable[[int], float]


def resolve(value: object) -> LearningRate:
    """Return a learning rate as optimisers store it: a float, one of the schedules, or a function of the step."""
    if isinstance(value, Schedule):
        advice = "give a schedule of your own as a function of the step"
        arguments.refuse_subclass("learning_rate", value, SCHEDULES.values(), "schedules", advice)
        return value
    if callable(value):
        if isinstance(value, type):
            raise TypeError(f"learning_rate: expected a number, a schedule or a function of the step, got {value!r}")
        return value
    return check_rate(value)


def table(function: Callable[[int], float], first: int, n: int) -> NDArray[np.float64]:
    """Return the rates function(t) for t = first ... first + n - 1, after a check that each is at least 0."""
    rates = np.empty(n)
    for i in range(n):
        rates[i] = arguments.real(f"learning_rate({first + i})", function(first + i), minimum=0.0)
    return rates


class Plateau:
    """State of a `ReduceOnPlateau`: the rate, the best loss, and two counters of epochs.

    `n_bad` counts the epochs without improvement since the best one or the last reduction. `n_cooling` is the number of
    epochs that remain of the cooldown.
    """

    def __init__(self, schedule: ReduceOnPlateau) -> None:
        self.schedule = schedule
        self.rate = schedule.learning_rate
        self.best = math.inf
        self.n_bad = self.n_cooling = 0

    @property
    def state(self) -> dict[str, float]:
        """The state as numbers by name, for a checkpoint."""
        return {"rate": self.rate, "best": self.best, "n_bad": float(self.n_bad), "n_cooling": float(self.n_cooling)}

    def restore(self, state: Mapping[str, float]) -> None:
        """Set the numbers that `state` has, and leave the others as they are; `ValueError` if one is impossible."""
        rate, best, n_bad, n_cooling = {**self.state, **state}.values()
        counts = (n_bad in range(self.schedule.patience + 1)) and (n_cooling in range(self.schedule.cooldown + 1))
        if not (counts and 0 <= rate < math.inf and best > -math.inf):
            raise ValueError(f"numbers: expected a possible state of {self.schedule}, got {dict(state)}")
        self.rate, self.best, self.n_bad, self.n_cooling = rate, best, int(n_bad), int(n_cooling)

    def observe(self, logs: Mapping[str, float]) -> None:
        """Take the losses of an epoch into account, and lower the rate if the loss has not improved for too long."""
        schedule = self.schedule
        value = logs[schedule.monitor or ("val_loss" if "val_loss" in logs else "loss")]
        improves = value < self.best * (1 - schedule.threshold)
        if improves:
            self.best = value
        self.n_bad = 0 if improves else self.n_bad + 1
        if self.n_cooling:
            self.n_cooling -= 1
            self.n_bad = 0
        if self.n_bad > schedule.patience:
            self.rate = max(self.rate * schedule.factor, schedule.least_rate)
            self.n_cooling, self.n_bad = schedule.cooldown, 0
