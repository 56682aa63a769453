"""The reference and the compiled package behind one interface, so that a test can run on both.

The reference is loaded by the path of its folder and needs no compiled package. fastmlp is imported on first use, and
its networks are in float64. A test module defines its fixtures by `load_implementation` and `network_maker`.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import math
import pathlib
import random
import sys
from types import SimpleNamespace
from typing import ClassVar

import pytest

REFERENCE = pathlib.Path(__file__).parents[2] / "src" / "fastmlp" / "reference"


@functools.cache
def load_reference():
    """Import the folder of the reference as a package, without importing fastmlp."""
    spec = importlib.util.spec_from_file_location(
        "reference_alone", REFERENCE / "__init__.py", submodule_search_locations=[str(REFERENCE)]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # for its relative imports and for pickle
    spec.loader.exec_module(module)
    return module


def named(name, **fields):
    """Return an object with the attributes that the reference reads of an activation or optimiser."""
    return SimpleNamespace(name=name, **fields)


class Reference:
    """fastmlp.reference, loaded from its folder, and objects for its hyper-parameters."""

    def __init__(self):
        self.module = load_reference()
        self.Network = self.module.Network

    def make(self, name, **fields):
        return named(name, **fields)

    def value(self, name, z, derivative=False, **fields):
        return getattr(self.module.functions, name + "_derivative" * derivative)(z, **fields)


class Compiled:
    """fastmlp itself, in float64."""

    NAMES: ClassVar = {
        "identity": "Identity",
        "sigmoid": "Sigmoid",
        "tanh": "Tanh",
        "relu": "ReLU",
        "piecewise_linear": "PiecewiseLinear",
        "gaussian": "Gaussian",
        "threshold": "Threshold",
        "leaky_relu": "LeakyReLU",
        "elu": "ELU",
        "selu": "SELU",
        "gelu": "GELU",
        "silu": "SiLU",
        "mish": "Mish",
        "softplus": "Softplus",
        "softsign": "Softsign",
        "hard_sigmoid": "HardSigmoid",
        "hard_tanh": "HardTanh",
        "sine": "Sine",
        "stepwise_sigmoid": "StepwiseSigmoid",
        "stepwise_tanh": "StepwiseTanh",
        "sgd": "SGD",
        "adam": "Adam",
    }

    def __init__(self):
        import fastmlp

        self.module = fastmlp

    def Network(self, sizes, **arguments):  # noqa: N802
        return self.module.Network(sizes, dtype="float64", **arguments)

    def make(self, name, **fields):
        return getattr(self.module, self.NAMES[name])(**fields)

    def value(self, name, z, derivative=False, **fields):
        activation = self.make(name, **fields)
        return float((activation.derivative if derivative else activation)(z))


IMPLEMENTATIONS = {"reference": Reference, "fastmlp": Compiled}


def load_implementation(request):
    """For the fixture `implementation`: the implementation whose name is the fixture's parameter."""
    return IMPLEMENTATIONS[request.param]()


def network_maker(implementation):
    """For the fixture `make_network`: a function that makes a network, with the weights and biases of `layers`."""

    def make(sizes, layers=(), **arguments):
        net = implementation.Network(sizes, **arguments)
        for layer, (w, b) in enumerate(layers):
            net.set_layer(layer, w, b)
        return net

    return make


def as_lists(value):
    """Convert arrays, lists of arrays and NumPy scalars to lists and Python numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [as_lists(part) for part in value]
    return value


def exactly(value):
    return pytest.approx(value, rel=1e-12, abs=1e-13)


def numbers(n_rows, n_columns, seed=0):
    generator = random.Random(seed)
    return [[generator.uniform(-1, 1) for _ in range(n_columns)] for _ in range(n_rows)]


def S(x):  # noqa: N802
    return 1 / (1 + math.exp(-x))


def flat(rows):
    return list(itertools.chain.from_iterable(rows))


def gradient_of(net, X, y):
    loss, gradient = net.loss_and_grad(X, y)
    return float(loss), as_lists(gradient)


def parameters_of(net):
    return as_lists(net.parameters)
