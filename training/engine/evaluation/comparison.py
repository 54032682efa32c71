"""Two preference models side by side: what the faster one loses, and what it wins."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import rankdata

from core.records import Pair, Record, pairs_of
from core.statistics.bootstrap import Clusters, numbered
from training.engine.data.observations import Item
from training.engine.evaluation.breakdowns import PairTable
from training.engine.models.reward import PreferenceModel

# Texts on which the speed is measured, and how often.
TIMED, ROUNDS = 512, 3


def compare(
    model: PreferenceModel,
    reference: PreferenceModel,
    records: Sequence[Record],
    items: Sequence[Item],
    clusters: Sequence[str],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """A student against its teacher, or int8 against float32. records: held-out judgements on which both are judged;
    items: held-out responses, on which their rewards are compared; clusters: the group of prompts of each.

    Figures are {"value", "low", "high"} with a 95 % interval that draws whole groups of prompts, or None without data.
    accuracy_difference is the model's accuracy minus the reference's on the same pairs.
    """
    pairs = pairs_of(records)
    both = (model, reference)
    tables = [_table(one, pairs, seed) for one in both]
    draw = Clusters(numbered(clusters), seed=seed)
    rewards = [np.array(one.score(items), dtype=float) for one in both]
    return {
        "pairs": int(tables[0].decided.sum()),
        "responses": len(items),
        "model": _figures(tables[0]),
        "reference": _figures(tables[1]),
        "accuracy_difference": tables[0].draw.mean(tables[0].right - tables[1].right, tables[0].decided).to_json(),
        "pearson": draw.correlation(rewards[0], rewards[1]).to_json(),
        # Of ranks over all responses; the interval draws them as they are.
        "spearman": draw.correlation(rankdata(rewards[0]), rankdata(rewards[1])).to_json(),
    }


def speeds(model: PreferenceModel, reference: PreferenceModel, items: Sequence[Item]) -> dict[str, float]:
    """Responses a second of both, tokenising included, on the same at most TIMED texts: the median of ROUNDS rounds in
    which they take turns."""
    texts = list(dict.fromkeys(items))[:TIMED]
    both = {"model": model, "reference": reference}
    seconds: dict[str, list[float]] = {name: [] for name in both}
    for one in both.values():
        one.score(texts[:8])  # what is made at the first call is not timed
    for _ in range(ROUNDS):
        for name, one in both.items():
            start = time.perf_counter()
            one.score(texts)
            seconds[name].append(time.perf_counter() - start)
    a_second = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    return {"texts": len(texts), **a_second, "ratio": a_second["model"] / a_second["reference"]}


def _table(model: PreferenceModel, pairs: Sequence[Pair], seed: int) -> PairTable:
    items = list(dict.fromkeys((pair.prompt, text) for pair in pairs for text in (pair.a, pair.b)))
    return PairTable(pairs, dict(zip(items, model.score(items), strict=True)), model.temperature, seed)


def _figures(table: PairTable) -> dict[str, Any]:
    return {
        "accuracy": table.accuracy(table.right, table.everything),
        "log_loss": table.draw.mean(table.loss).to_json(),
    }
