"""JSON from files that are not trusted: `parse` refuses what `json` accepts beyond the standard, and excessive values.

A value that `parse` returns has no NaN or infinity, no key twice, no integer of more than 20 digits, no lone surrogate,
and at most `MAX_DEPTH` levels, so that recursion over it cannot overflow the stack. Its memory is bounded by the length
of the text, because lists, objects and keys, which take many times the memory of their characters, are counted first.

The functions import `json` when they are called, because a program that reads and writes no files does not need it.
"""

from __future__ import annotations

import math
import reprlib

MAX_DEPTH = 32
MAX_CONTAINERS = MAX_KEYS = 2**19


def parse(text: str) -> object:
    """Parse the text; a ValueError says what was expected and what was found."""
    import json

    if text.count("[") + text.count("{") > MAX_CONTAINERS or text.count(":") > MAX_KEYS:
        raise ValueError(f"expected JSON of at most {MAX_CONTAINERS:,} lists, objects and keys, got more")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError(f"expected JSON of at most {MAX_DEPTH} levels, got a very deep one") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got {error}") from None
    _check_depth(value)
    check_unicode(text, value)
    return value


def compact(value: object, *, sort_keys: bool = False) -> str:
    """Return the value as JSON without blanks, in ASCII."""
    import json

    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False)


def check_unicode(text: str, value: object) -> None:
    """Refuse lone surrogates in a value and its text: JSON's escapes can represent them, UTF-8 cannot."""
    if "\\u" not in text and text.isascii():
        return
    import json

    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"expected Unicode text, got {reprlib.repr(value)}") from None


def _check_depth(value: object) -> None:
    """Refuse a value of more than `MAX_DEPTH` levels."""
    level = [value]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for each in level:
            children = list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else ()
            if not {list, dict}.isdisjoint(map(type, children)):
                below += [child for child in children if isinstance(child, (list, dict))]
        level = below
        if not level:
            return
    raise ValueError(f"expected JSON of at most {MAX_DEPTH} levels, got a very deep one")


def _object(items: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(items)
    if len(values) != len(items):
        raise ValueError(f"expected each key once, got {reprlib.repr([key for key, _ in items])}")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError(f"expected integers of at most 20 digits, got {reprlib.repr(digits)}")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"expected finite numbers, got {reprlib.repr(digits)}")
    return number


def _constant(word: str) -> object:
    raise ValueError(f"expected finite numbers, got {word!r}")
