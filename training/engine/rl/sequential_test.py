"""Whether a held-out score has fallen, tested after every evaluation of a run of any length.

A run is evaluated again and again, so that a test at a fixed level would sooner or later stop any of them, and so would
a comparison with the best evaluation so far, which was the best partly by chance. Here all the tests of a run together
reject with a probability of at most α while the true score never falls, however many evaluations there are: the k-th
evaluation may spend α / (k (k + 1)), whose sum over all k is α (alpha spending, Lan & DeMets 1983), and shares it among
its own comparisons (Bonferroni). Each comparison is a one-sided t-test of paired differences by prompt.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Array = NDArray[np.float64]
ALPHA = 0.05
SHORTEST = 2  # evaluations in a window: one alone never stops a run


def has_fallen(scores: Array, rewards: Array, alpha: float = ALPHA) -> bool:
    """Whether the newest evaluation shows that the score fell while the reward that is optimised did not.

    scores: (K, N), of N held-out prompts at each of K evaluations; rewards: (K,), means. The last 2, 4, 8, …
    evaluations are compared with every earlier window of the same length, so that a fall is seen soon when it is steep,
    and at all when it is shallow. Call it after every evaluation: the level of the k-th is its own.
    """
    count, prompts = scores.shape
    starts = {width: np.arange(count - 2 * width + 1) for width in _widths(count)}
    comparisons = sum(map(len, starts.values()))
    if prompts < 2 or not comparisons:
        return False
    level = alpha / (count * (count + 1)) / comparisons
    return any(_lowest(scores, rewards, width, early) < level for width, early in starts.items())


def _widths(count: int) -> list[int]:
    """Lengths of windows of which two fit into so many evaluations."""
    widths, width = [], SHORTEST
    while 2 * width <= count:
        widths.append(width)
        width *= 2
    return widths


def _lowest(scores: Array, rewards: Array, width: int, early: NDArray[np.int64]) -> float:
    """The lowest p-value of the last window against those that start at `early` and had no higher reward."""
    of_prompts, of_reward = _window_means(scores, width), _window_means(rewards[:, None], width)[:, 0]
    difference = of_prompts[-1] - of_prompts[early]  # (windows, N)
    error = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    mean = difference.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0, mean / error, np.where(mean < 0, -np.inf, 0.0))
    chances = student.cdf(statistic, difference.shape[1] - 1)
    return float(np.where(of_reward[-1] >= of_reward[early], chances, 1.0).min())


def _window_means(values: Array, width: int) -> Array:
    """Means over all windows of `width` rows, (K - width + 1, N)."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    return np.asarray((sums[width:] - sums[:-width]) / width)
