"""What benches of the web app share: a Palate of its own in a temporary folder, its web server, and raters."""

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


@contextmanager
def palate_of_its_own(parent: str | None = None, database_url: str = "") -> Iterator[Path]:
    """Django set up on an empty database below a temporary folder, which is removed in the end; or on the one named."""
    with tempfile.TemporaryDirectory(prefix="palate-bench-", dir=parent) as folder:
        os.environ.update(PALATE_VAR=folder, DJANGO_SETTINGS_MODULE="palate.settings", ALLOWED_HOSTS="127.0.0.1")
        os.environ["DATABASE_URL"] = database_url
        os.chmod(folder, 0o755)  # PostgreSQL runs as a user of its own
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield Path(folder)


@contextmanager
def web_server(folder: Path, port: int, *, workers: int = 2, threads: int = 4) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "gunicorn", "palate.wsgi", "--config", "python:palate.gunicorn"]
    with (folder / "gunicorn.log").open("wb") as log:
        numbers = ["--workers", str(workers), "--threads", str(threads)]
        address = ["--bind", f"127.0.0.1:{port}"]
        server = subprocess.Popen([*command, *address, *numbers], cwd=ROOT, stdout=log, stderr=log)
        try:
            wait_for(port, "/login/")
            yield server
        finally:
            server.terminate()
            server.wait()


def wait_for(port: int, path: str, *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
            connection.request("GET", path)
            return connection.getresponse().close()
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the web server did not start")


def processor_seconds(pid: int) -> float:
    """Of a process and its children, those that have ended included."""
    process = psutil.Process(pid)
    times = process.cpu_times()
    ended = times.children_user + times.children_system
    return ended + sum(sum(own.cpu_times()[:2]) for own in (process, *process.children()))


def postmaster(data: Path) -> int:
    """The id of the PostgreSQL of a data folder."""
    return int((data / "postmaster.pid").read_text().split()[0])


def make_members(study: Any, count: int, *, name: str = "bench") -> list[str]:
    """The session cookies of so many new raters of the study, signed in."""
    from annotate.models.accounts import User
    from annotate.models.members import Membership

    sessions = []
    for n in range(count):
        user, _made = User.objects.get_or_create(username=f"{name}-{n}", defaults={"password": "!"})
        Membership.objects.create(study=study, user=user)
        sessions.append(_session_of(user))
    return sessions


def _session_of(user: Any) -> str:
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    session = SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.save()
    return session.session_key


class Browser:
    """A signed-in rater's browser, as far as the rating screen uses it."""

    def __init__(self, port: int, session: str) -> None:
        self.port, self.session, self.token = port, session, ""

    def get(self, path: str) -> str:
        _, body, cookie = self._ask("GET", path, {})
        self.token = SimpleCookie(cookie)["csrftoken"].value
        return body

    def post(self, path: str, **fields: Any) -> tuple[int, str]:
        """Status and body of a request of the screen's script."""
        status, body, _ = self._ask("POST", path, fields)
        return status, body

    def submit(self, path: str, **fields: Any) -> tuple[int, str]:
        """Status of a form's request, and where it leads."""
        status, _, location = self._ask("POST", path, fields, accept="text/html", header="Location")
        return status, location

    def _ask(
        self, method: str, path: str, fields: dict[str, Any], *, accept: str = "", header: str = "Set-Cookie"
    ) -> tuple[int, str, str]:
        headers = {
            "Accept": accept or ("application/json" if method == "POST" else "text/html"),
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"sessionid={self.session}; csrftoken={self.token}",
            "X-CSRFToken": self.token,
        }
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, urlencode(fields, doseq=True), headers)
            response = connection.getresponse()
            return response.status, response.read().decode(), response.getheader(header) or ""
        finally:
            connection.close()


def held(page: str) -> str:
    """The assignment that a page or a piece of one shows."""
    found = re.search(r'data-assignment="(\d+)"', page)
    if found is None:
        raise RuntimeError(f"no task on this page: {page[:300]}")
    return found[1]
