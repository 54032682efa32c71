"""Several tests at once: what stays beyond doubt when their number is taken into account. Pure functions."""

from collections.abc import Mapping
from math import inf
from typing import TypeVar

from scipy.stats import norm

from core.statistics.bootstrap import Estimate

ALPHA = 0.05
Key = TypeVar("Key")


def p_value(estimate: Estimate, expected: float) -> float | None:
    """The two-sided p-value that belongs to a 95 % interval, by a normal approximation on the side of `expected`.

    It is below 0.05 exactly where the interval excludes `expected`. None without an interval. Source: Altman & Bland
    2011, How to obtain the P value from a confidence interval, BMJ 343:d2304.
    """
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return None
    distance = abs(estimate.value - expected)
    reach = estimate.high - estimate.value if estimate.value < expected else estimate.value - estimate.low
    ratio = distance / reach if reach > 0 else inf if distance else 0.0
    return float(2 * norm.sf(ratio * norm.ppf(1 - ALPHA / 2)))


def holm(p_values: Mapping[Key, float | None], alpha: float = ALPHA) -> set[Key]:
    """The keys of the tests that reject when all of them together may err with chance `alpha` at most.

    p_values: key to p-value; tests without one do not count. Source: Holm 1979, A simple sequentially rejective
    multiple test procedure, Scandinavian Journal of Statistics 6:65-70.
    """
    known = sorted((p, key) for key, p in p_values.items() if p is not None)
    rejected: set[Key] = set()
    for rank, (p, key) in enumerate(known):
        if p > alpha / (len(known) - rank):
            break
        rejected.add(key)
    return rejected
