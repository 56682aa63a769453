"""Build the tests of the C core for a target and run them, with nothing but Python's standard library and a compiler.

    python tests/core/build.py TARGET [argument of the tests ...]

csrc/build.toml lists the files of the core and their flags. A target is a compiler, flags for all files, and a way to
run programs; the environment variable CC replaces the compiler of targets for this machine. All files are compiled
anew, to build/core/TARGET.
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

# The kernels for 64-byte vectors, for a processor with shorter ones. They are compiled with little optimisation, as
# their compilation is slow.
WIDE = {
    "files": ["kernels_wide_f32", "kernels_wide_f64"],
    "flags": ["-O1", "-mavx2", "-mfma", "-Wno-psabi"],
    "macro": "FML_HAVE_WIDE",
}
DRIVER_FLAGS = ["-std=c11", "-O2", "-D_POSIX_C_SOURCE=200809L", "-Wall", "-Wextra"]


@dataclass(frozen=True)
class Target:
    """A compiler, flags for all files and the linker, and how to run a program."""

    compiler: str = "cc"
    machine: str = platform.machine().lower()
    flags: tuple[str, ...] = ()
    extra_groups: tuple[dict[str, Any], ...] = ()
    runner: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    thread_arguments: tuple[str, ...] = ()  # of thread_tests, the program with the tests of the thread pool
    environment: dict[str, str] = field(default_factory=dict)
    planted: tuple[str, str] | None = None  # argument of --plant-error, and what the sanitizer then must report


SANITIZED = ("-g1", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-DFML_SANITIZED")
TARGETS = {
    "native": Target(),
    "base": Target(environment={"FASTMLP_ISA": "base"}),
    "wide": Target(extra_groups=(WIDE,), arguments=("wide",)),
    # GCC warns of accumulators in scalars, as it does not see that each is set before it is used.
    "plain_c": Target(flags=("-DFML_NO_VECTOR_EXTENSIONS", "-Wno-maybe-uninitialized")),
    "address": Target(
        flags=("-fsanitize=address,undefined", "-O1", *SANITIZED),
        planted=("memory", "AddressSanitizer: heap-buffer-overflow"),
    ),
    "thread": Target(
        flags=("-fsanitize=thread", *SANITIZED),
        runner=("setarch", "-R"),  # no address space randomisation, as ThreadSanitizer needs some addresses itself
        arguments=("--quick",),
        planted=("race", "ThreadSanitizer: data race"),
    ),
    "aarch64": Target(
        compiler="aarch64-linux-gnu-gcc",
        machine="aarch64",
        flags=("-static",),
        runner=("qemu-aarch64",),
        arguments=("--quick",),
        thread_arguments=("--no-fork",),  # as the emulator does not support forks of processes with threads
    ),
}


def core_files(target: Target) -> list[tuple[Path, list[str]]]:
    """Return the C files of the core with the flags of each."""
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


def build(target: Target, folder: Path, programs: dict[str, list[Path]], link: tuple[str, ...] = ()) -> None:
    """Compile the core and the sources of the programs, and link each program in the folder, with these flags, too."""
    compiler = os.environ.get("CC", target.compiler) if target.compiler == Target.compiler else target.compiler
    folder.mkdir(parents=True, exist_ok=True)
    core = core_files(target)
    commands = {}
    for source, flags in [*core, *((source, DRIVER_FLAGS) for sources in programs.values() for source in sources)]:
        compiled = folder / f"{source.parent.name}_{source.stem}.o"
        command = [compiler, *flags, "-Werror", "-pthread", *target.flags, f"-I{CSRC}", "-c", source, "-o", compiled]
        commands[source] = [str(argument) for argument in command]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        statuses = pool.map(lambda command: subprocess.run(command, check=False).returncode, commands.values())
        if any(list(statuses)):
            raise SystemExit(f"{folder.name}: does not compile")
    for program, sources in programs.items():
        objects = [commands[source][-1] for source in [*(source for source, _ in core), *sources]]
        subprocess.run(
            [compiler, *target.flags, *link, "-pthread", *objects, "-lm", "-o", folder / program], check=True
        )


def run(target: Target, program: Path, arguments: list[str]) -> int:
    """Run the tests and return their exit status; exit if the target's sanitizer does not report a planted error."""
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
    """Build and run the target that the command line names."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python tests/core/build.py {'|'.join(TARGETS)} [argument of the tests ...]")
    name, *arguments = sys.argv[1:]
    target = TARGETS[name]
    folder = TOP / "build" / "core" / name
    pool_tests = sorted(HERE.glob("test_*.c"))
    core_tests = sorted(
        path for path in set(HERE.glob("*.c")) - set(pool_tests) if not path.stem.startswith(("kernels_", "fuzz_"))
    )
    build(target, folder, {"thread_tests": pool_tests, "core_tests": core_tests})
    subprocess.run([*target.runner, folder / "thread_tests", *target.thread_arguments], check=True)
    return run(target, folder / "core_tests", arguments or list(target.arguments))


if __name__ == "__main__":
    sys.exit(main())
