"""Send tasks to the workers by name. Celery is imported with the first task: most pages queue nothing."""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string


def send_task(name: str, *arguments: Any) -> None:
    """Put a message for the task into its queue. Raises the broker client's errors when the broker is away."""
    import_string(settings.TASK_QUEUE_APP).send_task(name, arguments)
