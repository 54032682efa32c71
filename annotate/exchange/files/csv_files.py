"""Read tables of separated values: which character separates, and which cells pandas wrote for missing values."""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.limits import MB, Limits
from core.errors import PalateError

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "vertical bars"}
# So many rows tell whether a column holds texts or numbers.
SAMPLE_ROWS = 1000
MAX_HEADER = MB
NAN = "nan"
# No two parts of it can take the same digits, so that a long cell is looked at once.
_NUMBER = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*")
_PREAMBLE = re.compile(r"sep=(.)\r?\n?")

Cells = tuple[int, list[str]]  # the line where the row ends, and its cells


class Unreadable(PalateError):
    """The text cannot be read as a table. line: where that shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class NotCsv(Unreadable):
    """The text is no table of separated values."""

    def __init__(self, error: csv.Error | str, line: int, separator: str = ",") -> None:
        message = (
            _("is not CSV: %(error)s") if separator == "," else _("is not CSV, as separated by %(kind)s: %(error)s")
        )
        super().__init__(message % {"kind": SEPARATORS.get(separator, repr(separator)), "error": error}, line)


class MissingCells:
    """Cells that say `nan`: a text where other cells of the column are texts, else a missing value.

    pandas writes `nan` for missing values, and a person may write it as an answer; the column tells which.
    """

    def __init__(self, header: list[str], sample: list[Cells]) -> None:
        self.header = header
        self.as_text: Counter[str] = Counter()
        self.is_text = [self._holds_texts(column, sample) for column in range(len(header))]

    @staticmethod
    def _holds_texts(column: int, sample: list[Cells]) -> bool:
        cells = (cells[column] for _line, cells in sample if column < len(cells))
        return any(cell and cell.lower() != NAN and not _NUMBER.fullmatch(cell) for cell in cells)

    def clear(self, cells: list[str]) -> list[str]:
        """The cells with missing values emptied."""
        for column, cell in enumerate(cells):
            if len(cell) == len(NAN) and cell.lower() == NAN and column < len(self.header):
                if self.is_text[column]:
                    self.as_text[self.header[column]] += 1
                else:
                    cells[column] = ""
        return cells


class _Lines:
    """The lines of a table, which may not make a row of more than `most` bytes: quoted cells go over lines."""

    def __init__(self, lines: Iterable[str], most: int) -> None:
        self.lines, self.most, self.taken, self.line = iter(lines), most, 0, 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self.lines)
        self.line += 1
        self.taken += len(line)
        if self.taken > self.most:
            raise Unreadable(_("a row has more than %(most)d MB") % {"most": self.most // MB}, self.line)
        return line


def read_table(lines: Iterable[str], limits: Limits) -> tuple[list[str], Iterator[Cells], MissingCells]:
    """The header, the rows as they are read, and what became of their `nan` cells.

    Raises Unreadable (also while the rows are read) where this is not a table of separated values or breaks a limit.
    """
    csv.field_size_limit(limits.cell_bytes)
    stream = _Lines(lines, limits.line_bytes)
    first = next(stream, "")
    preamble = _PREAMBLE.fullmatch(first)
    skipped = 1 if preamble else 0
    if preamble:
        first = next(stream, "")
    if len(first) > MAX_HEADER:
        raise Unreadable(_("the header row is longer than %(most)d MB") % {"most": MAX_HEADER // MB}, 1)
    reader = csv.reader(chain([first], stream), delimiter=preamble[1] if preamble else separator_of(first), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise _error(error, 1, reader, limits) from None
    if too_many := limits.columns_error(len(header)):
        raise Unreadable(too_many, 1)
    rows = _rows(reader, skipped, stream, limits)
    sample: list[Cells] = []
    broken: Unreadable | None = None
    taken = 0
    try:
        for row in islice(rows, SAMPLE_ROWS):
            sample.append(row)
            if (taken := taken + sum(map(len, row[1]))) > limits.line_bytes:
                break
    except Unreadable as error:
        broken = error
    missing = MissingCells(header, sample)

    def cleared() -> Iterator[Cells]:
        for line, cells in chain(sample, rows):
            yield line, missing.clear(cells)
        if broken:
            raise broken

    return header, cleared(), missing


def _rows(reader: Any, skipped: int, lines: _Lines, limits: Limits) -> Iterator[Cells]:
    try:
        for cells in reader:
            lines.taken = 0
            if any(cells):
                yield reader.line_num + skipped, cells
    except csv.Error as error:
        raise _error(error, reader.line_num + skipped, reader, limits) from None


def _error(error: csv.Error, line: int, reader: Any, limits: Limits) -> Unreadable:
    """What to raise for an error of the csv module."""
    if str(error).startswith("field larger than field limit"):
        most = limits.cell_bytes // MB
        return Unreadable(_("a cell has more than %(most)d MB (IMPORT_MAX_CELL_MB)") % {"most": most}, line)
    return NotCsv(error, line, reader.dialect.delimiter)


def separator_of(header: str) -> str:
    """What separates the cells of a header line. Raises NotCsv where two characters could."""
    fitting = [sep for sep in SEPARATORS if len(_cells(header, sep)) > 1]
    if len(fitting) > 1:
        # Names are words; a separator that leaves another one within a name is the wrong one.
        fitting = [sep for sep in fitting if not any(o in name for name in _cells(header, sep) for o in fitting)]
        if len(fitting) != 1:
            kinds = ", ".join(kind for sep, kind in SEPARATORS.items() if sep in header)
            raise NotCsv(_("its header row may be separated by several characters: %(kinds)s") % {"kinds": kinds}, 1)
    return fitting[0] if fitting else ","


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([line.rstrip("\r\n")], delimiter=separator, strict=True), [])]
    except csv.Error:
        return []
