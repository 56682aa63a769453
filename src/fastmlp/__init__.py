"""fastmlp: the multilayer perceptron that you call from a hot loop. Re-exports; nothing else."""

from . import datasets
from ._version import __version__
from .about import info
from .activations import Gaussian, Identity, PiecewiseLinear, ReLU, Sigmoid, Softmax, Tanh, Threshold
from .callbacks import Checkpoint, EarlyStopping
from .history import History
from .losses import BinaryCrossEntropy, CrossEntropy, HalfSquaredError, MeanSquaredError, SquaredError
from .network import Network, load
from .optimizers import SGD, Adam
from .persistence import FormatError

__all__ = [
    "SGD",
    "Adam",
    "BinaryCrossEntropy",
    "Checkpoint",
    "CrossEntropy",
    "EarlyStopping",
    "FormatError",
    "Gaussian",
    "HalfSquaredError",
    "History",
    "Identity",
    "MeanSquaredError",
    "Network",
    "PiecewiseLinear",
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
