from celery import shared_task

from annotate.webhooks import operations


@shared_task
def deliver() -> int:
    return operations.deliver_due()
