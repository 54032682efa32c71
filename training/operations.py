"""Starting, executing, cancelling and rescuing runs."""

from collections.abc import Mapping
from functools import partial
from itertools import takewhile
from typing import Any, TextIO

import structlog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from annotate.audit.models import Action
from annotate.audit.operations import Actor, record
from annotate.errors import PalateError
from annotate.studies.models import Study
from annotate.webhooks.models import Event
from annotate.webhooks.operations import announce
from training import model_versions
from training.engine.progress import Cancelled
from training.jobs.options import parse, refuse_commands_only
from training.jobs.registry import JOBS
from training.models import Run, RunKind, RunState
from training.reporting import RunReporter, StaleAttempt, forget_checkpoints, has_checkpoint
from training.trouble import WORDS, told

logger = structlog.get_logger("palate.runs")

MAX_ATTEMPTS = 3
# Uploads, and jobs that take seconds or minutes: they have a queue of their own.
QUICK = (
    *(RunKind.IMPORT_PROMPTS, RunKind.IMPORT_JUDGEMENTS, RunKind.IMPORT_PREFERENCES),
    *(RunKind.SIMULATE, RunKind.NEXT_TASKS),
)
IMPORTS = dict.fromkeys((kind for kind in RunKind.values if kind.startswith("import_")), Action.IMPORTED)


def create_run(
    *,
    kind: str,
    study: Study | None,
    values: Mapping[str, Any],
    created_by: User | None = None,
    in_worker: bool = False,
) -> Run:
    """Check the options of a job and store the run. Raises PalateError before anything is written or loaded."""
    job = JOBS[kind]
    options: Any = parse(job.options, values)
    job.check(study, options)
    run = Run.objects.create(
        kind=kind, study=study, config=dict(values), created_by=created_by, in_worker=in_worker,
        language=translation.get_language() or "",
    )  # fmt: skip
    if study is not None:
        action = IMPORTS.get(kind, Action.TRAINED)
        record(study=study, user=created_by, action=action, subject=str(run), kind=kind)
    return run


def _begun(kind: str, study: Study | None, values: Mapping[str, Any]) -> Run | None:
    """The run of the very same command that has left a checkpoint and not ended."""
    same = Run.objects.filter(kind=kind, study=study, config=dict(values), in_worker=False)
    return next(filter(has_checkpoint, same.filter(state__in=[RunState.QUEUED, RunState.RUNNING])), None)


def killed_run(*, kind: str, study: Study | None, values: Mapping[str, Any]) -> Run | None:
    """The run of the very same command that was killed after a checkpoint, if there is one, queued to go on from it.

    Raises PalateError when it was heard of a moment ago: it may be alive.
    """
    run = _begun(kind, study, values)
    if run is None:
        return None
    if not Run.objects.silent().filter(pk=run.pk).update(state=RunState.QUEUED):
        raise PalateError(
            f"{run} does the same and was heard of a moment ago; if it was killed, this command goes on from its "
            f"checkpoint once it has been silent for {settings.RUN_LOST_AFTER_SECONDS} s"
        )
    run.refresh_from_db()
    return run


def queue_run(**kwargs: Any) -> Run:
    """Like create_run for pages and the API: hands the run to a worker once the transaction is committed, and refuses
    options that only a command on this machine may set."""
    refuse_commands_only(JOBS[kwargs["kind"]].options, kwargs["values"])
    with transaction.atomic():
        run = create_run(**kwargs, in_worker=True)
        transaction.on_commit(partial(_send, run))
    return run


def _send(run: Run) -> bool:
    """Put a message for the run into its queue and return whether the broker took it.

    The row is the outbox: when the broker is away, whoever queued the run goes on, and send_waiting_runs tries again.
    """
    from training.tasks import execute, execute_quick

    task = execute_quick if run.kind in QUICK else execute
    try:
        task.delay(run.pk)
    except Exception:  # Each broker's client has errors of its own.
        logger.exception("broker unavailable", run=run.pk)
        return False
    Run.objects.filter(pk=run.pk).update(enqueued_at=timezone.now())
    return True


def send_waiting_runs() -> int:
    """Send the runs whose message the broker did not take or may have lost; return how many it took.

    A second message for a run is harmless: only a queued run is claimed.
    """
    return sum(1 for _sent in takewhile(_send, Run.objects.unsent().order_by("pk")))


def resend_run(*, run: Run, by: Actor = None) -> None:
    """Send a queued run's message again. Raises PalateError when no worker waits for it or the broker is away."""
    run.refresh_from_db()
    if run.state != RunState.QUEUED or not run.in_worker:
        raise PalateError(_("Only a run that waits for a worker can be sent to the queue again."))
    record(study=run.study, user=by, action=Action.CHANGED, subject=f"{run} sent to the queue again")
    if not _send(run):
        raise PalateError(_("The queue is unavailable. The run starts by itself once the queue is back."))


def execute_run(*, run: Run, terminal: TextIO | None = None, reraise: bool = False) -> Run:
    """Do the run's work here and now and store how it ended. A run that is not queued is left alone.

    Each claim has a number, `attempts`. A worker that was taken for dead, whose run another has claimed since, finds
    its number outdated at its next write, stops and changes nothing.
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
        ended = _end_attempt(run, RunState.CANCELLED)
        if reraise:
            raise
    except Exception as error:
        ended = _end_attempt(run, RunState.FAILED, error=told(error))
        if reraise:
            raise
    else:
        ended = _end_attempt(run, RunState.DONE, result=result)
    return run if ended else _overtaken(run, reraise)


def _overtaken(run: Run, reraise: bool) -> Run:
    """The run as others have left it; a command says so."""
    logger.warning("stale attempt", run=run.pk, attempt=run.attempts)
    if reraise:
        raise PalateError(f"{run} was taken over or ended elsewhere in the meantime; this attempt changed nothing")
    run.refresh_from_db()
    return run


def assist_run(*, kind: str, study: Study | None, values: Mapping[str, Any]) -> None:
    """Do the part of a run that a second or further process of a launcher has; the first one has the Run."""
    job = JOBS[kind]
    if job.assist is None:
        raise PalateError(f"{kind} is done by one process; start it without a launcher")
    job.assist(study, parse(job.options, values), _begun(kind, study, values))


@transaction.atomic
def _end_attempt(run: Run, state: RunState, **outcome: Any) -> bool:
    """End the run if this attempt of it is still the one at work; returns whether it is."""
    if not Run.objects.attempt_of(run).select_for_update(no_key=True).exists():
        return False
    _end(run, state, **outcome)
    return True


def _end(run: Run, state: RunState, *, error: str = "", result: Mapping[str, Any] | None = None) -> None:
    run.state, run.error, run.result, run.ended_at = state, error, dict(result or {}), timezone.now()
    run.save(update_fields=["state", "error", "result", "ended_at"])
    forget_checkpoints(run)
    if run.study_id is not None:
        announce(study_id=run.study_id, event=Event.RUN, run=run.pk, kind=run.kind, state=run.state)


@transaction.atomic
def cancel_run(*, run: Run, by: Actor = None) -> None:
    """Ask a run to stop: a queued one, or what a killed command left, ends at once, a running one at its next step."""
    locked = Run.objects.select_for_update(of=("self",)).select_related("study").get(pk=run.pk)
    if not locked.ended:
        record(study=locked.study, user=by, action=Action.CHANGED, subject=f"{locked} cancelled")
    if locked.state == RunState.QUEUED or Run.objects.unheard().filter(pk=run.pk).exists():
        _end(locked, RunState.CANCELLED)
    elif locked.state == RunState.RUNNING:
        Run.objects.filter(pk=run.pk).update(cancel_requested=True)


def requeue_lost_runs() -> int:
    """Queue again the runs whose worker died; after MAX_ATTEMPTS they fail. Returns how many were lost."""
    with transaction.atomic():
        lost = list(Run.objects.lost().select_for_update(skip_locked=True))
        for run in lost:
            if run.attempts >= MAX_ATTEMPTS:
                model_versions.forget_partial(run)
                _end(run, RunState.FAILED, error=WORDS["died"])
                continue
            run.state, run.enqueued_at = RunState.QUEUED, None
            run.save(update_fields=["state", "enqueued_at"])
            transaction.on_commit(partial(_send, run))
    return len(lost)
