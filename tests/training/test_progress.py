"""The display of a fit's progress: bars, lines, times; it neither ends nor changes a training."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.training import progress
from trainings import assert_same, classifier, data

X, Y = data(41)


class Terminal(io.StringIO):
    """A stream whose isatty is true."""

    def isatty(self) -> bool:
        return True


class Bar:
    """A stand-in for the methods of tqdm that are used."""

    made: list[Any] = []  # noqa: RUF012

    def __init__(self, **words: Any) -> None:
        self.words, self.n, self.closed = words, words["initial"], False
        self.moves: list[tuple[float, str]] = []
        self.text = ""
        Bar.made.append(self)

    def set_description_str(self, text: str, refresh: bool = True) -> None:
        self.description = text

    def set_postfix_str(self, text: str, refresh: bool = True) -> None:
        self.text = text

    def update(self, n: float) -> None:
        self.n += n
        self.moves.append((self.n, self.text))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    monkeypatch.setattr(Bar, "made", [])
    return Bar.made


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Replace stderr, and return it; a fixture would be overwritten by pytest's capture."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


@pytest.mark.parametrize("fails", [False, True])
def test_a_bar_on_a_terminal(bars: list[Any], fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = terminal(monkeypatch)

    def fail(epoch: int, logs: Any) -> None:
        if fails and epoch == 1:
            raise ZeroDivisionError

    try:
        fastmlp.Network([3, 2]).fit(X, Y, epochs=4, verbose=1, callbacks=[fail])
    except ZeroDivisionError:
        assert fails
    (bar,) = bars
    assert (bar.n, bar.closed, bar.words["total"]) == (2 if fails else 4, True, 4)
    assert bar.description == f"epoch {bar.n}/4"
    assert all(text.startswith("loss ") and text.endswith(" rows/s") for _, text in bar.moves)
    assert stream.getvalue() == ""


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_a_bar_in_a_notebook(bars: list[Any], stream: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notebook gets a bar although its stderr is no terminal; IPython without a kernel does not."""
    for config, n_bars in (({"IPKernelApp": {}}, 1), ({}, 1 + stream.isatty())):
        shell = types.SimpleNamespace(config=config)
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda shell=shell: shell))
        monkeypatch.setattr(sys, "stderr", stream)
        fastmlp.Network([3, 2]).fit(X, Y, epochs=3, verbose=1)
        assert len(bars) == n_bars
    assert (bars[0].n, bars[0].closed) == (3, True)


def test_the_bar_of_tqdm_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tqdm")
    stream = terminal(monkeypatch)
    history = fastmlp.Network([3, 2], seed=0).fit(X, Y, epochs=3, verbose=1, validation_split=0.5)
    last = stream.getvalue().rsplit("\r", 1)[-1]
    assert last.startswith("epoch 3/3 100%|")
    assert "| 00:00<00:00, loss " in last
    for name, values in history.items():
        assert f"{name} {values[-1]:.6g}" in last
    assert last.endswith("\n")


LONG = {
    "rows": {"X": X, "y": Y},
    "weights": {"X": X, "y": Y, "sample_weight": np.linspace(0.5, 1.0, len(X))},
    "blocks": {"X": X, "y": Y, "shuffle": "blocks"},
    "rate": {"X": X, "y": Y, "optimizer": fastmlp.Adam(lambda t: 0.01 / (1 + t))},
    "all rows": {"X": X, "y": Y, "optimizer": "lbfgs"},
    "batches": {"X": [(X[i : i + 8], Y[i : i + 8]) for i in range(0, 41, 8)]},
}


@pytest.mark.parametrize("what", LONG)
def test_the_bar_moves_within_a_long_epoch_and_changes_nothing(
    build: Any, what: str, bars: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an update interval of 0, every epoch counts as long."""
    terminal(monkeypatch)
    monkeypatch.setattr(progress, "MOVE_SECONDS", 0.0)
    words = dict(LONG[what])
    if what not in ("batches", "all rows"):
        words["batch_size"] = 8
    net, control = classifier(build), classifier(build)
    history = net.fit(**words, epochs=3, verbose=1)
    assert history == control.fit(**words, epochs=3)
    assert_same(net, control)
    seen = [n for n, _ in bars[0].moves]
    within = [] if what == "all rows" else [8 / 41, 16 / 41, 24 / 41, 32 / 41, 40 / 41]
    expected = [epoch + share for epoch in range(3) for share in [*within, 1]]
    if what == "batches":  # the number of batches is known after the first epoch
        expected = [0.0] * 6 + [epoch + share for epoch in range(3) for share in [*within, 1, 1]][6:]
    assert seen == pytest.approx(expected)
    if what == "rows":
        assert bars[0].moves[0][1].startswith("loss 0.")
    if what == "batches":
        assert bars[0].moves[1][1].endswith("  16 rows")


def test_short_epochs_are_whole(bars: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first epochs are divided for a bar, and none if the bar does not move."""
    calls: list[Any] = []
    stretch = fastmlp.Network._stretch

    def counted(self: Any, *args: Any) -> Any:
        calls.append(args)
        return stretch(self, *args)

    monkeypatch.setattr(fastmlp.Network, "_stretch", counted, raising=False)
    terminal(monkeypatch)
    monkeypatch.setattr(progress, "MOVE_SECONDS", 1e9)
    net = fastmlp.Network([3, 2], seed=0)
    for verbose, n in ((0, 1), (2, 50), (1, 50 + 2)):  # without a display, one call trains all epochs after the first
        calls.clear()
        net.fit(X, Y, epochs=50, batch_size=1, verbose=verbose)
        assert len(calls) == n  # the bar's first epoch is divided into 1, 8 and 41 steps
    assert [n for n, _ in bars[0].moves] == list(range(1, 51))


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_hooks_of_batches_and_checkpoints_beside_a_bar(
    build: Any, bars: list[Any], tmp_path: Any, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    terminal(monkeypatch)
    monkeypatch.setattr(progress, "MOVE_SECONDS", seconds)
    seen: list[Any] = []
    for verbose in (0, 1):
        net, calls = classifier(build), []
        batches = types.SimpleNamespace(on_batch_end=lambda batch, logs, calls=calls: calls.append((batch, dict(logs))))
        every = fastmlp.Checkpoint(tmp_path / str(verbose), every=4, unit="step")
        net.fit(X, Y, epochs=3, batch_size=8, callbacks=[batches, every], verbose=verbose)
        seen.append((net.parameters.tolist(), calls, (tmp_path / str(verbose)).read_bytes()))
    assert seen[0] == seen[1]


def test_lines_where_a_bar_is_not_useful(bars: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """There are lines if stderr is no terminal, tqdm is missing, or verbose is above 1."""
    auto = sys.modules["tqdm.auto"]
    for stream, verbose, module in ((io.StringIO(), 1, auto), (Terminal(), 2, auto), (Terminal(), 1, None)):
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setitem(sys.modules, "tqdm.auto", module)  # None: an import fails
        fastmlp.Network([3, 2]).fit(X, Y, epochs=2, verbose=verbose)
        assert [line[:9] for line in stream.getvalue().splitlines()] == ["epoch 1/2", "epoch 2/2"][verbose - 1 :]
    assert bars == []


def test_elapsed_and_remaining_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times are those of this call, without the epochs before a checkpoint."""
    now, stream = [100.0], io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with contextlib.closing(progress.open_display(1, 10)) as display:
        display.begin(4)
        for epoch, seconds in ((4, 30.4), (5, 90.0), (9, 7200.0)):
            now[0] = 100.0 + seconds
            display.show(epoch, {"loss": 0.5}, 1234.4)
    assert stream.getvalue().splitlines() == [
        "epoch 5/10  loss 0.5  1,234 rows/s  0:30, 2:32 left",
        "epoch 6/10  loss 0.5  1,234 rows/s  1:30, 3:00 left",
        "epoch 10/10  loss 0.5  1,234 rows/s  2:00:00, 0:00 left",
    ]


# -- a display ends no training --------------------------------------------------------------------------------------


class Broken(io.StringIO):
    """A stream that cannot be written to."""

    def __init__(self, is_terminal: bool, error: type[Exception]) -> None:
        super().__init__()
        self.is_terminal, self.error = is_terminal, error

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        raise self.error


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("error", [OSError, ValueError, UnicodeError, RuntimeError])
def test_a_stream_that_fails(is_terminal: bool, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Broken(is_terminal, error))
    assert fastmlp.Network([3, 2]).fit(X, Y, epochs=3, verbose=1).epochs == 3


@pytest.mark.parametrize("what", ["None", "closed", "no isatty"])
def test_no_stderr(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = {"None": None, "closed": io.StringIO(), "no isatty": types.SimpleNamespace(write=len, flush=int)}
    if what == "closed":
        streams["closed"].close()  # type: ignore[union-attr]
    monkeypatch.setattr(sys, "stderr", streams[what])
    assert fastmlp.Network([3, 2]).fit(X, Y, epochs=1, verbose=1).epochs == 1


CODE = """
import sys
import numpy as np
import fastmlp
net = fastmlp.Network([3, 2], seed=0)
print("ready", flush=True)
sys.stdin.readline()
print(net.fit(np.ones((9, 3)), np.ones((9, 2)), epochs=300, verbose=1).epochs)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs the descriptors of POSIX")
@pytest.mark.parametrize("how", ["the reader has gone", "closed from the beginning", "a full disk"])
def test_stderr_of_a_process(how: str) -> None:
    """Training and interpreter end without error if stderr is closed or broken."""
    if how == "a full disk" and not os.path.exists("/dev/full"):
        pytest.skip("needs the device /dev/full, which Linux has")
    command = [sys.executable, "-c", CODE]
    pipe: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    if how == "closed from the beginning":
        command = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(open("/dev/full", "w")) if how == "a full disk" else subprocess.PIPE
        process = stack.enter_context(subprocess.Popen(command, stderr=full, **pipe))
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if process.stderr is not None:
            process.stderr.close()
        process.stderr = None
        out, _ = process.communicate("\n", timeout=60)
    assert out == "300\n"
    if how != "a full disk":  # Python itself reports that buffered output is lost
        assert process.returncode == 0


def test_bars_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bars in several threads have a line each, also after one that could not be written."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Broken(True, OSError))
    fastmlp.Network([3, 2]).fit(X, Y, epochs=3, verbose=1)
    stream = terminal(monkeypatch)
    histories: list[Any] = []

    def fit(seed: int) -> None:
        histories.append(fastmlp.Network([3, 2], seed=seed).fit(X, Y, epochs=200, verbose=1))

    threads = [threading.Thread(target=fit, args=(seed,), daemon=True) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [history.epochs for history in histories] == [200] * 3
    assert stream.getvalue().count("epoch 200/200 100%|") >= 3
