"""Plackett 1975 and Luce 1959 for whole rankings, with ties after Davidson and Luce (Firth, Kosmidis & Turner 2019).

A ranking chooses again and again the best of those that are left. Of a set A the tied set S of m responses is chosen
with odds δ_m · (Π_{i∈S} e^{θ_i})^{1/m}, δ_1 = 1. A choice is a multinomial logit in (θ, log δ), so Newton applies.
On pairs this is Davidson's model; without ties it is Plackett and Luce's.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logsumexp

from annotate.judgements.comparisons import Floats, Ints
from annotate.standings.ranking.newton import STEPS, TOLERANCE, sandwiched
from annotate.standings.ranking.votes import Fit


@dataclass(frozen=True)
class Choices:
    """N choices of `tied` items among `size`: items (N, size), the chosen ones first; weight (N,); cluster (N,).

    features (subsets, size + orders): for each subset that may be chosen, 1/m for its m items and 1 for its order m,
    the orders above 1 being those of `orders`. picked: the subset that was chosen, the same for all N.
    """

    items: Ints
    weight: Floats
    cluster: Ints
    features: Floats
    picked: int


@dataclass(frozen=True)
class Sums:
    value: float
    gradient: Floats
    hessian: Floats
    scores: Floats  # (clusters, parameters)


def fit(
    n: int,
    rankings: Sequence[Sequence[int]],
    ranks: Sequence[Sequence[int]],
    cluster: Ints,
    *,
    weight: Floats | None = None,
    prior: float = 0.0,
) -> Fit:
    """Fit n items to rankings.

    rankings: the items that each ranking orders; ranks: their ranks, 1 the best, equal ranks are ties.
    cluster: the task of each ranking, numbered from 0. weight: 1 each unless given. prior: as for pairs.
    """
    orders, choices = choices_of(rankings, ranks, cluster, np.ones(len(rankings)) if weight is None else weight)
    at = np.zeros(n + len(orders))
    clusters = int(np.max(cluster, initial=-1)) + 1
    sums = _sums(choices, n, at, prior, clusters)
    iterations = 0
    while iterations < STEPS:
        iterations += 1
        step = cho_solve(cho_factor(sums.hessian), sums.gradient)
        for _ in range(40):
            following = _sums(choices, n, at + step, prior, clusters)
            if following.value >= sums.value - 1e-12 * abs(sums.value):
                break
            step = step / 2
        at, sums = at + step, following
        if np.abs(step).max(initial=0) < TOLERANCE:
            break
    at[:n] -= at[:n].mean()
    tie = float(at[n]) if orders else None
    bread = cho_solve(cho_factor(sums.hessian), np.eye(len(at)))
    covariance = sandwiched(bread, sums.scores.T @ sums.scores, clusters, n)[:n, :n]
    return Fit(at[:n], np.zeros(0), tie, covariance, sums.value, iterations, prior)


def choices_of(
    rankings: Sequence[Sequence[int]], ranks: Sequence[Sequence[int]], cluster: Ints, weight: Floats
) -> tuple[list[int], list[Choices]]:
    """The sizes of ties that occur, and the choices that the rankings consist of; a choice of one is none."""
    found: dict[tuple[int, int], list[tuple[list[int], float, int]]] = defaultdict(list)
    for items, places, of, counts in zip(rankings, ranks, np.asarray(cluster).tolist(), weight.tolist(), strict=True):
        left = list(items)
        for place in sorted(set(places)):
            tied = [item for item, rank in zip(items, places, strict=True) if rank == place]
            rest = [item for item in left if item not in tied]
            if rest or len(tied) > 1:
                found[len(left), len(tied)].append((tied + rest, counts, of))
            left = rest
    orders = sorted({tied for _size, tied in found if tied > 1})
    return orders, [
        Choices(
            items=np.array([row[0] for row in rows]),
            weight=np.array([row[1] for row in rows]),
            cluster=np.array([row[2] for row in rows]),
            features=_features(size, orders),
            picked=_picked(size, orders, tied),
        )
        for (size, tied), rows in sorted(found.items())
    ]


def _subsets(size: int, orders: Sequence[int]) -> list[tuple[int, ...]]:
    return [subset for m in (1, *orders) if m <= size for subset in combinations(range(size), m)]


def _features(size: int, orders: Sequence[int]) -> Floats:
    subsets = _subsets(size, orders)
    features = np.zeros((len(subsets), size + len(orders)))
    for row, subset in enumerate(subsets):
        features[row, list(subset)] = 1 / len(subset)
        if len(subset) > 1:
            features[row, size + orders.index(len(subset))] = 1
    return features


def _picked(size: int, orders: Sequence[int], tied: int) -> int:
    return _subsets(size, orders).index(tuple(range(tied)))


def _sums(choices: Sequence[Choices], n: int, at: Floats, prior: float, clusters: int) -> Sums:
    """Log-likelihood, gradient and minus the Hessian; without a prior only differences of strengths matter, and the
    Hessian is made definite by a term that holds their mean."""
    width = len(at)
    value, gradient, hessian = 0.0, np.zeros(width), np.full((width, width), 0.0)
    scores = np.zeros((clusters, width))
    for part in choices:
        size = part.items.shape[1]
        places = np.hstack([part.items, np.tile(np.arange(n, width), (len(part.items), 1))])
        logits = at[places] @ part.features.T
        total = logsumexp(logits, axis=1, keepdims=True)
        chances = np.exp(logits - total)
        value += float(part.weight @ (logits[:, part.picked] - total[:, 0]))
        mean = chances @ part.features
        score = part.weight[:, None] * (part.features[part.picked] - mean)
        np.add.at(scores, (part.cluster[:, None], places), score)
        np.add.at(gradient, places, score)
        square = part.features[:, :, None] * part.features[:, None, :]
        spread = (chances @ square.reshape(len(square), -1)).reshape(-1, size + width - n, size + width - n)
        spread = part.weight[:, None, None] * (spread - mean[:, :, None] * mean[:, None, :])
        np.add.at(hessian, (places[:, :, None], places[:, None, :]), spread)
    if prior:
        won = expit(at[:n])
        value += prior * float(np.log(won * (1 - won)).sum()) / 2
        gradient[:n] += prior * (0.5 - won)
        hessian[:n, :n] += np.diag(prior * won * (1 - won))
    hessian[:n, :n] += 1e-12 if prior else np.trace(hessian) / n**2 + 1e-12
    return Sums(value, gradient, hessian, scores)
