"""What the tests of hostile use share: a small network, the check that one is whole, code that may crash."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import numpy as np

import fastmlp
from processes import run_python

ONES = np.ones((4, 3), np.float32)

HEAD = """
import collections.abc, dataclasses, threading
import numpy as np
import fastmlp
from fastmlp import Network

def net(*sizes, **words):
    return Network(sizes or [3, 4, 2], seed=0, **words)

def refused(function, *errors):
    try:
        result = function()
    except errors or (ValueError, TypeError, RuntimeError, AttributeError) as error:
        return error
    raise AssertionError(f"not refused: {result!r}")

"""


def crash_test(code: str, head: str = HEAD) -> str:
    """Runs the code in a process of its own, after HEAD."""
    return run_python(head + textwrap.dedent(code))


def small(**words: Any) -> fastmlp.Network:
    return fastmlp.Network([3, 4, 2], seed=0, **words)


def assert_whole(net: fastmlp.Network) -> None:
    """Shapes, parameters, predictions and training agree with one another."""
    shapes = list(itertools.pairwise(net.sizes))
    assert [w.shape for w in net.weights] == [(o, i) for i, o in shapes]
    assert [b.shape for b in net.biases] == [(o,) for _, o in shapes]
    assert net.parameters.shape == (net.n_parameters,) == (sum((i + 1) * o for i, o in shapes),)
    X = np.ones((4, net.sizes[0]))
    assert net.predict(X).shape == (4, net.sizes[-1])
    assert np.array_equal(net.copy().predict(X), net.predict(X))
    assert len(net.fit(X, np.zeros((4, net.sizes[-1])), epochs=2)["loss"]) == 2


class Raises:
    """A number that raises."""

    def __index__(self) -> int:
        raise ZeroDivisionError("as it pleases")

    __float__ = __index__
