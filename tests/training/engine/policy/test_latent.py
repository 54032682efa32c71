"""A policy with a latent: its distributions against numbers worked out by hand, its folder, pretraining and tuning."""

import copy
import dataclasses
import math

import pytest
import torch

from tests.training.engine.conftest import documents
from tests.training.engine.policy.conftest import CONFIG, PROMPTS, CancelAt
from training.demo import corpus
from training.engine.experimental.latent_pretraining import Texts, importance_bound, log_likelihood
from training.engine.generation.sampling import generate, load_policy
from training.engine.models.latent import LatentForCausalLM, gaussian_kl, log_density
from training.engine.pretraining.training import PretrainConfig, pretrain
from training.engine.rl.actor import Actor
from training.engine.rl.evaluator import check_reference
from training.engine.rl.rollouts import roll_out
from training.engine.runtime.progress import Cancelled

LATENT = PretrainConfig(policy_kind="vae", latent_size=4, max_steps=120, batch_size=16, learning_rate=2e-3)


@pytest.fixture(scope="session")
def vae(policy_folder, tmp_path_factory):
    """(folder, metrics) of a policy with a latent."""
    folder = tmp_path_factory.mktemp("vae")
    config = dataclasses.replace(LATENT, base=str(policy_folder))
    return folder, pretrain(documents(corpus.documents(400)), output=folder, config=config)


class TestDistributions:
    def test_the_divergence_of_two_normals(self):
        # ½(σ² + μ² - 1 - ln σ²) with μ = 1, σ² = 4; and half of a squared distance where the spreads are equal
        assert gaussian_kl(torch.tensor(1.0), torch.tensor(math.log(4))).item() == pytest.approx(2 - math.log(2))
        shifted = gaussian_kl(torch.tensor(3.0), torch.tensor(0.0), torch.tensor(1.0), torch.tensor(0.0))
        assert shifted.item() == pytest.approx(2.0)

    def test_the_density_is_that_of_torch(self):
        z, mean, log_variance = torch.randn(3, 5, 4)
        expected = torch.distributions.Normal(mean, (log_variance / 2).exp()).log_prob(z).sum(dim=1)
        assert torch.allclose(log_density(z, mean, log_variance), expected, atol=1e-5)


class TestModel:
    def test_without_a_latent_in_the_row_it_is_the_model_it_was_made_from(self, policy_folder):
        plain = load_policy(str(policy_folder)).model
        ids = torch.tensor([[1, 2, 3, 4]])
        latent = LatentForCausalLM.from_language_model(plain, 4).eval()
        assert torch.equal(latent(input_ids=ids).logits, plain(input_ids=ids).logits)

    def test_what_it_writes_depends_on_the_latent_and_a_copy_reads_the_same_one(self, vae):
        model = load_policy(str(vae[0])).model
        first, second = model.draw([[1, 2]], 2, [0])
        logits = model(input_ids=torch.tensor([first, second])).logits
        assert not torch.allclose(logits[0, -1], logits[1, -1])
        assert torch.equal(copy.deepcopy(model)(input_ids=torch.tensor([first, second])).logits, logits)

    def test_the_prior_starts_as_a_standard_normal_and_does_not_depend_on_padding(self, vae):
        model = load_policy(str(vae[0])).model
        assert all(not part.any() for part in model.prior_parameters([[1, 2], [3]]))
        torch.nn.init.normal_(model.prior.weight)
        together, alone = model.prior_parameters([[1, 2, 3], [3]])[0][1], model.prior_parameters([[3]])[0][0]
        assert torch.allclose(together, alone, atol=1e-5)

    def test_an_encoder_decoder_carries_none(self):
        from transformers import T5Config, T5ForConditionalGeneration

        model = T5ForConditionalGeneration(T5Config(vocab_size=40, d_model=16, d_kv=8, d_ff=32, num_layers=1))
        with pytest.raises(ValueError, match="cannot have a latent"):
            LatentForCausalLM.from_language_model(model, 4)


class TestPretraining:
    def test_it_learns_and_the_latent_is_used(self, vae):
        _, metrics = vae
        assert metrics["perplexity"] < metrics["perplexity_before"]
        assert metrics["active_units"] == metrics["latent_size"] == 4
        assert metrics["latent_kl"] > 0.5

    def test_a_text_is_likelier_given_its_own_latent_than_given_that_of_another(self, vae):
        model = load_policy(str(vae[0])).model
        rows = [([1], [5, 6, 7]), ([1], [9, 9, 9])]
        batch = Texts.of(rows)
        assert batch.ids.tolist() == [[1, 0, 5, 6, 7], [1, 0, 9, 9, 9]]
        assert batch.inside.tolist() == [[0, 0, 1, 1, 1]] * 2
        with torch.no_grad():
            by_hand = model(input_ids=torch.tensor([[1, *model.set_latents(torch.ones(1, 4)), 5, 6, 7]])).logits[0]
            expected = by_hand.log_softmax(dim=-1)[[1, 2, 3], [5, 6, 7]].sum()
            found = log_likelihood(model, batch, torch.ones(2, 4))[0]
        assert found.item() == pytest.approx(expected.item(), abs=1e-4)

    def test_more_draws_give_a_tighter_bound(self, vae):
        torch.manual_seed(0)
        policy = load_policy(str(vae[0]))
        rows = [([1], policy.tokenizer(text)["input_ids"]) for _, text in corpus.documents(40)]
        one, many = (importance_bound(policy.model, Texts.of(rows), draws).mean() for draws in (1, 32))
        assert many > one

    def test_other_objectives_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="needs objective mle"):
            pretrain([], output=tmp_path, config=dataclasses.replace(LATENT, objective="joint"))


class TestTuning:
    def test_samples_repeat_with_the_seed_and_differ_without_it(self, vae):
        policy = load_policy(str(vae[0]))
        one, same, other = (generate(policy, PROMPTS, per_prompt=3, seed=seed) for seed in (1, 1, 2))
        assert one == same != other

    def test_nothing_diverges_before_the_first_step(self, vae):
        actor = Actor.load(str(vae[0]), CONFIG)
        assert "float32" in check_reference(actor, PROMPTS[0])
        rollout = roll_out(actor, PROMPTS, {}, 3, [1, 2])
        assert len(rollout.groups) == 6
        assert not rollout.latent_kl.any()

    def test_the_divergence_counts_the_latents_prior(self, vae):
        actor = Actor.load(str(vae[0]), CONFIG)
        with torch.no_grad():
            actor.policy.model.prior.bias[:4] = 1.0
        rollout = roll_out(actor, PROMPTS, {}, 2, [1, 2])
        # Four means of 1 against 0: four times ½.
        assert torch.allclose(rollout.latent_kl, torch.full((4,), 2.0), atol=1e-5)
        assert torch.allclose(rollout.response_sums(torch.zeros_like(rollout.mask)), rollout.latent_kl)

    @pytest.mark.parametrize("algorithm", ["rloo", "ppo", "grpo", "pathwise"])
    def test_the_reward_rises_and_the_folder_opens(self, vae, tune, algorithm, tmp_path):
        learns = {"max_steps": 10, "learning_rate": 1e-3, "beta": 0.01, "prompts_per_step": 8, "eval_steps": 10}
        config = dataclasses.replace(CONFIG, algorithm=algorithm, **learns, best_of=1)
        metrics = tune(policy=str(vae[0]), config=config)
        assert metrics["before"]["kl"] == pytest.approx(0, abs=1e-3)
        assert metrics["after"]["reward"] > metrics["before"]["reward"]
        written = generate(load_policy(str(tmp_path / "tuned")), PROMPTS, per_prompt=16)
        assert any(sample.text for of_prompt in written for sample in of_prompt)

    def test_resumed_equals_unbroken(self, vae, tune, tmp_path):
        checkpoint = tmp_path / "checkpoint.pt"
        with pytest.raises(Cancelled):
            tune("no", policy=str(vae[0]), checkpoint=checkpoint, reporter=CancelAt(4))
        resumed = tune("resumed", policy=str(vae[0]), checkpoint=checkpoint)
        whole = tune("whole", policy=str(vae[0]))
        for row, expected in zip(resumed["frontier"], whole["frontier"], strict=True):
            assert row == pytest.approx(expected, abs=1e-4)

    def test_an_adapter_is_refused(self, vae, tune):
        with pytest.raises(ValueError, match="lora_r must be 0"):
            tune(policy=str(vae[0]), config=dataclasses.replace(CONFIG, lora_r=2))
