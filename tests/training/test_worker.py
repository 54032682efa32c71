"""A real Celery worker on the real broker in PostgreSQL: it does runs, and a killed one's run is done by the next."""

import os
import signal
import subprocess
import sys
import time

import pytest
from django.db import connection
from kombu.pools import reset as reset_pools

from palate.celery import app
from tests.factories import StudyFactory
from training import operations
from training.models import Run, RunState

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = 90


@pytest.fixture
def start_worker(tmp_path):
    """Starts workers of the test's own database; all of them have ended when the test has."""
    workers = []

    def start():
        command = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "palate",
            "worker",
            "-Q",
            "runs",
            "--pool=solo",
            "--without-gossip",
        ]
        with (tmp_path / "worker.log").open("ab") as log:
            worker = subprocess.Popen(
                command, env=environment(tmp_path), stdout=log, stderr=log, start_new_session=True
            )
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    # What queue_run opened in this process would keep the test database from being dropped.
    reset_pools()
    app.pool.force_close_all()
    app._after_fork()  # forgets the closed pool, as a new process would


def environment(folder):
    params = connection.get_connection_params()
    host = params["host"].replace("/", "%2F")
    user = params["user"] + (f":{params['password']}" if params.get("password") else "")
    return {
        **os.environ,
        "DATABASE_URL": f"postgres://{user}@{host}:{params['port']}/{params['dbname']}",
        "PALATE_VAR": str(folder / "var"),
    }


def wait_for(run, condition):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        run.refresh_from_db()
        if condition(run):
            return
        time.sleep(0.2)
    raise AssertionError(f"after {SECONDS} s the run is {run.state}, step {run.step}: {run.error or run.log_tail}")


def test_a_worker_does_a_queued_run(start_worker, tmp_path):
    study, file = StudyFactory(), tmp_path / "prompts.csv"
    file.write_text("text\nWhat is new?\n")
    run = operations.queue_run(kind="import_prompts", study=study, values={"file": str(file)})
    start_worker()
    wait_for(run, lambda run: run.ended)
    assert (run.state, run.result["prompts"]) == (RunState.DONE, 1)


def test_the_run_of_a_killed_worker_is_queued_again_and_done_by_the_next(start_worker, settings):
    values = {"documents": 200, "steps": 100_000}
    run = operations.queue_run(kind="pretrain", study=StudyFactory(), values=values)
    worker = start_worker()
    wait_for(run, lambda run: run.step > 0)
    assert operations.requeue_lost_runs() == 0
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    settings.RUN_LOST_AFTER_SECONDS = 0
    assert operations.requeue_lost_runs() == 1
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED
    start_worker()
    wait_for(run, lambda run: run.state == RunState.RUNNING and run.attempts == 2)
    operations.cancel_run(run=run)
    wait_for(run, lambda run: run.ended)
    assert run.state == RunState.CANCELLED
