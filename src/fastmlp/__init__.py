"""fastmlp: a compiled multilayer perceptron for Python. This file only re-exports the public names."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .about import get_include, info
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
    StepwiseSigmoid,
    StepwiseTanh,
    Tanh,
    Threshold,
)
from .callbacks import Checkpoint, EarlyStopping
from .errors import FormatError
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
from .optimizers import (
    LBFGS,
    SGD,
    AdaGrad,
    Adam,
    AdamHat,
    AdamW,
    ClassicalMomentum,
    Lion,
    NAdam,
    RMSprop,
    Rprop,
)
from .regularization import Regularization
from .scaling import Scaling
from .schedules import ConstantRate, CosineDecay, ExponentialDecay, InverseScaling, OneCycle, ReduceOnPlateau, StepDecay
from .training.state import TrainingState

if TYPE_CHECKING:
    from . import convert, datasets
    from .bound import BoundPredictor
    from .convert import (
        from_fann,
        from_file,
        from_keras,
        from_lwtnn,
        from_onnx,
        from_opencv,
        from_pmml,
        from_pyrenn,
        from_r_nnet,
        from_rtneural,
        from_sklearn,
        from_spark,
        from_stable_baselines3,
        from_torch,
    )
    from .encoder import Encoder
    from .ensemble import Ensemble
    from .policy import Policy
    from .quantization import quantization_report
    from .training.many import fit_many

__all__ = [
    "ELU",
    "GELU",
    "LBFGS",
    "SELU",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamHat",
    "AdamW",
    "BinaryCrossEntropy",
    "BinaryFocal",
    "BoundPredictor",
    "Checkpoint",
    "ClassicalMomentum",
    "ConstantRate",
    "CosineDecay",
    "CrossEntropy",
    "CustomActivation",
    "CustomLoss",
    "EarlyStopping",
    "Encoder",
    "Ensemble",
    "ExponentialDecay",
    "Focal",
    "FormatError",
    "Gamma",
    "Gaussian",
    "GaussianNLL",
    "HalfSquaredError",
    "HardSigmoid",
    "HardTanh",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "InverseScaling",
    "LeakyReLU",
    "Lion",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mish",
    "NAdam",
    "Network",
    "OneCycle",
    "PiecewiseLinear",
    "Poisson",
    "Policy",
    "Quantile",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Regularization",
    "Rprop",
    "Scaling",
    "SiLU",
    "Sigmoid",
    "Sine",
    "Softmax",
    "Softplus",
    "Softsign",
    "SquaredError",
    "StepDecay",
    "StepwiseSigmoid",
    "StepwiseTanh",
    "Tanh",
    "Threshold",
    "TrainingState",
    "__version__",
    "convert",
    "datasets",
    "fit_many",
    "from_fann",
    "from_file",
    "from_keras",
    "from_lwtnn",
    "from_onnx",
    "from_opencv",
    "from_pmml",
    "from_pyrenn",
    "from_r_nnet",
    "from_rtneural",
    "from_sklearn",
    "from_spark",
    "from_stable_baselines3",
    "from_torch",
    "get_include",
    "info",
    "load",
    "quantization_report",
]

# The module of each name that is imported when it is first used.
_LATE = {
    "BoundPredictor": "bound",
    "Encoder": "encoder",
    "Ensemble": "ensemble",
    "Policy": "policy",
    "convert": "convert",
    "datasets": "datasets",
    "fit_many": "training.many",
    "quantization_report": "quantization",
    **{name: "convert" for name in __all__ if name.startswith("from_")},
}


def __getattr__(name: str) -> Any:
    """Import a name of _LATE when it is first used, so that `import fastmlp` stays fast."""
    if name not in _LATE:
        raise AttributeError(f"module 'fastmlp' has no attribute {name!r}")
    module = import_module(f".{_LATE[name]}", "fastmlp")
    return getattr(module, name, module)


def __dir__() -> list[str]:
    """The names of the module, including those that are imported when they are first used."""
    return sorted({*globals(), *__all__})
