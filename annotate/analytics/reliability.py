"""How reliable is each rater? Dawid & Skene 1979 with one parameter a rater, from choices alone. Pure functions.

Every unit (two responses of a task) has a true answer: a, b or, where anybody ever said so, a tie. Rater u says the
truth with probability α_u and otherwise one of the other answers, each as likely. EM finds the truths and the α
together. An α has a beta prior, so that few votes leave it near what is usual; its interval is that of its posterior,
in which the truths of the rater's units are those that the other raters' votes make likely.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from annotate.analytics.agreement.units import numbered
from annotate.analytics.comparisons import Comparisons, Flags, Floats, Ints

STEPS, TOLERANCE = 100, 1e-6
# Beta(4, 2): a mean of two thirds that weighs six votes.
PRIOR = 4.0, 2.0
GRID = np.linspace(0.005, 0.995, 199)


@dataclass(frozen=True)
class Reliability:
    """rater (R,): ids, ascending; value, low, high (R,): α with its 95 % posterior interval; votes (R,): on units
    with other raters. truth (U, answers): how likely b is better, a tie (where one was ever said), a is better; unit
    (C,): of each comparison."""

    rater: Ints
    value: Floats
    low: Floats
    high: Floats
    votes: Ints
    truth: Floats
    unit: Ints

    def of(self, rater: int) -> tuple[float, float, float] | None:
        """(value, low, high) of a rater, or None for one who shares no task with others."""
        place = int(np.searchsorted(self.rater, rater))
        if place == len(self.rater) or self.rater[place] != rater or not self.votes[place]:
            return None
        return float(self.value[place]), float(self.low[place]), float(self.high[place])

    def weights(self) -> dict[int, float]:
        """How much a rater's vote counts relative to an average rater's: the information in it, which is 0 for
        a coin. log(α/(1-α)·(answers - 1)) is a vote's weight of evidence (Nitzan & Paroush 1982)."""
        others = self.truth.shape[1] - 1
        evidence = np.maximum(np.log(others * self.value / (1 - self.value)), 0)
        mean = float(np.average(evidence, weights=self.votes)) if self.votes.sum() else 0.0
        return {int(r): float(w / mean) for r, w in zip(self.rater, evidence, strict=True)} if mean else {}


def reliability(comparisons: Comparisons) -> Reliability:
    """Fit to every comparison; units of one rater alone say nothing of anybody's reliability."""
    a, b, outcome = comparisons.pair
    unit, _first = numbered(np.stack([comparisons.cluster, a, b], axis=1))
    rater_ids, rater = np.unique(comparisons.rater, return_inverse=True)
    ties = bool((outcome == 0.5).any())
    answers, answer = 2 + ties, ((1 + ties) * outcome).astype(np.int64)
    units, raters = int(unit.max(initial=-1)) + 1, len(rater_ids)
    shared = np.bincount(unit, minlength=1)[unit] > 1
    votes = np.bincount(rater[shared], minlength=raters)
    alpha = np.full(raters, PRIOR[0] / sum(PRIOR))
    share = np.bincount(answer, minlength=answers) + 1.0
    share = np.asarray(share / share.sum(), np.float64)
    truth = np.zeros((units, answers))
    for _ in range(STEPS):
        truth = _truth(unit, units, rater, answer, alpha, share)
        right = np.bincount(rater[shared], truth[unit, answer][shared], raters)
        new = (PRIOR[0] - 1 + right) / (sum(PRIOR) - 2 + votes)
        share = np.asarray((truth.sum(axis=0) + 1) / (units + answers), np.float64)
        moved = float(np.abs(new - alpha).max(initial=0))
        alpha = new
        if moved < TOLERANCE:
            break
    value, low, high = _posterior(unit, rater, answer, alpha, share, shared, units, raters)
    return Reliability(rater_ids, value, low, high, votes, truth, unit)


def _log_chances(alpha: Floats, answers: int) -> tuple[Floats, Floats]:
    """The log-probabilities of the true answer and of one of the others."""
    return np.log(alpha), np.log((1 - alpha) / (answers - 1))


def _truth(unit: Ints, units: int, rater: Ints, answer: Ints, alpha: Floats, share: Floats) -> Floats:
    """The posterior of the true answers, (U, answers)."""
    log = _log_likelihood(unit, units, rater, answer, alpha, len(share)) + np.log(share)
    return np.exp(log - logsumexp(log, axis=1, keepdims=True))


def _log_likelihood(unit: Ints, units: int, rater: Ints, answer: Ints, alpha: Floats, answers: int) -> Floats:
    right, wrong = _log_chances(alpha, answers)
    log = np.bincount(unit * answers + answer, (right - wrong)[rater], units * answers).reshape(units, answers)
    return np.asarray(log + np.bincount(unit, wrong[rater], units)[:, None], np.float64)


def _posterior(
    unit: Ints, rater: Ints, answer: Ints, alpha: Floats, share: Floats, shared: Flags, units: int, raters: int
) -> tuple[Floats, Floats, Floats]:
    """Mean and 95 % interval of each α on a grid, the truths being those that the other raters' votes make likely."""
    prior = (PRIOR[0] - 1) * np.log(GRID) + (PRIOR[1] - 1) * np.log1p(-GRID)
    log = np.tile(prior, (raters, 1))
    if units:
        right, wrong = _log_chances(alpha, len(share))
        others = _log_likelihood(unit, units, rater, answer, alpha, len(share))[unit] + np.log(share)
        others[np.arange(len(unit)), answer] -= (right - wrong)[rater]
        others -= wrong[rater][:, None]
        likely = np.exp(others - logsumexp(others, axis=1, keepdims=True))
        agreed = likely[np.arange(len(unit)), answer]
        _add_likelihood(log, rater[shared], agreed[shared], len(share))
    chance = np.exp(log - logsumexp(log, axis=1, keepdims=True))
    mean, below = chance @ GRID, np.cumsum(chance, axis=1)
    return mean, GRID[(below < 0.025).sum(axis=1)], GRID[np.minimum((below < 0.975).sum(axis=1), len(GRID) - 1)]


def _add_likelihood(log: Floats, rater: Ints, agreed: Floats, answers: int) -> None:
    """Add to (R, grid) the log-probability of each vote: P(said) = α·q + (1-α)/(answers-1)·(1-q), q being how likely
    the others make what was said. The votes' q are rounded to hundredths, so that the cost grows not with the votes."""
    levels = np.round(agreed * 100).astype(np.int64)
    counts = np.bincount(rater * 101 + levels, minlength=len(log) * 101).reshape(len(log), 101)
    q = np.arange(101) / 100
    log += counts @ np.log(q[:, None] * GRID + (1 - q[:, None]) * (1 - GRID) / (answers - 1))
