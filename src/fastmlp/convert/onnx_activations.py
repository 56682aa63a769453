"""Activations as ONNX files write them: as one node, or written out in several.

`steps` turns the expression between two layers into steps of a chain. Each core (see onnx_expressions.py) is compared
with the forms of the table of its kind; a form that fits gives `Found`: core = k f(argument) + c. The numbers k and c
join the factors around the core: 0.5 x (1 + erf(x / sqrt 2)) and softplus(beta x) / beta leave nothing over. Numbers
of a form are compared within the rounding of the file's dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import activations as a
from ..activations import Activation
from .chain import Activate, Affine, Step, refuse
from .onnx_expressions import AFFINE, RESIDUAL, Builder, Expression, affine_steps

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
MIN_THRESHOLD = 15.0  # of a softplus that gives z itself above it: e**-15 / 15 is below half an ULP of float32


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

    def __init__(self, builder: Builder, rounding: float) -> None:
        self.builder, self.rounding = builder, rounding
        self.inexact = False  # whether a form was found that loses digits where the activation does not

    def near(self, x: float, y: float) -> bool:
        """Whether two numbers are equal up to the rounding of the file's dtype."""
        return abs(x - y) <= 16 * self.rounding * max(abs(x), abs(y))

    def find(self, core: Expression) -> Found:
        """Return the activation that a core says; refuse it if there is none."""
        if core.kind == "call":
            form = CALLS.get(core.value[0])
            found = form(self, core) if form is not None else None
        else:
            found = next(filter(None, (form(self, core) for form in FORMS.get(core.kind, ()))), None)
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
        return self.builder.scaled(core, k, 0.0, core.place) if r is None else self.builder.scaled(core, k * r, k, core.place)

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


def _slope(kind: Callable[..., Activation], divides: bool = False) -> Callable[[Forms, Expression], Found]:
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


def _log(forms: Forms, core: Expression) -> Found | None:
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
    argument = _logistic(forms, core)
    return None if argument is None else Found(a.Sigmoid(), argument)


def _logistic(forms: Forms, core: Expression) -> Expression | None:
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
    "sigmoid": _slope(a.Sigmoid),
    "sin": _slope(a.Sine),
    "softplus": _slope(a.Softplus, divides=True),
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
    "log": _log,
    "reciprocal": _reciprocal,
    "step_above": _step_above,
    "step_not_below": _plain(a.Threshold),
}


# ---------------------------------------------------------------------------------------------------- products, sums

Term = tuple[float | None, Expression]


def _gated(forms: Forms, core: Expression) -> Found | None:
    """A factor z times a function of z."""
    if len(core.terms) != 2:
        return None
    for z, gate in (core.terms, core.terms[::-1]):
        if gate[1].kind == "call":
            for form in GATES:
                found = form(forms, z, gate, core.place)
                if found is not None:
                    return found
    return None


def _silu(forms: Forms, z: Term, gate: Term, place: str) -> Found | None:
    """z sigmoid(b z) = SiLU(b z) / b."""
    argument = _logistic(forms, gate[1]) if gate[0] is None else None
    b = None if argument is None else forms.multiple(z, argument)
    if not b:
        return None
    b = forms.snapped(b)
    return Found(a.SiLU(), forms.term(z, b), 1 / b)


def _gelu(forms: Forms, z: Term, gate: Term, place: str) -> Found | None:
    """z (1 + erf(b z)) = sqrt 2 / b GELU(sqrt 2 b z), and z erfc(-b z) alike; z (1 + tanh(...)) by _tanh_gelu."""
    (r, core), name = gate, gate[1].value[0]
    sign = {("erf", True): 1.0, ("erfc", False): -1.0}.get((name, r is not None))
    if name == "tanh" and r is not None:
        return _tanh_gelu(forms, z, core.args[0]) if forms.near(r, 1) else None
    if sign is None or (r is not None and not forms.near(abs(r), 1)):
        return None
    b = forms.multiple(z, core.args[0])
    if not b:
        return None
    b = forms.snapped(sign * b * (1.0 if r is None else r) * math.sqrt(2))
    return Found(a.GELU(), forms.term(z, b), 2 / b)


def _tanh_gelu(forms: Forms, z: Term, u: Expression) -> Found | None:
    """z (1 + tanh(sqrt(2 / pi) (y + 0.044715 y^3))) = 2 / s GELU(y) with y = s z."""
    linear, cubic = None, None
    if u.core.kind == "sum" and len(u.core.terms) == 2:
        for k, core in u.core.terms:
            factor, power = u.k * (k or 0.0), forms.power(z, core)
            if core is z[1]:  # of y = l (1 + r core), l is the sum's constant
                b = forms.multiple(z, forms.builder.scaled(core, factor, u.c, core.place))
                linear = b if b else None
            elif power is not None and power[0] == 3:
                cubic = factor * power[1]
    elif u.c == 0 and u.core.kind == "product":  # y (1 + 0.044715 y^2)
        rest = [term for term in u.core.terms if term != z]
        if len(rest) == 1 and rest[0][0] is not None:
            square = forms.power(z, rest[0][1])
            if square is not None and square[0] == 2:
                linear, cubic = u.k, u.k * rest[0][0] * square[1]
    if linear is None or cubic is None:
        return None
    s = forms.snapped(linear / math.sqrt(2 / math.pi))
    if not math.isclose(cubic, math.sqrt(2 / math.pi) * 0.044715 * s**3, rel_tol=max(64 * forms.rounding, 1e-12)):
        return None
    return Found(a.GELU("tanh"), forms.term(z, s), 2 / s)


def _mish(forms: Forms, z: Term, gate: Term, place: str) -> Found | None:
    """z tanh(log(1 + e^z))."""
    inner = gate[1].args[0]
    if gate[0] is not None or gate[1].value[0] != "tanh" or (inner.k, inner.c) != (1, 0):
        return None
    softplus = inner.core
    if softplus.kind == "call" and softplus.value[0] == "softplus":
        argument = softplus.args[0]
    else:
        found = _log(forms, softplus) if softplus.kind == "call" and softplus.value[0] == "log" else None
        if found is None or found.k != 1:
            return None
        argument = found.argument
    b = forms.multiple(z, argument)
    return Found(a.Mish(), argument) if b is not None and forms.near(b, 1) else None


def _softsign(forms: Forms, z: Term, gate: Term, place: str) -> Found | None:
    """z / (1 + |b z|) = softsign(b z) / b for b > 0."""
    if gate[0] is not None or gate[1].value[0] != "reciprocal":
        return None
    u = gate[1].args[0]
    if u.core.kind != "call" or u.core.value[0] != "abs" or u.c != 1 or u.k <= 0:
        return None
    b = forms.multiple(z, u.core.args[0])
    if not b:
        return None
    b = abs(b) * u.k
    return Found(a.Softsign(), forms.term(z, b), 1 / b)


GATES = (_silu, _gelu, _mish, _softsign)


def _rectifiers(forms: Forms, core: Expression) -> Found | None:
    """relu(z) - s relu(-z) = LeakyReLU(z); relu(z) + log(1 + e^-|z|) = softplus(z)."""
    if len(core.terms) != 2:
        return None
    for (k, relu), (m, other) in (core.terms, core.terms[::-1]):
        z = _rectified(relu)
        if z is None or not k or other.kind != "call":
            continue
        mirrored = _rectified(other)
        if mirrored is not None and mirrored.core is z.core and (mirrored.k, mirrored.c) == (-z.k, -z.c):
            slope = -(m or 0.0) / k
            if 0 <= slope <= 1:
                return Found(a.LeakyReLU(slope), z, k)
        u = other.args[0]
        if other.value[0] == "log" and k == m and (u.k, u.c) == (1, 1) and u.core.kind == "call":
            v = u.core.args[0]
            is_exp = u.core.value[0] == "exp" and (v.k, v.c) == (-1, 0) and v.core.kind == "call"
            if is_exp and v.core.value[0] == "abs" and v.core.args[0] is z:
                found = _slope(a.Softplus, divides=True)(forms, forms.builder.call("softplus", z, core.place))
                return found._replace(k=found.k * k)
    return None


def _rectified(core: Expression) -> Expression | None:
    """Return z where the core is relu(z)."""
    return core.args[0] if core.kind == "call" and core.value == ("clip", 0.0, math.inf) else None


def _largest(forms: Forms, core: Expression) -> Found | None:
    """max(z, s z) = LeakyReLU(z) for 0 <= s < 1."""
    for z, other in (core.args, core.args[::-1]):
        if other.core is z.core and z.k:
            slope = other.k / z.k
            if 0 <= slope < 1 and forms.near(other.c, slope * z.c):
                return Found(a.LeakyReLU(slope), z)
    return None


def _chosen(forms: Forms, core: Expression) -> Found | None:
    """A value where z is above a number, and another where it is not."""
    condition, (above, below) = core.args[0], core.value
    d = condition.args[0]
    if isinstance(above, float) and isinstance(below, float):
        if above == below:
            return None
        kind = "step_above" if condition.kind == "is_above" else "step_not_below"
        found = forms.find(forms.builder.call(kind, d, core.place))
        scale = above - below
        return found._replace(k=found.k * scale, c=found.c * scale + below)
    if not isinstance(above, Expression):
        return None
    if d.k < 0:  # z < t: the value below comes first
        return None
    threshold = -d.c / d.k
    if isinstance(below, Expression) and below.core.kind == "call" and below.core.value[0] == "softplus":
        return _softplus_with_threshold(forms, d, above, below)
    is_ramp = above.core is d.core and above.k > 0 and forms.near(-above.c / above.k, threshold)
    if not is_ramp:
        return None
    if not isinstance(below, Expression):
        return Found(a.ReLU(), above) if below == 0 else None
    if below.core is above.core:
        slope = below.k / above.k
        return Found(a.LeakyReLU(slope), above) if slope >= 0 and forms.near(below.c, slope * above.c) else None
    return _exponential(forms, above, below)


def _softplus_with_threshold(forms: Forms, d: Expression, above: Expression, below: Expression) -> Found | None:
    """z where b z > t, else softplus(b z) / b, with a t so large that both are the same in float32."""
    z = below.core.args[0]
    if above.core is not z.core or d.core is not z.core or below.c != 0:
        return None
    if not (forms.near(below.k * z.k, above.k) and forms.near(below.k * z.c, above.c)):
        return None
    at = (-d.c / d.k) * z.k + z.c  # the argument of softplus where the other branch begins
    if at < MIN_THRESHOLD:
        return None
    found = _slope(a.Softplus, divides=True)(forms, below.core)
    return found._replace(k=found.k * below.k)


def _exponential(forms: Forms, above: Expression, below: Expression) -> Found | None:
    """s z where z > 0, else s alpha (e^z - 1)."""
    if below.core.kind != "call" or below.core.value[0] != "exp" or not forms.near(below.k, -below.c):
        return None
    z = below.core.args[0]
    if z.core.kind == "call" and z.core.value[0] == "clip" and z.core.value[1:] == (-math.inf, 0.0) and z.k == 1:
        z = z.core.args[0]
    if z.core is not above.core or z.k <= 0 or not forms.near(z.c * above.k, above.c * z.k):
        return None
    scale = above.k / z.k
    alpha = below.k / scale
    if alpha <= 0:
        return None
    if forms.near(alpha, SELU_ALPHA) and forms.near(scale, SELU_SCALE):
        return Found(a.SELU(), z)
    return Found(a.ELU(alpha), z, scale)


FORMS: dict[str, tuple[Callable[[Forms, Expression], Found | None], ...]] = {
    "product": (_gated,),
    "sum": (_rectifiers,),
    "max": (_largest,),
    "where": (_chosen,),
}

_ADVICE = {
    "hard_swish": ("HardSwish, z clip(z / 6 + 1/2), an activation that fastmlp has not", "use SiLU, which it resembles"),
    "log_softmax": ("LogSoftmax", "export the model without it: the largest output is the same, and `predict` gives probabilities if it ends in Softmax"),
}


def _unknown(core: Expression) -> tuple[str, str]:
    """Return what a core is that is no activation, and what to do."""
    advice = "the activations are listed in docs/activations.md"
    if core.kind in ("sum", "product", "max", "where"):
        shown = {"sum": "a sum of", "product": "a product of", "max": "the largest of", "where": "a choice between"}
        return f"{shown[core.kind]} {RESIDUAL}, or an activation that is not known", advice
    name = core.value[0] if core.kind == "call" else core.kind
    return _ADVICE.get(name, (f"a function {name!r} of its input, with the parameters {core.value[1:]}", advice))
