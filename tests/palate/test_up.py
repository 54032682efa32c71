"""What `make run` starts: what it says once it is ready, and what it starts again."""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from io import StringIO
from wsgiref.simple_server import make_server

import psutil
import pytest
from django.conf import settings as django_settings

from core.errors import PalateError
from palate import supervisor
from palate.management.commands.up import Command
from tests.factories import UserFactory
from tests.training.brokers import free_port

BASE_DIR = django_settings.BASE_DIR


def healthy(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh_CN.UTF-8", ["Palate 运行于 http://here/", "rater / palate-demo   在其中评判", "停止：Ctrl-C"]),
        ("en_GB.UTF-8", ["Palate runs at http://here/", "rater / palate-demo   judges in them", "Stop: Ctrl-C"]),
    ],
)
def test_it_says_in_the_terminals_language_where_and_who(language, words, monkeypatch, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    for name, value in {"LC_ALL": "", "LC_MESSAGES": "", "LANG": language}.items():
        monkeypatch.setenv(name, value)
    UserFactory(username="rater")
    output = StringIO()
    server = make_server("127.0.0.1", 0, healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Command(stdout=output, no_color=True)._say_where("http://here/", server.server_port)
    server.shutdown()
    server.server_close()
    assert [word for word in words if word not in output.getvalue()] == []
    assert "manager" not in output.getvalue()


class Running:
    """`manage.py up` as a process, on a data folder of its own."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        with (folder / "up.out").open("wb") as out:
            self.process = subprocess.Popen(
                up(self.port), env=environment(folder), cwd=BASE_DIR, stdout=out, stderr=out
            )
        self.wait(lambda: "Palate runs at" in (folder / "up.out").read_text())

    def wait(self, condition, seconds=120):
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, (self.folder / "up.out").read_text()
            assert time.monotonic() < deadline, (self.folder / "up.out").read_text()
            time.sleep(0.2)

    def ready(self):
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=30).status == 200
        except OSError:
            return False

    def children(self):
        return {child.pid for child in psutil.Process(self.process.pid).children()}


def up(port):
    return [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)]


def environment(folder):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_URL", "DJANGO_"))}
    return {**kept, "PALATE_VAR": str(folder / "var"), "LANG": "C.UTF-8"}


@pytest.mark.slow
def test_it_starts_killed_processes_again_and_refuses_a_second_one(tmp_path):
    running = Running(tmp_path)
    try:
        running.wait(running.ready)
        second = subprocess.run(
            up(free_port()), env=environment(tmp_path), cwd=BASE_DIR, capture_output=True, text=True, timeout=120
        )
        assert second.returncode == 1
        assert f"Palate already runs on {tmp_path / 'var'} (process {running.process.pid})" in second.stderr
        assert len(second.stderr.strip().splitlines()) == 1

        server = int((tmp_path / "var/postgres/postmaster.pid").read_text().split()[0])
        os.kill(server, signal.SIGKILL)
        running.wait(running.ready)
        assert int((tmp_path / "var/postgres/postmaster.pid").read_text().split()[0]) != server

        before = running.children()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        running.wait(lambda: not before & running.children() and len(running.children()) == len(before))
        running.wait(running.ready)
    finally:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(60) == 0
    assert not running.ready()
    assert "Stopped." in (tmp_path / "up.out").read_text()


def test_a_process_that_always_ends_at_once_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    processes = supervisor.Supervisor(
        {"broken": [sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]},
        folder=tmp_path, environment=os.environ, log_folder=tmp_path, stop_seconds={"broken": 1},
    )  # fmt: skip
    processes.start()
    with pytest.raises(PalateError, match=r"broken ended with status 3, again; see .*broken.log"):
        processes.watch(also=lambda: None)
    processes.stop()
    assert (tmp_path / "broken.log").read_text().count("no such port") == supervisor.MAX_RESTARTS + 1
