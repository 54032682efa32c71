from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace

import kombu
import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext

from core.errors import PalateError
from palate.celery import app
from tests.factories import MembershipFactory, StudyFactory
from tests.training.real_worker import wait_for
from training.models import ModelKind, ModelVersion, Run, RunState
from training.registry import model_versions
from training.runs import execution, operations, queue
from training.runs.job import JOBS, Job
from training.runs.options import option
from training.runs.reporting import RunReporter, run_folder

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Count:
    """A job small enough to watch: it counts to `top`, and stumbles where it is told to."""

    top: int = option(3, label="Top", help="how far", minimum=1)
    stumble_at: int = option(0, label="Stumble at", help="where to fail")


def count(run, options, reporter):
    for number in range(1, options.top + 1):
        if number == options.stumble_at:
            raise RuntimeError("stumbled")
        reporter.metric(number, height=number)
        reporter.log(f"at {number}")
        reporter.progress(number, options.top)
    return {"counted": options.top}


def check(study, options):
    if options.top == 13:
        raise PalateError("13 brings bad luck; take another number")


@pytest.fixture(autouse=True)
def counting(monkeypatch, settings, tmp_path):
    settings.RUNS_DIR = tmp_path
    monkeypatch.setitem(JOBS, "count", Job(Count, check, count, "Count."))


def a_run(**values):
    return operations.create_run(kind="count", study=None, values=values)


def test_a_run_keeps_its_result_points_progress_and_log():
    run = execution.execute_run(run=a_run(top=3))
    assert (run.state, run.result, run.percent) == (RunState.DONE, {"counted": 3}, 100)
    assert [point.values["height"] for point in run.points.all()] == [1, 2, 3]
    assert "at 3" in Run.objects.get(pk=run.pk).log_tail
    assert "at 3" in (run_folder(run) / "log.txt").read_text()


def test_a_run_that_cannot_work_is_not_even_stored():
    with pytest.raises(PalateError, match="13 brings bad luck"):
        a_run(top=13)
    assert not Run.objects.exists()


def test_a_failure_is_kept_with_its_traceback():
    run = execution.execute_run(run=a_run(top=3, stumble_at=2))
    assert run.state == RunState.FAILED
    assert "stumbled" in run.error
    assert "failed: RuntimeError: stumbled" in run.log_tail
    assert run.points.count() == 1


def test_a_run_is_executed_once():
    run = a_run(top=2)
    execution.execute_run(run=run)
    execution.execute_run(run=Run.objects.get(pk=run.pk))
    assert run.points.count() == 2


def test_a_queued_run_is_cancelled_at_once():
    run = a_run(top=2)
    operations.cancel_run(run=run)
    assert Run.objects.get(pk=run.pk).state == RunState.CANCELLED
    assert execution.execute_run(run=run).state == RunState.CANCELLED


@pytest.mark.parametrize(("minutes", "in_worker", "ended"), [(60, False, True), (0, False, False), (60, True, False)])
def test_a_cancel_ends_what_a_killed_command_left(minutes, in_worker, ended):
    heard = timezone.now() - timedelta(minutes=minutes)
    run = a_run()
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING, heartbeat_at=heard, in_worker=in_worker)
    operations.cancel_run(run=run)
    assert (Run.objects.get(pk=run.pk).state == RunState.CANCELLED) == ended


def test_a_running_run_stops_at_its_next_step(monkeypatch):
    def asks_first(run, options, reporter):
        from training.engine.runtime.progress import advance

        Run.objects.filter(pk=run.pk).update(cancel_requested=True)
        reporter._written_at = 0.0  # as if the second between two looks had passed
        advance(reporter, 1, 2)
        raise AssertionError("went on after the cancel")

    monkeypatch.setitem(JOBS, "count", Job(Count, check, asks_first, "Count."))
    assert execution.execute_run(run=a_run()).state == RunState.CANCELLED


def test_a_worker_refuses_in_the_language_of_the_page_that_started_the_run(monkeypatch):
    def refuses(run, options, reporter):
        raise PalateError(gettext("Only these templates have a demo: %(names)s") % {"names": "x"})

    monkeypatch.setitem(JOBS, "count", Job(Count, check, refuses, "Count."))
    with translation.override("zh-hans"):
        run = a_run()
    assert execution.execute_run(run=run).error == "只有这些模板带有演示数据：x"
    assert execution.execute_run(run=a_run()).error == "Only these templates have a demo: x"


def lost(run, attempts):
    long_ago = timezone.now() - timedelta(seconds=settings.RUN_LOST_AFTER_SECONDS + 1)
    Run.objects.filter(pk=run.pk).update(
        state=RunState.RUNNING, in_worker=True, heartbeat_at=long_ago, attempts=attempts
    )


def test_a_run_whose_worker_died_is_queued_again(monkeypatch, django_capture_on_commit_callbacks):
    sent = []
    monkeypatch.setattr("core.task_queue.send_task", lambda name, run_id: sent.append(run_id))
    run = a_run()
    lost(run, attempts=1)
    with django_capture_on_commit_callbacks(execute=True):
        assert queue.requeue_lost_runs() == 1
    assert Run.objects.get(pk=run.pk).state == RunState.QUEUED
    assert sent == [run.pk]


class TestOutbox:
    """A run is never lost between its row and the broker."""

    @pytest.fixture
    def broker(self, monkeypatch):
        """Takes messages unless it is away, as kombu reports it."""
        broker = SimpleNamespace(sent=[], away=False)

        def send_task(name, run_id):
            if broker.away:
                raise kombu.exceptions.OperationalError("connection refused")
            broker.sent.append(run_id)

        monkeypatch.setattr("core.task_queue.send_task", send_task)
        return broker

    @pytest.fixture
    def queued(self, broker, django_capture_on_commit_callbacks, monkeypatch):
        """A run that was queued while the broker was away."""
        monkeypatch.setattr(operations, "refuse_commands_only", lambda *_: None)
        broker.away = True
        with django_capture_on_commit_callbacks(execute=True):
            return operations.queue_run(kind="count", study=StudyFactory(), values={})

    def test_a_run_that_the_broker_did_not_take_is_sent_once_it_is_back(self, queued, broker):
        assert (queued.state, queued.unsent) == (RunState.QUEUED, True)
        assert queue.send_waiting_runs() == 0
        broker.away = False
        assert queue.send_waiting_runs() == 1
        assert broker.sent == [queued.pk]
        assert not Run.objects.get(pk=queued.pk).unsent
        assert queue.send_waiting_runs() == 0

    def test_a_message_that_the_broker_lost_is_sent_again(self, queued, broker, settings):
        broker.away = False
        queue.send_waiting_runs()
        Run.objects.update(enqueued_at=timezone.now() - timedelta(seconds=settings.RUN_RESEND_SECONDS + 1))
        assert queue.send_waiting_runs() == 1
        assert broker.sent == [queued.pk] * 2

    @pytest.mark.parametrize("state", [state for state in RunState if state != RunState.QUEUED])
    def test_only_waiting_runs_are_sent(self, queued, broker, state):
        Run.objects.update(state=state)
        broker.away = False
        assert queue.send_waiting_runs() == 0

    def test_a_queued_run_of_a_terminal_is_not_sent(self, broker):
        a_run()
        assert queue.send_waiting_runs() == 0

    def test_its_page_says_so_and_sends_it_again(self, queued, broker, client):
        client.force_login(MembershipFactory(study=queued.study, role="manager").user)
        page = client.get(reverse("run", args=[queued.pk])).content.decode()
        assert "has not reached the queue" in page
        again = client.post(reverse("run-resend", args=[queued.pk]), follow=True).content.decode()
        assert "The queue is unavailable" in again
        broker.away = False
        again = client.post(reverse("run-resend", args=[queued.pk]), follow=True).content.decode()
        assert "was sent to the queue again" in again
        assert "waits for a worker" in again
        assert broker.sent == [queued.pk]
        Run.objects.update(state=RunState.RUNNING)
        again = client.post(reverse("run-resend", args=[queued.pk]), follow=True).content.decode()
        assert "Only a run that waits" in again

    def test_strangers_do_not_find_it(self, queued, client):
        client.force_login(MembershipFactory(role="manager").user)
        assert client.post(reverse("run-resend", args=[queued.pk])).status_code == 404


def test_rescue_and_imports_share_no_queue_with_webhooks_or_trainings():
    app.loader.import_default_modules()
    queues = {
        name: app.amqp.router.route({}, name)["queue"].name for name in app.tasks if not name.startswith("celery.")
    }
    assert queues.pop("webhooks.deliver") == "webhooks"
    assert queues.pop("runs.execute") == "runs"
    assert queues == {
        "runs.execute_quick": "quick",
        "runs.requeue_lost": "short",
        "privacy.apply_retention": "short",
    }
    for entry in app.conf.beat_schedule.values():
        assert entry["options"]["queue"] == app.amqp.router.route({}, entry["task"])["queue"].name


def test_a_run_that_kills_its_workers_fails_in_the_end_and_leaves_nothing(settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "models"
    run = a_run()
    half_model, checkpoint = tmp_path / f"models/shared/count-{run.pk}.partial", run_folder(run) / "checkpoint.pt"
    for folder in (half_model, run_folder(run)):
        folder.mkdir(parents=True)
    checkpoint.touch()
    lost(run, attempts=queue.MAX_ATTEMPTS)
    queue.requeue_lost_runs()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "worker died each time" in run.error
    assert "memory" in run.error
    assert not half_model.exists()
    assert not checkpoint.exists()


def test_a_run_in_a_terminal_is_never_queued_by_itself():
    run = a_run()
    lost(run, attempts=1)
    Run.objects.update(in_worker=False)
    assert queue.requeue_lost_runs() == 0


def test_two_workers_that_do_one_run_end_it_once(monkeypatch):
    """The first is taken for dead while it works; the second claims the run in the middle of the first one's work."""

    def overtaken(run, options, reporter):
        if run.attempts == 1:
            Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED)
            second = execution.execute_run(run=Run.objects.get(pk=run.pk))
            assert (second.state, second.result, second.attempts) == (RunState.DONE, {"counted": 2}, 2)
        return count(run, options, reporter)

    monkeypatch.setitem(JOBS, "count", Job(Count, check, overtaken, "Count."))
    run = execution.execute_run(run=a_run(top=2))
    assert (run.state, run.result, run.attempts) == (RunState.DONE, {"counted": 2}, 2)
    assert run.points.count() == 2
    assert run.log_tail.count("at 1") == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda reporter: reporter.metric(1, height=1),
        lambda reporter: reporter.sample(1, "prompt", "response", None),
        lambda reporter: reporter.progress(1, 2),
        lambda reporter: reporter.log("still here"),
        lambda reporter: reporter.cancelled(),
        lambda reporter: model_versions.register(
            study=None, kind=ModelKind.POLICY, path="/somewhere", run=reporter.run
        ),
    ],
    ids=["metric", "sample", "progress", "log", "cancelled", "register"],
)
@pytest.mark.parametrize(
    "meanwhile", [{"attempts": 2}, {"state": RunState.QUEUED}, {"state": RunState.CANCELLED}], ids=str
)
def test_nothing_that_a_stale_attempt_writes_is_kept(monkeypatch, write, meanwhile):
    def stale(run, options, reporter):
        Run.objects.filter(pk=run.pk).update(heartbeat_at=None, **meanwhile)
        reporter._written_at = 0.0  # as if the second between two writes had passed
        write(reporter)
        raise AssertionError("went on")

    monkeypatch.setitem(JOBS, "count", Job(Count, check, stale, "Count."))
    made = a_run()
    run = execution.execute_run(run=made)
    assert {name: getattr(run, name) for name in meanwhile} == meanwhile
    assert (run.heartbeat_at, run.step, run.error, run.result, run.ended_at) == (None, 0, "", {}, None)
    assert (run.points.count(), run.samples.count(), ModelVersion.objects.count()) == (0, 0, 0)
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED)
    with pytest.raises(PalateError, match="taken over or ended elsewhere"):
        execution.execute_run(run=run, reraise=True)


@pytest.mark.django_db(transaction=True)
def test_a_heartbeat_outlives_a_database_that_goes_away(settings):
    settings.RUN_HEARTBEAT_SECONDS = 0.02
    run = a_run()
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING)
    run.refresh_from_db()
    with RunReporter(run):
        wait_for(run, lambda run: run.heartbeat_at)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            assert cursor.rowcount >= 1
        Run.objects.filter(pk=run.pk).update(heartbeat_at=None)
        wait_for(run, lambda run: run.heartbeat_at)
