"""An upgrade without a gap: while web processes and workers of the previous release still run, the tables are new."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from tests.training.real_worker import environment

pytestmark = pytest.mark.slow

# A release moves this to its predecessor.
PREVIOUS = "a1c83b0011bd0f51709a694bdf3fe0c1823a74e5"
REQUIRED_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'public' AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO'
"""


@pytest.fixture(scope="module")
def old_code(tmp_path_factory):
    """The previous release's files."""
    folder = tmp_path_factory.mktemp("previous")
    archive = folder / "release.tar"
    ended = subprocess.run(
        ["git", "archive", "--format=tar", f"--output={archive}", PREVIOUS],
        cwd=settings.BASE_DIR, capture_output=True, text=True,
    )  # fmt: skip
    if ended.returncode:
        pytest.skip(f"needs the history of the repository: {ended.stderr.strip()}")
    with tarfile.open(archive) as files:
        files.extractall(folder / "code", filter="data")
    return folder / "code"


@pytest.mark.django_db(transaction=True)
def test_the_previous_releases_code_works_on_the_new_tables(old_code, tmp_path):
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("old_code.py"))],
        cwd=old_code, capture_output=True, text=True,
        env={
            **environment(tmp_path), "PYTHONPATH": str(old_code), "DJANGO_SETTINGS_MODULE": "palate.settings",
            "SECRET_KEY": "of-the-previous-release-0123456789-abcdefghij",
        },
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-3000:]
    known = json.loads(ended.stdout.splitlines()[-1])
    # It inserts rows without the columns that came later.
    with connection.cursor() as cursor:
        cursor.execute(REQUIRED_COLUMNS)
        required = cursor.fetchall()
    added = [f"{table}.{column}" for table, column in required if table in known and column not in known[table]]
    assert added == [], "give these a db_default or allow NULL"
