"""Keras: `read` makes a chain of a model in memory or in a file, and `write` (keras_writer.py) a model of a network.

A model is a Sequential or a Functional one whose layers form one path from its input to its output; a layer may stand
on it several times, and may be such a model itself. keras_file.py reads files, keras_layers.py knows the layers; this
module finds the path, and what the model as a whole says: the shape of rows, the dtype, the loss.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..activations import Sigmoid, Softmax
from . import keras_file, keras_layers
from .chain import HALF_ADVICE, ROUNDING, Activate, Affine, Chain, Linear, Step, refuse
from .keras_config import flag, mapping, name_of, sequence, shape_without_batch
from .keras_file import Scope, Source, layers_of
from .keras_writer import write

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["read", "write"]

FUNCTIONAL = ("Functional", "Model")
MODELS = ("Sequential", *FUNCTIONAL)
MAX_DEPTH, MAX_STEPS = 16, 10_000
MAX_NUMBERS = 16  # of the steps of a model in a file, for each of its bytes: layers and models called several times
HALF = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
LOSSES = {  # Keras's names without underscores, in lower case: the loss, and the output that it needs
    "mse": ("mse", None),
    "meansquarederror": ("mse", None),
    "mae": ("mae", None),
    "meanabsoluteerror": ("mae", None),
    "logcosh": ("log_cosh", None),
    "binarycrossentropy": ("binary_cross_entropy", Sigmoid),
    "categoricalcrossentropy": ("cross_entropy", Softmax),
    "sparsecategoricalcrossentropy": ("cross_entropy", Softmax),
}


def read(
    source: Any,
    *,
    architecture: object = None,
    keras_version: str | None = None,
    half_precision: bool = False,
) -> Chain:
    """Return the chain of a Keras model.

    Parameters
    ----------
    source : model, path-like or bytes
        A model of Keras 2 or 3, a file that it has saved (.keras, .h5, .weights.h5), or the bytes of one. A file is
        read by h5py (``pip install 'fastmlp[keras]'``); Keras is not needed, and no code of the file is run.
    architecture : str or dict, optional
        The configuration for a file of weights alone: the text of ``model.to_json()``, or the dict of it.
    keras_version : str, optional
        "2" or "3", for a file that does not say which version has written it.
    half_precision : bool, default False
        Whether a model that computes in float16 or bfloat16 is read as one that computes in float32. Its outputs are
        then more precise than those of Keras.

    Raises
    ------
    FormatError
        If the file is damaged, or a layer has no equal in a network; the message names the layer.
    ImportError
        If h5py is not installed.
    """
    original = None
    if isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
        data = bytes(source) if isinstance(source, (bytearray, memoryview)) else source
        model = keras_file.open_file(data, architecture, keras_version)
    elif hasattr(source, "to_json") and hasattr(source, "layers"):
        if architecture is not None or keras_version is not None:
            raise ValueError("architecture and keras_version cannot be combined with a model, which has its own")
        model = keras_file.of_model(source)
        original = keras_file.caller(source)
    else:
        raise TypeError(f"model: expected a Keras model, a path or bytes, got {type(source).__name__}")
    path = Path(model, half_precision)
    path.model(model.config, model.scope, "", 0)
    return path.chain(original)


class _Made(NamedTuple):
    """What a layer does: its steps, with the count of their numbers, and the shape of a row after it."""

    steps: tuple[Step, ...]
    shape: tuple[int, ...]
    vanishes: bool
    n_numbers: int


def _n_numbers(step: Step) -> int:
    """Return how many numbers a step has."""
    if isinstance(step, Linear):
        return step.weight.size + step.bias.size
    return 2 * step.scale.size if isinstance(step, Affine) else 0


class Path:
    """The path through a model: the steps so far, and the shape of a row after them."""

    def __init__(self, source: Source, half_precision: bool) -> None:
        self._source, self._half_precision = source, half_precision
        self._shape: tuple[int, ...] | None = None  # of a row; None before the first input
        self._input_shape: tuple[int, ...] = ()
        self._steps: list[Step] = []
        self._notes: list[str] = []
        self._dtypes: set[str] = set()
        self._rounding = 0.0  # of Keras's arithmetic, where that is in half precision
        self._n_layers = self._n_numbers = 0
        self._limit = math.inf if source.n_bytes is None else MAX_NUMBERS * source.n_bytes + 2**20
        # What is called several times is worked out once, so that a call costs no more than the steps it adds.
        self._routes: dict[Scope, Sequence[int]] = {}
        self._scopes: dict[tuple[Scope, int], Scope] = {}
        self._made: dict[tuple[Scope, int, tuple[int, ...]], _Made] = {}

    # ---------------------------------------------------------------------------------------------------------- models

    def model(self, entry: dict[str, Any], scope: Scope, prefix: str, depth: int) -> None:
        """Follow the path through a model; the names of its layers are shown after `prefix`."""
        class_name = entry.get("class_name")
        place = f"model {prefix.rstrip('/') or keras_file.layer_name(entry)!r:.60}"
        if class_name not in MODELS or not keras_layers.is_of_keras(entry):
            refuse(place, f"the class {class_name!r:.60}", "fastmlp reads Sequential and Functional models of Keras")
        if depth >= MAX_DEPTH:
            refuse(place, f"models within models to more than {MAX_DEPTH} levels")
        layers = layers_of(entry, place)
        if class_name == "Sequential" and self._shape is None:
            self._start(_sequential_input(entry, layers, place), place)
        if scope not in self._routes:
            is_row = class_name == "Sequential"
            route = range(len(layers)) if is_row else Graph(entry, layers, place, self._source.major).route()
            self._routes[scope] = route
        for index in self._routes[scope]:
            self._layer(layers[index], index, scope, prefix, depth)

    def _layer(self, entry: dict[str, Any], index: int, scope: Scope, prefix: str, depth: int) -> None:
        """Follow the path through a layer."""
        class_name = entry.get("class_name")
        shown = f"{prefix}{keras_file.layer_name(entry)}"
        place = f"layer {shown!r:.80} ({class_name!s:.60})"
        self._n_layers += 1
        if self._n_layers > MAX_STEPS:
            refuse(place, f"a path of more than {MAX_STEPS:,} layers")
        if class_name in MODELS:
            if (scope, index) not in self._scopes:
                self._scopes[scope, index] = scope.inner(index, place, layers_of(entry, place))
            self.model(entry, self._scopes[scope, index], f"{shown}/", depth + 1)
            return
        if class_name == "InputLayer":
            self._input(self._checked(entry, place)[0], place)
            return
        if self._shape is None:
            refuse(place, "a layer before the input")
        key = scope, index, self._shape
        if key not in self._made:
            self._made[key] = self._worked_out(entry, index, scope, place)
        made = self._made[key]
        self._n_numbers += made.n_numbers
        if self._n_numbers > self._limit:
            why = f"more than {MAX_NUMBERS} for each byte of the file: its layers are called too often"
            refuse(place, f"a path with {self._n_numbers:,} numbers so far in {self._n_layers:,} layers", why)
        self._steps.extend(made.steps)
        self._shape = made.shape
        if made.vanishes:
            self._notes.append(f"{class_name} {shown!r}")

    def _checked(self, entry: dict[str, Any], place: str) -> tuple[dict[str, Any], str | None]:
        """Return a layer's configuration and dtype; refuse classes that are not Keras's, and other dtypes."""
        class_name = entry.get("class_name")
        if not isinstance(class_name, str) or not keras_layers.is_of_keras(entry):
            known_by = entry.get("registered_name") or f"{entry.get('module')}.{class_name}"
            refuse(place, f"the class {known_by!r:.60}", "fastmlp knows Keras's own layers only")
        config = mapping(entry.get("config"), place, "a configuration")
        name_of(config, place)
        return config, self._dtype(config.get("dtype"), place)

    def _worked_out(self, entry: dict[str, Any], index: int, scope: Scope, place: str) -> _Made:
        """Return what a layer does to rows of the present shape."""
        config, dtype = self._checked(entry, place)
        assert self._shape is not None
        scope.check(index, place)
        layer = keras_layers.Layer(
            entry["class_name"],
            config,
            place,
            self._shape,
            dtype,
            self._source.major,
            lambda names: scope.variables(index, place, names),
            lambda names: scope.computed(index, names),
            scope.epsilon,
        )
        steps = tuple(keras_layers.steps(layer))
        return _Made(steps, layer.shape, layer.vanishes, sum(map(_n_numbers, steps)))

    def _input(self, config: dict[str, Any], place: str) -> None:
        """Take the shape of rows from an input; refuse inputs that are no real numbers."""
        dtype = config.get("dtype")
        if isinstance(dtype, str) and not dtype.startswith(("float", "bfloat")):
            refuse(
                place, f"an input of {dtype:.20}, to which Keras rounds rows", "make the model for an input of float32"
            )
        if flag(config, "ragged", False, place):
            refuse(place, "ragged rows", "fastmlp takes rows of one length")
        shape = shape_without_batch(config.get("batch_shape", config.get("batch_input_shape")), place)
        if shape is None:
            refuse(place, "an input without a shape of rows", "make the model with keras.Input((n,))")
        if self._shape is None:
            self._start(shape, place)
        elif shape != self._shape:
            refuse(place, f"an input of shape {shape} after an output of shape {self._shape}")

    def _start(self, shape: tuple[int, ...], place: str) -> None:
        self._shape = self._input_shape = shape
        if len(shape) > 1:
            self._notes.append(f"{place}: a row of shape {shape} is {math.prod(shape)} columns, the last axis fastest")

    def _dtype(self, policy: object, place: str) -> str | None:
        """Return the dtype of a layer's arithmetic; refuse those that are none of this package's."""
        if isinstance(policy, dict):
            config = policy.get("config")
            policy = config.get("name") if isinstance(config, dict) else policy.get("class_name")
        if policy is None or (isinstance(policy, str) and not policy.startswith(("float", "bfloat", "mixed"))):
            if policy is None or policy in ("int32", "int64", "uint8", "bool", "string"):
                return None  # an input, which is checked on its own
        elif policy in HALF and self._half_precision:
            self._rounding = max(self._rounding, ROUNDING[str(policy).removeprefix("mixed_")])
            policy = "float32"
        elif policy in HALF:
            refuse(place, f"arithmetic in half precision ({policy})", HALF_ADVICE)
        if policy not in ("float32", "float64"):
            refuse(place, f"the dtype {policy!r:.60}", "expected float32 or float64, without quantisation")
        self._dtypes.add(str(policy))
        return str(policy)

    # ----------------------------------------------------------------------------------------------------------- chain

    def chain(self, call: Callable[[NDArray[Any]], NDArray[Any]] | None) -> Chain:
        """Return the chain; `call` gives the outputs of a model in memory.

        In a model of float64, Keras 3 computes products in float32, except with TensorFlow.
        """
        source, steps, shape = self._source, self._steps, self._input_shape
        place = f"model {keras_file.layer_name(source.config)!r:.60}"
        dtype = "float64" if self._dtypes == {"float64"} else "float32"
        if self._shape is None or len(self._shape) != 1:
            refuse(place, f"outputs of shape {self._shape}", "end it with a Flatten layer")
        if not any(isinstance(step, Linear) for step in steps):
            refuse(place, "no Dense layer")
        for step in steps[:-1]:
            if isinstance(step, Activate) and isinstance(step.activation, Softmax):
                refuse(step.place, "a softmax that is not the last step", "fastmlp has it in the output layer only")

        def original(X: NDArray[Any]) -> ArrayLike:
            assert call is not None
            return call(np.asarray(X).reshape(len(X), *shape))

        return Chain(
            steps=tuple(steps),
            tool="Keras",
            version=source.version,
            dtype=dtype,
            n_inputs=math.prod(shape),
            loss=_loss(source.training, steps, self._notes),
            original=None if call is None else original,
            rounding=max(self._rounding, ROUNDING["float32"] if dtype == "float64" else 0.0),
            folded=tuple(self._notes),
        )


def _sequential_input(entry: dict[str, Any], layers: Sequence[dict[str, Any]], place: str) -> tuple[int, ...]:
    """Return the shape of a row of a Sequential model."""
    config = entry.get("config")
    first = layers[0].get("config") if layers else None
    given: list[object] = []
    if isinstance(first, dict):
        given += [first.get("batch_shape"), first.get("batch_input_shape")]
    if isinstance(config, dict):
        given.append(config.get("build_input_shape"))
    for each in (entry, *layers[:1]):
        build = each.get("build_config")
        given.append(build.get("input_shape") if isinstance(build, dict) else None)
    for value in given:
        shape = shape_without_batch(value, place)
        if shape is not None:
            return shape
    return refuse(
        place, "no shape of rows", "make the model with keras.Input((n,)) as its first layer, or fit it first"
    )


def _loss(training: object, steps: Sequence[Step], notes: list[str]) -> str | None:
    """Return the loss that the model was compiled with, if this package has it and it goes with the output."""
    loss = training.get("loss") if isinstance(training, dict) else None
    config: object = {}
    if isinstance(loss, dict):
        config = loss.get("config")
        loss = config if isinstance(config, str) else loss.get("class_name")
    if isinstance(loss, list) and len(loss) == 1:
        loss = loss[0]
    known = LOSSES.get(loss.replace("_", "").lower()) if isinstance(loss, str) else None
    if known is None:
        return None
    name, output = known
    if isinstance(config, dict) and config.get("from_logits"):
        notes.append(f"the outputs are logits, for the loss {loss}; loss={name!r} makes probabilities of them")
        return None
    last = steps[-1] if steps else None
    last_activation = last.activation if isinstance(last, Activate) else None
    if output is None:
        return None if isinstance(last_activation, Softmax) else name
    return name if isinstance(last_activation, output) else None


# --------------------------------------------------------------------------------------------------------------- graphs


Call = tuple[str, int]  # a layer's name, and the number of its call


class Graph:
    """The calls of layers of a Functional model."""

    def __init__(self, entry: dict[str, Any], layers: Sequence[dict[str, Any]], place: str, major: int | None) -> None:
        config = mapping(entry.get("config"), place, "a configuration")
        self._place, self._layers, self._major = place, layers, major
        self._index = {self._name(layer): index for index, layer in enumerate(layers)}
        if len(self._index) != len(layers):
            refuse(place, "two layers of one name")
        (self._input, _), *more = _calls(config.get("input_layers"), place)
        if more:
            refuse(place, f"{len(more) + 1} inputs", "fastmlp has one input of all columns: concatenate them before")
        self._output, *more = _calls(config.get("output_layers"), place)
        if more:
            refuse(place, f"{len(more) + 1} outputs", "make a model of one: keras.Model(model.input, output)")

    def _name(self, layer: dict[str, Any]) -> str:
        name = layer.get("name", keras_file.layer_name(layer))
        if not isinstance(name, str):
            refuse(self._place, f"{name!r:.60} as the name of a layer")
        return name

    def route(self) -> list[int]:
        """Return the indices of the layers from the input to the output."""
        route: list[int] = []
        seen: set[Call] = set()
        (name, call), is_output = self._output, True
        while True:
            if name not in self._index:
                refuse(self._place, f"a call of the layer {name!r:.60}, which it does not have")
            if (name, call) in seen or len(seen) > MAX_STEPS:
                refuse(self._place, f"a path that comes back to the layer {name!r:.60}")
            seen.add((name, call))
            index = self._index[name]
            route.append(index)
            layer = self._layers[index]
            place = f"layer {name!r:.60} ({layer.get('class_name')!s:.60})"
            calls = sequence(layer.get("inbound_nodes"), place, "inbound_nodes")
            if layer.get("class_name") == "InputLayer" and not calls:
                if name != self._input:
                    refuse(place, "another input than the model's", "fastmlp has one input of all columns")
                return route[::-1]
            name, call = _before(calls[self._number(calls, call, layer, is_output, place)], place)
            is_output = False

    def _number(self, calls: list[Any], call: int, layer: dict[str, Any], is_output: bool, place: str) -> int:
        """Return the index of a call in `inbound_nodes`.

        A layer that is a Functional model has had a call before, that of its own input, which Keras 2 counts in every
        number and Keras 3 in those of `output_layers` alone.
        """
        if len(calls) == 1:
            return 0
        if layer.get("class_name") in MODELS:
            if self._major is None:
                refuse(
                    place, "a model called twice, in a file without its version", "give it as keras_version='2' or '3'"
                )
            counted = layer.get("class_name") in FUNCTIONAL and is_output if self._major >= 3 else True
            call -= counted
        if not 0 <= call < len(calls):
            refuse(place, f"call {call} of {len(calls)}")
        return call


def _calls(value: object, place: str) -> list[Call]:
    """Return the calls in `input_layers` or `output_layers`: one, a list or a dict of them."""
    if isinstance(value, dict) and value.get("class_name") != "__tuple__":
        value = list(value.values())
    listed = sequence(value, place, "input_layers or output_layers")
    if len(listed) == 3 and isinstance(listed[0], str):
        listed = [listed]
    return [_call(each, place) for each in listed] or refuse(place, "no inputs or outputs")


def _call(value: object, place: str) -> Call:
    """Return a call from [name, number, 0]."""
    parts = sequence(value, place, "a call of a layer")
    if len(parts) < 3 or not isinstance(parts[0], str) or not isinstance(parts[1], int) or parts[2] != 0:
        refuse(place, f"{parts!r:.60} as a call of a layer", "expected a name, the number of the call, and 0")
    return parts[0], parts[1]


def _before(node: object, place: str) -> Call:
    """Return the call whose output is the one input of a call; refuse several, and arguments that change the result."""
    if isinstance(node, dict):
        arguments = sequence(node.get("args"), place, "args")
        options = mapping(node.get("kwargs", {}), place, "kwargs")
        while len(arguments) == 1 and isinstance(arguments[0], list):
            arguments = arguments[0]
        tensors = [each.get("config") for each in arguments if isinstance(each, dict)]
        histories = [config.get("keras_history") for config in tensors if isinstance(config, dict)]
        if len(arguments) != len(histories):
            refuse(place, "arguments that are not the output of one layer", "write arithmetic as a Rescaling layer")
    else:  # Keras 2: [[name, number, 0, options], ...]
        histories = sequence(node, place, "a call of a layer")
        last = histories[0][3:4] if histories and isinstance(histories[0], list) else []
        options = mapping(last[0] if last else {}, place, "options")
    if len(histories) != 1:
        refuse(place, f"{len(histories)} inputs", "fastmlp has one path from the inputs to the outputs")
    for key, value in options.items():
        if value is not None and not (key == "training" and value is False):
            refuse(place, f"the argument {key} = {value!r:.60}", "expected a call with the layer's input alone")
    return _call(histories[0], place)
