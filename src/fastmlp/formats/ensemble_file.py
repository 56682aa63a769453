"""The file of an ensemble: the networks, and nothing beside them; archives.py has the layout."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import format_error
from . import archives, atomic
from .atomic import Path
from .model_file import ModelFile, Saveable

KIND = archives.Kind(
    manifest="fastmlp-ensemble.json",
    version=1,
    max_bytes=1000,
    expected="the file of an ensemble, which Ensemble.save has written",
    advice="fastmlp.load reads the file of a network",
)


def to_bytes(networks: Sequence[Saveable]) -> bytes:
    """Return the file of these networks."""
    return archives.to_bytes(KIND, networks)


def read(path: Path) -> list[ModelFile]:
    """Read the file of an ensemble and check it; errors are those of `archives.read`."""
    networks, others = archives.read(KIND, path)
    if others:
        raise format_error(f"{atomic.name_of(path)}: {KIND.manifest}", "the version and the number of networks", others)
    return networks
