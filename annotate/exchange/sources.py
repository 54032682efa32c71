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
from typing import IO, Any

from django.conf import settings

from annotate.errors import PalateError
from annotate.exchange.files import Row, check_known, other_kind, why_no_json

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


def rows(path: Path, limits: Limits | None = None) -> Iterator[Row]:
    """The rows of a file or a folder. Raises PalateError that says what it is instead, or what limit it breaks."""
    limits = limits or Limits()
    files = _files(path)
    count = 0
    for file, split in files:
        for row in _rows(file, limits):
            count += 1
            if count > limits.rows:
                raise PalateError(f"{path}: has more than {limits.rows} rows; divide it (IMPORT_MAX_ROWS)")
            yield replace(row, values={"split": split, **row.values}) if split else row
    if not count:
        raise PalateError(f"{path}: holds no rows")


def known_rows(file: Path, known: Collection[str]) -> Iterator[Row]:
    """The rows of a file in Palate's own form. Raises PalateError at one that cannot be read or has other fields."""
    if file.is_dir():
        raise PalateError(f"{file}: is a folder; expected a file")
    for row in rows(file):
        if isinstance(row, Damaged):
            raise PalateError(f"{file.name} line {row.line}: {row.error}")
        line, what = (1, "column") if _kind(file) == "csv" else (row.line, "field")
        check_known(f"{file.name} line {line}", what, row.values, known)
        yield row


def _files(path: Path) -> list[tuple[Path, str]]:
    """The files to read, each with the split that its name tells of in a `datasets` folder."""
    if not path.exists():
        raise PalateError(f"{path}: no such file or folder")
    if not path.is_dir():
        return [(path, "")]
    found = sorted(file for file in path.rglob("*") if file.is_file() and _kind(file) in ("parquet", "jsonl", "csv"))
    if not found:
        raise PalateError(f"{path}: the folder holds no Parquet, JSON lines or CSV file")
    for file in found:
        if not file.resolve().is_relative_to(path.resolve()):
            raise PalateError(f"{file}: leads out of the folder")
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
        raise PalateError(
            f"{file.name}: has {size // MB} MB; at most {limits.file_bytes // MB} are taken (IMPORT_MAX_MB)"
        )
    kind = _kind(file)
    if kind == "parquet":
        yield from _parquet(file, limits)
        return
    with file.open("rb") as raw:
        try:
            text = _Text(file, raw, size, limits)
            yield from {"csv": _csv, "jsonl": _json_lines, "json": _json}[kind or text.guess()](file, text)
        except UnicodeDecodeError:
            raise PalateError(f"{file.name} line {text.line}: not UTF-8 text; save the file as UTF-8") from None
        except (OSError, EOFError, zlib.error) as error:
            raise PalateError(f"{file.name}: the gzip data is damaged or cut off: {error}") from None


class _Text:
    """The lines of a text file, decompressed as they are read, within the limits."""

    def __init__(self, file: Path, raw: IO[bytes], size: int, limits: Limits) -> None:
        self.file, self.limits, self.line, self.taken = file, limits, 0, 0
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed and file.suffix.lower() == ".gz":
            raise PalateError(f"{file.name}: is named .gz but holds no gzip data")
        self.most = min(limits.text_bytes, max(size, MB) * limits.ratio) if packed else limits.text_bytes
        self.stream: Any = io.BufferedReader(gzip.GzipFile(fileobj=raw) if packed else raw)
        if kind := other_kind(self.stream.peek(64)[:64]):
            raise PalateError(f"{file.name} line 1: is {kind}; expected UTF-8 text, plain or gzipped")

    def __iter__(self) -> Iterator[str]:
        while line := self.stream.readline(self.limits.line_bytes + 1):
            self.line += 1
            self.taken += len(line)
            if len(line) > self.limits.line_bytes:
                raise PalateError(
                    f"{self.file.name} line {self.line}: is longer than {self.limits.line_bytes // MB} MB"
                )
            if self.taken > self.most:
                raise PalateError(
                    f"{self.file.name} line {self.line}: decompresses to more than {self.most // MB} MB; "
                    f"import it decompressed and in parts (IMPORT_MAX_TEXT_MB, IMPORT_MAX_RATIO)"
                )
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
            told = values if isinstance(values, str) else "is not an object; expected one object a line"
            yield Damaged(file, text.line, {}, told)


def _parsed(line: str) -> Any:
    """The object, or words that say why there is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"is not JSON ({why_no_json(error)}); expected one object a line"
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
        where = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise PalateError(
            f"{file.name}{where}: is not JSON ({why_no_json(error)}); expected an array of objects"
        ) from None
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict):
            yield Row(file, number, entry)
        else:
            yield Damaged(file, number, {}, "is not an object; expected an array of objects")


def _csv(file: Path, text: _Text) -> Iterator[Row]:
    reader = csv.reader(iter(text), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise PalateError(f"{file.name}: holds no header row; expected columns such as prompt")
        if double := next((name for name in header if header.count(name) > 1), None):
            raise PalateError(f"{file.name} line 1: the column {double!r} stands there twice")
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) == len(header):
                yield Row(file, reader.line_num, dict(zip(header, cells, strict=True)))
            else:
                words = f"has {len(cells)} cells; the header has {len(header)} columns"
                yield Damaged(file, reader.line_num, {}, words)
    except csv.Error as error:
        raise PalateError(f"{file.name} line {reader.line_num}: is not CSV: {error}") from None


def _parquet(file: Path, limits: Limits) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            told = table.metadata
            size = sum(told.row_group(n).total_byte_size for n in range(told.num_row_groups))
            if size > min(limits.text_bytes, max(file.stat().st_size, MB) * limits.ratio):
                raise PalateError(
                    f"{file.name}: decompresses to {size // MB} MB (IMPORT_MAX_TEXT_MB, IMPORT_MAX_RATIO)"
                )
            number = taken = 0
            for batch in table.iter_batches(batch_size=500):
                # What the file says of its sizes may be a lie, and one text may stand for millions of equal cells.
                taken += batch.nbytes
                if taken > limits.text_bytes:
                    raise PalateError(
                        f"{file.name} row {number + 1}: decompresses to more than {limits.text_bytes // MB} MB; "
                        f"import it in parts (IMPORT_MAX_TEXT_MB)"
                    )
                for values in batch.to_pylist():
                    number += 1
                    yield Row(file, number, values)
    except (pa.ArrowException, OSError) as error:
        raise PalateError(f"{file.name}: is not a whole Parquet file: {error}") from None


def rows_about(path: Path) -> int:
    """About how many rows there are, for a progress bar: lines of text files, rows of Parquet."""
    import pyarrow.parquet as pq

    total = 0
    for file, _ in _files(path):
        if _kind(file) == "parquet":
            total += pq.read_metadata(file).num_rows
        else:
            with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
                total += sum(block.count(b"\n") for block in iter(lambda: opened.read(MB), b""))
    return total
