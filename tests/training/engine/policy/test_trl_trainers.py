"""Palate's tuning by TRL's own trainers. They are an extra: where it is missing, what trains is skipped. .ci/run has it
in an environment of its own (requirements-trl.txt) and runs this file there, with PALATE_REQUIRE_TRL."""

import dataclasses
import os
from importlib import metadata

import pytest
import torch

from tests.training.engine.policy.conftest import CONFIG, PROMPTS, CancelAt, Remembering
from tests.training.engine.policy.test_finetune import LEARNS
from training.engine.rl import engines
from training.engine.rl.actor import Actor
from training.engine.rl.engines import TRL, trl_missing, unsupported
from training.engine.rl.finetune import TuningData
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.rl.trl_trainers import TrlSteps
from training.engine.runtime.progress import Cancelled

needs_trl = pytest.mark.skipif(
    bool(trl_missing()) and not os.environ.get("PALATE_REQUIRE_TRL"),
    reason=f"the engine trl was not tried: {trl_missing()}",
)
TRAINED = dataclasses.replace(CONFIG, **LEARNS)


def by_trl(**changes):
    return dataclasses.replace(TRAINED, engine="trl", **changes)


@needs_trl
@pytest.mark.parametrize("algorithm", ["rloo", "grpo"])
def test_trl_raises_the_reward_and_tells_what_palates_steps_tell(tune, algorithm, tmp_path):
    from transformers import AutoModelForCausalLM

    curves = {}
    for engine, steps in (("palate", 1), ("trl", 16)):
        reporter = Remembering()
        config = dataclasses.replace(TRAINED, algorithm=algorithm, engine=engine, max_steps=steps, eval_steps=16)
        metrics = tune(engine, config=config, reporter=reporter)
        curves[engine] = [values for _, values in reporter.points if "grad_norm" in values]
    AutoModelForCausalLM.from_pretrained(tmp_path / "trl")
    assert metrics["after"]["kl"] > 0.1
    first, *_, last = curves["trl"]
    assert len(curves["trl"]) == 16
    assert set(curves["palate"][0]) - set(first) == {"kl_k3"}
    assert first["kl"] == pytest.approx(0, abs=1e-3)  # TRL's reference is the policy as it was
    # The same start on the same prompts, with other draws.
    assert first["entropy"] == pytest.approx(curves["palate"][0]["entropy"], rel=0.2)
    assert last["kl"] > 0.1
    rewards = [values["reward"] for values in curves["trl"]]  # of 32 samples each
    assert sum(rewards[-4:]) > sum(rewards[:4])


@needs_trl
def test_a_run_by_trl_that_was_stopped_and_resumed_equals_an_unbroken_one(tune, tmp_path):
    config = by_trl(max_steps=6, eval_steps=3, save_steps=3)
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Cancelled):
        tune("no", config=config, checkpoint=checkpoint, reporter=CancelAt(4))
    resumed = tune("resumed", config=config, checkpoint=checkpoint)
    whole = tune("whole", config=config)
    assert [row["step"] for row in resumed["frontier"]] == [0, 3, 6]
    for row, expected in zip(resumed["frontier"], whole["frontier"], strict=True):
        assert row == pytest.approx(expected, abs=1e-4)


@needs_trl
def test_budget_and_lora_hold_with_trl_too(tune, tmp_path, policy_folder):
    from transformers import AutoModelForCausalLM

    config = by_trl(lora_r=4, max_kl=1.0, eval_steps=2)
    config = dataclasses.replace(config, max_steps=40, learning_rate=1e-2, beta=0.0)
    metrics = tune(config=config)
    assert "limit of 1 nats" in metrics["stopped"]
    assert metrics["steps"] < 40
    assert metrics["after"]["kl"] <= 1.0
    saved, start = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (tmp_path / "tuned", policy_folder))
    assert set(saved) == set(start)
    assert not any("embed" in name or "norm" in name for name in start if not torch.equal(saved[name], start[name]))


@needs_trl
def test_a_reward_that_is_no_number_ends_the_run_by_name(tune):
    with pytest.raises(ValueError, match=r"'tests.training.engine.policy.test_trl_trainers.broken' gave nan"):
        tune(config=by_trl(best_of=1), reward=RewardConfig(function=f"{__name__}.broken"))


def broken(prompts, responses):
    """Nothing is wrong with it at the looks, one sample a prompt; in a step there are four."""
    return [float("nan") if len(set(prompts)) < len(prompts) / 2 else 1.0 for _ in prompts]


class TestRefusals:
    """These need no TRL: `here` stands for one that is installed."""

    @pytest.fixture
    def here(self, monkeypatch):
        def version(found):
            monkeypatch.setattr(engines, "metadata", Metadata(found))

        version(f"{TRL}.0")
        return version

    @pytest.mark.parametrize(
        ("changes", "name", "words"),
        [
            ({"algorithm": "ppo"}, "algorithm", "rloo, grpo"),
            ({"kl_target": 4.0}, "kl_target", "beta fixed"),
            ({"whiten_rewards": True}, "whiten_rewards", "advantages"),
            ({"reward_clip": 2.0}, "reward_clip", "standard deviations"),
            ({"num_iterations": 2}, "num_iterations", "must be 1"),
            ({"num_mini_batches": 2}, "num_mini_batches", "must be 1"),
            ({"precision": "bfloat16"}, "precision", "float32"),
            ({"algorithm": "grpo", "kl_estimator": "k2"}, "kl_estimator", "k3"),
            ({"sampler": "vllm", "lora_r": 2}, "sampler", "transformers"),
        ],
    )
    def test_what_trl_cannot_do_is_refused_by_name(self, here, changes, name, words):
        with pytest.raises(ValueError, match=f"^{name} .*{words}"):
            by_trl(**changes)
        assert not list(unsupported(dataclasses.replace(TRAINED, **changes)))

    @pytest.mark.parametrize(("found", "words"), [(None, "it is not installed"), ("1.17.0", "1.17.0 is installed")])
    def test_another_version_of_trl_or_none(self, here, found, words):
        assert by_trl().engine == "trl"
        here(found)
        with pytest.raises(ValueError, match=f"engine trl needs TRL {TRL}, but {words}: pip install -r"):
            by_trl()

    def test_an_unknown_engine(self):
        with pytest.raises(ValueError, match="engine must be one of palate, trl, not 'verl'"):
            dataclasses.replace(TRAINED, engine="verl")

    def test_prompts_that_trl_would_read_as_other_tokens(self, here, policy_folder):
        actor = Actor.load(str(policy_folder), by_trl())
        steps = TrlSteps(actor, RewardSum({}, None), actor.config, PROMPTS, {})
        assert steps._trl_prompt(PROMPTS[0]) == PROMPTS[0] + "\n"
        assert actor.policy.tokenizer(steps._trl_prompt(""))["input_ids"] == actor.prompt_ids("")
        actor.policy.tokenizer.chat_template = "<{{ messages[0]['content'] }}>"
        assert steps._trl_prompt("Hi") == [{"role": "user", "content": "Hi"}]
        with pytest.raises(ValueError, match="differently than Palate"):
            steps._trl_prompt("long " * 2000)

    def test_a_discriminator_learns_beside_the_policy(self, here, tune):
        with pytest.raises(ValueError, match="does not support a discriminator"):
            tune(
                config=by_trl(),
                reward=RewardConfig(terms=(("discriminator", 1.0),)),
                data=TuningData(PROMPTS, PROMPTS, {}, real=[(PROMPTS[0], f"We will refund {n}.") for n in range(20)]),
            )


class Metadata:
    """importlib.metadata of an environment in which TRL has this version, or is missing."""

    PackageNotFoundError = metadata.PackageNotFoundError

    def __init__(self, found):
        self.found = found

    def version(self, name):
        if self.found is None:
            raise metadata.PackageNotFoundError(name)
        return self.found
