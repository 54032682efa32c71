"""What the Celery workers do. A message carries only a run's id."""

from palate.celery import app
from training import operations
from training.models import Run


@app.task
def execute(run_id: int) -> None:
    operations.execute_run(run=Run.objects.get(pk=run_id))


@app.task
def execute_quick(run_id: int) -> None:
    """Execute a run of a kind that never waits behind a training: a queue and workers of its own take it."""
    execute(run_id)


@app.task
def requeue_lost_runs() -> int:
    """Queue runs of dead workers again and send what the broker did not take."""
    return operations.requeue_lost_runs() + operations.send_waiting_runs()
