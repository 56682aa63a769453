"""What ONNX's operators make of rows: dense layers, arithmetic with constants, activations, and moves of the shape.

`OPERATORS` has a function for each operator that can have rows as an input. Elementwise functions that onnx_activations
.py knows are only named here. See onnx_walk.py for what the functions take and return.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import onnx_evaluate, onnx_layout
from .functions import SELU_ALPHA, SELU_SCALE
from .onnx_expressions import RESIDUAL, Expression
from .onnx_graph import Operation
from .onnx_tensors import FLOATS
from .onnx_walk import DIGITS, Rounding, Rows, Walk, numeric, rows, scalar

Array = NDArray[Any]
Operator = Callable[..., Any]
DTYPES = {1: "float32", 10: "float16", 11: "float64", 16: "bfloat16"}


# -------------------------------------------------------------------------------------------------------- layers


def _gemm(walk: Walk, o: Operation, a: Any, b: Any, c: Any = None) -> Rows:
    """Return Gemm: alpha A' B' + beta C, with the weight as B, or as A before transposed rows."""
    a_is_rows = isinstance(a, Rows)
    transposed = (o.integer("transA", 0) != 0, o.integer("transB", 0) != 0)
    if isinstance(a, Rows) == isinstance(b, Rows):
        o.refuse(RESIDUAL, "a network of layers in sequence can be imported")
    x, constant = (a, b) if a_is_rows else (b, a)
    shape = x.shape[::-1] if transposed[0 if a_is_rows else 1] else x.shape
    weight = numeric(o, constant)
    weight = weight.T if transposed[1 if a_is_rows else 0] else weight
    alpha = o.real("alpha", 1.0)
    result = product(walk, o, walk.on(x, x.expression, shape), weight, a_is_rows, alpha)
    if c is None or o.real("beta", 1.0) == 0:
        return result
    if not isinstance(c, np.ndarray):
        o.refuse(RESIDUAL, "a network of layers in sequence can be imported")
    c = numeric(o, c)
    return walk.biased(o, result, c.astype(np.float64) * o.real("beta", 1.0))


def product(walk: Walk, o: Operation, x: Rows, weight: Array, x_is_first: bool, alpha: float = 1.0) -> Rows:
    """Return the matrix product of rows and a weight (inputs, outputs), or of a weight (outputs, inputs) and rows."""
    weight = weight.astype(np.float64)
    if weight.ndim > 2 and all(size == 1 for size in weight.shape[:-2]):
        weight = weight.reshape(weight.shape[-2:])
    axis = -1 if x_is_first else -2
    is_vector = weight.ndim == 1
    if is_vector:
        weight = weight[:, np.newaxis] if x_is_first else weight[np.newaxis]
    if weight.ndim != 2 or len(x.shape) < 2 or x.shape[axis] != x.columns:
        o.refuse(
            f"a product of a weight of shape {list(weight.shape)} and rows of shape {list(x.shape)} (None: the batch)",
            "export a network whose rows have one dimension; a layer for each of several positions is no dense layer",
        )
    x = walk.settled(x, between_layers=True)
    w = weight.T if x_is_first else weight
    shape = list(x.shape)
    shape[axis] = w.shape[0]
    if is_vector:
        del shape[axis]
    return walk.layer(o, x, w if alpha == 1 else w * alpha, tuple(shape))


def _matmul(walk: Walk, o: Operation, a: Any, b: Any) -> Rows:
    if isinstance(a, Rows) == isinstance(b, Rows):
        o.refuse(RESIDUAL, "a network of layers in sequence can be imported")
    if isinstance(a, Rows):
        return product(walk, o, a, numeric(o, b), True)
    return product(walk, o, rows(o, b), numeric(o, a), False)


def _fused_matmul(walk: Walk, o: Operation, a: Any, b: Any) -> Rows:
    x, weight = rows(o, a), numeric(o, b)
    if o.integer("transA", 0) or o.integer("transBatchA", 0) or o.integer("transBatchB", 0):
        o.refuse("transposed rows", "export it without onnxruntime's optimisation")
    weight = np.swapaxes(weight, -1, -2) if o.integer("transB", 0) and weight.ndim > 1 else weight
    return product(walk, o, x, weight, True, o.real("alpha", 1.0))


FUSED: dict[str, Callable[[Operation], tuple[Any, ...]]] = {  # activation of FusedGemm: the call with its parameters
    "Relu": lambda o: ("clip", 0.0, math.inf),
    "Sigmoid": lambda o: ("sigmoid",),
    "Tanh": lambda o: ("tanh",),
    "LeakyRelu": lambda o: ("leaky", o.real("activation_alpha", 0.01)),
    "Elu": lambda o: ("elu", o.real("activation_alpha", 1.0)),
    "Softplus": lambda o: ("softplus",),
    "Softsign": lambda o: ("softsign",),
    "HardSigmoid": lambda o: ("hard_sigmoid", o.real("activation_alpha", 0.2), o.real("activation_beta", 0.5)),
}


def _fused_gemm(walk: Walk, o: Operation, *given: Any) -> Rows:
    x, name = _gemm(walk, o, *given), o.text("activation", "")
    if not name:
        return x
    if name not in FUSED:
        o.refuse(f"the activation {name!r:.40}", "export it without onnxruntime's optimisation")
    return walk.call(o, FUSED[name](o)[0], x, *FUSED[name](o)[1:])


def _batch_normalization(walk: Walk, o: Operation, x: Any, *given: Any) -> Rows:
    """Return (x - mean) / sqrt(variance + epsilon) * scale + B for each column."""
    x = rows(o, x)
    if o.integer("training_mode", 0) or len(o.outputs) > 1 or (o.opset < 9 and not o.integer("spatial", 1)):
        o.refuse("a BatchNormalization in training", "export the model for inference, with model.eval()")
    if len(x.shape) < 2 or x.shape[0] is not None or len(given) != 4:
        o.refuse(f"a BatchNormalization of the shape {list(x.shape)} (None: the batch)")
    channels = x.shape[1]
    scale, b, mean, variance = (numeric(o, each).astype(np.float64).reshape(-1) for each in given)
    if any(each.shape != (channels,) for each in (scale, b, mean, variance)) or (variance < 0).any():
        o.refuse(f"numbers of the shapes {[list(each.shape) for each in given]} for {channels} columns")
    factor = scale / np.sqrt(variance + o.real("epsilon", 1e-5))
    sizes = [channels] + [1] * (len(x.shape) - 2)
    x = walk.affine(o, "subtract", x, mean.reshape(sizes)) if mean.any() else x
    return walk.affine(o, "add", walk.affine(o, "multiply", x, factor.reshape(sizes)), b.reshape(sizes))


def _scaler(walk: Walk, o: Operation, x: Any) -> Rows:
    """Return (x - offset) * scale of ai.onnx.ml."""
    x = rows(o, x)
    offset, scale = np.array(o.reals("offset") or [0.0]), np.array(o.reals("scale") or [1.0])
    x = Rows(x.expression, x.shape, "float32" if x.dtype == "integer" else x.dtype)
    return walk.affine(o, "multiply", walk.affine(o, "subtract", x, offset), scale)


# ----------------------------------------------------------------------------------------------------- arithmetic


def _binary(kind: str, reverse: str, both: Operator) -> Operator:
    def operator(walk: Walk, o: Operation, a: Any, b: Any) -> Any:
        if any(isinstance(each, Rows) and each.dtype == "integer" for each in (a, b)):
            o.refuse("arithmetic of integers, which rounds and wraps", "convert the inputs to floats before it (Cast)")
        if isinstance(a, Rows) and isinstance(b, Rows):
            a, b = walk.settled(a), walk.settled(b)
            return walk.on(a, both(walk, o, a, b), _same_shape(o, a, b))
        is_first = isinstance(a, Rows)
        x, constant = (a, b) if is_first else (rows(o, b), a)
        name = o.inputs[0 if is_first else 1]
        if walk.uses[name] == 1 and (kind == "add" or (kind == "subtract" and is_first)):
            return walk.biased(o, x, constant, 1.0 if kind == "add" else -1.0)
        if is_first or reverse != "quotient":
            return walk.affine(o, kind if is_first else reverse, x, constant)
        return walk.affine(o, "multiply", walk.call(o, "reciprocal", x), constant)

    return operator


def _same_shape(o: Operation, a: Rows, b: Rows) -> Any:
    if a.columns != b.columns or onnx_layout.row(a.shape) != onnx_layout.row(b.shape):
        o.refuse(RESIDUAL, "a network of layers in sequence can be imported")
    return a.shape


def _sum(walk: Walk, o: Operation, a: Rows, b: Rows) -> Expression:
    return walk.builder.sum(a.expression, b.expression, o.place)


def _difference(walk: Walk, o: Operation, a: Rows, b: Rows) -> Expression:
    return walk.builder.sum(a.expression, walk.builder.scaled(b.expression, -1.0, 0.0, o.place), o.place)


def _product(walk: Walk, o: Operation, a: Rows, b: Rows) -> Expression:
    return walk.builder.product(a.expression, b.expression, o.place)


def _quotient(walk: Walk, o: Operation, a: Rows, b: Rows) -> Expression:
    return walk.builder.product(a.expression, walk.builder.call("reciprocal", b.expression, o.place), o.place)


def _power(walk: Walk, o: Operation, x: Any, exponent: Any) -> Rows:
    z, n = rows(o, x), scalar(o, exponent)
    if n == 1:
        return z
    if n in (2, 3):
        square = walk.builder.product(z.expression, z.expression, o.place)
        return walk.on(z, square if n == 2 else walk.builder.product(square, z.expression, o.place))
    return walk.call(o, "reciprocal" if n == -1 else f"power {n}", z)


def _several(function: Operator) -> Operator:
    def operator(walk: Walk, o: Operation, first: Any, *others: Any) -> Any:
        if len(others) > 8:
            o.refuse("more than 9 inputs")
        for other in others:
            first = function(walk, o, first, other)
        return first

    return operator


def _extreme(name: str) -> Operator:
    """Make Max or Min of rows with a number, or of two formulas of the same rows."""

    def operator(walk: Walk, o: Operation, a: Any, b: Any) -> Any:
        if not isinstance(a, Rows):
            if not isinstance(b, Rows):
                return (np.maximum if name == "max" else np.minimum)(numeric(o, a), numeric(o, b))
            a, b = b, a
        if not isinstance(b, Rows):
            number = scalar(o, b)
            return clipped(walk, o, a, *((number, math.inf) if name == "max" else (-math.inf, number)))
        if name == "min":
            o.refuse("the smaller of two branches")
        return walk.on(a, walk.builder.largest(a.expression, b.expression, o.place), _same_shape(o, a, b))

    return _several(operator)


def clipped(walk: Walk, o: Operation, x: Rows, low: float, high: float) -> Rows:
    """Return x clipped to bounds; a clip of a clip is one."""
    if math.isnan(low) or math.isnan(high) or low == math.inf or high == -math.inf:
        o.refuse(f"the bounds {low} and {high}")
    inner = x.expression
    if inner.kind == "call" and inner.value[0] == "clip":
        (_, below, above), inner = inner.value, inner.args[0]
        low, high = min(max(below, low), high), min(max(above, low), high)
    if low == -math.inf and high == math.inf:
        return x
    return walk.on(x, walk.builder.call("clip", inner, o.place, low, high))


def _clip(walk: Walk, o: Operation, x: Any, low: Any = None, high: Any = None) -> Rows:
    largest = float(np.finfo(np.float32).max)
    bounds = []
    for name, given, default in (("min", low, -math.inf), ("max", high, math.inf)):
        bound = (o.real(name, default) if o.has(name) else default) if given is None else scalar(o, given)
        bounds.append(default if abs(bound) >= largest else bound)
    return clipped(walk, o, rows(o, x), *bounds)


# ---------------------------------------------------------------------------------------------------- activations


def _call(name: str, *attributes: tuple[str, float]) -> Operator:
    def operator(walk: Walk, o: Operation, x: Any) -> Rows:
        parameters = [o.real(attribute, default) for attribute, default in attributes]
        return walk.call(o, name, rows(o, x), *parameters)

    return operator


def _gelu(walk: Walk, o: Operation, x: Any, bias: Any = None) -> Rows:
    """Return Gelu, or onnxruntime's FastGelu and BiasGelu, which add a bias first."""
    x = rows(o, x)
    x = x if bias is None else walk.affine(o, "add", x, bias)
    kind = "tanh" if o.operator.endswith("FastGelu") else o.text("approximate", "none")
    if kind not in ("none", "tanh"):
        o.refuse(f"the form {kind!r:.40} of Gelu")
    return walk.call(o, "gelu", x, kind)


def _prelu(walk: Walk, o: Operation, x: Any, slope: Any) -> Rows:
    return walk.call(o, "leaky", rows(o, x), scalar(o, slope))


def _thresholded_relu(walk: Walk, o: Operation, x: Any) -> Rows:
    if o.real("alpha", 1.0) != 0:
        o.refuse("ThresholdedRelu with a threshold that is not 0", "the activations are listed in docs/activations.md")
    return clipped(walk, o, rows(o, x), 0.0, math.inf)


def _softmax(walk: Walk, o: Operation, x: Any) -> Rows:
    x = rows(o, x)
    axes = onnx_evaluate.softmax_axes(o, len(x.shape))
    others = [size for i, size in enumerate(x.shape) if i not in axes]
    over = [x.shape[i] for i in axes if 0 <= i < len(x.shape)]
    if None in over or any(size != 1 for size in others if size is not None) or x.columns == 1:
        o.refuse(f"a softmax over the axes {list(axes)} of the shape {list(x.shape)} (None: the batch)")
    return walk.call(o, "softmax", x)


def _compare(kind: str, swapped: bool) -> Operator:
    """Make a > b ("is_above") or a >= b ("is_not_below"); with swapped sides for Less and LessOrEqual."""

    def operator(walk: Walk, o: Operation, a: Any, b: Any) -> Rows:
        a, b = (b, a) if swapped else (a, b)
        subtract = OPERATORS["Sub"]
        difference = rows(o, subtract(walk, o, a, b))
        return walk.on(difference, walk.builder.condition(kind, difference.expression, o.place))

    return operator


CONDITIONS = ("is_above", "is_not_below")


def _not(walk: Walk, o: Operation, x: Any) -> Rows:
    x = condition(o, x)
    kind = CONDITIONS[1 - CONDITIONS.index(x.expression.kind)]
    opposite = walk.builder.scaled(x.expression.args[0], -1.0, 0.0, o.place)
    return walk.on(x, walk.builder.condition(kind, opposite, o.place))


def condition(o: Operation, x: Any) -> Rows:
    """Return rows that must be a condition."""
    x = rows(o, x)
    if x.expression.kind not in CONDITIONS:
        o.refuse("numbers where a comparison belongs")
    found: Rows = x
    return found


def _where(walk: Walk, o: Operation, which: Any, x: Any, y: Any) -> Rows:
    which = condition(o, which)
    if which.expression.args[0].k < 0:  # z < t: what holds where z is at least t comes first
        which, x, y = _not(walk, o, which), y, x
    for each in (x, y):
        if isinstance(each, Rows):
            _same_shape(o, which, each)
    x, y = (each.expression if isinstance(each, Rows) else scalar(o, each) for each in (x, y))
    return walk.on(which, walk.builder.where(which.expression, x, y, o.place))


# ---------------------------------------------------------------------------------------------------------- moves


def _cast(walk: Walk, o: Operation, x: Any, *_: Any) -> Any:
    """Return the same values: types of floats are rounding, of which onnx_model.py refuses what is seen in outputs."""
    to = o.integer("to", 1)
    x = rows(o, x)
    if x.expression.kind in CONDITIONS:
        if to not in FLOATS:
            return x
        name = "step_above" if x.expression.kind == "is_above" else "step_not_below"
        return Rows(walk.builder.call(name, x.expression.args[0], o.place), x.shape, DTYPES[to])
    if to not in FLOATS:
        o.refuse(f"a conversion of the values to the data type {to}, which rounds them", "export it without it")
    if DIGITS[DTYPES[to]] < DIGITS.get(x.dtype, math.inf):
        walk.roundings.append(Rounding(DTYPES[to], o.place, len(walk.dtypes)))
    return Rows(x.expression, x.shape, DTYPES[to], x.saturated)


def _identity(walk: Walk, o: Operation, x: Any, *_: Any) -> Any:
    if o.operator == "Dropout":
        if len(o.inputs) > 2 and isinstance(_[1], np.ndarray) and _[1].any():
            o.refuse("a Dropout in training", "export the model for inference, with model.eval()")
        walk.folded.append("Dropout")
        return x, np.ones((), bool)
    return x


def _reshape(walk: Walk, o: Operation, x: Any, target: Any = None) -> Any:
    x = rows(o, x)
    sizes = o.integers("shape") or [] if target is None else [int(each) for each in np.asarray(target).reshape(-1)]
    shape = onnx_layout.reshaped(o, x.shape, sizes, walk.batch)
    if shape is None and set(o.outputs) <= set(walk.graph.outputs) and sizes == [-1, 1]:
        walk.folded.append(f"{o.place}: it makes {x.columns} rows of each row")  # skl2onnx writes it after k outputs
        return x
    if shape is None:
        o.refuse(f"a Reshape of {list(x.shape)} (None: the batch) to {sizes}, which mixes rows")
    assert shape is not None
    return walk.on(x, x.expression, shape)


def _flatten(walk: Walk, o: Operation, x: Any) -> Rows:
    x = rows(o, x)
    shape = onnx_layout.flattened(o, x.shape)
    if shape is None:
        o.refuse(f"a Flatten of {list(x.shape)} (None: the batch), which mixes rows")
    return walk.on(x, x.expression, shape)


def _squeeze(walk: Walk, o: Operation, x: Any, axes: Any = None) -> Rows:
    x = rows(o, x)
    return walk.on(x, x.expression, onnx_layout.squeezed(o, x.shape, axes, walk.batch))


def _unsqueeze(walk: Walk, o: Operation, x: Any, axes: Any = None) -> Rows:
    x = rows(o, x)
    return walk.on(x, x.expression, onnx_layout.unsqueezed(o, x.shape, axes))


def _transpose(walk: Walk, o: Operation, x: Any) -> Rows:
    x = rows(o, x)
    return walk.on(x, x.expression, onnx_layout.transposed(o, x.shape))


def _shape(walk: Walk, o: Operation, x: Any) -> Array:
    sizes = onnx_layout.as_array(rows(o, x).shape)
    start, end = o.integer("start", 0), o.integer("end", len(sizes))
    return sizes[start:end]


OPERATORS: dict[str, Operator] = {
    "Gemm": _gemm,
    "MatMul": _matmul,
    "com.microsoft.FusedGemm": _fused_gemm,
    "com.microsoft.FusedMatMul": _fused_matmul,
    "BatchNormalization": _batch_normalization,
    "ai.onnx.ml.Scaler": _scaler,
    "Add": _binary("add", "add", _sum),
    "Sub": _binary("subtract", "reversed", _difference),
    "Mul": _binary("multiply", "multiply", _product),
    "Div": _binary("divide", "quotient", _quotient),
    "Sum": _several(_binary("add", "add", _sum)),
    "Pow": _power,
    "Neg": lambda walk, o, x: walk.affine(o, "multiply", rows(o, x), np.array(-1.0)),
    "Max": _extreme("max"),
    "Min": _extreme("min"),
    "Clip": _clip,
    "Relu": lambda walk, o, x: clipped(walk, o, rows(o, x), 0.0, math.inf),
    "Sigmoid": _call("sigmoid"),
    "Tanh": _call("tanh"),
    "Elu": _call("elu", ("alpha", 1.0)),
    "Selu": _call("selu", ("alpha", SELU_ALPHA), ("gamma", SELU_SCALE)),
    "Celu": _call("celu", ("alpha", 1.0)),
    "LeakyRelu": _call("leaky", ("alpha", 0.01)),
    "ThresholdedRelu": _thresholded_relu,
    "PRelu": _prelu,
    "Softplus": _call("softplus"),
    "Softsign": _call("softsign"),
    "HardSigmoid": _call("hard_sigmoid", ("alpha", 0.2), ("beta", 0.5)),
    "HardSwish": _call("hard_swish"),
    "Mish": _call("mish"),
    "Swish": _call("swish", ("alpha", 1.0)),
    "Gelu": _gelu,
    "com.microsoft.Gelu": _gelu,
    "com.microsoft.FastGelu": _gelu,
    "com.microsoft.BiasGelu": _gelu,
    "com.microsoft.QuickGelu": _call("swish", ("alpha", 1.702)),
    "Softmax": _softmax,
    "LogSoftmax": _call("log_softmax"),
    "Exp": _call("exp"),
    "Log": _call("log"),
    "Erf": _call("erf"),
    "Erfc": _call("erfc"),
    "Abs": _call("abs"),
    "Sin": _call("sin"),
    "Sqrt": _call("sqrt"),
    "Reciprocal": _call("reciprocal"),
    "Greater": _compare("is_above", False),
    "GreaterOrEqual": _compare("is_not_below", False),
    "Less": _compare("is_above", True),
    "LessOrEqual": _compare("is_not_below", True),
    "Not": _not,
    "Where": _where,
    "Cast": _cast,
    "Identity": _identity,
    "Dropout": _identity,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Shape": _shape,
}
