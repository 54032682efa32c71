"""Reads of runs, as words on the queryset."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from training.models.choices import RunState


class RunQuerySet(models.QuerySet[Any]):
    def stale(self) -> "RunQuerySet":
        """Running ones that have not been heard of for RUN_LOST_AFTER_SECONDS."""
        limit = timezone.now() - timedelta(seconds=settings.RUN_LOST_AFTER_SECONDS)
        return self.filter(state=RunState.RUNNING, heartbeat_at__lt=limit)

    def attempt_of(self, run: Any) -> "RunQuerySet":
        """The run as long as this attempt of it is the one at work: neither queued again, taken over nor ended.

        Whatever an attempt writes goes through here, so that of two workers one alone is believed.
        """
        return self.filter(pk=run.pk, attempts=run.attempts, state=RunState.RUNNING)

    def lost(self) -> "RunQuerySet":
        """Runs whose worker has died."""
        return self.stale().filter(in_worker=True)

    def unsent(self) -> "RunQuerySet":
        """Queued runs for a worker whose message the broker did not take, or may have lost since."""
        stale = timezone.now() - timedelta(seconds=settings.RUN_RESEND_SECONDS)
        waiting = self.filter(state=RunState.QUEUED, in_worker=True)
        return waiting.filter(models.Q(enqueued_at=None) | models.Q(enqueued_at__lt=stale))

    def uploads_needed(self) -> set[Path]:
        """Folders of the uploads that imports which have not ended will read."""
        waiting = self.filter(kind__startswith="import_", state__in=[RunState.QUEUED, RunState.RUNNING])
        values = (value for config in waiting.values_list("config", flat=True) for value in config.values())
        return {Path(value).parent for value in values if isinstance(value, str) and value.startswith("/")}

    def stale_cli(self) -> "RunQuerySet":
        """Runs of commands that were killed, it seems: no worker will take them up."""
        return self.stale().filter(in_worker=False)
