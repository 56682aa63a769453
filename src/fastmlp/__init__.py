"""fastmlp: the multilayer perceptron that you call from a hot loop. Re-exports; nothing else."""

from . import datasets
from ._version import __version__
from .about import info
from .activations import Gaussian, Identity, PiecewiseLinear, ReLU, Sigmoid, Softmax, Tanh, Threshold
from .callbacks import Checkpoint, EarlyStopping
from .history import History
from .losses import BinaryCrossEntropy, CrossEntropy, HalfSquaredError, MeanSquaredError, SquaredError
from .network import Network, load
from .optimizers import LBFGS, SGD, AdaGrad, Adam, AdamW, Lion, NAdam, RMSprop, Rprop
from .persistence import FormatError
from .schedules import (
    ConstantRate,
    CosineDecay,
    ExponentialDecay,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    StepDecay,
)

__all__ = [
    "LBFGS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "Checkpoint",
    "ConstantRate",
    "CosineDecay",
    "CrossEntropy",
    "EarlyStopping",
    "ExponentialDecay",
    "FormatError",
    "Gaussian",
    "HalfSquaredError",
    "History",
    "Identity",
    "InverseScaling",
    "Lion",
    "MeanSquaredError",
    "NAdam",
    "Network",
    "OneCycle",
    "PiecewiseLinear",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Rprop",
    "Sigmoid",
    "Softmax",
    "SquaredError",
    "StepDecay",
    "Tanh",
    "Threshold",
    "__version__",
    "datasets",
    "info",
    "load",
]
