"""What `write.py` had version 0.1.0 write, as data: the networks, trainings and estimators behind the files.

`test_written_by_0_1_0.py` makes them again with the version at hand, so only names that are public for ever stand here.
Pickles find `Counter`, `Cut` and the functions in this module, whose name therefore stays. Data
are multiples of 1/16, so that no sum of them is rounded. A case that is renamed or removed leaves its file without a
test, which a test refuses.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

import fastmlp
from fastmlp import Regularization


def data(n_rows: int = 24, n_inputs: int = 3, seed: int = 0) -> tuple[Any, Any, Any]:
    """Rows, labels of three classes, and numbers for each of two outputs."""
    rng = np.random.default_rng(seed)
    X = rng.integers(-32, 33, size=(n_rows, n_inputs)) / 16
    labels = np.argmax(X @ np.array([[1.0, -1, 0], [0, 1, -1], [0.5, 0, 1]])[:n_inputs], axis=1)
    return X, labels, np.column_stack([X[:, 0] - X[:, 1], X[:, -1] / 2])


X, LABELS, NUMBERS = data()
COUNTS = np.round(np.abs(4 * NUMBERS))
PROBES = data(7, seed=1)[0]
WEIGHTS = np.arange(1, 25) / 8


# -- what pickles and checkpoints name --------------------------------------------------------------------------------


class Cut(Exception):  # noqa: N818
    """Ends a fit where a kill would."""


class CutAfter:
    """Raises `Cut` at the end of the batch of that number, counted over all epochs."""

    def __init__(self, n_batches: int) -> None:
        self.left = n_batches

    def on_batch_end(self, batch: int, logs: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise Cut


class Counter:
    """A callback with a number and a vector for its state, which lowers the rate, and stops at a count."""

    def __init__(self, end: int = 99) -> None:
        self.end, self.count, self.before, self.network = end, 0, None, None

    def set_network(self, network: Any) -> None:
        self.network = network

    def on_epoch_end(self, epoch: int, logs: Any) -> bool:
        self.count += 1
        self.before = self.network.parameters
        self.network.learning_rate = 0.02 / (1 + self.count)
        return self.count >= self.end

    def state(self) -> Any:
        return {"count": self.count, **({} if self.before is None else {"before": self.before})}

    def restore(self, state: Any) -> None:
        self.count, self.before = int(state["count"]), state.get("before")


def third_of_steps(step: int) -> float:
    """A learning rate by a function."""
    return 0.5 / (3 + step)


def own_loss(y: Any, t: Any) -> tuple[Any, Any]:
    """The squared error, for `CustomLoss`."""
    return ((y - t) ** 2).sum(axis=1), 2 * (y - t)


def square(z: Any) -> Any:
    """z^2, for `CustomActivation`."""
    return z * z


def double(z: Any) -> Any:
    """The derivative of z^2."""
    return 2 * z


# -- models ------------------------------------------------------------------------------------------------------------

ACTIVATIONS: dict[str, Any] = {
    "identity": fastmlp.Identity(),
    "sigmoid": fastmlp.Sigmoid(2.5),
    "tanh": fastmlp.Tanh(),
    "relu": fastmlp.ReLU(),
    "piecewise_linear": fastmlp.PiecewiseLinear(-0.5, 1.25),
    "gaussian": fastmlp.Gaussian(0.25, 0.5),
    "threshold": fastmlp.Threshold(),
    "leaky_relu": fastmlp.LeakyReLU(0.125),
    "elu": fastmlp.ELU(0.75),
    "selu": fastmlp.SELU(),
    "gelu": fastmlp.GELU("tanh"),
    "gelu_exact": fastmlp.GELU(),
    "silu": fastmlp.SiLU(),
    "mish": fastmlp.Mish(),
    "softplus": fastmlp.Softplus(3.0),
    "softsign": fastmlp.Softsign(),
    "hard_sigmoid": fastmlp.HardSigmoid(),
    "hard_tanh": fastmlp.HardTanh(-0.5, 0.75),
    "sine": fastmlp.Sine(3.0),
}
LOSSES: dict[str, tuple[Any, int]] = {  # with the number of outputs
    "squared_error": (fastmlp.SquaredError(), 2),
    "half_squared_error": (fastmlp.HalfSquaredError(), 2),
    "mse": (fastmlp.MeanSquaredError(), 2),
    "mae": (fastmlp.MeanAbsoluteError(), 2),
    "huber": (fastmlp.Huber(0.75), 2),
    "log_cosh": (fastmlp.LogCosh(), 2),
    "quantile": (fastmlp.Quantile((0.25, 0.5, 0.875)), 6),
    "poisson": (fastmlp.Poisson(), 2),
    "gamma": (fastmlp.Gamma(), 2),
    "gaussian_nll": (fastmlp.GaussianNLL(), 4),
    "binary_cross_entropy": (fastmlp.BinaryCrossEntropy(0.125), 3),
    "cross_entropy": (fastmlp.CrossEntropy(0.25), 3),
    "hinge": (fastmlp.Hinge(0.5), 3),
    "binary_focal": (fastmlp.BinaryFocal(1.5), 3),
    "focal": (fastmlp.Focal(3.0), 3),
}
EXACT = fastmlp.Scaling([0.5, -0.25, 0.0], [2.0, 1.0, 0.5])
OTHERS: dict[str, dict[str, Any]] = {
    "deep": {"sizes": [3, 5, 4, 3, 2], "activation": ["tanh", "relu", "sigmoid"]},
    "one_layer": {"sizes": [3, 2], "seed": 2**64 - 1},
    "no_seed": {"sizes": [3, 2, 2], "seed": None, "activation": "tanh"},
    "init_normal": {"sizes": [3, 2, 2], "init": "normal", "activation": "tanh"},
    "init_he": {"sizes": [3, 2, 2], "init": "he_uniform", "dtype": "float64"},
    "default_softmax": {"sizes": [3, 4, 3], "loss": "cross_entropy"},
    "default_losses": {"sizes": [3, 4, 3], "loss": "binary_focal", "dtype": "float64"},
    "scaled": {"sizes": [3, 4, 2], "input_scaling": "standard", "target_scaling": "minmax"},
    "scaled64": {"sizes": [3, 4, 2], "input_scaling": "minmax", "target_scaling": "standard", "dtype": "float64"},
    "given_scaling": {"sizes": [3, 4, 2], "input_scaling": EXACT},
    "unlearnt_scaling": {"sizes": [3, 4, 2], "input_scaling": "standard", "target_scaling": "standard"},
}


def models() -> dict[str, dict[str, Any]]:
    """The arguments of the network of each model file."""
    found: dict[str, dict[str, Any]] = {}
    for dtype in ("float32", "float64"):
        bits = dtype[-2:]
        for name, f in ACTIVATIONS.items():
            found[f"{name}_{bits}"] = {"sizes": [3, 4, 2], "activation": f, "dtype": dtype, "seed": 3}
        for name, (loss, n_outputs) in LOSSES.items():
            words = {"sizes": [3, 3, n_outputs], "loss": loss, "activation": "tanh", "dtype": dtype, "seed": 4}
            found[f"loss_{name}_{bits}"] = words
    return {**found, **{name: {"seed": 5, **words} for name, words in OTHERS.items()}}


def targets(loss: Any) -> Any:
    """Targets of X that the loss takes."""
    if loss.name in ("binary_cross_entropy", "binary_focal"):
        return (np.eye(3)[LABELS] > 0).astype(float)
    if loss.name in ("cross_entropy", "hinge", "focal"):
        return LABELS
    return COUNTS + 1.0 if loss.name in ("poisson", "gamma") else NUMBERS


# -- checkpoints -------------------------------------------------------------------------------------------------------

R = fastmlp.ReduceOnPlateau(0.1, monitor="loss", factor=0.5, patience=0, threshold=0.5, cooldown=1)


def _optimizers() -> dict[str, dict[str, Any]]:
    by_rate = {
        "constant_rate": fastmlp.ConstantRate(0.05),
        "step_decay": fastmlp.StepDecay(0.1, 3, 0.5),
        "exponential_decay": fastmlp.ExponentialDecay(0.1, 0.9),
        "inverse_scaling": fastmlp.InverseScaling(0.1),
        "cosine_decay": fastmlp.CosineDecay(0.2, n_steps=15, warmup_steps=3),
        "one_cycle": fastmlp.OneCycle(0.1, n_steps=20, three_phase=True),
        "plateau": R,
        "function": third_of_steps,
    }
    found: dict[str, Any] = {
        "sgd": fastmlp.SGD(0.1),
        "sgd_momentum": fastmlp.SGD(0.1, momentum=0.9),
        "sgd_nesterov": fastmlp.SGD(0.05, momentum=0.5, nesterov=True),
        "classical_momentum": fastmlp.ClassicalMomentum(0.1, nesterov=True),
        "adam": fastmlp.Adam(0.02, beta_1=0.8, epsilon=1e-6),
        "adam_default": fastmlp.Adam(),
        "adam_hat": fastmlp.AdamHat(0.02),
        "adamw": fastmlp.AdamW(0.02, weight_decay=0.1),
        "nadam": fastmlp.NAdam(0.02, momentum_decay=0.01),
        "rmsprop": fastmlp.RMSprop(0.01),
        "rmsprop_centered": fastmlp.RMSprop(0.01, momentum=0.5, centered=True),
        "adagrad": fastmlp.AdaGrad(0.1, learning_rate_decay=0.1, initial_accumulator=0.1),
        "lion": fastmlp.Lion(0.01, weight_decay=0.1),
        **{f"rate_{name}": fastmlp.SGD(rate, momentum=0.9) for name, rate in by_rate.items()},
    }
    full = {
        "rprop": fastmlp.Rprop(0.05, largest_step=1.0),
        "lbfgs": fastmlp.LBFGS(),
        "lbfgs_ring": fastmlp.LBFGS(memory=2, gradient_tolerance=0.0, loss_tolerance=0.0),
    }
    return {
        **{name: {"optimizer": each} for name, each in found.items()},
        **{name: {"optimizer": each, "batch_size": None} for name, each in full.items()},
    }


REGULARIZATIONS: dict[str, Any] = {
    "l1": Regularization(l1=0.01),
    "l2": Regularization(l2=0.125, per_row=True),
    "weight_decay": Regularization(weight_decay=0.1),
    "dropout": Regularization(dropout=[0.25], input_dropout=0.125),
    "input_noise": Regularization(input_noise=0.0625),
    "limits": Regularization(max_norm=0.5, clip_norm=0.25, clip_value=0.125),
    "average": Regularization(average=0.75),
    "all": Regularization(l1=0.01, l2=0.02, dropout=0.25, average=0.5, clip_norm=1.0, input_noise=0.125),
}


def checkpoints() -> dict[str, dict[str, Any]]:
    """What `fit` and the network are given for each checkpoint.

    `cut` is the number of batches after which the training was cut off, `rest` what the network alone is given.
    """
    found: dict[str, dict[str, Any]] = dict(_optimizers())
    for name, each in REGULARIZATIONS.items():
        found[f"regularized_{name}"] = {"regularization": each}
    lbfgs = {"optimizer": fastmlp.LBFGS(), "batch_size": None}
    found.update(
        {
            "lbfgs_l2": {**lbfgs, "regularization": Regularization(l2=0.125)},
            "lbfgs_converged": {**lbfgs, "optimizer": fastmlp.LBFGS(loss_tolerance=0.05), "epochs": 60, "cut": None},
            "early_stopping": {"stop": {"patience": 5}, "validation_split": 0.25, "metrics": ["mae"]},
            "stopped": {"stop": {"monitor": "loss", "patience": 1, "min_delta": 10.0}, "epochs": 9, "cut": None},
            "counter": {"counter": 6},
            "weighted": {"sample_weight": WEIGHTS, "class_weight": {0: 1.0, 1: 2.0, 2: 0.5}},
            "in_order": {"shuffle": False, "cut": 3},
            "by_blocks": {"shuffle": "blocks"},
            "before_the_first_epoch": {"cut": 1},
            "at_an_epoch": {"cut": 6},
            "whole": {"cut": None, "epochs": 2},
            "scaled_inputs": {"net": {"input_scaling": "standard"}},
            "scaled_targets": {"net": {"loss": "mse", "target_scaling": "standard", "sizes": [3, 4, 2]}},
            "deep": {"net": {"sizes": [3, 4, 3, 3]}, "regularization": Regularization(dropout=[0.25, 0.0])},
            "wide64": {"net": {"dtype": "float64"}, "regularization": Regularization(average=0.5)},
        }
    )
    for i, words in enumerate(found.values()):
        words.setdefault("net", {})
        words["net"].setdefault("dtype", ("float32", "float64")[i % 2])
        words.setdefault("batch_size", 8)
        words.setdefault("cut", 7 if words["batch_size"] else 4)
    return found


def network(net: dict[str, Any], **more: Any) -> Any:
    """The network of a checkpoint, untrained."""
    words = {"activation": "tanh", "loss": "cross_entropy", "seed": 1, **net, **more}
    return fastmlp.Network(words.pop("sizes", [3, 4, 3]), **words)


def fit_arguments(case: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What `fit` is given beside the rows: new callbacks each time."""
    words = {key: value for key, value in case.items() if key not in ("net", "cut", "stop", "counter")}
    callbacks: list[Any] = []
    if "stop" in case:
        callbacks.append(fastmlp.EarlyStopping(**case["stop"]))
    if "counter" in case:
        callbacks.append(Counter(case["counter"]))
    return {"epochs": 5, "optimizer": fastmlp.Adam(0.02), "callbacks": callbacks, **words, **more}


def to_the_end(case: dict[str, Any]) -> dict[str, Any]:
    """What `fit` is given to go on from the file."""
    return fit_arguments(case, **({"epochs": 4} if case["cut"] is None and case.get("epochs") == 2 else {}))


def rows(case: dict[str, Any]) -> tuple[Any, Any]:
    """The rows and targets of a checkpoint."""
    return X, NUMBERS if case["net"].get("loss") == "mse" else LABELS


# -- pickles -----------------------------------------------------------------------------------------------------------


def networks() -> dict[str, Any]:
    """Networks in several states, made with the version at hand; each trains on in the test."""
    made = {
        "fresh": fastmlp.Network([3, 4, 3], loss="cross_entropy", seed=1),
        "trained": network({}),
        "learnt_one": network({"dtype": "float64"}),
        "custom": fastmlp.Network(
            [3, 3, 2],
            activation=fastmlp.CustomActivation(square, double),
            loss=fastmlp.CustomLoss(own_loss),
            dtype="float64",
            seed=2,
        ),
        "scaled": fastmlp.Network([3, 3, 2], input_scaling="standard", target_scaling="minmax", seed=2),
        "blas": network({"engine": "blas"}),
        "one_thread": network({"n_threads": 1}),
    }
    for name, net in made.items():
        if name != "fresh":
            net.fit(X, NUMBERS if net.sizes[-1] == 2 else LABELS, epochs=2, batch_size=8, optimizer="adam")
    for row, label in zip(X[:5], LABELS, strict=False):
        made["learnt_one"].learn_one(row, label, "sgd")
    return made


def objects() -> dict[str, Any]:
    """Everything else of the package that people pickle, equal to what a version makes of the same arguments."""
    return {
        "activations": list(ACTIVATIONS.values()),
        "losses": [loss for loss, _ in LOSSES.values()],
        "optimizers": [words["optimizer"] for words in _optimizers().values()],
        "regularizations": list(REGULARIZATIONS.values()),
        "scaling": EXACT,
    }


def others() -> dict[str, Any]:
    """Objects without an equality of their own; their `repr` is compared."""
    return {
        "history": network({}).fit(X, LABELS, epochs=3, batch_size=8),
        "stopping": fastmlp.EarlyStopping("loss", patience=3, min_delta=0.5),
        "checkpoint": fastmlp.Checkpoint("x", every=3, unit="step"),
    }


def estimators() -> dict[str, tuple[Any, Any, str]]:
    """Estimators, not fitted, with their targets and what the test does after the pickle is loaded."""
    from fastmlp.sklearn import MLPClassifier, MLPRegressor

    binary, text = LABELS > 0, np.array(["no", "yes", "maybe"])[LABELS]
    several = np.eye(3, dtype=int)[LABELS]
    small: dict[str, Any] = {"hidden_layer_sizes": (4,), "random_state": 1, "batch_size": 8, "max_iter": 4}
    average = Regularization(average=0.5, dropout=0.25)
    return {
        "unfitted": (MLPClassifier(**small), LABELS, "fit"),
        "adam": (MLPClassifier(**small), LABELS, "predict"),
        "binary": (MLPClassifier(**small, activation="logistic"), binary, "predict"),
        "text": (MLPClassifier(**small, solver="sgd"), text, "partial_fit"),
        "multilabel": (MLPClassifier(**small), several, "predict"),
        "early_stopping": (MLPClassifier(**small, early_stopping=True, validation_fraction=0.25), LABELS, "fit"),
        "warm_start": (MLPClassifier(**small, warm_start=True), LABELS, "fit"),
        "partial_fit": (MLPClassifier(**small), LABELS, "partial_fit"),
        "partial_fit_adaptive": (
            MLPRegressor(**small, solver="sgd", learning_rate="adaptive", n_iter_no_change=1, tol=1.0),
            NUMBERS,
            "partial_fit",
        ),
        "partial_fit_average": (MLPClassifier(**small, regularization=average), LABELS, "partial_fit"),
        "partial_fit_schedule": (
            MLPRegressor(**small, schedule=fastmlp.StepDecay(0.05, 4, 0.5)),
            NUMBERS,
            "partial_fit",
        ),
        "partial_fit_nadam": (MLPRegressor(**small, solver="nadam", dtype="float32"), NUMBERS, "partial_fit"),
        "lbfgs": (MLPRegressor(**small, solver="lbfgs", activation="tanh"), NUMBERS[:, 0], "predict"),
        "lbfgs_warm": (MLPRegressor(**small, solver="lbfgs", warm_start=True), NUMBERS, "fit"),
        "poisson": (MLPRegressor("poisson", **small), COUNTS[:, 0], "predict"),
        "rprop": (MLPRegressor(**small, solver="rprop"), NUMBERS, "predict"),
        "loss": (MLPRegressor(fastmlp.Quantile((0.25, 0.75)), **small), NUMBERS[:, 0], "predict"),
    }


# -- what becomes of them: one vector of float64 for each --------------------------------------------------------------


def joined(*values: Any) -> Any:
    """All numbers in one vector, float64."""
    return np.concatenate([np.ravel(np.asarray(value, np.float64)) for value in values])


def of_model(net: Any, name: str) -> Any:
    """The parameters, predictions, and the loss and parameters of an epoch more."""
    if name == "unlearnt_scaling":
        return joined(net.parameters)
    before = net.parameters, net.predict(PROBES)
    if not all(f.trainable for f in net.activation):
        return joined(*before)
    return joined(*before, net.fit(X, targets(net.loss), epochs=1, batch_size=8).loss, net.parameters)


def of_checkpoint(net: Any, history: Any) -> Any:
    """The rate, the curve of the loss and the parameters of a training's end."""
    return joined(np.nan if net.learning_rate is None else net.learning_rate, history.loss, net.parameters)


def of_network(net: Any) -> Any:
    """The predictions, and the parameters after two epochs more."""
    predictions = net.predict(PROBES)
    net.fit(X, NUMBERS if net.sizes[-1] == 2 else LABELS, epochs=2, batch_size=8)
    return joined(predictions, net.parameters)


def of_estimator(content: bytes, y: Any, what: str) -> Any:
    """The outputs of the pickle, and the parameters after two calls more, or one of `fit`.

    From another copy, as in 0.1.0 the optimiser's state was gone after a prediction.
    """
    outputs, estimator = [], pickle.loads(content)
    if hasattr(estimator, "coefs_"):
        outputs = [getattr(estimator, "predict_proba", estimator.predict)(PROBES)]
    estimator = pickle.loads(content)
    for _ in range({"predict": 0, "fit": 1, "partial_fit": 2}[what]):
        (estimator.fit if what == "fit" else estimator.partial_fit)(X, y)
    return joined(*outputs, *estimator.coefs_, *estimator.intercepts_)


def write_expected(path: Any, isa: str, expected: dict[str, Any]) -> None:
    """The vectors as one, which takes a third of the room, and the kernels that made them."""
    ends = np.cumsum([len(vector) for vector in expected.values()])
    np.savez_compressed(path, isa=isa, names=list(expected), ends=ends, values=np.concatenate([*expected.values()]))


def read_expected(path: Any) -> tuple[str, dict[str, Any]]:
    """The kernels and the vectors by name."""
    with np.load(path) as file:
        parts = np.split(file["values"], file["ends"][:-1])
        return str(file["isa"]), dict(zip(file["names"].tolist(), parts, strict=True))
