"""The class Architecture: a network without its parameters, that is layers, loss, dtype, scalings and column names.

The constructor of `Network`, model files, pickles and importers of other tools' models all make an Architecture. It is
checked when it is made, and immutable, so a network can be built from any Architecture. Its fields are arguments of
`Network`, which documents them. The arguments engine and n_threads are not fields, because they depend on the machine
and are in no file; see engines.py.

To add a field, add its check to `__post_init__` and its JSON form to formats/descriptions.py.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import activations, arguments, losses, scaling
from .activations import Activation
from .frozen import fields, frozen
from .initializers import INITIALIZERS
from .inputs import schema
from .inputs.schema import Schema
from .losses import Loss
from .optimizers import Optimizer
from .scaling import Scaling

if TYPE_CHECKING:
    from .encoder import Encoder
    from .inputs.labels import Label

T = TypeVar("T", bound=Activation | Loss | Optimizer)

MAX_PARAMETERS = 2**31  # of a network; also the maximum number of weights of a layer
MAX_LAYERS = 10_000
DTYPES = ("float32", "float64")


@frozen(kw_only=True)
class Architecture:
    """A checked description of a network.

    The constructor takes the arguments of `Network` in all their forms; each field has a single type.

    Raises
    ------
    ValueError, TypeError
        If an argument is not valid (the message names it), or if two of them contradict each other.
    """

    sizes: tuple[int, ...]
    activation: tuple[Activation, ...]
    output_activation: Activation
    loss: Loss
    dtype: np.dtype[Any]
    init: str = "auto"
    seed: int | None = None
    input_scaling: str | Scaling | None = None
    target_scaling: str | Scaling | None = None
    feature_names: tuple[str, ...] | None = None
    target_name: str | None = None
    class_names: tuple[Label, ...] | None = None
    encoder: Encoder | None = None

    def __post_init__(self) -> None:
        sizes, dtype = check_sizes(self.sizes), check_dtype(self.dtype)
        hidden = check_activations(self.activation, len(sizes) - 2)
        loss = losses.resolve("loss", self.loss)
        output = self.output_activation
        if output is not None:
            output = activations.resolve("output_activation", output, output=True)
        output = losses.match(loss, output, sizes[-1])
        for activation in (*hidden, output):
            check_precision(activation, dtype)
        check_precision(loss, dtype)
        names = self.feature_names, self.target_name, self.class_names, self.encoder
        checked = {
            "sizes": sizes,
            "activation": hidden,
            "output_activation": output,
            "loss": loss,
            "dtype": dtype,
            "init": arguments.name("init", self.init, INITIALIZERS),
            "seed": None if self.seed is None else arguments.integer("seed", self.seed, minimum=0, maximum=2**64 - 1),
            "input_scaling": scaling.check("input_scaling", self.input_scaling, sizes[0]),
            "target_scaling": scaling.check_targets(self.target_scaling, loss, sizes[-1]),
            **schema.check(*names, sizes[0], n_classes(loss, sizes[-1]))._asdict(),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> tuple[Activation, ...]:
        """The activation of each layer, including the last one."""
        return *self.activation, self.output_activation

    @property
    def schema(self) -> Schema:
        """The names of columns, target and classes, and the encoder."""
        return Schema(self.feature_names, self.target_name, self.class_names, self.encoder)

    @property
    def scalings(self) -> tuple[Scaling | None, Scaling | None]:
        """The scaling of the inputs and of the targets; None without scaling, or before a fit has computed it."""
        inputs, targets = (
            each if isinstance(each, Scaling) else None for each in (self.input_scaling, self.target_scaling)
        )
        return inputs, targets


def n_classes(loss: Loss, n_outputs: int) -> int:
    """Return the number of classes that this number of outputs can distinguish: two for one output."""
    return max(2, n_outputs // loss.n_heads)


def check_sizes(sizes: object) -> tuple[int, ...]:
    """Return the layer sizes as ints, after a check: at least two, each at least 1, and at most 2**31 weights in each
    layer and 2**31 parameters in all.
    """
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, (Sequence, np.ndarray)):
        raise TypeError(f"sizes: expected a sequence of integers, got {sizes!r}")
    listed = list(itertools.islice(iter(sizes), MAX_LAYERS + 2))
    if len(listed) > MAX_LAYERS + 1:
        raise ValueError(f"sizes: expected at most {MAX_LAYERS:,} layers, got more")
    largest = MAX_PARAMETERS - 1
    checked = tuple(arguments.integer(f"sizes[{i}]", size, minimum=1, maximum=largest) for i, size in enumerate(listed))
    if len(checked) < 2:
        raise ValueError(f"sizes: expected at least 2 sizes, inputs and outputs, got {list(checked)}")
    counts = [n_inputs * n_outputs for n_inputs, n_outputs in itertools.pairwise(checked)]
    if max(*counts, sum(counts) + sum(checked[1:])) > MAX_PARAMETERS:
        raise ValueError(f"sizes: expected at most 2**31 weights in a layer and parameters in all, got {list(checked)}")
    return checked


def check_dtype(dtype: object) -> np.dtype[Any]:
    """Return the dtype, float32 or float64, that a name or another object that NumPy understands stands for."""
    if isinstance(dtype, str):
        return np.dtype(arguments.name("dtype", dtype, DTYPES))
    try:
        if dtype is None:
            raise TypeError
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"dtype: expected one of {', '.join(map(repr, DTYPES))}, got {dtype!r}") from None
    return np.dtype(arguments.name("dtype", found.name, DTYPES))


def check_activations(activation: object, n_hidden: int) -> tuple[Activation, ...]:
    """Return the activation of each hidden layer, from a single one for all layers or a sequence with one for each."""
    if isinstance(activation, (str, Activation)):
        return (activations.resolve("activation", activation, output=False),) * n_hidden
    if not isinstance(activation, Sequence):
        raise TypeError(f"activation: expected a name, an activation or a list of them, got {activation!r}")
    listed = list(itertools.islice(iter(activation), MAX_LAYERS))
    if len(listed) != n_hidden:
        raise ValueError(f"activation: expected a list of {n_hidden}, one for each hidden layer, got {len(listed)}")
    return tuple(activations.resolve(f"activation[{i}]", f, output=False) for i, f in enumerate(listed))


def check_precision(choice: T, dtype: np.dtype[Any]) -> T:
    """Return the activation, loss or optimiser, after a check that the dtype can hold its hyper-parameters.

    Their magnitude must be 0 or lie between the dtype's smallest normal and largest number.
    """
    smallest, largest = _magnitudes(dtype)
    for name in fields(choice):
        value = getattr(choice, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, (int, float)):  # the value is a name, a schedule or a function
                continue
            if not (number == 0 or smallest <= abs(number) <= largest):
                raise ValueError(f"{name}: expected a number that {dtype.name} can hold, got {number!r} in {choice!r}")
    return choice


@functools.cache  # as every call of `fit` and `train_on_batch` asks
def _magnitudes(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the dtype's smallest normal and largest number."""
    return float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
