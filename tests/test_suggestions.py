"""What is suggested for the names that Keras, PyTorch and scikit-learn give to losses, activations and optimisers."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import fastmlp
import fastmlp.suggestions

LOSSES = {
    "mse": "MSE mean_squared_error MeanSquaredError MSELoss mse_loss",
    "mae": "MAE mean_absolute_error MeanAbsoluteError L1Loss l1_loss absolute_error",
    "huber": "Huber HuberLoss huber_loss SmoothL1Loss smooth_l1_loss",
    "log_cosh": "logcosh LogCosh",
    "binary_cross_entropy": "binary_crossentropy BinaryCrossentropy BCELoss BCEWithLogitsLoss "
    "binary_cross_entropy_with_logits MultiLabelSoftMarginLoss",
    "cross_entropy": "categorical_crossentropy sparse_categorical_crossentropy CategoricalCrossentropy "
    "SparseCategoricalCrossentropy LinearCrossEntropyLoss CrossEntropyLoss NLLLoss nll_loss",
    "cross_entropy' or 'binary_cross_entropy": "log_loss logistic",
    "binary_focal": "BinaryFocalCrossentropy binary_focal_crossentropy",
    "focal": "CategoricalFocalCrossentropy categorical_focal_crossentropy",
    "hinge": "Hinge categorical_hinge CategoricalHinge MultiMarginLoss multi_margin_loss",
    "poisson": "Poisson PoissonNLLLoss poisson_nll_loss",
    "gaussian_nll": "GaussianNLLLoss gaussian_nll_loss",
    "quantile": "pinball Pinball pinball_loss",
    "squared_error": "squared_loss",
    "": "MeanAbsolutePercentageError mean_squared_logarithmic_error KLDivLoss kl_divergence cosine_similarity "
    "squared_hinge HingeEmbeddingLoss Dice CTCLoss SoftMarginLoss TripletMarginLoss epsilon_insensitive",
}
ACTIVATIONS = {
    "relu": "ReLU",
    "leaky_relu": "LeakyReLU leakyrelu",
    "hard_sigmoid": "Hardsigmoid hardsigmoid",
    "hard_tanh": "Hardtanh hardtanh",
    "softmax": "Softmax LogSoftmax log_softmax",
    "identity": "Identity",
    "linear": "Linear",
    "silu": "SiLU",
    "swish": "Swish",
    "threshold": "Threshold",
    "sigmoid": "Sigmoid",
    "elu": "ELU",
    "gelu": "GELU gelu_tanh",
    "": "relu6 ReLU6 PReLU celu glu exponential LogSigmoid Hardswish hard_silu Softshrink Tanhshrink",
}
OPTIMIZERS = {
    "sgd": "SGD",
    "classical_momentum": "sgd+momentum momentum SGD_momentum Nesterov",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam NAdam",
    "rmsprop": "RMSprop RMSProp",
    "adagrad": "Adagrad",
    "lion": "Lion",
    "rprop": "Rprop",
    "lbfgs": "LBFGS L-BFGS L-BFGS-B",
    "": "Adadelta Adamax Ftrl Adafactor RAdam ASGD SparseAdam Lamb Muon",
}
CASES = [
    pytest.param(argument, name, meant, id=f"{argument}-{name}")
    for argument, table in (("loss", LOSSES), ("activation", ACTIVATIONS), ("optimizer", OPTIMIZERS))
    for meant, names in table.items()
    for name in names.split()
]


TORCH = {  # what is meant by each of PyTorch's names that is not spelt like one of ours; "" for what is not here
    "loss": {
        **dict.fromkeys(["BCELoss", "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"], "binary_cross_entropy"),
        **dict.fromkeys(["CrossEntropyLoss", "LinearCrossEntropyLoss", "NLLLoss"], "cross_entropy"),
        **dict.fromkeys(["HuberLoss", "SmoothL1Loss"], "huber"),
        "L1Loss": "mae",
        "MSELoss": "mse",
        "MultiMarginLoss": "hinge",
        "PoissonNLLLoss": "poisson",
        "GaussianNLLLoss": "gaussian_nll",
    },
    "activation": {"LogSoftmax": "softmax", "Softmax2d": "softmax", "LeakyReLU": "leaky_relu"}
    | {"Hardtanh": "hard_tanh", "Hardsigmoid": "hard_sigmoid"},
    "optimizer": {},
}


@pytest.mark.oracle
@pytest.mark.parametrize("argument", TORCH)
def test_every_name_that_pytorch_has(argument: str) -> None:
    torch = pytest.importorskip("torch")
    names, known = {
        "loss": ([name for name in vars(torch.nn) if name.endswith("Loss")], fastmlp.losses.LOSSES),
        "activation": (torch.nn.modules.activation.__all__, fastmlp.activations.ACTIVATIONS),
        "optimizer": (
            [name for name, kind in vars(torch.optim).items() if isinstance(kind, type)],
            fastmlp.optimizers.OPTIMIZERS,
        ),
    }[argument]
    assert names
    for name in names:
        meant = TORCH[argument].get(name, name.lower() if name.lower() in known else "")
        said = fastmlp.suggestions.suggest(name, list(known))
        assert said == (f"; did you mean {meant!r}?" if meant else ""), name


@pytest.mark.parametrize(("argument", "name", "meant"), CASES)
def test_names_of_other_libraries(argument: str, name: str, meant: str) -> None:
    def use() -> None:
        if argument == "optimizer":
            fastmlp.Network([1, 1]).fit([[0.0]], [0.0], optimizer=name)
        else:
            fastmlp.Network([1, 1, 1], **{argument: name})  # type: ignore[arg-type]

    with pytest.raises(ValueError, match=re.escape(repr(name))) as error:
        use()
    end = str(error.value).partition(repr(name))[2]
    assert end == (f"; did you mean '{meant}'?" if meant else "")


def test_import_does_not_need_it() -> None:
    line = "import sys, fastmlp; print('fastmlp.suggestions' in sys.modules, 'difflib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == "False"
