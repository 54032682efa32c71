"""Means with intervals, where observations of one prompt belong together."""

from collections.abc import Sequence

import numpy as np

DRAWS = 2000


def mean_by_prompt(by_prompt: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float, float]:
    """The mean of all values and its 95 % percentile bootstrap interval, drawing whole prompts.

    by_prompt: the values of each prompt, from 0 to 1; at least one prompt, none of them empty. One prompt tells nothing
    of others: the interval is then 0 to 1.
    """
    sums, sizes = np.array([sum(values) for values in by_prompt]), np.array([len(values) for values in by_prompt])
    if len(by_prompt) == 1:
        return float(sums.sum() / sizes.sum()), 0.0, 1.0
    drawn = np.random.default_rng(seed).integers(len(by_prompt), size=(DRAWS, len(by_prompt)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(sums.sum() / sizes.sum()), float(low), float(high)
