"""Damaged files for tests of importers: bits turned over, bytes in other places, files cut off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def damaged(
    good: bytes, count: int, alphabet: bytes = b'0123456789[]{},:."-e<>/_ \n', seed: int = 0
) -> Iterator[bytes]:
    """Yield `count` damaged versions of a file, the same ones each time."""
    rng = np.random.default_rng(seed)
    for trial in range(count):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(bad)))
            _damage(bad, at, trial % 4, rng, alphabet)
            bad = bad or bytearray(b"\0")
        yield bytes(bad)


def _damage(bad: bytearray, at: int, kind: int, rng: Any, alphabet: bytes) -> None:
    n = int(rng.integers(1, 9))
    if kind == 0:
        bad[at] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        bad[at : at + n] = rng.choice(list(alphabet), 3).tolist()
    elif kind == 2:
        del bad[at:]
    else:
        other = int(rng.integers(len(bad)))
        bad[at : at + n] = bad[other : other + n]
