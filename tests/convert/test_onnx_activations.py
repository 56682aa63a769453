"""Each form in which ONNX says an activation, one graph a form, against onnxruntime or the onnx package.

The activation that the network must have stands beside the form, see `onnx_graphs.check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import fastmlp
from onnx_graphs import Graph, check, rows

S = math.sqrt(2)

Form = Callable[[Graph, str], Any]


def _tanh_gelu(g: Graph, z: str, cube: Any) -> Any:
    inner = g.op("Mul", g.op("Add", z, g.op("Mul", cube, 0.044715)), math.sqrt(2 / math.pi))
    return g.op("Mul", g.op("Mul", 0.5, z), g.op("Add", 1.0, g.op("Tanh", inner)))


def _elu(g: Graph, z: str) -> Any:
    below = g.op("Mul", g.op("Sub", g.op("Exp", g.op("Min", z, 0.0)), 1.0), 0.7)
    return g.op("Where", g.op("Greater", z, 0.0), z, below)


def _selected_elu(g: Graph, z: str) -> Any:
    """Return the ELU of tf2onnx, whose conditions are the numbers 0 and 1."""
    above, elu = g.op("Greater", z, 0.0), g.op("Elu", z)
    below = g.op("Mul", g.op("Mul", 1.4, elu), g.op("Cast", g.op("Not", above), to=1))
    return g.op("Add", g.op("Mul", g.op("Cast", above, to=1), elu), below)


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
    "Elu of tf2onnx": (_selected_elu, fastmlp.ELU(1.4)),
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


GATES: dict[str, tuple[Callable[[Graph, str, Any], Any], fastmlp.Activation]] = {
    "SiLU": (lambda g, z, v: g.op("Mul", z, g.op("Mul", g.op("Sigmoid", z), v)), fastmlp.SiLU()),
    "SiLU, twice": (
        lambda g, z, v: g.op("Mul", g.op("Mul", z, -v), g.op("Mul", g.op("Mul", v, g.op("Sigmoid", z)), 2.0)),
        fastmlp.SiLU(),
    ),
    "Erf": (
        lambda g, z, v: g.op(
            "Mul", g.op("Mul", 0.5, z), g.op("Mul", g.op("Add", g.op("Erf", g.op("Div", z, S)), 1.0), v)
        ),
        fastmlp.GELU(),
    ),
    "Mish": (lambda g, z, v: g.op("Mul", g.op("Div", z, v), g.op("Tanh", g.op("Softplus", z))), fastmlp.Mish()),
    "Softsign": (
        lambda g, z, v: g.op("Div", g.op("Mul", v, z), g.op("Add", g.op("Abs", z), 1.0)),
        fastmlp.Softsign(),
    ),
}


@pytest.mark.parametrize("name", GATES)
def test_factors_of_columns_within_an_activation(name: str) -> None:
    """A batch normalisation after the activation has its factors moved in by optimisers, as that of tf2onnx."""
    form, expected = GATES[name]
    g = Graph(4)
    y = g.op("Add", form(g, g.dense(g.x, 4, 6), g.normal(6)), g.normal(6))
    net = check(g.model(g.dense(y, 6, 3)), rows(4), [expected, fastmlp.Identity()])
    assert net.sizes == (4, 6, 3)


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
