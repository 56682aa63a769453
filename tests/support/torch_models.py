"""Layers and models of PyTorch with random numbers, their files, and the check of what is made of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from torch import nn

import fastmlp
from fastmlp.convert import checking, torch_file

TANH: dict[str, Any] = {"activation": "tanh", "output_activation": "identity"}
RELU: dict[str, Any] = {"activation": "relu", "output_activation": "identity"}


def saved(value: Any, **kwargs: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **kwargs)
    return stream.getvalue()


def outputs(module: nn.Module, X: Any) -> Any:
    with torch.no_grad():
        return module.eval()(torch.as_tensor(X)).numpy()


def agrees(source: Any, module: nn.Module, rtol: float = 2e-6, **spec: Any) -> fastmlp.Network:
    """Check that the network of the source computes what the module does, and return it."""
    net = checking.network(torch_file.read(source, **spec))
    X = np.random.default_rng(0).standard_normal((32, net.sizes[0])).astype(net.parameters.dtype)
    np.testing.assert_allclose(net.predict(X), outputs(module, X), rtol=rtol, atol=rtol)
    return net


def plain(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def batch_norm(n: int) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(n)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    made.weight.data.normal_()
    made.bias.data.normal_()
    return made
