"""What there is to know of a preference model on held-out prompts, as JSON for pages and files."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.records import Pair, Record, pairs_of
from core.statistics.bootstrap import Clusters, Floats, numbered
from training.engine.data.observations import Item
from training.engine.evaluation.breakdowns import PairTable, breakdowns
from training.engine.evaluation.criteria import Judge, criteria
from training.engine.evaluation.metrics import Scorer, hits
from training.engine.preference.calibration import cross_entropy, fit_slope

ERRORS = 20


class CachedRewards:
    """A model that reads each item once, whatever the number of figures that need its reward."""

    def __init__(self, model: Judge) -> None:
        self.model = model
        self._rewards: dict[Item, float] = {}

    @property
    def temperature(self) -> float:
        return self.model.temperature

    def score(self, items: Sequence[Item]) -> list[float]:
        new = [item for item in dict.fromkeys(items) if item not in self._rewards]
        self._rewards.update(zip(new, self.model.score(new), strict=True))
        return [self._rewards[item] for item in items]

    def criteria(self, items: Sequence[Item]) -> dict[str, list[float]]:
        return self.model.criteria(items)


def report(
    model: Judge,
    records: Sequence[Record],
    *,
    calibration: Sequence[Record],
    linear: Scorer | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The report of a model on `records`. calibration: records of the validation split, on which the baselines are
    calibrated as the model is. linear: a bag-of-tokens model of the same snapshot, to stand beside it.

    A figure is {"value", "low", "high"} with a 95 % interval that draws whole groups of prompts, or None without data.
    Raises ValueError when the records compare no two responses.
    """
    pairs = pairs_of(records)
    if not pairs:
        raise ValueError("no judgement compares two responses")
    table = _table(model, pairs, seed)
    return {
        "overall": table.figures(table.everything),
        "by": breakdowns(table),
        "criteria": criteria(model, records, seed),
        "reliability": table.reliability(),
        "baselines": _baselines(table, pairs_of(calibration), _table(linear, pairs, seed) if linear else None),
        "length": _length(table),
        "errors": _errors(table),
    }


def overall(model: Scorer, records: Sequence[Record], seed: int = 0) -> dict[str, Any]:
    """The report's figures over all pairs, alone."""
    table = _table(model, pairs_of(records), seed)
    return table.figures(table.everything)


def _table(model: Scorer, pairs: Sequence[Pair], seed: int) -> PairTable:
    items = list(dict.fromkeys((pair.prompt, text) for pair in pairs for text in (pair.a, pair.b)))
    return PairTable(pairs, dict(zip(items, model.score(items), strict=True)), model.temperature, seed)


def _baselines(table: PairTable, calibration: Sequence[Pair], linear: PairTable | None) -> list[dict[str, Any]]:
    """The model beside what needs no model, each with a probability and so a log loss."""
    rows = [_baseline_row(table, "model", table.difference, table.probability)]
    if linear:
        rows.append(_baseline_row(table, "linear", linear.difference, linear.probability))
    longer = _longer(table.lengths)
    known = _longer(np.array([(len(pair.a), len(pair.b)) for pair in calibration], dtype=float).reshape(-1, 2))
    share = np.array([pair.share_a for pair in calibration])
    slope = fit_slope(known, share, np.array([pair.votes_weight for pair in calibration]))
    rows.append(_baseline_row(table, "longer", longer, 1 / (1 + np.exp(-slope * longer))))
    even = np.zeros(len(table.pairs))
    rows.append(_baseline_row(table, "even", even, even + 0.5))
    # What nobody can beat who has to name one probability a pair: the votes' own shares.
    rows.append({"name": "votes", "accuracy": None, "accuracy_clear": None, "log_loss": _loss(table, table.share)})
    return rows


def _baseline_row(table: PairTable, name: str, difference: Floats, probability: Floats) -> dict[str, Any]:
    right = hits(difference, table.margin)
    return {
        "name": name,
        "accuracy": table.accuracy(right, table.everything),
        "accuracy_clear": table.accuracy(right, table.clear),
        "log_loss": _loss(table, probability),
    }


def _loss(table: PairTable, probability: Floats) -> dict[str, Any] | None:
    return table.draw.mean(cross_entropy(probability, table.share)).to_json()


def _longer(lengths: Floats) -> Floats:
    """1 where a is longer, -1 where b is, 0 for equal lengths."""
    return np.sign(lengths[:, 0] - lengths[:, 1])


def _length(table: PairTable) -> dict[str, Any]:
    """How far the reward follows length (in characters), and how far the raters do.

    correlation: Pearson's, of reward or of the share of votes won with the logarithm of the length, both around their
    prompt's mean. longer: share of the pairs of unlike length whose longer response is preferred. accuracy where the
    raters' majority preferred the longer and where it preferred the shorter: a model that has learned length alone
    has 1 and 0.
    """
    longer = _longer(table.lengths)
    unlike = table.decided & (longer != 0)
    raters_longer = hits(longer, table.margin)
    model_longer = hits(longer, table.difference)
    return {
        "correlation": _with_length(table, of_votes=False),
        "correlation_votes": _with_length(table, of_votes=True),
        "longer": table.accuracy(model_longer, unlike),
        "longer_votes": table.accuracy(raters_longer, unlike),
        "accuracy_longer_won": table.accuracy(table.right, unlike & (raters_longer == 1)),
        "accuracy_shorter_won": table.accuracy(table.right, unlike & (raters_longer == 0)),
    }


def _with_length(table: PairTable, *, of_votes: bool) -> dict[str, Any] | None:
    rows: dict[tuple[str, Item], list[float]] = defaultdict(lambda: [0.0, 0.0])
    group = {}
    for pair in table.pairs:
        for text, share in ((pair.a, pair.share_a), (pair.b, 1 - pair.share_a)):
            row = rows[pair.prompt_id, (pair.prompt, text)]
            row[0] += share * pair.votes_weight
            row[1] += pair.votes_weight
        group[pair.prompt_id] = pair.group
    prompts = numbered([prompt for prompt, _ in rows])
    lengths = np.log1p([len(item[1]) for _, item in rows])
    values = [won / votes for won, votes in rows.values()] if of_votes else [table.rewards[item] for _, item in rows]
    clusters = numbered([group[prompt] for prompt, _ in rows])
    draw = Clusters(clusters, seed=table.seed)
    return draw.correlation(_centred(lengths, prompts), _centred(np.array(values), prompts)).to_json()


def _centred(values: Floats, cluster: NDArray[np.int64]) -> Floats:
    return values - (np.bincount(cluster, values) / np.bincount(cluster))[cluster]


def _errors(table: PairTable) -> list[dict[str, Any]]:
    """The pairs on which the model is most sure of what the majority denies."""
    confidence = np.maximum(table.probability, 1 - table.probability)
    wrong = np.flatnonzero(table.decided & (table.right == 0))
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:ERRORS]
    return [_error(table.pairs[n], float(table.probability[n])) for n in worst]


def _error(pair: Pair, probability: float) -> dict[str, Any]:
    sides = [
        {"id": pair.a_id, "text": pair.a, "author": pair.a_author, "votes": pair.wins_a},
        {"id": pair.b_id, "text": pair.b, "author": pair.b_author, "votes": pair.wins_b},
    ]
    if probability < 0.5:
        sides.reverse()
    return {
        "prompt_id": pair.prompt_id,
        "prompt": pair.prompt,
        "preferred": sides[0],
        "other": sides[1],
        "ties": pair.ties,
        "probability": max(probability, 1 - probability),
    }
