"""OpenCV's ANN_MLP: against cv2.ml of opencv-python-headless 4, which cv2 5 no longer has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import fastmlp
from damage import damaged
from fastmlp.convert import checking, opencv

MODELS = Path(__file__).parent / "models" / "opencv"
FILES = sorted(path.name for path in MODELS.iterdir() if path.suffix != ".npz")
FUNCTIONS = {"IDENTITY": 0, "SIGMOID_SYM": 1, "GAUSSIAN": 2, "RELU": 3, "LEAKYRELU": 4}


@pytest.mark.parametrize("name", FILES)
def test_files_of_the_tool(name: str) -> None:
    expected = np.load(MODELS / f"{name.partition('.')[0]}.expected.npz")
    net = checking.network(opencv.read(MODELS / name))
    outputs = expected["opencv"].reshape(len(expected["input"]), -1)
    np.testing.assert_allclose(net.predict(expected["input"]).reshape(outputs.shape), outputs, rtol=1e-6, atol=1e-6)
    assert net.dtype == np.float64


def trained(seed: int, name: str, sizes: list[int], **parameters: float) -> Any:
    """Return a model of the tool, trained for some steps, and rows."""
    rng = np.random.default_rng(seed)
    X = (rng.standard_normal((30, sizes[0])) * rng.uniform(0.1, 100, sizes[0]) + 5).astype(np.float32)
    Y = rng.standard_normal((30, sizes[-1])).astype(np.float32) * 7 + 3
    model = cv2.ml.ANN_MLP_create()
    model.setLayerSizes(np.array(sizes, np.int32))
    model.setActivationFunction(FUNCTIONS[name], parameters.get("p1", 0.0), parameters.get("p2", 0.0))
    model.setTrainMethod(cv2.ml.ANN_MLP_RPROP)
    model.setTermCriteria((cv2.TERM_CRITERIA_MAX_ITER, 5, 0.0))
    cv2.setRNGSeed(seed + 1)
    flags = 0 if name in ("SIGMOID_SYM", "GAUSSIAN") else cv2.ml.ANN_MLP_NO_OUTPUT_SCALE
    model.train(cv2.ml.TrainData_create(X, cv2.ml.ROW_SAMPLE, Y), flags=flags)
    return model, X


@pytest.mark.parametrize("suffix", ["yml", "xml", "json"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_networks(name: str, suffix: str, tmp_path: Path) -> None:
    for seed in range(14):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(2, 30 if seed % 4 else 9, rng.integers(2, 5)).tolist()
        sizes[-1] -= seed % 2
        given = {} if seed % 2 else {"p1": float(rng.uniform(0.1, 2)), "p2": float(rng.uniform(0.1, 2))}
        model, X = trained(seed, name, sizes, **given)
        path = tmp_path / f"{seed}.{suffix}"
        model.save(str(path))
        expected = model.predict(X)[1]
        net = checking.network(opencv.read(path.read_bytes()))
        assert list(net.sizes) == sizes
        limit = 2e-6 * max(1, float(np.abs(expected).max()))
        np.testing.assert_allclose(net.predict(X).reshape(expected.shape), expected, rtol=0, atol=limit)


def test_default_parameters_where_the_file_has_0() -> None:
    text = (MODELS / "sigmoid_sym_parameters.xml").read_text()
    zero = text.replace("<f_param1>1.5<", "<f_param1>0.<").replace("<f_param2>0.80000000000000004<", "<f_param2>0.<")
    chain = opencv.read(zero.encode())
    default = opencv.read(text.replace(">1.5<", f">{2 / 3!r}<").replace(">0.80000000000000004<", ">1.7159<").encode())
    X = np.random.default_rng(0).standard_normal((5, 3))
    np.testing.assert_array_equal(chain.evaluate(X), default.evaluate(X))


def test_lists_in_brackets_over_lines() -> None:
    """Older versions write numbers of YAML in brackets."""
    text = (MODELS / "default_sigmoid_sym.yml").read_text()
    lines, flow = text.splitlines(), []
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        if line.strip() in ("input_scale:", "output_scale:", "inv_output_scale:", "-"):
            words = []
            while at < len(lines) and lines[at].strip().startswith("- "):
                words.append(lines[at].strip()[2:])
                at += 1
            indent = line[: len(line) - len(line.lstrip())]
            flow.append(f"{line} [ {words[0]}, {words[1]},")
            flow.append(f"{indent}    {', '.join(words[2:])} ]")
        else:
            flow.append(line)
    X = np.random.default_rng(0).standard_normal((5, 3))
    again = opencv.read("\n".join(flow).encode())
    np.testing.assert_array_equal(again.evaluate(X), opencv.read(text.encode()).evaluate(X))


REFUSED: dict[str, tuple[str, str, str, str]] = {
    "another model": ("gaussian.xml", "opencv_ml_ann_mlp>", "opencv_ml_svm>", "expected 'opencv_ml_ann_mlp'"),
    "not trained": ("gaussian.xml", "<weights>", "<weights></weights><other>", "has not been trained"),
    "format": ("gaussian.xml", "<format>3<", "<format>2<", "format: .*save the model with OpenCV 3 or 4"),
    "function": ("gaussian.xml", ">GAUSSIAN<", ">SOFTMAX<", "activation_function: .*known are SIGMOID_SYM"),
    "NaN": (
        "relu_output_too.json",
        '"output_scale": [\n            1.0',
        '"output_scale": [\n ".Nan"',
        "NO_OUTPUT_SCALE",
    ),
    "NaN in YAML": ("default_sigmoid_sym.yml", "- 2.0942803433066923", "- .Nan", "output_scale: .*NO_OUTPUT_SCALE"),
    "doctype": ("gaussian.xml", "<opencv_storage>", '<!DOCTYPE a [<!ENTITY b "c">]><opencv_storage>', "document type"),
    "sizes": ("gaussian.xml", "2 5 1<", "2 6 1<", r"weights\[0\]: expected a list of 18, got '?15 elements"),
    "no sizes": ("gaussian.xml", "2 5 1<", "<", "layer_sizes: "),
    "large": ("gaussian.xml", "2 5 1<", "2 50000000 1<", r"weights\[0\]: expected a list of 150000000"),
    "slope": (
        "relu_output_too.json",
        '"RELU",\n        "f_param1": 1.0',
        '"LEAKYRELU",\n "f_param1": -1.0',
        "slope below 0",
    ),
    "key twice": ("default_sigmoid_sym.yml", "   format: 3", "   format: 3\n   format: 3", "each key once"),
    "other text": ("gaussian.xml", "<?xml", "hello", "expected a file of YAML"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    file, old, new, message = REFUSED[name]
    text = (MODELS / file).read_text()
    assert old in text
    changed = text.replace(old, new).replace(
        "</weights></opencv_ml", "</other></opencv_ml" if "other" in new else "</weights></opencv_ml"
    )
    with pytest.raises(fastmlp.FormatError, match=message):
        opencv.read(changed.encode())


def test_deep_files() -> None:
    for text in ("<a>" * 100000, "%YAML:1.0\n" + "\n".join(" " * n + "a:" for n in range(2000)), '{"a":' * 9999):
        with pytest.raises(fastmlp.FormatError):
            opencv.read(text.encode())


@pytest.mark.parametrize("name", FILES)
def test_fuzz(name: str) -> None:
    refused = 0
    for bad in damaged((MODELS / name).read_bytes(), 200):
        try:
            checking.network(opencv.read(bad))
        except fastmlp.FormatError:
            refused += 1
    assert refused > 60
