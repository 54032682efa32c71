"""Layouts of files: separators, missing cells, JSON in lines, arrays, objects and columns, splits in file names."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command

from annotate.exchange.files.sources import Limits, rows
from annotate.exchange.importers.notes import Notes
from annotate.exchange.importers.preferences import import_preferences
from annotate.models.prompts import Prompt, Response
from core.errors import PalateError

ROWS = [{"prompt": "a", "chosen": "b"}, {"prompt": "c", "chosen": "d, e"}]


def read(path, data, **limits):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [row.values for row in rows(path, Limits(**limits))]


@pytest.mark.parametrize(("name", "text"), [
    ("a.json", json.dumps(ROWS)), ("a.json", json.dumps(ROWS, indent=2)), ("a.jsonl", json.dumps(ROWS)),
    ("a.json", "\n".join(json.dumps(row, indent=1) for row in ROWS)), ("a.json", "\ufeff" + json.dumps(ROWS)),
    ("a.json", json.dumps({"version": 1, "data": ROWS, "more": {"x": [1]}})),
    ("a.json", json.dumps({"rows": [{"row_idx": n, "row": row} for n, row in enumerate(ROWS)]}, indent=1)),
    ("a.json", json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]})),
    ("a.json", json.dumps({name: {str(n): row[name] for n, row in enumerate(ROWS)} for name in ROWS[0]})),
    ("a", json.dumps({"data": ROWS})),
    ("a.tsv", "prompt\tchosen\na\tb\nc\td, e\n"), ("a.csv", 'prompt;chosen\n"a";b\nc;d, e\n'),
    ("a.csv", "sep=|\nprompt|chosen\na|b\nc|d, e\n"), ("a.csv", '\ufeffprompt,chosen\na,b\nc,"d, e"\n'),
])  # fmt: skip
def test_every_layout_gives_the_same_rows(tmp_path, name, text):
    assert read(tmp_path / name, text) == ROWS


def test_one_object_is_one_row(tmp_path):
    row = {"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "assistant", "content": "b"}], "id": 2**70}
    assert read(tmp_path / "a.json", json.dumps(row, indent=2)) == [row]


def test_an_object_with_fields_of_a_row_is_no_frame_around_rows(tmp_path):
    row = {"prompt": "a", "items": [{"text": "b"}, {"text": "c"}]}
    assert read(tmp_path / "a.json", json.dumps(row)) == [row]
    with pytest.raises(PalateError, match="holds rows and, next to them, the field 'prompt' of a row"):
        read(tmp_path / "b.json", json.dumps(dict(reversed(row.items()))))


def test_a_long_array_is_read_as_a_stream(tmp_path):
    """A row is never larger than the limit, the array is."""
    data = json.dumps({"data": [{"prompt": str(n) + "x" * 1000} for n in range(3000)]})
    assert len(read(tmp_path / "a.json", data, line_bytes=10_000)) == 3000
    with pytest.raises(PalateError, match="a row of more than"):
        read(tmp_path / "b.json", json.dumps([{"prompt": "x" * 20_000}]), line_bytes=10_000)


@pytest.mark.parametrize(("name", "data", "words"), [
    ("a.json", '{"prompt": ["a"], "chosen": ["b", "c"]}', "different lengths: prompt 1, chosen 2"),
    ("a.json", json.dumps({"data": ROWS, "rows": ROWS}), "more than one field"),
    ("a.json", "[" * 5000, "nested more than 200"), ("a.json", '{"data": [{"a": ', "not JSON"),
    ("a.csv", "prompt;chosen\n\"a;b\n", "as separated by semicolons"),
    ("a.csv", "a,b;c,d;e\n1,2;3,4;5\n", "several characters: commas, semicolons"),
    ("a.csv", "text\ncaf\u00e9 au lait\n".encode("cp1252"), r"line 2: not UTF-8 text; as Windows-1252 .* 'caf\u00e9"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path, name, data, words):
    with pytest.raises(PalateError, match=words):
        read(tmp_path / name, data)


def test_a_broken_line_does_not_hide_the_others(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"prompt": }\n{"prompt": "b"}\n')
    broken, good = rows(tmp_path / "a.jsonl")
    assert (broken.line, good.line, good.values) == (1, 2, {"prompt": "b"})
    with pytest.raises(PalateError, match="line 1: is not JSON"):
        broken.refuse()


def test_nan_is_a_text_among_texts_and_else_a_missing_value(tmp_path):
    (tmp_path / "a.csv").write_text("text,group,score\nnan,nan,NaN\nhello,,1.5\nnan,nan,2\n")
    notes = Notes()
    found = [row.values for row in rows(tmp_path / "a.csv", notes=notes)]
    assert found[0] == {"text": "nan", "group": "", "score": ""}
    assert notes.remarks == ["cells that say “nan” were read as that text: text (2)"]


@pytest.mark.django_db
def test_splits_in_file_names(tmp_path, capsys):
    for name in ("data/train_prefs-00000-of-00001", "data/test_sft-00000-of-00001", "data/validation-00000-of-00002",
                 "default/test/0000", "data/more"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        pair = {"prompt": [name], "chosen": ["a"], "rejected": ["b"]}
        pq.write_table(pa.table(pair), tmp_path / f"{name}.parquet")
    call_command("import_preferences", "s", str(tmp_path))
    splits = dict(Prompt.objects.values_list("text", "split"))
    assert [splits[name] for name in sorted(splits) if name != "data/more"] == ["test", "train", "validation", "test"]
    assert "no split in the file name of more.parquet" in capsys.readouterr().out
    # Read alone, a file of the Hub keeps its split, too.
    call_command("import_preferences", "t", str(tmp_path / "data" / "test_sft-00000-of-00001.parquet"))
    assert Prompt.objects.get(study__slug="t").split == "test"


@pytest.mark.django_db
def test_a_prompt_keeps_its_split_and_that_is_told(tmp_path):
    file = tmp_path / "a.jsonl"
    pair = {"prompt": "Q", "chosen": "A", "rejected": "B", "split": "test"}
    file.write_text("".join(json.dumps({**pair, "split": split}) + "\n" for split in ("train", "test")))
    assert import_preferences(slug="s", path=file)["other_split"] == 1
    assert Prompt.objects.get().split == "train"


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_an_empty_response_comes_in_and_goes_out(tmp_path, name):
    pair = {"prompt": "Q", "chosen": "A", "rejected": ""}
    if name == "a.parquet":
        pq.write_table(pa.Table.from_pylist([pair]), tmp_path / name)
    else:
        (tmp_path / name).write_text("prompt,chosen,rejected\nQ,A,\n" if name == "a.csv" else json.dumps(pair))
    import_preferences(slug="s", path=tmp_path / name)
    assert set(Response.objects.values_list("text", flat=True)) == {"A", ""}
    call_command("export_preferences", study="s", format="raw", output=str(tmp_path / "raw.csv"))
    assert import_preferences(slug="t", path=tmp_path / "raw.csv")["responses"] == 2
