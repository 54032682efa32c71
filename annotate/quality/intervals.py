"""Means with intervals, where observations of one prompt belong together."""

from collections.abc import Sequence

import numpy as np

DRAWS = 2000


def mean_by_prompt(by_prompt: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float, float]:
    """The mean of all values and its 95 % percentile bootstrap interval, drawing whole prompts.

    by_prompt: the values of each prompt, at least one prompt, none of them empty.
    """
    sums, sizes = np.array([sum(values) for values in by_prompt]), np.array([len(values) for values in by_prompt])
    drawn = np.random.default_rng(seed).integers(len(by_prompt), size=(DRAWS, len(by_prompt)))
    low, high = np.quantile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [0.025, 0.975])
    return float(sums.sum() / sizes.sum()), float(low), float(high)
