"""Redis goes away, loses its messages and comes back: no run is lost, and every state is a stated one."""

import time

import pytest

from palate.celery import app
from tests.factories import StudyFactory
from tests.training import brokers
from tests.training.real_worker import wait_for
from training.models import Run, RunState
from training.runs import operations, queue

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def address(monkeypatch):
    """Where Redis listens while a test runs it; workers that the test starts inherit the setting."""
    port = brokers.free_port()
    monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{port}/0")
    monkeypatch.setitem(app.conf, "broker_transport_options", {})
    return port


def queue_import(folder, name):
    file = folder / f"{name}.csv"
    file.write_text(f"text\nWhat is {name}?\n")
    return operations.queue_run(kind="import_prompts", study=StudyFactory(), values={"file": str(file)})


def send_until_taken():
    """As the clock does every half minute."""
    deadline = time.monotonic() + 60
    while not queue.send_waiting_runs():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_runs_queued_before_during_and_after_an_outage_are_done(address, start_worker, tmp_path, settings):
    with brokers.redis(tmp_path, address):
        # No worker yet: this message is in Redis alone, and lost with it.
        before = queue_import(tmp_path, "before")
        assert not Run.objects.get(pk=before.pk).unsent
        start_worker(queues="quick")
        first = queue_import(tmp_path, "first")
        wait_for(first, lambda run: run.ended)
        wait_for(before, lambda run: run.ended)
    during = queue_import(tmp_path, "during")
    assert Run.objects.get(pk=during.pk).unsent
    assert queue.send_waiting_runs() == 0
    with brokers.redis(tmp_path, address):
        send_until_taken()
        wait_for(during, lambda run: run.ended)
        after = queue_import(tmp_path, "after")
        wait_for(after, lambda run: run.ended)
    assert {run.state for run in Run.objects.all()} == {RunState.DONE}


def test_a_message_that_died_with_redis_is_sent_again(address, start_worker, tmp_path, settings):
    with brokers.redis(tmp_path, address):
        run = queue_import(tmp_path, "lost")
        assert not Run.objects.get(pk=run.pk).unsent
    settings.RUN_RESEND_SECONDS = 0
    with brokers.redis(tmp_path, address):
        start_worker(queues="quick")
        send_until_taken()
        wait_for(run, lambda run: run.ended)
    assert run.state == RunState.DONE
