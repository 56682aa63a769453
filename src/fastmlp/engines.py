"""Checks of the arguments of `Network` and `load` that depend on the machine: the engine and the number of threads."""

from __future__ import annotations

from . import arguments

ENGINES = ("auto", "blas", "native")
WITHOUT_FMA = ("base",)  # the instruction sets that have no fused multiply-add


def choose(engine: object, isa: str) -> tuple[str, str]:
    """Return the engine that computes the layers, and the reason for the choice, which `Network.summary` shows.

    An engine other than "auto" is taken as it is.
    """
    name = arguments.name("engine", engine, ENGINES)
    if name != "auto":
        return name, "chosen by the caller"
    if isa in WITHOUT_FMA:
        return "blas", f"the instruction set {isa} has no fused multiply-add, which the native engine needs"
    return "native", f"the instruction set {isa} has fused multiply-add"


def check_threads(n_threads: object) -> int | str:
    """Return the argument `n_threads`: "auto", or an integer of at least 1."""
    if isinstance(n_threads, str) and n_threads == "auto":
        return n_threads
    return arguments.integer("n_threads", n_threads, minimum=1)
