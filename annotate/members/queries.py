"""Reads of memberships: what belongs to a user, and how far a rater has come."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet
from django.utils import timezone

from annotate.models.choices import MANAGING_ROLES, Role
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.tasks import Assignment, Task

# Counting stops here, so that a rating page costs the same in a study of a million tasks.
MANY = 1000
NEWEST = 20


@dataclass(frozen=True)
class Progress:
    """What a rater has judged and may still judge in a study. `open` stops at MANY + 1."""

    judged: int
    open: int
    today: int = 0
    newest: tuple[float, ...] = ()  # seconds of the newest answers, the newest last

    @property
    def pace(self) -> float | None:
        """Seconds a task: the median of the newest."""
        return median(self.newest) if self.newest else None

    @property
    def shown(self) -> int:
        """The number to show, with a + or "or more" after it when there are many."""
        return min(self.open, MANY)

    @property
    def many_open(self) -> bool:
        return self.open > MANY


def memberships_of(user: Any) -> QuerySet[Membership, Any]:
    """The user's active memberships, with their studies."""
    return Membership.objects.filter(user_id=user.pk, active=True).select_related("study").order_by("study__name", "pk")


def may_make_studies(user: Any) -> bool:
    """Whether the user may make a study, and with it start runs on this machine: whoever owns or manages one, and
    accounts that have the permission, as superusers do. Raters who came by a link may not."""
    return user.has_perm("annotate.add_study") or memberships_of(user).filter(role__in=MANAGING_ROLES).exists()


def rating_memberships_of(user: Any) -> QuerySet[Membership, Any]:
    """Those in which the user may judge: all but an auditor's."""
    return memberships_of(user).exclude(role=Role.AUDITOR)


def progress_of(rater: Membership) -> Progress:
    """A task that the rater holds at the moment counts as open."""
    waiting = _waiting(rater) if rater.study.active and not rater.blocked else 0
    held = rater.assignments.live().count()
    own = rater.judgements.live().asked_for()
    newest = own.filter(seconds__isnull=False).order_by("-id").values_list("seconds", flat=True)[:NEWEST]
    return Progress(
        judged=own.count(),
        open=min(waiting + held, MANY + 1),
        today=own.filter(made_at__date=timezone.localdate()).count(),
        newest=tuple(reversed(newest)),
    )


def progress_of_all(raters: Sequence[Membership]) -> dict[int, Progress]:
    """Membership to what its rater has judged and may still judge, in three queries for any number of studies."""
    ids = [rater.pk for rater in raters]
    own = Judgement.objects.live().asked_for().filter(rater__in=ids).order_by()
    judged = dict(own.values_list("rater").annotate(n=Count("pk")))
    live = Assignment.objects.live().filter(rater__in=ids).order_by()
    held = dict(live.values_list("rater").annotate(n=Count("pk")))
    waiting = _waiting_of_all([rater for rater in raters if rater.study.active and not rater.blocked])
    return {
        pk: Progress(judged=judged.get(pk, 0), open=min(waiting.get(pk, 0) + held.get(pk, 0), MANY + 1)) for pk in ids
    }


def _waiting_of_all(raters: Sequence[Membership]) -> dict[int, int]:
    """Membership to its open tasks, at most MANY + 1: the query of each rater, sent together."""
    if not raters:
        return {}
    counts: list[str] = []
    parameters: list[Any] = []
    for rater in raters:
        sql, own = Task.objects.open_to(rater).in_turn().values("pk")[: MANY + 1].query.sql_with_params()
        counts.append(f"SELECT %s::bigint, count(*) FROM ({sql}) open{rater.pk}")  # noqa: S608
        parameters += [rater.pk, *own]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(counts), parameters)
        return dict(cursor.fetchall())


def _waiting(rater: Membership) -> int:
    """Open tasks that the rater has not had, at most MANY + 1.

    In the order of the index of open tasks: unordered, the planner of a large study may read all of it.
    """
    seen = rater.assignments.count()
    meant = Task.objects.meant_for(rater).with_free_slot().in_turn()
    # Even if all that the rater has had were among these, many would be left: no need to look each of them up.
    if meant[: MANY + 1 + seen].count() > MANY + seen:
        return MANY + 1
    return Task.objects.open_to(rater).in_turn()[: MANY + 1].count()
