"""Settings of production: `check --deploy` has nothing to say, and somebody's default key does not start."""

import os
import subprocess
import sys

import pytest
from django.conf import settings

GOOD = {
    "PRODUCTION": "1",
    "SECRET_KEY": "q8Zt-3bYw_1LrVn5xJ0cKdM7gHsF2aEoTiUpR9vB4mNzXyWlQh6",
    "ALLOWED_HOSTS": "palate.example.org",
    "DATABASE_URL": "postgres://u:p@127.0.0.1:1/none",
}


def check(**changed):
    return manage("check", "--deploy", "--fail-level", "INFO", **changed)


def manage(*arguments, **changed):
    environment = {name: value for name, value in {**os.environ, **GOOD, **changed}.items() if value is not None}
    for name in ("DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE"):  # what the tests themselves set
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR, capture_output=True, text=True, env=environment,
    )  # fmt: skip


def test_the_deployment_check_is_clean():
    ended = check()
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


@pytest.mark.parametrize(("asked", "header"), [
    (None, "max-age=31536000; includeSubDomains"), ("1", "max-age=31536000; includeSubDomains; preload"),
])  # fmt: skip
def test_the_preload_list_is_asked_for_only_when_a_setting_says_so(asked, header):
    code = (
        "import django; django.setup(); from django.test import RequestFactory; from django.http import HttpResponse;"
        "from django.middleware.security import SecurityMiddleware as middleware;"
        "request = RequestFactory().get('/', secure=True);"
        "print(middleware(lambda request: HttpResponse())(request)['Strict-Transport-Security'])"
    )
    changed = {**os.environ, **GOOD, "DJANGO_SETTINGS_MODULE": "palate.settings", "SECURE_HSTS_PRELOAD": asked or ""}
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True, env=changed
    )
    assert ended.stdout.strip() == header, ended.stderr


@pytest.mark.parametrize(("changed", "words"), [
    ({"SECRET_KEY": None}, "SECRET_KEY"), ({"SECRET_KEY": "django-insecure-" + "x1y2z3w4v5" * 5}, "SECRET_KEY"),
    ({"DEBUG": "1"}, "DEBUG"), ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"), ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
    ({"DATABASE_URL": None}, "DATABASE_URL"), ({"DATABASE_URL": ""}, "DATABASE_URL"),
])  # fmt: skip
def test_production_does_not_start_with_a_default(changed, words):
    ended = check(**changed)
    assert ended.returncode != 0
    assert words in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_database_that_cannot_be_reached_is_explained():
    ended = manage("migrate", DATABASE_URL="postgres://u:p@127.0.0.1:1/none", PRODUCTION="")
    assert ended.returncode == 1
    assert "the database cannot be reached" in ended.stderr
    assert "DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(("content", "words"), [
    (b"", "at least 32"), (b"short", "at least 32"), (b"a" * 60, "at least 32"), (b"\xff\xfe" * 40, "cannot be read"),
])  # fmt: skip
def test_a_stored_secret_key_that_is_none_is_refused(content, words, tmp_path):
    (tmp_path / "secret_key").write_bytes(content)
    ended = manage("check", SECRET_KEY=None, PRODUCTION="", PALATE_VAR=str(tmp_path))
    assert ended.returncode == 1
    assert f"{tmp_path}/secret_key" in ended.stderr
    assert words in ended.stderr
    assert "delete it to get a new key" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert (tmp_path / "secret_key").read_bytes() == content


def test_a_secret_key_is_made_once_for_its_owner_only(tmp_path):
    manage("check", SECRET_KEY=None, PRODUCTION="", PALATE_VAR=str(tmp_path))
    key = (tmp_path / "secret_key").read_text()
    assert len(key) >= 50
    assert (tmp_path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert manage("check", SECRET_KEY=None, PRODUCTION="", PALATE_VAR=str(tmp_path)).returncode == 0
    assert (tmp_path / "secret_key").read_text() == key
