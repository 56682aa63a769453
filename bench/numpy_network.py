"""A multilayer perceptron in NumPy alone, as fast as NumPy permits: a peer in every comparison in `bench/`.

Each of these optimisations was measured (`RESULTS.md`, "Tried and rejected", lists those that did not help):

- every array is allocated before the loop, and every operation writes into `out`;
- products are bound methods `ndarray.dot`, the cheapest call into BLAS; constants are 0-d arrays of the dtype;
- each batch needs one gather (`take` with mode="clip", the only mode that does not buffer);
- parameters, gradients and moments are flat vectors with views per layer, so that a step of the optimiser is a handful
  of calls;
- one row is multiplied by matrices that contain the bias as a row; many rows go through all layers in tiles that stay
  in the cache.

The caller chooses the memory order of the weights (`layout`), because the faster one depends on the shape.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LAYOUTS = ("outputs_first", "inputs_first")  # rows of a weight matrix in memory: one per output, or one per input
_ADAM_BLOCK = 32768  # elements of each vector of an Adam step that stay in the cache together
_CLEAR_EVERY, _NEGLIGIBLE = 128, 1e-30  # 0.9^128 * 1e-30 is still a normal number in float32
_TILE = 65536  # elements of the widest hidden layer in a tile of rows


def _elementwise(dtype: np.dtype[Any]) -> dict[str, tuple[Callable[[Array], None] | None, Callable[..., None] | None]]:
    """Return for each activation two functions, or None where there is nothing to do.

    The first replaces z by f(z); the second replaces dz by dz * f', from y = f(z) and a scratch array.
    """
    one, zero = np.ones((), dtype), np.zeros((), dtype)
    add, subtract, multiply, maximum = np.add, np.subtract, np.multiply, np.maximum
    negative, exp, reciprocal, tanh, greater = np.negative, np.exp, np.reciprocal, np.tanh, np.greater

    def sigmoid(z: Array) -> None:
        negative(z, z)
        exp(z, z)
        add(z, one, z)
        reciprocal(z, z)

    def sigmoid_backward(dz: Array, y: Array, scratch: Array) -> None:
        subtract(one, y, scratch)
        multiply(scratch, y, scratch)
        multiply(dz, scratch, dz)

    def tanh_forward(z: Array) -> None:
        tanh(z, z)

    def tanh_backward(dz: Array, y: Array, scratch: Array) -> None:
        multiply(y, y, scratch)
        subtract(one, scratch, scratch)
        multiply(dz, scratch, dz)

    def relu(z: Array) -> None:
        maximum(z, zero, out=z)

    def relu_backward(dz: Array, y: Array, scratch: Array) -> None:
        multiply(dz, greater(y, zero), dz)

    return {
        "sigmoid": (sigmoid, sigmoid_backward),
        "tanh": (tanh_forward, tanh_backward),
        "relu": (relu, relu_backward),
        "identity": (None, None),
        "softmax": (None, None),  # part of the loss
    }


class NumpyNetwork:
    """The part of `fastmlp.Network` that the workloads need, with the same arguments where it has them.

    Parameters
    ----------
    sizes, activation, output_activation, loss, dtype
        As in `fastmlp.Network`, but names only. The losses are squared_error, half_squared_error, mse and
        cross_entropy, the last together with softmax.
    layout : {"outputs_first", "inputs_first"}
        Memory order of the weights in training and for many rows; it changes results only by rounding.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str,
        output_activation: str,
        loss: str,
        dtype: str = "float32",
        layout: str = "outputs_first",
    ) -> None:
        if layout not in LAYOUTS:
            raise ValueError(f"layout: expected one of {LAYOUTS}, got {layout!r}")
        if (loss == "cross_entropy") != (output_activation == "softmax"):
            raise ValueError(f"loss: expected cross_entropy and softmax together, got {loss!r}, {output_activation!r}")
        self.sizes, self.loss, self.layout, self.dtype = tuple(sizes), loss, layout, np.dtype(dtype)
        table = _elementwise(self.dtype)
        names = [activation] * (len(self.sizes) - 2) + [output_activation]
        self._forward = [table[name][0] for name in names]
        self._backward = [table[name][1] for name in names]
        self._softmax = output_activation == "softmax"
        shapes = list(itertools.pairwise(self.sizes))
        self.n_parameters = sum((i + 1) * o for i, o in shapes)
        self._vector, self._gradient = (np.zeros(self.n_parameters, self.dtype) for _ in range(2))
        self._w, self._b = self._views(self._vector)
        self._dw, self._db = self._views(self._gradient)
        self._wt = [np.empty((i, o), self.dtype) for i, o in shapes]
        self._rows = [np.ones(i + 1, self.dtype) for i in self.sizes]  # one row's activations, then a 1 for the bias
        self._row_weights = [np.empty((i + 1, o), self.dtype) for i, o in shapes]
        self._adam: _Adam | None = None
        self._update_copies()
        self.predict_row = self._row_function()

    def _views(self, vector: Array) -> tuple[list[Array], list[Array]]:
        """Return views of the vector: weights (I, O), transposed for the layout outputs_first, and biases (O,)."""
        weights, biases, at = [], [], 0
        for n_inputs, n_outputs in itertools.pairwise(self.sizes):
            part = vector[at : at + n_inputs * n_outputs]
            at += n_inputs * n_outputs
            first = self.layout == "inputs_first"
            weights.append(part.reshape(n_inputs, n_outputs) if first else part.reshape(n_outputs, n_inputs).T)
            biases.append(vector[at : at + n_outputs])
            at += n_outputs
        return weights, biases

    # --- parameters ---------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> Array:
        """A copy of all parameters in fastmlp's order: w1 (O, I) row-major, b1, w2, b2, ..."""
        return np.concatenate([part for w, b in zip(self._w, self._b, strict=True) for part in (w.T.ravel(), b)])

    @parameters.setter
    def parameters(self, vector: Array) -> None:
        at = 0
        for w, b in zip(self._w, self._b, strict=True):
            n_inputs, n_outputs = w.shape
            w[:] = vector[at : at + w.size].reshape(n_outputs, n_inputs).T
            at += w.size
            b[:] = vector[at : at + n_outputs]
            at += n_outputs
        self._adam = None
        self._update_copies()

    def _update_copies(self) -> None:
        """Copy the parameters into the arrays that `predict` and `predict_row` read."""
        for w, b, wt, row in zip(self._w, self._b, self._wt, self._row_weights, strict=True):
            wt[:] = w
            row[:-1] = w
            row[-1] = b

    # --- prediction ---------------------------------------------------------------------------------------------

    def _row_function(self) -> Callable[[Array], Array]:
        """Return the forward pass of one row, with everything in local variables; it reuses the array of its result."""
        outputs = [row[:-1] for row in self._rows]
        first, copy, softmax = outputs[0], np.copyto, self._softmax
        steps = list(
            zip([w.T.dot for w in self._row_weights], self._rows[:-1], outputs[1:], self._forward, strict=True)
        )
        hidden, (last_dot, last_row, last, last_activation) = steps[:-1], steps[-1]

        def predict_row(x: Array) -> Array:
            copy(first, x)
            for dot, row, y, activation in hidden:
                dot(row, y)
                if activation:
                    activation(y)
            last_dot(last_row, last)
            if last_activation:
                last_activation(last)
            if softmax:
                np.exp(last - last.max(), last)
                np.divide(last, last.sum(), last)
            return last

        return predict_row

    def predict(self, x: Array, out: Array | None = None, tile: int | None = None) -> Array:
        """Return the outputs (B, O) of rows x (B, I); each tile of rows goes through all layers."""
        n_rows = len(x)
        result = np.empty((n_rows, self.sizes[-1]), self.dtype) if out is None else out
        widest = max(self.sizes[1:-1], default=self.sizes[-1])
        step = min(n_rows, tile or min(max(_TILE // widest, 512), 2500))
        buffers = [np.empty((step, width), self.dtype) for width in self.sizes[1:-1]]
        for start in range(0, n_rows, step):
            rows = x[start : start + step]
            part = result[start : start + step]
            targets = [buffer[: len(rows)] for buffer in buffers] + [part]
            for wt, b, z, activation in zip(self._wt, self._b, targets, self._forward, strict=True):
                rows = rows.dot(wt, z)
                np.add(z, b, z)
                if activation:
                    activation(z)
            if self._softmax:
                np.subtract(part, part.max(axis=1, keepdims=True), part)
                np.exp(part, part)
                np.divide(part, part.sum(axis=1, keepdims=True), part)
        return result

    # --- training -----------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        optimizer: Any,
        shuffle: bool = True,
        seed: int = 0,
    ) -> list[float]:
        """Train like `fastmlp.Network.fit`, and return the loss of each epoch.

        x is (N, I) in the network's dtype, y is (N, O) or integer labels (N,); `optimizer` is any object with the
        fields of `fastmlp.SGD` (without momentum) or `fastmlp.Adam`.
        """
        if getattr(optimizer, "momentum", 0.0):
            raise ValueError(f"optimizer: expected SGD without momentum or Adam, got {optimizer!r}")
        targets = self._targets(y)
        generator, n_rows = np.random.default_rng(seed), len(x)
        full, rest = n_rows // batch_size, n_rows % batch_size
        step = self._step(x, targets, batch_size, optimizer)
        last = self._step(x, targets, rest, optimizer) if rest else None
        losses = []
        with np.errstate(over="ignore"):  # exp(-z) may be infinite in a sigmoid, which is then 0
            for _ in range(epochs):
                order = generator.permutation(n_rows) if shuffle else np.arange(n_rows)
                total = 0.0
                for start in range(0, full * batch_size, batch_size):
                    total += step(order[start : start + batch_size])
                if last:
                    total += last(order[full * batch_size :])
                losses.append(total / n_rows)
        self._update_copies()
        return losses

    def _targets(self, y: Array) -> Array:
        """Return the targets as rows (N, O), class labels one-hot."""
        if y.ndim == 1 and self.sizes[-1] > 1:
            return np.eye(self.sizes[-1], dtype=self.dtype)[y]
        return np.ascontiguousarray(y, self.dtype).reshape(len(y), -1)

    def _step(self, x: Array, targets: Array, n_rows: int, optimizer: Any) -> Callable[[Array], float]:
        """Return a function that takes a step on rows given by their indices and returns the sum of their losses."""
        xb, tb = np.empty((n_rows, self.sizes[0]), self.dtype), np.empty((n_rows, self.sizes[-1]), self.dtype)
        ys = [np.empty((n_rows, width), self.dtype) for width in self.sizes[1:]]
        deltas = [np.empty_like(y) for y in ys]
        inputs = [xb, *ys[:-1]]
        forward = [
            (functools.partial(rows.dot, w, y), b, y, activation)
            for rows, w, y, b, activation in zip(inputs, self._w, ys, self._b, self._forward, strict=True)
        ]
        loss = (_cross_entropy if self._softmax else _squares)(self.loss, ys[-1], tb, deltas[-1], self._backward[-1])
        backward = self._backward_calls(inputs, ys, deltas)
        if optimizer.name == "sgd":  # the division by the number of rows is part of the learning rate
            backward.append(_sgd(self._vector, self._gradient, optimizer.learning_rate / n_rows))
        else:
            self._adam = self._adam or _Adam(self._vector, self._gradient)
            mean = np.array(1 / n_rows, self.dtype)
            backward.insert(0, functools.partial(np.multiply, deltas[-1], mean, deltas[-1]))
            backward.append(functools.partial(self._adam.step, optimizer))
        take, take_target, add = x.take, targets.take, np.add

        def step(indices: Array) -> float:
            take(indices, 0, xb, "clip")
            take_target(indices, 0, tb, "clip")
            for product, b, z, activation in forward:
                product()
                add(z, b, z)
                if activation:
                    activation(z)
            value = loss()
            for call in backward:
                call()
            return value

        return step

    def _backward_calls(self, inputs: list[Array], ys: list[Array], deltas: list[Array]) -> list[Callable[[], Any]]:
        """Return the calls of the backward pass: for each layer dw and db, then dz of the layer before it."""
        calls: list[Callable[[], Any]] = []
        ones = np.ones(len(inputs[0]), self.dtype)
        for layer in reversed(range(len(ys))):
            dz, dw = deltas[layer], self._dw[layer]
            if self.layout == "inputs_first":
                calls.append(functools.partial(inputs[layer].T.dot, dz, dw))
            else:
                calls.append(functools.partial(dz.T.dot, inputs[layer], dw.T))
            calls.append(functools.partial(ones.dot, dz, self._db[layer]))
            if layer:
                before = deltas[layer - 1]
                calls.append(functools.partial(dz.dot, self._w[layer].T, before))
                derivative = self._backward[layer - 1]
                if derivative:
                    calls.append(functools.partial(derivative, before, ys[layer - 1], np.empty_like(before)))
        return calls


def _squares(
    name: str, y: Array, target: Array, delta: Array, activation: Callable[..., None] | None
) -> Callable[[], float]:
    """Return a function that computes the sum of a batch's losses, and sets `delta` to its gradient by z.

    The loss is the squared error times a factor.
    """
    factor = {"squared_error": 1.0, "half_squared_error": 0.5, "mse": 1.0 / y.shape[1]}[name]
    twice, flat, scratch = np.array(2 * factor, y.dtype), delta.reshape(-1), np.empty_like(y)
    subtract, multiply, dot = np.subtract, np.multiply, flat.dot

    def loss() -> float:
        subtract(y, target, delta)
        value = factor * float(dot(flat))
        if factor != 0.5:
            multiply(delta, twice, delta)
        if activation:
            activation(delta, y, scratch)
        return value

    return loss


def _cross_entropy(
    name: str, z: Array, target: Array, delta: Array, activation: Callable[..., None] | None
) -> Callable[[], float]:
    """Return a function that computes the sum of -ln softmax(z)_label, and sets `delta` to softmax(z) - target.

    The targets are one-hot.
    """
    highest, total, ones = np.empty((len(z), 1), z.dtype), np.empty(len(z), z.dtype), np.ones(z.shape[1], z.dtype)
    column, flat_z, flat_target = total.reshape(-1, 1), z.reshape(-1), target.reshape(-1)
    ones_rows = np.ones_like(total)
    maximum, subtract, exp, divide, log = np.maximum.reduce, np.subtract, np.exp, np.divide, np.log

    def loss() -> float:
        maximum(z, 1, None, highest, True)
        subtract(z, highest, z)
        exp(z, delta)
        delta.dot(ones, total)
        divide(delta, column, delta)
        subtract(delta, target, delta)
        log(total, total)
        return float(ones_rows.dot(total)) - float(flat_target.dot(flat_z))

    return loss


def _sgd(p: Array, gradient: Array, rate: float) -> Callable[[], None]:
    """Return a function that takes the step P <- P - rate g."""
    factor = np.array(rate, p.dtype)
    multiply, subtract = np.multiply, np.subtract

    def step() -> None:
        multiply(gradient, factor, gradient)
        subtract(p, gradient, p)

    return step


class _Adam:
    """Adam in ten operations, on blocks that stay in the cache.

    The moments are stored without their factors: with m = (1 - beta_1) M and v = (1 - beta_2) V,
    M <- beta_1 M + g and V <- beta_2 V + g^2, and the step is
    r m' / (sqrt(v') + epsilon) = (r (1 - beta_1) / ((1 - beta_1^t) c)) M / (sqrt(V) + epsilon / c),
    c = sqrt((1 - beta_2) / (1 - beta_2^t)). Moments that decay (those of inactive units, and of pixels that are nearly
    always 0) are set to 0 before they become denormal numbers, which would make a step three times slower.
    """

    def __init__(self, p: Array, gradient: Array) -> None:
        vectors = (p, gradient, np.zeros_like(p), np.zeros_like(p))
        self._blocks = [tuple(x[at : at + _ADAM_BLOCK] for x in vectors) for at in range(0, len(p), _ADAM_BLOCK)]
        self._dtype, self._n_steps = p.dtype, 0

    def step(self, optimizer: Any) -> None:
        """Take one step; it overwrites the gradient."""
        self._n_steps += 1
        dtype, one, two = self._dtype, optimizer.beta_1, optimizer.beta_2
        root = math.sqrt((1 - two) / (1 - two**self._n_steps))
        rate = np.array(optimizer.learning_rate * (1 - one) / ((1 - one**self._n_steps) * root), dtype)
        epsilon, beta_1, beta_2 = np.array(optimizer.epsilon / root, dtype), np.array(one, dtype), np.array(two, dtype)
        add, subtract, multiply, divide, sqrt = np.add, np.subtract, np.multiply, np.divide, np.sqrt
        for p, g, m, v in self._blocks:
            multiply(m, beta_1, m)
            add(m, g, m)
            multiply(g, g, g)
            multiply(v, beta_2, v)
            add(v, g, v)
            sqrt(v, g)
            add(g, epsilon, g)
            divide(m, g, g)
            multiply(g, rate, g)
            subtract(p, g, p)
            if self._n_steps % _CLEAR_EVERY == 0:
                for moment in (m, v):
                    np.putmask(moment, np.absolute(moment, g) < _NEGLIGIBLE, 0)
