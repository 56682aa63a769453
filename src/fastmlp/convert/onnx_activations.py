"""Activations as ONNX files write them: functions of one argument; onnx_compounds.py has sums and products of them.

`Forms.steps` turns the expression between two layers into steps of a chain. Each core (see onnx_expressions.py) is
compared with the forms of its kind; one that fits gives `Found`: core = k f(argument) + c. The numbers k and c
join the factors around the core: 0.5 x (1 + erf(x / sqrt 2)) and softplus(beta x) / beta leave nothing over. Numbers
of a form are compared within the rounding of the file's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from .. import activations as a
from ..activations import Activation
from ..errors import FormatError
from .chain import Activate, Affine, Step, refuse
from .functions import SELU_ALPHA, SELU_SCALE
from .onnx_expressions import AFFINE, RESIDUAL, Builder, Expression, affine_steps

Compounds = Mapping[str, tuple[Callable[["Forms", Expression], "Found | None"], ...]]


class Found(NamedTuple):
    """core = k f(argument) + c."""

    activation: Activation
    argument: Expression
    k: float = 1.0
    c: float = 0.0


def _with(operation: Expression, k: float, c: float) -> tuple[float, float]:
    """Return k and c of k f + c after an addition or a product."""
    value = operation.value
    return {
        "add": (k, c + value),
        "subtract": (k, c - value),
        "multiply": (k * value, c * value),
        "divide": (k / (value or 1.0), c / (value or 1.0)),
        "reversed": (-k, value - c),
    }[operation.kind]


class Forms:
    """The forms of activations, for files whose numbers have this relative rounding."""

    def __init__(self, builder: Builder, rounding: float, compounds: Compounds) -> None:
        self.builder, self.rounding, self._compounds = builder, rounding, compounds
        self.thresholds: list[str] = []  # the places of softplus that is z itself above a number
        self.inexact = False  # whether a form was found that loses digits where the activation does not

    def near(self, x: float, y: float) -> bool:
        """Whether two numbers are equal up to the rounding of the file's dtype."""
        return abs(x - y) <= 16 * self.rounding * max(abs(x), abs(y))

    def find(self, core: Expression) -> Found:
        """Return the activation that a core says; refuse it if there is none."""
        forms = self._compounds.get(core.kind, ())
        if core.kind == "call":
            forms = (CALLS[core.value[0]],) if core.value[0] in CALLS else ()
        try:
            found = next(filter(None, (form(self, core) for form in forms)), None)
        except FormatError:
            raise
        except (ValueError, ArithmeticError) as error:
            refuse(core.place, f"numbers that no activation has: {error}")
        if found is None:
            refuse(core.place, *_unknown(core))
        assert found is not None
        return found

    def steps(self, expression: Expression) -> list[Step]:
        """Return the steps from an expression's base to its value, in the order of computation."""
        columns, last_first = expression.base.columns, list[Step]()
        while expression.kind != "base":
            run = list[Expression]()
            while expression.kind in AFFINE:
                run.append(expression)
                expression = expression.args[0]
            run.reverse()
            if expression.kind == "base":
                last_first += reversed(affine_steps(run, columns))
                break
            place, found = expression.place, self.find(expression)
            last_first += reversed(self._around(found, run, columns, place))
            last_first.append(Activate(found.activation, place))
            expression = found.argument
        return last_first[::-1]

    def _around(self, found: Found, run: list[Expression], columns: int, place: str) -> list[Affine]:
        """Return the steps for k and c of what was found, and for the additions and products after it."""
        k, c, rest = found.k, found.c, list(run)
        while True:
            k = self.snapped(self.snapped(k), -1.0)
            c = 0.0 if abs(c) <= 4 * self.rounding * abs(found.c) else c
            if (k, c) == (1.0, 0.0):
                return affine_steps(rest, columns)
            if not rest or not isinstance(rest[0].value, float):
                break
            k, c = _with(rest.pop(0), k, c)
        ones = np.ones(columns)
        return [Affine.times(k * ones, c * ones, place), *affine_steps(rest, columns)]

    def multiple(self, term: tuple[float | None, Expression], of: Expression) -> float | None:
        """Return b where `of` is b times the term of a product, else None."""
        r, core = term
        if of.core is not core:
            return None
        if r is None:
            return of.k if of.c == 0 else None
        return of.c if self.near(of.k, of.c * r) and of.c != 0 else None

    def term(self, term: tuple[float | None, Expression], k: float) -> Expression:
        """Return k times a term of a product as an expression."""
        r, core = term
        return (
            self.builder.scaled(core, k, 0.0, core.place)
            if r is None
            else self.builder.scaled(core, k * r, k, core.place)
        )

    def power(self, z: tuple[float | None, Expression], core: Expression) -> tuple[int, float] | None:
        """Return the n and the factor with which the core is the n-th power of a term of a product, else None."""
        if core.kind == "product" and all(term == z for term in core.terms):
            return len(core.terms), 1.0
        b = self.multiple(z, core)
        return None if b is None else (1, b)

    def snapped(self, k: float, to: float = 1.0) -> float:
        """Return the number that k is up to rounding, else k."""
        return to if self.near(k, to) else k


# ------------------------------------------------------------------------------------------------------------- calls


def _plain(kind: Callable[..., Activation]) -> Callable[[Forms, Expression], Found]:
    def form(forms: Forms, core: Expression) -> Found:
        return Found(kind(*core.value[1:]), core.args[0])

    return form


def slope(kind: Callable[..., Activation], divides: bool = False) -> Callable[[Forms, Expression], Found]:
    """Make the form of an activation that has a slope of its own: f(k z) for sigmoid and sine, softplus with 1 / k."""

    def form(forms: Forms, core: Expression) -> Found:
        x = core.args[0]
        if x.k == 1 or x.c != 0 or x.k == 0 or (divides and x.k < 0) or not math.isfinite(x.k):
            return Found(kind(), x)
        return Found(kind(x.k), x.core, x.k if divides else 1.0)

    return form


def _leaky(forms: Forms, core: Expression) -> Found | None:
    slope = core.value[1]
    return Found(a.LeakyReLU(slope) if slope else a.ReLU(), core.args[0]) if slope >= 0 else None


def _elu(forms: Forms, core: Expression) -> Found | None:
    alpha = core.value[1]
    return Found(a.ELU(alpha), core.args[0]) if alpha > 0 else None


def _selu(forms: Forms, core: Expression) -> Found | None:
    """s (z where z > 0, else alpha (e^z - 1)), with any numbers."""
    _, alpha, scale = core.value
    if forms.near(alpha, SELU_ALPHA) and forms.near(scale, SELU_SCALE):
        return Found(a.SELU(), core.args[0])
    return Found(a.ELU(alpha), core.args[0], scale) if alpha > 0 else None


def _celu(forms: Forms, core: Expression) -> Found | None:
    alpha, x = core.value[1], core.args[0]
    if alpha == 1:
        return Found(a.ELU(), x)
    return Found(a.ELU(), forms.builder.affine("divide", x, alpha, core.place), alpha) if alpha > 0 else None


def _swish(forms: Forms, core: Expression) -> Found | None:
    """z sigmoid(alpha z) = SiLU(alpha z) / alpha."""
    alpha, x = core.value[1], core.args[0]
    if alpha == 0:
        return None
    alpha = forms.snapped(alpha)
    return Found(a.SiLU(), forms.builder.scaled(x, alpha, 0.0, core.place), 1 / alpha)


def _hard_sigmoid(forms: Forms, core: Expression) -> Found | None:
    _, alpha, beta = core.value
    x = core.args[0]
    if alpha <= 0:
        return None
    if forms.near(alpha, 1 / 6) and forms.near(beta, 0.5):
        return Found(a.HardSigmoid(), x)
    return Found(a.PiecewiseLinear(-beta / alpha, (1 - beta) / alpha), x)


def _clip(forms: Forms, core: Expression) -> Found | None:
    _, low, high = core.value
    x = core.args[0]
    if not low < high:
        return None
    if low == -math.inf or high == math.inf:  # max(z, low) = low + relu(z - low); min(z, high) = high - relu(high - z)
        if low == high or (low, high) == (-math.inf, math.inf):
            return None
        if high == math.inf:
            shifted = x if low == 0 else forms.builder.affine("subtract", x, low, core.place)
            return Found(a.ReLU(), shifted, 1.0, low)
        return Found(a.ReLU(), forms.builder.affine("reversed", x, high, core.place), -1.0, high)
    if (low, high) == (0, 6) and forms.near(x.k, 1) and forms.near(x.c, 3):
        return Found(a.HardSigmoid(), x.core, 6.0)
    if (low, high) == (0, 1) and x.k > 0 and (x.k, x.c) != (1, 0):
        return _ramp(forms, x)
    return Found(a.HardTanh(low, high), x)


def _ramp(forms: Forms, x: Expression) -> Found:
    """Return the activation of k z + c clipped to [0, 1]."""
    if forms.near(x.k, 1 / 6) and forms.near(x.c, 0.5):
        return Found(a.HardSigmoid(), x.core)
    inner = x.args[0]
    if x.kind == "divide" and inner.kind == "subtract" and inner.args[0] is x.core:
        return Found(a.PiecewiseLinear(inner.value, inner.value + x.value), x.core)
    return Found(a.PiecewiseLinear(-x.c / x.k, (1 - x.c) / x.k), x.core)


def _exp(forms: Forms, core: Expression) -> Found | None:
    """exp(k w^2 + c), with w = z - mu up to a factor and k < 0."""
    x = core.args[0]
    terms = x.core.terms
    if x.core.kind != "product" or len(terms) != 2 or terms[0] != terms[1] or x.k >= 0:
        return None
    (r, inner), k = terms[0], x.k
    mu = 0.0 if r is None else -1 / r
    sigma = math.sqrt(-0.5 / (k if r is None else k * r * r))
    return Found(a.Gaussian(mu, sigma), inner, math.exp(x.c) * math.sqrt(2 * math.pi) * sigma)


def log(forms: Forms, core: Expression) -> Found | None:
    """log(1 + e^z) = softplus(z); log(sigmoid(z)) = -softplus(-z)."""
    x = core.args[0]
    if x.core.kind != "call":
        return None
    name, inner = x.core.value[0], x.core.args[0]
    if name == "exp" and (x.k, x.c) == (1, 1):
        return Found(a.Softplus(), inner)
    if name == "sigmoid" and (x.k, x.c) == (1, 0):
        forms.inexact = True  # log(0) far below 0
        return Found(a.Softplus(), forms.builder.scaled(inner, -1.0, 0.0, core.place), -1.0)
    return None


def _reciprocal(forms: Forms, core: Expression) -> Found | None:
    """1 / (1 + e^u) = sigmoid(-u)."""
    argument = logistic(forms, core)
    return None if argument is None else Found(a.Sigmoid(), argument)


def logistic(forms: Forms, core: Expression) -> Expression | None:
    """Return z where the core is sigmoid(z), as a call or written out."""
    if core.kind != "call":
        return None
    x = core.args[0]
    if core.value[0] == "sigmoid":
        return x
    is_form = core.value[0] == "reciprocal" and x.core.kind == "call" and x.core.value[0] == "exp"
    if is_form and (x.k, x.c) == (1, 1):
        return forms.builder.scaled(x.core.args[0], -1.0, 0.0, core.place)
    return None


def _step_above(forms: Forms, core: Expression) -> Found:
    """1 where z > 0, else 0: 1 - Threshold(-z)."""
    return Found(a.Threshold(), forms.builder.scaled(core.args[0], -1.0, 0.0, core.place), -1.0, 1.0)


CALLS: dict[str, Callable[[Forms, Expression], Found | None]] = {
    "tanh": _plain(a.Tanh),
    "sigmoid": slope(a.Sigmoid),
    "sin": slope(a.Sine),
    "softplus": slope(a.Softplus, divides=True),
    "softsign": _plain(a.Softsign),
    "mish": _plain(a.Mish),
    "gelu": _plain(a.GELU),
    "softmax": _plain(a.Softmax),
    "leaky": _leaky,
    "elu": _elu,
    "selu": _selu,
    "celu": _celu,
    "swish": _swish,
    "hard_sigmoid": _hard_sigmoid,
    "clip": _clip,
    "exp": _exp,
    "log": log,
    "reciprocal": _reciprocal,
    "step_above": _step_above,
    "step_not_below": _plain(a.Threshold),
}


_ADVICE = {
    "hard_swish": (
        "HardSwish, z clip(z / 6 + 1/2), an activation that fastmlp has not",
        "use SiLU, which it resembles",
    ),
    "log_softmax": (
        "LogSoftmax",
        "export the model without it: the largest output is the same, and Softmax gives probabilities",
    ),
}


def _unknown(core: Expression) -> tuple[str, str]:
    """Return what a core is that is no activation, and what to do."""
    advice = "the activations are listed in docs/activations.md"
    if core.kind in ("sum", "product", "max", "where"):
        shown = {"sum": "a sum of", "product": "a product of", "max": "the largest of", "where": "a choice between"}
        others = "or an activation that is not known, or two in a row that are written out"
        return f"{shown[core.kind]} {RESIDUAL}, {others}", f"put a linear layer between those; {advice}"
    name = core.value[0] if core.kind == "call" else core.kind
    return _ADVICE.get(name, (f"a function {name!r} of its input, with the parameters {core.value[1:]}", advice))
