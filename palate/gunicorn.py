"""gunicorn's settings: WEB_CONCURRENCY processes with WEB_THREADS threads each."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "4"))
# A slow client holds none of the threads.
worker_class = "palate.web_worker.Worker"
keepalive = 5
# Several servers of one user would share its socket, and nothing here asks it.
control_socket_disable = True
# An export streams as long as it takes; the heartbeat of a thread worker does not wait for it.
timeout = 60
graceful_timeout = 30
max_requests, max_requests_jitter = 20_000, 2_000


def child_exit(server: object, worker: object) -> None:
    """A process that ended takes its gauges out of the counts of all."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)  # type: ignore[attr-defined]


def on_starting(server: Any) -> None:
    """Give static files names with a hash of this version's content, before any process serves a page."""
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    if subprocess.run(command, cwd=Path(__file__).resolve().parent.parent).returncode:
        server.log.error("manage.py collectstatic failed: pages may use static files of an earlier version")
