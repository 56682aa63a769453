"""What the project sets out to reach, and whether a run reaches it.

RATIOS: the least ratio to the fastest peer, one thread, float32; AIM: the time over the floor that is aimed at. The
other constants are shares. Everything here reads measurements (`measurement.py`, `threads.py`) and prints verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from calibrate import Machine
from measurement import Measurement
from report import duration, table, verdict
from timing import EPOCH, ROW, ROWS

RATIOS = {
    ("A", ROW): 16.0,
    ("B", ROW): 3.0,
    ("C", ROW): 40.0,
    ("D", ROW): 1.6,
    ("A", ROWS): 1.9,
    ("B", ROWS): 1.2,
    ("C", ROWS): 1.4,
    ("D", ROWS): 1.1,
    ("T1", EPOCH): 4.0,
    ("T2", EPOCH): 1.3,
    ("T3", EPOCH): 1.35,
    ("T4", EPOCH): 5.0,
}
AIM = 1.25
PEAK_SHARES = {"B": 0.85, "D": 0.90}  # of the FMA peak, many rows
FLOAT64_RATE = 0.45  # of the float32 rate
GAIN_OVER_PYTHON = {"T1": 1000.0}  # per row
THREADS_SHARE, JUDGED_FROM = 0.85, 1.8  # of the gain of a pure FMA loop, judged where that is at least so much
TAIL = 2.0  # p99 over p50 of one row beside a busy thread


def cells(measurements: Iterable[Measurement], machine: Machine, own: str) -> str:
    """The twelve cells: time, floor and distance to it; the fastest peer, the ratio, its target and the verdict."""
    columns = ("workload", "what", "data", "fastest peer", "its time", own, "floor", f"over floor (aim {AIM})")
    rows = []
    for measured in measurements:
        seconds, floor = measured.seconds(own), measured.floor(own, machine).seconds
        peer, target = measured.fastest_peer(), RATIOS[measured.workload.name, measured.kind]
        ratio = measured.ratio(peer, own) if peer else float("nan")
        judged = (f"{ratio:.2f}×", f"{target:g}×", verdict(ratio >= target)) if peer else ("", f"{target:g}×", "")
        rows.append(
            (
                *(str(measured.workload), measured.what, measured.source, peer or "none"),
                duration(measured.seconds(peer)) if peer else "",
                *(duration(seconds), duration(floor), f"{seconds / floor:.2f}", *judged),
            )
        )
    return table((*columns, "ratio to the peer", "target", "met"), rows, left=4)


def further(measurements: Sequence[Measurement], machine: Machine, own: str) -> str:
    """The criteria beside the twelve cells that the same run can judge."""
    columns = ("criterion", "measured", "target", "met")
    return table(
        columns, [*_peak_shares(measurements, machine, own), *_rates(measurements, own), *_gains(measurements, own)]
    )


def _row(what: str, value: float, target: float, form: str) -> tuple[str, str, str, str]:
    return what, form.format(value), "≥ " + form.format(target), verdict(value >= target)


def _peak_shares(measurements: Sequence[Measurement], machine: Machine, own: str) -> Iterable[tuple[str, ...]]:
    for each in measurements:
        name, dtype = each.workload.name, each.cases[own].verified.implementation.dtype
        if each.kind == ROWS and name in PEAK_SHARES:
            share = each.rate(own) / machine.peak(dtype)
            yield _row(f"{name}, {each.what}, {each.source}: share of the FMA peak", share, PEAK_SHARES[name], "{:.1%}")


def float64_label(own: str) -> str:
    """The label of the same engine in float64."""
    return f"{own}, float64"


def _rates(measurements: Sequence[Measurement], own: str) -> Iterable[tuple[str, ...]]:
    for each in measurements:
        if float64_label(own) in each.times:
            ratio = 1 / each.ratio(float64_label(own), own)
            what = f"{each.workload.name}, {each.what}, {each.source}: float64 over float32 rate"
            yield _row(what, ratio, FLOAT64_RATE, "{:.2f}")


def _gains(measurements: Sequence[Measurement], own: str) -> Iterable[tuple[str, ...]]:
    for each in measurements:
        name = each.workload.name
        if "reference" in each.times and name in GAIN_OVER_PYTHON:
            what = f"{name}, {each.source}: gain over pure Python, per row"
            yield _row(what, each.ratio("reference", own), GAIN_OVER_PYTHON[name], "{:,.0f}×")
