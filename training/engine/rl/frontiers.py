"""What a tuning run won for its KL. A look maps "kl", in nats a response, and measures to means over prompts."""

import itertools
import math
from collections.abc import Mapping, Sequence


def root(kl: float) -> float:
    """√KL, along which reward grows nearly straight (Gao et al. 2022, eq. 1); an estimate below nothing counts as 0."""
    return math.sqrt(max(0.0, kl))


def at_kl(looks: Sequence[Mapping[str, float]], kl: float, measure: str) -> float | None:
    """The measure where the run first passes this KL, on the straight line in √KL between the looks before and after
    it; None where the run never comes so far."""
    here, roots = root(kl), [root(look["kl"]) for look in looks]
    if here <= roots[0]:
        return looks[0][measure]
    for (before, low), (after, high) in itertools.pairwise(zip(looks, roots, strict=True)):
        if low <= here <= high:
            return before[measure] + (here - low) / ((high - low) or 1.0) * (after[measure] - before[measure])
    return None
