"""Pretraining, sampling, policy optimisation on tiny real models."""

import pytest

from tests.training.engine.conftest import documents
from training.engine.generation.sampling import generate, load_policy
from training.engine.pretraining.training import PretrainConfig, pretrain
from training.engine.runtime.progress import Cancelled, SilentReporter

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

        config = PretrainConfig(vocab_size=400, width=64, layers=2, heads=2, max_steps=30, batch_size=8)
        corpus = documents(("Hello", f"Good day {n}.") for n in range(200))
        metrics = pretrain(corpus, output=tmp_path, config=config)
        assert metrics["perplexity"] < metrics["perplexity_before"] / 4
        model, tokenizer = (c.from_pretrained(tmp_path) for c in (AutoModelForCausalLM, AutoTokenizer))
        assert model.num_parameters() == metrics["parameters"]
        assert (
            tokenizer.decode(tokenizer("¿Ünïcode? 漢字 🎉")["input_ids"], skip_special_tokens=True)
            == "¿Ünïcode? 漢字 🎉"
        )
        assert not list(tmp_path.glob("*.bin"))

    def test_it_goes_on_from_a_base_model_and_can_be_cancelled(self, policy_folder, tmp_path):
        config = PretrainConfig(max_steps=5, batch_size=4, base=str(policy_folder))
        with pytest.raises(Cancelled):
            pretrain(documents([("a", "b c d")] * 500), output=tmp_path, config=config, reporter=CancelAt(2))


class TestSampling:
    def test_padding_changes_nothing(self, policy_folder):
        policy = load_policy(str(policy_folder))
        together = generate(policy, PROMPTS, temperature=0, max_completion_length=20)
        alone = [generate(policy, [prompt], temperature=0, max_completion_length=20)[0] for prompt in PROMPTS]
        assert [c[0].token_ids for c in together] == [c[0].token_ids for c in alone]

    def test_a_seed_gives_its_samples_and_another_seed_others(self, policy_folder):
        policy = load_policy(str(policy_folder))
        first, again, other = (
            generate(policy, PROMPTS, per_prompt=3, seed=s, max_completion_length=20) for s in (1, 1, 2)
        )
        assert first == again != other
        assert [len(row) for row in first] == [3, 3]

    def test_an_empty_prompt_works_and_too_many_tokens_are_refused(self, policy_folder):
        policy = load_policy(str(policy_folder))
        assert len(generate(policy, [""], max_completion_length=5)[0][0].token_ids) <= 5
        with pytest.raises(ValueError, match="no room"):
            generate(policy, PROMPTS, max_completion_length=policy.context)

    def test_a_finished_response_ends_with_the_end_token(self, policy_folder):
        policy = load_policy(str(policy_folder))
        for completion in generate(policy, PROMPTS, per_prompt=8, max_completion_length=60, seed=3)[0]:
            assert completion.finished == (completion.token_ids[-1] in policy.end_ids)
            assert "<|" not in completion.text
