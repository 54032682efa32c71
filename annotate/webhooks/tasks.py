from annotate.webhooks import operations
from palate.celery import app


@app.task
def deliver() -> int:
    return operations.deliver_due()
