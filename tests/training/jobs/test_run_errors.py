"""What breaks within a run ends that run, with a message that tells what to do; the worker and the app go on."""

import os
import resource
import signal
from pathlib import Path

import pytest
from django.urls import reverse

from annotate.collection.judgements import Answer, submit
from annotate.collection.leases import lease_next
from annotate.models.choices import Role
from annotate.models.studies import Study
from core.errors import PalateError
from tests.factories import MembershipFactory, PromptFactory, TaskFactory
from tests.training.real_worker import wait_for
from training.models import ModelVersion, RunState
from training.runs import execution, operations, queue
from training.runs.reporting import run_folder

pytestmark = pytest.mark.django_db(transaction=True)
LINEAR = {"kind": "linear", "explain": 0}


@pytest.fixture
def lamps(study):
    return Study.objects.get(slug=study)


def ended(kind, study, values):
    run = operations.queue_run(kind=kind, study=study, values=values)
    wait_for(run, lambda run: run.ended)
    return run


def page_of(run, client):
    client.force_login(MembershipFactory(study=run.study, role=Role.MANAGER).user)
    return client.get(reverse("run", args=[run.pk])).content.decode()


def cut(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def scribble(folder):
    (folder / "config.json").write_text('{"palate": ')


@pytest.mark.parametrize(
    ("damage", "words"), [(cut, "model.safetensors is damaged: it has"), (scribble, "config.json is not JSON")]
)
def test_a_broken_model_folder(lamps, damage, words, client, sent):
    def score():
        return operations.queue_run(kind="score_responses", study=lamps, values={"model": str(version.pk)})

    trained = operations.create_run(kind="train_preference", study=lamps, values=LINEAR)
    assert execution.execute_run(run=trained).state == RunState.DONE
    version = trained.model_version
    run = score()
    damage(Path(version.path))
    execution.execute_run(run=run)
    assert run.state == RunState.FAILED
    assert run.error.startswith(f"--model {version.pk}: ")
    assert words in run.error
    assert words in run.log_tail
    assert words in page_of(run, client)
    with pytest.raises(PalateError, match=words):
        score()


@pytest.mark.slow
def test_a_full_disk(lamps, start_worker, settings, client):
    """The system refuses files of more than 200 kB: a pretrained model's weights, a checkpoint; a linear model fits."""
    start_worker(file_bytes=200_000)
    values = {"kind": "cnn", "explain": 0, "early_stopping_patience": 0}
    for kind, asked in (("pretrain", {"documents": 200, "max_steps": 1}), ("train_preference", values)):
        run = ended(kind, lamps, asked)
        assert run.state == RunState.FAILED, kind
        assert run.error.startswith("The disk is full")
        assert "failed: The disk is full" in (run_folder(run) / "log.txt").read_text()
        assert "The disk is full" in page_of(run, client)
        assert [file.name for file in run_folder(run).iterdir()] == ["log.txt"]
    assert not ModelVersion.objects.exists()
    assert not list(Path(settings.MODELS_DIR).rglob("*-*"))
    assert ended("train_preference", lamps, LINEAR).state == RunState.DONE


@pytest.mark.slow
def test_memory_that_runs_out(lamps, start_worker, client):
    """The worker gets so little more memory than it has that a batch of long texts does not fit."""
    worker = start_worker()
    assert ended("train_preference", lamps, LINEAR).state == RunState.DONE
    judge_long_texts(lamps)
    pages = int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + 200 * 2**20
    resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))
    big = {"kind": "cnn", "max_length": 8192, "tokens_per_step": 10_000_000, "explain": 0}
    run = ended("train_preference", lamps, big)
    assert (run.state, run.attempts) == (RunState.FAILED, 1)
    assert run.error.startswith("The run ran out of memory")
    assert "failed: The run ran out of memory" in run.log_tail
    assert "The run ran out of memory" in page_of(run, client)
    assert not ModelVersion.objects.filter(run=run).exists()
    assert ended("train_preference", lamps, LINEAR).state == RunState.DONE


def judge_long_texts(study):
    for _ in range(20):
        TaskFactory(study=study, prompt=PromptFactory(study=study, text="lamp broken " * 5000))
    rater = MembershipFactory(study=study)
    while assignment := lease_next(rater=rater):
        submit(assignment=assignment, answer=Answer(ranks=[2, 1], scores={"helpful": [20, 80]}))


@pytest.mark.slow
def test_a_process_that_the_kernel_kills(lamps, start_worker, settings):
    """A worker of processes goes on with a new one, which takes the run that was queued again."""
    lamps.replication = 12
    TaskFactory.create_batch(40, study=lamps)
    run = operations.queue_run(kind="simulate_raters", study=lamps, values={"judgements": 480})
    worker = start_worker(pool="prefork")
    wait_for(run, lambda run: run.step > 0)
    (child,) = worker.children()
    os.kill(child, signal.SIGKILL)
    settings.RUN_LOST_AFTER_SECONDS = 0
    assert queue.requeue_lost_runs() == 1
    wait_for(run, lambda run: run.ended)
    assert (run.state, run.attempts) == (RunState.DONE, 2)
    assert worker.running
    assert child not in worker.children()
