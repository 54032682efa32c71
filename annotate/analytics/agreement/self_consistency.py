"""Do raters agree with themselves, when the same task comes back with its responses in the reverse order?"""

from collections import defaultdict
from datetime import datetime

from annotate.analytics.agreement.pairwise import NEWEST, Agreement, comparisons
from annotate.models.choices import Part
from annotate.models.judgements import Judgement
from annotate.models.selection import JudgementSelection
from annotate.models.studies import Study
from core.statistics.bootstrap import share_of_groups

Ranks = dict[int, int]


def self_consistency(study: Study, selection: JudgementSelection) -> Agreement:
    """The share of comparisons that raters repeat as they made them first, with an interval by prompt."""
    by_prompt: dict[int, list[float]] = defaultdict(list)
    for prompt, _rater, compared in repeated(study, selection):
        by_prompt[prompt] += compared
    if not by_prompt:
        return Agreement(None, None, None, 0)
    share = share_of_groups(list(by_prompt.values()))
    return Agreement(*share.in_unit(), pairs=sum(map(len, by_prompt.values())))


def repeated(
    study: Study, selection: JudgementSelection, *, since: datetime | None = None
) -> list[tuple[int, int, list[float]]]:
    """(prompt, rater, one 1 or 0 a pair of responses: the same again?) for each of the newest repeats.

    selection: whose; the part is that of repeats whatever it says. since: repeats made before are left out.
    """
    ranked = Judgement.objects.of_study(study).filter(ranks__isnull=False)
    repeats = ranked.selected(selection.of_part(Part.REPEAT))
    if since:
        repeats = repeats.filter(made_at__gte=since)
    again = list(repeats.order_by("-id").values_list("task__prompt", "task", "rater", "shown", "ranks")[:NEWEST])
    votes = ranked.selected(selection.of_part(Part.VOTE)).filter(task__in={row[1] for row in again})
    first: dict[tuple[int, int], Ranks] = {
        (task, rater): dict(zip(shown, ranks, strict=True))
        for task, rater, shown, ranks in votes.filter(rater__in={row[2] for row in again}).values_list(
            "task", "rater", "shown", "ranks"
        )
    }
    return [
        (prompt, rater, list(comparisons([first[task, rater], dict(zip(shown, ranks, strict=True))])))
        for prompt, task, rater, shown, ranks in again
        if (task, rater) in first
    ]
