"""The engine trainer beside the project's own loop, in one process and in two."""

import json
import subprocess
import sys

import pytest

from tests.training.engine.test_preference import CancelAt, Curve, accuracy, train
from training.engine.models.reward import PreferenceModel
from training.engine.runtime.progress import Cancelled

OWN, TRAINER = ({"engine": engine, "precision": "float32"} for engine in ("palate", "trainer"))
TORCHRUN = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
FSDP = ["--use_fsdp", "--fsdp_version", "2", "--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"]
ACCELERATE = ["accelerate.commands.launch", "--num_processes", "2", "--main_process_port", "0", *FSDP]


@pytest.fixture(scope="module")
def own(policy_folder, tmp_path_factory):
    """The losses, the figures and the model of the project's own loop."""
    curve, folder = Curve(), tmp_path_factory.mktemp("own")
    metrics = train(folder, policy_folder, reporter=curve, config=OWN)
    return curve.losses, metrics, PreferenceModel.load(folder)


def test_one_process_has_the_losses_and_the_model_of_the_own_loop(own, policy_folder, tmp_path):
    losses, metrics, model = own
    curve = Curve()
    found = train(tmp_path, policy_folder, reporter=curve, config=TRAINER)
    assert curve.losses == pytest.approx(losses, rel=1e-4)
    assert len(losses) > 4
    assert found["steps"] == metrics["steps"]
    assert found["temperature"] == pytest.approx(metrics["temperature"], rel=1e-3)
    items = [("What can I do?", "We will refund you today."), ("And now?", "That is not our problem.")]
    assert PreferenceModel.load(tmp_path).score(items) == pytest.approx(model.score(items), abs=1e-3)


def in_two_processes(launcher, *arguments):
    script = ["-m", "tests.training.engine.trainer_process", *map(str, arguments)]
    done = subprocess.run([sys.executable, "-m", *launcher, *script], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_with_the_whole_model_each_have_the_losses_of_one(own, policy_folder, tmp_path):
    losses, _metrics, _model = own
    in_two_processes(TORCHRUN, policy_folder, tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first["losses"] == pytest.approx(losses, rel=1e-4)
    assert first["sharded"] == []


@pytest.mark.slow
def test_two_processes_that_share_the_weights_have_the_losses_of_one_also_after_a_break(own, policy_folder, tmp_path):
    losses, metrics, _model = own
    in_two_processes(ACCELERATE, policy_folder, tmp_path, 14)
    in_two_processes(ACCELERATE, policy_folder, tmp_path)
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["losses"] == second["losses"]
    assert 3 < len(first["losses"]) < len(losses)  # from the look before step 14
    assert first["losses"] == pytest.approx(losses[-len(first["losses"]) :], rel=1e-4)
    assert len(first["sharded"]) == 20
    model = PreferenceModel.load(tmp_path / "model")
    assert model.temperature == pytest.approx(metrics["temperature"], rel=1e-3)
    assert accuracy(model) >= 0.9


def test_heads_adapters_and_added_batches(encoder_folder, tmp_path):
    changes = {
        "ensemble": 2,
        "ensemble_of": "heads",
        "lora_r": 4,
        "gradient_accumulation_steps": 2,
        "learning_rate": 1e-2,
    }
    metrics = train(tmp_path, encoder_folder, config=TRAINER | changes)
    assert metrics["members"] == 2
    assert accuracy(PreferenceModel.load(tmp_path)) >= 0.9


def test_a_loss_that_is_not_a_number_stops(encoder_folder, tmp_path):
    with pytest.raises(ValueError, match=r"not a number at step \d+, epoch 1, batch"):
        train(tmp_path, encoder_folder, config=TRAINER | {"learning_rate": 1e18, "weight_decay": 0.0})


def test_a_resumed_run_equals_an_unbroken_one(encoder_folder, tmp_path):
    with pytest.raises(Cancelled):
        train(tmp_path / "no", encoder_folder, checkpoints=tmp_path, reporter=CancelAt(11), config=TRAINER)
    resumed = train(tmp_path / "resumed", encoder_folder, checkpoints=tmp_path, config=TRAINER)
    assert resumed == train(tmp_path / "whole", encoder_folder, config=TRAINER)


def test_launches_that_would_not_shard_are_refused(encoder_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(ValueError, match=r"shards by FSDP 2: .* --fsdp_version 2"):
        train(tmp_path, encoder_folder, config=TRAINER)
