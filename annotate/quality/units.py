"""What was judged by several raters, as counts: the form that agreement is computed from. Pure functions."""

from dataclasses import dataclass

import numpy as np

from annotate.judgements.comparisons import Answers, Comparisons, Floats, Ints


@dataclass(frozen=True)
class Units:
    """U things that raters gave one of V values: counts (U, V), of votes. cluster, prompt (U,): the task and prompt.

    label (U,): a part of the data that the unit is counted in. values (V,): what the columns stand for, ascending.
    """

    counts: Ints
    cluster: Ints
    prompt: Ints
    label: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.counts)


def units_of_comparisons(comparisons: Comparisons, label: Ints | None = None) -> Units:
    """Every two responses of a task are a unit; what was said is 0 (b is better), 0.5 (a tie) or 1 (a is better).

    label (C,): comparisons of different labels (the week they were made in) are held apart.
    """
    a, b, outcome = comparisons.pair
    apart = np.zeros(len(a), np.int64) if label is None else label
    keys = np.stack([comparisons.cluster, a, b, apart], axis=1)
    codes = (2 * outcome).astype(np.int64)
    return _counted(keys, codes, comparisons.cluster, comparisons.prompt, apart, np.array([0, 0.5, 1]))


def units_of_answers(answers: Answers) -> Units:
    """Every response of a task is a unit; its value is its score or rank."""
    values, codes = np.unique(answers.value, return_inverse=True)
    keys = np.stack([answers.task, answers.response], axis=1)
    return _counted(keys, codes, answers.task, answers.prompt, np.zeros(len(keys), np.int64), values)


def _counted(keys: Ints, codes: Ints, cluster: Ints, prompt: Ints, label: Ints, values: Floats) -> Units:
    if not len(keys):
        nothing = np.zeros(0, np.int64)
        return Units(np.zeros((0, max(len(values), 1)), np.int64), nothing, nothing, nothing, values)
    number, first = numbered(keys)
    size = len(first), len(values)
    counts = np.bincount(number * size[1] + codes, minlength=size[0] * size[1]).reshape(size)
    return Units(counts, cluster[first], prompt[first], label[first], values)


def numbered(keys: Ints) -> tuple[Ints, Ints]:
    """Number the distinct rows of keys (C, k) from 0: the number of each row, and where each number first stands."""
    order = np.lexsort(keys.T[::-1])
    ordered = keys[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    number = np.empty(len(order), np.int64)
    number[order] = np.cumsum(fresh) - 1
    return number, order[fresh]
