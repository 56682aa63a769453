"""Saving with failing system calls and interruptions leaves no descriptor open and no temporary file.

Each call of the operating system fails in turn; an interruption comes at each bytecode of the writer; signals come at
random moments of a child process. Afterwards the path has the complete old file or the complete new one.
"""

from __future__ import annotations

import dis
import errno
import os
import pathlib
import re
import signal
import sys
from types import FrameType
from typing import Any

import pytest

import fastmlp
from fastmlp.formats import atomic
from processes import run_python

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors are counted in /proc/self/fd")

OLD, NEW = b"old" * 100, b"new" * 200
CALLS = ["open", "fchmod", "write", "fsync", "link", "close", "replace"]
STANDS = {("open", 2), ("fsync", 2), ("close", 2)}  # after these calls the new file has replaced the old one


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.fixture(params=["unnamed", "named"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether the temporary file is anonymous, if the system supports that, or always has a name."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return str(request.param)


@pytest.fixture(params=[True, False], ids=["replaced", "new"])
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a path with an existing file, or without."""
    path = tmp_path / "m.safetensors"
    if request.param:
        path.write_bytes(OLD)
    return path


def fails(call: str, turn: int, error: BaseException, monkeypatch: pytest.MonkeyPatch, *, late: bool) -> list[Any]:
    """Let the n-th call of a function of `os` raise, before or after its effect; the list records that it did."""
    function, turns, failed = getattr(os, call), [0], []

    def failing(*arguments: Any, **more: Any) -> Any:
        turns[0] += 1
        if turns[0] != turn:
            return function(*arguments, **more)
        failed.append(arguments)
        if late:
            function(*arguments, **more)
        raise error

    monkeypatch.setattr(os, call, failing)
    return failed


@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_of_the_system_fails(
    call: str, turn: int, kind: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old, held = descriptors(), path.exists(), None
    with monkeypatch.context() as patch:
        error = OSError(errno.EIO, os.strerror(errno.EIO))
        failed = fails(call, turn, error, patch, late=call == "close")  # close() closes the descriptor even if it fails
        try:
            atomic.write(path, NEW)
        except OSError as raised:
            held = raised
    assert (held is None) == (not failed)
    if not failed or (call, turn) in STANDS:
        assert path.read_bytes() == NEW
    else:
        assert (path.read_bytes() if path.exists() else None) == (OLD if old else None)
    assert os.listdir(path.parent) == ([path.name] if path.exists() else [])
    assert descriptors() == before


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_file_that_stands_is_said_to(
    call: str, kind: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = fastmlp.Network([3, 2], seed=0)
    with monkeypatch.context() as patch:
        fails(call, 2, OSError(errno.EIO, os.strerror(errno.EIO)), patch, late=False)
        with pytest.raises(OSError, match=r"folder was synced.*The new file is complete.*saving once more") as raised:
            network.save(path)
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, os.path.realpath(path))
    assert fastmlp.load(path).parameters.tobytes() == network.parameters.tobytes()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL])
def test_a_file_system_without_unnamed_files(number: int, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    fails("open", 1, OSError(number, os.strerror(number)), monkeypatch, late=False)
    atomic.write(path, NEW)
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]
    assert descriptors() == before


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOENT, errno.EXDEV])
def test_a_system_that_gives_no_names_later(number: int, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an anonymous file cannot be given a name, e.g. without /proc or hard links, a named one is written."""
    before = descriptors()
    fails("link", 1, OSError(number, os.strerror(number)), monkeypatch, late=False)
    atomic.write(path, NEW)
    assert path.read_bytes() == NEW
    assert os.listdir(path.parent) == [path.name]
    assert descriptors() == before


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("open", "close")])
def test_an_interrupt_beside_a_call(
    call: str, turn: int, late: bool, kind: str, path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = descriptors()  # open and close are interrupted at each bytecode, as no patched function is one call of C
    with monkeypatch.context() as patch:
        failed = fails(call, turn, KeyboardInterrupt(), patch, late=late)
        try:
            atomic.write(path, NEW)
        except KeyboardInterrupt:
            assert failed
    assert path.read_bytes() in (OLD, NEW) if path.exists() else failed
    assert os.listdir(path.parent) == ([path.name] if path.exists() else [])
    assert descriptors() == before


class AtBytecode:
    """Raises KeyboardInterrupt at one of the moments when a signal handler may: after a call, a jump back, or a
    function's start, in `formats.atomic`. They are counted from 1 in the order in which they come.
    """

    def __init__(self, moment: int) -> None:
        self.moment, self.count = moment, 0
        self.names: dict[Any, dict[int, str]] = {}
        self.last: dict[FrameType, str] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code.co_filename != atomic.__file__:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            if code not in self.names:
                self.names[code] = {each.offset: each.opname for each in dis.get_instructions(code)}
            previous = self.last.get(frame, "RESUME")
            self.last[frame] = self.names[code][frame.f_lasti]
            self.count += previous.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
            if self.count == self.moment:
                self.moment = 0
                raise KeyboardInterrupt
        return self


def test_an_interrupt_at_every_bytecode(kind: str, path: pathlib.Path) -> None:
    before, old, tracer = descriptors(), path.exists(), sys.gettrace()
    held: list[BaseException] = []  # keeping an exception must not keep descriptors open
    for moment in range(1, 10_000):
        sys.settrace(trace := AtBytecode(moment))
        try:
            atomic.write(path, NEW)
        except KeyboardInterrupt as error:
            held.append(error)
        finally:
            sys.settrace(tracer)
        assert descriptors() == before, moment
        assert os.listdir(path.parent) == ([path.name] if path.exists() else []), moment
        if path.exists():
            assert path.read_bytes() in ([OLD, NEW] if old else [NEW])
        if trace.moment:  # the interruption has not happened
            break
        path.unlink(missing_ok=True)
        if old:
            path.write_bytes(OLD)
    assert len(held) == moment - 1 > 30


SIGNALS = """
import os, random, signal, sys, time
from fastmlp.formats import atomic

folder = sys.argv[1] if len(sys.argv) > 1 else FOLDER
path, rng = os.path.join(folder, "m"), random.Random(SEED)
if NAMED and hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
contents = [bytes([k]) * 1000 for k in range(2)]
atomic.write(path, contents[0])

def interrupt(number, frame):
    while frame is not None and frame.f_code.co_filename != atomic.__file__:
        frame = frame.f_back
    if frame is not None:
        raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
before, n = sorted(os.listdir("/proc/self/fd")), 0
end, i = time.perf_counter() + SECONDS, 0
while time.perf_counter() < end:
    i += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 3e-4), INTERVAL)
        atomic.write(path, contents[i % 2])
    except KeyboardInterrupt:
        n += 1
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert open(path, "rb").read() in contents
    assert os.listdir(folder) == ["m"], os.listdir(folder)
assert sorted(os.listdir("/proc/self/fd")) == before
print(n, i)
"""


def signals(folder: pathlib.Path, seconds: float, *, named: bool, interval: float, seed: int = 0) -> int:
    """Return the number of signals that came while the child was writing."""
    settings = f"FOLDER, SECONDS, NAMED, INTERVAL, SEED = {str(folder)!r}, {seconds}, {named}, {interval}, {seed}\n"
    n, saves = run_python(settings + SIGNALS).split()
    print(f"{n} interrupts in {saves} saves")
    return int(n)


@pytest.mark.parametrize("named", [False, True])
def test_signals_at_random_moments(named: bool, tmp_path: pathlib.Path) -> None:
    assert signals(tmp_path, 1.5, named=named, interval=0) > 20


@pytest.mark.slow
@pytest.mark.parametrize("interval", [0, 1e-4])  # one signal, or repeated signals
@pytest.mark.parametrize("named", [False, True])
def test_many_signals_at_random_moments(named: bool, interval: float, tmp_path: pathlib.Path) -> None:
    assert signals(tmp_path, 10, named=named, interval=interval, seed=1) > 200


KILLED = """
import os, signal
from fastmlp.formats import atomic
call = os.{call}
def killed(*arguments):
    call(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
os.{call} = killed
atomic.write({path!r}, {content!r})
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name are Linux's")
@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_killed_writer_leaves_nothing_behind(call: str, path: pathlib.Path) -> None:
    before = os.listdir(path.parent)
    with pytest.raises(AssertionError, match=re.escape(f"exit code {-signal.SIGKILL}")):
        run_python(KILLED.format(call=call, path=str(path), content=NEW))
    assert os.listdir(path.parent) == before
