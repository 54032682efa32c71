"""Votes on numbered items, and what any ranking model makes of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from annotate.analytics.comparisons import Floats, Ints


@dataclass(frozen=True)
class Votes:
    """V votes on n items, numbered from 0: arrays (V,).

    left, right: items. outcome: 1 left is better, 0 right, 0.5 a tie. weight: how many votes the row stands for.
    cluster: which votes were drawn together (a task), numbered from 0. controls (V, p): what else may have moved the
    vote, as the left item's value minus the right one's; names: p words for them.
    """

    n: int
    left: Ints
    right: Ints
    outcome: Floats
    weight: Floats
    cluster: Ints
    controls: Floats
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.left)

    def __getitem__(self, chosen: Any) -> "Votes":
        """The chosen rows; items and clusters keep their numbers."""
        rows = ("left", "right", "outcome", "weight", "cluster", "controls")
        return replace(self, **{name: getattr(self, name)[chosen] for name in rows})

    @property
    def ties(self) -> float:
        """The share of the votes that are ties."""
        total = float(self.weight.sum())
        return float(self.weight[self.outcome == 0.5].sum()) / total if total else 0.0


def votes_of(
    n: int,
    left: Ints,
    right: Ints,
    outcome: Floats,
    *,
    weight: Floats | None = None,
    cluster: Ints | None = None,
    controls: Floats | None = None,
    names: tuple[str, ...] = (),
) -> Votes:
    """Votes, each weighing 1 and drawn on its own unless said otherwise. Clusters may have any numbers."""
    size = len(left)
    numbered = np.arange(size) if cluster is None else np.unique(cluster, return_inverse=True)[1]
    return Votes(
        n=n,
        left=np.asarray(left, np.int64),
        right=np.asarray(right, np.int64),
        outcome=np.asarray(outcome, np.float64),
        weight=np.ones(size) if weight is None else np.asarray(weight, np.float64),
        cluster=numbered,
        controls=np.zeros((size, 0)) if controls is None else controls,
        names=names,
    )


def counted(votes: Votes) -> Votes:
    """The unique (pair, outcome) rows with their counts, the smaller item on the left: a million votes over 200
    items become at most 60,000 rows. Votes with controls stay as they are; clusters do not survive."""
    if votes.controls.shape[1]:
        return votes
    rows, row_of = unique_rows(votes)
    weight = np.bincount(row_of, votes.weight, len(rows)).astype(np.float64)
    return replace(rows, weight=weight)[weight > 0]


def unique_rows(votes: Votes) -> tuple[Votes, Ints]:
    """The unique (pair, outcome) rows, each of weight 1 and a cluster of its own, and the row of each vote, (V,).
    Votes with controls are all rows of their own."""
    if votes.controls.shape[1]:
        return votes, np.arange(len(votes))
    swapped = votes.left > votes.right
    left, right = np.where(swapped, votes.right, votes.left), np.where(swapped, votes.left, votes.right)
    code = (2 * np.where(swapped, 1 - votes.outcome, votes.outcome)).astype(np.int64)
    key = (left * votes.n + right) * 3 + code
    if 3 * votes.n**2 <= 4 * len(votes) + 10_000:
        # Few enough keys for a table of all of them, which is faster than sorting.
        rows = np.flatnonzero(np.bincount(key, minlength=3 * votes.n**2))
        place = np.zeros(3 * votes.n**2, np.int64)
        place[rows] = np.arange(len(rows))
        row_of = place[key]
    else:
        rows, row_of = np.unique(key, return_inverse=True)
    pair, code = np.divmod(rows, 3)
    return votes_of(votes.n, pair // votes.n, pair % votes.n, code / 2), row_of


@dataclass(frozen=True)
class Fit:
    """A fitted ranking model.

    strengths (n,): natural log of the worth, mean 0; a difference d wins with probability σ(d) where ties are left
    out. effects (p,): of the controls, by name in `names`. tie: the model's tie parameter, None where it has none.
    covariance (n + p, n + p): of strengths and effects. prior: weight of the votes against an average item that every
    item got (0: none). Iterations and log-likelihood are for whoever doubts it.
    """

    strengths: Floats
    effects: Floats
    tie: float | None
    covariance: Floats
    log_likelihood: float
    iterations: int
    prior: float = 0.0
    names: tuple[str, ...] = ()

    @property
    def spread(self) -> Floats:
        """Standard errors of strengths and effects, (n + p,)."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))
