"""fastmlp: the multilayer perceptron that you call from a hot loop. Re-exports; nothing else."""

from . import datasets
from ._version import __version__
from .about import info
from .activations import (
    ELU,
    GELU,
    SELU,
    CustomActivation,
    Gaussian,
    HardSigmoid,
    HardTanh,
    Identity,
    LeakyReLU,
    Mish,
    PiecewiseLinear,
    ReLU,
    Sigmoid,
    SiLU,
    Sine,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
)
from .history import History
from .losses import BinaryCrossEntropy, CrossEntropy, HalfSquaredError, MeanSquaredError, SquaredError
from .network import Network, load
from .optimizers import SGD, Adam
from .persistence import FormatError

__all__ = [
    "ELU",
    "GELU",
    "SELU",
    "SGD",
    "Adam",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "CustomActivation",
    "FormatError",
    "Gaussian",
    "HalfSquaredError",
    "HardSigmoid",
    "HardTanh",
    "History",
    "Identity",
    "LeakyReLU",
    "MeanSquaredError",
    "Mish",
    "Network",
    "PiecewiseLinear",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Sine",
    "Softmax",
    "Softplus",
    "Softsign",
    "SquaredError",
    "Tanh",
    "Threshold",
    "__version__",
    "datasets",
    "info",
    "load",
]
