"""A network without its training: one sample after another, z = w x + b and y = f(z), and backpropagation back again.

Legend: B rows of a batch, I inputs and O outputs of a layer, L layers, x (I,), w (O, I), b (O,), z, y (O,), t the
target; dz is dC/dz. The parameter vector P is w1, b1, w2, b2, ..., each weight row by row.
Invariants: errors are raised before anything is written; `_rows` holds the rows of P, the very lists that `_layers`
holds, so that both are only ever changed in place.
"""

from __future__ import annotations

import copy
import math
import operator
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Self

from . import checks, columns, losses
from .checks import Choice
from .functions import ACTIVATIONS, Matrix, SplitMix64, Vector, dot, softmax
from .losses import LOSSES
from .metrics import accuracy, class_of
from .regularization import Draws

INITS = ("auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal")


class Model:
    """What a network is; users make a `Network`, which has the documentation of the arguments."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: Any = "relu",
        output_activation: Any = None,
        loss: Any = "mse",
        init: str = "auto",
        seed: int | None = None,
        input_scaling: Any = None,
        target_scaling: Any = None,
    ) -> None:
        self.sizes = checks.layer_sizes(sizes)
        self.activation = checks.hidden_activations(activation, len(self.sizes) - 2)
        self.loss = checks.choose("loss", loss, LOSSES)
        self.output_activation = checks.output_activation(self.loss, output_activation, self.sizes[-1])
        self.init = checks.known_name("init", init, INITS)
        self.seed = None if seed is None else checks.integer("seed", seed, 0, 2**64 - 1)
        self.input_scaling = columns.scaling("input_scaling", input_scaling, self.sizes[0])
        self.target_scaling = columns.scaling("target_scaling", target_scaling, self.sizes[-1])
        if target_scaling is not None and (LOSSES[self.loss.name].targets, losses.n_heads(self.loss)) != ("real", 1):
            raise ValueError(f"target_scaling: expected None for the loss {self.loss.name!r}, got {target_scaling!r}")
        choices = [*self.activation, self.output_activation]
        self._beta = getattr(self.output_activation, "beta", 1.0)  # of the losses that work from z
        self._f = [_row_function(choice) for choice in choices]
        self._df = [_bind(ACTIVATIONS[choice.name].derivative, choice) for choice in choices]
        self._random = SplitMix64(secrets.randbits(64) if self.seed is None else self.seed)
        self._layers = [
            self._draw_layer(n_inputs, n_outputs, choice)
            for n_inputs, n_outputs, choice in zip(self.sizes, self.sizes[1:], choices)
        ]
        self._rows = [row for w, b in self._layers for row in (*w, b)]
        self._weight_rows = [row for w, _ in self._layers for row in w]
        self._is_weight = [is_weight for _, b in self._layers for is_weight in (*[True] * len(b), False)]
        self._forget_state()

    def _forget_state(self) -> None:
        """What a training remembers goes where the parameters are replaced; a model remembers nothing."""

    def _draw_layer(self, n_inputs: int, n_outputs: int, activation: Choice) -> tuple[Matrix, Vector]:
        """w (O, I) row by row, then b (O,), from the random stream."""
        init, random = self.init, self._random
        if init == "auto":
            init = ACTIVATIONS[activation.name].init
        slope = getattr(activation, "negative_slope", 0.0)
        scale = {
            "glorot_uniform": math.sqrt(6.0 / (n_inputs + n_outputs)),
            "he_uniform": math.sqrt(6.0 / ((1.0 + slope * slope) * n_inputs)),
            "lecun_normal": math.sqrt(1.0 / n_inputs),
            "normal": 1.0,
        }[init]
        if init.endswith("uniform"):
            w = [[(2.0 * random.uniform() - 1.0) * scale for _ in range(n_inputs)] for _ in range(n_outputs)]
        else:
            w = [[random.normal() * scale for _ in range(n_inputs)] for _ in range(n_outputs)]
        return w, [random.normal() if init == "normal" else 0.0 for _ in range(n_outputs)]

    # --- the mathematics, one sample at a time ---

    def _forward(self, x: Vector, masks: Sequence[Vector | None] = ()) -> tuple[Matrix, Matrix]:
        """z = w x + b (O,) and y = f(z) (O,) of every layer, times its mask if any; y of one is x of the next."""
        zs, ys = [], []
        for (w, b), f, mask in zip(self._layers, self._f, chain(masks, repeat(None))):
            z = [dot(row, x) + bias for row, bias in zip(w, b)]
            x = f(z) if mask is None else list(map(operator.mul, f(z), mask))
            zs.append(z)
            ys.append(x)
        return zs, ys

    def _backward(
        self, zs: Matrix, ys: Matrix, t: Vector, columns: list[Any], masks: Sequence[Vector | None] = ()
    ) -> Matrix:
        """dz (O,) of every layer: at the last f'(z) dC/dy, before it f'(z) m dx with the next layer's dx = w^T dz and
        the layer's mask m, if any.

        `columns[l]` holds the columns of w of layer l, so dx_i = sum_o w_oi dz_o is a dot product.
        """
        dz = self._output_delta(zs[-1], ys[-1], t)
        dzs = [dz]
        for layer in range(len(zs) - 2, -1, -1):
            df = self._df[layer]
            dx = [dot(column, dz) for column in columns[layer + 1]]
            if masks and (mask := masks[layer]) is not None:
                dx = list(map(operator.mul, dx, mask))
            dz = [df(z) * d for z, d in zip(zs[layer], dx)]
            dzs.append(dz)
        return dzs[::-1]

    def _output_delta(self, z: Vector, y: Vector, t: Vector) -> Vector:
        """dC/dz (O,) of the last layer for one sample."""
        entry = LOSSES[self.loss.name]
        if entry.from_z:
            return [self._beta * dz for dz in entry.derivative([self._beta * a for a in z], t, self.loss)]
        return [self._df[-1](a) * dy for a, dy in zip(z, entry.derivative(y, t, self.loss))]

    def _cost(self, z: Vector, y: Vector, t: Vector) -> float:
        """C of one sample."""
        entry = LOSSES[self.loss.name]
        return float(entry.value([self._beta * a for a in z] if entry.from_z else y, t, self.loss))

    def _loss_and_gradient(self, X: Matrix, T: Matrix, W: Vector, drawn: Draws | None = None) -> tuple[float, Matrix]:
        """C = sum_k w_k C_k / sum_k w_k and dC/dP, row by row, with dC_k/dw = dz x^T (O, I) and dC_k/db = dz (O,).

        `drawn`: what is done to the rows of this step at random.
        """
        total = sum(W)
        loss = 0.0
        gradient = [[0.0] * len(row) for row in self._rows]
        columns = [(), *(list(zip(*w)) for w, _ in self._layers[1:])]
        masks: Sequence[Vector | None] = ()
        for k, (x, t, weight) in enumerate(zip(X, T, W)):
            if not weight:  # as if the row were not there
                continue
            if drawn is not None:
                x, masks = drawn.inputs(k, x), drawn.masks(k, self.sizes[1:-1])
            zs, ys = self._forward(x, masks)
            loss += weight * self._cost(zs[-1], ys[-1], t)
            at = 0
            for dz, inputs in zip(self._backward(zs, ys, t, columns, masks), [x, *ys]):
                dz = [weight / total * d for d in dz]
                for d in dz:
                    if d:  # a silent ReLU has nothing to add
                        gradient[at] = [g + d * v for g, v in zip(gradient[at], inputs)]
                    at += 1
                gradient[at] = list(map(operator.add, gradient[at], dz))
                at += 1
        return loss / total if total else 0.0, gradient

    # --- prediction ---

    def predict(self, X: Any) -> Any:
        """The outputs, (B, O); a row in gives a row out."""
        Y = self.activations(X)[-1]
        single = type(Y[0]) is not list
        Y = columns.undo(self.target_scaling, [Y] if single else Y)
        return Y[0] if single else Y

    __call__ = predict

    def classify(self, X: Any) -> Any:
        """The class of each row: argmax, the lowest index on a tie; y > 0.5 (hinge: 0) where O is 1; 0 of NaN."""
        X, single = checks.matrix("X", X, self.sizes[0])
        classes = [max(class_of(y, LOSSES[self.loss.name].threshold), 0) for y in self.predict(X)]
        return classes[0] if single else classes

    def activations(self, X: Any) -> list[Any]:
        """y of every layer, each (B, O)."""
        return self._trace(X, 1)

    def pre_activations(self, X: Any) -> list[Any]:
        """z of every layer, each (B, O)."""
        return self._trace(X, 0)

    def _trace(self, X: Any, which: int) -> list[Any]:
        X, single = checks.matrix("X", X, self.sizes[0])
        rows = [self._forward(x)[which] for x in columns.apply(self.input_scaling, X)]
        return rows[0] if single else [list(layer) for layer in zip(*rows)]

    def evaluate(
        self, X: Any, y: Any, *, metrics: Any = (), sample_weight: Any = None, class_weight: Any = None
    ) -> dict[str, float]:
        """{"loss": ...}, with "accuracy" for losses of classes, weighted means, and metrics; NaN in X gives NaN."""
        table = checks.metric_table(metrics)
        labels = self._labels(y)
        X, T, _ = self._examples(X, y)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        return self._measure(X, T, W, labels, table)

    def _measure(self, X: Matrix, T: Matrix, W: Vector, labels: Any, table: Mapping[str, Any]) -> dict[str, float]:
        """Loss, accuracy and metrics; the user's own get labels, or rows, or numbers where a row has one."""
        loss, right, Y, entry = 0.0, 0.0, [], LOSSES[self.loss.name]
        for x, t, weight in zip(X, T, W):
            zs, ys = self._forward(x)
            loss += weight * self._cost(zs[-1], ys[-1], t) if weight else 0.0
            y, threshold = (ys[-1], entry.threshold) if entry.classifies else (losses.estimate(ys[-1], self.loss), 0.5)
            right += weight * (class_of(y, threshold) == class_of(t))
            Y.append(ys[-1])
        share = right / sum(W)
        figures = {"loss": loss / sum(W), **({"accuracy": share} if entry.classifies else {})}
        T, Y = (columns.undo(self.target_scaling, each) for each in (T, Y))
        own = [T if labels is None else labels, Y]
        own = [[row[0] for row in each] if type(each[0]) is list and len(each[0]) == 1 else each for each in own]
        estimates = [losses.estimate(y, self.loss) for y in Y]
        if entry.targets == "one class":
            T = [[float(v == 1.0) for v in t] for t in T]
        for name, (f, is_own) in table.items():
            figures[name] = float(f(*own) if is_own else share if f is accuracy else f(T, estimates))
        return figures

    def _labels(self, y: Any) -> list[int] | None:
        """The class labels that y is, if it is some."""
        y = checks.plain(y)
        n_targets = self.sizes[-1] // losses.n_heads(self.loss)
        return [int(label) for label in y] if len(checks.shape_of(y)) == 1 and n_targets > 1 else None

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
        rows = self._cut(checks.vector("parameters", P, self.n_parameters))
        places = [
            f"{name}[{layer}]{index}"
            for layer, (w, b) in enumerate(self._layers)
            for name, index in (*(("weights", f"[{o}]") for o in range(len(w))), ("biases", ""))
        ]
        for place, row in zip(places, rows):
            checks.require_finite("parameters", row, place)
        self._write(rows)

    def _put_parameters(self, P: Any) -> None:
        """What `EarlyStopping` calls."""
        self.parameters = P

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
        layer = checks.integer("l", l)
        n_layers = len(self._layers)
        if not -n_layers <= layer < n_layers:
            raise IndexError(f"l: expected a layer from {-n_layers} to {n_layers - 1}, got {layer}")
        layer %= n_layers
        old_w, old_b = self._layers[layer]
        shape = (len(old_w), len(old_w[0]))
        w = checks.plain(w)
        if checks.shape_of(w) != shape:
            raise ValueError(f"w: expected shape {shape}, got {checks.shape_of(w)}")
        rows = [*(checks.vector(f"w[{o}]", row, shape[1]) for o, row in enumerate(w)), checks.vector("b", b, shape[0])]
        for o, row in enumerate(rows):
            checks.require_finite(
                "w" if o < shape[0] else "b", row, f"layer {layer}" + (f", row {o}" if o < shape[0] else "")
            )
        for old, new in zip([*old_w, old_b], rows):
            old[:] = new
        self._forget_state()

    def _cut(self, P: Vector) -> Matrix:
        """P as rows."""
        values = iter(P)
        return [list(islice(values, len(row))) for row in self._rows]

    def _put(self, P: Vector) -> None:
        for old, new in zip(self._rows, self._cut(P)):
            old[:] = new

    def _write(self, rows: Matrix) -> None:
        for old, new in zip(self._rows, rows):
            old[:] = new
        self._forget_state()

    # --- the network as a whole ---

    def copy(self) -> Self:
        """A network of its own with the same parameters and random stream; its optimiser starts anew."""
        return copy.deepcopy(self)

    __copy__ = copy

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
            f"{self.output_activation}, loss={self.loss!r}, init={self.init!r}, seed={self.seed})"
        )

    # --- checks that need the network ---

    def _check_scaled(self, what: str) -> None:
        for name in ("input_scaling", "target_scaling"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name}: expected offset and scale before {what}, or a fit, got a name")

    def _check_trainable(self) -> None:
        if any(choice.name == "threshold" for choice in (*self.activation, self.output_activation)):
            raise ValueError("activation: expected activations that can be trained, got 'threshold', whose f' is 0")

    def _examples(
        self, X: Any, y: Any, *, finite: bool = False, names: tuple[str, str] = ("X", "y")
    ) -> tuple[Matrix, Matrix, bool]:
        """X as rows (B, I), y as target rows (B, O), both scaled if that is known, and whether X was a single row."""
        X, single = checks.matrix(names[0], X, self.sizes[0])
        n_targets = self.sizes[-1] // losses.n_heads(self.loss)
        T = checks.targets(names[1], [checks.plain(y)] if single else checks.plain(y), len(X), n_targets)
        for name, rows in zip(names, (X if finite else (), T)):
            for i, row in enumerate(rows):
                checks.require_finite(name, row, f"row {i}")
        checks.fitting(names[1], T, self.loss)
        return columns.apply(self.input_scaling, X), columns.apply(self.target_scaling, T), single


def _bind(function: Callable[..., Any] | None, choice: Choice) -> Any:
    """The activation function of z alone."""
    fields = ACTIVATIONS[choice.name].fields
    own = {field: getattr(choice, field) for field in fields if getattr(choice, field) != fields[field]}
    return partial(function, **own) if function and own else function


def _elementwise(f: Callable[[float], float], z: Vector) -> Vector:
    return list(map(f, z))


def _row_function(choice: Choice) -> Callable[[Vector], Vector]:
    return softmax if choice.name == "softmax" else partial(_elementwise, _bind(ACTIVATIONS[choice.name].value, choice))
