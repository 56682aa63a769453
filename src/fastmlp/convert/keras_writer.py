"""Writes a network as a model of Keras 3: `write`.

Weights and biases are the network's own numbers. The input scaling is a Normalization layer in float64, as the network
computes it, with the offset as mean and the square of the scale as variance: the square root of a rounded square is the
number itself. They are its weights, as if adapted, because Keras makes float32 of such numbers in a configuration.
Normalization takes no deviation below 1e-7; scales outside of [2**-20, 2**500] are therefore brought near
1 by a power of two first, in a Rescaling layer. The target scaling is a Rescaling layer in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import activations as a
from .scalings import learnt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..network import Network
    from ..scaling import Scaling

SMALLEST, LARGEST = 2.0**-20, 2.0**500  # the scales whose squares Normalization takes as they are

# What Keras calls an activation, for one with its default parameters.
NAMES: dict[a.Activation, str] = {
    a.Identity(): "linear",
    a.Sigmoid(): "sigmoid",
    a.Tanh(): "tanh",
    a.ReLU(): "relu",
    a.SELU(): "selu",
    a.GELU(): "gelu",
    a.SiLU(): "silu",
    a.Mish(): "mish",
    a.Softplus(): "softplus",
    a.Softsign(): "softsign",
    a.HardSigmoid(): "hard_sigmoid",
    a.HardTanh(): "hard_tanh",
    a.PiecewiseLinear(-1.0, 1.0): "sparse_sigmoid",
    a.Softmax(): "softmax",
}
LAYERS: dict[type[a.Activation], Callable[[Any, Any, str], Any]] = {
    a.LeakyReLU: lambda layers, f, dtype: layers.LeakyReLU(negative_slope=f.negative_slope, dtype=dtype),
    a.ELU: lambda layers, f, dtype: layers.ELU(alpha=f.alpha, dtype=dtype),
    a.HardTanh: lambda layers, f, dtype: layers.ReLU(max_value=f.max_val, dtype=dtype) if f.min_val == 0 else None,
}


def write(net: Network) -> Any:
    """Return a `keras.Sequential` with the layers, parameters and scalings of a network.

    Its `predict` gives what the network's `predict` gives, up to rounding. Names of columns and classes are not kept.

    Parameters
    ----------
    net : Network

    Raises
    ------
    ValueError
        If Keras has no activation like one of the network's; the message names the layer. If a scaling has not been
        learnt yet, or the network has an encoder.
    ImportError
        If Keras is not installed.
    """
    try:
        import keras
    except ImportError as error:
        raise ImportError(
            f"to_keras needs Keras 3 and a backend, and importing it failed ({error!s:.80}): pip install keras torch, "
            "and set the environment variable KERAS_BACKEND=torch, as the default is tensorflow"
        ) from None
    inputs, targets = learnt(net, "Keras")
    dtype, layers = net.dtype.name, keras.layers
    made: list[Any] = []
    if inputs is not None:
        made += _normalization(layers, inputs)
    for number, activation in enumerate((*net.activation, net.output_activation)):
        units = net.sizes[number + 1]
        name = NAMES.get(activation)
        made.append(layers.Dense(units, activation=name, dtype=dtype, name=f"layer_{number}"))
        if name is None:
            function = LAYERS.get(type(activation))
            layer = function(layers, activation, dtype) if function else None
            if layer is None:
                raise ValueError(f"to_keras: layer {number}: expected an activation that Keras has, got {activation!r}")
            made.append(layer)
    if targets is not None:
        scale, offset = targets.scale.tolist(), targets.offset.tolist()
        made.append(layers.Rescaling(scale, offset, dtype="float64", name="target_scaling"))
    wide = "float64" if inputs is not None else dtype
    model = keras.Sequential([keras.Input((net.sizes[0],), dtype=wide), *made])
    for number, (w, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        model.get_layer(f"layer_{number}").set_weights([np.ascontiguousarray(w.T), b])
    return model


def _normalization(layers: Any, scaling: Scaling) -> list[Any]:
    """Return the layers that compute (x - offset) / scale."""
    scale, offset, before = scaling.scale, scaling.offset, []
    if not ((scale >= SMALLEST) & (scale <= LARGEST)).all():
        exponent = np.frexp(scale)[1].astype(np.float64)
        factor = 2.0**-exponent
        with np.errstate(over="ignore"):
            scale, offset = scale * factor, offset * factor
        if not np.isfinite(offset).all():
            raise ValueError(
                f"to_keras: expected an input_scaling whose offset / scale is finite, got {scaling!r:.200}"
            )
        before.append(layers.Rescaling(factor.tolist(), dtype="float64", name="input_exponent"))
    layer = layers.Normalization(dtype="float64", name="input_scaling")
    layer.build((None, len(scale)))
    layer.set_weights([offset, scale * scale, np.zeros((), np.int32)])  # given as arguments, Keras would round them
    layer.finalize_state()
    return [*before, layer]
