"""Suggestions for an unknown name in a message: the name that was probably meant, or what to use instead.

This file is imported only when an error is raised. Each kind of name (losses, activations, ...) has two tables. One
maps names of Keras, PyTorch and scikit-learn to this package's names for the same thing. The other one has advice for
things that this package does not have. Only a name that is in neither table is compared by spelling, so that a name of
another library never leads to one that is merely spelt alike. The tables have names in lower case without underscores
or other signs; "loss" at the end of a name is ignored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Names = Mapping[str, str | tuple[str, ...]]


class Tables(NamedTuple):
    """The two tables of one kind of name: other names for what this package has, and advice for what it lacks."""

    aliases: Names
    missing: Mapping[str, str]


def _by_name(*advice: tuple[str, str]) -> dict[str, str]:
    """Make a dict of advice by name from pairs (names separated by spaces, advice)."""
    return {name: text for names, text in advice for name in names.split()}


LOG_LOSS = "cross_entropy", "binary_cross_entropy"
OWN_LOSS = "use fastmlp.CustomLoss, which takes a function of outputs and targets"
OWN_ACTIVATION = "use fastmlp.CustomActivation, which takes a function and its derivative"

LOSSES: Names = {
    # Keras, and functions of PyTorch, whose classes have the same names but for case and "Loss"
    "meansquarederror": "mse",
    "l2": "mse",
    "meanabsoluteerror": "mae",
    "l1": "mae",
    "smoothl1": "huber",
    "logcosh": "log_cosh",
    "binarycrossentropy": "binary_cross_entropy",
    "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy",
    "crossentropy": "cross_entropy",
    "linearcrossentropy": "cross_entropy",
    "binaryfocalcrossentropy": "binary_focal",
    "categoricalfocalcrossentropy": "focal",
    "sigmoidfocal": "binary_focal",
    "categoricalhinge": "hinge",
    "multimargin": "hinge",
    "bce": "binary_cross_entropy",
    "bcewithlogits": "binary_cross_entropy",
    "binarycrossentropywithlogits": "binary_cross_entropy",
    "multilabelsoftmargin": "binary_cross_entropy",
    "nll": "cross_entropy",
    "poissonnll": "poisson",
    "gaussiannll": "gaussian_nll",
    # scikit-learn
    "squared": "squared_error",
    "leastsquares": "squared_error",
    "absoluteerror": "mae",
    "leastabsolutedeviation": "mae",
    "pinball": "quantile",
    "log": LOG_LOSS,
    "logloss": LOG_LOSS,
    "logistic": LOG_LOSS,
    "deviance": LOG_LOSS,
}

MISSING_LOSSES = _by_name(
    ("meanabsolutepercentageerror mape", "use 'mae', with target_scaling where targets differ in size"),
    ("meansquaredlogarithmicerror msle", "use 'mse' with targets log(1 + y)"),
    ("kldivergence kldiv kld kullbackleiblerdivergence", "use 'cross_entropy', which has the same gradient"),
    ("squaredhinge", "use 'hinge'"),
    ("modifiedhuber perceptron exponential softmargin", "use 'binary_cross_entropy' or 'hinge', with targets 0 and 1"),
    ("multilabelmargin", "use 'binary_cross_entropy'"),
    ("categoricalgeneralizedcrossentropy", "use 'cross_entropy' or fastmlp.CrossEntropy(label_smoothing=...)"),
    ("epsiloninsensitive", "use 'mae' or 'huber'"),
    ("squaredepsiloninsensitive", "use 'mse' or 'huber'"),
    ("dice tversky", f"use 'focal' or 'binary_focal' for rare classes, or {OWN_LOSS[4:]}"),
    ("cosinesimilarity cosineembedding hingeembedding", OWN_LOSS),
    (
        "marginranking tripletmargin tripletmarginwithdistance circle",
        "a loss here sees one row at a time and cannot compare rows",
    ),
    ("adaptivelogsoftmaxwithloss", "use 'cross_entropy'"),
    ("ctc", "a network here has no sequences of outputs; 'cross_entropy' is for one label a row"),
)

ACTIVATIONS: Names = {
    "logsoftmax": "softmax",
    "softmax2d": "softmax",
    "gelutanh": "gelu",
    "heaviside": "threshold",
    "step": "threshold",
    "sin": "sine",
    "none": "identity",
    "gelunew": "gelu",
    "quickgelu": "gelu",
}

MISSING_ACTIVATIONS = _by_name(
    ("relu6", "use fastmlp.HardTanh(0, 6), which is the same function"),
    ("sparsesigmoid", "use fastmlp.PiecewiseLinear(-1, 1), which is the same function"),
    ("hardsilu hardswish glu swiglu geglu", "use 'silu'"),
    ("celu", "use 'elu'"),
    ("prelu rrelu", "use 'leaky_relu', whose slope is given and not learnt"),
    ("thresholdedrelu maxout", "use 'relu'"),
    ("sparseplus squareplus", "use 'softplus'"),
    ("logsigmoid", "use 'softplus', as ln sigmoid(z) = -softplus(-z)"),
    ("sparsemax softmin", "use 'softmax'"),
    ("exponential hardshrink softshrink tanhshrink atan arctan cos cosine lisht", OWN_ACTIVATION),
    ("multiheadattention adaptivelogsoftmaxwithloss", "it is a layer of its own, and layers here are dense"),
)

OPTIMIZERS: Names = {
    "momentum": "classical_momentum",
    "sgdmomentum": "classical_momentum",
    "sgdwithmomentum": "classical_momentum",
    "heavyball": "classical_momentum",
    "nesterov": "classical_momentum",
    "sgdnesterov": "classical_momentum",
    "gradientdescent": "sgd",
    "bfgs": "lbfgs",
    "lbfgsb": "lbfgs",
}

MISSING_OPTIMIZERS = _by_name(
    ("adadelta", "use 'rmsprop' or 'adam'"),
    ("adamax amsgrad radam adabelief adafactor sparseadam", "use 'adam'"),
    ("lossscaleoptimizer", "use the optimiser that it would hold, as no loss needs to be scaled here"),
    ("adan nadamw", "use 'nadam', with fastmlp.Regularization(weight_decay=...) where weights should decay"),
    ("lamb muon shampoo sophia prodigy", "use 'adamw'"),
    ("lars", "use fastmlp.SGD(momentum=...)"),
    ("ftrl", "use 'adagrad', with fastmlp.Regularization(l1=...)"),
    ("asgd", "use 'sgd', with fastmlp.Regularization(average=...)"),
    ("newtoncg newton gaussnewton levenbergmarquardt lm cg conjugategradient", "use 'lbfgs'"),
    ("sag saga", "use 'sgd' or 'lbfgs'"),
)

INITIALIZERS: Names = {
    "xavier": "glorot_uniform",
    "xavieruniform": "glorot_uniform",
    "glorot": "glorot_uniform",
    "kaiming": "he_uniform",
    "kaiminguniform": "he_uniform",
    "he": "he_uniform",
    "lecun": "lecun_normal",
    "randomnormal": "normal",
    "default": "auto",
}

MISSING_INITIALIZERS = _by_name(
    ("xaviernormal glorotnormal", "use 'glorot_uniform', which has the same variance"),
    ("kaimingnormal henormal", "use 'he_uniform', which has the same variance"),
    ("lecununiform", "use 'lecun_normal', which has the same variance"),
    ("uniform randomuniform", "use 'glorot_uniform'"),
    ("truncnormal truncatednormal", "use 'normal' or 'lecun_normal'"),
    ("variancescaling", "use 'glorot_uniform', 'he_uniform' or 'lecun_normal'"),
    ("zeros ones constant eye identity dirac orthogonal sparse", "set the weights with Network.set_layer"),
)

METRICS: Names = {
    **dict.fromkeys(
        ["acc", "accuracyscore", "binaryaccuracy", "categoricalaccuracy", "sparsecategoricalaccuracy"], "accuracy"
    ),
    "balancedaccuracyscore": "balanced_accuracy",
    "precisionscore": "precision",
    "recallscore": "recall",
    **dict.fromkeys(["f1score", "fscore", "fmeasure"], "f1"),
    **dict.fromkeys(["rocauc", "rocaucscore"], "auc"),
    **dict.fromkeys(["meanabsoluteerror", "negmeanabsoluteerror", "l1"], "mae"),
    **dict.fromkeys(["meansquarederror", "negmeansquarederror", "l2"], "mse"),
    **dict.fromkeys(["rootmeansquarederror", "negrootmeansquarederror"], "rmse"),
    **dict.fromkeys(["r2score", "rsquared"], "r2"),
}

OWN_METRIC = "give a function metric(y_true, y_pred) in its place"
MISSING_METRICS = _by_name(
    (
        "averageprecision averageprecisionscore topkcategoricalaccuracy matthewscorrcoef cohenkappa cohenkappascore "
        "jaccard jaccardscore meaniou confusionmatrix mape meanabsolutepercentageerror msle "
        "meansquaredlogarithmicerror maxerror medianabsoluteerror explainedvariance specificity logloss",
        OWN_METRIC,
    ),
)


def suggest(value: str, names: Sequence[str]) -> str:
    """Return the end of the message of an error that refuses `value`, where one of `names` was expected.

    It is "; did you mean ...?" or "; ... is not available: use ...", or "" if there is nothing to suggest.
    """
    normalized = _normalized(value)
    keys = normalized, normalized.removesuffix("loss")
    same = [name for name in names if _normalized(name) in keys]
    if same:
        return _did_you_mean(same[:1])
    tables = next((tables for name, tables in TABLES.items() if name in names), Tables({}, {}))
    for key in keys:
        if key in tables.aliases:
            found = tables.aliases[key]
            return _did_you_mean([name for name in ((found,) if isinstance(found, str) else found) if name in names])
        if key in tables.missing:
            return f"; {value!r} is not available: {tables.missing[key]}"
    return _did_you_mean(difflib.get_close_matches(value.lower(), names, n=1))


# The tables of each kind, by a name of that kind. `suggest` takes the first of these names that was expected, so a name
# must not occur in a later kind ("mse" is a loss and a metric, "rmse" is a metric only).
TABLES = {
    "relu": Tables(ACTIVATIONS, MISSING_ACTIVATIONS),
    "adam": Tables(OPTIMIZERS, MISSING_OPTIMIZERS),
    "lecun_normal": Tables(INITIALIZERS, MISSING_INITIALIZERS),
    "rmse": Tables(METRICS, MISSING_METRICS),
    "mse": Tables(LOSSES, MISSING_LOSSES),
}


def _normalized(name: str) -> str:
    """Return the name in lower case, without characters other than letters and digits."""
    return "".join(filter(str.isalnum, name.lower()))


def _did_you_mean(names: Iterable[str]) -> str:
    """Return a question with the names, or "" if there are none."""
    alternatives = " or ".join(map(repr, names))
    return f"; did you mean {alternatives}?" if alternatives else ""
