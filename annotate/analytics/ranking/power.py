"""How many more judgements until an interval is narrow enough? By simulation from the fitted model. Pure functions.

Votes are drawn from the fitted strengths on the tasks that there are, with m times as many tasks, and fitted again:
the half-width of each difference of strengths, turned into a chance to win, is what the interval would be. Where the
present interval is wider than a simulated one of as many votes, all simulated ones are widened alike.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from annotate.analytics.comparisons import Floats
from annotate.analytics.ranking import davidson
from annotate.analytics.ranking.votes import Fit, Votes
from core.statistics.bootstrap import redrawn

# Half the width of the interval of a chance to win that counts as narrow.
TARGET = 0.05
MULTIPLES = (1.0, 2.0, 4.0, 8.0)
DRAWS = 5
# More votes than this are simulated as so many (and their multiples), and widths scaled by the root of the votes.
MAX_VOTES = 5_000


@dataclass(frozen=True)
class VotesNeeded:
    """For two items: votes now in the whole ranking; `more` votes (of the same kind) until the interval of the chance
    that one is preferred to the other is at most TARGET on both sides; 0 when it is already. chance: the fitted one.
    decided: whether the interval of their difference lies on one side now."""

    a: int
    b: int
    chance: float
    half_width: float
    more: int
    decided: bool


def needs(votes: Votes, fit: Fit, *, target: float = TARGET, seed: int = 0) -> list[VotesNeeded]:
    """The need of every pair of items, the widest first. votes, fit: of one connected part, by Davidson's model."""
    n, now = votes.n, float(votes.weight.sum())
    rng = np.random.default_rng(seed)
    share = min(1.0, MAX_VOTES / len(votes))
    widths = []
    for multiple in MULTIPLES:
        drawn = [_half_widths(_drawn(votes, fit, multiple * share, rng)) for _ in range(DRAWS)]
        widths.append(np.median(drawn, axis=0) * np.sqrt(share))
    present, found = _half_widths(fit), []
    # Votes of a task that lean the same way say less than the model believes: as much less in future as they do now.
    alike = np.divide(present, widths[0], out=np.ones_like(present), where=widths[0] > 0)
    constant = _constants(np.array(widths)) * np.maximum(alike, 1)
    for a in range(n):
        for b in range(a + 1, n):
            difference = float(fit.strengths[a] - fit.strengths[b])
            chance, half = float(expit(difference)), float(present[a, b])
            reach = _on_chance(difference, half)
            target_width = _strength_width(difference, target)
            factor = (constant[a, b] / target_width) ** 2
            more = 0 if reach <= target else max(0, int(np.ceil(now * factor - now)))
            found.append(VotesNeeded(a, b, chance, reach, more, abs(difference) > half))
    return sorted(found, key=lambda need: -need.half_width)


def _drawn(votes: Votes, fit: Fit, multiple: float, rng: np.random.Generator) -> Fit:
    """A fit to votes drawn from the fitted model, with `multiple` times as many tasks drawn from those there are."""
    clusters = int(votes.cluster.max()) + 1
    rows, cluster = redrawn(votes.cluster, max(2, round(clusters * multiple)), rng)
    d = fit.strengths[votes.left[rows]] - fit.strengths[votes.right[rows]]
    tie = -np.inf if fit.tie is None else fit.tie
    odds = np.stack([np.exp(d / 2), np.exp(-d / 2), np.full(len(d), np.exp(tie))])
    side = (rng.random(len(d)) < np.cumsum(odds / odds.sum(axis=0), axis=0)).argmax(axis=0)
    simulated = replace(
        votes,
        left=votes.left[rows],
        right=votes.right[rows],
        outcome=np.array([1.0, 0.0, 0.5])[side],
        weight=votes.weight[rows],
        cluster=cluster,
        controls=np.zeros((len(rows), 0)),
        names=(),
    )
    # The thousandth of a vote keeps a draw finite in which somebody never loses.
    return davidson.fit(simulated, prior=1e-3)


def _half_widths(fit: Fit) -> Floats:
    n = len(fit.strengths)
    own = np.diag(fit.covariance)[:n]
    variance = own[:, None] + own[None, :] - 2 * fit.covariance[:n, :n]
    return np.asarray(norm.ppf(0.975) * np.sqrt(np.maximum(variance, 0)))


def _constants(widths: Floats) -> Floats:
    """c of width = c / √multiple for each pair, from all multiples: a line through log widths of slope -1/2."""
    scaled = widths * np.sqrt(np.array(MULTIPLES))[:, None, None]
    return np.asarray(np.median(scaled, axis=0))


def _on_chance(difference: float, half: float) -> float:
    """The larger distance of an end of the interval from the chance in the middle."""
    middle = expit(difference)
    return float(max(expit(difference + half) - middle, middle - expit(difference - half)))


def _strength_width(difference: float, target: float) -> float:
    """The half-width on the scale of strengths that is `target` on the scale of chances."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _on_chance(difference, middle) < target else (low, middle)
    return low
