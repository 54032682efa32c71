"""Tables as Parquet files, in the few parts of the format that they need, as a stream of bytes.

Every column is optional, each row group has a dictionary for each of them, pages are gzipped, lists have three levels.
The format: https://github.com/apache/parquet-format (README, Encodings.md, LogicalTypes.md, parquet.thrift).

pyarrow, which reads what is imported, takes 50 MB beside Django and up to 2 KB for each column of every row group until
the file ends; here that is 50 bytes. Tests read these files with pyarrow.
"""

import re
import struct
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

MAGIC = b"PAR1"
# What a row group may hold in memory until it is written, about.
GROUP_BYTES = 8_000_000
# Beside its own bytes a value that is met for the first time takes so many in a dictionary of Python.
ENTRY_BYTES = 100

BOOLEAN, INT64, DOUBLE, BYTE_ARRAY = 0, 2, 5, 6
OPTIONAL, REPEATED = 1, 2
PLAIN, RLE, DICTIONARY = 0, 3, 8
DATA_PAGE, DICTIONARY_PAGE = 0, 2
GZIP = 2
STRING, LIST = {6: 0, 10: {1: {}}}, {6: 3, 10: {3: {}}}
TYPES = {"int": INT64, "float": DOUBLE, "text": BYTE_ARRAY, "json": BYTE_ARRAY, "bool": BOOLEAN}
ENTRIES = {"texts": "text", "ints": "int"}
Column = Sequence[Any]


def pieces(columns: Mapping[str, str], batches: Iterable[Sequence[Column]]) -> Iterator[bytes]:
    """The file of these columns, name to kind (see tables.Table; json values come as texts), a row group at a time.

    A batch is a sequence of values for each column, all of the same length. None is a value that is not there.
    """
    group, groups, position, total = _Group(columns), [], len(MAGIC), 0
    head = MAGIC
    for batch in batches:
        group.add(batch)
        if group.size >= GROUP_BYTES:
            data, told, rows = group.taken(position)
            groups.append(told)
            position, total = position + len(data), total + rows
            yield head + data
            head = b""
    data, told, rows = group.taken(position)
    footer = _footer(columns, [*groups, told] if rows else groups, total + rows)
    yield head + data + footer + struct.pack("<I", len(footer)) + MAGIC


def _footer(columns: Mapping[str, str], groups: list[bytes], rows: int) -> bytes:
    """FileMetaData."""
    schema = [{4: "schema", 5: len(columns)}, *chain.from_iterable(_elements(*column) for column in columns.items())]
    return _thrift({1: 2, 2: schema, 3: Long(rows), 4: groups, 6: "Palate"})[1]


def _elements(name: str, kind: str) -> list[dict[int, Any]]:
    """The SchemaElements of a column, each before those within it."""
    if kind in TYPES:
        text = STRING if TYPES[kind] == BYTE_ARRAY else {}
        return [{1: TYPES[kind], 3: OPTIONAL, 4: name, **text}]
    top = [{3: OPTIONAL, 4: name, 5: 1, **LIST}, {3: REPEATED, 4: "list", 5: 1}]
    if kind in ENTRIES:
        return top + _elements("element", ENTRIES[kind])
    return [*top, {3: OPTIONAL, 4: "element", 5: 2}, *_elements("role", "text"), *_elements("content", "text")]


class _Group:
    """The rows of a row group, by column of the file: a list of messages is two of them."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        self.columns = [_columns(*column) for column in columns.items()]
        self.rows = 0

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return sum(column.size for column in chain.from_iterable(self.columns))

    def add(self, batch: Sequence[Column]) -> None:
        for own, values in zip(self.columns, batch, strict=True):
            for column in own:
                column.add(values)
        self.rows += len(batch[0])

    def taken(self, position: int) -> tuple[bytes, bytes, int]:
        """The column chunks, which the file has from this position on, their RowGroup and its rows; empties this."""
        chunks, told, plain = [], [], 0
        rows, self.rows = self.rows, 0
        for column in chain.from_iterable(self.columns) if rows else ():
            data, meta = column.taken(position)
            chunks.append(data)
            told.append({2: Long(position), 3: meta})
            position, plain = position + len(data), plain + meta[6]
        return b"".join(chunks), _thrift({1: told, 2: Long(plain), 3: Long(rows)})[1], rows


def _columns(name: str, kind: str) -> list["_Column"]:
    if kind in TYPES:
        return [_Column([name], TYPES[kind])]
    path = [name, "list", "element"]
    if kind in ENTRIES:
        return [_Column(path, TYPES[ENTRIES[kind]])]
    return [_Column([*path, field], BYTE_ARRAY, field) for field in ("role", "content")]


class _Column:
    """The values of a column in a row group: a dictionary of them, and the place of each in it."""

    def __init__(self, path: list[str], kind: int, field: str = "") -> None:
        self.path, self.kind, self.field = path, kind, field
        # How deep a value that is there lies: within the column; within its list, its entry and the entry's field.
        self.listed, self.depth = len(path) > 1, len(path)
        self.dictionary: defaultdict[Any, int] = defaultdict()
        self.dictionary.default_factory = self.dictionary.__len__
        self._clear()

    def _clear(self) -> None:
        # Never replaced: it refers to itself, and would wait in memory for the next collection of garbage.
        self.dictionary.clear()
        self.places, self.defined, self.repeated, self.entries = array("I"), bytearray(), bytearray(), 0

    @property
    def size(self) -> int:
        return self.entries + self.places.itemsize * len(self.places) + len(self.defined) + len(self.repeated)

    def add(self, values: Column) -> None:
        if self.listed:
            for entries in values:
                self.repeated += b"\0" + b"\1" * (len(entries or ()) - 1)
                self.defined += bytes([self.depth]) * len(entries) if entries else bytes([entries is not None])
            values = [entry for entries in values for entry in entries or ()]
        else:
            self.defined += bytes(value is not None for value in values)
            values = [value for value in values if value is not None]
        if self.field:
            values = [message[self.field] for message in values]
        known = len(self.dictionary)
        # A boolean has no dictionary in Parquet; it is its own place.
        self.places.extend(map(int if self.kind == BOOLEAN else self.dictionary.__getitem__, values))
        new = len(self.dictionary) - known
        texts = islice(self.dictionary, known, None) if self.kind == BYTE_ARRAY and new else ()
        self.entries += ENTRY_BYTES * new + sum(map(len, texts))

    def taken(self, position: int) -> tuple[bytes, dict[int, Any]]:
        """The pages, and the ColumnMetaData for where they begin; empties this."""
        dictionary, plain = b"", 0
        if self.kind == BOOLEAN:
            encoding, values = PLAIN, _bits(self.places)
        else:
            encoding, values = DICTIONARY, _places(self.places, len(self.dictionary))
            entries = {1: len(self.dictionary), 2: PLAIN}
            dictionary, plain = _page({1: DICTIONARY_PAGE, 7: entries}, _PLAIN[self.kind](list(self.dictionary)))
        start = len(dictionary)
        levels = (_level_runs(self.repeated) if self.listed else b"") + _level_runs(self.defined)
        told = {1: len(self.defined), 2: encoding, 3: RLE, 4: RLE}
        page, size = _page({1: DATA_PAGE, 5: told}, levels + values)
        meta = {1: self.kind, 2: [PLAIN, RLE, DICTIONARY], 3: self.path, 4: GZIP, 5: Long(len(self.defined))}
        meta |= {6: Long(plain + size), 7: Long(start + len(page)), 9: Long(position + start)}
        if dictionary:
            meta[11] = Long(position)
        self._clear()
        return dictionary + page, meta


def _page(header: dict[int, Any], data: bytes) -> tuple[bytes, int]:
    """A page of this kind (the fields of its PageHeader without the sizes), and its size before compression."""
    packed = zlib.compress(data, wbits=31)
    sizes = {2: len(data), 3: len(packed)}
    head = _thrift(dict(sorted((header | sizes).items())))[1]
    return head + packed, len(head) + len(data)


def _places(places: array, entries: int) -> bytes:
    """Places in a dictionary: width in bits, then one run of equal or of packed numbers, in whole bytes each."""
    if entries == 1:
        return b"\x08" + _varint(len(places) << 1) + b"\0"
    code, width = next((code, width) for code, width in (("B", 8), ("H", 16), ("I", 32)) if entries <= 1 << width)
    padded = [*places, *[0] * (-len(places) % 8)]
    run = _varint(len(padded) // 8 << 1 | 1) if padded else b""
    return bytes([width]) + run + struct.pack(f"<{len(padded)}{code}", *padded)


def _bits(places: array) -> bytes:
    """Eight booleans a byte, the first in its lowest bit."""
    return int("".join(map(str, reversed(places))) or "0", 2).to_bytes((len(places) + 7) // 8, "little")


def _level_runs(levels: bytearray) -> bytes:
    """Definition or repetition levels as runs of equal ones, after the number of bytes of all runs."""
    runs = b"".join(_varint(len(run[0]) << 1) + run[0][:1] for run in _EQUAL.finditer(levels))
    return struct.pack("<I", len(runs)) + runs


_EQUAL = re.compile(rb"\x00+|\x01+|\x02+|\x03+|\x04+")


def _texts(values: list[str]) -> bytes:
    encoded = [value.encode() for value in values]
    return b"".join(chain.from_iterable((struct.pack("<I", len(value)), value) for value in encoded))


_PLAIN: dict[int, Callable[[list[Any]], bytes]] = {
    INT64: lambda values: struct.pack(f"<{len(values)}q", *values),
    DOUBLE: lambda values: struct.pack(f"<{len(values)}d", *values),
    BYTE_ARRAY: _texts,
}


class Long(int):
    """A number that Thrift calls i64; other numbers are its i32."""


def _thrift(value: Any) -> tuple[int, bytes]:
    """Type and bytes of a value in Thrift's compact protocol.

    A mapping is a struct by its fields' numbers, which must rise; bytes are a struct that has been written already.
    """
    match value:
        case int():
            return 6 if isinstance(value, Long) else 5, _varint(value << 1)
        case str():
            return 8, _varint(len(value.encode())) + value.encode()
        case bytes():
            return 12, value
        case list():
            told = [_thrift(entry) for entry in value]
            size, kind = len(told), told[0][0] if told else 12
            head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint(size)
            return 9, head + b"".join(data for _, data in told)
        case _:
            parts, last = [], 0
            for field, own in value.items():
                kind, data = _thrift(own)
                parts.append(bytes([field - last << 4 | kind]) + data)
                last = field
            return 12, b"".join(parts) + b"\0"


def _varint(number: int) -> bytes:
    """A number from 0 on, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
