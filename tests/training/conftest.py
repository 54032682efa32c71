import pytest
from kombu.pools import reset as reset_pools

from palate.celery import app
from tests.training.real_worker import RealWorker


@pytest.fixture
def sent(monkeypatch):
    """What would go to the broker: the ids of the runs, in order. A real broker is used in test_worker."""
    ids = []
    monkeypatch.setattr("core.task_queue.send_task", lambda name, *arguments: ids.extend(arguments))
    return lambda: ids


@pytest.fixture
def start_worker(tmp_path, settings):
    """Starts workers of the test's own database and folders; all of them have ended when the test has."""
    settings.MODELS_DIR, settings.RUNS_DIR = tmp_path / "var/models", tmp_path / "var/runs"
    workers = []

    def start(**how):
        workers.append(RealWorker(tmp_path, **how))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()
    # What queue_run opened in this process would keep the test database from being dropped.
    reset_pools()
    app.pool.force_close_all()
    app._after_fork()  # forgets the closed pool, as a new process would
