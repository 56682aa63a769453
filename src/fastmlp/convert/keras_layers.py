"""What a layer of Keras does to rows: `steps` finds its class in the table `LAYERS`, and the function there tells it.

A function gets a `Layer` (the layer's configuration, its weights, the shape of a row before it) and returns steps of a
chain; it may change `shape`. It says what Keras computes in prediction: Dropout and its like do nothing. A class that
the table does not have, and a setting that a function does not know, are refused with the layer's name.
keras_models.py is the only caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import keras_activations as activations
from .chain import Affine, Linear, Step, refuse
from .keras_config import along, flag, lengths, mapping, number, numbers, sequence, spread
from .keras_file import PACKAGES

Array = NDArray[np.float64]


class Layer:
    """A layer of a model, with what precedes it.

    `variables(names)` returns its weights by the names that they have in Keras, in their order, and refuses others.
    `computed(names)` returns what a layer in memory has made of numbers of its configuration, None for a file.
    `dtype` is that of its arithmetic, None where the file does not say; `major` the version of Keras; `epsilon` the
    number that Keras calls so.
    """

    def __init__(
        self,
        class_name: str,
        config: dict[str, Any],
        place: str,
        shape: tuple[int, ...],
        dtype: str | None,
        major: int | None,
        variables: Callable[[Sequence[str]], dict[str, NDArray[Any]]],
        computed: Callable[[Sequence[str]], dict[str, NDArray[Any]] | None] = lambda names: None,
        epsilon: float = 1e-7,
    ) -> None:
        self.class_name, self.config, self.place = class_name, config, place
        self.shape, self.dtype, self.major, self._variables = shape, dtype, major, variables
        self.computed, self.epsilon = computed, epsilon
        self.vanishes = False

    @property
    def columns(self) -> int:
        """The number of elements of a row."""
        return math.prod(self.shape)

    def rounded(self, values: Array) -> Array:
        """Return numbers of the configuration as the layer's arithmetic has them."""
        return values if self.dtype == "float64" else self.in_float32(values)

    def in_float32(self, values: Array) -> Array:
        """Return numbers as float32 has them."""
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float32).astype(np.float64)
        if not np.isfinite(rounded).all():
            refuse(self.place, f"a number that float32 cannot hold ({np.abs(values).max():.3g})")
        return rounded

    def weights(self, names: Sequence[str], shapes: Sequence[tuple[int | None, ...]]) -> list[Array]:
        """Return the weights of these names in float64, after a check of their shapes; None is any length."""
        found = self._variables(names)
        checked = []
        for name, shape in zip(names, shapes, strict=True):
            array = found[name]
            matches = array.ndim == len(shape) and all(
                want is None or length == want for want, length in zip(shape, array.shape, strict=True)
            )
            if not matches or array.dtype.kind not in "fiu" or array.dtype.itemsize > 8:
                wanted = str(shape).replace("None", "any")
                refuse(self.place, f"{name} of shape {array.shape} and dtype {array.dtype}", f"expected shape {wanted}")
            array = array.astype(np.float64)
            if not np.isfinite(array).all():
                refuse(self.place, f"{name} with a number that is not finite", "train the model again")
            checked.append(array)
        return checked


def steps(layer: Layer) -> list[Step]:
    """Return the steps of a layer."""
    if layer.class_name not in LAYERS:
        refuse(layer.place, f"the class {layer.class_name}", ADVICE.get(layer.class_name, "fastmlp has no such layer"))
    function, keys = LAYERS[layer.class_name]
    for key, value in layer.config.items():
        if value not in (None, False, [], {}) and key not in keys and key not in COMMON and not key.endswith(ENDS):
            refuse(layer.place, f"the setting {key} = {value!r:.60}", "fastmlp does not know what it changes")
    return function(layer)


def activation(layer: Layer, value: object) -> list[Step]:
    """Return the steps of an activation: a name, or an object that is a layer."""
    if not isinstance(value, dict):
        return activations.named(value, layer.place, layer.columns, layer.major)
    class_name, config = value.get("class_name"), value.get("config")
    if class_name == "function" and config in activations.NAMED and is_of_keras(value):
        return activations.named(config, layer.place, layer.columns, layer.major)
    if class_name not in AS_ACTIVATION or not is_of_keras(value):
        class_name = "lambda" if class_name in (None, "__lambda__") else class_name
        shown = config if class_name == "function" else class_name
        refuse(layer.place, f"the activation {shown!r:.60}", AS_ACTIVATION_ADVICE.get(str(class_name), ""))
    inner = Layer(
        str(class_name),
        mapping(config, layer.place, "the configuration of an activation"),
        f"{layer.place}, activation",
        layer.shape,
        layer.dtype,
        layer.major,
        lambda names: {},
    )
    return steps(inner)


def is_of_keras(entry: dict[str, Any]) -> bool:
    """Return whether a class is one of Keras's own by what the configuration says of its module.

    Keras 2 says nothing of it in .h5. Keras 3 writes a null for the module of a program that it does not import.
    """
    module, registered = entry.get("module"), entry.get("registered_name")
    if module is None:
        return "module" not in entry and registered is None
    return (
        isinstance(module, str) and module.split(".")[0] in PACKAGES and registered in (None, entry.get("class_name"))
    )


# --------------------------------------------------------------------------------------------------------------- layers


def _nothing(layer: Layer) -> list[Step]:
    layer.vanishes = True
    return []


def _dense(layer: Layer) -> list[Step]:
    if len(layer.shape) != 1:
        refuse(
            layer.place,
            f"a Dense layer on rows of shape {layer.shape}, of which it sees the last axis alone",
            "put a Flatten layer before it",
        )
    units = int(number(layer.config, "units", 0, layer.place))
    has_bias = flag(layer.config, "use_bias", True, layer.place)
    if layer.config.get("quantization_config") is not None:
        refuse(layer.place, "quantised weights", "save the model before it is quantised")
    inputs = layer.shape[0]
    arrays = layer.weights(["kernel", "bias"][: 1 + has_bias], [(inputs, units), (units,)][: 1 + has_bias])
    bias = arrays[1] if has_bias else np.zeros(units)
    layer.shape = (units,)
    linear = Linear(np.ascontiguousarray(arrays[0].T), bias, layer.place)
    return [linear, *activation(layer, layer.config.get("activation"))]


def _batch_normalization(layer: Layer) -> list[Step]:
    """y = (x - mean) gamma / sqrt(variance + epsilon) + beta, with the moving mean and variance."""
    config, place = layer.config, layer.place
    names = ["gamma"] * flag(config, "scale", True, place) + ["beta"] * flag(config, "center", True, place)
    names += ["moving_mean", "moving_variance"]
    if flag(config, "renorm", False, place):
        names += ["moving_stddev", "renorm_mean", "renorm_stddev"]
    found = dict(zip(names, layer.weights(names, [(None,)] * len(names)), strict=True))
    found = {name: along(values, config.get("axis", -1), layer.shape, name, place) for name, values in found.items()}
    variance = found["moving_variance"] + number(config, "epsilon", 1e-3, place)
    if not (variance > 0).all():
        refuse(place, f"a variance + epsilon of {variance.min()}", "expected numbers above 0")
    deviation, ones = np.sqrt(variance), np.ones(layer.columns)
    gamma, beta = found.get("gamma", ones), found.get("beta", 0 * ones)
    if (gamma != 0).all():
        scale = deviation / gamma
        return [Affine(found["moving_mean"] - beta * scale, scale, place)]
    return [Affine(found["moving_mean"], deviation, place), Affine.times(gamma, beta, place)]


def _normalization(layer: Layer) -> list[Step]:
    """y = (x - mean) / max(sqrt(variance), epsilon), or the inverse of that."""
    config, place = layer.config, layer.place
    axes = config.get("axis", -1)
    axes = [] if axes is None else axes  # None from here on: mean and variance are spread over a row
    if config.get("mean") is None:
        kept = 1 if isinstance(axes, int) else len(sequence(axes, place, "axis"))
        shapes: list[tuple[int | None, ...]] = [(None,) * kept, (None,) * kept, ()]
        mean, variance, _ = layer.weights(["mean", "variance", "count"], shapes)
    elif (computed := layer.computed(["mean", "variance"])) is not None:
        mean, variance = (spread(computed[key].astype(np.float64), layer.shape, key, place) for key in computed)
        axes = None
    else:  # Keras makes float32 of them, whatever the layer's dtype
        given = (numbers(config.get(key), key, place) for key in ("mean", "variance"))
        mean, variance = (layer.in_float32(values) for values in given)
    if axes is not None:
        mean = along(mean, axes, layer.shape, "mean", place)
        variance = along(variance, axes, layer.shape, "variance", place)
    if not (variance >= 0).all():
        refuse(place, f"a variance of {variance.min()}", "expected numbers of at least 0")
    deviation = np.maximum(np.sqrt(variance), layer.epsilon)
    if flag(config, "invert", False, place):
        return [Affine.times(deviation, mean, place)]
    return [Affine(mean, deviation, place)]


def _rescaling(layer: Layer) -> list[Step]:
    """y = x scale + offset."""
    values = {
        key: layer.rounded(numbers(layer.config.get(key, default), key, layer.place))
        for key, default in (("scale", 1.0), ("offset", 0.0))
    }
    scale, offset = (spread(array, layer.shape, key, layer.place) for key, array in values.items())
    return [Affine.times(scale, offset, layer.place)]


def _flatten(layer: Layer) -> list[Step]:
    if layer.config.get("data_format", "channels_last") == "channels_first" and len(layer.shape) > 1:
        refuse(layer.place, "a Flatten with data_format='channels_first', which transposes rows")
    layer.shape = (layer.columns,)
    return _nothing(layer)


def _reshape(layer: Layer) -> list[Step]:
    target = sequence(layer.config.get("target_shape"), layer.place, "target_shape")
    known = [length for length in target if length != -1]
    if len(target) - len(known) == 1:
        rest = layer.columns // math.prod(lengths(known, layer.place))
        target = [rest if length == -1 else length for length in target]
    shape = lengths(target, layer.place)
    if math.prod(shape) != layer.columns:
        refuse(layer.place, f"the target_shape {target!r:.60} for rows of shape {layer.shape}")
    layer.shape = shape
    return _nothing(layer)


def _prelu(layer: Layer) -> list[Step]:
    shared = layer.config.get("shared_axes")
    shared = sequence(shared, layer.place, "shared_axes") if shared is not None else []
    shape = tuple(1 if axis in shared else length for axis, length in enumerate(layer.shape, 1))
    (slopes,) = layer.weights(["alpha"], [shape])
    return activations.prelu(slopes.ravel(), layer.place)


Table = dict[str, tuple[Callable[[Layer], list[Step]], frozenset[str]]]
COMMON = frozenset(  # settings that change no prediction
    ("name", "trainable", "dtype", "batch_input_shape", "batch_shape", "build_input_shape", "input_dtype", "seed")
)
RENORM = ("renorm", "renorm_clipping", "renorm_momentum")
ENDS = ("_initializer", "_regularizer", "_constraint")
LAYERS: Table = {  # class: its function, and the settings that it knows
    "Dense": (_dense, frozenset(("units", "activation", "use_bias", "quantization_config"))),
    "BatchNormalization": (
        _batch_normalization,
        frozenset(("axis", "momentum", "epsilon", "center", "scale", "synchronized", "fused", *RENORM)),
    ),
    "Normalization": (_normalization, frozenset(("axis", "invert", "mean", "variance"))),
    "Rescaling": (_rescaling, frozenset(("scale", "offset"))),
    "Flatten": (_flatten, frozenset(("data_format",))),
    "Reshape": (_reshape, frozenset(("target_shape",))),
    "Activation": (lambda layer: activation(layer, layer.config.get("activation")), frozenset(("activation",))),
    "LeakyReLU": (
        lambda layer: activations.leaky_relu(layer.config, layer.place),
        frozenset(("negative_slope", "alpha")),
    ),
    "ELU": (lambda layer: activations.elu(layer.config, layer.place), frozenset(("alpha",))),
    "ReLU": (
        lambda layer: activations.relu(layer.config, layer.place),
        frozenset(("max_value", "negative_slope", "threshold")),
    ),
    "PReLU": (_prelu, frozenset(("shared_axes",))),
    "Softmax": (lambda layer: activations.softmax(layer.config, layer.place, len(layer.shape)), frozenset(("axis",))),
    "Dropout": (_nothing, frozenset(("rate", "noise_shape"))),
    "AlphaDropout": (_nothing, frozenset(("rate", "noise_shape"))),
    "GaussianDropout": (_nothing, frozenset(("rate",))),
    "GaussianNoise": (_nothing, frozenset(("stddev",))),
    "ActivityRegularization": (_nothing, frozenset(("l1", "l2"))),
    "Identity": (_nothing, frozenset()),
}
ADVICE = {
    "Lambda": "its code is not run; write it as layers, or apply it to the rows yourself",
    "Embedding": "fastmlp takes columns of numbers",
    **dict.fromkeys(
        ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
        "fastmlp has one path from the inputs to the outputs",
    ),
    **dict.fromkeys(
        ("LayerNormalization", "RMSNormalization", "UnitNormalization", "GroupNormalization"),
        "it normalises each row by its own numbers; BatchNormalization can be imported",
    ),
}
AS_ACTIVATION = ("LeakyReLU", "ELU", "ReLU", "Softmax", "Activation", "Identity")
AS_ACTIVATION_ADVICE = {
    "PReLU": "a model saved before its first call has no slopes in its file; make it a layer of its own",
    "lambda": "its code is not run; fastmlp knows the activations of Keras by their names",
    "function": "fastmlp knows the activations of Keras by their names",
}
