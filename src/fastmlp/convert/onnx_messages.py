"""The messages of ONNX files as bytes, to be written: fields by number, nodes, tensors and descriptions of values.

Numbers of fields are those of onnx.proto. The other direction, which trusts nothing, is onnx_wire.py.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT, INT64, STRING, DOUBLE = 1, 7, 8, 11
CODES = {"float32": FLOAT, "float64": DOUBLE, "int64": INT64}


def _number(value: int) -> bytes:
    """Return a number of 64 bits in groups of 7 bits, the lowest first."""
    value, out = value & (1 << 64) - 1, bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint(number: int, value: int) -> bytes:
    """Return a field that is an integer."""
    return _number(number << 3) + _number(value)


def field(number: int, content: bytes) -> bytes:
    """Return a field that is a text or a message."""
    return _number(number << 3 | 2) + _number(len(content)) + content


def node(number: int, operator: str, inputs: list[str], output: str, attributes: dict[str, Any]) -> bytes:
    """Return a NodeProto with one output; its name is made of its number."""
    named = [field(1, name.encode()) for name in inputs] + [field(2, output.encode())]
    named += [field(3, f"{operator}_{number}".encode()), field(4, operator.encode())]
    return b"".join(named + [field(5, _attribute(*each)) for each in attributes.items()])


def _attribute(name: str, value: Any) -> bytes:
    head = field(1, name.encode())
    if isinstance(value, float):
        return head + _number(2 << 3 | 5) + struct.pack("<f", value) + varint(20, 1)
    if isinstance(value, int):
        return head + varint(3, value) + varint(20, 2)
    return head + field(4, value.encode()) + varint(20, 3)


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """Return a TensorProto of an array of one of the types in `CODES`."""
    dims = b"".join(varint(1, size) for size in array.shape)
    raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return dims + varint(2, CODES[array.dtype.name]) + field(8, name.encode()) + field(9, raw)


def text_tensor(name: str, texts: list[str]) -> bytes:
    """Return a TensorProto of texts, of one dimension."""
    listed = b"".join(field(6, text.encode()) for text in texts)
    return varint(1, len(texts)) + varint(2, STRING) + listed + field(8, name.encode())


def value(name: str, code: int, shape: Sequence[str | int]) -> bytes:
    """Return a ValueInfoProto of a tensor; a dimension by name is free."""
    dims = b"".join(field(1, varint(1, size) if isinstance(size, int) else field(2, size.encode())) for size in shape)
    return field(1, name.encode()) + field(2, field(1, varint(1, code) + field(2, dims)))
