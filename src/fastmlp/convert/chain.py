"""A chain: what an importer finds in another tool's model, step by step, in float64 and in the tool's own order.

Every importer returns a `Chain`; folding.py makes a network's layers of it, and checking.py compares that network with
the tool, or with `Chain.evaluate`. A step computes rows of columns from rows of columns:

- `Linear`: y = x W^T + b;
- `Affine`: y = (x - offset) / scale for each column. A scaler, a BatchNorm, a factor beside an activation; a model that
  writes y = x s + t gives `Affine.times(s, t)`;
- `Activate`: y = f(x), by an `Activation` of this package;
- `Complement`: two columns 1 - p and p of the one column p.

An importer does not fold: it writes down what the file says, and names in `place` the layer or node that says it, for
messages. What a chain cannot say (a residual, an embedding, a softmax over rows) an importer refuses by `refuse`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..activations import Activation
from ..formats.model_file import FormatError
from . import functions

if TYPE_CHECKING:
    from ..inputs.labels import Label

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """y = x W^T + b, with the weight W of shape (outputs, inputs) and the bias b of shape (outputs,)."""

    weight: Array
    bias: Array
    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return x @ self.weight.T + self.bias


@dataclass(frozen=True)
class Affine:
    """y = (x - offset) / scale, where offset and scale have one number for each column; scale is not 0."""

    offset: Array
    scale: Array
    place: str

    @classmethod
    def times(cls, factor: ArrayLike, shift: ArrayLike, place: str) -> Affine:
        """Make y = x * factor + shift."""
        factor, shift = np.asarray(factor, np.float64), np.asarray(shift, np.float64)
        if not (factor != 0).all():
            refuse(place, "a factor of 0, which removes a column", "remove the column")
        return cls(-shift / factor, 1 / factor, place)

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        result: Array = (x - self.offset) / self.scale
        return result


@dataclass(frozen=True)
class Activate:
    """y = f(x)."""

    activation: Activation
    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return functions.evaluate(self.activation, x)


@dataclass(frozen=True)
class Complement:
    """The columns 1 - p and p of the column p, a probability; a network's one output p says the same."""

    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return np.concatenate([1 - x, x], axis=1)


Step = Linear | Affine | Activate | Complement


@dataclass(frozen=True)
class Chain:
    """A model of another tool.

    steps: from the inputs to the outputs. `Affine` steps at the beginning become the network's input scaling, and those
    at the end, after an output of identity, its target scaling, if their scales are above 0.
    tool, version: what has written it, such as "scikit-learn" and "1.9.1"; version is "" where the file does not say.
    dtype: "float32" or "float64", that of the tool's own arithmetic.
    loss: the name of the loss with which the tool trains it; None where the model does not say, see folding.py.
    original: the tool's own outputs for rows X of shape (B, n_inputs) in the tool's dtype, if the tool is installed,
    comparable with the network's `predict`.
    """

    steps: tuple[Step, ...]
    tool: str
    version: str
    dtype: str
    n_inputs: int
    loss: str | None = None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    class_names: tuple[Label, ...] | None = None
    original: Callable[[NDArray[Any]], ArrayLike] | None = None
    folded: tuple[str, ...] = field(default=())  # what the importer itself has left out, such as "Dropout 0.3"

    def evaluate(self, X: ArrayLike) -> Array:
        """Return the outputs of the rows X, shape (B, n_inputs), in float64 and with NumPy alone."""
        x = np.asarray(X, np.float64)
        for step in self.steps:
            x = step(x)
        return x


def refuse(place: str, found: str, advice: str = "") -> NoReturn:
    """Raise the error for a model that has no equal network: where, what was found there, and what to do."""
    raise FormatError(
        f"{place}: expected a layer of a multilayer perceptron, got {found}" + (f"; {advice}" if advice else "")
    )
