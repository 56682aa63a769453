"""The multilayer perceptron in pure Python: the specification, the oracle and the baseline of fastmlp.

It takes and returns nested lists, needs nothing but the standard library and imports nothing of the package;
objects such as `fastmlp.Sigmoid(2.0)` are read by their attributes. To be read beside the sources: a network
maps one sample after another, layer by layer, z = w x + b and y = f(z), and backpropagation goes the same way
back. Legend: B rows of a batch, I inputs and O outputs of a layer, L layers, x (I,), w (O, I), b (O,), z, y (O,),
t the target; dz is dC/dz. The parameter vector P is w1, b1, w2, b2, ..., each weight row by row.
Invariants: errors are raised before anything is written; `_rows` holds the rows of P, the very lists that
`_layers` holds, so that both are only ever changed in place.
"""

from __future__ import annotations

import copy
import difflib
import math
import numbers
import operator
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple

Vector = list[float]
Matrix = list[list[float]]

if sys.version_info >= (3, 12):
    dot = math.sumprod
else:

    def dot(a: Sequence[float], b: Sequence[float]) -> float:
        """sum_i a_i b_i."""
        total: float = sum(map(operator.mul, a, b))
        return total


# --- activations: f(z) and f'(z) of one number; the derivative at a corner is 0 ---------------------------------


def identity(z: float) -> float:
    """f(z) = z."""
    return z


def identity_derivative(z: float) -> float:
    """f'(z) = 1."""
    return 1.0


def sigmoid(z: float, beta: float = 1.0) -> float:
    """f(z) = 1 / (1 + exp(-beta z)): of the essay's two forms the one that does not overflow."""
    z *= beta
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (e + 1.0)


def sigmoid_derivative(z: float, beta: float = 1.0) -> float:
    """f'(z) = beta f (1 - f) = beta e / (1 + e)^2 with e = exp(-|beta z|)."""
    e = math.exp(-abs(beta * z))
    return beta * e / ((1.0 + e) * (1.0 + e))


def tanh(z: float) -> float:
    """f(z) = tanh z = 2 sigmoid(2 z) - 1."""
    return math.tanh(z)


def tanh_derivative(z: float) -> float:
    """f'(z) = 1 - f^2 = 4 e / (1 + e)^2 with e = exp(-2 |z|), which keeps its digits where f is nearly 1."""
    e = math.exp(-2.0 * abs(z))
    return 4.0 * e / ((1.0 + e) * (1.0 + e))


def relu(z: float) -> float:
    """f(z) = max(0, z), and NaN for NaN."""
    return 0.0 if z <= 0.0 else z


def relu_derivative(z: float) -> float:
    """f'(z) = 1 above 0, else 0."""
    return 0.0 if z <= 0.0 else 1.0


def piecewise_linear(z: float, x_min: float = -1.0, x_max: float = 1.0) -> float:
    """The paper's m z + b with m = 1 / (x_max - x_min) and b = -m x_min, cut to [0, 1]."""
    return 0.0 if z <= x_min else 1.0 if z >= x_max else (z - x_min) / (x_max - x_min)


def piecewise_linear_derivative(z: float, x_min: float = -1.0, x_max: float = 1.0) -> float:
    """f'(z) = m strictly between x_min and x_max, else 0."""
    return 1.0 / (x_max - x_min) if x_min < z < x_max else 0.0


def gaussian(z: float, mu: float = 0.0, sigma: float = 1.0) -> float:
    """f(z) = exp(-u^2 / 2) / (sqrt(2 pi) sigma) with u = (z - mu) / sigma, the normal density."""
    u = (z - mu) / sigma
    return math.exp(-0.5 * u * u) / (math.sqrt(2.0 * math.pi) * sigma)


def gaussian_derivative(z: float, mu: float = 0.0, sigma: float = 1.0) -> float:
    """f'(z) = -(z - mu) / sigma^2 f(z)."""
    f = gaussian(z, mu, sigma)
    return -((z - mu) / sigma) / sigma * f if f else 0.0


def threshold(z: float) -> float:
    """f(z) = 1 where z >= 0, else 0, and NaN for NaN."""
    return 1.0 if z >= 0.0 else 0.0 if z < 0.0 else z


def threshold_derivative(z: float) -> float:
    """f'(z) = 0, which is why a threshold cannot be trained."""
    return 0.0


def softmax(z: Sequence[float]) -> Vector:
    """f(z)_o = exp(z_o) / sum_p exp(z_p), over a row."""
    largest = max(z)
    e = [math.exp(v - largest) for v in z]
    total = sum(e)
    return [v / total for v in e]


# --- losses: the value of one row and its derivative, dC/dy of the squared errors, dC/dz of the cross entropies ---


def squared_error(y: Sequence[float], t: Sequence[float]) -> float:
    """C = sum_o (y - t)^2, the essay's cost."""
    return sum([(a - b) * (a - b) for a, b in zip(y, t)])


def squared_error_derivative(y: Sequence[float], t: Sequence[float]) -> Vector:
    """dC/dy = 2 (y - t)."""
    return [2.0 * (a - b) for a, b in zip(y, t)]


def half_squared_error(y: Sequence[float], t: Sequence[float]) -> float:
    """C = 1/2 sum_o (y - t)^2, the paper's cost."""
    return 0.5 * squared_error(y, t)


def half_squared_error_derivative(y: Sequence[float], t: Sequence[float]) -> Vector:
    """dC/dy = y - t."""
    return [a - b for a, b in zip(y, t)]


def mse(y: Sequence[float], t: Sequence[float]) -> float:
    """C = 1/O sum_o (y - t)^2."""
    return squared_error(y, t) / len(y)


def mse_derivative(y: Sequence[float], t: Sequence[float]) -> Vector:
    """dC/dy = 2/O (y - t)."""
    factor = 2.0 / len(y)
    return [factor * (a - b) for a, b in zip(y, t)]


def binary_cross_entropy(z: Sequence[float], t: Sequence[float], beta: float = 1.0) -> float:
    """C = -sum_o [t ln y + (1 - t) ln(1 - y)] with y = sigmoid(z, beta), from -ln y = softplus(-beta z)."""
    total = 0.0
    for u, b in zip(z, t):
        u *= beta
        wrong = (1.0 - b) * u if u >= 0.0 else -b * u
        total += wrong + math.log1p(math.exp(-abs(u)))
    return total


def binary_cross_entropy_derivative(z: Sequence[float], t: Sequence[float], beta: float = 1.0) -> Vector:
    """dC/dz = beta (y - t)."""
    return [beta * (sigmoid(a, beta) - b) for a, b in zip(z, t)]


def cross_entropy(z: Sequence[float], t: Sequence[float]) -> float:
    """C = -sum_o t ln y with y = softmax(z), from -ln y_o = ln(sum_p exp(z_p)) - z_o."""
    peak = max(range(len(z)), key=z.__getitem__)
    largest = z[peak]
    log_total = math.log1p(sum([math.exp(v - largest) for o, v in enumerate(z) if o != peak]))
    return sum([b * ((largest - a) + log_total) for a, b in zip(z, t)])


def cross_entropy_derivative(z: Sequence[float], t: Sequence[float]) -> Vector:
    """dC/dz = (sum_p t_p) y - t."""
    weight = sum(t)
    return [weight * a - b for a, b in zip(softmax(z), t)]


# --- optimisers: one step t = 1, 2, ... of one row p of P with its gradient g, in place --------------------------


def sgd(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """The essay's P - r dC/dP; with momentum v <- mu v + g and P <- P - r v (Nesterov: g + mu v in place of v)."""
    r, mu = o.learning_rate, o.momentum
    if mu:
        v = state[0]
        v[:] = [mu * a + d for a, d in zip(v, g)]
        g = [d + mu * a for a, d in zip(v, g)] if o.nesterov else v
    p[:] = [a - r * d for a, d in zip(p, g)]


def adam(p: Vector, g: Vector, state: Matrix, t: int, o: Any) -> None:
    """P <- P - r m' / (sqrt(v') + epsilon) with m' = m / (1 - beta_1^t) and v' = v / (1 - beta_2^t)."""
    r, b1, b2, epsilon, sqrt = o.learning_rate, o.beta_1, o.beta_2, o.epsilon, math.sqrt
    c1, c2 = 1.0 - b1**t, 1.0 - b2**t
    m, v = state
    m[:] = [b1 * a + (1.0 - b1) * d for a, d in zip(m, g)]
    v[:] = [b2 * a + (1.0 - b2) * d * d for a, d in zip(v, g)]
    p[:] = [a - r * (b / c1) / (sqrt(c / c2) + epsilon) for a, b, c in zip(p, m, v)]


class SplitMix64:
    """The random stream of Steele, Lea and Flood (2014); the same, draw for draw, as the compiled one.

    Examples
    --------
    >>> SplitMix64(1234567).next()
    6457827717110365317
    """

    def __init__(self, seed: int) -> None:
        self.state = seed

    def next(self) -> int:
        """64 random bits."""
        mask = 0xFFFFFFFFFFFFFFFF
        self.state = z = (self.state + 0x9E3779B97F4A7C15) & mask
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def uniform(self) -> float:
        """A number in [0, 1), 53 bits."""
        return (self.next() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """An integer in [0, n)."""
        return (self.next() * n) >> 64

    def normal(self) -> float:
        """A number from N(0, 1), the cosine half of Box and Muller's pair."""
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())

    def permutation(self, n: int) -> list[int]:
        """0..n-1 in random order, by Fisher and Yates from the last place down."""
        p = list(range(n))
        for i in range(n - 1, 0, -1):
            j = self.below(i + 1)
            p[i], p[j] = p[j], p[i]
        return p


# --- the tables by name -------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """A row of a table: the function of that name, its derivative and its hyper-parameters with their defaults."""

    value: Callable[..., Any]
    derivative: Callable[..., Any] | None = None
    fields: Mapping[str, float | bool] = {}
    partner: str | None = None  # of a loss that is a function of z: the output activation it belongs to
    n_states: int = 0  # of an optimiser: vectors that it keeps per row of P


ACTIVATIONS = {
    "identity": Entry(identity, identity_derivative),
    "sigmoid": Entry(sigmoid, sigmoid_derivative, {"beta": 1.0}),
    "tanh": Entry(tanh, tanh_derivative),
    "relu": Entry(relu, relu_derivative),
    "piecewise_linear": Entry(piecewise_linear, piecewise_linear_derivative, {"x_min": -1.0, "x_max": 1.0}),
    "gaussian": Entry(gaussian, gaussian_derivative, {"mu": 0.0, "sigma": 1.0}),
    "threshold": Entry(threshold, threshold_derivative),
    "softmax": Entry(softmax),
}
ALIASES = {"linear": "identity", "logistic": "sigmoid"}
LOSSES = {
    "mse": Entry(mse, mse_derivative),
    "squared_error": Entry(squared_error, squared_error_derivative),
    "half_squared_error": Entry(half_squared_error, half_squared_error_derivative),
    "binary_cross_entropy": Entry(binary_cross_entropy, binary_cross_entropy_derivative, partner="sigmoid"),
    "cross_entropy": Entry(cross_entropy, cross_entropy_derivative, partner="softmax"),
}
OPTIMIZERS = {
    "sgd": Entry(sgd, fields={"learning_rate": 0.01, "momentum": 0.0, "nesterov": False}, n_states=1),
    "adam": Entry(adam, fields={"learning_rate": 0.001, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}, n_states=2),
}
INITS = ("auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal")
BOUNDS: dict[str, tuple[str, Callable[[float], bool]]] = {
    "beta": ("not 0", lambda v: v != 0),
    "sigma": ("above 0", lambda v: v > 0),
    "learning_rate": ("above 0 (the step is P - learning_rate * gradient)", lambda v: v > 0),
    "momentum": ("in [0, 1)", lambda v: 0 <= v < 1),
    "beta_1": ("in [0, 1)", lambda v: 0 <= v < 1),
    "beta_2": ("in [0, 1)", lambda v: 0 <= v < 1),
    "epsilon": ("above 0", lambda v: v > 0),
}


class Choice(SimpleNamespace):
    """A name from a table with its hyper-parameters as attributes: `Choice(name="sgd", learning_rate=3.0)`."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{field}={value!r}" for field, value in vars(self).items() if field != "name")
        return f"{self.name}({fields})"


class History(dict[str, list[float]]):
    """What `fit` returns: a list per epoch under "loss", "val_loss", ..., also as attributes."""

    def _append(self, logs: Mapping[str, float]) -> None:
        for name, value in logs.items():
            self.setdefault(name, []).append(value)

    def __getattr__(self, name: str) -> list[float]:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Network:
    """A multilayer perceptron; `fastmlp.Network` without `save`, `out`, `dtype`, `engine` and `n_threads`.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of neurons in each hidden layer, of outputs.
    activation : str, object, or a list of them, one per hidden layer
    output_activation : str or object, optional
        By default the loss's partner: identity, sigmoid or softmax.
    loss : str or object
    init : {"auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal"}
    seed : int, optional
        In [0, 2^64).

    Examples
    --------
    >>> net = Network([1, 1], output_activation="sigmoid")
    >>> net.set_layer(0, [[1.0]], [-5.0])
    >>> round(net.predict([1.0])[0], 4)  # the essay's S(1 + (-5))
    0.018
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Any = "relu",
        output_activation: Any = None,
        loss: Any = "mse",
        init: str = "auto",
        seed: int | None = None,
    ) -> None:
        self.sizes = _check_sizes(sizes)
        self.activation = _hidden_activations(activation, len(self.sizes) - 2)
        self.loss = _choose("loss", loss, LOSSES)
        self.output_activation = _output_activation(self.loss, output_activation)
        self.init = _check_name("init", init, INITS)
        self.seed = None if seed is None else _integer("seed", seed, 0, 2**64 - 1)
        choices = [*self.activation, self.output_activation]
        self._f = [_row_function(choice) for choice in choices]
        self._df = [_bind(ACTIVATIONS[choice.name].derivative, choice) for choice in choices]
        self._random = SplitMix64(secrets.randbits(64) if self.seed is None else self.seed)
        self._layers = [
            self._draw_layer(n_inputs, n_outputs, choice.name)
            for n_inputs, n_outputs, choice in zip(self.sizes, self.sizes[1:], choices)
        ]
        self._rows = [row for w, b in self._layers for row in (*w, b)]
        self._forget_optimizer()

    def _draw_layer(self, n_inputs: int, n_outputs: int, activation: str) -> tuple[Matrix, Vector]:
        """w (O, I) row by row, then b (O,), from the random stream."""
        init, random = self.init, self._random
        if init == "auto":
            init = "he_uniform" if activation == "relu" else "glorot_uniform"
        scale = {
            "glorot_uniform": math.sqrt(6.0 / (n_inputs + n_outputs)),
            "he_uniform": math.sqrt(6.0 / n_inputs),
            "lecun_normal": math.sqrt(1.0 / n_inputs),
            "normal": 1.0,
        }[init]
        if init.endswith("uniform"):
            w = [[(2.0 * random.uniform() - 1.0) * scale for _ in range(n_inputs)] for _ in range(n_outputs)]
        else:
            w = [[random.normal() * scale for _ in range(n_inputs)] for _ in range(n_outputs)]
        return w, [random.normal() if init == "normal" else 0.0 for _ in range(n_outputs)]

    # --- the mathematics, one sample at a time ---

    def _forward(self, x: Vector) -> tuple[Matrix, Matrix]:
        """z = w x + b (O,) and y = f(z) (O,) of every layer; y of one is x of the next."""
        zs, ys = [], []
        for (w, b), f in zip(self._layers, self._f):
            z = [dot(row, x) + bias for row, bias in zip(w, b)]
            x = f(z)
            zs.append(z)
            ys.append(x)
        return zs, ys

    def _backward(self, zs: Matrix, ys: Matrix, t: Vector, columns: list[Any]) -> Matrix:
        """dz (O,) of every layer: at the last f'(z) dC/dy, before it f'(z) dx with the next layer's dx = w^T dz.

        `columns[l]` holds the columns of w of layer l, so dx_i = sum_o w_oi dz_o is a dot product.
        """
        dz = self._output_delta(zs[-1], ys[-1], t)
        dzs = [dz]
        for layer in range(len(zs) - 2, -1, -1):
            df = self._df[layer]
            dx = [dot(column, dz) for column in columns[layer + 1]]
            dz = [df(z) * d for z, d in zip(zs[layer], dx)]
            dzs.append(dz)
        return dzs[::-1]

    def _output_delta(self, z: Vector, y: Vector, t: Vector) -> Vector:
        """dC/dz (O,) of the last layer for one sample."""
        derivative: Any = LOSSES[self.loss.name].derivative
        if self.loss.name == "binary_cross_entropy":
            return binary_cross_entropy_derivative(z, t, self.output_activation.beta)
        if self.loss.name == "cross_entropy":
            return cross_entropy_derivative(z, t)
        return [self._df[-1](a) * dy for a, dy in zip(z, derivative(y, t))]

    def _cost(self, z: Vector, y: Vector, t: Vector) -> float:
        """C of one sample."""
        if self.loss.name == "binary_cross_entropy":
            return binary_cross_entropy(z, t, self.output_activation.beta)
        if self.loss.name == "cross_entropy":
            return cross_entropy(z, t)
        return float(LOSSES[self.loss.name].value(y, t))

    def _loss_and_gradient(self, X: Matrix, T: Matrix) -> tuple[float, Matrix]:
        """C = 1/B sum_k C_k and dC/dP, row by row, with dC_k/dw = dz x^T (O, I) and dC_k/db = dz (O,)."""
        n = len(X)
        loss = 0.0
        gradient = [[0.0] * len(row) for row in self._rows]
        columns = [(), *(list(zip(*w)) for w, _ in self._layers[1:])]
        for x, t in zip(X, T):
            zs, ys = self._forward(x)
            loss += self._cost(zs[-1], ys[-1], t)
            at = 0
            for dz, inputs in zip(self._backward(zs, ys, t, columns), [x, *ys]):
                dz = [d / n for d in dz]
                for d in dz:
                    if d:  # a silent ReLU has nothing to add
                        gradient[at] = [g + d * v for g, v in zip(gradient[at], inputs)]
                    at += 1
                gradient[at] = list(map(operator.add, gradient[at], dz))
                at += 1
        return loss / n, gradient

    # --- prediction ---

    def predict(self, X: Any) -> Any:
        """The outputs, (B, O); a row in gives a row out."""
        return self.activations(X)[-1]

    __call__ = predict

    def classify(self, X: Any) -> Any:
        """The class of each row: argmax, the lowest index on a tie; y >= 0.5 where O is 1."""
        X, single = _matrix("X", X, self.sizes[0])
        classes = [_class(self._forward(x)[1][-1]) for x in X]
        return classes[0] if single else classes

    def activations(self, X: Any) -> list[Any]:
        """y of every layer, each (B, O)."""
        return self._trace(X, 1)

    def pre_activations(self, X: Any) -> list[Any]:
        """z of every layer, each (B, O)."""
        return self._trace(X, 0)

    def _trace(self, X: Any, which: int) -> list[Any]:
        X, single = _matrix("X", X, self.sizes[0])
        rows = [self._forward(x)[which] for x in X]
        return rows[0] if single else [list(layer) for layer in zip(*rows)]

    def evaluate(self, X: Any, y: Any) -> dict[str, float]:
        """{"loss": ...}, with "accuracy" for the cross entropies."""
        X, T, _ = self._examples(X, y)
        return self._measure(X, T)

    def _measure(self, X: Matrix, T: Matrix) -> dict[str, float]:
        loss, n_right = 0.0, 0
        for x, t in zip(X, T):
            zs, ys = self._forward(x)
            loss += self._cost(zs[-1], ys[-1], t)
            n_right += _class(ys[-1]) == _class(t)
        accuracy = {"accuracy": n_right / len(X)} if LOSSES[self.loss.name].partner else {}
        return {"loss": loss / len(X), **accuracy}

    # --- training ---

    def loss_and_grad(self, X: Any, y: Any) -> tuple[float, Vector]:
        """C, the mean over the batch, and dC/dP as one vector in the order of P."""
        self._check_trainable()
        X, T, _ = self._examples(X, y)
        loss, gradient = self._loss_and_gradient(X, T)
        return loss, list(chain.from_iterable(gradient))

    def input_gradient(self, X: Any, y: Any) -> Any:
        """dC/dX, (B, I), of C, the mean over the batch; a row in gives a row out."""
        self._check_trainable()
        X, T, single = self._examples(X, y)
        columns = [list(zip(*w)) for w, _ in self._layers]
        dX = []
        for x, t in zip(X, T):
            dz = self._backward(*self._forward(x), t, columns)[0]
            dX.append([dot(column, dz) / len(X) for column in columns[0]])
        return dX[0] if single else dX

    def train_on_batch(self, X: Any, y: Any, optimizer: Any = None) -> float:
        """One step of the optimiser (by default the one in use); returns the loss before it."""
        self._check_trainable()
        X, T, _ = self._examples(X, y, finite=True)
        choice = self._next_optimizer(optimizer)
        loss, gradient = self._loss_and_gradient(X, T)
        if not math.isfinite(loss):
            raise FloatingPointError(f"loss: expected a finite number, got {loss!r}; a lower learning rate may help")
        self._use_optimizer(choice)
        self._step(gradient)
        return loss

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        epochs: int = 10,
        batch_size: int | None = 32,
        optimizer: Any = "adam",
        shuffle: bool = True,
        validation_data: Any = None,
        callbacks: Sequence[Any] = (),
        verbose: int = 0,
    ) -> History:
        """Pass over the data `epochs` times, a step after each batch; the losses are those before the steps."""
        self._check_trainable()
        epochs = _integer("epochs", epochs, 1)
        X, T, single = self._examples(X, y, finite=True)
        if single:
            raise ValueError(f"X: expected shape (B, {self.sizes[0]}), got ({len(X[0])},)")
        batch_size = len(X) if batch_size is None else _integer("batch_size", batch_size, 1)
        shuffle = _flag("shuffle", shuffle)
        validation = self._validation(validation_data)
        callbacks = _check_callbacks(callbacks)
        self._use_optimizer(self._next_optimizer(optimizer))
        history, logs = History(), dict[str, float]()
        _notify(callbacks, "on_train_begin", logs)
        for epoch in range(epochs):
            start = time.perf_counter()
            _notify(callbacks, "on_epoch_begin", epoch, {})
            logs = {"loss": self._epoch(epoch, X, T, batch_size, shuffle)}
            if validation is not None:
                logs.update({f"val_{name}": value for name, value in self._measure(*validation).items()})
            history._append(logs)
            if verbose:
                words = ", ".join(f"{name} {value:.6g}" for name, value in logs.items())
                print(f"epoch {epoch + 1}/{epochs}: {words}, {time.perf_counter() - start:.2f} s", file=sys.stderr)
            if _notify(callbacks, "on_epoch_end", epoch, dict(logs)):
                break
        _notify(callbacks, "on_train_end", dict(logs))
        return history

    def _epoch(self, epoch: int, X: Matrix, T: Matrix, batch_size: int, shuffle: bool) -> float:
        """One pass; after a loss or parameter that is not finite P is as before it, and `FloatingPointError`."""
        order = self._random.permutation(len(X)) if shuffle else range(len(X))
        before = [row[:] for row in self._rows]
        total = 0.0
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            loss, gradient = self._loss_and_gradient([X[k] for k in batch], [T[k] for k in batch])
            total += loss * len(batch)
            if not math.isfinite(total):
                break
            self._step(gradient)
        if not (math.isfinite(total) and all(map(math.isfinite, chain.from_iterable(self._rows)))):
            self._write(before)
            raise FloatingPointError(
                f"loss: expected a finite number, got a loss or parameters that are not in epoch {epoch}; those of "
                "the epoch before it are kept; a lower learning rate or scaled inputs may help"
            )
        return total / len(X)

    def _step(self, gradient: Matrix) -> None:
        self._n_steps += 1
        update = OPTIMIZERS[self._optimizer.name].value
        for p, g, state in zip(self._rows, gradient, self._states):
            update(p, g, state, self._n_steps, self._optimizer)

    def _next_optimizer(self, optimizer: Any) -> Choice:
        if optimizer is None:
            optimizer = self._optimizer if self._optimizer is not None else "adam"
        return _choose("optimizer", optimizer, OPTIMIZERS)

    def _use_optimizer(self, choice: Choice) -> None:
        """Continue with an equal optimiser's state, or start anew."""
        if choice != self._optimizer:
            self._optimizer: Any = choice
            self._n_steps = 0
            n_states = OPTIMIZERS[choice.name].n_states
            self._states = [[[0.0] * len(row) for _ in range(n_states)] for row in self._rows]

    def _forget_optimizer(self) -> None:
        self._optimizer, self._n_steps, self._states = None, 0, []

    # --- parameters ---

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, the length of P."""
        return sum(map(len, self._rows))

    @property
    def parameters(self) -> Vector:
        """A copy of P; assigning copies in."""
        return list(chain.from_iterable(self._rows))

    @parameters.setter
    def parameters(self, P: Any) -> None:
        values = _vector("parameters", P, self.n_parameters)
        rows, at = [], 0
        for row in self._rows:
            rows.append(values[at : at + len(row)])
            at += len(row)
        places = [
            f"{name}[{layer}]{index}"
            for layer, (w, b) in enumerate(self._layers)
            for name, index in (*(("weights", f"[{o}]") for o in range(len(w))), ("biases", ""))
        ]
        for place, row in zip(places, rows):
            _check_finite("parameters", row, place)
        self._write(rows)

    @property
    def weights(self) -> list[Matrix]:
        """A copy of w (O, I) of every layer."""
        return [[row[:] for row in w] for w, _ in self._layers]

    @property
    def biases(self) -> list[Vector]:
        """A copy of b (O,) of every layer."""
        return [b[:] for _, b in self._layers]

    def set_layer(self, l: int, w: Any, b: Any) -> None:
        """Copy w (O, I) and b (O,) into layer l, counted from 0, from the end where it is negative."""
        layer = _integer("l", l)
        n_layers = len(self._layers)
        if not -n_layers <= layer < n_layers:
            raise IndexError(f"l: expected a layer from {-n_layers} to {n_layers - 1}, got {layer}")
        layer %= n_layers
        old_w, old_b = self._layers[layer]
        shape = (len(old_w), len(old_w[0]))
        w = _plain(w)
        if _shape(w) != shape:
            raise ValueError(f"w: expected shape {shape}, got {_shape(w)}")
        rows = [*(_vector(f"w[{o}]", row, shape[1]) for o, row in enumerate(w)), _vector("b", b, shape[0])]
        for o, row in enumerate(rows):
            _check_finite("w" if o < shape[0] else "b", row, f"layer {layer}" + (f", row {o}" if o < shape[0] else ""))
        for old, new in zip([*old_w, old_b], rows):
            old[:] = new
        self._forget_optimizer()

    def _write(self, rows: Matrix) -> None:
        for old, new in zip(self._rows, rows):
            old[:] = new
        self._forget_optimizer()

    # --- the network as a whole ---

    def copy(self) -> Network:
        """An independent network that would continue exactly as this one."""
        return copy.deepcopy(self)

    def fold_linear(self) -> Network:
        """A network with each identity hidden layer merged into the next: W = w2 w1, B = w2 b1 + b2 (paper, proof)."""
        sizes, activations, layers = [self.sizes[0]], [], []
        w1: Matrix = []
        b1: Vector = []
        for layer, (w, b) in enumerate(self._layers):
            if w1:
                b = [dot(row, b1) + bias for row, bias in zip(w, b)]
                w = [[dot(row, column) for column in zip(*w1)] for row in w]
            hidden = layer < len(self.activation)
            if hidden and self.activation[layer].name == "identity":
                w1, b1 = w, b
                continue
            w1, b1 = [], []
            layers.append((w, b))
            sizes.append(len(b))
            activations += [self.activation[layer]] if hidden else []
        words: dict[str, Any] = {"output_activation": self.output_activation, "loss": self.loss, "init": self.init}
        folded = Network(sizes, activation=activations, seed=self.seed, **words)
        folded._random.state = self._random.state
        for layer, (w, b) in enumerate(layers):
            folded.set_layer(layer, w, b)
        return folded

    def summary(self) -> str:
        """The layers with their shapes and numbers of parameters, as text."""
        lines = [f"{'layer':>5}  {'inputs':>7}  {'outputs':>7}  {'parameters':>10}  activation"]
        for layer, (w, b) in enumerate(self._layers):
            n_inputs, n_outputs = len(w[0]), len(b)
            choice = [*self.activation, self.output_activation][layer]
            lines.append(f"{layer:>5}  {n_inputs:>7,}  {n_outputs:>7,}  {n_outputs * (n_inputs + 1):>10,}  {choice!r}")
        return "\n".join([*lines, f"{self.n_parameters:,} parameters, loss {self.loss.name}, pure Python"])

    def __repr__(self) -> str:
        return (
            f"Network({list(self.sizes)}, activation={list(self.activation)}, output_activation="
            f"{self.output_activation}, loss={self.loss.name!r}, init={self.init!r}, seed={self.seed})"
        )

    # --- checks that need the network ---

    def _check_trainable(self) -> None:
        if any(choice.name == "threshold" for choice in (*self.activation, self.output_activation)):
            raise ValueError("activation: expected activations that can be trained, got 'threshold', whose f' is 0")

    def _examples(
        self, X: Any, y: Any, *, finite: bool = False, names: tuple[str, str] = ("X", "y")
    ) -> tuple[Matrix, Matrix, bool]:
        """X as rows (B, I), y as target rows (B, O), and whether X was a single row."""
        X, single = _matrix(names[0], X, self.sizes[0])
        T = _targets(names[1], [_plain(y)] if single else _plain(y), len(X), self.sizes[-1])
        for name, rows in zip(names, (X, T)):
            for i, row in enumerate(rows if finite else ()):
                _check_finite(name, row, f"row {i}")
        for i, t in enumerate(T if LOSSES[self.loss.name].partner else ()):
            for o, value in enumerate(t):
                if not 0.0 <= value <= 1.0:
                    raise ValueError(f"{names[1]}: expected targets in [0, 1], got {value!r} in row {i}, column {o}")
        return X, T, single

    def _validation(self, data: Any) -> tuple[Matrix, Matrix] | None:
        if data is None:
            return None
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise TypeError(f"validation_data: expected a pair (X, y), got {type(data).__name__}")
        return self._examples(*data, finite=True, names=("validation_data[0]", "validation_data[1]"))[:2]


# --- checks of arguments: the value in one type, or TypeError or ValueError "<argument>: expected ..., got ..." ---


def _check_name(argument: str, value: Any, names: Iterable[str]) -> str:
    known = list(names)
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    if value not in known:
        near = difflib.get_close_matches(value.lower(), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{argument}: expected one of {', '.join(map(repr, known))}, got {value!r}{hint}")
    return value


def _integer(argument: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{argument}: expected an integer, got {value!r}")
    number = operator.index(value)
    if (least is not None and number < least) or (most is not None and number > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{argument}: expected an integer {bounds}, got {number}")
    return number


def _flag(argument: str, value: Any) -> bool:
    if type(value).__name__ not in ("bool", "bool_"):
        raise TypeError(f"{argument}: expected True or False, got {value!r}")
    return bool(value)


def _choose(argument: str, value: Any, table: Mapping[str, Entry]) -> Choice:
    """The name and hyper-parameters that a name, or an object with a name and attributes, stands for."""
    known = [*table, *(alias for alias, name in ALIASES.items() if name in table)]
    name = _check_name(argument, getattr(value, "name", value), known)
    choice = Choice(name=ALIASES.get(name, name))
    for field, default in table[choice.name].fields.items():
        given = default if isinstance(value, str) else getattr(value, field, default)
        if isinstance(default, bool):
            setattr(choice, field, _flag(field, given))
            continue
        if isinstance(given, bool) or not isinstance(given, numbers.Real):
            raise TypeError(f"{field}: expected a real number, got {given!r}")
        expected, inside = BOUNDS.get(field, ("", math.isfinite))
        if not (math.isfinite(given) and inside(float(given))):
            raise ValueError(f"{field}: expected a finite number {expected}, got {given!r}")
        setattr(choice, field, float(given))
    if choice.name == "piecewise_linear" and not 0.0 < choice.x_max - choice.x_min < math.inf:
        raise ValueError(f"x_min: expected a number below x_max = {choice.x_max!r}, got {choice.x_min!r}")
    if choice.name == "sgd" and choice.nesterov and not choice.momentum:
        raise ValueError("nesterov: expected a momentum above 0 to go with it, got momentum=0.0")
    return choice


def _bind(function: Callable[..., Any] | None, choice: Choice) -> Any:
    """The activation function of z alone."""
    fields = ACTIVATIONS[choice.name].fields
    own = {field: getattr(choice, field) for field in fields if getattr(choice, field) != fields[field]}
    return partial(function, **own) if function and own else function


def _elementwise(f: Callable[[float], float], z: Vector) -> Vector:
    return list(map(f, z))


def _row_function(choice: Choice) -> Callable[[Vector], Vector]:
    return softmax if choice.name == "softmax" else partial(_elementwise, _bind(ACTIVATIONS[choice.name].value, choice))


def _check_sizes(sizes: Any) -> tuple[int, ...]:
    sizes = _plain(sizes)
    if not isinstance(sizes, (list, tuple)):
        raise TypeError(f"sizes: expected a sequence of integers, got {sizes!r}")
    if len(sizes) < 2:
        raise ValueError(f"sizes: expected at least 2 layer sizes, inputs and outputs, got {sizes!r}")
    checked = tuple(_integer(f"sizes[{i}]", size, 1) for i, size in enumerate(sizes))
    if sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in pairwise(checked)) > 2**31:
        raise ValueError(f"sizes: expected at most 2**31 parameters, got {list(checked)}")
    return checked


def _hidden_activations(activation: Any, n_hidden: int) -> tuple[Choice, ...]:
    each = list(activation) if isinstance(activation, (list, tuple)) else [activation] * max(n_hidden, 1)
    choices = [_choose("activation", value, ACTIVATIONS) for value in each]
    if isinstance(activation, (list, tuple)) and len(each) != n_hidden:
        raise ValueError(f"activation: expected one for each of {n_hidden} hidden layers, got {len(each)}")
    if any(choice.name == "softmax" for choice in choices):
        raise ValueError("activation: expected an elementwise activation, got 'softmax' (output_activation only)")
    return tuple(choices[:n_hidden])


def _output_activation(loss: Choice, activation: Any) -> Choice:
    partner = LOSSES[loss.name].partner
    choice = _choose("output_activation", (partner or "identity") if activation is None else activation, ACTIVATIONS)
    if partner and choice.name != partner:
        raise ValueError(
            f"output_activation: expected {partner!r}, the partner of loss {loss.name!r}, got {choice.name!r}"
        )
    if choice.name == "softmax" and partner != "softmax":
        raise ValueError(f"output_activation: 'softmax' expects its partner, loss 'cross_entropy', got {loss.name!r}")
    return choice


def _class(y: Vector) -> int:
    return int(y[0] >= 0.5) if len(y) == 1 else y.index(max(y))


def _plain(value: Any) -> Any:
    """Lists in place of an array, or of the arrays in a list."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (float, int)):
        return [_plain(v) for v in value]
    return value


def _shape(value: Any) -> tuple[int, ...]:
    shape: list[int] = []
    while isinstance(value, (list, tuple)):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _vector(argument: str, row: Any, n: int) -> Vector:
    """n real numbers as floats."""
    row = _plain(row)
    if not isinstance(row, (list, tuple)) or len(row) != n:
        raise ValueError(f"{argument}: expected shape ({n},), got {_shape(row)}")
    if not set(map(type, row)) <= {float, int}:
        for value in row:
            if isinstance(value, (list, tuple)):
                raise ValueError(f"{argument}: expected shape ({n},), got {_shape(row)}")
            if not isinstance(value, numbers.Real):
                raise TypeError(f"{argument}: expected real numbers, got {value!r}")
    return list(map(float, row))


def _matrix(argument: str, X: Any, n: int) -> tuple[Matrix, bool]:
    """Rows of n floats, and whether a single row came."""
    X = _plain(X)
    shape = _shape(X)
    if not shape and not isinstance(X, numbers.Real):
        raise TypeError(f"{argument}: expected nested lists of numbers, got {X!r}")
    if shape == (n,):
        return [_vector(argument, X, n)], True
    if len(shape) != 2 or shape[1] != n:
        raise ValueError(f"{argument}: expected shape (B, {n}) with B at least 1, or ({n},), got {shape}")
    return [_vector(f"{argument}[{i}]", row, n) for i, row in enumerate(X)], False


def _check_finite(argument: str, row: Vector, place: str) -> None:
    if not all(map(math.isfinite, row)):
        i, value = next((i, value) for i, value in enumerate(row) if not math.isfinite(value))
        raise ValueError(f"{argument}: expected finite numbers, got {value!r} in {place}, column {i}")


def _targets(argument: str, y: Any, n_rows: int, n_outputs: int) -> Matrix:
    """Target rows (B, O) from rows, from numbers (B,) where O is 1, or from class labels (B,)."""
    shape = _shape(y)
    if not shape and not isinstance(y, numbers.Real):
        raise TypeError(f"{argument}: expected nested lists of numbers, got {y!r}")
    if shape == (n_rows, n_outputs):
        return [_vector(f"{argument}[{i}]", row, n_outputs) for i, row in enumerate(y)]
    if shape != (n_rows,):
        flat = f"({n_rows},)" if n_outputs == 1 else f"labels ({n_rows},)"
        raise ValueError(f"{argument}: expected shape ({n_rows}, {n_outputs}) or {flat} for X's rows, got {shape}")
    values = _vector(argument, y, n_rows)
    if n_outputs == 1:
        return [[value] for value in values]
    for i, value in enumerate(values):
        if not (value.is_integer() and 0 <= value < n_outputs):
            raise ValueError(f"{argument}: expected class labels from 0 to {n_outputs - 1}, got {y[i]!r} in row {i}")
    return [[float(o == label) for o in range(n_outputs)] for label in map(int, values)]


HOOKS = ("on_train_begin", "on_epoch_begin", "on_epoch_end", "on_train_end")


def _check_callbacks(callbacks: Any) -> list[Any]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a sequence, got {callbacks!r}")
    each = list(callbacks)
    for i, callback in enumerate(each):
        if not (callable(callback) or any(hasattr(callback, hook) for hook in HOOKS)):
            raise TypeError(f"callbacks[{i}]: expected a callable or an object with hooks, got {callback!r}")
    return each


def _notify(callbacks: Sequence[Any], hook: str, *arguments: Any) -> bool:
    """Tell every callback; a plain callable hears of the end of an epoch only. Whether one of them said stop."""
    stop = False
    for callback in callbacks:
        has_hooks = any(hasattr(callback, name) for name in HOOKS)
        function = getattr(callback, hook, None) if has_hooks else callback if hook == "on_epoch_end" else None
        answer = function(*arguments) if function is not None else None
        stop |= type(answer).__name__ in ("bool", "bool_") and bool(answer)
    return stop
