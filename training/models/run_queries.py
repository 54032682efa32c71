"""Queries on runs."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from training.models.choices import RunState


class RunQuerySet(models.QuerySet[Any]):
    def stale(self) -> "RunQuerySet":
        """Return running runs without a heartbeat for RUN_LOST_AFTER_SECONDS."""
        limit = timezone.now() - timedelta(seconds=settings.RUN_LOST_AFTER_SECONDS)
        return self.filter(state=RunState.RUNNING, heartbeat_at__lt=limit)

    def attempt_of(self, run: Any) -> "RunQuerySet":
        """Return the run while this attempt of it is the active one: neither requeued, taken over nor ended.

        All writes of an attempt use this query, so that only one of two workers can write.
        """
        return self.filter(pk=run.pk, attempts=run.attempts, state=RunState.RUNNING)

    def lost(self) -> "RunQuerySet":
        """Return runs whose worker has died."""
        return self.stale().filter(in_worker=True)

    def unsent(self) -> "RunQuerySet":
        """Return queued runs whose message the broker did not accept, or may have lost."""
        stale = timezone.now() - timedelta(seconds=settings.RUN_RESEND_SECONDS)
        waiting = self.filter(state=RunState.QUEUED, in_worker=True)
        return waiting.filter(models.Q(enqueued_at=None) | models.Q(enqueued_at__lt=stale))

    def uploads_needed(self) -> set[Path]:
        """Return the folders of the uploads that unfinished imports need."""
        waiting = self.filter(kind__startswith="import_", state__in=[RunState.QUEUED, RunState.RUNNING])
        values = (value for config in waiting.values_list("config", flat=True) for value in config.values())
        return {Path(value).parent for value in values if isinstance(value, str) and value.startswith("/")}

    def stale_cli(self) -> "RunQuerySet":
        """Return stale runs of commands, which were probably killed and which no worker will resume."""
        return self.stale().filter(in_worker=False)
