"""The multilayer perceptron in pure Python: the specification, the oracle and the baseline of fastmlp.

It takes and returns nested lists, needs nothing but the standard library and imports nothing of the package around
it, so that it can be loaded from its folder alone; objects such as `fastmlp.Sigmoid(2.0)` are read by their
attributes. To be read beside the sources: `functions` and `losses` have the formulas, `model` applies them to one
sample after another, `network` trains, `metrics` and `history` say how a fit goes, `checks` stands between the network
and its users. Imports go network -> model -> history -> checks -> metrics -> losses -> functions.
"""

from __future__ import annotations

from . import functions, losses
from .checks import Choice
from .functions import SplitMix64
from .history import History
from .network import Network

__all__ = ["Choice", "History", "Network", "SplitMix64", "functions", "losses"]
