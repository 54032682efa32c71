"""Strengths as votes arrive: a new batch, or a single vote, changes them without a look at the old ones.

A normal approximation to the posterior of Bradley-Terry strengths. What the old votes said is kept as a mean and a
precision; new votes are added by Newton's method with that as the prior (Laplace's approximation, vote by vote an
extended Kalman filter; Glickman 1999 has the case without covariances). Nothing is forgotten: in the end the strengths
are those of the whole fit under the same prior, up to the error of the quadratic.
"""

import numpy as np
from scipy.special import expit

from annotate.judgements.comparisons import Floats
from annotate.standings.ranking.votes import Votes, counted

SPREAD = 2.0
STEPS = 4


class Online:
    """n strengths, each normal with mean 0 and standard deviation SPREAD before the first vote."""

    def __init__(self, n: int) -> None:
        self.strengths: Floats = np.zeros(n)
        self.precision: Floats = np.eye(n) / SPREAD**2

    def add(self, votes: Votes) -> None:
        """Take in new votes on the same n items; controls are not looked at, a tie is half a win."""
        rows = counted(votes)
        before, at, n = self.strengths, self.strengths, rows.n
        for _ in range(STEPS):
            won = expit(at[rows.left] - at[rows.right])
            slope = rows.weight * (rows.outcome - won)
            curve = rows.weight * won * (1 - won)
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
