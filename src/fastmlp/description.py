"""The class Described: what networks and bound predictors have in common: sizes, activations, scalings, names.

`model.Model` and `bound.BoundPredictor` derive from it and from a class of `_core`, which has the numbers. Both set the
attributes below, by `_build_described`, when they are built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import architecture as architectures
from . import losses
from .activations import Activation
from .architecture import Architecture
from .inputs import targets
from .losses import Loss
from .scaling import Scaling

if TYPE_CHECKING:
    from .encoder import Encoder
    from .inputs.labels import Label
    from .inputs.schema import Schema


class Described:
    """The properties that describe a network, for classes that derive from `_core.Predictor`, too."""

    _given_architecture: Architecture
    _sizes: tuple[int, ...]
    _activation: tuple[Activation, ...]
    _output_activation: Activation
    _loss: Loss
    _dtype: np.dtype[Any]
    if TYPE_CHECKING:
        _n_threads: int | str

        @property
        def _published_columns(self) -> tuple[Scaling | None, Scaling | None, Schema]: ...
        @property
        def n_parameters(self) -> int:
            """The number of weights and biases."""

        def _build(self, *args: Any) -> None: ...

    def _build_described(self, given: Architecture, engine: str, isa: str | None, max_threads: int) -> None:
        """Build the compiled network of that architecture, on that engine."""
        self._given_architecture, self._sizes, self._dtype = given, given.sizes, given.dtype
        self._loss, self._activation, self._output_activation = given.loss, given.activation, given.output_activation
        described = [(f.name, f.hyper_parameters, getattr(f, "functions", None)) for f in given.layers]
        double, bounds = self._dtype == np.float64, targets.TARGETS[self._loss.targets].bounds
        self._build(self._sizes, described, self._loss, double, engine, isa, max_threads, bounds)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, the number of outputs of each hidden layer, and the number of outputs."""
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
    def input_scaling(self) -> str | Scaling | None:
        """How inputs are scaled: a `Scaling`, or until the first fit computes it, its name; None without scaling."""
        return self._published_columns[0] or self._given_architecture.input_scaling

    @property
    def target_scaling(self) -> str | Scaling | None:
        """How targets are scaled: a `Scaling`, or until the first fit computes it, its name; None without scaling."""
        return self._published_columns[1] or self._given_architecture.target_scaling

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """The names of the columns of X, by which the columns of a frame are found, or None.

        With an `encoder`, these are the names of the columns that the encoder reads.
        """
        return self._published_columns[2].feature_names

    @property
    def target_name(self) -> str | None:
        """The name of the target, or None."""
        return self._published_columns[2].target_name

    @property
    def class_names(self) -> tuple[Label, ...] | None:
        """The names of the classes, by the index that `classify` returns; None if classes have indices only."""
        return self._published_columns[2].class_names

    @property
    def encoder(self) -> Encoder | None:
        """The encoder that turns the columns of a frame into inputs; None if the columns are the inputs."""
        return self._published_columns[2].encoder

    def _n_classes(self, n_outputs: int) -> int:
        """Return the number of classes that this number of outputs can distinguish: two for one output."""
        return architectures.n_classes(self._loss, n_outputs)

    def _described(self) -> list[str]:
        """Return what `repr` shows: sizes, activations, loss, dtype and what is scaled."""
        scaled = [f"{name}s" for name in ("input", "target") if getattr(self, f"{name}_scaling") is not None]
        hidden = _short_names([f.name for f in self._activation])
        return [
            _short_sizes(self._sizes),
            " -> ".join([*([hidden] if hidden else []), self._output_activation.name]),
            self._loss.name,
            self._dtype.name,
            *([f"scaled {'+'.join(scaled)}"] if scaled else []),
        ]

    def _layer_lines(self) -> list[str]:
        """Return the lines of `summary` about the layers, and the one about parameters, dtype and loss."""
        rows = [("layer", "weights", "activation", "parameters")]
        shapes = zip(self._sizes[:-1], self._sizes[1:], [*self._activation, self._output_activation], strict=True)
        for layer, (n_inputs, n_outputs, f) in enumerate(shapes):
            rows.append((str(layer), f"({n_outputs}, {n_inputs})", repr(f), f"{(n_inputs + 1) * n_outputs:,}"))
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        loss = losses.name_or_object(self._loss)
        return [*lines, f"{self.n_parameters:,} parameters, {self._dtype.name}, loss {loss}"]

    def _column_lines(self) -> list[str]:
        """Return the line of `summary` about scaling and names of columns and classes, or no line without these."""
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


def _short_sizes(sizes: Sequence[int]) -> str:
    """Return the sizes as text of at most 40 characters; many hidden layers are replaced by their number."""
    text = f"[{', '.join(map(str, sizes[:20]))}]"
    if len(text) <= 32 and len(sizes) <= 20:
        return text
    return f"[{sizes[0]}, <{len(sizes) - 2} hidden>, {sizes[-1]}]"


def _short_names(names: Sequence[str]) -> str:
    """Join the different names of the hidden layers' activations, or return their number if that is too long."""
    different = list(dict.fromkeys(names))
    text = "+".join(different)
    return text if len(text) <= 20 or len(different) == 1 else f"{len(different)} activations"
