"""How well a preference model's outputs for single criteria agree with the raters' scores."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from core.records import Record
from core.statistics.bootstrap import Clusters, Estimate, Floats, numbered
from training.engine.data.observations import Item
from training.engine.evaluation.metrics import Scorer, hits


class Judge(Scorer, Protocol):
    """A preference model, as far as a report asks it."""

    def criteria(self, items: Sequence[Item]) -> dict[str, list[float]]: ...


def criteria(model: Judge, records: Sequence[Record], seed: int = 0) -> list[dict[str, Any]]:
    """Each criterion's output against the raters' mean scores.

    correlation: Spearman's over all responses; rater_vs_others: the same of one rater's score with the mean of the
    others'. accuracy: share of the pairs within a prompt whose unlike mean scores the output puts in the same order.
    reward: Spearman's correlation of the criterion's mean score with the reward: what the total listens to.
    """
    scores: dict[str, dict[Item, list[tuple[str, float]]]] = defaultdict(lambda: defaultdict(list))
    group: dict[Item, str] = {}
    for record in records:
        for name, values in record.scores.items():
            for text, value in zip(record.responses, values, strict=True):
                scores[name][record.prompt, text].append((record.rater, value))
                group[record.prompt, text] = record.group
    items = list(group)
    outputs = {name: dict(zip(items, values, strict=True)) for name, values in model.criteria(items).items()}
    rewards = dict(zip(items, model.score(items), strict=True))
    return [_criterion(name, scores[name], outputs.get(name), rewards, group, seed) for name in sorted(scores)]


def _criterion(
    name: str,
    scores: Mapping[Item, Sequence[tuple[str, float]]],
    output: Mapping[Item, float] | None,
    rewards: Mapping[Item, float],
    group: Mapping[Item, str],
    seed: int,
) -> dict[str, Any]:
    items = list(scores)
    means = np.array([np.mean([value for _, value in scores[item]]) for item in items])
    clusters = numbered([group[item] for item in items])
    values = np.array([output[item] for item in items]) if output else None
    own, others, rows = _one_against_others(scores)
    return {
        "name": name,
        "responses": len(items),
        "scores": sum(map(len, scores.values())),
        "correlation": _spearman(values, means, clusters, seed) if values is not None else None,
        "accuracy": _order(items, values, means, clusters, seed).to_json() if values is not None else None,
        "rater_vs_others": _spearman(own, others, numbered([group[item] for item in rows]), seed),
        "reward": _spearman(np.array([rewards[item] for item in items]), means, clusters, seed),
    }


def _spearman(x: Floats, y: Floats, cluster: NDArray[np.int64], seed: int) -> dict[str, Any] | None:
    return Clusters(cluster, seed=seed).correlation(rankdata(x), rankdata(y)).to_json() if len(x) > 1 else None


def _one_against_others(
    scores_by_item: Mapping[Item, Sequence[tuple[str, float]]],
) -> tuple[Floats, Floats, list[Item]]:
    """One row for each score of a response that several raters scored: it, the mean of the others', the response."""
    own, others, rows = [], [], []
    for item, scores in scores_by_item.items():
        total = sum(value for _, value in scores)
        for _, value in scores if len(scores) > 1 else ():
            own.append(value)
            others.append((total - value) / (len(scores) - 1))
            rows.append(item)
    return np.array(own), np.array(others), rows


def _order(items: Sequence[Item], outputs: Floats, means: Floats, cluster: NDArray[np.int64], seed: int) -> Estimate:
    """The share of pairs within a prompt that `found` orders as `means` does, where those differ."""
    by_prompt: dict[str, list[int]] = defaultdict(list)
    for n, (prompt, _) in enumerate(items):
        by_prompt[prompt].append(n)
    right, where = [np.zeros(0)], [np.zeros(0, dtype=np.int64)]
    for rows in by_prompt.values():
        i, j = (np.array(rows)[side] for side in np.triu_indices(len(rows), k=1))
        unlike = np.abs(means[i] - means[j]) > 1e-9
        right.append(hits((outputs[i] - outputs[j])[unlike], (means[i] - means[j])[unlike]))
        where.append(cluster[i][unlike])
    flat = np.concatenate(where)
    return Clusters(numbered(flat.tolist()), seed=seed).share(np.concatenate(right))
