"""The multilayer perceptron in pure Python: the specification of fastmlp, and the oracle and baseline of its tests.

It takes and returns nested lists. It needs only the standard library and imports nothing else of fastmlp, so it can be
loaded from its folder alone; it reads objects such as `fastmlp.Sigmoid(2.0)` by their attributes. `functions` and
`losses` have the formulas of the sources (docs/errata.md names them), `model` applies them to one sample after another,
`network` trains, `metrics` and `history` measure and record a fit, and `checks` checks the users' arguments. Imports go
network -> model -> history -> checks -> metrics -> losses -> functions.
"""

from __future__ import annotations

from . import functions, losses
from .checks import Choice
from .functions import SplitMix64
from .history import History
from .network import Network

__all__ = ["Choice", "History", "Network", "SplitMix64", "functions", "losses"]
