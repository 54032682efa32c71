"""What an import of many rows does so that its last rows take no longer than its first."""

import gc
import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from annotate.exchange.importers.analyze_tables import Growth, analyse
from annotate.exchange.importers.preferences import import_preferences

pytestmark = pytest.mark.django_db


def scans(queries):
    return sum(query["sql"].startswith("ANALYZE") for query in queries)


@pytest.mark.parametrize(
    ("grown_to", "analyzed"), [([3999], 0), ([4000], 1), ([4000, 15_999], 1), ([2000, 4000, 9000, 16_000, 63_999], 2)]
)
def test_postgresql_looks_again_when_an_import_has_grown_fourfold(grown_to, analyzed):
    growth = Growth()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for rows in grown_to:
            growth.to(rows)
    assert scans(queries) == analyzed


def test_a_large_import_is_planned_for_on_its_way_and_leaves_the_collector_as_it_was(tmp_path):
    file = tmp_path / "responses.jsonl"
    rows = ({"prompt": f"Question {n // 4}", "response": f"Answer {n}", "response_id": f"r{n}"} for n in range(8000))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = gc.get_threshold()
    with CaptureQueriesContext(connection) as queries:
        counts = import_preferences(slug="large", path=file)
    assert (counts["prompts"], counts["responses"]) == (2000, 8000)
    assert scans(queries) == 2  # one of them at the end
    assert gc.get_threshold() == before


@pytest.mark.django_db(transaction=True)
def test_an_import_does_not_wait_for_one_that_has_looked_before_it():
    other = connection.copy()
    try:
        with transaction.atomic(), connection.cursor() as mine, other.cursor() as theirs:
            theirs.execute("BEGIN")
            theirs.execute("LOCK TABLE annotate_prompt IN SHARE UPDATE EXCLUSIVE MODE")
            mine.execute("SET LOCAL lock_timeout = '500ms'")
            analyse(4000)
    finally:
        other.close()
