"""What c_writer.py and c_int8.py share: a layer of a C file, and numbers as the text of an array."""

from __future__ import annotations

import textwrap
from typing import Any, NamedTuple

from numpy.typing import NDArray

from .c_activations import literal


class Layer(NamedTuple):
    """What computes y = b + w x of a layer in the file."""

    functions: dict[str, str]  # texts by their names
    calls: str  # the statements; x and y stand for the arrays
    whole: bool  # whether y gets whole vectors of numbers, so that the activation may be applied to these


def table(numbers: NDArray[Any], dtype: str) -> str:
    """Return the lines of an array's numbers; the rows of a matrix in braces."""
    if numbers.ndim == 2:
        return ",\n".join("    {\n" + textwrap.indent(table(row, dtype), "    ") + "\n    }" for row in numbers)
    texts, count = [literal(x, dtype) for x in numbers], 8 if dtype == "float32" else 5
    return ",\n".join("    " + ", ".join(texts[i : i + count]) for i in range(0, len(texts), count))
