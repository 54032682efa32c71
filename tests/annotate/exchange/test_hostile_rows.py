"""Every field of every shape of row with values that nothing can store: an error that names it, or a sound import."""

import itertools
import json
from contextlib import suppress

import pytest
from django.db import transaction

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.exchange.exporters.exports import table
from annotate.exchange.exporters.policy import Policy
from annotate.exchange.exporters.trl_formats import Style
from annotate.exchange.files.limits import Limits
from annotate.exchange.files.sources import rows
from annotate.exchange.files.tables import json_lines
from annotate.exchange.formats.fields import Fields
from annotate.exchange.formats.registry import gathered, parser
from annotate.exchange.importers.notes import Notes
from annotate.exchange.importers.preferences import ImportOptions, import_preferences
from annotate.exchange.importers.prompts import import_prompts
from annotate.exchange.importers.unread_fields import note_unread
from core.errors import PalateError
from tests.adversarial import MARKS, NUMBERS, SPACES, TURNS, slow_units
from tests.annotate.exchange import test_shapes
from tests.factories import MembershipFactory, StudyFactory, TaskFactory
from tests.hostile import with_each_value

pytestmark = pytest.mark.slow

VALUES = [
    *("null", "true", "[]", '"\\u0000"', '"\\ud800"', "-1", "1e308", "NaN", "9223372036854775808", "9" * 5000),
    *('"²"', '"0001-01-01T00:00:00+14:00"', "[" * 5000),
]
# Of each shape the row that has most fields.
CASES = {}
for mark in test_shapes.test_is_seen_and_read.pytestmark:
    for shape, row, _expected in mark.args[1]:
        CASES[shape] = max(CASES.get(shape, {}), row, key=lambda row: len(str(row)))


@pytest.fixture
def raw_rows(db):
    """The rows of Palate's own export."""
    rater = MembershipFactory(study=StudyFactory(slug="source", require_reading=False))
    TaskFactory(study=rater.study)
    submit(assignment=lease_next(rater=rater), answer=Answer(ranks=[1, 2], strength=2, seconds=3.5, comment="c"))
    exported = table(rater.study, "raw", split="all", policy=Policy(), style=Style())
    return b"".join(json_lines(exported)).decode().splitlines()


def imported(path, shape):
    """Import the file and forget it; PalateError is an answer, too."""
    with transaction.atomic():
        with suppress(PalateError):
            import_preferences(slug="into", path=path, way=ImportOptions(shape=shape))
        transaction.set_rollback(True)


@pytest.mark.django_db
@pytest.mark.parametrize("shape", CASES)
def test_every_field_of_every_shape(tmp_path, shape):
    path = tmp_path / "a.jsonl"
    for _value, raw in with_each_value(CASES[shape], VALUES):
        path.write_text(raw + "\n")
        imported(path, shape)


def test_every_field_of_an_export(tmp_path, raw_rows):
    path, first = tmp_path / "a.jsonl", json.loads(raw_rows[0])
    for _value, raw in with_each_value(first, VALUES):
        path.write_text("\n".join([raw, *raw_rows[1:]]))
        imported(path, "raw")


@pytest.mark.django_db
def test_every_field_of_a_prompt(tmp_path):
    path = tmp_path / "p.jsonl"
    row = {"prompt_id": "1", "text": "Q", "group": "g", "split": "train", "reference": "r", "audience": ["de"]}
    for _value, raw in with_each_value(row, VALUES):
        path.write_text(raw + "\n")
        with transaction.atomic():
            with suppress(PalateError):
                import_prompts(slug="into", file=path)
            transaction.set_rollback(True)


@pytest.mark.parametrize("shape", ["comparisons", "hh-rlhf", "trl", "responses", "ratings", "arena", "label-studio"])
def test_long_texts_are_read_in_linear_time(tmp_path, shape):
    """Of each shape every field at once, and a name of a field, holds the text."""
    path, case = tmp_path / "a.jsonl", CASES.get(shape) or {"text": "Q", "rating": 1}

    def long(value, text):
        if isinstance(value, dict):
            return {name: long(inner, text) for name, inner in value.items()}
        if isinstance(value, list):
            return [long(inner, text) for inner in value]
        return value + text if isinstance(value, str) else value

    def read(text):
        path.write_text(json.dumps({**long(case, text), text[:900]: text}) + "\n")
        parse = parser(shape, Fields(), Notes())
        for row in gathered(shape, rows(path, Limits(), Notes())):
            with suppress(PalateError):
                note_unread(row, shape, parse(row), Notes())

    units = [unit for unit in itertools.chain(SPACES, TURNS, NUMBERS, MARKS) if "\0" not in unit]
    assert slow_units(read, units, sizes=(10_000, 100_000)) == []


def test_long_cells_of_csv_are_read_in_linear_time(tmp_path):
    path = tmp_path / "a.csv"

    def read(text):
        cell = text.replace('"', '""').replace("\0", "")
        path.write_text(f'text,rating\n"{cell}","x{cell}"\nnan,nan\n', newline="")
        return list(rows(path, Limits(), Notes()))

    assert slow_units(read, [*SPACES, *NUMBERS, *MARKS, "1", "1.1", "1e", ",", "\t", ";", '"']) == []
