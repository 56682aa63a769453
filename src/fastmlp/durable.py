"""Files that are replaced in one step: a crash, a full disk or a failing sync leaves the old file or the new one.

`write` puts bytes where a path says, by way of a temporary file in the same folder. It knows nothing of what the bytes
mean; model files and checkpoints are written with it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

Path = str | os.PathLike[str]


def write(path: Path, data: bytes) -> None:
    """Put the bytes into a file; at any moment the path holds the previous file or the whole new one.

    The bytes go to a temporary file in the same folder, which is synced to the disk and then renamed over
    the path. A failure (a full disk, say) is raised after the temporary file is removed, and the previous
    file stays. A symbolic link is followed; a device or a pipe is written to directly.

    Raises
    ------
    TypeError, OSError
        If it is not a path; what the operating system says.
    """
    target = os.path.realpath(name_of(path))
    try:
        mode: int | None = os.stat(target).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        with open(target, "wb", buffering=0) as stream:
            _write_all(stream.fileno(), data)
        return
    if mode is not None and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    _replace(target, data, mode)


def check_place(path: Path) -> None:
    """Raises what `write` would at once, where no file can be: before hours of work that would end in it.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If there is no such folder, the path is one, or nobody may write into it.
    """
    target = os.path.realpath(name_of(path))
    folder = os.path.dirname(target)
    wrong = {
        errno.ENOENT: not os.path.isdir(folder),
        errno.EISDIR: os.path.isdir(target),
        errno.EACCES: not (os.path.exists(target) or os.access(folder, os.W_OK | os.X_OK)),
    }
    for number, is_so in wrong.items():
        if is_so:
            raise OSError(number, os.strerror(number), target)


def _replace(target: str, data: bytes, mode: int | None) -> None:
    """Put a new file in the target's place in one step, with the previous file's mode if there was one."""
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".fastmlp-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        descriptor = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    except OSError as error:
        error.filename = target
        raise
    try:
        try:
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode) & 0o777)
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: str) -> None:
    """Make the renaming durable, where the system can open and sync a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written to but not listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def name_of(path: Path, argument: str = "path") -> str:
    """The path as text."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument}: expected a str or a path object, got {path!r}")
    return os.fsdecode(path)
