"""The model file: a network as safetensors bytes, saved so that a crash leaves the old file or the new one.

Layout: 8 bytes with the length n of the header (little-endian), n bytes of JSON, the tensors' bytes. The tensors
are `layers.<l>.weight` (O, I) and `layers.<l>.bias` (O,), in the order of the parameter vector P; what a tensor
does not say (activations, loss, random state) is JSON inside the header's `__metadata__`, with its SHA-256. A
checkpoint (checkpoint.py) is a model file with a training in it: more tensors, listed in JSON of its own.

Nothing in a file is trusted: sizes are compared with the file's length before anything is allocated, no code is
run, and what does not check out is a `FormatError`. The checksum of the parameters is over their little-endian
bytes in the order of P, so a tool that stores the same tensors in another order leaves it valid.
"""

from __future__ import annotations

import errno
import io
import itertools
import math
import os
import re
import reprlib
import stat
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from . import construction, durable, foreign, losses, scaling, schema, strict_json
from ._version import __version__
from .activations import Activation
from .container import (
    DTYPES,
    Layout,
    UnknownFieldError,
    as_dict,
    check_tensors,
    header_text,
    is_integers,
    json_value,
    little,
    read_at,
    read_header,
    unexpected,
)
from .container import FormatError as FormatError
from .descriptions import activation_from as activation_from
from .descriptions import describe as describe
from .descriptions import loss_from as loss_from
from .descriptions import refuse_unknown
from .durable import Path
from .frozen import frozen
from .initializers import INITIALIZERS
from .losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

VERSION = 2  # of the format of models and checkpoints; upgrade.py reads those before it
MOST_DIMENSIONS = 32  # of a tensor beside the parameters, as every version of NumPy has them
MOST_NUMBERS = 2**48

_ARCHITECTURE = "fastmlp.architecture"
_EXTRA = "fastmlp.extra"
_PARAMETERS = "fastmlp.parameters"
_TRAINING = "fastmlp.training"
_TENSORS = "fastmlp.tensors"
_CHECKSUMS = {f"{key}.sha256" for key in (_ARCHITECTURE, _EXTRA, _PARAMETERS)}
_METADATA = {"format", _ARCHITECTURE, _EXTRA, *_CHECKSUMS}
_TRAINING_CHECKSUMS = {f"{key}.sha256" for key in (_TRAINING, _TENSORS)}
_FIELDS = {"sizes", "activation", "output_activation", "loss", "dtype", "init", "seed", "random_state"}

_COLUMNS = {"input_scaling", "target_scaling", *schema.FIELDS}  # which a file need not have


class Saveable(Protocol):
    """What is read of a network: its architecture, and its parameters in one piece."""

    @property
    def parameters(self) -> NDArray[Any]:
        """A copy of P."""

    def _architecture(self) -> dict[str, Any]: ...


@frozen(eq=False)
class Training:
    """What a checkpoint has beside the model: fields that JSON can hold, and tensors float32 or float64 by name."""

    fields: dict[str, Any]
    tensors: dict[str, NDArray[Any]]


@frozen(eq=False)
class Model:
    """What a model file holds: the checked architecture, P in native byte order, and the caller's own words."""

    architecture: dict[str, Any]
    parameters: NDArray[Any]
    extra: dict[str, str]
    training: Training | None = None
    writer: Writer | None = None  # of the file that it was read from

    def _architecture(self) -> dict[str, Any]:
        return self.architecture


# -------------------------------------------------------------------------------------------------------------- writing


def to_bytes(network: Saveable, extra: Mapping[str, str] | None = None, training: Training | None = None) -> bytes:
    """The network as the bytes of a model file.

    Parameters
    ----------
    network : Network
        What to write.
    extra : mapping of str to str, optional
        The caller's own words, handed back in `Model.extra`.
    training : Training, optional
        What makes it a checkpoint, handed back in `Model.training`.

    Raises
    ------
    TypeError, ValueError
        For an `extra` that is not a mapping of str to str or exceeds a header, and for parameters that are not finite.
    """
    words = _check_words("extra", {} if extra is None else extra)
    architecture = check_architecture(network._architecture())
    dtype = np.dtype(architecture["dtype"])
    layout = _layout(architecture["sizes"], dtype)
    parameters = np.ascontiguousarray(network.parameters, dtype=dtype.newbyteorder("<"))
    if parameters.shape != (_count(layout),):
        raise unexpected("parameters", f"the shape {(_count(layout),)}", parameters.shape)
    _refuse_non_finite(parameters, layout)
    body = parameters.view(np.uint8).data
    texts = {
        _ARCHITECTURE: _canonical("architecture", {"version": VERSION, "written_by": __version__, **architecture}),
        _EXTRA: _canonical("extra", words),
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
    """Write the network to a file; at any moment the path holds the previous file or the whole new one.

    Raises
    ------
    OSError
        What the operating system says.
    """
    durable.write(path, to_bytes(network, extra))


# -------------------------------------------------------------------------------------------------------------- reading


def read(path: Path) -> Model:
    """The content of a model file, checked.

    Raises
    ------
    FormatError
        If the file is not a model file, or is truncated or altered.
    OSError
        What the operating system says.
    """
    name = durable.name_of(path)
    status = os.stat(name)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(
            errno.EISDIR, "expected the file that Network.save or a Checkpoint has written, got a folder", name
        )
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{name}: expected a regular file, got a device or a pipe")
    with open(name, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        try:
            return _load(stream, size)
        except FormatError as error:
            stream.seek(0)
            other = foreign.describe(stream.read(foreign.N_BYTES), size)
            message = f"expected a fastmlp model file, got {other}" if other else error
            raise FormatError(f"{name}: {message}") from None


def parse(data: bytes | bytearray | memoryview) -> Model:
    """The content of a model file's bytes, checked like `read`."""
    stream = io.BytesIO(data)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    return _load(stream, size)


def _load(stream: io.BufferedIOBase, size: int) -> Model:
    header = read_header(stream, size)
    metadata = _check_metadata(header)
    room = size - stream.tell()
    extra = _check_words(_EXTRA, json_value(_EXTRA, _verified(metadata, _EXTRA, default="{}")))
    architecture = as_dict(_ARCHITECTURE, json_value(_ARCHITECTURE, _verified(metadata, _ARCHITECTURE)))
    writer = Writer.take(architecture)
    try:
        architecture, extra = _architecture_from(architecture, extra, writer.version, room)
        model = Model(architecture, np.empty(0), extra, writer=writer)
        return _load_parts(stream, size, header, metadata, model, writer)
    except UnknownFieldError as error:
        raise FormatError(f"{error}; {writer}") from None


class Writer(NamedTuple):
    """What has written a file: a version of the format, and of fastmlp."""

    version: int
    name: str

    @classmethod
    def take(cls, architecture: dict[str, Any]) -> Writer:
        """That of an architecture, from which it is taken; refuses a version that nobody knows here."""
        version, name = architecture.pop("version", None), architecture.pop("written_by", None)
        if type(version) is not int or version < 1:
            raise unexpected(f"{_ARCHITECTURE}: version", f"a number from 1 to {VERSION}", version)
        name = "0.1.0" if version == 1 else name  # which did not say so
        if not isinstance(name, str) or not re.fullmatch(r"[0-9A-Za-z.+]{1,40}", name):
            raise unexpected(f"{_ARCHITECTURE}: fields: written_by", "a version of fastmlp", name)
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
    model: Model,
    writer: Writer,
) -> Model:
    """The model of that architecture with its parameters and, where there is one, its training."""
    dtype = np.dtype(model.architecture["dtype"])
    layout = _layout(model.architecture["sizes"], dtype)
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
        training = Training(*_upgraded(writer.version, "training", fields, tensors))
    return Model(model.architecture, parameters.astype(dtype, copy=False), model.extra, training, writer)


def _upgraded(version: int, part: str, *values: Any) -> Any:
    """A part of a file of that version as the last version has it."""
    if version < VERSION:
        from . import upgrade  # most files are of this version
    for each in range(version, VERSION):
        try:
            values = getattr(upgrade.READERS[each], part)(*values)
        except ValueError as error:
            raise FormatError(str(error)) from None
    return values


def _training_from(metadata: Mapping[str, str], taken: list[str], version: int) -> tuple[dict[str, Any], Layout]:
    """The fields of a checkpoint and the layout of its tensors; nothing of a model."""
    if _TRAINING not in metadata:
        return {}, []
    if not metadata.keys() >= _CHECKSUMS | _TRAINING_CHECKSUMS:
        raise unexpected("__metadata__", "all checksums beside a training", sorted(metadata))
    parts = as_dict(_TRAINING, json_value(_TRAINING, _verified(metadata, _TRAINING)))
    key = "words" if version == 1 else "fields"
    if set(parts) != {"tensors", key} or not isinstance(parts["tensors"], list):
        raise unexpected(_TRAINING, f"a list 'tensors' and {key!r}", sorted(parts))
    layout: Layout = []
    for entry in parts["tensors"]:
        name, shape, dtype = entry if isinstance(entry, list) and len(entry) == 3 else ("", None, "")
        known = isinstance(name, str) and isinstance(dtype, str) and dtype in DTYPES
        if not (
            known and is_integers(shape) and len(shape or ()) <= MOST_DIMENSIONS and min(shape or (), default=0) >= 0
        ):
            raise unexpected(f"{_TRAINING}: tensors", "a name, a shape and a dtype", entry)
        if math.prod(max(size, 1) for size in shape or ()) > MOST_NUMBERS:  # even of a tensor without numbers
            raise unexpected(f"{_TRAINING}: tensors", f"a shape of at most {MOST_NUMBERS} numbers", entry)
        layout.append((name, tuple(shape or ()), np.dtype(dtype)))
    names = [*taken, *(name for name, _, _ in layout)]
    if len(set(names)) != len(names):
        raise unexpected(f"{_TRAINING}: tensors", "each name once", names)
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
        raise unexpected(what, f"the SHA-256 {digest[:64]}", "that of other numbers")


def _check_metadata(header: dict[str, Any]) -> dict[str, str]:
    """Takes the metadata out of a header of ours."""
    words = header.get("__metadata__")
    if not isinstance(words, dict) or words.get("format") != "fastmlp":
        raise FormatError(f"expected a fastmlp model file, got {foreign.safetensors(header)}")
    del header["__metadata__"]
    for key, value in words.items():
        if not isinstance(value, str):
            raise unexpected("__metadata__", f"a string for {reprlib.repr(key)}", value)
    unknown = words.keys() - _METADATA - ({_TRAINING, *_TRAINING_CHECKSUMS} if _TRAINING in words else set())
    if unknown and not words.keys() >= _CHECKSUMS:  # a missing checksum may be there under a damaged name
        raise unexpected("__metadata__", "no unknown keys where a checksum is missing", sorted(unknown))
    return words


def _verified(metadata: Mapping[str, str], key: str, default: str | None = None) -> str:
    """The text of the key, or the default; its checksum must agree if there is one."""
    text = metadata.get(key, default)
    if text is None:
        raise FormatError(f"__metadata__: expected the key {key!r}, got none")
    digest = metadata.get(f"{key}.sha256")
    if digest is not None and digest != _digest(text):
        raise unexpected(key, f"the SHA-256 {digest[:64]}", text)
    return text


def _architecture_from(
    architecture: dict[str, Any], extra: dict[str, str], version: int, room: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """The checked architecture, whose parameters must fit into so many bytes, and what `extra` has beside what belongs
    into it.
    """
    checked = check_architecture(architecture, room)  # before anything is made of its sizes
    upgraded, extra = _upgraded(version, "architecture", architecture, extra)
    return (check_architecture(upgraded, room) if upgraded != architecture else checked), extra


def check_architecture(architecture: object, room: int | None = None) -> dict[str, Any]:
    """A copy of the architecture, every field checked as `Network` would, hyper-parameters as floats.

    `room` is the length of the data that belong to it: no more may come of its numbers than of the file's length, so
    sizes are compared with it before anything as long as a layer is made.
    """
    fields = as_dict(_ARCHITECTURE, architecture)
    refuse_unknown(_ARCHITECTURE, fields, dict.fromkeys(sorted(_FIELDS | _COLUMNS)))
    if set(fields) - _COLUMNS != _FIELDS:
        raise unexpected(_ARCHITECTURE, f"the fields {sorted(_FIELDS)}", sorted(fields))
    sizes = _check_sizes(fields["sizes"], room)
    hidden = fields["activation"]
    if not isinstance(hidden, list) or len(hidden) != len(sizes) - 2:
        raise unexpected("activation", f"a list of {len(sizes) - 2}, one per hidden layer", hidden)
    if fields["dtype"] not in list(DTYPES):
        raise unexpected("dtype", " or ".join(map(repr, DTYPES)), fields["dtype"])
    if fields["init"] not in list(INITIALIZERS):
        raise unexpected("init", f"one of {', '.join(map(repr, INITIALIZERS))}", fields["init"])
    seed, state = fields["seed"], fields["random_state"]
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**64):
        raise unexpected("seed", "null or an integer in [0, 2**64)", seed)
    if not isinstance(state, str) or not re.fullmatch("[0-9a-f]{16}", state):
        raise unexpected("random_state", "16 hexadecimal digits", state)
    loss = loss_from(fields["loss"])
    checked, output = _check_layers(hidden, fields, loss, sizes[-1])
    objects = {"activation": [describe(each) for each in checked], "output_activation": describe(output)}
    _check_columns(fields, sizes, loss)
    return {**fields, "sizes": sizes, **objects, "loss": describe(loss)}


def _check_layers(
    hidden: list[object], fields: Mapping[str, Any], loss: Loss, n_outputs: int
) -> tuple[list[Activation], Activation]:
    """The activations of the hidden layers and of the outputs, as the loss and the dtype allow them."""
    checked = [activation_from(each, f"activation[{i}]", output=False) for i, each in enumerate(hidden)]
    output = activation_from(fields["output_activation"], "output_activation")
    dtype = np.dtype(fields["dtype"])
    try:
        output = losses.match(loss, output, n_outputs)
        construction.check_precision(loss, dtype)
        for each in (*checked, output):
            construction.check_precision(each, dtype)
    except ValueError as error:
        raise FormatError(str(error)) from None
    return checked, output


def _check_columns(fields: Mapping[str, Any], sizes: list[int], loss: Loss) -> None:
    """What an architecture says of the columns of the data, if it does."""
    try:
        scaling.from_description("input_scaling", fields.get("input_scaling"), sizes[0])
        targets = scaling.from_description("target_scaling", fields.get("target_scaling"), sizes[-1])
        scaling.check_targets(targets, loss, sizes[-1])
        schema.from_description(fields, sizes[0], max(2, sizes[-1] // loss.n_heads))
    except (ValueError, TypeError) as error:
        raise FormatError(str(error)) from None


def _check_sizes(sizes: object, room: int | None) -> list[int]:
    if not isinstance(sizes, list) or any(type(size) is not int for size in sizes):
        raise unexpected("sizes", "a list of integers", sizes)
    try:
        checked = list(construction.check_sizes(sizes))
    except ValueError as error:
        raise FormatError(str(error)) from None
    n_bytes = 4 * sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in itertools.pairwise(checked))
    if room is not None and n_bytes > room:  # in float64 twice as many, which the tensors' shapes say
        raise FormatError(
            f"data section: expected {n_bytes} bytes or more for the sizes {reprlib.repr(sizes)}, got {room}"
        )
    return checked


# ---------------------------------------------------------------------------------------------------------------- small


def _layout(sizes: list[int], dtype: np.dtype[Any]) -> Layout:
    """The names and shapes of the tensors, in the order of P."""
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
    """The value as JSON that `json_value` reads."""
    text = strict_json.compact(value, sort_keys=True)
    try:
        strict_json.check_unicode(text, value)
    except ValueError as error:
        raise ValueError(f"{argument}: {error}") from None
    return text


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass"))


def sha256(*data: Any) -> str:
    """The checksum of the bytes of all of them, one after another."""
    return sha256_of(data)


def sha256_of(pieces: Iterable[Any]) -> str:
    """The same of what comes piece by piece."""
    import hashlib  # its import costs more than the rest of this file's

    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _check_words(argument: str, words: object) -> dict[str, str]:
    """A copy of a mapping of str to str that UTF-8 can write."""
    if not isinstance(words, Mapping):
        raise _kind_error(argument, words)
    for pair in words.items():
        for word in pair:
            if not isinstance(word, str):
                raise _kind_error(argument, word)
            try:
                word.encode("utf-8")
            except UnicodeEncodeError:
                raise unexpected(argument, "Unicode text", word) from None
    return dict(words)


def _kind_error(argument: str, value: object) -> Exception:
    message = f"{argument}: expected a mapping of str to str, got {reprlib.repr(value)}"
    return FormatError(message) if argument == _EXTRA else TypeError(message)
