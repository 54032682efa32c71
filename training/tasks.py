"""What the Celery workers do. A message carries only a run's id."""

from celery import shared_task

from training import operations
from training.models import Run


@shared_task
def execute(run_id: int) -> None:
    operations.execute_run(run=Run.objects.get(pk=run_id))


@shared_task
def requeue_lost_runs() -> int:
    return operations.requeue_lost_runs()
