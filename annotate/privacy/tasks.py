from celery import shared_task

from annotate.privacy import retention


@shared_task(name="privacy.apply_retention")
def apply_retention() -> dict[str, int]:
    return retention.apply_retention()
