"""Read Parquet files, whose small bytes may stand for any number of rows, columns and cells."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from annotate.exchange.files.limits import MB, Limits
from annotate.exchange.files.rows import Row, wrong
from core.errors import PalateError

# A value takes about so much memory once it is an object of Python.
VALUE_BYTES = 32
BATCH_VALUES = 50_000
# Lists in the description of a Parquet file hold its columns and row groups: few in a small file.
LEAST_ENTRIES, BYTES_AN_ENTRY = 5_000, 50


def read_parquet(file: Path, limits: Limits) -> Iterator[Row]:
    """The rows of a file. Raises PalateError where it is none or breaks a limit."""
    import pyarrow as pa

    try:
        with open_parquet(file, limits) as table:
            yield from _rows(file, table, limits)
    except (pa.ArrowException, OSError) as error:
        raise wrong(file.name, _("is not a whole Parquet file: %(error)s") % {"error": error}) from None


def open_parquet(file: Path, limits: Limits) -> Any:
    """The file, whose description has been held against the limits."""
    import pyarrow.parquet as pq

    size = file.stat().st_size
    entries = max(LEAST_ENTRIES, size // BYTES_AN_ENTRY)
    table = pq.ParquetFile(file, thrift_container_size_limit=entries)
    metadata = table.metadata
    if error := limits.columns_error(metadata.num_columns):
        raise wrong(file.name, error)
    most = limits.unpacked(size)
    unpacked = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    unpacked = max(unpacked, metadata.num_rows * metadata.num_columns * VALUE_BYTES)
    if unpacked > most:
        message = _("decompresses to %(size)d MB; at most %(most)d are taken (IMPORT_MAX_TEXT_MB, IMPORT_MAX_RATIO)")
        raise wrong(file.name, message % {"size": unpacked // MB, "most": most // MB})
    return table


def _rows(file: Path, table: Any, limits: Limits) -> Iterator[Row]:
    most = limits.unpacked(file.stat().st_size)
    number = taken = 0
    for batch in table.iter_batches(batch_size=max(1, min(500, BATCH_VALUES // max(table.metadata.num_columns, 1)))):
        # What the file says of its sizes may be a lie, and one text may stand for millions of equal cells.
        taken += batch.nbytes + VALUE_BYTES * sum(map(_values, batch.columns))
        if taken > most:
            message = _(
                "%(file)s row %(row)d: decompresses to more than %(most)d MB; import it in parts (IMPORT_MAX_TEXT_MB, "
                "IMPORT_MAX_RATIO)"
            )
            raise PalateError(message % {"file": file.name, "row": number + 1, "most": most // MB})
        for values in batch.to_pylist():
            number += 1
            yield Row(file, number, values)


def _values(array: Any) -> int:
    """How many values an array holds, those within lists and structures included."""
    import pyarrow as pa

    kind = array.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return len(array) + _values(array.flatten() if not pa.types.is_map(kind) else array.values)
    if pa.types.is_fixed_size_list(kind):
        return len(array) + _values(array.flatten())
    if pa.types.is_struct(kind):
        return len(array) + sum(_values(array.field(n)) for n in range(kind.num_fields))
    return len(array)
