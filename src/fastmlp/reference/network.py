"""The network and its training: batches, steps of an optimiser, and epochs.

`model.Model` has the computations for a sample. Invariants: errors in arguments are raised before anything is changed,
and if an epoch ends by an error, all that it changed is restored.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from . import checks, columns
from . import regularization as terms
from .checks import Choice
from .functions import OPTIMIZERS, Matrix, Vector, dot
from .history import History, Watch, end_epoch, notify, report
from .minimizers import FULL_BATCH, MINIMIZERS
from .model import Model
from .regularization import Draws
from .schedules import SCHEDULES, Plateau

Epoch = Callable[[Watch], tuple[float, str | None]]  # trains for an epoch, returns its loss and a reason to stop

# The attributes that hold an optimiser's state, with their values before the first step. `_average` is the moving
# average of the parameters. While it is the network's P, `_trained` has the P that training continues from.
INITIAL_STATE: Mapping[str, Any] = {
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


class Network(Model):
    """A multilayer perceptron: `fastmlp.Network` without `save`, `out`, `dtype`, `engine` and `n_threads`.

    Parameters
    ----------
    sizes : sequence of int
        Number of inputs, of neurons in each hidden layer, and of outputs.
    activation : str, object, or a list of them, one per hidden layer
        Activation of the hidden layers.
    output_activation : str or object, optional
        Activation of the last layer; by default the loss's partner: identity, sigmoid or softmax.
    loss : str or object
        The loss that training minimises.
    init : {"auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal"}
        Rule for the initial weights.
    seed : int, optional
        Seed of the random number generator, in [0, 2^64).
    input_scaling, target_scaling : {"standard", "minmax"} or object with `offset` and `scale`, optional
        Scaling of inputs and targets: the network computes with (x - offset) / scale, and predictions are scaled back.
        The first fit learns offset and scale if a name is given.

    Examples
    --------
    >>> net = Network([1, 1], output_activation="sigmoid")
    >>> net.set_layer(0, [[1.0]], [-5.0])
    >>> round(net.predict([1.0])[0], 4)  # sigmoid(1 + (-5))
    0.018
    """

    history: History | None = None  # of the last fit
    _optimizer: Any = None
    _regularization: Any
    _n_steps: int
    _key: int | None
    _states: list[Matrix]
    _trained: Matrix
    _average: Matrix
    _plateau: Plateau | None
    _rate: float | None
    _minimizer: Any

    def loss_and_grad(
        self, X: Any, y: Any, *, sample_weight: Any = None, class_weight: Any = None
    ) -> tuple[float, Vector]:
        """Return C, the weighted mean loss over the batch, and dC/dP as one vector in the order of P."""
        self._check_trainable()
        X, T, _ = self._examples(X, y, finite=True)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        loss, gradient = self._loss_and_gradient(X, T, W)
        return loss, list(chain.from_iterable(gradient))

    def input_gradient(self, X: Any, y: Any, *, sample_weight: Any = None, class_weight: Any = None) -> Any:
        """Return dC/dX (B, I) of C, the weighted mean loss over the batch; (I,) for a single row."""
        self._check_trainable()
        X, T, single = self._examples(X, y, finite=True)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        ws = [list(zip(*w)) for w, _ in self._layers]
        scale = (columns.learnt(self.input_scaling) or ([], [1.0] * self.sizes[0]))[1]
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
        """Take one step of the optimiser, by default the last one; return the loss before it, penalties included."""
        self._check_trainable()
        self._check_scaled("train_on_batch")
        X, T, _ = self._examples(X, y, finite=True)
        W = checks.row_weights(sample_weight, class_weight, T, self.loss)
        choice = self._next_optimizer(optimizer)
        r = checks.regularization(regularization, choice, len(self.activation))
        before = self._state()
        self._use_optimizer(choice, r)
        self._continue_from_trained()
        loss, gradient = self._penalised(X, T, W)
        if not math.isfinite(loss):
            self._restore(before)
            raise FloatingPointError(f"loss: expected a finite number, got {loss!r}; a lower learning rate may help")
        if self._minimizer is not None:
            return self._iterate(X, T, W)
        self._step(gradient)
        if not self._is_finite():
            self._restore(before)
            raise FloatingPointError(
                "loss: expected a step to finite numbers, got others; a lower learning rate may help"
            )
        self._publish_average()
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
        """Train for `epochs` passes over the data, with a step for each batch; losses are computed before the steps.

        `validation_split` is the share of the rows, at their end, that are used for validation. `max_time` (in seconds)
        is checked after each step. After an error, P, the optimiser's state and the random state are those of the last
        epoch without an error. Without y, X is an iterable of batches (X, y) or (X, y, sample_weight), or a function
        that returns one.
        """
        self._check_trainable()
        epochs = checks.integer("epochs", epochs, 1)
        if y is None:
            refused = {"batch_size": batch_size is not checks.DEFAULT_BATCH_SIZE, "shuffle": shuffle == "blocks"}
            refused |= {"validation_split": validation_split is not None, "sample_weight": sample_weight is not None}
            refused |= {"metrics": bool(metrics) and validation_data is None}
            checks.refuse_with_batches({**refused, "class_weight": isinstance(class_weight, str)})
            options = metrics, callbacks, max_time, verbose, class_weight, regularization
            return self._fit_batches(X, epochs, optimizer, validation_data, *options)
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
            raise ValueError("metrics: expected validation_data or validation_split to go with metrics, got neither")
        callbacks = checks.callback_list(callbacks)
        verbose = checks.integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0)
        size = checks.batch_size(batch_size, choice, len(X))
        if validation is None and getattr(getattr(choice, "learning_rate", 0.0), "monitor", None) == "val_loss":
            raise ValueError("validation_data: expected a pair (X, y), as the learning rate follows val_loss")
        scalings = self.input_scaling, self.target_scaling
        X, T, validation = self._learn_scalings(X, T, validation)
        self._use_optimizer(choice, r)
        history = History()
        try:
            train = partial(self._pass, X, T, W, size, shuffle)
            return self._run(history, epochs, train, self._measuring(validation, table), callbacks, deadline, verbose)
        finally:
            if not history:  # no epoch was completed
                self.input_scaling, self.target_scaling = scalings

    def _learn_scalings(self, X: Matrix, T: Matrix, validation: Any) -> tuple[Matrix, Matrix, Any]:
        """Learn the scalings that are only names, and return all rows scaled by them.

        `_examples` has applied the scalings that were learnt before.
        """
        data = [X, T]
        for i, name in enumerate(("input_scaling", "target_scaling")):
            kind = getattr(self, name)
            if isinstance(kind, str):
                found = columns.check_scale(name, columns.learn(kind, data[i]))
                setattr(self, name, found)
                data[i] = columns.apply(found, data[i])
                if validation is not None:
                    validation = (*validation[:i], columns.apply(found, validation[i]), *validation[i + 1 :])
        return data[0], data[1], validation

    def _measuring(self, validation: Any, table: Mapping[str, Any]) -> Callable[[], dict[str, float]]:
        """Return a function that measures loss and metrics on the validation rows after an epoch."""

        def measure() -> dict[str, float]:
            if validation is None:
                return {}
            X, T, W, labels = validation
            results = self._measure(X, T, W, labels, table)
            return {f"val_{name}": value for name, value in results.items()}

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
        class_weight: Any,
        regularization: Any,
    ) -> History:
        """Train as `fit` does, with a step for each batch of an iterable."""
        batches = columns.epoch_iterators(source, epochs)
        self._check_scaled("batches")
        choice = self._next_optimizer(optimizer)
        if choice.name in MINIMIZERS or choice.name == "rprop":
            raise ValueError(f"optimizer: expected one that takes batches, got {choice.name!r}")
        table, validation = checks.metric_table(metrics), self._validation(validation_data)
        deadline = math.inf if max_time is None else time.perf_counter() + checks.positive("max_time", max_time)
        callbacks = checks.callback_list(callbacks)
        self._use_optimizer(choice, checks.regularization(regularization, choice, len(self.activation)))
        train = partial(self._pass_batches, batches, class_weight)
        return self._run(History(), epochs, train, self._measuring(validation, table), callbacks, deadline, verbose)

    def _pass_batches(self, batches: Callable[[], Any], class_weight: Any, watch: Watch) -> tuple[float, str | None]:
        """Take a step for each batch; return the weighted mean loss and a reason to stop, or None."""
        total, weight, reason = 0.0, 0.0, None
        for number, (X, y, *weights) in enumerate(batches()):
            rows, T, _ = self._examples(X, y, finite=True)
            W = checks.row_weights(weights[0] if weights else None, class_weight, T, self.loss)
            watch.before(number)
            loss, gradient = self._penalised(rows, T, W)
            total += loss * sum(W)
            weight += sum(W)
            if not math.isfinite(total):
                break
            self._step(gradient)
            if reason := watch.after(number, total / weight):
                break
        if not weight:
            raise ValueError("X: expected batches, got none")
        return total / weight, reason

    def _run(
        self,
        history: History,
        epochs: int,
        train: Epoch,
        measure: Callable[[], Any],
        callbacks: Any,
        deadline: float,
        verbose: int,
    ) -> History:
        """Run the epochs and call the callbacks' hooks before and after them.

        An exception that ends the training gets the history of the epochs before it as an attribute, after callbacks
        such as early stopping have restored the best parameters.
        """
        for callback in callbacks:
            if hasattr(callback, "set_network"):
                callback.set_network(self)
        try:
            notify(callbacks, "on_train_begin", {})
            self.history = history
            logs = self._epochs(history, epochs, train, measure, Watch(callbacks, deadline), verbose)
            notify(callbacks, "on_train_end", logs)
        except BaseException as error:
            for callback in callbacks:
                if hasattr(callback, "on_train_error"):  # early stopping
                    callback.on_train_error()
            history._end_by(error)
            raise
        return history

    def _epochs(
        self, history: History, epochs: int, train: Epoch, measure: Callable[[], Any], watch: Watch, verbose: int
    ) -> dict[str, float]:
        """Run the epochs and record them; return the numbers of the last one.

        An epoch that a callback or the deadline ends early is recorded too.
        """
        logs = dict[str, float]()
        for epoch in range(epochs):
            if time.perf_counter() >= watch.deadline:
                history.stopped = "max_time"
                break
            start = time.perf_counter()
            notify(watch.callbacks, "on_epoch_begin", epoch, {})
            loss, reason = self._epoch(epoch, train, watch)
            logs = {"loss": loss, **measure()}
            history._append(logs)
            if self._plateau is not None:
                self._plateau.observe(logs)
            history.stopped = end_epoch(watch.callbacks, epoch, logs, history) or reason
            if verbose and ((epoch + 1) % verbose == 0 or epoch + 1 == epochs or history.stopped):
                report(f"epoch {epoch + 1}/{epochs}", logs, time.perf_counter() - start)
            if history.stopped:
                break
        history.stopped = history.stopped or "epochs"
        return logs

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
        """Train for one pass over the rows in their order; return the network."""
        options = {"sample_weight": sample_weight, "class_weight": class_weight, "regularization": regularization}
        self.fit(X, y, epochs=1, batch_size=batch_size, optimizer=optimizer, shuffle=False, **options)
        return self

    def learn_one(self, x: Any, y: Any, optimizer: Any = None, *, regularization: Any = None) -> float:
        """Take one step on a single row; return its loss before the step."""
        if not checks.matrix("X", x, self.sizes[0])[1]:
            raise ValueError(f"X: expected one row of shape ({self.sizes[0]},), got {checks.shape_of(checks.plain(x))}")
        return self.train_on_batch(x, y, optimizer, regularization=regularization)

    def _epoch(self, epoch: int, train: Epoch, watch: Watch) -> tuple[float, str | None]:
        """Train for an epoch; return its loss and a reason to stop, or None.

        If an exception ends the epoch, all that it changed is restored. Raises `FloatingPointError` if the loss or the
        parameters are not finite.
        """
        before = self._state()
        try:
            self._continue_from_trained()
            loss, reason = train(watch)
            if not (math.isfinite(loss) and self._is_finite()):
                raise FloatingPointError(
                    f"epoch {epoch + 1}: loss: expected a finite number, got a loss or parameters that are not; those "
                    "of the last good epoch are kept; a lower learning rate or scaled inputs may help"
                )
        except BaseException:
            self._restore(before)
            raise
        self._publish_average()
        return loss, reason

    def _pass(
        self, X: Matrix, T: Matrix, W: Vector, batch_size: int, shuffle: bool | str, watch: Watch
    ) -> tuple[float, str | None]:
        """Take a step for each batch; return the weighted mean loss and a reason to stop, or None.

        Batches of weight 0 cause no step. The pass ends early at a loss that is not finite or a reason to stop.
        """
        if self._minimizer is not None:
            watch.before(0)
            loss = self._iterate(X, T, W)
            return loss, watch.after(0, loss) or ("converged" if self._minimizer.converged else None)
        order: Sequence[int] = range(len(X))
        if shuffle:
            n = len(X)
            if shuffle == "blocks":
                order = columns.block_order(self._random, n, self.sizes[0])
            else:
                order = self._random.permutation(n)
        total, weight, reason = 0.0, 0.0, None
        for start in range(0, len(X), batch_size):
            watch.before(start // batch_size)
            batch = order[start : start + batch_size]
            weights = [W[k] for k in batch]
            loss, gradient = self._penalised([X[k] for k in batch], [T[k] for k in batch], weights)
            total += loss * sum(weights)
            if not math.isfinite(total):
                break
            if any(weights):
                self._step(gradient)
            weight += sum(weights)
            if reason := watch.after(start // batch_size, total / (weight or 1.0)):
                break
        return total / (weight or 1.0), reason

    def _iterate(self, X: Matrix, T: Matrix, W: Vector) -> float:
        """Run an iteration of the minimiser over all rows; return the loss before it."""

        def f(P: Vector) -> tuple[float, Vector]:
            self._set_parameters(P)
            loss, gradient = self._penalised(X, T, W)
            return loss, list(chain.from_iterable(gradient))

        P = self.parameters
        try:
            loss, P = self._minimizer.iterate(f, P)
        finally:
            self._set_parameters(P)
        return float(loss)

    def _state(self) -> tuple[Any, ...]:
        """Return a copy of all that training changes: P, the random state, and the attributes in INITIAL_STATE."""
        attributes = {name: copy.copy(getattr(self, name)) for name in INITIAL_STATE}
        attributes["_states"] = [[vector[:] for vector in state] for state in self._states]
        return [row[:] for row in self._rows], self._random.state, attributes

    def _is_finite(self) -> bool:
        """Whether the parameters and the optimiser's state are finite.

        A state that is not finite can leave the parameters finite: they then no longer change.
        """
        vectors = chain(self._rows, chain.from_iterable(self._states))
        return all(map(math.isfinite, chain.from_iterable(vectors)))

    def _restore(self, state: tuple[Any, ...]) -> None:
        rows, self._random.state, attributes = state
        vars(self).update(attributes)
        for old, new in zip(self._rows, rows):
            old[:] = new

    def _penalised(self, X: Matrix, T: Matrix, W: Vector) -> tuple[float, Matrix]:
        """Return loss and gradient of the next step, with noise and dropout if there are any, and penalties added."""
        r, weight = self._regularization, sum(W)
        if r is None or not weight:
            return self._loss_and_gradient(X, T, W)
        draws = None if self._key is None else Draws(r, self._key, self._n_steps)
        loss, gradient = self._loss_and_gradient(X, T, W, draws)
        penalised = [terms.penalised(g, p, r, weight) for p, g in zip(self._rows, gradient)]
        gradient = [new if is_weight else g for new, g, is_weight in zip(penalised, gradient, self._is_weight)]
        return loss + terms.penalty(self._weight_rows, r, weight), gradient

    def _step(self, gradient: Matrix) -> None:
        """Take a step of the optimiser with the gradient, clipped and with weight decay, norms and average applied."""
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

    def _continue_from_trained(self) -> None:
        """Prepare to train: draw the key of the training if it is needed, and replace the average by the trained P."""
        if self._key is None and self._regularization is not None and terms.draws_anything(self._regularization):
            self._key = self._random.next() >> 11
        for old, new in zip(self._rows, self._trained):
            old[:] = new
        self._trained = []

    def _publish_average(self) -> None:
        """Make the average, if there is one, the network's parameters, and save the trained ones."""
        if self._average:
            self._trained = [row[:] for row in self._rows]
            for old, new in zip(self._rows, self._average):
                old[:] = new

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of the next step, as a schedule gives it if there is one; None before training."""
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
            raise ValueError(
                "learning_rate: can only be set after training has begun with a learning rate that is a number, "
                f"got {rate!r}"
            )
        self._rate = rate

    def _next_optimizer(self, optimizer: Any) -> Choice:
        if optimizer is None:
            optimizer = self._optimizer if self._optimizer is not None else "adam"
        return checks.choose("optimizer", optimizer, {**OPTIMIZERS, **MINIMIZERS})

    def _use_optimizer(self, choice: Choice, r: Choice | None) -> None:
        """Continue with the state of an equal optimiser and regularisation, or start with a new state."""
        if choice != self._optimizer or r != self._regularization or not self._states:
            self._reset_state()
            self._optimizer, self._regularization = choice, r
            rate = getattr(choice, "learning_rate", None)
            self._plateau = Plateau(rate) if getattr(rate, "name", "") == "reduce_on_plateau" else None
            minimizer = MINIMIZERS.get(choice.name)
            self._minimizer = minimizer.value(choice) if minimizer else None
            n_states = 0 if minimizer else OPTIMIZERS[choice.name].n_states
            self._states = [[[0.0] * len(row) for _ in range(n_states)] for row in self._rows]

    def _reset_state(self) -> None:
        """Reset the optimiser's state, but not the optimiser itself, which is the default of the next training."""
        vars(self).update({name: value for name, value in INITIAL_STATE.items() if name != "_optimizer"})

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), **INITIAL_STATE, "history": None}

    def fold_linear(self) -> Network:
        """Return a network with each identity hidden layer merged into the next: W = w2 w1, B = w2 b1 + b2.

        The outputs are equal up to rounding: A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm",
        section 3, proves it.
        """
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
        options: dict[str, Any] = {"output_activation": self.output_activation, "loss": self.loss, "init": self.init}
        folded = Network(sizes, activation=activations, seed=self.seed, **options)
        folded.input_scaling, folded.target_scaling = self.input_scaling, self.target_scaling
        folded._random.state = self._random.state
        for layer, (w, b) in enumerate(layers):
            folded.set_layer(layer, w, b)
        return folded

    def _validation(self, data: Any) -> tuple[Matrix, Matrix, Vector, list[int] | None] | None:
        if data is None:
            return None
        if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
            raise TypeError(f"validation_data: expected (X, y) or (X, y, sample_weight), got {type(data).__name__}")
        X, T, _ = self._examples(*data[:2], finite=True, names=("validation_data[0]", "validation_data[1]"))
        W = checks.row_weights(data[2] if len(data) == 3 else None, None, T, self.loss)
        return X, T, W, self._labels(data[1])
