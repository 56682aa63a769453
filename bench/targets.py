"""The performance targets of the project, and tables that compare measurements with them.

RATIOS are the minimum speeds relative to the fastest peer, on one thread in float32. AIM is the desired ratio of the
time to the floor; it is reported, but not judged. This module reads measurements (`measurement.py`, `threads.py`) and
measures nothing itself.
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
PEAK_SHARES = {"B": 0.85, "D": 0.90}  # minimum of the rate over the FMA peak, for many rows
FLOAT64_RATE = 0.45  # minimum of the rate in float64 over that in float32
GAIN_OVER_PYTHON = {"T1": 1000.0}  # minimum of the speed per row over that of pure Python
# The minimum of the gain by two threads on the cases of `threads.py`. It is judged only if the loop of multiply-adds
# gains at least JUDGED_FROM by two cores.
GAINS = {
    ("A", ROWS): 1.9,
    ("B", ROWS): 1.9,
    ("C", ROWS): 1.9,
    ("D", ROWS): 1.9,
    ("T3", EPOCH): 1.9,
    ("T3 large", EPOCH): 1.9,
    ("T2", EPOCH): 1.75,
    ("T2 large", EPOCH): 1.9,
    ("F1", EPOCH): 1.85,
    ("F2", EPOCH): 1.85,
    ("F3", EPOCH): 1.85,
    ("F4", EPOCH): 1.85,
}
JUDGED_FROM = 1.9
TAIL = 2.0  # maximum of p99 over p50 of one row, with another busy thread


def cells(measurements: Iterable[Measurement], machine: Machine, own: str) -> str:
    """Format the twelve cells, which are the keys of RATIOS: times, floor, ratio to the fastest peer and verdict."""
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
    """Format the other criteria that the measurements can judge; "" if there are none."""
    rows = [*_peak_shares(measurements, machine, own), *_rates(measurements, own), *_gains(measurements, own)]
    return table(("criterion", "measured", "target", "met"), rows) if rows else ""


def _row(what: str, value: float, target: float, form: str) -> tuple[str, str, str, str]:
    return what, form.format(value), "≥ " + form.format(target), verdict(value >= target)


def _peak_shares(measurements: Sequence[Measurement], machine: Machine, own: str) -> Iterable[tuple[str, ...]]:
    for each in measurements:
        name, dtype = each.workload.name, each.cases[own].verified.implementation.dtype
        if each.kind == ROWS and name in PEAK_SHARES:
            share = each.rate(own) / machine.peak(dtype)
            yield _row(f"{name}, {each.what}, {each.source}: share of the FMA peak", share, PEAK_SHARES[name], "{:.1%}")


def float64_label(own: str) -> str:
    """Return the label for the float64 case of an engine."""
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
