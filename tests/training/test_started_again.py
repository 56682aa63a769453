"""Scripts that are started again: `resume="auto"` resumes from the file of the Checkpoint, or starts if there is none.

The fit is that of `test_checkpoint.py`, cut off by an error after a write, and by SIGKILL in a child process.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import signal
import subprocess
import time
from typing import Any

import numpy as np
import pytest
from test_checkpoint import Cut, X, Y, assert_ends_alike, child, cut_after, run, words

import fastmlp
from fastmlp import Checkpoint, EarlyStopping
from trainings import assert_same, classifier


def plain(sizes: Any, **words: Any) -> fastmlp.Network:
    """An implementation for tests that do not depend on it."""
    return fastmlp.Network(sizes, **words)


# -- what callbacks add ------------------------------------------------------------------------------------------------


class Rates:
    """A callback that adds values, some not finite, to the logs of some epochs."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        if epoch % 2:
            logs["lr, scaled"] = 0.1 / (epoch + 3)
        if epoch == 3:
            logs["late"] = -np.inf


@pytest.mark.parametrize("n_writes", range(1, 8, 2))
def test_what_callbacks_have_added_goes_on(
    n_writes: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curves with gaps, and curves that begin after the cut, equal those of a fit that was not cut."""
    changes: dict[str, Any] = {"callbacks": [Rates()]}
    whole = run(plain, **changes)
    with monkeypatch.context() as patch:
        cut_after(patch, n_writes)
        with pytest.raises(Cut):
            run(plain, tmp_path / "c", **changes)
    resumed = run(plain, resume=tmp_path / "c", **changes)
    bits = [{name: np.array(values).tobytes() for name, values in each[1].items()} for each in (whole, resumed)]
    assert bits[0] == bits[1]
    assert list(whole[1]) == ["loss", "val_loss", "val_accuracy", "val_mae", "lr, scaled", "late"]
    assert_same(whole[0], resumed[0])


# -- begin, or go on ---------------------------------------------------------------------------------------------------


def test_it_begins_and_goes_on(build: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same call starts without a file, resumes after a cut, and returns at once when the training is complete."""
    whole = run(build)
    for n_runs in range(20):  # noqa: B007
        with monkeypatch.context() as patch, contextlib.suppress(Cut):
            cut_after(patch, 3)
            net, history = run(build, tmp_path / "c", resume="auto")
            break
    assert n_runs >= 2
    again, its_history = run(build, tmp_path / "c", resume="auto")
    assert (its_history, its_history.stopped) == (history, whole[1].stopped)
    assert_same(again, net)
    assert_ends_alike((net, history), whole)


class Batches:
    """A callback that counts the steps of a fit."""

    n = 0

    def on_batch_end(self, batch: int, logs: Any) -> None:
        self.n += 1


@pytest.mark.parametrize("ends", ["epochs", "early_stopping"])
def test_a_training_that_is_over(build: Any, ends: str, tmp_path: pathlib.Path) -> None:
    """A completed training takes no step, and returns its final network and history."""
    patience, batches = (99, Batches()) if ends == "epochs" else (2, Batches())
    changes: dict[str, Any] = {"epochs": 3 if ends == "epochs" else 60, "optimizer": fastmlp.SGD(2.0, momentum=0.9)}
    net, history = run(build, tmp_path / "c", resume="auto", **changes, callbacks=[EarlyStopping(patience=patience)])
    changes["callbacks"] = [EarlyStopping(patience=patience), batches]
    again, its_history = run(build, tmp_path / "c", resume="auto", **changes)
    assert history.stopped == its_history.stopped == ends
    assert (history, batches.n) == (its_history, 0)
    np.testing.assert_array_equal(again.parameters, net.parameters)
    assert again.history is its_history


def test_a_training_that_is_over_and_is_then_to_be_longer(build: Any, tmp_path: pathlib.Path) -> None:
    """A completed training can be extended, also after a start that found it complete and rewrote its file."""
    for epochs in (2, 2, 5):
        net, history = run(build, tmp_path / "c", resume="auto", epochs=epochs)
    assert_ends_alike((net, history), run(build))


@pytest.mark.parametrize(
    ("paths", "got"), [([], "got none; add one"), (["a", "b"], "got those of 2 files; give the path of one of them")]
)
def test_it_wants_one_file(paths: list[str], got: str, tmp_path: pathlib.Path) -> None:
    net, control = classifier(plain), classifier(plain)
    checkpoints = [Checkpoint(tmp_path / path) for path in paths]
    message = f"^resume: 'auto' goes on from the file of the Checkpoint, expected one in callbacks, {got}"
    with pytest.raises(ValueError, match=message):
        net.fit(X, Y, callbacks=checkpoints, resume="auto")
    assert os.listdir(tmp_path) == []
    assert_same(net, control)


def test_two_checkpoints_of_one_file(tmp_path: pathlib.Path) -> None:
    """Two checkpoints write the same file, after each epoch and within epochs."""
    both = [Checkpoint(tmp_path / "c"), Checkpoint(tmp_path / ".." / tmp_path.name / "c", every=2, unit="step")]
    for epochs in (2, 5):
        net, history = run(plain, callbacks=both, resume="auto", epochs=epochs)
    assert_ends_alike((net, history), run(plain, callbacks=[]))


# -- never anew beside a file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["truncated", "empty", "another kind", "a model", "altered"])
def test_a_file_that_is_no_checkpoint(content: str, tmp_path: pathlib.Path) -> None:
    """The error says what to do; the file and the network are unchanged."""
    path = tmp_path / "c"
    run(plain, path, epochs=2)
    file = path.read_bytes()
    net, control = classifier(plain), classifier(plain)
    if content == "a model":
        net.save(path)
    else:
        bodies = {"truncated": file[:-5], "empty": b"", "another kind": b"hello" * 99, "altered": file[:-3] + b"123"}
        path.write_bytes(bodies[content])
    before = path.read_bytes()
    with pytest.raises(fastmlp.FormatError, match=r"resume='auto' has found .*: to begin anew, remove it or") as raised:
        net.fit(X, Y, **{**words(), "callbacks": [EarlyStopping(patience=3), Checkpoint(path)]}, resume="auto")
    assert str(path) in str(raised.value)
    assert path.read_bytes() == before
    assert_same(net, control)


@pytest.mark.parametrize("changes", [{"batch_size": 7}, {"optimizer": "sgd"}, {"validation_split": 0.5}], ids=str)
def test_another_training(changes: dict[str, Any], tmp_path: pathlib.Path) -> None:
    run(plain, tmp_path / "c", epochs=1)
    before = (tmp_path / "c").read_bytes()
    with pytest.raises(ValueError, match=r"expected that of the checkpoint, .*; resume='auto' has found ") as raised:
        run(plain, tmp_path / "c", resume="auto", **changes)
    assert not isinstance(raised.value, fastmlp.FormatError)
    assert (tmp_path / "c").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="needs the symbolic links of POSIX")
def test_paths_that_lead_nowhere(tmp_path: pathlib.Path) -> None:
    """A path that cannot be accessed is an error; a link to a missing file counts as a missing file."""
    (tmp_path / "loop").symlink_to("loop")
    net, control = classifier(plain), classifier(plain)
    with pytest.raises(OSError, match="symbolic links"):
        net.fit(X, Y, callbacks=[Checkpoint(tmp_path / "loop")], resume="auto")
    assert_same(net, control)
    (tmp_path / "c").symlink_to("later")
    assert run(plain, tmp_path / "c", resume="auto", epochs=2)[1].epochs == 2
    assert run(plain, tmp_path / "c", resume="auto", epochs=3)[1].epochs == 3
    assert (tmp_path / "later").exists()


def test_a_file_of_the_name_auto(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file named "auto" can be passed as './auto' or as a path object."""
    monkeypatch.chdir(tmp_path)
    for path in ("./auto", pathlib.Path("auto"), pathlib.PurePath("./auto")):
        with pytest.raises(FileNotFoundError):
            run(plain, resume=path)
    run(plain, "auto", epochs=2)
    for path in ("./auto", pathlib.Path("auto")):
        assert_ends_alike(run(plain, resume=path), run(plain))


def test_beside_batches(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        ValueError, match=r"^resume: cannot be combined with an iterable of batches; expected its default, got 'auto'"
    ):
        classifier(plain).fit([(X, Y)], callbacks=[Checkpoint(tmp_path / "c")], resume="auto")


# -- killed, and started again -----------------------------------------------------------------------------------------


def start(folder: pathlib.Path, **words: Any) -> subprocess.Popen[bytes]:
    """Start the command. At its end it reads stdin, so with a pipe it waits until it is killed."""
    *command, code = child(folder)
    process = subprocess.Popen([*command, f"{code}sys.stdin.read()", "auto"], stdout=subprocess.PIPE, **words)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def let_end(folder: pathlib.Path) -> float:
    """Run the command to its end, and return the seconds that it took after its imports."""
    with start(folder, stdin=subprocess.DEVNULL) as process:
        begin = time.perf_counter()
        assert process.wait() == 0
        return time.perf_counter() - begin


def written(folder: pathlib.Path) -> object:
    """Return a value that changes with each file of the Checkpoint; None if there is no file."""
    try:
        status = os.stat(folder / "c")
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def kill_after(folder: pathlib.Path, seconds: float, *, goes_on: bool) -> bool:
    """Start the command and kill it after a delay; return whether it was training then.

    The time counts from its first file on if it `goes_on`, however long that takes, else from its imports on.
    """
    before = written(folder)
    with start(folder, stdin=subprocess.PIPE) as process:
        while goes_on and written(folder) == before and process.poll() is None and not (folder / "end.npz").exists():
            time.sleep(0.0005)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    return (folder / "c").exists() and not (folder / "end.npz").exists()


def check_started_again(tmp_path: pathlib.Path, n_scripts: int, n_kills: int) -> int:
    """Kill each script repeatedly, let it end, and check that it has the bits of a fit that was not killed.

    The moments are random within a share of the time that an untouched script takes on this machine, so that all kills
    of a script together come about half as far; all but the last wait for a file of their own, so that it comes on,
    however slow the machine has become. How many of them were in the middle of the training.
    """
    net, history = run(plain, epochs=40)
    folders = [tmp_path / str(script) for script in range(n_scripts + 3)]
    for folder in folders:
        folder.mkdir()
    seconds = min(let_end(folder) for folder in folders[n_scripts:])
    moments, n_within = random.Random(n_scripts), 0
    for folder in folders[:n_scripts]:
        for kill in range(1, n_kills + 1):
            n_within += kill_after(folder, moments.uniform(0, seconds / n_kills), goes_on=kill < n_kills)
        let_end(folder)
    for folder in folders:
        with np.load(folder / "end.npz") as end:
            np.testing.assert_array_equal(end["P"], net.parameters)
            assert str(end["state"]) == str(net._random_state)
            assert {name: end[name].tolist() for name in history} == dict(history)
    return n_within


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, a signal of POSIX")
def test_a_script_that_is_killed_and_started_again(tmp_path: pathlib.Path) -> None:
    assert check_started_again(tmp_path, 2, 3) >= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, a signal of POSIX")
def test_scripts_that_are_killed_and_started_again(tmp_path: pathlib.Path) -> None:
    assert check_started_again(tmp_path, 20, 4) >= 20
