"""Tasks about which raters disagree, for an expert to decide."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from annotate.analytics.agreement.pairwise import NEWEST, comparisons
from annotate.analytics.selection import default_selection
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.studies import Study

# The share of agreeing pairs of raters: two votes against one have 1/3, four against one have 0.6.
MAX_AGREEMENT = 0.5


@dataclass(frozen=True)
class Dispute:
    """agreement: of the pairs of raters, on ranks the share that says the same, on scores 1 minus their distance
    in widths of the scale; 0 to 1."""

    task: int
    agreement: float
    raters: int


def disputes(study: Study, *, limit: int = 50) -> list[Dispute]:
    """The most disputed of the tasks with the newest votes that no expert has decided, worst first."""
    decided = Judgement.objects.live().of_study(study).filter(part=Part.ADJUDICATION).values("task")
    rows = (
        Judgement.objects.of_study(study)
        .selected(default_selection(study))
        .filter(task__withdrawn=False)
        .exclude(task__in=decided)
        .order_by("-id")
        .values_list("task", "shown", "ranks", "scores")[:NEWEST]
    )
    votes: dict[int, list[Vote]] = defaultdict(list)
    for task, shown, ranks, scores in rows:
        votes[task].append(Vote(shown, ranks, scores))
    widths = {criterion.key: criterion.maximum - criterion.minimum for criterion in study.criteria.all()}
    found = [
        Dispute(task, value, len(of_task))
        for task, of_task in votes.items()
        if len(of_task) > 1 and (value := agreement_of(of_task, widths)) < MAX_AGREEMENT
    ]
    return sorted(found, key=lambda dispute: (dispute.agreement, -dispute.raters, dispute.task))[:limit]


@dataclass(frozen=True)
class Vote:
    """An answer as it is stored: everything in the order of `shown`."""

    shown: Sequence[int]
    ranks: Sequence[int] | None
    scores: Mapping[str, Sequence[float]]


def agreement_of(votes: Sequence[Vote], widths: Mapping[str, float]) -> float:
    """How far two or more votes on one task agree, from 0 to 1; 1 where nothing can be compared.

    widths: criterion key to maximum minus minimum.
    """
    ranks = [dict(zip(vote.shown, vote.ranks, strict=True)) for vote in votes if vote.ranks]
    compared = list(comparisons(ranks))
    for one, other in combinations(votes, 2):
        for key in one.scores.keys() & other.scores.keys() & widths.keys():
            second = dict(zip(other.shown, other.scores[key], strict=True))
            compared += [
                1 - abs(score - second[response]) / widths[key]
                for response, score in zip(one.shown, one.scores[key], strict=True)
            ]
    return fmean(compared) if compared else 1.0
