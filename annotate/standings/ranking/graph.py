"""Do the votes tie all items together? Strengths exist only within what they connect."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from annotate.judgements.comparisons import Floats, Ints
from annotate.standings.ranking.votes import Votes


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


def wins(votes: Votes) -> Floats:
    """Wins of row over column, (n, n), a tie counting half to each."""
    n = votes.n
    table = np.bincount(votes.left * n + votes.right, votes.weight * votes.outcome, n * n)
    table += np.bincount(votes.right * n + votes.left, votes.weight * (1 - votes.outcome), n * n)
    return table.reshape(n, n).astype(np.float64)
