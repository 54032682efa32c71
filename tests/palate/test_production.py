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
])  # fmt: skip
def test_production_does_not_start_with_a_default(changed, words):
    ended = check(**changed)
    assert ended.returncode != 0
    assert words in ended.stderr
    assert "ImproperlyConfigured" in ended.stderr
