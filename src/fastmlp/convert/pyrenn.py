"""pyrenn's CSV of feed-forward networks, as `pyrenn.saveNN` writes.

Lines of names (nn, dIn, dIntern, dOut, normP, normY, w), each followed by its numbers. Inputs are divided by normP,
outputs multiplied by normY; hidden layers are tanh, the last one is linear; w has, layer by layer, the weights (inputs,
outputs) row by row and then the biases.
"""

from __future__ import annotations

import itertools

import numpy as np

from ..activations import Tanh
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .text_files import Source, malformed, numbers, read_text, whole

TOOL = "pyrenn"
NAMES = ("nn", "dIn", "dIntern", "dOut", "normP", "normY", "w")
MAX_LAYERS = 1000


def read(source: Source) -> Chain:
    """Read a network of pyrenn.

    Parameters
    ----------
    source : path or bytes

    Raises
    ------
    FormatError
        If the file is malformed, or the network is recurrent.
    """
    parts = _parts(read_text(source, TOOL))
    for name, expected in (("dIn", [0.0]), ("dIntern", []), ("dOut", [])):
        found = numbers(parts[name], name).tolist()
        if found != expected:
            refuse(name, f"delays ({found})", "only networks without memory can be read")
    sizes = [whole(word, "nn", 1) for word in parts["nn"]]
    if not 2 <= len(sizes) <= MAX_LAYERS:
        malformed("nn", f"2 to {MAX_LAYERS} numbers", len(sizes))
    n_weights = sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in itertools.pairwise(sizes))
    values = {}
    for name, n in (("normP", sizes[0]), ("normY", sizes[-1]), ("w", n_weights)):
        if len(parts[name]) != n:
            malformed(name, f"{n} numbers, as nn says", len(parts[name]))
        values[name] = numbers(parts[name], name)
    if not (values["normP"] != 0).all():
        refuse("normP", "a 0, by which the tool divides", "the column was 0 in all data: train without it")
    steps: list[Step] = [Affine(np.zeros(sizes[0]), values["normP"], "normP")]
    at = 0
    for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(sizes)):
        end = at + n_inputs * n_outputs
        w = values["w"][at:end].reshape(n_inputs, n_outputs).T
        place = f"layer {number}"
        steps.append(Linear(w, values["w"][end : end + n_outputs], place))
        if number < len(sizes) - 2:
            steps.append(Activate(Tanh(), place))
        at = end + n_outputs
    steps.append(Affine.times(values["normY"], np.zeros(sizes[-1]), "normY"))
    return Chain(tuple(steps), TOOL, "", "float64", sizes[0])


def _parts(text: str) -> dict[str, list[str]]:
    """Return the words under each name; "," stands for none."""
    parts: dict[str, list[str]] = {}
    name = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        if line in NAMES:
            if line in parts:
                malformed(TOOL, "each name once", line)
            name = line
            parts[name] = []
        elif not name:
            malformed(TOOL, "a line nn at the beginning", line)
        else:
            parts[name] += [word for word in map(str.strip, line.split(",")) if word]
    missing = [each for each in NAMES if each not in parts]
    if missing:
        malformed(TOOL, f"lines {', '.join(NAMES)}", f"none of {', '.join(missing)}")
    return parts
