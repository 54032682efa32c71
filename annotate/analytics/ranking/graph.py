"""Do the votes tie all items together? Strengths exist only within what they connect."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.optimize import linprog
from scipy.sparse.csgraph import connected_components

from annotate.analytics.comparisons import Floats, Ints
from annotate.analytics.ranking.votes import Votes, counted


@dataclass(frozen=True)
class Connection:
    """part (n,): the number of the part of the graph that an item belongs to, the largest part 0. Items of different
    parts were never compared, directly or through others. separated: within its part some item, or group of items,
    never lost to the rest or never won: a maximum of the likelihood then does not exist (Ford 1957)."""

    part: Ints
    separated: bool

    @property
    def parts(self) -> int:
        return int(self.part.max(initial=-1)) + 1


def connection(votes: Votes) -> Connection:
    graph = wins(votes)
    edges = sparse.csr_array(graph > 0)
    parts, weak = connected_components(edges, connection="weak")
    strong, _ = connected_components(edges, connection="strong")
    by_size = np.argsort(-np.bincount(weak, minlength=parts), kind="stable")
    return Connection(np.argsort(by_size)[weak], separated=strong > parts)


def ties_keep_the_order(votes: Votes) -> bool:
    """Whether some order of the items is broken by no vote, ties aside: a model with a share of ties then has no
    maximum, since strengths ever further apart and ties ever likelier make the votes ever likelier.

    That is a direction (θ, t) along which, for each vote, what was said gains on what was not: θ_i - θ_j ≥ 2t and ≥ 0
    where i won, 2t ≥ |θ_i - θ_j| where they tied, not all of them equal. A linear program finds one, unless wins
    alone lead from every item to every other, where there is none.
    """
    decided = votes[votes.outcome != 0.5]
    if not votes.ties or not len(decided):
        return False
    parts = connected_components(sparse.csr_array(wins(votes) > 0), connection="weak")[0]
    if connected_components(sparse.csr_array(wins(decided) > 0), connection="strong")[0] == parts:
        return False
    rows = counted(votes)
    won, tied = rows.outcome != 0.5, rows.outcome == 0.5
    better = np.where(rows.outcome == 1, rows.left, rows.right)
    worse = np.where(rows.outcome == 1, rows.right, rows.left)
    gains = sparse.vstack(
        [
            _gain(votes.n, better[won], worse[won], -2.0),
            _gain(votes.n, better[won], worse[won], 0.0),
            _gain(votes.n, better[tied], worse[tied], 2.0),
            _gain(votes.n, worse[tied], better[tied], 2.0),
        ]
    )
    found = linprog(-np.asarray(gains.sum(axis=0)).ravel(), A_ub=-gains, b_ub=np.zeros(gains.shape[0]), bounds=(-1, 1))
    return bool(found.success and -found.fun > 1e-7)


def _gain(n: int, one: Ints, other: Ints, tie: float) -> sparse.csr_array:
    """Rows θ_one - θ_other + tie·t, (R, n + 1)."""
    size = len(one)
    row = np.tile(np.arange(size), 3)
    column = np.concatenate([one, other, np.full(size, n)])
    value = np.repeat([1.0, -1.0, tie], size)
    return sparse.coo_array((value, (row, column)), shape=(size, n + 1)).tocsr()


def wins(votes: Votes) -> Floats:
    """Wins of row over column, (n, n), a tie counting half to each."""
    n = votes.n
    table = np.bincount(votes.left * n + votes.right, votes.weight * votes.outcome, n * n)
    table += np.bincount(votes.right * n + votes.left, votes.weight * (1 - votes.outcome), n * n)
    return table.reshape(n, n).astype(np.float64)
