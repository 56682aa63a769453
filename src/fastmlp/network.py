"""The class Network, which users construct and train, and `load`, which reads one from a file.

Network adds training, single steps, evaluation and gradients to its base class `model.Model`, which holds the
architecture, the parameters and the conversion of rows; Model in turn derives from the compiled `_core.Core`, which
does the arithmetic. The methods here check and convert all of their arguments before the core changes anything. The
loop of `fit` is in `training/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from . import _core, engines, optimizers
from .activations import Identity
from .architecture import check_precision
from .exports import Exports
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
from .training.plan import DEFAULT_BATCH_SIZE, FitPlan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Columns = tuple[Scaling | None, Scaling | None, Schema]


class Network(Model, Exports):
    """A multilayer perceptron, with methods to train, predict, evaluate, save and summarise it.

    Parameters
    ----------
    sizes : sequence of int
        The number of inputs, the number of outputs of each hidden layer, and the number of outputs; ``[784, 30, 10]``
        has two layers of weights.
    activation : str, Activation, or a sequence of these, default "relu"
        The activation of the hidden layers: one for all, or a list with one for each.
    output_activation : str or Activation, optional
        The activation of the last layer. None is the one that goes with the loss: sigmoid (binary_cross_entropy,
        binary_focal), softmax (cross_entropy, focal) or else identity.
    loss : str or Loss, default "mse"
        One of mse, squared_error, half_squared_error, mae, huber, log_cosh, quantile, poisson, gamma, gaussian_nll,
        binary_cross_entropy, cross_entropy, binary_focal, focal, hinge; a `CustomLoss` is a user's own.
    dtype : {"float32", "float64"}, default "float32"
        The dtype of parameters and results.
    init : str, default "auto"
        auto, glorot_uniform, he_uniform, lecun_normal or normal. "auto" chooses for each layer by its activation:
        he_uniform before the ReLU family (ReLU, leaky ReLU, ELU, GELU, SiLU, mish; He et al. 2015, and common
        practice for the smooth ones), lecun_normal before SELU (Klambauer et al. 2017), else glorot_uniform.
    seed : int, optional
        An integer from 0 to 2**64 - 1. A seed gives the same initial parameters and the same batches on every engine.
        None draws one from the operating system.
    engine : {"auto", "blas", "native"}, default "auto"
        What computes the layers: "native", the package's own kernels, or "blas", SciPy's BLAS. "auto" is "native"
        where the processor has fused multiply-add, else "blas"; `summary` gives the reason. An engine that is named
        but cannot run is an error.
    n_threads : int or "auto", default "auto"
        The maximum number of threads of the native engine; work that is too small for several runs on one. "auto" is
        as many as the CPU affinity and the CPU quota of this process allow. The bits of results do not depend on it.
        With the `blas` engine, BLAS chooses its own number of threads.
    input_scaling : {"standard", "minmax"} or Scaling, optional
        Each input x is scaled to (x - offset) / scale, in training and in prediction. For a name, the first `fit`
        computes offset and scale from the rows that it trains on; until then nothing is scaled.
    target_scaling : {"standard", "minmax"} or Scaling, optional
        Like `input_scaling`, for targets, with a loss that takes any real number: the network is trained on
        (t - offset) / scale, and losses and gradients refer to these scaled targets. `predict` returns
        y scale + offset, in the unit of the targets, and metrics use that unit, too. A float32 network predicts in
        float64 where the offset needs it, see `predict`.
    feature_names : sequence of str, optional
        The name of each column of X; by default, the first `fit` on a frame sets them. The columns of a frame, and
        the entries of a row of one, are then found by name, in any order.
    target_name : str, optional
        The name of the target; by default, the first `fit` on a named column sets it.
    class_names : sequence of str, int or float, optional
        The name of each class (two names where there is one output). Labels in y are then these names, and `classify`
        returns indices into them. By default, with a loss of classes and text labels, the first `fit` sets them, in
        ascending order; integer labels stay indices where no names are given.
    encoder : Encoder, optional
        Turns the columns of a frame (text, categories, dates, missing numbers) into the network's inputs.

    Raises
    ------
    ValueError, TypeError
        If an argument is not valid, or a loss and an output activation do not belong together.

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
        """Return a network in which each hidden layer whose activation is the identity is merged into the next layer.

        Returns
        -------
        Network
            A network with the same outputs up to rounding. Two layers become one with w = w2 w1 and b = w2 b1 + b2,
            computed in float64; Lopez Davila, "Neural Networks: The Backpropagation Algorithm", proves that a
            composition of affine layers is affine.

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
            engine=self._requested_engine,
            n_threads=self._n_threads,
            isa=self._isa,
        )

    # -- training --------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of the next step, which a schedule may determine; None before the first training step.

        Assign a positive number, for example in a callback, to continue the current optimiser with that learning rate.
        An optimiser that starts anew uses the learning rate that it was made with. An assignment is a ValueError before
        the first training step, and if the optimiser has a schedule or no learning rate.
        """
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, rate: SupportsFloat) -> None:
        checked = check_rate(rate)
        optimizer = self._optimizer
        if self._learning_rate is None or optimizer is None or optimizer.full_batch or optimizer.schedule is not None:
            raise ValueError(
                "learning_rate: can only be set after training has begun with a learning rate that is a number, "
                f"got {checked!r} for the optimizer {optimizer!r}"
            )
        self._set_learning_rate(checked)

    def _infer_schema(self, X: Any, y: Any, share: float | None, schema: Schema | None = None) -> Schema:
        """Return the schema (None: the network's), completed by the names that the data of a fit give.

        `share` is that of the rows at the end that `validation_split` sets apart: an encoder is not fitted to them.
        """
        schema = schema or self._columns[2]
        n_rows = len(X) if arrays.is_frame(X) else 0
        if share is not None:
            n_rows = data.rows_to_train_on(n_rows, share)
        n_classes = self._n_classes(self._sizes[-1])
        return schemas.infer(schema, X, y, self._sizes[0], n_classes, n_rows=n_rows, takes_text=self._loss.classifies)

    def _resolve_optimizer(self, optimizer: object) -> Optimizer | None:
        """Return the optimiser that an argument names; None if the network continues with the one that it has."""
        if optimizer is not None:
            return check_precision(optimizers.resolve("optimizer", optimizer), self._dtype)
        return None if self._optimizer is not None else Adam()

    def _check_regularization(self, regularization: Regularization | None, used: Optimizer) -> None:
        """Raise an error if the regularisation cannot be used with that optimiser on this network."""
        if regularization is not None:
            regularization._check_use(used, len(self._activation), self._dtype)

    def _resolve_step_arguments(
        self, optimizer: object, regularization: object
    ) -> tuple[Optimizer | None, Regularization | None]:
        """Return the optimiser (see `_resolve_optimizer`) and the regularisation of a single step, both checked."""
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
            Arrays of float16 or uint8 (whose numbers are not rescaled), SciPy sparse matrices (as CSR) and a
            `numpy.memmap` of any float dtype are converted batch by batch. The names of a frame's columns are kept in
            `feature_names`; if some columns are not numeric, an `Encoder` is fitted and kept. Without y: an iterable
            of batches ``(X, y)`` or ``(X, y, sample_weight)``, which each epoch iterates over again, or a function
            that returns such an iterable; each batch is one step.
        y : array_like, shape (B, O), or (B,), optional
            Targets, which may be 1-D where O is 1, or integer class labels where O > 1. With a loss of classes, text
            labels are allowed, too; a network with `class_names` takes these names. A loss with several outputs for
            each target (`Quantile` of several levels, `GaussianNLL`) takes one number for these outputs together.
        epochs : int, default 10
            The number of passes over the data.
        batch_size : int or None, default 32
            The number of rows of one step; None is all rows. The loss of a short last batch is the mean over its own
            rows. Optimisers that need all rows in each step (such as LBFGS) use all of them by default; any other
            number is an error.
        optimizer : str, Optimizer or None, default "adam"
            An optimiser equal to the last one, or None, continues it with its state; another starts anew.
        shuffle : bool, "blocks" or "rows", default True
            Whether each epoch takes the rows in a new order. "blocks", which is what True means for a `numpy.memmap`,
            takes blocks of about 65,536 numbers in random order, and the rows of each group of 64 blocks in random
            order (docs/data.md). "rows", which is what True means for other arrays, takes all rows in random order,
            also for a `numpy.memmap`.
        validation_data : (X, y) or (X, y, sample_weight), optional
            Rows that are evaluated after each epoch, as ``val_loss`` and, for losses of classes, ``val_accuracy``.
        validation_split : float, optional
            In (0, 1): this share of the rows at the end of X, as given and before any shuffling, is not trained on but
            used for validation; rounded up to whole rows.
        metrics : sequence of str and functions, default ()
            Metrics that are computed on the validation rows after each epoch, as ``val_<name>``; see `evaluate`.
        callbacks : sequence, default ()
            Functions ``f(epoch, logs)``, and objects with any of ``on_train_begin(logs)``,
            ``on_epoch_begin(epoch, logs)``, ``on_batch_begin(batch, logs)``, ``on_batch_end(batch, logs)``,
            ``on_epoch_end(epoch, logs)``, ``on_train_end(logs)``. Epochs count from 0, batches from 0 within their
            epoch. A function, ``on_batch_end`` or ``on_epoch_end`` that returns True stops the training; a number that
            one of them adds to the ``logs`` at the end of an epoch is recorded. `EarlyStopping`, `Checkpoint` and
            `fastmlp.callbacks.OptunaPruning` are callbacks, too.
        max_time : float, optional
            Seconds of this call after which the training stops, between two steps; checked every 0.05 s. An epoch
            that is cut short is validated, and recorded with the loss of the rows that it has trained on.
        resume : path-like or "auto", optional
            The file of a `Checkpoint` to continue from. With the data, the batches and the optimiser of that fit, on a
            network of its architecture, the training ends with the bits that it would have had without an
            interruption. "auto" is the file of the `Checkpoint` among the callbacks; if that does not exist yet, the
            training begins from the start.
        verbose : int, default 0
            1 shows a progress bar if tqdm is installed and stderr is a terminal or the program runs in a notebook;
            else it writes a line per epoch to stderr. A larger number N writes a line every N epochs, and one for the
            last epoch.
        sample_weight : array_like, shape (B,), optional
            The weight of each row, at least 0: a batch's loss is sum(w_i l_i) / sum(w_i). A batch whose weights are
            all 0 makes no step.
        class_weight : dict or "balanced", optional
            The weight of each class label, which multiplies the `sample_weight` of its rows; labels that are not in the
            dict have the weight 1. "balanced" is n_rows / (n_classes * rows of the class), as in scikit-learn.
        regularization : Regularization, optional
            Penalties, weight decay, dropout, noise, limits and averaging of weights; None is none of them. If it
            differs from that of the last training, the optimiser starts anew.

        Returns
        -------
        History
            Lists with one value per epoch: ``loss`` and the figures of the validation rows; its attribute ``stopped``
            says why the training ended. The loss of an epoch is the weighted mean over its rows, each with the
            parameters before the step of its batch, and includes the penalties of the regularisation.

        Raises
        ------
        ValueError, TypeError
            If an argument is not valid, or a number in X or y is not finite; the network is then unchanged. Also if
            the checkpoint to resume from belongs to a different training; the message names the difference.
        FormatError
            If the file to resume from is truncated, altered or no checkpoint.
        OSError
            If a checkpoint cannot be read or written; the network keeps the last complete epoch.
        FloatingPointError
            If the loss becomes NaN or infinite. The parameters of the last complete epoch are kept; with
            an `EarlyStopping` that restores weights, those of the best epoch, as after any error and Ctrl-C.
        RuntimeError
            If another fit of this network is running.
        KeyboardInterrupt
            On Ctrl-C, within 0.1 s (about 0.2 s with tens of millions of weights). The parameters after the last
            complete step are kept; with an `EarlyStopping` that restores weights, those of the best epoch. As after any
            other exception that ends the training, the history of the complete epochs is in ``error.history`` and in
            ``net.history``.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], seed=0)
        >>> history = net.fit([[0.0], [1.0]], [1.0, 3.0], epochs=200, optimizer=fastmlp.SGD(0.5), batch_size=None)
        >>> net.predict([[2.0]]).round(3)
        array([[5.]], dtype=float32)
        """
        arguments = locals()  # has all fields of FitPlan by name
        from .training.fit import fit  # here, so that `import fastmlp` stays fast

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
        """Train for one epoch on the rows in the given order, for data that arrive in pieces.

        Parameters
        ----------
        X : array_like, shape (B, I)
        y : array_like, shape (B, O), or (B,)
        batch_size : int or None, default 32
            The number of rows of one step; None is all rows.
        optimizer : str, Optimizer or None, default None
            None continues the last one, with its state; before the first step it is Adam.
        sample_weight, class_weight, regularization
            As for `fit`; "balanced" counts the classes of these rows.

        Returns
        -------
        Network
            The network itself, as in scikit-learn.

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

    def _learn_one_checked(self, x: object, y: object, optimizer: object, regularization: object) -> float:
        """Do what `learn_one` does, for the arguments that its fast path does not handle.

        These are arguments that have to be converted or refused, and a new optimiser or regularisation.
        """
        self._refuse_while_fitting("learn_one")
        self._refuse_untrainable("learn_one")
        self._refuse_unscaled("learn_one")
        wanted, resolved = self._resolve_step_arguments(optimizer, regularization)
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
        """Take one optimiser step on the rows X; the optimiser continues or starts anew as in `fit`.

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
            If an argument is not valid, or a number in X or y is not finite; the network is then unchanged.
        FloatingPointError
            If the loss or a parameter after the step is not finite; the network is then unchanged.

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
        wanted, resolved = self._resolve_step_arguments(optimizer, regularization)
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
        """Compute the mean loss over rows X with targets y, the accuracy for losses of classes, and metrics.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
        y : array_like
            As for `fit`.
        metrics : sequence of str and functions, default ()
            Names are accuracy, balanced_accuracy, precision, recall, f1, auc, mae, mse, rmse, r2 (`fastmlp.metrics` has
            the formulas). They compare the targets with the prediction that the outputs stand for: with `Poisson` the
            rate, with `GaussianNLL` the mean, with `Quantile` the level that is nearest the median. Functions are
            called as ``metric(y_true, y_pred)`` and return a number: y_pred is (B, O), y_true is the labels (B,) or
            the targets, and both are (B,) where they have one column.
        sample_weight : array_like, shape (B,), optional
            The weight of each row, at least 0 and not all 0; loss and accuracy are then weighted means. The other
            metrics count each row once.
        class_weight : dict or "balanced", optional
            As for `fit`; "balanced" counts the classes of these rows.

        Returns
        -------
        dict
            ``loss``; for the cross entropies, the focal losses and hinge ``accuracy``, the share of rows whose class
            (see `classify`) is the label or the class of the target row; and the metrics by their names.

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
        """Compute the mean loss over rows X with targets y, and its gradient, a vector in the order of `parameters`.

        Parameters
        ----------
        X, y
            As for `fit`.
        sample_weight : array_like, shape (B,), optional
            The weight of each row, at least 0 and not all 0: the loss is sum(w_i l_i) / sum(w_i).
        class_weight : dict or "balanced", optional
            As for `fit`; "balanced" counts the classes of these rows.

        References
        ----------
        A. Lopez Davila, "Neural Networks: The Backpropagation Algorithm", section 5; here averaged over the rows.

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
        """Compute the gradient of the mean loss with respect to X, an array of X's shape.

        Parameters
        ----------
        X, y
            As for `fit`.
        sample_weight : array_like, shape (B,), optional
            The weight of each row, at least 0 and not all 0: the loss is sum(w_i l_i) / sum(w_i).
        class_weight : dict or "balanced", optional
            As for `fit`; "balanced" counts the classes of these rows.

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


def load(
    path: str | os.PathLike[str], *, engine: str = "auto", n_threads: SupportsIndex | str = "auto"
) -> Network | Any:
    """Return the network that `Network.save` wrote; its optimiser starts anew.

    Parameters
    ----------
    path : path-like
    engine, n_threads
        As for `Network`; the file does not contain them, because they depend on the machine.

    Returns
    -------
    Network or BoundPredictor
        A `BoundPredictor`, which is always computed by the engine "native", if `BoundPredictor.save` wrote the file.

    Raises
    ------
    FormatError
        If the file is truncated, altered, not a model, or uses what only a later fastmlp knows (the message then names
        the version that wrote it); no code from it is run.
    OSError
        If the file cannot be read.

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
    if contents.weights is not None:
        from .bound import BoundPredictor  # here, as few programs need it

        return BoundPredictor._from_contents(contents, n_threads=threads)
    return Network._from_architecture(
        contents.architecture,
        contents.parameters,
        random_state=contents.random_state,
        engine=engine,
        n_threads=threads,
    )
