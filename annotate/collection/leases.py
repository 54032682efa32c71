"""Handing out tasks: make, lease, give back, skip. Each operation is one transaction.

The rules that hold under any number of processes: never more than `replication` judgements on a task, never
the same task twice to a rater, never a task whose slot is lost. `Task.slots_taken` counts leased and judged
slots and is kept in the transaction that changes an assignment.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.collection.gold import grade, quiz_of
from annotate.collection.keys import task_key
from annotate.collection.limits import check_skips
from annotate.collection.permission import check_may_answer, check_takes_part, locked_rater
from annotate.collection.quarantine import quarantine_tasks
from annotate.collection.slots import end_lease
from annotate.models.choices import AssignmentState, Part, Purpose
from annotate.models.members import Membership
from annotate.models.prompts import Prompt, Response
from annotate.models.studies import Study
from annotate.models.task_queries import AssignmentQuerySet
from annotate.models.tasks import Assignment, Task, TaskResponse
from core.errors import PalateError

# Leases of one rater at a time: the task on the screen, the next one, and answers still on their way.
MAX_HELD = 5
MAX_DRAFT = 50_000  # characters
# A vote is asked for again only after this many others, so that it is not remembered.
REPEAT_AFTER = 5
chance = random.SystemRandom()


class LeaseLost(PalateError):
    """The lease ran out and the task went to other raters in the meantime."""


@transaction.atomic
def create_tasks(
    *,
    study: Study,
    response_sets: Iterable[Sequence[Response]],
    round: Any = None,
    replication: int | None = None,
    priority: int = 0,
) -> int:
    """Make one task for each set of responses to one prompt; sets that have a task already are left alone.

    Returns the number of tasks made.
    """
    sets = {task_key([r.pk for r in responses]): responses for responses in response_sets}
    known = set(Task.objects.filter(study=study, key__in=sets).values_list("key", flat=True))
    prompts = Prompt.objects.filter(pk__in={responses[0].prompt_id for responses in sets.values()})
    audiences = dict(prompts.exclude(audience=[]).values_list("pk", "audience"))
    tasks = Task.objects.bulk_create(
        [
            Task(
                study=study,
                prompt_id=responses[0].prompt_id,
                round=round,
                key=key,
                replication=replication or study.replication,
                priority=priority,
                audience=audiences.get(responses[0].prompt_id, []),
            )
            for key, responses in sets.items()
            if key not in known
        ]
    )
    TaskResponse.objects.bulk_create(
        TaskResponse(task=task, response=response, position=position)
        for task in tasks
        for position, response in enumerate(sets[task.key])
    )
    if study.flag_personal_data:
        quarantine_tasks({task.pk: [response.text for response in sets[task.key]] for task in tasks})
    return len(tasks)


def lease_next(*, rater: Membership, beyond: Collection[int] = ()) -> Assignment | None:
    """The rater's current task, or else a lease on the next open one; None when nothing is open to the rater.

    beyond: ids of assignments that the rater's browser holds already, on the screen or on their way to the
    server; a browser that asks ahead gets another one. Nobody holds more than MAX_HELD.
    """
    run_out = Assignment.objects.run_out().filter(task__study=rater.study)
    if run_out.exists():
        # A transaction of its own: it locks many tasks, and the leasing below may have to wait for one.
        _return(run_out)
    return _lease_next(rater, beyond)


@transaction.atomic
def _lease_next(rater: Membership, beyond: Collection[int]) -> Assignment | None:
    # Two tabs of one rater take turns here, so that they get the same task and not two leases.
    rater = locked_rater(rater.pk)
    held = list(Assignment.objects.live().filter(rater=rater).order_by("leased_at", "id"))
    study = rater.study
    if current := next((assignment for assignment in held if assignment.pk not in beyond), None):
        # The lease counts from when the task is shown, not from when it was fetched ahead.
        current.expires_at = _renewed(rater, current)
        current.save(update_fields=["expires_at"])
        return current
    if study.closed_at is None:
        # The one on the screen was fetched ahead, maybe long before it was shown: its time begins now, too.
        Assignment.objects.filter(pk__in=[one.pk for one in held]).update(expires_at=_lease_end(rater))
    if not rater.active or not study.active or rater.blocked or len(held) >= MAX_HELD:
        return None
    if rater.quiz_passed is None and (quiz := quiz_of(rater)).exists():
        if task := quiz.unseen_by(rater).order_by("id").first():
            return _lease(task, rater)
        # The question that was left may have been taken out since the rater's last answer.
        grade(rater=rater)
        if not rater.quiz_passed:
            return None
    if _at_the_cap(rater, len(held)):
        return None
    if chance.random() < study.gold_share and (task := _gold(rater)):
        return _lease(task, rater)
    if chance.random() < study.repeat_share and (vote := _to_repeat(rater)):
        return _lease(vote.task, rater, again=vote)
    # Tasks that others are leasing are passed over. When no other is left they are waited for: a slot may remain.
    task = _next_open(rater, skip_locked=True) or _next_open(rater, skip_locked=False)
    return _lease(task, rater) if task else None


def _at_the_cap(rater: Membership, held: int) -> bool:
    cap = rater.study.rater_cap
    if cap is None:
        return False
    judged = Assignment.objects.filter(rater=rater, state=AssignmentState.JUDGED, part=Part.VOTE)
    return judged.filter(task__purpose=Purpose.COLLECT).count() + held >= cap


def _gold(rater: Membership) -> Task | None:
    return Task.objects.known(Purpose.GOLD).unseen_by(rater).order_by("?").first()


def _to_repeat(rater: Membership) -> Assignment | None:
    return Assignment.objects.repeatable(rater, after=REPEAT_AFTER).select_related("task").order_by("ended_at").first()


def _next_open(rater: Membership, *, skip_locked: bool) -> Task | None:
    return (
        Task.objects.open_to(rater)
        .in_turn()
        .select_related("prompt")
        .select_for_update(skip_locked=skip_locked, no_key=True, of=("self",))
        .first()
    )


def _lease_end(rater: Membership) -> datetime:
    return timezone.now() + timedelta(minutes=rater.study.lease_minutes)


def _renewed(rater: Membership, assignment: Assignment) -> datetime:
    """When the rater's lease ends from now on: a closed study renews none."""
    return assignment.expires_at if rater.study.closed_at else _lease_end(rater)


def _lease(task: Task, rater: Membership, *, again: Assignment | None = None) -> Assignment:
    """Give the rater a task that this transaction has locked, and a slot of it.

    again: the rater's vote that is asked for a second time. It takes no slot, and shows the order reversed.
    """
    now = timezone.now()
    lease = {
        "state": AssignmentState.LEASED,
        "instructions_version": rater.study.instructions_version,
        "leased_at": now,
        "expires_at": _lease_end(rater),
        "ended_at": None,
    }
    if again is None:
        Task.objects.filter(pk=task.pk).update(slots_taken=F("slots_taken") + 1)
        part = Part.VOTE
        shown = list(TaskResponse.objects.filter(task=task).values_list("response_id", flat=True))
        chance.shuffle(shown)
    else:
        part, shown = Part.REPEAT, again.shown[::-1]
    # A rater who comes back to a task whose lease ran out sees the same order as before.
    if assignment := Assignment.objects.filter(task=task, rater=rater, part=part).first():
        for name, value in lease.items():
            setattr(assignment, name, value)
        assignment.save(update_fields=list(lease))
        return assignment
    return Assignment.objects.create(task=task, rater=rater, part=part, shown=shown, **lease)


@transaction.atomic
def _return(run_out: AssignmentQuerySet) -> None:
    for assignment in run_out.order_by("task_id").select_for_update(skip_locked=True, no_key=True, of=("self",)):
        end_lease(assignment, AssignmentState.RETURNED)


def _locked(assignment: Assignment) -> Assignment:
    # The rater first, as in leasing: locked in one order, two tabs of one rater cannot block each other for good.
    rater = locked_rater(assignment.rater_id)
    assignment = Assignment.objects.select_for_update(of=("self",)).select_related("task").get(pk=assignment.pk)
    assignment.rater = rater
    return assignment


@transaction.atomic
def keep_draft(*, assignment: Assignment, fields: Mapping[str, str]) -> bool:
    """Keep an answer begun with its lease, and the lease for the rater who is at work on it.

    Returns whether it was kept: not once the task is judged, skipped or returned. Raises PalateError when it
    is longer than any answer can be, or the rater may not answer any more.
    """
    if sum(len(name) + len(value) for name, value in fields.items()) > MAX_DRAFT:
        raise PalateError(_("The draft is too long."))
    # PostgreSQL stores no NUL character.
    draft = {name: value.replace("\0", "") for name, value in fields.items()}
    assignment = _locked(assignment)
    if assignment.state != AssignmentState.LEASED:
        return False
    check_may_answer(assignment.rater, assignment)
    assignment.draft, assignment.expires_at = draft, _renewed(assignment.rater, assignment)
    assignment.save(update_fields=["draft", "expires_at"])
    return True


@transaction.atomic
def release_lease(*, assignment: Assignment, unless_renewed: bool = False) -> None:
    """Return a leased task unjudged, so that others (or the same rater, later) may have it.

    unless_renewed: leave it when the lease has been renewed since `assignment.expires_at` was read; a page that
    closes gives back the task it fetched ahead, but not from another page that shows it by now.
    """
    end = assignment.expires_at
    assignment = _locked(assignment)
    if assignment.state == AssignmentState.LEASED and not (unless_renewed and assignment.expires_at != end):
        end_lease(assignment, AssignmentState.RETURNED)


@transaction.atomic
def skip(*, assignment: Assignment, reason: str) -> None:
    """Say why this rater will not judge the task; it goes to somebody else. A second skip changes nothing.

    A question of the quiz that is skipped counts as a wrong answer.

    Raises PalateError when no reason is given or the task has been judged, LimitReached when the rater has skipped
    many.
    """
    reason = reason.strip()
    if not reason:
        raise PalateError(_("Choose a reason for skipping."))
    if len(reason) > 500:
        raise PalateError(_("The reason may have at most 500 characters."))
    assignment = _locked(assignment)
    if assignment.state == AssignmentState.JUDGED:
        raise PalateError(_("You have judged this task already."))
    if assignment.state == AssignmentState.SKIPPED:
        return
    check_takes_part(assignment.rater)
    if assignment.task.purpose != Purpose.QUIZ:
        check_skips(assignment.rater)
    if assignment.state == AssignmentState.LEASED:
        end_lease(assignment, AssignmentState.SKIPPED, reason=reason)
    else:
        assignment.state, assignment.skip_reason = AssignmentState.SKIPPED, reason
        assignment.ended_at = timezone.now()
        assignment.save(update_fields=["state", "skip_reason", "ended_at"])
    if assignment.task.purpose == Purpose.QUIZ:
        grade(rater=assignment.rater)


def hold(*, assignment: Assignment) -> Assignment:
    """Inside a transaction: lock the rater's assignment and make sure that it holds a slot.

    A lease that ran out takes a slot again if one is free, so that work is lost only when the task is full.
    Raises LeaseLost when it is full, PalateError when the rater may not answer any more.
    """
    assignment = _locked(assignment)
    if assignment.state in (AssignmentState.JUDGED, AssignmentState.SKIPPED):
        return assignment
    check_may_answer(assignment.rater, assignment)
    if assignment.state == AssignmentState.LEASED:
        return assignment
    if assignment.part == Part.REPEAT:
        return _lease(assignment.task, assignment.rater, again=Assignment(shown=assignment.shown))
    task = Task.objects.select_for_update(no_key=True).get(pk=assignment.task_id)
    if task.withdrawn or task.slots_taken >= task.replication:
        raise LeaseLost(
            _("Your time for this task ran out and others have judged it since. Your answer was not needed.")
        )
    return _lease(task, assignment.rater)
