"""The graph of an ONNX file: its nodes in order, its constants, and what names stand for.

`OnnxGraph` checks what the rest relies on: each name is given once, nodes have an order in which each comes after those
whose outputs it takes, attributes have the type that is asked for, the version of the operators is known. Arrays are
made when they are asked for, once each. `Budget` limits the numbers that constants computed from others may have, and
the weights of all layers together, by the size of the file: memory stays in proportion to the file, whatever it says.
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from . import onnx_tensors, onnx_wire
from .chain import refuse
from .onnx_tensors import Folder
from .onnx_wire import Attribute, Model, Node, Tensor

MIN_OPSET = 7
DEFAULT_DOMAINS = ("", "ai.onnx")
_TYPES = {"f": 1, "i": 2, "s": 3, "t": 4, "floats": 6, "ints": 7, "strings": 8}  # AttributeProto.AttributeType


CONSTANTS = (("value_float", "f", "f4"), ("value_int", "i", "i8"), ("value_string", "s", "O"))  # of a Constant node


class Budget:
    """Counts numbers that are made, and refuses more than the file's size explains."""

    def __init__(self, size: int) -> None:
        self.left = 16 * size + 2**20

    def spend(self, count: int, place: str) -> None:
        """Take this many numbers from what is left."""
        self.left -= count
        if self.left < 0:
            raise FormatError(f"{place}: expected as many numbers as a file of this size can mean, got more")


@dataclass
class Operation:
    """A node, with its place for messages, and its operator with the domain in front, such as "ai.onnx.ml.Scaler"."""

    node: Node
    operator: str
    place: str
    opset: int
    folder: Folder
    saturation: tuple[float, float] = (-math.inf, math.inf)  # what a quantised output is cut to, where it matters

    def __post_init__(self) -> None:
        names = [attribute.name for attribute in self.node.attribute]
        if len(set(names)) != len(names):
            raise FormatError(f"{self.place}: expected attributes with different names, got {sorted(names)[:20]}")
        self._attributes = {attribute.name: attribute for attribute in self.node.attribute}

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs; an empty one is left out by the file."""
        return self.node.input

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return self.node.output

    def refuse(self, found: str, advice: str = "") -> Any:
        """Raise the error that this node has no equal in a multilayer perceptron."""
        refuse(self.place, found, advice)

    def has(self, name: str) -> bool:
        """Whether the node has this attribute."""
        return name in self._attributes

    def _get(self, name: str, field: str) -> Any:
        attribute: Attribute | None = self._attributes.get(name)
        if attribute is None:
            return None
        value = getattr(attribute, field)
        if attribute.ref_attr_name or attribute.type not in (0, _TYPES[field]):
            raise FormatError(f"{self.place}: attribute {name}: expected the type {field!r}, got {attribute.type}")
        if value is None:
            return [] if field in ("floats", "ints", "strings") else {"f": 0.0, "i": 0, "s": b""}.get(field)
        return value

    def real(self, name: str, default: float) -> float:
        """Return an attribute that is a float; finite."""
        value = self._get(name, "f")
        if value is not None and not np.isfinite(value):
            raise FormatError(f"{self.place}: attribute {name}: expected a finite number, got {value}")
        return default if value is None else float(value)

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is an integer."""
        value = self._get(name, "i")
        return default if value is None else int(value)

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is text."""
        value = self._get(name, "s")
        return default if value is None else onnx_tensors.decode(value, f"{self.place}: attribute {name}")

    def integers(self, name: str) -> list[int] | None:
        """Return an attribute that lists integers, or None."""
        value = self._get(name, "ints")
        return None if value is None else [int(each) for each in value]

    def reals(self, name: str) -> list[float] | None:
        """Return an attribute that lists floats, or None; finite."""
        value = self._get(name, "floats")
        if value is not None and not np.isfinite(value).all():
            raise FormatError(f"{self.place}: attribute {name}: expected finite numbers, got others")
        return None if value is None else [float(each) for each in value]

    def texts(self, name: str) -> list[str] | None:
        """Return an attribute that lists texts, or None."""
        value = self._get(name, "strings")
        return None if value is None else [onnx_tensors.decode(each, f"{self.place}: {name}") for each in value]

    def tensor(self, name: str) -> NDArray[Any] | None:
        """Return an attribute that is a tensor as an array, or None."""
        value: Tensor | None = self._get(name, "t")
        return None if value is None else onnx_tensors.to_array(value, self.folder, f"{self.place}: {name}")

    def value_of_constant(self) -> NDArray[Any]:
        """Return the array that a Constant node has in one of its attributes."""
        for name, field, dtype in CONSTANTS:
            if self.has(name):
                array: NDArray[Any] = np.empty(1, dtype)
                array[0] = self.text(name, "") if field == "s" else self._get(name, field)
                return array.reshape(())
        for name, values in (
            ("value_floats", np.array(self.reals("value_floats") or (), np.float32)),
            ("value_ints", np.array(self.integers("value_ints") or (), np.int64)),
            ("value_strings", np.array(self.texts("value_strings") or (), object)),
        ):
            if self.has(name):
                return values
        found = self.tensor("value")
        if found is None:
            self.refuse("a constant that is no tensor (a sparse one, perhaps)", "write it as a tensor")
        assert found is not None
        return found


class OnnxGraph:
    """The operations that the outputs need, in order, and the constants of the file."""

    def __init__(self, model: Model, folder: Folder, size: int) -> None:
        assert model.graph is not None
        self.graph, self.folder, self._size = model.graph, folder, size
        self.producer_name = model.producer_name
        self.opset = _opset(model)
        self.operations: list[Operation] = []
        self.producer: dict[str, Operation] = {}  # of each name, the node that computes it
        self._tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self._arrays: dict[str, NDArray[Any]] = {}
        if len(self._tensors) != len(self.graph.initializer):
            raise FormatError("ONNX file: expected initializers with different names, got one twice")
        self.inputs = {value.name: value for value in self.graph.input if value.name not in self._tensors}
        known = {*self._tensors, *self.inputs}
        for index in _sorted(self.graph.node):
            self._add(index, self.graph.node[index], known)

    def _add(self, index: int, node: Node, known: set[str]) -> None:
        domain = "" if node.domain in DEFAULT_DOMAINS else node.domain + "."
        label = repr(node.name[:80]) if node.name else f"number {index}"
        operation = Operation(
            node, domain + node.op_type, f"node {label} ({domain}{node.op_type})", self.opset, self.folder
        )
        for name in node.input:
            if name and name not in known:
                raise FormatError(f"{operation.place}: expected an input that is known by then, got {name!r:.80}")
        for name in node.output:
            if name in known:
                raise FormatError(f"{operation.place}: expected an output of a new name, got {name!r:.80}")
            if name:
                known.add(name)
                self.producer[name] = operation
        self.operations.append(operation)

    @property
    def outputs(self) -> list[str]:
        """The names of the graph's outputs."""
        return [value.name for value in self.graph.output]

    def budget(self) -> Budget:
        """Return a new budget for what is made of this file."""
        return Budget(self._size + self.folder.bytes)

    def is_constant(self, name: str) -> bool:
        """Whether the name is an initializer's."""
        return name in self._tensors

    def constant(self, name: str) -> NDArray[Any]:
        """Return the array of an initializer."""
        if name not in self._arrays:
            self._arrays[name] = onnx_tensors.to_array(self._tensors[name], self.folder, f"initializer {name!r:.80}")
        return self._arrays[name]

    def needed(self, names: Sequence[str]) -> list[Operation]:
        """Return the operations that compute these names, in the order of the file."""
        stack, found = list(names), set[str]()
        wanted: set[int] = set()
        while stack:
            name = stack.pop()
            if name in found or name not in self.producer:
                continue
            found.add(name)
            operation = self.producer[name]
            if id(operation) not in wanted:
                wanted.add(id(operation))
                stack.extend(filter(None, operation.inputs))
        return [operation for operation in self.operations if id(operation) in wanted]


def _sorted(nodes: Sequence[Node]) -> list[int]:
    """Return the indices of nodes in an order in which each comes after those whose outputs it takes."""
    producer = {name: index for index, node in enumerate(nodes) for name in node.output if name}
    before = {i: {producer[name] for name in node.input if name in producer} for i, node in enumerate(nodes)}
    if all(max(each, default=-1) < index for index, each in before.items()):
        return list(before)
    try:
        return list(graphlib.TopologicalSorter(before).static_order())
    except graphlib.CycleError as error:
        raise FormatError(
            f"ONNX file: expected nodes without a cycle, got one of the nodes {error.args[1]!s:.80}"
        ) from None


def _opset(model: Model) -> int:
    """Return the version of ONNX's own operators. Others may be listed that no node uses."""
    versions = {entry.version for entry in model.opset_import if entry.domain in DEFAULT_DOMAINS}
    if len(versions) > 1:
        raise FormatError(f"ONNX file: expected one version of the operators, got {sorted(versions)}")
    opset = versions.pop() if versions else 1 if model.ir_version < 3 else 0
    if opset < MIN_OPSET:
        raise FormatError(
            f"ONNX file: expected operators of version {MIN_OPSET} or later, got {opset}; "
            "onnx.version_converter converts older ones"
        )
    return opset


def read(data: bytes | memoryview, path: str | None) -> tuple[Model, OnnxGraph]:
    """Return the model and the graph of a file's bytes; `path` is its folder, for data beside it."""
    model = onnx_wire.read_model(data)
    return model, OnnxGraph(model, Folder(path), len(data))
