"""200 seeded trainings, of which `same_bits.py` hashes the results.

`cases()` yields the cases with their names. They are in groups, each with a subject (activations, losses, optimisers
...) and a case for every option of it. All other options of a case are drawn from a generator that is seeded by the
name of the group and the number of the case, so that a new case in one group changes no case in another. `suitable`
removes combinations that the package refuses: every case must train, and one that raises is an error in this file. Only
the public interface of fastmlp is used, because the internals of the builds that are compared may differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import pathlib
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import fastmlp
from fastmlp import Regularization, Scaling

Array = np.ndarray[Any, Any]
PARTS = ("history", "parameters", "predictions", "one row", "gradients")
N_CASES = 200  # the group "mixed" has those that the other groups do not


class Objective(NamedTuple):
    """A loss, the kind of its targets, the output activation, the outputs per target and the minimum of targets."""

    loss: Any
    kind: str = "real"
    output: Any = None
    n_heads: int = 1
    min_targets: int = 1


def quartic(y: Any, t: Any) -> Any:
    """A custom loss: (y - t)^4 / 16 summed over the outputs, with its gradient."""
    return ((y - t) ** 4).sum(axis=1) / 16, (y - t) ** 3 / 4


def cube(z: Any) -> Any:
    """A custom activation: z / 4 + z^3 / 64."""
    return z / 4 + z * z * z / 64


def cube_derivative(z: Any) -> Any:
    return 0.25 + z * z * 3 / 64


def rate_of_step(t: int) -> float:
    """A learning rate as a function of the step."""
    return 0.001 / (1 + t / 8)


WIDTHS = (1, 2, 5, 6, 7, 15, 16, 17, 33, 97)  # around the edges of the kernels' tiles
WIDE = (  # the kernels split a sum over inputs into parts from 24 and from 128 inputs on
    (23, 16, 1), (24, 16, 3), (127, 16, 2), (128, 16, 10), (784, 16, 10), (784, 30, 10), (130, 48, 1), (200, 100, 33),
    (784, 128, 10), (300, 512, 1),
)  # fmt: skip
BLOCKS = ((700, "fit"), (6000, "fit"), (6000, "resume a step"))  # rows; a block has 83 rows, a window 64 blocks
ACTIVATIONS = (
    fastmlp.Identity(), fastmlp.Sigmoid(), fastmlp.Sigmoid(-0.5), fastmlp.Tanh(), fastmlp.ReLU(),
    fastmlp.PiecewiseLinear(-0.5, 2.0), fastmlp.Gaussian(0.25, 0.75), fastmlp.LeakyReLU(0.2), fastmlp.ELU(0.5),
    fastmlp.SELU(), fastmlp.GELU(), fastmlp.GELU("tanh"), fastmlp.SiLU(), fastmlp.Mish(), fastmlp.Softplus(2.0),
    fastmlp.Softsign(), fastmlp.HardSigmoid(), fastmlp.HardTanh(-0.5, 1.5), fastmlp.Sine(1.5),
)  # fmt: skip
OBJECTIVES = (
    Objective(fastmlp.MeanSquaredError()),
    Objective(fastmlp.MeanSquaredError(), output=fastmlp.Gaussian(0.0, 1.0)),
    Objective(fastmlp.SquaredError(), output=fastmlp.Sigmoid(2.0)),
    Objective(fastmlp.HalfSquaredError(), output=fastmlp.Tanh()),
    Objective(fastmlp.MeanAbsoluteError()),
    Objective(fastmlp.Huber(0.25)),
    Objective(fastmlp.LogCosh()),
    Objective(fastmlp.Quantile(0.25)),
    Objective(fastmlp.Quantile([0.125, 0.5, 0.75]), n_heads=3),
    Objective(fastmlp.Poisson(), "count"),
    Objective(fastmlp.Gamma(), "positive"),
    Objective(fastmlp.GaussianNLL(), n_heads=2),
    Objective(fastmlp.BinaryCrossEntropy(), "class"),
    Objective(fastmlp.BinaryCrossEntropy(0.125), "soft"),
    Objective(fastmlp.BinaryCrossEntropy(), "class", fastmlp.Sigmoid(-0.5)),
    Objective(fastmlp.CrossEntropy(), "class", min_targets=2),
    Objective(fastmlp.CrossEntropy(0.25), "soft", min_targets=2),
    Objective(fastmlp.BinaryFocal(0.5), "class"),
    Objective(fastmlp.Focal(), "class", min_targets=2),
    Objective(fastmlp.Hinge(0.5), "class"),
)
MSE, CROSS_ENTROPY = OBJECTIVES[0], OBJECTIVES[15]
LOGISTIC = OBJECTIVES[12]
RATES = (
    fastmlp.ConstantRate(0.001),
    fastmlp.StepDecay(0.001, 3, 0.5),
    fastmlp.ExponentialDecay(0.001, 0.9),
    fastmlp.InverseScaling(0.001),
    fastmlp.CosineDecay(0.001, 9, 3, 0.0005),
    fastmlp.OneCycle(0.001, 12),
    fastmlp.OneCycle(0.001, 12, linear=True, three_phase=True),
    fastmlp.ReduceOnPlateau(0.001, "loss", patience=0, threshold=0.5),
    fastmlp.ReduceOnPlateau(0.001, factor=0.5, patience=1, cooldown=1, threshold=0.9),
    rate_of_step,
)
OPTIMIZERS = (
    fastmlp.SGD(0.001),
    fastmlp.SGD(0.001, 0.5),
    fastmlp.SGD(0.001, 0.5, nesterov=True),
    fastmlp.ClassicalMomentum(0.001, 0.5),
    fastmlp.ClassicalMomentum(0.001, 0.5, nesterov=True),
    fastmlp.Adam(0.005),
    fastmlp.Adam(0.005, epsilon=1e-3),
    fastmlp.AdamHat(0.005),
    fastmlp.AdamW(0.005, weight_decay=0.1),
    fastmlp.NAdam(0.005),
    fastmlp.RMSprop(0.002),
    fastmlp.RMSprop(0.002, centered=True, momentum=0.5, epsilon=1e-3),
    fastmlp.AdaGrad(0.005),
    fastmlp.AdaGrad(0.005, 0.1, 0.1),
    fastmlp.Lion(0.001),
    fastmlp.Lion(0.001, weight_decay=0.1),
)
REGULARIZATIONS = (
    Regularization(l1=0.01), Regularization(l2=0.1), Regularization(l1=0.3, l2=0.5, per_row=True),
    Regularization(weight_decay=0.5), Regularization(clip_value=0.02), Regularization(clip_norm=0.05),
    Regularization(l2=0.1, clip_value=0.03, clip_norm=0.05), Regularization(max_norm=0.8), Regularization(average=0.9),
    Regularization(dropout=0.4), Regularization(input_dropout=0.3), Regularization(input_noise=0.5),
    Regularization(l1=0.01, l2=0.1, weight_decay=0.1, dropout=0.3, input_dropout=0.2, input_noise=0.1, max_norm=1.5,
                   clip_norm=0.5, clip_value=0.2, average=0.8, per_row=True),
)  # fmt: skip
SOURCES = (
    "float64", "float32", "float16", "uint8", "int64", "list", "fortran", "strided", "reversed", "read-only", "masked",
    "csr", "csc", "memmap", "pandas", "polars",
)  # fmt: skip
WAYS = ("fit", "partial_fit", "train_on_batch", "learn_one", "batches", "resume", "resume a step")
BY_FIT = ("fit", "resume", "resume a step")  # use validation_data, callbacks and scalings that are not learnt yet


@dataclass(frozen=True)
class Case:
    """A network, its data, and how it is trained."""

    seed: int
    widths: tuple[int, ...] = (5, 16)  # of the inputs and the hidden layers
    n_targets: int = 3
    objective: Objective = MSE
    activation: tuple[Any, ...] = ()  # the hidden layers use them in turn
    init: str = "auto"
    dtype: str = "float32"
    engine: str = "native"
    n_threads: int = 1
    input_scaling: Any = None
    target_scaling: Any = None
    n_rows: int = 40
    source: str = "float64"
    labels: str = "numbers"  # how classes are given: numbers, rows or text
    optimizer: Any = fastmlp.Adam(0.005)  # noqa: RUF009 (an optimiser is frozen)
    regularization: Any = None
    sample_weight: bool = False
    class_weight: Any = None
    batch_size: int | None = 8
    shuffle: Any = True
    epochs: int = 2
    validation: Any = None  # "data", "split" or "stopping"
    way: str = "fit"

    def __str__(self) -> str:
        """The call that makes the case, with the fields that differ from their defaults."""
        given = [(field.name, getattr(self, field.name), field.default) for field in dataclasses.fields(self)]
        return f"Case({', '.join(f'{name}={value!r}' for name, value, default in given if value != default)})"

    @property
    def n_outputs(self) -> int:
        return max(self.n_targets, self.objective.min_targets) * self.objective.n_heads

    @property
    def class_names(self) -> list[str] | None:
        if self.objective.kind != "class" or self.labels != "text":
            return None
        return [f"class {k:02}" for k in range(max(2, self.n_outputs))]

    def network(self) -> fastmlp.Network:
        functions = [self.activation[i % len(self.activation)] for i in range(len(self.widths) - 1)]
        return fastmlp.Network(
            (*self.widths, self.n_outputs), activation=functions,
            output_activation=self.objective.output, loss=self.objective.loss, init=self.init, seed=self.seed,
            dtype=self.dtype, engine=self.engine, n_threads=self.n_threads, input_scaling=self.input_scaling,
            target_scaling=self.target_scaling, class_names=self.class_names,
        )  # fmt: skip


# --------------------------------------------------------------------------------------------------- groups of cases


def with_rate(optimizer: type[Any], rate: Any) -> Any:
    return optimizer(rate, momentum=0.5) if optimizer is fastmlp.SGD else optimizer(rate)


def groups() -> dict[str, list[dict[str, Any]]]:
    """Return for each group the options of its cases that are not drawn."""
    found = {**groups_of_networks(), **groups_of_trainings(), **groups_of_engines()}
    found["mixed"] = [{}] * (N_CASES - sum(map(len, found.values())))
    return found


def groups_of_networks() -> dict[str, list[dict[str, Any]]]:
    """Return the groups of networks and of input data."""
    custom = fastmlp.CustomActivation(cube, cube_derivative), Objective(fastmlp.CustomLoss(quartic))
    named = [(a, b) for a in (None, "standard", "minmax") for b in (None, "standard", "minmax") if a or b]
    return {
        "activations": [{"activation": (f,)} for f in ACTIVATIONS] + [{"activation": (custom[0],), "way": "fit"}],
        "losses": [{"objective": each} for each in OBJECTIVES] + [{"objective": custom[1], "way": "fit"}],
        "scalings": [
            *({"input_scaling": a, "target_scaling": b, "objective": MSE, "way": "fit"} for a, b in named),
            *({"input_scaling": Scaling([0.5, 1.0], [2.0, 0.25]), "widths": (2, 16), "way": way} for way in WAYS[2:5]),
        ],
        "inputs": [{"source": each} for each in SOURCES],
        "labels": [
            {"labels": labels, "objective": each, "n_targets": n, "way": "fit"}
            for labels in ("numbers", "rows", "text") for each, n in ((CROSS_ENTROPY, 5), (LOGISTIC, 1))
        ],
        "layers": [
            *({"widths": (w, v), "n_targets": n} for w, v, n in zip(WIDTHS, WIDTHS[::-1], WIDTHS, strict=True)),
            *({"widths": (w, v), "n_targets": n, "engine": "native"} for w, v, n in WIDE),
        ],
    }  # fmt: skip


def groups_of_trainings() -> dict[str, list[dict[str, Any]]]:
    """Return the groups of ways to train a network."""
    full = {"batch_size": None, "way": "fit", "epochs": 3}
    lbfgs = [fastmlp.LBFGS(), fastmlp.LBFGS(memory=2)]
    return {
        "optimizers": [
            *({"optimizer": each} for each in OPTIMIZERS),
            *({"optimizer": each, "regularization": None, **full} for each in (*lbfgs, fastmlp.Rprop())),
            {"optimizer": lbfgs[0], "regularization": Regularization(l2=0.1), "n_rows": 300, **full},
        ],
        "schedules": [
            {"optimizer": with_rate((fastmlp.SGD, fastmlp.Adam)[i % 2], rate), "way": "fit", "epochs": 4}
            for i, rate in enumerate(RATES)
        ],
        "regularizations": [
            *({"regularization": each} for each in REGULARIZATIONS),
            {"regularization": Regularization(dropout=(0.0, 0.7)), "widths": (7, 17, 33)},
            {"regularization": REGULARIZATIONS[-1], "n_rows": 300, "batch_size": None, "way": "fit"},
        ],
        "weights": [
            *({"sample_weight": True, "way": way} for way in ("fit", "partial_fit", "train_on_batch", "batches")),
            *({"class_weight": w, "objective": CROSS_ENTROPY, "way": "fit"} for w in ("balanced", {0: 0.5, 1: 2.0})),
        ],
        "ways": [{"way": way, "dtype": dtype} for way in WAYS for dtype in ("float32", "float64")],
        "validations": [
            {"validation": each, "way": "fit", "epochs": 6, "objective": objective}
            for each in ("data", "split", "stopping") for objective in (MSE, CROSS_ENTROPY)
        ],
    }  # fmt: skip


def groups_of_engines() -> dict[str, list[dict[str, Any]]]:
    """Return the groups of batches, orders of rows, threads and engines."""
    whole = {"validation": None, "batch_size": 33}  # without validation, enough rows remain for a second window
    n_threads = {"n_threads": 2, "engine": "native", "n_rows": 700, "way": "fit"}
    return {
        "batches": [{"batch_size": n, "way": "fit", "n_rows": 700} for n in (1, 5, 6, 7, 144, 145, 240, 241, None)],
        "orders": [
            *({"shuffle": "blocks", "widths": (784, 5), "n_rows": n, "way": way, **whole} for n, way in BLOCKS),
            *({"shuffle": s, "source": "memmap", "way": "fit"} for s in (True, "rows", False)),
        ],
        "threads": [
            {"widths": widths, "batch_size": n, **n_threads}
            for widths in ((97, 97, 33), (33, 97, 97, 17)) for n in (None, 145)
        ],
        "blas": [{"engine": "blas", "widths": (w, 17), "dtype": d} for w in (5, 97) for d in ("float32", "float64")],
    }  # fmt: skip


def draw(seed: int, certain: dict[str, Any]) -> Case:
    """Draw a case with the options `certain`, without options that exclude each other."""
    rng = np.random.default_rng(seed)

    def pick(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    drawn = {
        "widths": tuple(pick(*WIDTHS) for _ in range(rng.integers(2, 5))),
        "n_targets": pick(1, 2, 3, 10, 17),
        "objective": pick(*OBJECTIVES),
        "activation": tuple(pick(*ACTIVATIONS) for _ in range(3)),
        "init": pick("auto", "auto", "glorot_uniform", "he_uniform", "lecun_normal"),
        "dtype": pick("float32", "float64"),
        "engine": pick("native", "native", "native", "native", "native", "blas"),
        "n_threads": pick(1, 1, 2),
        "input_scaling": pick(None, None, None, "standard", "minmax"),
        "target_scaling": pick(None, None, None, "standard", "minmax"),
        "n_rows": pick(9, 17, 40, 150, 300),
        "source": pick("float64", "float32", *SOURCES),
        "labels": pick("numbers", "rows"),
        "optimizer": pick(*OPTIMIZERS),
        "regularization": pick(None, None, *REGULARIZATIONS),
        "sample_weight": pick(False, False, True),
        "class_weight": pick(None, None, "balanced"),
        "batch_size": pick(1, 3, 8, 33, None),
        "shuffle": pick(True, True, False),
        "epochs": pick(1, 2, 3),
        "validation": pick(None, None, "data", "split", "stopping"),
        "way": pick("fit", "fit", *WAYS),
    }
    return Case(seed, **suitable({**drawn, **certain}))


def suitable(options: dict[str, Any]) -> dict[str, Any]:
    """Replace by its default every option that another one excludes."""
    way, objective = options["way"], options["objective"]
    n_outputs = max(options["n_targets"], objective.min_targets)
    excluded = {
        "input_scaling": isinstance(options["input_scaling"], str) and way not in ("partial_fit", *BY_FIT),
        "target_scaling": objective.kind != "real" or objective.n_heads > 1 or way not in ("partial_fit", *BY_FIT),
        "sample_weight": way == "learn_one",
        "class_weight": objective.kind != "class" or n_outputs == 1 or way not in BY_FIT,
        "validation": way not in BY_FIT,
        "shuffle": way == "batches",
    }
    defaults = {"shuffle": True, "sample_weight": False}
    return {name: defaults.get(name) if excluded.get(name) else value for name, value in options.items()}


def cases() -> Iterator[tuple[str, Case]]:
    """Yield all cases with their names."""
    for group, listed in groups().items():
        for number, certain in enumerate(listed):
            yield f"{group} {number:02}", draw(zlib.crc32(f"{group} {number}".encode()), certain)


# ---------------------------------------------------------------------------------------------------------------- data


@dataclass
class Data:
    """Rows as numbers and in the kind of the case's source, targets, and arguments for weights."""

    numbers: Array
    X: Any
    y: Any
    weights: dict[str, Any]

    def some(self, rows: slice, folder: pathlib.Path, source: str) -> tuple[Any, ...]:
        """Return the batch of these rows."""
        weights = [self.weights["sample_weight"][rows]] if "sample_weight" in self.weights else []
        return (as_source(self.numbers[rows], source, folder), self.y[rows], *weights)


def data_of(case: Case, folder: pathlib.Path) -> Data:
    rng = np.random.default_rng([case.seed, 1])
    shape = case.n_rows, case.widths[0]
    X = rng.integers(0, 4, size=shape) / 1.0 if case.source in ("uint8", "int64") else rng.normal(0, 0.5, shape)
    if case.source in ("csr", "csc") or rng.random() < 0.3:
        X *= rng.random(shape) < 0.5
    weights: dict[str, Any] = {}
    if case.sample_weight:
        weights["sample_weight"] = rng.integers(1, 5, size=case.n_rows) / 4
    if case.class_weight is not None:
        weights["class_weight"] = case.class_weight
    return Data(X, as_source(X, case.source, folder), targets_of(case, rng), weights)


def targets_of(case: Case, rng: np.random.Generator) -> Any:
    n = case.n_outputs // case.objective.n_heads
    shape = case.n_rows, n
    kind = case.objective.kind
    if kind == "class":
        classes = rng.permutation(np.arange(case.n_rows) % max(2, n))
        if case.class_names:
            return np.array(case.class_names)[classes]
        if n == 1:
            return classes[:, None] / 1.0 if case.labels == "rows" else classes
        return np.eye(n)[classes] if case.labels == "rows" else classes
    if kind == "count":
        return rng.poisson(2.0, size=shape)
    if kind == "positive":
        return rng.gamma(2.0, size=shape)
    return rng.uniform(size=shape) if kind == "soft" else rng.normal(size=shape)


def as_source(X: Array, source: str, folder: pathlib.Path) -> Any:
    """Convert the rows to the kind of input that `source` names."""
    if source in ("float64", "float32", "float16", "uint8", "int64"):
        return X.astype(source)
    if source in ("csr", "csc"):
        return getattr(importlib.import_module("scipy.sparse"), f"{source}_matrix")(X)
    if source in ("pandas", "polars"):
        return importlib.import_module(source).DataFrame({f"x{i}": X[:, i].copy() for i in range(X.shape[1])})
    if source == "memmap":
        path = folder / f"rows-{len(list(folder.iterdir()))}.bin"
        rows = np.memmap(path, np.float32, "w+", shape=X.shape)
        rows[:] = X
        return rows
    if source == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    if source == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    if source in ("list", "masked"):
        return X.tolist() if source == "list" else np.ma.array(X)
    X = np.asfortranarray(X) if source == "fortran" else X.copy()
    X.flags.writeable = source != "read-only"
    return X


# ------------------------------------------------------------------------------------------------- training, and hashes


def train(case: Case, data: Data, folder: pathlib.Path) -> tuple[fastmlp.Network, list[Any]]:
    """Train the network of the case; return it, and what the calls returned."""
    net = case.network()
    step = {"optimizer": case.optimizer, "regularization": case.regularization}
    if case.way in BY_FIT:
        return train_by_fit(case, net, data, folder)
    if case.way == "partial_fit":
        for _ in range(case.epochs):
            net.partial_fit(data.X, data.y, batch_size=case.batch_size, **step, **data.weights)
        return net, []
    if case.way == "learn_one":
        rows = data.numbers.astype(case.dtype)
        return net, [net.learn_one(x, t, **step) for x, t in zip(rows, data.y, strict=True)]
    size = case.batch_size or case.n_rows
    parts = [slice(i, i + size) for i in range(0, case.n_rows, size)]
    batches = [data.some(rows, folder, case.source) for rows in parts]
    if case.way == "batches":
        return net, [net.fit(lambda: iter(batches), epochs=case.epochs, **step)]
    keys = ("X", "y", "sample_weight")
    return net, [net.train_on_batch(**dict(zip(keys, batch, strict=False)), **step) for batch in batches]


def train_by_fit(
    case: Case, net: fastmlp.Network, data: Data, folder: pathlib.Path
) -> tuple[fastmlp.Network, list[Any]]:
    """Train by `fit`: twice, the second time with the optimiser's state of the first; or once, and resumed by another
    network from a checkpoint.
    """
    stops = case.validation == "stopping"
    options: dict[str, Any] = {
        "batch_size": case.batch_size, "optimizer": case.optimizer, "shuffle": case.shuffle,
        "regularization": case.regularization, **data.weights,
        "callbacks": [fastmlp.EarlyStopping(patience=1, min_delta=0.02)] if stops else [],
    }  # fmt: skip
    if case.validation == "split":
        options["validation_split"] = 0.25
    elif case.validation is not None:
        options["validation_data"] = data.X, data.y
    if case.way == "fit":
        histories = [net.fit(data.X, data.y, epochs=n, **options) for n in (case.epochs, 1)]
        return net, histories
    path, unit = folder / "run.safetensors", "step" if "step" in case.way else "epoch"
    checkpoint = fastmlp.Checkpoint(path, every=2 if unit == "step" else 1, unit=unit)
    with_checkpoint = {**options, "callbacks": [*options["callbacks"], checkpoint]}
    first = net.fit(data.X, data.y, epochs=case.epochs, **with_checkpoint)
    resumed = case.network()
    return resumed, [first, resumed.fit(data.X, data.y, epochs=case.epochs + 1, resume=path, **options)]


def results(case: Case, folder: pathlib.Path) -> dict[str, list[Any]]:
    """Run a case, and return its results by PARTS."""
    data = data_of(case, folder)
    net, returned = train(case, data, folder)
    weights = data.weights
    loss, gradient = net.loss_and_grad(data.X, data.y, **weights)
    return {
        "history": [*returned, net.evaluate(data.X, data.y, **weights)],
        "parameters": [net.parameters],
        "predictions": [net.predict(data.X), net.classify(data.X), *net.activations(data.X)],
        "one row": [net.predict(data.numbers[i].astype(case.dtype)) for i in (0, case.n_rows // 2)],
        "gradients": [loss, gradient, net.input_gradient(data.X, data.y, **weights)],
    }


def bytes_of(value: Any) -> Iterable[bytes]:
    """Yield the exact bytes of a value: of an array, a number, or a dict of numbers or of lists of them."""
    if isinstance(value, dict):
        for name, numbers in value.items():
            yield name.encode()
            yield np.asarray(numbers, np.float64).tobytes()
        yield str(getattr(value, "stopped", "")).encode()
        return
    array = np.ascontiguousarray(value)
    yield f"{array.dtype.str} {array.shape}".encode()
    yield array.tobytes()


def hashed(values: list[Any]) -> str:
    digest = hashlib.sha256()
    for value in values:
        for part in bytes_of(value):
            digest.update(part)
    return digest.hexdigest()[:8]


def hash_of(case: Case) -> str:
    """Run a case, and return eight hexadecimal digits for each of PARTS."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found = results(case, pathlib.Path(folder))
    return "".join(hashed(found[part]) for part in PARTS)
