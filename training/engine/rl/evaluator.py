"""Evaluate the policy on held-out prompts during tuning, and best-of-n of the initial policy as the baseline."""

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
from training.engine.rl.rollouts import Rollout, make_rollout
from training.engine.rl.state import EvalResult

MAX_EVAL_PROMPTS = 128
SELF_BLEU = 32
BATCH = 64


@dataclass(frozen=True)
class ScoredSample:
    """A sample for a held-out prompt with its measures."""

    terms: dict[str, float]
    text: str
    reward: float  # of the terms that do not change during tuning
    guard: float
    kl: float
    length: int
    finished: bool
    log_reference: float
    log_odds: float  # a discriminator's, that the sample is real


@dataclass(frozen=True)
class Evaluator:
    """Evaluates a policy on held-out prompts. guard: a preference model that the policy is not tuned on, or None."""

    actor: Actor
    rewards: RewardSum
    guard: PreferenceModel | None
    prompts: Sequence[str]
    references: Mapping[str, str]
    seed: int

    @property
    def halves(self) -> tuple[list[int], list[int]]:
        """The positions of the prompts that select, and of those that are reported."""
        return halves(self.prompts)

    @property
    def reported(self) -> list[str]:
        return [self.prompts[n] for n in self.halves[1]]

    def evaluate(self, step: int) -> EvalResult:
        """Evaluate one sample per held-out prompt; the random numbers are the same at every evaluation."""
        samples = self._scored_samples()
        selection, reported = ([samples[n] for n in half] for half in self.halves)
        return EvalResult(
            step,
            texts=[sample.text for sample in reported],
            rewards=[sample.reward for sample in reported] if self.rewards.terms else [],
            guards=[sample.guard for sample in selection] if self.guard else [],
            figures=self._figures(reported),
            selection=self._figures(selection),
        )

    def _scored_samples(self) -> list[ScoredSample]:
        samples: list[ScoredSample] = []
        for rollout in self._rollouts(self.prompts, per_prompt=1, from_reference=False):
            _, terms = self.rewards(rollout.completions)
            count = len(rollout.completions.texts)
            adversary = self.rewards.adversary
            columns = zip(
                rollout.completions.texts,
                self.rewards.comparable_sum(terms).tolist() if terms else [0.0] * count,
                self._guard_rewards(rollout) or [0.0] * count,
                rollout.response_sums(kl_k1(rollout.log_probs, rollout.log_reference)).tolist(),
                rollout.completions.lengths,
                rollout.finished.tolist(),
                (rollout.log_reference * rollout.mask).sum(dim=1).tolist(),
                adversary.log_odds(rollout.completions.items).tolist() if adversary else [0.0] * count,
                strict=True,
            )
            term_values = {name: column.tolist() for name, column in terms.items()}
            samples += [
                ScoredSample({name: values[n] for name, values in term_values.items()}, *row)
                for n, row in enumerate(columns)
            ]
        return samples

    def _figures(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        """Return means over the samples, and measures of their diversity."""
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
        """Return figures of best-of-1, 2, 4, … n by reward among samples of the initial policy.

        Each row has the KL and means over the reported prompts of the reward, the guard's reward and the quality by
        either. All rows use the same n samples per prompt; `reward_se` is the standard error over prompts.
        """
        rewards: list[list[float]] = []
        guards: list[list[float]] = []
        for rollout in self._rollouts(self.reported, per_prompt=n, from_reference=True):
            _, values = self.rewards(rollout.completions)
            rewards += self.rewards.comparable_sum(values).view(-1, n).tolist()
            guards += torch.tensor(self._guard_rewards(rollout)).view(-1, n).tolist() if self.guard else []
        return [self._best_of_row(size, rewards, guards) for size in _doublings(n)]

    def _best_of_row(self, n: int, rewards: list[list[float]], guards: list[list[float]]) -> dict[str, float]:
        def mean(values: list[list[float]]) -> float:
            return statistics.fmean(best_of_n(row, judged, n) for row, judged in zip(rewards, values, strict=True))

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

    def _reward_figures(self, samples: Sequence[ScoredSample]) -> dict[str, float]:
        figures = {"reward": statistics.fmean(sample.reward for sample in samples)}
        if len(self.rewards.terms) > 1:
            figures |= {
                f"reward_{name}": statistics.fmean(s.terms[name] for s in samples) for name in self.rewards.terms
            }
        preference = [s.terms["preference"] for s in samples] if "preference" in self.rewards.terms else []
        quality = self.rewards.quality(preference) if preference else None
        return figures | ({"quality": statistics.fmean(quality)} if quality else {})

    def _guard_rewards(self, rollout: Rollout) -> list[float]:
        if self.guard is None:
            return []
        return self.guard.score(list(zip(rollout.completions.prompts, rollout.completions.texts, strict=True)))

    @torch.no_grad()
    def _rollouts(self, prompts: Sequence[str], *, per_prompt: int, from_reference: bool) -> list[Rollout]:
        size = max(1, BATCH // per_prompt)
        seeds = prompt_seeds(f"{self.seed}-held-out", len(prompts))
        rollouts = []
        for first in range(0, len(prompts), size):
            batch = prompts[first : first + size]
            inputs = [self.actor.prompt_ids(prompt) for prompt in batch]
            heads, samples = self.actor.sample(
                inputs, per_prompt, seeds=seeds[first : first + size], from_reference=from_reference
            )
            rollouts.append(make_rollout(self.actor, batch, heads, samples, self.references))
        return rollouts


def halves(prompts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the positions of the held-out prompts that select a policy, and of those on which it is reported.

    Equal prompts are in the same half. A single prompt is in both; the report is then biased by the selection.
    """
    distinct_prompts = list(dict.fromkeys(prompts))
    random.Random("halves").shuffle(distinct_prompts)
    first = set(distinct_prompts[: len(distinct_prompts) // 2])
    selection = [n for n, prompt in enumerate(prompts) if prompt in first]
    reported = [n for n, prompt in enumerate(prompts) if prompt not in first]
    return selection or reported, reported


def check_reference(actor: Actor, prompt: str) -> str:
    """Verify the optimizations and the reference on one prompt; return a description of the optimizations in use.

    Raises RuntimeError when the reference differs from the policy before the first step: every KL would be wrong.
    """
    inputs = [actor.prompt_ids(prompt)]
    rollout = make_rollout(actor, [prompt], *actor.sample(inputs, 3, seeds=[actor.config.seed]), {})
    optimizations = actor.logps.select_optimizations(rollout.groups[0])
    log_reference = actor.reference_log_probs(rollout.groups, rollout.width)
    gap = _gap(actor.log_probs(rollout.groups, rollout.width), log_reference)
    if not gap <= 1e-5:  # also true for NaN
        raise RuntimeError(f"the reference differs from the policy before the first step, by {gap:.2g}")
    gap = _gap(rollout.log_probs, log_reference)
    if not gap <= 1e-3:
        raise RuntimeError(f"sampling and the training pass give log-probabilities that differ by {gap:.2g}")
    return optimizations


def distinct(texts: Sequence[str], n: int) -> float:
    """Return the share of distinct n-grams (Li et al. 2016) of words, in Chinese of characters; 0 without n-grams."""
    grams = [tuple(tokens[i : i + n]) for tokens in map(words, texts) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """Return the mean BLEU of a text against the others, 0 to 1, over the first SELF_BLEU texts (Zhu et al. 2018)."""
    import sacrebleu

    first = [spaced(text) for text in texts[:SELF_BLEU]]
    if len(first) < 2:
        return 0.0
    scores = [sacrebleu.sentence_bleu(t, [*first[:n], *first[n + 1 :]]).score for n, t in enumerate(first)]
    return statistics.fmean(scores) / 100


def standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0


def _gap(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def _doublings(n: int) -> list[int]:
    sizes = [2**i for i in range(n.bit_length()) if 2**i <= n]
    return sizes if sizes[-1] == n else [*sizes, n]
