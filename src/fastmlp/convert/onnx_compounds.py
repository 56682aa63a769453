"""Activations that ONNX files write out as products, sums, maxima and choices of functions of one z.

`COMPOUNDS` has the forms of each kind of expression; each returns what it finds, or None. See onnx_activations.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import activations as a
from .functions import SELU_ALPHA, SELU_SCALE, SIGMOID_CORNERS, TANH_CORNERS
from .onnx_activations import Forms, Found, log, logistic, slope
from .onnx_expressions import Expression

STEPWISE = ((a.StepwiseSigmoid, SIGMOID_CORNERS, 0.0), (a.StepwiseTanh, TANH_CORNERS, -1.0))
MIN_THRESHOLD = 15.0  # of a softplus that gives z itself above it: e**-15 / 15 is below half an ULP of float32

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
    argument = logistic(forms, gate[1]) if gate[0] is None else None
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
        found = log(forms, softplus) if softplus.kind == "call" and softplus.value[0] == "log" else None
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
            below = -(m or 0.0) / k
            if 0 <= below <= 1:
                return Found(a.LeakyReLU(below), z, k)
        u = other.args[0]
        if other.value[0] == "log" and k == m and (u.k, u.c) == (1, 1) and u.core.kind == "call":
            v = u.core.args[0]
            is_exp = u.core.value[0] == "exp" and (v.k, v.c) == (-1, 0) and v.core.kind == "call"
            if is_exp and v.core.value[0] == "abs" and v.core.args[0] is z:
                found = slope(a.Softplus, divides=True)(forms, forms.builder.call("softplus", z, core.place))
                return found._replace(k=found.k * k)
    return None


def _rectified(core: Expression) -> Expression | None:
    """Return z where the core is relu(z)."""
    return core.args[0] if core.kind == "call" and core.value == ("clip", 0.0, math.inf) else None


def _largest(forms: Forms, core: Expression) -> Found | None:
    """max(z, s z) = LeakyReLU(z) for 0 <= s < 1."""
    for z, other in (core.args, core.args[::-1]):
        if other.core is z.core and z.k:
            below = other.k / z.k
            if 0 <= below < 1 and forms.near(other.c, below * z.c):
                return Found(a.LeakyReLU(below), z)
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
    above = _above_0(forms, above, d)
    is_ramp = above.core is d.core and above.k > 0 and forms.near(-above.c / above.k, threshold)
    if not is_ramp:
        return None
    if not isinstance(below, Expression):
        return Found(a.ReLU(), above) if below == 0 else None
    if below.core is above.core:
        k = below.k / above.k
        return Found(a.LeakyReLU(k), above) if k >= 0 and forms.near(below.c, k * above.c) else None
    return _exponential(forms, above, below)


def _selected(forms: Forms, core: Expression) -> Found | None:
    """x [z > 0] + y [not z > 0], with conditions as the numbers 1 and 0: x where z > 0, else y."""
    if len(core.terms) != 2 or any(each.kind != "product" or len(each.terms) != 2 for _, each in core.terms):
        return None
    branches = dict[str, tuple[Expression, Expression]]()
    for k, product in core.terms:
        for gate, other in (product.terms, product.terms[::-1]):
            if gate[0] is None and gate[1].kind == "call" and gate[1].value[0] in ("step_above", "step_not_below"):
                branches[gate[1].value[0]] = gate[1].args[0], forms.term(other, k or 0.0)
    if len(branches) != 2:
        return None
    (d, above), (opposite, below) = branches["step_above"], branches["step_not_below"]
    if opposite.core is not d.core or (opposite.k, opposite.c) != (-d.k, -d.c):
        return None
    chosen = forms.builder.where(forms.builder.condition("is_above", d, core.place), above, below, core.place)
    return _chosen(forms, chosen)


def _above_0(forms: Forms, x: Expression, d: Expression) -> Expression:
    """Return what the branch x, which is taken where d > 0, is there: k ELU(z) is k z if z is d up to a factor."""
    core = x.core
    if core.kind != "call" or core.value[0] != "elu" or x.c != 0:
        return x
    z = core.args[0]
    is_d = z.core is d.core and z.k * d.k > 0 and z.c * d.k == d.c * z.k
    return forms.builder.scaled(z, x.k, 0.0, x.place) if is_d else x


def lines(corners: Any) -> list[tuple[float, float, float | None]]:
    """Return x, y and the slope from each corner on; after the last one there is no slope."""
    x, y = corners
    slopes = [*((y[1:] - y[:-1]) / (x[1:] - x[:-1])).tolist(), None]
    return list(zip(x.tolist(), y.tolist(), slopes, strict=True))


def _stepwise(forms: Forms, core: Expression) -> Found | None:
    """A constant below the first of six corners, lines between them, and 1 from the last one on."""
    pieces = list[tuple[float, Expression | float]]()
    z = core.args[0].args[0].core
    below: Expression | float = core
    while isinstance(below, Expression) and below.kind == "where" and len(pieces) < 6:
        condition, (above, following) = below.args[0], below.value
        d = condition.args[0]
        if condition.kind != "is_not_below" or d.core is not z or d.k != 1:
            return None
        pieces.append((-d.c, above))
        below = following
    for f, corners, minimum in STEPWISE:
        expected = lines(corners)[::-1]
        fits = len(pieces) == len(expected) and not isinstance(below, Expression) and below == minimum
        if fits and all(_is_line(forms, z, *pair) for pair in zip(pieces, expected, strict=True)):
            return Found(f(), z)
    return None


def _is_line(forms: Forms, z: Expression, piece: Any, expected: tuple[float, float, float | None]) -> bool:
    (at, value), (x, y, k) = piece, expected
    if k is None or not isinstance(value, Expression):
        return forms.near(at, x) and k is None and bool(value == 1)
    return value.core is z and forms.near(at, x) and forms.near(value.k, k) and forms.near(value.c + 1, y - k * x + 1)


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
    forms.thresholds.append(above.place)
    found = slope(a.Softplus, divides=True)(forms, below.core)
    return found._replace(k=found.k * below.k)


def _exponential(forms: Forms, above: Expression, below: Expression) -> Found | None:
    """s z where z > 0, else s alpha (e^z - 1), written with an exponential or with ELU."""
    if below.core.kind != "call":
        return None
    name, z = below.core.value[0], below.core.args[0]
    factor = 1.0
    if name == "elu" and below.c == 0:
        factor = below.core.value[1]
    elif name != "exp" or not forms.near(below.k, -below.c):
        return None
    if z.core.kind == "call" and z.core.value[0] == "clip" and z.core.value[1:] == (-math.inf, 0.0) and z.k == 1:
        z = z.core.args[0]
    if z.core is not above.core or z.k <= 0 or not forms.near(z.c * above.k, above.c * z.k):
        return None
    scale = above.k / z.k
    alpha = below.k * factor / scale
    if alpha <= 0:
        return None
    if forms.near(alpha, SELU_ALPHA) and forms.near(scale, SELU_SCALE):
        return Found(a.SELU(), z)
    return Found(a.ELU(alpha), z, scale)


COMPOUNDS: dict[str, tuple[Callable[[Forms, Expression], Found | None], ...]] = {
    "product": (_gated,),
    "sum": (_rectifiers, _selected),
    "max": (_largest,),
    "where": (_chosen, _stepwise),
}
