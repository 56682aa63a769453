"""Files of the tools that write ONNX, and files written here by their newest versions, against the tools' outputs."""

from __future__ import annotations

import io
import pathlib
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

import fastmlp
from onnx_graphs import Graph, rows

FOLDER = pathlib.Path(__file__).parent / "models"
FILES = sorted(path.relative_to(FOLDER).as_posix() for path in FOLDER.glob("*/*.onnx"))
QUANTISED = ("onnxruntime/quantised_dynamic.onnx", "onnxruntime/quantised_qdq_int8.onnx")


def sample(name: str) -> tuple[pathlib.Path, Any]:
    path = FOLDER / name
    return path, np.load(path.with_suffix(".expected.npz"))


@pytest.mark.parametrize("name", FILES)
def test_a_tool_s_file(name: str) -> None:
    path, expected = sample(name)
    net = fastmlp.from_onnx(path, half_precision="float16" in name)
    x = expected["input"] if "input" in expected else expected["X"]
    answers = np.asarray(
        expected[next(key for key in ("sklearn", "torch", "keras", "P", "onnxruntime") if key in expected)]
    )
    answers = answers.reshape(len(x), -1)
    found = net.predict(x)
    if found.shape[1] == 1 and answers.shape[1] == 2:
        found = np.concatenate([1 - found, found], axis=1)
    limit = 3e-3 if name in QUANTISED else 1e-15 if x.dtype == net.dtype == np.float64 else 6e-7
    np.testing.assert_allclose(found, answers, rtol=0, atol=limit * max(1, np.abs(answers).max()))
    if "classes" in expected and net.class_names is not None:
        assert net.class_names == tuple(expected["classes"].tolist())
    if "sklearn_label" in expected and expected["sklearn_label"].ndim == 1:
        labels = np.array(net.class_names)[net.classify(x)]
        assert np.array_equal(labels, expected["sklearn_label"])


def test_there_are_files() -> None:
    assert len(FILES) == 31


@pytest.mark.parametrize(
    ("name", "activations"),
    [
        ("torch-onnx/dynamo_silu_elu_leaky_softplus.onnx", ["silu", "elu", "leaky_relu", "softplus", "identity"]),
        ("torch-onnx/dynamo_dynamic_batch_gelu_softmax.onnx", ["gelu", "gelu", "softmax"]),
        ("torch-onnx/dynamo_batchnorm_dropout.onnx", ["relu", "tanh", "identity"]),
        ("keras-onnx/normalization_batchnorm_dropout.onnx", ["gelu", "leaky_relu", "identity"]),
        ("tf2onnx/sequential_hard_sigmoid.onnx", ["piecewise_linear", "softmax"]),
        ("onnxruntime/quantised_qdq_int8.onnx", ["relu", "identity"]),
        ("skl2onnx/binary_relu_zipmap.onnx", ["relu", "sigmoid"]),
        ("skl2onnx/regressor_two_outputs.onnx", ["relu", "identity"]),
    ],
)
def test_layers_of_files(name: str, activations: list[str]) -> None:
    net = fastmlp.from_onnx(FOLDER / name)
    assert [f.name for f in (*net.activation, net.output_activation)] == activations


def test_scalers_of_files_become_input_scaling() -> None:
    for name in (
        "skl2onnx/standard_scaler_binary",
        "skl2onnx/min_max_scaler_regressor",
        "keras-onnx/normalization_given_in_config",
    ):
        assert fastmlp.from_onnx(FOLDER / f"{name}.onnx").input_scaling is not None


def test_data_beside_the_file_need_its_path() -> None:
    data = (FOLDER / "torch-onnx" / "dynamo_external_data.onnx").read_bytes()
    with pytest.raises(fastmlp.FormatError, match="give the path of the model's file in place of its bytes"):
        fastmlp.from_onnx(data)


def test_nothing_but_numpy_is_imported() -> None:
    code = (
        "import sys, fastmlp, numpy\n"
        f"before = set(sys.modules)\nfastmlp.from_onnx({str(FOLDER / 'torch-onnx/dynamo_default_relu.onnx')!r})\n"
        "print({name.split('.')[0] for name in set(sys.modules) - before})"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    imported = eval(shown)
    assert not imported & {"onnx", "onnxruntime", "google", "torch", "scipy", "sklearn"}, imported


# ------------------------------------------------------------------------------------------------------- skl2onnx


def _converted(model: Any, X: Any, **options: Any) -> bytes:
    from skl2onnx import to_onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = {"options": {id(model): options}} if options else {}
        data: bytes = to_onnx(model, X[:1], **given).SerializeToString()
    return data


def _classifier(y: Any, **more: Any) -> tuple[Any, Any]:
    from sklearn.neural_network import MLPClassifier

    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPClassifier(hidden_layer_sizes=(5,), max_iter=20, random_state=0, **more).fit(X, y(X)), X


LABELS = {
    "two": lambda X: (X[:, 0] > 0).astype(int),
    "two by text": lambda X: np.where(X[:, 0] > 0, "yes", "no"),
    "two other integers": lambda X: np.where(X[:, 0] > 0, 7, -3),
    "three": lambda X: np.digitize(X[:, 0], [-0.5, 0.5]),
    "three by text": lambda X: np.array(["b", "c", "a"])[np.digitize(X[:, 0], [-0.5, 0.5])],
    "three integers": lambda X: np.array([30, 10, 20])[np.digitize(X[:, 0], [-0.5, 0.5])],
    "bools": lambda X: X[:, 0] > 0,
}


@pytest.mark.parametrize("zipmap", [None, False, "columns"])
@pytest.mark.parametrize("name", LABELS)
def test_classifiers_of_scikit_learn(name: str, zipmap: Any) -> None:
    model, X = _classifier(LABELS[name])
    net = fastmlp.from_onnx(_converted(model, X, **({} if zipmap is None else {"zipmap": zipmap})))
    expected = model.predict_proba(X)
    found = net.predict(X)
    np.testing.assert_allclose(found, expected[:, 1:] if found.shape[1] == 1 else expected, atol=1e-6)
    assert net.class_names == tuple(model.classes_.tolist())
    assert np.array_equal(np.array(net.class_names)[net.classify(X)], model.predict(X))


@pytest.mark.parametrize("n_labels", [2, 3])
def test_several_labels_of_scikit_learn(n_labels: int) -> None:
    """Of exactly two labels, skl2onnx gives four columns: 1 - p of both, and p of both."""
    model, X = _classifier(lambda X: (X[:, :n_labels] > 0).astype(int))
    net = fastmlp.from_onnx(_converted(model, X, zipmap=False))
    assert net.sizes[-1] == n_labels
    np.testing.assert_allclose(net.predict(X), model.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("scaler", ["StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pipelines_of_scikit_learn(scaler: str, dtype: str) -> None:
    import sklearn.preprocessing
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline

    X = (np.random.default_rng(1).normal(size=(60, 3)) * [1, 50, 0.1] + [0, 200, 3]).astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        regressor = MLPRegressor(hidden_layer_sizes=(6, 4), activation="tanh", max_iter=30, random_state=0)
        model = make_pipeline(getattr(sklearn.preprocessing, scaler)(), regressor).fit(X, X[:, :2])
    net = fastmlp.from_onnx(_converted(model, X))
    assert net.dtype == dtype
    assert net.input_scaling is not None
    np.testing.assert_allclose(net.predict(X), model.predict(X), rtol=0, atol=3e-4 if dtype == "float32" else 1e-11)


# -------------------------------------------------------------------------------------------------------- PyTorch


def _exported(net: Any, x: Any, dynamo: bool, folder: pathlib.Path, **more: Any) -> pathlib.Path:
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (x,), str(path), dynamo=dynamo, verbose=False, **more)
    return path


MODULES: dict[str, Any] = {
    "ReLU": torch.nn.ReLU,
    "GELU": torch.nn.GELU,
    "GELU tanh": lambda: torch.nn.GELU("tanh"),
    "SiLU": torch.nn.SiLU,
    "Mish": torch.nn.Mish,
    "ELU": lambda: torch.nn.ELU(0.7),
    "CELU": lambda: torch.nn.CELU(0.6),
    "SELU": torch.nn.SELU,
    "LeakyReLU": lambda: torch.nn.LeakyReLU(0.2),
    "PReLU": torch.nn.PReLU,
    "Softplus": torch.nn.Softplus,
    "Softplus beta": lambda: torch.nn.Softplus(beta=1.7),
    "Softsign": torch.nn.Softsign,
    "Hardsigmoid": torch.nn.Hardsigmoid,
    "Hardtanh": torch.nn.Hardtanh,
    "ReLU6": torch.nn.ReLU6,
    "LogSigmoid": torch.nn.LogSigmoid,
    "Sigmoid": torch.nn.Sigmoid,
    "Tanh": torch.nn.Tanh,
    "Identity": torch.nn.Identity,
}


@pytest.mark.parametrize("opset", [9, 13, 17, 20])
@pytest.mark.parametrize("name", MODULES)
def test_the_older_exporter_of_torch(name: str, opset: int, tmp_path: pathlib.Path) -> None:
    torch.manual_seed(0)
    f = MODULES[name]()
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 6), f, torch.nn.BatchNorm1d(6), torch.nn.Dropout(0.1),
        torch.nn.Linear(6, 5, bias=False), f, torch.nn.Linear(5, 2),
    )  # fmt: skip
    if (name, opset) in (("CELU", 9), ("Hardsigmoid", 9), ("Mish", 9)):
        opset = 14
    path = _exported(net, torch.randn(3, 4), False, tmp_path, opset_version=opset)
    x = rows(4)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(fastmlp.from_onnx(path).predict(x), expected, rtol=0, atol=3e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_the_newer_exporter_of_torch(name: str, tmp_path: pathlib.Path) -> None:
    torch.manual_seed(0)
    f = MODULES[name]()
    net = torch.nn.Sequential(
        torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 60), f, torch.nn.Linear(60, 50, bias=False),
        torch.nn.BatchNorm1d(50), f, torch.nn.Linear(50, 3), torch.nn.Softmax(dim=-1),
    )  # fmt: skip
    path = _exported(net, torch.randn(2, 4), True, tmp_path)
    x = rows(4)
    with torch.no_grad():
        expected = net(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(fastmlp.from_onnx(path).predict(x), expected, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", ["Hardswish", "LogSoftmax", "LayerNorm", "residual"])
def test_what_torch_exports_and_no_network_says(name: str, tmp_path: pathlib.Path) -> None:
    class Residual(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            return x + torch.relu(self.linear(x))

    module = {
        "Hardswish": torch.nn.Hardswish,
        "LogSoftmax": lambda: torch.nn.LogSoftmax(dim=1),
        "LayerNorm": lambda: torch.nn.LayerNorm(4),
        "residual": Residual,
    }[name]()
    path = _exported(torch.nn.Sequential(torch.nn.Linear(4, 4), module), torch.randn(1, 4), False, tmp_path)
    with pytest.raises(fastmlp.FormatError, match=r"node '/\S+' \(\w+\): cannot be imported: "):
        fastmlp.from_onnx(path)


# ---------------------------------------------------------------------------------------------------- onnxruntime


def _network(n_inputs: int = 4, activation: str = "Relu") -> tuple[bytes, Graph]:
    g = Graph(n_inputs, opset=17)
    h = g.op(activation, g.dense(g.x, n_inputs, 16))
    h = g.op(activation, g.op("Add", g.op("MatMul", h, g.normal(16, 12)), g.normal(12)))
    return g.model(g.dense(h, 12, 2)), g


@pytest.mark.parametrize("level", ["ORT_ENABLE_BASIC", "ORT_ENABLE_EXTENDED", "ORT_ENABLE_ALL"])
@pytest.mark.parametrize(
    "activation", ["Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softplus", "Gelu", "silu", "erf"]
)
def test_files_that_onnxruntime_has_optimised(level: str, activation: str, tmp_path: pathlib.Path) -> None:
    g = Graph(4, opset=20)
    z = g.dense(g.x, 4, 8)
    if activation == "silu":
        h = g.op("Mul", z, g.op("Sigmoid", z))
    elif activation == "erf":
        h = g.op("Mul", g.op("Mul", z, 0.5), g.op("Add", g.op("Erf", g.op("Div", z, np.sqrt(2))), 1.0))
    else:
        h = g.op(activation, z)
    h = g.op("Tanh", g.op("Add", g.op("MatMul", h, g.normal(8, 5)), g.normal(5)))
    data = g.model(g.dense(h, 5, 2))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options)
    x = rows(4)
    net = fastmlp.from_onnx(tmp_path / "optimised.onnx")
    assert net.sizes == (4, 8, 5, 2)
    np.testing.assert_allclose(net.predict(x), session.run(None, {"x": x})[0], rtol=0, atol=3e-6)


@pytest.mark.parametrize("kind", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(("activations", "weights"), [("QInt8", "QInt8"), ("QUInt8", "QInt8"), ("QUInt8", "QUInt8")])
@pytest.mark.parametrize("activation", ["Relu", "Tanh", "Sigmoid"])
def test_quantised_models(
    kind: str, per_channel: bool, weights: str, activations: str, activation: str, tmp_path: pathlib.Path
) -> None:
    """A quantised network is the network again, up to what its weights lost; without its ReLUs it would be far off."""
    from onnxruntime import quantization

    data, _ = _network(4, activation)
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    before.write_bytes(data)
    x = rows(4)
    more: dict[str, Any] = {"weight_type": getattr(quantization.QuantType, weights), "per_channel": per_channel}
    if kind == "dynamic":
        quantization.quantize_dynamic(before, after, **more)
    else:

        class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
            def __init__(self) -> None:
                self.rows = iter([{"x": x}])

            def get_next(self) -> Any:
                return next(self.rows, None)

        more["activation_type"] = getattr(quantization.QuantType, activations)
        more["quant_format"] = getattr(quantization.QuantFormat, kind)
        quantization.quantize_static(before, after, Reader(), **more)
    net, exact = fastmlp.from_onnx(after), fastmlp.from_onnx(data)
    assert net.activation == exact.activation
    assert net.sizes == exact.sizes
    assert "the quantisation of values between layers" in net.conversion.folded  # type: ignore[attr-defined]
    expected = exact.predict(x)
    assert np.abs(net.predict(x) - expected).max() < 0.03 * np.abs(expected).max()


@pytest.mark.parametrize("kind", ["QDQ", "QOperator"])
@pytest.mark.parametrize(
    ("operator", "bounds", "expected"),
    [
        ("Clip", (0.0, 6.0), fastmlp.HardTanh(0.0, 6.0)),
        ("Clip", (-1.0, 1.0), fastmlp.HardTanh()),
        ("Clip", (-0.5, 2.0), fastmlp.HardTanh(-0.5, 2.0)),
        ("Gelu", (), fastmlp.GELU()),
        ("HardSigmoid", (), fastmlp.PiecewiseLinear(-2.5, 2.5)),
        ("LeakyRelu", (), fastmlp.LeakyReLU()),
    ],
)
def test_activations_that_quantisation_removes(
    operator: str, bounds: Any, expected: Any, kind: str, tmp_path: pathlib.Path
) -> None:
    """Clips go as ReLUs do: only the range of the quantised values says that they were there."""
    from onnxruntime import quantization

    g = Graph(4, opset=20)
    h = g.op(operator, g.dense(g.x, 4, 16), *bounds)
    h = g.op(operator, g.dense(h, 16, 12), *bounds)
    data = g.model(g.op("Softmax", g.dense(h, 12, 3)))
    (tmp_path / "before.onnx").write_bytes(data)
    x = rows(4, n_rows=400) * 2

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = iter([{"x": x}])

        def get_next(self) -> Any:
            return next(self.rows, None)

    after = tmp_path / "after.onnx"
    form = getattr(quantization.QuantFormat, kind)
    quantization.quantize_static(tmp_path / "before.onnx", after, Reader(), quant_format=form)
    net = fastmlp.from_onnx(after)
    assert [type(f) for f in net.activation] == [type(expected)] * 2
    for f in net.activation:
        np.testing.assert_allclose(f.hyper_parameters, expected.hyper_parameters, atol=0.02)
    assert np.abs(net.predict(x) - fastmlp.from_onnx(data).predict(x)).max() < 0.35


def test_numbers_of_16_bits(tmp_path: pathlib.Path) -> None:
    data, _ = _network()
    model = onnx.load_model_from_string(data)
    for tensor in model.graph.initializer:
        array = onnx.numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    x = rows(4, "float16")
    with pytest.raises(fastmlp.FormatError, match=r"half precision \(float16\); half_precision=True reads it"):
        fastmlp.from_onnx(model.SerializeToString())
    net = fastmlp.from_onnx(model.SerializeToString(), half_precision=True)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]
    assert net.dtype == "float32"
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=2e-2)


def test_nodes_in_another_order() -> None:
    """Some converters append nodes at the end; a cycle is refused."""
    data, _ = _network()
    model = onnx.load_model_from_string(data)
    nodes = list(model.graph.node)[::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    x = rows(4)
    np.testing.assert_array_equal(
        fastmlp.from_onnx(model.SerializeToString()).predict(x), fastmlp.from_onnx(data).predict(x)
    )
    nodes[-1].input[0] = nodes[0].output[0]
    model.graph.node[-1].input[0] = nodes[0].output[0]
    with pytest.raises(fastmlp.FormatError, match="expected nodes without a cycle"):
        fastmlp.from_onnx(model.SerializeToString())


def test_an_object_of_the_onnx_package() -> None:
    data, _ = _network()
    net = fastmlp.from_onnx(onnx.load_model_from_string(data))
    np.testing.assert_array_equal(net.parameters, fastmlp.from_onnx(data).parameters)


@pytest.mark.parametrize("name", ["LSTM", "Embedding", "two inputs"])
def test_what_has_no_equal_is_named(name: str) -> None:
    class Recurrent(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(4, 5, batch_first=True)

        def forward(self, x: torch.Tensor) -> Any:
            return self.lstm(x)[0][:, -1]

    class Two(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Linear(4, 1)

        def forward(self, x: torch.Tensor, y: torch.Tensor) -> Any:
            return self.a(torch.cat([x, y], 1))

    made: dict[str, tuple[Any, Any, str]] = {
        "LSTM": (Recurrent(), (torch.zeros(2, 3, 4),), "the operator LSTM"),
        "Embedding": (torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(8, 2)),
                      (torch.zeros(3, 2, dtype=torch.int64),), r"an embedding\) or of columns"),
        "two inputs": (Two(), (torch.zeros(3, 2), torch.zeros(3, 2)), "export the model with one of all columns"),
    }  # fmt: skip
    module, arguments, message = made[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stream = io.BytesIO()
        torch.onnx.export(module.eval(), arguments, stream, dynamo=False)
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.from_onnx(stream.getvalue())


def test_a_stream_is_no_path() -> None:
    with pytest.raises(TypeError, match="model: expected a str or a path object"):
        fastmlp.from_onnx(io.BytesIO(b""))  # type: ignore[arg-type]
