"""Decide when a run stops and which evaluated policy it keeps. Pure functions of the evaluations.

Decisions are based on one half of the held-out prompts, `EvalResult.selection`; the other half, `EvalResult.figures`,
is reported. Limits apply to both halves.
"""

from collections.abc import Sequence

import numpy as np

from training.engine.rl.sequential_test import has_fallen
from training.engine.rl.state import EvalResult


def best(evaluations: Sequence[EvalResult], max_kl: float, floor: float = 0.0) -> EvalResult:
    """Return the evaluation to keep: the highest by the guard, or by reward without a guard, among those within the KL
    limit and above the diversity floor.

    The first evaluation, before any step, always qualifies. Without guard and rewards the last evaluation is kept.
    """
    allowed = [result for result in evaluations if result.step == 0 or not exceeds_max_kl([result], max_kl)]
    allowed = [result for result in allowed if not below_diversity_floor([evaluations[0], result], floor)]
    if any(result.guards for result in allowed):
        return max(allowed, key=lambda result: result.selection["guard_reward"])
    return max(allowed, key=lambda result: result.selection.get("reward", float(result.step)))


def exceeds_max_kl(evaluations: Sequence[EvalResult], max_kl: float) -> bool:
    """Return whether the newest evaluation's KL exceeds the limit on either half of the prompts."""
    return bool(max_kl) and largest_kl(evaluations[-1]) > max_kl


def largest_kl(result: EvalResult) -> float:
    """Return the larger KL of the two halves of the prompts."""
    return max(result.kl, result.selection["kl"])


def below_diversity_floor(evaluations: Sequence[EvalResult], floor: float) -> bool:
    """Return whether the newest evaluation's distinct-2 is below this share of the first one's on either half."""
    return bool(floor) and relative_diversity(evaluations) < floor


def relative_diversity(evaluations: Sequence[EvalResult]) -> float:
    """Return the newest evaluation's distinct-2 as a share of the first one's, the smaller value of both halves."""
    first, newest = evaluations[0], evaluations[-1]
    halves = [(newest.figures, first.figures), (newest.selection, first.selection)]
    return min(now["distinct_2"] / max(start["distinct_2"], 1e-9) for now, start in halves)


def over_optimized(evaluations: Sequence[EvalResult]) -> bool:
    """Return whether the held-out reward fell while the training reward did not.

    Gao et al. 2022 show the shape: the training reward grows with √KL, then true quality falls. A healthy run of any
    length is stopped with a probability of at most 5 % (training.engine.rl.sequential_test).
    """
    if not evaluations[-1].guards:
        return False
    guards = [result.guards for result in evaluations]
    rewards = [result.selection["reward"] for result in evaluations]
    return has_fallen(np.array(guards), np.array(rewards))
