"""On-policy algorithms: sample, score, compute advantages, update.

RLOO, GRPO, PPO, REINFORCE and expert iteration.

All maximize E[r(x, y)] - β KL(π ‖ π_ref) (Ziegler et al. 2019, eq. 2) through the clipped surrogate; they differ in the
advantages and in the normalization of the sum over tokens. For a batch that is used once the ratio is 1, so the
surrogate's gradient is REINFORCE's and nothing is clipped. RLOO and REINFORCE treat a response as one action (Ahmadian
et al. 2024, sec. 3.2): their ratio is that of the whole response, as in TRL's RLOOTrainer; the others have one ratio
per token.

Several processes share the prompts of a batch. Means, baselines and the order of mini-batches are those of the whole
batch and gradients are summed, so the update does not depend on the number of processes.
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
from training.engine.rl.rollouts import Rollout, roll_out, roll_out_step, score_rollout, shuffled_batch
from training.engine.rl.state import State
from training.engine.runtime import distributed

SEQUENCE_LEVEL = ("rloo", "reinforce")  # one ratio per response
WARM_UP, WARM_UP_STEPS = 5, 20  # batches of initial samples, and a discriminator's steps on each


@dataclass(frozen=True)
class TokenAdvantages:
    """The advantages of a rollout's tokens and their weights in the loss, all (N, T)."""

    advantages: Tensor
    weights: Tensor  # weights of the tokens in the loss, in place of a mean
    returns: Tensor | None = None  # targets of the critic
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
        """Train a discriminator on samples of the initial policy: its reward would be meaningless otherwise."""
        if self.rewards.adversary is None:
            return
        config = self.config
        for batch in range(WARM_UP):
            chosen = shuffled_batch(self.prompts, batch, config.prompts_per_step, config.seed + 1)
            seeds = prompt_seeds(f"{config.seed}-warm-up-{batch}", len(chosen))
            rollout = roll_out(self.actor, chosen, self.references, config.num_generations, seeds)
            self.rewards.adversary.learn(rollout.completions, steps=WARM_UP_STEPS)

    def step(self, state: State) -> dict[str, float]:
        """Sample, score and update. Returns the figures of the batch before the update."""
        config = self.config
        rollout = roll_out_step(self.actor, self.prompts, self.references, state.step)
        total, terms = score_rollout(self.rewards, rollout)
        self.rewards.check_variation({name: distributed.all_gather_tensor(values) for name, values in terms.items()})
        if self.rewards.adversary:
            self.rewards.adversary.learn(rollout.completions)
        kl = rollout.response_sums(kl_k1(rollout.log_probs, rollout.log_reference))  # (N,)
        token_advantages = self._token_advantages(rollout, self._shaped_rewards(total, rollout, state), state.beta)
        figures = {
            "reward": total.mean().item(),
            **({f"reward_{name}": values.mean().item() for name, values in terms.items()} if len(terms) > 1 else {}),
            "kl": kl.mean().item(),
            "kl_k3": rollout.response_sums(kl_k3(rollout.log_probs, rollout.log_reference)).mean().item(),
            "length": rollout.mask.sum(dim=1).mean().item(),
            "finished": rollout.finished.float().mean().item(),
            "beta": state.beta,
            **(
                {}
                if token_advantages.explained_variance is None
                else {"explained_variance": token_advantages.explained_variance}
            ),
            **self._update(rollout, token_advantages, state.beta),
        }
        figures = distributed.all_reduce_means(figures)
        if config.kl_target:
            state.beta = adapted_beta(state.beta, figures["kl"], config.kl_target)
        state.sample = (rollout.prompts[0], rollout.completions.texts[0], total[0].item())
        return figures

    def _shaped_rewards(self, total: Tensor, rollout: Rollout, state: State) -> Tensor:
        """Return the rewards (N,) for the update: clipped, whitened, and minus the penalty of unfinished responses."""
        config = self.config
        if config.reward_clip:
            mean, spread = state.start
            total = total.clamp(mean - config.reward_clip * spread, mean + config.reward_clip * spread)
        if config.whiten_rewards:
            rewards = distributed.all_gather_tensor(total)
            total = (total - rewards.mean()) / (rewards.std() + 1e-8)
        return total - config.missing_eos_penalty * (~rollout.finished).float()

    def _token_advantages(self, rollout: Rollout, rewards: Tensor, beta: float) -> TokenAdvantages:
        config, mask = self.config, rollout.mask
        shape = (len(rollout.prompts), config.num_generations)
        kl = self.estimate(rollout.log_probs, rollout.log_reference) * mask  # (N, T)
        weights = mask / (len(mask) * distributed.world_size())  # sum over a response's tokens, mean over responses
        if config.algorithm == "ppo":
            return self._ppo_advantages(rollout, rewards, kl, beta)
        if config.algorithm == "grpo":
            advantages = group_advantages(rewards.view(shape)).flatten()
            return TokenAdvantages(advantages.unsqueeze(1) * mask, weights / mask.sum(dim=1, keepdim=True))
        penalized = (rewards - beta * kl.sum(dim=1)).view(shape)
        if config.algorithm == "expert-iteration":
            # Imitate the best sample of each prompt: Anthony et al. 2017; as best-of-n, Gulcehre et al. 2023.
            best = torch.zeros(shape).scatter(1, penalized.argmax(dim=1, keepdim=True), 1.0).flatten()
            return TokenAdvantages(best.unsqueeze(1) * mask, mask / (shape[0] * distributed.world_size()))
        if config.algorithm == "reinforce":
            sample_advantages = distributed.local_share(batch_advantages(distributed.all_gather_tensor(penalized)))
        else:
            sample_advantages = rloo_advantages(penalized)
        return TokenAdvantages(sample_advantages.flatten().unsqueeze(1) * mask, weights)

    def _ppo_advantages(self, rollout: Rollout, rewards: Tensor, kl: Tensor, beta: float) -> TokenAdvantages:
        """Return PPO's advantages: the KL penalty is per token, the reward is given at the last token (Ziegler et al.
        2019, sec. 2). The critic learns whole returns (objectives.returns_to_go), whatever λ the advantages use."""
        mask = rollout.mask
        values = self.actor.token_values(rollout.groups, rollout.width) * mask
        last = mask.sum(dim=1).long() - 1
        token_rewards = -beta * kl
        token_rewards[torch.arange(len(mask)), last] += rewards
        returns = returns_to_go(token_rewards, mask, self.config.gamma)
        tokens = distributed.all_reduce_sum(mask.sum())
        if not values.any():  # an untrained critic starts at the mean
            mean = distributed.all_reduce_sum((returns * mask).sum()) / tokens
            values = self.actor.initialize_critic(mean) * mask
        explained = explained_variance(values, returns, mask, total=distributed.all_reduce_sum)
        advantages, _ = gae(token_rewards, values, mask, gamma=self.config.gamma, lam=self.config.lam)
        advantages = whitened(advantages, mask, total=distributed.all_reduce_sum)
        return TokenAdvantages(advantages, mask / tokens, returns, explained)

    def _update(self, rollout: Rollout, token_advantages: TokenAdvantages, beta: float) -> dict[str, float]:
        """Take the optimizer steps on one batch; return the means over the tokens of the last step."""
        config, count = self.config, len(rollout.groups)
        generator = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        figures: dict[str, float] = {}
        for _ in range(config.num_iterations):
            order = torch.randperm(count * distributed.world_size(), generator=generator)
            for part in order.chunk(config.num_mini_batches):
                own = part[part // count == (distributed.rank() if distributed.is_distributed() else 0)] % count
                scale = len(order) / len(part)  # the weights are those of the whole batch
                figures = self._minibatch(rollout, token_advantages, own, scale, beta)
        return figures

    def _minibatch(
        self, rollout: Rollout, token_advantages: TokenAdvantages, part: Tensor, scale: float, beta: float
    ) -> dict[str, float]:
        """Take one optimizer step on the groups with the numbers `part` in this process, of which there may be none."""
        k = len(rollout.mask) // len(rollout.groups)
        samples = (part.unsqueeze(1) * k + torch.arange(k)).flatten()  # the groups' sample numbers
        old, reference, advantages, weights = (
            table[samples].flatten()
            for table in (
                rollout.log_probs,
                rollout.log_reference,
                token_advantages.advantages,
                token_advantages.weights,
            )
        )
        sums = torch.zeros(4, dtype=torch.float64)  # entropy, tokens, clipped ratios, ratios
        groups = [rollout.groups[b] for b in part.tolist()]
        for batch in self.actor.logps.batches(groups, rollout.width) if groups else ():
            values, at = self.actor.logps.forward(batch), batch.index
            before = old[at] if self.config.updates > 1 else values.log_probs.detach()
            log_ratio, of_ratio = values.log_probs - before, at
            if self.config.algorithm in SEQUENCE_LEVEL:
                log_ratio, of_ratio = _sum_by_response(log_ratio, at, rollout.width)
            losses = clipped_surrogate(
                log_ratio, torch.zeros_like(log_ratio), advantages[of_ratio], self.config.epsilon
            )
            loss = (losses * weights[of_ratio]).sum()
            if self.config.algorithm == "grpo":
                loss = loss + beta * (self.estimate(values.log_probs, reference[at]) * weights[at]).sum()
            if self.actor.values is not None:
                loss = loss + (self._critic_losses(values, token_advantages, samples, at) * weights[at]).sum()
            (loss * scale).backward()
            far = (log_ratio.detach().exp() - 1).abs().gt(self.config.epsilon).sum().item()
            sums += torch.tensor([values.entropy.sum().item(), len(at), far, len(of_ratio)])
        if rollout.log_latent is not None and len(samples):
            self._reinforce_latents(rollout, token_advantages, samples, scale, beta)
        entropy, tokens, clipped, ratios = distributed.all_reduce_sum(sums).tolist()
        figures = {"entropy": entropy / tokens, "grad_norm": self.actor.update()}
        return figures | ({"clipped": clipped / ratios} if self.config.updates > 1 else {})

    def _reinforce_latents(
        self, rollout: Rollout, token_advantages: TokenAdvantages, samples: Tensor, scale: float, beta: float
    ) -> None:
        """Add the gradient of the latents. A latent precedes all tokens, so it gets the first token's advantage; its KL
        to the reference's prior is computed exactly."""
        assert rollout.log_latent is not None
        log_density, kl = self.actor.latent_terms([rollout.groups[n] for n in samples.tolist()])
        before = rollout.log_latent[samples] if self.config.updates > 1 else log_density.detach()
        losses = clipped_surrogate(log_density, before, token_advantages.advantages[samples, 0], self.config.epsilon)
        ((losses + beta * kl).sum() * scale / (len(rollout.mask) * distributed.world_size())).backward()

    def _critic_losses(
        self, values: TokenValues, token_advantages: TokenAdvantages, samples: Tensor, at: Tensor
    ) -> Tensor:
        """Return ½ (V - R)² of each token. The gradient stops at the policy's states, because the critic's loss has a
        different scale than the policy's."""
        assert self.actor.values is not None
        assert token_advantages.returns is not None
        predicted = self.actor.values(values.hidden.detach()).squeeze(1)
        return 0.5 * (predicted - token_advantages.returns[samples].flatten()[at]) ** 2


def _sum_by_response(values: Tensor, index: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Sum token values (M,) by response, (S,), and return the index of each response's first token. index: the tokens'
    indices in the flattened (N, T); width is T."""
    responses, number = torch.unique(index // width, return_inverse=True)
    return values.new_zeros(len(responses)).index_add(0, number, values), responses * width
