"""Intervals by drawing whole clusters (tasks, prompts, raters) with replacement. Pure functions.

A statistic here is a function of sums over the votes, so a draw costs one product of matrices, whatever the number of
votes. More than GROUPS clusters are first put at random into GROUPS groups of equal size, which are drawn instead:
groups of independent clusters are independent too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from annotate.judgements.comparisons import Floats, Ints

GROUPS, DRAWS = 2000, 1000
# Fewer clusters say too little about how much they vary: four lean the same way by chance once in eight times.
FEWEST = 5


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval; None where there is none. n: of how many observations."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def excludes(self, value: float) -> bool:
        """Whether the interval lies wholly on one side of the value."""
        return self.low is not None and self.high is not None and not self.low <= value <= self.high


NOTHING = Estimate(None, None, None, 0)
Statistic = Callable[[Floats], Floats]  # sums (..., k) to (...), NaN where it does not exist


@lru_cache(maxsize=4)
def _times(groups: int, seed: int, draws: int) -> Floats:
    """How often each draw takes each group, (draws, groups). Kept, because nearly all big studies ask for the same."""
    rng = np.random.default_rng(seed)
    taken = rng.integers(max(groups, 1), size=(draws, groups)) + groups * np.arange(draws)[:, None]
    return np.bincount(taken.ravel(), minlength=draws * groups).reshape(draws, groups).astype(np.float64)


class Clusters:
    """The clusters of C observations, ready to be drawn. The same draws serve every statistic, so that differences
    between statistics are compared within draws."""

    def __init__(self, cluster: Ints, *, seed: int = 0, draws: int = DRAWS) -> None:
        rng = np.random.default_rng(seed)
        ids, back = np.unique(cluster, return_inverse=True)
        self.count, self._cluster = len(ids), back
        self.groups = min(self.count, GROUPS)
        self.group = rng.permutation(self.count)[back] % max(self.groups, 1)
        self.times = _times(self.groups, seed, draws)

    def sums(self, values: Floats) -> Floats:
        """(groups, k): the sums of values (C, k) within each group."""
        return np.stack([np.bincount(self.group, column, self.groups) for column in values.T], axis=1)

    def drawn(self, statistic: Statistic, values: Floats) -> tuple[float, Floats]:
        """The statistic of the data, and of every draw."""
        if not self.groups:
            return float("nan"), np.zeros(0)
        sums = self.sums(values)
        with np.errstate(invalid="ignore", divide="ignore"):
            return float(statistic(sums.sum(axis=0))), statistic(self.times @ sums)

    def by_label(self, values: Floats, label: Ints, labels: int) -> tuple[Floats, Floats]:
        """The sums of values (C, k) by label: of the data, (labels, k), and of every draw, (draws, labels, k)."""
        size = values.shape[1]
        cell = self.group * labels + label
        sums = np.stack([np.bincount(cell, column, self.groups * labels) for column in values.T], axis=1)
        sums = sums.reshape(self.groups, labels, size)
        return sums.sum(axis=0), (self.times @ sums.reshape(self.groups, -1)).reshape(-1, labels, size)

    def count_by_label(self, label: Ints, labels: int) -> Ints:
        """How many clusters bear each label; label (C,)."""
        return np.bincount(np.unique(np.stack([self._cluster, label]), axis=1)[1], minlength=labels)

    def estimates(self, statistic: Statistic, values: Floats, label: Ints, labels: int, n: Ints) -> list[Estimate]:
        """One estimate for each of so many labels, of the observations (C,) that bear it, in one go.
        n (C,): how many each observation counts as."""
        whole, drawn = self.by_label(values, label, labels)
        with np.errstate(invalid="ignore", divide="ignore"):
            value, draws = statistic(whole), statistic(drawn)
        counts, clusters = np.bincount(label, n, labels), self.count_by_label(label, labels)
        return [estimate(float(value[k]), draws[:, k], int(clusters[k]), int(counts[k])) for k in range(labels)]

    def estimate(self, statistic: Statistic, values: Floats, n: int) -> Estimate:
        """values (C, k): what the statistic sums; n: the observations that are told of."""
        value, draws = self.drawn(statistic, values)
        return estimate(value, draws, self.count, n)


def estimate(value: float, draws: Floats, clusters: int, n: int) -> Estimate:
    """An estimate with the percentile interval of its draws, none for fewer than FEWEST clusters.

    Few clusters vary less among draws than they would among studies, by √((c-1)/c), and their spread is itself
    uncertain: the percentiles are those that Student's t asks for (Hesterberg 2015, the expanded percentile interval).
    """
    if not np.isfinite(value):
        return Estimate(None, None, None, n)
    draws = draws[np.isfinite(draws)]
    if clusters < FEWEST or len(draws) < DRAWS / 2:
        return Estimate(value, None, None, n)
    tail = float(norm.cdf(student.ppf(0.025, clusters - 1) * np.sqrt(clusters / (clusters - 1))))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Estimate(value, float(low), float(high), n)


def ratio(sums: Floats) -> Floats:
    """The first sum over the second."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def share(clusters: Clusters, hits: Floats, of: Floats) -> Estimate:
    """The share of hits; hits and of are (C,), 0 where an observation does not count."""
    n = round(float(of.sum()))
    return clusters.estimate(ratio, np.stack([hits, of], axis=1), n) if n else NOTHING


def redrawn(cluster: Ints, count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """So many clusters drawn with replacement from those of C observations, numbered from 0: the observations of each
    draw one after another, and the number of the draw that each is in. What is drawn twice counts as two clusters."""
    order = np.argsort(cluster, kind="stable")
    starts = np.searchsorted(cluster[order], np.arange(int(cluster.max()) + 2))
    chosen = rng.integers(len(starts) - 1, size=count)
    sizes = np.diff(starts)[chosen]
    ends = np.cumsum(sizes)
    within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
    return order[np.repeat(starts[chosen], sizes) + within], np.repeat(np.arange(count), sizes)
