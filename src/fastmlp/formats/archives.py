"""Files that hold networks and something beside them: an uncompressed zip archive with a model file for each network.

The first member is JSON: the version of the format, `n_networks`, and what else the kind of file has. The others are
called `0.safetensors`, `1.safetensors`, ... and are what `Network.save` writes, so that any zip tool can take one out
for `fastmlp.load`. The archive is read by Python's zipfile. Compressed members are refused, so that nothing unpacks to
more than the size of the file; every other fault is a `FormatError` as well. ensemble_file.py and policy_file.py are
the callers.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import FormatError, format_error
from ..frozen import frozen
from . import atomic, model_file, strict_json
from .atomic import Path
from .model_file import ModelFile, Saveable
from .safetensors import as_dict, json_value


@frozen
class Kind:
    """A kind of such a file: its first member and the version and the length of that, and a message for other files."""

    manifest: str
    version: int
    max_bytes: int
    expected: str
    advice: str


def to_bytes(kind: Kind, networks: Sequence[Saveable], fields: Mapping[str, Any] | None = None) -> bytes:
    """Return the file of these networks, with these fields in its first member."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        manifest = {"version": kind.version, "n_networks": len(networks), **(fields or {})}
        archive.writestr(zipfile.ZipInfo(kind.manifest), strict_json.compact(manifest))  # with a fixed date
        for index, network in enumerate(networks):
            archive.writestr(zipfile.ZipInfo(_member(index)), model_file.to_bytes(network))
    return stream.getvalue()


def read(kind: Kind, path: Path) -> tuple[list[ModelFile], dict[str, Any]]:
    """Read a file and check it; return its networks and the fields of its first member.

    Raises
    ------
    FormatError
        If it is not of this kind, or is truncated or altered.
    OSError
        If it cannot be opened or read.
    """
    name = atomic.name_of(path)
    with open(name, "rb") as stream:
        data = stream.read()  # so that what goes wrong from here on is the fault of the content
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(kind, archive, len(data))
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise FormatError(f"{name}: expected {kind.expected}, got {error}; {kind.advice}") from None


def _read_members(kind: Kind, archive: zipfile.ZipFile, size: int) -> tuple[list[ModelFile], dict[str, Any]]:
    """Return what is in the archive, whose file has that size."""
    members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise format_error(f"member {member.filename:.60}", "an uncompressed file", f"{member.file_size} bytes")
    names = [member.filename for member in members]
    if names[:1] != [kind.manifest] or members[0].file_size > kind.max_bytes:
        raise format_error("members", f"{kind.manifest!r} as the first one", names)
    manifest = as_dict(kind.manifest, json_value(kind.manifest, archive.read(members[0]).decode("utf-8")))
    version, n_networks = manifest.pop("version", None), manifest.pop("n_networks", None)
    if type(version) is not int or version != kind.version:
        raise format_error(f"{kind.manifest}: version", str(kind.version), version)
    if type(n_networks) is not int or n_networks != len(names) - 1 or not n_networks:
        raise format_error(kind.manifest, f"the version and the number of networks, {len(names) - 1}", n_networks)
    expected = [_member(index) for index in range(n_networks)]
    if names[1:] != expected:
        raise format_error("members", f"the names from {expected[0]!r} to {expected[-1]!r}", names[1:])
    networks = []
    for member in members[1:]:
        try:
            contents = model_file.parse(archive.read(member))
            if contents.weights is not None:
                raise format_error("weights", "the file of a network", f"a bound predictor, {contents.weights}")
            networks.append(contents)
        except FormatError as error:
            raise FormatError(f"{member.filename}: {error}") from None
    return networks, manifest


def _member(index: int) -> str:
    return f"{index}.safetensors"
