"""What Palate writes as Parquet, read by pyarrow."""

import io
import subprocess
import sys

import pyarrow.parquet as pq
from django.conf import settings
from hypothesis import given
from hypothesis import strategies as st

from annotate.exchange.files import parquet_writer
from annotate.exchange.files.tables import Table, parquet_bytes

LONG = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(alphabet=st.characters(exclude_categories=("Cs",)))
CELLS = {
    "int": LONG,
    "float": st.floats(allow_nan=False),
    "text": TEXT,
    "bool": st.booleans(),
    "texts": st.lists(TEXT, max_size=3),
    "ints": st.lists(LONG, max_size=3),
    "messages": st.lists(st.fixed_dictionaries({"role": TEXT, "content": TEXT}), max_size=3),
}


def read(columns, rows):
    data = b"".join(parquet_bytes(Table(columns, rows)))
    return pq.ParquetFile(io.BytesIO(data))


@given(st.lists(st.tuples(*(st.none() | cells for cells in CELLS.values())), max_size=30))
def test_every_kind_of_cell_comes_back_none_and_empty_lists_included(rows):
    table = read({kind: kind for kind in CELLS}, rows).read()
    assert [tuple(row.values()) for row in table.to_pylist()] == rows


def test_row_groups_follow_each_other_and_state_their_sizes(monkeypatch):
    monkeypatch.setattr(parquet_writer, "GROUP_BYTES", 50_000)
    rows = [[n, f"text {n // 10}", None if n % 3 else [f"{n}"], n % 7 == 0] for n in range(5_500)]
    file = read({"n": "int", "text": "text", "list": "texts", "flag": "bool"}, rows)
    assert [list(row.values()) for row in file.read().to_pylist()] == rows
    groups = [file.metadata.row_group(n) for n in range(file.metadata.num_row_groups)]
    assert len(groups) >= 3
    # Imports go by these sizes before they unpack anything.
    assert all(group.total_byte_size > 8 * group.num_rows // 2 for group in groups)


def test_a_table_without_rows_keeps_its_columns():
    table = read({"n": "int", "texts": "texts"}, []).read()
    assert (len(table), table.schema.names) == (0, ["n", "texts"])


def test_memory_does_not_grow_with_the_rows():
    """Of a row group that is written nothing is kept: three times as many take no more memory."""
    code = """
import re, sys
from pathlib import Path
from annotate.exchange.files.parquet_writer import stream_parquet
def most():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
def batches(count):
    for batch in range(count):
        yield [range(1000 * batch, 1000 * batch + 1000), [f"{batch} {n}" * 30 for n in range(1000)]]
def written(count):
    return sum(map(len, stream_parquet({"n": "int", "text": "text"}, batches(count))))
written(300)
before = most()
print(written(900) > 1_000_000, most() - before < 6)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr
