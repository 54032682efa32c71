"""The module in which Celery discovers this app's tasks."""

from training.runs.execution import execute, execute_quick
from training.runs.queue import requeue_lost

__all__ = ["execute", "execute_quick", "requeue_lost"]
