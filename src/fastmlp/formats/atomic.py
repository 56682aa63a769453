"""Atomic replacement of files: a crash, a full disk or a failing sync leaves either the old file or the new one.

`write` writes bytes to a temporary file in the folder of the target, and then renames it. Model files and checkpoints
are written with it.

Until it is complete, the temporary file has no name (Linux's O_TMPFILE), so that a process that is killed leaves
nothing behind; where the system or the file system has no such files, it has a name from the start.

A signal handler may raise an exception (Ctrl-C) after any call, before the result of the call is assigned, so that a
descriptor would be lost. Therefore a descriptor is opened and appended to a list by one call of functions implemented
in C (`extend` of a map), within which no handler runs, and likewise removed from the list and closed (`next` of a map).
"""

from __future__ import annotations

import errno
import itertools
import os
import stat

Path = str | os.PathLike[str]

_NOT_SUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.ENOSYS}


def write(path: Path, data: bytes) -> None:
    """Replace the content of a file; at any moment, the path has either the previous file or the complete new one.

    The bytes are written to a temporary file in the same folder, which is synced to the disk and then renamed to the
    path. After a failure, such as a full disk, the temporary file is removed, the previous file remains, and the error
    is raised. Only if syncing the folder fails at the end is the new file in place, and the error says so. A symbolic
    link is followed; a device or a pipe is written to directly.

    Raises
    ------
    TypeError, OSError
        If `path` is not a path; errors of the operating system.
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
    if not (hasattr(os, "O_TMPFILE") and _replace(target, data, mode, named=False)):
        _replace(target, data, mode, named=True)
    _sync_folder(target)


def check_place(path: Path) -> None:
    """Check that `write` can create a file at the path, so that an error appears before hours of training.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If the folder does not exist, the path is a folder, or the folder is not writable.
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


def _replace(target: str, data: bytes, mode: int | None, *, named: bool) -> bool:
    """Replace the target by a new file in one step, with the previous file's mode if there was one.

    Returns False, and has no effect, if `named` is false and the system does not support files without a name.
    """
    folder = os.path.dirname(target)
    temporary = os.path.join(folder, f".fastmlp-{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    flags |= os.O_CREAT | os.O_EXCL if named else os.O_TMPFILE
    opened: list[int] = []
    close = map(os.close, map(list.pop, itertools.repeat(opened)))
    try:
        if not _open(opened, temporary if named else folder, flags, 0o666 if mode is None else 0o600, target):
            return False
        if mode is not None:
            if hasattr(os, "fchmod"):
                os.fchmod(opened[0], stat.S_IMODE(mode) & 0o777)
            else:
                os.chmod(temporary, stat.S_IMODE(mode) & 0o777)
        _write_all(opened[0], data)
        os.fsync(opened[0])
        if not (named or _link(opened[0], temporary)):
            return False
        next(close)
        os.replace(temporary, target)
        return True
    except BaseException:
        try:
            if opened:
                next(close)
        finally:
            try:  # noqa: SIM105 (in a context manager's code a second Ctrl-C could come before the call)
                os.unlink(temporary)
            except OSError:
                pass
        raise
    finally:
        if opened:
            next(close)


def _open(opened: list[int], path: str, flags: int, mode: int, target: str) -> bool:
    """Open the path and append its descriptor to the list, both in one call; an error names the target.

    Returns False if `flags` ask for a file without a name, and the system or the file system does not support it.
    """
    try:
        opened.extend(map(os.open, (path,), (flags,), (mode,)))
    except OSError as error:
        unnamed = hasattr(os, "O_TMPFILE") and flags & os.O_TMPFILE == os.O_TMPFILE
        if unnamed and error.errno in _NOT_SUPPORTED and os.path.isdir(path):
            return False
        error.filename = target
        raise
    return True


def _link(descriptor: int, name: str) -> bool:
    """Give a file without a name this name; return False if the system does not permit it."""
    try:  # src_dir_fd has no effect on an absolute path, but without it os.link follows no symbolic link on Linux
        os.link(f"/proc/self/fd/{descriptor}", name, src_dir_fd=descriptor, follow_symlinks=True)
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            raise
        return False
    return True


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(target: str) -> None:
    """Sync the target's folder, so that its new name survives a loss of power, where the system supports this."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened: list[int] = []
    close = map(os.close, map(list.pop, itertools.repeat(opened)))
    try:
        _open(opened, os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, target)
        os.fsync(opened[0])
    except PermissionError:  # the folder is writable but not readable
        return
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTSUP):
            return
        raise OSError(
            error.errno,
            f"{error.strerror}, when its folder was synced to the disk. The new file is complete and in its place, but "
            "after a loss of power the previous one may be there; saving once more confirms it",
            target,
        ) from None
    finally:
        if opened:
            next(close)


def name_of(path: Path, argument: str = "path") -> str:
    """Return the path as text."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{argument}: expected a str or a path object, got {path!r}")
    return os.fsdecode(path)
