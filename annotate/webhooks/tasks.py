"""Where Celery looks for this slice's tasks."""

from annotate.webhooks.delivery import deliver

__all__ = ["deliver"]
