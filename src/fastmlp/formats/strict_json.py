"""JSON of files that nobody vouches for: what `json` takes beyond JSON, and what would cost far more than its text.

A value that `parse` returns has no NaN or infinity, no key twice, no integer of more than 20 digits, no lone surrogate,
and at most `DEEPEST` levels, so whoever looks at it cannot run out of stack. Its memory is bounded by the length of the
text: lists, objects and keys, which take many times their characters, are counted first. `json` itself is imported by
the functions, as a network that is neither read nor written does without.
"""

from __future__ import annotations

import math
import reprlib

DEEPEST = 32
MAX_CONTAINERS = MAX_KEYS = 2**19


def parse(text: str) -> object:
    """The JSON value; a ValueError says what was expected and what came."""
    import json

    if text.count("[") + text.count("{") > MAX_CONTAINERS or text.count(":") > MAX_KEYS:
        raise ValueError(f"expected JSON of at most {MAX_CONTAINERS:,} lists, objects and keys, got more")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError(f"expected JSON of at most {DEEPEST} levels, got a very deep one") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"expected JSON, got {error}") from None
    _check_depth(value)
    check_unicode(text, value)
    return value


def compact(value: object, *, sort_keys: bool = False) -> str:
    """The value as JSON without blanks, in ASCII."""
    import json

    return json.dumps(value, sort_keys=sort_keys, separators=(",", ":"), allow_nan=False)


def check_unicode(text: str, value: object) -> None:
    """Refuses lone surrogates, which JSON's escapes can spell and UTF-8 cannot write, in a value and its text."""
    if "\\u" not in text and text.isascii():
        return
    import json

    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"expected Unicode text, got {reprlib.repr(value)}") from None


def _check_depth(value: object) -> None:
    """Refuses a value of more than `DEEPEST` levels."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[object] = []
        for each in level:
            children = list(each.values()) if isinstance(each, dict) else each if isinstance(each, list) else ()
            if not {list, dict}.isdisjoint(map(type, children)):
                below += [child for child in children if isinstance(child, (list, dict))]
        level = below
        if not level:
            return
    raise ValueError(f"expected JSON of at most {DEEPEST} levels, got a very deep one")


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
