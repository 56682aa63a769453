"""fastmlp: the multilayer perceptron that you call from a hot loop. Re-exports; nothing else."""

from . import datasets
from ._version import __version__
from .about import info
from .activations import Gaussian, Identity, PiecewiseLinear, ReLU, Sigmoid, Softmax, Tanh, Threshold
from .history import History
from .losses import (
    BinaryCrossEntropy,
    BinaryFocal,
    CrossEntropy,
    CustomLoss,
    Focal,
    Gamma,
    GaussianNLL,
    HalfSquaredError,
    Hinge,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
    SquaredError,
)
from .network import Network, load
from .optimizers import SGD, Adam
from .persistence import FormatError

__all__ = [
    "SGD",
    "Adam",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "CrossEntropy",
    "CustomLoss",
    "Focal",
    "FormatError",
    "Gamma",
    "Gaussian",
    "GaussianNLL",
    "HalfSquaredError",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Network",
    "PiecewiseLinear",
    "Poisson",
    "Quantile",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "SquaredError",
    "Tanh",
    "Threshold",
    "__version__",
    "datasets",
    "info",
    "load",
]
