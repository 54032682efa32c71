"""A measure that has read the reference, held against what raters say: a second opinion for managers, no judge.

chrF (Popović 2015) compares the character n-grams of a text with those of a reference, from 0 to 100. Where it and
raters part, either the reference is one good text of many, or the raters are worth a look.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from annotate.analytics.comparisons import Answers, Comparisons, Floats, Ints
from annotate.models.prompts import Response
from annotate.models.studies import Study
from core.statistics.bootstrap import NOTHING, Clusters, Estimate, share

# Of the newest responses with a reference: chrF takes a fraction of a millisecond each.
MOST = 1000


@dataclass(frozen=True)
class Opinion:
    """response (R,), ascending: ids; chrf (R,), 0 to 100."""

    response: Ints
    chrf: Floats

    def __len__(self) -> int:
        return len(self.response)

    def of(self, responses: Ints) -> Floats:
        """chrF of responses by id; NaN where nothing is known."""
        place = np.minimum(np.searchsorted(self.response, responses), len(self.response) - 1)
        return np.where(self.response[place] == responses, self.chrf[place], np.nan)


def opinion_of(study: Study) -> Opinion:
    """chrF of the study's newest judged responses whose prompts have a reference."""
    known = Response.objects.filter(prompt__study=study, tasks__judgements__isnull=False).exclude(prompt__reference="")
    newest = known.order_by("-pk").distinct().values_list("pk", "text", "prompt__reference")[:MOST]
    rows = sorted(newest)
    if not rows:
        return Opinion(np.zeros(0, np.int64), np.zeros(0))
    import sacrebleu

    scores = [sacrebleu.sentence_chrf(text, [reference]).score for _pk, text, reference in rows]
    return Opinion(np.array([pk for pk, *_ in rows], np.int64), np.array(scores))


def same_choice(opinion: Opinion, votes: Comparisons) -> Estimate:
    """How often chrF prefers the response that a rater prefers; ties of either left out."""
    if not len(opinion) or not len(votes):
        return NOTHING
    gap = opinion.of(votes.first) - opinion.of(votes.second)
    preferred = np.sign(votes.outcome - 0.5)
    counts = np.isfinite(gap) & (gap != 0) & (preferred != 0)
    return share(Clusters(votes.cluster), (counts & (np.sign(gap) == preferred)) * 1.0, counts * 1.0)


def correlation(opinion: Opinion, answers: Answers) -> Estimate:
    """Spearman's correlation of chrF with the responses' mean scores, by prompt; draws keep the ranks of the data."""
    response, mean, prompt = _means(answers)
    known = opinion.of(response) if len(opinion) else np.full(len(response), np.nan)
    rated = np.isfinite(known)
    if rated.sum() < 3:
        return NOTHING
    x, y = rankdata(known[rated]), rankdata(mean[rated])
    x, y = x - x.mean(), y - y.mean()
    values = np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], axis=1)
    return Clusters(prompt[rated]).estimate(_pearson, values, len(x))


def widest_gaps(opinion: Opinion, answers: Answers, count: int = 5) -> list[tuple[int, float, float]]:
    """The responses that raters and chrF put furthest apart in their orders: (id, mean score, chrF)."""
    response, mean, _prompt = _means(answers)
    known = opinion.of(response) if len(opinion) else np.full(len(response), np.nan)
    rated = np.flatnonzero(np.isfinite(known))
    if len(rated) < 3:
        return []
    gap = np.abs(rankdata(known[rated]) - rankdata(mean[rated]))
    return [(int(response[k]), float(mean[k]), float(known[k])) for k in rated[np.argsort(-gap, kind="stable")[:count]]]


def _means(answers: Answers) -> tuple[Ints, Floats, Ints]:
    """Responses (R,), their mean scores and their prompts."""
    response, first, back = np.unique(answers.response, return_index=True, return_inverse=True)
    mean = np.bincount(back, answers.value) / np.maximum(np.bincount(back), 1) if len(back) else np.zeros(0)
    return response, mean, answers.prompt[first]


def _pearson(sums: Floats) -> Floats:
    """From the sums of 1, x, y, x², y² and xy."""
    n, x, y, xx, yy, xy = (sums[..., k] for k in range(6))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((n * xy - x * y) / np.sqrt((n * xx - x * x) * (n * yy - y * y)))
