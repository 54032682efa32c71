"""Two CPU processes under torchrun, which `accelerate launch` starts its processes by, tune as one process does."""

import json
import subprocess
import sys

import pytest

from tests.training.engine.policy import two_processes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def of_two(policy_folder, tmp_path_factory):
    """What each process told of each run."""
    folder = tmp_path_factory.mktemp("two")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ["-m", "tests.training.engine.policy.two_processes", str(policy_folder), str(folder)]
    done = subprocess.run([*launch, *script], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "0" / "rloo").is_dir()
    assert not (folder / "1" / "rloo").exists()  # the first process alone saves
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("name", two_processes.VARIANTS)
def test_a_run_of_two_processes_equals_a_run_of_one(of_two, policy_folder, tmp_path, name):
    first, second = (result[name] for result in of_two)
    alone = two_processes.run(name, str(policy_folder), tmp_path)
    assert first["after"] == pytest.approx(second["after"], abs=1e-6)
    assert first["after"]["kl"] > 0
    assert len(first["points"]) == len(alone["points"])
    for (step, figures), (step_alone, figures_alone) in zip(first["points"], alone["points"], strict=True):
        assert step == step_alone
        assert figures == pytest.approx(figures_alone, rel=1e-3, abs=1e-3), step
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-5)
