"""Django's PostgreSQL backend, except that its server starts with the first connection."""

from pathlib import Path
from typing import Any

from django.db.backends.postgresql import base

from palate.embedded.server import socket_of


class DatabaseWrapper(base.DatabaseWrapper):
    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        params["host"] = socket_of(Path(self.settings_dict["DATA_DIR"]))
        return params
