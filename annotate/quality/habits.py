"""One rater's habits: side, length, haste, sameness, drift, beside what the others do. Pure functions."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from annotate.judgements.comparisons import Comparisons, Flags, Floats
from annotate.quality.bootstrap import NOTHING, Clusters, Estimate, ratio
from annotate.quality.checks import others_agree

# Nobody reads faster than about a thousand words a minute.
CHARACTERS_A_SECOND = 100.0
# A run of equal sides that chance brings less often than this is worth a look.
UNLIKELY = 0.001


@dataclass(frozen=True)
class Habits:
    """first, longer: how often the response shown first, or the longer one, is preferred, ties left out. agreement:
    with other raters of the same tasks. fast, of: answers given before the texts could be read, of how many timed.
    run, run_chance: the longest run of the same side, and how likely a run so long is without a habit. drift: agreement
    of the last half minus that of the first."""

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


def habits(own: Comparisons, same: Floats, others: Floats, length: Floats, longer_first: Floats) -> Habits:
    """One rater's habits.

    own: the rater's comparisons; same, others (C,): of the other raters of the unit, how many agree, and how many
    there are (`others_agree`); length (C,): characters on the screen; longer_first (C,): 1 where the first shown is
    the longer one, 0 where the second is, NaN where they are equal.
    """
    decided, counted = own.decided, others > 0
    unequal = decided & np.isfinite(longer_first)
    judgements, first_of = np.unique(own.judgement, return_index=True)
    seconds = own.seconds[first_of]
    timed = np.isfinite(seconds)
    fast = seconds[timed] < length[first_of][timed] / CHARACTERS_A_SECOND
    sides = own.outcome[decided & (own.size == 2)][np.argsort(own.at[decided & (own.size == 2)], kind="stable")]
    run, chance = longest_run(sides == 1)
    agreement = NOTHING
    if counted.any():
        values = np.stack([same[counted], others[counted]], axis=1)
        agreement = Clusters(own.cluster[counted]).estimate(ratio, values, int(counted.sum()))
    return Habits(
        answers=len(judgements),
        agreement=agreement,
        first=_proportion(own.outcome[decided & (own.size > 1)] == 1),
        longer=_proportion((own.outcome == longer_first)[unequal]),
        ties=_proportion(~decided),
        fast=int(fast.sum()),
        timed=int(timed.sum()),
        pace=float(np.median(seconds[timed])) if timed.any() else None,
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


def longest_run(sides: Flags) -> tuple[int, float]:
    """The longest run of one side in a row of answers, and about how likely one so long is when each answer is drawn
    on its own with the row's own shares (Erdős & Rényi; the expected number of such runs bounds the chance)."""
    n = len(sides)
    if not n:
        return 0, 1.0
    starts = np.flatnonzero(np.append(True, sides[1:] != sides[:-1]))
    lengths = np.diff(np.append(starts, n))
    longest = int(lengths.max())
    p = (sides.sum() + 1) / (n + 2)
    expected = sum((n - longest + 1) * q**longest * (1 - q) for q in (p, 1 - p)) + p**longest + (1 - p) ** longest
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


def rows(comparisons: Comparisons, length: Floats, longer_first: Floats) -> list[RaterRow]:
    """One row a rater, the busiest first. length, longer_first (C,): as for `habits`."""
    ids, rater = np.unique(comparisons.rater, return_inverse=True)
    n = len(ids)
    same, others = others_agree(comparisons)
    decided, placed = comparisons.decided, comparisons.size > 1
    unequal = decided & np.isfinite(longer_first)
    _judgements, first_of = np.unique(comparisons.judgement, return_index=True)
    answers = np.bincount(rater[first_of], minlength=n)
    seconds, of = comparisons.seconds[first_of], rater[first_of]
    timed = np.isfinite(seconds)
    fast = np.bincount(of[timed], seconds[timed] < length[first_of][timed] / CHARACTERS_A_SECOND, n)
    paces = _medians(of[timed], seconds[timed], n)
    agreement = _shares(rater, same, others, n)
    first = _shares(rater, (comparisons.outcome == 1) * 1.0 * placed, (decided & placed) * 1.0, n)
    longer = _shares(rater, unequal * (comparisons.outcome == longer_first), unequal * 1.0, n)
    fast_share = np.divide(
        fast, np.bincount(of[timed], minlength=n), out=np.full(n, np.nan), where=np.bincount(of[timed], minlength=n) > 0
    )
    table = [
        RaterRow(
            int(ids[k]),
            int(answers[k]),
            *(_none(column[k]) for column in (agreement, first, longer, paces, fast_share)),
        )
        for k in range(n)
    ]
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
