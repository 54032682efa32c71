"""Rows of files that people bring, one at a time: CSV, JSON, Parquet, `datasets` folders.

Plain or gzipped. Nothing is trusted: sizes, the ratio of decompression, lengths of lines and numbers of rows have
limits, and a file is never unpickled or run.
"""

import gzip
import io
import re
import zlib
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

from django.utils.translation import gettext as _

from annotate.exchange.files import json_files
from annotate.exchange.files.csv_files import Unreadable, read_table
from annotate.exchange.files.limits import MB, Limits, too_large, within_seconds
from annotate.exchange.files.parquet_files import open_parquet, read_parquet
from annotate.exchange.files.rows import Row, other_kind, unknown, wrong
from annotate.exchange.importers.notes import Notes
from core.errors import PalateError

GZIP_MAGIC = b"\x1f\x8b"
SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
# How the Hub numbers the files of a split.
SHARD = re.compile(r"-\d{5}-of-\d{5}$")


@dataclass(frozen=True, slots=True)
class InvalidRow(Row):
    """A row that cannot be read; taking it raises what is wrong."""

    error: str = ""

    def refuse(self) -> NoReturn:
        raise wrong(self.file.name, self.error, self.line)


def rows(path: Path, limits: Limits | None = None, notes: Notes | None = None) -> Iterator[Row]:
    """The rows of a file or a folder. Raises PalateError that says what it is instead, or what limit it breaks.

    notes: takes what was read in a way that the user should know of.
    """
    limits, notes = limits or Limits(), notes or Notes()
    files = _files(path)
    if unnamed := [file.name for file, split in files if not split] if path.is_dir() else []:
        message = _("no split in the file name of %(files)s: prompts go to splits by a hash of their group or id")
        notes.remark(message % {"files": ", ".join(unnamed[:5]) + (" …" if len(unnamed) > 5 else "")})
    count = 0
    for file, split in files:
        for row in within_seconds(_rows(file, limits, notes), file, limits):
            count += 1
            if error := too_large(row, limits):
                row = InvalidRow(file, row.line, {}, error=error)
            if count > limits.rows:
                message = _("has more than %(most)d rows; divide it (IMPORT_MAX_ROWS)") % {"most": limits.rows}
                raise wrong(path.name, message)
            yield replace(row, values={"split": split, **row.values}) if split else row
    if not count:
        raise wrong(path, _("holds no rows"))


def known_rows(file: Path, known: Collection[str], limits: Limits | None = None) -> Iterator[Row]:
    """The rows of a file in Palate's own form. Raises PalateError at one that cannot be read or has other fields."""
    if file.is_dir():
        raise wrong(file, _("is a folder; expected a file"))
    for row in rows(file, limits):
        if isinstance(row, InvalidRow):
            row.refuse()
        if other := next((name for name in row.values if name not in known), None):
            column = _kind(file) == "csv"
            raise wrong(file.name, unknown(other, known, column=column), 1 if column else row.line)
        yield row


def _files(path: Path) -> list[tuple[Path, str]]:
    """The files to read, each with the split that its name tells of in a `datasets` folder."""
    if not path.exists():
        raise wrong(path, _("no such file or folder"))
    if not path.is_dir():
        return [(path, _split_named(path.parent, path) if SHARD.search(_stem(path)) else "")]
    found = sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) in ("parquet", "jsonl", "csv"))
    if not found:
        raise wrong(path, _("the folder holds no Parquet, JSON lines or CSV file"))
    for file in found:
        if not file.resolve().is_relative_to(path.resolve()):
            raise wrong(file, _("leads out of the folder"))
    return [(file, _split_named(path, file)) for file in found]


def _split_named(folder: Path, file: Path) -> str:
    """The split that the name of a file or of the folders around it tells: train_prefs, test-00000-of-00002,
    default/train/0000.parquet. Empty where none does, or several do."""
    for name in (_stem(file), *reversed(file.relative_to(folder).parts[:-1])):
        named = {SPLITS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in SPLITS}
        if named:
            return named.pop() if len(named) == 1 else ""
    return ""


def _stem(file: Path) -> str:
    return file.name.split(".")[0]


def _kind(file: Path) -> str:
    name = file.name.lower().removesuffix(".gz")
    for kind, endings in {
        "parquet": (".parquet", ".pq"),
        "jsonl": (".jsonl", ".ndjson"),
        "json": (".json",),
        "csv": (".csv", ".tsv", ".tab"),
    }.items():
        if name.endswith(endings):
            return kind
    return ""


def _rows(file: Path, limits: Limits, notes: Notes) -> Iterator[Row]:
    size = file.stat().st_size
    if size > limits.file_bytes:
        message = _("has %(size)d MB; at most %(most)d are taken (IMPORT_MAX_MB)")
        raise wrong(file.name, message % {"size": size // MB, "most": limits.file_bytes // MB})
    kind = _kind(file)
    if kind == "parquet":
        yield from read_parquet(file, limits)
        return
    with file.open("rb") as raw:
        try:
            text = _Text(file, raw, size, limits)
            if (kind or text.guess()) == "csv":
                yield from _csv(file, text, notes)
            else:
                yield from _json(file, text)
        except UnicodeDecodeError as error:
            raise wrong(file.name, _no_utf8(error.object), text.line) from None
        except (OSError, EOFError, zlib.error) as error:
            message = _("the gzip data is damaged or cut off: %(error)s") % {"error": error}
            raise wrong(file.name, message) from None


def _no_utf8(data: bytes) -> str:
    """What to say of a line that is not UTF-8."""
    try:
        sample = data.decode("cp1252")
    except UnicodeDecodeError:
        return _("not UTF-8 text; save the file as UTF-8")
    where = next((n for n, char in enumerate(sample) if ord(char) > 127), 0)
    message = _("not UTF-8 text; as Windows-1252 (cp1252) it reads %(sample)r. Save the file as UTF-8")
    return message % {"sample": sample[max(0, where - 15) : where + 15].strip()}


class _Text:
    """The lines of a text file, decompressed as they are read, within the limits."""

    def __init__(self, file: Path, raw: IO[bytes], size: int, limits: Limits) -> None:
        self.file, self.limits, self.line, self.taken = file, limits, 0, 0
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed and file.suffix.lower() == ".gz":
            raise wrong(file.name, _("is named .gz but holds no gzip data"))
        self.most = limits.unpacked(size) if packed else limits.text_bytes
        self.stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw) if packed else raw)
        if kind := other_kind(self.stream.peek(64)[:64]):
            message = _("is %(kind)s; expected UTF-8 text, plain or gzipped") % {"kind": kind}
            raise wrong(file.name, message, 1)
        if self.stream.peek(len(BOM_UTF8)).startswith(BOM_UTF8):
            self.stream.read(len(BOM_UTF8))

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(self.limits.line_bytes + 1):
            self.line += 1
            if len(line) > self.limits.line_bytes:
                message = _("is longer than %(most)d MB") % {"most": self.limits.line_bytes // MB}
                raise wrong(self.file.name, message, self.line)
            self._count(len(line))
            yield line.decode()

    def first_line(self) -> bytes:
        """The first line that is not blank, or as much of it as is enough to see that it is no usual one."""
        while line := self.stream.readline(MB):
            self.line += 1
            self._count(len(line))
            if line.strip():
                return line
        return b""

    def read(self, size: int) -> bytes:
        """Up to so many bytes as they are, for a parser that wants no lines."""
        data: bytes = self.stream.read(min(size, MB) if size >= 0 else MB)
        self._count(len(data))
        return data

    def _count(self, size: int) -> None:
        self.taken += size
        if self.taken > self.most:
            message = _(
                "decompresses to more than %(most)d MB; import it decompressed and in parts (IMPORT_MAX_TEXT_MB, "
                "IMPORT_MAX_RATIO)"
            )
            raise wrong(self.file.name, message % {"most": self.most // MB}, self.line or None)

    def start(self) -> bytes:
        """The first bytes that are no space, unread."""
        return self.stream.peek(64).lstrip()

    def guess(self) -> str:
        """What a file without a known ending holds."""
        return "json" if self.start().startswith((b"[", b"{")) else "csv"


def _json(file: Path, text: _Text) -> Iterator[Row]:
    """JSON lines where the first line is a whole object; else whatever json_files reads."""
    if text.start().startswith(b"["):
        yield from _json_stream(file, _Bytes(b"", text), text)
        return
    first = text.first_line()
    if not first:
        return
    whole = json_files.is_json(first)
    # An object alone in its file may hold all rows, in a field or by columns.
    if (whole and not text.start()) or not (whole or _is_broken(first, text)):
        yield from _json_stream(file, _Bytes(first, text), text)
        return
    yield _json_row(file, text.line, first)
    for line in text:
        if line.strip():
            yield _json_row(file, text.line, line)


def _is_broken(first: bytes, text: _Text) -> bool:
    """Whether a first line that is no JSON is a broken row of JSON lines, and not where a longer object begins."""
    ends = first.rstrip().endswith(b"}")
    return not first.startswith(b"{") or (ends and (text.start().startswith(b"{") or not text.start()))


class _Bytes:
    """A stream that begins with what was read of it already."""

    def __init__(self, head: bytes, text: _Text) -> None:
        self.head, self.text = head, text

    def read(self, size: int = -1) -> bytes:
        if not size:
            return b""
        head, self.head = self.head[:size] if size > 0 else self.head, self.head[size:] if size > 0 else b""
        return head or self.text.read(size)


def _json_stream(file: Path, stream: Any, text: _Text) -> Iterator[Row]:
    try:
        for number, entry in json_files.entries(stream, text.limits):
            if isinstance(entry, dict):
                yield Row(file, number, entry)
            else:
                yield InvalidRow(file, number, {}, error=_("is not an object; expected an array of objects"))
    except json_files.Malformed as error:
        raise wrong(file.name, str(error)) from None


def _json_row(file: Path, number: int, line: str | bytes) -> Row:
    try:
        values = json_files.parse_line(line)
    except json_files.Malformed as error:
        return InvalidRow(file, number, {}, error=_("%(error)s; expected one object a line") % {"error": error})
    if isinstance(values, dict):
        return Row(file, number, values)
    return InvalidRow(file, number, {}, error=_("is not an object; expected one object a line"))


def _csv(file: Path, text: _Text, notes: Notes) -> Iterator[Row]:
    try:
        header, table, missing = read_table(text, text.limits)
        if not any(header):
            raise wrong(file.name, _("holds no header row; expected columns such as prompt"))
        if double := next((name for name, count in Counter(header).items() if count > 1), None):
            raise wrong(file.name, _("the column %(name)r stands there twice") % {"name": double}, 1)
        for line, cells in table:
            if len(cells) == len(header):
                yield Row(file, line, dict(zip(header, cells, strict=True)))
            else:
                message = _("number of cells: %(cells)d; the header has %(columns)d")
                yield InvalidRow(file, line, {}, error=message % {"cells": len(cells), "columns": len(header)})
    except Unreadable as error:
        raise wrong(file.name, str(error), error.line) from None
    if missing.as_text:
        message = _("cells that say “nan” were read as that text: %(columns)s")
        notes.remark(message % {"columns": ", ".join(f"{name} ({count})" for name, count in missing.as_text.items())})


# An estimate reads so much of a file; the rest is taken to be like it.
SAMPLE_BYTES = 16 * MB


def rows_about(path: Path) -> int:
    """About how many rows there are, for a progress bar; 0 where that cannot be told."""
    limits = Limits()
    try:
        return sum(_rows_about(file, limits) for file, _split in _files(path))
    # What is wrong with the file is told when it is read.
    except (OSError, EOFError, zlib.error, PalateError):
        return 0


def _rows_about(file: Path, limits: Limits) -> int:
    """Rows of Parquet, as the file says; else the lines of its beginning, multiplied."""
    if _kind(file) == "parquet":
        with open_parquet(file, limits) as table:
            return int(table.metadata.num_rows)
    lines = taken = 0
    with file.open("rb") as raw, gzip.open(raw) if file.suffix == ".gz" else file.open("rb") as opened:
        while taken < SAMPLE_BYTES and (block := opened.read(MB)):
            taken, lines = taken + len(block), lines + block.count(b"\n")
        read = raw.tell() if file.suffix == ".gz" else taken
    return lines * max(file.stat().st_size, 1) // max(read, 1)
