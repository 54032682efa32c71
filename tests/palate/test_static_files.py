"""Static files under names with a hash, as a started server has them."""

import os
import re
import subprocess
import sys

import pytest
from django.conf import settings

SCRIPT = """
import django; django.setup()
from django.test import Client
import re
from django.templatetags.static import static
names = [static(name) for name in ("css/palate.css", "js/rate.js", "icon.svg")]
client = Client()
answers = [client.get(name, SERVER_NAME="localhost") for name in names]
for name, answer in zip(names, answers):
    print(name, answer.status_code, answer.headers.get("Cache-Control"))
print(b"".join(answers[1].streaming_content).decode())
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """The names, states and cache headers of three files, and the text of one that imports others."""
    environment = {
        **os.environ,
        "PALATE_VAR": str(tmp_path_factory.mktemp("var")),
        "DJANGO_SETTINGS_MODULE": "palate.settings",
        "PYTHONPATH": str(settings.BASE_DIR),
    }
    for command in (["manage.py", "collectstatic", "--noinput", "--verbosity", "0"], ["-c", SCRIPT]):
        done = subprocess.run(
            [sys.executable, *command], cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_carry_a_hash_and_browsers_keep_the_files(printed):
    for line in printed.splitlines()[:3]:
        name, status, caching = line.split(" ", 2)
        assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", name), name
        assert status == "200"
        assert "immutable" in caching


def test_modules_import_each_other_by_the_hashed_names(printed):
    imports = re.findall(r'from "\./(.*?)"', printed)
    assert imports
    assert all(re.search(r"\.[0-9a-f]{12}\.js$", name) for name in imports)
