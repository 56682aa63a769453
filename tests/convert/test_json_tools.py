"""lwtnn, RTNeural and pyrenn: small text formats, whose formulas are repeated here in NumPy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from damage import damaged
from fastmlp.convert import checking, lwtnn, pyrenn, rtneural

MODELS = Path(__file__).parent / "models"
LWTNN = MODELS / "lwtnn" / "sklearn_three_classes.json"
RTNEURAL = MODELS / "rtneural" / "tanh_relu_sigmoid.json"
GELU = MODELS / "rtneural" / "gelu_is_lost.json"
PYRENN = MODELS / "pyrenn" / "three_four_two_one.csv"


def expected(path: Path) -> Any:
    return np.load(path.with_suffix("").with_suffix(".expected.npz"))


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


# ---------------------------------------------------------------------------------------------------------------- lwtnn


def test_lwtnn_of_the_tool() -> None:
    net = checking.network(lwtnn.read(LWTNN))
    given = expected(LWTNN)
    np.testing.assert_allclose(net.predict(given["input"]), given["sklearn"], rtol=0, atol=1e-15)
    assert net.feature_names == ("a", "b", "c")
    assert net.class_names == ("x", "y", "z")
    assert net.input_scaling is not None


LWTNN_FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "linear": ("linear", lambda z: z),
    "rectified": ("rectified", lambda z: np.maximum(z, 0)),
    "sigmoid": ("sigmoid", sigmoid),
    "tanh": ("tanh", np.tanh),
    "hard_sigmoid": ("hard_sigmoid", lambda z: np.clip(0.2 * z + 0.5, 0, 1)),
    "elu": ({"function": "elu", "alpha": 0.7}, lambda z: np.where(z > 0, z, 0.7 * np.expm1(z))),
    "leakyrelu": ({"function": "leakyrelu", "alpha": 0.3}, lambda z: np.where(z > 0, z, 0.3 * z)),
    "swish": ({"function": "swish", "alpha": 1.7}, lambda z: z * sigmoid(1.7 * z)),
    "swish of 1": ({"function": "swish", "alpha": 1.0}, lambda z: z * sigmoid(z)),
}


def lwtnn_file(layers: list[Any], n_outputs: int, scale: float = 2.0) -> bytes:
    inputs = [{"name": name, "offset": 3.0 + i, "scale": scale} for i, name in enumerate("pq")]
    outputs = [f"o{i}" for i in range(n_outputs)]
    return json.dumps({"inputs": inputs, "layers": layers, "outputs": outputs, "defaults": {}}).encode()


@pytest.mark.parametrize("where", ["in the layer", "alone"])
@pytest.mark.parametrize("name", LWTNN_FUNCTIONS)
def test_lwtnn_functions(name: str, where: str) -> None:
    activation, function = LWTNN_FUNCTIONS[name]
    rng = np.random.default_rng(0)
    w, b, v = rng.standard_normal((4, 2)), rng.standard_normal(4), rng.standard_normal((3, 4))
    dense = {"architecture": "dense", "weights": w.ravel().tolist(), "bias": b.tolist(), "activation": "linear"}
    layers: list[Any] = [dense | ({"activation": activation} if where == "in the layer" else {})]
    if where == "alone":
        layers.append({"architecture": "dense", "weights": [], "bias": [], "activation": activation})
    norm = {"architecture": "normalization", "weights": [2.0, 3.0, 4.0, 5.0], "bias": [1.0, 2.0, 0.0, -1.0]}
    last = {"architecture": "dense", "weights": v.ravel().tolist(), "bias": [], "activation": "linear"}
    net = checking.network(lwtnn.read(lwtnn_file([*layers, norm, last], 3)))
    X = rng.standard_normal((50, 2)) * 2 - 3
    hidden = function((X + np.array([3, 4])) * 2 @ w.T + b)
    np.testing.assert_allclose(net.predict(X), (hidden + norm["bias"]) * norm["weights"] @ v.T, rtol=1e-12, atol=1e-12)


def test_lwtnn_a_scale_of_0_removes_a_column() -> None:
    dense = {"architecture": "dense", "weights": [1.0, 2.0], "bias": [5.0], "activation": "linear"}
    net = checking.network(lwtnn.read(lwtnn_file([dense], 1, scale=0.0)))
    assert net.predict([[7.0, 8.0]]).ravel().tolist() == [5.0]


DENSE: dict[str, Any] = {"architecture": "dense", "weights": [1.0, 2.0], "bias": [5.0], "activation": "linear"}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"[1]", "lwtnn: expected an object"),
        (b'{"nodes": []}', "nodes: .*a graph"),
        (b"{", "lwtnn: expected JSON"),
        (lwtnn_file([], 1), "layers: expected a list of layers"),
        (lwtnn_file([DENSE | {"architecture": "lstm"}], 1), r"layers\[0\]: .*architecture 'lstm'"),
        (lwtnn_file([DENSE | {"activation": "abs"}], 1), r"layers\[0\]: .*activation 'abs'; known are linear"),
        (lwtnn_file([DENSE | {"activation": "swish"}], 1), "alpha None; the file must say an alpha"),
        (lwtnn_file([DENSE | {"bias": [1.0, 2.0]}], 1), "expected 2 times 2 weights, got 2"),
        (lwtnn_file([DENSE | {"weights": []}], 1), "1 biases alone"),
        (lwtnn_file([DENSE | {"weights": [1.0, "2"]}], 1), "weights: expected a number, got '2'"),
        (lwtnn_file([DENSE], 2), "outputs: expected the names of 1 outputs"),
        (lwtnn_file([DENSE | {"architecture": "normalization"}], 1), "expected 2 weights and as many biases"),
    ],
)
def test_lwtnn_refused(file: bytes, message: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        lwtnn.read(file)


# ------------------------------------------------------------------------------------------------------------- RTNeural


def test_rtneural_of_the_tool() -> None:
    given = expected(RTNEURAL)
    net = checking.network(rtneural.read(RTNEURAL))
    np.testing.assert_allclose(net.predict(given["input"]).reshape(-1, 1), given["keras"], rtol=0, atol=5e-7)
    assert net.dtype == np.float32


def test_rtneural_asks_for_an_activation_that_the_file_has_lost() -> None:
    with pytest.raises(fastmlp.FormatError, match=r"layers\[0\]: .*activation \"\".*unnamed="):
        rtneural.read(GELU)
    given = expected(GELU)
    net = checking.network(rtneural.read(GELU, unnamed=["gelu", "identity"]))
    np.testing.assert_allclose(net.predict(given["input"]).reshape(-1, 1), given["keras"], rtol=0, atol=5e-7)
    assert checking.network(rtneural.read(GELU, unnamed="identity")).activation == (fastmlp.Identity(),)
    with pytest.raises(ValueError, match="unnamed: expected an activation for each layer"):
        rtneural.read(GELU, unnamed=["gelu"])


def rtneural_file(layers: list[Any]) -> bytes:
    return json.dumps({"in_shape": [None, 2], "layers": layers}).encode()


def test_rtneural_layers() -> None:
    rng = np.random.default_rng(0)
    w, b, v = rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal((3, 1))
    norm = [[2.0, 3.0, 4.0], [0.1, 0.2, 0.3], [1.0, -1.0, 0.0], [0.5, 2.0, 1.0]]
    layers = [
        {"type": "dense", "activation": "elu", "shape": [None, 3], "weights": [w.tolist(), b.tolist()]},
        {"type": "batchnorm", "activation": "", "shape": [None, 3], "weights": norm, "epsilon": 0.001},
        {"type": "activation", "activation": "tanh", "shape": [None, 3], "weights": []},
        {"type": "dense", "activation": "", "shape": [None, 1], "weights": [v.tolist(), [0.25]]},
    ]
    net = checking.network(rtneural.read(rtneural_file(layers)), dtype="float64")
    X = rng.standard_normal((20, 2))
    z = X @ w + b
    h = np.where(z > 0, z, np.expm1(z))
    gamma, beta, mean, variance = map(np.array, norm)
    h = np.tanh(gamma * (h - mean) / np.sqrt(variance + 0.001) + beta)
    np.testing.assert_allclose(net.predict(X).reshape(-1, 1), h @ v + 0.25, rtol=1e-12)
    assert "no activation is named" in net.conversion.folded[0]


RT: dict[str, Any] = {"type": "dense", "activation": "tanh", "shape": [None, 1], "weights": [[[1.0], [2.0]], [0.5]]}


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (b"3", "expected an object"),
        (b'{"in_shape": [null, 3]}', "layers: expected a list"),
        (b'{"in_shape": 3, "layers": [{}]}', "in_shape: expected a list"),
        (rtneural_file([RT | {"type": "unknown"}]), r"layers\[0\]: .*type 'unknown'"),
        (rtneural_file([RT | {"type": "gru"}]), "type 'gru'"),
        (rtneural_file([RT | {"activation": "gelu"}]), "activation 'gelu'; known are tanh"),
        (rtneural_file([RT | {"weights": [[[1.0]], [0.5]]}]), r"weights\[0\]: expected a list of 2"),
        (rtneural_file([RT | {"weights": [[[1.0], [1.0, 2.0]], [0.5]]}]), r"weights\[0\]: expected a list of 1"),
        (rtneural_file([RT | {"weights": []}]), "expected weights and biases"),
        (rtneural_file([RT | {"type": "batchnorm", "epsilon": 0.1, "weights": [[1, 1], [-2, 1]]}]), "variance above 0"),
    ],
)
def test_rtneural_refused(file: bytes, message: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        rtneural.read(file)


# --------------------------------------------------------------------------------------------------------------- pyrenn


def test_pyrenn_of_the_tool() -> None:
    given = expected(PYRENN)
    net = checking.network(pyrenn.read(PYRENN))
    np.testing.assert_allclose(net.predict(given["input"]).ravel(), given["pyrenn"], rtol=0, atol=2e-15)


@pytest.mark.parametrize("sizes", [[3, 4, 5, 2], [1, 1], [2, 6, 1], [4, 3]])
def test_pyrenn_itself(sizes: list[int], tmp_path: Path) -> None:
    import pyrenn as tool

    rng = np.random.default_rng(len(sizes))
    np.random.seed(sizes[0])
    P = rng.standard_normal((sizes[0], 40)) * np.logspace(0, 3, sizes[0])[:, None]
    Y = np.sin(P[:1]) * np.arange(1, sizes[-1] + 1)[:, None] * 30
    trained = tool.train_LM(P, Y, tool.CreateNN(sizes), k_max=3, verbose=False)
    tool.saveNN(trained, str(tmp_path / "model.csv"))
    net = checking.network(pyrenn.read(tmp_path / "model.csv"))
    outputs = np.reshape(tool.NNOut(P, trained), Y.shape).T
    assert net.sizes == tuple(sizes)
    np.testing.assert_allclose(net.predict(P.T).reshape(40, -1), outputs, rtol=0, atol=1e-13 * np.abs(outputs).max())


@pytest.mark.parametrize("delays", [{"dIn": [0, 1]}, {"dIn": [1]}, {"dIntern": [1]}, {"dOut": [1, 2]}])
def test_pyrenn_with_a_memory(delays: dict[str, list[int]], tmp_path: Path) -> None:
    import pyrenn as tool

    data = np.random.default_rng(0).standard_normal((1, 40))
    trained = tool.train_LM(data, data, tool.CreateNN([1, 2, 1], **delays), k_max=1, verbose=False)
    tool.saveNN(trained, str(tmp_path / "model.csv"))
    with pytest.raises(fastmlp.FormatError, match=rf"{next(iter(delays))}: .*delays .*only networks without memory"):
        pyrenn.read(tmp_path / "model.csv")


def test_pyrenn_of_one_layer_and_several_outputs() -> None:
    file = "nn\n2,2\ndIn\n0\ndIntern\n,\ndOut\n,\nnormP\n2.0,4.0\nnormY\n10.0,100.0\nw\n1\n2\n3\n4\n5\n6\n"
    net = checking.network(pyrenn.read(file.encode()))
    x = np.array([[2.0, 8.0]])
    assert net.predict(x).tolist() == [[(1 + 6 + 5) * 10, (2 + 8 + 6) * 100]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dIn\n0", "dIn\n0,1", r"dIn: .*delays \(\[0.0, 1.0\]\)"),
        ("dIntern\n,", "dIntern\n1", "dIntern: .*delays"),
        ("dOut\n,", "dOut\n1,2", "dOut: .*delays"),
        ("3,4,2,1", "3,5,2,1", "w: expected 35 numbers, as nn says, got 29"),
        ("3,4,2,1", "3,4000000000,2,1", "nn: expected a whole number"),
        ("normY\n1.0", "normY\n1.0,2.0", "normY: expected 1 numbers"),
        ("normY\n", "normZ\n", "normP: expected 3 numbers|expected lines nn|normP: expected a finite"),
        ("2.3982328653977714,", "0,", "normP: .*a 0"),
        ("2.3982328653977714,", "2.39 82,", "normP: expected a finite number"),
        ("nn\n", "nn\nnn\n", "each name once"),
        ("nn\n3", "3", "a line nn at the beginning"),
        ("normY\n1.0", "normY\nnan", "normY: expected a finite number"),
    ],
)
def test_pyrenn_refused(old: str, new: str, message: str) -> None:
    text = PYRENN.read_text()
    assert old in text
    with pytest.raises(fastmlp.FormatError, match=message):
        pyrenn.read(text.replace(old, new).encode())


@pytest.mark.parametrize(
    ("path", "read"), [(LWTNN, lwtnn.read), (RTNEURAL, rtneural.read), (PYRENN, pyrenn.read)], ids=lambda x: ""
)
def test_fuzz(path: Path, read: Any) -> None:
    refused = 0
    for bad in damaged(path.read_bytes(), 400):
        try:
            checking.network(read(bad))
        except fastmlp.FormatError:
            refused += 1
    assert refused > 100
