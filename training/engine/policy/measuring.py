"""The policy on held-out prompts: looks while it is tuned, and best-of-n of its start as the baseline to beat."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.engine.decoding import prompt_seeds
from training.engine.objectives import best_of_n, best_of_n_kl, kl_k1
from training.engine.policy.actor import Actor
from training.engine.policy.rewards import RewardSum
from training.engine.policy.rollouts import Rollout, of_samples
from training.engine.policy.state import Look
from training.engine.reward import PreferenceModel
from training.engine.words import spaced, words

LOOKED_AT = 128  # held-out prompts of a look at most
SELF_BLEU = 32
BATCH = 64


@dataclass(frozen=True)
class Eye:
    """Who looks, and at what. guard: a preference model that the policy is not tuned on, or None."""

    actor: Actor
    rewards: RewardSum
    guard: PreferenceModel | None
    prompts: Sequence[str]
    references: Mapping[str, str]
    seed: int

    def look(self, step: int) -> Look:
        """One sample for each held-out prompt, with draws that are the same at every look."""
        rollouts = self._rollouts(self.prompts, per_prompt=1, start=False)
        texts: list[str] = []
        rewards: list[float] = []
        guards: list[float] = []
        kls: list[float] = []
        terms: dict[str, list[float]] = {}
        lengths: list[float] = []
        finished: list[float] = []
        log_reference: list[float] = []
        for rollout in rollouts:
            _, values = self.rewards(rollout.written)
            rewards += self.rewards.lasting(values).tolist() if values else []
            guards += self._guarded(rollout)
            kls += rollout.of_responses(kl_k1(rollout.log_probs, rollout.log_reference)).tolist()
            texts += rollout.written.texts
            lengths += [float(n) for n in rollout.written.lengths]
            finished += rollout.finished.float().tolist()
            log_reference += (rollout.log_reference * rollout.mask).sum(dim=1).tolist()
            for name, column in values.items():
                terms.setdefault(name, []).extend(column.tolist())
        figures = self._reward_figures(rewards, terms) if terms else {}
        figures |= {
            "kl": statistics.fmean(kls),
            "length": statistics.fmean(lengths),
            "finished": statistics.fmean(finished),
            "perplexity_of_start": math.exp(min(50.0, -sum(log_reference) / sum(lengths))),
            "distinct_2": distinct(texts, 2),
            "self_bleu": self_bleu(texts),
        }
        if self.rewards.adversary:
            told = [self.rewards.adversary.accuracy(rollout.written) for rollout in rollouts]
            figures["discriminator_accuracy"] = statistics.fmean(told)
        if self.guard:
            figures |= {
                "guard_reward": statistics.fmean(guards),
                "guard_quality": statistics.fmean(self.guard.quality(guards)),
            }
        return Look(step, texts, rewards if terms else [], guards, kls, figures)

    def best_of(self, n: int) -> list[dict[str, float]]:
        """Best of 1, 2, 4, … n of the start's samples by reward: KL, and of reward, the guard's reward and the quality
        by either, a mean over prompts.

        All from the same n samples a prompt; `reward_se` is the standard error over prompts.
        """
        rewards: list[list[float]] = []
        guards: list[list[float]] = []
        for rollout in self._rollouts(self.prompts, per_prompt=n, start=True):
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

    def _reward_figures(self, rewards: list[float], terms: dict[str, list[float]]) -> dict[str, float]:
        figures = {"reward": statistics.fmean(rewards)}
        if len(terms) > 1:
            figures |= {f"reward_{name}": statistics.fmean(column) for name, column in terms.items()}
        quality = self.rewards.quality(terms["preference"]) if "preference" in terms else None
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
