"""A real Celery worker on each broker that there may be: it does runs, and a killed one's run is done by the next."""

import pytest

from annotate.models.judgements import Judgement
from palate.celery import app
from tests.factories import StudyFactory, TaskFactory
from tests.training import brokers
from tests.training.real_worker import wait_for
from training.models import Run, RunState
from training.runs import operations, queue

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module", params=["pgmq", "redis", "rabbitmq"])
def broker_url(request, tmp_path_factory):
    """The broker's address, empty for PostgreSQL itself, the default."""
    if request.param == "pgmq":
        yield ""
        return
    with getattr(brokers, request.param)(tmp_path_factory.mktemp(request.param)) as url:
        yield url


@pytest.fixture(autouse=True)
def broker(broker_url, start_worker, monkeypatch):
    """What CELERY_BROKER_URL sets at the start of a process, for this one that has started without; workers inherit it.
    start_worker, which closes the connections afterwards, does so before the setting is taken back."""
    if broker_url:
        monkeypatch.setenv("CELERY_BROKER_URL", broker_url)
        monkeypatch.setitem(app.conf, "broker_transport_options", {})


def test_an_upload_does_not_wait_behind_a_training(start_worker, tmp_path):
    study, file = StudyFactory(), tmp_path / "prompts.csv"
    file.write_text("text\nWhat is new?\n")
    training = operations.queue_run(kind="pretrain", study=study, values={"corpus": "demo"})
    upload = operations.queue_run(kind="import_prompts", study=study, values={"file": str(file)})
    # As long as no worker for runs is free, which a training of an hour keeps from it.
    start_worker(queues="quick")
    wait_for(upload, lambda run: run.ended)
    assert (upload.state, upload.result["prompts"]) == (RunState.DONE, 1)
    training.refresh_from_db()
    assert training.state == RunState.QUEUED


@pytest.mark.slow
def test_the_run_of_a_killed_worker_is_queued_again_and_done_by_the_next(start_worker, settings):
    study = StudyFactory(replication=12)
    TaskFactory.create_batch(40, study=study)
    run = operations.queue_run(kind="simulate_raters", study=study, values={"judgements": 480})
    worker = start_worker()
    wait_for(run, lambda run: run.step > 0)
    assert queue.requeue_lost_runs() == 0
    worker.kill()
    settings.RUN_LOST_AFTER_SECONDS = 0
    assert queue.requeue_lost_runs() == 1
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED
    made = Judgement.objects.count()
    assert 0 < made < 480
    start_worker()
    wait_for(run, lambda run: run.ended)
    assert (run.state, run.attempts) == (RunState.DONE, 2)
    assert run.result["judgements"] == Judgement.objects.count() - made > 0
