"""Losses other than squared errors and cross entropies, each with a kind of targets and its value by PyTorch.

The function `value` of a case returns the loss of each row, from y and z of the last layer and the targets as tensors;
it calls PyTorch's own loss if there is one. Targets are exact in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import fastmlp


@dataclass(frozen=True)
class LossCase:
    """A loss, the kind of its targets, its value by PyTorch, and an output activation (None: that of the loss)."""

    loss: Any
    kind: str
    value: Callable[..., Any]
    output: Any = None

    def __str__(self) -> str:
        return repr(self.loss) + (f"-{self.output!r}" if self.output else "")

    def least_targets(self, n_targets: int) -> int:
        """Return n_targets, but at least 2 for a loss of softmax."""
        return max(2, n_targets) if self.loss.partner is fastmlp.Softmax else n_targets

    def n_outputs(self, n_targets: int) -> int:
        return n_targets * self.loss.n_heads


def draw_targets(rng: Any, kind: str, n_rows: int, n_targets: int) -> Any:
    """Return random targets of the kind."""
    shape = (n_rows, n_targets)
    if kind == "class":
        t = np.eye(n_targets)[rng.integers(n_targets, size=n_rows)] if n_targets > 1 else rng.integers(2, size=shape)
    elif kind == "count":
        t = rng.poisson(2.0, size=shape)
    else:
        t = {"real": rng.normal(size=shape), "soft": rng.uniform(size=shape), "positive": rng.gamma(2.0, size=shape)}[
            kind
        ]
    return np.asarray(t, dtype=np.float32).astype(np.float64)


def rowwise(name: str, **kwargs: Any) -> Callable[..., Any]:
    """Return a function for the mean over a row's outputs of the named loss of torch.nn.functional, for y and t."""

    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        return getattr(torch.nn.functional, name)(y, t, reduction="none", **kwargs).mean(dim=1)

    return value


def log_cosh(torch: Any, y: Any, z: Any, t: Any) -> Any:
    return torch.log(torch.cosh(y - t)).mean(dim=1)


def quantile(*levels: float) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        q = torch.tensor(levels, dtype=torch.float64)[None, :, None]
        error = t[:, None, :] - y.reshape(len(t), len(levels), -1)
        return torch.maximum(q * error, (q - 1) * error).mean(dim=(1, 2))

    return value


def gaussian_nll(torch: Any, y: Any, z: Any, t: Any) -> Any:
    mean, log_variance = z.chunk(2, dim=1)
    each = torch.nn.functional.gaussian_nll_loss(mean, t, torch.exp(log_variance), reduction="none", eps=1e-300)
    return each.mean(dim=1)


def cross_entropy(smoothing: float) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        return torch.nn.functional.cross_entropy(z, t, reduction="none", label_smoothing=smoothing)

    return value


def binary_cross_entropy(smoothing: float, beta: float = 1.0) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        t = (1 - smoothing) * t + smoothing / 2
        return torch.nn.functional.binary_cross_entropy_with_logits(beta * z, t, reduction="none").sum(dim=1)

    return value


def focal(gamma: float) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        ln_y = torch.log_softmax(z, dim=1)
        return -(t * (1 - torch.exp(ln_y)) ** gamma * ln_y).sum(dim=1)

    return value


def binary_focal(gamma: float, beta: float = 1.0) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        log, p = torch.nn.functional.logsigmoid, torch.sigmoid(beta * z)
        return -(t * (1 - p) ** gamma * log(beta * z) + (1 - t) * p**gamma * log(-beta * z)).sum(dim=1)

    return value


def hinge(margin: float) -> Callable[..., Any]:
    def value(torch: Any, y: Any, z: Any, t: Any) -> Any:
        if t.shape[1] == 1:
            return torch.clamp(margin - (2 * t - 1) * y, min=0)[:, 0]
        return torch.nn.functional.multi_margin_loss(y, t.argmax(dim=1), margin=margin, reduction="none")

    return value


CASES = [
    LossCase(fastmlp.MeanAbsoluteError(), "real", rowwise("l1_loss")),
    LossCase(fastmlp.MeanAbsoluteError(), "real", rowwise("l1_loss"), fastmlp.Tanh()),
    LossCase(fastmlp.Huber(), "real", rowwise("huber_loss")),
    LossCase(fastmlp.Huber(0.25), "real", rowwise("huber_loss", delta=0.25), fastmlp.Sigmoid(2.0)),
    LossCase(fastmlp.LogCosh(), "real", log_cosh),
    LossCase(fastmlp.LogCosh(), "real", log_cosh, fastmlp.Tanh()),
    LossCase(fastmlp.Quantile(0.25), "real", quantile(0.25)),
    LossCase(fastmlp.Quantile([0.125, 0.5, 0.75]), "real", quantile(0.125, 0.5, 0.75)),
    LossCase(fastmlp.Poisson(), "count", rowwise("poisson_nll_loss")),
    LossCase(fastmlp.Gamma(), "positive", lambda torch, y, z, t: (z + t * torch.exp(-z)).mean(dim=1)),
    LossCase(fastmlp.GaussianNLL(), "real", gaussian_nll),
    LossCase(fastmlp.BinaryCrossEntropy(0.125), "soft", binary_cross_entropy(0.125)),
    LossCase(fastmlp.BinaryCrossEntropy(0.5), "class", binary_cross_entropy(0.5, -0.5), fastmlp.Sigmoid(-0.5)),
    LossCase(fastmlp.CrossEntropy(0.125), "class", cross_entropy(0.125)),
    LossCase(fastmlp.CrossEntropy(0.25), "soft", cross_entropy(0.25)),
    LossCase(fastmlp.BinaryFocal(), "class", binary_focal(2.0)),
    LossCase(fastmlp.BinaryFocal(0.5), "soft", binary_focal(0.5, 2.0), fastmlp.Sigmoid(2.0)),
    LossCase(fastmlp.Focal(), "class", focal(2.0)),
    LossCase(fastmlp.Focal(0.5), "soft", focal(0.5)),
    LossCase(fastmlp.Hinge(), "class", hinge(1.0)),
    LossCase(fastmlp.Hinge(0.5), "class", hinge(0.5), fastmlp.Tanh()),
]
