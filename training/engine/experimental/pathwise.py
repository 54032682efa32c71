"""The pathwise family: the gradient of the reward itself, through what was written, instead of a sampled estimate.

Tokens are sampled as ever. In the backward pass each stands for the distribution it was drawn from (straight-through:
Bengio et al. 2013; Jang et al. 2017), so the preference model's gradient with respect to its input vectors reaches the
policy. A latent is z = μ + σ·ε, reparameterised (Kingma & Welling 2014), and gets its gradient the same way. The KL is
that of the whole distributions, token by token, and of the latent's prior; both are exact given what was sampled.

The estimate has a bias, since a distribution over tokens is no token, and little variance.
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
from training.engine.rl.finetune import ON_POLICY_FAMILIES
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, roll_out_step, score_together
from training.engine.rl.state import State
from training.engine.runtime import distributed

ROWS = 64  # responses in one pass: each token of them has a whole distribution


@dataclass(frozen=True)
class Differentiable:
    """A causal preference model with the policy's own tokenizer, read from vectors instead of tokens."""

    model: PreferenceModel
    end_id: int

    @classmethod
    def of(cls, rewards: RewardSum, actor: Actor) -> "Differentiable":
        """Raises ValueError where the reward has no gradient with respect to the policy's tokens."""
        model = rewards.differentiable()
        if model is None:
            raise ValueError("pathwise needs the gradient of the reward: one preference model, and no other term")
        if not model.causal or model.tokenizer.get_vocab() != actor.policy.tokenizer.get_vocab():
            raise ValueError(
                "pathwise needs a causal preference model with the policy's own tokenizer, such as train_preference "
                "makes with the policy, or what it was tuned from, as base_model"
            )
        for reader in model.readers:
            reader.model.requires_grad_(False)
        return cls(model, actor.policy.tokenizer.eos_token_id)

    def rewards(self, heads: Sequence[Sequence[int]], written: Sequence[Tensor]) -> Tensor:
        """Rewards (N,) of responses that are one-hot rows (T_n, V) behind prompts of token ids."""
        settings = self.model.settings
        outputs = []
        for reader in self.model.readers:
            vectors = reader.model.get_input_embeddings().weight
            end = vectors[[self.end_id]]
            rows = []
            for head, hot in zip(heads, written, strict=True):
                tail = hot.to(vectors) @ vectors[: hot.shape[1]]
                ended = bool(hot[-1].argmax() == self.end_id)
                rows.append(torch.cat([vectors[list(head)], tail] if ended else [vectors[list(head)], tail, end]))
            lengths = torch.tensor([len(row) for row in rows])
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            mask = (torch.arange(padded.shape[1]) < lengths.unsqueeze(1)).long()
            body = reader.model.base_model(inputs_embeds=padded, attention_mask=mask, use_cache=False)
            states = body.last_hidden_state[torch.arange(len(rows)), lengths - 1]
            outputs.append(reader.model.score(states).view(len(rows), settings.heads, len(settings.outputs)))
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
        """Sample, follow the gradient. Returns the figures of the batch, from before the update."""
        rollout = roll_out_step(self.actor, self.prompts, self.references, state.step)
        total, _ = score_together(self.rewards, rollout)
        size = max(1, ROWS * len(rollout.groups) // len(total))
        for start in range(0, len(rollout.groups), size):
            part = rollout.groups[start : start + size]
            loss = self._loss(rollout, part, state.beta) * sum(len(g.responses) for g in part)
            (loss / (len(total) * distributed.processes())).backward()
        state.sample = (rollout.prompts[0], rollout.written.texts[0], total[0].item())
        return distributed.means(
            {
                "reward": total.mean().item(),
                "kl": rollout.of_responses(kl_k1(rollout.log_probs, rollout.log_reference)).mean().item(),
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
        """Log-probabilities of all tokens (M, V) under policy and reference, and the sampled ones (M,), response by
        response."""
        passes, model = self.actor.passes, self.actor.policy.model
        found, places = [], []
        for rows in passes.rows_of(groups, width):
            log_probs = passes.distributions(rows, model)
            with torch.no_grad(), self.actor.as_it_was() as policy:
                before = passes.distributions(rows, policy.model)
            found.append((log_probs, before, rows.tokens))
            places.append(rows.place)
        order = torch.cat(places).argsort()
        log_probs, before, tokens = (torch.cat(part)[order] for part in zip(*found, strict=True))
        return log_probs, before, tokens

    def _head(self, group: Group) -> Sequence[int]:
        """The prompt as the preference model reads it: without a latent's number."""
        return group.prompt[:-1] if self.actor.policy.latent else group.prompt

    def _move_latents(self, groups: Sequence[Group]) -> Tensor:
        """Put the same draws in the latents' place as functions of the prior's mean and spread; that prior's KL."""
        model, reference = self.actor.policy.model, self.actor.reference
        assert reference is not None
        prompts = [self._head(group) for group in groups]
        places = torch.tensor([group.prompt[-1] for group in groups]) - model.config.vocab_size
        mean, log_variance = model.wants(prompts)
        spread = (log_variance / 2).exp()
        held = model.latents.table.detach().clone()
        noise = ((held[places] - mean) / spread).detach()
        model.latents.table = held.index_put((places,), mean + spread * noise)
        with torch.no_grad():
            before = reference.wants(prompts)
        return gaussian_kl(mean, log_variance, *before).sum(dim=1).mean()


ON_POLICY_FAMILIES["pathwise"] = Pathwise
