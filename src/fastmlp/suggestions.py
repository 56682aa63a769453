"""What a name that is not known was meant to be: names of Keras, PyTorch and scikit-learn, and slips of the pen.

Imported only when an error is made. The tables have what the other libraries call what this package has, and, with
None, what it does not have: for that nothing is suggested, rather than something that is only spelt alike. Case,
underscores and other signs do not count, nor does a "loss" at the end.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LOG_LOSS = "cross_entropy", "binary_cross_entropy"

MISSING_LOSSES = """
    meanabsolutepercentageerror mape meansquaredlogarithmicerror msle kldivergence kldiv cosinesimilarity
    cosineembedding squaredhinge hingeembedding dice tversky ctc circle softmargin multilabelmargin
    marginranking tripletmargin tripletmarginwithdistance modifiedhuber perceptron exponential
    epsiloninsensitive squaredepsiloninsensitive
"""
MISSING_ACTIVATIONS = """
    celu exponential glu hardshrink hardsilu hardswish logsigmoid relu6 softshrink sparseplus sparsesigmoid
    sparsemax squareplus tanhshrink prelu rrelu softmin multiheadattention adaptivelogsoftmaxwithloss
"""
MISSING_OPTIMIZERS = """
    adadelta adamax adafactor ftrl lamb muon lossscaleoptimizer sparseadam asgd radam newtoncg
"""

LOSSES: dict[str, str | tuple[str, ...] | None] = {
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
    # what is not here
    **dict.fromkeys(MISSING_LOSSES.split()),
}

ACTIVATIONS: dict[str, str | tuple[str, ...] | None] = {
    "logsoftmax": "softmax",
    "softmax2d": "softmax",
    "gelutanh": "gelu",
    "heaviside": "threshold",
    "step": "threshold",
    "sin": "sine",
    "none": "identity",
    **dict.fromkeys(MISSING_ACTIVATIONS.split()),
}

OPTIMIZERS: dict[str, str | tuple[str, ...] | None] = {
    "momentum": "classical_momentum",
    "sgdmomentum": "classical_momentum",
    "sgdwithmomentum": "classical_momentum",
    "heavyball": "classical_momentum",
    "nesterov": "classical_momentum",
    "sgdnesterov": "classical_momentum",
    "gradientdescent": "sgd",
    "bfgs": "lbfgs",
    "lbfgsb": "lbfgs",
    **dict.fromkeys(MISSING_OPTIMIZERS.split()),
}


def suggest(value: str, known: Sequence[str]) -> str:
    """The end of a message, "; did you mean ...?"; nothing where there is nothing to suggest."""
    plain = _plain(value)
    same = [name for name in known if _plain(name) in (plain, plain.removesuffix("loss"))]
    if same:
        return _ask(same[:1])
    table = next((table for name, table in TABLES.items() if name in known), {})
    for key in (plain, plain.removesuffix("loss")):
        if key in table:
            found = table[key]
            names = (found,) if isinstance(found, str) else found or ()
            return _ask([name for name in names if name in known])
    return _ask(difflib.get_close_matches(value.lower(), known, n=1))


TABLES = {"relu": ACTIVATIONS, "adam": OPTIMIZERS, "mse": LOSSES}  # by a name that only this kind has


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def _ask(names: Sequence[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""
