"""The wire format of ONNX files: protocol buffers, read by this module alone, without protobuf or onnx.

`read_model` gives the messages as dataclasses whose fields have ONNX's names; each class lists its fields' numbers in
`FIELDS`. Nothing is copied: bytes are slices of the file. A file may come from anyone. Every length is compared with
what is left of its message before anything is made of it, the number of messages is limited, and nesting ends at a
tensor within an attribute: subgraphs are not read, as no multilayer perceptron needs one. Every fault is a
`FormatError` that says where. onnx_tensors.py makes arrays of the tensors.

Source of the numbers: onnx.proto of ONNX 1.23 (https://github.com/onnx/onnx); of the encoding: "Encoding" in the
documentation of Protocol Buffers (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import array
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

MAX_MESSAGES = 500_000  # also that of texts; each takes some hundred bytes of memory, however short it is in the file

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_NUMBERS = {"int": (_VARINT, "q"), "float": (_FIXED32, "<f4"), "double": (_FIXED64, "<f8")}  # wire type, dtype
# A field is its name, its kind ("int", "float", "double", "text", "bytes" or the class of a message), and whether it
# may come several times.
Field = tuple[str, Any, bool]


@dataclass
class Entry:
    """StringStringEntryProto."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("key", "text", False), 2: ("value", "text", False)}
    key: str = ""
    value: str = ""


@dataclass
class Tensor:
    """TensorProto. Numbers are lists or arrays; raw data are bytes."""

    FIELDS: ClassVar[dict[int, Field]] = {
        1: ("dims", "int", True),
        2: ("data_type", "int", False),
        3: ("segment", "bytes", False),
        4: ("float_data", "float", True),
        5: ("int32_data", "int", True),
        6: ("string_data", "bytes", True),
        7: ("int64_data", "int", True),
        8: ("name", "text", False),
        9: ("raw_data", "bytes", False),
        10: ("double_data", "double", True),
        11: ("uint64_data", "int", True),
        13: ("external_data", Entry, True),
        14: ("data_location", "int", False),
    }
    dims: Any = ()
    data_type: int = 0
    segment: Any = None
    float_data: Any = ()
    int32_data: Any = ()
    string_data: Any = ()
    int64_data: Any = ()
    name: str = ""
    raw_data: Any = None
    double_data: Any = ()
    uint64_data: Any = ()
    external_data: list[Entry] = field(default_factory=list)
    data_location: int = 0


@dataclass
class Attribute:
    """AttributeProto; the subgraph `g` stays bytes."""

    FIELDS: ClassVar[dict[int, Field]] = {
        1: ("name", "text", False),
        2: ("f", "float", False),
        3: ("i", "int", False),
        4: ("s", "bytes", False),
        5: ("t", Tensor, False),
        6: ("g", "bytes", False),
        7: ("floats", "float", True),
        8: ("ints", "int", True),
        9: ("strings", "bytes", True),
        20: ("type", "int", False),
        21: ("ref_attr_name", "text", False),
        22: ("sparse_tensor", "bytes", False),
    }
    name: str = ""
    f: float | None = None
    i: int | None = None
    s: Any = None
    t: Tensor | None = None
    g: Any = None
    floats: Any = None
    ints: Any = None
    strings: Any = None
    type: int = 0
    ref_attr_name: str = ""
    sparse_tensor: Any = None


@dataclass
class Node:
    """NodeProto."""

    FIELDS: ClassVar[dict[int, Field]] = {
        1: ("input", "text", True),
        2: ("output", "text", True),
        3: ("name", "text", False),
        4: ("op_type", "text", False),
        5: ("attribute", Attribute, True),
        7: ("domain", "text", False),
    }
    input: list[str] = field(default_factory=list)
    output: list[str] = field(default_factory=list)
    name: str = ""
    op_type: str = ""
    attribute: list[Attribute] = field(default_factory=list)
    domain: str = ""


@dataclass
class Dimension:
    """TensorShapeProto.Dimension."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("dim_value", "int", False), 2: ("dim_param", "text", False)}
    dim_value: int | None = None
    dim_param: str = ""


@dataclass
class Shape:
    """TensorShapeProto."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("dim", Dimension, True)}
    dim: list[Dimension] = field(default_factory=list)


@dataclass
class TensorType:
    """TypeProto.Tensor."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("elem_type", "int", False), 2: ("shape", Shape, False)}
    elem_type: int = 0
    shape: Shape | None = None


@dataclass
class ValueType:
    """TypeProto, of which only tensors are read."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("tensor_type", TensorType, False)}
    tensor_type: TensorType | None = None


@dataclass
class Value:
    """ValueInfoProto."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("name", "text", False), 2: ("type", ValueType, False)}
    name: str = ""
    type: ValueType | None = None


@dataclass
class Graph:
    """GraphProto."""

    FIELDS: ClassVar[dict[int, Field]] = {
        1: ("node", Node, True),
        2: ("name", "text", False),
        5: ("initializer", Tensor, True),
        11: ("input", Value, True),
        12: ("output", Value, True),
    }
    node: list[Node] = field(default_factory=list)
    name: str = ""
    initializer: list[Tensor] = field(default_factory=list)
    input: list[Value] = field(default_factory=list)
    output: list[Value] = field(default_factory=list)


@dataclass
class OperatorSet:
    """OperatorSetIdProto."""

    FIELDS: ClassVar[dict[int, Field]] = {1: ("domain", "text", False), 2: ("version", "int", False)}
    domain: str = ""
    version: int = 0


@dataclass
class Model:
    """ModelProto."""

    FIELDS: ClassVar[dict[int, Field]] = {
        1: ("ir_version", "int", False),
        2: ("producer_name", "text", False),
        3: ("producer_version", "text", False),
        7: ("graph", Graph, False),
        8: ("opset_import", OperatorSet, True),
        14: ("metadata_props", Entry, True),
    }
    ir_version: int = 0
    producer_name: str = ""
    producer_version: str = ""
    graph: Graph | None = None
    opset_import: list[OperatorSet] = field(default_factory=list)
    metadata_props: list[Entry] = field(default_factory=list)


def read_model(data: bytes | memoryview) -> Model:
    """Return the model that the bytes of an ONNX file describe.

    Raises
    ------
    FormatError
        If the bytes are not those of an ONNX file, or are cut off or altered.
    """
    model: Model = _Reader(memoryview(data)).message(Model, 0, len(data), "ONNX file")
    if model.graph is None or model.ir_version <= 0:
        raise FormatError("ONNX file: expected a model with a version and a graph, got other content")
    return model


class _Reader:
    """Reads messages from the bytes of a file."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.room = MAX_MESSAGES

    def message(self, kind: Any, at: int, end: int, place: str) -> Any:
        """Return the message of that class in the bytes from `at` to `end`. Fields without a number are passed over."""
        self._count(place)
        message, fields, seen = kind(), kind.FIELDS, set()
        while at < end:
            tag, at = self._varint(at, end, place)
            number, wire = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise FormatError(f"{place}: expected a field's number at byte {at}, got {number}")
            begin, at = self._extent(wire, at, end, place)
            if number not in fields:
                continue
            name, what, repeated = fields[number]
            inner = f"{place}: {name}"
            if repeated:
                self._append(message, name, what, wire, begin, at, inner)
                continue
            if name in seen:
                raise FormatError(f"{inner}: expected it once, got it twice")
            seen.add(name)
            setattr(message, name, self._single(what, wire, begin, at, inner))
        return message

    def _count(self, place: str) -> None:
        self.room -= 1
        if self.room < 0:
            raise FormatError(f"{place}: expected at most {MAX_MESSAGES:,} messages and texts, got more")

    def _varint(self, at: int, end: int, place: str) -> tuple[int, int]:
        """Return the number at `at`, from 0 to 2**64 - 1, and where it ends."""
        value, data = 0, self.data
        for shift in range(0, 70, 7):
            if at >= end:
                break
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                if value >> 64:
                    break
                return value, at
        raise FormatError(f"{place}: expected a number of 64 bits, got another or the end at byte {at}")

    def _extent(self, wire: int, at: int, end: int, place: str) -> tuple[int, int]:
        """Return where the content of a field begins and ends."""
        if wire == _VARINT:
            return at, self._varint(at, end, place)[1]
        if wire == _BYTES:
            length, at = self._varint(at, end, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise FormatError(f"{place}: expected a field of a known wire type at byte {at}, got type {wire}")
        if length > end - at:
            raise FormatError(f"{place}: expected at most {end - at} bytes at byte {at}, got a length of {length}")
        return at, at + length

    def _single(self, what: Any, wire: int, begin: int, end: int, place: str) -> Any:
        """Return the value of a field from its content."""
        expected = _NUMBERS[what][0] if what in _NUMBERS else _BYTES
        if wire != expected:
            raise FormatError(f"{place}: expected wire type {expected}, got {wire}")
        if what == "int":
            value = self._varint(begin, end, place)[0]
            return value - (1 << 64) if value >> 63 else value
        if what in _NUMBERS:
            return float(np.frombuffer(self.data[begin:end], _NUMBERS[what][1])[0])
        if what == "bytes":
            return self.data[begin:end]
        if what == "text":
            try:
                return str(self.data[begin:end], "utf-8")
            except UnicodeDecodeError as error:
                raise FormatError(f"{place}: expected text in UTF-8, got {error}") from None
        return self.message(what, begin, end, place)

    def _append(self, message: Any, name: str, what: Any, wire: int, begin: int, end: int, place: str) -> None:
        """Add to a field that may come several times: a message, a text, a number, or many numbers in one piece."""
        before = getattr(message, name)
        if what not in _NUMBERS:
            values = before if isinstance(before, list) else []
            setattr(message, name, values)
            if what in ("bytes", "text"):
                self._count(place)
            values.append(self._single(what, wire, begin, end, f"{place}[{len(values)}]"))
        elif wire == _BYTES:
            piece = self._packed(what, begin, end, place)
            setattr(message, name, piece if before is None or len(before) == 0 else np.concatenate([before, piece]))
        else:
            if not isinstance(before, array.array):
                before = array.array("q" if what == "int" else "d", before if before is not None else ())
                setattr(message, name, before)
            before.append(self._single(what, wire, begin, end, place))

    def _packed(self, what: str, begin: int, end: int, place: str) -> NDArray[Any]:
        """Return the numbers of a packed field."""
        if what != "int":
            dtype = np.dtype(_NUMBERS[what][1])
            if (end - begin) % dtype.itemsize:
                raise FormatError(f"{place}: expected a multiple of {dtype.itemsize} bytes, got {end - begin}")
            return np.frombuffer(self.data[begin:end], dtype)
        octets = np.frombuffer(self.data[begin:end], np.uint8)
        ends = np.flatnonzero(octets < 128)
        if octets.size and (not ends.size or ends[-1] != octets.size - 1):
            raise FormatError(f"{place}: expected whole numbers, got one that is cut off")
        lengths = np.diff(ends, prepend=-1)
        if (lengths > 10).any():
            raise FormatError(f"{place}: expected numbers of 64 bits, got a longer one")
        starts, values = ends - lengths + 1, np.zeros(len(ends), np.uint64)
        for i in range(int(lengths.max(initial=0))):
            longer = lengths > i
            values[longer] |= (octets[starts[longer] + i] & np.uint8(127)).astype(np.uint64) << np.uint64(7 * i)
        return values.view(np.int64)
