"""A network without its training: its parameters, prediction, loss and gradient, for one sample after another.

Notation: B rows of a batch, I inputs and O outputs of a layer, L layers, x (I,), w (O, I), b (O,), z = w x + b and
y = f(z) (O,), t the target, C the loss; dz is dC/dz. The parameter vector P is w1, b1, w2, b2, ..., with each w row by
row. Invariants: errors are raised before anything is changed. `_rows` holds the rows of P, which are the same lists as
those in `_layers`, so they may only be changed in place.
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
    """The base class of `Network`, which documents the arguments; users create a `Network`."""

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
        self.init = checks.one_of("init", init, INITS)
        self.seed = None if seed is None else checks.integer("seed", seed, 0, 2**64 - 1)
        self.input_scaling = columns.scaling("input_scaling", input_scaling, self.sizes[0])
        self.target_scaling = columns.scaling("target_scaling", target_scaling, self.sizes[-1])
        if target_scaling is not None and (LOSSES[self.loss.name].targets, losses.n_heads(self.loss)) != ("real", 1):
            raise ValueError(f"target_scaling: expected None for the loss {self.loss.name!r}, got {target_scaling!r}")
        choices = [*self.activation, self.output_activation]
        self._beta = getattr(self.output_activation, "beta", 1.0)  # for the losses that take z
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
        self._reset_state()

    def _reset_state(self) -> None:
        """Reset the state of training, which is invalid after the parameters are replaced; a `Model` has none."""

    def _draw_layer(self, n_inputs: int, n_outputs: int, activation: Choice) -> tuple[Matrix, Vector]:
        """Draw w (O, I) row by row, then b (O,), from the network's random number generator."""
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

    # --- forward and backward pass of one sample ---

    def _forward(self, x: Vector, masks: Sequence[Vector | None] = ()) -> tuple[Matrix, Matrix]:
        """Return z = w x + b (O,) and y = f(z) (O,) of every layer; y is the x of the next layer.

        y is multiplied by the layer's mask, if it has one.
        """
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
        """Return dz (O,) of every layer.

        It is f'(z) dC/dy in the last layer and f'(z) m dx in the others, with dx = w^T dz of the next layer and the
        layer's mask m, if it has one. `columns[l]` holds the columns of w of layer l, so dx_i = sum_o w_oi dz_o is a
        dot product.
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

    def _loss_and_gradient(self, X: Matrix, T: Matrix, W: Vector, draws: Draws | None = None) -> tuple[float, Matrix]:
        """Return C = sum_k W_k C_k / sum_k W_k over the samples k, and dC/dP as rows.

        dC_k/dw = dz x^T (O, I) and dC_k/db = dz (O,). `draws` has the noise and the masks of this step.
        """
        total = sum(W)
        loss = 0.0
        gradient = [[0.0] * len(row) for row in self._rows]
        columns = [(), *(list(zip(*w)) for w, _ in self._layers[1:])]
        masks: Sequence[Vector | None] = ()
        for k, (x, t, weight) in enumerate(zip(X, T, W)):
            if not weight:  # a row of weight 0 is ignored, even if its loss is not finite
                continue
            if draws is not None:
                x, masks = draws.inputs(k, x), draws.masks(k, self.sizes[1:-1])
            zs, ys = self._forward(x, masks)
            loss += weight * self._cost(zs[-1], ys[-1], t)
            index = 0  # of the row of P
            for dz, inputs in zip(self._backward(zs, ys, t, columns, masks), [x, *ys]):
                dz = [weight / total * d for d in dz]
                for d in dz:
                    if d:  # saves time, as the dz of a ReLU is often 0
                        gradient[index] = [g + d * v for g, v in zip(gradient[index], inputs)]
                    index += 1
                gradient[index] = list(map(operator.add, gradient[index], dz))
                index += 1
        return loss / total if total else 0.0, gradient

    # --- prediction ---

    def predict(self, X: Any) -> Any:
        """Return the outputs (B, O), or (O,) for a single row (I,)."""
        Y = self.activations(X)[-1]
        single = type(Y[0]) is not list
        Y = columns.undo(self.target_scaling, [Y] if single else Y)
        return Y[0] if single else Y

    __call__ = predict

    def predict_population(self, P: Any, X: Any) -> list[Matrix]:
        """Return the outputs (K, B, O) with each of K parameter vectors, for X (B, I) or for own rows (K, B, I)."""
        P, X = checks.plain(P), checks.plain(X)
        has_own_rows = len(checks.shape_of(X)) == 3
        outputs, other = [], self.copy()
        for k, vector in enumerate(P):
            other.parameters = vector
            outputs.append(other.predict(X[k] if has_own_rows else X))
        return outputs

    def classify(self, X: Any) -> Any:
        """Return the class of each row: the index of the largest output, the lowest one on a tie; 0 for NaN.

        Where O is 1, it is whether the output is above 0.5, for a hinge loss above 0.
        """
        X, single = checks.matrix("X", X, self.sizes[0])
        classes = [max(class_of(y, LOSSES[self.loss.name].threshold), 0) for y in self.predict(X)]
        return classes[0] if single else classes

    def activations(self, X: Any) -> list[Any]:
        """Return y of every layer, each (B, O)."""
        return self._trace(X, 1)

    def pre_activations(self, X: Any) -> list[Any]:
        """Return z of every layer, each (B, O)."""
        return self._trace(X, 0)

    def _trace(self, X: Any, which: int) -> list[Any]:
        X, single = checks.matrix("X", X, self.sizes[0])
        rows = [self._forward(x)[which] for x in columns.apply(self.input_scaling, X)]
        return rows[0] if single else [list(layer) for layer in zip(*rows)]

    def evaluate(
        self, X: Any, y: Any, *, metrics: Any = (), sample_weight: Any = None, class_weight: Any = None
    ) -> dict[str, float]:
        """Return by name the weighted mean loss, the weighted accuracy for losses of classes, and the metrics.

        NaN in X gives NaN.
        """
        table = checks.metric_table(metrics)
        labels = self._labels(y)
        X, T, _ = self._examples(X, y)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        return self._measure(X, T, W, labels, table)

    def _measure(self, X: Matrix, T: Matrix, W: Vector, labels: Any, table: Mapping[str, Any]) -> dict[str, float]:
        """Return loss, accuracy and metrics by name.

        A user's own metric gets class labels or target rows, and output rows; rows of one number are passed as numbers.
        """
        loss, right, Y, entry = 0.0, 0.0, [], LOSSES[self.loss.name]
        for x, t, weight in zip(X, T, W):
            zs, ys = self._forward(x)
            loss += weight * self._cost(zs[-1], ys[-1], t) if weight else 0.0
            y, threshold = (ys[-1], entry.threshold) if entry.classifies else (losses.estimate(ys[-1], self.loss), 0.5)
            right += weight * (class_of(y, threshold) == class_of(t))
            Y.append(ys[-1])
        share = right / sum(W)
        results = {"loss": loss / sum(W), **({"accuracy": share} if entry.classifies else {})}
        T, Y = (columns.undo(self.target_scaling, each) for each in (T, Y))
        pair = [T if labels is None else labels, Y]  # for the user's own metrics
        pair = [[row[0] for row in each] if type(each[0]) is list and len(each[0]) == 1 else each for each in pair]
        estimates = [losses.estimate(y, self.loss) for y in Y]
        if entry.targets == "one class":
            T = [[float(v == 1.0) for v in t] for t in T]
        for name, (f, is_custom) in table.items():
            results[name] = float(f(*pair) if is_custom else share if f is accuracy else f(T, estimates))
        return results

    def _labels(self, y: Any) -> list[int] | None:
        """Return y as class labels, or None if y has targets."""
        y = checks.plain(y)
        n_targets = self.sizes[-1] // losses.n_heads(self.loss)
        return [int(label) for label in y] if len(checks.shape_of(y)) == 1 and n_targets > 1 else None

    # --- parameters ---

    @property
    def n_parameters(self) -> int:
        """Number of weights and biases, which is the length of P."""
        return sum(map(len, self._rows))

    @property
    def parameters(self) -> Vector:
        """A copy of P. An assignment copies the numbers into the network."""
        return list(chain.from_iterable(self._rows))

    @parameters.setter
    def parameters(self, P: Any) -> None:
        rows = self._as_rows(checks.vector("parameters", P, self.n_parameters))
        row_names = [
            f"{name}[{layer}]{index}"
            for layer, (w, b) in enumerate(self._layers)
            for name, index in (*(("weights", f"[{o}]") for o in range(len(w))), ("biases", ""))
        ]
        for row_name, row in zip(row_names, rows):
            checks.require_finite("parameters", row, row_name)
        self._write(rows)

    def _publish_parameters(self, P: Any) -> None:
        """Set P; `fastmlp.EarlyStopping` calls this method of any network."""
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
        """Copy w (O, I) and b (O,) into layer l, counted from 0, or from the end if l is negative."""
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
        self._reset_state()

    def _as_rows(self, P: Vector) -> Matrix:
        """Return P as rows."""
        values = iter(P)
        return [list(islice(values, len(row))) for row in self._rows]

    def _set_parameters(self, P: Vector) -> None:
        for old, new in zip(self._rows, self._as_rows(P)):
            old[:] = new

    def _write(self, rows: Matrix) -> None:
        for old, new in zip(self._rows, rows):
            old[:] = new
        self._reset_state()

    # --- the network as a whole ---

    def copy(self) -> Self:
        """Return a copy of the network with its parameters and random state; the copy's optimiser starts anew."""
        return copy.deepcopy(self)

    __copy__ = copy

    def summary(self) -> str:
        """Return a text with the layers, their shapes and their numbers of parameters."""
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

    def _check_scaled(self, method: str) -> None:
        """Raise `ValueError` if a scaling is not learnt yet, which the method cannot do."""
        for name in ("input_scaling", "target_scaling"):
            if isinstance(getattr(self, name), str):
                raise ValueError(f"{name}: expected offset and scale before {method}, or a fit, got a name")

    def _check_trainable(self) -> None:
        if any(choice.name == "threshold" for choice in (*self.activation, self.output_activation)):
            raise ValueError("activation: expected activations that can be trained, got 'threshold', whose f' is 0")

    def _examples(
        self, X: Any, y: Any, *, finite: bool = False, names: tuple[str, str] = ("X", "y")
    ) -> tuple[Matrix, Matrix, bool]:
        """Return X as rows (B, I), y as target rows (B, O), and whether X was a single row.

        Both are scaled by the scalings that are learnt.
        """
        X, single = checks.matrix(names[0], X, self.sizes[0])
        n_targets = self.sizes[-1] // losses.n_heads(self.loss)
        T = checks.targets(names[1], [checks.plain(y)] if single else checks.plain(y), len(X), n_targets)
        for name, rows in zip(names, (X if finite else (), T)):
            for i, row in enumerate(rows):
                checks.require_finite(name, row, f"row {i}")
        checks.check_targets(names[1], T, self.loss)
        return columns.apply(self.input_scaling, X), columns.apply(self.target_scaling, T), single


def _bind(function: Callable[..., Any] | None, choice: Choice) -> Any:
    """Return the function with the hyper-parameters of the choice, as a function of z alone."""
    fields = ACTIVATIONS[choice.name].fields
    changed = {field: getattr(choice, field) for field in fields if getattr(choice, field) != fields[field]}
    return partial(function, **changed) if function and changed else function


def _elementwise(f: Callable[[float], float], z: Vector) -> Vector:
    return list(map(f, z))


def _row_function(choice: Choice) -> Callable[[Vector], Vector]:
    return softmax if choice.name == "softmax" else partial(_elementwise, _bind(ACTIVATIONS[choice.name].value, choice))
