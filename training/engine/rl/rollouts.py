"""Samples of the policy as it is now, with all that scoring and updating need of them."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from training.engine.data.completions import Written
from training.engine.generation.decoding import Drawn, prompt_seeds
from training.engine.generation.rows import Group
from training.engine.rl.actor import Actor
from training.engine.rl.rewards import RewardSum
from training.engine.runtime import distributed


@dataclass(frozen=True)
class Rollout:
    """B prompts times K samples, N = B·K, prompt by prompt; T is the longest response. With a latent every sample is a
    group of its own, else the samples of a prompt are one."""

    prompts: list[str]  # (B,)
    groups: list[Group]  # (B,) or (N,)
    written: Written  # (N,)
    finished: Tensor  # (N,)
    mask: Tensor  # (N, T): 1 on the response's tokens, its end token included
    log_probs: Tensor  # (N, T): as sampled, at the sampling temperature
    log_reference: Tensor  # (N, T)
    log_latent: Tensor | None = None  # (N,): density of the latents as they were drawn
    latent_kl: Tensor | None = None  # (N,): of the prior they were drawn from to the reference's

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    def of_responses(self, per_token: Tensor) -> Tensor:
        """A divergence of tokens (N, T) as one of whole responses (N,), their latents included."""
        total = (per_token * self.mask).sum(dim=1)
        return total if self.latent_kl is None else total + self.latent_kl


def roll_out(
    actor: Actor, prompts: Sequence[str], references: Mapping[str, str], per_prompt: int, seeds: Sequence[int]
) -> Rollout:
    """`per_prompt` samples of each prompt; the log-probabilities are those that sampling found on its way. seeds: one
    for each prompt."""
    inputs = [actor.prompt_ids(prompt) for prompt in prompts]
    return of_samples(actor, prompts, *actor.sample(inputs, per_prompt, seeds=seeds), references)


def roll_out_step(actor: Actor, prompts: Sequence[str], references: Mapping[str, str], step: int) -> Rollout:
    """This process's share of a step's samples: a function of seed and step alone, whatever the number of processes."""
    config = actor.config
    torch.manual_seed(config.seed * 1_000_003 + step)
    chosen = distributed.share(dealt(prompts, step, config.prompts_per_step, config.seed))
    seeds = distributed.share(prompt_seeds(f"{config.seed}-{step}", config.prompts_per_step))
    return roll_out(actor, chosen, references, config.samples_per_prompt, seeds)


def score_together(rewards: RewardSum, rollout: Rollout) -> tuple[Tensor, dict[str, Tensor]]:
    """The rollout's reward (N,) and its terms. Where they cannot be given in one process, all raise what that one
    met."""
    scores, error = None, None
    try:
        scores = rewards(rollout.written)
    except ValueError as met:
        error = met
    distributed.raise_together(error)
    assert scores is not None
    return scores


def of_samples(
    actor: Actor,
    prompts: Sequence[str],
    heads: Sequence[Sequence[int]],
    drawn: Sequence[Drawn],
    references: Mapping[str, str],
) -> Rollout:
    """Samples in the prompts' order, equally many for each prompt and each head, as one rollout."""
    k = len(drawn) // len(heads)
    groups = [Group(ids, [d.tokens for d in drawn[b * k : (b + 1) * k]]) for b, ids in enumerate(heads)]
    width = max(len(d.tokens) for d in drawn)
    log_probs = torch.tensor([[*d.log_probs, *[0.0] * (width - len(d.log_probs))] for d in drawn])
    lengths = torch.tensor([len(d.tokens) for d in drawn])
    mask = (torch.arange(width) < lengths.unsqueeze(1)).float()
    log_reference = actor.reference_log_probs(groups, width)
    repeated = [prompt for prompt in prompts for _ in range(len(drawn) // len(prompts))]
    written = Written(
        prompts=repeated,
        texts=[actor.policy.text(d.tokens) for d in drawn],
        references=[references.get(prompt, "") for prompt in repeated],
        lengths=lengths.tolist(),
        log_reference=((log_reference * mask).sum(dim=1) / lengths).tolist(),
    )
    finished = torch.tensor([d.tokens[-1] in actor.policy.end_ids for d in drawn])
    rollout = Rollout(list(prompts), groups, written, finished, mask, log_probs, log_reference)
    if not actor.policy.latent:
        return rollout
    with torch.no_grad():
        log_latent, latent_kl = actor.latent_terms(groups)
    return replace(rollout, log_latent=log_latent, latent_kl=latent_kl)


def dealt(items: Sequence[str], step: int, count: int, seed: int) -> list[str]:
    """The prompts of a step: `count` of a shuffled deck that is dealt out to the end before it is shuffled anew.

    A function of step and seed alone, so a resumed run goes on at the very place.
    """
    chosen = []
    for place in range(step * count, (step + 1) * count):
        turn, at = divmod(place, len(items))
        chosen.append(items[_deck(len(items), seed, turn)[at]])
    return chosen


def _deck(size: int, seed: int, turn: int) -> list[int]:
    deck = list(range(size))
    random.Random(f"{seed}-{turn}").shuffle(deck)
    return deck
