"""Weights of fewer bytes: what they cost a network, and where they are refused.

`quantization_report` compares predictions with weights in bfloat16 and int8 with those in float32. The engines are
compiled (csrc/kernels/bfloat16.inc and int8.inc); `predictor` makes a compiled predictor with one of them, after a
check that no layer loses too much. How much a layer loses is measured on the weights that the engine says it uses, so
this module knows nothing of its rounding.
"""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, metrics
from .frozen import frozen
from .inputs import arrays, schema, targets
from .model import Model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

ENGINES = {"float32": "native", "bfloat16": "native-bfloat16", "int8": "native-int8"}  # the engine of each format
MAX_ERROR = 1 / 32  # of a layer's weights, see `check_layer`
_TIMED_ROWS, _ROUNDS, _SECONDS = 64, 7, 0.002  # different rows, rounds of measurements, and the length of one


@frozen
class FormatCost:
    """What a format of weights costs: one line of a `QuantizationReport`.

    Attributes
    ----------
    weights : str
        "float32", "bfloat16" or "int8".
    n_bytes : int
        Memory of weights and biases, with their padding.
    row_seconds : float
        The time of `predict` for one row.
    worst_difference, mean_difference : float
        The largest and the mean of |output - output with float32 weights|, over rows and outputs.
    loss, score : float or None
        The mean loss, and the accuracy or R2, over the rows; None without targets.
    refused : str or None
        Why the network cannot have this format; then all numbers are NaN, 0 or None.
    """

    weights: str
    n_bytes: int = 0
    row_seconds: float = float("nan")
    worst_difference: float = float("nan")
    mean_difference: float = float("nan")
    loss: float | None = None
    score: float | None = None
    refused: str | None = None


@frozen
class QuantizationReport:
    """What weights in bfloat16 and int8 cost a network; its text is a table. `quantization_report` makes it.

    Attributes
    ----------
    formats : tuple of FormatCost
        Of float32, bfloat16 and int8, in this order.
    score_name : str or None
        "accuracy" or "r2"; None without targets.
    """

    formats: tuple[FormatCost, ...]
    score_name: str | None = None

    def __getitem__(self, weights: str) -> FormatCost:
        """Return the line of a format."""
        for line in self.formats:
            if line.weights == weights:
                return line
        raise KeyError(weights)

    def __str__(self) -> str:
        scores = [] if self.score_name is None else ["loss", self.score_name]
        rows = [["weights", "bytes", "one row", "worst difference", "mean difference", *scores]]
        rows += [_cells(line, self.score_name) for line in self.formats]
        full = [row for row in rows if len(row) == len(rows[0])]
        widths = [max(map(len, column)) for column in zip(*full, strict=True)]
        return "\n".join(_aligned(row, widths) for row in rows)


def _cells(line: FormatCost, score_name: str | None) -> list[str]:
    """Return a line of the table as texts; the reason alone for a format that is refused."""
    if line.refused is not None:
        return [line.weights, f"refused: {line.refused}"]
    cells = [line.weights, f"{line.n_bytes:,}", f"{1e6 * line.row_seconds:.3g} µs"]
    cells += [f"{line.worst_difference:.3g}", f"{line.mean_difference:.3g}"]
    if line.score is not None:
        cells += [f"{line.loss:.5g}", f"{line.score:.2%}" if score_name == "accuracy" else f"{line.score:.5f}"]
    return cells


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """Return the texts in columns, the first one aligned left, numbers right."""
    first, *rest = row
    numbers = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=False)]
    return "   ".join([first.ljust(widths[0]), *numbers])


def quantization_report(net: Model, X: Any, y: ArrayLike | None = None) -> QuantizationReport:
    """Compare the predictions of a network with weights in float32, bfloat16 and int8.

    Parameters
    ----------
    net : Network
        A float32 network. It is not changed.
    X : array_like, shape (B, I) or (I,)
        Rows as `predict` gets them later; all numbers are finite. How much int8 costs depends on them, since the inputs
        of a layer are rounded, too: take rows that are typical.
    y : array_like, optional
        Targets of the rows, as for `fit`. With them, the report has the loss and, for losses of classes, the accuracy,
        else R2.

    Returns
    -------
    QuantizationReport
        Its text is a table; ``report["int8"]`` has the numbers of a format. Times are measured in this call.

    Raises
    ------
    TypeError
        If `net` is not a `Network`.
    ValueError
        If the network is float64, a scaling has not been fitted yet, or rows or targets have a wrong shape or numbers
        that are not finite.

    Notes
    -----
    bfloat16 rounds weights to 8 significant bits; inputs stay float32. int8 stores weights as integers from -127 to 127
    times a scale for each output, and rounds the inputs of a layer to 7 bits, with a scale and a zero for each row.
    Biases stay float32, and so do the weights of a layer that would gain nothing: one with at most 16 outputs or 8,192
    weights, which the L1 cache holds. A format is refused if it would change the weights of a layer by more than
    1/32 (root mean square of the change over that of the weights).

    Examples
    --------
    >>> net = fastmlp.Network([64, 200, 10], seed=0)
    >>> X = np.random.default_rng(0).random((100, 64))
    >>> report = fastmlp.quantization_report(net, X)
    >>> [line.weights for line in report.formats]
    ['float32', 'bfloat16', 'int8']
    >>> report["bfloat16"].worst_difference < 0.02 and report["int8"].worst_difference < 0.2
    True
    """
    if not isinstance(net, Model):
        raise TypeError(f"net: expected a Network, got {type(net).__name__!r}")
    net._refuse_unscaled("quantization_report")
    rows = None if y is None else net._rows(X, y)
    x = _inputs(net, X) if rows is None else rows.x
    if arrays.first_not_finite(x, net.dtype) is not None:
        targets.refuse_not_finite("X", x, net.dtype)
    made: dict[str, _core.Predictor] = {}
    refused: dict[str, str] = {}
    for weights in ENGINES:
        try:
            made[weights] = predictor(net, weights)
        except RoundingError as error:
            refused[weights] = str(error)
    seconds = _row_seconds(list(made.values()), _some_rows(x, net.dtype))
    times = dict(zip(made, seconds, strict=True))
    exact = np.asarray(made["float32"].predict(x), np.float64)
    score_name = None if rows is None else "accuracy" if net.loss.classifies else "r2"
    lines = []
    for weights in ENGINES:
        if weights in refused:
            lines.append(FormatCost(weights, refused=refused[weights]))
            continue
        differences = np.abs(made[weights].predict(x) - exact)
        numbers = {} if rows is None else _scores(made[weights], net, rows, str(score_name))
        lines.append(
            FormatCost(
                weights,
                made[weights]._n_bytes,
                times[weights],
                float(differences.max()),
                float(differences.mean()),
                numbers.get("loss"),
                numbers.get(str(score_name)),
            )
        )
    return QuantizationReport(tuple(lines), score_name)


class RoundingError(ValueError):
    """A format of weights would change a layer too much."""


def predictor(net: Model, weights: str, *, engine: str | None = None) -> _core.Predictor:
    """Return a compiled predictor with the published parameters of a network, in one of the formats of ENGINES.

    It has the network's instruction set, number of threads, scalings and schema, and shares nothing with it that
    training changes. The scalings must be fitted. A `RoundingError`, a ValueError, says that a layer would lose too
    much. `engine` names a variant of the format's engine, for tests and benchmarks (csrc/kernels/int8.inc).
    """
    if net.dtype != np.float32:
        raise ValueError(f"net: expected a float32 network, whose weights can be narrowed, got one of {net.dtype}")
    layers = [(f.name, f.hyper_parameters, getattr(f, "functions", None)) for f in net._architecture().layers]
    bounds = targets.TARGETS[net.loss.targets].bounds
    P, columns, _ = net._published()
    made = _core.Predictor()
    made._build(net.sizes, layers, net.loss, False, engine or ENGINES[weights], net._isa, net._max_threads, bounds)
    made._load(P, *columns)
    check_rounding(weights, net.sizes, P, made._unpack())
    return made


def check_rounding(weights: str, sizes: Sequence[int], P: NDArray[Any], rounded: NDArray[Any]) -> None:
    """Raise a `RoundingError` unless a format keeps the weights of each layer (`check_layer`).

    Parameters
    ----------
    weights : str
    sizes : sequence of int
    P : ndarray, shape (n_parameters,)
        The parameters, all finite.
    rounded : ndarray, shape (n_parameters,)
        The parameters as the engine uses them (`Predictor._unpack`).
    """
    begin = 0
    for layer, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes)):
        part = slice(begin, begin + n_inputs * n_outputs)
        check_layer(weights, layer, P[part], rounded[part])
        begin = part.stop + n_outputs


def check_layer(weights: str, layer: int, w: NDArray[Any], used: NDArray[Any]) -> None:
    """Raise a `RoundingError` unless the weights w of a layer change by at most MAX_ERROR if they become `used`.

    The error of a layer is the root mean square of the changes of its weights over that of its weights. If errors are
    independent of the inputs, it is also the relative error of the layer's sums z. bfloat16 has 0.1 %, as long as no
    weight rounds to infinity. int8 has about 1 % in trained networks, and more where the largest weight of an output is
    far from the others: 1/32 where they are normally distributed and the largest is 14 times their deviation.
    """
    exact = w.astype(np.float64)
    largest = np.abs(exact).max()
    with np.errstate(invalid="ignore"):
        change = (used - exact) / (largest or 1.0)
    if not np.isfinite(change).all():
        raise RoundingError(
            f"weights: expected a format that keeps layer {layer}; its largest weight, {largest:.6g}, is infinite "
            f"in {weights!r}"
        )
    error = np.linalg.norm(change) / (np.linalg.norm(exact / (largest or 1.0)) or 1.0)
    if error > MAX_ERROR:
        raise RoundingError(
            f"weights: expected a format that keeps layer {layer}; {weights!r} would change its weights by "
            f"{error:.1%} (root mean square), more than {MAX_ERROR:.1%}, as some weights are far larger than the "
            "others of their output; use weights='float32'"
        )


# -------------------------------------------------------------------------------------------------------- measurements


def _inputs(net: Model, X: Any) -> Any:
    """Return the rows as the core takes them."""
    given = net._architecture()
    x = schema.to_inputs(given.schema, X)
    return arrays.convert(x, net.sizes[0], net.dtype, scaled=given.input_scaling is not None)


def _some_rows(x: Any, dtype: np.dtype[Any]) -> list[NDArray[Any]]:
    """Return a few rows as arrays of that dtype."""
    some = x[:_TIMED_ROWS] if x.ndim == 2 else x[np.newaxis]
    some = some if isinstance(some, np.ndarray) else some.toarray()
    return list(np.ascontiguousarray(some, dtype))


def _row_seconds(predictors: Sequence[_core.Predictor], rows: Sequence[NDArray[Any]]) -> list[float]:
    """Return for each predictor the median time of one row, measured in turns, as the machine's speed changes."""
    times = [[_seconds_per_row(each, rows) for each in predictors] for _ in range(_ROUNDS)]
    return [float(median) for median in np.median(times, axis=0)]


def _seconds_per_row(each: _core.Predictor, rows: Sequence[NDArray[Any]]) -> float:
    predict, clock, n = each.predict, time.perf_counter, 0
    begin = now = clock()
    while now - begin < _SECONDS:
        for row in rows:
            predict(row)
        n, now = n + len(rows), clock()
    return (now - begin) / n


def _scores(each: _core.Predictor, net: Model, rows: _core.Rows, score_name: str) -> dict[str, float]:
    """Return the loss and the score of a predictor over the rows."""
    network: Any = SimpleNamespace(loss=net.loss, sizes=net.sizes, predict=each.predict, _evaluate=each._evaluate)
    return metrics.evaluate(network, rows, metrics.resolve([score_name]))
