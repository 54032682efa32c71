"""Tasks with a known answer: made, and held against what raters say."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.collection.gold_rules import close_scores, same_order
from annotate.collection.slots import free_slots, retake_slots
from annotate.models.choices import AssignmentState, Part, Purpose, RaterStatus
from annotate.models.gold import KnownAnswer
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.studies import GoldRule, Study
from annotate.models.task_queries import TaskQuerySet
from annotate.models.tasks import Assignment, Task
from core.errors import PalateError

# Fewer known answers than this say nothing about a rater.
FEWEST_GOLD = 4
NO_LIMIT = 32_767


STATUS = {
    GoldRule.WARN: RaterStatus.WARNED,
    GoldRule.PAUSE: RaterStatus.PAUSED,
    GoldRule.EXCLUDE: RaterStatus.EXCLUDED,
}


class Answer(Protocol):
    @property
    def ranks(self) -> Sequence[int] | None: ...
    @property
    def scores(self) -> Mapping[str, Sequence[float]]: ...
    @property
    def label(self) -> str: ...


@transaction.atomic
def set_known_answer(
    *,
    task: Task,
    purpose: str,
    ranks: Sequence[int] | None = None,
    scores: Mapping[str, Sequence[float]] | None = None,
    label: str = "",
    explanation: str = "",
) -> KnownAnswer:
    """Make a task one with a known answer; from now on it has no limit of raters and is no part of the data.

    ranks and scores run in the order of the task's places; label is one of the study's. Raises PalateError when they
    do not fit.
    """
    if purpose == Purpose.COLLECT or purpose not in Purpose.values:
        raise PalateError(_("A known answer is for gold, quiz, practice or an example."))
    task = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    if task.purpose == Purpose.COLLECT and (task.slots_taken or task.judgements.exists()):
        raise PalateError(_("Raters have begun this task: its votes would be lost. Take another one."))
    k = task.places.count()
    if ranks is None and not scores and not label:
        raise PalateError(_("The known answer says nothing."))
    if (ranks is not None and len(ranks) != k) or any(len(values) != k for values in (scores or {}).values()):
        message = ngettext(
            "The known answer must have one rank or score for the %(k)d response.",
            "The known answer must have one rank or score for each of the %(k)d responses.",
            k,
        )
        raise PalateError(message % {"k": k})
    if label and label not in task.study.labels:
        raise PalateError(_("This study has no label “%(label)s”.") % {"label": label})
    Task.objects.filter(pk=task.pk).update(purpose=purpose, replication=NO_LIMIT)
    known, _made = KnownAnswer.objects.update_or_create(
        task=task,
        defaults={
            "ranks": ranks and list(ranks),
            "scores": dict(scores or {}),
            "label": label,
            "explanation": explanation,
        },
    )
    return known


def is_right(known: KnownAnswer, shown: Sequence[int], answer: Answer) -> bool:
    """Whether an answer, given in the order `shown`, agrees with the known one; its label counts as long as the study
    offers it."""
    if known.label in known.task.study.labels and answer.label != known.label:
        return False
    places = [shown.index(place.response_id) for place in known.task.places.all()]
    if known.ranks and not (answer.ranks and same_order(known.ranks, [answer.ranks[place] for place in places])):
        return False
    given_scores = {key: [values[place] for place in places] for key, values in answer.scores.items()}
    widths = {criterion.key: criterion.maximum - criterion.minimum for criterion in known.task.study.criteria.all()}
    return close_scores(known.scores, given_scores, widths)


@transaction.atomic
def retire_gold(*, task: Task) -> None:
    """Show a task with a known answer to nobody from now on; the answers that raters gave to it stay."""
    Task.objects.filter(pk=task.pk).exclude(purpose=Purpose.COLLECT).update(withdrawn=True)


def _untouched(study: Study) -> TaskQuerySet:
    begun = Assignment.objects.filter(task=OuterRef("pk"))
    return Task.objects.with_free_slot().filter(~Exists(begun), study=study, slots_taken=0)


def untouched(study: Study) -> Task | None:
    """A task that nobody has begun, for an expert to give a known answer: the last that raters would get."""
    return _untouched(study).order_by("priority", "-id").first()


def choosable(study: Study, query: str) -> TaskQuerySet:
    """Tasks that may be given a known answer or have one, whose number, prompt id or prompt text the query names."""
    may = Q(pk__in=_untouched(study)) | Q(study=study, withdrawn=False) & ~Q(purpose=Purpose.COLLECT)
    named = Q(prompt__external_id=query) | Q(prompt__text__icontains=query)
    if query.isdecimal() and len(query) < 19:
        named |= Q(pk=int(query))
    return Task.objects.filter(may, named).select_related("prompt").order_by("id")


def results_of(rater: Membership, purpose: str) -> list[bool]:
    """For each known answer that the rater has met since a manager last let them go on: was it right?"""
    made = Judgement.objects.first_answers(purpose).filter(rater=rater)
    if rater.reinstated_at:
        made = made.filter(made_at__gt=rater.reinstated_at)
    return [right for _rater, right in graded(made)]


def graded(judgements: QuerySet[Judgement]) -> list[tuple[int, bool]]:
    """The rater and whether it was right, for each of these answers to tasks with a known answer."""
    rows = judgements.select_related("task__known_answer", "task__study")
    rows = rows.prefetch_related("task__places", "task__study__criteria")
    return [(row.rater_id, is_right(row.task.known_answer, row.shown, row)) for row in rows]


def quiz_of(rater: Membership) -> TaskQuerySet:
    """The questions of the quiz that the rater takes before the first task."""
    return Task.objects.known(Purpose.QUIZ).meant_for(rater)


def grade(*, rater: Membership) -> None:
    """Inside a transaction that holds the rater: draw the consequences of the rater's known answers."""
    study = rater.study
    if rater.quiz_passed is None:
        rater.quiz_passed = _quiz_result(rater)
    right = results_of(rater, Purpose.GOLD)
    excluded = rater.status == RaterStatus.EXCLUDED
    if not excluded and len(right) >= FEWEST_GOLD and sum(right) / len(right) < study.gold_minimum:
        rater.status = STATUS[GoldRule(study.gold_rule)]
    rater.save(update_fields=["quiz_passed", "status"])
    if rater.status == RaterStatus.EXCLUDED and not excluded:
        free_slots(rater)


def _quiz_result(rater: Membership) -> bool | None:
    """Return whether the rater passed the quiz; None until every question is answered or skipped.

    A skipped question counts as wrong, and so does a flagged one: nobody passes by choosing the questions.
    """
    own = Assignment.objects.filter(rater=rater, part=Part.VOTE)
    ended = own.filter(task=OuterRef("pk"), state__in=(AssignmentState.JUDGED, AssignmentState.SKIPPED))
    questions = quiz_of(rater)
    if questions.filter(~Exists(ended)).exists():
        return None
    right = results_of(rater, Purpose.QUIZ)
    asked = len(right) + own.filter(task__in=questions, state=AssignmentState.SKIPPED).count()
    return sum(right) / asked >= rater.study.quiz_minimum if asked else None


@transaction.atomic
def reinstate(*, rater: Membership) -> None:
    """A manager lets a rater go on, who was warned, paused, excluded or failed the quiz."""
    rater = Membership.objects.select_for_update(no_key=True, of=("self",)).get(pk=rater.pk)
    if rater.status == RaterStatus.EXCLUDED:
        retake_slots(rater)
    Membership.objects.filter(pk=rater.pk, quiz_passed=False).update(quiz_passed=True)
    Membership.objects.filter(pk=rater.pk).update(status=RaterStatus.GOOD, reinstated_at=timezone.now())
