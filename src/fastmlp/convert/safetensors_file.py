"""Safetensors files of other programs: tensors by name, sorted by name, of which the layers are asked for.

The container is read by formats/safetensors.py. safetensors.torch.save_model leaves tied tensors out and notes their
names in `__metadata__`; they are put back here.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..activations import Activation
from ..errors import FormatError, format_error
from ..formats.safetensors import as_dict, is_integers, read_header
from .chain import Chain
from .torch_layers import EPS, MAX_TENSOR_BYTES, without_prefixes
from .torch_spec import Spec, chain

DTYPES = {  # safetensors' names of dtypes, and NumPy's; bfloat16 has none
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read(
    source: str | os.PathLike[str] | bytes,
    *,
    activation: str | Activation | Sequence[str | Activation] | None = None,
    output_activation: str | Activation | None = None,
    layers: Sequence[str | Activation] | None = None,
    ignore_unused: bool = False,
    eps: float = EPS,
) -> Chain:
    """Return the chain of a safetensors file that another program has written; see `from_torch`."""
    spec = Spec(activation, output_activation, layers, ignore_unused, eps)
    tensors, metadata = tensors_of_file(source)
    if metadata.get("format") == "fastmlp":
        raise FormatError("safetensors file: expected one of another program, got a model file; fastmlp.load reads it")
    plain = dict(zip(without_prefixes(list(tensors)), tensors.values(), strict=True))
    if len(plain) != len(tensors):
        raise FormatError("safetensors file: expected different names of tensors after their prefixes, got one twice")
    return chain(plain, spec, sorted_by_name=True, tool="safetensors", version="")


def tensors_of_file(source: str | os.PathLike[str] | bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Return the tensors of a safetensors file by name, with the tied ones, and its metadata."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
    with stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        header = read_header(stream, size)
        metadata = as_dict("__metadata__", header.pop("__metadata__", {}))
        begin = stream.tell()
        places = _checked(header, size - begin)
        tensors = {}
        for name, (offset, shape, dtype) in places.items():
            elements = np.empty(math.prod(shape), DTYPES[dtype])
            stream.seek(begin + offset)
            if stream.readinto(elements.view(np.uint8).data) != elements.nbytes:
                raise FormatError(f"tensor {name!r:.200}: expected {elements.nbytes} bytes, got the end of the file")
            if dtype == "BF16":
                elements = (elements.astype(np.uint32) << 16).view(np.float32)
            tensors[name] = elements.astype(elements.dtype.newbyteorder("=")).reshape(shape)
    left = MAX_TENSOR_BYTES * size
    for name, other in metadata.items():
        if name not in tensors and isinstance(other, str) and other in places:
            tensors[name] = tensors[other]
            left -= tensors[other].nbytes
    if left < 0:
        raise FormatError(f"__metadata__: expected tied tensors of at most {MAX_TENSOR_BYTES} times the file, got more")
    return tensors, metadata


def _checked(header: dict[str, Any], length: int) -> dict[str, tuple[int, tuple[int, ...], str]]:
    """Return the offset, shape and dtype of each tensor; they must fill the file without gap or overlap."""
    places = {name: _place(name, entry) for name, entry in header.items()}
    end = 0
    for name, (offset, shape, dtype) in sorted(places.items(), key=lambda each: (each[1][0], math.prod(each[1][1]))):
        if offset != end:
            raise FormatError(f"tensor {name!r:.200}: expected it to begin at byte {end}, got {offset}")
        end += math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if end != length:
        raise FormatError(f"safetensors file: expected tensors of {length} bytes, got {end}")
    return places


def _place(name: str, value: object) -> tuple[int, tuple[int, ...], str]:
    entry = as_dict(f"tensor {name!r:.200}", value)
    dtype: Any = entry.get("dtype")
    shape: Any = entry.get("shape")
    offsets: Any = entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise format_error(f"tensor {name!r:.200}: dtype", f"one of {', '.join(DTYPES)}", dtype)
    if not is_integers(shape) or len(shape) > 32 or not all(0 <= n < 2**40 for n in shape):
        raise format_error(f"tensor {name!r:.200}: shape", "a list of lengths", shape)
    if not is_integers(offsets) or len(offsets) != 2 or offsets[0] < 0:
        raise format_error(f"tensor {name!r:.200}: data_offsets", "two integers", offsets)
    n_bytes = math.prod(shape) * np.dtype(DTYPES[dtype]).itemsize
    if offsets[1] - offsets[0] != n_bytes:
        raise format_error(f"tensor {name!r:.200}: data_offsets", f"{n_bytes} bytes", offsets)
    return offsets[0], tuple(shape), dtype
