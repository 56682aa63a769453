"""The table of the methods that minimise the loss over all rows, an iteration at a time."""

from __future__ import annotations

from . import lbfgs
from .functions import Entry

MINIMIZERS = {
    "lbfgs": Entry(
        lbfgs.Minimizer,
        fields={"memory": 10, "gradient_tolerance": 1e-5, "loss_tolerance": 2.22e-9, "max_evaluations": 20},
    ),
}
FULL_BATCH = ("rprop", *MINIMIZERS)  # optimisers that need all rows in every step
