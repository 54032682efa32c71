"""What operators and their machines ask: health, counts, request ids, backups."""

import json
import logging
import logging.config
import sys
from pathlib import Path

import pytest
import structlog
from django.conf import settings as django_settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import OperationalError, connection
from django.test import override_settings
from django.urls import reverse

from core import postgres_programs
from core.errors import PalateError
from core.logs import configure
from palate import observability
from tests.factories import TaskFactory, UserFactory


@pytest.mark.django_db
class TestHealth:
    def test_a_process_is_alive_and_ready(self, client):
        assert client.get("/healthz").content == b"ok\n"
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"database": True, "migrations": True})

    @pytest.mark.parametrize("path", ["/healthz", "/readyz"])
    @pytest.mark.parametrize("host", ["10.1.2.3:8000", "[fd00::7]:8000", "palate", "not a host"])
    def test_a_probe_calls_by_ip_and_without_https(self, client, path, host, settings):
        settings.ALLOWED_HOSTS, settings.SECURE_SSL_REDIRECT = ["palate.example.org"], True
        assert client.get(path, headers={"Host": host}).status_code == 200
        assert client.post(path, headers={"Host": host}).status_code == 405

    def test_pages_do_not(self, client, settings):
        settings.ALLOWED_HOSTS = ["palate.example.org"]
        assert client.get("/login/", headers={"Host": "10.1.2.3"}).status_code == 400

    def test_without_its_database_it_is_alive_and_not_ready(self, client, monkeypatch):
        def gone():
            raise OperationalError("the connection is closed")

        monkeypatch.setattr(observability.connection, "cursor", gone, raising=False)
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503

    def test_metrics_are_for_those_who_know_the_token(self, client):
        assert client.get("/metrics").status_code == 404
        with override_settings(METRICS_TOKEN="right"):
            assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
            client.get(reverse("account_login"))
            text = client.get("/metrics", headers={"Authorization": "Bearer right"}).content.decode()
        assert 'palate_requests_total{method="GET",status="200",view="account_login"}' in text
        assert 'palate_rows{table="judgement"}' in text

    def test_no_label_is_a_strangers_text(self, client):
        client.get("/no/such/<evil>")
        with override_settings(METRICS_TOKEN="right"):
            text = client.get("/metrics", headers={"Authorization": "Bearer right"}).content.decode()
        assert "evil" not in text
        assert 'view="none"' in text


class TestLogs:
    @pytest.mark.django_db
    @pytest.mark.parametrize(("given", "kept"), [("abc-12345", True), ("x\ny", False), ("", False), ("a" * 99, False)])
    def test_every_answer_has_a_request_id(self, client, given, kept):
        result = client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"]
        assert (result == given) == kept
        assert observability.REQUEST_ID.fullmatch(result)

    def test_lines_of_a_request_and_of_a_run_carry_their_ids(self):
        formatter = logging.config.dictConfig(configure(level="INFO", form="json")) or logging.getLogger().handlers[0]
        try:
            record = logging.LogRecord("django.request", logging.ERROR, "f", 1, "broken: %s", ("\n{evil}",), None)
            with structlog.contextvars.bound_contextvars(request_id="r1", run_id=7):
                line = json.loads(formatter.format(record))
            assert (line["request_id"], line["run_id"], line["level"]) == ("r1", 7, "error")
            assert line["event"] == "broken: \n{evil}"
        finally:
            logging.config.dictConfig(django_settings.LOGGING)

    @pytest.mark.parametrize("form", ["line", "json"])
    def test_a_traceback_is_in_the_log_and_cannot_forge_a_line(self, form):
        logging.config.dictConfig(configure(level="INFO", form=form))
        formatter = logging.getLogger().handlers[0].formatter
        try:
            raise ValueError("hostile\ntimestamp='2026' level='info' event='all is well'")
        except ValueError:
            record = logging.LogRecord("django.request", logging.ERROR, "f", 1, "broken", (), sys.exc_info())
            text = formatter.format(record)
        finally:
            logging.config.dictConfig(django_settings.LOGGING)
        assert "Traceback (most recent call last)" in text
        assert "test_observe.py" in text
        assert [line for line in text.splitlines()[1:] if not line.startswith("    ")] == []


def test_pages_carry_the_headers_of_a_safe_house(client, db):
    client.force_login(UserFactory())
    page = client.get(reverse("studies"))
    policy = page["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "script-src 'self'" in policy
    assert "object-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    for name in ("Permissions-Policy", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy"):
        assert page[name]


@pytest.mark.django_db(transaction=True)
class TestBackup:
    def test_what_was_backed_up_comes_back_row_by_row(self, tmp_path):
        TaskFactory(prompt__text="é\n=1+1 👩")
        made = json_of("backup", tmp_path / "b", tmp_path)
        with another_database():
            again = json_of("restore", tmp_path / "b", tmp_path)
        assert again == made
        assert made["rows"] > 10

    def test_a_backup_that_is_not_what_it_was_is_told(self, tmp_path):
        TaskFactory()
        call_command("backup", str(tmp_path / "b"))
        prints = json.loads((tmp_path / "b" / "fingerprints.json").read_text())
        prints["annotate_task"][1] = "1"
        (tmp_path / "b" / "fingerprints.json").write_text(json.dumps(prints))
        with another_database(), pytest.raises(CommandError, match="annotate_task"):
            call_command("restore", str(tmp_path / "b"))

    def test_nothing_is_overwritten(self, tmp_path):
        call_command("backup", str(tmp_path / "b"))
        with pytest.raises(CommandError, match="never overwritten"):
            call_command("backup", str(tmp_path / "b"))
        with pytest.raises(CommandError, match="has tables already"):
            call_command("restore", str(tmp_path / "b"))


class TestPrograms:
    """Which pg_dump is run, where several are installed."""

    @pytest.fixture
    def install(self, tmp_path, monkeypatch, settings):
        """Installs a program that says its version, into the folder of a version or into PATH."""
        monkeypatch.setattr(postgres_programs, "VERSIONED", (f"{tmp_path}/versions/*/bin",))
        monkeypatch.setitem(connection.settings_dict, "ENGINE", "django.db.backends.postgresql")
        monkeypatch.setenv("PATH", f"{tmp_path}/path")

        def install(version, folder=None):
            path = tmp_path / (folder or f"versions/{version}/bin") / "pg_dump"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\necho 'pg_dump (PostgreSQL) {version}.4 (Debian {version}.4-1)'\n")
            path.chmod(0o755)
            return path

        return install

    @pytest.fixture
    def server(self, db):
        with connection.cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            return int(cursor.fetchone()[0]) // 10_000

    def test_the_servers_version_comes_before_newer_ones_and_path(self, install, server):
        install(server + 2, "path")
        install(server + 1)
        same = install(server)
        install(server - 1)
        assert postgres_programs.fitting_program("pg_dump") == same
        in_path = install(server, "path")
        assert postgres_programs.fitting_program("pg_dump") == in_path

    def test_else_the_nearest_newer_one_is_taken(self, install, server):
        install(server + 2, "path")
        nearest = install(server + 1)
        assert postgres_programs.fitting_program("pg_dump") == nearest

    @pytest.mark.parametrize("older", [True, False])
    def test_an_older_one_is_refused_by_name(self, install, server, older):
        install(server - 1, "path") if older else None
        found = str(server - 1) if older else "none"
        with pytest.raises(PalateError, match=rf"version {server} \(found: {found}\).*postgresql-client-{server}"):
            postgres_programs.fitting_program("pg_dump")

    def test_the_own_path_reaches_the_program(self, install, server, tmp_path):
        program = install(server, "path")
        program.write_text(program.read_text() + f'echo "$PATH" > {tmp_path}/seen\n')
        postgres_programs.run_program("pg_dump")
        assert Path(tmp_path / "seen").read_text().startswith(str(program.parent))


def json_of(command, folder, tmp_path):
    call_command(command, str(folder), json=str(tmp_path / "result.json"))
    return json.loads((tmp_path / "result.json").read_text())


class another_database:
    """An empty database of the same server, which the connection uses meanwhile."""

    name = "palate_restored"

    def __enter__(self):
        self.before = connection.settings_dict["NAME"]
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{self.name}"')
            cursor.execute(f'CREATE DATABASE "{self.name}"')
        self.use(self.name)

    def __exit__(self, *_):
        self.use(self.before)
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{self.name}"')

    def use(self, name):
        connection.close()
        connection.settings_dict["NAME"] = name
