"""What may be wrong with a study's judgements: tests of habits that no rater should have. Pure functions.

Each check compares a figure with what it would be without the habit (`expected`); its interval is a bootstrap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotate.analytics.agreement.units import numbered
from annotate.analytics.comparisons import Comparisons, Flags, Floats, Ints
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, proportion, ratio, share
from core.statistics.multiple_tests import holm, p_value

# A pause longer than this begins a new session.
PAUSE = 30 * 60


@dataclass(frozen=True)
class Check:
    """key: which check. estimate: the figure. missing: a key that says why there is none, or nothing.

    found: whether the habit is there beyond doubt, as `corrected` says of all checks together.
    """

    key: str
    estimate: Estimate
    expected: float
    missing: str = ""
    found: bool = False


def corrected(checks: Sequence[Check]) -> list[Check]:
    """Mark the habits that are there beyond doubt: at 95 % for all checks together, by Holm's procedure."""
    rejected = holm({check.key: p_value(check.estimate, check.expected) for check in checks})
    return [replace(check, found=check.key in rejected) for check in checks]


def order_was_random(comparisons: Comparisons, by_people_here: Flags) -> Flags:
    """Which comparisons were shown in an order drawn by lot. by_people_here (C,): judged on Palate's own screen,
    which draws it. Of imported ones only those of tasks that were shown in both orders."""
    a, b, _outcome = comparisons.pair
    task, _first = numbered(np.stack([comparisons.task, a, b], axis=1))
    in_order = (comparisons.first == a).astype(np.float64)
    count = np.bincount(task)
    forward = np.bincount(task, in_order)
    mixed = (forward > 0) & (forward < count)
    return (by_people_here | mixed[task]) & comparisons.placed


def position_bias(comparisons: Comparisons, random: Flags) -> Check:
    """How often the response shown first (of more than two: before the other) is preferred, ties left out; one half
    without the habit. For the imported, each task's two orders weigh the same, so that quality cancels."""
    counted = random & comparisons.decided
    if not counted.any():
        apart = comparisons.decided.any() and not (comparisons.size > 1).any()
        why = "one-by-one" if apart else "no-random-order" if comparisons.decided.any() else "no-decided"
        return Check("position", NOTHING, 0.5, why)
    chosen = comparisons[counted]
    weight = _balanced(chosen)
    hits = weight * (chosen.outcome == 1)
    result = Clusters(chosen.cluster).estimate(proportion, np.stack([hits, weight], axis=1), len(chosen))
    return Check("position", result, 0.5)


def _balanced(comparisons: Comparisons) -> Floats:
    """Weights that make both orders of a pair count the same where a task was shown in both, 1 elsewhere."""
    a, b, _outcome = comparisons.pair
    pair, _first = numbered(np.stack([comparisons.task, a, b], axis=1))
    forward = comparisons.first == a
    ahead, behind = np.bincount(pair, forward), np.bincount(pair, ~forward)
    both = (ahead > 0) & (behind > 0)
    even = np.minimum(ahead, behind)
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = np.where(forward, even[pair] / ahead[pair], even[pair] / behind[pair])
    return np.where(both[pair], weight, 1.0)


def first_against_last(comparisons: Comparisons, random: Flags) -> Check:
    """In rankings of three or more: how often the response shown first beats the one shown last."""
    ends = _ends(comparisons) & random & comparisons.decided
    if not ends.any():
        return Check("ends", NOTHING, 0.5, "no-rankings")
    chosen = comparisons[ends]
    return Check("ends", share(Clusters(chosen.cluster), chosen.outcome, np.ones(len(chosen))), 0.5)


def _ends(comparisons: Comparisons) -> Flags:
    """The comparisons of the first with the last shown: of a judgement's pairs in order, the one that closes the
    first response's row. A ranking of k has its pair (first, last) where `first` has k - 1 partners."""
    judgement, first = comparisons.judgement, comparisons.first
    of_first, _ = numbered(np.stack([judgement, first], axis=1))
    partners = np.bincount(of_first)[of_first]
    second, _ = numbered(np.stack([judgement, comparisons.second], axis=1))
    met = np.bincount(second)[second]
    # The first shown is `first` of k - 1 pairs, the last shown is `second` of k - 1 pairs.
    return (comparisons.size > 2) & (partners == comparisons.size - 1) & (met == comparisons.size - 1)


def length_bias(comparisons: Comparisons, first_length: Floats, second_length: Floats) -> Check:
    """How often the longer response is preferred, ties and equal lengths left out."""
    counted = comparisons.decided & (first_length != second_length)
    if not counted.any():
        return Check("length", NOTHING, 0.5, "no-decided")
    chosen = comparisons[counted]
    longer = (first_length > second_length)[counted] == (chosen.outcome == 1)
    return Check("length", share(Clusters(chosen.cluster), longer * 1.0, np.ones(len(chosen))), 0.5)


def others_agree(comparisons: Comparisons) -> tuple[Floats, Floats]:
    """For each comparison, how many other raters of the same task say the same, and how many there are, (C,) each."""
    a, b, outcome = comparisons.pair
    unit, _first = numbered(np.stack([comparisons.cluster, a, b], axis=1))
    code = unit * 3 + (2 * outcome).astype(np.int64)
    same = np.bincount(code, minlength=3 * (unit.max(initial=-1) + 1))[code] - 1
    others = np.bincount(unit)[unit] - 1 if len(unit) else np.zeros(0)
    return same.astype(np.float64), others.astype(np.float64)


def sessions(rater: Ints, at: Floats) -> Ints:
    """Each answer's number within its session, from 0; a pause of more than PAUSE seconds begins a new one."""
    order = np.lexsort((at, rater))
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(rater[order]) != 0) | (np.diff(at[order]) > PAUSE)
    starts = np.flatnonzero(fresh)
    place = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
    result = np.empty(len(order), np.int64)
    result[order] = place
    return result


def fatigue(comparisons: Comparisons) -> Check:
    """How much agreement with the other raters changes over a session: the slope of the share of agreeing others on
    the logarithm (to base 2) of the place in the session, within raters; drawn by rater. 0 without fatigue."""
    same, others = others_agree(comparisons)
    place = sessions(comparisons.rater, comparisons.at)
    counted = others > 0
    if not counted.any():
        return Check("fatigue", NOTHING, 0.0, "no-others")
    x, y = np.log2(1 + place[counted]), same[counted] / others[counted]
    rater = np.unique(comparisons.rater[counted], return_inverse=True)[1]
    size = np.bincount(rater)
    x = x - (np.bincount(rater, x) / size)[rater]
    y = y - (np.bincount(rater, y) / size)[rater]
    if not (np.abs(x) > 1e-9).any():
        return Check("fatigue", NOTHING, 0.0, "no-sessions")
    result = Clusters(rater).estimate(ratio, np.stack([x * y, x * x], axis=1), int(counted.sum()))
    return Check("fatigue", result, 0.0)


def order_of_rounds(comparisons: Comparisons, turn: Ints, new_wins: Floats) -> Check:
    """Do raters who know an earlier round judge a later one differently? The new policy's win rate among raters who
    took part in the round before, minus that among raters who did not. turn (C,): the round of each comparison, 0 for
    none; new_wins (C,): 1, 0.5 or 0 for the newer policy."""
    later = turn > 1
    seen = set(zip(comparisons.rater.tolist(), turn.tolist(), strict=True))
    knew = np.array(
        [(rater, number - 1) in seen for rater, number in zip(comparisons.rater.tolist(), turn.tolist(), strict=True)],
        bool,
    )
    if not (later & knew).any() or not (later & ~knew).any():
        return Check("rounds", NOTHING, 0.0, "no-rounds")
    old, new = (later & knew) * 1.0, (later & ~knew) * 1.0
    values = np.stack([old * new_wins, old, new * new_wins, new], axis=1)[later]

    def difference(sums: Floats) -> Floats:
        return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])

    return Check("rounds", Clusters(comparisons.rater[later]).estimate(difference, values, int(later.sum())), 0.0)


def skips(skipped: Flags, length: Floats, cluster: Ints) -> Check:
    """Are tasks skipped for what they are? The mean log2 length of skipped tasks minus that of answered ones, by
    assignments (A,): skipped or not, the characters on the screen, the task. 0 where skips hang on nothing."""
    if not skipped.any() or skipped.all():
        return Check("skips", NOTHING, 0.0, "no-skips")
    size = np.log2(np.maximum(length, 1))
    values = np.stack([skipped * size, skipped * 1.0, ~skipped * size, ~skipped * 1.0], axis=1)

    def difference(sums: Floats) -> Floats:
        return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])

    return Check("skips", Clusters(cluster).estimate(difference, values, int(skipped.sum())), 0.0)


def skips_and_agreement(skipped_tasks: Ints, comparisons: Comparisons) -> Check:
    """Are the skipped tasks the hard ones? Agreement of two raters on tasks that somebody skipped, minus that on
    others."""
    same, others = others_agree(comparisons)
    hard = np.isin(comparisons.task, skipped_tasks)
    if not (hard & (others > 0)).any() or not (~hard & (others > 0)).any():
        return Check("skipped-agreement", NOTHING, 0.0, "no-skips")
    values = np.stack([hard * same, hard * others, ~hard * same, ~hard * others], axis=1)

    def difference(sums: Floats) -> Floats:
        return np.asarray(sums[..., 0] / sums[..., 1] - sums[..., 2] / sums[..., 3])

    count = int((hard & (others > 0)).sum())
    return Check("skipped-agreement", Clusters(comparisons.cluster).estimate(difference, values, count), 0.0)
