"""Samples of the current policy with everything that scoring and updating need."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.engine.data.completions import Completions
from training.engine.generation.decoding import Sample, prompt_seeds
from training.engine.generation.rows import Group
from training.engine.rl.actor import Actor
from training.engine.rl.rewards import RewardSum
from training.engine.runtime import distributed


@dataclass(frozen=True)
class Rollout:
    """B prompts with K samples each, N = B·K, prompt by prompt; T is the longest response.

    The samples of a prompt form one group; with a latent every sample is its own group.
    """

    prompts: list[str]  # (B,)
    groups: list[Group]  # (B,) or (N,)
    completions: Completions  # (N,)
    finished: Tensor  # (N,)
    mask: Tensor  # (N, T): 1 on the response's tokens, its end token included
    log_probs: Tensor  # (N, T): as sampled, at the sampling temperature
    log_reference: Tensor  # (N, T)
    log_latent: Tensor | None = None  # (N,): log-density of the sampled latents
    latent_kl: Tensor | None = None  # (N,): KL of the latents' prior to the reference's prior

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    def response_sums(self, per_token: Tensor) -> Tensor:
        """Sum a per-token divergence (N, T) over whole responses (N,), including their latents."""
        total = (per_token * self.mask).sum(dim=1)
        return total if self.latent_kl is None else total + self.latent_kl


def roll_out(
    actor: Actor, prompts: Sequence[str], references: Mapping[str, str], per_prompt: int, seeds: Sequence[int]
) -> Rollout:
    """Sample `per_prompt` responses to each prompt; log-probabilities are those from sampling. seeds: one per
    prompt."""
    inputs = [actor.prompt_ids(prompt) for prompt in prompts]
    return make_rollout(actor, prompts, *actor.sample(inputs, per_prompt, seeds=seeds), references)


def roll_out_step(actor: Actor, prompts: Sequence[str], references: Mapping[str, str], step: int) -> Rollout:
    """Return this process's share of a step's samples, which depend on seed and step only, not on the number of
    processes."""
    config = actor.config
    torch.manual_seed(config.seed * 1_000_003 + step)
    chosen = distributed.local_share(shuffled_batch(prompts, step, config.prompts_per_step, config.seed))
    seeds = distributed.local_share(prompt_seeds(f"{config.seed}-{step}", config.prompts_per_step))
    return roll_out(actor, chosen, references, config.num_generations, seeds)


def score_rollout(rewards: RewardSum, rollout: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the rollout's reward (N,) and its terms. An error in one process is raised in all of them."""
    scores, error = None, None
    try:
        scores = rewards(rollout.completions)
    except ValueError as raised:
        error = raised
    distributed.raise_on_all(error)
    assert scores is not None
    return scores


def make_rollout(
    actor: Actor,
    prompts: Sequence[str],
    heads: Sequence[Sequence[int]],
    samples: Sequence[Sample],
    references: Mapping[str, str],
) -> Rollout:
    """Return samples in the prompts' order, equally many for each prompt and each head, as one rollout."""
    k = len(samples) // len(heads)
    groups = [Group(ids, [s.tokens for s in samples[b * k : (b + 1) * k]]) for b, ids in enumerate(heads)]
    width = max(len(s.tokens) for s in samples)
    log_probs = torch.tensor([[*s.log_probs, *[0.0] * (width - len(s.log_probs))] for s in samples])
    lengths = torch.tensor([len(s.tokens) for s in samples])
    mask = (torch.arange(width) < lengths.unsqueeze(1)).float()
    log_reference = actor.reference_log_probs(groups, width)
    repeated = [prompt for prompt in prompts for _ in range(len(samples) // len(prompts))]
    completions = Completions(
        prompts=repeated,
        texts=[actor.policy.text(s.tokens) for s in samples],
        references=[references.get(prompt, "") for prompt in repeated],
        lengths=lengths.tolist(),
        log_reference=((log_reference * mask).sum(dim=1) / lengths).tolist(),
    )
    finished = torch.tensor([s.tokens[-1] in actor.policy.end_ids for s in samples])
    rollout = Rollout(list(prompts), groups, completions, finished, mask, log_probs, log_reference)
    if not actor.policy.latent:
        return rollout
    with torch.no_grad():
        log_latent, latent_kl = actor.latent_terms(groups)
    return replace(rollout, log_latent=log_latent, latent_kl=latent_kl)


def shuffled_batch(items: Sequence[str], step: int, count: int, seed: int) -> list[str]:
    """Return the `count` items of a step; items are shuffled again after each epoch over them.

    The result depends on step and seed only, so a resumed run continues with the same items.
    """
    batch = []
    for position in range(step * count, (step + 1) * count):
        epoch, index = divmod(position, len(items))
        batch.append(items[_order(len(items), seed, epoch)[index]])
    return batch


def _order(size: int, seed: int, epoch: int) -> list[int]:
    order = list(range(size))
    random.Random(f"{seed}-{epoch}").shuffle(order)
    return order
