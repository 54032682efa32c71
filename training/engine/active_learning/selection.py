"""Which tasks to judge next: what an answer would tell, by several rules; and a sample that no rule touches.

A candidate is a task, as the places of its responses among all. P candidates, R responses, M members of an ensemble.
"""

import heapq
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from functools import cache
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, expit, xlogy

Array = NDArray[np.float64]
Comparison = tuple[int, int, float, float]  # a, b, share of the votes that a won, weight of the votes
T = TypeVar("T")
# Before any vote the strengths of a prompt's responses are normal with this spread, in log odds.
SPREAD = 1.0
# Before any vote a pair has had so much of each of its three outcomes (Jeffreys's prior).
PRIOR = 0.5


def model_information(probability: Array) -> Array:
    """What an answer tells of which member is right, in nats (P,): H(mean p) - mean H(p).

    probability: (P, M), each member's P(a beats b). Houlsby et al. 2011, eq. 2 (BALD): it is large where the members
    contradict each other, and 0 where all of them are equally unsure, which more judgements would not change.
    """
    return _entropy(probability.mean(axis=1)) - _entropy(probability).mean(axis=1)


def _entropy(p: Array) -> Array:
    return -(xlogy(p, p) + xlogy(1 - p, 1 - p))


def disagreement(votes: Array) -> Array:
    """How far raters disagree, in nats (P,): the expected entropy of an answer, given those so far.

    votes: (P, 3), weight of a, of b, of ties. Under a Dirichlet prior with PRIOR for each outcome and A the sum of the
    counts α: ψ(A + 1) - Σ α ψ(α + 1) / A (Wolpert & Wolf 1995). Two votes that differ lie above no vote,
    and no vote above two that agree.
    """
    alpha = votes + PRIOR
    total = alpha.sum(axis=1)
    return digamma(total + 1) - (alpha * digamma(alpha + 1)).sum(axis=1) / total


class Rule(Protocol):
    """What a candidate is worth, given those that were taken. Taking one never makes another worth more."""

    def gain(self, candidate: int) -> float: ...

    def take(self, candidate: int) -> None: ...


class Scores:
    """Scores (P,) above 0 that shrink with each task taken of the same prompt (P,): s / (1 + taken)."""

    def __init__(self, scores: Array, prompts: Sequence[Hashable]) -> None:
        self.scores, self.prompts = scores, prompts
        self.taken: dict[Hashable, int] = dict.fromkeys(prompts, 0)

    def gain(self, candidate: int) -> float:
        return float(self.scores[candidate]) / (1 + self.taken[self.prompts[candidate]])

    def take(self, candidate: int) -> None:
        self.taken[self.prompts[candidate]] += 1


class Graphs:
    """What an answer tells of the strengths of a prompt's responses, in nats: ½ log det(I + L Σ).

    Σ is the covariance of the strengths in the Bradley-Terry model of all votes so far, L the information of the
    task's comparisons: the D-optimal design, one step at a time (Grasshoff & Schwabe 2008). It is large between
    responses that were compared little, or only through others; two parts of a graph that nothing connects come first.
    Taking a task counts it as judged, so its neighbours are worth less at once.

    sets: the responses of each candidate, two or more of one prompt. prompts: of each response (R,). comparisons: the
    votes so far. A ranking of K counts as its pairs with weight 2/K.
    """

    def __init__(
        self, sets: Sequence[Sequence[int]], prompts: Sequence[Hashable], comparisons: Sequence[Comparison]
    ) -> None:
        self.sets, self.prompts = sets, prompts
        size: Counter[Hashable] = Counter()
        self.place: list[int] = []  # of each response among those of its prompt
        for prompt in prompts:
            self.place.append(size[prompt])
            size[prompt] += 1
        votes: dict[Hashable, list[Comparison]] = defaultdict(list)
        for a, b, share, weight in comparisons:
            votes[prompts[a]].append((self.place[a], self.place[b], share, weight))
        self.state = {prompt: bradley_terry(size[prompt], votes[prompt]) for prompt in size}

    def gain(self, candidate: int) -> float:
        _, rows, covariance, information = self._asked(candidate)
        scale = np.eye(len(rows)) + information @ covariance[np.ix_(rows, rows)]
        return 0.5 * float(np.linalg.slogdet(scale)[1])

    def take(self, candidate: int) -> None:
        prompt, rows, covariance, information = self._asked(candidate)
        scale = np.eye(len(rows)) + information @ covariance[np.ix_(rows, rows)]
        seen = covariance[:, rows]
        # (Σ⁻¹ + L)⁻¹ = Σ - Σ (I + L Σ)⁻¹ L Σ, Woodbury.
        self.state[prompt] = self.state[prompt][0], covariance - seen @ np.linalg.solve(scale, information) @ seen.T

    def _asked(self, candidate: int) -> tuple[Hashable, list[int], Array, Array]:
        """The candidate's prompt, the rows of its K responses in the prompt's covariance, that, and L (K, K)."""
        responses = self.sets[candidate]
        prompt, rows = self.prompts[responses[0]], [self.place[response] for response in responses]
        strengths, covariance = self.state[prompt]
        k = len(rows)
        i, j = _pairs(k)
        return prompt, rows, covariance, _laplacian(k, i, j, 2 / k * _variance(strengths[rows][i] - strengths[rows][j]))


def bradley_terry(size: int, comparisons: Sequence[Comparison]) -> tuple[Array, Array]:
    """Strengths (K,) and their covariance (K, K) in the normal approximation at the most probable ones.

    Bradley & Terry 1952 with a normal prior of spread SPREAD, by Newton's method.
    """
    table = np.array(comparisons, dtype=float).reshape(-1, 4)
    i, j, share, weight = table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2], table[:, 3]
    strengths = np.zeros(size)
    for _ in range(50):
        difference = strengths[i] - strengths[j]
        surprise = weight * (share - expit(difference))
        gradient = np.bincount(i, surprise, size) - np.bincount(j, surprise, size) - strengths / SPREAD**2
        precision = _laplacian(size, i, j, weight * _variance(difference)) + np.eye(size) / SPREAD**2
        step = np.linalg.solve(precision, gradient)
        longest = float(np.abs(step).max(initial=0.0))
        strengths = strengths + step * min(1.0, 2 / max(longest, 1e-12))
        if longest < 1e-9:
            break
    return strengths, np.asarray(np.linalg.inv(precision), dtype=float)


@cache
def _pairs(k: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.triu_indices(k, 1)


def _variance(difference: Array) -> Array:
    return np.asarray(expit(difference) * expit(-difference))


def _laplacian(size: int, i: NDArray[np.int64], j: NDArray[np.int64], weight: Array) -> Array:
    """Σ weight · (e_i - e_j)(e_i - e_j)ᵀ, (size, size)."""
    matrix = np.zeros((size, size))
    for row, column, sign in ((i, i, 1), (j, j, 1), (i, j, -1), (j, i, -1)):
        np.add.at(matrix, (row, column), sign * weight)
    return matrix


def best(rule: Rule, twins: Sequence[Hashable], count: int, rng: np.random.Generator) -> list[int]:
    """The `count` best candidates by the rule, greedily, in the order in which they were taken.

    twins: (P,); of candidates with the same twin only one is taken. Equals come in random order. Since gains only fall,
    a candidate whose gain still tops the others' old ones is the best (Minoux 1978), and few are computed anew.
    """
    chance = rng.permutation(len(twins))
    heap = [(-rule.gain(candidate), int(chance[candidate]), candidate) for candidate in range(len(twins))]
    heapq.heapify(heap)
    taken: list[int] = []
    seen: set[Hashable] = set()
    while heap and len(taken) < count:
        _, place, candidate = heapq.heappop(heap)
        if twins[candidate] in seen:
            continue
        now = (-rule.gain(candidate), place, candidate)
        if heap and now > heap[0]:
            heapq.heappush(heap, now)
            continue
        rule.take(candidate)
        taken.append(candidate)
        seen.add(twins[candidate])
    return taken


def sample(order: Sequence[str], drawn: Sequence[bool], fresh: Sequence[bool], count: int) -> list[int]:
    """The places that belong to a random sample which is to hold `count` that nobody has judged yet.

    order: a random number of each place that never changes; the sample is always all places up to some number, so what
    rules chose in between does not bend it. drawn: what belongs to it already; fresh: what is still to be judged.
    Returned are all that belong to it now, in that order.
    """
    places = sorted(range(len(order)), key=lambda place: order[place])
    last = max((rank for rank, place in enumerate(places) if drawn[place]), default=-1)
    inside: list[int] = []
    fresh_count = 0
    for rank, place in enumerate(places):
        if rank > last and fresh_count >= count:
            break
        inside.append(place)
        fresh_count += fresh[place]
    return inside


def mixed(chosen: Sequence[T], at_random: Sequence[T]) -> list[T]:
    """Both in one order in which each stretch holds about the same share of both."""
    places = [(n + 0.5) / len(part) for part in (chosen, at_random) for n in range(len(part))]
    both = [*chosen, *at_random]
    return [both[n] for n in sorted(range(len(both)), key=lambda n: places[n])]


def random_part(count: int, share: float) -> int:
    """How many of `count` tasks are drawn at random: rounded up, so that a share above 0 never gives none."""
    return min(count, math.ceil(count * share - 1e-9))


def alike(text: str) -> str:
    """What near-identical texts have in common: their words, without case, punctuation and full-width forms."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())) or text.strip()
