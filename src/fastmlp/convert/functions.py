"""The activations in NumPy and float64, from their definitions: what an imported network is compared with.

They do not use the package's kernels, whose errors they must find, nor SciPy, whose import takes longer than most
conversions. `slope` bounds how much an error of z can grow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import activations as a

Array = NDArray[np.float64]
erfc = np.frompyfunc(math.erfc, 1, 1)


def _expit(z: Array) -> Any:
    return 1 / (1 + np.exp(-z))


def _softmax(f: Any, z: Array) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _gelu(f: Any, z: Array) -> Any:
    if f.approximate == "none":
        return z * np.asarray(erfc(-z / math.sqrt(2)), np.float64) / 2
    return 0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


def _piecewise_linear(f: Any, z: Array) -> Any:
    return np.clip((z - f.x_min) / (f.x_max - f.x_min), 0, 1)


def _gaussian(f: Any, z: Array) -> Any:
    return np.exp(-0.5 * ((z - f.mu) / f.sigma) ** 2) / (np.sqrt(2 * np.pi) * f.sigma)


def _softplus(f: Any, z: Array) -> Any:
    return np.logaddexp(0, f.beta * z) / f.beta


SELU_ALPHA, SELU_SCALE = 1.6732632423543772848, 1.0507009873554804934


def _selu(z: Array) -> Any:
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))


# FANN's corners x, where the argument of its sigmoid is half of ours, and y; rounded to float as in FANN's source
_FANN_X = np.array([-2.64665293693542480469, -1.47221934795379638672, -0.549306154251098632812])
SIGMOID_CORNERS = (
    2 * np.array([-2.64665246009826660156, -1.47221946716308593750, _FANN_X[2], *-_FANN_X[::-1]]),
    np.array([0.005, 0.05, 0.25, 0.75, 0.95, 0.995], np.float32).astype(np.float64),
)
TANH_CORNERS = (
    np.array([*_FANN_X, *-_FANN_X[::-1]]),
    np.array([-0.99, -0.9, -0.5, 0.5, 0.9, 0.99], np.float32).astype(np.float64),
)


def _lines(z: Array, x: Array, y: Array, minimum: float) -> Any:
    inside = np.interp(z, x, y)
    return np.where(z < x[0], minimum, np.where(z >= x[-1], 1.0, inside))


FUNCTIONS: dict[type[a.Activation], Callable[[Any, Array], Any]] = {
    a.Identity: lambda f, z: z,
    a.Sigmoid: lambda f, z: _expit(f.beta * z),
    a.Tanh: lambda f, z: np.tanh(z),
    a.ReLU: lambda f, z: np.maximum(z, 0),
    a.PiecewiseLinear: _piecewise_linear,
    a.Gaussian: _gaussian,
    a.Threshold: lambda f, z: np.where(z >= 0, 1.0, 0.0),
    a.LeakyReLU: lambda f, z: np.where(z > 0, z, f.negative_slope * z),
    a.ELU: lambda f, z: np.where(z > 0, z, f.alpha * np.expm1(np.minimum(z, 0))),
    a.SELU: lambda f, z: _selu(z),
    a.GELU: _gelu,
    a.SiLU: lambda f, z: z * _expit(z),
    a.Mish: lambda f, z: z * np.tanh(np.logaddexp(0, z)),
    a.Softplus: _softplus,
    a.Softsign: lambda f, z: z / (1 + np.abs(z)),
    a.HardSigmoid: lambda f, z: np.clip(z / 6 + 0.5, 0, 1),
    a.HardTanh: lambda f, z: np.clip(z, f.min_val, f.max_val),
    a.Sine: lambda f, z: np.sin(f.omega * z),
    a.StepwiseSigmoid: lambda f, z: _lines(z, *SIGMOID_CORNERS, 0.0),
    a.StepwiseTanh: lambda f, z: _lines(z, *TANH_CORNERS, -1.0),
    a.Softmax: _softmax,
}

SLOPES: dict[type[a.Activation], Callable[[Any], float]] = {  # the largest |f'|; where it is not here, 1
    a.Sigmoid: lambda f: abs(f.beta) / 4,
    a.PiecewiseLinear: lambda f: 1 / (f.x_max - f.x_min),
    a.Gaussian: lambda f: math.exp(-0.5) / (math.sqrt(2 * math.pi) * f.sigma**2),
    a.Threshold: lambda f: 0.0,
    a.LeakyReLU: lambda f: max(1, abs(f.negative_slope)),
    a.ELU: lambda f: max(1, abs(f.alpha)),
    a.SELU: lambda f: 1.76,
    a.GELU: lambda f: 1.13,
    a.SiLU: lambda f: 1.1,
    a.Mish: lambda f: 1.09,
    a.HardSigmoid: lambda f: 1 / 6,
    a.Sine: lambda f: abs(f.omega),
    a.StepwiseSigmoid: lambda f: 0.228,
    a.StepwiseTanh: lambda f: 0.911,
}

JUMPS: dict[type[a.Activation], tuple[tuple[float, float], ...]] = {  # where f jumps, and how high
    a.Threshold: ((0.0, 1.0),),
    a.StepwiseSigmoid: tuple((float(SIGMOID_CORNERS[0][i]), 0.005) for i in (0, -1)),
    a.StepwiseTanh: tuple((float(TANH_CORNERS[0][i]), 0.01) for i in (0, -1)),
}


def slope(activation: a.Activation) -> float:
    """Return an upper bound of |f(z) - f(z')| / |z - z'|, where f has no jump; of softmax, of a row's largest."""
    return SLOPES.get(type(activation), lambda f: 1.0)(activation)


def evaluate(activation: a.Activation, z: Array) -> Array:
    """Return f(z), shape (B, n), of z of that shape."""
    with np.errstate(over="ignore"):
        result: Array = FUNCTIONS[type(activation)](activation, z)
        return result
