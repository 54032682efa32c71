"""Intervals by drawing whole clusters (tasks, prompts, groups, raters) with replacement. Pure functions.

Observations of one cluster share texts or people and are not independent, so that whole clusters are drawn (Efron &
Tibshirani 1993, ch. 13). A statistic is a function of sums over the observations: a draw costs one product of matrices,
whatever their number. More than GROUPS clusters are first put at random into GROUPS groups of equal size, which are
drawn instead: groups of independent clusters are independent too.

Few clusters vary less among draws than they would among studies, by √((c-1)/c), and their spread is itself uncertain:
intervals are widened by Student's t (Hesterberg 2015, sec. 5), with as many degrees of freedom as clusters of one size
would have that vary as much (Kish 1965), and there is none for fewer than FEWEST clusters.
bench/coverage.py measures how often they hold the truth.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm
from scipy.stats import t as student

Floats = NDArray[Any]
Ints = NDArray[Any]
Mask = NDArray[np.bool_]

GROUPS, DRAWS = 2000, 1000
# Fewer clusters say too little about how much they vary: four lean the same way by chance once in eight times.
FEWEST = 5
LEVEL = 0.95
MAX_T = 2.0


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

    @property
    def interval(self) -> list[float] | None:
        return None if self.low is None or self.high is None else [self.low, self.high]

    def in_unit(self) -> tuple[float, float, float]:
        """A share with its interval, which is all of [0, 1] where clusters are too few to say more."""
        assert self.value is not None
        low, high = self.interval or (0.0, 1.0)
        return self.value, low, high

    def to_json(self) -> dict[str, float | None] | None:
        """{"value", "low", "high"}; None without data."""
        return None if self.value is None else {"value": self.value, "low": self.low, "high": self.high}


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

    def count_where(self, where: Mask) -> int:
        """How many clusters have an observation where `where` (C,) holds."""
        return len(np.unique(self._cluster[where]))

    def effective(self, where: Mask | None = None) -> float:
        """How many clusters of one size are worth as much as these, of unlike sizes."""
        sizes = np.bincount(self._cluster if where is None else self._cluster[where]).astype(np.float64)
        return float(sizes.sum() ** 2 / (sizes**2).sum())

    def estimates(self, statistic: Statistic, values: Floats, label: Ints, labels: int, n: Ints) -> list[Estimate]:
        """One estimate for each of so many labels, of the observations (C,) that bear it, in one go.
        n (C,): how many each observation counts as."""
        whole, drawn = self.by_label(values, label, labels)
        with np.errstate(invalid="ignore", divide="ignore"):
            value, draws = statistic(whole), statistic(drawn)
        counts, clusters = np.bincount(label, n, labels), self.count_by_label(label, labels)
        make = share_estimate if statistic is proportion else estimate
        return [make(float(value[k]), draws[:, k], int(clusters[k]), int(counts[k])) for k in range(labels)]

    def estimate(self, statistic: Statistic, values: Floats, n: int) -> Estimate:
        """values (C, k): what the statistic sums; n: the observations that are told of."""
        value, draws = self.drawn(statistic, values)
        if statistic is proportion:
            return share_estimate(value, draws, self.count, n)
        return estimate(value, draws, self.count, n, self.effective() if self.count else 0)

    def mean(self, values: Floats, where: Mask | None = None) -> Estimate:
        """The mean of values (C,) where `where` holds. The interval reaches at least as far as that of bootstrap-t,
        which follows the tail of skewed numbers such as log losses (Efron & Tibshirani 1993, ch. 12.5)."""
        where, value, draws = self._mean(values, where)
        clusters = self.count_where(where)
        found = estimate(value, draws, clusters, int(where.sum()), self.effective(where) if clusters else 0)
        if found.low is None or found.high is None:
            return found
        low, high = self._studentized(np.where(where, values, 0.0), where * 1.0, self.effective(where))
        return Estimate(value, min(found.low, low), max(found.high, high), found.n)

    def share(self, values: Floats, where: Mask | None = None) -> Estimate:
        """The mean of values (C,) in [0, 1], such as hits and votes, where `where` holds."""
        where, value, draws = self._mean(values, where)
        return share_estimate(value, draws, self.count_where(where), int(where.sum()))

    def correlation(self, x: Floats, y: Floats) -> Estimate:
        """Pearson's correlation of x and y (C,); no value where one is constant."""
        values = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
        return self.estimate(_pearson, values, len(x))

    def absolute_gap(self, gaps: Floats, place: Ints, where: Mask | None = None) -> Estimate:
        """Σ_bins |Σ gaps in the bin| / N, as the expected calibration error is made of; place (C,): each one's bin.

        Draws are further from zero than the data, by as much as the data is further than the truth: the interval is
        that of the draws, moved so that they lie about the estimate.
        """
        where = np.ones(len(gaps), dtype=bool) if where is None else where.astype(bool)
        if not where.any():
            return NOTHING
        bins = int(place.max()) + 1
        values = np.zeros((len(gaps), bins + 1))
        values[np.flatnonzero(where), place[where]] = gaps[where]
        values[:, bins] = where
        value, draws = self.drawn(lambda sums: np.abs(sums[..., :-1]).sum(axis=-1) / sums[..., -1], values)
        moved = draws - float(np.nanmean(draws)) + value
        found = estimate(value, moved, self.count_where(where), int(where.sum()), self.effective(where))
        return found if found.low is None else Estimate(value, max(0.0, found.low), found.high, found.n)

    def _studentized(self, values: Floats, weights: Floats, effective: float) -> tuple[float, float]:
        """The ends of the bootstrap-t interval of Σ values / Σ weights, both (C,). With few clusters some draws are
        nearly all of one cluster: their quantiles count up to MAX_T times Student's."""
        of_value, of_weight = self.sums(np.stack([values, weights], axis=1)).T

        def mean_and_error(times: Floats) -> tuple[Floats, Floats]:
            total = times @ of_weight
            mean = times @ of_value / total
            squares = (
                times @ of_value**2 - 2 * mean * (times @ (of_value * of_weight)) + mean**2 * (times @ of_weight**2)
            )
            return mean, np.sqrt(np.maximum(squares, 0) * self.groups / (self.groups - 1)) / total

        (mean,), (error,) = mean_and_error(np.ones((1, self.groups)))
        with np.errstate(invalid="ignore", divide="ignore"):
            means, errors = mean_and_error(self.times)
            statistic = np.nan_to_num((means - mean) / errors, nan=0.0)
        most = MAX_T * float(student.ppf((1 + LEVEL) / 2, max(effective - 1, 1.0)))
        low, high = np.quantile(statistic.clip(-most, most), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(mean - high * error), float(mean - low * error)

    def _mean(self, values: Floats, where: Mask | None) -> tuple[Mask, float, Floats]:
        where = np.ones(len(values), dtype=bool) if where is None else where.astype(bool)
        value, draws = self.drawn(ratio, np.stack([np.where(where, values, 0.0), where * 1.0], axis=1))
        return where, value, draws


def estimate(value: float, draws: Floats, clusters: int, n: int, effective: float = 0) -> Estimate:
    """An estimate with the percentile interval of its draws, its ends moved away from the estimate until they are as
    far as Student's t asks for; none for fewer than FEWEST clusters. effective: how many clusters of one size they are
    worth, where that is known."""
    if not np.isfinite(value):
        return Estimate(None, None, None, n)
    finite = draws[np.isfinite(draws)]
    if clusters < FEWEST or len(finite) < len(draws) / 2:
        return Estimate(value, None, None, n)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    widened = _widening(effective or clusters)
    return Estimate(value, float(value + widened * (low - value)), float(value + widened * (high - value)), n)


def share_estimate(value: float, draws: Floats, clusters: int, n: int) -> Estimate:
    """An estimate of a share in [0, 1] with an interval in it; none for fewer than FEWEST clusters.

    The draws' variance says how many independent answers the observations are worth, and that many have an exact
    binomial interval (Korn & Graubard 1998, with their correction by t). Near 0 and 1, where a percentile interval
    shrinks to nothing because no draw differs, it does not: clusters that are all alike are worth one answer each.
    """
    if not np.isfinite(value):
        return Estimate(None, None, None, n)
    finite = draws[np.isfinite(draws)]
    if clusters < FEWEST or len(finite) < len(draws) / 2:
        return Estimate(value, None, None, n)
    variance = float(finite.var()) * clusters / (clusters - 1)
    worth = value * (1 - value) / variance if variance > 1e-12 else 0.0
    answers = min(worth, n) if worth > 0 else clusters
    answers *= float(norm.ppf((1 + LEVEL) / 2) / student.ppf((1 + LEVEL) / 2, clusters - 1)) ** 2
    hits, tail = value * answers, (1 - LEVEL) / 2
    low = float(beta.ppf(tail, hits, answers - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, answers - hits)) if hits < answers else 1.0
    return Estimate(value, low, high, n)


def _widening(clusters: float) -> float:
    quantile, freedom = (1 + LEVEL) / 2, max(clusters - 1, 1.0)
    correction = np.sqrt(clusters / freedom)
    return float(student.ppf(quantile, freedom) / norm.ppf(quantile) * correction)


def ratio(sums: Floats) -> Floats:
    """The first sum over the second."""
    return np.asarray(sums[..., 0] / sums[..., 1])


def proportion(sums: Floats) -> Floats:
    """The first sum over the second, of which it is a part: a share in [0, 1], whose interval lies in it, too."""
    return ratio(sums)


def share(clusters: Clusters, hits: Floats, of: Floats) -> Estimate:
    """The share of hits; hits and of are (C,), 0 where an observation does not count."""
    n = round(float(of.sum()))
    if not n:
        return NOTHING
    value, draws = clusters.drawn(ratio, np.stack([hits, of], axis=1))
    return share_estimate(value, draws, clusters.count_where(of > 0), n)


def share_of_groups(groups: Sequence[Sequence[float]]) -> Estimate:
    """The mean of all values, each in [0, 1], that come in groups such as the votes on a prompt; none of them empty."""
    cluster = np.repeat(np.arange(len(groups)), [len(values) for values in groups])
    return Clusters(cluster).share(np.array([value for values in groups for value in values], dtype=np.float64))


def mean_of_groups(groups: Sequence[Sequence[float]]) -> Estimate:
    """The mean of all values that come in groups; none of them empty."""
    cluster = np.repeat(np.arange(len(groups)), [len(values) for values in groups])
    return Clusters(cluster).mean(np.array([value for values in groups for value in values], dtype=np.float64))


def numbered(names: Sequence[Hashable]) -> Ints:
    """The number of each name's first appearance."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)


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


def _pearson(sums: Floats) -> Floats:
    """From sums (..., 6) of 1, x, y, x², y², xy; NaN where x or y does not vary."""
    n, x, y, xx, yy, xy = (sums[..., k] for k in range(6))
    spread: Any = np.sqrt(np.maximum((xx - x * x / n) * (yy - y * y / n), 0))
    return np.where(spread > 1e-9 * n, (xy - x * y / n) / spread, np.nan)
