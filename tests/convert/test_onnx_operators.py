"""Each form in which ONNX says a layer or an activation, one graph a form, against onnxruntime or the onnx package.

`expected` are the activations that the network must have: a graph that is understood by an extra layer, or by another
function that happens to be near, fails.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import pytest

import fastmlp
from fastmlp.convert import onnx_evaluate, onnx_graph, onnx_model
from onnx_graphs import Graph, reference, rows

S = math.sqrt(2)


def outputs(data: bytes, x: Any) -> Any:
    """Return the file's outputs by onnxruntime, or where it lacks an operator, by the onnx package."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options)
    except Exception:
        return reference(data, x)
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def check(data: bytes, x: Any, expected: list[Any] | None = None, tolerance: float | None = None) -> fastmlp.Network:
    """Import the graph and compare it; its own evaluation by NumPy is compared as well."""
    net = fastmlp.from_onnx(data)
    answers = np.asarray(outputs(data, x), np.float64).reshape(len(x), -1)
    limit = tolerance or (2e-6 if x.dtype != np.float64 else 1e-13)
    scale = np.abs(answers).max()
    np.testing.assert_allclose(net.predict(x), answers, rtol=0, atol=limit * scale * (len(net.sizes) + 1))
    model, graph = onnx_graph.read(data, None)
    evaluated = onnx_evaluate.outputs(graph, {"x": np.asarray(x)}, [model.graph.output[0].name])[0]  # type: ignore[union-attr]
    np.testing.assert_allclose(
        evaluated.reshape(len(x), -1), answers, rtol=0, atol=limit * scale * (len(net.sizes) + 1)
    )
    if expected is not None:
        found = [*net.activation, net.output_activation]
        assert [type(f) for f in found] == [type(f) for f in expected]
        for f, g in zip(found, expected, strict=True):
            np.testing.assert_allclose(f.hyper_parameters, g.hyper_parameters, rtol=1e-6)
    return net


# -------------------------------------------------------------------------------------------------------- layers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("trans_a", "trans_b"), list(itertools.product([0, 1], [0, 1])))
@pytest.mark.parametrize("bias", [(3,), (1, 3), (1,), (), (1, 1), None], ids=str)
@pytest.mark.parametrize("left", [False, True])
def test_gemm(trans_a: int, trans_b: int, bias: Any, left: bool, dtype: str) -> None:
    g = Graph(4, dtype, 13)
    w = g.normal(3, 4)
    c = None if bias is None else g.normal(*bias)
    more = {"alpha": 0.75, "beta": -1.5, "transA": trans_a, "transB": trans_b}
    if left:  # y^T = w x^T
        x = g.x if trans_b else g.op("Transpose", g.x, perm=[1, 0])
        c = None if c is None else c.reshape(-1, 1)
        y = g.op("Transpose", g.op("Gemm", w.T if trans_a else w, x, *([] if c is None else [c]), **more))
    else:
        x = g.op("Transpose", g.x) if trans_a else g.x
        y = g.op("Gemm", x, w if trans_b else w.T, *([] if c is None else [c]), **more)
    net = check(g.model(y), rows(4, dtype), [fastmlp.Identity()])
    np.testing.assert_allclose(net.weights[0], 0.75 * w, rtol=1e-6)


@pytest.mark.parametrize("constants", [False, True])
@pytest.mark.parametrize("bias", [(3,), (1, 3), (), (1, 1, 3), None], ids=str)
@pytest.mark.parametrize("first", [False, True])
def test_matmul_and_add(bias: Any, first: bool, constants: bool) -> None:
    g = Graph(4, opset=13, constants=constants)
    y = g.op("MatMul", g.x, g.normal(4, 3))
    if bias is not None:
        b = g.normal(*bias)
        y = g.op("Add", b, y) if first else g.op("Add", y, b)
    check(g.model(y), rows(4), [fastmlp.Identity()])


def test_matmul_with_the_weight_first() -> None:
    g = Graph(4)
    y = g.op("MatMul", g.normal(5, 4), g.op("Transpose", g.x, perm=[1, 0]))
    y = g.op("Tanh", g.op("Add", y, g.normal(5, 1)))
    y = g.op("Add", g.op("MatMul", g.normal(2, 5), y), g.normal(2, 1))
    check(g.model(g.op("Transpose", y)), rows(4), [fastmlp.Tanh(), fastmlp.Identity()])


def test_matmul_by_a_vector() -> None:
    g = Graph(4)
    check(g.model(g.op("MatMul", g.x, g.normal(4))), rows(4), [fastmlp.Identity()])


def test_shared_initializers() -> None:
    g = Graph(4)
    w, b = g.tensor(g.normal(4, 4)), g.tensor(g.normal(4))
    y = g.x
    for _ in range(3):
        y = g.op("Tanh", g.op("Gemm", y, w, b))
    net = check(g.model(y), rows(4), [fastmlp.Tanh()] * 3)
    assert np.array_equal(net.weights[0], net.weights[2])


def test_two_linear_layers_stay_two() -> None:
    g = Graph(4)
    check(g.model(g.dense(g.dense(g.x, 4, 5), 5, 2)), rows(4), [fastmlp.Identity()] * 2)


@pytest.mark.parametrize("opset", [7, 9, 13, 15, 20, 21])
def test_batch_normalization(opset: int) -> None:
    g = Graph(4, opset=opset)
    x = g.x
    for n, m in ((4, 5), (5, 3)):
        numbers = [g.normal(n), g.normal(n), g.normal(n), g.normal(n) ** 2]
        numbers[0][1] = 0.0  # a column that does not count
        x = g.op("BatchNormalization", x, *numbers, epsilon=1e-3)
        x = g.op("Relu", g.dense(x, n, m))
    x = g.op("BatchNormalization", g.dense(x, 3, 2), *(np.abs(g.normal(2)) for _ in range(4)))
    check(g.model(x), rows(4), tolerance=1e-5)


@pytest.mark.parametrize("order", ["sub div", "sub mul", "mul add", "div sub", "add mul", "rsub", "neg"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalers(order: str, dtype: str) -> None:
    g = Graph(4, dtype)
    a, b, x = np.array([1.5, -2.0, 0.25, 3.0]), np.array([2.0, 0.5, 4.0, 1.0]), g.x
    for operator in order.split():
        value = a if operator in ("sub", "add", "rsub") else b
        if operator == "rsub":
            x = g.op("Sub", value, x)
        else:
            x = g.op(operator.capitalize(), x, *([] if operator == "neg" else [value]))
    net = check(g.model(g.op("Tanh", g.dense(x, 4, 2))), rows(4, dtype), [fastmlp.Tanh()])
    if order == "sub div":
        assert net.input_scaling == fastmlp.Scaling(a, b)


def test_a_column_far_from_0_loses_nothing() -> None:
    g = Graph(2, "float64")
    offset = np.array([1e6, -3.0])
    scaled = g.op("Div", g.op("Sub", g.x, offset), np.array([1.0, 2.0]))
    scaled = g.op("Cast", scaled, to=1)
    g.dtype = "float32"
    y = g.op("Tanh", g.dense(scaled, 2, 3))
    y = g.dense(y, 3, 1)
    g.dtype = "float64"
    data = g.model(g.op("Cast", y, to=11))
    x = rows(2, "float64") + offset
    net = fastmlp.from_onnx(data)
    assert net.dtype == "float32"
    np.testing.assert_allclose(net.predict(x), outputs(data, x), rtol=0, atol=3e-6)


def test_targets_scaled() -> None:
    g = Graph(4)
    y = g.op("Add", g.op("Mul", g.dense(g.op("Relu", g.dense(g.x, 4, 5)), 5, 2), [10.0, 3.0]), [100.0, -5.0])
    net = check(g.model(y), rows(4), [fastmlp.ReLU(), fastmlp.Identity()])
    assert net.target_scaling == fastmlp.Scaling([100.0, -5.0], [10.0, 3.0])


def test_a_slope_beside_an_activation_goes_into_layers() -> None:
    g = Graph(4)
    h = g.op("Mul", g.op("Tanh", g.op("Mul", g.dense(g.x, 4, 5), 2 / 3)), 1.7159)
    check(g.model(g.dense(h, 5, 2)), rows(4), [fastmlp.Tanh(), fastmlp.Identity()])


# --------------------------------------------------------------------------------------------------- activations

Form = Callable[[Graph, str], Any]


def _tanh_gelu(g: Graph, z: str, cube: Any) -> Any:
    inner = g.op("Mul", g.op("Add", z, g.op("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))
    return g.op("Mul", g.op("Mul", 0.5, z), g.op("Add", 1.0, g.op("Tanh", inner)))


def _elu(g: Graph, z: str) -> Any:
    below = g.op("Mul", g.op("Sub", g.op("Exp", g.op("Min", z, 0.0)), 1.0), 0.7)
    return g.op("Where", g.op("Greater", z, 0.0), z, below)


ACTIVATIONS: dict[str, tuple[Form, fastmlp.Activation]] = {
    "Relu": (lambda g, z: g.op("Relu", z), fastmlp.ReLU()),
    "Max 0": (lambda g, z: g.op("Max", z, 0.0), fastmlp.ReLU()),
    "Max 0 first": (lambda g, z: g.op("Max", 0.0, z), fastmlp.ReLU()),
    "Clip from 0": (lambda g, z: g.op("Clip", z, 0.0), fastmlp.ReLU()),
    "Clip to the largest": (lambda g, z: g.op("Clip", z, 0.0, 3.4028234663852886e38), fastmlp.ReLU()),
    "Where 0": (lambda g, z: g.op("Where", g.op("Greater", z, 0.0), z, 0.0), fastmlp.ReLU()),
    "max": (lambda g, z: g.op("Max", z, 0.5), fastmlp.ReLU()),
    "min": (lambda g, z: g.op("Min", z, 0.5), fastmlp.ReLU()),
    "Sigmoid": (lambda g, z: g.op("Sigmoid", z), fastmlp.Sigmoid()),
    "Sigmoid of 2 z": (lambda g, z: g.op("Sigmoid", g.op("Mul", z, 2.0)), fastmlp.Sigmoid(2.0)),
    "logistic": (lambda g, z: g.op("Reciprocal", g.op("Add", g.op("Exp", g.op("Neg", z)), 1.0)), fastmlp.Sigmoid()),
    "logistic by Div": (
        lambda g, z: g.op("Div", 1.0, g.op("Add", 1.0, g.op("Exp", g.op("Neg", z)))),
        fastmlp.Sigmoid(),
    ),
    "Tanh": (lambda g, z: g.op("Tanh", z), fastmlp.Tanh()),
    "ReLU6": (lambda g, z: g.op("Clip", z, 0.0, 6.0), fastmlp.HardTanh(0.0, 6.0)),
    "ReLU6 of Relu": (lambda g, z: g.op("Min", g.op("Relu", z), 6.0), fastmlp.HardTanh(0.0, 6.0)),
    "Hardtanh": (lambda g, z: g.op("Clip", z, -1.0, 1.0), fastmlp.HardTanh()),
    "Min Max": (lambda g, z: g.op("Max", g.op("Min", z, 0.75), -0.5), fastmlp.HardTanh(-0.5, 0.75)),
    "HardSigmoid of torch": (lambda g, z: g.op("HardSigmoid", z, alpha=1 / 6, beta=0.5), fastmlp.HardSigmoid()),
    "HardSigmoid of torch, legacy": (lambda g, z: g.op("HardSigmoid", z, alpha=1 / 6), fastmlp.HardSigmoid()),
    "HardSigmoid": (lambda g, z: g.op("HardSigmoid", z), fastmlp.PiecewiseLinear(-2.5, 2.5)),
    "hard sigmoid of tf2onnx": (
        lambda g, z: g.op("Max", g.op("Min", g.op("Add", g.op("Mul", z, 0.2), 0.5), 1.0), 0.0),
        fastmlp.PiecewiseLinear(-2.5, 2.5),
    ),
    "relu6(z + 3) / 6": (
        lambda g, z: g.op("Div", g.op("Clip", g.op("Add", z, 3.0), 0.0, 6.0), 6.0),
        fastmlp.HardSigmoid(),
    ),
    "relu6(z + 3) times 1 / 6": (
        lambda g, z: g.op("Mul", g.op("Clip", g.op("Add", z, 3.0), 0.0, 6.0), 1 / 6),
        fastmlp.HardSigmoid(),
    ),
    "LeakyRelu": (lambda g, z: g.op("LeakyRelu", z, alpha=0.2), fastmlp.LeakyReLU(0.2)),
    "LeakyRelu by default": (lambda g, z: g.op("LeakyRelu", z), fastmlp.LeakyReLU(0.01)),
    "PRelu": (lambda g, z: g.op("PRelu", z, [0.3]), fastmlp.LeakyReLU(0.3)),
    "PRelu of equal slopes": (lambda g, z: g.op("PRelu", z, [0.3] * 6), fastmlp.LeakyReLU(0.3)),
    "Max of two": (lambda g, z: g.op("Max", g.op("Mul", z, 0.1), z), fastmlp.LeakyReLU(0.1)),
    "leaky by Where": (
        lambda g, z: g.op("Where", g.op("GreaterOrEqual", z, 0.0), z, g.op("Mul", z, 0.1)),
        fastmlp.LeakyReLU(0.1),
    ),
    "leaky by Where, swapped": (
        lambda g, z: g.op("Where", g.op("Less", z, 0.0), g.op("Mul", z, 0.1), z),
        fastmlp.LeakyReLU(0.1),
    ),
    "PReLU of Keras": (
        lambda g, z: g.op("Sub", g.op("Relu", z), g.op("Mul", 0.25, g.op("Relu", g.op("Neg", z)))),
        fastmlp.LeakyReLU(0.25),
    ),
    "Elu": (lambda g, z: g.op("Elu", z), fastmlp.ELU()),
    "Elu 0.7": (lambda g, z: g.op("Elu", z, alpha=0.7), fastmlp.ELU(0.7)),
    "Elu written out": (_elu, fastmlp.ELU(0.7)),
    "Celu": (lambda g, z: g.op("Celu", z), fastmlp.ELU()),
    "Celu 0.5": (lambda g, z: g.op("Celu", z, alpha=0.5), fastmlp.ELU()),
    "Selu": (lambda g, z: g.op("Selu", z), fastmlp.SELU()),
    "Selu of other numbers": (lambda g, z: g.op("Selu", z, alpha=1.5, gamma=2.0), fastmlp.ELU(1.5)),
    "Gelu": (lambda g, z: g.op("Gelu", z), fastmlp.GELU()),
    "Gelu tanh": (lambda g, z: g.op("Gelu", z, approximate="tanh"), fastmlp.GELU("tanh")),
    "Erf": (
        lambda g, z: g.op("Mul", g.op("Mul", z, g.op("Add", g.op("Erf", g.op("Div", z, S)), 1.0)), 0.5),
        fastmlp.GELU(),
    ),
    "Erf, 0.5 first": (
        lambda g, z: g.op("Mul", g.op("Mul", 0.5, z), g.op("Add", 1.0, g.op("Erf", g.op("Mul", z, 1 / S)))),
        fastmlp.GELU(),
    ),
    "Erf, 0.5 inside": (
        lambda g, z: g.op("Mul", z, g.op("Mul", g.op("Add", 1.0, g.op("Erf", g.op("Div", z, S))), 0.5)),
        fastmlp.GELU(),
    ),
    "Erf, 0.5 twice": (
        lambda g, z: g.op("Mul", z, g.op("Add", 0.5, g.op("Mul", 0.5, g.op("Erf", g.op("Div", z, S))))),
        fastmlp.GELU(),
    ),
    "tanh form": (lambda g, z: _tanh_gelu(g, z, g.op("Pow", z, 3.0)), fastmlp.GELU("tanh")),
    "tanh form by Mul": (lambda g, z: _tanh_gelu(g, z, g.op("Mul", g.op("Mul", z, z), z)), fastmlp.GELU("tanh")),
    "tanh form, factored": (
        lambda g, z: g.op(
            "Mul",
            g.op("Mul", z, 0.5),
            g.op(
                "Add",
                g.op(
                    "Tanh",
                    g.op(
                        "Mul", g.op("Mul", z, 0.7978845608), g.op("Add", 1.0, g.op("Mul", 0.044715, g.op("Mul", z, z)))
                    ),
                ),
                1.0,
            ),
        ),
        fastmlp.GELU("tanh"),
    ),
    "SiLU": (lambda g, z: g.op("Mul", z, g.op("Sigmoid", z)), fastmlp.SiLU()),
    "SiLU, swapped": (lambda g, z: g.op("Mul", g.op("Sigmoid", z), z), fastmlp.SiLU()),
    "swish by Div": (lambda g, z: g.op("Div", z, g.op("Add", 1.0, g.op("Exp", g.op("Neg", z)))), fastmlp.SiLU()),
    "swish of 1.702": (lambda g, z: g.op("Mul", z, g.op("Sigmoid", g.op("Mul", z, 1.702))), fastmlp.SiLU()),
    "Mish": (lambda g, z: g.op("Mul", z, g.op("Tanh", g.op("Softplus", z))), fastmlp.Mish()),
    "Mish as one": (lambda g, z: g.op("Mish", z), fastmlp.Mish()),
    "Softplus": (lambda g, z: g.op("Softplus", z), fastmlp.Softplus()),
    "Softplus of 2 z": (lambda g, z: g.op("Div", g.op("Softplus", g.op("Mul", z, 1.7)), 1.7), fastmlp.Softplus(1.7)),
    "Softplus by Log": (lambda g, z: g.op("Log", g.op("Add", g.op("Exp", z), 1.0)), fastmlp.Softplus()),
    "threshold of torch": (
        lambda g, z: g.op("Where", g.op("Greater", z, 20.0), z, g.op("Softplus", z)),
        fastmlp.Softplus(),
    ),
    "threshold of torch with beta": (
        lambda g, z: g.op(
            "Where",
            g.op("Greater", g.op("Mul", z, 1.7), 20.0),
            z,
            g.op("Div", g.op("Softplus", g.op("Mul", z, 1.7)), 1.7),
        ),
        fastmlp.Softplus(1.7),
    ),
    "LogSigmoid": (lambda g, z: g.op("Log", g.op("Sigmoid", z)), fastmlp.Softplus()),
    "Softsign": (lambda g, z: g.op("Softsign", z), fastmlp.Softsign()),
    "Softsign by Abs": (lambda g, z: g.op("Div", z, g.op("Add", g.op("Abs", z), 1.0)), fastmlp.Softsign()),
    "Sin": (lambda g, z: g.op("Sin", g.op("Mul", z, 0.5)), fastmlp.Sine(0.5)),
    "Gaussian": (lambda g, z: g.op("Exp", g.op("Neg", g.op("Mul", z, z))), fastmlp.Gaussian(0.0, math.sqrt(0.5))),
    "Gaussian by Pow": (
        lambda g, z: g.op("Exp", g.op("Mul", g.op("Pow", g.op("Div", g.op("Sub", z, 0.5), 0.75), 2.0), -0.5)),
        fastmlp.Gaussian(0.5, 0.75),
    ),
    "step": (lambda g, z: g.op("Cast", g.op("GreaterOrEqual", z, 0.0), to=1), fastmlp.Threshold()),
    "step above": (lambda g, z: g.op("Cast", g.op("Greater", z, 0.0), to=1), fastmlp.Threshold()),
    "step by Where": (lambda g, z: g.op("Where", g.op("LessOrEqual", 0.0, z), 1.0, -1.0), fastmlp.Threshold()),
}
NEWER = {"Gelu": 20, "Gelu tanh": 20, "Mish as one": 18}


@pytest.mark.parametrize("opset", [13, 20, 22])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str, opset: int) -> None:
    form, expected = ACTIVATIONS[name]
    g = Graph(4, opset=max(opset, NEWER.get(name, 0)))
    y = g.dense(form(g, g.dense(g.x, 4, 6)), 6, 3)
    x = rows(4) if name != "LogSigmoid" else rows(4) / 8
    net = check(g.model(y), x, [expected, fastmlp.Identity()])
    assert net.sizes == (4, 6, 3)


@pytest.mark.parametrize("name", ["Erf", "SiLU", "Mish", "Softsign by Abs", "tanh form", "Tanh", "Elu written out"])
def test_activations_after_a_batch_normalization(name: str) -> None:
    form, expected = ACTIVATIONS[name]
    dtype = "float32" if name == "Erf" else "float64"  # onnxruntime has no Erf of float64
    g = Graph(4, dtype)
    z = g.op("Add", g.op("Mul", g.dense(g.x, 4, 6), g.normal(6)), g.normal(6))
    check(g.model(g.dense(form(g, z), 6, 3)), rows(4, dtype), [expected, fastmlp.Identity()])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_a_layer_without_a_bias(name: str) -> None:
    form, expected = ACTIVATIONS[name]
    g = Graph(4, opset=20)
    x = rows(4) if name != "LogSigmoid" else rows(4) / 8
    net = check(g.model(g.dense(form(g, g.op("MatMul", g.x, g.normal(4, 6))), 6, 3)), x, [expected, fastmlp.Identity()])
    assert net.sizes == (4, 6, 3)


@pytest.mark.parametrize("name", ["SiLU", "Erf", "Softsign by Abs", "Softplus", "Sin", "tanh form"])
def test_activations_of_a_scaled_argument(name: str) -> None:
    form, expected = ACTIVATIONS[name]
    dtype = "float32" if name == "Erf" else "float64"
    g = Graph(4, dtype)
    z = g.op("Add", g.op("Mul", g.dense(g.x, 4, 6), 0.5), 0.25)
    net = check(g.model(g.dense(form(g, z), 6, 3)), rows(4, dtype))
    assert [type(f) for f in net.activation] == [type(expected)]


@pytest.mark.parametrize("name", ["QuickGelu 1", "QuickGelu", "FastGelu", "BiasGelu", "Gelu"])
def test_nodes_of_onnxruntime(name: str) -> None:
    g = Graph(4)
    z, b = g.dense(g.x, 4, 6), g.normal(6)
    kind, given, more, expected = {
        "QuickGelu 1": ("QuickGelu", [z], {"alpha": 1.0}, fastmlp.SiLU()),
        "QuickGelu": ("QuickGelu", [z], {}, fastmlp.SiLU()),
        "FastGelu": ("FastGelu", [z, b], {}, fastmlp.GELU("tanh")),
        "BiasGelu": ("BiasGelu", [z, b], {}, fastmlp.GELU()),
        "Gelu": ("Gelu", [z], {}, fastmlp.GELU()),
    }[name]
    data = g.model(g.dense(g.op(kind, *given, domain="com.microsoft", **more), 6, 3))
    check(data, rows(4), [expected, fastmlp.Identity()], 1e-5)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("Relu", {}, fastmlp.ReLU()),
        ("Sigmoid", {}, fastmlp.Sigmoid()),
        ("Tanh", {}, fastmlp.Tanh()),
        ("LeakyRelu", {"activation_alpha": 0.2}, fastmlp.LeakyReLU(0.2)),
        ("Elu", {"activation_alpha": 0.8}, fastmlp.ELU(0.8)),
        ("Softplus", {}, fastmlp.Softplus()),
        ("Softsign", {}, fastmlp.Softsign()),
        ("HardSigmoid", {"activation_alpha": 0.2, "activation_beta": 0.5}, fastmlp.PiecewiseLinear(-2.5, 2.5)),
    ],
)
def test_fused_gemm(kind: str, more: dict[str, float], expected: Any) -> None:
    g = Graph(4)
    h = g.op(
        "FusedGemm",
        g.x,
        g.normal(6, 4),
        g.normal(6),
        domain="com.microsoft",
        transB=1,
        alpha=0.5,
        activation=kind,
        **more,
    )
    check(g.model(g.dense(h, 6, 3)), rows(4), [expected, fastmlp.Identity()])


@pytest.mark.parametrize("shift", [False, True])
def test_fused_matmul(shift: bool) -> None:
    g = Graph(4)
    y = g.op("FusedMatMul", g.x, g.normal(3, 4), domain="com.microsoft", transB=1, alpha=0.5)
    check(g.model(g.op("Add", y, g.normal(3)) if shift else y), rows(4), [fastmlp.Identity()])


# ---------------------------------------------------------------------------------------------- shapes and casts


@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 20])
@pytest.mark.parametrize("more", [{}, {"axis": 1}, {"axis": -1}], ids=str)
def test_softmax_over_the_columns(opset: int, more: dict[str, int]) -> None:
    if more.get("axis", 0) < 0 and opset < 11:
        more = {"axis": 1}
    g = Graph(4, opset=opset)
    check(g.model(g.op("Softmax", g.dense(g.x, 4, 3), **more)), rows(4), [fastmlp.Softmax()])


@pytest.mark.parametrize("opset", [7, 11, 13, 22])
def test_moves_of_the_batch(opset: int) -> None:
    g = Graph(6, opset=opset)

    def moved(operator: str, x: str, axes: list[int]) -> Any:
        return g.op(operator, x, axes=axes) if opset < 13 else g.op(operator, x, np.array(axes))

    x = g.op("Identity", g.op("Cast", g.x, to=1))
    x = g.op("Reshape", x, np.array([-1, 2, 3]))
    x = g.op("Reshape", x, np.array([0, 3, 2]))
    x = g.op("Flatten", x, axis=1)
    x = moved("Squeeze", moved("Unsqueeze", x, [1]), [1])
    x = g.op("Dropout", g.op("Tanh", g.dense(x, 6, 4)))
    x = g.op("Reshape", g.dense(x, 4, 1), np.array([-1]))
    check(g.model(x), rows(6), [fastmlp.Tanh(), fastmlp.Identity()])


def test_a_shape_that_is_computed() -> None:
    """x.view(x.size(0), -1), as PyTorch's older exporter writes it."""
    g = Graph(6, opset=13, shape=["batch", 1, 2, 3])
    size = g.op("Unsqueeze", g.op("Gather", g.op("Shape", g.x), np.array(0), axis=0), np.array([0]))
    x = g.op("Reshape", g.x, g.op("Concat", size, np.array([-1]), axis=0))
    data = g.model(g.dense(x, 6, 2))
    x = rows(6)
    np.testing.assert_allclose(fastmlp.from_onnx(data).predict(x), outputs(data, x.reshape(-1, 1, 2, 3)), atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_a_fixed_batch_gives_way(batch: int) -> None:
    g = Graph(6, shape=[batch, 6])
    x = g.op("Reshape", g.x, np.array([batch, 2, 3]))
    x = g.op("Reshape", g.op("Reshape", x, np.array([batch, -1, 1])), np.array([batch, 6]))
    data = g.model(g.op("Relu", g.dense(x, 6, 2)))
    x = rows(6, n_rows=4 * batch)
    expected = np.concatenate([outputs(data, x[i : i + batch]) for i in range(0, len(x), batch)])
    np.testing.assert_allclose(fastmlp.from_onnx(data).predict(x), expected, atol=1e-5)


def test_an_input_of_unknown_size() -> None:
    for shape in (["batch", None], [None, None], ["batch", "n"]):
        g = Graph(4, shape=shape)
        check(g.model(g.op("Tanh", g.op("MatMul", g.op("Sub", g.x, 0.5), g.normal(4, 3)))), rows(4), [fastmlp.Tanh()])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types_of_numbers(dtype: str) -> None:
    g = Graph(4, dtype)
    data = g.model(g.op("Softmax", g.dense(g.op("Tanh", g.dense(g.x, 4, 6)), 6, 3)))
    x = rows(4, dtype)
    net = check(data, x, [fastmlp.Tanh(), fastmlp.Softmax()], 2e-3 if dtype == "float16" else None)
    assert net.dtype == ("float64" if dtype == "float64" else "float32")


def test_integers_in() -> None:
    g = Graph(4, "int64")
    x = g.op("Cast", g.x, to=1)
    g.dtype = "float32"
    y = g.op("Relu", g.dense(x, 4, 3))
    g.dtype = "int64"
    net = fastmlp.from_onnx(g.model(y, **{y: "float32"}))
    x = np.arange(12).reshape(3, 4)
    np.testing.assert_allclose(net.predict(x), outputs(g.model(y, **{y: "float32"}), x), rtol=1e-5)


# -------------------------------------------------------------------------------------------------------- refused


def _residual(g: Graph) -> Any:
    h = g.op("Relu", g.dense(g.x, 4, 4))
    return g.op("Add", h, g.op("Relu", g.dense(h, 4, 4)), name="skip")


def _inner_residual(g: Graph) -> Any:
    z = g.dense(g.x, 4, 4)
    return g.op("Add", z, g.op("Tanh", z), name="inner")


REFUSED: dict[str, tuple[Callable[[Graph], Any], str]] = {
    "residual": (_residual, r"node 'skip' \(Add\).*two branches that meet"),
    "residual of the same layer": (_inner_residual, r"node 'inner' \(Add\).*a sum of two branches"),
    "residual of the input": (lambda g: g.op("Add", g.x, g.dense(g.x, 4, 4), name="r"), r"node 'r' \(Add\)"),
    "gate": (
        lambda g: g.op("Mul", g.dense(g.x, 4, 4), g.op("Sigmoid", g.dense(g.x, 4, 4)), name="gate"),
        r"node 'gate' \(Mul\).*two branches that meet",
    ),
    "attention": (
        lambda g: g.op("MatMul", g.dense(g.x, 4, 4), g.op("Transpose", g.dense(g.x, 4, 4)), name="scores"),
        r"node 'scores' \(MatMul\)",
    ),
    "embedding": (
        lambda g: g.dense(g.op("Gather", g.normal(9, 4), g.op("Cast", g.x, to=7, name="index")), 4, 2),
        r"node 'index' \(Cast\).*conversion of the values",
    ),
    "softmax over rows": (
        lambda g: g.op("Softmax", g.dense(g.x, 4, 3), axis=0, name="over rows"),
        r"node 'over rows' \(Softmax\).*axes \[0\]",
    ),
    "softmax between layers": (
        lambda g: g.dense(g.op("Softmax", g.dense(g.x, 4, 3), name="inside"), 3, 2),
        r"node 'inside' \(Softmax\)",
    ),
    "softmax of one": (lambda g: g.op("Softmax", g.dense(g.x, 4, 1), name="one"), r"node 'one' \(Softmax\)"),
    "LogSoftmax": (
        lambda g: g.op("LogSoftmax", g.dense(g.x, 4, 3), name="log"),
        r"node 'log' \(LogSoftmax\).*export the model without",
    ),
    "HardSwish": (lambda g: g.op("HardSwish", g.dense(g.x, 4, 3), name="hs"), r"node 'hs' \(HardSwish\).*HardSwish"),
    "LayerNormalization": (
        lambda g: g.op("LayerNormalization", g.dense(g.x, 4, 3), np.ones(3), np.zeros(3), name="ln"),
        r"node 'ln' \(LayerNormalization\)",
    ),
    "PRelu of several slopes": (
        lambda g: g.op("PRelu", g.dense(g.x, 4, 2), [0.1, 0.2], name="prelu"),
        r"node 'prelu' \(PRelu\).*different numbers",
    ),
    "a slope below 0": (
        lambda g: g.op("LeakyRelu", g.dense(g.x, 4, 2), alpha=-0.5, name="leaky"),
        r"node 'leaky' \(LeakyRelu\)",
    ),
    "ThresholdedRelu": (
        lambda g: g.op("ThresholdedRelu", g.dense(g.x, 4, 2), name="t"),
        r"node 't' \(ThresholdedRelu\)",
    ),
    "Exp": (lambda g: g.op("Exp", g.dense(g.x, 4, 2), name="e"), r"node 'e' \(Exp\)"),
    "Abs": (lambda g: g.op("Abs", g.dense(g.x, 4, 2), name="a"), r"node 'a' \(Abs\)"),
    "square": (lambda g: g.op("Pow", g.dense(g.x, 4, 2), 2.0, name="p"), r"node 'p' \(Pow\)"),
    "an operator that is not ONNX's": (
        lambda g: g.op("Mystery", g.dense(g.x, 4, 2), name="m", domain="org.example"),
        r"node 'm' \(org\.example\.Mystery\)",
    ),
    "a small threshold": (
        lambda g: (lambda z: g.op("Where", g.op("Greater", z, 2.0), z, g.op("Softplus", z), name="w"))(
            g.dense(g.x, 4, 2)
        ),
        r"node 'w' \(Where\)",
    ),
    "two outputs": (lambda g: [g.dense(g.x, 4, 2), g.dense(g.x, 4, 3)], r"expected one output of rows.*output="),
    "no layer": (lambda g: g.op("Tanh", g.x), r"without a dense layer"),
    "rows mixed": (
        lambda g: g.dense(g.op("Reshape", g.dense(g.x, 4, 6), np.array([-1, 3]), name="mix"), 3, 2),
        r"node 'mix' \(Reshape\)",
    ),
    "columns reordered": (
        lambda g: g.dense(
            g.op("Flatten", g.op("Transpose", g.op("Reshape", g.x, np.array([-1, 2, 2])), perm=[0, 2, 1], name="swap")),
            4,
            2,
        ),
        r"node 'swap' \(Transpose\).*reorders",
    ),
    "a layer for each position": (
        lambda g: g.op("MatMul", g.op("Reshape", g.x, np.array([-1, 2, 2])), g.normal(2, 3), name="each"),
        r"node 'each' \(MatMul\)",
    ),
    "a bias for each row": (
        lambda g: g.op("Add", g.op("MatMul", g.x, g.normal(4, 3)), g.normal(5, 3), name="b"),
        r"node 'b' \(Add\)",
    ),
    "a column copied": (lambda g: g.op("Add", g.dense(g.x, 4, 1), g.normal(3), name="wide"), r"node 'wide' \(Add\)"),
    "a NaN weight": (lambda g: g.dense(g.x, 4, 2, np.full((2, 4), np.nan)), r"weights that are not finite"),
    "a training BatchNormalization": (
        lambda g: g.op(
            "BatchNormalization", g.dense(g.x, 4, 2), *[np.ones(2)] * 4, training_mode=1, outputs=3, name="bn"
        )[0],
        r"node 'bn' \(BatchNormalization\).*training",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    build, message = REFUSED[name]
    g = Graph(4)
    made = build(g)
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.from_onnx(g.model(*(made if isinstance(made, list) else [made])))


@pytest.mark.parametrize(("build", "match"), [(lambda g: g.dense(g.x, 4, 2), "version 7 or later, got 6")])
def test_old_operators_are_refused(build: Any, match: str) -> None:
    g = Graph(4, opset=6)
    with pytest.raises(fastmlp.FormatError, match=match):
        fastmlp.from_onnx(g.model(build(g)))


def test_an_output_by_name() -> None:
    g = Graph(4)
    h = g.op("Tanh", g.dense(g.x, 4, 5))
    first, second = g.dense(h, 5, 2), g.dense(h, 5, 3)
    data = g.model(first, second)
    assert fastmlp.from_onnx(data, output=second).sizes == (4, 5, 3)
    assert fastmlp.from_onnx(data, output=first).sizes == (4, 5, 2)
    with pytest.raises(fastmlp.FormatError, match="output: expected one of"):
        fastmlp.from_onnx(data, output="another")


def test_branches_that_no_output_needs_do_not_matter() -> None:
    g = Graph(4)
    h = g.op("Tanh", g.dense(g.x, 4, 5))
    g.op("LogSoftmax", g.op("ReduceMean", h))
    check(g.model(g.dense(h, 5, 2)), rows(4))


def test_constants_are_computed() -> None:
    g = Graph(4)
    w = g.op("Transpose", g.op("Reshape", g.normal(12), np.array([3, 4])), perm=[1, 0])
    scale = g.op("Sqrt", g.op("Add", np.abs(g.normal(3)), 1e-3))
    y = g.op("Div", g.op("MatMul", g.x, g.op("Mul", w, 2.0)), scale)
    check(g.model(y), rows(4))


def test_a_threshold_in_float64_is_told() -> None:
    """The file gives z above 20, where softplus is z + 2e-9: more than float64 rounds, so the formula is compared."""
    g = Graph(4, "float64")
    z = g.dense(g.x, 4, 3)
    y = g.op("Where", g.op("Greater", z, 20.0), z, g.op("Softplus", z))
    net = fastmlp.from_onnx(g.model(g.op("Mul", y, 100.0)))
    assert net.output_activation == fastmlp.Softplus()
    assert any(note.startswith("the threshold of softplus") for note in net.conversion.folded)  # type: ignore[union-attr]


def test_dead_steps_are_told() -> None:
    g = Graph(4)
    net = fastmlp.from_onnx(g.model(g.op("Dropout", g.dense(g.x, 4, 3))))
    assert "Dropout" in net.conversion.folded  # type: ignore[attr-defined]
    assert (net.conversion.source, net.conversion.version) == ("a tool", "1.0")  # type: ignore[attr-defined]


def test_erfc_that_tf2onnx_invents() -> None:
    """An operator that ONNX has not: 0.5 z erfc(-z / sqrt 2) is GELU all the same."""
    g = Graph(4, "float64")
    z = g.dense(g.x, 4, 3)
    y = g.op("Mul", g.op("Mul", 0.5, z), g.op("Erfc", g.op("Mul", z, -1 / S)))
    chain = onnx_model.read(g.model(y))
    x = rows(4, "float64")
    assert fastmlp.from_onnx(g.model(y)).output_activation == fastmlp.GELU()
    np.testing.assert_allclose(chain.evaluate(x), chain.original(x), atol=1e-14)  # type: ignore[misc]
