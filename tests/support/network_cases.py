"""Random networks, data and operations, for tests/test_differential.py.

`draw` makes the `Case` of a seed. Its repr is an expression that makes it again, so that a failing case can be printed.
`simpler` makes cases that lack one option or operation of a case, and `minimal` searches for the simplest failing one.
Rows, targets and weights are a function of the fields of a case. Rows are exact in float16 and, if `whole` is set, in
uint8, so that every kind of input has the same numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import fastmlp
from fastmlp import Regularization
from loss_cases import CASES as LOSS_CASES
from loss_cases import draw_targets
from regularization_cases import REGULARIZATIONS

WIDTHS = (1, 2, 5, 7, 15, 16, 17, 33, 97)  # around the edges of the kernels' tiles
ACTIVATIONS = [
    fastmlp.Identity(), fastmlp.Sigmoid(), fastmlp.Sigmoid(-0.5), fastmlp.Tanh(), fastmlp.ReLU(),
    fastmlp.PiecewiseLinear(-0.5, 2.0), fastmlp.Gaussian(0.25, 0.75), fastmlp.LeakyReLU(0.2), fastmlp.ELU(0.5),
    fastmlp.SELU(), fastmlp.GELU(), fastmlp.GELU("tanh"), fastmlp.SiLU(), fastmlp.Mish(), fastmlp.Softplus(2.0),
    fastmlp.Softsign(), fastmlp.HardSigmoid(), fastmlp.HardTanh(-0.5, 1.5), fastmlp.Sine(1.5),
]  # fmt: skip
LOSSES = [(case.loss, case.kind, case.output) for case in LOSS_CASES] + [
    (fastmlp.MeanSquaredError(), "real", None),
    (fastmlp.SquaredError(), "real", None),
    (fastmlp.HalfSquaredError(), "real", fastmlp.Tanh()),
    (fastmlp.MeanSquaredError(), "real", fastmlp.Gaussian(0.0, 1.0)),
    (fastmlp.BinaryCrossEntropy(), "class", None),
    (fastmlp.CrossEntropy(), "class", None),
]
RATES = [
    0.01,
    0.002,
    fastmlp.ConstantRate(0.01),
    fastmlp.StepDecay(0.01, 3, 0.5),
    fastmlp.ExponentialDecay(0.01, 0.9),
    fastmlp.InverseScaling(0.01),
    fastmlp.CosineDecay(0.01, 9, 3, 0.001),
    fastmlp.OneCycle(0.01, 12),
    fastmlp.OneCycle(0.01, 12, linear=True, three_phase=True),
    fastmlp.ReduceOnPlateau(0.01, "loss", patience=0, threshold=0.5),
]
OPTIMIZERS = {
    "SGD": [{}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True}],
    "ClassicalMomentum": [{"momentum": 0.5}],
    "Adam": [{"epsilon": 1e-3}, {}],
    "AdamHat": [{"epsilon": 1e-3}],
    "AdamW": [{"weight_decay": 0.1, "epsilon": 1e-3}],
    "NAdam": [{"epsilon": 1e-3}],
    "RMSprop": [{"epsilon": 1e-3}, {"epsilon": 1e-3, "centered": True, "momentum": 0.5}],
    "AdaGrad": [{"initial_accumulator": 0.1}, {"learning_rate_decay": 0.1, "initial_accumulator": 0.1}],
    "Lion": [{}, {"weight_decay": 0.1}],
    "Rprop": [{}],
    "LBFGS": [{}, {"memory": 2}],
}
SOURCES = (
    "list", "float64", "float32", "float16", "uint8", "fortran", "strided", "reversed", "sparse", "sparse column",
    "pandas", "polars", "memmap", "tensor", "read-only", "int64",
)  # fmt: skip
TRAINING = ("fit", "partial_fit", "train_on_batch", "learn_one")
LOOKING = ("rate", "keep", "evaluate", "predict", "loss_and_grad", "input_gradient", "classify")
NEEDS = {"pandas": "pandas", "polars": "polars", "tensor": "torch"}


@dataclass(frozen=True)
class Case:
    """A network, its data, how it is trained, and what is done in which order."""

    sizes: tuple[int, ...] = (2, 1)
    activation: tuple[Any, ...] = ()
    loss: Any = fastmlp.MeanSquaredError()  # noqa: RUF009 (a loss is frozen)
    output_activation: Any = None
    kind: str = "real"  # of targets, as in loss_cases
    init: str = "auto"
    seed: int = 0
    dtype: str = "float64"
    engine: str = "native"
    isa: str = "base"
    n_threads: int = 1
    input_scaling: Any = None
    target_scaling: Any = None
    n_rows: int = 3
    data_seed: int = 0
    whole: bool = True
    source: str = "float64"
    targets: str = "rows"  # rows, labels or text
    sample_weight: bool = False
    class_weight: Any = None
    optimizer: Any = fastmlp.SGD(0.01)  # noqa: RUF009 (an optimiser is frozen)
    regularization: Any = None
    epochs: int = 1
    batch_size: Any = None
    shuffle: Any = False
    validation_split: Any = None
    operations: tuple[str, ...] = ("predict",)

    def __str__(self) -> str:
        """Return a call of Case with the fields that differ from their defaults."""
        fields = [(field, getattr(self, field.name)) for field in dataclasses.fields(self)]
        given = [f"{field.name}={value!r}" for field, value in fields if value != field.default]
        return f"Case({', '.join(given)})"

    @property
    def n_targets(self) -> int:
        return self.sizes[-1] // self.loss.n_heads

    @property
    def class_names(self) -> list[str] | None:
        names = [f"class {k:02}" for k in range(max(2, self.n_targets))]
        return names if self.targets == "text" else None

    @property
    def work(self) -> float:
        """Return the approximate number of multiplications of a training by the reference."""
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        return 3 * self.epochs * self.n_rows * sum(i * o for i, o in pairs)

    def words(self) -> dict[str, Any]:
        """Return the keyword arguments that the constructors of the package and the reference share."""
        return {
            "activation": list(self.activation),
            "output_activation": self.output_activation,
            "loss": self.loss,
            "init": self.init,
            "seed": self.seed,
            "input_scaling": self.input_scaling,
            "target_scaling": self.target_scaling,
        }

    def network(self, **changes: Any) -> fastmlp.Network:
        own = {"dtype": self.dtype, "engine": self.engine, "_isa": self.isa, "n_threads": self.n_threads}
        return fastmlp.Network(self.sizes, **{**self.words(), **own, "class_names": self.class_names, **changes})


@dataclass
class Data:
    """The rows of a case, its targets as the case gives them and as rows, and weights of rows and classes."""

    X: Any
    y: Any
    T: Any
    sample_weight: Any
    class_weight: Any


def data_of(case: Case) -> Data:
    rng = np.random.default_rng(case.data_seed)
    shape = (case.n_rows, case.sizes[0])
    X = rng.integers(0, 4, size=shape) / 1.0 if case.whole else rng.integers(-32, 33, size=shape) / 16
    T = draw_targets(rng, case.kind, case.n_rows, case.n_targets)
    y: Any = T
    if case.targets != "rows":
        y = T.argmax(axis=1) if case.n_targets > 1 else T[:, 0].astype(int)
    if case.class_names:
        y = np.array(case.class_names)[y]
    weight = rng.integers(0, 5, size=case.n_rows) / 4 if case.sample_weight else None
    if weight is not None:
        weight[[0, -1]] = 0.5  # above 0 on both sides of a split
    return Data(X, y, T, weight, case.class_weight)


def draw_layers(rng: np.random.Generator) -> dict[str, Any]:
    loss, kind, output = LOSSES[rng.integers(len(LOSSES))]
    sizes = [int(n) for n in rng.choice(WIDTHS, size=rng.integers(2, 6))]
    least = 2 if fastmlp.Softmax in (loss.partner, type(output)) else 1
    sizes[-1] = max(least, min(sizes[-1], 17)) * loss.n_heads
    activation = tuple(ACTIVATIONS[i] for i in rng.integers(len(ACTIVATIONS), size=len(sizes) - 2))
    forms = ["rows"]
    if kind == "class" and (sizes[-1] > 1 or loss.classifies):
        forms += ["labels"] + ["text"] * loss.classifies
    scalings = [None, None, None, None, "standard", "minmax"]
    scaled_targets = kind == "real" and loss.n_heads == 1
    return {
        "sizes": tuple(sizes), "activation": activation, "loss": loss, "kind": kind, "output_activation": output,
        "targets": str(rng.choice(forms)),
        "init": str(rng.choice(["auto", "auto", "glorot_uniform", "he_uniform", "lecun_normal"])),
        "input_scaling": scalings[rng.integers(6)],
        "target_scaling": scalings[rng.integers(6)] if scaled_targets else None,
    }  # fmt: skip


def draw_optimizer(rng: np.random.Generator, n_hidden: int) -> dict[str, Any]:
    name = str(rng.choice(list(OPTIMIZERS)))
    kwargs = OPTIMIZERS[name][rng.integers(len(OPTIMIZERS[name]))]
    if not getattr(fastmlp, name).full_batch:
        kwargs = {**kwargs, "learning_rate": RATES[rng.integers(len(RATES)) if rng.random() < 0.5 else 0]}
    regularization = None
    if rng.random() < 0.4:
        usable = [r for r in REGULARIZATIONS if not isinstance(r.dropout, tuple) or len(r.dropout) == n_hidden]
        regularization = usable[rng.integers(len(usable))]
        if getattr(fastmlp, name).whole_batch_method:
            regularization = Regularization(l2=0.1)
    optimizer = getattr(fastmlp, name)(**kwargs)
    sizes = [None] if optimizer.full_batch else [1, 3, 7, 8, 1000, None]
    return {"optimizer": optimizer, "regularization": regularization, "batch_size": sizes[rng.integers(len(sizes))]}


def draw(seed: int) -> Case:
    """Return the case of a seed."""
    rng = np.random.default_rng(seed)
    layers = draw_layers(rng)
    ops = [str(rng.choice(TRAINING if rng.random() < 0.6 else LOOKING)) for _ in range(rng.integers(1, 6))]
    source = str(rng.choice(SOURCES))
    engine = str(rng.choice(fastmlp.info()["engines"], p=[0.75, 0.25]))
    classes = layers["loss"].classifies and layers["kind"] == "class"
    return Case(
        **layers, **draw_optimizer(rng, len(layers["sizes"]) - 2),
        seed=int(rng.integers(2**32)), dtype=str(rng.choice(["float32", "float64"])), engine=engine,
        isa=str(rng.choice(fastmlp.info()["isas"])), n_threads=int(rng.integers(1, 4)),
        n_rows=int(rng.choice([3, 5, 9, 17, 40, 700], p=[0.1, 0.2, 0.3, 0.2, 0.15, 0.05])),
        data_seed=int(rng.integers(2**32)), whole=source in ("uint8", "int64") or rng.random() < 0.5, source=source,
        sample_weight=rng.random() < 0.3,
        class_weight=[None, None, "balanced", {0: 0.5, 1: 2.0}][rng.integers(4)] if classes else None,
        epochs=int(rng.integers(1, 4)), shuffle=[True, False, False, False, "blocks", "rows"][rng.integers(6)],
        validation_split=[None, None, 0.25][rng.integers(3)], operations=(*ops, "predict"),
    )  # fmt: skip


def simpler(case: Case) -> Iterator[Case]:
    """Yield simpler cases: without an operation, with an option at its default, with fewer rows, layers or units."""
    for i in range(len(case.operations)):
        if len(case.operations) > 1:
            yield replace(case, operations=case.operations[:i] + case.operations[i + 1 :])
    for n in (3, 5, 9, 17):
        if n < case.n_rows:
            yield replace(case, n_rows=n)
    for i in range(len(case.activation)):
        rest = {"sizes": case.sizes[: i + 1] + case.sizes[i + 2 :]}
        yield replace(case, activation=case.activation[:i] + case.activation[i + 1 :], **rest)
    for i, width in enumerate(case.sizes[:-1]):
        for smaller in (n for n in WIDTHS if n < width):
            yield replace(case, sizes=(*case.sizes[:i], smaller, *case.sizes[i + 1 :]))
    keep = {"sizes", "activation", "loss", "kind", "output_activation", "n_rows", "operations"}
    for field in dataclasses.fields(case):
        if field.name not in keep and getattr(case, field.name) != field.default:
            yield replace(case, **{field.name: field.default})


def minimal(case: Case, fails: Any) -> Case:
    """Return a simpler case that fails, such that every case simpler than it passes or is not valid."""
    found: Case | None = case
    while found is not None:
        case, found = found, None
        for other in simpler(case):
            with contextlib.suppress(TypeError, ValueError):  # options that cannot be combined
                if fails(other):
                    found = other
                    break
    return case


def as_source(X: Any, source: str, folder: pathlib.Path) -> Any:
    """Return the rows as another kind of input, or unchanged if the package of that kind is not installed."""
    if source in NEEDS and importlib.util.find_spec(NEEDS[source]) is None:
        return X
    if source in ("float32", "float16", "uint8", "int64"):
        return X.astype(source)
    if source.startswith("sparse"):
        sparse = importlib.import_module("scipy.sparse")
        return sparse.csr_matrix(X) if source == "sparse" else sparse.csc_matrix(X)
    if source in ("pandas", "polars"):
        columns = {f"x{i}": X[:, i].copy() for i in range(X.shape[1])}
        return importlib.import_module(source).DataFrame(columns)
    if source == "tensor":
        return importlib.import_module("torch").tensor(X.tolist(), dtype=importlib.import_module("torch").float32)
    if source == "memmap":
        path = folder / f"rows-{len(list(folder.iterdir()))}.bin"
        rows = np.memmap(path, X.dtype, "w+", shape=X.shape)
        rows[:] = X
        return rows
    if source == "list":
        return X.tolist()
    if source == "strided":
        return np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)[::2, ::3]
    if source == "reversed":
        return X[::-1, ::-1].copy()[::-1, ::-1]
    X = np.asfortranarray(X) if source == "fortran" else X.copy()
    X.flags.writeable = source != "read-only"
    return X
