"""Slots of tasks: `Task.slots_taken` counts the leases and votes that count. Each function works inside a transaction
that holds the rater."""

from collections.abc import Collection

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from annotate.models.choices import AssignmentState, Part
from annotate.models.members import Membership
from annotate.models.tasks import Assignment, Task


def end_lease(assignment: Assignment, state: AssignmentState, *, reason: str = "") -> None:
    """End a lease that this transaction has locked and free its slot."""
    assignment.state, assignment.skip_reason, assignment.ended_at = state, reason, timezone.now()
    if state == AssignmentState.SKIPPED:
        assignment.draft = None
    assignment.save(update_fields=["state", "skip_reason", "ended_at", "draft"])
    if assignment.part == Part.VOTE:
        Task.objects.filter(pk=assignment.task_id).update(slots_taken=F("slots_taken") - 1)


def end_leases(rater: Membership) -> None:
    """Return every task that the rater holds."""
    for assignment in _held(rater):
        end_lease(assignment, AssignmentState.RETURNED)


def free_slots(rater: Membership) -> None:
    """The rater's votes count no more: others get the tasks that the rater holds or has judged."""
    held, judged = _held(rater), _judged(rater)
    _lock([*(assignment.task_id for assignment in held), *judged])
    for assignment in held:
        end_lease(assignment, AssignmentState.RETURNED)
    Task.objects.filter(pk__in=judged).update(slots_taken=F("slots_taken") - 1)


def retake_slots(rater: Membership) -> None:
    """The rater's votes count again. A task that others have filled meanwhile has one vote more than was asked for."""
    judged, taken = _judged(rater), F("slots_taken") + 1
    _lock(judged)
    Task.objects.filter(pk__in=judged).update(slots_taken=taken, replication=Greatest(F("replication"), taken))


def _held(rater: Membership) -> list[Assignment]:
    """The rater's leases, locked. One that is locked has run out and is being returned at this moment."""
    held = Assignment.objects.leased().filter(rater=rater).order_by("task_id")
    return list(held.select_for_update(no_key=True, skip_locked=True, of=("self",)))


def _judged(rater: Membership) -> list[int]:
    votes = Assignment.objects.filter(rater=rater, state=AssignmentState.JUDGED, part=Part.VOTE)
    return list(votes.values_list("task_id", flat=True))


def _lock(tasks: Collection[int]) -> None:
    """Lock tasks in the order in which everybody locks several: nobody waits for good."""
    list(Task.objects.filter(pk__in=tasks).order_by("pk").select_for_update(no_key=True).values_list("pk"))
