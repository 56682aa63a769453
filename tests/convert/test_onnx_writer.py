"""Networks written in ONNX: valid for the onnx package, with the same answers elsewhere, the same when read back."""

from __future__ import annotations

import itertools
import math
import pathlib
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

import fastmlp
from fastmlp import activations as a
from fastmlp.convert import onnx_model, onnx_writer
from fastmlp.convert.chain import Chain
from fastmlp.convert.functions import JUMPS
from onnx_graphs import reference

KINDS: list[fastmlp.Activation] = [
    a.Identity(), a.Sigmoid(), a.Sigmoid(2.5), a.Tanh(), a.ReLU(), a.PiecewiseLinear(), a.PiecewiseLinear(-0.3, 1.7),
    a.Gaussian(), a.Gaussian(0.3, 0.8), a.Threshold(), a.StepwiseSigmoid(), a.StepwiseTanh(),
    a.LeakyReLU(), a.LeakyReLU(0.25), a.ELU(), a.ELU(0.7), a.SELU(),
    a.GELU(), a.GELU("tanh"), a.SiLU(), a.Mish(), a.Softplus(), a.Softplus(1.7), a.Softsign(), a.HardSigmoid(),
    a.HardTanh(), a.HardTanh(-0.4, 1.2), a.HardTanh(0.0, 6.0), a.Sine(), a.Sine(1.3),
]  # fmt: skip


ULP_A_LAYER = 4


def network(sizes: list[int], dtype: str, seed: int, spread: float = 0.7, **more: Any) -> fastmlp.Network:
    net = fastmlp.Network(sizes, dtype=dtype, seed=seed, **more)
    net.parameters = np.random.default_rng(seed).normal(size=net.n_parameters) * spread
    return net


def bound(net: fastmlp.Network, largest: float) -> float:
    """Return how far apart the outputs may be: ULP of the largest number for each layer; in float64, 1e-13 of it."""
    limit = ULP_A_LAYER * np.finfo(np.float32).eps * (len(net.sizes) - 1) if net.dtype == np.float32 else 1e-13
    return float(limit * largest)


def check(data: bytes) -> onnx.ModelProto:
    model = onnx.load_model_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 8
    return model


def answers(data: bytes, x: Any) -> Any:
    """Return the outputs by onnxruntime; by the onnx package where it has no Erf of float64."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(data, options)
    except Exception as error:
        if "Erf" not in str(error):
            raise
        return reference(data, x, "output")
    return session.run(["output"], {"input": x})[0]


def assert_same(again: fastmlp.Network, net: fastmlp.Network) -> None:
    """Check that a network is another, bit for bit; numbers of activations are those of the dtype."""
    assert again.sizes == net.sizes
    assert again.dtype == net.dtype
    assert np.array_equal(again.parameters, net.parameters)
    assert (again.input_scaling, again.target_scaling) == (net.input_scaling, net.target_scaling)
    assert again.loss == net.loss
    assert (again.feature_names, again.target_name, again.class_names) == (
        net.feature_names,
        net.target_name,
        net.class_names,
    )
    for f, g in zip(
        (*again.activation, again.output_activation), (*net.activation, net.output_activation), strict=True
    ):
        assert type(f) is type(g)
        limit = 2.0**-23 if net.dtype == np.float32 else 2.0**-51
        np.testing.assert_allclose(f.hyper_parameters, g.hyper_parameters, rtol=limit, atol=limit)


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", KINDS, ids=repr)
def test_activations(f: fastmlp.Activation, dtype: str, opset: int) -> None:
    net = network([4, 6, 3], dtype, 1, activation=f, output_activation=f)
    data = onnx_writer.write(net, opset=opset)
    model = check(data)
    assert model.opset_import[0].version == opset
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(dtype)
    expected = net.predict(x)
    np.testing.assert_allclose(answers(data, x), expected, rtol=0, atol=bound(net, np.abs(expected).max()))
    assert_same(fastmlp.from_onnx(data), net)
    is_node = any(node.op_type == "Gelu" for node in model.graph.node)
    assert is_node == (f.name == "gelu" and opset == 20 and dtype == "float32")


@pytest.mark.parametrize("f", KINDS, ids=repr)
def test_openvino(f: fastmlp.Activation, tmp_path: pathlib.Path) -> None:
    scaling = fastmlp.Scaling([1.0, -2.0, 0.5, 0.0], [2.0, 0.5, 1.0, 3.0])
    net = network([4, 6, 3], "float32", 1, activation=f, input_scaling=scaling)
    path = tmp_path / "model.onnx"
    assert onnx_writer.write(net, path) == path.read_bytes()
    compiled = openvino.Core().compile_model(
        openvino.Core().read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    expected = net.predict(x)
    np.testing.assert_allclose(compiled(x)[0], expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))


def random_network(seed: int, widest: int) -> fastmlp.Network:
    """Return an architecture with classes, scalings and names."""
    random = np.random.default_rng(seed)
    sizes = [int(random.integers(1, widest + 1)) for _ in range(random.integers(2, 7))]
    more: dict[str, Any] = {"activation": [KINDS[i] for i in random.integers(len(KINDS), size=len(sizes) - 2)]}
    kind = ["cross_entropy", "binary_cross_entropy", "mse", "huber"][seed % 4]
    sizes[-1] += kind == "cross_entropy" and sizes[-1] == 1
    more["loss"] = kind
    if kind in ("mse", "huber"):
        more["output_activation"] = KINDS[random.integers(len(KINDS))]
        if random.integers(2):
            more["target_scaling"] = fastmlp.Scaling(random.normal(size=sizes[-1]), random.uniform(0.1, 3, sizes[-1]))
    elif random.integers(2):
        more["class_names"] = [f"class {i}" for i in range(max(2, sizes[-1]))]
    if random.integers(2):
        more["input_scaling"] = fastmlp.Scaling(random.normal(size=sizes[0]) * 3, random.uniform(0.1, 3, sizes[0]))
    if random.integers(2):
        more["feature_names"] = [f"column {i}" for i in range(sizes[0])]
    return network(sizes, ["float32", "float64"][seed // 4 % 2], seed, spread=1 / math.sqrt(max(sizes)), **more)


def away_from_jumps(net: fastmlp.Network, chain: Chain, x: Any) -> tuple[Any, float]:
    """Return which rows rounding cannot put on the other side of a jump, and the largest number of all steps."""
    away, largest, values = np.ones(len(x), bool), 0.0, np.asarray(x, np.float64)
    for step in chain.steps:
        for at, _ in JUMPS.get(type(getattr(step, "activation", None)), ()):
            away &= (np.abs(values - at) > 4 * bound(net, max(1.0, largest))).all(axis=1)
        values = step(values)
        largest = max(largest, float(np.abs(values).max()))
    return away, largest


@pytest.mark.parametrize("widest", [20, 300])
@pytest.mark.parametrize("first", range(0, 200, 25))
def test_two_hundred_architectures(first: int, widest: int) -> None:
    """Answers agree to 4 ULP a layer of the largest output, in float64 to 1e-13 of it; and what is read is the same.

    Between wide layers, it is of the largest number: an output may be a sum of much larger ones that cancel.
    """
    for seed in range(first, first + 25):
        net = random_network(seed, widest)
        data = onnx_writer.write(net, opset=(17, 20)[seed % 2], labels=net.loss.classifies)
        check(data)
        x = np.random.default_rng(0).normal(size=(20, net.sizes[0])).astype(net.dtype)
        away, largest = away_from_jumps(net, onnx_model.read(data), x)
        assert away.sum() > 10
        expected, found = net.predict(x)[away], answers(data, x)[away]
        largest = largest if widest > 20 else np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=bound(net, largest), err_msg=str(seed))
        assert_same(fastmlp.from_onnx(data), net)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "hinge", "several"])
@pytest.mark.parametrize("names", [None, "text", "integers", "floats"])
@pytest.mark.parametrize("probabilities", [True, False])
def test_labels(loss: str, names: Any, probabilities: bool, tmp_path: pathlib.Path) -> None:
    n = {"cross_entropy": 3, "binary_cross_entropy": 1, "hinge": 1, "several": 4}[loss]
    listed = {"text": ["ä", "b", "c", "d"], "integers": [7, -3, 10, 2], "floats": [0.5, 1.5, 2.5, 9.0]}.get(names)
    net = network(
        [4, 5, n], "float32", 0, loss="binary_cross_entropy" if loss == "several" else loss,
        class_names=None if listed is None else listed[: max(2, n)],
    )  # fmt: skip
    if loss == "hinge" and not probabilities:
        return
    data = onnx_writer.write(net, labels=True, probabilities=probabilities)
    check(data)
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(data)
    found = session.run(["label"], {"input": x})[0]
    indices = net.classify(x)
    expected = indices if listed is None else np.array(listed)[indices]
    assert found.shape == (40,)
    assert np.array_equal(found.astype(expected.dtype), expected)
    again = fastmlp.from_onnx(data)
    assert again.class_names == net.class_names
    if probabilities:
        assert_same(again, net)
    else:
        assert isinstance(again.output_activation, a.Identity)
        assert np.array_equal(again.parameters, net.parameters)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scalings_far_from_0(dtype: str) -> None:
    """A column at a million with a deviation of 1, and targets like it: both need float64, and the file says so."""
    far = fastmlp.Scaling([1e6, -3.0], [1.0, 0.5])
    net = network([2, 5, 2], dtype, 3, activation="tanh", input_scaling=far, target_scaling=far)
    data = onnx_writer.write(net)
    check(data)
    x = np.random.default_rng(0).normal(size=(30, 2)) + far.offset
    session = onnxruntime.InferenceSession(data)
    assert [each.type for each in (*session.get_inputs(), *session.get_outputs())] == ["tensor(double)"] * 2
    found = session.run(None, {"input": x})[0]
    np.testing.assert_allclose(found - far.offset, net.predict(x) - far.offset, rtol=0, atol=1e-5)
    assert_same(fastmlp.from_onnx(data), net)


def test_the_batch_is_free() -> None:
    data = onnx_writer.write(network([3, 4, 2], "float32", 0))
    session = onnxruntime.InferenceSession(data)
    assert session.get_inputs()[0].shape == ["batch", 3]
    for n_rows in (0, 1, 7):
        assert session.run(None, {"input": np.zeros((n_rows, 3), np.float32)})[0].shape == (n_rows, 2)


def test_one_layer_of_identity() -> None:
    net = network([3, 2], "float32", 0)
    assert_same(fastmlp.from_onnx(onnx_writer.write(net)), net)


def test_the_classes_stay_without_labels() -> None:
    net = network([3, 2], "float32", 0, loss="cross_entropy", class_names=["no", "yes"], feature_names=["p", "q", "r"])
    assert_same(fastmlp.from_onnx(onnx_writer.write(net)), net)


def test_every_activation_has_a_form() -> None:
    assert set(onnx_writer.ACTIVATIONS) == set(a.ACTIVATIONS.values())
    assert {type(f) for f in KINDS} == set(a.ACTIVATIONS.values()) - {a.Softmax}


def test_what_is_refused(tmp_path: pathlib.Path) -> None:
    custom = fastmlp.CustomActivation(np.arctan, lambda z: 1 / (1 + z * z))
    cases: list[tuple[fastmlp.Network, dict[str, Any], str]] = [
        (fastmlp.Network([2, 3, 1], activation=custom), {}, "activation: layer 0 has a CustomActivation"),
        (fastmlp.Network([2, 1], input_scaling="standard"), {}, "input_scaling: expected one that a fit has computed"),
        (fastmlp.Network([2, 1]), {"opset": 16}, "opset: expected one of"),
        (fastmlp.Network([2, 1]), {"probabilities": False}, "probabilities: expected True"),
        (fastmlp.Network([2, 1]), {"labels": True}, "labels: expected False for the loss 'mse'"),
    ]
    for (net, words, message), path in itertools.product(cases, (None, tmp_path / "m.onnx")):
        with pytest.raises(ValueError, match=message):
            onnx_writer.write(net, path, **words)
        assert not list(tmp_path.iterdir())


def test_other_files_do_not_say_what_ours_say() -> None:
    """The description beside the graph counts only in files that fastmlp has written, and is checked there."""
    model = onnx.load_model_from_string(onnx_writer.write(network([3, 2], "float32", 0, feature_names=["p", "q", "r"])))
    model.metadata_props[0].value = '{"feature_names": [1, 2, 3]}'
    with pytest.raises(fastmlp.FormatError, match="metadata fastmlp: feature_names: expected names"):
        fastmlp.from_onnx(model.SerializeToString())
    model.producer_name = "another"
    assert fastmlp.from_onnx(model.SerializeToString()).feature_names is None
