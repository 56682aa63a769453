"""The part of OpenCV's FileStorage in YAML, XML and JSON that models are written in: `parse`.

Values are dicts, lists, floats and text. OpenCV's YAML begins with "%YAML:1.0", which other readers refuse, and is
little more than indented keys and lists. No entities are expanded in XML, which has none to begin with.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ..errors import FormatError
from ..formats import strict_json
from .text_files import NUMBER, malformed, xml_root

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_DEPTH = 16


def parse(text: str) -> dict[str, Any]:
    """Return the values of a file, by their names."""
    begin = text.lstrip()[:1]
    if begin == "{":
        try:
            value = strict_json.parse(text)
        except ValueError as error:
            raise FormatError(f"OpenCV: {error}") from None
    elif begin == "<":
        value = _xml(text)
    elif begin == "%":
        value = _Yaml(text).document()
    else:
        malformed("OpenCV", "a file of YAML (%YAML:1.0), XML or JSON", text[:40])
    if not isinstance(value, dict):
        malformed("OpenCV", "named values", value)
    return value


def _scalar(word: str) -> float | str:
    word = word.strip()
    if len(word) > 1 and word[0] == word[-1] == '"':
        return word[1:-1]
    return float(word) if re.fullmatch(NUMBER, word) else word


# ----------------------------------------------------------------------------------------------------------------- XML


def _xml(text: str) -> Any:
    root = xml_root(text, "OpenCV")
    if root.tag != "opencv_storage":
        malformed("OpenCV", "the element opencv_storage", root.tag)
    return {child.tag: _element(child) for child in root}


def _element(element: Element) -> Any:
    """Return an element's value: of elements named _ a list, of others a dict, of text its words."""
    children = list(element)
    if not children:
        words = (element.text or "").split()
        return _scalar(words[0]) if len(words) == 1 and element.tag not in _LISTS else [_scalar(word) for word in words]
    if all(child.tag == "_" for child in children):
        return [_as_list(_element(child)) for child in children]
    values = {child.tag: _element(child) for child in children}
    if len(values) != len(children):
        malformed(f"OpenCV: {element.tag}", "each name once", [child.tag for child in children])
    return values


_LISTS = {"layer_sizes", "input_scale", "output_scale", "inv_output_scale", "weights"}


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, dict)) else [value]


# ---------------------------------------------------------------------------------------------------------------- YAML


class _Yaml:
    """OpenCV's YAML, line by line: `key: value`, `- value`, and lists in brackets, which may go on in later lines."""

    def __init__(self, text: str) -> None:
        lines = [line.rstrip() for line in text.splitlines()]
        self.lines = [line for line in lines if line.strip() and line.strip() not in ("---", "...") and line[0] != "%"]
        self.at = 0

    def document(self) -> Any:
        value = self._block(0, 0)
        if self.at < len(self.lines):
            malformed("OpenCV", "indented keys of YAML", self.lines[self.at])
        return value

    def _indent(self) -> int:
        if self.at >= len(self.lines):
            return -1
        line = self.lines[self.at]
        return len(line) - len(line.lstrip(" "))

    def _block(self, indent: int, depth: int) -> Any:
        """Return the list or the dict whose lines have this indent."""
        if depth > MAX_DEPTH:
            malformed("OpenCV", f"at most {MAX_DEPTH} levels", "more")
        values: dict[str, Any] = {}
        items: list[Any] = []
        while self._indent() == indent:
            line = self.lines[self.at].strip()
            self.at += 1
            if line == "-" or line.startswith("- "):
                items.append(self._value(line[1:].strip(), indent, depth))
                continue
            key, colon, rest = line.partition(":")
            if not colon or key in values:
                malformed("OpenCV", "lines `key: value` of YAML, each key once", line)
            values[key] = self._value(rest.strip(), indent, depth)
        if items and values:
            malformed("OpenCV", "a list or keys in YAML", f"both, at {next(iter(values))}")
        return items or values

    def _value(self, rest: str, indent: int, depth: int) -> Any:
        if rest.startswith("["):
            words = [rest[1:]]
            while "]" not in words[-1]:
                if self.at >= len(self.lines):
                    malformed("OpenCV", "] at the end of a list", "the end of the file")
                words.append(self.lines[self.at].strip())
                self.at += 1
            inside, _, after = " ".join(words).partition("]")
            if after.strip():
                malformed("OpenCV", "nothing after a list", after)
            return [_scalar(word) for word in inside.split(",")] if inside.strip() else []
        if rest:
            return _scalar(rest)
        deeper = self._indent()
        return self._block(deeper, depth + 1) if deeper > indent else []
