"""A machine judge compared with people: κ, calibration, its own pull to a side, and what it saves. Pure functions.

T pairs that the machine has judged in both orders; a is the response with the smaller id.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from annotate.analytics.comparisons import Floats
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, proportion

BINS = 10


def cohens_kappa(machine: Floats, people: Floats) -> Estimate:
    """Cohen 1960: agreement beyond chance of two raters, with a bootstrap of pairs.

    machine, people (T,): 1 for a, 0 for b; pairs on which people are split are left out by the caller.
    """
    if not len(machine):
        return NOTHING
    values = np.stack([machine == people, machine, people, np.ones(len(machine))], axis=1).astype(np.float64)

    def kappa(sums: Floats) -> Floats:
        n = sums[..., 3]
        seen, x, y = sums[..., 0] / n, sums[..., 1] / n, sums[..., 2] / n
        chance = x * y + (1 - x) * (1 - y)
        return np.where(chance < 1, (seen - chance) / (1 - chance), np.nan)

    return Clusters(np.arange(len(machine))).estimate(kappa, values, len(machine))


def side_pull(forward: Floats, backward: Floats) -> Estimate:
    """How much likelier the machine calls a response better for being shown first: the mean over pairs of
    (forward + backward) / 2, both the chance given to the response shown first; 0.5 without a pull."""
    if not len(forward):
        return NOTHING
    values = np.stack([(forward + backward) / 2, np.ones(len(forward))], axis=1)
    return Clusters(np.arange(len(forward))).estimate(proportion, values, len(forward))


def both_ways(forward: Floats, backward: Floats) -> Estimate:
    """How often the machine names the same response in both orders."""
    if not len(forward):
        return NOTHING
    same = (forward > 0.5) == (backward < 0.5)
    return Clusters(np.arange(len(forward))).estimate(
        proportion, np.stack([same * 1.0, np.ones(len(forward))], axis=1), len(forward)
    )


@dataclass(frozen=True)
class Bin:
    """Pairs with a chance between low and high: the mean chance, people's share for a, how many."""

    low: float
    high: float
    predicted: float
    people: float
    n: int


def calibration(chance: Floats, people: Floats) -> tuple[list[Bin], float | None]:
    """Reliability bins, and the expected calibration error: the mean distance of what the machine says from what
    people do, by bins. chance, people (T,): of the machine that a is better; people's share of votes for a."""
    if not len(chance):
        return [], None
    place = np.minimum((chance * BINS).astype(int), BINS - 1)
    bins = [
        Bin(k / BINS, (k + 1) / BINS, float(chance[of].mean()), float(people[of].mean()), int(of.sum()))
        for k in range(BINS)
        if (of := place == k).any()
    ]
    return bins, sum(b.n * abs(b.predicted - b.people) for b in bins) / len(chance)


@dataclass(frozen=True)
class Inference:
    """A mean with a valid 95 % interval from few human labels and many of the machine's, and the interval of the
    human labels alone. saved: how many more human labels would have given the same interval; weight: how far the
    machine is trusted (0: not at all)."""

    value: float
    low: float
    high: float
    human: Estimate
    weight: float
    saved: int


def prediction_powered(people: Floats, machine_too: Floats, machine_alone: Floats) -> Inference | None:
    """Prediction-powered inference of a mean (Angelopoulos et al. 2023), its weight chosen for the smallest variance
    (PPI++, Angelopoulos, Duchi & Zrnic 2023, eq. 6, clipped to [0, 1]).

    people, machine_too (n,): both say of the same tasks; machine_alone (N,): of tasks without people. People's tasks
    must be a random part of all tasks. None for fewer than two of either.
    """
    n, more = len(people), len(machine_alone)
    if n < 2 or more < 2:
        return None
    both = np.concatenate([machine_too, machine_alone])
    spread = float(both.var(ddof=1))
    together = float(np.cov(people, machine_too)[0, 1])
    weight = float(np.clip(together / ((1 + n / more) * spread), 0, 1)) if spread > 0 else 0.0
    value = float(people.mean() + weight * (machine_alone.mean() - machine_too.mean()))
    rest = people - weight * machine_too
    variance = float(rest.var(ddof=1) / n + weight**2 * machine_alone.var(ddof=1) / more)
    alone = float(people.var(ddof=1) / n)
    reach, reach_alone = (float(norm.ppf(0.975) * np.sqrt(v)) for v in (variance, alone))
    mean = float(people.mean())
    saved = round(n * (alone / variance - 1)) if variance > 0 else 0
    human = Estimate(mean, mean - reach_alone, mean + reach_alone, n)
    return Inference(value, value - reach, value + reach, human, weight, max(0, saved))
