"""Arrays from ONNX's tensors: numbers or text within the file, or numbers in a file beside it.

The size that a tensor's shape and type ask for is compared with the data that are there before anything is allocated.
Data outside of the file are read from the model's own folder only: no absolute path, no "..", no symbolic link that
leads out, no device or pipe.
"""

from __future__ import annotations

import math
import os
import stat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from .onnx_wire import Tensor

MAX_DIMENSIONS = 8
_STRING, _BFLOAT16, _INT4, _UINT4 = 8, 16, 22, 21
# TensorProto.DataType: the dtype, and the field that holds such numbers where raw_data does not.
DTYPES: dict[int, tuple[str, str]] = {
    1: ("<f4", "float_data"),
    2: ("u1", "int32_data"),
    3: ("i1", "int32_data"),
    4: ("<u2", "int32_data"),
    5: ("<i2", "int32_data"),
    6: ("<i4", "int32_data"),
    7: ("<i8", "int64_data"),
    9: ("?", "int32_data"),
    10: ("<f2", "int32_data"),
    11: ("<f8", "double_data"),
    12: ("<u4", "uint64_data"),
    13: ("<u8", "uint64_data"),
    _BFLOAT16: ("<u2", "int32_data"),
    _UINT4: ("u1", "int32_data"),
    _INT4: ("i1", "int32_data"),
}
FLOATS = (1, 10, 11, _BFLOAT16)


class Folder:
    """The folder of a model's file, and the files of numbers that have been read from it; None if there is no file."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.bytes = 0  # of the files that were used
        self._files: dict[str, memoryview] = {}

    def read(self, location: str, offset: int, length: int | None, place: str) -> memoryview:
        """Return bytes of a file in the folder; the file is mapped into memory, not read."""
        data = self._files.get(location)
        if data is None:
            data = self._files[location] = self._open(location, place)
            self.bytes += len(data)
        end = len(data) if length is None else offset + length
        if not 0 <= offset <= end <= len(data):
            raise FormatError(f"{place}: expected bytes within the {len(data)} of {location!r}, got {offset} to {end}")
        return data[offset:end]

    def _open(self, location: str, place: str) -> memoryview:
        if self.path is None:
            raise FormatError(
                f"{place}: its numbers are in the file {location!r} beside the model's; give the path of the model's "
                "file in place of its bytes"
            )
        parts = location.replace("\\", "/").split("/")
        inside = "\0" not in location and not os.path.isabs(location) and ":" not in location and ".." not in parts
        folder = os.path.realpath(self.path)
        target = os.path.realpath(os.path.join(folder, location)) if inside else ""
        if not inside or not location or os.path.commonpath([folder, target]) != folder:
            raise FormatError(f"{place}: expected data in the model's folder, got the place {location!r}")
        try:
            descriptor = os.open(target, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except (OSError, ValueError) as error:
            raise FormatError(
                f"{place}: expected its numbers in the file {location!r} beside the model's, got {error}; both files "
                "belong together"
            ) from None
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise FormatError(f"{place}: expected a file of numbers, got {location!r}, which is none")
        with os.fdopen(descriptor, "rb") as stream:
            if status.st_size == 0:
                return memoryview(b"")
            return memoryview(np.memmap(stream, np.uint8, "r"))  # type: ignore[arg-type]


def to_array(tensor: Tensor, folder: Folder, place: str) -> NDArray[Any]:
    """Return the tensor as an array: floats in their own dtype (bfloat16: float32), integers, bools, or text (objects).

    The array is read-only and may be a view of the file's bytes.

    Raises
    ------
    FormatError
        If its type is not supported, or its data do not fill its shape.
    """
    shape = tuple(int(size) for size in tensor.dims)
    if len(shape) > MAX_DIMENSIONS or any(size < 0 for size in shape):
        raise FormatError(
            f"{place}: expected at most {MAX_DIMENSIONS} dimensions of at least 0, got {list(shape)[:10]}"
        )
    if tensor.segment is not None:
        raise FormatError(f"{place}: expected a tensor in one piece, got a segment of one")
    count = math.prod(shape)
    if tensor.data_type == _STRING:
        return _texts(tensor, count, place).reshape(shape)
    if tensor.data_type not in DTYPES:
        raise FormatError(f"{place}: expected floats, integers, bools or text, got data type {tensor.data_type}")
    dtype, name = DTYPES[tensor.data_type]
    numbers = _raw(tensor, np.dtype(dtype), count, folder, place)
    if numbers is None:
        numbers = _listed(getattr(tensor, name), np.dtype(dtype), tensor.data_type, count, f"{place}: {name}")
    if tensor.data_type == _BFLOAT16:
        numbers = (numbers.astype(np.uint32) << np.uint32(16)).view(np.float32)
    numbers = numbers.reshape(shape)
    numbers.flags.writeable = False
    return numbers


def _texts(tensor: Tensor, count: int, place: str) -> NDArray[Any]:
    if len(tensor.string_data) != count:
        raise FormatError(f"{place}: expected {count} texts, got {len(tensor.string_data)}")
    texts = np.empty(count, object)
    for i, text in enumerate(tensor.string_data):
        texts[i] = decode(text, place)
    return texts


def decode(text: Any, place: str) -> str:
    """Return bytes as text."""
    try:
        return str(text, "utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{place}: expected text in UTF-8, got {error}") from None


def _raw(tensor: Tensor, dtype: np.dtype[Any], count: int, folder: Folder, place: str) -> NDArray[Any] | None:
    """Return the numbers of raw_data or of the external file; None if the tensor has neither."""
    half = tensor.data_type in (_INT4, _UINT4)
    wanted = (count + 1) // 2 if half else count * dtype.itemsize
    if tensor.data_location == 1:
        raw = _external(tensor, folder, wanted, place)
    elif tensor.data_location == 0:
        raw = tensor.raw_data
    else:
        raise FormatError(f"{place}: expected data_location 0 or 1, got {tensor.data_location}")
    if raw is None:
        return None
    if len(raw) != wanted:
        raise FormatError(f"{place}: expected {wanted} bytes for shape {list(tensor.dims)}, got {len(raw)}")
    if half:
        return _nibbles(np.frombuffer(raw, np.uint8), dtype, count)
    if dtype == np.bool_:
        return np.frombuffer(raw, np.uint8).astype(np.bool_)
    return np.frombuffer(raw, dtype)


def _external(tensor: Tensor, folder: Folder, wanted: int, place: str) -> memoryview:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    numbers: dict[str, int | None] = {"offset": 0, "length": None}
    for key in numbers:
        text = entries.get(key)
        if text is None:
            continue
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise FormatError(f"{place}: expected an {key} of digits, got {text!r:.40}")
        numbers[key] = int(text)
    length = numbers["length"]
    return folder.read(entries.get("location", ""), numbers["offset"] or 0, wanted if length is None else length, place)


def _nibbles(octets: NDArray[np.uint8], dtype: np.dtype[Any], count: int) -> NDArray[Any]:
    """Return numbers of four bits, the lower half of an octet first."""
    halves = np.stack([octets & 15, octets >> 4], axis=1).reshape(-1)[:count]
    if dtype.kind == "i":
        halves = halves ^ 8  # shifts -8..7 to 0..15
        return halves.astype(np.int8) - np.int8(8)
    return halves


def _listed(values: Any, dtype: np.dtype[Any], code: int, count: int, place: str) -> NDArray[Any]:
    """Return the numbers of a field with one entry for each (for four bits: for two)."""
    half = code in (_INT4, _UINT4)
    if len(values) != ((count + 1) // 2 if half else count):
        raise FormatError(f"{place}: expected {count} numbers, got {len(values)}")
    listed: NDArray[Any] = np.asarray(values)
    if code in (1, 11):
        return listed.astype(dtype)
    listed = listed.astype(np.int64)
    if half:
        return _nibbles((listed & 255).astype(np.uint8), dtype, count)
    if code == 10:
        return (listed & 0xFFFF).astype(np.uint16).view(np.float16)
    if code == 13:
        return listed.view(np.uint64)
    if code == 9:
        return listed.astype(np.bool_)
    information = np.iinfo(dtype)
    if listed.size and (listed.min() < information.min or listed.max() > information.max):
        raise FormatError(f"{place}: expected numbers from {information.min} to {information.max}, got others")
    return listed.astype(dtype)
