"""What a name that is not known was meant to be: names of Keras, PyTorch and scikit-learn, and slips of the pen.

Imported only when an error is made. Each kind of name has two tables: what the other libraries call what this package
has, and, for what it does not have, what to use in its place. Only a name that is in neither is compared by spelling,
so that nothing is suggested that is only spelt alike. Case, underscores and other signs do not count, nor does a "loss"
at the end.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Names = Mapping[str, str | tuple[str, ...]]


class Tables(NamedTuple):
    """The names of one kind: those that mean one of ours, and those of what is missing, with what to use."""

    same: Names
    missing: Mapping[str, str]


def _each(*advice: tuple[str, str]) -> dict[str, str]:
    """Advice by name, from pairs of names, with spaces between them, and what all of them get."""
    return {name: text for names, text in advice for name in names.split()}


LOG_LOSS = "cross_entropy", "binary_cross_entropy"
OWN_LOSS = "use fastmlp.CustomLoss, which takes a function of outputs and targets"
OWN_ACTIVATION = "use fastmlp.CustomActivation, which takes a function and its derivative"

LOSSES: Names = {
    # Keras, and functions of PyTorch, whose classes differ by case and "Loss" alone
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

MISSING_LOSSES = _each(
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

MISSING_ACTIVATIONS = _each(
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

MISSING_OPTIMIZERS = _each(
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

MISSING_INITIALIZERS = _each(
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
MISSING_METRICS = _each(
    (
        "averageprecision averageprecisionscore topkcategoricalaccuracy matthewscorrcoef cohenkappa cohenkappascore "
        "jaccard jaccardscore meaniou confusionmatrix mape meanabsolutepercentageerror msle "
        "meansquaredlogarithmicerror maxerror medianabsoluteerror explainedvariance specificity logloss",
        OWN_METRIC,
    ),
)


def suggest(value: str, known: Sequence[str]) -> str:
    """The end of a message: "; did you mean ...?", or "; ... is not available: use ..."; "" where nothing is known."""
    plain = _plain(value)
    same = [name for name in known if _plain(name) in (plain, plain.removesuffix("loss"))]
    if same:
        return _ask(same[:1])
    tables = next((tables for name, tables in TABLES.items() if name in known), Tables({}, {}))
    for key in (plain, plain.removesuffix("loss")):
        if key in tables.same:
            found = tables.same[key]
            return _ask([name for name in ((found,) if isinstance(found, str) else found) if name in known])
        if key in tables.missing:
            return f"; {value!r} is not available: {tables.missing[key]}"
    return _ask(difflib.get_close_matches(value.lower(), known, n=1))


TABLES = {  # by a name that only this kind has, and the kinds after it
    "relu": Tables(ACTIVATIONS, MISSING_ACTIVATIONS),
    "adam": Tables(OPTIMIZERS, MISSING_OPTIMIZERS),
    "lecun_normal": Tables(INITIALIZERS, MISSING_INITIALIZERS),
    "rmse": Tables(METRICS, MISSING_METRICS),
    "mse": Tables(LOSSES, MISSING_LOSSES),
}


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _ask(names: Iterable[str]) -> str:
    listed = " or ".join(map(repr, names))
    return f"; did you mean {listed}?" if listed else ""
