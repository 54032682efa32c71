"""The documentation is true where a program can tell: links, commands, flags, length, and the tutorials run."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from django.conf import settings
from django.core.management import CommandError, get_commands, load_command_class
from django.core.management.base import CommandParser

from annotate.exchange.importers.prompts import FIELDS

ROOT = Path(settings.BASE_DIR)
DOCS = ROOT / "docs"
MAX_WORDS = 15_000
GENERATED = {DOCS / "reference/licences.md"}
FENCE = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^(?: {4}|\t)\S.*\n?)+", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^]]*\]\(([^()\s]+)\)")
FLAG = re.compile(r"--[a-zA-Z][\w-]*")
# Flags of other programs that the docs name by themselves.
OTHERS_FLAGS = {"--machine_rank", "--main_process_ip", "--num_machines", "--require-hashes"}
TUTORIALS = [DOCS / f"tutorials/{name}.md" for name in ("first-study", "first-reward-model", "first-tuned-policy")]
# Numbers in the tutorials that would take minutes, and what the test runs instead.
SMALLER = {"--judgements 1500": "--judgements 400", "--max-steps 40": "--max-steps 2"}


def markdown_files() -> list[Path]:
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name in {"docs", "bench", "deploy", "tests"}]
    return sorted([*ROOT.glob("*.md"), *(file for folder in folders for file in folder.rglob("*.md"))])


def without_code(text: str) -> str:
    return INLINE.sub("", FENCE.sub("", text))


def anchors(file: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a file."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", file.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def parser_of(command: str) -> CommandParser | None:
    app = get_commands().get(command)
    if app is None:
        return None
    loaded = load_command_class(app, command) if isinstance(app, str) else app
    return loaded.create_parser("manage.py", command)


def flags_of(command: str) -> set[str]:
    parser = parser_of(command)
    return set(parser._option_string_actions) if parser else set()


def blocks(text: str) -> Iterator[str]:
    """Yield the code blocks of a page, with continued lines joined."""
    for found in (*(match[2] for match in FENCE.finditer(text)), *INDENTED.findall(FENCE.sub("", text))):
        yield re.sub(r"\\\n\s*", " ", found)


def shown_commands(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield name and arguments of every `manage.py` command in the code blocks of a page."""
    for block in blocks(text):
        for line in re.findall(r"manage\.py (.+)", block):
            words = shlex.split(line, comments=True)
            end = next((i for i, word in enumerate(words) if word in {"|", "&&", ">"}), len(words))
            yield words[0], words[1:end]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("file", markdown_files(), ids=name_of)
def test_every_link_leads_somewhere(file):
    broken = []
    for target in LINK.findall(without_code(file.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        place = (file.parent / path).resolve() if path else file
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)
    assert broken == []


def test_every_page_is_in_an_index():
    index = {(DOCS / link).resolve() for link in LINK.findall((DOCS / "README.md").read_text()) if "#" not in link}
    decisions = DOCS / "decisions"
    index |= {(decisions / link).resolve() for link in LINK.findall((decisions / "README.md").read_text())}
    assert [name_of(page) for page in DOCS.rglob("*.md") if page not in index | {DOCS / "README.md"}] == []


@pytest.mark.parametrize("file", markdown_files(), ids=name_of)
def test_every_command_in_a_code_block_is_one_that_the_parser_takes(file):
    refused = []
    for command, arguments in shown_commands(file.read_text()):
        parser = parser_of(command)
        if parser is None:
            refused.append(f"{command}: no such command")
        elif "…" in arguments:
            refused += [f"{command} {flag}" for flag in arguments if flag[:2] == "--" and flag not in flags_of(command)]
        else:
            # Unlike the program the docs do not abbreviate flags.
            parser.allow_abbrev = False
            parser.called_from_command_line = False
            try:
                parser.parse_args(arguments)
            except CommandError as error:
                refused.append(f"{command} {' '.join(arguments)}: {error}")
    assert refused == []


@pytest.mark.parametrize("file", [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "README.zh-CN.md"], ids=name_of)
def test_every_flag_in_a_sentence_exists(file):
    """`COMMAND … --flag` is a flag of the command, `--flag` alone of some command."""
    if file.parent.name == "decisions":
        return
    commands = [name for name, app in get_commands().items() if app.split(".")[0] in {"annotate", "training", "palate"}]
    known = {flag for command in commands for flag in flags_of(command)}
    unknown = []
    for code in INLINE.findall(FENCE.sub("", file.read_text())):
        words = code.removeprefix("manage.py ").split()
        flags = [flag.partition("=")[0] for flag in FLAG.findall(code)]
        if words[0] in commands:
            unknown += [f"{words[0]} {flag}" for flag in flags if flag not in flags_of(words[0])]
        elif words[0].startswith("--"):
            unknown += [flag for flag in flags if flag not in known | OTHERS_FLAGS]
    assert unknown == []


def test_the_docs_keep_their_word_budget():
    pages = [page for page in DOCS.rglob("*.md") if page not in GENERATED and page.parent.name != "decisions"]
    words = sum(len(page.read_text().split()) for page in pages)
    assert words <= MAX_WORDS, f"{words} words: shorten a page, or move measurements to bench/results"


@pytest.mark.slow
def test_the_tutorials_run_from_the_first_command_to_the_last(tmp_path):
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PALATE_VAR": str(tmp_path / "var"), "PATH": programs}
    environment.pop("DATABASE_URL", None)

    def run(script: str) -> str:
        for written, smaller in SMALLER.items():
            script = script.replace(written, smaller)
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        # A policy of two steps may well be refused; that it is said is what the tutorial promises.
        refused = "promote_policy" in script and "Error" in done.stderr and "Traceback" not in done.stderr
        assert done.returncode == 0 or refused, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    # What `make run` does before it serves, with a policy of a few steps in the place of the demo's.
    run("python manage.py migrate --verbosity 0")
    run("python manage.py pretrain --corpus demo --documents 200 --max-steps 3 --name demo-policy")
    run("python manage.py demo --language en")
    for page in TUTORIALS:
        scripts = [code for language, code in FENCE.findall(page.read_text()) if language == "console"]
        assert scripts, f"{page.name} has no block of language console"
        for script in scripts:
            printed = run(f"set -e\n{script}")
    assert printed is not None


def test_the_fields_of_imported_prompts_are_documented_under_their_names():
    page = (DOCS / "reference" / "file-formats.md").read_text()
    names = {"text", "prompt", "prompt_id", "group", "split", "reference", "context", "audience"}
    assert names <= FIELDS
    assert [name for name in sorted(names) if f"`{name}`" not in page] == []
