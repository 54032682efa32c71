"""The figures of a preference model over all pairs, and over those of a margin, an author, a script, a group."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from core.records import Pair
from core.statistics.bootstrap import Clusters, Estimate, Floats, Mask, numbered
from training.engine.data.scripts import script_of
from training.engine.evaluation.metrics import hits, taus
from training.engine.preference.calibration import cross_entropy, ece_by_chance, folded, reliability

# Votes for one response more than for the other: from, up to, in words.
MARGINS = (
    (0.0, 1.0, "less than 1"),
    (1.0, 2.0, "1"),
    (2.0, 3.0, "2"),
    (3.0, 5.0, "3 or 4"),
    (5.0, math.inf, "5 or more"),
)
# A slice with fewer decided pairs tells nothing; a table with more rows is not read.
MIN_PAIRS, MAX_ROWS = 10, 40


class PairTable:
    """Columns (N,) over the pairs. rewards: of every (prompt, response); the bootstrap draws whole groups."""

    def __init__(
        self, pairs: Sequence[Pair], rewards: Mapping[tuple[str, str], float], temperature: float, seed: int = 0
    ) -> None:
        self.pairs, self.rewards = pairs, rewards
        self.group = numbered([pair.group for pair in pairs])
        self.difference = np.array([rewards[p.prompt, p.a] - rewards[p.prompt, p.b] for p in pairs], dtype=float)
        self.probability: Floats = expit(self.difference / temperature)
        self.margin = np.array([pair.margin for pair in pairs], dtype=float)
        self.share = np.array([pair.share_a for pair in pairs], dtype=float)
        self.weight = np.array([pair.votes_weight for pair in pairs], dtype=float)
        self.lengths = np.array([(len(pair.a), len(pair.b)) for pair in pairs], dtype=float)
        self.decided: Mask = self.margin != 0
        self.clear: Mask = np.abs(self.margin) >= 2
        self.everything: Mask = np.ones(len(pairs), dtype=bool)
        self.right = hits(self.difference, self.margin)
        self.loss = cross_entropy(self.probability, self.share)
        self.draw = Clusters(self.group, seed=seed)
        self.seed = seed

    def accuracy(self, right: Floats, where: Mask) -> dict[str, Any] | None:
        """The mean of `right` over the pairs with a margin."""
        return self.draw.share(right, where & self.decided).to_json()

    def figures(self, where: Mask) -> dict[str, Any]:
        """Numbers of pairs and groups; accuracy on pairs with a margin; log loss and calibration error against the
        vote shares, and that of a perfectly calibrated model by chance; Kendall's tau-b by prompt."""
        confidence, observed, place = folded(self.probability, self.share)
        return {
            "pairs": int((where & self.decided).sum()),
            "tied": int((where & ~self.decided).sum()),
            "groups": len(np.unique(self.group[where])),
            "accuracy": self.accuracy(self.right, where),
            "log_loss": self.draw.mean(self.loss, where).to_json(),
            "ece": self.draw.absolute_gap(confidence - observed, place, where).to_json(),
            "ece_by_chance": ece_by_chance(self.probability[where], self.weight[where], self.seed)
            if where.any()
            else None,
            "kendall_tau": self._tau(where).to_json(),
        }

    def _tau(self, where: Mask) -> Estimate:
        pairs = [self.pairs[n] for n in np.flatnonzero(where).tolist()]
        values = taus(pairs, self.rewards)
        groups = list({pair.prompt_id: pair.group for pair in pairs}.values())
        return Clusters(numbered(groups), seed=self.seed).mean(values, np.isfinite(values))

    def reliability(self) -> list[dict[str, Any]]:
        """The reliability diagram: pairs by tenths of the likelier winner's probability."""
        _, observed, place = folded(self.probability, self.share)
        rows = []
        for bin_, number in zip(reliability(self.probability, self.share), np.unique(place), strict=True):
            inside = place == number
            rows.append(
                {
                    "pairs": bin_.pairs,
                    "predicted": bin_.predicted,
                    "observed": self.draw.share(observed, inside).to_json(),
                }
            )
        return rows


def breakdowns(table: PairTable) -> dict[str, list[dict[str, Any]]]:
    """Figures by vote margin, author, writing system and group, the largest slices first (margins in their order)."""
    margin = np.abs(table.margin)
    by_margin = {words: table.decided & (margin >= low) & (margin < high) for low, high, words in MARGINS}
    scripts = np.array([script_of(f"{pair.a} {pair.b}") for pair in table.pairs])
    groups = np.array([pair.group for pair in table.pairs])
    return {
        "margin": [row for name, where in by_margin.items() if where.any() for row in [_row(table, name, where)]],
        "author": _authors(table),
        "script": [_row(table, name, scripts == name) for name in _largest(table, scripts, least=1)],
        "group": [_row(table, name, groups == name) for name in _largest(table, groups, least=MIN_PAIRS)],
    }


def _row(table: PairTable, name: str, where: Mask) -> dict[str, Any]:
    return {"name": name, **table.figures(where)}


def _largest(table: PairTable, names: NDArray[Any], *, least: int) -> list[str]:
    """Names with at least so many decided pairs, those with most first."""
    counts = Counter(names[table.decided].tolist())
    return [name for name, count in counts.most_common(MAX_ROWS) if count >= least and name]


def _authors(table: PairTable) -> list[dict[str, Any]]:
    """Each author against the others: figures, and the share of the votes that the author won, and the share that
    the model predicts. A prediction above the votes means that the model favours the author."""
    a, b = (np.array([getattr(pair, side) for pair in table.pairs]) for side in ("a_author", "b_author"))
    against = a != b
    names = np.where(against, a, ""), np.where(against, b, "")
    counts = Counter(names[0][table.decided].tolist()) + Counter(names[1][table.decided].tolist())
    rows = []
    for name, count in counts.most_common(MAX_ROWS):
        if not name or count < MIN_PAIRS:
            continue
        where = against & ((a == name) | (b == name))
        won, predicted = (np.where(a == name, x, 1 - x) for x in (table.share, table.probability))
        rows.append(
            {
                **_row(table, name, where),
                "won": table.draw.share(won, where).to_json(),
                "predicted": table.draw.share(predicted, where).to_json(),
            }
        )
    return rows
