"""Send queued runs to the workers. The run's row is the outbox: what the broker did not take is sent again."""

from functools import partial
from itertools import takewhile

import structlog
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from annotate.audit.operations import Actor, record
from annotate.models.audit import Action
from core import task_queue
from core.errors import PalateError
from training.models import Run, RunKind, RunState
from training.registry import model_versions
from training.runs.execution import end_run
from training.runs.run_errors import MESSAGES

logger = structlog.get_logger("palate.runs")

# Names of the tasks (training.tasks).
EXECUTE, EXECUTE_QUICK, REQUEUE_LOST = "runs.execute", "runs.execute_quick", "runs.requeue_lost"
MAX_ATTEMPTS = 3
# Uploads, and jobs that take seconds or minutes: they have a queue of their own.
QUICK = (
    *(RunKind.IMPORT_PROMPTS, RunKind.IMPORT_JUDGEMENTS, RunKind.IMPORT_PREFERENCES),
    *(RunKind.SIMULATE, RunKind.NEXT_TASKS),
)


def send_run(run: Run) -> bool:
    """Put a message for the run into its queue and return whether the broker took it.

    The row is the outbox: when the broker is away, whoever queued the run goes on, and send_waiting_runs tries again.
    """
    try:
        task_queue.send_task(EXECUTE_QUICK if run.kind in QUICK else EXECUTE, run.pk)
    except Exception:  # Each broker's client has errors of its own.
        logger.exception("broker unavailable", run=run.pk)
        return False
    Run.objects.filter(pk=run.pk).update(enqueued_at=timezone.now())
    return True


def send_waiting_runs() -> int:
    """Send the runs whose message the broker did not take or may have lost; return how many it took.

    A second message for a run is harmless: only a queued run is claimed.
    """
    return sum(1 for _sent in takewhile(send_run, Run.objects.unsent().order_by("pk")))


def resend_run(*, run: Run, by: Actor = None) -> None:
    """Send a queued run's message again. Raises PalateError when no worker waits for it or the broker is away."""
    run.refresh_from_db()
    if run.state != RunState.QUEUED or not run.in_worker:
        raise PalateError(_("Only a run that waits for a worker can be sent to the queue again."))
    record(study=run.study, user=by, action=Action.CHANGED, subject=f"{run} sent to the queue again")
    if not send_run(run):
        raise PalateError(_("The queue is unavailable. The run starts by itself once the queue is back."))


def requeue_lost_runs() -> int:
    """Queue again the runs whose worker died; after MAX_ATTEMPTS they fail. Returns how many were lost."""
    with transaction.atomic():
        lost = list(Run.objects.lost().select_for_update(skip_locked=True))
        for run in lost:
            if run.attempts >= MAX_ATTEMPTS:
                model_versions.forget_partial(run)
                end_run(run, RunState.FAILED, error=MESSAGES["died"])
                continue
            run.state, run.enqueued_at = RunState.QUEUED, None
            run.save(update_fields=["state", "enqueued_at"])
            transaction.on_commit(partial(send_run, run))
    return len(lost)
