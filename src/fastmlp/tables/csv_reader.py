"""Tables written as text (CSV and the like), read by polars or, without it, by NumPy.

A `Sheet` holds the bytes of the file and their `Dialect`. Polars is fast but lenient, so this module searches for what
polars accepts silently: rows with too few cells, and blank lines. What polars cannot read (blanks around quotation
marks, quotation marks within a cell, several blanks as one separator, UTF-16) is first parsed and written again by
Python's csv module. In messages, rows are counted from 1 below the header.
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
    """A table written as text. `data` is the content of a file that was compressed; None reads the file at `path`.

    `mark` is the length of the byte order mark, `above` the offset of the header, and `start` that of the first row.
    `in_file` says that `data` still has the bytes of the file, so that polars can read the file itself.
    """

    def __init__(self, path: str, data: bytes | None, options: Options) -> None:
        self.path, self.missing = path, MISSING.union(options.missing)
        self.in_file = data is None
        self.data: Any = _map_file(path) if data is None else data
        for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
            if self.data[:2] == mark:
                try:
                    self._replace_data(self.data[:].decode(encoding).encode())
                except UnicodeDecodeError:
                    raise ValueError("expected text in UTF-8 or UTF-16, got other bytes") from None
        head = self.data[:HEAD_BYTES]
        if b"\r" in head and b"\n" not in head:
            self._replace_data(self.data[:].replace(b"\r", b"\n"))
            head = self.data[:HEAD_BYTES]
        complete = len(self.data) <= HEAD_BYTES
        text = self._decoded(head, complete)
        self.mark = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
        self.dialect = dialect.look(text, complete, options)
        self.above = self.mark + len(text[: self.dialect.above].encode())
        self.start = self.mark + len(text[: self.dialect.skipped].encode())

    def _replace_data(self, data: bytes) -> None:
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
        """Return the cells of a column in the first `FIRST_ROWS` rows, as far as the first `HEAD_BYTES` hold them."""
        index = self.dialect.names.index(name)
        text = self.data[self.start : self.start + HEAD_BYTES].decode("utf-8", "ignore")
        rows = [cells for cells, _ in itertools.islice(_rows_of(text, self.dialect.separator), FIRST_ROWS + 1)][:-1]
        return [cells[index] for cells in rows if index < len(cells)]

    # ------------------------------------------------------------------------------------------------------ polars

    def read_polars(self, as_text: Collection[str]) -> Any:
        """Read the columns into a polars frame; polars infers the dtype of all columns but those wanted as text."""
        self._normalise()
        wanted = [self.dialect.names.index(name) for name in as_text if name in self.dialect.names]
        try:
            frame = self._parse(wanted)
        except _polars_errors():
            frame = self._parse_as_text(wanted)
        frame.columns = list(self.dialect.names)
        frame = self._without_blank_lines(frame)
        return self._with_decimal_points(frame, set(as_text)) if self.dialect.decimal == "," else frame

    def _normalise(self) -> None:
        """Rewrite the text where polars and NumPy would misread it."""
        if self.dialect.separator == " ":
            self._rewrite_as_plain_csv()
        elif self.data.find(b'"', self.start) >= 0:
            separator = re.escape(self.dialect.separator.encode())
            first = re.compile(rb" +\"").match(self.data, self.start)  # ^ and \A do not match at an offset
            before = re.compile(rb"[" + separator + rb"\n] +\"")
            after = re.compile(rb"\" +(?:[" + separator + rb"\r\n]|\Z)")
            if first or before.search(self.data, self.start) or after.search(self.data, self.start):
                self._rewrite_as_plain_csv()
            elif len(QUOTATION_MARK.findall(self.data, self.start)) % 2:
                self._refuse_open_quotation(self.data[self.start :].decode("utf-8", "replace"))

    def _parse(self, as_text: list[int], *, infer: int = INFERRED_ROWS) -> Any:
        """Parse the rows with polars; the columns have the names that polars gives them."""
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

    def _parse_as_text(self, as_text: list[int]) -> Any:
        """Parse rows in which polars found a value that does not fit the dtype it had inferred.

        All columns are read as text; if that fails, too, the text is first rewritten by Python's csv module.
        """
        every = list(range(len(self.dialect.names)))
        try:
            return self._parse(every, infer=0)
        except _polars_errors() as error:
            self._refuse_bad_text()
            if self.data.find(b'"', self.start) >= 0:
                self._rewrite_as_plain_csv()
                try:
                    return self._parse(every, infer=0)
                except _polars_errors():
                    pass
            problem = str(error).splitlines()[0]
            raise ValueError(f"{self.path}: {problem}; read with {self.dialect.in_words()}") from None

    def _without_blank_lines(self, frame: Any) -> Any:
        """Drop blank lines, and refuse rows with too few cells: polars fills both with nulls."""
        import polars as pl

        if not frame.height or not frame.to_series(frame.width - 1).null_count():
            return frame
        widths = self._check_widths()
        if not len(widths) == frame.height:
            raise ValueError(f"{self.path}: expected {len(widths)} rows, got {frame.height} from polars")
        return frame if widths.all() else frame.filter(pl.Series(widths != 0))

    def _with_decimal_points(self, frame: Any, as_text: set[str]) -> Any:
        """Replace decimal commas by points in the columns that polars has left as text, but for those in `as_text`."""
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
                changed.append(_comma_to_point(series))
            elif present.str.contains(POINT_NUMBER).all() and present.str.contains(".", literal=True).any():
                shown = present.filter(present.str.contains(".", literal=True))[0]
                raise ValueError(
                    f"{self.path}: column {series.name!r}: expected numbers with a decimal comma, got {shown!r}; "
                    "--decimal . if the point is the decimal mark"
                )
        return frame.with_columns(changed) if changed else frame

    # ------------------------------------------------------------------------------------------------------- NumPy

    def read_numpy(self, as_text: Collection[str]) -> PlainFrame:
        """Read the columns with NumPy: all must be numbers, but for those wanted as text."""
        self._refuse_bad_text()
        self._normalise()
        self._check_widths()
        text = self.data[self.start :].decode("utf-8")
        if not text.strip():
            raise ValueError(f"{self.path}: expected rows below the header, got none")
        columns: dict[str, NDArray[Any]] = {}
        for i, name in enumerate(self.dialect.names):
            if name in as_text:
                columns[name] = self._load(text, [i], str)[:, 0]
        numeric = [i for i, name in enumerate(self.dialect.names) if name not in as_text]
        numbers = self._load(text, numeric, np.float64) if numeric else np.empty((0, 0))
        columns |= {self.dialect.names[i]: np.ascontiguousarray(numbers[:, k]) for k, i in enumerate(numeric)}
        return PlainFrame({name: columns[name] for name in self.dialect.names})

    def _load(self, text: str, indices: list[int], kind: Any) -> NDArray[Any]:
        comma = self.dialect.decimal == ","
        convert = dict.fromkeys(indices, _number_with_comma) if comma and kind is not str else None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # NumPy warns of blank lines
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
        """Refuse text that is not UTF-8, a quotation without end, and rows with more or fewer cells than the header."""
        try:
            text = self.data[self.start :].decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path}: {self._not_utf8(self.data, self.start + error.start)}") from None
        if '"' in text:
            self._refuse_open_quotation(text)
        self._check_widths()

    def _refuse_open_quotation(self, text: str) -> None:
        """Refuse a quotation that does not end, or that ends only where the quotation of a later cell was to begin."""
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
        first = begins = 1  # a quotation without end contains the line that is appended here
        below = itertools.chain(io.StringIO(text, newline=""), ["below"])
        for cells, line in dialect.records(below, self.dialect.separator):
            first, begins, last = begins, line + 1, cells
        if last != ["below"]:
            raise ValueError(
                f"{self.path}: row that begins in line {first + self.dialect.skipped_lines}: expected the end of a "
                "quotation, got the end of the file"
            )

    def _check_widths(self) -> NDArray[np.int64]:
        """Return the number of cells of each row, 0 for a blank line; refuse rows of another width than the header."""
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
        """Return for each row the number of its cells, and the line in which it begins, 1 for the first row."""
        rows = self.data[self.start :]
        separator = self.dialect.separator
        if b'"' in rows or separator == " ":
            blank: tuple[list[str], ...] = ([],) if len(self.dialect.names) == 1 else ([], [""])
            found = [
                (0 if cells in blank else len(cells), line) for cells, line in _rows_of(rows.decode("utf-8"), separator)
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

    def _rewrite_as_plain_csv(self) -> None:
        """Rewrite the rows in plain CSV, which polars reads correctly, without blanks around their cells."""
        text = self.data[self.start :].decode("utf-8")
        if '"' in text:
            self._refuse_open_quotation(text)
        separator = self.dialect.separator
        out = io.StringIO()
        writer = csv.writer(out, delimiter=separator, lineterminator="\n")
        try:
            for cells, _ in _rows_of(text, separator):
                writer.writerow(cells)
        except csv.Error as error:
            raise ValueError(f"{self.path}: {error}") from None
        self._replace_data(out.getvalue().encode())
        self.above = self.start = self.mark = 0


def _number_with_comma(cell: str) -> float:
    """Parse a number with a decimal comma."""
    if not re.match(COMMA_NUMBER, cell):
        raise ValueError(f"could not convert string {cell!r} to a number with a decimal comma")
    return float(cell.replace(",", "."))


def _comma_to_point(texts: Any) -> Any:
    return texts.str.replace(",", ".", literal=True)


def marks_with_points(marks: Collection[str], decimal: str) -> list[str]:
    """Return the marks of missing values; if the decimal mark is a comma, numbers among them also with a point."""
    pointed = [mark.replace(",", ".") for mark in marks if decimal == "," and re.match(COMMA_NUMBER, mark)]
    return list(dict.fromkeys([*marks, *pointed]))


def numbers_with_points(frame: Any, name: str, missing: Collection[str]) -> Any:
    """Replace decimal commas by points in a column of text if all its values are numbers with decimal commas."""
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
    return frame.with_columns(_comma_to_point(frame[name])) if present.str.contains(COMMA_NUMBER).all() else frame


def _rows_of(text: str, separator: str) -> Any:
    """Yield for each row its cells, without blanks around them, and the line in which it begins."""
    begins = 1
    for cells, line in dialect.records(io.StringIO(text, newline=""), separator):
        stripped = [cell.strip() for cell in cells]
        if separator == " ":
            stripped = [cell for cell in stripped if cell]
        yield stripped, begins
        begins = line + 1


def _map_file(path: str) -> Any:
    """Map the file into memory."""
    with open(path, "rb") as file:
        if not file.seek(0, io.SEEK_END):
            return b""
        if hasattr(mmap, "MAP_POPULATE"):  # all pages at once: the search for quotation marks reads them all
            return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE, prot=mmap.PROT_READ)
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _polars_errors() -> tuple[type[Exception], ...]:
    import polars as pl

    return (pl.exceptions.PolarsError,)
