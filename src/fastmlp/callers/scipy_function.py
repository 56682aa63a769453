"""A bound predictor for SciPy: a LowLevelCallable for quad and nquad, a Python function for ODE solvers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import arguments

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..bound import BoundPredictor


def make(predictor: BoundPredictor, kind: str) -> Any:
    """Do what `BoundPredictor.scipy` does."""
    return KINDS[arguments.name("kind", kind, tuple(KINDS))](predictor)


def _integrand(predictor: BoundPredictor) -> Any:
    """Return the predictor as a LowLevelCallable of doubles, which keeps it alive."""
    from scipy import LowLevelCallable

    function, context = predictor._scalar_capsules()
    return LowLevelCallable(function, context)


def _derivative(predictor: BoundPredictor) -> Callable[[float, ArrayLike], NDArray[Any]]:
    """Return the predictor as the right-hand side f(t, y) of an ordinary differential equation."""
    if predictor.encoder is not None:
        raise ValueError("scipy: expected a network whose inputs are numbers, got one with an encoder")
    n_inputs, n_outputs = predictor.sizes[0], predictor.sizes[-1]
    if n_inputs == n_outputs:
        return lambda t, y: predictor.predict(y)
    if n_inputs != n_outputs + 1:
        raise ValueError(
            f"scipy: expected as many inputs as outputs, or one more for t, got {n_inputs} inputs and {n_outputs} "
            "outputs"
        )

    def with_time(t: float, y: ArrayLike) -> NDArray[Any]:
        x = np.empty(n_inputs)
        x[0], x[1:] = t, y
        dy: NDArray[Any] = predictor.predict(x)
        return dy

    return with_time


KINDS: dict[str, Callable[[Any], Any]] = {"quad": _integrand, "nquad": _integrand, "ode": _derivative}
