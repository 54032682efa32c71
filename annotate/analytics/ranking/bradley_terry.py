"""Bradley & Terry 1952: P(left is better) = σ(d). A tie is half a win for each side."""

import numpy as np
from scipy.special import expit, log_expit

from annotate.analytics.comparisons import Floats
from annotate.analytics.ranking.newton import Terms, maximise
from annotate.analytics.ranking.votes import Fit, Votes


def terms(d: Floats, outcome: Floats, tie: float) -> Terms:
    won = expit(d)
    return Terms(outcome * log_expit(d) + (1 - outcome) * log_expit(-d), outcome - won, -won * (1 - won))


def fit(votes: Votes, *, prior: float = 0.0, robust: bool = True) -> Fit:
    return maximise(votes, terms, tie=None, prior=prior, robust=robust)


def win_probability(d: Floats) -> Floats:
    """The chance of being preferred, d strengths apart."""
    return np.asarray(expit(d))
