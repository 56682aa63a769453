"""The arguments that only `Network.__init__` takes: sizes, activations, dtype, engine.

Each function returns its argument in the one form that the rest of the package works with, or raises the typed
error that names it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from . import activations, arguments
from .activations import Activation
from .frozen import fields
from .losses import Loss
from .optimizers import Optimizer

T = TypeVar("T", bound=Activation | Loss | Optimizer)

MOST = 2**31  # of the weights of a layer, and of all parameters
MOST_LAYERS = 10_000
ENGINES = ("auto", "blas", "native")
DTYPES = ("float32", "float64")
WITHOUT_FMA = ("base",)


def check_sizes(sizes: object) -> tuple[int, ...]:
    """The layer sizes as ints: at least two, each at least 1, no product and no total above 2**31."""
    if isinstance(sizes, (str, bytes)) or not isinstance(sizes, (Sequence, np.ndarray)):
        raise TypeError(f"sizes: expected a sequence of integers, got {sizes!r}")
    listed = list(itertools.islice(iter(sizes), MOST_LAYERS + 2))
    if len(listed) > MOST_LAYERS + 1:
        raise ValueError(f"sizes: expected at most {MOST_LAYERS:,} layers, got more")
    checked = tuple(
        arguments.integer(f"sizes[{i}]", size, minimum=1, maximum=MOST - 1) for i, size in enumerate(listed)
    )
    if len(checked) < 2:
        raise ValueError(f"sizes: expected at least 2 sizes, inputs and outputs, got {list(checked)}")
    counts = [n_inputs * n_outputs for n_inputs, n_outputs in itertools.pairwise(checked)]
    if max(*counts, sum(counts) + sum(checked[1:])) > MOST:
        raise ValueError(f"sizes: expected at most 2**31 weights in a layer and parameters in all, got {list(checked)}")
    return checked


def check_dtype(dtype: object) -> np.dtype[Any]:
    """float32 or float64, given as a name or as anything that NumPy takes for it."""
    if isinstance(dtype, str):
        return np.dtype(arguments.name("dtype", dtype, DTYPES))
    try:
        if dtype is None:
            raise TypeError
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise TypeError(f"dtype: expected one of {', '.join(map(repr, DTYPES))}, got {dtype!r}") from None
    return np.dtype(arguments.name("dtype", found.name, DTYPES))


def check_precision(choice: T, dtype: np.dtype[Any]) -> T:
    """The activation, loss or optimiser, once its hyper-parameters are seen to survive the network's dtype."""
    smallest = float(np.finfo(dtype).tiny)
    for name in fields(choice):
        value = getattr(choice, name)
        for number in value if isinstance(value, tuple) else (value,):
            if not isinstance(number, (int, float)):  # a word, a schedule or a function
                continue
            if not (number == 0 or smallest <= abs(number) <= float(np.finfo(dtype).max)):
                raise ValueError(f"{name}: expected a number that {dtype.name} can hold, got {number!r} in {choice!r}")
    return choice


def choose_engine(engine: object, isa: str) -> tuple[str, str]:
    """The engine that computes the layers, and why; a forced one never falls back."""
    name = arguments.name("engine", engine, ENGINES)
    if name != "auto":
        return name, "as asked"
    if isa in WITHOUT_FMA:
        return "blas", f"the instruction set {isa} lacks the fused multiply-add that the native engine lives on"
    return "native", f"the instruction set {isa} has fused multiply-add"


def check_threads(n_threads: object) -> int | str:
    """The word auto, or an integer of at least 1."""
    if isinstance(n_threads, str) and n_threads == "auto":
        return n_threads
    return arguments.integer("n_threads", n_threads, minimum=1)


def check_activations(activation: object, n_hidden: int) -> tuple[Activation, ...]:
    """The activation of each hidden layer, from one for all or a list with one for each."""
    if isinstance(activation, (str, Activation)):
        return (activations.resolve("activation", activation, output=False),) * n_hidden
    if not isinstance(activation, Sequence):
        raise TypeError(f"activation: expected a name, an activation or a list of them, got {activation!r}")
    listed = list(itertools.islice(iter(activation), MOST_LAYERS))
    if len(listed) != n_hidden:
        raise ValueError(f"activation: expected a list of {n_hidden}, one for each hidden layer, got {len(listed)}")
    return tuple(activations.resolve(f"activation[{i}]", f, output=False) for i, f in enumerate(listed))
