"""When to stop, and which of the looked-at policies to keep. Pure functions of the looks."""

import statistics
from collections.abc import Sequence

from training.engine.policy.measuring import standard_error
from training.engine.policy.state import Look

PATIENCE = 2  # looks in a row that must agree


def best(looks: Sequence[Look], budget: float, floor: float = 0.0) -> Look:
    """The look to keep: the highest by the guard, or by reward without one, among those within the KL budget and of
    enough variety (see collapsed).

    The first look, before any step, is always one of them. Without guard and without rewards the last one is kept.
    """
    within = [look for look in looks if not budget or look.step == 0 or look.kl <= budget]
    within = [look for look in within if not collapsed([looks[0], look], floor)]
    if any(look.guards for look in within):
        return max(within, key=lambda look: look.figures["guard_reward"])
    return max(within, key=lambda look: look.figures.get("reward", float(look.step)))


def over_budget(looks: Sequence[Look], budget: float) -> bool:
    return bool(budget) and looks[-1].kl > budget


def collapsed(looks: Sequence[Look], floor: float) -> bool:
    """Whether the newest look's distinct-2 is below this share of the first look's."""
    return bool(floor) and looks[-1].figures["distinct_2"] < floor * looks[0].figures["distinct_2"]


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
