"""Rows of files that people bring, one at a time: CSV, JSON lines, JSON arrays, Parquet, `datasets` folders.

Plain or gzipped. Nothing is trusted: sizes, the ratio of decompression, lengths of lines and numbers of rows have
limits, and a file is never unpickled or run.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, NoReturn

from django.conf import settings
from django.utils.translation import gettext as _

from annotate.errors import PalateError
from annotate.exchange.files import Row, other_kind, unknown, why_no_json, wrong

GZIP_MAGIC = b"\x1f\x8b"
MB = 1024 * 1024
csv.field_size_limit(2**31 - 1)
SPLITS = {"train": "train", "validation": "validation", "valid": "validation", "dev": "validation", "test": "test"}


@dataclass(frozen=True)
class Limits:
    """bytes: of the file as it lies there, and of its text. ratio: text to file. line: bytes of one row."""

    file_bytes: int = settings.IMPORT_MAX_MB * MB
    text_bytes: int = settings.IMPORT_MAX_TEXT_MB * MB
    ratio: int = settings.IMPORT_MAX_RATIO
    line_bytes: int = 64 * MB
    rows: int = settings.IMPORT_MAX_ROWS


@dataclass(frozen=True, slots=True)
class Damaged(Row):
    """A row that cannot be read; taking it raises what is wrong."""

    error: str = ""

    def refuse(self) -> NoReturn:
        raise wrong(self.file.name, self.error, self.line)


def rows(path: Path, limits: Limits | None = None) -> Iterator[Row]:
    """The rows of a file or a folder. Raises PalateError that says what it is instead, or what limit it breaks."""
    limits = limits or Limits()
    files = _files(path)
    count = 0
    for file, split in files:
        for row in _rows(file, limits):
            count += 1
            if count > limits.rows:
                said = _("has more than %(most)d rows; divide it (IMPORT_MAX_ROWS)") % {"most": limits.rows}
                raise wrong(path, said)
            yield replace(row, values={"split": split, **row.values}) if split else row
    if not count:
        raise wrong(path, _("holds no rows"))


def known_rows(file: Path, known: Collection[str]) -> Iterator[Row]:
    """The rows of a file in Palate's own form. Raises PalateError at one that cannot be read or has other fields."""
    if file.is_dir():
        raise wrong(file, _("is a folder; expected a file"))
    for row in rows(file):
        if isinstance(row, Damaged):
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
        return [(path, "")]
    found = sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) in ("parquet", "jsonl", "csv"))
    if not found:
        raise wrong(path, _("the folder holds no Parquet, JSON lines or CSV file"))
    for file in found:
        if not file.resolve().is_relative_to(path.resolve()):
            raise wrong(file, _("leads out of the folder"))
    return [(file, SPLITS.get(file.name.split(".")[0].split("-")[0].lower(), "")) for file in found]


def _kind(file: Path) -> str:
    name = file.name.lower().removesuffix(".gz")
    for kind, endings in {
        "parquet": (".parquet", ".pq"),
        "jsonl": (".jsonl", ".ndjson"),
        "json": (".json",),
        "csv": (".csv",),
    }.items():
        if name.endswith(endings):
            return kind
    return ""


def _rows(file: Path, limits: Limits) -> Iterator[Row]:
    size = file.stat().st_size
    if size > limits.file_bytes:
        said = _("has %(size)d MB; at most %(most)d are taken (IMPORT_MAX_MB)")
        raise wrong(file.name, said % {"size": size // MB, "most": limits.file_bytes // MB})
    kind = _kind(file)
    if kind == "parquet":
        yield from _parquet(file, limits)
        return
    with file.open("rb") as raw:
        try:
            text = _Text(file, raw, size, limits)
            yield from {"csv": _csv, "jsonl": _json_lines, "json": _json}[kind or text.guess()](file, text)
        except UnicodeDecodeError:
            raise wrong(file.name, _("not UTF-8 text; save the file as UTF-8"), text.line) from None
        except (OSError, EOFError, zlib.error) as error:
            said = _("the gzip data is damaged or cut off: %(error)s") % {"error": error}
            raise wrong(file.name, said) from None


class _Text:
    """The lines of a text file, decompressed as they are read, within the limits."""

    def __init__(self, file: Path, raw: IO[bytes], size: int, limits: Limits) -> None:
        self.file, self.limits, self.line, self.taken = file, limits, 0, 0
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed and file.suffix.lower() == ".gz":
            raise wrong(file.name, _("is named .gz but holds no gzip data"))
        self.most = min(limits.text_bytes, max(size, MB) * limits.ratio) if packed else limits.text_bytes
        self.stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw) if packed else raw)
        if kind := other_kind(self.stream.peek(64)[:64]):
            said = _("is %(kind)s; expected UTF-8 text, plain or gzipped") % {"kind": kind}
            raise wrong(file.name, said, 1)

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(self.limits.line_bytes + 1):
            self.line += 1
            self.taken += len(line)
            if len(line) > self.limits.line_bytes:
                said = _("is longer than %(most)d MB") % {"most": self.limits.line_bytes // MB}
                raise wrong(self.file.name, said, self.line)
            if self.taken > self.most:
                said = _(
                    "decompresses to more than %(most)d MB; import it decompressed and in parts (IMPORT_MAX_TEXT_MB, "
                    "IMPORT_MAX_RATIO)"
                )
                raise wrong(self.file.name, said % {"most": self.most // MB}, self.line)
            yield line.decode("utf-8-sig" if self.line == 1 else "utf-8")

    def guess(self) -> str:
        """What a file without a known ending holds."""
        start = self.stream.peek(64).lstrip()
        return "json" if start.startswith(b"[") else "jsonl" if start.startswith(b"{") else "csv"


def _json_lines(file: Path, text: _Text) -> Iterator[Row]:
    for line in text:
        if not line.strip():
            continue
        values = _parsed(line)
        if isinstance(values, dict):
            yield Row(file, text.line, values)
        else:
            told = values if isinstance(values, str) else _("is not an object; expected one object a line")
            yield Damaged(file, text.line, {}, told)


def _parsed(line: str) -> Any:
    """The object, or words that say why there is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _("is not JSON (%(why)s); expected one object a line") % {"why": why_no_json(error)}
    return value if isinstance(value, dict) else None


def _json(file: Path, text: _Text) -> Iterator[Row]:
    """A JSON array of objects, or JSON lines under another name."""
    whole = "".join(text)
    if not whole.lstrip().startswith("["):
        for number, line in enumerate(whole.split("\n"), start=1):
            if line.strip():
                values = _parsed(line)
                yield Row(file, number, values) if isinstance(values, dict) else Damaged(file, number, {}, str(values))
        return
    try:
        entries = json.loads(whole)
    except (ValueError, RecursionError) as error:
        said = _("is not JSON (%(why)s); expected an array of objects") % {"why": why_no_json(error)}
        raise wrong(file.name, said, getattr(error, "lineno", None)) from None
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            yield Row(file, number, entry)
        else:
            yield Damaged(file, number, {}, _("is not an object; expected an array of objects"))


def _csv(file: Path, text: _Text) -> Iterator[Row]:
    reader = csv.reader(iter(text), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise wrong(file.name, _("holds no header row; expected columns such as prompt"))
        if double := next((name for name in header if header.count(name) > 1), None):
            raise wrong(file.name, _("the column %(name)r stands there twice") % {"name": double}, 1)
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) == len(header):
                yield Row(file, reader.line_num, dict(zip(header, cells, strict=True)))
            else:
                said = _("has %(cells)d cells; the header has %(columns)d columns")
                yield Damaged(file, reader.line_num, {}, said % {"cells": len(cells), "columns": len(header)})
    except csv.Error as error:
        raise wrong(file.name, _("is not CSV: %(error)s") % {"error": error}, reader.line_num) from None


def _parquet(file: Path, limits: Limits) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            told = table.metadata
            size = sum(told.row_group(n).total_byte_size for n in range(told.num_row_groups))
            if size > min(limits.text_bytes, max(file.stat().st_size, MB) * limits.ratio):
                said = _("decompresses to %(size)d MB (IMPORT_MAX_TEXT_MB, IMPORT_MAX_RATIO)")
                raise wrong(file.name, said % {"size": size // MB})
            number = taken = 0
            for batch in table.iter_batches(batch_size=500):
                # What the file says of its sizes may be a lie, and one text may stand for millions of equal cells.
                taken += batch.nbytes
                if taken > limits.text_bytes:
                    said = _(
                        "%(file)s row %(row)d: decompresses to more than %(most)d MB; import it in parts "
                        "(IMPORT_MAX_TEXT_MB)"
                    )
                    most = limits.text_bytes // MB
                    raise PalateError(said % {"file": file.name, "row": number + 1, "most": most})
                for values in batch.to_pylist():
                    number += 1
                    yield Row(file, number, values)
    except (pa.ArrowException, OSError) as error:
        raise wrong(file.name, _("is not a whole Parquet file: %(error)s") % {"error": error}) from None


def rows_about(path: Path) -> int:
    """About how many rows there are, for a progress bar: lines of text files, rows of Parquet."""
    import pyarrow.parquet as pq

    total = 0
    for file, _split in _files(path):
        if _kind(file) == "parquet":
            total += pq.read_metadata(file).num_rows
        else:
            with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
                total += sum(block.count(b"\n") for block in iter(lambda: opened.read(MB), b""))
    return total
