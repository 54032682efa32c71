from annotate.privacy import retention
from palate.celery import app


@app.task
def apply_retention() -> dict[str, int]:
    return retention.apply_retention()
