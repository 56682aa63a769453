"""Tests that the programs run and print their tables, and that verdicts are right.

Each program runs once with --quick in a child process, without a check of its figures. What is computed from figures
(ratios, the fastest peer, verdicts, cliffs) is tested with invented figures, on both sides of each bound.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import builds
import instructions
import measurement
import numpy as np
import peers
import populations
import pytest
import report
import seeded_cases
import sweep
import targets
import threads
from face import Array, Implementation
from many_networks import Alone, FitMany, Many
from measurement import Measurement
from test_calibration import MACHINE
from timing import EPOCH, ROW, ROWS, Case, kinds
from verification import UnverifiedError, Verified
from workloads import RANDOM, WORKLOADS, Workload, data

import fastmlp

PROGRAMS = {
    "compare": ("--table", "--workloads", "C", "--implementations", "fastmlp native", "NumPy"),
    "threads": (),
    "latency": (),
    "cold": (),
    "sweep": (),
    "builds": ("--workloads", "C", "--", *2 * [str(Path(fastmlp.__file__).parents[1])]),
    "calibrate": (),
    "convert": (),
    "sklearn_speed": (),
    "native": (),
    "model_selection": (),
    "sklearn_scores": ("--datasets", "digits", "wine"),
    "memmap": (),
    "tables": ("--text",),
    "ctrl_c": (),
    "lbfgs": (),
    "online": (),
    "callers": (),
    "import_time": (),
    "populations": (),
    "population_memory": (),
    "same_bits": (),
    "gpu": ("--device", "cpu"),
    "thread_sweep": (),
    "narrow": (),
}
TOP = Path(__file__).parents[1]


def child(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a program of `bench/` in a child process."""
    command = [sys.executable, str(Path(__file__).with_name(f"{name}.py")), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_runs(name: str) -> None:
    if name in ("threads", "thread_sweep") and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs two cores")
    done = child(name, "--quick", *PROGRAMS[name])
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("- machine: ")
    tables = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(tables) > 3
    assert not [line for line in tables if "nan" in line]


def same_bits(*options: str) -> subprocess.CompletedProcess[str]:
    """Run same_bits.py with --quick on one instruction set."""
    return child("same_bits", "--quick", "--isa", "base", *options)


def test_hashes_of_results_are_the_same_twice_and_a_difference_is_named(tmp_path: Path) -> None:
    path = tmp_path / "hashes.json"
    first, second = same_bits("--write", str(path)), same_bits("--compare", str(path))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    stored = json.loads(path.read_text())
    hashes = stored["hashes"]["base"]
    assert f"base: 0 of {len(hashes)} cases differ" in second.stdout
    differs, gone, *_ = hashes
    hashes[differs] = hashes[differs][:8] + "x" * 8 + hashes[differs][16:]
    hashes["new 00"] = hashes.pop(gone)
    path.write_text(json.dumps(stored))
    third = same_bits("--compare", str(path))
    assert third.returncode == 1
    lines = [line.strip() for line in third.stdout.splitlines()]
    assert f"base: 3 of {len(hashes)} cases differ" in lines
    assert [line for line in lines if line.startswith(f"{differs}: parameters of Case(")]
    assert {f"{gone}: only in the build", "new 00: only in the file"} <= set(lines)


def test_there_are_200_seeded_cases_and_each_covers_its_options() -> None:
    cases = dict(seeded_cases.cases())
    assert len(cases) == 200
    used = {type(case.optimizer) for case in cases.values()}
    assert {vars(fastmlp)[name] for name in ("LBFGS", "Rprop", "Lion", "NAdam", "AdamHat", "SGD")} <= used
    assert {case.way for case in cases.values()} == set(seeded_cases.WAYS)
    assert {case.source for case in cases.values()} == set(seeded_cases.SOURCES)
    assert {(case.engine, case.dtype) for case in cases.values()} == set(
        itertools.product(("native", "blas"), ("float32", "float64"))
    )
    public = [vars(fastmlp)[name] for name in fastmlp.__all__ if isinstance(vars(fastmlp).get(name), type)]
    losses = {type(case.objective.loss) for case in cases.values()}
    assert {kind for kind in public if issubclass(kind, fastmlp.losses.Loss)} <= losses
    functions = {type(f) for case in cases.values() for f in case.activation}
    missing = {kind for kind in public if issubclass(kind, fastmlp.activations.Activation)} - functions
    # Only for outputs; cannot be trained; for networks that FANN has trained.
    assert missing == {fastmlp.Softmax, fastmlp.Threshold, fastmlp.StepwiseSigmoid, fastmlp.StepwiseTanh}


class Made(Implementation):
    """An implementation with only a name and a dtype, for cases that are not run."""

    def __init__(self, name: str, workload: Workload, dtype: str = "float32") -> None:
        super().__init__(workload, dtype)
        self.name = name


def made_up(name: str, kind: str, times: dict[str, list[float]], n_rows: int = 1) -> Measurement:
    """Return a measurement with the given times per row."""
    workload = WORKLOADS[name]
    cases = {
        label: Case(Verified(Made(label, workload), workload), kind, None, None, n_rows, label=label) for label in times
    }
    return Measurement(workload, kind, RANDOM, cases, times)


def test_ratios_are_taken_within_rounds_and_to_the_fastest_peer() -> None:
    nan = float("nan")
    times = {
        "fastmlp native": [1.0, 2.0, 3.0],
        "reference": [7.0, nan, nan],
        "X": [4.0, 4.0, 4.0],
        "Y": [3.0, 9.0, 3.5],
    }
    one = made_up("C", ROW, times)
    assert one.peers == ["X", "Y"]
    assert one.fastest_peer() == "Y"
    assert one.ratio("Y", "fastmlp native") == 3.0  # of 3, 4.5, 1.17; not 3.5 / 2
    assert one.ratio("reference", "fastmlp native") == 7.0
    assert one.quartiles("X") == [4.0, 4.0, 4.0]


def test_pure_python_stops_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(Verified(Made("reference", WORKLOADS["C"]), WORKLOADS["C"]), ROW, None, None, 10)
    monkeypatch.setattr(Case, "once", lambda self: 1.5)
    once = measurement._bounded(case)
    assert [once(), once()] == [1.5, 1.5]
    assert once() != once()  # NaN


@pytest.mark.parametrize(("own", "met"), [(0.99, "yes"), (1.01, "**no**")])
def test_a_cell_is_judged_by_its_target(own: float, met: str) -> None:
    assert targets.RATIOS["C", ROW] == 40
    text = targets.cells([made_up("C", ROW, {"fastmlp native": [own], "X": [40.0]})], MACHINE, "fastmlp native")
    assert text.splitlines()[-1].endswith(f" | {met} |")
    text = targets.further(
        [made_up("T1", EPOCH, {"fastmlp native": [own], "reference": [1000.0]})], MACHINE, "fastmlp native"
    )
    assert text.splitlines()[-1].endswith(f" | {met} |")


def test_every_cell_has_a_target() -> None:
    assert set(targets.RATIOS) == {(name, kind) for name, workload in WORKLOADS.items() for kind in kinds(workload)}


def test_two_threads_are_judged_where_two_cores_are_two() -> None:
    assert targets.JUDGED_FROM == 1.9
    assert [threads.judged(1.9, 1.9, 1.9), threads.judged(1.89, 1.9, 1.9), threads.judged(1.89, 1.9, 1.8)] == [
        "yes",
        "**no**",
        "not judged",
    ]
    found = {(threads.LOOP, 2): [2.0], (("D", ROWS), 2): [1.5], (("D", ROWS), "auto"): [0.9]}
    loop, two, auto = threads.lines(found)
    assert loop[6:] == ("", "", "")
    assert two[6:] == ("0.75", "≥ 1.9×", "**no**")
    assert auto[7:] == ("≥ 0.95×", "**no**")


def test_numbers_of_threads_come_to_the_machines() -> None:
    assert threads.numbers(2) == [1, 2]
    assert threads.numbers(5) == [1, 2, 3, 4, 5]
    assert threads.numbers(16) == [1, 2, 3, 4, 6, 8, 12, 16]
    assert threads.numbers(20) == [1, 2, 3, 4, 6, 8, 12, 16, 20]


def test_every_gain_with_a_target_is_of_a_workload() -> None:
    assert all(kind in kinds(threads.ALL[name]) for name, kind in targets.GAINS)


def test_without_a_gpu_the_program_says_so() -> None:
    done = child("gpu", "--quick", "--workloads", "C")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("neither PyTorch nor JAX finds a GPU here", "- machine: "))
    assert (len(done.stdout.splitlines()) == 1) != done.stdout.startswith("- machine: ")


def test_a_captured_step_leaves_the_network_untrained_and_keeps_to_its_data() -> None:
    workload = WORKLOADS["T4"]
    x, y = data(workload, RANDOM, 80)
    one = peers.on_device("PyTorch CUDA graphs, on the device")(workload, "float32", "cpu")
    rows, wanted = one.convert(x), one.convert(y)
    before = one.parameters
    one.capture(rows, wanted, 32)
    np.testing.assert_array_equal(one.parameters, before)
    one.fit(rows, wanted, shuffle=False, batch_size=32)
    assert not np.array_equal(one.parameters, before)
    with pytest.raises(ValueError, match="captured for other data"):
        one.fit(one.convert(x), wanted, shuffle=False, batch_size=32)


def test_plots_and_tables_of_the_page_on_speed_are_those_of_the_stored_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = child("speed_plots", "--folder", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (TOP / "docs" / "speed.md").read_text(encoding="utf-8")
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(path.name for path in (TOP / "docs" / "plots").iterdir())
    assert [name for name in drawn if f"](plots/{name})" not in page] == []
    lines = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(lines) > 10
    assert [line for line in lines if line not in page.splitlines()] == []


class OtherBits(threads.Steps):
    """The engine with other last bits on two threads."""

    def __init__(self, workload: Workload, engine: str, dtype: str, n_threads: int) -> None:
        super().__init__(workload, engine, dtype, n_threads)
        self._off = 1e-7 * (n_threads == 2)

    @property
    def parameters(self) -> Array:
        return super().parameters + self._off


@pytest.mark.parametrize("name", ["F2", "F4"])
def test_threads_are_verified(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workload = threads.ALL[name]
    x, y = data(workload, RANDOM, 200)
    assert threads.verified(workload, "float32", 2, x, y).workload is workload
    monkeypatch.setattr(threads, "Steps", OtherBits)
    with pytest.raises(UnverifiedError, match="on 2 threads than on one"):
        threads.verified(workload, "float32", 2, x, y)


class Peer(Many):
    """A peer that calls `fit`, with a learning rate that is right, or off by one per cent."""

    shuffles = False
    off = 1.0

    def __init__(self, workload: Workload, P: Array, dtype: str, n_threads: int) -> None:
        name, rate = workload.optimizer or ("adam", 0.0)
        self._one = Alone(dataclasses.replace(workload, optimizer=(name, self.off * rate)), P, dtype, 1)
        super().__init__(workload, P, dtype, n_threads)
        self.epoch = self._one.epoch  # type: ignore[method-assign]

    @property
    def parameters(self) -> Array:
        return self._one.parameters


class WrongPeer(Peer):
    off = 1.01


class WrongBits(FitMany):
    """The networks of fastmlp, one of which differs in the last bits."""

    @property
    def parameters(self) -> Array:
        return super().parameters + 1e-7 * (np.arange(len(self.P)) == 1)[:, None]


def test_ways_to_train_many_networks_are_verified() -> None:
    P, (x, y) = populations.stacked(3), data(populations.WORKLOAD, RANDOM, 100)
    for right in (Peer, FitMany):
        assert populations.verified_epoch("right", right, P, x, y, "float32", 1)().shape == (3,)
    with pytest.raises(UnverifiedError, match="change of parameters"):
        populations.verified_epoch("wrong", WrongPeer, P, x, y, "float32", 1)
    with pytest.raises(UnverifiedError, match="own fit"):
        populations.verified_epoch("wrong", WrongBits, P, x, y, "float32", 1)
    with pytest.raises(UnverifiedError, match="shape"):
        populations.compare("wrong", np.ones(2), np.ones(3), 1.0)
    with pytest.raises(UnverifiedError, match="off by nan"):
        populations.compare("wrong", np.array([np.nan]), np.ones(1), 1.0)


def test_efficiency_is_of_one_network_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(populations, "cores", lambda: 2)
    keys = [(populations.ALONE, 1), (populations.OWN, 1), (populations.OWN, 2), ("X", 2)]
    ways = [populations.Way(name, n, lambda: None) for name, n in keys]
    times = [np.array(each) for each in ([8.0, 9.0], [8.0, 9.0], [5.0, 5.0], [10.0, 20.0])]
    rows = list(populations.lines(ways, times, populations.OWN, "64", populations.ALONE, np.array([1.9, 1.9, 1.0])))
    assert [row[6:] for row in rows] == [("", "1.00×"), ("100%", "1.00×"), ("85%", "1.00×"), ("", "3.00×"), ("95%", "")]


@pytest.mark.parametrize(
    ("quartiles", "said"),
    [
        ((0.99, 1.0, 1.01), "yes"),
        ((0.98, 0.986, 0.99), "yes, unsettled"),
        ((1.01, 1.014, 1.02), "yes, unsettled"),
        ((1.01, 1.016, 1.02), "**no**, unsettled"),
        ((1.016, 1.02, 1.03), "**no**"),
        ((0.95, 0.96, 0.97), "**no**"),
    ],
)
def test_two_builds_are_judged_by_the_median_of_their_ratios(quartiles: tuple[float, ...], said: str) -> None:
    assert builds.verdict(*quartiles) == said


def test_ratios_of_builds_are_taken_within_rounds_over_all_pairs() -> None:
    assert builds.order(3) == [0, 1, 1, 0, 0, 1]
    times = np.array([[1.0, 10.0], [2.0, 20.0], [8.0, 10.0], [4.0, 5.0]])  # old, new, new, old in two rounds
    np.testing.assert_allclose(builds.ratios(times, builds.order(2)), [2.0, 2.0])


@pytest.mark.parametrize(
    ("counted", "as_stored", "as_another"),
    [
        ({"A": 1000, "B": 1000}, True, True),
        ({"A": 1009, "B": 991}, True, True),
        ({"A": 1011, "B": 1000}, True, False),
        ({"A": 989, "B": 1000}, True, False),
        ({"A": 1031, "B": 1000}, False, False),
        ({"A": 1000}, False, False),
        ({"A": 1000, "B": 1000, "C": 1}, False, False),
    ],
)
def test_instructions_are_judged(counted: dict[str, int], as_stored: bool, as_another: bool) -> None:
    stored, change = {"A": 1000, "B": 1000}, instructions.MAX_CHANGE
    assert instructions.compare(stored, counted) is as_stored
    assert instructions.compare(stored, counted, -change, change) is as_another


def test_cliffs_are_worse_than_both_sides() -> None:
    assert sweep.cliffs([1, 1.3, 1, 1.2, 1, 2, 1.9, 1]) == [1]
    assert sweep.cliffs([9, 1]) == []


def test_durations() -> None:
    assert [report.duration(each) for each in (2.5e-7, 1.234e-3, 12.3456, 1234.5)] == [
        "0.25 µs",
        "1.23 ms",
        "12.3 s",
        "1,234 s",
    ]


def test_every_peer_is_installed() -> None:
    """The extra `bench` installs them; without one, a comparison would silently lack it."""
    assert peers.installed() == list(peers.PEERS)
    assert {peer.package for peer in peers.MANY.values()} <= {peer.package for peer in peers.PEERS.values()}
