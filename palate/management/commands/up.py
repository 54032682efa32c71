"""What `make run` does: database, demo, web server and workers; Ctrl-C stops all of it."""

import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.utils import translation
from django.utils.translation import gettext as _
from psycopg import OperationalError

from core.embedded_postgres.server import is_running, revive
from core.errors import PalateError
from palate import terminal
from palate.old_database import check_release
from palate.supervisor import Supervisor, sole_holder
from training.management.demo_studies import ACCOUNTS, PASSWORD

# Pages that are under way may end. A worker that is only starting heeds no signal, and is killed soon: whatever
# it had begun is queued again either way.
STOP_SECONDS = {"web": 10, "worker": 3, "quick-worker": 3, "short-worker": 3, "webhook-worker": 3}


class Command(BaseCommand):
    help = "Run Palate on this machine: database, migrations, demo, web server and workers, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="first port to try (default: 8000)")
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
        parser.add_argument("--no-demo", action="store_true", help="start without the demo studies")

    def handle(self, *args: Any, **options: Any) -> None:
        # Both explicitly: a shell that starts this in the background lets it ignore Ctrl-C's signal.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, signal.default_int_handler)
        try:
            with sole_holder(Path(settings.VAR_DIR) / "up.lock"):
                check_release()
                call_command("migrate", verbosity=0, stdout=self.stdout)
                if not options["no_demo"]:
                    call_command("demo", stdout=self.stdout)
                self._serve(options["host"], _free_port(options["host"], options["port"]))
        except PalateError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            with translation.override(terminal.language()):
                self.stdout.write("\n" + _("Stopped."))

    def _serve(self, host: str, port: int) -> None:
        processes = Supervisor(
            _commands(host, port), folder=settings.BASE_DIR, environment=_environment(), log_folder=_log_folder(),
            stop_seconds=STOP_SECONDS,
        )  # fmt: skip
        processes.start()
        try:
            self._say_where(f"http://{host}:{port}/", port)
            processes.watch(also=_revive_database)
        finally:
            with translation.override(terminal.language()):
                self.stdout.write("\n" + _("Stopping …"))
            processes.stop()

    def _say_where(self, address: str, port: int) -> None:
        _wait_until_answering(port)
        names = get_user_model().objects.filter(username__in=ACCOUNTS).values_list("username", flat=True)
        with translation.override(terminal.language()):
            logins = "".join(f"\n  {name} / {PASSWORD}   {_(ACCOUNTS[name])}" for name in sorted(names))
            runs = _("Palate runs at %(address)s") % {"address": self.style.SUCCESS(address)}
            ends = _("Logs: %(folder)s   Stop: Ctrl-C") % {"folder": _log_folder()}
            self.stdout.write(f"\n{runs}{logins}\n{ends}\n")


def _free_port(host: str, first: int) -> int:
    for port in range(first, first + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise CommandError(f"--port {first}: no free port from {first} to {first + 49} on {host}")


def _log_folder() -> Path:
    folder = Path(settings.VAR_DIR) / "log"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _commands(host: str, port: int) -> dict[str, list[str]]:
    celery = [sys.executable, "-m", "celery", "-A", "palate", "worker", "--loglevel=INFO", "--without-gossip"]
    schedule = str(Path(settings.VAR_DIR) / "celerybeat-schedule")
    return {
        "web": [
            *(sys.executable, "-m", "gunicorn", "palate.wsgi", "--config", "python:palate.gunicorn"),
            *("--bind", f"{host}:{port}", "--access-logfile", "-"),
        ],
        # Long runs one at a time; uploads and quick jobs must not wait for a training to end.
        "worker": [*celery, "-Q", "runs", "--concurrency=1", "-n", "runs@%h"],
        "quick-worker": [*celery, "-Q", "quick", "--concurrency=1", "-n", "quick@%h"],
        "short-worker": [*celery, "-Q", "short", "--concurrency=1", "-n", "short@%h", "-B", "-s", schedule],
        "webhook-worker": [*celery, "-Q", "webhooks", "--pool=threads", "--concurrency=4", "-n", "webhooks@%h"],
    }


def _environment() -> dict[str, str]:
    """The children connect to the running server by its address, so that only this process holds it up."""
    params = connection.get_connection_params()
    if not _embedded():
        return dict(os.environ)
    host = params["host"].replace("/", "%2F")
    return {
        **os.environ,
        "DATABASE_URL": f"postgres://{params['user']}@{host}:{params['port']}/{params['dbname']}",
    }


def _wait_until_answering(port: int, seconds: float = 120) -> None:
    """The port is open before the web processes are there; who opened the page then would wait for them."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return
        time.sleep(0.1)


def _revive_database() -> None:
    """Start the embedded PostgreSQL again if it was killed; while its last processes end, the next look tries again."""
    if _embedded():
        folder = Path(settings.DATABASES["default"]["DATA_DIR"])
        if not is_running(folder):
            with suppress(subprocess.SubprocessError, OperationalError):
                revive(folder)


def _embedded() -> bool:
    return settings.DATABASES["default"]["ENGINE"] == "core.embedded_postgres"
