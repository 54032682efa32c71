"""A machine judge's verdicts, stored as judgements of a rater of its own kind, outside the tasks' slots for people."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from annotate.models.choices import Kind, Part, Purpose
from annotate.models.judgements import Judgement
from annotate.models.machine_judges import MachineVerdict
from annotate.models.members import Membership
from annotate.models.studies import Study
from annotate.models.tasks import Task


def machine_rater(*, study: Study, name: str) -> Membership:
    """The membership of a machine judge, made when it is new."""
    rater, _made = Membership.objects.get_or_create(study=study, external_id=name[:200], kind=Kind.MACHINE)
    return rater


def unjudged_pairs(*, rater: Membership, limit: int) -> list[Task]:
    """Tasks of two responses that this machine has not judged; those that people have judged first."""
    pairs = Task.objects.filter(study=rater.study, purpose=Purpose.COLLECT, withdrawn=False)
    judged = Judgement.objects.live().filter(rater=rater).values("task")
    pairs = pairs.annotate(size=Count("places")).filter(size=2).exclude(pk__in=judged)
    rows = pairs.select_related("prompt", "study").prefetch_related("places__response")
    return list(rows.order_by("-slots_taken", "id")[:limit])


@transaction.atomic
def store_verdicts(*, rater: Membership, task: Task, shown: Sequence[int], forward: float, backward: float) -> None:
    """Store what a machine says of a pair in both orders: a vote in the order `shown`, and a repeat in the other.

    forward: the chance that shown[0] is better when it is shown first; backward: that shown[1] is better when *it* is
    shown first. A chance of exactly one half is a tie.
    """
    for part, order, first_better in (
        (Part.VOTE, list(shown), forward),
        (Part.REPEAT, list(reversed(shown)), backward),
    ):
        ranks = [1, 1] if first_better == 0.5 else [1, 2] if first_better > 0.5 else [2, 1]
        judgement = Judgement.objects.create(
            task=task,
            rater=rater,
            part=part,
            instructions_version=task.study.instructions_version,
            shown=order,
            ranks=ranks,
            unacceptable=[False, False],
            made_at=timezone.now(),
        )
        MachineVerdict.objects.create(judgement=judgement, first_better=first_better)
