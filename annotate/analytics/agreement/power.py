"""How many more judgements until agreement is known well enough? By simulation from the fitted raters.

Truths are drawn as the votes make them likely, and what each rater says of them as reliable as the rater is (Dawid &
Skene, one parameter), on tasks like those there are; the spread of α over such studies is what its interval would be.
Where the present interval is wider than a simulated one of as many votes, all simulated ones are widened alike.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from annotate.analytics.agreement.coefficients import alpha_nominal
from annotate.analytics.agreement.units import Units, numbered, units_of_comparisons
from annotate.analytics.comparisons import Comparisons, Floats
from annotate.analytics.reliability import Reliability, reliability
from core.statistics.bootstrap import Clusters, Estimate, redrawn

MULTIPLES, DRAWS = (1.0, 2.0, 4.0), 20
# More comparisons than this are simulated as so many, and widths scaled: they fall with the root of the votes.
MOST = 5_000


@dataclass(frozen=True)
class SampleSizeEstimate:
    """now: agreement and its interval. half_width: of that interval; more: judgements until it is at most the target,
    0 when it is already."""

    now: Estimate
    half_width: float
    more: int


def agreement_sample_size(
    comparisons: Comparisons, judgements: int, *, target: float, seed: int = 0
) -> SampleSizeEstimate | None:
    """The need of Krippendorff's α of the choices; None while it has no interval. judgements: how many there are."""
    if not len(comparisons):
        return None
    units = units_of_comparisons(comparisons)
    now = alpha_nominal(units).estimate(Clusters(units.cluster))
    if now.low is None or now.high is None:
        return None
    half_width, rng = (now.high - now.low) / 2, np.random.default_rng(seed)
    trust, cluster = reliability(comparisons), np.unique(comparisons.cluster, return_inverse=True)[1]
    rater = np.searchsorted(trust.rater, comparisons.rater)
    share = min(1.0, MOST / len(comparisons))
    widths = []
    for multiple in MULTIPLES:
        size = max(2, round((int(cluster.max()) + 1) * multiple * share))
        drawn = np.array([_simulated(trust, rater, *redrawn(cluster, size, rng), rng) for _ in range(DRAWS)])
        # Where all say the same there is no α.
        known = drawn[np.isfinite(drawn)]
        widths.append(known.std() * np.sqrt(share * multiple) if len(known) else 0.0)
    constant = float(norm.ppf(0.975) * np.sqrt(np.mean(np.square(widths))))
    factor = (max(constant, half_width) / target) ** 2
    more = 0 if half_width <= target else max(0, int(np.ceil(judgements * (factor - 1))))
    return SampleSizeEstimate(now, half_width, more)


def _simulated(
    trust: Reliability, rater: np.ndarray, rows: np.ndarray, cluster: np.ndarray, rng: np.random.Generator
) -> float:
    """Krippendorff's α of what the raters of these rows would say of truths drawn anew, one for each unit."""
    answers = trust.truth.shape[1]
    unit, first = numbered(np.stack([cluster, trust.unit[rows]], axis=1))
    truth = _drawn(trust.truth[trust.unit[rows][first]], rng)[unit]
    right = rng.random(len(rows)) < trust.value[rater[rows]]
    answer = np.where(right, truth, (truth + rng.integers(1, answers, size=len(rows))) % answers)
    counts = np.bincount(unit * answers + answer, minlength=len(first) * answers).reshape(-1, answers)
    nothing = np.zeros(len(first), np.int64)
    measure = alpha_nominal(Units(counts, nothing, nothing, np.arange(answers) / (answers - 1)))
    return float(measure.statistic(measure.values.sum(axis=0)))


def _drawn(chances: Floats, rng: np.random.Generator) -> np.ndarray:
    """One of the columns for each row, by its chances."""
    return (rng.random((len(chances), 1)) < np.cumsum(chances, axis=1)).argmax(axis=1)
