"""Text with a table in it: the bytes, how they are written, and the columns as polars or NumPy reads them.

Polars is fast and lenient. What it takes silently and should not is looked for here: rows with too few cells, blank
lines. What it cannot read and others can (blanks around quotation marks, quotation marks within a cell, several blanks
as separator, UTF-16) is written anew by Python's csv first. Rows are counted from 1, below the header.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import mmap
import re
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dialect
from .columns import MISSING, PlainFrame
from .dialect import Options

HEAD_BYTES = 1 << 18
INFERRED_ROWS = 1000
FIRST_ROWS = 300
QUOTATION_MARK = re.compile(b'"')
COMMA_NUMBER = r"^\s*[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?\s*$"
POINT_NUMBER = r"^\s*[+-]?(?:[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+\.[0-9]+|[0-9]+)(?:,[0-9]*)?\s*$"


class Sheet:
    """A table written as text; `data` is what the file has where that is not the file's own bytes (unpacked)."""

    def __init__(self, path: str, data: bytes | None, options: Options) -> None:
        self.path, self.missing = path, MISSING.union(options.missing)
        self.in_file = data is None
        self.data: Any = _mapped(path) if data is None else data
        for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
            if self.data[:2] == mark:
                try:
                    self._rewrite(self.data[:].decode(encoding).encode())
                except UnicodeDecodeError:
                    raise ValueError("expected text in UTF-8 or UTF-16, got other bytes") from None
        head = self.data[:HEAD_BYTES]
        if b"\r" in head and b"\n" not in head:
            self._rewrite(self.data[:].replace(b"\r", b"\n"))
            head = self.data[:HEAD_BYTES]
        complete = len(self.data) <= HEAD_BYTES
        text = self._decoded(head, complete)
        self.mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        self.dialect = dialect.look(text, complete, options)
        self.above = self.mark + len(text[: self.dialect.above].encode())
        self.start = self.mark + len(text[: self.dialect.skipped].encode())

    def _rewrite(self, data: bytes) -> None:
        self.data, self.in_file = data, False

    def _decoded(self, head: bytes, complete: bool) -> str:
        try:
            return codecs.getincrementaldecoder("utf-8")().decode(head.removeprefix(codecs.BOM_UTF8), final=complete)
        except UnicodeDecodeError as error:
            raise ValueError(self._not_utf8(head, error.start)) from None

    @staticmethod
    def _not_utf8(data: Any, position: int) -> str:
        line = data[:position].count(b"\n") + 1
        return f"line {line}: expected text in UTF-8, got other bytes; iconv -f LATIN1 -t UTF-8 makes it so, say"

    def first_cells(self, name: str) -> list[str]:
        """The cells of a column in the first rows, `FIRST_ROWS` at most, that end in the beginning of the file."""
        index = self.dialect.names.index(name)
        text = self.data[self.start : self.start + HEAD_BYTES].decode("utf-8", "ignore")
        rows = [cells for cells, _ in itertools.islice(_rows(text, self.dialect.separator), FIRST_ROWS + 1)][:-1]
        return [cells[index] for cells in rows if index < len(cells)]

    # ------------------------------------------------------------------------------------------------------ polars

    def read_polars(self, as_text: Collection[str]) -> Any:
        """The columns as a frame of polars; the types are polars' own guess but for those wanted as text."""
        self._clean()
        wanted = [self.dialect.names.index(name) for name in as_text if name in self.dialect.names]
        try:
            frame = self._parsed(wanted)
        except _errors():
            frame = self._parsed_anew(wanted)
        frame.columns = list(self.dialect.names)
        frame = self._without_blank_lines(frame)
        return self._with_points(frame, set(as_text)) if self.dialect.decimal == "," else frame

    def _clean(self) -> None:
        """Write the text anew where polars and NumPy would take it wrongly."""
        if self.dialect.separator == " ":
            self._write_anew()
        elif self.data.find(b'"', self.start) >= 0:
            separator = re.escape(self.dialect.separator.encode())
            first = re.compile(rb" +\"").match(self.data, self.start)  # where ^ and \A do not match
            before = re.compile(rb"[" + separator + rb"\n] +\"")
            after = re.compile(rb"\" +(?:[" + separator + rb"\r\n]|\Z)")
            if first or before.search(self.data, self.start) or after.search(self.data, self.start):
                self._write_anew()
            elif len(QUOTATION_MARK.findall(self.data, self.start)) % 2:
                self._refuse_open_quotation(self.data[self.start :].decode("utf-8", "replace"))

    def _parsed(self, as_text: list[int], *, infer: int = INFERRED_ROWS) -> Any:
        """What polars makes of the rows; its own names of the columns."""
        import polars as pl

        names = [str(i) for i in range(len(self.dialect.names))]
        plain = self.in_file and self.dialect.has_header and self.above == self.mark and self.dialect.skipped_lines == 1
        source: Any = self.path
        if plain:
            names = pl.read_csv(
                io.BytesIO(self.data[self.above : self.start]), separator=self.dialect.separator, n_rows=0
            ).columns
            plain = len(names) == len(self.dialect.names)
        if not plain:
            names = [str(i) for i in range(len(self.dialect.names))]
            rows = self.data[self.start :]
            if not rows.strip():
                raise ValueError(f"{self.path}: expected rows below the header, got none")
            source = io.BytesIO(self.dialect.separator.join(names).encode() + b"\n" + rows)
        return pl.read_csv(
            source,
            separator=self.dialect.separator,
            decimal_comma=self.dialect.decimal == ",",
            schema_overrides={names[i]: pl.String for i in as_text},
            infer_schema_length=infer,
            raise_if_empty=False,
        )

    def _parsed_anew(self, as_text: list[int]) -> Any:
        """The rows where polars has met what its guess did not expect: as text, then by way of Python's csv."""
        every = list(range(len(self.dialect.names)))
        try:
            return self._parsed(every, infer=0)
        except _errors() as error:
            self._refuse_bad_text()
            if self.data.find(b'"', self.start) >= 0:
                self._write_anew()
                try:
                    return self._parsed(every, infer=0)
                except _errors():
                    pass
            told = str(error).splitlines()[0]
            raise ValueError(f"{self.path}: {told}; read with {self.dialect.in_words()}") from None

    def _without_blank_lines(self, frame: Any) -> Any:
        """The rows without blank lines; a row with too few cells, whose rest polars has left null, is refused."""
        import polars as pl

        if not frame.height or not frame.to_series(frame.width - 1).null_count():
            return frame
        widths = self._check_widths()
        if not len(widths) == frame.height:
            raise ValueError(f"{self.path}: expected {len(widths)} rows, got {frame.height} from polars")
        return frame if widths.all() else frame.filter(pl.Series(widths != 0))

    def _with_points(self, frame: Any, as_text: set[str]) -> Any:
        """The frame with decimal commas made points where polars has left them as text, but for those wanted so."""
        import polars as pl

        changed = []
        for series in frame:
            if series.dtype != pl.String or series.name in as_text:
                continue
            present = series.str.strip_chars().drop_nulls()
            present = present.filter(~present.is_in(sorted(self.missing)))
            if not len(present):
                continue
            if present.str.contains(COMMA_NUMBER).all():
                changed.append(_with_point(series))
            elif present.str.contains(POINT_NUMBER).all() and present.str.contains(".", literal=True).any():
                shown = present.filter(present.str.contains(".", literal=True))[0]
                raise ValueError(
                    f"{self.path}: column {series.name!r}: expected numbers with a decimal comma, got {shown!r}; "
                    "--decimal . if the point is the decimal mark"
                )
        return frame.with_columns(changed) if changed else frame

    # ------------------------------------------------------------------------------------------------------- NumPy

    def read_numpy(self, as_text: Collection[str]) -> PlainFrame:
        """The columns as NumPy's reader takes them: all are numbers but for those wanted as text."""
        self._refuse_bad_text()
        self._clean()
        self._check_widths()
        text = self.data[self.start :].decode("utf-8")
        if not text.strip():
            raise ValueError(f"{self.path}: expected rows below the header, got none")
        columns: dict[str, NDArray[Any]] = {}
        for i, name in enumerate(self.dialect.names):
            if name in as_text:
                columns[name] = self._loaded(text, [i], str)[:, 0]
        numeric = [i for i, name in enumerate(self.dialect.names) if name not in as_text]
        numbers = self._loaded(text, numeric, np.float64) if numeric else np.empty((0, 0))
        columns |= {self.dialect.names[i]: np.ascontiguousarray(numbers[:, k]) for k, i in enumerate(numeric)}
        return PlainFrame({name: columns[name] for name in self.dialect.names})

    def _loaded(self, text: str, indices: list[int], kind: Any) -> NDArray[Any]:
        comma = self.dialect.decimal == ","
        convert = dict.fromkeys(indices, _number_with_comma) if comma and kind is not str else None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy tells of blank lines
                loaded: NDArray[Any] = np.loadtxt(  # type: ignore[call-overload]
                    io.StringIO(text),
                    dtype=kind,
                    comments=None,
                    delimiter=self.dialect.separator,
                    converters=convert,
                    usecols=indices,
                    ndmin=2,
                    quotechar='"',
                )
        except ValueError as error:
            found = re.search(r"string '(.*)' to float64 at row (\d+), column (\d+)", str(error), re.DOTALL)
            where, got = "", str(error).splitlines()[0]
            if found is not None:
                name = self.dialect.names[int(found[3]) - 1]
                where = f"row {int(found[2]) + 1}, column {name!r}: "
                got = repr(found[1]) if found[1] else "an empty cell"
            raise ValueError(
                f"{self.path}: {where}expected a number, got {got}; with polars, text, dates and missing values are "
                "read, too: pip install polars"
            ) from None
        return loaded

    # ---------------------------------------------------------------------------------------------------- the text

    def _refuse_bad_text(self) -> None:
        """Refuse what is not UTF-8, a quotation mark without end, and rows of another width."""
        try:
            text = self.data[self.start :].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path}: {self._not_utf8(self.data, self.start + error.start)}") from None
        if '"' in text:
            self._refuse_open_quotation(text)
        self._check_widths()

    def _refuse_open_quotation(self, text: str) -> None:
        """Refuse a cell whose quotation does not end, or ends after some lines where another one was to begin."""
        separator = re.escape(self.dialect.separator)
        blanks = "" if self.dialect.separator == " " else " *"
        quoted = rf'(?:^|{separator}) *"([^"]*+(?:""[^"]*+)*+)"(?={blanks}([^ {separator}\r\n]*))'
        for cell in re.finditer(quoted, text, re.MULTILINE):
            if cell[2] and "\n" in cell[1]:
                line = text.count("\n", 0, cell.start(1)) + 1 + self.dialect.skipped_lines
                raise ValueError(
                    f"{self.path}: quotation that begins in line {line}: expected the next cell after it, got "
                    f"{cell[2]!r:.60}; a quotation mark within a cell is written twice"
                )
        first = begins = 1  # what does not end takes in whatever line is put below the text
        below = itertools.chain(io.StringIO(text, newline=""), ["below"])
        for cells, line in dialect.records(below, self.dialect.separator):
            first, begins, last = begins, line + 1, cells
        if last != ["below"]:
            raise ValueError(
                f"{self.path}: row that begins in line {first + self.dialect.skipped_lines}: expected the end of a "
                "quotation, got the end of the file"
            )

    def _check_widths(self) -> NDArray[np.int64]:
        """The number of cells of each row, 0 of a blank line; a row of another width is refused."""
        widths, lines = self._widths()
        expected = len(self.dialect.names)
        wrong = np.flatnonzero((widths != expected) & (widths != 0))
        if len(wrong):
            index = int(wrong[0])
            row = index + 1 - int(np.count_nonzero(widths[:index] == 0))
            line = int(lines[index]) + self.dialect.skipped_lines
            what = "the header" if self.dialect.has_header else "the first row"
            raise ValueError(
                f"{self.path}: row {row} (line {line}): expected {expected} cells as in {what}, got "
                f"{int(widths[index])}; read with {self.dialect.in_words()}"
            )
        return widths

    def _widths(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of cells of each row, and the line that it begins in, from 1 for the first row of data."""
        rows = self.data[self.start :]
        separator = self.dialect.separator
        if b'"' in rows or separator == " ":
            blank: tuple[list[str], ...] = ([],) if len(self.dialect.names) == 1 else ([], [""])
            found = [
                (0 if cells in blank else len(cells), line) for cells, line in _rows(rows.decode("utf-8"), separator)
            ]
            table = np.array(found, np.int64).reshape(-1, 2)
            return table[:, 0], table[:, 1]
        array = np.frombuffer(rows, np.uint8)
        ends = np.flatnonzero(array == ord("\n"))
        if not rows.endswith(b"\n"):
            ends = np.append(ends, len(array))
        places = np.flatnonzero(array == ord(separator))
        widths = np.diff(np.searchsorted(places, ends), prepend=0) + 1
        begins = np.concatenate(([0], ends[:-1] + 1))
        for index in np.flatnonzero(widths == 1):
            if not rows[begins[index] : ends[index]].strip():
                widths[index] = 0
        return widths, np.arange(1, len(widths) + 1)

    def _write_anew(self) -> None:
        """The rows without blanks around their cells, in a way that polars takes for what it is."""
        text = self.data[self.start :].decode("utf-8")
        if '"' in text:
            self._refuse_open_quotation(text)
        separator = self.dialect.separator
        out = io.StringIO()
        writer = csv.writer(out, delimiter=separator, lineterminator="\n")
        try:
            for cells, _ in _rows(text, separator):
                writer.writerow(cells)
        except csv.Error as error:
            raise ValueError(f"{self.path}: {error}") from None
        self._rewrite(out.getvalue().encode())
        self.above = self.start = self.mark = 0


def _number_with_comma(cell: str) -> float:
    """The number that a cell is whose decimal mark is a comma."""
    if not re.match(COMMA_NUMBER, cell):
        raise ValueError(f"could not convert string {cell!r} to a number with a decimal comma")
    return float(cell.replace(",", "."))


def _with_point(texts: Any) -> Any:
    return texts.str.replace(",", ".", literal=True)


def marks_with_points(marks: Collection[str], decimal: str) -> list[str]:
    """The marks of missing values and, where the decimal mark is a comma, those that are numbers with a point, too."""
    pointed = [mark.replace(",", ".") for mark in marks if decimal == "," and re.match(COMMA_NUMBER, mark)]
    return list(dict.fromkeys([*marks, *pointed]))


def numbers_with_points(frame: Any, name: str, missing: Collection[str]) -> Any:
    """The frame whose column of text has decimal points, if all of it is numbers with decimal commas."""
    marks = MISSING.union(missing)
    if isinstance(frame, PlainFrame):
        texts = frame[name]
        if all(re.match(COMMA_NUMBER, text) for text in texts.tolist() if text.strip() not in marks):
            return PlainFrame(
                {each: frame[each] if each != name else np.char.replace(texts, ",", ".") for each in frame.columns}
            )
        return frame
    present = frame[name].str.strip_chars().drop_nulls()
    present = present.filter(~present.is_in(sorted(marks)))
    return frame.with_columns(_with_point(frame[name])) if present.str.contains(COMMA_NUMBER).all() else frame


def _rows(text: str, separator: str) -> Any:
    """The cells of each row, without blanks around them, and the line that the row begins in."""
    begins = 1
    for cells, line in dialect.records(io.StringIO(text, newline=""), separator):
        stripped = [cell.strip() for cell in cells]
        if separator == " ":
            stripped = [cell for cell in stripped if cell]
        yield stripped, begins
        begins = line + 1


def _mapped(path: str) -> Any:
    """The file's bytes, as they are looked at."""
    with open(path, "rb") as file:
        if not file.seek(0, io.SEEK_END):
            return b""
        if hasattr(mmap, "MAP_POPULATE"):  # all pages at once: it is looked through for quotation marks
            return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _errors() -> tuple[type[Exception], ...]:
    import polars as pl

    return (pl.exceptions.PolarsError,)
