"""Times one row on fastmlp's C core beside networks of other tools, called without Python where there is such a way.

    python bench/native.py [--cpu 1] [--rounds 15] [--isa avx2] [--rtneural FOLDER] [--workloads A 4-16-16-2 ...] [--quick]

RTNeural is measured where `--rtneural` names a checkout of its source (https://github.com/jatinchowdhury18/RTNeural), with
the Eigen of its `modules` or that of `--eigen`. emlearn, Numba and ONNX Runtime are measured where they are installed.
Peers in C and C++ are compiled for the sizes of the workload with `-O3` and the flags of the ISA (`-march=native` with
AVX-512); RTNeural's network is its static one. Each peer has been compared with the reference before it is timed.

Rows are taken in turn from as many as fit in 16 KB, so that they stay in the L1 cache. "Python" in a name says that the
calls come from a loop in Python; all others come from a compiled loop. A time is the median over the rounds, a ratio the
median of the ratios within a round, with its quartiles.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import native_peers
import numpy as np
import report
import rounds
from native_peers import OWN, PEERS, Missing, Options, Peer
from numpy_network import NumpyNetwork
from verification import UnverifiedError, output_tolerance
from workloads import WORKLOADS, Array, Workload, data, initial_parameters

import fastmlp

SMALL = Workload("4-16-16-2", (4, 16, 16, 2), "tanh")
ALL = {workload.name: workload for workload in (*(WORKLOADS[name] for name in "ABCD"), SMALL)}
TARGETS = {"A": 1.25, "B": 1.1, "C": 1.5, SMALL.name: 1.5}  # RTNeural's time over the core's
JUDGED = "RTNeural, Eigen"
ROW_BYTES = 1 << 14  # of the rows that are taken in turn
QUICK = ("C", SMALL.name)


def rows_of(workload: Workload, n_rows: int) -> Array:
    """Return rows of the workload's data, each aligned to 64 bytes."""
    x = native_peers.aligned((n_rows, workload.sizes[0]))
    x[:] = data(workload, "random", n_rows)[0]
    return x


def verify(name: str, peer: Peer, workload: Workload) -> None:
    """Raise UnverifiedError unless the peer gives what the NumPy network in float64 gives."""
    x = rows_of(workload, 16)
    network = NumpyNetwork(
        workload.sizes,
        activation=workload.activation,
        output_activation=workload.output_activation,
        loss=workload.loss,
        dtype="float64",
    )
    network.parameters = initial_parameters(workload)
    expected = network.predict(np.ascontiguousarray(x, "float64"))
    got, y = np.empty_like(expected), native_peers.aligned((workload.sizes[-1],))
    for i, row in enumerate(x):
        peer.row(row, y)
        got[i] = y
    off, allowed = np.abs(got - expected).max(), output_tolerance(workload, "float32") * np.abs(expected).max()
    if not off <= allowed:  # NaN fails, too
        raise UnverifiedError(f"{name}, {workload}: off by {off:.3g}, allowed {allowed:.3g}")


def opened(workload: Workload, options: Options, names: list[str]) -> tuple[dict[str, Peer], dict[str, str]]:
    """Return the peers of a workload, verified, and for each that is left out the reason."""
    found, left_out = {}, {}
    for name in names:
        try:
            found[name] = PEERS[name](workload, options)
        except Missing as reason:
            left_out[name] = str(reason)
        else:
            verify(name, found[name], workload)
    return found, left_out


def lines(workload: Workload, found: dict[str, Peer], n_rounds: int, quick: bool) -> Iterator[tuple[str, ...]]:
    """Measure the peers of a workload in interleaved rounds; yield a row of the table for each."""
    rows = rows_of(workload, max(1, min(256, ROW_BYTES // (4 * workload.sizes[0]))))

    def measured(peer: Peer) -> float:
        n = calls[peer]
        return peer.seconds(rows, n) / (n * len(rows))

    calls = dict.fromkeys(found.values(), 1)
    for peer in found.values():
        one = peer.seconds(rows, 1)
        if not quick:
            calls[peer] = max(1, round(0.02 / min(one, peer.seconds(rows, max(1, round(0.002 / one))) / max(1, round(0.002 / one)))))
    times = np.array(rounds.interleaved([functools.partial(measured, peer) for peer in found.values()], n_rounds))
    own = times[list(found).index(OWN)]
    for name, each in zip(found, times, strict=True):
        low, ratio, high = np.percentile(each / own, (25, 50, 75))
        target = TARGETS.get(workload.name) if name == JUDGED else None
        wanted = ("", "") if target is None else (f"{target:g}×", report.verdict(ratio >= target))
        time = report.duration(float(np.median(each)))
        yield str(workload), name, time, f"{ratio:.2f}×", f"{low:.2f}-{high:.2f}", *wanted


def main() -> int:
    """Open, verify, measure and print the table."""
    parser = report.parser(__doc__)
    parser.add_argument("--isa", choices=fastmlp.info()["isas"], default=fastmlp.info()["isa"], help="of the core")
    parser.add_argument("--rtneural", type=Path, metavar="FOLDER", help="a checkout of RTNeural")
    parser.add_argument("--eigen", type=Path, metavar="FOLDER", help="the folder that has Eigen/Dense")
    parser.add_argument("--workloads", nargs="+", choices=ALL, metavar="NAME")
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME")
    options = parser.parse_args()
    if OWN not in options.peers:
        parser.error(f"--peers: expected {OWN!r} among them, as the ratios are to it")
    report.pin(options.cpu)
    print(report.provenance(options.cpu, f"ISA {options.isa}, float32, one thread, wall time"), flush=True)
    share = rounds.Share()
    chosen = Options(options.isa, options.rtneural, options.eigen)
    table, reasons = [], {}
    for name in options.workloads or (QUICK if options.quick else ALL):
        found, left_out = opened(ALL[name], chosen, options.peers)
        reasons |= left_out
        table += lines(ALL[name], found, 1 if options.quick else options.rounds, options.quick)
    for name, reason in reasons.items():
        print(f"- left out: {name}: {reason}")
    columns = ("one row", "network", "time", "over the core's", "quartiles", "target", "met")
    print("", report.table(columns, table, left=2), "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
