"""Spark's MultilayerPerceptronClassificationModel: the folder that Spark 4.3.0 has written, and what other folders say.

Spark itself needs Java, and half a minute: `test_the_models_of_the_tool` is slow.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

import fastmlp
from damage import damaged
from fastmlp.convert import spark

MODEL = Path(__file__).parent / "models" / "spark" / "three"
EXPECTED = np.load(MODEL.with_suffix(".expected.npz"))
VECTOR = pa.struct(
    [("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]
)


def test_the_folder_of_the_tool() -> None:
    net = fastmlp.from_spark(MODEL)
    np.testing.assert_allclose(net.predict(EXPECTED["X"]), EXPECTED["P"], rtol=0, atol=2e-15)
    assert (net.sizes, net.loss.name, net.dtype) == ((4, 5, 3), "cross_entropy", np.float64)
    assert net.conversion is not None
    assert (net.conversion.source, net.conversion.version) == ("Spark MLlib", "4.3.0")
    np.testing.assert_array_equal(fastmlp.from_file(MODEL).parameters, net.parameters)


def test_a_model_in_memory() -> None:
    vector = SimpleNamespace(toArray=lambda: EXPECTED["w"])
    for model in (
        SimpleNamespace(weights=vector, layers=[4, 5, 3]),
        SimpleNamespace(weights=vector, layers="a Param", getLayers=lambda: [4, 5, 3]),
    ):
        net = fastmlp.from_spark(model)
        np.testing.assert_allclose(net.predict(EXPECTED["X"]), EXPECTED["P"], rtol=0, atol=2e-15)
    with pytest.raises(fastmlp.FormatError, match=r"weights: .*43 weights; layers \[4, 5, 4\] have 49"):
        fastmlp.from_spark(SimpleNamespace(weights=vector, layers=[4, 5, 4]))
    thresholds = {"isDefined": lambda name: name == "thresholds", "getThresholds": lambda: [0.9, 0.1, 0.1]}
    with pytest.raises(fastmlp.FormatError, match=r"thresholds: .*\[0.9"):
        fastmlp.from_spark(SimpleNamespace(weights=vector, layers=[4, 5, 3], **thresholds))
    with pytest.raises(TypeError, match="got int"):
        fastmlp.from_spark(3)


def folder(path: Path, layers: Any, row: Any, metadata: Any = None, more: Any = None) -> Path:
    """Write a folder as Spark does."""
    (path / "metadata").mkdir(parents=True)
    (path / "data").mkdir()
    given = {"class": spark.CLASS, "sparkVersion": "3.5.0", "paramMap": {"layers": layers}} | (metadata or {})
    (path / "metadata" / "part-00000").write_text(json.dumps(given) + "\n")
    columns = {"weights": pa.array([row], VECTOR)} | {name: pa.array([value]) for name, value in (more or {}).items()}
    parquet.write_table(pa.table(columns), path / "data" / "part-00000.snappy.parquet")
    return path


def dense(values: Any) -> dict[str, Any]:
    return {"type": 1, "size": None, "indices": None, "values": list(values)}


def forward(layers: list[int], w: Any, X: Any) -> Any:
    at = 0
    for i, (n, m) in enumerate(itertools.pairwise(layers)):
        X = X @ w[at : at + n * m].reshape(n, m) + w[at + n * m : at + n * m + m]
        at += n * m + m
        if i < len(layers) - 2:
            X = 1 / (1 + np.exp(-X))
    e = np.exp(X - X.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(12))
def test_random_folders(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    layers = [*rng.integers(1, 12, rng.integers(1, 4)).tolist(), int(rng.integers(2, 6))]
    w = rng.standard_normal(sum((n + 1) * m for n, m in itertools.pairwise(layers)))
    row = dense(w)
    if seed % 3 == 1:
        w[rng.random(len(w)) < 0.6] = 0
        (at,) = np.nonzero(w)
        row = {"type": 0, "size": len(w), "indices": at.tolist(), "values": w[at].tolist()}
    if seed % 3 == 2:  # before Spark 3, the layers are in the data
        net = fastmlp.from_spark(folder(tmp_path / "m", layers, row, {"paramMap": {}}, {"layers": layers}))
    else:
        net = fastmlp.from_spark(folder(tmp_path / "m", layers, row))
    X = rng.standard_normal((20, layers[0]))
    np.testing.assert_allclose(net.predict(X), forward(layers, w, X), rtol=0, atol=1e-14)


BAD: dict[str, tuple[Any, Any, Any, str]] = {
    "a class": ([2, 2], range(6), {"class": "org.apache.spark.ml.PipelineModel"}, "metadata: class: .*PipelineModel"),
    "no class": ([2, 2], range(6), {"class": None}, "metadata: class"),
    "too few weights": ([2, 2], range(5), None, r"weights: .*5 weights; layers \[2, 2\] have 6"),
    "too many weights": ([2, 2], range(7), None, "weights: .*: 7 weights;"),
    "NaN": ([2, 2], [np.nan] * 6, None, "some that are not finite"),
    "one layer": ([2], range(6), None, "layers: expected a list of 2 to 1000"),
    "one class": ([2, 1], range(3), None, "layers: .*one output, of which a softmax is always 1"),
    "text": (["2", "x"], range(6), None, "layers: expected a whole number"),
    "far too large": ([10**6, 10**6], range(6), None, "data: .*the file is incomplete"),
    "no layers": (None, range(6), {"paramMap": {}}, "metadata: expected layers in paramMap"),
    "thresholds": (
        [2, 2],
        range(6),
        {"paramMap": {"layers": [2, 2], "thresholds": [0.9, 0.05]}},
        r"thresholds: .*\[0.9, 0.05\].*; import the model after",
    ),
    "paramMap": ([2, 2], range(6), {"paramMap": 3}, "metadata: paramMap: expected an object"),
    "version": ([2, 2], range(6), {"sparkVersion": 4}, "sparkVersion: expected text"),
}


@pytest.mark.parametrize("name", BAD)
def test_refused(name: str, tmp_path: Path) -> None:
    layers, weights, metadata, message = BAD[name]
    path = folder(tmp_path / "m", layers, dense(weights), metadata)
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.from_spark(path)


def test_vectors_that_are_none(tmp_path: Path) -> None:
    path = folder(tmp_path / "m", [2, 2], dense(range(6)))
    file = path / "data" / "part-00000.snappy.parquet"
    vector = pa.array([dense(range(6))], VECTOR)
    for weights, message in [
        (pa.array([[1.0] * 6]), "a vector of Spark"),
        (pa.concat_arrays([vector, vector]), "one row of a few columns, got '2 rows"),
        (pa.array([dense(range(6)) | {"values": None}], VECTOR), "weights.values: expected a list"),
        (pa.array([{"type": 0, "size": 6, "indices": [9], "values": [1.0]}], VECTOR), "expected 6 numbers"),
        (pa.array([{"type": 0, "size": 6, "indices": [-1], "values": [1.0]}], VECTOR), "expected 6 numbers"),
    ]:
        parquet.write_table(pa.table({"weights": weights}), file)
        with pytest.raises(fastmlp.FormatError, match=message):
            fastmlp.from_spark(path)
    parquet.write_table(pa.table({"other": vector}), file)
    with pytest.raises(fastmlp.FormatError, match="a column weights"):
        fastmlp.from_spark(path)


def test_folders_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastmlp.from_spark(tmp_path / "none")
    with pytest.raises(fastmlp.FormatError, match=r"a folder that Spark's model.save has written, got a file"):
        fastmlp.from_spark(Path(__file__))
    with pytest.raises(fastmlp.FormatError, match="the folders metadata and data"):
        fastmlp.from_spark(tmp_path)
    (tmp_path / "metadata").mkdir()
    with pytest.raises(fastmlp.FormatError, match="metadata: expected one file"):
        fastmlp.from_spark(tmp_path)
    shutil.copy(next((MODEL / "metadata").glob("part*")), tmp_path / "metadata")
    with pytest.raises(fastmlp.FormatError, match="data: expected a folder"):
        fastmlp.from_spark(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(fastmlp.FormatError, match="data: expected one row, got '0 files"):
        fastmlp.from_spark(tmp_path)


def test_links_out_of_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "m"
    shutil.copytree(MODEL, path)
    file = next((path / "data").glob("part*.parquet"))
    file.rename(tmp_path / "elsewhere.parquet")
    file.symlink_to(tmp_path / "elsewhere.parquet")
    with pytest.raises(fastmlp.FormatError, match="a link out of it"):
        fastmlp.from_spark(path)


@pytest.mark.parametrize("part", ["metadata", "data"])
def test_fuzz(part: str, tmp_path: Path) -> None:
    path = tmp_path / "m"
    shutil.copytree(MODEL, path)
    file = next((path / part).glob("part*"))
    refused = 0
    for bad in damaged(file.read_bytes(), 300):
        file.write_bytes(bad)
        try:
            fastmlp.from_spark(path)
        except fastmlp.FormatError:
            refused += 1
    assert refused > 100


def test_without_pyarrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'fastmlp\[spark\]'"):
        fastmlp.from_spark(MODEL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_models_of_the_tool(tmp_path: Path) -> None:
    from pyspark.ml.classification import MultilayerPerceptronClassificationModel, MultilayerPerceptronClassifier
    from pyspark.ml.linalg import Vectors
    from pyspark.sql import SparkSession

    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        rng = np.random.default_rng(0)
        for trial, layers in enumerate([[4, 5, 3], [3, 2], [2, 7, 6, 2]]):
            X = rng.standard_normal((40, layers[0])) * 3 + 1
            labels = rng.integers(0, layers[-1], 40)
            table = [(Vectors.dense(row), float(label)) for row, label in zip(X, labels, strict=True)]
            frame = session.createDataFrame(table, ["features", "label"])
            model = MultilayerPerceptronClassifier(layers=layers, maxIter=5, seed=1).fit(frame)
            path = str(tmp_path / f"m{trial}")
            model.write().save(path)
            expected = np.array([row.probability.toArray() for row in model.transform(frame).collect()])
            for net in (fastmlp.from_spark(path), fastmlp.from_spark(model)):
                assert list(net.sizes) == layers
                np.testing.assert_allclose(net.predict(X), expected, rtol=0, atol=1e-14)
            model.setThresholds([0.9, *[0.05] * (layers[-1] - 1)]).write().save(f"{path}t")
            for source in (model, f"{path}t"):
                with pytest.raises(fastmlp.FormatError, match="thresholds"):
                    fastmlp.from_spark(source)
            again = MultilayerPerceptronClassificationModel.load(path)
            np.testing.assert_array_equal(fastmlp.from_spark(again).parameters, net.parameters)
    finally:
        session.stop()
