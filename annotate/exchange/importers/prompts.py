"""Import of prompts alone, in Palate's own form: a `text` (or `prompt`) a row, or the columns `train` and `test`."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from annotate.exchange.files.rows import Row, wrong
from annotate.exchange.files.sources import known_rows
from annotate.exchange.importers.checks import check
from annotate.exchange.importers.import_records import Bundle, digest
from annotate.exchange.importers.studies import study_for_import
from annotate.exchange.importers.writer import Writer, chunks
from annotate.models.prompts import Split

FIELDS = {"prompt_id", "text", "prompt", "group", "debate", "split", "reference", "context", "audience"}
COLUMNS_OF_SPLITS = {"train", "validation", "test"}
Report = Callable[[int, int], None]


@transaction.atomic
def import_prompts(*, slug: str, file: Path, group_by: str = "", report: Report | None = None) -> dict[str, int | str]:
    """Store the prompts of a file in a study, which is made when it is new.

    Importing the same file again changes nothing. All or nothing: PalateError names file, line and field.
    """
    prompts = list(read_prompts(file, group_by=group_by))
    if not prompts:
        raise wrong(file.name, _("holds no prompts; expected a row for each"))
    study, made = study_for_import(slug)
    writer = Writer(study, "prompts", scales={})
    for chunk in chunks(prompts):
        writer.take(chunk)
    if report:
        report(len(prompts), len(prompts))
    return {
        "study": study.slug,
        "study_created": int(made),
        "prompts": writer.counts["prompts"],
        "prompts_already_there": len(prompts) - writer.counts["prompts"],
    }


def read_prompts(file: Path, *, group_by: str = "") -> Iterator[Bundle]:
    """The prompts of a file, checked, each once; the same id with another text is an error."""
    seen: dict[str, Bundle] = {}
    for row in known_rows(file, FIELDS | COLUMNS_OF_SPLITS | ({group_by} if group_by else set())):
        for prompt in _prompts_of(row, group_by):
            check(prompt)
            before = seen.setdefault(prompt.prompt_id, prompt)
            if before is prompt:
                yield prompt
            elif before.prompt != prompt.prompt:
                message = _("%(name)r stands at line %(line)d with another text")
                row.fail("prompt_id", message, name=prompt.prompt_id, line=before.row.line)


def _prompts_of(row: Row, group_by: str) -> list[Bundle]:
    columns = [name for name in ("train", "validation", "test") if name in row.values]
    if columns and not {"text", "prompt"} & set(row.values):
        # The article's data.csv: a column a split, each cell a text; the shorter columns end in empty cells.
        return [_cell(row, name, columns) for name in columns if str(row.values[name]).strip()]
    if {"text", "prompt"} <= set(row.values):
        row.fail("prompt", _("conflicts with text; a prompt has one of the two columns"))
    text = row.text("prompt" if "prompt" in row.values else "text")
    return [
        Bundle(
            row=row,
            prompt_id=row.name("prompt_id", required=False) or digest(text),
            prompt=text,
            group=_group(row, group_by),
            split=row.name("split", required=False),
            reference=row.text("reference", required=False),
            context=row.text("context", required=False),
            audience=row.tags("audience"),
        )
    ]


def _cell(row: Row, split: str, columns: Sequence[str]) -> Bundle:
    text = row.text(split)
    divided = split == Split.TRAIN and Split.VALIDATION not in columns
    return Bundle(row=row, prompt_id=digest(text), prompt=text, split=split, divided=divided)


def _group(row: Row, group_by: str) -> str:
    """The group of a prompt: the column asked for, or `group`, or its other name `debate`."""
    return row.name(group_by) if group_by else row.name("group", required=False) or row.name("debate", required=False)
