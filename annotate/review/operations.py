"""Flags: a rater reports a task, a manager decides."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.errors import PalateError
from annotate.review.models import Flag, FlagKind
from annotate.tasks.models import Assignment, Purpose, Task
from annotate.tasks.operations import skip


@transaction.atomic
def flag(*, assignment: Assignment, kind: str, details: str = "") -> Flag:
    """Skip a task and take it out for review: nobody gets it until a manager has decided.

    A task with a known answer waits for review too, but stays in use: one rater cannot end a check of all others.
    A second flag by the same rater changes nothing. Raises PalateError when the task is judged already.
    """
    if kind not in FlagKind.values:
        raise PalateError(_("Say what is wrong with the task."))
    skip(assignment=assignment, reason=f"flag: {kind}" + (f": {details}" if details else ""))
    Task.objects.filter(pk=assignment.task_id, purpose=Purpose.COLLECT).update(withdrawn=True)
    made, _new = Flag.objects.get_or_create(
        task_id=assignment.task_id,
        rater_id=assignment.rater_id,
        resolved_at=None,
        defaults={"kind": kind, "details": details},
    )
    return made


@transaction.atomic
def resolve(*, task: Task, hand_out: bool) -> None:
    """Close a task's open flags: hand it out again, or keep it out for good."""
    Flag.objects.filter(task=task, resolved_at=None).update(resolved_at=timezone.now())
    Task.objects.filter(pk=task.pk).update(withdrawn=not hand_out)
