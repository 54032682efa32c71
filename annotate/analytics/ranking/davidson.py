"""Davidson 1970: with d the difference of the strengths, a win of the left, a win of the right and a tie have odds
e^{d/2} : e^{-d/2} : ν. The parameter here is log ν."""

import numpy as np

from annotate.analytics.comparisons import Floats
from annotate.analytics.ranking import bradley_terry
from annotate.analytics.ranking.newton import Terms, maximise
from annotate.analytics.ranking.votes import Fit, Votes


def terms(d: Floats, outcome: Floats, tie: float) -> Terms:
    total = np.logaddexp(np.logaddexp(d / 2, -d / 2), tie)
    left, right, tied = np.exp(d / 2 - total), np.exp(-d / 2 - total), np.exp(tie - total)
    mean = (left - right) / 2
    is_tie = outcome == 0.5
    observed = np.where(is_tie, 0.0, outcome - 0.5)
    return Terms(
        log=np.where(is_tie, tie, observed * d) - total,
        d=observed - mean,
        dd=mean**2 - (left + right) / 4,
        t=is_tie - tied,
        dt=mean * tied,
        tt=-tied * (1 - tied),
    )


def fit(votes: Votes, *, prior: float = 0.0, robust: bool = True) -> Fit:
    """Without a single tie ν is 0, and the model is Bradley and Terry's."""
    if not votes.ties:
        return bradley_terry.fit(votes, prior=prior, robust=robust)
    return maximise(votes, terms, tie=-1.0, prior=prior, robust=robust)
