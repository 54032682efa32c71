"""Losses, rewards, gradients and weights that are not finite: nothing of them is saved, and the step is named."""

import dataclasses
import math

import pytest
import torch

from tests.training.engine.policy.conftest import CONFIG, PROMPTS, Remembering
from training.engine.generation.sampling import load_policy
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.evaluator import check_reference
from training.engine.rl.rewards import RewardConfig

calls: list[int] = []


def growing_to_nan(prompts, responses):
    """Rewards of the fifth training batch are not finite; held-out prompts are scored, too, at steps 0, 2 and 4."""
    calls.append(len(responses))
    return [float(len(text)) if len(calls) < 8 else math.nan for text in responses]


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


SLOW = dataclasses.replace(CONFIG, max_steps=9, eval_steps=2, best_of=1, learning_rate=1e-4)
REWARD = RewardConfig(function=f"{__name__}.growing_to_nan")


def test_the_last_good_checkpoint_is_saved_and_the_step_is_named(tune, tmp_path):
    reporter = Remembering()
    metrics = tune(config=SLOW, reward=REWARD, reporter=reporter)
    assert metrics["steps"] == metrics["best_step"] == 4
    assert metrics["stop_reason"]["reason"] == "non_finite"
    assert "training diverged after step 4" in metrics["stopped"]
    assert "gave nan to text 1" in metrics["stopped"]
    assert any("training diverged after step 4" in line for line in reporter.lines)
    weights = load_policy(str(tmp_path / "tuned")).model.state_dict()
    assert all(torch.isfinite(value).all() for value in weights.values())


def test_without_a_good_checkpoint_the_run_fails_and_saves_nothing(tune, tmp_path):
    calls.extend([0] * 5)  # the first look and two batches are good
    with pytest.raises(ValueError, match=r"diverged after step 1: .* gave nan to text 1 .*try a smaller learning rate"):
        tune(config=SLOW, reward=REWARD)
    assert not (tmp_path / "tuned").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(policy_folder, value):
    actor = Actor.load(str(policy_folder), CONFIG)
    before = actor.weights()
    parameter = actor.trained()[0]
    parameter.grad = torch.full_like(parameter, value)
    with pytest.raises(ValueError, match="the gradient is not finite"):
        actor.update()
    assert all(torch.equal(before[name], after) for name, after in actor.weights().items())
    assert parameter.grad is None


def test_weights_that_are_not_finite_are_neither_tuned_nor_saved(policy_folder, tmp_path):
    actor = Actor.load(str(policy_folder), CONFIG)
    with torch.no_grad():
        actor.trained()[0].fill_(math.nan)
    with pytest.raises((ValueError, RuntimeError)):
        check_reference(actor, PROMPTS[0])
    with pytest.raises(ValueError, match=r"weights of .* are not finite"):
        actor.save(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_single_reward_is_not_whitened():
    with pytest.raises(ValueError, match="whiten_rewards needs at least 2 samples per step"):
        PolicyConfig(algorithm="reinforce", prompts_per_step=1, num_generations=1, whiten_rewards=True)
