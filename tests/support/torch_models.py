"""Layers of PyTorch with random numbers, for the tests of what is made of them."""

from __future__ import annotations

from torch import nn


def batch_norm(n: int) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(n)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    made.weight.data.normal_()
    made.bias.data.normal_()
    return made
