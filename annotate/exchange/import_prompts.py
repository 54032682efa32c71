"""Import of prompts: CSV or JSON lines, or the two columns `train` and `test` of texts."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction

from annotate.errors import PalateError
from annotate.exchange.files import Row, csv_rows, json_rows
from annotate.exchange.studies import study_for_import
from annotate.prompts.models import Prompt, Split, split_of
from annotate.studies.models import Study

FIELDS = {"prompt_id", "text", "group", "debate", "split", "reference", "beside", "audience"}
COLUMNS_OF_SPLITS = {"train", "validation", "test"}
Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class NewPrompt:
    external_id: str
    text: str
    group: str
    split: str
    divided: bool  # a part of the split train, by the stable hash, is for validation
    reference: str
    beside: str
    audience: list[str]
    row: Row


@transaction.atomic
def import_prompts(*, slug: str, file: Path, group_by: str = "", report: Report | None = None) -> dict[str, int | str]:
    """Store the prompts of a file in a study, which is made when it is new.

    Importing the same file again changes nothing. All or nothing: PalateError names file, line and field.
    """
    prompts = list(read_prompts(file, group_by=group_by))
    if not prompts:
        raise PalateError(f"{file.name}: holds no prompts; expected a row for each")
    study, made = study_for_import(slug)
    saved = save_prompts(study, prompts)
    if report:
        report(len(prompts), len(prompts))
    return {
        "study": study.slug,
        "study_created": int(made),
        "prompts": saved,
        "prompts_already_there": len(prompts) - saved,
    }


def read_prompts(file: Path, *, group_by: str = "") -> Iterator[NewPrompt]:
    """The prompts of a file, checked; double ids are an error."""
    known = FIELDS | ({group_by} if group_by else set())
    is_json = file.name.removesuffix(".gz").endswith((".jsonl", ".json", ".ndjson"))
    rows = json_rows(file, known) if is_json else csv_rows(file, known | COLUMNS_OF_SPLITS)
    seen: dict[str, NewPrompt] = {}
    for row in rows:
        for prompt in _prompts_of(row, group_by):
            before = seen.setdefault(prompt.external_id, prompt)
            if before is prompt:
                yield prompt
            elif before.text != prompt.text:
                row.fail("prompt_id", f"{prompt.external_id!r} stands at line {before.row.line} with another text")


def _prompts_of(row: Row, group_by: str) -> Iterable[NewPrompt]:
    columns = [name for name in ("train", "validation", "test") if name in row.values]
    if columns and "text" not in row.values:
        # The article's data.csv: a column a split, each cell a text; the shorter columns end in empty cells.
        divided = "validation" not in columns
        return [
            _prompt(row, row.text(c), split=c, divided=divided and c == Split.TRAIN)
            for c in columns
            if str(row.values[c]).strip()
        ]
    return [
        _prompt(
            row,
            row.text("text"),
            external_id=row.name("prompt_id", required=False),
            group=_group(row, group_by),
            split=row.name("split", required=False),
            reference=row.text("reference", required=False),
            beside=row.text("beside", required=False),
            audience=row.tags("audience"),
        )
    ]


def _group(row: Row, group_by: str) -> str:
    """The group of a prompt: the column asked for, or `group`, or its other name `debate`."""
    return row.name(group_by) if group_by else row.name("group", required=False) or row.name("debate", required=False)


def _prompt(
    row: Row,
    text: str,
    *,
    external_id: str = "",
    group: str = "",
    split: str = "",
    divided: bool = False,
    reference: str = "",
    beside: str = "",
    audience: Sequence[str] = (),
) -> NewPrompt:
    if split and split not in Split.values:
        row.fail("split", f"{split!r} is no split; expected {', '.join(Split.values)}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return NewPrompt(external_id or digest, text, group, split, divided, reference, beside, list(audience), row)


def save_prompts(study: Study, prompts: list[NewPrompt]) -> int:
    """Store those that are new to the study; returns how many. The same id with another text is an error."""
    there = dict(study.prompts.values_list("external_id", "text"))
    splits = dict(study.prompts.exclude(group="").values_list("group", "split"))
    new = []
    for prompt in prompts:
        if prompt.external_id not in there:
            split = prompt.split
            if not split or prompt.divided:
                split = split_of(
                    prompt.group or prompt.external_id,
                    validation_share=study.validation_share,
                    test_share=0 if prompt.divided else study.test_share,
                )
            if prompt.group and splits.setdefault(prompt.group, split) != split:
                prompt.row.fail("split", f"{split!r}, but group {prompt.group!r} is in {splits[prompt.group]!r}")
            new.append(
                Prompt(
                    study=study,
                    external_id=prompt.external_id,
                    text=prompt.text,
                    group=prompt.group,
                    split=split,
                    reference=prompt.reference,
                    beside=prompt.beside,
                    audience=prompt.audience,
                )
            )
        elif there[prompt.external_id] != prompt.text:
            prompt.row.fail("text", f"the study has prompt {prompt.external_id!r} with another text")
    Prompt.objects.bulk_create(new, batch_size=2000)
    return len(new)
