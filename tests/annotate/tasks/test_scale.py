"""The bench of scale fills a study that works: it writes rows past Django, which a new column could break."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_bench_runs_at_small_size(tmp_path):
    options = ["--sizes", "200", "--raters", "4", "--seconds", "3", "--thought", "0.5", "--data", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    command = [sys.executable, "bench/scale.py", "--old-raters", "30", "--leases", "20", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "raters failed" not in done.stdout
