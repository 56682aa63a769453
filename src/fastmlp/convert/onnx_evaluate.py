"""A graph of ONNX computed with NumPy, operator by operator, in float64: the oracle of what an import says.

It shares nothing with the recognition of layers and activations. Casts between types of floats do nothing, and
quantised values keep what rounding would take from them: a quantised model is read as the network that it stands for,
see onnx_quantised.py, which also says where saturation is an activation (`Operation.saturation`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .functions import SELU_ALPHA, SELU_SCALE
from .onnx_graph import OnnxGraph, Operation
from .onnx_tensors import FLOATS

Array = NDArray[Any]
_erf, _erfc = np.frompyfunc(math.erf, 1, 1), np.frompyfunc(math.erfc, 1, 1)  # importing SciPy's takes 0.2 s
Operator = Callable[..., Any]  # takes the operation and its inputs, None for one that is left out


def in_float64(array: Array) -> Array:
    """Return floats as float64, anything else as it is."""
    return array.astype(np.float64) if array.dtype.kind == "f" and array.dtype != np.float64 else array


def outputs(graph: OnnxGraph, inputs: dict[str, Array], names: Sequence[str]) -> list[Array]:
    """Return the arrays of these names, for inputs with their shapes and any number of rows."""
    values: dict[str, Any] = {name: in_float64(array) for name, array in inputs.items()}
    for operation in graph.needed(names):
        taken = []
        for name in operation.inputs:
            if name and name not in values:
                values[name] = in_float64(graph.constant(name))
            taken.append(values[name] if name else None)
        results = apply(operation, taken)
        results = results if isinstance(results, tuple) else (results,)
        values.update(zip(operation.outputs, results, strict=False))
    for name in names:
        if name not in values:
            values[name] = in_float64(graph.constant(name))
    return [values[name] for name in names]


def apply(operation: Operation, inputs: Sequence[Any]) -> Any:
    """Return the outputs of one operation: an array, or a tuple of arrays."""
    if operation.operator not in OPERATORS:
        operation.refuse(f"the operator {operation.operator}", "export a network of dense layers")
    with np.errstate(all="ignore"):
        return OPERATORS[operation.operator](operation, *inputs)


def padded(given: Sequence[Any], count: int) -> list[Any]:
    """Return inputs with None for those at the end that are left out."""
    return [*given, *[None] * (count - len(given))]


# ------------------------------------------------------------------------------------------------ shapes and constants


def reshape(o: Operation, x: Array, target: Array) -> Any:
    """Reshape, where 0 keeps a dimension and -1 takes what is left; a fixed batch of an example gives way."""
    shape = [int(size) for size in np.asarray(target).reshape(-1)]
    if not o.integer("allowzero", 0):
        shape = [x.shape[i] if size == 0 and i < x.ndim else size for i, size in enumerate(shape)]
    if -1 not in shape and math.prod(shape) != x.size and shape:
        shape[0] = -1
    return x.reshape(shape)


def axes_of(o: Operation, given: Array | None, rank: int) -> list[int] | None:
    """Return the axes of Squeeze and its like, an attribute or (from opset 13 on) an input; None if there are none."""
    axes = o.integers("axes") if given is None else [int(each) for each in np.asarray(given).reshape(-1)]
    if axes is None:
        return None
    inside = [each % rank for each in axes if -rank <= each < rank]
    if len(set(inside)) != len(axes):
        o.refuse(f"the axes {axes} of {rank}", "check the file")
    return sorted(inside)


def _unsqueeze(o: Operation, x: Array, axes: Array | None = None) -> Any:
    count = len((o.integers("axes") or []) if axes is None else np.asarray(axes).reshape(-1))
    found = axes_of(o, axes, x.ndim + count)
    return np.expand_dims(x, tuple(found or ()))


def _squeeze(o: Operation, x: Array, axes: Array | None = None) -> Any:
    found = axes_of(o, axes, x.ndim)
    return np.squeeze(x, None if found is None else tuple(found))


def _flatten(o: Operation, x: Array) -> Any:
    axis = o.integer("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return x.reshape(math.prod(x.shape[:axis]), -1) if x.size else x.reshape(x.shape[0], -1)


def _cast(o: Operation, x: Array, *_: Any) -> Any:
    to = o.integer("to", 1)
    if to in FLOATS or x.dtype.kind == "O":
        return x.astype(np.float64) if x.dtype.kind in "biu" else x
    if to == 9:
        return x != 0
    return x.astype(np.int64)


def _concat(o: Operation, *x: Array) -> Any:
    return np.concatenate(x, axis=o.integer("axis", 0))


def _slice(o: Operation, x: Array, *given: Array | None) -> Any:
    names = ("starts", "ends", "axes", "steps")
    lists = [None if each is None else [int(i) for i in np.asarray(each).reshape(-1)] for each in given]
    lists += [o.integers(name) for name in names[len(lists) :]]
    starts, ends = lists[0] or [], lists[1] or []
    axes, steps = lists[2] or list(range(len(starts))), lists[3] or [1] * len(starts)
    index = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end if abs(end) < 2**31 - 1 else None, step)
    return x[tuple(index)]


def _constant_of_shape(o: Operation, shape: Array) -> Any:
    value = o.tensor("value")
    return np.full([int(each) for each in shape], 0.0 if value is None else value.reshape(-1)[0])


# ------------------------------------------------------------------------------------------------------ layers


def _gemm(o: Operation, x: Array, y: Array, c: Array | None = None) -> Any:
    x = x.T if o.integer("transA", 0) else x
    y = y.T if o.integer("transB", 0) else y
    z = o.real("alpha", 1.0) * (x @ y)
    return z if c is None else z + o.real("beta", 1.0) * c


def _fused_gemm(o: Operation, *inputs: Any) -> Any:
    z = _gemm(o, *inputs)
    kind, alpha = o.text("activation", ""), o.real("activation_alpha", 0.01)
    functions: dict[str, Callable[[Array], Array]] = {
        "Relu": lambda z: np.maximum(z, 0),
        "Sigmoid": _expit,
        "Tanh": np.tanh,
        "LeakyRelu": lambda z: np.where(z >= 0, z, alpha * z),
        "Elu": lambda z: np.where(z >= 0, z, o.real("activation_alpha", 1.0) * np.expm1(np.minimum(z, 0))),
        "Softplus": lambda z: np.logaddexp(0, z),
        "Softsign": lambda z: z / (1 + np.abs(z)),
        "HardSigmoid": lambda z: np.clip(o.real("activation_alpha", 0.2) * z + o.real("activation_beta", 0.5), 0, 1),
    }
    if kind and kind not in functions:
        o.refuse(f"the activation {kind!r}")
    return functions[kind](z) if kind else z


def _fused_matmul(o: Operation, x: Array, y: Array) -> Any:
    x = np.swapaxes(x, -1, -2) if o.integer("transA", 0) else x
    y = np.swapaxes(y, -1, -2) if o.integer("transB", 0) else y
    return o.real("alpha", 1.0) * (x @ y)


def _batch_normalization(o: Operation, x: Array, scale: Array, b: Array, mean: Array, variance: Array) -> Any:
    shape = [1, -1] + [1] * (x.ndim - 2)
    scale, b, mean, variance = (each.reshape(shape) for each in (scale, b, mean, variance))
    return (x - mean) / np.sqrt(variance + o.real("epsilon", 1e-5)) * scale + b


def _scaler(o: Operation, x: Array) -> Any:
    return (x - np.array(o.reals("offset") or 0.0)) * np.array(o.reals("scale") or 1.0)


# ---------------------------------------------------------------------------------------------- quantised models


def spread(o: Operation, numbers: Array, like: Array, axis: int) -> Any:
    """Return scales or zero points in a shape that broadcasts along the axis of an array."""
    if numbers.size == 1:
        return numbers.reshape(())
    if numbers.ndim == like.ndim and numbers.ndim > 1:  # blocks
        size = o.integer("block_size", 0)
        return np.repeat(numbers, size, axis)[tuple(map(slice, like.shape))] if size > 0 else numbers
    shape = [1] * like.ndim
    shape[axis] = -1
    return numbers.reshape(shape)


def dequantised(o: Operation, x: Array, scale: Array, zero: Array | None = None, axis: int | None = None) -> Any:
    """Return (x - zero) scale for integers; other numbers have been kept as they are, see above."""
    if x.dtype.kind == "f":
        return x
    at = o.integer("axis", 1) if axis is None else axis
    shifted = x.astype(np.float64)
    if zero is not None:
        shifted = shifted - spread(o, zero.astype(np.float64), x, at)
    return shifted * spread(o, np.asarray(scale, np.float64), x, at)


def cut(o: Operation, x: Array, scale: Array | None) -> Any:
    """Return what is left of x in a quantised value; without a scale, x is not quantised."""
    return x if scale is None else np.clip(x, *o.saturation)


def _qgemm(o: Operation, *given: Any) -> Any:
    a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, _ = padded(given, 9)
    a = dequantised(o, a, a_scale, a_zero)
    b = dequantised(o, b, b_scale, b_zero, 0 if o.integer("transB", 0) else 1)
    if c is not None:
        c = c.astype(np.float64) * o.real("alpha", 1.0) * a_scale * b_scale
    return cut(o, _gemm(o, a, b) if c is None else _gemm(o, a, b) + c, y_scale)


def _qlinear_matmul(o: Operation, a: Array, a_scale: Array, a_zero: Array, *given: Any) -> Any:
    b, b_scale, b_zero, y_scale, *_ = given
    return cut(o, dequantised(o, a, a_scale, a_zero) @ dequantised(o, b, b_scale, b_zero, -1), y_scale)


def _qlinear_binary(function: Callable[[Any, Any], Any]) -> Operator:
    def operator(o: Operation, a: Array, a_scale: Array, a_zero: Array, *given: Any) -> Any:
        b, b_scale, b_zero, y_scale, _ = padded(given, 5)
        result = function(dequantised(o, a, a_scale, a_zero), dequantised(o, b, b_scale, b_zero))
        return cut(o, result, y_scale)

    return operator


def _qlinear_unary(name: str) -> Operator:
    def operator(o: Operation, x: Array, scale: Array, zero: Array, y_scale: Array, y_zero: Array | None = None) -> Any:
        return cut(o, OPERATORS[name](o, dequantised(o, x, scale, zero)), y_scale)

    return operator


def _matmul_integer(o: Operation, a: Array, b: Array, a_zero: Any = None, b_zero: Any = None) -> Any:
    one = np.ones(())
    return dequantised(o, a, one, a_zero, -2) @ dequantised(o, b, one, b_zero, -1)


def _dynamic_quantize_matmul(
    o: Operation, a: Array, b: Array, b_scale: Array, b_zero: Any = None, c: Any = None
) -> Any:
    z = a @ dequantised(o, b, b_scale, b_zero, -1)
    return z if c is None else z + c


def _matmul_integer_to_float(o: Operation, a: Array, b: Array, a_scale: Array, b_scale: Array, *given: Any) -> Any:
    a_zero, b_zero, c = padded(given, 3)
    z = dequantised(o, a, a_scale, a_zero) @ dequantised(o, b, b_scale, b_zero, -1)
    return z if c is None else z + c


# ------------------------------------------------------------------------------------------------- activations


def _expit(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def _ndtr(x: Array) -> Any:
    return np.asarray(_erfc(-x / math.sqrt(2)), np.float64) / 2


def _gelu(o: Operation, x: Array) -> Any:
    if o.text("approximate", "none") == "tanh":
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x * _ndtr(x)


def _selu(o: Operation, x: Array) -> Any:
    alpha, gamma = o.real("alpha", SELU_ALPHA), o.real("gamma", SELU_SCALE)
    return gamma * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _celu(o: Operation, x: Array) -> Any:
    alpha = o.real("alpha", 1.0)
    return np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(np.minimum(x, 0) / alpha))


def _clip(o: Operation, x: Array, low: Any = None, high: Any = None) -> Any:
    low = o.real("min", 0.0) if low is None and o.has("min") else low
    high = o.real("max", 0.0) if high is None and o.has("max") else high
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def softmax_axes(o: Operation, rank: int) -> tuple[int, ...]:
    """Return the axes over which a softmax goes: all from one on before opset 13, one from then on."""
    axis = o.integer("axis", 1 if o.opset < 13 else -1)
    axis += rank if axis < 0 else 0
    return tuple(range(axis, rank)) if o.opset < 13 else (axis,)


def _softmax(o: Operation, x: Array) -> Any:
    axes = softmax_axes(o, x.ndim)
    e = np.exp(x - x.max(axis=axes, keepdims=True))
    return e / e.sum(axis=axes, keepdims=True)


def _fast_gelu(o: Operation, x: Array, bias: Any = 0.0) -> Any:
    x = x + (0.0 if bias is None else bias)
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _elementwise(function: Callable[..., Any]) -> Operator:
    return lambda o, *x: function(*x)


def _folded(function: Callable[[Any, Any], Any]) -> Operator:
    def operator(o: Operation, *x: Array) -> Any:
        result = x[0]
        for each in x[1:]:
            result = function(result, each)
        return result

    return operator


# Operators that move numbers and compute none.
MOVES: dict[str, Operator] = {
    "Identity": lambda o, x: x,
    "Dropout": lambda o, x, *_: x,
    "Cast": _cast,
    "CastLike": lambda o, x, y: x,
    "Reshape": reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Flatten": _flatten,
    "Transpose": lambda o, x: np.transpose(x, o.integers("perm")),
    "Concat": _concat,
    "Gather": lambda o, x, i: np.take(x, i.astype(np.int64), axis=o.integer("axis", 0)),
    "Slice": _slice,
}
# Operators of one or two arguments, number by number.
UNARY: dict[str, Operator] = {
    "Neg": _elementwise(np.negative),
    "Sqrt": _elementwise(np.sqrt),
    "Reciprocal": _elementwise(lambda x: 1 / x),
    "Exp": _elementwise(np.exp),
    "Log": _elementwise(np.log),
    "Abs": _elementwise(np.abs),
    "Erf": _elementwise(lambda x: np.asarray(_erf(x), np.float64)),
    "Erfc": _elementwise(lambda x: np.asarray(_erfc(x), np.float64)),
    "Sin": _elementwise(np.sin),
    "Not": _elementwise(np.logical_not),
    "Relu": _elementwise(lambda x: np.maximum(x, 0)),
    "Sigmoid": _elementwise(_expit),
    "Tanh": _elementwise(np.tanh),
    "Softplus": _elementwise(lambda x: np.logaddexp(0, x)),
    "Softsign": _elementwise(lambda x: x / (1 + np.abs(x))),
    "Mish": _elementwise(lambda x: x * np.tanh(np.logaddexp(0, x))),
    "Elu": lambda o, x: np.where(x > 0, x, o.real("alpha", 1.0) * np.expm1(np.minimum(x, 0))),
    "LeakyRelu": lambda o, x: np.where(x > 0, x, o.real("alpha", 0.01) * x),
    "ThresholdedRelu": lambda o, x: np.where(x > o.real("alpha", 1.0), x, 0.0),
    "HardSigmoid": lambda o, x: np.clip(o.real("alpha", 0.2) * x + o.real("beta", 0.5), 0, 1),
    "Selu": _selu,
    "Celu": _celu,
    "Gelu": _gelu,
    "com.microsoft.Gelu": lambda o, x: x * _ndtr(x),
    "Swish": lambda o, x: x * _expit(o.real("alpha", 1.0) * x),
    "com.microsoft.QuickGelu": lambda o, x: x * _expit(o.real("alpha", 1.702) * x),
}
BINARY: dict[str, Operator] = {
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(np.divide),
    "Pow": _elementwise(np.power),
    "PRelu": _elementwise(lambda x, slope: np.where(x > 0, x, slope * x)),
    "Greater": _elementwise(np.greater),
    "GreaterOrEqual": _elementwise(np.greater_equal),
    "Less": _elementwise(np.less),
    "LessOrEqual": _elementwise(np.less_equal),
    "com.microsoft.BiasGelu": _elementwise(lambda x, b: (x + b) * _ndtr(x + b)),
    "Max": _folded(np.maximum),
    "Min": _folded(np.minimum),
    "Sum": _folded(np.add),
    "Where": _elementwise(np.where),
    "Clip": _clip,
    "com.microsoft.FastGelu": _fast_gelu,
}
OPERATORS: dict[str, Operator] = {
    **MOVES,
    **UNARY,
    **BINARY,
    "Constant": lambda o: in_float64(o.value_of_constant()),
    "ConstantOfShape": _constant_of_shape,
    "Shape": lambda o, x: np.array(x.shape, np.int64),
    "Gemm": _gemm,
    "com.microsoft.FusedGemm": _fused_gemm,
    "MatMul": _elementwise(np.matmul),
    "com.microsoft.FusedMatMul": _fused_matmul,
    "BatchNormalization": _batch_normalization,
    "ai.onnx.ml.Scaler": _scaler,
    "Softmax": _softmax,
    "QuantizeLinear": lambda o, x, scale, zero=None: cut(o, x, scale),
    "DequantizeLinear": dequantised,
    "com.microsoft.QGemm": _qgemm,
    "QLinearMatMul": _qlinear_matmul,
    "com.microsoft.QLinearAdd": _qlinear_binary(np.add),
    "com.microsoft.QLinearMul": _qlinear_binary(np.multiply),
    "com.microsoft.QLinearSigmoid": _qlinear_unary("Sigmoid"),
    "com.microsoft.QLinearLeakyRelu": _qlinear_unary("LeakyRelu"),
    "com.microsoft.QLinearSoftmax": _qlinear_unary("Softmax"),
    "DynamicQuantizeLinear": lambda o, x: (x, np.ones(()), np.zeros(())),
    "MatMulInteger": _matmul_integer,
    "com.microsoft.DynamicQuantizeMatMul": _dynamic_quantize_matmul,
    "com.microsoft.MatMulIntegerToFloat": _matmul_integer_to_float,
}
ALIASES = ("com.microsoft.QuantizeLinear", "com.microsoft.DequantizeLinear")  # as onnxruntime writes them for int16
OPERATORS.update({name: OPERATORS[name.rpartition(".")[2]] for name in ALIASES})
