"""Django's PostgreSQL backend, except that its server starts with the first connection, and again if it was killed."""

import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from core.embedded_postgres.server import revive, socket_of

# A server that was killed needs a moment: its last children end, then it recovers from its log.
SECONDS_TO_RECOVER = 20


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        params["host"] = socket_of(Path(self.settings_dict["DATA_DIR"]))
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        until = time.monotonic() + SECONDS_TO_RECOVER
        while True:
            try:
                return super().get_new_connection(conn_params)
            except psycopg.OperationalError as error:
                # A database that does not exist or a full server are no reason to wait.
                if time.monotonic() > until or not _is_down(error):
                    raise
            time.sleep(0.2)
            try:
                conn_params["host"] = revive(Path(self.settings_dict["DATA_DIR"]))
            except (subprocess.CalledProcessError, psycopg.OperationalError):
                continue


def _is_down(error: psycopg.OperationalError) -> bool:
    """Whether nobody listens on the socket, or the server is just starting or stopping."""
    words = str(error)
    return any(
        sign in words for sign in ("No such file", "Connection refused", "starting up", "recovery", "shutting down")
    )
