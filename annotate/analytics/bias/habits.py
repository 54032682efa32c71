"""One rater's habits: side, length, haste, sameness, drift, compared with the other raters. Pure functions."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from annotate.analytics.bias.answer_patterns import Given
from annotate.analytics.bias.checks import others_agree
from annotate.analytics.comparisons import Comparisons, Flags, Floats, Ints
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, proportion

# A run of equal answers that chance brings less often than this is worth a look.
UNLIKELY = 0.001


@dataclass(frozen=True)
class Habits:
    """first, longer: how often the response shown first, or the longer one, is preferred, ties left out. agreement:
    with other raters of the same tasks. fast, timed: answers given before the texts could be read, of how many timed.
    run, run_chance: the longest run of the same answer, and how likely one so long is among answers drawn as often as
    all raters give them. drift: agreement of the last half minus that of the first."""

    answers: int
    agreement: Estimate
    first: Estimate
    longer: Estimate
    ties: Estimate
    fast: int
    timed: int
    pace: float | None
    run: int
    run_chance: float
    drift: Estimate

    @property
    def straight(self) -> bool:
        return self.run_chance < UNLIKELY


def habits(own: Comparisons, same: Floats, others: Floats, given: Given, usual: Floats, longer_first: Floats) -> Habits:
    """One rater's habits.

    own: the rater's comparisons; same, others (C,): of the other raters of the unit, how many agree, and how many
    there are (`others_agree`); given: the rater's judgements; usual: how often each answer is given by all raters;
    longer_first (C,): 1 where the first shown is the longer one, 0 where the second is, NaN where they are equal.
    """
    decided, counted = own.decided, others > 0
    unequal = decided & np.isfinite(longer_first)
    in_time = given[given.placed][np.argsort(given.at[given.placed], kind="stable")]
    run, chance = longest_run(in_time.answer, usual)
    agreement = NOTHING
    if counted.any():
        values = np.stack([same[counted], others[counted]], axis=1)
        agreement = Clusters(own.cluster[counted]).estimate(proportion, values, int(counted.sum()))
    return Habits(
        answers=len(given),
        agreement=agreement,
        first=_proportion(own.outcome[decided & own.placed] == 1),
        longer=_proportion((own.outcome == longer_first)[unequal]),
        ties=_proportion(~decided),
        fast=int(given.fast.sum()),
        timed=int(given.timed.sum()),
        pace=float(np.median(given.seconds[given.timed])) if given.timed.any() else None,
        run=run,
        run_chance=chance,
        drift=_drift(own, same, others),
    )


def _proportion(hits: Flags) -> Estimate:
    """A share with its interval after Jeffreys, which is right for few observations too."""
    n, k = len(hits), int(hits.sum())
    if not n:
        return NOTHING
    low, high = beta.ppf([0.025, 0.975], k + 0.5, n - k + 0.5)
    return Estimate(k / n, float(low) if k else 0.0, float(high) if k < n else 1.0, n)


def longest_run(answers: Ints, usual: Floats) -> tuple[int, float]:
    """The longest run of one answer in a row of answers, and about how likely one so long is when each answer is drawn
    on its own, as often as `usual` says (Erdős & Rényi; the expected number of such runs bounds the chance)."""
    n = len(answers)
    if not n:
        return 0, 1.0
    starts = np.flatnonzero(np.append(True, answers[1:] != answers[:-1]))
    longest = int(np.diff(np.append(starts, n)).max())
    expected = ((n - longest) * usual**longest * (1 - usual) + usual**longest).sum()
    return longest, float(min(1.0, expected))


def _drift(own: Comparisons, same: Floats, others: Floats) -> Estimate:
    counted = others > 0
    if counted.sum() < 4:
        return NOTHING
    later = own.at > np.median(own.at[counted])
    if not (later & counted).any() or (later | ~counted).all():
        return NOTHING
    values = np.stack([later * same, later * others, ~later * same, ~later * others], axis=1)[counted]

    def difference(sums: Floats) -> Floats:
        return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])

    return Clusters(own.cluster[counted]).estimate(difference, values, int(counted.sum()))


@dataclass(frozen=True)
class RaterRow:
    """A rater in the table of all: counts and shares without intervals."""

    rater: int
    answers: int
    agreement: float | None
    first: float | None
    longer: float | None
    pace: float | None
    fast: float | None


def rows(comparisons: Comparisons, given: Given, longer_first: Floats) -> list[RaterRow]:
    """One row a rater, the busiest first. given: all judgements; longer_first (C,): as for `habits`."""
    ids, of = np.unique(given.rater, return_inverse=True)
    rater, n = np.searchsorted(ids, comparisons.rater), len(ids)
    same, others = others_agree(comparisons)
    decided, placed = comparisons.decided, comparisons.placed
    unequal = decided & np.isfinite(longer_first)
    timed = given.timed
    columns = (
        _shares(rater, same, others, n),
        _shares(rater, (comparisons.outcome == 1) * 1.0 * placed, (decided & placed) * 1.0, n),
        _shares(rater, unequal * (comparisons.outcome == longer_first), unequal * 1.0, n),
        _medians(of[timed], given.seconds[timed], n),
        _shares(of, given.fast * 1.0, timed * 1.0, n),
    )
    answers = np.bincount(of, minlength=n)
    table = [RaterRow(int(ids[k]), int(answers[k]), *(_none(column[k]) for column in columns)) for k in range(n)]
    return sorted(table, key=lambda row: (-row.answers, row.rater))


def _none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _shares(rater: Floats, hits: Floats, of: Floats, n: int) -> Floats:
    top, bottom = np.bincount(rater, hits, n), np.bincount(rater, of, n)
    return np.divide(top, bottom, out=np.full(n, np.nan), where=bottom > 0)


def _medians(of: Floats, values: Floats, n: int) -> Floats:
    """The median of the values of each of n, NaN where it has none."""
    order = np.lexsort((values, of))
    counts = np.bincount(of, minlength=n)
    starts = np.cumsum(counts) - counts
    medians = np.full(n, np.nan)
    some = counts > 0
    ordered = values[order]
    low, high = starts[some] + (counts[some] - 1) // 2, starts[some] + counts[some] // 2
    medians[some] = (ordered[low] + ordered[high]) / 2
    return medians
