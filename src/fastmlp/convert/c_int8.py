"""Weights of one byte in the C files of c_writer.py: w_oi = scale_o q_oi, with q from -127 to 127.

The inputs of a layer are rounded as well, to integers n_i of up to 16 bits, with one factor for the row: so that sums
of q n are exact in 32 bits, and a processor without a floating-point unit spends its time on integers. What is lost
is lost by the weights: the inputs have so many bits (16 up to about 400 inputs) that they count for little.
Rejected: inputs in float32, which take a conversion for each weight.

`layers` rounds and makes the text; `predict` computes the same in NumPy.
"""

from __future__ import annotations

import string
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..activations import Activation
from ..quantization import check_layer
from ..scaling import Scaling
from .c_layers import Layer, table
from .functions import FUNCTIONS

SMALLEST = 1e-30  # inputs of a layer are not scaled further up than if this were the largest

FUNCTION = """
/* y = b + scale w n for $n_outputs outputs of $n_inputs inputs, which are rounded to n = x $range / max |x|. */
static void @_int8_${n_inputs}_$n_outputs(const int8_t *w, const float *scale, const float *x, float *y) {
    const float *b = scale + $n_outputs;
    int16_t n[$n_inputs];
    @_word a;
    float factor;
    int32_t largest;
    int i, o;
    a.real = $smallest;
    largest = (int32_t)a.bits;
    for (i = 0; i < $n_inputs; i++) {
        int32_t size;
        a.real = x[i];
        size = (int32_t)(a.bits & 0x7fffffffu);
        largest = size > largest ? size : largest;
    }
    a.bits = (uint32_t)largest;
    factor = $range / a.real;
    for (i = 0; i < $n_inputs; i++) {
        @_word rounded; /* 1.5 * 2^23 + n has n in its last bits */
        rounded.real = x[i] * factor + 12582912.0f;
        n[i] = (int16_t)((int32_t)(rounded.bits & 0x7fffffu) - 0x400000);
    }
    factor = a.real * $one_over_range;
    for (o = 0; o < $n_outputs; o++, w += $n_inputs) {
        int32_t sum = 0;
        for (i = 0; i < $n_inputs; i++) sum += (int16_t)w[i] * n[i];
        y[o] = @@_FMA((float)sum, scale[o] * factor, b[o]);
    }
}
"""


class Rounded(NamedTuple):
    """A layer with rounded weights."""

    q: NDArray[np.int8]  # (O, I)
    scale: NDArray[np.float32]  # (O,)
    b: NDArray[np.float32]
    range: int  # the largest integer that an input is rounded to


def layers(pairs: list[tuple[Any, Any]]) -> tuple[list[Layer], dict[str, tuple[str, str, str]], list[Rounded]]:
    """Return the layers for the file, its arrays, and the rounded layers."""
    rounded = [_rounded(w, b, number) for number, (w, b) in enumerate(pairs)]
    made, at, real_at = [], 0, 0
    for layer in rounded:
        n_outputs, n_inputs = layer.q.shape
        name = f"int8_{n_inputs}_{n_outputs}"
        text = string.Template(FUNCTION).substitute(
            n_outputs=n_outputs, n_inputs=n_inputs, smallest=f"{SMALLEST}f", range=f"{layer.range}.0f",
            one_over_range=f"{np.float32(1) / np.float32(layer.range)}f",
        )  # fmt: skip
        made.append(Layer({name: text}, f"    @_{name}(@_weights + {at}, @_reals + {real_at}, x, y);\n", False))
        at, real_at = at + layer.q.size, real_at + 2 * n_outputs
    reals = np.concatenate([each for layer in rounded for each in (layer.scale, layer.b)])
    return made, {
        "weights": ("Of each layer the weights (outputs, inputs), in units of the output's scale.", "int8_t",
                    _integers(np.concatenate([layer.q.ravel() for layer in rounded]))),
        "reals": ("Of each layer the scales of its outputs, then the biases.", "float", table(reals, "float32")),
    }, rounded  # fmt: skip


def _rounded(w: NDArray[np.float32], b: NDArray[np.float32], number: int) -> Rounded:
    largest = np.abs(w).max(axis=1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    q = np.clip(np.rint(w / scale[:, np.newaxis]), -127, 127)
    check_layer("int8", number, w, q * scale[:, np.newaxis])
    most = max(int(np.abs(q).sum(axis=1).max()), 1)
    limit = min(32767, (2**31 - 1) // most)
    if limit < 127:
        raise ValueError(f"weights: expected layers of fewer inputs for int8, got {w.shape[1]} in layer {number}")
    return Rounded(q.astype(np.int8), scale, b, limit)


def predict(
    rounded: list[Rounded], functions: list[Activation], inputs: Scaling | None, targets: Scaling | None, rows: Any
) -> NDArray[np.float64]:
    """Return the outputs of the rounded layers, as the C function computes them up to rounding of its floats."""
    y = (rows if inputs is None else inputs.apply(rows)).astype(np.float32)
    for layer, f in zip(rounded, functions, strict=True):
        largest = np.maximum(np.abs(y).max(axis=1, keepdims=True), np.float32(SMALLEST))
        n = np.rint(y * (np.float32(layer.range) / largest)).astype(np.float64)
        z = n @ layer.q.T.astype(np.float64) * (layer.scale * (largest / np.float32(layer.range))) + layer.b
        y = np.asarray(FUNCTIONS[type(f)](f, z), np.float64).astype(np.float32)
    return y.astype(np.float64) if targets is None else targets.undo(y)


def _integers(numbers: NDArray[np.int8]) -> str:
    texts = list(map(str, numbers.tolist()))
    return ",\n".join("    " + ", ".join(texts[i : i + 20]) for i in range(0, len(texts), 20))
