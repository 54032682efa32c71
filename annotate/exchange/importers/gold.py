"""Known answers from a file: a row for each response of a task with its rank, or a row for a task with its label."""

from dataclasses import dataclass, field
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext as _

from annotate.collection.gold import set_known_answer
from annotate.collection.keys import task_key
from annotate.exchange.files.limits import AT_ONCE
from annotate.exchange.files.rows import Row, wrong
from annotate.exchange.files.sources import known_rows
from annotate.models.choices import Purpose
from annotate.models.gold import KnownAnswer
from annotate.models.studies import Study
from annotate.models.tasks import Task
from core.errors import PalateError

COLUMNS = ("task_id", "prompt_id", "response_id", "rank", "label", "purpose", "explanation")


@dataclass
class _Entry:
    """What the rows of one task say. ranks: response id to rank."""

    row: Row
    ranks: dict[str, int] = field(default_factory=dict)
    judgements: dict[str, str] = field(default_factory=dict)


@transaction.atomic
def upload_known_answers(*, study: Study, path: Path) -> int:
    """Give the tasks that a file names their known answers, all of them or none; returns how many tasks.

    What a row leaves empty stays as it is stored. Raises PalateError that names row and field.
    """
    entries = _entries(path)
    for entry in entries:
        task = _task(study, entry)
        before = KnownAnswer.objects.filter(task=task).first()
        judgements = entry.judgements
        try:
            set_known_answer(
                task=task,
                purpose=judgements.get("purpose") or (task.purpose if before else Purpose.GOLD),
                ranks=_ranks(task, entry) or (before.ranks if before else None),
                scores=before.scores if before else None,
                label=judgements.get("label") or (before.label if before else ""),
                explanation=judgements.get("explanation") or (before.explanation if before else ""),
            )
        except PalateError as error:
            raise wrong(path.name, str(error), entry.row.line) from None
    return len(entries)


def _entries(path: Path) -> list[_Entry]:
    entries: dict[tuple[str, str], _Entry] = {}
    for row in known_rows(path, COLUMNS, AT_ONCE):
        entry = entries.setdefault(_key(row), _Entry(row))
        for name in ("label", "purpose", "explanation"):
            if (value := row.text(name, required=False)) and entry.judgements.setdefault(name, value) != value:
                row.fail(name, _("differs from that of an earlier row of the same task"))
        if response := row.name("response_id", required=False):
            if response in entry.ranks:
                row.fail("response_id", _("%(name)r has a rank already"), name=response)
            entry.ranks[response] = _rank(row)
    if not entries:
        raise wrong(path.name, _("holds no rows"))
    return list(entries.values())


def _key(row: Row) -> tuple[str, str]:
    for name in ("task_id", "prompt_id"):
        if value := row.name(name, required=False):
            return name, value
    return row.fail("task_id", _("is empty; expected the number of a task, or else a prompt_id"))


def _rank(row: Row) -> int:
    text = row.text("rank")
    if not text.isdecimal() or len(text) > 3 or not 1 <= int(text) <= 100:
        row.fail("rank", _("%(value)r is no rank; expected a whole number from 1, the best"), value=text)
    return int(text)


def _task(study: Study, entry: _Entry) -> Task:
    """The task that the entry names: by its number, or by its prompt and responses."""
    name, value = _key(entry.row)
    if name == "task_id":
        task = study.tasks.filter(pk=int(value)).first() if value.isdecimal() and len(value) < 19 else None
        return task or entry.row.fail("task_id", _("%(value)r is no task of the study"), value=value)
    tasks = study.tasks.filter(prompt__external_id=value)
    if entry.ranks:
        found = study.prompts.filter(external_id=value, responses__external_id__in=entry.ranks)
        tasks = tasks.filter(key=task_key(found.values_list("responses", flat=True)))
    chosen = list(tasks[:2])
    if len(chosen) != 1:
        entry.row.fail(
            "prompt_id", _("%(value)r and these responses name no single task; give the task_id"), value=value
        )
    return chosen[0]


def _ranks(task: Task, entry: _Entry) -> list[int] | None:
    """The ranks in the order of the task's places, dense from 1; None where the rows rank nothing."""
    if not entry.ranks:
        return None
    names = list(task.places.order_by("position").values_list("response__external_id", flat=True))
    if set(names) != set(entry.ranks):
        template = _("the rows rank %(given)s; the task has the responses %(names)s")
        message = template % {"given": ", ".join(sorted(entry.ranks)), "names": ", ".join(names)}
        raise wrong(entry.row.file.name, message, entry.row.line)
    order = sorted(set(entry.ranks.values()))
    return [order.index(entry.ranks[name]) + 1 for name in names]
