"""The safetensors container: the length of a header, the header in JSON, and the bytes of the tensors.

This module reads and writes tensors by name; model_file.py makes networks of them. A file may come from any program:
sizes are compared with the file's length before anything is allocated, and every fault raises a `FormatError`.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FormatError, format_error
from . import strict_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_HEADER_BYTES = 2**24
DTYPES = {"float32": "F32", "float64": "F64"}

Layout = list[tuple[str, tuple[int, ...], np.dtype[Any]]]


def json_value(argument: str, text: str) -> object:
    """Parse JSON with `strict_json`; an error names `argument`."""
    try:
        return strict_json.parse(text)
    except ValueError as error:
        raise FormatError(f"{argument}: {error}") from None


def as_dict(argument: str, value: object) -> dict[str, Any]:
    """Return a copy of a JSON object; refuse any other value."""
    if not isinstance(value, dict):
        raise format_error(argument, "an object", value)
    return dict(value)


def is_integers(value: object) -> bool:
    """Whether the value is a list of integers."""
    return isinstance(value, list) and all(type(each) is int for each in value)


# ------------------------------------------------------------------------------------------------------- writing


def little(tensor: NDArray[Any]) -> memoryview:
    """Return the tensor's bytes in C order and little-endian."""
    return np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def header_text(metadata: dict[str, str], layout: Layout) -> bytes:
    """Return the header's JSON, padded with spaces so that the tensors begin at an offset that is a multiple of 8."""
    header: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, shape, dtype in layout:
        end = offset + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPES[dtype.name], "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = strict_json.compact(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER_BYTES:
        raise ValueError(f"extra: expected a header of at most {MAX_HEADER_BYTES} bytes, got one of {len(text)}")
    return text


# ------------------------------------------------------------------------------------------------------- reading


def read_header(stream: io.BufferedIOBase, size: int) -> dict[str, Any]:
    """Read the header, a JSON object; the stream is then at the beginning of the tensors' bytes."""
    if size < 8:
        raise FormatError(f"model file: expected at least 8 bytes, got {size}")
    length = int.from_bytes(stream.read(8), "little")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise FormatError(f"header: expected at most {min(size - 8, MAX_HEADER_BYTES)} bytes, got a length of {length}")
    try:
        text = stream.read(length).decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"header: expected JSON in UTF-8, got {error}") from None
    return as_dict("header", json_value("header", text))


def check_tensors(header: dict[str, Any], layout: Layout, length: int) -> list[int]:
    """Return the offset of each tensor of the layout in the data section.

    The header must list exactly these tensors, and they must fill the section without gap or overlap.
    """
    names = [name for name, _, _ in layout]
    if set(header) != set(names):
        raise format_error("tensors", f"the {len(names)} names from {names[0]!r} to {names[-1]!r}", sorted(header))
    pieces = [_check_entry(name, header[name], shape, dtype) for name, shape, dtype in layout]
    end = 0
    for piece in sorted(pieces):
        if piece[0] != end:
            raise format_error("data_offsets", f"a tensor that begins at {end}", piece)
        end = piece[1]
    if end != length:
        raise FormatError(f"data section: expected {end} bytes, got {length}")
    return [piece[0] for piece in pieces]


def _check_entry(name: str, value: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the offsets of the tensor's beginning and end, after checking its dtype, shape and length."""
    entry = as_dict(name, value)
    if set(entry) != {"dtype", "shape", "data_offsets"}:
        raise format_error(name, "the fields 'dtype', 'shape' and 'data_offsets'", sorted(entry))
    if entry["dtype"] != DTYPES[dtype.name]:
        raise format_error(f"{name}: dtype", repr(DTYPES[dtype.name]), entry["dtype"])
    if not is_integers(entry["shape"]) or entry["shape"] != list(shape):
        raise format_error(f"{name}: shape", str(list(shape)), entry["shape"])
    offsets = entry["data_offsets"]
    if not is_integers(offsets) or len(offsets) != 2:
        raise format_error(f"{name}: data_offsets", "two integers", offsets)
    length = math.prod(shape) * dtype.itemsize
    if offsets[1] - offsets[0] != length:
        raise format_error(f"{name}: data_offsets", f"{length} bytes", offsets)
    return offsets[0], offsets[1]


def read_at(stream: io.BufferedIOBase, offset: int, rest: NDArray[np.uint8], name: str) -> None:
    """Fill `rest` with the bytes from that offset, part of the tensor of that name."""
    stream.seek(offset)
    if stream.readinto(rest.data) != len(rest):
        raise FormatError(f"{name}: expected {len(rest)} bytes, got the end of the file")
