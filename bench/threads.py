"""Measures the gain by each number of threads, compared with that of a loop of multiply-adds; and that by "auto".

    python bench/threads.py [--rounds N] [--dtype float64] [--quick]

The process is not pinned, and needs at least two free cores. Each round times the loop of multiply-adds on each number
of cores (`calibrate.Loops`), and every case on one thread and on each other number of threads; a gain is the median of
the ratios within a round. The gain by two threads has a target, which is judged only if the loop gains enough
(`targets.py`), because two logical cores may be one physical core. What more threads gain can be compared with the
loop's gain on as many cores.

Before a case is timed, its results are compared with the oracle's, and on several threads also with those on one, bit
for bit if the engine promises that. With all rows in a step, one call of `fit` takes STEPS steps; L-BFGS starts each
call at the same point, so that every call evaluates the same losses.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import functools
import itertools
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import report
import rounds
import targets
from calibrate import AVAILABLE, Loops
from face import Array, optimizer_of
from timing import Case, kinds
from verification import UnverifiedError, Verified, check, verify_new
from workloads import LARGE_BATCHES, RANDOM, WORKLOADS, Workload, data, initial_parameters

import fastmlp
from implementations import Engine, Reference

ALL = WORKLOADS | LARGE_BATCHES
SLOWED = 1.05  # "auto" may take up to this multiple of one thread's time; smaller losses are within the noise
STEPS = 20  # of a call of `fit` that has all rows in each step
REFERENCE_ROWS = 50  # on which L-BFGS is compared with pure Python
LOOP = ("FMA loop", "float32")
ENGINE = fastmlp.Network([1, 1]).engine  # the one that fastmlp chooses

Key = tuple[str, str]  # the name of a workload, and a kind


def numbers(available: int) -> list[int]:
    """Return the numbers of threads to measure: 1, 2, 3, 4, 6, 8, 12, 16 ... up to the machine's, which comes last."""
    usual = itertools.chain([1], *((2**i, 3 * 2 ** (i - 1)) for i in range(1, available.bit_length())))
    return [n for n in usual if n < available] + [available]


class Steps(Engine):
    """The engine with `epochs` epochs in a call of `fit`; L-BFGS starts each call at the initial parameters."""

    epochs = 1

    def fit(self, x: Any, y: Any, *, shuffle: bool, batch_size: int) -> float:
        if self._optimizer.whole_batch_method:
            self._network.parameters = initial_parameters(self.workload)
        options = {"epochs": self.epochs, "optimizer": self._optimizer, "shuffle": shuffle}
        return float(self._network.fit(x, y, batch_size=batch_size, **options)["loss"][-1])


def verified(workload: Workload, dtype: str, n_threads: Any, x: Array, y: Array) -> Verified:
    """Verify the engine on these threads, and return it; raise UnverifiedError if its results are others."""

    def new(n: Any = n_threads) -> Steps:
        return Steps(workload, ENGINE, dtype, n)

    def trained(n: Any) -> Any:
        one, n_rows = new(n), workload.check_rows
        one.fit(x[:n_rows], y[:n_rows], shuffle=False, batch_size=workload.batch_size)
        return one.parameters

    if optimizer_of(workload).whole_batch_method:  # the oracle is pure Python, which is slow
        check(new(), Reference(workload), workload, x[:REFERENCE_ROWS], y[:REFERENCE_ROWS], workload.batch_size)
        result = Verified(new(), workload)
    else:
        result = verify_new(new, workload, x, y)
    if workload.trains and ENGINE == "native" and not np.array_equal(trained(n_threads), trained(1)):
        raise UnverifiedError(f"{workload}: other parameters on {n_threads} threads than on one")
    return result


def case(workload: Workload, kind: str, dtype: str, n_threads: Any, quick: bool) -> Case:
    """Return the verified case of a workload on these threads."""
    n_rows = min(workload.check_rows, workload.n_rows) if quick else workload.n_rows
    x, y = rows(workload.sizes[0], workload.sizes[-1], workload.labelled, n_rows, dtype)
    one = verified(workload, dtype, n_threads, x, y)
    if steps(workload) > 1:
        one.implementation.epochs = steps(workload)  # type: ignore[attr-defined]
    result = Case.make(one, kind, x, y, quick)
    if not quick:
        result.settle()
    return result


def steps(workload: Workload) -> int:
    """Return the number of epochs that a call of `fit` runs."""
    return STEPS if workload.batch_size >= workload.n_rows else 1


@functools.cache
def rows(n_inputs: int, n_outputs: int, labelled: bool, n_rows: int, dtype: str) -> tuple[Array, Array]:
    """Return the data of all workloads with these numbers, which share them."""
    like = (w for w in ALL.values() if (w.sizes[0], w.sizes[-1], w.labelled) == (n_inputs, n_outputs, labelled))
    return data(next(like), RANDOM, n_rows, dtype)


def cases(counts: list[int], dtype: str, quick: bool) -> dict[Key, dict[Any, Case]]:
    """Return the cases on each number of threads, one of which is 1."""
    wanted: dict[Key, list[Any]] = {key: list(counts) for key in targets.GAINS}
    for name, workload in WORKLOADS.items():
        for kind in kinds(workload):
            wanted.setdefault((name, kind), [1]).append("auto")
    return {
        (name, kind): {n: case(ALL[name], kind, dtype, n, quick) for n in threads}
        for (name, kind), threads in wanted.items()
    }


def gains(
    compared: dict[Key, dict[Any, Case]], loops: dict[int, Loops], n_rounds: int
) -> tuple[dict[tuple[Key, Any], list[float]], dict[tuple[Key, Any], list[float]]]:
    """Measure the gain in each round, one thread's time over the others', for each case and LOOP, by threads.

    Also return the times per row of each case, by threads.
    """
    keys = [(key, n) for key, by_threads in compared.items() for n in by_threads]
    measures = [*(loop.gain for loop in loops.values()), *(compared[key][n].once for key, n in keys)]
    found = rounds.interleaved(measures, n_rounds)
    result: dict[tuple[Key, Any], list[float]] = {
        (LOOP, n): each for n, each in zip(loops, found[: len(loops)], strict=True)
    }
    times = dict(zip(keys, found[len(loops) :], strict=True))
    for key, n in keys:
        if n != 1:
            result[key, n] = [one / other for one, other in zip(times[key, 1], times[key, n], strict=True)]
    return result, times


def judged(gain: float, target: float, loop: float) -> str:
    """Return the verdict on the gain by two threads, given that of the loop."""
    return report.verdict(gain >= target) if loop >= targets.JUDGED_FROM else "not judged"


def what(name: str, kind: str) -> str:
    """Describe what is timed."""
    if name not in ALL or steps(ALL[name]) == 1:
        return kind
    return f"{STEPS} " + ("iterations of L-BFGS" if optimizer_of(ALL[name]).whole_batch_method else "steps of Adam")


def lines(result: dict[tuple[Key, Any], list[float]]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table: the loop's first, then each case's by number of threads, those of "auto" last."""
    loops = {n: float(np.median(values)) for (key, n), values in result.items() if key == LOOP}
    for (key, n), values in sorted(result.items(), key=lambda item: item[0][1] == "auto"):
        lower, gain, upper = np.percentile(values, (25, 50, 75))
        share = target = met = ""
        if n == "auto":
            target, met = f"≥ {1 / SLOWED:.2f}×", report.verdict(gain >= 1 / SLOWED)
        elif key != LOOP:
            share = f"{gain / loops[n]:.2f}"
            if n == 2:
                target, met = f"≥ {targets.GAINS[key]:g}×", judged(gain, targets.GAINS[key], loops[n])
        name, kind = key
        quartiles = (f"{each:.2f}×" for each in (lower, gain, upper))
        yield (str(ALL.get(name, name)), what(name, kind), str(n), *quartiles, share, target, met)


def main() -> int:
    """Verify, measure and print the table."""
    options = report.parser(__doc__, rounds=7).parse_args()
    available = min(len(AVAILABLE), fastmlp.info()["threads"])
    if available < 2 or options.cpu is not None:
        print("threads.py needs two cores, and is not pinned", file=sys.stderr)
        return 1
    print(report.provenance(None, options.dtype, "random data"), flush=True)
    counts = numbers(available)
    loops = {n: Loops(n, wanted=1e-3 if options.quick else 0.05) for n in counts if n > 1}
    compared = cases(counts, options.dtype, options.quick)
    share = rounds.Share()
    result, _ = gains(compared, loops, 1 if options.quick else options.rounds)
    columns = ("workload", "what", "threads", "lower quartile", "gain over one thread", "upper quartile")
    judged_by = f"target (two threads: judged where the loop gains ≥ {targets.JUDGED_FROM}×)"
    text = report.table((*columns, "share of the loop's gain", judged_by, "met"), lines(result), left=3)
    print("", text, "", share, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
