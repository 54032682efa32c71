"""Execute runs in a worker or a command, and store their outcome."""

from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone, translation

from annotate.models.webhooks import Event
from annotate.webhooks.operations import announce
from core.errors import PalateError
from training.engine.runtime.progress import Cancelled
from training.errors import StaleAttempt
from training.models import Run, RunState
from training.runs.job import JOBS
from training.runs.options import parse
from training.runs.reporting import RunReporter, forget_checkpoints
from training.runs.run_errors import format_error

logger = structlog.get_logger("palate.runs")


def execute_run(*, run: Run, terminal: TextIO | None = None, reraise: bool = False) -> Run:
    """Execute the run in this process and store its outcome. A run that is not queued is ignored.

    Each claim has a number, `attempts`. A worker that was considered dead, and whose run another worker has claimed,
    finds its number outdated at its next write, stops and changes nothing.
    """
    claimed = Run.objects.filter(pk=run.pk, state=RunState.QUEUED).update(
        state=RunState.RUNNING,
        started_at=timezone.now(),
        heartbeat_at=timezone.now(),
        attempts=F("attempts") + 1,
    )
    run.refresh_from_db()
    if not claimed:
        return run
    try:
        with (
            structlog.contextvars.bound_contextvars(run_id=run.pk),
            translation.override(run.language or settings.LANGUAGE_CODE),
            RunReporter(run, terminal=terminal) as reporter,
        ):
            job = JOBS[run.kind]
            options: Any = parse(job.options, run.config)
            job.check(run.study, options)
            if reporter.cancelled():
                raise Cancelled
            result = job.perform(run, options, reporter)
    except StaleAttempt:
        return _overtaken(run, reraise)
    except (Cancelled, KeyboardInterrupt):
        ended = end_attempt(run, RunState.CANCELLED)
        if reraise:
            raise
    except Exception as error:
        ended = end_attempt(run, RunState.FAILED, error=format_error(error))
        if reraise:
            raise
    else:
        ended = end_attempt(run, RunState.DONE, result=result)
    return run if ended else _overtaken(run, reraise)


def _overtaken(run: Run, reraise: bool) -> Run:
    """Return the run in its current state; in a command raise PalateError."""
    logger.warning("stale attempt", run=run.pk, attempt=run.attempts)
    if reraise:
        raise PalateError(f"{run} was taken over or ended elsewhere in the meantime; this attempt changed nothing")
    run.refresh_from_db()
    return run


@transaction.atomic
def end_attempt(run: Run, state: RunState, **outcome: Any) -> bool:
    """End the run if this attempt is still the active one; return whether it is."""
    if not Run.objects.attempt_of(run).select_for_update(no_key=True).exists():
        return False
    end_run(run, state, **outcome)
    return True


def end_run(run: Run, state: RunState, *, error: str = "", result: Mapping[str, Any] | None = None) -> None:
    run.state, run.error, run.result, run.ended_at = state, error, dict(result or {}), timezone.now()
    run.save(update_fields=["state", "error", "result", "ended_at"])
    forget_checkpoints(run)
    if run.study_id is not None:
        announce(study_id=run.study_id, event=Event.RUN, run=run.pk, kind=run.kind, state=run.state)
