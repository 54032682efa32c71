"""A number before a noun goes through gettext's plural forms; a sentence is translated as a whole."""

import ast
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse

from tests.annotate.nasty import Building
from tests.factories import MembershipFactory

ROOT = Path(settings.BASE_DIR)
FOLDERS = ("annotate", "palate", "training")
# Error messages of jobs.
UNCHECKED = ("training/jobs", "training/engine")
# Numbers that are constants of the code or always above one, and measures.
ALLOWED = {
    "nats", "characters", "days", "webhooks", "parts", "times", "bytes", "MB", "minutes", "people", "draws", "samples",
    "rows", "raters", "tasks", "was", "columns", "has", "is", "calls", "levels", "responses", "as",
}  # fmt: skip
NUMBER_AND_NOUN = re.compile(r"%\(\w+\)d (?:more |other )?([a-z]+s)\b")
IN_TEMPLATE = re.compile(r"\{\{ \w+ \}\}(?:</\w+>)? (?:more |other )?([a-z]+s)\b")
BLOCK = re.compile(r"\{% blocktranslate([^%]*)%\}(.*?)\{% endblocktranslate %\}", re.S)


def python_sentences():
    """(place, text) of every text that goes through gettext without a plural form."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            if str(file.relative_to(ROOT)).startswith(UNCHECKED):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "gettext", "gettext_lazy"):
                    for argument in node.args:
                        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                            yield f"{file.relative_to(ROOT)}:{node.lineno}", argument.value


def template_sentences():
    for file in sorted((ROOT / "templates").rglob("*.html")):
        for options, text in BLOCK.findall(file.read_text()):
            if "count " not in options:
                yield str(file.relative_to(ROOT)), text


@pytest.mark.parametrize(
    ("sentences", "pattern"), [(python_sentences, NUMBER_AND_NOUN), (template_sentences, IN_TEMPLATE)]
)
def test_numbers_before_nouns_have_plural_forms(sentences, pattern):
    found = [(place, text) for place, text in sentences() for noun in pattern.findall(text) if noun not in ALLOWED]
    assert found == []


def test_no_text_begins_or_ends_as_a_piece_of_a_sentence():
    pieces = [
        (place, text) for place, text in python_sentences() if re.match(r"[,.] ", text) or re.fullmatch(r" \w+ ", text)
    ]
    assert pieces == []


@pytest.mark.parametrize(("n", "words"), [(1, "1 judgement was imported."), (2, "2 judgements were imported.")])
def test_a_page_says_one_judgement_and_two_judgements(client, db, n, words):
    building = Building("shop", raters=n)
    prompt, responses = building.prompt(["a", "b"])
    task = building.task(prompt, responses)
    for rater in range(n):
        building.judge(task, rater, responses, values=[1, 0])
    building.done()
    client.force_login(MembershipFactory(study=building.study, role="manager").user)
    assert words in client.get(reverse("study-overview", args=["shop"])).content.decode()
