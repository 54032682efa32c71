"""How often the policy of a round beats the one it was paired with, judged blind."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F

from annotate.analytics.selection import default_selection
from annotate.models.judgements import Judgement
from annotate.models.selection import JudgementSelection
from annotate.models.tasks import TaskResponse
from core.statistics.bootstrap import share_of_groups
from training.models import Round


@dataclass(frozen=True)
class WinRate:
    """The mean of 1 for a win, 0.5 for a tie, 0 for a loss, with a 95 % bootstrap interval by prompt: 0 to 1 for fewer
    than five prompts, which tell too little of others.

    value, low and high are None while there are no judgements.
    """

    value: float | None
    low: float | None
    high: float | None
    wins: int
    ties: int
    losses: int
    prompts: int

    @property
    def judgements(self) -> int:
        return self.wins + self.ties + self.losses


def win_rate(turn: Round, selection: JudgementSelection | None = None) -> WinRate:
    """The win rate of a round's policy from the judgements of the selection; without one, the study's usual ones."""
    return win_rates([turn], selection or default_selection(turn.study))[turn.pk]


def win_rates(turns: Sequence[Round], selection: JudgementSelection) -> dict[int, WinRate]:
    """Round to the win rate of its policy from the judgements of the selection, in two queries for all rounds."""
    judgements = Judgement.objects.selected(selection).filter(task__round__in=turns, ranks__isnull=False)
    written = TaskResponse.objects.filter(task__round__in=turns, response__author_model=F("task__round__policy"))
    mine: dict[int, set[int]] = defaultdict(set)
    for turn, response in written.order_by().values_list("task__round", "response"):
        mine[turn].add(response)
    outcomes: dict[int, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for turn, prompt, shown, ranks in judgements.values_list("task__round", "task__prompt", "shown", "ranks"):
        outcomes[turn][prompt].append(_outcome(shown, ranks, mine[turn]))
    return {turn.pk: from_outcomes(list(outcomes[turn.pk].values())) for turn in turns}


def _outcome(shown: Sequence[int], ranks: Sequence[int], mine: set[int]) -> float:
    own = next(rank for response, rank in zip(shown, ranks, strict=True) if response in mine)
    other = next(rank for response, rank in zip(shown, ranks, strict=True) if response not in mine)
    return 0.5 if own == other else float(own < other)


def from_outcomes(outcomes: Sequence[Sequence[float]]) -> WinRate:
    """The win rate of outcomes (1, 0.5 or 0) given prompt by prompt."""
    flat = [outcome for of_prompt in outcomes for outcome in of_prompt]
    counts = {"wins": flat.count(1.0), "ties": flat.count(0.5), "losses": flat.count(0.0), "prompts": len(outcomes)}
    if not flat:
        return WinRate(None, None, None, **counts)
    return WinRate(*share_of_groups(outcomes).in_unit(), **counts)
