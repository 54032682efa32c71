"""The pictures of docs/ are drawn from what the benches write, the same file from the same figures."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]


def evaluated(gain, *roots):
    return [{"step": 10 * n, "kl": root**2, "reward": gain * root} for n, root in enumerate(roots)]


FRONTIER = [
    {"best_step": 10, "frontier": evaluated(gain, 0, 1, 3), "best_of": [{"n": n, **evaluated(1, n)[0]} for n in (1, 2)]}
    for gain in (1.0, 2.0)
]
OBJECTIVES = {
    name: [{"perplexity": 100.0 + seed, "quality": 0.5, "held_out_quality": 0.4 + seed / 10} for seed in (0, 1)]
    for name in ("mle", "conditional")
}


@pytest.mark.parametrize(
    ("figures", "command", "words"),
    [
        (
            FRONTIER,
            ["frontier", "reward=Reward of both", "--kl", "4"],
            ["Reward of both", "best of 1 to 2 of the start"],
        ),
        (OBJECTIVES, ["objectives"], ["mle", "conditional", "perplexity, held-out reviews"]),
    ],
)
def test_a_picture_is_drawn(figures, command, words, tmp_path):
    file = tmp_path / "figures.json"
    file.write_text(json.dumps(figures))
    kind, *rest = command
    drawn = []
    for name in ("one.svg", "two.svg"):
        call = [sys.executable, "bench/plots.py", kind, str(file), str(tmp_path / name), *rest]
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        drawn.append((tmp_path / name).read_text())
    assert drawn[0] == drawn[1]
    result = [text.strip() for text in ElementTree.fromstring(drawn[0]).itertext()]
    assert set(words) <= set(result)
