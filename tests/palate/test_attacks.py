"""The list of attacks of bench/attacks.py: each thing that an attacker may try is on it. No instance is started."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"


@pytest.fixture(scope="module")
def names():
    code = "import attacks; print(*(attack.name for attack in attacks.ATTACKS), sep='\\n')"
    listed = subprocess.run([sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True, check=True)
    return listed.stdout.splitlines()


def test_every_item_is_attacked(names):
    items = {int(name.split()[0]) for name in names}
    assert items == {*range(1, 16), 17, 18, 19}


def test_no_two_attacks_share_a_name(names):
    assert len(names) == len(set(names))


def test_help():
    command = [sys.executable, "bench/attacks.py", "--help"]
    shown = subprocess.run(command, cwd=BENCH.parent, capture_output=True, text=True, check=True)
    assert "--only" in shown.stdout
