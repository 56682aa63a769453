"""Writing of model files: after any failure, the path has the complete previous file or the complete new one.

Failures come from patched system calls, from the kernel (/dev/full, a limit of the file size) and from SIGKILL
in a child process at each step.
"""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import stat
import subprocess
import sys
import threading
from typing import Any

import pytest

import fastmlp
from fastmlp.formats import model_file

POSIX = pytest.mark.skipif(os.name != "posix", reason="POSIX modes, signals and devices")


def network(seed: int) -> Any:
    return fastmlp.Network([6, 20, 4], seed=seed)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a path at which network 1 is saved."""
    path = tmp_path / "m.safetensors"
    network(1).save(path)
    return path


def assert_holds(path: pathlib.Path, seed: int) -> None:
    """Check that the path has that network, and that no other file is in its folder."""
    assert path.read_bytes() == model_file.to_bytes(network(seed))
    assert os.listdir(path.parent) == [path.name]


def test_replaces_the_file(path: pathlib.Path) -> None:
    assert_holds(path, 1)
    network(2).save(path)
    assert_holds(path, 2)


@pytest.mark.parametrize("kind", [str, pathlib.Path])
def test_kinds_of_path(kind: Any, path: pathlib.Path) -> None:
    network(2).save(kind(path))
    assert fastmlp.load(kind(path)).parameters.tobytes() == network(2).parameters.tobytes()


@pytest.mark.parametrize("wrong", [3, None, [b"a"]])
def test_what_is_not_a_path(wrong: Any) -> None:
    with pytest.raises(TypeError, match="path: expected"):
        network(1).save(wrong)
    with pytest.raises(TypeError, match="path: expected"):
        fastmlp.load(wrong)


def test_a_relative_path(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    network(2).save(path.name)
    assert_holds(path, 2)


def test_missing_folder_and_missing_file(tmp_path: pathlib.Path) -> None:
    target = tmp_path / "missing" / "m.safetensors"
    with pytest.raises(FileNotFoundError) as error:
        network(1).save(target)
    assert error.value.filename == str(target)
    with pytest.raises(FileNotFoundError):
        fastmlp.load(target)


def test_a_folder_is_not_a_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises((IsADirectoryError, PermissionError)):
        network(1).save(tmp_path)
    with pytest.raises(IsADirectoryError, match=r"expected the file that Network\.save .*, got a folder: ") as error:
        fastmlp.load(tmp_path)
    assert error.value.filename == str(tmp_path)
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------------------------------------- failures


def full_disk(*_: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_failing_call_leaves_the_previous_file(
    call: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full_disk)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            network(2).save(path)
    assert_holds(path, 1)


def test_the_disk_fills_up_on_the_way(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    written = 0

    def filling(descriptor: int, data: Any) -> int:
        nonlocal written
        if written >= 300:
            full_disk()
        written += write(descriptor, bytes(data[:100]))
        return 100

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", filling)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            network(2).save(path)
    assert written == 300
    assert_holds(path, 1)


def test_an_interrupt_leaves_the_previous_file(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            network(2).save(path)
    assert_holds(path, 1)


def test_short_writes_are_continued(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:37])))
        network(2).save(path)
    assert_holds(path, 2)


def test_synced_before_it_is_renamed_and_the_folder_after(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def recorded(name: str) -> Any:
        call = getattr(os, name)

        def record(*arguments: Any) -> Any:
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode)
            calls.append("folder" if folder else name)
            return call(*arguments)

        return record

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(os, name, recorded(name))
        network(2).save(path)
    assert calls == ["fsync", "replace", *(["folder"] if hasattr(os, "O_DIRECTORY") else [])]


def test_bad_extra_words_write_nothing(path: pathlib.Path) -> None:
    with pytest.raises(TypeError, match="extra"):
        model_file.save(path, network(2), {"a": 1})  # type: ignore[dict-item]
    assert_holds(path, 1)


def test_threads_that_save_to_one_path(path: pathlib.Path) -> None:
    networks = [network(seed) for seed in range(4)]

    def save_often(index: int) -> None:
        for _ in range(10):
            networks[index].save(path)

    threads = [threading.Thread(target=save_often, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        fastmlp.load(path)  # the file must be complete at any moment
    for thread in threads:
        thread.join()
    assert path.read_bytes() in [model_file.to_bytes(each) for each in networks]
    assert os.listdir(path.parent) == [path.name]


# ------------------------------------------------------------------------------------------------------- POSIX


@POSIX
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_obeys_the_umask(mask: int, tmp_path: pathlib.Path) -> None:
    before = os.umask(mask)
    try:
        network(1).save(tmp_path / "m.safetensors")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "m.safetensors").st_mode) == 0o666 & ~mask


@POSIX
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_an_existing_file_keeps_its_mode(mode: int, path: pathlib.Path) -> None:
    path.chmod(mode)
    network(2).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert_holds(path, 2)


def test_a_read_only_file_is_not_replaced(path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # simulated, as root may write to any file
        with pytest.raises(PermissionError):
            network(2).save(path)
    assert_holds(path, 1)


@POSIX
def test_a_symbolic_link_is_followed(path: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "link.safetensors"
    link.symlink_to(path)
    network(2).save(link)
    assert link.is_symlink()
    assert_holds(path, 2)


@POSIX
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_full_device() -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        network(1).save("/dev/full")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@POSIX
def test_a_pipe_is_written_but_not_loaded(tmp_path: pathlib.Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    network(1).save(pipe)
    reader.join()
    assert received == [model_file.to_bytes(network(1))]
    with pytest.raises(fastmlp.FormatError, match="regular file"):
        fastmlp.load(pipe)


def in_a_child(code: str, path: pathlib.Path) -> int:
    """Return the exit status of a child that runs the code and then saves network 2 to the path."""
    lines = ["import os, resource, signal, stat, sys, fastmlp", code, "net = fastmlp.Network([6, 20, 4], seed=2)"]
    program = "\n".join([*lines, "net.save(sys.argv[1])"])
    return subprocess.run([sys.executable, "-c", program, str(path)], stderr=subprocess.PIPE, check=False).returncode


@POSIX
def test_a_limit_of_the_file_size(path: pathlib.Path) -> None:
    code = "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    assert len(model_file.to_bytes(network(2))) > 1000
    assert in_a_child(code, path) == 1
    assert_holds(path, 1)


KILL = """
call, die = os.{call}, lambda: os.kill(os.getpid(), signal.SIGKILL)
def killed(*arguments):
    {body}
os.{call} = killed
"""


@POSIX
@pytest.mark.parametrize(
    ("call", "body", "holds"),
    [
        ("write", "call(arguments[0], bytes(arguments[1][:700])); die()", 1),
        ("fsync", "die()", 1),
        ("replace", "die()", 1),
        ("replace", "call(*arguments); die()", 2),
        ("fsync", "stat.S_ISDIR(os.fstat(arguments[0]).st_mode) and die()", 2),
    ],
)
def test_killed_at_each_step(call: str, body: str, holds: int, path: pathlib.Path) -> None:
    assert in_a_child(KILL.format(call=call, body=body), path) == -signal.SIGKILL
    assert path.read_bytes() == model_file.to_bytes(network(holds))
    assert fastmlp.load(path).parameters.tobytes() == network(holds).parameters.tobytes()
