"""Coefficients of agreement as functions of sums over units, each with a bootstrap interval by task. Pure functions."""

from dataclasses import dataclass

import numpy as np

from annotate.judgements.comparisons import Answers, Floats, Ints
from annotate.quality.bootstrap import NOTHING, Clusters, Estimate, Statistic, ratio
from annotate.quality.units import Graded, Units


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


def raw_agreement(units: Units) -> Measure:
    """The share of pairs of raters of the same unit who say the same."""
    total = units.counts.sum(axis=1)
    pairs = total * (total - 1) // 2
    agreeing = (units.counts * (units.counts - 1) / 2).sum(axis=1)
    return Measure(ratio, np.stack([agreeing, pairs], axis=1), pairs)


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
    return Measure(ratio, np.stack([agreeing, pairs], axis=1), pairs)


def alpha_ordinal(units: Graded) -> Measure:
    """Krippendorff's α for ranks and scores.

    The ordinal metric (Σ_{g=c..k} n_g - (n_c + n_k)/2)² is the squared difference of mid-ranks, so α is that of
    interval data on mid-ranks, and needs no table of coincidences. Draws keep the mid-ranks of the data.
    """
    total = units.total
    paired = total > 1
    counted = paired[units.unit]
    unit, code = units.unit[counted], units.code[counted]
    marginal = np.bincount(code, minlength=len(units.values)).astype(np.float64)
    middle = np.cumsum(marginal) - marginal / 2
    middle -= middle.mean() if len(middle) else 0
    one, two = (np.bincount(unit, value, len(units)) for value in (middle[code], middle[code] ** 2))
    within = np.where(paired, 2 * (total * two - one**2) / np.maximum(total - 1, 1), 0)

    def alpha(sums: Floats) -> Floats:
        disagreement, n, first, second = (sums[..., k] for k in range(4))
        expected = 2 * (n * second - first**2) / (n - 1)
        return np.where(expected > 1e-9 * np.abs(second), 1 - disagreement / expected, np.nan)

    return Measure(alpha, np.column_stack([within, np.where(paired, total, 0), one, two]), np.where(paired, total, 0))


def kendalls_w(answers: Answers) -> Estimate:
    """Kendall's coefficient of concordance W, corrected for ties, averaged over the tasks that two raters or more have
    ranked, with an interval by task. 1 is the same order by all; chance gives 1 over the number of raters."""
    answered = np.flatnonzero(answers.size > 2)
    if not len(answered):
        return NOTHING
    order = answered[np.lexsort((answers.response[answered], answers.judgement[answered], answers.task[answered]))]
    task, size, value = answers.task[order], answers.size[order], answers.value[order]
    starts = np.flatnonzero(np.append(True, np.diff(task) != 0))
    raters = np.diff(np.append(starts, len(task))) // size[starts]
    found, tasks = [], []
    for m, k in {(int(m), int(k)) for m, k in zip(raters, size[starts], strict=True) if m > 1}:
        chosen = starts[(raters == m) & (size[starts] == k)]
        w = concordance(value[chosen[:, None] + np.arange(m * k)].reshape(-1, m, k))
        found.append(w)
        tasks.append(task[chosen])
    w = np.concatenate(found) if found else np.zeros(0)
    defined = np.isfinite(w)
    if not defined.any():
        return NOTHING
    values = np.column_stack([w[defined], np.ones(defined.sum())])
    return Clusters(np.concatenate(tasks)[defined]).estimate(ratio, values, int(defined.sum()))


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
