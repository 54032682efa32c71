"""Reads of tasks and assignments, as words on the querysets."""

from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from annotate.models.choices import AssignmentState, Part, Purpose


class TaskQuerySet(models.QuerySet[Any]):
    def with_free_slot(self) -> "TaskQuerySet":
        """Tasks that collect votes and lack some; those with a known answer never fill up and stand apart."""
        return self.filter(slots_taken__lt=F("replication"), withdrawn=False, purpose=Purpose.COLLECT)

    def meant_for(self, rater: Any) -> "TaskQuerySet":
        """Tasks of the rater's study that the rater is in the audience of."""
        # "For everybody" is said by itself: the planner knows how common it is, but takes tasks within an audience
        # for so rare that it reads a whole study to count a thousand of them.
        may_have = Q(audience=[])
        if rater.tags:
            may_have |= Q(audience__contained_by=rater.tags)
        return self.filter(may_have, study_id=rater.study_id)

    def unseen_by(self, rater: Any) -> "TaskQuerySet":
        """Tasks meant for the rater that the rater has not had before.

        A lease that ran out does not count as seen: the rater may get that task again.
        """
        seen = rater.assignments.filter(task=OuterRef("pk")).exclude(state=AssignmentState.RETURNED)
        return self.meant_for(rater).filter(~Exists(seen))

    def open_to(self, rater: Any) -> "TaskQuerySet":
        return self.unseen_by(rater).with_free_slot()

    def in_turn(self) -> "TaskQuerySet":
        """The order in which tasks are handed out, which the index task_open holds."""
        return self.order_by(F("priority").desc(), "id")

    def known(self, purpose: str) -> "TaskQuerySet":
        """Tasks with a known answer, for this purpose."""
        return self.filter(purpose=purpose, withdrawn=False)


class AssignmentQuerySet(models.QuerySet[Any]):
    def leased(self) -> "AssignmentQuerySet":
        return self.filter(state=AssignmentState.LEASED)

    def repeatable(self, rater: Any, *, after: int) -> "AssignmentQuerySet":
        """The rater's votes that may be asked for again: compared, not repeated yet, `after` answers ago or more."""
        # One that was given back, as a page does with what it fetched ahead, may come again.
        again = rater.assignments.filter(task=OuterRef("task"), part=Part.REPEAT)
        again = again.exclude(state=AssignmentState.RETURNED)
        judged = self.filter(rater=rater, state=AssignmentState.JUDGED, part=Part.VOTE)
        newest = judged.order_by("-ended_at").values("pk")[:after]
        return judged.filter(
            ~Exists(again), shown__len__gt=1, task__purpose=Purpose.COLLECT, task__withdrawn=False
        ).exclude(pk__in=newest)

    def live(self) -> "AssignmentQuerySet":
        return self.leased().filter(expires_at__gt=timezone.now())

    def run_out(self) -> "AssignmentQuerySet":
        return self.leased().filter(expires_at__lte=timezone.now())
