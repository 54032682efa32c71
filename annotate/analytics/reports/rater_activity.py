"""Who is at work in a study, and how it goes: the last 24 hours."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Aggregate, Count, F, FloatField, Max, Q, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone

from annotate.analytics.agreement.self_consistency import repeated
from annotate.collection.feedback import SKIP_REASONS
from annotate.collection.gold import graded
from annotate.models.choices import AssignmentState, Kind, Purpose
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.review import Flag
from annotate.models.selection import JudgementSelection, Who
from annotate.models.studies import Study
from annotate.models.tasks import Assignment

# Somebody who has done nothing for so long is not rating now.
AT_WORK = timedelta(minutes=5)
HOURS = 24


class Median(Aggregate):
    """The median of a column, by PostgreSQL: a page that renews itself every few seconds reads no rows for it."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


@dataclass
class RaterAtWork:
    """One rater's last 24 hours. gold and again: how often right, and of how many."""

    member: Membership
    last: datetime
    now: bool
    day: int = 0
    hour: int = 0
    pace: float | None = None  # median seconds a task
    skips: int = 0
    flags: int = 0
    gold: list[bool] = field(default_factory=list)
    again: list[float] = field(default_factory=list)

    @property
    def gold_share(self) -> float | None:
        return sum(self.gold) / len(self.gold) if self.gold else None

    @property
    def again_share(self) -> float | None:
        return sum(self.again) / len(self.again) if self.again else None


@dataclass(frozen=True)
class Work:
    """hours: judgements in each of the last 24 hours, the current one last. skips: reason to number."""

    raters: list[RaterAtWork]
    hours: list[tuple[datetime, int]]
    last_hour: int
    at_work: int
    skips: list[tuple[str, int]]
    open_flags: int


def work_of(study: Study) -> Work:
    """The people's work; imported and simulated raters are left out."""
    now = timezone.now()
    since = now - timedelta(hours=HOURS)
    made = Judgement.objects.live().asked_for().filter(rater__study=study, rater__kind=Kind.PERSON, made_at__gte=since)
    skipped = Assignment.objects.filter(rater__study=study, state=AssignmentState.SKIPPED, ended_at__gte=since)
    skipped = skipped.exclude(skip_reason__startswith="flag: ")
    raters = _raters(study, made, since, now)
    for rater, n in skipped.order_by().values_list("rater").annotate(n=Count("pk")):
        if rater in raters:
            raters[rater].skips = n
    for rater, n in (
        Flag.objects.filter(task__study=study, made_at__gte=since)
        .order_by()
        .values_list("rater")
        .annotate(n=Count("pk"))
    ):
        if rater in raters:
            raters[rater].flags = n
    reasons: Counter[str] = Counter()
    for stored, n in skipped.order_by().values_list("skip_reason").annotate(n=Count("pk")):
        reasons[_reason(stored)] += n
    return Work(
        raters=sorted(raters.values(), key=lambda rater: (not rater.now, -rater.day, rater.member.pk)),
        hours=_by_hour(made, now),
        last_hour=made.filter(made_at__gte=now - timedelta(hours=1)).count(),
        at_work=sum(rater.now for rater in raters.values()),
        skips=reasons.most_common(),
        open_flags=Flag.objects.filter(task__study=study, resolved_at=None).values("task").distinct().count(),
    )


def _reason(stored: str) -> str:
    """The common reason in words; a rater's own words stand for themselves."""
    return str(SKIP_REASONS.get(stored.split(":")[0], stored))


def _raters(study: Study, made: QuerySet[Judgement], since: datetime, now: datetime) -> dict[int, RaterAtWork]:
    last = _last_seen(study, made, since)
    members = Membership.objects.filter(pk__in=last).select_related("user").in_bulk()
    raters = {pk: RaterAtWork(members[pk], when, now=when > now - AT_WORK) for pk, when in last.items()}
    in_hour = Count("pk", filter=Q(made_at__gte=now - timedelta(hours=1)))
    for pk, day, hour in made.order_by().values_list("rater").annotate(day=Count("pk"), hour=in_hour):
        raters[pk].day, raters[pk].hour = day, hour
    for pk, pace in made.filter(seconds__isnull=False).order_by().values_list("rater").annotate(pace=Median("seconds")):
        raters[pk].pace = pace
    checks = Judgement.objects.first_answers(Purpose.GOLD).filter(rater__in=members, made_at__gte=since)
    for pk, right in graded(checks):
        raters[pk].gold.append(right)
    for _prompt, pk, compared in repeated(study, JudgementSelection(Who.PEOPLE), since=since):
        if pk in raters:
            raters[pk].again += compared
    return raters


def _last_seen(study: Study, made: QuerySet[Judgement], since: datetime) -> dict[int, datetime]:
    """When each rater last judged, or last touched the task on the screen: its lease starts anew with that."""
    lease = timedelta(minutes=study.lease_minutes)
    held = Assignment.objects.live().filter(rater__study=study, rater__kind=Kind.PERSON)
    touched = held.annotate(at=F("expires_at") - lease).filter(at__gte=since).values_list("rater", "at")
    last: dict[int, datetime] = {}
    newest = made.order_by().values_list("rater").annotate(at=Max("made_at"))
    for rater, at in (*newest, *touched):
        last[rater] = max(at, last.get(rater, at))
    return last


def _by_hour(made: QuerySet[Judgement], now: datetime) -> list[tuple[datetime, int]]:
    counted = dict(made.order_by().annotate(at=TruncHour("made_at")).values_list("at").annotate(n=Count("pk")))
    this = timezone.localtime(now).replace(minute=0, second=0, microsecond=0)
    hours = [this - timedelta(hours=n) for n in range(HOURS - 1, -1, -1)]
    return [(hour, counted.get(hour, 0)) for hour in hours]
