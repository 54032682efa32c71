"""Strengths as votes arrive: a new batch, or a single vote, changes them without a look at the old ones.

A normal approximation to the posterior of the strengths of a model of pairs, whose tie parameter and effects are
given. What the old votes said is kept as a mean and a precision; new votes are added by Newton's method with that as
the prior (Laplace's approximation, vote by vote an extended Kalman filter; Glickman 1999 has the case without
covariances). Nothing is forgotten: in the end the strengths are those of the whole fit under the same prior, up to the
error of the quadratic.
"""

import numpy as np

from annotate.judgements.comparisons import Floats
from annotate.standings.ranking import bradley_terry
from annotate.standings.ranking.newton import Model
from annotate.standings.ranking.votes import Votes, counted

SPREAD = 2.0
STEPS = 4


class Online:
    """n strengths, each normal with mean 0 and standard deviation SPREAD before the first vote.

    model: a vote's terms; tie: its tie parameter, where it has one; effects (p,): of the votes' controls."""

    def __init__(
        self, n: int, model: Model = bradley_terry.terms, *, tie: float = 0.0, effects: Floats | None = None
    ) -> None:
        self.model, self.tie = model, tie
        self.effects = np.zeros(0) if effects is None else effects
        self.strengths: Floats = np.zeros(n)
        self.precision: Floats = np.eye(n) / SPREAD**2

    def add(self, votes: Votes) -> None:
        """Take in new votes on the same n items."""
        rows = counted(votes)
        before, at, n = self.strengths, self.strengths, rows.n
        given = rows.controls @ self.effects if len(self.effects) else 0.0
        for _ in range(STEPS):
            terms = self.model(at[rows.left] - at[rows.right] + given, rows.outcome, self.tie)
            slope, curve = rows.weight * terms.d, -rows.weight * terms.dd
            cross = np.bincount(rows.left * n + rows.right, curve, n * n).reshape(n, n)
            cross = cross + cross.T
            precision = self.precision + np.diag(cross.sum(axis=1)) - cross
            gradient = np.bincount(rows.left, slope, n) - np.bincount(rows.right, slope, n)
            at = at + np.linalg.solve(precision, gradient - self.precision @ (at - before))
        self.strengths, self.precision = at, precision

    @property
    def spread(self) -> Floats:
        """Standard deviations of the strengths relative to their mean, (n,)."""
        n = len(self.strengths)
        centred = np.eye(n) - 1 / n
        return np.sqrt(np.diag(centred @ np.linalg.inv(self.precision) @ centred))
