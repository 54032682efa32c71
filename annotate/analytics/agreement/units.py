"""What was judged by several raters, as counts: the form that agreement is computed from. Pure functions."""

from dataclasses import dataclass

import numpy as np

from annotate.analytics.comparisons import Answers, Comparisons, Floats, Ints


@dataclass(frozen=True)
class Units:
    """U things that raters gave one of V values: counts (U, V), of votes. cluster (U,): the task.

    label (U,): a part of the data that the unit is counted in. values (V,): what the columns stand for, ascending.
    """

    counts: Ints
    cluster: Ints
    label: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.counts)


@dataclass(frozen=True)
class Graded:
    """A answers to U things, each one of V ordered values, which may be nearly as many as the answers: no table of
    U by V is ever made. unit, code (A,): which thing, which value. cluster (U,): the task; label (U,): as for Units.
    values (V,): ascending."""

    unit: Ints
    code: Ints
    cluster: Ints
    label: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.cluster)

    @property
    def total(self) -> Ints:
        """(U,): how many answers."""
        return np.bincount(self.unit, minlength=len(self))


def units_of_comparisons(comparisons: Comparisons, label: Ints | None = None) -> Units:
    """Every two responses of a task are a unit; what was said is 0 (b is better), 0.5 (a tie) or 1 (a is better).

    label (C,): comparisons of different labels (the week they were made in) are held apart.
    """
    a, b, outcome = comparisons.pair
    apart = np.zeros(len(a), np.int64) if label is None else label
    number, first = numbered(np.stack([comparisons.cluster, a, b, apart], axis=1))
    codes = (2 * outcome).astype(np.int64)
    counts = np.bincount(number * 3 + codes, minlength=len(first) * 3).reshape(-1, 3)
    values = np.array([0, 0.5, 1])
    return Units(counts, comparisons.cluster[first], apart[first], values)


def units_of_answers(answers: Answers, label: Ints | None = None) -> Graded:
    """Every response of a task is a unit; its value is its score or rank. label (A,): held apart, as above."""
    values, code = np.unique(answers.value, return_inverse=True)
    apart = np.zeros(len(answers), np.int64) if label is None else label
    number, first = numbered(np.stack([answers.task, answers.response, apart], axis=1))
    return Graded(number, code, answers.task[first], apart[first], values)


def numbered(keys: Ints) -> tuple[Ints, Ints]:
    """Number the distinct rows of keys (C, k) from 0: the number of each row, and where each number first stands."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(fresh) - 1
    return number, order[fresh]
