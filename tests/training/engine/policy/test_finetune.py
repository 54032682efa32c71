"""Tuning runs on a tiny real policy and a tiny real preference model."""

import dataclasses

import pytest
import torch

from tests.training.engine.conftest import records
from tests.training.engine.policy.conftest import CONFIG, HELD_OUT, PROMPTS, CancelAt, Remembering
from training.engine.models.reward import PreferenceModel
from training.engine.rl.actor import Actor
from training.engine.rl.config import ALGORITHMS, POLICY_GRADIENT, PolicyConfig
from training.engine.rl.evaluator import check_reference
from training.engine.rl.finetune import TuningData
from training.engine.rl.onpolicy import OnPolicy
from training.engine.rl.rewards import RewardConfig, RewardSum
from training.engine.rl.state import State
from training.engine.runtime.progress import Cancelled

LEARNS = {"max_steps": 8, "learning_rate": 1e-3, "beta": 0.01, "prompts_per_step": 8, "eval_steps": 8, "best_of": 1}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_starts_at_kl_0_and_raises_the_reward(tune, algorithm, tmp_path):
    from transformers import AutoModelForCausalLM

    changes = {
        "ppo": {"num_iterations": 2, "num_mini_batches": 2},
        "grpo": {"num_iterations": 2},
        "expert-iteration": {"max_steps": 20},
    }.get(algorithm, {})
    metrics = tune(config=dataclasses.replace(CONFIG, algorithm=algorithm, **LEARNS | changes))
    assert metrics["before"]["kl"] == pytest.approx(0, abs=1e-3)
    assert metrics["after"]["kl"] > 0
    assert metrics["after"]["reward"] > metrics["before"]["reward"]
    if algorithm in ("dpo", "kto"):
        assert metrics["after"]["preference_accuracy"] > 0.9
    AutoModelForCausalLM.from_pretrained(tmp_path / "tuned")


def test_the_critic_learns(policy_folder):
    """On a policy that hardly moves the explained variance rises, and never falls below that of a constant."""
    config = dataclasses.replace(
        CONFIG, algorithm="ppo", learning_rate=1e-9, prompts_per_step=16, critic_learning_rate=3e-3
    )
    rewards = RewardSum({"length": (1.0, lambda w: [len(t) / 10 for t in w.texts])}, None)
    algorithm = OnPolicy(Actor.load(str(policy_folder), config), rewards, config, PROMPTS, {})
    explained = [algorithm.step(State(step=step))["explained_variance"] for step in range(16)]
    assert explained[0] == pytest.approx(0.0, abs=1e-5)
    assert sum(explained[-4:]) / 4 > 0.1
    assert min(explained) > -0.05


def test_a_run_that_was_stopped_and_resumed_equals_an_unbroken_one(tune, tmp_path):
    config = dataclasses.replace(
        CONFIG, algorithm="ppo", num_iterations=2, num_mini_batches=2, kl_target=1.0, max_kl=50.0
    )
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(Cancelled):
        tune("no", config=config, checkpoint=checkpoint, reporter=CancelAt(4))
    resumed = tune("resumed", config=config, checkpoint=checkpoint)
    whole = tune("whole", config=config)
    assert resumed["beta"] == pytest.approx(whole["beta"], rel=1e-6)
    for row, expected in zip(resumed["frontier"], whole["frontier"], strict=True):
        assert row == pytest.approx(expected, abs=1e-4)
    assert resumed["best_of"] == whole["best_of"]


def test_with_lora_the_adapter_alone_is_trained_and_the_saved_folder_is_plain(tune, tmp_path, policy_folder):
    from transformers import AutoModelForCausalLM

    config = dataclasses.replace(CONFIG, lora_r=4, **{**LEARNS, "learning_rate": 5e-3})
    tune(config=config)
    saved, start = (AutoModelForCausalLM.from_pretrained(p).state_dict() for p in (tmp_path / "tuned", policy_folder))
    assert set(saved) == set(start)
    changed = {name for name in start if not torch.equal(saved[name], start[name])}
    assert changed
    assert not any("embed" in name or "norm" in name for name in changed)


@pytest.mark.parametrize("algorithm", ["rloo", "grpo", "reinforce"])
def test_equal_rewards_give_no_gradient(policy_folder, algorithm):
    config = dataclasses.replace(CONFIG, algorithm=algorithm, beta=0.0, missing_eos_penalty=0.0)
    actor = Actor.load(str(policy_folder), config)
    rewards = RewardSum({"same": (1.0, lambda completions: [2.0] * len(completions.texts))}, None)
    figures = OnPolicy(actor, rewards, config, PROMPTS, {}).step(State())
    assert figures["grad_norm"] == pytest.approx(0, abs=1e-6)


def test_the_gradient_does_not_depend_on_padding_or_on_how_rows_are_cut(policy_folder):
    """One pass over everything, and passes of a few rows without shared prompts, give the same update."""
    weights = []
    for shared, budget in ((True, 8192), (False, 64)):
        actor = Actor.load(str(policy_folder), dataclasses.replace(CONFIG, learning_rate=1e-3))
        actor.logps.shared, actor.logps.budget = shared, budget
        rewards = RewardSum({"length": (1.0, lambda w: [float(len(t)) for t in w.texts])}, None)
        OnPolicy(actor, rewards, actor.config, PROMPTS, {}).step(State())
        weights.append(actor.weights())
    for name, tensor in weights[0].items():
        # Adam's first step is the gradient's sign times the rate, so a wrong sign would be a gap of 2e-3.
        agree = (tensor - weights[1][name]).abs() < 1e-4
        assert agree.float().mean() > 0.99, name


def test_a_reference_that_is_another_model_is_refused(policy_folder):
    actor = Actor.load(str(policy_folder), CONFIG)
    with torch.no_grad():
        next(actor.reference.parameters()).add_(0.1)
    with pytest.raises(RuntimeError, match="the reference differs"):
        check_reference(actor, PROMPTS[0])


def test_the_kl_budget_is_kept_by_the_saved_policy(tune):
    config = dataclasses.replace(CONFIG, **{**LEARNS, "max_steps": 30, "learning_rate": 3e-3, "beta": 0.0}, max_kl=1.0)
    metrics = tune(config=config)
    assert "limit of 1 nats" in metrics["stopped"]
    assert metrics["steps"] < 30
    assert metrics["after"]["kl"] <= 1.0


def test_a_policy_that_moves_fast_is_looked_at_on_its_way_to_the_budget(tune):
    changes = {"max_steps": 30, "eval_steps": 30, "learning_rate": 2.5e-4, "beta": 0.0}
    metrics = tune(config=dataclasses.replace(CONFIG, **{**LEARNS, **changes}, max_kl=1.0))
    _start, on_the_way, *_ = metrics["frontier"]
    assert 0 < on_the_way["step"] < metrics["steps"] < 30
    assert on_the_way["kl"] <= 1.0


def test_the_guard_stops_the_run_and_the_best_step_is_kept(tune, reward_folder, tmp_path):
    """The guard likes what the reward does not: what the one wins, the other loses."""
    model = PreferenceModel.load(reward_folder)
    model.settings.weights = [-1.0]
    model.save(tmp_path / "guard")
    reporter = Remembering()
    config = dataclasses.replace(CONFIG, **{**LEARNS, "max_steps": 30, "eval_steps": 4, "best_of": 4})
    metrics = tune(config=config, guard=str(tmp_path / "guard"), reporter=reporter)
    assert "over-optimization" in metrics["stopped"]
    assert metrics["steps"] < 30
    assert metrics["best_step"] < metrics["steps"]
    assert metrics["after"]["guard_reward"] > metrics["frontier"][-1]["guard_reward"]
    assert any(f"restored the checkpoint of step {metrics['best_step']}" in line for line in reporter.lines)
    # Both judges are told as a quality, too, of the looks and of best-of-n: what the one finds good the other does not.
    few, *_, many = metrics["best_of"]
    for evaluation in (*metrics["frontier"], few, many):
        assert 0 < evaluation["quality"] < 1
        assert 0 < evaluation["guard_quality"] < 1
    assert few["quality"] < many["quality"]
    assert few["guard_quality"] > many["guard_quality"]


def test_a_run_ends_when_the_quality_is_there(tune):
    config = dataclasses.replace(CONFIG, **{**LEARNS, "max_steps": 40, "eval_steps": 2})
    start = tune(config=dataclasses.replace(config, max_steps=1))["before"]["quality"]
    metrics = tune(config=dataclasses.replace(config, target_quality=start + 0.1))
    assert metrics["stopped"].startswith("quality 0.")
    assert metrics["steps"] < 40
    assert metrics["after"]["quality"] > start
    assert metrics["stop_reason"]["value"] >= start + 0.1  # on the prompts that decide


def test_a_run_ends_where_variety_is_lost_and_keeps_what_has_it(tune):
    config = dataclasses.replace(
        CONFIG, **{**LEARNS, "max_steps": 60, "eval_steps": 5, "beta": 0.0, "learning_rate": 1e-3}
    )
    metrics = tune(config=dataclasses.replace(config, distinct_floor=0.9))
    assert metrics["stopped"].startswith("distinct-2 0.")
    assert metrics["best_step"] < metrics["steps"] < 60
    assert metrics["after"]["distinct_2"] >= 0.9 * metrics["before"]["distinct_2"]
    assert metrics["frontier"][-1]["distinct_2"] < 0.9 * metrics["before"]["distinct_2"]


def test_before_and_after_are_told_for_each_held_out_prompt(tune):
    reporter = Remembering()
    metrics = tune(reporter=reporter)
    assert len(reporter.comparisons) == metrics["held_out_prompts"] == len(HELD_OUT) // 2
    assert {step for step, *_ in reporter.comparisons} == {CONFIG.max_steps}
    for *_, texts, rewards, changes in reporter.comparisons:
        assert len(rewards) == 2
        for text, pieces in zip(texts, changes, strict=True):
            assert "".join(piece for piece, _ in pieces) == text
            assert pieces[-1][0] == ""
            assert any(abs(ratio) > 1e-6 for _, ratio in pieces)
    assert [row["n"] for row in metrics["best_of"]] == [1, 2, 4]
    assert metrics["best_of"][0]["reward"] < metrics["best_of"][2]["reward"]
    assert [row["step"] for row in metrics["frontier"]] == [0, 3, 6]


def test_a_prompt_longer_than_the_context_is_cut_at_its_start(tune):
    long = "My radio arrived damaged. " * 200
    assert tune(data=TuningData([long] * 4, [long], {}))["after"]["length"] > 0


def test_a_policy_without_padding_token_works_and_one_without_end_token_is_refused(policy_folder, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from training.engine.generation.sampling import load_policy

    model, tokenizer = (c.from_pretrained(policy_folder) for c in (AutoModelForCausalLM, AutoTokenizer))
    tokenizer.pad_token = None
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    assert load_policy(str(tmp_path)).tokenizer.pad_token_id == tokenizer.eos_token_id
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no end token"):
        load_policy(str(tmp_path))


def test_an_encoder_decoder_is_tuned_by_its_translations(tune, policy_folder, tmp_path):
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, T5Config, T5ForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(policy_folder)
    torch.manual_seed(0)
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, **ids,
        decoder_start_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    for part in (T5ForConditionalGeneration(config), tokenizer):
        part.save_pretrained(tmp_path / "t5")
    metrics = tune(
        policy=str(tmp_path / "t5"),
        reward=RewardConfig(terms=(("chrf", 10.0), ("fluency", 0.01))),
        data=TuningData(PROMPTS, PROMPTS, dict.fromkeys(PROMPTS, "We will refund you today.")),
        config=dataclasses.replace(
            CONFIG, **{**LEARNS, "max_steps": 12, "learning_rate": 5e-3}, missing_eos_penalty=0.0
        ),
    )
    assert metrics["before"]["kl"] == pytest.approx(0, abs=1e-3)
    assert metrics["after"]["reward_chrf"] > metrics["before"]["reward_chrf"]
    AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "tuned")


class TestBadInput:
    def test_settings_that_contradict_one_another(self):
        with pytest.raises(ValueError, match="rloo compares the samples"):
            PolicyConfig(num_generations=1)
        with pytest.raises(ValueError, match="algorithm must be one of"):
            PolicyConfig(algorithm="sarsa")
        with pytest.raises(ValueError, match="num_mini_batches"):
            PolicyConfig(num_mini_batches=20)

    @pytest.mark.parametrize("algorithm", POLICY_GRADIENT)
    def test_estimators_whose_gradient_points_the_wrong_way(self, algorithm):
        right = {"k2", "k3"} if algorithm == "grpo" else {"k1"}
        for estimator in ("k1", "k2", "k3"):
            if estimator in right:
                assert PolicyConfig(algorithm=algorithm, kl_estimator=estimator).estimator == estimator
                continue
            place = "loss" if algorithm == "grpo" else "reward"
            with pytest.raises(ValueError, match=f"kl_estimator '{estimator}' is wrong in the {place} of {algorithm}"):
                PolicyConfig(algorithm=algorithm, kl_estimator=estimator)

    def test_without_prompts_or_rewards_nothing_starts(self, tune):
        with pytest.raises(ValueError, match="held-out"):
            tune(data=TuningData(["a"], [], {}))
        with pytest.raises(ValueError, match="needs a reward"):
            tune(reward=RewardConfig())

    def test_judgements_without_comparisons(self, tune):
        with pytest.raises(ValueError, match="none compares"):
            tune(config=dataclasses.replace(CONFIG, algorithm="dpo"), data=TuningData(PROMPTS, PROMPTS, {}))
        ties = [dataclasses.replace(record, ranks=(1, 1)) for record in records(4)]
        for algorithm in ("dpo", "kto"):
            with pytest.raises(ValueError, match="all pairs of the train split are even"):
                tune(
                    config=dataclasses.replace(CONFIG, algorithm=algorithm),
                    data=TuningData(PROMPTS, PROMPTS, {}, ties, ties),
                )

    def test_a_checkpoint_of_another_run(self, tune, tmp_path):
        checkpoint = tmp_path / "checkpoint.pt"
        with pytest.raises(Cancelled):
            tune("no", checkpoint=checkpoint, reporter=CancelAt(4))
        with pytest.raises(ValueError, match="another model or other settings"):
            tune("other", checkpoint=checkpoint, config=dataclasses.replace(CONFIG, lora_r=2))
