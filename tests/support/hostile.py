"""Helpers for the tests of hostile use: a small network, a consistency check, and code that may crash the process."""

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

def net(*sizes, **kwargs):
    return Network(sizes or [3, 4, 2], seed=0, **kwargs)

def refused(function, *errors):
    try:
        result = function()
    except errors or (ValueError, TypeError, RuntimeError, AttributeError) as error:
        return error
    raise AssertionError(f"not refused: {result!r}")

"""


def crash_test(code: str, head: str = HEAD) -> str:
    """Run the code in a separate process, after HEAD."""
    return run_python(head + textwrap.dedent(code))


def small(**kwargs: Any) -> fastmlp.Network:
    return fastmlp.Network([3, 4, 2], seed=0, **kwargs)


def assert_whole(net: fastmlp.Network) -> None:
    """Check that shapes, parameters and predictions are consistent, and that the network can be trained."""
    shapes = list(itertools.pairwise(net.sizes))
    assert [w.shape for w in net.weights] == [(o, i) for i, o in shapes]
    assert [b.shape for b in net.biases] == [(o,) for _, o in shapes]
    assert net.parameters.shape == (net.n_parameters,) == (sum((i + 1) * o for i, o in shapes),)
    X = np.ones((4, net.sizes[0]))
    assert net.predict(X).shape == (4, net.sizes[-1])
    assert np.array_equal(net.copy().predict(X), net.predict(X))
    assert len(net.fit(X, np.zeros((4, net.sizes[-1])), epochs=2)["loss"]) == 2


class Raises:
    """A number whose conversion raises an exception."""

    def __index__(self) -> int:
        raise ZeroDivisionError("as it pleases")

    __float__ = __index__
