"""FORMATS: the table of file formats of models, and `read`, which finds the entry that a file belongs to.

An entry has a name and three functions. `recognizes(head)` decides from the first bytes of a file whether it is of this
format. `read(stream, size)` returns a `ModelFile`: a checked `Architecture`, its parameters P, and the random state,
text and training that a file of fastmlp may have. `write(network)` returns the bytes of a file; it is None if the
format can only be read. To add a format, write a module with these functions, and its entry here.

A reader must not trust the file: it compares sizes in the file with `size` before it allocates memory, runs no code,
and raises a `FormatError` that names the part of the file, what was expected and what was found.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from ..errors import FormatError
from . import atomic, foreign, model_file
from .atomic import Path
from .model_file import ModelFile, Saveable


class Format(NamedTuple):
    """An entry of FORMATS."""

    name: str
    recognizes: Callable[[bytes], bool]
    read: Callable[[io.BufferedIOBase, int], ModelFile]
    write: Callable[[Saveable], bytes] | None


# The first entry whose `recognizes` returns True reads the file. The last entry accepts every file; if its `read`
# fails, the error says which other kind of file it is, if `foreign` knows, and otherwise what is damaged.
FORMATS = (
    Format("fastmlp", lambda head: True, model_file.read, model_file.to_bytes),  # the last
)


def read(path: Path) -> ModelFile:
    """Read a model file and check it.

    Raises
    ------
    FormatError
        If the file is of no format of the table, is truncated or altered, or needs a later version.
    OSError
        If the file cannot be opened or read.
    """
    name = atomic.name_of(path)
    status = os.stat(name)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(
            errno.EISDIR, "expected the file that Network.save or a Checkpoint has written, got a folder", name
        )
    if not stat.S_ISREG(status.st_mode):
        raise FormatError(f"{name}: expected a regular file, got a device or a pipe")
    with open(name, "rb") as stream:
        size, head = os.fstat(stream.fileno()).st_size, stream.read(foreign.N_BYTES)
        found = next(each for each in FORMATS if each.recognizes(head))
        stream.seek(0)
        try:
            return found.read(stream, size)
        except FormatError as error:
            other = foreign.describe(head, size) if found is FORMATS[-1] else None
            message = f"expected a fastmlp model file, got {other}" if other else error
            raise FormatError(f"{name}: {message}") from None
