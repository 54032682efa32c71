"""Percentile bootstrap of whole clusters: pairs of one prompt or group share texts and are not independent."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Figure = tuple[float | None, list[float] | None]
DRAWS = 1000
# More clusters are first put at random into so many of like size: groups of independent clusters are independent, too.
MOST = 2000


class Bootstrap:
    """Draws clusters with replacement (Efron & Tibshirani 1993, ch. 13). cluster (N,): the number of each row's."""

    def __init__(self, cluster: NDArray[np.int64], draws: int = DRAWS, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.clusters = int(cluster.max()) + 1 if len(cluster) else 0
        if self.clusters > MOST:
            cluster, self.clusters = rng.permutation(self.clusters)[cluster] % MOST, MOST
        self.cluster = cluster
        # counts (draws, clusters): how often each cluster is drawn.
        share = np.full(self.clusters, 1 / max(self.clusters, 1))
        self.counts: Array = (
            rng.multinomial(self.clusters, share, size=draws).astype(float) if self.clusters else np.zeros((draws, 0))
        )

    def mean(self, values: Array, where: NDArray[np.bool_] | None = None, weight: Array | None = None) -> Figure:
        """The weighted mean of the values where `where` holds and its 95 % interval, by sums a cluster; None without
        rows."""
        where = np.ones(len(values), dtype=bool) if where is None else where.astype(bool)
        if not where.any():
            return None, None
        cluster, values = self.cluster[where], values[where]
        weight = np.ones(len(values)) if weight is None else weight[where]
        sums: Array = np.bincount(cluster, values * weight, self.clusters).astype(float)
        sizes: Array = np.bincount(cluster, weight, self.clusters).astype(float)
        return float(sums.sum() / sizes.sum()), self._interval(self.counts @ sums, sizes)

    def correlation(self, x: Array, y: Array) -> Figure:
        """Pearson's correlation of x and y (N,) and its interval, by sums a cluster; None where one is constant."""
        columns = (np.ones(len(x)), x, y, x * x, y * y, x * y)
        sums: Array = np.stack([np.bincount(self.cluster, column, self.clusters) for column in columns]).astype(
            float
        )  # (6, C)
        value = float(_pearson(sums.sum(axis=1)))
        if not np.isfinite(value):
            return None, None
        drawn = _pearson(sums @ self.counts.T)
        return value, interval(drawn[np.isfinite(drawn)]) if self.clusters > 1 else None

    def mean_gap(self, gaps: Array, place: NDArray[np.int64], where: NDArray[np.bool_] | None = None) -> Figure:
        """Σ_bins |Σ gaps in the bin| / N, as the expected calibration error is made of; place (N,): each row's bin."""
        where = np.ones(len(gaps), dtype=bool) if where is None else where.astype(bool)
        if not where.any():
            return None, None
        cluster, gaps, place = self.cluster[where], gaps[where], place[where]
        bins = int(place.max()) + 1
        sums = np.bincount(cluster * bins + place, gaps, self.clusters * bins).reshape(self.clusters, bins)
        sizes = np.bincount(cluster, minlength=self.clusters).astype(float)
        value = float(np.abs(sums.sum(axis=0)).sum() / sizes.sum())
        return value, self._interval(np.abs(self.counts @ sums).sum(axis=1), sizes)

    def _interval(self, drawn: Array, sizes: Array) -> list[float] | None:
        """Quantiles of the drawn sums over the drawn sizes; None for rows of a single cluster: how much another one
        would differ cannot be known from them."""
        if (sizes > 0).sum() < 2:
            return None
        total = self.counts @ sizes
        return interval(drawn[total > 0] / total[total > 0])


def _pearson(sums: Array) -> Array:
    """From sums (6, …) of 1, x, y, x², y², xy; nan where x or y does not vary."""
    n, x, y, xx, yy, xy = sums
    with np.errstate(all="ignore"):
        spread = np.sqrt((xx - x * x / n) * (yy - y * y / n))
        return np.where(spread > 1e-9 * n, (xy - x * y / n) / spread, np.nan)


def interval(values: Array) -> list[float]:
    return [float(q) for q in np.quantile(values, [0.025, 0.975])]


def numbered(names: Sequence[Hashable]) -> NDArray[np.int64]:
    """The number of each name's first appearance."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in names], dtype=np.int64)


def told(figure: Figure) -> dict[str, Any] | None:
    """A figure as JSON: value, low and high; None without data."""
    value, found = figure
    if value is None:
        return None
    low, high = found if found else (None, None)
    return {"value": value, "low": low, "high": high}
