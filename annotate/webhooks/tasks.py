from celery import shared_task

from annotate.webhooks.delivery import deliver_due
from annotate.webhooks.operations import DELIVER


@shared_task(name=DELIVER)
def deliver() -> int:
    """Send the deliveries that are due; return how many."""
    return deliver_due()
