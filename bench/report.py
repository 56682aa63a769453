"""Output of the benchmarks: durations and tables in Markdown for `RESULTS.md`, and common command-line options.

`provenance` describes where figures come from: machine, commit, versions and command. This module measures nothing and
does not depend on workloads.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fastmlp

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "stable-baselines3", "keras", "onnxruntime", "jax")


def duration(seconds: float) -> str:
    """Format seconds with three digits in s, ms or µs."""
    factor, unit = (1.0, "s") if seconds >= 1 else (1e3, "ms") if seconds >= 1e-3 else (1e6, "µs")
    value = seconds * factor
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Format a Markdown table; all columns but the first `left` are aligned right, as numbers."""
    rule = "|---" * left + "|---:" * (len(columns) - left) + "|"
    return "\n".join(("| " + " | ".join(columns) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)))


def verdict(met: bool) -> str:
    """Format whether a target is met."""
    return "yes" if met else "**no**"


def provenance(cpu: int | None, *notes: str) -> str:
    """Describe machine, commit, versions and command as a Markdown list."""
    info = fastmlp.info()
    where = f", pinned to core {cpu}" if cpu is not None else ", not pinned"
    return "\n".join(
        (
            f"- machine: {processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}{where}",
            f"- commit: {commit()}",
            f"- versions: fastmlp {info['version']} (ISA {info['isa']}, BLAS {info['blas']}), Python "
            f"{platform.python_version()}, {', '.join(_versions())}",
            f"- command: `python {shlex.join(sys.argv)}`" + "".join(f", {note}" for note in notes),
        )
    )


def processor() -> str:
    """Return the name of the processor."""
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.exists() else ():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor() or platform.machine()


def _versions() -> Iterable[str]:
    installed = {each.name for each in importlib.metadata.distributions()}
    return (f"{name} {importlib.metadata.version(name)}" for name in PACKAGES if name in installed)


def commit() -> str:
    """Return the commit of the working tree, with a mark if files differ from it."""

    def git(*arguments: str) -> str:
        command = ("git", *arguments)
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = " with changes" if git("status", "--porcelain") else ""
    return (git("rev-parse", "HEAD") or "none") + changed


def pin(cpu: int | None) -> None:
    """Pin this process to a core, unless it is None."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def parser(doc: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return a parser with the common options: --cpu, --dtype, --rounds, --quick."""
    result = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    result.add_argument("--cpu", type=int, help="pin the process to this core")
    result.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    result.add_argument(
        "--rounds", type=int, default=defaults.get("rounds", 15), help="interleaved measurements of each"
    )
    result.add_argument("--quick", action="store_true", help="run everything once on little data, as a check")
    return result
