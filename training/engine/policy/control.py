"""When to stop, and which of the looked-at policies to keep. Pure functions of the looks."""

import statistics
from collections.abc import Sequence

from training.engine.policy.measuring import standard_error
from training.engine.policy.state import Look

PATIENCE = 2  # looks in a row that must agree


def best(looks: Sequence[Look], budget: float) -> Look:
    """The look to keep: the highest by the guard, or by reward without one, among those within the KL budget.

    The first look, before any step, is always within it. Without guard and without rewards the last one is kept.
    """
    within = [look for look in looks if not budget or look.step == 0 or look.kl <= budget]
    if any(look.guards for look in within):
        return max(within, key=lambda look: look.figures["guard_reward"])
    return max(within, key=lambda look: look.figures.get("reward", float(look.step)))


def over_budget(looks: Sequence[Look], budget: float) -> bool:
    return bool(budget) and looks[-1].kl > budget


def parted(looks: Sequence[Look]) -> bool:
    """Has the guard fallen, two looks in a row, while the reward that is optimised has not?

    Fallen is more than two standard errors of the difference by prompt below the guard's best look (Gao et al. 2022
    show the shape: the reward grows with √KL, the true quality turns).
    """
    if len(looks) <= PATIENCE or not looks[-1].guards:
        return False
    top = best(looks[:-PATIENCE], 0)
    return all(_fell(top, look) for look in looks[-PATIENCE:])


def _fell(top: Look, look: Look) -> bool:
    differences = [now - then for now, then in zip(look.guards, top.guards, strict=True)]
    below = statistics.fmean(differences) < -2 * standard_error(differences)
    return below and look.figures["reward"] >= top.figures["reward"]
