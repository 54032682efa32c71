"""Nothing is lost while leases run out and processes are killed; see bench/crashes.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--raters=8", "--tasks=40", "--replication=3", "--seconds=15", "--pause=0.8", "--broker=pgmq"]


def test_the_books_balance_after_a_bad_day(tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, "bench/crashes.py", *SMALL, "--json", str(report)]
    # A database of its own, also where the tests run on another one.
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(report.read_text())
    assert result["times that a web process was killed"] > 0
    assert result["times that PostgreSQL was killed"] > 0
    # Replication 3, 40 tasks: exactly 120 votes are stored, and a confirmed answer is one of them.
    assert 0 < result["answers confirmed"] <= 120
    assert result["tasks left unfinished"] == result["confirmed answers that are lost"] == 0
    assert result["runs that are lost"] == result["runs that are stuck"] == 0
