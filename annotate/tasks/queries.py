"""Reads of tasks and assignments, as words on the querysets."""

from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef
from django.utils import timezone


class TaskQuerySet(models.QuerySet[Any]):
    def with_free_slot(self) -> "TaskQuerySet":
        return self.filter(slots_taken__lt=F("replication"), withdrawn=False)

    def open_to(self, rater: Any) -> "TaskQuerySet":
        """Tasks of the rater's study that have a free slot and that the rater has not had before.

        A lease that ran out does not count as seen: the rater may get that task again.
        """
        from annotate.tasks.models import Assignment, AssignmentState

        seen = Assignment.objects.filter(task=OuterRef("pk"), rater=rater).exclude(state=AssignmentState.RETURNED)
        return self.filter(~Exists(seen), study_id=rater.study_id).with_free_slot()


class AssignmentQuerySet(models.QuerySet[Any]):
    def leased(self) -> "AssignmentQuerySet":
        from annotate.tasks.models import AssignmentState

        return self.filter(state=AssignmentState.LEASED)

    def live(self) -> "AssignmentQuerySet":
        return self.leased().filter(expires_at__gt=timezone.now())

    def run_out(self) -> "AssignmentQuerySet":
        return self.leased().filter(expires_at__lte=timezone.now())
