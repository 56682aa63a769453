"""The commands on the file of a bound predictor: `predict` gives what the network's file gives, others say why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import cli


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a network, two predictors bound from it, and rows."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2)).round(3)
    net = fastmlp.Network(
        [2, 8, 2], loss="cross_entropy", class_names=["low", "high"], feature_names=["a", "b"], seed=1
    )
    net.fit(X, (X[:, 0] > 0).astype(int), epochs=2)
    net.save("net.safetensors")
    net.bind().save("bound.safetensors")
    net.bind("int8").save("int8.safetensors")
    Path("rows.csv").write_text("a,b\n" + "".join(f"{a},{b}\n" for a, b in X))
    return tmp_path


def test_predict_gives_the_predictions_of_the_network(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    printed = {}
    for name in ("net", "bound", "int8"):  # so small layers stay float32 in int8
        assert cli.main(["predict", f"{name}.safetensors", "rows.csv", "--proba"]) == 0
        printed[name] = capsys.readouterr().out
    assert printed["bound"] == printed["int8"] == printed["net"]


@pytest.mark.parametrize(("name", "weights"), [("bound", "float32"), ("int8", "int8")])
def test_info(files: Path, capsys: pytest.CaptureFixture[str], name: str, weights: str) -> None:
    assert cli.main(["info", f"{name}.safetensors", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["weights"] == weights
    assert record["classes"] == ["low", "high"]
    assert "seed" not in record
    assert set(record["checksums"].values()) == {"verified"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "bound.safetensors", "rows.csv", "--target", "a"],
        ["export", "bound.safetensors", "--to", "c"],
        ["convert", "bound.safetensors", "out.onnx"],
    ],
)
def test_what_needs_a_network_is_refused(files: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    before = set(files.iterdir())
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert "bound.safetensors: expected the file of a Network, got that of a BoundPredictor" in error
    assert set(files.iterdir()) == before
