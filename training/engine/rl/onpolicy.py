"""The on-policy family: sample, score, give each token its credit, update.

RLOO, GRPO, PPO, REINFORCE and expert iteration.

All maximise E[r(x, y)] - β KL(π ‖ π_ref) (Ziegler et al. 2019, eq. 2) through the clipped surrogate; they differ in the
credit and in what the sum over tokens is divided by. A batch that is used once has ratio 1: then the surrogate's
gradient is REINFORCE's, and nothing is clipped. RLOO and REINFORCE take a response for one action (Ahmadian et al.
2024, sec. 3.2), so that their ratio is that of the whole response, as in TRL's RLOOTrainer; the others have one for
each token.

Several processes share the prompts of a batch. Means, baselines and the order of minibatches are those of the whole
batch and gradients are added up, so that the update does not depend on the number of processes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.generation.decoding import prompt_seeds
from training.engine.objectives.policy import (
    KL_ESTIMATORS,
    adapted_beta,
    batch_advantages,
    clipped_surrogate,
    explained_variance,
    gae,
    group_advantages,
    kl_k1,
    kl_k3,
    returns_to_go,
    rloo_advantages,
    whitened,
)
from training.engine.rl.actor import Actor
from training.engine.rl.config import PolicyConfig
from training.engine.rl.log_probs import TokenValues
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, dealt, roll_out, roll_out_step, score_together
from training.engine.rl.state import State
from training.engine.runtime import distributed

ONE_ACTION = ("rloo", "reinforce")  # whose ratio is that of a whole response
WARM_UP, WARM_UP_STEPS = 5, 20  # batches of the start's samples, and a discriminator's steps on each


@dataclass(frozen=True)
class Credit:
    """What each token of a rollout is to be reinforced by, all (N, T)."""

    advantages: Tensor
    weights: Tensor  # of a token in the loss; they take the place of a mean
    returns: Tensor | None = None  # what the critic should have said
    explained_variance: float | None = None  # of the returns by the critic, before it learned from them


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
            seeds = prompt_seeds(f"{config.seed}-warm-up-{batch}", len(chosen))
            rollout = roll_out(self.actor, chosen, self.references, config.samples_per_prompt, seeds)
            self.rewards.adversary.learn(rollout.written, steps=WARM_UP_STEPS)

    def step(self, state: State) -> dict[str, float]:
        """Sample, score, update. Returns the figures of the batch, from before the update."""
        config = self.config
        rollout = roll_out_step(self.actor, self.prompts, self.references, state.step)
        total, terms = score_together(self.rewards, rollout)
        self.rewards.watch({name: distributed.concatenated(values) for name, values in terms.items()})
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
            **({} if credit.explained_variance is None else {"explained_variance": credit.explained_variance}),
            **self._update(rollout, credit, state.beta),
        }
        figures = distributed.means(figures)
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
            of_all = distributed.concatenated(total)
            total = (total - of_all.mean()) / (of_all.std() + 1e-8)
        return total - config.unfinished_penalty * (~rollout.finished).float()

    def _credit(self, rollout: Rollout, rewards: Tensor, beta: float) -> Credit:
        config, mask = self.config, rollout.mask
        shape = (len(rollout.prompts), config.samples_per_prompt)
        kl = self.estimate(rollout.log_probs, rollout.log_reference) * mask  # (N, T)
        each = mask / (len(mask) * distributed.processes())  # a response's tokens are summed, responses averaged
        if config.algorithm == "ppo":
            return self._token_credit(rollout, rewards, kl, beta)
        if config.algorithm == "grpo":
            advantages = group_advantages(rewards.view(shape)).flatten()
            return Credit(advantages.unsqueeze(1) * mask, each / mask.sum(dim=1, keepdim=True))
        penalised = (rewards - beta * kl.sum(dim=1)).view(shape)
        if config.algorithm == "expert-iteration":
            # The best sample of each prompt is imitated: Anthony et al. 2017; as best-of-n, Gulcehre et al. 2023.
            best = torch.zeros(shape).scatter(1, penalised.argmax(dim=1, keepdim=True), 1.0).flatten()
            return Credit(best.unsqueeze(1) * mask, mask / (shape[0] * distributed.processes()))
        if config.algorithm == "reinforce":
            of_sample = distributed.share(batch_advantages(distributed.concatenated(penalised)))
        else:
            of_sample = rloo_advantages(penalised)
        return Credit(of_sample.flatten().unsqueeze(1) * mask, each)

    def _token_credit(self, rollout: Rollout, rewards: Tensor, kl: Tensor, beta: float) -> Credit:
        """PPO: the KL is paid token by token, the reward comes with the last one (Ziegler et al. 2019, sec. 2). The
        critic learns whole returns (objectives.returns_to_go), whatever λ the advantages have."""
        mask = rollout.mask
        values = self.actor.token_values(rollout.groups, rollout.width) * mask
        last = mask.sum(dim=1).long() - 1
        of_tokens = -beta * kl
        of_tokens[torch.arange(len(mask)), last] += rewards
        returns = returns_to_go(of_tokens, mask, self.config.gamma)
        tokens = distributed.added_up(mask.sum())
        if not values.any():  # a critic that has learned nothing yet starts at the mean
            mean = distributed.added_up((returns * mask).sum()) / tokens
            values = self.actor.start_critic(mean) * mask
        explained = explained_variance(values, returns, mask, total=distributed.added_up)
        advantages, _ = gae(of_tokens, values, mask, gamma=self.config.gamma, lam=self.config.lam)
        advantages = whitened(advantages, mask, total=distributed.added_up)
        return Credit(advantages, mask / tokens, returns, explained)

    def _update(self, rollout: Rollout, credit: Credit, beta: float) -> dict[str, float]:
        """The optimiser steps on one batch; returns means over its tokens, of the last step where there are more."""
        config, count = self.config, len(rollout.groups)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        figures: dict[str, float] = {}
        for _ in range(config.epochs):
            order = torch.randperm(count * distributed.processes(), generator=generator)
            for part in order.chunk(config.minibatches):
                own = part[part // count == (distributed.rank() if distributed.together() else 0)] % count
                scale = len(order) / len(part)  # the weights were made for the whole batch
                figures = self._minibatch(rollout, credit, own, scale, beta)
        return figures

    def _minibatch(self, rollout: Rollout, credit: Credit, part: Tensor, scale: float, beta: float) -> dict[str, float]:
        """One optimiser step on the groups `part` (numbers) of this process, which may be none."""
        k = len(rollout.mask) // len(rollout.groups)
        samples = (part.unsqueeze(1) * k + torch.arange(k)).flatten()  # the numbers of their samples
        old, reference, advantages, weights = (
            table[samples].flatten()
            for table in (rollout.log_probs, rollout.log_reference, credit.advantages, credit.weights)
        )
        sums = torch.zeros(4, dtype=torch.float64)  # of tokens and ratios: entropy, how many, ratios clipped, how many
        groups = [rollout.groups[b] for b in part.tolist()]
        for rows in self.actor.passes.rows_of(groups, rollout.width) if groups else ():
            values, at = self.actor.passes.over(rows), rows.place
            before = old[at] if self.config.updates > 1 else values.log_probs.detach()
            log_ratio, of_ratio = values.log_probs - before, at
            if self.config.algorithm in ONE_ACTION:
                log_ratio, of_ratio = _of_responses(log_ratio, at, rollout.width)
            losses = clipped_surrogate(log_ratio, torch.zeros_like(log_ratio), advantages[of_ratio], self.config.clip)
            loss = (losses * weights[of_ratio]).sum()
            if self.config.algorithm == "grpo":
                loss = loss + beta * (self.estimate(values.log_probs, reference[at]) * weights[at]).sum()
            if self.actor.values is not None:
                loss = loss + (self._critic_losses(values, credit, samples, at) * weights[at]).sum()
            (loss * scale).backward()
            far = (log_ratio.detach().exp() - 1).abs().gt(self.config.clip).sum().item()
            sums += torch.tensor([values.entropy.sum().item(), len(at), far, len(of_ratio)])
        if rollout.log_latent is not None and len(samples):
            self._reinforce_latents(rollout, credit, samples, scale, beta)
        entropy, tokens, clipped, ratios = distributed.added_up(sums).tolist()
        figures = {"entropy": entropy / tokens, "grad_norm": self.actor.update()}
        return figures | ({"clipped": clipped / ratios} if self.config.updates > 1 else {})

    def _reinforce_latents(self, rollout: Rollout, credit: Credit, samples: Tensor, scale: float, beta: float) -> None:
        """The latent is the first thing that is decided, so it gets the first token's credit. Its divergence from the
        reference's prior is known exactly and needs no estimate."""
        assert rollout.log_latent is not None
        log_density, kl = self.actor.latent_terms([rollout.groups[n] for n in samples.tolist()])
        before = rollout.log_latent[samples] if self.config.updates > 1 else log_density.detach()
        losses = clipped_surrogate(log_density, before, credit.advantages[samples, 0], self.config.clip)
        ((losses + beta * kl).sum() * scale / (len(rollout.mask) * distributed.processes())).backward()

    def _critic_losses(self, values: TokenValues, credit: Credit, samples: Tensor, at: Tensor) -> Tensor:
        """½ (V - R)² of each token. The critic reads the policy's states and does not change them: its loss, of another
        scale than the policy's, would."""
        assert self.actor.values is not None
        assert credit.returns is not None
        predicted = self.actor.values(values.hidden.detach()).squeeze(1)
        return 0.5 * (predicted - credit.returns[samples].flatten()[at]) ** 2


def _of_responses(of_tokens: Tensor, at: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The sums of tokens (M,) over the responses that they belong to, (S,), and the place of each response's first
    token. at: the tokens' places in the flattened (N, T); width is T."""
    responses, number = torch.unique(at // width, return_inverse=True)
    return of_tokens.new_zeros(len(responses)).index_add(0, number, of_tokens), responses * width
