"""L-BFGS: minimises a function f of a vector P, one iteration at a time; f returns its value and gradient.

An iteration is a step along -H g, where H approximates the inverse Hessian from the last steps s and the changes y of
the gradient along them: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989. A line
search finds the length of the step: More and Thuente, "Line search algorithms with guaranteed sufficient decrease",
1994, with the constants of SciPy's L-BFGS-B. Nothing here depends on networks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from .functions import Vector, dot

DECREASE, CURVATURE = 1e-3, 0.9  # of the strong Wolfe conditions
MIN_WIDTH = 0.1  # the least width of the interval of steps, relative to its upper end
MAX_STEP = 1e10
Point = tuple[float, float, float]  # the length of a step, and value and slope of f at its end


class Minimizer:
    """The state of L-BFGS: pairs (s, y), the oldest first, and whether the last iteration has converged.

    o has the hyper-parameters.
    """

    def __init__(self, o: Any) -> None:
        self.o, self.pairs, self.converged = o, list[tuple[Vector, Vector]](), False

    def iterate(self, f: Callable[[Vector], tuple[float, Vector]], P: Vector) -> tuple[float, Vector]:
        """Return the value at P, and the next P, which is P itself if no step is better."""
        value, g = f(P)
        self.converged = not math.isfinite(value) or max(map(abs, g)) <= self.o.gradient_tolerance
        while not self.converged:
            d = self.direction(g)
            if not dot(d, g) < 0.0:
                self.pairs, d = [], [-a for a in g]
            found = self.search(f, P, value, g, d)
            if found is not None:
                return value, self.accept(P, value, g, *found)
            self.converged = not self.pairs
            self.pairs = []
        return value, P

    def direction(self, g: Vector) -> Vector:
        """Return -H g by the two-loop recursion; the initial H is (s . y) / (y . y) of the last pair."""
        q, alphas = [-a for a in g], []
        for s, y in reversed(self.pairs):
            alphas.append(dot(s, q) / dot(s, y))
            q = [a - alphas[-1] * b for a, b in zip(q, y)]
        for s, y in self.pairs[-1:]:
            q = [dot(s, y) / dot(y, y) * a for a in q]
        for s, y in self.pairs:
            factor = alphas.pop() - dot(y, q) / dot(s, y)
            q = [a + factor * b for a, b in zip(q, s)]
        return q

    def search(
        self, f: Callable[[Vector], tuple[float, Vector]], P: Vector, value: float, g: Vector, d: Vector
    ) -> tuple[Vector, float, Vector] | None:
        """Return the point that the line search along d finds, with its value and gradient; None if it finds none."""
        slope = dot(d, g)
        if not math.isfinite(slope):
            raise FloatingPointError("loss: expected a finite square of the gradient, got one that overflows")
        line = LineSearch(value, slope, 1.0 if self.pairs else 1.0 / math.sqrt(-slope))
        for _ in range(self.o.max_evaluations):
            new = [a + line.step * b for a, b in zip(P, d)]
            new_value, new_g = f(new)
            if line.update(new_value, dot(d, new_g)):
                return new, new_value, new_g
            if not line.step > 0.0:
                break
        step, best, _ = line.best
        if not (step > 0.0 and line.decreases(step, best)):
            return None
        new = [a + step * b for a, b in zip(P, d)]
        return (new, *f(new))

    def accept(self, P: Vector, value: float, g: Vector, new: Vector, new_value: float, new_g: Vector) -> Vector:
        """Store the step's pair (s, y), set `converged`, and return the new point."""
        s, y = [a - b for a, b in zip(new, P)], [a - b for a, b in zip(new_g, g)]
        if dot(s, y) > -sys.float_info.epsilon * dot(s, g):
            self.pairs = [*self.pairs, (s, y)][-self.o.memory :]
        decreases = value - new_value > self.o.loss_tolerance * max(1.0, abs(value), abs(new_value))
        self.converged = max(map(abs, new_g)) <= self.o.gradient_tolerance or not decreases
        return new


class LineSearch:
    """The line search of More and Thuente: an interval that shrinks around a step that satisfies the Wolfe conditions.

    `step` is the length of the step to try next, and 0 if the search has failed. `best` and `other` are the ends of the
    interval, `best` the one with the lower value. [low, high] bounds the next step, and `max_step` is the least step
    whose value was not finite.
    """

    def __init__(self, value: float, slope: float, step: float) -> None:
        self.step, self.value, self.slope, self.decrease = step, value, slope, DECREASE * slope
        self.best = self.other = (0.0, value, slope)
        self.low, self.high, self.max_step = 0.0, 5.0 * step, MAX_STEP
        self.width, self.last_width = MAX_STEP, 2.0 * MAX_STEP
        self.bracketed, self.modified = False, True

    def update(self, value: float, slope: float) -> bool:
        """Take value and slope at `step` into account; return whether the search ends with this step.

        If not, `step` becomes the next step to try.
        """
        if not math.isfinite(value):
            self.max_step, self.step = self.step, (self.best[0] + self.step) / 2.0
            self.high = min(self.high, self.max_step)
            return False
        decreases = self.decreases(self.step, value)
        if decreases and abs(slope) <= -CURVATURE * self.slope:
            return True
        self.modified &= not (decreases and slope >= DECREASE * self.slope)
        is_outside = self.bracketed and not self.low < self.step < self.high
        if is_outside or self.is_narrow() or self.is_next_to_max_step():
            self.step = self.step if decreases else 0.0
            return decreases
        self.shrink((self.step, value, slope), not decreases)
        return False

    def decreases(self, step: float, value: float) -> bool:
        """Whether the value at the step satisfies the condition of sufficient decrease."""
        return value <= self.value + step * self.decrease

    def is_next_to_max_step(self) -> bool:
        """Whether a step that is hardly longer than this one has a value that is not finite."""
        return self.max_step - self.step <= (MIN_WIDTH * self.max_step if self.max_step < MAX_STEP else 0.0)

    def is_narrow(self) -> bool:
        """Whether the interval is too narrow to continue."""
        return self.bracketed and self.high - self.low <= MIN_WIDTH * self.high

    def shrink(self, trial: Point, too_high: bool) -> None:
        """Replace an end of the interval by the trial point, and choose the next step.

        In the first stage of the search (`modified`), a trial point whose value is not above the best one's but
        `too_high` for sufficient decrease is compared by a modified function: f minus the line of sufficient decrease.
        """
        line_slope = self.decrease if self.modified and too_high and trial[1] <= self.best[1] else 0.0
        best, other, modified_trial = (
            (a, b - line_slope * a, c - line_slope) for a, b, c in (self.best, self.other, trial)
        )
        self.bracketed, step = next_step(best, other, modified_trial, self.low, self.high, self.bracketed)
        if modified_trial[1] > best[1]:
            self.other = trial
        else:
            self.other = self.best if (modified_trial[2] < 0.0) != (best[2] < 0.0) else self.other
            self.best = trial
        if self.bracketed:
            if abs(self.other[0] - self.best[0]) >= 0.66 * self.last_width:
                step = (self.best[0] + self.other[0]) / 2.0
            self.last_width, self.width = self.width, abs(self.other[0] - self.best[0])
            self.low, self.high = sorted((self.best[0], self.other[0]))
        else:
            self.low, self.high = (step + factor * (step - self.best[0]) for factor in (1.1, 4.0))
        step = max(0.0, min(self.max_step, step))
        if step >= self.max_step and self.max_step < MAX_STEP:
            step = (self.best[0] + self.max_step) / 2.0
        is_outside = not self.low < step < self.high
        self.step = self.best[0] if self.bracketed and (is_outside or self.is_narrow()) else step


def next_step(best: Point, other: Point, trial: Point, low: float, high: float, bracketed: bool) -> tuple[bool, float]:
    """Return whether the interval has a minimum inside, and the step from cubic and quadratic interpolation.

    The four cases are those of More and Thuente, section 4.
    """
    if trial[1] > best[1]:
        c, q = cubic(best, trial), quadratic(best, trial)
        return True, c if abs(c - best[0]) < abs(q - best[0]) else c + (q - c) / 2.0
    if (trial[2] < 0.0) != (best[2] < 0.0):
        c, q = cubic(trial, best), secant(best, trial)
        return True, c if abs(c - trial[0]) > abs(q - trial[0]) else q
    is_ahead = trial[0] > best[0]
    if abs(trial[2]) >= abs(best[2]):
        return bracketed, cubic(trial, other) if bracketed else high if is_ahead else low
    c, q = cubic_beyond(best, trial, high if is_ahead else low), secant(best, trial)
    nearer, farther = sorted((c, q), key=lambda step: abs(step - trial[0]))
    if not bracketed:
        return False, max(low, min(high, farther))
    edge = trial[0] + 0.66 * (other[0] - trial[0])
    return True, min(edge, nearer) if is_ahead else max(edge, nearer)


def cubic_terms(a: Point, b: Point) -> tuple[float, float]:
    """The terms theta and gamma of the formula for the minimum of the cubic through a and b with their slopes."""
    theta = 3.0 * (a[1] - b[1]) / (b[0] - a[0]) + a[2] + b[2]
    s = max(abs(theta), abs(a[2]), abs(b[2]))
    return theta, s * math.sqrt(max(0.0, (theta / s) ** 2 - a[2] / s * (b[2] / s)))


def cubic(a: Point, b: Point) -> float:
    """The step at the minimum of the cubic through a and b with their slopes."""
    theta, gamma = cubic_terms(a, b)
    gamma = -gamma if b[0] < a[0] else gamma
    return a[0] + (gamma - a[2] + theta) / (gamma - a[2] + gamma + b[2]) * (b[0] - a[0])


def cubic_beyond(best: Point, trial: Point, bound: float) -> float:
    """The step at the minimum of the cubic through both points with their slopes, if it lies beyond the trial point.

    If it does not, or if the cubic has no minimum, the result is the bound.
    """
    theta, gamma = cubic_terms(best, trial)
    gamma = -gamma if trial[0] > best[0] else gamma
    r = (gamma - trial[2] + theta) / (gamma + (best[2] - trial[2]) + gamma)
    return trial[0] + r * (best[0] - trial[0]) if r < 0.0 and gamma != 0.0 else bound


def quadratic(a: Point, b: Point) -> float:
    """The step at the minimum of the quadratic with the values of a and b and the slope of a."""
    width = b[0] - a[0]
    return a[0] + a[2] / ((a[1] - b[1]) / width + a[2]) / 2.0 * width


def secant(a: Point, b: Point) -> float:
    """The step at the zero of the line through the slopes of a and b."""
    return b[0] + b[2] / (b[2] - a[2]) * (a[0] - b[0])
