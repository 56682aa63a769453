"""`fit_many`: Ctrl-C, use in threads, callbacks and forked processes, the share of threads, and memory."""

from __future__ import annotations

import concurrent.futures
import os
import threading
import time
from typing import Any

import pytest

import fastmlp
from fastmlp import _core
from fastmlp.training import crew, sources
from many import FOLDS, X, Y, networks, same
from processes import run_python

# -- Ctrl-C, threads, forks -------------------------------------------------------------------------------------------

SETUP = """
    import os, signal, threading, time
    import numpy as np
    import fastmlp

    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 20)).astype(np.float32)
    y = X[:, 0] * X[:, 1]

    def networks(n, width=64):
        return [fastmlp.Network([20, width, 1], seed=seed) for seed in range(n)]

    def interrupt_when(holds):
        def send():
            while not holds():
                time.sleep(0.01)
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=send, daemon=True).start()
"""


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("batch_size", [32, None])
def test_ctrl_c(n_threads: int, batch_size: Any) -> None:
    """After Ctrl-C all threads have ended, and each network has its complete steps and can be trained again."""
    code = f"""
    nets = networks(5)
    before = [net.parameters for net in nets]
    interrupt_when(lambda: sum(net.history is not None and net.history.epochs > 0 for net in nets) == {n_threads})
    try:
        fastmlp.fit_many(nets, X, y, epochs=10**6, n_threads={n_threads}, batch_size={batch_size})
    except KeyboardInterrupt as error:
        histories = error.histories
    changed = [not np.array_equal(net.parameters, P) for net, P in zip(nets, before)]
    assert [history.stopped for history in histories] == ["interrupted"] * 5, histories
    assert sum(changed) == min({n_threads}, 5), changed
    assert not [thread for thread in threading.enumerate() if thread.name == "fastmlp.fit_many"]
    for net, history, is_changed in zip(nets, histories, changed):
        assert is_changed == (history.epochs > 0), (is_changed, history.epochs)
        if is_changed:
            state = net.training_state()
            assert state.n_steps >= history.epochs
            assert np.array_equal(state.parameters, net.parameters)
        net.fit(X, y, epochs=1)
    print("done")
    """
    assert run_python(SETUP + code) == "done\n"


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_ctrl_c_restores_the_best_weights() -> None:
    code = """
    nets = networks(2)
    stops = [fastmlp.EarlyStopping("loss", patience=10**6) for _ in nets]
    interrupt_when(lambda: all(net.history is not None and net.history.epochs > 0 for net in nets))
    try:
        fastmlp.fit_many(nets, X, y, epochs=10**6, optimizer=fastmlp.SGD(1e-3), n_threads=2,
                         callbacks=[[each] for each in stops])
    except KeyboardInterrupt as error:
        histories = error.histories
    print([stop.best == min(history.loss) for stop, history in zip(stops, histories)])
    """
    assert run_python(SETUP + code) == "[True, True]\n"


@pytest.mark.skipif(os.name != "posix", reason="a signal to the process itself")
def test_ctrl_c_within_a_long_step() -> None:
    """A step over all rows of a large network is stopped, too."""
    code = """
    X = rng.normal(size=(20000, 20)).astype(np.float32)
    y = X[:, 0]
    nets = networks(2, 8192)
    interrupt_when(lambda: nets[0].history is not None)
    try:
        fastmlp.fit_many(nets, X, y, epochs=100, batch_size=None, n_threads=2)
    except KeyboardInterrupt as error:
        print([history.stopped for history in error.histories])
    """
    assert run_python(SETUP + code) == "['interrupted', 'interrupted']\n"


def test_within_a_pool_of_threads() -> None:
    """Several calls at the same time, from threads that are not the main one."""
    alone = networks()
    for network, rows in zip(alone, FOLDS, strict=True):
        network.fit(X[rows], Y[rows], epochs=4)

    def work(_: int) -> list[fastmlp.Network]:
        nets = networks()
        fastmlp.fit_many(nets, X, Y, rows=FOLDS, epochs=4, n_threads=2)
        return nets

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for nets in pool.map(work, range(8)):
            for a, b in zip(nets, alone, strict=True):
                same(a, b)


def test_a_call_within_a_callback() -> None:
    inner: list[fastmlp.Network] = []

    def nested(epoch: int, logs: Any) -> None:
        nets = networks()
        fastmlp.fit_many(nets, X, Y, epochs=2, n_threads=2)
        inner.extend(nets)

    fastmlp.fit_many(networks(2), X, Y, epochs=1, callbacks=[nested], n_threads=2)
    alone = networks()
    for network in alone:
        network.fit(X, Y, epochs=2)
    for k, network in enumerate(inner):
        same(network, alone[k % 3])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork() -> None:
    """A child of a process that has trained, and one forked by a callback while others train, can train."""
    code = """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)

    def check():
        nets, alone = networks(3, 8), networks(3, 8)
        fastmlp.fit_many(nets, X, y, epochs=2, n_threads=3)
        for a, b in zip(nets, alone):
            b.fit(X, y, epochs=2)
            assert np.array_equal(a.parameters, b.parameters)

    def in_child(epoch=0, logs=None):
        pid = os.fork()
        if pid == 0:
            try:
                check()
                os._exit(0)
            except BaseException:
                os._exit(1)
        codes.append(os.waitpid(pid, 0)[1])

    codes = []
    check()
    in_child()
    fastmlp.fit_many(networks(4, 8), X, y, epochs=3, n_threads=2, callbacks=[[in_child], [], [], []])
    print(codes)
    """
    assert run_python(SETUP + code) == "[0, 0, 0, 0]\n"


@pytest.mark.parametrize(
    ("n_threads", "n_turns", "expected"),
    [(1, 1, [1]), (2, 2, [1, 1]), (5, 3, [2, 2, 1]), (8, 3, [3, 3, 2]), (6, 1, [6]), (2, 3, [1, 1, 1])],
)
def test_shares_of_threads(monkeypatch: pytest.MonkeyPatch, n_threads: int, n_turns: int, expected: list[int]) -> None:
    """Threads without a turn are lent to the turns that are left, the earlier ones first."""
    limits: list[int] = []
    monkeypatch.setattr(_core, "limit_threads", limits.append)
    turns: list[Any] = [lambda own, k=k: k for k in range(n_turns)]
    own = crew.Crew(turns, n_threads)
    own._active = list(turns)
    for turn in turns:
        own.share(turn)
    assert limits == expected


def test_threads_are_lent_as_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The longest training gets all threads once it is the last one."""
    limits: dict[Any, list[int]] = {}
    monkeypatch.setattr(
        _core, "limit_threads", lambda n: limits.setdefault(threading.current_thread().ident, []).append(n)
    )
    ended = threading.Event()

    def end(logs: Any) -> None:
        ended.set()

    class Short:
        on_train_end = staticmethod(end)

    class Long:
        @staticmethod
        def on_epoch_begin(epoch: int, logs: Any) -> None:
            assert epoch < 3 or ended.wait(60)

    fastmlp.fit_many(networks(2), X, Y, epochs=[3000, 2], callbacks=[[Long()], [Short()]], n_threads=2)
    assert sorted(each[-2:] for each in limits.values()) == [[1, 0], [2, 0]]


@pytest.mark.parametrize(("sizes", "n_calls"), [((6, 16, 1), 2), ((6, 2048, 64, 1), 3)])
def test_only_epochs_of_large_steps_are_divided(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[int, ...], n_calls: int
) -> None:
    """A network whose steps take one thread needs none of the others, so one call trains it for an epoch.

    The other's first epoch has calls of one and of two steps."""
    calls: dict[Any, int] = {}
    advance = sources.ArrayRows.advance

    def counted(source: sources.ArrayRows, *args: Any) -> bool:
        calls[source.network] = calls.get(source.network, 0) + 1
        return advance(source, *args)

    monkeypatch.setattr(sources.ArrayRows, "advance", counted)
    nets = networks(2, sizes, n_threads=2, engine="native")
    fastmlp.fit_many(nets, X, Y, epochs=2, batch_size=50, max_time=100.0, n_threads=2)
    assert [calls[network] for network in nets] == [n_calls, n_calls]


def test_no_turn_begins_before_all_threads_have_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = crew.Worker.start
    events: list[str] = []

    def slow(worker: crew.Worker) -> None:
        start(worker)
        time.sleep(0.05)
        events.append("start")

    monkeypatch.setattr(crew.Worker, "start", slow)
    crew.Crew([lambda own: events.append("turn")] * 3, 2).run()
    assert events == ["start", "start", "turn", "turn", "turn"]


@pytest.mark.parametrize("n_allowed", [0, 1])
def test_a_system_without_threads(monkeypatch: pytest.MonkeyPatch, n_allowed: int) -> None:
    """The threads that there are do the work; if there is none, the one that calls."""
    start = crew.Worker.start
    started: list[Any] = []

    def limited(worker: crew.Worker) -> None:
        if len(started) == n_allowed:
            raise RuntimeError("can't start new thread")
        started.append(worker)
        start(worker)

    monkeypatch.setattr(crew.Worker, "start", limited)
    together, alone = networks(), networks()
    fastmlp.fit_many(together, X, Y, epochs=2, n_threads=3)
    for a, b in zip(together, alone, strict=True):
        b.fit(X, Y, epochs=2)
        same(a, b)


def test_the_longest_training_is_first() -> None:
    began: list[int] = []
    watchers = [type("Watcher", (), {"on_train_begin": lambda self, logs, k=k: began.append(k)})() for k in range(4)]
    nets = [fastmlp.Network([6, width, 1]) for width in (2, 50, 10, 10)]
    rows = [None, None, None, range(20)]
    words: dict[str, Any] = {"epochs": [40, 4, 10, 10], "callbacks": [[each] for each in watchers]}
    fastmlp.fit_many(nets, X, Y, rows=rows, n_threads=1, **words)
    assert began == [1, 2, 0, 3]  # 4 * 401 > 10 * 81 > 40 * 17 > 10 * 81 * 20 / 150


def test_a_limit_of_threads_ends_with_the_thread() -> None:
    """Neither the limit nor the flag of a crew stays with the thread that calls fit_many."""
    flag = _core.StopFlag()
    flag.enter()
    flag.set()
    try:
        with pytest.raises(KeyboardInterrupt):
            fastmlp.Network([6, 1]).fit(X, Y, epochs=1)
    finally:
        flag.leave()
    fastmlp.Network([6, 1]).fit(X, Y, epochs=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="reads /proc")
def test_memory() -> None:
    """Workspace, which these networks need far more of than parameters, exists for the networks at work only."""
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    code = """
    def megabytes():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    nets = [fastmlp.Network([20, 4000, 1], seed=seed) for seed in range(60)]
    fastmlp.fit_many(nets[:2], X, y, epochs=1, batch_size=240, n_threads=2)
    before = megabytes()
    fastmlp.fit_many(nets, X, y, epochs=1, batch_size=240, n_threads=2)
    grown = megabytes() - before
    parameters = 60 * nets[0].n_parameters * 4 / 2**20
    print(grown < 8 * parameters + 40, grown, parameters)
    """
    assert run_python(SETUP + code).startswith("True")
