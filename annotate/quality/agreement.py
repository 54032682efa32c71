"""Do the raters agree? The share of pairs of raters who say the same of two responses."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from annotate.judgements.models import Judgement
from annotate.studies.models import Study
from core.statistics.bootstrap import share_of_groups

# The newest judgements say how a study is doing; a page must not read millions of them.
NEWEST = 20_000


@dataclass(frozen=True)
class Agreement:
    """Share of agreeing pairs of raters with a 95 % bootstrap interval by prompt; None without such pairs."""

    value: float | None
    low: float | None
    high: float | None
    pairs: int


def agreement(study: Study) -> Agreement:
    """How often two raters of one task prefer the same of two responses; ties are an answer of their own."""
    rows = (
        Judgement.objects.counted()
        .of_study(study)
        .filter(ranks__isnull=False, task__replication__gt=1)
        .order_by("-id")
        .values_list("task__prompt", "task", "shown", "ranks")[:NEWEST]
    )
    tasks: dict[tuple[int, int], list[dict[int, int]]] = defaultdict(list)
    for prompt, task, shown, ranks in rows:
        tasks[prompt, task].append(dict(zip(shown, ranks, strict=True)))
    by_prompt: dict[int, list[float]] = defaultdict(list)
    for (prompt, _task), answers in tasks.items():
        by_prompt[prompt] += comparisons(answers)
    compared = [values for values in by_prompt.values() if values]
    if not compared:
        return Agreement(None, None, None, 0)
    return Agreement(*share_of_groups(compared).in_unit(), pairs=sum(map(len, compared)))


def comparisons(answers: Sequence[dict[int, int]]) -> Iterable[float]:
    """1 or 0 for each two raters and each two responses: did both see them in the same relation?"""
    for one, other in combinations(answers, 2):
        for a, b in combinations(sorted(one), 2):
            yield float(np.sign(one[a] - one[b]) == np.sign(other[a] - other[b]))
