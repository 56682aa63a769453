"""A bound predictor for ctypes: its C function and its context, which keep it alive."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..bound import BoundPredictor


# void (const REAL *x, REAL *y, void *context)
RowFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Context(ctypes.c_void_p):
    """The context of the function, an instance that can have attributes."""


def make(predictor: BoundPredictor) -> tuple[Any, Any]:
    """Do what `BoundPredictor.ctypes` does; the attribute `predictor` of both objects keeps the predictor alive."""
    function, context = RowFunction(predictor.address), Context(predictor.context)
    function.predictor = predictor  # type: ignore[attr-defined]
    context.predictor = predictor  # type: ignore[attr-defined]
    return function, context
