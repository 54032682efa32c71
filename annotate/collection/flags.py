"""Flags: a rater reports a task, a manager decides."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.audit.operations import record
from annotate.collection.leases import skip
from annotate.collection.limits import (
    DAY,
    FREE_FLAGS,
    FREE_FLAGS_OF_ALL,
    answered_by_all_within_a_day,
    answered_within_a_day,
)
from annotate.models.audit import Action
from annotate.models.choices import Purpose
from annotate.models.members import Membership
from annotate.models.review import Flag, FlagKind
from annotate.models.tasks import Assignment, Task
from core.errors import PalateError


@transaction.atomic
def flag(*, assignment: Assignment, kind: str, details: str = "") -> Flag:
    """Skip a task and take it out for review: nobody gets it until a manager has decided.

    A task with a known answer waits for review too, but stays in use: one rater cannot end a check of all others. So
    does a task whose flag is over the limit. A second flag by the same rater changes nothing, also after a decision.
    Raises PalateError when the task is judged already, LimitReached when the rater has skipped or flagged many.
    """
    if kind not in FlagKind.values:
        raise PalateError(_("Say what is wrong with the task."))
    # Skipping locks the rater, so that the flags below are counted one after another.
    skip(assignment=assignment, reason=f"flag: {kind}" + (f": {details}" if details else ""))
    rater = Membership.objects.select_related("study", "user").get(pk=assignment.rater_id)
    if before := Flag.objects.filter(task=assignment.task_id, rater=rater).first():
        return before
    over_limit = _over_limit(rater)
    if not over_limit:
        Task.objects.filter(pk=assignment.task_id, purpose=Purpose.COLLECT).update(withdrawn=True)
    record(study=rater.study, user=rater.user, action=Action.FLAGGED, subject=f"task {assignment.task_id}", kind=kind)
    return Flag.objects.create(
        task_id=assignment.task_id, rater=rater, kind=kind, details=details, over_limit=over_limit
    )


def _over_limit(rater: Membership) -> bool:
    """Whether the rater, or all raters of the study, have flagged so much within a day that one more takes nothing out.

    Flags of tasks with a known answer count alike: what a rater is told must not depend on it.
    """
    recent = Flag.objects.filter(made_at__gt=timezone.now() - DAY, rater__isnull=False, over_limit=False)
    share = rater.study.flag_share
    own = recent.filter(rater=rater).count()
    if own >= FREE_FLAGS and own >= FREE_FLAGS + share * answered_within_a_day(rater):
        return True
    by_all = recent.filter(rater__study=rater.study_id).count()
    if by_all < FREE_FLAGS_OF_ALL:
        return False
    return by_all >= FREE_FLAGS_OF_ALL + share * answered_by_all_within_a_day(rater.study_id)


@transaction.atomic
def resolve(*, task: Task, hand_out: bool) -> None:
    """Close a task's open flags: hand it out again, or keep it out for good."""
    Flag.objects.filter(task=task, resolved_at=None).update(resolved_at=timezone.now())
    Task.objects.filter(pk=task.pk).update(withdrawn=not hand_out)
