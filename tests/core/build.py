"""Builds the tests of the C core for a target, and runs them; Python, and that its standard library, builds alone.

    python tests/core/build.py TARGET [argument of the tests ...]

What is compiled, and how, stands in csrc/build.toml; a target is a compiler, flags for all files, and a way to run. CC
replaces the compiler of the targets for this machine. Everything is compiled anew, in build/core/TARGET.
"""

from __future__ import annotations

import concurrent.futures
import os
import platform
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[1]
CSRC = TOP / "csrc"

# The bodies for 64-byte vectors on a processor that has only shorter ones: slow, so with little optimisation.
WIDE = {
    "files": ["kernels_wide_f32", "kernels_wide_f64"],
    "flags": ["-O1", "-mavx2", "-mfma", "-Wno-psabi"],
    "macro": "FML_HAVE_WIDE",
}
DRIVER_FLAGS = ["-std=c11", "-O2", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Target:
    """Flags are for all files and the linker."""

    compiler: str = "cc"
    machine: str = platform.machine().lower()
    flags: tuple[str, ...] = ()
    extra_groups: tuple[dict[str, Any], ...] = ()
    runner: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    thread_arguments: tuple[str, ...] = ()  # of the pool's tests, which are a program of their own
    environment: dict[str, str] = field(default_factory=dict)
    planted: tuple[str, str] | None = None  # the error that the tests commit on demand, and the report to be seen


SANITIZED = ("-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-DFML_SANITIZED")
TARGETS = {
    "native": Target(),
    "base": Target(environment={"FASTMLP_ISA": "base"}),
    "wide": Target(extra_groups=(WIDE,), arguments=("wide",)),
    # Sums that do not fit into scalar registers: GCC does not see that each is set before it is used.
    "plain_c": Target(flags=("-DFML_NO_VECTOR_EXTENSIONS", "-Wno-maybe-uninitialized")),
    "address": Target(
        flags=("-fsanitize=address,undefined", "-O1", *SANITIZED),
        planted=("memory", "AddressSanitizer: heap-buffer-overflow"),
    ),
    "thread": Target(
        flags=("-fsanitize=thread", *SANITIZED),
        runner=("setarch", "-R"),  # addresses that ThreadSanitizer wants for itself must not be given away at random
        arguments=("--quick",),
        planted=("race", "ThreadSanitizer: data race"),
    ),
    "aarch64": Target(
        compiler="aarch64-linux-gnu-gcc",
        machine="aarch64",
        flags=("-static",),
        runner=("qemu-aarch64",),
        arguments=("--quick",),
        thread_arguments=("--no-fork",),  # which the emulator cannot do beside threads
    ),
}


def core_files(target: Target) -> list[tuple[Path, list[str]]]:
    """The C files of the core with the flags of each."""
    core = tomllib.loads((CSRC / "build.toml").read_text(encoding="utf-8"))
    groups = [group for group in core["groups"] if target.machine in group.get("machines", [target.machine])]
    groups += target.extra_groups
    macros = [f"-D{group['macro']}" for group in groups if "macro" in group]
    return [
        (
            (HERE if group in target.extra_groups else CSRC) / f"{name}.c",
            core["flags"] + group.get("flags", []) + macros,
        )
        for group in groups
        for name in group["files"]
    ]


def build(target: Target, folder: Path, programs: dict[str, list[Path]]) -> None:
    """Compiles the core and the sources of the programs, and links each program in the folder."""
    compiler = os.environ.get("CC", target.compiler) if target.compiler == Target.compiler else target.compiler
    folder.mkdir(parents=True, exist_ok=True)
    core = core_files(target)
    commands = {}
    for source, flags in [*core, *((source, DRIVER_FLAGS) for sources in programs.values() for source in sources)]:
        compiled = folder / f"{source.parent.name}_{source.stem}.o"
        words = [compiler, *flags, "-Werror", "-pthread", *target.flags, f"-I{CSRC}", "-c", source, "-o", compiled]
        commands[source] = [str(word) for word in words]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        statuses = pool.map(lambda command: subprocess.run(command, check=False).returncode, commands.values())
        if any(list(statuses)):
            raise SystemExit(f"{folder.name}: does not compile")
    for program, sources in programs.items():
        objects = [commands[source][-1] for source in [*(source for source, _ in core), *sources]]
        subprocess.run([compiler, *target.flags, "-pthread", *objects, "-lm", "-o", folder / program], check=True)


def run(target: Target, program: Path, arguments: list[str]) -> int:
    """The exit status of the tests; where an error can be planted, they pass only if it is found."""
    command = [*target.runner, str(program)]
    environment = {**os.environ, **target.environment}
    if target.planted is not None:
        kind, report = target.planted
        planted = [*command, "--plant-error", kind]
        done = subprocess.run(planted, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0 or report not in done.stderr:
            raise SystemExit(f"the planted error was not found: {kind}")
    return subprocess.run([*command, *arguments], env=environment, check=False).returncode


def main() -> int:
    """Builds and runs the target of the command line."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python tests/core/build.py {'|'.join(TARGETS)} [argument of the tests ...]")
    name, *arguments = sys.argv[1:]
    target = TARGETS[name]
    folder = TOP / "build" / "core" / name
    pool_tests = sorted(HERE.glob("test_*.c"))
    core_tests = sorted(
        path for path in set(HERE.glob("*.c")) - set(pool_tests) if not path.stem.startswith("kernels_")
    )
    build(target, folder, {"thread_tests": pool_tests, "core_tests": core_tests})
    subprocess.run([*target.runner, folder / "thread_tests", *target.thread_arguments], check=True)
    return run(target, folder / "core_tests", arguments or list(target.arguments))


if __name__ == "__main__":
    sys.exit(main())
