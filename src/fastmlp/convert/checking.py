"""Makes a network of a chain and compares it with the model that it stands for: `network`, which all importers call.

The comparison is on 256 rows (on fewer if they are very wide), and on as many in the model's own range where a
scaling tells it, with the tool itself where that is installed, else with `Chain.evaluate`, which uses neither
folding.py nor the package's kernels. Rows are made of counted random numbers, because NumPy's generators take longer
to import than a small model to read.

How far apart two correct evaluations may be is estimated layer by layer, from the rounding errors of a dot product and
the slope of the activation, as independent errors: `_rounding`. A wrong layer is off by far more.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import FormatError
from ..frozen import frozen
from ..network import Network
from ..scaling import Scaling
from . import functions
from .chain import Activate, Affine, Array, Chain, Complement, Linear, Step
from .folding import fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsIndex

    from numpy.typing import NDArray

N_ROWS = 256
MAX_NUMBERS, MIN_ROWS = 2**23, 4  # of rows of very many columns there are fewer
SAFETY = 4  # on the estimate of rounding errors, which are not quite independent
LARGEST = 1e30  # rows with a larger number in some step say nothing about float32


@frozen
class Conversion:
    """Where a network comes from, and how far it was checked; `Network.conversion`.

    Attributes
    ----------
    source : str
        The tool that has made the model, such as "scikit-learn".
    version : str
        The tool's version; empty where the model does not say.
    difference : float
        The largest absolute difference between the outputs of the network and those of the model, on the rows of the
        comparison; NaN if every row gives infinite or very large numbers somewhere, so that none says anything.
    folded : tuple of str
        The steps of the model that have become part of a layer or of a scaling, or were left out, such as "Dropout".
    """

    source: str
    version: str
    difference: float
    folded: tuple[str, ...]


def network(
    chain: Chain, *, dtype: Any = None, engine: str = "auto", n_threads: SupportsIndex | str = "auto"
) -> Network:
    """Return the network of a chain, checked against the model.

    Parameters
    ----------
    chain : Chain
    dtype : str or dtype, optional
        That of the network; None is the chain's.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the chain has no equal network, or the network's outputs differ from the model's by more than rounding
        explains.
    """
    folded = fold(chain, dtype)
    P = np.concatenate([part.ravel() for layer in folded.layers for part in layer])
    architecture = folded.architecture
    limit = float(np.finfo(architecture.dtype).max)
    if not (np.abs(P) <= limit).all():
        raise FormatError(
            f"{chain.tool}: expected parameters that {architecture.dtype.name} can hold, got "
            f"{float(np.abs(P).max()):.3g}; dtype='float64' holds larger ones"
        )
    made = Network._from_architecture(architecture, P, random_state=0, engine=engine, n_threads=n_threads)
    rows = _rows(chain, architecture.input_scaling)
    if chain.original is not None and chain.rounding > np.finfo(chain.dtype).eps:  # which finds less than the formulas
        formulas = replace(chain, original=None, rounding=0.0)
        for X in rows:
            _compare(made, formulas, folded.steps, X)
    found = [_compare(made, chain, folded.steps, X) for X in rows]
    difference = max((each for each in found if not math.isnan(each)), default=math.nan)
    made._conversion = Conversion(chain.tool, chain.version, difference, folded.folded)
    return made


def _rows(chain: Chain, scaling: str | Scaling | None) -> list[Any]:
    """Return the rows to compare on, in the dtype of the tool: around 0, and in the range that a scaling tells."""
    plain = _numbers(min(N_ROWS, max(MAX_NUMBERS // chain.n_inputs, MIN_ROWS)), chain.n_inputs)
    rows = [plain.astype(chain.dtype, copy=False)]
    if isinstance(scaling, Scaling):
        limit = float(np.finfo(chain.dtype).max) / 2
        scaled = np.clip(plain * scaling.scale + scaling.offset, -limit, limit)
        rows.append(scaled.astype(chain.dtype))
    return rows


def _numbers(n_rows: int, n_columns: int) -> NDArray[np.float32]:
    """Return uniform random numbers of 16 bits, in [-1, 1) in one row of four, and in [-2, 2), [-4, 4), [-8, 8)."""
    with np.errstate(over="ignore"):
        z = np.arange(1, (n_rows * n_columns + 3) // 4 + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # SplitMix64
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    integers = z.view(np.int16)[: n_rows * n_columns].reshape(n_rows, n_columns)
    return integers * np.float32(2) ** (np.arange(n_rows, dtype=np.float32) % 4 - 15)[:, np.newaxis]


def _compare(made: Network, chain: Chain, steps: Sequence[Step], X: Any) -> float:
    """Return the largest difference on the rows X; raise an error if it is larger than rounding explains.

    It is NaN if no row can be compared.
    """
    dtype, n_rows = np.dtype(made.dtype), len(X) if chain.original is None else N_ROWS // 4
    expected, usable, bound = _evaluate(chain, steps, X[:n_rows], dtype)
    if n_rows < len(X):  # some rows are enough for the bound, if each of them says something
        expected, usable, bound = (
            (expected, np.ones(len(X), bool), bound) if usable.all() else _evaluate(chain, steps, X, dtype)
        )
    actual = np.asarray(made.predict(X), np.float64)
    if chain.original is not None:
        given = np.asarray(chain.original(X), np.float64)
        expected = given.reshape(len(X), -1)
        if expected.shape != actual.shape:
            raise FormatError(
                f"{chain.tool}: expected outputs of shape {actual.shape}, as its layers say, got {given.shape}"
            )
        usable = usable & (np.abs(expected) < LARGEST).all(axis=1)
    if not usable.any():
        return math.nan
    errors = np.abs(actual[usable] - expected[usable])
    if not (errors <= bound).all():
        worst = int(np.argmax(np.nan_to_num(errors / bound, nan=np.inf).max(axis=0)))
        difference = errors[:, worst].max()
        raise FormatError(
            f"{_source(chain)}: expected a network with the outputs of the model, got one whose output {worst} differs "
            f"by {difference:.3g}, where rounding explains {bound[worst]:.3g}; the model does something that fastmlp "
            "does not know: please report it, with the model if you can share it"
        )
    return float(errors.max())


def _source(chain: Chain) -> str:
    return f"{chain.tool} {chain.version}".strip()


def _evaluate(chain: Chain, steps: Sequence[Step], X: Any, dtype: np.dtype[Any]) -> tuple[Array, Any, Array]:
    """Return the outputs of the rows, which rows have moderate numbers throughout, and the error of each output."""
    x = np.asarray(X, np.float64)
    usable, error = np.ones(len(x), bool), np.zeros(x.shape[1])
    unit = float(np.finfo(dtype).eps)
    if chain.original is not None:
        unit = max(unit, float(np.finfo(chain.dtype).eps), chain.rounding)
    for step in steps:
        with np.errstate(all="ignore"):
            y = step(x)
            if not (max(y.max(), -y.min()) < LARGEST):  # also where there is NaN
                usable &= (np.abs(y) < LARGEST).all(axis=1)
                x, y = np.where(usable[:, np.newaxis], x, 0.0), np.where(usable[:, np.newaxis], y, 0.0)
            error = _rounding(step, x, y, error, unit)
        x = y
    floor = max(1024 * float(np.finfo(dtype).tiny), chain.rounding * 2**-13)  # half precision has few small numbers
    return x, usable, SAFETY * (error + unit * np.abs(x).max(axis=0)) + floor


def _rounding(step: Step, x: Array, y: Array, error: Array, unit: float) -> Array:
    """Return the error of each column of y, for that of each column of x: the root mean square over the roundings.

    A dot product of I terms has I roundings of its partial sums, and one of each weight.
    """
    largest = np.abs(x).max(axis=0, initial=0)
    if isinstance(step, Linear):
        squares = step.weight**2
        terms = np.sqrt(squares @ largest**2 + step.bias**2)
        sums = np.maximum(terms, np.abs(y).max(axis=0))
        own = unit * math.sqrt(len(largest) + 4) * sums
        result: Array = np.sqrt(squares @ error**2 + own**2)
    elif isinstance(step, Affine) and step.multiplies:
        result = error * np.abs(step.scale) + unit * (largest * np.abs(step.scale) + np.abs(step.offset))
    elif isinstance(step, Affine):
        result = (error + unit * (largest + np.abs(step.offset))) / np.abs(step.scale)
    elif isinstance(step, Complement):
        result = np.concatenate([error, error]) + unit
    else:
        result = _of_activation(step, x, y, error, unit)
    return result


def _of_activation(step: Activate, x: Array, y: Array, error: Array, unit: float) -> Array:
    """Like `_rounding`, for an activation, of which an ULP of y is allowed and some of what it is computed from."""
    own = 4 * unit * np.maximum(np.abs(y).max(axis=0), np.minimum(np.abs(x).max(axis=0), 1.0))
    for at, height in functions.JUMPS.get(type(step.activation), ()):  # a row may be on the other side
        own = own + height * (np.abs(x - at) <= SAFETY * error).any(axis=0)
    if step.activation.output_only:  # softmax: each output depends on all columns
        error = np.full_like(error, error.max())
    result: Array = error * functions.slope(step.activation) + own
    return result
