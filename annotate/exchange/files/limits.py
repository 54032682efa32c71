"""Limits of an imported file: bytes, rows, columns, cells and time. docs/reference/settings.md lists the settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from django.conf import settings
from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, storable, wrong

MB = 1024 * 1024
# Characters of the name of a column.
MAX_NAME = 1000


@dataclass(frozen=True)
class Limits:
    """bytes: of the file as it lies there, of its text, of one row and of one cell. ratio: text to file.
    seconds: to read the file, without what is done with its rows meanwhile."""

    file_bytes: int = settings.IMPORT_MAX_MB * MB
    text_bytes: int = settings.IMPORT_MAX_TEXT_MB * MB
    ratio: int = settings.IMPORT_MAX_RATIO
    line_bytes: int = 64 * MB
    cell_bytes: int = settings.IMPORT_MAX_CELL_MB * MB
    rows: int = settings.IMPORT_MAX_ROWS
    columns: int = settings.IMPORT_MAX_COLUMNS
    seconds: float = settings.IMPORT_MAX_SECONDS

    def unpacked(self, size: int) -> int:
        """The most bytes that a compressed file of this size may become."""
        return min(self.text_bytes, max(size, MB) * self.ratio)

    def columns_error(self, count: int) -> str:
        """What is wrong with so many columns; nothing where nothing is."""
        message = _("the number of columns is %(count)d; at most %(most)d are taken (IMPORT_MAX_COLUMNS)")
        return message % {"count": count, "most": self.columns} if count > self.columns else ""


# Files that are read while a request waits.
AT_ONCE = Limits(file_bytes=5 * MB, text_bytes=25 * MB, line_bytes=5 * MB, cell_bytes=5 * MB, rows=5000, seconds=20)


def too_large(row: Row, limits: Limits) -> str:
    """What is wrong with the size of a row; nothing where nothing is."""
    if error := limits.columns_error(len(row.values)):
        return error
    for name, value in row.values.items():
        if len(name) > MAX_NAME or not storable(name):
            message = _("the field %(name)s: expected a name of at most %(most)d characters, without NUL")
            return message % {"name": ascii(name[:60]), "most": MAX_NAME}
        if isinstance(value, str) and len(value) > limits.cell_bytes // 4 and _bytes(value) > limits.cell_bytes:
            message = _("the cell of %(name)s has more than %(most)d MB (IMPORT_MAX_CELL_MB)")
            return message % {"name": name[:60], "most": limits.cell_bytes // MB}
    return ""


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def within_seconds(rows: Iterator[Row], file: Path, limits: Limits) -> Iterator[Row]:
    """The rows; PalateError once reading them has taken too long."""
    spent, row = 0.0, None
    while True:
        start = perf_counter()
        last, row = row, next(rows, None)
        spent += perf_counter() - start
        if row is None:
            return
        if spent > limits.seconds:
            message = _("takes more than %(most)g seconds to read; import it in parts (IMPORT_MAX_SECONDS)")
            raise wrong(file.name, message % {"most": limits.seconds}, last.line if last else None)
        yield row
