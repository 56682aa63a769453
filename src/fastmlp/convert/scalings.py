"""The scalings of a network that is to be written for another tool: `learnt`, which every writer calls first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..network import Network
    from ..scaling import Scaling


def learnt(net: Network, tool: str) -> tuple[Scaling | None, Scaling | None]:
    """Return a network's input scaling and its target scaling.

    Raises
    ------
    ValueError
        If a fit has still to compute one of them, or if the network has an encoder, which no other tool has.
    """
    if net.encoder is not None:
        raise ValueError(
            f"encoder: expected a network without one, as {tool} has rows of numbers only; encode the rows and train a "
            "network on them"
        )
    found: list[Scaling | None] = []
    for name, scaling in (("input_scaling", net.input_scaling), ("target_scaling", net.target_scaling)):
        if isinstance(scaling, str):
            raise ValueError(f"{name}: expected one that a fit has computed, got {scaling!r}; fit the network")
        found.append(scaling)
    return found[0], found[1]
