"""R's serialized objects, as `saveRDS` writes them: versions 2 and 3, as XDR or text, plain or packed by gzip.

An object becomes a `Vector` (numbers as an array, text and lists as a list), with its attributes by name; what is no
data (symbols, calls, environments, functions) is passed over. No code is run. Lengths are compared with the bytes that
are left before anything is allocated. Objects are read by generators on a stack of our own, so that a deep object
cannot overflow Python's.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import FormatError
from .text_files import malformed

TOOL = "RDS"
MAX_DEPTH = 20_000
MIN_LIMIT = 2**26  # bytes that any packed file may have unpacked; larger ones 64 times their size
NONE, REFERENCE, ALTREP = 254, 255, 238
MARKERS = {254, 253, 252, 251, 250, 242, 241}  # NULL, the global environment and others, which are a number alone
PAIRS = {2, 3, 5, 6, 17, 239, 240}  # lists of pairs, calls, functions: (attributes), (tag), first, rest
SYMBOL, ENVIRONMENT, TEXT = 1, 4, 9
NUMBERS: dict[int, np.dtype[Any]] = {
    10: np.dtype(">i4"),
    13: np.dtype(">i4"),
    14: np.dtype(">f8"),
    15: np.dtype(">c16"),
    24: np.dtype("u1"),
}
LISTS = {16, 19, 20}  # of texts, and of objects
BUILTINS = {7, 8}
NAMESPACES = {247, 248, 249}
COMPACT = {"compact_intseq", "compact_realseq"}
ESCAPES = {b"n": b"\n", b"t": b"\t", b"v": b"\v", b"b": b"\b", b"r": b"\r", b"f": b"\f", b"a": b"\a"}

Read = Generator[Any, Any, Any]


@dataclass
class Vector:
    """A vector of R: an array of numbers, or a list of texts (None is NA) or of objects; with attributes."""

    values: Any
    attributes: dict[str, Any] = field(default_factory=dict)


class Pairs(dict[str, Any]):
    """A list of pairs: values by their tags, of which the first counts, and all values in order."""

    def __init__(self) -> None:
        self.sequence: list[Any] = []


def read(data: bytes) -> Any:
    """Return the object in the bytes of a file.

    Raises
    ------
    FormatError
        If they are malformed, cut off, or no such file.
    """
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data)
    if data.startswith((b"BZh", b"\xfd7zXZ")):
        malformed(TOOL, "a file packed by gzip or not at all; saveRDS(model, file) writes one", data[:6])
    if data.startswith(b"X\n"):
        source: _Binary = _Binary(data, 2)
    elif data.startswith(b"A\n"):
        source = _Words(data, 2)
    else:
        malformed(TOOL, "a file that saveRDS has written", data[:6])
    version = source.integer()
    if version not in (2, 3):
        malformed(TOOL, "version 2 or 3", version)
    source.integer(), source.integer()
    if version == 3:
        source.text(source.length(1))
    return _run(_Reader(source))


def _unpacked(data: bytes) -> bytes:
    limit = max(MIN_LIMIT, 64 * len(data))
    unpacker = zlib.decompressobj(31)
    try:
        result = unpacker.decompress(data, limit)
    except zlib.error as error:
        raise FormatError(f"{TOOL}: expected a file packed by gzip, got {error}") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        malformed(TOOL, f"a whole file of at most {limit:,} bytes unpacked", "a larger one, or one that is cut off")
    return result


def _run(reader: _Reader) -> Any:
    """Run the generators of the objects, which yield those of the objects within them."""
    stack: list[Read] = [reader.item()]
    result: Any = None
    while stack:
        try:
            stack.append(stack[-1].send(result))
            result = None
        except StopIteration as end:
            stack.pop()
            result = end.value
        if len(stack) > MAX_DEPTH:
            malformed(TOOL, f"at most {MAX_DEPTH:,} levels", "more")
    return result


# ------------------------------------------------------------------------------------------------------------- numbers


class _Binary:
    """The numbers of a file in XDR: big endian."""

    is_binary = True

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def _take(self, n: int) -> bytes:
        if n > len(self.data) - self.at:
            malformed(TOOL, f"{n:,} bytes at byte {self.at:,}", f"{len(self.data) - self.at:,}: the file is cut off")
        self.at += n
        return self.data[self.at - n : self.at]

    def integer(self) -> int:
        value: int = struct.unpack(">i", self._take(4))[0]
        return value

    def length(self, size: int) -> int:
        """Return the number of elements that follow, each of at least `size` bytes in the file."""
        n = self.integer()
        if not 0 <= n * size <= len(self.data) - self.at:
            malformed(TOOL, f"a length that fits into the file at byte {self.at:,}", n)
        return n

    def text(self, n: int) -> bytes:
        return self._take(n)

    def numbers(self, dtype: np.dtype[Any]) -> Any:
        n = self.length(dtype.itemsize)
        return np.frombuffer(self._take(n * dtype.itemsize), dtype).astype(dtype.newbyteorder("="))


class _Words(_Binary):
    """The numbers of a file of text: words with white space between them."""

    is_binary = False

    def __init__(self, data: bytes, at: int) -> None:
        super().__init__(data, at)
        self.words = re.compile(rb"\s*(\S+)")

    def _word(self) -> bytes:
        found = self.words.match(self.data, self.at)
        if found is None:
            malformed(TOOL, "a word", "the end of the file")
        self.at = found.end()
        return found[1]

    def integer(self) -> int:
        word = self._word()
        if word == b"NA":
            return -(2**31)
        if not re.fullmatch(rb"-?\d{1,10}", word):
            malformed(TOOL, "a whole number", word)
        return int(word)

    def text(self, n: int) -> bytes:
        return b"" if n == 0 else re.sub(rb"\\([0-7]{1,3}|.)", _unescaped, self._word())

    def numbers(self, dtype: np.dtype[Any]) -> Any:
        n = self.length(2)
        if dtype.kind != "f":
            return np.array([self.integer() for _ in range(n)], np.int64)
        return np.array([self._real() for _ in range(n)], np.float64)

    def _real(self) -> float:
        word = self._word()
        if word in (b"NA", b"NaN", b"Inf", b"-Inf"):
            return float(word.replace(b"NA", b"nan"))
        if not re.fullmatch(rb"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", word):
            malformed(TOOL, "a number", word)
        return float(word)


def _unescaped(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8) & 255]) if code.isdigit() else ESCAPES.get(code, code)


# ------------------------------------------------------------------------------------------------------------- objects


class _Reader:
    """The objects; each method is a generator that yields those of other objects and is sent their values."""

    def __init__(self, source: _Binary) -> None:
        self.source = source
        self.references: list[Any] = []
        self.n_in_sequences = 0.0  # numbers, so far, of sequences that the file has in a short form

    def item(self) -> Read:
        flags = self.source.integer()
        kind = flags & 255
        if kind in MARKERS:
            return None
        if kind == REFERENCE:
            return self._reference(flags)
        if kind in PAIRS:
            return (yield self._pairs(flags))
        if kind == SYMBOL:
            self.references.append((yield self.item()))
            return self.references[-1]
        if kind == ALTREP:
            return (yield self._altrep())
        if kind not in NUMBERS and kind not in LISTS and kind != TEXT:
            return (yield self._other(kind))
        value = self._text() if kind == TEXT else (yield self._vector(kind))
        attributes = (yield self.item()) if flags & 512 else None
        if isinstance(value, Vector) and isinstance(attributes, dict):
            value.attributes = attributes
        return value

    def _vector(self, kind: int) -> Read:
        if kind in NUMBERS:
            return Vector(self.source.numbers(NUMBERS[kind]))
        values = []
        for _ in range(self.source.length(4 if self.source.is_binary else 2)):
            values.append((yield self.item()))
        return Vector(values)

    def _text(self) -> str | None:
        n = self.source.integer()
        if n == -1:
            return None
        if not 0 <= n <= len(self.source.data):
            malformed(TOOL, "the length of a text", n)
        return self.source.text(n).decode("utf-8", "replace")

    def _reference(self, flags: int) -> Any:
        index = flags >> 8 or self.source.integer()
        if not 1 <= index <= len(self.references):
            malformed(TOOL, f"a reference to one of {len(self.references)} objects", index)
        return self.references[index - 1]

    def _pairs(self, flags: int) -> Read:
        """Read pairs up to their end."""
        values = Pairs()
        while True:
            kind = flags & 255
            if kind not in PAIRS:
                malformed(TOOL, "a pair or the end of a list of them", f"an object of type {kind}")
            if flags & 512 or kind in (239, 240):
                yield self.item()
            tag = (yield self.item()) if flags & 1024 else None
            value = yield self.item()
            values.sequence.append(value)
            if isinstance(tag, str):
                values.setdefault(tag, value)
            at = self.source.at
            flags = self.source.integer()
            if flags & 255 not in PAIRS:
                self.source.at = at
                yield self.item()
                return values

    def _altrep(self) -> Read:
        """Read a vector in a short form: a sequence, numbers as text, or another vector in a wrapper."""
        info, state, attributes = (yield self.item()), (yield self.item()), (yield self.item())
        name = info.sequence[0] if isinstance(info, Pairs) else None
        inner = state.sequence[0] if isinstance(state, Pairs) else None
        if name in COMPACT and isinstance(state, Vector) and np.shape(state.values) == (3,):
            value = self._sequence(*(float(x) for x in state.values))
        elif name == "deferred_string" and isinstance(inner, Vector) and isinstance(inner.values, np.ndarray):
            value = Vector([f"{x:.15g}" for x in inner.values.tolist()])
        elif isinstance(name, str) and name.startswith("wrap_") and isinstance(inner, Vector):
            value = Vector(inner.values, dict(inner.attributes))
        else:
            malformed(TOOL, "a vector that is written out", f"a short form {name!r}")
        if isinstance(attributes, dict):
            value.attributes |= attributes
        return value

    def _sequence(self, n: float, first: float, step: float) -> Vector:
        self.n_in_sequences += n
        if not 0 <= n <= self.n_in_sequences <= len(self.source.data) or not np.isfinite([first, step]).all():
            malformed(TOOL, "sequences that together are no longer than the file", n)
        return Vector(first + step * np.arange(int(n)))

    def _other(self, kind: int) -> Read:
        if kind == ENVIRONMENT:
            self.source.integer()
            self.references.append(None)
            for _ in range(4):
                yield self.item()
        elif kind in NAMESPACES:
            self.source.integer()
            for _ in range(self.source.length(4)):
                yield self.item()
            self.references.append(None)
        elif kind in BUILTINS:
            self.source.text(self.source.length(1))
        else:
            malformed(TOOL, "data", f"an object of R's type {kind}")
        return None
