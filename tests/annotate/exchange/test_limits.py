"""Files that are small and stand for much, and files that are wide, long or endless: each meets its limit."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotate.exchange.files.limits import AT_ONCE, MB, Limits
from annotate.exchange.files.sources import SAMPLE_BYTES, InvalidRow, rows, rows_about
from annotate.exchange.importers.notes import Notes
from core.errors import PalateError

SMALL = Limits(line_bytes=MB, cell_bytes=MB // 4, columns=50)


@pytest.fixture
def write(tmp_path):
    def write(name, data):
        path = tmp_path / name
        data = data if isinstance(data, bytes) else data.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def read(path, limits=SMALL):
    """The rows of a file, up to the first that is refused."""
    taken = []
    for row in rows(path, limits, Notes()):
        if isinstance(row, InvalidRow):
            row.refuse()
        taken.append(row)
    return taken


def refused(path, limits=SMALL):
    with pytest.raises(PalateError) as error:
        read(path, limits)
    assert str(error.value).startswith(path.name)
    return str(error.value)


NAMES = [f"c{n}" for n in range(51)]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", ",".join(NAMES) + "\n" + ",".join("1" * 51) + "\n"),
        ("a.tsv.gz", "\t".join(NAMES) + "\n" + "\t".join("1" * 51) + "\n"),
        ("a.jsonl", json.dumps(dict.fromkeys(NAMES, "1")) + "\n" + json.dumps({"a": 1})),
        ("a.json", json.dumps([dict.fromkeys(NAMES, "1")])),
        ("a.json", json.dumps({name: ["1", "2"] for name in NAMES})),
    ],
)
def test_columns(write, name, data):
    message = refused(write(name, data))
    assert "the number of columns is 51; at most 50 are taken (IMPORT_MAX_COLUMNS)" in message


def test_columns_of_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({name: ["1"] for name in NAMES}), path)
    assert "the number of columns is 51" in refused(path)
    pq.write_table(pa.table({"s": [dict.fromkeys(NAMES, 1)]}), path)
    assert "the number of columns is 51" in refused(path)


def test_a_table_of_200_000_columns_is_refused_by_its_header(write):
    header = ",".join(f"c{n}" for n in range(200_000))
    path = write("a.csv", header + "\n" + "1," * 199_999 + "1\n")
    assert "the header row is longer than 1 MB" in refused(path, Limits())


LONG = "a" * (MB // 4 + 1)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.csv", f"text,x\n1,2\n{LONG},1\n", "line 3: a cell has more than 0 MB (IMPORT_MAX_CELL_MB)"),
        ("a.csv", 'text\n"' + f"{LONG[:1000]}\n" * 300 + '"\n', "a cell has more than"),
        ("a.csv", "text\n" + '"' + "\n" * (MB + 9) + '"\n', "line"),
        ("a.jsonl", f'{{"a": 1}}\n{{"text": "{LONG}"}}\n', "line 2: the cell of text has more than"),
        ("a.jsonl", f'{{"text": "{"中" * (MB // 12 + 9)}"}}\n', "line 1: the cell of text has more than"),
        ("a.json", json.dumps([{"text": LONG}]), "the cell of text has more than"),
        ("a.json", '[{"a": [' + '"",' * (MB // 16) + '""]}]', "holds a row of more than 1 MB"),
    ],
)
def test_cells_and_rows(write, name, data, words):
    assert words in refused(write(name, data))


def test_a_cell_of_parquet(tmp_path):
    pq.write_table(pa.table({"text": ["b", LONG]}), tmp_path / "a.parquet")
    assert "line 2: the cell of text has more than" in refused(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    "table",
    [
        lambda: {"text": pa.array(["a"] * 5_000_000).dictionary_encode()},
        lambda: {"text": pa.nulls(5_000_000)},
        lambda: {"text": pa.array([[1] * 5_000_000])},
        lambda: {"text": pa.array([[{"role": None}] * 4_000_000])},
        lambda: {f"c{n}": pa.array([True] * 200_000) for n in range(40)},
    ],
    ids=["equal texts", "nulls", "a list", "messages", "columns"],
)
def test_small_parquet_that_stands_for_much(tmp_path, table):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(table()), path)
    assert path.stat().st_size < MB
    assert "IMPORT_MAX_RATIO" in refused(path)
    assert rows_about(path) in (0, 1, 5_000_000)


def test_seconds(write):
    path = write("a.csv", "text\n" + "a\n" * 1000)
    words = "takes more than 0 seconds to read; import it in parts (IMPORT_MAX_SECONDS)"
    assert words in refused(path, Limits(seconds=0))
    assert len(read(path)) == 1000


def test_time_that_others_take_does_not_count(write):
    path = write("a.csv", "text\n" + "a\n" * 20)
    for _row in rows(path, Limits(seconds=0.2)):
        for _ in range(200_000):
            pass
    assert len(read(path, Limits(seconds=0.2))) == 20


@pytest.mark.parametrize("cut", [1, 5, 12, 30, -20, -4, -1])
def test_cut_gzip_is_told_and_estimated(write, cut):
    path = write("a.jsonl.gz", "".join(json.dumps({"text": f"{n} {n * 7919 % 1000}"}) + "\n" for n in range(2000)))
    path.write_bytes(path.read_bytes()[:cut])
    rows_about(path)
    refused(path)


def test_an_estimate_reads_a_part_of_the_file(tmp_path):
    line = json.dumps({"text": "x" * 990}) + "\n"
    path = tmp_path / "a.jsonl"
    path.write_text(line * 40_000)
    assert abs(rows_about(path) - 40_000) < 400
    packed = tmp_path / "bomb.jsonl.gz"
    with gzip.open(packed, "wb", compresslevel=1) as file:
        for _ in range(200):
            file.write(b"\n" * MB)
    read_bytes = []
    original = gzip.GzipFile.read
    try:
        gzip.GzipFile.read = lambda self, size=-1: read_bytes.append(size) or original(self, size)
        assert rows_about(packed) > 0
    finally:
        gzip.GzipFile.read = original
    assert sum(read_bytes) <= SAMPLE_BYTES


def test_a_file_that_is_read_while_a_request_waits_may_hold_less(write):
    assert "has more than 5000 rows" in refused(write("a.csv", "text\n" + "a\n" * 5001), AT_ONCE)
    bomb = write("a.csv.gz", "text\n" + ("a" * 1000 + "\n") * 30_000)
    assert bomb.stat().st_size < MB
    assert refused(bomb, AT_ONCE)
