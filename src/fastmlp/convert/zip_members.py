"""Zip archives from strangers: their members by name, whose sizes are bounded by the archive's before anything is read.

Members may not overlap, no two have one name, and what packed members unpack to is at most `MAX_RATIO` times the
archive. The checksum of a member is compared when it is read. Every fault raises a `FormatError`.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Self

from ..errors import FormatError

MAX_RATIO = 32  # of the bytes of all members to those of the archive
_LOCAL_HEADER = 30  # bytes of a member's header before its name
_FAULTS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,  # a member that is encrypted
    ValueError,
    OverflowError,
)


@contextlib.contextmanager
def _faults(what: str) -> Iterator[None]:
    """Raise what the module zipfile finds wrong as a `FormatError` that begins with `what`."""
    try:
        yield
    except FormatError:
        raise
    except _FAULTS as error:
        raise FormatError(f"{what}: expected a zip archive, got {type(error).__name__}: {error!s:.200}") from None


class Archive:
    """A zip archive that is open for reading.

    Parameters
    ----------
    source : path-like or bytes
        The file, or its bytes.
    name : str
        What error messages call it.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes, name: str) -> None:
        self.name = name
        self._stream: IO[bytes] = io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb")  # noqa: SIM115
        try:
            self.n_bytes = self._stream.seek(0, io.SEEK_END)
            with _faults(name):
                self._zip = zipfile.ZipFile(self._stream)
            self._members = self._checked(self._zip.infolist())
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._zip.close()
        self._stream.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the members in their order."""
        return tuple(self._members)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Return the number of bytes of a member."""
        return self._members[name].file_size

    def read(self, name: str) -> bytes:
        """Return the bytes of a member, after a check of their length and checksum."""
        if name not in self._members:
            raise FormatError(f"{self.name}: expected a member {name!r:.100}, which is not there")
        info = self._members[name]
        with _faults(f"{self.name}: member {name!r:.100}"):
            data = self._zip.read(info)
        if len(data) != info.file_size:
            raise FormatError(f"{self.name}: member {name!r:.100}: expected {info.file_size} bytes, got {len(data)}")
        return data

    def _checked(self, members: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
        """Return the members by name, after a check of their names, sizes and places."""
        by_name = {info.filename: info for info in members}
        if len(by_name) != len(members):
            raise FormatError(f"{self.name}: expected members of different names, got a name twice")
        for info in members:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise FormatError(
                    f"{self.name}: member {info.filename!r:.100}: expected one that is stored or deflated, got the "
                    f"compression method {info.compress_type}; pack the archive anew"
                )
            if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
                raise FormatError(f"{self.name}: member {info.filename!r:.100}: its two sizes differ")
        total = sum(info.file_size for info in members)
        if total > MAX_RATIO * self.n_bytes:
            raise FormatError(
                f"{self.name}: expected members of at most {MAX_RATIO} times the archive's {self.n_bytes} bytes, got "
                f"{total} bytes"
            )
        end = 0
        for info in sorted(members, key=lambda each: each.header_offset):
            if info.header_offset < end:
                raise FormatError(f"{self.name}: member {info.filename!r:.100}: it overlaps the member before it")
            end = info.header_offset + self._local_length(info) + info.compress_size
        if end > self._zip.start_dir:
            raise FormatError(f"{self.name}: the last member overlaps the list of members")
        return by_name

    def _local_length(self, info: zipfile.ZipInfo) -> int:
        """Return the number of bytes from a member's header to its data."""
        self._stream.seek(info.header_offset)
        header = self._stream.read(_LOCAL_HEADER)
        if len(header) != _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise FormatError(f"{self.name}: member {info.filename!r:.100}: expected a header, got other bytes")
        return _LOCAL_HEADER + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
