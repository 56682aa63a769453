"""How a table is written as text: separator, header, decimal mark, and the lines above the table.

`look` returns the `Dialect` of a file. It uses what the user has specified and infers the rest from the beginning of
the file, over many lines and outside quotation marks. The first row is a header unless the user says that there is
none. `Dialect.in_words` describes the result in one line, which is shown so that users can correct a wrong guess.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .columns import NUMBER

SEPARATORS = ("\t", ";", "|", ",", " ")  # of equally good ones, the first is chosen
SAMPLE_LINES = 200
QUOTED = re.compile(r'(?:(?<=[\s,;|])|^)"(?:[^"]|"")*"', re.MULTILINE)
LINE_END = re.compile(r"\r\n|\n|\r")
# A cell in quotation marks that begins in this line and ends, as a cell does, in a later one.
SPANS_LINES = re.compile(r'[^\r\n]*[,;\t|] *"(?:[^"\r\n]|"")*[\r\n](?:[^"]|"")*" *(?:[,;\t|\r\n]|\Z)')
SEPARATOR_LINE = re.compile(r'"?sep=([\t -~])"?\s*', re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+(?:[eE][+-]?[0-9]+)?")
DECIMAL_POINT = re.compile(r"[+-]?[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?")
NAMES = {"\t": "a tab", " ": "blanks"}
MAX_CELL_LENGTH = 2**31 - 1  # characters; the default limit of Python's csv is 131,072


class Options(NamedTuple):
    """What the user specifies about the text: None leaves it to be inferred. `missing` lists further marks of missing
    values, beside the usual ones.
    """

    separator: str | None = None
    header: bool = True
    decimal: str | None = None
    missing: tuple[str, ...] = ()


class Dialect(NamedTuple):
    """How the text is written.

    `names` are the names of the columns, or their indices if there is no header. The first row of data begins after
    `skipped` characters, which are `skipped_lines` lines; the header begins after `above` characters.
    """

    separator: str
    decimal: str
    has_header: bool
    names: tuple[str, ...]
    header_text: str
    skipped: int
    skipped_lines: int
    above: int
    first_is_nameless: bool

    def in_words(self) -> str:
        """Describe separator, decimal mark and header in one line."""
        separator = NAMES.get(self.separator, repr(self.separator))
        decimal = ", decimal comma" if self.decimal == "," else ""
        if not self.has_header:
            return f"separator {separator}{decimal}, no header, {len(self.names)} columns"
        shown = ", ".join(map(repr, self.names[:6]))
        more = f" and {len(self.names) - 6} more" if len(self.names) > 6 else ""
        return f"separator {separator}{decimal}, header {shown}{more}"

    def doubt(self) -> str | None:
        """Describe why the first row may be data and not a header; None if nothing suggests it."""
        numbers = [name for name in cells(self.header_text, self.separator) if _is_number(name)]
        if not (self.has_header and numbers):
            return None
        return f"the header has numbers ({', '.join(map(repr, numbers[:3]))}); --no-header if the first row is data"


def look(text: str, complete: bool, options: Options = Options()) -> Dialect:  # noqa: B008 - immutable
    """Return the dialect of a file that begins with this text; `complete` if the text is the whole file."""
    start, comments, declared = _skip_preamble(text)
    if not text[start:].strip() and comments and not options.header:
        start, comments = comments[0], []  # all rows begin with #
    if not text[start:].strip():
        raise ValueError("expected a table, got an empty file")
    separator = options.separator or declared or guess_separator(text[start:], complete)
    start = _table_offset(text, start, comments, separator, options.header)
    rest = text[start:]
    header, length, n_lines = _first_row(rest, separator)
    if length == len(rest) and _has_open_quotation(rest, separator):
        raise ValueError("expected the end of a quotation that begins in the first row, got none")
    comment = text[comments[-1] : start].strip().lstrip("# ") if comments and comments[-1] < start else None
    if comment is not None and options.header and _is_header_in_comment(comment, header, separator):
        header, length, n_lines = comment, 0, 0
    written = cells(header, separator)
    names = _names(written) if options.header else tuple(map(str, range(len(written))))
    skipped = start + length if options.header else start
    decimal = options.decimal or guess_decimal(text[skipped:], separator)
    if decimal == separator:
        raise ValueError(f"expected a separator other than the decimal mark, got {decimal!r} for both")
    above = text.count("\n", 0, start)
    nameless = options.header and not written[0]
    lines = above + (n_lines if options.header else 0)
    return Dialect(separator, decimal, options.header, names, header, skipped, lines, start, nameless)


def _skip_preamble(text: str) -> tuple[int, list[int], str | None]:
    """Return the offsets of the table and of each comment line (#) directly above it, and the separator that a line
    `sep=;`, as Excel writes it, declares. A line that begins with # is a row if one of its cells goes on in the next.
    """
    start, separator = 0, None
    comments: list[int] = []
    while start < len(text):
        end = LINE_END.search(text, start)
        line, after = (text[start:], len(text)) if end is None else (text[start : end.start()], end.end())
        declared = SEPARATOR_LINE.fullmatch(line)
        if line.startswith("#") and SPANS_LINES.match(text, start):
            break
        if line.startswith("#"):
            comments.append(start)
        elif declared is not None:
            separator, comments = declared[1], []
        elif line.strip(" "):
            break
        start = after
    return start, comments, separator


def _table_offset(text: str, start: int, comments: Sequence[int], separator: str, has_header: bool) -> int:
    """Return the offset of the table, including lines that begin with # but belong to it.

    A line belongs to the table if it has as many cells as the row below. In a table with a header this is at most one
    line; if it is a header in a comment, as NumPy's savetxt writes it, the offset stays behind it.
    """
    row, length, _ = _first_row(text[start:], separator)
    n_cells = len(cells(row, separator))
    below = text[start + length :]
    named = not any(map(_is_number, cells(row, separator)))
    over_numbers = (
        named and bool(below.strip()) and any(map(_is_number, cells(_first_row(below, separator)[0], separator)))
    )
    for begin in reversed(comments):
        line = text[begin:start].rstrip("\r\n")
        if len(cells(line, separator)) != n_cells or (has_header and (n_cells == 1 or over_numbers)):
            break
        if has_header:
            is_header = _is_header_in_comment(line.lstrip("# "), row, separator)
            return start if is_header else begin
        start = begin
    return start


def _first_row(text: str, separator: str) -> tuple[str, int, int]:
    """Return the first row of the text, its length including the line end, and the number of lines that it spans."""
    ends = [0]

    def lines() -> Iterator[str]:
        for match in LINE_END.finditer(text):
            ends.append(match.end())
            yield text[ends[-2] : ends[-1]]
        if ends[-1] < len(text):
            ends.append(len(text))
            yield text[ends[-2] :]

    try:
        _, n_lines = next(records(lines(), separator))
    except csv.Error as error:
        raise ValueError(f"line 1: {error}") from None
    length = ends[n_lines]
    return text[:length], length, n_lines


def _has_open_quotation(text: str, separator: str) -> bool:
    """Whether a quotation in the text does not end."""
    try:
        for _ in records(LINE_END.split(text), separator, strict=True):
            pass
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def records(lines: Iterable[str], separator: str, *, strict: bool = False) -> Iterator[tuple[list[str], int]]:
    """Yield the cells of each row, and the number of lines read so far. A cell may be of any length.

    `strict` raises csv.Error for a quotation without end. The limit that Python's csv has for the length of a cell is
    global; it is restored when the generator ends or is closed.
    """
    limit = csv.field_size_limit(MAX_CELL_LENGTH)
    try:
        reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ", strict=strict)
        for cells in reader:
            yield cells, reader.line_num
    finally:
        csv.field_size_limit(limit)


def cells(row: str, separator: str) -> list[str]:
    """Split a row into its cells, without blanks around them."""
    found, _ = next(records([row], separator), ([], 0))
    stripped = [cell.strip() for cell in found]
    return [cell for cell in stripped if cell] if separator == " " else stripped


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None


def _is_header_in_comment(comment: str, row: str, separator: str) -> bool:
    """Whether the text of a comment line is the header of the row below, as NumPy's savetxt writes it."""
    below = cells(row, separator)
    named = cells(comment, separator)
    return len(named) == len(below) > 1 and any(map(_is_number, below)) and not any(map(_is_number, named))


def name_in_header(name: str, index: int) -> str:
    """The name under which a column of that name and index is read back from a text file that another tool has written.

    A header keeps no blanks around a name, its first name loses the # and blanks that mark a comment, and a column
    without a name is called by its index.
    """
    return (name.strip().lstrip("# ") if index == 0 else name.strip()) or str(index)


def _names(written: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns, the index in place of an empty name; refuse a header with equal names."""
    names = tuple(name or str(index) for index, name in enumerate(written))
    if len(set(names)) != len(names):
        index = next(i for i, name in enumerate(names) if name in names[:i])
        given = [i for i in (names.index(names[index]), index) if written[i]]
        got = f"{names[index]!r} twice"
        if len(given) == 1:
            got = f"{names[index]!r} and a column without a name that has this index, which would be its name"
        hint = "; --no-header if the first row is data" if any(map(_is_number, written)) else ""
        raise ValueError(f"expected a header of different names, got {got}{hint}")
    return names


def guess_separator(text: str, complete: bool = True) -> str:
    """Infer the separator: the character whose usual number per line, outside quotation marks, most lines have."""
    bare = QUOTED.sub("Q", text) if '"' in text else text
    lines = [line for line in LINE_END.split(bare) if line.strip()]
    if not complete and len(lines) > 1:
        lines.pop()
    lines = lines[:SAMPLE_LINES]
    best, best_share = ",", 0.0
    for separator in SEPARATORS:
        counts = [len(line.split()) - 1 if separator == " " else line.count(separator) for line in lines]
        usual = max(set(counts), key=lambda count: (counts.count(count), count))
        share = counts.count(usual) / len(counts) if usual else 0.0
        if share == 1 or (separator != " " and share > best_share):
            best, best_share = separator, share
        if share == 1:
            break
    return best


def guess_decimal(text: str, separator: str) -> str:
    """Infer the decimal mark: a comma if some cells are numbers with a comma and none is a number with a point."""
    if separator == ",":
        return "."
    found = [
        cell.strip().strip('"').strip()
        for line in LINE_END.split(text)[:SAMPLE_LINES]
        for cell in (line.split() if separator == " " else line.split(separator))
    ]
    comma = any(DECIMAL_COMMA.fullmatch(cell) for cell in found)
    return "," if comma and not any(DECIMAL_POINT.fullmatch(cell) for cell in found) else "."
