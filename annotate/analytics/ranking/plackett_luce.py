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
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, logsumexp

from annotate.analytics.comparisons import Floats, Ints
from annotate.analytics.ranking.newton import EFFECT_SPREAD, STEPS, TOLERANCE, sandwiched
from annotate.analytics.ranking.votes import Fit


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
    sums = _sums(choices, n, at, prior)
    iterations = 0
    while iterations < STEPS:
        iterations += 1
        step = cho_solve(cho_factor(sums.hessian), sums.gradient)
        for _ in range(40):
            following = _sums(choices, n, at + step, prior)
            if following.value >= sums.value - 1e-12 * abs(sums.value):
                break
            step = step / 2
        at, sums = at + step, following
        if np.abs(step).max(initial=0) < TOLERANCE:
            break
    at[:n] -= at[:n].mean()
    tie = float(at[n]) if orders else None
    bread = cho_solve(cho_factor(sums.hessian), np.eye(len(at)))
    scores = _cluster_scores(choices, n, at, int(np.max(cluster, initial=-1)) + 1)
    covariance = sandwiched(bread, (scores.T @ scores).toarray(), scores.shape[0], n)[:n, :n]
    return Fit(at[:n], np.zeros(0), tie, covariance, sums.value, iterations, prior)


def choices_of(
    rankings: Sequence[Sequence[int]], ranks: Sequence[Sequence[int]], cluster: Ints, weight: Floats
) -> tuple[list[int], list[Choices]]:
    """The sizes of ties that occur, and the choices that the rankings consist of; a choice of one is none."""
    found: dict[tuple[int, int], list[tuple[list[int], float, int]]] = defaultdict(list)
    for items, places, of, counts in zip(rankings, ranks, np.asarray(cluster).tolist(), weight.tolist(), strict=True):
        # By position: a ranking may hold two responses of one item.
        left = list(range(len(items)))
        for place in sorted(set(places)):
            tied, rest = [k for k in left if places[k] == place], [k for k in left if places[k] != place]
            if rest or len(tied) > 1:
                found[len(left), len(tied)].append(([items[k] for k in tied + rest], counts, of))
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


def _choosing(part: Choices, n: int, at: Floats) -> tuple[Ints, Floats, Floats, Floats]:
    """The parameters that each choice depends on, (N, p), its log-odds and chances, (N, subsets), and the weighted
    derivative of its log-probability by those parameters, (N, p)."""
    places = np.hstack([part.items, np.tile(np.arange(n, len(at)), (len(part.items), 1))])
    logits = at[places] @ part.features.T
    logits -= logsumexp(logits, axis=1, keepdims=True)
    chances = np.exp(logits)
    return places, logits, chances, part.weight[:, None] * (part.features[part.picked] - chances @ part.features)


def _sums(choices: Sequence[Choices], n: int, at: Floats, prior: float) -> Sums:
    """Log-likelihood, gradient and minus the Hessian; without a prior only differences of strengths matter, and the
    Hessian is made definite by a term that holds their mean."""
    width = len(at)
    value, gradient, flat = 0.0, np.zeros(width), np.zeros(width * width)
    for part in choices:
        places, logs, chances, score = _choosing(part, n, at)
        value += float(part.weight @ logs[:, part.picked])
        gradient += np.bincount(places.ravel(), score.ravel(), width)
        square = part.features[:, :, None] * part.features[:, None, :]
        mean = chances @ part.features
        spread = (chances @ square.reshape(len(square), -1)).reshape(-1, places.shape[1], places.shape[1])
        spread = part.weight[:, None, None] * (spread - mean[:, :, None] * mean[:, None, :])
        cells = places[:, :, None] * width + places[:, None, :]
        flat += np.bincount(cells.ravel(), spread.ravel(), width * width)
    hessian = flat.reshape(width, width)
    if prior:
        won = expit(at[:n])
        value += prior * float(np.log(won * (1 - won)).sum()) / 2
        gradient[:n] += prior * (0.5 - won)
        hessian[:n, :n] += np.diag(prior * won * (1 - won))
        # What holds strengths together must hold the shares of ties as well.
        value -= prior * float(at[n:] @ at[n:]) / 2 / EFFECT_SPREAD**2
        gradient[n:] -= prior * at[n:] / EFFECT_SPREAD**2
        hessian[n:, n:] += np.eye(width - n) * prior / EFFECT_SPREAD**2
    hessian[:n, :n] += 1e-12 if prior else np.trace(hessian) / n**2 + 1e-12
    return Sums(value, gradient, hessian)


def _cluster_scores(choices: Sequence[Choices], n: int, at: Floats, clusters: int) -> sparse.csr_array:
    """The gradient of each cluster, (clusters, parameters), sparse: a task touches few items."""
    values, rows, columns = [], [], []
    for part in choices:
        places, _logs, _chances, score = _choosing(part, n, at)
        values.append(score.ravel())
        rows.append(np.repeat(part.cluster, places.shape[1]))
        columns.append(places.ravel())
    cells = (np.concatenate(rows), np.concatenate(columns))
    return sparse.coo_array((np.concatenate(values), cells), shape=(clusters, len(at))).tocsr()
