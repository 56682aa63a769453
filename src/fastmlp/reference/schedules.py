"""Schedules of the learning rate: the rate of the step before which t = 0, 1, 2, ... steps were taken.

Every function computes the formula of its docstring. o has the hyper-parameters as attributes; its `learning_rate` is
r. After its last step, a schedule keeps its last rate. `Plateau` alone has a state: its rate follows from losses, not
from t. No function checks its arguments. A new function needs its row in `SCHEDULES`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .functions import Entry


def constant(t: int, o: Any) -> float:
    """r."""
    return float(o.learning_rate)


def step(t: int, o: Any) -> float:
    """r gamma^floor(t / step_size), PyTorch's StepLR."""
    return float(o.learning_rate * o.gamma ** (t // o.step_size))


def exponential(t: int, o: Any) -> float:
    """r gamma^t, PyTorch's ExponentialLR."""
    return float(o.learning_rate * o.gamma**t)


def inverse_scaling(t: int, o: Any) -> float:
    """r / (t + 1)^power, scikit-learn's "invscaling"."""
    return float(o.learning_rate / (t + 1) ** o.power)


def line(start: float, end: float, u: float) -> float:
    """Linear interpolation from start to end, for u from 0 to 1."""
    return start + (end - start) * u


def half_cosine(start: float, end: float, u: float) -> float:
    """Interpolation from start to end along half a cosine, for u from 0 to 1."""
    return end + (start - end) * (1.0 + math.cos(math.pi * u)) / 2.0


def cosine(t: int, o: Any) -> float:
    """Linear from warmup_rate to r in warmup_steps, then half a cosine from r to final_rate at t = n_steps."""
    t = min(t, o.n_steps)
    if t < o.warmup_steps:
        return line(o.warmup_rate, o.learning_rate, t / o.warmup_steps)
    return half_cosine(o.learning_rate, o.final_rate, (t - o.warmup_steps) / (o.n_steps - o.warmup_steps))


def one_cycle(t: int, o: Any) -> float:
    """Up from r / div_factor to r in the share pct_start of the steps, then down to r / div_factor / final_div_factor.

    With three_phase it goes down to r / div_factor first. PyTorch's OneCycleLR.
    """
    interpolate = line if o.linear else half_cosine
    first, peak, end = o.learning_rate / o.div_factor, o.pct_start * o.n_steps - 1.0, o.n_steps - 1
    last = first / o.final_div_factor
    phases = [(0.0, first, peak, o.learning_rate), (peak, o.learning_rate, end, last)]
    if o.three_phase:
        back = 2.0 * o.pct_start * o.n_steps - 2.0
        phases[1:] = [(peak, o.learning_rate, back, first), (back, first, end, last)]
    t = min(t, end)
    begin, start, finish, stop = next(phase for phase in phases if t <= phase[2])
    return interpolate(start, stop, (t - begin) / (finish - begin))


class Plateau:
    """A rate that is multiplied by `factor` after more than `patience` epochs without an improvement of the loss.

    A loss is an improvement if it is below (1 - threshold) times the best one. The `cooldown` epochs after a reduction
    do not count. PyTorch's ReduceLROnPlateau.
    """

    def __init__(self, o: Any) -> None:
        self.o, self.rate, self.best, self.n_bad, self.n_cooling = o, o.learning_rate, math.inf, 0, 0

    def observe(self, logs: Mapping[str, float]) -> None:
        """Take the losses of an epoch into account, and lower the rate if the loss has not improved for too long."""
        o = self.o
        loss = logs[o.monitor or ("val_loss" if "val_loss" in logs else "loss")]
        improves = loss < self.best * (1.0 - o.threshold)
        self.best = loss if improves else self.best
        self.n_bad = 0 if improves or self.n_cooling else self.n_bad + 1
        self.n_cooling = max(0, self.n_cooling - 1)
        if self.n_bad > o.patience:
            self.rate = max(self.rate * o.factor, o.least_rate)
            self.n_bad, self.n_cooling = 0, o.cooldown


RATE = {"learning_rate": 0.01}
SCHEDULES = {
    "constant": Entry(constant, fields=RATE),
    "step": Entry(step, fields={**RATE, "step_size": 1, "gamma": 0.1}),
    "exponential": Entry(exponential, fields={**RATE, "gamma": 1.0}),
    "inverse_scaling": Entry(inverse_scaling, fields={**RATE, "power": 0.5}),
    "cosine": Entry(cosine, fields={**RATE, "n_steps": 1, "warmup_steps": 0, "warmup_rate": 0.0, "final_rate": 0.0}),
    "one_cycle": Entry(
        one_cycle,
        fields={
            **RATE,
            "n_steps": 4,
            "pct_start": 0.3,
            "div_factor": 25.0,
            "final_div_factor": 1e4,
            "linear": False,
            "three_phase": False,
        },
    ),
    "reduce_on_plateau": Entry(
        Plateau,
        fields={
            **RATE,
            "monitor": None,
            "factor": 0.1,
            "patience": 10,
            "threshold": 1e-4,
            "cooldown": 0,
            "least_rate": 0.0,
        },
    ),
}
