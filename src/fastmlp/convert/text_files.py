"""Reading small files of text from strangers, for the importers of text formats: bytes, text and numbers, all checked.

Nothing here takes more memory than a small multiple of the file, except `matrix`, which has a limit of its own for
weights that a file need not list.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..errors import FormatError
from ..formats import atomic, strict_json
from .chain import Array

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Source = str | bytes | os.PathLike[str]

MAX_BYTES = 2**30
MAX_SPARSE = 2**24  # numbers of the matrices of which a file lists only some
MAX_TAGS = 2**20
MAX_XML_DEPTH = 64
# One way to match each text, so that a long one that is no number takes no square of its length.
NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?"


def malformed(place: str, expected: str, found: object) -> NoReturn:
    """Raise the error for a file that is not what its format says."""
    raise FormatError(f"{place}: expected {expected}, got {found!r:.80}")


def read_bytes(source: Source) -> bytes:
    """Return the bytes of a file, or the bytes that are given in its place.

    Raises
    ------
    FormatError
        If it is no regular file, or has more than `MAX_BYTES`.
    OSError
        If it cannot be read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source)
    name = atomic.name_of(source)
    with open(name, "rb") as stream:
        if not os.path.isfile(name):
            raise FormatError(f"{name}: expected a regular file, got a device or a pipe")
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise FormatError(f"{name}: expected a file of at most {MAX_BYTES:,} bytes, got a larger one")
    return data


def read_text(source: Source, tool: str) -> str:
    """Return the text of a file in UTF-8, as `read_bytes`."""
    try:
        return read_bytes(source).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{tool}: expected a file of text, got byte {error.start} that is no UTF-8") from None


def read_json(source: Source, tool: str) -> object:
    """Return the value of a file of JSON, see `strict_json`."""
    try:
        return strict_json.parse(read_text(source, tool))
    except ValueError as error:
        raise error if isinstance(error, FormatError) else FormatError(f"{tool}: {error}") from None


def number(text: str, place: str) -> float:
    """Return the finite number that a text stands for."""
    if not re.fullmatch(NUMBER, text.strip()) or not np.isfinite(value := float(text)):
        malformed(place, "a finite number", text)
    return value


def numbers(words: Sequence[str], place: str) -> Array:
    """Return the finite numbers that texts stand for."""
    text = " ".join(words) + " " * bool(words)
    if not re.fullmatch(rf"(?:{NUMBER} )*", text) or text.count(" ") != len(words):
        return np.array([number(word, place) for word in words], np.float64)  # which says what is wrong
    values = np.array([float(word) for word in words], np.float64)
    if not np.isfinite(values).all():
        malformed(place, "finite numbers", words[int(np.argmin(np.isfinite(values)))])
    return values


def whole(value: object, place: str, minimum: int = 0, maximum: int = 2**31 - 1) -> int:
    """Return a whole number, which may be text, in a range."""
    if isinstance(value, str) and re.fullmatch(r"\d{1,10}", value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        malformed(place, f"a whole number from {minimum} to {maximum}", value)
    return value


def array(value: object, place: str, *shape: int) -> Array:
    """Return nested lists of numbers, as JSON has them, as an array of the shape; -1 is any length."""
    result: list[float] = []

    def walk(part: object, depth: int) -> None:
        if depth == len(shape):
            if isinstance(part, bool) or not isinstance(part, (int, float)):
                malformed(place, "a number", part)
            result.append(float(part))
            return
        if not isinstance(part, list) or (shape[depth] >= 0 and len(part) != shape[depth]):
            found = f"{len(part)} elements" if isinstance(part, list) else part
            malformed(place, f"a list of {shape[depth]}" if shape[depth] >= 0 else "a list", found)
        for each in part:
            walk(each, depth + 1)

    walk(value, 0)
    return np.array(result, np.float64).reshape(shape)


class Matrices:
    """Makes the matrices of weights of which a file of `n_bytes` lists only some, in proportion to the file."""

    def __init__(self, n_bytes: int) -> None:
        self._limit = self._left = max(MAX_SPARSE, n_bytes)

    def zeros(self, rows: int, columns: int, place: str) -> Array:
        """Return a matrix of zeros; an error if all matrices so far have too many numbers together."""
        self._left -= rows * columns
        if self._left < 0:
            raise FormatError(
                f"{place}: expected at most {self._limit:,} weights in all layers of a file that lists only some, got "
                f"{self._limit - self._left:,} with the {rows:,} times {columns:,} here"
            )
        return np.zeros((rows, columns))


def xml_root(text: str, place: str) -> Element:
    """Return the root of XML without a document type, so that there are no entities, and of bounded depth.

    Raises
    ------
    FormatError
        If it is not well-formed, or not such XML.
    """
    from xml.etree import ElementTree  # here, because few formats need it

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        malformed(place, "XML without a document type", "one")
    if text.count("<") > MAX_TAGS * 2:
        malformed(place, f"at most {MAX_TAGS:,} elements", "more")
    # The declaration may name an encoding, which is UTF-8 here: the text is decoded already.
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
    parser: Any = ElementTree.XMLPullParser(("start", "end"))
    depth = 0
    root: Element | None = None
    try:
        for begin in range(0, len(text), 2**16):
            parser.feed(text[begin : begin + 2**16])
            for event, element in parser.read_events():
                root = element if root is None else root
                depth += 1 if event == "start" else -1
                if depth > MAX_XML_DEPTH:
                    malformed(place, f"at most {MAX_XML_DEPTH} levels of elements", "more")
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"{place}: expected XML, got {error}") from None
    if root is None:
        malformed(place, "XML", "none")
    return root
