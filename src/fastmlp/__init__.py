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
    "BinaryFocal",
    "ConstantRate",
    "CosineDecay",
    "CrossEntropy",
    "CustomLoss",
    "ExponentialDecay",
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
    "InverseScaling",
    "Lion",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NAdam",
    "Network",
    "OneCycle",
    "PiecewiseLinear",
    "Poisson",
    "Quantile",
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
