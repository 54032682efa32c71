"""What workers leave in PostgreSQL's own log: nothing, as long as nothing is wrong."""

import time
from pathlib import Path

import pytest
from django.conf import settings

from tests.factories import StudyFactory
from tests.training.real_worker import wait_for
from training.runs import operations

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


@pytest.mark.skipif(
    settings.DATABASES["default"]["ENGINE"] != "core.embedded_postgres", reason="needs the server's log"
)
def test_workers_on_pgmq_write_no_errors(start_worker, tmp_path):
    log = Path(settings.DATABASES["default"]["DATA_DIR"]) / "log"
    before = log.stat().st_size
    (tmp_path / "prompts.csv").write_text("text\nWhat is new?\n")
    values = {"file": str(tmp_path / "prompts.csv")}
    run = operations.queue_run(kind="import_prompts", study=StudyFactory(), values=values)
    start_worker()
    wait_for(run, lambda run: run.ended)
    time.sleep(5)  # two heartbeats
    with log.open() as file:
        file.seek(before)
        assert [line for line in file if "ERROR" in line or "FATAL" in line] == []
