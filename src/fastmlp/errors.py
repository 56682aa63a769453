"""The errors of the package that have a class of their own; all others are Python's.

A file that cannot be read, or a model of another tool that no network equals, raises a `FormatError`, which is a
`ValueError`. `format_error` words one for a field of a file.
"""

from __future__ import annotations

import reprlib


class FormatError(ValueError):
    """A file is truncated, altered, of another kind or of a later version, or no network is equal to its model."""


class UnknownFieldError(FormatError):
    """A file has a field that this version of fastmlp does not know; a later version may have written it."""


def format_error(argument: str, expected: str, value: object) -> FormatError:
    """Make the error that names a field, what was expected there and, shortened, what was found."""
    return FormatError(f"{argument}: expected {expected}, got {reprlib.repr(value)}")
