"""A network as an nn.Sequential of PyTorch, with every parameter to the bit: `write`. Importing it imports torch.

Scalings and activations that torch.nn does not have are the modules below; `chain_steps` of a module tells
torch_modules.py what it computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from .. import activations as a
from ..activations import Activation
from . import functions
from .chain import Activate, Affine, Step
from .scalings import learnt
from .torch_layers import INPUT_SCALING, TARGET_SCALING

if TYPE_CHECKING:
    from ..network import Network
    from ..scaling import Scaling


class _Columns(nn.Module):
    """Base class of the scalings: offset and scale of each column, float64 buffers as the network has them.

    The names of the buffers say which formula they are for, because a state dict has nothing else that says it.
    """

    names: ClassVar[tuple[str, str]]

    def __init__(self, scaling: Scaling, dtype: torch.dtype) -> None:
        super().__init__()
        for name, value in zip(self.names, (scaling.offset, scaling.scale), strict=True):
            self.register_buffer(name, torch.tensor(value))
        self.dtype, self.n_columns = dtype, len(scaling.offset)

    @property
    def offset(self) -> torch.Tensor:
        """The numbers that are subtracted or added, shape (n_columns,)."""
        return self.get_buffer(self.names[0])

    @property
    def scale(self) -> torch.Tensor:
        """The numbers that divide or multiply, shape (n_columns,)."""
        return self.get_buffer(self.names[1])

    def _apply(self, fn: Callable[[Any], Any], recurse: bool = True) -> _Columns:
        """Move the module as torch does, but keep the buffers in float64 and follow the dtype in the outputs."""
        numbers = self.offset.cpu(), self.scale.cpu()
        self.dtype = fn(torch.zeros(1, dtype=self.dtype)).dtype
        super()._apply(fn, recurse)
        for name, value in zip(self.names, numbers, strict=True):
            setattr(self, name, value.to(getattr(self, name).device))
        return self

    def extra_repr(self) -> str:
        """Return the number of columns, for the module's text."""
        return f"{self.n_columns}"


class InputScaling(_Columns):
    """(x - offset) / scale of each column, in float64 and rounded once."""

    names = INPUT_SCALING

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the scaled rows."""
        return ((x.double() - self.offset) / self.scale).to(self.dtype)

    def chain_steps(self, place: str) -> tuple[Step, ...]:
        """Return the step of a `Chain` that this module is."""
        return (Affine(self.offset.cpu().numpy(), self.scale.cpu().numpy(), place),)


class TargetScaling(_Columns):
    """x scale + offset of each column, in float64 and rounded once."""

    names = TARGET_SCALING

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the rows in the unit of the targets."""
        return (x.double() * self.scale + self.offset).to(self.dtype)

    def chain_steps(self, place: str) -> tuple[Step, ...]:
        """Return the step of a `Chain` that this module is."""
        return (Affine.times(self.scale.cpu().numpy(), self.offset.cpu().numpy(), place),)


class Elementwise(nn.Module):
    """An activation that torch.nn does not have."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return f(x)."""
        result: torch.Tensor = FORMULAS[type(self.activation)](self.activation, x)
        return result

    def chain_steps(self, place: str) -> tuple[Step, ...]:
        """Return the step of a `Chain` that this module is."""
        return (Activate(self.activation, place),)

    def extra_repr(self) -> str:
        """Return the activation, for the module's text."""
        return repr(self.activation)


def _gaussian(f: Any, z: torch.Tensor) -> torch.Tensor:
    result: torch.Tensor = torch.exp(-0.5 * ((z - f.mu) / f.sigma) ** 2) / (math.sqrt(2 * math.pi) * f.sigma)
    return result


def _lines(z: torch.Tensor, corners: tuple[Any, Any], minimum: float) -> torch.Tensor:
    """Return FANN's lines between corners (x, y): `minimum` before the first, 1 after the last."""
    x, y = (torch.tensor(each, dtype=z.dtype, device=z.device) for each in corners)
    after = torch.bucketize(z.detach(), x, right=True).clamp(1, len(x) - 1)
    slopes = (y[1:] - y[:-1]) / (x[1:] - x[:-1])
    inside = y[after - 1] + (z - x[after - 1]) * slopes[after - 1]
    outside = torch.where(z < x[0], minimum, 1.0).to(z.dtype)
    return torch.where((z >= x[0]) & (z < x[-1]), inside, outside)


FORMULAS: dict[type[Activation], Callable[[Any, torch.Tensor], torch.Tensor]] = {
    a.Sigmoid: lambda f, z: torch.sigmoid(f.beta * z),
    a.PiecewiseLinear: lambda f, z: torch.clamp((z - f.x_min) / (f.x_max - f.x_min), 0, 1),
    a.Gaussian: _gaussian,
    a.Threshold: lambda f, z: (z >= 0).to(z.dtype),
    a.Sine: lambda f, z: torch.sin(f.omega * z),
    a.StepwiseSigmoid: lambda f, z: _lines(z, functions.SIGMOID_CORNERS, 0.0),
    a.StepwiseTanh: lambda f, z: _lines(z, functions.TANH_CORNERS, -1.0),
}
_FAR = 40.0  # a threshold of nn.Softplus above which its z differs from the formula by less than float64 can say
MODULES: dict[type[Activation], Callable[[Any], nn.Module]] = {
    a.Identity: lambda f: nn.Identity(),
    a.Sigmoid: lambda f: nn.Sigmoid() if f.beta == 1 else Elementwise(f),
    a.Tanh: lambda f: nn.Tanh(),
    a.ReLU: lambda f: nn.ReLU(),
    a.LeakyReLU: lambda f: nn.LeakyReLU(f.negative_slope),
    a.ELU: lambda f: nn.ELU(f.alpha),
    a.SELU: lambda f: nn.SELU(),
    a.GELU: lambda f: nn.GELU(f.approximate),
    a.SiLU: lambda f: nn.SiLU(),
    a.Mish: lambda f: nn.Mish(),
    a.Softplus: lambda f: nn.Softplus(f.beta, _FAR),
    a.Softsign: lambda f: nn.Softsign(),
    a.HardSigmoid: lambda f: nn.Hardsigmoid(),
    a.HardTanh: lambda f: nn.Hardtanh(f.min_val, f.max_val),
    a.Softmax: lambda f: nn.Softmax(-1),
}


def write(net: Network) -> nn.Sequential:
    """Return the network as an nn.Sequential in evaluation mode; see `Network.to_torch`."""
    dtype = torch.float64 if net._dtype == np.float64 else torch.float32
    modules: list[nn.Module] = []
    inputs, targets = learnt(net, "PyTorch")
    if inputs is not None:
        modules.append(InputScaling(inputs, dtype))
    activations = [*net.activation, net.output_activation]
    for weight, bias, f in zip(net.weights, net.biases, activations, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=dtype)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(weight))
            linear.bias.copy_(torch.tensor(bias))
        modules.append(linear)
        if not isinstance(f, a.Identity):
            modules.append(_module(f))
    if targets is not None:  # in float64 where `predict` is, too
        modules.append(TargetScaling(targets, torch.float64 if targets.needs_float64 else dtype))
    return nn.Sequential(*modules).eval()


def _module(f: Activation) -> nn.Module:
    if type(f) in MODULES:
        return MODULES[type(f)](f)
    if type(f) in FORMULAS:
        return Elementwise(f)
    raise ValueError(f"activation: expected one that PyTorch can compute, got {f!r}")
