"""Measures many small networks at once: an epoch of all of them, and predictions with the parameters of all of them.

    python bench/populations.py [--networks 64 1000] [--epochs 5] [--rounds N] [--dtype float64] [--quick]

The networks are T4's, 10-32-32-1, on its data. `fit_many`, a pool of Python threads around `fit`, and the peers
(`peers.MANY`) train all networks for an epoch, on one thread and on all cores; `predict_population` and the peers
predict 32 rows that all networks share. Rounds are interleaved, a ratio is the median of the ratios within a round, and
the peers are compared with fastmlp on the same number of threads. The efficiency is K times the epoch of one network
alone, over the number of threads times the epoch of K networks; beside it is that of a loop of multiply-adds, which is
what the cores of the machine give. With more than one epoch in a call, only the ways of fastmlp are measured. The
process is not pinned.

Nothing is timed before it is verified. The networks of fastmlp have, bit for bit, the parameters that each gets by its
own `fit` and the outputs of its own `predict`; these agree with the oracle (`verification.py`). The losses and the
changes of parameters of peers, with the same orders of the rows, agree with those of each network's `fit` within
`verification.STEP` after two and a half batches, the losses of the data that are timed within LOSS; outputs within
`verification.output_tolerance`.

Peers get their orders of rows as inputs that are made before anything is timed, fastmlp and scikit-learn shuffle
within. Compiling is not timed either. A way that takes long is measured on PARTS of the networks or rows, as its row in
the table says, and its time is scaled.
"""

from __future__ import annotations

import one_thread

if __name__ == "__main__":
    one_thread.ensure()

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import peers
import population_memory
import report
import rounds
from calibrate import AVAILABLE, Loops
from face import Array
from many_networks import Alone, FitMany, Many, Pool
from verification import STEP, UnverifiedError, output_tolerance, verify
from workloads import RANDOM, WORKLOADS, data, initial_parameters

import fastmlp

WORKLOAD = WORKLOADS["T4"]
SHARED_ROWS = 32
LOSS = {"float32": 1e-3, "float64": 1e-6}  # relative, of the losses of the epoch that is timed
OWN, POOL, ALONE = "fastmlp.fit_many", "a pool of threads around fit", "one network alone, × K"
POPULATION, LOOP = "fastmlp.predict_population", "a Python loop of predict"
SECONDS = 0.02  # at least, of a measurement


class Part(NamedTuple):
    """The part of the work that a way is measured on: so many networks, or so many rows; None is all."""

    n_networks: int | None = None
    n_rows: int | None = None


# By way and number of networks; a way that is None there is not measured at all.
PARTS: dict[tuple[str, int], Part | None] = {
    ("torch.func vmap", 1000): Part(n_rows=1280),
    ("scikit-learn, joblib threading", 64): Part(n_networks=16),
    ("scikit-learn, joblib loky", 64): Part(n_networks=16),
    ("scikit-learn, joblib threading", 1000): None,
    ("scikit-learn, joblib loky", 1000): None,
}


@dataclass
class Way:
    """A verified way to do the work of K networks: the function that is timed, and what its time is multiplied by."""

    name: str
    n_threads: int
    run: Callable[[], Any]
    scale: float = 1.0
    note: str = ""
    calls: int = 1

    def settle(self) -> None:
        """Set `calls` so that a measurement takes long enough."""
        self.calls = rounds.repeats(self._repeat, SECONDS)

    def _repeat(self, n: int) -> None:
        for _ in range(n):
            self.run()

    def once(self) -> float:
        """Return the seconds for all networks, from one measurement."""
        return rounds.seconds(lambda: self._repeat(self.calls)) / self.calls * self.scale


def stacked(n_networks: int) -> Array:
    """Return initial parameters of each network, shape (K, n_parameters)."""
    return np.array([initial_parameters(WORKLOAD, seed) for seed in range(n_networks)])


def orders_of(n_networks: int, n_rows: int) -> Array:
    """Return an order of the rows for each network."""
    generator = np.random.default_rng(0)
    return np.array([generator.permutation(n_rows) for _ in range(n_networks)])


def compare(who: str, got: Array, expected: Array, tolerance: float, axis: int | None = None) -> None:
    """Raise UnverifiedError unless values agree: in the norm over `axis` (None: over all), relative to the expected."""
    got, expected = np.asarray(got, "float64"), np.asarray(expected, "float64")
    if got.shape != expected.shape:
        raise UnverifiedError(f"{who}: expected shape {expected.shape}, got {got.shape}")
    off = np.linalg.norm((got - expected).ravel() if axis is None else got - expected, axis=axis)
    size = np.linalg.norm(expected.ravel() if axis is None else expected, axis=axis)
    if not (np.all(size > 0) and np.all(off <= tolerance * size)):  # NaN fails, too
        raise UnverifiedError(f"{who}: off by {np.max(off / size):.3g} of the expected, allowed {tolerance:.1e}")


def verified_epoch(
    name: str, make: type[Many], P: Array, x: Array, y: Array, dtype: str, n_threads: int, n_epochs: int = 1
) -> Callable[[], Array]:
    """Verify a way to train, and return the function that trains for n_epochs epochs, which has run for one.

    Ways of others train for one epoch in any case.
    """
    own, (n_networks, n_rows) = issubclass(make, (FitMany, Pool, Alone)), (len(P), len(x))
    few = min(WORKLOAD.check_rows, n_rows)
    one = make(WORKLOAD, P, dtype, n_threads)
    oracle = Alone(one.workload, P, dtype, 1)
    orders = orders_of(n_networks, few)
    losses, expected = (each.epoch(x[:few], y[:few], orders)() for each in (one, oracle))
    if own:
        _same(f"{name}, in given order", losses, expected, one, oracle)
    else:
        compare(f"{name}, losses", losses[:, None], expected[:, None], STEP[dtype], axis=1)
        compare(f"{name}, change of parameters", one.parameters - P, oracle.parameters - P, STEP[dtype])
    one, oracle = make(WORKLOAD, P, dtype, n_threads), Alone(one.workload, P, dtype, 1)
    given = None if own else orders_of(n_networks, n_rows)
    run, expected = one.epoch(x, y, given), oracle.epoch(x, y, given)()
    losses = run()
    if own:
        _same(name, losses, expected, one, oracle)
        one.n_epochs = n_epochs  # type: ignore[attr-defined]
    else:
        compare(f"{name}, losses of {n_rows} rows", losses[:, None], expected[:, None], LOSS[dtype], axis=1)
    return one.epoch(x, y, None) if one.shuffles and not own else run


def _same(who: str, losses: Array, expected: Array, one: Many, oracle: Many) -> None:
    """Raise UnverifiedError unless losses and parameters of all networks are the same, bit for bit."""
    if not (np.array_equal(losses, expected) and np.array_equal(one.parameters, oracle.parameters)):
        raise UnverifiedError(f"{who}: other losses or parameters than by each network's own fit")


def cores() -> int:
    """Return the number of cores that this process may use."""
    return min(len(AVAILABLE), int(fastmlp.info()["threads"]))


def threads() -> list[int]:
    """Return the numbers of threads to measure: one, and all cores."""
    return sorted({1, cores()})


def training(n_networks: int, dtype: str, n_rows: int, n_epochs: int = 1) -> list[Way]:
    """Return the verified ways to train K networks for that many epochs."""
    P, (x, y) = stacked(n_networks), data(WORKLOAD, RANDOM, n_rows, dtype)
    alone = verified_epoch(ALONE, Alone, P[:1], x, y, dtype, 1, n_epochs)
    result = [Way(ALONE, 1, alone, scale=n_networks)]
    wanted: list[tuple[str, type[Many], int]] = [(OWN, FitMany, n) for n in threads()]
    wanted += [(POOL, Pool, n) for n in threads() if n > 1]
    if n_epochs == 1:
        wanted += [(name, make, n) for name, make in peers.many().items() for n in threads() if n > 1 or make.predicts]
    for name, make, n in wanted:
        part = PARTS.get((name, n_networks), Part())
        if part is None:
            continue
        start = time.perf_counter()
        k, rows = part.n_networks or n_networks, min(part.n_rows or n_rows, n_rows)
        run = verified_epoch(name, make, P[:k], x[:rows], y[:rows], dtype, n, n_epochs)
        result.append(Way(name, n, run, n_networks / k * n_rows / rows, _note(part)))
        _progress(f"{n_networks:,} networks, {name}, {n} threads: verified", start)
    return result


def _note(part: Part) -> str:
    """Describe the part that is measured."""
    if part.n_networks:
        return f" (from {part.n_networks} networks)"
    return f" (from {part.n_rows:,} rows)" if part.n_rows else ""


def predicting(n_networks: int, dtype: str) -> list[Way]:
    """Return the verified ways to predict with the parameters of K networks."""
    P, (x, _) = stacked(n_networks), data(WORKLOAD, RANDOM, SHARED_ROWS, dtype)
    loop = Alone(WORKLOAD, P[:1], dtype, 1)
    loop.P = np.ascontiguousarray(P, dtype)
    expected = loop.predictor(x)()
    result = [Way(LOOP, 1, loop.predictor(x))]
    wanted: list[tuple[str, type[Many], int]] = [(POPULATION, FitMany, n) for n in threads()]
    wanted += [(name, make, n) for name, make in peers.many().items() for n in threads() if make.predicts]
    for name, make, n in wanted:
        start = time.perf_counter()
        run = make(WORKLOAD, P, dtype, n).predictor(x)
        if make is FitMany and not np.array_equal(run(), expected):
            raise UnverifiedError(f"{name}: other outputs than each network's own")
        largest = np.abs(expected).max()
        off = np.abs(np.asarray(run(), "float64") - expected).max()
        if not off <= output_tolerance(WORKLOAD, dtype) * largest:
            raise UnverifiedError(f"{name}: outputs are off by {off:.3g} of {largest:.3g}")
        result.append(Way(name, n, run))
        _progress(f"{n_networks:,} networks, predictions by {name}, {n} threads: verified", start)
    return result


def _progress(what: str, start: float) -> None:
    print(f"{what} in {report.duration(time.perf_counter() - start)}", file=sys.stderr, flush=True)


def measured(ways: Sequence[Way], n_rounds: int) -> tuple[list[Array], Array]:
    """Measure in interleaved rounds; return the times of each way, and the gains of the loop of multiply-adds."""
    loop = Loops(cores()) if cores() > 1 else None
    measures = [way.once for way in ways] + [loop.gain if loop else lambda: 1.0]
    *times, gains = (np.array(each) for each in rounds.interleaved(measures, n_rounds))
    return times, gains


def lines(
    ways: Sequence[Way], times: Sequence[Array], own: str, what: str, alone: str | None, gains: Array
) -> Iterator[tuple[str, ...]]:
    """Yield a row of the table for each way; `alone` is the way that efficiencies refer to, if there are any."""
    by_key = {(way.name, way.n_threads): each for way, each in zip(ways, times, strict=True)}
    for way, each in zip(ways, times, strict=True):
        quartiles = map(report.duration, np.percentile(each, (25, 50, 75)))
        efficiency = ""
        if alone and way.name in (OWN, POOL):
            efficiency = f"{np.median(by_key[alone, 1] / each) / way.n_threads:.0%}"
        ratio = np.median(each / by_key[own, way.n_threads])
        yield (what, way.name + way.note, str(way.n_threads), *quartiles, efficiency, f"{ratio:.2f}×")
    if alone and cores() > 1:
        yield (what, "FMA loop", str(cores()), "", "", "", f"{np.median(gains) / cores():.0%}", "")


def section(ways: Sequence[Way], own: str, what: str, alone: str | None, n_rounds: int, quick: bool) -> str:
    """Measure the ways; return their table."""
    if not quick:
        for way in ways:
            way.settle()
    times, gains = measured(ways, n_rounds)
    columns = ("networks", "way", "threads", "lower quartile", "median", "upper quartile", "efficiency")
    found = lines(ways, times, own, what, alone, gains)
    return report.table((*columns, f"its time over {own}'s on as many threads"), found, left=2)


def main() -> int:
    """Verify, measure and print the tables."""
    parser = report.parser(__doc__, rounds=7)
    parser.add_argument("--networks", type=int, nargs="+", default=[64, 1000], help="numbers of networks")
    parser.add_argument("--epochs", type=int, default=1, help="the number of epochs of a call")
    options = parser.parse_args()
    if options.cpu is not None:
        parser.error("--cpu: populations.py uses all cores, and is not pinned")
    dtype, quick, n_rounds = options.dtype, options.quick, 1 if options.quick else options.rounds
    print(report.provenance(None, dtype, f"rounds: {n_rounds}"), flush=True)
    n_rows = WORKLOAD.check_rows if quick else WORKLOAD.n_rows
    verify(f"fastmlp {fastmlp.Network([1, 1]).engine}", WORKLOAD, *data(WORKLOAD, RANDOM, n_rows, dtype), dtype)
    share = rounds.Share()
    for n_networks in [4] if quick else options.networks:
        what = "An epoch" if options.epochs == 1 else f"{options.epochs} epochs"
        print("", f"### {what} of {n_networks:,} networks, {WORKLOAD}", sep="\n", flush=True)
        ways = training(n_networks, dtype, n_rows, options.epochs)
        print("", section(ways, OWN, f"{n_networks:,}", ALONE, n_rounds, quick), sep="\n", flush=True)
    if options.epochs > 1:
        print("", share, sep="\n")
        return 0
    n_networks = 6 if quick else 1000
    print("", f"### {SHARED_ROWS} shared rows predicted by {n_networks:,} networks, {WORKLOAD}", sep="\n", flush=True)
    ways = predicting(n_networks, dtype)
    print("", section(ways, POPULATION, f"{n_networks:,}", None, n_rounds, quick), "", share, sep="\n", flush=True)
    found = population_memory.lines(20 if quick else 1000, threads(), n_rows, dtype)
    print("", "### Peak memory", "", report.table(population_memory.COLUMNS, found), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
