"""A chain: what an importer finds in another tool's model, step by step, in float64 and in the tool's own order.

Every importer returns a `Chain`; folding.py makes a network's layers of it, and checking.py compares that network with
the tool, or with `Chain.evaluate`. A step computes rows of columns from rows of columns:

- `Linear`: y = x W^T + b;
- `Affine`: y = (x - offset) / scale for each column, or y = x scale + offset. A scaler, a BatchNorm, a factor beside an
  activation;
- `Activate`: y = f(x), by an `Activation` of this package;
- `Complement`: two columns 1 - p and p of the one column p.

An importer does not fold: it writes down what the file says, and names in `place` the layer or node that says it, for
messages. What a chain cannot say (a residual, an embedding, a softmax over rows) an importer refuses by `refuse`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..activations import Activation
from ..errors import FormatError
from ..frozen import frozen
from . import functions

if TYPE_CHECKING:
    from ..inputs.labels import Label
    from ..losses import Loss

Array = NDArray[np.float64]
ROUNDING = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
HALF_ADVICE = "half_precision=True reads it as one in float32, whose outputs are more precise"


@frozen(eq=False)
class Linear:
    """y = x W^T + b, with the weight W of shape (outputs, inputs) and the bias b of shape (outputs,)."""

    weight: Array
    bias: Array
    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return x @ self.weight.T + self.bias


@frozen(eq=False)
class Affine:
    """y = (x - offset) / scale, where offset and scale have one number for each column; scale is not 0.

    If it multiplies, y = x scale + offset instead, where scale may be 0. Each form keeps the numbers of the file: one
    alone before the first layer, or one that multiplies alone after the last, becomes a `Scaling` of the same numbers.
    """

    offset: Array
    scale: Array
    place: str
    multiplies: bool = False

    @classmethod
    def times(cls, factor: ArrayLike, shift: ArrayLike, place: str) -> Affine:
        """Make y = x factor + shift."""
        return cls(np.asarray(shift, np.float64), np.asarray(factor, np.float64), place, True)

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        result: Array = x * self.scale + self.offset if self.multiplies else (x - self.offset) / self.scale
        return result


@frozen(eq=False)
class Activate:
    """y = f(x)."""

    activation: Activation
    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return functions.evaluate(self.activation, x)


@frozen(eq=False)
class Complement:
    """The columns 1 - p and p of the column p; where p is the output of a sigmoid, a network's one output says it."""

    place: str

    def __call__(self, x: Array) -> Array:
        """Return y for the rows x."""
        return np.concatenate([1 - x, x], axis=1)


Step = Linear | Affine | Activate | Complement


@frozen(eq=False)
class Chain:
    """A model of another tool.

    steps: from the inputs to the outputs. `Affine` steps at the beginning become the network's input scaling, and those
    at the end, after an output of identity, its target scaling, if their scales are above 0.
    tool, version: what has written it, such as "scikit-learn" and "1.9.1"; version is "" where the file does not say.
    dtype: "float32" or "float64", that of the tool's own arithmetic.
    loss: the loss with which the tool trains it, or its name; None where the model does not say, see folding.py.
    original: the tool's own outputs for rows X of shape (B, n_inputs) in the tool's dtype, if the tool is installed,
    comparable with the network's `predict`.
    """

    steps: tuple[Step, ...]
    tool: str
    version: str
    dtype: str
    n_inputs: int
    loss: Loss | str | None = None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    class_names: tuple[Label, ...] | None = None
    original: Callable[[NDArray[Any]], ArrayLike] | None = None
    rounding: float = 0.0  # of the original's arithmetic, where it rounds more than dtype: one of ROUNDING
    folded: tuple[str, ...] = ()  # what the importer itself has left out, such as "Dropout 0.3"

    def evaluate(self, X: ArrayLike) -> Array:
        """Return the outputs of the rows X, shape (B, n_inputs), in float64 and with NumPy alone."""
        x = np.asarray(X, np.float64)
        for step in self.steps:
            x = step(x)
        return x


def refuse(place: str, found: str, advice: str = "") -> NoReturn:
    """Raise the error for a model that has no equal network: where, what was found there, and what to do."""
    raise FormatError(f"{place}: cannot be imported: {found}" + (f"; {advice}" if advice else ""))
