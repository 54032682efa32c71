"""When to stop, and which of the looked-at policies to keep. Pure functions of the looks.

What is chosen is chosen on one half of the held-out prompts, `Look.selection`; the other half, `Look.figures`, is what
is reported. A limit holds on both.
"""

from collections.abc import Sequence

import numpy as np

from training.engine.rl.sequential_test import has_fallen
from training.engine.rl.state import Look


def best(looks: Sequence[Look], budget: float, floor: float = 0.0) -> Look:
    """The look to keep: the highest by the guard, or by reward without one, among those within the KL budget and of
    enough variety (see collapsed).

    The first look, before any step, is always one of them. Without guard and without rewards the last one is kept.
    """
    within = [look for look in looks if look.step == 0 or not over_budget([look], budget)]
    within = [look for look in within if not collapsed([looks[0], look], floor)]
    if any(look.guards for look in within):
        return max(within, key=lambda look: look.selection["guard_reward"])
    return max(within, key=lambda look: look.selection.get("reward", float(look.step)))


def over_budget(looks: Sequence[Look], budget: float) -> bool:
    """Whether the newest look's KL is above the budget, on either half of the prompts."""
    return bool(budget) and widest_kl(looks[-1]) > budget


def widest_kl(look: Look) -> float:
    return max(look.kl, look.selection["kl"])


def collapsed(looks: Sequence[Look], floor: float) -> bool:
    """Whether the newest look's distinct-2 is below this share of the first look's, on either half of the prompts."""
    return bool(floor) and least_variety(looks) < floor


def least_variety(looks: Sequence[Look]) -> float:
    """The newest look's distinct-2 as a share of the first look's."""
    halves = [(looks[-1].figures, looks[0].figures), (looks[-1].selection, looks[0].selection)]
    return min(now["distinct_2"] / max(start["distinct_2"], 1e-9) for now, start in halves)


def over_optimized(looks: Sequence[Look]) -> bool:
    """Whether the guard fell while the reward that is optimised did not (Gao et al. 2022 show the shape: the reward
    grows with √KL, the true quality turns). Healthy runs of any length are stopped with a chance of 5 % at most
    (training.engine.rl.sequential_test)."""
    if not looks[-1].guards:
        return False
    guards, rewards = [look.guards for look in looks], [look.selection["reward"] for look in looks]
    return has_fallen(np.array(guards), np.array(rewards))
