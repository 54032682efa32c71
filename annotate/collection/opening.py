"""Opening imported tasks to raters: comparisons that were judged elsewhere get more votes here."""

from django.db import transaction
from django.db.models import Count, F, Q
from django.utils.translation import gettext as _

from annotate.collection.quarantine import quarantine_tasks
from annotate.models.choices import Kind, Part, Purpose
from annotate.models.prompts import Prompt
from annotate.models.studies import Study
from annotate.models.task_queries import TaskQuerySet
from annotate.models.tasks import Task
from core.errors import PalateError

MAX_RATERS = 100
BATCH = 2000


def imported_tasks(study: Study) -> TaskQuerySet:
    """Tasks with imported votes, and how many of them each has, as `imported`."""
    votes = Q(judgements__live=True, judgements__part=Part.VOTE, judgements__rater__kind=Kind.IMPORTED)
    tasks = study.tasks.filter(purpose=Purpose.COLLECT, withdrawn=False)
    return tasks.annotate(imported=Count("judgements", filter=votes)).filter(imported__gt=0)


@transaction.atomic
def open_imported(*, study: Study, raters: int) -> int:
    """Let each imported task be judged by this many raters of the study besides those who were imported.

    Returns how many tasks ask for more raters than before; doing it again changes nothing, and fewer raters take
    nothing back. Tasks follow the audience of their prompts, and where the study looks for personal data, those that
    seem to hold some wait for review. Raises PalateError when `raters` is not from 1 to MAX_RATERS.
    """
    if not 1 <= raters <= MAX_RATERS:
        raise PalateError(_("The number of raters must lie between 1 and %(most)d.") % {"most": MAX_RATERS})
    replication = F("imported") + raters
    few = dict(imported_tasks(study).filter(replication__lt=replication).values_list("pk", "imported"))
    for start in range(0, len(few), BATCH):
        batch = list(few)[start : start + BATCH]
        tasks = list(study.tasks.filter(pk__in=batch).order_by("pk").select_for_update(no_key=True))
        audiences = dict(Prompt.objects.filter(tasks__in=batch).values_list("pk", "audience"))
        for task in tasks:
            task.replication = max(task.replication, few[task.pk] + raters)
            task.audience = audiences[task.prompt_id]
        Task.objects.bulk_update(tasks, ["replication", "audience"])
        if study.flag_personal_data:
            quarantine_tasks(_texts(batch))
    return len(few)


def _texts(tasks: list[int]) -> dict[int, list[str]]:
    """Task to the texts of its responses."""
    texts: dict[int, list[str]] = {}
    for task, text in Task.objects.filter(pk__in=tasks).values_list("pk", "responses__text"):
        texts.setdefault(task, []).append(text)
    return texts
