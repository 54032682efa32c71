"""Coefficients of agreement as functions of sums over units, each with a bootstrap interval by task. Pure functions."""

from dataclasses import dataclass

import numpy as np

from annotate.analytics.agreement.units import Graded, Units
from annotate.analytics.comparisons import Answers, Floats, Ints
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, Statistic, proportion, ratio


@dataclass(frozen=True)
class Measure:
    """A coefficient as a function of sums over units: values (U, k), what each unit adds; n (U,): pairs of raters, or
    answers, that it counts as."""

    statistic: Statistic
    values: Floats
    n: Ints

    def estimate(self, clusters: Clusters) -> Estimate:
        n = int(self.n.sum())
        return clusters.estimate(self.statistic, self.values, n) if n else NOTHING

    def estimates(self, clusters: Clusters, label: Ints, labels: int) -> list[Estimate]:
        """One estimate for each label from 0, of the units that bear it; label (U,)."""
        return clusters.estimates(self.statistic, self.values, label, labels, self.n)


def raw_agreement(units: Units) -> Measure:
    """The share of pairs of raters of the same unit who say the same."""
    total = units.counts.sum(axis=1)
    pairs = total * (total - 1) // 2
    agreeing = (units.counts * (units.counts - 1) / 2).sum(axis=1)
    return Measure(proportion, np.stack([agreeing, pairs], axis=1), pairs)


def alpha_nominal(units: Units) -> Measure:
    """Krippendorff's α for categories (Krippendorff 2011, nominal data): 1 - D_o / D_e, by coincidences."""
    total = units.counts.sum(axis=1)
    inside = np.where((total > 1)[:, None], units.counts, 0).astype(np.float64)
    same = (inside * (inside - 1)).sum(axis=1) / np.maximum(total - 1, 1)

    def alpha(sums: Floats) -> Floats:
        marginal = sums[..., :-1]
        n = marginal.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            observed = (n - sums[..., -1]) / n
            expected = (n**2 - (marginal**2).sum(axis=-1)) / (n * (n - 1))
            return np.where(expected > 0, 1 - observed / expected, np.nan)

    return Measure(alpha, np.column_stack([inside, same]), np.where(total > 1, total, 0))


def same_grade(units: Graded) -> Measure:
    """The share of pairs of raters of the same unit who give it exactly the same value."""
    total = units.total
    pairs = total * (total - 1) // 2
    cell, count = np.unique(units.unit * len(units.values) + units.code, return_counts=True)
    agreeing = np.bincount(cell // max(len(units.values), 1), count * (count - 1) / 2, len(units))
    return Measure(proportion, np.stack([agreeing, pairs], axis=1), pairs)


def alpha_ordinal(units: Graded) -> Measure:
    """Krippendorff's α for ranks and scores.

    The ordinal metric (Σ_{g=c..k} n_g - (n_c + n_k)/2)² is the squared difference of mid-ranks, so α is that of
    interval data on mid-ranks, and needs no table of coincidences. Draws keep the mid-ranks of the data.
    """
    total = units.total
    paired = total > 1
    counted = paired[units.unit]
    unit, code = units.unit[counted], units.code[counted]
    # Of units of another label are other mid-ranks.
    place = units.label[unit] * len(units.values) + code
    labels = int(units.label.max(initial=0)) + 1
    marginal = np.bincount(place, minlength=labels * len(units.values)).astype(np.float64).reshape(labels, -1)
    middle = np.cumsum(marginal, axis=1) - marginal / 2
    # About the middle, where their squares lose no digits.
    middle = (middle - marginal.sum(axis=1, keepdims=True) / 2).ravel()[place]
    one, two = np.bincount(unit, middle, len(units)), np.bincount(unit, middle**2, len(units))
    within = np.where(paired, 2 * (total * two - one**2) / np.maximum(total - 1, 1), 0)

    def alpha(sums: Floats) -> Floats:
        disagreement, n, first, second = (sums[..., k] for k in range(4))
        with np.errstate(invalid="ignore", divide="ignore"):
            expected = 2 * (n * second - first**2) / (n - 1)
            return np.where(expected > 1e-9 * np.abs(second), 1 - disagreement / expected, np.nan)

    return Measure(alpha, np.column_stack([within, np.where(paired, total, 0), one, two]), np.where(paired, total, 0))


@dataclass(frozen=True)
class Concordance:
    """Kendall's W of T tasks: a measure of their mean, the tasks and the label of each, (T,)."""

    measure: Measure
    task: Ints
    label: Ints


def concordances(answers: Answers, label: Ints | None = None) -> Concordance:
    """W, corrected for ties, of every task of three responses or more that two raters or more have ordered; without
    those in which every rater ties everything. label (A,): what raters said under another label is held apart."""
    apart = np.zeros(len(answers), np.int64) if label is None else label
    answered = np.flatnonzero(answers.size > 2)
    keys = (answers.response, answers.judgement, apart, answers.task)
    order = answered[np.lexsort([key[answered] for key in keys])]
    task, part, size, value = answers.task[order], apart[order], answers.size[order], answers.value[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (np.diff(task) != 0) | (np.diff(part) != 0)
    starts = np.flatnonzero(fresh)
    raters = np.diff(np.append(starts, len(task))) // size[starts]
    found = np.full(len(starts), np.nan)
    for m, k in {(int(m), int(k)) for m, k in zip(raters, size[starts], strict=True) if m > 1}:
        chosen = (raters == m) & (size[starts] == k)
        found[chosen] = concordance(value[starts[chosen][:, None] + np.arange(m * k)].reshape(-1, m, k))
    starts, w = starts[np.isfinite(found)], found[np.isfinite(found)]
    measure = Measure(ratio, np.column_stack([w, np.ones(len(w))]), np.ones(len(w), np.int64))
    return Concordance(measure, task[starts], part[starts])


def kendalls_w(answers: Answers) -> Estimate:
    """Kendall's coefficient of concordance W, averaged over tasks, with an interval by task. 1 is the same order by
    all; chance gives 1 over the number of raters."""
    found = concordances(answers)
    return found.measure.estimate(Clusters(found.task))


def concordance(values: Floats) -> Floats:
    """W of T tasks, (T,): m raters' values of k things, (T, m, k), any values that order them. NaN where every rater
    ties everything."""
    _tasks, m, k = values.shape
    above = (values[..., :, None] > values[..., None, :]).sum(axis=-1)
    equal = (values[..., :, None] == values[..., None, :]).sum(axis=-1)
    sums = (above + (equal + 1) / 2).sum(axis=1)
    # Σ over ties of t³ - t equals the sum over things of t² - 1.
    most = m**2 * (k**3 - k) - m * (equal**2 - 1).sum(axis=(1, 2))
    spread = 12 * ((sums - sums.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.divide(spread, most, out=np.full(len(sums), np.nan), where=most > 0)
