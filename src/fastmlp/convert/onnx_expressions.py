"""Elementwise expressions: what a graph computes between two linear layers, and the steps of a chain that say the same.

An `Expression` is a node of a graph of formulas: an argument, numbers, and a kind. A `Builder` makes each one once, so
that equal formulas are the same object. Each expression knows itself as `k core + c` with plain numbers k and c, where
`core` is no such formula again: 0.5 x (1 + erf(x / sqrt 2)) is 0.5 times a product core of x and 1 + erf, however the
factors are ordered in the file. onnx_activations.py compares cores with the activations.

A `Base` is where expressions begin: the model's inputs, or a linear layer of an expression of the base before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .chain import Affine, Linear, refuse

Array = NDArray[np.float64]
Number = float | Array  # an array has a number for each column
MAX_TERMS = 4  # of a product or a sum

RESIDUAL = "two branches that meet (a residual connection, a gate or an attention)"


@dataclass(eq=False)
class Base:
    """The inputs, or a linear layer: y = x W^T + b, where `argument` computes x, and b is None until one is said."""

    columns: int
    argument: Expression | None = None
    weight: Array | None = None
    bias: Array | None = None
    place: str = ""

    @property
    def linear(self) -> Linear | None:
        """The layer as a step, or None for the inputs."""
        if self.weight is None:
            return None
        bias = np.zeros(self.columns) if self.bias is None else self.bias
        return Linear(self.weight, bias, self.place)


@dataclass(eq=False)
class Expression:
    """A formula of one column, or of one column with a number for each.

    kind: "base"; "add", "subtract", "multiply", "divide" by `value`, "reversed" (value - x); "call" of the function
    `value[0]` with the other elements as its parameters; "product" of `terms` (r, core), each 1 + r core or, where r
    is None, core; "sum" of `terms` k core; "max"; "where"; "is_above" and "is_not_below" 0.
    """

    kind: str
    base: Base
    args: tuple[Expression, ...]
    value: Any
    place: str
    terms: tuple[tuple[float | None, Expression], ...] = ()
    k: float = 1.0
    c: float = 0.0
    core: Expression = field(init=False)

    def __post_init__(self) -> None:
        self.core = self


class Builder:
    """Makes expressions, each once."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}
        self._kept: list[Any] = []  # arrays whose ids are in keys

    def base(self, base: Base) -> Expression:
        """Return what a base gives."""
        return self._make("base", base, (), None, base.place)

    def with_bias(self, expression: Expression, bias: Array, place: str) -> Expression:
        """Return what a layer without a bias gives when the bias is added to it."""
        base = expression.base
        key = ("bias", id(base), bias.tobytes())
        if key not in self._made:
            self._kept.append(base)
            self._made[key] = Base(base.columns, base.argument, base.weight, bias, base.place)
        return self.base(self._made[key])

    def affine(self, kind: str, x: Expression, value: Number, place: str) -> Expression:
        """Return x + value, x - value, x * value, x / value or value - x."""
        number = np.asarray(value, np.float64)
        if not np.isfinite(number).all() or (kind == "divide" and not number.all()):
            refuse(place, "a constant that is not finite, or a division by 0")
        if number.size == 1:
            value = float(number.reshape(-1)[0])
        made = self._make(kind, x.base, (x,), value, place)
        if isinstance(value, float) and made.core is made:
            made.core = x.core
            made.k, made.c = {
                "add": (x.k, x.c + value),
                "subtract": (x.k, x.c - value),
                "multiply": (x.k * value, x.c * value),
                "divide": (x.k / value if value else 0.0, x.c / value if value else 0.0),
                "reversed": (-x.k, value - x.c),
            }[kind]
        return made

    def scaled(self, x: Expression, k: float, c: float, place: str) -> Expression:
        """Return k x + c."""
        if k != 1:
            x = self.affine("multiply", x, k, place)
        return self.affine("add", x, c, place) if c != 0 else x

    def call(self, name: str, x: Expression, place: str, *parameters: Any) -> Expression:
        """Return a function's value."""
        return self._make("call", x.base, (x,), (name, *parameters), place)

    def condition(self, kind: str, x: Expression, place: str) -> Expression:
        """Return the condition x > 0 ("is_above") or x >= 0 ("is_not_below")."""
        return self._make(kind, x.base, (x,), None, place)

    def product(self, x: Expression, y: Expression, place: str) -> Expression:
        """Return x y; factors for each column are taken out of it, as optimisers move those of a BatchNorm into it."""
        self._check_same(x, y, place)
        inner, taken_out = list[Expression](), list[Expression]()
        for each in (x, y):
            while _scales_columns(each.core) and each.c == 0 and len(taken_out) < MAX_TERMS:
                taken_out.append(each.core)
                each = self.scaled(each.core.args[0], each.k, 0.0, place)
            inner.append(each)
        coefficient, terms = 1.0, list[tuple[float | None, Expression]]()
        for each in inner:
            if each.c != 0:
                coefficient *= each.c
                terms.append((each.k / each.c, each.core))
            elif each.core.kind == "product":
                coefficient *= each.k
                terms += each.core.terms
            else:
                coefficient *= each.k
                terms.append((None, each.core))
        made = self._of_terms("product", x.base, terms, coefficient, 0.0, place)
        for each in taken_out:
            made = self.affine(each.kind, made, each.value, place)
        return made

    def sum(self, x: Expression, y: Expression, place: str) -> Expression:
        """Return x + y."""
        self._check_same(x, y, place)
        if x.core is y.core:
            return self.scaled(x.core, x.k + y.k, x.c + y.c, place)
        terms = list[tuple[float | None, Expression]]()
        for each in (x, y):
            inner = each.core.terms if each.core.kind == "sum" else ((1.0, each.core),)
            terms += [(each.k * (k or 0.0), core) for k, core in inner]
        return self._of_terms("sum", x.base, terms, 1.0, x.c + y.c, place)

    def largest(self, x: Expression, y: Expression, place: str) -> Expression:
        """Return max(x, y)."""
        self._check_same(x, y, place)
        return self._make("max", x.base, (x, y), None, place)

    def where(self, condition: Expression, x: Expression | float, y: Expression | float, place: str) -> Expression:
        """Return x where the condition holds, else y."""
        for each in (x, y):
            if isinstance(each, Expression):
                self._check_same(condition, each, place)
        args = tuple(each for each in (condition, x, y) if isinstance(each, Expression))
        return self._make("where", condition.base, args, (x, y), place)

    def _of_terms(self, kind: str, base: Base, terms: Any, k: float, c: float, place: str) -> Expression:
        if len(terms) > MAX_TERMS:
            refuse(place, f"a {kind} of more than {MAX_TERMS} terms")
        terms = tuple(sorted(terms, key=lambda term: (id(term[1]), str(term[0]))))
        made = self._make(kind, base, tuple(core for _, core in terms), tuple(r for r, _ in terms), place)
        made.terms = terms
        return self.scaled(made, k, c, place)

    @staticmethod
    def _check_same(x: Expression, y: Expression, place: str) -> None:
        if x.base is not y.base:
            refuse(place, RESIDUAL, "a network of layers in sequence can be imported")

    def _make(self, kind: str, base: Base, args: tuple[Expression, ...], value: Any, place: str) -> Expression:
        shown = tuple(map(_key, value)) if isinstance(value, tuple) else _key(value)
        key = kind, id(base), tuple(map(id, args)), shown
        if key not in self._made:
            self._kept += [value, base]
            self._made[key] = Expression(kind, base, args, value, place)
        made: Expression = self._made[key]
        return made


def _scales_columns(expression: Expression) -> bool:
    return expression.kind in ("multiply", "divide") and isinstance(expression.value, np.ndarray)


def _key(value: Any) -> Any:
    return ("id", id(value)) if isinstance(value, (np.ndarray, Expression)) else value


AFFINE = ("add", "subtract", "multiply", "divide", "reversed")


def affine_steps(run: list[Expression], columns: int) -> list[Affine]:
    """Return the steps of additions and multiplications, in the order in which they are computed.

    A difference and the quotient after it are one step of these very numbers, as scalers write it; so are a product
    and the sum after it.
    """
    steps, at = list[Affine](), 0
    while at < len(run):
        first, second = run[at], run[at + 1] if at + 1 < len(run) else None
        value, next_value = (_numbers(each, columns) for each in (first, second))
        pair = first.kind, second.kind if second is not None else ""
        if pair in PAIRS and not (pair[1] == "multiply" and (next_value == 0).any()):
            at += 1
        else:
            pair, next_value = (first.kind, ""), None
        steps.append(_step(pair, value, next_value, first.place))
        at += 1
    return steps


PAIRS = (
    ("subtract", "divide"),
    ("subtract", "multiply"),
    ("add", "divide"),
    ("add", "multiply"),
    ("multiply", "add"),
    ("multiply", "subtract"),
)


def _numbers(expression: Expression | None, columns: int) -> Any:
    return None if expression is None else np.broadcast_to(np.asarray(expression.value, np.float64), (columns,))


def _step(pair: tuple[str, str], value: Array, second: Any, place: str) -> Affine:
    """Return the step of one operation, or of two."""
    kind, following = pair
    if kind == "multiply":
        shift = np.zeros_like(value) if second is None else second if following == "add" else -second
        return Affine.times(value, shift, place)
    if kind == "divide":
        return Affine(np.zeros_like(value), value, place)
    if kind == "reversed":
        return Affine.times(-np.ones_like(value), value, place)
    scale = np.ones_like(value) if second is None else second if following == "divide" else 1 / second
    return Affine(value if kind == "subtract" else -value, scale, place)
