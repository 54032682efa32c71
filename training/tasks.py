"""What the Celery workers do. A message carries only a run's id."""

from celery import shared_task

from training.models import Run
from training.runs.execution import execute_run
from training.runs.queue import EXECUTE, EXECUTE_QUICK, REQUEUE_LOST, requeue_lost_runs, send_waiting_runs


@shared_task(name=EXECUTE)
def execute(run_id: int) -> None:
    execute_run(run=Run.objects.get(pk=run_id))


@shared_task(name=EXECUTE_QUICK)
def execute_quick(run_id: int) -> None:
    """Execute a run of a kind that never waits behind a training: it has a queue and workers of its own."""
    execute(run_id)


@shared_task(name=REQUEUE_LOST)
def requeue_lost() -> int:
    """Queue the runs of dead workers again and send what the broker did not take."""
    return requeue_lost_runs() + send_waiting_runs()
