"""The Celery app. Its default broker is PGMQ in Palate's own PostgreSQL; CELERY_BROKER_URL changes it.

Only the modules `tasks` import it, and those who send a task import them when they do: most commands never need it.
"""

import os
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "palate.settings")

app = Celery("palate")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["training", "annotate.webhooks", "annotate.privacy"])


def _broker() -> dict[str, Any]:
    """Where the messages go. Called when Celery first needs its configuration, so that a page or a
    management command that sends nothing opens no connection."""
    if url := os.environ.get("CELERY_BROKER_URL"):
        return {"broker_url": url}
    return {
        "broker_url": "pgmq://",
        "broker_transport_options": {
            "conn_string": _conninfo(),
            "init_extension": False,
            "use_notify": True,
            "pool_size": 4,
        },
    }


def _conninfo() -> str:
    """libpq's form of the default database: the transport does not parse URLs with a socket as their host."""
    from django.db import connection
    from psycopg.conninfo import make_conninfo

    params = connection.get_connection_params()
    keys = ("host", "port", "dbname", "user", "password")
    # PGMQ's client insists on a password; a unix socket with trust ignores it.
    return make_conninfo(**{"password": "x", **{k: params[k] for k in keys if params.get(k)}})


app.add_defaults(_broker)
