"""Estimators of scikit-learn: `read` makes a chain of a fitted one, `write` a fitted one of a network.

`read` goes from the outside in: a `Pipeline` gives the steps of its scalers, a `TransformedTargetRegressor` that of its
transformer after those of its regressor, and an `MLPClassifier` or `MLPRegressor`, also of `fastmlp.sklearn`, its
layers. SCALERS and ESTIMATORS are the tables of what is understood; everything else is refused by its name.

The chain's `original` is asked in float64: the scalers of scikit-learn round their own means to the dtype of the rows,
and so lose in float32 what is far from 0.
"""

from __future__ import annotations

import inspect
import itertools
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn
from sklearn.base import is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    LabelBinarizer,
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from ..activations import Activation, CustomActivation, HardTanh, Identity, ReLU, Sigmoid, Softmax, Tanh
from ..inputs import labels
from ..losses import BinaryCrossEntropy, CustomLoss, Gamma, GaussianNLL, Hinge, Loss, Poisson
from ..sklearn.base import BaseMLP
from ..sklearn.parameters import feature_names
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .scalings import learnt

if TYPE_CHECKING:
    from ..inputs.labels import Label
    from ..network import Network
    from ..scaling import Scaling

TOOL = "scikit-learn"
ACTIVATIONS: dict[str, Activation] = {  # scikit-learn's names
    "identity": Identity(),
    "logistic": Sigmoid(),
    "tanh": Tanh(),
    "relu": ReLU(),
    "softmax": Softmax(),
    "exp": Identity(),  # the output of loss="poisson", of which the network gives the logarithm
}
NAMES = {activation: name for name, activation in ACTIVATIONS.items() if name != "exp"}
MAX_SCALER_ERROR = 5e-5  # of a scaled column, by which rounding to float32 may move it without a word
ADVICE = (
    "from_sklearn takes MLPClassifier and MLPRegressor, in a Pipeline with StandardScaler, MinMaxScaler, MaxAbsScaler "
    "or RobustScaler, and in a TransformedTargetRegressor with one of these"
)


class _Model:
    """What is found in an estimator, from the outermost to the innermost."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.folded: list[str] = []
        self.loss: Loss | None = None
        self.class_names: tuple[Label, ...] | None = None
        self.dtype = np.dtype(np.float32)
        self.n_inputs = 0
        self.output = ""  # the name of the output activation, "" of our own estimators


def read(estimator: Any) -> Chain:
    """Return the chain of a fitted estimator; see `fastmlp.from_sklearn`."""
    if isinstance(estimator, (str, bytes, os.PathLike)):
        raise TypeError(
            "estimator: expected a fitted estimator, got a path; load it first, with joblib.load or pickle.load, if "
            "you trust whoever has made it"
        )
    model = _Model()
    _add(model, estimator, type(estimator).__name__)
    names = _feature_names(model, estimator)
    _warn_of_float32(model)
    return Chain(
        tuple(model.steps),
        TOOL,
        sklearn.__version__,
        model.dtype.name,
        getattr(estimator, "n_features_in_", model.n_inputs),
        loss=model.loss,
        feature_names=names,
        class_names=model.class_names,
        original=_original(estimator, model),
        folded=tuple(model.folded),
    )


def _warn_of_float32(model: _Model) -> None:
    """Warn where scalers are much less exact than the network on rows of float32, which the estimator was fitted on."""
    if model.dtype != np.float32:
        return
    for step in itertools.takewhile(lambda step: isinstance(step, Affine), model.steps):
        assert isinstance(step, Affine)
        with np.errstate(all="ignore"):
            if step.multiplies:
                error = np.abs(step.offset) * np.finfo(np.float32).eps
            else:
                error = np.abs((step.offset.astype(np.float32) - step.offset) / step.scale)
        if error.max() > MAX_SCALER_ERROR:
            note = (
                f"{step.place}: rounds its numbers to float32 for rows of float32, which moves column "
                f"{int(error.argmax())} by {error.max():.2g} after scaling; the network does not round them, and gives "
                "what the estimator gives for X.astype('float64')"
            )
            model.folded.append(note)
            warnings.warn(note, stacklevel=4)


def _refuse_replaced(estimator: Any, place: str) -> None:
    """Refuse an object that has a method of its own in place of its class's."""
    replaced = [name for name in ANSWERS if name in vars(estimator)]
    if replaced:
        own = f"a {type(estimator).__name__} whose method {replaced[0]} has been replaced"
        refuse(place, own, "what it computes is not known")


def _same_method(kind: type, parent: type, name: str) -> bool:
    return inspect.getattr_static(kind, name, None) is inspect.getattr_static(parent, name, None)


def _add(model: _Model, estimator: Any, place: str) -> None:
    """Add the steps of an estimator, which `place` is the name of in messages."""
    for kind, add in ESTIMATORS.items():
        if isinstance(estimator, kind):
            if kind is not BaseMLP and not all(_same_method(type(estimator), kind, name) for name in ANSWERS):
                own = f"a {type(estimator).__name__}, which predicts in a way of its own"
                refuse(place, own, f"give a {kind.__name__}")
            _refuse_replaced(estimator, place)
            check_is_fitted(estimator)
            add(model, estimator, place)
            return
    advice = ADVICE
    if hasattr(estimator, "best_estimator_"):
        advice = "give its best_estimator_"
    refuse(place, f"a {type(estimator).__name__}" if place != type(estimator).__name__ else "another model", advice)


# -------------------------------------------------------------------------------------------------- pipelines, scalers


def _add_pipeline(model: _Model, pipeline: Any, place: str) -> None:
    for name, transformer in pipeline.steps[:-1]:
        _add_transformer(model, transformer, f"{place}, step {name!r}")
    name, last = pipeline.steps[-1]
    _add(model, last, f"{place}, step {name!r}")


def _add_transformer(model: _Model, transformer: Any, place: str) -> None:
    """Add the steps of a transformer of columns."""
    if type(transformer) is Pipeline:
        _refuse_replaced(transformer, place)
        for name, inner in transformer.steps:
            _add_transformer(model, inner, f"{place}, step {name!r}")
    elif _does_nothing(transformer, place):
        model.folded.append(f"{place}: passes its input through")
    else:
        model.steps.extend(_scaler(transformer, place)(transformer, place))


def _does_nothing(transformer: Any, place: str) -> bool:
    if type(transformer) is FunctionTransformer:
        _refuse_replaced(transformer, place)
        return transformer.func is None and transformer.inverse_func is None
    return transformer is None or transformer == "passthrough"


def _scaler(transformer: Any, place: str) -> Callable[[Any, str], list[Step]]:
    """Return the row of SCALERS of a transformer."""
    found = SCALERS.get(type(transformer))
    if found is None:
        refuse(place, f"a {type(transformer).__name__}", ADVICE)
    _refuse_replaced(transformer, place)
    check_is_fitted(transformer)
    return found


def _standard(scaler: Any, place: str) -> list[Step]:
    return _centred(scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None, place)


def _robust(scaler: Any, place: str) -> list[Step]:
    centre, scale = scaler.center_ if scaler.with_centering else None, scaler.scale_ if scaler.with_scaling else None
    return _centred(centre, scale, place)


def _max_abs(scaler: Any, place: str) -> list[Step]:
    steps = _centred(None, scaler.scale_, place)
    return [*steps, Activate(HardTanh(-1.0, 1.0), f"{place}, clip")] if getattr(scaler, "clip", False) else steps


def _min_max(scaler: Any, place: str) -> list[Step]:
    steps: list[Step] = [Affine.times(scaler.scale_, scaler.min_, place)]
    if scaler.clip:
        steps.append(Activate(HardTanh(*map(float, scaler.feature_range)), f"{place}, clip"))
    return steps


def _centred(offset: Any, scale: Any, place: str) -> list[Step]:
    """Return the step (x - offset) / scale, where None is 0 and 1."""
    if offset is None and scale is None:
        return []
    offset = np.zeros_like(scale) if offset is None else offset
    scale = np.ones_like(offset) if scale is None else scale
    return [Affine(np.asarray(offset, np.float64), np.asarray(scale, np.float64), place)]


SCALERS: dict[type, Callable[[Any, str], list[Step]]] = {
    StandardScaler: _standard,
    MinMaxScaler: _min_max,
    MaxAbsScaler: _max_abs,
    RobustScaler: _robust,
}


def _add_transformed_target(model: _Model, regressor: Any, place: str) -> None:
    _add(model, regressor.regressor_, f"{place}, regressor_")
    transformer, place = regressor.transformer_, f"{place}, transformer_"
    if _does_nothing(transformer, place):
        return
    steps = _scaler(transformer, place)(transformer, place)
    if isinstance(model.loss, (Poisson, Gamma, GaussianNLL)):
        refuse(place, f"a scaler of what the loss {model.loss.name!r} makes of outputs", "fit without a scaler of y")
    for step in reversed(steps):
        if isinstance(step, Affine):  # inverse_transform does not clip
            model.steps.append(Affine(step.offset, step.scale, step.place, not step.multiplies))


# -------------------------------------------------------------------------------------------------------------- layers


def _add_mlp(model: _Model, estimator: Any, place: str) -> None:
    """Add the layers of an MLPClassifier or MLPRegressor of scikit-learn."""
    is_network = isinstance(estimator, (MLPClassifier, MLPRegressor))
    if not is_network or len(estimator.coefs_) != len(estimator.intercepts_):
        refuse(place, f"a {type(estimator).__name__}", ADVICE)
    model.output = estimator.out_activation_
    hidden = estimator.activation
    for name in (hidden, model.output):
        if name not in ACTIVATIONS:
            refuse(place, f"the activation {name!r}", f"known are {', '.join(ACTIVATIONS)}")
    pairs = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
    for layer, (weight, bias) in enumerate(pairs):
        name = hidden if layer < len(pairs) - 1 else model.output
        _add_layer(model, np.asarray(weight).T, np.asarray(bias), ACTIVATIONS[name], f"{place}, layer {layer}")
    if model.output == "exp":
        model.loss = Poisson()
    elif is_classifier(estimator) and model.output == "logistic":
        model.loss = BinaryCrossEntropy()
    if is_classifier(estimator) and not estimator._label_binarizer.y_type_.startswith("multilabel"):
        model.class_names = _class_names(model, estimator._label_binarizer.classes_)  # as predict does


def _add_own(model: _Model, estimator: Any, place: str) -> None:
    """Add the layers of an estimator of `fastmlp.sklearn`."""
    net = estimator.to_network()
    if isinstance(net.loss, CustomLoss) or any(isinstance(f, CustomActivation) for f in net._given_architecture.layers):
        refuse(place, "functions of your own", "estimator.to_network() copies them")
    layers = zip(net.weights, net.biases, net._given_architecture.layers, strict=True)
    for layer, (weight, bias, activation) in enumerate(layers):
        _add_layer(model, weight, bias, activation, f"{place}, layer {layer}")
    model.loss, model.class_names = net.loss, net.class_names


def _add_layer(model: _Model, weight: Any, bias: Any, activation: Activation, place: str) -> None:
    model.n_inputs = model.n_inputs or weight.shape[-1]
    model.dtype = np.promote_types(model.dtype, np.promote_types(weight.dtype, bias.dtype))
    weight, bias = np.asarray(weight, np.float64), np.asarray(bias, np.float64)
    model.steps += [Linear(weight, bias, place), Activate(activation, place)]


# What a subclass and an object must leave as it is.
ANSWERS = ("predict", "predict_proba", "_predict", "_forward_pass_fast", "transform", "inverse_transform")
ESTIMATORS: dict[type, Callable[[_Model, Any, str], None]] = {
    Pipeline: _add_pipeline,
    TransformedTargetRegressor: _add_transformed_target,
    MLPClassifier: _add_mlp,
    MLPRegressor: _add_mlp,
    BaseMLP: _add_own,
}


# --------------------------------------------------------------------------------------------------- names, comparison


def _class_names(model: _Model, classes: Any) -> tuple[Label, ...] | None:
    """Return the classes if a network can have them as names: text, integers and finite floats."""
    try:
        return labels.check_class_names(np.asarray(classes), len(classes))
    except (TypeError, ValueError):
        model.folded.append(f"classes_ of dtype {classes.dtype}: classes have indices only")
        return None


def _feature_names(model: _Model, estimator: Any) -> tuple[str, ...] | None:
    """Return the names of the columns if a network can have them."""
    given = getattr(estimator, "feature_names_in_", None)
    names = feature_names(given)
    if given is not None and names is None:
        model.folded.append("feature_names_in_ has equal names: columns have indices only")
    return None if names is None else tuple(names)


def _original(estimator: Any, model: _Model) -> Callable[[Any], Any] | None:
    """Return the function that computes what the network's `predict` does; None where the estimator gives less."""
    if model.loss is not None and (model.loss.n_heads > 1 or isinstance(model.loss, (Gamma, Hinge))):
        return None

    def outputs(X: Any) -> Any:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # that the rows have no names of columns
            X = X.astype(np.float64)
            if is_classifier(estimator):
                y = np.asarray(estimator.predict_proba(X))
                is_one = isinstance(model.steps[-2], Linear) and len(model.steps[-2].bias) == 1
                return y[:, 1:] if is_one else y
            y = np.asarray(estimator.predict(X))
            if isinstance(model.loss, Poisson):  # where the rate has all its digits
                y = np.log(np.where((y > 1e-290) & (y < 1e290), y, np.nan))
            return y

    return outputs


# ------------------------------------------------------------------------------------------------------------- writing


def write(net: Network) -> Any:
    """Return a fitted estimator with the parameters of a network; see `Network.to_sklearn`."""
    hidden, output = _activation_names(net)
    inputs, targets = learnt(net, "an MLP of scikit-learn")
    mlp = _mlp(net, hidden, output)
    names = None if net.feature_names is None else np.array(net.feature_names, object)
    estimator: Any = mlp
    if inputs is not None:
        estimator = make_pipeline(_scaler_of(inputs), mlp)
    if names is not None:
        (estimator[0] if isinstance(estimator, Pipeline) else mlp).feature_names_in_ = names
    if targets is not None:
        inner, scaler = estimator, _scaler_of(targets)
        estimator = TransformedTargetRegressor(inner, transformer=scaler)
        estimator.regressor_, estimator.transformer_ = inner, scaler
        estimator._training_dim = 1 if net.sizes[-1] == 1 else 2
        if names is not None:
            estimator.feature_names_in_ = names
    return estimator


def _activation_names(net: Network) -> tuple[str, str]:
    """Return scikit-learn's names of the hidden layers' activation and of the last layer's."""
    different = list(dict.fromkeys(net.activation)) or [ReLU()]
    for activation in (*different, net.output_activation):
        if activation not in NAMES:
            raise ValueError(
                f"activation: expected one of {', '.join(repr(name) for name in NAMES.values())}, which scikit-learn "
                f"has, got {activation!r}"
            )
    if len(different) > 1:
        raise ValueError(
            f"activation: expected one for all hidden layers, as in scikit-learn, got {', '.join(map(repr, different))}"
        )
    loss = net.loss
    if loss.n_heads > 1 or isinstance(loss, (CustomLoss, Gamma, Hinge)):
        raise ValueError(f"loss: expected one that scikit-learn's predictions go with, got {loss!r}")
    return NAMES[different[0]], "exp" if isinstance(net.loss, Poisson) else NAMES[net.output_activation]


def _mlp(net: Network, hidden: str, output: str) -> Any:
    """Return the fitted MLPClassifier or MLPRegressor."""
    n_outputs = net.sizes[-1]
    kwargs = {"hidden_layer_sizes": net.sizes[1:-1], "activation": hidden}
    if net.loss.classifies:
        mlp = MLPClassifier(**kwargs)
        mlp._label_binarizer = _binarizer(net)
        mlp.classes_ = mlp._label_binarizer.classes_
    else:
        mlp = MLPRegressor(loss="poisson" if output == "exp" else "squared_error", **kwargs)
    mlp.coefs_ = [np.ascontiguousarray(weight.T) for weight in net.weights]
    mlp.intercepts_ = [bias.copy() for bias in net.biases]
    mlp.out_activation_, mlp.n_outputs_, mlp.n_layers_ = output, n_outputs, len(net.sizes)
    mlp.n_features_in_ = net.sizes[0]
    mlp.n_iter_ = mlp.t_ = 0
    return mlp


def _binarizer(net: Network) -> Any:
    """Return what an MLPClassifier turns outputs into labels with.

    A softmax of two outputs is taken for one of several classes, because scikit-learn has one output for two classes.
    """
    n_outputs = net.sizes[-1]
    is_multilabel = n_outputs > 1 and isinstance(net.output_activation, Sigmoid)
    if is_multilabel and net.class_names is not None:
        raise ValueError(
            "class_names: expected None for several outputs of sigmoids, which scikit-learn takes for labels that a "
            f"row may have together, got {list(net.class_names)!r:.60}"
        )
    n_classes = n_outputs if is_multilabel else net._n_classes(n_outputs)
    binarizer = LabelBinarizer()
    names = net.class_names if net.class_names is not None and not is_multilabel else tuple(range(n_classes))
    classes = np.array(names)
    binarizer.classes_ = classes if classes.tolist() == list(names) else np.array(names, object)
    kind = "multilabel-indicator" if is_multilabel else "binary" if n_outputs == 1 else "multiclass"
    binarizer.y_type_, binarizer.sparse_input_ = kind, False
    return binarizer


def _scaler_of(scaling: Scaling) -> StandardScaler:
    """Return the fitted scaler with the same numbers."""
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = scaling.offset.copy(), scaling.scale.copy()
    scaler.var_ = scaler.scale_**2
    scaler.n_features_in_, scaler.n_samples_seen_ = len(scaler.mean_), 1
    return scaler
