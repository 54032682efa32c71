"""Whatever reads texts on the way to a page takes time in proportion to their length, however they are made."""

import re
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.template import Context, Template

from annotate.analytics.authors import styles_of
from annotate.collection.personal_data import kinds_of_personal_data
from annotate.exchange.formats.conversations import turns_of
from annotate.models.studies import Study, TextFormat
from annotate.templatetags.texts import as_text_of
from annotate.turns import turns
from core.markdown import MAX_MARKDOWN, sanitised
from tests.adversarial import MARKS, NUMBERS, REPEATED, SIZES, SPACES, TURNS, slow_units, text_of, too_slow
from tests.factories import ResponseFactory


def as_(text_format):
    return lambda text: as_text_of(text, Study(text_format=text_format))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("work", "units"),
    [
        (turns, REPEATED),
        (turns_of, REPEATED),
        (as_(TextFormat.PLAIN), REPEATED),
        (as_(TextFormat.DIALOGUE), [*SPACES, *TURNS]),
        (kinds_of_personal_data, [*SPACES, *NUMBERS, *MARKS]),
    ],
    ids=["turns", "turns_of", "plain", "dialogue", "personal data"],
)
def test_repetition(work, units):
    assert slow_units(work, units) == []


@pytest.mark.slow
def test_repetition_that_is_shortened():
    template = Template("{% load texts %}{{ text|shorten:120 }}")
    assert slow_units(lambda text: template.render(Context({"text": text}))) == []
    assert template.render(Context({"text": "a" * 121})) == "a" * 119 + "…"


def test_no_template_takes_a_filter_that_is_quadratic():
    slow = re.compile(r"\|(truncatechars|truncatewords|urlize|striptags|wordwrap|slugify)")
    templates = Path(settings.BASE_DIR, "templates").rglob("*.html")
    assert [str(path) for path in templates if slow.search(path.read_text())] == []


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize("unit", ["\n", " \n", "- ", "1", "1.", "#", "# ", "#\n", "**a", "__", "** ", "**\n"])
def test_marks_that_the_database_counts(unit):
    seconds = []
    for size in SIZES:
        response = ResponseFactory(text=text_of(unit, size))
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '60s'")
        start = time.perf_counter()
        styles_of(response.prompt.study)
        seconds.append(time.perf_counter() - start)
    assert too_slow(seconds, SIZES) is False, seconds


@pytest.mark.slow
def test_repetition_in_markdown():
    """As long as Markdown may be, and far longer."""
    assert slow_units(sanitised, sizes=(MAX_MARKDOWN // 5, MAX_MARKDOWN, 1_000_000)) == []


def test_a_quadratic_work_is_noticed():
    def quadratic(text):
        return sum(text.startswith("!", end) for start in range(0, len(text), 2) for end in range(start))

    assert slow_units(quadratic, ["a"], sizes=(1_000, 10_000)) != []
