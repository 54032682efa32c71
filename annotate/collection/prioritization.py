"""Putting tasks forward: which are handed out first, and how each came to be chosen."""

from collections.abc import Collection, Sequence
from typing import TypeVar

from django.db import transaction
from django.db.models import Case, Q, Value, When
from django.utils.translation import gettext as _

from annotate.collection.keys import task_key
from annotate.collection.leases import create_tasks
from annotate.models.choices import ChosenBy
from annotate.models.prompts import Response
from annotate.models.studies import Study
from annotate.models.tasks import ROUND_PRIORITY, Task
from core.errors import PalateError

# What was chosen comes before everything else: the last of it has this priority, each before it one more.
LOWEST_CHOSEN = 100
MAX_CHOSEN = 30_000
BATCH = 2000
V = TypeVar("V")


@transaction.atomic
def prioritize(
    *,
    study: Study,
    order: Sequence[str],
    by: str,
    sample: Collection[str] = (),
    new: Sequence[Sequence[Response]] = (),
) -> int:
    """Hand these tasks out next, in this order, and no others that were put forward before.

    order, sample: keys of tasks. by: the rule that chose those of the order that are not in the random sample, which is
    given whole. new: pairs that have no task yet; theirs are made, and marked as none of the study's plan. Returns how
    many were made. Raises PalateError when there are more than priorities.
    """
    if len(order) > MAX_CHOSEN:
        message = _("at most %(most)d tasks can be put forward, not %(given)d")
        raise PalateError(message % {"most": MAX_CHOSEN, "given": len(order)})
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # one choice at a time
    made = create_tasks(study=study, response_sets=new)
    ours = Task.objects.filter(study=study)
    for keys in _batches([task_key([response.pk for response in pair]) for pair in new]):
        ours.filter(key__in=keys).update(ad_hoc=True)
    ids = {key: pk for keys in _batches(order) for key, pk in ours.filter(key__in=keys).values_list("key", "pk")}
    before = ours.with_free_slot().filter(priority__gte=LOWEST_CHOSEN)
    _lock([*ids.values(), *before.values_list("pk", flat=True)])
    # What was chosen, but has reached nobody, was not chosen in the end.
    before.filter(slots_taken=0).exclude(Q(chosen_by=ChosenBy.RANDOM) | Q(ad_hoc=True)).update(chosen_by="")
    before.update(priority=Case(When(round=None, then=Value(0)), default=Value(ROUND_PRIORITY)))
    tasks = [Task(pk=ids[key], priority=LOWEST_CHOSEN + n) for n, key in enumerate(reversed(order))]
    Task.objects.bulk_update(tasks, ["priority"], batch_size=BATCH)
    for part in _batches(list(ids.values())):
        ours.filter(pk__in=part, chosen_by="").update(chosen_by=by)
    for keys in _batches(list(sample)):
        ours.filter(key__in=keys).exclude(chosen_by=ChosenBy.RANDOM).update(chosen_by=ChosenBy.RANDOM)
    return made


def _lock(ids: Collection[int]) -> None:
    """Lock the tasks, in the order in which run-out leases are returned: neither waits for the other for good."""
    for part in _batches(sorted(ids)):
        list(Task.objects.filter(pk__in=part).order_by("pk").select_for_update(no_key=True).values_list("pk"))


def _batches(values: Sequence[V]) -> list[Sequence[V]]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]
