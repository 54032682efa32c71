"""A sequential test for a fall of a held-out score, applied after every evaluation of a run of any length.

With repeated evaluations a test at a fixed level would eventually stop every run, and so would a comparison with the
best evaluation so far, which is the best partly by chance. Here all tests of a run together reject with a probability
of at most α while the true score never falls, however many evaluations there are: the k-th evaluation spends
α / (k (k + 1)), whose sum over all k is α (alpha spending, Lan & DeMets 1983), divided among its own comparisons
(Bonferroni). Each comparison is a one-sided t-test of paired differences by prompt.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

Array = NDArray[np.float64]
ALPHA = 0.05
MIN_WINDOW = 2  # evaluations in a window: a single one never stops a run


def has_fallen(scores: Array, rewards: Array, alpha: float = ALPHA) -> bool:
    """Return whether the newest evaluation shows that the score fell while the training reward did not.

    scores: (K, N) of N held-out prompts at K evaluations; rewards: (K,) means. The last 2, 4, 8, … evaluations are
    compared with every earlier window of the same length: short windows detect a steep fall early, long windows a
    shallow one. Call this after every evaluation: the k-th one has its own level.
    """
    count, prompts = scores.shape
    starts = {width: np.arange(count - 2 * width + 1) for width in _widths(count)}
    comparisons = sum(map(len, starts.values()))
    if prompts < 2 or not comparisons:
        return False
    level = alpha / (count * (count + 1)) / comparisons
    return any(_min_p_value(scores, rewards, width, early) < level for width, early in starts.items())


def _widths(count: int) -> list[int]:
    """Return the window lengths of which two fit into `count` evaluations."""
    widths, width = [], MIN_WINDOW
    while 2 * width <= count:
        widths.append(width)
        width *= 2
    return widths


def _min_p_value(scores: Array, rewards: Array, width: int, early: NDArray[np.int64]) -> float:
    """Return the lowest p-value of the last window against those that start at `early` and had no higher reward."""
    prompt_means, reward_means = _window_means(scores, width), _window_means(rewards[:, None], width)[:, 0]
    difference = prompt_means[-1] - prompt_means[early]  # (windows, N)
    error = difference.std(axis=1, ddof=1) / np.sqrt(difference.shape[1])
    mean = difference.mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0, mean / error, np.where(mean < 0, -np.inf, 0.0))
    p_values = student.cdf(statistic, difference.shape[1] - 1)
    return float(np.where(reward_means[-1] >= reward_means[early], p_values, 1.0).min())


def _window_means(values: Array, width: int) -> Array:
    """Return means over all windows of `width` rows, (K - width + 1, N)."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0)])
    return np.asarray((sums[width:] - sums[:-width]) / width)
