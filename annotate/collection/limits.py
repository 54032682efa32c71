"""How much raters may leave out: skips and flags as a share of what was answered within a day."""

import math
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models.choices import AssignmentState, Purpose
from annotate.models.members import Membership
from annotate.models.tasks import Assignment
from core.errors import LimitReached

DAY = timedelta(days=1)
# A rater may skip or flag this many tasks besides the share; a new rater has answered nothing yet.
FREE_SKIPS = 20
# Flags that take their tasks out besides the share: of one rater, and of all raters of the study.
FREE_FLAGS = 5
FREE_FLAGS_OF_ALL = 20


def check_skips(rater: Membership) -> None:
    """Inside a transaction that holds the rater: raises LimitReached when the rater has skipped too many tasks."""
    skipped = _within_a_day(Assignment.objects.filter(rater=rater), AssignmentState.SKIPPED)
    times = list(skipped.exclude(task__purpose=Purpose.QUIZ).order_by("ended_at").values_list("ended_at", flat=True))
    answered = answered_within_a_day(rater)
    if len(times) < FREE_SKIPS + rater.study.skip_share * answered:
        return
    words = _(
        "You have skipped or flagged %(skipped)d tasks within a day and answered %(answered)d. Answer some, or return "
        "this task and go on tomorrow."
    )
    oldest = times[0] if times and times[0] else timezone.now()
    seconds = math.ceil((oldest + DAY - timezone.now()).total_seconds())
    raise LimitReached(words % {"skipped": len(times), "answered": answered}, seconds=max(seconds, 1))


def answered_within_a_day(rater: Membership) -> int:
    return _within_a_day(Assignment.objects.filter(rater=rater), AssignmentState.JUDGED).count()


def answered_by_all_within_a_day(study: int) -> int:
    return _within_a_day(Assignment.objects.filter(rater__study=study), AssignmentState.JUDGED).count()


def _within_a_day(assignments: QuerySet[Assignment], state: str) -> QuerySet[Assignment]:
    return assignments.filter(state=state, ended_at__gt=timezone.now() - DAY)
