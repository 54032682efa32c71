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
    environment = {name: value for name, value in {**os.environ, **GOOD, **changed}.items() if value is not None}
    for name in ("DJANGO_SETTINGS_MODULE", "DJANGO_ALLOW_ASYNC_UNSAFE"):  # what the tests themselves set
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "INFO"],
        cwd=settings.BASE_DIR, capture_output=True, text=True, env=environment,
    )  # fmt: skip


def test_the_deployment_check_is_clean():
    ended = check()
    assert ended.returncode == 0, ended.stderr
    assert "no issues" in ended.stdout


@pytest.mark.parametrize(("changed", "words"), [
    ({"SECRET_KEY": None}, "SECRET_KEY"), ({"SECRET_KEY": "django-insecure-" + "x1y2z3w4v5" * 5}, "SECRET_KEY"),
    ({"DEBUG": "1"}, "DEBUG"), ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS"), ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS"),
])  # fmt: skip
def test_production_does_not_start_with_a_default(changed, words):
    ended = check(**changed)
    assert ended.returncode != 0
    assert words in ended.stderr
    assert "ImproperlyConfigured" in ended.stderr
