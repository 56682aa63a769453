"""Quantised models: the network that they stand for, in floats.

Weights are dequantised exactly, (w - zero point) scale. What quantising values between the layers rounds is left out,
and `Chain.folded` says so. Exporters remove a ReLU before a quantised value whose zero point is the smallest integer of
its type, as saturation does the same; it is put back here. The model's inputs get no such ReLU: that their smallest
value was 0 when the model was calibrated is no part of the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import onnx_evaluate, onnx_operators
from .onnx_graph import Operation
from .onnx_walk import Array, Rows, Walk, numeric, rows

NOT_NEGATIVE = ("sigmoid", "softmax", "softplus", "exp", "hard_sigmoid", "step_above", "step_not_below")
NOTE = "the quantisation of values between layers"


@dataclass(frozen=True, eq=False)
class Quantised:
    """Rows as integers: round(x / scale) + zero."""

    rows: Rows
    scale: Any
    zero: Any


@dataclass(frozen=True, eq=False)
class Dynamic:
    """An output of DynamicQuantizeLinear: "integers", "scale" or "zero" of rows, the scale times a constant."""

    rows: Rows
    kind: str
    factor: Any = 1.0


@dataclass(frozen=True, eq=False)
class IntegerProduct:
    """Integers of rows times a weight (inputs, outputs): a layer once the scale of the rows and of the weight come."""

    rows: Rows
    weight: Array


def _quantised(walk: Walk, o: Operation, x: Rows, scale: Any, zero: Any) -> Quantised:
    """Return rows as a quantised value, with the ReLU that its zero point stands for."""
    if numeric(o, scale).size == 0 or not (scale > 0).all():
        o.refuse("a scale that is not above 0")
    walk.inexact = True
    walk.folded.append(NOTE)
    core = x.expression.core
    is_input = x.expression.kind == "base" and x.expression.base.weight is None
    is_positive = core.kind == "call" and core.value[0] in NOT_NEGATIVE and x.expression.k > 0 and x.expression.c >= 0
    if onnx_evaluate.cuts_at_zero(o, zero) and not (is_input or is_positive):
        x = onnx_operators.clipped(walk, o, x, 0.0, math.inf)
    return Quantised(x, scale, zero)


def _quantize(walk: Walk, o: Operation, x: Any, scale: Any, zero: Any = None) -> Quantised:
    return _quantised(walk, o, rows(o, x), scale, zero)


def _dequantize(walk: Walk, o: Operation, x: Any, scale: Any, zero: Any = None) -> Rows:
    return _rows(o, x, scale, zero)


def _rows(o: Operation, x: Any, scale: Any, zero: Any) -> Rows:
    """Return the rows of a quantised value, which must be dequantised by the numbers that it was quantised by."""
    if not isinstance(x, Quantised):
        o.refuse("an input that is not a quantised output of the layer before")
    same = np.array_equal(numeric(o, scale), x.scale) and (
        (zero is None and x.zero is None) or np.array_equal(_zero(o, zero), _zero(o, x.zero))
    )
    if not same:
        o.refuse("a scale or a zero point that is not the one that the value was quantised by")
    found: Rows = x.rows
    return found


def _zero(o: Operation, zero: Any) -> Array:
    return np.zeros((), np.int64) if zero is None else numeric(o, zero)


def _weight(o: Operation, b: Any, scale: Any, zero: Any, axis: int) -> Array:
    b = numeric(o, b)
    zero = None if zero is None else numeric(o, zero)
    weight: Array = onnx_evaluate.dequantised(o, b, numeric(o, scale), zero, axis)
    return weight


def _result(walk: Walk, o: Operation, x: Rows, scale: Any, zero: Any) -> Any:
    return x if scale is None else _quantised(walk, o, x, scale, zero)


def _qgemm(walk: Walk, o: Operation, *given: Any) -> Any:
    a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero = onnx_evaluate.padded(given, 9)
    x, trans_b = _rows(o, a, a_scale, a_zero), o.integer("transB", 0) != 0
    if o.integer("transA", 0):
        o.refuse("transposed rows in a quantised layer")
    weight = _weight(o, b, b_scale, b_zero, 0 if trans_b else 1)
    alpha = o.real("alpha", 1.0)
    y = onnx_operators.product(walk, o, x, weight.T if trans_b else weight, True, alpha)
    if c is not None:
        y = walk.biased(o, y, numeric(o, c).astype(np.float64) * alpha * numeric(o, a_scale) * numeric(o, b_scale))
    return _result(walk, o, y, y_scale, y_zero)


def _qlinear_matmul(walk: Walk, o: Operation, a: Any, a_scale: Any, a_zero: Any, *given: Any) -> Any:
    b, b_scale, b_zero, y_scale, y_zero = given
    y = onnx_operators.product(walk, o, _rows(o, a, a_scale, a_zero), _weight(o, b, b_scale, b_zero, -1), True)
    return _result(walk, o, y, y_scale, y_zero)


def _qlinear_binary(name: str) -> Callable[..., Any]:
    def operator(walk: Walk, o: Operation, a: Any, a_scale: Any, a_zero: Any, *given: Any) -> Any:
        b, b_scale, b_zero, y_scale, y_zero = onnx_evaluate.padded(given, 5)
        sides = [
            _weight(o, x, scale, zero, -1) if isinstance(x, np.ndarray) else _rows(o, x, scale, zero)
            for x, scale, zero in ((a, a_scale, a_zero), (b, b_scale, b_zero))
        ]
        return _result(walk, o, onnx_operators.OPERATORS[name](walk, o, *sides), y_scale, y_zero)

    return operator


def _qlinear_unary(name: str) -> Callable[..., Any]:
    def operator(walk: Walk, o: Operation, x: Any, scale: Any, zero: Any, y_scale: Any, y_zero: Any = None) -> Any:
        y = onnx_operators.OPERATORS[name](walk, o, _rows(o, x, scale, zero))
        return _result(walk, o, y, y_scale, y_zero)

    return operator


# ------------------------------------------------------------------------------------------- dynamic quantisation


def _dynamic_quantize(walk: Walk, o: Operation, x: Any) -> tuple[Dynamic, ...]:
    walk.inexact = True
    walk.folded.append(NOTE)
    return tuple(Dynamic(rows(o, x), kind) for kind in ("integers", "scale", "zero"))


def _dynamic(o: Operation, x: Any, kind: str, of: Rows | None = None) -> Dynamic:
    if not isinstance(x, Dynamic) or x.kind != kind or (of is not None and x.rows is not of):
        o.refuse(f"an input that is not the {kind} of DynamicQuantizeLinear")
    found: Dynamic = x
    return found


def _matmul_integer(walk: Walk, o: Operation, a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    x = _dynamic(o, a, "integers").rows
    _dynamic(o, a_zero, "zero", x)
    return IntegerProduct(x, _weight(o, b, np.ones(()), b_zero, -1))


def _cast(walk: Walk, o: Operation, x: Any) -> Any:
    return x if isinstance(x, IntegerProduct) else onnx_operators.OPERATORS["Cast"](walk, o, x)


def _multiply(walk: Walk, o: Operation, a: Any, b: Any) -> Any:
    """Return a product; an integer product times the scales of its rows and weight is a layer."""
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Dynamic):
            if isinstance(y, np.ndarray):
                return Dynamic(_dynamic(o, x, "scale").rows, "scale", x.factor * numeric(o, y).astype(np.float64))
            if not isinstance(y, IntegerProduct):
                o.refuse("a product of a scale with something that is no layer")
            scale = _dynamic(o, x, "scale", y.rows)
            return _scaled(walk, o, y, scale.factor)
    if isinstance(a, IntegerProduct) or isinstance(b, IntegerProduct):
        o.refuse("a product of integers without its scales")
    return onnx_operators.OPERATORS["Mul"](walk, o, a, b)


def _scaled(walk: Walk, o: Operation, x: IntegerProduct, scale: Any) -> Rows:
    scale = np.asarray(scale, np.float64)
    if scale.size not in (1, x.weight.shape[-1]):
        o.refuse(f"a scale of shape {list(scale.shape)} for a weight of shape {list(x.weight.shape)}")
    return onnx_operators.product(walk, o, x.rows, x.weight * scale.reshape(-1), True)


def _dynamic_quantize_matmul(
    walk: Walk, o: Operation, a: Any, b: Any, b_scale: Any, b_zero: Any = None, bias: Any = None
) -> Any:
    walk.inexact = True
    walk.folded.append(NOTE)
    y = onnx_operators.product(walk, o, rows(o, a), _weight(o, b, b_scale, b_zero, -1), True)
    return y if bias is None else walk.biased(o, y, bias)


def _matmul_integer_to_float(walk: Walk, o: Operation, a: Any, b: Any, a_scale: Any, b_scale: Any, *given: Any) -> Any:
    a_zero, b_zero, bias = onnx_evaluate.padded(given, 3)
    x = _dynamic(o, a, "integers").rows
    _dynamic(o, a_zero, "zero", x)
    factor = _dynamic(o, a_scale, "scale", x).factor
    y = onnx_operators.product(walk, o, x, _weight(o, b, b_scale, b_zero, -1) * factor, True)
    return y if bias is None else walk.biased(o, y, bias)


OPERATORS: dict[str, Callable[..., Any]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "com.microsoft.QuantizeLinear": _quantize,
    "com.microsoft.DequantizeLinear": _dequantize,
    "com.microsoft.QGemm": _qgemm,
    "QLinearMatMul": _qlinear_matmul,
    "com.microsoft.QLinearAdd": _qlinear_binary("Add"),
    "com.microsoft.QLinearMul": _qlinear_binary("Mul"),
    "com.microsoft.QLinearSigmoid": _qlinear_unary("Sigmoid"),
    "com.microsoft.QLinearLeakyRelu": _qlinear_unary("LeakyRelu"),
    "com.microsoft.QLinearSoftmax": _qlinear_unary("Softmax"),
    "DynamicQuantizeLinear": _dynamic_quantize,
    "MatMulInteger": _matmul_integer,
    "com.microsoft.DynamicQuantizeMatMul": _dynamic_quantize_matmul,
    "com.microsoft.MatMulIntegerToFloat": _matmul_integer_to_float,
    "Cast": _cast,
    "Mul": _multiply,
}
