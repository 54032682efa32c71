"""Pretraining, sampling, policy optimisation on tiny real models."""

import pytest
import torch

from tests.training.engine.conftest import records
from training.engine.policy import PolicyConfig, _Tuner, rl_finetune
from training.engine.preference_training import PreferenceConfig, train_preference
from training.engine.pretraining import PretrainConfig, pretrain
from training.engine.progress import Cancelled, SilentReporter
from training.engine.reward import PreferenceModel
from training.engine.sampling import generate, load_policy

PROMPTS = ["My radio arrived damaged. What can I do?", "I paid twice for my lamp. Please tell me what to do."]


class CancelAt(SilentReporter):
    def __init__(self, step):
        self.at, self.step = step, 0

    def progress(self, step, total):
        self.step = step

    def cancelled(self):
        return self.step >= self.at


class TestPretraining:
    def test_the_folder_opens_in_transformers_and_the_perplexity_fell(self, policy_folder, tmp_path):
        from transformers import AutoModelForCausalLM, AutoTokenizer

        config = PretrainConfig(vocab_size=400, width=64, layers=2, heads=2, steps=30, batch_size=8)
        metrics = pretrain([("Hello", f"Good day {n}.") for n in range(200)], output=tmp_path, config=config)
        assert metrics["perplexity"] < metrics["perplexity_before"] / 4
        model, tokenizer = (c.from_pretrained(tmp_path) for c in (AutoModelForCausalLM, AutoTokenizer))
        assert model.num_parameters() == metrics["parameters"]
        assert (
            tokenizer.decode(tokenizer("¿Ünïcode? 漢字 🎉")["input_ids"], skip_special_tokens=True)
            == "¿Ünïcode? 漢字 🎉"
        )
        assert not list(tmp_path.glob("*.bin"))

    def test_it_goes_on_from_a_base_model_and_can_be_cancelled(self, policy_folder, tmp_path):
        config = PretrainConfig(steps=5, batch_size=4, base=str(policy_folder))
        with pytest.raises(Cancelled):
            pretrain([("a", "b c d")] * 200, output=tmp_path, config=config, reporter=CancelAt(2))


class TestSampling:
    def test_padding_changes_nothing(self, policy_folder):
        policy = load_policy(str(policy_folder))
        together = generate(policy, PROMPTS, temperature=0, max_new_tokens=20)
        alone = [generate(policy, [prompt], temperature=0, max_new_tokens=20)[0] for prompt in PROMPTS]
        assert [c[0].token_ids for c in together] == [c[0].token_ids for c in alone]

    def test_a_seed_gives_its_samples_and_another_seed_others(self, policy_folder):
        policy = load_policy(str(policy_folder))
        first, again, other = (generate(policy, PROMPTS, per_prompt=3, seed=s, max_new_tokens=20) for s in (1, 1, 2))
        assert first == again != other
        assert [len(row) for row in first] == [3, 3]

    def test_an_empty_prompt_works_and_too_many_tokens_are_refused(self, policy_folder):
        policy = load_policy(str(policy_folder))
        assert len(generate(policy, [""], max_new_tokens=5)[0][0].token_ids) <= 5
        with pytest.raises(ValueError, match="no room"):
            generate(policy, PROMPTS, max_new_tokens=policy.context)

    def test_a_finished_response_ends_with_the_end_token(self, policy_folder):
        policy = load_policy(str(policy_folder))
        for completion in generate(policy, PROMPTS, per_prompt=8, max_new_tokens=60, seed=3)[0]:
            assert completion.finished == (completion.token_ids[-1] in policy.end_ids)
            assert "<|" not in completion.text


@pytest.fixture(scope="module")
def reward_folder(policy_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reward")
    config = PreferenceConfig(epochs=2, min_steps=40, learning_rate=2e-3, max_length=96)
    train_preference(records(48), records(8, 48), base_model=str(policy_folder), output=folder, config=config)
    return folder


class TestPolicy:
    CONFIG = PolicyConfig(steps=6, prompts_per_step=4, samples_per_prompt=4, max_new_tokens=24, checkpoint_every=3)

    def tune(self, policy_folder, reward_folder, output, **changes):
        options = {"config": self.CONFIG, **changes}
        return rl_finetune(
            policy=str(policy_folder),
            reward=str(reward_folder),
            prompts=PROMPTS * 4,
            held_out_prompts=PROMPTS * 4,
            output=output,
            **options,
        )

    def test_kl_starts_at_zero_and_the_reward_rises(self, policy_folder, reward_folder, tmp_path):
        from transformers import AutoModelForCausalLM

        config = PolicyConfig(
            steps=25, prompts_per_step=8, samples_per_prompt=4, max_new_tokens=24, learning_rate=1e-3, beta=0.01
        )
        metrics = self.tune(policy_folder, reward_folder, tmp_path, config=config)
        assert metrics["before"]["kl"] == pytest.approx(0, abs=1e-4)
        assert metrics["after"]["reward"] > metrics["before"]["reward"]
        assert metrics["after"]["kl"] > 0
        AutoModelForCausalLM.from_pretrained(tmp_path)

    def test_a_cancelled_run_goes_on_from_its_checkpoint_as_if_nothing_had_happened(
        self, policy_folder, reward_folder, tmp_path
    ):
        checkpoint = tmp_path / "checkpoint.pt"
        with pytest.raises(Cancelled):
            self.tune(policy_folder, reward_folder, tmp_path / "no", checkpoint=checkpoint, reporter=CancelAt(4))
        resumed = self.tune(policy_folder, reward_folder, tmp_path / "resumed", checkpoint=checkpoint)
        whole = self.tune(policy_folder, reward_folder, tmp_path / "whole")
        assert resumed["before"] == whole["before"]
        assert resumed["after"] == pytest.approx(whole["after"], abs=1e-4)

    def test_padding_does_not_change_log_probabilities(self, policy_folder, reward_folder):
        actor = load_policy(str(policy_folder))
        tuner = _Tuner(actor, PreferenceModel.load(reward_folder), self.CONFIG, SilentReporter())
        tokens = [
            actor.tokenizer(text)["input_ids"] for text in ("We will see.", "We will refund you for the lamp today.")
        ]
        with torch.no_grad():
            together, _ = tuner._log_probs(actor.model, tuner._joined(PROMPTS, tokens))
            for row, (prompt, ids) in enumerate(zip(PROMPTS, tokens, strict=True)):
                alone, _ = tuner._log_probs(actor.model, tuner._joined([prompt], [ids]))
                assert torch.allclose(together[row, : len(ids)], alone[0], atol=1e-4)

    def test_beta_follows_the_kl_target(self, policy_folder, reward_folder):
        config = PolicyConfig(kl_target=2.0)
        tuner = _Tuner(load_policy(str(policy_folder)), PreferenceModel.load(reward_folder), config, SilentReporter())
        assert tuner._adapted(0.1, 20.0) == pytest.approx(0.102)
        assert tuner._adapted(0.1, 0.0) == pytest.approx(0.098)
        assert tuner._adapted(0.1, 2.0) == pytest.approx(0.1)

    def test_without_prompts_nothing_starts(self, policy_folder, reward_folder, tmp_path):
        with pytest.raises(ValueError, match="held-out"):
            rl_finetune(
                policy=str(policy_folder), reward=str(reward_folder), prompts=["a"], held_out_prompts=[],
                output=tmp_path, config=self.CONFIG,
            )  # fmt: skip
