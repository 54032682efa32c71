"""Tables that leave Palate: typed columns and a stream of rows, written as CSV, JSON lines or Parquet.

Nothing here holds more than one batch of rows, so memory does not grow with the table.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotate.exchange.files.parquet_writer import stream_parquet

# How formulas begin: the signs in all their widths and heights, and the characters that part cells and rows.
FORMULA_STARTS = (*"=+-@\t\r\n＝＋－＠﹦﹢﹣﹫⁼₌⁺₊﬩⩵⩶", "'")
# What a spreadsheet may drop before it looks at a cell: control characters, spaces, and what Unicode calls format
# characters and default ignorable ones, such as marks of direction and variation selectors.
UNSEEN = (
    "\0-\x20\x7f-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    "\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_FORMULA = re.compile(f"[{UNSEEN}]*[{re.escape(''.join(FORMULA_STARTS))}]")
BATCH_ROWS, BATCH_CHARACTERS = 1_000, 4_000_000
NESTED = ("json", "texts", "ints", "messages")
_json = json.JSONEncoder(ensure_ascii=False).encode
Row = list[Any]


@dataclass(frozen=True)
class Table:
    """columns: name to type, one of int, float, text, bool, json, texts, ints, messages.
    rows: one value a column; None where there is none. A json value is a mapping."""

    columns: Mapping[str, str]
    rows: Iterable[Row]


class Counted:
    """Rows that can be counted once they have gone by."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows, self.count = rows, 0

    def __iter__(self) -> Iterator[Row]:
        for row in self.rows:
            self.count += 1
            yield row


def safe(value: Any) -> Any:
    """A cell that no spreadsheet runs as a formula: texts that start like one, for the eye, get a ' in front.

    Texts that start with ' get one too, so that taking one ' off every text that starts with it gives the
    original back (see `original`).
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def original(cell: str) -> str:
    """The text that `safe` was given."""
    return cell.removeprefix("'")


def csv_lines(table: Table) -> Iterator[bytes]:
    """Header first; every text safe; lists and mappings as JSON; true and false as 1 and 0."""
    writer, out = _csv_writer()
    cells = [_CELLS.get(kind) for kind in table.columns.values()]
    writer.writerow(table.columns)
    for batch in _batches(table):
        columns = zip(*batch, strict=True)
        cells_of = [list(map(cell, column)) if cell else column for cell, column in zip(cells, columns, strict=True)]
        writer.writerows(zip(*cells_of, strict=True))
        yield out.taken()
    yield out.taken()


def _nested(value: Any) -> str | None:
    return None if value is None else _json(value)


_CELLS: dict[str, Callable[[Any], Any]] = {
    "text": safe,
    "bool": lambda value: None if value is None else int(value),
    **dict.fromkeys(NESTED, _nested),
}


def _csv_writer() -> tuple[Any, "Sink"]:
    sink = Sink()
    return csv.writer(_Encoded(sink)), sink


def json_lines(table: Table) -> Iterator[bytes]:
    """One object a line, with the columns as its fields."""
    names = list(table.columns)
    for batch in _batches(table):
        yield "".join(f"{_json(dict(zip(names, row, strict=True)))}\n" for row in batch).encode()


def parquet_bytes(table: Table) -> Iterator[bytes]:
    """A Parquet file, a row group at a time; json as texts."""
    kinds = table.columns.values()
    columns = (list(map(_column, kinds, zip(*batch, strict=True))) for batch in _batches(table))
    return stream_parquet(table.columns, columns)


def _column(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    return list(map(_nested, values)) if kind == "json" else values


FILE_TYPES: dict[str, Callable[[Table], Iterator[bytes]]] = {
    "csv": csv_lines,
    "jsonl": json_lines,
    "parquet": parquet_bytes,
}


def _batches(table: Table) -> Iterator[list[Row]]:
    """Batches of a bounded number of rows and, roughly, of characters: texts may be long."""
    size_of = _size_of(table)
    batch: list[Row] = []
    size = 0
    for row in table.rows:
        batch.append(row)
        size += size_of(row)
        if len(batch) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _size_of(table: Table) -> Callable[[Row], int]:
    """About how many characters a row's texts have."""
    kinds = list(table.columns.values())
    texts, lists, talks = ([n for n, own in enumerate(kinds) if own == kind] for kind in ("text", "texts", "messages"))

    def size(row: Row) -> int:
        length = sum([len(row[n]) for n in texts if row[n]])
        length += sum(len(text) for n in lists for text in row[n] or ())
        return length + sum(len(message["content"]) for n in talks for message in row[n] or ())

    return size


class Sink:
    """A file that keeps what is written to it until it is taken, for writers that want a file."""

    closed = False

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.position = 0

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        self.position += len(self.parts[-1])
        return len(self.parts[-1])

    def taken(self) -> bytes:
        parts, self.parts = self.parts, []
        return b"".join(parts)

    def tell(self) -> int:
        return self.position

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False


class _Encoded:
    """What csv.writer needs of a file, over a sink of bytes."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def write(self, text: str) -> int:
        return self.sink.write(text.encode())
