"""Activations, losses and optimisers as objects: values of their own, and the names that stand for them."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from typing import Any

import pytest

import fastmlp

OBJECTS = [
    fastmlp.Identity(),
    fastmlp.Sigmoid(),
    fastmlp.Sigmoid(beta=-2.5),
    fastmlp.Tanh(),
    fastmlp.ReLU(),
    fastmlp.PiecewiseLinear(),
    fastmlp.PiecewiseLinear(-0.1, 1 / 3),
    fastmlp.Gaussian(),
    fastmlp.Gaussian(mu=0.1, sigma=1e-3),
    fastmlp.Threshold(),
    fastmlp.LeakyReLU(),
    fastmlp.LeakyReLU(negative_slope=0.2),
    fastmlp.ELU(),
    fastmlp.ELU(alpha=0.5),
    fastmlp.SELU(),
    fastmlp.GELU(),
    fastmlp.GELU(approximate="tanh"),
    fastmlp.SiLU(),
    fastmlp.Mish(),
    fastmlp.Softplus(),
    fastmlp.Softplus(beta=2.5),
    fastmlp.Softsign(),
    fastmlp.HardSigmoid(),
    fastmlp.HardTanh(),
    fastmlp.HardTanh(-0.1, 1 / 3),
    fastmlp.Sine(),
    fastmlp.Sine(omega=30.0),
    fastmlp.StepwiseSigmoid(),
    fastmlp.StepwiseTanh(),
    fastmlp.Softmax(),
    fastmlp.SquaredError(),
    fastmlp.HalfSquaredError(),
    fastmlp.MeanSquaredError(),
    fastmlp.BinaryCrossEntropy(),
    fastmlp.CrossEntropy(),
    fastmlp.BinaryCrossEntropy(0.1),
    fastmlp.CrossEntropy(label_smoothing=0.1),
    fastmlp.MeanAbsoluteError(),
    fastmlp.Huber(),
    fastmlp.Huber(1 / 3),
    fastmlp.LogCosh(),
    fastmlp.Quantile(),
    fastmlp.Quantile([0.1, 1 / 3, 0.9]),
    fastmlp.Poisson(),
    fastmlp.Gamma(),
    fastmlp.GaussianNLL(),
    fastmlp.BinaryFocal(),
    fastmlp.Focal(0.5),
    fastmlp.Hinge(),
    fastmlp.Hinge(margin=2.0),
    fastmlp.SGD(),
    fastmlp.SGD(3.0, momentum=0.9, nesterov=True),
    fastmlp.ClassicalMomentum(),
    fastmlp.ClassicalMomentum(3.0, momentum=0.5, nesterov=True),
    fastmlp.AdamHat(),
    fastmlp.AdamHat(0.1, beta_1=0.8),
    fastmlp.Adam(),
    fastmlp.Adam(0.1, beta_1=0.8, beta_2=0.99, epsilon=1e-7),
    fastmlp.AdamW(),
    fastmlp.AdamW(0.1, 0.8, 0.99, 1e-7, weight_decay=0.1),
    fastmlp.NAdam(),
    fastmlp.NAdam(momentum_decay=0.1),
    fastmlp.RMSprop(),
    fastmlp.RMSprop(0.1, alpha=0.9, epsilon=1e-4, momentum=0.5, centered=True),
    fastmlp.AdaGrad(),
    fastmlp.AdaGrad(0.1, learning_rate_decay=0.1, initial_accumulator=1.0, epsilon=1e-4),
    fastmlp.Lion(),
    fastmlp.Lion(0.1, beta_1=0.8, beta_2=0.9, weight_decay=0.1),
    fastmlp.Rprop(),
    fastmlp.Rprop(0.1, eta_minus=0.4, eta_plus=1.1, least_step=1e-3, largest_step=1.0),
    fastmlp.LBFGS(),
    fastmlp.LBFGS(memory=3, gradient_tolerance=1e-3, loss_tolerance=0.0, max_evaluations=5),
    fastmlp.ConstantRate(0.1),
    fastmlp.StepDecay(0.1, step_size=3),
    fastmlp.ExponentialDecay(0.1, gamma=0.9),
    fastmlp.InverseScaling(0.1),
    fastmlp.CosineDecay(0.1, n_steps=10, warmup_steps=2, warmup_rate=0.01, final_rate=0.001),
    fastmlp.OneCycle(0.1, n_steps=10, linear=True),
    fastmlp.ReduceOnPlateau(0.1, "loss", patience=3),
    fastmlp.SGD(fastmlp.OneCycle(0.1, n_steps=10)),
    fastmlp.Regularization(),
    fastmlp.Regularization(l2=0.1, dropout=(0.5, 1 / 3), max_norm=3.0, per_row=True),
    fastmlp.Regularization(l1=1, weight_decay=0.1, dropout=0.5, input_dropout=0.1, input_noise=0.1),
    fastmlp.Regularization(clip_norm=1.0, clip_value=0.1, average=0.9),
]

NAMES = {
    "activation": {
        "identity": fastmlp.Identity(),
        "linear": fastmlp.Identity(),
        "sigmoid": fastmlp.Sigmoid(),
        "logistic": fastmlp.Sigmoid(),
        "tanh": fastmlp.Tanh(),
        "relu": fastmlp.ReLU(),
        "piecewise_linear": fastmlp.PiecewiseLinear(-1.0, 1.0),
        "gaussian": fastmlp.Gaussian(0.0, 1.0),
        "threshold": fastmlp.Threshold(),
        "leaky_relu": fastmlp.LeakyReLU(0.01),
        "elu": fastmlp.ELU(1.0),
        "selu": fastmlp.SELU(),
        "gelu": fastmlp.GELU("none"),
        "silu": fastmlp.SiLU(),
        "swish": fastmlp.SiLU(),
        "mish": fastmlp.Mish(),
        "softplus": fastmlp.Softplus(1.0),
        "softsign": fastmlp.Softsign(),
        "hard_sigmoid": fastmlp.HardSigmoid(),
        "hard_tanh": fastmlp.HardTanh(-1.0, 1.0),
        "sine": fastmlp.Sine(1.0),
        "stepwise_sigmoid": fastmlp.StepwiseSigmoid(),
        "stepwise_tanh": fastmlp.StepwiseTanh(),
    },
    "loss": {
        "squared_error": fastmlp.SquaredError(),
        "half_squared_error": fastmlp.HalfSquaredError(),
        "mse": fastmlp.MeanSquaredError(),
        "binary_cross_entropy": fastmlp.BinaryCrossEntropy(),
        "cross_entropy": fastmlp.CrossEntropy(0.0),
        "mae": fastmlp.MeanAbsoluteError(),
        "huber": fastmlp.Huber(1.0),
        "log_cosh": fastmlp.LogCosh(),
        "quantile": fastmlp.Quantile(0.5),
        "poisson": fastmlp.Poisson(),
        "gamma": fastmlp.Gamma(),
        "gaussian_nll": fastmlp.GaussianNLL(),
        "binary_focal": fastmlp.BinaryFocal(2.0),
        "focal": fastmlp.Focal(2.0),
        "hinge": fastmlp.Hinge(1.0),
    },
    "optimizer": {
        "sgd": fastmlp.SGD(),
        "classical_momentum": fastmlp.ClassicalMomentum(),
        "adam": fastmlp.Adam(),
        "adam_hat": fastmlp.AdamHat(),
        "adamw": fastmlp.AdamW(),
        "nadam": fastmlp.NAdam(),
        "rmsprop": fastmlp.RMSprop(),
        "adagrad": fastmlp.AdaGrad(),
        "lion": fastmlp.Lion(),
        "rprop": fastmlp.Rprop(),
        "lbfgs": fastmlp.LBFGS(),
    },
}


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_repr_evaluates_to_an_equal_object(thing: Any) -> None:
    assert eval(repr(thing), vars(fastmlp).copy()) == thing


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_equal_by_value_and_by_nothing_else(thing: Any) -> None:
    assert [other for other in OBJECTS if other == thing] == [thing]
    again = dataclasses.replace(thing)
    assert again is not thing
    assert again == thing
    assert hash(again) == hash(thing)
    assert len({again, thing}) == 1
    assert thing != repr(thing)


def test_whole_numbers_are_floats() -> None:
    assert fastmlp.SGD(3) == fastmlp.SGD(3.0)
    assert repr(fastmlp.SGD(3)) == repr(fastmlp.SGD(3.0))
    assert hash(fastmlp.Sigmoid(2)) == hash(fastmlp.Sigmoid(2.0))
    assert type(fastmlp.Gaussian(0, 1).sigma) is float


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_immutable(thing: Any) -> None:
    for field in dataclasses.fields(thing):
        with pytest.raises(AttributeError):
            setattr(thing, field.name, 1.0)
        with pytest.raises(AttributeError):
            delattr(thing, field.name)
    with pytest.raises(AttributeError):
        thing.name = "other"


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_copies_are_equal(thing: Any) -> None:
    assert pickle.loads(pickle.dumps(thing)) == thing
    assert copy.deepcopy(thing) == thing


@pytest.mark.parametrize("name", NAMES["activation"])
def test_names_of_activations(name: str) -> None:
    net = fastmlp.Network([2, 2, 2], activation=name, output_activation=name)
    assert net.activation == (NAMES["activation"][name],)
    assert net.output_activation == NAMES["activation"][name]
    assert fastmlp.Network([2, 2, 2, 2], activation=[name, "relu"]).activation[0] == NAMES["activation"][name]


@pytest.mark.parametrize("name", NAMES["loss"])
def test_names_of_losses(name: str) -> None:
    loss = NAMES["loss"][name]
    assert fastmlp.Network([2, 2], loss=name).loss == loss
    assert fastmlp.Network([2, 2], loss=loss).loss == loss
    assert loss.name == name


@pytest.mark.parametrize("name", NAMES["optimizer"])
def test_names_of_optimisers(name: str) -> None:
    """A name and its class's object with the defaults take the same steps."""
    by_name, by_object = (fastmlp.Network([2, 1], seed=0) for _ in range(2))
    by_name.fit([[1.0, 2.0]], [1.0], optimizer=name)
    by_object.fit([[1.0, 2.0]], [1.0], optimizer=NAMES["optimizer"][name])
    assert by_name.parameters.tolist() == by_object.parameters.tolist()


def construct(**words: Any) -> Any:
    return fastmlp.Network([2, 3, 2], **words)


@pytest.mark.parametrize(
    ("words", "near", "listed"),
    [
        ({"activation": "sigmod"}, "sigmoid", NAMES["activation"]),
        ({"activation": ["Sigmoid"]}, "sigmoid", NAMES["activation"]),
        ({"output_activation": "sofmax"}, "softmax", [*NAMES["activation"], "softmax"]),
        ({"loss": "crossentropy"}, "cross_entropy", NAMES["loss"]),
        ({"loss": "half_square_error"}, "half_squared_error", NAMES["loss"]),
        ({"dtype": "flot32"}, "float32", ["float32", "float64"]),
        ({"init": "glorot"}, "glorot_uniform", ["auto", "glorot_uniform", "he_uniform", "lecun_normal", "normal"]),
        ({"engine": "bals"}, "blas", ["auto", "blas", "native"]),
    ],
    ids=str,
)
def test_an_unknown_name_is_answered_with_all_and_the_nearest(words: Any, near: str, listed: Any) -> None:
    argument, value = next(iter(words.items()))
    with pytest.raises(ValueError, match=rf"^{argument}") as error:
        construct(**words)
    message = str(error.value)
    given = value if isinstance(value, str) else value[0]
    assert f"got {given!r}" in message
    for name in listed:
        assert repr(name) in message
    assert message.endswith(f"did you mean {near!r}?")


def test_an_unknown_optimiser_is_answered_with_all_and_the_nearest() -> None:
    names = ", ".join(map(repr, NAMES["optimizer"]))
    with pytest.raises(ValueError, match=f"^optimizer: expected one of {names}, got 'adm'; did you mean 'adam'"):
        construct().fit([[1, 2]], [0], optimizer="adm")


@pytest.mark.parametrize("sizes", [[2, 1], [2, 2, 1]])
@pytest.mark.parametrize("words", [{"activation": "nope"}, {"init": "nope"}, {"engine": "nope"}, {"dtype": "nope"}])
def test_names_are_checked_where_no_layer_uses_them(sizes: list[int], words: Any) -> None:
    with pytest.raises(ValueError, match="nope"):
        fastmlp.Network(sizes, **words)


@pytest.mark.parametrize("name", ["RELU", " relu", "", "softmaxx"])
def test_names_are_exact(name: str) -> None:
    with pytest.raises(ValueError, match="expected one of"):
        construct(activation=name)


@pytest.mark.parametrize("thing", OBJECTS, ids=repr)
def test_an_object_in_the_wrong_place_is_refused(thing: Any) -> None:
    kinds = {"activation": "Activation", "loss": "Loss"}
    for argument, kind in kinds.items():
        if kind not in [base.__name__ for base in type(thing).__mro__]:
            with pytest.raises(TypeError, match=rf"^{argument}: expected .*got"):
                construct(**{argument: thing})
    if "Optimizer" not in [base.__name__ for base in type(thing).__mro__]:
        with pytest.raises(TypeError, match=r"^optimizer: expected .*got"):
            construct().fit([[1, 2]], [0], optimizer=thing)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("beta", {"activation": fastmlp.Sigmoid(1e300)}),
        ("x_min", {"activation": fastmlp.PiecewiseLinear(-1e300, 1e300)}),
        ("sigma", {"activation": fastmlp.Gaussian(0.0, 1e-45)}),
        ("max_val", {"activation": fastmlp.HardTanh(0.0, 1e300)}),
        ("delta", {"loss": fastmlp.Huber(1e300)}),
        ("levels", {"loss": fastmlp.Quantile([1e-45, 0.5])}),
    ],
)
def test_hyper_parameters_that_float32_cannot_hold(field, words):
    fastmlp.Network([2, 2, 2], dtype="float64", **words)
    with pytest.raises(ValueError, match=f"^{field}: expected a number that float32 can hold"):
        fastmlp.Network([2, 2, 2], **words)


def test_an_optimizer_that_float32_cannot_hold():
    net = fastmlp.Network([2, 1])
    with pytest.raises(ValueError, match=r"^epsilon: expected a number that float32 can hold"):
        net.fit([[0.0, 1.0]], [1.0], optimizer=fastmlp.Adam(epsilon=1e-50))


def test_dtype_none_and_sizes_without_order_are_refused():
    with pytest.raises(TypeError, match="dtype: expected one of"):
        fastmlp.Network([2, 1], dtype=None)
    with pytest.raises(TypeError, match="sizes: expected a sequence"):
        fastmlp.Network({3, 2})


def test_load_checks_its_words_before_the_file(tmp_path):
    for words in ({"n_threads": 2.0}, {"n_threads": True}, {"n_threads": None}):
        with pytest.raises(TypeError, match="n_threads: expected"):
            fastmlp.load(tmp_path / "none", **words)
    with pytest.raises(ValueError, match="engine: expected"):
        fastmlp.load(tmp_path / "none", engine="fast")


class MyReLU(fastmlp.ReLU):
    """An activation with a different formula, which the compiled core would ignore."""

    def __call__(self, z: Any) -> Any:
        return z


class MyCustomActivation(fastmlp.CustomActivation):
    """A subclass of CustomActivation."""


class MyLoss(fastmlp.MeanSquaredError):
    """A loss that differs from another one only by its name."""


class MyAdam(fastmlp.Adam):
    """An optimiser that differs from another one only by its name."""


class MySchedule(fastmlp.ConstantRate):
    """A schedule with a different formula, which the compiled core would ignore."""

    def __call__(self, t: Any) -> Any:
        return self.learning_rate / 2


NEW = fastmlp.Network([1, 2, 1], seed=0)
CUSTOM = MyCustomActivation(abs, abs)
SUBCLASSES = {
    "activation": (lambda: fastmlp.Network([1, 2, 1], activation=MyReLU()), "activations", "CustomActivation(value,"),
    "activation of a layer": (lambda: fastmlp.Network([1, 2, 1], activation=[CUSTOM]), "activations", "CustomActiv"),
    "output": (lambda: fastmlp.Network([1, 1], output_activation=MyReLU()), "activations", "CustomActivation(value,"),
    "loss": (lambda: fastmlp.Network([1, 1], loss=MyLoss()), "losses", "fastmlp.CustomLoss(function)"),
    "fit": (lambda: NEW.fit([[1.0]], [1.0], optimizer=MyAdam()), "optimisers", "a schedule or a function of the step"),
    "partial_fit": (lambda: NEW.partial_fit([[1.0]], [1.0], optimizer=MyAdam()), "optimisers", "loss_and_grad"),
    "train_on_batch": (lambda: NEW.train_on_batch([[1.0]], [1.0], MyAdam()), "optimisers", "Network.parameters"),
    "learn_one": (lambda: NEW.learn_one([1.0], 1.0, MyAdam()), "optimisers", "a schedule or a function of the step"),
    "schedule": (lambda: fastmlp.SGD(MySchedule(0.1)), "schedules", "as a function of the step"),
}


@pytest.mark.parametrize("where", SUBCLASSES)
def test_a_subclass_is_refused_with_what_to_use_in_its_place(where: str) -> None:
    use, plural, instead = SUBCLASSES[where]
    before = NEW.parameters
    expected = f"expected one of fastmlp's {plural}, got .*My.*; subclasses are not supported, .*{re.escape(instead)}"
    with pytest.raises(TypeError, match=f"^[a-z_0-9\\[\\]]+: {expected}"):
        use()
    assert (NEW.parameters == before).all()


def test_what_is_named_in_place_of_a_subclass_works() -> None:
    def halved(y: Any, t: Any) -> Any:
        return ((y - t) ** 2).sum(axis=1) / 2, y - t

    own = fastmlp.CustomActivation(lambda z: z * abs(z), lambda z: 2 * abs(z))
    net = fastmlp.Network([1, 2, 1], activation=own, loss=fastmlp.CustomLoss(halved), seed=0, dtype="float64")
    net.train_on_batch([[1.0]], [1.0], fastmlp.SGD(lambda t: 0.1 / (t + 1)))
    loss, gradient = net.loss_and_grad([[1.0]], [1.0])
    net.parameters = net.parameters - 0.01 * gradient
    assert net.loss_and_grad([[1.0]], [1.0])[0] < loss
