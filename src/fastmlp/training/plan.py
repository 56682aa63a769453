"""The class FitPlan: the checked arguments of `Network.fit` apart from the data and the optimiser.

The arguments are listed three times: in the signatures of `Network.fit` and `fit_many`, with their defaults, and as the
fields of FitPlan, which are checked when a plan is made; tests/test_signatures.py compares the lists. To add an
argument, add it to all of them, its check to `__post_init__`, and its test to the table in per_network.py. Weights of
rows are checked together with the rows, in inputs/row_weights.py.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .. import metrics, regularization
from ..arguments import flag, integer, real
from ..callbacks import Checkpoint
from ..callbacks import check as check_callbacks
from ..formats import atomic
from ..frozen import frozen

AUTO = "auto"  # the value of `resume` that stands for the file of the Checkpoint among the callbacks, if it exists


class Default(int):
    """A default value that can be distinguished from an equal number passed by the caller."""


DEFAULT_BATCH_SIZE = Default(32)


@frozen(kw_only=True, eq=False)
class FitPlan:
    """The checked arguments of a fit; see `Network.fit`."""

    epochs: int
    batch_size: int | None
    shuffle: bool | str
    validation_split: float | None
    metrics: Sequence[metrics.Metric]
    callbacks: Sequence[Any]
    max_time: float | None
    resume: atomic.Path | None
    verbose: int
    sample_weight: object
    class_weight: object
    regularization: regularization.Regularization | None

    def __post_init__(self) -> None:
        is_order = isinstance(self.shuffle, str) and self.shuffle in ("blocks", "rows")
        checked = {
            "callbacks": check_callbacks(self.callbacks),
            "resume": check_resume(self.resume, check_callbacks(self.callbacks)),
            "validation_split": _real_or_none(self.validation_split, "validation_split", above=0.0, below=1.0),
            "epochs": integer("epochs", self.epochs, minimum=1),
            "batch_size": check_batch_size(self.batch_size),
            "shuffle": self.shuffle if is_order else flag("shuffle", self.shuffle),
            "metrics": metrics.resolve(self.metrics),
            "max_time": _real_or_none(self.max_time, "max_time", above=0.0),
            "verbose": integer(
                "verbose", int(self.verbose) if isinstance(self.verbose, bool) else self.verbose, minimum=0
            ),
            "regularization": regularization.resolve(self.regularization),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def _real_or_none(value: object, argument: str, above: float, below: float | None = None) -> float | None:
    """Return None for None, else the value as a float within the bounds."""
    return None if value is None else real(argument, value, above=above, below=below)


def check_batch_size(batch_size: object) -> int | None:
    """Return the batch size: None, or an integer of at least 1."""
    if batch_size is None or batch_size is DEFAULT_BATCH_SIZE:
        return batch_size
    return integer("batch_size", batch_size, minimum=1)


def check_resume(resume: Any, callbacks: Sequence[Any]) -> Any:
    """Return `resume`: None, a path, or "auto", which needs Checkpoint callbacks that all write to the same file."""
    if resume is not None:
        atomic.name_of(resume, "resume")
    files = {os.path.realpath(each.path) for each in callbacks if isinstance(each, Checkpoint)}
    if is_auto(resume) and len(files) != 1:
        got = "none" if not files else f"those of {len(files)} files"
        what = "add one" if not files else "give the path of one of them as resume"
        raise ValueError(
            f"resume: 'auto' goes on from the file of the Checkpoint, expected one in callbacks, got {got}; {what}"
        )
    return resume


def is_auto(resume: object) -> bool:
    """Return whether `resume` is the text "auto"; './auto' or a path object names a file called auto."""
    return isinstance(resume, str) and resume == AUTO
