"""The class Model: construction, description, parameters, conversion of rows, files, pickles and copies of a network.

Model derives from the compiled `_core.Core`, which owns the parameters; the methods that have to be fast (`predict`,
`__call__`, `classify`, `activations`) are inherited from there and not wrapped. Model checks the arguments of the
constructor, rows with their targets, and parameters, and converts them to what the core takes, before anything is
written. `network.Network` derives from Model and adds the training.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from . import _core, arguments, engines, scaling
from .activations import Activation, CustomActivation, Identity
from .architecture import Architecture
from .description import Described
from .formats import model_file
from .frozen import replace
from .history import History
from .initializers import INITIALIZERS
from .inputs import arrays, labels, row_weights, targets
from .inputs import schema as schemas
from .inputs.schema import Schema
from .losses import CustomLoss, Loss, MeanSquaredError
from .scaling import Scaling
from .training.state import STATE_FIELDS, TrainingState, check_state

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .encoder import Encoder
    from .inputs.labels import Label

    Columns = tuple[Scaling | None, Scaling | None, Schema]

BATCHES_SHOWN = (32, 256, 2048, 16384)  # the numbers of rows for which `summary` tells the number of threads


class Model(_core.Core, Described):
    """A network without its training. Users construct a `Network`, which documents the arguments."""

    _history: History | None = None

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
        feature_names: Sequence[str] | None = None,
        target_name: str | None = None,
        class_names: Sequence[Label] | None = None,
        encoder: Encoder | None = None,
        _isa: str | None = None,
    ) -> None:
        given = Architecture(
            sizes=sizes,  # type: ignore[arg-type]
            activation=activation,  # type: ignore[arg-type]
            output_activation=output_activation,  # type: ignore[arg-type]
            loss=loss,  # type: ignore[arg-type]
            dtype=dtype,
            init=init,
            seed=seed,  # type: ignore[arg-type]
            input_scaling=input_scaling,
            target_scaling=target_scaling,
            feature_names=feature_names,  # type: ignore[arg-type]
            target_name=target_name,
            class_names=class_names,  # type: ignore[arg-type]
            encoder=encoder,
        )
        self._initialize(given, engine, n_threads, _isa, None)

    def _initialize(
        self, given: Architecture, engine: str, n_threads: SupportsIndex | str, isa: str | None, state: int | None
    ) -> None:
        """Build the network. Draw its parameters, or, where its random state is given, set them to 0."""
        self._check_unbuilt()
        self._n_threads = engines.check_threads(n_threads)
        chosen, self._engine_reason = engines.choose(engine, _core.kernel_isa(isa))
        self._requested_engine = engine
        self._max_threads = self._n_threads if isinstance(self._n_threads, int) else _core.usable_threads()
        if isinstance(given.loss, CustomLoss):
            self._max_threads = 1
        self._build_described(given, chosen, isa, self._max_threads)
        rules = [("uniform", 0.0, False)] * len(given.layers)
        if state is None:
            rule, shapes = INITIALIZERS[given.init], itertools.pairwise(self._sizes)
            rules = [rule(*shape, f) for shape, f in zip(shapes, given.layers, strict=True)]
            state = int.from_bytes(os.urandom(8), "little") if given.seed is None else given.seed
        self._draw_parameters(rules, state)
        self._set_columns(*given.scalings, given.schema, True)

    # -- description -----------------------------------------------------------------------------------------------

    @property
    def init(self) -> str:
        """The argument `init` of the constructor: how the initial parameters were drawn."""
        return self._given_architecture.init

    @property
    def seed(self) -> int | None:
        """The seed that the network was constructed with, or None."""
        return self._given_architecture.seed

    @property
    def n_threads(self) -> int | str:
        """The argument `n_threads` of the constructor: a number, or "auto"."""
        return self._n_threads

    @property
    def history(self) -> History | None:
        """The `History` of the fit that is running, or else of the last one; None before the first fit.

        It is also set after a fit that an error or Ctrl-C has ended. Files and pickles do not contain it.
        """
        return self._history

    def __repr__(self) -> str:
        return f"Network({', '.join(self._described())})"

    def summary(self) -> str:
        """Describe the layers and the engine in a table.

        Returns
        -------
        str
            For each layer its index, the shape of its weights, its activation and its number of parameters; then the
            loss, the engine with the reason for its choice, in which cases results have the same bits, and how many
            threads a training step takes with some batch sizes. Where a network is small, the rows of a large batch are
            divided into parts, each of which one thread processes by itself.

        Examples
        --------
        >>> print(fastmlp.Network([784, 30, 10]).summary())  # doctest: +ELLIPSIS
        layer  weights    activation  parameters
        0      (30, 784)  ReLU()      23,550
        1      (10, 30)   Identity()  310
        23,860 parameters, float32, loss mse
        initial parameters auto, seed None
        engine ...
        """
        threads = "one thread" if self._max_threads == 1 else f"up to {self._max_threads} threads, one for small work"
        bits = {
            "native": f"{threads}; a row gives the same bits alone and in any batch, a fit with any number of threads",
            "blas": "threads are BLAS's own; a row's last bits may depend on its batch, as BLAS rounds by shape",
        }
        return "\n".join(
            [
                *self._layer_lines(),
                f"initial parameters {self._given_architecture.init}, seed {self._given_architecture.seed}",
                *self._column_lines(),
                f"engine {self.engine} ({self._engine_reason}), kernels {self._isa}",
                bits[self.engine],
                *self._thread_lines(),
            ]
        )

    def _thread_lines(self) -> list[str]:
        """Return the line of `summary` about the threads of a training step, or no line if there is only one thread."""
        if self.engine != "native" or self._max_threads == 1:
            return []
        shown = []
        for n_rows in BATCHES_SHOWN:
            n_threads, n_parts = self._division(n_rows)
            shown.append(f"{n_threads} with {n_rows:,} rows" + f" in {n_parts} parts" * (n_parts > 1))
        return [f"threads of a step: {', '.join(shown)}"]

    # -- parameters ------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases in a new vector P: ``w1, b1, w2, b2, ...``, each weight matrix row-major.

        Assigning a vector of n_parameters finite numbers copies it into the network; the optimiser starts anew.
        """
        return self._unpack()

    @parameters.setter
    def parameters(self, P: ArrayLike) -> None:
        self._replace_parameters(targets.parameter_vector(P, self._sizes, self.n_parameters, self._dtype))

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of each layer, a list of read-only arrays (O, I)."""
        return [w for w, _ in self._layers(self.parameters)]

    @property
    def biases(self) -> list[NDArray[Any]]:
        """The biases of each layer, a list of read-only arrays (O,)."""
        return [b for _, b in self._layers(self.parameters)]

    def _layers(self, P: NDArray[Any]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Return the weights and biases of each layer in P, as new read-only arrays."""
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
            The index of the layer, from 0; a negative one counts from the last layer.
        w : array_like, shape (O, I)
        b : array_like, shape (O,)

        Raises
        ------
        IndexError
            If there is no such layer.
        ValueError
            If a shape is wrong or a number is not finite.

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
        w, b = targets.layer_parameters(w, b, layer, n_inputs, n_outputs, self._dtype)
        P = self.parameters
        begin = sum((i + 1) * o for i, o in itertools.pairwise(self._sizes[: layer + 1]))
        P[begin : begin + w.size] = w.ravel()
        P[begin + w.size : begin + w.size + b.size] = b
        self._replace_parameters(P)

    # -- rows and checks -------------------------------------------------------------------------------------------

    def _fit_columns(self, schema: Schema, rows: _core.Rows) -> None:
        """Set the schema of a fit, and compute the scalings that are only named so far from the rows of the fit."""
        inputs_scaled = scaling.fitted("input_scaling", rows.x, self.input_scaling)
        targets_scaled = scaling.fitted("target_scaling", rows.values, self.target_scaling)
        if (inputs_scaled, targets_scaled, schema) != self._columns:
            self._set_columns(inputs_scaled, targets_scaled, schema, False)

    def _rows(
        self,
        X: object,
        y: object,
        sample_weight: object = None,
        class_weight: object = None,
        *,
        often: bool = False,
        schema: Schema | None = None,
    ) -> _core.Rows:
        """Check inputs, targets and weights, and return them as the core takes them.

        `often` says that the rows will be read in several epochs, so that a conversion in advance pays (see
        `inputs.arrays.convert`). `schema` is the schema of the columns; None is the network's.
        """
        schema = schema or self._columns[2]
        scaled = self._given_architecture.input_scaling is not None
        X = schemas.to_inputs(schema, X)
        x = arrays.convert(X, self._sizes[0], self._dtype, often=often, scaled=scaled)
        n_rows = x.shape[0] if x.ndim == 2 else 1
        if n_rows >= 2**32:
            raise ValueError(f"X: expected fewer than 2**32 rows, got {n_rows}")
        single, scaled = x.ndim == 1, self._given_architecture.target_scaling is not None
        n_targets = self._sizes[-1] // self._loss.n_heads
        y = labels.to_targets(y, schema.class_names, n_targets, takes_text=self._loss.classifies)
        args = (y, n_rows, self._sizes[-1], self._dtype, self._loss)
        values, classes = targets.targets(*args, single=single, scaled=scaled)
        if scaled and values is None:
            raise ValueError("y: expected numbers, which target_scaling can scale, got class labels")
        return self._with_weights(_core.Rows(x, values, classes), sample_weight, class_weight, schema)

    def _with_weights(
        self, rows: _core.Rows, sample_weight: object, class_weight: object, schema: Schema
    ) -> _core.Rows:
        """Return the rows with these weights, or the unchanged rows if both weights are None."""
        if sample_weight is None and class_weight is None:
            return rows
        n_targets = self._sizes[-1] // self._loss.n_heads
        class_weight = labels.to_class_weight(class_weight, schema.class_names)
        weights = row_weights.combine(sample_weight, class_weight, rows.values, rows.labels, n_targets, self._loss)
        return _core.Rows(rows.x, rows.values, rows.labels, weights)

    def _refuse_unscaled(self, what: str) -> None:
        """Raise a ValueError if a scaling is only named, and a fit has not computed it yet."""
        for argument, value in (("input_scaling", self.input_scaling), ("target_scaling", self.target_scaling)):
            if isinstance(value, str):
                raise ValueError(
                    f"{argument}: expected a Scaling before {what}, as Scaling.fit finds it, or a fit, got {value!r}"
                )

    def _refuse_untrainable(self, what: str) -> None:
        """Raise a ValueError, which names the caller `what`, if an activation has no derivative."""
        for layer, f in enumerate([*self._activation, self._output_activation]):
            if not f.trainable:
                raise ValueError(f"{what}: expected activations with a derivative, got {f.name!r} in layer {layer}")

    # -- files, pickles and copies ---------------------------------------------------------------------------------

    def _architecture(self) -> Architecture:
        """Return everything but the parameters and the random state; while a fit is running, as that fit uses it."""
        return self._with_columns(self._columns)

    def _with_columns(self, columns: Columns) -> Architecture:
        """Return the architecture given at construction, completed by the scalings and the schema of these columns."""
        given, (inputs_scaled, targets_scaled, schema) = self._given_architecture, columns
        return replace(
            given,
            input_scaling=inputs_scaled or given.input_scaling,
            target_scaling=targets_scaled or given.target_scaling,
            **schema._asdict(),
        )

    def _published_contents(self) -> model_file.ModelFile:
        """Return architecture, parameters and random state as last published together, also while a fit is running."""
        P, columns, random_state = self._published()
        return model_file.ModelFile(self._with_columns(columns), P, random_state)

    @classmethod
    def _from_architecture(
        cls,
        architecture: Architecture,
        parameters: NDArray[Any],
        *,
        random_state: int,
        engine: str = "auto",
        n_threads: SupportsIndex | str = "auto",
        isa: str | None = None,
    ) -> Self:
        """Return a network of that architecture with these parameters; its optimiser starts anew."""
        net = cls.__new__(cls)
        net._initialize(architecture, engine, n_threads, isa, random_state)
        net.parameters = parameters
        return net

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a safetensors file, atomically: after a crash, the old file or the new one is there.

        The file contains the parameters, the architecture and the state of the random number generator, but not the
        state of the optimiser.

        Parameters
        ----------
        path : path-like
            Usually ``*.safetensors``; an existing file is replaced.

        Raises
        ------
        ValueError
            If a layer has a `CustomActivation` or the loss is a `CustomLoss`: a model file holds no code.
        OSError
            If the file cannot be written; an old file is kept. If only its folder cannot be synced to the disk, the
            new file is in place, and the error says so.

        Examples
        --------
        >>> net = fastmlp.Network([3, 2], seed=0)
        >>> net.save("model.safetensors")
        >>> again = fastmlp.load("model.safetensors")
        >>> np.array_equal(again.parameters, net.parameters)
        True
        """
        model_file.save(path, self._published_contents())

    def predict_population(self, P: ArrayLike, X: Any) -> NDArray[Any]:
        """The outputs of many networks that differ from this one in their parameters alone.

        Evolution strategies and ensembles in flat form need it; a call takes the networks' parameters as they are and
        leaves those of this network alone.

        Parameters
        ----------
        P : array_like, shape (K, n_parameters)
            The parameters of each network, in the order of `parameters`.
        X : array_like, shape (B, I) or (K, B, I)
            The rows of all networks, or B rows for each of them. Rows of all networks may also be a frame or a sparse
            matrix, as for `predict`.

        Returns
        -------
        ndarray, shape (K, B, O)
            For each network what `predict` gives with its parameters, to the same bits.

        Raises
        ------
        ValueError, TypeError
            If P or X does not fit, or a parameter is not finite.

        Examples
        --------
        >>> net = fastmlp.Network([2, 1])
        >>> net.predict_population([[1.0, 2.0, 0.5], [0.0, 0.0, -1.0]], [[10.0, 100.0]])
        array([[[210.5]],
        <BLANKLINE>
               [[ -1. ]]], dtype=float32)
        """
        stacked = targets.population(P, self.n_parameters, self._dtype)
        if arrays.is_frame(X) or arrays.is_sparse(X):
            return self._predict_population(stacked, X, X.shape[0])
        rows = arrays.as_array("X", X)
        n_networks, n_inputs = len(stacked), self._sizes[0]
        fits = rows.ndim == 2 or (rows.ndim == 3 and len(rows) == n_networks)
        if not fits or rows.shape[-1] != n_inputs or rows.shape[-2] == 0:
            raise ValueError(
                f"X: expected shape (B, {n_inputs}) or ({n_networks}, B, {n_inputs}) with B >= 1, got shape "
                f"{rows.shape}"
            )
        return self._predict_population(stacked, rows.reshape(-1, n_inputs), rows.shape[-2])

    def training_state(self) -> TrainingState:
        """Return all that is needed to continue the training of the network on the same data, in new arrays.

        In a callback, it is the state of the fit at that moment. Before the first step, it is a RuntimeError.

        Examples
        --------
        >>> net = fastmlp.Network([1, 1], seed=0)
        >>> loss = net.train_on_batch([[0.5]], [1.0], "sgd")
        >>> net.training_state().numbers
        {'learning_rate': 0.01}
        """
        values: dict[str, Any] = dict(zip(STATE_FIELDS, self._training_state(), strict=True))
        return TrainingState(**values)

    def restore_training(self, state: TrainingState) -> None:
        """Continue from a state of a network with the same sizes, activations, loss and dtype, with the same bits.

        A state of a network with different ones is a ValueError, and a fit that is running on this network a
        RuntimeError; the network is then unchanged.

        Examples
        --------
        >>> net, other = fastmlp.Network([1, 1], seed=0), fastmlp.Network([1, 1], seed=1)
        >>> loss = net.train_on_batch([[0.5]], [1.0], "adam")
        >>> other.restore_training(net.training_state())
        >>> net.train_on_batch([[0.5]], [1.0]) == other.train_on_batch([[0.5]], [1.0])
        True
        """
        self._restore_training(*self._checked_state(state))

    def _set_training_state(self, state: TrainingState) -> None:
        """Continue from a state within a fit, where `restore_training` raises an error."""
        self._resume_training(*self._checked_state(state))

    def _checked_state(self, state: TrainingState) -> tuple[Any, ...]:
        """Check a state, and return its values in the order in which the core takes them."""
        values = check_state(state, self._dtype, len(self._activation))
        parameters = self.parameters if values["parameters"] is None else values["parameters"]
        return tuple({**values, "parameters": parameters}.values())

    def copy(self) -> Self:
        """Return an independent network with the same parameters and random state; its optimiser starts anew.

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
        contents = self._published_contents()
        layers, loss = contents.architecture.layers, contents.architecture.loss
        custom = {layer: f for layer, f in enumerate(layers) if isinstance(f, CustomActivation)}
        own_loss = loss if isinstance(loss, CustomLoss) else None
        stand_ins = {layer: Identity() for layer in custom}
        plain = _with_functions(contents.architecture, stand_ins, MeanSquaredError() if own_loss else None)
        data = model_file.to_bytes(replace(contents, architecture=plain))
        return _from_bytes, (type(self), data, self._requested_engine, self._n_threads, self._isa, custom, own_loss)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    __copy__ = copy


def _from_bytes(
    cls: type[Model],
    data: bytes,
    engine: str,
    n_threads: int | str,
    isa: str,
    custom: Mapping[int, Activation] = MappingProxyType({}),
    own_loss: CustomLoss | None = None,
) -> Model:
    """Rebuild a network from a pickle; it keeps its instruction set if this processor has that."""
    contents = model_file.parse(data)
    return cls._from_architecture(
        _with_functions(contents.architecture, custom, own_loss),
        contents.parameters,
        random_state=contents.random_state,
        engine=engine,
        n_threads=n_threads,
        isa=isa if isa in _core.isas() else None,
    )


def _with_functions(architecture: Architecture, layers: Mapping[int, Activation], loss: Loss | None) -> Architecture:
    """Return the architecture with other activations in these layers, and with another loss unless that is None."""
    changed = [layers.get(layer, f) for layer, f in enumerate(architecture.layers)]
    return replace(
        architecture,
        activation=tuple(changed[:-1]),
        output_activation=changed[-1],
        loss=loss or architecture.loss,
    )
