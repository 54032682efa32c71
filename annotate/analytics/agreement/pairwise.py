"""Do the raters agree? The share of pairs of raters who say the same of two responses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from annotate.analytics.agreement.coefficients import raw_agreement
from annotate.analytics.agreement.units import units_of_comparisons
from annotate.analytics.comparisons import Comparisons
from core.statistics.bootstrap import Clusters, Estimate

# The newest judgements say how a study is doing; a page must not read millions of them.
NEWEST = 20_000


@dataclass(frozen=True)
class Agreement:
    """Share of agreeing pairs of raters with a 95 % bootstrap interval by prompt; None without such pairs."""

    value: float | None
    low: float | None
    high: float | None
    pairs: int


def agreement(comparisons: Comparisons) -> Estimate:
    """How often two raters of one task prefer the same of two responses, with a 95 % bootstrap interval by task.

    Ties are an answer of their own.
    """
    units = units_of_comparisons(comparisons)
    return raw_agreement(units).estimate(Clusters(units.cluster))


def comparisons(answers: Sequence[dict[int, int]]) -> Iterable[float]:
    """1 or 0 for each two raters and each two responses: did both see them in the same relation?"""
    for one, other in combinations(answers, 2):
        for a, b in combinations(sorted(one), 2):
            yield float(np.sign(one[a] - one[b]) == np.sign(other[a] - other[b]))
