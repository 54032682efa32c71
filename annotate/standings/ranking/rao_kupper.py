"""Rao & Kupper 1967: two responses closer than a threshold τ > 0 cannot be told apart.

P(left) = σ(d - τ), P(right) = σ(-d - τ), and what is left, P(left)·P(right)·(e^{2τ} - 1), is a tie.
"""

import numpy as np
from scipy.special import expit, log_expit

from annotate.judgements.comparisons import Floats
from annotate.standings.ranking import bradley_terry
from annotate.standings.ranking.newton import Terms, maximise
from annotate.standings.ranking.votes import Fit, Votes


def terms(d: Floats, outcome: Floats, tie: float) -> Terms:
    if tie <= 0:
        nothing = np.full(len(d), -np.inf)
        return Terms(nothing, nothing, nothing, nothing, nothing, nothing)
    left, right = expit(d - tie), expit(-d - tie)
    is_tie = outcome == 0.5
    # A tie is P(left)·P(right)·(e^{2τ} - 1): both sides' terms apply.
    of_left, of_right = ((outcome == 1) | is_tie) * 1.0, ((outcome == 0) | is_tie) * 1.0
    bend_left, bend_right = -of_left * left * (1 - left), -of_right * right * (1 - right)
    shrunk = np.exp(-2 * tie)
    rest = 2 * tie + np.log1p(-shrunk)
    return Terms(
        log=of_left * log_expit(d - tie) + of_right * log_expit(-d - tie) + is_tie * rest,
        d=of_left * (1 - left) - of_right * (1 - right),
        dd=bend_left + bend_right,
        t=-of_left * (1 - left) - of_right * (1 - right) + is_tie * 2 / (1 - shrunk),
        dt=bend_right - bend_left,
        tt=bend_left + bend_right - is_tie * 4 * shrunk / (1 - shrunk) ** 2,
    )


def fit(votes: Votes, *, prior: float = 0.0, robust: bool = True) -> Fit:
    """Without a single tie τ is 0, and the model is Bradley and Terry's."""
    if not votes.ties:
        return bradley_terry.fit(votes, prior=prior, robust=robust)
    return maximise(votes, terms, tie=0.5, prior=prior, robust=robust)
