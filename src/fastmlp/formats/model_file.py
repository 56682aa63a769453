"""The model file: a network in the safetensors format.

Layout: 8 bytes with the length n of the header (little-endian), n bytes of JSON, the bytes of the tensors. The tensors
are `layers.<l>.weight` (O, I) and `layers.<l>.bias` (O,), in the order of the parameter vector P. Everything else
(activations, loss, random state) is JSON in the header's `__metadata__`, with its SHA-256. A checkpoint
(training/checkpoint.py) is a model file that also holds a training: further tensors, and JSON that lists them.

Nothing in a file is trusted: sizes are compared with the file's length before anything is allocated, no code is
run, and every fault is a `FormatError`. The checksum of the parameters is over their little-endian bytes in the order
of P, so that a tool which stores the tensors in another order leaves it valid.

These modules can refuse a file: files.py and foreign.py (it was written by something else), safetensors.py (the
container), strict_json.py (JSON that is ambiguous or too large), this module (the version, checksums, the list of
tensors), upgrade.py (the fields of an older version), descriptions.py (the fields of a network and the objects in
them), architecture.py (values that do not fit each other), and the modules of scaling and of encoders for theirs.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .._version import __version__
from ..architecture import Architecture
from ..errors import FormatError, UnknownFieldError, format_error
from ..frozen import frozen, replace
from . import atomic, foreign, strict_json
from .atomic import Path
from .descriptions import architecture_from, describe_architecture
from .safetensors import (
    DTYPES,
    Layout,
    as_dict,
    check_tensors,
    header_text,
    is_integers,
    json_value,
    little,
    read_at,
    read_header,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 2  # of the format of models and checkpoints; upgrade.py reads those before it
WEIGHTS = {"float32": ("float32", "bfloat16", "int8"), "float64": ("float64",)}  # by the dtype of the network
MAX_DIMENSIONS = 32  # of a tensor of a training; every version of NumPy supports as many
MAX_NUMBERS = 2**48  # in a tensor of a training

_ARCHITECTURE = "fastmlp.architecture"
_EXTRA = "fastmlp.extra"
_PARAMETERS = "fastmlp.parameters"
_TRAINING = "fastmlp.training"
_TENSORS = "fastmlp.tensors"
_CHECKSUMS = {f"{key}.sha256" for key in (_ARCHITECTURE, _EXTRA, _PARAMETERS)}
_METADATA = {"format", _ARCHITECTURE, _EXTRA, *_CHECKSUMS}
_TRAINING_CHECKSUMS = {f"{key}.sha256" for key in (_TRAINING, _TENSORS)}


class Saveable(Protocol):
    """The attributes of a network that a model file stores: its architecture, random state and parameters."""

    @property
    def parameters(self) -> NDArray[Any]:
        """A copy of P."""

    @property
    def _random_state(self) -> int: ...

    def _architecture(self) -> Architecture: ...


@frozen(eq=False)
class SavedTraining:
    """The training in a checkpoint: fields that JSON can hold, and tensors of float32 or float64 by name."""

    fields: dict[str, Any]
    tensors: dict[str, NDArray[Any]]


@frozen(eq=False)
class ModelFile:
    """The content of a file of a model: an architecture and P, in native byte order.

    Only files of fastmlp have the other fields.
    """

    architecture: Architecture
    parameters: NDArray[Any]
    random_state: int = 0
    extra: Mapping[str, str] = MappingProxyType({})
    training: SavedTraining | None = None
    writer: Writer | None = None  # the writer of the file, if it was read from one
    weights: str | None = None  # of a bound predictor: the dtype of its weights in memory; None for a network

    @property
    def _random_state(self) -> int:
        return self.random_state

    def _architecture(self) -> Architecture:
        return self.architecture


# -------------------------------------------------------------------------------------------------------------- writing


def to_bytes(
    network: Saveable,
    extra: Mapping[str, str] | None = None,
    training: SavedTraining | None = None,
    weights: str | None = None,
) -> bytes:
    """Return the bytes of a model file.

    Parameters
    ----------
    network : Network
        The network to write.
    extra : mapping of str to str, optional
        The caller's own text, which `read` returns as `ModelFile.extra`.
    training : SavedTraining, optional
        The training, which makes the file a checkpoint; `read` returns it as `ModelFile.training`.
    weights : str, optional
        The dtype of a bound predictor's weights, one of WEIGHTS; `read` returns it as `ModelFile.weights`.

    Raises
    ------
    TypeError, ValueError
        If `extra` is not a mapping of str to str or is too long for a header, or if a parameter is not finite.
    """
    entries = _check_extra("extra", {} if extra is None else extra)
    architecture = network._architecture()
    described = describe_architecture(architecture, network._random_state)
    if weights is not None:
        described["weights"] = weights
    dtype = architecture.dtype
    layout = _layout(architecture.sizes, dtype)
    parameters = np.ascontiguousarray(network.parameters, dtype=dtype.newbyteorder("<"))
    if parameters.shape != (_count(layout),):
        raise format_error("parameters", f"the shape {(_count(layout),)}", parameters.shape)
    _refuse_non_finite(parameters, layout)
    body = parameters.view(np.uint8).data
    texts = {
        _ARCHITECTURE: _canonical("architecture", {"version": VERSION, "written_by": __version__, **described}),
        _EXTRA: _canonical("extra", entries),
    }
    metadata = {"format": "fastmlp", **texts, f"{_PARAMETERS}.sha256": sha256(body)}
    metadata.update({f"{key}.sha256": _digest(text) for key, text in texts.items()})
    tensors = {} if training is None else training.tensors
    layout += [(name, tensor.shape, tensor.dtype) for name, tensor in tensors.items()]
    more = [little(tensor) for tensor in tensors.values()]
    if training is not None:
        listed = [[name, list(tensor.shape), tensor.dtype.name] for name, tensor in tensors.items()]
        text = _canonical("training", {"tensors": listed, "fields": training.fields})
        metadata.update({_TRAINING: text, f"{_TRAINING}.sha256": _digest(text), f"{_TENSORS}.sha256": sha256(*more)})
    header = header_text(metadata, layout)
    return b"".join((len(header).to_bytes(8, "little"), header, body, *more))


def save(path: Path, network: Saveable, extra: Mapping[str, str] | None = None) -> None:
    """Write the network to a file; at any moment, the path has either the previous file or the complete new one.

    Raises
    ------
    OSError
        An error of the operating system.
    """
    atomic.write(path, to_bytes(network, extra))


# -------------------------------------------------------------------------------------------------------------- reading


def parse(data: bytes | bytearray | memoryview) -> ModelFile:
    """Read and check a model file in memory."""
    stream = io.BytesIO(data)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return read(stream, size)


def read(stream: io.BufferedIOBase, size: int) -> ModelFile:
    """Read and check a model file of `size` bytes.

    Raises
    ------
    FormatError
        If it is not a model file, or is truncated or altered.
    """
    header = read_header(stream, size)
    metadata = _check_metadata(header)
    room = size - stream.tell()
    extra = _check_extra(_EXTRA, json_value(_EXTRA, _verified(metadata, _EXTRA, default="{}")))
    fields = as_dict(_ARCHITECTURE, json_value(_ARCHITECTURE, _verified(metadata, _ARCHITECTURE)))
    writer = Writer.take(fields)
    weights = fields.pop("weights", None)
    try:
        architecture, random_state, extra = _architecture_of(fields, extra, writer.version, room)
        check_weights(weights, architecture.dtype)
        model = ModelFile(architecture, np.empty(0), random_state, extra, writer=writer, weights=weights)
        return _load_parts(stream, size, header, metadata, model, writer)
    except UnknownFieldError as error:
        raise FormatError(f"{error}; {writer}") from None


def check_weights(weights: object, dtype: np.dtype[Any]) -> None:
    """Refuse a dtype of a bound predictor's weights that a network of that dtype cannot have."""
    allowed = WEIGHTS[dtype.name]
    if weights is not None and (not isinstance(weights, str) or weights not in allowed):
        raise format_error("weights", f"one of {', '.join(map(repr, allowed))} for a {dtype.name} network", weights)


class Writer(NamedTuple):
    """The versions of the format and of fastmlp that a file was written with."""

    version: int
    name: str

    @classmethod
    def take(cls, architecture: dict[str, Any]) -> Writer:
        """Remove the versions from the description of an architecture; refuse an unknown version of the format."""
        version, name = architecture.pop("version", None), architecture.pop("written_by", None)
        if type(version) is not int or version < 1:
            raise format_error(f"{_ARCHITECTURE}: version", f"a number from 1 to {VERSION}", version)
        name = "0.1.0" if version == 1 else name  # 0.1.0 did not store its own version
        if not isinstance(name, str) or not re.fullmatch(r"[0-9A-Za-z.+]{1,40}", name):
            raise format_error(f"{_ARCHITECTURE}: fields: written_by", "a version of fastmlp", name)
        writer = cls(version, name)
        if version > VERSION:
            raise FormatError(f"version: expected at most {VERSION}, got {version}; {writer}")
        return writer

    def __str__(self) -> str:
        return (
            f"fastmlp {self.name} wrote the file, in version {self.version} of the format; this is fastmlp "
            f"{__version__}, which reads versions up to {VERSION}: use the one that wrote it, or a later one"
        )


def _load_parts(
    stream: io.BufferedIOBase,
    size: int,
    header: dict[str, Any],
    metadata: dict[str, str],
    model: ModelFile,
    writer: Writer,
) -> ModelFile:
    """Return the model with its parameters and, if the file is a checkpoint, its training."""
    dtype = model.architecture.dtype
    layout = _layout(model.architecture.sizes, dtype)
    fields, more = _training_from(metadata, [name for name, _, _ in layout], writer.version)
    begin = stream.tell()
    offsets = [begin + offset for offset in check_tensors(header, [*layout, *more], size - begin)]
    parameters = np.empty(_count(layout), dtype.newbyteorder("<"))
    rest = parameters.view(np.uint8)
    for offset, (name, shape, _) in zip(offsets, layout, strict=False):
        length = math.prod(shape) * dtype.itemsize
        read_at(stream, offset, rest[:length], name)
        rest = rest[length:]
    _refuse_non_finite(parameters, layout)
    _check_digest("parameters", metadata.get(f"{_PARAMETERS}.sha256"), parameters.view(np.uint8).data)
    training = None
    if _TRAINING in metadata:
        tensors = _read_tensors(stream, offsets[len(layout) :], more)
        _check_digest("tensors", metadata[f"{_TENSORS}.sha256"], *(little(tensor) for tensor in tensors.values()))
        training = SavedTraining(*_upgraded(writer.version, "training", fields, tensors))
    return replace(model, parameters=parameters.astype(dtype, copy=False), training=training)


def _upgraded(version: int, part: str, *values: Any) -> Any:
    """Convert a part of a file from that version of the format to the current one.

    `part` is the name of the function of an `upgrade.Reader`; `values` are its arguments.
    """
    if version < VERSION:
        from . import upgrade  # here, because most files are of the current version
    for each in range(version, VERSION):
        try:
            values = getattr(upgrade.READERS[each], part)(*values)
        except ValueError as error:
            raise FormatError(str(error)) from None
    return values


def _training_from(metadata: Mapping[str, str], taken: list[str], version: int) -> tuple[dict[str, Any], Layout]:
    """Return the fields of a checkpoint and the layout of its own tensors; both are empty for a model file.

    `taken` are the names of the model's tensors.
    """
    if _TRAINING not in metadata:
        return {}, []
    if not metadata.keys() >= _CHECKSUMS | _TRAINING_CHECKSUMS:
        raise format_error("__metadata__", "all checksums beside a training", sorted(metadata))
    parts = as_dict(_TRAINING, json_value(_TRAINING, _verified(metadata, _TRAINING)))
    key = "words" if version == 1 else "fields"
    if set(parts) != {"tensors", key} or not isinstance(parts["tensors"], list):
        raise format_error(_TRAINING, f"a list 'tensors' and {key!r}", sorted(parts))
    layout: Layout = []
    for entry in parts["tensors"]:
        name, shape, dtype = entry if isinstance(entry, list) and len(entry) == 3 else ("", None, "")
        known = isinstance(name, str) and isinstance(dtype, str) and dtype in DTYPES
        if not (
            known and is_integers(shape) and len(shape or ()) <= MAX_DIMENSIONS and min(shape or (), default=0) >= 0
        ):
            raise format_error(f"{_TRAINING}: tensors", "a name, a shape and a dtype", entry)
        if math.prod(max(size, 1) for size in shape or ()) > MAX_NUMBERS:  # also if another dimension is 0
            raise format_error(f"{_TRAINING}: tensors", f"a shape of at most {MAX_NUMBERS} numbers", entry)
        layout.append((name, tuple(shape or ()), np.dtype(dtype)))
    names = [*taken, *(name for name, _, _ in layout)]
    if len(set(names)) != len(names):
        raise format_error(f"{_TRAINING}: tensors", "each name once", names)
    return as_dict("training", parts[key]), layout


def _read_tensors(stream: io.BufferedIOBase, offsets: list[int], layout: Layout) -> dict[str, NDArray[Any]]:
    tensors = {}
    for offset, (name, shape, dtype) in zip(offsets, layout, strict=True):
        tensor = np.empty(math.prod(shape), dtype.newbyteorder("<"))
        read_at(stream, offset, tensor.view(np.uint8), name)
        tensors[name] = tensor.astype(dtype, copy=False).reshape(shape)
    return tensors


def _check_digest(what: str, digest: str | None, *data: memoryview) -> None:
    if digest is not None and digest != sha256(*data):
        raise format_error(what, f"the SHA-256 {digest[:64]}", "that of other numbers")


def _check_metadata(header: dict[str, Any]) -> dict[str, str]:
    """Remove the metadata from the header; refuse the header if fastmlp has not written it."""
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != "fastmlp":
        raise FormatError(f"expected a fastmlp model file, got {foreign.safetensors(header)}")
    del header["__metadata__"]
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise format_error("__metadata__", f"a string for {reprlib.repr(key)}", value)
    unknown = metadata.keys() - _METADATA - ({_TRAINING, *_TRAINING_CHECKSUMS} if _TRAINING in metadata else set())
    if unknown and not metadata.keys() >= _CHECKSUMS:  # the key of a missing checksum may be damaged
        raise format_error("__metadata__", "no unknown keys where a checksum is missing", sorted(unknown))
    return metadata


def _verified(metadata: Mapping[str, str], key: str, default: str | None = None) -> str:
    """Return the text of the key, or the default; refuse text that does not match its checksum, if there is one."""
    text = metadata.get(key, default)
    if text is None:
        raise FormatError(f"__metadata__: expected the key {key!r}, got none")
    digest = metadata.get(f"{key}.sha256")
    if digest is not None and digest != _digest(text):
        raise format_error(key, f"the SHA-256 {digest[:64]}", text)
    return text


def _architecture_of(
    fields: dict[str, Any], extra: dict[str, str], version: int, room: int
) -> tuple[Architecture, int, dict[str, str]]:
    """Return the architecture, the random state, and `extra` without entries that were moved to the architecture.

    The parameters must fit into `room` bytes.
    """
    checked = architecture_from(fields, room)  # before the reader of an older version uses the sizes
    upgraded, extra = _upgraded(version, "architecture", fields, extra)
    return (*(architecture_from(upgraded, room) if upgraded != fields else checked), extra)


# -------------------------------------------------------------------------------------------------------------- helpers


def _layout(sizes: Sequence[int], dtype: np.dtype[Any]) -> Layout:
    """Return the name, shape and dtype of each tensor of a network, in the order of P."""
    return [
        (f"layers.{layer}.{kind}", shape, dtype)
        for layer, (inputs, outputs) in enumerate(itertools.pairwise(sizes))
        for kind, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
    ]


def _count(layout: Layout) -> int:
    return sum(math.prod(shape) for _, shape, _ in layout)


def _refuse_non_finite(parameters: NDArray[Any], layout: Layout) -> None:
    finite = np.isfinite(parameters)
    if finite.all():
        return
    index = int(np.argmin(finite))
    value = float(parameters[index])
    for name, shape, _ in layout:
        if index < math.prod(shape):
            where = ", ".join(str(int(i)) for i in np.unravel_index(index, shape))
            _, layer, kind = name.split(".")
            raise FormatError(f"parameters: expected finite numbers, got {value!r} in layer {layer}, {kind}[{where}]")
        index -= math.prod(shape)


def _canonical(argument: str, value: object) -> str:
    """Return the value as JSON with sorted keys, after checking that `json_value` can read it."""
    text = strict_json.compact(value, sort_keys=True)
    try:
        strict_json.check_unicode(text, value)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    return text


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass"))


def sha256(*data: Any) -> str:
    """Return the SHA-256 of the concatenation of the data, in hexadecimal."""
    return sha256_of(data)


def sha256_of(pieces: Iterable[Any]) -> str:
    """Return the SHA-256 of the concatenation of the pieces, in hexadecimal."""
    import hashlib  # here, because its import takes longer than all others of this module

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _check_extra(argument: str, entries: object) -> dict[str, str]:
    """Return a copy of a mapping of str to str, after checking its types and that UTF-8 can encode the text."""
    if not isinstance(entries, Mapping):
        raise _kind_error(argument, entries)
    for pair in entries.items():
        for text in pair:
            if not isinstance(text, str):
                raise _kind_error(argument, text)
            try:
                text.encode("utf-8")
            except UnicodeEncodeError:
                raise format_error(argument, "Unicode text", text) from None
    return dict(entries)


def _kind_error(argument: str, value: object) -> Exception:
    message = f"{argument}: expected a mapping of str to str, got {reprlib.repr(value)}"
    return FormatError(message) if argument == _EXTRA else TypeError(message)
