"""What the caller says beside a model: the loss, and the names of classes and columns."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import fastmlp
from fastmlp import FormatError

X = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)


def module(n_outputs: int, *last: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, n_outputs), *last).eval()


def state(net: nn.Module) -> bytes:
    stream = io.BytesIO()
    torch.save(net.state_dict(), stream)
    return stream.getvalue()


def onnx(net: nn.Module) -> bytes:
    return fastmlp.from_torch(net).to_onnx()


def of_file(content: bytes, folder: Path, **kwargs: Any) -> Any:
    path = folder / "model"
    path.write_bytes(content)
    return fastmlp.from_file(path, **kwargs)


RELU = {"activation": "relu", "output_activation": "identity"}
IMPORTS: dict[str, Callable[..., Any]] = {
    "module": lambda net, folder, **kwargs: fastmlp.from_torch(net, **kwargs),
    "state dict": lambda net, folder, **kwargs: fastmlp.from_torch(state(net), **RELU, **kwargs),
    "onnx": lambda net, folder, **kwargs: fastmlp.from_onnx(onnx(net), **kwargs),
    "file of a state dict": lambda net, folder, **kwargs: of_file(state(net), folder, **RELU, **kwargs),
    "file of onnx": lambda net, folder, **kwargs: of_file(onnx(net), folder, **kwargs),
}


@pytest.mark.parametrize("kind", IMPORTS)
@pytest.mark.parametrize(
    ("n_outputs", "loss"), [(1, "binary_cross_entropy"), (3, "binary_cross_entropy"), (3, "cross_entropy")]
)
def test_logits_become_probabilities(kind: str, n_outputs: int, loss: str, tmp_path: Path) -> None:
    theirs = module(n_outputs)
    with torch.no_grad():
        logits = theirs(torch.tensor(X))
    names = ["no", "yes"] if n_outputs == 1 else ["a", "b", "c"]
    net = IMPORTS[kind](theirs, tmp_path, loss=loss, class_names=names, feature_names=["x", "y", "z"])
    probabilities = logits.softmax(1) if loss == "cross_entropy" else logits.sigmoid()
    np.testing.assert_allclose(net.predict(X), probabilities.numpy(), rtol=1e-5, atol=1e-6)
    expected = (logits[:, 0] > 0).long() if n_outputs == 1 else logits.argmax(1)
    assert 0 < expected.float().mean() < n_outputs
    np.testing.assert_array_equal(net.classify(X), expected.numpy())
    assert net.classify(X[0], names=True) == names[int(expected[0])]
    assert net.loss.name == loss
    assert net.feature_names == ("x", "y", "z")
    assert any(f"added for loss={loss!r}: the model gives logits" in note for note in net.conversion.folded)


@pytest.mark.parametrize("kind", IMPORTS)
def test_names_of_classes_of_a_logit_need_a_loss(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"class_names: expected a loss beside it.*loss='binary_cross_entropy'"):
        IMPORTS[kind](module(1), tmp_path, class_names=["no", "yes"])
    net = IMPORTS[kind](module(1), tmp_path, loss="hinge", class_names=["no", "yes"])
    with torch.no_grad():
        logits = module(1)(torch.tensor(X)).numpy()
    np.testing.assert_allclose(net.predict(X), logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(net.classify(X), logits[:, 0] > 0)


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Identity()])
def test_an_activation_that_is_there_is_not_added(last: nn.Module) -> None:
    net = fastmlp.from_torch(module(1, nn.Sigmoid(), nn.Identity()), loss="binary_cross_entropy", class_names=[1, 2])
    with torch.no_grad():
        expected = module(1, nn.Sigmoid())(torch.tensor(X)).numpy()
    np.testing.assert_allclose(net.predict(X), expected, rtol=1e-5, atol=1e-6)
    assert not any("added" in note for note in net.conversion.folded)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "bce"}, "loss: expected one of"),
        ({"loss": "cross_entropy"}, "cross_entropy"),
        ({"class_names": ["a", "b", "c"], "loss": "binary_cross_entropy"}, "class_names: expected 2"),
        ({"class_names": "ab", "loss": "binary_cross_entropy"}, "class_names"),
        ({"feature_names": ["a"]}, "feature_names: expected 3"),
    ],
)
def test_they_are_checked_as_those_of_network(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        fastmlp.from_torch(module(1), **options)


def test_a_loss_that_does_not_go_with_the_output() -> None:
    with pytest.raises(FormatError, match="output_activation: expected 'sigmoid'"):
        fastmlp.from_torch(module(1, nn.ReLU()), loss="binary_cross_entropy")


def test_a_model_file_says_everything_itself(tmp_path: Path) -> None:
    fastmlp.Network([2, 1], seed=0).save(tmp_path / "model.safetensors")
    with pytest.raises(TypeError, match="loss: not for a model file of fastmlp"):
        fastmlp.from_file(tmp_path / "model.safetensors", loss="mse")
