"""Each form in which ONNX says a layer, shapes and casts around it, and what is refused; one graph a form, against
onnxruntime or the onnx package. Activations are in test_onnx_activations.py.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

import fastmlp
from fastmlp.convert import onnx_model
from onnx_graphs import Graph, check, outputs, rows

S = math.sqrt(2)


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_types_of_numbers(dtype: str) -> None:
    g = Graph(4, dtype)
    data = g.model(g.op("Softmax", g.dense(g.op("Tanh", g.dense(g.x, 4, 6)), 6, 3)))
    x = rows(4, dtype)
    net = check(data, x, [fastmlp.Tanh(), fastmlp.Softmax()])
    assert net.dtype == ("float64" if dtype == "float64" else "float32")


HALF = {"float16": 10, "bfloat16": 16}
PLACES: dict[str, Callable[[Graph, Callable[[str], str]], str]] = {
    "the input": lambda g, cast: g.op("Relu", g.dense(cast(g.x), 4, 3)),
    "before an activation": lambda g, cast: g.dense(g.op("Relu", cast(g.dense(g.x, 4, 5))), 5, 3),
    "after an activation": lambda g, cast: g.dense(cast(g.op("Relu", g.dense(g.x, 4, 5))), 5, 3),
    "the output": lambda g, cast: cast(g.op("Relu", g.dense(g.x, 4, 3))),
}


@pytest.mark.parametrize("with_runtime", [False, True])
@pytest.mark.parametrize("to", HALF)
@pytest.mark.parametrize("place", PLACES)
def test_rounding_to_half_precision_is_asked_for(
    place: str, to: str, with_runtime: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_runtime:
        monkeypatch.delitem(sys.modules, "onnxruntime")
    g = Graph(4)
    data = g.model(PLACES[place](g, lambda x: g.op("Cast", g.op("Cast", x, to=HALF[to], name="short"), to=1)))
    with pytest.raises(fastmlp.FormatError, match=rf"node 'short' .*half precision \({to}\); half_precision=True"):
        fastmlp.from_onnx(data)
    net = fastmlp.from_onnx(data, half_precision=True)
    assert net.conversion is not None
    assert any("short" in note and f"{to}, computed in float32" in note for note in net.conversion.folded)
    exact = onnx.load_model_from_string(data)
    for node in exact.graph.node:
        if node.name == "short":
            node.attribute[0].i = 1
    assert np.array_equal(net.parameters, fastmlp.from_onnx(exact.SerializeToString()).parameters)


@pytest.mark.parametrize("to", ["float16", "float32"])
@pytest.mark.parametrize("place", PLACES)
def test_rounding_of_float64(place: str, to: str) -> None:
    """Float32 before a layer of float64 is refused; after the last one it is the rounding of the outputs."""
    g = Graph(4, "float64")
    code = {"float16": 10, "float32": 1}[to]
    data = g.model(PLACES[place](g, lambda x: g.op("Cast", g.op("Cast", x, to=code, name="short"), to=11)))
    if to == "float32" and place == "the output":
        fastmlp.from_onnx(data)
    else:
        with pytest.raises(fastmlp.FormatError, match="node 'short'"):
            fastmlp.from_onnx(data)


def test_other_casts_change_nothing() -> None:
    """A scaler in float64 before layers of float32, and more digits at any place."""
    g = Graph(4, "float64")
    x = g.op("Cast", g.op("Sub", g.x, g.normal(4)), to=1)
    g.dtype = "float32"
    y = g.op("Cast", g.op("Cast", g.op("Relu", g.dense(x, 4, 5)), to=11), to=1)
    y = g.op("Cast", g.dense(y, 5, 3), to=11)
    g.dtype = "float64"
    assert fastmlp.from_onnx(g.model(y)).dtype == "float32"


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


def _silu_of_silu(g: Graph) -> Any:
    y = g.dense(g.x, 4, 4)
    for name in ("first", "second"):
        y = g.op("Mul", y, g.op("Sigmoid", y), name=name)
    return g.dense(y, 4, 2)


REFUSED: dict[str, tuple[Callable[[Graph], Any], str]] = {
    "residual": (_residual, r"node 'skip' \(Add\).*two branches that meet"),
    "residual of the same layer": (_inner_residual, r"node 'inner' \(Add\).*a sum of two branches"),
    "residual of the input": (lambda g: g.op("Add", g.x, g.dense(g.x, 4, 4), name="r"), r"node 'r' \(Add\)"),
    "two activations": (_silu_of_silu, r"node 'second' \(Mul\).*two in a row that are written out; put a linear layer"),
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


# --------------------------------------------------------------------------------- parts of outputs, labels, integers


def _probability(g: Graph) -> str:
    return g.op("Sigmoid", g.op("MatMul", g.x, g.normal(4, 1)))


def _pair(g: Graph) -> str:
    p = _probability(g)
    return g.op("Concat", g.op("Sub", 1.0, p), p, axis=1)


PARTS: dict[str, tuple[Callable[[Graph], str], str]] = {
    "1 - p alone": (
        lambda g: g.op("Gather", _pair(g), np.array([0]), axis=1),
        r"expected all columns .*got \[0\] of 2",
    ),
    "one column of three": (
        lambda g: g.op("Gather", g.op("Softmax", g.dense(g.x, 4, 3), axis=1), np.array([1]), axis=1),
        r"expected all columns .*got \[1\] of 3",
    ),
    "one row": (lambda g: g.op("Gather", g.dense(g.x, 4, 3), np.array([0]), axis=0), "some of the rows"),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_outputs_is_refused(name: str) -> None:
    form, message = PARTS[name]
    g = Graph(4)
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.from_onnx(g.model(form(g)))


def test_the_column_p_is_the_network() -> None:
    g = Graph(4)
    check(g.model(g.op("Gather", _pair(g), np.array([1]), axis=1)), rows(4), [fastmlp.Sigmoid()])


def test_arithmetic_of_integers_is_refused() -> None:
    g = Graph(4, "int64")
    halves = g.op("Cast", g.op("Div", g.x, np.array(2)), to=1)
    with pytest.raises(fastmlp.FormatError, match="arithmetic of integers"):
        fastmlp.from_onnx(g.model(g.op("MatMul", halves, np.ones((4, 3), np.float32))))


def _labelled(operator: str, limit: float) -> bytes:
    g = Graph(4)
    p = _probability(g)
    return g.model(p, g.op("Reshape", g.op("Cast", g.op(operator, p, limit), to=7), np.array([-1])))


def test_labels_that_follow_from_the_output() -> None:
    assert fastmlp.from_onnx(_labelled("Greater", 0.5)).loss == fastmlp.BinaryCrossEntropy()


@pytest.mark.parametrize(("operator", "limit"), [("Greater", 0.9), ("Less", 0.5), ("GreaterOrEqual", 0.25)])
def test_labels_of_another_rule_are_refused(operator: str, limit: float) -> None:
    with pytest.raises(fastmlp.FormatError, match="expected labels of the largest output"):
        fastmlp.from_onnx(_labelled(operator, limit))
