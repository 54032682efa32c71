"""How good a preference model is: figures with bootstrap intervals, and baselines beside them."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from training.engine.calibration import cross_entropy, expected_error
from training.engine.records import Pair, Record, pairs_of

Array = NDArray[np.float64]


class Scorer(Protocol):
    @property
    def temperature(self) -> float: ...

    def score(self, items: Sequence[tuple[str, str]]) -> list[float]: ...


@dataclass
class _Table:
    """Columns over the pairs. `prompt` numbers the prompt of each pair: the unit of the bootstrap."""

    prompt: NDArray[np.int64]  # (N,)
    difference: Array  # reward of a minus reward of b
    margin: Array  # votes for a minus votes for b
    share: Array  # share of the votes that a won, ties half
    longer: Array  # 1 if a is longer, 0 if b is, 0.5 if equal


def evaluate(model: Scorer, records: Sequence[Record], *, bootstrap: int = 1000, seed: int = 0) -> dict[str, Any]:
    """The figures of `evaluate_preference`, each with a 95 % percentile bootstrap interval by prompt.

    accuracy: share of the pairs with a vote margin on which the model prefers the majority's response (equal
    rewards count half); accuracy_clear: of those with a margin of two or more. log_loss and ece: of the
    calibrated P(a beats b) against the vote shares of all pairs. kendall_tau: mean over prompts of tau-b
    between rewards and the responses' shares of votes won. A figure without data is None.
    Raises ValueError when the records compare no two responses.
    """
    pairs = pairs_of(records)
    if not pairs:
        raise ValueError("no judgement compares two responses")
    items = [(p.prompt, text) for p in pairs for text in (p.a, p.b)]
    reward = dict(zip(items, model.score(items), strict=True))
    table = _table(pairs, reward)
    probability = 1 / (1 + np.exp(-table.difference / model.temperature))
    taus = _taus(pairs, reward)
    agreement = _rater_vs_others(pairs)
    slots = _first_slot_wins(pairs)
    draw = _Bootstrap(table.prompt, bootstrap, seed)
    decided, clear = table.margin != 0, np.abs(table.margin) >= 2
    right, longer_right = _hits(table.difference, table.margin), _hits(table.longer - 0.5, table.margin)
    loss = cross_entropy(probability, table.share)
    figures = {
        "accuracy": draw.mean(right, decided),
        "accuracy_clear": draw.mean(right, clear),
        "log_loss": draw.mean(loss, np.ones_like(decided)),
        "ece": draw.statistic(lambda rows: expected_error(probability[rows], table.share[rows])),
        "kendall_tau": _Bootstrap(np.arange(len(taus)), bootstrap, seed).mean(taus, np.isfinite(taus)),
    }
    baselines = {
        "longer": draw.mean(longer_right, decided),
        "longer_clear": draw.mean(longer_right, clear),
        "majority": _most_common_slot(slots, bootstrap, seed),
        "rater_vs_others": _clustered(agreement, bootstrap, seed),
    }
    return {
        "pairs": int(decided.sum()),
        "pairs_clear": int(clear.sum()),
        "pairs_tied": int((~decided).sum()),
        "judgements": len(records),
        "prompts": int(table.prompt.max()) + 1,
        **{name: value for name, (value, _) in figures.items()},
        "baselines": {name: value for name, (value, _) in baselines.items()},
        "intervals": {
            **{name: interval for name, (_, interval) in figures.items()},
            "baselines": {name: interval for name, (_, interval) in baselines.items()},
        },
    }


Figure = tuple[float | None, list[float] | None]


class _Bootstrap:
    """Resamples whole prompts: pairs of one prompt share responses and are not independent."""

    def __init__(self, cluster: NDArray[np.int64], draws: int, seed: int) -> None:
        self.cluster = cluster
        self.clusters = int(cluster.max()) + 1 if len(cluster) else 0
        rng = np.random.default_rng(seed)
        # counts (draws, clusters): how often each prompt is drawn.
        self.counts = rng.multinomial(self.clusters, np.full(self.clusters, 1 / self.clusters), size=draws)

    def mean(self, values: Array, where: NDArray[np.bool_]) -> Figure:
        """The mean of the values where `where` holds, by sums a prompt: fast for any number of pairs."""
        where = where.astype(bool)
        if not where.any():
            return None, None
        sums = np.bincount(self.cluster[where], values[where], self.clusters)
        sizes = np.bincount(self.cluster[where], minlength=self.clusters)
        drawn = self.counts @ sizes
        means = (self.counts @ sums)[drawn > 0] / drawn[drawn > 0]
        return float(values[where].mean()), _interval(means)

    def statistic(self, of: Callable[[NDArray[np.int64]], float], draws: int = 200) -> Figure:
        """Any statistic of row numbers; fewer draws, since each looks at the rows."""
        rows = [np.flatnonzero(self.cluster == c) for c in range(self.clusters)]
        drawn = [
            of(np.concatenate([np.tile(rows[c], n) for c, n in enumerate(counts) if n]))
            for counts in self.counts[:draws]
        ]
        return of(np.arange(len(self.cluster))), _interval(np.array(drawn))


def _interval(values: Array) -> list[float]:
    return [float(q) for q in np.quantile(values, [0.025, 0.975])]


def _table(pairs: Sequence[Pair], reward: dict[tuple[str, str], float]) -> _Table:
    number: dict[str, int] = {}
    return _Table(
        prompt=np.array([number.setdefault(p.prompt_id, len(number)) for p in pairs]),
        difference=np.array([reward[p.prompt, p.a] - reward[p.prompt, p.b] for p in pairs], dtype=float),
        margin=np.array([p.margin for p in pairs]),
        share=np.array([p.share_a for p in pairs]),
        longer=np.array([0.5 + 0.5 * np.sign(len(p.a) - len(p.b)) for p in pairs]),
    )


def _hits(difference: Array, margin: Array) -> Array:
    """1 where the sign of the difference is that of the margin, 0.5 where there is no difference."""
    return np.where(difference == 0, 0.5, (np.sign(difference) == np.sign(margin)).astype(float))


def _taus(pairs: Sequence[Pair], reward: dict[tuple[str, str], float]) -> Array:
    """Kendall's tau-b a prompt between rewards and shares of votes won; nan where one side is constant."""
    prompts: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(lambda: [0.0, 0.0, 0.0]))
    for p in pairs:
        votes = p.wins_a + p.wins_b + p.ties
        for name, text, share in ((p.a_id, p.a, p.share_a), (p.b_id, p.b, 1 - p.share_a)):
            entry = prompts[p.prompt_id][name]
            entry[0], entry[1], entry[2] = entry[0] + share * votes, entry[1] + votes, reward[p.prompt, text]
    return np.array([_tau(list(responses.values())) for responses in prompts.values()])


def _tau(entries: Sequence[Sequence[float]]) -> float:
    standings, rewards = [won / votes for won, votes, _ in entries], [r for _, _, r in entries]
    if len(set(standings)) < 2 or len(set(rewards)) < 2:
        return math.nan
    return float(kendalltau(standings, rewards).statistic)


Hits = dict[str, list[float]]  # prompt id to hits


def _rater_vs_others(pairs: Sequence[Pair]) -> Hits:
    """For each vote: does it agree with the majority of the other raters on the pair? Ties are left out."""
    hits: Hits = defaultdict(list)
    for pair in pairs:
        for vote in pair.votes:
            sign = (vote.outcome > 0.5) * 1.0 - (vote.outcome < 0.5) * 1.0
            others = pair.margin - sign * vote.weight
            if sign and abs(others) > 1e-9:
                hits[pair.prompt_id].append(float(sign == np.sign(others)))
    return hits


def _first_slot_wins(pairs: Sequence[Pair]) -> Hits:
    """For each vote that is no tie: did the response win that was shown first?"""
    hits: Hits = defaultdict(list)
    for pair in pairs:
        for vote in pair.votes:
            if vote.outcome != 0.5:
                hits[pair.prompt_id].append(float((vote.outcome == 1.0) == vote.a_first))
    return hits


def _clustered(hits: Hits, bootstrap: int, seed: int) -> Figure:
    if not hits:
        return None, None
    cluster = np.repeat(np.arange(len(hits)), [len(of_prompt) for of_prompt in hits.values()])
    values = np.array([hit for of_prompt in hits.values() for hit in of_prompt])
    return _Bootstrap(cluster, bootstrap, seed).mean(values, np.ones(len(values), dtype=bool))


def _most_common_slot(first_wins: Hits, bootstrap: int, seed: int) -> Figure:
    """The accuracy of always naming the slot that wins more often: the majority-class baseline."""
    value, interval = _clustered(first_wins, bootstrap, seed)
    if value is None or interval is None or value >= 0.5:
        return value, interval
    return 1 - value, [1 - interval[1], 1 - interval[0]]
