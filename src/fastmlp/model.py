"""Model: what a network is, and what keeps it: arguments, rows on their way in, parameters, files, pickles.

Everything that reads or writes parameters is in `_core.Core`; the hot methods (`predict`, `__call__`, `classify`,
`activations`) are inherited as they are, not wrapped. This file turns the arguments of the constructor, rows with their
targets and parameters into what the core takes, and checks all of it before anything is written. `network.Network` adds
the training to it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import numpy as np

from . import _core, arguments, engines, losses, scaling
from . import architecture as architectures
from .activations import Activation, CustomActivation, Identity
from .architecture import Architecture
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


class Model(_core.Core):
    """A network without its training; users make a `Network`, which has the documentation of the arguments."""

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
        self._begin(given, engine, n_threads, _isa, None)

    def _begin(
        self, given: Architecture, engine: str, n_threads: SupportsIndex | str, isa: str | None, state: int | None
    ) -> None:
        """Builds the network; its parameters are 0 where the random state to begin with is given, else drawn."""
        self._check_unbuilt()
        self._n_threads = engines.check_threads(n_threads)
        chosen, self._why_engine = engines.choose(engine, _core.kernel_isa(isa))
        self._given, self._wanted_engine = given, engine
        self._sizes, self._loss, self._dtype = given.sizes, given.loss, given.dtype
        self._activation, self._output_activation = given.activation, given.output_activation
        self._max_threads = self._n_threads if isinstance(self._n_threads, int) else _core.usable_threads()
        if isinstance(self._loss, CustomLoss):
            self._max_threads = 1
        described = [(f.name, f.hyper_parameters, getattr(f, "functions", None)) for f in given.layers]
        double, bounds = self._dtype == np.float64, targets.TARGETS[self._loss.targets].bounds
        self._build(self._sizes, described, self._loss, double, chosen, isa, self._max_threads, bounds)
        rules = [("uniform", 0.0, False)] * len(described)
        if state is None:
            rule, shapes = INITIALIZERS[given.init], itertools.pairwise(self._sizes)
            rules = [rule(*shape, f) for shape, f in zip(shapes, given.layers, strict=True)]
            state = int.from_bytes(os.urandom(8), "little") if given.seed is None else given.seed
        self._draw(rules, state)
        self._know_columns(*given.scalings, given.schema, True)

    # -- what it is ------------------------------------------------------------------------------------------------

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
        return self._given.init

    @property
    def seed(self) -> int | None:
        """The seed as it was given."""
        return self._given.seed

    @property
    def input_scaling(self) -> str | Scaling | None:
        """How inputs are scaled: a `Scaling`; its name until a fit has learnt it; None for not at all."""
        return self._published_columns[0] or self._given.input_scaling

    @property
    def target_scaling(self) -> str | Scaling | None:
        """How targets are scaled, as `input_scaling`."""
        return self._published_columns[1] or self._given.target_scaling

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the columns of X, by which those of a frame are found; None where there are none.

        Of a network with an `encoder`, the names of the columns that it reads.
        """
        return self._published_columns[2].feature_names

    @property
    def target_name(self) -> str | None:
        """The name of the target, or None."""
        return self._published_columns[2].target_name

    @property
    def class_names(self) -> tuple[Label, ...] | None:
        """What each class is called: ``class_names[i]`` where `classify` gives i; None where they are just 0, 1, ..."""
        return self._published_columns[2].class_names

    @property
    def encoder(self) -> Encoder | None:
        """What turns the columns of a frame into inputs, or None where they are the inputs."""
        return self._published_columns[2].encoder

    def _n_classes(self, n_outputs: int) -> int:
        """How many classes so many outputs can tell apart; one output tells two."""
        return architectures.n_classes(self._loss, n_outputs)

    @property
    def n_threads(self) -> int | str:
        """The number of threads as it was given."""
        return self._n_threads

    @property
    def history(self) -> History | None:
        """The `History` of the last fit, of one too that an error or Ctrl-C has ended, and of one that is running; None
        before the first. It is in no file and no pickle.
        """
        return self._history

    def __repr__(self) -> str:
        scaled = [f"{name}s" for name in ("input", "target") if getattr(self, f"{name}_scaling") is not None]
        hidden = _short_names([f.name for f in self._activation])
        parts = [
            _short_sizes(self._sizes),
            " -> ".join([*([hidden] if hidden else []), self._output_activation.name]),
            self._loss.name,
            self._dtype.name,
            *([f"scaled {'+'.join(scaled)}"] if scaled else []),
        ]
        return f"Network({', '.join(parts)})"

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
        initial parameters auto, seed None
        engine ...
        """
        rows = [("layer", "weights", "activation", "parameters")]
        shapes = zip(self._sizes[:-1], self._sizes[1:], [*self._activation, self._output_activation], strict=True)
        for layer, (n_inputs, n_outputs, f) in enumerate(shapes):
            rows.append((str(layer), f"({n_outputs}, {n_inputs})", repr(f), f"{(n_inputs + 1) * n_outputs:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        threads = "one thread" if self._max_threads == 1 else f"up to {self._max_threads} threads, one for small work"
        bits = {
            "native": f"{threads}; a row gives the same bits alone and in any batch, a fit with any number of threads",
            "blas": "threads are BLAS's own; a row's last bits may depend on its batch, as BLAS rounds by shape",
        }
        return "\n".join(
            [
                *lines,
                f"{self.n_parameters:,} parameters, {self._dtype.name}, loss {losses.name_or_object(self._loss)}",
                f"initial parameters {self._given.init}, seed {self._given.seed}",
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
        names = "" if self.feature_names is None else f"{', '.join(self.feature_names):.60}"
        named = [f"inputs named {names}"] if names else []
        if self.encoder is not None:
            named = [f"columns {names}, which an encoder makes inputs of"]
        classes = [] if self.class_names is None else [f"classes {', '.join(map(str, self.class_names)):.60}"]
        described = [*scaled, *named, *classes]
        return [", ".join(described)] if described else []

    # -- parameters ------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> NDArray[Any]:
        """All weights and biases as one new vector P: ``w1, b1, w2, b2, ...``, each weight row-major.

        Assigning a vector of n_parameters finite numbers copies it in and starts the optimiser anew.
        """
        return self._unpack()

    @parameters.setter
    def parameters(self, P: ArrayLike) -> None:
        self._replace_parameters(targets.parameter_vector(P, self._sizes, self.n_parameters, self._dtype))

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
        w, b = targets.layer_parameters(w, b, layer, n_inputs, n_outputs, self._dtype)
        P = self.parameters
        begin = sum((i + 1) * o for i, o in itertools.pairwise(self._sizes[: layer + 1]))
        P[begin : begin + w.size] = w.ravel()
        P[begin + w.size : begin + w.size + b.size] = b
        self._replace_parameters(P)

    # -- what it can do --------------------------------------------------------------------------------------------

    def _learn_columns(self, known: Schema, rows: _core.Rows) -> None:
        """The schema of a fit, and the scalings of the columns from its rows, where there are none yet."""
        inputs_scaled = scaling.learn("input_scaling", rows.x, self.input_scaling)
        targets_scaled = scaling.learn("target_scaling", rows.values, self.target_scaling)
        if (inputs_scaled, targets_scaled, known) != self._columns:
            self._know_columns(inputs_scaled, targets_scaled, known, False)

    def _rows(
        self,
        X: object,
        y: object,
        sample_weight: object = None,
        class_weight: object = None,
        *,
        often: bool = False,
        known: Schema | None = None,
    ) -> _core.Rows:
        """X, its targets and its weights, checked, as the core takes them; `often`: for several epochs; `known`: the
        schema, if it is not yet the network's.
        """
        known = known or self._columns[2]
        scaled = self._given.input_scaling is not None
        X = schemas.to_inputs(known, X)
        x = arrays.convert(X, self._sizes[0], self._dtype, often=often, scaled=scaled)
        n_rows = x.shape[0] if x.ndim == 2 else 1
        if n_rows >= 2**32:
            raise ValueError(f"X: expected fewer than 2**32 rows, got {n_rows}")
        single, scaled = x.ndim == 1, self._given.target_scaling is not None
        n_targets = self._sizes[-1] // self._loss.n_heads
        y = labels.to_targets(y, known.class_names, n_targets, takes_text=self._loss.classifies)
        args = (y, n_rows, self._sizes[-1], self._dtype, self._loss)
        values, classes = targets.targets(*args, single=single, scaled=scaled)
        if scaled and values is None:
            raise ValueError("y: expected numbers, which target_scaling can scale, got class labels")
        return self._weighted(_core.Rows(x, values, classes), sample_weight, class_weight, known)

    def _weighted(self, rows: _core.Rows, sample_weight: object, class_weight: object, known: Schema) -> _core.Rows:
        """The rows with these weights; as they are where there are none."""
        if sample_weight is None and class_weight is None:
            return rows
        n_targets = self._sizes[-1] // self._loss.n_heads
        class_weight = labels.to_class_weight(class_weight, known.class_names)
        weights = row_weights.combine(sample_weight, class_weight, rows.values, rows.labels, n_targets, self._loss)
        return _core.Rows(rows.x, rows.values, rows.labels, weights)

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

    # -- keeping ---------------------------------------------------------------------------------------------------

    def _architecture(self) -> Architecture:
        """Everything but the parameters and the random state; of a fit that is running, as it is training."""
        return self._with_columns(self._columns)

    def _with_columns(self, columns: Columns) -> Architecture:
        """The architecture with what was learnt of the columns since the construction."""
        given, (inputs_scaled, targets_scaled, schema) = self._given, columns
        return replace(
            given,
            input_scaling=inputs_scaled or given.input_scaling,
            target_scaling=targets_scaled or given.target_scaling,
            **schema._asdict(),
        )

    def _contents(self) -> model_file.ModelFile:
        """The network as readers see it, all of one moment, also while a fit is running."""
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
        """The network of an architecture with these parameters; its optimiser starts anew."""
        net = cls.__new__(cls)
        net._begin(architecture, engine, n_threads, isa, random_state)
        net.parameters = parameters
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
            If it cannot be written; an old file is kept. If only its folder cannot be synced to the disk, the new file
            is in place, and the error says so.

        Examples
        --------
        >>> net = fastmlp.Network([3, 2], seed=0)
        >>> net.save("model.safetensors")
        >>> again = fastmlp.load("model.safetensors")
        >>> np.array_equal(again.parameters, net.parameters)
        True
        """
        model_file.save(path, self._contents())

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
        """All that the training of the network is made of beside its data, in arrays of its own.

        Called by a callback, it is that of the fit at that moment; before the first step it is a RuntimeError.

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
        """Go on from a state of a network with these sizes, activations, loss and dtype, to the same bits.

        A state of another network is a ValueError, a fit that is running a RuntimeError; nothing has changed then.

        Examples
        --------
        >>> net, other = fastmlp.Network([1, 1], seed=0), fastmlp.Network([1, 1], seed=1)
        >>> loss = net.train_on_batch([[0.5]], [1.0], "adam")
        >>> other.restore_training(net.training_state())
        >>> net.train_on_batch([[0.5]], [1.0]) == other.train_on_batch([[0.5]], [1.0])
        True
        """
        self._restore_training(*self._check_state(state))

    def _put_training_state(self, state: TrainingState) -> None:
        """Go on from a state within a fit, where `restore_training` refuses to."""
        self._resume_training(*self._check_state(state))

    def _check_state(self, state: TrainingState) -> tuple[Any, ...]:
        """What the core takes of it."""
        values = check_state(state, self._dtype, len(self._activation))
        parameters = self.parameters if values["parameters"] is None else values["parameters"]
        return tuple({**values, "parameters": parameters}.values())

    def copy(self) -> Self:
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
        contents = self._contents()
        layers, loss = contents.architecture.layers, contents.architecture.loss
        custom = {layer: f for layer, f in enumerate(layers) if isinstance(f, CustomActivation)}
        own_loss = loss if isinstance(loss, CustomLoss) else None
        stand_ins = {layer: Identity() for layer in custom}
        plain = _with_functions(contents.architecture, stand_ins, MeanSquaredError() if own_loss else None)
        data = model_file.to_bytes(replace(contents, architecture=plain))
        return _from_bytes, (type(self), data, self._wanted_engine, self._n_threads, self._isa, custom, own_loss)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    __copy__ = copy


def _short_sizes(sizes: Sequence[int]) -> str:
    """The sizes in at most 40 characters: what stands between the first and the last may be counted."""
    text = f"[{', '.join(map(str, sizes[:20]))}]"
    if len(text) <= 32 and len(sizes) <= 20:
        return text
    return f"[{sizes[0]}, <{len(sizes) - 2} hidden>, {sizes[-1]}]"


def _short_names(names: Sequence[str]) -> str:
    """The names of the hidden layers' activations, each once; only their number where they are long."""
    different = list(dict.fromkeys(names))
    text = "+".join(different)
    return text if len(text) <= 20 or len(different) == 1 else f"{len(different)} activations"


def _from_bytes(
    cls: type[Model],
    data: bytes,
    engine: str,
    n_threads: int | str,
    isa: str,
    custom: Mapping[int, Activation] = MappingProxyType({}),
    own_loss: CustomLoss | None = None,
) -> Model:
    """What pickle calls; the instruction set is kept where the processor has it."""
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
    """The architecture with other activations in these layers, and another loss if one is given."""
    changed = [layers.get(layer, f) for layer, f in enumerate(architecture.layers)]
    return replace(
        architecture,
        activation=tuple(changed[:-1]),
        output_activation=changed[-1],
        loss=loss or architecture.loss,
    )
