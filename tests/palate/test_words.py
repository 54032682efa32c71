"""Words that named dozens of different things once do not come back: neither as names nor on pages."""

import ast
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
# A name says what it holds or does, so none of these is one.
NAMES = {"told", "foretold", "said", "beside", "wanted", "look", "looks", "hastened", "because"}
# The names of the first version, each with another word today.
RENAMED = {
    *("give_back", "let_go_on", "hold_back", "put_forward", "take_out", "unplanned", "barred", "Ballot", "Damaged"),
    *("Said", "Written", "Evidence", "Eye", "Look", "Material", "killed_run", "as_it_was", "run_beside"),
}
PHRASES = [
    *("going on from", "Raters a task", "Nothing \\(template\\)", "Make the study", "I have read this; start"),
    *("Submit and go on", "Leave it for later", "takes part no more", "Do its probabilities hold", "What came of it"),
    *("Beside another run", "Say why you skip", "was not passed", "rows do not fit", "Holds for so many"),
]


def python_files() -> list[Path]:
    names = subprocess.check_output(["git", "ls-files", "*.py"], cwd=ROOT, text=True).splitlines()
    return [ROOT / name for name in names if (ROOT / name).exists() and "migrations" not in name]


def names_in(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        for field in ("id", "arg", "attr", "name"):
            if isinstance(value := getattr(node, field, None), str):
                names.add(value)
    return names


@pytest.mark.parametrize("path", python_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_name_is_one_of_them(path):
    names = names_in(ast.parse(path.read_text()))
    assert {name for name in names if name.strip("_").lower() in NAMES} | (names & RENAMED) == set()


@pytest.mark.parametrize("phrase", PHRASES)
def test_no_page_says_it(phrase):
    catalogue = (ROOT / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.po").read_text()
    messages = re.findall(r'^msgid(?:_plural)? ((?:".*"\s*)+)', catalogue, re.MULTILINE)
    texts = ["".join(re.findall(r'"(.*)"', message)) for message in messages]
    assert len(texts) > 1000
    assert [text for text in texts if re.search(phrase, text, re.IGNORECASE)] == []
