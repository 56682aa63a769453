"""L-BFGS: minimises a function f of a vector P that gives its value and gradient, an iteration at a time.

Liu and Nocedal, "On the limited memory BFGS method for large scale optimization", 1989: a step along -H g, with H from
the last steps s and changes y of the gradient; its length by the line search of More and Thuente, "Line search
algorithms with guaranteed sufficient decrease", 1994, with the constants of SciPy's L-BFGS-B. Knows no networks.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from .functions import Entry, Vector, dot

DECREASE, CURVATURE, NARROW, LONGEST = 1e-3, 0.9, 0.1, 1e10
Point = tuple[float, float, float]  # a step along the line, the value there, its slope


class Minimizer:
    """What the optimiser o remembers: pairs (s, y), the oldest first, and whether the last iteration has converged."""

    def __init__(self, o: Any) -> None:
        self.o, self.pairs, self.converged = o, list[tuple[Vector, Vector]](), False

    def iterate(self, f: Callable[[Vector], tuple[float, Vector]], P: Vector) -> tuple[float, Vector]:
        """The value at P, and the next P: the same one where no step is better."""
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
        """-H g by the two-loop recursion, from H = (s . y) / (y . y) of the last pair."""
        q, alphas = [-a for a in g], []
        for s, y in reversed(self.pairs):
            alphas.append(dot(s, q) / dot(s, y))
            q = [a - alphas[-1] * b for a, b in zip(q, y)]
        for s, y in self.pairs[-1:]:
            q = [dot(s, y) / dot(y, y) * a for a in q]
        for s, y in self.pairs:
            by = alphas.pop() - dot(y, q) / dot(s, y)
            q = [a + by * b for a, b in zip(q, s)]
        return q

    def search(
        self, f: Callable[[Vector], tuple[float, Vector]], P: Vector, value: float, g: Vector, d: Vector
    ) -> tuple[Vector, float, Vector] | None:
        """The point that the line search finds, with its value and gradient."""
        slope = dot(d, g)
        line = LineSearch(value, slope, 1.0 if self.pairs else 1.0 / math.sqrt(-slope))
        for _ in range(self.o.max_evaluations):
            new = [a + line.at * b for a, b in zip(P, d)]
            new_value, new_g = f(new)
            if line.tell(new_value, dot(d, new_g)):
                return new, new_value, new_g
            if not line.at > 0.0:
                break
        step, best, _ = line.best
        if not (step > 0.0 and line.falls(step, best)):
            return None
        new = [a + step * b for a, b in zip(P, d)]
        return (new, *f(new))

    def accept(self, P: Vector, value: float, g: Vector, new: Vector, new_value: float, new_g: Vector) -> Vector:
        """Remembers the step, and tells whether it was the last."""
        s, y = [a - b for a, b in zip(new, P)], [a - b for a, b in zip(new_g, g)]
        if dot(s, y) > -sys.float_info.epsilon * dot(s, g):
            self.pairs = [*self.pairs, (s, y)][-self.o.memory :]
        falls = value - new_value > self.o.loss_tolerance * max(1.0, abs(value), abs(new_value))
        self.converged = max(map(abs, new_g)) <= self.o.gradient_tolerance or not falls
        return new


class LineSearch:
    """An interval that shrinks around a step with enough decrease and little slope; `at` is to be tried, 0: nothing."""

    def __init__(self, value: float, slope: float, at: float) -> None:
        self.at, self.value, self.slope, self.decrease = at, value, slope, DECREASE * slope
        self.best = self.other = (0.0, value, slope)
        self.low, self.high, self.most = 0.0, 5.0 * at, LONGEST
        self.width, self.last_width = LONGEST, 2.0 * LONGEST
        self.bracketed, self.modified = False, True

    def tell(self, value: float, slope: float) -> bool:
        """Whether the step `at`, where this was found, is the one; if not, `at` becomes the next."""
        if not math.isfinite(value):
            self.most, self.at = self.at, (self.best[0] + self.at) / 2.0
            self.high = min(self.high, self.most)
            return False
        falls = self.falls(self.at, value)
        if falls and abs(slope) <= -CURVATURE * self.slope:
            return True
        self.modified &= not (falls and slope >= DECREASE * self.slope)
        if (self.bracketed and not self.low < self.at < self.high) or self.narrow() or self.at_cliff():
            self.at = self.at if falls else 0.0
            return falls
        self.shrink((self.at, value, slope), not falls)
        return False

    def falls(self, step: float, value: float) -> bool:
        """Whether the value has the wanted decrease."""
        return value <= self.value + step * self.decrease

    def at_cliff(self) -> bool:
        """Whether the value at a step hardly longer than this one is not finite."""
        return self.most - self.at <= (NARROW * self.most if self.most < LONGEST else 0.0)

    def narrow(self) -> bool:
        """Whether the interval is too small to go on."""
        return self.bracketed and self.high - self.low <= NARROW * self.high

    def shrink(self, now: Point, too_high: bool) -> None:
        """Takes `now` into the interval; in the first stage with the wanted decrease taken from the values."""
        take = self.decrease if self.modified and too_high and now[1] <= self.best[1] else 0.0
        best, other, here = ((a, b - take * a, c - take) for a, b, c in (self.best, self.other, now))
        self.bracketed, at = next_step(best, other, here, self.low, self.high, self.bracketed)
        if here[1] > best[1]:
            self.other = now
        else:
            self.other, self.best = (self.best if (here[2] < 0.0) != (best[2] < 0.0) else self.other), now
        if self.bracketed:
            if abs(self.other[0] - self.best[0]) >= 0.66 * self.last_width:
                at = (self.best[0] + self.other[0]) / 2.0
            self.last_width, self.width = self.width, abs(self.other[0] - self.best[0])
            self.low, self.high = sorted((self.best[0], self.other[0]))
        else:
            self.low, self.high = (at + factor * (at - self.best[0]) for factor in (1.1, 4.0))
        at = max(0.0, min(self.most, at))
        if at >= self.most and self.most < LONGEST:
            at = (self.best[0] + self.most) / 2.0
        self.at = self.best[0] if self.bracketed and (not self.low < at < self.high or self.narrow()) else at


def next_step(best: Point, other: Point, now: Point, low: float, high: float, bracketed: bool) -> tuple[bool, float]:
    """Whether the interval holds a minimum, and the step that the cubic or the quadratic through two points says."""
    if now[1] > best[1]:
        c, q = cubic(best, now), quadratic(best, now)
        return True, c if abs(c - best[0]) < abs(q - best[0]) else c + (q - c) / 2.0
    if (now[2] < 0.0) != (best[2] < 0.0):
        c, q = cubic(now, best), secant(best, now)
        return True, c if abs(c - now[0]) > abs(q - now[0]) else q
    ahead = now[0] > best[0]
    if abs(now[2]) >= abs(best[2]):
        return bracketed, cubic(now, other) if bracketed else high if ahead else low
    c, q = cubic_beyond(best, now, high if ahead else low), secant(best, now)
    nearer, farther = sorted((c, q), key=lambda step: abs(step - now[0]))
    if not bracketed:
        return False, max(low, min(high, farther))
    edge = now[0] + 0.66 * (other[0] - now[0])
    return True, min(edge, nearer) if ahead else max(edge, nearer)


def cubic_terms(a: Point, b: Point) -> tuple[float, float]:
    """theta and gamma, of which the minimum of the cubic through a and b is made."""
    theta = 3.0 * (a[1] - b[1]) / (b[0] - a[0]) + a[2] + b[2]
    s = max(abs(theta), abs(a[2]), abs(b[2]))
    return theta, s * math.sqrt(max(0.0, (theta / s) ** 2 - a[2] / s * (b[2] / s)))


def cubic(a: Point, b: Point) -> float:
    """The minimum of the cubic through a and b."""
    theta, gamma = cubic_terms(a, b)
    gamma = -gamma if b[0] < a[0] else gamma
    return a[0] + (gamma - a[2] + theta) / (gamma - a[2] + gamma + b[2]) * (b[0] - a[0])


def cubic_beyond(best: Point, now: Point, end: float) -> float:
    """The same, or the end of the bounds where the cubic has no minimum beyond `now`."""
    theta, gamma = cubic_terms(best, now)
    gamma = -gamma if now[0] > best[0] else gamma
    r = (gamma - now[2] + theta) / (gamma + (best[2] - now[2]) + gamma)
    return now[0] + r * (best[0] - now[0]) if r < 0.0 and gamma != 0.0 else end


def quadratic(a: Point, b: Point) -> float:
    """The minimum of the quadratic with the values of both and the slope of a."""
    width = b[0] - a[0]
    return a[0] + a[2] / ((a[1] - b[1]) / width + a[2]) / 2.0 * width


def secant(a: Point, b: Point) -> float:
    """The zero of the line through the slopes of both."""
    return b[0] + b[2] / (b[2] - a[2]) * (a[0] - b[0])


MINIMIZERS = {
    "lbfgs": Entry(
        Minimizer,
        fields={"memory": 10, "gradient_tolerance": 1e-5, "loss_tolerance": 2.22e-9, "max_evaluations": 20},
    )
}
