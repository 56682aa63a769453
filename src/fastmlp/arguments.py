"""Checks of arguments: one function per kind of argument, one wording for all errors.

Every function takes the argument's name and the value that came, returns the value in the one type that
the rest of the package works with, and otherwise raises `TypeError` (wrong kind) or `ValueError` (right
kind, impossible value) whose message names the argument, what was expected and what came.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection, Iterable, Mapping
from typing import SupportsFloat, SupportsIndex, TypeVar, cast

T = TypeVar("T")


def integer(argument: str, value: object, *, least: int | None = None, most: int | None = None) -> int:
    """The int that `operator.index` makes of the value, within [least, most]."""
    if isinstance(value, bool):
        raise TypeError(f"{argument}: expected an integer, got {value!r}")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{argument}: expected an integer, got {value!r}") from None
    if least is not None and number < least:
        raise ValueError(f"{argument}: expected an integer of at least {least}, got {number}")
    if most is not None and number > most:
        raise ValueError(f"{argument}: expected an integer of at most {most}, got {number}")
    return number


def real(
    argument: str,
    value: object,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    hint: str = "",
) -> float:
    """The value as a finite float with above < value < below and least <= value, where those are given."""
    is_complex = isinstance(value, numbers.Complex) and not isinstance(value, numbers.Real)
    if is_complex or isinstance(value, (str, bytes, bytearray, bool)) or getattr(value, "ndim", 0) != 0:
        raise TypeError(f"{argument}: expected a real number, got {value!r}")
    try:
        number = float(cast(SupportsFloat, value))
    except TypeError:
        raise TypeError(f"{argument}: expected a real number, got {value!r}") from None
    except OverflowError:
        number = math.inf
    bounds = [
        f"above {above:g}" if above is not None else "",
        f"of at least {least:g}" if least is not None else "",
        f"below {below:g}" if below is not None else "",
    ]
    expected = " and ".join(["finite", *filter(None, bounds)])
    inside = (
        math.isfinite(number)
        and (above is None or number > above)
        and (least is None or number >= least)
        and (below is None or number < below)
    )
    if not inside:
        raise ValueError(f"{argument}: expected a number that is {expected}, got {number!r}{hint}")
    return number


def flag(argument: str, value: object) -> bool:
    """The value if it is a bool (NumPy's too)."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(f"{argument}: expected True or False, got {value!r}")


def name(argument: str, value: object, names: Iterable[str]) -> str:
    """The value if it is one of the names; the error lists them and suggests the nearest."""
    known = list(names)
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected one of {', '.join(map(repr, known))}, got {value!r}")
    if value in known:
        return value
    from .suggestions import suggest  # only an error needs it

    expected = f"{argument}: expected one of {', '.join(map(repr, known))}"
    raise ValueError(f"{expected}, got {value!r}{suggest(value, known)}")


def refuse_subclass(argument: str, value: object, known: Collection[type], plural: str, instead: str) -> None:
    """Raises where the object's class is none of the known ones, but one that is derived from them."""
    if type(value) not in known:
        raise TypeError(
            f"{argument}: expected one of fastmlp's {plural}, got an object of the class {type(value).__name__}; "
            f"subclasses are not supported, as the compiled core would not run their methods: {instead}"
        )


def by_name(argument: str, value: object, kind: type[T], table: Mapping[str, type[T]]) -> T:
    """The object itself if it is of that kind, or the one with default hyper-parameters that the name stands for."""
    if isinstance(value, kind):
        return value
    if isinstance(value, str):
        return table[name(argument, value, table)]()
    raise TypeError(
        f"{argument}: expected one of {', '.join(map(repr, table))} or a fastmlp {kind.__name__}, got {value!r}"
    )
