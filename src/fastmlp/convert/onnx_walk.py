"""The walk along a graph's edges: what each name stands for, and what operators are applied to it.

A name of the graph stands for an array, or for what a node computes from the rows of the input: `Rows` (an expression
in the columns, see onnx_expressions.py, and a shape), or what quantised models (onnx_quantised.py) and the tails of
classifiers (onnx_tails.py) have. Names of nodes and tensors mean nothing here. What has no equal in a chain is refused
with the node's name. Each function for an operator takes the walk, the operation and the values of its inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from . import onnx_evaluate, onnx_layout
from .onnx_evaluate import BINARY, MOVES, UNARY
from .onnx_expressions import Base, Builder, Expression
from .onnx_graph import OnnxGraph, Operation
from .onnx_layout import BATCH, Shape

Array = NDArray[Any]
Operators = Mapping[str, Callable[..., Any]]
DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}  # binary
HALF = ("float16", "bfloat16")


class Rounding(NamedTuple):
    """A place where values are rounded to a type of fewer digits, or a layer of half precision."""

    dtype: str
    place: str
    n_layers: int  # that come before it


@dataclass(frozen=True, eq=False)
class Rows:
    """What a node computes from the input's rows: columns, in a shape, in a type of number."""

    expression: Expression
    shape: Shape
    dtype: str
    saturated: Any = None  # of a quantised value, the operation and the bounds that onnx_quantised.py found

    @property
    def columns(self) -> int:
        """The number of columns."""
        return self.expression.base.columns


class Walk:
    """The values of a graph's names, for an input of a shape."""

    def __init__(
        self, graph: OnnxGraph, operators: Operators, name: str, shape: Shape, batch: int | None, dtype: str
    ) -> None:
        self.graph, self.operators, self.batch = graph, operators, batch
        self.builder, self.budget = Builder(), graph.budget()
        self.uses = Counter[str]()  # how often a name is an input, or an output of the graph
        self.folded: list[str] = []
        self.dtypes: list[str] = []  # of the layers
        self.roundings: list[Rounding] = []
        self.inexact = False  # whether the tool's own arithmetic loses more than a network's
        base = Base(onnx_layout.columns(shape), place=f"input {name!r:.80}")
        self.input_name, self.input = name, Rows(self.builder.base(base), shape, dtype)
        self.values: dict[str, Any] = {name: self.input}

    def value(self, name: str) -> Any:
        """Return what a name stands for; None for an input that is left out."""
        if not name:
            return None
        if name not in self.values:
            if not self.graph.is_constant(name):
                raise FormatError(f"ONNX file: expected one input of rows, got the further input {name!r:.80}")
            array = self.graph.constant(name)
            self.budget.spend(array.size, f"initializer {name!r:.80}")
            self.values[name] = onnx_evaluate.in_float64(array)
        return self.values[name]

    def run(self, names: list[str]) -> list[Any]:
        """Return the values of these names."""
        needed = self.graph.needed(names)
        self.uses.update(names)
        for operation in needed:
            self.uses.update(operation.inputs)
        for operation in needed:
            if operation.operator in NO_EQUAL:
                operation.refuse(f"the operator {operation.operator}", ADVICE[operation.operator])
        for operation in needed:
            given = [self.value(name) for name in operation.inputs]
            results = self._apply(operation, given)
            results = results if isinstance(results, tuple) else (results,)
            self.values.update(zip(operation.outputs, results, strict=False))
        for name in names:  # an output has what saturation stands for
            if isinstance(self.value(name), Rows):
                self.values[name] = self.settled(self.values[name])
        return [self.value(name) for name in names]

    def _apply(self, o: Operation, given: list[Any]) -> Any:
        if all(value is None or isinstance(value, np.ndarray) for value in given):
            return self._constant(o, given)
        if o.operator not in self.operators:
            o.refuse(f"the operator {o.operator}", ADVICE.get(o.operator, "export a network of dense layers"))
        try:
            return self.operators[o.operator](self, o, *given)
        except FormatError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError, AttributeError) as error:
            raise FormatError(f"{o.place}: expected inputs and attributes as ONNX defines them, got {error}") from None

    def _constant(self, o: Operation, given: list[Any]) -> Array:
        """Return what an operation makes of constants; only of as many numbers as those have, or a few."""
        known = o.operator in MOVES or o.operator in UNARY or o.operator in BINARY
        if not (known or o.operator in ("Constant", "ConstantOfShape", "DequantizeLinear", "Shape")):
            o.refuse(f"the operator {o.operator} of constants", "fold constants before the export")
        largest = max((value.size for value in given if value is not None), default=0)
        batch = any(value.dtype == np.int64 and (value == BATCH).any() for value in given if value is not None)
        try:
            if batch and o.operator not in MOVES:
                o.refuse("a computation with the number of rows")
            if o.operator in BINARY or o.operator == "DequantizeLinear":
                shape = np.broadcast_shapes(
                    *(v.shape for v in given if v is not None and (v.ndim != 1 or o.operator in BINARY))
                )
                self._check_size(o, int(np.prod(shape, dtype=float)), largest)
            if o.operator == "Gather":
                self._check_size(o, given[1].size * max(1, given[0].size // max(1, given[0].shape[0])), largest)
            if o.operator == "ConstantOfShape":
                self._check_size(o, int(np.prod(given[0], dtype=float)), 0)
            result: Array = np.asarray(onnx_evaluate.apply(o, given))
        except FormatError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError, AttributeError, MemoryError) as error:
            raise FormatError(f"{o.place}: expected constants that go together, got {error}") from None
        self.budget.spend(result.size, o.place)
        return result

    @staticmethod
    def _check_size(o: Operation, size: float, largest: int) -> None:
        if not 0 <= size <= max(largest, 2**16):
            o.refuse("a constant that grows", "fold constants before the export")

    # ------------------------------------------------------------------------------------------------- layers

    def layer(self, o: Operation, x: Rows, weight: Array, shape: Shape, bias: Array | None = None) -> Rows:
        """Return what a layer with a weight (outputs, inputs) makes of rows, in a shape."""
        if weight.ndim != 2 or weight.shape[1] != x.columns or 0 in weight.shape:
            o.refuse(f"a weight of shape {list(weight.shape)} for {x.columns} columns")
        if not np.isfinite(weight).all() or (bias is not None and not np.isfinite(bias).all()):
            o.refuse("weights that are not finite", "check the model's training")
        self.budget.spend(weight.size, o.place)
        if x.dtype in HALF:
            self.roundings.append(Rounding(x.dtype, o.place, len(self.dtypes)))
        self.dtypes.append(x.dtype)
        base = Base(weight.shape[0], x.expression, weight, bias, o.place)
        return Rows(self.builder.base(base), shape, x.dtype)

    def affine(self, o: Operation, kind: str, x: Rows, constant: Array) -> Rows:
        """Return x + constant, and its like."""
        x = self.settled(x)
        number, shape = onnx_layout.for_columns(o, x.shape, numeric(o, constant))
        return Rows(self.builder.affine(kind, x.expression, number, o.place), shape, x.dtype)

    def biased(self, o: Operation, x: Rows, constant: Array, sign: float = 1.0) -> Rows:
        """Return x + sign constant, which is the bias of the layer that x is if it has none yet.

        No other node may take x: an activation has forms in which x and x + 3 occur.
        """
        x = self.settled(x)
        base = x.expression.base
        number, shape = onnx_layout.for_columns(o, x.shape, numeric(o, constant))
        is_layer = x.expression.kind == "base" and base.weight is not None and base.bias is None
        if not is_layer or (isinstance(number, float) and x.columns > 1):
            return self.affine(o, "add" if sign > 0 else "subtract", x, constant)
        bias = np.broadcast_to(np.asarray(number, np.float64), (x.columns,)) * sign
        if not np.isfinite(bias).all():
            o.refuse("a bias that is not finite", "check the model's training")
        return Rows(self.builder.with_bias(x.expression, bias, o.place), shape, x.dtype)

    def settled(self, x: Rows, between_layers: bool = False) -> Rows:
        """Return rows with the activation that saturation of their quantised values stands for, see onnx_quantised.py.

        Activations do not call this: a layer has one of them.
        """
        if x.saturated is None:
            return x
        operation, low, high = x.saturated
        if low != 0 and not between_layers:
            return Rows(x.expression, x.shape, x.dtype)
        operation.saturation = low, high
        return Rows(self.builder.call("clip", x.expression, operation.place, low, high), x.shape, x.dtype)

    def call(self, o: Operation, name: str, x: Rows, *parameters: Any) -> Rows:
        """Return a function of rows."""
        return self.on(x, self.builder.call(name, x.expression, o.place, *parameters))

    def on(self, x: Rows, expression: Expression, shape: Shape | None = None) -> Rows:
        """Return rows like x with another expression, and perhaps another shape."""
        saturated = x.saturated if expression is x.expression else None
        return Rows(expression, x.shape if shape is None else shape, x.dtype, saturated)


def numeric(o: Operation, value: Any) -> Array:
    """Return a constant of numbers; refuse another one, and the number of rows."""
    value = np.asarray(value) if isinstance(value, np.generic) else value
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub":
        o.refuse("a value that is no constant of numbers")
    if value.dtype == np.int64 and (value == BATCH).any():
        o.refuse("a computation with the number of rows")
    array: Array = value
    return array


def scalar(o: Operation, value: Any) -> float:
    """Return a constant of one number."""
    array = numeric(o, value)
    if array.size == 0 or not (array == array.reshape(-1)[0]).all():
        o.refuse(f"a constant of shape {list(array.shape)} with different numbers, where one number belongs")
    return float(array.reshape(-1)[0])


def rows(o: Operation, value: Any) -> Rows:
    """Return a value that must be rows."""
    if not isinstance(value, Rows):
        o.refuse("an input that is not the outputs of the layer before")
    found: Rows = value
    return found


ADVICE = {
    "LayerNormalization": "it depends on all columns of a row; train the network without it",
    "LogSoftmax": "export the model without it: its largest output is the same, and Softmax gives probabilities",
    "Conv": "fastmlp has dense layers only",
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "it depends on the rows before; fastmlp has dense layers only"),
    "If": "export the model without control flow",
    "Loop": "export the model without control flow",
    "ai.onnx.ml.Normalizer": "it depends on all columns of a row; normalise the rows before `predict`",
}
NO_EQUAL = ("LSTM", "GRU", "RNN", "Conv", "Loop")  # refused before what prepares their inputs
