"""Pathwise policy gradient: differentiate the reward through the sampled responses instead of estimating its gradient.

Tokens are sampled as usual. In the backward pass each token is replaced with the distribution that it was sampled from
(straight-through: Bengio et al. 2013; Jang et al. 2017), so the preference model's gradient with respect to its input
embeddings reaches the policy. A latent is reparameterized as z = μ + σ·ε (Kingma & Welling 2014) and gets its gradient
in the same way. The KL is that of the full distributions, token by token, and of the latent's prior; both are exact
given the samples.

The estimate is biased, since a distribution over tokens is not a token, and has little variance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from training.engine.generation.rows import Group
from training.engine.models.latent import gaussian_kl
from training.engine.models.reward import PreferenceModel
from training.engine.objectives.policy import kl_k1
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.finetune import ON_POLICY_ALGORITHMS
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, roll_out_step, score_rollout
from training.engine.rl.state import State
from training.engine.runtime import distributed

ROWS = 64  # responses per pass: each of their tokens needs a full distribution


@dataclass(frozen=True)
class Differentiable:
    """A causal preference model with the policy's tokenizer whose inputs are embeddings instead of tokens."""

    model: PreferenceModel
    end_id: int

    @classmethod
    def of(cls, rewards: RewardSum, actor: Actor) -> "Differentiable":
        """Raise ValueError where the reward has no gradient with respect to the policy's tokens."""
        model = rewards.differentiable()
        if model is None:
            raise ValueError("pathwise needs the gradient of the reward: one preference model, and no other term")
        if not model.causal or model.tokenizer.get_vocab() != actor.policy.tokenizer.get_vocab():
            raise ValueError(
                "pathwise needs a causal preference model with the policy's own tokenizer, as train_preference makes "
                "from the policy, or from the policy that it was tuned from, as base_model"
            )
        for encoder in model.encoders:
            encoder.model.requires_grad_(False)
        return cls(model, actor.policy.tokenizer.eos_token_id)

    def rewards(self, heads: Sequence[Sequence[int]], responses: Sequence[Tensor]) -> Tensor:
        """Return rewards (N,) of responses given as one-hot rows (T_n, V) after prompts given as token ids."""
        settings = self.model.settings
        outputs = []
        for encoder in self.model.encoders:
            embed = encoder.model.get_input_embeddings().weight
            end = embed[[self.end_id]]
            rows = []
            for head, hot in zip(heads, responses, strict=True):
                tail = hot.to(embed) @ embed[: hot.shape[1]]
                ended = bool(hot[-1].argmax() == self.end_id)
                rows.append(torch.cat([embed[list(head)], tail] if ended else [embed[list(head)], tail, end]))
            lengths = torch.tensor([len(row) for row in rows])
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = (torch.arange(padded.shape[1]) < lengths.unsqueeze(1)).long()
            body = encoder.model.base_model(inputs_embeds=padded, attention_mask=mask, use_cache=False)
            states = body.last_hidden_state[torch.arange(len(rows)), lengths - 1]
            outputs.append(encoder.model.score(states).view(len(rows), settings.heads, len(settings.outputs)))
        members = (torch.cat(outputs, dim=1) * torch.tensor(settings.weights)).sum(dim=2)
        return members.mean(dim=1)


class Pathwise:
    def __init__(
        self,
        actor: Actor,
        rewards: RewardSum,
        config: PolicyConfig,
        prompts: Sequence[str],
        references: Mapping[str, str],
    ) -> None:
        self.actor, self.rewards, self.config = actor, rewards, config
        self.prompts, self.references = prompts, references
        self.reward = Differentiable.of(rewards, actor)

    def step(self, state: State) -> dict[str, float]:
        """Sample and follow the gradient. Returns the figures of the batch before the update."""
        rollout = roll_out_step(self.actor, self.prompts, self.references, state.step)
        total, _ = score_rollout(self.rewards, rollout)
        size = max(1, ROWS * len(rollout.groups) // len(total))
        for start in range(0, len(rollout.groups), size):
            part = rollout.groups[start : start + size]
            loss = self._loss(rollout, part, state.beta) * sum(len(g.responses) for g in part)
            (loss / (len(total) * distributed.world_size())).backward()
        state.sample = (rollout.prompts[0], rollout.completions.texts[0], total[0].item())
        return distributed.all_reduce_means(
            {
                "reward": total.mean().item(),
                "kl": rollout.response_sums(kl_k1(rollout.log_probs, rollout.log_reference)).mean().item(),
                "length": rollout.mask.sum(dim=1).mean().item(),
                "finished": rollout.finished.float().mean().item(),
                "beta": state.beta,
                "grad_norm": self.actor.update(),
            }
        )

    def _loss(self, rollout: Rollout, groups: Sequence[Group], beta: float) -> Tensor:
        """-E[r] + β KL over the responses of these groups."""
        latent_kl: Tensor | float = self._move_latents(groups) if rollout.latent_kl is not None else 0.0
        heads = [self._head(group) for group in groups for _ in group.responses]
        lengths = [len(tokens) for group in groups for tokens in group.responses]
        log_probs, log_reference, tokens = self._distributions(groups, max(lengths))
        probs = log_probs.exp()
        kl = (probs * (log_probs - log_reference)).sum(dim=1)
        hot = F.one_hot(tokens, probs.shape[1]).float() + probs - probs.detach()
        rewards = self.reward.rewards(heads, torch.split(hot, lengths))
        return -rewards.mean() + beta * (kl.sum() / len(lengths) + latent_kl)

    def _distributions(self, groups: Sequence[Group], width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return log-probabilities of all tokens (M, V) under policy and reference, and the sampled tokens (M,),
        response by response."""
        logps, model = self.actor.logps, self.actor.policy.model
        outputs, indices = [], []
        for batch in logps.batches(groups, width):
            log_probs = logps.distributions(batch, model)
            with torch.no_grad(), self.actor.reference_policy() as policy:
                log_reference = logps.distributions(batch, policy.model)
            outputs.append((log_probs, log_reference, batch.targets))
            indices.append(batch.index)
        order = torch.cat(indices).argsort()
        log_probs, log_reference, tokens = (torch.cat(part)[order] for part in zip(*outputs, strict=True))
        return log_probs, log_reference, tokens

    def _head(self, group: Group) -> Sequence[int]:
        """Return the prompt for the preference model: without the token of a latent."""
        return group.prompt[:-1] if self.actor.policy.latent else group.prompt

    def _move_latents(self, groups: Sequence[Group]) -> Tensor:
        """Rewrite the sampled latents as functions of the prior's mean and spread; return that prior's KL."""
        model, reference = self.actor.policy.model, self.actor.reference
        assert reference is not None
        prompts = [self._head(group) for group in groups]
        places = torch.tensor([group.prompt[-1] for group in groups]) - model.config.vocab_size
        mean, log_variance = model.prior_parameters(prompts)
        spread = (log_variance / 2).exp()
        latents = model.latents.table.detach().clone()
        noise = ((latents[places] - mean) / spread).detach()
        model.latents.table = latents.index_put((places,), mean + spread * noise)
        with torch.no_grad():
            reference_prior = reference.prior_parameters(prompts)
        return gaussian_kl(mean, log_variance, *reference_prior).sum(dim=1).mean()


ON_POLICY_ALGORITHMS["pathwise"] = Pathwise
