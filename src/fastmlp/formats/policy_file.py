"""The file of a policy: its network, and a description of the actions, as policy.py makes and checks it.

archives.py has the layout. The description is the field `policy` of the first member.
"""

from __future__ import annotations

from typing import Any

from ..errors import format_error
from . import archives, atomic
from .atomic import Path
from .model_file import ModelFile, Saveable
from .safetensors import as_dict

KIND = archives.Kind(
    manifest="fastmlp-policy.json",
    version=1,
    max_bytes=2**24,
    expected="the file of a policy, which Policy.save has written",
    advice="fastmlp.load reads the file of a network, fastmlp.from_stable_baselines3 one of stable-baselines3",
)


def to_bytes(network: Saveable, description: dict[str, Any]) -> bytes:
    """Return the file of a policy."""
    return archives.to_bytes(KIND, [network], {"policy": description})


def read(path: Path) -> tuple[ModelFile, dict[str, Any]]:
    """Return the network and the description in a file; errors are those of `archives.read`."""
    networks, others = archives.read(KIND, path)
    what = f"{atomic.name_of(path)}: {KIND.manifest}"
    if len(networks) != 1 or list(others) != ["policy"]:
        raise format_error(what, "one network and the description of a policy", [len(networks), *others])
    return networks[0], as_dict(f"{what}: policy", others["policy"])
