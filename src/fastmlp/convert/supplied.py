"""What the caller says of a model beside its file: the loss, and the names of classes and columns. `supply`.

Programs often leave the sigmoid or softmax to the loss (BCEWithLogitsLoss, CrossEntropyLoss, from_logits=True), so that
their models end in logits. A network of a loss of probabilities has the activation itself: here it is added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses
from ..activations import Activation, Identity
from . import functions
from .chain import Activate, Affine, Chain, Linear, Step

if TYPE_CHECKING:
    from ..inputs.labels import Label
    from ..losses import Loss


def supply(
    chain: Chain,
    loss: str | Loss | None = None,
    class_names: Sequence[Label] | None = None,
    feature_names: Sequence[str] | None = None,
) -> Chain:
    """Return the chain with what the caller says; what is None stays as the model says it.

    Raises
    ------
    ValueError
        If classes have names and the one output is neither a probability nor of a loss, so that it is not known
        whether the second class begins at 0.5 or at 0.
    """
    if loss is not None:
        resolved = losses.resolve("loss", loss)
        chain = dataclasses.replace(chain, loss=resolved)
        if _ends_in_identity(chain) and resolved.partner is not Identity:
            chain = _with_output(chain, resolved.partner(), resolved.name)
    if class_names is not None:
        n_outputs = next((len(step.bias) for step in reversed(chain.steps) if isinstance(step, Linear)), 0)
        is_classifier = chain.loss is not None and losses.resolve("loss", chain.loss).classifies
        if loss is None and n_outputs == 1 and _ends_in_identity(chain) and not is_classifier:
            raise ValueError(
                "class_names: expected a loss beside it, as the one output has no sigmoid: loss='binary_cross_entropy' "
                "if the output is a logit, which is 0 between the classes"
            )
        chain = dataclasses.replace(chain, class_names=class_names)  # type: ignore[arg-type]  # checked when folded
    return chain if feature_names is None else dataclasses.replace(chain, feature_names=feature_names)  # type: ignore[arg-type]


def _ends_in_identity(chain: Chain) -> bool:
    """Whether nothing but factors and shifts comes after the last linear layer."""
    last = next(
        (step for step in reversed(chain.steps) if not isinstance(step, Affine) and not _is_identity(step)), None
    )
    return isinstance(last, Linear)


def _is_identity(step: Step) -> bool:
    return isinstance(step, Activate) and isinstance(step.activation, Identity)


def _with_output(chain: Chain, output: Activation, loss: str) -> Chain:
    """Return the chain with an output activation, which is applied to the outputs of the original, too."""
    note = f"{output.name} added for loss={loss!r}: the model gives logits, the network probabilities"
    steps = (*chain.steps, Activate(output, f"loss={loss!r}"))
    original = chain.original
    return dataclasses.replace(
        chain,
        steps=steps,
        folded=(*chain.folded, note),
        original=None if original is None else _activated(original, output),
    )


def _activated(original: Callable[[Any], Any], output: Activation) -> Callable[[Any], Any]:
    return lambda X: functions.evaluate(output, np.asarray(original(X), np.float64).reshape(len(X), -1))
