"""Making and correcting judgements. An answer that was acknowledged is committed; a re-sent one changes nothing."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.collection.gold import grade
from annotate.collection.leases import hold
from annotate.collection.permission import check_may_correct, check_takes_part, locked_rater
from annotate.collection.rewrites import drop_rewrites, keep_rewrite
from annotate.models.choices import AssignmentState, Part, Purpose
from annotate.models.judgements import MAX_SECONDS, Confidence, Device, Judgement
from annotate.models.members import Membership
from annotate.models.studies import Criterion, Study
from annotate.models.tasks import Assignment, Task
from annotate.models.webhooks import Event
from annotate.webhooks.operations import announce
from core.errors import PalateError

# What an answer says, apart from how it came about.
ANSWER_FIELDS = ("ranks", "scores", "strength", "unacceptable", "label", "confidence", "comment")
MAX_COMMENT, MAX_REWRITE = 10_000, 100_000


class KeyUsed(PalateError):
    """The key of an answer (`submission`) belongs to an answer to another task."""


@dataclass(frozen=True)
class Answer:
    """What a rater said, in the order in which the responses were shown.

    ranks: one a response, 1 the best, equal ranks are ties; None when the rater only scores.
    scores: criterion key to one score a response. unacceptable: one flag a response, none means all fine.
    label, confidence: of the prompt, where the study has labels; confidence from 1 to 3.
    rewrite: a better version of the best response; see annotate.collection.rewrites.
    submission: the browser's key of this answer, the same whenever it is sent again.
    """

    ranks: Sequence[int] | None = None
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    strength: int | None = None
    unacceptable: Sequence[bool] = ()
    label: str = ""
    confidence: int | None = None
    rewrite: str = ""
    comment: str = ""
    seconds: float | None = None
    device: str = ""
    submission: UUID | None = None


@transaction.atomic
def submit(*, assignment: Assignment, answer: Answer) -> Judgement:
    """Store the rater's answer to the assigned task.

    A second submit of the same assignment (a double click, a form sent again) returns the judgement that
    was made. Raises PalateError when the answer does not fit the task or the rater may not answer any more, LeaseLost
    when the task is full, KeyUsed when its key belongs to another task.
    """
    assignment = hold(assignment=assignment)
    sent = _sent(assignment.rater_id, answer)
    if sent and (sent.task_id, sent.part) != (assignment.task_id, assignment.part):
        raise KeyUsed(_("This answer was sent for another task already."))
    if assignment.state == AssignmentState.JUDGED:
        return sent or Judgement.objects.live().get(
            task=assignment.task_id, rater=assignment.rater_id, part=assignment.part
        )
    if assignment.state == AssignmentState.SKIPPED:
        raise PalateError(_("You have skipped this task."))
    judgement = Judgement.objects.create(
        task=assignment.task,
        rater=assignment.rater,
        part=assignment.part,
        instructions_version=assignment.instructions_version,
        shown=assignment.shown,
        made_at=timezone.now(),
        **_checked(assignment.rater.study, len(assignment.shown), answer),
    )
    assignment.state, assignment.ended_at, assignment.draft = AssignmentState.JUDGED, judgement.made_at, None
    assignment.save(update_fields=["state", "ended_at", "draft"])
    keep_rewrite(judgement, _checked_rewrite(assignment.rater.study, answer))
    if assignment.task.purpose in (Purpose.GOLD, Purpose.QUIZ):
        grade(rater=assignment.rater)
    return _announced(judgement, assignment.task.study_id)


@transaction.atomic
def correct(*, judgement: Judgement, answer: Answer) -> Judgement:
    """Supersede a rater's live judgement by a new one; the old one stays in the history.

    The same correction sent again returns the judgement that it made. An answer to a check can be corrected like any
    other, so that it cannot be told from them; what counts for the check is the first answer. Raises PalateError when
    the judgement has been superseded already, the answer does not fit, or the rater may not correct any more.
    """
    rater = locked_rater(judgement.rater_id)
    old = Judgement.objects.select_for_update(of=("self",)).get(pk=judgement.pk)
    if made := _sent(old.rater_id, answer):
        if made.supersedes_id != old.pk:
            raise KeyUsed(_("This answer was sent for another task already."))
        return made
    check_may_correct(rater)
    if not old.live:
        raise PalateError(_("This judgement has been corrected already."))
    if old.part == Part.REWRITE:
        raise PalateError(_("A better version is changed with the answer that it was given with."))
    task = Task.objects.select_related("study").get(pk=old.task_id)
    Judgement.objects.filter(pk=old.pk).update(live=False)
    drop_rewrites(old)
    judgement = Judgement.objects.create(
        task_id=old.task_id,
        rater_id=old.rater_id,
        part=old.part,
        instructions_version=old.instructions_version,
        shown=old.shown,
        order_known=old.order_known,
        supersedes=old,
        made_at=timezone.now(),
        **_checked(task.study, len(old.shown), answer),
    )
    keep_rewrite(judgement, _checked_rewrite(task.study, answer))
    return _announced(judgement, task.study_id)


def _announced(judgement: Judgement, study: int) -> Judgement:
    """Tell the study's webhooks, with ids only: the texts are for those who may read the study."""
    announce(
        study_id=study,
        event=Event.JUDGEMENT,
        judgement=judgement.pk,
        task=judgement.task_id,
        part=judgement.part,
        supersedes=judgement.supersedes_id,
    )
    return judgement


def _sent(rater: int, answer: Answer) -> Judgement | None:
    """The judgement that this very answer made when it was sent before."""
    if answer.submission is None:
        return None
    return Judgement.objects.filter(rater=rater, submission=answer.submission).first()


@transaction.atomic
def adjudicate(*, task: Task, expert: Membership, shown: Sequence[int], answer: Answer) -> Judgement:
    """Store an expert's word on a task that raters disagree about, marked as such; a second one supersedes the first.

    shown: the task's responses in the order in which the expert saw them. The same answer given again returns the
    judgement that it made. Raises PalateError when the answer does not fit.
    """
    fields = _checked(task.study, len(shown), answer)
    check_takes_part(locked_rater(expert.pk))
    # Two decisions at the same time take turns.
    Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    mine = Judgement.objects.live().filter(task=task, rater=expert, part=Part.ADJUDICATION)
    old = mine.first()
    if old and old.shown == list(shown) and all(getattr(old, name) == fields[name] for name in ANSWER_FIELDS):
        return old
    mine.update(live=False)
    judgement = Judgement.objects.create(
        task=task,
        rater=expert,
        part=Part.ADJUDICATION,
        instructions_version=task.study.instructions_version,
        shown=list(shown),
        supersedes=old,
        made_at=timezone.now(),
        **fields,
    )
    return _announced(judgement, task.study_id)


def _checked(study: Study, k: int, answer: Answer) -> dict[str, object]:
    """The fields of a judgement of k responses, or a PalateError that names what is missing."""
    ranks = _checked_ranks(answer.ranks, k)
    scores = _checked_scores(answer.scores, list(study.criteria.all()), k)
    if ranks is None and not scores:
        raise PalateError(_("Choose an answer first."))
    if k > 1 and ranks is None:
        raise PalateError(_("Say which response is better, or that they are equal."))
    if answer.strength is not None and (k != 2 or answer.strength not in (1, 2, 3)):
        raise PalateError(_("The strength is 1, 2 or 3, and only for two responses."))
    if k > 1 and not study.allow_ties and ranks and len(set(ranks)) < k and not any(answer.unacceptable):
        raise PalateError(_("This study knows no ties: say which is better."))
    unacceptable = [bool(flag) for flag in answer.unacceptable] or [False] * k
    if len(unacceptable) != k:
        raise PalateError(_("There must be one mark “unacceptable” for each response."))
    if len(answer.comment) > MAX_COMMENT:
        raise PalateError(_("The comment may have at most %(n)d characters.") % {"n": MAX_COMMENT})
    if answer.label and answer.label not in study.labels:
        raise PalateError(_("This study has no label “%(label)s”.") % {"label": answer.label})
    if answer.confidence is not None and (not answer.label or answer.confidence not in Confidence.values):
        raise PalateError(_("The confidence is 1, 2 or 3, and only with a label."))
    tied = ranks is not None and len(set(ranks)) == 1
    return {
        "ranks": ranks,
        "scores": scores,
        # A tie has no strength.
        "strength": None if tied else answer.strength,
        "unacceptable": unacceptable,
        "label": answer.label,
        "confidence": answer.confidence,
        # PostgreSQL stores no NUL character.
        "comment": answer.comment.replace("\0", "").strip(),
        "seconds": _checked_seconds(answer.seconds),
        "device": answer.device if answer.device in Device.values else "",
        "submission": answer.submission,
    }


def _checked_rewrite(study: Study, answer: Answer) -> str:
    if len(answer.rewrite) > MAX_REWRITE:
        raise PalateError(_("The better version may have at most %(n)d characters.") % {"n": MAX_REWRITE})
    return answer.rewrite if study.ask_rewrite else ""


def _checked_ranks(ranks: Sequence[int] | None, k: int) -> list[int] | None:
    if ranks is None:
        return None
    if len(ranks) != k:
        message = ngettext(
            "Give every response a place: %(n)d is needed.", "Give every response a place: %(n)d are needed.", k
        )
        raise PalateError(message % {"n": k})
    # Any numbers order the responses; stored is the dense order 1, 2, 3 with equal numbers for ties.
    order = sorted(set(ranks))
    return [order.index(rank) + 1 for rank in ranks]


def _checked_scores(
    scores: Mapping[str, Sequence[float]], criteria: Sequence[Criterion], k: int
) -> dict[str, list[float]]:
    known = {criterion.key: criterion for criterion in criteria}
    if unknown := set(scores) - set(known):
        raise PalateError(_("This study has no criterion “%(key)s”.") % {"key": sorted(unknown)[0]})
    checked = {}
    for key, criterion in known.items():
        values = list(scores.get(key, ()))
        if len(values) != k:
            raise PalateError(_("Score “%(name)s” for every response.") % {"name": criterion.name})
        if not all(math.isfinite(v) and criterion.minimum <= v <= criterion.maximum for v in values):
            raise PalateError(
                _("“%(name)s” goes from %(low)g to %(high)g.")
                % {"name": criterion.name, "low": criterion.minimum, "high": criterion.maximum}
            )
        checked[key] = [float(v) for v in values]
    return checked


def _checked_seconds(seconds: float | None) -> float | None:
    return seconds if seconds is not None and 0 <= seconds <= MAX_SECONDS else None
