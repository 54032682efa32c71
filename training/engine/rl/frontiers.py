"""The reward that a tuning run gained for its KL. An evaluation maps "kl", in nats per response, and measures to means
over prompts."""

import itertools
import math
from collections.abc import Mapping, Sequence


def root(kl: float) -> float:
    """Return √KL, along which reward grows nearly linearly (Gao et al. 2022, eq. 1); a negative estimate counts as
    0."""
    return math.sqrt(max(0.0, kl))


def at_kl(evaluations: Sequence[Mapping[str, float]], kl: float, measure: str) -> float | None:
    """Return the measure where the run first passes this KL, interpolated linearly in √KL between the evaluations
    before and after it; None where the run never reaches it."""
    target, roots = root(kl), [root(result["kl"]) for result in evaluations]
    if target <= roots[0]:
        return evaluations[0][measure]
    for (before, low), (after, high) in itertools.pairwise(zip(evaluations, roots, strict=True)):
        if low <= target <= high:
            return before[measure] + (target - low) / ((high - low) or 1.0) * (after[measure] - before[measure])
    return None
