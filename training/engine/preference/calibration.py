"""Calibrate a preference model by its temperature, and measure its calibration."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

Array = NDArray[np.float64]
BINS = 10


def fit_temperature(difference: Array, share: Array, weight: Array) -> float:
    """Return the T in [0.02, 50] at which σ(d / T) fits the vote shares best (Guo et al. 2017, sec. 4.2).

    difference, share, weight: (N,): r_a - r_b, the share of the votes that a won, the number of votes. Two votes more,
    one for each side, stand in the shares (Platt 1999, sec. 2.2): a few votes that a model gets all right do not make
    it certain.
    """
    votes = weight.sum()
    share = (share * votes + 1) / (votes + 2)

    def loss(log_t: float) -> float:
        z = difference / math.exp(log_t)
        return float((weight * (np.logaddexp(0, -z) * share + np.logaddexp(0, z) * (1 - share))).sum())

    # The loss is convex in 1/T, so the one minimum in the bracket is found.
    return math.exp(minimize_scalar(loss, bounds=(math.log(0.02), math.log(50)), method="bounded").x)


def shrunk(temperature: float, prior: float, groups: int) -> float:
    """Shrink a temperature fitted to `groups` groups of prompts towards a prior value, which counts as one more group,
    on the log scale: groups differ, and few of them are not representative."""
    share = groups / (groups + 1)
    return temperature**share * prior ** (1 - share)


def fit_slope(feature: Array, share: Array, weight: Array) -> float:
    """Return the β in [-20, 20] at which σ(β x) fits the vote shares best: logistic regression on a difference x
    (N,)."""

    def loss(beta: float) -> float:
        z = beta * feature
        return float((weight * (np.logaddexp(0, -z) * share + np.logaddexp(0, z) * (1 - share))).sum())

    return float(minimize_scalar(loss, bounds=(-20, 20), method="bounded").x)


def cross_entropy(probability: Array, share: Array) -> Array:
    """-[s log p + (1 - s) log(1 - p)], (N,)."""
    p = np.clip(probability, 1e-12, 1 - 1e-12)
    return -(share * np.log(p) + (1 - share) * np.log(1 - p))


@dataclass(frozen=True)
class Bin:
    """Pairs with a similar predicted probability of their likelier winner."""

    pairs: int
    predicted: float
    observed: float


def reliability(probability: Array, share: Array) -> list[Bin]:
    """Return the reliability diagram: mean predicted probability and observed vote share by tenths of confidence."""
    confidence, observed, place = folded(probability, share)
    return [
        Bin(int(inside.sum()), float(confidence[inside].mean()), float(observed[inside].mean()))
        for inside in (place == n for n in range(BINS))
        if inside.any()
    ]


def ece_by_chance(probability: Array, votes: Array, seed: int = 0, draws: int = 200) -> float:
    """Return the mean expected calibration error of a perfectly calibrated model, over draws of equally many votes (N,)
    per pair: with few votes per bin the observed shares differ from any prediction."""
    rng = np.random.default_rng(seed)
    count = np.maximum(np.round(votes), 1).astype(np.int64)
    gaps = []
    for _ in range(draws):
        confidence, observed, place = folded(probability, rng.binomial(count, probability) / count)
        gaps.append(np.abs(np.bincount(place, confidence - observed)).sum() / len(probability))
    return float(np.mean(gaps))


def folded(probability: Array, share: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return probability and share of the likelier winner, and the bin of each pair. The expected calibration error
    (Naeini et al. 2015) is Σ_bins |Σ in the bin of probability - share| / N."""
    flip = probability < 0.5
    confidence, observed = np.where(flip, 1 - probability, probability), np.where(flip, 1 - share, share)
    return confidence, observed, np.minimum(((confidence - 0.5) * 2 * BINS).astype(np.int64), BINS - 1)
