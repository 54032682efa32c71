"""Slots of tasks: `Task.slots_taken` counts the leases and votes that count. Each function works inside a transaction
that holds the rater."""

from django.db.models import F
from django.db.models.functions import Greatest
from django.utils import timezone

from annotate.members.models import Membership
from annotate.tasks.models import Assignment, AssignmentState, Part, Task
from annotate.tasks.queries import TaskQuerySet


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
    held = Assignment.objects.leased().filter(rater=rater).order_by("task_id")
    for assignment in held.select_for_update(no_key=True, of=("self",)):
        end_lease(assignment, AssignmentState.RETURNED)


def free_slots(rater: Membership) -> None:
    """The rater's votes count no more: others get the tasks that the rater holds or has judged."""
    end_leases(rater)
    _judged(rater).update(slots_taken=F("slots_taken") - 1)


def retake_slots(rater: Membership) -> None:
    """The rater's votes count again. A task that others have filled meanwhile has one vote more than was asked for."""
    taken = F("slots_taken") + 1
    _judged(rater).update(slots_taken=taken, replication=Greatest(F("replication"), taken))


def _judged(rater: Membership) -> TaskQuerySet:
    """The tasks of the rater's votes, locked in the order in which everybody locks tasks."""
    votes = Assignment.objects.filter(rater=rater, state=AssignmentState.JUDGED, part=Part.VOTE)
    tasks = Task.objects.filter(pk__in=votes.values("task")).order_by("pk")
    return Task.objects.filter(pk__in=list(tasks.select_for_update(no_key=True).values_list("pk", flat=True)))
