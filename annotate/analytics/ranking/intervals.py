"""Intervals of strengths, of chances to win, and of ranks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from annotate.analytics.comparisons import Floats, Ints
from annotate.analytics.ranking.votes import Fit, Votes, unique_rows
from core.statistics.bootstrap import Clusters


@dataclass(frozen=True)
class Ranks:
    """Intervals of ranks, arrays (n,), 1 the best."""

    rank: Ints
    low: Ints
    high: Ints


def ranks(fit: Fit, level: float = 0.95) -> Ranks:
    """An item's rank lies between 1 + how many are better for sure and n - how many are worse for sure.

    "For sure": the difference of two strengths exceeds its standard error by the normal quantile at
    (1 - level) / (n - 1), so that for each item all its differences hold together (Bonferroni).
    """
    n = len(fit.strengths)
    order = np.argsort(np.argsort(-fit.strengths, kind="stable"), kind="stable") + 1
    if n < 2:
        return Ranks(order, order, order)
    strengths, covariance = fit.strengths, fit.covariance[:n, :n]
    own = np.diag(covariance)
    spread = np.sqrt(np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0))
    apart = (strengths[:, None] - strengths[None, :]) > norm.ppf(1 - (1 - level) / 2 / (n - 1)) * spread
    return Ranks(order, 1 + apart.sum(axis=0), n - apart.sum(axis=1))


def chance(fit: Fit, a: int, b: int, level: float = 0.95) -> tuple[float, float, float]:
    """The fitted chance that item a is preferred to b, ties left out, with its interval from the difference."""
    difference = fit.strengths[a] - fit.strengths[b]
    variance = fit.covariance[a, a] + fit.covariance[b, b] - 2 * fit.covariance[a, b]
    reach = norm.ppf((1 + level) / 2) * np.sqrt(max(variance, 0))
    return float(expit(difference)), float(expit(difference - reach)), float(expit(difference + reach))


def bootstrap(votes: Votes, fit: Callable[..., Fit], *, prior: float, draws: int = 200, seed: int = 0) -> Floats:
    """Strengths refitted to clusters drawn with replacement, (draws, n): the other way to an interval, which trusts
    no normal distribution. A draw whose votes fall apart is held together by a thousandth of the weak prior's vote.

    Without controls a draw is another count of the same unique rows, so its cost does not grow with the votes.
    """
    clusters = Clusters(votes.cluster, seed=seed, draws=draws)
    rows, row_of = unique_rows(votes)
    found = []
    for taken in clusters.times:
        times = votes.weight * taken[clusters.group]
        weight = np.bincount(row_of, times, len(rows))
        drawn = replace(rows, weight=weight)[weight > 0]
        found.append(fit(drawn, prior=max(prior, 1e-3), robust=False).strengths)
    return np.array(found)
