"""The gradient of the reward through what was written."""

import dataclasses
import statistics

import pytest
import torch
import torch.nn.functional as F

from tests.training.engine.policy.conftest import CONFIG, PROMPTS
from training.engine.experimental.pathwise import Differentiable, Pathwise
from training.engine.models.reward import PreferenceModel
from training.engine.rl.actor import Actor
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.rl.state import State

PATHWISE = dataclasses.replace(CONFIG, algorithm="pathwise")


def test_read_from_one_hot_rows_a_response_has_the_reward_that_its_text_has(policy_folder, reward_folder):
    actor = Actor.load(str(policy_folder), PATHWISE)
    rewards = RewardSum.load(RewardConfig((str(reward_folder),)))
    heads, texts = [actor.prompt_ids(p) for p in PROMPTS], ["We will refund you today.", "No."]
    # One response was ended, one was cut: the preference model reads both up to an end token.
    tokens = [actor.response_ids(texts[0]), actor.response_ids(texts[1])[:-1]]
    hot = [F.one_hot(torch.tensor(row), len(actor.policy.tokenizer)).float() for row in tokens]
    found = Differentiable.of(rewards, actor).rewards(heads, hot)
    expected = PreferenceModel.load(reward_folder).score(list(zip(PROMPTS, texts, strict=True)))
    assert found.tolist() == pytest.approx(expected, abs=1e-4)


def test_a_small_step_along_the_gradient_raises_the_reward_at_the_rate_it_says(policy_folder, reward_folder):
    """On given tokens the reward of soft rows is a plain function of the policy's weights."""
    actor = Actor.load(str(policy_folder), PATHWISE)
    reward = Differentiable.of(RewardSum.load(RewardConfig((str(reward_folder),))), actor)
    head = actor.prompt_ids(PROMPTS[0])
    logits = torch.zeros(5, len(actor.policy.tokenizer))
    logits[:, 20] = 1.0  # an ordinary token is the likeliest
    logits.requires_grad_()
    before = reward.rewards([head], [logits.softmax(dim=1)])
    before.sum().backward()
    step = 1e-3 * logits.grad / logits.grad.norm()
    with torch.no_grad():
        after = reward.rewards([head], [(logits + step).softmax(dim=1)])
    assert (after - before).item() == pytest.approx(1e-3 * logits.grad.norm().item(), rel=0.05)


def test_a_large_beta_keeps_the_policy_at_its_start(policy_folder, reward_folder):
    kls = []
    for beta in (0.0, 100.0):
        config = dataclasses.replace(PATHWISE, beta=beta, learning_rate=1e-3, prompts_per_step=2)
        actor = Actor.load(str(policy_folder), config)
        algorithm = Pathwise(actor, RewardSum.load(RewardConfig((str(reward_folder),))), config, PROMPTS, {})
        state, seen = State(beta=beta), []
        for state.step in range(24):
            seen.append(algorithm.step(state)["kl"])
        # Adam's first steps go off however large beta is, and its momentum needs some more to come back.
        kls.append(statistics.fmean(seen[-8:]))
    assert abs(kls[1]) < 0.25 * kls[0]


@pytest.mark.parametrize(
    ("terms", "folder", "message"),
    [
        ((("length", 1.0),), "reward", "no other term"),
        ((), "encoder", "the policy's own tokenizer"),
    ],
)
def test_a_reward_without_such_a_gradient_is_refused(terms, folder, message, request, policy_folder, tmp_path):
    from tests.training.engine.conftest import records
    from training.engine.preference.training import PreferenceConfig, train_preference

    where = request.getfixturevalue("reward_folder") if folder == "reward" else tmp_path
    if folder == "encoder":
        base = str(request.getfixturevalue("encoder_folder"))
        config = PreferenceConfig(num_epochs=1, min_steps=1, max_length=48)
        train_preference(records(8), records(4, 8), base_model=base, output=tmp_path, config=config)
    rewards = RewardSum.load(RewardConfig((str(where),), terms=terms))
    with pytest.raises(ValueError, match=message):
        Differentiable.of(rewards, Actor.load(str(policy_folder), PATHWISE))
