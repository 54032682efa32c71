"""A machine judge's pairs with people's votes on the same tasks."""

from dataclasses import dataclass

import numpy as np

from annotate.analytics.columns import columns, comparisons_of
from annotate.analytics.comparisons import Flags, Floats, Ints
from annotate.models.judgements import Judgement
from annotate.models.members import Membership
from annotate.models.selection import JudgementSelection

VERDICTS = """
SELECT j.task_id, j.shown[1], j.shown[2], v.first_better, back.first_better
FROM annotate_judgement j JOIN annotate_machineverdict v ON v.judgement_id = j.id
JOIN annotate_judgement again ON again.task_id = j.task_id AND again.rater_id = j.rater_id
    AND again.part = 'repeat' AND again.live
JOIN annotate_machineverdict back ON back.judgement_id = again.id
WHERE j.rater_id = %s AND j.part = 'vote' AND j.live
"""


@dataclass(frozen=True)
class PairedVotes:
    """T pairs that the machine judged in both orders. forward, backward (T,): the chance given to the response shown
    first; chance (T,): that a (the smaller id) is better, the mean over both orders; votes (T,): how many people
    voted, people (T,): their share for a, a tie counting half, NaN without votes."""

    task: Ints
    forward: Floats
    backward: Floats
    chance: Floats
    votes: Ints
    people: Floats

    @property
    def with_people(self) -> Flags:
        return self.votes > 0


def paired_votes(rater: Membership, who: str = "people") -> PairedVotes:
    task, first, second, forward, backward = columns(VERDICTS, (rater.pk,), "iiiff")
    mean = (forward + 1 - backward) / 2
    chance = np.where(first < second, mean, 1 - mean)
    votes = Judgement.objects.of_study(rater.study).selected(JudgementSelection(who)).filter(shown__len=2)
    judged = comparisons_of(votes)
    _a, _b, outcome = judged.pair
    order = np.argsort(task)
    known = np.isin(judged.task, task)
    place = order[np.searchsorted(task[order], judged.task[known])] if known.any() else np.zeros(0, np.int64)
    count = np.bincount(place, minlength=len(task))
    total = np.bincount(place, outcome[known], len(task))
    people = np.divide(total, count, out=np.full(len(task), np.nan), where=count > 0)
    return PairedVotes(task, forward, backward, chance, count, people)
