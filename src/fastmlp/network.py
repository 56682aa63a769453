"""Network: names, arguments and errors around the compiled core.

Everything that reads or writes parameters is in `_core.Core`; the hot methods (`predict`, `__call__`, `classify`,
`activations`) are inherited as they are, not wrapped. This file turns what users write into what the core takes,
and checks all of it before anything is written. The loop of `fit` is in `training.py`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from . import (
    _core,
    activations,
    arguments,
    arrays,
    construction,
    inputs,
    losses,
    optimizers,
    persistence,
    row_weights,
    scaling,
    training,
)
from .activations import Activation, CustomActivation, Identity
from .history import History
from .initializers import INITIALIZERS
from .losses import CustomLoss, Loss, MeanSquaredError
from .metrics import evaluate as evaluate_metrics
from .metrics import resolve as resolve_metrics
from .optimizers import Adam, Optimizer
from .regularization import Regularization
from .regularization import resolve as resolve_regularization
from .scaling import Scaling
from .schedules import check_rate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Columns = tuple[Scaling | None, Scaling | None, tuple[str, ...] | None]


class Network(_core.Core):
    """A multilayer perceptron: it predicts, trains, saves and explains itself.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, outputs of each hidden layer, outputs; ``[784, 30, 10]`` has two layers of weights.
    activation : str, Activation, or a sequence of these, default "relu"
        Of the hidden layers: one for all, or a list with one for each.
    output_activation : str or Activation, optional
        Of the last layer; None is the loss's partner: sigmoid (binary_cross_entropy, binary_focal), softmax
        (cross_entropy, focal) or else identity.
    loss : str or Loss, default "mse"
        One of mse, squared_error, half_squared_error, mae, huber, log_cosh, quantile, poisson, gamma, gaussian_nll,
        binary_cross_entropy, cross_entropy, binary_focal, focal, hinge; a `CustomLoss` is a user's own.
    dtype : {"float32", "float64"}, default "float32"
        Of parameters and results.
    init : str, default "auto"
        auto, glorot_uniform, he_uniform, lecun_normal or normal. "auto" takes, for each layer, what goes with its
        activation: he_uniform before the ReLU family (ReLU, leaky ReLU, ELU, GELU, SiLU, mish; He et al. 2015, and
        common practice for the smooth ones), lecun_normal before SELU (Klambauer et al. 2017), else glorot_uniform.
    seed : int, optional
        0 <= seed < 2**64: the same initial parameters and the same batches on every engine. None draws one from
        the operating system.
    engine : {"auto", "blas", "native"}, default "auto"
        What computes the layers: "native", the package's own kernels, or "blas", SciPy's BLAS; "auto" is native
        where the processor has fused multiply-add, as `summary` explains. A forced engine never falls back.
    n_threads : int or "auto", default "auto"
        The most threads that the native engine uses; work that is too small for more takes one. "auto" is as many as
        this process may run: affinity and the CPU quota count. The bits of results do not depend on it. The `blas`
        engine leaves threads to BLAS.
    input_scaling : {"standard", "minmax"} or Scaling, optional
        The core gives the network (x - offset) / scale for each input x, wherever rows go in. A name is learnt by the
        first `fit` from the rows that it trains on; until then nothing is scaled.
    target_scaling : {"standard", "minmax"} or Scaling, optional
        The same for targets, of losses that take any real number: the network learns (t - offset) / scale, of which
        losses and gradients speak, and `predict` gives y scale + offset, in the targets' own unit, as do metrics.

    Raises
    ------
    ValueError, TypeError
        If an argument does not fit, or a loss and an output activation do not belong together.

    Examples
    --------
    >>> net = fastmlp.Network([2, 8, 1], activation="tanh", seed=0)
    >>> net.n_parameters
    33
    >>> X = [[0, 0], [0, 1], [1, 0], [1, 1]]
    >>> history = net.fit(X, [0, 1, 1, 0], epochs=500, optimizer=fastmlp.Adam(0.05))
    >>> net.classify(X)
    array([0, 1, 1, 0])
    """

    def __init__(
        self,
        sizes: Sequence[SupportsIndex],
        *,
        activation: str | Activation | Sequence[str | Activation] = "relu",
        output_activation: str | Activation | None = None,
        loss: str | Loss = "mse",
        dtype: Any = "float32",
        init: str = "auto",
        seed: SupportsIndex | None = None,
        engine: str = "auto",
        n_threads: SupportsIndex | str = "auto",
        input_scaling: str | Scaling | None = None,
        target_scaling: str | Scaling | None = None,
        _isa: str | None = None,
        _random_state: int | None = None,
    ) -> None:
        self._check_unbuilt()
        self._sizes = construction.check_sizes(sizes)
        self._activation = construction.check_activations(activation, len(self._sizes) - 2)
        self._loss = losses.resolve("loss", loss)
        output = None
        if output_activation is not None:
            output = activations.resolve("output_activation", output_activation, output=True)
        self._output_activation = losses.match(self._loss, output, self._sizes[-1])
        self._dtype = construction.check_dtype(dtype)
        for f in (*self._activation, self._output_activation):
            construction.check_precision(f, self._dtype)
        construction.check_precision(self._loss, self._dtype)
        self._init = arguments.name("init", init, INITIALIZERS)
        self._seed = None if seed is None else arguments.integer("seed", seed, least=0, most=2**64 - 1)
        self._n_threads = construction.check_threads(n_threads)
        self._most_threads = self._n_threads if isinstance(self._n_threads, int) else _core.usable_threads()
        if isinstance(self._loss, CustomLoss):
            self._most_threads = 1
        self._input_scaling = scaling.check("input_scaling", input_scaling, self._sizes[0])
        self._target_scaling = scaling.check_targets(target_scaling, self._loss, self._sizes[-1])
        chosen, self._why_engine = construction.choose_engine(engine, _core.kernel_isa(_isa))
        self._wanted_engine = engine
        layers = [*self._activation, self._output_activation]
        described = [(f.name, f.hyper_parameters, getattr(f, "functions", None)) for f in layers]
        double, targets = self._dtype == np.float64, arrays.TARGETS[self._loss.targets].bounds
        self._build(self._sizes, described, self._loss, double, chosen, _isa, self._most_threads, targets)
        if _random_state is None:
            start = int.from_bytes(os.urandom(8), "little") if self._seed is None else self._seed
            rule = INITIALIZERS[self._init]
            self._draw([rule(*shape) for shape in zip(self._sizes[:-1], self._sizes[1:], layers, strict=True)], start)
        else:
            self._draw([("uniform", 0.0, False)] * len(layers), _random_state)
        given = [each if isinstance(each, Scaling) else None for each in (self._input_scaling, self._target_scaling)]
        self._know_columns(given[0], given[1], None, True)

    # -- what it is ----------------------------------------------------------------------------------------------

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, outputs of each hidden layer, outputs."""
        return self._sizes

    @property
    def activation(self) -> tuple[Activation, ...]:
        """The activation of each hidden layer."""
        return self._activation

    @property
    def output_activation(self) -> Activation:
        """The activation of the last layer."""
        return self._output_activation

    @property
    def loss(self) -> Loss:
        """The loss that `fit` minimises."""
        return self._loss

    @property
    def init(self) -> str:
        """The rule of the initial parameters."""
        return self._init

    @property
    def seed(self) -> int | None:
        """The seed as it was given."""
        return self._seed

    @property
    def input_scaling(self) -> str | Scaling | None:
        """How inputs are scaled: a `Scaling`; its name until a fit has learnt it; None for not at all."""
        return self._published_columns[0] or self._input_scaling

    @property
    def target_scaling(self) -> str | Scaling | None:
        """How targets are scaled, as `input_scaling`."""
        return self._published_columns[1] or self._target_scaling

    @property
    def n_threads(self) -> int | str:
        """The number of threads as it was given."""
        return self._n_threads

    def __repr__(self) -> str:
        hidden: Any = list(self._activation)
        if len(set(hidden)) == 1:
            hidden = hidden[0]
        activation = f"activation={hidden!r}, " if self._activation else ""
        scalings = (("input_scaling", self.input_scaling), ("target_scaling", self.target_scaling))
        scaled = "".join(f", {name}={value!r}" for name, value in scalings if value is not None)
        return (
            f"Network({list(self._sizes)}, {activation}output_activation={self._output_activation!r}, "
            f"loss={losses.word(self._loss)!r}, dtype={self._dtype.name!r}, init={self._init!r}, seed={self._seed!r}"
            f"{scaled})"
        )

    def summary(self) -> str:
        """A table of the layers, and what computes them, as text.

        Returns
        -------
        str
            Layer, shape of its weights, activation and number of parameters; loss; engine and why; what is
            promised about bits.

        Examples
        --------
        >>> print(fastmlp.Network([784, 30, 10]).summary())  # doctest: +ELLIPSIS
        layer  weights    activation  parameters
        0      (30, 784)  ReLU()      23,550
        1      (10, 30)   Identity()  310
        23,860 parameters, float32, loss mse
        engine ...
        """
        rows = [("layer", "weights", "activation", "parameters")]
        shapes = zip(self._sizes[:-1], self._sizes[1:], [*self._activation, self._output_activation], strict=True)
        for layer, (n_inputs, n_outputs, f) in enumerate(shapes):
            rows.append((str(layer), f"({n_outputs}, {n_inputs})", repr(f), f"{(n_inputs + 1) * n_outputs:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        threads = "one thread" if self._most_threads == 1 else f"up to {self._most_threads} threads, one for small work"
        bits = {
            "native": f"{threads}; a row gives the same bits alone and in any batch, a fit with any number of threads",
            "blas": "threads are BLAS's own; a row's last bits may depend on its batch, as BLAS rounds by shape",
        }
        return "\n".join(
            [
                *lines,
                f"{self.n_parameters:,} parameters, {self._dtype.name}, loss {losses.word(self._loss)}",
                *self._described_columns(),
                f"engine {self.engine} ({self._why_engine}), kernels {self._isa}",
                bits[self.engine],
            ]
        )

    def _described_columns(self) -> list[str]:
        """What `summary` says of the columns of the data, where there is something to say."""
        scaled = [
            f"{what} scaled ({value}, to be learnt)" if isinstance(value, str) else f"{what} scaled"
            for what, value in (("inputs", self.input_scaling), ("targets", self.target_scaling))
            if value is not None
        ]
        named = [] if self.feature_names is None else [f"inputs named {', '.join(self.feature_names):.60}"]
        return [", ".join([*scaled, *named])] if scaled or named else []

    # -- parameters ----------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases as one new vector P: ``w1, b1, w2, b2, ...``, each weight row-major.

        Assigning a vector of n_parameters finite numbers copies it in and starts the optimiser anew.
        """
        return self._unpack()

    @parameters.setter
    def parameters(self, P: ArrayLike) -> None:
        self._replace_parameters(arrays.parameter_vector(P, self._sizes, self.n_parameters, self._dtype))

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of each layer, read-only arrays (O, I)."""
        return [w for w, _ in self._layers(self.parameters)]

    @property
    def biases(self) -> list[NDArray[Any]]:
        """The biases of each layer, read-only arrays (O,)."""
        return [b for _, b in self._layers(self.parameters)]

    def _layers(self, P: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """The weights and biases of each layer in P, new read-only arrays."""
        layers, begin = [], 0
        for n_inputs, n_outputs in itertools.pairwise(self._sizes):
            end = begin + n_inputs * n_outputs
            pair = P[begin:end].reshape(n_outputs, n_inputs).copy(), P[end : end + n_outputs].copy()
            for array in pair:
                array.flags.writeable = False
            layers.append(pair)
            begin = end + n_outputs
        return layers

    def set_layer(self, l: SupportsIndex, w: ArrayLike, b: ArrayLike) -> None:
        """Copy weights and biases into a layer; the optimiser starts anew.

        Parameters
        ----------
        l : int
            The layer, counted from 0; negative counts from the last.
        w : array_like, shape (O, I)
        b : array_like, shape (O,)

        Raises
        ------
        IndexError
            If there is no such layer.
        ValueError
            If a shape does not fit or a number is not finite.

        Examples
        --------
        >>> net = fastmlp.Network([2, 1])
        >>> net.set_layer(0, [[1.0, 2.0]], [0.5])
        >>> net.predict([10.0, 100.0])
        array([210.5], dtype=float32)
        """
        n_layers = len(self._sizes) - 1
        layer = arguments.integer("l", l)
        if not -n_layers <= layer < n_layers:
            raise IndexError(f"l: expected a layer from 0 to {n_layers - 1}, got {layer}")
        layer %= n_layers
        n_inputs, n_outputs = self._sizes[layer : layer + 2]
        w, b = arrays.layer_parameters(w, b, layer, n_inputs, n_outputs, self._dtype)
        P = self.parameters
        begin = sum((i + 1) * o for i, o in itertools.pairwise(self._sizes[: layer + 1]))
        P[begin : begin + w.size] = w.ravel()
        P[begin + w.size : begin + w.size + b.size] = b
        self._replace_parameters(P)

    def fold_linear(self) -> Network:
        """A network in which each hidden layer with the identity as activation is merged into the next.

        Returns
        -------
        Network
            With the same outputs up to rounding: w = w2 w1 and b = w2 b1 + b2 (the paper's proof that a
            composition of affine layers is affine), computed in float64.

        Examples
        --------
        >>> net = fastmlp.Network([3, 5, 2], activation="identity", dtype="float64", seed=0)
        >>> folded = net.fold_linear()
        >>> folded.sizes
        (3, 2)
        >>> np.allclose(folded.predict([1.0, 2.0, 3.0]), net.predict([1.0, 2.0, 3.0]))
        True
        """
        sizes, hidden = [self._sizes[0]], []
        layers: list[tuple[NDArray[Any], NDArray[Any]]] = []
        carried: tuple[NDArray[Any], NDArray[Any]] | None = None
        P, columns, random_state = self._published()
        parts = zip(self._layers(P.astype(np.float64)), [*self._activation, self._output_activation], strict=True)
        for layer, ((w, b), f) in enumerate(parts):
            if carried is not None:
                w, b = w @ carried[0], w @ carried[1] + b
            if isinstance(f, Identity) and layer < len(self._activation):
                carried = w, b
                continue
            carried = None
            layers.append((w, b))
            sizes.append(len(b))
            hidden.append(f)
        folded = self._like(sizes, hidden[:-1], columns, random_state)
        folded.parameters = np.concatenate([array.ravel() for pair in layers for array in pair])
        return folded

    def _like(self, sizes: Sequence[int], hidden: Sequence[Activation], columns: Columns, random_state: int) -> Network:
        """A network of other layers and otherwise the same words; its parameters are 0."""
        net = Network(
            sizes,
            activation=hidden,
            output_activation=self._output_activation,
            loss=self._loss,
            dtype=self._dtype,
            init=self._init,
            seed=self._seed,
            engine=self._wanted_engine,
            n_threads=self._n_threads,
            input_scaling=columns[0] or self._input_scaling,
            target_scaling=columns[1] or self._target_scaling,
            _isa=self._isa,
            _random_state=random_state,
        )
        net._know_columns(*columns, True)
        return net

    # -- training ------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of the next step, a schedule's included; None before the first optimiser.

        Assigning a number above 0, from a callback, say, has the optimiser go on with that rate; another optimiser, and
        what has it start anew, takes its own. One whose rate follows a schedule, or has none, refuses.
        """
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: SupportsFloat) -> None:
        checked = check_rate(rate)
        optimizer = self._optimizer
        if self._learning_rate is None or optimizer is None or optimizer.full_batch or optimizer.schedule is not None:
            raise ValueError(
                f"learning_rate: expected an optimiser at work whose own is a number, got {checked!r} for {optimizer!r}"
            )
        self._set_rate(checked)

    def _rows(
        self,
        X: object,
        y: object,
        sample_weight: object = None,
        class_weight: object = None,
        *,
        often: bool = False,
    ) -> _core.Rows:
        """X, its targets and its weights, checked, as the core takes them; `often`: for several epochs."""
        scaled = self._input_scaling is not None
        x = inputs.convert(X, self._sizes[0], self._dtype, self._columns[2], often=often, scaled=scaled)
        n_rows = x.shape[0] if x.ndim == 2 else 1
        if n_rows >= 2**32:
            raise ValueError(f"X: expected fewer than 2**32 rows, got {n_rows}")
        single, scaled = x.ndim == 1, self._target_scaling is not None
        args = (y, n_rows, self._sizes[-1], self._dtype, self._loss)
        values, labels = arrays.targets(*args, single=single, scaled=scaled)
        if scaled and values is None:
            raise ValueError("y: expected numbers, which target_scaling can scale, got class labels")
        return self._weighted(_core.Rows(x, values, labels), sample_weight, class_weight)

    def _weighted(self, rows: _core.Rows, sample_weight: object, class_weight: object) -> _core.Rows:
        """The rows with these weights; as they are where there are none."""
        if sample_weight is None and class_weight is None:
            return rows
        n_targets = self._sizes[-1] // self._loss.n_heads
        weights = row_weights.combine(sample_weight, class_weight, rows.values, rows.labels, n_targets, self._loss)
        return _core.Rows(rows.x, rows.values, rows.labels, weights)

    def _learn_columns(self, names: tuple[str, ...] | None, rows: _core.Rows) -> None:
        """Names and scalings of the columns from the rows of a fit, where there are none yet."""
        inputs_scaled, targets_scaled = (
            Scaling.fit(part, word) if isinstance(word, str) else word
            for part, word in ((rows.x, self.input_scaling), (rows.values, self.target_scaling))
        )
        names = self._columns[2] or names
        if (inputs_scaled, targets_scaled, names) != self._columns:
            self._know_columns(inputs_scaled, targets_scaled, names, False)

    def _refuse_unscaled(self, what: str) -> None:
        """Refuses to train before a scaling is known."""
        for argument, value in (("input_scaling", self.input_scaling), ("target_scaling", self.target_scaling)):
            if isinstance(value, str):
                raise ValueError(
                    f"{argument}: expected a Scaling before {what}, as Scaling.fit finds it, or a fit, got {value!r}"
                )

    def _refuse_untrainable(self, what: str) -> None:
        for layer, f in enumerate([*self._activation, self._output_activation]):
            if not f.trainable:
                raise ValueError(f"{what}: expected activations with a derivative, got {f.name!r} in layer {layer}")

    def _resolve_optimizer(self, optimizer: object) -> Optimizer | None:
        """The optimiser to go on with; None: the one that the network has."""
        if optimizer is not None:
            return construction.check_precision(optimizers.resolve("optimizer", optimizer), self._dtype)
        return None if self._optimizer is not None else Adam()

    def _check_regularization(self, regularization: Regularization | None, used: Optimizer) -> None:
        if regularization is not None:
            regularization._check_use(used, len(self._activation), self._dtype)

    def _resolve_step(
        self, optimizer: object, regularization: object
    ) -> tuple[Optimizer | None, Regularization | None]:
        """What a single step goes on with, see `_resolve_optimizer`."""
        wanted, resolved = self._resolve_optimizer(optimizer), resolve_regularization(regularization)
        used = wanted or self._optimizer
        assert used is not None
        self._check_regularization(resolved, used)
        return wanted, resolved

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        epochs: SupportsIndex = 10,
        batch_size: SupportsIndex | None = training.DEFAULT_BATCH_SIZE,
        optimizer: str | Optimizer | None = "adam",
        shuffle: bool | str = True,
        validation_data: tuple[Any, ArrayLike] | tuple[Any, ArrayLike, ArrayLike] | None = None,
        validation_split: SupportsFloat | None = None,
        metrics: Sequence[str | Callable[[Any, Any], Any]] = (),
        callbacks: Sequence[Callable[..., Any] | object] = (),
        max_time: SupportsFloat | None = None,
        resume: str | os.PathLike[str] | None = None,
        verbose: SupportsIndex = 0,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        regularization: Regularization | None = None,
    ) -> History:
        """Train on rows X and targets y.

        Parameters
        ----------
        X : array_like, frame, sparse matrix, shape (B, I), or batches
            What lies in memory as float16 or uint8 (taken at face value), a SciPy sparse matrix (as CSR), or a
            `numpy.memmap` of any float is converted batch by batch. The names of a frame's columns are kept in
            `feature_names`. Without y: an iterable of batches ``(X, y)`` or ``(X, y, sample_weight)``, gone through
            anew in each epoch, or a function that returns one; each batch is one step.
        y : array_like, shape (B, O), or (B,), optional
            Targets; 1-D where O is 1, or whole numbers as class labels where O > 1. A loss with several heads
            (`Quantile` of several levels, `GaussianNLL`) takes one number for its heads together.
        epochs : int, default 10
            Passes over the data.
        batch_size : int or None, default 32
            Rows of one step; None is the full batch. A short last batch divides by its own size. Optimisers that need
            all rows in each step (Rprop, LBFGS) take them unless another number is given, which they refuse.
        optimizer : str, Optimizer or None, default "adam"
            An optimiser equal to the last one, or None, continues it with its state; another starts anew.
        shuffle : bool, "blocks" or "rows", default True
            Whether each epoch takes the rows in a new order; "blocks", and True of a `numpy.memmap`, by blocks: blocks
            of about 65,536 numbers in random order, and the rows of each 64 of them in random order (docs/data.md).
            "rows" is what True is of an array: any order, of a file too.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Evaluated after each epoch, as ``val_loss`` and, for losses of classes, ``val_accuracy``.
        validation_split : float, optional
            In (0, 1): this last share of the rows, as they are given and before any shuffling, is not trained on but
            validated on; rounded up to whole rows.
        metrics : sequence of str and functions, default ()
            Evaluated on the validation's rows after each epoch, as ``val_<name>``; see `evaluate`.
        callbacks : sequence, default ()
            Functions ``f(epoch, logs)``, and objects with any of ``on_train_begin(logs)``,
            ``on_epoch_begin(epoch, logs)``, ``on_batch_begin(batch, logs)``, ``on_batch_end(batch, logs)``,
            ``on_epoch_end(epoch, logs)``, ``on_train_end(logs)``. Epochs count from 0, batches within their epoch. A
            function, ``on_batch_end`` or ``on_epoch_end`` that returns True stops the training. `EarlyStopping` and
            `Checkpoint` go here, too.
        max_time : float, optional
            Seconds of this call after which the training stops, between two steps; looked at every 0.05 s. An epoch
            that is cut short is validated and recorded as far as it went.
        resume : path-like, optional
            A file of `Checkpoint` to go on from: with the data, the batches and the optimiser of that fit, on a network
            of its architecture, the training ends with the bits that it would have had without an interruption.
        verbose : int, default 0
            1 shows a bar on stderr where that is a terminal and tqdm is installed, and else writes a line per epoch;
            2 always writes lines.
        sample_weight : array_like, shape (B,), optional
            Of each row, at least 0: a batch's loss is sum(w_i l_i) / sum(w_i). A batch of weights 0 makes no step.
        class_weight : dict or "balanced", optional
            A weight of each class label, 1 for those that are missing, times the row's own; "balanced" is
            n_rows / (n_classes * rows of the class), as scikit-learn's.
        regularization : Regularization, optional
            Penalties, decay, dropout, noise, limits, an average; None is none. Another one than last time starts the
            optimiser anew, as another optimiser does.

        Returns
        -------
        History
            ``loss`` and the validation's figures, a list each with one value per epoch, and in ``stopped`` why the
            training ended. An epoch's loss is the weighted mean over its rows, each as it was before the step of its
            batch; the penalties of a regularisation are part of it.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or a number in X or y is not finite; the network is as before. Also if the
            checkpoint to resume is of another training: the message says in what.
        FormatError
            If the file to resume is truncated, altered or no checkpoint.
        OSError
            If a checkpoint cannot be read or written; the network keeps the last whole epoch.
        FloatingPointError
            If the loss becomes NaN or infinite; the parameters of the last good epoch are kept.
        RuntimeError
            If another fit of this network is running.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s; what was learnt is kept.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], seed=0)
        >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=200, optimizer=fastmlp.SGD(0.5), batch_size=None)
        >>> net.predict([[2.0]]).round(3)
        array([[5.]], dtype=float32)
        """
        plan = training.check_plan(
            epochs=epochs,
            batch_size=batch_size,
            shuffle=shuffle,
            validation_split=validation_split,
            metrics=metrics,
            callbacks=callbacks,
            max_time=max_time,
            resume=resume,
            verbose=verbose,
            sample_weight=sample_weight,
            class_weight=class_weight,
            regularization=regularization,
        )
        return training.fit(self, X, y, optimizer, validation_data, plan)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        batch_size: SupportsIndex | None = training.DEFAULT_BATCH_SIZE,
        optimizer: str | Optimizer | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        regularization: Regularization | None = None,
    ) -> Network:
        """One pass over the rows in their order, for data that come in pieces.

        Parameters
        ----------
        X : array_like, shape (B, I)
        y : array_like, shape (B, O), or (B,)
        batch_size : int or None, default 32
            Rows of one step; None is all.
        optimizer : str, Optimizer or None, default None
            None continues the last one, with its state; before the first step it is Adam.
        sample_weight, class_weight, regularization
            As for `fit`; "balanced" is by the classes of these rows.

        Returns
        -------
        Network
            This one, as in scikit-learn.

        Raises
        ------
        ValueError, TypeError, FloatingPointError, RuntimeError
            As `fit`.

        Examples
        --------
        >>> X, y = [[0.0], [1.0], [2.0], [3.0]], [1.0, 3.0, 5.0, 7.0]
        >>> net, other = (fastmlp.Network([1, 4, 1], seed=0) for _ in range(2))
        >>> _ = net.partial_fit(X[:2], y[:2], batch_size=1).partial_fit(X[2:], y[2:], batch_size=1)
        >>> _ = other.fit(X, y, epochs=1, batch_size=1, shuffle=False)
        >>> np.array_equal(net.parameters, other.parameters)
        True
        """
        more: dict[str, Any] = {
            "sample_weight": sample_weight,
            "class_weight": class_weight,
            "regularization": regularization,
        }
        self.fit(X, y, epochs=1, batch_size=batch_size, optimizer=optimizer, shuffle=False, **more)
        return self

    def _learn_unusual(self, x: object, y: object, optimizer: object, regularization: object) -> float:
        """What `learn_one` does where its fast path does not: conversions, another optimiser, errors."""
        self._refuse_while_fitting("learn_one")
        self._refuse_untrainable("learn_one")
        self._refuse_unscaled("learn_one")
        wanted, resolved = self._resolve_step(optimizer, regularization)
        rows = self._rows(x, y)
        if rows.x.ndim != 1:
            raise ValueError(f"X: expected one row of shape ({self._sizes[0]},), got shape {rows.x.shape}")
        return self._step(rows, wanted, resolved)

    def train_on_batch(
        self,
        X: Any,
        y: ArrayLike,
        optimizer: str | Optimizer | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
        regularization: Regularization | None = None,
    ) -> float:
        """One optimiser step on the rows X; the optimiser is continued as by `fit`.

        Parameters
        ----------
        X, y, optimizer, sample_weight, class_weight, regularization
            As for `fit`; weights must not all be 0.

        Returns
        -------
        float
            The weighted mean loss of the rows before the step, penalties included.

        Raises
        ------
        ValueError, TypeError
            If an argument does not fit, or a number in X or y is not finite; the network is as before.
        FloatingPointError
            If the loss or what the step makes of the parameters is not finite; the network is as before.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1])
        >>> net.set_layer(0, [[1.0]], [0.0])
        >>> net.train_on_batch([[2.0]], [3.0], fastmlp.SGD(0.25))  # (2 - 3)^2; the gradient is (-4, -2)
        1.0
        >>> net.parameters
        array([2. , 0.5], dtype=float32)
        """
        self._refuse_while_fitting("train_on_batch")
        self._refuse_untrainable("train_on_batch")
        self._refuse_unscaled("train_on_batch")
        wanted, resolved = self._resolve_step(optimizer, regularization)
        return self._step(self._rows(X, y, sample_weight, class_weight), wanted, resolved)

    def evaluate(
        self,
        X: Any,
        y: ArrayLike,
        *,
        metrics: Sequence[str | Callable[[Any, Any], Any]] = (),
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> dict[str, float]:
        """The mean loss over rows X with targets y, for losses of classes the accuracy, and metrics.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
        y : array_like
            As for `fit`.
        metrics : sequence of str and functions, default ()
            Names: accuracy, balanced_accuracy, precision, recall, f1, auc, mae, mse, rmse, r2 (`fastmlp.metrics` has
            the formulas), of what the loss's outputs say of the targets: the rate of `Poisson`, the mean of
            `GaussianNLL`, the level of `Quantile` that is nearest the median. Functions ``metric(y_true, y_pred)`` that
            return a number: y_pred is (B, O), y_true the labels (B,) or the targets, and both are (B,) where they have
            one column.
        sample_weight : array_like, shape (B,), optional
            Of each row, at least 0 and not all 0; loss and accuracy are then weighted means. The other metrics count
            each row once.
        class_weight : dict or "balanced", optional
            As for `fit`, by the classes of these rows.

        Returns
        -------
        dict
            ``loss``; ``accuracy``, the share of rows whose class (see `classify`) is the label, or the class of
            the target row, for the cross entropies, the focal losses and hinge; the metrics by their names.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], loss="binary_cross_entropy", dtype="float64")
        >>> net.set_layer(0, [[1.0]], [0.0])
        >>> figures = net.evaluate([[-2.0], [1.0], [3.0]], [0, 0, 1])
        >>> {name: round(value, 4) for name, value in figures.items()}
        {'loss': 0.4963, 'accuracy': 0.6667}
        >>> net.evaluate([[-2.0], [1.0], [3.0]], [0, 0, 1], metrics=["auc"])["auc"]
        1.0
        """
        resolved = resolve_metrics(metrics)
        return evaluate_metrics(self, self._rows(X, y, sample_weight, class_weight), resolved)

    def loss_and_grad(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> tuple[float, NDArray[Any]]:
        """The mean loss over rows X with targets y, and its gradient as one vector in the order of `parameters`.

        Parameters
        ----------
        X, y
            As for `fit`.
        sample_weight : array_like, shape (B,), optional
            Of each row, at least 0 and not all 0: the loss is sum(w_i l_i) / sum(w_i).
        class_weight : dict or "balanced", optional
            As for `fit`, by the classes of these rows.

        References
        ----------
        The paper's section 5, averaged over the rows.

        Examples
        --------
        >>> net = fastmlp.Network([2, 1], loss="half_squared_error")
        >>> net.set_layer(0, [[1.0, 1.0]], [0.0])
        >>> net.loss_and_grad([2.0, 3.0], 4.0)  # y - t is 1, so the gradient is (x, 1)
        (0.5, array([2., 3., 1.], dtype=float32))
        """
        self._refuse_untrainable("loss_and_grad")
        return self._gradient(self._rows(X, y, sample_weight, class_weight), False)

    def input_gradient(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Mapping[int, float] | str | None = None,
    ) -> NDArray[Any]:
        """The gradient of the mean loss with respect to X; an array of X's shape.

        Parameters
        ----------
        X, y
            As for `fit`.
        sample_weight : array_like, shape (B,), optional
            Of each row, at least 0 and not all 0: the loss is sum(w_i l_i) / sum(w_i).
        class_weight : dict or "balanced", optional
            As for `fit`, by the classes of these rows.

        Examples
        --------
        >>> net = fastmlp.Network([2, 1], loss="half_squared_error")
        >>> net.set_layer(0, [[10.0, 20.0]], [0.0])
        >>> net.input_gradient([1.0, 1.0], 29.0)  # y - t is 1, so the gradient is w
        array([10., 20.], dtype=float32)
        """
        self._refuse_untrainable("input_gradient")
        rows = self._rows(X, y, sample_weight, class_weight)
        gradient: NDArray[Any] = self._gradient(rows, True)[1].reshape(rows.x.shape)
        return gradient

    # -- keeping -------------------------------------------------------------------------------------------------

    def _architecture(self) -> dict[str, Any]:
        """Everything but the parameters, as JSON can hold it; of a fit that is running, as it is training."""
        layers = [*self._activation, self._output_activation]
        return self._described(layers, self._loss, self._columns, self._random_state)

    def _model(self, layers: Sequence[Activation], loss: Loss) -> persistence.Model:
        """The network as readers see it, all of one moment, also while a fit is running."""
        P, columns, random_state = self._published()
        return persistence.Model(self._described(layers, loss, columns, random_state), P, {})

    def _described(
        self, layers: Sequence[Activation], loss: Loss, columns: Columns, random_state: int
    ) -> dict[str, Any]:
        described = [persistence.describe(f) for f in layers]
        words = {
            "sizes": list(self._sizes),
            "activation": described[:-1],
            "output_activation": described[-1],
            "loss": persistence.describe(loss),
            "dtype": self._dtype.name,
            "init": self._init,
            "seed": self._seed,
            "random_state": f"{random_state:016x}",
        }
        known = {
            "input_scaling": scaling.describe(columns[0] or self._input_scaling),
            "target_scaling": scaling.describe(columns[1] or self._target_scaling),
            "feature_names": None if columns[2] is None else list(columns[2]),
        }
        return {**words, **{key: value for key, value in known.items() if value is not None}}

    @classmethod
    def _from_model(
        cls,
        model: persistence.Model,
        *,
        engine: str = "auto",
        n_threads: int | str = "auto",
        isa: str | None = None,
        custom: Mapping[int, Activation] = MappingProxyType({}),
        own_loss: CustomLoss | None = None,
    ) -> Network:
        """The model's network; custom: the activations of the layers where the model has a stand-in."""
        words = model.architecture
        layers = [persistence.activation_from(f) for f in (*words["activation"], words["output_activation"])]
        layers = [custom.get(layer, f) for layer, f in enumerate(layers)]
        net = cls.__new__(cls)
        Network.__init__(
            net,
            words["sizes"],
            activation=layers[:-1],
            output_activation=layers[-1],
            loss=own_loss or persistence.loss_from(words["loss"]),
            dtype=words["dtype"],
            init=words["init"],
            seed=words["seed"],
            engine=engine,
            n_threads=n_threads,
            input_scaling=scaling.from_description("input_scaling", words.get("input_scaling"), words["sizes"][0]),
            target_scaling=scaling.from_description("target_scaling", words.get("target_scaling"), words["sizes"][-1]),
            _isa=isa,
            _random_state=int(words["random_state"], 16),
        )
        if "feature_names" in words:
            net._know_columns(*net._columns[:2], tuple(words["feature_names"]), True)
        net.parameters = model.parameters
        return net

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, so that a crash leaves the old file or the new one.

        The file has the parameters, the architecture and the state of the random stream; not the optimiser's.

        Parameters
        ----------
        path : path-like
            Usually ``*.safetensors``; an existing file is replaced.

        Raises
        ------
        ValueError
            If a layer has a `CustomActivation` or the loss is a `CustomLoss`: a model file holds no code.
        OSError
            If it cannot be written; an old file is kept.

        Examples
        --------
        >>> net = fastmlp.Network([3, 2], seed=0)
        >>> net.save("model.safetensors")
        >>> again = fastmlp.load("model.safetensors")
        >>> np.array_equal(again.parameters, net.parameters)
        True
        """
        persistence.save(path, self._model([*self._activation, self._output_activation], self._loss))

    def copy(self) -> Network:
        """A network of its own with the same parameters and random stream; its optimiser starts anew.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], seed=0)
        >>> other = net.copy()
        >>> other.set_layer(0, [[7.0]], [0.0])
        >>> np.array_equal(net.parameters, other.parameters)
        False
        """
        rebuild, state = self.__reduce__()
        return rebuild(*state)  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        layers = [*self._activation, self._output_activation]
        custom = {layer: f for layer, f in enumerate(layers) if isinstance(f, CustomActivation)}
        stand_ins = [Identity() if layer in custom else f for layer, f in enumerate(layers)]
        own_loss = self._loss if isinstance(self._loss, CustomLoss) else None
        data = persistence.to_bytes(self._model(stand_ins, MeanSquaredError() if own_loss else self._loss))
        return _from_bytes, (type(self), data, self._wanted_engine, self._n_threads, self._isa, custom, own_loss)

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self.copy()

    __copy__ = copy


def _from_bytes(
    cls: type[Network],
    data: bytes,
    engine: str,
    n_threads: int | str,
    isa: str,
    custom: Mapping[int, Activation] = MappingProxyType({}),
    own_loss: CustomLoss | None = None,
) -> Network:
    """What pickle calls; the instruction set is kept where the processor has it."""
    known = isa if isa in _core.isas() else None
    model = persistence.parse(data)
    return cls._from_model(model, engine=engine, n_threads=n_threads, isa=known, custom=custom, own_loss=own_loss)


def load(path: str | os.PathLike[str], *, engine: str = "auto", n_threads: SupportsIndex | str = "auto") -> Network:
    """The network that `Network.save` wrote; its optimiser starts anew.

    Parameters
    ----------
    path : path-like
    engine, n_threads
        As for `Network`; they belong to the machine, so the file does not have them.

    Raises
    ------
    FormatError
        If the file is truncated, altered, or not a model; no code from it is run.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> fastmlp.Network([3, 2], loss="cross_entropy", seed=0).save("model.safetensors")
    >>> net = fastmlp.load("model.safetensors")
    >>> net.sizes, net.loss
    ((3, 2), CrossEntropy(label_smoothing=0.0))
    """
    threads = construction.check_threads(n_threads)
    construction.choose_engine(engine, _core.kernel_isa())
    return Network._from_model(persistence.read(path), engine=engine, n_threads=threads)
