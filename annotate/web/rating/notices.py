"""What a rater is told after an answer."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotate.models.choices import RaterStatus
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.selection import JudgementSelection


def notices(judgement: Judgement, *, before: Membership) -> list[str]:
    """Sentences about an answer that was just stored; `before` is the rater as it was before it."""
    now = judgement.rater
    messages = []
    if now.status != before.status and now.status == RaterStatus.WARNED:
        messages.append(_("Several of your last answers differ from known ones. Please read the instructions again."))
    messages += quiz_notices(before, now)
    if before.study.show_agreement and (others := _others(judgement)):
        same, n = others
        messages.append(
            ngettext("%(same)d of %(n)d other rater said the same.", "%(same)d of %(n)d other raters said the same.", n)
            % {"same": same, "n": n}
        )
    return messages


def quiz_notices(before: Membership, now: Membership) -> list[str]:
    """Return what to say when the rater has just passed the quiz; who failed it reads so on the next page."""
    if before.quiz_passed is None and now.quiz_passed:
        return [_("You have passed the quiz. Thank you; now it counts.")]
    return []


def _others(judgement: Judgement) -> tuple[int, int] | None:
    """How many other raters of the task put the same response first, and how many there are.

    Checks are no exception: a rater would tell them from other tasks.
    """
    if judgement.ranks is None:
        return None
    rows = Judgement.objects.of_raters(JudgementSelection()).filter(task=judgement.task_id, ranks__isnull=False)
    others = [
        _best(shown, ranks) for shown, ranks in rows.exclude(rater=judgement.rater_id).values_list("shown", "ranks")
    ]
    own = _best(judgement.shown, judgement.ranks)
    return (sum(best == own for best in others), len(others)) if others else None


def _best(shown: list[int], ranks: list[int]) -> frozenset[int]:
    return frozenset(pk for pk, rank in zip(shown, ranks, strict=True) if rank == 1)
