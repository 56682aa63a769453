"""Schedules of the learning rate: one immutable class each, given to an optimiser in place of the number.

A schedule says how the rate r follows from t, the number of steps that the optimiser has taken before; its first
hyper-parameter is the rate that the others are relative to. Because it stands in the optimiser's `learning_rate`,
optimisers are compared with their schedules, and t is the step count of the optimiser's state: it continues over
fits. The compiled step asks for the rate itself (`csrc/schedules.c`); the order of an object's fields is the order of
its parameters there. To add one: a class and its line in `SCHEDULES` here, a function and a row there, a function and
a row in `reference/schedules.py`.
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
    """A learning rate as a float above 0."""
    hint = "; the step is P - learning_rate * gradient, so a positive rate descends"
    return arguments.real(argument, value, above=0.0, hint=hint)


@frozen
class Schedule:
    """What all schedules have: a name, a learning rate and hyper-parameters; called, one of steps gives the rate."""

    name: ClassVar[str]
    learning_rate: float

    def __post_init__(self) -> None:
        self._set("learning_rate", check_rate(self.learning_rate))

    def _set(self, field: str, value: object) -> None:
        object.__setattr__(self, field, value)

    def _check_steps(self, field: str, least: int = 1) -> None:
        self._set(field, arguments.integer(field, getattr(self, field), least=least, most=2**53))

    def _check_real(self, *fields: str, **bounds: float) -> None:
        for field in fields:
            self._set(
                field,
                arguments.real(
                    field,
                    getattr(self, field),
                    above=bounds.get("above"),
                    least=bounds.get("least"),
                    below=bounds.get("below"),
                ),
            )

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The fields as floats, in the kernel's order."""
        return tuple(map(float, astuple(self)))

    def __call__(self, t: ArrayLike) -> Any:
        """The rate of the step before which t steps were taken; of each where t is an array."""
        return _core.schedule_rates(self.name, self.hyper_parameters, t)


@frozen
class ConstantRate(Schedule):
    """r at every step, as a plain number.

    Examples
    --------
    >>> ConstantRate(0.1)([0, 1000])
    array([0.1, 0.1])
    """

    name: ClassVar[str] = "constant"


@frozen
class StepDecay(Schedule):
    """r gamma^floor(t / step_size): the rate is multiplied by gamma after each step_size steps.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    step_size : int
        Optimiser steps between two changes; at least 1.
    gamma : float, default 0.1
        Above 0.

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
    """r gamma^t.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    gamma : float
        What each step multiplies the rate by; above 0.

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
    scikit-learn's "invscaling"; its MLP changes the rate once an epoch and counts rows, here t counts steps.

    Examples
    --------
    >>> InverseScaling(0.6)([0, 3, 8])
    array([0.6, 0.3, 0.2])
    """

    name: ClassVar[str] = "inverse_scaling"
    power: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_real("power", least=0.0)


@frozen
class CosineDecay(Schedule):
    """A line from warmup_rate up to r in warmup_steps, then half a cosine down to final_rate, reached at t = n_steps.

    final + (r - final) (1 + cos(pi (t - W) / (N - W))) / 2 after a warm-up of W of the N steps; then final_rate.

    Parameters
    ----------
    learning_rate : float
        r; above 0.
    n_steps : int
        N, the warm-up included; at least 1.
    warmup_steps : int, default 0
        W; below N.
    warmup_rate, final_rate : float, default 0.0
        Where the line begins and the cosine ends; at least 0.

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
        self._check_steps("warmup_steps", least=0)
        if self.warmup_steps >= self.n_steps:
            raise ValueError(f"warmup_steps: expected fewer than n_steps = {self.n_steps}, got {self.warmup_steps}")
        self._check_real("warmup_rate", "final_rate", least=0.0)


@frozen
class OneCycle(Schedule):
    """Up from r / div_factor to r, then down to r / div_factor / final_div_factor at the last of n_steps steps.

    With three_phase the way down is in two parts: to r / div_factor as fast as it came up, then to the last rate. The
    momentum stays as it is (PyTorch moves it the other way unless told otherwise).

    Parameters
    ----------
    learning_rate : float
        r, the largest rate; above 0.
    n_steps : int
        The steps of the cycle; after them the last rate stays.
    pct_start : float, default 0.3
        The share of the steps that goes up; below 1 (with three_phase at most 1/2), and pct_start * n_steps above 1.
    div_factor, final_div_factor : float, default 25 and 10000
        Above 0.
    linear : bool, default False
        Along lines instead of half cosines.
    three_phase : bool, default False

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
        self._check_steps("n_steps", least=2)
        self._check_real("pct_start", above=0.0, below=1.0)
        self._check_real("div_factor", "final_div_factor", above=0.0)
        self._set("linear", arguments.flag("linear", self.linear))
        self._set("three_phase", arguments.flag("three_phase", self.three_phase))
        rises = self.pct_start * self.n_steps
        if rises <= 1:
            raise ValueError(
                f"pct_start: expected a share of n_steps = {self.n_steps} that is above 1 step, got {self.pct_start!r}"
            )
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError(f"pct_start: expected at most 0.5 with three_phase, got {self.pct_start!r}")


@frozen
class ReduceOnPlateau(Schedule):
    """r, multiplied by factor whenever the loss has not improved for more than `patience` epochs of a fit.

    An epoch improves on the best one if its loss is below (1 - threshold) times that one's. `train_on_batch` uses the
    rate and never changes it.

    Parameters
    ----------
    learning_rate : float
        r at first; above 0.
    monitor : {"val_loss", "loss"} or None, default None
        What is watched; None is val_loss where fit has validation data, else loss.
    factor : float, default 0.1
        In (0, 1).
    patience, cooldown : int, default 10 and 0
        Epochs without improvement that are borne with; epochs after a reduction that are not counted.
    threshold : float, default 1e-4
        In [0, 1).
    least_rate : float, default 0.0
        The rate goes no lower; at least 0.

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
        self._check_steps("patience", least=0)
        self._check_real("threshold", least=0.0, below=1.0)
        self._check_steps("cooldown", least=0)
        self._check_real("least_rate", least=0.0)

    @property
    def hyper_parameters(self) -> tuple[float, ...]:
        """The first rate; the others are what `Plateau` goes by."""
        return (self.learning_rate,)

    def __call__(self, t: ArrayLike) -> Any:
        """Refused: the rate follows from losses."""
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
    """A learning rate as optimisers keep it: a float, one of the schedules, or a function of the step."""
    if isinstance(value, Schedule):
        instead = "give a schedule of your own as a function of the step"
        arguments.refuse_subclass("learning_rate", value, SCHEDULES.values(), "schedules", instead)
        return value
    if callable(value):
        if isinstance(value, type):
            raise TypeError(f"learning_rate: expected a number, a schedule or a function of the step, got {value!r}")
        return value
    return check_rate(value)


def table(function: Callable[[int], float], first: int, n: int) -> NDArray[np.float64]:
    """The rates of the steps before which first ... first + n - 1 were taken; 0 is a rate, less is none."""
    rates = np.empty(n)
    for i in range(n):
        rates[i] = arguments.real(f"learning_rate({first + i})", function(first + i), least=0.0)
    return rates


class Plateau:
    """Where a `ReduceOnPlateau` stands: the rate in use, the best loss, epochs that were bad or are not counted."""

    def __init__(self, schedule: ReduceOnPlateau) -> None:
        self.schedule = schedule
        self.rate = schedule.learning_rate
        self.best = math.inf
        self.n_bad = self.n_cooling = 0

    @property
    def state(self) -> dict[str, float]:
        """All of it as numbers, for a checkpoint."""
        return {"rate": self.rate, "best": self.best, "n_bad": float(self.n_bad), "n_cooling": float(self.n_cooling)}

    def restore(self, state: Mapping[str, float]) -> None:
        """Stands where `state` says, and where it says nothing as it is; a ValueError where nothing can stand."""
        rate, best, n_bad, n_cooling = {**self.state, **state}.values()
        counts = (n_bad in range(self.schedule.patience + 1)) and (n_cooling in range(self.schedule.cooldown + 1))
        if not (counts and 0 <= rate < math.inf and best > -math.inf):
            raise ValueError(f"numbers: expected those of {self.schedule}, got {dict(state)}")
        self.rate, self.best, self.n_bad, self.n_cooling = rate, best, int(n_bad), int(n_cooling)

    def observe(self, logs: Mapping[str, float]) -> None:
        """Counts an epoch, and lowers the rate where it is time."""
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
