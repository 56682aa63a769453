"""What is suggested for the names that Keras, PyTorch and scikit-learn give to losses, activations and optimisers."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any

import numpy as np
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
}
INITIALIZERS = {
    "glorot_uniform": "xavier_uniform XavierUniform GlorotUniform xavier",
    "he_uniform": "kaiming_uniform HeUniform kaiming",
    "lecun_normal": "LecunNormal",
    "normal": "RandomNormal random_normal",
}
METRICS = {
    "accuracy": "acc accuracy_score BinaryAccuracy sparse_categorical_accuracy",
    "balanced_accuracy": "balanced_accuracy_score",
    "f1": "f1_score F1Score",
    "auc": "roc_auc roc_auc_score AUC",
    "mae": "mean_absolute_error MeanAbsoluteError",
    "mse": "mean_squared_error MSE",
    "rmse": "root_mean_squared_error RootMeanSquaredError",
    "r2": "r2_score R2Score",
}
MISSING = {  # what other libraries have and this package does not, with what is named in its place
    "loss": {
        "'mae'": "MeanAbsolutePercentageError mape MAPE",
        "'mse'": "mean_squared_logarithmic_error msle",
        "'cross_entropy'": "KLDivLoss kl_divergence kld KLD kullback_leibler_divergence "
        "CategoricalGeneralizedCrossEntropy CTCLoss CTC",
        "'hinge'": "squared_hinge SquaredHinge modified_huber perceptron SoftMarginLoss exponential",
        "'binary_cross_entropy'": "MultiLabelMarginLoss soft_margin_loss",
        "'huber'": "epsilon_insensitive squared_epsilon_insensitive",
        "'binary_focal'": "Dice Tversky",
        "fastmlp.CustomLoss": "cosine_similarity CosineEmbeddingLoss HingeEmbeddingLoss dice",
        "cannot compare rows": "TripletMarginLoss TripletMarginWithDistanceLoss MarginRankingLoss Circle",
    },
    "activation": {
        "fastmlp.HardTanh(0, 6)": "relu6 ReLU6",
        "fastmlp.PiecewiseLinear(-1, 1)": "sparse_sigmoid",
        "'silu'": "Hardswish hard_swish hard_silu HardSiLU glu GLU",
        "'elu'": "celu CELU",
        "'leaky_relu'": "PReLU RReLU",
        "'softplus'": "LogSigmoid log_sigmoid squareplus sparse_plus",
        "'softmax'": "Softmin sparsemax",
        "fastmlp.CustomActivation": "exponential Softshrink Hardshrink Tanhshrink tanh_shrink",
        "layer": "MultiheadAttention AdaptiveLogSoftmaxWithLoss",
    },
    "optimizer": {
        "'adam'": "Adadelta AdaDelta Adamax AdaMax Adafactor RAdam SparseAdam AMSGrad",
        "'nadam'": "NAdamW nadam_w Adan",
        "'adamw'": "Lamb Muon",
        "fastmlp.Regularization(average=...)": "ASGD",
        "fastmlp.Regularization(l1=...)": "Ftrl ftrl FTRL",
        "'lbfgs'": "newton-cg Levenberg-Marquardt sag saga",
        "the optimiser that it would hold": "LossScaleOptimizer",
    },
    "init": {
        "'glorot_uniform'": "xavier_normal GlorotNormal uniform RandomUniform VarianceScaling",
        "'he_uniform'": "kaiming_normal HeNormal",
        "'lecun_normal'": "LecunUniform TruncatedNormal trunc_normal",
        "Network.set_layer": "zeros Ones orthogonal constant",
    },
    "metrics": {"metric(y_true, y_pred)": "top_k_categorical_accuracy matthews_corrcoef MeanIoU mape max_error"},
}
CASES = [
    pytest.param(argument, name, meant, id=f"{argument}-{name}")
    for argument, table in (
        ("loss", LOSSES),
        ("activation", ACTIVATIONS),
        ("optimizer", OPTIMIZERS),
        ("init", INITIALIZERS),
        ("metrics", METRICS),
    )
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


KERAS = (
    """
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence LogCosh
    MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky
""",
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid
    sparsemax squareplus swish tanh tanh_shrink threshold
""",
    "Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD",
)
KNOWN = {
    "loss": list(fastmlp.losses.LOSSES),
    "activation": list(fastmlp.activations.ACTIVATIONS),
    "optimizer": list(fastmlp.optimizers.OPTIMIZERS),
    "init": ["auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal"],
    "metrics": ["accuracy", "balanced_accuracy", "precision", "recall", "f1", "auc", "mae", "mse", "rmse", "r2"],
}


@pytest.mark.oracle
@pytest.mark.parametrize("argument", TORCH)
def test_every_name_that_pytorch_has(argument: str) -> None:
    torch = pytest.importorskip("torch")
    names = {
        "loss": [name for name in vars(torch.nn) if name.endswith("Loss")],
        "activation": torch.nn.modules.activation.__all__,
        "optimizer": [name for name, kind in vars(torch.optim).items() if isinstance(kind, type)],
    }[argument]
    assert names
    for name in set(names) - {"Optimizer"}:  # the base class
        meant = TORCH[argument].get(name, name.lower() if name.lower() in KNOWN[argument] else "")
        said = fastmlp.suggestions.suggest(name, KNOWN[argument])
        if meant:
            assert said == f"; did you mean {meant!r}?", name
        else:
            assert said.startswith(f"; {name!r} is not available: "), name


@pytest.mark.parametrize(("argument", "names"), list(zip(TORCH, KERAS, strict=True)))
def test_every_name_that_keras_has_is_known_or_has_an_answer(argument: str, names: str) -> None:
    for name in names.split():
        if name not in KNOWN[argument]:
            said = fastmlp.suggestions.suggest(name, KNOWN[argument])
            assert said.startswith(("; did you mean '", f"; {name!r} is not available: ")), name


def use(argument: str, name: str) -> None:
    """Pass the name as that argument."""
    if argument == "optimizer":
        fastmlp.Network([1, 1]).fit([[0.0]], [0.0], optimizer=name)
    elif argument == "metrics":
        fastmlp.Network([1, 1]).evaluate([[0.0]], [0.0], metrics=[name])
    else:
        fastmlp.Network([1, 1, 1], **{argument: name})  # type: ignore[arg-type]


@pytest.mark.parametrize(("argument", "name", "meant"), CASES)
def test_names_of_other_libraries(argument: str, name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(name))) as error:
        use(argument, name)
    assert str(error.value).partition(repr(name))[2] == f"; did you mean '{meant}'?"


@pytest.mark.parametrize(
    ("argument", "name", "named"),
    [
        pytest.param(argument, name, named, id=f"{argument}-{name}")
        for argument, table in MISSING.items()
        for named, names in table.items()
        for name in names.split()
    ],
)
def test_what_is_missing_is_said_with_what_to_use(argument: str, name: str, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"got {name!r}; {name!r} is not available: ")) as error:
        use(argument, name)
    assert named in str(error.value).partition(" is not available: ")[2]


@pytest.mark.parametrize("argument", KNOWN)
def test_what_is_suggested_exists(argument: str) -> None:
    """Every suggested name is valid for its argument, and every suggested object exists in the package."""
    tables = next(tables for name, tables in fastmlp.suggestions.TABLES.items() if name in KNOWN[argument])
    for meant in tables.aliases.values():
        assert {*([meant] if isinstance(meant, str) else meant)} <= {*KNOWN[argument]}
    for advice in tables.missing.values():
        assert {*re.findall(r"'([^']*)'", advice)} <= {*KNOWN[argument]}, advice
        for call in re.findall(r"fastmlp[.][A-Za-z]+(?:[(][-0-9, ]+[)])?", advice):
            assert eval(call, {"fastmlp": fastmlp}), call
        for name, field in re.findall(r"fastmlp[.]([A-Za-z]+)[(]([a-z_0-9]+)=", advice):
            assert field in inspect.signature(getattr(fastmlp, name)).parameters, advice


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu6", lambda z: np.clip(z, 0, 6)),
        ("sparse_sigmoid", lambda z: np.where(z <= -1, 0, np.where(z >= 1, 1, 0.5 * (z + 1)))),  # as Keras says
    ],
)
def test_what_is_said_to_be_the_same_function_is(name: str, function: Any) -> None:
    advice = fastmlp.suggestions.suggest(name, KNOWN["activation"])
    call = re.findall(r"fastmlp[.]\w+[(][^)]*[)]", advice)
    z = np.linspace(-8, 8, 65)
    np.testing.assert_allclose(eval(call[0], {"fastmlp": fastmlp})(z), function(z), rtol=1e-15)


def test_import_does_not_need_it() -> None:
    line = "import sys, fastmlp; print('fastmlp.suggestions' in sys.modules, 'difflib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True).stdout
    assert out.split()[0] == "False"
