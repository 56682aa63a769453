"""The file of an ensemble: an uncompressed zip archive that holds one model file for each network.

The first member, `fastmlp-ensemble.json`, has the version of the format and the number of networks; the others are
called `0.safetensors`, `1.safetensors`, ... and are what `Network.save` writes, so that any zip tool can take one out
for `fastmlp.load`. The archive is read by Python's zipfile. Compressed members are refused, so that nothing unpacks to
more than the size of the file; every other fault is a `FormatError` as well.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

from ..errors import FormatError, format_error
from . import atomic, model_file, strict_json
from .atomic import Path
from .model_file import ModelFile, Saveable
from .safetensors import as_dict, json_value

MANIFEST = "fastmlp-ensemble.json"
VERSION = 1
MAX_MANIFEST_BYTES = 1000


def to_bytes(networks: Sequence[Saveable]) -> bytes:
    """Return the file of these networks."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        manifest = {"version": VERSION, "n_networks": len(networks)}
        archive.writestr(zipfile.ZipInfo(MANIFEST), strict_json.compact(manifest))  # with a fixed date
        for index, network in enumerate(networks):
            archive.writestr(zipfile.ZipInfo(_member(index)), model_file.to_bytes(network))
    return stream.getvalue()


def read(path: Path) -> list[ModelFile]:
    """Read the file of an ensemble and check it.

    Raises
    ------
    FormatError
        If it is not the file of an ensemble, or is truncated or altered.
    OSError
        If it cannot be opened or read.
    """
    name = atomic.name_of(path)
    with open(name, "rb") as stream:
        data = stream.read()  # so that what goes wrong from here on is the fault of the content
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, len(data))
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, KeyError) as error:
        expected = "expected the file of an ensemble, which Ensemble.save has written"
        raise FormatError(f"{name}: {expected}, got {error}; fastmlp.load reads the file of a network") from None


def _read_members(archive: zipfile.ZipFile, size: int) -> list[ModelFile]:
    """Return the networks of the archive, whose file has that size."""
    members = archive.infolist()
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size > size:
            raise format_error(f"member {member.filename:.60}", "an uncompressed file", f"{member.file_size} bytes")
    names = [member.filename for member in members]
    if names[:1] != [MANIFEST] or members[0].file_size > MAX_MANIFEST_BYTES:
        raise format_error("members", f"{MANIFEST!r} as the first one", names)
    manifest = as_dict(MANIFEST, json_value(MANIFEST, archive.read(members[0]).decode("utf-8")))
    if manifest.get("version") != VERSION or type(manifest["version"]) is not int:
        raise format_error(f"{MANIFEST}: version", str(VERSION), manifest.get("version"))
    if manifest != {"version": VERSION, "n_networks": len(names) - 1} or len(names) == 1:
        raise format_error(MANIFEST, f"the version and the number of networks, {len(names) - 1}", manifest)
    expected = [_member(index) for index in range(len(names) - 1)]
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
    return networks


def _member(index: int) -> str:
    return f"{index}.safetensors"
