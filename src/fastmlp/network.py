"""Network: the model and its training: steps, evaluations and gradients.

`model.Model` has what a network is and keeps, `_core.Core` the arithmetic. This file turns the arguments of a training
into what the core takes, and checks all of it before anything is written. What `fit` does is in `training/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from . import _core, engines, optimizers
from .activations import Identity
from .architecture import check_precision
from .formats import files
from .frozen import fields, replace
from .history import History
from .inputs import arrays
from .inputs import schema as schemas
from .inputs.schema import Schema
from .metrics import evaluate as evaluate_metrics
from .metrics import resolve as resolve_metrics
from .model import Model
from .optimizers import Adam, Optimizer
from .regularization import Regularization
from .regularization import resolve as resolve_regularization
from .scaling import Scaling
from .schedules import check_rate
from .training import data
from .training.fit import fit
from .training.plan import DEFAULT_BATCH_SIZE, FitPlan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Columns = tuple[Scaling | None, Scaling | None, Schema]


class Network(Model):
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
        A float32 network predicts in float64 where the offset needs it, see `predict`.
    feature_names : sequence of str, optional
        The name of each column of X; else the first `fit` on a frame learns them. The columns of a frame, and the
        entries of a row of one, are then found by name, in whatever order they come.
    target_name : str, optional
        The name of the target; else the first `fit` on a named column learns it.
    class_names : sequence of str, int or float, optional
        What each class is called, one name for each (two where there is one output). Labels in y are then these names,
        and `classify` gives indices into them. A loss of classes learns text labels in the first `fit`, in ascending
        order; integers stay indices where no names are given.
    encoder : Encoder, optional
        What turns the columns of a frame (text, categories, dates, missing numbers) into the network's inputs.

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

    def fold_linear(self) -> Network:
        """A network in which each hidden layer with the identity as activation is merged into the next.

        Returns
        -------
        Network
            With the same outputs up to rounding: w = w2 w1 and b = w2 b1 + b2, computed in float64
            (Lopez Davila, "Neural Networks: The Backpropagation Algorithm", proves that affine layers one after another
            are affine).

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
        architecture = replace(
            self._with_columns(columns), sizes=sizes, activation=hidden[:-1], output_activation=hidden[-1]
        )
        return Network._from_architecture(
            architecture,
            np.concatenate([array.ravel() for pair in layers for array in pair]),
            random_state=random_state,
            engine=self._wanted_engine,
            n_threads=self._n_threads,
            isa=self._isa,
        )

    # -- training --------------------------------------------------------------------------------------------------

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

    def _learn_schema(self, X: Any, y: Any, share: float | None, known: Schema | None = None) -> Schema:
        """The schema with what the data of a fit tell, whose last share of rows is for validation."""
        known = known or self._columns[2]
        n_rows = len(X) if arrays.is_frame(X) else 0
        if share is not None:
            n_rows = data.rows_to_train_on(n_rows, share)
        n_classes = self._n_classes(self._sizes[-1])
        return schemas.learn(known, X, y, self._sizes[0], n_classes, n_rows=n_rows, takes_text=self._loss.classifies)

    def _resolve_optimizer(self, optimizer: object) -> Optimizer | None:
        """The optimiser to go on with; None: the one that the network has."""
        if optimizer is not None:
            return check_precision(optimizers.resolve("optimizer", optimizer), self._dtype)
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
        batch_size: SupportsIndex | None = DEFAULT_BATCH_SIZE,
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
            `feature_names`; where some columns are not numbers, an `Encoder` is learnt and kept. Without y: an
            iterable of batches ``(X, y)`` or ``(X, y, sample_weight)``, gone through anew in each epoch, or a function
            that returns one; each batch is one step.
        y : array_like, shape (B, O), or (B,), optional
            Targets; 1-D where O is 1, or whole numbers as class labels where O > 1; with a loss of classes also text
            labels, and with `class_names` these. A loss with several heads
            (`Quantile` of several levels, `GaussianNLL`) takes one number for its heads together.
        epochs : int, default 10
            Passes over the data.
        batch_size : int or None, default 32
            Rows of one step; None is the full batch. A short last batch divides by its own size. Optimisers that need
            all rows in each step (such as LBFGS) take them unless another number is given, which they refuse.
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
            function, ``on_batch_end`` or ``on_epoch_end`` that returns True stops the training; a number that one
            adds to the ``logs`` of an epoch's end is recorded. `EarlyStopping` and `Checkpoint` go here, too.
        max_time : float, optional
            Seconds of this call after which the training stops, between two steps; looked at every 0.05 s. An epoch
            that is cut short is validated and recorded as far as it went.
        resume : path-like or "auto", optional
            A file of `Checkpoint` to go on from: with the data, the batches and the optimiser of that fit, on a network
            of its architecture, the training ends with the bits that it would have had without an interruption. "auto"
            is the file of the `Checkpoint` among the callbacks, and from the beginning where it is not there yet.
        verbose : int, default 0
            1 shows a bar in a terminal and in a notebook where tqdm is installed, and else writes a line per epoch to
            stderr; a larger number N writes one every N epochs, and the last.
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
            If the loss becomes NaN or infinite; the parameters of the last good epoch are kept, with `EarlyStopping`
            those of the best one, as after any error and Ctrl-C.
        RuntimeError
            If another fit of this network is running.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s (about 0.2 s with tens of millions of weights); all complete steps are kept, with
            `EarlyStopping` the parameters of the best epoch. The epochs before are in ``error.history`` and in
            ``net.history``, as they are for other exceptions that end the training.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], seed=0)
        >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=200, optimizer=fastmlp.SGD(0.5), batch_size=None)
        >>> net.predict([[2.0]]).round(3)
        array([[5.]], dtype=float32)
        """
        arguments = locals()  # the fields of FitPlan among them, by the same names
        plan = FitPlan(**{name: arguments[name] for name in fields(FitPlan)})
        return fit(self, X, y, optimizer, validation_data, plan)

    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        batch_size: SupportsIndex | None = DEFAULT_BATCH_SIZE,
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
    threads = engines.check_threads(n_threads)
    engines.choose(engine, _core.kernel_isa())
    contents = files.read(path)
    return Network._from_architecture(
        contents.architecture,
        contents.parameters,
        random_state=contents.random_state,
        engine=engine,
        n_threads=threads,
    )
