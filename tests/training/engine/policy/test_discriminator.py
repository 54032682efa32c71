"""A policy against a classifier that learns to tell it from real responses."""

import dataclasses

import pytest

from tests.training.engine.policy.conftest import CONFIG, PROMPTS, CancelAt
from training.demo import corpus
from training.engine.data.completions import Completions
from training.engine.experimental.discriminator import CLIP, Discriminator
from training.engine.rl.finetune import TuningData
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.runtime.progress import Cancelled

REAL = [(prompt, text) for prompt, text in corpus.documents(200)]
MATERIAL = TuningData(PROMPTS * 4, PROMPTS, {}, real=REAL)
GAN = {"reward": RewardConfig(terms=(("discriminator", 1.0),)), "data": MATERIAL}


def written(texts):
    count = len(texts)
    return Completions([PROMPTS[0]] * count, texts, [""] * count, [4] * count, [0.0] * count)


def test_it_learns_to_tell_real_from_made_and_says_so_on_texts_it_never_saw():
    judge = Discriminator(REAL, seed=0)
    noise = [f"zz qq {n} xx" for n in range(40)]
    for _ in range(10):
        judge.learn(written(noise), steps=5)
    unseen = written([f"qq zz {n} xx xx" for n in range(100, 120)])
    assert judge.accuracy(judge.log_odds(unseen.items).tolist()) > 0.9
    real, made = judge(written([REAL[0][1], noise[0]]))
    assert CLIP >= real > 0 > made >= -CLIP


def test_the_reward_of_a_look_leaves_out_the_term_that_changes():
    rewards = RewardSum.load(RewardConfig(terms=(("length", 2.0), ("discriminator", 1.0))), REAL)
    total, values = rewards(written(["one two", "three"]))
    assert rewards.comparable_sum(values).tolist() == [8.0, 8.0]
    assert total.tolist() != [8.0, 8.0]


@pytest.mark.slow
def test_the_policy_gets_harder_to_tell_and_its_variety_is_told(tune):
    learns = {"max_steps": 12, "learning_rate": 1e-3, "beta": 0.0, "prompts_per_step": 8, "eval_steps": 4, "best_of": 1}
    metrics = tune(config=dataclasses.replace(CONFIG, algorithm="ppo", **learns), **GAN)
    assert [row["step"] for row in metrics["frontier"]] == [0, 4, 8, 12]
    for row in metrics["frontier"]:
        assert 0 <= row["discriminator_accuracy"] <= 1
        assert 0 <= row["self_bleu"] <= 1
    assert metrics["before"]["discriminator_accuracy"] > 0.6


@pytest.mark.slow
def test_a_run_that_was_stopped_and_resumed_equals_an_unbroken_one(tune, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Cancelled):
        tune("no", checkpoint=checkpoint, reporter=CancelAt(4), **GAN)
    resumed, whole = tune("resumed", checkpoint=checkpoint, **GAN), tune("whole", **GAN)
    for row, expected in zip(resumed["frontier"], whole["frontier"], strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": TuningData(PROMPTS, PROMPTS, {}, real=REAL[:5])}, "at least 20 real responses, not 5"),
        ({"config": dataclasses.replace(CONFIG, algorithm="pathwise")}, "a discriminator learns in one process, with"),
        (
            {"config": dataclasses.replace(CONFIG, target_quality=0.9)},
            "target_quality needs the calibration of exactly one preference model",
        ),
    ],
)
def test_bad_input(tune, changes, message):
    with pytest.raises(ValueError, match=message):
        tune(**{**GAN, **changes})
