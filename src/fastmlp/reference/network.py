"""The network: one sample after another, layer by layer, z = w x + b and y = f(z), and backpropagation the way back.

Legend: B rows of a batch, I inputs and O outputs of a layer, L layers, x (I,), w (O, I), b (O,), z, y (O,), t the
target; dz is dC/dz. The parameter vector P is w1, b1, w2, b2, ..., each weight row by row.
Invariants: errors are raised before anything is written, and an epoch that ends in one is taken back whole; `_rows`
holds the rows of P, the very lists that `_layers` holds, so that both are only ever changed in place.
"""

from __future__ import annotations

import copy
import math
import operator
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Any

from . import checks, columns, losses
from . import regularization as terms
from .checks import Choice
from .functions import ACTIVATIONS, FULL_BATCH, OPTIMIZERS, Matrix, SplitMix64, Vector, dot, softmax
from .history import History, notify, report
from .lbfgs import MINIMIZERS
from .losses import LOSSES
from .metrics import accuracy, class_of
from .regularization import Draws
from .schedules import SCHEDULES, Plateau

Work = Callable[[Callable[..., str | None]], tuple[float, str | None]]  # an epoch of a fit

# An optimiser's state before its first step; P as trained and its average where one is shown as P.
AT_REST: Mapping[str, Any] = {
    "_optimizer": None,
    "_regularization": None,
    "_n_steps": 0,
    "_key": None,
    "_states": [],
    "_trained": [],
    "_average": [],
    "_plateau": None,
    "_rate": None,
    "_minimizer": None,
}

INITS = ("auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal")


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
    input_scaling, target_scaling : {"standard", "minmax"} or object with `offset` and `scale`, optional
        The network sees (x - offset) / scale of inputs and targets; predictions are scaled back. A name is learnt by
        the first fit.

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
        self._optimizer: Any = None
        self._regularization: Any
        self._n_steps: int
        self._key: int | None
        self._states: list[Matrix]
        self._trained: Matrix
        self._average: Matrix
        self._plateau: Plateau | None
        self._rate: float | None
        self._minimizer: Any
        self._forget_state()

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
        """The class of each row: argmax, the lowest index on a tie; y >= 0.5 (hinge: 0) where O is 1."""
        X, single = checks.matrix("X", X, self.sizes[0])
        classes = [class_of(y, LOSSES[self.loss.name].threshold) for y in self.predict(X)]
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

    def evaluate(self, X: Any, y: Any, *, metrics: Any = (), sample_weight: Any = None) -> dict[str, float]:
        """{"loss": ...}, with "accuracy" for losses of classes, weighted means, and metrics; NaN in X gives NaN."""
        table = checks.metric_table(metrics)
        labels = self._labels(y)
        X, T, _ = self._examples(X, y)
        return self._measure(X, T, checks.row_weights(sample_weight, None, T, self.loss), labels, table)

    def _measure(self, X: Matrix, T: Matrix, W: Vector, labels: Any, table: Mapping[str, Any]) -> dict[str, float]:
        """Loss, accuracy and metrics; the user's own get labels, or rows, or numbers where a row has one."""
        loss, right, Y, entry = 0.0, 0.0, [], LOSSES[self.loss.name]
        for x, t, weight in zip(X, T, W):
            zs, ys = self._forward(x)
            loss += weight * self._cost(zs[-1], ys[-1], t) if weight else 0.0
            right += weight * (class_of(ys[-1], entry.threshold) == class_of(t))
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

    # --- training ---

    def loss_and_grad(self, X: Any, y: Any, *, sample_weight: Any = None) -> tuple[float, Vector]:
        """C, the weighted mean over the batch, and dC/dP as one vector in the order of P."""
        self._check_trainable()
        X, T, _ = self._examples(X, y, finite=True)
        loss, gradient = self._loss_and_gradient(X, T, checks.row_weights(sample_weight, None, T, self.loss))
        return loss, list(chain.from_iterable(gradient))

    def input_gradient(self, X: Any, y: Any, *, sample_weight: Any = None) -> Any:
        """dC/dX, (B, I), of C, the weighted mean over the batch; a row in gives a row out."""
        self._check_trainable()
        X, T, single = self._examples(X, y, finite=True)
        W = checks.row_weights(sample_weight, None, T, self.loss)
        ws = [list(zip(*w)) for w, _ in self._layers]
        scale = (columns.known(self.input_scaling) or ([], [1.0] * self.sizes[0]))[1]
        dX = []
        for x, t, weight in zip(X, T, W):
            dz = self._backward(*self._forward(x), t, ws)[0] if weight else [0.0] * len(ws[0][0])
            dX.append([weight / sum(W) * dot(column, dz) / s for column, s in zip(ws[0], scale)])
        return dX[0] if single else dX

    def train_on_batch(
        self,
        X: Any,
        y: Any,
        optimizer: Any = None,
        *,
        sample_weight: Any = None,
        class_weight: Any = None,
        regularization: Any = None,
    ) -> float:
        """One step of the optimiser (by default the one in use); returns the loss before it, penalties included."""
        self._check_trainable()
        self._check_scaled("train_on_batch")
        X, T, _ = self._examples(X, y, finite=True)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        choice = self._next_optimizer(optimizer)
        r = checks.regularization(regularization, choice, len(self.activation))
        before = self._state()
        self._use_optimizer(choice, r)
        self._go_on()
        loss, gradient = self._penalised(X, T, W)
        if not math.isfinite(loss):
            self._restore(before)
            raise FloatingPointError(f"loss: expected a finite number, got {loss!r}; a lower learning rate may help")
        if self._minimizer is not None:
            return self._iterate(X, T, W)
        self._step(gradient)
        self._show_average()
        return loss

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        epochs: int = 10,
        batch_size: int | None = checks.DEFAULT_BATCH_SIZE,
        optimizer: Any = "adam",
        shuffle: bool | str = True,
        validation_data: Any = None,
        validation_split: float | None = None,
        metrics: Sequence[Any] = (),
        callbacks: Sequence[Any] = (),
        max_time: float | None = None,
        verbose: int = 0,
        sample_weight: Any = None,
        class_weight: Any = None,
        regularization: Any = None,
    ) -> History:
        """Pass over the data `epochs` times, a step after each batch; the losses are those before the steps.

        `validation_split` sets the last share of the rows apart; `max_time` (seconds) is looked at after each step.
        After an error P, the optimiser's state and the random stream are those of the last good epoch. Without y, X is
        an iterable of batches (X, y) or (X, y, sample_weight), or a function that returns one.
        """
        self._check_trainable()
        epochs = checks.integer("epochs", epochs, 1)
        if y is None:
            more = metrics, callbacks, max_time, verbose, regularization
            return self._fit_batches(X, epochs, optimizer, validation_data, *more)
        X, T, single = self._examples(X, y, finite=True)
        if single:
            raise ValueError(f"X: expected shape (B, {self.sizes[0]}), got ({len(X[0])},)")
        W = checks.row_weights(sample_weight, None, T, self.loss)
        choice = self._next_optimizer(optimizer)
        r = checks.regularization(regularization, choice, len(self.activation))
        shuffle = shuffle if shuffle in ("blocks", "rows") else checks.flag("shuffle", shuffle)
        deadline = math.inf if max_time is None else time.perf_counter() + checks.positive("max_time", max_time)
        table = checks.metric_table(metrics)
        validation = self._validation(validation_data)
        if validation_split is not None:
            if validation is not None:
                raise ValueError("validation_split: expected None beside validation_data, got both")
            n = checks.split("validation_split", validation_split, len(X))
            validation = X[n:], T[n:], W[n:], (self._labels(y) or [])[n:] or None
            X, T, W = X[:n], T[:n], W[:n]
            if not (any(W) and any(validation[2])):
                raise ValueError("sample_weight: expected weights above 0 on both sides of validation_split, got zeros")
        if class_weight is not None:
            W = checks.row_weights(W, class_weight, T, self.loss)
        if table and validation is None:
            raise ValueError("metrics: expected validation_data or validation_split to go with them, got neither")
        callbacks = checks.callback_list(callbacks)
        verbose = checks.integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
        size = checks.batch_size(batch_size, choice, len(X))
        if validation is None and getattr(getattr(choice, "learning_rate", 0.0), "monitor", None) == "val_loss":
            raise ValueError("validation_data: expected a pair (X, y), as the learning rate follows val_loss")
        named = self.input_scaling, self.target_scaling
        X, T, validation = self._learn_scalings(X, T, validation)
        self._use_optimizer(choice, r)
        history = History()
        try:
            work = partial(self._pass, X, T, W, size, shuffle)
            return self._run(
                history, epochs, work, self._measuring(validation, table), callbacks, deadline, verbose > 0
            )
        finally:
            if not history:
                self.input_scaling, self.target_scaling = named

    def _learn_scalings(self, X: Matrix, T: Matrix, validation: Any) -> tuple[Matrix, Matrix, Any]:
        """Learns what is only named and scales all rows so; what was known, `_examples` has applied."""
        data = [X, T]
        for i, name in enumerate(("input_scaling", "target_scaling")):
            kind = getattr(self, name)
            if isinstance(kind, str):
                found = columns.learn(kind, data[i])
                setattr(self, name, found)
                data[i] = columns.apply(found, data[i])
                if validation is not None:
                    validation = (*validation[:i], columns.apply(found, validation[i]), *validation[i + 1 :])
        return data[0], data[1], validation

    def _measuring(self, validation: Any, table: Mapping[str, Any]) -> Callable[[], dict[str, float]]:
        """What measures the validation's rows after an epoch."""

        def measure() -> dict[str, float]:
            if validation is None:
                return {}
            X, T, W, labels = validation
            figures = self._measure(X, T, W, labels, table)
            return {f"val_{name}": value for name, value in figures.items()}

        return measure

    def _fit_batches(
        self,
        source: Any,
        epochs: int,
        optimizer: Any,
        validation_data: Any,
        metrics: Any,
        callbacks: Any,
        max_time: Any,
        verbose: Any,
        regularization: Any,
    ) -> History:
        """`fit` where each batch that comes is a step."""
        batches = columns.opener(source, epochs)
        self._check_scaled("batches")
        choice = self._next_optimizer(optimizer)
        if choice.name in MINIMIZERS or choice.name == "rprop":
            raise ValueError(f"optimizer: expected one that takes batches, got {choice.name!r}")
        table, validation = checks.metric_table(metrics), self._validation(validation_data)
        deadline = math.inf if max_time is None else time.perf_counter() + checks.positive("max_time", max_time)
        callbacks = checks.callback_list(callbacks)
        self._use_optimizer(choice, checks.regularization(regularization, choice, len(self.activation)))
        work = partial(self._pass_batches, batches)
        return self._run(History(), epochs, work, self._measuring(validation, table), callbacks, deadline, verbose > 0)

    def _pass_batches(self, batches: Callable[[], Any], stop: Callable[..., str | None]) -> tuple[float, str | None]:
        """A step for each batch; the weighted mean loss, and a reason to stop."""
        total, weight, reason = 0.0, 0.0, None
        for number, (X, y, *more) in enumerate(batches()):
            rows, T, _ = self._examples(X, y, finite=True)
            W = checks.row_weights(more[0] if more else None, None, T, self.loss)
            loss, gradient = self._penalised(rows, T, W)
            total += loss * sum(W)
            weight += sum(W)
            if not math.isfinite(total):
                break
            self._step(gradient)
            if reason := stop(number, total / weight):
                break
        if not weight:
            raise ValueError("X: expected batches, got none")
        return total / weight, reason

    def _run(
        self,
        history: History,
        epochs: int,
        work: Work,
        measure: Callable[[], Any],
        callbacks: Any,
        deadline: float,
        tell: bool,
    ) -> History:
        """The loop of epochs; an epoch that is cut short counts as far as it went."""
        logs = dict[str, float]()
        for callback in callbacks:
            if hasattr(callback, "set_network"):
                callback.set_network(self)
        notify(callbacks, "on_train_begin", logs)

        def stop(batch: int, loss: float) -> str | None:
            reason = notify(callbacks, "on_batch_end", batch, {"loss": loss})
            return reason or ("max_time" if time.perf_counter() >= deadline else None)

        for epoch in range(epochs):
            if time.perf_counter() >= deadline:
                history.stopped = "max_time"
                break
            start = time.perf_counter()
            notify(callbacks, "on_epoch_begin", epoch, {})
            loss, reason = self._epoch(epoch, work, stop)
            logs = {"loss": loss, **measure()}
            history._append(logs)
            if self._plateau is not None:
                self._plateau.observe(logs)
            if tell:
                report(f"epoch {epoch + 1}/{epochs}", logs, time.perf_counter() - start)
            history.stopped = notify(callbacks, "on_epoch_end", epoch, dict(logs)) or reason
            if history.stopped:
                break
        history.stopped = history.stopped or "epochs"
        notify(callbacks, "on_train_end", dict(logs))
        return history

    def partial_fit(
        self,
        X: Any,
        y: Any,
        *,
        batch_size: int | None = checks.DEFAULT_BATCH_SIZE,
        optimizer: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        regularization: Any = None,
    ) -> Network:
        """One pass over the rows in their order; the network."""
        more = {"sample_weight": sample_weight, "class_weight": class_weight, "regularization": regularization}
        self.fit(X, y, epochs=1, batch_size=batch_size, optimizer=optimizer, shuffle=False, **more)
        return self

    def learn_one(self, x: Any, y: Any, optimizer: Any = None, *, regularization: Any = None) -> float:
        """One step on a single row; returns its loss before the step."""
        if not checks.matrix("X", x, self.sizes[0])[1]:
            raise ValueError(f"X: expected one row of shape ({self.sizes[0]},), got {checks.shape_of(checks.plain(x))}")
        return self.train_on_batch(x, y, optimizer, regularization=regularization)

    def _epoch(self, epoch: int, work: Work, stop: Callable[..., str | None]) -> tuple[float, str | None]:
        """One pass, taken back whole by whatever ends it early; `FloatingPointError` where not all is finite."""
        before = self._state()
        try:
            self._go_on()
            loss, reason = work(stop)
            if not (math.isfinite(loss) and all(map(math.isfinite, chain.from_iterable(self._rows)))):
                raise FloatingPointError(
                    f"epoch {epoch + 1}: loss: expected a finite number, got a loss or parameters that are not; those "
                    "of the last good epoch are kept; a lower learning rate or scaled inputs may help"
                )
        except BaseException:
            self._restore(before)
            raise
        self._show_average()
        return loss, reason

    def _pass(
        self, X: Matrix, T: Matrix, W: Vector, batch_size: int, shuffle: bool | str, stop: Callable[..., str | None]
    ) -> tuple[float, str | None]:
        """A step after each batch but those of weight 0, up to a loss that is not finite or a reason to stop; the
        weighted mean loss, and that reason.
        """
        if self._minimizer is not None:
            loss = self._iterate(X, T, W)
            return loss, stop(0, loss) or ("converged" if self._minimizer.converged else None)
        order: Sequence[int] = range(len(X))
        if shuffle:
            by_blocks = shuffle == "blocks"
            n = len(X)
            order = columns.block_order(self._random, n, self.sizes[0]) if by_blocks else self._random.permutation(n)
        total, weight, reason = 0.0, 0.0, None
        for start in range(0, len(X), batch_size):
            batch = order[start : start + batch_size]
            weights = [W[k] for k in batch]
            loss, gradient = self._penalised([X[k] for k in batch], [T[k] for k in batch], weights)
            total += loss * sum(weights)
            if not math.isfinite(total):
                break
            if any(weights):
                self._step(gradient)
            weight += sum(weights)
            if reason := stop(start // batch_size, total / (weight or 1.0)):
                break
        return total / (weight or 1.0), reason

    def _iterate(self, X: Matrix, T: Matrix, W: Vector) -> float:
        """An iteration of the minimiser over all rows; the loss before it."""

        def f(P: Vector) -> tuple[float, Vector]:
            self._put(P)
            loss, gradient = self._penalised(X, T, W)
            return loss, list(chain.from_iterable(gradient))

        P = self.parameters
        try:
            loss, P = self._minimizer.iterate(f, P)
        finally:
            self._put(P)
        return float(loss)

    def _state(self) -> tuple[Any, ...]:
        """A copy of all that training changes: P, the optimiser with its vectors and step, the random stream."""
        kept = {name: copy.copy(getattr(self, name)) for name in AT_REST}
        kept["_states"] = [[vector[:] for vector in state] for state in self._states]
        return [row[:] for row in self._rows], self._random.state, kept

    def _restore(self, state: tuple[Any, ...]) -> None:
        rows, self._random.state, kept = state
        vars(self).update(kept)
        for old, new in zip(self._rows, rows):
            old[:] = new

    def _penalised(self, X: Matrix, T: Matrix, W: Vector) -> tuple[float, Matrix]:
        """The loss and gradient of the next step, on noisy rows if that is wanted, with the penalties of weights."""
        r, weight = self._regularization, sum(W)
        if r is None or not weight:
            return self._loss_and_gradient(X, T, W)
        drawn = None if self._key is None else Draws(r, self._key, self._n_steps)
        loss, gradient = self._loss_and_gradient(X, T, W, drawn)
        of_weights = [terms.penalised(g, p, r, weight) for p, g in zip(self._rows, gradient)]
        gradient = [new if is_weight else g for new, g, is_weight in zip(of_weights, gradient, self._is_weight)]
        return loss + terms.penalty(self._weight_rows, r, weight), gradient

    def _step(self, gradient: Matrix) -> None:
        o, r = Choice(**{**vars(self._optimizer), "learning_rate": self.learning_rate}), self._regularization
        self._n_steps += 1
        if r is not None:
            gradient = terms.clipped(gradient, r)
            terms.decay(self._weight_rows, o.learning_rate * r.weight_decay)
        update = OPTIMIZERS[o.name].value
        for p, g, state in zip(self._rows, gradient, self._states):
            update(p, g, state, self._n_steps, o)
        if r is not None and r.max_norm is not None:
            terms.limit_norms(self._weight_rows, r.max_norm)
        if r is not None and r.average is not None:
            self._average = terms.average(self._average, self._rows, r.average)

    def _go_on(self) -> None:
        """P as training has it, where others see the average; at the beginning a key from the random stream."""
        if self._key is None and self._regularization is not None and terms.draws_anything(self._regularization):
            self._key = self._random.next() >> 11
        for old, new in zip(self._rows, self._trained):
            old[:] = new
        self._trained = []

    def _show_average(self) -> None:
        if self._average:
            self._trained = [row[:] for row in self._rows]
            for old, new in zip(self._rows, self._average):
                old[:] = new

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of the next step, a schedule's included; None before the first optimiser."""
        rate = getattr(self._optimizer, "learning_rate", None) if self._states else None
        if self._plateau is not None:
            return float(self._plateau.rate)
        if isinstance(rate, Choice):
            return float(SCHEDULES[rate.name].value(self._n_steps, rate))
        if self._rate is not None:
            return self._rate
        return rate if rate is None or isinstance(rate, float) else checks.rate(self._n_steps, rate)

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        rate = checks.positive("learning_rate", rate)
        own = getattr(self._optimizer, "learning_rate", None)
        if not self._states or not isinstance(own, float) or self._optimizer.name in FULL_BATCH:
            raise ValueError(f"learning_rate: expected an optimiser at work whose own is a number, got {rate!r}")
        self._rate = rate

    def _next_optimizer(self, optimizer: Any) -> Choice:
        if optimizer is None:
            optimizer = self._optimizer if self._optimizer is not None else "adam"
        return checks.choose("optimizer", optimizer, {**OPTIMIZERS, **MINIMIZERS})

    def _use_optimizer(self, choice: Choice, r: Choice | None) -> None:
        """Continue with the state of an equal optimiser and regularisation, or start anew."""
        if choice != self._optimizer or r != self._regularization or not self._states:
            self._forget_state()
            self._optimizer, self._regularization = choice, r
            rate = getattr(choice, "learning_rate", None)
            self._plateau = Plateau(rate) if getattr(rate, "name", "") == "reduce_on_plateau" else None
            minimizer = MINIMIZERS.get(choice.name)
            self._minimizer = minimizer.value(choice) if minimizer else None
            n_states = 0 if minimizer else OPTIMIZERS[choice.name].n_states
            self._states = [[[0.0] * len(row) for _ in range(n_states)] for row in self._rows]

    def _forget_state(self) -> None:
        """The optimiser starts anew; which one it is stays the choice that None stands for."""
        vars(self).update({name: value for name, value in AT_REST.items() if name != "_optimizer"})

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

    def copy(self) -> Network:
        """A network of its own with the same parameters and random stream; its optimiser starts anew."""
        return copy.deepcopy(self)

    __copy__ = copy

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), **AT_REST}

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
        folded.input_scaling, folded.target_scaling = self.input_scaling, self.target_scaling
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

    def _validation(self, data: Any) -> tuple[Matrix, Matrix, Vector, list[int] | None] | None:
        if data is None:
            return None
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError(f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(data).__name__}")
        X, T, _ = self._examples(*data[:2], finite=True, names=("validation_data[0]", "validation_data[1]"))
        W = checks.row_weights(data[2] if len(data) == 3 else None, None, T, self.loss)
        return X, T, W, self._labels(data[1])


def _bind(function: Callable[..., Any] | None, choice: Choice) -> Any:
    """The activation function of z alone."""
    fields = ACTIVATIONS[choice.name].fields
    own = {field: getattr(choice, field) for field in fields if getattr(choice, field) != fields[field]}
    return partial(function, **own) if function and own else function


def _elementwise(f: Callable[[float], float], z: Vector) -> Vector:
    return list(map(f, z))


def _row_function(choice: Choice) -> Callable[[Vector], Vector]:
    return softmax if choice.name == "softmax" else partial(_elementwise, _bind(ACTIVATIONS[choice.name].value, choice))
