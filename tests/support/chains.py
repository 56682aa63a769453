"""Activations for tests of `fastmlp.convert`, with hyper-parameters that are not the defaults."""

from __future__ import annotations

import fastmlp

ACTIVATIONS = [
    fastmlp.Tanh(), fastmlp.ReLU(), fastmlp.Sigmoid(), fastmlp.LeakyReLU(0.3), fastmlp.ELU(0.7), fastmlp.SELU(),
    fastmlp.GELU(), fastmlp.GELU("tanh"), fastmlp.SiLU(), fastmlp.Mish(), fastmlp.Softplus(2.0), fastmlp.Softsign(),
    fastmlp.HardSigmoid(), fastmlp.HardTanh(-0.5, 2.0), fastmlp.Sine(3.0), fastmlp.Gaussian(0.5, 2.0),
    fastmlp.PiecewiseLinear(-2.5, 2.5), fastmlp.Sigmoid(2.0), fastmlp.Identity(),
]  # fmt: skip
