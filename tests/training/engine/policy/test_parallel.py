"""Two CPU processes under torchrun, which `accelerate launch` starts its processes by, tune one policy."""

import json
import subprocess
import sys

import pytest


def test_two_processes_share_the_prompts_and_hold_the_same_weights(policy_folder, tmp_path):
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ["-m", "tests.training.engine.policy.two_processes", str(policy_folder), str(tmp_path)]
    done = subprocess.run([*launch, *script], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    # The looks at the end draw with the same seed in both: equal texts mean equal weights.
    assert first["after"] == pytest.approx(second["after"], abs=1e-6)
    assert first["after"]["kl"] > 0
    assert first["texts"][-2:] == second["texts"][-2:]
    assert first["texts"][2:18] != second["texts"][2:18]  # but each had samples of its own
    assert (tmp_path / "tuned-0").is_dir()
    assert not (tmp_path / "tuned-1").exists()
