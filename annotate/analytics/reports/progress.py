"""How far a study has come, and how many judgements each day brought."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.db.models import Count, F, Sum
from django.db.models.functions import Greatest, TruncDate
from django.utils import timezone

from annotate.models.choices import Kind, Part, Purpose
from annotate.models.judgements import Judgement
from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from annotate.models.tasks import Task


@dataclass(frozen=True)
class StudyProgress:
    """prompts, responses, tasks; judgements made and wanted, whoever makes them; of them simulated and imported."""

    prompts: int
    responses: int
    tasks: int
    judgements: int
    needed: int
    simulated: int
    imported: int

    @property
    def percent(self) -> int:
        return min(100, round(100 * self.judgements / self.needed)) if self.needed else 0


def progress_of_study(study: Study) -> StudyProgress:
    live = Judgement.objects.live().without_machines().of_study(study)
    live = live.filter(part=Part.VOTE, task__purpose=Purpose.COLLECT)
    by_kind = dict(live.order_by().values_list("rater__kind").annotate(n=Count("pk")))
    judgements = sum(by_kind.values())
    # What is still open, and what is done: tasks of imported judgements may hold more raters than they asked for.
    still = (
        Task.objects.with_free_slot()
        .filter(study=study)
        .aggregate(n=Sum(Greatest(F("replication") - F("slots_taken"), 0)))["n"]
    )
    leased = study.tasks.filter(assignments__state="leased").count()
    return StudyProgress(
        prompts=study.prompts.count(),
        responses=study.prompts.aggregate(n=Count("responses"))["n"],
        tasks=study.tasks.count(),
        judgements=judgements,
        needed=judgements + (still or 0) + leased,
        simulated=by_kind.get(Kind.SIMULATED, 0),
        imported=by_kind.get(Kind.IMPORTED, 0),
    )


@dataclass(frozen=True)
class Counts:
    """How many judgements a selection has, and how many raters made them."""

    judgements: int
    raters: int


def counts_of(study: Study, selection: JudgementSelection) -> Counts:
    chosen = Judgement.objects.of_study(study).selected(selection).order_by()
    return Counts(**chosen.aggregate(judgements=Count("pk"), raters=Count("rater", distinct=True)))


@dataclass(frozen=True)
class Day:
    day: date
    judgements: int


def judgements_by_day(study: Study, selection: JudgementSelection, days: int = 30) -> list[Day]:
    """The last `days` days, those without judgements included."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    counted = dict(
        Judgement.objects.of_study(study)
        .selected(selection)
        .filter(made_at__date__gte=first)
        .order_by()
        .annotate(day=TruncDate("made_at"))
        .values_list("day")
        .annotate(n=Count("pk"))
    )
    return [Day(day, counted.get(day, 0)) for day in (first + timedelta(days=n) for n in range(days))]
