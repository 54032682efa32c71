"""Tables that leave Palate: typed columns and a stream of rows, written as CSV, JSON lines or Parquet.

Nothing here holds more than one batch of rows, so memory does not grow with the table.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")
BATCH_ROWS, BATCH_CHARACTERS = 10_000, 8_000_000
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
    """A cell that no spreadsheet runs as a formula: texts that start like one get a ' in front.

    Texts that start with ' get one too, so that taking one ' off every text that starts with it gives the
    original back (see `original`).
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def original(cell: str) -> str:
    """The text that `safe` was given."""
    return cell.removeprefix("'")


def csv_lines(table: Table) -> Iterator[bytes]:
    """Header first; every text safe; lists and mappings as JSON; true and false as 1 and 0."""
    writer, out = _csv_writer()
    nested = [kind in ("json", "texts", "ints", "messages") for kind in table.columns.values()]
    writer.writerow(table.columns)
    for batch in _batches(table.rows):
        writer.writerows(
            [_cell(value, is_nested) for value, is_nested in zip(row, nested, strict=True)] for row in batch
        )
        yield out.taken()
    yield out.taken()


def _cell(value: Any, nested: bool) -> Any:
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, bool):
        return int(value)
    if nested and value is not None:
        return json.dumps(value, ensure_ascii=False)
    return value


def _csv_writer() -> tuple[Any, "Sink"]:
    sink = Sink()
    return csv.writer(_Encoded(sink)), sink


def json_lines(table: Table) -> Iterator[bytes]:
    """One object a line, with the columns as its fields."""
    names = list(table.columns)
    for batch in _batches(table.rows):
        lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in batch)
        yield ("\n".join(lines) + "\n").encode()


def parquet_bytes(table: Table) -> Iterator[bytes]:
    """A Parquet file, one row group a batch."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, _arrow_type(pa, kind)) for name, kind in table.columns.items()])
    as_text = [kind == "json" for kind in table.columns.values()]
    sink = Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in _batches(table.rows):
            columns = zip(*batch, strict=True)
            arrays = [
                pa.array([_json(v) for v in values] if text else list(values), field.type)
                for values, text, field in zip(columns, as_text, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _arrow_type(pa: Any, kind: str) -> Any:
    return {
        "int": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "bool": pa.bool_(),
        "json": pa.string(),
        "texts": pa.list_(pa.string()),
        "ints": pa.list_(pa.int64()),
        "messages": pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())])),
    }[kind]


FILE_TYPES: dict[str, Callable[[Table], Iterator[bytes]]] = {
    "csv": csv_lines,
    "jsonl": json_lines,
    "parquet": parquet_bytes,
}
CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "zip": "application/zip",
}


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Batches of a bounded number of rows and, roughly, of characters: texts may be long."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += sum(len(value) for value in row if isinstance(value, str))
        if len(batch) >= BATCH_ROWS or size >= BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


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
