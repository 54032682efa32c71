"""Tasks whose responses seem to hold personal data wait for a manager before anybody sees them."""

from collections.abc import Mapping, Sequence

from annotate.collection.personal_data import kinds_of_personal_data
from annotate.models.review import Flag, FlagKind
from annotate.models.tasks import Task


def quarantine_tasks(texts: Mapping[int, Sequence[str]]) -> int:
    """Flag the tasks (by primary key, with their texts) that seem to hold personal data; returns how many."""
    flags = []
    for task, own in texts.items():
        if kinds := sorted({kind for text in own for kind in kinds_of_personal_data(text)}):
            flags.append(Flag(task_id=task, kind=FlagKind.PRIVATE, details=", ".join(kinds)))
    Flag.objects.bulk_create(flags)
    Task.objects.filter(pk__in=[flag.task_id for flag in flags]).update(withdrawn=True)
    return len(flags)
