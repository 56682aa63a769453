"""Networks written in ONNX, without the onnx package: `write`, which `Network.to_onnx` calls.

A file has IR version 8 and operators of version 17, which every runtime of the last years reads. A layer is a Gemm with
the network's own weights; activations that ONNX lacks, or that onnxruntime lacks in float64, are written out.
onnx_model.py reads them all back: each function of `ACTIVATIONS` has its form in onnx_activations.py.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import activations as a
from .. import losses
from .._version import __version__
from ..activations import Activation, CustomActivation, Sigmoid, Softmax
from ..formats import atomic, strict_json
from ..losses import Hinge
from . import onnx_messages
from .functions import SELU_ALPHA, SELU_SCALE, SIGMOID_CORNERS, TANH_CORNERS
from .onnx_compounds import lines
from .onnx_messages import CODES, DOUBLE, INT64, STRING, field, varint
from .scalings import learnt

if TYPE_CHECKING:
    from ..network import Network

IR_VERSION = 8
OPSETS = (17, 20)  # 20 has GELU as one node


def write(
    net: Network,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int = 17,
    probabilities: bool = True,
    labels: bool = False,
) -> bytes:
    """Write a network in ONNX.

    Parameters
    ----------
    net : Network
    path : path, optional
        Where the file goes, if it is to be written.
    opset : {17, 20}
        The version of the operators. With 20, GELU of a float32 network is one node.
    probabilities : bool
        Whether a softmax or sigmoid of the last layer is written. Without it, the outputs are what it is computed from.
    labels : bool
        Whether the graph has a second output ``label``, the class of each row, by its name where classes have names.

    Returns
    -------
    bytes
        The content of the file. The graph has an input ``input`` of shape (batch, n_inputs) and an output
        ``output`` of shape (batch, n_outputs), both of the network's dtype; of float64, where a scaling needs it.

    Raises
    ------
    ValueError, TypeError
        If the network has what no ONNX file can hold: a custom activation, an encoder; or an argument does not fit.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> net = fastmlp.Network([3, 8, 2], seed=0)
    >>> data = write(net)
    """
    _check(net, opset, probabilities, labels)
    data = _model(net, opset, probabilities, labels)
    if path is not None:
        atomic.write(path, data)
    return data


def _check(net: Network, opset: Any, probabilities: bool, labels: bool) -> None:
    if opset not in OPSETS:
        raise ValueError(f"opset: expected one of {OPSETS}, got {opset!r}")
    for layer, f in enumerate((*net.activation, net.output_activation)):
        if isinstance(f, CustomActivation):
            raise ValueError(
                f"activation: layer {layer} has a CustomActivation, whose functions are code that an ONNX file cannot "
                "hold; replace it by one of docs/activations.md"
            )
    if not probabilities and not isinstance(net.output_activation, (Softmax, Sigmoid)):
        raise ValueError(
            f"probabilities: expected True, as the output activation is {net.output_activation.name!r}; "
            "False leaves out a softmax or sigmoid"
        )
    if labels and not net.loss.classifies:
        raise ValueError(f"labels: expected False for the loss {net.loss.name!r}, which has no classes, got True")


def _model(net: Network, opset: int, probabilities: bool, labels: bool) -> bytes:
    """Return the bytes of the file."""
    graph = _Graph(net.dtype.name, opset)
    inputs, targets = learnt(net, "ONNX")
    input_dtype = "float64" if inputs is not None and inputs.needs_float64 else net.dtype.name
    output_dtype = "float64" if targets is not None and targets.needs_float64 else net.dtype.name
    x = "input"
    if inputs is not None:  # in float64, as the network does it
        x = graph.node("Sub", [graph.cast(x, input_dtype, "float64"), graph.constant("input_offset", inputs.offset)])
        x = graph.node("Div", [x, graph.constant("input_scale", inputs.scale)])
        x = graph.cast(x, "float64", net.dtype.name)
    layers = list(zip(net.weights, net.biases, (*net.activation, net.output_activation), strict=True))
    for number, (w, b, f) in enumerate(layers):
        names = [graph.constant(f"{number}.weight", w), graph.constant(f"{number}.bias", b)]
        x = graph.node("Gemm", [x, *names], transB=1)
        if number < len(layers) - 1 or probabilities:
            x = ACTIVATIONS[type(f)](graph, f, x)
        elif isinstance(f, Sigmoid) and f.beta != 1:
            x = graph.node("Mul", [x, graph.number(f.beta)])
    if targets is not None:
        x = graph.node("Mul", [graph.cast(x, net.dtype.name, "float64"), graph.constant("target_scale", targets.scale)])
        x = graph.node("Add", [x, graph.constant("target_offset", targets.offset)])
        x = graph.cast(x, "float64", output_dtype)
    graph.rename(x, "output")
    outputs = [onnx_messages.value("output", CODES[output_dtype], ("batch", net.sizes[-1]))]
    if labels:
        outputs.append(_label(net, graph, probabilities))
    value = onnx_messages.value("input", CODES[input_dtype], ("batch", net.sizes[0]))
    graph_bytes = b"".join(
        [
            *(field(1, node) for node in graph.nodes),
            field(2, b"fastmlp"),
            *(field(5, tensor) for tensor in graph.tensors.values()),
            field(11, value),
            *(field(12, output) for output in outputs),
        ]
    )
    described = field(14, field(1, b"fastmlp") + field(2, _names(net, probabilities)))
    head = varint(1, IR_VERSION) + field(2, b"fastmlp") + field(3, __version__.encode())
    return head + field(7, graph_bytes) + field(8, field(1, b"") + varint(2, opset)) + described


def _label(net: Network, graph: _Graph, probabilities: bool) -> bytes:
    """Add the class of each row, and return the description of this output."""
    names = net.class_names
    if net.sizes[-1] == 1:
        limit = 0.5 if probabilities and not isinstance(net.loss, Hinge) else 0.0
        above = graph.node("Greater", ["output", graph.number(limit)])
        one = graph.constant("one_dimension", np.array([-1], np.int64))
        index = graph.node("Reshape", [graph.cast(above, "bool", "int64"), one])
    else:
        index = graph.node("ArgMax", ["output"], axis=1, keepdims=0)
    if names is None:
        code = INT64
    elif isinstance(names[0], str):
        code = STRING
        graph.tensors["classes"] = onnx_messages.text_tensor("classes", [str(name) for name in names])
    elif all(isinstance(name, int) and -(2**63) <= name < 2**63 for name in names):
        code = INT64
        graph.constant("classes", np.array(names, np.int64))
    else:
        code = DOUBLE
        graph.constant("classes", np.array(names, np.float64))
    graph.rename(index if names is None else graph.node("Gather", ["classes", index], axis=0), "label")
    return onnx_messages.value("label", code, ("batch",))


def _names(net: Network, probabilities: bool) -> bytes:
    """Return what ONNX has no place for, as JSON: the loss by its name, and the names of columns and classes."""
    fields = {
        "loss": losses.name_or_object(net.loss) if probabilities else None,
        "feature_names": None if net.feature_names is None else list(net.feature_names),
        "target_name": net.target_name,
        # one output is compared with a number that depends on the loss, which is not that of probabilities here
        "class_names": list(net.class_names) if net.class_names and (probabilities or net.sizes[-1] > 1) else None,
    }
    if not isinstance(fields["loss"], str):
        fields["loss"] = None
    return strict_json.compact({key: value for key, value in fields.items() if value is not None}).encode()


# ------------------------------------------------------------------------------------------------------- activations


def _plain(operator: str, **attributes: Any) -> Callable[[_Graph, Any, str], str]:
    return lambda g, f, z: g.node(operator, [z], **attributes)


def _sigmoid(g: _Graph, f: a.Sigmoid, z: str) -> str:
    return g.node("Sigmoid", [z if f.beta == 1 else g.node("Mul", [z, g.number(f.beta)])])


def _piecewise_linear(g: _Graph, f: a.PiecewiseLinear, z: str) -> str:
    ramp = g.node("Div", [g.node("Sub", [z, g.number(f.x_min)]), g.number(f.x_max - f.x_min)])
    return g.node("Clip", [ramp, g.number(0.0), g.number(1.0)])


def _gaussian(g: _Graph, f: a.Gaussian, z: str) -> str:
    u = g.node("Div", [g.node("Sub", [z, g.number(f.mu)]), g.number(f.sigma)])
    power = g.node("Exp", [g.node("Mul", [g.node("Mul", [u, u]), g.number(-0.5)])])
    return g.node("Mul", [power, g.number(1 / (math.sqrt(2 * math.pi) * f.sigma))])


def _stepwise(corners: Any, minimum: float) -> Callable[[_Graph, Any, str], str]:
    """Return the writer of lines between corners: a constant below the first, and 1 from the last on."""

    def writer(g: _Graph, f: Any, z: str) -> str:
        value = g.number(minimum)
        for x, y, slope in lines(corners):
            line = g.number(1.0)
            if slope is not None:
                rise = g.node("Mul", [g.node("Sub", [z, g.number(x)]), g.number(slope)])
                line = g.node("Add", [rise, g.number(y)])
            value = g.node("Where", [g.node("GreaterOrEqual", [z, g.number(x)]), line, value])
        return value

    return writer


def _threshold(g: _Graph, f: a.Threshold, z: str) -> str:
    return g.cast(g.node("GreaterOrEqual", [z, g.number(0.0)]), "bool", g.dtype)


def _leaky_relu(g: _Graph, f: a.LeakyReLU, z: str) -> str:
    if g.is_float32:
        return g.node("LeakyRelu", [z], alpha=f.negative_slope)
    below = g.node("Mul", [z, g.number(f.negative_slope)])
    return g.node("Where", [g.node("Greater", [z, g.number(0.0)]), z, below])


def _exponential(g: _Graph, z: str, scale: float, alpha: float) -> str:
    """Return scale z where z > 0, else scale alpha (e^z - 1): onnxruntime has no Elu and Selu of float64."""
    below = g.node("Sub", [g.node("Exp", [g.node("Min", [z, g.number(0.0)])]), g.number(1.0)])
    above = z if scale == 1 else g.node("Mul", [z, g.number(scale)])
    condition = g.node("Greater", [z, g.number(0.0)])
    return g.node("Where", [condition, above, g.node("Mul", [below, g.number(scale * alpha)])])


def _elu(g: _Graph, f: a.ELU, z: str) -> str:
    return g.node("Elu", [z], alpha=f.alpha) if g.is_float32 else _exponential(g, z, 1.0, f.alpha)


def _selu(g: _Graph, f: a.SELU, z: str) -> str:
    return g.node("Selu", [z]) if g.is_float32 else _exponential(g, z, SELU_SCALE, SELU_ALPHA)


def _gelu(g: _Graph, f: a.GELU, z: str) -> str:
    if g.opset >= 20 and g.is_float32:
        return g.node("Gelu", [z], approximate=f.approximate)
    if f.approximate == "none":
        gate = g.node("Erf", [g.node("Div", [z, g.number(math.sqrt(2))])])
    else:
        cube = g.node("Mul", [g.node("Mul", [z, z]), z])
        inner = g.node("Add", [z, g.node("Mul", [cube, g.number(0.044715)])])
        gate = g.node("Tanh", [g.node("Mul", [inner, g.number(math.sqrt(2 / math.pi))])])
    product = g.node("Mul", [z, g.node("Add", [gate, g.number(1.0)])])
    return g.node("Mul", [product, g.number(0.5)])


def _silu(g: _Graph, f: a.SiLU, z: str) -> str:
    return g.node("Mul", [z, g.node("Sigmoid", [z])])


def _mish(g: _Graph, f: a.Mish, z: str) -> str:
    if g.is_float32:
        softplus = g.node("Softplus", [z])
    else:
        softplus = g.node("Log", [g.node("Add", [g.node("Exp", [z]), g.number(1.0)])])
    return g.node("Mul", [z, g.node("Tanh", [softplus])])


def _softplus(g: _Graph, f: a.Softplus, z: str) -> str:
    u = z if f.beta == 1 else g.node("Mul", [z, g.number(f.beta)])
    if g.is_float32:
        y = g.node("Softplus", [u])
    else:
        smaller = g.node("Exp", [g.node("Neg", [g.node("Abs", [u])])])
        y = g.node("Add", [g.node("Relu", [u]), g.node("Log", [g.node("Add", [smaller, g.number(1.0)])])])
    return y if f.beta == 1 else g.node("Div", [y, g.number(f.beta)])


def _softsign(g: _Graph, f: a.Softsign, z: str) -> str:
    if g.is_float32:
        return g.node("Softsign", [z])
    return g.node("Div", [z, g.node("Add", [g.node("Abs", [z]), g.number(1.0)])])


def _hard_sigmoid(g: _Graph, f: a.HardSigmoid, z: str) -> str:
    if g.is_float32:
        return g.node("HardSigmoid", [z], alpha=1 / 6, beta=0.5)
    ramp = g.node("Clip", [g.node("Add", [z, g.number(3.0)]), g.number(0.0), g.number(6.0)])
    return g.node("Div", [ramp, g.number(6.0)])


def _hard_tanh(g: _Graph, f: a.HardTanh, z: str) -> str:
    return g.node("Clip", [z, g.number(f.min_val), g.number(f.max_val)])


def _sine(g: _Graph, f: a.Sine, z: str) -> str:
    return g.node("Sin", [z if f.omega == 1 else g.node("Mul", [z, g.number(f.omega)])])


ACTIVATIONS: dict[type[Activation], Callable[[_Graph, Any, str], str]] = {
    a.Identity: lambda g, f, z: z,
    a.Sigmoid: _sigmoid,
    a.Tanh: _plain("Tanh"),
    a.ReLU: _plain("Relu"),
    a.PiecewiseLinear: _piecewise_linear,
    a.Gaussian: _gaussian,
    a.StepwiseSigmoid: _stepwise(SIGMOID_CORNERS, 0.0),
    a.StepwiseTanh: _stepwise(TANH_CORNERS, -1.0),
    a.Threshold: _threshold,
    a.LeakyReLU: _leaky_relu,
    a.ELU: _elu,
    a.SELU: _selu,
    a.GELU: _gelu,
    a.SiLU: _silu,
    a.Mish: _mish,
    a.Softplus: _softplus,
    a.Softsign: _softsign,
    a.HardSigmoid: _hard_sigmoid,
    a.HardTanh: _hard_tanh,
    a.Sine: _sine,
    a.Softmax: _plain("Softmax", axis=-1),
}


# ------------------------------------------------------------------------------------------------------- the graph


class _Graph:
    """The nodes and tensors of a graph that is being written."""

    def __init__(self, dtype: str, opset: int) -> None:
        self.dtype, self.opset, self.is_float32 = dtype, opset, dtype == "float32"
        self._nodes: list[tuple[str, list[str], str, dict[str, Any]]] = []
        self.tensors: dict[str, bytes] = {}

    @property
    def nodes(self) -> list[bytes]:
        """The messages of the nodes."""
        return [onnx_messages.node(number, *node) for number, node in enumerate(self._nodes)]

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = f"value_{len(self._nodes)}"
        self._nodes.append((operator, list(inputs), output, attributes))
        return output

    def cast(self, x: str, dtype: str, to: str) -> str:
        """Return values of one dtype in another."""
        return x if dtype == to else self.node("Cast", [x], to=CODES[to])

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add an array and return its name."""
        self.tensors[name] = onnx_messages.tensor(name, array)
        return name

    def number(self, value: float) -> str:
        """Return the name of a number in the network's dtype; equal numbers are one tensor."""
        return self.constant(f"number {float(value)!r}", np.array(value, self.dtype))

    def rename(self, x: str, name: str) -> None:
        """Give the last node's output a name; where there is no node, or x is another's, add one that hands it on."""
        if not self._nodes or self._nodes[-1][2] != x:
            self.node("Identity", [x])
        operator, inputs, _, attributes = self._nodes[-1]
        self._nodes[-1] = operator, inputs, name, attributes
