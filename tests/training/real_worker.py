"""A Celery worker in a process of its own, on the test's database."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from django.db import connection

SECONDS = 240  # A machine may be busy with other things.


class RealWorker:
    """Takes runs from the queue until it is killed. pool: solo works in the worker's process itself, prefork in a child
    of it. file_bytes: the largest file that it may write; beyond that the system refuses, as a full disk does."""

    def __init__(
        self, folder: Path, *, queues: str = "runs,quick", pool: str = "solo", file_bytes: int = resource.RLIM_INFINITY
    ) -> None:
        command = [sys.executable, "-m", "celery", "-A", "palate", "worker", "-Q", queues]
        with (folder / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, f"--pool={pool}", "--concurrency=1", "--without-gossip"],
                env=environment(folder), stdout=log, stderr=log, start_new_session=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes)),
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def children(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def kill(self) -> None:
        """Ends it and its children as a crash does: nothing is finished or told."""
        if self.running:
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def environment(folder: Path) -> dict[str, str]:
    params = connection.get_connection_params()
    host = params["host"].replace("/", "%2F")
    user = params["user"] + (f":{params['password']}" if params.get("password") else "")
    return {
        **os.environ,
        "DATABASE_URL": f"postgres://{user}@{host}:{params['port']}/{params['dbname']}",
        "PALATE_VAR": str(folder / "var"),
    }


def wait_for(run, condition):
    """Returns once the run, read again, meets the condition."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        run.refresh_from_db()
        if condition(run):
            return
        time.sleep(0.1)
    raise AssertionError(f"after {SECONDS} s the run is {run.state}, step {run.step}: {run.error or run.log_tail}")
