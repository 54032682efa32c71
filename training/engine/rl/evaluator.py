"""The policy on held-out prompts: looks while it is tuned, and best-of-n of its start as the baseline to beat."""

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.data.words import spaced, words
from training.engine.generation.decoding import prompt_seeds
from training.engine.models.reward import PreferenceModel
from training.engine.objectives.policy import best_of_n, best_of_n_kl, kl_k1
from training.engine.rl.actor import Actor
from training.engine.rl.rewards import RewardSum
from training.engine.rl.rollouts import Rollout, of_samples
from training.engine.rl.state import Look

LOOKED_AT = 128  # held-out prompts of a look at most
SELF_BLEU = 32
BATCH = 64


@dataclass(frozen=True)
class Sample:
    """A sample for a held-out prompt, and what is known of it."""

    terms: dict[str, float]
    text: str
    reward: float  # of the terms that last
    guard: float
    kl: float
    length: int
    finished: bool
    log_reference: float
    log_odds: float  # of a discriminator, that it is real


@dataclass(frozen=True)
class Eye:
    """Who looks, and at what. guard: a preference model that the policy is not tuned on, or None."""

    actor: Actor
    rewards: RewardSum
    guard: PreferenceModel | None
    prompts: Sequence[str]
    references: Mapping[str, str]
    seed: int

    @property
    def halves(self) -> tuple[list[int], list[int]]:
        """Places of the prompts that select, and of those that are reported."""
        return halves(self.prompts)

    @property
    def reported(self) -> list[str]:
        return [self.prompts[n] for n in self.halves[1]]

    def look(self, step: int) -> Look:
        """One sample for each held-out prompt, with draws that are the same at every look."""
        samples = self._samples()
        selection, reported = ([samples[n] for n in half] for half in self.halves)
        return Look(
            step,
            texts=[sample.text for sample in reported],
            rewards=[sample.reward for sample in reported] if self.rewards.terms else [],
            guards=[sample.guard for sample in selection] if self.guard else [],
            figures=self._figures(reported),
            selection=self._figures(selection),
        )

    def _samples(self) -> list["Sample"]:
        samples: list[Sample] = []
        for rollout in self._rollouts(self.prompts, per_prompt=1, start=False):
            _, terms = self.rewards(rollout.written)
            count = len(rollout.written.texts)
            adversary = self.rewards.adversary
            columns = zip(
                rollout.written.texts,
                self.rewards.lasting(terms).tolist() if terms else [0.0] * count,
                self._guarded(rollout) or [0.0] * count,
                rollout.of_responses(kl_k1(rollout.log_probs, rollout.log_reference)).tolist(),
                rollout.written.lengths,
                rollout.finished.tolist(),
                (rollout.log_reference * rollout.mask).sum(dim=1).tolist(),
                adversary.log_odds(rollout.written.items).tolist() if adversary else [0.0] * count,
                strict=True,
            )
            of_terms = {name: column.tolist() for name, column in terms.items()}
            samples += [
                Sample({name: column[n] for name, column in of_terms.items()}, *row) for n, row in enumerate(columns)
            ]
        return samples

    def _figures(self, samples: Sequence["Sample"]) -> dict[str, float]:
        """Means over the samples, and what they have in common."""
        texts, lengths = [sample.text for sample in samples], [sample.length for sample in samples]
        figures = self._reward_figures(samples) if self.rewards.terms else {}
        figures |= {
            "kl": statistics.fmean(sample.kl for sample in samples),
            "length": statistics.fmean(lengths),
            "finished": statistics.fmean(sample.finished for sample in samples),
            "perplexity_of_start": math.exp(min(50.0, -sum(s.log_reference for s in samples) / sum(lengths))),
            "distinct_2": distinct(texts, 2),
            "self_bleu": self_bleu(texts),
        }
        if self.rewards.adversary:
            figures["discriminator_accuracy"] = self.rewards.adversary.accuracy([s.log_odds for s in samples])
        if self.guard:
            guards = [sample.guard for sample in samples]
            figures |= {
                "guard_reward": statistics.fmean(guards),
                "guard_quality": statistics.fmean(self.guard.quality(guards)),
            }
        return figures

    def best_of(self, n: int) -> list[dict[str, float]]:
        """Best of 1, 2, 4, … n of the start's samples by reward: KL, and of reward, the guard's reward and the quality
        by either, a mean over the prompts that are reported.

        All from the same n samples a prompt; `reward_se` is the standard error over prompts.
        """
        rewards: list[list[float]] = []
        guards: list[list[float]] = []
        for rollout in self._rollouts(self.reported, per_prompt=n, start=True):
            _, values = self.rewards(rollout.written)
            rewards += self.rewards.lasting(values).view(-1, n).tolist()
            guards += torch.tensor(self._guarded(rollout)).view(-1, n).tolist() if self.guard else []
        return [self._best_of_row(size, rewards, guards) for size in _doublings(n)]

    def _best_of_row(self, n: int, rewards: list[list[float]], guards: list[list[float]]) -> dict[str, float]:
        def mean(judged: list[list[float]]) -> float:
            return statistics.fmean(best_of_n(row, of_row, n) for row, of_row in zip(rewards, judged, strict=True))

        own = [best_of_n(row, row, n) for row in rewards]
        row = {"n": n, "kl": best_of_n_kl(n), "reward": statistics.fmean(own), "reward_se": standard_error(own)}
        if len(self.rewards.terms) == 1 and self.rewards.calibration:
            row |= {"quality": mean([self.rewards.calibration.quality(of_prompt) for of_prompt in rewards])}
        if self.guard:
            row |= {
                "guard_reward": mean(guards),
                "guard_quality": mean([self.guard.quality(of_prompt) for of_prompt in guards]),
            }
        return row

    def _reward_figures(self, samples: Sequence["Sample"]) -> dict[str, float]:
        figures = {"reward": statistics.fmean(sample.reward for sample in samples)}
        if len(self.rewards.terms) > 1:
            figures |= {
                f"reward_{name}": statistics.fmean(s.terms[name] for s in samples) for name in self.rewards.terms
            }
        preference = [s.terms["preference"] for s in samples] if "preference" in self.rewards.terms else []
        quality = self.rewards.quality(preference) if preference else None
        return figures | ({"quality": statistics.fmean(quality)} if quality else {})

    def _guarded(self, rollout: Rollout) -> list[float]:
        if self.guard is None:
            return []
        return self.guard.score(list(zip(rollout.written.prompts, rollout.written.texts, strict=True)))

    @torch.no_grad()
    def _rollouts(self, prompts: Sequence[str], *, per_prompt: int, start: bool) -> list[Rollout]:
        size = max(1, BATCH // per_prompt)
        seeds = prompt_seeds(f"{self.seed}-held-out", len(prompts))
        rollouts = []
        for first in range(0, len(prompts), size):
            part = prompts[first : first + size]
            inputs = [self.actor.prompt_ids(prompt) for prompt in part]
            heads, drawn = self.actor.sample(inputs, per_prompt, seeds=seeds[first : first + size], start=start)
            rollouts.append(of_samples(self.actor, part, heads, drawn, self.references))
        return rollouts


def halves(prompts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Places of the held-out prompts that select a policy, and of those that it is reported on. Equal prompts are in
    one half. A single prompt is in both: then what is reported is flattered by having been selected."""
    distinct_prompts = list(dict.fromkeys(prompts))
    random.Random("halves").shuffle(distinct_prompts)
    first = set(distinct_prompts[: len(distinct_prompts) // 2])
    selection = [n for n, prompt in enumerate(prompts) if prompt in first]
    reported = [n for n, prompt in enumerate(prompts) if prompt not in first]
    return selection or reported, reported


def check_reference(actor: Actor, prompt: str) -> str:
    """Try the short cuts and the reference on one prompt; says in words which short cuts hold for this model.

    Raises RuntimeError when the reference is not the policy itself before the first step: every KL would be wrong.
    """
    inputs = [actor.prompt_ids(prompt)]
    rollout = of_samples(actor, [prompt], *actor.sample(inputs, 3, seeds=[actor.config.seed]), {})
    told = actor.passes.check(rollout.groups[0])
    log_reference = actor.reference_log_probs(rollout.groups, rollout.width)
    gap = _gap(actor.log_probs(rollout.groups, rollout.width), log_reference)
    if not gap <= 1e-5:  # nor is it where the weights are no numbers
        raise RuntimeError(f"the reference differs from the policy before the first step, by {gap:.2g}")
    gap = _gap(rollout.log_probs, log_reference)
    if not gap <= 1e-3:
        raise RuntimeError(f"sampling and the training pass give log-probabilities that differ by {gap:.2g}")
    return told


def distinct(texts: Sequence[str], n: int) -> float:
    """Different n-grams of words among all of them (Li et al. 2016), in Chinese of characters; 0 when there is none."""
    grams = [tuple(found[i : i + n]) for found in map(words, texts) for i in range(len(found) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of a text against the others, 0 to 1, over the first SELF_BLEU (Zhu et al. 2018): 1 where all are
    alike."""
    import sacrebleu

    some = [spaced(text) for text in texts[:SELF_BLEU]]
    if len(some) < 2:
        return 0.0
    scores = [sacrebleu.sentence_bleu(t, [*some[:n], *some[n + 1 :]]).score for n, t in enumerate(some)]
    return statistics.fmean(scores) / 100


def standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _gap(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def _doublings(n: int) -> list[int]:
    sizes = [2**i for i in range(n.bit_length()) if 2**i <= n]
    return sizes if sizes[-1] == n else [*sizes, n]
