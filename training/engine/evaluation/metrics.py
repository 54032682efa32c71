"""How good a preference model is: figures with bootstrap intervals, and baselines beside them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from core.records import Pair, Record, pairs_of
from core.statistics.bootstrap import DRAWS, NOTHING, Clusters, Estimate, numbered, share_of_groups
from training.engine.preference.calibration import cross_entropy, ece_by_chance, folded

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
    margin: Array  # votes for a minus votes for b; of a ranking, too, a whole vote on each of its pairs
    share: Array  # share of the votes that a won, ties half
    votes: Array  # how many
    longer: Array  # 1 if a is longer, 0 if b is, 0.5 if equal


def evaluate(model: Scorer, records: Sequence[Record], *, bootstrap: int = DRAWS, seed: int = 0) -> dict[str, Any]:
    """The figures of `evaluate_preference`, each with a 95 % bootstrap interval by prompt.

    accuracy: share of the pairs with a vote margin on which the model prefers the majority's response (equal
    rewards count half); accuracy_clear: of those with a margin of two or more. log_loss and ece: of the
    calibrated P(a beats b) against the vote shares of all pairs; ece_by_chance: the ece that a perfectly calibrated
    model would have on average, given as many votes. kendall_tau: mean over prompts of tau-b
    between rewards and the responses' shares of votes won. A figure without data is None, and so is the interval of
    one that rests on fewer than five prompts.
    Raises ValueError when the records compare no two responses.
    """
    pairs = pairs_of(records)
    if not pairs:
        raise ValueError("no judgement compares two responses")
    items = [(p.prompt, text) for p in pairs for text in (p.a, p.b)]
    reward = dict(zip(items, model.score(items), strict=True))
    table = _table(pairs, reward)
    probability = 1 / (1 + np.exp(-table.difference / model.temperature))
    by_prompt = taus(pairs, reward)
    agreement = _rater_vs_others(pairs)
    slots = _first_slot_wins(pairs)
    draw = Clusters(table.prompt, seed=seed, draws=bootstrap)
    decided, clear = table.margin != 0, np.abs(table.margin) >= 2
    right, longer_right = hits(table.difference, table.margin), hits(table.longer - 0.5, table.margin)
    loss = cross_entropy(probability, table.share)
    confidence, observed, place = folded(probability, table.share)
    figures = {
        "accuracy": draw.share(right, decided),
        "accuracy_clear": draw.share(right, clear),
        "log_loss": draw.mean(loss),
        "ece": draw.absolute_gap(confidence - observed, place),
        "kendall_tau": Clusters(np.arange(len(by_prompt)), seed=seed, draws=bootstrap).mean(
            by_prompt, np.isfinite(by_prompt)
        ),
    }
    baselines = {
        "longer": draw.share(longer_right, decided),
        "longer_clear": draw.share(longer_right, clear),
        "majority": _most_common_slot(slots),
        "rater_vs_others": share_of_groups(list(agreement.values())) if agreement else NOTHING,
    }
    return {
        "pairs": int(decided.sum()),
        "pairs_clear": int(clear.sum()),
        "pairs_tied": int((~decided).sum()),
        "judgements": len(records),
        "prompts": int(table.prompt.max()) + 1,
        **{name: estimate.value for name, estimate in figures.items()},
        "ece_by_chance": ece_by_chance(probability, table.votes, seed),
        "baselines": {name: estimate.value for name, estimate in baselines.items()},
        "intervals": {
            **{name: estimate.interval for name, estimate in figures.items()},
            "baselines": {name: estimate.interval for name, estimate in baselines.items()},
        },
    }


def _table(pairs: Sequence[Pair], reward: dict[tuple[str, str], float]) -> _Table:
    return _Table(
        prompt=numbered([p.prompt_id for p in pairs]),
        difference=np.array([reward[p.prompt, p.a] - reward[p.prompt, p.b] for p in pairs], dtype=float),
        margin=np.array([p.margin for p in pairs]),
        share=np.array([p.share_a for p in pairs]),
        votes=np.array([p.votes_weight for p in pairs], dtype=float),
        longer=np.array([0.5 + 0.5 * np.sign(len(p.a) - len(p.b)) for p in pairs]),
    )


def hits(difference: Array, margin: Array) -> Array:
    """1 where the sign of the difference is that of the margin, 0.5 where there is no difference."""
    return np.where(difference == 0, 0.5, (np.sign(difference) == np.sign(margin)).astype(float))


def taus(pairs: Sequence[Pair], reward: Mapping[tuple[str, str], float]) -> Array:
    """Kendall's tau-b a prompt between rewards and shares of votes won, prompts in the order of their first pair; nan
    where one side is constant."""
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
            others = pair.margin - sign * vote.votes
            if sign and abs(others) > 1e-9:
                hits[pair.prompt_id].append(float(sign == np.sign(others)))
    return hits


def _first_slot_wins(pairs: Sequence[Pair]) -> Hits:
    """For each vote that is no tie, where the order shown is known: did the response win that was shown first?"""
    hits: Hits = defaultdict(list)
    for pair in pairs:
        for vote in pair.votes:
            if vote.outcome != 0.5 and vote.a_first is not None:
                hits[pair.prompt_id].append(float((vote.outcome == 1.0) == vote.a_first))
    return hits


def _most_common_slot(first_wins: Hits) -> Estimate:
    """The accuracy of always naming the slot that wins more often: the majority-class baseline."""
    if not first_wins:
        return NOTHING
    share = share_of_groups(list(first_wins.values()))
    if share.value is None or share.value >= 0.5:
        return share
    low, high = (None, None) if share.interval is None else (1 - share.interval[1], 1 - share.interval[0])
    return Estimate(1 - share.value, low, high, share.n)
