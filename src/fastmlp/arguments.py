"""Checks of arguments: one function for each kind of argument, and one wording for all errors.

Every function takes the argument's name and the value that the user passed. It returns the value in the one type that
the rest of the package works with, or raises `TypeError` (a wrong type) or `ValueError` (a right type with an
impossible value). The message names the argument, what was expected and what was passed.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Collection, Iterable, Mapping
from typing import SupportsFloat, SupportsIndex, TypeVar, cast

T = TypeVar("T")


def integer(argument: str, value: object, *, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return the value as an int, as `operator.index` does, after a check that minimum <= value <= maximum."""
    if isinstance(value, bool):
        raise TypeError(f"{argument}: expected an integer, got {value!r}")
    try:
        number = operator.index(cast(SupportsIndex, value))
    except TypeError:
        raise TypeError(f"{argument}: expected an integer, got {value!r}") from None
    if minimum is not None and number < minimum:
        raise ValueError(f"{argument}: expected an integer of at least {minimum}, got {number}")
    if maximum is not None and number > maximum:
        raise ValueError(f"{argument}: expected an integer of at most {maximum}, got {number}")
    return number


def real(
    argument: str,
    value: object,
    *,
    above: float | None = None,
    minimum: float | None = None,
    below: float | None = None,
    hint: str = "",
) -> float:
    """Return the value as a finite float, after a check of those of the bounds that are given.

    The bounds are above < value < below and minimum <= value. The message of an error ends with the hint.
    """
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
        f"of at least {minimum:g}" if minimum is not None else "",
        f"below {below:g}" if below is not None else "",
    ]
    expected = " and ".join(["finite", *filter(None, bounds)])
    inside = (
        math.isfinite(number)
        and (above is None or number > above)
        and (minimum is None or number >= minimum)
        and (below is None or number < below)
    )
    if not inside:
        raise ValueError(f"{argument}: expected a number that is {expected}, got {number!r}{hint}")
    return number


def flag(argument: str, value: object) -> bool:
    """Return the value as a bool, if it is one of Python's or of NumPy's."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise TypeError(f"{argument}: expected True or False, got {value!r}")


def name(argument: str, value: object, names: Iterable[str]) -> str:
    """Return the value if it is one of the names; the error lists the names and suggests the nearest one."""
    valid = list(names)
    if not isinstance(value, str):
        raise TypeError(f"{argument}: expected one of {', '.join(map(repr, valid))}, got {value!r}")
    if value in valid:
        return value
    from .suggestions import suggest  # imported here, as only an error needs it

    expected = f"{argument}: expected one of {', '.join(map(repr, valid))}"
    raise ValueError(f"{expected}, got {value!r}{suggest(value, valid)}")


def refuse_subclass(argument: str, value: object, classes: Collection[type], plural: str, advice: str) -> None:
    """Raise `TypeError` if the class of the object is not itself one of the classes, but derived from one of them.

    The message calls the classes by the plural and ends with the advice, which says what to do instead.
    """
    if type(value) not in classes:
        raise TypeError(
            f"{argument}: expected one of fastmlp's {plural}, got an object of the class {type(value).__name__}; "
            f"subclasses are not supported, as the compiled core would not run their methods: {advice}"
        )


def by_name(argument: str, value: object, base: type[T], table: Mapping[str, type[T]]) -> T:
    """Return the value if it is an instance of the base class, else a new object of the class that it names.

    The table has the classes by name. The new object has default hyper-parameters.
    """
    if isinstance(value, base):
        return value
    if isinstance(value, str):
        return table[name(argument, value, table)]()
    raise TypeError(
        f"{argument}: expected one of {', '.join(map(repr, table))} or a fastmlp {base.__name__}, got {value!r}"
    )
