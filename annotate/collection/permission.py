"""Whether a rater may still answer. Each function works inside a transaction that holds the rater."""

from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.models.choices import AssignmentState, Kind, RaterStatus
from annotate.models.members import Membership
from annotate.models.studies import Study
from annotate.models.tasks import Assignment
from core.errors import PalateError


def locked_rater(pk: int) -> Membership:
    """The rater, locked, as everything that writes for a rater locks first: erasing, excluding and closing take turns
    with answers."""
    rater = Membership.objects.select_for_update(no_key=True, of=("self",)).get(pk=pk)
    # In a statement of its own: a join would show the study as it was before the lock was waited for.
    rater.study = Study.objects.get(pk=rater.study_id)
    return rater


def check_takes_part(rater: Membership) -> None:
    """Raises PalateError when the rater was erased, removed or excluded."""
    if not rater.active or rater.kind == Kind.ERASED:
        raise PalateError(_("You no longer take part in this study. Nothing was stored."))
    if rater.status == RaterStatus.EXCLUDED:
        raise PalateError(_("You have been excluded from this study: no further answers are taken."))


def check_may_answer(rater: Membership, assignment: Assignment) -> None:
    """Raises PalateError when the rater takes part no more, or the study closed and the lease is over."""
    check_takes_part(rater)
    leased = assignment.state == AssignmentState.LEASED and assignment.expires_at > timezone.now()
    if rater.study.closed_at and not leased:
        raise PalateError(_("This study is closed, and the time for this task is over: no more answers are taken."))


def may_correct(rater: Membership) -> bool:
    return rater.active and rater.status != RaterStatus.EXCLUDED and rater.study.closed_at is None


def check_may_correct(rater: Membership) -> None:
    """Raises PalateError when the rater takes part no more, or the study is closed."""
    check_takes_part(rater)
    if not may_correct(rater):
        raise PalateError(_("This study is closed: answers can no longer be changed."))
