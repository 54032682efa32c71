"""What a tuning run won for its KL: a measure of the policy at one KL, and rows over seeds.

A look is {"kl": nats a response, measure: mean over the held-out prompts, …}, as rl_finetune returns them in
"frontier" and "best_of".
"""

import itertools
import statistics
from collections.abc import Sequence

Look = dict[str, float]


def at_kl(looks: Sequence[Look], kl: float, measure: str) -> float | None:
    """The measure where the run first passes this KL, on the straight line between the looks before and after it;
    None where the run never comes so far."""
    if kl <= looks[0]["kl"]:
        return looks[0][measure]
    for before, after in itertools.pairwise(looks):
        if before["kl"] <= kl <= after["kl"]:
            share = (kl - before["kl"]) / ((after["kl"] - before["kl"]) or 1.0)
            return before[measure] + share * (after[measure] - before[measure])
    return None


def told(values: Sequence[float | None], digits: int = 2) -> str:
    """Mean ± standard deviation over seeds; a dash where a seed has no such value."""
    found = [value for value in values if value is not None]
    if not found or len(found) < len(values):
        return "-"
    spread = f" ± {statistics.stdev(found):.{digits}f}" if len(found) > 1 else ""
    return f"{statistics.fmean(found):.{digits}f}{spread}"
