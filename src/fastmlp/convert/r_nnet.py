"""R's `nnet` and `multinom` (package nnet): a model that `saveRDS` has written, or its numbers as JSON.

Unit 0 is the bias, then come the inputs, the hidden units and the outputs; `conn` has the sources of each unit between
`nconn[u]` and `nconn[u + 1]`, and `wts` their weights. Units from `nsunits` on are linear. A connection from an input
to an output (skip = TRUE) beside a hidden layer is refused, if its weight is not 0. nnet's logistic function is 0 below
-15 and 1 above 15, a step of 3.1e-7 that is left out.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..activations import Sigmoid, Softmax
from ..errors import FormatError
from ..formats import strict_json
from . import rds_file
from .chain import Activate, Array, Chain, Linear, Step, refuse
from .text_files import Matrices, Source, malformed, read_bytes, whole

TOOL = "R nnet"
CUT = "nnet's logistic function is 0 below -15 and 1 above 15; here it goes on, and differs by at most 3.1e-7"
INTERCEPT = "(Intercept)"


def read(source: Source) -> Chain:
    """Read an `nnet` of R.

    Parameters
    ----------
    source : path or bytes
        What ``saveRDS(model, file)`` has written, or ``jsonlite::write_json(model[c("n", "wts", "conn", "nconn",
        "nsunits", "softmax", "entropy", "censored", "lev", "coefnames")], file, digits = NA)``.

    Raises
    ------
    FormatError
        If the file is malformed, has another object, or a network with connections that skip its hidden layer.
    """
    data = read_bytes(source)
    model = _of_json(data) if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else _of_rds(data)
    if _flag(model, "censored"):
        refuse("censored", "TRUE", "fit with softmax = TRUE")
    units = _units(model)
    steps = _steps(units, model)
    names, steps = _without_intercept(_texts(model, "coefnames"), steps)
    n_inputs = steps[0].weight.shape[1] if isinstance(steps[0], Linear) else 0
    n_outputs = units.n[2]
    levels = _texts(model, "lev")
    is_classifier = len(levels) == n_outputs > 1 or (
        len(levels) == 2 and n_outputs == 1 and isinstance(steps[-1], Activate)
    )
    return Chain(
        tuple(steps),
        TOOL,
        "",
        "float64",
        n_inputs,
        feature_names=tuple(names) if len(names) == n_inputs else None,
        class_names=tuple(levels) if is_classifier else None,
        folded=(CUT,) if any(isinstance(step, Activate) and step.activation == Sigmoid() for step in steps) else (),
    )


# ------------------------------------------------------------------------------------------------------------- sources


def _of_json(data: bytes) -> dict[str, Any]:
    try:
        model = strict_json.parse(data.decode("utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(f"{TOOL}: {error}") from None
    if not isinstance(model, dict):
        malformed(TOOL, "an object of JSON", model)
    return model


def _of_rds(data: bytes) -> dict[str, Any]:
    """Return the elements of the list in an RDS file, as JSON has them."""
    root = rds_file.read(data)
    classes = _plain(root.attributes.get("class")) if isinstance(root, rds_file.Vector) else None
    names = _plain(root.attributes.get("names")) if isinstance(root, rds_file.Vector) else None
    if not isinstance(classes, list) or "nnet" not in classes:
        advice = "of a model of caret, save its finalModel" if classes else "save the model that nnet has returned"
        refuse("class", f"an object of class {classes!r:.80}", advice)
    if not isinstance(root.values, list) or not isinstance(names, list) or len(names) != len(root.values):
        malformed(TOOL, "a list with a name for each element", names)
    return {name: _plain(value) for name, value in zip(names, root.values, strict=True) if isinstance(name, str)}


def _plain(value: Any) -> Any:
    if not isinstance(value, rds_file.Vector):
        return None
    return value.values.tolist() if isinstance(value.values, np.ndarray) else value.values


def _list(model: dict[str, Any], key: str) -> list[Any]:
    """Return an element as a list; a number alone is one, NULL is {} in jsonlite's JSON."""
    value = model.get(key)
    if value is None or value == {}:
        return []
    return value if isinstance(value, list) else [value]


def _flag(model: dict[str, Any], key: str) -> bool:
    values = _list(model, key) or [False]
    if len(values) != 1 or values[0] not in (0, 1):
        malformed(key, "TRUE or FALSE", values)
    return bool(values[0])


def _texts(model: dict[str, Any], key: str) -> list[str]:
    values = _list(model, key)
    if not all(isinstance(value, str) for value in values):
        malformed(key, "texts", values)
    return values


def _wholes(model: dict[str, Any], key: str) -> list[int]:
    values = _list(model, key)
    if not values:
        malformed(TOOL, f"an element {key!r} of the model", "none")
    return [whole(value, key) for value in values]


# --------------------------------------------------------------------------------------------------------------- units


class _Units(NamedTuple):
    n: tuple[int, int, int]  # inputs, hidden units, outputs
    connections: list[list[tuple[int, float]]]  # of each hidden unit and output: source and weight
    matrices: Matrices


def _units(model: dict[str, Any]) -> _Units:
    n = _wholes(model, "n")
    first, sources = _wholes(model, "nconn"), _wholes(model, "conn")
    weights = _list(model, "wts")
    if len(n) != 3 or n[0] < 1 or n[2] < 1:
        malformed("n", "the numbers of inputs, hidden units and outputs", n)
    if len(sources) != len(weights) or not sources:
        malformed("wts", f"{len(sources)} weights, as many as conn has sources", len(weights))
    if len(first) != 2 + sum(n) or first != sorted(first) or first[0] != 0 or first[-1] != len(sources):
        malformed("nconn", f"{2 + sum(n)} increasing numbers from 0 to {len(sources)}", first)
    if first[n[0] + 1] != 0:
        malformed("nconn", "no connections of the inputs", first[n[0] + 1])
    others = [w for w in weights if isinstance(w, bool) or not isinstance(w, (int, float)) or not math.isfinite(w)]
    if others:
        malformed("wts", "finite numbers", others[:3])
    pairs = list(zip(sources, map(float, weights), strict=True))
    connections = [pairs[first[u] : first[u + 1]] for u in range(n[0] + 1, 1 + sum(n))]
    return _Units((n[0], n[1], n[2]), connections, Matrices(8 * len(weights)))


def _steps(units: _Units, model: dict[str, Any]) -> list[Step]:
    n_inputs, n_hidden, n_outputs = units.n
    (n_sigmoid,) = _wholes(model, "nsunits")[:1]
    begin = 1 + n_inputs + n_hidden  # of the outputs
    softmax = _flag(model, "softmax")
    if n_sigmoid not in (begin, begin + n_outputs) or (softmax and n_sigmoid != begin):
        refuse("nsunits", f"{n_sigmoid}", f"outputs must be linear ({begin}) or logistic ({begin + n_outputs})")
    steps: list[Step] = []
    if n_hidden:
        hidden = _linear(units, units.connections[:n_hidden], range(1, n_inputs + 1), "hidden layer")
        steps += [hidden, Activate(Sigmoid(), "hidden layer")]
    sources = range(1 + n_inputs, begin) if n_hidden else range(1, n_inputs + 1)
    steps.append(_linear(units, units.connections[n_hidden:], sources, "outputs"))
    if softmax:
        steps.append(Activate(Softmax(), "outputs"))
    elif n_sigmoid > begin:
        steps.append(Activate(Sigmoid(), "outputs"))
    return steps


def _linear(units: _Units, connections: list[list[tuple[int, float]]], sources: range, place: str) -> Linear:
    weight = units.matrices.zeros(len(connections), len(sources), place)
    bias = np.zeros(len(connections))
    for row, pairs in enumerate(connections):
        for source, w in pairs:
            if source == 0:
                bias[row] += w
            elif source in sources:
                weight[row, source - sources[0]] += w
            elif w != 0:
                refuse(
                    place, f"a connection from unit {source}, which is not in the layer before", "fit with skip = FALSE"
                )
    return Linear(weight, bias, place)


def _without_intercept(names: list[str], steps: list[Step]) -> tuple[list[str], list[Step]]:
    """Make the column of ones, which multinom has as its first, a part of the first layer's biases."""
    if not names or names[0] != INTERCEPT or not isinstance(steps[0], Linear):
        return names, steps
    first: Linear = steps[0]
    if first.weight.shape[1] < 2 or len(names) != first.weight.shape[1]:
        refuse("coefnames", f"{len(names)} names, the first {INTERCEPT}", "a model without columns has no network")
    bias: Array = first.bias + first.weight[:, 0]
    return names[1:], [Linear(first.weight[:, 1:], bias, first.place), *steps[1:]]
