"""From a study's judgements to votes on its authors, or on the responses to one prompt."""

from dataclasses import dataclass, field

import numpy as np

from annotate.analytics.agreement.units import numbered
from annotate.analytics.authors import authors_of
from annotate.analytics.columns import comparisons_of, ranks_of, scores_of
from annotate.analytics.comparisons import Answers, Comparisons, Floats, Ints, compared
from annotate.analytics.ranking.controls import controls_of
from annotate.analytics.ranking.table import Rankings, Standings, standings
from annotate.analytics.ranking.votes import Votes, votes_of
from annotate.analytics.reliability import reliability
from annotate.models.judgement_queries import JudgementQuerySet
from annotate.models.judgements import Judgement
from annotate.models.prompts import Prompt
from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study

PREFERENCE = "preference"


def usual_criterion(study: Study) -> str:
    """By what a study is ranked unless asked otherwise: preference; the first criterion where raters only score."""
    ranked = Judgement.objects.live().of_study(study).filter(ranks__isnull=False).exists()
    first = None if ranked else study.criteria.first()
    return first.key if first else PREFERENCE


@dataclass(frozen=True)
class Selection:
    """What is ranked, by which judgements, and how.

    criterion: PREFERENCE (ranks) or a criterion's key. prompt: rank the
    responses to this prompt instead of authors. group: only prompts of this group. reliability: votes weigh as much as
    their raters are reliable, instead of all the same."""

    judgements: JudgementSelection = field(default_factory=JudgementSelection)
    criterion: str = PREFERENCE
    model: str = "davidson"
    controls: tuple[str, ...] = ()
    group: str = ""
    prompt: int | None = None
    reliability: bool = False
    bootstrap: bool = False


def judgements_for(study: Study, selection: Selection) -> JudgementQuerySet:
    chosen = Judgement.objects.of_study(study).selected(selection.judgements)
    if selection.group:
        chosen = chosen.filter(task__prompt__group=selection.group)
    return chosen.filter(task__prompt=selection.prompt) if selection.prompt else chosen


def read(study: Study, selection: Selection) -> Comparisons:
    """The comparisons that the selection asks for."""
    judgements = judgements_for(study, selection)
    if selection.criterion == PREFERENCE:
        return comparisons_of(judgements)
    return compared(scores_of(judgements, selection.criterion))


@dataclass(frozen=True)
class RankingInput:
    """votes: on what is ranked, one for each of `comparisons`; names: n words for the items. rater_weight: how much a
    rater's votes count, 1 for those who are not named."""

    votes: Votes
    comparisons: Comparisons
    names: list[str]
    rater_weight: dict[int, float]


def standings_of(study: Study, selection: Selection, ballot: RankingInput) -> Standings:
    """The standings of a ballot that was read with the same selection."""
    whole = None
    if selection.model == "plackett-luce" and len(ballot.votes):
        whole = _rankings(study, selection, ballot.rater_weight)
    return standings(ballot.votes, ballot.names, model=selection.model, rankings=whole, bootstrap=selection.bootstrap)


def ranking_input(study: Study, selection: Selection, comparisons: Comparisons) -> RankingInput:
    """Votes on what is ranked. Comparisons of two responses by one author say nothing of authors and are left out."""
    rater_weight = reliability(comparisons).weights() if selection.reliability else {}
    items = Items(study, selection, np.concatenate([comparisons.first, comparisons.second]))
    left, right = items.of(comparisons.first), items.of(comparisons.second)
    apart = left != right
    comparisons, left, right = comparisons[apart], left[apart], right[apart]
    controls, names = controls_of(study, comparisons, selection.controls) if selection.controls else (None, ())
    weight = comparisons.weight
    if rater_weight:
        weight = weight * weights_of(comparisons.rater, rater_weight)
    votes = votes_of(
        len(items.names),
        left,
        right,
        comparisons.outcome,
        weight=weight,
        cluster=comparisons.cluster,
        controls=controls,
        names=names,
    )
    return RankingInput(votes, comparisons, items.names, rater_weight)


def weights_of(raters: Ints, weight: dict[int, float]) -> Floats:
    ids, back = np.unique(raters, return_inverse=True)
    return np.array([weight.get(int(rater), 1.0) for rater in ids])[back] if len(ids) else np.ones(0)


class Items:
    """What is ranked: authors, or the responses to one prompt. Only those that were compared."""

    def __init__(self, study: Study, selection: Selection, responses: Ints) -> None:
        self.policy: list[int | None]
        if selection.prompt:
            self._ids = np.unique(responses)
            self._number = np.arange(len(self._ids))
            known = Prompt.objects.get(pk=selection.prompt).responses.in_bulk(self._ids.tolist())
            self.names = [known[int(pk)].external_id for pk in self._ids]
            self.policy = [None] * len(self.names)
            return
        authors = authors_of(study)
        self._ids = authors.response
        used = np.unique(authors.of(responses)) if len(responses) else np.zeros(0, np.int64)
        number = np.full(len(authors.names), -1)
        number[used] = np.arange(len(used))
        self._number = number[authors.author]
        self.names = [authors.names[k] for k in used]
        self.policy = [authors.policy[k] for k in used]

    def of(self, responses: Ints) -> Ints:
        return np.asarray(self._number[np.searchsorted(self._ids, responses)], np.int64)


def _rankings(study: Study, selection: Selection, rater_weight: dict[int, float]) -> Rankings:
    """What each rater ordered: the responses of a judgement, or those to one prompt that were scored one by one."""
    judgements = judgements_for(study, selection)
    ranked = selection.criterion == PREFERENCE
    answers: Answers = ranks_of(judgements) if ranked else scores_of(judgements, selection.criterion)
    together = answers.size > 1
    number, _first = numbered(
        np.stack([np.where(together, answers.judgement, -answers.prompt), np.where(together, 0, answers.rater)], axis=1)
    )
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    found = [group for group in np.split(order, ends[:-1]) if len(group) > 1]
    items = Items(study, selection, answers.response[np.concatenate([order[:0], *found])])
    lead = np.array([group[0] for group in found], np.int64)
    cluster = np.where(together[lead], answers.task[lead], -answers.prompt[lead])
    return Rankings(
        [items.of(answers.response[group]).tolist() for group in found],
        [(np.unique(-answers.value[group], return_inverse=True)[1] + 1).tolist() for group in found],
        np.unique(cluster, return_inverse=True)[1],
        weights_of(answers.rater[lead], rater_weight),
    )
