"""pg_dump and pg_restore of the version that fits: a client older than its server refuses it, a newer one may write
settings that the server does not know."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from django.db import connection

from core.embedded_postgres.server import programs
from core.errors import PalateError

# Where distributions put the programs of each version.
VERSIONED = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin")


def run_program(name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the default database. Raises PalateError when none fits or it fails."""
    params = connection.get_connection_params()
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "sslmode": "PGSSLMODE"}
    environment = {variable: str(params[key]) for key, variable in names.items() if params.get(key)}
    ended = subprocess.run(
        [str(fitting_program(name)), *arguments],
        env={**os.environ, **environment, "PGDATABASE": str(params["dbname"])},
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        raise PalateError(f"{name} failed: {ended.stderr.strip()[-500:]}")


def fitting_program(name: str) -> Path:
    """Return the program of the server's major version, or else of the nearest newer one."""
    if connection.settings_dict["ENGINE"] == "core.embedded_postgres":
        return Path(programs(Path(connection.settings_dict["DATA_DIR"]))) / name
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        server = int(cursor.fetchone()[0]) // 10_000
    versions = {major: path for path in _candidates(name) if (major := _major(path)) is not None}
    if fitting := [major for major in versions if major >= server]:
        return versions[min(fitting)]
    found = ", ".join(map(str, sorted(versions))) or "none"
    raise PalateError(
        f"{name} {server} or newer is needed for a server of version {server} (found: {found}); install "
        f"postgresql-client-{server} or put its folder into PATH"
    )


def _candidates(name: str) -> Iterator[Path]:
    """All programs of this name; the first in PATH last, so that of one version it is the one that is taken."""
    for pattern in VERSIONED:
        yield from Path("/").glob(f"{pattern[1:]}/{name}")
    if path := shutil.which(name):
        yield Path(path)


def _major(path: Path) -> int | None:
    """The major version that a program states; None for one that does not run."""
    try:
        ended = subprocess.run([str(path), "--version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"\) (\d+)", ended.stdout)
    return int(match[1]) if match and ended.returncode == 0 else None
