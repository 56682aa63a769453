"""Oracles of the compiled network: the reference and PyTorch with the same parameters, and central differences.

`twin` and `Torch` copy a network's architecture and parameters, so a comparison tests the computation alone.
`architecture` draws a network and data that are exact in float32, so one oracle serves both dtypes.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import reference

HIDDEN = [
    fastmlp.Sigmoid(),
    fastmlp.Sigmoid(2.0),
    fastmlp.Tanh(),
    fastmlp.ReLU(),
    fastmlp.Identity(),
    fastmlp.Gaussian(0.25, 1.5),
    fastmlp.PiecewiseLinear(-2.0, 2.5),
]
MORE = [  # activations that are not in HIDDEN, from which random architectures are drawn
    fastmlp.LeakyReLU(0.2),
    fastmlp.ELU(),
    fastmlp.ELU(0.6),
    fastmlp.SELU(),
    fastmlp.GELU(),
    fastmlp.GELU(approximate="tanh"),
    fastmlp.SiLU(),
    fastmlp.Mish(),
    fastmlp.Softplus(),
    fastmlp.Softplus(2.5),
    fastmlp.Softsign(),
    fastmlp.HardSigmoid(),
    fastmlp.HardTanh(-1.25, 0.75),
    fastmlp.Sine(),
    fastmlp.Sine(2.5),
    fastmlp.StepwiseSigmoid(),
    fastmlp.StepwiseTanh(),
]
OUTPUTS: dict[str, list[Any]] = {
    "mse": HIDDEN,
    "squared_error": HIDDEN,
    "half_squared_error": HIDDEN,
    "binary_cross_entropy": [fastmlp.Sigmoid(), fastmlp.Sigmoid(2.0), fastmlp.Sigmoid(-0.5)],
    "cross_entropy": [fastmlp.Softmax()],
}


def words(net: Any) -> dict[str, Any]:
    return {"activation": list(net.activation), "output_activation": net.output_activation, "loss": net.loss}


def twin(net: Any) -> reference.Network:
    """Return the reference's network with the same layers, parameters and random state."""
    other = reference.Network(net.sizes, init=net.init, seed=net.seed, **words(net))
    other.parameters = net.parameters
    other._random.state = net._random_state
    return other


def central_differences(f: Callable[[Any], float], at: Any, step: float = 1e-5) -> Any:
    """Return the gradient of f by central differences of 4th order."""
    flat = np.array(at, dtype=np.float64).ravel()
    slopes = np.empty(flat.size)
    for i in range(flat.size):
        values = []
        for k in (2, 1, -1, -2):
            moved = flat.copy()
            moved[i] += k * step
            values.append(f(moved.reshape(np.shape(at))))
        slopes[i] = (-values[0] + 8 * values[1] - 8 * values[2] + values[3]) / (12 * step)
    return slopes.reshape(np.shape(at))


def stepwise_in_torch(t: Any, z: Any, corners: Any, minimum: float) -> Any:
    """Return lines between the corners (x, y); `minimum` below the first, 1 from the last on."""
    x, y = t.tensor(corners, dtype=z.dtype).T.contiguous()
    i = t.bucketize(z.detach(), x).clamp(1, len(x) - 1)
    line = y[i - 1] + (y[i] - y[i - 1]) / (x[i] - x[i - 1]) * (z - x[i - 1])
    return t.where(z < x[0], minimum, t.where(z < x[-1], line, 1.0))


# Each activation in PyTorch, as a function of (torch, torch.nn.functional, z, the activation f).
IN_TORCH: dict[type, Callable[..., Any]] = {
    fastmlp.Identity: lambda t, F, z, f: z,
    fastmlp.Sigmoid: lambda t, F, z, f: t.sigmoid(f.beta * z),
    fastmlp.Tanh: lambda t, F, z, f: t.tanh(z),
    fastmlp.ReLU: lambda t, F, z, f: t.relu(z),
    fastmlp.Gaussian: lambda t, F, z, f: t.exp(-(((z - f.mu) / f.sigma) ** 2) / 2) / (math.sqrt(2 * math.pi) * f.sigma),
    fastmlp.PiecewiseLinear: lambda t, F, z, f: t.clamp((z - f.x_min) / (f.x_max - f.x_min), 0, 1),
    fastmlp.LeakyReLU: lambda t, F, z, f: F.leaky_relu(z, f.negative_slope),
    fastmlp.ELU: lambda t, F, z, f: F.elu(z, f.alpha),
    fastmlp.SELU: lambda t, F, z, f: F.selu(z),
    fastmlp.GELU: lambda t, F, z, f: F.gelu(z, approximate=f.approximate),
    fastmlp.SiLU: lambda t, F, z, f: F.silu(z),
    fastmlp.Mish: lambda t, F, z, f: F.mish(z),
    fastmlp.Softplus: lambda t, F, z, f: F.softplus(z, f.beta, threshold=1000),  # never replaced by the identity
    fastmlp.Softsign: lambda t, F, z, f: F.softsign(z),
    fastmlp.HardSigmoid: lambda t, F, z, f: F.hardsigmoid(z),
    fastmlp.HardTanh: lambda t, F, z, f: F.hardtanh(z, f.min_val, f.max_val),
    fastmlp.Sine: lambda t, F, z, f: t.sin(f.omega * z),
    fastmlp.StepwiseSigmoid: lambda t, F, z, f: stepwise_in_torch(t, z, reference.functions.STEPWISE_SIGMOID, 0.0),
    fastmlp.StepwiseTanh: lambda t, F, z, f: stepwise_in_torch(t, z, reference.functions.STEPWISE_TANH, -1.0),
}


class Torch:
    """The network in PyTorch, in float64 on one thread; skips the test if PyTorch is not installed."""

    def __init__(self, net: Any) -> None:
        self.torch = pytest.importorskip("torch")
        self.torch.set_num_threads(1)
        self.functions = [*net.activation, net.output_activation]
        self.loss_name = net.loss.name
        self.layers = [self._leaf(array) for pair in zip(net.weights, net.biases, strict=True) for array in pair]

    def _leaf(self, array: Any) -> Any:
        return self.torch.tensor(np.asarray(array, dtype=np.float64), requires_grad=True)

    def _apply(self, f: Any, z: Any) -> Any:
        return IN_TORCH[type(f)](self.torch, self.torch.nn.functional, z, f)

    def _loss(self, x: Any, t: Any) -> Any:
        """Return the mean loss of the rows, by PyTorch's own losses."""
        functional, z = self.torch.nn.functional, x
        for w, b, f in zip(self.layers[::2], self.layers[1::2], self.functions, strict=True):
            z = functional.linear(x, w, b)
            x = z if isinstance(f, fastmlp.Softmax) else self._apply(f, z)
        match self.loss_name:
            case "mse":
                return functional.mse_loss(x, t)
            case "squared_error":
                return functional.mse_loss(x, t, reduction="sum") / len(t)
            case "half_squared_error":
                return functional.mse_loss(x, t, reduction="sum") / len(t) / 2
            case "binary_cross_entropy":
                beta = self.functions[-1].beta
                return functional.binary_cross_entropy_with_logits(beta * z, t, reduction="sum") / len(t)
        return functional.cross_entropy(z, t)

    def target(self, y: Any) -> Any:
        """Return targets as rows; class labels are one-hot encoded."""
        y = np.asarray(y)
        n_outputs = len(self.layers[-1])
        return self.torch.tensor(np.eye(n_outputs)[y] if y.ndim == 1 else y.astype(np.float64))

    def gradients(self, X: Any, y: Any) -> tuple[float, Any, Any]:
        """Return the loss, its gradient with respect to the parameters as one vector, and with respect to X."""
        x = self._leaf(X)
        for leaf in self.layers:
            leaf.grad = None
        loss = self._loss(x, self.target(y))
        loss.backward()
        gradient = np.concatenate([leaf.grad.numpy().ravel() for leaf in self.layers])
        return loss.item(), gradient, x.grad.numpy()

    def train(self, X: Any, y: Any, optimizer: Any, n_steps: int) -> Iterator[tuple[float, Any]]:
        """Take steps on all rows; yield the loss before each step and the parameters after it."""
        x, t = self.torch.tensor(np.asarray(X, dtype=np.float64)), self.target(y)
        for _ in range(n_steps):
            stepper = self._stepper(optimizer)
            stepper.zero_grad()
            loss = self._loss(x, t)
            loss.backward()
            stepper.step()
            yield loss.item(), np.concatenate([leaf.detach().numpy().ravel() for leaf in self.layers])

    def _stepper(self, optimizer: Any) -> Any:
        if not hasattr(self, "_optimizer"):
            o, each = optimizer, self.torch.optim
            kind: Any = WRITTEN_HERE.get(type(o)) or getattr(each, PYTORCH_NAMES.get(o.name, type(o).__name__))
            given = {PYTORCH_WORDS.get(f.name, f.name): getattr(o, f.name) for f in dataclasses.fields(o)}
            if betas := [name for name in given if name.startswith("beta_")]:
                given["betas"] = tuple(given.pop(name) for name in betas)
            if isinstance(o, fastmlp.Rprop):
                given["etas"] = (given.pop("eta_minus"), given.pop("eta_plus"))
                given["step_sizes"] = (given.pop("least_step"), given.pop("largest_step"))
            self._optimizer = kind(self.layers, **given)
        return self._optimizer


PYTORCH_NAMES = {"adagrad": "Adagrad"}
PYTORCH_WORDS = {
    "learning_rate": "lr",
    "epsilon": "eps",
    "learning_rate_decay": "lr_decay",
    "initial_accumulator": "initial_accumulator_value",
}


class LionInPyTorch:
    """Lion on tensors, which PyTorch does not have: algorithm 2 of Chen et al., "Symbolic discovery of optimization
    algorithms", 2023.
    """

    def __init__(self, params: Any, lr: float, betas: tuple[float, float], weight_decay: float) -> None:
        self.params = [(p, p.detach().clone().zero_()) for p in params]
        self.lr, self.betas, self.weight_decay = lr, betas, weight_decay

    def zero_grad(self) -> None:
        for p, _ in self.params:
            p.grad = None

    def step(self) -> None:
        b1, b2 = self.betas
        for p, m in self.params:
            c = b1 * m + (1 - b1) * p.grad
            p.data.sub_(self.lr * (c.sign() + self.weight_decay * p.data))
            m.mul_(b2).add_((1 - b2) * p.grad)


WRITTEN_HERE: dict[type, type] = {  # optimisers that PyTorch does not have
    fastmlp.Lion: LionInPyTorch,
}


@dataclass(frozen=True)
class Case:
    """A network (sizes, keyword arguments, parameters), and data for it."""

    sizes: tuple[int, ...]
    words: dict[str, Any]
    P: Any
    X: Any
    y: Any

    def __str__(self) -> str:
        return f"{'-'.join(map(str, self.sizes))} {self.words['loss']} {len(self.X)} rows"


def targets(rng: Any, loss: str, n_rows: int, n_outputs: int, kind: str) -> Any:
    """Return random targets of a kind: "labels", "values", or "soft": values in [0, 1] that need not sum to 1."""
    if kind == "labels":
        return rng.integers(n_outputs, size=n_rows)
    if kind == "soft" or loss.endswith("cross_entropy"):
        return rng.uniform(size=(n_rows, n_outputs)).astype(np.float32).astype(np.float64)
    return rng.normal(size=(n_rows, n_outputs)).astype(np.float32).astype(np.float64)


def architecture(seed: int) -> Case:
    """Return a random network of 1 to 4 layers and 1 to 97 rows; widths are around multiples of vector lengths."""
    rng = np.random.default_rng(seed)
    widths = [1, 2, 3, 15, 16, 17, 31, 32, 33, 130]
    sizes = tuple(int(rng.choice(widths)) for _ in range(int(rng.integers(1, 5)) + 1))
    loss = list(OUTPUTS)[seed % len(OUTPUTS)]
    hidden = [HIDDEN[int(i)] for i in rng.integers(len(HIDDEN), size=len(sizes) - 2)]
    output = OUTPUTS[loss][int(rng.integers(len(OUTPUTS[loss])))]
    n_rows = int(rng.choice([1, 2, 5, 6, 7, 16, 31, 97]))
    layers = [rng.normal(size=(i + 1) * o) / np.sqrt(i) for i, o in itertools.pairwise(sizes)]
    P = np.concatenate(layers).astype(np.float32).astype(np.float64)
    X = rng.normal(size=(n_rows, sizes[0])).astype(np.float32).astype(np.float64)
    kind = "labels" if sizes[-1] > 1 and rng.random() < 0.5 else "values"
    words = {"activation": hidden, "output_activation": output, "loss": loss}
    return Case(sizes, words, P, X, targets(rng, loss, n_rows, sizes[-1], kind))
