"""Tables as Parquet files: a stream of bytes, a row group at a time, in bounded memory."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import RawIOBase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# What a row group may hold in memory until it is written, about.
GROUP_BYTES = 8_000_000
Column = Sequence[Any]


def stream_parquet(columns: Mapping[str, str], batches: Iterable[Sequence[Column]]) -> Iterator[bytes]:
    """Yield the bytes of a file of these columns, name to kind (see tables.Table; json values are texts).

    A batch is a sequence of values for each column, all of the same length. None is a missing value.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(columns)
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd") as writer:
        group: list[pa.RecordBatch] = []
        for batch in batches:
            arrays = [pa.array(list(values), field.type) for values, field in zip(batch, schema, strict=True)]
            group.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
            if sum(part.nbytes for part in group) >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(group, schema))
                group = []
                yield sink.take()
        if group:
            writer.write_table(pa.Table.from_batches(group, schema))
    yield sink.take()


def _schema(columns: Mapping[str, str]) -> "pa.Schema":
    import pyarrow as pa

    kinds = {
        "int": pa.int64(),
        "float": pa.float64(),
        "text": pa.string(),
        "json": pa.string(),
        "bool": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "ints": pa.list_(pa.int64()),
        "messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
    }
    return pa.schema([(name, kinds[kind]) for name, kind in columns.items()])


class _Sink(RawIOBase):
    """Collect what the writer writes until it is taken; its position counts what was taken, too."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        self.position += len(data)
        return len(data)

    def tell(self) -> int:
        return self.position

    def take(self) -> bytes:
        data, self.parts = b"".join(self.parts), []
        return data
