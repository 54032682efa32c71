"""The on-policy family: sample, score, give each token its credit, update.

RLOO, GRPO, PPO, REINFORCE and expert iteration.

All maximise E[r(x, y)] - β KL(π ‖ π_ref) (Ziegler et al. 2019, eq. 2) through the clipped surrogate; they differ in the
credit and in what the sum over tokens is divided by. A batch that is used once has ratio 1: then the surrogate's
gradient is REINFORCE's, and nothing is clipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine import workers
from training.engine.objectives import (
    KL_ESTIMATORS,
    adapted_beta,
    batch_advantages,
    clipped_surrogate,
    clipped_value_loss,
    gae,
    group_advantages,
    kl_k1,
    kl_k3,
    rloo_advantages,
    whitened,
)
from training.engine.policy.actor import Actor
from training.engine.policy.config import PolicyConfig
from training.engine.policy.passes import TokenValues
from training.engine.policy.rewards import RewardSum
from training.engine.policy.rollouts import Rollout, dealt, roll_out, roll_out_step
from training.engine.policy.state import State

WARM_UP, WARM_UP_STEPS = 5, 20  # batches of the start's samples, and a discriminator's steps on each


@dataclass(frozen=True)
class Credit:
    """What each token of a rollout is to be reinforced by, all (N, T)."""

    advantages: Tensor
    weights: Tensor  # of a token in the loss; they take the place of a mean
    returns: Tensor | None = None  # what the value head should have said
    old_values: Tensor | None = None


class OnPolicy:
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
        self.estimate = KL_ESTIMATORS[config.estimator]

    def prepare(self) -> None:
        """Let a discriminator first learn to tell the start's samples, or its reward would mean nothing."""
        if self.rewards.adversary is None:
            return
        config = self.config
        for batch in range(WARM_UP):
            chosen = dealt(self.prompts, batch, config.prompts_per_step, config.seed + 1)
            rollout = roll_out(self.actor, chosen, self.references, config.samples_per_prompt)
            self.rewards.adversary.learn(rollout.written, steps=WARM_UP_STEPS)

    def step(self, state: State) -> dict[str, float]:
        """Sample, score, update. Returns the figures of the batch, from before the update."""
        config = self.config
        rollout = roll_out_step(self.actor, self.prompts, self.references, state.step)
        total, terms = self.rewards(rollout.written)
        self.rewards.watch(terms)
        if self.rewards.adversary:
            self.rewards.adversary.learn(rollout.written)
        kl = rollout.of_responses(kl_k1(rollout.log_probs, rollout.log_reference))  # (N,)
        credit = self._credit(rollout, self._shaped(total, rollout, state), state.beta)
        figures = {
            "reward": total.mean().item(),
            **({f"reward_{name}": values.mean().item() for name, values in terms.items()} if len(terms) > 1 else {}),
            "kl": kl.mean().item(),
            "kl_k3": rollout.of_responses(kl_k3(rollout.log_probs, rollout.log_reference)).mean().item(),
            "length": rollout.mask.sum(dim=1).mean().item(),
            "finished": rollout.finished.float().mean().item(),
            "beta": state.beta,
            **self._update(rollout, credit, state.beta),
        }
        figures = workers.means(figures)
        if config.kl_target:
            state.beta = adapted_beta(state.beta, figures["kl"], config.kl_target)
        state.sample = (rollout.prompts[0], rollout.written.texts[0], total[0].item())
        return figures

    def _shaped(self, total: Tensor, rollout: Rollout, state: State) -> Tensor:
        """Rewards (N,) as the update sees them: clipped, whitened, and less the penalty of an unfinished response."""
        config = self.config
        if config.reward_clip:
            mean, spread = state.start
            total = total.clamp(mean - config.reward_clip * spread, mean + config.reward_clip * spread)
        if config.whiten_rewards:
            total = (total - total.mean()) / (total.std() + 1e-8)
        return total - config.unfinished_penalty * (~rollout.finished).float()

    def _credit(self, rollout: Rollout, rewards: Tensor, beta: float) -> Credit:
        config, mask = self.config, rollout.mask
        shape = (len(rollout.prompts), config.samples_per_prompt)
        kl = self.estimate(rollout.log_probs, rollout.log_reference) * mask  # (N, T)
        each = mask / len(mask)  # a response's tokens are summed, responses averaged
        if config.algorithm == "ppo":
            return self._token_credit(rollout, rewards, kl, beta)
        if config.algorithm == "grpo":
            advantages = group_advantages(rewards.view(shape)).flatten()
            return Credit(advantages.unsqueeze(1) * mask, each / mask.sum(dim=1, keepdim=True))
        penalised = (rewards - beta * kl.sum(dim=1)).view(shape)
        if config.algorithm == "expert-iteration":
            # The best sample of each prompt is imitated: Anthony et al. 2017; as best-of-n, Gulcehre et al. 2023.
            best = torch.zeros(shape).scatter(1, penalised.argmax(dim=1, keepdim=True), 1.0).flatten()
            return Credit(best.unsqueeze(1) * mask, mask / shape[0])
        of_sample = batch_advantages(penalised) if config.algorithm == "reinforce" else rloo_advantages(penalised)
        return Credit(of_sample.flatten().unsqueeze(1) * mask, each)

    def _token_credit(self, rollout: Rollout, rewards: Tensor, kl: Tensor, beta: float) -> Credit:
        """PPO: the KL is paid token by token, the reward comes with the last one (Ziegler et al. 2019, sec. 2)."""
        mask = rollout.mask
        values = self.actor.token_values(rollout.groups, rollout.width) * mask
        last = mask.sum(dim=1).long() - 1
        of_tokens = -beta * kl
        of_tokens[torch.arange(len(mask)), last] += rewards
        advantages, returns = gae(of_tokens, values, mask, gamma=self.config.gamma, lam=self.config.lam)
        return Credit(whitened(advantages, mask), mask / mask.sum(), returns, values)

    def _update(self, rollout: Rollout, credit: Credit, beta: float) -> dict[str, float]:
        """The optimiser steps on one batch; returns means over its tokens, of the last step where there are more."""
        config, k = self.config, len(rollout.mask) // len(rollout.groups)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        figures: dict[str, float] = {}
        for _ in range(config.epochs):
            order = torch.randperm(len(rollout.groups), generator=generator)
            for part in order.chunk(config.minibatches):
                samples = (part.unsqueeze(1) * k + torch.arange(k)).flatten()  # the numbers of their samples
                figures = self._minibatch(rollout, credit, part.tolist(), samples, beta)
        return figures

    def _minibatch(
        self, rollout: Rollout, credit: Credit, part: Sequence[int], samples: Tensor, beta: float
    ) -> dict[str, float]:
        scale = len(rollout.mask) / len(samples)  # the weights were made for the whole batch
        old, reference, advantages, weights = (
            table[samples].flatten()
            for table in (rollout.log_probs, rollout.log_reference, credit.advantages, credit.weights)
        )
        entropy = clipped = 0.0
        for rows in self.actor.passes.rows_of([rollout.groups[b] for b in part], rollout.width):
            values, at = self.actor.passes.over(rows), rows.place
            before = old[at] if self.config.updates > 1 else values.log_probs.detach()
            losses = clipped_surrogate(values.log_probs, before, advantages[at], self.config.clip)
            if self.config.algorithm == "grpo":
                losses = losses + beta * self.estimate(values.log_probs, reference[at])
            losses = losses + self._value_losses(values, credit, samples, at)
            (losses * weights[at]).sum().mul(scale).backward()
            entropy += values.entropy.sum().item()
            clipped += ((values.log_probs.detach() - before).exp() - 1).abs().gt(self.config.clip).sum().item()
        if rollout.log_latent is not None:
            self._reinforce_latents(rollout, credit, samples, beta)
        tokens = rollout.mask[samples].sum().item()
        figures = {"entropy": entropy / tokens, "grad_norm": self.actor.update()}
        return figures | ({"clipped": clipped / tokens} if self.config.updates > 1 else {})

    def _reinforce_latents(self, rollout: Rollout, credit: Credit, samples: Tensor, beta: float) -> None:
        """The latent is the first thing that is decided, so it gets the first token's credit. Its divergence from the
        reference's prior is known exactly and needs no estimate."""
        assert rollout.log_latent is not None
        log_density, kl = self.actor.latent_terms([rollout.groups[n] for n in samples.tolist()])
        before = rollout.log_latent[samples] if self.config.updates > 1 else log_density.detach()
        losses = clipped_surrogate(log_density, before, credit.advantages[samples, 0], self.config.clip)
        (losses + beta * kl).mean().backward()

    def _value_losses(self, values: TokenValues, credit: Credit, samples: Tensor, at: Tensor) -> Tensor | float:
        if credit.returns is None or credit.old_values is None or self.actor.values is None:
            return 0.0
        said = self.actor.values(values.hidden).squeeze(1)
        old, wanted = credit.old_values[samples].flatten()[at], credit.returns[samples].flatten()[at]
        return self.config.value_weight * clipped_value_loss(said, old, wanted, self.config.clip)
