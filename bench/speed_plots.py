"""Draws the plots of `docs/speed.md`, from numbers that are stored, and prints the tables of that page.

    python bench/speed_plots.py [--folder docs/plots] [--gains FILE]

The gains by a second thread are those that `thread_sweep.py --write FILE` has measured, by default those in
thread_sweep.json. The figures of a GPU, EPOCHS and MANY, are of one server with sixteen AVX-512 cores and an NVIDIA
H200 and of an earlier build of fastmlp; they have not been repeated since. `gpu.py` measures such figures where there
is a GPU. Nothing is timed here. The extra `bench` installs matplotlib.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import report
from matplotlib.figure import Figure
from thread_sweep import Gain, stored, table
from timing import EPOCH, ROWS
from workloads import WORKLOADS

TOP = Path(__file__).parents[1]
TITLES = {ROWS: "rows predicted at once", EPOCH: "an epoch by Adam"}
COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7")  # Okabe and Ito's
STYLE = {"svg.hashsalt": "fastmlp", "svg.fonttype": "none", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3}


class Epoch(NamedTuple):
    """Seconds of an epoch of a workload: fastmlp on so many cores, and ways of a GPU; None was not measured."""

    workload: str
    n_cores: int
    fastmlp: float
    jax_scan: float
    cuda_graphs: float | None = None
    eager: float | None = None


class Networks(NamedTuple):
    """Seconds of an epoch of so many networks of T4: fastmlp on so many cores, and the GPU."""

    n_networks: int
    n_cores: int
    fastmlp: float
    gpu: float


EPOCHS = (
    Epoch("T1", 1, 62e-3, 97e-3, 257e-3, 5.0),
    Epoch("T2", 4, 180e-3, 26e-3),
    Epoch("T3", 8, 0.54, 24e-3),
    Epoch("T4", 1, 1.55e-3, 7.5e-3, 26e-3, 0.45),
)
MANY = (Networks(1, 1, 1.55e-3, 7.5e-3), Networks(100, 16, 16e-3, 10e-3), Networks(1000, 16, 164e-3, 18e-3))
WAYS = {
    "fastmlp": "fastmlp, CPU cores as stated",
    "jax_scan": "GPU, JAX, scanned epoch",
    "cuda_graphs": "GPU, PyTorch, CUDA graphs",
    "eager": "GPU, PyTorch, eager",
}


def cores(n: int) -> str:
    """Format a number of cores."""
    return f"{n} core{'s' * (n > 1)}"


def threads_figure(gains: Sequence[Gain]) -> Figure:
    """Draw the gains over the multiply-adds of a call or a step, a line for each width."""
    figure = Figure(figsize=(8.5, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for panel, (kind, title) in zip(axes, TITLES.items(), strict=True):
        panel.axhline(1, color="gray", linewidth=0.8)
        for width, colour in zip(sorted({one.width for one in gains}), COLOURS, strict=False):
            mine = sorted((one for one in gains if (one.kind, one.width) == (kind, width)), key=lambda one: one.work)
            medians = [one.median for one in mine]
            errors = [[one.median - one.lower for one in mine], [one.upper - one.median for one in mine]]
            works = [one.work for one in mine]
            panel.errorbar(works, medians, errors, color=colour, marker="o", markersize=3, label=f"w = {width}")
        panel.set(xscale="log", title=title, xlabel=f"multiply-adds of a {'call' if kind == ROWS else 'step'}")
    axes[0].set(ylabel="one thread's time over two threads'")
    axes[1].legend(title="w-w-w-10")
    return figure


def epochs_figure() -> Figure:
    """Draw the times of an epoch, a group for each workload."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    axes = figure.subplots()
    for (field, label), colour, marker in zip(WAYS.items(), COLOURS[:1] + COLOURS[3:], "osD^", strict=False):
        points = [(i, getattr(one, field)) for i, one in enumerate(EPOCHS) if getattr(one, field) is not None]
        axes.plot(*zip(*points, strict=True), marker, color=colour, label=label)
    names = [f"{str(WORKLOADS[one.workload]).replace(' ', chr(10), 1)}\n{cores(one.n_cores)}" for one in EPOCHS]
    axes.set_xticks(range(len(EPOCHS)), names)
    axes.set(yscale="log", ylabel="seconds for an epoch", xlim=(-0.5, len(EPOCHS) - 0.5))
    axes.legend(fontsize=8)
    return figure


def many_figure() -> Figure:
    """Draw the times of an epoch of many networks over their number."""
    figure = Figure(figsize=(5.5, 3.4), layout="constrained")
    axes = figure.subplots()
    numbers = [one.n_networks for one in MANY]
    axes.plot(numbers, [one.fastmlp for one in MANY], "o-", color=COLOURS[0], label="fastmlp, CPU cores as stated")
    axes.plot(numbers, [one.gpu for one in MANY], "s-", color=COLOURS[3], label="GPU")
    for one in MANY:
        place = {"textcoords": "offset points", "xytext": (-6, 5), "ha": "right", "fontsize": 8}
        axes.annotate(cores(one.n_cores), (one.n_networks, one.fastmlp), **place)
    axes.set(xscale="log", yscale="log", xlabel="networks side by side", ylabel="seconds for an epoch of all")
    axes.margins(0.15)
    axes.legend(loc="lower right")
    return figure


def epochs_table() -> str:
    """Format the times of an epoch."""
    columns = ("an epoch of", "cores", "fastmlp", *list(WAYS.values())[1:])

    def cell(seconds: float | None) -> str:
        return "" if seconds is None else report.duration(seconds)

    rows = [(str(WORKLOADS[one.workload]), str(one.n_cores), *map(cell, one[2:])) for one in EPOCHS]
    return report.table(columns, rows)


def many_table() -> str:
    """Format the times of an epoch of many networks."""
    rows = [(f"{one[0]:,}", str(one.n_cores), *map(report.duration, one[2:])) for one in MANY]
    return report.table(("networks of T4, side by side", "cores", "fastmlp", "GPU"), rows)


def main() -> int:
    """Draw the plots and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=TOP / "docs" / "plots", help="where the plots are written")
    parser.add_argument("--gains", type=Path, metavar="FILE", default=TOP / "bench" / "thread_sweep.json")
    options = parser.parse_args()
    source, gains = stored(options.gains)
    plots: dict[str, Callable[[], Figure]] = {
        "speed_threads": functools.partial(threads_figure, gains),
        "speed_epochs": epochs_figure,
        "speed_many": many_figure,
    }
    tables = [*source["source"], *(table(gains, kind) for kind in TITLES), epochs_table(), many_table()]
    options.folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for name, draw in plots.items():
            draw().savefig(options.folder / f"{name}.svg", metadata={"Date": None})
    print(*tables, sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
